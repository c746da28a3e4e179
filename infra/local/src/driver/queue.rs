//! One queue and the function it feeds.

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::response::{self, Verdict};
use super::{Context, DriverError, InvokeError, failed, records};
use crate::filter;
use crate::template::{FunctionDef, SourceDef, SourceKind};

/// What one request may receive or delete.
const MOST_A_REQUEST: usize = 10;

/// Invocations at once where neither the source nor the function limits them: Lambda starts with five
/// pollers, and one machine gains nothing from more.
const DEFAULT_CONCURRENCY: usize = 5;

pub struct QueueSource {
    def: SourceDef,
    function: FunctionDef,
    url: OnceCell<String>,
}

impl QueueSource {
    pub fn new(def: SourceDef, function: FunctionDef) -> Self {
        Self {
            def,
            function,
            url: OnceCell::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.def.logical
    }

    /// How many invocations may run at once.
    pub fn concurrency(&self) -> usize {
        let reserved = self
            .function
            .reserved_concurrency
            .and_then(|count| usize::try_from(count).ok());
        let maximum = match self.def.kind {
            SourceKind::Queue { concurrency } => concurrency,
            SourceKind::Stream { .. } => None,
        };
        match (maximum, reserved) {
            (Some(maximum), Some(reserved)) => maximum.min(reserved),
            (maximum, reserved) => maximum.or(reserved).unwrap_or(DEFAULT_CONCURRENCY),
        }
        .max(1)
    }

    /// Receives up to a batch, waiting up to `wait_seconds` for the first message and for the batching
    /// window to fill the batch.
    pub async fn receive(
        &self,
        context: &Context,
        wait_seconds: i32,
    ) -> Result<Vec<Message>, DriverError> {
        let mut messages = self
            .receive_once(context, wait_seconds, self.def.batch_size)
            .await?;
        if messages.is_empty() {
            return Ok(messages);
        }
        let window = if wait_seconds == 0 {
            0
        } else {
            self.def.window_seconds
        };
        let deadline = Instant::now() + std::time::Duration::from_secs(window);
        while messages.len() < self.def.batch_size {
            let left = deadline.saturating_duration_since(Instant::now()).as_secs();
            let wait = i32::try_from(left).unwrap_or(i32::MAX).min(wait_seconds);
            let missing = self.def.batch_size - messages.len();
            // A short answer already says that the queue has no more for now.
            let full = messages.len() % MOST_A_REQUEST == 0;
            if wait == 0 && !full {
                break;
            }
            let more = self.receive_once(context, wait, missing).await?;
            if more.is_empty() && wait == 0 {
                break;
            }
            messages.extend(more);
        }
        Ok(messages)
    }

    async fn receive_once(
        &self,
        context: &Context,
        wait_seconds: i32,
        most: usize,
    ) -> Result<Vec<Message>, DriverError> {
        let most = i32::try_from(most.min(MOST_A_REQUEST)).unwrap_or(1);
        let answer = context
            .ports
            .sqs
            .receive_message()
            .queue_url(self.url(context).await?)
            .max_number_of_messages(most)
            .wait_time_seconds(wait_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| failed(self.name(), "ReceiveMessage", error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Invokes the function with a batch and deletes what it dealt with. What failed stays invisible
    /// until its timeout ends.
    pub async fn deliver(
        &self,
        context: &Context,
        messages: Vec<Message>,
    ) -> Result<(), DriverError> {
        let mut done = Vec::new();
        let mut batch = Vec::new();
        for message in messages {
            let event = records::message(&message, &self.def.arn);
            if filter::passes(&self.def.filters, &filtered(&event)) {
                batch.push((message, event));
            } else {
                done.push(message);
            }
        }
        if !batch.is_empty() {
            let events: Vec<_> = batch.iter().map(|(_, event)| event.clone()).collect();
            let answer = context
                .invoke(&self.function, json!({ "Records": events }))
                .await;
            done.extend(self.dealt_with(answer, batch));
        }
        self.delete(context, &done).await
    }

    fn dealt_with(
        &self,
        answer: Result<Value, InvokeError>,
        batch: Vec<(Message, Value)>,
    ) -> Vec<Message> {
        let ids: Vec<_> = batch
            .iter()
            .map(|(message, _)| message.message_id().unwrap_or_default())
            .collect();
        let verdict = match &answer {
            Ok(response) => response::read(self.def.reports_failures, response, &ids),
            Err(error) => Verdict::Whole(error.to_string()),
        };
        let failed = match verdict {
            Verdict::Success => Vec::new(),
            Verdict::Failed(failed) => {
                tracing::info!(
                    source = self.name(),
                    failed = failed.len(),
                    of = batch.len(),
                    "messages failed and will be delivered again"
                );
                failed
            }
            Verdict::Whole(problem) => {
                tracing::warn!(source = self.name(), of = batch.len(), %problem, "a batch failed");
                return Vec::new();
            }
        };
        batch
            .into_iter()
            .enumerate()
            .filter(|(at, _)| !failed.contains(at))
            .map(|(_, (message, _))| message)
            .collect()
    }

    async fn delete(&self, context: &Context, messages: &[Message]) -> Result<(), DriverError> {
        for chunk in messages.chunks(MOST_A_REQUEST) {
            let mut request = context
                .ports
                .sqs
                .delete_message_batch()
                .queue_url(self.url(context).await?);
            for (at, message) in chunk.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(message.receipt_handle().unwrap_or_default())
                    .build()
                    .map_err(|error| failed(self.name(), "DeleteMessageBatch", error))?;
                request = request.entries(entry);
            }
            // What cannot be deleted is delivered again, which every consumer must bear anyway.
            request
                .send()
                .await
                .map_err(|error| failed(self.name(), "DeleteMessageBatch", error))?;
        }
        Ok(())
    }

    async fn url(&self, context: &Context) -> Result<&str, DriverError> {
        let url = self
            .url
            .get_or_try_init(|| context.queue_url(self.name(), &self.def.arn))
            .await?;
        Ok(url)
    }
}

/// Patterns see a body that is JSON as a document.
fn filtered(event: &Value) -> Value {
    let mut event = event.clone();
    let document = event["body"]
        .as_str()
        .and_then(|body| serde_json::from_str(body).ok());
    if let Some(document) = document {
        event["body"] = document;
    }
    event
}
