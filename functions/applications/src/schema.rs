//! What forms, rules, applications and events look like.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary::agreements::model::{Acceptance, Agreement, Blocked, Signer};
use tributary::applications::Known;
use tributary::applications::model::{
    FieldKind, Form, FormField, GATES, REJECT_REASONS, Reapply, Rules, STAGES, WEIGHTS, Weight,
    name_of,
};
use tributary::events::Event;
use tributary::mail::Notified;
use tributary::onboarding::{Way, model::Checklist};
use utoipa::ToSchema;

/// What applicants are asked.
#[derive(ToSchema)]
#[schema(as = NewApplicationForm, example = json!({"open": true, "kinds": ["reseller", "referrer"], "page_url": "https://vendor.example/partners/apply?token={token}", "fields": [{"code": "audience", "label": "Whom do you reach?", "kind": "text", "required": true}, {"code": "size", "label": "How many are you?", "kind": "choice", "choices": ["1-10", "11-100", "more"]}]}))]
pub struct FormBody {
    /// Whether anybody may apply; true unless told. Invitations are answered all the same.
    pub open: Option<bool>,
    /// What partners may be here: `affiliate`, `referrer`, `reseller`, `service`; all unless told.
    pub kinds: Option<Vec<String>>,
    /// The vendor's page that takes an applicant's token: an https address with `{token}` in it, which mails
    /// link to.
    pub page_url: Option<String>,
    /// Asked beside email, name, country and kind; at most 40.
    pub fields: Option<Vec<FormFieldBody>>,
}

/// A field of a form.
#[derive(Serialize, ToSchema)]
#[schema(as = FormField)]
pub struct FormFieldBody {
    /// Under which its answer stands: small letters, digits and underscores.
    pub code: String,
    /// What people read, at most 200 characters.
    pub label: String,
    /// `text`, `choice`, `country`, `website` or `file_link`.
    pub kind: String,
    /// For a `choice`: 1 to 50 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<String>>,
    /// Whether one must answer it; false unless told.
    pub required: Option<bool>,
}

