//! What identifies a customer, brought to one form, so that the same company is the same text. Pure.

use super::mail_domains::{ignored_in_local_part, is_free, same_mailboxes};
use crate::places::Place;

/// Characters of a customer's name.
pub const MAX_NAME: usize = 160;

/// The longest domain that DNS can hold, in characters.
pub const MAX_DOMAIN: usize = 253;
/// The longest mail address that SMTP delivers (RFC 5321), in characters.
pub const MAX_EMAIL: usize = 254;
/// The longest part before the `@` (RFC 5321), in characters.
const MAX_LOCAL_PART: usize = 64;
/// Labels of a domain under which somebody may be known: the list's longest suffix has five.
const MAX_LABELS: usize = 6;
/// The longest tax id that is taken, in characters, with its country; the longest in use has 15.
pub const MAX_TAX_ID: usize = 24;
/// The longest id of an account in the vendor's CRM, in characters.
pub const MAX_CRM_ID: usize = 64;

/// What may identify a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentifierKind {
    /// The domain a company registered.
    Domain,
    /// A tax or VAT id.
    TaxId,
    /// The account's id in the vendor's CRM.
    CrmId,
    /// A mailbox.
    Email,
}

/// The kinds, by their names on the wire and in the store.
pub const IDENTIFIER_KINDS: &[(&str, IdentifierKind)] = &[
    ("domain", IdentifierKind::Domain),
    ("tax_id", IdentifierKind::TaxId),
    ("crm_id", IdentifierKind::CrmId),
    ("email", IdentifierKind::Email),
];

/// One identifier in its one form: two customers that share one are the same customer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    kind: IdentifierKind,
    value: String,
}

/// Why a text does not identify a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierFault {
    /// Nothing is left of it.
    #[error("is empty")]
    Empty,
    /// Longer than any there is.
    #[error("is too long")]
    TooLong,
    /// Not what it should be.
    #[error("is not of that form")]
    Malformed,
    /// A suffix under which others register, such as `co.uk`: nobody's own.
    #[error("is a public suffix, under which anybody may register")]
    PublicSuffix,
    /// A provider of mailboxes for everybody.
    #[error("is a provider of mailboxes for everybody, and says nothing of a company")]
    FreeMail,
    /// A tax id without its country, and none is known of the customer.
    #[error("does not name its country, and the customer's is not known")]
    CountryMissing,
}

impl Identifier {
    /// What was recognised before and stored in its one form. It is not looked at again: what identifies a customer
    /// may be read otherwise by now, and what is stored must stay readable.
    #[must_use]
    pub fn known(kind: IdentifierKind, value: String) -> Self {
        Self { kind, value }
    }

    /// Of what kind.
    #[must_use]
    pub fn kind(&self) -> IdentifierKind {
        self.kind
    }

    /// In its one form.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// A company's domain, from a domain, a host or an `http` address: the registrable part of it by the
    /// Public Suffix List, in lower case and in the ASCII form of IDNA.
    ///
    /// `https://www.Example.co.uk/about` and `shop.example.co.uk` are both `example.co.uk`.
    ///
    /// # Errors
    /// Why it identifies no company.
    pub fn domain(text: &str) -> Result<Self, IdentifierFault> {
        let value = registrable(host_of(text.trim()))?;
        if is_free(&value) {
            return Err(IdentifierFault::FreeMail);
        }
        Ok(Self {
            kind: IdentifierKind::Domain,
            value,
        })
    }

    /// A mailbox: in lower case, without a `+tag`, and without what its provider ignores.
    ///
    /// # Errors
    /// Why it is no mailbox.
    pub fn email(text: &str) -> Result<Self, IdentifierFault> {
        let found = Self::email_to_look_up(text)?;
        let host = found.value.rsplit_once('@').map_or("", |(_, host)| host);
        if psl::domain_str(host).is_none() {
            return Err(IdentifierFault::PublicSuffix);
        }
        Ok(found)
    }

    /// The domains by which a host may be known, from the host itself to its last two labels: one of them is what
    /// its company registered. For looking up alone, where the Public Suffix List need not be at hand: nothing is
    /// ever known by a public suffix.
    ///
    /// # Errors
    /// Why it is no host.
    pub fn domains_to_look_up(text: &str) -> Result<Vec<Self>, IdentifierFault> {
        let host = ascii_host(host_of(text.trim()))?;
        let labels = host.split('.').count();
        let mut rest = host.as_str();
        let mut found = Vec::new();
        for left in (2..=labels).rev() {
            if left <= MAX_LABELS {
                found.push(Self {
                    kind: IdentifierKind::Domain,
                    value: rest.to_owned(),
                });
            }
            rest = rest.split_once('.').map_or("", |(_, rest)| rest);
        }
        Ok(found)
    }

