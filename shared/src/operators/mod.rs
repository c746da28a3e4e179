//! Operators and API keys: the people of the vendor, and what their and the partners' keys allow.

pub mod error;
pub mod model;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use error::OperatorError;
use model::{Holder, KeyRecord, OperatorRecord, Scopes};
pub use store::MAX_KEYS;

use crate::edge::{ApiKey, App, Change, Write};
use crate::ids::{KeyId, MemberId, OperatorId};
use crate::table;

/// A new operator, whose keys are made apart.
///
/// # Errors
/// The table's.
pub fn create(
    app: &App,
    name: String,
    email: String,
) -> Result<Change<OperatorRecord, OperatorError>, OperatorError> {
    let operator = OperatorRecord {
        id: app.fresh(),
        name,
        email,
        created_at: app.now(),
    };
    let put = Write::new(store::put_operator(&operator)?, |_| OperatorError::Exists);
    Ok(Change {
        value: operator,
        writes: vec![put],
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
    if store::find_key(&app.main, key.id).await?.is_some() {
        return Ok(());
    }
    let operator = OperatorRecord {
        id: app.fresh(),
        name,
        email,
        created_at: app.now(),
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
    match app
        .main
        .transact(&[store::put_operator(&operator)?, store::put_key(&record)?])
        .await
    {
        Ok(()) => Ok(()),
        Err(table::TransactError::Refused(_)) => Err(OperatorError::Exists),
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
