//! How a commission came about, in sentences that a partner understands. Pure.
//!
//! The sentences follow from the plan version, what it was told of the event, and the steps that the outcome
//! keeps: nothing here computes pay.

use rust_decimal::Decimal;

use super::fold::{Aside, Cut, Entry, Step, Zone, holds, parts};
use super::model::{Credit, Part, Source, WindowKind};
use crate::money::{Currency, Money, Rate, Rounding};
use crate::plans::model::{
    AssignedBy, Base, Bracket, BracketPay, CapScope, Condition, Duration, LevelBase, Measure, Mode,
    NumberField, Pay, Pays, PlanVersion, Scope, TextField, Unit, Window,
};

/// How a commission came about.
#[must_use]
pub fn explain(plan: &PlanVersion, entry: &Entry, credit: &Credit) -> Vec<String> {
    let currency = credit.pay.currency();
    let code = currency.code();
    if credit.trace.is_empty() && credit.cuts.is_empty() {
        let mut sentences = tested(plan, entry, credit.months, currency);
        sentences.push(format!(
            "In plan {} version {} nothing pays for the event {}: {} {code}.",
            plan.code,
            plan.version,
            entry.event,
            Money::zero(currency)
        ));
        return sentences;
    }
    let mut sentences = vec![format!(
        "Plan {} version {}, in force from {}, pays for the event {}{}.",
        plan.code,
        plan.version,
        plan.effective_from,
        entry.event,
        match credit.assigned_by {
            AssignedBy::Partner => "; the partner is assigned it",
            AssignedBy::Link => "; the link that was clicked names it",
            AssignedBy::Program => "; it is the program's default",
        }
    )];
    if let Some(exchange) = &credit.exchange {
        sentences.push(format!(
            "Amounts in {} were taken at {} {code} for one, the rate of {} from {}, rounded half up.",
            exchange.from.code(),
            exchange.rate,
            exchange.date,
            exchange.source
        ));
    }
    if let Some(part) = credit.part {
        sentences.push(format!(
            "Two partners registered the customer together; this one's share of the amounts is {}{}.",
            part.rate(),
            match part {
                Part::Share(_) => ", rounded half up",
                Part::Rest(_) => ", which is what the other's leaves",
            }
        ));
    }
    if entry.counted_at != entry.occurred_at {
        sentences.push(format!(
            "It happened at {} and became known after that window had closed, so it counts at {}.",
            entry.occurred_at, entry.counted_at
        ));
    }
    sentences.extend(tested(plan, entry, credit.months, currency));
    sentences.extend(
        credit
            .trace
            .iter()
            .map(|step| of_step(plan, entry, step, currency)),
    );
    sentences.extend(credit.cuts.iter().map(|cut| of_cut(plan, cut)));
    sentences
}

/// What was posted beside the event's own pay, and since.
#[must_use]
pub fn aftermath(plan: Option<&PlanVersion>, credit: &Credit, source: &Source) -> Vec<String> {
    let code = credit.pay.currency().code();
    let mut sentences = Vec::new();
    match source {
        Source::Conversion | Source::Share { .. } => {}
        Source::Level { of, level } => {
            let terms = usize::try_from(*level)
                .ok()
                .and_then(|level| plan?.terms.levels.get(level.checked_sub(1)?));
            let share = terms.map_or_else(String::new, |terms| {
                let base = match (terms.of, level) {
                    (LevelBase::Sale, _) => "the sale",
                    (LevelBase::Commission, 1) => "the commission",
                    (LevelBase::Commission, _) => "what the level below gets",
                };
                let rounded = match terms.rounding {
                    Rounding::HalfUp => "rounded half up",
                    Rounding::Floor => "rounded down",
                };
                format!(", which gets {} of {base}, {rounded}", terms.rate)
            });
            sentences.push(format!(
                "Level {level} of the conversion {of}{share}: {} {code}.",
                credit.pay
            ));
        }
        Source::SubTree { of } => sentences.push(format!(
            "A partner below sold ({of}), which lifted a measure of the plan: {} {code}.",
            credit.posted
        )),
        Source::Window { at, kind } => sentences.extend(match kind {
            WindowKind::Close => {
                let mut told = vec![format!(
                    "The window that ended at {at} has closed; its gates decided {} {code}.",
                    credit.pay
                )];
                told.extend(credit.trace.iter().map(|step| of_gate(plan, step)));
                told
            }
            WindowKind::Budget => vec![format!(
                "The program's budget was shared anew at {at}, after events of others changed: {} {code}.",
                credit.pay
            )],
        }),
        Source::Adjustment { reason, about, .. } => sentences.push(match about {
            Some(about) => format!(
                "An operator adjusted {} {code} for {about}: {reason}",
                credit.pay
            ),
            None => format!("An operator adjusted {} {code}: {reason}", credit.pay),
        }),
    }
    let beside = credit.posted.minor() - credit.pay.minor();
    if credit.reversed_at.is_some() && credit.revision == 0 {
        sentences.push("It was reversed before it was credited, so nothing was posted.".to_owned());
    } else if beside != 0 && matches!(source, Source::Conversion | Source::Share { .. }) {
        sentences.push(format!(
            "It also changed what other events of its window pay, by {} {code}: {} {code} were posted.",
            Money::new(beside, credit.pay.currency()),
            credit.posted
        ));
    }
    if credit.total != credit.posted {
        sentences.push(format!(
            "After {} correction{} it stands at {} {code}.",
            credit.revision,
            if credit.revision == 1 { "" } else { "s" },
            credit.total
        ));
    }
    if let Some(note) = &credit.hold_note {
        sentences.push(format!(
            "Its hold was moved to {}: {note}",
            credit.release_at
        ));
    }
    sentences
}

