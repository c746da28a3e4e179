//! Conversions become outcomes: each message names one of which something may be missing.

use std::collections::{HashMap, HashSet};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use tributary::commissions::{self, Job};
use tributary::edge::{App, batch_failures};
use tributary::ids::ConversionId;

/// Settles the conversions of a batch. Messages whose conversion could not be settled, and those that
/// cannot be read, come again; the others are done.
///
/// # Errors
/// For a message without an id: an answer could not name it, so the whole batch comes again.
pub async fn handle(app: App, event: SqsEvent) -> Result<SqsBatchResponse, lambda_runtime::Error> {
    let mut messages: HashMap<ConversionId, Vec<String>> = HashMap::new();
    let mut order = Vec::new();
    let mut unread = Vec::new();
    for message in event.records {
        let id = message.message_id.ok_or("a message without an id")?;
        let job = message
            .body
            .as_deref()
            .and_then(|body| serde_json::from_str::<Job>(body).ok());
        match job {
            Some(Job { conversion }) => {
                order.push(conversion);
                messages.entry(conversion).or_default().push(id);
            }
            None => {
                tracing::error!(message = id, "a message that names no conversion");
                unread.push(id);
            }
        }
    }
    let failed: HashSet<ConversionId> = commissions::settle(&app, &order, app.now())
        .await
        .into_iter()
        .collect();
    let again = failed
        .iter()
        .filter_map(|conversion| messages.remove(conversion))
        .flatten();
    Ok(batch_failures(again.chain(unread)))
}
