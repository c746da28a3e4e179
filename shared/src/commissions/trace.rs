//! How a commission came about, in sentences that a partner understands. Pure.
//!
//! The sentences follow from the plan version, what it was told of the event, and the steps that the outcome
//! keeps: nothing here computes pay.

use rust_decimal::Decimal;

use super::fold::{Aside, Cut, Entry, Step, holds};
use super::model::{Credit, Source, WindowKind};
use crate::money::{Currency, Money, Rate};
use crate::plans::model::{
    AssignedBy, Base, Bracket, BracketPay, CapScope, Condition, Measure, Mode, NumberField, Pay,
    Pays, PlanVersion, Scope, TextField, Unit, Window,
};

/// How a commission came about.
#[must_use]
pub fn explain(plan: &PlanVersion, entry: &Entry, credit: &Credit) -> Vec<String> {
    let currency = credit.pay.currency();
    let code = currency.code();
    if credit.trace.is_empty() && credit.cuts.is_empty() {
        let mut sentences = tested(plan, entry, currency);
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
            AssignedBy::Partner => "",
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
    sentences.extend(tested(plan, entry, currency));
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
pub fn aftermath(credit: &Credit, source: &Source) -> Vec<String> {
    let code = credit.pay.currency().code();
    let mut sentences = Vec::new();
    match source {
        Source::Conversion => {}
        Source::Level { of, level } => sentences.push(format!(
            "Level {level} of the conversion {of}: {} {code}.",
            credit.pay
        )),
        Source::SubTree { of } => sentences.push(format!(
            "A partner below sold ({of}), which lifted a measure of the plan: {} {code}.",
            credit.posted
        )),
        Source::Window { at, kind } => sentences.push(match kind {
            WindowKind::Close => format!(
                "The window that ended at {at} has closed; its gates decided {} {code}.",
                credit.pay
            ),
            WindowKind::Budget => format!(
                "The program's budget was shared anew at {at}, after events of others changed: {} {code}.",
                credit.pay
            ),
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

fn tested(plan: &PlanVersion, entry: &Entry, currency: Currency) -> Vec<String> {
    (1..)
        .zip(&plan.terms.components)
        .filter(|(_, component)| component.event == entry.event)
        .filter_map(|(number, component): (usize, _)| {
            let condition = component.when.as_ref()?;
            // What depends on the customer's history shows in whether the component took part.
            let verdict = if knows_history(condition) {
                "was tested".to_owned()
            } else if holds(condition, entry, None, currency) {
                "holds".to_owned()
            } else {
                "does not hold".to_owned()
            };
            Some(format!(
                "Component {number} asks that {}: {verdict}.",
                phrase(condition, currency)
            ))
        })
        .collect()
}

fn knows_history(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(knows_history),
        Condition::NewCustomer(_) => true,
        Condition::Within { field, .. } => *field == NumberField::MonthsSinceFirstSale,
        Condition::Among { .. } => false,
    }
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
    let amount = step.amount;
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
            "a bonus of {bonus} {code} once {} reaches {}; it went from {} to {} = {amount} {code}",
            of_measure(measure, *window),
            value(measure, *at, currency),
            value(measure, before, currency),
            value(measure, after, currency),
        ),
        (Pay::RevenueShare(share), Some((before, after))) => {
            let rate = share.brackets.iter().rev().find(|(from, _)| *from <= after);
            format!(
                "the net revenue of the {} went from {} to {} {code}; at rate {} its share changes by {amount} {code}",
                of_window(share.window),
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
                "{} went from {} to {}",
                of_measure(&tiers.measure, tiers.window),
                value(&tiers.measure, before, currency),
                value(&tiers.measure, after, currency)
            );
            let bracket = reached.map_or_else(String::new, |bracket| {
                of_bracket(bracket, &tiers.measure, currency)
            });
            match tiers.mode {
                Mode::Attained => format!("{went}, where {bracket} is paid = {amount} {code}"),
                Mode::Marginal => format!(
                    "{went}; each part at its own bracket, the last of which pays {bracket} = {amount} {code}"
                ),
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
    format!("Component {number}: {what}{aside}.")
}

fn of_cut(plan: &PlanVersion, cut: &Cut) -> String {
    let Cut { cap, by, room } = cut;
    let code = by.currency().code();
    let index = usize::try_from(*cap).unwrap_or(usize::MAX);
    let Some(cap) = plan.terms.caps.get(index) else {
        return format!("A cap took {by} {code} off.");
    };
    let amount = cap.amount;
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
