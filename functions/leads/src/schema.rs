//! What leads and rules look like.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tributary::customers::wire::company_json;
use tributary::edge::FieldError;
use tributary::ids::PartnerId;
use tributary::leads::Known;
use tributary::leads::model::{
    ACTORS, Closing, Contact, DECLINE_REASONS, End, Further, Inquiry, LOSS_REASONS, Lead, Offer,
    SOURCES, STAGES, Step, Why, end_name, name_of, size_band,
};
use utoipa::ToSchema;

// ---- Rules

/// How a program distributes its leads.
#[derive(ToSchema)]
#[schema(as = LeadRouting, example = json!({"rules": [{"code": "british", "when": {"countries": ["GB"]}, "strategy": {"kind": "nearest", "rings_km": [50, 150], "country_first": true}}, {"code": "rest", "strategy": {"kind": "round_robin"}}], "sla_minutes": 1440, "idle_days": 14}))]
pub struct RoutingBody {
    /// Up to thirty rules, in the order in which they are tried.
    pub rules: Vec<RuleBody>,
    /// Minutes within which an offer is accepted; a day unless told.
    #[schema(minimum = 1, maximum = 86_400)]
    pub sla_minutes: Option<u32>,
    /// Days after which a lead that nobody worked on is taken back; never unless told.
    #[schema(minimum = 1, maximum = 365)]
    pub idle_days: Option<u32>,
    /// The public form; none unless told.
    pub form: Option<FormBody>,
}

/// A program's public form.
#[derive(ToSchema)]
#[schema(as = LeadFormTerms)]
pub struct FormBody {
    /// Zero bits that each lead's work has; 18 unless told, about a second in a browser.
    #[schema(minimum = 8, maximum = 26)]
    pub work_bits: Option<u32>,
    /// Leads an hour from one address; 10 unless told.
    pub per_address: Option<u32>,
    /// Leads an hour in all; 500 unless told.
    pub per_form: Option<u32>,
}

/// A rule.
#[derive(ToSchema)]
#[schema(as = LeadRule)]
pub struct RuleBody {
    /// Names it, and with it whose turn it is.
    pub code: String,
    /// For which leads; all unless told.
    pub when: Option<ConditionsBody>,
    /// Which partners it may choose.
    pub eligible: Option<EligibilityBody>,
    /// How it chooses among them.
    pub strategy: StrategyBody,
}

/// Which leads a rule is for. Of each list one entry has to fit.
#[derive(ToSchema)]
#[schema(as = LeadConditions)]
pub struct ConditionsBody {
    /// ISO 3166 two-letter codes.
    pub countries: Option<Vec<String>>,
    /// Countries with regions of ISO 3166-2, such as `DE-BY`.
    pub regions: Option<Vec<String>>,
    /// Product lines that the lead wants.
    pub product_lines: Option<Vec<String>>,
    /// At least so many employees.
    pub employees_from: Option<u32>,
    /// At most so many employees.
    pub employees_to: Option<u32>,
}

/// Which partners a rule may choose.
#[derive(ToSchema)]
#[schema(as = LeadEligibility)]
pub struct EligibilityBody {
    /// Only those whose territories hold the lead's place; `true` unless told.
    pub territory: Option<bool>,
    /// Only those at most so many kilometres away.
    pub within_km: Option<u32>,
    /// Only those that carry what the lead wants; `true` unless told.
    pub product_line: Option<bool>,
    /// Only those that speak the lead's language.
    pub language: Option<bool>,
    /// Only those of one of these tiers.
    pub tiers: Option<Vec<String>>,
    /// Only those with all of these certifications.
    pub certifications: Option<Vec<String>>,
    /// Only those with fewer open leads than they take; `true` unless told.
    pub capacity: Option<bool>,
    /// Only those within their working hours.
    pub working_hours: Option<bool>,
    /// None of these partners.
    pub exclude: Option<Vec<String>>,
}

/// How a rule chooses.
#[derive(ToSchema)]
#[schema(as = LeadStrategy)]
pub struct StrategyBody {
    /// `round_robin` by weight, `nearest`, `best_performing` or `fixed`.
    pub kind: String,
    /// Of `nearest`: up to ten radii in kilometres, ascending. Who is in the narrowest ring goes first, then who
    /// is in the country, then anybody.
    pub rings_km: Option<Vec<u32>>,
    /// Of `nearest`: all of the lead's country before anybody abroad.
    pub country_first: Option<bool>,
    /// Of `best_performing`: what a newcomer scores at least, from 0 to 1; `0.5` unless told.
    pub newcomer_floor: Option<String>,
    /// Of `best_performing`: who has answered fewer offers is a newcomer; 10 unless told.
    pub newcomer_below: Option<u32>,
    /// Of `fixed`: the partner.
    pub partner: Option<String>,
}

