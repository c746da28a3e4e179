//! Clicks and conversions: what is recorded of them, by one write each.

pub mod dialects;
pub mod error;
pub mod model;
pub mod posting;
pub mod source;
pub mod store;

use std::collections::VecDeque;
use std::time::Duration;

pub use dialects::dialects;
use error::{ChangeKind, TrackingError};
use model::{
    Amendment, Amounts, ChangeFault, Changes, ClickToken, Facts, Lane, Posted, Posting, Receipt,
    Reversal, Verdict, merge, weigh, weigh_amendment, weigh_reversal,
};
pub use source::{Postback, PostbackSource};

use crate::clock::{Timestamp, minutes_after, month, month_before};
use crate::commissions;
use crate::commissions::model::Outcome;
use crate::edge::{App, count};
use crate::ids::{ConversionId, ProgramId};
use crate::ledger;
use crate::money::Money;
use crate::partners::model::Partner;
use crate::programs;
use crate::programs::model::{Link, Program, fill_destination, is_allowed};
use crate::table::{self, Entry, Index, Item, Op, Range, Stored, Update};

/// How long a visitor waits for a click to be recorded, and for its program to be read, before being sent
/// on all the same.
const CLICK_PATIENCE_MS: u64 = 1_500;
/// Months that one page of a list goes back over; an emptier list is continued by its cursor.
const MAX_MONTHS: usize = 24;
/// Fresh looks at a conversion that others change meanwhile: more than the changes that are kept of one.
const MAX_ROUNDS: usize = 100;
/// What another machine's clock may be ahead by, when the newest month is looked for.
const CLOCK_SLACK_MINUTES: i64 = 5;

/// Where a visitor of a link goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit {
    /// To the link's destination, or its program's fallback.
    To(String),
    /// Nowhere: the link is disabled or its host no longer allowed, and its program has no fallback.
    Disabled,
    /// Nowhere: there is no such link.
    Unknown,
}

/// Records a click, one write, and says where the visitor goes. Without `counted` nothing is recorded and the
/// destination carries no click id. A click that cannot be recorded is counted as lost, and the visitor is
/// sent on: the click id verifies itself.
///
/// # Errors
/// The table's, when the link itself cannot be read.
pub async fn visit(
    app: &App,
    code: &str,
    subs: [Option<String>; 5],
    counted: bool,
) -> Result<Visit, table::Error> {
    let Some(link) = programs::link(app, Link::id_of(code)).await? else {
        return Ok(Visit::Unknown);
    };
    if link.disabled_at.is_some() {
        let program = programs::program(app, link.program).await?;
        let fallback = program.and_then(|program| program.fallback_url.clone());
        return Ok(fallback.map_or(Visit::Disabled, Visit::To));
    }
    // The program is read, where it is not cached, while the click is recorded: no further round trip, and
    // no longer wait. A click on a link that leads nowhere any more is thus counted where it was made.
    let patience = Duration::from_millis(CLICK_PATIENCE_MS);
    let program = tokio::time::timeout(patience, programs::program(app, link.program));
    let (program, click_id) = if counted {
        let click = ClickToken {
            link: link.id,
            at: app.now(),
            random: app.entropy.bytes(),
        };
        let id = app
            .keyring
            .click_id(link.program, click)
            .map_err(|error| table::Error::Failed(error.to_string()))?;
        let (program, ()) = tokio::join!(program, record_click(app, &link, &id, click, &subs));
        (program, Some(id))
    } else {
        (program.await, None)
    };
    // The hosts that are allowed now: the list may have been narrowed since the link was made. Without a
    // program to ask, the visitor is sent on all the same.
    if let Ok(Ok(Some(program))) = program
        && !is_allowed(&link.destination, &program.allowed_destination_hosts)
    {
        let fallback = program.fallback_url.clone();
        return Ok(fallback.map_or(Visit::Disabled, Visit::To));
    }
    // No click id, no parameter for it: an address with an empty one would look like a click.
    let click_id = click_id.unwrap_or_default();
    let param = &app.config.click_param;
    Ok(Visit::To(fill_destination(&link, &click_id, &subs, param)))
}

