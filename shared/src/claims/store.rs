//! Keys and items of customers' claims: those that are registered, the slots that are held of a customer's
//! identifiers, and the clicks that conversions of a customer have named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{CustomerClaim, EVERY_LINE, Share, Slot};
use super::registry::Hold;
use crate::channel::model::ClaimKind;
use crate::channel::wire::{stored_territories, territories_json};
use crate::clock::{Timestamp, date_of, days_after, parse, stamp};
use crate::customers::store::pointer_key;
use crate::ids::{ClaimId, ConversionId, CustomerId, DealId, LinkId, PartnerId, ProgramId};
use crate::table::{
    Condition, Error, Index, Item, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

/// Claims of a customer that are weighed: the earliest of the window.
const MAX_CLAIMS: usize = 25;
/// Days after a click at which its claim may go; longer than any window.
const KEEP_DAYS: u32 = 400;

fn partition(program: ProgramId, customer: &str) -> String {
    format!("CUST#{program}#{customer}")
}

#[derive(Serialize, Deserialize)]
struct ClaimItem {
    pk: String,
    sk: String,
    link: LinkId,
    at: String,
    expires_at: i64,
}

/// The put of a click as a customer's claim; where it stands already, nothing is to be done.
///
/// # Errors
/// Never for a well-formed claim.
pub fn put(program: ProgramId, customer: &str, link: LinkId, at: Timestamp) -> Result<Put, Error> {
    let Key { pk, sk } = Key::new(
        partition(program, customer),
        format!("CLICK#{}#{link}", stamp(at)),
    );
    Put::new(&ClaimItem {
        pk,
        sk,
        link,
        at: stamp(at),
        expires_at: days_after(at, KEEP_DAYS).as_second(),
    })
}

/// The earliest clicks of a customer from `from` to `to`, both included; at most [`MAX_CLAIMS`].
///
/// # Errors
/// The table's.
pub async fn clicks(
    table: &Table,
    program: ProgramId,
    customer: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(LinkId, Timestamp)>, Error> {
    let range = Range::partition(Index::Base, partition(program, customer), MAX_CLAIMS).between(
        format!("CLICK#{}", stamp(from)),
        // `$` is the character after `#`, so the last millisecond is included with all its links.
        format!("CLICK#{}$", stamp(to)),
    );
    let page = table.page(&range).await?;
    page.items
        .into_iter()
        .map(|item| {
            let ClaimItem { link, at, .. } = crate::table::from_item(item)?;
            let at = parse(&at).ok_or_else(|| Error::Malformed("a claim's time".to_owned()))?;
            Ok((link, at))
        })
        .collect()
}

// ---- Claims that are registered

/// Registered claims of a customer that are read at a time: more than one comes by in years.
const REGISTERED_PAGE: usize = 200;

fn registered_partition(program: ProgramId, customer: CustomerId) -> String {
    format!("CLAIMS#{program}#{customer}")
}

fn registered_key(program: ProgramId, customer: CustomerId, kind: ClaimKind, id: &str) -> Key {
    Key::new(
        registered_partition(program, customer),
        format!("{}#{id}", kind.name()),
    )
}

/// The list of a program's registered claims, newest first.
#[must_use]
pub fn registered_list(program: ProgramId) -> String {
    format!("CLAIMS#{program}")
}

#[derive(Serialize, Deserialize)]
struct RegisteredItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    program: ProgramId,
    customer: CustomerId,
    kind: String,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    product_lines: Vec<String>,
    /// As JSON, in the form in which they are said.
    territories: String,
    from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    /// With which other record of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared_with: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sold_as: Option<ConversionId>,
    is_opportunity: bool,
    evidence: String,
    hashes: Vec<String>,
    version: u64,
}

fn registered_item(claim: &CustomerClaim) -> RegisteredItem {
    let CustomerClaim {
        program,
        customer,
        kind,
        id,
        partner,
        product_lines,
        territories,
        from,
        until,
        share,
        sold_as,
        is_opportunity,
        evidence,
        hashes,
        version,
    } = claim.clone();
    let Key { pk, sk } = registered_key(program, customer, kind, &id);
    let (share, shared_with) = share
        .map(|Share { part, with }| (part.to_string(), with))
        .unzip();
    RegisteredItem {
        pk,
        sk,
        list_pk: registered_list(program),
        list_sk: format!("{}#{id}", stamp(from)),
        program,
        customer,
        kind: kind.name().to_owned(),
        id,
        partner,
        product_lines,
        territories: territories_json(&territories).to_string(),
        from,
        until,
        share,
        shared_with,
        sold_as,
        is_opportunity,
        evidence,
        hashes,
        version,
    }
}

fn registered(item: RegisteredItem) -> Result<CustomerClaim, Error> {
    let RegisteredItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        program,
        customer,
        kind,
        id,
        partner,
        product_lines,
        territories: said,
        from,
        until,
        share,
        shared_with,
        sold_as,
        is_opportunity,
        evidence,
        hashes,
        version,
    } = item;
    let malformed = |what: &str| Error::Malformed(format!("a claim's {what}"));
    Ok(CustomerClaim {
        program,
        customer,
        kind: ClaimKind::of(&kind).ok_or_else(|| malformed("kind"))?,
        id,
        partner,
        product_lines,
        territories: stored_territories(&said).map_err(Error::Malformed)?,
        from,
        until,
        share: share
            .zip(shared_with)
            .map(|(part, with)| {
                let part = part.parse().map_err(|_| malformed("share"))?;
                Ok::<_, Error>(Share { part, with })
            })
            .transpose()?,
        sold_as,
        is_opportunity,
        evidence,
        hashes,
        version,
    })
}

