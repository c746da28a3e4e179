//! Idempotent writes: an `Idempotency-Key` and a fingerprint of the request share the transaction of the
//! effect, with the answer, so that a retry can never take effect twice and reads the same answer.

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header;
use axum::http::request::Parts as RequestParts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::app::App;
use super::problem::{Problem, codes};
use super::reply::Reply;
use crate::clock::days_after;
use crate::ids::digest;
use crate::table::{Key, Op, Put, Refusal, Stored, TransactError, from_item};

/// Characters of an idempotency key.
pub const MAX_ONCE_KEY: usize = 64;
/// How long an answer is remembered; checked on read, because the table removes expired items late.
const ONCE_DAYS: u32 = 30;

/// One operation of a change, with what to say when its condition does not hold.
pub struct Write<E> {
    /// The operation.
    pub op: Op,
    /// Turns the item as it stands (empty when absent) into the error to report.
    pub refused: Box<dyn Fn(&crate::table::Item) -> E + Send + Sync>,
    /// Records of this process that are out of date once it is written.
    pub forgets: Vec<String>,
}

impl<E> Write<E> {
    /// An operation whose refusal means `refused`.
    pub fn new(op: Op, refused: impl Fn(&crate::table::Item) -> E + Send + Sync + 'static) -> Self {
        Self {
            op,
            refused: Box::new(refused),
            forgets: Vec::new(),
        }
    }

    /// The same, after which a cached record is read anew. It is forgotten once the write stands: before, somebody
    /// else would read and keep what is about to be replaced.
    #[must_use]
    pub fn forgetting(mut self, name: String) -> Self {
        self.forgets.push(name);
        self
    }
}

fn forget<E>(app: &App, writes: &[Write<E>]) {
    for name in writes.iter().flat_map(|write| &write.forgets) {
        app.cache.forget(name);
    }
}

/// What a use case decided: the new state of things, and the writes that make it so, all or none.
pub struct Change<T, E> {
    /// What stands once the writes have succeeded.
    pub value: T,
    /// The writes.
    pub writes: Vec<Write<E>>,
}

#[derive(Serialize, Deserialize)]
struct OnceItem {
    pk: String,
    sk: String,
    fingerprint: String,
    status: u16,
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    expires_at: i64,
}

/// The request's idempotency: an extractor that also sees the route. The fingerprint of the body and the
/// principal are added by [`Once::of`].
#[derive(Clone, Debug)]
pub struct Once {
    key: Option<String>,
    route: String,
    principal: String,
    fingerprint: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Problem> {
        let key = match parts.headers.get("idempotency-key") {
            None => None,
            Some(value) => {
                let sound = |text: &&str| {
                    (1..=MAX_ONCE_KEY).contains(&text.len())
                        && text.bytes().all(|byte| byte.is_ascii_graphic())
                };
                let text = value.to_str().ok().filter(sound).ok_or_else(|| {
                    Problem::field(
                        codes::IDEMPOTENCY_KEY_INVALID,
                        "Idempotency-Key",
                        codes::IDEMPOTENCY_KEY_INVALID.meaning,
                    )
                })?;
                Some(text.to_owned())
            }
        };
        let template = parts
            .extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        let route = format!("{} {template}", parts.method);
        // The path itself stands in the fingerprint: one key over two partners' pages is a reuse. So does
        // the version a change is based on: the same change of another version is another change.
        let based_on = parts.headers.get(header::IF_MATCH);
        let based_on = based_on.map_or(&b""[..], |value| value.as_bytes());
        let fingerprint = [parts.uri.path().as_bytes(), &[0], based_on].concat();
        Ok(Self {
            key,
            route,
            principal: String::new(),
            fingerprint: String::from_utf8_lossy(&fingerprint).into_owned(),
        })
    }
}

