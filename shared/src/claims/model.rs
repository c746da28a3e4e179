//! Claims and attribution: who is credited with a conversion, and why. Pure.

use crate::channel::model::{ClaimKind, Settings};
use crate::clock::{Timestamp, days_after, minutes_after};
use crate::ids::{
    ClaimId, ConversionId, CouponId, CustomerId, DealId, DisputeId, LeadId, LinkId, PartnerId,
    ProgramId,
};
use crate::money::Rate;
use crate::partners::model::{Enrolment, Partner};
use crate::places::{Place, Territory, may_be_covered};
use crate::plans::model::{AssignedBy, PlanVersion, assigned_at, version_at};
use crate::programs::model::{Attribution, Link, Program};

/// A click up to this much after its conversion counts as made at it: the clocks of trackers and shops differ.
pub const CLOCK_SLACK_MINUTES: i64 = 5;
/// Losing claims that are kept with a ruling.
pub const MAX_LOSERS: usize = 4;

/// Why a partner is said to have brought a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A click on a link.
    Click {
        /// The link.
        link: LinkId,
        /// When.
        at: Timestamp,
    },
    /// A coupon that was used.
    Coupon {
        /// The coupon.
        coupon: CouponId,
    },
    /// An operator's word.
    Decision {
        /// The dispute in which it was given.
        dispute: DisputeId,
    },
    /// A claim to the customer that was registered.
    Registered {
        /// Which.
        right: Right,
        /// From when on it held.
        since: Timestamp,
    },
}

impl Evidence {
    /// Of which kind it is; an operator's word is of none, and goes before all.
    #[must_use]
    pub fn kind(self) -> Option<ClaimKind> {
        match self {
            Self::Click { .. } => Some(ClaimKind::Click),
            Self::Coupon { .. } => Some(ClaimKind::Coupon),
            Self::Decision { .. } => None,
            Self::Registered { right, .. } => Some(right.kind()),
        }
    }
}

/// The record that a registered claim is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// The vendor's own.
    Direct(ClaimId),
    /// A deal.
    Deal(DealId),
    /// A lead.
    Lead(LeadId),
    /// A referral.
    Referral(ClaimId),
}

impl Right {
    /// The right of that kind and record; `None` for kinds that are not registered, and for another's id.
    #[must_use]
    pub fn of(kind: ClaimKind, id: &str) -> Option<Self> {
        match kind {
            ClaimKind::Direct => id.parse().ok().map(Self::Direct),
            ClaimKind::Deal => id.parse().ok().map(Self::Deal),
            ClaimKind::Lead => id.parse().ok().map(Self::Lead),
            ClaimKind::Referral => id.parse().ok().map(Self::Referral),
            ClaimKind::Coupon | ClaimKind::Click => None,
        }
    }

    /// Of which kind.
    #[must_use]
    pub fn kind(self) -> ClaimKind {
        match self {
            Self::Direct(_) => ClaimKind::Direct,
            Self::Deal(_) => ClaimKind::Deal,
            Self::Lead(_) => ClaimKind::Lead,
            Self::Referral(_) => ClaimKind::Referral,
        }
    }

    /// The record's id.
    #[must_use]
    pub fn id(self) -> String {
        match self {
            Self::Direct(id) | Self::Referral(id) => id.to_string(),
            Self::Deal(id) => id.to_string(),
            Self::Lead(id) => id.to_string(),
        }
    }
}

/// Why a claim does not hold, or a conversion has no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unattributed {
    /// The click is older than the window.
    ClickExpired,
    /// The click is later than the conversion.
    ClickAfterConversion,
    /// The link does not exist any more.
    LinkUnknown,
    /// The link was disabled before the conversion.
    LinkDisabled,
    /// No such coupon in the program.
    CouponUnknown,
    /// The coupon was disabled before the conversion.
    CouponDisabled,
    /// The partner is suspended.
    PartnerSuspended,
    /// The partner is not enrolled in the program, or was not yet.
    NotEnrolled,
    /// The partner had no plan, or one without a version that was effective then.
    NoPlan,
    /// Its amounts are in another currency, and no rate of exchange is stored yet.
    RateMissing,
    /// The vendor sells to the customer itself.
    DirectOwned,
}

impl Unattributed {
    /// All, for reading them back.
    pub const ALL: [Self; 11] = [
        Self::ClickExpired,
        Self::ClickAfterConversion,
        Self::LinkUnknown,
        Self::LinkDisabled,
        Self::CouponUnknown,
        Self::CouponDisabled,
        Self::PartnerSuspended,
        Self::NotEnrolled,
        Self::NoPlan,
        Self::RateMissing,
        Self::DirectOwned,
    ];

    /// The reason of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// What it means, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::ClickExpired => "the click is older than the program's window",
            Self::ClickAfterConversion => "the click is later than the conversion",
            Self::LinkUnknown => "the link does not exist",
            Self::LinkDisabled => "the link was disabled",
            Self::CouponUnknown => "the program has no such coupon",
            Self::CouponDisabled => "the coupon was disabled",
            Self::PartnerSuspended => "the partner is suspended",
            Self::NotEnrolled => "the partner was not enrolled in the program",
            Self::NoPlan => "no version of a plan was in force for the partner",
            Self::RateMissing => "no rate of exchange is stored for its currency and day yet",
            Self::DirectOwned => "the vendor sells to the customer itself",
        }
    }

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClickExpired => "click_expired",
            Self::ClickAfterConversion => "click_after_conversion",
            Self::LinkUnknown => "link_unknown",
            Self::LinkDisabled => "link_disabled",
            Self::CouponUnknown => "coupon_unknown",
            Self::CouponDisabled => "coupon_disabled",
            Self::PartnerSuspended => "partner_suspended",
            Self::NotEnrolled => "not_enrolled",
            Self::NoPlan => "no_plan",
            Self::RateMissing => "rate_missing",
            Self::DirectOwned => "direct_owned",
        }
    }
}

