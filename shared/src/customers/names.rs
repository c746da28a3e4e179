//! How alike two legal names are: a proposal that they are one company's, never a decision. Pure.
//!
//! Both names are transliterated and cut into words; legal forms, articles and connectives are left out,
//! abbreviations written out. Then the words of one are laid beside those of the other. What many companies
//! have in their names, such as `Global` or `Services`, weighs little; what only one has weighs much; numbers
//! and bearings that differ tell companies apart.

use std::collections::HashSet;
use std::sync::LazyLock;

use deunicode::deunicode_char;

/// A similarity of names that are the same once brought to one form.
pub const SAME: u16 = 1000;
/// Letters by which names are found that may be alike.
const BLOCK: usize = 3;
/// From this similarity on, two names are proposed to be one company's. Where it lies, and how well it
/// separates, is measured: see `cargo run -- names`.
pub const PROPOSED: u16 = 800;
/// Words of a name that are looked at, with a bound on the work.
const MAX_WORDS: usize = 24;
/// Names of one company that are looked at: its legal one, and those it trades under.
const MAX_NAMES: usize = 4;
/// Letters of a word that are looked at.
const MAX_WORD: usize = 40;

/// The weight of a word that only some companies have.
const OWN: u32 = 10;
/// The weight of a trade or a place, which several companies share.
const TRADE: u32 = 6;
/// The weight of a word that says next to nothing.
const COMMON: u32 = 2;

/// Legal forms, as words after transliteration; longer ones first, so that they are not cut in half.
const LEGAL_FORMS: &[&[&str]] = &[
    &["gesellschaft", "mit", "beschrankter", "haftung"],
    &["spolka", "z", "ograniczona", "odpowiedzialnoscia"],
    &["spolecnost", "s", "rucenim", "omezenym"],
    &["societa", "a", "responsabilita", "limitata"],
    &["sociedad", "de", "responsabilidad", "limitada"],
    &["societe", "a", "responsabilite", "limitee"],
    &["public", "limited", "company"],
    &["limited", "liability", "company"],
    &["limited", "liability", "partnership"],
    &["private", "limited", "company"],
    &["sociedad", "anonima", "de", "capital", "variable"],
    &["societe", "par", "actions", "simplifiee"],
    &["societa", "per", "azioni"],
    &["spolka", "akcyjna"],
    &["sociedad", "anonima"],
    &["sociedad", "limitada"],
    &["sociedade", "anonima"],
    &["societe", "anonyme"],
    &["private", "limited"],
    &["proprietary", "limited"],
    &["pty", "limited"],
    &["pvt", "ltd"],
    &["pte", "ltd"],
    &["pty", "ltd"],
    &["co", "ltd"],
    &["co", "kg"],
    &["co", "kgaa"],
    &["co", "ohg"],
    &["sa", "de", "cv"],
    &["s", "de", "rl", "de", "cv"],
    &["sp", "z", "oo"],
    &["sp", "z", "o", "o"],
    &["spol", "s", "ro"],
    &["sp", "zoo"],
    &["korlatolt", "felelossegu", "tarsasag"],
    &["zartkoruen", "mukodo", "reszvenytarsasag"],
    &["obshchestvo", "s", "ogranichennoy", "otvetstvennostyu"],
    &["free", "zone", "establishment"],
    &["aktiengesellschaft"],
    &["aktiebolag"],
    &["aktieselskab"],
    &["aksjeselskap"],
    &["anpartsselskab"],
    &["osakeyhtio"],
    &["kommanditgesellschaft"],
    &["besloten", "vennootschap"],
    &["naamloze", "vennootschap"],
    &["kabushiki", "kaisha"],
    &["godo", "kaisha"],
    &["incorporated"],
    &["corporation"],
    &["limited"],
    &["limitada"],
    &["anonim", "sirketi"],
    &["limited", "sirketi"],
    &["company"],
    &["ab"],
    &["ag"],
    &["aps"],
    &["as"],
    &["asa"],
    &["bhd"],
    &["bv"],
    &["bvba"],
    &["cc"],
    &["co"],
    &["corp"],
    &["cv"],
    &["doo"],
    &["ead"],
    &["eg"],
    &["eirl"],
    &["ek"],
    &["ehf"],
    &["eood"],
    &["ev"],
    &["fze"],
    &["fzco"],
    &["gbr"],
    &["gmbh"],
    &["ggmbh"],
    &["hf"],
    &["inc"],
    &["kft"],
    &["kg"],
    &["kgaa"],
    &["kk"],
    &["ks"],
    &["lda"],
    &["llc"],
    &["llp"],
    &["lp"],
    &["ltd"],
    &["ltda"],
    &["mbh"],
    &["nv"],
    &["nyrt"],
    &["oao"],
    &["od"],
    &["oe"],
    &["ohg"],
    &["ood"],
    &["ooo"],
    &["ou"],
    &["oy"],
    &["oyj"],
    &["pao"],
    &["pc"],
    &["plc"],
    &["pllc"],
    &["pte"],
    &["pty"],
    &["pvt"],
    &["sa"],
    &["sarl"],
    &["sas"],
    &["sasu"],
    &["sc"],
    &["sca"],
    &["scs"],
    &["sdn"],
    &["se"],
    &["sia"],
    &["sl"],
    &["slu"],
    &["snc"],
    &["spa"],
    &["spolka"],
    &["sro"],
    &["srl"],
    &["sprl"],
    &["srls"],
    &["sti"],
    &["tov"],
    &["uab"],
    &["ug"],
    &["vof"],
    &["wll"],
    &["zao"],
    &["zrt"],
    &["ae"],
    &["epe"],
    &["ike"],
    &["pj"],
    &["pjsc"],
    &["jsc"],
    &["cjsc"],
    &["as", "sirketi"],
];

