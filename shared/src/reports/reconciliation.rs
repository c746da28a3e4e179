//! Payouts against the ledger: what each payout says of itself, what its transfers say, and which open payouts
//! the money in transit stands in.

use super::error::ReportError;
use super::journal::program;
use super::model::{Compared, Movements, Period, compare};
use crate::clock::stamp;
use crate::edge::App;
use crate::ids::{BatchId, PartnerId, ProgramId};
use crate::ledger::model::Transfer;
use crate::money::{Money, MoneyError};
use crate::partners::holders;
use crate::payouts::model::{LineStage, Payout, PayoutState};
use crate::payouts::{self, store};

/// Batches read at once; of all programs, they stand in one list.
const BATCHES_PAGE: usize = 100;
/// Payouts of a partner read at once, newest first, in search of its open ones.
const PAYOUTS_PAGE: usize = 50;
/// Partners named whose money in transit no open payout explains.
const MAX_UNEXPLAINED: usize = 100;

/// A payout beside its transfers.
#[derive(Clone, Debug)]
pub struct Row {
    /// The payout.
    pub payout: Payout,
    /// What stands in its batch's file; `None` when it is in none.
    pub in_file: Option<Money>,
    /// What its transfers moved, and what that differs by.
    pub compared: Compared,
}

/// A page of the payouts of a program's batches that were made in a period, by batch and payout, each beside
/// its transfers as they stand now; and the position to go on from.
///
/// # Errors
/// `ProgramNotFound`, `NoPlace`; the table's.
pub async fn payouts_of(
    app: &App,
    id: ProgramId,
    period: Period,
    from: Option<&str>,
    limit: usize,
) -> Result<(Vec<Row>, Option<String>), ReportError> {
    program(app, id).await?;
    // The batch that the page before was in, and the payout it ended with.
    let mut resumed = match from {
        None => None,
        Some(from) => {
            let (batch, payout) = from
                .split_once('|')
                .filter(|(batch, _)| !batch.is_empty())
                .ok_or(ReportError::NoPlace)?;
            Some((batch.to_owned(), payout.to_owned()))
        }
    };
    let mut position = match &resumed {
        None => stamp(period.start()),
        // That batch is the first of the range again.
        Some((batch, _)) => batch.clone(),
    };
    let mut rows = Vec::new();
    loop {
        let end = stamp(period.end());
        let (batches, more) =
            store::batches_between(&app.main, &position, &end, BATCHES_PAGE).await?;
        for (at, batch) in &batches {
            position = format!("{at}\0");
            if batch.program != id {
                continue;
            }
            let mut after = resumed
                .take()
                .filter(|(resumed, _)| resumed == at)
                .map(|(_, payout)| payout);
            loop {
                let wanted = limit - rows.len();
                let (found, next) = lines(app, batch.id, after, wanted).await?;
                rows.extend(found);
                let last = rows.last().map(|row: &Row| row.payout.id.to_string());
                match (next, last) {
                    (next, Some(last)) if rows.len() >= limit => {
                        let payout = next.unwrap_or(last);
                        return Ok((rows, Some(format!("{at}|{payout}"))));
                    }
                    (Some(next), _) => after = Some(next),
                    (None, _) => break,
                }
            }
        }
        if !more {
            return Ok((rows, None));
        }
    }
}

async fn lines(
    app: &App,
    batch: BatchId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Row>, Option<String>), ReportError> {
    let (lines, next) = store::lines(&app.main, batch, after, limit).await?;
    let ids: Vec<_> = lines.iter().map(|line| line.payout).collect();
    let found = store::find_payouts(&app.main, &ids).await?;
    let mut rows = Vec::with_capacity(lines.len());
    for line in lines {
        // Line and payout were written together, so each line has its payout.
        let Some(payout) = found.iter().find(|payout| payout.id == line.payout) else {
            continue;
        };
        let in_file = match line.stage {
            LineStage::Frozen(instruction) => Some(instruction.amount),
            LineStage::Planned | LineStage::Withdrawn => None,
        };
        let transfers = payouts::transfers_of(app, payout).await?;
        let compared = compare(payout, in_file, moved(payout, &transfers)?)?;
        rows.push(Row {
            payout: payout.clone(),
            in_file,
            compared,
        });
    }
    Ok((rows, next))
}

/// What a payout's transfers moved.
fn moved(payout: &Payout, transfers: &[Transfer]) -> Result<Movements, MoneyError> {
    let zero = Money::zero(payout.amount.currency());
    transfers
        .iter()
        .try_fold(Movements::none(zero), |sum, transfer| sum.plus(transfer))
}

/// A partner whose money in transit stands in no open payout.
#[derive(Clone, Debug)]
pub struct Unexplained {
    /// Who.
    pub partner: PartnerId,
    /// What its account has in transit.
    pub in_transit: Money,
    /// What its open payouts hold.
    pub open: Money,
}

/// The money in transit of a program's partners, and the open payouts that hold it.
#[derive(Clone, Debug)]
pub struct InTransit {
    /// What the accounts have.
    pub ledger: Money,
    /// What open payouts hold.
    pub open: Money,
    /// Where these differ, at most [`MAX_UNEXPLAINED`]. A payout that moves while this is read may be among them.
    pub unexplained: Vec<Unexplained>,
}

/// Explains a program's money in transit as it stands now by the payouts that are being reserved or reserved.
///
/// # Errors
/// `ProgramNotFound`; the table's.
pub async fn in_transit(app: &App, id: ProgramId) -> Result<InTransit, ReportError> {
    let program = program(app, id).await?;
    let zero = Money::zero(program.currency);
    let mut sum = InTransit {
        ledger: zero,
        open: zero,
        unexplained: Vec::new(),
    };
    let mut after = String::new();
    loop {
        let (holders, end, more) = holders(app, id, program.currency, &after).await?;
        for holder in holders {
            let in_transit = Money::new(holder.account.balance.in_transit, program.currency);
            if in_transit.is_zero() {
                continue;
            }
            let partner = holder.account.id.partner;
            let open = open(app, id, partner, in_transit).await?;
            sum.ledger = sum.ledger.plus(in_transit)?;
            sum.open = sum.open.plus(open)?;
            if open != in_transit && sum.unexplained.len() < MAX_UNEXPLAINED {
                sum.unexplained.push(Unexplained {
                    partner,
                    in_transit,
                    open,
                });
            }
        }
        if !more {
            return Ok(sum);
        }
        after = end;
    }
}

/// What a partner's open payouts hold. The search goes from the newest back and ends once they explain what is
/// in transit.
async fn open(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
    in_transit: Money,
) -> Result<Money, ReportError> {
    let mut sum = Money::zero(in_transit.currency());
    let mut below = None;
    loop {
        let (found, next) = store::payouts_of(&app.main, partner, below, PAYOUTS_PAGE).await?;
        for payout in found {
            let is_open = matches!(payout.state, PayoutState::Planned | PayoutState::Reserved);
            if payout.program == program && is_open {
                sum = sum.plus(payout.amount)?;
            }
        }
        match next {
            Some(next) if sum != in_transit => below = Some(next),
            _ => return Ok(sum),
        }
    }
}