    /// A mailbox in its one form, whoever its host is of: for looking up alone.
    ///
    /// # Errors
    /// Why it is no mailbox.
    pub fn email_to_look_up(text: &str) -> Result<Self, IdentifierFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IdentifierFault::Empty);
        }
        if text.chars().count() > MAX_EMAIL {
            return Err(IdentifierFault::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(IdentifierFault::Malformed)?;
        let domain = ascii_host(domain)?;
        let domain = same_mailboxes(&domain);
        let is_dotted_well = local.split('.').all(|part| !part.is_empty());
        let is_plain = local
            .chars()
            .all(|letter| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter));
        if !is_dotted_well || !is_plain || local.chars().count() > MAX_LOCAL_PART {
            return Err(IdentifierFault::Malformed);
        }
        let untagged = match local.split_once('+') {
            Some(("", _)) | None => local,
            Some((untagged, _)) => untagged,
        };
        let ignored = ignored_in_local_part(domain);
        let mailbox: String = untagged
            .chars()
            .filter(|letter| !ignored.contains(letter))
            .flat_map(char::to_lowercase)
            .collect();
        if mailbox.is_empty() {
            return Err(IdentifierFault::Malformed);
        }
        Ok(Self {
            kind: IdentifierKind::Email,
            value: format!("{mailbox}@{domain}"),
        })
    }

    /// The company's domain that a mailbox belongs to; none for a provider of mailboxes for everybody.
    #[must_use]
    pub fn company_domain(&self) -> Option<Self> {
        let (_, host) = self.value.rsplit_once('@')?;
        Self::domain(host).ok()
    }

    /// A tax or VAT id with its country: letters and digits in capitals, as in `GB:123456789`. The country is
    /// the one in front of it, where that is the customer's (ISO 3166, two letters) or one whose VAT ids begin so,
    /// `EL` and `XI` being Greece and Northern Ireland; else it is the customer's.
    ///
    /// # Errors
    /// Why it identifies nobody.
    pub fn tax_id(text: &str, country: Option<&str>) -> Result<Self, IdentifierFault> {
        let is_separator = |letter: char| letter.is_whitespace() || ".-/·".contains(letter);
        let plain: String = text
            .chars()
            .filter(|letter| !is_separator(*letter))
            .flat_map(char::to_uppercase)
            .collect();
        if plain.is_empty() {
            return Err(IdentifierFault::Empty);
        }
        if plain.chars().count() > MAX_TAX_ID {
            return Err(IdentifierFault::TooLong);
        }
        if !plain.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(IdentifierFault::Malformed);
        }
        let (country, number) = match (named_country(&plain, country), country) {
            (Some(named), _) => named,
            (None, Some(country)) => (country, plain.as_str()),
            (None, None) => return Err(IdentifierFault::CountryMissing),
        };
        let number = if country == "CH" {
            swiss(number)
        } else {
            number
        };
        let has_digits = number.bytes().filter(u8::is_ascii_digit).count() >= 4;
        if !has_digits {
            return Err(IdentifierFault::Malformed);
        }
        Ok(Self {
            kind: IdentifierKind::TaxId,
            value: format!("{country}:{number}"),
        })
    }

    /// An account's id in the vendor's CRM, as it is: such ids may tell capitals from small letters.
    ///
    /// # Errors
    /// Why it identifies nobody.
    pub fn crm_id(text: &str) -> Result<Self, IdentifierFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IdentifierFault::Empty);
        }
        if text.chars().count() > MAX_CRM_ID {
            return Err(IdentifierFault::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IdentifierFault::Malformed);
        }
        Ok(Self {
            kind: IdentifierKind::CrmId,
            value: text.to_owned(),
        })
    }
}

/// A customer as somebody describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// Its legal name, or a person's.
    pub name: Option<String>,
    /// Where it is.
    pub place: Option<Place>,
    /// What identifies it, the strongest first: account, tax id, domain, mailbox.
    pub identifiers: Vec<Identifier>,
}

impl Company {
    /// Its country, where that is known.
    #[must_use]
    pub fn country(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.country.as_str())
    }
}

/// What VAT ids begin with: the countries of the European Union as it writes them, and neighbours that do as it
/// does. Elsewhere two letters may be part of the number, as in Scotland's company numbers.
const VAT_PREFIXES: [&str; 32] = [
    "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "FR", "GB", "GR", "HR",
    "HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK", "XI",
];

/// The country in front of a tax id, and what follows it, where digits follow.
fn named_country<'a>(plain: &'a str, customers: Option<&str>) -> Option<(&'a str, &'a str)> {
    let (letters, rest) = plain.split_at_checked(2)?;
    let is_country = VAT_PREFIXES.contains(&letters) || customers == Some(letters);
    let country = match letters {
        "EL" => "GR",
        "XI" => "GB",
        letters => letters,
    };
    let is_number = rest.bytes().any(|byte| byte.is_ascii_digit());
    (is_country && is_number).then_some((country, rest))
}

