//! Keys and items of operators and API keys.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::model::{Holder, KeyRecord, OperatorRecord, SCOPES, Scopes};
use crate::clock::{Timestamp, stamp};
use crate::ids::{KeyId, MemberId, OperatorId};
use crate::table::{
    Condition, Error, Index, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

/// Keys in force that one holder may have.
pub const MAX_KEYS: usize = 50;
/// Keys read for one holder: above [`MAX_KEYS`], because two made at once may both find room.
const KEYS_PAGE: usize = 100;

fn operator_key(id: OperatorId) -> Key {
    Key::new(format!("OPR#{id}"), "OPERATOR")
}

fn api_key_key(id: KeyId) -> Key {
    Key::new(format!("KEY#{id}"), "KEY")
}

fn holder_name(holder: Holder) -> String {
    match holder {
        Holder::Operator(id) => id.to_string(),
        Holder::Partner(id) => id.to_string(),
    }
}

/// The version of an operator that was stored before changes were counted.
fn first() -> u64 {
    1
}

#[derive(Serialize, Deserialize)]
struct OperatorItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    id: OperatorId,
    name: String,
    email: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    created_at: Timestamp,
    #[serde(default = "first")]
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct KeyItem {
    pk: String,
    sk: String,
    /// Only keys in force are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sk: Option<String>,
    id: KeyId,
    hash: String,
    holder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<MemberId>,
    scopes: Vec<String>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
}

/// The put of a new operator, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed record.
pub fn save_operator(operator: &OperatorRecord) -> Result<Op, Error> {
    let OperatorRecord {
        id,
        name,
        email,
        scopes,
        created_at,
        version,
    } = operator.clone();
    let Key { pk, sk } = operator_key(id);
    let (list_pk, list_sk) = (
        "OPERATORS".to_owned(),
        format!("{}#{id}", stamp(created_at)),
    );
    let item = OperatorItem {
        pk,
        sk,
        list_pk,
        list_sk,
        id,
        name,
        email,
        scopes: names(&scopes),
        created_at,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let before = version - 1;
    let change = Update::rewrite(&item, &["scopes"])?;
    let follows = Condition::exists().and_absent_or_below("version", int(version.cast_signed()));
    let follows = if before == 1 {
        follows
    } else {
        Condition::equals("version", int(before.cast_signed()))
    };
    Ok(Op::Update(change.only_if(follows)))
}

fn names(scopes: &Scopes) -> Vec<String> {
    scopes.iter().map(|scope| scope.name().to_owned()).collect()
}

fn scopes(names: &[String]) -> Scopes {
    let known = |name: &String| {
        SCOPES
            .iter()
            .find(|(word, _)| word == name)
            .map(|(_, scope)| *scope)
    };
    Scopes::of(names.iter().filter_map(known))
}

/// The put of a new key.
///
/// # Errors
/// Never for a well-formed record.
pub fn put_key(key: &KeyRecord) -> Result<Op, Error> {
    let KeyRecord {
        id,
        hash,
        holder,
        member,
        scopes,
        created_at,
        revoked_at,
    } = key.clone();
    let Key { pk, sk } = api_key_key(id);
    let holder = holder_name(holder);
    let (list_pk, list_sk) = (
        Some(format!("KEYS#{holder}")),
        Some(format!("{}#{id}", stamp(created_at))),
    );
    let scopes = names(&scopes);
    let item = KeyItem {
        pk,
        sk,
        list_pk,
        list_sk,
        id,
        hash,
        holder,
        member,
        scopes,
        created_at,
        revoked_at,
    };
    Ok(Op::Put(Put::new(&item)?))
}

/// The revocation of a key that belongs to `holder`, which takes it out of the holder's list.
#[must_use]
pub fn revoke(holder: Holder, id: KeyId, now: Timestamp) -> Op {
    let own = Condition::equals("holder", text(holder_name(holder)));
    Op::Update(
        Update::at(api_key_key(id))
            .set_once("revoked_at", text(now.to_string()))
            .remove("list_pk")
            .remove("list_sk")
            .only_if(own),
    )
}

fn operator(item: OperatorItem) -> OperatorRecord {
    let OperatorItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        name,
        email,
        scopes: names,
        created_at,
        version,
    } = item;
    OperatorRecord {
        id,
        name,
        email,
        scopes: scopes(&names),
        created_at,
        version,
    }
}

fn key_record(item: KeyItem) -> Result<KeyRecord, Error> {
    let KeyItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        hash,
        holder,
        member,
        scopes: names,
        created_at,
        revoked_at,
    } = item;
    let holder = match (holder.parse(), holder.parse()) {
        (Ok(operator), _) => Holder::Operator(operator),
        (_, Ok(partner)) => Holder::Partner(partner),
        _ => return Err(Error::Malformed("a key without a holder".to_owned())),
    };
    Ok(KeyRecord {
        id,
        hash,
        holder,
        member,
        scopes: scopes(&names),
        created_at,
        revoked_at,
    })
}

/// An operator.
///
/// # Errors
/// The table's.
pub async fn find_operator(table: &Table, id: OperatorId) -> Result<Option<OperatorRecord>, Error> {
    Ok(table
        .get::<OperatorItem>(&operator_key(id))
        .await?
        .map(operator))
}

/// Which of these operators there are.
///
/// # Errors
/// The table's.
pub async fn known(
    table: &Table,
    ids: impl IntoIterator<Item = OperatorId>,
) -> Result<BTreeSet<OperatorId>, Error> {
    let ids: BTreeSet<OperatorId> = ids.into_iter().collect();
    let found = table
        .get_many(ids.iter().map(|id| operator_key(*id)))
        .await?;
    let is_there = |id: &OperatorId| found.contains_key(&operator_key(*id));
    Ok(ids.into_iter().filter(is_there).collect())
}

/// A key's record.
///
/// # Errors
/// The table's.
pub async fn find_key(table: &Table, id: KeyId) -> Result<Option<KeyRecord>, Error> {
    table
        .get::<KeyItem>(&api_key_key(id))
        .await?
        .map(key_record)
        .transpose()
}

/// The keys of a holder that are in force, newest first.
///
/// # Errors
/// The table's.
pub async fn keys_of(table: &Table, holder: Holder) -> Result<Vec<KeyRecord>, Error> {
    let range = Range::partition(
        Index::List,
        format!("KEYS#{}", holder_name(holder)),
        KEYS_PAGE,
    )
    .newest_first();
    let (entries, _) = table.entries(&range).await?;
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    entries
        .iter()
        .filter_map(|entry| items.remove(&entry.key))
        .map(|item| key_record(from_item(item)?))
        .collect()
}

/// A page of operators, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn operators(
    table: &Table,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<OperatorRecord>, Option<String>), Error> {
    let mut range = Range::partition(Index::List, "OPERATORS", limit).newest_first();
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
        .map(|item| Ok(operator(from_item(item)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok((
        found,
        entries
            .last()
            .filter(|_| more)
            .map(|entry| entry.sort.clone()),
    ))
}
