//! Payouts: from payable lines to a payment file, and what becomes of each payment.
//!
//! A batch is one put; planning, reserving and giving back follow in `payout-run`, which is told of a
//! batch or a payout as often as anyone likes and does what is left to do.

pub mod error;
pub mod files;
pub mod model;
mod returns;
mod schedules;
pub mod store;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use error::PayoutError;
use files::{Part, Payment};
use model::{
    Approval, Batch, BatchLine, BatchState, CalledOff, FundingAccount, FundingRoute, Instruction,
    LeftOut, LineId, LineStage, Omission, Payee, Payer, Payout, PayoutState, Rail, Resolved,
    Returned, Stage, Step, Tally, Total, Walk, decide,
};
pub use returns::{Judged, Returns, bring_back, take_returns};
pub use schedules::{ScheduleDetails, Setter, currency_of, make_due, schedule, set_schedule};
use store::Line;

use crate::clock::Timestamp;
use crate::edge::{App, Change, Write};
use crate::ids::{BatchId, OperatorId, PartnerId, PayoutId, ProgramId, TransferId, hex};
use crate::ledger;
use crate::ledger::model::{AccountId, Bucket, Transfer, TransferKind};
use crate::ledger::store::{DUE_SHARDS, post};
use crate::money::{Currency, Money};
use crate::partners;
use crate::partners::error::PartnerError;
use crate::partners::model::{Account, PayInstruction};
use crate::programs;
use crate::table::{self, Op, TransactError};

/// Partners decided on in one step of planning: a step is seconds, far inside the function's minute.
const PLAN_PARTNERS: usize = 100;
/// How long a step may begin new work: what it has decided is written down well within that minute.
const PLAN_SECONDS: u64 = 20;
/// Partners decided on at once.
const PLAN_AT_ONCE: usize = 4;
/// Index entries read at once; their base items are a few batch reads.
const CANDIDATES_PAGE: usize = 300;
/// Lines of one reserving or reopening transaction, which leaves room for payout, account and transfer.
const CHUNK_LINES: usize = 40;
/// Chunks taken or given back in one run. The payout's own stream record starts the next.
const CHUNKS_PER_RUN: u32 = 50;
/// Tries of a chunk whose lines are being reversed at the same moment.
const CHUNK_TRIES: usize = 8;
/// Batches looked at for one that is still being planned.
const RECENT_BATCHES: usize = 20;

// ---- Funding accounts

/// What a funding account shall be.
#[derive(Clone, Debug)]
pub struct FundingDetails {
    /// Name.
    pub name: String,
    /// In which currency.
    pub currency: Currency,
    /// The account.
    pub route: FundingRoute,
    /// The way it pays; it reaches what the route and the currency allow.
    pub rail: Rail,
    /// What its bank's file says of it, where there is such a file.
    pub payer: Option<Payer>,
}

/// Makes a funding account, or changes it when it stands at `version`.
///
/// # Errors
/// `VersionMissing`, `VersionStale`; the keyring's and the table's.
pub async fn keep_funding(
    app: &App,
    id: String,
    details: FundingDetails,
    version: Option<u64>,
) -> Result<Change<FundingAccount, PayoutError>, PayoutError> {
    let FundingDetails {
        name,
        currency,
        route,
        rail,
        payer,
    } = details;
    let standing = store::find_funding(&app.main, &id).await?;
    let plain = match &payer {
        Some(payer) => store::write_payer(payer)?,
        None => store::write_route(&route)?,
    };
    let sealed = app
        .keyring
        .seal(&FundingAccount::place(&id), plain.as_bytes())?;
    let fresh = |version, created_at| FundingAccount {
        id: id.clone(),
        name,
        kind: route.kind(),
        rail,
        currency,
        holder: payer.map(|payer| payer.holder),
        masked: route.masked(),
        sealed,
        created_at,
        version,
    };
    let (account, write) = match (standing, version) {
        (None, None) => {
            let account = fresh(1, app.now());
            let put = store::put_funding(&account)?;
            (account, Write::new(put, |_| PayoutError::VersionMissing))
        }
        (Some(_), None) => return Err(PayoutError::VersionMissing),
        (Some(standing), Some(version)) if standing.version == version => {
            let account = fresh(version + 1, standing.created_at);
            let update = store::change_funding(&account)?;
            (account, Write::new(update, |_| PayoutError::VersionStale))
        }
        (_, Some(_)) => return Err(PayoutError::VersionStale),
    };
    Ok(Change {
        value: account,
        writes: vec![write],
    })
}

/// A funding account.
///
/// # Errors
/// `FundingNotFound`; the table's.
pub async fn funding(app: &App, id: &str) -> Result<FundingAccount, PayoutError> {
    store::find_funding(&app.main, id)
        .await?
        .ok_or_else(|| PayoutError::FundingNotFound(id.to_owned()))
}

/// A page of funding accounts by their ids, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn funding_accounts(
    app: &App,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<FundingAccount>, Option<String>), PayoutError> {
    Ok(store::funding_accounts(&app.main, after, limit).await?)
}

// ---- Batches

/// What a batch is asked to pay.
#[derive(Clone, Debug)]
pub struct BatchRequest {
    /// Whose partners.
    pub program: ProgramId,
    /// Must be the program's.
    pub currency: Currency,
    /// Lines payable until then.
    pub cutoff: Timestamp,
    /// Nobody is paid less.
    pub minimum: Option<Money>,
    /// From which account.
    pub funding_account: String,
}

