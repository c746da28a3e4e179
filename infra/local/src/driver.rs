//! Event sources and schedules: what Lambda and EventBridge do between the services.
//!
//! The driver reads streams and queues through the SDK clients and invokes functions through [`Invoke`],
//! so that it serves the embedded cloud and any endpoint that speaks the protocols alike. [`Driver::run`]
//! works in the background; [`Driver::drain`] delivers what there is, one invocation after the other and
//! without waiting, for tests.

mod queue;
mod records;
mod response;
mod stream;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::error::DisplayErrorContext;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::NowMs;
use crate::filter::PatternError;
use crate::queue::Queues;
use crate::schedule::{Schedule, ScheduleError};
use crate::template::{FunctionDef, ScheduleDef, SourceDef, SourceKind, Template, TemplateError};
use crate::wake::Wake;
use queue::QueueSource;
use stream::{Step, StreamSource};

/// How long a stream or the clock may go unlooked at where nothing signals a change.
const POLL: Duration = Duration::from_millis(250);

/// The same where changes are signalled: only to be safe.
const SIGNALLED_POLL: Duration = Duration::from_secs(30);

/// The first and the longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Failed attempts in a row after which a drain gives up: the source would never come to an end.
const MOST_FAILURES: usize = 1_000;

/// Rounds after which a drain gives up: the functions keep each other busy.
const MOST_ROUNDS: usize = 100_000;

/// Runs functions.
pub trait Invoke: Send + Sync {
    /// Invokes a function, by the name of its package, with an event; answers its response.
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Value,
    ) -> BoxFuture<'a, Result<Value, InvokeError>>;
}

/// Why an invocation brought no response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function failed: it returned an error, panicked or ran out of time. Counts as an attempt.
    #[error("{kind}: {message}")]
    Function {
        /// The error's type.
        kind: String,
        /// What it says.
        message: String,
    },
    /// The function could not be reached. Does not count as an attempt.
    #[error("the function cannot be reached: {0}")]
    Unreachable(String),
}

/// Remembers how far streams were read, so that a restart continues there.
pub trait Checkpoints: Send + Sync {
    /// The last position saved.
    fn load(&self, source: &str, shard: &str) -> Result<Option<String>, CheckpointError>;

    /// Saves a position.
    fn save(&self, source: &str, shard: &str, position: &str) -> Result<(), CheckpointError>;
}

/// A checkpoint could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the checkpoint failed: {0}")]
pub struct CheckpointError(pub String);

impl Checkpoints for Queues {
    fn load(&self, source: &str, shard: &str) -> Result<Option<String>, CheckpointError> {
        self.checkpoint(source, shard)
            .map_err(|error| CheckpointError(error.to_string()))
    }

    fn save(&self, source: &str, shard: &str, position: &str) -> Result<(), CheckpointError> {
        self.save_checkpoint(source, shard, position)
            .map_err(|error| CheckpointError(error.to_string()))
    }
}

/// Checkpoints that last as long as the process.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints(Mutex<HashMap<(String, String), String>>);

impl Checkpoints for MemoryCheckpoints {
    fn load(&self, source: &str, shard: &str) -> Result<Option<String>, CheckpointError> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(held.get(&(source.to_owned(), shard.to_owned())).cloned())
    }

    fn save(&self, source: &str, shard: &str, position: &str) -> Result<(), CheckpointError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert((source.to_owned(), shard.to_owned()), position.to_owned());
        Ok(())
    }
}

/// What is driven.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Streams and queues.
    pub sources: Vec<SourceDef>,
    /// Schedules.
    pub schedules: Vec<ScheduleDef>,
    /// The functions they invoke.
    pub functions: Vec<FunctionDef>,
}

impl Plan {
    /// Everything an application template defines.
    pub fn of(template: &Template) -> Result<Self, TemplateError> {
        Ok(Self {
            sources: template.sources()?,
            schedules: template.schedules()?,
            functions: template.functions()?,
        })
    }
}

/// The clients and signals a driver works with.
pub struct Ports {
    /// Reads streams.
    pub streams: aws_sdk_dynamodbstreams::Client,
    /// Receives, deletes and sends messages.
    pub sqs: aws_sdk_sqs::Client,
    /// Runs the functions.
    pub invoke: Arc<dyn Invoke>,
    /// Remembers positions.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// The clock of schedules.
    pub now: NowMs,
    /// Signalled when a stream may have grown; without it, streams are polled.
    pub written: Option<Wake>,
    /// Signalled when the clock was moved.
    pub clock: Option<Wake>,
}

