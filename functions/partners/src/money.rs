//! What a partner has earned: balances, ledger and statement.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::json;
use tributary::clock::{self, Timestamp};
use tributary::edge::{
    App, Cursor, Fields, Limit, Paper, Path, Principal, Problem, Query, Reply, codes, path_id,
};
use tributary::ids::PartnerId;
use tributary::ledger::model::{Balance, Section, Transfer};
use tributary::money::Money;
use tributary::operators::model::Scope;
use tributary::reports::paper::{PaperError, Statement};
use tributary::{ledger, partners};
use utoipa::{OpenApi, ToSchema};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/partners/{id}/balances", get(balances))
        .route("/v1/partners/{id}/ledger", get(transfers))
        .route("/v1/partners/{id}/statement", get(statement))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(paths(balances, transfers, statement))]
pub(crate) struct Description;

/// What stands in a partner's accounts of one currency.
#[derive(Serialize, ToSchema)]
#[schema(as = Balance, example = json!({"currency": "GBP", "pending": "14.70", "payable": "0.00", "in_transit": "0.00", "paid": "0.00"}))]
pub struct BalanceView {
    /// Currency.
    pub currency: &'static str,
    /// Held.
    pub pending: String,
    /// Goes into the next payout; negative when more was taken back than earned since.
    pub payable: String,
    /// In payouts that are not settled.
    pub in_transit: String,
    /// Arrived.
    pub paid: String,
}

/// A partner's balances.
#[derive(Serialize, ToSchema)]
#[schema(as = Balances)]
pub struct BalancesView {
    /// One for each currency.
    pub items: Vec<BalanceView>,
}

/// A movement of money.
#[derive(Serialize, ToSchema)]
#[schema(as = Transfer, example = json!({"id": "xfr_2c8q5v1k9n3r7t4w6y0z5a8b1d", "kind": "commission", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "from": "commissions", "to": "pending", "amount": "14.70", "currency": "GBP", "at": "2026-11-23T07:00:00Z", "source": "cnv_5x1y7z3a9b2c8d4e6f0g5h1j7k"}))]
pub struct TransferView {
    /// Id, derived from what caused it.
    pub id: String,
    /// `commission`, `override`, `bonus`, `adjustment`, `correction`, `release`, `hold`, `reversal`, `reserve`, `settle`
    /// or `return`.
    pub kind: &'static str,
    /// In which program.
    pub program: String,
    /// Where it left: `commissions`, `pending`, `payable`, `in_transit` or `paid`.
    pub from: &'static str,
    /// Where it arrived.
    pub to: &'static str,
    /// How much; negative when a payout's part held more taken back than earned.
    pub amount: String,
    /// Currency.
    pub currency: &'static str,
    /// When it was posted.
    pub at: String,
    /// What caused it: a conversion or payout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The conversions, or transfers that took back, it moved, where it moved several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<TransferLineView>,
    /// A reason given for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of several that a transfer moved.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferLine)]
pub struct TransferLineView {
    /// A conversion's id, or that of the transfer that took one back.
    pub source: String,
    /// How much of the amount.
    pub amount: String,
}

/// A page of transfers.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferList)]
pub struct TransferListView {
    /// Newest first.
    pub items: Vec<TransferView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A statement.
#[derive(Serialize, ToSchema)]
#[schema(as = Statement)]
pub struct StatementView {
    /// Whose.
    pub partner: String,
    /// From then on.
    pub from: String,
    /// Up to but not including then; `null` for a statement up to now.
    pub to: Option<String>,
    /// One for each currency.
    pub items: Vec<SectionView>,
}

/// A statement in one currency: the opening and all lines add up to the closing.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementSection)]
pub struct SectionView {
    /// Currency.
    pub currency: &'static str,
    /// What stood there at the start.
    pub opening: BalanceView,
    /// What moved, oldest first.
    pub lines: Vec<TransferView>,
    /// What stood there at the end.
    pub closing: BalanceView,
}

fn balance_view(balance: &Balance) -> BalanceView {
    let Balance {
        currency,
        pending,
        payable,
        in_transit,
        paid,
    } = *balance;
    let text = |minor| Money::new(minor, currency).to_string();
    BalanceView {
        currency: currency.code(),
        pending: text(pending),
        payable: text(payable),
        in_transit: text(in_transit),
        paid: text(paid),
    }
}

fn transfer_view(transfer: &Transfer) -> TransferView {
    let Transfer {
        id,
        kind,
        account,
        from,
        to,
        amount,
        at,
        source,
        lines,
        reason,
    } = transfer;
    let line = |(source, minor): &(String, i64)| TransferLineView {
        source: source.clone(),
        amount: Money::new(*minor, amount.currency()).to_string(),
    };
    TransferView {
        id: id.to_string(),
        kind: kind.name(),
        program: account.program.to_string(),
        from: from.name(),
        to: to.name(),
        amount: amount.to_string(),
        currency: amount.currency().code(),
        at: at.to_string(),
        source: Some(source.clone()).filter(|source| !source.is_empty()),
        lines: lines.iter().map(line).collect(),
        reason: reason.clone(),
    }
}

fn section_view(section: &Section) -> SectionView {
    let Section {
        opening,
        lines,
        closing,
    } = section;
    SectionView {
        currency: closing.currency.code(),
        opening: balance_view(opening),
        lines: lines.iter().map(transfer_view).collect(),
        closing: balance_view(closing),
    }
}

/// The partner that a path names, if whoever asks may read it.
async fn readable(app: &App, principal: &Principal, path: &str) -> Result<PartnerId, Problem> {
    let id: PartnerId = path_id(path, "partner")?;
    principal.may_read(id, &[Scope::Read], "partner")?;
    match partners::partner(app, id).await? {
        Some(_) => Ok(id),
        None => Err(Problem::not_found("partner")),
    }
}

/// Get a partner's balances.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/balances", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "The balances by currency", body = BalancesView)))]
async fn balances(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    let id = readable(&app, &principal, &path).await?;
    query.only(&[])?;
    let balances = ledger::balances(&app, id).await?;
    Ok(Reply::ok(&BalancesView {
        items: balances.iter().map(balance_view).collect(),
    }))
}

/// List a partner's transfers, newest first.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/ledger", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = TransferListView)))]
async fn transfers(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    let id = readable(&app, &principal, &path).await?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let list = format!("ledger?partner={id}");
    let below = Cursor::read(&list, query.get("cursor"))?;
    let (found, position) = ledger::transfers(&app, id, below.as_deref(), limit).await?;
    Ok(Reply::ok(&TransferListView {
        items: found.iter().map(transfer_view).collect(),
        next_cursor: position.map(|position| Cursor::write(&list, &position)),
    }))
}

/// Get a partner's statement.
///
/// Opening, lines and closing by currency; they always add up, and a statement up to now closes on the
/// balances. As JSON, as a page to print that loads nothing, or as CSV with the balances after each line.
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/statement", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("from" = Option<String>, Query, description = "RFC 3339; the beginning of this month (UTC) unless told"),
        ("to" = Option<String>, Query, description = "RFC 3339, not included; up to now unless told"),
        ("format" = Option<String>, Query, description = "`json`, `html` or `csv`; `json` unless told")),
    responses((status = 200, description = "The statement", content(
        (StatementView = "application/json"), (String = "text/html"), (String = "text/csv")))))]
