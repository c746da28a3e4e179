//! Plans as JSON: one form for requests, answers and the store.
//!
//! Money is a decimal string in the program's currency and counts are JSON integers, also where a measure
//! has thresholds: an amount's are strings, a count's are integers. What is left out is as
//! [`Component::simple`] and [`Terms::of`] have it. What is written reads back.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::model::{
    BASES, Base, Bracket, BracketPay, CAP_SCOPES, Cap, CapScope, Carryover, Component, Condition,
    Duration, Gate, LEVEL_BASES, Level, MAX_BRACKETS, MAX_CAPS, MAX_COMPONENTS, MAX_DEPTH,
    MAX_DURATION_MONTHS, MAX_LEVELS, MAX_TESTS, MAX_TRAILING_DAYS, MAX_VALUES, MODES, Measure,
    Mode, NUMBER_FIELDS, NumberField, PAYS, Pay, Pays, ROUNDINGS, RevenueShare, SCOPES, Scope,
    Terms, TextField, Tiers, UNITS, Unit, Window, name_in,
};
use crate::edge::{Fields, codes};
use crate::money::{Currency, Money, Rate, Rounding};
use crate::partners::model::is_country;
use crate::programs::model::{MAX_CODE, is_event};

/// The most that one unit may pay, in minor units: times the largest quantity, twenty components and forty
/// conversions of one transaction it still is a number that 64 bits hold.
pub const MAX_FLAT_MINOR: i64 = 10_000_000_000;
/// The highest threshold of a count: a million million, as for amounts in minor units.
pub const MAX_COUNT: i64 = 1_000_000_000_000;
/// Events that one measure counts or sums.
pub const MAX_EVENTS: usize = 20;
/// Characters of a value that a condition lists: as many as a posted text may have.
pub const MAX_VALUE: usize = 128;
/// Characters of a time zone's name: the database's longest has half of that.
const MAX_TIME_ZONE: usize = 64;

/// How a component says what it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flat,
    Percent,
    Tiered,
    RevenueShare,
    Milestone,
}

const KINDS: &[(&str, Kind)] = &[
    ("flat", Kind::Flat),
    ("percent", Kind::Percent),
    ("tiered", Kind::Tiered),
    ("revenue_share", Kind::RevenueShare),
    ("milestone", Kind::Milestone),
];

/// What a component of any kind may hold: what belongs to one whose kind is not known cannot be told.
const COMPONENT_FIELDS: &[&str] = &[
    "amount",
    "at",
    "brackets",
    "carryover",
    "carryover_limit",
    "duration",
    "gate",
    "maximum",
    "measure",
    "minimum",
    "mode",
    "of",
    "rate",
    "when",
    "window",
];

/// How a window says what it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Span {
    Month,
    Quarter,
    Trailing,
    Lifetime,
}

const SPANS: &[(&str, Span)] = &[
    ("month", Span::Month),
    ("quarter", Span::Quarter),
    ("trailing", Span::Trailing),
    ("lifetime", Span::Lifetime),
];

/// How a revenue share says what a negative window leaves to the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Carry,
    Reset,
    Capped,
}

const CARRYOVERS: &[(&str, Left)] = &[
    ("carry", Left::Carry),
    ("reset", Left::Reset),
    ("capped", Left::Capped),
];

/// Reads what a plan pays from an object that says more of it: one as it would be made, or as it is shown.
pub fn of_plan(f: &mut Fields<'_>, currency: Currency) -> Option<Terms> {
    for beside in [
        "code",
        "hold_days",
        "effective_from",
        "program",
        "version",
        "created_at",
    ] {
        let _ = f.raw(beside);
    }
    read(f, currency)
}

/// Reads a plan's terms from the object that holds `components` and what binds them, noting every error.
pub fn read(f: &mut Fields<'_>, currency: Currency) -> Option<Terms> {
    let time_zone = f.opt_parsed(
        "time_zone",
        MAX_TIME_ZONE,
        codes::TIME_ZONE_UNKNOWN,
        "is a time zone's IANA name such as Europe/London",
        time_zone,
    );
    let pays = f.opt_choice("pays", PAYS);
    let components = f.objects("components", 1, MAX_COMPONENTS, |f| component(f, currency));
    let caps = f.opt_objects("caps", 0, MAX_CAPS, |f| cap(f, currency));
    for position in caps.as_deref().map(repeated).unwrap_or_default() {
        f.refuse(
            codes::CAP_REPEATED,
            &format!("caps[{position}]"),
            "limits what a cap before it limits; keep the lower one",
        );
    }
    let levels = f.opt_objects("levels", 0, MAX_LEVELS, level);
    Some(Terms {
        time_zone: time_zone.unwrap_or_else(|| "UTC".to_owned()),
        pays: pays.unwrap_or(Pays::All),
        components: components?,
        caps: caps.unwrap_or_default(),
        levels: levels.unwrap_or_default(),
    })
}

/// The terms that were written by [`write`].
///
/// # Errors
/// What is wrong with them, in words.
pub fn terms(value: &Value, currency: Currency) -> Result<Terms, String> {
    Fields::read(value, |f| read(f, currency)).map_err(|problem| problem.detail().to_owned())
}

/// The name as the time zone database spells it.
fn time_zone(text: &str) -> Option<String> {
    let zone = TimeZone::get(text).ok()?;
    zone.iana_name().map(str::to_owned)
}

/// The currency that stands beside amounts: the program's or absent.
fn own_currency(f: &mut Fields<'_>, currency: Currency) {
    if f.opt_currency("currency")
        .is_some_and(|given| given != currency)
    {
        let reason = format!("is the program's, {currency}");
        f.refuse(codes::CURRENCY_MISMATCH, "currency", reason);
    }
}

fn event(f: &mut Fields<'_>) -> Option<String> {
    f.opt_parsed(
        "event",
        MAX_CODE,
        codes::CHARACTERS_REFUSED,
        "is lower-case letters, digits, _, - and ., beginning with a letter or digit",
        |text| is_event(text).then(|| text.to_owned()),
    )
}

