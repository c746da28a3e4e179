//! What another plan would have paid for what happened. Pure.
//!
//! The same fold that pays, over the same events, in the same order: so a plan asked about its own history
//! comes to what it paid. The other plan begins where the span begins: its windows and caps start empty
//! there, but it knows the customers of before. Memory grows with partners and customers, not with events.

use std::collections::{BTreeMap, HashMap};

use super::book::{Known, counted_at, is_gated, smallest_calendar};
use super::fold::{Close, Entry, Fold, Zone, is_budgeted, measures_subtree};
use super::model::{Figures, measured_id};
use crate::clock::{Timestamp, days_before};
use crate::ids::{ConversionId, PartnerId};
use crate::money::{Currency, MoneyError};
use crate::plans::model::{GRACE_DAYS, PlanVersion, Terms, Window};

/// Partners above one, the nearest first; `None` for one that is paid nothing.
pub type Uplines = Vec<Option<PartnerId>>;

/// Something that happened, for a plan to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the plan is told of it, net of what was taken back.
    pub entry: Entry,
    /// When it was acknowledged, or approved if that was later.
    pub known_at: Timestamp,
    /// Who stood above its partner.
    pub uplines: Uplines,
}

/// What a line of history has paid, and the event behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The line's id: the conversion's, unless it follows from others.
    pub id: ConversionId,
    /// Whose it is.
    pub partner: PartnerId,
    /// When what it is paid for happened.
    pub at: Timestamp,
    /// The plan that paid it.
    pub plan: String,
    /// What it has paid its partner in all, corrections included, minor units.
    pub paid: i64,
    /// What uplines have got of it.
    pub levels: Vec<(PartnerId, i64)>,
    /// The event, where one is left to be paid.
    pub event: Option<Event>,
}

/// Of which time another plan is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From when on; the plan begins there.
    pub from: Timestamp,
    /// Until when, the instant not included.
    pub to: Timestamp,
    /// When the program was made: windows that ended before never closed.
    pub program_since: Timestamp,
    /// When it is asked: what windows decide that have not closed by then is provisional.
    pub asked_at: Timestamp,
}

impl Span {
    /// Windows that end by then are decided.
    fn decided_until(&self) -> Timestamp {
        self.to.min(days_before(self.asked_at, GRACE_DAYS))
    }
}

/// Whether these terms look at all partners together: at a budget that they share, or at what those below
/// one sell.
#[must_use]
pub fn is_joint(terms: &Terms) -> bool {
    is_budgeted(terms) || measures_subtree(terms)
}

/// Another plan at work over history.
pub struct WhatIf<'a> {
    span: Span,
    replaces: Option<&'a str>,
    zone: Zone,
    window: Option<Window>,
    of_subtree: bool,
    is_gated: bool,
    fold: Fold<'a>,
    /// What counts from there on, in canonical order.
    ahead: BTreeMap<(Timestamp, ConversionId), (Entry, Uplines)>,
    /// Who stood above a partner when it last sold something.
    above: HashMap<PartnerId, Uplines>,
    figures: BTreeMap<PartnerId, Figures>,
}

impl<'a> WhatIf<'a> {
    /// A plan at the beginning of a span. Where it is to pay in the place of one plan only, that is
    /// `replaces`; otherwise it pays all partners.
    #[must_use]
    pub fn new(
        plan: &'a PlanVersion,
        currency: Currency,
        span: Span,
        replaces: Option<&'a str>,
    ) -> Self {
        Self {
            span,
            replaces,
            zone: Zone::of(&plan.terms.time_zone),
            window: smallest_calendar(plan),
            of_subtree: measures_subtree(&plan.terms),
            is_gated: is_gated(plan),
            fold: Fold::new([plan], currency),
            ahead: BTreeMap::new(),
            above: HashMap::new(),
            figures: BTreeMap::new(),
        }
    }

