//! `/v1/programs/{id}/what-if` and `/v1/what-ifs`: what another plan would have paid; and the history that such a
//! question looks at, to be taken along.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::commissions::fold::measures_subtree;
use tributary::commissions::history::Header;
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Once, Operator, Paper, Path, Problem, Query, Reply, codes,
    path_id,
};
use tributary::ids::{ProgramId, WhatIfId};
use tributary::operators::model::Scope;
use tributary::plans::wire;
use tributary::programs;
use tributary::programs::model::{MAX_CODE, is_plan_code};
use tributary::what_ifs::{self, Exported, Question};

use crate::schema;

/// Ask what another plan would have paid.
///
/// The plan is put over what really happened in a span of time, by the calculation that pays; nothing is touched.
/// A job that goes on step by step: ask `GET /v1/what-ifs/{id}` how far it has come, and
/// `GET /v1/what-ifs/{id}/partners` for each partner. A plan that was in force all the time comes to a `delta` of
/// zero. Kept for 30 days; three are at work at the same time. Asks for the scope `channel` or `finance`.
#[utoipa::path(post, path = "/v1/programs/{id}/what-if", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewWhatIfBody,
    responses((status = 202, description = "Asked", body = schema::WhatIfView),
        (status = 409, description = "`limit_reached`")))]
pub(crate) async fn ask(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel, Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: ProgramId = path_id(&path, "program")?;
    let program = programs::program(&app, id)
        .await?
        .ok_or_else(|| Problem::not_found("program"))?;
    let question = Fields::read(&body.0, |f| {
        let terms = f.object("plan", |f| wire::of_plan(f, program.currency));
        let from = f.time("from");
        let to = f.opt_time("to");
        let replaces = f.opt_parsed(
            "replaces",
            MAX_CODE,
            codes::CHARACTERS_REFUSED,
            "is a plan's code",
            |text| is_plan_code(text).then(|| text.to_owned()),
        );
        Some(Question {
            terms: terms?,
            from: from?,
            to,
            replaces,
        })
    })?;
    if let Some(code) = &question.replaces
        && programs::plan_versions(&app, id, code).await?.is_none()
    {
        let reason = "is no plan of the program";
        return Err(Problem::field(codes::REFERENCE_UNKNOWN, "replaces", reason));
    }
    if question.replaces.is_some() && measures_subtree(&question.terms) {
        let reason = "is not taken where the plan measures what partners below sell: theirs may be paid by others";
        return Err(Problem::field(codes::UNKNOWN_FIELD, "replaces", reason));
    }
    let change = what_ifs::ask(&app, operator.id, id, question).await?;
    let view = schema::what_if(&change.value).map_err(|error| Problem::internal(&error))?;
    let reply = Reply::accepted(&view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get a what-if: how far it has come, and what all partners come to.
#[utoipa::path(get, path = "/v1/what-ifs/{id}", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The what-if's id")),
    responses((status = 200, description = "The what-if", body = schema::WhatIfView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: WhatIfId = path_id(&path, "what-if")?;
    let found = what_ifs::find(&app, id).await?;
    let view = schema::what_if(&found).map_err(|error| Problem::internal(&error))?;
    Ok(Reply::ok(&view))
}

/// List what a what-if comes to for each partner.
#[utoipa::path(get, path = "/v1/what-ifs/{id}/partners", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The what-if's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::WhatIfPartnerListView)))]
pub(crate) async fn partners(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: WhatIfId = path_id(&path, "what-if")?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let list = format!("what-if-partners?id={id}");
    let after = Cursor::read(&list, query.get("cursor"))?;
    let (what_if, found, position) = what_ifs::partners(&app, id, after, limit).await?;
    let items = found
        .iter()
        .map(|(partner, figures)| schema::what_if_partner(*partner, figures, what_if.currency))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::internal(&error))?;
    Ok(Reply::ok(&schema::WhatIfPartnerListView {
        state: what_if.stage.name(),
        items,
        next_cursor: position.map(|position| Cursor::write(&list, &position)),
    }))
}

/// Export a program's history.
///
/// Lines of JSON: a header, then each conversion that was credited, with its event net of what was taken back and
/// what it has paid, and each line that a closed window or a budget posted; partner after partner. It is what
/// `tributary-local what-if` reads. A long one comes in pages: `Tributary-Next-Cursor` says where the next begins,
/// only the first has the header. Customers are keyed hashes. Asks for the scope `finance`.
#[utoipa::path(get, path = "/v1/programs/{id}/history", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("from" = Option<String>, Query, description = "From when on, by the time of the event; from the beginning unless told"),
        ("to" = Option<String>, Query, description = "Until when, the instant not included; until now unless told"),
        ("cursor" = Option<String>, Query, description = "`Tributary-Next-Cursor` of the page before")),
    responses((status = 200, description = "A page", body = String, content_type = "application/jsonl"),
        (status = 422, description = "`cursor_invalid`")))]
pub(crate) async fn history(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let id: ProgramId = path_id(&path, "program")?;
    let (from, to) = Fields::read_pairs(&query.0, |f| {
        let _ = f.raw("cursor");
        Some((f.opt_time("from"), f.opt_time("to")))
    })?;
    let name = format!("history?program={id}&from={from:?}&to={to:?}");
    let place = Cursor::read(&name, query.get("cursor"))?;
    let Exported {
        program,
        lines,
        next,
    } = what_ifs::export(&app, id, (from, to), place.as_deref()).await?;
    let mut bytes = Vec::new();
    let header = place.is_none().then(|| Header {
        tributary_history: 1,
        program: id,
        currency: program.currency.code().to_owned(),
        program_since: program.created_at,
        exported_at: app.now(),
        from,
        to,
    });
    let written = header
        .map(|header| serde_json::to_string(&header))
        .into_iter()
        .chain(lines.iter().map(serde_json::to_string));
    for line in written {
        bytes.extend(line.map_err(|error| Problem::internal(&error))?.bytes());
        bytes.push(b'\n');
    }
    let mut paper = Paper::lines(&format!("history-{id}.jsonl"), bytes);
    if let Some(position) = next {
        paper = paper.fact("tributary-next-cursor", Cursor::write(&name, &position));
    }
    Ok(paper.into_response())
}
