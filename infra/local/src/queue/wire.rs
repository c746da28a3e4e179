//! The SQS JSON protocol: reading requests, checking them against the documented limits, error shapes.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{MAX_BATCH_ENTRIES, MAX_MESSAGE_BYTES, MAX_VISIBILITY_SECONDS, digest};

/// An error as SQS answers it. Both spellings matter: newer clients read `kind` from the body, and the
/// query-compatible ones read `code` from the `x-amzn-query-error` header.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SqsError {
    /// HTTP status.
    pub status: u16,
    /// The JSON protocol's name, with its namespace.
    pub kind: &'static str,
    /// The query protocol's name.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl SqsError {
    fn new(kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind,
            code,
            message: message.into(),
        }
    }

    /// The value of the `x-amzn-query-error` header.
    pub fn query_error(&self) -> String {
        let party = if self.status >= 500 {
            "Receiver"
        } else {
            "Sender"
        };
        format!("{};{party}", self.code)
    }

    /// The response body.
    pub fn body(&self) -> Value {
        json!({ "__type": self.kind, "message": self.message })
    }

    /// The same as a failed entry of a batch.
    pub(super) fn entry(&self, id: &str) -> Value {
        json!({
            "Id": id, "SenderFault": self.status < 500, "Code": self.code, "Message": self.message,
        })
    }

    pub(super) fn no_such_queue() -> Self {
        Self::new(
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    }

    pub(super) fn queue_name_exists() -> Self {
        Self::new(
            "com.amazonaws.sqs#QueueNameExists",
            "QueueAlreadyExists",
            "A queue already exists with the same name and a different value for an attribute.",
        )
    }

    pub(super) fn not_in_flight() -> Self {
        Self::new(
            "com.amazonaws.sqs#MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "The message is not in flight.",
        )
    }

    pub(super) fn invalid_handle() -> Self {
        Self::new(
            "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            "The input receipt handle is invalid.",
        )
    }

    pub(super) fn invalid_contents() -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidMessageContents",
            "InvalidMessageContents",
            "The message contains characters outside the allowed set.",
        )
    }

    pub(super) fn invalid_attribute_name(name: &str) -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidAttributeName",
            "InvalidAttributeName",
            format!("Unknown Attribute {name}."),
        )
    }

    fn invalid_attribute_value(name: &str) -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidAttributeValue",
            "InvalidAttributeValue",
            format!("Invalid value for the parameter {name}."),
        )
    }

    pub(super) fn invalid_parameter(name: &str, reason: &str) -> Self {
        Self::new(
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue",
            format!("Value for parameter {name} is invalid. Reason: {reason}."),
        )
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(
            "com.amazon.coral.service#MissingRequiredParameterException",
            "MissingParameter",
            format!("The request must contain the parameter {name}."),
        )
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(
            "com.amazonaws.sqs#UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
            message,
        )
    }

    pub(super) fn batch_too_long(bytes: i64) -> Self {
        Self::new(
            "com.amazonaws.sqs#BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {bytes} bytes."
            ),
        )
    }
}

impl From<rusqlite::Error> for SqsError {
    fn from(error: rusqlite::Error) -> Self {
        Self {
            status: 500,
            kind: "com.amazon.coral.service#InternalFailure",
            code: "InternalFailure",
            message: format!("The queue database failed: {error}"),
        }
    }
}

/// A message to be stored.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub body: String,
    pub attributes: Map<String, Value>,
    pub system: Map<String, Value>,
    pub delay_seconds: i64,
}

impl Outgoing {
    pub fn read(request: &Value, default_delay: i64) -> Result<Self, SqsError> {
        let body = required(request, "MessageBody")?;
        if body.is_empty() {
            return Err(SqsError::missing("MessageBody"));
        }
        if !body.chars().all(is_allowed) {
            return Err(SqsError::invalid_contents());
        }
        if request
            .get("MessageDeduplicationId")
            .is_some_and(|id| !id.is_null())
        {
            return Err(SqsError::invalid_parameter(
                "MessageDeduplicationId",
                "The request includes a parameter that is not valid for this queue type",
            ));
        }
        let attributes = object(request.get("MessageAttributes"));
        check_message_attributes(&attributes)?;
        Ok(Self {
            body: body.to_owned(),
            attributes,
            system: object(request.get("MessageSystemAttributes")),
            delay_seconds: bounded(request, "DelaySeconds", 0, 900)?.unwrap_or(default_delay),
        })
    }

