//! Who posts a conversion: a program's token, a signature over the body, or an operator.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::dialects;
use super::posting::Posts;
use crate::clock::Timestamp;
use crate::edge::{App, Operator, Problem, Query, codes, hash_secret, parse_json, read_limited};
use crate::ids::{OperatorId, ProgramId};
use crate::operators::model::Scope;
use crate::programs;
use crate::programs::model::{Dialect, Program};

/// Seconds that a webhook's timestamp may be away, either way (Standard Webhooks).
const TOLERANCE_SECONDS: u64 = 300;
/// Signatures that one request may carry: one for each secret of a rotation, and some.
const MAX_SIGNATURES: usize = 8;
const TOKEN_HEADER: &str = "x-postback-token";
const API_KEY_PREFIX: &str = "tbk_";

/// Who posted, once that is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostbackSource {
    /// Whoever has the program's token.
    Token,
    /// Whoever has one of its signing secrets; the body is as it was signed.
    Signature,
    /// A person of the vendor, for whom no event is too old.
    Operator(OperatorId),
}

impl PostbackSource {
    /// Whether events of any age are taken.
    #[must_use]
    pub fn any_age(self) -> bool {
        matches!(self, Self::Operator(_))
    }
}

/// An authentic postback, not yet read: an extractor.
#[derive(Clone, Debug)]
pub struct Postback {
    /// The program it was posted to.
    pub program: Arc<Program>,
    /// Who posted it.
    pub source: PostbackSource,
    /// What was posted.
    pub posts: Posts,
}

