//! Keys and items of funding accounts, batches and payouts, and what they change of the lines they pay.

use serde::{Deserialize, Serialize};

use super::model::{
    AchOrigin, Approval, Batch, BatchLine, BatchState, Cadence, CalledOff, Comeback,
    FundingAccount, FundingRoute, Import, Instruction, LeftOut, LineId, LineStage, Omission, Payer,
    Payout, PayoutState, RAILS, Rail, Regular, Resolved, Returned, Schedule, Terms, Total,
    WEEKDAYS, Walk,
};
use crate::clock::{Timestamp, stamp};
use crate::commissions::store::outcome_key;
use crate::ids::{BatchId, ImportId, OperatorId, PartnerId, PayoutId, ProgramId, TransferId};
use crate::ledger::store::{
    due_shard, payable_partition, payable_position, transfer, transfer_key,
};
use crate::money::{Currency, Money};
use crate::partners::model::{ACCOUNT_TYPES, BankRoute, METHOD_KINDS, MethodKind};
use crate::partners::store::AddressText;
use crate::table::{
    AttributeValue, Condition, Entry, Error, Index, Item, Key, Op, Put, Range, Table, Update,
    from_item, int, text,
};

/// The due partition of batches that are planned and payouts that are reserved or given back: the
/// reconciler queues again what stands there.
pub const WORK: &str = "WORK#payouts";
/// The due partition of payouts that are settled and have no invoice yet, each at the time of its next try.
pub const INVOICES: &str = "WORK#invoices";
/// Sorts after every id and every stamp.
const LAST: &str = "~";

fn funding_key(id: &str) -> Key {
    Key::new(format!("FUND#{id}"), "FUNDING")
}

fn batch_key(id: BatchId) -> Key {
    Key::new(format!("BATCH#{id}"), "BATCH")
}

fn payout_key(id: PayoutId) -> Key {
    Key::new(format!("PAYOUT#{id}"), "PAYOUT")
}

fn line_key(batch: BatchId, payout: PayoutId) -> Key {
    Key::new(format!("BATCH#{batch}"), format!("LINE#{payout}"))
}

fn omission_key(batch: BatchId, partner: PartnerId) -> Key {
    Key::new(format!("BATCH#{batch}"), format!("LEFT#{partner}"))
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn signed(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn malformed(what: &str) -> Error {
    Error::Malformed(what.to_owned())
}

fn currency(code: &str) -> Result<Currency, Error> {
    code.parse()
        .map_err(|_| malformed("a currency that is none"))
}

fn named<T: Copy>(choices: &[(&str, T)], name: &str) -> Result<T, Error> {
    choices
        .iter()
        .find(|(word, _)| *word == name)
        .map(|(_, value)| *value)
        .ok_or_else(|| malformed("a word that is not known"))
}

// ---- Funding accounts

#[derive(Serialize, Deserialize)]
struct FundingItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    id: String,
    name: String,
    kind: String,
    // Absent from accounts that were made before banks' files were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rail: Option<String>,
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    masked: String,
    sealed: String,
    created_at: Timestamp,
    version: u64,
}

fn funding(item: FundingItem) -> Result<FundingAccount, Error> {
    let FundingItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        name,
        kind,
        rail,
        currency: code,
        holder,
        masked,
        sealed,
        created_at,
        version,
    } = item;
    let kind = named(METHOD_KINDS, &kind)?;
    let rail = match (rail, kind) {
        (Some(rail), _) => named(RAILS, &rail)?,
        (None, MethodKind::Paypal) => Rail::Paypal,
        (None, MethodKind::Bank) => Rail::Generic,
    };
    Ok(FundingAccount {
        id,
        name,
        kind,
        rail,
        currency: currency(&code)?,
        holder,
        masked,
        sealed,
        created_at,
        version,
    })
}

fn funding_item(account: &FundingAccount) -> FundingItem {
    let FundingAccount {
        id,
        name,
        kind,
        rail,
        currency,
        holder,
        masked,
        sealed,
        created_at,
        version,
    } = account.clone();
    let Key { pk, sk } = funding_key(&id);
    FundingItem {
        pk,
        sk,
        list_pk: "FUNDING".to_owned(),
        list_sk: id.clone(),
        id,
        name,
        kind: kind.name().to_owned(),
        rail: Some(rail.name().to_owned()),
        currency: currency.code().to_owned(),
        holder,
        masked,
        sealed,
        created_at,
        version,
    }
}

/// The put of a new funding account.
///
/// # Errors
/// Never for a well-formed account.
pub fn put_funding(account: &FundingAccount) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&funding_item(account))?))
}

/// The change of a funding account that stands at the version before.
///
/// # Errors
/// Never for a well-formed account.
pub fn change_funding(account: &FundingAccount) -> Result<Op, Error> {
    let before = Condition::equals("version", number(account.version - 1));
    let update = Update::rewrite(&funding_item(account), &["holder"])?;
    Ok(Op::Update(update.only_if(before)))
}

/// A funding account.
///
/// # Errors
/// The table's.
pub async fn find_funding(table: &Table, id: &str) -> Result<Option<FundingAccount>, Error> {
    // Whatever else a path holds names none, and might not even fit a key.
    if !FundingAccount::is_slug(id) {
        return Ok(None);
    }
    table
        .get::<FundingItem>(&funding_key(id))
        .await?
        .map(funding)
        .transpose()
}

/// A page of funding accounts by their ids, after a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn funding_accounts(
    table: &Table,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<FundingAccount>, Option<String>), Error> {
    let range = Range::partition(Index::List, "FUNDING", limit);
    let range = match after {
        Some(after) => range.between(format!("{after}\0"), LAST),
        None => range,
    };
    let (entries, next) = page(table, &range).await?;
    Ok((read_all(table, &entries, funding).await?, next))
}

async fn page(table: &Table, range: &Range) -> Result<(Vec<Entry>, Option<String>), Error> {
    let (entries, more) = table.entries(range).await?;
    let next = entries
        .last()
        .filter(|_| more)
        .map(|entry| entry.sort.clone());
    Ok((entries, next))
}

async fn read_all<I: serde::de::DeserializeOwned, T>(
    table: &Table,
    entries: &[Entry],
    read: impl Fn(I) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    entries
        .iter()
        .filter_map(|entry| items.remove(&entry.key))
        .map(|item| read(from_item(item)?))
        .collect()
}

/// The text form of a paying account, to be sealed.
#[derive(Default, Serialize, Deserialize)]
struct FundingText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iban: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<AddressText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ach: Option<AchText>,
}

#[derive(Serialize, Deserialize)]
struct AchText {
    company_id: String,
    destination: String,
    bank_name: String,
    entry_description: String,
}

/// A paying account as text, to be sealed and never stored otherwise.
///
/// # Errors
/// Never for a well-formed account.
pub fn write_route(route: &FundingRoute) -> Result<String, Error> {
    sealable(match route.clone() {
        FundingRoute::Paypal { email } => FundingText {
            email: Some(email),
            ..FundingText::default()
        },
        FundingRoute::Bank(route) => route_text(route),
    })
}

