//! Event patterns, as filter criteria of event sources use them.
//!
//! The part of EventBridge's language that is understood: exact values, `prefix`, `suffix`, `exists`,
//! `anything-but` (values, `prefix`, `suffix`), `equals-ignore-case`, `numeric` and `$or`. Anything else
//! is refused when the pattern is read, not passed over when it is matched.

use serde_json::{Map, Value};

/// A pattern that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event pattern is not understood at {at}: {reason}")]
pub struct PatternError {
    /// Where in the pattern.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// Checks that a pattern is one [`matches`] understands.
pub fn check(pattern: &Value) -> Result<(), PatternError> {
    match pattern {
        Value::Object(map) => check_object(map, ""),
        _ => Err(refused("the top", "a pattern is an object")),
    }
}

/// Whether an event has everything a pattern asks for.
pub fn matches(pattern: &Value, event: &Value) -> bool {
    let Some(pattern) = pattern.as_object() else {
        return false;
    };
    pattern
        .iter()
        .all(|(key, wanted)| match (key.as_str(), wanted) {
            ("$or", Value::Array(choices)) => choices.iter().any(|choice| matches(choice, event)),
            (key, Value::Object(_)) => match event.get(key) {
                Some(inner) => matches(wanted, inner),
                // An absent branch still satisfies patterns that only ask for absence.
                None => matches(wanted, &Value::Null),
            },
            (key, Value::Array(rules)) => rules.iter().any(|rule| holds(rule, event.get(key))),
            _ => false,
        })
}

/// Whether an event passes filter criteria: it matches one pattern, or there is none.
pub fn passes(patterns: &[Value], event: &Value) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, event))
}

fn holds(rule: &Value, value: Option<&Value>) -> bool {
    if let Some((operator, argument)) = operator(rule) {
        if operator == "exists" {
            return value.is_some() == (argument == true);
        }
        return match value {
            Some(Value::Array(items)) => items.iter().any(|item| compare(operator, argument, item)),
            Some(leaf) => compare(operator, argument, leaf),
            None => false,
        };
    }
    match value {
        Some(Value::Array(items)) => items.contains(rule),
        Some(leaf) => leaf == rule,
        None => false,
    }
}

fn compare(operator: &str, argument: &Value, value: &Value) -> bool {
    let text = value.as_str();
    let with = |test: fn(&str, &str) -> bool| {
        text.zip(argument.as_str())
            .is_some_and(|(text, argument)| test(text, argument))
    };
    match operator {
        "prefix" => with(|text, prefix| text.starts_with(prefix)),
        "suffix" => with(|text, suffix| text.ends_with(suffix)),
        "equals-ignore-case" => with(|text, other| text.eq_ignore_ascii_case(other)),
        "anything-but" => match argument {
            Value::Array(list) => !list.contains(value),
            Value::Object(_) => self::operator(argument)
                .is_some_and(|(operator, argument)| !compare(operator, argument, value)),
            leaf => leaf != value,
        },
        "numeric" => {
            let Some(number) = value.as_f64() else {
                return false;
            };
            let parts = argument.as_array().map_or(&[][..], Vec::as_slice);
            parts.chunks(2).all(|pair| {
                let [Value::String(sign), bound] = pair else {
                    return false;
                };
                let Some(bound) = bound.as_f64() else {
                    return false;
                };
                match sign.as_str() {
                    "=" => number == bound,
                    "<" => number < bound,
                    "<=" => number <= bound,
                    ">" => number > bound,
                    ">=" => number >= bound,
                    _ => false,
                }
            })
        }
        _ => false,
    }
}

fn operator(rule: &Value) -> Option<(&str, &Value)> {
    let map = rule.as_object().filter(|map| map.len() == 1)?;
    map.iter()
        .next()
        .map(|(name, argument)| (name.as_str(), argument))
}

