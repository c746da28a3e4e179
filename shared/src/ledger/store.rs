//! Keys and items of accounts and transfers.
//!
//! A commission's transfer is embedded in its outcome item (`commissions::store`); every other transfer is
//! an item of its own. Both stand in one list per partner and month.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::model::{Account, AccountId, Balance, Bucket, Transfer, TransferKind, commission_id};
use crate::clock::{Timestamp, month, parse, stamp};
use crate::ids::{ConversionId, PartnerId, ProgramId, TransferId};
use crate::money::{Currency, Money};
use crate::table::{
    AttributeValue, Condition, Entry, Error, Index, Item, Key, Op, Put, Range, Table, Update,
    from_item, int, text,
};

/// Shards of a program's own account, each far below what one item can take in a second.
pub const PROGRAM_SHARDS: u8 = 16;
/// Shards of the holds, and of each program's payable lines, by partner.
pub const DUE_SHARDS: u8 = 8;
/// Accounts of a partner in one read.
const ACCOUNTS_PAGE: usize = 100;
/// The attribute of the month in which an account began to sum its changes.
const SUMMED: &str = "summed";
/// The attribute of the last month that an account is closed for.
const CLOSED: &str = "closed";

/// The account item of a partner in a program: `pending`, `payable`, `in_transit`, `paid` in minor units;
/// `m<yyyymm>`, the number of transfers posted in that month, which tells a reader of the list whether the
/// index has them all; `p`, `y`, `t` and `d` before `<yyyymm>`, what that month changed in each of the four,
/// since the month `summed`; and `closed`, the last month that nothing may be posted into any more.
///
/// A month takes about 50 bytes, so that an account stays within the 1 KB of a write unit for a year or more.
#[must_use]
pub fn account_key(account: AccountId) -> Key {
    Key::new(
        format!("PTR#{}", account.partner),
        format!("ACCT#{}#{}", account.currency, account.program),
    )
}

/// The shard of the program's account that a partner's transfers go through.
#[must_use]
pub fn program_account_key(program: ProgramId, partner: PartnerId) -> Key {
    let shard = partner.bytes()[15] % PROGRAM_SHARDS;
    Key::new(format!("PROG#{program}#ACCT#{shard:02}"), "ACCT")
}

/// The list partition of a partner's transfers of a month (`yyyymm`).
#[must_use]
pub fn list_partition(partner: PartnerId, month: u32) -> String {
    format!("LEDGER#{partner}#{month}")
}

/// The list position of a transfer: time, then `C` for a commission or `T` for another, then its id.
#[must_use]
pub fn list_position(at: Timestamp, letter: char, id: &str) -> String {
    format!("{}#{letter}#{id}", stamp(at))
}

/// The counter of a month's transfers in the account item.
#[must_use]
pub fn counter(at: Timestamp) -> String {
    format!("m{}", month(at))
}

/// The attribute of a month's change in a bucket of the account item; the program's side has none.
fn change_name(bucket: Bucket, month: u32) -> Option<String> {
    change_letter(bucket).map(|letter| format!("{letter}{month}"))
}

fn change_letter(bucket: Bucket) -> Option<char> {
    match bucket {
        Bucket::Commissions => None,
        Bucket::Pending => Some('p'),
        Bucket::Payable => Some('y'),
        Bucket::InTransit => Some('t'),
        Bucket::Paid => Some('d'),
    }
}

/// The shard of holds and payable lines that a partner's stand in.
#[must_use]
pub fn due_shard(partner: PartnerId) -> u8 {
    partner.bytes()[15] % DUE_SHARDS
}

/// The due partition of the payable lines of a program, by [`due_shard`].
#[must_use]
pub fn payable_partition(program: ProgramId, shard: u8) -> String {
    format!("PAYABLE#{program}#{shard}")
}

/// The due position of a payable line: lines of one partner stand together, oldest first.
#[must_use]
pub fn payable_position(partner: PartnerId, payable_at: Timestamp, id: &str) -> String {
    format!("{partner}#{}#{id}", stamp(payable_at))
}

