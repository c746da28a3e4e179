//! Commission plans: what partners are signed on. Pure.
//!
//! A plan version is a list of components, each of which pays for events, beside the terms that bind them
//! together: what happens when several match, caps, and what uplines get. How much a plan pays is
//! [`crate::commissions::model`]'s to say.

use rust_decimal::Decimal;

use crate::clock::Timestamp;
use crate::ids::ProgramId;
use crate::money::{Money, Rate, Rounding};

/// Components of one plan version: what one calculation walks.
pub const MAX_COMPONENTS: usize = 20;
/// Brackets of one component.
pub const MAX_BRACKETS: usize = 50;
/// Caps of one plan version.
pub const MAX_CAPS: usize = 10;
/// Uplines that a sale may pay.
pub const MAX_LEVELS: usize = 5;
/// Tests of one condition, however nested.
pub const MAX_TESTS: usize = 50;
/// How deep conditions nest.
pub const MAX_DEPTH: usize = 5;
/// Values that one test lists.
pub const MAX_VALUES: usize = 100;
/// Days of a trailing window.
pub const MAX_TRAILING_DAYS: u32 = 400;
/// Months that a customer may go on paying: longer is for ever.
pub const MAX_DURATION_MONTHS: u32 = 600;
/// Days after its end at which a window closes.
pub const GRACE_DAYS: u32 = 3;
/// Plans that one link, enrolment or program may name over time.
pub const MAX_ASSIGNMENTS: usize = 100;

/// One immutable version of a commission plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanVersion {
    /// Its program.
    pub program: ProgramId,
    /// The plan's code, such as `standard`.
    pub code: String,
    /// Counts from 1.
    pub version: u32,
    /// Events from then on are paid by it, until a version that is effective later.
    pub effective_from: Timestamp,
    /// Days of 24 hours, from the event, that commissions are held.
    pub hold_days: u32,
    /// What it pays.
    pub terms: Terms,
    /// Since when it stands.
    pub created_at: Timestamp,
}

/// What a plan version pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// IANA name of the time zone in which its months and quarters begin.
    pub time_zone: String,
    /// What happens when several components match one event.
    pub pays: Pays,
    /// What pays.
    pub components: Vec<Component>,
    /// Limits over all components, in the order in which they are applied.
    pub caps: Vec<Cap>,
    /// What uplines get of each conversion, the nearest first; at most [`MAX_LEVELS`].
    pub levels: Vec<Level>,
}

/// What happens when several components match one event. Milestones always pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pays {
    /// All add up.
    All,
    /// The first of the list alone.
    First,
    /// The one that pays most; of equals the first.
    Highest,
}

/// Ways to choose among components by their names.
pub const PAYS: &[(&str, Pays)] = &[
    ("all", Pays::All),
    ("first", Pays::First),
    ("highest", Pays::Highest),
];

/// What one event pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The event that pays, such as `sale`.
    pub event: String,
    /// What else must hold of it.
    pub when: Option<Condition>,
    /// How much.
    pub pay: Pay,
    /// For how long a customer pays.
    pub duration: Duration,
    /// Pays for a conversion at least that, unless it pays nothing at all.
    pub minimum: Option<Money>,
    /// Pays for a conversion at most that.
    pub maximum: Option<Money>,
    /// Pays only if its window reaches a threshold, known when the window closes.
    pub gate: Option<Gate>,
}

/// How a component pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pay {
    /// A fixed amount for each unit of quantity.
    Flat(Money),
    /// A share.
    Percent {
        /// The share.
        rate: Rate,
        /// Of what.
        of: Base,
    },
    /// By brackets that a measure reaches.
    Tiered(Tiers),
    /// A share of a window's net gaming revenue: amounts less adjustments.
    RevenueShare(RevenueShare),
    /// A bonus, once, when a measure reaches a threshold in its window.
    Milestone {
        /// What is measured.
        measure: Measure,
        /// Over which time.
        window: Window,
        /// The threshold: a number of events, or minor units.
        at: i64,
        /// The bonus.
        amount: Money,
    },
}