impl Ports {
    /// The ports of an embedded cloud.
    pub fn embedded(cloud: &crate::cloud::Cloud, invoke: Arc<dyn Invoke>) -> Self {
        Self {
            streams: cloud.streams(),
            sqs: cloud.sqs(),
            invoke,
            checkpoints: Arc::new(cloud.queues().clone()),
            now: cloud.now(),
            written: Some(cloud.written().clone()),
            clock: Some(cloud.clock().clone()),
        }
    }
}

/// Why a driver cannot be set up or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A source or schedule names a function that is not there.
    #[error("{source_name} invokes {function}, which is not defined")]
    NoFunction {
        /// The source or schedule.
        source_name: String,
        /// The function.
        function: String,
    },
    /// Filter criteria are not understood.
    #[error("{source_name}: {error}")]
    Pattern {
        /// The source.
        source_name: String,
        /// What is wrong.
        error: PatternError,
    },
    /// A schedule is not understood.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A service call failed.
    #[error("{call} for {source_name} failed: {message}")]
    Call {
        /// The source.
        source_name: String,
        /// The operation.
        call: &'static str,
        /// What the client says.
        message: String,
    },
    /// A checkpoint failed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A drain came to no end.
    #[error("{source_name} comes to no end: {message}")]
    Endless {
        /// The source.
        source_name: String,
        /// The last failure.
        message: String,
    },
}

/// What a drain delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Batches that functions dealt with, at least in part, or that were given up.
    pub batches: usize,
    /// Records and messages in them.
    pub records: usize,
}

/// Delivers events. Clones share it.
#[derive(Clone)]
pub struct Driver(Arc<Inner>);

struct Inner {
    context: Context,
    streams: Vec<StreamSource>,
    queues: Vec<QueueSource>,
    schedules: Vec<Timer>,
}

/// What all sources share.
struct Context {
    ports: Ports,
}

struct Timer {
    def: ScheduleDef,
    function: FunctionDef,
    schedule: Schedule,
    /// When it last fired, or when the driver was made.
    last: Mutex<i64>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Sets up the sources and schedules of a plan. Schedules first fire at their next time.
    pub fn new(plan: Plan, ports: Ports) -> Result<Self, DriverError> {
        let functions: BTreeMap<_, _> = plan
            .functions
            .into_iter()
            .map(|function| (function.logical.clone(), function))
            .collect();
        let find = |function: &str, source: &str| {
            functions
                .get(function)
                .cloned()
                .ok_or_else(|| DriverError::NoFunction {
                    source_name: source.to_owned(),
                    function: function.to_owned(),
                })
        };
        let mut streams = Vec::new();
        let mut queues = Vec::new();
        for source in plan.sources {
            let function = find(&source.function, &source.logical)?;
            for pattern in &source.filters {
                crate::filter::check(pattern).map_err(|error| DriverError::Pattern {
                    source_name: source.logical.clone(),
                    error,
                })?;
            }
            match &source.kind {
                SourceKind::Stream { .. } => streams.push(StreamSource::new(source, function)),
                SourceKind::Queue { .. } => queues.push(QueueSource::new(source, function)),
            }
        }
        let now = (ports.now)();
        let mut schedules = Vec::new();
        for def in plan.schedules {
            schedules.push(Timer {
                function: find(&def.function, &def.logical)?,
                schedule: Schedule::parse(&def.expression)?,
                last: Mutex::new(now),
                def,
            });
        }
        let context = Context { ports };
        Ok(Self(Arc::new(Inner {
            context,
            streams,
            queues,
            schedules,
        })))
    }

