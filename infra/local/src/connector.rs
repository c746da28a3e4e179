//! The HTTP client behind the AWS SDK clients: it answers from this process instead of the network.
//!
//! DynamoDB and DynamoDB Streams are answered by `dynoxide`, SQS by [`crate::queue`], SES by [`crate::outbox`]. Tests can watch and
//! disturb calls through [`Intercept`], and record them through [`Recorder`].

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use dynoxide::actions::get_shard_iterator::{decode_shard_iterator, encode_shard_iterator};
use dynoxide::{Database, DynoxideError};
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::NowMs;
use crate::capacity::{self, Recorded, Recorder};
use crate::outbox::Outbox;
use crate::queue::{Queues, SqsError};
use crate::wake::Wake;

/// How long DynamoDB remembers a `ClientRequestToken`.
const TOKEN_WINDOW_MS: i64 = 10 * 60 * 1000;

/// Where SES takes a mail (API version 2).
const SEND_MAIL_PATH: &str = "/v2/email/outbound-emails";

/// How far apart the stored and the public sequence numbers of a stream are, in `dynoxide`.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// The services the embedded cloud answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// DynamoDB Streams.
    Streams,
    /// SQS.
    Sqs,
    /// SES.
    Ses,
}

/// A call as an interceptor sees it.
#[derive(Debug)]
pub struct Call<'a> {
    /// Counts the calls of this connector, retries included, from 0.
    pub number: u64,
    /// The service called.
    pub service: Service,
    /// The operation, such as `PutItem`.
    pub operation: &'a str,
    /// The request.
    pub request: &'a Value,
}

/// What becomes of a call.
pub enum Verdict {
    /// It is executed and answered.
    Pass,
    /// It is executed once the future is done, and answered.
    Hold(BoxFuture<'static, ()>),
    /// The connection fails before anything is executed.
    FailBefore,
    /// It is executed, and the answer is lost.
    DropResponse,
    /// It is answered with an error and not executed.
    Answer(AwsError),
}

/// What becomes of an answer.
pub enum Delivery {
    /// The caller gets it.
    Deliver,
    /// It is lost: the connection fails after the call was executed.
    Drop,
    /// The caller gets this response in its place.
    Replace(Value),
}

/// Watches and disturbs calls. Every attempt is seen, so retries by the SDK are calls of their own.
pub trait Intercept: Send + Sync {
    /// Before a call is executed.
    fn before(&self, call: &Call<'_>) -> Verdict {
        let _ = call;
        Verdict::Pass
    }

    /// After a call was executed.
    fn after(&self, call: &Call<'_>, outcome: Result<&Value, &AwsError>) -> Delivery {
        let _ = (call, outcome);
        Delivery::Deliver
    }
}

/// An error response of an AWS service.
#[derive(Clone, Debug)]
pub struct AwsError {
    /// HTTP status.
    pub status: u16,
    /// The response body.
    pub body: Value,
    /// The `x-amzn-query-error` header, which SQS sends.
    pub query_error: Option<String>,
}

impl AwsError {
    /// An error of DynamoDB or its streams, by its short name.
    pub fn dynamodb(name: &str, message: &str) -> Self {
        Self {
            status: if name == "InternalServerError" {
                500
            } else {
                400
            },
            body: json!({
                "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": message,
            }),
            query_error: None,
        }
    }

    /// The throttling a hot partition answers with; the SDK retries it.
    pub fn throttled() -> Self {
        Self::dynamodb(
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded.",
        )
    }

    /// A cancelled transaction with one reason code an item, such as `None`, `ConditionalCheckFailed` or
    /// `TransactionConflict`.
    pub fn transaction_cancelled(codes: &[&str]) -> Self {
        let reasons: Vec<_> = codes.iter().map(|code| json!({ "Code": code })).collect();
        let mut error = Self::dynamodb("TransactionCanceledException", "");
        error.body = json!({
            "__type": error.body["__type"],
            "Message": format!(
                "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
                codes.join(", ")
            ),
            "CancellationReasons": reasons,
        });
        error
    }

    /// The same, as a conflict on the first of `items` items.
    pub fn transaction_conflict(items: usize) -> Self {
        let mut codes = vec!["None"; items.max(1)];
        codes[0] = "TransactionConflict";
        Self::transaction_cancelled(&codes)
    }

