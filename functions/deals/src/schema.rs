//! What deals look like.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tributary::customers::model::{Identifier, IdentifierKind};
use tributary::customers::wire::company_json;
use tributary::deals::model::{
    Actor, Approval, Award, Deal, Dispute, Entry, FINDING_KINDS, Finding, HAPPENINGS, Happening,
    REJECT_REASONS, Rank, Stage, State, hints, name_of,
};
use tributary::deals::policy::{Benefit, ORDERS, Order, Policy, Step};
use tributary::deals::report::{AGES, Pipeline, Sum};
use tributary::deals::wire::policy_json;
use tributary::deals::{Details, Known, Preview};
use tributary::edge::Principal;
use tributary::money::Currency;
use utoipa::ToSchema;

/// A customer as it is described. One of `domain`, `email`, `tax_id` and `crm_id` is needed.
#[derive(ToSchema)]
#[schema(as = DealCustomer)]
pub struct CustomerBody {
    /// Legal name.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// The subdivision's part of its ISO 3166-2 code, such as `BY`.
    pub region: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
    /// The company's domain, or its website.
    pub domain: Option<String>,
    /// A mailbox of the company.
    pub email: Option<String>,
    /// Tax or VAT id.
    pub tax_id: Option<String>,
    /// The account's id in the vendor's CRM.
    pub crm_id: Option<String>,
    /// Degrees north as a decimal string; beside `longitude`.
    pub latitude: Option<String>,
    /// Degrees east as a decimal string.
    pub longitude: Option<String>,
}

/// A person at the customer.
#[derive(ToSchema, Serialize)]
#[schema(as = DealContact)]
pub struct ContactBody {
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
}

/// A deal to be registered.
#[derive(ToSchema)]
#[schema(as = NewDeal, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "name": "Acme rollout", "customer": {"name": "Acme GmbH", "country": "DE", "domain": "acme.example"}, "product_lines": ["crm"], "amount": "25000.00", "currency": "EUR", "expected_close": "2026-12-31"}))]
pub struct NewDealBody {
    /// The program's id.
    pub program: String,
    /// Whose; an operator says it.
    pub partner: Option<String>,
    /// What it is called, at most 120 characters.
    pub name: String,
    /// The customer.
    pub customer: CustomerBody,
    /// Product lines of the program, at most 8; at least one where the program has any.
    pub product_lines: Option<Vec<String>>,
    /// The estimated amount as a decimal string.
    pub amount: String,
    /// The program's currency.
    pub currency: String,
    /// When it is expected to be won.
    #[schema(format = Date)]
    pub expected_close: Option<String>,
    /// What it is about, at most 2000 characters.
    pub description: Option<String>,
    /// Whom to talk to.
    pub contact: Option<ContactBody>,
    /// Whether to keep it as a draft; it is handed in at once unless told.
    pub draft: Option<bool>,
}

/// What changes of a draft; what is absent stays.
#[derive(ToSchema)]
#[schema(as = DealPatch)]
pub struct DealPatchBody {
    /// What it is called.
    pub name: Option<String>,
    /// The customer, as a whole.
    pub customer: Option<CustomerBody>,
    /// Product lines.
    pub product_lines: Option<Vec<String>>,
    /// The estimated amount.
    pub amount: Option<String>,
    /// The program's currency; beside an amount.
    pub currency: Option<String>,
    /// When it is expected to be won; `null` for none.
    #[schema(format = Date)]
    pub expected_close: Option<String>,
    /// What it is about; `null` for nothing.
    pub description: Option<String>,
    /// Whom to talk to; `null` for nobody.
    pub contact: Option<ContactBody>,
}

/// What the partner is asked.
#[derive(ToSchema)]
#[schema(as = DealQuestion)]
pub struct QuestionBody {
    /// At most 2000 characters.
    pub question: String,
}

/// What the partner answers.
#[derive(ToSchema)]
#[schema(as = DealAnswer)]
pub struct AnswerBody {
    /// At most 2000 characters.
    pub answer: String,
}

/// A consent.
#[derive(ToSchema)]
#[schema(as = DealConsent)]
pub struct ConsentBody {
    /// To which step; the first that waits for you unless told.
    pub step: Option<String>,
    /// More, at most 500 characters; the partner reads it.
    pub note: Option<String>,
    /// Another discount than the program's, with the last consent: a share such as `0.15`.
    pub discount_rate: Option<String>,
}

