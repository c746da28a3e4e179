//! Plans in plain sentences, for those who are paid by them. Pure.

use super::model::{
    Base, Bracket, BracketPay, Cap, CapScope, Carryover, Component, Condition, Duration,
    GRACE_DAYS, Gate, Level, LevelBase, Measure, Mode, NumberField, Pay, Pays, PlanVersion,
    RevenueShare, Scope, Terms, TextField, Tiers, Unit, Window,
};
use crate::commissions::fold::windows;
use crate::money::{Currency, Money, Rate, Rounding};

/// What a plan version pays, in sentences: what it is, its components in their order, then what binds
/// them together.
#[must_use]
pub fn sentences(plan: &PlanVersion, currency: Currency) -> Vec<String> {
    let PlanVersion {
        program: _,
        code,
        version: _,
        effective_from,
        hold_days,
        terms,
        created_at: _,
    } = plan;
    let Terms {
        time_zone,
        pays,
        components,
        caps,
        levels,
    } = terms;
    let held = match hold_days {
        0 => "what it pays is payable at once".to_owned(),
        1 => "what it pays is held for a day from the event".to_owned(),
        days => format!("what it pays is held for {days} days from the event"),
    };
    let mut said = vec![format!(
        "Plan {code} pays for events from {effective_from} on; {held}."
    )];
    for (component, number) in components.iter().zip(1..) {
        let sentence = self::component(component, currency);
        said.push(match components.len() {
            1 => sentence,
            _ => format!("{number}. {sentence}"),
        });
    }
    if components.len() > 1 {
        let together = match pays {
            Pays::All => "Where several of these match an event, they add up.",
            Pays::First => "Where several of these match an event, the first of them pays alone.",
            Pays::Highest => {
                "Where several of these match an event, the one that pays most pays alone."
            }
        };
        said.push(together.to_owned());
    }
    said.extend(caps.iter().map(cap));
    said.extend(levels.iter().zip(1..).map(level));
    if has_calendar(terms) {
        said.push(format!(
            "Months and quarters are those of the calendar in the time zone {time_zone}."
        ));
    }
    let begins_anew = windows(terms)
        .iter()
        .any(|window| !matches!(window, Window::Trailing { .. }));
    if begins_anew {
        said.push(
            "What is counted or limited over time is that of this version alone: the next one begins anew."
                .to_owned(),
        );
    }
    said.push(
        "Fractions of the smallest unit of the currency are rounded half up unless stated otherwise."
            .to_owned(),
    );
    said
}

/// Whether anything depends on where months begin.
fn has_calendar(terms: &Terms) -> bool {
    let in_calendar = |window: Window| matches!(window, Window::Month | Window::Quarter);
    let of_component = |component: &Component| {
        let own = match &component.pay {
            Pay::Flat(_) | Pay::Percent { .. } => false,
            Pay::Tiered(tiers) => in_calendar(tiers.window),
            Pay::RevenueShare(_) => true,
            Pay::Milestone { window, .. } => in_calendar(*window),
        };
        own || component.gate.is_some() || matches!(component.duration, Duration::Months(_))
    };
    terms.components.iter().any(of_component)
        || terms.caps.iter().any(|cap| in_calendar(cap.window))
}

/// An amount as it is read: `5,000.00 GBP`.
#[must_use]
pub fn money(amount: Money) -> String {
    let text = amount.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (digits, String::new()),
    };
    format!("{sign}{}{fraction} {}", grouped(whole), amount.currency())
}

fn grouped(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share as it is read: `12.5 %`.
#[must_use]
pub fn share(rate: Rate) -> String {
    // At most one with ten digits after the point: times a hundred it is far from what a decimal holds.
    let percent = rate.decimal() * rust_decimal::Decimal::ONE_HUNDRED;
    format!("{} %", percent.normalize())
}

/// A measure's value as it is read.
#[must_use]
pub fn value(value: i64, unit: Unit, currency: Currency) -> String {
    match unit {
        Unit::Count => grouped(&value.to_string()),
        Unit::Amount => money(Money::new(value, currency)),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., end] => format!("{} {last} {end}", front.join(", ")),
    }
}

fn base(of: Base) -> &'static str {
    match of {
        Base::Amount => "the amount",
        Base::Margin => "the margin",
        Base::NetRevenue => "the net revenue",
    }
}