    /// Delivers until `shutdown` resolves, then finishes what was begun.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for at in 0..self.0.streams.len() {
            let (driver, stopped) = (self.clone(), stopped.clone());
            tasks.spawn(async move { driver.follow_stream(at, stopped).await });
        }
        for at in 0..self.0.queues.len() {
            let (driver, stopped) = (self.clone(), stopped.clone());
            tasks.spawn(async move { driver.follow_queue(at, stopped).await });
        }
        let driver = self.clone();
        tasks.spawn(async move { driver.follow_clock(stopped).await });
        shutdown.await;
        let _ = stop.send(true);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "an event source stopped");
            }
        }
    }

    /// Delivers everything that can be delivered now, what comes of it included. Failing stream batches
    /// are repeated at once; failed messages wait for their visibility timeout, and so does the caller.
    pub async fn drain(&self) -> Result<Drained, DriverError> {
        let mut drained = Drained::default();
        for _ in 0..MOST_ROUNDS {
            let before = drained;
            for source in &self.0.streams {
                drained += self.drain_stream(source).await?;
            }
            for source in &self.0.queues {
                loop {
                    let messages = source.receive(&self.0.context, 0).await?;
                    if messages.is_empty() {
                        break;
                    }
                    drained.batches += 1;
                    drained.records += messages.len();
                    source.deliver(&self.0.context, messages).await?;
                }
            }
            if drained == before {
                return Ok(drained);
            }
        }
        Err(DriverError::Endless {
            source_name: "the drain".to_owned(),
            message: format!("{MOST_ROUNDS} rounds found new events each"),
        })
    }

    /// Fires the schedules that became due since they last fired; one that became due several times
    /// fires once, for the latest. Returns how many fired.
    pub async fn tick(&self) -> usize {
        let now = (self.0.context.ports.now)();
        let mut fired = 0;
        for timer in &self.0.schedules {
            let due = {
                let mut last = timer.last.lock().unwrap_or_else(PoisonError::into_inner);
                let due = timer.schedule.latest_due(*last, now);
                *last = due.unwrap_or(*last);
                due
            };
            if let Some(due) = due {
                fired += 1;
                self.fire(timer, due).await;
            }
        }
        fired
    }

    /// How far each stream was read: its ARN and the sequence number of the last record dealt with. For
    /// a stream several functions read, that is the one furthest behind; a stream that one of them has
    /// not begun is absent.
    pub async fn positions(&self) -> BTreeMap<String, String> {
        let mut positions: BTreeMap<String, Option<String>> = BTreeMap::new();
        for source in &self.0.streams {
            let own = source.position().await;
            positions
                .entry(source.arn().to_owned())
                .and_modify(|held| *held = held.take().min(own.clone()))
                .or_insert(own);
        }
        positions
            .into_iter()
            .filter_map(|(arn, position)| Some((arn, position?)))
            .collect()
    }

    async fn drain_stream(&self, source: &StreamSource) -> Result<Drained, DriverError> {
        let mut drained = Drained::default();
        let mut failures = 0;
        loop {
            match source.step(&self.0.context, false).await? {
                Step::Idle => return Ok(drained),
                Step::Passed => failures = 0,
                Step::Delivered(records) => {
                    failures = 0;
                    drained += Drained {
                        batches: 1,
                        records,
                    };
                }
                Step::Failed(message) => {
                    failures += 1;
                    if failures > MOST_FAILURES {
                        let source_name = source.name().to_owned();
                        return Err(DriverError::Endless {
                            source_name,
                            message,
                        });
                    }
                }
            }
        }
    }

    async fn follow_stream(&self, at: usize, mut stopped: watch::Receiver<bool>) {
        let source = &self.0.streams[at];
        let mut listener = self.0.context.ports.written.as_ref().map(Wake::listen);
        let mut pause = BACKOFF.0;
        while !*stopped.borrow() {
            if let Some(listener) = &mut listener {
                listener.reset();
            }
            let problem = match source.step(&self.0.context, true).await {
                Ok(Step::Delivered(_) | Step::Passed) => {
                    pause = BACKOFF.0;
                    // A long backlog must not keep this worker from other tasks.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Step::Idle) => None,
                Ok(Step::Failed(message)) => Some(message),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                tracing::warn!(source = source.name(), %problem, "a stream batch failed");
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => {}
                    () = tokio::time::sleep(pause) => {}
                }
                pause = BACKOFF.1.min(pause * 2);
                continue;
            }
            let changed = async {
                match &mut listener {
                    Some(listener) => {
                        let _ = tokio::time::timeout(SIGNALLED_POLL, listener.changed()).await;
                    }
                    None => tokio::time::sleep(POLL).await,
                }
            };
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => {}
                () = changed => {}
            }
        }
    }

    async fn follow_queue(&self, at: usize, mut stopped: watch::Receiver<bool>) {
        let source = &self.0.queues[at];
        let permits = Arc::new(tokio::sync::Semaphore::new(source.concurrency()));
        let mut deliveries = JoinSet::new();
        let mut pause = BACKOFF.0;
        loop {
            while deliveries.try_join_next().is_some() {}
            let received = async {
                // First the room to work, then the work: a message must not wait in flight.
                let permit = permits.clone().acquire_owned().await;
                (
                    permit,
                    source.receive(&self.0.context, LONG_POLL_SECONDS).await,
                )
            };
            let (permit, received) = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => break,
                received = received => received,
            };
            match received {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    pause = BACKOFF.0;
                    let driver = self.clone();
                    deliveries.spawn(async move {
                        let source = &driver.0.queues[at];
                        if let Err(error) = source.deliver(&driver.0.context, messages).await {
                            tracing::warn!(source = source.name(), %error, "a delivery failed");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(source = source.name(), %error, "receiving failed");
                    tokio::select! {
                        _ = stopped.wait_for(|stop| *stop) => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = BACKOFF.1.min(pause * 2);
                }
            }
        }
        while deliveries.join_next().await.is_some() {}
    }

    async fn follow_clock(&self, mut stopped: watch::Receiver<bool>) {
        let mut listener = self.0.context.ports.clock.as_ref().map(Wake::listen);
        while !*stopped.borrow() {
            if let Some(listener) = &mut listener {
                listener.reset();
            }
            self.tick().await;
            let now = (self.0.context.ports.now)();
            let next = self
                .0
                .schedules
                .iter()
                .filter_map(|timer| {
                    let last = *timer.last.lock().unwrap_or_else(PoisonError::into_inner);
                    timer.schedule.next_due(last)
                })
                .min();
            let wait = match next {
                // At least a moment, for a clock that stands still just before the time.
                Some(at) => Duration::from_millis(u64::try_from(at - now).unwrap_or(0).max(50)),
                None => SIGNALLED_POLL,
            };
            let moved = async {
                match &mut listener {
                    Some(listener) => listener.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => {}
                () = moved => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Invokes a schedule's function as Lambda does asynchronously: repeated on failure, then kept.
    async fn fire(&self, timer: &Timer, due: i64) {
        let event = timer
            .def
            .input
            .clone()
            .unwrap_or_else(|| records::scheduled(&timer.def, due));
        let context = &self.0.context;
        let mut attempts = 0;
        let failure = loop {
            attempts += 1;
            match context.invoke(&timer.function, event.clone()).await {
                Ok(_) => return,
                Err(error @ InvokeError::Unreachable(_)) => break error,
                Err(error) if attempts > timer.function.async_retries => break error,
                Err(_) => {}
            }
        };
        tracing::warn!(schedule = timer.def.name, error = %failure, "a scheduled event failed");
        let kept = match (
            &failure,
            &timer.function.on_failure,
            &timer.function.dead_letters,
        ) {
            (InvokeError::Unreachable(_), ..) => {
                timer.def.dead_letters.as_ref().map(|arn| (arn, event))
            }
            (_, Some(arn), _) => {
                let account =
                    records::failed_invocation(&timer.function, event, attempts, &failure, due);
                Some((arn, account))
            }
            (_, None, Some(arn)) => Some((arn, event)),
            (_, None, None) => None,
        };
        if let Some((arn, body)) = kept
            && let Err(error) = context.send(&timer.def.name, arn, &body).await
        {
            tracing::error!(schedule = timer.def.name, %error, "a failed event could not be kept");
        }
    }
}

/// The longest long poll there is.
const LONG_POLL_SECONDS: i32 = 20;

impl std::ops::AddAssign for Drained {
    fn add_assign(&mut self, more: Self) {
        self.batches += more.batches;
        self.records += more.records;
    }
}

impl Context {
    /// Invokes a function within its timeout; a panic is a failure of the function.
    async fn invoke(&self, function: &FunctionDef, payload: Value) -> Result<Value, InvokeError> {
        let limit = Duration::from_secs(function.timeout_seconds);
        let invocation = self.ports.invoke.invoke(&function.package, payload);
        let caught = AssertUnwindSafe(invocation).catch_unwind();
        match tokio::time::timeout(limit, caught).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(InvokeError::Function {
                kind: "Runtime.Panic".to_owned(),
                message: "the function panicked".to_owned(),
            }),
            Err(_) => Err(InvokeError::Function {
                kind: "Sandbox.Timedout".to_owned(),
                message: format!("Task timed out after {} seconds", function.timeout_seconds),
            }),
        }
    }

    /// Sends a document to the queue an ARN names.
    async fn send(&self, source: &str, arn: &str, body: &Value) -> Result<(), DriverError> {
        let url = self.queue_url(source, arn).await?;
        let sent = self
            .ports
            .sqs
            .send_message()
            .queue_url(url)
            .message_body(body.to_string());
        sent.send()
            .await
            .map(drop)
            .map_err(|error| failed(source, "SendMessage", error))
    }

    async fn queue_url(&self, source: &str, arn: &str) -> Result<String, DriverError> {
        let name = arn.rsplit(':').next().unwrap_or_default();
        let answer = self.ports.sqs.get_queue_url().queue_name(name).send().await;
        let answer = answer.map_err(|error| failed(source, "GetQueueUrl", error))?;
        Ok(answer.queue_url.unwrap_or_default())
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(
    source: &str,
    call: &'static str,
    error: E,
) -> DriverError {
    DriverError::Call {
        source_name: source.to_owned(),
        call,
        message: DisplayErrorContext(error).to_string(),
    }
}

#[cfg(test)]
mod tests;
