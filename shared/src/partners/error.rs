//! What can go wrong with partners, enrolments and payout methods.

use crate::clock::Timestamp;
use crate::edge::{KeyringError, Problem, codes};
use crate::ids::{PartnerId, ProgramId};
use crate::partners::model::MAX_UPLINES;
use crate::table;

/// What can go wrong with partners, enrolments and payout methods.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// No such partner.
    #[error("there is no partner {0}")]
    NotFound(PartnerId),
    /// The partner has no payout method.
    #[error("the partner has no payout method")]
    NoPayoutMethod,
    /// What a request names as its partner does not exist.
    #[error("the partner does not exist")]
    Unknown,
    /// What a request names as its program does not exist.
    #[error("the program does not exist")]
    ProgramUnknown,
    /// What a request names as its plan does not exist in the program.
    #[error("the program has no plan {0}")]
    PlanUnknown(String),
    /// The partner is not in the program.
    #[error("the partner is not enrolled in {0}")]
    NotEnrolled(ProgramId),
    /// The partner is suspended.
    #[error("the partner is suspended")]
    Suspended,
    /// The partner is banned.
    #[error("the partner is banned")]
    Banned,
    /// The partner was merged into another.
    #[error("the partner was merged into {0}")]
    Merged(PartnerId),
    /// Whom a partner is to be merged into was merged itself, into that one.
    #[error("the other was merged into {0}")]
    IntoMerged(PartnerId),
    /// Whom a partner is to be merged into is not active.
    #[error("the other is not active")]
    IntoInactive,
    /// Who is to be merged is suspended, and so not paid.
    #[error("the partner is suspended and not paid")]
    NotPaid,
    /// As many partners were merged into one as may be.
    #[error("too many partners were merged into it")]
    TooManyMerged,
    /// The partner's payouts are held back.
    #[error("the partner's payouts are on hold")]
    OnHold,
    /// The partner may still earn.
    #[error("the partner is active")]
    StillActive,
    /// The partner has no such person.
    #[error("the partner has no such person")]
    MemberNotFound,
    /// The partner has a person of that email.
    #[error("the partner has a person of that email")]
    MemberExists,
    /// As many people as a partner may have.
    #[error("the partner has too many people")]
    TooManyMembers,
    /// The partner would be left without an owner.
    #[error("the partner would be left without an owner")]
    LastOwner,
    /// The role of who asks does not reach so far.
    #[error("the role does not reach so far")]
    RoleTooLow,
    /// What a request names as the partner's upline is not in the program.
    #[error("the upline is not enrolled in {0}")]
    UplineNotEnrolled(ProgramId),
    /// The upline stands below the partner itself: the way up, which comes back.
    #[error("the partner would stand below itself: {0:?}")]
    UplineCycle(Vec<PartnerId>),
    /// More uplines above the partner than there may be.
    #[error("more than {MAX_UPLINES} partners would stand above it")]
    UplineTooDeep,
    /// The upline of one who is enrolled would change from a time on that has passed.
    #[error("the upline would change in the past")]
    UplineInPast,
    /// A first enrolment names no plan, and the program has no default.
    #[error("no plan is named, and the program has no default")]
    PlanMissing,
    /// Another plan, effective before now, for a partner who is enrolled.
    #[error("what was computed already would change")]
    EffectiveInPast,
    /// More plans or uplines over time than an enrolment may name.
    #[error("the enrolment names too many plans or uplines")]
    TooManyPlans,
    /// A hold that would be over before it began.
    #[error("lies before {0}")]
    HoldInPast(Timestamp),
    /// A payout method stands there, and the change does not say which version it replaces.
    #[error("a payout method stands there; its version is not named")]
    VersionMissing,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Moved,
    /// A sealed account could not be sealed or opened.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<PartnerError> for Problem {
    fn from(error: PartnerError) -> Self {
        match error {
            PartnerError::NotFound(_) => Self::not_found("partner"),
            PartnerError::NoPayoutMethod => Self::not_found("payout method"),
            PartnerError::Unknown => Self::field(
                codes::REFERENCE_UNKNOWN,
                "partner",
                "there is no such partner",
            ),
            PartnerError::ProgramUnknown => Self::field(
                codes::REFERENCE_UNKNOWN,
                "program",
                "there is no such program",
            ),
            PartnerError::PlanUnknown(code) => Self::field(
                codes::REFERENCE_UNKNOWN,
                "plan",
                format!("the program has no plan {code}"),
            ),
            PartnerError::PlanMissing => Self::field(
                codes::REQUIRED,
                "plan",
                "is missing, and the program has no default plan",
            ),
            PartnerError::EffectiveInPast => Self::effective_in_past("effective_from"),
            PartnerError::NotEnrolled(_) => {
                Self::field(codes::NOT_ENROLLED, "partner", codes::NOT_ENROLLED.meaning)
            }
            PartnerError::Suspended => Self::field(
                codes::PARTNER_SUSPENDED,
                "partner",
                codes::PARTNER_SUSPENDED.meaning,
            ),
            PartnerError::Merged(into) => Self::new(
                codes::WRONG_STATE,
                format!("the partner was merged into {into}, for good"),
            ),
            PartnerError::IntoMerged(into) => Self::field(
                codes::WRONG_STATE,
                "into",
                format!("was merged itself, into {into}"),
            ),
            PartnerError::IntoInactive => Self::field(
                codes::PARTNER_SUSPENDED,
                "into",
                "is not active: what is taken over could not be paid",
            ),
            PartnerError::NotPaid => Self::new(
                codes::WRONG_STATE,
                "the partner is suspended; reinstate or archive it first, so that it may be paid",
            ),
            PartnerError::TooManyMerged => {
                Self::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning)
            }
            PartnerError::OnHold => Self::new(
                codes::WRONG_STATE,
                "the partner's payouts are on hold; lift the hold first",
            ),
            PartnerError::Banned => Self::new(codes::WRONG_STATE, "the partner is banned"),
            PartnerError::StillActive => Self::new(
                codes::WRONG_STATE,
                "the partner is active; suspend, ban or archive it first",
            ),
            PartnerError::MemberNotFound => Self::not_found("member"),
            PartnerError::MemberExists => Self::field(
                codes::EXISTS,
                "email",
                "another person of the partner has that email",
            ),
            PartnerError::TooManyMembers => {
                Self::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning)
            }
            PartnerError::LastOwner => Self::new(
                codes::WRONG_STATE,
                "the partner would be left without an owner; make another one first",
            ),
            PartnerError::RoleTooLow => Self::new(
                codes::FORBIDDEN,
                "managers look after members, and owners after everybody",
            ),
            PartnerError::UplineNotEnrolled(_) => {
                Self::field(codes::NOT_ENROLLED, "upline", codes::NOT_ENROLLED.meaning)
            }
            PartnerError::UplineCycle(way) => {
                let way: Vec<String> = way.iter().map(ToString::to_string).collect();
                let reason = format!("the way up comes back: {}", way.join(" → "));
                Self::field(codes::UPLINE_CYCLE, "upline", reason)
            }
            PartnerError::UplineTooDeep => Self::field(
                codes::UPLINE_TOO_DEEP,
                "upline",
                format!("has so many above it that the partner would have more than {MAX_UPLINES}"),
            ),
            PartnerError::UplineInPast => Self::field(
                codes::UPLINE_IN_PAST,
                "effective_from",
                "has passed; leave it out to change the upline from now on",
            ),
            PartnerError::TooManyPlans => {
                Self::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning)
            }
            PartnerError::HoldInPast(_) => {
                Self::field(codes::TIME_IN_PAST, "until", error.to_string())
            }
            PartnerError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            PartnerError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            PartnerError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            PartnerError::Keyring(error) => Self::internal(&error),
            PartnerError::Table(error) => error.into(),
        }
    }
}