/// A new batch. Everything else follows from its being there.
///
/// Of one program, cutoff and paying account there is one batch. Of one program only one is planned at a time: two would share out a partner's lines between
/// them, and both could stay below the minimum. That is a courtesy, not a lock: no line is ever in two
/// payouts whatever happens.
///
/// # Errors
/// `ProgramUnknown`, `NotProgramCurrency`, `CutoffAhead`, `FundingUnknown`, `NotFundingCurrency`,
/// `CurrencyUnsupported`, `AnotherPlanning`, `PeriodTaken`; the table's.
pub async fn ask(
    app: &App,
    by: OperatorId,
    request: BatchRequest,
) -> Result<Change<Batch, PayoutError>, PayoutError> {
    let BatchRequest {
        program,
        currency,
        cutoff,
        minimum,
        funding_account,
    } = request;
    let now = app.now();
    let paid_for = programs::program(app, program)
        .await?
        .ok_or(PayoutError::ProgramUnknown(program))?;
    if paid_for.currency != currency {
        return Err(PayoutError::NotProgramCurrency(paid_for.currency));
    }
    if cutoff > now {
        return Err(PayoutError::CutoffAhead(now));
    }
    let funding = paying(app, &funding_account, currency).await?;
    let schedule = store::find_schedule(&app.main, program).await?;
    let (usual, approval_above) = schedule.map_or((None, None), |schedule| {
        (schedule.minimum, schedule.approval_above)
    });
    nobody_plans(app, program).await?;
    let batch = new_batch(NewBatch {
        program,
        cutoff,
        minimum: minimum.or(usual).unwrap_or(Money::zero(currency)),
        approval_above,
        funding: &funding,
        by,
        now,
    });
    let id = batch.id;
    let put = Write::new(store::put_batch(&batch)?, move |_| {
        PayoutError::PeriodTaken(id)
    });
    Ok(Change {
        value: batch,
        writes: vec![put],
    })
}

/// An account that pays in a currency.
async fn paying(app: &App, id: &str, currency: Currency) -> Result<FundingAccount, PayoutError> {
    let funding = store::find_funding(&app.main, id)
        .await?
        .ok_or_else(|| PayoutError::FundingUnknown(id.to_owned()))?;
    if funding.currency != currency {
        return Err(PayoutError::NotFundingCurrency(funding.currency));
    }
    if !funding.rail.pays_in(currency) {
        return Err(PayoutError::CurrencyUnsupported(currency));
    }
    Ok(funding)
}

/// Goes on unless a batch of the program is being planned.
async fn nobody_plans(app: &App, program: ProgramId) -> Result<(), PayoutError> {
    let (recent, _) = store::batches(&app.main, None, RECENT_BATCHES).await?;
    let is_planning =
        |batch: &&Batch| batch.program == program && batch.state == BatchState::Planning;
    match recent.iter().find(is_planning) {
        Some(other) => Err(PayoutError::AnotherPlanning(other.id)),
        None => Ok(()),
    }
}

struct NewBatch<'a> {
    program: ProgramId,
    cutoff: Timestamp,
    minimum: Money,
    approval_above: Option<Money>,
    funding: &'a FundingAccount,
    by: OperatorId,
    now: Timestamp,
}

fn new_batch(new: NewBatch<'_>) -> Batch {
    let NewBatch {
        program,
        cutoff,
        minimum,
        approval_above,
        funding,
        by,
        now,
    } = new;
    Batch {
        id: Batch::id_of(program, cutoff, &funding.id),
        program,
        cutoff,
        minimum,
        funding_account: funding.id.clone(),
        rail: funding.rail,
        state: BatchState::Planning,
        walk: Walk::default(),
        created_by: by,
        created_at: now,
        submitted_at: None,
        frozen: None,
        digests: Vec::new(),
        payer: None,
        approval_above,
        approval: None,
        called_off: None,
    }
}

/// A batch.
///
/// # Errors
/// `BatchNotFound`; the table's.
pub async fn batch(app: &App, id: BatchId) -> Result<Batch, PayoutError> {
    store::find_batch(&app.main, id)
        .await?
        .ok_or(PayoutError::BatchNotFound(id))
}

/// A page of batches, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn batches(
    app: &App,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Batch>, Option<String>), PayoutError> {
    Ok(store::batches(&app.main, below, limit).await?)
}

/// Where a batch stands and what became of its payouts. Reads the batch's whole partition.
///
/// # Errors
/// The table's.
pub async fn progress(app: &App, batch: &Batch) -> Result<(Stage, Resolved), PayoutError> {
    let resolved = store::resolved(&app.main, batch).await?;
    Ok((batch.stage(resolved), resolved))
}

/// A payout as its batch shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownLine {
    /// The line.
    pub line: BatchLine,
    /// Where its payout stands.
    pub state: PayoutState,
    /// The payee's name as it was given and as the bank's file has it, where these differ.
    pub renamed: Option<(String, String)>,
}

/// A page of a batch's lines, each with the state of its payout, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn batch_lines(
    app: &App,
    batch: &Batch,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<ShownLine>, Option<String>), PayoutError> {
    let (lines, next) = store::lines(&app.main, batch.id, after, limit).await?;
    let ids: Vec<PayoutId> = lines.iter().map(|line| line.payout).collect();
    let states = settled(app, &ids).await?;
    let mut shown = Vec::with_capacity(lines.len());
    for line in lines {
        // Line and payout were written together, so each line has its payout.
        let Some(state) = states.get(&line.payout).copied() else {
            continue;
        };
        let renamed = renamed(app, batch.rail, batch.id, &line);
        shown.push(ShownLine {
            line,
            state,
            renamed,
        });
    }
    Ok((shown, next))
}