/// Articles and connectives, which people leave out or write in another language.
const CONNECTIVES: &[&str] = &[
    "and", "und", "u", "u.", "et", "y", "e", "og", "och", "ja", "en", "i", "a", "the", "of", "de",
    "du", "des", "la", "le", "les", "el", "der", "die", "das", "van", "von", "for", "fur", "do",
    "da", "dos", "di", "del", "della",
];

/// Abbreviations, written out.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("assoc", "associates"),
    ("assocs", "associates"),
    ("associate", "associates"),
    ("auto", "automotive"),
    ("bldg", "building"),
    ("bldrs", "builders"),
    ("bro", "brothers"),
    ("bros", "brothers"),
    ("chem", "chemical"),
    ("comm", "communications"),
    ("comms", "communications"),
    ("constr", "construction"),
    ("cons", "consulting"),
    ("ctr", "center"),
    ("centre", "center"),
    ("dept", "department"),
    ("dev", "development"),
    ("dist", "distribution"),
    ("distr", "distribution"),
    ("elec", "electric"),
    ("eng", "engineering"),
    ("engg", "engineering"),
    ("engr", "engineering"),
    ("engrg", "engineering"),
    ("ent", "enterprises"),
    ("etab", "etablissements"),
    ("ets", "etablissements"),
    ("gen", "general"),
    ("trdg", "trading"),
    ("trd", "trading"),
    ("equip", "equipment"),
    ("fin", "financial"),
    ("fndn", "foundation"),
    ("fdn", "foundation"),
    ("flli", "fratelli"),
    ("gebr", "bruder"),
    ("gebruder", "bruder"),
    ("gov", "government"),
    ("govt", "government"),
    ("grp", "group"),
    ("hldg", "holding"),
    ("hldgs", "holdings"),
    ("hosp", "hospital"),
    ("ind", "industries"),
    ("inds", "industries"),
    ("industrial", "industries"),
    ("ins", "insurance"),
    ("inst", "institute"),
    ("int", "international"),
    ("intl", "international"),
    ("intnl", "international"),
    ("inv", "investments"),
    ("jr", "junior"),
    ("lab", "laboratories"),
    ("labs", "laboratories"),
    ("laboratory", "laboratories"),
    ("lib", "library"),
    ("log", "logistics"),
    ("mach", "machinery"),
    ("mfg", "manufacturing"),
    ("mfrs", "manufacturers"),
    ("mgmt", "management"),
    ("mgt", "management"),
    ("mkt", "market"),
    ("mktg", "marketing"),
    ("mt", "mount"),
    ("natl", "national"),
    ("nat", "national"),
    ("org", "organisation"),
    ("organization", "organisation"),
    ("pharma", "pharmaceuticals"),
    ("pharm", "pharmaceuticals"),
    ("prod", "products"),
    ("prods", "products"),
    ("prof", "professional"),
    ("prop", "properties"),
    ("pub", "publishing"),
    ("rd", "road"),
    ("rly", "railway"),
    ("sci", "scientific"),
    ("soc", "society"),
    ("sr", "senior"),
    ("st", "saint"),
    ("ste", "saint"),
    ("sol", "solutions"),
    ("svc", "services"),
    ("svcs", "services"),
    ("serv", "services"),
    ("servs", "services"),
    ("sys", "systems"),
    ("tech", "technologies"),
    ("techs", "technologies"),
    ("technology", "technologies"),
    ("telecom", "telecommunications"),
    ("tel", "telephone"),
    ("trans", "transport"),
    ("transp", "transport"),
    ("univ", "university"),
    ("vet", "veterinary"),
    ("whse", "warehouse"),
];