/// A right to a customer, as it stood when it was weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose, when that is known.
    pub partner: Option<PartnerId>,
    /// Because of what.
    pub evidence: Evidence,
    /// Why it does not hold; `None` for one that does, though another may outrank it.
    pub fault: Option<Unattributed>,
    /// Its share of the event, where it won together with another or its partner shares with one who cannot be
    /// credited; `None` for all of it.
    pub share: Option<Rate>,
}

/// The answer to "whose customer is this?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The claim that won, if one did.
    pub winner: Option<Claim>,
    /// The one that was registered together with it and wins its share beside it.
    pub beside: Option<Claim>,
    /// The others, each with why it lost or does not hold.
    pub losers: Vec<Claim>,
}

/// What speaks for a claim, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The click, coupon or decision.
    pub evidence: Evidence,
    /// The link's or coupon's record, or whom a decision names; `None` when there is none in the program.
    pub source: Option<Source>,
    /// With which other it was registered together, and its part of it.
    pub share: Option<Share>,
}

/// A link, coupon or decision, as far as a claim depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whose.
    pub partner: PartnerId,
    /// Since when it no longer counts.
    pub disabled_at: Option<Timestamp>,
    /// Why the partner cannot be credited, if so; see [`standing`].
    pub partner_fault: Option<Unattributed>,
}

/// A claim's part of what the customer buys, where two register together. It is shared for as long as the other
/// one holds: what has ended leaves all to whoever remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The claim's own part.
    pub part: Rate,
    /// The id of the other record, of the same kind.
    pub with: String,
}

/// The part that another claim has of what a claim wins; `None` where the two are not registered together. One
/// that was shared anew since, with somebody else, still says what it had beside the one that it had it with.
#[must_use]
pub fn part_beside(
    (winner, shares): (&str, Option<&Share>),
    (other, its): (&str, Option<&Share>),
) -> Option<Rate> {
    match (shares, its) {
        (_, Some(its)) if its.with == winner => Some(its.part),
        (Some(shares), _) if shares.with == other => Some(shares.part.rest()),
        _ => None,
    }
}

/// The plan that pays an event of that time, and whose assignment names it: the link's that was clicked,
/// else the partner's own, else the program's default.
#[must_use]
pub fn assigned<'a>(
    link: Option<&'a Link>,
    enrolment: Option<&'a Enrolment>,
    program: &'a Program,
    occurred_at: Timestamp,
) -> Option<(&'a str, AssignedBy)> {
    let of_link = link.and_then(|link| assigned_at(&link.plans, occurred_at));
    let of_partner = || enrolment.and_then(|enrolment| enrolment.plan_at(occurred_at));
    let of_program = || assigned_at(&program.default_plans, occurred_at);
    of_link
        .map(|plan| (plan, AssignedBy::Link))
        .or_else(|| of_partner().map(|plan| (plan, AssignedBy::Partner)))
        .or_else(|| of_program().map(|plan| (plan, AssignedBy::Program)))
}

/// Whether a partner can be credited with an event of that time: active, enrolled then, and with a plan,
/// of these versions, that had one in force.
///
/// # Errors
/// Why not.
pub fn standing<'a>(
    partner: Option<&Partner>,
    enrolment: Option<&Enrolment>,
    versions: Option<&'a [PlanVersion]>,
    occurred_at: Timestamp,
) -> Result<&'a PlanVersion, Unattributed> {
    let partner = partner.ok_or(Unattributed::NotEnrolled)?;
    if !partner.status.may_earn() {
        return Err(Unattributed::PartnerSuspended);
    }
    if !enrolment.is_some_and(|enrolment| enrolment.covers(occurred_at)) {
        return Err(Unattributed::NotEnrolled);
    }
    versions
        .and_then(|versions| version_at(versions, occurred_at))
        .ok_or(Unattributed::NoPlan)
}

/// Why a candidate does not hold for an event of that time; `None` when it does.
#[must_use]
pub fn fault(
    candidate: &Candidate,
    attribution: Attribution,
    occurred_at: Timestamp,
) -> Option<Unattributed> {
    match (candidate.evidence, &candidate.source) {
        (Evidence::Click { .. }, None) => Some(Unattributed::LinkUnknown),
        (Evidence::Coupon { .. }, None) => Some(Unattributed::CouponUnknown),
        (Evidence::Decision { .. }, None) => Some(Unattributed::NotEnrolled),
        (Evidence::Registered { right, .. }, None) => Some(match right {
            Right::Direct(_) => Unattributed::DirectOwned,
            Right::Deal(_) | Right::Lead(_) | Right::Referral(_) => Unattributed::NotEnrolled,
        }),
        (Evidence::Decision { .. } | Evidence::Registered { .. }, Some(source)) => {
            source.partner_fault
        }
        (Evidence::Click { at, .. }, Some(source)) => {
            if at > minutes_after(occurred_at, CLOCK_SLACK_MINUTES) {
                Some(Unattributed::ClickAfterConversion)
            } else if occurred_at > days_after(at, attribution.window_days) {
                Some(Unattributed::ClickExpired)
            } else if source
                .disabled_at
                .is_some_and(|disabled| disabled <= occurred_at)
            {
                Some(Unattributed::LinkDisabled)
            } else {
                source.partner_fault
            }
        }
        (Evidence::Coupon { .. }, Some(source)) => {
            if source
                .disabled_at
                .is_some_and(|disabled| disabled <= occurred_at)
            {
                Some(Unattributed::CouponDisabled)
            } else {
                source.partner_fault
            }
        }
    }
}

