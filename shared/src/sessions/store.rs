//! Keys and items of signing in.

use serde::{Deserialize, Serialize};

use super::model::{Session, SignIn};
use crate::clock::{Timestamp, minutes_after, stamp};
use crate::ids::{KeyId, SignInId};
use crate::people::model::Person;
use crate::table::{Condition, Error, Index, Key, Op, Put, Range, Table, Update, from_item, text};

/// Sessions of one person that are listed and that one request ends.
pub const MAX_SESSIONS: usize = 50;
/// Minutes that a wish to sign in is kept beyond its end, to tell a late link from a forged one.
const KEPT_MINUTES: i64 = 24 * 60;

fn sign_in_key(id: SignInId) -> Key {
    Key::new(format!("SIGNIN#{id}"), "SIGNIN")
}

/// The wish that an item of that key is.
#[must_use]
pub fn sign_in_of(pk: &str) -> Option<SignInId> {
    pk.strip_prefix("SIGNIN#")?.parse().ok()
}

fn session_key(id: KeyId) -> Key {
    Key::new(format!("SESSION#{id}"), "SESSION")
}

fn sessions_partition(person: Person) -> String {
    format!("SESSIONS#{person}")
}

#[derive(Serialize, Deserialize)]
struct SignInItem {
    pk: String,
    sk: String,
    id: SignInId,
    sealed: String,
    browser: String,
    language: String,
    until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redeemed_at: Option<Timestamp>,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct SlotItem {
    pk: String,
    sk: String,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct SessionItem {
    pk: String,
    sk: String,
    /// Only sessions that were not ended are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sk: Option<String>,
    id: KeyId,
    hash: String,
    person: String,
    browser: String,
    created_at: Timestamp,
    until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    expires_at: i64,
}

/// The put of a wish to sign in.
///
/// # Errors
/// Never for a well-formed one.
pub fn put_sign_in(asked: &SignIn) -> Result<Op, Error> {
    let SignIn {
        id,
        sealed,
        browser,
        language,
        until,
        redeemed_at,
    } = asked.clone();
    let Key { pk, sk } = sign_in_key(id);
    Ok(Op::Put(Put::new(&SignInItem {
        pk,
        sk,
        id,
        sealed,
        browser,
        language,
        until,
        redeemed_at,
        expires_at: minutes_after(until, KEPT_MINUTES).as_second(),
    })?))
}

/// Takes one of the places that an hour has for whoever `reference` stands for; refused when it is taken.
///
/// # Errors
/// Never.
pub fn take_slot(reference: &str, number: u8, now: Timestamp) -> Result<Op, Error> {
    let hour = stamp(now)
        .chars()
        .take("2026-03-02T09".len())
        .collect::<String>();
    let item = SlotItem {
        pk: format!("SIGNSLOT#{reference}"),
        sk: format!("{hour}#{number}"),
        expires_at: minutes_after(now, 120).as_second(),
    };
    Ok(Op::Put(Put::new(&item)?))
}

/// A wish to sign in.
///
/// # Errors
/// The table's.
pub async fn find_sign_in(table: &Table, id: SignInId) -> Result<Option<SignIn>, Error> {
    let item: Option<SignInItem> = table.get(&sign_in_key(id)).await?;
    Ok(item.map(|item| {
        let SignInItem {
            pk: _,
            sk: _,
            id,
            sealed,
            browser,
            language,
            until,
            redeemed_at,
            expires_at: _,
        } = item;
        SignIn {
            id,
            sealed,
            browser,
            language,
            until,
            redeemed_at,
        }
    }))
}

/// Uses a link up, once.
#[must_use]
pub fn redeem(id: SignInId, now: Timestamp) -> Op {
    let unused = Condition::exists().and_absent("redeemed_at");
    Op::Update(
        Update::at(sign_in_key(id))
            .set("redeemed_at", text(now.to_string()))
            .only_if(unused),
    )
}

/// The put of a new session.
///
/// # Errors
/// Never for a well-formed one.
pub fn put_session(session: &Session) -> Result<Op, Error> {
    let Session {
        id,
        hash,
        person,
        browser,
        created_at,
        until,
        ended_at,
    } = session.clone();
    let Key { pk, sk } = session_key(id);
    Ok(Op::Put(Put::new(&SessionItem {
        pk,
        sk,
        list_pk: Some(sessions_partition(person)),
        list_sk: Some(format!("{}#{id}", stamp(created_at))),
        id,
        hash,
        person: person.to_string(),
        browser,
        created_at,
        until,
        ended_at,
        expires_at: until.as_second(),
    })?))
}

fn session(item: SessionItem) -> Result<Session, Error> {
    let SessionItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        hash,
        person,
        browser,
        created_at,
        until,
        ended_at,
        expires_at: _,
    } = item;
    let person = person
        .parse()
        .map_err(|_| Error::Malformed("a session of nobody".to_owned()))?;
    Ok(Session {
        id,
        hash,
        person,
        browser,
        created_at,
        until,
        ended_at,
    })
}

/// A session.
///
/// # Errors
/// The table's.
pub async fn find_session(table: &Table, id: KeyId) -> Result<Option<Session>, Error> {
    let item: Option<SessionItem> = table.get(&session_key(id)).await?;
    item.map(session).transpose()
}

/// The sessions of a person that were not ended, newest first.
///
/// # Errors
/// The table's.
pub async fn sessions(table: &Table, person: Person) -> Result<Vec<Session>, Error> {
    let range = Range::partition(Index::List, sessions_partition(person), MAX_SESSIONS);
    let (entries, _) = table.entries(&range.newest_first()).await?;
    let keys = entries.iter().map(|entry| entry.key.clone());
    let mut items = table.get_many(keys).await?;
    let found = entries.iter().filter_map(|entry| items.remove(&entry.key));
    found.map(|item| session(from_item(item)?)).collect()
}

/// The end of a session of that person.
#[must_use]
pub fn end(person: Person, id: KeyId, now: Timestamp) -> Op {
    let own = Condition::equals("person", text(person.to_string()));
    Op::Update(
        Update::at(session_key(id))
            .set_once("ended_at", text(now.to_string()))
            .remove("list_pk")
            .remove("list_sk")
            .only_if(own),
    )
}
