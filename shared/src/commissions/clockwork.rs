//! What happens by the clock: holds that pass, and work that transport has lost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::book::{Book, BookId, difference, next_close, reckon};
use super::booking::{self, Opened};
use super::fold::{Close, Step};
use super::model::{Extra, Missing, Outcome, Source, WindowKind, missing, release};
use super::store::{self, hold_partition, outcome_key};
use super::{GROUP, Job, above, account_ops, follow};
use crate::clock::{
    Timestamp, days_after, days_before, minutes_after, month, month_end, parse, stamp,
};
use crate::edge::{self, App, Queue, SEND_BATCH};
use crate::events::store::event_of;
use crate::ids::{
    BatchId, ConversionId, ImportId, LinkId, PartnerId, PayoutId, ProgramId, UploadId, WhatIfId,
};
use crate::ledger::model::AccountId;
use crate::ledger::store::{DUE_SHARDS, post};
use crate::money::{Money, MoneyError};
use crate::plans::model::{GRACE_DAYS, PlanVersion};
use crate::programs::model::Program;
use crate::sessions::store::sign_in_of;
use crate::table::{
    Entry, Error, Index, Key, Op, Put, Range, Refusal, TransactError, pause_before,
};
use crate::tracking::store::{
    Record, SHARDS, changes_partition, conversion_of, facts_partition, find_many,
};
use crate::{payouts, programs, rates};

/// Due holds read at once in a shard. The more, the better they group by account.
const RELEASE_PAGE: usize = 1_000;
/// Transactions of one shard in one run; the next run goes on.
const RELEASE_TRANSACTIONS: usize = 400;
/// How long each part of a run may begin new work: the function has a minute for all of them, one after the
/// other, and what is begun must end in it.
const RUN_SECONDS: u64 = 8;
/// How long one program may take of a run at least.
const TURN_SECONDS: u64 = 5;
/// How far before the watermark a pass begins: an index lags behind its table, and clocks differ.
const OVERLAP_MINUTES: i64 = 10;
/// Entries read at once of each list partition.
const RECONCILE_PAGE: usize = 500;
/// Messages sent by one run for one program; what it does not reach, the next run does.
const MAX_REQUEUED: usize = 10_000;
/// Calls to the queue at once.
const SENDS_AT_ONCE: usize = 8;
/// Payout work queued again by one run.
const MAX_PAYOUT_WORK: usize = 1_000;
/// A conversion without its outcome after that long is worth an alarm.
const ALARM_MINUTES: i64 = 15;
/// Books whose windows one run closes.
const MAX_CLOSES: usize = 1_000;
/// Lines of one book that one run posts at its close, and tries while others change it.
const MAX_CLOSE_STEPS: u32 = 256;
/// Conversions checked at once, in parallel reads of a hundred items.
const CHECK_BATCH: usize = 330;

/// What one run released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Released {
    /// Commissions that became payable.
    pub conversions: usize,
    /// Transactions that it took.
    pub transactions: usize,
    /// Commissions that were due and could not be released now.
    pub failed: usize,
}

/// What one run queued again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Conversions looked at.
    pub checked: usize,
    /// Conversions queued again.
    pub requeued: usize,
    /// Of these, conversions that have waited for [`ALARM_MINUTES`].
    pub overdue: usize,
    /// Batches and payouts queued again.
    pub payout_work: usize,
}

// ---- Holds

/// Releases holds that have passed by `now`: moves `pending` to `payable`, one transfer for up to
/// [`GROUP`] commissions of an account. Bounded; what is left is due in the next run as well.
///
/// # Errors
/// The table's, after all shards were tried. Safe to repeat.
pub async fn release_due(app: &App, now: Timestamp) -> Result<Released, Error> {
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS);
    let shards = futures_util::future::join_all(
        (0..DUE_SHARDS).map(|shard| shard_due(app, shard, now, until)),
    )
    .await;
    let mut sum = Released::default();
    for released in shards {
        let Released {
            conversions,
            transactions,
            failed,
        } = released?;
        sum.conversions += conversions;
        sum.transactions += transactions;
        sum.failed += failed;
    }
    Ok(sum)
}

