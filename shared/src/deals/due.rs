//! What time does to deals: protections end, partners are reminded, approvals that are late are passed on,
//! questions that are not answered and disputes that are not decided come to their end.

use super::error::DealError;
use super::model::{Actor, Award, Due, RejectReason, State, Terms};
use super::rivals::{holder_of, settle};
use super::{Known, follow, policy, release, store, told};
use crate::clock::Timestamp;
use crate::edge::{App, Write};
use crate::ids::DealId;
use crate::table::{Op, TransactError};

/// Deals of a shard that one run looks at; the next one goes on.
const MAX_DUE: usize = 250;
/// What is done for one deal in one run: more is never due at once.
const MAX_STEPS: usize = 4;

/// Does what is due for deals by `now`; how much was done. Each is a transaction on the version that was read, so
/// nothing is done twice; what was changed by somebody else at that moment is looked at by the next run.
///
/// # Errors
/// The first that any deal met, after all were tried. Safe to repeat.
pub async fn due(app: &App, now: Timestamp) -> Result<usize, DealError> {
    let mut done = 0;
    let mut failed = None;
    for shard in 0..store::DUE_SHARDS {
        for id in store::due(&app.main, shard, now, MAX_DUE).await? {
            // Due is what the schedule's time says; done it is now.
            match one(app, id, now.max(app.now())).await {
                Ok(steps) => done += steps,
                Err(error) => {
                    tracing::error!(%error, deal = %id, "what is due for a deal was not done; it is tried again");
                    failed = Some(error);
                }
            }
        }
    }
    failed.map_or(Ok(done), Err)
}

async fn one(app: &App, id: DealId, now: Timestamp) -> Result<usize, DealError> {
    for done in 0..MAX_STEPS {
        let Some(Known { deal, .. }) = found(app, id).await? else {
            return Ok(done);
        };
        let Some(due) = deal.due(now) else {
            return Ok(done);
        };
        if !commit(app, writes(app, &deal, &due, now).await?).await? {
            // Somebody has taken a slot that had passed, or has changed the deal: the first is no reason to keep it.
            if !commit(app, writes(app, &deal, &due, now).await?).await? {
                return Ok(done);
            }
        }
    }
    Ok(MAX_STEPS)
}

async fn found(app: &App, id: DealId) -> Result<Option<Known>, DealError> {
    match super::find(app, id).await {
        Ok(known) => Ok(Some(known)),
        Err(DealError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn writes(
    app: &App,
    deal: &super::model::Deal,
    due: &Due,
    now: Timestamp,
) -> Result<Vec<Write<DealError>>, DealError> {
    let changed = match due {
        Due::Reminder(days) => deal.reminded(*days, now),
        Due::Overdue(_) => deal.escalated(now),
        Due::Expiry => deal.expired(now)?,
        Due::Unanswered => deal.rejected(Actor::Rule, RejectReason::Incomplete, None, now)?,
        Due::Undecided => {
            let holder = holder_of(app, deal).await?;
            let policy = policy(app, deal.program).await?;
            let terms = Terms {
                days: policy.protection_days,
                benefit: policy.benefit.clone(),
            };
            let said = (Actor::Rule, None);
            let (_, writes) = settle(app, deal, holder, Award::Holder, terms, said, now).await?;
            return Ok(writes);
        }
    };
    let mut writes = follow(deal, &changed)?;
    writes.extend(told(app, &changed, deal.timeline.len())?);
    if matches!(changed.state, State::Expired | State::Rejected) {
        writes.extend(release(app, deal, now).await?);
    }
    Ok(writes)
}

/// Whether it was written: not where something else was changed before.
async fn commit(app: &App, writes: Vec<Write<DealError>>) -> Result<bool, DealError> {
    let ops: Vec<Op> = writes.into_iter().map(|write| write.op).collect();
    match app.main.transact(&ops).await {
        Ok(()) => Ok(true),
        Err(TransactError::Refused(_)) => Ok(false),
        Err(TransactError::Table(error)) => Err(error.into()),
    }
}
