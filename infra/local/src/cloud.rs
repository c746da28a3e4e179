//! The embedded cloud: opens its store, creates what the templates define, and hands out SDK clients.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use dynoxide::Database;
use rusqlite::params;
use serde_json::{Value, json};

use crate::NowMs;
use crate::capacity::Recorder;
use crate::connector::{Connector, Intercept, stored_sequence};
use crate::driver::{Driver, Plan};
use crate::outbox::Outbox;
use crate::queue::{self, Queues, SqsError};
use crate::template::{QueueDef, TableDef, Template, TemplateError};
use crate::wake::Wake;

/// `infra/data.yaml`, as this program was built with.
pub const DATA_TEMPLATE: &str = include_str!("../../data.yaml");

/// `infra/app.yaml`, as this program was built with.
pub const APP_TEMPLATE: &str = include_str!("../../app.yaml");

/// The file that keeps a second process from opening the same store.
const LOCK_FILE: &str = "lock";
const DATABASE_FILE: &str = "dynamodb.sqlite";
const QUEUES_FILE: &str = "sqs.sqlite";

/// Where the development server listens unless told otherwise.
const LOCAL_ADDRESS: &str = "http://127.0.0.1:8080";

/// Attempts the SDK makes at a call, the first included.
const ATTEMPTS: u32 = 5;

/// How often consumed stream records are trimmed.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// Expired items are swept every so many of those rounds: a sweep reads whole tables, and AWS promises
/// no more than a few days.
const SWEEP_EVERY_ROUNDS: u32 = 60;

/// Stream records deleted in one transaction, so that writers wait for milliseconds only.
const TRIM_CHUNK: i64 = 2_000;

/// How to open an embedded cloud.
pub struct Options {
    /// The folder that holds the store; in memory when there is none.
    pub data: Option<PathBuf>,
    /// The clock. A store in a folder dates its stream records by the wall clock all the same, because
    /// the engine takes a clock in memory only.
    pub now: NowMs,
    /// With a seed, message ids and the order of deliveries are functions of it.
    pub seed: Option<u64>,
    /// Watches and disturbs calls from the start.
    pub interceptor: Option<Arc<dyn Intercept>>,
    /// The data template.
    pub data_template: String,
    /// The application template: functions, sources, schedules and routes.
    pub app_template: String,
    /// Parameters of both templates, over their defaults.
    pub parameters: BTreeMap<String, String>,
}

impl Options {
    /// In memory, on the wall clock, with the templates this program was built with.
    pub fn in_memory() -> Self {
        Self {
            data: None,
            now: crate::system_clock(),
            seed: None,
            interceptor: None,
            data_template: DATA_TEMPLATE.to_owned(),
            app_template: APP_TEMPLATE.to_owned(),
            parameters: BTreeMap::new(),
        }
    }

    /// In a folder, on the wall clock, with the templates this program was built with.
    pub fn at(data: impl Into<PathBuf>) -> Self {
        Self {
            data: Some(data.into()),
            ..Self::in_memory()
        }
    }
}

/// Why an embedded cloud cannot be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// Another process has it open.
    #[error("{} is in use by another process; end it, or choose another folder with --data", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The stored table is not the one the template defines.
    #[error(
        "table {table} in {} has {property} {stored}, the template has {wanted}; move the folder away to start afresh",
        path.display()
    )]
    Drift {
        /// The store.
        path: PathBuf,
        /// The table.
        table: String,
        /// What differs.
        property: &'static str,
        /// As stored.
        stored: String,
        /// As defined.
        wanted: String,
    },
    /// A template cannot be read.
    #[error("{template}: {source}")]
    Template {
        /// Which one.
        template: &'static str,
        /// Where and why.
        source: TemplateError,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] dynoxide::DynoxideError),
    /// The database file failed.
    #[error("the database file failed: {0}")]
    File(#[from] rusqlite::Error),
    /// The queues failed.
    #[error("the queues failed: {0}")]
    Queues(#[from] SqsError),
    /// The queues cannot be opened.
    #[error(transparent)]
    OpenQueues(#[from] queue::OpenError),
}

/// An open embedded cloud. Clones share it; the store is released with the last one.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    connector: Connector,
    database: Database,
    queues: Queues,
    now: NowMs,
    clock: Wake,
    wall_clock_store: bool,
    data: Option<PathBuf>,
    tables: Vec<TableDef>,
    data_template: Template,
    app_template: Template,
    sdk: Sdk,
    /// A second connection to the database file, for what the engine has no call for.
    file: Option<Mutex<rusqlite::Connection>>,
}

/// The SDK clients, which share connector, retries and region.
#[derive(Clone, Debug)]
struct Sdk {
    dynamodb: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
    sqs: aws_sdk_sqs::Client,
    ses: aws_sdk_sesv2::Client,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud")
            .field("data", &self.0.data)
            .finish_non_exhaustive()
    }
}

