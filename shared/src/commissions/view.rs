//! How a conversion's outcome is shown: who was credited and why, what it pays and how that came about.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Credit, Event, Outcome, State, calculate, explain};
use crate::claims;
use crate::claims::model::{Claim, Evidence, Ruling, Unattributed};
use crate::clock::{Timestamp, days_after};
use crate::edge::App;
use crate::ids::{CouponId, LinkId, PartnerId, PayoutId};
use crate::payouts;
use crate::payouts::model::PayoutState;
use crate::plans::model::PlanVersion;
use crate::programs;
use crate::table::Error;
use crate::tracking::model::{Changes, Facts, PostedStatus};

/// What became of a conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutcomeView {
    /// `received`, `waiting`, `held`, `payable`, `in_transit`, `paid`, `reversed` or `unattributed`.
    #[schema(example = "held")]
    pub state: &'static str,
    /// Who is credited and why; absent until it is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<AttributionView>,
    /// What it pays; absent until it is decided, and when nobody is credited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission: Option<CommissionView>,
}

/// Who is credited with a conversion, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttributionView {
    /// The partner.
    #[schema(value_type = Option<String>)]
    pub partner: Option<PartnerId>,
    /// Why nobody is credited, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The claim that won.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<ClaimView>,
    /// The claims that did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losers: Vec<ClaimView>,
}

/// A claim to a conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClaimView {
    /// `click` or `coupon`.
    #[schema(example = "click")]
    pub kind: &'static str,
    /// The link that was clicked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub link: Option<LinkId>,
    /// When it was clicked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub clicked_at: Option<Timestamp>,
    /// The coupon that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub coupon: Option<CouponId>,
    /// Whose it is, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub partner: Option<PartnerId>,
    /// `won`, `outranked`, or why it does not hold.
    #[schema(example = "won")]
    pub result: &'static str,
    /// The same in words.
    pub explanation: &'static str,
}

/// What a conversion pays, and how that came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CommissionView {
    /// Whom.
    #[schema(value_type = String)]
    pub partner: PartnerId,
    /// By which plan.
    #[schema(example = "standard")]
    pub plan: String,
    /// By which version of it.
    #[schema(example = 1)]
    pub plan_version: u32,
    /// How much.
    #[schema(example = "14.70")]
    pub amount: String,
    /// What of it was posted: all, or nothing when the conversion was reversed before it was credited.
    #[schema(example = "14.70")]
    pub posted: String,
    /// The currency of both.
    #[schema(example = "GBP")]
    pub currency: &'static str,
    /// When its hold passes.
    #[schema(value_type = String, format = DateTime)]
    pub release_at: Timestamp,
    /// When it became payable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub payable_at: Option<Timestamp>,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub reversed_at: Option<Timestamp>,
    /// The payout it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub payout: Option<PayoutId>,
    /// How it was computed, in sentences.
    pub trace: Vec<String>,
}

impl OutcomeView {
    /// The view for the credited partner: other partners' claims are none of its business.
    #[must_use]
    pub fn for_partner(mut self) -> Self {
        if let Some(attribution) = &mut self.attribution {
            attribution.losers.clear();
        }
        self
    }
}

fn claim_view(claim: &Claim, won: bool) -> ClaimView {
    let Claim {
        partner,
        evidence,
        fault,
    } = claim;
    let (result, explanation) = match (won, fault) {
        (true, _) => ("won", "this claim was credited"),
        (false, Some(fault)) => (fault.name(), fault.meaning()),
        (false, None) => ("outranked", "it holds, but another claim ranks above it"),
    };
    let (kind, link, clicked_at, coupon) = match evidence {
        Evidence::Click { link, at } => ("click", Some(*link), Some(*at), None),
        Evidence::Coupon { coupon } => ("coupon", None, None, Some(*coupon)),
    };
    ClaimView {
        kind,
        link,
        clicked_at,
        coupon,
        partner: *partner,
        result,
        explanation,
    }
}

fn attribution_view(ruling: &Ruling, reason: Option<Unattributed>) -> AttributionView {
    AttributionView {
        partner: ruling.winner.as_ref().and_then(|winner| winner.partner),
        reason: reason.map(Unattributed::name),
        evidence: ruling.winner.as_ref().map(|claim| claim_view(claim, true)),
        losers: ruling
            .losers
            .iter()
            .map(|claim| claim_view(claim, false))
            .collect(),
    }
}

/// The state as it is shown. `paid` stands nowhere: it is being in a payout that is settled.
#[must_use]
pub fn state(
    facts: &Facts,
    changes: &Changes,
    outcome: Option<&Outcome>,
    payout: Option<PayoutState>,
) -> &'static str {
    let Some(outcome) = outcome else {
        let counts = facts.status == PostedStatus::Approved
            || changes.approved_at.is_some()
            || !changes.reversals.is_empty();
        return if counts { "received" } else { "waiting" };
    };
    match (outcome.state, payout) {
        (State::InTransit, Some(PayoutState::Settled)) => "paid",
        // Its money is payable again; its line follows in a moment.
        (State::InTransit, Some(state)) if state.gives_back() => State::Payable.name(),
        (state, _) => state.name(),
    }
}

