//! What conversions look like.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary::commissions::recompute::DifferenceView;
use tributary::commissions::view::{AttributionView, CommissionView, OutcomeView};
use tributary::ids::PartnerId;
use tributary::money::Money;
use tributary::rates::model::StoredRate;
use tributary::tracking::Conversion;
use tributary::tracking::model::{Amendment, CustomerType, Facts, Net, PostedStatus, Reversal};
use utoipa::ToSchema;

use crate::time;

/// A request to take a conversion back.
#[derive(ToSchema)]
#[schema(as = NewReversal, example = json!({"reversal_id": "refund-1001", "amount": "12.50", "currency": "GBP", "reason": "one item returned"}))]
pub struct ReversalBody {
    /// Your id of the reversal, at most 128 characters.
    pub reversal_id: String,
    /// How much of its amount, as a decimal string; all that is left unless told.
    pub amount: Option<String>,
    /// The amount's currency, which is the conversion's; required beside `amount`.
    pub currency: Option<String>,
    /// Why, at most 200 characters.
    pub reason: String,
}

/// A correction of a conversion's amount.
#[derive(ToSchema)]
#[schema(as = NewAmendment, example = json!({"amendment_id": "correction-7", "amount": "59.00", "currency": "GBP", "reason": "invoiced at the wrong price"}))]
pub struct AmendmentBody {
    /// Your id of the amendment, at most 128 characters.
    pub amendment_id: String,
    /// What the conversion's amount is taken to be, before reversals; not less than what was taken back.
    pub amount: String,
    /// The amount's currency, which is the conversion's.
    pub currency: String,
    /// Why, at most 200 characters.
    pub reason: String,
}

