//! `/v1/imports`: CSV files whose rows take effect one after the other.

pub mod schema;

use axum::Router;
use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::{Value, json};
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, NoBody, Once, Operator, Paper, Path, Problem, Query, Reply,
    codes, path_id, read_up_to,
};
use tributary::ids::{ProgramId, UploadId};
use tributary::imports;
use tributary::imports::model::{KINDS, Kind, MAX_NAME, MAX_PART_BYTES, MAX_PARTS};
use tributary::operators::model::Scope;
use tributary::reports::paper;
use utoipa::OpenApi;

/// Lines of a page of a report as CSV: with the longest reasons it stays far below what a function may answer.
const CSV_LINES: usize = 10_000;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/imports", post(create).get(list))
        .route("/v1/imports/{id}", get(find))
        .route("/v1/imports/{id}/parts/{number}", put(part))
        .route("/v1/imports/{id}/start", post(start))
        .route("/v1/imports/{id}/cancel", post(cancel))
        .route("/v1/imports/{id}/report", get(report))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(create, list, find, part, start, cancel, report),
    tags((name = "imports", description = "CSV files, taken row by row"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Begin an import.
///
/// With JSON: the file follows in parts, each of at most 384 KB, and then it is started. With the file itself as
/// the body (`text/csv` or `application/octet-stream`, at most 384 KB) and the rest in the query: it is started at
/// once.
///
/// A file is UTF-8, with or without a byte order mark; lines end as on Windows or otherwise; cells are separated by
/// commas, semicolons or tabs, and may be quoted. Its first row names the columns, of which those of its
/// kind are known and no others:
///
/// - `accounts`, the vendor's own accounts: `name`, `country`, `region`, `postcode`, `domain`, `email`, `tax_id`,
///   `crm_id`; `opportunity` (the id of an open one), `product_lines`, `from`, `until`, `note`. One that was imported
///   before is replaced.
/// - `leads`: `company`, `country`, `region`, `postcode`, `domain`, `tax_id`, `crm_id`, `employees`,
///   `product_lines`, `language`, `need`, `contact_name`, `contact_email`, `contact_phone`, `reference`. A row whose
///   lead is there already is reported.
/// - `invitations` to apply: `email`, `name`, `country`, `kind`, `source`, `referrer`. All rows are checked before
///   any takes effect, and where one is wrong nobody is invited.
///
/// Lists in a cell are separated by semicolons or bars. Rows are numbered as a spreadsheet shows them: the
/// header is row 1. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/imports", tag = "imports", security(("operator_key" = [])),
    params(("program" = Option<String>, Query, description = "With a file as the body: the program's id"),
        ("kind" = Option<String>, Query, description = "With a file as the body: what its rows are"),
        ("name" = Option<String>, Query, description = "With a file as the body: what the import is called"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body(content(
        (schema::NewImportBody = "application/json"),
        (String = "text/csv", example = "name,country,domain\nAcme Ltd,GB,acme.example\n"),
        (String = "application/octet-stream"))),
    responses((status = 201, description = "Begun; its parts may be sent", body = schema::ImportView),
        (status = 202, description = "Begun and started", body = schema::ImportView),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`unknown_field`: a column is not known; `reference_unknown`")))]
async fn create(
    State(app): State<App>,
    operator: Operator,
    query: Query,
    once: Once,
    request: Request,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    if !is_file(&request) {
        query.only(&[])?;
        let Body(body) = Body::from_request(request, &()).await?;
        let once = once.of(&operator.id.to_string(), &body);
        if let Some(reply) = once.answered(&app).await? {
            return Ok(reply.into_response());
        }
        let (what, name) = Fields::read(&body, new)?;
        let change = imports::create(&app, operator.id, what, name).await?;
        let reply = Reply::created(&schema::import(&change.value));
        return once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
    }
    let (what, name) = Fields::read_pairs(&query.0, new)?;
    let content = read_up_to(request, MAX_PART_BYTES).await?;
    let once = once.of(&operator.id.to_string(), &said(&query.0, &content));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let change = imports::create_whole(&app, operator.id, what, name, content.to_vec()).await?;
    let reply = Reply::accepted(&schema::import(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

fn is_file(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
    ["text/", "application/octet-stream"]
        .iter()
        .any(|file| kind.starts_with(file))
}

fn new(f: &mut Fields<'_>) -> Option<((ProgramId, Kind), Option<String>)> {
    let program = f.id("program");
    let kind = f.choice("kind", KINDS);
    let name = f.opt_text("name", MAX_NAME);
    Some(((program?, kind?), name))
}

/// What a request with a file says, for its fingerprint.
fn said(query: &Value, content: &[u8]) -> Value {
    json!({ "query": query, "file": tributary::edge::hash_bytes(content) })
}

/// List a program's imports, newest first.
#[utoipa::path(get, path = "/v1/imports", tag = "imports", security(("operator_key" = [])),
    params(("program" = String, Query, description = "Of this program"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::ImportListView)))]
async fn list(State(app): State<App>, operator: Operator, query: Query) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["program", "limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let program: Option<ProgramId> = query.id("program")?;
    let program =
        program.ok_or_else(|| Problem::field(codes::REQUIRED, "program", "name the program"))?;
    let name = format!("imports?program={program}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = imports::list(&app, program, below, limit).await?;
    Ok(Reply::ok(&schema::ImportListView {
        items: found.iter().map(schema::import).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Get an import and how far it has come.
#[utoipa::path(get, path = "/v1/imports/{id}", tag = "imports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The import's id")),
    responses((status = 200, description = "The import", body = schema::ImportView)))]
async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: UploadId = path_id(&path, "import")?;
    Ok(Reply::ok(&schema::import(&imports::find(&app, id).await?)))
}

/// Send a part of an import's file.
///
/// The file is its parts in the order of their numbers, from 1; it may be cut anywhere. A number that was sent
/// before is replaced. Send `application/octet-stream`: of `text/csv` a letter that is cut in two would not arrive.
/// Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/imports/{id}/parts/{number}", tag = "imports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The import's id"),
        ("number" = u32, Path, description = "1 to 100"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body(content((String = "application/octet-stream"), (String = "text/csv"))),
    responses((status = 204, description = "Taken"),
        (status = 409, description = "`wrong_state`: it was started"),
        (status = 413, description = "`body_too_large`: a part has at most 384 KB")))]
async fn part(
    State(app): State<App>,
    operator: Operator,
    Path((path, number)): Path<(String, String)>,
    once: Once,
    request: Request,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let id: UploadId = path_id(&path, "import")?;
    let number: usize = path_id(&number, "part")?;
    let content = read_up_to(request, MAX_PART_BYTES).await?;
    let once = once.of(&operator.id.to_string(), &said(&json!({}), &content));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let change = imports::put_part(&app, id, number, content.to_vec()).await?;
    once.commit(&app, change, |()| Reply::nothing(), |()| Reply::nothing())
        .await
}

/// Start an import whose parts are all there.
///
/// First its rows are counted, and those of a kind that is imported whole or not at all are checked; then they take
/// effect, one after the other. A row that is wrong is reported, and the others go on. A second time changes nothing.
/// Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/imports/{id}/start", tag = "imports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The import's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::StartBody,
    responses((status = 202, description = "Started", body = schema::ImportView),
        (status = 409, description = "`parts_missing`, `wrong_state`"),
        (status = 422, description = "`unknown_field`: a column is not known")))]
async fn start(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let most = i64::try_from(MAX_PARTS).unwrap_or(i64::MAX);
    let parts = Fields::read(&body.0, |f| {
        let parts = f.opt_integer("parts", 1, most);
        Some(parts.and_then(|parts| usize::try_from(parts).ok()))
    })?;
    let id: UploadId = path_id(&path, "import")?;
    let change = imports::start(&app, id, parts).await?;
    let reply = Reply::accepted(&schema::import(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Stop an import.
///
/// What has taken effect stays, and no further row does. One at work is `cancelling` until it is counted how many did.
/// A second time changes nothing. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/imports/{id}/cancel", tag = "imports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The import's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 202, description = "Stopped, or about to", body = schema::ImportView),
        (status = 409, description = "`wrong_state`: it has ended")))]
async fn cancel(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: UploadId = path_id(&path, "import")?;
    let change = imports::cancel(&app, id).await?;
    let reply = Reply::accepted(&schema::import(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Report what was wrong with an import's rows, in their order.
///
/// As far as it has come. With `format=csv` it is a file; a long one comes in pages: `Tributary-Next-Cursor` says where
/// the next begins, and only the first has a header.
#[utoipa::path(get, path = "/v1/imports/{id}/report", tag = "imports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The import's id"),
        ("format" = Option<String>, Query, description = "`json`, which is what you get unless told, or `csv`"),
        ("limit" = Option<u32>, Query, description = "Entries of a page of JSON, 1 to 200 and those of the last row; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", content(
        (schema::ReportView = "application/json"), (String = "text/csv")))))]
async fn report(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["format", "limit", "cursor"])?;
    let formats = &[("json", false), ("csv", true)];
    let is_csv = query.get("format").map(|_| {
        let asked = json!({ "format": query.get("format") });
        Fields::read_pairs(&asked, |f| f.choice("format", formats))
    });
    let is_csv = is_csv.transpose()?.unwrap_or(false);
    let id: UploadId = path_id(&path, "import")?;
    let name = format!("report?import={id}&csv={is_csv}");
    let position = Cursor::read(&name, query.get("cursor"))?;
    let beyond = position.as_ref().and_then(|row| row.parse().ok());
    let beyond: u64 = beyond.unwrap_or(0);
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let limit = if is_csv { CSV_LINES } else { limit };
    let (upload, faults, last) = imports::report(&app, id, beyond, limit).await?;
    let next = last.map(|row| Cursor::write(&name, &row.to_string()));
    if !is_csv {
        return Ok(Reply::ok(&schema::report(&upload, faults, next)).into_response());
    }
    let titles = ["row", "column", "code", "reason"].map(str::to_owned);
    let header = position.is_none().then_some(titles);
    let lines = faults.into_iter().map(|fault| {
        let row = fault.row.to_string();
        let texts = [fault.field, fault.code, fault.reason];
        let [column, code, reason] = texts.map(|text| paper::cell(&text));
        [row, column, code, reason]
    });
    let bytes = paper::csv(header.into_iter().chain(lines));
    let bytes = bytes.map_err(|error| Problem::internal(&error))?;
    let mut paper = Paper::csv(&format!("import-{id}.csv"), bytes);
    if let Some(next) = next {
        paper = paper.fact("tributary-next-cursor", next);
    }
    Ok(paper.into_response())
}