/// The same with what its bank's file says of it.
///
/// # Errors
/// Never for a well-formed account.
pub fn write_payer(payer: &Payer) -> Result<String, Error> {
    let Payer {
        holder,
        address,
        route,
        ach,
    } = payer.clone();
    let ach = ach.map(
        |AchOrigin {
             company_id,
             destination,
             bank_name,
             entry_description,
         }| AchText {
            company_id,
            destination,
            bank_name,
            entry_description,
        },
    );
    sealable(FundingText {
        holder: Some(holder),
        address: address.map(AddressText::from),
        ach,
        ..route_text(route)
    })
}

fn sealable(text: FundingText) -> Result<String, Error> {
    serde_json::to_string(&text).map_err(|error| Error::Malformed(error.to_string()))
}

fn route_text(route: BankRoute) -> FundingText {
    match route {
        BankRoute::Iban { iban, bic } => FundingText {
            iban: Some(iban),
            bic: Some(bic),
            ..FundingText::default()
        },
        BankRoute::Us {
            routing_number,
            account_number,
            account_type,
        } => FundingText {
            routing_number: Some(routing_number),
            account_number: Some(account_number),
            account_type: Some(account_type.name().to_owned()),
            ..FundingText::default()
        },
    }
}

/// What a bank's file says of a paying account; `None` where nothing was said.
///
/// # Errors
/// `Malformed`, without a word of the text.
pub fn read_payer(text: &[u8]) -> Result<Option<Payer>, Error> {
    let FundingText {
        email: _,
        iban,
        bic,
        routing_number,
        account_number,
        account_type,
        holder,
        address,
        ach,
    } = serde_json::from_slice(text).map_err(|_| malformed("a sealed paying account"))?;
    let Some(holder) = holder else {
        return Ok(None);
    };
    let route = match (iban, bic, routing_number, account_number, account_type) {
        (Some(iban), Some(bic), None, None, None) => BankRoute::Iban { iban, bic },
        (None, None, Some(routing_number), Some(account_number), Some(account_type)) => {
            BankRoute::Us {
                routing_number,
                account_number,
                account_type: named(ACCOUNT_TYPES, &account_type)?,
            }
        }
        _ => return Err(malformed("a sealed paying account of no kind")),
    };
    let ach = ach.map(
        |AchText {
             company_id,
             destination,
             bank_name,
             entry_description,
         }| AchOrigin {
            company_id,
            destination,
            bank_name,
            entry_description,
        },
    );
    Ok(Some(Payer {
        holder,
        address: address.map(Into::into),
        route,
        ach,
    }))
}

/// The text form of a payee in a bank's file, to be sealed: its account as the file writes it, and its name
/// as it was given where the file writes another.
#[derive(Serialize, Deserialize)]
struct PayeeText {
    account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
}

/// A payee in a bank's file as text, to be sealed and never stored otherwise. `account` is the account's own
/// text.
///
/// # Errors
/// Never.
pub fn write_payee(account: String, given_name: Option<String>) -> Result<String, Error> {
    let text = PayeeText {
        account,
        given_name,
    };
    serde_json::to_string(&text).map_err(|error| Error::Malformed(error.to_string()))
}

/// What [`write_payee`] was given.
///
/// # Errors
/// `Malformed`, without a word of the text.
pub fn read_payee(text: &[u8]) -> Result<(String, Option<String>), Error> {
    let PayeeText {
        account,
        given_name,
    } = serde_json::from_slice(text).map_err(|_| malformed("a sealed payee"))?;
    Ok((account, given_name))
}

// ---- Batches

#[derive(Serialize, Deserialize)]
struct BatchItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: BatchId,
    program: ProgramId,
    currency: String,
    cutoff: Timestamp,
    minimum_minor: i64,
    funding_account: String,
    /// The rail; PayPal was one before there were others.
    #[serde(rename = "kind")]
    rail: String,
    state: String,
    shard: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    step: u64,
    created_by: OperatorId,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen_payouts: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    digests: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval_above_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approved_by: Option<OperatorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approved_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_by: Option<OperatorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<String>,
}

fn batch_work(batch: &Batch) -> String {
    format!("{}#{}", stamp(batch.created_at), batch.id)
}

/// The put of a new batch, due until it is planned.
///
/// # Errors
/// Never for a well-formed batch.
pub fn put_batch(batch: &Batch) -> Result<Op, Error> {
    let position = batch_work(batch);
    let Batch {
        id,
        program,
        cutoff,
        minimum,
        funding_account,
        rail,
        state,
        walk: Walk { shard, after, step },
        created_by,
        created_at,
        submitted_at,
        frozen,
        digests,
        payer,
        approval_above,
        approval,
        called_off,
    } = batch.clone();
    let Key { pk, sk } = batch_key(id);
    let (cancelled_by, cancelled_at, cancel_reason) = match called_off {
        Some(CalledOff { by, at, reason }) => (Some(by), Some(at), Some(reason)),
        None => (None, None, None),
    };
    Ok(Op::Put(Put::new(&BatchItem {
        pk,
        sk,
        list_pk: "BATCHES".to_owned(),
        list_sk: position.clone(),
        due_pk: Some(WORK.to_owned()),
        due_sk: Some(position),
        id,
        program,
        currency: minimum.currency().code().to_owned(),
        cutoff,
        minimum_minor: minimum.minor(),
        funding_account,
        rail: rail.name().to_owned(),
        state: state.name().to_owned(),
        shard,
        after,
        step,
        created_by,
        created_at,
        submitted_at,
        frozen_payouts: frozen.map(|total| total.payouts),
        frozen_minor: frozen.map(|total| total.amount.minor()),
        digests,
        payer,
        approval_above_minor: approval_above.map(Money::minor),
        approved_by: approval.map(|approval| approval.by),
        approved_at: approval.map(|approval| approval.at),
        cancelled_by,
        cancelled_at,
        cancel_reason,
    })?))
}

fn batch(item: BatchItem) -> Result<Batch, Error> {
    let BatchItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        program,
        currency: code,
        cutoff,
        minimum_minor,
        funding_account,
        rail,
        state,
        shard,
        after,
        step,
        created_by,
        created_at,
        submitted_at,
        frozen_payouts,
        frozen_minor,
        digests,
        payer,
        approval_above_minor,
        approved_by,
        approved_at,
        cancelled_by,
        cancelled_at,
        cancel_reason,
    } = item;
    let currency = currency(&code)?;
    Ok(Batch {
        id,
        program,
        cutoff,
        minimum: Money::new(minimum_minor, currency),
        funding_account,
        rail: named(RAILS, &rail)?,
        state: BatchState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or_else(|| malformed("a batch state that is none"))?,
        walk: Walk { shard, after, step },
        created_by,
        created_at,
        submitted_at,
        frozen: frozen_payouts
            .zip(frozen_minor)
            .map(|(payouts, minor)| Total {
                payouts,
                amount: Money::new(minor, currency),
            }),
        digests,
        payer,
        approval_above: approval_above_minor.map(|minor| Money::new(minor, currency)),
        approval: approved_by
            .zip(approved_at)
            .map(|(by, at)| Approval { by, at }),
        called_off: cancelled_by.zip(cancelled_at).map(|(by, at)| CalledOff {
            by,
            at,
            reason: cancel_reason.unwrap_or_default(),
        }),
    })
}

