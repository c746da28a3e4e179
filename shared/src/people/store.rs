//! Keys and items of the register of mailboxes.

use serde::Deserialize;

use super::model::Person;
use crate::table::{Error, Index, Key, Op, Range, Table, Update, text};

/// Persons of one mailbox that are found; more than anybody is.
const MAX_PERSONS: usize = 50;

/// The partition of all who may have a mailbox; the address stands in it as a keyed hash.
fn partition(reference: &str) -> String {
    format!("PERSON#{reference}")
}

#[derive(Deserialize)]
struct PersonItem {
    who: String,
}

/// Notes that a person has a mailbox. The note stays when it has another: who looks a mailbox up reads of each
/// person that was noted which it has now.
#[must_use]
pub fn note(person: Person, reference: &str) -> Op {
    let key = Key::new(partition(reference), person.to_string());
    Op::Update(Update::at(key).set("who", text(person.to_string())))
}

/// Who was noted to have a mailbox.
///
/// # Errors
/// The table's.
pub async fn noted(table: &Table, reference: &str) -> Result<Vec<Person>, Error> {
    let range = Range::partition(Index::Base, partition(reference), MAX_PERSONS);
    let page = table.page(&range).await?;
    let mut found = Vec::with_capacity(page.items.len());
    for item in page.items {
        let PersonItem { who } = crate::table::from_item(item)?;
        let person = who.parse();
        found.push(person.map_err(|_| Error::Malformed(format!("{who} is no person")))?);
    }
    Ok(found)
}
