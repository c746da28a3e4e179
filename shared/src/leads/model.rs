//! Leads: who asks for what, to whom that is offered, and what became of it. Pure.

use std::collections::BTreeMap;

use super::routing::{Need, Past, Rule, Tally};
use crate::channel::model::ClaimKind;
use crate::clock::{Timestamp, days_after, minutes_after};
use crate::customers::model::{Company, Identifier, IdentifierKind};
use crate::ids::{ConversionId, CustomerId, LeadId, OperatorId, PartnerId, ProgramId};
use crate::money::Money;

/// Characters of what a lead needs, in words that partners read before they accept.
pub const MAX_NEED: usize = 500;
/// Characters of the caller's own id of a lead.
pub const MAX_REFERENCE: usize = 64;
/// Characters of what somebody writes in a form.
pub const MAX_MESSAGE: usize = 2_000;
/// Characters of a person's name.
pub const MAX_PERSON: usize = 120;
/// Characters of a phone number as people write it.
pub const MAX_PHONE: usize = 32;
/// Product lines that one lead wants.
pub const MAX_LINES: usize = 5;
/// The most employees that anybody has.
pub const MAX_EMPLOYEES: i64 = 10_000_000;
/// Partners to whom one lead is offered before it waits for an operator.
pub const MAX_OFFERS: usize = 40;
/// Changes of stage after which a lead is moved by partners no more.
pub const MAX_STEPS: usize = 60;
/// Changes of stage after which operators send a lead nowhere else either: what partners did keeps none of them from
/// taking it back.
pub const MAX_SENT_STEPS: usize = 120;
/// Changes of stage by one partner while it has a lead. Each puts off the day on which an idle lead is taken back,
/// so that nobody keeps a lead for ever by moving it to and fro.
pub const MAX_PROGRESS: usize = 12;
/// Further inquiries that are kept with an open lead, the first ones; one item has them all. Those beyond are counted.
pub const MAX_FURTHER: usize = 10;
/// Leads that one list of them may hold.
pub const MAX_BATCH: usize = 50;

/// Minutes within which an offer is accepted, unless the program says otherwise.
pub const SLA_MINUTES: u32 = 24 * 60;
/// The most minutes that a program may give for it.
pub const MAX_SLA_MINUTES: i64 = 60 * 24 * 60;
/// The most days that a program may let a lead lie.
pub const MAX_IDLE_DAYS: i64 = 365;
/// Days within which the same company asking for the same is the same lead.
pub const SAME_LEAD_DAYS: u32 = 90;
/// Bits of work that the public form asks for, unless the program says otherwise: a second in a browser.
pub const WORK_BITS: u32 = 18;
/// The least and the most bits that a program may ask for.
pub const WORK_BITS_RANGE: (i64, i64) = (8, 26);
/// Leads an hour that a form takes from one address, unless the program says otherwise.
pub const PER_ADDRESS: u32 = 10;
/// Leads an hour that a form takes from everybody together, unless the program says otherwise.
pub const PER_FORM: u32 = 500;
/// The most leads an hour that a program may let in.
pub const MAX_PER_HOUR: i64 = 100_000;

/// How a program distributes its leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// The program.
    pub program: ProgramId,
    /// Its rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// Minutes within which an offer is accepted.
    pub sla_minutes: u32,
    /// Days after which a lead that nobody worked on is taken back; `None` for never.
    pub idle_days: Option<u32>,
    /// Its public form; `None` where it has none.
    pub form: Option<Form>,
    /// Counts changes; 0 where nothing was ever said.
    pub version: u64,
}

/// A program's public form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Bits of work that each lead takes.
    pub work_bits: u32,
    /// Leads an hour from one address.
    pub per_address: u32,
    /// Leads an hour from everybody together.
    pub per_form: u32,
}

impl Routing {
    /// What holds for a program that has said nothing: every lead waits for an operator.
    #[must_use]
    pub fn unsaid(program: ProgramId) -> Self {
        Self {
            program,
            rules: Vec::new(),
            sla_minutes: SLA_MINUTES,
            idle_days: None,
            form: None,
            version: 0,
        }
    }

    /// Until when an offer that is made then can be accepted.
    #[must_use]
    pub fn respond_by(&self, at: Timestamp) -> Timestamp {
        minutes_after(at, i64::from(self.sla_minutes))
    }

