//! A policy as JSON: the same form in requests, in answers and in the table.

use jiff::civil::Weekday;
use serde_json::{Map, Value, json};

use super::model::{MAX_LINE, name_of};
use super::policy::{
    AutoApproval, Benefit, Chain, DEFAULT_ANSWER_DAYS, DEFAULT_DAILY, DEFAULT_EXTENSION_DAYS,
    DEFAULT_PROTECTION_DAYS, DEFAULT_SLA_HOURS, Eligibility, INELIGIBLE, Ineligible, MAX_APPROVERS,
    MAX_CHAINS, MAX_DAILY, MAX_DAYS, MAX_LISTED, MAX_RULES, MAX_SLA_HOURS, MAX_STAKES, MAX_STEPS,
    ORDERS, Order, Policy, Region, Requirement, Second, Stake, Step, When,
};
use crate::channel::model::is_code;
use crate::channel::wire::stored;
use crate::clock::parse_date;
use crate::customers::model::{Identifier, MAX_DOMAIN};
use crate::edge::{Fields, codes};
use crate::hours::{HoursFault, MAX_HOLIDAYS, MAX_SPANS, Opening, WEEKDAYS, WorkingHours};
use crate::ids::ProgramId;
use crate::money::{Currency, Rate};
use crate::partners::model::is_country;
use crate::places::normal_region;
use crate::programs::model::{MAX_CODE, is_event};

/// Characters of an id.
const MAX_ID: usize = 64;
/// Characters of a time zone's name: the database's longest has half of that.
const MAX_ZONE: usize = 64;
/// Characters of a country with a subdivision.
const MAX_REGION: usize = 6;
/// What is said of a wrong code.
const CODE: &str = "is a code of small letters, digits, _ and -";

/// What an object within a policy leaves out.
const BENEFITS: &[(&str, bool)] = &[("commission", true), ("discount", false)];

/// How a second registrant is treated, by name.
#[derive(Clone, Copy)]
enum SecondKind {
    Refuse,
    CoRegister,
    Reduced,
}

const SECONDS: &[(&str, SecondKind)] = &[
    ("refuse", SecondKind::Refuse),
    ("co_register", SecondKind::CoRegister),
    ("reduced", SecondKind::Reduced),
];

/// Reads a policy whose amounts are in the program's currency; `version` is the one that it gets.
pub fn policy(
    f: &mut Fields<'_>,
    program: ProgramId,
    currency: Currency,
    version: u64,
) -> Option<Policy> {
    if f.opt_currency("currency")
        .is_some_and(|stated| stated != currency)
    {
        let reason = format!("is the program's, {currency}");
        f.refuse(codes::CURRENCY_MISMATCH, "currency", reason);
    }
    let protection_days = days(f, "protection_days", 1, DEFAULT_PROTECTION_DAYS);
    let extension_days = days(f, "extension_days", 0, DEFAULT_EXTENSION_DAYS);
    let answer_days = days(f, "answer_days", 1, DEFAULT_ANSWER_DAYS);
    let dispute_days = days(f, "dispute_days", 1, DEFAULT_ANSWER_DAYS);
    let daily = number(f, "max_per_day", 1, MAX_DAILY, DEFAULT_DAILY);
    let eligibility = match f.raw("eligibility") {
        None => Some(eligibility_unsaid()),
        Some(_) => f.object("eligibility", eligibility),
    };
    let benefit = f.object("benefit", benefit);
    let second = match f.raw("second") {
        None => Some(Second::Refuse),
        Some(_) => f.object("second", second),
    };
    let chains = objects(f, "approval", MAX_CHAINS, |f| chain(f, currency));
    let auto_approve = objects(f, "auto_approve", MAX_RULES, |f| auto(f, currency));
    let stakes = objects(f, "stakes", MAX_STAKES, stake);
    let hours = match f.raw("hours") {
        None => Some(WorkingHours::default()),
        Some(_) => f.object("hours", working_hours),
    };
    Some(Policy {
        program,
        protection_days: protection_days?,
        extension_days: extension_days?,
        answer_days: answer_days?,
        dispute_days: dispute_days?,
        daily: daily?,
        eligibility: eligibility?,
        benefit: benefit?,
        second: second?,
        chains: chains?,
        auto_approve: auto_approve?,
        stakes: stakes?,
        hours: hours?,
        version,
    })
}

