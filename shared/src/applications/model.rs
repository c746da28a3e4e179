//! Applications: the form, what is looked at by itself, and the way from a visit to a decision. Pure.

use std::collections::BTreeMap;

use crate::clock::{Timestamp, days_after};
use crate::disputes::model::is_link;
use crate::ids::{ApplicationId, OperatorId, PartnerId, ProgramId};
use crate::partners::model::{PartnerKind, is_country};

/// Fields of a form.
pub const MAX_FIELDS: usize = 40;
/// Characters of a field's code.
pub const MAX_FIELD_CODE: usize = 40;
/// Characters of a field's label.
pub const MAX_LABEL: usize = 200;
/// Choices of a field.
pub const MAX_CHOICES: usize = 50;
/// Characters of a choice.
pub const MAX_CHOICE: usize = 80;
/// Characters of an answer.
pub const MAX_ANSWER: usize = 2_000;
/// Characters of a web address.
pub const MAX_URL: usize = 500;
/// Characters of where an applicant came from.
pub const MAX_SOURCE: usize = 60;
/// Characters of a note to an applicant.
pub const MAX_NOTE: usize = 1_000;
/// Countries or domains of one rule.
pub const MAX_LISTED: usize = 300;
/// Days after which one may apply again, at most.
pub const MAX_REAPPLY_DAYS: u32 = 3_650;
/// Days that the token of a confirmation holds.
pub const CONFIRM_DAYS: u32 = 3;
/// Days that an invitation, or a question for more, may be answered, and that a confirmed applicant may go on.
pub const ANSWER_DAYS: u32 = 30;

/// Countries under comprehensive sanctions of the EU, the UK or the US, unless a program lists its own. A
/// matter of law that changes: look at it before relying on it.
///
/// Source: OFAC's sanctions programs and the consolidated list of the EU, as of 2026.
pub const SANCTIONED: &[&str] = &["CU", "IR", "KP"];

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Words.
    Text,
    /// One of these.
    Choice(Vec<String>),
    /// An ISO 3166 two-letter code.
    Country,
    /// A web address.
    Website,
    /// An https address of a file that stands elsewhere.
    FileLink,
}

/// Kinds of fields without choices, by their names.
pub const FIELD_KINDS: &[&str] = &["text", "choice", "country", "website", "file_link"];

impl FieldKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Choice(_) => "choice",
            Self::Country => "country",
            Self::Website => "website",
            Self::FileLink => "file_link",
        }
    }

    /// The kind of that name; a choice is one of `choices`.
    #[must_use]
    pub fn named(name: &str, choices: Vec<String>) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "choice" => Some(Self::Choice(choices)),
            "country" => Some(Self::Country),
            "website" => Some(Self::Website),
            "file_link" => Some(Self::FileLink),
            _ => None,
        }
    }

    /// Whether an answer is one, or why not.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&self, answer: &str) -> Result<(), AnswerFault> {
        let sound = match self {
            Self::Text => true,
            Self::Choice(choices) => choices.iter().any(|choice| choice == answer),
            Self::Country => is_country(answer),
            Self::Website | Self::FileLink => answer.chars().count() <= MAX_URL && is_link(answer),
        };
        if sound {
            return Ok(());
        }
        Err(match self {
            Self::Choice(choices) => AnswerFault::NotAChoice(choices.clone()),
            Self::Country => AnswerFault::NotACountry,
            _ => AnswerFault::NotALink,
        })
    }
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// The form has no such field.
    UnknownField,
    /// It is needed and not there.
    Missing,
    /// Not one of these.
    NotAChoice(Vec<String>),
    /// No country's code.
    NotACountry,
    /// No https address.
    NotALink,
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// Under which its answer stands.
    pub code: String,
    /// What people read.
    pub label: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether one must answer it.
    pub required: bool,
}

/// Whether text is a field's code: small letters, digits and underscores, a letter first.
#[must_use]
pub fn is_field_code(text: &str) -> bool {
    text.len() <= MAX_FIELD_CODE
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The application form of a program, which anybody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Whose.
    pub program: ProgramId,
    /// Whether anybody may apply; invitations are answered all the same.
    pub is_open: bool,
    /// What partners may be here.
    pub kinds: Vec<PartnerKind>,
    /// Asked beside name, email, country and kind.
    pub fields: Vec<FormField>,
    /// The vendor's page that takes an applicant's token, with `{token}` in it.
    pub page_url: Option<String>,
    /// Counts changes.
    pub version: u64,
}

