//! Books: what depends on other events is posted under the version of its book, so that of two changes at
//! once the later one sees the former.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{Book, BookId, Span, Totals, add, difference, is_gated, next_close, reckon};
use super::fold::{Entry, Fold, Paid};
use super::model::{Corrected, Correction, Outcome};
use super::store::books::{self, Filed};
use super::{Draft, GROUP, Progress, Work, account_ops, again, fail, first_op, posted, store};
use crate::clock::Timestamp;
use crate::edge::App;
use crate::ids::{ConversionId, PartnerId, ProgramId};
use crate::ledger::model::AccountId;
use crate::money::{Currency, Money, MoneyError};
use crate::plans::model::PlanVersion;
use crate::programs;
use crate::table::{Error, Item, Op, Refusal, TransactError, pause_before};

/// Tries for a book that others change meanwhile; with the waits between, this outlasts dozens of writers.
const MAX_TRIES: u32 = 48;

/// The plan versions that pay the events of a book, and where each stands in a fold.
#[derive(Default)]
pub(super) struct Plans {
    known: Vec<Arc<PlanVersion>>,
}

impl Plans {
    fn position(&mut self, plan: &Arc<PlanVersion>) -> usize {
        let same =
            |known: &Arc<PlanVersion>| known.version == plan.version && known.code == plan.code;
        self.known.iter().position(same).unwrap_or_else(|| {
            self.known.push(Arc::clone(plan));
            self.known.len() - 1
        })
    }

    /// The position of a plan version, read where it is not known yet.
    async fn find(
        &mut self,
        app: &App,
        program: ProgramId,
        (code, version): &(String, u32),
    ) -> Result<usize, Error> {
        let same = |known: &Arc<PlanVersion>| known.version == *version && known.code == *code;
        if let Some(position) = self.known.iter().position(same) {
            return Ok(position);
        }
        let versions = programs::plan_versions(app, program, code).await?;
        let plan = versions
            .as_ref()
            .and_then(|versions| versions.iter().find(|one| one.version == *version))
            .ok_or_else(|| Error::Malformed(format!("the plan {code} has no version {version}")))?;
        Ok(self.position(&Arc::new(plan.clone())))
    }

    fn each(&self) -> impl Iterator<Item = &PlanVersion> {
        self.known.iter().map(Arc::as_ref)
    }

    pub(super) fn refs(&self) -> Vec<&PlanVersion> {
        self.each().collect()
    }
}

/// A book with its events, as they count: those of which nothing is left stand apart.
pub(super) struct Opened {
    pub(super) book: Book,
    pub(super) plans: Plans,
    pub(super) entries: Vec<Entry>,
}

/// Reads a book and all its events.
///
/// # Errors
/// The table's.
pub(super) async fn open(app: &App, id: &BookId) -> Result<Opened, Error> {
    // The head first: an event that is added while the events are read moves the head.
    let book = books::find(&app.main, id).await?;
    let mut plans = Plans::default();
    let entries = load(app, id, &mut plans).await?;
    Ok(Opened {
        book,
        plans,
        entries,
    })
}

async fn load(app: &App, id: &BookId, plans: &mut Plans) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for Filed { entry, plan, gone } in books::entries(&app.main, id).await? {
        if gone {
            continue;
        }
        let plan = plans.find(app, id.program, &plan).await?;
        entries.push(Entry { plan, ..entry });
    }
    Ok(entries)
}

fn over(error: MoneyError) -> Error {
    Error::Failed(format!("a book's pay {error}"))
}

/// Posts the new outcomes of one book, those of one partner in one transaction; where they follow from
/// another outcome, on the condition that it has not been corrected meanwhile.
pub(super) async fn credit(
    app: &App,
    id: BookId,
    group: Vec<(Work, Draft)>,
    base: Option<&Outcome>,
    now: Timestamp,
) -> Vec<Progress> {
    let mut accounts: BTreeMap<AccountId, Vec<(Work, Draft)>> = BTreeMap::new();
    for (work, draft) in group {
        accounts
            .entry(draft.account)
            .or_default()
            .push((work, draft));
    }
    let mut progress = Vec::new();
    // One after the other: they change the same book.
    for (account, mut left) in accounts {
        left.sort_by_key(|(_, draft)| draft.entry.as_ref().map(Entry::position));
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(GROUP));
            let chunk = std::mem::replace(&mut left, rest);
            progress.extend(credit_chunk(app, &id, account, chunk, base, now).await);
        }
    }
    progress
}