    /// Its short name.
    pub fn name(&self) -> &str {
        let kind = self.body["__type"].as_str().unwrap_or_default();
        kind.rsplit('#').next().unwrap_or_default()
    }
}

impl From<SqsError> for AwsError {
    fn from(error: SqsError) -> Self {
        Self {
            status: error.status,
            body: error.body(),
            query_error: Some(error.query_error()),
        }
    }
}

/// The HTTP client for the SDK configurations. Clones share everything.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

struct Inner {
    database: Database,
    queues: Queues,
    outbox: Outbox,
    now: NowMs,
    on_disk: bool,
    _lock: Option<Arc<File>>,
    wake: Wake,
    calls: AtomicU64,
    interceptor: RwLock<Option<Arc<dyn Intercept>>>,
    recorder: Recorder,
    tokens: Mutex<Tokens>,
    /// The newest trimmed sequence number by table.
    trimmed: Mutex<HashMap<String, i64>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("on_disk", &self.0.on_disk)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// A connector over an open database and queue engine. A store on disk comes with its lock, so that
    /// it stays locked for as long as any client can reach it.
    pub fn new(database: Database, queues: Queues, now: NowMs, lock: Option<Arc<File>>) -> Self {
        Self(Arc::new(Inner {
            database,
            queues,
            outbox: Outbox::default(),
            now,
            on_disk: lock.is_some(),
            _lock: lock,
            wake: Wake::default(),
            calls: AtomicU64::new(0),
            interceptor: RwLock::new(None),
            recorder: Recorder::default(),
            tokens: Mutex::new(Tokens::default()),
            trimmed: Mutex::new(HashMap::new()),
        }))
    }

    /// Signalled after every DynamoDB write: a stream may have grown.
    pub fn written(&self) -> &Wake {
        &self.0.wake
    }

    /// Lets every further call pass through `interceptor`, or through none.
    pub fn set_interceptor(&self, interceptor: Option<Arc<dyn Intercept>>) {
        *self
            .0
            .interceptor
            .write()
            .unwrap_or_else(PoisonError::into_inner) = interceptor;
    }

    /// The mails that were sent.
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// Records calls on demand.
    pub fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// Forgets a table's stream records up to a stored sequence number, as AWS does after 24 hours.
    pub(crate) fn trim(&self, table: &str, up_to: i64) {
        let mut trimmed = self
            .0
            .trimmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let held = trimmed.entry(table.to_owned()).or_insert(0);
        *held = (*held).max(up_to);
    }
}

/// The stored sequence number behind a public one; a number beyond all stored ones is the greatest.
pub(crate) fn stored_sequence(public: &str) -> Option<i64> {
    let above = public.parse::<u128>().ok()?.checked_sub(SEQUENCE_OFFSET)?;
    Some(i64::try_from(above).unwrap_or(i64::MAX))
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connection {
            inner: self.0.clone(),
            read_timeout: settings.read_timeout(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("tributary-local", None))
    }
}

/// The connector with one client's timeouts. Connecting takes no time here; reading may, in a long poll.
struct Connection {
    inner: Arc<Inner>,
    read_timeout: Option<Duration>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.inner.clone();
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let answer = inner.answer(request);
            match read_timeout {
                None => answer.await,
                Some(limit) => tokio::time::timeout(limit, answer)
                    .await
                    .unwrap_or_else(|elapsed| Err(ConnectorError::timeout(elapsed.into()))),
            }
        })
    }
}

impl Inner {
    async fn answer(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request
            .headers()
            .get("x-amz-target")
            .unwrap_or_default()
            .to_owned();
        // SES names its operations by paths.
        let is_mail = request.uri().contains(SEND_MAIL_PATH);
        // The body is taken, not peeked at: stalled-stream protection counts an unread body as a stall.
        let body = ByteStream::new(request.take_body())
            .collect()
            .await
            .map_err(|error| ConnectorError::io(error.into()))?
            .into_bytes();
        let called = if is_mail {
            Some((Service::Ses, "SendEmail"))
        } else {
            route(&target)
        };
        let Some((service, operation)) = called else {
            let error = AwsError::dynamodb("UnknownOperationException", &target);
            return Ok(response(Err(error)));
        };
        let interceptor = self
            .interceptor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if interceptor.is_none() && !self.recorder.is_on() {
            return Ok(response(self.execute(service, operation, &body).await));
        }
        self.watched(service, operation, &body, interceptor).await
    }

