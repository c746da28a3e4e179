//! Deals: an opportunity that a partner registers, what is found about it, who approves it, and until when it is
//! protected. Pure.

use crate::clock::{Date, Timestamp, days_after, days_before};
use crate::ids::{ConversionId, CustomerId, DealId, OperatorId, PartnerId, ProgramId};
use crate::money::{Money, MoneyError, Rate, Rounding};

use super::policy::{Benefit, Case, MAX_STEPS, Order, Policy, Step};
use crate::hours::WorkingHours;

/// Characters of a deal's name.
pub const MAX_NAME: usize = 120;
/// Characters of what is told about a deal, asked or answered.
pub const MAX_PROSE: usize = 2_000;
/// Characters of a note.
pub const MAX_NOTE: usize = 500;
/// Characters of a product line's code.
pub const MAX_LINE: usize = 64;
/// Product lines of a deal: each takes a place of its own for each identifier of the customer in the registration's
/// transaction.
pub const MAX_LINES: usize = 8;
/// Entries of a timeline; a deal that is asked about for ever is decided before.
pub const MAX_TIMELINE: usize = 100;
/// Bytes of all that is asked about a deal and answered: with the rest of it far below the 400 KB that an item of
/// DynamoDB may have.
pub const MAX_TOLD: usize = 200_000;
/// Findings that are kept.
pub const MAX_FINDINGS: usize = 30;
/// Days before the end of the protection at which its partner is reminded.
pub const REMINDERS: [u32; 2] = [30, 7];

/// Where a deal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Being written: nothing is looked up, nothing is protected.
    Draft,
    /// Waits for an operator.
    Submitted,
    /// An operator looks at it.
    InReview,
    /// The partner is asked for more.
    NeedsInformation,
    /// Approved, and protected until some day.
    Approved,
    /// The customer bought.
    Won,
    /// The customer did not.
    Lost,
    /// Its protection ended.
    Expired,
    /// The partner took it back.
    Withdrawn,
    /// It was not approved.
    Rejected,
}

/// States by their names.
pub const STATES: &[(&str, State)] = &[
    ("draft", State::Draft),
    ("submitted", State::Submitted),
    ("in_review", State::InReview),
    ("needs_information", State::NeedsInformation),
    ("approved", State::Approved),
    ("won", State::Won),
    ("lost", State::Lost),
    ("expired", State::Expired),
    ("withdrawn", State::Withdrawn),
    ("rejected", State::Rejected),
];

impl State {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(STATES, self)
    }

    /// Whether an operator is to decide it.
    #[must_use]
    pub fn is_undecided(self) -> bool {
        matches!(
            self,
            Self::Submitted | Self::InReview | Self::NeedsInformation
        )
    }

    /// Whether it stands in the way of others: undecided or approved.
    #[must_use]
    pub fn is_live(self) -> bool {
        self.is_undecided() || self == Self::Approved
    }
}

/// The name of a value in a list of names; lists hold all of their values.
#[must_use]
pub fn name_of<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map_or("", |(name, _)| name)
}

/// The value of a name.
#[must_use]
pub fn named<T: Copy>(choices: &[(&str, T)], name: &str) -> Option<T> {
    let found = choices.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

/// Why a deal is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// Another partner has registered the same.
    Duplicate,
    /// The vendor itself is at it.
    DirectOwned,
    /// The customer is not in the partner's territory.
    OutOfTerritory,
    /// The partner does not have what is required.
    NotEligible,
    /// The partner brings nothing that the vendor had not.
    NoValueAdded,
    /// Too little is told.
    Incomplete,
}

/// Reasons by their names.
pub const REJECT_REASONS: &[(&str, RejectReason)] = &[
    ("duplicate", RejectReason::Duplicate),
    ("direct_owned", RejectReason::DirectOwned),
    ("out_of_territory", RejectReason::OutOfTerritory),
    ("not_eligible", RejectReason::NotEligible),
    ("no_value_added", RejectReason::NoValueAdded),
    ("incomplete", RejectReason::Incomplete),
];

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The deal's partner.
    Partner,
    /// A person of the vendor.
    Operator(OperatorId),
    /// The program's rules, or time.
    Rule,
}

/// What happened to a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was written down.
    Created,
    /// It was handed in.
    Submitted,
    /// An operator took it up.
    ReviewStarted,
    /// The partner was asked for more.
    InformationRequested,
    /// The partner told more.
    InformationSupplied,
    /// One step consented.
    StepApproved,
    /// A step is overdue, and somebody else may consent as well.
    Escalated,
    /// It is approved.
    Approved,
    /// It is not.
    Rejected,
    /// Its protection is longer now.
    Extended,
    /// Its protection ends before long.
    Reminded,
    /// Its protection has ended.
    Expired,
    /// The partner took it back.
    Withdrawn,
    /// The customer bought.
    Won,
    /// The customer did not.
    Lost,
    /// It is shared with another partner from now on.
    Shared,
    /// It is no longer shared.
    Alone,
    /// Its rejection, or its standing in another's way, is disputed.
    DisputeRaised,
    /// That is decided.
    DisputeDecided,
    /// Its partner was merged into another, whose it is from then on.
    Merged,
}

