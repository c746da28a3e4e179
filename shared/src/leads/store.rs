//! Keys and items of leads: themselves, the people who ask, offers, explanations; a program's rules, what its
//! partners did with leads, and whose turn it is.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{
    ACTORS, Closing, Contact, DECLINE_REASONS, End, Further, Inquiry, LOSS_REASONS, Lead, Offer,
    Routing, SOURCES, STAGES, Stage, Step, Why, end_name, name_of,
};
use super::routing::{Credits, Tally};
use super::wire;
use crate::channel::model::ClaimKind;
use crate::clock::{Timestamp, stamp};
use crate::customers::wire::{company_json, stored as stored_company};
use crate::ids::{ConversionId, CustomerId, LeadId, OperatorId, PartnerId, ProgramId};
use crate::money::Money;
use crate::table::{
    Condition, Entry, Error, Index, Item, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

/// Items that the tallies of a program's partners are spread over: one read has them all, and a move rewrites
/// one of them.
pub const TALLY_PARTS: u8 = 64;
/// Credits of one item of a rule's turns: 27 bytes each, and DynamoDB holds 400 KB in one. The roster's own bound keeps
/// a rule's items below what one transaction takes.
pub const TURNS_OF_ITEM: usize = 10_000;
/// Partitions of leads that time moves on.
pub const DUE_SHARDS: u8 = 4;

fn lead_key(id: LeadId) -> Key {
    Key::new(format!("LEAD#{id}"), "LEAD")
}

fn contact_key(id: LeadId) -> Key {
    Key::new(format!("LEAD#{id}"), "CONTACT")
}

fn further_key(id: LeadId) -> Key {
    Key::new(format!("LEAD#{id}"), "FURTHER")
}

fn offer_key(id: LeadId, partner: PartnerId) -> Key {
    Key::new(format!("LEAD#{id}"), format!("OFFER#{partner}"))
}

fn changed_key(id: LeadId) -> Key {
    Key::new(format!("LEAD#{id}"), "CHANGED")
}

fn routed_key(id: LeadId, number: usize) -> Key {
    Key::new(format!("LEAD#{id}"), format!("ROUTED#{number:03}"))
}

fn routing_key(program: ProgramId) -> Key {
    Key::new(format!("LEADRULES#{program}"), "RULES")
}

fn tallies_key(program: ProgramId, part: u8) -> Key {
    Key::new(format!("LEADCOUNT#{program}#{part:02}"), "TALLIES")
}

fn turns_key(program: ProgramId, rule: &str) -> Key {
    Key::new(format!("LEADTURN#{program}"), rule)
}

/// Where a rule's turns go on that one item does not hold; no code has such a mark in it.
fn more_turns_key(program: ProgramId, rule: &str, number: u32) -> Key {
    turns_key(program, &format!("{rule}#{number}"))
}

fn spent_key(challenge: &str) -> Key {
    Key::new(format!("LEADFORM#{challenge}"), "SPENT")
}

fn count_key(program: ProgramId, of: &str, hour: i64) -> Key {
    Key::new(format!("LEADFORM#{program}#{of}"), format!("HOUR#{hour}"))
}

/// The lead that an item belongs to.
fn lead_of(key: &Key) -> Option<LeadId> {
    key.pk.strip_prefix("LEAD#")?.parse().ok()
}

/// The part in which a partner's tally is.
#[must_use]
pub fn part_of(partner: PartnerId) -> u8 {
    // The last byte is random in every id.
    partner.bytes()[15] % TALLY_PARTS
}

/// Which leads are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A program's, newest first.
    Program(ProgramId),
    /// Those of a program that wait for an operator, oldest first.
    Queue(ProgramId),
    /// Those that were offered to a partner, the last one first.
    Partner(PartnerId),
}

fn program_partition(program: ProgramId) -> String {
    format!("LEADS#{program}")
}

fn partner_partition(partner: PartnerId) -> String {
    format!("LEADS#{partner}")
}

fn feed_partition(program: ProgramId) -> String {
    format!("LEADFEED#{program}")
}

fn queue_partition(program: ProgramId) -> String {
    format!("LEADQUEUE#{program}")
}

fn due_partition(shard: u8) -> String {
    format!("LEADDUE#{shard}")
}

