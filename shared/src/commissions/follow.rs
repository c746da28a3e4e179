//! Lines of others that follow from a conversion's outcome: the share of whoever registered its customer together
//! with its partner, what its uplines get, and what partners above measure. Each stands in a transaction of its own
//! account, on the condition that the outcome has not been
//! corrected meanwhile. The outcome says that it owes them until all of them stand, so nothing is lost
//! between.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::pin::Pin;

use futures_util::future::join_all;

use super::book::{Known, place};
use super::model::{
    Corrected, Correction, Credit, Extra, Outcome, Part, Source, entry, follow_key, is_ahead,
    level_id, measure_key, measured_id, net_applied, price, share_id, share_key,
};
use super::{Draft, Progress, Work, above, account_ops, again, alone, booking, store};
use crate::claims::model::{Claim, Ruling};
use crate::clock::Timestamp;
use crate::edge::App;
use crate::ids::{ConversionId, PartnerId};
use crate::ledger::model::{AccountId, Transfer};
use crate::ledger::store::legs;
use crate::money::Money;
use crate::plans::model::AssignedBy;
use crate::table::{Error, Op, TransactError, pause_before};
use crate::tracking::model::{Changes, Facts};
use crate::{claims, programs};

/// Tries for a line that others change meanwhile.
const MAX_TRIES: u32 = 12;

/// Lines of one account in one transaction: each is up to two writes and a check of what it follows from, and
/// with the account they stay below DynamoDB's 100.
const GROUP: usize = 30;

/// What was said of the conversion that lines follow from.
type Said<'a> = Option<(&'a Facts, &'a Changes)>;

/// Posts all that follows from these outcomes, then marks that it does. What an upline gets is posted together,
/// so that a batch of one partner's conversions contends for its account once.
pub(super) async fn follow(app: &App, works: Vec<Work>, now: Timestamp) -> Vec<Progress> {
    if works.is_empty() {
        return Vec::new();
    }
    let outcomes: Vec<&Outcome> = works
        .iter()
        .filter_map(|work| work.outcome.as_ref())
        .collect();
    let standing = match post_together(app, &outcomes, now).await {
        Ok(standing) => standing,
        Err(error) => {
            // Each is tried by itself then.
            tracing::warn!(%error, "levels were not posted together");
            HashSet::new()
        }
    };
    let each = works
        .into_iter()
        .map(|work| follow_one(app, work, &standing, now));
    join_all(each).await
}

/// Brings the lines of uplines to what they are to be, [`GROUP`] of an account at a time; returns those that
/// are. Whatever is refused is left to be looked at one by one.
async fn post_together(
    app: &App,
    outcomes: &[&Outcome],
    now: Timestamp,
) -> Result<HashSet<ConversionId>, Error> {
    let mut wanted = Vec::new();
    for outcome in outcomes {
        let Ok(credit) = &outcome.credit else {
            continue;
        };
        for ((upline, share), level) in credit.levels.iter().zip(1_u32..) {
            if let Some(upline) = upline {
                wanted.push((
                    *outcome,
                    level_line(outcome, credit, (*upline, *share, level)),
                ));
            }
        }
    }
    let keys = wanted.iter().map(|(_, line)| store::outcome_key(line.id));
    let mut found = app.main.get_many(keys).await?;
    let mut standing = HashSet::new();
    let mut accounts: BTreeMap<AccountId, Vec<(&Outcome, Step)>> = BTreeMap::new();
    for (outcome, line) in wanted {
        let account = line.account;
        let step = match found.remove(&store::outcome_key(line.id)) {
            None if line.pay.is_zero() => None,
            None => Some(Step::New(Box::new(line.outcome(now)))),
            Some(item) => {
                let there = store::outcome(item)?;
                let how = catch_up(&there, line.pay, now)?;
                if how.is_none() {
                    standing.insert(line.id);
                }
                how.map(|how| Step::Changed(Box::new((there, how))))
            }
        };
        if let Some(step) = step {
            accounts.entry(account).or_default().push((outcome, step));
        }
    }
    for steps in accounts.into_values() {
        for group in steps.chunks(GROUP) {
            match app.main.transact(&step_ops(group)?).await {
                Ok(()) => standing.extend(group.iter().map(|(_, step)| step.id())),
                Err(TransactError::Refused(_)) => {}
                Err(TransactError::Table(error)) => return Err(error),
            }
        }
    }
    Ok(standing)
}