fn component(f: &mut Fields<'_>, currency: Currency) -> Option<Component> {
    let kind = f.choice("kind", KINDS);
    own_currency(f, currency);
    let event = event(f);
    // A milestone may leave it to its measure.
    if kind != Some(Kind::Milestone) && f.raw("event").is_none() {
        f.refuse(codes::REQUIRED, "event", "is missing");
    }
    let pay = match kind {
        None => {
            for name in COMPONENT_FIELDS {
                f.raw(name);
            }
            return None;
        }
        Some(Kind::Milestone) => return milestone(f, event, currency),
        Some(Kind::Flat) => flat(f, currency).map(Pay::Flat),
        Some(Kind::Percent) => {
            let rate = f.rate("rate");
            let of = base(f);
            rate.map(|rate| Pay::Percent { rate, of })
        }
        Some(Kind::Tiered) => tiers(f, event.as_deref(), currency).map(Pay::Tiered),
        Some(Kind::RevenueShare) => revenue_share(f, currency).map(Pay::RevenueShare),
    };
    let when = f.opt_object("when", |f| condition(f, currency, 1, &mut 0));
    let duration = duration(f);
    let (minimum, maximum) = if pays_each(kind, pay.as_ref()) {
        bounds(f, currency)
    } else {
        (None, None)
    };
    let gate = f.opt_object("gate", |f| gate(f, event.as_deref(), currency));
    Some(Component {
        event: event?,
        when,
        pay: pay?,
        duration: duration.unwrap_or(Duration::Forever),
        minimum,
        maximum,
        gate,
    })
}

/// Whether what a component pays is the sum of what it pays for each conversion by itself, which alone has
/// a minimum and a maximum.
fn pays_each(kind: Option<Kind>, pay: Option<&Pay>) -> bool {
    let of_the_whole = match pay {
        Some(Pay::Tiered(tiers)) => {
            matches!(tiers.mode, Mode::Interpolated | Mode::Retroactive)
        }
        _ => kind == Some(Kind::RevenueShare),
    };
    !of_the_whole
}

fn bounds(f: &mut Fields<'_>, currency: Currency) -> (Option<Money>, Option<Money>) {
    let minimum = f.opt_amount("minimum", currency);
    let maximum = f.opt_amount("maximum", currency);
    if let (Some(least), Some(most)) = (minimum, maximum)
        && least.minor() > most.minor()
    {
        f.refuse(codes::RANGE_EMPTY, "minimum", "is above `maximum`");
    }
    (minimum, maximum)
}

fn flat(f: &mut Fields<'_>, currency: Currency) -> Option<Money> {
    if f.raw("amount").is_none() {
        f.refuse(codes::REQUIRED, "amount", "is missing");
    }
    opt_flat(f, currency)
}

fn opt_flat(f: &mut Fields<'_>, currency: Currency) -> Option<Money> {
    let amount = f.opt_amount("amount", currency)?;
    if amount.minor() > MAX_FLAT_MINOR {
        let reason = "is over the limit for a flat amount";
        f.refuse(codes::AMOUNT_OVER_LIMIT, "amount", reason);
    }
    Some(amount)
}

fn base(f: &mut Fields<'_>) -> Base {
    f.opt_choice("of", BASES).unwrap_or(Base::Amount)
}

fn duration(f: &mut Fields<'_>) -> Option<Duration> {
    if f.raw("duration").is_some_and(Value::is_object) {
        let months = f.opt_object("duration", |f| {
            f.integer("months", 1, i64::from(MAX_DURATION_MONTHS))
        });
        return months.and_then(|months| u32::try_from(months).ok().map(Duration::Months));
    }
    let words = [
        ("forever", Duration::Forever),
        ("first_sale", Duration::FirstSale),
    ];
    f.opt_choice("duration", &words)
}

/// Reads what is measured; the component's own event unless others are named.
fn measure(f: &mut Fields<'_>, event: Option<&str>) -> Option<Measure> {
    let unit = f.choice("unit", UNITS);
    let events = if event.is_some() && f.raw("events").is_none() {
        event.map(|event| vec![event.to_owned()])
    } else {
        f.texts("events", 1, MAX_EVENTS, MAX_CODE)
    };
    for (position, name) in events.iter().flatten().enumerate() {
        let path = format!("events[{position}]");
        if !is_event(name) {
            let reason = "is the name of an event, such as sale";
            f.refuse(codes::CHARACTERS_REFUSED, &path, reason);
        } else if events.iter().flatten().take(position).any(|e| e == name) {
            f.refuse(codes::NOT_ONE_OF, &path, "stands in the list before");
        }
    }
    let scope = f.opt_choice("scope", SCOPES);
    Some(Measure {
        unit: unit?,
        events: events?,
        scope: scope.unwrap_or(Scope::Own),
    })
}

/// Reads a window, of which only some kinds are meant.
fn window(f: &mut Fields<'_>, name: &'static str, allowed: &[Span], why: &str) -> Option<Window> {
    f.object(name, |f| {
        let span = f.choice("kind", SPANS)?;
        if !allowed.contains(&span) {
            f.raw("days");
            f.refuse(codes::WINDOW_UNSUPPORTED, "kind", why);
            return None;
        }
        Some(match span {
            Span::Month => Window::Month,
            Span::Quarter => Window::Quarter,
            Span::Lifetime => Window::Lifetime,
            Span::Trailing => {
                let days = f.integer("days", 1, i64::from(MAX_TRAILING_DAYS))?;
                Window::Trailing {
                    days: u32::try_from(days).ok()?,
                }
            }
        })
    })
}

/// Reads a threshold in its measure's unit: minor units, written as money, or a whole number.
fn threshold(
    f: &mut Fields<'_>,
    name: &'static str,
    unit: Option<Unit>,
    currency: Currency,
) -> Option<i64> {
    match unit {
        Some(Unit::Count) => f.integer(name, 0, MAX_COUNT),
        Some(Unit::Amount) => f.amount(name, currency).map(Money::minor),
        None => {
            f.raw(name);
            None
        }
    }
}

