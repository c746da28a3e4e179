//! `/v1/partners/{id}/payout-method`: where a partner is paid. Sealed on the way in, masked on the way out.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tributary::edge::{
    App, Body, Fields, IfMatch, Once, Operator, Path, Principal, Problem, Reply, codes, path_id,
    versioned,
};
use tributary::ids::PartnerId;
use tributary::money::Currency;
use tributary::operators::model::Scope;
use tributary::partners;
use tributary::partners::model::{
    self, ACCOUNT_TYPES, Account, Address, BankAccount, BankRoute, MAX_ADDRESS_LINE, MAX_NAME,
    MAX_POSTCODE, METHOD_KINDS, MethodKind, PAYEE_TYPES, PayeeType, is_country,
};
use tributary::payouts::model::is_fit_wallet;

use crate::schema;

/// Every field that a method of some kind has.
const FIELDS: [&str; 9] = [
    "wallet",
    "name",
    "address",
    "iban",
    "bic",
    "routing_number",
    "account_number",
    "account_type",
    "payee_type",
];
/// Characters of an IBAN written in groups of four.
const MAX_IBAN: usize = 42;

/// Set where a partner is paid.
///
/// A PayPal wallet, or a bank account by IBAN and BIC or by US routing number. Checksums are verified,
/// the account is sealed, and no answer shows more of it than its owner needs to know it. It takes an
/// operator with the scope `finance`.
#[utoipa::path(put, path = "/v1/partners/{id}/payout-method", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the method that is replaced; absent for the first one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::PayoutMethodBody,
    responses((status = 200, description = "Set; masked", body = schema::PayoutMethodView),
        (status = 412, description = "`version_stale`"),
        (status = 428, description = "`if_match_missing`: there is one already")))]
pub(crate) async fn set(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let id: PartnerId = path_id(&path, "partner")?;
    // Not with a partner's key: whoever may issue one could then send the partner's money elsewhere.
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let (account, currency) = read(&body.0)?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = partners::set_payout_method(&app, id, based_on, &account, currency).await?;
    let reply = versioned(change.value.version, &schema::payout_method(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get where a partner is paid, masked.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/payout-method", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "The method, its version as `ETag`", body = schema::PayoutMethodView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let id: PartnerId = path_id(&path, "partner")?;
    principal.may_read(id, &[Scope::Read], "partner")?;
    let method = partners::payout_method(&app, id).await?;
    Ok(versioned(method.version, &schema::payout_method(&method)))
}

fn read(body: &Value) -> Result<(Account, Option<Currency>), Problem> {
    Fields::read(body, |f| {
        let currency = f.opt_currency("currency");
        let Some(kind) = f.choice("kind", METHOD_KINDS) else {
            // Which of the others belong is not known without it, so none is called unknown.
            for field in FIELDS {
                let _ = f.raw(field);
            }
            return None;
        };
        let account = match kind {
            MethodKind::Paypal => {
                let wallet = f.email("wallet")?;
                // A payment file is opened in spreadsheets.
                if !is_fit_wallet(&wallet) {
                    let reason = "begins with a character that a spreadsheet takes for a formula";
                    f.refuse(codes::CHARACTERS_REFUSED, "wallet", reason);
                    return None;
                }
                Account::Paypal { wallet }
            }
            MethodKind::Bank => Account::Bank(bank(f)?),
        };
        Some((account, currency))
    })
}

fn bank(f: &mut Fields<'_>) -> Option<BankAccount> {
    let name = f.text("name", MAX_NAME);
    let address = f.object("address", address);
    let route = route(f);
    // Read after the route, which it belongs to: a company's account is told apart in ACH files only.
    let payee_type = f.opt_choice("payee_type", PAYEE_TYPES);
    if let (Some(_), Some(BankRoute::Iban { .. })) = (payee_type, &route) {
        let reason = "is stated of US accounts only";
        f.refuse(codes::UNKNOWN_FIELD, "payee_type", reason);
    }
    Some(BankAccount {
        name: name?,
        payee_type: payee_type.unwrap_or(PayeeType::Person),
        address: address?,
        route: route?,
    })
}

/// A postal address.
pub(crate) fn address(f: &mut Fields<'_>) -> Option<Address> {
    let line1 = f.text("line1", MAX_ADDRESS_LINE);
    let line2 = f.opt_text("line2", MAX_ADDRESS_LINE);
    let city = f.text("city", MAX_ADDRESS_LINE);
    let region = f.opt_text("region", MAX_ADDRESS_LINE);
    let postcode = f.text("postcode", MAX_POSTCODE);
    let country = f.parsed(
        "country",
        64,
        codes::COUNTRY_UNKNOWN,
        "is an ISO 3166 two-letter code such as GB",
        |text| is_country(text).then(|| text.to_owned()),
    );
    Some(Address {
        line1: line1?,
        line2,
        city: city?,
        region,
        postcode: postcode?,
        country: country?,
    })
}

fn route(f: &mut Fields<'_>) -> Option<BankRoute> {
    // Both are asked for, so that the one that is not needed is not called unknown.
    let (iban, bic) = (f.raw("iban"), f.raw("bic"));
    let by_iban = iban.is_some() || bic.is_some();
    let by_routing = ["routing_number", "account_number", "account_type"]
        .into_iter()
        .filter(|name| f.raw(name).is_some())
        .count()
        > 0;
    if by_iban && by_routing {
        f.refuse(
            codes::NOT_ONE_OF,
            "routing_number",
            "give either iban and bic, or routing_number, account_number and account_type",
        );
        return None;
    }
    if by_routing {
        let routing_number = f.parsed(
            "routing_number",
            64,
            codes::ROUTING_NUMBER_INVALID,
            codes::ROUTING_NUMBER_INVALID.meaning,
            model::routing_number,
        );
        let account_number = f.parsed(
            "account_number",
            64,
            codes::ACCOUNT_NUMBER_INVALID,
            codes::ACCOUNT_NUMBER_INVALID.meaning,
            model::account_number,
        );
        let account_type = f.choice("account_type", ACCOUNT_TYPES);
        return Some(BankRoute::Us {
            routing_number: routing_number?,
            account_number: account_number?,
            account_type: account_type?,
        });
    }
    let iban = f.parsed(
        "iban",
        MAX_IBAN,
        codes::IBAN_INVALID,
        codes::IBAN_INVALID.meaning,
        model::iban,
    );
    let bic = f.parsed(
        "bic",
        64,
        codes::BIC_INVALID,
        codes::BIC_INVALID.meaning,
        model::bic,
    );
    Some(BankRoute::Iban {
        iban: iban?,
        bic: bic?,
    })
}
