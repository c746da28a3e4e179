//! Partial batch responses: which records of a batch a function reports as failed.

use serde_json::Value;

/// What a response says about a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record was dealt with.
    Success,
    /// The records at these places failed; never empty.
    Failed(Vec<usize>),
    /// The response cannot be trusted, so every record counts as failed.
    Whole(String),
}

/// Reads a response. Without `ReportBatchItemFailures`, any response is a success. An empty or absent list
/// is one, too; an empty, absent or unknown identifier fails the whole batch, as Lambda documents it.
pub fn read(reports_failures: bool, response: &Value, ids: &[&str]) -> Verdict {
    if !reports_failures {
        return Verdict::Success;
    }
    let failures = match response {
        Value::Null => return Verdict::Success,
        Value::Object(map) => match map.get("batchItemFailures") {
            None | Some(Value::Null) => return Verdict::Success,
            Some(Value::Array(failures)) => failures,
            Some(_) => return Verdict::Whole("batchItemFailures is no list".to_owned()),
        },
        _ => return Verdict::Whole("the response is no object".to_owned()),
    };
    let mut failed = Vec::new();
    for failure in failures {
        let id = failure
            .get("itemIdentifier")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if id.is_empty() {
            return Verdict::Whole("an itemIdentifier is empty or absent".to_owned());
        }
        match ids.iter().position(|known| *known == id) {
            Some(at) => failed.push(at),
            None => return Verdict::Whole(format!("the itemIdentifier {id} is unknown")),
        }
    }
    failed.sort_unstable();
    failed.dedup();
    if failed.is_empty() {
        Verdict::Success
    } else {
        Verdict::Failed(failed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(response: Value, expected: Verdict) {
        assert_eq!(
            read(true, &response, &["a", "b", "c"]),
            expected,
            "{response}"
        );
    }

    fn whole(response: Value) {
        let verdict = read(true, &response, &["a", "b", "c"]);
        assert!(
            matches!(verdict, Verdict::Whole(_)),
            "{response}: {verdict:?}"
        );
    }

    #[test]
    fn nothing_reported_is_a_success() {
        check(Value::Null, Verdict::Success);
        check(json!({}), Verdict::Success);
        check(json!({ "batchItemFailures": null }), Verdict::Success);
        check(json!({ "batchItemFailures": [] }), Verdict::Success);
    }

    #[test]
    fn known_identifiers_fail_their_records_only() {
        let response = json!({ "batchItemFailures": [
            { "itemIdentifier": "c" }, { "itemIdentifier": "a" }, { "itemIdentifier": "c" },
        ]});
        check(response, Verdict::Failed(vec![0, 2]));
    }

    #[test]
    fn unknown_empty_and_malformed_identifiers_fail_the_whole_batch() {
        let of = |id: Value| json!({ "batchItemFailures": [{ "itemIdentifier": id }] });
        whole(of(json!("d")));
        whole(of(json!("")));
        whole(of(Value::Null));
        whole(json!({ "batchItemFailures": [{ "itemId": "a" }] }));
        whole(json!({ "batchItemFailures": "a" }));
        whole(json!("a"));
    }

    #[test]
    fn a_function_that_does_not_report_succeeds_whatever_it_says() {
        assert_eq!(read(false, &json!("done"), &["a"]), Verdict::Success);
    }
}
