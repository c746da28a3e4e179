//! `/v1/funding-accounts`: the accounts that the vendor pays from.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, Once, Operator, Path, Problem, Query, Reply, codes,
    versioned,
};
use tributary::operators::model::Scope;
use tributary::partners::model::{
    ACCOUNT_TYPES, BankRoute, METHOD_KINDS, MethodKind, account_number, bic, iban, routing_number,
};
use tributary::payouts;
use tributary::payouts::FundingDetails;
use tributary::payouts::model::{FundingAccount, FundingRoute};

use crate::schema;

/// Every field that an account of some kind has.
const FIELDS: [&str; 6] = [
    "paypal_email",
    "iban",
    "bic",
    "routing_number",
    "account_number",
    "account_type",
];
/// Characters of a name.
const MAX_NAME: usize = 120;
/// Characters of an account's parts as they are typed, blanks included.
const MAX_PART: usize = 64;

/// List funding accounts by their ids.
#[utoipa::path(get, path = "/v1/funding-accounts", tag = "funding accounts", security(("operator_key" = [])),
    params(("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::FundingAccountListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    operator: Operator,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let after = Cursor::read("funding-accounts", query.get("cursor"))?;
    let (found, position) = payouts::funding_accounts(&app, after, limit).await?;
    Ok(Reply::ok(&schema::FundingAccountListView {
        items: found.iter().map(schema::funding_account).collect(),
        next_cursor: position.map(|position| Cursor::write("funding-accounts", &position)),
    }))
}

/// Get one funding account, masked.
#[utoipa::path(get, path = "/v1/funding-accounts/{id}", tag = "funding accounts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The account's name in addresses")),
    responses((status = 200, description = "The account; its version in `ETag`", body = schema::FundingAccountView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let account = payouts::funding(&app, &id).await?;
    Ok(versioned(
        account.version,
        &schema::funding_account(&account),
    ))
}

/// Make a funding account, or change one.
///
/// The caller names it: 1 to 32 characters of `a-z`, `0-9` and `-`. A change states the version it is
/// based on, in `If-Match`. The account is stored sealed and shown masked. Batches are paid from PayPal
/// accounts; for bank accounts no payment file is made. Asks for the scope `finance`.
#[utoipa::path(put, path = "/v1/funding-accounts/{id}", tag = "funding accounts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The account's name in addresses: 1 to 32 of `a-z`, `0-9`, `-`"),
        ("If-Match" = Option<String>, Header, description = "The version a change is based on; absent for a new account"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::FundingAccountBody,
    responses((status = 200, description = "Changed", body = schema::FundingAccountView),
        (status = 201, description = "Made", body = schema::FundingAccountView),
        (status = 412, description = "`version_stale`"),
        (status = 428, description = "`if_match_missing`: the account exists")))]
pub(crate) async fn keep(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    if !FundingAccount::is_slug(&id) {
        let reason = "is 1 to 32 characters of a-z, 0-9 and -";
        return Err(Problem::field(codes::CHARACTERS_REFUSED, "id", reason));
    }
    let details = Fields::read(&body.0, read)?;
    let version = based_on.map(|IfMatch(version)| version);
    let change = payouts::keep_funding(&app, id, details, version).await?;
    let view = schema::funding_account(&change.value);
    let reply = if change.value.version == 1 {
        Reply::created(&view)
    } else {
        Reply::ok(&view)
    };
    let reply = reply.version(change.value.version);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

fn read(f: &mut Fields<'_>) -> Option<FundingDetails> {
    let name = f.text("name", MAX_NAME);
    let currency = f.currency("currency");
    let Some(kind) = f.choice("kind", METHOD_KINDS) else {
        // Which of the others belong is not known without it, so none is called unknown.
        for field in FIELDS {
            let _ = f.raw(field);
        }
        return None;
    };
    let route = match kind {
        MethodKind::Paypal => f
            .email("paypal_email")
            .map(|email| FundingRoute::Paypal { email }),
        MethodKind::Bank => bank(f).map(FundingRoute::Bank),
    };
    Some(FundingDetails {
        name: name?,
        currency: currency?,
        route: route?,
    })
}

fn bank(f: &mut Fields<'_>) -> Option<BankRoute> {
    let by_iban = f.raw("iban").is_some() | f.raw("bic").is_some();
    let by_routing = f.raw("routing_number").is_some()
        | f.raw("account_number").is_some()
        | f.raw("account_type").is_some();
    if by_iban && by_routing {
        let reason = "give either iban and bic, or routing_number, account_number and account_type";
        f.refuse(codes::NOT_ONE_OF, "routing_number", reason);
        return None;
    }
    let mut part = |name, code: tributary::edge::Code, parse: fn(&str) -> Option<String>| {
        f.parsed(name, MAX_PART, code, code.meaning, parse)
    };
    if by_routing {
        let routing_number = part(
            "routing_number",
            codes::ROUTING_NUMBER_INVALID,
            routing_number,
        );
        let account_number = part(
            "account_number",
            codes::ACCOUNT_NUMBER_INVALID,
            account_number,
        );
        let account_type = f.choice("account_type", ACCOUNT_TYPES);
        return Some(BankRoute::Us {
            routing_number: routing_number?,
            account_number: account_number?,
            account_type: account_type?,
        });
    }
    let iban = part("iban", codes::IBAN_INVALID, iban);
    let bic = part("bic", codes::BIC_INVALID, bic);
    Some(BankRoute::Iban {
        iban: iban?,
        bic: bic?,
    })
}
