//! Rules and leads as JSON: one form for requests, answers and the store.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value, json};

use super::model::{
    Contact, Form, Inquiry, MAX_EMPLOYEES, MAX_IDLE_DAYS, MAX_LINES, MAX_MESSAGE, MAX_NEED,
    MAX_PER_HOUR, MAX_PERSON, MAX_PHONE, MAX_REFERENCE, MAX_SLA_MINUTES, PER_ADDRESS, PER_FORM,
    Routing, SLA_MINUTES, Source, WORK_BITS, WORK_BITS_RANGE, name_of,
};
use super::routing::{
    Conditions, Eligibility, FULL_SCORE, MAX_KM, MAX_LISTED, MAX_RINGS, MAX_RULES, Routed, Rule,
    Score, Strategy, Tried, UNFIT,
};
use crate::channel::model::{is_code, is_language};
use crate::channel::wire::COUNTRY;
use crate::customers::model::{Company, Identifier, IdentifierKind};
use crate::customers::wire::described;
use crate::edge::{Code, Fields, codes};
use crate::ids::{PartnerId, ProgramId};
use crate::partners::model::is_country;
use crate::places::normal_region;
use crate::programs::model::MAX_CODE;

/// What is said of a wrong code.
const CODE: &str = "is a code of small letters, digits, _ and -";
/// Characters of a region with its country in front.
const MAX_REGION_TEXT: usize = 6;
/// Characters of an id.
const MAX_ID: usize = 64;
/// Answered offers below which a partner is a newcomer, unless the rule says otherwise.
const NEWCOMER_BELOW: u32 = 10;
/// The most answered offers that a rule may take for it.
const MAX_NEWCOMER_BELOW: i64 = 10_000;
/// What a newcomer scores unless the rule says otherwise, in thousandths.
const NEWCOMER_FLOOR: u32 = 500;

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A list of texts that each read as something; an absent list is empty.
fn listed<T>(
    f: &mut Fields<'_>,
    name: &'static str,
    most: usize,
    (max_chars, code, reason): (usize, Code, &str),
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    if f.raw(name).is_none() {
        return Some(Vec::new());
    }
    let texts = f.opt_texts(name, 0, most, max_chars)?;
    let mut found = Vec::with_capacity(texts.len());
    for (position, text) in texts.iter().enumerate() {
        match read(text) {
            Some(value) => found.push(value),
            None => f.refuse(code, &format!("{name}[{position}]"), reason),
        }
    }
    (found.len() == texts.len()).then_some(found)
}

fn codes_of(f: &mut Fields<'_>, name: &'static str, most: usize) -> Option<Vec<String>> {
    let form = (MAX_CODE, codes::CHARACTERS_REFUSED, CODE);
    listed(f, name, most, form, |text| {
        is_code(text).then(|| text.to_owned())
    })
}

// ---- Rules

/// Reads a program's rules from the text that they were stored as.
///
/// # Errors
/// What is wrong with the text.
pub fn stored(text: &str, program: ProgramId, version: u64) -> Result<Routing, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Fields::read(&value, |f| routing(f, program, version))
        .map_err(|problem| problem.detail().to_owned())
}

/// Reads how a program distributes its leads; `version` is the one that it gets.
pub fn routing(f: &mut Fields<'_>, program: ProgramId, version: u64) -> Option<Routing> {
    let rules = rules(f);
    let sla_minutes = f.opt_integer("sla_minutes", 1, MAX_SLA_MINUTES);
    let idle_days = f.opt_integer("idle_days", 1, MAX_IDLE_DAYS);
    let form = f.opt_object("form", form);
    Some(Routing {
        program,
        rules: rules?,
        sla_minutes: sla_minutes.map_or(SLA_MINUTES, count),
        idle_days: idle_days.map(count),
        form,
        version,
    })
}

fn form(f: &mut Fields<'_>) -> Option<Form> {
    let (least, most) = WORK_BITS_RANGE;
    let work_bits = f.opt_integer("work_bits", least, most);
    let per_address = f.opt_integer("per_address", 1, MAX_PER_HOUR);
    let per_form = f.opt_integer("per_form", 1, MAX_PER_HOUR);
    Some(Form {
        work_bits: work_bits.map_or(WORK_BITS, count),
        per_address: per_address.map_or(PER_ADDRESS, count),
        per_form: per_form.map_or(PER_FORM, count),
    })
}

