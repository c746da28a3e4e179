//! Keys and items of mails: whom a program has told, and that a mail was sent.

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, days_after};
use crate::ids::{EventId, OperatorId, ProgramId};
use crate::table::{Condition, Error, Item, Key, Op, Put, Table, Update, int, text};

/// Days that it is remembered that a mail was sent: far longer than its event can come again.
const REMEMBERED_DAYS: u32 = 90;

fn mark_key(event: EventId, recipient: &str) -> Key {
    Key::new(format!("EVENT#{event}"), format!("MAIL#{recipient}"))
}

fn notified_key(program: ProgramId) -> Key {
    Key::new(format!("RECRUIT#{program}"), "NOTIFIED")
}

/// The mark that a mail is about to be sent, which holds until `until` (seconds since 1970): refused while
/// another holds it, and for good once the mail was sent.
#[must_use]
pub fn begin(event: EventId, recipient: &str, now: Timestamp, until: i64) -> Update {
    let free = Condition::default()
        .and_absent("ended_at")
        .and_absent_or_below("held_until", int(now.as_second()));
    Update::at(mark_key(event, recipient))
        .set("held_until", int(until))
        .set(
            "expires_at",
            int(days_after(now, REMEMBERED_DAYS).as_second()),
        )
        .only_if(free)
}

/// The mark that a mail was sent, or will never be.
#[must_use]
pub fn end(event: EventId, recipient: &str, how: &str, now: Timestamp) -> Update {
    Update::at(mark_key(event, recipient))
        .set("ended_at", text(now.to_string()))
        .set("how", text(how))
}

/// The mark that a mail was not sent and may be tried again at once.
#[must_use]
pub fn release(event: EventId, recipient: &str) -> Update {
    Update::at(mark_key(event, recipient)).remove("held_until")
}

/// Whether a mark says that the mail needs no sending any more.
#[must_use]
pub fn has_ended(mark: &Item) -> bool {
    mark.contains_key("ended_at")
}

#[derive(Serialize, Deserialize)]
struct NotifiedItem {
    pk: String,
    sk: String,
    operators: Vec<OperatorId>,
    version: u64,
}

/// The operators whom a program tells of what happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notified {
    /// Who.
    pub operators: Vec<OperatorId>,
    /// Counts changes; 0 while nobody was ever named.
    pub version: u64,
}

/// Names the operators whom a program tells, from the version before.
///
/// # Errors
/// Never for a well-formed list.
pub fn save_notified(program: ProgramId, saved: &Notified) -> Result<Op, Error> {
    let Notified { operators, version } = saved.clone();
    let Key { pk, sk } = notified_key(program);
    let item = NotifiedItem {
        pk,
        sk,
        operators,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let before = int(i64::try_from(version - 1).unwrap_or(i64::MAX));
    let change = Update::rewrite(&item, &[])?;
    Ok(Op::Update(
        change.only_if(Condition::equals("version", before)),
    ))
}

/// The operators whom a program tells.
///
/// # Errors
/// The table's.
pub async fn notified(table: &Table, program: ProgramId) -> Result<Notified, Error> {
    let item: Option<NotifiedItem> = table.get(&notified_key(program)).await?;
    Ok(item.map_or_else(Notified::default, |item| {
        let NotifiedItem {
            pk: _,
            sk: _,
            operators,
            version,
        } = item;
        Notified { operators, version }
    }))
}
