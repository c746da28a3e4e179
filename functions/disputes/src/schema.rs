//! What disputes look like.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary::disputes::Known;
use tributary::disputes::model::{
    DISPUTE_KINDS, Decision, Dispute, Ending, Evidence, REASONS, Remedy, Transaction, VERDICTS,
    name_of,
};
use utoipa::ToSchema;

/// What a partner says is missing or wrong.
#[derive(ToSchema)]
#[schema(as = NewDispute, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "kind": "missing", "transaction_id": "order-1001", "occurred_at": "2026-11-20T10:00:00Z", "expected_amount": "49.00", "currency": "GBP", "evidence": {"text": "The customer forwarded the receipt.", "links": ["https://files.example/receipt.pdf"]}}))]
pub struct NewDisputeBody {
    /// The program's id.
    pub program: String,
    /// `missing`, `wrong_amount`, `wrong_partner` or `other`.
    pub kind: String,
    /// A conversion that you are credited with; or else `transaction_id`.
    pub conversion: Option<String>,
    /// The sender's id of the transaction, such as the order's number; at most 128 characters.
    pub transaction_id: Option<String>,
    /// The transaction's event: `sale` unless told.
    pub event: Option<String>,
    /// When it happened. Of a conversion that you are credited with, its own time counts.
    #[schema(format = DateTime)]
    pub occurred_at: String,
    /// What its amount is, as a decimal string. Required for `wrong_amount`.
    pub expected_amount: Option<String>,
    /// The amount's currency; required beside it.
    pub currency: Option<String>,
    /// What you show for it.
    pub evidence: EvidenceBody,
}

/// What a partner shows for a dispute.
#[derive(ToSchema)]
#[schema(as = NewEvidence)]
pub struct EvidenceBody {
    /// In your words, at most 2000 characters.
    pub text: String,
    /// Up to five https addresses where more is to be seen.
    pub links: Option<Vec<String>>,
}

/// What is decided.
#[derive(ToSchema)]
#[schema(as = NewDecision, example = json!({"outcome": "upheld", "reason": "tracking_failed", "note": "The pixel was blocked.", "conversion": {"amount": "49.00", "currency": "GBP"}}))]
pub struct DecisionBody {
    /// `upheld`, `partially_upheld` or `declined`.
    pub outcome: String,
    /// For what is upheld: `tracking_failed`, `evidence_accepted`, `amount_confirmed`, `goodwill`; for what is
    /// declined: `no_record`, `credited_to_another`, `outside_window`, `terms_not_met`, `amount_correct`,
    /// `order_cancelled`, `evidence_insufficient`; for what is upheld in part any of these.
    pub reason: String,
    /// More, at most 500 characters; the partner reads it.
    pub note: Option<String>,
    /// A conversion to record and credit to the partner; one of it, `amendment` and `adjustment` for what is
    /// upheld.
    pub conversion: Option<ToldConversionBody>,
    /// The disputed conversion's amount as it is from now on.
    pub amendment: Option<AmendedBody>,
    /// What the partner is given on your word, whatever a plan says.
    pub adjustment: Option<GivenBody>,
}

/// A conversion on an operator's word. What the dispute tells need not be repeated.
#[derive(ToSchema)]
#[schema(as = ToldConversion)]
pub struct ToldConversionBody {
    /// The transaction's id; the dispute's unless told. One that has a conversion is refused as `exists`.
    pub transaction_id: Option<String>,
    /// What happened; the dispute's unless told.
    pub event: Option<String>,
    /// When it happened; the dispute's unless told.
    #[schema(format = DateTime)]
    pub occurred_at: Option<String>,
    /// The amount as a decimal string.
    pub amount: Option<String>,
    /// The currency of all amounts; the program's unless told.
    pub currency: Option<String>,
    /// The margin in the amount.
    pub margin: Option<String>,
    /// The net revenue in the amount.
    pub net_revenue: Option<String>,
    /// Bonuses given to the customer.
    pub bonuses: Option<String>,
    /// Fees.
    pub fees: Option<String>,
    /// Chargebacks.
    pub chargebacks: Option<String>,
    /// How many; 1 unless told.
    #[schema(minimum = 1, maximum = 100_000)]
    pub quantity: Option<u32>,
    /// A reference of the customer, of which only a keyed hash is kept.
    pub customer: Option<String>,
    /// The customer's account in your CRM: by it, the tax id, the domain and the mailbox a conversion finds who
    /// registered a claim to the customer; only keyed hashes of them are kept.
    pub customer_crm_id: Option<String>,
    /// The customer's tax or VAT id.
    pub customer_tax_id: Option<String>,
    /// The customer's domain or website.
    pub customer_domain: Option<String>,
    /// The customer's mailbox.
    pub customer_email: Option<String>,
    /// `new` or `returning`.
    pub customer_type: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What was sold.
    pub product: Option<String>,
    /// Up to ten further fields.
    pub meta: Option<BTreeMap<String, String>>,
    /// Kept with the conversion, as are `sub2` to `sub5`.
    pub sub1: Option<String>,
    /// Kept with the conversion.
    pub sub2: Option<String>,
    /// Kept with the conversion.
    pub sub3: Option<String>,
    /// Kept with the conversion.
    pub sub4: Option<String>,
    /// Kept with the conversion.
    pub sub5: Option<String>,
}