impl Cloud {
    /// Opens the store, creates the tables and queues that are absent, and checks those that are there.
    pub async fn open(options: Options) -> Result<Self, CloudError> {
        if let Some(seed) = options.seed {
            // The SDK draws retry jitter and tokens from this thread's generator.
            fastrand::seed(seed);
        }
        let lock = options.data.as_deref().map(lock).transpose()?.map(Arc::new);
        let (database, file) = match options.data.as_deref() {
            Some(folder) => {
                let (database, file) = open_file(&folder.join(DATABASE_FILE))?;
                (database, Some(Mutex::new(file)))
            }
            None => (open_memory(options.now.clone())?, None),
        };
        let queues_file = options.data.as_ref().map(|folder| folder.join(QUEUES_FILE));
        let queues = Queues::open(queues_file.as_deref(), options.now.clone(), options.seed)?;
        queues.release_in_flight()?;
        let on_disk = options.data.is_some();
        let connector = Connector::new(database.clone(), queues.clone(), options.now.clone(), lock);
        let sdk = Sdk::new(&connector, options.seed);

        let of_data = |source| CloudError::Template {
            template: "data.yaml",
            source,
        };
        let data_template =
            Template::parse(&options.data_template, &options.parameters).map_err(of_data)?;
        let tables = data_template.tables().map_err(of_data)?;
        let store = options.data.clone().unwrap_or_default();
        for table in &tables {
            create_table(&database, table, &store)?;
            name_table(&data_template, &database, table)?;
        }
        for (logical, name) in data_template
            .named("AWS::SQS::Queue", "QueueName")
            .map_err(of_data)?
        {
            let name = name.unwrap_or_else(|| logical.clone());
            data_template.set_physical(&*logical, queue::url_of(&name));
            data_template.set_physical(format!("{logical}.Arn"), queue::arn_of(&name));
            data_template.set_physical(format!("{logical}.QueueUrl"), queue::url_of(&name));
            data_template.set_physical(format!("{logical}.QueueName"), name);
        }
        for (logical, name) in data_template
            .named("AWS::SecretsManager::Secret", "Name")
            .map_err(of_data)?
        {
            let name = name.unwrap_or_else(|| logical.clone());
            let arn = format!(
                "arn:aws:secretsmanager:{}:{}:secret:{name}",
                crate::REGION,
                crate::ACCOUNT
            );
            data_template.set_physical(logical, arn);
        }
        for queue in data_template.queues().map_err(of_data)? {
            create_queue(&queues, &queue).await?;
        }
        let app_template = app_template(
            &options.app_template,
            &data_template.outputs(),
            &options.parameters,
        )
        .map_err(|source| CloudError::Template {
            template: "app.yaml",
            source,
        })?;
        connector.set_interceptor(options.interceptor);
        Ok(Self(Arc::new(Inner {
            connector,
            database,
            queues,
            wall_clock_store: on_disk,
            now: options.now,
            clock: Wake::default(),
            data: options.data,
            tables,
            data_template,
            app_template,
            sdk,
            file,
        })))
    }