/// The payee's name as it was given and as the bank's file has it, where these differ.
fn renamed(app: &App, rail: Rail, batch: BatchId, line: &BatchLine) -> Option<(String, String)> {
    let LineStage::Frozen(instruction) = &line.stage else {
        return None;
    };
    let place = BatchLine::place(batch, line.payout);
    match payee_of(app, rail, &place, instruction) {
        Ok((_, renamed)) => renamed,
        // The line is shown all the same; the file is what fails.
        Err(error) => {
            tracing::error!(%error, payout = %line.payout, "a payee cannot be read");
            None
        }
    }
}

/// The payee's name in a payout as it was given and as the bank's file has it, where these differ.
///
/// # Errors
/// The table's.
pub async fn payee_names(
    app: &App,
    payout: &Payout,
) -> Result<Option<(String, String)>, PayoutError> {
    if payout.terms.rail == Rail::Paypal {
        return Ok(None);
    }
    let line = store::find_line(&app.main, payout.batch, payout.id).await?;
    Ok(line.and_then(|line| renamed(app, payout.terms.rail, payout.batch, &line)))
}

/// The account that a line's instruction pays into, as the batch's file writes it; and the payee's name as it
/// was given and as it stands there, where these differ.
fn payee_of(
    app: &App,
    rail: Rail,
    place: &str,
    instruction: &Instruction,
) -> Result<(Account, Option<(String, String)>), PayoutError> {
    let opened = app.keyring.open(place, &instruction.sealed)?;
    if rail == Rail::Paypal {
        let wallet = String::from_utf8(opened)
            .map_err(|_| table::Error::Malformed("a wallet that is no text".to_owned()))?;
        return Ok((Account::Paypal { wallet }, None));
    }
    let (account, given) = store::read_payee(&opened)?;
    let account = partners::read_account(account.as_bytes())?;
    let renamed = match (&account, given) {
        (Account::Bank(bank), Some(given)) => Some((given, bank.name.clone())),
        _ => None,
    };
    Ok((account, renamed))
}

/// A page of the partners that a batch leaves out, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn left_out(
    app: &App,
    id: BatchId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Omission>, Option<String>), PayoutError> {
    Ok(store::omissions(&app.main, id, after, limit).await?)
}

/// A second person's consent to a batch that pays more than the program pays without. A second time nothing
/// happens.
///
/// # Errors
/// `BatchNotFound`, `NotReady`, `MakerApproves`, `NoApprovalNeeded`, `FundingChanged`, `Raced`; the keyring's
/// and the table's.
pub async fn approve(
    app: &App,
    by: OperatorId,
    id: BatchId,
) -> Result<Change<(Batch, Stage), PayoutError>, PayoutError> {
    let batch = batch(app, id).await?;
    let (stage, _) = progress(app, &batch).await?;
    let step = batch.approve(by, stage).map_err(PayoutError::NoApproval)?;
    if step == Step::Already {
        return Ok(Change {
            value: (batch, stage),
            writes: Vec::new(),
        });
    }
    let approval = Approval { by, at: app.now() };
    // The account that pays is part of what is approved: changing it later changes this batch no more.
    let payer = payer(app, &batch).await?;
    let approve = store::approve(id, approval, payer.as_deref());
    let write = Write::new(approve, |_| PayoutError::Raced);
    let approved = Batch {
        approval: Some(approval),
        payer,
        ..batch
    };
    Ok(Change {
        value: (approved, Stage::Approved),
        writes: vec![write],
    })
}

/// Calls off a batch whose file was not downloaded. Its payouts are given back by `payout-run`, each with a
/// transfer of its own; until the last of them is, the batch is `cancelling`. A second time nothing happens.
///
/// # Errors
/// `BatchNotFound`, `Submitted`, `Raced`; the table's.
pub async fn call_off(
    app: &App,
    by: OperatorId,
    id: BatchId,
    reason: String,
) -> Result<Change<Batch, PayoutError>, PayoutError> {
    let batch = batch(app, id).await?;
    let step = batch.call_off().map_err(|_| PayoutError::Submitted)?;
    if step == Step::Already {
        return Ok(Change {
            value: batch,
            writes: Vec::new(),
        });
    }
    let called_off = CalledOff {
        by,
        at: app.now(),
        reason,
    };
    let write = Write::new(store::call_off(&batch, &called_off), |_| PayoutError::Raced);
    let batch = Batch {
        state: BatchState::Cancelling,
        called_off: Some(called_off),
        ..batch
    };
    Ok(Change {
        value: batch,
        writes: vec![write],
    })
}

/// A part of a payment file.
#[derive(Clone, Debug)]
pub struct File {
    /// In which format.
    pub rail: Rail,
    /// Which part, from 1.
    pub part: u64,
    /// Of how many.
    pub parts: u64,
    /// The bytes: the same for ever.
    pub bytes: Vec<u8>,
    /// Their SHA-256, in hexadecimal.
    pub digest: String,
}

