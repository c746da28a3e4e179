//! A small SQS: the operations Tributary and its operators use, with the rules AWS documents.
//!
//! Messages live in SQLite, in a file (write-ahead log, `synchronous=FULL`) or in memory. Time comes from
//! the injected clock; a long poll waits on a signal, never in a loop. Standard queues only.

mod digest;
mod wire;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

pub use wire::SqsError;

use crate::wake::{Listener, Wake};
use crate::{ACCOUNT, NowMs, REGION};

/// What a message, and a batch of them, may weigh: 1 MiB (SendMessage, SQS API reference).
pub const MAX_MESSAGE_BYTES: i64 = 1_048_576;

/// A batch request holds ten entries at most.
pub const MAX_BATCH_ENTRIES: usize = 10;

/// A message may stay invisible for twelve hours, counted from its reception.
pub const MAX_VISIBILITY_SECONDS: i64 = 43_200;

/// How many messages a seeded engine chooses the next ones from.
const SHUFFLE_WINDOW: usize = 64;

/// The least a long poll waits before it looks again for messages whose visibility timeout ended: a
/// clock that stands still must not make it spin.
const LEAST_POLL: Duration = Duration::from_millis(20);

/// The queue engine. Clones share it.
#[derive(Clone)]
pub struct Queues(Arc<Inner>);

struct Inner {
    connection: Mutex<Connection>,
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    rng: Option<Mutex<fastrand::Rng>>,
    salt: String,
    now: NowMs,
    on_disk: bool,
}

/// One queue's settings, as created, with defaults filled in.
#[derive(Clone, Debug)]
struct Queue {
    name: String,
    attributes: Map<String, Value>,
    created: i64,
    modified: i64,
    wake: Wake,
}

/// A message as an operator sees it, without receiving it.
#[derive(Clone, Debug)]
pub struct Peeked {
    /// Its id.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// Milliseconds since the epoch when it was sent.
    pub sent_ms: i64,
    /// How often it was received.
    pub receive_count: i64,
    /// The queue it failed on, when it was redriven here.
    pub source: Option<String>,
}

/// Opening the queue engine failed.
#[derive(Debug, thiserror::Error)]
#[error("the queue database cannot be opened: {0}")]
pub struct OpenError(#[from] rusqlite::Error);

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues")
            .field("on_disk", &self.0.on_disk)
            .finish_non_exhaustive()
    }
}

impl Queue {
    fn number(&self, attribute: &str) -> i64 {
        self.attributes
            .get(attribute)
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    }

    /// The dead-letter queue's name and how often a message may be received before it goes there.
    fn redrive(&self) -> Option<(String, i64)> {
        let policy: Value =
            serde_json::from_str(self.attributes.get("RedrivePolicy")?.as_str()?).ok()?;
        let target = policy.get("deadLetterTargetArn")?.as_str()?;
        let count = wire::integer(policy.get("maxReceiveCount")?)?;
        Some((target.rsplit(':').next()?.to_owned(), count))
    }
}

/// The address under which the embedded cloud knows a queue.
pub fn url_of(name: &str) -> String {
    format!("http://sqs.{REGION}/{ACCOUNT}/{name}")
}

