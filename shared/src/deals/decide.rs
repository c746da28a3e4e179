//! What operators decide of deals, and what partners ask for theirs.

use super::error::DealError;
use super::model::{Actor, Deal, Fault, Rank, RejectReason, State, Terms, pair, split};
use super::policy::{Benefit, Policy, Second};
use super::{
    Decided, Details, Known, change_claim, demand_version, end, find, follow, hold, policy, rights,
    share, slots, step, store, told, write,
};
use crate::claims;
use crate::claims::model::{Claim, CustomerClaim, Evidence, Right, Ruling, Slot};
use crate::claims::registry;
use crate::clock::Timestamp;
use crate::commissions::model::share_id;
use crate::edge::{App, Change, Write};
use crate::ids::{ConversionId, DealId, OperatorId};
use crate::money::{Money, Rate};
use crate::partners;
use crate::programs::model::Program;
use crate::table::Op;
use crate::tracking::error::TrackingError;
use crate::tracking::model::{Credited, Facts, Posted, Posting, Word, check_time, net_after};
use crate::tracking::{self, Conversion};

/// Takes a deal up.
///
/// # Errors
/// `Stale`, `Fault`, the table's.
pub fn take_up(app: &App, known: Known, based_on: u64, by: OperatorId) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let changed = deal.taken_up(by, app.now())?;
    step(app, &deal, changed, details)
}

/// Asks the partner for more.
///
/// # Errors
/// `Stale`, `Fault`, `NoPolicy`, the table's.
pub async fn ask(
    app: &App,
    known: Known,
    based_on: u64,
    question: String,
    by: OperatorId,
) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let policy = policy(app, deal.program).await?;
    let changed = deal.asked(by, question, &policy, app.now())?;
    step(app, &deal, changed, details)
}

/// An operator's consent.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The version that was read.
    pub based_on: u64,
    /// By whom.
    pub by: OperatorId,
    /// To which step; the first that waits for that operator unless told.
    pub step: Option<String>,
    /// In the operator's words; the partner reads it.
    pub note: Option<String>,
    /// Another discount than the policy's, said with the last consent.
    pub discount: Option<Rate>,
}

/// Consents to a step of a deal's approval. With the last of them the deal is approved, its slots are kept for
/// as long as it is protected, and its partner has a claim to the customer.
///
/// # Errors
/// `Stale`, `Fault`, `Before` and `SharedAlready` of an earlier deal, `Discount`, `Moved` (ask again), the table's.
pub async fn approve(app: &App, known: Known, consent: Consent) -> Decided {
    let Consent {
        based_on,
        by,
        step: named,
        note,
        discount,
    } = consent;
    let Known { deal, details } = demand_version(known, based_on)?;
    let policy = policy(app, deal.program).await?;
    let domain = details.as_ref().and_then(Details::domain);
    if deal.has_stake(by, &policy, domain) {
        return Err(Fault::Stake.into());
    }
    let now = app.now();
    let (first, standing) =
        futures_util::future::try_join(ahead(app, &deal), slots::standing(app, &deal, None))
            .await?;
    // Where whoever stood before it is gone, another one may have come.
    let (first, deal) = match (first, slots::other(&deal, &standing)) {
        (None, Some(other)) => {
            let known = find(app, other).await?.deal;
            let rank = Rank::Second(other);
            (Some(known), Deal { rank, ..deal })
        }
        (first, _) => (first, deal),
    };
    let benefit = match &first {
        Some(_) => policy.second_benefit().clone(),
        None => policy.benefit.clone(),
    };
    let benefit = match (benefit, discount) {
        (Benefit::Discount { .. }, Some(rate)) => Benefit::Discount { rate },
        (Benefit::Commission { .. }, Some(_)) => {
            return Err(DealError::Discount("the program's deals bring no discount"));
        }
        (benefit, None) => benefit,
    };
    let terms = Terms {
        days: policy.protection_days,
        benefit,
    };
    let changed = deal.consented(by, named.as_deref(), note, terms, &policy.hours, now)?;
    if changed.state != State::Approved {
        if discount.is_some() {
            return Err(DealError::Discount("is said with the last consent"));
        }
        return step(app, &deal, changed, details);
    }
    let (changed, writes) = granted(app, &policy, &deal, changed, (first, &standing), now).await?;
    Ok(Change {
        value: Known {
            deal: changed,
            details,
        },
        writes,
    })
}

