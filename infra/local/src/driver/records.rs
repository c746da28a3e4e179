//! The events functions receive, as Lambda and EventBridge write them.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{AttributeValue, Record};
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::InvokeError;
use crate::template::{FunctionDef, ScheduleDef};
use crate::{ACCOUNT, REGION};

/// A stream record and what the driver needs to know of it.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// Its place in the shard.
    pub sequence: String,
    /// When it was written, in seconds since the epoch.
    pub arrived: i64,
    /// As the function receives it.
    pub event: Value,
}

/// A record of a table's stream.
pub fn stream_record(record: &Record, arn: &str) -> StreamRecord {
    let data = record.dynamodb();
    let sequence = data
        .and_then(|data| data.sequence_number())
        .unwrap_or_default()
        .to_owned();
    let arrived = data
        .and_then(|data| data.approximate_creation_date_time())
        .map_or(0, |time| time.secs());
    let mut change = Map::new();
    change.insert("ApproximateCreationDateTime".to_owned(), arrived.into());
    change.insert("SequenceNumber".to_owned(), sequence.clone().into());
    if let Some(data) = data {
        let images = [
            ("Keys", data.keys()),
            ("NewImage", data.new_image()),
            ("OldImage", data.old_image()),
        ];
        for (name, image) in images {
            if let Some(image) = image {
                change.insert(name.to_owned(), item(image));
            }
        }
        change.insert(
            "SizeBytes".to_owned(),
            data.size_bytes().unwrap_or_default().into(),
        );
        let view = data.stream_view_type().map(|view| view.as_str());
        change.insert("StreamViewType".to_owned(), view.into());
    }
    let mut event = json!({
        "eventID": record.event_id(),
        "eventName": record.event_name().map(|name| name.as_str()),
        "eventVersion": record.event_version(),
        "eventSource": "aws:dynamodb",
        "awsRegion": region_of(arn),
        "dynamodb": change,
        "eventSourceARN": arn,
    });
    if let Some(identity) = record.user_identity() {
        event["userIdentity"] =
            json!({ "type": identity.r#type(), "principalId": identity.principal_id() });
    }
    StreamRecord {
        sequence,
        arrived,
        event,
    }
}

/// A message of a queue.
pub fn message(message: &Message, arn: &str) -> Value {
    let mut attributes = Map::new();
    for (name, value) in message.attributes().into_iter().flatten() {
        attributes.insert(name.as_str().to_owned(), value.clone().into());
    }
    let mut own = Map::new();
    for (name, value) in message.message_attributes().into_iter().flatten() {
        own.insert(name.clone(), message_attribute(value));
    }
    let mut event = json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": own,
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region_of(arn),
    });
    if let Some(digest) = message.md5_of_message_attributes() {
        event["md5OfMessageAttributes"] = digest.into();
    }
    event
}

/// The event of a schedule, dated with the time it was due.
pub fn scheduled(def: &ScheduleDef, due: i64) -> Value {
    let digest = format!("{:x}", md5::compute(format!("{}/{due}", def.name)));
    let id = format!(
        "{}-{}-{}-{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[12..16],
        &digest[16..20],
        &digest[20..]
    );
    json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": time(due),
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{}", def.name)],
        "detail": {},
    })
}

/// The account of an asynchronous invocation that failed for good.
pub fn failed_invocation(
    function: &FunctionDef,
    event: Value,
    attempts: u32,
    failure: &InvokeError,
    now: i64,
) -> Value {
    json!({
        "version": "1.0",
        "timestamp": time(now),
        "requestContext": {
            "requestId": event.get("id").cloned().unwrap_or_default(),
            "functionArn": function_arn(function),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": response_context(),
        "responsePayload": { "errorMessage": failure.to_string() },
    })
}

/// The account of a stream batch that was given up. It names the records and does not contain them.
pub fn abandoned_batch(
    function: &FunctionDef,
    stream: &str,
    shard: &str,
    records: &[StreamRecord],
    attempts: u32,
    now: i64,
) -> Value {
    let (first, last) = (records.first(), records.last());
    let sequence = |record: Option<&StreamRecord>| record.map(|record| record.sequence.clone());
    let arrival = |record: Option<&StreamRecord>| record.map(|record| time(record.arrived * 1000));
    json!({
        "requestContext": {
            "requestId": sequence(first),
            "functionArn": function_arn(function),
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": attempts,
        },
        "responseContext": response_context(),
        "version": "1.0",
        "timestamp": time(now),
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": sequence(first),
            "endSequenceNumber": sequence(last),
            "approximateArrivalOfFirstRecord": arrival(first),
            "approximateArrivalOfLastRecord": arrival(last),
            "batchSize": records.len(),
            "streamArn": stream,
        },
    })
}

fn response_context() -> Value {
    json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" })
}

fn function_arn(function: &FunctionDef) -> String {
    format!(
        "arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}",
        function.name
    )
}

fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or(REGION)
}

/// RFC 3339, without a fraction when there is none.
fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}

fn item(item: &HashMap<String, AttributeValue>) -> Value {
    item.iter()
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect::<Map<_, _>>()
        .into()
}

fn attribute(value: &AttributeValue) -> Value {
    let base64 = |blob: &aws_smithy_types::Blob| aws_smithy_types::base64::encode(blob);
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::B(blob) => json!({ "B": base64(blob) }),
        AttributeValue::M(map) => json!({ "M": item(map) }),
        AttributeValue::L(list) => json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::Ss(set) => json!({ "SS": set }),
        AttributeValue::Ns(set) => json!({ "NS": set }),
        AttributeValue::Bs(set) => json!({ "BS": set.iter().map(base64).collect::<Vec<_>>() }),
        _ => Value::Null,
    }
}

fn message_attribute(value: &MessageAttributeValue) -> Value {
    let mut attribute = json!({
        "stringListValues": [], "binaryListValues": [], "dataType": value.data_type(),
    });
    if let Some(text) = value.string_value() {
        attribute["stringValue"] = text.into();
    }
    if let Some(blob) = value.binary_value() {
        attribute["binaryValue"] = aws_smithy_types::base64::encode(blob).into();
    }
    attribute
}