/// The key of a transfer that is an item of its own.
#[must_use]
pub fn transfer_key(id: TransferId) -> Key {
    Key::new(format!("XFER#{id}"), "TRANSFER")
}

/// Makes the item of an update an open payable line of that many minor units.
#[must_use]
pub fn set_open_line(
    update: Update,
    program: ProgramId,
    partner: PartnerId,
    payable_at: Timestamp,
    id: &str,
    minor: i64,
) -> Update {
    update
        .set("line", text("open"))
        .set("line_minor", int(minor))
        .set("payable_at", text(stamp(payable_at)))
        .set(
            "due_pk",
            text(payable_partition(program, due_shard(partner))),
        )
        .set("due_sk", text(payable_position(partner, payable_at, id)))
}

/// The stored form of a transfer. Id, partner and time stand in its keys only, and names are short, so
/// that a release of forty lines stays within one write unit of 1 KB.
#[derive(Serialize, Deserialize)]
struct TransferItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    /// Kind.
    #[serde(rename = "k")]
    kind: String,
    /// Where it leaves, unless that is the kind's usual.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Where it arrives, likewise.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The program, 16 bytes.
    #[serde(rename = "p", with = "binary")]
    program_bytes: Vec<u8>,
    /// The currency's code.
    #[serde(rename = "c")]
    code: String,
    #[serde(rename = "a")]
    amount_minor: i64,
    /// Source.
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    source: String,
    /// Per line: the 16 bytes of its id, then a variable-length number: the amount, zigzag, twice, plus
    /// one for a transfer's id instead of a conversion's.
    #[serde(
        rename = "l",
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "binary"
    )]
    lines: Vec<u8>,
    /// Reason.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    // A clawback is a payable line, which is read under the same names on outcomes and transfers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<ProgramId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payable_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
}

mod binary {
    //! Bytes as DynamoDB's binary type instead of a list of numbers.
    use serde::de::Visitor;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Packs lines; see [`TransferItem::lines`].
fn pack(lines: &[(String, i64)]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(lines.len() * 20);
    for (id, minor) in lines {
        let (id, is_transfer) = match (id.parse::<ConversionId>(), id.parse::<TransferId>()) {
            (Ok(id), _) => (id.bytes(), 0),
            (_, Ok(id)) => (id.bytes(), 1),
            _ => {
                return Err(Error::Malformed(
                    "a transfer's line names neither a conversion nor a transfer".to_owned(),
                ));
            }
        };
        bytes.extend_from_slice(&id);
        let zigzag = (i128::from(*minor) << 1) ^ (i128::from(*minor) >> 127);
        let mut rest = u128::try_from(zigzag).unwrap_or(0) << 1 | is_transfer;
        loop {
            let seven = u8::try_from(rest & 0x7f).unwrap_or(0);
            rest >>= 7;
            if rest == 0 {
                bytes.push(seven);
                break;
            }
            bytes.push(seven | 0x80);
        }
    }
    Ok(bytes)
}

fn unpack(mut bytes: &[u8]) -> Option<Vec<(String, i64)>> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        bytes = rest;
        let mut number = 0_u128;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first()?;
            bytes = rest;
            if shift > 70 {
                return None;
            }
            number |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let id = if number & 1 == 1 {
            TransferId::from_bytes(*id).to_string()
        } else {
            ConversionId::from_bytes(*id).to_string()
        };
        let zigzag = i128::try_from(number >> 1).ok()?;
        let minor = (zigzag >> 1) ^ -(zigzag & 1);
        lines.push((id, i64::try_from(minor).ok()?));
    }
    Some(lines)
}