impl Form {
    /// All that is wrong with answers, by field; what is missing only counts for those who submit.
    #[must_use]
    pub fn faults(
        &self,
        answers: &BTreeMap<String, String>,
        submits: bool,
    ) -> Vec<(String, AnswerFault)> {
        let mut faults = Vec::new();
        for (code, answer) in answers {
            let field = self.fields.iter().find(|field| field.code == *code);
            let checked = field.map_or(Err(AnswerFault::UnknownField), |field| {
                field.kind.check(answer)
            });
            if let Err(fault) = checked {
                faults.push((code.clone(), fault));
            }
        }
        let missing = self
            .fields
            .iter()
            .filter(|field| submits && field.required && !answers.contains_key(&field.code));
        faults.extend(missing.map(|field| (field.code.clone(), AnswerFault::Missing)));
        faults
    }
}

/// Whether text may say where an applicant came from: letters and digits of ASCII, and `.`, `_` and `-`. It is told
/// in events, which hold nobody's name or address and are not erased.
#[must_use]
pub fn is_source(text: &str) -> bool {
    (1..=MAX_SOURCE).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// What a finding leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is noted.
    Note,
    /// An operator looks at it.
    Review,
    /// The application is rejected.
    Reject,
}

/// Weights by their names.
pub const WEIGHTS: &[(&str, Weight)] = &[
    ("note", Weight::Note),
    ("review", Weight::Review),
    ("reject", Weight::Reject),
];

/// When one who was rejected may apply again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reapply {
    /// At once.
    Immediately,
    /// So many days after the decision.
    AfterDays(u32),
    /// Never.
    Never,
}

impl Reapply {
    /// From when on one may who was rejected at that moment; `None` for never.
    #[must_use]
    pub fn from(self, rejected_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Immediately => Some(rejected_at),
            Self::AfterDays(days) => Some(days_after(rejected_at, days)),
            Self::Never => None,
        }
    }
}

/// What a program looks at by itself, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whose.
    pub program: ProgramId,
    /// Countries that may apply; empty for all.
    pub allowed_countries: Vec<String>,
    /// Countries that may not.
    pub blocked_countries: Vec<String>,
    /// What a country that may not weighs.
    pub country: Weight,
    /// Countries under sanctions, in place of [`SANCTIONED`].
    pub sanctioned_countries: Option<Vec<String>>,
    /// What such a country weighs.
    pub sanctioned: Weight,
    /// Domains of addresses that may apply, such as `example.com` or `*.edu`; empty for all.
    pub allowed_domains: Vec<String>,
    /// Domains that may not.
    pub blocked_domains: Vec<String>,
    /// What a domain that may not weighs.
    pub domain: Weight,
    /// What a mailbox weighs that anybody can have.
    pub free_mail: Weight,
    /// What a mailbox weighs that is thrown away.
    pub disposable_mail: Weight,
    /// What it weighs that the applicant is known by email, tax id or payout account.
    pub duplicate: Weight,
    /// What it weighs that another of the same company is known.
    pub duplicate_domain: Weight,
    /// Whether an application that nothing speaks against is approved at once; else an operator looks at it.
    pub approves: bool,
    /// When one who was rejected may apply again.
    pub reapply: Reapply,
    /// Counts changes; 0 for the rules of a program that has said nothing.
    pub version: u64,
}

impl Rules {
    /// The rules of a program that has said nothing: sanctioned countries and throw-away mailboxes are
    /// rejected, everything else goes to an operator.
    #[must_use]
    pub fn of(program: ProgramId) -> Self {
        Self {
            program,
            allowed_countries: Vec::new(),
            blocked_countries: Vec::new(),
            country: Weight::Reject,
            sanctioned_countries: None,
            sanctioned: Weight::Reject,
            allowed_domains: Vec::new(),
            blocked_domains: Vec::new(),
            domain: Weight::Reject,
            free_mail: Weight::Note,
            disposable_mail: Weight::Reject,
            duplicate: Weight::Review,
            duplicate_domain: Weight::Review,
            approves: false,
            reapply: Reapply::Immediately,
            version: 0,
        }
    }
}

