//! Commissions: every conversion gets its one outcome, and whatever is said of it later is posted.
//!
//! The use cases are level-triggered: they read what stands there and do what is still missing, so they may
//! be asked again at any time, in any order, by anybody.

pub mod book;
mod booking;
pub mod clockwork;
pub mod error;
pub mod explained;
pub mod fold;
mod follow;
pub mod hand;
pub mod history;
pub mod model;
pub mod recompute;
pub mod store;
pub mod trace;
pub mod view;
pub mod what_if;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use book::{BookId, Known, Placed, difference, place};
use fold::{Entry, measures_subtree};
use model::{
    Corrected, Correction, Credit, Due, Exchange, Grant, Missing, Outcome, Part, Source,
    change_digest, credited, entry, is_ahead, missing, net_applied, price, totals, uncredited,
};
pub use view::{preview, view, views};

use crate::clock::{Timestamp, date_of, days_after};
use crate::edge::App;
use crate::ids::{ConversionId, PartnerId};
use crate::ledger::model::{AccountId, Bucket};
use crate::ledger::store::{move_account, move_program};
use crate::money::Money;
use crate::partners::model::MAX_UPLINES;
use crate::plans::model::{AssignedBy, PlanVersion};
use crate::programs::model::Program;
use crate::table::{Error, Op, Refusal, Stored, TransactError};
use crate::tracking::model::{Changes, Facts};
use crate::tracking::store::find_many;
use crate::{claims, partners, programs, rates};

/// Conversions settled at once: three items of each fit one `BatchGetItem`.
pub const SETTLE_BATCH: usize = 33;
/// Outcomes or releases in one transaction: with account and transfer far below DynamoDB's 100, and few
/// enough that a conflict costs little.
pub const GROUP: usize = 40;
/// Fresh looks at a conversion while it is settled: one for each of its changes, and some for those who
/// move it meanwhile.
const MAX_ROUNDS: usize = 128;
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
    /// It moved, here or elsewhere; look again at what stands there now.
    Again(Box<Work>),
    /// To be tried later.
    Failed(ConversionId),
}

/// A conversion that was ruled on, before it is known what is posted for it.
struct Draft {
    ruling: claims::model::Ruling,
    plan: Arc<PlanVersion>,
    assigned_by: AssignedBy,
    account: AccountId,
    /// What its plan is told of it; `None` when nothing is left of it.
    entry: Option<Entry>,
    placed: Placed,
    uplines: Vec<Option<PartnerId>>,
    measured_by: Vec<PartnerId>,
    applied: Vec<String>,
    exchange: Option<Exchange>,
    /// Since when its customer was known from outside its book.
    known_since: Option<Timestamp>,
    /// Which part of the conversion's amounts it is for.
    part: Option<Part>,
    /// Where it is no conversion of the partner's own: the line's id and what it is paid for.
    line: Option<(ConversionId, Source)>,
}

/// An outcome that moves no money, and the write that records it where it is not the usual one.
struct Recorded {
    outcome: Outcome,
    op: Option<Op>,
}

/// What a ruling came to.
enum Ruled {
    /// Nobody is credited, or nobody knows the rate of exchange yet: no money moves.
    Recorded(Box<Recorded>),
    /// A partner is.
    Drafted(Box<Draft>),
}

impl Draft {
    /// The outcome that posts these totals.
    fn outcome(
        &self,
        facts: &Facts,
        paid: Option<fold::Paid>,
        posted: book::Totals,
        now: Timestamp,
    ) -> Outcome {
        let Self {
            ruling,
            plan,
            assigned_by,
            account,
            entry,
            placed,
            uplines,
            measured_by,
            applied,
            exchange,
            known_since,
            part,
            line,
        } = self;
        let Placed { book, counted_at } = placed;
        let grant = Grant {
            partner: account.partner,
            plan: plan.code.clone(),
            plan_version: plan.version,
            assigned_by: *assigned_by,
            paid,
            posted,
            release_at: days_after(facts.occurred_at, plan.hold_days),
            book: book
                .clone()
                .filter(|_| entry.is_some())
                .map(|book| (book, *counted_at)),
            uplines: uplines.clone(),
            measured_by: measured_by.clone(),
            applied: applied.clone(),
            exchange: exchange.clone(),
            known_since: *known_since,
            part: *part,
            shared: ruling.beside.is_some(),
        };
        let mut outcome = credited(facts, ruling.clone(), grant, account.currency, now);
        if let Some((id, source)) = line {
            outcome.conversion = *id;
            outcome.source = source.clone();
        }
        outcome
    }
}

