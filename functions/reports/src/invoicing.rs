//! `/v1/programs/{id}/invoicing` and `/v1/invoices`: how a program's self-billing invoices are written, and
//! those that were.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, Once, Operator, Paper, Path, Principal, Problem,
    Query, Reply, codes, path_id, versioned,
};
use tributary::ids::{InvoiceId, PartnerId, ProgramId};
use tributary::invoices::model::{
    MAX_LEGAL_TEXT, MAX_PREFIX, PRICINGS, Pricing, VatTerms, default_prefix, is_prefix,
};
use tributary::invoices::{self, Found, Settings, page};
use tributary::operators::model::Scope;
use tributary::partners;
use tributary::partners::model::{
    Address, MAX_ADDRESS_LINE, MAX_NAME, MAX_POSTCODE, MAX_TAX_NUMBER, TaxDetails, VAT_TREATMENTS,
    VatTreatment, is_country, is_tax_number,
};

use crate::schema;

/// Set how a program's self-billing invoices are written.
///
/// While `enabled`, each payout that is settled gets an invoice in the partner's name, with the next number of
/// the program's one series, which has no gaps; a payout that comes back after that gets a credit note with a
/// number of its own. A partner without a tax profile waits for its invoices until it has one. What was issued
/// never changes. Asks for the scope `finance`.
#[utoipa::path(put, path = "/v1/programs/{id}/invoicing", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the settings that are replaced; absent for the first ones"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::InvoicingBody,
    responses((status = 200, description = "Set", body = schema::InvoicingView),
        (status = 412, description = "`version_stale`"),
        (status = 428, description = "`if_match_missing`: there are some already")))]