fn eligibility_unsaid() -> Eligibility {
    Eligibility {
        requirements: Vec::new(),
        territory: true,
        product_line: true,
        otherwise: Ineligible::Review,
    }
}

/// A whole number, or the one that holds where none is said; `None` once it was refused.
fn number(
    f: &mut Fields<'_>,
    name: &'static str,
    low: u32,
    high: u32,
    otherwise: u32,
) -> Option<u32> {
    if f.raw(name).is_none() {
        return Some(otherwise);
    }
    let found = f.opt_integer(name, i64::from(low), i64::from(high))?;
    u32::try_from(found).ok()
}

fn days(f: &mut Fields<'_>, name: &'static str, low: u32, otherwise: u32) -> Option<u32> {
    number(f, name, low, MAX_DAYS, otherwise)
}

/// Objects of an optional list.
fn objects<'a, T>(
    f: &mut Fields<'a>,
    name: &'static str,
    max: usize,
    read: impl FnMut(&mut Fields<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    if f.raw(name).is_none() {
        return Some(Vec::new());
    }
    f.opt_objects(name, 0, max, read)
}

/// Texts of an optional list, each read as something.
fn listed<T>(
    f: &mut Fields<'_>,
    name: &'static str,
    (max, max_chars): (usize, usize),
    (code, reason): (crate::edge::Code, &str),
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    if f.raw(name).is_none() {
        return Some(Vec::new());
    }
    let texts = f.opt_texts(name, 0, max, max_chars)?;
    let mut found = Vec::with_capacity(texts.len());
    for (position, text) in texts.iter().enumerate() {
        match read(text) {
            Some(value) => found.push(value),
            None => f.refuse(code, &format!("{name}[{position}]"), reason),
        }
    }
    (found.len() == texts.len()).then_some(found)
}

fn coded(f: &mut Fields<'_>, name: &'static str) -> Option<Vec<String>> {
    let wrong = (codes::CHARACTERS_REFUSED, CODE);
    listed(f, name, (MAX_LISTED, MAX_LINE), wrong, |text| {
        is_code(text).then(|| text.to_owned())
    })
}

fn identified<T: std::str::FromStr>(
    f: &mut Fields<'_>,
    name: &'static str,
    max: usize,
) -> Option<Vec<T>> {
    let wrong = (codes::ID_MALFORMED, codes::ID_MALFORMED.meaning);
    listed(f, name, (max, MAX_ID), wrong, |text| text.parse().ok())
}

fn eligibility(f: &mut Fields<'_>) -> Option<Eligibility> {
    let unsaid = eligibility_unsaid();
    let requirements = objects(f, "requirements", MAX_RULES, requirement);
    let territory = f.opt_flag("territory").unwrap_or(unsaid.territory);
    let product_line = f.opt_flag("product_line").unwrap_or(unsaid.product_line);
    let otherwise = f.opt_choice("otherwise", INELIGIBLE);
    Some(Eligibility {
        requirements: requirements?,
        territory,
        product_line,
        otherwise: otherwise.unwrap_or(unsaid.otherwise),
    })
}

fn requirement(f: &mut Fields<'_>) -> Option<Requirement> {
    let product_lines = coded(f, "product_lines");
    let has_tier = f.raw("tier").is_some();
    let tier = f.opt_parsed("tier", MAX_LINE, codes::CHARACTERS_REFUSED, CODE, |text| {
        is_code(text).then(|| text.to_owned())
    });
    let certifications = coded(f, "certifications");
    if !has_tier && certifications.as_ref().is_some_and(Vec::is_empty) {
        let reason = "a requirement names a tier, certifications or both";
        f.refuse(codes::REQUIRED, "tier", reason);
    }
    Some(Requirement {
        product_lines: product_lines?,
        tier,
        certifications: certifications?,
    })
}