    /// A DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.0.sdk.dynamodb.clone()
    }

    /// A DynamoDB Streams client.
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        self.0.sdk.streams.clone()
    }

    /// An SQS client.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        self.0.sdk.sqs.clone()
    }

    /// An SES client, whose mails stay in [`Cloud::outbox`].
    pub fn ses(&self) -> aws_sdk_sesv2::Client {
        self.0.sdk.ses.clone()
    }

    /// The mails that were sent.
    pub fn outbox(&self) -> &Outbox {
        self.0.connector.outbox()
    }

    /// The connector behind the clients.
    pub fn connector(&self) -> &Connector {
        &self.0.connector
    }

    /// Records calls and what they consume.
    pub fn recorder(&self) -> &Recorder {
        self.0.connector.recorder()
    }

    /// Lets every further call pass through `interceptor`, or through none.
    pub fn set_interceptor(&self, interceptor: Option<Arc<dyn Intercept>>) {
        self.0.connector.set_interceptor(interceptor);
    }

    /// The queue engine itself, for looking into and redriving dead letters.
    pub fn queues(&self) -> &Queues {
        &self.0.queues
    }

    /// The clock.
    pub fn now(&self) -> NowMs {
        self.0.now.clone()
    }

    /// Signalled after every DynamoDB write.
    pub fn written(&self) -> &Wake {
        self.0.connector.written()
    }

    /// The outputs of the data template: names, URLs and ARNs by output name.
    pub fn outputs(&self) -> BTreeMap<String, String> {
        self.0.data_template.outputs()
    }

    /// One output of the data template, empty when there is none of that name.
    pub fn output(&self, name: &str) -> String {
        self.outputs().remove(name).unwrap_or_default()
    }

    /// The data template, resolved.
    pub fn data_template(&self) -> &Template {
        &self.0.data_template
    }

    /// The application template, resolved.
    pub fn app_template(&self) -> &Template {
        &self.0.app_template
    }

    /// What the application template has delivered: sources, schedules and their functions.
    pub fn plan(&self) -> Result<Plan, CloudError> {
        Plan::of(&self.0.app_template).map_err(|source| CloudError::Template {
            template: "app.yaml",
            source,
        })
    }

    /// Signalled when a manual clock was moved.
    pub fn clock(&self) -> &Wake {
        &self.0.clock
    }

    /// Wakes everything that waits for time to pass. Call it after moving a manual clock.
    pub fn clock_moved(&self) {
        self.0.clock.signal();
        self.0.queues.poke();
        self.0.connector.written().signal();
    }

    /// Deletes items whose time to live ended, as DynamoDB does in the background.
    /// Returns how many. On a file with a manual clock, the deletions lack the service's identity in the
    /// stream: the engine's own sweep knows the wall clock only there.
    pub async fn sweep_expired(&self) -> Result<usize, CloudError> {
        let now_ms = (self.0.now)();
        let drift = (now_ms - jiff::Timestamp::now().as_millisecond()).abs();
        let swept = if self.0.wall_clock_store && drift > 60_000 {
            self.sweep_by_hand(now_ms / 1000)?
        } else {
            let database = self.0.database.clone();
            let sweep = move || database.sweep_ttl();
            // A sweep reads whole tables, a page at a time: on a file it leaves the workers free.
            let swept = if self.0.wall_clock_store {
                tokio::task::spawn_blocking(sweep).await.unwrap_or(Ok(0))
            } else {
                sweep()
            };
            swept?
        };
        if swept > 0 {
            self.written().signal();
        }
        Ok(swept)
    }

    fn sweep_by_hand(&self, now: i64) -> Result<usize, CloudError> {
        let mut swept = 0;
        for table in &self.0.tables {
            let Some(attribute) = &table.ttl_attribute else {
                continue;
            };
            let keys: Vec<_> = table.create["KeySchema"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|key| key["AttributeName"].as_str())
                .collect();
            let mut from = Value::Null;
            loop {
                let mut scan = json!({
                    "TableName": table.name,
                    "FilterExpression": "#ttl < :now AND #ttl >= :zero",
                    "ExpressionAttributeNames": { "#ttl": attribute },
                    "ExpressionAttributeValues": {
                        ":now": { "N": now.to_string() }, ":zero": { "N": "0" },
                    },
                });
                if !from.is_null() {
                    scan["ExclusiveStartKey"] = from;
                }
                let page = document(&self.0.database.scan(request(scan)?)?)?;
                for item in page["Items"].as_array().into_iter().flatten() {
                    let key: serde_json::Map<_, _> = keys
                        .iter()
                        .map(|name| ((*name).to_owned(), item[*name].clone()))
                        .collect();
                    let delete = json!({ "TableName": table.name, "Key": key });
                    self.0.database.delete_item(request(delete)?)?;
                    swept += 1;
                }
                from = page["LastEvaluatedKey"].clone();
                if from.is_null() {
                    break;
                }
            }
        }
        Ok(swept)
    }

    /// Forgets stream records up to and including a public sequence number, once they are consumed.
    /// The newest record is kept, because the next sequence number is counted from it.
    pub fn trim_stream(&self, table: &str, up_to: &str) -> Result<usize, CloudError> {
        let Some(up_to) = stored_sequence(up_to) else {
            return Ok(0);
        };
        let Some(file) = &self.0.file else {
            self.0.connector.trim(table, up_to);
            return Ok(0);
        };
        let mut deleted = 0;
        loop {
            let chunk = crate::blocking(true, || {
                file.lock().unwrap_or_else(PoisonError::into_inner).execute(
                    "DELETE FROM _stream_records WHERE id IN (
                         SELECT id FROM _stream_records
                         WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2
                           AND CAST(sequence_number AS INTEGER) < (
                               SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records
                               WHERE table_name = ?1)
                         ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?3)",
                    params![table, up_to, TRIM_CHUNK],
                )
            })?;
            deleted += chunk;
            if i64::try_from(chunk).is_ok_and(|chunk| chunk < TRIM_CHUNK) {
                return Ok(deleted);
            }
        }
    }

    /// Forgets everything the streams hold so far, consumed or not, as AWS does after 24 hours.
    pub fn trim_all_streams(&self) -> Result<(), CloudError> {
        for table in self.0.tables.iter().filter(|table| table.stream) {
            let describe = json!({ "StreamArn": self.stream_arn(table)? });
            let stream = document(&self.0.database.describe_stream(request(describe)?)?)?;
            let newest = stream
                .pointer("/StreamDescription/Shards/0/SequenceNumberRange/EndingSequenceNumber")
                .and_then(Value::as_str)
                .and_then(stored_sequence);
            if let Some(newest) = newest {
                self.0.connector.trim(&table.name, newest);
            }
        }
        Ok(())
    }

    /// Trims consumed stream records and sweeps expired items from time to time, until `shutdown`
    /// resolves.
    pub async fn keep_house(&self, driver: &Driver, shutdown: impl Future<Output = ()>) {
        let work = async {
            let mut rounds = tokio::time::interval(TRIM_EVERY);
            let mut round: u32 = 0;
            loop {
                rounds.tick().await;
                if let Err(error) = self.trim_consumed(driver).await {
                    tracing::warn!(%error, "streams could not be trimmed");
                }
                if round.is_multiple_of(SWEEP_EVERY_ROUNDS)
                    && let Err(error) = self.sweep_expired().await
                {
                    tracing::warn!(%error, "expired items could not be swept");
                }
                round = round.wrapping_add(1);
            }
        };
        tokio::select! {
            () = work => {}
            () = shutdown => {}
        }
    }

    /// Forgets the stream records every function has dealt with.
    pub async fn trim_consumed(&self, driver: &Driver) -> Result<usize, CloudError> {
        let mut trimmed = 0;
        for (arn, position) in driver.positions().await {
            let table = arn.split('/').nth(1).unwrap_or_default();
            trimmed += self.trim_stream(table, &position)?;
        }
        Ok(trimmed)
    }

    /// The database and queue files can be copied while they are in use; this writes consistent copies
    /// of both into `folder`.
    pub fn back_up(&self, folder: &Path) -> Result<(), CloudError> {
        std::fs::create_dir_all(folder).map_err(|source| CloudError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let database = folder.join(DATABASE_FILE);
        self.0.database.vacuum_into(&database.to_string_lossy())?;
        self.0.queues.back_up(&folder.join(QUEUES_FILE))?;
        Ok(())
    }

    fn stream_arn(&self, table: &TableDef) -> Result<String, CloudError> {
        let describe = json!({ "TableName": table.name });
        let description = document(&self.0.database.describe_table(request(describe)?)?)?;
        let arn = description
            .pointer("/Table/LatestStreamArn")
            .and_then(Value::as_str);
        Ok(arn.unwrap_or_default().to_owned())
    }
}