/// Words that half the companies of the world have in their names.
const COMMON_WORDS: &[&str] = &[
    "group",
    "gruppe",
    "groupe",
    "grupo",
    "gruppo",
    "holding",
    "holdings",
    "international",
    "global",
    "worldwide",
    "services",
    "solutions",
    "enterprises",
    "partners",
    "ventures",
    "associates",
];

/// Trades: what tells companies of one name apart, and is shared by companies of many.
const TRADES: &[&str] = &[
    "bank",
    "capital",
    "chemical",
    "clinic",
    "communications",
    "construction",
    "consulting",
    "data",
    "dental",
    "design",
    "digital",
    "distribution",
    "electric",
    "electronics",
    "energy",
    "engineering",
    "finance",
    "financial",
    "foods",
    "freight",
    "health",
    "hotel",
    "industries",
    "insurance",
    "investments",
    "laboratories",
    "legal",
    "logistics",
    "machinery",
    "management",
    "manufacturing",
    "marketing",
    "media",
    "medical",
    "motors",
    "pharmaceuticals",
    "products",
    "properties",
    "retail",
    "security",
    "shipping",
    "software",
    "studio",
    "supplies",
    "systems",
    "technologies",
    "telecommunications",
    "trading",
    "transport",
    "travel",
];

/// Words that say which of several companies of one name it is.
const TELLING: &[&str] = &[
    "north",
    "south",
    "east",
    "west",
    "northern",
    "southern",
    "eastern",
    "western",
    "northeast",
    "northwest",
    "southeast",
    "southwest",
    "nord",
    "sud",
    "ost",
    "est",
    "ouest",
    "norte",
    "sur",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "upper",
    "lower",
    "old",
    "new",
    "junior",
    "senior",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
];

/// Legal forms that are written into names without a blank.
const FORMS_IN_HAN: [&str; 6] = [
    "股份有限公司",
    "有限责任公司",
    "有限公司",
    "株式会社",
    "有限会社",
    "合同会社",
];

/// What stands between a legal name and the one a company trades under.
const TRADES_AS: [&str; 9] = [
    " t/a ",
    " trading as ",
    " d/b/a ",
    " dba ",
    " d.b.a. ",
    " doing business as ",
    " o/a ",
    " operating as ",
    " aka ",
];

