//! `/v1/commissions` and `/v1/adjustments`: how a commission came about, and what operators do by hand.

use axum::extract::State;
use tributary::clock::{Timestamp, days_after};
use tributary::commissions::explained::{self, TraceView};
use tributary::commissions::hand::{self, Adjusted, NewAdjustment};
use tributary::edge::{App, Body, Fields, Operator, Path, Principal, Problem, Reply, codes};
use tributary::ids::ConversionId;
use tributary::operators::model::Scope;
use tributary::tracking::model::{MAX_REASON, MAX_REFERENCE};

use crate::schema::{AdjustmentBody, AdjustmentView, HeldView, HoldBody};

/// Days from now for which a commission may be held: a year and some, as of what is disputed in court.
const MAX_HOLD_DAYS: u32 = 400;

fn id(text: &str) -> Result<ConversionId, Problem> {
    text.parse().map_err(|_| Problem::not_found("commission"))
}

/// Explain a commission.
///
/// What the plan was told, each step to its amount with the brackets' measures before and after, caps, the
/// rate of exchange, what was posted since, and all of it in sentences. The id is the conversion's, or that
/// of another line of the ledger: an upline's share, a window's close, an adjustment. A partner sees its own.
#[utoipa::path(get, path = "/v1/commissions/{id}/trace", tag = "commissions",
    security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The commission's id")),
    responses((status = 200, description = "How it came about", body = TraceView)))]
pub(crate) async fn trace(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    if let Principal::Operator(operator) = &principal {
        operator.demand(&[Scope::Read])?;
    }
    let view = explained::trace(&app, id(&path)?).await?;
    Ok(Reply::ok(&match &principal {
        Principal::Operator(_) => view,
        Principal::Partner(own) if own.owns(view.partner) => view.for_partner(),
        Principal::Partner(_) => return Err(Problem::not_found("commission")),
    }))
}

/// Move a commission's hold.
///
/// Later or earlier, with what uplines get of it, as long as it is held; or placed anew, in the future, on what
/// is payable and in no payout. At most 400 days from now. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/commissions/{id}/hold", tag = "commissions",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "The commission's id")),
    request_body = HoldBody,
    responses((status = 200, description = "Until when it is held", body = HeldView),
        (status = 409, description = "`wrong_state` when a payout has it, nothing of it is left, or it is payable and would be at once")))]
pub(crate) async fn hold(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Finance])?;
    let commission = id(&path)?;
    let latest = days_after(app.now(), MAX_HOLD_DAYS);
    let (until, reason): (Timestamp, String) = Fields::read(&body.0, |f| {
        let until = f.time("release_at");
        if until.is_some_and(|until| until > latest) {
            f.refuse(
                codes::OUT_OF_RANGE,
                "release_at",
                format!("lies more than {MAX_HOLD_DAYS} days ahead"),
            );
        }
        let reason = f.text("reason", MAX_REASON);
        Some((until?, reason?))
    })?;
    let held = hand::hold(&app, commission, until, &reason).await?;
    Ok(Reply::ok(&HeldView {
        commission: held.conversion.to_string(),
        release_at: until.to_string(),
        reason,
    }))
}

/// Adjust what a partner gets.
///
/// `credit` gives, `debit` takes; it is payable within a minute, and a debit that is more than what is there
/// stands against what comes. The same `adjustment_id` of a partner in a program again changes nothing and
/// answers `duplicate`, so it serves as the idempotency key; with other facts it is refused as
/// `adjustment_mismatch`. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/adjustments", tag = "commissions",
    security(("operator_key" = [])),
    request_body = AdjustmentBody,
    responses((status = 200, description = "`made` or `duplicate`", body = AdjustmentView),
        (status = 409, description = "`adjustment_mismatch`"),
        (status = 422, description = "`currency_mismatch`, `not_enrolled`, `out_of_range` for nothing")))]
pub(crate) async fn adjust(
    State(app): State<App>,
    operator: Operator,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Finance])?;
    let (new, is_debit) = Fields::read(&body.0, |f| {
        let adjustment_id = f.text("adjustment_id", MAX_REFERENCE);
        let program = f.id("program");
        let partner = f.id("partner");
        let is_debit = f.choice("direction", &[("credit", false), ("debit", true)]);
        let amount = crate::money(f);
        if amount.is_some_and(|amount| amount.is_zero()) {
            f.refuse(codes::OUT_OF_RANGE, "amount", "is above zero");
        }
        let reason = f.text("reason", MAX_REASON);
        let about = f.opt_text("about", MAX_REFERENCE);
        let new = NewAdjustment {
            series: hand::Series::Operators,
            adjustment_id: adjustment_id?,
            program: program?,
            partner: partner?,
            amount: amount?,
            reason: reason?,
            about,
        };
        Some((new, is_debit?))
    })?;
    let program = tributary::programs::program(&app, new.program).await?;
    if program.is_some_and(|program| program.currency != new.amount.currency()) {
        return Err(Problem::field(
            codes::CURRENCY_MISMATCH,
            "currency",
            codes::CURRENCY_MISMATCH.meaning,
        ));
    }
    let new = if is_debit {
        NewAdjustment {
            amount: new
                .amount
                .negated()
                .map_err(|error| Problem::internal(&error))?,
            ..new
        }
    } else {
        new
    };
    let (line, status) = match hand::adjust(&app, operator.id, new).await? {
        Adjusted::Made(line) => (line, "made"),
        Adjusted::Already(line) => (line, "duplicate"),
    };
    let amount = line.credit.as_ref().ok().map(|credit| credit.pay);
    Ok(Reply::ok(&AdjustmentView {
        commission: line.conversion.to_string(),
        amount: amount.map(|amount| amount.to_string()),
        currency: amount.map(|amount| amount.currency().code()),
        status,
    }))
}