    /// The slow way, with the request and the outcome as documents.
    async fn watched(
        &self,
        service: Service,
        operation: &str,
        body: &[u8],
        interceptor: Option<Arc<dyn Intercept>>,
    ) -> Result<HttpResponse, ConnectorError> {
        let mut request: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if self.recorder.is_on() && reports_capacity(operation) {
            // Everything a caller may ask for is contained in INDEXES.
            request["ReturnConsumedCapacity"] = "INDEXES".into();
        }
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            number,
            service,
            operation,
            request: &request,
        };
        let lost = || ConnectorError::io("the connection was closed".into());
        let verdict = interceptor
            .as_ref()
            .map_or(Verdict::Pass, |watch| watch.before(&call));
        let mut drop_response = false;
        let outcome = match verdict {
            Verdict::FailBefore => return Err(lost()),
            Verdict::Answer(error) => Err(error),
            Verdict::Hold(until) => {
                until.await;
                self.execute(service, operation, &body_of(&request)).await
            }
            Verdict::DropResponse => {
                drop_response = true;
                self.execute(service, operation, &body_of(&request)).await
            }
            Verdict::Pass => self.execute(service, operation, &body_of(&request)).await,
        };
        let outcome = outcome.map(|text| serde_json::from_str(&text).unwrap_or(Value::Null));
        if self.recorder.is_on() {
            self.recorder.add(Recorded {
                service,
                operation: operation.to_owned(),
                request: request.clone(),
                error: outcome.as_ref().err().map(|error| error.name().to_owned()),
                consumed: outcome.as_ref().map(capacity::consumed).unwrap_or_default(),
            });
        }
        let delivery = interceptor.map_or(Delivery::Deliver, |watch| {
            watch.after(&call, outcome.as_ref())
        });
        match delivery {
            _ if drop_response => Err(lost()),
            Delivery::Drop => Err(lost()),
            Delivery::Replace(other) => Ok(response(Ok(other.to_string()))),
            Delivery::Deliver => Ok(response(outcome.map(|value| value.to_string()))),
        }
    }

    async fn execute(
        &self,
        service: Service,
        operation: &str,
        body: &[u8],
    ) -> Result<String, AwsError> {
        match service {
            Service::Sqs => {
                let request = serde_json::from_slice(body).unwrap_or(Value::Null);
                let answer = self.queues.call(operation, &request).await?;
                Ok(answer.to_string())
            }
            Service::Ses => {
                let request = serde_json::from_slice(body).unwrap_or(Value::Null);
                Ok(self.outbox.send(&request, (self.now)())?.to_string())
            }
            Service::DynamoDb | Service::Streams => crate::blocking(self.on_disk, || {
                let result = self.dynamodb(operation, body);
                if result.is_ok() && grows_stream(operation) {
                    self.wake.signal();
                }
                result.map_err(|failure| match failure {
                    Failure::Answered(error) => error,
                    Failure::Engine(error) => AwsError {
                        status: error.status_code(),
                        body: serde_json::from_str(&enveloped(operation, error).to_json())
                            .unwrap_or(Value::Null),
                        query_error: None,
                    },
                })
            }),
        }
    }

    fn dynamodb(&self, operation: &str, body: &[u8]) -> Result<String, Failure> {
        let db = &self.database;
        match operation {
            "PutItem" => answer(db.put_item(read(body)?)),
            "GetItem" => answer(db.get_item(read(body)?)),
            "DeleteItem" => answer(db.delete_item(read(body)?)),
            "UpdateItem" => answer(db.update_item(read(body)?)),
            "Query" => answer(db.query(read(body)?)),
            "Scan" => answer(db.scan(read(body)?)),
            "BatchGetItem" => answer(db.batch_get_item(read(body)?)),
            "BatchWriteItem" => answer(db.batch_write_item(read(body)?)),
            "TransactWriteItems" => self.transact_write(body),
            "TransactGetItems" => answer(db.transact_get_items(read(body)?)),
            "CreateTable" => answer(db.create_table(read(body)?)),
            "DeleteTable" => answer(db.delete_table(read(body)?)),
            "DescribeTable" => answer(db.describe_table(read(body)?)),
            "UpdateTable" => answer(db.update_table(read(body)?)),
            "ListTables" => answer(db.list_tables(read(body)?)),
            "UpdateTimeToLive" => answer(db.update_time_to_live(read(body)?)),
            "DescribeTimeToLive" => answer(db.describe_time_to_live(read(body)?)),
            "ListStreams" => answer(db.list_streams(read(body)?)),
            "DescribeStream" => answer(db.describe_stream(read(body)?)),
            "GetShardIterator" => self.get_shard_iterator(body),
            "GetRecords" => self.get_records(body),
            other => Err(Failure::Answered(AwsError::dynamodb(
                "UnknownOperationException",
                &format!("{other} is not part of the embedded DynamoDB"),
            ))),
        }
    }

    /// Tokens are kept here and not in `dynoxide`, which keeps them on real time and looks them up
    /// linearly. The lock spans the write, so that two calls with one token cannot both be executed.
    fn transact_write(&self, body: &[u8]) -> Result<String, Failure> {
        let mut request: dynoxide::actions::transact_write_items::TransactWriteItemsRequest =
            read(body)?;
        let Some(token) = request.client_request_token.take() else {
            return answer(self.database.transact_write_items(request));
        };
        if token.is_empty() || token.len() > 36 {
            return Err(Failure::Engine(DynoxideError::ValidationException(
                "1 validation error detected: Value at 'clientRequestToken' failed to satisfy constraint: Member must have length between 1 and 36".to_owned(),
            )));
        }
        let now = (self.now)();
        let content = serde_json::to_value(&request.transact_items)
            .map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        let content = fingerprint(&content);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.forget(now - TOKEN_WINDOW_MS);
        match tokens.seen.get(&token) {
            Some(held) if *held == content => Ok("{}".to_owned()),
            Some(_) => Err(Failure::Engine(DynoxideError::IdempotentParameterMismatchException(
                "The request uses the same client token as a previous, but non-identical request."
                    .to_owned(),
            ))),
            None => {
                let done = self.database.transact_write_items(request)?;
                tokens.seen.insert(token.clone(), content);
                tokens.by_age.push_back((now, token));
                answer(Ok(done))
            }
        }
    }

    /// An iterator never starts among trimmed records.
    fn get_shard_iterator(&self, body: &[u8]) -> Result<String, Failure> {
        let request: dynoxide::actions::get_shard_iterator::GetShardIteratorRequest = read(body)?;
        let oldest = request.shard_iterator_type == "TRIM_HORIZON";
        let mut response = self.database.get_shard_iterator(request)?;
        let decoded = response
            .shard_iterator
            .as_deref()
            .and_then(decode_shard_iterator);
        if let Some((table, shard, position)) = decoded {
            let horizon = self.horizon(&table);
            if position < horizon {
                if !oldest {
                    return Err(trimmed_access());
                }
                response.shard_iterator = Some(encode_shard_iterator(&table, &shard, horizon));
            }
        }
        answer(Ok(response))
    }

    fn get_records(&self, body: &[u8]) -> Result<String, Failure> {
        let request: dynoxide::actions::get_records::GetRecordsRequest = read(body)?;
        let decoded = decode_shard_iterator(&request.shard_iterator);
        if let Some((table, _, position)) = decoded
            && position < self.horizon(&table)
        {
            return Err(trimmed_access());
        }
        let mut response = self.database.get_records(request)?;
        let mut by_service = false;
        for record in &mut response.records {
            // dynoxide draws event ids at random, which would make seeded runs differ.
            record.event_id = format!("{:x}", md5::compute(&record.dynamodb.sequence_number));
            record.aws_region = crate::REGION.to_owned();
            by_service |= record.user_identity.is_some();
        }
        if !by_service {
            return answer(Ok(response));
        }
        // The streams API capitalises what Lambda events do not: {PrincipalId, Type}.
        let mut document = serde_json::to_value(&response)
            .map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        for record in document["Records"].as_array_mut().into_iter().flatten() {
            if let Some(identity) = record.get("userIdentity").cloned() {
                record["userIdentity"] =
                    json!({ "Type": identity["type"], "PrincipalId": identity["principalId"] });
            }
        }
        Ok(document.to_string())
    }

    fn horizon(&self, table: &str) -> i64 {
        let trimmed = self.trimmed.lock().unwrap_or_else(PoisonError::into_inner);
        trimmed.get(table).copied().unwrap_or(0)
    }
}

