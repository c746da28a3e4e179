//! The postback tester.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use tributary::commissions;
use tributary::edge::{App, Body, Fields, MAX_BODY_BYTES, Operator, Path, Problem, Reply, codes};
use tributary::operators::model::Scope;
use tributary::tracking::dialects::{Mapped, table};
use tributary::tracking::{self, posting, source};
use tributary::{ids, programs};

use crate::tested::{PostbackTestBody, RenamedView, TestView};

/// Characters of an address or query to try out.
const MAX_ADDRESS: usize = 8192;

/// Try out a postback.
///
/// Shows how an address or body would be read in the program's dialect, what it would come to, and how it
/// would be attributed and paid. Changes nothing. What would be refused of the program's own server or
/// tracker is refused here with the same problem; tokens and signatures are not verified.
#[utoipa::path(post, path = "/v1/programs/{id}/postbacks:test", tag = "postbacks", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    request_body = PostbackTestBody,
    responses((status = 200, description = "How it would be read, attributed and paid", body = TestView)))]
pub(crate) async fn test(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let unknown = || Problem::not_found("program");
    let id: ids::ProgramId = id.parse().map_err(|_| unknown())?;
    let program = programs::program(&app, id).await?.ok_or_else(unknown)?;
    let request = read(&body.0, id)?;
    if request.signed && !request.query.is_empty() {
        return Err(Problem::new(
            codes::FACTS_IN_QUERY,
            codes::FACTS_IN_QUERY.meaning,
        ));
    }
    let (posts, _) = source::posts(
        program.dialect,
        &request.query,
        &request.headers,
        &request.body,
    )?;
    // As the program's token or signature would be: an operator's own key may post older events.
    let (posting, mapped) = posting::read(&app.keyring, &program, &posts, app.now(), false)?;
    let forecast = tracking::foresee(&app, &program, &posting).await?;
    let outcome = match posting.facts(program.id, app.now()) {
        Some(facts) => Some(commissions::preview(&app, &facts).await?),
        None => None,
    };
    let Mapped {
        fields,
        renamed,
        ignored,
    } = mapped;
    let (status, mismatch) = match forecast {
        Ok(receipt) => (receipt.name(), Vec::new()),
        Err(fields) => {
            let theirs = |ours: &'static str| {
                let pair = renamed.iter().find(|(name, _)| *name == ours);
                pair.map_or(ours, |(_, theirs)| *theirs)
            };
            let fields = fields.into_iter().map(theirs).collect();
            (codes::TRANSACTION_MISMATCH.name, fields)
        }
    };
    Ok(Reply::ok(&TestView {
        dialect: table(program.dialect).name,
        fields,
        renamed: renamed
            .into_iter()
            .map(|(ours, theirs)| RenamedView { ours, theirs })
            .collect(),
        ignored,
        conversion: posting.conversion(program.id).to_string(),
        status,
        mismatch,
        outcome,
    }))
}

struct Request {
    query: String,
    /// Whether it carries a signature, which does not cover the query.
    signed: bool,
    headers: HeaderMap,
    body: Bytes,
}

fn read(body: &Value, program: ids::ProgramId) -> Result<Request, Problem> {
    let (method, url, query, headers, content) = Fields::read(body, |f| {
        let method = f.opt_choice("method", &[("GET", false), ("POST", true)]);
        let url = f.opt_text("url", MAX_ADDRESS);
        let query = f.opt_text("query", MAX_ADDRESS);
        if url.is_some() && query.is_some() {
            f.refuse(codes::UNKNOWN_FIELD, "query", "stands in `url` already");
        }
        let (headers, signed) = headers(f);
        let content = f.raw("body").cloned();
        if let Some(Value::String(text)) = &content
            && text.len() > MAX_BODY_BYTES
        {
            f.refuse(codes::TOO_LONG, "body", codes::BODY_TOO_LARGE.meaning);
        }
        if method == Some(false) && content.is_some() {
            f.refuse(codes::UNKNOWN_FIELD, "body", "a GET has none");
        }
        if let Some(url) = &url {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let meant = path.rsplit_once("/v1/postbacks/").map(|(_, meant)| meant);
            if meant.is_some_and(|meant| meant != program.to_string()) {
                f.refuse(codes::REFERENCE_UNKNOWN, "url", "is another program's");
            } else if content.is_none() && !url.contains('?') {
                f.refuse(codes::REQUIRED, "url", "has no query, and there is no body");
            }
        }
        Some((method, url, query, (headers, signed), content))
    })?;
    let (headers, signed) = headers;
    let query = url.map_or(query.unwrap_or_default(), |url| {
        let (_, query) = url.split_once('?').unwrap_or_default();
        query.split('#').next().unwrap_or_default().to_owned()
    });
    let body = match content {
        None => Bytes::new(),
        Some(_) if method == Some(false) => Bytes::new(),
        Some(Value::String(text)) => Bytes::from(text),
        Some(other) => Bytes::from(other.to_string()),
    };
    Ok(Request {
        query,
        signed,
        headers,
        body,
    })
}

/// The one header that matters to reading, and whether there is a signature; the others are taken and left.
fn headers(f: &mut Fields) -> (HeaderMap, bool) {
    let (mut found, mut signed) = (HeaderMap::new(), false);
    let Some(given) = f.raw("headers") else {
        return (found, signed);
    };
    let Value::Object(given) = given else {
        f.refuse(codes::WRONG_TYPE, "headers", "is an object of strings");
        return (found, signed);
    };
    for (name, value) in given {
        let name = name.parse::<HeaderName>().ok();
        let value = value
            .as_str()
            .and_then(|text| HeaderValue::from_str(text).ok());
        match (name, value) {
            (Some(name), Some(value)) if name == header::CONTENT_TYPE => {
                found.insert(name, value);
            }
            (Some(name), Some(_)) => signed |= name.as_str() == "webhook-signature",
            _ => f.refuse(codes::WRONG_TYPE, "headers", "is an object of strings"),
        }
    }
    (found, signed)
}