/// The change of a partner's account by signed amounts per bucket, counting `transfers` posted at `at`, and
/// refused where that month is closed. Belongs into one transaction with the conditional put of those
/// transfers.
#[must_use]
pub fn move_account(
    account: AccountId,
    moves: &[(Bucket, i64)],
    transfers: i64,
    at: Timestamp,
) -> Op {
    let month = month(at);
    let mut update = Update::at(account_key(account))
        .add(&counter(at), transfers)
        .set_once(SUMMED, int(month))
        .only_if(Condition::default().and_absent_or_below(CLOSED, int(month)));
    for (bucket, minor) in moves {
        if let Some(change) = change_name(*bucket, month) {
            update = update.add(bucket.name(), *minor).add(&change, *minor);
        }
    }
    Op::Update(update)
}

/// Closes an account up to the end of a month: no transfer is posted into it any more. Refused when it is
/// closed that far already.
#[must_use]
pub fn close_account(account: AccountId, month: u32) -> Update {
    Update::at(account_key(account))
        .set(CLOSED, int(month))
        .only_if(Condition::exists().and_absent_or_below(CLOSED, int(month)))
}

/// The change of the program's side by a signed amount.
#[must_use]
pub fn move_program(program: ProgramId, partner: PartnerId, minor: i64) -> Op {
    Op::Update(
        Update::at(program_account_key(program, partner)).add(Bucket::Commissions.name(), minor),
    )
}

fn item_of(transfer: &Transfer) -> Result<TransferItem, Error> {
    let Transfer {
        id,
        kind,
        account,
        from,
        to,
        amount,
        at,
        source,
        lines,
        reason,
    } = transfer.clone();
    let Key { pk, sk } = transfer_key(id);
    Ok(TransferItem {
        pk,
        sk,
        list_pk: list_partition(account.partner, month(at)),
        list_sk: list_position(at, 'T', &id.to_string()),
        kind: kind.name().to_owned(),
        from: (from != kind.usual_from()).then(|| from.name().to_owned()),
        to: (to != kind.usual_to()).then(|| to.name().to_owned()),
        program_bytes: account.program.bytes().to_vec(),
        code: account.currency.code().to_owned(),
        amount_minor: amount.minor(),
        source,
        lines: pack(&lines)?,
        reason,
        partner: None,
        program: None,
        currency: None,
        line: None,
        line_minor: None,
        payable_at: None,
        payout: None,
        due_pk: None,
        due_sk: None,
    })
}

/// The legs of transfers of one account and one instant, together: the change of the account, and of the
/// program's side where that moves. At most two operations, because a transaction touches an item once.
///
/// # Errors
/// `Failed` beyond what 64 bits hold.
pub fn legs(transfers: &[&Transfer]) -> Result<Vec<Op>, Error> {
    let over = || Error::Failed("transfers over the limit".to_owned());
    let Some(first) = transfers.first() else {
        return Ok(Vec::new());
    };
    let mut moves: BTreeMap<Bucket, i64> = BTreeMap::new();
    for transfer in transfers {
        let minor = transfer.amount.minor();
        let left = minor.checked_neg().ok_or_else(over)?;
        for (bucket, change) in [(transfer.from, left), (transfer.to, minor)] {
            let sum = moves.entry(bucket).or_default();
            *sum = sum.checked_add(change).ok_or_else(over)?;
        }
    }
    let granted = moves.remove(&Bucket::Commissions);
    let moves: Vec<(Bucket, i64)> = moves.into_iter().collect();
    let count = i64::try_from(transfers.len()).unwrap_or(i64::MAX);
    let mut ops = vec![move_account(first.account, &moves, count, first.at)];
    if let Some(granted) = granted {
        let AccountId {
            program, partner, ..
        } = first.account;
        ops.push(move_program(program, partner, granted));
    }
    Ok(ops)
}

/// The put of a transfer, whose legs are moved in the same transaction.
///
/// # Errors
/// Never for a well-formed transfer.
pub fn put(transfer: &Transfer) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&item_of(transfer)?)?))
}

/// All that posts a transfer: its put, the change of the account, and of the program's side where a leg
/// is there. Two or three operations, for one transaction.
///
/// # Errors
/// Never for a well-formed transfer.
pub fn post(transfer: &Transfer) -> Result<Vec<Op>, Error> {
    let mut ops = vec![put(transfer)?];
    ops.extend(legs(&[transfer])?);
    Ok(ops)
}

