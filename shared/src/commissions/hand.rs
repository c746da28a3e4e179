//! What an operator does by hand: adjustments, and holds that are moved.

use super::error::CommissionError;
use std::collections::BTreeMap;

use super::model::{Extra, Outcome, Source, State, level_id, share_id};
use super::{account_ops, store};
use crate::clock::Timestamp;
use crate::edge::App;
use crate::ids::{ConversionId, OperatorId, PartnerId, ProgramId};
use crate::ledger::model::{AccountId, Transfer};
use crate::ledger::store::{legs, put};
use crate::money::Money;
use crate::table::{Op, Refusal, TransactError};
use crate::{partners, programs};

/// An adjustment to be made.
#[derive(Clone, Debug)]
pub struct NewAdjustment {
    /// Whose ids its own is one of.
    pub series: Series,
    /// The caller's id of it, unique among those of the partner in the program and the series.
    pub adjustment_id: String,
    /// In which program.
    pub program: ProgramId,
    /// Whose.
    pub partner: PartnerId,
    /// How much, in the program's currency; below zero takes from the partner.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// The conversion or dispute that it is about, if any.
    pub about: Option<String>,
}

/// Who gives the ids of adjustments: those of one never meet those of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Operators.
    Operators,
    /// Disputes, each its own.
    Disputes,
    /// Merges of partners, each its own.
    Merges,
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Self::Operators => "adjustment",
            Self::Disputes => "dispute",
            Self::Merges => "merge",
        }
    }
}

/// The id of the line of an adjustment.
fn line_id(series: Series, partner: PartnerId, program: ProgramId, id: &str) -> ConversionId {
    let (partner, program) = (partner.to_string(), program.to_string());
    ConversionId::derived(&[&partner, &program, series.name(), id])
}

/// Whether any of these adjustments is made and waits to become payable.
///
/// # Errors
/// The table's.
pub async fn is_pending(
    app: &App,
    series: Series,
    partner: PartnerId,
    program: ProgramId,
    ids: impl Iterator<Item = String>,
) -> Result<bool, CommissionError> {
    let keys = ids.map(|id| store::outcome_key(line_id(series, partner, program, &id)));
    for item in app.main.get_many(keys).await?.into_values() {
        if store::outcome(item)?.state == State::Held {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What came of an adjustment.
#[derive(Clone, Debug)]
pub enum Adjusted {
    /// It was made now.
    Made(Outcome),
    /// It was made before; nothing changed.
    Already(Outcome),
}

/// Gives to a partner, or takes from it, by an operator's word: one transaction. It is payable with the next
/// run of the clockwork. The same id again changes nothing.
///
/// # Errors
/// `ProgramUnknown`, `NotEnrolled`, `Mismatch`, the table's.
pub async fn adjust(
    app: &App,
    by: OperatorId,
    new: NewAdjustment,
) -> Result<Adjusted, CommissionError> {
    let (line, ops) = adjustment(app, by, new).await?;
    let refusals = match app.main.transact(&ops).await {
        Ok(()) => return Ok(Adjusted::Made(line)),
        Err(TransactError::Refused(refusals)) => refusals,
        Err(TransactError::Table(error)) => return Err(error.into()),
    };
    let Some(Refusal::Condition(item)) = refusals.into_iter().next() else {
        return Err(CommissionError::Moved);
    };
    let standing = store::outcome(item)?;
    if standing.says_the_same(&line) {
        Ok(Adjusted::Already(standing))
    } else {
        Err(CommissionError::Mismatch)
    }
}

/// The line of an adjustment and the operations that post it, the line's own first: for a transaction that
/// does more.
///
/// # Errors
/// `ProgramUnknown`, `NotEnrolled`, the table's.
pub async fn adjustment(
    app: &App,
    by: OperatorId,
    new: NewAdjustment,
) -> Result<(Outcome, Vec<Op>), CommissionError> {
    let NewAdjustment {
        series,
        adjustment_id,
        program,
        partner,
        amount,
        reason,
        about,
    } = new;
    programs::program(app, program)
        .await?
        .ok_or(CommissionError::ProgramUnknown)?;
    partners::enrolment(app, partner, program)
        .await?
        .ok_or(CommissionError::NotEnrolled(partner))?;
    let now = app.now();
    let account = AccountId {
        partner,
        program,
        currency: amount.currency(),
    };
    let line = Extra {
        id: line_id(series, partner, program, &adjustment_id),
        source: Source::Adjustment { by, reason, about },
        account,
        plan: None,
        pay: amount,
        levels: Vec::new(),
        release_at: now,
        steps: Vec::new(),
    }
    .outcome(now);
    let mut ops = vec![Op::Put(store::put(&line)?)];
    ops.extend(account_ops(account, &[&line], now)?);
    Ok((line, ops))
}

/// The lines of what uplines get of one.
fn levels_of(line: &Outcome) -> Vec<ConversionId> {
    let levels = line.credit.as_ref().map_or(0, |credit| credit.levels.len());
    (1..=u32::try_from(levels).unwrap_or(0))
        .map(|level| level_id(line.conversion, level))
        .collect()
}

/// Whether lines that follow from one are still to be posted.
fn owes(line: &Outcome) -> bool {
    line.credit.as_ref().is_ok_and(|credit| credit.owes)
}

/// Moves the end of a commission's hold, later or earlier, or places one on what is payable and in no payout;
/// and with it those of the share that another partner has of the conversion, and of what uplines get of both: one
/// transaction.
///
/// # Errors
/// `NotFound`, `NotHeld`, `Moved` (ask again), the table's.
pub async fn hold(
    app: &App,
    id: ConversionId,
    until: Timestamp,
    reason: &str,
) -> Result<Outcome, CommissionError> {
    let find = async |ids: &[ConversionId]| {
        let found = app
            .main
            .get_many(ids.iter().map(|id| store::outcome_key(*id)))
            .await?;
        found
            .into_values()
            .map(store::outcome)
            .collect::<Result<Vec<Outcome>, _>>()
    };
    let held = find(&[id])
        .await?
        .pop()
        .ok_or(CommissionError::NotFound(id))?;
    let now = app.now();
    let (after, moved) = held
        .held_until(until, reason, now)
        .ok_or(CommissionError::NotHeld)?;
    let mut ids = levels_of(&held);
    if held.ruling.beside.is_some() {
        let share = find(&[share_id(id)]).await?.pop();
        // What is still to be posted would be held as it was.
        if owes(&held) || share.as_ref().is_some_and(owes) {
            return Err(CommissionError::Moved);
        }
        if let Some(share) = share {
            ids.extend(levels_of(&share));
            ids.push(share.conversion);
        }
    }
    let mut ops = vec![store::change(&held, &after)?];
    let mut transfers: Vec<Transfer> = moved.into_iter().collect();
    for line in find(&ids).await? {
        // What another has of it waits with what it follows from; what a payout has is let go.
        if let Some((after, moved)) = line.held_until(until, reason, now) {
            ops.push(store::change(&line, &after)?);
            transfers.extend(moved);
        }
    }
    // Who shares it may be above the other: then both lines are of one account.
    let mut accounts: BTreeMap<AccountId, Vec<&Transfer>> = BTreeMap::new();
    for transfer in &transfers {
        ops.push(put(transfer)?);
        accounts.entry(transfer.account).or_default().push(transfer);
    }
    for each in accounts.into_values() {
        ops.extend(legs(&each)?);
    }
    match app.main.transact(&ops).await {
        Ok(()) => Ok(after),
        Err(TransactError::Refused(_)) => Err(CommissionError::Moved),
        Err(TransactError::Table(error)) => Err(error.into()),
    }
}