/// Does all that is missing for these conversions: one read of all, then one transaction for the new
/// outcomes of each account or book, and one for each change. Returns those that could not be settled and
/// must be tried again; they never hold up the others.
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
    let mut to_change = Vec::new();
    let mut to_follow = Vec::new();
    let mut to_read = Vec::new();
    for work in works {
        // Somebody else posted a change that was not there yet when this was read.
        if let Some(outcome) = &work.outcome
            && is_ahead(outcome, &work.changes)
        {
            to_read.push(work.id);
            continue;
        }
        match missing(work.facts.as_ref(), &work.changes, work.outcome.as_ref()) {
            Missing::Nothing => progress.push(Progress::Done),
            Missing::Credit | Missing::Rate => to_credit.push(work),
            Missing::Change(due) => to_change.push((work, due)),
            Missing::Followers => to_follow.push(work),
        }
    }
    if !to_read.is_empty() {
        let read = load(app, &to_read).await.into_iter();
        progress.extend(read.map(|loaded| match loaded {
            Ok(work) => Progress::Again(Box::new(work)),
            Err(id) => Progress::Failed(id),
        }));
    }
    // In the order of their ids, so that a seeded run starts its transactions in the same order each time.
    let mut accounts: BTreeMap<AccountId, Vec<(Work, Outcome)>> = BTreeMap::new();
    let mut books: BTreeMap<BookId, Vec<(Work, Draft)>> = BTreeMap::new();
    let mut recorded = Vec::new();
    for (work, ruled) in rule_all(app, to_credit, now).await {
        let facts = match (ruled, &work.facts) {
            (Ok(Ruled::Recorded(found)), _) => {
                recorded.push((work, *found));
                continue;
            }
            (Ok(Ruled::Drafted(draft)), Some(facts)) => (draft, facts),
            (Err(error), _) => {
                tracing::error!(error, conversion = %work.id, "conversion not ruled on");
                progress.push(Progress::Failed(work.id));
                continue;
            }
            (Ok(Ruled::Drafted(_)), None) => continue,
        };
        let (draft, facts) = facts;
        match (&draft.placed.book, &draft.entry) {
            (Some(book), Some(_)) => books.entry(book.clone()).or_default().push((work, *draft)),
            _ => match alone(&draft, facts, now) {
                Ok(outcome) => accounts
                    .entry(draft.account)
                    .or_default()
                    .push((work, outcome)),
                Err(error) => {
                    tracing::error!(%error, conversion = %work.id, "commission not computed");
                    progress.push(Progress::Failed(work.id));
                }
            },
        }
    }
    let credited = join_all(
        accounts
            .into_iter()
            .map(|(account, group)| credit(app, account, group, now)),
    );
    let booked = join_all(
        books
            .into_iter()
            .map(|(book, group)| booking::credit(app, book, group, None, now)),
    );
    let recorded = join_all(
        recorded
            .into_iter()
            .map(|(work, found)| record(app, work, found)),
    );
    let changed = change(app, to_change, now);
    let followed = follow::follow(app, to_follow, now);
    let (credited, booked, recorded, changed, followed) =
        tokio::join!(credited, booked, recorded, changed, followed);
    progress.extend(credited.into_iter().flatten());
    progress.extend(booked.into_iter().flatten());
    progress.extend(recorded);
    progress.extend(changed);
    progress.extend(followed);
    progress
}

/// The outcome of a conversion that depends on no other event.
fn alone(
    draft: &Draft,
    facts: &Facts,
    now: Timestamp,
) -> Result<Outcome, crate::money::MoneyError> {
    let paid = draft
        .entry
        .as_ref()
        .map(|entry| price(&draft.plan, entry, draft.account.currency))
        .transpose()?;
    let posted = totals(paid.as_ref());
    Ok(draft.outcome(facts, paid, posted, now))
}

