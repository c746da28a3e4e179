//! One table's stream and the function it feeds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::records::{self, StreamRecord};
use super::response::{self, Verdict};
use super::{Context, DriverError, InvokeError, POLL, failed};
use crate::filter;
use crate::template::{FunctionDef, SourceDef, SourceKind};

/// Records one request may read.
const MOST_A_REQUEST: i32 = 1_000;

/// How often an iterator may be renewed within one read.
const MOST_RENEWALS: u32 = 3;

/// Saved in place of a position when a shard was read to its end.
const SHARD_END: &str = "END";

pub struct StreamSource {
    def: SourceDef,
    function: FunctionDef,
    from_oldest: bool,
    retries: Option<u32>,
    bisect: bool,
    on_failure: Option<String>,
    state: Mutex<State>,
}

/// What one step did.
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// Something was read, and nothing had to be delivered.
    Passed,
    /// A batch of this many records was dealt with, at least in part, or given up.
    Delivered(usize),
    /// A batch failed and is to be repeated.
    Failed(String),
}

#[derive(Default)]
struct State {
    discovered: bool,
    shards: BTreeMap<String, Shard>,
}

struct Shard {
    parent: Option<String>,
    /// The last record dealt with.
    position: Option<String>,
    iterator: Option<String>,
    pending: VecDeque<Batch>,
    /// The iterator came to the shard's end; what is pending is the last.
    closed: bool,
    finished: bool,
}

/// Records to be delivered together.
struct Batch {
    records: Vec<StreamRecord>,
    /// Where the shard stands once the batch is dealt with: records passed over by the filters lie
    /// between it and the batch's own last record.
    through: String,
    attempts: u32,
}

impl StreamSource {
    pub fn new(def: SourceDef, function: FunctionDef) -> Self {
        let (from_oldest, retries, bisect, on_failure) = match &def.kind {
            SourceKind::Stream {
                from_oldest,
                retries,
                bisect,
                on_failure,
            } => (*from_oldest, *retries, *bisect, on_failure.clone()),
            SourceKind::Queue { .. } => (true, None, false, None),
        };
        let state = Mutex::new(State::default());
        Self {
            def,
            function,
            from_oldest,
            retries,
            bisect,
            on_failure,
            state,
        }
    }

    pub fn name(&self) -> &str {
        &self.def.logical
    }

    pub fn arn(&self) -> &str {
        &self.def.arn
    }

    /// The last record dealt with in every shard that is still read, the earliest of them.
    pub async fn position(&self) -> Option<String> {
        let state = self.state.lock().await;
        let open = state.shards.values().filter(|shard| !shard.finished);
        open.map(|shard| shard.position.clone()).min().flatten()
    }

    /// Delivers one batch of one shard. `wait` lets the batching window pass.
    pub async fn step(&self, context: &Context, wait: bool) -> Result<Step, DriverError> {
        let mut state = self.state.lock().await;
        if !state.discovered {
            self.discover(context, &mut state).await?;
        }
        let open: Vec<_> = state.shards.keys().cloned().collect();
        let mut failure = None;
        let mut passed = false;
        for id in open {
            let blocked = |shard: &Shard| {
                let parent = shard
                    .parent
                    .as_ref()
                    .and_then(|parent| state.shards.get(parent));
                shard.finished || parent.is_some_and(|parent| !parent.finished)
            };
            if state.shards.get(&id).is_none_or(blocked) {
                continue;
            }
            let Some(shard) = state.shards.get_mut(&id) else {
                continue;
            };
            let step = self.step_shard(context, &id, shard, wait).await;
            if matches!(step, Err(DriverError::Checkpoint(_))) {
                // Where the shard stands was not saved: read again from where it is known to stand.
                shard.pending.clear();
                shard.iterator = None;
                shard.closed = false;
            }
            match step? {
                Step::Idle => {}
                Step::Passed => passed = true,
                Step::Failed(message) => failure = Some(message),
                delivered @ Step::Delivered(_) => return Ok(delivered),
            }
            if state.shards.get(&id).is_some_and(|shard| shard.finished) {
                // Its children are known from now on.
                state.discovered = false;
                passed = true;
            }
        }
        Ok(match failure {
            Some(message) => Step::Failed(message),
            None if passed => Step::Passed,
            None => Step::Idle,
        })
    }

    async fn step_shard(
        &self,
        context: &Context,
        id: &str,
        shard: &mut Shard,
        wait: bool,
    ) -> Result<Step, DriverError> {
        let mut passed = false;
        if shard.pending.is_empty() && !shard.closed {
            passed = self.fill(context, id, shard, wait).await?;
        }
        if shard.pending.is_empty() {
            if shard.closed {
                shard.finished = true;
                context.ports.checkpoints.save(&self.key(), id, SHARD_END)?;
            }
            return Ok(if passed { Step::Passed } else { Step::Idle });
        }
        self.deliver(context, id, shard).await
    }

