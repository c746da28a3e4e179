//! The MD5 fields of SQS, by which clients check what they sent and received.

use serde_json::{Map, Value};

/// MD5 of a message body, in hex.
pub fn body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// MD5 of message attributes as the SQS developer guide defines it: sorted by name, every part with its
/// length in four big-endian bytes, and one byte for the transport type.
/// `None` when there are no attributes.
pub fn attributes(attributes: &Map<String, Value>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    let mut bytes = Vec::new();
    let mut part = |part: &[u8], transport: Option<u8>, with_length: bool| {
        if let Some(transport) = transport {
            bytes.push(transport);
        }
        if with_length {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
    };
    for (name, value) in sorted {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        part(name.as_bytes(), None, true);
        part(text("DataType").unwrap_or_default().as_bytes(), None, true);
        if let Some(string) = text("StringValue") {
            part(string.as_bytes(), Some(1), true);
        } else if let Some(binary) = text("BinaryValue") {
            let decoded = base64_decode(binary).unwrap_or_default();
            part(&decoded, Some(2), true);
        }
    }
    Some(format!("{:x}", md5::compute(bytes)))
}

/// Decodes the base64 of a binary attribute, `None` when it is malformed.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    aws_smithy_types::base64::decode(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_has_the_digest_aws_documents() {
        // From the SendMessage example of the SQS API reference.
        assert_eq!(
            body("This is a test message"),
            "fafb00f5732ab283681e124bf8747ed1"
        );
    }

    #[test]
    fn attributes_have_the_digest_sqs_answers_with() {
        let given = json!({
            "timestamp": { "DataType": "Number", "StringValue": "1493147359900" },
        });
        let digest = attributes(given.as_object().unwrap());
        assert_eq!(digest.as_deref(), Some("235c5c510d26fb653d073faed50ae77c"));
        assert_eq!(attributes(&Map::new()), None);
    }
}