/// Whose an event is: the first claim that holds, decisions before all, the others by the program's
/// precedence, and of several of one kind the earliest. Where it was registered together with another, each has
/// its share; that of one whose partner cannot be credited is nobody's. What the vendor owns itself is nobody's,
/// unless a stronger claim holds. Losers keep why they do not hold, or nothing when they were only outranked.
#[must_use]
pub fn attribute(
    attribution: Attribution,
    settings: &Settings,
    occurred_at: Timestamp,
    candidates: Vec<Candidate>,
) -> Ruling {
    let mut claims: Vec<(Claim, Option<Share>)> = candidates
        .into_iter()
        .map(|candidate| {
            let claim = Claim {
                partner: candidate.source.map(|source| source.partner),
                evidence: candidate.evidence,
                fault: fault(&candidate, attribution, occurred_at),
                share: None,
            };
            (claim, candidate.share)
        })
        .collect();
    claims.sort_by_key(|(claim, _)| {
        let (at, id) = match claim.evidence {
            Evidence::Decision { dispute } => (Timestamp::MIN, dispute.to_string()),
            Evidence::Coupon { coupon } => (Timestamp::MIN, coupon.to_string()),
            Evidence::Click { at, link } => (at, link.to_string()),
            Evidence::Registered { right, since } => (since, right.id()),
        };
        let rank = claim.evidence.kind().map(|kind| settings.rank(kind));
        (rank, at, id)
    });
    claims.dedup_by(|(a, _), (b, _)| a.evidence == b.evidence);
    let decides = claims
        .iter()
        .position(|(claim, _)| matches!(claim.fault, None | Some(Unattributed::DirectOwned)));
    let decider = decides.map(|position| claims.remove(position));
    let (winner, beside) = match decider {
        // The vendor's own goes first among the losers, so that it is the reason why nobody is credited.
        Some((direct, share)) if direct.fault.is_some() => {
            claims.insert(0, (direct, share));
            (None, None)
        }
        Some(winner) => {
            let (winner, beside) = together(winner, &mut claims);
            (Some(winner), beside)
        }
        None => (None, None),
    };
    claims.truncate(MAX_LOSERS);
    Ruling {
        winner,
        beside,
        losers: claims.into_iter().map(|(claim, _)| claim).collect(),
    }
}

/// A winner with its share, and the claim that wins the rest beside it, taken from the others.
fn together(
    (winner, shares): (Claim, Option<Share>),
    others: &mut Vec<(Claim, Option<Share>)>,
) -> (Claim, Option<Claim>) {
    let Evidence::Registered { right, .. } = winner.evidence else {
        return (winner, None);
    };
    let own = right.id();
    let found = others.iter().enumerate().find_map(|(position, other)| {
        let (Claim { evidence, .. }, its) = other;
        let Evidence::Registered { right: theirs, .. } = *evidence else {
            return None;
        };
        let same = theirs.kind() == right.kind();
        let part = part_beside((&own, shares.as_ref()), (&theirs.id(), its.as_ref()));
        Some((position, part.filter(|_| same)?))
    });
    let Some((position, part)) = found else {
        return (winner, None);
    };
    // Both are one partner's, where another was merged into it: there is nobody to share with.
    if winner.partner.is_some() && others[position].0.partner == winner.partner {
        return (winner, None);
    }
    let winner = Claim {
        share: Some(part.rest()),
        ..winner
    };
    if others[position].0.fault.is_some() {
        return (winner, None);
    }
    let (beside, _) = others.remove(position);
    let beside = Claim {
        share: Some(part),
        ..beside
    };
    (winner, Some(beside))
}

impl Ruling {
    /// Why nobody is credited: the reason of the claim that ranked first.
    #[must_use]
    pub fn reason(&self) -> Option<Unattributed> {
        if self.winner.is_some() {
            return None;
        }
        self.losers.iter().find_map(|claim| claim.fault)
    }
}

// ---- Registered claims

/// The product line that stands for all, in a program that names none.
pub const EVERY_LINE: &str = "*";
/// Accounts and open opportunities of the vendor's own that one customer may have at once.
pub const MAX_DIRECT: usize = 50;

/// A right to a customer that is registered: a deal's, a lead's, a referral's, or the vendor's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerClaim {
    /// In which program.
    pub program: ProgramId,
    /// To which customer.
    pub customer: CustomerId,
    /// Because of what.
    pub kind: ClaimKind,
    /// The id of the record that it is of: a deal's, a lead's, or its own.
    pub id: String,
    /// Whose; `None` for the vendor's own.
    pub partner: Option<PartnerId>,
    /// For which product lines; none named means all.
    pub product_lines: Vec<String>,
    /// Where; none named means everywhere.
    pub territories: Vec<Territory>,
    /// From when on.
    pub from: Timestamp,
    /// Until when, that instant not included.
    pub until: Option<Timestamp>,
    /// Its share of what the customer buys, where two register together.
    pub share: Option<Share>,
    /// The conversion that the sale was paid as which it was for: no other is credited because of it any more, not even
    /// one that occurred while it held.
    pub sold_as: Option<ConversionId>,
    /// Whether the vendor's claim is an open opportunity, not an account alone.
    pub is_opportunity: bool,
    /// What it rests on, in words for operators.
    pub evidence: String,
    /// The hashes of the identifiers by which the customer was named.
    pub hashes: Vec<String>,
    /// Counts changes.
    pub version: u64,
}