/// A batch.
///
/// # Errors
/// The table's.
pub async fn find_batch(table: &Table, id: BatchId) -> Result<Option<Batch>, Error> {
    table
        .get::<BatchItem>(&batch_key(id))
        .await?
        .map(batch)
        .transpose()
}

/// A page of batches, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn batches(
    table: &Table,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Batch>, Option<String>), Error> {
    let mut range = Range::partition(Index::List, "BATCHES", limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, next) = page(table, &range).await?;
    Ok((read_all(table, &entries, batch).await?, next))
}

/// Batches by their list positions, those from one on and below another, oldest first, each with its position;
/// and whether more follow.
///
/// # Errors
/// The table's.
pub async fn batches_between(
    table: &Table,
    from: &str,
    below: &str,
    limit: usize,
) -> Result<(Vec<(String, Batch)>, bool), Error> {
    // A position has its id behind the stamp, so the stamp itself sorts below all of its instant.
    let range = Range::partition(Index::List, "BATCHES", limit).between(from, below);
    let (entries, more) = table.entries(&range).await?;
    let found = read_all(table, &entries, batch).await?;
    let listed = |batch: &Batch| format!("{}#{}", stamp(batch.created_at), batch.id);
    let found = found.into_iter().map(|batch| (listed(&batch), batch));
    Ok((found.collect(), more))
}

/// The step of a batch's planning from `before` to `after`. Of two runs that did the same step, one is refused.
#[must_use]
pub fn advance(before: &Batch, after: &Batch) -> Update {
    let mut update = Update::at(batch_key(after.id))
        .set("shard", number(u64::from(after.walk.shard)))
        .set("step", number(after.walk.step));
    update = match &after.walk.after {
        Some(position) => update.set("after", text(position)),
        None => update.remove("after"),
    };
    if after.state == BatchState::Planned {
        update = update
            .set("state", text(after.state.name()))
            .remove("due_pk")
            .remove("due_sk");
    }
    update.only_if(in_step(before))
}

/// The freezing of a planned batch: its file is what it is from now on, with the sealed account that pays
/// where the file states it.
#[must_use]
pub fn freeze(
    batch: &Batch,
    total: Total,
    digests: &[String],
    payer: Option<&str>,
    now: Timestamp,
) -> Update {
    let mut update = Update::at(batch_key(batch.id))
        .set("state", text(BatchState::Submitted.name()))
        .set("submitted_at", text(now.to_string()))
        .set("format", text(batch.rail.name()))
        .set("frozen_payouts", number(total.payouts))
        .set("frozen_minor", signed(total.amount.minor()))
        .set(
            "digests",
            AttributeValue::L(digests.iter().map(text).collect()),
        );
    if let Some(payer) = payer {
        update = update.set("payer", text(payer));
    }
    let mut planned = Condition::equals("state", text(BatchState::Planned.name()));
    if batch.needs_approval(total.amount.minor()) {
        planned = planned.and_exists("approved_by");
    }
    update.only_if(planned)
}

/// A second person's consent to a batch that is not submitted, and to the account that pays it, sealed.
#[must_use]
pub fn approve(id: BatchId, approval: Approval, payer: Option<&str>) -> Op {
    let Approval { by, at } = approval;
    let planned = Condition::equals("state", text(BatchState::Planned.name()));
    let mut update = Update::at(batch_key(id))
        .set("approved_by", text(by.to_string()))
        .set("approved_at", text(at.to_string()));
    if let Some(payer) = payer {
        update = update.set("payer", text(payer));
    }
    Op::Update(update.only_if(planned.and_absent("approved_by")))
}

/// The batch is called off, unless it has moved on; due until all of it is given back.
#[must_use]
pub fn call_off(batch: &Batch, called_off: &CalledOff) -> Op {
    let CalledOff { by, at, reason } = called_off;
    Op::Update(
        Update::at(batch_key(batch.id))
            .set("state", text(BatchState::Cancelling.name()))
            .set("cancelled_by", text(by.to_string()))
            .set("cancelled_at", text(at.to_string()))
            .set("cancel_reason", text(reason))
            .set("due_pk", text(WORK))
            .set("due_sk", text(batch_work(batch)))
            .only_if(Condition::equals("state", text(batch.state.name()))),
    )
}

/// One more step of giving back a batch that was called off, which starts the next; or, when all is given
/// back, the end.
#[must_use]
pub fn given_back(batch: &Batch, is_done: bool) -> Update {
    let cancelling = Condition::equals("state", text(BatchState::Cancelling.name()))
        .and_equals("step", number(batch.walk.step));
    let mut update = Update::at(batch_key(batch.id)).set("step", number(batch.walk.step + 1));
    if is_done {
        update = update
            .set("state", text(BatchState::Cancelled.name()))
            .remove("due_pk")
            .remove("due_sk");
    }
    update.only_if(cancelling)
}

/// The demand that a batch is submitted.
#[must_use]
pub fn check_submitted(id: BatchId) -> Op {
    Op::Check(
        batch_key(id),
        Condition::equals("state", text(BatchState::Submitted.name())),
    )
}

// ---- Schedules

/// The due partition of schedules, by the beginning of the day on which their next batch is made.
const SCHEDULES: &str = "WORK#schedules";

fn schedule_key(program: ProgramId) -> Key {
    Key::new(format!("SCHED#{program}"), "SCHEDULE")
}

#[derive(Serialize, Deserialize)]
struct ScheduleItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    program: ProgramId,
    currency: String,
    cadence: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weekday: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<i8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cutoff_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    funding_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval_above_minor: Option<i64>,
    set_by: OperatorId,
    updated_at: Timestamp,
    version: u64,
}

/// What a change of a schedule may clear.
const SCHEDULE_CLEARABLE: [&str; 10] = [
    "due_pk",
    "due_sk",
    "weekday",
    "day",
    "time_zone",
    "cutoff_days",
    "funding_account",
    "next_at",
    "minimum_minor",
    "approval_above_minor",
];

fn schedule_work(program: ProgramId, next_at: Timestamp) -> String {
    format!("{}#{program}", stamp(next_at))
}