/// The put of a transfer that changes what a payout's lines were paid for: it is itself an open payable
/// line, of that many minor units, payable since what it corrects was: no cutoff lets the one in and keeps
/// the other out.
///
/// # Errors
/// Never for a well-formed transfer.
pub fn put_line(transfer: &Transfer, minor: i64, payable_at: Timestamp) -> Result<Op, Error> {
    let AccountId {
        partner,
        program,
        currency,
    } = transfer.account;
    let mut item = item_of(transfer)?;
    item.partner = Some(partner);
    item.program = Some(program);
    item.currency = Some(currency.code().to_owned());
    item.line = Some("open".to_owned());
    item.line_minor = Some(minor);
    item.payable_at = Some(stamp(payable_at));
    item.due_pk = Some(payable_partition(program, due_shard(partner)));
    item.due_sk = Some(payable_position(
        partner,
        payable_at,
        &transfer.id.to_string(),
    ));
    Ok(Op::Put(Put::new(&item)?))
}

/// The commission's transfer that an outcome item carries.
#[derive(Deserialize)]
struct EmbeddedCommission {
    pk: String,
    list_pk: String,
    list_sk: String,
    program: ProgramId,
    currency: String,
    posted_minor: i64,
    /// Of what, unless it is a conversion's own: `level|…` and the like.
    #[serde(default)]
    source: Option<String>,
    /// The reason of an adjustment.
    #[serde(default)]
    word: Option<String>,
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("a transfer item's {what}"))
}

/// Partner of a list partition, and time of a list position.
fn listed(list_pk: &str, list_sk: &str) -> Result<(PartnerId, Timestamp), Error> {
    let partner = list_pk
        .split('#')
        .nth(1)
        .and_then(|partner| partner.parse().ok())
        .ok_or_else(|| malformed("list partition"))?;
    let at = list_sk
        .split('#')
        .next()
        .and_then(parse)
        .ok_or_else(|| malformed("list position"))?;
    Ok((partner, at))
}

/// Reads a transfer from its own item or from the outcome that carries it.
///
/// # Errors
/// `Malformed`.
pub fn transfer(item: Item) -> Result<Transfer, Error> {
    let own = Key::of(&item).is_some_and(|key| key.sk == "TRANSFER");
    if !own {
        let EmbeddedCommission {
            pk,
            list_pk,
            list_sk,
            program,
            currency,
            posted_minor,
            source,
            word,
        } = from_item(item)?;
        let (partner, at) = listed(&list_pk, &list_sk)?;
        let conversion: ConversionId = pk
            .strip_prefix("CONV#")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| malformed("key"))?;
        let currency: Currency = currency.parse().map_err(|_| malformed("currency"))?;
        let kind = match source
            .as_deref()
            .and_then(|source| source.split('|').next())
        {
            None => TransferKind::Commission,
            Some("level") => TransferKind::Override,
            Some("adjustment") => TransferKind::Adjustment,
            Some(_) => TransferKind::Bonus,
        };
        return Ok(Transfer {
            id: commission_id(conversion),
            kind,
            account: AccountId {
                partner,
                program,
                currency,
            },
            from: Bucket::Commissions,
            to: Bucket::Pending,
            amount: Money::new(posted_minor, currency),
            at,
            source: conversion.to_string(),
            lines: Vec::new(),
            reason: word,
        });
    }
    let TransferItem {
        pk,
        sk: _,
        list_pk,
        list_sk,
        kind,
        from,
        to,
        program_bytes,
        code,
        amount_minor,
        source,
        lines,
        reason,
        partner: _,
        program: _,
        currency: _,
        line: _,
        line_minor: _,
        payable_at: _,
        payout: _,
        due_pk: _,
        due_sk: _,
    } = from_item(item)?;
    let (partner, at) = listed(&list_pk, &list_sk)?;
    let kind = TransferKind::of(&kind).ok_or_else(|| malformed("kind"))?;
    let from = match from {
        Some(from) => Bucket::of(&from).ok_or_else(|| malformed("bucket"))?,
        None => kind.usual_from(),
    };
    let to = match to {
        Some(to) => Bucket::of(&to).ok_or_else(|| malformed("bucket"))?,
        None => kind.usual_to(),
    };
    let program = <[u8; 16]>::try_from(program_bytes.as_slice())
        .map(ProgramId::from_bytes)
        .map_err(|_| malformed("program"))?;
    let currency: Currency = code.parse().map_err(|_| malformed("currency"))?;
    Ok(Transfer {
        id: pk
            .strip_prefix("XFER#")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| malformed("key"))?,
        kind,
        account: AccountId {
            partner,
            program,
            currency,
        },
        from,
        to,
        amount: Money::new(amount_minor, currency),
        at,
        source,
        lines: unpack(&lines).ok_or_else(|| malformed("lines"))?,
        reason,
    })
}