/// A rejection.
#[derive(ToSchema)]
#[schema(as = DealRejection)]
pub struct RejectionBody {
    /// `duplicate`, `direct_owned`, `out_of_territory`, `not_eligible`, `no_value_added` or `incomplete`.
    pub reason: String,
    /// More, at most 500 characters; the partner reads it.
    pub note: Option<String>,
}

/// A note.
#[derive(ToSchema)]
#[schema(as = DealNote)]
pub struct NoteBody {
    /// At most 500 characters.
    pub note: Option<String>,
}

/// What a deal was won with.
#[derive(ToSchema)]
#[schema(as = DealSale)]
pub struct SaleBody {
    /// The amount as a decimal string.
    pub amount: String,
    /// The program's currency.
    pub currency: String,
    /// When; now unless told.
    #[schema(format = DateTime)]
    pub occurred_at: Option<String>,
    /// The transaction's id, such as the order's number; the deal's id unless told.
    pub transaction_id: Option<String>,
    /// The id of the conversion that the sale was posted as: the deal is linked to it, and no other is made. It names
    /// the deal's customer or is credited because of the deal.
    pub conversion: Option<String>,
    /// That it is another sale than what was posted since the deal was approved and is credited because of it.
    pub another_sale: Option<bool>,
}

/// What is disputed.
#[derive(ToSchema)]
#[schema(as = DealDisputeStatement)]
pub struct StatementBody {
    /// Why the deal is yours, at most 2000 characters.
    pub statement: String,
}

/// How a dispute is decided.
#[derive(ToSchema)]
#[schema(as = DealAward)]
pub struct AwardBody {
    /// `challenger` for whoever disputes, `holder` for whoever has it, `split` or `neither`.
    pub outcome: String,
    /// Of a split: the challenger's share, more than 0 and less than 1.
    pub share: Option<String>,
    /// More, at most 500 characters; both partners read it.
    pub note: Option<String>,
}

/// A finding about a deal.
#[derive(Serialize, ToSchema)]
#[schema(as = DealFinding)]
pub struct FindingView {
    /// `agreement_missing` (of a draft), `tier_too_low`, `certification_missing`, `out_of_territory`, `line_not_sold`,
    /// `duplicate`, `lead`, `direct` or `similar`; a partner reads the first five.
    pub kind: &'static str,
    /// The code or id of what it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The partner that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// How alike two names are, of 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<u16>,
    /// In words.
    pub evidence: String,
}