#[derive(Serialize, Deserialize)]
struct LeadItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    /// Where time moves it on, or where it waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: LeadId,
    program: ProgramId,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// As JSON, in the form in which it is described; without a mailbox.
    company: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    employees: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    product_lines: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    need: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<String>,
    held_until: Timestamp,
    stage: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    offers: Vec<OfferPart>,
    steps: Vec<StepPart>,
    #[serde(default)]
    asked_again: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closing: Option<ClosingPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    received_at: Timestamp,
    changed_at: Timestamp,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct OfferPart {
    partner: PartnerId,
    at: Timestamp,
    respond_by: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim_kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator: Option<OperatorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct StepPart {
    stage: String,
    at: Timestamp,
    by: String,
}

#[derive(Serialize, Deserialize)]
struct ClosingPart {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversion: Option<ConversionId>,
}

#[derive(Serialize, Deserialize)]
struct ContactItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What a lead's company asked further.
#[derive(Serialize, Deserialize)]
struct FurtherItem {
    pk: String,
    sk: String,
    /// Absent once erased.
    #[serde(default)]
    inquiries: Vec<FurtherPart>,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct FurtherPart {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    product_lines: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct RoutedItem {
    pk: String,
    sk: String,
    said: String,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct RoutingItem {
    pk: String,
    sk: String,
    said: String,
    version: u64,
}

/// Many small counters in one item, packed, because their names would be most of it.
#[derive(Serialize, Deserialize)]
struct PackedItem {
    pk: String,
    sk: String,
    packed: String,
    /// Further items that belong to it.
    #[serde(default)]
    more: u32,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct SpentItem {
    pk: String,
    sk: String,
    expires_at: i64,
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("lead: {what}"))
}

fn named<T: Copy>(choices: &[(&str, T)], name: &str) -> Result<T, Error> {
    let found = choices.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| malformed(name))
}

fn offer_part(offer: Offer) -> OfferPart {
    let Offer {
        partner,
        at,
        respond_by,
        why,
        accepted_at,
        ended,
    } = offer;
    let (end, ended_at) = ended.unzip();
    let reason = match end {
        Some(End::Declined(reason)) => Some(name_of(DECLINE_REASONS, reason).to_owned()),
        _ => None,
    };
    let (mut rule, mut claim_kind, mut claim, mut operator) = (None, None, None, None);
    match why {
        Why::Rule(code) => rule = Some(code),
        Why::Claim { kind, holder } => {
            (claim_kind, claim) = (Some(kind.name().to_owned()), Some(holder));
        }
        Why::Operator(id) => operator = Some(id),
    }
    OfferPart {
        partner,
        at,
        respond_by,
        rule,
        claim_kind,
        claim,
        operator,
        accepted_at,
        end: end.map(|end| end_name(end).to_owned()),
        reason,
        ended_at,
    }
}

fn end(name: &str, reason: Option<&str>) -> Result<End, Error> {
    Ok(match name {
        "declined" => End::Declined(named(DECLINE_REASONS, reason.unwrap_or_default())?),
        "expired" => End::Expired,
        "withdrawn" => End::Withdrawn,
        "reclaimed" => End::Reclaimed,
        "won" => End::Won,
        "lost" => End::Lost,
        other => return Err(malformed(other)),
    })
}

fn offer(part: OfferPart) -> Result<Offer, Error> {
    let OfferPart {
        partner,
        at,
        respond_by,
        rule,
        claim_kind,
        claim,
        operator,
        accepted_at,
        end: ended,
        reason,
        ended_at,
    } = part;
    let why = match (rule, claim_kind.zip(claim), operator) {
        (Some(code), _, _) => Why::Rule(code),
        (None, Some((kind, holder)), _) => Why::Claim {
            kind: ClaimKind::of(&kind).ok_or_else(|| malformed("a claim's kind"))?,
            holder,
        },
        (None, None, Some(id)) => Why::Operator(id),
        (None, None, None) => return Err(malformed("an offer for no reason")),
    };
    let ended = match ended.zip(ended_at) {
        Some((name, at)) => Some((end(&name, reason.as_deref())?, at)),
        None => None,
    };
    Ok(Offer {
        partner,
        at,
        respond_by,
        why,
        accepted_at,
        ended,
    })
}

fn closing_part(closing: Closing) -> ClosingPart {
    match closing {
        Closing::Won { amount, conversion } => ClosingPart {
            reason: None,
            minor: Some(amount.minor()),
            currency: Some(amount.currency().code().to_owned()),
            conversion: Some(conversion),
        },
        Closing::Lost(reason) => ClosingPart {
            reason: Some(name_of(LOSS_REASONS, reason).to_owned()),
            minor: None,
            currency: None,
            conversion: None,
        },
    }
}

fn closing(part: ClosingPart) -> Result<Closing, Error> {
    let ClosingPart {
        reason,
        minor,
        currency,
        conversion,
    } = part;
    if let Some(reason) = reason {
        return Ok(Closing::Lost(named(LOSS_REASONS, &reason)?));
    }
    let currency = currency.ok_or_else(|| malformed("currency"))?;
    let currency = currency.parse().map_err(|_| malformed("currency"))?;
    Ok(Closing::Won {
        amount: Money::new(minor.ok_or_else(|| malformed("amount"))?, currency),
        conversion: conversion.ok_or_else(|| malformed("conversion"))?,
    })
}

fn position(at: Timestamp, id: LeadId) -> String {
    format!("{}#{id}", stamp(at))
}

/// Where time finds a lead, or an operator who looks what waits.
fn waits(lead: &Lead) -> Option<(String, String)> {
    if lead.stage == Stage::Queued {
        let at = lead.steps.last().map_or(lead.received_at, |step| step.at);
        return Some((queue_partition(lead.program), position(at, lead.id)));
    }
    let shard = lead.id.bytes()[15] % DUE_SHARDS;
    let due = lead.due?;
    Some((due_partition(shard), position(due, lead.id)))
}

fn lead_item(lead: &Lead) -> LeadItem {
    let (due_pk, due_sk) = waits(lead).unzip();
    let Lead {
        id,
        program,
        inquiry,
        customer,
        hashes,
        held_until,
        stage,
        offers,
        steps,
        asked_again,
        closing,
        due,
        received_at,
        changed_at,
        version,
    } = lead.clone();
    let Inquiry {
        source,
        reference,
        company,
        employees,
        product_lines,
        language,
        need,
    } = inquiry;
    let Key { pk, sk } = lead_key(id);
    LeadItem {
        pk,
        sk,
        list_pk: program_partition(program),
        list_sk: position(received_at, id),
        due_pk,
        due_sk,
        id,
        program,
        source: name_of(SOURCES, source).to_owned(),
        reference,
        company: company_json(&company).to_string(),
        employees,
        product_lines,
        language,
        need,
        customer,
        hashes,
        held_until,
        stage: name_of(STAGES, stage).to_owned(),
        offers: offers.into_iter().map(offer_part).collect(),
        steps: steps
            .into_iter()
            .map(|Step { stage, at, by }| StepPart {
                stage: name_of(STAGES, stage).to_owned(),
                at,
                by: name_of(ACTORS, by).to_owned(),
            })
            .collect(),
        asked_again,
        closing: closing.map(closing_part),
        due,
        received_at,
        changed_at,
        version,
    }
}

fn lead(item: LeadItem) -> Result<Lead, Error> {
    let LeadItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        program,
        source,
        reference,
        company,
        employees,
        product_lines,
        language,
        need,
        customer,
        hashes,
        held_until,
        stage,
        offers,
        steps,
        asked_again,
        closing: closed,
        due,
        received_at,
        changed_at,
        version,
    } = item;
    let step = |StepPart { stage, at, by }: StepPart| {
        Ok(Step {
            stage: named(STAGES, &stage)?,
            at,
            by: named(ACTORS, &by)?,
        })
    };
    Ok(Lead {
        id,
        program,
        inquiry: Inquiry {
            source: named(SOURCES, &source)?,
            reference,
            company: stored_company(&company).map_err(Error::Malformed)?,
            employees,
            product_lines,
            language,
            need,
        },
        customer,
        hashes,
        held_until,
        stage: named(STAGES, &stage)?,
        offers: offers.into_iter().map(offer).collect::<Result<_, _>>()?,
        steps: steps.into_iter().map(step).collect::<Result<_, Error>>()?,
        asked_again,
        closing: closed.map(closing).transpose()?,
        due,
        received_at,
        changed_at,
        version,
    })
}

// ---- Leads

/// The puts of a new lead and of the person who asks.
///
/// # Errors
/// Never for a well-formed lead.
pub fn put(lead: &Lead, contact: &Contact) -> Result<[Op; 2], Error> {
    let Key { pk, sk } = contact_key(lead.id);
    let Contact {
        name,
        email,
        phone,
        message,
    } = contact.clone();
    let contact = ContactItem {
        pk,
        sk,
        name,
        email,
        phone,
        message,
    };
    Ok([
        Op::Put(Put::new(&lead_item(lead))?),
        Op::Put(Put::new(&contact)?),
    ])
}

/// The change of a lead from that version.
///
/// # Errors
/// Never for a well-formed lead.
pub fn change(lead: &Lead, before: u64) -> Result<Op, Error> {
    let clearable = ["due_pk", "due_sk", "due", "closing"];
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let update = Update::rewrite(&lead_item(lead), &clearable)?;
    Ok(Op::Update(
        update.only_if(Condition::equals("version", int(before))),
    ))
}

/// The write by which a lead's last change is found in the order of changes. Beside the lead's own.
#[must_use]
pub fn mark_changed(lead: &Lead) -> Op {
    let update = Update::at(changed_key(lead.id))
        .set("list_pk", text(feed_partition(lead.program)))
        .set("list_sk", text(position(lead.changed_at, lead.id)));
    Op::Update(update)
}

/// The write by which a lead is among those of a partner it is offered to. Beside the lead's own.
#[must_use]
pub fn list_offer(lead: LeadId, partner: PartnerId, at: Timestamp) -> Op {
    let update = Update::at(offer_key(lead, partner))
        .set("list_pk", text(partner_partition(partner)))
        .set("list_sk", text(position(at, lead)));
    Op::Update(update)
}

/// The put of an explanation, in the form in which it is read.
///
/// # Errors
/// Never.
pub fn put_explanation(
    lead: LeadId,
    number: usize,
    said: &Value,
    at: Timestamp,
) -> Result<Op, Error> {
    let Key { pk, sk } = routed_key(lead, number);
    Ok(Op::Put(Put::new(&RoutedItem {
        pk,
        sk,
        said: said.to_string(),
        at,
    })?))
}

/// The change that forgets who asked.
#[must_use]
pub fn erase_contact(id: LeadId) -> Op {
    let update = ["name", "email", "phone", "message"]
        .into_iter()
        .fold(Update::at(contact_key(id)), Update::remove);
    Op::Update(update.only_if(Condition::exists()))
}

/// The change that forgets what was asked further, where that was. Its version moves on, so that an inquiry that
/// comes in at the same moment does not bring back those that were read before.
#[must_use]
pub fn erase_further(id: LeadId) -> Op {
    let update = Update::at(further_key(id))
        .remove("inquiries")
        .add("version", 1);
    Op::Update(update.only_if(Condition::exists()))
}

/// The write that leaves these further inquiries, in place of the version before.
///
/// # Errors
/// Never.
pub fn save_further(id: LeadId, further: &[Further], version: u64) -> Result<Op, Error> {
    let Key { pk, sk } = further_key(id);
    let parts = further.iter().cloned().map(|one| {
        let Further {
            at,
            contact,
            product_lines,
        } = one;
        let Contact {
            name,
            email,
            phone,
            message,
        } = contact;
        FurtherPart {
            at,
            name,
            email,
            phone,
            message,
            product_lines,
        }
    });
    let item = FurtherItem {
        pk,
        sk,
        inquiries: parts.collect(),
        version,
    };
    save(&item, version)
}

/// What a lead's company asked further, with its version; 0 where nothing was.
///
/// # Errors
/// The table's.
pub async fn further(table: &Table, id: LeadId) -> Result<(Vec<Further>, u64), Error> {
    let Some(item) = table.get::<FurtherItem>(&further_key(id)).await? else {
        return Ok((Vec::new(), 0));
    };
    let read = |part: FurtherPart| {
        let FurtherPart {
            at,
            name,
            email,
            phone,
            message,
            product_lines,
        } = part;
        Further {
            at,
            contact: Contact {
                name,
                email,
                phone,
                message,
            },
            product_lines,
        }
    };
    Ok((item.inquiries.into_iter().map(read).collect(), item.version))
}

/// A lead with the person who asks.
///
/// # Errors
/// The table's.
pub async fn find(table: &Table, id: LeadId) -> Result<Option<(Lead, Contact)>, Error> {
    Ok(find_many(table, &[id]).await?.pop())
}

/// Leads with the people who ask, in the order of `ids`: one round trip.
///
/// # Errors
/// The table's.
pub async fn find_many(table: &Table, ids: &[LeadId]) -> Result<Vec<(Lead, Contact)>, Error> {
    let keys = ids.iter().flat_map(|id| [lead_key(*id), contact_key(*id)]);
    let mut items = table.get_many(keys).await?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(item) = items.remove(&lead_key(*id)) else {
            continue;
        };
        let contact = match items.remove(&contact_key(*id)) {
            None => Contact::default(),
            Some(item) => {
                let ContactItem {
                    pk: _,
                    sk: _,
                    name,
                    email,
                    phone,
                    message,
                } = from_item(item)?;
                Contact {
                    name,
                    email,
                    phone,
                    message,
                }
            }
        };
        found.push((lead(from_item(item)?)?, contact));
    }
    Ok(found)
}

/// The explanations of a lead's assignments, in their order, each with its time.
///
/// # Errors
/// The table's.
pub async fn explanations(table: &Table, id: LeadId) -> Result<Vec<(Timestamp, Value)>, Error> {
    let range = Range::partition(Index::Base, lead_key(id).pk, 100).beginning("ROUTED#");
    let items: Vec<RoutedItem> = table.all(range).await?;
    items
        .into_iter()
        .map(|RoutedItem { said, at, .. }| {
            let said = serde_json::from_str(&said).map_err(|_| malformed("an explanation"))?;
            Ok((at, said))
        })
        .collect()
}

/// A page of ids, beyond a position, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page(
    table: &Table,
    listed: Listed,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<LeadId>, Option<String>), Error> {
    let range = match listed {
        Listed::Queue(program) => {
            let range = Range::partition(Index::Due, queue_partition(program), limit);
            match beyond {
                Some(beyond) => range.between(format!("{beyond}\0"), "\u{10FFFF}"),
                None => range,
            }
        }
        Listed::Program(_) | Listed::Partner(_) => {
            let partition = match listed {
                Listed::Partner(partner) => partner_partition(partner),
                Listed::Program(program) | Listed::Queue(program) => program_partition(program),
            };
            let range = Range::partition(Index::List, partition, limit).newest_first();
            match beyond {
                Some(beyond) => range.below(beyond),
                None => range,
            }
        }
    };
    let (entries, more) = table.entries(&range).await?;
    let position = entries.last().filter(|_| more);
    let position = position.map(|entry| entry.sort.clone());
    Ok((ids(&entries), position))
}