/// The number in `CHE-123.456.788 MWST`: behind it stands for which tax, in one of three languages.
fn swiss(text: &str) -> &str {
    let mut number = text;
    while let Some(rest) = ["MWST", "TVA", "IVA"]
        .iter()
        .find_map(|tax| number.strip_suffix(tax))
    {
        number = rest;
    }
    match number.strip_prefix('E') {
        Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_digit()) => rest,
        _ => number,
    }
}

/// The host of an `http` address, or the text as it is.
fn host_of(text: &str) -> &str {
    let after_scheme = match text.split_once("://") {
        Some((_, rest)) => rest,
        None => text,
    };
    let authority = after_scheme
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    }
}

/// A host name in the ASCII form of IDNA, in lower case, without a final dot.
fn ascii_host(text: &str) -> Result<String, IdentifierFault> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(IdentifierFault::Empty);
    }
    if text.chars().count() > MAX_DOMAIN {
        return Err(IdentifierFault::TooLong);
    }
    let Ok(url::Host::Domain(host)) = url::Host::parse(text) else {
        return Err(IdentifierFault::Malformed);
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if host.len() > MAX_DOMAIN || !host.contains('.') || !host.split('.').all(is_label) {
        return Err(IdentifierFault::Malformed);
    }
    Ok(host)
}