async fn record_click(
    app: &App,
    link: &Link,
    id: &str,
    click: ClickToken,
    subs: &[Option<String>; 5],
) {
    let recorded = async {
        let put = store::put_click(id, link.program, link.partner, click, subs)?;
        app.clicks.put(put).await
    };
    match tokio::time::timeout(Duration::from_millis(CLICK_PATIENCE_MS), recorded).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => tracing::warn!(%error, "a click was not recorded"),
        Err(_) => tracing::warn!("a click was not recorded in time"),
    }
    count("LostClicks", 1);
}

/// Records what a postback says: one write.
///
/// # Errors
/// `Mismatch`, `Change`, the table's.
pub async fn receive(
    app: &App,
    program: &Program,
    posting: &Posting,
) -> Result<(ConversionId, Receipt), TrackingError> {
    let id = posting.conversion(program.id);
    let now = app.now();
    let receipt = match &posting.status {
        Posted::Approved | Posted::Pending => {
            let facts = posting.facts(program.id, now);
            let facts = facts.expect("only a reversal has no facts");
            report(app, posting, &facts).await?
        }
        Posted::Reversed { reversal_id } => {
            let reversal = Reversal {
                reversal_id: reversal_id.clone(),
                amount: posting.amount,
                reason: "reported by postback".to_owned(),
                at: now,
            };
            let agrees = |facts: &Facts, _: &Changes| match weigh(facts, posting) {
                Verdict::Mismatch(fields) => Err(TrackingError::Mismatch(fields)),
                Verdict::Duplicate | Verdict::Approve { .. } => Ok(()),
            };
            take_back(app, program.id, id, reversal, agrees)
                .await
                .map_err(TrackingError::without_amounts)?
        }
    };
    Ok((id, receipt))
}

async fn report(app: &App, posting: &Posting, facts: &Facts) -> Result<Receipt, TrackingError> {
    let put = store::put_facts(facts)?;
    let Stored::Already(old) = app.main.put_new(put).await? else {
        return Ok(Receipt::Accepted);
    };
    match weigh(&store::facts(old)?, posting) {
        Verdict::Duplicate => Ok(Receipt::Duplicate),
        Verdict::Mismatch(fields) => Err(TrackingError::Mismatch(fields)),
        Verdict::Approve { brings } => approve(app, facts, brings).await,
    }
}

async fn approve(app: &App, facts: &Facts, brings: Amounts) -> Result<Receipt, TrackingError> {
    let mark = format!("{:016x}", u64::from_be_bytes(app.entropy.bytes()));
    let approval = store::approve(facts.program, facts.id, brings, facts.received_at, &mark);
    let Err(old) = app.main.update(approval).await? else {
        return Ok(Receipt::Approved);
    };
    // A retry after a lost answer meets its own approval.
    if store::is_approved_by(&old, &mark) {
        return Ok(Receipt::Approved);
    }
    let others = contradicted(&old, facts, brings);
    if others.is_empty() {
        Ok(Receipt::Duplicate)
    } else {
        Err(TrackingError::Mismatch(others))
    }
}

/// The amounts in which the approval that stands there brought others.
fn contradicted(changes: &Item, facts: &Facts, brings: Amounts) -> Vec<&'static str> {
    let approved = store::approved(changes).unwrap_or_default();
    let currency = approved.currency.unwrap_or(facts.currency);
    let named = brings.named().zip(approved.minor);
    let others = named.filter(|((_, brought), standing)| {
        brought.is_some() && *brought != standing.map(|minor| Money::new(minor, currency))
    });
    others.map(|((name, _), _)| name).collect()
}

/// Takes a conversion back, a part of it or all that is left, whatever state its money is in: one write. The
/// same reversal id again changes nothing, so it serves as the idempotency key.
///
/// # Errors
/// `NotFound`, `Change`, the table's.
pub async fn reverse(
    app: &App,
    id: ConversionId,
    reversal: Reversal,
) -> Result<Receipt, TrackingError> {
    let program = program_of(app, id).await?;
    let is_part = reversal.amount.is_some();
    // A tracker's amount may mean the whole; a person who names a part is told that there is none.
    let agrees = |facts: &Facts, changes: &Changes| match changes.net(facts).amount {
        None if is_part => Err(TrackingError::Change(
            ChangeKind::Reversal,
            ChangeFault::NoAmount,
        )),
        _ => Ok(()),
    };
    take_back(app, program, id, reversal, agrees).await
}

async fn program_of(app: &App, id: ConversionId) -> Result<ProgramId, TrackingError> {
    let known = app.main.get_many([store::facts_key(id)]).await?;
    let facts = known
        .into_values()
        .next()
        .ok_or(TrackingError::NotFound(id))?;
    Ok(store::facts(facts)?.program)
}

