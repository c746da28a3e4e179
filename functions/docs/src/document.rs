//! The whole OpenAPI document: the parts that the functions describe, joined, with what they share.

use serde_json::{Map, Value, json};
use tributary::edge::{ALL_CODES, Code, ProblemBody};
use tributary::programs::model::Dialect;
use tributary::tracking::dialects::{DialectTable, FieldNames, dialects};
use utoipa::OpenApi;

/// What the parts share.
#[derive(OpenApi)]
#[openapi(components(schemas(ProblemBody<'static>)))]
struct Shared;

/// The functions' parts, in the order in which a reader meets their subjects.
#[must_use]
pub fn parts() -> Vec<(&'static str, utoipa::openapi::OpenApi)> {
    vec![
        ("programs", programs::openapi()),
        ("partners", partners::openapi()),
        ("applications", applications::openapi()),
        ("click", click::openapi()),
        ("postback", postback::openapi()),
        ("conversions", conversions::openapi()),
        ("payouts", payouts::openapi()),
        ("claims", claims::openapi()),
        ("deals", deals::openapi()),
        ("disputes", disputes::openapi()),
        ("imports", imports::openapi()),
        ("leads", leads::openapi()),
        ("reports", reports::openapi()),
        ("operators", operators::openapi()),
        ("docs", crate::openapi()),
    ]
}

/// The whole document.
#[must_use]
pub fn whole() -> Value {
    let mut document = value(&Shared::openapi());
    for (_, part) in parts() {
        join(&mut document, value(&part));
    }
    describe(&mut document);
    for (path, item) in object(&mut document["paths"]) {
        for (method, operation) in object(item) {
            complete(path, method, operation);
        }
    }
    document
}

fn value(part: &utoipa::openapi::OpenApi) -> Value {
    serde_json::to_value(part).expect("an OpenAPI document has a JSON form")
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made an object above")
}

/// Adds a part's paths, schemas and tags; what is there already stays.
fn join(document: &mut Value, mut part: Value) {
    for (path, item) in std::mem::take(object(&mut part["paths"])) {
        let known = object(
            object(&mut document["paths"])
                .entry(path)
                .or_insert(Value::Null),
        );
        let Value::Object(item) = item else { continue };
        for (method, operation) in item {
            known.entry(method).or_insert(operation);
        }
    }
    let schemas = std::mem::take(object(&mut part["components"]["schemas"]));
    let known = object(&mut object(&mut document["components"])["schemas"]);
    for (name, schema) in schemas {
        known.entry(name).or_insert(schema);
    }
    let Value::Array(tags) = part["tags"].take() else {
        return;
    };
    if !document["tags"].is_array() {
        document["tags"] = json!([]);
    }
    if let Value::Array(known) = &mut document["tags"] {
        known.extend(tags);
    }
}

const ABOUT: &str = "\
Partner relationship management: programs and their commission plans, partners with links and coupons, \
clicks and conversions, a double-entry ledger, payouts.

Bodies are JSON. Amounts and rates are decimal strings, an amount always beside its `currency`. Times are \
RFC 3339 in UTC. Unknown fields are refused. Lists are `{items, next_cursor}`; pass `next_cursor` on as \
`cursor` for the next page. A change of a record states the version it is based on: send the `ETag` that was \
read as `If-Match`. Whatever changes something may carry an `Idempotency-Key` of at most 64 characters: a repeat within \
30 days is answered as the first time, without secrets, and takes no second effect.

Whatever goes wrong is answered with `application/problem+json` (RFC 9457) and one of the documented codes, \
every wrong field at once.";

fn describe(document: &mut Value) {
    document["info"] = json!({
        "title": "Tributary",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/", "description": "This installation"}]);
    document["components"]["securitySchemes"] = json!({
        "operator_key": {
            "type": "http", "scheme": "bearer",
            "description": "An operator's API key, with the scopes it was given",
        },
        "partner_key": {
            "type": "http", "scheme": "bearer",
            "description": "A partner's API key: reads that partner's own records",
        },
        "postback_token": {
            "type": "apiKey", "in": "header", "name": "X-Postback-Token",
            "description": "The program's postback token, in this header or in the query or body under the dialect's name",
        },
        "postback_signature": {
            "type": "apiKey", "in": "header", "name": "webhook-signature",
            "description": "Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature` by the program's signing secret",
        },
    });
    document["x-problem-codes"] = ALL_CODES.iter().map(problem_code).collect();
    document["x-postback-dialects"] = dialects().iter().map(dialect).collect();
}

fn problem_code(code: &Code) -> Value {
    let Code {
        name,
        status,
        meaning,
    } = *code;
    json!({"code": name, "status": status, "meaning": meaning})
}

fn dialect(table: &DialectTable) -> Value {
    let DialectTable {
        dialect,
        name,
        title,
        tokens,
        fields,
        statuses,
        note,
    } = *table;
    json!({
        "name": name,
        "title": title,
        "default": dialect == Dialect::Native,
        "tokens": tokens,
        "fields": fields
            .iter()
            .map(|FieldNames { ours, theirs }| json!({"ours": ours, "theirs": theirs}))
            .collect::<Vec<_>>(),
        "statuses": statuses
            .iter()
            .map(|(theirs, ours)| json!({"theirs": theirs, "ours": ours}))
            .collect::<Vec<_>>(),
        "note": note,
    })
}

/// Gives an operation its unique id and the answer that all share.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let words: Vec<&str> = path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && *word != "v1")
        .collect();
    operation["operationId"] = json!(format!("{method}_{}", words.join("_")));
    let responses = object(&mut operation["responses"]);
    responses.entry("default").or_insert_with(|| {
        json!({
            "description": "A problem, with one of the documented codes",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        })
    });
}