/// Reads a threshold that is not reached from the beginning.
fn goal(
    f: &mut Fields<'_>,
    name: &'static str,
    unit: Option<Unit>,
    currency: Currency,
) -> Option<i64> {
    let goal = threshold(f, name, unit, currency)?;
    if goal == 0 {
        f.refuse(codes::OUT_OF_RANGE, name, "is above 0");
    }
    Some(goal)
}

fn gate(f: &mut Fields<'_>, event: Option<&str>, currency: Currency) -> Option<Gate> {
    let measure = f.object("measure", |f| measure(f, event));
    let window = window(
        f,
        "window",
        &[Span::Month, Span::Quarter],
        "is month or quarter: a gate is judged when its window closes",
    );
    let unit = measure.as_ref().map(|measure| measure.unit);
    let at_least = goal(f, "at_least", unit, currency);
    Some(Gate {
        measure: measure?,
        window: window?,
        at_least: at_least?,
    })
}

fn milestone(f: &mut Fields<'_>, event: Option<String>, currency: Currency) -> Option<Component> {
    let measure = f.object("measure", |f| measure(f, event.as_deref()));
    let window = window(
        f,
        "window",
        &[Span::Month, Span::Quarter, Span::Lifetime],
        "is month, quarter or lifetime: in a window that slides, once has no end",
    );
    let unit = measure.as_ref().map(|measure| measure.unit);
    let at = goal(f, "at", unit, currency);
    let amount = flat(f, currency);
    let measure = measure?;
    let event = event.or_else(|| measure.events.first().cloned());
    let pay = Pay::Milestone {
        measure,
        window: window?,
        at: at?,
        amount: amount?,
    };
    Some(Component::simple(event?, pay))
}

fn revenue_share(f: &mut Fields<'_>, currency: Currency) -> Option<RevenueShare> {
    let window = window(
        f,
        "window",
        &[Span::Month, Span::Quarter],
        "is month or quarter: net revenue is settled by calendar periods",
    );
    let brackets = if f.raw("brackets").is_some() {
        if f.raw("rate").is_some() {
            let reason = "stands in the brackets; leave one of them out";
            f.refuse(codes::UNKNOWN_FIELD, "rate", reason);
        }
        brackets(f, Some(Unit::Amount), currency, |f, from| {
            Some((from?, f.rate("rate")?))
        })
    } else {
        f.rate("rate").map(|rate| vec![(0, rate)])
    };
    let left = f.choice("carryover", CARRYOVERS);
    let carryover = match left {
        Some(Left::Carry) => Some(Carryover::Carry),
        Some(Left::Reset) => Some(Carryover::Reset),
        Some(Left::Capped) => f.amount("carryover_limit", currency).map(Carryover::Capped),
        None => {
            f.raw("carryover_limit");
            None
        }
    };
    Some(RevenueShare {
        window: window?,
        brackets: brackets?,
        carryover: carryover?,
    })
}

fn tiers(f: &mut Fields<'_>, event: Option<&str>, currency: Currency) -> Option<Tiers> {
    let measure = f.object("measure", |f| measure(f, event));
    let mode = f.choice("mode", MODES);
    let slides = mode.is_none_or(|mode| mode == Mode::Attained);
    let spans = [Span::Month, Span::Quarter, Span::Lifetime, Span::Trailing];
    let window = window(
        f,
        "window",
        if slides { &spans } else { &spans[..3] },
        "trails only under the mode attained: of a window that slides, no part is ever whole, so neither \
         split, accumulated nor retroactive pay adds up",
    );
    let of = base(f);
    let unit = measure.as_ref().map(|measure| measure.unit);
    let brackets = brackets(f, unit, currency, |f, from| {
        let pay = bracket_pay(f, mode, unit, currency);
        Some(Bracket {
            from: from?,
            pay: pay?,
        })
    });
    if let (Some(Mode::Interpolated), Some(brackets)) = (mode, &brackets) {
        refuse_descent(f, brackets);
    }
    Some(Tiers {
        measure: measure?,
        window: window?,
        mode: mode?,
        of,
        brackets: brackets?,
    })
}