/// How countries are written in names, with their codes.
const COUNTRY_WORDS: &[(&str, &str)] = &[
    ("australia", "AU"),
    ("austria", "AT"),
    ("osterreich", "AT"),
    ("oesterreich", "AT"),
    ("belgium", "BE"),
    ("belgie", "BE"),
    ("belgique", "BE"),
    ("brasil", "BR"),
    ("brazil", "BR"),
    ("canada", "CA"),
    ("danmark", "DK"),
    ("denmark", "DK"),
    ("deutschland", "DE"),
    ("germany", "DE"),
    ("eesti", "EE"),
    ("estonia", "EE"),
    ("espana", "ES"),
    ("spain", "ES"),
    ("iberia", "ES"),
    ("finland", "FI"),
    ("suomi", "FI"),
    ("france", "FR"),
    ("hellas", "GR"),
    ("greece", "GR"),
    ("india", "IN"),
    ("ireland", "IE"),
    ("italia", "IT"),
    ("italy", "IT"),
    ("japan", "JP"),
    ("mexico", "MX"),
    ("nederland", "NL"),
    ("netherlands", "NL"),
    ("norge", "NO"),
    ("norway", "NO"),
    ("polska", "PL"),
    ("poland", "PL"),
    ("portugal", "PT"),
    ("romania", "RO"),
    ("schweiz", "CH"),
    ("suisse", "CH"),
    ("svizzera", "CH"),
    ("switzerland", "CH"),
    ("singapore", "SG"),
    ("sverige", "SE"),
    ("sweden", "SE"),
    ("turkey", "TR"),
    ("turkiye", "TR"),
    ("uae", "AE"),
    ("uk", "GB"),
    ("gb", "GB"),
    ("usa", "US"),
    ("us", "US"),
    ("america", "US"),
    ("cz", "CZ"),
    ("ceska", "CZ"),
];

/// How alike two companies' names are, from 0 to [`SAME`], with the countries (ISO 3166, two letters) where
/// they are known. A name in another country is a less likely match.
///
/// Where a name says under which other name a company trades, the more alike of the two counts. The same
/// whichever of the two comes first.
#[must_use]
pub fn similarity(left: (&str, Option<&str>), right: (&str, Option<&str>)) -> u16 {
    let mut best = 0;
    for mine in written(left.0, left.1) {
        for theirs in written(right.0, right.1) {
            // Words are laid beside each other in their order, so who begins may matter.
            best = best.max(alike(&mine, &theirs)).max(alike(&theirs, &mine));
        }
    }
    match (left.1, right.1) {
        // Affiliates share a name across borders, and so do strangers.
        (Some(mine), Some(theirs)) if mine != theirs => best * 3 / 4,
        _ => best,
    }
}

/// A name in its one form, by which equal names are found without comparing: its words without legal form.
#[must_use]
pub fn plain(name: &str, country: Option<&str>) -> String {
    let names = written(name, country);
    names
        .first()
        .map(|words| words.join(" "))
        .unwrap_or_default()
}

/// Under which short texts a name is kept, so that names which may be alike are found without reading all: the
/// beginning of its first word, and of that word's consonants, which survives most misspellings.
#[must_use]
pub fn blocks(name: &str, country: Option<&str>) -> Vec<String> {
    let plain = plain(name, country);
    let letters: Vec<char> = plain.chars().filter(|letter| *letter != ' ').collect();
    let beginning: String = letters.iter().take(BLOCK).collect();
    let consonants: String = letters
        .iter()
        .filter(|letter| !"aeiouy".contains(**letter))
        .take(BLOCK)
        .collect();
    let mut found = Vec::new();
    if !beginning.is_empty() {
        found.push(format!("b{beginning}"));
    }
    if consonants.chars().count() >= 2 {
        found.push(format!("c{consonants}"));
    }
    found
}

