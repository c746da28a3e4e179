//! Keys and items of clicks, conversions and what was said of them later.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::model::{CLICK_DAYS, Changes, ClickToken, Facts, PostedStatus, Reversal};
use crate::clock::{Timestamp, days_after, month, stamp};
use crate::commissions::store::outcome_key;
use crate::ids::{ConversionId, LinkId, PartnerId, ProgramId, digest};
use crate::money::Money;
use crate::table::{
    AttributeValue, Condition, Entry, Error, Index, Item, Key, Put, Range, Table, Update,
    from_item, int, text, to_item,
};

/// Shards of a program's conversions of a month, each far below what one index partition takes in a second.
pub const SHARDS: u8 = 8;
/// Attributes of reversals begin so; the rest is a hash of the caller's reversal id.
const REVERSAL_PREFIX: &str = "rev_";

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
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    occurred_at: Timestamp,
    received_at: Timestamp,
    /// By number; most conversions have none.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    subs: HashMap<String, String>,
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
/// while the item stays within 1 KB. `currency` is the program's, for conversions that state no amount.
///
/// # Errors
/// Never for well-formed facts.
pub fn put_facts(facts: &Facts, currency: &str) -> Result<Put, Error> {
    let Facts {
        id,
        program,
        event,
        transaction_id,
        click,
        click_id,
        coupon,
        amount,
        quantity,
        customer,
        status,
        occurred_at,
        received_at,
        subs,
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
        currency: currency.to_owned(),
        amount_minor: amount.map(Money::minor),
        quantity,
        customer,
        pending: status == PostedStatus::Pending,
        occurred_at,
        received_at,
        subs: subs_item(&subs),
    })
}

/// Reads a stored conversion, as it was first posted.
///
/// # Errors
/// `Malformed`.
pub fn facts(item: Item) -> Result<Facts, Error> {
    facts_with(item, None)
}

/// The facts with the amount that an approval brought where the pending post had none.
///
/// # Errors
/// `Malformed`.
pub fn facts_with(item: Item, approved_minor: Option<i64>) -> Result<Facts, Error> {
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
        quantity,
        customer,
        pending,
        occurred_at,
        received_at,
        mut subs,
    } = from_item(item)?;
    let currency = currency.parse().map_err(|_| malformed("currency"))?;
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
        amount: amount_minor
            .or(approved_minor)
            .map(|minor| Money::new(minor, currency)),
        quantity,
        customer,
        status: if pending {
            PostedStatus::Pending
        } else {
            PostedStatus::Approved
        },
        occurred_at,
        received_at,
        subs: ["1", "2", "3", "4", "5"].map(|number| subs.remove(number)),
    })
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
    reason: String,
    at: Timestamp,
}

fn reversal_attribute(reversal_id: &str) -> String {
    let hash = digest("reversal", &[reversal_id]);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{REVERSAL_PREFIX}{hex}")
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

/// The update that approves a pending conversion, once. `amount` is one that the pending post left out;
/// `mark` tells this call's approval from another's.
#[must_use]
pub fn approve(
    program: ProgramId,
    id: ConversionId,
    amount: Option<Money>,
    at: Timestamp,
    mark: &str,
) -> Update {
    let mut update = change(program, id, at)
        .set("approved_at", text(at.to_string()))
        .set("approved_by", text(mark));
    if let Some(amount) = amount {
        update = update.set("approved_minor", int(amount.minor()));
    }
    update.only_if(Condition::default().and_absent("approved_at"))
}

/// Whether the call of that mark approved it.
#[must_use]
pub fn is_approved_by(changes: &Item, mark: &str) -> bool {
    changes.get("approved_by") == Some(&text(mark))
}

/// The amount that an approval brought.
#[must_use]
pub fn approved_minor(changes: &Item) -> Option<i64> {
    changes.get("approved_minor")?.as_n().ok()?.parse().ok()
}

/// The update that adds a reversal, once per reversal id.
///
/// # Errors
/// Never for a well-formed reversal.
pub fn add_reversal(
    program: ProgramId,
    id: ConversionId,
    reversal: &Reversal,
) -> Result<Update, Error> {
    let Reversal {
        reversal_id,
        reason,
        at,
    } = reversal.clone();
    let attribute = reversal_attribute(&reversal_id);
    let part = to_item(&ReversalPart {
        id: reversal_id,
        reason,
        at,
    })?;
    Ok(change(program, id, at)
        .set(&attribute, AttributeValue::M(part))
        .only_if(Condition::default().and_absent(&attribute)))
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
    let mut reversals = item
        .iter()
        .filter(|(name, _)| name.starts_with(REVERSAL_PREFIX))
        .map(|(_, value)| {
            let part = value
                .as_m()
                .map_err(|_| Error::Malformed("changes: a reversal".to_owned()))?;
            let ReversalPart { id, reason, at } = from_item(part.clone())?;
            Ok(Reversal {
                reversal_id: id,
                reason,
                at,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    reversals.sort_by(|a, b| (a.at, &a.reversal_id).cmp(&(b.at, &b.reversal_id)));
    Ok(Changes {
        approved_at,
        reversals,
    })
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
        let approved = later.as_ref().and_then(approved_minor);
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
            amount: Some(Money::new(4900, "GBP".parse().unwrap())),
            quantity: 2,
            customer: Some("h".repeat(22)),
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
        let put = put_facts(&sale(), "GBP").unwrap();
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
    fn an_ordinary_conversion_and_any_click_fit_one_write_unit() {
        let conversion = size(&item(&put_facts(&sale(), "GBP").unwrap()));
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
        let stored = item(&put_facts(&bare, "GBP").unwrap());
        assert_eq!(facts_with(stored.clone(), Some(4900)).unwrap(), sale());
        assert_eq!(facts(stored).unwrap(), bare);
        let stated = item(&put_facts(&sale(), "GBP").unwrap());
        assert_eq!(facts_with(stated, Some(1)).unwrap(), sale());
    }

    #[test]
    fn changes_read_back_oldest_first() {
        let reversal = |id: &str, at: &str| Reversal {
            reversal_id: id.to_owned(),
            reason: "returned".to_owned(),
            at: at.parse().unwrap(),
        };
        let (first, second) = (
            reversal("b", "2026-11-23T07:00:00Z"),
            reversal("a", "2026-11-24T07:00:00Z"),
        );
        let part = |reversal: &Reversal| {
            let part = ReversalPart {
                id: reversal.reversal_id.clone(),
                reason: reversal.reason.clone(),
                at: reversal.at,
            };
            AttributeValue::M(to_item(&part).unwrap())
        };
        let stored = Item::from([
            ("pk".to_owned(), text("CONV#x")),
            (reversal_attribute("a"), part(&second)),
            (reversal_attribute("b"), part(&first)),
            ("approved_at".to_owned(), text("2026-11-22T07:00:00Z")),
        ]);
        let read = changes(&stored).unwrap();
        assert_eq!(read.reversals, [first, second]);
        assert_eq!(
            read.approved_at.unwrap(),
            "2026-11-22T07:00:00Z".parse().unwrap()
        );
    }
}