/// Whether text is a pattern of domains: a domain in lower case, or `*.` and one.
#[must_use]
pub fn is_domain_pattern(text: &str) -> bool {
    let domain = text.strip_prefix("*.").unwrap_or(text);
    !domain.is_empty()
        && domain.len() <= 253
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// Whether a domain is one of a pattern: `example.com` is itself alone, `*.edu` all below it.
#[must_use]
pub fn matches_domain(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == domain,
        Some(parent) => domain
            .strip_suffix(parent)
            .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// The country is not among those that may apply, or among those that may not.
    Country,
    /// The country is under sanctions.
    SanctionedCountry,
    /// The mailbox's domain is not among those that may apply, or among those that may not.
    EmailDomain,
    /// Anybody can have such a mailbox.
    FreeMail,
    /// Such a mailbox is thrown away after use.
    DisposableMail,
    /// The email is known.
    DuplicateEmail,
    /// Another of the same company is known.
    DuplicateDomain,
    /// The tax id is known.
    DuplicateTaxId,
    /// The payout account is known.
    DuplicatePayoutAccount,
    /// Who referred does not stand above the partner, though its plan pays levels.
    Upline,
}

/// Gates by their names.
pub const GATES: &[(&str, Gate)] = &[
    ("country", Gate::Country),
    ("sanctioned_country", Gate::SanctionedCountry),
    ("email_domain", Gate::EmailDomain),
    ("free_mail", Gate::FreeMail),
    ("disposable_mail", Gate::DisposableMail),
    ("duplicate_email", Gate::DuplicateEmail),
    ("duplicate_domain", Gate::DuplicateDomain),
    ("duplicate_tax_id", Gate::DuplicateTaxId),
    ("duplicate_payout_account", Gate::DuplicatePayoutAccount),
    ("upline", Gate::Upline),
];

impl Gate {
    /// The reason that an application rejected for it is told.
    #[must_use]
    pub fn reason(self) -> RejectReason {
        match self {
            Self::Country => RejectReason::Country,
            Self::SanctionedCountry => RejectReason::Sanctions,
            Self::EmailDomain | Self::FreeMail | Self::DisposableMail => RejectReason::EmailDomain,
            Self::DuplicateEmail
            | Self::DuplicateDomain
            | Self::DuplicateTaxId
            | Self::DuplicatePayoutAccount => RejectReason::Duplicate,
            // It never rejects.
            Self::Upline => RejectReason::Other,
        }
    }
}

/// Something that a gate found. Its evidence is a country, a pattern, an id or a code: never who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub gate: Gate,
    /// What follows.
    pub weight: Weight,
    /// What it rests on.
    pub evidence: String,
}

/// Why an application is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// Its country.
    Country,
    /// Its country is under sanctions.
    Sanctions,
    /// Its mailbox's domain.
    EmailDomain,
    /// The applicant is known.
    Duplicate,
    /// It does not say what is needed.
    Incomplete,
    /// What the applicant does or whom it reaches does not fit.
    NotAFit,
    /// No more partners are taken.
    Capacity,
    /// Something else, which the note says.
    Other,
}

/// Reasons by their names.
pub const REJECT_REASONS: &[(&str, RejectReason)] = &[
    ("country", RejectReason::Country),
    ("sanctions", RejectReason::Sanctions),
    ("email_domain", RejectReason::EmailDomain),
    ("duplicate", RejectReason::Duplicate),
    ("incomplete", RejectReason::Incomplete),
    ("not_a_fit", RejectReason::NotAFit),
    ("capacity", RejectReason::Capacity),
    ("other", RejectReason::Other),
];

/// The name of one of a list.
#[must_use]
pub fn name_of<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    choices
        .iter()
        .find(|(_, known)| *known == value)
        .map_or("", |(name, _)| name)
}

/// Who can have a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// Those of one company.
    Company,
    /// Anybody.
    Free,
    /// Anybody, for a moment.
    Disposable,
}

/// What is known of an applicant that gates look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// ISO 3166 two-letter code.
    pub country: &'a str,
    /// The domain of the mailbox, in lower case.
    pub domain: &'a str,
    /// Who can have such a mailbox.
    pub mailbox: Mailbox,
    /// Who else is known by what: the gate and the other's id.
    pub known: &'a [(Gate, String)],
}