/// The put of a new claim.
///
/// # Errors
/// Never for a well-formed claim.
pub fn put_claim(claim: &CustomerClaim) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&registered_item(claim))?))
}

/// The change of a claim from the version before.
///
/// # Errors
/// Never for a well-formed claim.
pub fn change_claim(claim: &CustomerClaim) -> Result<Op, Error> {
    let before = i64::try_from(claim.version.saturating_sub(1)).unwrap_or(0);
    let update = Update::rewrite(
        &registered_item(claim),
        &["partner", "until", "share", "shared_with", "sold_as"],
    )?;
    Ok(Op::Update(
        update.only_if(Condition::equals("version", int(before))),
    ))
}

/// A claim by the record that it is of.
///
/// # Errors
/// The table's.
pub async fn find_claim(
    table: &Table,
    program: ProgramId,
    customer: CustomerId,
    kind: ClaimKind,
    id: &str,
) -> Result<Option<CustomerClaim>, Error> {
    table
        .get::<RegisteredItem>(&registered_key(program, customer, kind, id))
        .await?
        .map(registered)
        .transpose()
}

/// The registered claims to a customer, ended ones included. One round trip, unless there are very many.
///
/// # Errors
/// The table's.
pub async fn claims_of(
    table: &Table,
    program: ProgramId,
    customer: CustomerId,
) -> Result<Vec<CustomerClaim>, Error> {
    let partition = registered_partition(program, customer);
    let range = Range::partition(Index::Base, partition, REGISTERED_PAGE);
    let found = table.all::<RegisteredItem>(range).await?;
    found.into_iter().map(registered).collect()
}

/// A page of a program's registered claims, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page_of_claims(
    table: &Table,
    program: ProgramId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<CustomerClaim>, Option<String>), Error> {
    let mut range = Range::partition(Index::List, registered_list(program), limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, more) = table.entries(&range).await?;
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    let found = entries
        .iter()
        .filter_map(|entry| items.remove(&entry.key))
        .map(|item| registered(from_item(item)?))
        .collect::<Result<Vec<_>, Error>>()?;
    let position = entries.last().filter(|_| more);
    Ok((found, position.map(|entry| entry.sort.clone())))
}

// ---- What deals have sold

/// Days after which it may be forgotten what was credited because of a deal: longer than any is protected.
const SOLD_DAYS: u32 = 1_500;

fn sold_partition(deal: DealId) -> String {
    format!("SOLD#{deal}")
}

#[derive(Serialize, Deserialize)]
struct SoldItem {
    pk: String,
    sk: String,
    expires_at: i64,
}

/// Counts what was noted of a deal: whoever decides by the notes sees to it that none has come since.
const SOLD_COUNT: &str = "COUNT";