fn ids(entries: &[Entry]) -> Vec<LeadId> {
    entries
        .iter()
        .filter_map(|entry| lead_of(&entry.key))
        .collect()
}

/// Leads of a program by their last change, oldest first, up to a moment and beyond a position; and the
/// position of the last.
///
/// # Errors
/// The table's.
pub async fn changed(
    table: &Table,
    program: ProgramId,
    until: Timestamp,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<LeadId>, Option<String>), Error> {
    let low = beyond
        .as_ref()
        .map_or_else(|| "0".to_owned(), |beyond| format!("{beyond}\0"));
    let high = format!("{}\u{10FFFF}", stamp(until));
    let range = Range::partition(Index::List, feed_partition(program), limit).between(low, high);
    let (entries, _) = table.entries(&range).await?;
    let position = entries.last().map(|entry| entry.sort.clone()).or(beyond);
    Ok((ids(&entries), position))
}

/// Leads that time moves on by `now`, of one shard, the longest due first, beyond a position; and the position to go
/// on from.
///
/// # Errors
/// The table's.
pub async fn due(
    table: &Table,
    shard: u8,
    now: Timestamp,
    beyond: Option<String>,
    most: usize,
) -> Result<(Vec<LeadId>, Option<String>), Error> {
    let low = beyond.map_or_else(|| "0".to_owned(), |beyond| format!("{beyond}\0"));
    let range = Range::partition(Index::Due, due_partition(shard), most)
        .between(low, format!("{}\u{10FFFF}", stamp(now)));
    let (entries, more) = table.entries(&range).await?;
    let position = entries.last().filter(|_| more);
    let position = position.map(|entry| entry.sort.clone());
    Ok((ids(&entries), position))
}