/// Happenings by their names.
pub const HAPPENINGS: &[(&str, Happening)] = &[
    ("created", Happening::Created),
    ("submitted", Happening::Submitted),
    ("review_started", Happening::ReviewStarted),
    ("information_requested", Happening::InformationRequested),
    ("information_supplied", Happening::InformationSupplied),
    ("step_approved", Happening::StepApproved),
    ("escalated", Happening::Escalated),
    ("approved", Happening::Approved),
    ("rejected", Happening::Rejected),
    ("extended", Happening::Extended),
    ("reminded", Happening::Reminded),
    ("expired", Happening::Expired),
    ("withdrawn", Happening::Withdrawn),
    ("won", Happening::Won),
    ("lost", Happening::Lost),
    ("shared", Happening::Shared),
    ("alone", Happening::Alone),
    ("dispute_raised", Happening::DisputeRaised),
    ("dispute_decided", Happening::DisputeDecided),
    ("merged", Happening::Merged),
];

/// An entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
    /// By whom.
    pub by: Actor,
    /// What was said, or of which step.
    pub note: Option<String>,
}

/// What a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The program's terms, which deals wait for, are not accepted.
    AgreementMissing,
    /// The partner's tier is below the one required.
    TierTooLow,
    /// The partner lacks a certification.
    CertificationMissing,
    /// The customer is outside the partner's territories.
    OutOfTerritory,
    /// The partner does not sell a product line.
    LineNotSold,
    /// The partner has an open deal of its own for the same.
    OwnDuplicate,
    /// Another partner's deal is for the same.
    Duplicate,
    /// A lead for the same is with another partner.
    Lead,
    /// The vendor's own account.
    Direct,
    /// A customer of alike name in the same country.
    Similar,
}

/// Kinds by their names.
pub const FINDING_KINDS: &[(&str, FindingKind)] = &[
    ("agreement_missing", FindingKind::AgreementMissing),
    ("tier_too_low", FindingKind::TierTooLow),
    ("certification_missing", FindingKind::CertificationMissing),
    ("out_of_territory", FindingKind::OutOfTerritory),
    ("line_not_sold", FindingKind::LineNotSold),
    ("own_duplicate", FindingKind::OwnDuplicate),
    ("duplicate", FindingKind::Duplicate),
    ("lead", FindingKind::Lead),
    ("direct", FindingKind::Direct),
    ("similar", FindingKind::Similar),
];

impl FindingKind {
    /// Whether it speaks of the partner itself, which may then read it.
    #[must_use]
    pub fn is_own(self) -> bool {
        match self {
            Self::AgreementMissing
            | Self::TierTooLow
            | Self::CertificationMissing
            | Self::OutOfTerritory
            | Self::LineNotSold
            | Self::OwnDuplicate => true,
            Self::Duplicate | Self::Lead | Self::Direct | Self::Similar => false,
        }
    }

    /// Why the deal is rejected where the program does not look at those whom it does not take.
    #[must_use]
    pub fn ineligible(self) -> Option<RejectReason> {
        match self {
            Self::AgreementMissing
            | Self::TierTooLow
            | Self::CertificationMissing
            | Self::LineNotSold => Some(RejectReason::NotEligible),
            Self::OutOfTerritory => Some(RejectReason::OutOfTerritory),
            Self::OwnDuplicate | Self::Duplicate | Self::Lead | Self::Direct | Self::Similar => {
                None
            }
        }
    }
}

/// What was found about a deal as it was submitted, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The code or the id of what it is about: a tier, a product line, a deal, a customer.
    pub about: Option<String>,
    /// The partner that has it.
    pub partner: Option<PartnerId>,
    /// How alike two names are, of 1000.
    pub score: Option<u16>,
    /// In words.
    pub evidence: String,
}

/// What a partner reads of the findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hints {
    /// Those about itself.
    pub own: Vec<Finding>,
    /// Whether there is anything else; what, it is not told.
    pub others: bool,
}

/// Splits findings into what the partner may read and whether there is more.
#[must_use]
pub fn hints(findings: &[Finding]) -> Hints {
    let own = findings.iter().filter(|finding| finding.kind.is_own());
    Hints {
        own: own.cloned().collect(),
        others: findings.iter().any(|finding| !finding.kind.is_own()),
    }
}

/// What a partner is and has, as the channel profile says.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Whether the program's terms that deals wait for are accepted.
    pub agreement: bool,
    /// Its tier.
    pub tier: Option<&'a str>,
    /// The program's tiers, lowest first.
    pub tiers: &'a [String],
    /// Its certifications.
    pub certifications: &'a [String],
    /// What it sells; all where there are none.
    pub product_lines: &'a [String],
    /// Whether the customer is in its territories.
    pub in_territory: bool,
}

