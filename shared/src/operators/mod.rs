//! Operators and API keys: the people of the vendor, and what their and the partners' keys allow.

pub mod error;
pub mod model;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use error::OperatorError;
use model::{Holder, KeyRecord, OperatorRecord, Scope, Scopes};
pub use store::MAX_KEYS;

use crate::edge::{ApiKey, App, Change, Write};
use crate::ids::{KeyId, MemberId, OperatorId};
use crate::people::{self, Person, person_name};
use crate::table::{self, Op};

/// A new operator, whose keys are made apart. With scopes it may sign in.
///
/// # Errors
/// The table's.
pub fn create(
    app: &App,
    name: String,
    email: String,
    scopes: Scopes,
) -> Result<Change<OperatorRecord, OperatorError>, OperatorError> {
    let operator = OperatorRecord {
        id: app.fresh(),
        name,
        email,
        scopes,
        created_at: app.now(),
        version: 1,
    };
    let ops = entered(app, &operator)?;
    Ok(Change {
        value: operator,
        writes: ops
            .into_iter()
            .map(|op| Write::new(op, |_| OperatorError::Exists))
            .collect(),
    })
}

/// The operations by which an operator is there, and is found by its mailbox.
///
/// # Errors
/// Never for a well-formed record.
pub fn entered(app: &App, operator: &OperatorRecord) -> Result<Vec<Op>, table::Error> {
    let person = Person::Operator(operator.id);
    Ok(vec![
        store::save_operator(operator)?,
        people::note(app, person, &operator.email),
    ])
}

/// Changes of an operator; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct OperatorPatch {
    /// Name.
    pub name: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// What it may do when it is signed in; empty for one who may not sign in any more.
    pub scopes: Option<Scopes>,
}

/// Changes an operator whose version is `based_on`. What it may do in a browser changes with that, at the latest after
/// [`crate::edge::CACHE_SECONDS`]; its keys stay as they are.
///
/// # Errors
/// `NotFound`, `OwnAdmin`, `Stale`, the table's.
pub async fn amend(
    app: &App,
    id: OperatorId,
    by: OperatorId,
    based_on: u64,
    patch: OperatorPatch,
) -> Result<Change<OperatorRecord, OperatorError>, OperatorError> {
    let before = find(app, id).await?;
    if before.version != based_on {
        return Err(OperatorError::Stale);
    }
    let OperatorPatch {
        name,
        email,
        scopes,
    } = patch;
    let is_admin = |scopes: &Scopes| scopes.iter().any(|scope| scope == Scope::Admin);
    let loses = scopes.as_ref().is_some_and(|scopes| !is_admin(scopes));
    if id == by && is_admin(&before.scopes) && loses {
        return Err(OperatorError::OwnAdmin);
    }
    let operator = OperatorRecord {
        name: name.unwrap_or(before.name),
        email: email.unwrap_or(before.email),
        scopes: scopes.unwrap_or(before.scopes),
        version: before.version + 1,
        ..before
    };
    let ops = entered(app, &operator)?;
    let writes = ops.into_iter().map(|op| {
        Write::new(op, |_| OperatorError::Stale).forgetting(person_name(Person::Operator(id)))
    });
    Ok(Change {
        value: operator,
        writes: writes.collect(),
    })
}

/// An operator, if there is one of that id.
///
/// # Errors
/// The table's.
pub async fn known(app: &App, id: OperatorId) -> Result<Option<OperatorRecord>, table::Error> {
    store::find_operator(&app.main, id).await
}

/// One operator.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: OperatorId) -> Result<OperatorRecord, OperatorError> {
    store::find_operator(&app.main, id)
        .await?
        .ok_or(OperatorError::NotFound(id))
}

/// Which of these operators there are. One round trip for a hundred.
///
/// # Errors
/// The table's.
pub async fn known_among(
    app: &App,
    ids: impl IntoIterator<Item = OperatorId>,
) -> Result<BTreeSet<OperatorId>, table::Error> {
    store::known(&app.main, ids).await
}

/// A page of operators, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<OperatorRecord>, Option<String>), OperatorError> {
    Ok(store::operators(&app.main, below, limit).await?)
}