/// The tokens of the last ten minutes, with a hash of what each was used for.
#[derive(Default)]
struct Tokens {
    seen: HashMap<String, u64>,
    by_age: VecDeque<(i64, String)>,
}

impl Tokens {
    fn forget(&mut self, before: i64) {
        while self.by_age.front().is_some_and(|(at, _)| *at <= before) {
            if let Some((_, token)) = self.by_age.pop_front() {
                self.seen.remove(&token);
            }
        }
    }
}

/// Equal for documents of equal content, in whatever order their keys come.
fn fingerprint(document: &Value) -> u64 {
    fn walk(value: &Value, hasher: &mut DefaultHasher) {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                entries.len().hash(hasher);
                for (key, value) in entries {
                    key.hash(hasher);
                    walk(value, hasher);
                }
            }
            Value::Array(list) => {
                list.len().hash(hasher);
                list.iter().for_each(|value| walk(value, hasher));
            }
            leaf => leaf.to_string().hash(hasher),
        }
    }
    let mut hasher = DefaultHasher::new();
    walk(document, &mut hasher);
    hasher.finish()
}

/// Why a call was not answered with a result: the engine refused, or the connector did.
enum Failure {
    Engine(DynoxideError),
    Answered(AwsError),
}

impl From<DynoxideError> for Failure {
    fn from(error: DynoxideError) -> Self {
        Self::Engine(error)
    }
}