    /// Bytes of body and attributes: names, types and values count.
    pub fn size(&self) -> i64 {
        let length = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, str::len);
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, value)| {
                let binary = value.get("BinaryValue").and_then(Value::as_str);
                name.len()
                    + length(value.get("DataType"))
                    + length(value.get("StringValue"))
                    + binary
                        .and_then(digest::base64_decode)
                        .map_or(0, |bytes| bytes.len())
            })
            .sum();
        i64::try_from(self.body.len() + attributes).unwrap_or(i64::MAX)
    }

    pub fn check_size(&self, most: i64) -> Result<(), SqsError> {
        if self.size() <= most {
            return Ok(());
        }
        Err(SqsError::invalid_parameter(
            "MessageBody",
            &format!("Message must be shorter than {most} bytes"),
        ))
    }

    /// What the sender gets back.
    pub fn receipt(&self, id: &str) -> Value {
        let mut receipt = json!({ "MessageId": id, "MD5OfMessageBody": digest::body(&self.body) });
        if let Some(digest) = digest::attributes(&self.attributes) {
            receipt["MD5OfMessageAttributes"] = digest.into();
        }
        if let Some(digest) = digest::attributes(&self.system) {
            receipt["MD5OfMessageSystemAttributes"] = digest.into();
        }
        receipt
    }
}

/// A request to receive.
pub(super) struct Receive {
    pub most: usize,
    pub wait_seconds: Option<i64>,
    pub visibility_seconds: Option<i64>,
    system: Vec<String>,
    attributes: Vec<String>,
}

impl Receive {
    pub fn read(request: &Value) -> Result<Self, SqsError> {
        let most = bounded(request, "MaxNumberOfMessages", 1, 10)?.unwrap_or(1);
        let mut system = strings(request.get("MessageSystemAttributeNames"));
        system.extend(strings(request.get("AttributeNames")));
        Ok(Self {
            most: usize::try_from(most).unwrap_or(1),
            wait_seconds: bounded(request, "WaitTimeSeconds", 0, 20)?,
            visibility_seconds: bounded(request, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)?,
            system,
            attributes: strings(request.get("MessageAttributeNames")),
        })
    }

    pub fn wants_system(&self, name: &str) -> bool {
        self.system
            .iter()
            .any(|asked| asked == "All" || asked == name)
    }

    pub fn wants_attribute(&self, name: &str) -> bool {
        self.attributes
            .iter()
            .any(|asked| match asked.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => asked == "All" || asked == name,
            })
    }
}

/// What a receipt handle stands for: one reception of one message.
pub(super) struct Handle {
    pub row: i64,
    pub reception: i64,
}

pub(super) fn receipt_handle(queue: &str, row: i64, reception: i64) -> String {
    aws_smithy_types::base64::encode(format!("{queue}/{row}/{reception}"))
}

pub(super) fn read_handle(queue: &str, handle: &str) -> Result<Handle, SqsError> {
    let read = || {
        let text = String::from_utf8(digest::base64_decode(handle)?).ok()?;
        let mut parts = text.split('/');
        let (name, row, reception) = (parts.next()?, parts.next()?, parts.next()?);
        (name == queue && parts.next().is_none()).then_some(Handle {
            row: row.parse().ok()?,
            reception: reception.parse().ok()?,
        })
    };
    read().ok_or_else(SqsError::invalid_handle)
}

/// The entries of a batch request with their ids, once the batch as a whole is in order.
pub(super) fn entries(request: &Value) -> Result<Vec<(&str, &Value)>, SqsError> {
    let entries = request
        .get("Entries")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if entries.is_empty() {
        return Err(SqsError::new(
            "com.amazonaws.sqs#EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ));
    }
    if entries.len() > MAX_BATCH_ENTRIES {
        return Err(SqsError::new(
            "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are {MAX_BATCH_ENTRIES}."),
        ));
    }
    let mut seen = HashSet::new();
    entries
        .iter()
        .map(|entry| {
            let id = entry.get("Id").and_then(Value::as_str).unwrap_or_default();
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if id.is_empty() || id.len() > 80 || !id.chars().all(legal) {
                return Err(SqsError::new(
                    "com.amazonaws.sqs#InvalidBatchEntryId",
                    "AWS.SimpleQueueService.InvalidBatchEntryId",
                    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
                ));
            }
            if !seen.insert(id) {
                return Err(SqsError::new(
                    "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                    "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                    format!("Id {id} repeated."),
                ));
            }
            Ok((id, entry))
        })
        .collect()
}

pub(super) fn required<'a>(request: &'a Value, name: &str) -> Result<&'a str, SqsError> {
    request
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| SqsError::missing(name))
}

/// An optional integer within its limits.
pub(super) fn bounded(
    request: &Value,
    name: &str,
    least: i64,
    most: i64,
) -> Result<Option<i64>, SqsError> {
    let Some(value) = request.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    integer(value)
        .filter(|number| (least..=most).contains(number))
        .map(Some)
        .ok_or_else(|| {
            SqsError::invalid_parameter(name, &format!("Must be >= {least} and <= {most}"))
        })
}

