//! Records what calls are made and what they consume, so that budgets can be asserted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::connector::Service;

/// Records calls while it is switched on; costs one atomic read a call while it is off.
#[derive(Debug, Default)]
pub struct Recorder {
    on: AtomicBool,
    calls: Mutex<Vec<Recorded>>,
}

/// One call as it was answered.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The service called.
    pub service: Service,
    /// The operation, such as `TransactWriteItems`.
    pub operation: String,
    /// The request.
    pub request: Value,
    /// The error's name when the call failed, such as `ConditionalCheckFailedException`.
    pub error: Option<String>,
    /// What it consumed, by table.
    pub consumed: Vec<Consumed>,
}

/// Capacity consumed on one table by one call, split between the table and its indexes. In capacity
/// units: a transactional write of up to 1 KB counts 2, an eventually consistent read of up to 4 KB 0.5.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumed {
    /// The table.
    pub table_name: String,
    /// Units consumed by the table itself.
    pub table: f64,
    /// Units consumed by its indexes, together.
    pub indexes: f64,
}

/// Sums over recorded calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// DynamoDB calls that read.
    pub read_calls: usize,
    /// DynamoDB calls that write.
    pub write_calls: usize,
    /// Read units.
    pub read_units: f64,
    /// Write units of the tables themselves.
    pub write_units: f64,
    /// Write units of their indexes.
    pub index_write_units: f64,
}

impl Recorder {
    /// Starts recording, forgetting what was recorded before.
    pub fn start(&self) {
        self.held().clear();
        self.on.store(true, Ordering::Release);
    }

    /// Stops recording and hands over the calls in the order they were answered.
    pub fn stop(&self) -> Vec<Recorded> {
        self.on.store(false, Ordering::Release);
        std::mem::take(&mut *self.held())
    }

    /// Hands over the calls so far and goes on recording.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.held())
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, call: Recorded) {
        self.held().push(call);
    }

    fn held(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    /// Whether this is a DynamoDB write.
    pub fn is_write(&self) -> bool {
        matches!(
            self.operation.as_str(),
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems"
        )
    }

    /// Whether this is a DynamoDB read.
    pub fn is_read(&self) -> bool {
        matches!(
            self.operation.as_str(),
            "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan"
        )
    }
}

/// Adds up the DynamoDB calls of a recording.
pub fn totals(calls: &[Recorded]) -> Totals {
    let mut totals = Totals::default();
    for call in calls
        .iter()
        .filter(|call| call.service == Service::DynamoDb)
    {
        let table: f64 = call.consumed.iter().map(|consumed| consumed.table).sum();
        let indexes: f64 = call.consumed.iter().map(|consumed| consumed.indexes).sum();
        if call.is_write() {
            totals.write_calls += 1;
            totals.write_units += table;
            totals.index_write_units += indexes;
        } else if call.is_read() {
            totals.read_calls += 1;
            totals.read_units += table + indexes;
        }
    }
    totals
}

/// Reads `ConsumedCapacity` of a response: one object or a list of them.
pub(crate) fn consumed(response: &Value) -> Vec<Consumed> {
    match response.get("ConsumedCapacity") {
        Some(Value::Array(list)) => list.iter().filter_map(read).collect(),
        Some(one) => read(one).into_iter().collect(),
        None => Vec::new(),
    }
}

fn read(capacity: &Value) -> Option<Consumed> {
    let units = |value: &Value| value.get("CapacityUnits").and_then(Value::as_f64);
    let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"]
        .iter()
        .filter_map(|kind| capacity.get(kind)?.as_object())
        .flat_map(|indexes| indexes.values())
        .filter_map(units)
        .sum();
    Some(Consumed {
        table_name: capacity.get("TableName")?.as_str()?.to_owned(),
        table: capacity
            .get("Table")
            .and_then(units)
            .or_else(|| units(capacity))?,
        indexes,
    })
}