// ---- Rules

/// The write of a program's rules, in place of the version before.
///
/// # Errors
/// Never for well-formed rules.
pub fn save_routing(routing: &Routing) -> Result<Op, Error> {
    let Key { pk, sk } = routing_key(routing.program);
    let item = RoutingItem {
        pk,
        sk,
        said: wire::routing_json(routing).to_string(),
        version: routing.version,
    };
    save(&item, routing.version)
}

/// A put of the first version, or the change of the one before.
fn save<T: Serialize>(item: &T, version: u64) -> Result<Op, Error> {
    if version <= 1 {
        return Ok(Op::Put(Put::new(item)?));
    }
    let before = i64::try_from(version - 1).unwrap_or(i64::MAX);
    let update = Update::rewrite(item, &[])?;
    Ok(Op::Update(
        update.only_if(Condition::equals("version", int(before))),
    ))
}

/// A program's rules.
///
/// # Errors
/// The table's.
pub async fn find_routing(table: &Table, program: ProgramId) -> Result<Option<Routing>, Error> {
    let found = table.get::<RoutingItem>(&routing_key(program)).await?;
    found
        .map(|RoutingItem { said, version, .. }| {
            wire::stored(&said, program, version).map_err(Error::Malformed)
        })
        .transpose()
}

// ---- Tallies and turns