/// A part of the batch's payment file. The first download freezes the batch as submitted; whatever is
/// downloaded later, and by whomever, is byte for byte the same.
///
/// # Errors
/// `BatchNotFound`, `NotReady`, `Empty`, `NotItsFormat`, `NoSuchPart`, `FundingChanged`, `FileDiffers`; the
/// keyring's and the table's.
pub async fn file(
    app: &App,
    id: BatchId,
    format: Option<Rail>,
    part: u64,
) -> Result<File, PayoutError> {
    let mut batch = batch(app, id).await?;
    if format.is_some_and(|format| format != batch.rail) {
        return Err(PayoutError::NotItsFormat(batch.rail));
    }
    if batch.state == BatchState::Planning {
        return Err(PayoutError::NotReady);
    }
    // Read once, for what is frozen as for the file: every payout of a planned batch has its line, and what
    // is paid by it changes no more.
    let lines = store::all_lines(&app.main, id).await?;
    let total = total(&batch, &lines)?;
    if let Some(at) = batch.submitted_at {
        return again(app, &batch, &lines, part, at);
    }
    if batch.approval.is_none() && batch.needs_approval(total.amount.minor()) {
        return Err(PayoutError::ApprovalMissing);
    }
    let now = app.now();
    let payer = payer(app, &batch).await?;
    let file = compose(app, &batch, &lines, part, now, payer.as_deref())?;
    let mut digests = Vec::new();
    for part in 1..=file.parts {
        digests.push(compose(app, &batch, &lines, part, now, payer.as_deref())?.digest);
    }
    // Nothing leaves before the batch is frozen.
    let freeze = store::freeze(&batch, total, &digests, payer.as_deref(), now);
    if app.main.update(freeze).await?.is_ok() {
        return Ok(file);
    }
    // A second download at the same moment froze it, or this one did and never heard: what stands is right.
    batch = self::batch(app, id).await?;
    match batch.submitted_at {
        Some(at) => again(app, &batch, &lines, part, at),
        None => Err(PayoutError::Raced),
    }
}

/// A part of a file that was downloaded before: the same bytes, or none.
fn again(
    app: &App,
    batch: &Batch,
    lines: &[BatchLine],
    part: u64,
    at: Timestamp,
) -> Result<File, PayoutError> {
    let file = compose(app, batch, lines, part, at, batch.payer.as_deref())?;
    let first = usize::try_from(part)
        .ok()
        .and_then(|part| batch.digests.get(part.checked_sub(1)?));
    match first {
        Some(first) if *first != file.digest => Err(PayoutError::FileDiffers(part)),
        _ => Ok(file),
    }
}

/// What a batch pays, once all of it is reserved.
fn total(batch: &Batch, lines: &[BatchLine]) -> Result<Total, PayoutError> {
    if let Some(total) = batch.frozen {
        return Ok(total);
    }
    let resolved = model::resolved(batch.rail, lines)?;
    match batch.stage(resolved) {
        Stage::Planning | Stage::Reserving => Err(PayoutError::NotReady),
        Stage::Empty => Err(PayoutError::Empty),
        Stage::Cancelling | Stage::Cancelled => Err(PayoutError::CalledOff),
        Stage::AwaitingApproval | Stage::Approved | Stage::Reserved | Stage::Submitted => {
            Ok(Total {
                payouts: resolved.reserved,
                amount: Money::new(resolved.reserved_minor, batch.minimum.currency()),
            })
        }
    }
}

/// The account that pays a batch, as its file states it, sealed for the batch: the one that was approved, or
/// that of now; none where the file does not.
async fn payer(app: &App, batch: &Batch) -> Result<Option<String>, PayoutError> {
    if batch.payer.is_some() {
        return Ok(batch.payer.clone());
    }
    if matches!(batch.rail, Rail::Paypal | Rail::Generic) {
        return Ok(None);
    }
    let funding = store::find_funding(&app.main, &batch.funding_account)
        .await?
        .filter(|funding| {
            funding.rail == batch.rail && funding.currency == batch.minimum.currency()
        })
        .ok_or(PayoutError::FundingChanged)?;
    let place = FundingAccount::place(&funding.id);
    let opened = app.keyring.open(&place, &funding.sealed)?;
    let payer = store::read_payer(&opened)?.ok_or(PayoutError::FundingChanged)?;
    let fitted = store::write_payer(&files::fitted_payer(batch.rail, &payer))?;
    let place = Batch::payer_place(batch.id);
    Ok(Some(app.keyring.seal(&place, fitted.as_bytes())?))
}

/// The account that pays a batch, opened.
fn opened_payer(
    app: &App,
    batch: &Batch,
    sealed: Option<&str>,
) -> Result<Option<Payer>, PayoutError> {
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let opened = app.keyring.open(&Batch::payer_place(batch.id), sealed)?;
    Ok(store::read_payer(&opened)?)
}

fn compose(
    app: &App,
    batch: &Batch,
    lines: &[BatchLine],
    part: u64,
    at: Timestamp,
    payer: Option<&str>,
) -> Result<File, PayoutError> {
    let frozen: Vec<(PayoutId, &Instruction)> = lines
        .iter()
        .filter_map(|line| match &line.stage {
            LineStage::Frozen(instruction) => Some((line.payout, instruction)),
            LineStage::Planned | LineStage::Withdrawn => None,
        })
        .collect();
    let parts = model::parts(batch.rail, &model::amounts(lines));
    let count = parts.len() as u64;
    let range = usize::try_from(part)
        .ok()
        .and_then(|part| parts.get(part.checked_sub(1)?))
        .ok_or(PayoutError::NoSuchPart(count))?;
    let payments = frozen[range.clone()]
        .iter()
        .map(|(payout, instruction)| {
            let place = BatchLine::place(batch.id, *payout);
            let (account, _) = payee_of(app, batch.rail, &place, instruction)?;
            Ok(Payment {
                payout: *payout,
                amount: instruction.amount,
                account,
                note: instruction.note.clone(),
            })
        })
        .collect::<Result<Vec<_>, PayoutError>>()?;
    let payer = opened_payer(app, batch, payer)?;
    let written = Part {
        batch: batch.id,
        number: part,
        before: range.start,
        at,
        payments: &payments,
    };
    let bytes = files::write(batch.rail, payer.as_ref(), &written)?;
    Ok(File {
        rail: batch.rail,
        part,
        parts: count,
        digest: hex(&Sha256::digest(&bytes)),
        bytes,
    })
}

// ---- Payouts

/// A payout.
///
/// # Errors
/// `PayoutNotFound`; the table's.
pub async fn payout(app: &App, id: PayoutId) -> Result<Payout, PayoutError> {
    store::find_payout(&app.main, id)
        .await?
        .ok_or(PayoutError::PayoutNotFound(id))
}