fn check_object(map: &Map<String, Value>, at: &str) -> Result<(), PatternError> {
    for (key, value) in map {
        let at = format!("{at}/{key}");
        match value {
            Value::Array(choices) if key == "$or" => {
                for choice in choices {
                    let choice = choice
                        .as_object()
                        .ok_or_else(|| refused(&at, "a choice is an object"))?;
                    check_object(choice, &at)?;
                }
            }
            Value::Array(rules) if rules.is_empty() => {
                return Err(refused(&at, "an empty list matches nothing"));
            }
            Value::Array(rules) => rules.iter().try_for_each(|rule| check_rule(rule, &at))?,
            Value::Object(inner) => check_object(inner, &at)?,
            _ => return Err(refused(&at, "a leaf is a list of what is allowed")),
        }
    }
    Ok(())
}

fn check_rule(rule: &Value, at: &str) -> Result<(), PatternError> {
    const TEXT: &[&str] = &["prefix", "suffix", "equals-ignore-case"];
    if !rule.is_object() {
        return Ok(());
    }
    let (operator, argument) =
        operator(rule).ok_or_else(|| refused(at, "a rule has one operator"))?;
    let legal = match operator {
        operator if TEXT.contains(&operator) => argument.is_string(),
        "exists" => argument.is_boolean(),
        "numeric" => argument
            .as_array()
            .is_some_and(|parts| parts.len() % 2 == 0),
        "anything-but" => match argument {
            Value::Object(_) => {
                let inner = self::operator(argument);
                inner.is_some_and(|(name, text)| TEXT.contains(&name) && text.is_string())
            }
            other => !other.is_null(),
        },
        _ => false,
    };
    if legal {
        Ok(())
    } else {
        Err(refused(at, &format!("{rule} is not supported")))
    }
}

fn refused(at: &str, reason: &str) -> PatternError {
    PatternError {
        at: at.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Value {
        json!({
            "eventName": "INSERT",
            "dynamodb": {
                "Keys": { "pk": { "S": "CONV#1" }, "sk": { "S": "FACTS" } },
                "NewImage": { "count": 3 },
            },
        })
    }

    fn check_match(pattern: Value, expected: bool) {
        check(&pattern).unwrap();
        assert_eq!(matches(&pattern, &record()), expected, "{pattern}");
    }

    #[test]
    fn every_key_must_match_one_of_its_values() {
        check_match(json!({ "eventName": ["INSERT", "MODIFY"] }), true);
        check_match(json!({ "eventName": ["REMOVE"] }), false);
        let nested = |sk: &str| json!({ "eventName": ["INSERT"], "dynamodb": { "Keys": { "sk": { "S": [sk] } } } });
        check_match(nested("FACTS"), true);
        check_match(nested("OUTCOME"), false);
    }

    #[test]
    fn rules_compare_prefixes_presence_and_difference() {
        let pk = |rule: Value| json!({ "dynamodb": { "Keys": { "pk": { "S": [rule] } } } });
        check_match(pk(json!({ "prefix": "CONV#" })), true);
        check_match(pk(json!({ "prefix": "PTR#" })), false);
        check_match(pk(json!({ "suffix": "#1" })), true);
        check_match(pk(json!({ "anything-but": ["CONV#1"] })), false);
        check_match(pk(json!({ "anything-but": "CONV#2" })), true);
        check_match(pk(json!({ "anything-but": { "prefix": "PTR#" } })), true);
        check_match(pk(json!({ "exists": true })), true);
        check_match(
            json!({ "dynamodb": { "OldImage": { "x": [{ "exists": false }] } } }),
            true,
        );
        check_match(
            json!({ "dynamodb": { "NewImage": { "count": [{ "exists": false }] } } }),
            false,
        );
        check_match(
            json!({ "dynamodb": { "NewImage": { "count": [{ "numeric": [">", 2, "<=", 3] }] } } }),
            true,
        );
        check_match(
            json!({ "$or": [{ "eventName": ["REMOVE"] }, { "eventName": ["INSERT"] }] }),
            true,
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(check(&json!({ "eventName": "INSERT" })).is_err());
        assert!(check(&json!({ "eventName": [{ "wildcard": "a*" }] })).is_err());
        assert!(check(&json!({ "eventName": [] })).is_err());
    }

    #[test]
    fn without_patterns_everything_passes() {
        assert!(passes(&[], &record()));
        assert!(!passes(&[json!({ "eventName": ["REMOVE"] })], &record()));
    }
}