/// What the partner lacks for a deal of those product lines.
#[must_use]
pub fn eligibility(policy: &Policy, standing: Standing<'_>, lines: &[String]) -> Vec<Finding> {
    let rules = &policy.eligibility;
    let mut found = Vec::new();
    let mut note = |kind, about: Option<&str>, evidence: String| {
        found.push(Finding {
            kind,
            about: about.map(str::to_owned),
            partner: None,
            score: None,
            evidence,
        });
    };
    if !standing.agreement {
        let evidence = "the program's terms in force are not accepted".to_owned();
        note(FindingKind::AgreementMissing, None, evidence);
    }
    if rules.territory && !standing.in_territory {
        let evidence = "the customer is outside the partner's territories".to_owned();
        note(FindingKind::OutOfTerritory, None, evidence);
    }
    if rules.product_line && !standing.product_lines.is_empty() {
        for line in lines {
            if !standing.product_lines.contains(line) {
                let evidence = format!("the partner does not sell {line}");
                note(FindingKind::LineNotSold, Some(line), evidence);
            }
        }
    }
    let rank = |tier: &str| standing.tiers.iter().position(|known| known == tier);
    for rule in &rules.requirements {
        let concerns = rule.product_lines.is_empty()
            || lines.iter().any(|line| rule.product_lines.contains(line));
        if !concerns {
            continue;
        }
        if let Some(needed) = &rule.tier {
            let has = standing.tier.and_then(rank);
            // A tier that the program no longer has is met by none.
            if rank(needed).is_none_or(|needed| has.is_none_or(|has| has < needed)) {
                let has = standing.tier.unwrap_or("none");
                let evidence = format!("needs the tier {needed}, the partner's is {has}");
                note(FindingKind::TierTooLow, Some(needed), evidence);
            }
        }
        for needed in &rule.certifications {
            if !standing.certifications.contains(needed) {
                let evidence = format!("needs the certification {needed}");
                note(FindingKind::CertificationMissing, Some(needed), evidence);
            }
        }
    }
    found.truncate(MAX_FINDINGS);
    found
}

/// What a deal is about, as far as it decides anything; words about the customer stand elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Product lines; none in a program that tells none apart.
    pub product_lines: Vec<String>,
    /// The estimated amount.
    pub amount: Money,
    /// When it is expected to be won.
    pub expected_close: Option<Date>,
    /// ISO 3166 two-letter code of the customer's country.
    pub country: Option<String>,
    /// Its subdivision's part of the ISO 3166-2 code.
    pub region: Option<String>,
}

impl Subject {
    /// The same as a policy sees it.
    #[must_use]
    pub fn case(&self) -> Case<'_> {
        Case {
            amount: self.amount,
            product_lines: &self.product_lines,
            country: self.country.as_deref(),
            region: self.region.as_deref(),
        }
    }
}

/// A step of a deal's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it is.
    pub step: Step,
    /// When it is overdue, while it waits for one of its approvers.
    pub due: Option<Timestamp>,
    /// Since when it is overdue.
    pub escalated_at: Option<Timestamp>,
    /// Who consented, and when.
    pub consent: Option<(OperatorId, Timestamp)>,
}

impl Stage {
    fn is_for(&self, operator: OperatorId) -> bool {
        let Step {
            approvers,
            escalate_to,
            ..
        } = &self.step;
        approvers.is_empty()
            || approvers.contains(&operator)
            || (self.escalated_at.is_some() && *escalate_to == Some(operator))
    }
}

/// How a deal is approved: the steps that its chain had as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// In which order.
    pub order: Order,
    /// The steps.
    pub stages: Vec<Stage>,
}

impl Approval {
    /// The approval that a policy has for a deal.
    #[must_use]
    pub fn of(policy: &Policy, case: Case<'_>) -> Self {
        let (order, steps) = policy.route(case);
        let stages = steps.into_iter().map(|step| Stage {
            step,
            due: None,
            escalated_at: None,
            consent: None,
        });
        Self {
            order,
            stages: stages.collect(),
        }
    }

    /// The steps that wait for consent now.
    fn open(&self) -> Vec<usize> {
        let waiting = self.stages.iter().enumerate();
        let waiting = waiting.filter(|(_, stage)| stage.consent.is_none());
        let most = match self.order {
            Order::Sequential => 1,
            Order::Parallel => usize::MAX,
        };
        waiting.take(most).map(|(position, _)| position).collect()
    }

    /// The same with the hours of its open steps running from `now`, where they do not run yet.
    fn running(mut self, now: Timestamp, hours: &WorkingHours) -> Self {
        for position in self.open() {
            let stage = &mut self.stages[position];
            if stage.due.is_none() && stage.escalated_at.is_none() {
                stage.due = Some(hours.hours_after(now, stage.step.sla_hours));
            }
        }
        self
    }

    /// The same while the partner is asked for more, which no operator is late with.
    fn paused(mut self) -> Self {
        for stage in &mut self.stages {
            stage.due = None;
        }
        self
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.stages.iter().filter_map(|stage| stage.due).min()
    }
}

/// What an approved deal has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Since when.
    pub at: Timestamp,
    /// Until when nobody else gets it.
    pub until: Timestamp,
    /// Whether its one extension is used.
    pub extended: bool,
    /// What it brings.
    pub benefit: Benefit,
    /// Who consented last.
    pub by: Actor,
    /// The reminders of [`REMINDERS`] that have been sent.
    pub reminded: u32,
}

