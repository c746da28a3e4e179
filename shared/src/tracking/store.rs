//! Keys and items of clicks, conversions and what was said of them later.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::model::{
    Amendment, Amounts, CLICK_DAYS, CUSTOMER_TYPES, Changes, ClickToken, Credited, CustomerType,
    Facts, PostedStatus, Reversal, Word,
};
use crate::clock::{Timestamp, days_after, month, stamp};
use crate::commissions::store::outcome_key;
use crate::ids::{ConversionId, DealId, DisputeId, LeadId, LinkId, PartnerId, ProgramId, digest};
use crate::money::{Currency, Money};
use crate::table::{
    AttributeValue, Condition, Entry, Error, Index, Item, Key, Put, Range, Table, Update,
    from_item, int, text, to_item,
};

/// Shards of a program's conversions of a month, each far below what one index partition takes in a second.
pub const SHARDS: u8 = 8;
/// Attributes of reversals begin so; the rest is a hash of the caller's reversal id.
const REVERSAL_PREFIX: &str = "rev_";
/// Attributes of amendments begin so; the rest is a hash of the caller's amendment id.
const AMENDMENT_PREFIX: &str = "amd_";
/// Counts reversals and amendments, so that each is decided on what all before it left.
const REVISION: &str = "revision";
/// Attributes of the amounts that an approval brought, in the order of [`Amounts`].
const APPROVED_MINOR: [&str; 6] = [
    "approved_minor",
    "approved_margin_minor",
    "approved_net_revenue_minor",
    "approved_bonuses_minor",
    "approved_fees_minor",
    "approved_chargebacks_minor",
];

/// The item that a conversion's facts stand in. Never changed once it is written.
#[must_use]
pub fn facts_key(id: ConversionId) -> Key {
    Key::new(format!("CONV#{id}"), "FACTS")
}

/// The item that approvals and reversals are added to.
#[must_use]
pub fn changes_key(id: ConversionId) -> Key {
    Key::new(format!("CONV#{id}"), "CHANGES")
}

/// The conversion that an item of one belongs to.
#[must_use]
pub fn conversion_of(key: &Key) -> Option<ConversionId> {
    key.pk.strip_prefix("CONV#")?.parse().ok()
}

fn shard(id: ConversionId) -> u8 {
    id.bytes()[15] % SHARDS
}

/// The list partition of a program's conversions received in a month (`yyyymm`), by shard.
#[must_use]
pub fn facts_partition(program: ProgramId, month: u32, shard: u8) -> String {
    format!("CONV#{program}#{month}#{shard}")
}

/// The list partition of the last changes of a program's conversions in a month (`yyyymm`), by shard.
#[must_use]
pub fn changes_partition(program: ProgramId, month: u32, shard: u8) -> String {
    format!("CHG#{program}#{month}#{shard}")
}

/// The position of a conversion in both lists.
#[must_use]
pub fn list_position(at: Timestamp, id: ConversionId) -> String {
    format!("{}#{id}", stamp(at))
}

#[derive(Serialize, Deserialize)]
struct FactsItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    program: ProgramId,
    event: String,
    transaction_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    click: Option<ClickPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coupon: Option<String>,
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    margin_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    net_revenue_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bonuses_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fees_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chargebacks_minor: Option<i64>,
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identifiers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    meta: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    occurred_at: Timestamp,
    received_at: Timestamp,
    /// By number; most conversions have none.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    subs: HashMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credited_to: Option<CreditPart>,
}

#[derive(Serialize, Deserialize)]
struct CreditPart {
    partner: PartnerId,
    /// One of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dispute: Option<DisputeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deal: Option<DealId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lead: Option<LeadId>,
}

fn credit_part(credited: Credited) -> CreditPart {
    let Credited { partner, word } = credited;
    let none = CreditPart {
        partner,
        dispute: None,
        deal: None,
        lead: None,
    };
    match word {
        Word::Dispute(dispute) => CreditPart {
            dispute: Some(dispute),
            ..none
        },
        Word::Deal(deal) => CreditPart {
            deal: Some(deal),
            ..none
        },
        Word::Lead(lead) => CreditPart {
            lead: Some(lead),
            ..none
        },
    }
}