fn schedule_item(schedule: &Schedule, currency: Currency) -> ScheduleItem {
    let Schedule {
        program,
        cadence,
        regular,
        minimum,
        approval_above,
        set_by,
        updated_at,
        version,
    } = schedule.clone();
    let Key { pk, sk } = schedule_key(program);
    let weekday = match cadence {
        Cadence::Weekly(weekday) => WEEKDAYS
            .iter()
            .find(|(_, known)| *known == weekday)
            .map(|(name, _)| (*name).to_owned()),
        Cadence::Manual | Cadence::Monthly(_) => None,
    };
    let day = match cadence {
        Cadence::Monthly(day) => Some(day),
        Cadence::Manual | Cadence::Weekly(_) => None,
    };
    let (time_zone, cutoff_days, funding_account, next_at) = match regular {
        Some(Regular {
            time_zone,
            cutoff_days,
            funding_account,
            next_at,
        }) => (
            Some(time_zone),
            Some(cutoff_days),
            Some(funding_account),
            Some(next_at),
        ),
        None => (None, None, None, None),
    };
    ScheduleItem {
        pk,
        sk,
        due_pk: next_at.map(|_| SCHEDULES.to_owned()),
        due_sk: next_at.map(|at| schedule_work(program, at)),
        program,
        currency: currency.code().to_owned(),
        cadence: cadence.name().to_owned(),
        weekday,
        day,
        time_zone,
        cutoff_days,
        funding_account,
        next_at,
        minimum_minor: minimum.map(Money::minor),
        approval_above_minor: approval_above.map(Money::minor),
        set_by,
        updated_at,
        version,
    }
}

fn schedule(item: ScheduleItem) -> Result<Schedule, Error> {
    let ScheduleItem {
        pk: _,
        sk: _,
        due_pk: _,
        due_sk: _,
        program,
        currency: code,
        cadence,
        weekday,
        day,
        time_zone,
        cutoff_days,
        funding_account,
        next_at,
        minimum_minor,
        approval_above_minor,
        set_by,
        updated_at,
        version,
    } = item;
    let currency = currency(&code)?;
    let cadence = match (cadence.as_str(), weekday, day) {
        ("manual", ..) => Cadence::Manual,
        ("weekly", Some(weekday), _) => Cadence::Weekly(named(WEEKDAYS, &weekday)?),
        ("monthly", _, Some(day)) => Cadence::Monthly(day),
        _ => return Err(malformed("a schedule of no kind")),
    };
    let regular = match (time_zone, cutoff_days, funding_account, next_at) {
        (Some(time_zone), Some(cutoff_days), Some(funding_account), Some(next_at)) => {
            Some(Regular {
                time_zone,
                cutoff_days,
                funding_account,
                next_at,
            })
        }
        _ => None,
    };
    Ok(Schedule {
        program,
        cadence,
        regular,
        minimum: minimum_minor.map(|minor| Money::new(minor, currency)),
        approval_above: approval_above_minor.map(|minor| Money::new(minor, currency)),
        set_by,
        updated_at,
        version,
    })
}

/// The put of a program's first schedule, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed schedule.
pub fn save_schedule(saved: &Schedule, currency: Currency) -> Result<Op, Error> {
    let item = schedule_item(saved, currency);
    if saved.version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let before = Condition::equals("version", number(saved.version - 1));
    let change = Update::rewrite(&item, &SCHEDULE_CLEARABLE)?;
    Ok(Op::Update(change.only_if(before)))
}

/// A program's schedule.
///
/// # Errors
/// The table's.
pub async fn find_schedule(table: &Table, program: ProgramId) -> Result<Option<Schedule>, Error> {
    table
        .get::<ScheduleItem>(&schedule_key(program))
        .await?
        .map(schedule)
        .transpose()
}