/// The writes that note a conversion that is credited because of a deal, the note first; where that stands already,
/// nothing is to be done.
///
/// # Errors
/// Never for a well-formed id.
pub(super) fn note_sold(
    deal: DealId,
    conversion: ConversionId,
    now: Timestamp,
) -> Result<[Op; 2], Error> {
    let expires_at = days_after(now, SOLD_DAYS).as_second();
    let note = Put::new(&SoldItem {
        pk: sold_partition(deal),
        sk: conversion.to_string(),
        expires_at,
    })?;
    let count = Update::at(Key::new(sold_partition(deal), SOLD_COUNT))
        .add("n", 1)
        .set("expires_at", int(expires_at));
    Ok([Op::Put(note), Op::Update(count)])
}

/// The conversions that were noted as credited because of a deal, and how often any was noted.
///
/// # Errors
/// The table's.
pub async fn sold(table: &Table, deal: DealId) -> Result<(Vec<ConversionId>, i64), Error> {
    #[derive(Deserialize)]
    struct Noted {
        sk: String,
        n: Option<i64>,
    }
    let range = Range::partition(Index::Base, sold_partition(deal), REGISTERED_PAGE);
    let (mut noted, mut count) = (Vec::new(), 0);
    for Noted { sk, n } in table.all::<Noted>(range).await? {
        match n {
            Some(n) => count = n,
            None => noted.push(
                sk.parse()
                    .map_err(|_| Error::Malformed(format!("{sk} is no conversion")))?,
            ),
        }
    }
    Ok((noted, count))
}

/// The check that nothing more was noted of a deal than that often.
#[must_use]
pub fn still_sold(deal: DealId, count: i64) -> Op {
    let as_read = match count {
        0 => Condition::default().and_absent("n"),
        count => Condition::equals("n", int(count)),
    };
    Op::Check(Key::new(sold_partition(deal), SOLD_COUNT), as_read)
}

// ---- Claims that are records of their own

#[derive(Serialize, Deserialize)]
struct RecordItem {
    pk: String,
    sk: String,
    /// Of a referral: the list of its partner's in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sk: Option<String>,
    program: ProgramId,
    customer: CustomerId,
    kind: String,
}

fn record_key(id: ClaimId) -> Key {
    Key::new(format!("CLAIM#{id}"), "CLAIM")
}

fn referrals_list(program: ProgramId, partner: PartnerId) -> String {
    format!("REFERRALS#{program}#{partner}")
}

/// The put of what finds a claim by its id alone.
///
/// # Errors
/// Never for a well-formed claim.
pub fn put_record(id: ClaimId, claim: &CustomerClaim) -> Result<Op, Error> {
    let Key { pk, sk } = record_key(id);
    let list = claim
        .partner
        .map(|partner| referrals_list(claim.program, partner));
    let item = RecordItem {
        pk,
        sk,
        list_sk: list.as_ref().map(|_| format!("{}#{id}", stamp(claim.from))),
        list_pk: list,
        program: claim.program,
        customer: claim.customer,
        kind: claim.kind.name().to_owned(),
    };
    Ok(Op::Put(Put::new(&item)?))
}

fn claim_key_of(item: RecordItem) -> Result<Key, Error> {
    let RecordItem {
        pk,
        sk: _,
        list_pk: _,
        list_sk: _,
        program,
        customer,
        kind,
    } = item;
    let kind = ClaimKind::of(&kind)
        .ok_or_else(|| Error::Malformed(format!("{kind} is not a kind of claim")))?;
    let id = pk.trim_start_matches("CLAIM#");
    Ok(registered_key(program, customer, kind, id))
}

/// A claim by its own id. Two round trips.
///
/// # Errors
/// The table's.
pub async fn find_record(table: &Table, id: ClaimId) -> Result<Option<CustomerClaim>, Error> {
    let Some(item) = table.get::<RecordItem>(&record_key(id)).await? else {
        return Ok(None);
    };
    table
        .get::<RegisteredItem>(&claim_key_of(item)?)
        .await?
        .map(registered)
        .transpose()
}

/// Days after which a day's count of referrals may go.
const COUNT_DAYS: u32 = 2;

/// The change that counts one more customer that a partner named in the day of `now`, refused where there are
/// `most` already.
#[must_use]
pub fn count_referral(program: ProgramId, partner: PartnerId, most: i64, now: Timestamp) -> Op {
    let day = date_of(now);
    let key = Key::new(format!("CLAIM#{program}#{partner}#{day}"), "COUNT");
    let update = Update::at(key)
        .add("named", 1)
        .set("expires_at", int(days_after(now, COUNT_DAYS).as_second()))
        .only_if(Condition::default().and_absent_or_below("named", int(most)));
    Op::Update(update)
}