/// The names in a text, each as its words: the legal one, and those it trades under.
fn written(name: &str, country: Option<&str>) -> Vec<Vec<String>> {
    let latin = transliterated(name);
    let mut texts = vec![latin.as_str()];
    for mark in TRADES_AS {
        texts = texts
            .into_iter()
            .flat_map(|text| text.split(mark))
            .collect();
    }
    texts
        .into_iter()
        .map(|text| words(text, country))
        .filter(|words| !words.is_empty())
        .take(MAX_NAMES)
        .collect()
}

/// A name in small Latin letters, as it would be typed without the marks.
fn transliterated(name: &str) -> String {
    let mut text = name.to_lowercase();
    for form in FORMS_IN_HAN {
        text = text.replace(form, " ");
    }
    let letters: Vec<char> = text.chars().collect();
    let mut latin = String::with_capacity(text.len());
    let mut rest = letters.as_slice();
    while let [letter, after @ ..] = rest {
        rest = after;
        match *letter {
            '&' | '+' => latin.push_str(" and "),
            '\'' | '\u{2019}' | '`' => {}
            '(' | ')' | '[' | ']' | '"' => latin.push(' '),
            letter if letter.is_whitespace() => latin.push(' '),
            letter => {
                let (sounds, taken) = sounds(letter, after);
                match sounds {
                    Some(sounds) => latin.push_str(sounds),
                    // A soft sign is an apostrophe there.
                    None => latin.extend(
                        deunicode_char(letter)
                            .unwrap_or(" ")
                            .chars()
                            .filter(|letter| *letter != '\''),
                    ),
                }
                rest = &after[taken..];
            }
        }
    }
    latin.to_lowercase()
}

/// A Greek or Cyrillic letter as it is written in Latin ones by those who bear the name (ELOT 743, BGN), where
/// that is not what it looks like; and how many of the letters that follow are part of it.
fn sounds(letter: char, after: &[char]) -> (Option<&'static str>, usize) {
    let upsilon = |plain, voiced, voiceless| match after {
        [
            'υ' | 'ύ',
            'θ' | 'κ' | 'ξ' | 'π' | 'σ' | 'τ' | 'φ' | 'χ' | 'ψ',
            ..,
        ]
        | ['υ' | 'ύ'] => (Some(voiceless), 1),
        ['υ' | 'ύ', ..] => (Some(voiced), 1),
        _ => (Some(plain), 0),
    };
    match letter {
        'α' | 'ά' => upsilon("a", "av", "af"),
        'ε' | 'έ' => upsilon("e", "ev", "ef"),
        'ο' | 'ό' => upsilon("o", "ou", "ou"),
        'υ' | 'ύ' => (Some("y"), 0),
        'η' | 'ή' => (Some("i"), 0),
        'ξ' => (Some("x"), 0),
        'χ' => (Some("ch"), 0),
        'φ' => (Some("f"), 0),
        'ю' => (Some("yu"), 0),
        'я' => (Some("ya"), 0),
        'й' => (Some("y"), 0),
        'ё' => (Some("yo"), 0),
        _ => (None, 0),
    }
}

/// The words of a transliterated name, without what says nothing of whose it is.
fn words(text: &str, country: Option<&str>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut initials = String::new();
    let is_connective = |chunk: &&str| CONNECTIVES.contains(chunk);
    let said: Vec<&str> = text
        .split_whitespace()
        .filter(|chunk| !is_connective(chunk))
        .collect();
    // A name of nothing else is what it is.
    let chunks = if said.is_empty() {
        text.split_whitespace().collect()
    } else {
        said
    };
    for chunk in chunks {
        for part in parts(chunk) {
            if part.len() == 1 {
                initials.push_str(&part);
                continue;
            }
            if !initials.is_empty() {
                words.push(std::mem::take(&mut initials));
            }
            words.push(part.chars().take(MAX_WORD).collect());
        }
    }
    if !initials.is_empty() {
        words.push(initials);
    }
    words.truncate(MAX_WORDS);
    words = without_forms(words);
    // A country's name in the name of a company that is there says nothing more.
    let is_country = |word: &str| {
        COUNTRY_WORDS
            .iter()
            .any(|(name, code)| *name == word && Some(*code) == country)
    };
    if words.len() > 1 {
        let abroad: Vec<String> = words
            .iter()
            .filter(|word| !is_country(word))
            .cloned()
            .collect();
        if !abroad.is_empty() {
            words = abroad;
        }
    }
    words.into_iter().map(|word| root(&word)).collect()
}

