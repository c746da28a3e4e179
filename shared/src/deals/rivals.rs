//! Disputes between two partners over one deal.

use super::error::DealError;
use super::model::{Actor, Award, Deal, Fault, State, Terms};
use super::{
    Decided, Details, Known, change_claim, demand_version, find, follow, policy, release, rights,
    share, slots, store, told, write,
};
use crate::claims::registry;
use crate::clock::Timestamp;
use crate::edge::{App, Change, Write};
use crate::ids::OperatorId;

/// Disputes the rejection of a deal as the duplicate of another partner's, who is told that its own is
/// disputed but not by whom.
///
/// # Errors
/// `Stale`, `Fault`, `NoPolicy`, `Moved`, the table's.
pub async fn raise(
    app: &App,
    known: Known,
    based_on: u64,
    statement: String,
    by: Actor,
) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let policy = policy(app, deal.program).await?;
    let now = app.now();
    let changed = deal.challenging(statement, policy.dispute_days, by, now)?;
    let rival = deal.rival().ok_or(Fault::NothingToDispute)?;
    let holder = match find(app, rival).await {
        Err(DealError::NotFound(_)) => return Err(Fault::NothingToDispute.into()),
        found => found?.deal,
    };
    // What has ended stands in nobody's way: the deal is registered again.
    let told_of = holder
        .challenged(deal.id, now)
        .map_err(|fault| match fault {
            Fault::State(_) => Fault::NothingToDispute,
            other => other,
        })?;
    let mut writes = follow(&deal, &changed)?;
    writes.extend(store::change(&holder, &told_of)?.into_iter().map(write));
    writes.extend(told(app, &changed, deal.timeline.len())?);
    writes.extend(told(app, &told_of, holder.timeline.len())?);
    Ok(Change {
        value: Known {
            deal: changed,
            details,
        },
        writes,
    })
}

/// Decides the dispute of a deal: for whoever disputes, for whoever has it, for both with a share each, or for
/// neither. Whoever has a stake in it decides nothing.
///
/// # Errors
/// `Stale`, `Fault`, `NoPolicy`, `Moved` (ask again), the table's.
pub async fn decide(
    app: &App,
    known: Known,
    based_on: u64,
    award: Award,
    by: OperatorId,
    note: Option<String>,
) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let policy = policy(app, deal.program).await?;
    let holder = holder_of(app, &deal).await?;
    let domain = details.as_ref().and_then(Details::domain);
    let stake = |deal: &Deal| deal.has_stake(by, &policy, domain);
    if stake(&deal) || holder.as_ref().is_some_and(stake) {
        return Err(Fault::Stake.into());
    }
    let terms = Terms {
        days: policy.protection_days,
        benefit: policy.benefit.clone(),
    };
    let said = (Actor::Operator(by), note);
    let (changed, writes) = settle(app, &deal, holder, award, terms, said, app.now()).await?;
    Ok(Change {
        value: Known {
            deal: changed,
            details,
        },
        writes,
    })
}

/// The deal that stands in the way of a disputed one, as long as it does.
pub(super) async fn holder_of(app: &App, deal: &Deal) -> Result<Option<Deal>, DealError> {
    let Some(dispute) = &deal.dispute else {
        return Ok(None);
    };
    match find(app, dispute.holder).await {
        Ok(known) => Ok(Some(known.deal).filter(|holder| holder.state.is_live())),
        Err(DealError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A dispute's end, and what is written with it.
pub(super) async fn settle(
    app: &App,
    deal: &Deal,
    holder: Option<Deal>,
    award: Award,
    terms: Terms,
    said: (Actor, Option<String>),
    now: Timestamp,
) -> Result<(Deal, Vec<Write<DealError>>), DealError> {
    // Two share at most, and of two who share none goes without the other.
    let is_split = matches!(award, Award::Split { .. } | Award::Challenger);
    if let Some(holder) = holder
        .as_ref()
        .filter(|holder| holder.beside.is_some() && is_split)
    {
        return Err(DealError::SharedAlready(holder.id));
    }
    let (mut changed, told_of) = deal.settled(holder.as_ref(), award, terms, said, now)?;
    let mut beside = Vec::new();
    let loses = told_of
        .as_ref()
        .is_some_and(|told_of| told_of.state == State::Rejected);
    if changed.state == State::Approved {
        let from = holder.as_ref().filter(|_| loses);
        let standing = slots::standing(app, &changed, from).await?;
        let stands = slots::other(&changed, &standing);
        // Whoever registered the customer since stands before it as the holder did.
        let known = holder.as_ref().map(|holder| holder.id);
        if let Some(other) = stands.filter(|other| Some(*other) != known) {
            return Err(DealError::Before(other));
        }
        let until = changed.grant.as_ref().map_or(now, |grant| grant.until);
        let guard = slots::guard(&changed, from, &standing, until, now)?;
        changed.held = guard.held;
        beside.extend(guard.writes);
    }
    if let (Some(holder), Some(told_of)) = (&holder, &told_of) {
        match (loses, changed.state) {
            (true, State::Approved) => beside.extend(bereft(app, holder, now).await?),
            (true, _) => beside.extend(release(app, holder, now).await?),
            (false, _) => {}
        }
        if let (Award::Split { .. }, Some(theirs)) = (award, told_of.beside) {
            let less = change_claim(app, holder, |claim| claim.share = Some(share(theirs)));
            beside.extend(less.await?);
        }
        beside.extend(store::change(holder, told_of)?.into_iter().map(write));
        beside.extend(told(app, told_of, holder.timeline.len())?);
    }
    let mut writes = follow(deal, &changed)?;
    writes.extend(beside);
    if changed.state == State::Approved {
        for claim in rights(&changed, now) {
            writes.push(write(registry::put_claim(&claim)?));
        }
    }
    writes.extend(told(app, &changed, deal.timeline.len())?);
    Ok((changed, writes))
}

/// What else follows for a deal that loses: its claim ends, and whoever shared it has its own alone.
async fn bereft(
    app: &App,
    loser: &Deal,
    now: Timestamp,
) -> Result<Vec<Write<DealError>>, DealError> {
    let ended = change_claim(app, loser, |claim| claim.until = Some(now));
    let mut writes: Vec<_> = ended.await?.into_iter().collect();
    if let Some(beside) = loser.beside {
        let other = find(app, beside.deal).await?.deal;
        if other.state == State::Approved {
            let alone = other.alone(now);
            writes.extend(store::change(&other, &alone)?.into_iter().map(write));
            writes.extend(change_claim(app, &alone, |claim| claim.share = None).await?);
        }
    }
    Ok(writes)
}