/// A page of a partner's referrals, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page_of_referrals(
    table: &Table,
    program: ProgramId,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<CustomerClaim>, Option<String>), Error> {
    let list = referrals_list(program, partner);
    let mut range = Range::partition(Index::List, list, limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, more) = table.entries(&range).await?;
    let mut records = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    let keys = entries
        .iter()
        .filter_map(|entry| records.remove(&entry.key))
        .map(|item| claim_key_of(from_item(item)?))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut items = table.get_many(keys.clone()).await?;
    let found = keys
        .iter()
        .filter_map(|key| items.remove(key))
        .map(|item| registered(from_item(item)?))
        .collect::<Result<Vec<_>, Error>>()?;
    let position = entries.last().filter(|_| more);
    Ok((found, position.map(|entry| entry.sort.clone())))
}

/// The changes by which a claim of the vendor's own is no longer seen from these identifiers.
///
/// # Errors
/// The table's.
pub(super) async fn unseen(
    table: &Table,
    claim: &CustomerClaim,
    hashes: &[String],
) -> Result<Vec<Op>, Error> {
    let keys: Vec<Key> = hashes
        .iter()
        .map(|hash| direct_key(claim.program, hash))
        .collect();
    let mut items = table.get_many(keys.clone()).await?;
    let mut ops = Vec::new();
    for (hash, key) in hashes.iter().zip(&keys) {
        if let Some(item) = items.remove(key) {
            let mut direct = direct(item)?;
            direct.holds.remove(&claim.id);
            ops.push(save_direct(claim.program, hash, direct)?);
        }
    }
    Ok(ops)
}

// ---- What is held of a customer's identifiers

#[derive(Serialize, Deserialize)]
struct SlotItem {
    pk: String,
    sk: String,
    kind: String,
    line: String,
    holder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    until: Timestamp,
    expires_at: i64,
}

fn slot_key(program: ProgramId, hash: &str, kind: ClaimKind, line: &str) -> Key {
    Key::new(
        format!("IDENT#{hash}"),
        format!("HELD#{program}#{}#{line}", kind.name()),
    )
}

/// Under which keys slots of an identifier stand, for these product lines: deals' for each, and the one lead's.
pub(super) fn slot_keys(program: ProgramId, hash: &str, lines: &[String]) -> Vec<Key> {
    // What was registered before the program told its product lines apart holds for all of them.
    let every = EVERY_LINE.to_owned();
    let all = lines
        .iter()
        .chain((!lines.contains(&every)).then_some(&every));
    let mut keys: Vec<Key> = all
        .map(|line| slot_key(program, hash, ClaimKind::Deal, line))
        .collect();
    keys.push(slot_key(program, hash, ClaimKind::Lead, EVERY_LINE));
    keys
}

/// All keys at which something is known of an identifier, for these product lines.
pub(super) fn keys_of(program: ProgramId, hash: &str, lines: &[String]) -> Vec<Key> {
    let mut keys = slot_keys(program, hash, lines);
    keys.push(pointer_key(hash));
    keys.push(direct_key(program, hash));
    keys
}

/// A slot that stands at `now`; none for one that has expired.
pub(super) fn slot(item: Item, now: Timestamp) -> Result<Option<Slot>, Error> {
    let SlotItem {
        pk,
        sk: _,
        kind,
        line,
        holder,
        partner,
        until,
        expires_at,
    } = from_item(item)?;
    let kind = ClaimKind::of(&kind)
        .ok_or_else(|| Error::Malformed(format!("{kind} is not a kind of claim")))?;
    Ok((expires_at > now.as_second()).then(|| Slot {
        identifier: pk.trim_start_matches("IDENT#").to_owned(),
        product_line: line,
        kind,
        holder,
        partner,
        until: Some(until),
    }))
}

