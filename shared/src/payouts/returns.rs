//! What banks report of a batch: which payouts came back, and bringing them back.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::error::PayoutError;
use super::files::returns::{Named, Reported, ReturnFormat};
use super::model::{
    self, Batch, BatchLine, BatchState, Comeback, Import, LineStage, Payer, PayoutState, Verdict,
};
use super::{CHUNK_TRIES, PLAN_SECONDS, batch, come_back, files, opened_payer, settled, store};
use crate::edge::{App, Change, Write};
use crate::ids::{BatchId, ImportId, OperatorId, PayoutId};
use crate::partners::model::BankRoute;
use crate::table::{Op, TransactError};

/// Characters of the reason that is kept with each payout of a message that was rejected whole: with two
/// thousand of them the import stays far below the 400 KB of an item.
const MAX_MESSAGE_REASON: usize = 60;

/// What a row of a return file came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Where it stands in the file, from 1.
    pub position: usize,
    /// Its payout, where it names one that there is.
    pub payout: Option<PayoutId>,
    /// What it comes to.
    pub verdict: Verdict,
    /// Why the payment came back, or why the row comes to nothing.
    pub reason: String,
}

/// A return file and what each of its rows comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returns {
    /// The file: derived from the batch and its bytes, so that the same file again is the same.
    pub id: ImportId,
    /// Its rows, in their order.
    pub rows: Vec<Judged>,
}

/// Takes a bank's return file for a submitted batch. What came back is written down in one item; its payouts
/// are returned one by one in `payout-run`. The same file again, or another one about the same payouts, moves
/// nothing a second time.
///
/// # Errors
/// `BatchNotFound`, `NotSubmitted`, `ReturnFile`; the keyring's and the table's.
pub async fn take_returns(
    app: &App,
    by: OperatorId,
    id: BatchId,
    format: ReturnFormat,
    text: &str,
) -> Result<Change<Returns, PayoutError>, PayoutError> {
    let batch = batch(app, id).await?;
    if batch.state != BatchState::Submitted {
        return Err(PayoutError::NotSubmitted);
    }
    let import = ImportId::derived(&[&id.to_string(), text]);
    let reported = files::returns::read(format, text)?;
    let lines = store::all_lines(&app.main, id).await?;
    let book = Book::of(app, &batch, &lines)?;
    let named: Vec<(Reported, Vec<PayoutId>)> = reported
        .into_iter()
        .map(|row| {
            let payouts = book.named(&row.named);
            (row, payouts)
        })
        .collect();
    let mut ids: Vec<PayoutId> = named.iter().flat_map(|(_, ids)| ids.clone()).collect();
    ids.sort();
    ids.dedup();
    let mut states = settled(app, &ids).await?;
    let (mut rows, mut comebacks) = (Vec::new(), Vec::new());
    let mut messages = HashSet::new();
    for (row, payouts) in named {
        // A report may state a message's rejection for its group and for its payments: it is one.
        if let Named::Message(id) = &row.named
            && !messages.insert(id.clone())
        {
            continue;
        }
        let reason: String = match &row.named {
            // It stands with each of up to two thousand payouts in one item.
            Named::Message(_) => row.reason.chars().take(MAX_MESSAGE_REASON).collect(),
            _ => row.reason.clone(),
        };
        for (payout, verdict) in book.judge(&row.named, &payouts, &states) {
            if let (Verdict::Returned, Some(payout)) = (verdict, payout) {
                // Of two rows about one payout the first returns it.
                states.insert(payout, PayoutState::Returned);
                comebacks.push(Comeback {
                    payout,
                    reason: reason.clone(),
                    evidence: format!("return file {import}, row {}", row.position),
                });
            }
            rows.push(Judged {
                position: row.position,
                payout,
                verdict,
                reason: match &row.named {
                    Named::Unreadable(why) | Named::Nothing(why) => why.clone(),
                    Named::Foreign(text) | Named::Message(text) if payout.is_none() => text.clone(),
                    _ => reason.clone(),
                },
            });
        }
    }
    // The same file may be on its way already.
    let is_known = store::find_import(&app.main, import).await?.is_some();
    let mut writes = Vec::new();
    if !comebacks.is_empty() && !is_known {
        let put = store::put_import(&Import {
            id: import,
            batch: id,
            comebacks,
            done: 0,
            by,
            at: app.now(),
        })?;
        writes.push(Write::new(put, |_| PayoutError::Raced));
    }
    Ok(Change {
        value: Returns { id: import, rows },
        writes,
    })
}