/// Programs whose schedules are due, those that are due longest first, at most `limit`.
///
/// # Errors
/// The table's.
pub async fn due_schedules(
    table: &Table,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<ProgramId>, Error> {
    // `$` is the character after `#`: what is due at this very instant is included.
    let range =
        Range::partition(Index::Due, SCHEDULES, limit).between("0", format!("{}$", stamp(now)));
    let (entries, _) = table.entries(&range).await?;
    Ok(entries
        .iter()
        .filter_map(|entry| entry.key.pk.strip_prefix("SCHED#")?.parse().ok())
        .collect())
}

/// The schedule has made its batch of that day; the next is due then. Of two runs one is refused.
#[must_use]
pub fn made(schedule: &Schedule, due_at: Timestamp, next_at: Timestamp) -> Update {
    Update::at(schedule_key(schedule.program))
        .set("next_at", text(next_at.to_string()))
        .set("due_sk", text(schedule_work(schedule.program, next_at)))
        .only_if(
            Condition::equals("version", number(schedule.version))
                .and_equals("next_at", text(due_at.to_string())),
        )
}

// ---- Imported return files

fn import_key(id: ImportId) -> Key {
    Key::new(format!("RETURNS#{id}"), "RETURNS")
}

#[derive(Serialize, Deserialize)]
struct ImportItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: ImportId,
    batch: BatchId,
    comebacks: Vec<ComebackItem>,
    done: usize,
    by: OperatorId,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct ComebackItem {
    payout: PayoutId,
    reason: String,
    evidence: String,
}

/// The put of an imported return file, due until all of its payouts are returned.
///
/// # Errors
/// Never for a well-formed import.
pub fn put_import(import: &Import) -> Result<Op, Error> {
    let Import {
        id,
        batch,
        comebacks,
        done,
        by,
        at,
    } = import.clone();
    let Key { pk, sk } = import_key(id);
    let comebacks = comebacks.into_iter().map(
        |Comeback {
             payout,
             reason,
             evidence,
         }| ComebackItem {
            payout,
            reason,
            evidence,
        },
    );
    Ok(Op::Put(Put::new(&ImportItem {
        pk,
        sk,
        due_pk: Some(WORK.to_owned()),
        due_sk: Some(format!("{}#{id}", stamp(at))),
        id,
        batch,
        comebacks: comebacks.collect(),
        done,
        by,
        at,
    })?))
}

/// An imported return file.
///
/// # Errors
/// The table's.
pub async fn find_import(table: &Table, id: ImportId) -> Result<Option<Import>, Error> {
    let import = |item: ImportItem| {
        let ImportItem {
            pk: _,
            sk: _,
            due_pk: _,
            due_sk: _,
            id,
            batch,
            comebacks,
            done,
            by,
            at,
        } = item;
        let comebacks = comebacks.into_iter().map(
            |ComebackItem {
                 payout,
                 reason,
                 evidence,
             }| Comeback {
                payout,
                reason,
                evidence,
            },
        );
        Import {
            id,
            batch,
            comebacks: comebacks.collect(),
            done,
            by,
            at,
        }
    };
    Ok(table.get::<ImportItem>(&import_key(id)).await?.map(import))
}

/// That many of an import's payouts are returned; it is no longer due when all are.
#[must_use]
pub fn imported(import: &Import, done: usize) -> Update {
    let mut update = Update::at(import_key(import.id))
        .set("done", number(done as u64))
        .only_if(Condition::equals("done", number(import.done as u64)));
    if done >= import.comebacks.len() {
        update = update.remove("due_pk").remove("due_sk");
    }
    update
}

// ---- Lines and omissions of a batch

#[derive(Serialize, Deserialize)]
struct BatchLineItem {
    pk: String,
    sk: String,
    payout: PayoutId,
    partner: PartnerId,
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    masked: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// That a batch still is in the step of its planning that decides: a run that was overtaken decides nothing.
fn still_planning(batch: &Batch) -> Op {
    Op::Check(batch_key(batch.id), in_step(batch))
}

fn in_step(batch: &Batch) -> Condition {
    Condition::equals("state", text(BatchState::Planning.name()))
        .and_equals("step", number(batch.walk.step))
}

/// The puts of a new payout and of its line in the batch, unless the partner is left out or the batch has
/// moved on.
///
/// # Errors
/// Never for a well-formed payout.
pub fn put_planned(batch: &Batch, payout: &Payout) -> Result<Vec<Op>, Error> {
    let Key { pk, sk } = line_key(payout.batch, payout.id);
    let line = BatchLineItem {
        pk,
        sk,
        payout: payout.id,
        partner: payout.partner,
        stage: "planned".to_owned(),
        currency: None,
        amount_minor: None,
        masked: None,
        sealed: None,
        note: None,
    };
    Ok(vec![
        put_payout(payout)?,
        Op::Put(Put::new(&line)?),
        Op::Check(
            omission_key(payout.batch, payout.partner),
            Condition::default().and_absent("pk"),
        ),
        still_planning(batch),
    ])
}

fn line_update(payout: &Payout, stage: &str) -> Update {
    Update::at(line_key(payout.batch, payout.id))
        .set("stage", text(stage))
        .only_if(Condition::equals("stage", text("planned")))
}

/// The end of reserving: the payout is reserved, and what is paid is frozen in its batch.
#[must_use]
pub fn reserve(payout: &Payout, instruction: &Instruction) -> Vec<Op> {
    let Instruction {
        amount,
        masked,
        sealed,
        note,
    } = instruction;
    let line = line_update(payout, "frozen")
        .set("currency", text(amount.currency().code()))
        .set("amount_minor", signed(amount.minor()))
        .set("masked", text(masked))
        .set("sealed", text(sealed))
        .set("note", text(note));
    let payout = Update::at(payout_key(payout.id))
        .set("state", text(PayoutState::Reserved.name()))
        .remove("due_pk")
        .remove("due_sk")
        .only_if(at_chunk(payout));
    vec![Op::Update(payout), Op::Update(line)]
}

/// The payout is given up and its partner left out; it stays due while it has lines to give back.
///
/// # Errors
/// Never for a well-formed omission.
pub fn withdraw(payout: &Payout, omission: &Omission) -> Result<Vec<Op>, Error> {
    let mut update =
        Update::at(payout_key(payout.id)).set("state", text(PayoutState::Withdrawn.name()));
    if payout.chunks == 0 {
        update = update.remove("due_pk").remove("due_sk");
    }
    Ok(vec![
        Op::Update(update.only_if(at_chunk(payout))),
        Op::Update(line_update(payout, "withdrawn")),
        put_omission(payout.batch, omission)?,
    ])
}

/// The payout is given back because its batch was called off: from where it stands, with its line. It is due
/// while it has lines to give back.
#[must_use]
pub fn cancel(payout: &Payout) -> Vec<Op> {
    let mut update =
        Update::at(payout_key(payout.id)).set("state", text(PayoutState::Cancelled.name()));
    update = if payout.chunks == 0 {
        update.remove("due_pk").remove("due_sk")
    } else {
        update
            .set("due_pk", text(WORK))
            .set("due_sk", text(payout_work(payout)))
    };
    let stands = Condition::equals("state", text(payout.state.name()))
        .and_equals("chunks", number(u64::from(payout.chunks)));
    let stage = match payout.state {
        PayoutState::Planned => "planned",
        _ => "frozen",
    };
    // Nobody is paid by it any more: the account need not be kept.
    let line = Update::at(line_key(payout.batch, payout.id))
        .set("stage", text("withdrawn"))
        .remove("masked")
        .remove("sealed")
        .remove("note")
        .only_if(Condition::equals("stage", text(stage)));
    vec![Op::Update(update.only_if(stands)), Op::Update(line)]
}

fn batch_line(item: BatchLineItem) -> Result<BatchLine, Error> {
    let BatchLineItem {
        pk: _,
        sk: _,
        payout,
        partner,
        stage,
        currency: code,
        amount_minor,
        masked,
        sealed,
        note,
    } = item;
    let stage = match (stage.as_str(), code, amount_minor, masked, sealed, note) {
        ("planned", ..) => LineStage::Planned,
        ("withdrawn", ..) => LineStage::Withdrawn,
        ("frozen", Some(code), Some(minor), Some(masked), Some(sealed), Some(note)) => {
            LineStage::Frozen(Instruction {
                amount: Money::new(minor, currency(&code)?),
                masked,
                sealed,
                note,
            })
        }
        _ => return Err(malformed("a batch's line that is none")),
    };
    Ok(BatchLine {
        payout,
        partner,
        stage,
    })
}

#[derive(Serialize, Deserialize)]
struct OmissionItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    reason: String,
    currency: String,
    amount_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payout: Option<PayoutId>,
}

fn put_omission(id: BatchId, omission: &Omission) -> Result<Op, Error> {
    let Omission {
        partner,
        reason,
        amount,
        payout,
    } = omission.clone();
    let Key { pk, sk } = omission_key(id, partner);
    Ok(Op::Put(Put::new(&OmissionItem {
        pk,
        sk,
        partner,
        reason: reason.name().to_owned(),
        currency: amount.currency().code().to_owned(),
        amount_minor: amount.minor(),
        payout,
    })?))
}

/// The put of a partner that is left out, unless it has a payout in the batch.
///
/// # Errors
/// Never for a well-formed omission.
pub fn put_left_out(batch: &Batch, omission: &Omission) -> Result<Vec<Op>, Error> {
    let line = line_key(batch.id, Payout::id_of(batch.id, omission.partner));
    Ok(vec![
        put_omission(batch.id, omission)?,
        Op::Check(line, Condition::default().and_absent("pk")),
        still_planning(batch),
    ])
}

fn omission(item: OmissionItem) -> Result<Omission, Error> {
    let OmissionItem {
        pk: _,
        sk: _,
        partner,
        reason,
        currency: code,
        amount_minor,
        payout,
    } = item;
    Ok(Omission {
        partner,
        reason: LeftOut::ALL
            .into_iter()
            .find(|known| known.name() == reason)
            .ok_or_else(|| malformed("a reason that is none"))?,
        amount: Money::new(amount_minor, currency(&code)?),
        payout,
    })
}

/// Whether a partner is decided on in a batch already.
///
/// # Errors
/// The table's.
pub async fn is_decided(table: &Table, id: BatchId, partner: PartnerId) -> Result<bool, Error> {
    let line = line_key(id, Payout::id_of(id, partner));
    Ok(!table
        .get_many([line, omission_key(id, partner)])
        .await?
        .is_empty())
}

/// All lines of a batch, by payout id.
///
/// # Errors
/// The table's.
pub async fn all_lines(table: &Table, id: BatchId) -> Result<Vec<BatchLine>, Error> {
    let range = Range::partition(Index::Base, batch_key(id).pk, LINES_PAGE).beginning("LINE#");
    table
        .all::<BatchLineItem>(range)
        .await?
        .into_iter()
        .map(batch_line)
        .collect()
}

/// One line of a batch.
///
/// # Errors
/// The table's.
pub async fn find_line(
    table: &Table,
    batch: BatchId,
    payout: PayoutId,
) -> Result<Option<BatchLine>, Error> {
    table
        .get::<BatchLineItem>(&line_key(batch, payout))
        .await?
        .map(batch_line)
        .transpose()
}

/// Items of a batch read in one query; DynamoDB itself stops at 1 MB.
const LINES_PAGE: usize = 1_000;

/// What became of a batch's payouts so far, read from its whole partition.
///
/// # Errors
/// The table's.
pub async fn resolved(table: &Table, batch: &Batch) -> Result<Resolved, Error> {
    let partition = batch_key(batch.id).pk;
    let omissions = Range::partition(Index::Base, partition, LINES_PAGE).beginning("LEFT#");
    let left_out = table.all::<OmissionItem>(omissions).await?.len() as u64;
    let lines = all_lines(table, batch.id).await?;
    let resolved = super::model::resolved(batch.rail, &lines)
        .map_err(|error| malformed(&error.to_string()))?;
    Ok(Resolved {
        left_out,
        ..resolved
    })
}

async fn part<I: serde::de::DeserializeOwned, T>(
    table: &Table,
    pk: String,
    prefix: &str,
    after: Option<String>,
    limit: usize,
    read: impl Fn(I) -> Result<T, Error>,
) -> Result<(Vec<T>, Option<String>), Error> {
    let range = Range::partition(Index::Base, pk, limit);
    let range = match after {
        Some(after) => range.between(format!("{prefix}{after}\0"), format!("{prefix}{LAST}")),
        None => range.beginning(prefix),
    };
    let page = table.page(&range).await?;
    let last = page.items.last().and_then(Key::of).filter(|_| page.more);
    let next = last.and_then(|key| key.sk.strip_prefix(prefix).map(str::to_owned));
    let found = page
        .items
        .into_iter()
        .map(|item| read(from_item(item)?))
        .collect::<Result<_, _>>()?;
    Ok((found, next))
}

/// A page of a batch's lines by payout id, after a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn lines(
    table: &Table,
    id: BatchId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<BatchLine>, Option<String>), Error> {
    part(table, batch_key(id).pk, "LINE#", after, limit, batch_line).await
}