pub(super) fn take(
    hold: &Hold<'_>,
    hash: &str,
    line: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Op, Error> {
    let Key { pk, sk } = slot_key(hold.program, hash, hold.kind, line);
    let put = Put::new(&SlotItem {
        pk,
        sk,
        kind: hold.kind.name().to_owned(),
        line: line.to_owned(),
        holder: hold.holder.to_owned(),
        partner: hold.partner,
        until,
        expires_at: until.as_second(),
    })?;
    Ok(Op::Put(put.or_expired(now.as_second())))
}

pub(super) fn keep(hold: &Hold<'_>, hash: &str, line: &str, until: Timestamp) -> Op {
    let key = slot_key(hold.program, hash, hold.kind, line);
    let mut update = Update::at(key)
        .set("until", text(until.to_string()))
        .set("expires_at", int(until.as_second()));
    if let Some(partner) = hold.partner {
        update = update.set("partner", text(partner.to_string()));
    }
    Op::Update(update.only_if(Condition::equals("holder", text(hold.holder))))
}

pub(super) fn vacate(hold: &Hold<'_>, hash: &str, line: &str) -> Op {
    let key = slot_key(hold.program, hash, hold.kind, line);
    let update = Update::at(key).remove("partner");
    Op::Update(update.only_if(Condition::equals("holder", text(hold.holder))))
}

pub(super) fn pass(
    hold: &Hold<'_>,
    hash: &str,
    line: &str,
    (to, partner): (&str, PartnerId),
    until: Timestamp,
) -> Op {
    let update = Update::at(slot_key(hold.program, hash, hold.kind, line))
        .set("until", text(until.to_string()))
        .set("expires_at", int(until.as_second()))
        .set("holder", text(to))
        .set("partner", text(partner.to_string()));
    Op::Update(update.only_if(Condition::equals("holder", text(hold.holder))))
}

/// What the vendor itself holds of an identifier.
#[derive(Clone, Debug, Default)]
pub struct Direct {
    holds: BTreeMap<String, DirectEntry>,
    version: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct DirectEntry {
    lines: Vec<String>,
    from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    is_opportunity: bool,
}

#[derive(Serialize, Deserialize)]
struct DirectItem {
    pk: String,
    sk: String,
    holds: BTreeMap<String, DirectEntry>,
    version: u64,
}

pub(super) fn direct_key(program: ProgramId, hash: &str) -> Key {
    Key::new(format!("IDENT#{hash}"), format!("DIRECT#{program}"))
}

pub(super) fn direct(item: Item) -> Result<Direct, Error> {
    let DirectItem { holds, version, .. } = from_item(item)?;
    Ok(Direct { holds, version })
}

pub(super) fn save_direct(program: ProgramId, hash: &str, direct: Direct) -> Result<Op, Error> {
    let Direct { holds, version } = direct;
    let Key { pk, sk } = direct_key(program, hash);
    let item = DirectItem {
        pk,
        sk,
        holds,
        version: version + 1,
    };
    if version == 0 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let before = i64::try_from(version).unwrap_or(0);
    let update = Update::rewrite(&item, &[])?;
    Ok(Op::Update(
        update.only_if(Condition::equals("version", int(before))),
    ))
}

impl Direct {
    /// How many holds there are.
    pub(super) fn len(&self) -> usize {
        self.holds.len()
    }

    /// The same with a claim as it stands now, without those that ended.
    pub(super) fn with(mut self, claim: &CustomerClaim, now: Timestamp) -> Self {
        self.holds.insert(
            claim.id.clone(),
            DirectEntry {
                lines: claim.product_lines.clone(),
                from: claim.from,
                until: claim.until,
                is_opportunity: claim.is_opportunity,
            },
        );
        self.holds
            .retain(|_, held| held.until.is_none_or(|until| until > now));
        self
    }

    /// What stands at `now` for one of the product lines, with whether it is an open opportunity.
    pub(super) fn slots(
        &self,
        hash: &str,
        product_lines: &[String],
        now: Timestamp,
    ) -> Vec<(Slot, bool)> {
        let concerns = |held: &DirectEntry| {
            held.lines.is_empty()
                || product_lines.is_empty()
                || held.lines.iter().any(|line| product_lines.contains(line))
        };
        self.holds
            .iter()
            .filter(|(_, held)| held.from <= now && held.until.is_none_or(|until| until > now))
            .filter(|(_, held)| concerns(held))
            .map(|(claim, held)| {
                let slot = Slot {
                    identifier: hash.to_owned(),
                    product_line: held
                        .lines
                        .first()
                        .cloned()
                        .unwrap_or_else(|| EVERY_LINE.to_owned()),
                    kind: ClaimKind::Direct,
                    holder: claim.clone(),
                    partner: None,
                    until: held.until,
                };
                (slot, held.is_opportunity)
            })
            .collect()
    }
}