impl Sdk {
    fn new(connector: &Connector, seed: Option<u64>) -> Self {
        // The default partition's token bucket is shared by the whole process and drains: one instance's
        // faults would take another's retries away.
        static PARTITIONS: AtomicU64 = AtomicU64::new(0);
        let partition = RetryPartition::custom(format!(
            "tributary-local-{}",
            PARTITIONS.fetch_add(1, Ordering::Relaxed)
        ))
        .token_bucket(TokenBucket::unlimited())
        .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(if seed.is_some() {
                Duration::from_millis(1)
            } else {
                Duration::from_millis(20)
            })
            .with_max_backoff(Duration::from_secs(1));
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::Config::builder()
                        .behavior_version(BehaviorVersion::latest())
                        .http_client(connector.clone())
                        .region(Region::from_static("us-east-1"))
                        // Nothing leaves the process, so nothing needs a signature.
                        .allow_no_auth()
                        .retry_config(retries.clone())
                        .retry_partition(partition.clone())
                        .sleep_impl(TokioSleep::new())
                        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                        .build(),
                )
            };
        }
        Self {
            dynamodb: client!(aws_sdk_dynamodb),
            streams: client!(aws_sdk_dynamodbstreams),
            sqs: client!(aws_sdk_sqs),
            ses: client!(aws_sdk_sesv2),
        }
    }
}