/// A new key for a holder, or for a person of a partner, with the key itself to be shown once.
///
/// # Errors
/// `TooManyKeys`, the table's.
pub async fn issue_key(
    app: &App,
    holder: Holder,
    member: Option<MemberId>,
    scopes: Scopes,
) -> Result<Change<(KeyRecord, ApiKey), OperatorError>, OperatorError> {
    if store::keys_of(&app.main, holder).await?.len() >= MAX_KEYS {
        return Err(OperatorError::TooManyKeys);
    }
    let key = ApiKey::generate(app.fresh(), app.entropy.bytes());
    let record = KeyRecord {
        id: key.id,
        hash: key.hash(),
        holder,
        member,
        scopes,
        created_at: app.now(),
        revoked_at: None,
    };
    let put = Write::new(store::put_key(&record)?, |_| OperatorError::Exists);
    Ok(Change {
        value: (record, key),
        writes: vec![put],
    })
}

/// An operator with a key that exists elsewhere already, such as the one given to a new installation.
/// Committed at once, both or neither; done already counts as done.
///
/// # Errors
/// The table's.
pub async fn install(
    app: &App,
    name: String,
    email: String,
    key: &ApiKey,
    scopes: Scopes,
) -> Result<(), OperatorError> {
    if let Some(record) = store::find_key(&app.main, key.id).await? {
        return may_sign_in(app, record).await;
    }
    let operator = OperatorRecord {
        id: app.fresh(),
        name,
        email,
        scopes: scopes.clone(),
        created_at: app.now(),
        version: 1,
    };
    let record = KeyRecord {
        id: key.id,
        hash: key.hash(),
        holder: Holder::Operator(operator.id),
        member: None,
        scopes,
        created_at: app.now(),
        revoked_at: None,
    };
    let mut ops = entered(app, &operator)?;
    ops.push(store::put_key(&record)?);
    match app.main.transact(&ops).await {
        Ok(()) => Ok(()),
        Err(table::TransactError::Refused(_)) => Err(OperatorError::Exists),
        Err(table::TransactError::Table(error)) => Err(error.into()),
    }
}

/// Lets an operator sign in who was installed before operators could: it has no scopes of its own and was never
/// changed.
async fn may_sign_in(app: &App, key: KeyRecord) -> Result<(), OperatorError> {
    let Holder::Operator(id) = key.holder else {
        return Ok(());
    };
    let found = store::find_operator(&app.main, id).await?;
    let untouched =
        |found: &OperatorRecord| found.version == 1 && found.scopes == Scopes::default();
    let Some(before) = found.filter(untouched) else {
        return Ok(());
    };
    let operator = OperatorRecord {
        scopes: key.scopes,
        version: before.version + 1,
        ..before
    };
    match app.main.transact(&entered(app, &operator)?).await {
        // Refused, another did so at the same moment.
        Ok(()) | Err(table::TransactError::Refused(_)) => Ok(()),
        Err(table::TransactError::Table(error)) => Err(error.into()),
    }
}

/// The record of a key, at most [`crate::edge::CACHE_SECONDS`] old, so that a revocation holds within that time.
///
/// # Errors
/// The table's.
pub async fn key_record(app: &App, id: KeyId) -> Result<Option<Arc<KeyRecord>>, table::Error> {
    app.cached(&format!("KEY#{id}"), || store::find_key(&app.main, id))
        .await
}

/// The same with the table's errors alone.
///
/// # Errors
/// The table's.
pub async fn held_keys(app: &App, holder: Holder) -> Result<Vec<KeyRecord>, table::Error> {
    store::keys_of(&app.main, holder).await
}

/// The keys of a holder that are in force, newest first.
///
/// # Errors
/// The table's.
pub async fn keys(app: &App, holder: Holder) -> Result<Vec<KeyRecord>, OperatorError> {
    Ok(store::keys_of(&app.main, holder).await?)
}

/// Ends a key of that holder; a second time changes nothing.
///
/// # Errors
/// `KeyNotFound` when the holder has no such key; the table's.
pub fn revoke_key(app: &App, holder: Holder, id: KeyId) -> Change<(), OperatorError> {
    let write = Write::new(store::revoke(holder, id, app.now()), move |_| {
        OperatorError::KeyNotFound(id)
    });
    Change {
        value: (),
        writes: vec![write.forgetting(format!("KEY#{id}"))],
    }
}