async fn take_back(
    app: &App,
    program: ProgramId,
    id: ConversionId,
    reversal: Reversal,
    agrees: impl Fn(&Facts, &Changes) -> Result<(), TrackingError>,
) -> Result<Receipt, TrackingError> {
    let now = reversal.at;
    let (posted, mut later) = facts_and_changes(app, id).await?;
    for _ in 0..MAX_ROUNDS {
        let (facts, changes) = as_it_stands(posted.as_ref(), &later)?;
        if let Some(facts) = &facts {
            agrees(facts, &changes)?;
        }
        let weighed = weigh_reversal(facts.as_ref(), &changes, &reversal);
        let Some(taken) =
            weighed.map_err(|fault| TrackingError::Change(ChangeKind::Reversal, fault))?
        else {
            return Ok(Receipt::Duplicate);
        };
        let receipt = if facts.is_some() {
            Receipt::Reversed
        } else {
            Receipt::Kept
        };
        let update = store::add_reversal(program, id, &taken, store::revision(&later), now)?;
        let Err(old) = app.main.update(update).await? else {
            return Ok(receipt);
        };
        // A retry after a lost answer meets its own reversal.
        if store::changes(&old)?.reversals.contains(&taken) {
            return Ok(receipt);
        }
        later = old;
    }
    Err(TrackingError::Contended)
}

/// Corrects a conversion's amount from now on: one write. The same amendment id again changes nothing, so it
/// serves as the idempotency key.
///
/// # Errors
/// `NotFound`, `Change`, the table's.
pub async fn amend(
    app: &App,
    id: ConversionId,
    amendment: Amendment,
) -> Result<Receipt, TrackingError> {
    let (posted, mut later) = facts_and_changes(app, id).await?;
    for _ in 0..MAX_ROUNDS {
        let Some((taken, update)) = amended(id, posted.as_ref(), &later, &amendment)? else {
            return Ok(Receipt::Duplicate);
        };
        let Err(old) = app.main.update(update).await? else {
            return Ok(Receipt::Amended);
        };
        // A retry after a lost answer meets its own amendment.
        if store::changes(&old)?.amendments.contains(&taken) {
            return Ok(Receipt::Amended);
        }
        later = old;
    }
    Err(TrackingError::Contended)
}

/// The write that corrects a conversion's amount, to be committed with others; it is refused when somebody
/// else changes the conversion meanwhile. `None` when it is corrected so already.
///
/// # Errors
/// `NotFound`, `Change`, the table's.
pub async fn amendment(
    app: &App,
    id: ConversionId,
    amendment: &Amendment,
) -> Result<Option<Update>, TrackingError> {
    let (posted, later) = facts_and_changes(app, id).await?;
    let amended = amended(id, posted.as_ref(), &later, amendment)?;
    Ok(amended.map(|(_, update)| update))
}

fn amended(
    id: ConversionId,
    posted: Option<&Item>,
    later: &Item,
    amendment: &Amendment,
) -> Result<Option<(Amendment, Update)>, TrackingError> {
    let (facts, changes) = as_it_stands(posted, later)?;
    let facts = facts.ok_or(TrackingError::NotFound(id))?;
    let weighed = weigh_amendment(&facts, &changes, amendment);
    let weighed = weighed.map_err(|fault| TrackingError::Change(ChangeKind::Amendment, fault))?;
    let Some(taken) = weighed else {
        return Ok(None);
    };
    let revision = store::revision(later);
    let update = store::add_amendment(facts.program, id, &taken, revision, amendment.at)?;
    Ok(Some((taken, update)))
}

/// The write that records a conversion which an operator tells, to be committed with others; it is refused
/// when one of that transaction stands there.
///
/// # Errors
/// The table's.
pub fn record(facts: &Facts) -> Result<Op, TrackingError> {
    Ok(Op::Put(store::put_facts(facts)?))
}

/// The items of a conversion's facts and changes; changes that there are none of are an empty item.
async fn facts_and_changes(
    app: &App,
    id: ConversionId,
) -> Result<(Option<Item>, Item), table::Error> {
    let (facts_key, changes_key) = (store::facts_key(id), store::changes_key(id));
    let keys = [facts_key.clone(), changes_key.clone()];
    let mut known = app.main.get_many(keys).await?;
    let changes = known.remove(&changes_key).unwrap_or_default();
    Ok((known.remove(&facts_key), changes))
}