/// What a program's partners did with leads, and whose turn it is, as they were read: a change of them holds
/// only where they still stand so.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    program: Option<ProgramId>,
    tallies: BTreeMap<PartnerId, Tally>,
    turns: BTreeMap<String, Credits>,
    tally_versions: BTreeMap<u8, u64>,
    turn_versions: BTreeMap<String, u64>,
}

impl Standing {
    /// A partner's tally.
    #[must_use]
    pub fn tally(&self, partner: PartnerId) -> Tally {
        self.tallies.get(&partner).copied().unwrap_or_default()
    }

    /// Whose turn it is, by the rules' codes.
    #[must_use]
    pub fn turns(&self) -> &BTreeMap<String, Credits> {
        &self.turns
    }

    /// The write that leaves these tallies; each must be of a part that was read.
    ///
    /// # Errors
    /// Never.
    pub fn save_tallies(&self, changed: &BTreeMap<PartnerId, Tally>) -> Result<Vec<Op>, Error> {
        let Some(program) = self.program else {
            return Ok(Vec::new());
        };
        let mut parts: Vec<u8> = changed.keys().map(|partner| part_of(*partner)).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
            .into_iter()
            .map(|part| {
                let mut all: BTreeMap<PartnerId, Tally> = self
                    .tallies
                    .iter()
                    .filter(|(partner, _)| part_of(**partner) == part)
                    .map(|(partner, tally)| (*partner, *tally))
                    .collect();
                all.extend(
                    changed
                        .iter()
                        .filter(|(partner, _)| part_of(**partner) == part)
                        .map(|(partner, tally)| (*partner, *tally)),
                );
                let version = self.tally_versions.get(&part).copied().unwrap_or(0) + 1;
                save_packed(tallies_key(program, part), pack_tallies(&all), 0, version)
            })
            .collect()
    }

