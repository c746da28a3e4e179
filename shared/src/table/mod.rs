//! The only user of the DynamoDB client: typed keys, items, conditional writes, transactions and the
//! reasons they are refused for.
//!
//! Every write is safe to repeat: a put is conditional on absence and recognises its own earlier
//! success, an update states the condition that makes a second one fail.

mod transact;
mod write;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
pub use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use transact::{MAX_OPS, Refusal, TransactError};
pub use write::{Condition, Op, Put, Stored, Update};

/// An item as the client takes it.
pub type Item = HashMap<String, AttributeValue>;

/// DynamoDB answers at most this many keys of one `BatchGetItem`.
pub const MAX_BATCH_GET: usize = 100;
/// Rounds for keys that DynamoDB left unprocessed, before the read is given up as throttled.
const MAX_UNPROCESSED_ROUNDS: u32 = 8;

/// The primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// A key from its two parts.
    #[must_use]
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
        }
    }

    fn item(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), text(&self.pk)),
            ("sk".to_owned(), text(&self.sk)),
        ])
    }

    /// The key of an item.
    #[must_use]
    pub fn of(item: &Item) -> Option<Self> {
        let part = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        Some(Self {
            pk: part("pk")?,
            sk: part("sk")?,
        })
    }
}

/// A string attribute.
#[must_use]
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// An integer attribute.
#[must_use]
pub fn int(value: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// Turns an item type into what the table stores. `None` fields must be marked to be skipped.
///
/// # Errors
/// `Malformed` when the type cannot be an item.
pub fn to_item<T: Serialize>(value: &T) -> Result<Item, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(value)
        .map_err(|error| Error::Malformed(error.to_string()))
}

/// Reads a stored item.
///
/// # Errors
/// `Malformed`, naming what does not fit: a stored item that this version cannot read.
pub fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item)
        .map_err(|error| Error::Malformed(error.to_string()))
}

/// Why the table did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Overloaded or in conflict beyond the retries here; safe to repeat.
    #[error("the table is busy: {0}")]
    Busy(String),
    /// A stored item that does not have the expected shape.
    #[error("an item is malformed: {0}")]
    Malformed(String),
    /// Anything else: no connection, no permission, a request the table refuses.
    #[error("the table failed: {0}")]
    Failed(String),
}

/// What a service said, as one of ours. Contention and overload are told apart: they are worth a retry.
fn service_error(error: &(impl ProvideErrorMetadata + ?Sized)) -> Error {
    const BUSY: [&str; 6] = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionConflictException",
        "TransactionInProgressException",
        "InternalServerError",
    ];
    match error.code() {
        Some(code) if BUSY.contains(&code) => Error::Busy(code.to_owned()),
        code => Error::Failed(format!(
            "{}: {}",
            code.unwrap_or("unknown"),
            error.message().unwrap_or_default()
        )),
    }
}

impl<E, R> From<SdkError<E, R>> for Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        match error {
            SdkError::ServiceError(context) => service_error(context.err()),
            other => Self::Failed(DisplayErrorContext(&other).to_string()),
        }
    }
}

/// Which index a query walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// The table itself, read consistently.
    Base,
    /// `list`: what people page through.
    List,
    /// `due`: holds, payable lines and unfinished work.
    Due,
}

impl Index {
    fn attributes(self) -> (&'static str, &'static str) {
        match self {
            Self::Base => ("pk", "sk"),
            Self::List => ("list_pk", "list_sk"),
            Self::Due => ("due_pk", "due_sk"),
        }
    }
}

/// A range of sort keys in one partition.
#[derive(Clone, Debug)]
pub struct Range {
    index: Index,
    partition: String,
    condition: SortCondition,
    newest_first: bool,
    limit: usize,
}

#[derive(Clone, Debug)]
enum SortCondition {
    Any,
    BeginsWith(String),
    Between(String, String),
    Below(String),
}

impl Range {
    /// All of a partition, ascending, `limit` at a time.
    #[must_use]
    pub fn partition(index: Index, partition: impl Into<String>, limit: usize) -> Self {
        Self {
            index,
            partition: partition.into(),
            condition: SortCondition::Any,
            newest_first: false,
            limit,
        }
    }

    /// Only sort keys that begin so.
    #[must_use]
    pub fn beginning(mut self, prefix: impl Into<String>) -> Self {
        self.condition = SortCondition::BeginsWith(prefix.into());
        self
    }

    /// Only sort keys from `low` to `high`, both included.
    #[must_use]
    pub fn between(mut self, low: impl Into<String>, high: impl Into<String>) -> Self {
        self.condition = SortCondition::Between(low.into(), high.into());
        self
    }

    /// Only sort keys strictly below.
    #[must_use]
    pub fn below(mut self, high: impl Into<String>) -> Self {
        self.condition = SortCondition::Below(high.into());
        self
    }

    /// Descending.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }
}

/// One page of a query.
#[derive(Debug)]
pub struct Page {
    /// Whole items of the base table; of an index only its keys.
    pub items: Vec<Item>,
    /// Whether more follow in the range.
    pub more: bool,
}

/// An index entry: the base item's key and the index's own sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the item stands.
    pub key: Key,
    /// The index's sort key.
    pub sort: String,
}