/// What is measured, and over which time: `the amount of sale events in the calendar month`.
#[must_use]
pub fn measure(measure: &Measure, window: Window) -> String {
    let Measure {
        unit,
        events,
        scope,
    } = measure;
    let unit = match unit {
        Unit::Count => "number",
        Unit::Amount => "amount",
    };
    let whose = match scope {
        Scope::Own => "",
        Scope::SubTree => ", the partner's own and those of all partners below it,",
    };
    let events = list(events, "and");
    format!("the {unit} of {events} events{whose} {}", during(window))
}

fn during(window: Window) -> String {
    match window {
        Window::Month => "in the calendar month".to_owned(),
        Window::Quarter => "in the calendar quarter".to_owned(),
        Window::Trailing { days: 1 } => "in the 24 hours up to the event".to_owned(),
        Window::Trailing { days } => format!("in the {days} days up to the event"),
        Window::Lifetime => "in all the time of this plan version".to_owned(),
    }
}

/// The window by its name: `the calendar month`.
#[must_use]
pub fn period(window: Window) -> &'static str {
    match window {
        Window::Month => "the calendar month",
        Window::Quarter => "the calendar quarter",
        Window::Trailing { .. } => "the days up to the event",
        Window::Lifetime => "the plan version's time",
    }
}

fn component(component: &Component, currency: Currency) -> String {
    let Component {
        event,
        when,
        pay,
        duration,
        minimum,
        maximum,
        gate,
    } = component;
    let mut said = match pay {
        Pay::Flat(amount) => format!("For each {event}: {} for each unit.", money(*amount)),
        Pay::Percent { rate, of } => {
            format!("For each {event}: {} of {}.", share(*rate), base(*of))
        }
        Pay::Tiered(tiers) => self::tiers(event, tiers, currency),
        Pay::RevenueShare(share) => revenue_share(event, share, currency),
        Pay::Milestone {
            measure,
            window,
            at,
            amount,
        } => format!(
            "Once in {}, when {} reaches {}: {}.",
            period(*window),
            self::measure(measure, *window),
            value(*at, measure.unit, currency),
            money(*amount)
        ),
    };
    if let Some(when) = when {
        said += &format!(" Only if {}.", condition(when, currency, true));
    }
    match duration {
        Duration::Forever => {}
        Duration::FirstSale => {
            said += &format!(" Only for a customer's first {event}.");
        }
        Duration::Months(1) => {
            said += &format!(" Only within a month of a customer's first {event}.");
        }
        Duration::Months(months) => {
            said += &format!(" Only within {months} months of a customer's first {event}.");
        }
    }
    said += &match (minimum, maximum) {
        (None, None) => String::new(),
        (Some(least), None) => format!(" At least {} for each that pays anything.", money(*least)),
        (None, Some(most)) => format!(" At most {} for each.", money(*most)),
        (Some(least), Some(most)) => format!(
            " At least {} for each that pays anything, and at most {}.",
            money(*least),
            money(*most)
        ),
    };
    if let Some(Gate {
        measure,
        window,
        at_least,
    }) = gate
    {
        said += &format!(
            " Only if {} reaches {}; until {} is closed, {GRACE_DAYS} days after its end, it is provisional.",
            self::measure(measure, *window),
            value(*at_least, measure.unit, currency),
            period(*window),
        );
    }
    said
}

