//! What operators' requests and answers look like.

use serde::Serialize;
use tributary::edge::ApiKey;
use tributary::operators::model::{KeyRecord, OperatorRecord, Scopes};
use utoipa::ToSchema;

/// A new operator.
#[derive(ToSchema)]
#[schema(as = NewOperator, example = json!({"name": "Ada Lovelace", "email": "ada@vendor.example", "scopes": ["channel"]}))]
pub struct NewOperatorBody {
    /// Name, at most 120 characters.
    pub name: String,
    /// Email address.
    pub email: String,
    /// What it may do in the console: `admin`, `channel`, `finance`, `read`. Without any it may not sign in.
    pub scopes: Option<Vec<String>>,
}

/// Changes of an operator; what is left out stays.
#[derive(ToSchema)]
#[schema(as = OperatorPatch, example = json!({"scopes": ["finance", "read"]}))]
pub struct OperatorPatchBody {
    /// Name, at most 120 characters.
    pub name: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// What it may do in the console; `[]` for one who may not sign in any more.
    pub scopes: Option<Vec<String>>,
}

/// A new key of an operator.
#[derive(ToSchema)]
#[schema(as = NewOperatorKey, example = json!({"scopes": ["channel", "read"]}))]
pub struct NewOperatorKeyBody {
    /// What the key allows: `admin`, `channel`, `finance`, `read`.
    pub scopes: Vec<String>,
}

/// A person who works for the vendor.
#[derive(Serialize, ToSchema)]
#[schema(as = Operator, example = json!({"id": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "name": "Ada Lovelace", "email": "ada@vendor.example", "scopes": ["channel"], "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct OperatorView {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
    /// What it may do in the console; empty for one who may not sign in.
    pub scopes: Vec<&'static str>,
    /// Since when.
    pub created_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// A page of operators.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorList)]
pub struct OperatorListView {
    /// Newest first.
    pub items: Vec<OperatorView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A key in force, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorKey, example = json!({"id": "key_01kar52v4e8qzr5n3m6x7p9tdc", "scopes": ["channel", "read"], "created_at": "2026-11-23T07:00:00Z"}))]
pub struct KeyView {
    /// Id, by which it is revoked.
    pub id: String,
    /// What it allows.
    pub scopes: Vec<&'static str>,
    /// Since when.
    pub created_at: String,
    /// The key itself, in the answer that made it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The keys of one operator.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorKeyList)]
pub struct KeyListView {
    /// Newest first; all of them.
    pub items: Vec<KeyView>,
    /// Always `null`: the number of keys is limited.
    pub next_cursor: Option<String>,
}

/// Who is asking.
#[derive(Serialize, ToSchema)]
#[schema(as = Me, example = json!({"kind": "operator", "operator": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "key": "key_01kar52v4e8qzr5n3m6x7p9tdc", "scopes": ["admin"]}))]
pub struct MeView {
    /// `operator` or `partner`.
    pub kind: &'static str,
    /// The operator, for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The partner, for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// Which key was shown.
    pub key: String,
    /// What it allows; empty for a partner, who reads its own records.
    pub scopes: Vec<&'static str>,
}

pub(crate) fn operator(record: &OperatorRecord) -> OperatorView {
    let OperatorRecord {
        id,
        name,
        email,
        scopes,
        created_at,
        version,
    } = record;
    OperatorView {
        id: id.to_string(),
        name: name.clone(),
        email: email.clone(),
        scopes: scope_names(scopes),
        created_at: created_at.to_string(),
        version: *version,
    }
}

pub(crate) fn scope_names(scopes: &Scopes) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.name()).collect()
}

pub(crate) fn key(record: &KeyRecord, shown: Option<&ApiKey>) -> KeyView {
    KeyView {
        id: record.id.to_string(),
        scopes: scope_names(&record.scopes),
        created_at: record.created_at.to_string(),
        key: shown.map(|key| key.reveal().to_owned()),
    }
}