impl FromRequest<App> for Postback {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let unknown = || Problem::not_found("program");
        let Path(id) = Path::<String>::from_request_parts(&mut parts, app)
            .await
            .map_err(|_| unknown())?;
        let id: ProgramId = id.parse().map_err(|_| unknown())?;
        let program = programs::program(app, id).await?.ok_or_else(unknown)?;
        let body = read_limited(Request::from_parts(parts.clone(), body)).await?;
        let query = parts.uri.query().unwrap_or_default().to_owned();
        if let Some(operator) = operator(&mut parts, app).await? {
            let (posts, _) = posts(program.dialect, &query, &parts.headers, &body)?;
            let source = PostbackSource::Operator(operator);
            return Ok(Self {
                program,
                source,
                posts,
            });
        }
        if parts.headers.contains_key("webhook-signature") {
            let keys = programs::signing_keys(app, &program, app.now())
                .map_err(|error| Problem::internal(&error))?;
            verify(&keys, &parts.headers, &body, app.now())?;
            // The signature does not cover the query.
            if !query.is_empty() {
                return Err(Problem::new(
                    codes::FACTS_IN_QUERY,
                    codes::FACTS_IN_QUERY.meaning,
                ));
            }
            let (posts, _) = posts(program.dialect, "", &parts.headers, &body)?;
            return Ok(Self {
                program,
                source: PostbackSource::Signature,
                posts,
            });
        }
        let (posts, posted) = posts(program.dialect, &query, &parts.headers, &body)?;
        let token = header_token(&parts.headers).or(posted.as_deref());
        if !token.is_some_and(|token| is_token_of(&program, token, app.now())) {
            return Err(Problem::new(
                codes::TOKEN_INVALID,
                "send the program's postback token in X-Postback-Token, or as the parameter its dialect names; or sign the body",
            ));
        }
        Ok(Self {
            program,
            source: PostbackSource::Token,
            posts,
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn header_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(TOKEN_HEADER)
        .and_then(|value| value.to_str().ok())
        .or_else(|| bearer(headers))
}

/// The operator whose key the request carries; a key without the scope for posting is refused.
async fn operator(parts: &mut Parts, app: &App) -> Result<Option<OperatorId>, Problem> {
    if !bearer(&parts.headers).is_some_and(|token| token.starts_with(API_KEY_PREFIX)) {
        return Ok(None);
    }
    let operator = Operator::from_request_parts(parts, app).await?;
    operator.demand(&[Scope::Channel, Scope::Finance])?;
    Ok(Some(operator.id))
}

/// Whether that is a token of the program that has not expired. All are compared, each in constant time.
fn is_token_of(program: &Program, token: &str, now: Timestamp) -> bool {
    let hash = hash_secret(token);
    program
        .tokens
        .iter()
        .filter(|record| record.expires_at.is_none_or(|at| now < at))
        .fold(false, |found, record| {
            found | bool::from(record.hash.as_bytes().ct_eq(hash.as_bytes()))
        })
}

/// Verifies a signature after Standard Webhooks: HMAC-SHA-256 over `id.timestamp.body`, by any of the keys.
///
/// # Errors
/// `signature_stale`, `signature_invalid`.
fn verify(
    keys: &[Vec<u8>],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Problem> {
    let invalid = || Problem::new(codes::SIGNATURE_INVALID, codes::SIGNATURE_INVALID.meaning);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let wrong = |reason: String| Problem::new(codes::SIGNATURE_INVALID, reason);
    let sent =
        |name: &str| text(name).ok_or_else(|| wrong(format!("the header {name} is missing")));
    let id = sent("webhook-id")?;
    let timestamp = sent("webhook-timestamp")?;
    let signatures = sent("webhook-signature")?;
    let seconds: i64 = timestamp.parse().map_err(|_| {
        wrong("the header webhook-timestamp is not a number of seconds since 1970".to_owned())
    })?;
    if now.as_second().abs_diff(seconds) > TOLERANCE_SECONDS {
        return Err(Problem::new(
            codes::SIGNATURE_STALE,
            codes::SIGNATURE_STALE.meaning,
        ));
    }
    let given: Vec<Vec<u8>> = signatures
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .take(MAX_SIGNATURES)
        .collect();
    let sound = keys.iter().any(|key| {
        let expected = sign(key, id, timestamp, body);
        given
            .iter()
            .any(|signature| bool::from(signature.ct_eq(&expected)))
    });
    if sound { Ok(()) } else { Err(invalid()) }
}

fn sign(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

/// What was posted, from query and body together, and the token if one stood among it.
///
/// # Errors
/// `malformed_query`, `malformed_json`, `malformed_body`, `unsupported_media_type`, `wrong_type`.
pub fn posts(
    dialect: Dialect,
    query: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(Posts, Option<String>), Problem> {
    let table = dialects::table(dialect);
    // What other dialects send and nobody reads here must not cost a conversion, whatever its letters are.
    let matters = |name: &str| dialect == Dialect::Native || table.reads(name);
    let mut fields = object(Query::parse_known(query, matters)?.0);
    let tokens = table.tokens;
    let mut token = take_token(&mut fields, tokens);
    // Numbers are texts in a query or form; a JSON body alone is held to its types.
    let mut pairs = true;
    if !body.is_empty() {
        let (mut posted, json) = read_body(headers, body, matters)?;
        token = take_token(&mut posted, tokens).or(token);
        pairs = !json || !fields.is_empty();
        for (name, value) in posted {
            if fields.contains_key(&name) {
                let detail = format!("{name} is given in the query and in the body");
                return Err(Problem::new(codes::MALFORMED_QUERY, detail));
            }
            fields.insert(name, value);
        }
    }
    Ok((Posts { fields, pairs }, token))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn take_token(fields: &mut Map<String, Value>, names: &[&str]) -> Option<String> {
    let mut found = None;
    for name in names {
        let taken = fields.remove(*name);
        found = found.or_else(|| taken?.as_str().map(str::to_owned));
    }
    found
}

/// A body as fields, and whether it was JSON.
fn read_body(
    headers: &HeaderMap,
    body: &Bytes,
    matters: impl Fn(&str) -> bool,
) -> Result<(Map<String, Value>, bool), Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" => {
            let text = std::str::from_utf8(body)
                .map_err(|_| Problem::new(codes::MALFORMED_BODY, "the form is not UTF-8"))?;
            let form = Query::parse_known(text, matters)
                .map_err(|problem| Problem::new(codes::MALFORMED_BODY, problem.detail()))?;
            Ok((object(form.0), false))
        }
        "" | "application/json" => match parse_json(body)? {
            Value::Object(map) => Ok((map, true)),
            _ => Err(Problem::new(codes::WRONG_TYPE, "the body is a JSON object")),
        },
        _ => Err(Problem::new(
            codes::UNSUPPORTED_MEDIA_TYPE,
            "send application/json or application/x-www-form-urlencoded",
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_417_200;
    const BODY: &[u8] = br#"{"transaction_id":"o-1"}"#;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn headers(timestamp: i64, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        headers.insert("webhook-timestamp", timestamp.to_string().parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    fn signature(key: &[u8], timestamp: i64) -> String {
        format!(
            "v1,{}",
            STANDARD.encode(sign(key, "msg_1", &timestamp.to_string(), BODY))
        )
    }

    fn code(result: Result<(), Problem>) -> &'static str {
        result.map_or_else(|problem| problem.code().name, |()| "")
    }

    #[test]
    fn the_signature_of_the_standards_own_example_is_the_same_here() {
        // From the reference vectors of Standard Webhooks.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            STANDARD.encode(signed),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn any_of_several_signatures_by_any_unexpired_key_is_enough() {
        let keys = [b"old-key".to_vec(), b"new-key".to_vec()];
        let several = format!("v1,AAAA v2,xyz {}", signature(b"new-key", NOW));
        assert_eq!(
            code(verify(&keys, &headers(NOW, &several), BODY, now())),
            ""
        );
        assert_eq!(
            code(verify(
                &keys,
                &headers(NOW, &signature(b"old-key", NOW)),
                BODY,
                now()
            )),
            ""
        );
        let foreign = signature(b"other-key", NOW);
        assert_eq!(
            code(verify(&keys, &headers(NOW, &foreign), BODY, now())),
            "signature_invalid"
        );
    }

    #[test]
    fn a_changed_body_or_time_fails_and_five_minutes_are_the_limit() {
        let keys = [b"key".to_vec()];
        let sound = headers(NOW, &signature(b"key", NOW));
        assert_eq!(
            code(verify(&keys, &sound, b"{}", now())),
            "signature_invalid"
        );
        let moved = headers(NOW + 1, &signature(b"key", NOW));
        assert_eq!(
            code(verify(&keys, &moved, BODY, now())),
            "signature_invalid"
        );
        for (seconds, expected) in [
            (-300, ""),
            (300, ""),
            (-301, "signature_stale"),
            (301, "signature_stale"),
        ] {
            let at = NOW + seconds;
            let sent = headers(at, &signature(b"key", at));
            assert_eq!(
                code(verify(&keys, &sent, BODY, now())),
                expected,
                "{seconds}"
            );
        }
    }

    #[test]
    fn the_token_is_taken_out_of_query_form_and_json_under_the_dialects_names() {
        let form = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded".parse().unwrap(),
        )]);
        let none = Bytes::new();
        let (read, token) = posts(
            Dialect::Tune,
            "security_token=t&amount=1",
            &HeaderMap::new(),
            &none,
        )
        .unwrap();
        assert_eq!(
            (read.fields, read.pairs),
            (json!({"amount": "1"}).as_object().unwrap().clone(), true)
        );
        assert_eq!(token.unwrap(), "t");
        let body = Bytes::from("token=t&amount=1");
        let (read, token) = posts(Dialect::Native, "", &form, &body).unwrap();
        assert_eq!((read.fields.len(), token.unwrap().as_str()), (1, "t"));
        let body = Bytes::from(r#"{"token": "t", "quantity": 2}"#);
        let (read, token) = posts(Dialect::Native, "", &HeaderMap::new(), &body).unwrap();
        assert_eq!((read.pairs, token.unwrap().as_str()), (false, "t"));
        let twice = posts(Dialect::Native, "quantity=2", &HeaderMap::new(), &body);
        assert_eq!(twice.unwrap_err().code().name, "malformed_query");
    }
}