    /// When a lead that was last worked on then is idle.
    #[must_use]
    pub fn idle_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.idle_days.map(|days| days_after(at, days))
    }
}

/// Where a lead came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An operator, through the API.
    Api,
    /// A list.
    Import,
    /// The public form.
    Form,
}

/// Sources by their names.
pub const SOURCES: &[(&str, Source)] = &[
    ("api", Source::Api),
    ("import", Source::Import),
    ("form", Source::Form),
];

/// How far a lead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Taken in, and not routed yet.
    New,
    /// Offered to a partner.
    Offered,
    /// Accepted by it.
    Accepted,
    /// Being worked on.
    Working,
    /// Worth the while.
    Qualified,
    /// With a proposal.
    Proposal,
    /// Sold.
    Won,
    /// Not sold.
    Lost,
    /// With the vendor, because no partner is left.
    Queued,
}

/// Stages by their names.
pub const STAGES: &[(&str, Stage)] = &[
    ("new", Stage::New),
    ("offered", Stage::Offered),
    ("accepted", Stage::Accepted),
    ("working", Stage::Working),
    ("qualified", Stage::Qualified),
    ("proposal", Stage::Proposal),
    ("won", Stage::Won),
    ("lost", Stage::Lost),
    ("vendor_queue", Stage::Queued),
];

/// The stages that a partner moves its leads through, in any order.
pub const PROGRESS: &[(&str, Stage)] = &[
    ("working", Stage::Working),
    ("qualified", Stage::Qualified),
    ("proposal", Stage::Proposal),
];

impl Stage {
    /// Whether a partner has it and works on it.
    #[must_use]
    pub fn is_held(self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::Working | Self::Qualified | Self::Proposal
        )
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Won | Self::Lost)
    }
}

/// Why a partner declines a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclineReason {
    /// It has too much to do.
    NoCapacity,
    /// The place is none of its.
    OutsideTerritory,
    /// It does not do that.
    NotOurBusiness,
    /// Too small, or too large.
    WrongSize,
    /// It works for a competitor of the company, or against it.
    ConflictOfInterest,
    /// It knows the company, and there is no business.
    KnownWithoutNeed,
    /// Another reason.
    Other,
}

/// Reasons for declining by their names.
pub const DECLINE_REASONS: &[(&str, DeclineReason)] = &[
    ("no_capacity", DeclineReason::NoCapacity),
    ("outside_territory", DeclineReason::OutsideTerritory),
    ("not_our_business", DeclineReason::NotOurBusiness),
    ("wrong_size", DeclineReason::WrongSize),
    ("conflict_of_interest", DeclineReason::ConflictOfInterest),
    ("known_without_need", DeclineReason::KnownWithoutNeed),
    ("other", DeclineReason::Other),
];

/// Why a lead is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// Nobody answered.
    NoAnswer,
    /// There is no budget.
    NoBudget,
    /// There is no need.
    NoNeed,
    /// A competitor's product was bought.
    Competitor,
    /// It was no inquiry in earnest.
    NotGenuine,
    /// Another reason.
    Other,
}

/// Reasons for losing by their names.
pub const LOSS_REASONS: &[(&str, LossReason)] = &[
    ("no_answer", LossReason::NoAnswer),
    ("no_budget", LossReason::NoBudget),
    ("no_need", LossReason::NoNeed),
    ("competitor", LossReason::Competitor),
    ("not_genuine", LossReason::NotGenuine),
    ("other", LossReason::Other),
];

/// Why a lead is offered to a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A rule chose it.
    Rule(String),
    /// It has a right to the customer.
    Claim {
        /// Of which kind.
        kind: ClaimKind,
        /// The deal, the lead or the claim.
        holder: String,
    },
    /// An operator said so.
    Operator(OperatorId),
}

/// How an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The partner declined.
    Declined(DeclineReason),
    /// Nobody answered in time.
    Expired,
    /// An operator gave the lead to somebody else.
    Withdrawn,
    /// The lead lay idle and was taken back.
    Reclaimed,
    /// It was won.
    Won,
    /// It was lost.
    Lost,
}