/// All that speaks against an applicant, the heaviest first.
#[must_use]
pub fn findings(rules: &Rules, facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut note = |gate, weight, evidence: &str| {
        found.push(Finding {
            gate,
            weight,
            evidence: evidence.to_owned(),
        });
    };
    let country = facts.country;
    let lists = |list: &[String]| list.iter().any(|listed| listed == country);
    let sanctioned = match &rules.sanctioned_countries {
        Some(own) => lists(own),
        None => SANCTIONED.contains(&country),
    };
    if sanctioned {
        note(Gate::SanctionedCountry, rules.sanctioned, country);
    }
    let is_allowed = rules.allowed_countries.is_empty() || lists(&rules.allowed_countries);
    if !is_allowed || lists(&rules.blocked_countries) {
        note(Gate::Country, rules.country, country);
    }
    let domain = facts.domain;
    let matching =
        |patterns: &[String]| patterns.iter().find(|p| matches_domain(p, domain)).cloned();
    if let Some(pattern) = matching(&rules.blocked_domains) {
        note(Gate::EmailDomain, rules.domain, &pattern);
    } else if !rules.allowed_domains.is_empty() && matching(&rules.allowed_domains).is_none() {
        note(Gate::EmailDomain, rules.domain, "not among the allowed");
    }
    match facts.mailbox {
        Mailbox::Company => {}
        Mailbox::Free => note(Gate::FreeMail, rules.free_mail, domain),
        Mailbox::Disposable => note(Gate::DisposableMail, rules.disposable_mail, domain),
    }
    for (gate, other) in facts.known {
        let weight = match gate {
            Gate::DuplicateDomain => rules.duplicate_domain,
            _ => rules.duplicate,
        };
        note(*gate, weight, other);
    }
    found.sort_by(|a, b| b.weight.cmp(&a.weight).then(a.gate.cmp(&b.gate)));
    found
}

/// What follows from findings by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is approved.
    Approve,
    /// An operator looks at it.
    Review,
    /// It is rejected.
    Reject(RejectReason),
}

/// What the rules make of findings: the heaviest decides.
#[must_use]
pub fn verdict(rules: &Rules, findings: &[Finding]) -> Verdict {
    let heaviest = findings.iter().max_by_key(|finding| finding.weight);
    match heaviest {
        Some(finding) if finding.weight == Weight::Reject => Verdict::Reject(finding.gate.reason()),
        Some(finding) if finding.weight == Weight::Review => Verdict::Review,
        _ if rules.approves => Verdict::Approve,
        _ => Verdict::Review,
    }
}

/// How far an application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// An operator invited somebody, who has not come yet.
    Invited,
    /// Somebody left an address, which is not confirmed.
    Visited,
    /// The address is confirmed.
    Started,
    /// All that is asked was answered.
    Submitted,
    /// An operator is to look at it.
    InReview,
    /// An operator asked for more.
    NeedsInformation,
    /// A partner was made of it.
    Approved,
    /// It was turned down.
    Rejected,
}

/// Stages by their names.
pub const STAGES: &[(&str, Stage)] = &[
    ("invited", Stage::Invited),
    ("visited", Stage::Visited),
    ("started", Stage::Started),
    ("submitted", Stage::Submitted),
    ("in_review", Stage::InReview),
    ("needs_information", Stage::NeedsInformation),
    ("approved", Stage::Approved),
    ("rejected", Stage::Rejected),
];

impl Stage {
    /// Whether the applicant may still say something.
    #[must_use]
    pub fn is_the_applicants(self) -> bool {
        matches!(
            self,
            Self::Invited | Self::Visited | Self::Started | Self::NeedsInformation
        )
    }

    /// Whether it was decided for good.
    #[must_use]
    pub fn is_decided(self) -> bool {
        matches!(self, Self::Approved | Self::Rejected)
    }
}

/// When an application came to a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The stage.
    pub stage: Stage,
    /// When.
    pub at: Timestamp,
    /// The operator who brought it there; `None` for the applicant or a rule.
    pub by: Option<OperatorId>,
}

/// An application. Who made it and what was answered stands apart, in [`Applicant`], so that it can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Id.
    pub id: ApplicationId,
    /// To which program.
    pub program: ProgramId,
    /// Every stage it came to, in order; the last is its own.
    pub stamps: Vec<Stamp>,
    /// Where the applicant came from.
    pub source: Option<String>,
    /// The partner who referred the applicant.
    pub referrer: Option<PartnerId>,
    /// What was found when it was submitted.
    pub findings: Vec<Finding>,
    /// Why it was rejected.
    pub reason: Option<RejectReason>,
    /// From when on the applicant may apply again; `None` while it is not rejected, or for never.
    pub reapply_at: Option<Timestamp>,
    /// The partner that was made of it.
    pub partner: Option<PartnerId>,
    /// Counts tokens: only those of the latest number are good, and once.
    pub token: u32,
    /// Until when the one to answer with is.
    pub token_until: Timestamp,
    /// Counts changes.
    pub version: u64,
}