async fn credit_chunk(
    app: &App,
    id: &BookId,
    account: AccountId,
    chunk: Vec<(Work, Draft)>,
    base: Option<&Outcome>,
    now: Timestamp,
) -> Vec<Progress> {
    let mut progress = Vec::with_capacity(chunk.len());
    let mut left = chunk;
    for round in 0..MAX_TRIES {
        if left.is_empty() {
            return progress;
        }
        pause_before(round.min(8)).await;
        // Posted it is when it is tried: a month may close while this waits.
        let now = now.max(app.now());
        let reckoned = match join(app, id, account.currency, &left, now).await {
            Ok(reckoned) => reckoned,
            Err(error) => {
                tracing::warn!(%error, conversions = left.len(), "a book was not reckoned");
                progress.extend(fail(left.into_iter().map(|(work, _)| work)));
                return progress;
            }
        };
        let Joined {
            mut ops,
            outcomes,
            shares,
        } = reckoned;
        ops.extend(base.map(store::unrevised));
        match app.main.transact(&ops).await {
            Ok(()) => {
                progress.extend(
                    left.into_iter()
                        .zip(outcomes)
                        .map(|((work, _), outcome)| posted(work, outcome)),
                );
                if shares && let Err(error) = super::clockwork::share(app, id, now).await {
                    // It is due until it is done.
                    tracing::warn!(%error, "a budget was not shared anew");
                }
                return progress;
            }
            Err(TransactError::Refused(refusals)) => {
                // Whoever stands there already is dropped; a book that moved is read again.
                if base.is_some() && matches!(refusals.last(), Some(Refusal::Condition(_))) {
                    progress.extend(fail(left.into_iter().map(|(work, _)| work)));
                    return progress;
                }
                let mut rest = Vec::with_capacity(left.len());
                for (pair, refusal) in left.into_iter().zip(refusals) {
                    match refusal {
                        Refusal::None => rest.push(pair),
                        Refusal::Condition(item) => progress.push(again(pair.0, item)),
                    }
                }
                left = rest;
            }
            Err(TransactError::Table(error)) => {
                tracing::warn!(%error, conversions = left.len(), "outcomes not posted");
                progress.extend(fail(left.into_iter().map(|(work, _)| work)));
                return progress;
            }
        }
    }
    progress.extend(fail(left.into_iter().map(|(work, _)| work)));
    progress
}

/// What joining a book comes to.
struct Joined {
    /// The outcomes first, in the order of the group.
    ops: Vec<Op>,
    outcomes: Vec<Outcome>,
    /// Whether other partners' shares of a budget have changed.
    shares: bool,
}