pub(crate) async fn set(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: ProgramId = path_id(&path, "program")?;
    let settings = settings(id, &body.0)?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = invoices::set(&app, id, based_on, settings).await?;
    let view = schema::invoicing(&change.value);
    let reply = versioned(change.value.version, &view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get how a program's self-billing invoices are written.
#[utoipa::path(get, path = "/v1/programs/{id}/invoicing", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The settings, their version as `ETag`", body = schema::InvoicingView)))]
pub(crate) async fn find_settings(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let settings = invoices::settings(&app, path_id(&path, "program")?).await?;
    Ok(versioned(settings.version, &schema::invoicing(&settings)))
}

fn settings(program: ProgramId, body: &Value) -> Result<Settings, Problem> {
    Fields::read(body, |f| {
        let enabled = f.opt_flag("enabled");
        let issuer = f.object("issuer", issuer);
        let reason = "has letters, digits, - and /";
        let prefix = f.opt_parsed(
            "prefix",
            MAX_PREFIX,
            codes::CHARACTERS_REFUSED,
            reason,
            |text| is_prefix(text).then(|| text.to_owned()),
        );
        let legal_text = f.opt_text("legal_text", MAX_LEGAL_TEXT);
        let vat = f.object("vat", vat);
        Some(Settings {
            enabled: enabled.unwrap_or(true),
            issuer: issuer?,
            prefix: prefix.unwrap_or_else(|| default_prefix(program)),
            legal_text,
            vat: vat?,
        })
    })
}

fn issuer(f: &mut Fields<'_>) -> Option<TaxDetails> {
    let number = |f: &mut Fields<'_>, name| {
        let reason = "has capital letters, digits, blanks and - . / with at least one digit";
        let code = codes::CHARACTERS_REFUSED;
        f.opt_parsed(name, MAX_TAX_NUMBER, code, reason, |text| {
            is_tax_number(text).then(|| text.to_owned())
        })
    };
    let legal_name = f.text("legal_name", MAX_NAME);
    let address = f.object("address", address);
    let vat_id = number(f, "vat_id");
    let tax_id = number(f, "tax_id");
    Some(TaxDetails {
        legal_name: legal_name?,
        address: address?,
        vat_id,
        tax_id,
    })
}

fn address(f: &mut Fields<'_>) -> Option<Address> {
    let line1 = f.text("line1", MAX_ADDRESS_LINE);
    let line2 = f.opt_text("line2", MAX_ADDRESS_LINE);
    let city = f.text("city", MAX_ADDRESS_LINE);
    let region = f.opt_text("region", MAX_ADDRESS_LINE);
    let postcode = f.text("postcode", MAX_POSTCODE);
    let reason = "is an ISO 3166 two-letter code such as GB";
    let country = f.parsed("country", 64, codes::COUNTRY_UNKNOWN, reason, |text| {
        is_country(text).then(|| text.to_owned())
    });
    Some(Address {
        line1: line1?,
        line2,
        city: city?,
        region,
        postcode: postcode?,
        country: country?,
    })
}

fn vat(f: &mut Fields<'_>) -> Option<VatTerms> {
    let treatment = f.choice("treatment", VAT_TREATMENTS);
    // Either may be given whatever the program's treatment is: a partner may have another one.
    let is_domestic = treatment == Some(VatTreatment::Domestic);
    let rate = if is_domestic || f.raw("rate").is_some() {
        f.rate("rate").map(Some)
    } else {
        Some(None)
    };
    let pricing = f.opt_choice("pricing", PRICINGS);
    let text = if treatment == Some(VatTreatment::ReverseCharge) {
        f.text("reverse_charge_text", MAX_LEGAL_TEXT).map(Some)
    } else {
        Some(f.opt_text("reverse_charge_text", MAX_LEGAL_TEXT))
    };
    Some(VatTerms {
        treatment: treatment?,
        rate: rate?,
        pricing: pricing.unwrap_or(Pricing::Inclusive),
        reverse_charge_text: text?,
    })
}

/// List a program's invoices and credit notes by their numbers.
///
/// And the payouts that wait for theirs, with the reason: `tax_profile_missing` or `vat_terms_missing`; none
/// when it is about to be issued.
#[utoipa::path(get, path = "/v1/programs/{id}/invoices", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::InvoiceSeriesView)))]
pub(crate) async fn of_program(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: ProgramId = path_id(&path, "program")?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("invoices?program={id}");
    let after = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = invoices::of_program(&app, id, after, limit).await?;
    let waiting = invoices::waiting(&app, id).await?;
    Ok(Reply::ok(&schema::InvoiceSeriesView {
        items: found.iter().map(schema::invoice).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
        waiting: waiting.iter().map(schema::waiting).collect(),
    }))
}

/// List a partner's invoices and credit notes, newest first.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/invoices", tag = "reports", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::InvoiceListView)))]
pub(crate) async fn of_partner(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    let id: PartnerId = path_id(&path, "partner")?;
    principal.may_read(id, &[Scope::Read], "partner")?;
    query.only(&["limit", "cursor"])?;
    if partners::partner(&app, id).await?.is_none() {
        return Err(Problem::not_found("partner"));
    }
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("invoices?partner={id}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = invoices::of_partner(&app, id, below, limit).await?;
    Ok(Reply::ok(&schema::InvoiceListView {
        items: found.iter().map(schema::invoice).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Get one invoice or credit note.
///
/// As JSON, or as a page to print, which is byte for byte the same for ever. A partner reads its own.
#[utoipa::path(get, path = "/v1/invoices/{id}", tag = "reports", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The invoice's id"),
        ("format" = Option<String>, Query, description = "`json` or `html`; `json` unless told")),
    responses((status = 200, description = "The invoice", content(
        (schema::InvoiceWithPartyView = "application/json"), (String = "text/html")))))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    let id: InvoiceId = path_id(&path, "invoice")?;
    let is_page = Fields::read_pairs(&query.0, |f| {
        let format = f.opt_choice("format", &[("json", false), ("html", true)]);
        Some(format.unwrap_or(false))
    })?;
    let Found { invoice, party } = invoices::find(&app, id).await?;
    principal.may_read(invoice.partner, &[Scope::Read], "invoice")?;
    if is_page {
        return Ok(Paper::html(page::html(&invoice, party.as_ref())).into_response());
    }
    let view = schema::InvoiceWithPartyView {
        invoice: schema::invoice(&invoice),
        supplier: party.as_ref().map(schema::tax_party),
        recipient: schema::tax_party(&invoice.issuer),
        legal_text: invoice.legal_text.clone(),
    };
    Ok(Reply::ok(&view).into_response())
}
