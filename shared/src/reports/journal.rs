//! The general-ledger journal of a program's month, and what is recorded of it when the month is closed.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::error::ReportError;
use super::model::{Asked, Closing, JOURNAL_HEADER, Leg, Period, Place, Stage, Tally, close, legs};
use super::paper::{PaperError, cell, csv};
use super::store;
use super::walk::Walk;
use crate::clock::Timestamp;
use crate::edge::{App, Change, Write};
use crate::ids::{OperatorId, ProgramId, hex};
use crate::ledger;
use crate::ledger::model::Transfer;
use crate::partners::holders;
use crate::programs;
use crate::programs::model::Program;

/// Bytes of a page of a journal: with its line ends and quotes escaped it stays below what a function may
/// answer (6 MB).
const PAGE_BYTES: usize = 3_000_000;
/// How long a page may read on: API Gateway waits half a minute for an answer.
const PAGE_SECONDS: u64 = 12;
/// How long one run may begin new work on the closing of periods: clockwork has a minute, most of it for others.
const CLOSE_SECONDS: u64 = 10;
/// Periods looked at by one run.
const CLOSE_AT_ONCE: usize = 20;
/// Accounts closed at once.
const LOCKS_AT_ONCE: usize = 16;

/// Whether a closed period's journal is what was recorded of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Byte for byte.
    Matches,
    /// It is not.
    Differs,
    /// The last page will tell.
    Continues,
}

impl Check {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Matches => "matches",
            Self::Differs => "differs",
            Self::Continues => "continues",
        }
    }
}

/// A page of a journal.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its bytes. All pages one after the other are the journal, whose header stands in the first.
    pub bytes: Vec<u8>,
    /// Where the next one begins.
    pub next: Option<String>,
    /// The closing of its period, if there is one.
    pub closing: Option<Closing>,
    /// Whether it is what was recorded, for a period that is closed.
    pub check: Option<Check>,
}

/// The program, as it stands or stood half a minute ago.
pub(super) async fn program(
    app: &App,
    id: ProgramId,
) -> Result<std::sync::Arc<Program>, ReportError> {
    programs::program(app, id)
        .await?
        .ok_or(ReportError::ProgramNotFound(id))
}

fn header() -> Result<Vec<u8>, PaperError> {
    Ok(csv([JOURNAL_HEADER.map(str::to_owned)])?)
}

/// Both lines of a transfer.
fn lines(transfer: &Transfer) -> Result<Vec<u8>, ReportError> {
    let side = |amount: crate::money::Money, is_own: bool| {
        if is_own {
            amount.to_string()
        } else {
            String::new()
        }
    };
    let row = |(number, leg): (usize, Leg)| {
        let Leg {
            account,
            debit,
            credit,
        } = leg;
        [
            transfer.at.to_string(),
            transfer.id.to_string(),
            transfer.kind.name().to_owned(),
            account.to_owned(),
            transfer.account.partner.to_string(),
            side(debit, number == 0),
            side(credit, number == 1),
            transfer.amount.currency().code().to_owned(),
            cell(&transfer.source),
            cell(transfer.reason.as_deref().unwrap_or_default()),
        ]
    };
    let rows = legs(transfer)?.into_iter().enumerate().map(row);
    Ok(csv(rows).map_err(PaperError::from)?)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

/// A hash that is taken up again where it was left.
fn resumed(state: &str) -> Option<Sha256> {
    let bytes = unhex(state)?;
    Sha256::deserialize(bytes.as_slice().try_into().ok()?).ok()
}

fn paused(hash: &Sha256) -> String {
    hex(&hash.serialize())
}

/// A page of a program's journal of a period, from `from` on, which is what [`Page::next`] said. Of a closed
/// period the last page tells whether the whole is what was recorded.
///
/// # Errors
/// `ProgramNotFound`; `NoPlace`; `Behind` when transfers keep being posted; the table's.
pub async fn page(
    app: &App,
    id: ProgramId,
    period: Period,
    from: Option<&str>,
) -> Result<Page, ReportError> {
    let program = program(app, id).await?;
    let closing = store::find(&app.main, id, period).await?;
    let (place, mut hash, mut bytes) = match from {
        None => (Place::default(), Sha256::new(), header()?),
        Some(from) => {
            let (state, place) = from.split_once(' ').ok_or(ReportError::NoPlace)?;
            let place = place.parse().map_err(|_| ReportError::NoPlace)?;
            let hash = resumed(state).ok_or(ReportError::NoPlace)?;
            (place, hash, Vec::new())
        }
    };
    let until = Instant::now() + Duration::from_secs(PAGE_SECONDS);
    let mut walk = Walk::at(app, id, program.currency, period.month(), place);
    let mut is_last = false;
    while bytes.len() < PAGE_BYTES && Instant::now() < until {
        match walk.next().await? {
            Some(transfer) => bytes.extend(lines(&transfer)?),
            None => {
                is_last = true;
                break;
            }
        }
    }
    hash.update(&bytes);
    let next = (!is_last).then(|| format!("{} {}", paused(&hash), walk.place()));
    let check = match &closing {
        Some(closing) if closing.stage == Stage::Closed => Some(match is_last {
            false => Check::Continues,
            true if hex(&hash.finalize()) == closing.hash => Check::Matches,
            true => {
                tracing::error!(program = %id, %period, "a closed period's journal is not what was recorded");
                Check::Differs
            }
        }),
        _ => None,
    };
    Ok(Page {
        bytes,
        next,
        closing,
        check,
    })
}

/// A page of a program's periods that are closed or being closed, newest first, and the position to go on from.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn periods(
    app: &App,
    id: ProgramId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Closing>, Option<String>), ReportError> {
    program(app, id).await?;
    Ok(store::periods(&app.main, id, below, limit).await?)
}

