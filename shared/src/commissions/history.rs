//! A program's history as it stands: what its lines have paid, and the events behind them, partner after
//! partner; and the line of JSON in which each is exported.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fold::Entry;
use super::model::{Outcome, Source, WindowKind, entry, net_applied};
use super::store;
use super::what_if::{Event, Past, Uplines};
use crate::claims::model::CLOCK_SLACK_MINUTES;
use crate::clock::{Timestamp, minutes_after, month, month_after};
use crate::edge::App;
use crate::ids::{ConversionId, PartnerId, ProgramId};
use crate::ledger::store::{ListFrom, entries};
use crate::money::{Currency, Money, MoneyError};
use crate::partners::model::MAX_UPLINES;
use crate::programs::model::Program;
use crate::table::Error;
use crate::tracking::model::{Changes, Facts};
use crate::tracking::store::find_many;
use crate::{claims, partners};

/// Entries of a partner's list in one read.
const LIST_PAGE: usize = 300;

/// Where a walk over history stands: behind the partners up to `after`, and within the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The position, among all partners, of the last one that is finished; empty at the beginning.
    pub after: String,
    /// The one that is not: who, the month of its list, and the position there.
    pub within: Option<(PartnerId, u32, String)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.after)?;
        match &self.within {
            None => Ok(()),
            Some((partner, month, position)) => write!(f, "|{partner}|{month}|{position}"),
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(4, '|');
        let after = parts.next().ok_or(())?.to_owned();
        let within = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(partner), Some(month), Some(position)) => Some((
                partner.parse().map_err(|_| ())?,
                month.parse().map_err(|_| ())?,
                position.to_owned(),
            )),
            _ => return Err(()),
        };
        Ok(Self { after, within })
    }
}

/// A walk over a program's history that can stop after any page and be taken up again from its place.
pub struct Walk<'a> {
    app: &'a App,
    program: &'a Program,
    from: Timestamp,
    /// Partners with an account, and their positions.
    waiting: VecDeque<(PartnerId, String)>,
    /// The position up to which partners were read, and whether more follow.
    loaded: (String, bool),
    place: Place,
}