/// The words between two blanks: several where they are hyphenated or bracketed, one where full stops only
/// shorten it, as in `S.A.` and `F.lli`.
fn parts(chunk: &str) -> Vec<String> {
    let is_shortened = |text: &str| {
        let letters = text.split('.').filter(|part| !part.is_empty());
        let mut lengths = letters.map(str::len);
        lengths.next() == Some(1) && lengths.all(|length| length <= 3) && text.contains('.')
    };
    chunk
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.')
        .flat_map(|text| {
            if is_shortened(text) {
                vec![text.replace('.', "")]
            } else {
                text.split('.').map(str::to_owned).collect()
            }
        })
        .filter(|part| !part.is_empty())
        .collect()
}

/// Without the legal forms at the end, and one in front, as some languages have it.
fn without_forms(mut words: Vec<String>) -> Vec<String> {
    while let Some(length) = LEGAL_FORMS
        .iter()
        .find_map(|form| matched(words.iter().rev(), form.iter().rev()))
        .filter(|length| *length < words.len())
    {
        words.truncate(words.len() - length);
    }
    let in_front = LEGAL_FORMS
        .iter()
        .filter(|form| !matches!(form, ["co"] | ["as"] | ["se"]))
        .find_map(|form| matched(words.iter(), form.iter()))
        .filter(|length| *length < words.len());
    if let Some(length) = in_front {
        words.drain(..length);
    }
    words
}

/// How many words a legal form takes, where it stands at that end; its connectives have been left out.
fn matched<'a>(
    mut words: impl Iterator<Item = &'a String>,
    form: impl Iterator<Item = &'a &'static str>,
) -> Option<usize> {
    let mut length = 0;
    for said in form.filter(|word| !CONNECTIVES.contains(word)) {
        if words.next()? != said {
            return None;
        }
        length += 1;
    }
    // What is made of connectives alone is no form, and would be found for ever.
    (length > 0).then_some(length)
}

/// A word written out, in the singular, with the spellings that transliterations differ in made one.
fn root(word: &str) -> String {
    if is_roman(word) {
        return word.to_owned();
    }
    let written_out = ABBREVIATIONS
        .iter()
        .find(|(short, _)| *short == word)
        .map_or(word, |(_, long)| long);
    folded(written_out)
}

/// A word with `ae`, `oe`, `ue` as `a`, `o`, `u`, and without the plural's `s`.
fn folded(word: &str) -> String {
    let mut folded = word.to_owned();
    for (spelled, one) in [
        ("shch", "sh"),
        ("sch", "sh"),
        ("kh", "h"),
        ("ph", "f"),
        ("ck", "k"),
        ("ae", "a"),
        ("oe", "o"),
        ("ue", "u"),
        ("aa", "a"),
    ] {
        folded = folded.replace(spelled, one);
    }
    // Within a word; in front they tell names apart, as in Jinlong and Yinlong.
    if let Some((first, rest)) = folded.split_at_checked(1) {
        let mut rest = rest.replace(['y', 'j'], "i");
        for (spelled, one) in [("ii", "i"), ("iu", "u"), ("ia", "a")] {
            rest = rest.replace(spelled, one);
        }
        folded = format!("{first}{rest}");
    }
    if folded.len() > 4 && folded.ends_with("ies") {
        folded.truncate(folded.len() - 2);
    } else if folded.len() > 3 && folded.ends_with('s') && !folded.ends_with("ss") {
        folded.truncate(folded.len() - 1);
    }
    if folded.is_empty() {
        word.to_owned()
    } else {
        folded
    }
}

