//! `/v1/programs/{id}/payout-schedule`: when a program pays, from what amount on, and above which with a
//! second person's approval.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::edge::{
    App, Body, Fields, IfMatch, Once, Operator, Path, Problem, Reply, codes, path_id, versioned,
};
use tributary::ids::ProgramId;
use tributary::money::Currency;
use tributary::operators::model::Scope;
use tributary::payouts;
use tributary::payouts::model::{
    Cadence, FundingAccount, LAST_DAY, MAX_CUTOFF_DAYS, MAX_ZONE, WEEKDAYS, time_zone,
};
use tributary::payouts::{ScheduleDetails, Setter};

use crate::schema;

/// Every field that a schedule of some kind has.
const FIELDS: [&str; 7] = [
    "weekday",
    "day",
    "time_zone",
    "cutoff_days",
    "funding_account",
    "minimum",
    "approval_above",
];

/// A kind of schedule, of which the day is not read yet.
#[derive(Clone, Copy)]
enum Kind {
    Manual,
    Weekly,
    Monthly,
}

const KINDS: &[(&str, Kind)] = &[
    ("manual", Kind::Manual),
    ("weekly", Kind::Weekly),
    ("monthly", Kind::Monthly),
];

/// Get how a program pays.
#[utoipa::path(get, path = "/v1/programs/{id}/payout-schedule", tag = "payouts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The schedule; its version in `ETag`", body = schema::ScheduleView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let program: ProgramId = path_id(&path, "program")?;
    let schedule = payouts::schedule(&app, program).await?;
    Ok(versioned(schedule.version, &schema::schedule(&schedule)))
}

/// Set how a program pays.
///
/// `weekly` and `monthly` make a batch as that day begins in the time zone, of what was payable `cutoff_days`
/// before: one for each day, never two, and a day that was missed is made up for. `manual` makes none.
/// `minimum` is that of every batch that names no other; a batch of more than `approval_above` waits for the
/// approval of somebody else than its maker. Whoever sets a schedule is the maker of its batches. Asks for
/// the scope `finance`; a change of `approval_above` asks for `admin`.
#[utoipa::path(put, path = "/v1/programs/{id}/payout-schedule", tag = "payouts", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule that is replaced; absent for the first one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ScheduleBody,
    responses((status = 200, description = "Set", body = schema::ScheduleView),
        (status = 403, description = "`forbidden`: `approval_above` is changed by operators with the scope `admin`"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`time_zone_unknown`, `reference_unknown`, `currency_mismatch`, `currency_unsupported`"),
        (status = 428, description = "`if_match_missing`: there is one already")))]
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
    let program: ProgramId = path_id(&path, "program")?;
    let currency = payouts::currency_of(&app, program).await?;
    let details = Fields::read(&body.0, |f| read(f, currency))?;
    let setter = Setter {
        id: operator.id,
        may_change_approval: operator.demand(&[Scope::Admin]).is_ok(),
    };
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = payouts::set_schedule(&app, program, setter, details, based_on).await?;
    let reply = versioned(change.value.version, &schema::schedule(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

fn read(f: &mut Fields<'_>, currency: Currency) -> Option<ScheduleDetails> {
    let Some(kind) = f.choice("kind", KINDS) else {
        // Which of the others belong is not known without it, so none is called unknown.
        for field in FIELDS {
            let _ = f.raw(field);
        }
        return None;
    };
    let cadence = match kind {
        Kind::Manual => Some(Cadence::Manual),
        Kind::Weekly => f.choice("weekday", WEEKDAYS).map(Cadence::Weekly),
        Kind::Monthly => f
            .integer("day", 1, LAST_DAY)
            .and_then(|day| i8::try_from(day).ok())
            .map(Cadence::Monthly),
    };
    let regular = match kind {
        Kind::Manual => Some(None),
        Kind::Weekly | Kind::Monthly => regular(f).map(Some),
    };
    let minimum = f.opt_amount("minimum", currency);
    let approval_above = f.opt_amount("approval_above", currency);
    Some(ScheduleDetails {
        cadence: cadence?,
        regular: regular?,
        minimum,
        approval_above,
    })
}

fn regular(f: &mut Fields<'_>) -> Option<(String, u32, String)> {
    let zone = f.parsed(
        "time_zone",
        MAX_ZONE,
        codes::TIME_ZONE_UNKNOWN,
        codes::TIME_ZONE_UNKNOWN.meaning,
        |text| time_zone(text).map(|_| text.to_owned()),
    );
    let days = f.opt_integer("cutoff_days", 0, MAX_CUTOFF_DAYS);
    let reason = "is 1 to 32 characters of a-z, 0-9 and -";
    let funding_account = f.parsed(
        "funding_account",
        64,
        codes::CHARACTERS_REFUSED,
        reason,
        |text| FundingAccount::is_slug(text).then(|| text.to_owned()),
    );
    let days = u32::try_from(days.unwrap_or(0)).ok();
    Some((zone?, days?, funding_account?))
}