/// What is to be done about an upline's line.
enum Step {
    /// It is to be made.
    New(Box<Outcome>),
    /// It stands, and is to be corrected.
    Changed(Box<(Outcome, Corrected)>),
}

impl Step {
    fn id(&self) -> ConversionId {
        match self {
            Self::New(line) => line.conversion,
            Self::Changed(changed) => changed.0.conversion,
        }
    }
}

/// All steps of one account in one transaction, each on the condition that what it follows from has not been
/// corrected meanwhile.
fn step_ops(group: &[(&Outcome, Step)]) -> Result<Vec<Op>, Error> {
    let mut ops = Vec::with_capacity(3 * group.len() + 2);
    let mut transfers = Vec::with_capacity(group.len());
    for (_, step) in group {
        match step {
            Step::New(line) => {
                ops.push(Op::Put(store::put(line)?));
                // Its transfer is the item's own.
                transfers.extend(line.commission());
            }
            Step::Changed(changed) => {
                let (line, how) = changed.as_ref();
                ops.push(store::change(line, &how.after)?);
                if let Some(put) = store::correction(line, how)? {
                    ops.push(put);
                    transfers.push(how.transfer.clone());
                }
            }
        }
    }
    let each: Vec<&Transfer> = transfers.iter().collect();
    ops.extend(legs(&each)?);
    ops.extend(group.iter().map(|(outcome, _)| store::unrevised(outcome)));
    Ok(ops)
}

/// What an upline gets of an outcome, as a line.
fn level_line(
    outcome: &Outcome,
    credit: &Credit,
    (upline, share, level): (PartnerId, Money, u32),
) -> Extra {
    Extra {
        id: level_id(outcome.conversion, level),
        source: Source::Level {
            of: outcome.conversion,
            level,
        },
        account: AccountId {
            partner: upline,
            program: outcome.program,
            currency: share.currency(),
        },
        plan: Some((credit.plan.clone(), credit.plan_version)),
        pay: share,
        levels: Vec::new(),
        release_at: credit.release_at,
        steps: Vec::new(),
    }
}

async fn follow_one(
    app: &App,
    work: Work,
    standing: &HashSet<ConversionId>,
    now: Timestamp,
) -> Progress {
    let Some(outcome) = &work.outcome else {
        return Progress::Done;
    };
    let said = work.facts.as_ref().map(|facts| (facts, &work.changes));
    if let Err(error) = post_all(app, outcome, said, standing, now).await {
        tracing::warn!(%error, conversion = %work.id, "what follows was not posted");
        return Progress::Failed(work.id);
    }
    match app.main.update(store::followed(outcome)).await {
        Ok(Ok(())) => {
            let mut outcome = outcome.clone();
            if let Ok(credit) = &mut outcome.credit {
                credit.owes = false;
            }
            Progress::Again(Box::new(Work {
                outcome: Some(outcome),
                ..work
            }))
        }
        Ok(Err(item)) => again(work, item),
        Err(error) => {
            tracing::warn!(%error, conversion = %work.id, "what follows was not marked");
            Progress::Failed(work.id)
        }
    }
}

