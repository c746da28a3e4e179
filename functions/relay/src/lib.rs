//! From the table's stream to the queues: names the conversion, batch, payout, return file or event that changed. What has to
//! be done about it, the receiver reads from the table.

use std::collections::HashSet;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use serde_json::Value;
use tributary::commissions::clockwork::job_of;
use tributary::edge::{App, Queue, SEND_BATCH, count};

/// Sends a message for each job that the records name, each once. A record that names none is passed
/// over, so that nothing unforeseen can hold up the stream; records whose message was not taken come again,
/// with all after them.
///
/// # Errors
/// Never; what fails is named in the answer.
pub async fn handle(
    app: App,
    event: Event,
) -> Result<DynamoDbEventResponse, lambda_runtime::Error> {
    let mut seen = HashSet::new();
    let mut jobs: Vec<(Queue, Value, usize)> = Vec::new();
    for (position, record) in event.records.iter().enumerate() {
        if let Some((queue, message)) = job(record)
            && seen.insert(message.to_string())
        {
            jobs.push((queue, message, position));
        }
    }
    let mut first_failed: Option<usize> = None;
    for queue in [Queue::Commissions, Queue::Payouts, Queue::Channel] {
        let own: Vec<&(Queue, Value, usize)> =
            jobs.iter().filter(|(to, ..)| *to == queue).collect();
        for batch in own.chunks(SEND_BATCH) {
            let messages: Vec<&Value> = batch.iter().map(|(_, message, _)| message).collect();
            let failed = app.queues.send(queue, &messages).await;
            let failed = failed
                .into_iter()
                .filter_map(|failed| batch.get(failed))
                .map(|(_, _, position)| *position)
                .min();
            first_failed = first_failed.into_iter().chain(failed).min();
        }
    }
    let mut response = DynamoDbEventResponse::default();
    if let Some(position) = first_failed {
        tracing::warn!(
            position,
            records = event.records.len(),
            "records not relayed"
        );
        count("RelayFailures", 1);
        let mut failure = DynamoDbBatchItemFailure::default();
        // Without its number there is nothing to name but the whole batch, which an empty one does.
        failure.item_identifier = event
            .records
            .get(position)
            .and_then(|record| record.change.sequence_number.clone())
            .or_else(|| Some(String::new()));
        response.batch_item_failures = vec![failure];
    }
    Ok(response)
}

/// The job that a record names.
fn job(record: &EventRecord) -> Option<(Queue, Value)> {
    let part = |name: &str| match record.change.keys.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    if record.event_name == "REMOVE" {
        return None;
    }
    let (Some(pk), Some(sk)) = (part("pk"), part("sk")) else {
        tracing::warn!("a stream record without a key of this table");
        return None;
    };
    job_of(pk, sk)
}