/// One conversion's outcome; see [`views`].
///
/// # Errors
/// The table's.
pub async fn view(
    app: &App,
    facts: &Facts,
    changes: &Changes,
    outcome: Option<&Outcome>,
) -> Result<OutcomeView, Error> {
    let mut views = views(app, &[(facts, changes, outcome)]).await?;
    Ok(views.remove(0))
}

/// Outcomes of conversions as they are shown, in their order: one read of the payouts of all, plans from
/// the cache.
///
/// # Errors
/// The table's.
pub async fn views(
    app: &App,
    conversions: &[(&Facts, &Changes, Option<&Outcome>)],
) -> Result<Vec<OutcomeView>, Error> {
    let payout_of = |outcome: Option<&Outcome>| outcome?.credit.as_ref().ok()?.payout;
    let mut payouts: Vec<PayoutId> = conversions
        .iter()
        .filter_map(|(_, _, outcome)| payout_of(*outcome))
        .collect();
    payouts.sort_unstable();
    payouts.dedup();
    let payouts = if payouts.is_empty() {
        HashMap::new()
    } else {
        payouts::settled(app, &payouts).await?
    };
    let mut views = Vec::with_capacity(conversions.len());
    for (facts, changes, outcome) in conversions {
        let payout = payout_of(*outcome).and_then(|id| payouts.get(&id).copied());
        let state = state(facts, changes, *outcome, payout);
        views.push(shown(app, facts, *outcome, state).await?);
    }
    Ok(views)
}

async fn shown(
    app: &App,
    facts: &Facts,
    outcome: Option<&Outcome>,
    state: &'static str,
) -> Result<OutcomeView, Error> {
    let Some(outcome) = outcome else {
        return Ok(OutcomeView {
            state,
            attribution: None,
            commission: None,
        });
    };
    let attribution = attribution_view(&outcome.ruling, outcome.credit.as_ref().err().copied());
    let commission = match &outcome.credit {
        Err(_) => None,
        Ok(credit) => {
            let versions = programs::plan_versions(app, outcome.program, &credit.plan).await?;
            let plan = versions.as_ref().and_then(|versions| {
                versions
                    .iter()
                    .find(|version| version.version == credit.plan_version)
            });
            Some(commission_view(facts, credit, plan))
        }
    };
    Ok(OutcomeView {
        state,
        attribution: Some(attribution),
        commission,
    })
}

fn commission_view(facts: &Facts, credit: &Credit, plan: Option<&PlanVersion>) -> CommissionView {
    let Credit {
        partner,
        plan: code,
        plan_version,
        pay,
        posted,
        release_at,
        trace,
        payable_at,
        reversed_at,
        payout,
        line: _,
    } = credit;
    let mut sentences = match plan {
        Some(plan) => explain(plan, Event::of(facts, pay.currency()), trace),
        None => Vec::new(),
    };
    if posted != pay {
        sentences.push("It was reversed before it was credited, so nothing was posted.".to_owned());
    }
    CommissionView {
        partner: *partner,
        plan: code.clone(),
        plan_version: *plan_version,
        amount: pay.to_string(),
        posted: posted.to_string(),
        currency: pay.currency().code(),
        release_at: *release_at,
        payable_at: *payable_at,
        reversed_at: *reversed_at,
        payout: *payout,
        trace: sentences,
    }
}

/// How a conversion would be attributed and paid if it were posted now, changing nothing: the state it
/// would get (`held`, `waiting` or `unattributed`), the claims, and the commission.
///
/// # Errors
/// The table's.
pub async fn preview(app: &App, facts: &Facts) -> Result<OutcomeView, Error> {
    let Some(program) = programs::program(app, facts.program).await? else {
        return Ok(OutcomeView {
            state: State::Unattributed.name(),
            attribution: None,
            commission: None,
        });
    };
    let claims::Verdict { ruling, plan, .. } = claims::foresee(app, &program, facts).await?;
    let partner = ruling.winner.as_ref().and_then(|winner| winner.partner);
    let attribution = attribution_view(&ruling, ruling.reason());
    let event = Event::of(facts, program.currency);
    let commission = match (partner, &plan) {
        (Some(partner), Some(plan)) => {
            let (pay, trace) = calculate(plan, event)
                .map_err(|error| Error::Failed(format!("a commission {error}")))?;
            let credit = Credit {
                partner,
                plan: plan.code.clone(),
                plan_version: plan.version,
                pay,
                posted: pay,
                release_at: days_after(facts.occurred_at, plan.hold_days),
                trace,
                payable_at: None,
                reversed_at: None,
                payout: None,
                line: None,
            };
            Some(commission_view(facts, &credit, Some(plan)))
        }
        _ => None,
    };
    let state = match (&commission, facts.status) {
        (None, _) => State::Unattributed.name(),
        (Some(_), PostedStatus::Pending) => "waiting",
        (Some(_), PostedStatus::Approved) => State::Held.name(),
    };
    Ok(OutcomeView {
        state,
        attribution: Some(attribution),
        commission,
    })
}