/// How a deal stands to an earlier one for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// It is the first.
    First,
    /// It comes after that one.
    Second(DealId),
}

/// Slots of a customer that a deal holds: each of these identifiers with each of these product lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Keyed hashes.
    pub identifiers: Vec<String>,
    /// Product lines; none in a program that tells none apart.
    pub product_lines: Vec<String>,
    /// Until when, by themselves.
    pub until: Timestamp,
}

/// With whom an approved deal is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The other's deal.
    pub deal: DealId,
    /// The other.
    pub partner: PartnerId,
    /// This deal's own share.
    pub share: Rate,
}

/// How a dispute over a deal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Award {
    /// It goes to whoever disputes.
    Challenger,
    /// It stays with whoever has it.
    Holder,
    /// Both share it.
    Split {
        /// The challenger's share.
        challenger: Rate,
    },
    /// Neither gets it.
    Neither,
}

impl Award {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Challenger => "challenger",
            Self::Holder => "holder",
            Self::Split { .. } => "split",
            Self::Neither => "neither",
        }
    }
}

/// A dispute, as the deal has it whose rejection is disputed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The deal that stands in the way.
    pub holder: DealId,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// By when it is decided; else the deal stays with its holder.
    pub decide_by: Timestamp,
    /// What the partner says.
    pub statement: String,
    /// How it ended, when, by whom, and why.
    pub ended: Option<(Award, Timestamp, Actor, Option<String>)>,
}

/// A registered deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Id.
    pub id: DealId,
    /// The program.
    pub program: ProgramId,
    /// Whose.
    pub partner: PartnerId,
    /// What it is about.
    pub subject: Subject,
    /// Where it stands.
    pub state: State,
    /// When it was written down.
    pub created_at: Timestamp,
    /// Who wrote it down: an operator for the partner has a stake in it.
    pub created_by: Actor,
    /// When it was handed in.
    pub submitted_at: Option<Timestamp>,
    /// The customer, once it is handed in.
    pub customer: Option<CustomerId>,
    /// Keyed hashes of what the customer is recognised by.
    pub identifiers: Vec<String>,
    /// The slots that are its own.
    pub held: Option<Held>,
    /// How it stands to others.
    pub rank: Rank,
    /// What was found.
    pub findings: Vec<Finding>,
    /// How it is approved.
    pub approval: Option<Approval>,
    /// Until when the partner answers, while it is asked.
    pub answer_by: Option<Timestamp>,
    /// What it has, once approved.
    pub grant: Option<Grant>,
    /// With whom it is shared.
    pub beside: Option<Beside>,
    /// Why it was rejected, and more.
    pub rejection: Option<(RejectReason, Option<String>)>,
    /// What it was won with: this deal's part of the amount, and the conversion that it became.
    pub won: Option<(Money, Option<ConversionId>)>,
    /// Its dispute.
    pub dispute: Option<Dispute>,
    /// The deal whose dispute it stands in the way of.
    pub disputed_by: Option<DealId>,
    /// What happened, oldest first.
    pub timeline: Vec<Entry>,
    /// Counts changes.
    pub version: u64,
}

/// Why something cannot be done to a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its state does not allow it.
    State(State),
    /// The operator has a stake in the account.
    Stake,
    /// None of its open steps waits for that operator.
    NotApprover,
    /// No open step has that name.
    StepUnknown,
    /// The same operator consented to another step of it.
    ConsentedBefore,
    /// It has been extended, or the program extends none.
    NoExtension,
    /// Its timeline is full, or what was asked and answered: nothing but a decision is left.
    TooMuch,
    /// Nothing stands in its way that is known.
    NothingToDispute,
    /// A rejection is disputed within the program's days.
    DisputeLate,
    /// There is a dispute.
    DisputeOpen,
    /// There is none.
    NoDispute,
    /// It is not won with nothing.
    NoAmount,
}

/// What a deal is handed in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The customer.
    pub customer: CustomerId,
    /// Keyed hashes of what it is recognised by.
    pub identifiers: Vec<String>,
    /// The slots that are taken with it.
    pub held: Option<Held>,
    /// How it stands to others.
    pub rank: Rank,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// What an approval brings a deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Days that it is protected.
    pub days: u32,
    /// What it brings.
    pub benefit: Benefit,
}

/// What is due for a deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Its protection ends so many days from now.
    Reminder(u32),
    /// Steps of that name are overdue.
    Overdue(Vec<String>),
    /// Its protection has ended.
    Expiry,
    /// The partner has not answered.
    Unanswered,
    /// Nobody has decided its dispute.
    Undecided,
}

impl Deal {
    /// The same one version on, with an entry in its timeline.
    fn after(&self, what: Happening, by: Actor, now: Timestamp, note: Option<String>) -> Self {
        let mut deal = self.clone();
        deal.version += 1;
        deal.timeline.push(Entry {
            at: now,
            what,
            by,
            note,
        });
        deal
    }

    fn demand(&self, states: &[State]) -> Result<(), Fault> {
        if states.contains(&self.state) {
            Ok(())
        } else {
            Err(Fault::State(self.state))
        }
    }