/// An integer, also when it is written as a string.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    list.iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// As a column: absent when empty.
pub(super) fn stored(map: &Map<String, Value>) -> Option<String> {
    (!map.is_empty()).then(|| Value::Object(map.clone()).to_string())
}

/// From a column.
pub(super) fn restored(column: Option<String>) -> Map<String, Value> {
    column
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// The characters XML 1.0 allows, and so SQS.
fn is_allowed(c: char) -> bool {
    matches!(c, '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn check_message_attributes(attributes: &Map<String, Value>) -> Result<(), SqsError> {
    if attributes.len() > 10 {
        return Err(SqsError::invalid_parameter(
            "MessageAttributes",
            "Number of message attributes exceeds the allowed maximum [10]",
        ));
    }
    for (name, value) in attributes {
        let kind = value
            .get("DataType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let base = kind.split('.').next().unwrap_or_default();
        let filled = match base {
            "String" | "Number" => value.get("StringValue"),
            "Binary" => value.get("BinaryValue"),
            _ => None,
        };
        if filled.and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(SqsError::invalid_parameter(
                name,
                "The message attribute must have a valid type and a non-empty value of that type",
            ));
        }
    }
    Ok(())
}

pub(super) fn check_queue_name(name: &str) -> Result<(), SqsError> {
    if name.ends_with(".fifo") {
        return Err(SqsError::unsupported(
            "FIFO queues are not part of the embedded SQS",
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 80 || !name.chars().all(legal) {
        return Err(SqsError::invalid_parameter(
            "QueueName",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

/// Settable attributes with default and limits; `None` for those that are text.
type Setting = (&'static str, Option<(&'static str, i64, i64)>);

const SETTINGS: &[Setting] = &[
    ("VisibilityTimeout", Some(("30", 0, MAX_VISIBILITY_SECONDS))),
    ("MessageRetentionPeriod", Some(("345600", 60, 1_209_600))),
    ("ReceiveMessageWaitTimeSeconds", Some(("0", 0, 20))),
    ("DelaySeconds", Some(("0", 0, 900))),
    (
        "MaximumMessageSize",
        Some(("1048576", 1024, MAX_MESSAGE_BYTES)),
    ),
    ("RedrivePolicy", None),
    ("RedriveAllowPolicy", None),
    ("SqsManagedSseEnabled", None),
    ("KmsMasterKeyId", None),
    ("KmsDataKeyReusePeriodSeconds", None),
    ("Policy", None),
];

const READ_ONLY: &[&str] = &[
    "All",
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
];

pub(super) fn is_attribute(name: &str) -> bool {
    READ_ONLY.contains(&name) || SETTINGS.iter().any(|(known, _)| *known == name)
}

pub(super) fn default_attributes() -> Map<String, Value> {
    SETTINGS
        .iter()
        .filter_map(|(name, limits)| limits.map(|(default, ..)| (*name, default)))
        .map(|(name, default)| (name.to_owned(), default.into()))
        .collect()
}

/// Reads the attributes of CreateQueue and SetQueueAttributes: strings, checked against their limits.
pub(super) fn attributes(value: Option<&Value>) -> Result<Map<String, Value>, SqsError> {
    let given = object(value);
    for (name, value) in &given {
        let text = value
            .as_str()
            .ok_or_else(|| SqsError::invalid_attribute_value(name))?;
        let (_, limits) = SETTINGS
            .iter()
            .find(|(known, _)| known == name)
            .ok_or_else(|| SqsError::invalid_attribute_name(name))?;
        let legal = match limits {
            Some((_, least, most)) => text
                .parse::<i64>()
                .is_ok_and(|number| (*least..=*most).contains(&number)),
            None if name == "RedrivePolicy" && !text.is_empty() => is_redrive_policy(text),
            None => true,
        };
        if !legal {
            return Err(SqsError::invalid_attribute_value(name));
        }
    }
    Ok(given)
}

/// `maxReceiveCount` may be a number or a string, 1 to 1,000.
fn is_redrive_policy(text: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(text) else {
        return false;
    };
    policy
        .get("deadLetterTargetArn")
        .is_some_and(Value::is_string)
        && policy
            .get("maxReceiveCount")
            .and_then(integer)
            .is_some_and(|count| (1..=1000).contains(&count))
}

/// Whether two attribute values mean the same: JSON documents are compared by content.
pub(super) fn same_attribute(held: &Value, given: &Value) -> bool {
    let document = |value: &Value| {
        value
            .as_str()
            .and_then(|text| serde_json::from_str::<Value>(text).ok())
    };
    held == given || document(held).is_some_and(|held| Some(held) == document(given))
}
