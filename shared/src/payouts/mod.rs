//! Payouts: from payable lines to a payment file, and what becomes of each payment.
//!
//! A batch is one put; planning, reserving and giving back follow in `payout-run`, which is told of a
//! batch or a payout as often as anyone likes and does what is left to do.

pub mod error;
pub mod model;
pub mod store;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use error::PayoutError;
use model::{
    Batch, BatchLine, BatchState, FundingAccount, FundingRoute, Instruction, LeftOut, LineId,
    LineStage, Method, Omission, Payee, Payout, PayoutState, Resolved, Returned, Row, Stage, Step,
    Tally, Total, Walk, decide,
};
use store::Line;

use crate::clock::Timestamp;
use crate::edge::{App, Change, Write};
use crate::ids::{BatchId, OperatorId, PartnerId, PayoutId, ProgramId, TransferId};
use crate::ledger::model::{AccountId, Bucket, Transfer, TransferKind};
use crate::ledger::store::{DUE_SHARDS, post};
use crate::money::{Currency, Money};
use crate::partners;
use crate::partners::error::PartnerError;
use crate::partners::model::{Account, BankRoute, MethodKind, PartnerStatus, PayInstruction};
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
    } = details;
    let standing = store::find_funding(&app.main, &id).await?;
    let sealed = app
        .keyring
        .seal(&FundingAccount::place(&id), plain(&route).as_bytes())?;
    let fresh = |version, created_at| FundingAccount {
        id: id.clone(),
        name,
        kind: route.kind(),
        currency,
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

/// The account as it is sealed.
fn plain(route: &FundingRoute) -> String {
    let account = match route {
        FundingRoute::Paypal { email } => serde_json::json!({ "email": email }),
        FundingRoute::Bank(BankRoute::Iban { iban, bic }) => {
            serde_json::json!({ "iban": iban, "bic": bic })
        }
        FundingRoute::Bank(BankRoute::Us {
            routing_number,
            account_number,
            account_type,
        }) => serde_json::json!({
            "routing_number": routing_number,
            "account_number": account_number,
            "account_type": account_type.name(),
        }),
    };
    account.to_string()
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
/// Of one program only one batch is planned at a time: two would share out a partner's lines between
/// them, and both could stay below the minimum. That is a courtesy, not a lock: no line is ever in two
/// payouts whatever happens.
///
/// # Errors
/// `ProgramUnknown`, `NotProgramCurrency`, `CutoffAhead`, `FundingUnknown`, `RailUnsupported`,
/// `NotFundingCurrency`, `CurrencyUnsupported`, `AnotherPlanning`; the table's.
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
    let funding = store::find_funding(&app.main, &funding_account)
        .await?
        .ok_or_else(|| PayoutError::FundingUnknown(funding_account.clone()))?;
    if funding.kind != MethodKind::Paypal {
        return Err(PayoutError::RailUnsupported);
    }
    if funding.currency != currency {
        return Err(PayoutError::NotFundingCurrency(funding.currency));
    }
    if !model::pays_in(funding.kind, currency) {
        return Err(PayoutError::CurrencyUnsupported(currency));
    }
    let (recent, _) = store::batches(&app.main, None, RECENT_BATCHES).await?;
    let is_planning =
        |batch: &&Batch| batch.program == program && batch.state == BatchState::Planning;
    if let Some(other) = recent.iter().find(is_planning) {
        return Err(PayoutError::AnotherPlanning(other.id));
    }
    let batch = Batch {
        id: app.fresh(),
        program,
        cutoff,
        minimum: minimum.unwrap_or(Money::zero(currency)),
        funding_account,
        kind: funding.kind,
        state: BatchState::Planning,
        walk: Walk::default(),
        created_by: by,
        created_at: now,
        submitted_at: None,
        frozen: None,
    };
    let put = Write::new(store::put_batch(&batch)?, |_| PayoutError::Raced);
    Ok(Change {
        value: batch,
        writes: vec![put],
    })
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
    let resolved = store::resolved(&app.main, batch.id).await?;
    Ok((batch.stage(resolved), resolved))
}

/// A page of a batch's lines, each with the state of its payout, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn batch_lines(
    app: &App,
    id: BatchId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<(BatchLine, PayoutState)>, Option<String>), PayoutError> {
    let (lines, next) = store::lines(&app.main, id, after, limit).await?;
    let ids: Vec<PayoutId> = lines.iter().map(|line| line.payout).collect();
    let states = settled(app, &ids).await?;
    let with_state = |line: BatchLine| {
        let state = states.get(&line.payout).copied()?;
        Some((line, state))
    };
    // Line and payout were written together, so each line has its payout.
    Ok((lines.into_iter().filter_map(with_state).collect(), next))
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

/// A part of a payment file.
#[derive(Clone, Debug)]
pub struct File {
    /// Which part, from 1.
    pub part: u64,
    /// Of how many.
    pub parts: u64,
    /// The bytes: the same for ever.
    pub bytes: Vec<u8>,
}

/// A part of the batch's PayPal file. The first download freezes the batch as submitted; whatever is
/// downloaded later, and by whomever, is byte for byte the same.
///
/// # Errors
/// `BatchNotFound`, `NotReady`, `Empty`, `NoSuchPart`; the keyring's and the table's.
pub async fn paypal_file(app: &App, id: BatchId, part: u64) -> Result<File, PayoutError> {
    let batch = batch(app, id).await?;
    if batch.state == BatchState::Planning {
        return Err(PayoutError::NotReady);
    }
    // Read once, for what is frozen as for the file: every payout of a planned batch has its line.
    let lines = store::all_lines(&app.main, id).await?;
    let total = match batch.frozen {
        Some(total) => total,
        None => {
            let resolved = model::resolved(&lines)?;
            match batch.stage(resolved) {
                Stage::Planning | Stage::Reserving => return Err(PayoutError::NotReady),
                Stage::Empty => return Err(PayoutError::Empty),
                Stage::Reserved | Stage::Submitted => Total {
                    payouts: resolved.reserved,
                    amount: Money::new(resolved.reserved_minor, batch.minimum.currency()),
                },
            }
        }
    };
    let parts = model::parts(total.payouts);
    if part == 0 || part > parts {
        return Err(PayoutError::NoSuchPart(parts));
    }
    let skip = usize::try_from(part - 1)
        .unwrap_or(usize::MAX)
        .saturating_mul(model::PAYPAL_ROWS);
    let frozen = lines.into_iter().filter_map(|line| match line.stage {
        LineStage::Frozen(instruction) => Some((line.payout, instruction)),
        LineStage::Planned | LineStage::Withdrawn => None,
    });
    let rows = frozen
        .skip(skip)
        .take(model::PAYPAL_ROWS)
        .map(|(payout, instruction)| row(app, id, payout, instruction))
        .collect::<Result<Vec<Row>, PayoutError>>()?;
    let bytes = model::paypal_csv(&rows)?;
    // Nothing leaves before the batch is frozen; a second download at the same moment finds it frozen.
    if batch.state != BatchState::Submitted
        && app
            .main
            .update(store::freeze(id, total, app.now()))
            .await?
            .is_err()
        && self::batch(app, id).await?.state != BatchState::Submitted
    {
        return Err(PayoutError::Raced);
    }
    Ok(File { part, parts, bytes })
}

fn row(
    app: &App,
    batch: BatchId,
    payout: PayoutId,
    instruction: Instruction,
) -> Result<Row, PayoutError> {
    let Instruction {
        amount,
        masked: _,
        sealed,
        note,
    } = instruction;
    let wallet = app
        .keyring
        .open(&BatchLine::place(batch, payout), &sealed)?;
    let wallet = String::from_utf8(wallet)
        .map_err(|_| table::Error::Malformed("a wallet that is no text".to_owned()))?;
    Ok(Row {
        wallet,
        amount,
        payout,
        note,
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

/// The transfer of a payout's whole amount: each kind of them happens at most once.
fn whole(payout: &Payout, kind: TransferKind, legs: (Bucket, Bucket), at: Timestamp) -> Transfer {
    let source = payout.id.to_string();
    Transfer {
        id: TransferId::derived(&[&source, kind.name()]),
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

/// Does one step of a batch's planning, if it is being planned: decides on up to [`PLAN_PARTNERS`]
/// partners and writes down how far it came, which starts the next step.
///
/// # Errors
/// The table's and the keyring's; safe to repeat.
pub async fn plan(app: &App, id: BatchId) -> Result<(), PayoutError> {
    let Some(batch) = store::find_batch(&app.main, id).await? else {
        return Ok(());
    };
    if batch.state != BatchState::Planning {
        return Ok(());
    }
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
    let (payee, _) = payee(app, partner).await?;
    let terms = batch.terms();
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

async fn payee(
    app: &App,
    partner: PartnerId,
) -> Result<(Payee, Option<PayInstruction>), PayoutError> {
    // A partner that cannot be read any more is not paid.
    let suspended = match partners::partner(app, partner).await {
        Ok(found) => found.is_none_or(|partner| partner.status == PartnerStatus::Suspended),
        Err(error @ (table::Error::Busy(_) | table::Error::Failed(_))) => return Err(error.into()),
        Err(error) => {
            tracing::error!(%error, %partner, "a partner cannot be read; it is left out");
            true
        }
    };
    let instruction = match partners::pay_instruction(app, partner).await {
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
    let method = instruction.as_ref().map(|instruction| Method {
        kind: instruction.account.kind(),
        fit_for_file: match &instruction.account {
            Account::Paypal { wallet } => model::is_fit_wallet(wallet),
            Account::Bank(_) => true,
        },
    });
    Ok((Payee { suspended, method }, instruction))
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
    let (payee, instruction) = payee(app, payout.partner).await?;
    let minor = payout.amount.minor();
    let ops = match (decide(minor, payee, payout.terms), instruction) {
        (
            Ok(amount),
            Some(PayInstruction {
                account: Account::Paypal { wallet },
                masked,
                currency: _,
            }),
        ) => {
            let program = programs::program(app, payout.program)
                .await?
                .ok_or(PayoutError::ProgramUnknown(payout.program))?;
            let place = BatchLine::place(payout.batch, payout.id);
            let instruction = Instruction {
                amount,
                masked,
                sealed: app.keyring.seal(&place, wallet.as_bytes())?,
                note: model::note(&program.name, payout.cutoff),
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
