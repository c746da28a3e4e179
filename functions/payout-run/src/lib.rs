//! Queue → batches to plan or to give back, payouts to reserve, to invoice or to give
//! back, return files to carry out, questions what another plan would have paid.
//!
//! A message names a batch, a payout, a return file or a question and nothing else. It may come late, twice or for nothing: what is
//! left to do is read from the table, and each step's own stream record brings the next message.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use serde::Deserialize;
use tributary::edge::{App, batch_failures};
use tributary::ids::{BatchId, ImportId, PayoutId, WhatIfId};
use tributary::invoices::error::InvoiceError;
use tributary::payouts::error::PayoutError;
use tributary::{invoices, payouts, table, what_ifs};

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
    /// `{"what_if": "wif_…"}`
    WhatIf(WhatIfId),
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

/// Why work is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The payout did not go on.
    #[error(transparent)]
    Payout(#[from] PayoutError),
    /// Its invoice was not issued.
    #[error(transparent)]
    Invoice(#[from] InvoiceError),
    /// A question did not go on.
    #[error(transparent)]
    Table(#[from] table::Error),
}

async fn advance(app: &App, work: Work) -> Result<(), Failure> {
    match work {
        Work::Batch(id) => payouts::advance_batch(app, id).await?,
        Work::Payout(id) => {
            // Before its lines are given back: until then clockwork brings the payout again.
            invoices::issue(app, id).await?;
            payouts::advance(app, id).await?;
            // It may have come back between the two: then nothing else brings it again.
            invoices::issue(app, id).await?;
        }
        Work::Returns(id) => payouts::bring_back(app, id).await?,
        Work::WhatIf(id) => what_ifs::advance(app, id).await?,
    }
    Ok(())
}