/// The most stamps an application keeps; what goes back and forth more often keeps its first and last.
pub const MAX_STAMPS: usize = 40;

impl Application {
    /// Its stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stamps.last().map_or(Stage::Visited, |last| last.stage)
    }

    /// When it began.
    #[must_use]
    pub fn began_at(&self) -> Timestamp {
        self.stamps.first().map_or(Timestamp::MIN, |first| first.at)
    }

    /// When it came to its stage.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.stamps.last().map_or(Timestamp::MIN, |last| last.at)
    }

    /// The application at its next stage, with the next version.
    #[must_use]
    pub fn at(&self, stage: Stage, at: Timestamp, by: Option<OperatorId>) -> Self {
        let mut next = Self {
            version: self.version + 1,
            ..self.clone()
        };
        if next.stamps.len() >= MAX_STAMPS {
            next.stamps.remove(MAX_STAMPS / 2);
        }
        next.stamps.push(Stamp { stage, at, by });
        next
    }

    /// The same within one change of several stages.
    #[must_use]
    pub fn and_at(&self, stage: Stage, at: Timestamp, by: Option<OperatorId>) -> Self {
        Self {
            version: self.version,
            ..self.at(stage, at, by)
        }
    }

    /// The same stage with a new token, which takes the place of those before.
    #[must_use]
    pub fn with_token(&self, until: Timestamp) -> Self {
        Self {
            token: self.token + 1,
            token_until: until,
            ..self.clone()
        }
    }

    /// Whether its email cannot begin another one at that moment: it was confirmed or invited, and not rejected so
    /// that one may apply again. What nobody confirmed binds nobody, least of all whoever comes by another's link.
    #[must_use]
    pub fn binds(&self, now: Timestamp) -> bool {
        self.stage() != Stage::Visited && !self.may_be_followed(now)
    }

    /// Whether an operator may invite its email again at that moment.
    #[must_use]
    pub fn may_be_invited_again(&self, now: Timestamp) -> bool {
        match self.stage() {
            Stage::Visited | Stage::Rejected => true,
            Stage::Invited => self.token_until <= now,
            _ => false,
        }
    }

    /// Whether a rejected applicant may apply again at that moment.
    #[must_use]
    pub fn may_be_followed(&self, now: Timestamp) -> bool {
        self.stage() == Stage::Rejected && self.reapply_at.is_some_and(|from| from <= now)
    }
}

/// Who applies, and what they answered. Erasable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applicant {
    /// Email address.
    pub email: String,
    /// Name.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What the partner would be.
    pub kind: Option<PartnerKind>,
    /// A tax or VAT id.
    pub tax_id: Option<String>,
    /// What stands for the payout account that was named; never the account.
    pub payout_account: Option<String>,
    /// Answers by the codes of their fields.
    pub answers: BTreeMap<String, String>,
    /// What an operator wrote to the applicant last.
    pub note: Option<String>,
}