impl<'a> Walk<'a> {
    /// A walk over what happened from a time on, or a little before; it begins, or goes on, at a place.
    #[must_use]
    pub fn at(app: &'a App, program: &'a Program, from: Timestamp, place: Place) -> Self {
        Self {
            app,
            program,
            from,
            waiting: VecDeque::new(),
            loaded: (place.after.clone(), true),
            place,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The next page, of one partner, in no order within it; `None` when all are walked. The lists may lag
    /// behind the table.
    ///
    /// # Errors
    /// The table's.
    pub async fn next(&mut self) -> Result<Option<Vec<Past>>, Error> {
        let Some((partner, position)) = self.partner().await? else {
            return Ok(None);
        };
        let first = month(minutes_after(self.from, -CLOCK_SLACK_MINUTES));
        let (at, above) = match self.place.within.take() {
            Some((_, at, above)) => (at, above),
            None => (first, String::new()),
        };
        let from = ListFrom::Above(above);
        let (listed, more) = entries(&self.app.main, partner, at, from, LIST_PAGE).await?;
        let last = listed.last().map(|entry| entry.sort.clone());
        let ids: Vec<ConversionId> = listed
            .iter()
            .filter(|entry| entry.sort.contains("#C#"))
            .filter_map(|entry| crate::tracking::store::conversion_of(&entry.key))
            .collect();
        let pasts = read(self.app, self.program, &ids).await?;
        match (last, more) {
            (Some(last), true) => self.place.within = Some((partner, at, last)),
            _ => {
                let next = month_after(at);
                let end = month(minutes_after(self.app.now(), CLOCK_SLACK_MINUTES));
                if next <= end {
                    self.place.within = Some((partner, next, String::new()));
                } else {
                    self.place.after = position;
                    self.waiting.pop_front();
                }
            }
        }
        Ok(Some(pasts))
    }

    /// The partner that the walk is with.
    async fn partner(&mut self) -> Result<Option<(PartnerId, String)>, Error> {
        loop {
            // Whoever stands before the partner that the walk was with had nothing when it passed.
            if let Some((within, ..)) = &self.place.within {
                while self
                    .waiting
                    .front()
                    .is_some_and(|(partner, _)| partner != within)
                {
                    self.waiting.pop_front();
                }
            }
            if let Some(front) = self.waiting.front() {
                return Ok(Some(front.clone()));
            }
            let (after, more) = &self.loaded;
            if !more {
                return Ok(None);
            }
            let Program { id, currency, .. } = self.program;
            let (found, end, more) = partners::holders(self.app, *id, *currency, after).await?;
            let each = found.into_iter();
            self.waiting
                .extend(each.map(|holder| (holder.account.id.partner, holder.position)));
            self.loaded = (end, more);
        }
    }
}

/// What these lines have paid. Those of other programs, those of uplines, which stand with what they follow
/// from, and adjustments, which no plan pays, are left out.
async fn read(app: &App, program: &Program, ids: &[ConversionId]) -> Result<Vec<Past>, Error> {
    let mut found = find_many(&app.main, ids).await?;
    let mut lines = Vec::with_capacity(ids.len());
    let mut causes = Vec::new();
    for id in ids {
        let Some((facts, changes, Some(item))) = found.remove(id) else {
            continue;
        };
        let outcome = store::outcome(item)?;
        if outcome.program != program.id {
            continue;
        }
        if let Source::SubTree { of } | Source::Share { of } = outcome.source {
            causes.push(of);
        }
        lines.push((facts, changes, outcome));
    }
    let causes: HashMap<ConversionId, (Facts, Changes)> = find_many(&app.main, &causes)
        .await?
        .into_iter()
        .filter_map(|(id, (facts, changes, _))| Some((id, (facts?, changes))))
        .collect();
    let mut pasts = Vec::with_capacity(lines.len());
    for (facts, changes, outcome) in lines {
        let Ok(credit) = &outcome.credit else {
            continue;
        };
        let (at, event) = match &outcome.source {
            Source::Level { .. } | Source::Adjustment { .. } => continue,
            Source::SubTree { of } => match causes.get(of) {
                Some((cause, _)) => (cause.occurred_at, None),
                None => continue,
            },
            // What closes a window is its last instant's.
            Source::Window {
                at,
                kind: WindowKind::Close,
            } => (at.checked_sub(LAST).unwrap_or(*at), None),
            Source::Window {
                at,
                kind: WindowKind::Budget,
            } => (*at, None),
            Source::Conversion | Source::Share { .. } => {
                let said = match &outcome.source {
                    Source::Share { of } => causes.get(of).map(|(facts, changes)| (facts, changes)),
                    _ => facts.as_ref().zip(Some(&changes)),
                };
                let Some((facts, changes)) = said else {
                    continue;
                };
                let net = net_applied(facts, changes, &credit.applied);
                let currency = credit.pay.currency();
                let told = entry(
                    facts,
                    net,
                    credit.partner,
                    (facts.occurred_at, None),
                    credit.exchange.as_ref(),
                    currency,
                    credit.part,
                )
                .map(|told| Entry {
                    conversion: outcome.conversion,
                    ..told
                })
                .map_err(|error| Error::Failed(format!("history: {error}")))?;
                let event = if net.gone {
                    None
                } else {
                    Some(Event {
                        uplines: uplines(app, program, &outcome, facts.occurred_at).await?,
                        entry: told,
                        known_at: changes
                            .approved_at
                            .map_or(facts.received_at, |at| at.max(facts.received_at)),
                    })
                };
                (facts.occurred_at, event)
            }
        };
        pasts.push(Past {
            id: outcome.conversion,
            partner: credit.partner,
            at,
            plan: credit.plan.clone(),
            paid: credit.total.minor(),
            levels: credit
                .levels
                .iter()
                .filter_map(|(upline, share)| Some(((*upline)?, share.minor())))
                .collect(),
            event,
        });
    }
    Ok(pasts)
}

const LAST: jiff::SignedDuration = jiff::SignedDuration::from_nanos(1);

/// Who stood above a conversion's partner when it happened, and was paid: as it was frozen, as far as that
/// goes.
async fn uplines(
    app: &App,
    program: &Program,
    outcome: &Outcome,
    at: Timestamp,
) -> Result<Uplines, Error> {
    let Ok(credit) = &outcome.credit else {
        return Ok(Vec::new());
    };
    let chain = partners::uplines(app, program.id, credit.partner, at, MAX_UPLINES).await?;
    let mut found: Uplines = credit.levels.iter().map(|(frozen, _)| *frozen).collect();
    // Levels that the plan has and nobody stood on are none.
    while found.len() > chain.len() && found.last() == Some(&None) {
        found.pop();
    }
    for upline in chain.into_iter().skip(found.len()) {
        let standing = claims::plan_of(app, program, upline, at).await?;
        found.push(standing.ok().map(|_| upline));
    }
    Ok(found)
}

// ---- Lines of JSON

/// The first line of an exported history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the lines' form: 1.
    pub tributary_history: u32,
    /// Whose.
    pub program: ProgramId,
    /// In which currency all amounts are.
    pub currency: String,
    /// When the program was made.
    pub program_since: Timestamp,
    /// When the export began: what has happened since is not in it.
    pub exported_at: Timestamp,
    /// From when on it was asked for, if not from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when it was asked for, if not until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// What a line of history has paid, and the event behind it, as a line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When what it is paid for happened.
    pub occurred_at: Timestamp,
    /// The conversion, or the line that follows from others.
    pub conversion: ConversionId,
    /// Whose it is.
    pub partner: PartnerId,
    /// The code of the plan that paid it.
    pub plan: String,
    /// What it has paid its partner, corrections included.
    pub paid: String,
    /// What uplines have got of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paid_levels: Vec<(PartnerId, String)>,
    /// The event, where one is left to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<LineEvent>,
}

/// An event as a line of JSON holds it, net of what was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineEvent {
    /// What happened, such as `sale`.
    pub name: String,
    /// When it was acknowledged, or approved if that was later.
    pub known_at: Timestamp,
    /// How many.
    pub quantity: u32,
    /// Its amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// The margin that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<String>,
    /// The net revenue that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_revenue: Option<String>,
    /// Bonuses, fees and chargebacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustments: Option<String>,
    /// A keyed hash of the customer's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Whether the customer is new, where the event says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_customer: Option<bool>,
    /// ISO 3166 two-letter code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The coupon's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// `sub1` to `sub5`, in their order.
    #[serde(default, skip_serializing_if = "no_subs")]
    pub subs: [Option<String>; 5],
    /// Metadata.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub meta: std::collections::BTreeMap<String, String>,
    /// Who stood above the partner, the nearest first; `null` for one that is paid nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uplines: Uplines,
}

