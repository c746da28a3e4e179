//! How a conversion's outcome is shown: who was credited and why, what it pays and how that came about.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::book::{Known, place};
use super::booking;
use super::explained::told;
use super::model::{
    Credit, Missing, Outcome, Part, Source, State, entry, exchange, missing, net_applied, price,
    share_id, waiting,
};
use super::store;
use super::trace::{aftermath, explain};
use crate::claims;
use crate::claims::model::{Claim, Evidence, Ruling, Unattributed};
use crate::clock::{Timestamp, date_of, days_after};
use crate::edge::App;
use crate::ids::{ConversionId, CouponId, DisputeId, LinkId, PartnerId, PayoutId, ProgramId};
use crate::payouts;
use crate::payouts::model::PayoutState;
use crate::plans::model::{ASSIGNED_BY, AssignedBy, PlanVersion, name_in};
use crate::programs;
use crate::rates;
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
    /// The claim of the partner that registered the customer together with that one: it wins its share beside it,
    /// as a commission of its own; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<ClaimView>,
    /// The claims that did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losers: Vec<ClaimView>,
}

/// A claim to a conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClaimView {
    /// `direct`, `deal`, `lead`, `coupon`, `referral`, `click`, or `decision` for an operator's word.
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
    /// The dispute that was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub dispute: Option<DisputeId>,
    /// The deal, the lead, or the vendor's or referrer's claim that is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "deal_01k9x8t3v5n2m7q4r6s8w0y2za")]
    pub registered: Option<String>,
    /// From when on that held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Whose it is, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub partner: Option<PartnerId>,
    /// Its share of the conversion's amounts, where it does not win all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.70")]
    pub share: Option<String>,
    /// The commission's id, of one that wins beside another.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub commission: Option<ConversionId>,
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
    /// What was posted first: all of it, with what it changed for others of its window; nothing when the
    /// conversion was reversed before it was credited.
    #[schema(example = "14.70")]
    pub posted: String,
    /// What was posted in all, corrections included.
    #[schema(example = "14.70")]
    pub total: String,
    /// What assigned the plan: `link`, `partner` or `program`.
    #[schema(example = "partner")]
    pub assigned_by: &'static str,
    /// The currency of all.
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
            attribution.beside = None;
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
        share,
    } = claim;
    let (result, explanation) = match (won, fault) {
        (true, _) => ("won", "this claim was credited"),
        (false, Some(fault)) => (fault.name(), fault.meaning()),
        (false, None) => ("outranked", "it holds, but another claim ranks above it"),
    };
    let view = ClaimView {
        kind: "",
        link: None,
        clicked_at: None,
        coupon: None,
        dispute: None,
        registered: None,
        since: None,
        partner: *partner,
        share: share.map(|share| share.to_string()),
        commission: None,
        result,
        explanation,
    };
    match evidence {
        Evidence::Click { link, at } => ClaimView {
            kind: "click",
            link: Some(*link),
            clicked_at: Some(*at),
            ..view
        },
        Evidence::Coupon { coupon } => ClaimView {
            kind: "coupon",
            coupon: Some(*coupon),
            ..view
        },
        Evidence::Decision { dispute } => ClaimView {
            kind: "decision",
            dispute: Some(*dispute),
            ..view
        },
        Evidence::Registered { right, since } => ClaimView {
            kind: right.kind().name(),
            registered: Some(right.id()),
            since: Some(*since),
            ..view
        },
    }
}

fn attribution_view(
    conversion: ConversionId,
    ruling: &Ruling,
    reason: Option<Unattributed>,
) -> AttributionView {
    AttributionView {
        partner: ruling.winner.as_ref().and_then(|winner| winner.partner),
        reason: reason.map(Unattributed::name),
        evidence: ruling.winner.as_ref().map(|claim| claim_view(claim, true)),
        beside: ruling.beside.as_ref().map(|claim| ClaimView {
            commission: Some(share_id(conversion)),
            ..claim_view(claim, true)
        }),
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
        // One that waits for its approval has no outcome to come, whatever part of it was taken back.
        return match missing(Some(facts), changes, None) {
            Missing::Credit => "received",
            _ => "waiting",
        };
    };
    // What is left of its line is what it changed for others of its window.
    if outcome
        .credit
        .as_ref()
        .is_ok_and(|credit| credit.reversed_at.is_some())
    {
        return State::Reversed.name();
    }
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
        views.push(shown(app, facts, changes, *outcome, state).await?);
    }
    Ok(views)
}

async fn shown(
    app: &App,
    facts: &Facts,
    changes: &Changes,
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
    let attribution = attribution_view(
        outcome.conversion,
        &outcome.ruling,
        outcome.credit.as_ref().err().copied(),
    );
    let commission = match &outcome.credit {
        Err(_) => None,
        Ok(credit) => {
            let plan = plan_of(app, outcome.program, credit).await?;
            Some(commission_view(
                facts,
                changes,
                outcome,
                credit,
                plan.as_ref(),
            ))
        }
    };
    Ok(OutcomeView {
        state,
        attribution: Some(attribution),
        commission,
    })
}