/// A page of the partners that a batch leaves out, after a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn omissions(
    table: &Table,
    id: BatchId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Omission>, Option<String>), Error> {
    part(table, batch_key(id).pk, "LEFT#", after, limit, omission).await
}

// ---- Payouts

#[derive(Serialize, Deserialize)]
struct PayoutItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: PayoutId,
    batch: BatchId,
    partner: PartnerId,
    program: ProgramId,
    currency: String,
    cutoff: Timestamp,
    minimum_minor: i64,
    #[serde(rename = "kind")]
    rail: String,
    state: String,
    chunks: u32,
    reopened: u32,
    lines: u64,
    amount_minor: i64,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returned_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

fn payout_work(payout: &Payout) -> String {
    format!("{}#{}", stamp(payout.created_at), payout.id)
}

/// The put of a new payout, due until it is reserved.
fn put_payout(payout: &Payout) -> Result<Op, Error> {
    let work = payout_work(payout);
    let Payout {
        id,
        batch,
        partner,
        program,
        cutoff,
        terms: Terms { minimum, rail },
        state,
        chunks,
        reopened,
        lines,
        amount,
        created_at,
        settled_at,
        returned,
    } = payout.clone();
    let Key { pk, sk } = payout_key(id);
    let (returned_at, reason, evidence) = match returned {
        Some(Returned {
            at,
            reason,
            evidence,
        }) => (Some(at), Some(reason), Some(evidence)),
        None => (None, None, None),
    };
    Ok(Op::Put(Put::new(&PayoutItem {
        pk,
        sk,
        list_pk: format!("PAYOUTS#{partner}"),
        list_sk: work.clone(),
        due_pk: Some(WORK.to_owned()),
        due_sk: Some(work),
        id,
        batch,
        partner,
        program,
        currency: amount.currency().code().to_owned(),
        cutoff,
        minimum_minor: minimum.minor(),
        rail: rail.name().to_owned(),
        state: state.name().to_owned(),
        chunks,
        reopened,
        lines,
        amount_minor: amount.minor(),
        created_at,
        settled_at,
        returned_at,
        reason,
        evidence,
    })?))
}

fn payout(item: PayoutItem) -> Result<Payout, Error> {
    let PayoutItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        batch,
        partner,
        program,
        currency: code,
        cutoff,
        minimum_minor,
        rail,
        state,
        chunks,
        reopened,
        lines,
        amount_minor,
        created_at,
        settled_at,
        returned_at,
        reason,
        evidence,
    } = item;
    let currency = currency(&code)?;
    Ok(Payout {
        id,
        batch,
        partner,
        program,
        cutoff,
        terms: Terms {
            minimum: Money::new(minimum_minor, currency),
            rail: named(RAILS, &rail)?,
        },
        state: PayoutState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or_else(|| malformed("a payout state that is none"))?,
        chunks,
        reopened,
        lines,
        amount: Money::new(amount_minor, currency),
        created_at,
        settled_at,
        returned: returned_at.map(|at| Returned {
            at,
            reason: reason.unwrap_or_default(),
            evidence: evidence.unwrap_or_default(),
        }),
    })
}

/// A payout.
///
/// # Errors
/// The table's.
pub async fn find_payout(table: &Table, id: PayoutId) -> Result<Option<Payout>, Error> {
    table
        .get::<PayoutItem>(&payout_key(id))
        .await?
        .map(payout)
        .transpose()
}

/// Payouts by their ids, those that exist.
///
/// # Errors
/// The table's.
pub async fn find_payouts(table: &Table, ids: &[PayoutId]) -> Result<Vec<Payout>, Error> {
    table
        .get_many(ids.iter().map(|id| payout_key(*id)))
        .await?
        .into_values()
        .map(|item| payout(from_item(item)?))
        .collect()
}

/// A page of a partner's payouts, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn payouts_of(
    table: &Table,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Payout>, Option<String>), Error> {
    let mut range =
        Range::partition(Index::List, format!("PAYOUTS#{partner}"), limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, next) = page(table, &range).await?;
    Ok((read_all(table, &entries, payout).await?, next))
}