/// Parses the application template over the data template's outputs and names its functions.
pub fn app_template(
    text: &str,
    outputs: &BTreeMap<String, String>,
    parameters: &BTreeMap<String, String>,
) -> Result<Template, TemplateError> {
    let mut given = outputs.clone();
    given.extend(parameters.clone());
    let template = Template::parse(text, &given)?;
    for (logical, name) in template.named("AWS::Serverless::Function", "FunctionName")? {
        let name = name.unwrap_or_else(|| logical.clone());
        let arn = format!(
            "arn:aws:lambda:{}:{}:function:{name}",
            crate::REGION,
            crate::ACCOUNT
        );
        template.set_physical(format!("{logical}.Arn"), arn);
        template.set_physical(logical, name);
    }
    for (logical, _) in template.named("AWS::ApiGatewayV2::Api", "Name")? {
        template.set_physical(format!("{logical}.ApiEndpoint"), LOCAL_ADDRESS);
        template.set_physical(logical, "local");
    }
    Ok(template)
}

fn lock(folder: &Path) -> Result<File, CloudError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| CloudError::Io { path, source }
    };
    create(folder).map_err(at(folder))?;
    let path = folder.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CloudError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(CloudError::Io { path, source }),
    }
}

/// Creates the folder, which nobody but its owner looks into: it holds keys and people's data. One that is
/// there stays as its owner has made it.
fn create(folder: &Path) -> io::Result<()> {
    if let Some(above) = folder.parent() {
        std::fs::create_dir_all(above)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens the database file and adds what the engine lacks: without these indexes, appending to and
/// reading a stream takes time in proportion to its length.
fn open_file(path: &Path) -> Result<(Database, rusqlite::Connection), CloudError> {
    let database = Database::new(&path.to_string_lossy())?;
    let file = rusqlite::Connection::open(path)?;
    file.busy_timeout(Duration::from_secs(5))?;
    file.execute_batch(
        "CREATE INDEX IF NOT EXISTS tributary_stream_tail
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
         CREATE INDEX IF NOT EXISTS tributary_stream_shard
             ON _stream_records (table_name, shard_id, CAST(sequence_number AS INTEGER));",
    )?;
    Ok((database, file))
}

/// An in-memory database with the indexes and the clock: the engine takes the indexes from a restored
/// file, and the clock in memory only.
fn open_memory(now: NowMs) -> Result<Database, CloudError> {
    static SEED_FILE: OnceLock<Vec<u8>> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let path = std::env::temp_dir().join(format!(
        "tributary-{}-{}.sqlite",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    let at = |source| CloudError::Io {
        path: path.clone(),
        source,
    };
    let database = Database::memory_with_clock(Arc::new(EngineClock(now)))?;
    let result = (|| {
        match SEED_FILE.get() {
            Some(bytes) => std::fs::write(&path, bytes).map_err(at)?,
            None => {
                let copy = path.with_extension("copy");
                let opened = open_file(&path)
                    .and_then(|(first, _)| Ok(first.vacuum_into(&copy.to_string_lossy())?));
                let bytes = std::fs::read(&copy).map_err(at);
                remove(&copy);
                opened?;
                remove(&path);
                std::fs::write(&path, SEED_FILE.get_or_init(|| bytes.unwrap_or_default()))
                    .map_err(at)?;
            }
        }
        Ok(database.restore_from(&path.to_string_lossy())?)
    })();
    remove(&path);
    result.map(|()| database)
}

/// Removes a temporary database with its companions; what is not there needs no removing.
fn remove(path: &Path) {
    let name = path.to_string_lossy();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{name}{suffix}"));
    }
}

/// The injected clock in the engine's terms.
struct EngineClock(NowMs);

impl dynoxide::storage_backend::Clock for EngineClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)() / 1000).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        Duration::from_millis(u64::try_from((self.0)()).unwrap_or(0)).as_secs_f64()
    }
}