/// Posts what follows from a line that is no conversion's own, and marks that it does. What was said of a
/// conversion goes with a share of it, which partners above measure.
///
/// # Errors
/// The table's. Safe to repeat.
pub(super) fn follow_line<'a>(
    app: &'a App,
    line: &'a Outcome,
    said: Said<'a>,
    now: Timestamp,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
    Box::pin(async move {
        if line.credit.as_ref().is_ok_and(|credit| credit.owes) {
            post_all(app, line, said, &HashSet::new(), now).await?;
            // Where it has been corrected meanwhile, whoever did that follows it.
            let _ = app.main.update(store::followed(line)).await?;
        }
        Ok(())
    })
}

async fn post_all(
    app: &App,
    outcome: &Outcome,
    said: Said<'_>,
    standing: &HashSet<ConversionId>,
    now: Timestamp,
) -> Result<(), Error> {
    let Ok(credit) = &outcome.credit else {
        return Ok(());
    };
    // A share moves by itself: it may reflect by now what was not said yet when that was read.
    if said.is_some_and(|(_, changes)| is_ahead(outcome, changes)) {
        return Err(Error::Busy("a line reflects a later change".to_owned()));
    }
    for ((upline, share), level) in credit.levels.iter().zip(1_u32..) {
        if standing.contains(&level_id(outcome.conversion, level)) {
            continue;
        }
        if let Some(upline) = upline {
            post_level(app, outcome, credit, (*upline, *share, level), now).await?;
        }
    }
    if let Some(said) = said {
        if let Some(beside) = &outcome.ruling.beside {
            post_share(app, (outcome, credit), said, beside, now).await?;
        }
        for partner in &credit.measured_by {
            measure(app, outcome, credit, said, *partner, now).await?;
        }
    }
    Ok(())
}

async fn find(app: &App, id: ConversionId) -> Result<Option<Outcome>, Error> {
    app.main
        .get_many([store::outcome_key(id)])
        .await?
        .into_values()
        .next()
        .map(store::outcome)
        .transpose()
}

/// Brings what an upline gets to what it is to get.
async fn post_level(
    app: &App,
    outcome: &Outcome,
    credit: &Credit,
    (upline, share, level): (PartnerId, Money, u32),
    now: Timestamp,
) -> Result<(), Error> {
    let id = level_id(outcome.conversion, level);
    for round in 0..MAX_TRIES {
        pause_before(round).await;
        let mut ops = match find(app, id).await? {
            None if share.is_zero() => return Ok(()),
            None => {
                let line = level_line(outcome, credit, (upline, share, level));
                let account = line.account;
                let line = line.outcome(now);
                let mut ops = vec![Op::Put(store::put(&line)?)];
                ops.extend(account_ops(account, &[&line], now)?);
                ops
            }
            Some(line) => match catch_up(&line, share, now)? {
                None => return Ok(()),
                Some(how) => store::correct(&[(&line, &how)])?,
            },
        };
        ops.push(store::unrevised(outcome));
        match app.main.transact(&ops).await {
            Ok(()) => return Ok(()),
            // The line moved, or the outcome did: what stands there now is looked at again.
            Err(TransactError::Refused(_)) => {
                if is_revised(app, outcome).await? {
                    return Ok(());
                }
            }
            Err(TransactError::Table(error)) => return Err(error),
        }
    }
    Err(Error::Busy("an upline's line keeps moving".to_owned()))
}

/// Whether an outcome was corrected since it was read: then whatever follows, follows from that.
async fn is_revised(app: &App, outcome: &Outcome) -> Result<bool, Error> {
    let revision = |outcome: &Outcome| outcome.credit.as_ref().map_or(0, |credit| credit.revision);
    Ok(find(app, outcome.conversion)
        .await?
        .is_some_and(|now| revision(&now) != revision(outcome)))
}