/// A page of a payout's lines in the order they were taken, from the chunk at `after` on, and the position
/// to go on from. A page holds whole chunks, so it may have a few lines more than asked for.
///
/// # Errors
/// The table's.
pub async fn payout_lines(
    app: &App,
    payout: &Payout,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<(LineId, i64)>, Option<String>), PayoutError> {
    let first = after.and_then(|after| after.parse().ok()).unwrap_or(0);
    let chunks = u32::try_from(limit.div_ceil(CHUNK_LINES)).unwrap_or(1);
    let end = payout.chunks.min(u32::saturating_add(first, chunks));
    let lines = store::taken(
        &app.main,
        (first..end).map(|number| reserve_id(payout.id, number)),
    )
    .await?;
    Ok((lines, (end < payout.chunks).then(|| end.to_string())))
}

/// A page of a partner's payouts, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn payouts_of(
    app: &App,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Payout>, Option<String>), PayoutError> {
    Ok(store::payouts_of(&app.main, partner, below, limit).await?)
}

/// The states of payouts, those that exist: a commission in transit is paid once its payout is settled.
///
/// # Errors
/// The table's.
pub async fn settled(
    app: &App,
    ids: &[PayoutId],
) -> Result<HashMap<PayoutId, PayoutState>, table::Error> {
    let payouts = store::find_payouts(&app.main, ids).await?;
    Ok(payouts
        .into_iter()
        .map(|payout| (payout.id, payout.state))
        .collect())
}

/// The transfer that reserved a chunk of a payout. It tells which lines the payout took.
fn reserve_id(payout: PayoutId, chunk: u32) -> TransferId {
    TransferId::derived(&[
        &payout.to_string(),
        TransferKind::Reserve.name(),
        &chunk.to_string(),
    ])
}

/// All transfers of a payout, in no order: their ids follow from its own.
///
/// # Errors
/// The table's.
pub async fn transfers_of(app: &App, payout: &Payout) -> Result<Vec<Transfer>, table::Error> {
    let whole = [TransferKind::Settle, TransferKind::Return].map(|kind| whole_id(payout.id, kind));
    let ids: Vec<TransferId> = (0..payout.chunks)
        .map(|chunk| reserve_id(payout.id, chunk))
        .chain(whole)
        .collect();
    ledger::store::find(&app.main, &ids).await
}

/// The transfer of that kind of a payout's whole amount.
fn whole_id(payout: PayoutId, kind: TransferKind) -> TransferId {
    TransferId::derived(&[&payout.to_string(), kind.name()])
}

/// The transfer of a payout's whole amount: each kind of them happens at most once.
fn whole(payout: &Payout, kind: TransferKind, legs: (Bucket, Bucket), at: Timestamp) -> Transfer {
    let source = payout.id.to_string();
    Transfer {
        id: whole_id(payout.id, kind),
        kind,
        account: account(payout),
        from: legs.0,
        to: legs.1,
        amount: payout.amount,
        at,
        source,
        lines: Vec::new(),
        reason: None,
    }
}

fn account(payout: &Payout) -> AccountId {
    AccountId {
        partner: payout.partner,
        program: payout.program,
        currency: payout.amount.currency(),
    }
}

/// What a refused step on a payout means: someone else made it, or its batch is not submitted.
fn writes(moved: Op, submitted: Op, posted: Vec<Op>) -> Vec<Write<PayoutError>> {
    let mut writes = vec![
        Write::new(moved, |_| PayoutError::Raced),
        Write::new(submitted, |_| PayoutError::NotSubmitted),
    ];
    writes.extend(
        posted
            .into_iter()
            .map(|op| Write::new(op, |_| PayoutError::Raced)),
    );
    writes
}

/// Records that a payment arrived: one transaction, however many lines it has. A second time moves
/// nothing and tells the same.
///
/// # Errors
/// `PayoutNotFound`, `WrongState`, `NotSubmitted`; the table's.
pub async fn settle(app: &App, id: PayoutId) -> Result<Change<Payout, PayoutError>, PayoutError> {
    let payout = payout(app, id).await?;
    let now = app.now();
    if payout.settle().map_err(PayoutError::WrongState)? == Step::Already {
        return Ok(Change {
            value: payout,
            writes: Vec::new(),
        });
    }
    let legs = (Bucket::InTransit, Bucket::Paid);
    let posted = post(&whole(&payout, TransferKind::Settle, legs, now))?;
    let writes = writes(
        store::settled(&payout, now),
        store::check_submitted(payout.batch),
        posted,
    );
    let settled = Payout {
        state: PayoutState::Settled,
        settled_at: Some(now),
        ..payout
    };
    Ok(Change {
        value: settled,
        writes,
    })
}

/// Records that a payment came back, before or after it was settled: its money is payable again at
/// once, its lines follow in `payout-run`. A second time moves nothing and tells the same.
///
/// # Errors
/// `PayoutNotFound`, `WrongState`, `NotSubmitted`; the table's.
pub async fn come_back(
    app: &App,
    id: PayoutId,
    reason: String,
    evidence: String,
) -> Result<Change<Payout, PayoutError>, PayoutError> {
    let payout = payout(app, id).await?;
    let now = app.now();
    if payout.come_back().map_err(PayoutError::WrongState)? == Step::Already {
        return Ok(Change {
            value: payout,
            writes: Vec::new(),
        });
    }
    let why = Returned {
        at: now,
        reason,
        evidence,
    };
    let from = if payout.state == PayoutState::Settled {
        Bucket::Paid
    } else {
        Bucket::InTransit
    };
    let legs = (from, Bucket::Payable);
    let mut posted = whole(&payout, TransferKind::Return, legs, now);
    posted.reason = Some(why.reason.clone());
    let writes = writes(
        store::returned(&payout, &why),
        store::check_submitted(payout.batch),
        post(&posted)?,
    );
    let returned = Payout {
        state: PayoutState::Returned,
        returned: Some(why),
        ..payout
    };
    Ok(Change {
        value: returned,
        writes,
    })
}

