//! What conversions look like.

use serde::Serialize;
use tributary::commissions::view::{AttributionView, CommissionView, OutcomeView};
use tributary::ids::PartnerId;
use tributary::tracking::Conversion;
use tributary::tracking::model::{Facts, PostedStatus, Reversal};
use utoipa::ToSchema;

use crate::time;

/// A request to take a conversion back.
#[derive(ToSchema)]
#[schema(as = NewReversal, example = json!({"reversal_id": "refund-1001", "reason": "goods returned"}))]
pub struct ReversalBody {
    /// Your id of the reversal, at most 128 characters.
    pub reversal_id: String,
    /// Why, at most 200 characters.
    pub reason: String,
}

/// What became of a reversal.
#[derive(Serialize, ToSchema)]
#[schema(as = ReversalReceipt, example = json!({"conversion": "cnv_5xk0w4w4d6r8zq2m3n7p9t1v3y", "reversal_id": "refund-1001", "status": "reversed"}))]
pub struct ReversalReceiptView {
    /// The conversion.
    pub conversion: String,
    /// The reversal.
    pub reversal_id: String,
    /// `reversed` or `duplicate`.
    pub status: &'static str,
}

/// A conversion with its attribution and outcome.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversion)]
pub struct ConversionView {
    /// Id.
    pub id: String,
    /// Its program.
    pub program: String,
    /// `received`, `waiting`, `held`, `payable`, `in_transit`, `paid`, `reversed` or `unattributed`.
    pub state: &'static str,
    /// What happened.
    #[schema(example = "sale")]
    pub event: String,
    /// The reporter's id of the transaction.
    #[schema(example = "order-1001")]
    pub transaction_id: String,
    /// The click id that it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// The coupon that it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// Its amount, if it has one.
    #[schema(example = "49.00")]
    pub amount: Option<String>,
    /// The amount's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "GBP")]
    pub currency: Option<&'static str>,
    /// How many.
    pub quantity: u32,
    /// What it was first reported as: `approved` or `pending`.
    pub reported: &'static str,
    /// When it happened.
    #[schema(format = DateTime)]
    pub occurred_at: String,
    /// When it was acknowledged.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// When a pending one was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub approved_at: Option<String>,
    /// `sub1` to `sub5`, as far as they were reported.
    #[serde(skip_serializing_if = "SubsView::is_empty")]
    pub subs: SubsView,
    /// Requests to take it back, oldest first. The first did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reversals: Vec<ReversalView>,
    /// Who is credited, with the evidence; absent until it is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<AttributionView>,
    /// What came of it; absent until it is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ResultView>,
}

/// Sub ids.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Subs)]
pub struct SubsView {
    /// First.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub1: Option<String>,
    /// Second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub2: Option<String>,
    /// Third.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub3: Option<String>,
    /// Fourth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub4: Option<String>,
    /// Fifth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub5: Option<String>,
}

impl SubsView {
    fn is_empty(&self) -> bool {
        [&self.sub1, &self.sub2, &self.sub3, &self.sub4, &self.sub5]
            .iter()
            .all(|sub| sub.is_none())
    }
}

/// A request to take a conversion back, as it was made.
#[derive(Serialize, ToSchema)]
#[schema(as = Reversal)]
pub struct ReversalView {
    /// The caller's id of it.
    pub reversal_id: String,
    /// Why.
    pub reason: String,
    /// When it was acknowledged.
    #[schema(format = DateTime)]
    pub at: String,
}

/// What came of a conversion.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversionOutcome)]
pub struct ResultView {
    /// Who is credited.
    pub partner: Option<String>,
    /// Why nobody is credited, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "click_expired")]
    pub reason: Option<&'static str>,
    /// What the plan pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "14.70")]
    pub commission: Option<String>,
    /// What of it was posted: all, or nothing when the conversion was reversed before it was credited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "14.70")]
    pub posted: Option<String>,
    /// The currency of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "GBP")]
    pub currency: Option<&'static str>,
    /// By which plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "standard")]
    pub plan: Option<String>,
    /// By which version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_version: Option<u32>,
    /// When its hold passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub release_at: Option<String>,
    /// When it became payable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub payable_at: Option<String>,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub reversed_at: Option<String>,
    /// The payout that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payout: Option<String>,
    /// How the commission was computed, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
}