fn trimmed_access() -> Failure {
    Failure::Answered(AwsError::dynamodb(
        "TrimmedDataAccessException",
        "The operation attempted to read past the oldest stream record in a shard.",
    ))
}

fn route(target: &str) -> Option<(Service, &str)> {
    let (prefix, operation) = target.split_once('.')?;
    let service = match prefix {
        "DynamoDB_20120810" => Service::DynamoDb,
        "DynamoDBStreams_20120810" => Service::Streams,
        "AmazonSQS" => Service::Sqs,
        _ => return None,
    };
    Some((service, operation))
}

fn reports_capacity(operation: &str) -> bool {
    matches!(
        operation,
        "PutItem"
            | "GetItem"
            | "DeleteItem"
            | "UpdateItem"
            | "Query"
            | "Scan"
            | "BatchGetItem"
            | "BatchWriteItem"
            | "TransactWriteItems"
            | "TransactGetItems"
    )
}

fn grows_stream(operation: &str) -> bool {
    matches!(
        operation,
        "PutItem" | "DeleteItem" | "UpdateItem" | "BatchWriteItem" | "TransactWriteItems"
    )
}

fn body_of(request: &Value) -> Vec<u8> {
    request.to_string().into_bytes()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| refusal(&error.to_string()))
}

/// dynoxide marks the class of an error in front of serde's message; without the mark it is the
/// difference between a missing or empty value and a malformed one.
fn refusal(message: &str) -> DynoxideError {
    let without_position = |text: &str| match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text.to_owned(),
    };
    if let Some(text) = message.strip_prefix("SERIALIZATION_AS_READ:") {
        return DynoxideError::SerializationException(text.to_owned());
    }
    if let Some(text) = message.strip_prefix("VALIDATION_AS_READ:") {
        return DynoxideError::ValidationException(text.to_owned());
    }
    if let Some(text) = message.strip_prefix("SERIALIZATION:") {
        return DynoxideError::SerializationException(without_position(text));
    }
    if let Some(text) = message.strip_prefix("VALIDATION_REQUEST:") {
        return DynoxideError::EnvelopedValidation(without_position(text));
    }
    if let Some(text) = message.strip_prefix("VALIDATION:") {
        return DynoxideError::ValidationException(without_position(text));
    }
    let of_content = ["missing field", "unknown variant", "invalid type: null"];
    if of_content.iter().any(|mark| message.contains(mark)) {
        return DynoxideError::ValidationException(message.to_owned());
    }
    if message.contains("empty AttributeValue") || message.contains("Supplied AttributeValue") {
        return DynoxideError::ValidationException(without_position(message));
    }
    DynoxideError::SerializationException(without_position(message))
}

/// Item writes wrap errors of request validation; every other operation reports them bare.
fn enveloped(operation: &str, error: DynoxideError) -> DynoxideError {
    match error {
        DynoxideError::EnvelopedValidation(message)
            if matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem") =>
        {
            DynoxideError::ValidationException(format!("1 validation error detected: {message}"))
        }
        other => other,
    }
}

fn answer<T: serde::Serialize>(result: Result<T, DynoxideError>) -> Result<String, Failure> {
    let text = serde_json::to_string(&result?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
    Ok(text)
}

fn response(outcome: Result<String, AwsError>) -> HttpResponse {
    let (status, body, query_error) = match outcome {
        Ok(body) => (200, body, None),
        Err(error) => (error.status, error.body.to_string(), error.query_error),
    };
    let status = StatusCode::try_from(status)
        .unwrap_or_else(|_| StatusCode::try_from(500).expect("500 is a status"));
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    let headers = response.headers_mut();
    headers.insert("content-type", "application/x-amz-json-1.0");
    if let Some(query_error) = query_error {
        headers.insert("x-amzn-query-error", query_error);
    }
    response
}