impl Once {
    /// Ties the key to who asks and to what exactly is asked.
    #[must_use]
    pub fn of(mut self, principal: &str, body: &Value) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.fingerprint.as_bytes());
        hash.update([0]);
        // serde_json keeps object keys sorted, so two spellings of one body are one request.
        hash.update(body.to_string().as_bytes());
        self.fingerprint = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.principal = principal.to_owned();
        self
    }

    /// What a key names together with who asks and what for: the same in every repeat of a request, so that ids
    /// can follow from it. `None` without a key.
    #[must_use]
    pub fn series(&self) -> Option<String> {
        self.marker_key().map(|key| key.pk)
    }

    fn marker_key(&self) -> Option<Key> {
        let key = self.key.as_deref()?;
        let tie = digest("once", &[&self.principal, &self.route, key]);
        let tie = tie
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        Some(Key::new(format!("ONCE#{tie}"), "ONCE"))
    }

    /// The stored answer, when this request was answered before.
    ///
    /// # Errors
    /// `idempotency_key_reused` when the key came with another request; the table's errors.
    pub async fn answered(&self, app: &App) -> Result<Option<Reply>, Problem> {
        let Some(key) = self.marker_key() else {
            return Ok(None);
        };
        let Some(item) = app.main.get::<OnceItem>(&key).await? else {
            return Ok(None);
        };
        self.replay(app, item)
    }

    /// The fingerprint as it is stored: keyed, because a body may hold a bank account, which a plain hash
    /// would let anyone guess who reads the table.
    fn stored_fingerprint(&self, app: &App) -> String {
        app.keyring.reference("once", &self.fingerprint)
    }

    fn replay(&self, app: &App, item: OnceItem) -> Result<Option<Reply>, Problem> {
        let OnceItem {
            pk,
            sk: _,
            fingerprint,
            status,
            body,
            version,
            expires_at,
        } = item;
        if expires_at <= app.now().as_second() {
            return Ok(None);
        }
        if fingerprint != self.stored_fingerprint(app) {
            return Err(Problem::new(
                codes::IDEMPOTENCY_KEY_REUSED,
                codes::IDEMPOTENCY_KEY_REUSED.meaning,
            ));
        }
        let opened = app.keyring.open(&pk, &body);
        let opened = opened.map_err(|error| Problem::internal(&error))?;
        let body = serde_json::from_slice(&opened).map_err(|error| Problem::internal(&error))?;
        Ok(Some(Reply {
            status,
            body,
            version,
        }))
    }

    fn marker(&self, app: &App, reply: &Reply) -> Result<Option<Op>, Problem> {
        let Some(Key { pk, sk }) = self.marker_key() else {
            return Ok(None);
        };
        // Sealed: an answer may hold a name or an email, which stand in the open nowhere but in their own item.
        let body = app.keyring.seal(&pk, reply.body.to_string().as_bytes());
        let item = OnceItem {
            pk,
            sk,
            fingerprint: self.stored_fingerprint(app),
            status: reply.status,
            body: body.map_err(|error| Problem::internal(&error))?,
            version: reply.version,
            expires_at: days_after(app.now(), ONCE_DAYS).as_second(),
        };
        // An expired one counts as absent: the table removes it late.
        let put = Put::new(&item)?.or_expired(app.now().as_second());
        Ok(Some(Op::Put(put)))
    }

    /// Commits a change and answers. `stored` is the answer without secrets, which a replay reads;
    /// `fresh` is what is answered now, which may show a secret this one time.
    ///
    /// # Errors
    /// The refused write's error; `idempotency_key_reused`; `busy`.
    pub async fn commit<T, E: Into<Problem>>(
        &self,
        app: &App,
        change: Change<T, E>,
        stored: impl FnOnce(&T) -> Reply,
        fresh: impl FnOnce(T) -> Reply,
    ) -> Result<Response, Problem> {
        let Change { value, writes } = change;
        let stored = stored(&value);
        let marker = self.marker(app, &stored)?;
        if marker.is_none() && writes.is_empty() {
            return Ok(fresh(value).into_response());
        }
        // A single put needs no transaction, which would cost twice as much.
        if let (
            None,
            [
                Write {
                    op: Op::Put(put),
                    refused,
                    ..
                },
            ],
        ) = (&marker, writes.as_slice())
        {
            return match app.main.put_new(put.clone()).await? {
                Stored::New => {
                    forget(app, &writes);
                    Ok(fresh(value).into_response())
                }
                Stored::Already(old) => Err(refused(&old).into()),
            };
        }
        if let (
            None,
            [
                Write {
                    op: Op::Update(update),
                    refused,
                    ..
                },
            ],
        ) = (&marker, writes.as_slice())
        {
            return match app.main.update(update.clone()).await? {
                Ok(()) => {
                    forget(app, &writes);
                    Ok(fresh(value).into_response())
                }
                Err(old) => Err(refused(&old).into()),
            };
        }
        // The marker shares the transaction, so a retry can never take effect twice.
        let ops: Vec<Op> = writes
            .iter()
            .map(|write| write.op.clone())
            .chain(marker)
            .collect();
        match app.main.transact(&ops).await {
            Ok(()) => {
                forget(app, &writes);
                Ok(fresh(value).into_response())
            }
            Err(TransactError::Table(error)) => Err(error.into()),
            Err(TransactError::Refused(refusals)) => self.explain(app, &writes, &refusals),
        }
    }

    fn explain<E: Into<Problem>>(
        &self,
        app: &App,
        writes: &[Write<E>],
        refusals: &[Refusal],
    ) -> Result<Response, Problem> {
        if let Some(Refusal::Condition(old)) = refusals.get(writes.len()) {
            let item = from_item::<OnceItem>(old.clone())?;
            return match self.replay(app, item)? {
                Some(reply) => Ok(reply.into_response()),
                // It expired while this was on its way.
                None => Err(Problem::new(
                    codes::IN_FLIGHT,
                    "the idempotency key expired a moment ago; use a new one",
                )),
            };
        }
        for (write, refusal) in writes.iter().zip(refusals) {
            if let Refusal::Condition(old) = refusal {
                return Err((write.refused)(old).into());
            }
        }
        Err(Problem::new(codes::CONFLICT, codes::CONFLICT.meaning))
    }
}