    /// The draft with another subject.
    ///
    /// # Errors
    /// `State`.
    pub fn amended(&self, subject: Subject) -> Result<Self, Fault> {
        self.demand(&[State::Draft])?;
        let mut deal = self.clone();
        deal.subject = subject;
        deal.version += 1;
        Ok(deal)
    }

    /// The draft handed in: from now on its approval's hours run.
    ///
    /// # Errors
    /// `State`.
    pub fn submitted(
        &self,
        submission: Submission,
        policy: &Policy,
        by: Actor,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.demand(&[State::Draft])?;
        let Submission {
            customer,
            identifiers,
            held,
            rank,
            findings,
        } = submission;
        let mut deal = self.after(Happening::Submitted, by, now, None);
        deal.state = State::Submitted;
        deal.submitted_at = Some(now);
        deal.customer = Some(customer);
        deal.identifiers = identifiers;
        deal.held = held;
        deal.rank = rank;
        deal.findings = findings;
        deal.findings.truncate(MAX_FINDINGS);
        let approval = Approval::of(policy, self.subject.case());
        deal.approval = Some(approval.running(now, &policy.hours));
        Ok(deal)
    }

    /// The deal taken up by an operator.
    ///
    /// # Errors
    /// `State`.
    pub fn taken_up(&self, by: OperatorId, now: Timestamp) -> Result<Self, Fault> {
        self.demand(&[State::Submitted])?;
        let mut deal = self.after(Happening::ReviewStarted, Actor::Operator(by), now, None);
        deal.state = State::InReview;
        Ok(deal)
    }

    /// The deal with a question to its partner. The approval's hours stand still until it is answered.
    ///
    /// # Errors
    /// `State`, `TooMuch`.
    pub fn asked(
        &self,
        by: OperatorId,
        question: String,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.demand(&[State::Submitted, State::InReview])?;
        // The answer shall still have its place, however long.
        let answer = MAX_PROSE * 4;
        if self.told() + question.len() + answer > MAX_TOLD {
            return Err(Fault::TooMuch);
        }
        // An answer, consents and a decision shall still have their place.
        if self.timeline.len() + MAX_STEPS * 2 + 12 > MAX_TIMELINE {
            return Err(Fault::TooMuch);
        }
        let what = Happening::InformationRequested;
        let mut deal = self.after(what, Actor::Operator(by), now, Some(question));
        deal.state = State::NeedsInformation;
        deal.answer_by = Some(days_after(now, policy.answer_days));
        deal.approval = deal.approval.map(Approval::paused);
        Ok(deal)
    }

    /// Bytes of all that was asked and answered.
    fn told(&self) -> usize {
        let asked = self.timeline.iter().filter(|entry| {
            matches!(
                entry.what,
                Happening::InformationRequested | Happening::InformationSupplied
            )
        });
        asked
            .filter_map(|entry| entry.note.as_ref())
            .map(String::len)
            .sum()
    }

    /// The deal with its partner's answer, submitted again.
    ///
    /// # Errors
    /// `State`.
    pub fn answered(
        &self,
        answer: String,
        hours: &WorkingHours,
        by: Actor,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.demand(&[State::NeedsInformation])?;
        let mut deal = self.after(Happening::InformationSupplied, by, now, Some(answer));
        deal.state = State::Submitted;
        deal.answer_by = None;
        deal.approval = deal.approval.map(|approval| approval.running(now, hours));
        Ok(deal)
    }

    /// Whether an operator has a stake in the deal: by what the program says, or because it wrote it down, handed it
    /// in, or spoke for its partner.
    #[must_use]
    pub fn has_stake(&self, operator: OperatorId, policy: &Policy, domain: Option<&str>) -> bool {
        let operator_itself = Actor::Operator(operator);
        let spoke = |entry: &Entry| {
            let for_partner = matches!(
                entry.what,
                Happening::Created
                    | Happening::Submitted
                    | Happening::InformationSupplied
                    | Happening::DisputeRaised
            );
            for_partner && entry.by == operator_itself
        };
        self.created_by == operator_itself
            || self.timeline.iter().any(spoke)
            || policy.has_stake(operator, self.partner, domain)
    }

    /// The deal with an operator's consent to one of its open steps: the named one, or the first that waits for
    /// that operator. `terms` is what it has once all steps consented.
    ///
    /// # Errors
    /// `State`, `StepUnknown`, `NotApprover`, `ConsentedBefore`.
    pub fn consented(
        &self,
        by: OperatorId,
        step: Option<&str>,
        note: Option<String>,
        terms: Terms,
        hours: &WorkingHours,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.demand(&[State::Submitted, State::InReview])?;
        let mut approval = self.approval.clone().ok_or(Fault::State(self.state))?;
        let open = approval.open();
        let named =
            |position: &usize| step.is_none_or(|name| approval.stages[*position].step.name == name);
        let candidates: Vec<usize> = open.into_iter().filter(named).collect();
        if candidates.is_empty() {
            return Err(Fault::StepUnknown);
        }
        let mine = |position: &&usize| approval.stages[**position].is_for(by);
        let position = *candidates.iter().find(mine).ok_or(Fault::NotApprover)?;
        // Several steps are several people, or they would be one.
        let consents = approval.stages.iter().filter_map(|stage| stage.consent);
        if consents.into_iter().any(|(who, _)| who == by) {
            return Err(Fault::ConsentedBefore);
        }
        let stage = &mut approval.stages[position];
        stage.consent = Some((by, now));
        stage.due = None;
        let name = stage.step.name.clone();
        let note = Some(note.map_or_else(|| name.clone(), |note| format!("{name}: {note}")));
        if approval.open().is_empty() {
            let mut deal = self.granted(terms, Actor::Operator(by), note, now);
            deal.approval = Some(approval);
            return Ok(deal);
        }
        let mut deal = self.after(Happening::StepApproved, Actor::Operator(by), now, note);
        deal.state = State::InReview;
        deal.approval = Some(approval.running(now, hours));
        Ok(deal)
    }

