//! Keys and items of events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Event, EventKind};
use crate::clock::{Timestamp, minutes_after, stamp};
use crate::ids::{EventId, PartnerId, ProgramId};
use crate::table::{Condition, Error, Index, Key, Op, Put, Range, Table, Update, from_item, text};

fn event_key(id: EventId) -> Key {
    Key::new(format!("EVENT#{id}"), "EVENT")
}

/// The event that an item of that key is.
#[must_use]
pub fn event_of(pk: &str) -> Option<EventId> {
    pk.strip_prefix("EVENT#")?.parse().ok()
}

fn program_partition(program: ProgramId) -> String {
    format!("EVENTS#{program}")
}

/// Partitions of the index over events that not all were told of yet.
pub const UNTOLD_SHARDS: u8 = 4;

/// Minutes after which an event that was not told to all is queued again, because its message was lost, or its
/// stream record was; and twice as many each time after that.
const REQUEUE_MINUTES: i64 = 15;
/// Minutes after which it is queued again at the latest.
const REQUEUE_MINUTES_AT_MOST: i64 = 12 * 60;

/// Where an event stands that is queued again after so many minutes, which stand there too.
fn due_after(id: EventId, now: Timestamp, minutes: i64) -> String {
    format!("{}#{id}#{minutes}", stamp(minutes_after(now, minutes)))
}

fn untold_partition(shard: u8) -> String {
    format!("UNTOLD#{shard}")
}

/// Where an event is listed: under its program, or its partner where it has none, or nowhere.
fn partition(event: &Event) -> Option<String> {
    let of_partner = || event.partner.map(|partner| format!("EVENTS#{partner}"));
    event.program.map(program_partition).or_else(of_partner)
}

#[derive(Serialize, Deserialize)]
struct EventItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sk: Option<String>,
    /// Until all who are to know were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: EventId,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<ProgramId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    subject: String,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    data: BTreeMap<String, String>,
}

fn event_item(event: &Event) -> EventItem {
    let list_pk = partition(event);
    let Event {
        id,
        kind,
        program,
        partner,
        subject,
        at,
        data,
    } = event.clone();
    let Key { pk, sk } = event_key(id);
    EventItem {
        pk,
        sk,
        // Of what happens in one step the order of the kinds is that of the step.
        list_sk: list_pk
            .is_some()
            .then(|| format!("{}#{:03}#{id}", stamp(at), kind as usize)),
        list_pk,
        due_pk: Some(untold_partition(id.bytes()[15] % UNTOLD_SHARDS)),
        due_sk: Some(due_after(id, at, REQUEUE_MINUTES)),
        id,
        kind: kind.name().to_owned(),
        program,
        partner,
        subject,
        at,
        data,
    }
}

fn event(item: EventItem) -> Result<Event, Error> {
    let EventItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        kind,
        program,
        partner,
        subject,
        at,
        data,
    } = item;
    let kind = EventKind::named(&kind)
        .ok_or_else(|| Error::Malformed(format!("{kind} is no kind of event")))?;
    Ok(Event {
        id,
        kind,
        program,
        partner,
        subject,
        at,
        data,
    })
}

/// The put of an event, for the transaction of what it tells of.
///
/// # Errors
/// `Malformed` for an event that does not keep to the schema of its kind.
pub fn put(event: &Event) -> Result<Op, Error> {
    event
        .check()
        .map_err(|fault| Error::Malformed(format!("event {}: {fault}", event.kind.name())))?;
    Ok(Op::Put(Put::new(&event_item(event))?))
}

/// An event, if not all were told of it yet.
///
/// # Errors
/// The table's.
pub async fn find_untold(table: &Table, id: EventId) -> Result<Option<Event>, Error> {
    let item: Option<EventItem> = table.get(&event_key(id)).await?;
    let untold = item.filter(|item| item.due_pk.is_some());
    untold.map(event).transpose()
}

/// The change of an event once all were told of it.
#[must_use]
pub fn told(id: EventId, now: Timestamp) -> Update {
    Update::at(event_key(id))
        .set("told_at", text(now.to_string()))
        .remove("due_pk")
        .remove("due_sk")
        .only_if(Condition::exists())
}

/// An event that not all were told of, and where it stands among those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// Its id.
    pub id: EventId,
    position: String,
}

/// Events of one shard that are due to be queued again, the longest due first.
///
/// # Errors
/// The table's.
pub async fn untold(
    table: &Table,
    shard: u8,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Untold>, Error> {
    let range = Range::partition(Index::Due, untold_partition(shard), limit)
        .below(format!("{}$", stamp(now)));
    let (entries, _) = table.entries(&range).await?;
    let untold = entries.into_iter().filter_map(|entry| {
        Some(Untold {
            id: event_of(&entry.key.pk)?,
            position: entry.sort,
        })
    });
    Ok(untold.collect())
}

/// The change of an event that was queued again: the next time it waits twice as long.
#[must_use]
pub fn queued_again(untold: &Untold, now: Timestamp) -> Update {
    let Untold { id, position } = untold;
    let waited = position.rsplit_once('#').and_then(|(_, n)| n.parse().ok());
    let minutes = waited.unwrap_or(REQUEUE_MINUTES).saturating_mul(2);
    let minutes = minutes.clamp(REQUEUE_MINUTES, REQUEUE_MINUTES_AT_MOST);
    Update::at(event_key(*id))
        .set("due_sk", text(due_after(*id, now, minutes)))
        .only_if(Condition::equals("due_sk", text(position.clone())))
}

/// An event.
///
/// # Errors
/// The table's.
pub async fn find(table: &Table, id: EventId) -> Result<Option<Event>, Error> {
    let item: Option<EventItem> = table.get(&event_key(id)).await?;
    item.map(event).transpose()
}

/// A page of a program's events from a moment on and up to another, behind a position, oldest first; and the
/// position of the last.
///
/// # Errors
/// The table's.
pub async fn feed(
    table: &Table,
    program: ProgramId,
    from: Option<Timestamp>,
    until: Timestamp,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<Event>, Option<String>), Error> {
    let low = beyond
        .as_ref()
        .map(|beyond| format!("{beyond}\0"))
        .or_else(|| from.map(stamp))
        .unwrap_or_else(|| "0".to_owned());
    let high = format!("{}\u{10FFFF}", stamp(until));
    let range = Range::partition(Index::List, program_partition(program), limit).between(low, high);
    let (entries, _) = table.entries(&range).await?;
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    let found = entries
        .iter()
        .filter_map(|entry| items.remove(&entry.key))
        .map(|item| event(from_item(item)?))
        .collect::<Result<Vec<_>, Error>>()?;
    let position = entries.last().map(|entry| entry.sort.clone()).or(beyond);
    Ok((found, position))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_and_one_that_breaks_its_schema_is_not_written() {
        let sound = Event::new(
            EventId::from_bytes([1; 16]),
            EventKind::PartnerSuspended,
            PartnerId::from_bytes([2; 16]),
            "2026-03-02T09:00:00Z".parse().unwrap(),
        )
        .about_partner(PartnerId::from_bytes([2; 16]));
        assert!(put(&sound).is_ok());
        let item = Put::new(&event_item(&sound)).unwrap().item().clone();
        assert_eq!(event(from_item(item).unwrap()).unwrap(), sound);
        assert!(put(&sound.with("colour", "red")).is_err());
    }
}
