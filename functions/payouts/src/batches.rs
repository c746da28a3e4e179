//! `/v1/payouts/batches`: who is paid, who is left out and why, and the payment file.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Once, Operator, Path, Problem, Query, Reply, codes, path_id,
    read_up_to,
};
use tributary::ids::BatchId;
use tributary::money::Money;
use tributary::operators::model::Scope;
use tributary::payouts;
use tributary::payouts::BatchRequest;
use tributary::payouts::files::returns::RETURN_FORMATS;
use tributary::payouts::model::{FundingAccount, RAILS, Rail, Resolved};

use crate::{MAX_REASON, schema};

/// Bytes of a return file: what is written down of it fits one item of the table.
const MAX_RETURN_FILE_BYTES: usize = 256 * 1024;

/// Ask for a payout batch.
///
/// It pays each partner of the program what is payable at the cutoff, if that is above zero and not
/// below the minimum; everybody else is left out and told why. The batch is planned and its money
/// reserved in the background; read it until it is `reserved`, or `awaiting_approval` where it pays more than
/// the program's `approval_above`; then download its file. Of one cutoff and one funding account a program
/// has one batch. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/payouts/batches", tag = "payouts", security(("operator_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewBatchBody,
    responses((status = 202, description = "Accepted", body = schema::BatchView),
        (status = 409, description = "`wrong_state`: another batch of the program is still being planned; `period_taken`: there is one up to that cutoff from that account"),
        (status = 422, description = "`currency_mismatch`, `time_in_future`, `reference_unknown`, `currency_unsupported` where PayPal does not pay")))]