/// The plan version that a commission was computed with; none for an adjustment.
pub(super) async fn plan_of(
    app: &App,
    program: ProgramId,
    credit: &Credit,
) -> Result<Option<PlanVersion>, Error> {
    if credit.plan.is_empty() {
        return Ok(None);
    }
    let versions = programs::plan_versions(app, program, &credit.plan).await?;
    Ok(versions.as_ref().and_then(|versions| {
        let version = |one: &&PlanVersion| one.version == credit.plan_version;
        versions.iter().find(version).cloned()
    }))
}

/// How a commission came about, in sentences.
pub(super) fn sentences(
    said: Option<(&Facts, &Changes)>,
    outcome: &Outcome,
    credit: &Credit,
    plan: Option<&PlanVersion>,
) -> Vec<String> {
    let mut sentences = Vec::new();
    if let (Some(plan), Some((facts, changes)), Source::Conversion | Source::Share { .. }) =
        (plan, said, &outcome.source)
        && let Some(told) = told(facts, changes, credit)
    {
        sentences.extend(explain(plan, &told, credit));
    }
    sentences.extend(aftermath(plan, credit, &outcome.source));
    sentences
}

fn commission_view(
    facts: &Facts,
    changes: &Changes,
    outcome: &Outcome,
    credit: &Credit,
    plan: Option<&PlanVersion>,
) -> CommissionView {
    CommissionView {
        partner: credit.partner,
        plan: credit.plan.clone(),
        plan_version: credit.plan_version,
        amount: credit.pay.to_string(),
        posted: credit.posted.to_string(),
        total: credit.total.to_string(),
        assigned_by: name_in(ASSIGNED_BY, credit.assigned_by),
        currency: credit.pay.currency().code(),
        release_at: credit.release_at,
        payable_at: credit.payable_at,
        reversed_at: credit.reversed_at,
        payout: credit.payout,
        trace: sentences(Some((facts, changes)), outcome, credit, plan),
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
    let verdict = claims::foresee(app, &program, facts).await?;
    let (plan, assigned_by) = (verdict.plan.clone(), verdict.assigned_by);
    let ruling = verdict.ruling;
    let partner = ruling.winner.as_ref().and_then(|winner| winner.partner);
    let attribution = attribution_view(facts.id, &ruling, ruling.reason());
    let (Some(partner), Some(plan)) = (partner, plan) else {
        return Ok(OutcomeView {
            state: State::Unattributed.name(),
            attribution: Some(attribution),
            commission: None,
        });
    };
    let failed = |error: crate::money::MoneyError| Error::Failed(format!("a commission {error}"));
    let currency = program.currency;
    let rate = if facts.currency == currency {
        None
    } else {
        let found = rates::at(app, facts.currency, currency, date_of(facts.occurred_at)).await?;
        let Some(rate) = found else {
            let outcome = waiting(facts, ruling, app.now());
            return Ok(OutcomeView {
                state: outcome.state.name(),
                attribution: Some(attribution),
                commission: None,
            });
        };
        Some(exchange(&rate))
    };
    let known = Known {
        occurred_at: facts.occurred_at,
        known_at: facts.received_at,
        program_since: program.created_at,
    };
    let placed = place(&plan, partner, facts.id, facts.customer.as_deref(), known);
    let changes = Changes::default();
    let net = net_applied(facts, &changes, &[]);
    let part = Part::of_winner(&ruling);
    let known_since =
        store::customers::known_since(&app.main, facts, partner, &plan, &placed).await?;
    let told = entry(
        facts,
        net,
        partner,
        (placed.counted_at, known_since),
        rate.as_ref(),
        currency,
        part,
    )
    .map_err(failed)?;
    let (paid, posted) = match &placed.book {
        Some(book) => booking::foresee(app, book, &plan, &told, currency).await?,
        None => {
            let paid = price(&plan, &told, currency).map_err(failed)?;
            let posted = paid.pay;
            (paid, posted)
        }
    };
    let grant = super::model::Grant {
        partner,
        plan: plan.code.clone(),
        plan_version: plan.version,
        assigned_by: assigned_by.unwrap_or(AssignedBy::Partner),
        posted: vec![posted.minor()],
        paid: Some(paid),
        release_at: days_after(facts.occurred_at, plan.hold_days),
        book: placed.book.map(|book| (book, placed.counted_at)),
        uplines: Vec::new(),
        measured_by: Vec::new(),
        applied: Vec::new(),
        exchange: rate,
        known_since,
        part,
        shared: false,
    };
    let outcome = super::model::credited(facts, ruling, grant, currency, app.now());
    let commission = outcome
        .credit
        .as_ref()
        .ok()
        .map(|credit| commission_view(facts, &changes, &outcome, credit, Some(&plan)));
    Ok(OutcomeView {
        state: match facts.status {
            PostedStatus::Pending => "waiting",
            PostedStatus::Approved => State::Held.name(),
        },
        attribution: Some(attribution),
        commission,
    })
}
