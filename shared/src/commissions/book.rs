//! Books: the events that one conversion's pay may depend on, and what has been posted for them. Pure.
//!
//! Whatever happens to an event of a book, its partner is posted `F(after) − posted`, where `F` is the fold
//! over all events that stand in the book: so the postings add up to `F`, in whatever order events,
//! corrections and reversals arrive. A book's version goes up with each change, and a change is refused
//! when the book has moved since it was read.

use std::collections::BTreeMap;

use super::fold::{Close, Entry, Fold, Paid, Reach, State, Zone, is_budgeted, reach, windows};
use crate::clock::{Timestamp, days_after};
use crate::ids::{ConversionId, PartnerId, ProgramId};
use crate::money::{Currency, MoneyError};
use crate::plans::model::{GRACE_DAYS, PlanVersion, Window};

/// Which book.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookId {
    /// Of which program.
    pub program: ProgramId,
    /// Whose; of all partners where the program's budget binds them together.
    pub partner: Option<PartnerId>,
    /// Which plan and version pay; those of each event where the book is a customer's.
    pub plan: Option<(String, u32)>,
    /// What of it.
    pub span: Span,
}

/// What part of a plan's events a book holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// A customer's, by the keyed hash of its reference.
    Customer(String),
    /// A month's, `yyyymm`.
    Month(i32),
    /// A quarter's, by `yyyymm` of its first month.
    Quarter(i32),
    /// All.
    Lifetime,
}

/// What a partner, and its uplines from the nearest on, are posted in a book.
pub type Totals = Vec<i64>;

/// A book as it was read, without its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// Which.
    pub id: BookId,
    /// Counts changes; 0 for one that is not there yet.
    pub version: u64,
    /// The last event in canonical order, as the store orders them.
    pub last: String,
    /// What has been posted.
    pub posted: BTreeMap<PartnerId, Totals>,
    /// Windows that end by then are closed: their gates have decided.
    pub closed_until: Option<Timestamp>,
    /// When the next window closes, its grace included; `None` where nothing waits for that.
    pub closes_at: Option<Timestamp>,
    /// Whether lines are still to be posted of what that closing decided.
    pub closing: bool,
    /// A line of the book that others may still have to follow.
    pub owing: Option<ConversionId>,
    /// Where the fold over all events stands, where that is known and small.
    pub state: Option<State>,
}

impl Book {
    /// A book that is not there yet.
    #[must_use]
    pub fn new(id: BookId) -> Self {
        Self {
            id,
            version: 0,
            last: String::new(),
            posted: BTreeMap::new(),
            closed_until: None,
            closes_at: None,
            closing: false,
            owing: None,
            state: Some(State::default()),
        }
    }
}

/// Where an event counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// In which book; `None` when it depends on no other event.
    pub book: Option<BookId>,
    /// At which instant: see [`Entry::counted_at`].
    pub counted_at: Timestamp,
}

/// When an event happened, and when it was known to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was acknowledged, or approved if that was later.
    pub known_at: Timestamp,
    /// Windows that ended before there never close: the program did not stand yet.
    pub program_since: Timestamp,
}

/// When an event counts: when it happened, or when it became known if its window had closed by then.
#[must_use]
pub fn counted_at(window: Option<Window>, zone: &Zone, known: Known) -> Timestamp {
    let Known {
        occurred_at,
        known_at,
        program_since,
    } = known;
    let late = |window: Window| {
        let end = zone.end(window, zone.window(window, occurred_at));
        end > program_since && known_at >= days_after(end, GRACE_DAYS)
    };
    if window.is_some_and(late) {
        known_at
    } else {
        occurred_at
    }
}