/// Ends by their names; a declined one has its reason beside it.
#[must_use]
pub fn end_name(end: End) -> &'static str {
    match end {
        End::Declined(_) => "declined",
        End::Expired => "expired",
        End::Withdrawn => "withdrawn",
        End::Reclaimed => "reclaimed",
        End::Won => "won",
        End::Lost => "lost",
    }
}

/// A lead's time with one partner, from its offer on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The partner.
    pub partner: PartnerId,
    /// When it was made.
    pub at: Timestamp,
    /// Until when it can be accepted, that instant not included.
    pub respond_by: Timestamp,
    /// Why it was made to this partner.
    pub why: Why,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// How it ended and when, if it did.
    pub ended: Option<(End, Timestamp)>,
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The partner that has the lead.
    Partner,
    /// A person of the vendor.
    Vendor,
    /// Nobody: a rule, or time.
    System,
}

/// Actors by their names.
pub const ACTORS: &[(&str, Actor)] = &[
    ("partner", Actor::Partner),
    ("vendor", Actor::Vendor),
    ("system", Actor::System),
];

/// A change of stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The stage it came to.
    pub stage: Stage,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
}

/// What came of a lead that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It was sold for that much, which is that conversion.
    Won {
        /// The amount.
        amount: Money,
        /// The conversion.
        conversion: ConversionId,
    },
    /// It was not.
    Lost(LossReason),
}

/// What is known of a lead that comes in, without the person who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Where it came from.
    pub source: Source,
    /// The caller's own id of it.
    pub reference: Option<String>,
    /// Who asks.
    pub company: Company,
    /// How many people work there.
    pub employees: Option<u32>,
    /// For which product lines.
    pub product_lines: Vec<String>,
    /// In which language.
    pub language: Option<String>,
    /// For what, in words without names.
    pub need: Option<String>,
}

impl Inquiry {
    /// Whether two ask for the same, for the same company, wherever they came from. The mailbox is the person's.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let known_by = |inquiry: &Self| -> Vec<Identifier> {
            let all = inquiry.company.identifiers.iter();
            all.filter(|one| one.kind() != IdentifierKind::Email)
                .cloned()
                .collect()
        };
        let Self {
            source: _,
            reference,
            company,
            employees,
            product_lines,
            language,
            need,
        } = self;
        reference == &other.reference
            && company.name == other.company.name
            && company.place == other.company.place
            && known_by(self) == known_by(other)
            && employees == &other.employees
            && product_lines == &other.product_lines
            && language == &other.language
            && need == &other.need
    }

    /// What routing looks at.
    #[must_use]
    pub fn need(&self) -> Need {
        Need {
            place: self.company.place.clone(),
            product_lines: self.product_lines.clone(),
            language: self.language.clone(),
            employees: self.employees,
        }
    }
}

/// The person who asks. Stands apart, because it can be erased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Name.
    pub name: Option<String>,
    /// Email.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// What they wrote.
    pub message: Option<String>,
}

/// What the company of an open lead asked further, by the public form. Stands apart, because it can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Further {
    /// When.
    pub at: Timestamp,
    /// Who, and in which words.
    pub contact: Contact,
    /// For which product lines.
    pub product_lines: Vec<String>,
}

/// A lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Id.
    pub id: LeadId,
    /// The program.
    pub program: ProgramId,
    /// What came in.
    pub inquiry: Inquiry,
    /// The customer that it is, where that is known.
    pub customer: Option<CustomerId>,
    /// The hashes of its identifiers, by which claims on it are found.
    pub hashes: Vec<String>,
    /// Until when its company's next inquiry is this lead, because it holds the identifiers.
    pub held_until: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// Its times with partners, in their order.
    pub offers: Vec<Offer>,
    /// Its changes of stage, in their order.
    pub steps: Vec<Step>,
    /// How often its company asked again while it was open; of the first [`MAX_FURTHER`] it is kept what.
    pub asked_again: u32,
    /// What came of it.
    pub closing: Option<Closing>,
    /// When time moves it on by itself: an offer runs out, or it has lain idle.
    pub due: Option<Timestamp>,
    /// When it came in.
    pub received_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