/// The correction of a line that follows; `None` when it stands where it is to.
fn catch_up(line: &Outcome, share: Money, now: Timestamp) -> Result<Option<Corrected>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(format!("an override {error}"));
    let Ok(standing) = &line.credit else {
        return Ok(None);
    };
    if standing.total == share {
        return Ok(None);
    }
    let delta = standing
        .total
        .negated()
        .and_then(|standing| share.plus(standing))
        .map_err(|error| failed(&error))?;
    let correction = Correction {
        key: follow_key(standing.revision),
        delta,
        levels: Vec::new(),
        applied: Vec::new(),
        gone: false,
        followed: false,
        reason: None,
    };
    line.corrected(&correction, now)
        .map_err(|error| failed(&error))
}

/// Brings the share that another partner has of a conversion to what it is to be, with what follows from it.
async fn post_share(
    app: &App,
    (outcome, credit): (&Outcome, &Credit),
    said: (&Facts, &Changes),
    beside: &Claim,
    now: Timestamp,
) -> Result<(), Error> {
    for round in 0..MAX_TRIES {
        pause_before(round).await;
        let line = match find(app, share_id(outcome.conversion)).await? {
            None => new_share(app, (outcome, credit), said, beside, now).await?,
            Some(line) => changed_share(app, (outcome, credit), said, line, now).await?,
        };
        match line {
            Posting::Stands(None) => return Ok(()),
            Posting::Stands(Some(line)) => {
                return follow_line(app, &line, Some(said), now).await;
            }
            // The line moved, or the outcome did: what stands there now is looked at again.
            Posting::Moved => {
                if is_revised(app, outcome).await? {
                    return Ok(());
                }
            }
        }
    }
    Err(Error::Busy("a share's line keeps moving".to_owned()))
}

/// How far a try got with a share's line.
enum Posting {
    /// It is what it is to be; `None` where there is to be none.
    Stands(Option<Box<Outcome>>),
    /// Something else was changed meanwhile.
    Moved,
}

async fn new_share(
    app: &App,
    (outcome, credit): (&Outcome, &Credit),
    (facts, changes): (&Facts, &Changes),
    beside: &Claim,
    now: Timestamp,
) -> Result<Posting, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(format!("a share: {error}"));
    let net = net_applied(facts, changes, &credit.applied);
    let (Some(partner), Some(share), false) = (beside.partner, beside.share, net.gone) else {
        return Ok(Posting::Stands(None));
    };
    let id = share_id(outcome.conversion);
    let program = programs::program(app, outcome.program)
        .await?
        .ok_or_else(|| failed(&"its program does not exist"))?;
    // It is ruled already that the partner is credited, whatever became of it since.
    let (plan, assigned_by) = claims::paying(app, &program, partner, facts.occurred_at)
        .await?
        .ok_or_else(|| failed(&"its partner has no plan any more"))?;
    let currency = program.currency;
    let known = Known {
        occurred_at: facts.occurred_at,
        known_at: changes
            .approved_at
            .map_or(facts.received_at, |at| at.max(facts.received_at)),
        program_since: program.created_at,
    };
    let placed = place(&plan, partner, id, facts.customer.as_deref(), known);
    let known_since = store::customers::meet(&app.main, facts, partner, &plan, &placed).await?;
    let part = Some(Part::Share(share));
    let place = (placed.counted_at, known_since);
    let exchange = credit.exchange.as_ref();
    let told = entry(facts, net, partner, place, exchange, currency, part)
        .map_err(|error| failed(&error))?;
    let above = above(app, &program, &plan, partner, facts.occurred_at).await?;
    let account = AccountId {
        partner,
        program: outcome.program,
        currency,
    };
    let draft = Draft {
        ruling: Ruling {
            winner: Some(beside.clone()),
            beside: None,
            losers: Vec::new(),
        },
        plan,
        assigned_by,
        account,
        entry: Some(super::Entry {
            conversion: id,
            ..told
        }),
        placed,
        uplines: above.uplines,
        measured_by: above.measured_by,
        applied: credit.applied.clone(),
        exchange: credit.exchange.clone(),
        known_since,
        part,
        line: Some((
            id,
            Source::Share {
                of: outcome.conversion,
            },
        )),
    };
    if let Some(book) = draft.placed.book.clone() {
        let work = Work {
            id,
            facts: Some(facts.clone()),
            changes: Changes::default(),
            outcome: None,
        };
        let base = Some(outcome);
        for progress in booking::credit(app, book, vec![(work, draft)], base, now).await {
            match progress {
                Progress::Done | Progress::Again(_) => {}
                Progress::Failed(_) => return Ok(Posting::Moved),
            }
        }
        // As it stands now: whoever else posted it may have done it otherwise.
        return Ok(Posting::Moved);
    }
    let line = alone(&draft, facts, now).map_err(|error| failed(&error))?;
    let mut ops = vec![Op::Put(store::put(&line)?)];
    ops.extend(account_ops(account, &[&line], now)?);
    ops.push(store::unrevised(outcome));
    transacted(app, &ops, line).await
}