pub(crate) async fn ask(
    State(app): State<App>,
    operator: Operator,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let request = Fields::read(&body.0, |f| {
        let program = f.id("program");
        let currency = f.currency("currency");
        let cutoff = f.time("cutoff");
        let minimum = match currency {
            Some(currency) => f.opt_amount("minimum", currency),
            None => {
                f.raw("minimum");
                None
            }
        };
        let reason = "is 1 to 32 characters of a-z, 0-9 and -";
        let funding_account = f.parsed(
            "funding_account",
            64,
            codes::CHARACTERS_REFUSED,
            reason,
            |text| FundingAccount::is_slug(text).then(|| text.to_owned()),
        );
        Some(BatchRequest {
            program: program?,
            currency: currency?,
            cutoff: cutoff?,
            minimum,
            funding_account: funding_account?,
        })
    })?;
    let change = payouts::ask(&app, operator.id, request).await?;
    let batch = &change.value;
    let view = schema::batch(batch, batch.stage(Resolved::default()));
    let reply = Reply::accepted(&view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// List batches, newest first.
#[utoipa::path(get, path = "/v1/payouts/batches", tag = "payouts", security(("operator_key" = [])),
    params(("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::BatchListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    operator: Operator,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let below = Cursor::read("batches", query.get("cursor"))?;
    let (found, position) = payouts::batches(&app, below, limit).await?;
    Ok(Reply::ok(&schema::BatchListView {
        items: found.iter().map(schema::listed_batch).collect(),
        next_cursor: position.map(|position| Cursor::write("batches", &position)),
    }))
}

/// Get one batch: where it stands, its totals, whom it pays, and whom it leaves out and why.
#[utoipa::path(get, path = "/v1/payouts/batches/{id}", tag = "payouts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The batch's id"),
        ("limit" = Option<u32>, Query, description = "Entries of each of the two lists, 1 to 200; 50 unless told"),
        ("lines_cursor" = Option<String>, Query, description = "`lines_next_cursor` of the page before"),
        ("left_out_cursor" = Option<String>, Query, description = "`left_out_next_cursor` of the page before")),
    responses((status = 200, description = "The batch", body = schema::BatchWithLinesView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["limit", "lines_cursor", "left_out_cursor"])?;
    let id: BatchId = path_id(&path, "batch")?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let (lines_name, left_name) = (format!("batches/{id}/lines"), format!("batches/{id}/left"));
    let lines_after = Cursor::read_as("lines_cursor", &lines_name, query.get("lines_cursor"))?;
    let left_after = Cursor::read_as("left_out_cursor", &left_name, query.get("left_out_cursor"))?;
    let batch = payouts::batch(&app, id).await?;
    let (stage, resolved) = payouts::progress(&app, &batch).await?;
    let (lines, lines_next) = payouts::batch_lines(&app, &batch, lines_after, limit).await?;
    let (left_out, left_next) = payouts::left_out(&app, id, left_after, limit).await?;
    let Resolved {
        planned,
        reserved,
        reserved_minor,
        left_out: omitted,
        parts,
    } = resolved;
    Ok(Reply::ok(&schema::BatchWithLinesView {
        batch: schema::batch(&batch, stage),
        payout_count: reserved,
        total: Money::new(reserved_minor, batch.minimum.currency()).to_string(),
        reserving_count: planned,
        left_out_count: omitted,
        parts,
        lines: lines.iter().map(schema::batch_line).collect(),
        lines_next_cursor: lines_next.map(|position| Cursor::write(&lines_name, &position)),
        left_out: left_out.iter().map(schema::left_out).collect(),
        left_out_next_cursor: left_next.map(|position| Cursor::write(&left_name, &position)),
    }))
}

/// Download a part of the batch's payment file.
///
/// In the format of the batch's rail. `paypal`: PayPal's payouts CSV, no header; wallet, amount, currency,
/// payout id, note, `PAYPAL`. `sepa`: ISO 20022 `pain.001.001.09`, each transfer's end-to-end id the payout's
/// id with a hyphen for its underscore, executed on the first TARGET business day from its download on.
/// `nacha`: an ACH file of PPD entries to persons and CCD entries to companies, effective on the next banking
/// day. `generic`: a CSV with a header, no cell of which begins a formula. A part has at most 5,000 payments,
/// of `sepa` 2,000. The first download freezes the batch as submitted: later ones are byte for byte the
/// same. Asks for the scope `finance`.
#[utoipa::path(get, path = "/v1/payouts/batches/{id}/file", tag = "payouts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The batch's id"),
        ("format" = Option<String>, Query, description = "The batch's rail: `paypal`, `sepa`, `nacha` or `generic`; whichever it is unless told"),
        ("part" = Option<u32>, Query, description = "Which part, from 1; 1 unless told. The answer's `Tributary-Parts` says how many there are")),
    responses((status = 200, description = "The part; of `sepa` as `application/xml`, of `nacha` as `text/plain`", body = String, content_type = "text/csv"),
        (status = 409, description = "`batch_not_ready` until all its money is reserved; `approval_missing` until a second person has approved it; `wrong_state` when it pays nobody, or when its funding account pays in another way by now"),
        (status = 422, description = "`not_one_of`: the batch's file has another format")))]
pub(crate) async fn file(
    State(app): State<App>,
    operator: Operator,
    method: Method,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    // The first download freezes the batch, and a HEAD is no download.
    if method == Method::HEAD {
        return Err(Problem::new(
            codes::METHOD_NOT_ALLOWED,
            codes::METHOD_NOT_ALLOWED.meaning,
        ));
    }
    let (format, part) = Fields::read_pairs(&query.0, |f| {
        let format = f.opt_choice("format", RAILS);
        let part = f.opt_integer("part", 1, i64::from(u32::MAX));
        Some((format, part.unwrap_or(1)))
    })?;
    let id: BatchId = path_id(&path, "batch")?;
    let file = payouts::file(&app, id, format, part.unsigned_abs()).await?;
    let (kind, ending) = match file.rail {
        Rail::Paypal | Rail::Generic => ("text/csv; charset=utf-8", "csv"),
        Rail::Sepa => ("application/xml; charset=utf-8", "xml"),
        Rail::Nacha => ("text/plain; charset=us-ascii", "ach"),
    };
    let name = format!("{id}-{}-{}.{ending}", file.rail.name(), file.part);
    let disposition = format!("attachment; filename=\"{name}\"");
    let mut response = file.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("tributary-parts", HeaderValue::from(file.parts));
    if let Ok(value) = HeaderValue::from_str(&file.digest) {
        headers.insert("tributary-sha256", value);
    }
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Approve a batch that pays more than its program pays without a second person.
///
/// Whoever made it cannot; whoever set a schedule is the maker of its batches. What is approved is exactly
/// what is paid: its money is reserved and each payee's account frozen before. Once approved, its file can be
/// downloaded. A repeat changes nothing. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/payouts/batches/{id}/approve", tag = "payouts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The batch's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Approved", body = schema::BatchView),
        (status = 403, description = "`approval_by_maker`"),
        (status = 409, description = "`batch_not_ready` until all its money is reserved; `wrong_state`: it waits for no approval")))]