    /// The writes that leave these credits to a rule: one, and for each further [`TURNS_OF_ITEM`] partners another.
    ///
    /// # Errors
    /// Never.
    pub fn save_turns(&self, rule: &str, credits: &Credits) -> Result<Vec<Op>, Error> {
        let Some(program) = self.program else {
            return Ok(Vec::new());
        };
        let version = self.turn_versions.get(rule).copied().unwrap_or(0) + 1;
        let all: Vec<(PartnerId, i32)> = credits
            .0
            .iter()
            .map(|(partner, credit)| (*partner, *credit))
            .collect();
        let mut chunks = all.chunks(TURNS_OF_ITEM);
        let first = pack_credits(chunks.next().unwrap_or_default());
        let further: Vec<String> = chunks.map(pack_credits).collect();
        let more = u32::try_from(further.len()).unwrap_or(u32::MAX);
        let mut ops = vec![save_packed(turns_key(program, rule), first, more, version)?];
        for (number, packed) in (1..).zip(further) {
            let Key { pk, sk } = more_turns_key(program, rule, number);
            let item = PackedItem {
                pk,
                sk,
                packed,
                more: 0,
                version,
            };
            // The first one's version is theirs as well: whoever changes any of them changes it.
            ops.push(Op::Update(Update::rewrite(&item, &[])?));
        }
        Ok(ops)
    }
}

fn save_packed(key: Key, packed: String, more: u32, version: u64) -> Result<Op, Error> {
    let Key { pk, sk } = key;
    let item = PackedItem {
        pk,
        sk,
        packed,
        more,
        version,
    };
    save(&item, version)
}

/// The tallies of these partners, or of all, and the turns of these rules: one round trip, and another where a rule has
/// more than [`TURNS_OF_ITEM`] partners in turn.
///
/// # Errors
/// The table's.
pub async fn standing(
    table: &Table,
    program: ProgramId,
    of: Option<&[PartnerId]>,
    rules: &[&str],
) -> Result<Standing, Error> {
    let parts: Vec<u8> = match of {
        None => (0..TALLY_PARTS).collect(),
        Some(partners) => partners.iter().map(|partner| part_of(*partner)).collect(),
    };
    let keys = parts
        .iter()
        .map(|part| tallies_key(program, *part))
        .chain(rules.iter().map(|rule| turns_key(program, rule)));
    let mut items: HashMap<Key, Item> = table.get_many(keys).await?;
    let mut standing = Standing {
        program: Some(program),
        ..Standing::default()
    };
    for part in parts {
        if let Some(item) = items.remove(&tallies_key(program, part)) {
            let PackedItem {
                packed, version, ..
            } = from_item(item)?;
            standing.tallies.extend(unpack_tallies(&packed)?);
            standing.tally_versions.insert(part, version);
        }
    }
    let mut further = Vec::new();
    for rule in rules {
        if let Some(item) = items.remove(&turns_key(program, rule)) {
            let PackedItem {
                packed,
                more,
                version,
                ..
            } = from_item(item)?;
            let credits = unpack_credits(&packed)?.collect();
            standing.turns.insert((*rule).to_owned(), Credits(credits));
            standing.turn_versions.insert((*rule).to_owned(), version);
            further.extend((1..=more).map(|number| (*rule, more_turns_key(program, rule, number))));
        }
    }
    if further.is_empty() {
        return Ok(standing);
    }
    // Those of another version than the first one's are of a turn that was taken meanwhile; a change on what was
    // read is refused by that version.
    let keys = further.iter().map(|(_, key)| key.clone());
    let mut items = table.get_many(keys).await?;
    for (rule, key) in further {
        if let (Some(item), Some(credits)) = (items.remove(&key), standing.turns.get_mut(rule)) {
            let PackedItem { packed, .. } = from_item(item)?;
            credits.0.extend(unpack_credits(&packed)?);
        }
    }
    Ok(standing)
}

