//! The kinds of events and what each says: pure.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use crate::clock::Timestamp;
use crate::ids::{EventId, PartnerId, ProgramId};

/// Characters of one fact of an event: codes, ids, times and figures, never prose.
pub const MAX_FACT: usize = 120;

/// Something that happened. Holds no personal data: who is meant stands in items of its own, which can be
/// erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Id.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// In which program; `None` for what concerns a partner in all of them.
    pub program: Option<ProgramId>,
    /// Whom it concerns; `None` where there is no partner (yet).
    pub partner: Option<PartnerId>,
    /// The id of the record it happened to.
    pub subject: String,
    /// When.
    pub at: Timestamp,
    /// Small facts by their names, those of [`EventKind::facts`] and no others.
    pub data: BTreeMap<String, String>,
}

impl Event {
    /// An event about a record.
    #[must_use]
    pub fn new(id: EventId, kind: EventKind, subject: impl Display, at: Timestamp) -> Self {
        Self {
            id,
            kind,
            program: None,
            partner: None,
            subject: subject.to_string(),
            at,
            data: BTreeMap::new(),
        }
    }

    /// … in that program.
    #[must_use]
    pub fn in_program(mut self, program: ProgramId) -> Self {
        self.program = Some(program);
        self
    }

    /// … that concerns that partner.
    #[must_use]
    pub fn about_partner(mut self, partner: PartnerId) -> Self {
        self.partner = Some(partner);
        self
    }

    /// … with a fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.data.insert(name.to_owned(), value.to_string());
        self
    }

    /// … with a fact where there is one.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Whether the event keeps to the schema of its kind.
    ///
    /// # Errors
    /// The first thing that does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        let facts = self.kind.facts();
        if let Some(missing) = facts
            .iter()
            .find(|fact| fact.required && !self.data.contains_key(fact.name))
        {
            return Err(format!("{} is missing", missing.name));
        }
        for (name, value) in &self.data {
            if facts.iter().all(|fact| fact.name != name) {
                return Err(format!("{name} is not in the schema"));
            }
            if value.is_empty() || value.chars().count() > MAX_FACT {
                return Err(format!("{name} has 1 to {MAX_FACT} characters"));
            }
        }
        if self.kind.scope() == EventScope::Program && self.program.is_none() {
            return Err("it names no program".to_owned());
        }
        Ok(())
    }
}

/// What an event of a kind belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventScope {
    /// A program, in whose feed it stands.
    Program,
    /// A partner, in whichever program.
    Partner,
}

/// A fact that events of a kind carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name.
    pub name: &'static str,
    /// Whether every event of the kind has it.
    pub required: bool,
    /// What it says.
    pub meaning: &'static str,
}

/// A fact that is always there.
const fn always(name: &'static str, meaning: &'static str) -> Fact {
    Fact {
        name,
        required: true,
        meaning,
    }
}

/// A fact that is there where it applies.
const fn maybe(name: &'static str, meaning: &'static str) -> Fact {
    Fact {
        name,
        required: false,
        meaning,
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal $scope:ident $subject:literal $meaning:literal [$($fact:expr),* $(,)?];)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $(#[doc = $meaning] $kind,)*
        }

        /// Every kind there is, as the documentation lists them.
        pub const ALL_KINDS: &[EventKind] = &[$(EventKind::$kind,)*];

        impl EventKind {
            /// The name on the wire and in the store.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }

            /// What its subject is, for people.
            #[must_use]
            pub fn subject(self) -> &'static str {
                match self { $(Self::$kind => $subject,)* }
            }

            /// What its events belong to.
            #[must_use]
            pub fn scope(self) -> EventScope {
                match self { $(Self::$kind => EventScope::$scope,)* }
            }

            /// The facts its events carry.
            #[must_use]
            pub fn facts(self) -> &'static [Fact] {
                match self { $(Self::$kind => const { &[$($fact),*] },)* }
            }
        }
    };
}

const REASON: Fact = always("reason", "Code of the reason, one of a fixed list.");
const MAYBE_REASON: Fact = maybe("reason", "Code of the reason, one of a fixed list.");
const AMOUNT: Fact = maybe("amount", "The deal's amount, a decimal string.");
const CURRENCY: Fact = maybe("currency", "ISO 4217 code of `amount`.");
const OPERATOR: Fact = maybe(
    "operator",
    "The operator who did it; absent where a rule did.",
);
const APPROVER: Fact = maybe("approver", "The operator who is to act, where it is one.");
const PROTECTED: Fact = maybe("protected_until", "Until when the deal is protected.");
const RESPOND_BY: Fact = maybe("respond_by", "Until when an answer counts.");
const OFFER: Fact = maybe("offer", "Number of the offer of this lead, from 1.");
const CONVERSION: Fact = maybe("conversion", "The conversion that was made of it.");
const STEP: Fact = always("step", "Code of the step.");
const AGREEMENT_VERSION: Fact = always("version", "The agreement's version, a whole number.");
const EFFECTIVE_AT: Fact = always("effective_at", "From when on the version holds.");