/// A step of an approval.
#[derive(Serialize, ToSchema)]
#[schema(as = DealStep)]
pub struct StepView {
    /// Its name.
    pub name: String,
    /// Working hours until it is overdue.
    pub sla_hours: u32,
    /// When it is overdue, while it waits.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// When it consented.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<String>,
    /// Since when it is overdue; for operators.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalated_at: Option<String>,
    /// Who may consent, any operator with the scope where nobody is named; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Vec<String>>,
    /// Who may as well once it is overdue; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalate_to: Option<String>,
    /// Who consented; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

/// How a deal is approved.
#[derive(Serialize, ToSchema)]
#[schema(as = DealApproval)]
pub struct ApprovalView {
    /// `sequential` or `parallel`.
    pub order: &'static str,
    /// The steps.
    pub steps: Vec<StepView>,
}

/// What an approved deal brings.
#[derive(Serialize, ToSchema)]
#[schema(as = DealBenefit)]
pub struct BenefitView {
    /// `commission` or `discount`.
    pub kind: &'static str,
    /// The event whose conversion pays, once the deal is won.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The discount on the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// When it was approved.
    #[schema(format = DateTime)]
    pub approved_at: String,
    /// Who consented last; for operators, `rule` where the program's rules did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

/// Why a deal was rejected.
#[derive(Serialize, ToSchema)]
#[schema(as = DealRejected)]
pub struct RejectedView {
    /// One of a list.
    pub reason: &'static str,
    /// More.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a deal was won with.
#[derive(Serialize, ToSchema)]
#[schema(as = DealWon)]
pub struct WonView {
    /// This deal's part of the amount.
    pub amount: String,
    /// Its currency.
    pub currency: &'static str,
    /// The conversion that it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<String>,
}

/// A dispute over a deal.
#[derive(Serialize, ToSchema)]
#[schema(as = DealDispute)]
pub struct DisputeView {
    /// `open`, or how it ended: `challenger`, `holder`, `split`, `neither`.
    pub state: &'static str,
    /// When it was raised.
    #[schema(format = DateTime)]
    pub raised_at: String,
    /// By when it is decided; else the deal stays with whoever has it.
    #[schema(format = DateTime)]
    pub decide_by: String,
    /// What the partner says.
    pub statement: String,
    /// The deal that stands in the way; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The share of whoever disputed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// More.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A deal.
#[derive(Serialize, ToSchema)]
#[schema(as = Deal)]
pub struct DealView {
    /// Id.
    pub id: String,
    /// The program.
    pub program: String,
    /// Whose.
    pub partner: String,
    /// `draft`, `submitted`, `in_review`, `needs_information`, `approved`, `won`, `lost`, `expired`, `withdrawn`
    /// or `rejected`.
    #[schema(example = "approved")]
    pub state: &'static str,
    /// What it is called; `null` once erased.
    pub name: Option<String>,
    /// The customer; `null` once erased.
    #[schema(value_type = Option<CustomerBody>)]
    pub customer: Option<Value>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whom to talk to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactBody>,
    /// Product lines.
    pub product_lines: Vec<String>,
    /// The estimated amount.
    pub amount: String,
    /// Its currency.
    pub currency: &'static str,
    /// When it is expected to be won.
    #[schema(format = Date)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_close: Option<String>,
    /// When it was written down.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was handed in.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<String>,
    /// What the partner is asked, while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Until when it answers; else the deal is rejected as incomplete.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_by: Option<String>,
    /// Until when nobody else gets it.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_until: Option<String>,
    /// Whether the one extension is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended: Option<bool>,
    /// What it brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub benefit: Option<BenefitView>,
    /// Its share of what the customer buys, where two share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<RejectedView>,
    /// What it was won with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub won: Option<WonView>,
    /// The dispute of its rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispute: Option<DisputeView>,
    /// Whether somebody else disputes it.
    pub disputed: bool,
    /// What was found as it was handed in; a partner reads what is about itself.
    pub findings: Vec<FindingView>,
    /// Whether anything else was found, which the vendor looks at.
    pub under_examination: bool,
    /// How it is approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// The earlier deal for the same; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The deal that it is shared with; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// The customer's id, by which claims to it are found; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// A page of deals.
#[derive(Serialize, ToSchema)]
#[schema(as = DealList)]
pub struct DealListView {
    /// Newest first.
    pub items: Vec<DealView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// Something that happened to a deal.
#[derive(Serialize, ToSchema)]
#[schema(as = DealHappening)]
pub struct EntryView {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// What.
    pub event: &'static str,
    /// `partner`, `vendor` or `rule`.
    pub by: &'static str,
    /// Who; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What was said, or of which step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What happened to a deal.
#[derive(Serialize, ToSchema)]
#[schema(as = DealTimeline)]
pub struct TimelineView {
    /// Oldest first.
    pub items: Vec<EntryView>,
}

/// Who would approve a deal.
#[derive(Serialize, ToSchema)]
#[schema(as = DealApprovers)]
pub struct PreviewView {
    /// `sequential` or `parallel`.
    pub order: &'static str,
    /// The steps.
    pub steps: Vec<StepView>,
    /// Whether it approves itself where nothing speaks against it.
    pub approves_itself: bool,
    /// What the partner lacks.
    pub findings: Vec<FindingView>,
    /// Named approvers who have a stake in the account and cannot consent; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stakes: Option<Vec<String>>,
}

/// A country or a part of it, such as `DE` or `DE-BY`; amounts in the program's currency.
#[derive(ToSchema)]
#[schema(as = DealCondition)]
pub struct WhenBody {
    /// Of at least that amount.
    pub amount_from: Option<String>,
    /// Of less than that.
    pub amount_below: Option<String>,
    /// With one of these product lines.
    pub product_lines: Option<Vec<String>>,
    /// Of a customer in one of these countries (`DE`) or parts of one (`DE-BY`).
    pub regions: Option<Vec<String>>,
}

/// What a partner needs.
#[derive(ToSchema)]
#[schema(as = DealRequirement)]
pub struct RequirementBody {
    /// For deals with one of these; for all unless told.
    pub product_lines: Option<Vec<String>>,
    /// At least this tier.
    pub tier: Option<String>,
    /// All of these certifications.
    pub certifications: Option<Vec<String>>,
}

/// Who may register.
#[derive(ToSchema)]
#[schema(as = DealEligibility)]
pub struct EligibilityBody {
    /// Tiers and certifications.
    pub requirements: Option<Vec<RequirementBody>>,
    /// Only customers in the partner's own territories; true unless told.
    pub territory: Option<bool>,
    /// Only product lines that the partner sells; true unless told.
    pub product_line: Option<bool>,
    /// What becomes of others: `review`, unless told, or `reject`.
    pub otherwise: Option<String>,
}

/// What an approved deal brings.
#[derive(ToSchema)]
#[schema(as = DealBenefitTerms)]
pub struct BenefitBody {
    /// `commission` or `discount`.
    pub kind: String,
    /// Of a commission: the event whose conversion pays, once the deal is won.
    pub event: Option<String>,
    /// Of a discount: a share such as `0.15`.
    pub rate: Option<String>,
}

/// What whoever registers the same second gets.
#[derive(ToSchema)]
#[schema(as = DealSecond)]
pub struct SecondBody {
    /// `refuse`, `co_register` or `reduced`.
    pub kind: String,
    /// Of a co-registration: the second's share.
    pub share: Option<String>,
    /// Of a reduced one: what it brings.
    pub benefit: Option<BenefitBody>,
}

/// A step of an approval.
#[derive(ToSchema)]
#[schema(as = DealStepTerms)]
pub struct StepBody {
    /// A code, different from those of the chain's other steps.
    pub name: String,
    /// Ids of operators, one of whom consents; anybody with the scope `channel` where none are named.
    pub approvers: Option<Vec<String>>,
    /// Working hours until it is overdue; 16 unless told.
    pub sla_hours: Option<u32>,
    /// Who may consent as well from then on.
    pub escalate_to: Option<String>,
}

/// The steps that some deals take.
#[derive(ToSchema)]
#[schema(as = DealChain)]
pub struct ChainBody {
    /// Which deals; all unless told.
    pub when: Option<WhenBody>,
    /// `sequential`, unless told, or `parallel`.
    pub order: Option<String>,
    /// At least one, each with a consent of somebody else.
    pub steps: Vec<StepBody>,
}

/// Deals that are approved as they come in.
#[derive(ToSchema)]
#[schema(as = DealAutoApproval)]
pub struct AutoBody {
    /// Which deals; all unless told.
    pub when: Option<WhenBody>,
    /// Of partners of one of these tiers; of all unless told.
    pub tiers: Option<Vec<String>>,
}

/// An operator's stake in accounts.
#[derive(ToSchema)]
#[schema(as = DealStake)]
pub struct StakeBody {
    /// Whose.
    pub operator: String,
    /// All deals of these partners.
    pub partners: Option<Vec<String>>,
    /// All deals for customers of these domains.
    pub domains: Option<Vec<String>>,
}

/// Openings on some days.
#[derive(ToSchema)]
#[schema(as = Openings)]
pub struct OpeningsBody {
    /// `monday` to `sunday`.
    pub days: Vec<String>,
    /// From that time of day, such as `09:00`.
    pub from: String,
    /// To that one; the day's end is `24:00`.
    pub to: String,
}

/// By which hours of work an approval is late.
#[derive(ToSchema)]
#[schema(as = WorkingHours)]
pub struct HoursBody {
    /// A time zone of the IANA database.
    pub time_zone: String,
    /// Openings, at most four a day.
    pub week: Vec<OpeningsBody>,
    /// Days without any.
    pub holidays: Option<Vec<String>>,
}

/// How a program takes deals.
#[derive(ToSchema)]
#[schema(as = DealPolicy, example = json!({"benefit": {"kind": "commission", "event": "deal"}, "second": {"kind": "refuse"}}))]
pub struct PolicyBody {
    /// The program's currency, in which all amounts are.
    pub currency: Option<String>,
    /// Days that an approved deal is protected; 90 unless told.
    pub protection_days: Option<u32>,
    /// Days that the one extension adds, 0 for none; 30 unless told.
    pub extension_days: Option<u32>,
    /// Days in which a partner answers; 14 unless told.
    pub answer_days: Option<u32>,
    /// Days in which a rejection is disputed, and then as many until that is decided; 14 unless told.
    pub dispute_days: Option<u32>,
    /// Registrations of a partner in a day; 20 unless told.
    pub max_per_day: Option<u32>,
    /// Who may register.
    pub eligibility: Option<EligibilityBody>,
    /// What an approved deal brings.
    pub benefit: BenefitBody,
    /// What a second registrant gets: nothing unless told.
    pub second: Option<SecondBody>,
    /// The first that means a deal counts; where none does, one operator consents within 16 working hours.
    pub approval: Option<Vec<ChainBody>>,
    /// Which deals approve themselves where nothing at all speaks against them.
    pub auto_approve: Option<Vec<AutoBody>>,
    /// Who may not approve what.
    pub stakes: Option<Vec<StakeBody>>,
    /// Monday to Friday from nine to five in UTC unless told.
    pub hours: Option<HoursBody>,
}

/// How many deals, and how much.
#[derive(Serialize, ToSchema)]
#[schema(as = PipelineSum)]
pub struct SumView {
    /// Deals.
    pub deals: u32,
    /// The sum of their estimated amounts.
    pub amount: String,
}

/// The deals of a state.
#[derive(Serialize, ToSchema)]
#[schema(as = PipelineStage)]
pub struct StageView {
    /// The state.
    pub state: &'static str,
    /// Deals.
    pub deals: u32,
    /// The sum of their estimated amounts.
    pub amount: String,
}

/// The deals of an age.
#[derive(Serialize, ToSchema)]
#[schema(as = PipelineAge)]
pub struct AgeView {
    /// From so many days after they were handed in.
    pub from_days: u32,
    /// To so many, that day not included; `null` for the oldest.
    pub to_days: Option<u32>,
    /// Deals.
    pub deals: u32,
    /// The sum of their estimated amounts.
    pub amount: String,
}

/// The deals of a partner.
#[derive(Serialize, ToSchema)]
#[schema(as = PipelinePartner)]
pub struct PartnerSumView {
    /// The partner.
    pub partner: String,
    /// Deals.
    pub deals: u32,
    /// The sum of their estimated amounts.
    pub amount: String,
}

/// The value of the deals that may still be won.
#[derive(Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct PipelineView {
    /// The currency of all amounts.
    pub currency: &'static str,
    /// All.
    pub total: SumView,
    /// By state.
    pub by_stage: Vec<StageView>,
    /// By days since they were handed in.
    pub by_age: Vec<AgeView>,
    /// By partner, the most valuable first.
    pub by_partner: Vec<PartnerSumView>,
    /// Whether there are more deals of a state than were read, which are the newest.
    pub truncated: bool,
}

/// A policy with its version and currency.
pub(crate) fn policy(policy: &Policy, currency: Currency) -> Value {
    let mut value = policy_json(policy, currency);
    value["program"] = json!(policy.program);
    value["version"] = json!(policy.version);
    value
}

fn operator_of(actor: Actor) -> Option<String> {
    match actor {
        Actor::Operator(id) => Some(id.to_string()),
        Actor::Rule => Some("rule".to_owned()),
        Actor::Partner => None,
    }
}

fn finding(finding: &Finding) -> FindingView {
    let Finding {
        kind,
        about,
        partner,
        score,
        evidence,
    } = finding.clone();
    FindingView {
        kind: name_of(FINDING_KINDS, kind),
        about,
        partner: partner.map(|id| id.to_string()),
        score,
        evidence,
    }
}

fn step(step: &Step, for_operator: bool) -> StepView {
    let Step {
        name,
        approvers,
        sla_hours,
        escalate_to,
    } = step.clone();
    let approvers = for_operator.then(|| approvers.iter().map(ToString::to_string).collect());
    let escalation = escalate_to.filter(|_| for_operator);
    StepView {
        name,
        sla_hours,
        due: None,
        approved_at: None,
        escalated_at: None,
        approvers,
        escalate_to: escalation.map(|id| id.to_string()),
        approved_by: None,
    }
}

fn stage(stage: &Stage, for_operator: bool) -> StepView {
    let Stage {
        step: terms,
        due,
        escalated_at,
        consent,
    } = stage;
    let (by, at) = consent.unzip();
    StepView {
        due: due.map(|at| at.to_string()),
        approved_at: at.map(|at| at.to_string()),
        escalated_at: escalated_at
            .filter(|_| for_operator)
            .map(|at| at.to_string()),
        approved_by: by.filter(|_| for_operator).map(|id| id.to_string()),
        ..step(terms, for_operator)
    }
}

fn approval(approval: &Approval, for_operator: bool) -> ApprovalView {
    let Approval { order, stages } = approval;
    ApprovalView {
        order: order_name(*order),
        steps: stages.iter().map(|one| stage(one, for_operator)).collect(),
    }
}

fn order_name(order: Order) -> &'static str {
    name_of(ORDERS, order)
}

fn dispute(dispute: &Dispute, for_operator: bool) -> DisputeView {
    let Dispute {
        holder,
        raised_at,
        decide_by,
        statement,
        ended,
    } = dispute.clone();
    let award = ended.as_ref().map(|(award, ..)| *award);
    let (at, note) = ended.map(|(_, at, _, note)| (at, note)).unzip();
    DisputeView {
        state: award.map_or("open", Award::name),
        raised_at: raised_at.to_string(),
        decide_by: decide_by.to_string(),
        statement,
        holder: for_operator.then(|| holder.to_string()),
        share: match award {
            Some(Award::Split { challenger }) => Some(challenger.to_string()),
            _ => None,
        },
        ended_at: at.map(|at| at.to_string()),
        note: note.flatten(),
    }
}

fn customer(details: &Details) -> Value {
    let mut map = match company_json(&details.company) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let mut identifiers = details.company.identifiers.iter();
    let mailbox = identifiers.find(|identifier| identifier.kind() == IdentifierKind::Email);
    if let Some(mailbox) = mailbox.map(Identifier::value) {
        map.insert("email".to_owned(), json!(mailbox));
    }
    Value::Object(map)
}

/// A deal as an operator or its partner reads it.
pub(crate) fn deal(known: &Known, principal: &Principal) -> DealView {
    let for_operator = matches!(principal, Principal::Operator(_));
    let Known { deal, details } = known;
    let told = hints(&deal.findings);
    let shown = if for_operator {
        &deal.findings
    } else {
        &told.own
    };
    let question = deal.timeline.iter().rev();
    let question = question
        .filter(|entry| entry.what == Happening::InformationRequested)
        .find_map(|entry| entry.note.clone());
    let Deal {
        id,
        program,
        partner,
        subject,
        state,
        created_at,
        created_by: _,
        submitted_at,
        customer: customer_id,
        identifiers: _,
        held: _,
        rank,
        findings: _,
        approval: steps,
        answer_by,
        grant,
        beside,
        rejection,
        won,
        dispute: disputed,
        disputed_by,
        timeline: _,
        version,
    } = deal.clone();
    let details = details.clone();
    let customer = details.as_ref().map(customer);
    let (name, description, contact) = match details {
        Some(details) => (Some(details.name), details.description, details.contact),
        None => (None, None, None),
    };
    let currency = subject.amount.currency().code();
    let benefit = grant.as_ref().map(|grant| {
        let (kind, event, rate) = match &grant.benefit {
            Benefit::Commission { event } => ("commission", Some(event.clone()), None),
            Benefit::Discount { rate } => ("discount", None, Some(rate.to_string())),
        };
        BenefitView {
            kind,
            event,
            rate,
            approved_at: grant.at.to_string(),
            approved_by: operator_of(grant.by).filter(|_| for_operator),
        }
    });
    DealView {
        id: id.to_string(),
        program: program.to_string(),
        partner: partner.to_string(),
        state: state.name(),
        name,
        customer,
        description,
        contact: contact.map(|contact| ContactBody {
            name: contact.name,
            email: contact.email,
        }),
        product_lines: subject.product_lines,
        amount: subject.amount.to_string(),
        currency,
        expected_close: subject.expected_close.map(|date| date.to_string()),
        created_at: created_at.to_string(),
        submitted_at: submitted_at.map(|at| at.to_string()),
        question: question.filter(|_| state == State::NeedsInformation),
        answer_by: answer_by.map(|at| at.to_string()),
        protected_until: grant.as_ref().map(|grant| grant.until.to_string()),
        extended: grant.as_ref().map(|grant| grant.extended),
        benefit,
        share: beside.map(|beside| beside.share.to_string()),
        rejection: rejection.map(|(reason, note)| RejectedView {
            reason: name_of(REJECT_REASONS, reason),
            note,
        }),
        won: won.map(|(amount, conversion)| WonView {
            amount: amount.to_string(),
            currency,
            conversion: conversion.map(|id| id.to_string()),
        }),
        dispute: disputed.map(|open| dispute(&open, for_operator)),
        disputed: disputed_by.is_some(),
        findings: shown.iter().map(finding).collect(),
        under_examination: told.others && state.is_undecided(),
        approval: steps.map(|steps| approval(&steps, for_operator)),
        after: match rank {
            Rank::Second(first) if for_operator => Some(first.to_string()),
            Rank::Second(_) | Rank::First => None,
        },
        beside: beside.filter(|_| for_operator).map(|b| b.deal.to_string()),
        customer_id: customer_id
            .filter(|_| for_operator)
            .map(|id| id.to_string()),
        version,
    }
}

/// A deal's timeline as an operator or its partner reads it. Who was late at the vendor's is the vendor's own.
pub(crate) fn timeline(deal: &Deal, principal: &Principal) -> TimelineView {
    let for_operator = matches!(principal, Principal::Operator(_));
    let shown = |entry: &&Entry| for_operator || entry.what != Happening::Escalated;
    let items = deal.timeline.iter().filter(shown).map(|entry| {
        let Entry { at, what, by, note } = entry.clone();
        EntryView {
            at: at.to_string(),
            event: name_of(HAPPENINGS, what),
            by: match by {
                Actor::Partner => "partner",
                Actor::Operator(_) => "vendor",
                Actor::Rule => "rule",
            },
            operator: match by {
                Actor::Operator(id) if for_operator => Some(id.to_string()),
                _ => None,
            },
            note,
        }
    });
    TimelineView {
        items: items.collect(),
    }
}

/// A preview as an operator or the deal's partner reads it.
pub(crate) fn preview(preview: &Preview, principal: &Principal) -> PreviewView {
    let for_operator = matches!(principal, Principal::Operator(_));
    let Preview {
        order,
        steps,
        by_itself,
        lacks,
        stakes,
    } = preview;
    PreviewView {
        order: order_name(*order),
        steps: steps.iter().map(|one| step(one, for_operator)).collect(),
        approves_itself: *by_itself,
        findings: lacks.iter().map(finding).collect(),
        stakes: for_operator.then(|| stakes.iter().map(ToString::to_string).collect()),
    }
}

fn sum(sum: &Sum) -> SumView {
    let Sum { deals, amount } = *sum;
    SumView {
        deals,
        amount: amount.to_string(),
    }
}

/// A pipeline.
pub(crate) fn pipeline(pipeline: &Pipeline) -> PipelineView {
    let Pipeline {
        total,
        stages,
        ages,
        partners,
        truncated,
    } = pipeline;
    let by_stage = stages.iter().map(|(state, part)| {
        let SumView { deals, amount } = sum(part);
        StageView {
            state: state.name(),
            deals,
            amount,
        }
    });
    let from = std::iter::once(0).chain(AGES);
    let to = AGES.into_iter().map(Some).chain([None]);
    let by_age = ages
        .iter()
        .zip(from.zip(to))
        .map(|(part, (from_days, to_days))| {
            let SumView { deals, amount } = sum(part);
            AgeView {
                from_days,
                to_days,
                deals,
                amount,
            }
        });
    let by_partner = partners.iter().map(|(partner, part)| {
        let SumView { deals, amount } = sum(part);
        PartnerSumView {
            partner: partner.to_string(),
            deals,
            amount,
        }
    });
    PipelineView {
        currency: total.amount.currency().code(),
        total: sum(total),
        by_stage: by_stage.collect(),
        by_age: by_age.collect(),
        by_partner: by_partner.collect(),
        truncated: *truncated,
    }
}
