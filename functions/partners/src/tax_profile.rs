//! `/v1/partners/{id}/tax-profile`: who a partner is to the tax office. Sealed on the way in, the tax number
//! masked on the way out.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tributary::edge::{
    App, Body, Fields, IfMatch, Once, Operator, Path, Principal, Problem, Reply, codes, path_id,
    versioned,
};
use tributary::ids::PartnerId;
use tributary::operators::model::Scope;
use tributary::partners;
use tributary::partners::model::{
    MAX_NAME, MAX_TAX_NUMBER, TaxDetails, VAT_TREATMENTS, VatTreatment, is_country, is_tax_number,
};

use crate::payout_method::address;
use crate::schema;

/// Set who a partner is to the tax office.
///
/// Its invoices are made out in that name. Sealed, and kept apart from everything else. It takes an operator
/// with the scope `finance`.
#[utoipa::path(put, path = "/v1/partners/{id}/tax-profile", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the profile that is replaced; absent for the first one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::TaxProfileBody,
    responses((status = 200, description = "Set; the tax number masked", body = schema::TaxProfileView),
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
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let (country, treatment, details) = read(&body.0)?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change =
        partners::set_tax_profile(&app, id, based_on, country, treatment, &details).await?;
    let view = schema::tax_profile(&change.value, &details);
    let reply = versioned(change.value.version, &view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get who a partner is to the tax office, its tax number masked.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/tax-profile", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "The profile, its version as `ETag`", body = schema::TaxProfileView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let id: PartnerId = path_id(&path, "partner")?;
    principal.may_read(id, &[Scope::Read], "partner")?;
    let (profile, details) = partners::tax_profile(&app, id)
        .await?
        .ok_or_else(|| Problem::not_found("tax profile"))?;
    let view = schema::tax_profile(&profile, &details);
    Ok(versioned(profile.version, &view))
}

fn read(body: &Value) -> Result<(String, Option<VatTreatment>, TaxDetails), Problem> {
    Fields::read(body, |f| {
        let legal_name = f.text("legal_name", MAX_NAME);
        let address = f.object("address", address);
        let country = f.parsed(
            "country",
            64,
            codes::COUNTRY_UNKNOWN,
            "is an ISO 3166 two-letter code such as GB",
            |text| is_country(text).then(|| text.to_owned()),
        );
        let vat_id = number(f, "vat_id");
        let tax_id = number(f, "tax_id");
        let treatment = f.opt_choice("vat_treatment", VAT_TREATMENTS);
        let details = TaxDetails {
            legal_name: legal_name?,
            address: address?,
            vat_id,
            tax_id,
        };
        Some((country?, treatment, details))
    })
}

fn number(f: &mut Fields<'_>, name: &'static str) -> Option<String> {
    let reason = "has capital letters, digits, blanks and - . / with at least one digit";
    f.opt_parsed(
        name,
        MAX_TAX_NUMBER,
        codes::CHARACTERS_REFUSED,
        reason,
        |text| is_tax_number(text).then(|| text.to_owned()),
    )
}