/// Where an event counts under a plan version: in the window in which it happened, or in the one in which
/// it became known if that was after the former had closed.
#[must_use]
pub fn place(
    plan: &PlanVersion,
    partner: PartnerId,
    conversion: ConversionId,
    customer: Option<&str>,
    known: Known,
) -> Placed {
    let zone = Zone::of(&plan.terms.time_zone);
    let reach = reach(&plan.terms);
    let counted_at = counted_at(smallest_calendar(plan), &zone, known);
    let span = match reach {
        Reach::Event => None,
        Reach::Customer => Some(Span::Customer(
            customer.map_or_else(|| conversion.to_string(), str::to_owned),
        )),
        Reach::Month => Some(Span::Month(zone.window(Window::Month, counted_at))),
        Reach::Quarter => Some(Span::Quarter(zone.window(Window::Quarter, counted_at))),
        Reach::Lifetime => Some(Span::Lifetime),
    };
    let book = span.map(|span| BookId {
        program: plan.program,
        partner: (!is_budgeted(&plan.terms)).then_some(partner),
        plan: (!matches!(span, Span::Customer(_))).then(|| (plan.code.clone(), plan.version)),
        span,
    });
    Placed { book, counted_at }
}

/// The smallest calendar window of a plan version: what an event may come too late for.
#[must_use]
pub fn smallest_calendar(plan: &PlanVersion) -> Option<Window> {
    windows(&plan.terms)
        .into_iter()
        .filter(|window| matches!(window, Window::Month | Window::Quarter))
        .min_by_key(|window| *window != Window::Month)
}

/// What a book pays after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reckoned {
    /// What each partner is to have been posted.
    pub totals: BTreeMap<PartnerId, Totals>,
    /// What the event itself pays, in its place; `None` when it left.
    pub paid: Option<Paid>,
    /// What its closed windows have decided.
    pub closes: Vec<Close>,
    /// Where the fold stands.
    pub state: State,
}

/// What a book pays over all its events, which are in canonical order. `about` asks for what one of them
/// pays in its place.
///
/// # Errors
/// `OverLimit`.
pub fn reckon<'a>(
    plans: impl IntoIterator<Item = &'a PlanVersion>,
    currency: Currency,
    entries: &[Entry],
    about: Option<ConversionId>,
    closed_until: Option<Timestamp>,
) -> Result<Reckoned, MoneyError> {
    let mut fold = Fold::new(plans, currency);
    let mut totals: BTreeMap<PartnerId, Totals> = BTreeMap::new();
    let mut paid = None;
    for entry in entries {
        let pays = fold.step(entry)?;
        add(&mut totals, entry.partner, pays.pay.minor(), &pays.levels)?;
        if about == Some(entry.conversion) {
            paid = Some(pays);
        }
    }
    let state = fold.state().clone();
    let mut closes = Vec::new();
    if let Some(until) = closed_until {
        fold.close(until)?;
        closes = fold.closes();
        closes.retain(|close| close.end <= until);
        for close in &closes {
            add(&mut totals, close.partner, close.pay.minor(), &close.levels)?;
        }
    }
    Ok(Reckoned {
        totals,
        paid,
        closes,
        state,
    })
}

/// Adds what an event pays to the totals.
///
/// # Errors
/// `OverLimit`.
pub fn add(
    totals: &mut BTreeMap<PartnerId, Totals>,
    partner: PartnerId,
    pay: i64,
    levels: &[crate::money::Money],
) -> Result<(), MoneyError> {
    let sums = totals.entry(partner).or_default();
    let parts = std::iter::once(pay).chain(levels.iter().map(|level| level.minor()));
    for (index, part) in parts.enumerate() {
        if sums.len() <= index {
            sums.push(0);
        }
        sums[index] = sums[index].checked_add(part).ok_or(MoneyError::OverLimit)?;
    }
    Ok(())
}

/// What is to be posted so that `posted` becomes `totals`.
///
/// # Errors
/// `OverLimit`.
pub fn difference(totals: Option<&Totals>, posted: Option<&Totals>) -> Result<Totals, MoneyError> {
    let of = |sums: Option<&Totals>, index: usize| {
        sums.and_then(|sums| sums.get(index)).copied().unwrap_or(0)
    };
    let length = totals.map_or(0, Vec::len).max(posted.map_or(0, Vec::len));
    (0..length.max(1))
        .map(|index| {
            of(totals, index)
                .checked_sub(of(posted, index))
                .ok_or(MoneyError::OverLimit)
        })
        .collect()
}