fn credited(part: CreditPart) -> Result<Credited, Error> {
    let CreditPart {
        partner,
        dispute,
        deal,
        lead,
    } = part;
    let word = match (dispute, deal, lead) {
        (Some(dispute), None, None) => Word::Dispute(dispute),
        (None, Some(deal), None) => Word::Deal(deal),
        (None, None, Some(lead)) => Word::Lead(lead),
        _ => return Err(Error::Malformed("a conversion's credit".to_owned())),
    };
    Ok(Credited { partner, word })
}

#[derive(Serialize, Deserialize)]
struct ClickPart {
    id: String,
    link: LinkId,
    at: Timestamp,
    random: String,
}

fn subs_item(subs: &[Option<String>; 5]) -> HashMap<String, String> {
    subs.iter()
        .enumerate()
        .filter_map(|(index, sub)| Some(((index + 1).to_string(), sub.clone()?)))
        .collect()
}

/// The put that records a conversion: conditional on there being none, one base and one index write unit
/// while the item stays within 1 KB.
///
/// # Errors
/// Never for well-formed facts.
pub fn put_facts(facts: &Facts) -> Result<Put, Error> {
    let Facts {
        id,
        program,
        event,
        transaction_id,
        click,
        click_id,
        coupon,
        currency,
        amount,
        margin,
        net_revenue,
        bonuses,
        fees,
        chargebacks,
        quantity,
        customer,
        identifiers,
        customer_type,
        country,
        product,
        meta,
        status,
        occurred_at,
        received_at,
        subs,
        credited_to,
    } = facts.clone();
    let Key { pk, sk } = facts_key(id);
    let click = click.zip(click_id).map(|(token, id)| {
        let ClickToken { link, at, random } = token;
        let random = random.iter().map(|byte| format!("{byte:02x}")).collect();
        ClickPart {
            id,
            link,
            at,
            random,
        }
    });
    Put::new(&FactsItem {
        pk,
        sk,
        list_pk: facts_partition(program, month(received_at), shard(id)),
        list_sk: list_position(received_at, id),
        program,
        event,
        transaction_id,
        click,
        coupon,
        currency: currency.code().to_owned(),
        amount_minor: amount.map(Money::minor),
        margin_minor: margin.map(Money::minor),
        net_revenue_minor: net_revenue.map(Money::minor),
        bonuses_minor: bonuses.map(Money::minor),
        fees_minor: fees.map(Money::minor),
        chargebacks_minor: chargebacks.map(Money::minor),
        quantity,
        customer,
        identifiers,
        customer_type: customer_type.map(|kind| kind.name().to_owned()),
        country,
        product,
        meta,
        pending: status == PostedStatus::Pending,
        occurred_at,
        received_at,
        subs: subs_item(&subs),
        credited_to: credited_to.map(credit_part),
    })
}

/// Reads a stored conversion, as it was first posted.
///
/// # Errors
/// `Malformed`.
pub fn facts(item: Item) -> Result<Facts, Error> {
    facts_with(item, None)
}

