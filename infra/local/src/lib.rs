//! Tributary on one machine: the embedded cloud and the development server.
//!
//! The embedded cloud answers the ordinary AWS SDK clients in this process: DynamoDB and its streams by
//! `dynoxide` (SQLite), SQS by an engine of our own. Tables, queues, event sources, schedules and routes
//! are read from `infra/*.yaml`; nothing about them is written down twice.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod capacity;
pub mod cloud;
pub mod connector;
pub mod driver;
pub mod filter;
pub mod functions;
pub mod instance;
pub mod names;
pub mod outbox;
pub mod queue;
pub mod remote;
pub mod schedule;
pub mod template;
pub mod wake;

pub mod admin;
pub mod api;
pub mod channel;
pub mod dlq;
pub mod drive;
pub mod replay;
pub mod serve;
pub mod tour;
pub mod verify;
pub mod what_if;

use std::sync::Arc;

/// Reads the time: milliseconds since the Unix epoch. One clock serves the whole cloud.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The wall clock.
pub fn system_clock() -> NowMs {
    Arc::new(|| jiff::Timestamp::now().as_millisecond())
}

/// The account every name in the embedded cloud belongs to.
pub const ACCOUNT: &str = "000000000000";

/// The region every name in the embedded cloud belongs to.
pub const REGION: &str = "local";

/// Runs a call into SQLite: on a multi-threaded runtime a file's `fsync` must not hold up the other
/// tasks of this worker. In memory, and on a current-thread runtime, it runs in place, which keeps tests
/// deterministic.
pub(crate) fn blocking<T>(on_disk: bool, work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let threaded = on_disk
        && Handle::try_current()
            .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if threaded {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}