/// Reads `rules`, each under a code of its own.
pub fn rules(f: &mut Fields<'_>) -> Option<Vec<Rule>> {
    let rules = f.objects("rules", 0, MAX_RULES, rule)?;
    for (position, rule) in rules.iter().enumerate() {
        if rules[..position]
            .iter()
            .any(|other| other.code == rule.code)
        {
            let field = format!("rules[{position}].code");
            f.refuse(codes::EXISTS, &field, "is another rule's");
            return None;
        }
    }
    Some(rules)
}

fn rule(f: &mut Fields<'_>) -> Option<Rule> {
    let code = f.parsed("code", MAX_CODE, codes::CHARACTERS_REFUSED, CODE, |text| {
        is_code(text).then(|| text.to_owned())
    });
    let when = match f.raw("when") {
        None => Some(Conditions::default()),
        Some(_) => f.opt_object("when", conditions),
    };
    let eligible = match f.raw("eligible") {
        None => Some(Eligibility::default()),
        Some(_) => f.opt_object("eligible", eligibility),
    };
    let strategy = f.object("strategy", strategy);
    Some(Rule {
        code: code?,
        when: when?,
        eligible: eligible?,
        strategy: strategy?,
    })
}

fn conditions(f: &mut Fields<'_>) -> Option<Conditions> {
    let form = (MAX_ID, codes::COUNTRY_UNKNOWN, COUNTRY);
    let countries = listed(f, "countries", MAX_LISTED, form, |text| {
        is_country(text).then(|| text.to_owned())
    });
    let form = (
        MAX_REGION_TEXT,
        codes::CHARACTERS_REFUSED,
        "is a country with its region as in ISO 3166-2, such as DE-BY",
    );
    let regions = listed(f, "regions", MAX_LISTED, form, |text| {
        let (country, part) = text.split_once('-')?;
        let region = normal_region(country, part)?;
        is_country(country).then(|| format!("{country}-{region}"))
    });
    let product_lines = codes_of(f, "product_lines", MAX_LISTED);
    let employees_from = f.opt_integer("employees_from", 0, MAX_EMPLOYEES);
    let employees_to = f.opt_integer("employees_to", 0, MAX_EMPLOYEES);
    if let (Some(low), Some(high)) = (employees_from, employees_to)
        && low > high
    {
        f.refuse(
            codes::RANGE_EMPTY,
            "employees_to",
            "is below employees_from",
        );
    }
    Some(Conditions {
        countries: countries?,
        regions: regions?,
        product_lines: product_lines?,
        employees_from: employees_from.map(count),
        employees_to: employees_to.map(count),
    })
}

fn eligibility(f: &mut Fields<'_>) -> Option<Eligibility> {
    let unsaid = Eligibility::default();
    let territory = f.opt_flag("territory").unwrap_or(unsaid.territory);
    let within_km = f.opt_integer("within_km", 1, i64::from(MAX_KM));
    let product_line = f.opt_flag("product_line").unwrap_or(unsaid.product_line);
    let language = f.opt_flag("language").unwrap_or(unsaid.language);
    let tiers = codes_of(f, "tiers", MAX_LISTED);
    let certifications = codes_of(f, "certifications", MAX_LISTED);
    let capacity = f.opt_flag("capacity").unwrap_or(unsaid.capacity);
    let working_hours = f.opt_flag("working_hours").unwrap_or(unsaid.working_hours);
    let form = (MAX_ID, codes::ID_MALFORMED, codes::ID_MALFORMED.meaning);
    let exclude = listed(f, "exclude", MAX_LISTED, form, |text| {
        text.parse::<PartnerId>().ok()
    });
    Some(Eligibility {
        territory,
        within_km: within_km.map(count),
        product_line,
        language,
        tiers: tiers?,
        certifications: certifications?,
        capacity,
        working_hours,
        exclude: exclude?,
    })
}