/// The facts, with what their approval brought, and the changes.
fn as_it_stands(
    posted: Option<&Item>,
    later: &Item,
) -> Result<(Option<Facts>, Changes), table::Error> {
    // What it amounts to may have come with its approval only.
    let approved = store::approved(later);
    let facts = posted.map(|item| store::facts_with(item.clone(), approved));
    Ok((facts.transpose()?, store::changes(later)?))
}

/// A conversion with what was said of it later and its outcome, if it has one.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// As it was posted, with the amount of its approval where the pending post had none.
    pub facts: Facts,
    /// Approval, reversals and amendments.
    pub changes: Changes,
    /// Its outcome.
    pub outcome: Option<Outcome>,
}

/// One conversion. A reversal that still waits for its conversion is none yet.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: ConversionId) -> Result<Conversion, TrackingError> {
    records(app, &[id])
        .await?
        .pop()
        .ok_or(TrackingError::NotFound(id))
}

/// A page of conversions, and the position to go on from.
pub type Page = (Vec<Conversion>, Option<String>);

async fn records(app: &App, ids: &[ConversionId]) -> Result<Vec<Conversion>, table::Error> {
    let mut found = store::find_many(&app.main, ids).await?;
    let mut conversions = Vec::with_capacity(ids.len());
    for id in ids {
        let Some((Some(facts), changes, outcome)) = found.remove(id) else {
            continue;
        };
        conversions.push(Conversion {
            facts,
            changes,
            outcome: outcome.map(commissions::store::outcome).transpose()?,
        });
    }
    Ok(conversions)
}

/// The month in which a list goes on below a position; positions begin with a time.
fn month_of(position: Option<&str>, now: Timestamp) -> u32 {
    let at = position
        .and_then(|position| position.get(..24))
        .and_then(|stamp| stamp.parse().ok());
    month(at.unwrap_or_else(|| minutes_after(now, CLOCK_SLACK_MINUTES)))
}

/// A position below everything of a month and above everything before it.
fn start_of(month: u32) -> String {
    format!("{:04}-{:02}-01T00:00:00.000Z", month / 100, month % 100)
}

/// A page of a program's conversions, newest first by the time they were acknowledged. What was
/// acknowledged before the first page was asked for is listed exactly once, whatever is written meanwhile.
///
/// # Errors
/// The table's.
pub async fn by_program(
    app: &App,
    program: &Program,
    below: Option<String>,
    limit: usize,
) -> Result<Page, table::Error> {
    let first = month(program.created_at);
    let mut at = month_of(below.as_deref(), app.now());
    let mut taken: Vec<Entry> = Vec::with_capacity(limit);
    let mut next = None;
    for _ in 0..MAX_MONTHS {
        if at < first {
            next = None;
            break;
        }
        read_month(app, program.id, at, below.as_deref(), limit, &mut taken).await?;
        if taken.len() == limit {
            next = taken.last().map(|entry| entry.sort.clone());
            break;
        }
        next = Some(start_of(at));
        at = month_before(at);
    }
    if at < first {
        next = None;
    }
    let ids: Vec<ConversionId> = taken
        .iter()
        .filter_map(|entry| store::conversion_of(&entry.key))
        .collect();
    Ok((records(app, &ids).await?, next))
}

/// Reads on through the shards of one month until `taken` is full or the month is done.
async fn read_month(
    app: &App,
    program: ProgramId,
    month: u32,
    below: Option<&str>,
    limit: usize,
    taken: &mut Vec<Entry>,
) -> Result<(), table::Error> {
    // Shards fill evenly, so a page needs about an eighth of its entries from each.
    let share = (limit / usize::from(store::SHARDS)).max(1) * 2;
    let mut lanes = vec![
        Lane {
            entries: VecDeque::new(),
            more: true,
        };
        usize::from(store::SHARDS)
    ];
    let mut reached: Vec<Option<String>> = vec![below.map(str::to_owned); lanes.len()];
    loop {
        let dry = merge(&mut lanes, taken, limit, |entry| entry.sort.clone());
        if dry.is_empty() {
            return Ok(());
        }
        let pages = dry.iter().map(|index| {
            let shard = u8::try_from(*index).unwrap_or(0);
            store::shard_page(
                &app.main,
                program,
                month,
                shard,
                reached[*index].as_deref(),
                share,
            )
        });
        let pages = futures_util::future::try_join_all(pages).await?;
        for (index, (entries, more)) in dry.into_iter().zip(pages) {
            if let Some(last) = entries.last() {
                reached[index] = Some(last.sort.clone());
            }
            // A page may say that more follows and have none: then the lane is done.
            lanes[index].more = more && !entries.is_empty();
            lanes[index].entries = entries.into();
        }
    }
}