/// What a gate decided about what was provisional behind it.
fn of_gate(plan: Option<&PlanVersion>, step: &Step) -> String {
    let currency = step.amount.currency();
    let code = currency.code();
    let number = step.component + 1;
    let provisional = step.unbound.unwrap_or(step.amount);
    let gate = usize::try_from(step.component)
        .ok()
        .and_then(|index| plan?.terms.components.get(index)?.gate.as_ref());
    let (Some(gate), Some((_, reached))) = (gate, step.measured) else {
        return format!("Component {number} = {} {code}.", step.amount);
    };
    let verdict = if reached >= gate.at_least {
        "of which that pays"
    } else {
        "which is not enough, so that pays"
    };
    format!(
        "Component {number} asks that {} reaches {}; it reached {}: {provisional} {code} were provisional, {verdict} {} {code}.",
        of_measure(&gate.measure, gate.window),
        value(&gate.measure, gate.at_least, currency),
        value(&gate.measure, reached, currency),
        step.amount
    )
}

/// A component's test of an event, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The component's number, from 1.
    pub component: u32,
    /// What it asks, in words.
    pub asks: String,
    /// Whether that holds.
    pub holds: bool,
}

/// What the components for an event test of it: their conditions, and how long they pay for a customer.
#[must_use]
pub fn tests(
    plan: &PlanVersion,
    entry: &Entry,
    months: Option<i64>,
    currency: Currency,
) -> Vec<Test> {
    let mut tests = Vec::new();
    for (component, asked) in (1..).zip(&plan.terms.components) {
        if asked.event != entry.event {
            continue;
        }
        if let Some(condition) = &asked.when {
            tests.push(Test {
                component,
                asks: phrase(condition, currency),
                holds: holds(condition, entry, months, currency),
            });
        }
        let lasts = match asked.duration {
            Duration::Forever => continue,
            Duration::FirstSale => (
                format!("it is the customer's first {}", asked.event),
                months.is_none(),
            ),
            Duration::Months(most) => (
                format!(
                    "the customer's first {} is less than {most} months ago",
                    asked.event
                ),
                months.unwrap_or(0) < i64::from(most),
            ),
        };
        let (asks, holds) = lasts;
        tests.push(Test {
            component,
            asks,
            holds,
        });
    }
    tests
}

fn tested(
    plan: &PlanVersion,
    entry: &Entry,
    months: Option<i64>,
    currency: Currency,
) -> Vec<String> {
    tests(plan, entry, months, currency)
        .into_iter()
        .map(|test| {
            let Test {
                component,
                asks,
                holds,
            } = test;
            let verdict = if holds { "holds" } else { "does not hold" };
            format!("Component {component} asks that {asks}: {verdict}.")
        })
        .collect()
}

