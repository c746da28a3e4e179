//! How a commission came about, in sentences that a partner understands. Pure.
//!
//! The sentences follow from the plan version, what it was told of the event, and the steps that the outcome
//! keeps: nothing here computes pay.

use rust_decimal::Decimal;

use super::fold::{Aside, Cut, Entry, Step, Zone, holds, parts};
use super::model::{Credit, Source, WindowKind};
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
        Source::Conversion => {}
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
    } else if beside != 0 && matches!(source, Source::Conversion) {
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
            format!(" since {began}, when this version began")
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
        return format!(
            "The cap of {amount} {code} had taken {back} {code} off before, so as much is not taken back."
        );
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