/// A conversion's amount as it is from now on.
#[derive(ToSchema)]
#[schema(as = AmendedAmount)]
pub struct AmendedBody {
    /// Before reversals, as a decimal string.
    pub amount: String,
    /// The conversion's currency.
    pub currency: String,
}

/// What a partner is given.
#[derive(ToSchema)]
#[schema(as = GivenAmount)]
pub struct GivenBody {
    /// How much, as a decimal string.
    pub amount: String,
    /// The program's currency.
    pub currency: String,
}

/// A dispute.
#[derive(Serialize, ToSchema)]
#[schema(as = Dispute)]
pub struct DisputeView {
    /// Id.
    pub id: String,
    /// The program.
    pub program: String,
    /// Who raised it.
    pub partner: String,
    /// `missing`, `wrong_amount`, `wrong_partner` or `other`.
    #[schema(example = "missing")]
    pub kind: &'static str,
    /// `open`, `upheld`, `partially_upheld`, `declined` or `withdrawn`.
    #[schema(example = "open")]
    pub state: &'static str,
    /// The conversion it is about, which may not be there: its id follows from program, event and transaction.
    pub conversion: String,
    /// The transaction's event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The sender's id of the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    pub occurred_at: String,
    /// What its amount is according to the partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_amount: Option<String>,
    /// The amount's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    /// What the partner shows for it; `null` once erased.
    pub evidence: Option<EvidenceView>,
    /// What was decided, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionView>,
    /// What happened to it, oldest first.
    pub timeline: Vec<StepView>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// What a partner shows for a dispute.
#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
pub struct EvidenceView {
    /// In the partner's words.
    pub text: String,
    /// Where more is to be seen.
    pub links: Vec<String>,
}

/// What was decided.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub struct DecisionView {
    /// `upheld`, `partially_upheld` or `declined`.
    pub outcome: &'static str,
    /// Why.
    pub reason: &'static str,
    /// More.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The conversion that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<String>,
    /// The amount that the disputed conversion was amended to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amended_to: Option<String>,
    /// The commission that gave the partner something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjustment: Option<String>,
    /// How much it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// The amount's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    /// Who decided; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
}

/// What happened to a dispute.
#[derive(Serialize, ToSchema)]
#[schema(as = DisputeStep)]
pub struct StepView {
    /// `raised`, and then the state in which it ended.
    pub event: &'static str,
    /// `partner` or `vendor`.
    pub by: &'static str,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A page of disputes.
#[derive(Serialize, ToSchema)]
#[schema(as = DisputeList)]
pub struct DisputeListView {
    /// Newest first; of open ones oldest first.
    pub items: Vec<DisputeView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

impl DisputeView {
    /// The view for the partner, to whom it does not matter which person decided.
    pub(crate) fn for_partner(mut self) -> Self {
        if let Some(decision) = &mut self.decision {
            decision.decided_by = None;
        }
        self
    }
}

pub(crate) fn dispute(known: &Known) -> DisputeView {
    let Known { dispute, evidence } = known;
    let state = dispute.state();
    let Dispute {
        id,
        program,
        partner,
        kind,
        conversion,
        transaction,
        occurred_at,
        expected,
        raised_at,
        ended,
        version,
    } = dispute.clone();
    let (event, transaction_id) = transaction
        .map(
            |Transaction {
                 event,
                 transaction_id,
             }| (event, transaction_id),
        )
        .unzip();
    let mut timeline = vec![StepView {
        event: "raised",
        by: "partner",
        at: raised_at.to_string(),
    }];
    let mut decided = None;
    if let Some((ending, at)) = ended {
        let by = match ending {
            Ending::Withdrawn => "partner",
            Ending::Decided(made) => {
                decided = Some(decision(made));
                "vendor"
            }
        };
        timeline.push(StepView {
            event: state,
            by,
            at: at.to_string(),
        });
    }
    DisputeView {
        id: id.to_string(),
        program: program.to_string(),
        partner: partner.to_string(),
        kind: name_of(DISPUTE_KINDS, kind),
        state,
        conversion: conversion.to_string(),
        event,
        transaction_id,
        occurred_at: occurred_at.to_string(),
        expected_amount: expected.map(|amount| amount.to_string()),
        currency: expected.map(|amount| amount.currency().code()),
        evidence: evidence
            .clone()
            .map(|Evidence { text, links }| EvidenceView { text, links }),
        decision: decided,
        timeline,
        version,
    }
}

fn decision(decision: Decision) -> DecisionView {
    let Decision {
        verdict,
        reason,
        note,
        remedy,
        by,
    } = decision;
    let (mut conversion, mut adjustment) = (None, None);
    let (mut amended, mut given) = (None, None);
    match remedy {
        None => {}
        Some(Remedy::Conversion(id)) => conversion = Some(id.to_string()),
        Some(Remedy::Amendment(amount)) => amended = Some(amount),
        Some(Remedy::Adjustment(line, amount)) => {
            (adjustment, given) = (Some(line.to_string()), Some(amount));
        }
    }
    DecisionView {
        outcome: name_of(VERDICTS, verdict),
        reason: name_of(REASONS, reason),
        note,
        conversion,
        amended_to: amended.map(|amount| amount.to_string()),
        adjustment,
        given: given.map(|amount| amount.to_string()),
        currency: amended.or(given).map(|amount| amount.currency().code()),
        decided_by: Some(by.to_string()),
    }
}