/// Rules on all: the first alone, so that it fills the caches for the others.
async fn rule_all(
    app: &App,
    works: Vec<Work>,
    now: Timestamp,
) -> Vec<(Work, Result<Ruled, String>)> {
    let rule = |work: Work| async move {
        let ruled = match &work.facts {
            Some(facts) => rule(app, facts, &work.changes, now).await,
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
    changes: &Changes,
    now: Timestamp,
) -> Result<Ruled, String> {
    let program = programs::program(app, facts.program)
        .await
        .map_err(|error| error.to_string())?
        .ok_or("its program does not exist")?;
    // What waited for its rate was ruled on before; links and enrolments may have changed since.
    let verdict = claims::rule(app, &program, facts)
        .await
        .map_err(|error| error.to_string())?;
    draft(app, &program, facts, changes, verdict, now).await
}

async fn draft(
    app: &App,
    program: &Program,
    facts: &Facts,
    changes: &Changes,
    verdict: claims::Verdict,
    now: Timestamp,
) -> Result<Ruled, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let claims::Verdict {
        ruling,
        plan,
        assigned_by,
    } = verdict;
    let assigned_by = assigned_by.unwrap_or(AssignedBy::Partner);
    let partner = ruling.winner.as_ref().and_then(|winner| winner.partner);
    let (Some(partner), Some(plan)) = (partner, plan) else {
        return Ok(Ruled::Recorded(Box::new(Recorded {
            outcome: uncredited(facts, ruling, now),
            op: None,
        })));
    };
    let currency = program.currency;
    let exchange = if facts.currency == currency {
        None
    } else {
        let found = rates::at(app, facts.currency, currency, date_of(facts.occurred_at))
            .await
            .map_err(|error| said(&error))?;
        let Some(rate) = found else {
            let outcome = model::waiting(facts, ruling, now);
            let day = date_of(facts.occurred_at);
            let put = store::put_waiting(&outcome, facts.currency, currency, day)
                .map_err(|error| said(&error))?;
            let op = Some(Op::Put(put));
            return Ok(Ruled::Recorded(Box::new(Recorded { outcome, op })));
        };
        Some(model::exchange(&rate))
    };
    let account = AccountId {
        partner,
        program: facts.program,
        currency,
    };
    let known = Known {
        occurred_at: facts.occurred_at,
        known_at: changes
            .approved_at
            .map_or(facts.received_at, |at| at.max(facts.received_at)),
        program_since: program.created_at,
    };
    let placed = place(&plan, partner, facts.id, facts.customer.as_deref(), known);
    let applied: Vec<String> = changes.ordered().iter().map(change_digest).collect();
    let net = net_applied(facts, changes, &applied);
    let known_since = store::customers::meet(&app.main, facts, partner, &plan, &placed)
        .await
        .map_err(|error| said(&error))?;
    let part = Part::of_winner(&ruling);
    let told = entry(
        facts,
        net,
        partner,
        (placed.counted_at, known_since),
        exchange.as_ref(),
        currency,
        part,
    )
    .map_err(|error| format!("its commission {error}"))?;
    let above = above(app, program, &plan, partner, facts.occurred_at)
        .await
        .map_err(|error| said(&error))?;
    Ok(Ruled::Drafted(Box::new(Draft {
        ruling,
        plan,
        assigned_by,
        account,
        entry: (!net.gone).then_some(told),
        placed,
        uplines: above.uplines,
        measured_by: above.measured_by,
        applied,
        exchange,
        known_since,
        part,
        line: None,
    })))
}

/// Who stands above a partner when something happens.
struct Above {
    /// Whom each level of the plan pays; `None` for an upline that could not be credited itself.
    uplines: Vec<Option<PartnerId>>,
    /// Whose plan measures what partners below sell.
    measured_by: Vec<PartnerId>,
}

async fn above(
    app: &App,
    program: &Program,
    plan: &PlanVersion,
    partner: PartnerId,
    at: Timestamp,
) -> Result<Above, Error> {
    let mut found = Above {
        uplines: Vec::new(),
        measured_by: Vec::new(),
    };
    let chain = partners::uplines(app, program.id, partner, at, MAX_UPLINES).await?;
    for (index, upline) in chain.into_iter().enumerate() {
        let standing = claims::plan_of(app, program, upline, at).await?;
        if index < plan.terms.levels.len() {
            found.uplines.push(standing.as_ref().ok().map(|_| upline));
        }
        if standing.is_ok_and(|theirs| measures_subtree(&theirs.terms)) {
            found.measured_by.push(upline);
        }
    }
    Ok(found)
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

fn fail(works: impl IntoIterator<Item = Work>) -> Vec<Progress> {
    works
        .into_iter()
        .map(|work| Progress::Failed(work.id))
        .collect()
}

async fn credit_chunk(
    app: &App,
    account: AccountId,
    chunk: Vec<(Work, Outcome)>,
    now: Timestamp,
) -> Vec<Progress> {
    let mut progress = Vec::with_capacity(chunk.len());
    let mut left = chunk;
    let fail_all = |left: Vec<(Work, Outcome)>| fail(left.into_iter().map(|(work, _)| work));
    while !left.is_empty() {
        let ops = match credit_ops(account, &left, now) {
            Ok(ops) => ops,
            Err(error) => {
                tracing::error!(%error, "outcomes not posted");
                progress.extend(fail_all(left));
                break;
            }
        };
        let refusals = match app.main.transact(&ops).await {
            Ok(()) => {
                progress.extend(
                    left.into_iter()
                        .map(|(work, outcome)| posted(work, outcome)),
                );
                break;
            }
            Err(TransactError::Refused(refusals)) => refusals,
            Err(TransactError::Table(error)) => {
                tracing::warn!(%error, conversions = left.len(), "outcomes not posted");
                progress.extend(fail_all(left));
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
            progress.extend(fail_all(left));
            break;
        }
    }
    progress
}

/// What is left to do for an outcome that stands now.
fn posted(work: Work, outcome: Outcome) -> Progress {
    match &outcome.credit {
        Ok(credit) if credit.owes => Progress::Again(Box::new(Work {
            outcome: Some(outcome),
            ..work
        })),
        _ => Progress::Done,
    }
}

/// The write of a new outcome: where none stands, or in the place of one that waited.
fn first_op(work: &Work, outcome: &Outcome) -> Result<Op, Error> {
    if work.outcome.is_some() {
        store::put_after_wait(outcome)
    } else {
        Ok(Op::Put(store::put(outcome)?))
    }
}

fn credit_ops(
    account: AccountId,
    group: &[(Work, Outcome)],
    now: Timestamp,
) -> Result<Vec<Op>, Error> {
    let mut ops = Vec::with_capacity(group.len() + 2);
    for (work, outcome) in group {
        ops.push(first_op(work, outcome)?);
    }
    let outcomes: Vec<&Outcome> = group.iter().map(|(_, outcome)| outcome).collect();
    ops.extend(account_ops(account, &outcomes, now)?);
    Ok(ops)
}

/// The change of the account and of the program's side for new outcomes.
fn account_ops(
    account: AccountId,
    outcomes: &[&Outcome],
    now: Timestamp,
) -> Result<Vec<Op>, Error> {
    let mut posted = 0_i64;
    let mut transfers = 0;
    for outcome in outcomes {
        let minor = outcome
            .credit
            .as_ref()
            .map_or(0, |credit| credit.posted.minor());
        posted = posted
            .checked_add(minor)
            .ok_or_else(|| Error::Failed("commissions over the limit".to_owned()))?;
        transfers += 1;
    }
    Ok(vec![
        move_account(account, &[(Bucket::Pending, posted)], transfers, now),
        move_program(account.program, account.partner, -posted),
    ])
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

/// Records an outcome that moves no money: one write.
async fn record(app: &App, work: Work, found: Recorded) -> Progress {
    let Recorded { outcome, op } = found;
    // It waits already.
    if work.outcome.is_some() && op.is_some() {
        return Progress::Done;
    }
    let stored = match (first_op(&work, &outcome), op) {
        (_, Some(Op::Put(put))) | (Ok(Op::Put(put)), None) => app.main.put_new(put).await,
        (Ok(Op::Update(update)), None) => match app.main.update(update).await {
            Ok(Ok(())) => Ok(Stored::New),
            Ok(Err(item)) => Ok(Stored::Already(item)),
            Err(error) => Err(error),
        },
        (Ok(_), _) => return Progress::Failed(work.id),
        (Err(error), _) => Err(error),
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

/// The plan version that an outcome was computed with.
async fn plan_of(
    app: &App,
    outcome: &Outcome,
    code: &str,
    version: u32,
) -> Result<PlanVersion, Error> {
    let versions = programs::plan_versions(app, outcome.program, code).await?;
    versions
        .as_ref()
        .and_then(|versions| versions.iter().find(|one| one.version == version))
        .cloned()
        .ok_or_else(|| Error::Malformed(format!("the plan {code} has no version {version}")))
}

/// A change of a conversion, computed.
struct Changed<'a> {
    outcome: &'a Outcome,
    plan: (String, u32),
    /// What its plan is told of it now; `None` when nothing is left of it.
    told: Option<Entry>,
    /// By how much is found where it is posted.
    correction: Correction,
}

/// What a change of a conversion is.
fn changed<'a>(work: &'a Work, due: &Due) -> Result<Changed<'a>, Error> {
    let failed = |what: &dyn std::fmt::Display| Error::Failed(format!("a correction: {what}"));
    let (Some(facts), Some(outcome)) = (&work.facts, &work.outcome) else {
        return Err(failed(&"nothing to correct"));
    };
    let Ok(credit) = &outcome.credit else {
        return Err(failed(&"nobody is credited"));
    };
    let mut applied = credit.applied.clone();
    applied.push(due.digest.clone());
    let net = net_applied(facts, &work.changes, &applied);
    let currency = credit.pay.currency();
    let counted_at = credit
        .book
        .as_ref()
        .map_or(facts.occurred_at, |(_, at)| *at);
    let exchange = credit.exchange.as_ref();
    let place = (counted_at, credit.known_since);
    let told = entry(
        facts,
        net,
        credit.partner,
        place,
        exchange,
        currency,
        credit.part,
    )
    .map_err(|error| failed(&error))?;
    Ok(Changed {
        outcome,
        plan: (credit.plan.clone(), credit.plan_version),
        told: (!net.gone).then_some(told),
        correction: Correction {
            key: due.digest.clone(),
            delta: Money::zero(currency),
            levels: Vec::new(),
            applied: vec![due.digest.clone()],
            gone: net.gone,
            followed: !credit.measured_by.is_empty() || outcome.ruling.beside.is_some(),
            reason: Some(due.reason.clone()),
        },
    })
}

/// Where changes are posted together: in a book, or in an account alone.
type Place = (AccountId, Option<BookId>);

/// Posts the next change of each of these conversions, those of one account and book in one transaction, on
/// the condition that outcomes and book stand where they were read.
async fn change(app: &App, works: Vec<(Work, Due)>, now: Timestamp) -> Vec<Progress> {
    let mut progress = Vec::with_capacity(works.len());
    let mut places: BTreeMap<Place, Vec<(Work, Due)>> = BTreeMap::new();
    for (work, due) in works {
        let place = work.outcome.as_ref().and_then(|outcome| {
            let book = outcome.credit.as_ref().ok()?.book.as_ref();
            Some((outcome.account()?, book.map(|(book, _)| book.clone())))
        });
        match place {
            Some(place) => places.entry(place).or_default().push((work, due)),
            None => progress.push(Progress::Failed(work.id)),
        }
    }
    let mut groups = Vec::new();
    for ((_, book), mut left) in places {
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(booking::TURNS));
            groups.push((book.clone(), std::mem::replace(&mut left, rest)));
        }
    }
    let each = groups
        .into_iter()
        .map(|(book, group)| change_group(app, book, group, now));
    progress.extend(join_all(each).await.into_iter().flatten());
    progress
}

async fn change_group(
    app: &App,
    book: Option<BookId>,
    group: Vec<(Work, Due)>,
    now: Timestamp,
) -> Vec<Progress> {
    let turned = match &book {
        Some(book) => change_booked(app, book, &group, now).await,
        None => change_alone(app, &group, now).await,
    };
    let turned = match turned {
        Ok(turned) => turned,
        // One that cannot be computed must not hold up the others.
        Err(error) if group.len() > 1 && !matches!(error, Error::Busy(_)) => {
            tracing::warn!(%error, changes = group.len(), "changes are posted one by one");
            let mut progress = Vec::with_capacity(group.len());
            for one in group {
                let alone = Box::pin(change_group(app, book.clone(), vec![one], now));
                progress.extend(alone.await);
            }
            return progress;
        }
        Err(error) => {
            tracing::warn!(%error, changes = group.len(), "changes were not posted");
            return fail(group.into_iter().map(|(work, _)| work));
        }
    };
    group
        .into_iter()
        .zip(turned)
        .map(|((work, _), turned)| match turned {
            Some(Ok(after)) => Progress::Again(Box::new(Work {
                outcome: Some(after),
                ..work
            })),
            Some(Err(item)) => again(work, item),
            // Another of the group stood in the way.
            None => Progress::Again(Box::new(work)),
        })
        .collect()
}

/// A line that depends on no other event, corrected to what it pays by now.
fn corrected(
    outcome: &Outcome,
    credit: &Credit,
    paid: Option<&fold::Paid>,
    correction: Correction,
    now: Timestamp,
) -> Result<Corrected, Error> {
    let failed = |what: &dyn std::fmt::Display| Error::Failed(format!("a correction: {what}"));
    let standing: book::Totals = std::iter::once(credit.total)
        .chain(credit.levels.iter().map(|(_, share)| *share))
        .map(Money::minor)
        .collect();
    let deltas =
        difference(Some(&totals(paid)), Some(&standing)).map_err(|error| failed(&error))?;
    let correction = Correction {
        delta: Money::new(deltas.first().copied().unwrap_or(0), credit.pay.currency()),
        levels: deltas.into_iter().skip(1).collect(),
        ..correction
    };
    outcome
        .corrected(&correction, now)
        .map_err(|error| failed(&error))?
        .ok_or_else(|| failed(&"nobody is credited"))
}

async fn change_booked(
    app: &App,
    book: &BookId,
    group: &[(Work, Due)],
    now: Timestamp,
) -> Result<Vec<Option<booking::Turned>>, Error> {
    let mut turns = Vec::with_capacity(group.len());
    for (work, due) in group {
        let Changed {
            outcome,
            plan,
            told,
            correction,
        } = changed(work, due)?;
        turns.push(booking::Turn {
            outcome,
            plan,
            told,
            correction,
        });
    }
    let turned = booking::correct(app, book, &turns, None, now).await?;
    Ok(turned.into_iter().map(Some).collect())
}

async fn change_alone(
    app: &App,
    group: &[(Work, Due)],
    now: Timestamp,
) -> Result<Vec<Option<booking::Turned>>, Error> {
    let failed = |what: &dyn std::fmt::Display| Error::Failed(format!("a correction: {what}"));
    let mut pairs = Vec::with_capacity(group.len());
    for (work, due) in group {
        let Changed {
            outcome,
            plan: (code, version),
            told,
            correction,
        } = changed(work, due)?;
        let Ok(credit) = &outcome.credit else {
            return Err(failed(&"nobody is credited"));
        };
        let currency = credit.pay.currency();
        let plan = plan_of(app, outcome, &code, version).await?;
        let paid = told
            .as_ref()
            .map(|told| price(&plan, told, currency))
            .transpose()
            .map_err(|error| failed(&error))?;
        let how = corrected(outcome, credit, paid.as_ref(), correction, now)?;
        pairs.push((outcome, how));
    }
    let each: Vec<_> = pairs.iter().map(|(outcome, how)| (*outcome, how)).collect();
    let refusals = match app.main.transact(&store::correct(&each)?).await {
        Ok(()) => {
            return Ok(pairs
                .into_iter()
                .map(|(_, how)| Some(Ok(how.after)))
                .collect());
        }
        Err(TransactError::Refused(refusals)) => refusals,
        Err(TransactError::Table(error)) => return Err(error),
    };
    let turned: Vec<Option<booking::Turned>> = pairs
        .iter()
        .zip(refusals)
        .map(|(_, refusal)| match refusal {
            Refusal::Condition(item) => Some(Err(item)),
            Refusal::None => None,
        })
        .collect();
    if turned.iter().all(Option::is_none) {
        return Err(failed(
            &"a transfer stands there, but its outcome does not show it",
        ));
    }
    Ok(turned)
}
