//! Commissions: every conversion gets its one outcome, and what is taken back is posted back.
//!
//! The use cases are level-triggered: they read what stands there and do what is still missing, so they may
//! be asked again at any time, in any order, by anybody.

pub mod clockwork;
pub mod fold;
pub mod model;
pub mod store;
pub mod view;

use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use model::{Missing, Outcome, missing, outcome};
pub use view::{preview, view, views};

use crate::clock::Timestamp;
use crate::edge::App;
use crate::ids::ConversionId;
use crate::ledger::model::{AccountId, Bucket};
use crate::ledger::store::{move_account, move_program};
use crate::table::{Error, Op, Refusal, Stored, TransactError};
use crate::tracking::model::{Changes, Facts, Reversal};
use crate::tracking::store::find_many;
use crate::{claims, programs};

/// Conversions settled at once: three items of each fit one `BatchGetItem`.
pub const SETTLE_BATCH: usize = 33;
/// Outcomes or releases in one transaction: with account and transfer far below DynamoDB's 100, and few
/// enough that a conflict costs little.
pub const GROUP: usize = 40;
/// Fresh looks at a conversion that keeps moving while it is settled.
const MAX_ROUNDS: u32 = 6;
/// Conversions ruled on at once.
const RULINGS_AT_ONCE: usize = 8;

/// A message of the commissions queue: a conversion of which something may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// Which.
    pub conversion: ConversionId,
}

/// A conversion while it is settled.
struct Work {
    id: ConversionId,
    facts: Option<Facts>,
    changes: Changes,
    outcome: Option<Outcome>,
}

/// How far a try got with a conversion.
enum Progress {
    /// All is there.
    Done,
    /// Somebody else moved it; look again at what stands there now.
    Again(Box<Work>),
    /// To be tried later.
    Failed(ConversionId),
}

/// Does all that is missing for these conversions: one read of all, then one transaction for the new
/// outcomes of each account, and one for each reversal. Returns those that could not be settled and must be
/// tried again; they never hold up the others.
pub async fn settle(app: &App, ids: &[ConversionId], now: Timestamp) -> Vec<ConversionId> {
    let mut seen = HashSet::new();
    let ids: Vec<ConversionId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let mut failed = Vec::new();
    for batch in ids.chunks(SETTLE_BATCH) {
        let mut works = Vec::with_capacity(batch.len());
        for loaded in load(app, batch).await {
            match loaded {
                Ok(work) => works.push(work),
                Err(id) => failed.push(id),
            }
        }
        for _ in 0..MAX_ROUNDS {
            if works.is_empty() {
                break;
            }
            // Posted it is when it is tried, not when the first try began.
            let now = now.max(app.now());
            let progress = advance(app, works, now).await;
            works = Vec::new();
            for step in progress {
                match step {
                    Progress::Done => {}
                    Progress::Again(work) => works.push(*work),
                    Progress::Failed(id) => failed.push(id),
                }
            }
        }
        failed.extend(works.into_iter().map(|work| work.id));
    }
    failed
}

async fn load(app: &App, ids: &[ConversionId]) -> Vec<Result<Work, ConversionId>> {
    let error = match load_all(app, ids).await {
        Ok(works) => return works,
        Err(error) => error,
    };
    if !matches!(error, Error::Malformed(_)) || ids.len() == 1 {
        tracing::warn!(%error, conversions = ids.len(), "conversions not read");
        return ids.iter().map(|id| Err(*id)).collect();
    }
    // One item that cannot be read must not hold up the others.
    let mut works = Vec::with_capacity(ids.len());
    for id in ids {
        match load_all(app, &[*id]).await {
            Ok(one) => works.extend(one),
            Err(error) => {
                tracing::error!(%error, conversion = %id, "conversion not read");
                works.push(Err(*id));
            }
        }
    }
    works
}

async fn load_all(
    app: &App,
    ids: &[ConversionId],
) -> Result<Vec<Result<Work, ConversionId>>, Error> {
    let mut records = find_many(&app.main, ids).await?;
    ids.iter()
        .filter_map(|id| records.remove_entry(id))
        .map(|(id, (facts, changes, item))| {
            Ok(Ok(Work {
                id,
                facts,
                changes,
                outcome: item.map(store::outcome).transpose()?,
            }))
        })
        .collect()
}