/// The facts with the amounts that an approval brought where the pending post had none.
///
/// # Errors
/// `Malformed`.
pub fn facts_with(item: Item, approved: Option<Approved>) -> Result<Facts, Error> {
    let malformed = |what: &str| Error::Malformed(format!("facts: {what}"));
    let FactsItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        program,
        event,
        transaction_id,
        click,
        coupon,
        currency,
        amount_minor,
        margin_minor,
        net_revenue_minor,
        bonuses_minor,
        fees_minor,
        chargebacks_minor,
        quantity,
        customer,
        identifiers,
        customer_type,
        country,
        product,
        meta,
        pending,
        occurred_at,
        received_at,
        mut subs,
        credited_to,
    } = from_item(item)?;
    let posted: Currency = currency.parse().map_err(|_| malformed("currency"))?;
    let posted_minor = [
        amount_minor,
        margin_minor,
        net_revenue_minor,
        bonuses_minor,
        fees_minor,
        chargebacks_minor,
    ];
    let approved = approved.unwrap_or_default();
    // Where amounts were posted, what an approval brings is in their currency.
    let currency = approved
        .currency
        .filter(|_| posted_minor.iter().all(Option::is_none))
        .unwrap_or(posted);
    let mut amounts = posted_minor;
    for (minor, brought) in amounts.iter_mut().zip(approved.minor) {
        *minor = minor.or(brought);
    }
    let [amount, margin, net_revenue, bonuses, fees, chargebacks] =
        amounts.map(|minor| minor.map(|minor| Money::new(minor, currency)));
    let customer_type = customer_type
        .map(|name| customer_type_of(&name).ok_or_else(|| malformed("customer type")))
        .transpose()?;
    let click = click
        .map(
            |ClickPart {
                 id,
                 link,
                 at,
                 random,
             }| {
                let random = hex7(&random).ok_or_else(|| malformed("click"))?;
                Ok::<_, Error>((ClickToken { link, at, random }, id))
            },
        )
        .transpose()?;
    let (click, click_id) = click.unzip();
    Ok(Facts {
        id: Facts::id_of(program, &event, &transaction_id),
        program,
        event,
        transaction_id,
        click,
        click_id,
        coupon,
        currency,
        amount,
        margin,
        net_revenue,
        bonuses,
        fees,
        chargebacks,
        quantity,
        customer,
        identifiers,
        customer_type,
        country,
        product,
        meta,
        status: if pending {
            PostedStatus::Pending
        } else {
            PostedStatus::Approved
        },
        occurred_at,
        received_at,
        subs: ["1", "2", "3", "4", "5"].map(|number| subs.remove(number)),
        credited_to: credited_to.map(credited).transpose()?,
    })
}

fn customer_type_of(name: &str) -> Option<CustomerType> {
    let known = CUSTOMER_TYPES.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind)
}