fn no_subs(subs: &[Option<String>; 5]) -> bool {
    subs.iter().all(Option::is_none)
}

/// A line as it is exported.
#[must_use]
pub fn line(past: &Past, currency: Currency) -> Line {
    let told = |minor: i64| Money::new(minor, currency).to_string();
    let Past {
        id,
        partner,
        at,
        plan,
        paid,
        levels,
        event,
    } = past.clone();
    Line {
        occurred_at: at,
        conversion: id,
        partner,
        plan,
        paid: told(paid),
        paid_levels: levels
            .into_iter()
            .map(|(upline, share)| (upline, told(share)))
            .collect(),
        event: event.map(|event| {
            let Event {
                entry,
                known_at,
                uplines,
            } = event;
            LineEvent {
                name: entry.event,
                known_at,
                quantity: entry.quantity,
                amount: entry.amount.map(told),
                margin: entry.margin.map(told),
                net_revenue: entry.net_revenue.map(told),
                adjustments: (entry.adjustments != 0).then(|| told(entry.adjustments)),
                customer: entry.customer,
                new_customer: entry.new_customer,
                country: entry.country,
                product: entry.product,
                coupon: entry.coupon,
                subs: entry.subs,
                meta: entry.meta,
                uplines,
            }
        }),
    }
}

/// What an exported line says, or the field that is no amount of that currency, and why.
///
/// # Errors
/// The field, and what [`Money::parse`] says of it.
pub fn past(line: Line, currency: Currency) -> Result<Past, (&'static str, MoneyError)> {
    let minor = |name: &'static str, text: &str| {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        Money::parse(digits, currency)
            .map(|money| sign * money.minor())
            .map_err(|error| (name, error))
    };
    let optional =
        |name: &'static str, text: Option<&String>| text.map(|text| minor(name, text)).transpose();
    let Line {
        occurred_at,
        conversion,
        partner,
        plan,
        paid,
        paid_levels,
        event,
    } = line;
    let mut levels = Vec::with_capacity(paid_levels.len());
    for (upline, share) in paid_levels {
        levels.push((upline, minor("paid_levels", &share)?));
    }
    let event = match event {
        None => None,
        Some(event) => {
            let amount = optional("amount", event.amount.as_ref())?;
            let margin = optional("margin", event.margin.as_ref())?;
            let net_revenue = optional("net_revenue", event.net_revenue.as_ref())?;
            let adjustments = optional("adjustments", event.adjustments.as_ref())?;
            Some(Event {
                entry: super::fold::Entry {
                    conversion,
                    partner,
                    plan: 0,
                    occurred_at,
                    counted_at: occurred_at,
                    own: true,
                    event: event.name,
                    quantity: event.quantity,
                    amount,
                    margin,
                    net_revenue,
                    adjustments: adjustments.unwrap_or(0),
                    customer: event.customer,
                    // All that happened is told: who came first shows in it.
                    known_since: None,
                    new_customer: event.new_customer,
                    country: event.country,
                    product: event.product,
                    coupon: event.coupon,
                    subs: event.subs,
                    meta: event.meta,
                },
                known_at: event.known_at,
                uplines: event.uplines,
            })
        }
    };
    Ok(Past {
        id: conversion,
        partner,
        at: occurred_at,
        plan,
        paid: minor("paid", &paid)?,
        levels,
        event,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_taken_up_where_its_place_says() {
        let behind = Place {
            after: "2026-03-02T09:00:00.000000000Z#ptr".to_owned(),
            within: None,
        };
        let within = Place {
            within: Some((
                PartnerId::from_bytes([7; 16]),
                202_603,
                "2026-03#C#a|b".to_owned(),
            )),
            ..behind.clone()
        };
        for place in [Place::default(), behind, within] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        let partner = PartnerId::from_bytes([7; 16]);
        for nobodys in [
            format!("x|{partner}"),
            format!("x|{partner}|202603"),
            format!("x|{partner}|March|y"),
            "x|ptr|202603|y".to_owned(),
        ] {
            assert_eq!(nobodys.parse::<Place>(), Err(()), "{nobodys}");
        }
    }
}