/// The deal that stands before one, as long as it does.
async fn ahead(app: &App, deal: &Deal) -> Result<Option<Deal>, DealError> {
    let Rank::Second(first) = deal.rank else {
        return Ok(None);
    };
    match find(app, first).await {
        Ok(known) => Ok(Some(known.deal).filter(|first| first.state.is_live())),
        Err(DealError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A deal that has all its consents: its slots, its claim, and whom it is shared with.
async fn granted(
    app: &App,
    policy: &Policy,
    before: &Deal,
    changed: Deal,
    (first, standing): (Option<Deal>, &[Slot]),
    now: Timestamp,
) -> Result<(Deal, Vec<Write<DealError>>), DealError> {
    let mut changed = changed;
    let mut beside = Vec::new();
    // What whoever stands before it has of the slots is that one's; the rest is guarded for this one.
    let until = changed.grant.as_ref().map_or(now, |grant| grant.until);
    let guard = slots::guard(&changed, None, standing, until, now)?;
    changed.held = guard.held;
    beside.extend(guard.writes);
    match (first, &policy.second) {
        (None, _) => changed.rank = Rank::First,
        (Some(first), Second::Refuse) => return Err(DealError::Before(first.id)),
        (Some(_), Second::Reduced(_)) => {}
        (Some(first), Second::CoRegister { share: second }) => {
            if first.state != State::Approved {
                return Err(DealError::Before(first.id));
            }
            if first.beside.is_some() {
                return Err(DealError::SharedAlready(first.id));
            }
            let (mine, theirs) = pair(&changed, &first, *second, second.rest());
            changed = changed.shared(mine, now);
            let shared = first.shared(theirs, now);
            beside.extend(store::change(&first, &shared)?.into_iter().map(write));
            beside.extend(
                change_claim(app, &shared, |claim| claim.share = Some(share(theirs))).await?,
            );
        }
    }
    let mut writes = follow(before, &changed)?;
    writes.extend(beside);
    for claim in rights(&changed, now) {
        writes.push(write(registry::put_claim(&claim)?));
    }
    writes.extend(told(app, &changed, before.timeline.len())?);
    Ok((changed, writes))
}

/// Rejects a deal, whose slots are free again.
///
/// # Errors
/// `Stale`, `Fault`, `Moved`, the table's.
pub async fn reject(
    app: &App,
    known: Known,
    based_on: u64,
    by: OperatorId,
    reason: RejectReason,
    note: Option<String>,
) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let ended = deal.rejected(Actor::Operator(by), reason, note, app.now())?;
    end(app, deal, ended, details).await
}

/// Makes a protection longer, once, before it ends.
///
/// # Errors
/// `Stale`, `Fault`, `NoPolicy`, `Moved`, the table's.
pub async fn extend(app: &App, known: Known, based_on: u64, by: Actor) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let policy = policy(app, deal.program).await?;
    let changed = deal.extended(policy.extension_days, by, app.now())?;
    let mut writes = follow(&deal, &changed)?;
    if let Some(held) = &changed.held {
        let kept = hold(&changed, held).keep(held.until);
        writes.extend(kept.into_iter().map(write));
    }
    let until = changed.grant.as_ref().map(|grant| grant.until);
    writes.extend(change_claim(app, &changed, |claim| claim.until = until).await?);
    writes.extend(told(app, &changed, deal.timeline.len())?);
    Ok(Change {
        value: Known {
            deal: changed,
            details,
        },
        writes,
    })
}

/// Ends a deal whose customer does not buy; its slots are free again.
///
/// # Errors
/// `Stale`, `Fault`, `Moved`, the table's.
pub async fn lose(
    app: &App,
    known: Known,
    based_on: u64,
    by: Actor,
    note: Option<String>,
) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let ended = deal.lost(by, note, app.now())?;
    end(app, deal, ended, details).await
}

/// What a deal was won with.
#[derive(Clone, Debug)]
pub struct Sale {
    /// The amount.
    pub amount: Money,
    /// When; now unless told.
    pub occurred_at: Option<Timestamp>,
    /// The sender's id of the transaction; the deal's id unless told.
    pub transaction_id: Option<String>,
    /// The conversion that it was posted as, where the customer's shop did: then no other is made.
    pub posted: Option<ConversionId>,
    /// Whether it is another sale than those that were posted since the deal was approved.
    pub is_another: bool,
}