async fn transacted(app: &App, ops: &[Op], line: Outcome) -> Result<Posting, Error> {
    match app.main.transact(ops).await {
        Ok(()) => Ok(Posting::Stands(Some(Box::new(line)))),
        Err(TransactError::Refused(_)) => Ok(Posting::Moved),
        Err(TransactError::Table(error)) => Err(error),
    }
}

async fn changed_share(
    app: &App,
    (outcome, credit): (&Outcome, &Credit),
    (facts, changes): (&Facts, &Changes),
    line: Outcome,
    now: Timestamp,
) -> Result<Posting, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(format!("a share: {error}"));
    let Ok(shared) = &line.credit else {
        return Ok(Posting::Stands(None));
    };
    let fresh: Vec<String> = credit
        .applied
        .iter()
        .filter(|one| !shared.applied.contains(one))
        .cloned()
        .collect();
    if fresh.is_empty() {
        return Ok(Posting::Stands(Some(Box::new(line))));
    }
    let currency = shared.pay.currency();
    let net = net_applied(facts, changes, &credit.applied);
    let counted_at = shared
        .book
        .as_ref()
        .map_or(facts.occurred_at, |(_, at)| *at);
    let place = (counted_at, shared.known_since);
    let (partner, exchange) = (shared.partner, shared.exchange.as_ref());
    let told = entry(facts, net, partner, place, exchange, currency, shared.part)
        .map_err(|error| failed(&error))?;
    let told = (!net.gone).then_some(super::Entry {
        conversion: line.conversion,
        ..told
    });
    let correction = Correction {
        key: share_key(shared.revision),
        delta: Money::zero(currency),
        levels: Vec::new(),
        applied: fresh,
        gone: net.gone,
        followed: !shared.measured_by.is_empty(),
        reason: None,
    };
    if let Some((book, _)) = &shared.book {
        let turn = booking::Turn {
            outcome: &line,
            plan: (shared.plan.clone(), shared.plan_version),
            told,
            correction,
        };
        let turned = booking::correct(app, book, &[turn], Some(outcome), now).await?;
        return Ok(match turned.into_iter().next() {
            Some(Ok(line)) => Posting::Stands(Some(Box::new(line))),
            _ => Posting::Moved,
        });
    }
    let plan = super::plan_of(app, &line, &shared.plan, shared.plan_version).await?;
    let paid = told
        .as_ref()
        .map(|told| price(&plan, told, currency))
        .transpose()
        .map_err(|error| failed(&error))?;
    let how = super::corrected(&line, shared, paid.as_ref(), correction, now)?;
    let mut ops = store::correct(&[(&line, &how)])?;
    ops.push(store::unrevised(outcome));
    transacted(app, &ops, how.after).await
}