fn account(item: &Item) -> Result<Account, Error> {
    let malformed = |what: &str| Error::Malformed(format!("an account item's {what}"));
    let key = Key::of(item).ok_or_else(|| malformed("key"))?;
    let partner = key.pk.strip_prefix("PTR#").and_then(|id| id.parse().ok());
    let mut parts = key.sk.split('#').skip(1);
    let currency = parts.next().and_then(|code| code.parse::<Currency>().ok());
    let program = parts.next().and_then(|id| id.parse().ok());
    let (Some(partner), Some(currency), Some(program)) = (partner, currency, program) else {
        return Err(malformed("key"));
    };
    let number = |value: &AttributeValue| value.as_n().ok().and_then(|text| text.parse().ok());
    let minor = |bucket: Bucket| match item.get(bucket.name()) {
        None => Ok(0),
        Some(value) => number(value).ok_or_else(|| malformed("balance")),
    };
    let by_month = |letter: char| {
        item.iter()
            .filter_map(move |(name, value)| {
                let month: u32 = name.strip_prefix(letter)?.parse().ok()?;
                Some((month, number(value)?))
            })
            .collect::<BTreeMap<u32, i64>>()
    };
    let mut changes = BTreeMap::<u32, Balance>::new();
    for bucket in Bucket::ALL {
        let Some(letter) = change_letter(bucket) else {
            continue;
        };
        for (month, minor) in by_month(letter) {
            let zero = Balance::zero(currency);
            changes.entry(month).or_insert(zero).set(bucket, minor);
        }
    }
    Ok(Account {
        id: AccountId {
            partner,
            program,
            currency,
        },
        balance: Balance {
            currency,
            pending: minor(Bucket::Pending)?,
            payable: minor(Bucket::Payable)?,
            in_transit: minor(Bucket::InTransit)?,
            paid: minor(Bucket::Paid)?,
        },
        posted: by_month('m'),
        changes,
        summed_from: item
            .get(SUMMED)
            .and_then(number)
            .and_then(|month| u32::try_from(month).ok()),
    })
}

/// A partner's accounts, read consistently.
///
/// # Errors
/// The table's.
pub async fn accounts(table: &Table, partner: PartnerId) -> Result<Vec<Account>, Error> {
    let all = || Range::partition(Index::Base, format!("PTR#{partner}"), ACCOUNTS_PAGE);
    let mut range = all().beginning("ACCT#");
    let mut accounts = Vec::new();
    loop {
        let page = table.page(&range).await?;
        let last = page.items.last().and_then(Key::of);
        for item in &page.items {
            accounts.push(account(item)?);
        }
        match last {
            // `$` is the character after `#`.
            Some(last) if page.more => range = all().between(format!("{}\0", last.sk), "ACCT$"),
            _ => return Ok(accounts),
        }
    }
}

/// Transfers by their ids, those that are items of their own and exist, in no order.
///
/// # Errors
/// The table's.
pub async fn find(table: &Table, ids: &[TransferId]) -> Result<Vec<Transfer>, Error> {
    table
        .get_many(ids.iter().map(|id| transfer_key(*id)))
        .await?
        .into_values()
        .map(transfer)
        .collect()
}