fn registrable(host: &str) -> Result<String, IdentifierFault> {
    let host = ascii_host(host)?;
    let domain = psl::domain_str(&host).ok_or(IdentifierFault::PublicSuffix)?;
    Ok(domain.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain(text: &str) -> Result<String, IdentifierFault> {
        Identifier::domain(text).map(|found| found.value)
    }

    fn email(text: &str) -> Result<String, IdentifierFault> {
        Identifier::email(text).map(|found| found.value)
    }

    fn tax_id(text: &str, country: Option<&str>) -> Result<String, IdentifierFault> {
        Identifier::tax_id(text, country).map(|found| found.value)
    }

    #[test]
    fn what_is_looked_up_holds_what_is_known() {
        for text in [
            "https://shop.eu.example.co.uk:8443/en",
            "acme.de",
            "a.b.c.d.e.f.g.acme.de",
        ] {
            let known = Identifier::domain(text).unwrap();
            let looked_up = Identifier::domains_to_look_up(text).unwrap();
            assert!(looked_up.contains(&known), "{text}: {looked_up:?}");
            assert!(looked_up.len() < MAX_LABELS, "{text}");
        }
        assert_eq!(
            Identifier::email_to_look_up("Ada+x@Acme.de"),
            Identifier::email("ada@acme.de")
        );
        assert!(Identifier::domains_to_look_up("localhost").is_err());
    }

    #[test]
    fn all_addresses_of_a_company_are_its_registrable_domain() {
        for text in [
            "example.co.uk",
            "EXAMPLE.CO.UK.",
            "www.example.co.uk",
            "https://shop.eu.example.co.uk:8443/en?x=1#top",
            "http://user:word@example.co.uk",
        ] {
            assert_eq!(domain(text), Ok("example.co.uk".to_owned()), "{text}");
        }
        // What others register under is not one company's; what they registered is.
        assert_eq!(
            domain("acme.myshopify.com"),
            Ok("acme.myshopify.com".to_owned())
        );
        assert_eq!(
            domain("shop.b\u{fc}cher.de"),
            Ok("xn--bcher-kva.de".to_owned())
        );
        assert_eq!(domain("XN--BCHER-KVA.de"), domain("Bücher.de"));
    }

    #[test]
    fn what_names_no_company_is_refused_with_its_reason() {
        use IdentifierFault::{Empty, FreeMail, Malformed, PublicSuffix, TooLong};
        for (text, fault) in [
            ("", Empty),
            ("https://", Empty),
            ("co.uk", PublicSuffix),
            ("gmail.com", FreeMail),
            ("mail.gmail.com", FreeMail),
            ("localhost", Malformed),
            ("127.0.0.1", Malformed),
            ("[::1]", Malformed),
            ("exam ple.com", Malformed),
            ("-example.com", Malformed),
            ("a..example.com", Malformed),
            (&"a.".repeat(200), TooLong),
        ] {
            assert_eq!(domain(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn a_mailbox_is_one_however_it_is_written() {
        for text in [
            "ada.byron@gmail.com",
            " AdaByron@GoogleMail.com ",
            "a.d.a.byron+crm@gmail.com",
        ] {
            assert_eq!(email(text), Ok("adabyron@gmail.com".to_owned()), "{text}");
        }
        // Elsewhere dots tell mailboxes apart.
        assert_ne!(
            email("ada.byron@example.com"),
            email("adabyron@example.com")
        );
        assert_eq!(
            email("Ada.Byron+x@Example.com"),
            email("ada.byron@example.com")
        );
        assert_eq!(email("ada-b_y@pm.me"), email("adaby@protonmail.com"));
        for (text, fault) in [
            ("", IdentifierFault::Empty),
            ("ada", IdentifierFault::Malformed),
            ("@example.com", IdentifierFault::Malformed),
            ("a..b@example.com", IdentifierFault::Malformed),
            ("a b@example.com", IdentifierFault::Malformed),
            ("...@gmail.com", IdentifierFault::Malformed),
            ("ada@example", IdentifierFault::Malformed),
            ("ada@co.uk", IdentifierFault::PublicSuffix),
            (
                &format!("{}@example.com", "a".repeat(65)),
                IdentifierFault::Malformed,
            ),
            (
                &format!("a@{}.com", "a".repeat(300)),
                IdentifierFault::TooLong,
            ),
        ] {
            assert_eq!(email(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn a_mailbox_tells_the_company_unless_anybody_can_have_it() {
        let of = |text: &str| {
            let mailbox = Identifier::email(text).unwrap();
            mailbox.company_domain().map(|domain| domain.value)
        };
        assert_eq!(
            of("ada@mail.example.co.uk"),
            Some("example.co.uk".to_owned())
        );
        assert_eq!(of("ada@gmail.com"), None);
    }

    #[test]
    fn a_tax_id_is_one_with_and_without_its_country_and_separators() {
        for (text, country) in [
            ("GB 123 4567 89", None),
            ("gb123456789", Some("DE")),
            ("123-4567-89", Some("GB")),
            ("XI123456789", None),
        ] {
            assert_eq!(
                tax_id(text, country),
                Ok("GB:123456789".to_owned()),
                "{text}"
            );
        }
        assert_eq!(tax_id("EL123456789", None), tax_id("123456789", Some("GR")));
        assert_eq!(
            tax_id("CHE-123.456.788 MWST", None),
            tax_id("CHE-123.456.788 TVA", None)
        );
        assert_eq!(tax_id("ATU12345678", None), Ok("AT:U12345678".to_owned()));
        // A number that begins like a country is of the country it stands in.
        assert_eq!(
            tax_id("SC 123456", Some("GB")),
            Ok("GB:SC123456".to_owned())
        );
        assert_eq!(
            tax_id("SC123456", None),
            Err(IdentifierFault::CountryMissing)
        );
        assert_eq!(
            tax_id("US 12-3456789", Some("US")),
            tax_id("12-3456789", Some("US"))
        );
        for (text, fault) in [
            ("", IdentifierFault::Empty),
            (" - ", IdentifierFault::Empty),
            ("123456789", IdentifierFault::CountryMissing),
            ("GB12A", IdentifierFault::Malformed),
            ("GB1234_", IdentifierFault::Malformed),
            ("GB12345678901234567890123", IdentifierFault::TooLong),
        ] {
            assert_eq!(tax_id(text, None), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn an_account_of_the_crm_keeps_its_capitals() {
        let crm = |text: &str| Identifier::crm_id(text).map(|found| found.value);
        assert_eq!(crm(" 0015g00000AbCdE "), Ok("0015g00000AbCdE".to_owned()));
        assert_ne!(crm("abc"), crm("ABC"));
        assert_eq!(crm(" "), Err(IdentifierFault::Empty));
        assert_eq!(crm("a b"), Err(IdentifierFault::Malformed));
        assert_eq!(crm(&"a".repeat(65)), Err(IdentifierFault::TooLong));
    }

    proptest! {
        #[test]
        fn the_one_form_is_its_own_form_and_no_text_breaks_it(
            text in "\\PC{0,80}|[A-Z]{0,4}[0-9]{4,9}[A-Z]{0,4}",
            country in prop::sample::select(vec!["GB", "DE", "CH", "GR"]),
        ) {
            for found in [
                Identifier::domain(&text),
                Identifier::email(&text),
                Identifier::tax_id(&text, Some(country)),
                Identifier::crm_id(&text),
            ]
            .into_iter()
            .flatten()
            {
                let again = match found.kind() {
                    IdentifierKind::Domain => Identifier::domain(found.value()),
                    IdentifierKind::Email => Identifier::email(found.value()),
                    IdentifierKind::TaxId => {
                        let (country, number) = found.value().split_once(':').unwrap();
                        Identifier::tax_id(&format!("{country}{number}"), None)
                    }
                    IdentifierKind::CrmId => Identifier::crm_id(found.value()),
                };
                prop_assert_eq!(again, Ok(found));
            }
        }
    }
}