    /// Reads ahead: up to a thousand records become batches of those that pass the filters. Returns
    /// whether anything was read.
    async fn fill(
        &self,
        context: &Context,
        id: &str,
        shard: &mut Shard,
        wait: bool,
    ) -> Result<bool, DriverError> {
        let mut read = self.read(context, id, shard).await?;
        if read.is_empty() {
            return Ok(false);
        }
        let window = Duration::from_secs(if wait { self.def.window_seconds } else { 0 });
        let deadline = Instant::now() + window;
        while read.len() < self.def.batch_size && Instant::now() < deadline && !shard.closed {
            tokio::time::sleep_until(deadline.min(Instant::now() + POLL)).await;
            read.extend(self.read(context, id, shard).await?);
        }
        let mut last = String::new();
        let mut batch: Vec<StreamRecord> = Vec::new();
        for record in &read {
            let record = records::stream_record(record, &self.def.arn);
            if filter::passes(&self.def.filters, &record.event) {
                if batch.len() == self.def.batch_size {
                    let records = std::mem::take(&mut batch);
                    shard.pending.push_back(Batch {
                        records,
                        through: last.clone(),
                        attempts: 0,
                    });
                }
                last.clone_from(&record.sequence);
                batch.push(record);
            } else {
                last = record.sequence;
            }
        }
        if batch.is_empty() {
            // Only records nobody asked for, at least at the end.
            match shard.pending.back_mut() {
                Some(before) => before.through = last,
                None => self.advance(context, id, shard, last)?,
            }
        } else {
            shard.pending.push_back(Batch {
                records: batch,
                through: last,
                attempts: 0,
            });
        }
        Ok(true)
    }

    /// Reads on from the iterator, renewing one that expired or fell behind what is kept.
    async fn read(
        &self,
        context: &Context,
        id: &str,
        shard: &mut Shard,
    ) -> Result<Vec<Record>, DriverError> {
        let mut renewals = 0;
        loop {
            let iterator = match shard.iterator.take() {
                Some(iterator) => iterator,
                None => self.iterator(context, id, shard).await?,
            };
            let request = context.ports.streams.get_records().shard_iterator(iterator);
            let error = match request.limit(MOST_A_REQUEST).send().await {
                Ok(answer) => {
                    shard.closed = answer.next_shard_iterator.is_none();
                    shard.iterator = answer.next_shard_iterator;
                    return Ok(answer.records.unwrap_or_default());
                }
                Err(error) => error,
            };
            let kind = error.as_service_error();
            let expired = kind.is_some_and(|error| error.is_expired_iterator_exception());
            let trimmed = kind.is_some_and(|error| error.is_trimmed_data_access_exception());
            renewals += 1;
            if !(expired || trimmed) || renewals > MOST_RENEWALS {
                return Err(failed(self.name(), "GetRecords", error));
            }
            if trimmed {
                tracing::warn!(
                    source = self.name(),
                    "records were trimmed before they were read"
                );
                let kind = ShardIteratorType::TrimHorizon;
                shard.iterator = Some(self.iterator_at(context, id, kind, None).await?);
            }
        }
    }

    async fn iterator(
        &self,
        context: &Context,
        id: &str,
        shard: &Shard,
    ) -> Result<String, DriverError> {
        let after = match shard.position.clone() {
            Some(position) => {
                let kind = ShardIteratorType::AfterSequenceNumber;
                match self.iterator_at(context, id, kind, Some(position)).await {
                    Err(DriverError::Call { message, .. })
                        if message.contains("TrimmedDataAccess") =>
                    {
                        tracing::warn!(
                            source = self.name(),
                            "records were trimmed before they were read"
                        );
                        None
                    }
                    other => Some(other?),
                }
            }
            None => None,
        };
        if let Some(iterator) = after {
            return Ok(iterator);
        }
        let oldest = self.from_oldest || shard.parent.is_some() || shard.position.is_some();
        let kind = if oldest {
            ShardIteratorType::TrimHorizon
        } else {
            ShardIteratorType::Latest
        };
        self.iterator_at(context, id, kind, None).await
    }

    async fn iterator_at(
        &self,
        context: &Context,
        id: &str,
        kind: ShardIteratorType,
        position: Option<String>,
    ) -> Result<String, DriverError> {
        let answer = context
            .ports
            .streams
            .get_shard_iterator()
            .stream_arn(&self.def.arn)
            .shard_id(id)
            .shard_iterator_type(kind)
            .set_sequence_number(position)
            .send()
            .await
            .map_err(|error| failed(self.name(), "GetShardIterator", error))?;
        Ok(answer.shard_iterator.unwrap_or_default())
    }