/// Accounts by their ids, those that something was posted to, read consistently.
///
/// # Errors
/// The table's.
pub async fn find_accounts(
    table: &Table,
    ids: &[AccountId],
) -> Result<HashMap<AccountId, Account>, Error> {
    let items = table
        .get_many(ids.iter().map(|id| account_key(*id)))
        .await?;
    items
        .values()
        .map(|item| account(item).map(|account| (account.id, account)))
        .collect()
}

/// One page of a month of a partner's list, from a position on in either direction; the entries may lag
/// behind the table.
///
/// # Errors
/// The table's.
pub async fn entries(
    table: &Table,
    partner: PartnerId,
    month: u32,
    from: ListFrom,
    limit: usize,
) -> Result<(Vec<Entry>, bool), Error> {
    let range = Range::partition(Index::List, list_partition(partner, month), limit);
    let range = match from {
        ListFrom::Newest => range.newest_first(),
        ListFrom::Below(position) => range.newest_first().below(position),
        ListFrom::Above(position) => range.between(format!("{position}\0"), "\u{10FFFF}"),
    };
    table.entries(&range).await
}

/// Where a page of a list begins.
#[derive(Clone, Debug)]
pub enum ListFrom {
    /// At the newest, going back.
    Newest,
    /// Before that position, going back.
    Below(String),
    /// After that position, going forward; the empty one is the beginning.
    Above(String),
}

/// The transfers behind entries of the list, in their order; those that are gone are left out.
///
/// # Errors
/// The table's.
pub async fn read(table: &Table, entries: &[Entry]) -> Result<Vec<Transfer>, Error> {
    let listed = read_listed(table, entries).await?;
    Ok(listed.into_iter().map(|(_, transfer)| transfer).collect())
}

/// The same, each with its list position.
///
/// # Errors
/// The table's.
pub async fn read_listed(
    table: &Table,
    entries: &[Entry],
) -> Result<Vec<(String, Transfer)>, Error> {
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    entries
        .iter()
        .filter_map(|entry| Some((entry.sort.clone(), items.remove(&entry.key)?)))
        .map(|(position, item)| Ok((position, transfer(item)?)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(of_transfer: bool, byte: u8) -> String {
        if of_transfer {
            TransferId::from_bytes([byte; 16]).to_string()
        } else {
            ConversionId::from_bytes([byte; 16]).to_string()
        }
    }

    #[test]
    fn packed_lines_are_small_and_cut_ones_are_noticed() {
        let lines = [
            (id(false, 1), 31),
            (id(true, 2), -32),
            (id(false, 3), 4_095),
        ];
        let packed = pack(&lines).unwrap();
        // Sixteen bytes of an id, and seven bits a byte of an amount with its sign and kind.
        assert_eq!(packed.len(), 3 * 16 + 1 + 1 + 2);
        assert_eq!(unpack(&packed).unwrap(), lines);
        for length in 0..packed.len() {
            let whole = [0, 17, 34].iter().position(|end| *end == length);
            let read = unpack(&packed[..length]);
            assert_eq!(read.map(|lines| lines.len()), whole, "{length} bytes");
        }
        // More of a number than any amount has.
        let mut endless = packed[..16].to_vec();
        endless.extend([0xff; 12]);
        assert_eq!(unpack(&endless), None);
        assert!(pack(&[("po_x".to_owned(), 1)]).is_err());
    }

    proptest! {
        #[test]
        fn packed_lines_read_back(
            lines in prop::collection::vec((any::<bool>(), any::<u8>(), any::<i64>()), 0..8),
            ends in prop::sample::select(vec![i64::MIN, -1, 0, 1, i64::MAX]),
        ) {
            let mut lines: Vec<(String, i64)> = lines
                .into_iter()
                .map(|(of_transfer, byte, minor)| (id(of_transfer, byte), minor))
                .collect();
            lines.push((id(true, 9), ends));
            prop_assert_eq!(unpack(&pack(&lines).unwrap()), Some(lines));
        }
    }
}