fn pack_tallies(tallies: &BTreeMap<PartnerId, Tally>) -> String {
    let mut bytes = Vec::with_capacity(tallies.len() * 36);
    for (partner, tally) in tallies {
        let Tally {
            open,
            accepted,
            refused,
            won,
            lost,
        } = *tally;
        bytes.extend(partner.bytes());
        for count in [open, accepted, refused, won, lost] {
            bytes.extend(count.to_be_bytes());
        }
    }
    STANDARD_NO_PAD.encode(bytes)
}

fn unpack_tallies(packed: &str) -> Result<Vec<(PartnerId, Tally)>, Error> {
    let entries = unpack::<36>(packed)?;
    let tally = |entry: [u8; 36]| {
        let (partner, mut counts) = split(&entry);
        let mut next = || {
            counts.split_first_chunk::<4>().map_or(0, |(count, rest)| {
                counts = rest;
                u32::from_be_bytes(*count)
            })
        };
        let tally = Tally {
            open: next(),
            accepted: next(),
            refused: next(),
            won: next(),
            lost: next(),
        };
        (partner, tally)
    };
    Ok(entries.into_iter().map(tally).collect())
}

fn pack_credits(credits: &[(PartnerId, i32)]) -> String {
    let mut bytes = Vec::with_capacity(credits.len() * 20);
    for (partner, credit) in credits {
        bytes.extend(partner.bytes());
        bytes.extend(credit.to_be_bytes());
    }
    STANDARD_NO_PAD.encode(bytes)
}

fn unpack_credits(packed: &str) -> Result<impl Iterator<Item = (PartnerId, i32)>, Error> {
    let entries = unpack::<20>(packed)?;
    let credit = |entry: [u8; 20]| {
        let (partner, rest) = split(&entry);
        let credit = rest.first_chunk::<4>().copied().unwrap_or_default();
        (partner, i32::from_be_bytes(credit))
    };
    Ok(entries.into_iter().map(credit))
}

fn unpack<const N: usize>(packed: &str) -> Result<Vec<[u8; N]>, Error> {
    let bytes = STANDARD_NO_PAD
        .decode(packed)
        .map_err(|_| malformed("packed counters"))?;
    let (entries, rest) = bytes.as_chunks::<N>();
    if rest.is_empty() {
        Ok(entries.to_vec())
    } else {
        Err(malformed("packed counters"))
    }
}

fn split(entry: &[u8]) -> (PartnerId, &[u8]) {
    let (id, rest) = entry.split_at(16.min(entry.len()));
    let id = id.first_chunk::<16>().copied().unwrap_or_default();
    (PartnerId::from_bytes(id), rest)
}

// ---- The public form

/// The put that spends a challenge, which is kept as long as the challenge would be taken.
///
/// # Errors
/// Never.
pub fn spend(challenge: &str, until: Timestamp) -> Result<Op, Error> {
    let Key { pk, sk } = spent_key(challenge);
    Ok(Op::Put(Put::new(&SpentItem {
        pk,
        sk,
        expires_at: until.as_second(),
    })?))
}