fn benefit(f: &mut Fields<'_>) -> Option<Benefit> {
    if f.choice("kind", BENEFITS)? {
        let reason =
            "has 1 to 64 of: lower-case letters, digits, _ - . and begins with a letter or digit";
        let event = f.parsed(
            "event",
            MAX_CODE,
            codes::CHARACTERS_REFUSED,
            reason,
            |text| is_event(text).then(|| text.to_owned()),
        );
        Some(Benefit::Commission { event: event? })
    } else {
        Some(Benefit::Discount {
            rate: share(f, "rate", true)?,
        })
    }
}

/// A share above 0 and, unless all is a share too, below 1.
fn share(f: &mut Fields<'_>, name: &'static str, all: bool) -> Option<Rate> {
    let rate = f.rate(name)?;
    let is_part = !rate.decimal().is_zero() && (all || rate.decimal() < rust_decimal::Decimal::ONE);
    if !is_part {
        let reason = "is more than 0 and less than 1, such as \"0.30\"";
        f.refuse(codes::OUT_OF_RANGE, name, reason);
    }
    is_part.then_some(rate)
}

/// Reads a share of two: more than nothing, less than all.
pub fn part(f: &mut Fields<'_>, name: &'static str) -> Option<Rate> {
    share(f, name, false)
}

fn second(f: &mut Fields<'_>) -> Option<Second> {
    match f.choice("kind", SECONDS)? {
        SecondKind::Refuse => Some(Second::Refuse),
        SecondKind::CoRegister => Some(Second::CoRegister {
            share: part(f, "share")?,
        }),
        SecondKind::Reduced => f.object("benefit", benefit).map(Second::Reduced),
    }
}

fn when(f: &mut Fields<'_>, currency: Currency) -> Option<When> {
    let amount_from = f.opt_amount("amount_from", currency);
    let amount_below = f.opt_amount("amount_below", currency);
    if let (Some(from), Some(below)) = (amount_from, amount_below)
        && from.minor() >= below.minor()
    {
        f.refuse(
            codes::RANGE_EMPTY,
            "amount_below",
            codes::RANGE_EMPTY.meaning,
        );
    }
    let product_lines = coded(f, "product_lines");
    let wrong = (
        codes::COUNTRY_UNKNOWN,
        "is an ISO 3166 country such as DE, or a part of one such as DE-BY",
    );
    let regions = listed(f, "regions", (MAX_LISTED, MAX_REGION), wrong, region);
    Some(When {
        amount_from,
        amount_below,
        product_lines: product_lines?,
        regions: regions?,
    })
}

fn region(text: &str) -> Option<Region> {
    let (country, region) = match text.split_once('-') {
        None => (text, None),
        Some((country, part)) => (country, Some(normal_region(country, part)?)),
    };
    is_country(country).then(|| Region {
        country: country.to_owned(),
        region,
    })
}

fn opt_when(f: &mut Fields<'_>, currency: Currency) -> Option<When> {
    match f.raw("when") {
        None => Some(When::default()),
        Some(_) => f.object("when", |f| when(f, currency)),
    }
}

fn chain(f: &mut Fields<'_>, currency: Currency) -> Option<Chain> {
    let when = opt_when(f, currency);
    let order = f.opt_choice("order", ORDERS);
    let steps = f.objects("steps", 1, MAX_STEPS, step);
    let steps = steps?;
    for (position, step) in steps.iter().enumerate() {
        if steps[..position]
            .iter()
            .any(|known| known.name == step.name)
        {
            let field = format!("steps[{position}].name");
            f.refuse(codes::EXISTS, &field, "another step has that name");
        }
    }
    Some(Chain {
        when: when?,
        order: order.unwrap_or(Order::Sequential),
        steps,
    })
}