fn tiers(event: &str, tiers: &Tiers, currency: Currency) -> String {
    let Tiers {
        measure,
        window,
        mode,
        of,
        brackets,
    } = tiers;
    let by = self::measure(measure, *window);
    let from = |bracket: &Bracket| value(bracket.from, measure.unit, currency);
    let pay = |bracket: &Bracket| match bracket.pay {
        BracketPay::Rate(rate) => format!("{} of {}", share(rate), base(*of)),
        BracketPay::Flat(each) => format!("{} for each unit", money(each)),
        BracketPay::Total(total) => money(total),
    };
    let position = |position: usize| (&brackets[position], brackets.get(position + 1));
    let parts = |say: &dyn Fn(&Bracket, Option<&Bracket>) -> String| -> String {
        let parts: Vec<String> = (0..brackets.len())
            .map(|at| {
                let (bracket, next) = position(at);
                say(bracket, next)
            })
            .collect();
        parts.join(", ")
    };
    match mode {
        Mode::Attained => {
            let parts = parts(&|bracket, next| match (bracket.from, next) {
                (0, None) => pay(bracket),
                (0, Some(next)) => format!("{} below {}", pay(bracket), from(next)),
                _ => format!("{} from {} on", pay(bracket), from(bracket)),
            });
            format!(
                "For each {event}, by {by}, itself included: {parts}. \
                 Each {event} is paid wholly at the bracket that it reaches."
            )
        }
        Mode::Marginal => {
            let parts = parts(&|bracket, next| {
                let above = bracket.from > 0;
                let pay = match bracket.pay {
                    BracketPay::Rate(rate) if above => {
                        format!("{} of what is above", share(rate))
                    }
                    BracketPay::Flat(each) if above => {
                        format!("{} for each unit above", money(each))
                    }
                    _ => pay(bracket),
                };
                match next {
                    Some(next) => format!("{pay} up to {}", from(next)),
                    None => pay,
                }
            });
            format!("For each {event}, by {by}: {parts}. What crosses a bound is split there.")
        }
        Mode::Interpolated => {
            let parts = parts(&|bracket, _| format!("{} at {}", pay(bracket), from(bracket)));
            format!(
                "By {by}: in all {parts}. Between these points pay grows in proportion, and beyond the last it stays."
            )
        }
        Mode::Retroactive => {
            let parts = parts(&|bracket, next| match (bracket.from, next) {
                (0, None) => pay(bracket),
                (0, Some(next)) => format!("{} while it is below {}", pay(bracket), from(next)),
                _ => format!("{} once it reaches {}", pay(bracket), from(bracket)),
            });
            format!(
                "For each {event}, by {by}: {parts}. What {} reaches rates everything in it, from its first {event} on.",
                period(*window)
            )
        }
    }
}

fn revenue_share(event: &str, revenue: &RevenueShare, currency: Currency) -> String {
    let RevenueShare {
        window,
        brackets,
        carryover,
    } = revenue;
    let from = |minor: i64| money(Money::new(minor, currency));
    let parts: Vec<String> = brackets
        .iter()
        .enumerate()
        .map(
            |(position, (begin, rate))| match (position, brackets.get(position + 1)) {
                (0, None) => share(*rate),
                (0, Some((next, _))) => {
                    format!("{} while it is below {}", share(*rate), from(*next))
                }
                _ => format!(
                    "{} of all of it once it reaches {}",
                    share(*rate),
                    from(*begin)
                ),
            },
        )
        .collect();
    let left = match carryover {
        Carryover::Carry => "is carried to the next".to_owned(),
        Carryover::Reset => "is forgotten, and the next begins at zero".to_owned(),
        Carryover::Capped(most) => {
            format!("is carried to the next, at most {} of it", money(*most))
        }
    };
    format!(
        "Of the net revenue of {event} events {}, their amounts less bonuses, fees and chargebacks: {}. \
         What {} ends below zero {left}.",
        during(*window),
        parts.join(", "),
        period(*window)
    )
}

fn condition(what: &Condition, currency: Currency, outermost: bool) -> String {
    let joint = |parts: &[Condition], word: &str| {
        let parts: Vec<String> = parts
            .iter()
            .map(|part| condition(part, currency, parts.len() == 1 && outermost))
            .collect();
        let joined = parts.join(&format!(" {word} "));
        if outermost || parts.len() == 1 {
            joined
        } else {
            format!("({joined})")
        }
    };
    match what {
        Condition::All(parts) => joint(parts, "and"),
        Condition::Any(parts) => joint(parts, "or"),
        Condition::Among { field, values, is } => {
            let name = match field {
                TextField::Country | TextField::Product | TextField::Event | TextField::Coupon => {
                    format!("the {}", field.name())
                }
                TextField::Sub(_) | TextField::Meta(_) => field.name(),
            };
            match (is, values.as_slice()) {
                (true, values) => format!("{name} is {}", list(values, "or")),
                (false, [one]) => format!("{name} is not {one}"),
                (false, values) => format!("{name} is none of {}", list(values, "and")),
            }
        }
        Condition::Within {
            field,
            at_least,
            below,
        } => {
            let (name, unit) = match field {
                NumberField::Amount => ("the amount", Unit::Amount),
                NumberField::Margin => ("the margin", Unit::Amount),
                NumberField::NetRevenue => ("the net revenue", Unit::Amount),
                NumberField::Quantity => ("the quantity", Unit::Count),
                NumberField::MonthsSinceFirstSale => (
                    "the number of whole months since the customer's first",
                    Unit::Count,
                ),
            };
            let bound = |decimal: &rust_decimal::Decimal| match unit {
                Unit::Count => decimal.to_string(),
                Unit::Amount => {
                    let mut decimal = *decimal;
                    decimal.rescale(currency.exponent());
                    let minor = i64::try_from(decimal.mantissa()).unwrap_or(i64::MAX);
                    money(Money::new(minor, currency))
                }
            };
            let bounds: Vec<String> = [("at least", at_least), ("below", below)]
                .into_iter()
                .filter_map(|(word, decimal)| Some(format!("{word} {}", bound(decimal.as_ref()?))))
                .collect();
            format!("{name} is {}", bounds.join(" and "))
        }
        Condition::NewCustomer(true) => "the customer is new".to_owned(),
        Condition::NewCustomer(false) => "the customer is not new".to_owned(),
    }
}