/// A DynamoDB table.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table of that name, reached through `client`.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// One item, read consistently. One round trip.
    ///
    /// # Errors
    /// [`Error`]; safe to repeat.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .consistent_read(true)
            .send()
            .await?;
        answer.item.map(from_item).transpose()
    }

    /// Items by their keys, read consistently, those that exist, in no order. One round trip per
    /// [`MAX_BATCH_GET`] distinct keys, more when DynamoDB leaves some unprocessed.
    ///
    /// # Errors
    /// [`Error`]; safe to repeat.
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<HashMap<Key, Item>, Error> {
        let mut wanted: Vec<Key> = keys.into_iter().collect();
        wanted.sort();
        wanted.dedup();
        let chunks = wanted
            .chunks(MAX_BATCH_GET)
            .map(|chunk| self.get_chunk(chunk.iter().map(Key::item).collect()));
        let mut found = HashMap::with_capacity(wanted.len());
        for items in futures_util::future::try_join_all(chunks).await? {
            for item in items {
                let key = Key::of(&item)
                    .ok_or_else(|| Error::Malformed("an item without its key".to_owned()))?;
                found.insert(key, item);
            }
        }
        Ok(found)
    }

    async fn get_chunk(&self, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        let mut found = Vec::with_capacity(keys.len());
        let mut wanted = keys;
        for round in 0..MAX_UNPROCESSED_ROUNDS {
            pause_before(round).await;
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .map_err(|error| Error::Failed(error.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.name, keys)
                .send()
                .await?;
            found.extend(
                answer
                    .responses
                    .unwrap_or_default()
                    .remove(&self.name)
                    .unwrap_or_default(),
            );
            match answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.name)
            {
                Some(left) if !left.keys.is_empty() => wanted = left.keys,
                _ => return Ok(found),
            }
        }
        Err(Error::Busy("keys stay unprocessed".to_owned()))
    }

    /// One page of a range. A base range is read consistently and gives whole items; an index range
    /// gives keys and may lag behind.
    ///
    /// # Errors
    /// [`Error`]; safe to repeat.
    pub async fn page(&self, range: &Range) -> Result<Page, Error> {
        // DynamoDB refuses such a range; nothing stands in it.
        if matches!(&range.condition, SortCondition::Between(low, high) if low > high) {
            return Ok(Page {
                items: Vec::new(),
                more: false,
            });
        }
        let (partition, sort) = range.index.attributes();
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .scan_index_forward(!range.newest_first)
            .limit(i32::try_from(range.limit).unwrap_or(i32::MAX))
            .expression_attribute_names("#p", partition)
            .expression_attribute_values(":p", text(&range.partition));
        query = match range.index {
            Index::Base => query.consistent_read(true),
            Index::List => query.index_name("list"),
            Index::Due => query.index_name("due"),
        };
        query = match &range.condition {
            SortCondition::Any => query.key_condition_expression("#p = :p"),
            SortCondition::BeginsWith(prefix) => query
                .key_condition_expression("#p = :p AND begins_with(#s, :s)")
                .expression_attribute_names("#s", sort)
                .expression_attribute_values(":s", text(prefix)),
            SortCondition::Between(low, high) => query
                .key_condition_expression("#p = :p AND #s BETWEEN :low AND :high")
                .expression_attribute_names("#s", sort)
                .expression_attribute_values(":low", text(low))
                .expression_attribute_values(":high", text(high)),
            SortCondition::Below(high) => query
                .key_condition_expression("#p = :p AND #s < :high")
                .expression_attribute_names("#s", sort)
                .expression_attribute_values(":high", text(high)),
        };
        let answer = query.send().await?;
        Ok(Page {
            items: answer.items.unwrap_or_default(),
            more: answer.last_evaluated_key.is_some(),
        })
    }

    /// One page of an index, as entries.
    ///
    /// # Errors
    /// [`Error`]; safe to repeat.
    pub async fn entries(&self, range: &Range) -> Result<(Vec<Entry>, bool), Error> {
        let (_, sort) = range.index.attributes();
        let page = self.page(range).await?;
        let entries = page
            .items
            .iter()
            .map(|item| {
                let key = Key::of(item)?;
                let sort = item.get(sort)?.as_s().ok()?.clone();
                Some(Entry { key, sort })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::Malformed("an index entry without its keys".to_owned()))?;
        Ok((entries, page.more))
    }

    /// Every item of a base range, page after page: for partitions whose size is bounded by a limit of ours.
    ///
    /// # Errors
    /// [`Error`]; safe to repeat.
    pub async fn all<T: DeserializeOwned>(&self, range: Range) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        let mut range = range;
        // Pages after the first continue above the last key seen; a prefix stays bounded by its own end.
        let end = match &range.condition {
            SortCondition::BeginsWith(prefix) => format!("{prefix}\u{10FFFF}"),
            SortCondition::Between(_, high) => high.clone(),
            SortCondition::Any | SortCondition::Below(_) => "\u{10FFFF}".to_owned(),
        };
        loop {
            let page = self.page(&range).await?;
            let last = page.items.last().and_then(Key::of).map(|key| key.sk);
            for item in page.items {
                found.push(from_item(item)?);
            }
            match last {
                Some(last) if page.more => range = range.between(format!("{last}\0"), &end),
                _ => return Ok(found),
            }
        }
    }
}

/// Waits before the retry of that number: none before the first try, then doubling from 5 ms to 320 ms,
/// each cut by a random share so that competitors part.
pub async fn pause_before(round: u32) {
    if round == 0 {
        return;
    }
    let ceiling_ms = 5_u64 << round.min(7).saturating_sub(1);
    // From a quarter of the ceiling to all of it. A simulation seeds this thread's generator.
    let share_us = fastrand::u64(0..=ceiling_ms * 750);
    tokio::time::sleep(Duration::from_micros(ceiling_ms * 250 + share_us)).await;
}