/// Whether a word is a number in Roman figures from two to twenty or so.
fn is_roman(word: &str) -> bool {
    (2..=5).contains(&word.len()) && word.bytes().all(|byte| b"ivx".contains(&byte))
}

// The lists as words are compared: folded, once for all.
static COMMON_ROOTS: LazyLock<HashSet<String>> = LazyLock::new(|| roots(COMMON_WORDS));
static TRADE_ROOTS: LazyLock<HashSet<String>> = LazyLock::new(|| roots(TRADES));
static TELLING_ROOTS: LazyLock<HashSet<String>> = LazyLock::new(|| roots(TELLING));

fn roots(words: &[&str]) -> HashSet<String> {
    words.iter().map(|word| folded(word)).collect()
}

fn weight(word: &str) -> u32 {
    if COMMON_ROOTS.contains(word) {
        COMMON
    } else if TRADE_ROOTS.contains(word) {
        TRADE
    } else {
        OWN
    }
}

fn is_telling(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit()) || is_roman(word) || TELLING_ROOTS.contains(word)
}

/// How alike two names are, as their words.
fn alike(left: &[String], right: &[String]) -> u16 {
    if left == right {
        return SAME;
    }
    // `Blue Sky` and `Bluesky`, `A.B.C.` and `ABC`.
    if left.concat() == right.concat() {
        return 980;
    }
    let mut rest: Vec<&String> = right.iter().collect();
    let mut matched = 0;
    let mut unlike: Vec<&String> = Vec::new();
    for word in left {
        let best = rest
            .iter()
            .enumerate()
            .map(|(at, other)| (words_alike(word, other), at))
            .max_by_key(|(score, at)| (*score, std::cmp::Reverse(*at)));
        match best {
            Some((score, at)) if score > 0 => {
                let other = rest.remove(at);
                matched += 2 * weight(word).min(weight(other)) * u32::from(score);
            }
            _ => unlike.push(word),
        }
    }
    unlike.extend(rest);
    let all: u32 = left.iter().chain(right).map(|word| weight(word)).sum();
    let score = u16::try_from(matched / all.max(1)).unwrap_or(SAME);
    if unlike.iter().any(|word| is_telling(word)) {
        return score / 2;
    }
    score
}