/// The closing of a period. It begins with one put; clockwork does the rest: it closes the program's accounts,
/// each of which then refuses what is posted into the period, and records what its journal holds.
///
/// Transfers are posted at the present, so what could still be posted into a period that is over are those of
/// functions that read the clock before its end. None runs for as long as is waited here; and what is late
/// nevertheless meets a closed account. An account that is opened only after the closing has nothing but that
/// wait.
///
/// # Errors
/// `ProgramNotFound`, `BeforeProgram`, `NotOver`, `EarlierOpen`, `Raced`; the table's.
pub async fn close_period(
    app: &App,
    by: OperatorId,
    id: ProgramId,
    period: Period,
) -> Result<Change<Closing, ReportError>, ReportError> {
    let program = program(app, id).await?;
    let (latest, _) = store::periods(&app.main, id, None, 1).await?;
    let latest = latest.first().map(|latest| (latest.period, latest.stage));
    let now = app.now();
    if close(period, Period::of(program.created_at), latest, now)? == Asked::Already {
        let standing = store::find(&app.main, id, period).await?;
        return Ok(Change {
            // Periods are closed without gaps, so one before the latest is there.
            value: standing.ok_or(ReportError::Raced)?,
            writes: Vec::new(),
        });
    }
    let closing = Closing {
        program: id,
        period,
        stage: Stage::Locking,
        place: Place::default(),
        tally: Tally::zero(program.currency),
        hash: paused(&Sha256::new()),
        step: 0,
        asked_by: by,
        asked_at: now,
        closed_at: None,
    };
    let put = Write::new(store::put(&closing)?, |_| ReportError::Raced);
    Ok(Change {
        value: closing,
        writes: vec![put],
    })
}

// ---- clockwork: closing

/// Goes on with the closing of periods, and tells how many were closed for good. What a run does not reach,
/// the next one does.
///
/// # Errors
/// What the first that failed met; safe to repeat.
pub async fn close_due(app: &App, now: Timestamp) -> Result<usize, ReportError> {
    let until = Instant::now() + Duration::from_secs(CLOSE_SECONDS);
    let mut closed = 0;
    let mut failed = None;
    for closing in store::due(&app.main, CLOSE_AT_ONCE).await? {
        if Instant::now() >= until {
            break;
        }
        match go_on(app, closing, now, until).await {
            Ok(Stage::Closed) => closed += 1,
            Ok(Stage::Locking | Stage::Counting) => {}
            Err(error) => {
                tracing::error!(%error, "a period is not closed");
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(closed), Err)
}

/// Takes a closing as far as time allows and writes down where it stands.
async fn go_on(
    app: &App,
    closing: Closing,
    now: Timestamp,
    until: Instant,
) -> Result<Stage, ReportError> {
    let mut next = Closing {
        step: closing.step + 1,
        ..closing.clone()
    };
    if next.stage == Stage::Locking {
        lock(app, &mut next, until).await?;
    }
    if next.stage == Stage::Counting {
        count(app, &mut next, now, until).await?;
    }
    // Refused: another run has made this step.
    let _ = app.main.update(store::advance(&closing, &next)?).await?;
    Ok(next.stage)
}

/// Closes the program's accounts, those of a page of partners after the other.
async fn lock(app: &App, closing: &mut Closing, until: Instant) -> Result<(), ReportError> {
    let currency = closing.tally.change.currency;
    while Instant::now() < until {
        let after = &closing.place.after;
        let (holders, end, more) = holders(app, closing.program, currency, after).await?;
        let month = closing.period.month();
        let locks: Vec<_> = holders
            .into_iter()
            .map(|holder| ledger::store::close_account(holder.account.id, month))
            .map(|lock| app.main.update(lock))
            .collect();
        let mut locks = stream::iter(locks).buffer_unordered(LOCKS_AT_ONCE);
        while let Some(locked) = locks.next().await {
            // Refused: it is closed that far already.
            let _ = locked?;
        }
        closing.place.after = end;
        if !more {
            closing.stage = Stage::Counting;
            closing.place = Place::default();
            let mut hash = Sha256::new();
            hash.update(header()?);
            closing.hash = paused(&hash);
            return Ok(());
        }
    }
    Ok(())
}

/// Counts and hashes the journal.
async fn count(
    app: &App,
    closing: &mut Closing,
    now: Timestamp,
    until: Instant,
) -> Result<(), ReportError> {
    let currency = closing.tally.change.currency;
    let mut hash = resumed(&closing.hash).ok_or(ReportError::NoPlace)?;
    let month = closing.period.month();
    let mut walk = Walk::at(app, closing.program, currency, month, closing.place.clone());
    while Instant::now() < until {
        match walk.next().await? {
            Some(transfer) => {
                hash.update(lines(&transfer)?);
                closing.tally = closing.tally.plus(&transfer)?;
            }
            None => {
                closing.stage = Stage::Closed;
                closing.place = Place::default();
                closing.hash = hex(&hash.finalize());
                closing.closed_at = Some(now);
                return Ok(());
            }
        }
    }
    closing.place = walk.place();
    closing.hash = paused(&hash);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_taken_up_again_where_it_was_left() {
        let text = b"date,transfer\r\n".repeat(37);
        for cut in [0, 1, 63, 64, 65, 128, text.len()] {
            let mut first = Sha256::new();
            first.update(&text[..cut]);
            let mut second = resumed(&paused(&first)).unwrap();
            second.update(&text[cut..]);
            assert_eq!(second.finalize(), Sha256::digest(&text), "cut at {cut}");
        }
        for wrong in ["", "zz", "00", "ab€"] {
            assert!(resumed(wrong).is_none(), "{wrong}");
        }
    }
}