kinds! {
    ApplicationInvited "application.invited" Program "application" "An operator invited somebody to apply." [OPERATOR];
    ApplicationConfirmationAsked "application.confirmation_asked" Program "application" "An applicant is asked to confirm the email address by the token that is mailed." [];
    ApplicationStarted "application.started" Program "application" "An applicant confirmed the email address." [maybe("source", "Where the applicant came from, a code."), maybe("referrer", "The partner who referred the applicant.")];
    ApplicationSubmitted "application.submitted" Program "application" "An application is complete and was submitted." [maybe("source", "Where the applicant came from, a code."), maybe("referrer", "The partner who referred the applicant.")];
    ApplicationInReview "application.in_review" Program "application" "An application waits for an operator." [maybe("findings", "How many gates speak against it, a whole number.")];
    ApplicationNeedsInformation "application.needs_information" Program "application" "An operator asks the applicant for more." [OPERATOR];
    ApplicationApproved "application.approved" Program "application" "An application was approved; its partner is made and enrolled." [OPERATOR];
    ApplicationRejected "application.rejected" Program "application" "An application was rejected." [REASON, OPERATOR, maybe("reapply_at", "From when on the applicant may apply again.")];
    AgreementPublished "agreement.published" Program "program" "A version of the program's terms was published and asks for acceptance." [AGREEMENT_VERSION, EFFECTIVE_AT];
    AgreementDue "agreement.due" Program "program" "A version of the terms takes effect soon; those who have not accepted it are reminded." [AGREEMENT_VERSION, EFFECTIVE_AT];
    AgreementAccepted "agreement.accepted" Program "program" "A partner accepted a version of the terms." [AGREEMENT_VERSION, always("hash", "SHA-256 of the text that was accepted, hex."), maybe("member", "The member who accepted; absent for the partner's own key.")];
    PartnerApproved "partner.approved" Partner "partner" "A partner was made by an approved application." [maybe("application", "The application.")];
    PartnerSuspended "partner.suspended" Partner "partner" "A partner was suspended: it earns nothing new and is not paid." [OPERATOR];
    PartnerReinstated "partner.reinstated" Partner "partner" "A partner is active again." [OPERATOR];
    PartnerBanned "partner.banned" Partner "partner" "A partner was banned: its keys open nothing any more." [OPERATOR];
    PartnerArchived "partner.archived" Partner "partner" "A partner was archived: it keeps and is paid what it earned, and earns nothing new." [OPERATOR];
    PartnerMerged "partner.merged" Partner "partner" "A partner was merged into another: what is its and what it earns from then on is the other's." [always("into", "The other partner."), OPERATOR];
    PartnerErased "partner.erased" Partner "partner" "The personal data of a partner or of one of its people was erased." [maybe("member", "The member; absent where it was the partner's own contact."), OPERATOR];
    PartnerMemberAdded "partner.member_added" Partner "partner" "A person was added to a partner." [always("member", "The member."), always("role", "owner, manager or member.")];
    PartnerMemberRemoved "partner.member_removed" Partner "partner" "A person was removed from a partner." [always("member", "The member.")];
    PartnerPayoutMethodSet "partner.payout_method_set" Partner "partner" "Where a partner is paid was set or changed." [];
    PartnerStepCompleted "partner.step_completed" Program "partner" "A step of a partner's onboarding is completed." [STEP, OPERATOR];
    PartnerOnboarded "partner.onboarded" Program "partner" "All required steps of a partner's onboarding are completed." [];
    DealSubmitted "deal.submitted" Program "deal" "A partner submitted a deal." [AMOUNT, CURRENCY, APPROVER, RESPOND_BY];
    DealNeedsInformation "deal.needs_information" Program "deal" "An operator asks the partner for more about a deal." [OPERATOR, RESPOND_BY];
    DealApproved "deal.approved" Program "deal" "A deal was approved and is protected." [PROTECTED, AMOUNT, CURRENCY, OPERATOR];
    DealRejected "deal.rejected" Program "deal" "A deal was rejected." [REASON, OPERATOR];
    DealExtended "deal.extended" Program "deal" "A deal's protection was extended." [PROTECTED, OPERATOR];
    DealWon "deal.won" Program "deal" "A deal was won." [AMOUNT, CURRENCY, CONVERSION, OPERATOR];
    DealLost "deal.lost" Program "deal" "A deal was lost." [MAYBE_REASON, OPERATOR];
    DealExpiring "deal.expiring" Program "deal" "A deal's protection ends soon." [always("protected_until", "Until when the deal is protected."), maybe("days", "Days that are left, a whole number.")];
    DealExpired "deal.expired" Program "deal" "A deal's protection has ended." [PROTECTED];
    DealWithdrawn "deal.withdrawn" Program "deal" "A partner withdrew a deal." [];
    DealDisputed "deal.disputed" Program "deal" "A partner disputes whose deal it is." [maybe("other", "The deal it is disputed with."), RESPOND_BY];
    DealDisputeDecided "deal.dispute_decided" Program "deal" "A dispute about a deal was decided." [always("outcome", "Code of the outcome."), maybe("other", "The deal it was disputed with."), maybe("share", "The partner's share where it is split, from 0 to 1."), OPERATOR];
    DealEscalated "deal.escalated" Program "deal" "Nobody decided a deal in time; it goes to the next who may." [APPROVER, RESPOND_BY, maybe("step", "The step of the approval chain, from 1.")];
    LeadReceived "lead.received" Program "lead" "A lead came in." [maybe("source", "Where it came from.")];
    LeadAskedAgain "lead.asked_again" Program "lead" "The company of an open lead asked further by the public form; the partner is the one that has accepted the lead." [];
    LeadOffered "lead.offered" Program "lead" "A lead is offered to a partner, who sees no name before it accepts." [RESPOND_BY, OFFER];
    LeadAccepted "lead.accepted" Program "lead" "A partner accepted a lead." [OFFER];
    LeadDeclined "lead.declined" Program "lead" "A partner declined a lead." [REASON, OFFER];
    LeadOfferExpired "lead.offer_expired" Program "lead" "A partner did not answer an offer in time; the lead passes to the next." [OFFER];
    LeadReclaimed "lead.reclaimed" Program "lead" "An idle lead was taken back from its partner." [MAYBE_REASON];
    LeadQueued "lead.queued" Program "lead" "No partner is left for a lead; it waits in the vendor's queue." [MAYBE_REASON];
    LeadWon "lead.won" Program "lead" "A lead was won." [AMOUNT, CURRENCY, CONVERSION];
    LeadLost "lead.lost" Program "lead" "A lead was lost." [MAYBE_REASON];
}

