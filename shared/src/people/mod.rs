//! The register of mailboxes: whom an email address may be. It only proposes: who has the address now stands with the
//! operator, the partner or the member.

pub mod model;
mod store;

pub use model::{Person, compared};

use crate::edge::App;
use crate::table::{self, Op};

/// What the cache calls a person.
#[must_use]
pub fn person_name(person: Person) -> String {
    format!("PERSON#{person}")
}

/// What stands for an address in keys.
#[must_use]
pub fn reference(app: &App, email: &str) -> String {
    app.keyring.reference("mailbox", &compared(email))
}

/// The write that notes that a person has a mailbox, for the transaction that gives it one.
#[must_use]
pub fn note(app: &App, person: Person, email: &str) -> Op {
    store::note(person, &reference(app, email))
}

/// Who was ever noted to have a mailbox. One round trip.
///
/// # Errors
/// The table's.
pub async fn noted(app: &App, email: &str) -> Result<Vec<Person>, table::Error> {
    store::noted(&app.main, &reference(app, email)).await
}