/// The ARN under which the embedded cloud knows a queue.
pub fn arn_of(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

fn relock<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half-done under these locks: every change is one SQLite transaction.
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queues {
    /// Opens the engine on a file, or in memory when `path` is `None`. With a `seed`, deliveries come in
    /// an order shuffled by it, as a standard queue promises none.
    pub fn open(path: Option<&Path>, now: NowMs, seed: Option<u64>) -> Result<Self, OpenError> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS queues (
                 name TEXT PRIMARY KEY, attributes TEXT NOT NULL,
                 created INTEGER NOT NULL, modified INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS messages (
                 id INTEGER PRIMARY KEY AUTOINCREMENT,
                 queue TEXT NOT NULL, body TEXT NOT NULL, attributes TEXT, system TEXT,
                 sent INTEGER NOT NULL, visible INTEGER NOT NULL,
                 received INTEGER NOT NULL DEFAULT 0, first_received INTEGER, last_received INTEGER,
                 source TEXT);
             CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible, id);
             CREATE INDEX IF NOT EXISTS messages_sent ON messages (queue, sent);
             CREATE TABLE IF NOT EXISTS checkpoints (
                 source TEXT NOT NULL, shard TEXT NOT NULL, position TEXT NOT NULL,
                 PRIMARY KEY (source, shard));",
        )?;
        let fresh_salt = seed.unwrap_or_else(|| fastrand::u64(..));
        connection.execute(
            "INSERT OR IGNORE INTO meta (key, value) VALUES ('salt', ?1)",
            params![format!("{fresh_salt:016x}")],
        )?;
        let salt =
            connection.query_row("SELECT value FROM meta WHERE key = 'salt'", [], |row| {
                row.get(0)
            })?;
        let queues = load_queues(&connection)?;
        Ok(Self(Arc::new(Inner {
            connection: Mutex::new(connection),
            queues: Mutex::new(queues),
            rng: seed.map(|seed| Mutex::new(fastrand::Rng::with_seed(seed))),
            salt,
            now,
            on_disk: path.is_some(),
        })))
    }

    /// Answers one request of the SQS JSON protocol.
    pub async fn call(&self, operation: &str, request: &Value) -> Result<Value, SqsError> {
        if operation == "ReceiveMessage" {
            return self.receive_message(request).await;
        }
        crate::blocking(self.0.on_disk, || match operation {
            "CreateQueue" => self.create_queue(request),
            "GetQueueUrl" => self.get_queue_url(request),
            "GetQueueAttributes" => self.get_queue_attributes(request),
            "SetQueueAttributes" => self.set_queue_attributes(request),
            "ListQueues" => self.list_queues(request),
            "ListDeadLetterSourceQueues" => self.list_dead_letter_sources(request),
            "PurgeQueue" => self.purge_queue(request),
            "DeleteQueue" => self.delete_queue(request),
            "SendMessage" => self.send_message(request),
            "SendMessageBatch" => self.send_message_batch(request),
            "DeleteMessage" => self.delete_message(request),
            "DeleteMessageBatch" => self.delete_message_batch(request),
            "ChangeMessageVisibility" => self.change_visibility(request),
            "ChangeMessageVisibilityBatch" => self.change_visibility_batch(request),
            "StartMessageMoveTask" => self.start_message_move(request),
            other => Err(SqsError::unsupported(format!(
                "{other} is not part of the embedded SQS"
            ))),
        })
    }

    /// Tells waiting receivers to look again: the clock was moved.
    pub fn poke(&self) {
        for queue in relock(&self.0.queues).values() {
            queue.wake.signal();
        }
    }

    /// Hears when a message may have become receivable on `name`.
    pub fn listen(&self, name: &str) -> Option<Listener> {
        relock(&self.0.queues)
            .get(name)
            .map(|queue| queue.wake.listen())
    }

    /// Makes messages in flight receivable again. Only for a moment when no receiver can be alive: a
    /// store that was just opened would else hold them back for the rest of their timeouts.
    pub fn release_in_flight(&self) -> Result<usize, SqsError> {
        let now = self.now();
        let released = relock(&self.0.connection).execute(
            "UPDATE messages SET visible = ?1 WHERE received > 0 AND visible > ?1",
            params![now],
        )?;
        self.poke();
        Ok(released)
    }

    /// The names of all queues, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = relock(&self.0.queues).keys().cloned().collect();
        names.sort();
        names
    }

    /// The oldest messages of a queue, visible or not, without receiving them.
    pub fn peek(&self, name: &str, limit: usize) -> Result<Vec<Peeked>, SqsError> {
        let queue = self.find(name)?;
        let connection = relock(&self.0.connection);
        let mut statement = connection.prepare_cached(
            "SELECT id, body, sent, received, source FROM messages
             WHERE queue = ?1 AND sent > ?2 ORDER BY sent, id LIMIT ?3",
        )?;
        let rows = statement.query_map(
            params![
                name,
                self.oldest_kept(&queue),
                i64::try_from(limit).unwrap_or(i64::MAX)
            ],
            |row| {
                Ok(Peeked {
                    message_id: self.message_id(row.get(0)?),
                    body: row.get(1)?,
                    sent_ms: row.get(2)?,
                    receive_count: row.get(3)?,
                    source: row.get(4)?,
                })
            },
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Moves up to `limit` messages of a dead-letter queue back to where they failed, or to `target`.
    /// They arrive as new messages. Returns how many moved; those without a known source stay.
    pub fn redrive(
        &self,
        name: &str,
        target: Option<&str>,
        limit: usize,
    ) -> Result<usize, SqsError> {
        let queue = self.find(name)?;
        if let Some(target) = target {
            self.find(target)?;
        }
        let known = self.names();
        let now = self.now();
        let moved = self.transact(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT id, source FROM messages WHERE queue = ?1 AND sent > ?2 ORDER BY sent, id",
            )?;
            let rows = statement
                .query_map(params![name, self.oldest_kept(&queue)], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            let mut moved = Vec::new();
            for (id, source) in rows {
                let Some(home) = target.map(str::to_owned).or(source) else {
                    continue;
                };
                if !known.contains(&home) || moved.len() >= limit {
                    continue;
                }
                tx.prepare_cached(
                    "INSERT INTO messages (queue, body, attributes, system, sent, visible)
                     SELECT ?1, body, attributes, system, ?2, ?2 FROM messages WHERE id = ?3",
                )?
                .execute(params![home, now, id])?;
                tx.prepare_cached("DELETE FROM messages WHERE id = ?1")?
                    .execute(params![id])?;
                moved.push(home);
            }
            Ok(moved)
        })?;
        for home in &moved {
            self.find(home)?.wake.signal();
        }
        Ok(moved.len())
    }

    /// Writes a consistent copy of the queues to `path`, which must not exist.
    pub fn back_up(&self, path: &Path) -> Result<(), SqsError> {
        relock(&self.0.connection).execute("VACUUM INTO ?1", params![path.to_string_lossy()])?;
        Ok(())
    }

    /// How far a source was read, as it was last saved.
    pub(crate) fn checkpoint(&self, source: &str, shard: &str) -> rusqlite::Result<Option<String>> {
        relock(&self.0.connection)
            .prepare_cached("SELECT position FROM checkpoints WHERE source = ?1 AND shard = ?2")?
            .query_row(params![source, shard], |row| row.get(0))
            .optional()
    }

    /// Remembers how far a source was read.
    pub(crate) fn save_checkpoint(
        &self,
        source: &str,
        shard: &str,
        position: &str,
    ) -> rusqlite::Result<()> {
        crate::blocking(self.0.on_disk, || {
            relock(&self.0.connection)
                .prepare_cached(
                    "INSERT INTO checkpoints (source, shard, position) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET position = excluded.position",
                )?
                .execute(params![source, shard, position])
                .map(drop)
        })
    }

    fn now(&self) -> i64 {
        (self.0.now)()
    }

    /// A message sent at or before this has outlived the queue's retention.
    fn oldest_kept(&self, queue: &Queue) -> i64 {
        self.now() - queue.number("MessageRetentionPeriod") * 1000
    }

    /// Ids are derived from the row, so that a seeded run repeats them.
    fn message_id(&self, row: i64) -> String {
        let digest = md5::compute(format!("{}/{row}", self.0.salt)).0;
        let mut id = String::with_capacity(36);
        for (at, byte) in digest.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                id.push('-');
            }
            let _ = write!(id, "{byte:02x}");
        }
        id
    }

    fn find(&self, name: &str) -> Result<Arc<Queue>, SqsError> {
        relock(&self.0.queues)
            .get(name)
            .cloned()
            .ok_or_else(SqsError::no_such_queue)
    }

    fn queue_of(&self, request: &Value) -> Result<Arc<Queue>, SqsError> {
        let url = wire::required(request, "QueueUrl")?;
        self.find(url.rsplit('/').next().unwrap_or_default())
    }

    fn transact<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let mut connection = relock(&self.0.connection);
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    fn create_queue(&self, request: &Value) -> Result<Value, SqsError> {
        let name = wire::required(request, "QueueName")?;
        wire::check_queue_name(name)?;
        let given = wire::attributes(request.get("Attributes"))?;
        let mut attributes = wire::default_attributes();
        attributes.extend(given.clone());
        let now = self.now();
        let mut queues = relock(&self.0.queues);
        if let Some(existing) = queues.get(name) {
            let differs = given.iter().any(|(key, value)| {
                existing
                    .attributes
                    .get(key)
                    .is_none_or(|held| !wire::same_attribute(held, value))
            });
            if differs {
                return Err(SqsError::queue_name_exists());
            }
        } else {
            self.transact(|tx| {
                tx.execute(
                    "INSERT INTO queues (name, attributes, created, modified) VALUES (?1, ?2, ?3, ?3)",
                    params![name, Value::Object(attributes.clone()).to_string(), now],
                )?;
                Ok(())
            })?;
            let queue = Queue {
                name: name.to_owned(),
                attributes,
                created: now,
                modified: now,
                wake: Wake::default(),
            };
            queues.insert(name.to_owned(), Arc::new(queue));
        }
        Ok(json!({ "QueueUrl": url_of(name) }))
    }

    fn get_queue_url(&self, request: &Value) -> Result<Value, SqsError> {
        let name = wire::required(request, "QueueName")?;
        self.find(name)?;
        Ok(json!({ "QueueUrl": url_of(name) }))
    }

    fn get_queue_attributes(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let asked = wire::strings(request.get("AttributeNames"));
        let mut all = queue.attributes.clone();
        let counts = self.counts(&queue)?;
        all.insert("QueueArn".to_owned(), arn_of(&queue.name).into());
        all.insert(
            "CreatedTimestamp".to_owned(),
            (queue.created / 1000).to_string().into(),
        );
        all.insert(
            "LastModifiedTimestamp".to_owned(),
            (queue.modified / 1000).to_string().into(),
        );
        for (name, count) in [
            ("ApproximateNumberOfMessages", counts.0),
            ("ApproximateNumberOfMessagesNotVisible", counts.1),
            ("ApproximateNumberOfMessagesDelayed", counts.2),
        ] {
            all.insert(name.to_owned(), count.to_string().into());
        }
        if let Some(unknown) = asked.iter().find(|name| !wire::is_attribute(name)) {
            return Err(SqsError::invalid_attribute_name(unknown));
        }
        if !asked.iter().any(|name| name == "All") {
            all.retain(|name, _| asked.contains(name));
        }
        Ok(if all.is_empty() {
            json!({})
        } else {
            json!({ "Attributes": all })
        })
    }

    /// How many messages can be received, are in flight, and are delayed.
    fn counts(&self, queue: &Queue) -> Result<(i64, i64, i64), SqsError> {
        let connection = relock(&self.0.connection);
        let mut statement = connection.prepare_cached(
            "SELECT COUNT(*) FILTER (WHERE visible <= ?2),
                    COUNT(*) FILTER (WHERE visible > ?2 AND received > 0),
                    COUNT(*) FILTER (WHERE visible > ?2 AND received = 0)
             FROM messages WHERE queue = ?1 AND sent > ?3",
        )?;
        Ok(statement.query_row(
            params![queue.name, self.now(), self.oldest_kept(queue)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?)
    }

    fn set_queue_attributes(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let mut changed = (*queue).clone();
        changed
            .attributes
            .extend(wire::attributes(request.get("Attributes"))?);
        changed.attributes.retain(|_, value| value != "");
        changed.modified = self.now();
        self.transact(|tx| {
            tx.execute(
                "UPDATE queues SET attributes = ?2, modified = ?3 WHERE name = ?1",
                params![
                    changed.name,
                    Value::Object(changed.attributes.clone()).to_string(),
                    changed.modified
                ],
            )?;
            Ok(())
        })?;
        relock(&self.0.queues).insert(changed.name.clone(), Arc::new(changed));
        queue.wake.signal();
        Ok(json!({}))
    }

    fn list_queues(&self, request: &Value) -> Result<Value, SqsError> {
        let prefix = request
            .get("QueueNamePrefix")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let after = request
            .get("NextToken")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let most = request
            .get("MaxResults")
            .and_then(wire::integer)
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(1000);
        let mut names = self.names();
        names.retain(|name| name.starts_with(prefix) && name.as_str() > after);
        let more = names.len() > most;
        names.truncate(most);
        let mut answer = json!({});
        if more && let Some(last) = names.last() {
            answer["NextToken"] = last.clone().into();
        }
        if !names.is_empty() {
            answer["QueueUrls"] = names.iter().map(|name| url_of(name)).collect();
        }
        Ok(answer)
    }

    fn list_dead_letter_sources(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let queues = relock(&self.0.queues);
        let mut sources: Vec<_> = queues
            .values()
            .filter(|other| {
                other
                    .redrive()
                    .is_some_and(|(target, _)| target == queue.name)
            })
            .map(|other| url_of(&other.name))
            .collect();
        sources.sort();
        Ok(json!({ "queueUrls": sources }))
    }

    fn purge_queue(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        self.transact(|tx| {
            tx.execute("DELETE FROM messages WHERE queue = ?1", params![queue.name])?;
            Ok(())
        })?;
        Ok(json!({}))
    }

    fn delete_queue(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        self.transact(|tx| {
            tx.execute("DELETE FROM messages WHERE queue = ?1", params![queue.name])?;
            tx.execute("DELETE FROM queues WHERE name = ?1", params![queue.name])?;
            Ok(())
        })?;
        relock(&self.0.queues).remove(&queue.name);
        queue.wake.signal();
        Ok(json!({}))
    }

    fn send_message(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let message = wire::Outgoing::read(request, queue.number("DelaySeconds"))?;
        message.check_size(queue.number("MaximumMessageSize"))?;
        let ids = self.insert(&queue, std::slice::from_ref(&message))?;
        Ok(message.receipt(&ids[0]))
    }

    fn send_message_batch(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let entries = wire::entries(request)?;
        let mut accepted = Vec::new();
        let mut failed = Vec::new();
        let mut total = 0;
        for (id, entry) in entries {
            let read = wire::Outgoing::read(entry, queue.number("DelaySeconds"));
            match read {
                Ok(message) => {
                    total += message.size();
                    let checked = message.check_size(queue.number("MaximumMessageSize"));
                    match checked {
                        Ok(()) => accepted.push((id, message)),
                        Err(error) => failed.push(error.entry(id)),
                    }
                }
                Err(error) => failed.push(error.entry(id)),
            }
        }
        if total > MAX_MESSAGE_BYTES {
            return Err(SqsError::batch_too_long(total));
        }
        let messages: Vec<_> = accepted
            .iter()
            .map(|(_, message)| message.clone())
            .collect();
        let ids = self.insert(&queue, &messages)?;
        let successful: Vec<_> = accepted
            .iter()
            .zip(&ids)
            .map(|((entry, message), id)| {
                let mut receipt = message.receipt(id);
                receipt["Id"] = (*entry).into();
                receipt
            })
            .collect();
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }

    fn insert(&self, queue: &Queue, messages: &[wire::Outgoing]) -> Result<Vec<String>, SqsError> {
        let now = self.now();
        let ids = self.transact(|tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO messages (queue, body, attributes, system, sent, visible)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let mut ids = Vec::with_capacity(messages.len());
            for message in messages {
                insert.execute(params![
                    queue.name,
                    message.body,
                    wire::stored(&message.attributes),
                    wire::stored(&message.system),
                    now,
                    now + message.delay_seconds * 1000,
                ])?;
                ids.push(self.message_id(tx.last_insert_rowid()));
            }
            Ok(ids)
        })?;
        queue.wake.signal();
        Ok(ids)
    }

    async fn receive_message(&self, request: &Value) -> Result<Value, SqsError> {
        let ask = wire::Receive::read(request)?;
        let queue = self.queue_of(request)?;
        let wait = ask
            .wait_seconds
            .unwrap_or_else(|| queue.number("ReceiveMessageWaitTimeSeconds"));
        let deadline = Instant::now() + Duration::from_secs(u64::try_from(wait).unwrap_or(0));
        let mut listener = queue.wake.listen();
        loop {
            listener.reset();
            // Looked up again: the settings may change, and the queue vanish, during a long poll.
            let queue = self.find(&queue.name)?;
            let messages = crate::blocking(self.0.on_disk, || self.receive_now(&queue, &ask))?;
            if !messages.is_empty() {
                return Ok(json!({ "Messages": messages }));
            }
            if Instant::now() >= deadline {
                return Ok(json!({}));
            }
            let again = match self.next_visible(&queue)? {
                Some(at) => {
                    let ms = u64::try_from(at - self.now()).unwrap_or(0);
                    deadline.min(Instant::now() + Duration::from_millis(ms).max(LEAST_POLL))
                }
                None => deadline,
            };
            tokio::select! {
                () = listener.changed() => {}
                () = tokio::time::sleep_until(again) => {}
            }
        }
    }

    fn next_visible(&self, queue: &Queue) -> Result<Option<i64>, SqsError> {
        let connection = relock(&self.0.connection);
        let mut statement =
            connection.prepare_cached("SELECT MIN(visible) FROM messages WHERE queue = ?1")?;
        Ok(statement.query_row(params![queue.name], |row| row.get(0))?)
    }

    /// Takes what can be received now. Messages received too often go to the dead-letter queue instead.
    fn receive_now(&self, queue: &Queue, ask: &wire::Receive) -> Result<Vec<Value>, SqsError> {
        let now = self.now();
        {
            // A look without a write lock: most polls find nothing.
            let connection = relock(&self.0.connection);
            let any: bool = connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM messages WHERE queue = ?1 AND visible <= ?2)",
                )?
                .query_row(params![queue.name, now], |row| row.get(0))?;
            if !any {
                return Ok(Vec::new());
            }
        }
        let redrive = queue
            .redrive()
            .filter(|(target, _)| relock(&self.0.queues).contains_key(target));
        let visibility = ask
            .visibility_seconds
            .unwrap_or_else(|| queue.number("VisibilityTimeout"));
        let mut dead = 0;
        let messages = self.transact(|tx| {
            tx.prepare_cached("DELETE FROM messages WHERE queue = ?1 AND sent <= ?2")?
                .execute(params![queue.name, self.oldest_kept(queue)])?;
            let mut messages = Vec::new();
            loop {
                let wanted = ask.most - messages.len();
                if wanted == 0 {
                    break;
                }
                let candidates = self.candidates(tx, queue, now, wanted)?;
                if candidates.is_empty() {
                    break;
                }
                for candidate in candidates {
                    if let Some((target, most)) = &redrive
                        && candidate.received >= *most
                    {
                        tx.prepare_cached(
                            "UPDATE messages SET queue = ?2, visible = ?3, source = ?4 WHERE id = ?1",
                        )?
                        .execute(params![candidate.id, target, now, queue.name])?;
                        dead += 1;
                        continue;
                    }
                    tx.prepare_cached(
                        "UPDATE messages SET received = received + 1, visible = ?2,
                             first_received = COALESCE(first_received, ?3), last_received = ?3
                         WHERE id = ?1",
                    )?
                    .execute(params![candidate.id, now + visibility * 1000, now])?;
                    messages.push(self.deliver(queue, candidate, ask, now));
                }
                // With no timeout, what was just received is visible again: do not take it twice.
                if visibility == 0 {
                    break;
                }
            }
            Ok(messages)
        })?;
        if dead > 0
            && let Some((target, _)) = redrive
        {
            self.find(&target)?.wake.signal();
        }
        Ok(messages)
    }

    fn candidates(
        &self,
        tx: &Transaction<'_>,
        queue: &Queue,
        now: i64,
        wanted: usize,
    ) -> Result<Vec<Stored>, SqsError> {
        let fetched = if self.0.rng.is_some() {
            SHUFFLE_WINDOW
        } else {
            wanted
        };
        let mut found = tx
            .prepare_cached(
                "SELECT id, body, attributes, system, sent, received, first_received, source
                 FROM messages WHERE queue = ?1 AND visible <= ?2 ORDER BY visible, id LIMIT ?3",
            )?
            .query_map(
                params![queue.name, now, i64::try_from(fetched).unwrap_or(i64::MAX)],
                |row| {
                    Ok(Stored {
                        id: row.get(0)?,
                        body: row.get(1)?,
                        attributes: row.get(2)?,
                        system: row.get(3)?,
                        sent: row.get(4)?,
                        received: row.get(5)?,
                        first_received: row.get(6)?,
                        source: row.get(7)?,
                    })
                },
            )?
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(rng) = &self.0.rng {
            relock(rng).shuffle(&mut found);
            found.truncate(wanted);
        }
        Ok(found)
    }

    fn deliver(&self, queue: &Queue, stored: Stored, ask: &wire::Receive, now: i64) -> Value {
        let received = stored.received + 1;
        let mut system = Map::new();
        system.insert("SenderId".to_owned(), ACCOUNT.into());
        system.insert("SentTimestamp".to_owned(), stored.sent.to_string().into());
        system.insert(
            "ApproximateReceiveCount".to_owned(),
            received.to_string().into(),
        );
        system.insert(
            "ApproximateFirstReceiveTimestamp".to_owned(),
            stored.first_received.unwrap_or(now).to_string().into(),
        );
        if let Some(source) = &stored.source {
            system.insert("DeadLetterQueueSourceArn".to_owned(), arn_of(source).into());
        }
        for (name, value) in wire::restored(stored.system) {
            if let Some(text) = value.get("StringValue") {
                system.insert(name, text.clone());
            }
        }
        system.retain(|name, _| ask.wants_system(name));
        let mut message = json!({
            "MessageId": self.message_id(stored.id),
            "ReceiptHandle": wire::receipt_handle(&queue.name, stored.id, received),
            "MD5OfBody": digest::body(&stored.body),
            "Body": stored.body,
        });
        if !system.is_empty() {
            message["Attributes"] = system.into();
        }
        let mut attributes = wire::restored(stored.attributes);
        attributes.retain(|name, _| ask.wants_attribute(name));
        if let Some(digest) = digest::attributes(&attributes) {
            message["MD5OfMessageAttributes"] = digest.into();
            message["MessageAttributes"] = attributes.into();
        }
        message
    }

    fn delete_message(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let handle = wire::read_handle(&queue.name, wire::required(request, "ReceiptHandle")?)?;
        self.transact(|tx| delete(tx, &queue.name, handle))?;
        Ok(json!({}))
    }

    fn delete_message_batch(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let entries = wire::entries(request)?;
        self.transact(|tx| {
            let mut done = Vec::new();
            let mut failed = Vec::new();
            for (id, entry) in entries {
                let handle = wire::required(entry, "ReceiptHandle")
                    .and_then(|handle| wire::read_handle(&queue.name, handle));
                match handle {
                    Ok(handle) => {
                        delete(tx, &queue.name, handle)?;
                        done.push(json!({ "Id": id }));
                    }
                    Err(error) => failed.push(error.entry(id)),
                }
            }
            Ok(json!({ "Successful": done, "Failed": failed }))
        })
    }

    fn change_visibility(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let now = self.now();
        self.transact(|tx| change_visibility(tx, &queue.name, request, now))?;
        queue.wake.signal();
        Ok(json!({}))
    }

    fn change_visibility_batch(&self, request: &Value) -> Result<Value, SqsError> {
        let queue = self.queue_of(request)?;
        let now = self.now();
        let entries = wire::entries(request)?;
        let answer = self.transact(|tx| {
            let mut done = Vec::new();
            let mut failed = Vec::new();
            for (id, entry) in entries {
                match change_visibility(tx, &queue.name, entry, now) {
                    Ok(()) => done.push(json!({ "Id": id })),
                    Err(error) => failed.push(error.entry(id)),
                }
            }
            Ok(json!({ "Successful": done, "Failed": failed }))
        })?;
        queue.wake.signal();
        Ok(answer)
    }

    fn start_message_move(&self, request: &Value) -> Result<Value, SqsError> {
        let name_of = |arn: &str| arn.rsplit(':').next().unwrap_or_default().to_owned();
        let source = name_of(wire::required(request, "SourceArn")?);
        let target = request
            .get("DestinationArn")
            .and_then(Value::as_str)
            .map(name_of);
        self.redrive(&source, target.as_deref(), usize::MAX)?;
        Ok(json!({ "TaskHandle": wire::receipt_handle(&source, 0, self.now()) }))
    }
}