async fn join(
    app: &App,
    id: &BookId,
    currency: Currency,
    group: &[(Work, Draft)],
    now: Timestamp,
) -> Result<Joined, Error> {
    let mut book = books::find(&app.main, id).await?;
    let mut plans = Plans::default();
    let mut joining = Vec::with_capacity(group.len());
    for (_, draft) in group {
        let entry = draft
            .entry
            .clone()
            .ok_or_else(|| Error::Failed("nothing joins a book".to_owned()))?;
        let plan = plans.position(&draft.plan);
        joining.push(Entry { plan, ..entry });
    }
    let place = |entry: &Entry| books::position(entry.counted_at, entry.conversion);
    let in_order = joining.iter().all(|entry| place(entry) > book.last)
        && plans.known.len() == 1
        && !plans.each().any(is_gated)
        && !matches!(id.span, Span::Customer(_));
    let reckoning = match book.state.take().filter(|_| in_order) {
        Some(state) => onward(&plans, currency, state, &mut book, &joining)?,
        None => anew(app, &mut plans, currency, &mut book, &joining).await?,
    };
    let Reckoning {
        parts,
        state,
        others,
    } = reckoning;
    book.version += 1;
    if let Some(last) = joining.iter().map(place).max() {
        book.last = book.last.max(last);
    }
    let closes = next_close(&plans.refs(), &joining, book.closed_until);
    book.closes_at = [book.closes_at, closes, others.then_some(now)]
        .into_iter()
        .flatten()
        .min();
    book.state = state.filter(|_| !plans.each().any(is_gated));
    let mut ops = Vec::with_capacity(2 * group.len() + 3);
    let mut outcomes = Vec::with_capacity(group.len());
    for ((work, draft), (paid, deltas)) in group.iter().zip(parts) {
        let facts = work
            .facts
            .as_ref()
            .ok_or_else(|| Error::Failed("a conversion without facts".to_owned()))?;
        let outcome = draft.outcome(facts, Some(paid), deltas, now);
        ops.push(first_op(work, &outcome)?);
        outcomes.push(outcome);
    }
    for ((_, draft), entry) in group.iter().zip(joining) {
        let plan = (draft.plan.code.clone(), draft.plan.version);
        let filed = Filed {
            entry,
            plan,
            gone: false,
        };
        ops.push(Op::Put(books::put_entry(id, &filed)?));
    }
    ops.push(books::change(&book)?);
    if let Some((_, draft)) = group.first() {
        let each: Vec<&Outcome> = outcomes.iter().collect();
        ops.extend(account_ops(draft.account, &each, now)?);
    }
    Ok(Joined {
        ops,
        outcomes,
        shares: others,
    })
}

/// What events pay that join a book, each, and what is posted for it.
struct Reckoning {
    parts: Vec<(Paid, Totals)>,
    state: Option<super::fold::State>,
    /// Whether anything is left to post to other partners.
    others: bool,
}

/// Events that come after all others: the fold goes on where it stood.
fn onward(
    plans: &Plans,
    currency: Currency,
    state: super::fold::State,
    book: &mut Book,
    joining: &[Entry],
) -> Result<Reckoning, Error> {
    let mut fold = Fold::from(plans.each(), currency, state);
    let mut parts = Vec::with_capacity(joining.len());
    for entry in joining {
        let paid = fold.step(entry).map_err(over)?;
        let mut one = BTreeMap::new();
        add(&mut one, entry.partner, paid.pay.minor(), &paid.levels).map_err(over)?;
        add(
            &mut book.posted,
            entry.partner,
            paid.pay.minor(),
            &paid.levels,
        )
        .map_err(over)?;
        parts.push((paid, one.remove(&entry.partner).unwrap_or_default()));
    }
    Ok(Reckoning {
        parts,
        state: Some(fold.state().clone()),
        others: false,
    })
}

/// Events of which one comes before others: each is put in its place, and the whole is folded again.
async fn anew(
    app: &App,
    plans: &mut Plans,
    currency: Currency,
    book: &mut Book,
    joining: &[Entry],
) -> Result<Reckoning, Error> {
    let mut entries = load(app, &book.id, plans).await?;
    let mut parts = Vec::with_capacity(joining.len());
    let mut last = None;
    for entry in joining {
        let at = entries.partition_point(|other| other.position() < entry.position());
        entries.insert(at, entry.clone());
        let reckoned = reckon(
            plans.each(),
            currency,
            &entries,
            Some(entry.conversion),
            book.closed_until,
        )
        .map_err(over)?;
        let deltas = post_difference(book, &reckoned.totals, entry.partner)?;
        let paid = reckoned
            .paid
            .clone()
            .ok_or_else(|| Error::Failed("an event is not in its book".to_owned()))?;
        parts.push((paid, deltas));
        last = Some(reckoned);
    }
    let others = match &last {
        Some(reckoned) => owes_others(book, &reckoned.totals)?,
        None => false,
    };
    Ok(Reckoning {
        parts,
        state: last.map(|reckoned| reckoned.state),
        others,
    })
}