impl EventKind {
    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL_KINDS.iter().copied().find(|kind| kind.name() == name)
    }
}

/// The documentation of all kinds, as `docs/events.md` holds it.
#[must_use]
pub fn documentation() -> String {
    let mut text = String::from(
        "# Events\n\n\
         What happens in the channel is told by events. Each is written in the same transaction as what it tells of, \
         kept, and read in its order from `GET /v1/programs/{id}/events`; notifications by mail hang off them. \
         This page is made from `shared/src/events/model.rs`, and a test keeps the two alike.\n\n\
         Every event has this form; `program`, `partner` and the facts in `data` are there where they apply:\n\n\
         ```json\n\
         {\n  \"id\": \"evt_…\",\n  \"type\": \"deal.approved\",\n  \"at\": \"2026-03-02T09:00:00Z\",\n  \
         \"program\": \"prg_…\",\n  \"partner\": \"ptr_…\",\n  \"subject\": \"deal_…\",\n  \
         \"data\": { \"protected_until\": \"2026-05-31T09:00:00Z\" }\n}\n\
         ```\n\n\
         All facts are strings of at most 120 characters: codes, ids, RFC 3339 times, decimal figures. No event holds a name, an \
         address or an email.\n",
    );
    for kind in ALL_KINDS {
        let scope = match kind.scope() {
            EventScope::Program => "in a program",
            EventScope::Partner => "of a partner, in whichever program",
        };
        let _ = write!(
            text,
            "\n## `{}`\n\n{} Subject: the {}'s id; {scope}.\n",
            kind.name(),
            kind.meaning(),
            kind.subject(),
        );
        if kind.facts().is_empty() {
            continue;
        }
        text.push_str("\n| fact | | |\n|---|---|---|\n");
        for fact in kind.facts() {
            let presence = if fact.required { "always" } else { "maybe" };
            let _ = writeln!(text, "| `{}` | {presence} | {} |", fact.name, fact.meaning);
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_own_name() {
        for kind in ALL_KINDS {
            assert_eq!(EventKind::named(kind.name()), Some(*kind));
            let named: Vec<&str> = kind.facts().iter().map(|fact| fact.name).collect();
            let mut distinct = named.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(named.len(), distinct.len(), "{}", kind.name());
        }
        assert_eq!(EventKind::named("deal.eaten"), None);
    }

    #[test]
    fn an_event_keeps_to_its_schema() {
        let at = "2026-03-02T09:00:00Z".parse().unwrap();
        let event = |kind| {
            Event::new(EventId::from_bytes([1; 16]), kind, "x", at)
                .in_program(ProgramId::from_bytes([2; 16]))
        };
        let rejected = event(EventKind::DealRejected);
        assert_eq!(rejected.check().unwrap_err(), "reason is missing");
        let told = rejected.with("reason", "duplicate");
        assert!(told.check().is_ok());
        let odd = told.clone().with("name", "Ada").check();
        assert_eq!(odd.unwrap_err(), "name is not in the schema");
        let long = told.clone().with("reason", "x".repeat(MAX_FACT + 1));
        assert!(long.check().is_err());
        let nowhere = Event {
            program: None,
            ..told
        };
        assert_eq!(nowhere.check().unwrap_err(), "it names no program");
    }
}