/// What a share is taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The event's amount.
    Amount,
    /// The margin that came with it.
    Margin,
    /// The net revenue that came with it.
    NetRevenue,
}

/// Bases by their names.
pub const BASES: &[(&str, Base)] = &[
    ("amount", Base::Amount),
    ("margin", Base::Margin),
    ("net_revenue", Base::NetRevenue),
];

impl Base {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(BASES, self)
    }
}

/// Brackets over a measure in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers {
    /// What is measured.
    pub measure: Measure,
    /// Over which time.
    pub window: Window,
    /// How brackets pay.
    pub mode: Mode,
    /// What rates are taken of.
    pub of: Base,
    /// Ascending; the first begins at 0.
    pub brackets: Vec<Bracket>,
}

/// How brackets pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each conversion wholly at the bracket that the running measure, itself included, has reached.
    Attained,
    /// Each part of the amount at its own bracket's rate.
    Marginal,
    /// Pay accumulates along straight lines between the cumulative pay stated at brackets' starts.
    Interpolated,
    /// The bracket that the whole window reaches rates everything in it.
    Retroactive,
}

/// Modes by their names.
pub const MODES: &[(&str, Mode)] = &[
    ("attained", Mode::Attained),
    ("marginal", Mode::Marginal),
    ("interpolated", Mode::Interpolated),
    ("retroactive", Mode::Retroactive),
];

/// One bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// Where it begins, included: a number of events, or minor units.
    pub from: i64,
    /// What it pays.
    pub pay: BracketPay,
}

/// What a bracket pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BracketPay {
    /// A share.
    Rate(Rate),
    /// A fixed amount for each unit of quantity.
    Flat(Money),
    /// Interpolated mode: all that is paid once the measure stands at the bracket's start.
    Total(Money),
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Events, or their amounts.
    pub unit: Unit,
    /// Which events.
    pub events: Vec<String>,
    /// Whose.
    pub scope: Scope,
}

/// What is counted or summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Events, each as many as its quantity.
    Count,
    /// Their amounts, in minor units of the program's currency.
    Amount,
}

/// Units by their names.
pub const UNITS: &[(&str, Unit)] = &[("count", Unit::Count), ("amount", Unit::Amount)];

/// Whose events are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The partner's own.
    Own,
    /// Its own and those of all partners below it.
    SubTree,
}

/// Scopes by their names.
pub const SCOPES: &[(&str, Scope)] = &[("own", Scope::Own), ("subtree", Scope::SubTree)];

/// Over which time something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// A calendar month in the plan's time zone.
    Month,
    /// A calendar quarter in the plan's time zone.
    Quarter,
    /// That many days of 24 hours up to the event, which is included.
    Trailing {
        /// How many.
        days: u32,
    },
    /// All the time that the plan version pays.
    Lifetime,
}

/// A share of a window's net gaming revenue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevenueShare {
    /// Month or quarter.
    pub window: Window,
    /// Shares by the revenue that the whole window reaches; the first begins at 0.
    pub brackets: Vec<(i64, Rate)>,
    /// What a window whose revenue is negative leaves to the next.
    pub carryover: Carryover,
}

/// What a window whose revenue is negative leaves to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carryover {
    /// All of it.
    Carry,
    /// Nothing.
    Reset,
    /// At most that.
    Capped(Money),
}

/// Pays only if a window reaches a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// What is measured.
    pub measure: Measure,
    /// Month or quarter.
    pub window: Window,
    /// The threshold, included: a number of events, or minor units.
    pub at_least: i64,
}

/// For how long a customer pays, from its first conversion of the event with the partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duration {
    /// For ever.
    Forever,
    /// The first conversion alone.
    FirstSale,
    /// That many calendar months in the plan's time zone.
    Months(u32),
}

/// A limit on what a plan pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// On what.
    pub scope: CapScope,
    /// Over which time: month, quarter or lifetime. Of no account for a conversion.
    pub window: Window,
    /// How much.
    pub amount: Money,
}