/// A program's application form.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationForm)]
pub struct FormView {
    /// The program.
    pub program: String,
    /// Whether anybody may apply.
    pub open: bool,
    /// What partners may be here.
    pub kinds: Vec<&'static str>,
    /// The vendor's page that takes an applicant's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_url: Option<String>,
    /// Asked beside email, name, country and kind.
    pub fields: Vec<FormFieldBody>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

pub(crate) fn form(form: &Form) -> FormView {
    let Form {
        program,
        is_open,
        kinds,
        fields,
        page_url,
        version,
    } = form.clone();
    let fields = fields.into_iter().map(|field| {
        let FormField {
            code,
            label,
            kind,
            required,
        } = field;
        let name = kind.name().to_owned();
        let choices = match kind {
            FieldKind::Choice(choices) => Some(choices),
            _ => None,
        };
        FormFieldBody {
            code,
            label,
            kind: name,
            choices,
            required: Some(required),
        }
    });
    FormView {
        program: program.to_string(),
        open: is_open,
        kinds: kinds.into_iter().map(|kind| kind.name()).collect(),
        page_url,
        fields: fields.collect(),
        version,
    }
}

/// What a program looks at by itself. Weights are `note`, `review` or `reject`.
#[derive(ToSchema)]
#[schema(as = NewApplicationRules, example = json!({"allowed_countries": ["GB", "DE"], "blocked_domains": ["*.example"], "free_mail": "review", "approve": true, "reapply": "after_days", "reapply_days": 90}))]
pub struct RulesBody {
    /// Countries that may apply; all unless told.
    pub allowed_countries: Option<Vec<String>>,
    /// Countries that may not.
    pub blocked_countries: Option<Vec<String>>,
    /// What a country that may not weighs; `reject` unless told.
    pub country: Option<String>,
    /// Countries under sanctions, in place of `CU`, `IR` and `KP`.
    pub sanctioned_countries: Option<Vec<String>>,
    /// What such a country weighs; `reject` unless told.
    pub sanctioned: Option<String>,
    /// Domains of addresses that may apply, such as `example.com` or `*.edu`; all unless told.
    pub allowed_domains: Option<Vec<String>>,
    /// Domains that may not.
    pub blocked_domains: Option<Vec<String>>,
    /// What a domain that may not weighs; `reject` unless told.
    pub domain: Option<String>,
    /// What a mailbox weighs that anybody can have; `note` unless told.
    pub free_mail: Option<String>,
    /// What a mailbox weighs that is thrown away; `reject` unless told.
    pub disposable_mail: Option<String>,
    /// What it weighs that the applicant is known by email, tax id or payout account; `review` unless told.
    pub duplicate: Option<String>,
    /// What it weighs that another of the same company is known; `review` unless told.
    pub duplicate_domain: Option<String>,
    /// Whether an application that nothing weighs against is approved at once; false unless told.
    pub approve: Option<bool>,
    /// When one who was rejected may apply again: `immediately` unless told, `after_days` or `never`.
    pub reapply: Option<String>,
    /// For `after_days`: 1 to 3650.
    #[schema(minimum = 1, maximum = 3650)]
    pub reapply_days: Option<u32>,
}

/// What a program looks at by itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationRules)]
pub struct RulesView {
    /// The program.
    pub program: String,
    /// Countries that may apply; empty for all.
    pub allowed_countries: Vec<String>,
    /// Countries that may not.
    pub blocked_countries: Vec<String>,
    /// What a country that may not weighs.
    #[schema(example = "reject")]
    pub country: &'static str,
    /// Countries under sanctions, where the program lists its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sanctioned_countries: Option<Vec<String>>,
    /// What such a country weighs.
    #[schema(example = "reject")]
    pub sanctioned: &'static str,
    /// Domains that may apply; empty for all.
    pub allowed_domains: Vec<String>,
    /// Domains that may not.
    pub blocked_domains: Vec<String>,
    /// What a domain that may not weighs.
    #[schema(example = "reject")]
    pub domain: &'static str,
    /// What a mailbox weighs that anybody can have.
    #[schema(example = "note")]
    pub free_mail: &'static str,
    /// What a mailbox weighs that is thrown away.
    #[schema(example = "reject")]
    pub disposable_mail: &'static str,
    /// What it weighs that the applicant is known.
    #[schema(example = "review")]
    pub duplicate: &'static str,
    /// What it weighs that another of the same company is known.
    #[schema(example = "review")]
    pub duplicate_domain: &'static str,
    /// Whether an application that nothing weighs against is approved at once.
    pub approve: bool,
    /// `immediately`, `after_days` or `never`.
    #[schema(example = "immediately")]
    pub reapply: &'static str,
    /// For `after_days`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reapply_days: Option<u32>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

pub(crate) fn rules(rules: &Rules) -> RulesView {
    let Rules {
        program,
        allowed_countries,
        blocked_countries,
        country,
        sanctioned_countries,
        sanctioned,
        allowed_domains,
        blocked_domains,
        domain,
        free_mail,
        disposable_mail,
        duplicate,
        duplicate_domain,
        approves,
        reapply,
        version,
    } = rules.clone();
    let weight = |weight: Weight| name_of(WEIGHTS, weight);
    let (reapply, reapply_days) = match reapply {
        Reapply::Immediately => ("immediately", None),
        Reapply::AfterDays(days) => ("after_days", Some(days)),
        Reapply::Never => ("never", None),
    };
    RulesView {
        program: program.to_string(),
        allowed_countries,
        blocked_countries,
        country: weight(country),
        sanctioned_countries,
        sanctioned: weight(sanctioned),
        allowed_domains,
        blocked_domains,
        domain: weight(domain),
        free_mail: weight(free_mail),
        disposable_mail: weight(disposable_mail),
        duplicate: weight(duplicate),
        duplicate_domain: weight(duplicate_domain),
        approve: approves,
        reapply,
        reapply_days,
        version,
    }
}

/// What somebody says who applies.
#[derive(ToSchema)]
#[schema(as = NewApplication, example = json!({"email": "ada@mill.example", "name": "Ada Lovelace", "country": "GB", "kind": "reseller", "source": "fair-2026", "answers": {"audience": "Weavers"}}))]
pub struct NewApplicationBody {
    /// Email address, to which the token goes.
    #[schema(format = Email)]
    pub email: String,
    /// Name, at most 120 characters; needed to submit.
    pub name: Option<String>,
    /// ISO 3166 two-letter code; needed to submit.
    pub country: Option<String>,
    /// What the partner would be, one of the form's; needed to submit.
    pub kind: Option<String>,
    /// A tax or VAT id.
    pub tax_id: Option<String>,
    /// An IBAN, or a PayPal wallet by its email; only a keyed hash is kept.
    pub payout_account: Option<String>,
    /// Answers by the codes of the form's fields.
    pub answers: Option<BTreeMap<String, String>>,
    /// Where the applicant came from: at most 60 letters and digits of ASCII, dots, dashes and underscores.
    pub source: Option<String>,
    /// The partner who referred the applicant; one that is not in the program is passed over.
    pub referrer: Option<String>,
}

/// What an applicant answers.
#[derive(ToSchema)]
#[schema(as = ApplicationAnswer, example = json!({"token": "appl_….a.2.…", "answers": {"audience": "Weavers"}, "submit": true}))]
pub struct AnswerBody {
    /// What `applications:confirm` gave.
    pub token: String,
    /// Whether to submit; false unless told.
    pub submit: Option<bool>,
    /// Name.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What the partner would be, one of the form's.
    pub kind: Option<String>,
    /// A tax or VAT id.
    pub tax_id: Option<String>,
    /// An IBAN, or a PayPal wallet by its email; only a keyed hash is kept.
    pub payout_account: Option<String>,
    /// Answers by the codes of the form's fields, all of them.
    pub answers: Option<BTreeMap<String, String>>,
}

/// A token.
#[derive(ToSchema)]
#[schema(as = ApplicationToken)]
pub struct TokenBody {
    /// As it was mailed.
    pub token: String,
}

/// That something was taken.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationTaken)]
pub struct TakenView {
    /// How it goes on.
    pub next: &'static str,
}

/// An application whose applicant may go on.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationConfirmed)]
pub struct ConfirmedView {
    /// The application.
    pub application: ApplicationView,
    /// What `applications:answer` asks for, for 30 days; absent from a repeated answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Somebody to invite.
#[derive(ToSchema)]
#[schema(as = NewInvitation, example = json!({"email": "ada@mill.example", "name": "Ada Lovelace", "country": "GB", "kind": "reseller"}))]
pub struct InvitationBody {
    /// Email address.
    #[schema(format = Email)]
    pub email: String,
    /// Name.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What the partner would be.
    pub kind: Option<String>,
    /// Where the candidate was found: at most 60 letters and digits of ASCII, dots, dashes and underscores.
    pub source: Option<String>,
    /// The partner who referred the candidate.
    pub referrer: Option<String>,
}

/// What an operator decides.
#[derive(ToSchema)]
#[schema(as = NewApplicationDecision, example = json!({"outcome": "reject", "reason": "not_a_fit", "note": "We look for resellers."}))]
pub struct ApplicationDecisionBody {
    /// `approve`, `reject` or `needs_information`.
    pub outcome: String,
    /// For `approve`: which plan pays; the program's own unless told.
    pub plan: Option<String>,
    /// For `approve`: a partner that exists and is enrolled by it, in place of a new one.
    pub partner: Option<String>,
    /// For `reject`: `country`, `sanctions`, `email_domain`, `duplicate`, `incomplete`, `not_a_fit`, `capacity`
    /// or `other`.
    pub reason: Option<String>,
    /// What the applicant is told, at most 1000 characters; required for `needs_information`.
    pub note: Option<String>,
}

/// An application.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Application)]
pub struct ApplicationView {
    /// Id.
    pub id: String,
    /// The program.
    pub program: String,
    /// `invited`, `visited`, `started`, `submitted`, `in_review`, `needs_information`, `approved` or `rejected`.
    #[schema(example = "in_review")]
    pub stage: &'static str,
    /// Every stage it came to, oldest first.
    pub stages: Vec<StampView>,
    /// Where the applicant came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The partner who referred the applicant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// What was found when it was submitted, the heaviest first; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<FindingView>>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// From when on the applicant may apply again.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reapply_at: Option<String>,
    /// The partner that was made of it, or enrolled by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// Who made it; `null` once erased.
    pub applicant: Option<ApplicantView>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// Who made an application.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Applicant)]
pub struct ApplicantView {
    /// Email address.
    pub email: String,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What the partner would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// A tax or VAT id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    /// Answers by the codes of the form's fields.
    pub answers: BTreeMap<String, String>,
    /// What an operator wrote last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// When an application came to a stage.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ApplicationStage)]
pub struct StampView {
    /// The stage.
    pub stage: &'static str,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// The operator who brought it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

/// Something that speaks against an application.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ApplicationFinding)]
pub struct FindingView {
    /// What was looked at.
    #[schema(example = "duplicate_domain")]
    pub gate: &'static str,
    /// `note`, `review` or `reject`.
    #[schema(example = "review")]
    pub weight: &'static str,
    /// What it rests on: a country, a domain, or the id of a partner or an application.
    pub evidence: String,
}

/// A page of applications.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationList)]
pub struct ApplicationListView {
    /// The applications.
    pub items: Vec<ApplicationView>,
    /// Where the list goes on.
    pub next_cursor: Option<String>,
}

impl ApplicationView {
    /// Without what only operators see.
    #[must_use]
    pub(crate) fn for_applicant(mut self) -> Self {
        self.findings = None;
        self.partner = None;
        for stage in &mut self.stages {
            stage.operator = None;
        }
        self
    }
}

pub(crate) fn application(known: &Known) -> ApplicationView {
    let application = &known.application;
    let stages = application.stamps.iter().map(|stamp| StampView {
        stage: name_of(STAGES, stamp.stage),
        at: stamp.at.to_string(),
        operator: stamp.by.map(|by| by.to_string()),
    });
    let findings = application.findings.iter().map(|finding| FindingView {
        gate: name_of(GATES, finding.gate),
        weight: name_of(WEIGHTS, finding.weight),
        evidence: finding.evidence.clone(),
    });
    ApplicationView {
        id: application.id.to_string(),
        program: application.program.to_string(),
        stage: name_of(STAGES, application.stage()),
        stages: stages.collect(),
        source: application.source.clone(),
        referrer: application.referrer.map(|id| id.to_string()),
        findings: Some(findings.collect()),
        reason: application
            .reason
            .map(|reason| name_of(REJECT_REASONS, reason)),
        reapply_at: application.reapply_at.map(|at| at.to_string()),
        partner: application.partner.map(|id| id.to_string()),
        applicant: known.applicant.clone().map(|who| ApplicantView {
            email: who.email,
            name: who.name,
            country: who.country,
            kind: who.kind.map(|kind| kind.name()),
            tax_id: who.tax_id,
            answers: who.answers,
            note: who.note,
        }),
        version: application.version,
    }
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Id.
    pub id: String,
    /// What happened; see `docs/events.md`.
    #[schema(example = "application.approved")]
    pub r#type: &'static str,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// In which program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// The id of the record it happened to.
    pub subject: String,
    /// Small facts, those of its type.
    pub data: BTreeMap<String, String>,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
#[schema(as = EventList)]
pub struct EventListView {
    /// The events, oldest first.
    pub items: Vec<EventView>,
    /// Where the feed goes on, also after its last page.
    pub next_cursor: Option<String>,
}

pub(crate) fn event(event: Event) -> EventView {
    let Event {
        id,
        kind,
        program,
        partner,
        subject,
        at,
        data,
    } = event;
    EventView {
        id: id.to_string(),
        r#type: kind.name(),
        at: at.to_string(),
        program: program.map(|id| id.to_string()),
        partner: partner.map(|id| id.to_string()),
        subject,
        data,
    }
}

/// Which operators a program tells by mail.
#[derive(ToSchema)]
#[schema(as = NewNotifications)]
pub struct NotifiedBody {
    /// Ids of operators, at most 20.
    pub operators: Vec<String>,
}

/// Which operators a program tells by mail.
#[derive(Serialize, ToSchema)]
#[schema(as = Notifications)]
pub struct NotifiedView {
    /// Ids of operators.
    pub operators: Vec<String>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

pub(crate) fn notified(notified: &Notified) -> NotifiedView {
    let Notified { operators, version } = notified.clone();
    NotifiedView {
        operators: operators.into_iter().map(|id| id.to_string()).collect(),
        version,
    }
}

/// Terms to publish.
#[derive(ToSchema)]
#[schema(as = NewAgreement, example = json!({"title": "Partner terms", "text": "1. Be kind.", "effective_at": "2027-01-01T00:00:00Z", "blocks": ["deals", "leads"]}))]
pub struct NewAgreementBody {
    /// What they are called, at most 200 characters.
    pub title: String,
    /// The whole text, at most 40,000 characters.
    pub text: String,
    /// From when on they hold; from now on unless told.
    #[schema(format = DateTime)]
    pub effective_at: Option<String>,
    /// What those cannot do who have not accepted them: `deals`, `leads`, `links`.
    pub blocks: Option<Vec<String>>,
}

/// A version of a program's terms.
#[derive(Serialize, ToSchema)]
#[schema(as = Agreement)]
pub struct AgreementView {
    /// The program.
    pub program: String,
    /// Its number, from 1.
    pub version: u32,
    /// What it is called.
    pub title: String,
    /// The whole text; absent from lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// SHA-256 of the text in UTF-8, hex.
    pub hash: String,
    /// From when on it holds, until the next does.
    #[schema(format = DateTime)]
    pub effective_at: String,
    /// What those cannot do who have not accepted it.
    pub blocks: Vec<&'static str>,
    /// Since when it can be accepted.
    #[schema(format = DateTime)]
    pub published_at: String,
}

/// All versions of a program's terms.
#[derive(Serialize, ToSchema)]
#[schema(as = AgreementList)]
pub struct AgreementListView {
    /// The newest first.
    pub items: Vec<AgreementView>,
}

pub(crate) fn agreement(agreement: &Agreement, with_text: bool) -> AgreementView {
    let Agreement {
        program,
        version,
        title,
        text,
        hash,
        effective_at,
        blocks,
        published_at,
        published_by: _,
    } = agreement.clone();
    AgreementView {
        program: program.to_string(),
        version,
        title,
        text: with_text.then_some(text),
        hash,
        effective_at: effective_at.to_string(),
        blocks: blocks.into_iter().map(Blocked::name).collect(),
        published_at: published_at.to_string(),
    }
}

/// Which text is accepted.
#[derive(ToSchema)]
#[schema(as = NewAcceptance)]
pub struct AcceptanceBody {
    /// SHA-256 of the text, as the version says.
    pub hash: String,
}

/// That a partner accepted a version.
#[derive(Serialize, ToSchema)]
#[schema(as = Acceptance)]
pub struct AcceptanceView {
    /// Who.
    pub partner: String,
    /// Whose terms.
    pub program: String,
    /// Which version.
    pub version: u32,
    /// SHA-256 of the text that was accepted, hex.
    pub hash: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// By which key.
    pub key: String,
    /// The member whose key it was; for operators, until it is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// From which network address; for operators, until it is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What a partner accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptanceList)]
pub struct AcceptanceListView {
    /// By version.
    pub items: Vec<AcceptanceView>,
}

pub(crate) fn acceptance(acceptance: &Acceptance, signer: Option<&Signer>) -> AcceptanceView {
    let Acceptance {
        partner,
        program,
        version,
        hash,
        at,
        key,
    } = acceptance.clone();
    let signer = signer.cloned().unwrap_or_default();
    AcceptanceView {
        partner: partner.to_string(),
        program: program.to_string(),
        version,
        hash,
        at: at.to_string(),
        key,
        member: signer.member,
        address: signer.address,
    }
}

/// A checklist.
#[derive(ToSchema)]
#[schema(as = NewChecklist, example = json!({"steps": [{"code": "terms", "label": "Accept the terms", "kind": "accept_terms"}, {"code": "course", "label": "Basics", "kind": "confirmed"}]}))]
pub struct ChecklistBody {
    /// In their order, at most 30.
    pub steps: Vec<StepBody>,
}

/// A step of a checklist.
#[derive(Serialize, ToSchema)]
#[schema(as = ChecklistStep)]
pub struct StepBody {
    /// By which it is named: small letters, digits and underscores.
    pub code: String,
    /// What people read, at most 200 characters.
    pub label: String,
    /// `accept_terms`, `payout_method`, `tax_profile`, `first_link` or `confirmed`.
    pub kind: String,
    /// Whether one is all set only with it; true unless told.
    pub required: Option<bool>,
}

/// A program's checklist.
#[derive(Serialize, ToSchema)]
#[schema(as = Checklist)]
pub struct ChecklistView {
    /// The program.
    pub program: String,
    /// In their order.
    pub steps: Vec<StepBody>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

pub(crate) fn checklist(checklist: &Checklist) -> ChecklistView {
    let Checklist {
        program,
        steps,
        version,
    } = checklist.clone();
    let steps = steps.into_iter().map(|step| StepBody {
        code: step.code,
        label: step.label,
        kind: step.kind.name().to_owned(),
        required: Some(step.required),
    });
    ChecklistView {
        program: program.to_string(),
        steps: steps.collect(),
        version,
    }
}

/// In which program a step is confirmed.
#[derive(ToSchema)]
#[schema(as = StepConfirmation)]
pub struct ConfirmStepBody {
    /// The program's id.
    pub program: String,
}

/// How far a partner has come in a program.
#[derive(Serialize, ToSchema)]
#[schema(as = Onboarding)]
pub struct OnboardingView {
    /// The partner.
    pub partner: String,
    /// The program.
    pub program: String,
    /// Each step.
    pub steps: Vec<WayStepView>,
    /// How many steps are completed.
    pub completed: usize,
    /// Whether all required steps are completed.
    pub is_set: bool,
}

/// A step of a partner's way.
#[derive(Serialize, ToSchema)]
#[schema(as = OnboardingStep)]
pub struct WayStepView {
    /// The step's code.
    pub code: String,
    /// What people read.
    pub label: String,
    /// What completes it.
    pub kind: &'static str,
    /// Whether one is all set only with it.
    pub required: bool,
    /// When it was completed; absent while it is not.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
}

pub(crate) fn way(way: &Way) -> OnboardingView {
    let Way {
        checklist,
        facts,
        progress,
    } = way;
    let steps: Vec<WayStepView> = checklist
        .steps
        .iter()
        .map(|step| WayStepView {
            code: step.code.clone(),
            label: step.label.clone(),
            kind: step.kind.name(),
            required: step.required,
            completed_at: progress.done_at(step, facts).map(|at| at.to_string()),
        })
        .collect();
    OnboardingView {
        partner: progress.partner.to_string(),
        program: progress.program.to_string(),
        completed: steps
            .iter()
            .filter(|step| step.completed_at.is_some())
            .count(),
        steps,
        is_set: progress.is_complete(checklist, facts),
    }
}
