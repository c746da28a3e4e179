//! Keys and items of closed periods.

use serde::{Deserialize, Serialize};

use super::model::{Closing, Period, Place, Stage, Tally};
use crate::clock::{Timestamp, stamp};
use crate::ids::{OperatorId, ProgramId};
use crate::ledger::model::Balance;
use crate::table::{
    AttributeValue, Condition, Error, Index, Key, Op, Put, Range, Table, Update, from_item,
};

/// The due partition of periods that are being closed.
pub const WORK: &str = "WORK#periods";
/// Sorts after every period.
const LAST: &str = "PERIOD#~";

fn partition(program: ProgramId) -> String {
    format!("PROG#{program}#PERIODS")
}

fn period_key(program: ProgramId, period: Period) -> Key {
    Key::new(partition(program), format!("PERIOD#{period}"))
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("a period's {what}"))
}

#[derive(Serialize, Deserialize)]
struct PeriodItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    program: ProgramId,
    period: String,
    stage: String,
    place: String,
    hash: String,
    step: u64,
    currency: String,
    transfers: u64,
    turnover_minor: i64,
    commissions_minor: i64,
    pending_minor: i64,
    payable_minor: i64,
    in_transit_minor: i64,
    paid_minor: i64,
    asked_by: OperatorId,
    asked_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_at: Option<Timestamp>,
}

fn item_of(closing: &Closing) -> PeriodItem {
    let Closing {
        program,
        period,
        stage,
        place,
        tally:
            Tally {
                transfers,
                turnover,
                commissions,
                change:
                    Balance {
                        currency,
                        pending,
                        payable,
                        in_transit,
                        paid,
                    },
            },
        hash,
        step,
        asked_by,
        asked_at,
        closed_at,
    } = closing.clone();
    let Key { pk, sk } = period_key(program, period);
    let is_due = stage != Stage::Closed;
    PeriodItem {
        pk,
        sk,
        due_pk: is_due.then(|| WORK.to_owned()),
        due_sk: is_due.then(|| format!("{}#{program}", stamp(asked_at))),
        program,
        period: period.to_string(),
        stage: stage.name().to_owned(),
        place: place.to_string(),
        hash,
        step,
        currency: currency.code().to_owned(),
        transfers,
        turnover_minor: turnover,
        commissions_minor: commissions,
        pending_minor: pending,
        payable_minor: payable,
        in_transit_minor: in_transit,
        paid_minor: paid,
        asked_by,
        asked_at,
        closed_at,
    }
}

fn closing(item: PeriodItem) -> Result<Closing, Error> {
    let PeriodItem {
        pk: _,
        sk: _,
        due_pk: _,
        due_sk: _,
        program,
        period,
        stage,
        place,
        hash,
        step,
        currency,
        transfers,
        turnover_minor,
        commissions_minor,
        pending_minor,
        payable_minor,
        in_transit_minor,
        paid_minor,
        asked_by,
        asked_at,
        closed_at,
    } = item;
    Ok(Closing {
        program,
        period: period.parse().map_err(|_| malformed("month"))?,
        stage: Stage::ALL
            .into_iter()
            .find(|known| known.name() == stage)
            .ok_or_else(|| malformed("stage"))?,
        place: place.parse::<Place>().map_err(|_| malformed("place"))?,
        tally: Tally {
            transfers,
            turnover: turnover_minor,
            commissions: commissions_minor,
            change: Balance {
                currency: currency.parse().map_err(|_| malformed("currency"))?,
                pending: pending_minor,
                payable: payable_minor,
                in_transit: in_transit_minor,
                paid: paid_minor,
            },
        },
        hash,
        step,
        asked_by,
        asked_at,
        closed_at,
    })
}

/// The put of a closing that begins.
///
/// # Errors
/// Never for a well-formed closing.
pub fn put(begun: &Closing) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&item_of(begun))?))
}

/// The step of a closing from `before` to `after`. Of two runs that made the same step, one is refused.
///
/// # Errors
/// Never for a well-formed closing.
pub fn advance(before: &Closing, after: &Closing) -> Result<Update, Error> {
    let step = AttributeValue::N(before.step.to_string());
    let update = Update::rewrite(&item_of(after), &["due_pk", "due_sk"])?;
    Ok(update.only_if(Condition::equals("step", step)))
}

/// A period, if it is closed or being closed.
///
/// # Errors
/// The table's.
pub async fn find(
    table: &Table,
    program: ProgramId,
    period: Period,
) -> Result<Option<Closing>, Error> {
    table
        .get::<PeriodItem>(&period_key(program, period))
        .await?
        .map(closing)
        .transpose()
}

/// A page of a program's closed periods, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn periods(
    table: &Table,
    program: ProgramId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Closing>, Option<String>), Error> {
    let below = below.unwrap_or_else(|| LAST.to_owned());
    let range = Range::partition(Index::Base, partition(program), limit)
        .newest_first()
        .below(below);
    let page = table.page(&range).await?;
    let last = page.items.last().and_then(Key::of).filter(|_| page.more);
    let found = page
        .items
        .into_iter()
        .map(|item| closing(from_item(item)?))
        .collect::<Result<_, _>>()?;
    Ok((found, last.map(|key| key.sk)))
}

/// Periods that are being closed, those asked for first.
///
/// # Errors
/// The table's.
pub async fn due(table: &Table, limit: usize) -> Result<Vec<Closing>, Error> {
    let (entries, _) = table
        .entries(&Range::partition(Index::Due, WORK, limit))
        .await?;
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    entries
        .iter()
        .filter_map(|entry| items.remove(&entry.key))
        .map(|item| closing(from_item(item)?))
        .collect()
}