impl Applicant {
    /// What everybody must say before they submit and this one has not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        for (field, is_there) in [
            ("name", self.name.is_some()),
            ("country", self.country.is_some()),
            ("kind", self.kind.is_some()),
        ] {
            if !is_there {
                missing.push(field);
            }
        }
        missing
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> Rules {
        Rules::of(ProgramId::from_bytes([1; 16]))
    }

    fn found(rules: &Rules, country: &str, domain: &str) -> Vec<(Gate, Weight)> {
        let mailbox = match domain {
            "gmail.com" => Mailbox::Free,
            "yopmail.com" => Mailbox::Disposable,
            _ => Mailbox::Company,
        };
        let facts = Facts {
            country,
            domain,
            mailbox,
            known: &[],
        };
        let found = findings(rules, &facts);
        found.into_iter().map(|f| (f.gate, f.weight)).collect()
    }

    #[test]
    fn a_form_tells_each_answer_that_is_none() {
        let field = |code: &str, kind, required| FormField {
            code: code.to_owned(),
            label: code.to_owned(),
            kind,
            required,
        };
        let form = Form {
            program: ProgramId::from_bytes([1; 16]),
            is_open: true,
            kinds: vec![PartnerKind::Affiliate],
            fields: vec![
                field("audience", FieldKind::Text, true),
                field("size", FieldKind::Choice(vec!["small".to_owned()]), false),
                field("seat", FieldKind::Country, false),
                field("site", FieldKind::Website, false),
            ],
            page_url: None,
            version: 1,
        };
        let answers: BTreeMap<String, String> = [
            ("size", "huge"),
            ("seat", "UK"),
            ("site", "http://a.example"),
            ("odd", "x"),
        ]
        .map(|(code, answer)| (code.to_owned(), answer.to_owned()))
        .into();
        let faults = |submits| -> Vec<String> {
            let faults = form.faults(&answers, submits);
            faults.into_iter().map(|(code, _)| code).collect()
        };
        assert_eq!(faults(false), ["odd", "seat", "site", "size"]);
        assert_eq!(faults(true), ["odd", "seat", "site", "size", "audience"]);
    }

    #[test]
    fn countries_domains_and_mailboxes_are_looked_at() {
        let own = Rules {
            allowed_countries: vec!["GB".to_owned(), "DE".to_owned()],
            blocked_domains: vec!["*.example".to_owned(), "rival.com".to_owned()],
            ..rules()
        };
        assert_eq!(found(&own, "GB", "mill.co.uk"), []);
        assert_eq!(
            found(&own, "IR", "mill.co.uk"),
            [
                (Gate::Country, Weight::Reject),
                (Gate::SanctionedCountry, Weight::Reject)
            ]
        );
        assert_eq!(
            found(&own, "DE", "shop.example"),
            [(Gate::EmailDomain, Weight::Reject)]
        );
        assert_eq!(found(&own, "DE", "notrival.com"), []);
        assert_eq!(
            found(&rules(), "GB", "gmail.com"),
            [(Gate::FreeMail, Weight::Note)]
        );
        assert_eq!(
            found(&rules(), "GB", "yopmail.com"),
            [(Gate::DisposableMail, Weight::Reject)]
        );
        let only = Rules {
            allowed_domains: vec!["*.edu".to_owned()],
            domain: Weight::Review,
            ..rules()
        };
        assert_eq!(found(&only, "US", "mit.edu"), []);
        assert_eq!(
            found(&only, "US", "mit.com"),
            [(Gate::EmailDomain, Weight::Review)]
        );
    }

    #[test]
    fn the_heaviest_finding_decides() {
        let finding = |gate, weight| Finding {
            gate,
            weight,
            evidence: String::new(),
        };
        let approving = Rules {
            approves: true,
            ..rules()
        };
        assert_eq!(verdict(&approving, &[]), Verdict::Approve);
        assert_eq!(verdict(&rules(), &[]), Verdict::Review);
        let noted = finding(Gate::FreeMail, Weight::Note);
        assert_eq!(
            verdict(&approving, std::slice::from_ref(&noted)),
            Verdict::Approve
        );
        let doubted = finding(Gate::DuplicateDomain, Weight::Review);
        let both = [noted, doubted];
        assert_eq!(verdict(&approving, &both), Verdict::Review);
        let refused = finding(Gate::DuplicateTaxId, Weight::Reject);
        let all = [both[0].clone(), both[1].clone(), refused];
        assert_eq!(
            verdict(&approving, &all),
            Verdict::Reject(RejectReason::Duplicate)
        );
    }

    #[test]
    fn who_was_rejected_comes_again_when_the_program_says() {
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        assert_eq!(Reapply::Immediately.from(at), Some(at));
        assert_eq!(Reapply::AfterDays(30).from(at), Some(days_after(at, 30)));
        assert_eq!(Reapply::Never.from(at), None);
    }

    #[test]
    fn names_and_values_of_all_lists_are_distinct() {
        for (name, stage) in STAGES {
            assert_eq!(name_of(STAGES, *stage), *name);
        }
        for (name, gate) in GATES {
            assert_eq!(name_of(GATES, *gate), *name);
        }
        for (name, reason) in REJECT_REASONS {
            assert_eq!(name_of(REJECT_REASONS, *reason), *name);
        }
    }

    proptest! {
        #[test]
        fn a_star_stands_for_what_is_below_and_never_for_the_domain_itself(
            label in "[a-z]{1,8}", parent in "[a-z]{1,8}\\.[a-z]{2,3}",
        ) {
            let pattern = format!("*.{parent}");
            prop_assert!(is_domain_pattern(&pattern));
            let below = format!("{label}.{parent}");
            let beside = format!("{label}{parent}");
            prop_assert!(matches_domain(&pattern, &below));
            prop_assert!(!matches_domain(&pattern, &parent));
            prop_assert!(!matches_domain(&pattern, &beside));
        }
    }
}