/// What stands in a batch's file, and how its bank names it.
struct Book<'a> {
    batch: &'a Batch,
    /// Its payouts, in their order in the file.
    paid: Vec<PayoutId>,
    /// Which of them stand in which part.
    parts: Vec<std::ops::Range<usize>>,
    /// ACH entries by what a return repeats of them.
    entries: HashMap<(String, String), PayoutId>,
}

impl<'a> Book<'a> {
    fn of(app: &App, batch: &'a Batch, lines: &[BatchLine]) -> Result<Self, PayoutError> {
        let paid: Vec<PayoutId> = lines
            .iter()
            .filter(|line| matches!(line.stage, LineStage::Frozen(_)))
            .map(|line| line.payout)
            .collect();
        let payer = opened_payer(app, batch, batch.payer.as_deref())?;
        let mut entries = HashMap::new();
        if let Some(Payer {
            route: BankRoute::Us { routing_number, .. },
            ..
        }) = payer
        {
            for (position, payout) in paid.iter().enumerate() {
                entries.insert(files::trace(&routing_number, position, *payout), *payout);
            }
        }
        Ok(Self {
            batch,
            parts: model::parts(batch.rail, &model::amounts(lines)),
            paid,
            entries,
        })
    }

    /// The payouts that a row names, whether they are of this batch or not.
    fn named(&self, named: &Named) -> Vec<PayoutId> {
        match named {
            Named::Payout(payout) => vec![*payout],
            Named::Entry {
                trace,
                identification,
            } => self
                .entries
                .get(&(trace.clone(), identification.clone()))
                .copied()
                .into_iter()
                .collect(),
            Named::Message(id) => self
                .parts
                .iter()
                .zip(1..)
                .filter(|(_, number)| files::message_id(self.batch.id, *number) == *id)
                .flat_map(|(part, _)| self.paid[part.clone()].to_vec())
                .collect(),
            Named::Foreign(_) | Named::Nothing(_) | Named::Unreadable(_) => Vec::new(),
        }
    }

    /// What a row comes to, once for each payout that it names.
    fn judge(
        &self,
        named: &Named,
        payouts: &[PayoutId],
        states: &HashMap<PayoutId, PayoutState>,
    ) -> Vec<(Option<PayoutId>, Verdict)> {
        match named {
            Named::Nothing(_) => return vec![(None, Verdict::Ignored)],
            Named::Unreadable(_) => return vec![(None, Verdict::Unreadable)],
            Named::Foreign(_) => return vec![(None, Verdict::Unknown)],
            // Their numbers are the batch's own: whatever it does not know is another's.
            Named::Entry { .. } | Named::Message(_) if payouts.is_empty() => {
                return vec![(None, Verdict::NotInThisBatch)];
            }
            Named::Payout(_) | Named::Entry { .. } | Named::Message(_) => {}
        }
        let verdict = |payout: &PayoutId| match states.get(payout) {
            None => (None, Verdict::Unknown),
            Some(_) if !self.paid.contains(payout) => (Some(*payout), Verdict::NotInThisBatch),
            Some(PayoutState::Returned) => (Some(*payout), Verdict::Already),
            Some(_) => (Some(*payout), Verdict::Returned),
        };
        payouts.iter().map(verdict).collect()
    }
}

/// Returns the payouts of an imported return file that are left to return, as many as a run has time for.
///
/// # Errors
/// The table's; safe to repeat.
pub async fn bring_back(app: &App, id: ImportId) -> Result<(), PayoutError> {
    let Some(import) = store::find_import(&app.main, id).await? else {
        return Ok(());
    };
    let until = Instant::now() + Duration::from_secs(PLAN_SECONDS);
    let mut done = import.done;
    for comeback in &import.comebacks[done.min(import.comebacks.len())..] {
        if Instant::now() >= until {
            break;
        }
        bring_one_back(app, comeback).await?;
        done += 1;
    }
    if done == import.done {
        return Ok(());
    }
    // Refused: another run has come as far. What is left starts the next by this very change.
    let _ = app.main.update(store::imported(&import, done)).await?;
    Ok(())
}

async fn bring_one_back(app: &App, comeback: &Comeback) -> Result<(), PayoutError> {
    for _ in 0..CHUNK_TRIES {
        let Comeback {
            payout,
            reason,
            evidence,
        } = comeback.clone();
        let change = come_back(app, payout, reason, evidence).await?;
        if change.writes.is_empty() {
            return Ok(());
        }
        let ops: Vec<Op> = change.writes.into_iter().map(|write| write.op).collect();
        match app.main.transact(&ops).await {
            Ok(()) => return Ok(()),
            Err(TransactError::Table(error)) => return Err(error.into()),
            // It was settled or returned at the same moment.
            Err(TransactError::Refused(_)) => {}
        }
    }
    Err(PayoutError::Raced)
}