fn strategy(f: &mut Fields<'_>) -> Option<Strategy> {
    let kinds = [
        ("round_robin", 0),
        ("nearest", 1),
        ("best_performing", 2),
        ("fixed", 3),
    ];
    match f.choice("kind", &kinds)? {
        0 => Some(Strategy::RoundRobin),
        1 => {
            let rings_km = rings(f);
            let country_first = f.opt_flag("country_first").unwrap_or(false);
            Some(Strategy::Nearest {
                rings_km: rings_km?,
                country_first,
            })
        }
        2 => {
            let floor = f.opt_rate("newcomer_floor");
            let below = f.opt_integer("newcomer_below", 0, MAX_NEWCOMER_BELOW);
            let thousandths = floor.and_then(|floor| {
                let score = floor.decimal() * Decimal::from(FULL_SCORE);
                score.trunc().to_u32()
            });
            Some(Strategy::BestPerforming {
                newcomer_floor: thousandths.unwrap_or(NEWCOMER_FLOOR),
                newcomer_below: below.map_or(NEWCOMER_BELOW, count),
            })
        }
        _ => f.id("partner").map(Strategy::Fixed),
    }
}

/// Reads `rings_km`, ascending; an absent list is empty.
fn rings(f: &mut Fields<'_>) -> Option<Vec<u32>> {
    let Some(value) = f.raw("rings_km") else {
        return Some(Vec::new());
    };
    let Some(values) = value.as_array() else {
        f.refuse(codes::WRONG_TYPE, "rings_km", "is a list");
        return None;
    };
    if values.len() > MAX_RINGS {
        let reason = format!("has at most {MAX_RINGS} entries");
        f.refuse(codes::TOO_LONG, "rings_km", reason);
        return None;
    }
    let mut rings: Vec<u32> = Vec::with_capacity(values.len());
    for (position, value) in values.iter().enumerate() {
        let field = format!("rings_km[{position}]");
        let radius = value.as_u64().and_then(|km| u32::try_from(km).ok());
        match radius {
            Some(km) if (1..=MAX_KM).contains(&km) => {
                if rings.last().is_some_and(|last| *last >= km) {
                    f.refuse(codes::RANGE_EMPTY, &field, "is wider than the one before");
                    return None;
                }
                rings.push(km);
            }
            Some(_) => f.refuse(
                codes::OUT_OF_RANGE,
                &field,
                format!("is from 1 to {MAX_KM}"),
            ),
            None => f.refuse(codes::WRONG_TYPE, &field, "is a whole number of kilometres"),
        }
    }
    (rings.len() == values.len()).then_some(rings)
}

/// How a program distributes its leads, as it reads back.
#[must_use]
pub fn routing_json(routing: &Routing) -> Value {
    let Routing {
        program: _,
        rules,
        sla_minutes,
        idle_days,
        form,
        version: _,
    } = routing;
    let mut map = Map::new();
    let rules: Vec<Value> = rules.iter().map(rule_json).collect();
    map.insert("rules".to_owned(), json!(rules));
    map.insert("sla_minutes".to_owned(), json!(sla_minutes));
    if let Some(days) = idle_days {
        map.insert("idle_days".to_owned(), json!(days));
    }
    if let Some(Form {
        work_bits,
        per_address,
        per_form,
    }) = form
    {
        let form =
            json!({ "work_bits": work_bits, "per_address": per_address, "per_form": per_form });
        map.insert("form".to_owned(), form);
    }
    Value::Object(map)
}

fn rule_json(rule: &Rule) -> Value {
    let Rule {
        code,
        when,
        eligible,
        strategy,
    } = rule;
    let Conditions {
        countries,
        regions,
        product_lines,
        employees_from,
        employees_to,
    } = when;
    let mut conditions = json!({
        "countries": countries, "regions": regions, "product_lines": product_lines,
    });
    for (name, bound) in [
        ("employees_from", employees_from),
        ("employees_to", employees_to),
    ] {
        if let Some(bound) = bound {
            conditions[name] = json!(bound);
        }
    }
    let Eligibility {
        territory,
        within_km,
        product_line,
        language,
        tiers,
        certifications,
        capacity,
        working_hours,
        exclude,
    } = eligible;
    let exclude: Vec<String> = exclude.iter().map(ToString::to_string).collect();
    let mut partners = json!({
        "territory": territory, "product_line": product_line, "language": language, "tiers": tiers,
        "certifications": certifications, "capacity": capacity, "working_hours": working_hours,
        "exclude": exclude,
    });
    if let Some(km) = within_km {
        partners["within_km"] = json!(km);
    }
    let mut how = json!({ "kind": strategy.name() });
    match strategy {
        Strategy::RoundRobin => {}
        Strategy::Nearest {
            rings_km,
            country_first,
        } => {
            how["rings_km"] = json!(rings_km);
            how["country_first"] = json!(country_first);
        }
        Strategy::BestPerforming {
            newcomer_floor,
            newcomer_below,
        } => {
            how["newcomer_floor"] = json!(thousandths(*newcomer_floor));
            how["newcomer_below"] = json!(newcomer_below);
        }
        Strategy::Fixed(partner) => how["partner"] = json!(partner.to_string()),
    }
    json!({ "code": code, "when": conditions, "eligible": partners, "strategy": how })
}

