//! A program's rules, and what others would have done.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tributary::edge::{
    App, Body, Fields, IfMatch, Once, Operator, Path, Problem, Reply, versioned,
};
use tributary::leads::model::Routing;
use tributary::leads::{self, Placed, Simulation, wire};
use tributary::operators::model::Scope;

use crate::{program_id, schema};

/// Leads that a simulation goes over unless told.
const SIMULATED: i64 = 100;
/// The most leads that a simulation goes over: a second's work with thousands of partners.
const MAX_SIMULATED: i64 = 200;

/// Get how a program distributes its leads.
///
/// What was never said: no rules, so that every lead waits for an operator, a day to accept an offer, nothing
/// taken back, no public form.
#[utoipa::path(get, path = "/v1/programs/{id}/routing", tag = "leads", operation_id = "read_routing", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The rules, their version as `ETag`", body = schema::RoutingBody)))]
pub(crate) async fn read(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let routing = leads::find_routing(&app, program_id(&path)?).await?;
    Ok(versioned(routing.version, &wire::routing_json(&routing)))
}

/// Set how a program distributes its leads.
///
/// Rules are tried in their order: the first that is for the lead, and under which somebody is eligible, chooses.
/// A rule's code names whose turn it is in a round robin, which goes on when the rule changes. Asks for the scope
/// `channel`, and for `If-Match` once something was set.
#[utoipa::path(put, path = "/v1/programs/{id}/routing", tag = "leads", operation_id = "say_routing", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that was read; needed once there is one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::RoutingBody,
    responses((status = 200, description = "Set", body = schema::RoutingBody),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "Each wrong field with its reason; `reference_unknown` for what the program's channel does not have"),
        (status = 428, description = "`if_match_missing`")))]
pub(crate) async fn say(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let program = program_id(&path)?;
    let routing = Fields::read(&body.0, |f| wire::routing(f, program, 0))?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = leads::say_routing(&app, based_on, routing).await?;
    let reply = |routing: &Routing| versioned(routing.version, &wire::routing_json(routing));
    once.commit(&app, change, reply, |routing| reply(&routing))
        .await
}

/// See what other rules would have done.
///
/// Routes the last leads over these rules, in the order in which they came in, with the partners as they are
/// described now and the leads they have open now, and nobody's turn before another's. Nothing is changed.
/// Claims are left aside: rules do not change them.
#[utoipa::path(post, path = "/v1/programs/{id}/routing:simulate", tag = "leads", operation_id = "simulate_routing", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    request_body = schema::SimulationBody,
    responses((status = 200, description = "Each lead with its first partner and the one it would have had, and how many each partner had and would have had", body = schema::SimulationView),
        (status = 422, description = "Each wrong field with its reason")))]
pub(crate) async fn simulate(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let program = program_id(&path)?;
    let (rules, last) = read_simulation(&body.0)?;
    let simulation = leads::simulate(&app, program, &rules, last).await?;
    Ok(Reply::ok(&view(simulation)))
}

fn read_simulation(body: &Value) -> Result<(Vec<tributary::leads::routing::Rule>, usize), Problem> {
    Fields::read(body, |f| {
        let rules = wire::rules(f);
        let last = f.opt_integer("last", 1, MAX_SIMULATED).unwrap_or(SIMULATED);
        Some((rules?, usize::try_from(last).ok()?))
    })
}

fn view(simulation: Simulation) -> schema::SimulationView {
    let Simulation { leads, partners } = simulation;
    let changed = leads.iter().filter(|lead| lead.was != lead.would).count();
    schema::SimulationView {
        changed,
        partners: partners
            .into_iter()
            .map(|(partner, (was, would))| schema::SimulatedPartnerView {
                partner: partner.map(|partner| partner.to_string()),
                was,
                would,
            })
            .collect(),
        leads: leads
            .into_iter()
            .map(|placed| {
                let Placed {
                    lead,
                    received_at,
                    was,
                    would,
                    rule,
                } = placed;
                schema::SimulatedLeadView {
                    lead: lead.to_string(),
                    received_at: received_at.to_string(),
                    was: was.map(|partner| partner.to_string()),
                    would: would.map(|partner| partner.to_string()),
                    rule,
                }
            })
            .collect(),
    }
}