/// What a cap limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapScope {
    /// What one conversion pays.
    Conversion,
    /// What one customer's conversions pay a partner.
    Customer,
    /// What a partner is paid.
    Partner,
    /// What the program pays all partners on the plan, uplines not counted.
    Program,
}

/// Scopes of caps by their names.
pub const CAP_SCOPES: &[(&str, CapScope)] = &[
    ("conversion", CapScope::Conversion),
    ("customer", CapScope::Customer),
    ("partner", CapScope::Partner),
    ("program", CapScope::Program),
];

impl CapScope {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(CAP_SCOPES, self)
    }
}

/// What one upline gets of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The share.
    pub rate: Rate,
    /// Of what.
    pub of: LevelBase,
    /// How a fraction of a minor unit is settled.
    pub rounding: Rounding,
}

/// What an upline's share is taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelBase {
    /// The sale's amount.
    Sale,
    /// What the level below gets for the conversion.
    Commission,
}

/// Bases of levels by their names.
pub const LEVEL_BASES: &[(&str, LevelBase)] = &[
    ("sale", LevelBase::Sale),
    ("commission", LevelBase::Commission),
];

/// Ways of rounding by their names.
pub const ROUNDINGS: &[(&str, Rounding)] =
    &[("half_up", Rounding::HalfUp), ("floor", Rounding::Floor)];

/// What must hold of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Every one.
    All(Vec<Condition>),
    /// At least one.
    Any(Vec<Condition>),
    /// A text is one of these (`is`), or none of them.
    Among {
        /// Which text.
        field: TextField,
        /// Which values, compared without regard to case.
        values: Vec<String>,
        /// Whether it must be one of them, or none.
        is: bool,
    },
    /// A number lies in a half-open range; of an event without it, nothing does.
    Within {
        /// Which number.
        field: NumberField,
        /// From there on, included.
        at_least: Option<Decimal>,
        /// Below there.
        below: Option<Decimal>,
    },
    /// The customer is new, or is not.
    NewCustomer(bool),
}

/// A text of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextField {
    /// ISO 3166 two-letter code.
    Country,
    /// Product.
    Product,
    /// The event's name.
    Event,
    /// The coupon's code.
    Coupon,
    /// `sub1` to `sub5`, by its number.
    Sub(u8),
    /// A field of the event's metadata.
    Meta(String),
}

impl TextField {
    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Country => "country".to_owned(),
            Self::Product => "product".to_owned(),
            Self::Event => "event".to_owned(),
            Self::Coupon => "coupon".to_owned(),
            Self::Sub(number) => format!("sub{number}"),
            Self::Meta(name) => format!("meta.{name}"),
        }
    }
}

/// A number of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberField {
    /// Its amount, in whole units of the program's currency.
    Amount,
    /// Its margin, likewise.
    Margin,
    /// Its net revenue, likewise.
    NetRevenue,
    /// Its quantity.
    Quantity,
    /// Whole calendar months since the customer's first conversion of the event with the partner; 0 for
    /// the first and for an event without a customer.
    MonthsSinceFirstSale,
}

/// Numbers of events by their names.
pub const NUMBER_FIELDS: &[(&str, NumberField)] = &[
    ("amount", NumberField::Amount),
    ("margin", NumberField::Margin),
    ("net_revenue", NumberField::NetRevenue),
    ("quantity", NumberField::Quantity),
    ("months_since_first_sale", NumberField::MonthsSinceFirstSale),
];

/// The name of a value in a list of names; lists hold all of their values.
#[must_use]
pub fn name_in<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    choices
        .iter()
        .find(|(_, choice)| *choice == value)
        .map_or("", |(name, _)| name)
}

impl Component {
    /// A component that always pays that for an event.
    #[must_use]
    pub fn simple(event: impl Into<String>, pay: Pay) -> Self {
        Self {
            event: event.into(),
            when: None,
            pay,
            duration: Duration::Forever,
            minimum: None,
            maximum: None,
            gate: None,
        }
    }