// ---- payout-run: planning

/// Does what is left to do for a batch: plans it, or gives back what was called off.
///
/// # Errors
/// The table's and the keyring's; safe to repeat.
pub async fn advance_batch(app: &App, id: BatchId) -> Result<(), PayoutError> {
    let Some(batch) = store::find_batch(&app.main, id).await? else {
        return Ok(());
    };
    match batch.state {
        BatchState::Planning => plan(app, batch).await,
        BatchState::Cancelling => give_back(app, batch).await,
        BatchState::Planned | BatchState::Submitted | BatchState::Cancelled => Ok(()),
    }
}

/// Does one step of a batch's planning: decides on up to [`PLAN_PARTNERS`] partners and writes down how far
/// it came, which starts the next step.
async fn plan(app: &App, batch: Batch) -> Result<(), PayoutError> {
    let mut next = batch.clone();
    next.walk.step += 1;
    let mut decided = 0;
    let until = Instant::now() + Duration::from_secs(PLAN_SECONDS);
    while decided < PLAN_PARTNERS && next.walk.shard < DUE_SHARDS && Instant::now() < until {
        let (tallies, is_last) = tallies(app, &next, PLAN_PARTNERS - decided, until).await?;
        decided += tallies.len();
        for group in tallies.chunks(PLAN_AT_ONCE) {
            try_join_all(
                group
                    .iter()
                    .map(|(partner, tally)| plan_partner(app, &batch, *partner, *tally)),
            )
            .await?;
        }
        if is_last {
            next.walk.shard += 1;
            next.walk.after = None;
        } else if let Some((partner, _)) = tallies.last() {
            next.walk.after = Some(store::behind(*partner));
        }
    }
    if next.walk.shard >= DUE_SHARDS {
        next.state = BatchState::Planned;
    }
    // Refused: another run has made this step.
    let _ = app.main.update(store::advance(&batch, &next)).await?;
    Ok(())
}

/// Gives back the payouts of a batch that was called off, as many as a step has time for. No line is added to
/// such a batch any more, so when all of them are given back, it is over.
async fn give_back(app: &App, batch: Batch) -> Result<(), PayoutError> {
    let until = Instant::now() + Duration::from_secs(PLAN_SECONDS);
    let lines = store::all_lines(&app.main, batch.id).await?;
    let standing: Vec<PayoutId> = lines
        .iter()
        .filter(|line| line.stage != LineStage::Withdrawn)
        .map(|line| line.payout)
        .collect();
    let mut is_done = true;
    for group in standing.chunks(PLAN_AT_ONCE) {
        if Instant::now() >= until {
            is_done = false;
            break;
        }
        try_join_all(group.iter().map(|payout| cancel(app, *payout))).await?;
    }
    // Refused: another run has made this step.
    let _ = app.main.update(store::given_back(&batch, is_done)).await?;
    Ok(())
}

/// Gives back one payout of a batch that was called off, wherever its reserving stands: what it has taken is
/// payable again at once, its lines follow.
async fn cancel(app: &App, id: PayoutId) -> Result<(), PayoutError> {
    for _ in 0..CHUNK_TRIES {
        let Some(payout) = store::find_payout(&app.main, id).await? else {
            return Ok(());
        };
        if !matches!(payout.state, PayoutState::Planned | PayoutState::Reserved) {
            return Ok(());
        }
        let mut ops = store::cancel(&payout);
        if payout.amount.minor() != 0 {
            let legs = (Bucket::InTransit, Bucket::Payable);
            ops.extend(post(&whole(
                &payout,
                TransferKind::Return,
                legs,
                app.now(),
            ))?);
        }
        // Another chunk may just have been taken: then it stands otherwise, and is read again.
        if let Attempt::Made = attempt(app, &payout, &ops).await? {
            return Ok(());
        }
    }
    Err(PayoutError::Raced)
}

/// The next partners of the shard that a batch is in, at most `limit`, with their open lines summed; and
/// whether these are the shard's last. After `until` it ends with the partners that are complete by then,
/// one at least.
async fn tallies(
    app: &App,
    batch: &Batch,
    limit: usize,
    until: Instant,
) -> Result<(Vec<(PartnerId, Tally)>, bool), PayoutError> {
    let mut after = batch.walk.after.clone();
    let mut found: Vec<(PartnerId, Tally)> = Vec::new();
    loop {
        let (candidates, more) = store::candidates(
            &app.main,
            batch.program,
            batch.walk.shard,
            after.as_deref(),
            batch.cutoff,
            CANDIDATES_PAGE,
        )
        .await?;
        // Candidates stand in order of their partner: when the next one's begin, the one before is complete.
        let mut is_full = false;
        for candidate in &candidates {
            let is_new = found
                .last()
                .is_none_or(|(partner, _)| *partner != candidate.partner);
            is_full = is_new && found.len() == limit;
            if is_full {
                break;
            }
            if is_new {
                found.push((candidate.partner, Tally::default()));
            }
        }
        let due: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.is_due)
            .cloned()
            .collect();
        for line in store::open_lines(&app.main, &due).await? {
            if let Some((_, tally)) = found
                .iter_mut()
                .rev()
                .find(|(partner, _)| *partner == line.partner())
            {
                *tally = tally.plus(line.minor)?;
            }
        }
        if is_full {
            return Ok((found, false));
        }
        if !more {
            return Ok((found, true));
        }
        if found.len() > 1 && Instant::now() >= until {
            found.pop();
            return Ok((found, false));
        }
        after = candidates
            .last()
            .map(|candidate| candidate.position.clone());
    }
}

