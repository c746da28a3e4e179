//! `/v1/funding-accounts`: the accounts that the vendor pays from.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, Once, Operator, Path, Problem, Query, Reply, codes,
    versioned,
};
use tributary::money::Currency;
use tributary::operators::model::Scope;
use tributary::partners::model::{
    ACCOUNT_TYPES, Address, BankRoute, MAX_ADDRESS_LINE, MAX_POSTCODE, METHOD_KINDS, MethodKind,
    account_number, bic, iban, is_country, routing_number,
};
use tributary::payouts;
use tributary::payouts::FundingDetails;
use tributary::payouts::files::{charset, fitted_holder};
use tributary::payouts::model::{
    AchOrigin, FundingAccount, FundingRoute, Payer, RAILS, Rail, is_in_sepa,
};

use crate::schema;

/// Every field that an account of some kind has.
const FIELDS: [&str; 13] = [
    "rail",
    "paypal_email",
    "iban",
    "bic",
    "routing_number",
    "account_number",
    "account_type",
    "holder",
    "address",
    "company_id",
    "immediate_destination",
    "bank_name",
    "entry_description",
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
/// based on, in `If-Match`. The account is stored sealed and shown masked. What it is decides the `rail` of
/// its batches and so the format of their files: `paypal`; `sepa` for an IBAN and EUR; `nacha` for a US
/// account and USD; `generic`, a CSV, for any other bank account, or for these where `rail` says so. Asks
/// for the scope `finance`.
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
    let (rail, route, payer) = match kind {
        MethodKind::Paypal => {
            let email = f.email("paypal_email")?;
            (Rail::Paypal, FundingRoute::Paypal { email }, None)
        }
        MethodKind::Bank => {
            // Both are read whatever the other says, so that every error is told at once.
            let (named, route) = (f.opt_choice("rail", &RAILS[1..]), bank(f));
            let rail = rail(f, named, route.as_ref(), currency);
            let payer = payer(f, rail, route.as_ref());
            let route = route?;
            let payer = payer?.map(|(holder, address, ach)| Payer {
                holder,
                address,
                route: route.clone(),
                ach,
            });
            (rail?, FundingRoute::Bank(route), payer)
        }
    };
    Some(FundingDetails {
        name: name?,
        currency: currency?,
        route,
        rail,
        payer,
    })
}

/// The rail that was named, if the account reaches it, or else the account's own.
fn rail(
    f: &mut Fields<'_>,
    named: Option<Rail>,
    route: Option<&BankRoute>,
    currency: Option<Currency>,
) -> Option<Rail> {
    let own = Rail::of(&FundingRoute::Bank(route?.clone()), currency?);
    let rail = named.unwrap_or(own);
    if rail != own && rail != Rail::Generic {
        f.refuse(codes::RAIL_UNFIT, "rail", codes::RAIL_UNFIT.meaning);
        return None;
    }
    if let (Rail::Sepa, Some(BankRoute::Iban { iban, .. })) = (rail, route)
        && !is_in_sepa(iban)
    {
        f.refuse(codes::OUTSIDE_SEPA, "iban", codes::OUTSIDE_SEPA.meaning);
        return None;
    }
    Some(rail)
}

type Said = (String, Option<Address>, Option<AchOrigin>);

/// What the rail's file says of the account: `Some(None)` where it says nothing.
fn payer(
    f: &mut Fields<'_>,
    rail: Option<Rail>,
    route: Option<&BankRoute>,
) -> Option<Option<Said>> {
    let Some(rail) = rail else {
        // Which of them belong is not known without the rail, so none is called unknown.
        for field in FIELDS {
            let _ = f.raw(field);
        }
        return None;
    };
    match rail {
        Rail::Paypal => Some(None),
        Rail::Generic => {
            let holder = f.opt_text("holder", MAX_NAME);
            let address = f.opt_object("address", address);
            f.is_sound()
                .then_some(holder.map(|holder| (holder, address, None)))
        }
        Rail::Sepa => {
            let holder = holder(f, rail);
            // Where one of the two banks is outside the European Economic Area the payer's is asked for.
            let address = f.object("address", address);
            Some(Some((holder?, Some(address?), None)))
        }
        Rail::Nacha => {
            let holder = holder(f, rail);
            let ach = ach(f, route);
            Some(Some((holder?, None, Some(ach?))))
        }
    }
}

fn holder(f: &mut Fields<'_>, rail: Rail) -> Option<String> {
    let reason = "has no character that the bank's file takes";
    f.parsed(
        "holder",
        MAX_NAME,
        codes::CHARACTERS_REFUSED,
        reason,
        |text| charset::says_something(&fitted_holder(rail, text)).then(|| text.to_owned()),
    )
}

fn ach(f: &mut Fields<'_>, route: Option<&BankRoute>) -> Option<AchOrigin> {
    let own = match route? {
        BankRoute::Us { routing_number, .. } => Some(routing_number.clone()),
        BankRoute::Iban { .. } => None,
    };
    let company_id = f.parsed(
        "company_id",
        MAX_PART,
        codes::COMPANY_ID_INVALID,
        codes::COMPANY_ID_INVALID.meaning,
        |text| AchOrigin::is_company_id(text).then(|| text.to_owned()),
    );
    let destination = match f.raw("immediate_destination") {
        None => own,
        Some(_) => f.parsed(
            "immediate_destination",
            MAX_PART,
            codes::ROUTING_NUMBER_INVALID,
            codes::ROUTING_NUMBER_INVALID.meaning,
            routing_number,
        ),
    };
    let visible = |text: &str| charset::says_something(&charset::capitals(text, text.len()));
    let reason = "has no character that the bank's file takes";
    let bank_name = f.parsed(
        "bank_name",
        AchOrigin::MAX_BANK_NAME,
        codes::CHARACTERS_REFUSED,
        reason,
        |text| visible(text).then(|| text.to_owned()),
    );
    let entry_description = match f.raw("entry_description") {
        None => Some(AchOrigin::DESCRIPTION.to_owned()),
        Some(_) => f.parsed(
            "entry_description",
            AchOrigin::MAX_DESCRIPTION,
            codes::CHARACTERS_REFUSED,
            reason,
            |text| visible(text).then(|| text.to_owned()),
        ),
    };
    Some(AchOrigin {
        company_id: company_id?,
        destination: destination?,
        bank_name: bank_name?,
        entry_description: entry_description?,
    })
}

fn address(f: &mut Fields<'_>) -> Option<Address> {
    let line1 = f.text("line1", MAX_ADDRESS_LINE);
    let line2 = f.opt_text("line2", MAX_ADDRESS_LINE);
    let city = f.text("city", MAX_ADDRESS_LINE);
    let region = f.opt_text("region", MAX_ADDRESS_LINE);
    let postcode = f.text("postcode", MAX_POSTCODE);
    let country = f.parsed(
        "country",
        MAX_PART,
        codes::COUNTRY_UNKNOWN,
        codes::COUNTRY_UNKNOWN.meaning,
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