/// A hold on one of a customer's identifiers for one product line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The identifier's hash.
    pub identifier: String,
    /// The product line, or [`EVERY_LINE`].
    pub product_line: String,
    /// By a deal, a lead, or the vendor itself.
    pub kind: ClaimKind,
    /// The id of the deal, the lead or the vendor's claim.
    pub holder: String,
    /// For which partner.
    pub partner: Option<PartnerId>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A customer whose name is like another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Similar {
    /// Which.
    pub customer: CustomerId,
    /// Its name.
    pub name: String,
    /// How alike they are, up to [`crate::customers::names::SAME`].
    pub score: u16,
}

/// Why a registered claim does not win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It begins later.
    NotYet,
    /// It has ended.
    Ended,
    /// It is for other product lines.
    OtherProducts,
    /// The customer is outside its territory.
    OutsideTerritory,
    /// It is an account without an open opportunity, which the program does not count.
    NoOpportunity,
    /// Its partner cannot be credited.
    Partner(Unattributed),
    /// Another kind of claim goes before it.
    Outranked,
    /// Another of the same kind was earlier.
    Later,
}

impl Lost {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::Ended => "ended",
            Self::OtherProducts => "other_products",
            Self::OutsideTerritory => "outside_territory",
            Self::NoOpportunity => "no_opportunity",
            Self::Partner(reason) => reason.name(),
            Self::Outranked => "outranked",
            Self::Later => "later",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NotYet => "it begins later",
            Self::Ended => "it has ended",
            Self::OtherProducts => "it is for other product lines",
            Self::OutsideTerritory => "the customer is outside its territory",
            Self::NoOpportunity => "the account has no open opportunity",
            Self::Partner(reason) => reason.meaning(),
            Self::Outranked => "another kind of claim goes before it",
            Self::Later => "another claim of the same kind was earlier",
        }
    }
}

/// For which moment and purchase it is asked whose a customer is.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// When.
    pub at: Timestamp,
    /// Of which product lines; none named means any.
    pub product_lines: &'a [String],
    /// Where the customer is, where that is known.
    pub place: Option<&'a Place>,
}

/// Who has the right to a customer, and who has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The claim that wins, and beside it those registered together with it, each with its share.
    pub winners: Vec<CustomerClaim>,
    /// The others, the strongest first, each with why it does not win.
    pub losers: Vec<(CustomerClaim, Lost)>,
}

/// Why a registered claim does not hold on an occasion; `None` when it does. `partner_fault` is why its
/// partner cannot be credited, if so.
#[must_use]
pub fn invalid(
    settings: &Settings,
    claim: &CustomerClaim,
    occasion: Occasion<'_>,
    partner_fault: Option<Unattributed>,
) -> Option<Lost> {
    let concerns = claim.product_lines.is_empty()
        || occasion.product_lines.is_empty()
        || claim
            .product_lines
            .iter()
            .any(|line| occasion.product_lines.contains(line));
    let is_inside = occasion
        .place
        .is_none_or(|place| may_be_covered(&claim.territories, place));
    if claim.from > occasion.at {
        Some(Lost::NotYet)
    } else if claim.until.is_some_and(|until| until <= occasion.at) {
        Some(Lost::Ended)
    } else if !concerns {
        Some(Lost::OtherProducts)
    } else if !is_inside {
        Some(Lost::OutsideTerritory)
    } else if claim.kind == ClaimKind::Direct && !claim.is_opportunity && !settings.accounts_count {
        Some(Lost::NoOpportunity)
    } else {
        partner_fault.map(Lost::Partner)
    }
}