/// A condition in words.
#[must_use]
pub fn phrase(condition: &Condition, currency: Currency) -> String {
    let joined = |parts: &[Condition], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| phrase(part, currency)).collect();
        match parts.len() {
            1 => parts.concat(),
            _ => format!("({})", parts.join(word)),
        }
    };
    match condition {
        Condition::All(parts) => joined(parts, " and "),
        Condition::Any(parts) => joined(parts, " or "),
        Condition::Among { field, values, is } => {
            let name = match field {
                TextField::Country => "the country".to_owned(),
                TextField::Product => "the product".to_owned(),
                TextField::Event => "the event".to_owned(),
                TextField::Coupon => "the coupon".to_owned(),
                other => other.name(),
            };
            let is = if *is { "is" } else { "is not" };
            match values.len() {
                1 => format!("{name} {is} {}", values.concat()),
                _ => format!("{name} {is} one of {}", values.join(", ")),
            }
        }
        Condition::Within {
            field,
            at_least,
            below,
        } => {
            let (name, unit) = match field {
                NumberField::Amount => ("the amount", currency.code()),
                NumberField::Margin => ("the margin", currency.code()),
                NumberField::NetRevenue => ("the net revenue", currency.code()),
                NumberField::Quantity => ("the quantity", ""),
                NumberField::MonthsSinceFirstSale => ("the time since the first sale", "months"),
            };
            let low = at_least.map(|low| format!("at least {low} {unit}"));
            let high = below.map(|high| format!("below {high} {unit}"));
            let bounds: Vec<String> = low
                .into_iter()
                .chain(high)
                .map(|bound| bound.trim_end().to_owned())
                .collect();
            format!("{name} is {}", bounds.join(" and "))
        }
        Condition::NewCustomer(true) => "the customer is new".to_owned(),
        Condition::NewCustomer(false) => "the customer has bought before".to_owned(),
    }
}

fn of_step(plan: &PlanVersion, entry: &Entry, step: &Step, currency: Currency) -> String {
    let code = currency.code();
    let number = step.component + 1;
    let amount = step.unbound.unwrap_or(step.amount);
    let index = usize::try_from(step.component).unwrap_or(usize::MAX);
    let Some(component) = plan.terms.components.get(index) else {
        return format!("Component {number} = {amount} {code}.");
    };
    let money = |minor: i64| Money::new(minor, currency);
    let base = |base: Base| match base {
        Base::Amount => entry.amount,
        Base::Margin => entry.margin,
        Base::NetRevenue => entry.net_revenue,
    };
    let named = |of: Base| match of {
        Base::Amount => "",
        Base::Margin => " margin",
        Base::NetRevenue => " net revenue",
    };
    let what = match (&component.pay, step.measured) {
        (Pay::Flat(each), _) => {
            format!("{each} {code} flat × {} = {amount} {code}", entry.quantity)
        }
        (Pay::Percent { rate, of }, _) => match base(*of) {
            Some(minor) => format!(
                "rate {rate} of {} {code}{} = {} {code}, rounded half up to {amount} {code}",
                money(minor),
                named(*of),
                exact(money(minor), *rate)
            ),
            None => format!(
                "rate {rate} of the{}, but none was posted = {amount} {code}",
                match of {
                    Base::Amount => " amount",
                    other => named(*other),
                }
            ),
        },
        (
            Pay::Milestone {
                measure,
                window,
                at,
                amount: bonus,
            },
            Some((before, after)),
        ) => format!(
            "a bonus of {bonus} {code} once {}{} reaches {}; it went from {} to {} = {amount} {code}",
            of_measure(measure, *window),
            since(plan, entry, *window),
            value(measure, *at, currency),
            value(measure, before, currency),
            value(measure, after, currency),
        ),
        (Pay::RevenueShare(share), Some((before, after))) => {
            let rate = share.brackets.iter().rev().find(|(from, _)| *from <= after);
            format!(
                "the net revenue of the {}{} went from {} to {} {code}; at rate {} its share changes by {amount} {code}",
                of_window(share.window),
                since(plan, entry, share.window),
                money(before),
                money(after),
                rate.map_or_else(|| "0".to_owned(), |(_, rate)| rate.to_string())
            )
        }
        (Pay::Tiered(tiers), Some((before, after))) => {
            let reached = tiers
                .brackets
                .iter()
                .rev()
                .find(|bracket| bracket.from <= after);
            let went = format!(
                "{}{} went from {} to {}",
                of_measure(&tiers.measure, tiers.window),
                since(plan, entry, tiers.window),
                value(&tiers.measure, before, currency),
                value(&tiers.measure, after, currency)
            );
            let bracket = reached.map_or_else(String::new, |bracket| {
                of_bracket(bracket, &tiers.measure, currency)
            });
            match tiers.mode {
                Mode::Attained => format!("{went}, where {bracket} is paid = {amount} {code}"),
                Mode::Marginal if after != before => format!(
                    "{went}; each part at its own bracket, {} = {amount} {code}",
                    of_parts(&tiers.brackets, &tiers.measure, before, after, currency)
                ),
                Mode::Marginal => format!("{went}, where {bracket} is paid = {amount} {code}"),
                Mode::Interpolated => format!(
                    "{went}; along the line between the stated points that is {amount} {code} more"
                ),
                Mode::Retroactive => format!(
                    "{went}, where {bracket} is paid for all of the window; that changes its pay by {amount} {code}"
                ),
            }
        }
        (_, None) => format!("{amount} {code}"),
    };
    let aside = match step.aside {
        None => String::new(),
        Some(Aside::NotChosen) => match plan.terms.pays {
            Pays::First => " — not paid, as the first that matches pays alone".to_owned(),
            Pays::Highest | Pays::All => {
                " — not paid, as the one that pays most pays alone".to_owned()
            }
        },
        Some(Aside::Gated) => component.gate.as_ref().map_or_else(String::new, |gate| {
            format!(
                " — provisional: paid when the {} closes, if {} reaches {}",
                of_window(gate.window),
                of_measure(&gate.measure, gate.window),
                value(&gate.measure, gate.at_least, currency)
            )
        }),
    };
    let bound = step.unbound.map_or_else(String::new, |unbound| {
        let paid = step.amount;
        if unbound.minor() < paid.minor() {
            format!(", and at least {paid} {code} are paid for a sale")
        } else {
            format!(", and at most {paid} {code} are paid for a sale")
        }
    });
    format!("Component {number}: {what}{bound}{aside}.")
}