/// Decides on one partner, once: a payout or an omission, never both and never twice.
async fn plan_partner(
    app: &App,
    batch: &Batch,
    partner: PartnerId,
    tally: Tally,
) -> Result<(), PayoutError> {
    if tally.lines == 0 || store::is_decided(&app.main, batch.id, partner).await? {
        return Ok(());
    }
    let terms = batch.terms();
    let (payee, _) = payee(app, partner, terms.rail).await?;
    // What has gone to the other partner stands against what was earned, in every batch from now on.
    if payee.merged && tally.minor == 0 {
        return Ok(());
    }
    let ops = match decide(tally.minor, payee, terms) {
        Ok(_) => store::put_planned(
            batch,
            &Payout {
                id: Payout::id_of(batch.id, partner),
                batch: batch.id,
                partner,
                program: batch.program,
                cutoff: batch.cutoff,
                terms,
                state: PayoutState::Planned,
                chunks: 0,
                reopened: 0,
                lines: 0,
                amount: Money::zero(terms.minimum.currency()),
                created_at: app.now(),
                settled_at: None,
                returned: None,
            },
        )?,
        Err(reason) => {
            let amount = Money::new(tally.minor, terms.minimum.currency());
            store::put_left_out(
                batch,
                &Omission {
                    partner,
                    reason,
                    amount,
                    payout: None,
                },
            )?
        }
    };
    match app.main.transact(&ops).await {
        // Refused: another run has decided, or has taken the batch further.
        Ok(()) | Err(TransactError::Refused(_)) => Ok(()),
        Err(TransactError::Table(error)) => Err(error.into()),
    }
}

/// What is known of a payee, and its account as the rail's file writes it with what there was before.
async fn payee(
    app: &App,
    partner: PartnerId,
    rail: Rail,
) -> Result<(Payee, Option<(Account, PayInstruction)>), PayoutError> {
    // A partner that cannot be read any more is not paid.
    let (suspended, merged) = match partners::partner(app, partner).await {
        Ok(found) => (
            found
                .as_ref()
                .is_none_or(|partner| !partner.status.is_paid()),
            found.is_some_and(|partner| partner.merged_into.is_some()),
        ),
        Err(error @ (table::Error::Busy(_) | table::Error::Failed(_))) => return Err(error.into()),
        Err(error) => {
            tracing::error!(%error, %partner, "a partner cannot be read; it is left out");
            (true, false)
        }
    };
    let (instruction, hold) = futures_util::future::join(
        partners::pay_instruction(app, partner),
        partners::payout_hold(app, partner),
    )
    .await;
    let instruction = match instruction {
        Ok(instruction) => instruction,
        Err(PartnerError::Table(error @ (table::Error::Busy(_) | table::Error::Failed(_)))) => {
            return Err(error.into());
        }
        // One method that cannot be opened must not keep everybody else from being paid.
        Err(error) => {
            tracing::error!(%error, %partner, "a payout method cannot be read; its partner is left out");
            None
        }
    };
    let on_hold = match hold {
        Ok(hold) => hold.is_some(),
        Err(error @ (table::Error::Busy(_) | table::Error::Failed(_))) => return Err(error.into()),
        Err(error) => {
            tracing::error!(%error, %partner, "a payout hold cannot be read; its partner is left out");
            true
        }
    };
    let fitted = instruction.map(|given| (files::fitted(rail, &given.account), given));
    let method = fitted
        .as_ref()
        .map(|(fitted, _)| fitted.as_ref().map(|_| ()).map_err(|reason| *reason));
    let payee = Payee {
        suspended,
        merged,
        on_hold,
        method,
    };
    let instruction = fitted.and_then(|(fitted, given)| Some((fitted.ok()?, given)));
    Ok((payee, instruction))
}

// ---- payout-run: reserving and giving back

/// Does what is left to do for a payout: takes its lines, or gives them back.
///
/// # Errors
/// The table's and the keyring's; safe to repeat.
pub async fn advance(app: &App, id: PayoutId) -> Result<(), PayoutError> {
    let Some(payout) = store::find_payout(&app.main, id).await? else {
        return Ok(());
    };
    match payout.state {
        PayoutState::Planned => reserve(app, payout).await,
        state if state.gives_back() => reopen(app, payout).await,
        _ => Ok(()),
    }
}

/// What became of a step that may meet other runs and reversals.
enum Attempt {
    /// Made.
    Made,
    /// Another run has made it: that one goes on.
    Moved,
    /// A line changed; read again and repeat.
    Stale,
}

/// Commits one step of a payout, and finds out why when it is refused.
async fn attempt(app: &App, payout: &Payout, ops: &[Op]) -> Result<Attempt, PayoutError> {
    match app.main.transact(ops).await {
        Ok(()) => Ok(Attempt::Made),
        Err(TransactError::Table(error)) => Err(error.into()),
        Err(TransactError::Refused(_)) => {
            let stands = store::find_payout(&app.main, payout.id).await?;
            Ok(if stands.as_ref() == Some(payout) {
                Attempt::Stale
            } else {
                Attempt::Moved
            })
        }
    }
}