/// Wins a deal. Where it brings a commission the amount becomes an ordinary conversion, credited to the
/// partner because of the deal, in the same transaction. A deal that two share is won for both: each has a
/// conversion of its share, the other one's under its own deal's id. What was posted already is not paid again:
/// the deal is linked to the conversion that is named, and where one was credited because of the deal and none is
/// named, it has to be said that this is another sale.
///
/// # Errors
/// `Stale`, `Fault`, `InFuture`, `ConversionExists`, `OthersTransaction`, `SoldAlready`, `NotItsConversion`,
/// `Unattributed`, `Money`, `Moved`, the table's.
pub async fn win(
    app: &App,
    program: &Program,
    known: Known,
    based_on: u64,
    sale: Sale,
    by: OperatorId,
) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let Sale {
        amount,
        occurred_at,
        transaction_id,
        posted,
        is_another,
    } = sale;
    let now = app.now();
    let occurred_at = occurred_at.unwrap_or(now);
    check_time(occurred_at, now, true)?;
    let other = match deal.beside {
        Some(beside) => Some(find(app, beside.deal).await?.deal),
        None => None,
    };
    // One whose protection has passed has it no more, whether clockwork has come by or not.
    let stands = |other: &Deal| {
        let grant = other.grant.as_ref();
        other.state == State::Approved && grant.is_some_and(|grant| grant.until > now)
    };
    let other = other.filter(stands);
    let (mine, theirs) = match (&deal.beside, &other) {
        (Some(beside), Some(_)) => split(amount, beside.share)?,
        _ => (amount, Money::zero(amount.currency())),
    };
    let posted = match posted {
        Some(id) => Some(sold_as(app, &deal, id).await?),
        None => None,
    };
    let event = Event {
        program,
        occurred_at,
        by,
        posted,
    };
    // Of two who were merged into one the sale is one conversion.
    let is_one = match &other {
        Some(other) => {
            partners::heir(app, other.partner).await? == partners::heir(app, deal.partner).await?
        }
        None => false,
    };
    let paid = if is_one { amount } else { mine };
    let (won, conversion) = event.won(app, &deal, (mine, paid), transaction_id).await?;
    let mut unsold = Vec::new();
    if conversion.is_some() && !is_another {
        for deal in std::iter::once(&deal).chain(&other) {
            unsold.push(write(demand_unsold(app, deal.id).await?));
        }
    }
    let theirs = match (&other, &conversion) {
        (Some(other), Some(_)) if is_one => {
            let line = won.won.and_then(|(_, line)| line);
            let theirs = other.won(theirs, line, Actor::Operator(by), now)?;
            Some((other, (theirs, None)))
        }
        (Some(other), _) => Some((other, event.won(app, other, (theirs, theirs), None).await?)),
        (None, _) => None,
    };
    let made = |won: &Deal, conversion: &Option<_>| {
        let (_, id) = won.won.filter(|_| conversion.is_some())?;
        id
    };
    let own = made(&won, &conversion);
    let others = theirs
        .as_ref()
        .and_then(|(_, (won, conversion))| made(won, conversion));
    let paid_as = own.or(others).filter(|_| !is_another);
    let mut writes = follow(&deal, &won)?;
    writes.extend(unsold);
    writes.extend(conversion);
    writes.extend(told(app, &won, deal.timeline.len())?);
    let beside = other.as_ref().map(|other| other.id);
    writes.extend(set_free(app, &deal, beside, paid_as, now).await?);
    if let Some((other, (theirs, conversion))) = theirs {
        if others.is_some() && own == others {
            return Err(DealError::OthersTransaction(other.id));
        }
        writes.extend(store::change(other, &theirs)?.into_iter().map(write));
        writes.extend(conversion);
        writes.extend(told(app, &theirs, other.timeline.len())?);
        writes.extend(set_free(app, other, Some(deal.id), paid_as, now).await?);
    }
    Ok(Change {
        value: Known { deal: won, details },
        writes,
    })
}

/// Whether a claim is a deal's.
fn is_because_of(claim: &Claim, deal: DealId) -> bool {
    let deal = Right::Deal(deal);
    matches!(claim.evidence, Evidence::Registered { right, .. } if right == deal)
}

/// Whether a conversion is credited because of a deal.
fn is_of(conversion: &Conversion, deal: DealId) -> bool {
    let ruling = conversion.outcome.as_ref().map(|outcome| &outcome.ruling);
    let mut claims = ruling.into_iter().flat_map(|ruling| {
        let Ruling { winner, beside, .. } = ruling;
        winner.iter().chain(beside)
    });
    claims.any(|claim| is_because_of(claim, deal))
}

/// Whether nothing is left of a conversion.
fn is_gone(conversion: &Conversion) -> bool {
    net_after(&conversion.facts, &conversion.changes.ordered()).gone
}

/// The conversion that a deal's sale was posted as: one that is credited because of it, or that names its customer.
async fn sold_as(app: &App, deal: &Deal, id: ConversionId) -> Result<Conversion, DealError> {
    let found = match tracking::find(app, id).await {
        Err(TrackingError::NotFound(_)) => return Err(DealError::NotItsConversion),
        found => found?,
    };
    let names = |hash: &String| deal.identifiers.contains(hash);
    let is_its = found.facts.program == deal.program
        && (is_of(&found, deal.id) || found.facts.identifiers.iter().any(names));
    if is_its && !is_gone(&found) {
        Ok(found)
    } else {
        Err(DealError::NotItsConversion)
    }
}