impl ResultView {
    fn of(attribution: &AttributionView, commission: Option<CommissionView>) -> Self {
        let undecided = Self {
            partner: attribution.partner.map(|partner| partner.to_string()),
            reason: attribution.reason,
            commission: None,
            posted: None,
            currency: None,
            plan: None,
            plan_version: None,
            release_at: None,
            payable_at: None,
            reversed_at: None,
            payout: None,
            trace: Vec::new(),
        };
        let Some(commission) = commission else {
            return undecided;
        };
        let CommissionView {
            partner,
            plan,
            plan_version,
            amount,
            posted,
            currency,
            release_at,
            payable_at,
            reversed_at,
            payout,
            trace,
        } = commission;
        Self {
            partner: Some(partner.to_string()),
            reason: undecided.reason,
            commission: Some(amount),
            posted: Some(posted),
            currency: Some(currency),
            plan: Some(plan),
            plan_version: Some(plan_version),
            release_at: Some(time(release_at)),
            payable_at: payable_at.map(time),
            reversed_at: reversed_at.map(time),
            payout: payout.map(|payout| payout.to_string()),
            trace,
        }
    }
}

/// A page of conversions.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversionList)]
pub struct ConversionListView {
    /// Newest first.
    pub items: Vec<ConversionView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

impl ConversionView {
    pub(crate) fn of(conversion: &Conversion, outcome: OutcomeView) -> Self {
        let Conversion {
            facts,
            changes,
            outcome: _,
        } = conversion;
        let Facts {
            id,
            program,
            event,
            transaction_id,
            click: _,
            click_id,
            coupon,
            amount,
            quantity,
            // A keyed hash, of use to nobody but the matching of customers.
            customer: _,
            status,
            occurred_at,
            received_at,
            subs,
        } = facts.clone();
        let OutcomeView {
            state,
            attribution,
            commission,
        } = outcome;
        let [sub1, sub2, sub3, sub4, sub5] = subs;
        Self {
            id: id.to_string(),
            program: program.to_string(),
            state,
            event,
            transaction_id,
            click_id,
            coupon,
            amount: amount.map(|amount| amount.to_string()),
            currency: amount.map(|amount| amount.currency().code()),
            quantity,
            reported: match status {
                PostedStatus::Approved => "approved",
                PostedStatus::Pending => "pending",
            },
            occurred_at: time(occurred_at),
            received_at: time(received_at),
            approved_at: changes.approved_at.map(time),
            subs: SubsView {
                sub1,
                sub2,
                sub3,
                sub4,
                sub5,
            },
            reversals: changes.reversals.iter().map(reversal).collect(),
            outcome: attribution
                .as_ref()
                .map(|attribution| ResultView::of(attribution, commission)),
            attribution,
        }
    }

    /// Whether that partner is credited with it.
    pub(crate) fn belongs_to(&self, partner: PartnerId) -> bool {
        self.attribution
            .as_ref()
            .is_some_and(|attribution| attribution.partner == Some(partner))
    }

    /// The view for the credited partner: other partners' claims are none of its business, and where
    /// several stood against each other the click id or coupon that was posted may be another's.
    pub(crate) fn for_partner(mut self) -> Self {
        if let Some(attribution) = &mut self.attribution
            && !attribution.losers.is_empty()
        {
            attribution.losers.clear();
            self.click_id = None;
            self.coupon = None;
        }
        self
    }
}

fn reversal(reversal: &Reversal) -> ReversalView {
    let Reversal {
        reversal_id,
        reason,
        at,
    } = reversal.clone();
    ReversalView {
        reversal_id,
        reason,
        at: time(at),
    }
}