/// When the first window of these events closes that is not closed yet, its grace included; `None` where
/// no gate waits.
#[must_use]
pub fn next_close<'a>(
    plans: &[&PlanVersion],
    entries: impl IntoIterator<Item = &'a Entry>,
    closed_until: Option<Timestamp>,
) -> Option<Timestamp> {
    entries
        .into_iter()
        .flat_map(|entry| {
            let plan = plans.get(entry.plan);
            plan.into_iter().flat_map(move |plan| {
                let zone = Zone::of(&plan.terms.time_zone);
                plan.terms.components.iter().filter_map(move |component| {
                    let window = component.gate.as_ref()?.window;
                    Some(zone.end(window, zone.window(window, entry.counted_at)))
                })
            })
        })
        .filter(|end| closed_until.is_none_or(|closed| *end > closed))
        .min()
        .map(|end| days_after(end, GRACE_DAYS))
}

/// Whether anything of these plan versions waits for a window to close.
#[must_use]
pub fn is_gated(plan: &PlanVersion) -> bool {
    plan.terms
        .components
        .iter()
        .any(|component| component.gate.is_some())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::money::Money;
    use crate::plans::model::{
        Cap, CapScope, Component, Duration, Measure, Pay, Scope, Terms, Unit,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn plan(version: u32, terms: Terms) -> PlanVersion {
        PlanVersion {
            program: ProgramId::from_bytes([1; 16]),
            code: "standard".to_owned(),
            version,
            effective_from: at("2020-01-01T00:00:00Z"),
            hold_days: 30,
            terms,
            created_at: at("2020-01-01T00:00:00Z"),
        }
    }

    fn known(occurred_at: &str, known_at: &str, program_since: &str) -> Known {
        Known {
            occurred_at: at(occurred_at),
            known_at: at(known_at),
            program_since: at(program_since),
        }
    }

    #[test]
    fn an_event_counts_when_it_happened_unless_its_window_had_closed_when_it_became_known() {
        let zone = Zone::of("UTC");
        let counted = |window, known| counted_at(window, &zone, known);
        let march = |known_at: &str, since: &str| known("2026-03-10T00:00:00Z", known_at, since);
        let month = Some(Window::Month);
        let happened = at("2026-03-10T00:00:00Z");
        let early = "2020-01-01T00:00:00Z";
        // March closes three days after its end.
        let just = march("2026-04-03T23:59:59.999Z", early);
        assert_eq!(counted(month, just), happened);
        let late = march("2026-04-04T00:00:00Z", early);
        assert_eq!(counted(month, late), late.known_at);
        let february = known("2026-02-10T00:00:00Z", "2026-03-04T00:00:00Z", early);
        assert_eq!(counted(month, february), february.known_at);
        let quarter = Some(Window::Quarter);
        assert_eq!(counted(quarter, february), february.occurred_at);
        assert_eq!(counted(None, late), happened);
        // A window that ended before there was a program never closes; one that saw a moment of it does.
        let told = march("2026-06-01T00:00:00Z", "2026-04-01T00:00:00Z");
        assert_eq!(counted(month, told), happened);
        let told = march("2026-06-01T00:00:00Z", "2026-03-31T23:59:59.999Z");
        assert_eq!(counted(month, told), told.known_at);
        let told = march("2026-03-11T00:00:00Z", "2026-04-01T00:00:00Z");
        assert_eq!(counted(month, told), happened);
    }

    #[test]
    fn what_an_event_may_come_too_late_for_is_the_smallest_of_its_windows() {
        let cap = |scope, window| Cap {
            scope,
            window,
            amount: Money::zero("GBP".parse().unwrap()),
        };
        let of = |windows: &[Window]| {
            let mut terms = Terms::of(vec![Component::percent("sale", "0.1".parse().unwrap())]);
            terms.caps = windows
                .iter()
                .map(|window| cap(CapScope::Partner, *window))
                .collect();
            smallest_calendar(&plan(1, terms))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Window::Lifetime]), None);
        assert_eq!(of(&[Window::Quarter]), Some(Window::Quarter));
        for both in [
            [Window::Quarter, Window::Month],
            [Window::Month, Window::Quarter],
        ] {
            assert_eq!(of(&both), Some(Window::Month));
        }
    }

    #[test]
    fn the_next_close_is_that_of_the_first_window_that_is_open() {
        let mut gated = Component::percent("sale", "0.1".parse().unwrap());
        gated.gate = Some(crate::plans::model::Gate {
            measure: Measure {
                unit: Unit::Count,
                events: vec!["sale".to_owned()],
                scope: Scope::Own,
            },
            window: Window::Month,
            at_least: 1,
        });
        let plan = plan(1, Terms::of(vec![gated]));
        let sold = |counted_at: &str| Entry {
            conversion: ConversionId::from_bytes([3; 16]),
            partner: PartnerId::from_bytes([2; 16]),
            plan: 0,
            occurred_at: at(counted_at),
            counted_at: at(counted_at),
            own: true,
            event: "sale".to_owned(),
            quantity: 1,
            amount: Some(100),
            margin: None,
            net_revenue: None,
            adjustments: 0,
            customer: None,
            known_since: None,
            new_customer: None,
            country: None,
            product: None,
            coupon: None,
            subs: [const { None }; 5],
            meta: BTreeMap::new(),
        };
        let entries = [sold("2026-04-10T00:00:00Z"), sold("2026-03-10T00:00:00Z")];
        let next = |closed: Option<&str>| next_close(&[&plan], &entries, closed.map(at));
        let (april, may) = (at("2026-04-04T00:00:00Z"), at("2026-05-04T00:00:00Z"));
        assert_eq!(next(None), Some(april));
        assert_eq!(next(Some("2026-03-31T23:59:59Z")), Some(april));
        assert_eq!(next(Some("2026-04-01T00:00:00Z")), Some(may));
        assert_eq!(next(Some("2026-05-01T00:00:00Z")), None);
    }

    #[test]
    fn a_customers_book_is_that_of_all_versions_and_any_other_that_of_one() {
        let partner = PartnerId::from_bytes([2; 16]);
        let sold = ConversionId::from_bytes([3; 16]);
        let now = known(
            "2026-03-10T00:00:00Z",
            "2026-03-10T00:00:00Z",
            "2020-01-01T00:00:00Z",
        );
        let book = |version: u32, terms: &Terms, customer: Option<&str>| {
            place(&plan(version, terms.clone()), partner, sold, customer, now).book
        };
        let percent = Component::percent("sale", "0.1".parse().unwrap());
        assert_eq!(book(1, &Terms::of(vec![percent.clone()]), None), None);
        let mut first = percent.clone();
        first.duration = Duration::FirstSale;
        let customers = Terms::of(vec![first.clone()]);
        let ann = book(1, &customers, Some("ann"));
        assert_eq!(ann.as_ref().unwrap().partner, Some(partner));
        assert_eq!(ann, book(2, &customers, Some("ann")));
        assert_ne!(ann, book(1, &customers, Some("bob")));
        let mut bonus = percent;
        bonus.pay = Pay::Milestone {
            measure: Measure {
                unit: Unit::Count,
                events: vec!["sale".to_owned()],
                scope: Scope::Own,
            },
            window: Window::Month,
            at: 10,
            amount: Money::zero("GBP".parse().unwrap()),
        };
        let monthly = Terms::of(vec![bonus.clone()]);
        let march = book(1, &monthly, Some("ann")).unwrap();
        assert_eq!(march.span, Span::Month(202_603));
        assert_ne!(Some(march), book(2, &monthly, Some("ann")));
        let mut budgeted = monthly.clone();
        budgeted.caps = vec![Cap {
            scope: CapScope::Program,
            window: Window::Month,
            amount: Money::zero("GBP".parse().unwrap()),
        }];
        assert_eq!(
            book(1, &budgeted, None).unwrap().partner,
            None,
            "all share it"
        );
        // A customer's history does not end with a month.
        let both = Terms::of(vec![first, bonus]);
        assert_eq!(book(1, &both, Some("ann")).unwrap().span, Span::Lifetime);
    }
}