pub(crate) async fn approve(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    Fields::read(&body.0, |_| Some(()))?;
    let change = payouts::approve(&app, operator.id, path_id(&path, "batch")?).await?;
    let (batch, stage) = &change.value;
    let reply = Reply::ok(&schema::batch(batch, *stage));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Cancel a batch whose file was not downloaded.
///
/// Each of its payouts is given back: the money is payable again, and the next batch, of a later cutoff, pays
/// it. Until all of them are, the batch is `cancelling`. A repeat changes nothing. Asks for the scope
/// `finance`.
#[utoipa::path(post, path = "/v1/payouts/batches/{id}/cancel", tag = "payouts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The batch's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::CancelBody,
    responses((status = 202, description = "Accepted", body = schema::BatchView),
        (status = 409, description = "`wrong_state`: its file was downloaded")))]
pub(crate) async fn cancel(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let reason = Fields::read(&body.0, |f| f.text("reason", MAX_REASON))?;
    let change = payouts::call_off(&app, operator.id, path_id(&path, "batch")?, reason).await?;
    let batch = &change.value;
    let reply = Reply::accepted(&schema::batch(batch, batch.stage(Resolved::default())));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Take a bank's return file for a batch whose file was downloaded.
///
/// Of the payouts that it reports the money is payable again, whether they were settled or not; the answer
/// says of each row what it comes to: `returned`; `already` returned before; `unknown` where there is no such
/// payout; `not_in_this_batch`; `ignored` where it reports nothing that came back; `unreadable`. A file that
/// cannot be read as a whole is refused, and nothing of it taken. The same file again returns nothing twice.
/// Formats: `nacha`, return entries with their addenda 99; `pain.002`, rejected transactions by their
/// end-to-end ids, or whole messages; `csv`, rows of `payout_id,reason`. At most 256 KiB and 1,000 rows. Asks
/// for the scope `finance`.
#[utoipa::path(post, path = "/v1/payouts/batches/{id}/returns", tag = "payouts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The batch's id"),
        ("format" = String, Query, description = "`nacha`, `pain.002` or `csv`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body(content = String, content_type = "text/plain", description = "The file as the bank has sent it, in UTF-8", example = "payout_id,reason\npo_01kar52v4e8qzr5n3m6x7p9tdc,account closed\n"),
    responses((status = 202, description = "Taken", body = schema::ReturnsView),
        (status = 409, description = "`wrong_state`: its file was not downloaded"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`return_file_unreadable`, `too_long`")))]
pub(crate) async fn returns(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
    once: Once,
    request: Request,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let format = Fields::read_pairs(&query.0, |f| f.choice("format", RETURN_FORMATS))?;
    let bytes = read_up_to(request, MAX_RETURN_FILE_BYTES).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Problem::new(codes::MALFORMED_BODY, "the file is not UTF-8"))?;
    let said = json!({ "query": query.0, "file": text });
    let once = once.of(&operator.id.to_string(), &said);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: BatchId = path_id(&path, "batch")?;
    let change = payouts::take_returns(&app, operator.id, id, format, text).await?;
    let reply = Reply::accepted(&schema::returns(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