fn at_chunk(payout: &Payout) -> Condition {
    Condition::equals("state", text(PayoutState::Planned.name()))
        .and_equals("chunks", number(u64::from(payout.chunks)))
}

/// The payout with one chunk more, from `before` to `after`.
#[must_use]
pub fn grow(before: &Payout, after: &Payout) -> Op {
    Op::Update(
        Update::at(payout_key(after.id))
            .set("chunks", number(u64::from(after.chunks)))
            .set("lines", number(after.lines))
            .set("amount_minor", signed(after.amount.minor()))
            .only_if(at_chunk(before)),
    )
}

/// The payout arrived; it is due for its invoice.
#[must_use]
pub fn settled(payout: &Payout, now: Timestamp) -> Op {
    Op::Update(
        Update::at(payout_key(payout.id))
            .set("state", text(PayoutState::Settled.name()))
            .set("settled_at", text(now.to_string()))
            .set("due_pk", text(INVOICES))
            .set("due_sk", text(format!("{}#{}", stamp(now), payout.id)))
            .only_if(Condition::equals("state", text(payout.state.name()))),
    )
}

/// The payout came back; it is due until its lines are open again.
#[must_use]
pub fn returned(payout: &Payout, why: &Returned) -> Op {
    let Returned {
        at,
        reason,
        evidence,
    } = why;
    Op::Update(
        Update::at(payout_key(payout.id))
            .set("state", text(PayoutState::Returned.name()))
            .set("returned_at", text(at.to_string()))
            .set("reason", text(reason))
            .set("evidence", text(evidence))
            .set("due_pk", text(WORK))
            .set("due_sk", text(payout_work(payout)))
            .remove(WAITS)
            .only_if(Condition::equals("state", text(payout.state.name()))),
    )
}

/// One chunk more is open again; after the last the payout is no longer due.
#[must_use]
pub fn reopened(payout: &Payout) -> Op {
    let next = payout.reopened + 1;
    let mut update = Update::at(payout_key(payout.id)).set("reopened", number(u64::from(next)));
    if next >= payout.chunks {
        update = update.remove("due_pk").remove("due_sk");
    }
    Op::Update(
        update.only_if(
            Condition::equals("state", text(payout.state.name()))
                .and_equals("reopened", number(u64::from(payout.reopened))),
        ),
    )
}

// ---- Invoices

/// The attribute that says why a payout has no invoice yet.
const WAITS: &str = "invoice_waits";

/// The condition that a payout is settled and due for its invoice.
fn is_due_for_invoice() -> Condition {
    Condition::equals("state", text(PayoutState::Settled.name()))
        .and_equals("due_pk", text(INVOICES))
}

/// The payout has its invoice, or gets none.
#[must_use]
pub fn invoiced(payout: &Payout) -> Update {
    Update::at(payout_key(payout.id))
        .remove("due_pk")
        .remove("due_sk")
        .remove(WAITS)
        .only_if(is_due_for_invoice())
}

/// The payout's invoice cannot be written for that reason; it is tried again at `until`.
#[must_use]
pub fn await_invoice(payout: &Payout, until: Timestamp, why: &str) -> Update {
    Update::at(payout_key(payout.id))
        .set("due_sk", text(format!("{}#{}", stamp(until), payout.id)))
        .set(WAITS, text(why))
        .only_if(is_due_for_invoice())
}

/// A payout, and whether it is due for its invoice by `now`: putting an invoice off is a change of the payout
/// too, of which it must not be tried again at once.
///
/// # Errors
/// The table's.
pub async fn find_with_invoicing(
    table: &Table,
    id: PayoutId,
    now: Timestamp,
) -> Result<Option<(Payout, bool)>, Error> {
    let found: Option<PayoutItem> = table.get(&payout_key(id)).await?;
    found
        .map(|item| {
            let until = format!("{}#{LAST}", stamp(now));
            let is_due = item.due_pk.as_deref() == Some(INVOICES)
                && item.due_sk.as_ref().is_some_and(|due| *due <= until);
            Ok((payout(item)?, is_due))
        })
        .transpose()
}

/// Payouts whose invoice is to be tried by `now`, those that have waited longest first.
///
/// # Errors
/// The table's.
pub async fn due_for_invoice(
    table: &Table,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<PayoutId>, Error> {
    let until = format!("{}#{LAST}", stamp(now));
    let range = Range::partition(Index::Due, INVOICES, limit).between("0", until);
    let (entries, _) = table.entries(&range).await?;
    let id = |entry: &Entry| entry.key.pk.strip_prefix("PAYOUT#")?.parse().ok();
    Ok(entries.iter().filter_map(id).collect())
}

/// Payouts that have no invoice yet, each with the reason, if one is known.
///
/// # Errors
/// The table's.
pub async fn awaiting_invoice(
    table: &Table,
    limit: usize,
) -> Result<Vec<(Payout, Option<String>)>, Error> {
    let range = Range::partition(Index::Due, INVOICES, limit);
    let (entries, _) = table.entries(&range).await?;
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    let mut found = Vec::with_capacity(entries.len());
    for entry in &entries {
        let Some(item) = items.remove(&entry.key) else {
            continue;
        };
        let why = item.get(WAITS).and_then(|value| value.as_s().ok()).cloned();
        let item: PayoutItem = from_item(item)?;
        // The index may be behind.
        if item.due_pk.as_deref() == Some(INVOICES) {
            found.push((payout(item)?, why));
        }
    }
    Ok(found)
}

// ---- Lines, which are commissions and clawbacks

/// The lines that reserving transfers took, in their order.
///
/// # Errors
/// The table's; `Malformed` when there is no such transfer.
pub async fn taken(
    table: &Table,
    transfers: impl IntoIterator<Item = TransferId>,
) -> Result<Vec<(LineId, i64)>, Error> {
    let keys: Vec<Key> = transfers.into_iter().map(transfer_key).collect();
    let mut items = table.get_many(keys.iter().cloned()).await?;
    let mut lines = Vec::new();
    for key in &keys {
        let item = items
            .remove(key)
            .ok_or_else(|| malformed("a payout without its transfer"))?;
        for (id, minor) in transfer(item)?.lines {
            let id = match (id.parse(), id.parse()) {
                (Ok(conversion), _) => LineId::Commission(conversion),
                (_, Ok(clawback)) => LineId::Clawback(clawback),
                _ => {
                    return Err(malformed(
                        "a payout's line that is neither conversion nor transfer",
                    ));
                }
            };
            lines.push((id, minor));
        }
    }
    Ok(lines)
}

/// A payable line as it stands.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which.
    pub id: LineId,
    /// What it comes to, minor units.
    pub minor: i64,
    key: Key,
    is_open: bool,
    payout: Option<PayoutId>,
    partner: PartnerId,
    program: ProgramId,
    payable_at: Timestamp,
    state: Option<String>,
}