/// Thousandths as a decimal.
fn thousandths(count: u32) -> String {
    format!("{}.{:03}", count / FULL_SCORE, count % FULL_SCORE)
}

// ---- Explanations

/// Who was eligible, who was not, and who was chosen, as it is kept and shown.
#[must_use]
pub fn routed_json(routed: &Routed) -> Value {
    let Routed {
        choice,
        passed_over,
        tried,
        stopped_after,
    } = routed;
    let tried: Vec<Value> = tried.iter().map(tried_json).collect();
    let mut said = json!({
        "by": "rules", "choice": choice.map(|partner| partner.to_string()),
        "passed_over": passed_over, "tried": tried,
    });
    if let Some(count) = stopped_after {
        said["stopped_after"] = json!(count);
    }
    said
}

fn tried_json(tried: &Tried) -> Value {
    let Tried {
        rule,
        strategy,
        eligible,
        ranked,
        unfit,
        unfit_named,
    } = tried;
    let ranked: Vec<Value> = ranked
        .iter()
        .map(|(partner, score)| json!({ "partner": partner.to_string(), "score": score_json(*score) }))
        .collect();
    let counts: Map<String, Value> = unfit
        .iter()
        .map(|(reason, count)| (name_of(UNFIT, *reason).to_owned(), json!(count)))
        .collect();
    let unfit: Vec<Value> = unfit_named
        .iter()
        .map(|(partner, reason)| json!({ "partner": partner.to_string(), "reason": name_of(UNFIT, *reason) }))
        .collect();
    json!({
        "rule": rule, "strategy": strategy, "eligible": eligible, "ranked": ranked,
        "not_eligible": counts, "not_eligible_partners": unfit,
    })
}

fn score_json(score: Score) -> Value {
    match score {
        Score::Turn {
            credit_milli,
            weight,
        } => {
            let sign = if credit_milli < 0 { "-" } else { "" };
            let credit = credit_milli.unsigned_abs();
            let credit = format!("{sign}{}.{:03}", credit / 1_000, credit % 1_000);
            json!({ "credit": credit, "weight": weight })
        }
        Score::Way {
            ring_km,
            metres,
            same_country,
        } => json!({ "ring_km": ring_km, "distance_m": metres, "same_country": same_country }),
        Score::Performance { score, newcomer } => {
            json!({ "score": thousandths(score), "newcomer": newcomer })
        }
        Score::Named => json!({ "named": true }),
    }
}

// ---- What comes in

/// Reads a lead that an operator or a list brings:
/// `{"company", "contact", "employees", "product_lines", "language", "need", "reference"}`. The contact's email
/// tells who the company is as well.
pub fn inquiry(f: &mut Fields<'_>, source: Source) -> Option<(Inquiry, Contact)> {
    let reference = f.opt_text("reference", MAX_REFERENCE);
    let need = f.opt_text("need", MAX_NEED);
    let contact = match f.raw("contact") {
        None => Some(Contact::default()),
        Some(_) => f.opt_object("contact", |f| contact(f, false)),
    };
    asked(f, source, contact, reference, need)
}

/// Reads a lead from the public form: the same, with a person's email and a `message` in place of what is told
/// to partners before they accept.
pub fn form_inquiry(f: &mut Fields<'_>) -> Option<(Inquiry, Contact)> {
    let contact = f.object("contact", |f| contact(f, true));
    let message = opt_prose(f, "message", MAX_MESSAGE);
    let contact = contact.map(|contact| Contact { message, ..contact });
    asked(f, Source::Form, contact, None, None)
}

/// An optional text of one or more lines.
fn opt_prose(f: &mut Fields<'_>, name: &'static str, max: usize) -> Option<String> {
    f.raw(name)?;
    f.prose(name, max)
}