/// When the version that counts began, where that was within the window: what happened before it counted
/// under another.
fn since(plan: &PlanVersion, entry: &Entry, window: Window) -> String {
    let zone = Zone::of(&plan.terms.time_zone);
    let began = plan.effective_from;
    match window {
        Window::Month | Window::Quarter
            if zone.window(window, began) == zone.window(window, entry.counted_at) =>
        {
            format!(" since {began}, when this version began,")
        }
        _ => String::new(),
    }
}

/// The parts of an event that lie in several brackets: `1,000.00 GBP at rate 0.10, 500.00 GBP at rate 0.12`.
fn of_parts(
    brackets: &[Bracket],
    measure: &Measure,
    before: i64,
    after: i64,
    currency: Currency,
) -> String {
    let each: Vec<String> = parts(brackets, before, after)
        .map(|(bracket, length)| {
            let pay = match bracket.pay {
                BracketPay::Rate(rate) => format!("rate {rate}"),
                BracketPay::Flat(each) => format!("{each} {} for each", currency.code()),
                BracketPay::Total(total) => format!("{total} {} in all", currency.code()),
            };
            format!("{} at {pay}", value(measure, length, currency))
        })
        .collect();
    each.join(", ")
}

fn of_cut(plan: &PlanVersion, cut: &Cut) -> String {
    let Cut { cap, by, room } = cut;
    let code = by.currency().code();
    let index = usize::try_from(*cap).unwrap_or(usize::MAX);
    let Some(cap) = plan.terms.caps.get(index) else {
        return format!("A cap took {by} {code} off.");
    };
    let amount = cap.amount;
    if by.minor() < 0 {
        let back = Money::new(-by.minor(), by.currency());
        return format!("Caps had taken {back} {code} off before, so as much is not taken back.");
    }
    match cap.scope {
        CapScope::Conversion => {
            format!("At most {amount} {code} are paid for a conversion: {by} {code} less.")
        }
        CapScope::Customer | CapScope::Partner | CapScope::Program => format!(
            "Of the cap of {amount} {code} for {} in {} {room} {code} were left: {by} {code} less.",
            match cap.scope {
                CapScope::Customer => "the customer",
                CapScope::Partner => "the partner",
                CapScope::Conversion | CapScope::Program => "the program",
            },
            match cap.window {
                Window::Lifetime | Window::Trailing { .. } => "all".to_owned(),
                other => format!("the {}", of_window(other)),
            }
        ),
    }
}

fn of_window(window: Window) -> String {
    match window {
        Window::Month => "month".to_owned(),
        Window::Quarter => "quarter".to_owned(),
        Window::Trailing { days } => format!("last {days} days"),
        Window::Lifetime => "whole time".to_owned(),
    }
}