async fn shard_due(
    app: &App,
    shard: u8,
    now: Timestamp,
    until: Instant,
) -> Result<Released, Error> {
    let mut sum = Released::default();
    let mut after = String::new();
    // `$` is the character after `#`: what is due at this very instant is included.
    let high = format!("{}$", stamp(now));
    loop {
        let range = Range::partition(Index::Due, hold_partition(shard), RELEASE_PAGE)
            .between(format!("{after}\0"), &high);
        let (entries, more) = app.main.entries(&range).await?;
        let due = due(app, &entries, now).await?;
        sum.failed += due.malformed;
        if let Err(error) = send_all(app, Queue::Commissions, &due.owing).await {
            // They are due until they are done; others' holds are released all the same.
            tracing::warn!(%error, conversions = due.owing.len(), "what is owed was not queued");
            sum.failed += due.owing.len();
        }
        for (account, outcomes) in due.accounts {
            for group in outcomes.chunks(GROUP) {
                if sum.transactions >= RELEASE_TRANSACTIONS || Instant::now() >= until {
                    return Ok(sum);
                }
                let released = release_group(app, account, group, now).await;
                sum.conversions += released.conversions;
                sum.transactions += released.transactions;
                sum.failed += released.failed;
            }
        }
        match entries.last() {
            Some(last) if more => after = last.sort.clone(),
            _ => return Ok(sum),
        }
    }
}

struct Due {
    accounts: Vec<(AccountId, Vec<Outcome>)>,
    /// Conversions that are not released before what follows from them stands: so nothing is ever left owing,
    /// whatever was lost.
    owing: Vec<Job>,
    malformed: usize,
}

/// The outcomes behind entries that are still held and due, by account. The index only proposes.
async fn due(app: &App, entries: &[Entry], now: Timestamp) -> Result<Due, Error> {
    let mut items = app
        .main
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    let mut positions: HashMap<AccountId, usize> = HashMap::new();
    let mut accounts: Vec<(AccountId, Vec<Outcome>)> = Vec::new();
    let (mut owing, mut malformed) = (Vec::new(), 0);
    for item in entries.iter().filter_map(|entry| items.remove(&entry.key)) {
        let outcome = match store::outcome(item) {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "a held outcome cannot be read");
                malformed += 1;
                continue;
            }
        };
        let Some(account) = outcome.account().filter(|_| outcome.is_due(now)) else {
            continue;
        };
        // What follows from a window's line is seen to with its book.
        let owes = outcome.credit.as_ref().is_ok_and(|credit| credit.owes);
        if owes && outcome.source == Source::Conversion {
            owing.push(Job {
                conversion: outcome.conversion,
            });
            continue;
        }
        let position = *positions.entry(account).or_insert_with(|| {
            accounts.push((account, Vec::new()));
            accounts.len() - 1
        });
        accounts[position].1.push(outcome);
    }
    Ok(Due {
        accounts,
        owing,
        malformed,
    })
}

/// Releases outcomes of one account in one transaction; those that moved meanwhile are dropped and the
/// rest is tried again.
async fn release_group(
    app: &App,
    account: AccountId,
    group: &[Outcome],
    now: Timestamp,
) -> Released {
    // Due is what the schedule's time says; posted it is now, never before what it releases.
    let now = now.max(app.now());
    let mut left: Vec<&Outcome> = group.iter().collect();
    let mut sum = Released::default();
    let fail = |mut sum: Released, left: &[&Outcome], error: &dyn std::fmt::Display| {
        tracing::warn!(%error, commissions = left.len(), "holds not released");
        sum.failed += left.len();
        sum
    };
    loop {
        let ops = match release_ops(account, &left, now) {
            Ok(Some(ops)) => ops,
            Ok(None) => return sum,
            Err(error) => return fail(sum, &left, &error),
        };
        sum.transactions += 1;
        let refusals = match app.main.transact(&ops).await {
            Ok(()) => {
                sum.conversions += left.len();
                return sum;
            }
            Err(TransactError::Refused(refusals)) => refusals,
            Err(TransactError::Table(error)) => return fail(sum, &left, &error),
        };
        let before = left.len();
        let mut refusals = refusals.into_iter();
        left.retain(|_| !matches!(refusals.next(), Some(Refusal::Condition(_))));
        if left.len() == before {
            let error = "a release stands there, but its outcomes do not show it";
            return fail(sum, &left, &error);
        }
    }
}