/// What became of an amendment.
#[derive(Serialize, ToSchema)]
#[schema(as = AmendmentReceipt, example = json!({"conversion": "cnv_5xk0w4w4d6r8zq2m3n7p9t1v3y", "amendment_id": "correction-7", "status": "amended"}))]
pub struct AmendmentReceiptView {
    /// The conversion.
    pub conversion: String,
    /// The amendment.
    pub amendment_id: String,
    /// `amended` or `duplicate`.
    pub status: &'static str,
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
    /// What amendments and reversals leave of it, once there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "36.50")]
    pub net_amount: Option<String>,
    /// The margin in it; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "12.00")]
    pub margin: Option<String>,
    /// The net revenue in it; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "40.00")]
    pub net_revenue: Option<String>,
    /// Bonuses that net gaming revenue is less; for operators, as are fees and chargebacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bonuses: Option<String>,
    /// Fees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fees: Option<String>,
    /// Chargebacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chargebacks: Option<String>,
    /// The currency of all its amounts; absent when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "GBP")]
    pub currency: Option<&'static str>,
    /// How many.
    pub quantity: u32,
    /// Whether the customer is `new` or `returning`, where that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_type: Option<&'static str>,
    /// The customer's country, ISO 3166.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "GB")]
    pub country: Option<String>,
    /// What was sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Further fields, as they were reported; for operators.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
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
    /// Requests to take it back, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reversals: Vec<ReversalView>,
    /// Corrections of its amount, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amendments: Vec<AmendmentView>,
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
    /// How much; all that was left when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "12.50")]
    pub amount: Option<String>,
    /// The amount's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "GBP")]
    pub currency: Option<&'static str>,
    /// Why.
    pub reason: String,
    /// When it was acknowledged.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A correction of a conversion's amount, as it was made.
#[derive(Serialize, ToSchema)]
#[schema(as = Amendment)]
pub struct AmendmentView {
    /// The caller's id of it.
    pub amendment_id: String,
    /// What the amount is taken to be, before reversals.
    #[schema(example = "59.00")]
    pub amount: String,
    /// The amount's currency.
    #[schema(example = "GBP")]
    pub currency: &'static str,
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
    /// What was posted first: all of it, with what it changed for others of its window; nothing when the
    /// conversion was reversed before it was credited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "14.70")]
    pub posted: Option<String>,
    /// What was posted in all, corrections included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "14.70")]
    pub total: Option<String>,
    /// What assigned the plan: `link`, `partner` or `program`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "partner")]
    pub assigned_by: Option<&'static str>,
    /// The currency of all.
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
            total: None,
            assigned_by: None,
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
            total,
            assigned_by,
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
            total: Some(total),
            assigned_by: Some(assigned_by),
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

/// A hold to be moved.
#[derive(ToSchema)]
#[schema(as = CommissionHold, example = json!({"release_at": "2026-12-24T00:00:00Z", "reason": "fraud check"}))]
pub struct HoldBody {
    /// When it ends: later or earlier than it would.
    #[schema(format = DateTime)]
    pub release_at: String,
    /// Why; the partner reads it.
    pub reason: String,
}

/// Until when a commission is held.
#[derive(Serialize, ToSchema)]
#[schema(as = CommissionHeld)]
pub struct HeldView {
    /// The commission's id.
    pub commission: String,
    /// When its hold ends.
    #[schema(format = DateTime)]
    pub release_at: String,
    /// Why.
    pub reason: String,
}

/// An adjustment to be made.
#[derive(ToSchema)]
#[schema(as = NewAdjustment, example = json!({"adjustment_id": "goodwill-7", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "direction": "credit", "amount": "25.00", "currency": "GBP", "reason": "lost click, goodwill"}))]
pub struct AdjustmentBody {
    /// Your id of it.
    pub adjustment_id: String,
    /// The program's id.
    pub program: String,
    /// The partner's id.
    pub partner: String,
    /// `credit` gives to the partner, `debit` takes from it.
    pub direction: String,
    /// How much, above zero.
    pub amount: String,
    /// The program's currency.
    pub currency: String,
    /// Why; the partner reads it.
    pub reason: String,
    /// The conversion or dispute that it is about.
    pub about: Option<String>,
}

/// What came of an adjustment.
#[derive(Serialize, ToSchema)]
#[schema(as = Adjustment)]
pub struct AdjustmentView {
    /// The id under which it stands among commissions.
    pub commission: String,
    /// How much; below zero for a debit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "25.00")]
    pub amount: Option<String>,
    /// The currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "GBP")]
    pub currency: Option<&'static str>,
    /// `made` or `duplicate`.
    #[schema(example = "made")]
    pub status: &'static str,
}

/// Which month is recomputed.
#[derive(ToSchema)]
#[schema(as = Recompute, example = json!({"period": "2026-03"}))]
pub struct RecomputeBody {
    /// A calendar month in UTC: that of the conversions' acknowledgement.
    pub period: String,
}

/// What a page of a recomputation found. Nothing was changed.
#[derive(Serialize, ToSchema)]
#[schema(as = Recomputation)]
pub struct RecomputedView {
    /// The month.
    #[schema(example = "2026-03")]
    pub period: String,
    /// Conversions of this page that credit a partner and were recomputed.
    pub conversions: usize,
    /// Books of which they are part, folded again with all their events.
    pub books: usize,
    /// What differs; on an untouched history nothing.
    pub differences: Vec<DifferenceView>,
    /// Where the month goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// Exchange rates to be stored.
#[derive(ToSchema)]
#[schema(as = NewRates)]
pub struct RatesBody {
    /// 1 to 90 of them.
    pub rates: Vec<RateBody>,
}

/// An exchange rate.
#[derive(ToSchema)]
#[schema(as = NewRate, example = json!({"from": "EUR", "to": "GBP", "rate": "0.8512", "date": "2026-11-23", "source": "ECB"}))]
pub struct RateBody {
    /// The currency that is given.
    pub from: String,
    /// The currency that is got.
    pub to: String,
    /// What one unit of `from` is in units of `to`: a decimal string above zero, at most ten digits after the point.
    pub rate: String,
    /// The date from which it is good, in UTC: for its day and seven more, or until the next.
    pub date: String,
    /// Who says so, at most 64 characters.
    pub source: String,
}

/// A stored exchange rate.
#[derive(Serialize, ToSchema)]
#[schema(as = Rate)]
pub struct RateView {
    /// The currency that is given.
    #[schema(example = "EUR")]
    pub from: &'static str,
    /// The currency that is got.
    #[schema(example = "GBP")]
    pub to: &'static str,
    /// What one unit of `from` is in units of `to`.
    #[schema(example = "0.8512")]
    pub rate: String,
    /// The date from which it is good, in UTC.
    #[schema(example = "2026-11-23")]
    pub date: String,
    /// Who says so.
    #[schema(example = "ECB")]
    pub source: String,
    /// When it was stored.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl RateView {
    pub(crate) fn of(rate: &StoredRate) -> Self {
        let StoredRate {
            from,
            to,
            rate,
            date,
            source,
            created_at,
        } = rate.clone();
        Self {
            from: from.code(),
            to: to.code(),
            rate: rate.to_string(),
            date: date.to_string(),
            source,
            created_at: time(created_at),
        }
    }
}

/// Exchange rates as they are stored.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredRates)]
pub struct RatesView {
    /// In the order in which they were stated.
    pub items: Vec<RateView>,
}

/// A page of a pair's exchange rates.
#[derive(Serialize, ToSchema)]
#[schema(as = RateList)]
pub struct RateListView {
    /// Newest first.
    pub items: Vec<RateView>,
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
            currency,
            amount,
            margin,
            net_revenue,
            bonuses,
            fees,
            chargebacks,
            quantity,
            // A keyed hash, of use to nobody but the matching of customers.
            customer: _,
            identifiers: _,
            customer_type,
            country,
            product,
            meta,
            status,
            occurred_at,
            received_at,
            subs,
            // The evidence of the attribution names the dispute.
            credited_to: _,
        } = facts.clone();
        let OutcomeView {
            state,
            attribution,
            commission,
        } = outcome;
        let [sub1, sub2, sub3, sub4, sub5] = subs;
        let Net { amount: left, .. } = changes.net(facts);
        let changed = !changes.reversals.is_empty() || !changes.amendments.is_empty();
        let shown = |money: Option<Money>| money.map(|money| money.to_string());
        let told = [
            amount,
            left,
            margin,
            net_revenue,
            bonuses,
            fees,
            chargebacks,
        ];
        Self {
            id: id.to_string(),
            program: program.to_string(),
            state,
            event,
            transaction_id,
            click_id,
            coupon,
            amount: shown(amount),
            net_amount: shown(left).filter(|_| changed),
            margin: shown(margin),
            net_revenue: shown(net_revenue),
            bonuses: shown(bonuses),
            fees: shown(fees),
            chargebacks: shown(chargebacks),
            currency: told.iter().any(Option::is_some).then(|| currency.code()),
            quantity,
            customer_type: customer_type.map(CustomerType::name),
            country,
            product,
            meta,
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
            amendments: changes.amendments.iter().map(amendment).collect(),
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
    /// several stood against each other the click id or coupon that was posted may be another's. What the
    /// vendor earns is the vendor's to tell; the trace names what a commission is computed from.
    pub(crate) fn for_partner(mut self) -> Self {
        self.margin = None;
        self.net_revenue = None;
        self.bonuses = None;
        self.fees = None;
        self.chargebacks = None;
        self.meta.clear();
        if let Some(attribution) = &mut self.attribution {
            attribution.beside = None;
            if !attribution.losers.is_empty() {
                attribution.losers.clear();
                self.click_id = None;
                self.coupon = None;
            }
        }
        self
    }
}

fn reversal(reversal: &Reversal) -> ReversalView {
    let Reversal {
        reversal_id,
        amount,
        reason,
        at,
    } = reversal.clone();
    ReversalView {
        reversal_id,
        amount: amount.map(|amount| amount.to_string()),
        currency: amount.map(|amount| amount.currency().code()),
        reason,
        at: time(at),
    }
}

fn amendment(amendment: &Amendment) -> AmendmentView {
    let Amendment {
        amendment_id,
        amount,
        reason,
        at,
    } = amendment.clone();
    AmendmentView {
        amendment_id,
        amount: amount.to_string(),
        currency: amount.currency().code(),
        reason,
        at: time(at),
    }
}