/// A page of the conversions that a partner was credited with, newest first by the time of their outcome.
///
/// # Errors
/// The table's.
pub async fn by_partner(
    app: &App,
    partner: &Partner,
    below: Option<String>,
    limit: usize,
) -> Result<Page, table::Error> {
    let first = month(partner.created_at);
    let mut at = month_of(below.as_deref(), app.now());
    let mut below = below;
    let mut taken: Vec<Entry> = Vec::with_capacity(limit);
    let mut months = 0;
    while at >= first && months < MAX_MONTHS && taken.len() < limit {
        let partition = ledger::store::list_partition(partner.id, at);
        let mut range = Range::partition(Index::List, partition, limit).newest_first();
        if let Some(below) = &below {
            range = range.below(below.clone());
        }
        let (entries, more) = app.main.entries(&range).await?;
        let last = entries.last().map(|entry| entry.sort.clone());
        // Releases, payouts and the like stand in the same list.
        let credited = entries
            .into_iter()
            .filter(|entry| entry.sort.contains("#C#"));
        for entry in credited {
            if taken.len() < limit {
                taken.push(entry);
            }
        }
        match last {
            Some(last) if more && taken.len() < limit => below = Some(last),
            _ if taken.len() < limit => {
                below = Some(start_of(at));
                at = month_before(at);
                months += 1;
            }
            _ => {}
        }
    }
    let next = if taken.len() == limit {
        taken.last().map(|entry| entry.sort.clone())
    } else {
        below.filter(|_| at >= first)
    };
    let ids: Vec<ConversionId> = taken
        .iter()
        .filter_map(|entry| store::conversion_of(&entry.key))
        .collect();
    Ok((records(app, &ids).await?, next))
}

/// What a postback would come to, changing nothing; `Ok(Err(fields))` when it contradicts what was reported
/// before in these fields.
///
/// # Errors
/// `Change` when it would be refused, the table's.
pub async fn foresee(
    app: &App,
    program: &Program,
    posting: &Posting,
) -> Result<Result<Receipt, Vec<&'static str>>, TrackingError> {
    let id = posting.conversion(program.id);
    let (first, later) = facts_and_changes(app, id).await?;
    let (facts, changes) = as_it_stands(first.as_ref(), &later)?;
    if let Posted::Reversed { reversal_id } = &posting.status {
        if let Some(facts) = &facts
            && let Verdict::Mismatch(fields) = weigh(facts, posting)
        {
            return Ok(Err(fields));
        }
        let reversal = Reversal {
            reversal_id: reversal_id.clone(),
            amount: posting.amount,
            reason: String::new(),
            at: app.now(),
        };
        return Ok(match weigh_reversal(facts.as_ref(), &changes, &reversal) {
            Ok(None) => Ok(Receipt::Duplicate),
            Ok(Some(_)) if facts.is_some() => Ok(Receipt::Reversed),
            Ok(Some(_)) => Ok(Receipt::Kept),
            Err(ChangeFault::Mismatch) => Err(vec!["amount"]),
            Err(fault) => return Err(TrackingError::Change(ChangeKind::Reversal, fault)),
        });
    }
    // A repeat is held against its first post.
    let verdict = first.map(store::facts).transpose()?;
    let verdict = verdict.map(|facts| (weigh(&facts, posting), facts));
    Ok(match verdict {
        Some((Verdict::Mismatch(fields), _)) => Err(fields),
        None => Ok(Receipt::Accepted),
        Some((Verdict::Approve { .. }, _)) if changes.approved_at.is_none() => {
            Ok(Receipt::Approved)
        }
        Some((Verdict::Approve { brings }, facts)) => {
            let others = contradicted(&later, &facts, brings);
            if others.is_empty() {
                Ok(Receipt::Duplicate)
            } else {
                Err(others)
            }
        }
        Some((Verdict::Duplicate, _)) => Ok(Receipt::Duplicate),
    })
}