/// Rules to try out.
#[derive(ToSchema)]
#[schema(as = RoutingSimulation)]
pub struct SimulationBody {
    /// The rules.
    pub rules: Vec<RuleBody>,
    /// Over so many of the last leads; 100 unless told.
    #[schema(minimum = 1, maximum = 200)]
    pub last: Option<u32>,
}

/// What rules would have done.
#[derive(Serialize, ToSchema)]
#[schema(as = RoutingSimulated)]
pub struct SimulationView {
    /// How many leads would have gone elsewhere.
    pub changed: usize,
    /// How many leads each partner was offered first, and how many it would have been.
    pub partners: Vec<SimulatedPartnerView>,
    /// The leads, in the order in which they came in.
    pub leads: Vec<SimulatedLeadView>,
}

/// A partner in a simulation.
#[derive(Serialize, ToSchema)]
#[schema(as = SimulatedPartner)]
pub struct SimulatedPartnerView {
    /// The partner; `null` for leads that nobody was offered.
    pub partner: Option<String>,
    /// Leads that it was offered first.
    pub was: usize,
    /// Leads that it would have been.
    pub would: usize,
}

/// A lead in a simulation.
#[derive(Serialize, ToSchema)]
#[schema(as = SimulatedLead)]
pub struct SimulatedLeadView {
    /// The lead.
    pub lead: String,
    /// When it came in.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// To whom it was offered first.
    pub was: Option<String>,
    /// To whom it would have been.
    pub would: Option<String>,
    /// By which rule.
    pub rule: Option<String>,
}

// ---- Intake

/// A lead to be brought.
#[derive(ToSchema)]
#[schema(as = NewLead, example = json!({"reference": "crm-4711", "company": {"name": "Roses Ltd", "country": "GB", "postcode": "SW1A 1AA", "domain": "roses.example"}, "contact": {"name": "Rose Miller", "email": "rose@roses.example"}, "employees": 120, "need": "Forty tills for ten shops"}))]
pub struct NewLeadBody {
    /// Your own id of it, at most 64 characters.
    pub reference: Option<String>,
    /// Who asks: known by one of domain, email, tax_id and crm_id, by the contact's email, or by name and country.
    pub company: LeadCompanyBody,
    /// The person who asks.
    pub contact: Option<LeadContactBody>,
    /// How many people work there.
    pub employees: Option<u32>,
    /// Up to five of the program's product lines.
    pub product_lines: Option<Vec<String>>,
    /// Two-letter code of ISO 639.
    pub language: Option<String>,
    /// For what, without names: partners read it before they accept. At most 500 characters.
    pub need: Option<String>,
}

/// A company that asks.
#[derive(ToSchema)]
#[schema(as = LeadCompany)]
pub struct LeadCompanyBody {
    /// Legal name.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What follows the country in ISO 3166-2.
    pub region: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
    /// Decimal degrees.
    pub latitude: Option<String>,
    /// Decimal degrees.
    pub longitude: Option<String>,
    /// Domain or website.
    pub domain: Option<String>,
    /// A mailbox of it.
    pub email: Option<String>,
    /// Tax or VAT id.
    pub tax_id: Option<String>,
    /// The account in the vendor's CRM.
    pub crm_id: Option<String>,
}

/// A person who asks.
#[derive(ToSchema)]
#[schema(as = LeadPerson)]
pub struct LeadContactBody {
    /// Name.
    pub name: Option<String>,
    /// Email.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
}

/// A list of leads.
#[derive(ToSchema)]
#[schema(as = LeadBatch)]
pub struct LeadBatchBody {
    /// 1 to 50 leads.
    pub leads: Vec<NewLeadBody>,
}

/// What became of a list of leads.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadBatchReport)]
pub struct LeadBatchView {
    /// Row by row.
    pub rows: Vec<LeadRowView>,
}