    /// The deal approved by the program's rules as it came in.
    ///
    /// # Errors
    /// `State`.
    pub fn self_approved(&self, terms: Terms, now: Timestamp) -> Result<Self, Fault> {
        self.demand(&[State::Submitted])?;
        let mut deal = self.granted(terms, Actor::Rule, None, now);
        deal.approval = deal.approval.map(Approval::paused);
        Ok(deal)
    }

    fn granted(&self, terms: Terms, by: Actor, note: Option<String>, now: Timestamp) -> Self {
        let Terms { days, benefit } = terms;
        let mut deal = self.after(Happening::Approved, by, now, note);
        deal.state = State::Approved;
        deal.answer_by = None;
        deal.rejection = None;
        // Slots end with whole seconds, and so does what they stand for.
        let until = days_after(whole_second(now), days);
        deal.held = deal.held.map(|held| Held { until, ..held });
        deal.grant = Some(Grant {
            at: now,
            until,
            extended: false,
            benefit,
            by,
            // Of a short protection nobody is reminded as it begins.
            reminded: due_reminders(days),
        });
        deal
    }

    /// The deal rejected.
    ///
    /// # Errors
    /// `State`.
    pub fn rejected(
        &self,
        by: Actor,
        reason: RejectReason,
        note: Option<String>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.demand(&[State::Submitted, State::InReview, State::NeedsInformation])?;
        Ok(self.turned_down(by, reason, note, now))
    }

    fn turned_down(
        &self,
        by: Actor,
        reason: RejectReason,
        note: Option<String>,
        now: Timestamp,
    ) -> Self {
        let mut deal = self.after(Happening::Rejected, by, now, note.clone());
        deal.rejection = Some((reason, note));
        deal.ended(State::Rejected)
    }

    /// In a state in which nothing of it is protected or shared any more.
    fn ended(mut self, state: State) -> Self {
        self.state = state;
        self.held = None;
        self.answer_by = None;
        self.beside = None;
        self.approval = self.approval.map(Approval::paused);
        self
    }

    /// The deal with a longer protection, once.
    ///
    /// # Errors
    /// `State`, also once the protection has passed; `NoExtension`.
    pub fn extended(&self, days: u32, by: Actor, now: Timestamp) -> Result<Self, Fault> {
        self.demand(&[State::Approved])?;
        let grant = self.grant.as_ref().ok_or(Fault::State(self.state))?;
        if grant.until <= now {
            return Err(Fault::State(State::Expired));
        }
        if grant.extended || days == 0 {
            return Err(Fault::NoExtension);
        }
        let mut deal = self.after(Happening::Extended, by, now, None);
        let until = days_after(grant.until, days);
        let ahead = |days: &u32| days_before(until, *days) > now;
        deal.held = deal.held.map(|held| Held { until, ..held });
        deal.grant = Some(Grant {
            until,
            extended: true,
            // What lies ahead again is told again.
            reminded: count(REMINDERS.iter().take_while(|days| !ahead(days)).count()),
            ..grant.clone()
        });
        Ok(deal)
    }

    /// The deal won with that part of an amount, as that conversion where it brings a commission.
    ///
    /// # Errors
    /// `State`, also once the protection has passed; `NoAmount`.
    pub fn won(
        &self,
        amount: Money,
        conversion: Option<ConversionId>,
        by: Actor,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.demand(&[State::Approved])?;
        if self.grant.as_ref().is_none_or(|grant| grant.until <= now) {
            return Err(Fault::State(State::Expired));
        }
        if amount.is_zero() {
            return Err(Fault::NoAmount);
        }
        let mut deal = self.after(Happening::Won, by, now, None);
        deal.state = State::Won;
        deal.held = None;
        deal.won = Some((amount, conversion));
        Ok(deal)
    }

    /// The deal lost.
    ///
    /// # Errors
    /// `State`, also once the protection has passed.
    pub fn lost(&self, by: Actor, note: Option<String>, now: Timestamp) -> Result<Self, Fault> {
        self.demand(&[State::Approved])?;
        if self.grant.as_ref().is_none_or(|grant| grant.until <= now) {
            return Err(Fault::State(State::Expired));
        }
        let deal = self.after(Happening::Lost, by, now, note);
        Ok(deal.ended(State::Lost))
    }