/// How alike two words are: [`SAME`], a likely slip of the pen, or nothing.
fn words_alike(left: &str, right: &str) -> u16 {
    if left == right {
        return SAME;
    }
    if is_telling(left) || is_telling(right) {
        return 0;
    }
    let shorter = left.len().min(right.len());
    let slips = strsim::osa_distance(left, right);
    // A letter in another's place makes another word of a short one, as in Nowak and Novak; one too many, too
    // few or before its turn is a slip of the pen.
    let is_other_letter = slips == strsim::hamming(left, right).unwrap_or(usize::MAX);
    let allowed = match (shorter, is_other_letter) {
        (0..=4, _) | (5..=8, true) => 0,
        (5..=11, _) => 1,
        _ => 2,
    };
    if slips > allowed || left.as_bytes().first() != right.as_bytes().first() {
        return 0;
    }
    let lost = u16::try_from(slips * 700 / shorter.max(1)).unwrap_or(SAME);
    SAME - lost.min(SAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn british(left: &str, right: &str) -> u16 {
        similarity((left, Some("GB")), (right, Some("GB")))
    }

    #[test]
    fn names_that_may_be_alike_share_a_block() {
        let share = |left: &str, right: &str| {
            let right = blocks(right, Some("DE"));
            blocks(left, Some("DE"))
                .iter()
                .any(|block| right.contains(block))
        };
        assert!(share("Müller & Söhne GmbH", "Mueller und Soehne"));
        assert!(share("Acme Ltd", "Aceme Limited"));
        assert!(!share("Acme Ltd", "Zenith Ltd"));
        assert!(blocks("GmbH", Some("DE")).len() <= 2 && blocks("", None).is_empty());
    }

    #[test]
    fn what_says_nothing_of_whose_a_name_is_is_left_out() {
        for (left, right) in [
            ("Hartley Marine Limited", "HARTLEY MARINE LTD."),
            ("The Hartley & Sons Co.", "Hartley and Sons"),
            (
                "Müller Fördertechnik GmbH & Co. KG",
                "Mueller Foerdertechnik",
            ),
            ("J. P. Hartley", "JP Hartley"),
            ("Hartley Intl Svcs", "Hartley International Services plc"),
            ("Huta Brzezina Sp. z o.o.", "Huta Brzezina"),
            ("ООО «Южный Причал»", "Yuzhny Prichal"),
            ("Ναυπηγεία Κουτσουράκης Α.Ε.", "Nafpigeia Koutsourakis"),
            ("Hartley (UK) Ltd", "Hartley"),
        ] {
            assert_eq!(british(left, right), SAME, "{left} / {right}");
        }
        assert_eq!(plain("The Hartley & Sons Co.", None), "hartlei son");
    }

    #[test]
    fn numbers_bearings_and_ordinals_tell_companies_apart() {
        for (left, right) in [
            (
                "Studio 54 Design Hairdressers",
                "Studio 45 Design Hairdressers",
            ),
            (
                "Northern Freight Company Leeds",
                "Southern Freight Company Leeds",
            ),
            ("Larkspur Fund II LP", "Larkspur Fund III LP"),
            (
                "First Larkspur Bank of Leeds",
                "Second Larkspur Bank of Leeds",
            ),
        ] {
            assert!(
                british(left, right) < PROPOSED / 2 + 100,
                "{left} / {right}"
            );
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_proposed_and_another_letter_in_a_short_word_is_not() {
        assert!(british("Brunnthaler Marine", "Brunthaler Marine") >= PROPOSED);
        assert!(british("Brunnthaler Marine", "Brunntahler Marine") >= PROPOSED);
        assert!(british("Nowak Legal", "Novak Legal") < PROPOSED);
        assert_eq!(british("Vero", "Nero"), 0);
    }

    #[test]
    fn shared_trades_and_common_words_do_not_make_one_company_of_two() {
        assert!(british("Alder Global Solutions", "Birch Global Solutions") < PROPOSED / 2);
        assert!(british("Alder Transport", "Alder Bakery") < PROPOSED);
        assert!(british("Alder Global Services", "Alder Services") >= PROPOSED);
    }

    #[test]
    fn a_name_in_another_country_is_less_likely_the_same() {
        let name = "Hartley Marine";
        assert_eq!(similarity((name, Some("GB")), (name, None)), SAME);
        assert_eq!(similarity((name, Some("GB")), (name, Some("US"))), 750);
    }

    #[test]
    fn of_a_name_and_the_one_it_trades_under_the_more_alike_counts() {
        let both = "Crestfall Retail Ltd (trading as Sock Orchard)";
        assert_eq!(british(both, "Crestfall Retail"), SAME);
        assert_eq!(british(both, "Sock Orchard Ltd"), SAME);
        assert!(british(both, "Orchard Foods") < PROPOSED);
    }

    proptest! {
        #[test]
        fn names_of_like_words_are_as_alike_either_way(
            left in "(ada|adas|bergmann|bergmans|global|first|ltd)( (berg|bergmann|bergmannn|bakery|bakerys|of)){0,4}",
            right in "(ada|adas|bergmann|bergmans|global|first|ltd)( (berg|bergmann|bergmannn|bakery|bakerys|of)){0,4}",
        ) {
            prop_assert_eq!(british(&left, &right), british(&right, &left));
        }

        #[test]
        fn no_text_breaks_it_and_every_name_is_like_itself(left in "\\PC{0,60}", right in "\\PC{0,60}") {
            prop_assert!(british(&left, &right) <= SAME);
            prop_assert_eq!(british(&left, &right), british(&right, &left));
            if !written(&left, Some("GB")).is_empty() {
                prop_assert_eq!(british(&left, &left), SAME);
            }
        }
    }
}