    /// Learns of shards that are not known yet.
    async fn discover(&self, context: &Context, state: &mut State) -> Result<(), DriverError> {
        let mut start = None;
        loop {
            let answer = context
                .ports
                .streams
                .describe_stream()
                .stream_arn(&self.def.arn)
                .set_exclusive_start_shard_id(start)
                .send()
                .await
                .map_err(|error| failed(self.name(), "DescribeStream", error))?;
            let Some(description) = answer.stream_description else {
                break;
            };
            for found in description.shards() {
                let id = found.shard_id().unwrap_or_default();
                if state.shards.contains_key(id) {
                    continue;
                }
                let saved = context.ports.checkpoints.load(&self.key(), id)?;
                let finished = saved.as_deref() == Some(SHARD_END);
                let shard = Shard {
                    parent: found.parent_shard_id().map(str::to_owned),
                    position: saved.filter(|_| !finished),
                    iterator: None,
                    pending: VecDeque::new(),
                    closed: finished,
                    finished,
                };
                state.shards.insert(id.to_owned(), shard);
            }
            start = description.last_evaluated_shard_id().map(str::to_owned);
            if start.is_none() {
                break;
            }
        }
        state.discovered = true;
        Ok(())
    }

    async fn deliver(
        &self,
        context: &Context,
        id: &str,
        shard: &mut Shard,
    ) -> Result<Step, DriverError> {
        let Some(mut batch) = shard.pending.pop_front() else {
            return Ok(Step::Idle);
        };
        let events: Vec<_> = batch.records.iter().map(|record| &record.event).collect();
        let answer = context
            .invoke(&self.function, json!({ "Records": events }))
            .await;
        batch.attempts += 1;
        let verdict = match answer {
            Ok(response) => {
                let ids: Vec<_> = batch
                    .records
                    .iter()
                    .map(|record| record.sequence.as_str())
                    .collect();
                response::read(self.def.reports_failures, &response, &ids)
            }
            Err(InvokeError::Unreachable(message)) => {
                batch.attempts -= 1;
                shard.pending.push_front(batch);
                return Ok(Step::Failed(message));
            }
            Err(error) => Verdict::Whole(error.to_string()),
        };
        match verdict {
            Verdict::Success => {
                let count = batch.records.len();
                self.advance(context, id, shard, batch.through)?;
                Ok(Step::Delivered(count))
            }
            // Everything before the first failure is done; the rest is a batch of its own.
            Verdict::Failed(places) if places[0] > 0 => {
                let rest = batch.records.split_off(places[0]);
                let count = batch.records.len();
                let done = batch
                    .records
                    .pop()
                    .map(|record| record.sequence)
                    .unwrap_or_default();
                let through = batch.through;
                shard.pending.push_front(Batch {
                    records: rest,
                    through,
                    attempts: 0,
                });
                self.advance(context, id, shard, done)?;
                Ok(Step::Delivered(count))
            }
            Verdict::Failed(_) => {
                let problem = "the first record of the batch failed".to_owned();
                self.repeat(context, id, shard, batch, problem).await
            }
            Verdict::Whole(problem) => self.repeat(context, id, shard, batch, problem).await,
        }
    }

    /// A failed batch is halved where that is asked for, which counts as no attempt; one that cannot be
    /// halved is repeated as often as allowed, then reported and given up.
    async fn repeat(
        &self,
        context: &Context,
        id: &str,
        shard: &mut Shard,
        mut batch: Batch,
        problem: String,
    ) -> Result<Step, DriverError> {
        if self.bisect && batch.records.len() > 1 {
            let second = batch.records.split_off(batch.records.len() / 2);
            let middle = batch
                .records
                .last()
                .map(|record| record.sequence.clone())
                .unwrap_or_default();
            let through = std::mem::replace(&mut batch.through, middle);
            batch.attempts = 0;
            shard.pending.push_front(Batch {
                records: second,
                through,
                attempts: 0,
            });
            shard.pending.push_front(batch);
            return Ok(Step::Failed(problem));
        }
        if self.retries.is_none_or(|most| batch.attempts <= most) {
            shard.pending.push_front(batch);
            return Ok(Step::Failed(problem));
        }
        tracing::error!(
            source = self.name(),
            records = batch.records.len(),
            attempts = batch.attempts,
            %problem,
            "a stream batch is given up"
        );
        if let Some(arn) = &self.on_failure {
            let account = records::abandoned_batch(
                &self.function,
                &self.def.arn,
                id,
                &batch.records,
                batch.attempts,
                (context.ports.now)(),
            );
            if let Err(error) = context.send(self.name(), arn, &account).await {
                // Not given up before somebody knows of it.
                shard.pending.push_front(batch);
                return Err(error);
            }
        }
        let count = batch.records.len();
        self.advance(context, id, shard, batch.through)?;
        Ok(Step::Delivered(count))
    }

    fn advance(
        &self,
        context: &Context,
        id: &str,
        shard: &mut Shard,
        position: String,
    ) -> Result<(), DriverError> {
        context.ports.checkpoints.save(&self.key(), id, &position)?;
        shard.position = Some(position);
        Ok(())
    }

    /// A stream made anew is another stream: its ARN is part of the name positions are saved under.
    fn key(&self) -> String {
        format!("{} {}", self.def.logical, self.def.arn)
    }
}