    /// The deal taken back.
    ///
    /// # Errors
    /// `State`, `DisputeOpen` while it stands in the way of a dispute.
    pub fn withdrawn(&self, by: Actor, now: Timestamp) -> Result<Self, Fault> {
        if self.state != State::Draft && !self.state.is_live() {
            return Err(Fault::State(self.state));
        }
        let deal = self.after(Happening::Withdrawn, by, now, None);
        Ok(deal.ended(State::Withdrawn))
    }

    /// The approved deal shared with another one.
    #[must_use]
    pub fn shared(&self, beside: Beside, now: Timestamp) -> Self {
        let note = Some(beside.share.to_string());
        let mut deal = self.after(Happening::Shared, Actor::Rule, now, note);
        deal.beside = Some(beside);
        deal
    }

    /// The deal after the one that it is shared with has ended.
    #[must_use]
    pub fn alone(&self, now: Timestamp) -> Self {
        let mut deal = self.after(Happening::Alone, Actor::Rule, now, None);
        deal.beside = None;
        deal
    }

    /// The deal with the slots that are its own from now on.
    #[must_use]
    pub fn holding(&self, held: Option<Held>) -> Self {
        let mut deal = self.clone();
        deal.version += 1;
        deal.held = held;
        deal
    }

    /// The deal that a rejected one is a duplicate of, as far as that is known.
    #[must_use]
    pub fn rival(&self) -> Option<DealId> {
        if let Rank::Second(first) = self.rank {
            return Some(first);
        }
        let finding = self.findings.iter();
        let mut duplicates = finding.filter(|finding| finding.kind == FindingKind::Duplicate);
        duplicates.find_map(|finding| finding.about.as_deref()?.parse().ok())
    }

    /// The rejected deal with a dispute over the one in its way.
    ///
    /// # Errors
    /// `State`, `NothingToDispute`, `DisputeOpen` also where there was one before, `DisputeLate`.
    pub fn challenging(
        &self,
        statement: String,
        days: u32,
        by: Actor,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.demand(&[State::Rejected])?;
        let duplicate = matches!(self.rejection, Some((RejectReason::Duplicate, _)));
        let holder = self.rival().filter(|_| duplicate);
        let holder = holder.ok_or(Fault::NothingToDispute)?;
        if self.dispute.is_some() {
            return Err(Fault::DisputeOpen);
        }
        let rejected = self.timeline.iter().rev();
        let rejected = rejected
            .filter(|entry| entry.what == Happening::Rejected)
            .map(|entry| entry.at)
            .next();
        if rejected.is_none_or(|at| now > days_after(at, days)) {
            return Err(Fault::DisputeLate);
        }
        let mut deal = self.after(Happening::DisputeRaised, by, now, None);
        deal.dispute = Some(Dispute {
            holder,
            raised_at: now,
            decide_by: days_after(now, days),
            statement,
            ended: None,
        });
        Ok(deal)
    }

    /// The deal that stands in the way of a dispute.
    ///
    /// # Errors
    /// `State` of one that stands in nobody's way any more, `DisputeOpen`.
    pub fn challenged(&self, by: DealId, now: Timestamp) -> Result<Self, Fault> {
        if !self.state.is_live() {
            return Err(Fault::State(self.state));
        }
        if self.disputed_by.is_some() {
            return Err(Fault::DisputeOpen);
        }
        let mut deal = self.after(Happening::DisputeRaised, Actor::Rule, now, None);
        deal.disputed_by = Some(by);
        Ok(deal)
    }

    /// What a dispute's end makes of the deal that was rejected and of the one in its way, which is `None`
    /// where it has ended by itself. `terms` is what the challenger's has where it is approved.
    ///
    /// # Errors
    /// `NoDispute`; `State` of a holder that is to be shared but is not approved.
    pub fn settled(
        &self,
        holder: Option<&Self>,
        award: Award,
        terms: Terms,
        (by, note): (Actor, Option<String>),
        now: Timestamp,
    ) -> Result<(Self, Option<Self>), Fault> {
        let open = self.dispute.as_ref().filter(|open| open.ended.is_none());
        let open = open.ok_or(Fault::NoDispute)?;
        let ended = Dispute {
            ended: Some((award, now, by, note.clone())),
            ..open.clone()
        };
        let what = Happening::DisputeDecided;
        let name = Some(award.name().to_owned());
        let mut challenger = self.after(what, by, now, name.clone());
        challenger.dispute = Some(ended);
        let told = holder.map(|holder| {
            let mut told = holder.after(what, by, now, name);
            told.disputed_by = None;
            told
        });
        let turned_down = |deal: Self| deal.turned_down(by, RejectReason::Duplicate, None, now);
        match award {
            Award::Holder => Ok((challenger, told)),
            Award::Neither => Ok((challenger, told.map(turned_down))),
            Award::Challenger => {
                let mut deal = challenger.granted(terms, by, None, now);
                deal.rank = Rank::First;
                Ok((deal, told.map(turned_down)))
            }
            Award::Split { challenger: share } => {
                let holder = told.ok_or(Fault::NoDispute)?;
                holder.demand(&[State::Approved])?;
                let theirs = share.rest();
                let deal = challenger.granted(terms, by, None, now);
                let (mine, other) = pair(&deal, &holder, share, theirs);
                Ok((deal.shared(mine, now), Some(holder.shared(other, now))))
            }
        }
    }