    /// Whether what it has paid in a window may become less with a later event of it.
    #[must_use]
    pub fn may_fall(&self) -> bool {
        match &self.pay {
            Pay::RevenueShare(_) => true,
            Pay::Tiered(tiers) => matches!(tiers.mode, Mode::Interpolated | Mode::Retroactive),
            Pay::Flat(_) | Pay::Percent { .. } | Pay::Milestone { .. } => false,
        }
    }

    /// A fixed amount for each unit of quantity.
    #[must_use]
    pub fn flat(event: impl Into<String>, amount: Money) -> Self {
        Self::simple(event, Pay::Flat(amount))
    }

    /// A share of the event's amount.
    #[must_use]
    pub fn percent(event: impl Into<String>, rate: Rate) -> Self {
        let of = Base::Amount;
        Self::simple(event, Pay::Percent { rate, of })
    }
}

impl Terms {
    /// Terms of components that add up, in UTC.
    #[must_use]
    pub fn of(components: Vec<Component>) -> Self {
        Self {
            time_zone: "UTC".to_owned(),
            pays: Pays::All,
            components,
            caps: Vec::new(),
            levels: Vec::new(),
        }
    }
}

/// A plan from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The plan's code; `None` for none here, so that what stands behind decides.
    pub plan: Option<String>,
    /// From when on; `None` from the beginning of time.
    pub from: Option<Timestamp>,
}

/// Whose assignment names the plan that pays: of a link before that of the partner, and of the partner
/// before that of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignedBy {
    /// The link's that was clicked.
    Link,
    /// The partner's enrolment.
    Partner,
    /// The program's default.
    Program,
}

/// Who assigns plans, by their names.
pub const ASSIGNED_BY: &[(&str, AssignedBy)] = &[
    ("link", AssignedBy::Link),
    ("partner", AssignedBy::Partner),
    ("program", AssignedBy::Program),
];

impl AssignedBy {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(ASSIGNED_BY, self)
    }
}

/// The plan that assignments in order of their start name for an event of that time.
#[must_use]
pub fn assigned_at(assignments: &[Assignment], occurred_at: Timestamp) -> Option<&str> {
    assignments
        .iter()
        .rev()
        .find(|assignment| assignment.from.is_none_or(|from| from <= occurred_at))
        .and_then(|assignment| assignment.plan.as_deref())
}

/// What an assignment changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reassignment {
    /// The assignments with it.
    Changed(Vec<Assignment>),
    /// It is so already from then on.
    Unchanged,
    /// More over time than [`MAX_ASSIGNMENTS`].
    TooMany,
}

/// The assignments with that plan, or with none, from `from` on, for good: what was to begin at or after
/// `from` no longer does.
#[must_use]
pub fn reassigned(assignments: &[Assignment], plan: Option<&str>, from: Timestamp) -> Reassignment {
    let nothing_later = assignments
        .iter()
        .all(|assignment| assignment.from.is_none_or(|begins| begins <= from));
    if nothing_later && assigned_at(assignments, from) == plan {
        return Reassignment::Unchanged;
    }
    let mut changed = assignments.to_vec();
    changed.retain(|assignment| assignment.from.is_none_or(|begins| begins < from));
    if changed
        .last()
        .is_none_or(|last| last.plan.as_deref() != plan)
    {
        changed.push(Assignment {
            plan: plan.map(str::to_owned),
            from: Some(from),
        });
    }
    if changed.len() > MAX_ASSIGNMENTS {
        return Reassignment::TooMany;
    }
    Reassignment::Changed(changed)
}

