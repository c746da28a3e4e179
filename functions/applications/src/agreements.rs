//! `/v1/programs/{id}/agreements`: a program's terms, and who accepted them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::agreements::model::{BLOCKABLE, Blocked, MAX_TEXT, MAX_TITLE, Signer};
use tributary::agreements::{self, NewAgreement};
use tributary::edge::{
    App, Body, ClientAddress, Fields, Once, Operator, PartnerPrincipal, Path, Principal, Problem,
    Query, Reply, codes, path_id,
};
use tributary::ids::{PartnerId, ProgramId};
use tributary::operators::model::Scope;

use crate::schema;

/// Characters of a hash.
const MAX_HASH: usize = 64;
/// Tries to accept while others of the partner accept too.
const MAX_TRIES: usize = 4;

/// Publish a program's next terms.
///
/// Every partner of the program is told by mail, and may accept them before they take effect; those who have not
/// are told again seven days before. From then on they block for those who have not accepted them what `blocks`
/// says. What is published never changes. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs/{id}/agreements", tag = "agreements", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewAgreementBody,
    responses((status = 201, description = "Published", body = schema::AgreementView),
        (status = 422, description = "`time_in_past`: it would hold before the present, or before the version before")))]
pub(crate) async fn publish(
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
    let program: ProgramId = path_id(&path, "program")?;
    let new = Fields::read(&body.0, |f| {
        let title = f.text("title", MAX_TITLE);
        let text = f.prose("text", MAX_TEXT);
        let effective_at = f.opt_time("effective_at");
        let blocks = blocked(f);
        Some(NewAgreement {
            title: title?,
            text: text?,
            effective_at,
            blocks: blocks?,
        })
    })?;
    let change = agreements::publish(&app, program, operator.id, new).await?;
    let reply = Reply::created(&schema::agreement(&change.value, true));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

fn blocked(f: &mut Fields<'_>) -> Option<Vec<Blocked>> {
    let names = f
        .opt_texts("blocks", 0, BLOCKABLE.len(), MAX_HASH)
        .unwrap_or_default();
    let mut found = Vec::with_capacity(names.len());
    for (position, name) in names.iter().enumerate() {
        match BLOCKABLE.iter().find(|(known, _)| known == name) {
            Some((_, what)) => found.push(*what),
            None => {
                let known: Vec<&str> = BLOCKABLE.iter().map(|(name, _)| *name).collect();
                let reason = format!("is one of: {}", known.join(", "));
                f.refuse(codes::NOT_ONE_OF, &format!("blocks[{position}]"), reason);
            }
        }
    }
    (found.len() == names.len()).then_some(found)
}

/// Goes on for an operator who reads, or a partner of the program.
async fn may_read(app: &App, principal: &Principal, program: ProgramId) -> Result<(), Problem> {
    match principal {
        Principal::Operator(operator) => operator.demand(&[Scope::Read]),
        Principal::Partner(partner) => Ok(agreements::of_partner(app, program, partner.id).await?),
    }
}

/// List a program's terms, the newest first, without their texts.
///
/// For operators and for the program's partners.
#[utoipa::path(get, path = "/v1/programs/{id}/agreements", tag = "agreements", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "All versions", body = schema::AgreementListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let program: ProgramId = path_id(&path, "program")?;
    may_read(&app, &principal, program).await?;
    let found = agreements::list(&app, program).await?;
    let items = found
        .iter()
        .map(|agreement| schema::agreement(agreement, false));
    Ok(Reply::ok(&schema::AgreementListView {
        items: items.collect(),
    }))
}

/// Get a version of a program's terms, with its text.
///
/// For operators and for the program's partners.
#[utoipa::path(get, path = "/v1/programs/{id}/agreements/{version}", tag = "agreements", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("version" = u32, Path, description = "The version's number")),
    responses((status = 200, description = "The version", body = schema::AgreementView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path((path, version)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    let program: ProgramId = path_id(&path, "program")?;
    may_read(&app, &principal, program).await?;
    let found = agreements::find(&app, program, path_id(&version, "agreement")?).await?;
    Ok(Reply::ok(&schema::agreement(&found, true)))
}

/// Accept a version of a program's terms.
///
/// For the program's partners. The hash says which text was read; who, when and from which network address is
/// recorded with it. A second time changes nothing.
#[utoipa::path(post, path = "/v1/programs/{id}/agreements/{version}/acceptances", tag = "agreements", security(("partner_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("version" = u32, Path, description = "The version's number"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::AcceptanceBody,
    responses((status = 201, description = "Accepted", body = schema::AcceptanceView),
        (status = 422, description = "`hash_mismatch`: the hash is of another text")))]
pub(crate) async fn accept(
    State(app): State<App>,
    partner: PartnerPrincipal,
    Path((path, version)): Path<(String, String)>,
    address: ClientAddress,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&partner.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let program: ProgramId = path_id(&path, "program")?;
    let version = path_id(&version, "agreement")?;
    let hash = Fields::read(&body.0, |f| f.text("hash", MAX_HASH))?;
    let signer = Signer {
        address: address.text,
        member: partner.member.map(|member| member.to_string()),
    };
    let terms = (program, version);
    let mut tries = 1;
    loop {
        let signer = signer.clone();
        let change =
            agreements::accept(&app, terms, partner.id, partner.key, &hash, signer).await?;
        let reply = Reply::created(&schema::acceptance(&change.value, None));
        let answered = once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answered {
            // Another one of the partner accepted at the same moment: that is the acceptance.
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answered => return answered,
        }
    }
}

/// List what a partner accepted of a program's terms.
///
/// A partner lists its own. Only operators see from which network address.
#[utoipa::path(get, path = "/v1/partners/{id}/agreements", tag = "agreements", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("program" = String, Query, description = "The program's id")),
    responses((status = 200, description = "What was accepted, by version", body = schema::AcceptanceListView)))]
pub(crate) async fn accepted(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["program"])?;
    let partner: PartnerId = path_id(&path, "partner")?;
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let program: ProgramId = query
        .id("program")?
        .ok_or_else(|| Problem::field(codes::REQUIRED, "program", "is missing"))?;
    let found = agreements::acceptances(&app, partner, program).await?;
    let sees_signer = matches!(principal, Principal::Operator(_));
    let items = found.iter().map(|(acceptance, signer)| {
        schema::acceptance(acceptance, signer.as_ref().filter(|_| sees_signer))
    });
    Ok(Reply::ok(&schema::AcceptanceListView {
        items: items.collect(),
    }))
}