/// A row of the message table.
struct Stored {
    id: i64,
    body: String,
    attributes: Option<String>,
    system: Option<String>,
    sent: i64,
    received: i64,
    first_received: Option<i64>,
    source: Option<String>,
}

fn load_queues(connection: &Connection) -> rusqlite::Result<HashMap<String, Arc<Queue>>> {
    let mut statement =
        connection.prepare("SELECT name, attributes, created, modified FROM queues")?;
    let rows = statement.query_map([], |row| {
        Ok(Queue {
            name: row.get(0)?,
            attributes: wire::restored(row.get(1)?),
            created: row.get(2)?,
            modified: row.get(3)?,
            wake: Wake::default(),
        })
    })?;
    rows.map(|row| row.map(|queue| (queue.name.clone(), Arc::new(queue))))
        .collect()
}

/// A stale receipt handle deletes nothing and says nothing, as on AWS: the message was received again
/// since, and belongs to that receiver.
fn delete(tx: &Transaction<'_>, queue: &str, handle: wire::Handle) -> Result<(), SqsError> {
    tx.prepare_cached("DELETE FROM messages WHERE id = ?1 AND queue = ?2 AND received = ?3")?
        .execute(params![handle.row, queue, handle.reception])?;
    Ok(())
}

fn change_visibility(
    tx: &Transaction<'_>,
    queue: &str,
    request: &Value,
    now: i64,
) -> Result<(), SqsError> {
    let handle = wire::read_handle(queue, wire::required(request, "ReceiptHandle")?)?;
    let seconds = wire::bounded(request, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)?
        .ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
    let held: Option<(i64, Option<i64>)> = tx
        .prepare_cached(
            "SELECT visible, last_received FROM messages
             WHERE id = ?1 AND queue = ?2 AND received = ?3",
        )?
        .query_row(params![handle.row, queue, handle.reception], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((visible, received)) = held.filter(|(visible, _)| *visible > now) else {
        return Err(SqsError::not_in_flight());
    };
    let until = now + seconds * 1000;
    let latest = received.unwrap_or(visible) + MAX_VISIBILITY_SECONDS * 1000;
    if until > latest {
        return Err(SqsError::invalid_parameter(
            "VisibilityTimeout",
            "the total would exceed twelve hours since the message was received",
        ));
    }
    tx.prepare_cached("UPDATE messages SET visible = ?2 WHERE id = ?1")?
        .execute(params![handle.row, until])?;
    Ok(())
}

#[cfg(test)]
mod tests;