/// One round: decides for each, then commits together what belongs together.
async fn advance(app: &App, works: Vec<Work>, now: Timestamp) -> Vec<Progress> {
    let mut progress = Vec::with_capacity(works.len());
    let mut to_credit = Vec::new();
    let mut to_reverse = Vec::new();
    for work in works {
        match missing(work.facts.as_ref(), &work.changes, work.outcome.as_ref()) {
            Missing::Nothing => progress.push(Progress::Done),
            Missing::Credit => to_credit.push((work, None)),
            Missing::CreditReversed(reversal) => {
                let reversal = reversal.clone();
                to_credit.push((work, Some(reversal)));
            }
            Missing::Reversal(reversal) => {
                let reversal = reversal.clone();
                to_reverse.push((work, reversal));
            }
        }
    }
    // In the order of their ids, so that a seeded run starts its transactions in the same order each time.
    let mut accounts: BTreeMap<AccountId, Vec<(Work, Outcome)>> = BTreeMap::new();
    let mut uncredited = Vec::new();
    for (work, ruled) in rule_all(app, to_credit, now).await {
        match ruled {
            Ok(outcome) => match outcome.account() {
                Some(account) => accounts.entry(account).or_default().push((work, outcome)),
                None => uncredited.push((work, outcome)),
            },
            Err(error) => {
                tracing::error!(error, conversion = %work.id, "conversion not ruled on");
                progress.push(Progress::Failed(work.id));
            }
        }
    }
    let credited = join_all(
        accounts
            .into_iter()
            .map(|(account, group)| credit(app, account, group, now)),
    );
    let uncredited = join_all(
        uncredited
            .into_iter()
            .map(|(work, outcome)| record(app, work, outcome)),
    );
    let reversed = join_all(
        to_reverse
            .into_iter()
            .map(|(work, reversal)| reverse(app, work, reversal, now)),
    );
    let (credited, uncredited, reversed) = tokio::join!(credited, uncredited, reversed);
    progress.extend(credited.into_iter().flatten());
    progress.extend(uncredited);
    progress.extend(reversed);
    progress
}

/// Rules on all: the first alone, so that it fills the caches for the others.
async fn rule_all(
    app: &App,
    works: Vec<(Work, Option<Reversal>)>,
    now: Timestamp,
) -> Vec<(Work, Result<Outcome, String>)> {
    let rule = |(work, reversal): (Work, Option<Reversal>)| async move {
        let ruled = match &work.facts {
            Some(facts) => rule(app, facts, reversal.as_ref(), now).await,
            None => Err("a conversion without facts is never credited".to_owned()),
        };
        (work, ruled)
    };
    let mut works = works.into_iter();
    let Some(first) = works.next() else {
        return Vec::new();
    };
    let mut ruled = vec![rule(first).await];
    let others: Vec<_> = stream::iter(works)
        .map(rule)
        .buffered(RULINGS_AT_ONCE)
        .collect()
        .await;
    ruled.extend(others);
    ruled
}

async fn rule(
    app: &App,
    facts: &Facts,
    reversal: Option<&Reversal>,
    now: Timestamp,
) -> Result<Outcome, String> {
    let program = programs::program(app, facts.program)
        .await
        .map_err(|error| error.to_string())?
        .ok_or("its program does not exist")?;
    let claims::Verdict { ruling, plan, .. } = claims::rule(app, &program, facts)
        .await
        .map_err(|error| error.to_string())?;
    outcome(
        facts,
        ruling,
        plan.as_deref(),
        program.currency,
        reversal,
        now,
    )
    .map_err(|error| format!("its commission {error}"))
}

/// Posts the new outcomes of one account, [`GROUP`] at a time: the outcomes, which carry their transfers,
/// with the change of the account and of the program's side.
async fn credit(
    app: &App,
    account: AccountId,
    group: Vec<(Work, Outcome)>,
    now: Timestamp,
) -> Vec<Progress> {
    let mut progress = Vec::with_capacity(group.len());
    let mut left = group;
    while !left.is_empty() {
        let rest = left.split_off(left.len().min(GROUP));
        let chunk = std::mem::replace(&mut left, rest);
        progress.extend(credit_chunk(app, account, chunk, now).await);
    }
    progress
}

