//! Sending to the queues. Messages name a job by its id and carry nothing else: the table has the rest.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::Serialize;

/// SQS takes at most this many messages in one call.
pub const SEND_BATCH: usize = 10;

/// The queues there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Conversions to settle.
    Commissions,
    /// Batches and payouts to advance.
    Payouts,
    /// Events to be told of.
    Channel,
}

/// A client and the queues' addresses.
#[derive(Clone, Debug)]
pub struct Queues {
    client: Client,
    commissions_url: String,
    payouts_url: String,
    channel_url: String,
}

impl Queues {
    /// The queues at these addresses.
    #[must_use]
    pub fn new(
        client: Client,
        commissions_url: impl Into<String>,
        payouts_url: impl Into<String>,
        channel_url: impl Into<String>,
    ) -> Self {
        Self {
            client,
            commissions_url: commissions_url.into(),
            payouts_url: payouts_url.into(),
            channel_url: channel_url.into(),
        }
    }

    /// Sends at most [`SEND_BATCH`] messages in one call. Returns the positions of those that were not
    /// taken; all of them when the call itself fails. Sending one twice does no harm.
    pub async fn send<T: Serialize>(&self, queue: Queue, messages: &[T]) -> Vec<usize> {
        let url = match queue {
            Queue::Commissions => &self.commissions_url,
            Queue::Payouts => &self.payouts_url,
            Queue::Channel => &self.channel_url,
        };
        let everything = || (0..messages.len()).collect();
        let entries = messages
            .iter()
            .enumerate()
            .map(|(position, message)| {
                let body = serde_json::to_string(message).ok()?;
                SendMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .message_body(body)
                    .build()
                    .ok()
            })
            .collect::<Option<Vec<_>>>();
        let Some(entries) = entries else {
            return everything();
        };
        match self
            .client
            .send_message_batch()
            .queue_url(url)
            .set_entries(Some(entries))
            .send()
            .await
        {
            Ok(answer) => answer
                .failed
                .iter()
                .filter_map(|failure| failure.id.parse().ok())
                .collect(),
            Err(error) => {
                tracing::warn!(?queue, error = %aws_sdk_sqs::error::DisplayErrorContext(&error), "messages not sent");
                everything()
            }
        }
    }
}