fn hex7(text: &str) -> Option<[u8; 7]> {
    let mut bytes = [0_u8; 7];
    if text.len() != 14 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[derive(Serialize, Deserialize)]
struct ReversalPart {
    id: String,
    /// All that is left, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<AmountPart>,
    reason: String,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct AmendmentPart {
    id: String,
    amount: AmountPart,
    reason: String,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct AmountPart {
    minor: i64,
    currency: String,
}

impl AmountPart {
    fn of(amount: Money) -> Self {
        Self {
            minor: amount.minor(),
            currency: amount.currency().code().to_owned(),
        }
    }

    fn money(self) -> Result<Money, Error> {
        let Self { minor, currency } = self;
        let currency = currency
            .parse()
            .map_err(|_| Error::Malformed("changes: a currency".to_owned()))?;
        Ok(Money::new(minor, currency))
    }
}

/// The attribute of the change of that id; the caller's ids are longer than names should be.
fn attribute(prefix: &str, kind: &str, id: &str) -> String {
    let hash = digest(kind, &[id]);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}{hex}")
}

fn reversal_attribute(reversal_id: &str) -> String {
    attribute(REVERSAL_PREFIX, "reversal", reversal_id)
}

fn amendment_attribute(amendment_id: &str) -> String {
    attribute(AMENDMENT_PREFIX, "amendment", amendment_id)
}

fn change(program: ProgramId, id: ConversionId, at: Timestamp) -> Update {
    // The list position moves with each change, so that the reconciler meets the newest.
    Update::at(changes_key(id))
        .set(
            "list_pk",
            text(changes_partition(program, month(at), shard(id))),
        )
        .set("list_sk", text(list_position(at, id)))
}

/// The update that approves a pending conversion, once. `brings` are amounts that the pending post left out;
/// `mark` tells this call's approval from another's.
#[must_use]
pub fn approve(
    program: ProgramId,
    id: ConversionId,
    brings: Amounts,
    at: Timestamp,
    mark: &str,
) -> Update {
    let mut update = change(program, id, at)
        .set("approved_at", text(at.to_string()))
        .set("approved_by", text(mark));
    let mut currency = None;
    for (name, amount) in APPROVED_MINOR.into_iter().zip(brings.0) {
        if let Some(amount) = amount {
            update = update.set(name, int(amount.minor()));
            currency = Some(amount.currency());
        }
    }
    if let Some(currency) = currency {
        update = update.set("approved_currency", text(currency.code()));
    }
    update.only_if(Condition::default().and_absent("approved_at"))
}

/// Whether the call of that mark approved it.
#[must_use]
pub fn is_approved_by(changes: &Item, mark: &str) -> bool {
    changes.get("approved_by") == Some(&text(mark))
}

/// What an approval brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approved {
    /// Amounts in minor units, in the order of [`Amounts`].
    pub minor: [Option<i64>; 6],
    /// Their currency; `None` is that of the facts.
    pub currency: Option<Currency>,
}

/// What an approval brought.
#[must_use]
pub fn approved(changes: &Item) -> Option<Approved> {
    let minor = |name: &str| changes.get(name)?.as_n().ok()?.parse().ok();
    let currency = changes.get("approved_currency");
    let currency = currency.and_then(|code| code.as_s().ok()?.parse().ok());
    let minor = APPROVED_MINOR.map(minor);
    minor
        .iter()
        .any(Option::is_some)
        .then_some(Approved { minor, currency })
}

/// How many reversals and amendments a decision was made on.
#[must_use]
pub fn revision(changes: &Item) -> u64 {
    let number = changes.get(REVISION).and_then(|value| value.as_n().ok());
    number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The update that adds a reversal, once per reversal id, to the changes of that revision.
///
/// # Errors
/// Never for a well-formed reversal.
pub fn add_reversal(
    program: ProgramId,
    id: ConversionId,
    reversal: &Reversal,
    revision: u64,
    now: Timestamp,
) -> Result<Update, Error> {
    let Reversal {
        reversal_id,
        amount,
        reason,
        at,
    } = reversal.clone();
    let attribute = reversal_attribute(&reversal_id);
    let part = to_item(&ReversalPart {
        id: reversal_id,
        amount: amount.map(AmountPart::of),
        reason,
        at,
    })?;
    Ok(add(change(program, id, now), &attribute, part, revision))
}

/// The update that adds an amendment, once per amendment id, to the changes of that revision.
///
/// # Errors
/// Never for a well-formed amendment.
pub fn add_amendment(
    program: ProgramId,
    id: ConversionId,
    amendment: &Amendment,
    revision: u64,
    now: Timestamp,
) -> Result<Update, Error> {
    let Amendment {
        amendment_id,
        amount,
        reason,
        at,
    } = amendment.clone();
    let attribute = amendment_attribute(&amendment_id);
    let part = to_item(&AmendmentPart {
        id: amendment_id,
        amount: AmountPart::of(amount),
        reason,
        at,
    })?;
    Ok(add(change(program, id, now), &attribute, part, revision))
}

fn add(update: Update, attribute: &str, part: Item, revision: u64) -> Update {
    let condition = Condition::default().and_absent(attribute);
    // What was decided holds only for the changes that it was decided on.
    let condition = match revision {
        0 => condition.and_absent(REVISION),
        _ => condition.and_equals(REVISION, number(revision)),
    };
    update
        .set(attribute, AttributeValue::M(part))
        .set(REVISION, number(revision + 1))
        .only_if(condition)
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Reads what was said of a conversion later.
///
/// # Errors
/// `Malformed`.
pub fn changes(item: &Item) -> Result<Changes, Error> {
    let approved_at = item
        .get("approved_at")
        .map(|value| {
            value
                .as_s()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Error::Malformed("changes: approved_at".to_owned()))
        })
        .transpose()?;
    let mut reversals = parts(item, REVERSAL_PREFIX, "a reversal", |part| {
        let ReversalPart {
            id,
            amount,
            reason,
            at,
        } = from_item(part)?;
        Ok(Reversal {
            reversal_id: id,
            amount: amount.map(AmountPart::money).transpose()?,
            reason,
            at,
        })
    })?;
    reversals.sort_by(|a, b| (a.at, &a.reversal_id).cmp(&(b.at, &b.reversal_id)));
    let mut amendments = parts(item, AMENDMENT_PREFIX, "an amendment", |part| {
        let AmendmentPart {
            id,
            amount,
            reason,
            at,
        } = from_item(part)?;
        Ok(Amendment {
            amendment_id: id,
            amount: amount.money()?,
            reason,
            at,
        })
    })?;
    amendments.sort_by(|a, b| (a.at, &a.amendment_id).cmp(&(b.at, &b.amendment_id)));
    Ok(Changes {
        approved_at,
        reversals,
        amendments,
    })
}

/// What stands in the attributes that begin so, in no order.
fn parts<T>(
    item: &Item,
    prefix: &str,
    what: &str,
    read: impl Fn(Item) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let held = item.iter().filter(|(name, _)| name.starts_with(prefix));
    held.map(|(_, value)| match value.as_m() {
        Ok(part) => read(part.clone()),
        Err(_) => Err(Error::Malformed(format!("changes: {what}"))),
    })
    .collect()
}

/// All there is of a conversion: its facts, with the amount of its approval where it came with one; what was said of
/// it later; and its outcome as it is stored.
pub type Record = (Option<Facts>, Changes, Option<Item>);

/// Facts, changes and outcome of conversions, read consistently: one round trip for up to 33 of them.
/// Conversions of which nothing is known are left out.
///
/// # Errors
/// The table's.
pub async fn find_many(
    table: &Table,
    ids: &[ConversionId],
) -> Result<HashMap<ConversionId, Record>, Error> {
    let keys = ids
        .iter()
        .flat_map(|id| [facts_key(*id), changes_key(*id), outcome_key(*id)]);
    let mut items = table.get_many(keys).await?;
    let mut found = HashMap::with_capacity(ids.len());
    for id in ids {
        let facts = items.remove(&facts_key(*id));
        let later = items.remove(&changes_key(*id));
        let outcome = items.remove(&outcome_key(*id));
        if facts.is_none() && later.is_none() && outcome.is_none() {
            continue;
        }
        let approved = later.as_ref().and_then(approved);
        let facts = facts.map(|item| facts_with(item, approved)).transpose()?;
        let later = later.as_ref().map(changes).transpose()?.unwrap_or_default();
        found.insert(*id, (facts, later, outcome));
    }
    Ok(found)
}

/// A page of one shard of a program's conversions, newest first, below a position.
///
/// # Errors
/// The table's.
pub async fn shard_page(
    table: &Table,
    program: ProgramId,
    month: u32,
    shard: u8,
    below: Option<&str>,
    limit: usize,
) -> Result<(Vec<Entry>, bool), Error> {
    let partition = facts_partition(program, month, shard);
    let mut range = Range::partition(Index::List, partition, limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    table.entries(&range).await
}

#[derive(Serialize)]
struct ClickItem {
    pk: String,
    link: LinkId,
    program: ProgramId,
    partner: PartnerId,
    at: Timestamp,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    subs: HashMap<String, String>,
    expires_at: i64,
}

/// The put of a click: within one write unit, because its sub ids are cut.
///
/// # Errors
/// Never for a well-formed click.
pub fn put_click(
    click_id: &str,
    program: ProgramId,
    partner: PartnerId,
    click: ClickToken,
    subs: &[Option<String>; 5],
) -> Result<Put, Error> {
    let ClickToken {
        link,
        at,
        random: _,
    } = click;
    Put::new(&ClickItem {
        pk: click_id.to_owned(),
        link,
        program,
        partner,
        at,
        subs: subs_item(subs),
        expires_at: days_after(at, CLICK_DAYS).as_second(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tracking::model::MAX_CLICK_SUB_BYTES;

    const WRITE_UNIT: usize = 1024;

    fn token() -> ClickToken {
        ClickToken {
            link: LinkId::from_bytes([9; 16]),
            at: "2026-11-01T00:00:00Z".parse().unwrap(),
            random: [1, 2, 3, 0xf4, 5, 6, 7],
        }
    }

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn sale() -> Facts {
        let program = ProgramId::from_bytes([1; 16]);
        Facts {
            id: Facts::id_of(program, "sale", "order-1001"),
            program,
            event: "sale".to_owned(),
            transaction_id: "order-1001".to_owned(),
            click: Some(token()),
            click_id: Some("c".repeat(62)),
            coupon: Some("ADA10".to_owned()),
            currency: gbp(),
            amount: Some(Money::new(4900, gbp())),
            margin: None,
            net_revenue: None,
            bonuses: None,
            fees: None,
            chargebacks: None,
            quantity: 2,
            customer: Some("h".repeat(22)),
            identifiers: Vec::new(),
            customer_type: None,
            country: None,
            product: None,
            meta: BTreeMap::new(),
            status: PostedStatus::Pending,
            occurred_at: "2026-11-23T06:59:00Z".parse().unwrap(),
            received_at: "2026-11-23T07:00:00.123Z".parse().unwrap(),
            subs: [
                Some("newsletter".to_owned()),
                None,
                Some("2026-11".to_owned()),
                None,
                None,
            ],
            credited_to: None,
        }
    }

    /// The size that DynamoDB charges: names and values; maps and lists 3 bytes and 1 for each entry.
    fn size(item: &Item) -> usize {
        fn value(value: &AttributeValue) -> usize {
            match value {
                AttributeValue::S(text) => text.len(),
                AttributeValue::N(digits) => digits.len() / 2 + 2,
                AttributeValue::Bool(_) => 1,
                AttributeValue::M(map) => 3 + size(map) + map.len(),
                other => panic!("not used here: {other:?}"),
            }
        }
        item.iter()
            .map(|(name, held)| name.len() + value(held))
            .sum()
    }

    fn item(put: &Put) -> Item {
        put.item().clone()
    }

    #[test]
    fn facts_read_back_and_stand_under_their_keys() {
        let put = put_facts(&sale()).unwrap();
        let stored = item(&put);
        let id = sale().id;
        let shard = id.bytes()[15] % SHARDS;
        let held = |name: &str| stored[name].as_s().unwrap().clone();
        assert_eq!(held("pk"), format!("CONV#{id}"));
        assert_eq!(held("sk"), "FACTS");
        assert_eq!(
            held("list_pk"),
            format!("CONV#{}#202611#{shard}", sale().program)
        );
        assert_eq!(held("list_sk"), format!("2026-11-23T07:00:00.123Z#{id}"));
        assert_eq!(facts(stored).unwrap(), sale());
    }

    #[test]
    fn everything_that_may_be_told_reads_back_in_its_own_currency() {
        let yen = |minor| Some(Money::new(minor, "JPY".parse().unwrap()));
        let rich = Facts {
            currency: "JPY".parse().unwrap(),
            amount: yen(4900),
            margin: yen(1000),
            net_revenue: yen(4000),
            bonuses: yen(1),
            fees: yen(0),
            chargebacks: yen(3),
            identifiers: vec!["hash".to_owned()],
            customer_type: Some(CustomerType::Returning),
            country: Some("JP".to_owned()),
            product: Some("annual".to_owned()),
            meta: BTreeMap::from([("tariff".to_owned(), "b2b".to_owned())]),
            ..sale()
        };
        let credited = |word| Facts {
            credited_to: Some(Credited {
                partner: PartnerId::from_bytes([2; 16]),
                word,
            }),
            ..rich.clone()
        };
        for rich in [
            credited(Word::Dispute(DisputeId::from_bytes([4; 16]))),
            credited(Word::Deal(DealId::from_bytes([4; 16]))),
            credited(Word::Lead(LeadId::from_bytes([4; 16]))),
        ] {
            assert_eq!(facts(item(&put_facts(&rich).unwrap())).unwrap(), rich);
        }
        // What is not told takes no room.
        let told: Vec<String> = item(&put_facts(&sale()).unwrap()).into_keys().collect();
        for absent in ["margin_minor", "country", "meta", "customer_type"] {
            assert!(!told.contains(&absent.to_owned()), "{absent}");
        }
    }

    #[test]
    fn an_ordinary_conversion_and_any_click_fit_one_write_unit() {
        let conversion = size(&item(&put_facts(&sale()).unwrap()));
        assert!(conversion <= WRITE_UNIT, "{conversion}");
        let subs = [(); 5].map(|()| Some("x".repeat(MAX_CLICK_SUB_BYTES)));
        let (program, partner) = (
            ProgramId::from_bytes([1; 16]),
            PartnerId::from_bytes([2; 16]),
        );
        let put = put_click(&"c".repeat(62), program, partner, token(), &subs).unwrap();
        let click = size(&item(&put));
        assert!(click <= WRITE_UNIT, "{click}");
    }

    #[test]
    fn the_amount_of_an_approval_completes_pending_facts_without_one() {
        let bare = Facts {
            amount: None,
            ..sale()
        };
        let stored = item(&put_facts(&bare).unwrap());
        let brought = |minor, currency| {
            let minor = [Some(minor), None, None, None, None, None];
            Some(Approved { minor, currency })
        };
        let completed = |approved| facts_with(stored.clone(), approved).unwrap();
        assert_eq!(completed(brought(4900, None)), sale());
        assert_eq!(completed(brought(4900, Some(gbp()))), sale());
        let usd: Currency = "USD".parse().unwrap();
        let other = completed(brought(4900, Some(usd)));
        assert_eq!(
            (other.currency, other.amount),
            (usd, Some(Money::new(4900, usd)))
        );
        assert_eq!(facts(stored).unwrap(), bare);
        let stated = item(&put_facts(&sale()).unwrap());
        assert_eq!(facts_with(stated, brought(1, Some(usd))).unwrap(), sale());
    }

    #[test]
    fn what_an_approval_brings_reads_back() {
        let money = |minor| Some(Money::new(minor, gbp()));
        let stored = Item::from([
            ("approved_margin_minor".to_owned(), int(900)),
            ("approved_currency".to_owned(), text("GBP")),
        ]);
        let bare = Facts {
            margin: None,
            ..sale()
        };
        let completed = facts_with(item(&put_facts(&bare).unwrap()), approved(&stored)).unwrap();
        assert_eq!(
            (completed.amount, completed.margin),
            (sale().amount, money(900))
        );
        assert_eq!(approved(&Item::new()), None);
    }

    #[test]
    fn changes_read_back_oldest_first() {
        let reversal = |id: &str, amount: Option<i64>, at: &str| Reversal {
            reversal_id: id.to_owned(),
            amount: amount.map(|minor| Money::new(minor, gbp())),
            reason: "returned".to_owned(),
            at: at.parse().unwrap(),
        };
        let (first, second) = (
            reversal("b", Some(100), "2026-11-23T07:00:00Z"),
            reversal("a", None, "2026-11-24T07:00:00Z"),
        );
        let amendment = Amendment {
            amendment_id: "a".to_owned(),
            amount: Money::new(5000, gbp()),
            reason: "price list".to_owned(),
            at: "2026-11-23T08:00:00Z".parse().unwrap(),
        };
        let part = |reversal: &Reversal| {
            let part = ReversalPart {
                id: reversal.reversal_id.clone(),
                amount: reversal.amount.map(AmountPart::of),
                reason: reversal.reason.clone(),
                at: reversal.at,
            };
            AttributeValue::M(to_item(&part).unwrap())
        };
        let amended = AmendmentPart {
            id: amendment.amendment_id.clone(),
            amount: AmountPart::of(amendment.amount),
            reason: amendment.reason.clone(),
            at: amendment.at,
        };
        let stored = Item::from([
            ("pk".to_owned(), text("CONV#x")),
            (reversal_attribute("a"), part(&second)),
            (reversal_attribute("b"), part(&first)),
            (
                amendment_attribute("a"),
                AttributeValue::M(to_item(&amended).unwrap()),
            ),
            ("approved_at".to_owned(), text("2026-11-22T07:00:00Z")),
        ]);
        let read = changes(&stored).unwrap();
        assert_eq!(read.reversals, [first, second]);
        assert_eq!(read.amendments, [amendment]);
        assert_eq!(
            read.approved_at.unwrap(),
            "2026-11-22T07:00:00Z".parse().unwrap()
        );
    }
}