async fn credit_chunk(
    app: &App,
    account: AccountId,
    chunk: Vec<(Work, Outcome)>,
    now: Timestamp,
) -> Vec<Progress> {
    let mut progress = Vec::with_capacity(chunk.len());
    let mut left = chunk;
    let fail = |left: Vec<(Work, Outcome)>| {
        left.into_iter()
            .map(|(work, _)| Progress::Failed(work.id))
            .collect::<Vec<_>>()
    };
    while !left.is_empty() {
        let ops = match credit_ops(account, &left, now) {
            Ok(ops) => ops,
            Err(error) => {
                tracing::error!(%error, "outcomes not posted");
                progress.extend(fail(left));
                break;
            }
        };
        let refusals = match app.main.transact(&ops).await {
            Ok(()) => {
                progress.extend(left.iter().map(|_| Progress::Done));
                break;
            }
            Err(TransactError::Refused(refusals)) => refusals,
            Err(TransactError::Table(error)) => {
                tracing::warn!(%error, conversions = left.len(), "outcomes not posted");
                progress.extend(fail(left));
                break;
            }
        };
        // Whoever stands there already is dropped from the group and looked at again; the rest goes on.
        let mut rest = Vec::with_capacity(left.len());
        let tried = left.len();
        for ((work, outcome), refusal) in left.into_iter().zip(refusals) {
            match refusal {
                Refusal::None => rest.push((work, outcome)),
                Refusal::Condition(item) => progress.push(again(work, item)),
            }
        }
        left = rest;
        if left.len() == tried {
            tracing::error!("a transaction was refused for none of its outcomes");
            progress.extend(fail(left));
            break;
        }
    }
    progress
}

fn credit_ops(
    account: AccountId,
    group: &[(Work, Outcome)],
    now: Timestamp,
) -> Result<Vec<Op>, Error> {
    let mut ops = Vec::with_capacity(group.len() + 2);
    let mut posted = 0_i64;
    let mut transfers = 0;
    for (_, outcome) in group {
        ops.push(Op::Put(store::put(outcome)?));
        let minor = outcome
            .credit
            .as_ref()
            .map_or(0, |credit| credit.posted.minor());
        posted = posted
            .checked_add(minor)
            .ok_or_else(|| Error::Failed("commissions over the limit".to_owned()))?;
        transfers += 1;
    }
    ops.push(move_account(
        account,
        &[(Bucket::Pending, posted)],
        transfers,
        now,
    ));
    ops.push(move_program(account.program, account.partner, -posted));
    Ok(ops)
}

/// What stands there now, to be looked at again.
fn again(work: Work, item: crate::table::Item) -> Progress {
    if item.is_empty() {
        return Progress::Failed(work.id);
    }
    match store::outcome(item) {
        Ok(outcome) => Progress::Again(Box::new(Work {
            outcome: Some(outcome),
            ..work
        })),
        Err(error) => {
            tracing::error!(%error, conversion = %work.id, "outcome not read");
            Progress::Failed(work.id)
        }
    }
}

/// Records the outcome of a conversion that credits nobody: one put.
async fn record(app: &App, work: Work, outcome: Outcome) -> Progress {
    let stored = match store::put(&outcome) {
        Ok(put) => app.main.put_new(put).await,
        Err(error) => Err(error),
    };
    match stored {
        Ok(Stored::New) => Progress::Done,
        Ok(Stored::Already(item)) => again(work, item),
        Err(error) => {
            tracing::warn!(%error, conversion = %work.id, "outcome not recorded");
            Progress::Failed(work.id)
        }
    }
}

/// Takes a commission back in one transaction, on the condition that it stands where it was read.
async fn reverse(app: &App, work: Work, reversal: Reversal, now: Timestamp) -> Progress {
    let Some((outcome, how)) = work
        .outcome
        .as_ref()
        .and_then(|outcome| Some((outcome, outcome.take_back(&reversal, now)?)))
    else {
        return Progress::Done;
    };
    let refusals = match store::take_back(outcome, &how) {
        Ok(ops) => match app.main.transact(&ops).await {
            Ok(()) => return Progress::Done,
            Err(TransactError::Refused(refusals)) => refusals,
            Err(TransactError::Table(error)) => {
                tracing::warn!(%error, conversion = %work.id, "reversal not posted");
                return Progress::Failed(work.id);
            }
        },
        Err(error) => {
            tracing::error!(%error, conversion = %work.id, "reversal not posted");
            return Progress::Failed(work.id);
        }
    };
    match refusals.into_iter().next() {
        Some(Refusal::Condition(item)) => again(work, item),
        _ => {
            tracing::error!(conversion = %work.id, "a reversal stands there, but its outcome does not show it");
            Progress::Failed(work.id)
        }
    }
}
