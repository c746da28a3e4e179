//! Queue → batches to plan or to give back, payouts to reserve or to give back, return files to carry out.
//!
//! A message names a batch, a payout or a return file and nothing else. It may come late, twice or for nothing: what is
//! left to do is read from the table, and each step's own stream record brings the next message.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use serde::Deserialize;
use tributary::edge::{App, batch_failures};
use tributary::ids::{BatchId, ImportId, PayoutId};
use tributary::payouts;
use tributary::payouts::error::PayoutError;

/// What to advance.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    /// `{"batch": "bat_…"}`
    Batch(BatchId),
    /// `{"payout": "po_…"}`
    Payout(PayoutId),
    /// `{"returns": "imp_…"}`
    Returns(ImportId),
}

/// Advances what each message names. A message that cannot be read fails alone and ends among the dead letters.
///
/// # Errors
/// None: failures are told per message.
pub async fn handle(app: App, event: SqsEvent) -> Result<SqsBatchResponse, lambda_runtime::Error> {
    let mut failed = Vec::new();
    for message in event.records {
        let id = message.message_id.unwrap_or_default();
        match serde_json::from_str::<Work>(&message.body.unwrap_or_default()) {
            Ok(work) => {
                if let Err(error) = advance(&app, work).await {
                    tracing::warn!(message = id, %error, "payout work failed; it comes again");
                    failed.push(id);
                }
            }
            Err(error) => {
                tracing::error!(message = id, %error, "a message names no work");
                failed.push(id);
            }
        }
    }
    Ok(batch_failures(failed))
}

async fn advance(app: &App, work: Work) -> Result<(), PayoutError> {
    match work {
        Work::Batch(id) => payouts::advance_batch(app, id).await,
        Work::Payout(id) => payouts::advance(app, id).await,
        Work::Returns(id) => payouts::bring_back(app, id).await,
    }
}