/// Files a conversion in the book of a partner above, whose plan measures what those below sell.
async fn measure(
    app: &App,
    outcome: &Outcome,
    credit: &Credit,
    (facts, changes): (&Facts, &Changes),
    partner: PartnerId,
    now: Timestamp,
) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(format!("a measure: {error}"));
    let id = measured_id(outcome.conversion, partner);
    let program = programs::program(app, outcome.program)
        .await?
        .ok_or_else(|| failed(&"its program does not exist"))?;
    let currency = program.currency;
    let net = net_applied(facts, changes, &credit.applied);
    let told = |counted_at: Timestamp| {
        let exchange = credit.exchange.as_ref();
        let place = (counted_at, None);
        let part = credit.part;
        entry(facts, net, partner, place, exchange, currency, part).map(|entry| super::Entry {
            conversion: id,
            own: false,
            ..entry
        })
    };
    let standing = find(app, id).await?;
    let Some(line) = standing else {
        if net.gone {
            return Ok(());
        }
        let plan = claims::plan_of(app, &program, partner, facts.occurred_at).await?;
        let Ok(plan) = plan else {
            return Ok(());
        };
        let known = Known {
            occurred_at: facts.occurred_at,
            known_at: changes
                .approved_at
                .map_or(facts.received_at, |at| at.max(facts.received_at)),
            program_since: program.created_at,
        };
        let placed = place(&plan, partner, id, facts.customer.as_deref(), known);
        let Some(book) = placed.book.clone() else {
            return Ok(());
        };
        let above = above(app, &program, &plan, partner, facts.occurred_at).await?;
        let draft = Draft {
            ruling: Ruling {
                winner: None,
                beside: None,
                losers: Vec::new(),
            },
            assigned_by: AssignedBy::Partner,
            account: AccountId {
                partner,
                program: outcome.program,
                currency,
            },
            entry: Some(told(placed.counted_at).map_err(|error| failed(&error))?),
            plan,
            placed,
            uplines: above.uplines,
            measured_by: Vec::new(),
            applied: credit.applied.clone(),
            exchange: credit.exchange.clone(),
            known_since: None,
            part: credit.part,
            line: Some((
                id,
                // Of the conversion, whose facts it is read with; also where it is a share that is measured.
                Source::SubTree { of: facts.id },
            )),
        };
        let work = Work {
            id,
            facts: Some(facts.clone()),
            changes: Changes::default(),
            outcome: None,
        };
        let base = Some(outcome);
        for progress in booking::credit(app, book, vec![(work, draft)], base, now).await {
            match progress {
                Progress::Done => {}
                Progress::Again(work) => match work.outcome {
                    Some(line) => follow_line(app, &line, None, now).await?,
                    None => return Err(failed(&"its line is not there")),
                },
                Progress::Failed(_) if is_revised(app, outcome).await? => return Ok(()),
                Progress::Failed(_) => return Err(failed(&"its line was not posted")),
            }
        }
        return Ok(());
    };
    follow_line(app, &line, None, now).await?;
    let Ok(measured) = &line.credit else {
        return Ok(());
    };
    if measured.applied == credit.applied {
        return Ok(());
    }
    let Some((book, counted_at)) = &measured.book else {
        return Ok(());
    };
    let fresh: Vec<String> = credit
        .applied
        .iter()
        .filter(|one| !measured.applied.contains(one))
        .cloned()
        .collect();
    let turn = booking::Turn {
        outcome: &line,
        plan: (measured.plan.clone(), measured.plan_version),
        told: if net.gone {
            None
        } else {
            Some(told(*counted_at).map_err(|error| failed(&error))?)
        },
        correction: Correction {
            key: measure_key(measured.revision),
            delta: Money::zero(currency),
            levels: Vec::new(),
            applied: fresh,
            gone: net.gone,
            followed: false,
            reason: None,
        },
    };
    let turned = booking::correct(app, book, &[turn], Some(outcome), now).await?;
    match turned.into_iter().next() {
        Some(Ok(line)) => follow_line(app, &line, None, now).await,
        _ if is_revised(app, outcome).await? => Ok(()),
        _ => Err(Error::Busy("a measured line keeps moving".to_owned())),
    }
}