/// Reads `brackets`: each begins at `from`, included, and ends where the next begins; `to` may say so
/// again. Whatever else is wrong with them, gaps and overlaps are told too.
fn brackets<T>(
    f: &mut Fields<'_>,
    unit: Option<Unit>,
    currency: Currency,
    mut read: impl FnMut(&mut Fields<'_>, Option<i64>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut ends = Vec::new();
    let brackets = f.objects("brackets", 1, MAX_BRACKETS, |f| {
        if f.raw("from").is_none() {
            f.refuse(codes::REQUIRED, "from", "is missing");
        }
        let is_stated = f.raw("from").is_some();
        let from = is_stated.then(|| threshold(f, "from", unit, currency));
        let from = from.flatten();
        let is_closed = f.raw("to").is_some();
        let to = is_closed.then(|| threshold(f, "to", unit, currency));
        ends.push((from, to.flatten()));
        read(f, from)
    });
    for position in 0..ends.len() {
        let (from, to) = ends[position];
        let before = position.checked_sub(1).and_then(|before| ends[before].0);
        let next = ends.get(position + 1).map(|next| next.0);
        if position == 0 && from.is_some_and(|from| from > 0) {
            let reason = "is 0: what lies below the first bracket would be paid by none";
            f.refuse(codes::BRACKETS_START, "brackets[0].from", reason);
        }
        if before
            .zip(from)
            .is_some_and(|(before, from)| from <= before)
        {
            let path = format!("brackets[{position}].from");
            let reason = "is not above that of the bracket before it";
            f.refuse(codes::BRACKETS_OVERLAP, &path, reason);
        }
        let Some(to) = to else { continue };
        let path = format!("brackets[{position}].to");
        match next {
            None => f.refuse(
                codes::BRACKETS_GAP,
                &path,
                "is absent from the last bracket",
            ),
            Some(Some(next)) if to < next => {
                let reason =
                    "is below the next `from`; a bracket reaches up to where the next begins";
                f.refuse(codes::BRACKETS_GAP, &path, reason);
            }
            Some(Some(next)) if to > next => {
                let reason = "is above the next `from`; a bracket ends where the next begins";
                f.refuse(codes::BRACKETS_OVERLAP, &path, reason);
            }
            Some(_) => {}
        }
    }
    brackets
}

fn bracket_pay(
    f: &mut Fields<'_>,
    mode: Option<Mode>,
    unit: Option<Unit>,
    currency: Currency,
) -> Option<BracketPay> {
    let Some(mode) = mode else {
        for name in ["rate", "amount", "pay"] {
            f.raw(name);
        }
        return None;
    };
    if mode == Mode::Interpolated {
        return f.amount("pay", currency).map(BracketPay::Total);
    }
    let is_flat = f.raw("amount").is_some();
    if is_flat && f.raw("rate").is_some() {
        let reason = "is one of `rate` and `amount`, not both";
        f.refuse(codes::UNKNOWN_FIELD, "amount", reason);
        return None;
    }
    if !is_flat {
        return f.rate("rate").map(BracketPay::Rate);
    }
    if mode == Mode::Marginal && unit == Some(Unit::Amount) {
        let reason =
            "is a `rate` where amounts are split: no unit of quantity lies in one bracket alone";
        f.refuse(codes::BRACKET_PAY_UNSUPPORTED, "amount", reason);
    }
    opt_flat(f, currency).map(BracketPay::Flat)
}

/// Pay that accumulates begins at nothing and never falls.
fn refuse_descent(f: &mut Fields<'_>, brackets: &[Bracket]) {
    let mut before = 0;
    for (position, bracket) in brackets.iter().enumerate() {
        let BracketPay::Total(total) = bracket.pay else {
            continue;
        };
        let path = format!("brackets[{position}].pay");
        if position == 0 && !total.is_zero() {
            let reason = "is 0 in the first bracket: nothing is paid for nothing";
            f.refuse(codes::OUT_OF_RANGE, &path, reason);
        } else if total.minor() < before {
            let reason =
                "is all that is paid up to there, so not below that of the bracket before it";
            f.refuse(codes::OUT_OF_RANGE, &path, reason);
        }
        before = total.minor();
    }
}

fn cap(f: &mut Fields<'_>, currency: Currency) -> Option<Cap> {
    own_currency(f, currency);
    let scope = f.choice("scope", CAP_SCOPES);
    let window = match scope {
        // A conversion has no time over which anything adds up.
        Some(CapScope::Conversion) => Some(Window::Lifetime),
        Some(_) => window(
            f,
            "window",
            &[Span::Month, Span::Quarter, Span::Lifetime],
            "is month, quarter or lifetime: what is left of a cap has a beginning",
        ),
        None => {
            f.raw("window");
            None
        }
    };
    let amount = f.amount("amount", currency);
    Some(Cap {
        scope: scope?,
        window: window?,
        amount: amount?,
    })
}

/// Positions of caps that limit what one before them limits.
fn repeated(caps: &[Cap]) -> Vec<usize> {
    let same = |a: &Cap, b: &Cap| a.scope == b.scope && a.window == b.window;
    (0..caps.len())
        .filter(|position| {
            caps[..*position]
                .iter()
                .any(|cap| same(cap, &caps[*position]))
        })
        .collect()
}

fn level(f: &mut Fields<'_>) -> Option<Level> {
    let rate = f.rate("rate");
    let of = f.choice("of", LEVEL_BASES);
    let rounding = f.opt_choice("rounding", ROUNDINGS);
    Some(Level {
        rate: rate?,
        of: of?,
        rounding: rounding.unwrap_or(Rounding::HalfUp),
    })
}

/// What a test asks for.
#[derive(Clone)]
enum Asked {
    Text(TextField),
    Number(NumberField),
    Customer,
}

/// Reads a condition: `all` or `any` of several, or one test of a `field`.
fn condition(
    f: &mut Fields<'_>,
    currency: Currency,
    depth: usize,
    tests: &mut usize,
) -> Option<Condition> {
    let joint = match (f.raw("all"), f.raw("any"), f.raw("field")) {
        (Some(_), None, None) => "all",
        (None, Some(_), None) => "any",
        (None, None, Some(_)) => return test(f, currency, tests),
        (None, None, None) => {
            f.refuse(codes::REQUIRED, "field", "is missing, or `all` or `any`");
            return None;
        }
        _ => {
            let reason = "is one of `all`, `any` and `field`; nest one in another to have both";
            f.refuse(codes::UNKNOWN_FIELD, "field", reason);
            return None;
        }
    };
    if depth > MAX_DEPTH {
        let reason = format!("nests deeper than {MAX_DEPTH}");
        f.refuse(codes::CONDITION_TOO_LARGE, joint, reason);
        return None;
    }
    let parts = f.objects(joint, 1, MAX_TESTS, |f| {
        condition(f, currency, depth + 1, tests)
    })?;
    Some(match joint {
        "all" => Condition::All(parts),
        _ => Condition::Any(parts),
    })
}

fn test(f: &mut Fields<'_>, currency: Currency, tests: &mut usize) -> Option<Condition> {
    *tests += 1;
    if *tests == MAX_TESTS + 1 {
        let reason = format!("is one test more than the {MAX_TESTS} of a condition");
        f.refuse(codes::CONDITION_TOO_LARGE, "field", reason);
    }
    let numbers = NUMBER_FIELDS.iter().map(|(name, _)| *name);
    let known: Vec<&str> = [
        "country",
        "product",
        "event",
        "coupon",
        "sub1 to sub5",
        "customer",
    ]
    .into_iter()
    .chain(numbers)
    .collect();
    let reason = format!("is one of: {}, meta.<name>", known.join(", "));
    let asked = f.parsed("field", MAX_VALUE, codes::NOT_ONE_OF, &reason, asked);
    match asked {
        Some(Asked::Text(field)) => among(f, field),
        Some(Asked::Number(field)) => within(f, field, currency),
        Some(Asked::Customer) => f
            .choice("is", &[("new", true), ("returning", false)])
            .map(Condition::NewCustomer),
        None => {
            for name in ["in", "not_in", "is", "at_least", "below"] {
                f.raw(name);
            }
            None
        }
    }
}

fn asked(name: &str) -> Option<Asked> {
    let text = match name {
        "customer" => return Some(Asked::Customer),
        "country" => TextField::Country,
        "product" => TextField::Product,
        "event" => TextField::Event,
        "coupon" => TextField::Coupon,
        "sub1" => TextField::Sub(1),
        "sub2" => TextField::Sub(2),
        "sub3" => TextField::Sub(3),
        "sub4" => TextField::Sub(4),
        "sub5" => TextField::Sub(5),
        _ => match name.strip_prefix("meta.") {
            Some(name) => TextField::Meta(Some(name).filter(|name| !name.is_empty())?.to_owned()),
            None => {
                let number = NUMBER_FIELDS.iter().find(|(known, _)| *known == name)?;
                return Some(Asked::Number(number.1));
            }
        },
    };
    Some(Asked::Text(text))
}

fn among(f: &mut Fields<'_>, field: TextField) -> Option<Condition> {
    let is = f.raw("not_in").is_none();
    if !is && f.raw("in").is_some() {
        let reason = "is one of `in` and `not_in`, not both";
        f.refuse(codes::UNKNOWN_FIELD, "not_in", reason);
        return None;
    }
    let name = if is { "in" } else { "not_in" };
    let mut values = f.texts(name, 1, MAX_VALUES, MAX_VALUE)?;
    if field == TextField::Country {
        for (position, value) in values.iter_mut().enumerate() {
            value.make_ascii_uppercase();
            if !is_country(value) {
                let path = format!("{name}[{position}]");
                f.refuse(
                    codes::COUNTRY_UNKNOWN,
                    &path,
                    codes::COUNTRY_UNKNOWN.meaning,
                );
            }
        }
    }
    Some(Condition::Among { field, values, is })
}

fn within(f: &mut Fields<'_>, field: NumberField, currency: Currency) -> Option<Condition> {
    let mut bound = |name| match field {
        NumberField::Amount | NumberField::Margin | NumberField::NetRevenue => f
            .opt_amount(name, currency)
            .map(|amount| Decimal::new(amount.minor(), currency.exponent())),
        NumberField::Quantity | NumberField::MonthsSinceFirstSale => {
            f.opt_integer(name, 0, MAX_COUNT).map(Decimal::from)
        }
    };
    let (at_least, below) = (bound("at_least"), bound("below"));
    if f.raw("at_least").is_none() && f.raw("below").is_none() {
        f.refuse(codes::REQUIRED, "at_least", "is missing, or `below`");
        return None;
    }
    if let (Some(low), Some(high)) = (at_least, below)
        && low >= high
    {
        f.refuse(codes::RANGE_EMPTY, "at_least", "is not below `below`");
    }
    Some(Condition::Within {
        field,
        at_least,
        below,
    })
}

/// Writes a plan's terms: `time_zone`, `pays`, `components`, `caps` and `levels`.
#[must_use]
pub fn write(terms: &Terms, currency: Currency) -> Value {
    let Terms {
        time_zone,
        pays,
        components,
        caps,
        levels,
    } = terms;
    let components: Vec<Value> = components
        .iter()
        .map(|component| write_component(component, currency))
        .collect();
    let caps: Vec<Value> = caps.iter().map(|cap| write_cap(cap, currency)).collect();
    let levels: Vec<Value> = levels.iter().map(write_level).collect();
    json!({
        "time_zone": time_zone,
        "pays": name_in(PAYS, *pays),
        "components": components,
        "caps": caps,
        "levels": levels,
    })
}

fn write_component(component: &Component, currency: Currency) -> Value {
    let Component {
        event,
        when,
        pay,
        duration,
        minimum,
        maximum,
        gate,
    } = component;
    let mut map = Map::new();
    let mut set = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    set("event", json!(event));
    set("currency", json!(currency.code()));
    match pay {
        Pay::Flat(amount) => {
            set("kind", json!("flat"));
            set("amount", write_money(*amount));
        }
        Pay::Percent { rate, of } => {
            set("kind", json!("percent"));
            set("rate", write_rate(*rate));
            set("of", json!(of.name()));
        }
        Pay::Tiered(Tiers {
            measure,
            window,
            mode,
            of,
            brackets,
        }) => {
            set("kind", json!("tiered"));
            set("measure", write_measure(measure));
            set("window", write_window(*window));
            set("mode", json!(name_in(MODES, *mode)));
            set("of", json!(of.name()));
            let write = |bracket: &Bracket| write_bracket(*bracket, measure.unit, currency);
            set("brackets", brackets.iter().map(write).collect());
        }
        Pay::RevenueShare(RevenueShare {
            window,
            brackets,
            carryover,
        }) => {
            set("kind", json!("revenue_share"));
            set("window", write_window(*window));
            match brackets.as_slice() {
                [(0, rate)] => set("rate", write_rate(*rate)),
                several => {
                    let write = |(from, rate): &(i64, Rate)| {
                        let from = write_threshold(*from, Unit::Amount, currency);
                        json!({ "from": from, "rate": write_rate(*rate) })
                    };
                    set("brackets", several.iter().map(write).collect());
                }
            }
            match carryover {
                Carryover::Carry => set("carryover", json!("carry")),
                Carryover::Reset => set("carryover", json!("reset")),
                Carryover::Capped(limit) => {
                    set("carryover", json!("capped"));
                    set("carryover_limit", write_money(*limit));
                }
            }
        }
        Pay::Milestone {
            measure,
            window,
            at,
            amount,
        } => {
            set("kind", json!("milestone"));
            set("measure", write_measure(measure));
            set("window", write_window(*window));
            set("at", write_threshold(*at, measure.unit, currency));
            set("amount", write_money(*amount));
        }
    }
    if let Some(when) = when {
        set("when", write_condition(when, currency));
    }
    match duration {
        Duration::Forever => {}
        Duration::FirstSale => set("duration", json!("first_sale")),
        Duration::Months(months) => set("duration", json!({ "months": months })),
    }
    for (name, bound) in [("minimum", minimum), ("maximum", maximum)] {
        if let Some(bound) = bound {
            set(name, write_money(*bound));
        }
    }
    if let Some(Gate {
        measure,
        window,
        at_least,
    }) = gate
    {
        let gate = json!({
            "measure": write_measure(measure),
            "window": write_window(*window),
            "at_least": write_threshold(*at_least, measure.unit, currency),
        });
        set("gate", gate);
    }
    Value::Object(map)
}

fn write_money(amount: Money) -> Value {
    Value::String(amount.to_string())
}

fn write_rate(rate: Rate) -> Value {
    Value::String(rate.to_string())
}

fn write_threshold(threshold: i64, unit: Unit, currency: Currency) -> Value {
    match unit {
        Unit::Count => Value::from(threshold),
        Unit::Amount => write_money(Money::new(threshold, currency)),
    }
}

fn write_measure(measure: &Measure) -> Value {
    let Measure {
        unit,
        events,
        scope,
    } = measure;
    json!({ "unit": name_in(UNITS, *unit), "events": events, "scope": name_in(SCOPES, *scope) })
}

fn write_window(window: Window) -> Value {
    match window {
        Window::Month => json!({ "kind": "month" }),
        Window::Quarter => json!({ "kind": "quarter" }),
        Window::Trailing { days } => json!({ "kind": "trailing", "days": days }),
        Window::Lifetime => json!({ "kind": "lifetime" }),
    }
}

fn write_bracket(bracket: Bracket, unit: Unit, currency: Currency) -> Value {
    let Bracket { from, pay } = bracket;
    let from = write_threshold(from, unit, currency);
    match pay {
        BracketPay::Rate(rate) => json!({ "from": from, "rate": write_rate(rate) }),
        BracketPay::Flat(amount) => json!({ "from": from, "amount": write_money(amount) }),
        BracketPay::Total(total) => json!({ "from": from, "pay": write_money(total) }),
    }
}

fn write_cap(cap: &Cap, currency: Currency) -> Value {
    let Cap {
        scope,
        window,
        amount,
    } = *cap;
    let mut written = json!({
        "scope": scope.name(), "amount": write_money(amount), "currency": currency.code(),
    });
    if scope != CapScope::Conversion {
        written["window"] = write_window(window);
    }
    written
}

fn write_level(level: &Level) -> Value {
    let Level { rate, of, rounding } = *level;
    json!({
        "rate": write_rate(rate),
        "of": name_in(LEVEL_BASES, of),
        "rounding": name_in(ROUNDINGS, rounding),
    })
}

fn write_condition(condition: &Condition, currency: Currency) -> Value {
    let all = |parts: &[Condition]| -> Vec<Value> {
        let write = |part| write_condition(part, currency);
        parts.iter().map(write).collect()
    };
    match condition {
        Condition::All(parts) => json!({ "all": all(parts) }),
        Condition::Any(parts) => json!({ "any": all(parts) }),
        Condition::Among { field, values, is } => {
            let name = if *is { "in" } else { "not_in" };
            json!({ "field": field.name(), name: values })
        }
        Condition::Within {
            field,
            at_least,
            below,
        } => {
            let mut written = json!({ "field": name_in(NUMBER_FIELDS, *field) });
            for (name, bound) in [("at_least", at_least), ("below", below)] {
                if let Some(bound) = bound {
                    written[name] = write_bound(*field, *bound, currency);
                }
            }
            written
        }
        Condition::NewCustomer(new) => {
            json!({ "field": "customer", "is": if *new { "new" } else { "returning" } })
        }
    }
}

fn write_bound(field: NumberField, bound: Decimal, currency: Currency) -> Value {
    match field {
        NumberField::Amount | NumberField::Margin | NumberField::NetRevenue => {
            let mut bound = bound;
            bound.rescale(currency.exponent());
            Value::String(bound.to_string())
        }
        NumberField::Quantity | NumberField::MonthsSinceFirstSale => {
            Value::from(i64::try_from(bound).unwrap_or_default())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::edge::Problem;

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn read(value: &Value) -> Result<Terms, Problem> {
        Fields::read(value, |f| super::read(f, gbp()))
    }

    /// The field and code of everything that is wrong with a plan.
    fn told(value: &Value) -> Vec<(String, &'static str)> {
        let problem = read(value).unwrap_err();
        let told = |error: &crate::edge::FieldError| (error.field.clone(), error.code);
        problem.errors().iter().map(told).collect()
    }

    /// The same of a plan of one component.
    fn wrong(component: Value) -> Vec<(String, &'static str)> {
        told(&json!({ "components": [component] }))
    }

    fn check(component: Value, expected: &[(&str, &str)]) {
        let told = wrong(component.clone());
        let told: Vec<(&str, &str)> = told
            .iter()
            .map(|(field, code)| (field.strip_prefix("components[0].").unwrap_or(field), *code))
            .collect();
        assert_eq!(told, expected, "{component}");
    }

    fn tiered(mode: &str, unit: &str, brackets: Value) -> Value {
        json!({
            "kind": "tiered", "event": "sale", "measure": { "unit": unit },
            "window": { "kind": "month" }, "mode": mode, "brackets": brackets,
        })
    }

    /// A plan with every kind and option.
    fn full() -> Value {
        json!({
            "time_zone": "Europe/London", "pays": "highest",
            "components": [
                { "kind": "flat", "event": "lead", "amount": "25.00", "currency": "GBP", "duration": "first_sale",
                    "when": { "any": [
                        { "field": "country", "in": ["GB", "IE"] },
                        { "all": [
                            { "field": "amount", "at_least": "100.00", "below": "500.00" },
                            { "field": "quantity", "at_least": 2 },
                            { "field": "months_since_first_sale", "below": 12 },
                            { "field": "customer", "is": "returning" },
                            { "field": "sub3", "not_in": ["internal"] },
                            { "field": "meta.shelf", "in": ["Top"] },
                        ] },
                    ] } },
                { "kind": "percent", "event": "sale", "rate": "0.20", "of": "margin", "currency": "GBP",
                    "minimum": "1.00", "maximum": "50.00", "duration": { "months": 12 },
                    "gate": { "measure": { "unit": "count", "events": ["sale", "renewal"], "scope": "subtree" },
                        "window": { "kind": "quarter" }, "at_least": 10 } },
                { "kind": "tiered", "event": "sale", "measure": { "unit": "amount", "events": ["sale"], "scope": "own" },
                    "window": { "kind": "trailing", "days": 30 }, "mode": "attained", "of": "amount", "currency": "GBP",
                    "brackets": [{ "from": "0.00", "rate": "0.10" }, { "from": "5000.00", "amount": "3.50" }] },
                { "kind": "tiered", "event": "sale", "measure": { "unit": "count", "events": ["sale"], "scope": "own" },
                    "window": { "kind": "lifetime" }, "mode": "interpolated", "of": "amount", "currency": "GBP",
                    "brackets": [{ "from": 0, "pay": "0.00" }, { "from": 10, "pay": "100.00" }] },
                { "kind": "revenue_share", "event": "bet", "window": { "kind": "month" }, "currency": "GBP",
                    "brackets": [{ "from": "0.00", "rate": "0.25" }, { "from": "10000.00", "rate": "0.3" }],
                    "carryover": "capped", "carryover_limit": "500.00" },
                { "kind": "revenue_share", "event": "bet", "window": { "kind": "quarter" }, "currency": "GBP",
                    "rate": "0.4", "carryover": "carry" },
                { "kind": "milestone", "event": "sale", "measure": { "unit": "count", "events": ["sale"], "scope": "own" },
                    "window": { "kind": "month" }, "at": 10, "amount": "100.00", "currency": "GBP" },
            ],
            "caps": [
                { "scope": "conversion", "amount": "75.00", "currency": "GBP" },
                { "scope": "partner", "window": { "kind": "month" }, "amount": "1000.00", "currency": "GBP" },
                { "scope": "program", "window": { "kind": "lifetime" }, "amount": "90000.00", "currency": "GBP" },
            ],
            "levels": [
                { "rate": "0.10", "of": "commission", "rounding": "floor" },
                { "rate": "0.01", "of": "sale", "rounding": "half_up" },
            ],
        })
    }

    #[test]
    fn a_plan_is_written_as_it_was_read() {
        let terms = read(&full()).unwrap();
        assert_eq!(write(&terms, gbp()), full());
        assert_eq!(super::terms(&write(&terms, gbp()), gbp()), Ok(terms));
    }

    #[test]
    fn what_is_left_out_is_as_it_always_was() {
        let plan = json!({ "components": [
            { "kind": "flat", "event": "lead", "amount": "25.00" },
            { "kind": "percent", "event": "sale", "rate": "0.20" },
        ] });
        let flat = Component::flat("lead", Money::new(2500, gbp()));
        let percent = Component::percent("sale", "0.20".parse().unwrap());
        assert_eq!(read(&plan).unwrap(), Terms::of(vec![flat, percent]));
    }

    #[test]
    fn brackets_begin_at_nothing_ascend_and_leave_no_gap() {
        let rated = |bounds: &[(&str, Option<&str>)]| {
            let brackets: Vec<Value> = bounds
                .iter()
                .map(|(from, to)| json!({ "from": from, "to": to, "rate": "0.1" }))
                .collect();
            tiered("marginal", "amount", json!(brackets))
        };
        let plan = json!({ "components": [rated(&[("0", Some("5000.00")), ("5000.00", None)])] });
        assert!(read(&plan).is_ok());
        check(
            rated(&[("1", None)]),
            &[("brackets[0].from", "brackets_start")],
        );
        check(
            rated(&[("0", None), ("10", None), ("10", None)]),
            &[("brackets[2].from", "brackets_overlap")],
        );
        check(
            rated(&[("0", None), ("10", None), ("5", None)]),
            &[("brackets[2].from", "brackets_overlap")],
        );
        check(
            rated(&[("0", Some("9.99")), ("10", Some("20")), ("15", Some("30"))]),
            &[
                ("brackets[0].to", "brackets_gap"),
                ("brackets[1].to", "brackets_overlap"),
                ("brackets[2].to", "brackets_gap"),
            ],
        );
    }

    #[test]
    fn everything_wrong_with_brackets_is_told_at_once() {
        let brackets = json!([
            { "from": 5, "rate": "0.1" },
            { "from": "3.00", "rate": "1.1" },
            { "from": "2.00", "amount": "1.00" },
            { "rate": "0.1", "pay": "1.00" },
        ]);
        check(
            tiered("marginal", "amount", brackets),
            &[
                ("brackets[0].from", "decimal_string_expected"),
                ("brackets[1].rate", "rate_over_limit"),
                ("brackets[2].amount", "bracket_pay_unsupported"),
                ("brackets[3].from", "required"),
                ("brackets[3].pay", "unknown_field"),
                ("brackets[2].from", "brackets_overlap"),
            ],
        );
    }

    #[test]
    fn counts_have_integers_for_thresholds_and_amounts_have_money() {
        check(
            tiered(
                "attained",
                "count",
                json!([{ "from": 0, "rate": "0.1" }, { "from": "10", "rate": "0.2" }]),
            ),
            &[("brackets[1].from", "wrong_type")],
        );
        check(
            tiered("attained", "visits", json!([{ "from": 1, "rate": "0.1" }])),
            &[("measure.unit", "not_one_of")],
        );
    }

    #[test]
    fn accumulated_pay_begins_at_nothing_and_never_falls() {
        check(
            tiered(
                "interpolated",
                "count",
                json!([{ "from": 0, "pay": "1.00" }, { "from": 5, "pay": "0.50" }, { "from": 9, "rate": "0.1" }]),
            ),
            &[
                ("brackets[2].pay", "required"),
                ("brackets[2].rate", "unknown_field"),
            ],
        );
        check(
            tiered(
                "interpolated",
                "count",
                json!([{ "from": 0, "pay": "1.00" }, { "from": 5, "pay": "0.50" }]),
            ),
            &[
                ("brackets[0].pay", "out_of_range"),
                ("brackets[1].pay", "out_of_range"),
            ],
        );
    }

    #[test]
    fn windows_are_those_over_which_a_thing_can_be_computed() {
        let trailing = json!({ "kind": "trailing", "days": 30 });
        for mode in ["marginal", "retroactive"] {
            let mut component = tiered(mode, "count", json!([{ "from": 0, "rate": "0.1" }]));
            component["window"] = trailing.clone();
            check(component, &[("window.kind", "window_unsupported")]);
        }
        check(
            json!({ "kind": "revenue_share", "event": "bet", "rate": "0.3", "carryover": "carry", "window": { "kind": "lifetime" } }),
            &[("window.kind", "window_unsupported")],
        );
        check(
            json!({ "kind": "milestone", "measure": { "unit": "count", "events": ["sale"] }, "at": 0, "amount": "1.00", "window": trailing }),
            &[
                ("window.kind", "window_unsupported"),
                ("at", "out_of_range"),
            ],
        );
        check(
            json!({ "kind": "flat", "event": "lead", "amount": "1.00",
                "gate": { "measure": { "unit": "amount" }, "at_least": "10.00", "window": { "kind": "lifetime" } } }),
            &[("gate.window.kind", "window_unsupported")],
        );
        let caps = json!({ "components": [{ "kind": "flat", "event": "lead", "amount": "1.00" }], "caps": [
            { "scope": "program", "amount": "9.00" },
            { "scope": "partner", "amount": "9.00", "window": trailing },
            { "scope": "conversion", "amount": "9.00", "window": { "kind": "month" } },
        ] });
        assert_eq!(
            told(&caps),
            [
                ("caps[0].window".to_owned(), "required"),
                ("caps[1].window.kind".to_owned(), "window_unsupported"),
                ("caps[2].window".to_owned(), "unknown_field"),
            ]
        );
    }

    #[test]
    fn a_condition_names_what_it_does_not_understand() {
        let lead = |when: Value| json!({ "kind": "flat", "event": "lead", "amount": "1.00", "when": when });
        for (when, expected) in [
            (json!({}), ("when.field", "required")),
            (
                json!({ "field": "colour", "in": ["red"] }),
                ("when.field", "not_one_of"),
            ),
            (
                json!({ "field": "meta.", "in": ["red"] }),
                ("when.field", "not_one_of"),
            ),
            (
                json!({ "field": "country", "in": ["UK"] }),
                ("when.in[0]", "country_unknown"),
            ),
            (json!({ "field": "product" }), ("when.in", "required")),
            (
                json!({ "field": "product", "in": ["a"], "not_in": ["b"] }),
                ("when.not_in", "unknown_field"),
            ),
            (
                json!({ "field": "amount", "at_least": 5 }),
                ("when.at_least", "decimal_string_expected"),
            ),
            (
                json!({ "field": "quantity", "at_least": 5, "below": 5 }),
                ("when.at_least", "range_empty"),
            ),
            (
                json!({ "field": "quantity" }),
                ("when.at_least", "required"),
            ),
            (
                json!({ "field": "customer", "is": "old" }),
                ("when.is", "not_one_of"),
            ),
            (
                json!({ "all": [{ "field": "customer", "is": "new" }], "field": "customer", "is": "new" }),
                ("when.field", "unknown_field"),
            ),
            (json!({ "any": [] }), ("when.any", "too_short")),
            (json!({ "all": [5] }), ("when.all[0]", "wrong_type")),
        ] {
            let told = wrong(lead(when.clone()));
            let first = (told[0].0.as_str(), told[0].1);
            let expected = (format!("components[0].{}", expected.0), expected.1);
            assert_eq!(first, (expected.0.as_str(), expected.1), "{when}");
        }
        let mut deep = json!({ "field": "customer", "is": "new" });
        for _ in 0..MAX_DEPTH {
            deep = json!({ "any": [deep] });
        }
        assert!(read(&json!({ "components": [lead(deep.clone())] })).is_ok());
        let told = wrong(lead(json!({ "all": [deep] })));
        assert_eq!(told[0].1, "condition_too_large");
        let test = json!({ "field": "customer", "is": "new" });
        let many = |n: usize| json!({ "all": [{ "any": vec![test.clone(); n - 1] }, test] });
        assert!(read(&json!({ "components": [lead(many(MAX_TESTS))] })).is_ok());
        let told = wrong(lead(many(MAX_TESTS + 1)));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1, "condition_too_large");
    }

    #[test]
    fn limits_that_cross_or_repeat_are_refused() {
        let plan = json!({
            "time_zone": "Europe/Londres", "pays": "some",
            "components": [
                { "kind": "percent", "event": "sale", "rate": "0.20", "minimum": "5.00", "maximum": "4.99" },
                { "kind": "flat", "event": "sale", "amount": "1.00", "currency": "USD", "duration": "a while" },
                { "kind": "flat", "event": "sale", "amount": "1.00", "duration": { "months": 0 } },
                { "kind": "revenue_share", "event": "bet", "rate": "0.3", "window": { "kind": "month" }, "carryover": "capped", "maximum": "9.00" },
            ],
            "caps": [
                { "scope": "partner", "window": { "kind": "month" }, "amount": "10.00" },
                { "scope": "partner", "window": { "kind": "quarter" }, "amount": "20.00" },
                { "scope": "partner", "window": { "kind": "month" }, "amount": "5.00" },
            ],
            "levels": vec![json!({ "rate": "0.1", "of": "sale" }); MAX_LEVELS + 1],
        });
        let told = told(&plan);
        let told: Vec<(&str, &str)> = told
            .iter()
            .map(|(field, code)| (field.as_str(), *code))
            .collect();
        assert_eq!(
            told,
            [
                ("time_zone", "time_zone_unknown"),
                ("pays", "not_one_of"),
                ("components[0].minimum", "range_empty"),
                ("components[1].currency", "currency_mismatch"),
                ("components[1].duration", "not_one_of"),
                ("components[2].duration.months", "out_of_range"),
                ("components[3].carryover_limit", "required"),
                ("components[3].maximum", "unknown_field"),
                ("caps[2]", "cap_repeated"),
                ("levels", "too_long"),
            ]
        );
    }
}