#[derive(Deserialize)]
struct LineItem {
    line: Option<String>,
    line_minor: Option<i64>,
    partner: PartnerId,
    program: ProgramId,
    payable_at: Option<Timestamp>,
    payout: Option<PayoutId>,
    state: Option<String>,
}

impl Line {
    fn read(key: Key, item: Item) -> Result<Option<Self>, Error> {
        let LineItem {
            line,
            line_minor,
            partner,
            program,
            payable_at,
            payout,
            state,
        } = from_item(item)?;
        let (Some(line), Some(minor), Some(payable_at)) = (line, line_minor, payable_at) else {
            return Ok(None);
        };
        let id = line_id(&key)
            .ok_or_else(|| malformed("a line that is neither outcome nor transfer"))?;
        Ok(Some(Self {
            id,
            minor,
            key,
            is_open: line == "open",
            payout,
            partner,
            program,
            payable_at,
            state,
        }))
    }

    /// Whose it is.
    #[must_use]
    pub fn partner(&self) -> PartnerId {
        self.partner
    }

    /// Whether it can be taken.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether that payout has it.
    #[must_use]
    pub fn is_taken_by(&self, payout: PayoutId) -> bool {
        !self.is_open && self.payout == Some(payout)
    }

    fn unchanged(&self, condition: Condition) -> Condition {
        match &self.state {
            Some(state) => condition.and_equals("state", text(state)),
            None => condition,
        }
    }

    /// Takes it into a payout.
    #[must_use]
    pub fn take(&self, payout: PayoutId) -> Op {
        let mut update = Update::at(self.key.clone())
            .set("line", text("taken"))
            .set("payout", text(payout.to_string()))
            .remove("due_pk")
            .remove("due_sk");
        if self.state.as_deref() == Some("payable") {
            update = update.set("state", text("in_transit"));
        }
        // An open line may have been corrected since it was read: then it is another amount.
        let open =
            Condition::equals("line", text("open")).and_equals("line_minor", int(self.minor));
        Op::Update(update.only_if(self.unchanged(open)))
    }

    /// Gives it back: it is payable again, unless it was reversed meanwhile, and then it and its clawback
    /// make nothing together.
    #[must_use]
    pub fn reopen(&self, payout: PayoutId) -> Op {
        let (program, partner) = (self.program, self.partner);
        let position = payable_position(partner, self.payable_at, &self.id.to_string());
        let mut update = Update::at(self.key.clone())
            .set("line", text("open"))
            .set(
                "due_pk",
                text(payable_partition(program, due_shard(partner))),
            )
            .set("due_sk", text(position))
            .remove("payout");
        if self.state.as_deref() == Some("in_transit") {
            update = update.set("state", text("payable"));
        }
        let taken =
            Condition::equals("line", text("taken")).and_equals("payout", text(payout.to_string()));
        Op::Update(update.only_if(self.unchanged(taken)))
    }
}

fn line_base_key(id: LineId) -> Key {
    match id {
        LineId::Commission(id) => outcome_key(id),
        LineId::Clawback(id) => transfer_key(id),
    }
}

fn line_id(key: &Key) -> Option<LineId> {
    if let Some(id) = key.pk.strip_prefix("CONV#") {
        return Some(LineId::Commission(id.parse().ok()?));
    }
    Some(LineId::Clawback(
        key.pk.strip_prefix("XFER#")?.parse().ok()?,
    ))
}

/// A candidate from the index: whose line it is and since when it is payable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Whose.
    pub partner: PartnerId,
    /// Its position in the shard.
    pub position: String,
    /// Whether it was payable at the cutoff.
    pub is_due: bool,
    key: Key,
}

fn candidate(entry: Entry, cutoff: &str) -> Result<Candidate, Error> {
    let mut parts = entry.sort.split('#');
    let partner = parts.next().and_then(|part| part.parse().ok());
    let (Some(partner), Some(payable_at)) = (partner, parts.next()) else {
        return Err(malformed("a payable line without partner and time"));
    };
    let is_due = payable_at <= cutoff;
    Ok(Candidate {
        partner,
        is_due,
        key: entry.key,
        position: entry.sort,
    })
}

/// A page of a shard's candidates above a position, in order of partner and time; and whether more follow.
///
/// # Errors
/// The table's.
pub async fn candidates(
    table: &Table,
    program: ProgramId,
    shard: u8,
    after: Option<&str>,
    cutoff: Timestamp,
    limit: usize,
) -> Result<(Vec<Candidate>, bool), Error> {
    let range = Range::partition(Index::Due, payable_partition(program, shard), limit);
    let range = match after {
        Some(after) => range.between(format!("{after}\0"), LAST),
        None => range,
    };
    let cutoff = stamp(cutoff);
    let (entries, more) = table.entries(&range).await?;
    let found = entries
        .into_iter()
        .map(|entry| candidate(entry, &cutoff))
        .collect::<Result<_, _>>()?;
    Ok((found, more))
}

/// The position behind all lines of a partner.
#[must_use]
pub fn behind(partner: PartnerId) -> String {
    format!("{partner}#{LAST}")
}

/// A page of a partner's candidates until the cutoff, above a position; and whether more follow.
///
/// # Errors
/// The table's.
pub async fn candidates_of(
    table: &Table,
    payout: &Payout,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Candidate>, bool), Error> {
    let partner = payout.partner;
    let cutoff = stamp(payout.cutoff);
    let partition = payable_partition(payout.program, due_shard(partner));
    let low = after.map_or_else(|| format!("{partner}#"), |after| format!("{after}\0"));
    let range = Range::partition(Index::Due, partition, limit)
        .between(low, format!("{partner}#{cutoff}#{LAST}"));
    let (entries, more) = table.entries(&range).await?;
    let found = entries
        .into_iter()
        .map(|entry| candidate(entry, &cutoff))
        .collect::<Result<_, _>>()?;
    Ok((found, more))
}

/// The open lines among candidates, read from their base items, in their order.
///
/// # Errors
/// The table's.
pub async fn open_lines(table: &Table, candidates: &[Candidate]) -> Result<Vec<Line>, Error> {
    let mut items = table
        .get_many(candidates.iter().map(|candidate| candidate.key.clone()))
        .await?;
    let mut found = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let Some(item) = items.remove(&candidate.key) else {
            continue;
        };
        match Line::read(candidate.key.clone(), item) {
            Ok(line) => found.extend(line.filter(Line::is_open)),
            // One unreadable line must not keep everybody else from being paid.
            Err(error) => tracing::error!(%error, "a payable line cannot be read"),
        }
    }
    Ok(found)
}

/// Lines by their ids, as they stand.
///
/// # Errors
/// The table's.
pub async fn find_lines(table: &Table, ids: &[(LineId, i64)]) -> Result<Vec<Line>, Error> {
    table
        .get_many(ids.iter().map(|(id, _)| line_base_key(*id)))
        .await?
        .into_iter()
        .filter_map(|(key, item)| Line::read(key, item).transpose())
        .collect()
}