/// The change that counts one more in an hour (since 1970), refused where there are `most` already. `of` says
/// of whom: a hash of an address, or the form itself.
#[must_use]
pub fn count(program: ProgramId, of: &str, hour: i64, most: u32) -> Op {
    let update = Update::at(count_key(program, of, hour))
        .add("taken", 1)
        .set("expires_at", int((hour + 2) * 3_600))
        .only_if(Condition::default().and_absent_or_below("taken", int(i64::from(most))));
    Op::Update(update)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::model::{Actor, DeclineReason, LossReason, Source};
    use super::*;
    use crate::customers::model::{Company, Identifier};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn new() -> Lead {
        Lead {
            id: LeadId::from_bytes([1; 16]),
            program: ProgramId::from_bytes([2; 16]),
            inquiry: Inquiry {
                source: Source::Api,
                reference: Some("crm-1".to_owned()),
                company: Company {
                    name: Some("Roses Ltd".to_owned()),
                    place: None,
                    identifiers: vec![Identifier::domain("roses.example").unwrap()],
                },
                employees: Some(120),
                product_lines: vec!["erp".to_owned()],
                language: Some("en".to_owned()),
                need: Some("A new till".to_owned()),
            },
            customer: Some(CustomerId::from_bytes([3; 16])),
            hashes: vec!["hash".to_owned()],
            held_until: at("2026-05-31T09:00:00Z"),
            stage: Stage::New,
            offers: Vec::new(),
            steps: vec![Step {
                stage: Stage::New,
                at: at("2026-03-02T09:00:00Z"),
                by: Actor::System,
            }],
            asked_again: 2,
            closing: None,
            due: None,
            received_at: at("2026-03-02T09:00:00Z"),
            changed_at: at("2026-03-02T09:00:00Z"),
            version: 1,
        }
    }

    fn read_back(lead: &Lead) -> Lead {
        let put = Put::new(&lead_item(lead)).unwrap();
        super::lead(from_item(put.item().clone()).unwrap()).unwrap()
    }

    #[test]
    fn a_lead_reads_back_in_every_stage_and_after_every_end() {
        let (now, later) = (at("2026-03-02T10:00:00Z"), at("2026-03-03T10:00:00Z"));
        let [ada, bob, cyd] = [5, 6, 7].map(|n| PartnerId::from_bytes([n; 16]));
        let offered = new().offered(ada, Why::Rule("all".to_owned()), later, now);
        let declined = offered
            .declined(ada, DeclineReason::WrongSize, now)
            .unwrap();
        let claim = Why::Claim {
            kind: ClaimKind::Deal,
            holder: "deal_1".to_owned(),
        };
        let expired = declined
            .offered(bob, claim, now, now)
            .overdue(later)
            .unwrap();
        let operator = Why::Operator(OperatorId::from_bytes([9; 16]));
        let accepted = expired
            .offered(cyd, operator, at("2026-03-09T10:00:00Z"), later)
            .accepted(cyd, Some(at("2026-04-01T10:00:00Z")), later)
            .unwrap();
        let gbp = Money::new(4_900, "GBP".parse().unwrap());
        let (won, winner) = accepted
            .won(gbp, ConversionId::from_bytes([4; 16]), later)
            .unwrap();
        assert_eq!(winner, cyd);
        let lost = accepted.lost(None, LossReason::NoBudget, later).unwrap();
        let queued = expired.queued(Actor::System, later);
        let reclaimed = accepted.overdue(at("2026-04-01T10:00:00Z")).unwrap();
        let withdrawn = accepted.withdrawn(Some(bob), later).unwrap();
        for lead in [
            new(),
            offered,
            declined,
            expired,
            accepted,
            won,
            lost,
            queued,
            reclaimed,
            withdrawn,
        ] {
            assert_eq!(read_back(&lead), lead);
        }
    }

    #[test]
    fn time_finds_what_it_moves_on_and_operators_what_waits_for_them() {
        let now = at("2026-03-02T10:00:00Z");
        let due = |lead: &Lead| lead_item(lead).due_pk.unwrap_or_default();
        assert_eq!(due(&new()), "");
        let ada = PartnerId::from_bytes([5; 16]);
        let offered = new().offered(ada, Why::Rule("all".to_owned()), now, now);
        assert_eq!(due(&offered), "LEADDUE#1");
        assert_eq!(
            due(&new().queued(Actor::System, now)),
            format!("LEADQUEUE#{}", new().program)
        );
        let lost = offered.lost(None, LossReason::Other, now).unwrap();
        assert_eq!(due(&lost), "");
    }

    proptest! {
        #[test]
        fn counters_unpack_as_they_were_packed(entries in proptest::collection::btree_map(any::<[u8; 16]>(), (any::<[u32; 5]>(), any::<i32>()), 0..50)) {
            let tallies: BTreeMap<PartnerId, Tally> = entries
                .iter()
                .map(|(id, ([open, accepted, refused, won, lost], _))| {
                    let tally = Tally { open: *open, accepted: *accepted, refused: *refused, won: *won, lost: *lost };
                    (PartnerId::from_bytes(*id), tally)
                })
                .collect();
            let credits: Vec<(PartnerId, i32)> = entries.iter().map(|(id, (_, credit))| (PartnerId::from_bytes(*id), *credit)).collect();
            let unpacked: BTreeMap<PartnerId, Tally> = unpack_tallies(&pack_tallies(&tallies)).unwrap().into_iter().collect();
            prop_assert_eq!(unpacked, tallies);
            prop_assert_eq!(unpack_credits(&pack_credits(&credits)).unwrap().collect::<Vec<_>>(), credits);
        }
    }
}