fn release_ops(
    account: AccountId,
    held: &[&Outcome],
    now: Timestamp,
) -> Result<Option<Vec<Op>>, Error> {
    let transfer =
        release(account, held, now).map_err(|error| Error::Failed(format!("a release {error}")))?;
    let Some(transfer) = transfer else {
        return Ok(None);
    };
    let mut ops: Vec<Op> = held
        .iter()
        .map(|outcome| store::release(outcome, account, now))
        .collect();
    ops.extend(post(&transfer)?);
    Ok(Some(ops))
}

// ---- Windows that close

/// Closes the windows that are due: what their gates decided is posted, and what a program's budget gives
/// to or takes from partners after events of others changed. Bounded; what is left is due in the next run.
///
/// # Errors
/// The table's, after all were tried. Safe to repeat.
pub async fn close_due(app: &App, now: Timestamp) -> Result<usize, Error> {
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS);
    let (due, _) = store::books::closing(&app.main, now, MAX_CLOSES).await?;
    let mut closed = 0;
    let mut failed = None;
    for id in due {
        if Instant::now() >= until {
            break;
        }
        match close_book(app, &id, now).await {
            Ok(()) => closed += 1,
            Err(error) => {
                tracing::error!(%error, program = %id.program, "a window was not closed");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(closed), Err)
}

/// Closes the windows of a book that are due, and brings what is posted in it to what it pays by now.
///
/// # Errors
/// The table's. Safe to repeat.
async fn close_book(app: &App, id: &BookId, now: Timestamp) -> Result<(), Error> {
    let absorbed = absorbed_until(app, id.program, now).await?;
    balance(app, id, Some(absorbed), now).await
}

/// Brings what is posted in a book to what it pays by now, no window being closed by that.
///
/// # Errors
/// The table's. Safe to repeat.
pub(super) async fn share(app: &App, id: &BookId, now: Timestamp) -> Result<(), Error> {
    balance(app, id, None, now).await
}

async fn balance(
    app: &App,
    id: &BookId,
    absorbed: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Error> {
    let over = |error: MoneyError| Error::Failed(format!("a book's pay {error}"));
    for round in 0..MAX_CLOSE_STEPS {
        let Opened {
            mut book,
            plans,
            entries,
        } = booking::open(app, id).await?;
        if let Some(line) = book.owing {
            // Others have not followed it for certain: that comes before anything new.
            let found = app.main.get_many([outcome_key(line)]).await?;
            if let Some(item) = found.into_values().next() {
                follow::follow_line(app, &store::outcome(item)?, None, now).await?;
            }
        }
        book.owing = None;
        let refs = plans.refs();
        let next = next_close(&refs, &entries, book.closed_until);
        let closes = next.filter(|at| absorbed.is_some_and(|absorbed| *at <= absorbed));
        if let Some(at) = closes {
            book.closed_until = Some(days_before(at, GRACE_DAYS));
            book.closing = true;
        }
        let program = programs::program(app, id.program)
            .await?
            .ok_or_else(|| Error::Malformed("a book without its program".to_owned()))?;
        let currency = program.currency;
        let reckoned = reckon(
            refs.iter().copied(),
            currency,
            &entries,
            None,
            book.closed_until,
        )
        .map_err(over)?;
        // What is taken comes first, so that a budget is never given out twice.
        let mut owed = Vec::new();
        for partner in reckoned.totals.keys().chain(book.posted.keys()) {
            let deltas =
                difference(reckoned.totals.get(partner), book.posted.get(partner)).map_err(over)?;
            if deltas.iter().any(|delta| *delta != 0) {
                owed.push((deltas[0], *partner));
            }
        }
        owed.sort_unstable();
        owed.dedup();
        let mut ops = Vec::new();
        if let Some((_, partner)) = owed.first() {
            let deltas = booking::post_difference(&mut book, &reckoned.totals, *partner)?;
            // What others of the book get since then is the close's too, as long as its lines are being posted.
            let ended = book.closed_until.filter(|end| {
                let of_partner = |close: &Close| close.partner == *partner && close.end == *end;
                book.closing && reckoned.closes.iter().any(of_partner)
            });
            let (kind, at) = match ended {
                Some(end) => (WindowKind::Close, end),
                None => (WindowKind::Budget, now),
            };
            let plan = refs.first().copied();
            let steps = match kind {
                WindowKind::Close => decided(&reckoned.closes, *partner, at),
                WindowKind::Budget => Vec::new(),
            };
            let account = AccountId {
                partner: *partner,
                program: id.program,
                currency,
            };
            let line = window_line(
                app,
                &program,
                &book,
                (kind, at),
                account,
                plan,
                (&deltas, steps),
            )
            .await?;
            // One instant for both: the list and the account count it in the same month.
            let posted_at = now.max(app.now());
            let line = line.outcome(posted_at);
            if line.credit.as_ref().is_ok_and(|credit| credit.owes) {
                book.owing = Some(line.conversion);
            }
            ops.push(Op::Put(store::put(&line)?));
            ops.extend(account_ops(account, &[&line], posted_at)?);
        }
        let left = owed.len() > 1 || book.owing.is_some();
        book.closes_at = if left {
            Some(now)
        } else {
            next_close(&refs, &entries, book.closed_until)
        };
        book.closing &= owed.len() > 1;
        book.version += 1;
        book.state = book.state.filter(|_| owed.is_empty());
        ops.push(store::books::change(&book)?);
        match app.main.transact(&ops).await {
            Ok(()) if !left && closes.is_none() => return Ok(()),
            // More is left, or the book moved meanwhile.
            Ok(()) | Err(TransactError::Refused(_)) => {}
            Err(TransactError::Table(error)) => return Err(error),
        }
        pause_before(round.min(6)).await;
    }
    Ok(())
}

/// Everything received before there has been absorbed.
async fn absorbed_until(app: &App, program: ProgramId, now: Timestamp) -> Result<Timestamp, Error> {
    let mark: Option<Watermark> = app.main.get(&watermark_key(program)).await?;
    Ok(mark.map_or(Timestamp::MIN, |mark| mark.at).min(now))
}

/// The line that posts what a window's close or a new share of a budget comes to.
async fn window_line(
    app: &App,
    program: &Program,
    book: &Book,
    (kind, at): (WindowKind, Timestamp),
    account: AccountId,
    plan: Option<&PlanVersion>,
    (deltas, steps): (&[i64], Vec<Step>),
) -> Result<Extra, Error> {
    let partition = store::books::partition(&book.id);
    let name = match kind {
        WindowKind::Close => "close",
        WindowKind::Budget => "budget",
    };
    let uplines = match plan {
        Some(plan) => {
            let last = at.checked_sub(1.nanosecond()).unwrap_or(at);
            above(app, program, plan, account.partner, last)
                .await?
                .uplines
        }
        None => Vec::new(),
    };
    // Nothing of the window happened later than that, so each of its events is held as long as any other.
    let release_at = plan.map_or(at, |plan| days_after(at, plan.hold_days));
    let minor = |index: usize| deltas.get(index).copied().unwrap_or(0);
    Ok(Extra {
        id: ConversionId::derived(&[
            &partition,
            &account.partner.to_string(),
            name,
            &book.version.to_string(),
        ]),
        source: Source::Window { at, kind },
        account,
        plan: plan.map(|plan| (plan.code.clone(), plan.version)),
        pay: Money::new(minor(0), account.currency),
        levels: uplines
            .into_iter()
            .zip(1..)
            .map(|(upline, level)| (upline, Money::new(minor(level), account.currency)))
            .collect(),
        release_at,
        steps,
    })
}

/// What the gates of a partner's window decided, to be told.
fn decided(closes: &[Close], partner: PartnerId, end: Timestamp) -> Vec<Step> {
    closes
        .iter()
        .filter(|close| close.partner == partner && close.end == end)
        .map(|close| Step {
            component: close.component,
            amount: close.pay,
            unbound: (close.provisional != close.pay).then_some(close.provisional),
            measured: Some((0, close.measure)),
            aside: None,
        })
        .collect()
}

// ---- Conversions that wait for a rate of exchange

/// Queues conversions again whose rate of exchange has arrived. Bounded; those that are left wait for the
/// next run.
///
/// # Errors
/// The table's, or a queue that takes nothing. Safe to repeat.
pub async fn requeue_waiting(app: &App) -> Result<usize, Error> {
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS);
    let mut jobs = Vec::new();
    let mut after = String::from("0");
    while jobs.len() < MAX_REQUEUED && Instant::now() < until {
        let range = Range::partition(Index::Due, store::WAITING, RELEASE_PAGE)
            .between(format!("{after}\0"), "\u{10FFFF}");
        let (entries, more) = app.main.entries(&range).await?;
        let Some(last) = entries.last() else {
            break;
        };
        let mut next = more.then(|| last.sort.clone());
        for entry in &entries {
            let Some((from, to, day)) = store::awaited(&entry.sort) else {
                continue;
            };
            if rates::at(app, from, to, day).await?.is_none() {
                // All of that pair and day wait on: what comes after them is next.
                next = Some(store::after_awaited(from, to, day));
                break;
            }
            jobs.extend(conversion_of(&entry.key).map(|conversion| Job { conversion }));
        }
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    send_all(app, Queue::Commissions, &jobs).await?;
    Ok(jobs.len())
}

// ---- What transport has lost

/// Where the reconciler stands in a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Watermark {
    pk: String,
    sk: String,
    /// Everything received or changed before has been absorbed.
    at: Timestamp,
    /// A pass that one run did not finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass: Option<Pass>,
}

/// One walk over the lists, from before the watermark to the instant when it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pass {
    /// Walked up to there.
    frontier: Timestamp,
    /// Ends before there.
    until: Timestamp,
    /// The oldest that was found unreconciled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oldest: Option<Timestamp>,
}