fn request<T: serde::de::DeserializeOwned>(document: Value) -> Result<T, CloudError> {
    serde_json::from_value(document).map_err(|error| {
        CloudError::Database(dynoxide::DynoxideError::ValidationException(
            error.to_string(),
        ))
    })
}

fn document<T: serde::Serialize>(response: &T) -> Result<Value, CloudError> {
    serde_json::to_value(response).map_err(|error| {
        CloudError::Database(dynoxide::DynoxideError::InternalServerError(
            error.to_string(),
        ))
    })
}

/// Creates a table that is absent and checks one that is there. Time to live is brought in line; keys
/// and indexes cannot be changed in place, so their drift is an error.
fn create_table(database: &Database, table: &TableDef, store: &Path) -> Result<(), CloudError> {
    let exists = database.get_table_metadata(&table.name)?.is_some();
    if exists {
        let describe = json!({ "TableName": table.name });
        let stored = document(&database.describe_table(request(describe)?)?)?;
        let difference = differences(&table.create, &stored["Table"]).next();
        if let Some((property, wanted, stored)) = difference {
            return Err(CloudError::Drift {
                path: store.to_owned(),
                table: table.name.clone(),
                property,
                stored,
                wanted,
            });
        }
    } else {
        database.create_table(request(table.create.clone())?)?;
    }
    let describe = json!({ "TableName": table.name });
    let stored = document(&database.describe_time_to_live(request(describe)?)?)?;
    let stored = &stored["TimeToLiveDescription"];
    let held = stored["AttributeName"]
        .as_str()
        .filter(|_| stored["TimeToLiveStatus"] == "ENABLED");
    if let Some(attribute) = table
        .ttl_attribute
        .as_deref()
        .filter(|wanted| held != Some(*wanted))
    {
        let update = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
        });
        database.update_time_to_live(request(update)?)?;
    }
    Ok(())
}

fn differences<'a>(
    wanted: &'a Value,
    stored: &'a Value,
) -> impl Iterator<Item = (&'static str, String, String)> + use<'a> {
    let keys = |table: &Value| table["KeySchema"].to_string();
    let indexes = |table: &Value| {
        let mut indexes: Vec<_> = table["GlobalSecondaryIndexes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|index| {
                format!(
                    "{} {} {}",
                    index["IndexName"], index["KeySchema"], index["Projection"]
                )
            })
            .collect();
        indexes.sort();
        indexes.join("; ")
    };
    let stream = |table: &Value| table["StreamSpecification"]["StreamViewType"].to_string();
    [
        ("KeySchema", keys(wanted), keys(stored)),
        ("GlobalSecondaryIndexes", indexes(wanted), indexes(stored)),
        ("StreamViewType", stream(wanted), stream(stored)),
    ]
    .into_iter()
    .filter(|(_, wanted, stored)| wanted != stored)
}

fn name_table(
    template: &Template,
    database: &Database,
    table: &TableDef,
) -> Result<(), CloudError> {
    let describe = json!({ "TableName": table.name });
    let description = document(&database.describe_table(request(describe)?)?)?;
    let text = |pointer: &str| {
        description
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    template.set_physical(&*table.logical, &*table.name);
    template.set_physical(format!("{}.Arn", table.logical), text("/Table/TableArn"));
    if table.stream {
        template.set_physical(
            format!("{}.StreamArn", table.logical),
            text("/Table/LatestStreamArn"),
        );
    }
    Ok(())
}

/// Creates a queue that is absent; the settings of one that is there follow the template.
async fn create_queue(queues: &Queues, queue: &QueueDef) -> Result<(), CloudError> {
    if queues.names().contains(&queue.name) {
        let request =
            json!({ "QueueUrl": queue::url_of(&queue.name), "Attributes": queue.attributes });
        queues.call("SetQueueAttributes", &request).await?;
    } else {
        let request = json!({ "QueueName": queue.name, "Attributes": queue.attributes });
        queues.call("CreateQueue", &request).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