/// Who has the right to a customer on an occasion: of the claims that hold the strongest kind's, of these the
/// earliest. Where it was registered together with others, they win beside it. The order in which claims are
/// given does not matter.
#[must_use]
pub fn resolve(
    settings: &Settings,
    claims: Vec<(CustomerClaim, Option<Unattributed>)>,
    occasion: Occasion<'_>,
) -> Resolution {
    let mut holding = Vec::new();
    let mut losers = Vec::new();
    for (claim, fault) in claims {
        match invalid(settings, &claim, occasion, fault) {
            None => holding.push(claim),
            Some(lost) => losers.push((claim, lost)),
        }
    }
    let strength =
        |claim: &CustomerClaim| (settings.rank(claim.kind), claim.from, claim.id.clone());
    holding.sort_by_key(strength);
    let mut holding = holding.into_iter();
    let Some(mut winner) = holding.next() else {
        losers.sort_by_key(|(claim, _)| strength(claim));
        return Resolution {
            winners: Vec::new(),
            losers,
        };
    };
    let share = winner.share.take();
    let part = |other: &CustomerClaim| {
        let part = part_beside(
            (&winner.id, share.as_ref()),
            (&other.id, other.share.as_ref()),
        );
        // With what is the same partner's by now, where another was merged into it, nothing is shared.
        let is_others = other.partner.is_none() || other.partner != winner.partner;
        part.filter(|_| other.kind == winner.kind && is_others)
    };
    let mut beside: Option<(CustomerClaim, Rate)> = None;
    // Whose partner cannot be credited keeps its share from the other all the same.
    let kept = losers.iter().find_map(|(other, lost)| match lost {
        Lost::Partner(_) => Some((part(other)?, other.id.clone())),
        _ => None,
    });
    for claim in holding {
        match part(&claim) {
            Some(part) if beside.is_none() && kept.is_none() => beside = Some((claim, part)),
            _ if claim.kind != winner.kind => losers.push((claim, Lost::Outranked)),
            _ => losers.push((claim, Lost::Later)),
        }
    }
    let of_other = beside
        .as_ref()
        .map(|(other, part)| (*part, other.id.clone()));
    winner.share = of_other.or(kept).map(|(part, with)| Share {
        part: part.rest(),
        with,
    });
    let beside = beside.map(|(claim, part)| CustomerClaim {
        share: Some(Share {
            part,
            with: winner.id.clone(),
        }),
        ..claim
    });
    losers.sort_by_key(|(claim, _)| strength(claim));
    Resolution {
        winners: std::iter::once(winner).chain(beside).collect(),
        losers,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::ProgramId;
    use crate::partners::model::PartnerKind;
    use crate::partners::model::PartnerStatus;
    use crate::plans::model::{Assignment, Terms};
    use crate::programs::model::{AttributionModel, Dialect};
    use proptest::prelude::*;

    const WINDOW: Attribution = Attribution {
        model: AttributionModel::LastClick,
        window_days: 30,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn click(link: u8, at: Timestamp) -> Candidate {
        Candidate {
            share: None,
            evidence: Evidence::Click {
                link: LinkId::from_bytes([link; 16]),
                at,
            },
            source: Some(Source {
                partner: PartnerId::from_bytes([link; 16]),
                disabled_at: None,
                partner_fault: None,
            }),
        }
    }

    fn coupon(id: u8) -> Candidate {
        Candidate {
            share: None,
            evidence: Evidence::Coupon {
                coupon: CouponId::from_bytes([id; 16]),
            },
            ..click(id, Timestamp::UNIX_EPOCH)
        }
    }

    fn disabled(mut candidate: Candidate, disabled_at: Timestamp) -> Candidate {
        if let Some(source) = &mut candidate.source {
            source.disabled_at = Some(disabled_at);
        }
        candidate
    }

    fn unknown(mut candidate: Candidate) -> Candidate {
        candidate.source = None;
        candidate
    }

    #[test]
    fn a_click_holds_to_the_last_instant_of_its_window() {
        let sold = at("2026-03-31T12:00:00Z");
        let exactly = at("2026-03-01T12:00:00Z");
        assert_eq!(fault(&click(1, exactly), WINDOW, sold), None);
        assert_eq!(
            fault(&click(1, at("2026-03-01T11:59:59.999Z")), WINDOW, sold),
            Some(Unattributed::ClickExpired)
        );
    }

    #[test]
    fn a_click_just_after_its_conversion_is_forgiven_and_a_later_one_is_not() {
        let sold = at("2026-03-31T12:00:00Z");
        assert_eq!(
            fault(&click(1, at("2026-03-31T12:05:00Z")), WINDOW, sold),
            None
        );
        assert_eq!(
            fault(&click(1, at("2026-03-31T12:05:00.001Z")), WINDOW, sold),
            Some(Unattributed::ClickAfterConversion)
        );
    }

    #[test]
    fn a_link_counts_for_what_happened_before_it_was_disabled_only() {
        let clicked = at("2026-03-10T00:00:00Z");
        let sold = at("2026-03-12T00:00:00Z");
        let later = disabled(click(1, clicked), at("2026-03-12T00:00:00.001Z"));
        assert_eq!(fault(&later, WINDOW, sold), None);
        let between = disabled(click(1, clicked), sold);
        assert_eq!(
            fault(&between, WINDOW, sold),
            Some(Unattributed::LinkDisabled)
        );
    }

    #[test]
    fn a_coupon_outranks_a_click_that_holds_as_well() {
        let sold = at("2026-03-12T00:00:00Z");
        let ruling = attribute(WINDOW, &settings(), sold, vec![click(1, sold), coupon(2)]);
        assert_eq!(
            ruling.winner.unwrap().partner,
            Some(PartnerId::from_bytes([2; 16]))
        );
        assert_eq!(ruling.losers.len(), 1);
        assert_eq!(ruling.losers[0].fault, None, "it was only outranked");
    }

    #[test]
    fn a_click_wins_when_the_coupon_does_not_hold() {
        let sold = at("2026-03-12T00:00:00Z");
        let ruling = attribute(
            WINDOW,
            &settings(),
            sold,
            vec![click(1, sold), unknown(coupon(2))],
        );
        assert_eq!(
            ruling.winner.as_ref().unwrap().partner,
            Some(PartnerId::from_bytes([1; 16]))
        );
        assert_eq!(ruling.losers[0].fault, Some(Unattributed::CouponUnknown));
        assert_eq!(ruling.reason(), None);
    }

    #[test]
    fn the_first_click_that_holds_wins() {
        let sold = at("2026-03-31T00:00:00Z");
        let expired = click(1, at("2026-01-01T00:00:00Z"));
        let first = click(2, at("2026-03-05T00:00:00Z"));
        let last = click(3, at("2026-03-20T00:00:00Z"));
        let ruling = attribute(WINDOW, &settings(), sold, vec![last, first, expired]);
        assert_eq!(
            ruling.winner.unwrap().partner,
            Some(PartnerId::from_bytes([2; 16]))
        );
        assert_eq!(
            ruling
                .losers
                .iter()
                .map(|claim| claim.fault)
                .collect::<Vec<_>>(),
            [Some(Unattributed::ClickExpired), None]
        );
    }

    #[test]
    fn nobody_is_credited_for_the_reason_of_the_claim_that_ranks_first() {
        let sold = at("2026-03-31T00:00:00Z");
        let expired = click(1, at("2026-01-01T00:00:00Z"));
        let ruling = attribute(
            WINDOW,
            &settings(),
            sold,
            vec![expired, disabled(coupon(2), sold)],
        );
        assert_eq!(ruling.winner, None);
        assert_eq!(ruling.reason(), Some(Unattributed::CouponDisabled));
    }

    #[test]
    fn a_partner_must_be_active_enrolled_and_have_a_plan_in_force() {
        let since = at("2026-01-01T00:00:00Z");
        let partner = |status| Partner {
            id: PartnerId::from_bytes([1; 16]),
            kind: PartnerKind::Affiliate,
            country: "GB".to_owned(),
            status,
            merged_into: None,
            absorbed: Vec::new(),
            created_at: since,
            version: 1,
        };
        let program = ProgramId::from_bytes([9; 16]);
        let enrolment = Enrolment {
            partner: PartnerId::from_bytes([1; 16]),
            program,
            assignments: vec![Assignment {
                plan: Some("standard".to_owned()),
                from: Some(since),
            }],
            uplines: Vec::new(),
            created_at: since,
            version: 1,
        };
        let versions = [PlanVersion {
            program,
            code: "standard".to_owned(),
            version: 1,
            effective_from: at("2026-02-01T00:00:00Z"),
            hold_days: 30,
            terms: Terms::of(Vec::new()),
            created_at: since,
        }];
        let check = |partner: Option<Partner>, enrolment: Option<&Enrolment>, when: &str| {
            standing(partner.as_ref(), enrolment, Some(&versions), at(when))
                .map(|version| version.version)
        };
        let active = || Some(partner(PartnerStatus::Active));
        assert_eq!(
            check(active(), Some(&enrolment), "2026-02-01T00:00:00Z"),
            Ok(1)
        );
        assert_eq!(
            check(active(), Some(&enrolment), "2026-01-31T23:59:59Z"),
            Err(Unattributed::NoPlan)
        );
        assert_eq!(
            check(active(), Some(&enrolment), "2025-12-31T00:00:00Z"),
            Err(Unattributed::NotEnrolled)
        );
        assert_eq!(
            check(active(), None, "2026-02-01T00:00:00Z"),
            Err(Unattributed::NotEnrolled)
        );
        assert_eq!(
            check(
                Some(partner(PartnerStatus::Suspended)),
                Some(&enrolment),
                "2026-02-01T00:00:00Z"
            ),
            Err(Unattributed::PartnerSuspended)
        );
    }

    #[test]
    fn a_links_plan_goes_before_the_partners_and_that_before_the_programs() {
        let since = at("2026-01-01T00:00:00Z");
        let from = |plan: Option<&str>, from: &str| Assignment {
            plan: plan.map(str::to_owned),
            from: Some(at(from)),
        };
        let program = Program {
            id: ProgramId::from_bytes([9; 16]),
            name: "Spring".to_owned(),
            currency: "GBP".parse().unwrap(),
            attribution: WINDOW,
            dialect: Dialect::Native,
            payout_is_amount: false,
            fallback_url: None,
            allowed_destination_hosts: Vec::new(),
            tokens: Vec::new(),
            signing_secrets: Vec::new(),
            dispute_days: 60,
            default_plans: vec![from(Some("default"), "2026-01-01T00:00:00Z")],
            created_at: since,
            version: 1,
        };
        let enrolment = Enrolment {
            partner: PartnerId::from_bytes([1; 16]),
            program: program.id,
            assignments: vec![
                from(None, "2026-01-01T00:00:00Z"),
                from(Some("gold"), "2026-02-01T00:00:00Z"),
            ],
            uplines: Vec::new(),
            created_at: since,
            version: 1,
        };
        let link = Link {
            id: Link::id_of("summer"),
            code: "summer".to_owned(),
            program: program.id,
            partner: enrolment.partner,
            destination: "https://shop.example/".to_owned(),
            disabled_at: None,
            plans: vec![
                from(Some("launch"), "2026-03-01T00:00:00Z"),
                from(None, "2026-04-01T00:00:00Z"),
            ],
            created_at: since,
            version: 1,
        };
        for (when, plan) in [
            ("2025-12-31T23:59:59Z", None),
            (
                "2026-01-01T00:00:00Z",
                Some(("default", AssignedBy::Program)),
            ),
            ("2026-02-01T00:00:00Z", Some(("gold", AssignedBy::Partner))),
            ("2026-03-01T00:00:00Z", Some(("launch", AssignedBy::Link))),
            ("2026-04-01T00:00:00Z", Some(("gold", AssignedBy::Partner))),
        ] {
            let found = assigned(Some(&link), Some(&enrolment), &program, at(when));
            assert_eq!(found, plan, "{when}");
        }
        let march = at("2026-03-15T00:00:00Z");
        let without_link = assigned(None, Some(&enrolment), &program, march);
        assert_eq!(without_link, Some(("gold", AssignedBy::Partner)));
    }

    fn settings() -> Settings {
        Settings::unsaid(ProgramId::from_bytes([9; 16]))
    }

    fn registered(right: Right, since: &str, partner: Option<PartnerId>) -> Candidate {
        Candidate {
            share: None,
            evidence: Evidence::Registered {
                right,
                since: at(since),
            },
            source: partner.map(|partner| Source {
                partner,
                disabled_at: None,
                partner_fault: None,
            }),
        }
    }

    #[test]
    fn a_program_says_which_claim_goes_first() {
        let sold = at("2026-03-31T00:00:00Z");
        let deal = registered(
            Right::Deal(DealId::from_bytes([7; 16])),
            "2026-03-01T00:00:00Z",
            Some(PartnerId::from_bytes([4; 16])),
        );
        let direct = registered(
            Right::Direct(ClaimId::from_bytes([8; 16])),
            "2026-03-02T00:00:00Z",
            None,
        );
        let clicked = || click(1, at("2026-03-30T00:00:00Z"));
        let rule = |precedence: &[&str], candidates: Vec<Candidate>| {
            let mut settings = settings();
            if !precedence.is_empty() {
                settings.precedence = precedence
                    .iter()
                    .map(|name| ClaimKind::of(name).unwrap())
                    .collect();
            }
            attribute(WINDOW, &settings, sold, candidates)
        };
        let kind = |ruling: &Ruling| ruling.winner.as_ref().and_then(|won| won.evidence.kind());

        let usual = rule(&[], vec![clicked(), coupon(7), deal.clone()]);
        assert_eq!(kind(&usual), Some(ClaimKind::Deal));
        assert_eq!(usual.losers.len(), 2);
        let clicks_first = ["click", "coupon", "deal", "lead", "referral", "direct"];
        let other = rule(&clicks_first, vec![coupon(7), deal.clone(), clicked()]);
        assert_eq!(kind(&other), Some(ClaimKind::Click));

        // What the vendor owns itself is nobody's, and says so; a stronger claim is stronger.
        let owned = rule(&[], vec![clicked(), deal.clone(), direct.clone()]);
        assert_eq!(
            (owned.winner.clone(), owned.reason()),
            (None, Some(Unattributed::DirectOwned))
        );
        let weaker = rule(&clicks_first, vec![deal, direct]);
        assert_eq!(kind(&weaker), Some(ClaimKind::Deal));
    }

    fn claim(kind: ClaimKind, id: &str, from: &str) -> CustomerClaim {
        CustomerClaim {
            program: ProgramId::from_bytes([9; 16]),
            customer: CustomerId::from_bytes([1; 16]),
            kind,
            id: id.to_owned(),
            partner: (kind != ClaimKind::Direct).then(|| PartnerId::from_bytes([2; 16])),
            product_lines: Vec::new(),
            territories: Vec::new(),
            from: at(from),
            until: None,
            share: None,
            sold_as: None,
            is_opportunity: true,
            evidence: String::new(),
            hashes: Vec::new(),
            version: 1,
        }
    }

    #[test]
    fn the_earliest_of_the_strongest_kind_has_the_customer_and_every_other_says_why_not() {
        let deal = || claim(ClaimKind::Deal, "a", "2026-02-01T00:00:00Z");
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let german = Territory {
            country: "DE".to_owned(),
            regions: Vec::new(),
            postcodes: Vec::new(),
        };
        let claims = vec![
            (
                claim(ClaimKind::Referral, "b", "2026-01-01T00:00:00Z"),
                None,
            ),
            (claim(ClaimKind::Deal, "c", "2026-02-02T00:00:00Z"), None),
            (deal(), None),
            (claim(ClaimKind::Deal, "d", "2026-03-02T00:00:00Z"), None),
            (
                CustomerClaim {
                    id: "e".to_owned(),
                    until: Some(at("2026-03-01T00:00:00Z")),
                    ..deal()
                },
                None,
            ),
            (
                CustomerClaim {
                    id: "f".to_owned(),
                    product_lines: lines(&["erp"]),
                    ..deal()
                },
                None,
            ),
            (
                CustomerClaim {
                    id: "g".to_owned(),
                    territories: vec![german],
                    ..deal()
                },
                None,
            ),
            (
                CustomerClaim {
                    id: "h".to_owned(),
                    ..deal()
                },
                Some(Unattributed::PartnerSuspended),
            ),
            (
                CustomerClaim {
                    is_opportunity: false,
                    ..claim(ClaimKind::Direct, "i", "2026-01-01T00:00:00Z")
                },
                None,
            ),
        ];
        let crm: Vec<String> = lines(&["crm"]);
        let place = Place {
            country: "GB".to_owned(),
            region: None,
            postcode: None,
            at: None,
        };
        let occasion = Occasion {
            at: at("2026-03-01T00:00:00Z"),
            product_lines: &crm,
            place: Some(&place),
        };
        let found = resolve(&settings(), claims.clone(), occasion);
        let won: Vec<&str> = found
            .winners
            .iter()
            .map(|claim| claim.id.as_str())
            .collect();
        assert_eq!(won, ["a"]);
        let why = |id: &str| {
            let lost = found.losers.iter().find(|(claim, _)| claim.id == id);
            lost.unwrap().1.name()
        };
        for (id, reason) in [
            ("b", "outranked"),
            ("c", "later"),
            ("d", "not_yet"),
            ("e", "ended"),
            ("f", "other_products"),
            ("g", "outside_territory"),
            ("h", "partner_suspended"),
            ("i", "no_opportunity"),
        ] {
            assert_eq!(why(id), reason, "{id}");
        }
        // A program that counts accounts gives the customer to the vendor.
        let counting = Settings {
            accounts_count: true,
            ..settings()
        };
        let found = resolve(&counting, claims, occasion);
        assert_eq!(found.winners[0].id, "i");
    }

    #[test]
    fn those_who_registered_together_win_together() {
        let share = |id: &str, (part, with): (&str, &str), from: &str| CustomerClaim {
            share: Some(Share {
                part: part.parse().unwrap(),
                with: with.to_owned(),
            }),
            partner: Some(PartnerId::from_bytes([id.as_bytes()[0]; 16])),
            ..claim(ClaimKind::Deal, id, from)
        };
        let b = share("b", ("0.3", "a"), "2026-02-02T00:00:00Z");
        let a = share("a", ("0.7", "b"), "2026-02-01T00:00:00Z");
        let claims = vec![
            (b.clone(), None),
            (claim(ClaimKind::Deal, "c", "2026-02-03T00:00:00Z"), None),
            // Two others who share something else of it.
            (share("d", ("0.5", "e"), "2026-02-04T00:00:00Z"), None),
            (share("e", ("0.5", "d"), "2026-02-04T00:00:00Z"), None),
            (a.clone(), None),
        ];
        let occasion = Occasion {
            at: at("2026-03-01T00:00:00Z"),
            product_lines: &[],
            place: None,
        };
        let found = resolve(&settings(), claims, occasion);
        let won: Vec<&str> = found
            .winners
            .iter()
            .map(|claim| claim.id.as_str())
            .collect();
        assert_eq!(won, ["a", "b"]);
        assert_eq!(found.winners, [a.clone(), b.clone()]);
        let lost: Vec<_> = found.losers.iter().map(|(_, lost)| *lost).collect();
        assert_eq!(lost, [Lost::Later; 3]);

        // One that has ended leaves all to the other; one whose partner is suspended keeps its share from it.
        let parts = |claims| -> Vec<_> {
            let found = resolve(&settings(), claims, occasion).winners.into_iter();
            let part = |share: Share| share.part.to_string();
            found.map(|won| (won.id, won.share.map(part))).collect()
        };
        let ended = CustomerClaim {
            until: Some(at("2026-02-20T00:00:00Z")),
            ..a.clone()
        };
        assert_eq!(
            parts(vec![(ended, None), (b.clone(), None)]),
            [("b".to_owned(), None)]
        );
        // One whose other was merged into the same partner has it whole.
        let merged = CustomerClaim {
            partner: a.partner,
            ..b.clone()
        };
        assert_eq!(
            parts(vec![(a.clone(), None), (merged, None)]),
            [("a".to_owned(), None)]
        );
        let suspended = Some(Unattributed::PartnerSuspended);
        assert_eq!(
            parts(vec![(a, suspended), (b, None)]),
            [("b".to_owned(), Some("0.3".to_owned()))]
        );
    }

    #[test]
    fn an_event_of_a_shared_deal_is_both_partners() {
        let sold = at("2026-03-01T00:00:00Z");
        let deal = |id: u8, part: &str, with: u8, since: &str| Candidate {
            share: Some(Share {
                part: part.parse().unwrap(),
                with: DealId::from_bytes([with; 16]).to_string(),
            }),
            ..registered(
                Right::Deal(DealId::from_bytes([id; 16])),
                since,
                Some(PartnerId::from_bytes([id; 16])),
            )
        };
        let first = deal(1, "0.7", 2, "2026-02-01T00:00:00Z");
        let second = deal(2, "0.3", 1, "2026-02-02T00:00:00Z");
        let third = deal(3, "0.5", 4, "2026-02-03T00:00:00Z");
        let rule = |candidates| attribute(WINDOW, &settings(), sold, candidates);
        let shares = |ruling: &Ruling| {
            [&ruling.winner, &ruling.beside].map(|claim| {
                let claim = claim.as_ref()?;
                Some((claim.partner?, claim.share.map(|share| share.to_string())))
            })
        };
        let partner = |id: u8| PartnerId::from_bytes([id; 16]);
        let (seven, three) = (Some("0.7".to_owned()), Some("0.3".to_owned()));

        let both = rule(vec![second.clone(), third, click(9, sold), first.clone()]);
        assert_eq!(
            shares(&both),
            [Some((partner(1), seven)), Some((partner(2), three.clone()))]
        );
        assert_eq!(both.losers.len(), 2);

        // Without the other it is whole.
        let alone = rule(vec![second.clone()]);
        assert_eq!(shares(&alone), [Some((partner(2), None)), None]);

        // Where both are one partner's by now, it is whole as well, and once.
        let mut merged = second.clone();
        merged.source = first.source;
        let once = rule(vec![first.clone(), merged]);
        assert_eq!(shares(&once), [Some((partner(1), None)), None]);
        assert_eq!(once.losers.len(), 1);

        // The share of one who cannot be credited is nobody's.
        let mut suspended = first;
        if let Some(source) = &mut suspended.source {
            source.partner_fault = Some(Unattributed::PartnerSuspended);
        }
        let kept = rule(vec![suspended, second]);
        assert_eq!(shares(&kept), [Some((partner(2), three)), None]);
        assert_eq!(kept.losers.len(), 1);
    }

    proptest! {
        #[test]
        fn a_ruling_does_not_depend_on_the_order_of_the_claims(
            days in prop::collection::vec((0_u8..6, 0_u32..60), 0..5),
            with_coupon in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let sold = at("2026-03-31T00:00:00Z");
            let mut candidates: Vec<Candidate> = days
                .iter()
                .map(|(link, day)| click(*link, crate::clock::days_before(sold, *day)))
                .collect();
            if with_coupon {
                candidates.push(coupon(7));
            }
            let ruling = attribute(WINDOW, &settings(), sold, candidates.clone());
            fastrand::Rng::with_seed(seed).shuffle(&mut candidates);
            prop_assert_eq!(attribute(WINDOW, &settings(), sold, candidates), ruling);
        }
    }
}