fn watermark_key(program: ProgramId) -> Key {
    Key::new("CLOCKWORK", format!("WATERMARK#{program}"))
}

/// Queues again what has no outcome, or has changes that its outcome does not show, and payout work that is
/// left. Finds it through the lists by time, from a watermark with overlap, so neither a lost queue nor a
/// trimmed stream loses anything. What is just under way is queued a second time, which does no harm.
///
/// # Errors
/// The table's, or a queue that takes nothing. Safe to repeat.
pub async fn reconcile(app: &App, now: Timestamp) -> Result<Reconciled, Error> {
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS);
    let mut sum = Reconciled::default();
    // The failure of one part does not keep the others from their work; the first is told at the end.
    let mut failed = None;
    match requeue_payouts(app).await {
        Ok(count) => sum.payout_work = count,
        Err(error) => failed = Some(error),
    }
    let mut programs = programs::all_programs(app).await?;
    // Whatever a run does not reach, another run begins with.
    if !programs.is_empty() {
        let turn = usize::try_from(now.as_second() / 60).unwrap_or(0);
        let turn = turn % programs.len();
        programs.rotate_left(turn);
    }
    for (program, left) in programs.iter().zip((1..=programs.len()).rev()) {
        let now_at = Instant::now();
        if now_at >= until {
            break;
        }
        // A pass goes on where it ended, so nobody waits for the whole backlog of another; whoever is
        // alone has all the time there is.
        let share = (until - now_at) / u32::try_from(left).unwrap_or(u32::MAX);
        let turn = until.min(now_at + share.max(Duration::from_secs(TURN_SECONDS)));
        let found = match reconcile_program(app, program, now, turn).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, program = %program.id, "a program was not reconciled");
                failed.get_or_insert(error);
                continue;
            }
        };
        let Reconciled {
            checked,
            requeued,
            overdue,
            payout_work: _,
        } = found;
        sum.checked += checked;
        sum.requeued += requeued;
        sum.overdue += overdue;
    }
    if sum.overdue > 0 {
        edge::count(
            "UnreconciledConversions",
            u64::try_from(sum.overdue).unwrap_or(u64::MAX),
        );
    }
    failed.map_or(Ok(sum), Err)
}

