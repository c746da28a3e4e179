//! Looking into dead letters, and sending them back to where they failed.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::queue::SqsError;

/// Letters of one queue that are shown.
const SHOWN: usize = 20;
/// Letters that one redrive moves.
const MOVED: usize = 10_000;

/// Every dead-letter queue with its oldest messages.
///
/// # Errors
/// The queue engine's.
pub fn list(cloud: &Cloud) -> Result<Value, SqsError> {
    let queues = cloud.queues();
    let mut found = Vec::new();
    for name in queues
        .names()
        .into_iter()
        .filter(|name| name.ends_with("-dlq"))
    {
        let letters: Vec<Value> = queues
            .peek(&name, SHOWN)?
            .into_iter()
            .map(|letter| {
                json!({
                    "message_id": letter.message_id,
                    "body": letter.body,
                    "sent_at": jiff::Timestamp::from_millisecond(letter.sent_ms).map(|at| at.to_string()).unwrap_or_default(),
                    "failed_on": letter.source,
                })
            })
            .collect();
        found.push(json!({ "queue": name, "oldest": letters }));
    }
    Ok(json!({ "items": found }))
}

/// Moves the letters of a queue back to the queue they failed on; returns how many.
///
/// # Errors
/// The queue engine's.
pub fn redrive(cloud: &Cloud, queue: &str) -> Result<usize, SqsError> {
    cloud.queues().redrive(queue, None, MOVED)
}