fn step(f: &mut Fields<'_>) -> Option<Step> {
    let name = f.parsed("name", MAX_LINE, codes::CHARACTERS_REFUSED, CODE, |text| {
        is_code(text).then(|| text.to_owned())
    });
    let approvers = identified(f, "approvers", MAX_APPROVERS);
    let sla_hours = number(f, "sla_hours", 1, MAX_SLA_HOURS, DEFAULT_SLA_HOURS);
    let escalate_to = f.opt_id("escalate_to");
    Some(Step {
        name: name?,
        approvers: approvers?,
        sla_hours: sla_hours?,
        escalate_to,
    })
}

fn auto(f: &mut Fields<'_>, currency: Currency) -> Option<AutoApproval> {
    let when = opt_when(f, currency);
    let tiers = coded(f, "tiers");
    Some(AutoApproval {
        when: when?,
        tiers: tiers?,
    })
}

fn stake(f: &mut Fields<'_>) -> Option<Stake> {
    let operator = f.id("operator");
    let partners = identified(f, "partners", MAX_LISTED);
    let wrong = (
        codes::CHARACTERS_REFUSED,
        "is a company's domain such as acme.example",
    );
    let domains = listed(f, "domains", (MAX_LISTED, MAX_DOMAIN), wrong, |text| {
        let domain = Identifier::domain(text).ok()?;
        Some(domain.value().to_owned())
    });
    let (partners, domains) = (partners?, domains?);
    if partners.is_empty() && domains.is_empty() {
        let reason = "a stake is in partners, in domains or in both";
        f.refuse(codes::REQUIRED, "partners", reason);
    }
    Some(Stake {
        operator: operator?,
        partners,
        domains,
    })
}

/// Reads working hours: `{"time_zone", "week": [{"days", "from", "to"}], "holidays"}`.
pub fn working_hours(f: &mut Fields<'_>) -> Option<WorkingHours> {
    let zone = f.text("time_zone", MAX_ZONE);
    let week = f.objects("week", 1, WEEKDAYS.len() * MAX_SPANS, |f| {
        let wrong = (codes::NOT_ONE_OF, "is a day of the week such as monday");
        let days = listed(f, "days", (WEEKDAYS.len(), MAX_ID), wrong, |text| {
            let found = WEEKDAYS.iter().find(|(name, _)| *name == text);
            found.map(|(_, day)| *day)
        });
        if days.as_ref().is_some_and(Vec::is_empty) {
            f.refuse(codes::REQUIRED, "days", "names at least one day");
        }
        let (from, to) = (f.text("from", MAX_ID), f.text("to", MAX_ID));
        let (from, to) = (from?, to?);
        let opening = Opening::read(&from, &to);
        if opening.is_none() {
            let reason =
                "is a time of day after `from`; both are such as 09:00, the day's end is 24:00";
            f.refuse(codes::TIME_MALFORMED, "to", reason);
        }
        Some((days?, opening?))
    });
    let wrong = (codes::DATE_MALFORMED, codes::DATE_MALFORMED.meaning);
    let holidays = listed(f, "holidays", (MAX_HOLIDAYS, MAX_ID), wrong, parse_date);
    let openings: Vec<(Weekday, Opening)> = week?
        .into_iter()
        .flat_map(|(days, opening)| days.into_iter().map(move |day| (day, opening)))
        .collect();
    match WorkingHours::new(&zone?, &openings, holidays?) {
        Ok(hours) => Some(hours),
        Err(fault) => {
            let (code, field, reason) = match fault {
                HoursFault::Zone => (
                    codes::TIME_ZONE_UNKNOWN,
                    "time_zone",
                    "is a time zone of the IANA database such as Europe/Berlin",
                ),
                HoursFault::NeverOpen => (codes::REQUIRED, "week", "opens at least once"),
                HoursFault::TooManySpans => {
                    (codes::TOO_LONG, "week", "opens at most four times a day")
                }
                HoursFault::Overlap => (codes::OUT_OF_RANGE, "week", "has openings that overlap"),
                HoursFault::TooManyHolidays => {
                    (codes::TOO_LONG, "holidays", "has at most 200 entries")
                }
            };
            f.refuse(code, field, reason);
            None
        }
    }
}