/// Why something cannot be done with a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The partner was never offered it.
    NotOffered,
    /// The partner's offer has ended so.
    Ended(End),
    /// The offer ran out then.
    Expired(Timestamp),
    /// The partner has accepted it already.
    AlreadyAccepted,
    /// The partner has not accepted it.
    NotAccepted,
    /// No partner has it.
    NotHeld,
    /// It is won or lost.
    Closed,
    /// It is in that stage already.
    SameStage,
    /// The partner has declined it: it is never offered to it again.
    Declined,
    /// The partner has it already.
    SamePartner,
    /// It has changed as often as a lead may.
    Full,
    /// It is not yet time.
    NotDue,
}

impl Lead {
    /// Whether it still holds its company's identifiers; they expire by the second.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.held_until.as_second() > now.as_second()
    }

    /// Its present offer: the one that has not ended.
    #[must_use]
    pub fn current(&self) -> Option<&Offer> {
        self.offers.last().filter(|offer| offer.ended.is_none())
    }

    /// The last offer that was made to a partner.
    #[must_use]
    pub fn offer_to(&self, partner: PartnerId) -> Option<&Offer> {
        self.offers
            .iter()
            .rev()
            .find(|offer| offer.partner == partner)
    }

    /// Whether a partner has accepted it and still has it, or closed it: it then sees who asks.
    #[must_use]
    pub fn is_open_to(&self, partner: PartnerId) -> bool {
        self.offer_to(partner).is_some_and(|offer| {
            let is_theirs = matches!(offer.ended, None | Some((End::Won | End::Lost, _)));
            offer.accepted_at.is_some() && is_theirs
        })
    }

    /// Who had it already, and how that came out.
    #[must_use]
    pub fn past(&self) -> BTreeMap<PartnerId, Past> {
        let mut past = BTreeMap::new();
        for offer in &self.offers {
            let is_declined = matches!(offer.ended, Some((End::Declined(_), _)));
            let held = past.entry(offer.partner).or_insert(Past::Had);
            if is_declined {
                *held = Past::Declined;
            }
        }
        past
    }

    /// The next version, in that stage.
    fn moved(&self, stage: Stage, by: Actor, at: Timestamp) -> Self {
        let mut steps = self.steps.clone();
        steps.push(Step { stage, at, by });
        Self {
            stage,
            steps,
            due: None,
            changed_at: at,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// With its present offer ended so.
    fn ended(mut self, end: End, at: Timestamp) -> Self {
        if let Some(offer) = self.offers.last_mut() {
            offer.ended.get_or_insert((end, at));
        }
        self
    }

    /// Whether it may change once more by somebody's will who may change it so often; time and closing always may.
    fn may_move(&self, most: usize) -> Result<(), Fault> {
        if self.stage.is_closed() {
            Err(Fault::Closed)
        } else if self.steps.len() >= most {
            Err(Fault::Full)
        } else {
            Ok(())
        }
    }

    /// With one further inquiry of its company.
    #[must_use]
    pub fn asked_again(&self, at: Timestamp) -> Self {
        Self {
            asked_again: self.asked_again.saturating_add(1),
            changed_at: at,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// Offered to a partner.
    #[must_use]
    pub fn offered(
        &self,
        partner: PartnerId,
        why: Why,
        respond_by: Timestamp,
        at: Timestamp,
    ) -> Self {
        let by = match why {
            Why::Operator(_) => Actor::Vendor,
            Why::Rule(_) | Why::Claim { .. } => Actor::System,
        };
        let mut lead = self.moved(Stage::Offered, by, at);
        lead.due = Some(respond_by);
        lead.offers.push(Offer {
            partner,
            at,
            respond_by,
            why,
            accepted_at: None,
            ended: None,
        });
        lead
    }

    /// With the vendor.
    #[must_use]
    pub fn queued(&self, by: Actor, at: Timestamp) -> Self {
        self.moved(Stage::Queued, by, at)
    }

    /// The offer that a partner can answer now.
    fn answerable(&self, partner: PartnerId, now: Timestamp) -> Result<&Offer, Fault> {
        let offer = self.offer_to(partner).ok_or(Fault::NotOffered)?;
        match offer.ended {
            Some((End::Expired, _)) => Err(Fault::Expired(offer.respond_by)),
            Some((end, _)) => Err(Fault::Ended(end)),
            None if offer.accepted_at.is_some() => Err(Fault::AlreadyAccepted),
            None if now >= offer.respond_by => Err(Fault::Expired(offer.respond_by)),
            None => Ok(offer),
        }
    }

    /// Accepted by the partner it is offered to; `idle_at` is when it will have lain idle.
    ///
    /// # Errors
    /// `NotOffered`, `Ended`, `Expired`, `AlreadyAccepted`.
    pub fn accepted(
        &self,
        partner: PartnerId,
        idle_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let _ = self.answerable(partner, now)?;
        let mut lead = self.moved(Stage::Accepted, Actor::Partner, now);
        lead.due = idle_at;
        if let Some(offer) = lead.offers.last_mut() {
            offer.accepted_at = Some(now);
        }
        Ok(lead)
    }

    /// Declined by the partner it is offered to, and waiting to be routed on.
    ///
    /// # Errors
    /// `NotOffered`, `Ended`, `Expired`, `AlreadyAccepted`.
    pub fn declined(
        &self,
        partner: PartnerId,
        reason: DeclineReason,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let _ = self.answerable(partner, now)?;
        Ok(self.clone().ended(End::Declined(reason), now))
    }

    /// Passed on by time: an offer that ran out, or a lead that lay idle, waiting to be routed on.
    ///
    /// # Errors
    /// `NotDue`.
    pub fn overdue(&self, now: Timestamp) -> Result<Self, Fault> {
        if self.current().is_none() || self.due.is_none_or(|due| now < due) {
            return Err(Fault::NotDue);
        }
        let end = if self.stage.is_held() {
            End::Reclaimed
        } else {
            End::Expired
        };
        Ok(self.clone().ended(end, now))
    }

    /// The partner that has accepted it moves it to another stage.
    ///
    /// # Errors
    /// `NotOffered`, `Ended`, `NotAccepted`, `Closed`, `SameStage`, `Full`.
    pub fn progressed(
        &self,
        partner: PartnerId,
        stage: Stage,
        idle_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        self.held_by(partner)?;
        self.may_move(MAX_STEPS)?;
        if self.stage == stage {
            return Err(Fault::SameStage);
        }
        let since = self.steps.iter().rev();
        let moved = since
            .take_while(|step| step.stage != Stage::Accepted)
            .count();
        if moved >= MAX_PROGRESS {
            return Err(Fault::Full);
        }
        let mut lead = self.moved(stage, Actor::Partner, now);
        lead.due = idle_at;
        Ok(lead)
    }

    /// Goes on only if the partner has it.
    fn held_by(&self, partner: PartnerId) -> Result<(), Fault> {
        let offer = self.offer_to(partner).ok_or(Fault::NotOffered)?;
        match offer.ended {
            Some((End::Won | End::Lost, _)) => Err(Fault::Closed),
            Some((end, _)) => Err(Fault::Ended(end)),
            None if offer.accepted_at.is_none() => Err(Fault::NotAccepted),
            None => Ok(()),
        }
    }

    /// Lost, as the partner that has it says, or an operator, who may also close one that nobody has.
    ///
    /// # Errors
    /// `NotOffered`, `Ended`, `NotAccepted`, `Closed`.
    pub fn lost(
        &self,
        partner: Option<PartnerId>,
        reason: LossReason,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let by = match partner {
            Some(partner) => {
                self.held_by(partner)?;
                Actor::Partner
            }
            None if self.stage.is_closed() => return Err(Fault::Closed),
            None => Actor::Vendor,
        };
        let mut lead = self.moved(Stage::Lost, by, now).ended(End::Lost, now);
        lead.closing = Some(Closing::Lost(reason));
        Ok(lead)
    }

    /// Won by the partner that has it, for that much.
    ///
    /// # Errors
    /// `Closed`, `NotHeld`.
    pub fn won(
        &self,
        amount: Money,
        conversion: ConversionId,
        now: Timestamp,
    ) -> Result<(Self, PartnerId), Fault> {
        if self.stage.is_closed() {
            return Err(Fault::Closed);
        }
        let held = self.current().filter(|_| self.stage.is_held());
        let partner = held.ok_or(Fault::NotHeld)?.partner;
        let mut lead = self
            .moved(Stage::Won, Actor::Vendor, now)
            .ended(End::Won, now);
        lead.closing = Some(Closing::Won { amount, conversion });
        Ok((lead, partner))
    }

    /// Taken from whoever has it, by an operator: to be offered to `to`, or routed on where there is none.
    ///
    /// # Errors
    /// `Closed`, `Full`, `Declined`, `SamePartner`.
    pub fn withdrawn(&self, to: Option<PartnerId>, now: Timestamp) -> Result<Self, Fault> {
        self.may_move(MAX_SENT_STEPS)?;
        if let Some(to) = to {
            if self.past().get(&to) == Some(&Past::Declined) {
                return Err(Fault::Declined);
            }
            if self.current().is_some_and(|offer| offer.partner == to) {
                return Err(Fault::SamePartner);
            }
        }
        Ok(self.clone().ended(End::Withdrawn, now))
    }
}

/// What a move does to a partner's tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// It is offered a lead.
    Offered,
    /// It accepted one.
    Accepted,
    /// Its time with a lead ended so; `true` where it had accepted it.
    Ended(End, bool),
}

impl Count {
    /// The tally afterwards.
    #[must_use]
    pub fn applied(self, tally: Tally) -> Tally {
        let Tally {
            open,
            accepted,
            refused,
            won,
            lost,
        } = tally;
        match self {
            Self::Offered => Tally {
                open: open.saturating_add(1),
                ..tally
            },
            Self::Accepted => Tally {
                accepted: accepted.saturating_add(1),
                ..tally
            },
            Self::Ended(end, was_accepted) => {
                let closed = Tally {
                    open: open.saturating_sub(1),
                    ..tally
                };
                match end {
                    End::Declined(_) | End::Expired => Tally {
                        refused: refused.saturating_add(1),
                        ..closed
                    },
                    End::Won => Tally {
                        won: won.saturating_add(1),
                        ..closed
                    },
                    End::Reclaimed | End::Lost if was_accepted => Tally {
                        lost: lost.saturating_add(1),
                        ..closed
                    },
                    // What was closed before it was accepted, or taken away, is not the partner's doing.
                    End::Reclaimed | End::Lost | End::Withdrawn => closed,
                }
            }
        }
    }
}

/// How many people work at a company, as those see it who shall not know which it is.
#[must_use]
pub fn size_band(employees: u32) -> &'static str {
    match employees {
        0..=1 => "1",
        2..=10 => "2-10",
        11..=50 => "11-50",
        51..=200 => "51-200",
        201..=1_000 => "201-1000",
        1_001..=5_000 => "1001-5000",
        _ => "5001+",
    }
}

/// The name of a value in a list of names; lists hold all of their values.
#[must_use]
pub fn name_of<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map_or("", |(name, _)| name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(hour: u8) -> Timestamp {
        format!("2026-03-02T{hour:02}:00:00Z").parse().unwrap()
    }

    const fn partner(n: u8) -> PartnerId {
        PartnerId::from_bytes([n; 16])
    }

    fn new() -> Lead {
        Lead {
            id: LeadId::from_bytes([1; 16]),
            program: ProgramId::from_bytes([2; 16]),
            inquiry: Inquiry {
                source: Source::Api,
                reference: None,
                company: Company::default(),
                employees: None,
                product_lines: Vec::new(),
                language: None,
                need: None,
            },
            customer: None,
            hashes: Vec::new(),
            held_until: at(23),
            stage: Stage::New,
            offers: Vec::new(),
            steps: Vec::new(),
            asked_again: 0,
            closing: None,
            due: None,
            received_at: at(8),
            changed_at: at(8),
            version: 0,
        }
    }

    /// Offered to that partner from nine until noon.
    fn offered(to: PartnerId) -> Lead {
        new().offered(to, Why::Rule("all".to_owned()), at(12), at(9))
    }

    fn accepted(by: PartnerId) -> Lead {
        offered(by).accepted(by, Some(at(20)), at(10)).unwrap()
    }

    #[test]
    fn an_offer_is_accepted_once_and_in_time_by_whom_it_was_made_to() {
        let (ada, bob) = (partner(1), partner(2));
        let lead = offered(ada);
        assert_eq!((lead.version, lead.due), (1, Some(at(12))));
        assert_eq!(lead.accepted(bob, None, at(10)), Err(Fault::NotOffered));
        let late = Err(Fault::Expired(at(12)));
        assert_eq!(lead.accepted(ada, None, at(12)), late);
        let taken = lead.accepted(ada, Some(at(20)), at(11)).unwrap();
        assert_eq!((taken.stage, taken.due), (Stage::Accepted, Some(at(20))));
        let again = Err(Fault::AlreadyAccepted);
        assert_eq!(taken.accepted(ada, None, at(11)), again);
        assert_eq!(taken.declined(ada, DeclineReason::Other, at(11)), again);
        assert!(taken.is_open_to(ada) && !lead.is_open_to(ada) && !taken.is_open_to(bob));
    }

    #[test]
    fn what_was_declined_is_never_offered_to_the_same_again() {
        let (ada, bob) = (partner(1), partner(2));
        let declined = offered(ada)
            .declined(ada, DeclineReason::Other, at(10))
            .unwrap();
        assert_eq!(declined.past()[&ada], Past::Declined);
        let lead = declined.offered(bob, Why::Rule("all".to_owned()), at(12), at(10));
        let ended = Err(Fault::Ended(End::Declined(DeclineReason::Other)));
        assert_eq!(lead.accepted(ada, None, at(11)), ended);
        assert_eq!(lead.withdrawn(Some(ada), at(11)), Err(Fault::Declined));
        assert_eq!(lead.withdrawn(Some(bob), at(11)), Err(Fault::SamePartner));
        // Whoever let it run out may be asked again, by an operator.
        let passed = offered(ada).overdue(at(12)).unwrap();
        assert_eq!(passed.past()[&ada], Past::Had);
        assert!(passed.withdrawn(Some(ada), at(12)).is_ok());
        let late = Err(Fault::Expired(at(12)));
        assert_eq!(passed.accepted(ada, None, at(12)), late);
    }

    #[test]
    fn time_takes_back_what_nobody_answers_or_works_on() {
        let ada = partner(1);
        assert_eq!(offered(ada).overdue(at(11)), Err(Fault::NotDue));
        let expired = offered(ada).overdue(at(12)).unwrap();
        assert_eq!(expired.offers[0].ended, Some((End::Expired, at(12))));
        assert_eq!(expired.overdue(at(13)), Err(Fault::NotDue));
        let working = accepted(ada)
            .progressed(ada, Stage::Working, Some(at(21)), at(11))
            .unwrap();
        assert_eq!(working.overdue(at(20)), Err(Fault::NotDue));
        let reclaimed = working.overdue(at(21)).unwrap();
        assert_eq!(reclaimed.offers[0].ended, Some((End::Reclaimed, at(21))));
        assert!(!reclaimed.is_open_to(ada));
        let never = offered(ada).accepted(ada, None, at(10)).unwrap();
        assert_eq!(never.overdue(at(23)), Err(Fault::NotDue));
    }

    #[test]
    fn who_has_a_lead_moves_it_until_it_is_closed() {
        let (ada, bob) = (partner(1), partner(2));
        let lead = accepted(ada);
        assert_eq!(
            offered(ada).progressed(ada, Stage::Working, None, at(10)),
            Err(Fault::NotAccepted)
        );
        assert_eq!(
            lead.progressed(bob, Stage::Working, None, at(11)),
            Err(Fault::NotOffered)
        );
        let lead = lead.progressed(ada, Stage::Proposal, None, at(11)).unwrap();
        assert_eq!(
            lead.progressed(ada, Stage::Proposal, None, at(11)),
            Err(Fault::SameStage)
        );
        let lost = lead.lost(Some(ada), LossReason::NoNeed, at(12)).unwrap();
        assert_eq!(lost.closing, Some(Closing::Lost(LossReason::NoNeed)));
        assert_eq!(
            lost.lost(None, LossReason::NoNeed, at(13)),
            Err(Fault::Closed)
        );
        let stage = lost.progressed(ada, Stage::Working, None, at(13));
        assert_eq!(stage, Err(Fault::Closed));
        assert_eq!(lost.withdrawn(Some(bob), at(13)), Err(Fault::Closed));
        assert!(lost.is_open_to(ada), "it stays theirs to read");
        let amount = Money::new(100, "GBP".parse().unwrap());
        let conversion = ConversionId::from_bytes([3; 16]);
        assert_eq!(lost.won(amount, conversion, at(13)), Err(Fault::Closed));
        let nobodys = offered(ada).won(amount, conversion, at(10));
        assert_eq!(nobodys, Err(Fault::NotHeld));
        let (won, winner) = lead.won(amount, conversion, at(12)).unwrap();
        assert_eq!((won.stage, winner), (Stage::Won, ada));
    }

    #[test]
    fn a_partner_moves_a_lead_so_often_and_then_time_and_operators_take_it_back() {
        let [ada, bob] = [partner(1), partner(2)];
        let mut lead = accepted(ada);
        for (_, stage) in PROGRESS.iter().cycle().take(MAX_PROGRESS) {
            lead = lead.progressed(ada, *stage, Some(at(20)), at(11)).unwrap();
        }
        let (_, next) = PROGRESS[MAX_PROGRESS % PROGRESS.len()];
        assert_eq!(lead.progressed(ada, next, None, at(11)), Err(Fault::Full));
        assert!(lead.overdue(at(20)).is_ok());
        assert!(lead.lost(Some(ada), LossReason::Other, at(12)).is_ok());
        // Whoever has it next may move it as often.
        let mut lead = lead
            .withdrawn(Some(bob), at(12))
            .unwrap()
            .offered(bob, Why::Rule("all".to_owned()), at(13), at(12))
            .accepted(bob, None, at(12))
            .unwrap();
        for (_, stage) in PROGRESS.iter().cycle().take(MAX_PROGRESS) {
            lead = lead.progressed(bob, *stage, None, at(12)).unwrap();
        }
    }

    #[test]
    fn a_lead_changes_so_often_and_not_more_and_stays_in_operators_hands() {
        let ada = partner(1);
        let mut lead = accepted(ada);
        lead.steps = vec![lead.steps[0]; MAX_STEPS];
        let full = lead.progressed(ada, Stage::Working, None, at(11));
        assert_eq!(full, Err(Fault::Full));
        assert!(lead.withdrawn(None, at(11)).is_ok());
        lead.steps = vec![lead.steps[0]; MAX_SENT_STEPS];
        assert_eq!(lead.withdrawn(None, at(11)), Err(Fault::Full));
        assert!(lead.lost(Some(ada), LossReason::Other, at(12)).is_ok());
    }

    #[test]
    fn tallies_count_what_becomes_of_offers() {
        let counted = |counts: &[Count]| {
            counts
                .iter()
                .fold(Tally::default(), |tally, count| count.applied(tally))
        };
        let tally = |open, accepted, refused, won, lost| Tally {
            open,
            accepted,
            refused,
            won,
            lost,
        };
        let declined = Count::Ended(End::Declined(DeclineReason::Other), false);
        let (offered, accepted) = (Count::Offered, Count::Accepted);
        assert_eq!(counted(&[offered]), tally(1, 0, 0, 0, 0));
        assert_eq!(counted(&[offered, declined]), tally(0, 0, 1, 0, 0));
        let expired = Count::Ended(End::Expired, false);
        assert_eq!(counted(&[offered, expired]), tally(0, 0, 1, 0, 0));
        assert_eq!(counted(&[offered, accepted]), tally(1, 1, 0, 0, 0));
        for (end, expected) in [
            (End::Won, tally(0, 1, 0, 1, 0)),
            (End::Lost, tally(0, 1, 0, 0, 1)),
            (End::Reclaimed, tally(0, 1, 0, 0, 1)),
            (End::Withdrawn, tally(0, 1, 0, 0, 0)),
        ] {
            assert_eq!(
                counted(&[offered, accepted, Count::Ended(end, true)]),
                expected
            );
        }
        let lost_before = [offered, Count::Ended(End::Lost, false)];
        assert_eq!(counted(&lost_before), Tally::default());
    }

    #[test]
    fn sizes_are_told_in_bands() {
        let bands = [1, 2, 10, 11, 200, 201, 1_000, 5_000, 5_001].map(size_band);
        assert_eq!(
            bands,
            [
                "1",
                "2-10",
                "2-10",
                "11-50",
                "51-200",
                "201-1000",
                "201-1000",
                "1001-5000",
                "5001+"
            ]
        );
    }
}