/// What is to be posted to a partner; the book then has it as posted.
pub(super) fn post_difference(
    book: &mut Book,
    totals: &BTreeMap<PartnerId, Totals>,
    partner: PartnerId,
) -> Result<Totals, Error> {
    let wanted = totals.get(&partner);
    let deltas = difference(wanted, book.posted.get(&partner)).map_err(over)?;
    book.posted
        .insert(partner, wanted.cloned().unwrap_or_else(|| vec![0]));
    Ok(deltas)
}

/// Whether anything is left to post to any partner.
pub(super) fn owes_others(
    book: &Book,
    totals: &BTreeMap<PartnerId, Totals>,
) -> Result<bool, Error> {
    for partner in totals.keys().chain(book.posted.keys()) {
        let deltas = difference(totals.get(partner), book.posted.get(partner)).map_err(over)?;
        if deltas.iter().any(|delta| *delta != 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Changes of one partner's events of a book in one transaction: each is up to three operations, and with
/// the book and the account they stay below DynamoDB's 100.
pub(super) const TURNS: usize = 30;

/// A change of an event that stands in a book.
pub(super) struct Turn<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) plan: (String, u32),
    /// What the plan is told of it now; `None` when nothing is left of it.
    pub(super) told: Option<Entry>,
    /// Why; by how much is found here.
    pub(super) correction: Correction,
}

/// What became of a change: the outcome as it then stands, or the item that stood in its way.
pub(super) type Turned = Result<Outcome, Item>;

/// Posts what changes of one partner's events come to, at most [`TURNS`], in one transaction; where they
/// follow from another outcome, `base`, on the condition that it has not been corrected meanwhile. One
/// answer for each, in their order.
///
/// # Errors
/// The table's.
pub(super) async fn correct(
    app: &App,
    id: &BookId,
    turns: &[Turn<'_>],
    base: Option<&Outcome>,
    now: Timestamp,
) -> Result<Vec<Turned>, Error> {
    let mut turned: Vec<Option<Turned>> = turns.iter().map(|_| None).collect();
    for round in 0..MAX_TRIES {
        pause_before(round.min(8)).await;
        // Posted it is when it is tried: a month may close while this waits.
        let now = now.max(app.now());
        let left: Vec<usize> = (0..turns.len())
            .filter(|index| turned[*index].is_none())
            .collect();
        if left.is_empty() {
            break;
        }
        let opened = open(app, id).await?;
        let each: Vec<&Turn<'_>> = left.iter().map(|index| &turns[*index]).collect();
        let Turns {
            mut ops,
            outcomes,
            others,
        } = turn_all(id, opened, &each, now)?;
        ops.extend(base.map(store::unrevised));
        match app.main.transact(&ops).await {
            Ok(()) => {
                for (index, outcome) in left.into_iter().zip(outcomes) {
                    turned[index] = Some(Ok(outcome));
                }
                if others && let Err(error) = super::clockwork::share(app, id, now).await {
                    // It is due until it is done.
                    tracing::warn!(%error, "a budget was not shared anew");
                }
            }
            Err(TransactError::Refused(refusals))
                if base.is_some() && matches!(refusals.last(), Some(Refusal::Condition(_))) =>
            {
                return Ok(turns.iter().map(|_| Err(Item::new())).collect());
            }
            Err(TransactError::Refused(refusals)) => {
                // Where none of the outcomes moved, the book did, or a transfer stands there and its outcome
                // will show it.
                for (index, refusal) in left.into_iter().zip(refusals) {
                    if let Refusal::Condition(item) = refusal {
                        turned[index] = Some(Err(item));
                    }
                }
            }
            Err(TransactError::Table(error)) => return Err(error),
        }
    }
    turned
        .into_iter()
        .map(|one| one.ok_or_else(|| Error::Busy("a book keeps moving".to_owned())))
        .collect()
}

/// What changes of a book's events come to.
struct Turns {
    /// The outcomes first, in the order of the changes.
    ops: Vec<Op>,
    outcomes: Vec<Outcome>,
    /// Whether anything is left to post to other partners.
    others: bool,
}

fn turn_all(
    id: &BookId,
    opened: Opened,
    turns: &[&Turn<'_>],
    now: Timestamp,
) -> Result<Turns, Error> {
    let Opened {
        mut book,
        plans,
        mut entries,
    } = opened;
    let mut filed = Vec::with_capacity(turns.len());
    let mut corrected: Vec<Corrected> = Vec::with_capacity(turns.len());
    let mut last = None;
    for turn in turns {
        let outcome = turn.outcome;
        let nobody = || Error::Failed("nobody is credited".to_owned());
        let account = outcome.account().ok_or_else(nobody)?;
        let place = entries
            .iter()
            .position(|entry| entry.conversion == outcome.conversion);
        let changed = match (place, &turn.told) {
            (Some(place), Some(told)) => {
                let entry = Entry {
                    plan: entries[place].plan,
                    ..told.clone()
                };
                entries[place] = entry.clone();
                Some((entry, false))
            }
            (Some(place), None) => Some((entries.remove(place), true)),
            (None, _) => None,
        };
        filed.extend(changed.map(|(entry, gone)| Filed {
            entry,
            plan: turn.plan.clone(),
            gone,
        }));
        let reckoned = reckon(
            plans.each(),
            account.currency,
            &entries,
            None,
            book.closed_until,
        )
        .map_err(over)?;
        let deltas = post_difference(&mut book, &reckoned.totals, account.partner)?;
        let correction = Correction {
            delta: Money::new(deltas.first().copied().unwrap_or(0), account.currency),
            levels: deltas.into_iter().skip(1).collect(),
            ..turn.correction.clone()
        };
        let how = outcome.corrected(&correction, now).map_err(over)?;
        corrected.push(how.ok_or_else(nobody)?);
        last = Some(reckoned);
    }
    let others = match &last {
        Some(reckoned) => owes_others(&book, &reckoned.totals)?,
        None => false,
    };
    book.version += 1;
    if others {
        book.closes_at = Some(book.closes_at.map_or(now, |at| at.min(now)));
    }
    book.state = last
        .map(|reckoned| reckoned.state)
        .filter(|_| !plans.each().any(is_gated));
    let pairs: Vec<(&Outcome, &Corrected)> = turns
        .iter()
        .map(|turn| turn.outcome)
        .zip(&corrected)
        .collect();
    let mut ops = store::correct(&pairs)?;
    for filed in &filed {
        ops.push(books::change_entry(id, filed)?);
    }
    ops.push(books::change(&book)?);
    Ok(Turns {
        ops,
        outcomes: corrected.into_iter().map(|how| how.after).collect(),
        others,
    })
}

/// What a conversion's share of its book comes to, for those who only look.
///
/// # Errors
/// The table's.
pub(super) async fn foresee(
    app: &App,
    id: &BookId,
    plan: &Arc<PlanVersion>,
    entry: &Entry,
    currency: Currency,
) -> Result<(Paid, Money), Error> {
    let Opened {
        mut book,
        mut plans,
        mut entries,
    } = open(app, id).await?;
    let entry = Entry {
        plan: plans.position(plan),
        ..entry.clone()
    };
    let stands = |other: &Entry| other.conversion == entry.conversion;
    if !entries.iter().any(stands) {
        let at = entries.partition_point(|other| other.position() < entry.position());
        entries.insert(at, entry.clone());
    }
    let about: ConversionId = entry.conversion;
    let reckoned = reckon(
        plans.each(),
        currency,
        &entries,
        Some(about),
        book.closed_until,
    )
    .map_err(over)?;
    let deltas = post_difference(&mut book, &reckoned.totals, entry.partner)?;
    let paid = reckoned
        .paid
        .ok_or_else(|| Error::Failed("an event is not in its book".to_owned()))?;
    let posted = Money::new(deltas.first().copied().unwrap_or(0), currency);
    Ok((paid, posted))
}