/// Takes the payout's lines, chunk by chunk. When none is left to take, what was taken is reserved or,
/// if reversals have left too little of it, given back.
async fn reserve(app: &App, mut payout: Payout) -> Result<(), PayoutError> {
    let mut after: Option<String> = None;
    let mut tries = 0;
    // Chunks before the walk that is under way began.
    let mut walked = payout.chunks;
    let until = payout.chunks + CHUNKS_PER_RUN;
    while payout.chunks < until {
        let (candidates, more) =
            store::candidates_of(&app.main, &payout, after.as_deref(), CHUNK_LINES).await?;
        let lines = store::open_lines(&app.main, &candidates).await?;
        if !lines.is_empty() {
            let (ops, grown) = chunk(app, &payout, &lines)?;
            match attempt(app, &payout, &ops).await? {
                Attempt::Made => payout = grown,
                Attempt::Moved => return Ok(()),
                Attempt::Stale if tries < CHUNK_TRIES => {
                    tries += 1;
                    continue;
                }
                Attempt::Stale => return Err(PayoutError::Raced),
            }
        }
        tries = 0;
        if more {
            after = candidates
                .last()
                .map(|candidate| candidate.position.clone());
        } else if payout.chunks == walked {
            return finish(app, payout).await;
        } else {
            // What was taken may have been reversed meanwhile, and then stands behind the walk as a line of
            // its own: only a walk that finds nothing to take is the last.
            (walked, after) = (payout.chunks, None);
        }
    }
    Ok(())
}

/// One chunk of a payout: its lines are taken, the money is in transit and the payout knows of both.
fn chunk(app: &App, payout: &Payout, lines: &[Line]) -> Result<(Vec<Op>, Payout), PayoutError> {
    let tally = lines
        .iter()
        .try_fold(Tally::default(), |tally, line| tally.plus(line.minor))?;
    let currency = payout.amount.currency();
    let grown = Payout {
        chunks: payout.chunks + 1,
        lines: payout.lines + tally.lines,
        amount: payout.amount.plus(Money::new(tally.minor, currency))?,
        ..payout.clone()
    };
    let posted = Transfer {
        id: reserve_id(payout.id, payout.chunks),
        kind: TransferKind::Reserve,
        account: account(payout),
        from: Bucket::Payable,
        to: Bucket::InTransit,
        amount: Money::new(tally.minor, currency),
        at: app.now(),
        source: payout.id.to_string(),
        lines: lines
            .iter()
            .map(|line| (line.id.to_string(), line.minor))
            .collect(),
        reason: None,
    };
    let mut ops = vec![store::grow(payout, &grown)];
    ops.extend(post(&posted)?);
    ops.extend(lines.iter().map(|line| line.take(payout.id)));
    Ok((ops, grown))
}

/// Decides once more, on what was really taken, and freezes the instruction or gives the lines back.
async fn finish(app: &App, payout: Payout) -> Result<(), PayoutError> {
    let rail = payout.terms.rail;
    let (payee, instruction) = payee(app, payout.partner, rail).await?;
    let minor = payout.amount.minor();
    let ops = match (decide(minor, payee, payout.terms), instruction) {
        (Ok(amount), Some((account, given))) => {
            let program = programs::program(app, payout.program)
                .await?
                .ok_or(PayoutError::ProgramUnknown(payout.program))?;
            let place = BatchLine::place(payout.batch, payout.id);
            let note = model::note(&program.name, payout.cutoff);
            let instruction = Instruction {
                amount,
                masked: given.masked,
                sealed: app
                    .keyring
                    .seal(&place, sealable(&account, &given.account)?.as_bytes())?,
                note: files::fitted_note(rail, &note),
            };
            store::reserve(&payout, &instruction)
        }
        (decision, _) => {
            let reason = decision.err().unwrap_or(LeftOut::PayoutMethodDiffers);
            let omission = Omission {
                partner: payout.partner,
                reason,
                amount: payout.amount,
                payout: Some(payout.id),
            };
            let mut ops = store::withdraw(&payout, &omission)?;
            if minor != 0 {
                let legs = (Bucket::InTransit, Bucket::Payable);
                ops.extend(post(&whole(
                    &payout,
                    TransferKind::Return,
                    legs,
                    app.now(),
                ))?);
            }
            ops
        }
    };
    match attempt(app, &payout, &ops).await? {
        Attempt::Made | Attempt::Moved => Ok(()),
        Attempt::Stale => Err(PayoutError::Raced),
    }
}

/// A payee as it is sealed into its line: what [`payee_of`] reads.
fn sealable(account: &Account, given: &Account) -> Result<String, PayoutError> {
    Ok(match (account, given) {
        (Account::Paypal { wallet }, _) => wallet.clone(),
        (Account::Bank(bank), Account::Bank(given)) if bank.name != given.name => {
            store::write_payee(partners::write_account(account)?, Some(given.name.clone()))?
        }
        (Account::Bank(_), _) => store::write_payee(partners::write_account(account)?, None)?,
    })
}

/// Opens the lines of a payout that came back, chunk by chunk. The money is payable again already.
async fn reopen(app: &App, mut payout: Payout) -> Result<(), PayoutError> {
    let until = payout.chunks.min(payout.reopened + CHUNKS_PER_RUN);
    let mut tries = 0;
    while payout.reopened < until {
        let chunk = store::taken(&app.main, [reserve_id(payout.id, payout.reopened)]).await?;
        let lines = store::find_lines(&app.main, &chunk).await?;
        let mut ops = vec![store::reopened(&payout)];
        ops.extend(
            lines
                .iter()
                .filter(|line| line.is_taken_by(payout.id))
                .map(|line| line.reopen(payout.id)),
        );
        match attempt(app, &payout, &ops).await? {
            Attempt::Made => {
                payout.reopened += 1;
                tries = 0;
            }
            Attempt::Moved => return Ok(()),
            Attempt::Stale if tries < CHUNK_TRIES => tries += 1,
            Attempt::Stale => return Err(PayoutError::Raced),
        }
    }
    Ok(())
}