async fn statement(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    let id = readable(&app, &principal, &path).await?;
    query.only(&["from", "to", "format"])?;
    let format = Fields::read_pairs(&json!({ "format": query.get("format") }), |f| {
        Some(f.opt_choice("format", FORMATS))
    })?;
    let from = time(&query, "from")?.unwrap_or_else(|| clock::month_start(app.now()));
    let to = time(&query, "to")?;
    if to.is_some_and(|to| to < from) {
        return Err(Problem::field(
            codes::OUT_OF_RANGE,
            "to",
            "lies before `from`",
        ));
    }
    let sections = ledger::statement(&app, id, from, to).await?;
    let format = format.unwrap_or(Format::Json);
    if format == Format::Json {
        let reply = Reply::ok(&StatementView {
            partner: id.to_string(),
            from: from.to_string(),
            to: to.map(|to| to.to_string()),
            items: sections.iter().map(section_view).collect(),
        });
        return Ok(reply.into_response());
    }
    let known = partners::find(&app, id).await?;
    let statement = Statement {
        partner: id,
        name: known.contact.as_ref().map(|contact| contact.name.as_str()),
        from,
        to: to.unwrap_or_else(|| app.now()),
        sections: &sections,
    };
    let internal = |error: PaperError| Problem::internal(&error);
    if format == Format::Csv {
        let name = format!("statement-{id}-{}.csv", &from.to_string()[..10]);
        return Ok(Paper::csv(&name, statement.csv().map_err(internal)?).into_response());
    }
    Ok(Paper::html(statement.html().map_err(internal)?).into_response())
}

/// How a statement is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Html,
    Csv,
}

const FORMATS: &[(&str, Format)] = &[
    ("json", Format::Json),
    ("html", Format::Html),
    ("csv", Format::Csv),
];

fn time(query: &Query, name: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    clock::parse(text).map(Some).ok_or_else(|| {
        Problem::field(
            codes::TIME_MALFORMED,
            name,
            "is an RFC 3339 time such as 2026-11-23T07:00:00Z",
        )
    })
}