/// The check that no conversion is credited because of a deal that was not looked at here.
///
/// # Errors
/// `SoldAlready` of one that was posted and is credited because of it, or is about to be, and of which anything is
/// left; the table's.
async fn demand_unsold(app: &App, deal: DealId) -> Result<Op, DealError> {
    let (noted, count) = registry::sold(&app.main, deal).await?;
    for id in noted {
        let conversion = match tracking::find(app, id).await {
            Err(TrackingError::NotFound(_)) => continue,
            found => found?,
        };
        let waits = conversion.outcome.is_none();
        if (waits || is_of(&conversion, deal)) && !is_gone(&conversion) {
            return Err(DealError::SoldAlready(id));
        }
    }
    Ok(registry::still_sold(deal, count))
}

/// What a deal held, given back as it is won, or left to another approved deal of the customer: what the customer
/// buys next is another matter, and what it bought is paid by the win, as that conversion, whenever it is posted.
async fn set_free(
    app: &App,
    won: &Deal,
    beside: Option<DealId>,
    paid_as: Option<ConversionId>,
    now: Timestamp,
) -> Result<Vec<Write<DealError>>, DealError> {
    let mut writes = slots::leave(app, won, beside, now).await?;
    let end = |claim: &mut CustomerClaim| {
        claim.until = Some(now);
        claim.sold_as = paid_as;
    };
    writes.extend(change_claim(app, won, end).await?);
    Ok(writes)
}

/// A sale, as far as both who share it have it in common.
struct Event<'a> {
    program: &'a Program,
    occurred_at: Timestamp,
    by: OperatorId,
    /// What it was posted as.
    posted: Option<Conversion>,
}

impl Event<'_> {
    /// The deal won with an amount, and the conversion that is recorded for it, of what is paid.
    async fn won(
        &self,
        app: &App,
        deal: &Deal,
        (amount, paid): (Money, Money),
        transaction_id: Option<String>,
    ) -> Result<(Deal, Option<Write<DealError>>), DealError> {
        let now = app.now();
        let by = Actor::Operator(self.by);
        if let Some(posted) = &self.posted {
            let outcome = posted.outcome.as_ref();
            let beside = outcome.and_then(|outcome| outcome.ruling.beside.as_ref());
            let shares = beside.is_some_and(|claim| is_because_of(claim, deal.id));
            let id = posted.facts.id;
            let line = if shares { share_id(id) } else { id };
            return Ok((deal.won(amount, Some(line), by, now)?, None));
        }
        let benefit = deal.grant.as_ref().map(|grant| &grant.benefit);
        let facts = match benefit {
            Some(Benefit::Commission { event }) => {
                let transaction_id = transaction_id.unwrap_or_else(|| deal.id.to_string());
                self.facts(deal, event, paid, transaction_id, now)
            }
            Some(Benefit::Discount { .. }) | None => None,
        };
        let conversion: Option<ConversionId> = facts.as_ref().map(|facts| facts.id);
        let won = deal.won(amount, conversion, by, now)?;
        let Some(facts) = facts else {
            return Ok((won, None));
        };
        // A word for somebody who cannot be credited would pay nothing, and nobody would see why.
        let ruling = claims::foresee(app, self.program, &facts).await?.ruling;
        if let Some(reason) = ruling.reason() {
            return Err(DealError::Unattributed(reason));
        }
        let put = tracking::record(&facts)?;
        let put = Write::new(put, |_| DealError::ConversionExists);
        Ok((won, Some(put)))
    }

    fn facts(
        &self,
        deal: &Deal,
        event: &str,
        amount: Money,
        transaction_id: String,
        now: Timestamp,
    ) -> Option<Facts> {
        let posting = Posting {
            event: event.to_owned(),
            transaction_id,
            click: None,
            coupon: None,
            currency: amount.currency(),
            currency_stated: true,
            amount: Some(amount),
            margin: None,
            net_revenue: None,
            bonuses: None,
            fees: None,
            chargebacks: None,
            quantity: None,
            customer: None,
            identifiers: Vec::new(),
            customer_type: None,
            country: deal.subject.country.clone(),
            product: deal.subject.product_lines.first().cloned(),
            meta: std::collections::BTreeMap::new(),
            status: Posted::Approved,
            occurred_at: Some(self.occurred_at),
            subs: Default::default(),
        };
        let facts = posting.facts(deal.program, now)?;
        Some(Facts {
            credited_to: Some(Credited {
                partner: deal.partner,
                word: Word::Deal(deal.id),
            }),
            ..facts
        })
    }
}