fn asked(
    f: &mut Fields<'_>,
    source: Source,
    contact: Option<Contact>,
    reference: Option<String>,
    need: Option<String>,
) -> Option<(Inquiry, Contact)> {
    let company = f.object("company", |f| {
        let company = described(f);
        for name in ["crm_id", "tax_id"] {
            if source == Source::Form && f.raw(name).is_some() {
                let reason = "is not asked for in a form";
                f.refuse(codes::UNKNOWN_FIELD, name, reason);
            }
        }
        company
    });
    let employees = f.opt_integer("employees", 1, MAX_EMPLOYEES);
    let product_lines = codes_of(f, "product_lines", MAX_LINES);
    let language = f.opt_parsed(
        "language",
        2,
        codes::CHARACTERS_REFUSED,
        "is a two-letter code of ISO 639 such as en",
        |text| is_language(text).then(|| text.to_owned()),
    );
    let (contact, company) = (contact?, company?);
    let mut company = with_mailbox(company, contact.email.as_deref());
    if source == Source::Form {
        company.identifiers = one_identity(company.identifiers);
    }
    if company.identifiers.is_empty() && (company.name.is_none() || company.place.is_none()) {
        f.refuse(
            codes::REQUIRED,
            "company",
            "is known by its domain, email, tax_id or crm_id, by the contact's email, or by name and country",
        );
        return None;
    }
    let inquiry = Inquiry {
        source,
        reference,
        company,
        employees: employees.map(count),
        product_lines: product_lines?,
        language,
        need,
    };
    Some((inquiry, contact))
}

/// A company as its own mailbox, and where no domain is stated that mailbox's, identify it too.
#[must_use]
pub fn with_mailbox(mut company: Company, email: Option<&str>) -> Company {
    let has = |company: &Company, kind| {
        company
            .identifiers
            .iter()
            .any(|identifier| identifier.kind() == kind)
    };
    let Some(mailbox) = email.and_then(|email| Identifier::email(email).ok()) else {
        return company;
    };
    if !has(&company, IdentifierKind::Domain) {
        company.identifiers.extend(mailbox.company_domain());
    }
    if !has(&company, IdentifierKind::Email) {
        company.identifiers.push(mailbox);
    }
    company
}

/// Of what anybody says in a form that by which a company is known as one: its people's mailbox with that mailbox's
/// own domain, else the domain that is stated, else the mailbox. A form shall not make two companies one.
fn one_identity(said: Vec<Identifier>) -> Vec<Identifier> {
    let of = |kind| said.iter().find(|one| one.kind() == kind).cloned();
    let (domain, mailbox) = (of(IdentifierKind::Domain), of(IdentifierKind::Email));
    match mailbox.as_ref().and_then(Identifier::company_domain) {
        Some(own) => [Some(own), mailbox].into_iter().flatten().collect(),
        None => domain.or(mailbox).into_iter().collect(),
    }
}