/// A policy as it reads back, with its currency beside its amounts.
#[must_use]
pub fn policy_json(policy: &Policy, currency: Currency) -> Value {
    let Policy {
        program: _,
        protection_days,
        extension_days,
        answer_days,
        dispute_days,
        daily,
        eligibility,
        benefit,
        second,
        chains,
        auto_approve,
        stakes,
        hours,
        version: _,
    } = policy;
    let Eligibility {
        requirements,
        territory,
        product_line,
        otherwise,
    } = eligibility;
    let requirements = requirements.iter().map(|rule| {
        let Requirement {
            product_lines,
            tier,
            certifications,
        } = rule;
        let mut map = object(json!({
            "product_lines": product_lines, "certifications": certifications,
        }));
        put(&mut map, "tier", tier.as_deref());
        map
    });
    let approval = chains.iter().map(|chain| {
        let Chain { when, order, steps } = chain;
        json!({
            "when": when_json(when), "order": name_of(ORDERS, *order),
            "steps": steps.iter().map(step_json).collect::<Vec<_>>(),
        })
    });
    let auto_approve = auto_approve.iter().map(|rule| {
        let AutoApproval { when, tiers } = rule;
        json!({ "when": when_json(when), "tiers": tiers })
    });
    let stakes = stakes.iter().map(|stake| {
        let Stake {
            operator,
            partners,
            domains,
        } = stake;
        json!({ "operator": operator, "partners": partners, "domains": domains })
    });
    json!({
        "currency": currency.code(),
        "protection_days": protection_days, "extension_days": extension_days,
        "answer_days": answer_days, "dispute_days": dispute_days, "max_per_day": daily,
        "eligibility": {
            "requirements": requirements.collect::<Vec<_>>(), "territory": territory,
            "product_line": product_line,
            "otherwise": name_of(INELIGIBLE, *otherwise),
        },
        "benefit": benefit_json(benefit), "second": second_json(second),
        "approval": approval.collect::<Vec<_>>(), "auto_approve": auto_approve.collect::<Vec<_>>(),
        "stakes": stakes.collect::<Vec<_>>(), "hours": hours_json(hours),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn put(map: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.into());
    }
}

/// A benefit as it reads back.
#[must_use]
pub fn benefit_json(benefit: &Benefit) -> Value {
    match benefit {
        Benefit::Commission { event } => json!({ "kind": "commission", "event": event }),
        Benefit::Discount { rate } => json!({ "kind": "discount", "rate": rate.to_string() }),
    }
}

/// A benefit from what [`benefit_json`] wrote.
///
/// # Errors
/// What is wrong with it.
pub fn stored_benefit(text: &str) -> Result<Benefit, String> {
    stored(text, benefit)
}

/// A policy from what [`policy_json`] wrote.
///
/// # Errors
/// What is wrong with it.
pub fn stored_policy(
    text: &str,
    program: ProgramId,
    currency: Currency,
    version: u64,
) -> Result<Policy, String> {
    stored(text, |f| policy(f, program, currency, version))
}

fn second_json(second: &Second) -> Value {
    match second {
        Second::Refuse => json!({ "kind": "refuse" }),
        Second::CoRegister { share } => {
            json!({ "kind": "co_register", "share": share.to_string() })
        }
        Second::Reduced(benefit) => json!({ "kind": "reduced", "benefit": benefit_json(benefit) }),
    }
}

fn when_json(when: &When) -> Value {
    let When {
        amount_from,
        amount_below,
        product_lines,
        regions,
    } = when;
    let regions = regions
        .iter()
        .map(|Region { country, region }| match region {
            Some(region) => format!("{country}-{region}"),
            None => country.clone(),
        });
    let mut map = object(json!({
        "product_lines": product_lines, "regions": regions.collect::<Vec<_>>(),
    }));
    put(&mut map, "amount_from", amount_from.map(|m| m.to_string()));
    put(
        &mut map,
        "amount_below",
        amount_below.map(|m| m.to_string()),
    );
    Value::Object(map)
}

/// A step as it reads back.
#[must_use]
pub fn step_json(step: &Step) -> Value {
    let Step {
        name,
        approvers,
        sla_hours,
        escalate_to,
    } = step;
    let mut map = object(json!({
        "name": name, "approvers": approvers, "sla_hours": sla_hours,
    }));
    put(
        &mut map,
        "escalate_to",
        escalate_to.map(|id| id.to_string()),
    );
    Value::Object(map)
}

/// A step from what [`step_json`] wrote.
///
/// # Errors
/// What is wrong with it.
pub fn stored_step(text: &str) -> Result<Step, String> {
    stored(text, step)
}

/// Working hours as they read back.
#[must_use]
pub fn hours_json(hours: &WorkingHours) -> Value {
    let week = hours.openings().map(|(day, opening)| {
        let [from, to] = opening.times();
        json!({ "days": [day], "from": from, "to": to })
    });
    let holidays = hours.holidays().map(|date| date.to_string());
    json!({
        "time_zone": hours.time_zone(), "week": week.collect::<Vec<_>>(),
        "holidays": holidays.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::edge::Problem;

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn read(body: &Value) -> Result<Policy, Problem> {
        Fields::read(body, |f| {
            policy(f, ProgramId::from_bytes([1; 16]), gbp(), 3)
        })
    }

    fn operator(number: u8) -> String {
        crate::ids::OperatorId::from_bytes([number; 16]).to_string()
    }

    fn rich() -> Value {
        let partner = crate::ids::PartnerId::from_bytes([2; 16]).to_string();
        json!({
            "currency": "GBP", "protection_days": 60, "extension_days": 0, "answer_days": 7,
            "dispute_days": 10, "max_per_day": 5,
            "eligibility": {
                "requirements": [{ "product_lines": ["crm"], "tier": "gold", "certifications": ["crm-pro"] }],
                "territory": false, "product_line": false, "otherwise": "reject",
            },
            "benefit": { "kind": "commission", "event": "deal" },
            "second": { "kind": "co_register", "share": "0.30" },
            "approval": [{
                "when": { "amount_from": "1000.00", "amount_below": "5000.00", "product_lines": ["crm"], "regions": ["DE", "AT-9"] },
                "order": "parallel",
                "steps": [
                    { "name": "channel", "approvers": [operator(1)], "sla_hours": 8, "escalate_to": operator(2) },
                    { "name": "finance", "approvers": [], "sla_hours": 16 },
                ],
            }],
            "auto_approve": [{ "when": { "product_lines": [], "regions": [], "amount_below": "500.00" }, "tiers": ["gold"] }],
            "stakes": [{ "operator": operator(3), "partners": [partner], "domains": ["acme.com"] }],
            "hours": {
                "time_zone": "Europe/Berlin",
                "week": [
                    { "days": ["monday"], "from": "09:00", "to": "12:00" },
                    { "days": ["monday"], "from": "13:00", "to": "17:30" },
                ],
                "holidays": ["2026-12-25"],
            },
        })
    }

    #[test]
    fn a_policy_reads_back_as_it_was_said() {
        let said = rich();
        let policy = read(&said).unwrap();
        assert_eq!(policy_json(&policy, gbp()), said);
        let stored = policy_json(&policy, gbp()).to_string();
        let again = stored_policy(&stored, policy.program, gbp(), 3).unwrap();
        assert_eq!(again, policy);
    }

    #[test]
    fn what_a_policy_leaves_out_has_the_usual_value() {
        let policy = read(&json!({ "benefit": { "kind": "discount", "rate": "0.15" } })).unwrap();
        assert_eq!(
            (policy.protection_days, policy.extension_days, policy.daily),
            (90, 30, 20)
        );
        assert_eq!(policy.second, Second::Refuse);
        assert_eq!(policy.hours, WorkingHours::default());
        assert!(policy.eligibility.territory && policy.chains.is_empty());
    }

    #[test]
    fn every_wrong_field_of_a_policy_is_named_with_its_reason() {
        let wrong = json!({
            "currency": "EUR", "protection_days": 0, "extension_days": "30", "answer_days": 731,
            "max_per_day": 0, "eligibility": { "requirements": [{ "tier": "Gold!" }, {}], "territory": "yes", "otherwise": "maybe" },
            "benefit": { "kind": "commission", "event": "Deal" },
            "second": { "kind": "co_register", "share": "1" },
            "approval": [{
                "when": { "amount_from": 5, "product_lines": ["A"], "regions": ["XX", "DE-"] },
                "order": "random", "steps": [{ "name": "a", "approvers": ["me"], "sla_hours": 0, "escalate_to": "x" }],
            }, { "when": { "amount_from": "5.00", "amount_below": "5.00" }, "steps": [] }],
            "auto_approve": {}, "stakes": [{ "operator": "o", "domains": ["gmail.com"] }],
            "hours": { "time_zone": "Europe/Berlin", "week": [{ "days": ["someday"], "from": "17:00", "to": "09:00" }], "holidays": ["25.12."] },
            "odd": 1,
        });
        let problem = read(&wrong).unwrap_err();
        let told: Vec<(&str, &str)> = problem
            .errors()
            .iter()
            .map(|error| (error.field.as_str(), error.code))
            .collect();
        assert_eq!(
            told,
            [
                ("currency", "currency_mismatch"),
                ("protection_days", "out_of_range"),
                ("extension_days", "wrong_type"),
                ("answer_days", "out_of_range"),
                ("max_per_day", "out_of_range"),
                ("eligibility.requirements[0].tier", "characters_refused"),
                ("eligibility.requirements[1].tier", "required"),
                ("eligibility.territory", "wrong_type"),
                ("eligibility.otherwise", "not_one_of"),
                ("benefit.event", "characters_refused"),
                ("second.share", "out_of_range"),
                ("approval[0].when.amount_from", "decimal_string_expected"),
                ("approval[0].when.product_lines[0]", "characters_refused"),
                ("approval[0].when.regions[0]", "country_unknown"),
                ("approval[0].when.regions[1]", "country_unknown"),
                ("approval[0].order", "not_one_of"),
                ("approval[0].steps[0].approvers[0]", "id_malformed"),
                ("approval[0].steps[0].sla_hours", "out_of_range"),
                ("approval[0].steps[0].escalate_to", "id_malformed"),
                ("approval[1].when.amount_below", "range_empty"),
                ("approval[1].steps", "too_short"),
                ("auto_approve", "wrong_type"),
                ("stakes[0].operator", "id_malformed"),
                ("stakes[0].domains[0]", "characters_refused"),
                ("hours.week[0].days[0]", "not_one_of"),
                ("hours.week[0].to", "time_malformed"),
                ("hours.holidays[0]", "date_malformed"),
                ("odd", "unknown_field"),
            ]
        );
    }

    #[test]
    fn steps_of_one_name_and_hours_that_are_none_are_refused() {
        let mut said = rich();
        said["approval"][0]["steps"][1]["name"] = json!("channel");
        said["hours"]["time_zone"] = json!("Europe/Londres");
        let problem = read(&said).unwrap_err();
        let fields: Vec<&str> = problem.errors().iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["approval[0].steps[1].name", "hours.time_zone"]);
        let mut said = rich();
        said["hours"]["week"][1]["from"] = json!("11:00");
        let problem = read(&said).unwrap_err();
        assert_eq!(problem.detail(), "hours.week: has openings that overlap");
    }
}
