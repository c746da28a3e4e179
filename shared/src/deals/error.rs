//! What can go wrong with deals.

use super::model::{Fault, State};
use crate::claims::model::Unattributed;
use crate::edge::{Problem, codes};
use crate::ids::{ConversionId, DealId, OperatorId, ProgramId};
use crate::money::MoneyError;
use crate::partners::error::PartnerError;
use crate::table;
use crate::tracking::error::TrackingError;
use crate::tracking::model::{MAX_AHEAD_MINUTES, TimeFault};

/// What can go wrong with deals.
#[derive(Debug, thiserror::Error)]
pub enum DealError {
    /// No such deal, or not the caller's.
    #[error("there is no deal {0}")]
    NotFound(DealId),
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// The program has no deal policy.
    #[error("the program has no deal policy")]
    NoPolicy,
    /// A policy stands there, and the change does not say which version it replaces.
    #[error("a policy stands there; its version is not named")]
    VersionMissing,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// Something changed between reading and writing.
    #[error("something changed at the same moment")]
    Moved,
    /// A field names what its program does not have.
    #[error("{0}: the program has no {1}")]
    Unknown(String, String),
    /// A policy names an operator that does not exist.
    #[error("{0}: there is no operator {1}")]
    OperatorUnknown(String, OperatorId),
    /// A deal names no product line in a program that tells them apart.
    #[error("no product line is named")]
    NoLines,
    /// What is said of the customer identifies nobody.
    #[error("the customer has no identifier")]
    NoIdentifier,
    /// What was said of the customer was erased.
    #[error("what was said of the customer was erased")]
    Erased,
    /// Deals wait for the partner to accept the program's terms.
    #[error("the program's terms in force are not accepted")]
    TermsNotAccepted,
    /// The partner registered as many today as a day may bring.
    #[error("the partner has registered enough for today")]
    DailyLimit,
    /// The partner has an open deal of its own for the same.
    #[error("the partner's own {0} is for the same")]
    OwnDuplicate(DealId),
    /// An earlier deal has to be decided, or has to go, before.
    #[error("{0} stands before it")]
    Before(DealId),
    /// The earlier deal is shared with another one already.
    #[error("{0} is shared with another one")]
    SharedAlready(DealId),
    /// A discount for a deal that brings none, or before the last consent.
    #[error("{0}")]
    Discount(&'static str),
    /// Its state, or who asks, does not allow it.
    #[error("it cannot be done: {0:?}")]
    Fault(Fault),
    /// The event lies ahead.
    #[error("the event lies ahead")]
    InFuture,
    /// The conversion that it would become stands there.
    #[error("a conversion of that transaction stands there")]
    ConversionExists,
    /// The transaction is the one of the other's conversion, who shares the deal.
    #[error("{0} is won under that transaction")]
    OthersTransaction(DealId),
    /// A conversion was posted and credited because of the deal.
    #[error("{0} is credited because of it")]
    SoldAlready(ConversionId),
    /// The named conversion is not of the deal's customer, or nothing is left of it.
    #[error("the conversion is not the deal's")]
    NotItsConversion,
    /// The conversion would be credited to nobody.
    #[error("nobody would be credited: {0:?}")]
    Unattributed(Unattributed),
    /// An amount beyond what amounts can be.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The partner.
    #[error(transparent)]
    Partner(PartnerError),
    /// Conversions.
    #[error(transparent)]
    Tracking(#[from] TrackingError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<Fault> for DealError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<TimeFault> for DealError {
    fn from(_: TimeFault) -> Self {
        Self::InFuture
    }
}

impl From<PartnerError> for DealError {
    fn from(error: PartnerError) -> Self {
        match error {
            PartnerError::Table(error) => Self::Table(error),
            other => Self::Partner(other),
        }
    }
}

impl From<DealError> for Problem {
    fn from(error: DealError) -> Self {
        match error {
            DealError::NotFound(_) => Self::not_found("deal"),
            DealError::ProgramNotFound(_) => Self::not_found("program"),
            DealError::NoPolicy => Self::field(
                codes::REFERENCE_UNKNOWN,
                "program",
                "takes no deal registrations: it has no deal policy",
            ),
            DealError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            DealError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            DealError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            DealError::Unknown(field, name) => Self::field(
                codes::REFERENCE_UNKNOWN,
                field,
                format!("the program's channel has no {name}"),
            ),
            DealError::OperatorUnknown(field, id) => Self::field(
                codes::REFERENCE_UNKNOWN,
                field,
                format!("there is no operator {id}"),
            ),
            DealError::NoLines => Self::field(
                codes::REQUIRED,
                "product_lines",
                "names at least one of the program's product lines",
            ),
            DealError::NoIdentifier => Self::field(
                codes::REQUIRED,
                "customer.domain",
                "a registration is for a customer that its domain, tax_id, crm_id or email identifies",
            ),
            DealError::Erased => Self::new(
                codes::WRONG_STATE,
                "what was said of the customer was erased",
            ),
            DealError::TermsNotAccepted => {
                Self::new(codes::TERMS_NOT_ACCEPTED, codes::TERMS_NOT_ACCEPTED.meaning)
            }
            DealError::DailyLimit => Self::new(codes::DAILY_LIMIT, codes::DAILY_LIMIT.meaning),
            DealError::OwnDuplicate(id) => Self::new(
                codes::EXISTS,
                format!("your own deal {id} is for the same customer"),
            ),
            DealError::Before(id) => Self::new(
                codes::WRONG_STATE,
                format!("deal {id} has the customer; decide or end it first, or reject this one"),
            ),
            DealError::SharedAlready(id) => Self::new(
                codes::WRONG_STATE,
                format!("deal {id} is shared with another one, and two share at most"),
            ),
            DealError::Discount(reason) => {
                Self::field(codes::UNKNOWN_FIELD, "discount_rate", reason)
            }
            DealError::Fault(fault) => refused(fault),
            DealError::InFuture => Self::field(
                codes::TIME_IN_FUTURE,
                "occurred_at",
                format!("lies more than {MAX_AHEAD_MINUTES} minutes ahead"),
            ),
            DealError::ConversionExists => Self::field(
                codes::EXISTS,
                "transaction_id",
                "a conversion of that transaction stands there, and is paid as that: correct it, or name another transaction",
            ),
            DealError::OthersTransaction(other) => Self::field(
                codes::EXISTS,
                "transaction_id",
                format!(
                    "is that of the conversion of deal {other}, which shares this one; name another"
                ),
            ),
            DealError::SoldAlready(conversion) => Self::new(
                codes::EXISTS,
                format!(
                    "{conversion} was posted and is credited because of this deal: name it as `conversion` where it is this sale, or say that this is `another_sale`"
                ),
            ),
            DealError::NotItsConversion => Self::field(
                codes::REFERENCE_UNKNOWN,
                "conversion",
                "is no conversion that names the deal's customer or is credited because of the deal, or nothing is left of it",
            ),
            DealError::Unattributed(reason) => Self::new(
                codes::WRONG_STATE,
                format!(
                    "its conversion would be credited to nobody: {}",
                    reason.meaning()
                ),
            ),
            DealError::Money(error) => Self::field(error.into(), "amount", error.to_string()),
            DealError::Partner(error) => error.into(),
            DealError::Tracking(error) => error.into(),
            DealError::Table(error) => error.into(),
        }
    }
}

fn refused(fault: Fault) -> Problem {
    let state = |reason: &str| Problem::new(codes::WRONG_STATE, reason);
    match fault {
        Fault::State(State::Expired) => state("its protection has ended"),
        Fault::State(now) => state(&format!("the deal is {}", now.name().replace('_', " "))),
        Fault::Stake => Problem::new(codes::STAKE_IN_ACCOUNT, codes::STAKE_IN_ACCOUNT.meaning),
        Fault::NotApprover | Fault::ConsentedBefore => {
            Problem::new(codes::NOT_APPROVER, codes::NOT_APPROVER.meaning)
        }
        Fault::StepUnknown => Problem::field(
            codes::NOT_ONE_OF,
            "step",
            "is no step that waits for consent now",
        ),
        Fault::NoExtension => state("a protection is extended once, where the program extends any"),
        Fault::TooMuch => state("enough was asked about it and answered; decide it"),
        Fault::NothingToDispute => {
            state("only what was rejected as a duplicate of another partner's deal is disputed")
        }
        Fault::DisputeLate => Problem::new(
            codes::DISPUTE_LATE,
            "the rejection is older than the program's days for disputes",
        ),
        Fault::DisputeOpen => Problem::new(codes::DISPUTE_OPEN, codes::DISPUTE_OPEN.meaning),
        Fault::NoDispute => state("no dispute of it is open"),
        Fault::NoAmount => Problem::field(codes::OUT_OF_RANGE, "amount", "is more than zero"),
    }
}