fn contact(f: &mut Fields<'_>, needs_email: bool) -> Option<Contact> {
    let name = f.opt_text("name", MAX_PERSON);
    let has_email = needs_email || f.raw("email").is_some();
    let email = if has_email { f.email("email") } else { None };
    if let Some(email) = &email
        && Identifier::email(email).is_err()
    {
        let reason = codes::EMAIL_MALFORMED.meaning;
        f.refuse(codes::EMAIL_MALFORMED, "email", reason);
    }
    let phone = f.opt_parsed(
        "phone",
        MAX_PHONE,
        codes::CHARACTERS_REFUSED,
        "has digits, spaces and + ( ) - . / only",
        |text| {
            let is_sound = text
                .chars()
                .all(|letter| letter.is_ascii_digit() || " +()-./".contains(letter));
            is_sound.then(|| text.to_owned())
        },
    );
    if has_email && email.is_none() {
        return None;
    }
    Some(Contact {
        name,
        email,
        phone,
        message: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_they_are_written() {
        let said = json!({
            "sla_minutes": 60, "idle_days": 14, "form": { "work_bits": 10, "per_address": 3, "per_form": 9 },
            "rules": [
                { "code": "large", "when": { "countries": ["GB"], "regions": ["DE-BY"], "product_lines": ["erp"],
                    "employees_from": 250, "employees_to": 999 },
                  "eligible": { "territory": false, "within_km": 50, "product_line": false, "language": true,
                    "tiers": ["gold"], "certifications": ["erp-1"], "capacity": false, "working_hours": true,
                    "exclude": [PartnerId::from_bytes([1; 16]).to_string()] },
                  "strategy": { "kind": "fixed", "partner": PartnerId::from_bytes([2; 16]).to_string() } },
                { "code": "near", "strategy": { "kind": "nearest", "rings_km": [10, 50], "country_first": true } },
                { "code": "best", "strategy": { "kind": "best_performing", "newcomer_floor": "0.65", "newcomer_below": 4 } },
                { "code": "rest", "strategy": { "kind": "round_robin" } },
            ],
        });
        let program = ProgramId::from_bytes([3; 16]);
        let read = stored(&said.to_string(), program, 7).unwrap();
        let again = stored(&routing_json(&read).to_string(), program, 7).unwrap();
        assert_eq!(read, again);
        assert_eq!((read.rules.len(), read.idle_days), (4, Some(14)));
        assert_eq!(read.rules[1].eligible, Eligibility::default());
        let best = Strategy::BestPerforming {
            newcomer_floor: 650,
            newcomer_below: 4,
        };
        assert_eq!(read.rules[2].strategy, best);
        let unsaid = stored("{\"rules\": []}", program, 1).unwrap();
        assert_eq!(unsaid.sla_minutes, SLA_MINUTES);
        assert_eq!((unsaid.idle_days, unsaid.form), (None, None));
    }

    #[test]
    fn everything_wrong_with_rules_is_told_at_once() {
        let said = json!({
            "sla_minutes": 0, "form": { "work_bits": 60 },
            "rules": [
                { "code": "A b", "when": { "countries": ["UK"], "regions": ["BY"], "employees_from": 5, "employees_to": 4 },
                  "strategy": { "kind": "lottery" } },
                { "code": "b", "eligible": { "within_km": 0, "exclude": ["x"] },
                  "strategy": { "kind": "nearest", "rings_km": [5, 5] } },
                { "code": "c", "strategy": { "kind": "fixed" } },
                { "code": "d", "strategy": { "kind": "best_performing", "newcomer_floor": "1.5" } },
            ],
        });
        let problem = Fields::read(&said, |f| routing(f, ProgramId::from_bytes([1; 16]), 1));
        let problem = problem.unwrap_err();
        let told: Vec<(&str, &str)> = problem
            .errors()
            .iter()
            .map(|error| (error.field.as_str(), error.code))
            .collect();
        for expected in [
            ("sla_minutes", "out_of_range"),
            ("form.work_bits", "out_of_range"),
            ("rules[0].code", "characters_refused"),
            ("rules[0].when.countries[0]", "country_unknown"),
            ("rules[0].when.regions[0]", "characters_refused"),
            ("rules[0].when.employees_to", "range_empty"),
            ("rules[0].strategy.kind", "not_one_of"),
            ("rules[1].eligible.within_km", "out_of_range"),
            ("rules[1].eligible.exclude[0]", "id_malformed"),
            ("rules[1].strategy.rings_km[1]", "range_empty"),
            ("rules[2].strategy.partner", "required"),
            ("rules[3].strategy.newcomer_floor", "rate_over_limit"),
        ] {
            assert!(told.contains(&expected), "{expected:?} in {told:?}");
        }
        assert_eq!(told.len(), 12);
    }

    #[test]
    fn a_contacts_mailbox_identifies_the_company_too() {
        let said = json!({ "company": { "name": "Roses" }, "contact": { "email": "Ada+x@roses.example" } });
        let (inquiry, contact) = Fields::read(&said, |f| inquiry(f, Source::Api)).unwrap();
        let values: Vec<&str> = inquiry
            .company
            .identifiers
            .iter()
            .map(Identifier::value)
            .collect();
        assert_eq!(values, ["roses.example", "ada@roses.example"]);
        assert_eq!(contact.email.as_deref(), Some("Ada+x@roses.example"));
        let nobody = json!({ "company": { "name": "Roses" } });
        let problem = Fields::read(&nobody, |f| super::inquiry(f, Source::Api)).unwrap_err();
        assert_eq!(problem.errors()[0].field, "company");
        let form = Fields::read(&nobody, form_inquiry).unwrap_err();
        assert_eq!(form.errors()[0].field, "contact");
    }
}