/// What became of one row.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadRow)]
pub struct LeadRowView {
    /// Its number, from 1.
    pub row: usize,
    /// `offered`, `vendor_queue`, `known`, `invalid`, or `retry` for one that is not taken in though nothing is wrong
    /// with it.
    #[schema(example = "offered")]
    pub status: &'static str,
    /// The lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead: Option<String>,
    /// To whom it is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Every wrong field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// A lead that is there already.
#[derive(Serialize, ToSchema)]
#[schema(as = KnownLead)]
pub struct KnownLeadView {
    /// `known`.
    #[schema(example = "known")]
    pub status: &'static str,
    /// Which.
    pub lead: String,
}

/// A challenge of the public form.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadChallenge)]
pub struct ChallengeView {
    /// What is to be answered.
    pub challenge: String,
    /// Zero bits with which the SHA-256 of `<challenge>.<nonce>` begins.
    pub work_bits: u32,
    /// Until when it can be answered.
    #[schema(format = DateTime)]
    pub answer_by: String,
}

/// A lead by the public form.
#[derive(ToSchema)]
#[schema(as = LeadForm)]
pub struct LeadFormBody {
    /// The challenge that was got.
    pub challenge: String,
    /// Its answer.
    pub nonce: String,
    /// Left empty: people do not see it.
    pub fax: Option<String>,
    /// Who asks.
    pub company: LeadCompanyBody,
    /// The person who asks; with an email.
    pub contact: LeadContactBody,
    /// What the person writes, at most 2000 characters. Whoever accepts the lead reads it, nobody before.
    pub message: Option<String>,
    /// How many people work there.
    pub employees: Option<u32>,
    /// Up to five of the program's product lines.
    pub product_lines: Option<Vec<String>>,
    /// Two-letter code of ISO 639.
    pub language: Option<String>,
}

/// What the public form answers, whatever becomes of the lead.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadFormReceived)]
pub struct FormReceivedView {
    /// `received`.
    #[schema(example = "received")]
    pub status: &'static str,
}

// ---- Moves

/// Why a lead is declined.
#[derive(ToSchema)]
#[schema(as = DeclineLead, example = json!({"reason": "no_capacity"}))]
pub struct DeclineBody {
    /// `no_capacity`, `outside_territory`, `not_our_business`, `wrong_size`, `conflict_of_interest`,
    /// `known_without_need` or `other`.
    pub reason: String,
}

/// Where a lead has come to.
#[derive(ToSchema)]
#[schema(as = ProgressLead, example = json!({"stage": "qualified"}))]
pub struct ProgressBody {
    /// `working`, `qualified` or `proposal`.
    pub stage: String,
}

/// Why a lead is lost.
#[derive(ToSchema)]
#[schema(as = LoseLead, example = json!({"reason": "no_budget"}))]
pub struct LostBody {
    /// `no_answer`, `no_budget`, `no_need`, `competitor`, `not_genuine` or `other`.
    pub reason: String,
}

/// Where a lead is sent.
#[derive(ToSchema)]
#[schema(as = ReassignLead, example = json!({"to": "routing"}))]
pub struct ReassignBody {
    /// A partner's id, `routing` or `vendor_queue`.
    pub to: String,
}

/// What a lead was sold for.
#[derive(ToSchema)]
#[schema(as = WinLead, example = json!({"amount": "4900.00", "currency": "GBP"}))]
pub struct WonBody {
    /// The amount as a decimal string.
    pub amount: String,
    /// The currency of all amounts; the program's unless told.
    pub currency: Option<String>,
    /// The transaction's id; the lead's unless told. One that has a conversion is refused as `exists`.
    pub transaction_id: Option<String>,
    /// What happened; `sale` unless told.
    pub event: Option<String>,
    /// When; now unless told.
    #[schema(format = DateTime)]
    pub occurred_at: Option<String>,
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

// ---- Leads

/// A lead. What a partner that has not accepted it does not see is absent.
#[derive(Serialize, ToSchema)]
#[schema(as = Lead)]
pub struct LeadView {
    /// Id.
    pub id: String,
    /// The program.
    pub program: String,
    /// `offered`, `accepted`, `working`, `qualified`, `proposal`, `won`, `lost` or `vendor_queue`; for a partner
    /// whose time with it has ended, how: `declined`, `expired`, `withdrawn` or `reclaimed`.
    #[schema(example = "offered")]
    pub stage: &'static str,
    /// How many people work at the company, as `51-200`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "51-200")]
    pub size: Option<&'static str>,
    /// The company's country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The company's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What is wanted, by product lines.
    pub product_lines: Vec<String>,
    /// In which language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// For what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need: Option<String>,
    /// The partner that it is offered to, or that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// Until when the offer can be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub respond_by: Option<String>,
    /// When it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub accepted_at: Option<String>,
    /// The company; absent before it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub company: Option<Value>,
    /// How many people work there; absent before it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employees: Option<u32>,
    /// The person who asks; absent before it is accepted, `null` fields once erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<LeadContactView>,
    /// How often its company asked again by the public form while it was open; absent before it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_again: Option<u32>,
    /// What it asked further, the first ten times; absent before it is accepted, in lists, and once erased.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_inquiries: Vec<FurtherInquiryView>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<LeadOutcomeView>,
    /// `api`, `import` or `form`; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// The caller's own id of it; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The customer; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Its times with partners; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offers: Option<Vec<LeadOfferView>>,
    /// Its changes of stage; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<LeadStepView>>,
    /// When it came in, or, for a partner, was offered to it.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// When it last changed; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub changed_at: Option<String>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// The person who asks.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadContact)]
pub struct LeadContactView {
    /// Name.
    pub name: Option<String>,
    /// Email.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// What they wrote.
    pub message: Option<String>,
}

/// What a lead's company asked further.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadFurtherInquiry)]
pub struct FurtherInquiryView {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// The person who asks, and what they wrote.
    pub contact: LeadContactView,
    /// For which product lines.
    pub product_lines: Vec<String>,
}

/// What came of a lead.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadOutcome)]
pub struct LeadOutcomeView {
    /// `won` or `lost`.
    pub outcome: &'static str,
    /// Why it was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What it was sold for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// The amount's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    /// The conversion it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<String>,
}

/// A lead's time with one partner.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadOffer)]
pub struct LeadOfferView {
    /// The partner.
    pub partner: String,
    /// When it was offered.
    #[schema(format = DateTime)]
    pub at: String,
    /// Until when it could be accepted.
    #[schema(format = DateTime)]
    pub respond_by: String,
    /// The rule that chose the partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The claim that the partner has: `deal`, `lead`, `referral` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<&'static str>,
    /// Of which record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The operator who chose the partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// When it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub accepted_at: Option<String>,
    /// `declined`, `expired`, `withdrawn`, `reclaimed`, `won` or `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
}

/// A change of stage.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadStep)]
pub struct LeadStepView {
    /// The stage.
    pub stage: &'static str,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// `partner`, `vendor` or `system`.
    pub by: &'static str,
}

/// A page of leads.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadList)]
pub struct LeadListView {
    /// The leads.
    pub items: Vec<LeadView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// Why a lead was assigned as it was.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadAssignmentList)]
pub struct AssignmentListView {
    /// Oldest first.
    pub items: Vec<AssignmentView>,
}

/// Why a lead was assigned, or queued, once.
#[derive(Serialize, ToSchema)]
#[schema(as = LeadAssignment)]
pub struct AssignmentView {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// `by` rules, a claim or an operator; the `choice`; of rules those that were `passed_over` and those that
    /// were `tried`, each with who was eligible, their scores, and who was not and why.
    #[schema(value_type = Object)]
    pub explanation: Value,
}

pub(crate) fn for_operator(known: &Known) -> LeadView {
    let lead = &known.lead;
    let Lead {
        id: _,
        program: _,
        inquiry,
        customer,
        hashes: _,
        held_until: _,
        stage,
        offers,
        steps,
        asked_again: _,
        closing: _,
        due: _,
        received_at,
        changed_at,
        version: _,
    } = lead;
    let steps = steps.iter().map(|Step { stage, at, by }| LeadStepView {
        stage: name_of(STAGES, *stage),
        at: at.to_string(),
        by: name_of(ACTORS, *by),
    });
    LeadView {
        source: Some(name_of(SOURCES, inquiry.source)),
        reference: inquiry.reference.clone(),
        customer: customer.map(|customer| customer.to_string()),
        offers: Some(offers.iter().map(offer).collect()),
        timeline: Some(steps.collect()),
        received_at: received_at.to_string(),
        changed_at: Some(changed_at.to_string()),
        ..whole(known, name_of(STAGES, *stage), lead.current())
    }
}

/// The view for a partner that it was offered to: whole once accepted, and blind before and after.
pub(crate) fn for_partner(known: &Known, partner: PartnerId) -> LeadView {
    let lead = &known.lead;
    let offer = lead.offer_to(partner);
    let stage = match offer.and_then(|offer| offer.ended) {
        Some((end, _)) => end_name(end),
        None => name_of(STAGES, lead.stage),
    };
    let shown = if lead.is_open_to(partner) {
        whole(known, stage, offer)
    } else {
        blind(lead, stage, offer)
    };
    LeadView {
        received_at: offer.map_or_else(String::new, |offer| offer.at.to_string()),
        ..shown
    }
}

/// Size, region and need, and nothing by which the company could be found.
fn blind(lead: &Lead, stage: &'static str, offer: Option<&Offer>) -> LeadView {
    let Inquiry {
        source: _,
        reference: _,
        company,
        employees,
        product_lines,
        language,
        need,
    } = &lead.inquiry;
    let place = company.place.as_ref();
    let is_open = offer.filter(|offer| offer.ended.is_none());
    LeadView {
        id: lead.id.to_string(),
        program: lead.program.to_string(),
        stage,
        size: employees.map(size_band),
        country: place.map(|place| place.country.clone()),
        region: place.and_then(|place| place.region.clone()),
        product_lines: product_lines.clone(),
        language: language.clone(),
        need: need.clone(),
        partner: offer.map(|offer| offer.partner.to_string()),
        respond_by: is_open
            .filter(|offer| offer.accepted_at.is_none())
            .map(|offer| offer.respond_by.to_string()),
        accepted_at: offer
            .and_then(|offer| offer.accepted_at)
            .map(|at| at.to_string()),
        company: None,
        employees: None,
        contact: None,
        asked_again: None,
        further_inquiries: Vec::new(),
        outcome: None,
        source: None,
        reference: None,
        customer: None,
        offers: None,
        timeline: None,
        received_at: String::new(),
        changed_at: None,
        version: lead.version,
    }
}

fn person(contact: &Contact) -> LeadContactView {
    let Contact {
        name,
        email,
        phone,
        message,
    } = contact.clone();
    LeadContactView {
        name,
        email,
        phone,
        message,
    }
}

fn whole(known: &Known, stage: &'static str, offer: Option<&Offer>) -> LeadView {
    let Known {
        lead,
        contact,
        further,
    } = known;
    let further = further.iter().map(|one| {
        let Further {
            at,
            contact,
            product_lines,
        } = one;
        FurtherInquiryView {
            at: at.to_string(),
            contact: person(contact),
            product_lines: product_lines.clone(),
        }
    });
    LeadView {
        company: Some(company_json(&lead.inquiry.company)),
        employees: lead.inquiry.employees,
        contact: Some(person(contact)),
        asked_again: Some(lead.asked_again).filter(|count| *count > 0),
        further_inquiries: further.collect(),
        outcome: lead.closing.map(outcome),
        ..blind(lead, stage, offer)
    }
}

fn outcome(closing: Closing) -> LeadOutcomeView {
    match closing {
        Closing::Won { amount, conversion } => LeadOutcomeView {
            outcome: "won",
            reason: None,
            amount: Some(amount.to_string()),
            currency: Some(amount.currency().code()),
            conversion: Some(conversion.to_string()),
        },
        Closing::Lost(reason) => LeadOutcomeView {
            outcome: "lost",
            reason: Some(name_of(LOSS_REASONS, reason)),
            amount: None,
            currency: None,
            conversion: None,
        },
    }
}

fn offer(offer: &Offer) -> LeadOfferView {
    let Offer {
        partner,
        at,
        respond_by,
        why,
        accepted_at,
        ended,
    } = offer;
    let (end, ended_at) = ended.unzip();
    let (mut rule, mut claim, mut holder, mut operator) = (None, None, None, None);
    match why {
        Why::Rule(code) => rule = Some(code.clone()),
        Why::Claim { kind, holder: of } => {
            (claim, holder) = (Some(kind.name()), Some(of.clone()));
        }
        Why::Operator(id) => operator = Some(id.to_string()),
    }
    LeadOfferView {
        partner: partner.to_string(),
        at: at.to_string(),
        respond_by: respond_by.to_string(),
        rule,
        claim,
        holder,
        operator,
        accepted_at: accepted_at.map(|at| at.to_string()),
        ended: end.map(end_name),
        reason: end.and_then(|end| match end {
            End::Declined(reason) => Some(name_of(DECLINE_REASONS, reason)),
            _ => None,
        }),
        ended_at: ended_at.map(|at| at.to_string()),
    }
}