async fn reconcile_program(
    app: &App,
    program: &Program,
    now: Timestamp,
    until: Instant,
) -> Result<Reconciled, Error> {
    let Key { pk, sk } = watermark_key(program.id);
    let stored: Option<Watermark> = app.main.get(&watermark_key(program.id)).await?;
    let mut mark = stored.unwrap_or(Watermark {
        pk,
        sk,
        at: program.created_at,
        pass: None,
    });
    let mut pass = mark.pass.take().unwrap_or_else(|| Pass {
        frontier: minutes_after(mark.at, -OVERLAP_MINUTES),
        // What stands at this very millisecond is included. A run whose time lies ahead of the clock that
        // stamps conversions, as of one that tries out next month, leaves no gap behind it.
        until: now
            .min(app.now())
            .checked_add(1.millisecond())
            .unwrap_or(now),
        oldest: None,
    });
    let mut sum = Reconciled::default();
    let mut outcome = Ok(());
    while pass.frontier < pass.until {
        if sum.requeued >= MAX_REQUEUED || Instant::now() >= until {
            break;
        }
        match slice(app, program.id, &mut pass, now, &mut sum).await {
            Ok(()) => {}
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    if pass.frontier < pass.until {
        mark.pass = Some(pass);
    } else {
        mark.at = pass.oldest.unwrap_or(pass.until);
    }
    app.main.put(Put::new(&mark)?).await?;
    outcome.map(|()| sum)
}

/// One step of a pass: a page of every partition, cut where the first of them ends.
async fn slice(
    app: &App,
    program: ProgramId,
    pass: &mut Pass,
    now: Timestamp,
    sum: &mut Reconciled,
) -> Result<(), Error> {
    let at_month = month(pass.frontier);
    let end = month_end(pass.frontier).min(pass.until);
    let partitions = (0..SHARDS).flat_map(|shard| {
        [
            (facts_partition(program, at_month, shard), true),
            (changes_partition(program, at_month, shard), false),
        ]
    });
    // Positions go on after the stamp, so those at `end` itself sort above this bound.
    let range = (stamp(pass.frontier), stamp(end));
    let pages = try_join_all(partitions.map(|(partition, facts)| {
        let range = range.clone();
        async move {
            let page = page(app, &partition, range).await?;
            Ok::<_, Error>((page, facts))
        }
    }))
    .await?;
    let reached = pages
        .iter()
        .filter_map(|((_, reached), _)| *reached)
        .min()
        .unwrap_or(end);
    // Facts without an outcome may lack one; changes are to be compared with theirs.
    let mut fresh: BTreeMap<ConversionId, Timestamp> = BTreeMap::new();
    let mut changed: BTreeMap<ConversionId, Timestamp> = BTreeMap::new();
    for ((entries, _), facts) in &pages {
        for (at, id) in entries {
            if *at < reached {
                let group = if *facts { &mut fresh } else { &mut changed };
                group.insert(*id, *at);
            }
        }
    }
    sum.checked += fresh.len() + changed.len();
    let mut lacking: BTreeMap<ConversionId, Timestamp> = without_outcome(app, fresh).await?;
    lacking.extend(changed);
    let lacking = unreconciled(app, lacking).await?;
    let jobs: Vec<Job> = lacking.keys().map(|id| Job { conversion: *id }).collect();
    send_all(app, Queue::Commissions, &jobs).await?;
    sum.requeued += jobs.len();
    let alarm = minutes_after(now, -ALARM_MINUTES);
    sum.overdue += lacking.values().filter(|at| **at < alarm).count();
    if let Some(oldest) = lacking.values().min() {
        pass.oldest = Some(pass.oldest.map_or(*oldest, |before| before.min(*oldest)));
    }
    pass.frontier = reached;
    Ok(())
}

type Positions = Vec<(Timestamp, ConversionId)>;

/// Entries of a partition from the first bound up to the second, and how far they reach if that is not the
/// end: all before that instant were read. Goes on until an instant is complete, however many share it.
async fn page(
    app: &App,
    partition: &str,
    (low, high): (String, String),
) -> Result<(Positions, Option<Timestamp>), Error> {
    let mut found: Positions = Vec::new();
    let mut from = low;
    loop {
        let range = Range::partition(Index::List, partition, RECONCILE_PAGE).between(from, &high);
        let (entries, more) = app.main.entries(&range).await?;
        for entry in &entries {
            let at = entry.sort.split('#').next().and_then(parse);
            if let (Some(at), Some(id)) = (at, conversion_of(&entry.key)) {
                found.push((at, id));
            }
        }
        let (Some(last), true) = (entries.last(), more) else {
            return Ok((found, None));
        };
        let (first_at, last_at) = (
            found.first().map(|(at, _)| *at),
            found.last().map(|(at, _)| *at),
        );
        if first_at < last_at {
            return Ok((found, last_at));
        }
        from = format!("{}\0", last.sort);
    }
}

/// Those whose outcome does not exist, or has lines of others that may not stand yet: one read of one item
/// each.
async fn without_outcome(
    app: &App,
    mut fresh: BTreeMap<ConversionId, Timestamp>,
) -> Result<BTreeMap<ConversionId, Timestamp>, Error> {
    let ids: Vec<ConversionId> = fresh.keys().copied().collect();
    for ids in ids.chunks(CHECK_BATCH) {
        let found = app
            .main
            .get_many(ids.iter().map(|id| outcome_key(*id)))
            .await?;
        for id in ids {
            let outcome = found.get(&outcome_key(*id));
            if outcome.is_some_and(|item| !store::owes(item)) {
                fresh.remove(id);
            }
        }
    }
    Ok(fresh)
}

/// Those of which something is missing. One that cannot be read counts as such: it waits for a person.
async fn unreconciled(
    app: &App,
    mut candidates: BTreeMap<ConversionId, Timestamp>,
) -> Result<BTreeMap<ConversionId, Timestamp>, Error> {
    let ids: Vec<ConversionId> = candidates.keys().copied().collect();
    for ids in ids.chunks(CHECK_BATCH) {
        let mut records = records(app, ids).await?;
        for id in ids {
            let Some(record) = records.remove(id) else {
                candidates.remove(id);
                continue;
            };
            let Some((facts, changes, item)) = record else {
                continue;
            };
            let outcome = match item.map(store::outcome).transpose() {
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::error!(%error, conversion = %id, "an outcome cannot be read");
                    continue;
                }
            };
            // A rate is waited for elsewhere.
            if matches!(
                missing(facts.as_ref(), &changes, outcome.as_ref()),
                Missing::Nothing | Missing::Rate
            ) {
                candidates.remove(id);
            }
        }
    }
    Ok(candidates)
}

/// What is known of conversions; `None` for one that cannot be read, which must not hide those beside it.
async fn records(
    app: &App,
    ids: &[ConversionId],
) -> Result<HashMap<ConversionId, Option<Record>>, Error> {
    match find_many(&app.main, ids).await {
        Ok(found) => {
            return Ok(found
                .into_iter()
                .map(|(id, record)| (id, Some(record)))
                .collect());
        }
        Err(Error::Malformed(_)) => {}
        Err(error) => return Err(error),
    }
    let mut found = HashMap::new();
    for id in ids {
        match find_many(&app.main, &[*id]).await {
            Ok(one) => found.extend(one.into_iter().map(|(id, record)| (id, Some(record)))),
            Err(Error::Malformed(reason)) => {
                tracing::error!(reason, conversion = %id, "a conversion cannot be read");
                found.insert(*id, None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Sends all, ten at a time.
async fn send_all<T: Serialize>(app: &App, queue: Queue, messages: &[T]) -> Result<(), Error> {
    let sends: Vec<_> = messages
        .chunks(SEND_BATCH)
        .map(|batch| app.queues.send(queue, batch))
        .collect();
    let failed: usize = stream::iter(sends)
        .buffer_unordered(SENDS_AT_ONCE)
        .fold(0, |sum, failed| async move { sum + failed.len() })
        .await;
    if failed > 0 {
        return Err(Error::Busy(format!("{failed} messages were not taken")));
    }
    Ok(())
}

/// Queues batches and payouts again that have work left.
async fn requeue_payouts(app: &App) -> Result<usize, Error> {
    let range = Range::partition(Index::Due, payouts::store::WORK, MAX_PAYOUT_WORK);
    let (entries, _) = app.main.entries(&range).await?;
    let mut seen = HashSet::new();
    let jobs: Vec<serde_json::Value> = entries
        .iter()
        .filter_map(|entry| job_of(&entry.key.pk, &entry.key.sk))
        .map(|(_, job)| job)
        .filter(|job| seen.insert(job.to_string()))
        .collect();
    send_all(app, Queue::Payouts, &jobs).await?;
    Ok(jobs.len())
}

/// A partner's item has come in that may complete a step of its onboarding.
fn onboarding_job(pk: &str) -> Option<(Queue, serde_json::Value)> {
    let id: PartnerId = pk.strip_prefix("PTR#")?.parse().ok()?;
    Some((Queue::Channel, serde_json::json!({ "partner": id })))
}

/// The queue and message for what is to be done about an item that has changed, from its key; `None` when
/// nothing is. Outcomes name no job: nothing follows from them.
#[must_use]
pub fn job_of(pk: &str, sk: &str) -> Option<(Queue, serde_json::Value)> {
    match sk {
        "FACTS" | "CHANGES" => {
            let conversion = conversion_of(&Key::new(pk, sk))?;
            Some((
                Queue::Commissions,
                serde_json::json!({ "conversion": conversion }),
            ))
        }
        "BATCH" => {
            let id: BatchId = pk.strip_prefix("BATCH#")?.parse().ok()?;
            Some((Queue::Payouts, serde_json::json!({ "batch": id })))
        }
        "PAYOUT" => {
            let id: PayoutId = pk.strip_prefix("PAYOUT#")?.parse().ok()?;
            Some((Queue::Payouts, serde_json::json!({ "payout": id })))
        }
        "RETURNS" => {
            let id: ImportId = pk.strip_prefix("RETURNS#")?.parse().ok()?;
            Some((Queue::Payouts, serde_json::json!({ "returns": id })))
        }
        "UPLOAD" => {
            let id: UploadId = pk.strip_prefix("UPLOAD#")?.parse().ok()?;
            Some((Queue::Channel, serde_json::json!({ "upload": id })))
        }
        "SIGNIN" => {
            let id = sign_in_of(pk)?;
            Some((Queue::Channel, serde_json::json!({ "sign_in": id })))
        }
        "PAYOUT_METHOD" | "TAX_PROFILE" => onboarding_job(pk),
        "LINK" => {
            let id: LinkId = pk.strip_prefix("LINK#")?.parse().ok()?;
            Some((Queue::Channel, serde_json::json!({ "link": id })))
        }
        _ if sk.starts_with("ENROL#") || sk.starts_with("ACCEPTED#") => onboarding_job(pk),
        "EVENT" => {
            let id = event_of(pk)?;
            Some((Queue::Channel, serde_json::json!({ "event": id })))
        }
        "WHATIF" => {
            let id: WhatIfId = pk.strip_prefix("WHATIF#")?.parse().ok()?;
            Some((Queue::Payouts, serde_json::json!({ "what_if": id })))
        }
        _ => None,
    }
}