fn of_measure(measure: &Measure, window: Window) -> String {
    let what = match measure.unit {
        Unit::Count => "the number of",
        Unit::Amount => "the amount of",
    };
    let whose = match measure.scope {
        Scope::Own => "",
        Scope::SubTree => " with those of partners below",
    };
    format!(
        "{what} {}{whose} in the {}",
        measure.events.join(", "),
        of_window(window)
    )
}

fn value(measure: &Measure, value: i64, currency: Currency) -> String {
    match measure.unit {
        Unit::Count => value.to_string(),
        Unit::Amount => format!("{} {}", Money::new(value, currency), currency.code()),
    }
}

fn of_bracket(bracket: &Bracket, measure: &Measure, currency: Currency) -> String {
    let from = value(measure, bracket.from, currency);
    match bracket.pay {
        BracketPay::Rate(rate) => format!("rate {rate} (from {from})"),
        BracketPay::Flat(each) => format!("{each} {} for each (from {from})", currency.code()),
        BracketPay::Total(total) => format!("{total} {} in all (at {from})", currency.code()),
    }
}

/// The share before rounding, in whole units of the currency.
fn exact(amount: Money, rate: Rate) -> String {
    let unit = Decimal::from(10_i64.pow(amount.currency().exponent()));
    Decimal::from(amount.minor())
        .checked_mul(rate.decimal())
        .and_then(|minor| minor.checked_div(unit))
        .map_or_else(String::new, |exact| exact.normalize().to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Timestamp;
    use crate::commissions::fold::Fold;
    use crate::commissions::model::{Extra, Outcome};
    use crate::ids::{ConversionId, PartnerId, ProgramId};
    use crate::ledger::model::AccountId;
    use crate::plans::wire;

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn plan(terms: &Value, from: &str) -> PlanVersion {
        PlanVersion {
            program: ProgramId::from_bytes([1; 16]),
            code: "standard".to_owned(),
            version: 3,
            effective_from: at(from),
            hold_days: 30,
            terms: wire::terms(terms, gbp()).unwrap(),
            created_at: at("2020-01-01T00:00:00Z"),
        }
    }

    fn sale(minor: i64, quantity: u32) -> Entry {
        Entry {
            conversion: ConversionId::from_bytes([3; 16]),
            partner: PartnerId::from_bytes([2; 16]),
            plan: 0,
            occurred_at: at("2026-03-10T00:00:00Z"),
            counted_at: at("2026-03-10T00:00:00Z"),
            own: true,
            event: "sale".to_owned(),
            quantity,
            amount: Some(minor),
            margin: Some(minor / 2),
            net_revenue: None,
            adjustments: 0,
            customer: Some("ann".to_owned()),
            known_since: None,
            new_customer: None,
            country: Some("GB".to_owned()),
            product: Some("rose".to_owned()),
            coupon: None,
            subs: [const { None }; 5],
            meta: BTreeMap::new(),
        }
    }

    /// A line of that pay, to be given what a test is about.
    fn line(pay: i64, source: Source, steps: Vec<Step>) -> Outcome {
        Extra {
            id: ConversionId::from_bytes([3; 16]),
            source,
            account: AccountId {
                partner: PartnerId::from_bytes([2; 16]),
                program: ProgramId::from_bytes([1; 16]),
                currency: gbp(),
            },
            plan: Some(("standard".to_owned(), 3)),
            pay: Money::new(pay, gbp()),
            levels: Vec::new(),
            release_at: at("2026-04-10T00:00:00Z"),
            steps,
        }
        .outcome(at("2026-03-10T00:00:00Z"))
    }

    /// The sentences about the last of these events, but for the one that names the plan.
    fn told_from(terms: &Value, from: &str, entries: &[Entry]) -> Vec<String> {
        let plan = plan(terms, from);
        let mut fold = Fold::new([&plan], gbp());
        let mut paid = None;
        for entry in entries {
            paid = Some(fold.step(entry).unwrap());
        }
        let paid = paid.unwrap();
        let mut outcome = line(paid.pay.minor(), Source::Conversion, paid.steps);
        let credit = outcome.credit.as_mut().unwrap();
        credit.cuts = paid.cuts;
        credit.months = paid.months;
        let mut told = explain(&plan, entries.last().unwrap(), credit);
        told.retain(|sentence| !sentence.starts_with("Plan standard version 3"));
        told
    }

    fn told(component: Value, entries: &[Entry]) -> Vec<String> {
        let terms = json!({ "components": [component] });
        told_from(&terms, "2020-01-01T00:00:00Z", entries)
    }

    fn tiers(mode: &str, unit: &str, brackets: Value) -> Value {
        json!({ "kind": "tiered", "event": "sale", "mode": mode, "measure": { "unit": unit },
            "window": { "kind": "month" }, "brackets": brackets })
    }

    fn rates() -> Value {
        json!([{ "from": "0.00", "rate": "0.10" }, { "from": "50.00", "rate": "0.12" }])
    }

    #[test]
    fn each_mode_of_tiers_says_how_it_came_to_its_amount() {
        let each = json!([{ "from": 0, "amount": "5.00" }, { "from": 3, "amount": "7.00" }]);
        let points =
            json!([{ "from": "0.00", "pay": "0.00" }, { "from": "100.00", "pay": "10.00" }]);
        let went = "Component 1: the amount of sale in the month went from 40.00 GBP to 60.00 GBP";
        let two = [sale(4_000, 1), sale(2_000, 1)];
        for (mode, brackets, how) in [
            (
                "attained",
                rates(),
                ", where rate 0.12 (from 50.00 GBP) is paid = 2.40 GBP.",
            ),
            (
                "marginal",
                rates(),
                "; each part at its own bracket, 10.00 GBP at rate 0.10, 10.00 GBP at rate 0.12 = 2.20 GBP.",
            ),
            (
                "retroactive",
                rates(),
                ", where rate 0.12 (from 50.00 GBP) is paid for all of the window; that changes its pay by 3.20 GBP.",
            ),
            (
                "interpolated",
                points,
                "; along the line between the stated points that is 2.00 GBP more.",
            ),
        ] {
            assert_eq!(
                told(tiers(mode, "amount", brackets), &two),
                [format!("{went}{how}")]
            );
        }
        let went = "Component 1: the number of sale in the month went from 0 to 4";
        for (mode, how) in [
            (
                "attained",
                ", where 7.00 GBP for each (from 3) is paid = 28.00 GBP.",
            ),
            (
                "marginal",
                "; each part at its own bracket, 3 at 5.00 GBP for each, 1 at 7.00 GBP for each = 22.00 GBP.",
            ),
        ] {
            assert_eq!(
                told(tiers(mode, "count", each.clone()), &[sale(4_000, 4)]),
                [format!("{went}{how}")]
            );
        }
        // What stretches no measure stands at its point.
        let mut leads = tiers("marginal", "amount", rates());
        leads["measure"]["events"] = json!(["lead"]);
        assert_eq!(
            told(leads, &[sale(4_000, 1)]),
            [
                "Component 1: the amount of lead in the month went from 0.00 GBP to 0.00 GBP, where rate 0.10 (from 0.00 GBP) is paid = 4.00 GBP."
            ]
        );
    }

    #[test]
    fn shares_bonuses_and_bounds_say_what_they_are_taken_of() {
        let share = |window: &str, brackets: Value| {
            json!({ "kind": "revenue_share", "event": "sale", "brackets": brackets,
                "window": { "kind": window }, "carryover": "reset" })
        };
        let two = json!([{ "from": "0.00", "rate": "0.30" }, { "from": "30.00", "rate": "0.40" }]);
        let one = json!([{ "from": "0.00", "rate": "0.30" }]);
        let percent = |of: &str| {
            json!({ "kind": "percent", "event": "sale", "rate": "0.10", "of": of,
                "minimum": "1.00", "maximum": "2.00" })
        };
        let bonus = json!({ "kind": "milestone", "measure": { "unit": "count", "events": ["sale"] },
            "window": { "kind": "month" }, "at": 2, "amount": "9.00" });
        for (component, entry, expected) in [
            (
                share("quarter", one),
                sale(4_000, 1),
                "the net revenue of the quarter went from 0.00 to 40.00 GBP; at rate 0.30 its share changes by 12.00 GBP.",
            ),
            (
                share("month", two),
                sale(4_000, 1),
                "the net revenue of the month went from 0.00 to 40.00 GBP; at rate 0.40 its share changes by 16.00 GBP.",
            ),
            (
                bonus,
                sale(4_000, 2),
                "a bonus of 9.00 GBP once the number of sale in the month reaches 2; it went from 0 to 2 = 9.00 GBP.",
            ),
            (
                percent("amount"),
                sale(500, 1),
                "rate 0.10 of 5.00 GBP = 0.5 GBP, rounded half up to 0.50 GBP, and at least 1.00 GBP are paid for a sale.",
            ),
            (
                percent("margin"),
                sale(50_000, 1),
                "rate 0.10 of 250.00 GBP margin = 25 GBP, rounded half up to 25.00 GBP, and at most 2.00 GBP are paid for a sale.",
            ),
        ] {
            assert_eq!(
                told(component, &[entry]),
                [format!("Component 1: {expected}")]
            );
        }
    }

    #[test]
    fn conditions_and_durations_say_whether_they_hold() {
        let asks = json!({ "all": [
            { "any": [{ "field": "country", "in": ["GB", "IE"] }, { "field": "product", "not_in": ["rose"] }] },
            { "field": "amount", "at_least": "10.00", "below": "50.00" },
            { "field": "customer", "is": "new" },
            { "all": [{ "field": "meta.shelf", "not_in": ["top", "low"] }] },
            { "field": "quantity", "at_least": 2 },
        ] });
        let mut flat = json!({ "kind": "flat", "event": "sale", "amount": "5.00", "when": asks, "duration": "first_sale" });
        let condition = "Component 1 asks that ((the country is one of GB, IE or the product is not rose) and the amount is at least 10.00 GBP and below 50.00 GBP and the customer is new and meta.shelf is not one of top, low and the quantity is at least 2)";
        let first = "Component 1 asks that it is the customer's first sale: holds.";
        assert_eq!(
            told(flat.clone(), &[sale(4_000, 2)]),
            [
                format!("{condition}: holds."),
                first.to_owned(),
                "Component 1: 5.00 GBP flat × 2 = 10.00 GBP.".to_owned()
            ]
        );
        let nothing = "In plan standard version 3 nothing pays for the event sale: 0.00 GBP.";
        assert_eq!(
            told(flat.clone(), &[sale(4_000, 1)]),
            [
                format!("{condition}: does not hold."),
                first.to_owned(),
                nothing.to_owned()
            ]
        );
        flat["when"] = Value::Null;
        flat.as_object_mut().unwrap().remove("when");
        let again = "Component 1 asks that it is the customer's first sale: does not hold.";
        assert_eq!(
            told(flat.clone(), &[sale(1, 1), sale(2, 1)]),
            [again, nothing]
        );
        let known = Entry {
            known_since: Some(at("2025-12-10T00:00:00Z")),
            ..sale(4_000, 1)
        };
        for (months, verdict) in [(3, "does not hold"), (4, "holds")] {
            flat["duration"] = json!({ "months": months });
            let told = told(flat.clone(), std::slice::from_ref(&known));
            assert_eq!(
                told[0],
                format!(
                    "Component 1 asks that the customer's first sale is less than {months} months ago: {verdict}."
                )
            );
        }
        // What other events ask for is not asked of this one.
        flat["event"] = json!("lead");
        assert_eq!(told(flat, &[sale(4_000, 1)]), [nothing]);
    }

    #[test]
    fn caps_say_what_was_left_of_them_and_what_they_had_taken_off() {
        let quarter = json!({ "kind": "quarter" });
        let month = json!({ "kind": "month" });
        let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.50" }], "caps": [
            { "scope": "conversion", "amount": "15.00" },
            { "scope": "customer", "window": quarter, "amount": "12.00" },
            { "scope": "partner", "window": month, "amount": "11.00" },
            { "scope": "program", "window": { "kind": "lifetime" }, "amount": "10.00" },
        ] });
        assert_eq!(
            told_from(&terms, "2020-01-01T00:00:00Z", &[sale(4_000, 1)])[1..],
            [
                "At most 15.00 GBP are paid for a conversion: 5.00 GBP less.",
                "Of the cap of 12.00 GBP for the customer in the quarter 12.00 GBP were left: 3.00 GBP less.",
                "Of the cap of 11.00 GBP for the partner in the month 11.00 GBP were left: 1.00 GBP less.",
                "Of the cap of 10.00 GBP for the program in all 10.00 GBP were left: 1.00 GBP less.",
            ]
        );
        let terms = json!({
            "components": [{ "kind": "revenue_share", "event": "sale", "rate": "0.50", "window": month, "carryover": "reset" }],
            "caps": [{ "scope": "partner", "window": month, "amount": "15.00" }],
        });
        let back = Entry {
            adjustments: 2_000,
            ..sale(0, 1)
        };
        assert_eq!(
            told_from(&terms, "2020-01-01T00:00:00Z", &[sale(4_000, 1), back])[1..],
            ["Caps had taken 5.00 GBP off before, so as much is not taken back."]
        );
    }

    #[test]
    fn a_version_that_began_within_the_window_is_told() {
        let terms = json!({ "components": [tiers("attained", "amount", rates())] });
        let told = |from: &str| told_from(&terms, from, &[sale(4_000, 1)]);
        let rest =
            "went from 0.00 GBP to 40.00 GBP, where rate 0.10 (from 0.00 GBP) is paid = 4.00 GBP.";
        let what = "Component 1: the amount of sale in the month";
        assert_eq!(
            told("2026-03-05T00:00:00Z"),
            [format!(
                "{what} since 2026-03-05T00:00:00Z, when this version began, {rest}"
            )]
        );
        assert_eq!(told("2026-02-28T00:00:00Z"), [format!("{what} {rest}")]);
    }

    #[test]
    fn a_window_that_closed_says_what_its_gates_decided() {
        let gate =
            json!({ "measure": { "unit": "count" }, "window": { "kind": "month" }, "at_least": 3 });
        let terms = json!({ "components": [
            { "kind": "flat", "event": "lead", "amount": "1.00" },
            { "kind": "percent", "event": "sale", "rate": "0.10", "gate": gate },
        ] });
        let plan = plan(&terms, "2020-01-01T00:00:00Z");
        let close = |reached: i64, pay: i64, provisional: Option<i64>| {
            let money = |minor| Money::new(minor, gbp());
            let step = Step {
                component: 1,
                amount: money(pay),
                unbound: provisional.map(money),
                measured: Some((0, reached)),
                aside: None,
            };
            let source = Source::Window {
                at: at("2026-04-01T00:00:00Z"),
                kind: WindowKind::Close,
            };
            let outcome = line(pay, source, vec![step]);
            let credit = outcome.credit.as_ref().unwrap();
            aftermath(Some(&plan), credit, &outcome.source).split_off(1)
        };
        let asks = "Component 2 asks that the number of sale in the month reaches 3; it reached";
        assert_eq!(
            close(3, 1_500, None),
            [format!(
                "{asks} 3: 15.00 GBP were provisional, of which that pays 15.00 GBP."
            )]
        );
        assert_eq!(
            close(4, 1_000, Some(1_500)),
            [format!(
                "{asks} 4: 15.00 GBP were provisional, of which that pays 10.00 GBP."
            )]
        );
        assert_eq!(
            close(2, 0, Some(1_500)),
            [format!(
                "{asks} 2: 15.00 GBP were provisional, which is not enough, so that pays 0.00 GBP."
            )]
        );
    }

    #[test]
    fn what_was_posted_beside_and_since_is_told() {
        let mut outcome = line(1_000, Source::Conversion, Vec::new());
        let told =
            |outcome: &Outcome| aftermath(None, outcome.credit.as_ref().unwrap(), &outcome.source);
        assert_eq!(told(&outcome), Vec::<String>::new());
        let credit = outcome.credit.as_mut().unwrap();
        credit.posted = Money::new(1_200, gbp());
        credit.total = credit.posted;
        let beside = "It also changed what other events of its window pay, by 2.00 GBP: 12.00 GBP were posted.";
        assert_eq!(told(&outcome), [beside]);
        let credit = outcome.credit.as_mut().unwrap();
        (credit.total, credit.revision) = (Money::new(700, gbp()), 1);
        assert_eq!(
            told(&outcome),
            [beside, "After 1 correction it stands at 7.00 GBP."]
        );
        let credit = outcome.credit.as_mut().unwrap();
        (credit.total, credit.revision) = (Money::new(600, gbp()), 2);
        credit.reversed_at = Some(at("2026-03-11T00:00:00Z"));
        assert_eq!(
            told(&outcome),
            [beside, "After 2 corrections it stands at 6.00 GBP."]
        );
        let mut never = line(0, Source::Conversion, Vec::new());
        never.credit.as_mut().unwrap().reversed_at = Some(at("2026-03-11T00:00:00Z"));
        assert_eq!(
            told(&never),
            ["It was reversed before it was credited, so nothing was posted."]
        );
    }
}
