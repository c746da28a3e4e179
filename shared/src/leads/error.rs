//! What can go wrong with leads.

use crate::claims::model::Unattributed;
use crate::clock::Timestamp;
use crate::edge::{Problem, codes};
use crate::ids::{LeadId, ProgramId};
use crate::leads::model::{End, Fault, end_name};
use crate::partners::error::PartnerError;
use crate::table;
use crate::tracking::error::TrackingError;

/// What can go wrong with leads.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// No such lead, or not offered to the partner.
    #[error("there is no lead {0}")]
    NotFound(LeadId),
    /// The program has no public form.
    #[error("the program has no form")]
    NoForm,
    /// Leads wait for the partner to accept the program's terms.
    #[error("the program's terms in force are not accepted")]
    TermsNotAccepted,
    /// Something is there already, and the change does not say on which version it is based.
    #[error("the change does not name the version it is based on")]
    VersionMissing,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// Something changed between reading and writing; ask again.
    #[error("something changed at the same moment")]
    Moved,
    /// A lead of that id was taken in before.
    #[error("lead {0} was taken in before")]
    Repeated(LeadId),
    /// A lead of that id was taken in before, and says something else.
    #[error("lead {0} was taken in before and says something else")]
    OtherLead(LeadId),
    /// What a field names is not in the program's channel.
    #[error("{field}: the program has no {name}")]
    Unknown {
        /// The request's field.
        field: String,
        /// What it names.
        name: String,
    },
    /// Its state does not allow that.
    #[error("its state does not allow that: {0:?}")]
    Fault(Fault),
    /// Somebody else has the stronger claim to the customer by now.
    #[error("the customer is claimed by somebody else")]
    Claimed,
    /// The partner that is named cannot be offered leads.
    #[error("the partner cannot be offered leads: {0}")]
    Partner(PartnerError),
    /// The partner that asks may take no leads.
    #[error("the partner may take no leads: {0}")]
    Barred(PartnerError),
    /// The challenge was not issued for this form, or too long ago.
    #[error("the challenge is not one of this form's, or too old")]
    ChallengeInvalid,
    /// The work was not done.
    #[error("the work was not done")]
    WorkMissing,
    /// The challenge was answered before.
    #[error("the challenge was answered before")]
    ChallengeSpent,
    /// As many leads came in as an hour may bring.
    #[error("too many leads in this hour, until {0}")]
    TooMany(Timestamp),
    /// A lead is won for an amount.
    #[error("a lead is won for an amount")]
    AmountMissing,
    /// Nobody would be credited with the conversion.
    #[error("nobody would be credited: {0:?}")]
    Unattributed(Unattributed),
    /// A conversion of that transaction stands there.
    #[error("a conversion of that transaction stands there")]
    ConversionExists,
    /// Conversions.
    #[error(transparent)]
    Tracking(#[from] TrackingError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<Fault> for LeadError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<LeadError> for Problem {
    fn from(error: LeadError) -> Self {
        match error {
            LeadError::ProgramNotFound(_) => Self::not_found("program"),
            LeadError::NotFound(_) => Self::not_found("lead"),
            LeadError::NoForm => Self::not_found("form"),
            LeadError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            LeadError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            LeadError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            LeadError::Repeated(id) => {
                Self::new(codes::EXISTS, format!("lead {id} was taken in before"))
            }
            LeadError::OtherLead(id) => Self::new(
                codes::EXISTS,
                format!(
                    "lead {id} was brought under this reference and says something else: mend that one, or bring this one under another reference"
                ),
            ),
            LeadError::Unknown { field, name } => Self::field(
                codes::REFERENCE_UNKNOWN,
                field,
                format!("the program's channel has no {name}"),
            ),
            LeadError::Fault(fault) => refused(fault),
            LeadError::TermsNotAccepted => {
                Self::new(codes::TERMS_NOT_ACCEPTED, codes::TERMS_NOT_ACCEPTED.meaning)
            }
            LeadError::Claimed => {
                Self::new(codes::CUSTOMER_CLAIMED, codes::CUSTOMER_CLAIMED.meaning)
            }
            LeadError::Partner(PartnerError::Table(error)) => error.into(),
            LeadError::Partner(error) => Self::field(
                codes::REFERENCE_UNKNOWN,
                "to",
                format!("cannot be offered leads: {error}"),
            ),
            LeadError::Barred(PartnerError::Table(error)) => error.into(),
            LeadError::Barred(PartnerError::NotEnrolled(_)) => {
                Self::new(codes::NOT_ENROLLED, codes::NOT_ENROLLED.meaning)
            }
            LeadError::Barred(_) => {
                Self::new(codes::PARTNER_SUSPENDED, codes::PARTNER_SUSPENDED.meaning)
            }
            LeadError::ChallengeInvalid => Self::field(
                codes::CHALLENGE_INVALID,
                "challenge",
                codes::CHALLENGE_INVALID.meaning,
            ),
            LeadError::WorkMissing => {
                Self::field(codes::WORK_MISSING, "nonce", codes::WORK_MISSING.meaning)
            }
            LeadError::ChallengeSpent => Self::field(
                codes::CHALLENGE_INVALID,
                "challenge",
                "was answered before; get a new one",
            ),
            LeadError::TooMany(until) => Self::new(
                codes::RATE_LIMITED,
                format!("too many came in within this hour; the next begins at {until}"),
            ),
            LeadError::AmountMissing => Self::field(
                codes::REQUIRED,
                "amount",
                "is missing: a lead is won for an amount",
            ),
            LeadError::Unattributed(reason) => Self::new(
                codes::WRONG_STATE,
                format!(
                    "the conversion would be credited to nobody: {}",
                    reason.meaning()
                ),
            ),
            LeadError::ConversionExists => Self::field(
                codes::EXISTS,
                "transaction_id",
                "a conversion of that transaction stands there; amend it, or name another transaction",
            ),
            LeadError::Tracking(error) => error.into(),
            LeadError::Table(error) => error.into(),
        }
    }
}

fn refused(fault: Fault) -> Problem {
    let state = |detail: &str| Problem::new(codes::WRONG_STATE, detail);
    match fault {
        Fault::NotOffered => Problem::not_found("lead"),
        Fault::Expired(at) => Problem::new(
            codes::OFFER_EXPIRED,
            format!("the offer could be answered until {at}"),
        ),
        Fault::AlreadyAccepted => {
            Problem::new(codes::ALREADY_ACCEPTED, codes::ALREADY_ACCEPTED.meaning)
        }
        Fault::Ended(End::Expired) => state("the offer ran out"),
        Fault::Ended(end) => state(&format!("the offer has ended: {}", end_name(end))),
        Fault::NotAccepted => state("the lead has to be accepted first"),
        Fault::NotHeld => state("no partner has accepted the lead"),
        Fault::Closed => state("the lead is won or lost"),
        Fault::SameStage => state("the lead is in that stage"),
        Fault::Declined => {
            state("the partner has declined the lead, and is never offered it again")
        }
        Fault::SamePartner => state("the partner has the lead"),
        Fault::Full => Problem::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning),
        Fault::NotDue => state("it is not yet time"),
    }
}