    /// When something is due for it next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let step = match self.state {
            State::Submitted | State::InReview => {
                self.approval.as_ref().and_then(Approval::next_due)
            }
            _ => None,
        };
        let answer = match self.state {
            State::NeedsInformation => self.answer_by,
            _ => None,
        };
        let protection = match (self.state, &self.grant) {
            (State::Approved, Some(grant)) => {
                let next = REMINDERS.get(usize::try_from(grant.reminded).unwrap_or(usize::MAX));
                Some(next.map_or(grant.until, |days| days_before(grant.until, *days)))
            }
            _ => None,
        };
        let dispute = self.dispute.as_ref();
        let dispute = dispute
            .filter(|dispute| dispute.ended.is_none())
            .map(|dispute| dispute.decide_by);
        [step, answer, protection, dispute]
            .into_iter()
            .flatten()
            .min()
    }

    /// What is due for it by now, the first of it.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        if self.next_due().is_none_or(|next| next > now) {
            return None;
        }
        let dispute = self.dispute.as_ref();
        if dispute.is_some_and(|dispute| dispute.ended.is_none() && dispute.decide_by <= now) {
            return Some(Due::Undecided);
        }
        match (self.state, &self.grant, &self.approval) {
            (State::NeedsInformation, ..) => Some(Due::Unanswered),
            (State::Approved, Some(grant), _) if grant.until <= now => Some(Due::Expiry),
            (State::Approved, Some(grant), _) => {
                // Of several that were missed the nearest is told.
                let mut passed = REMINDERS
                    .iter()
                    .filter(|days| days_before(grant.until, **days) <= now);
                passed.next_back().copied().map(Due::Reminder)
            }
            (_, _, Some(approval)) => {
                let overdue = approval.stages.iter();
                let overdue = overdue.filter(|stage| stage.due.is_some_and(|due| due <= now));
                let names = overdue.map(|stage| stage.step.name.clone());
                Some(Due::Overdue(names.collect()))
            }
            (_, _, None) => None,
        }
    }

    /// The deal after its partner was merged into another, whose it is from now on.
    #[must_use]
    pub fn inherited(&self, to: PartnerId, now: Timestamp) -> Self {
        let note = Some(self.partner.to_string());
        let mut deal = self.after(Happening::Merged, Actor::Rule, now, note);
        deal.partner = to;
        deal
    }

    /// The deal after its partner was reminded.
    #[must_use]
    pub fn reminded(&self, days: u32, now: Timestamp) -> Self {
        let note = Some(days.to_string());
        let mut deal = self.after(Happening::Reminded, Actor::Rule, now, note);
        if let Some(grant) = &mut deal.grant {
            grant.reminded = count(REMINDERS.iter().take_while(|known| **known >= days).count());
        }
        deal
    }

    /// The deal after its overdue steps were passed on.
    #[must_use]
    pub fn escalated(&self, now: Timestamp) -> Self {
        let mut deal = self.after(Happening::Escalated, Actor::Rule, now, None);
        let mut names = Vec::new();
        for stage in deal.approval.iter_mut().flat_map(|a| &mut a.stages) {
            if stage.due.is_some_and(|due| due <= now) {
                stage.due = None;
                stage.escalated_at = Some(now);
                names.push(stage.step.name.clone());
            }
        }
        if let Some(entry) = deal.timeline.last_mut() {
            entry.note = Some(names.join(", "));
        }
        deal
    }

    /// The deal after its protection.
    ///
    /// # Errors
    /// `State`, also while it is protected.
    pub fn expired(&self, now: Timestamp) -> Result<Self, Fault> {
        self.demand(&[State::Approved])?;
        if self.grant.as_ref().is_some_and(|grant| grant.until > now) {
            return Err(Fault::State(self.state));
        }
        let deal = self.after(Happening::Expired, Actor::Rule, now, None);
        Ok(deal.ended(State::Expired))
    }
}

/// How two deals stand beside each other, with the shares of the first and of the second.
#[must_use]
pub fn pair(first: &Deal, second: &Deal, of_first: Rate, of_second: Rate) -> (Beside, Beside) {
    let beside = |other: &Deal, share| Beside {
        deal: other.id,
        partner: other.partner,
        share,
    };
    (beside(second, of_first), beside(first, of_second))
}

/// An amount in two: the share, half a unit rounded away from zero, and what is left.
///
/// # Errors
/// `OverLimit` beyond what amounts can be.
pub fn split(amount: Money, share: Rate) -> Result<(Money, Money), MoneyError> {
    let part = amount.percent(share, Rounding::HalfUp)?;
    Ok((part, amount.plus(part.negated()?)?))
}

/// How many of [`REMINDERS`] a protection of so many days is too short for.
fn due_reminders(days: u32) -> u32 {
    count(REMINDERS.iter().take_while(|ahead| **ahead >= days).count())
}

/// The whole second that an instant lies in.
#[must_use]
pub fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