fn cap(cap: &Cap) -> String {
    let Cap {
        scope,
        window,
        amount,
    } = *cap;
    let amount = money(amount);
    let over = match window {
        Window::Month => " in a calendar month",
        Window::Quarter => " in a calendar quarter",
        Window::Trailing { .. } | Window::Lifetime => " in all",
    };
    match scope {
        CapScope::Conversion => format!("Together at most {amount} for one event."),
        CapScope::Customer => format!("Together at most {amount} for one customer{over}."),
        CapScope::Partner => format!("Together at most {amount} for one partner{over}."),
        CapScope::Program => {
            format!(
                "Together at most {amount} for all partners on the plan{over}, uplines not counted."
            )
        }
    }
}

fn level((level, number): (&Level, usize)) -> String {
    let Level { rate, of, rounding } = *level;
    let of = match (of, number) {
        (LevelBase::Sale, _) => "the amount, where a component pays for it".to_owned(),
        (LevelBase::Commission, 1) => "what the partner gets".to_owned(),
        (LevelBase::Commission, _) => "what the level below gets".to_owned(),
    };
    let rounding = match rounding {
        Rounding::HalfUp => "",
        Rounding::Floor => ", rounded down",
    };
    format!(
        "Upline level {number} gets {} of {of}{rounding}.",
        share(rate)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ids::ProgramId;
    use crate::plans::wire;

    fn said(terms: &Value) -> Vec<String> {
        let currency = "GBP".parse().unwrap();
        let plan = PlanVersion {
            program: ProgramId::from_bytes([1; 16]),
            code: "standard".to_owned(),
            version: 1,
            effective_from: "2026-02-10T12:00:00Z".parse().unwrap(),
            hold_days: 30,
            terms: wire::terms(terms, currency).unwrap(),
            created_at: "2026-02-10T12:00:00Z".parse().unwrap(),
        };
        sentences(&plan, currency)
    }

    /// What is said of a component that stands alone.
    fn check(component: Value, sentence: &str) {
        assert_eq!(said(&json!({ "components": [component] }))[1], sentence);
    }

    fn tiered(mode: &str, brackets: Value) -> Value {
        json!({ "kind": "tiered", "event": "sale", "measure": { "unit": "amount" }, "window": { "kind": "month" }, "mode": mode, "brackets": brackets })
    }

    #[test]
    fn each_kind_says_what_it_pays() {
        check(
            json!({ "kind": "flat", "event": "lead", "amount": "1234.50" }),
            "For each lead: 1,234.50 GBP for each unit.",
        );
        check(
            json!({ "kind": "percent", "event": "sale", "rate": "0.125", "of": "margin", "minimum": "1.00", "maximum": "50.00" }),
            "For each sale: 12.5 % of the margin. At least 1.00 GBP for each that pays anything, and at most 50.00 GBP.",
        );
        check(
            json!({ "kind": "revenue_share", "event": "bet", "window": { "kind": "month" }, "carryover": "capped", "carryover_limit": "500.00",
                "brackets": [{ "from": "0", "rate": "0.25" }, { "from": "10000.00", "rate": "0.30" }] }),
            "Of the net revenue of bet events in the calendar month, their amounts less bonuses, fees and chargebacks: \
             25 % while it is below 10,000.00 GBP, 30 % of all of it once it reaches 10,000.00 GBP. \
             What the calendar month ends below zero is carried to the next, at most 500.00 GBP of it.",
        );
        check(
            json!({ "kind": "milestone", "measure": { "unit": "count", "events": ["sale", "renewal"], "scope": "subtree" },
                "window": { "kind": "quarter" }, "at": 1000, "amount": "100.00" }),
            "Once in the calendar quarter, when the number of sale and renewal events, the partner's own and those of all \
             partners below it, in the calendar quarter reaches 1,000: 100.00 GBP.",
        );
    }

    #[test]
    fn each_mode_says_how_its_brackets_pay() {
        let rates = json!([{ "from": "0", "rate": "0.10" }, { "from": "5000.00", "rate": "0.12" }, { "from": "10000.00", "rate": "0.15" }]);
        check(
            tiered("marginal", rates.clone()),
            "For each sale, by the amount of sale events in the calendar month: 10 % of the amount up to 5,000.00 GBP, \
             12 % of what is above up to 10,000.00 GBP, 15 % of what is above. What crosses a bound is split there.",
        );
        check(
            tiered("attained", rates.clone()),
            "For each sale, by the amount of sale events in the calendar month, itself included: 10 % of the amount below \
             5,000.00 GBP, 12 % of the amount from 5,000.00 GBP on, 15 % of the amount from 10,000.00 GBP on. \
             Each sale is paid wholly at the bracket that it reaches.",
        );
        check(
            tiered("retroactive", rates),
            "For each sale, by the amount of sale events in the calendar month: 10 % of the amount while it is below \
             5,000.00 GBP, 12 % of the amount once it reaches 5,000.00 GBP, 15 % of the amount once it reaches 10,000.00 GBP. \
             What the calendar month reaches rates everything in it, from its first sale on.",
        );
        check(
            tiered(
                "interpolated",
                json!([{ "from": "0", "pay": "0.00" }, { "from": "5000.00", "pay": "500.00" }]),
            ),
            "By the amount of sale events in the calendar month: in all 0.00 GBP at 0.00 GBP, 500.00 GBP at 5,000.00 GBP. \
             Between these points pay grows in proportion, and beyond the last it stays.",
        );
    }

    #[test]
    fn conditions_durations_and_gates_say_when_it_pays() {
        check(
            json!({ "kind": "flat", "event": "lead", "amount": "5.00", "duration": { "months": 12 },
                "when": { "any": [
                    { "field": "country", "not_in": ["GB", "IE"] },
                    { "all": [
                        { "field": "amount", "at_least": "100.00", "below": "5000.00" },
                        { "field": "customer", "is": "new" },
                        { "field": "meta.shelf", "in": ["top"] },
                    ] },
                ] },
                "gate": { "measure": { "unit": "amount" }, "window": { "kind": "month" }, "at_least": "1000.00" } }),
            "For each lead: 5.00 GBP for each unit. Only if the country is none of GB and IE or (the amount is at least \
             100.00 GBP and below 5,000.00 GBP and the customer is new and meta.shelf is top). Only within 12 months of a \
             customer's first lead. Only if the amount of lead events in the calendar month reaches 1,000.00 GBP; until the \
             calendar month is closed, 3 days after its end, it is provisional.",
        );
    }

    #[test]
    fn what_binds_components_together_is_said_last() {
        let told = said(&json!({
            "time_zone": "Europe/London", "pays": "highest",
            "components": [
                { "kind": "flat", "event": "sale", "amount": "5.00" },
                { "kind": "percent", "event": "sale", "rate": "0.20", "duration": "first_sale" },
            ],
            "caps": [
                { "scope": "conversion", "amount": "75.00" },
                { "scope": "program", "window": { "kind": "quarter" }, "amount": "90000.00" },
            ],
            "levels": [{ "rate": "0.10", "of": "commission", "rounding": "floor" }, { "rate": "0.02", "of": "sale" }],
        }));
        assert_eq!(
            told,
            [
                "Plan standard pays for events from 2026-02-10T12:00:00Z on; what it pays is held for 30 days from the event.",
                "1. For each sale: 5.00 GBP for each unit.",
                "2. For each sale: 20 % of the amount. Only for a customer's first sale.",
                "Where several of these match an event, the one that pays most pays alone.",
                "Together at most 75.00 GBP for one event.",
                "Together at most 90,000.00 GBP for all partners on the plan in a calendar quarter, uplines not counted.",
                "Upline level 1 gets 10 % of what the partner gets, rounded down.",
                "Upline level 2 gets 2 % of the amount, where a component pays for it.",
                "Months and quarters are those of the calendar in the time zone Europe/London.",
                "What is counted or limited over time is that of this version alone: the next one begins anew.",
                "Fractions of the smallest unit of the currency are rounded half up unless stated otherwise.",
            ]
        );
    }
}