    /// Looks at what happened next. Whatever comes has happened no earlier than what came before.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn take(&mut self, past: Past) -> Result<(), MoneyError> {
        let Past {
            id: _,
            partner,
            at,
            plan,
            paid,
            levels,
            event,
        } = past;
        let Span {
            from,
            to,
            program_since,
            asked_at: _,
        } = self.span;
        if at >= to {
            return Ok(());
        }
        if at < from {
            if let Some(event) = event {
                self.fold.remember(&event.entry);
            }
            return Ok(());
        }
        self.settle(Some(at))?;
        if self.replaces.is_some_and(|code| code != plan) {
            // Its customer is known all the same.
            if let Some(event) = event {
                self.fold.remember(&event.entry);
            }
            return Ok(());
        }
        self.add(partner, |own| &mut own.paid, paid)?;
        for (upline, share) in levels {
            self.add(upline, |own| &mut own.paid_levels, share)?;
        }
        let Some(Event {
            mut entry,
            known_at,
            uplines,
        }) = event
        else {
            return Ok(());
        };
        self.add(partner, |own| &mut own.conversions, 1)?;
        let known = Known {
            occurred_at: entry.occurred_at,
            known_at,
            program_since,
        };
        entry.counted_at = counted_at(self.window, &self.zone, known);
        if self.of_subtree {
            for (position, upline) in uplines.iter().enumerate() {
                let Some(upline) = *upline else {
                    continue;
                };
                let measured = Entry {
                    conversion: measured_id(entry.conversion, upline),
                    partner: upline,
                    own: false,
                    ..entry.clone()
                };
                let further = uplines.get(position + 1..).unwrap_or_default().to_vec();
                self.ahead.insert(measured.position(), (measured, further));
            }
        }
        self.ahead.insert(entry.position(), (entry, uplines));
        Ok(())
    }

    /// What all comes to, by partner.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn finish(mut self) -> Result<BTreeMap<PartnerId, Figures>, MoneyError> {
        self.settle(None)?;
        self.fold.close(self.span.decided_until())?;
        self.decided()?;
        let behind: Vec<(PartnerId, i64)> = self
            .fold
            .state()
            .standings
            .iter()
            .flat_map(|((partner, _), standing)| {
                let withheld = standing.behind.iter().map(|behind| behind.withheld);
                withheld.map(|withheld| (*partner, withheld))
            })
            .collect();
        for (partner, withheld) in behind {
            self.add(partner, |own| &mut own.provisional, withheld)?;
        }
        Ok(self.figures)
    }

    fn add(
        &mut self,
        partner: PartnerId,
        figure: impl FnOnce(&mut Figures) -> &mut i64,
        by: i64,
    ) -> Result<(), MoneyError> {
        // Whom nothing has touched is not told of.
        if by == 0 && !self.figures.contains_key(&partner) {
            return Ok(());
        }
        let sum = figure(self.figures.entry(partner).or_default());
        *sum = sum.checked_add(by).ok_or(MoneyError::OverLimit)?;
        Ok(())
    }

    /// Pays what counts before an instant, or all.
    fn settle(&mut self, before: Option<Timestamp>) -> Result<(), MoneyError> {
        while let Some(first) = self.ahead.first_entry() {
            if before.is_some_and(|before| first.key().0 >= before) {
                break;
            }
            let (entry, uplines) = first.remove();
            let paid = self.fold.step(&entry)?;
            self.add(entry.partner, |own| &mut own.pays, paid.pay.minor())?;
            for (upline, share) in uplines.iter().zip(&paid.levels) {
                if let Some(upline) = *upline {
                    self.add(upline, |own| &mut own.pays_levels, share.minor())?;
                }
            }
            // Those above its window's last event share in what that window decided.
            self.decided()?;
            if self.is_gated {
                self.above.insert(entry.partner, uplines);
            }
        }
        Ok(())
    }

    /// Pays what closed windows have decided.
    fn decided(&mut self) -> Result<(), MoneyError> {
        let (decided, ahead): (Vec<Close>, Vec<Close>) = self
            .fold
            .closes()
            .into_iter()
            .partition(|close| close.end <= self.span.decided_until());
        for close in ahead {
            let withheld = close.provisional.minor();
            self.add(close.partner, |own| &mut own.provisional, withheld)?;
        }
        for close in decided {
            self.add(close.partner, |own| &mut own.pays, close.pay.minor())?;
            let uplines = self.above.get(&close.partner).cloned().unwrap_or_default();
            for (upline, share) in uplines.into_iter().zip(&close.levels) {
                if let Some(upline) = upline {
                    self.add(upline, |own| &mut own.pays_levels, share.minor())?;
                }
            }
        }
        Ok(())
    }
}