/// The version that pays an event of that time: the latest effective one, and of two effective at once
/// the newer.
#[must_use]
pub fn version_at(versions: &[PlanVersion], occurred_at: Timestamp) -> Option<&PlanVersion> {
    versions
        .iter()
        .filter(|version| version.effective_from <= occurred_at)
        .max_by_key(|version| (version.effective_from, version.version))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn assignments(named: &[(&str, Option<&str>)]) -> Vec<Assignment> {
        let assignment = |(plan, from): &(&str, Option<&str>)| Assignment {
            plan: Some((*plan).to_owned()),
            from: from.map(at),
        };
        named.iter().map(assignment).collect()
    }

    #[test]
    fn the_plan_that_began_last_pays() {
        let named = assignments(&[("a", None), ("b", Some("2026-03-01T00:00:00Z"))]);
        for (when, plan) in [
            ("2010-01-01T00:00:00Z", "a"),
            ("2026-02-28T23:59:59Z", "a"),
            ("2026-03-01T00:00:00Z", "b"),
        ] {
            assert_eq!(assigned_at(&named, at(when)), Some(plan));
        }
        assert_eq!(assigned_at(&named[1..], at("2026-02-28T23:59:59Z")), None);
    }

    #[test]
    fn the_same_plan_again_changes_nothing() {
        let may = at("2026-05-01T00:00:00Z");
        let named = assignments(&[("a", None)]);
        assert_eq!(reassigned(&named, Some("a"), may), Reassignment::Unchanged);
        assert_eq!(reassigned(&[], None, may), Reassignment::Unchanged);
    }

    #[test]
    fn another_plan_pays_from_its_start_and_replaces_what_was_to_come() {
        let march = at("2026-03-01T00:00:00Z");
        let before = assignments(&[("a", None), ("b", Some("2026-04-01T00:00:00Z"))]);
        let after = |plan| match reassigned(&before, plan, march) {
            Reassignment::Changed(after) => after,
            other => panic!("{other:?}"),
        };
        let named = after(Some("c"));
        assert_eq!(assigned_at(&named, at("2026-02-01T00:00:00Z")), Some("a"));
        assert_eq!(assigned_at(&named, march), Some("c"));
        assert_eq!(assigned_at(&named, at("2027-01-01T00:00:00Z")), Some("c"));
        assert_eq!(after(Some("a")).len(), 1, "b no longer comes");
        assert_eq!(assigned_at(&after(None), march), None);
    }

    proptest! {
        #[test]
        fn reassignments_leave_the_past_and_hold_from_their_start(
            steps in prop::collection::vec((0_i64..1_000, prop::sample::select(vec![Some("a"), Some("b"), None])), 1..20),
            probe in 0_i64..1_000,
        ) {
            let day = |n: i64| Timestamp::from_second(n * 86_400).unwrap();
            let mut named = assignments(&[("a", None)]);
            for (from, plan) in steps {
                let before = named.clone();
                if let Reassignment::Changed(after) = reassigned(&named, plan, day(from)) {
                    named = after;
                }
                let expected = if probe < from { assigned_at(&before, day(probe)) } else { plan };
                prop_assert_eq!(assigned_at(&named, day(probe)), expected);
                prop_assert!(named.is_sorted_by_key(|assignment| assignment.from));
            }
        }
    }

    #[test]
    fn the_version_effective_latest_pays_and_the_newer_of_two() {
        let version = |version, from: &str| PlanVersion {
            program: ProgramId::from_bytes([1; 16]),
            code: "standard".to_owned(),
            version,
            effective_from: at(from),
            hold_days: 30,
            terms: Terms::of(Vec::new()),
            created_at: at(from),
        };
        let versions = [
            version(1, "2026-01-01T00:00:00Z"),
            version(2, "2026-03-01T00:00:00Z"),
            version(3, "2026-03-01T00:00:00Z"),
            version(4, "2026-02-01T00:00:00Z"),
        ];
        let pays = |text| version_at(&versions, at(text)).map(|version| version.version);
        assert_eq!(pays("2025-12-31T23:59:59Z"), None);
        assert_eq!(pays("2026-01-01T00:00:00Z"), Some(1));
        assert_eq!(pays("2026-02-01T00:00:00Z"), Some(4));
        assert_eq!(pays("2026-04-01T00:00:00Z"), Some(3));
    }
}
