//! Disputes: what partners say is missing or wrong, and what is decided about it. Pure.

use url::Url;

use crate::clock::{Timestamp, days_after};
use crate::ids::{ConversionId, DisputeId, OperatorId, PartnerId, ProgramId};
use crate::money::Money;

/// Characters of what a partner writes as evidence.
pub const MAX_EVIDENCE: usize = 2000;
/// Links that evidence may have.
pub const MAX_LINKS: usize = 5;
/// Characters of a link.
pub const MAX_LINK: usize = 500;
/// Characters of a decision's note.
pub const MAX_NOTE: usize = 500;

/// What is said to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeKind {
    /// A conversion that is not there.
    Missing,
    /// Its amount is another.
    WrongAmount,
    /// Somebody else is credited with it.
    WrongPartner,
    /// Something else.
    Other,
}

/// Kinds by their names.
pub const DISPUTE_KINDS: &[(&str, DisputeKind)] = &[
    ("missing", DisputeKind::Missing),
    ("wrong_amount", DisputeKind::WrongAmount),
    ("wrong_partner", DisputeKind::WrongPartner),
    ("other", DisputeKind::Other),
];

/// How a dispute is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The partner is right.
    Upheld,
    /// In part.
    PartiallyUpheld,
    /// The partner is not.
    Declined,
}

/// Verdicts by their names.
pub const VERDICTS: &[(&str, Verdict)] = &[
    ("upheld", Verdict::Upheld),
    ("partially_upheld", Verdict::PartiallyUpheld),
    ("declined", Verdict::Declined),
];

/// Why it is decided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The tracking failed.
    TrackingFailed,
    /// What was shown proves it.
    EvidenceAccepted,
    /// The right amount was found.
    AmountConfirmed,
    /// As a courtesy, without proof.
    Goodwill,
    /// No such sale was found.
    NoRecord,
    /// Another partner has the better claim.
    CreditedToAnother,
    /// It lies outside the program's window.
    OutsideWindow,
    /// The program's terms exclude it.
    TermsNotMet,
    /// The amount was right.
    AmountCorrect,
    /// The order was cancelled or refunded.
    OrderCancelled,
    /// What was shown does not prove it.
    EvidenceInsufficient,
}

/// Reasons by their names.
pub const REASONS: &[(&str, Reason)] = &[
    ("tracking_failed", Reason::TrackingFailed),
    ("evidence_accepted", Reason::EvidenceAccepted),
    ("amount_confirmed", Reason::AmountConfirmed),
    ("goodwill", Reason::Goodwill),
    ("no_record", Reason::NoRecord),
    ("credited_to_another", Reason::CreditedToAnother),
    ("outside_window", Reason::OutsideWindow),
    ("terms_not_met", Reason::TermsNotMet),
    ("amount_correct", Reason::AmountCorrect),
    ("order_cancelled", Reason::OrderCancelled),
    ("evidence_insufficient", Reason::EvidenceInsufficient),
];

impl Reason {
    /// Whether it speaks for that verdict. What is upheld in part is so for a reason of either kind.
    #[must_use]
    pub fn fits(self, verdict: Verdict) -> bool {
        let favours = matches!(
            self,
            Self::TrackingFailed | Self::EvidenceAccepted | Self::AmountConfirmed | Self::Goodwill
        );
        match verdict {
            Verdict::Upheld => favours,
            Verdict::PartiallyUpheld => true,
            Verdict::Declined => !favours,
        }
    }
}

/// The name of a value in a list of names; lists hold all of their values.
#[must_use]
pub fn name_of<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map_or("", |(name, _)| name)
}

/// What an upheld dispute brought about, in the transaction of its decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A conversion was recorded and credited to the partner.
    Conversion(ConversionId),
    /// The conversion's amount was amended.
    Amendment(Money),
    /// The partner was given that much on the operator's word, as that line.
    Adjustment(ConversionId, Money),
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// In the operator's words.
    pub note: Option<String>,
    /// What it brought about.
    pub remedy: Option<Remedy>,
    /// By whom.
    pub by: OperatorId,
}

/// How a dispute ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was decided.
    Decided(Decision),
    /// The partner took it back.
    Withdrawn,
}

/// A transaction by its sender's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// What happened.
    pub event: String,
    /// The sender's id.
    pub transaction_id: String,
}

/// A partner's dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Id.
    pub id: DisputeId,
    /// The program.
    pub program: ProgramId,
    /// Who raised it.
    pub partner: PartnerId,
    /// What is said to be wrong.
    pub kind: DisputeKind,
    /// The conversion it is about, which may not be there: its id follows from the transaction.
    pub conversion: ConversionId,
    /// The transaction, where the partner named it so.
    pub transaction: Option<Transaction>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What its amount is according to the partner.
    pub expected: Option<Money>,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// How it ended and when, if it did.
    pub ended: Option<(Ending, Timestamp)>,
    /// Counts changes.
    pub version: u64,
}

/// What a partner shows for it. Stands apart, because it may name people, and can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// In the partner's words.
    pub text: String,
    /// Where more is to be seen.
    pub links: Vec<String>,
}

/// Whether text is an https address as people open it.
#[must_use]
pub fn is_link(text: &str) -> bool {
    // Browsers drop blanks and control characters; what they would open is not what was read.
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain
        && text.starts_with("https://")
        && Url::parse(text).is_ok_and(|url| url.host_str().is_some() && url.username().is_empty())
}

/// Until when an event may be disputed.
#[must_use]
pub fn deadline(occurred_at: Timestamp, dispute_days: u32) -> Timestamp {
    days_after(occurred_at, dispute_days)
}

/// Why a dispute is not decided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionFault {
    /// It has ended.
    Ended,
    /// The reason does not speak for the verdict.
    Reason,
    /// What is upheld brings something about.
    RemedyMissing,
    /// What is declined brings nothing about.
    RemedyForNothing,
}

impl Dispute {
    /// The name of its state on the wire.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match &self.ended {
            None => "open",
            Some((Ending::Withdrawn, _)) => "withdrawn",
            Some((Ending::Decided(decision), _)) => name_of(VERDICTS, decision.verdict),
        }
    }

    /// The dispute, decided, in its next version.
    ///
    /// # Errors
    /// [`DecisionFault`].
    pub fn decided(&self, decision: Decision, at: Timestamp) -> Result<Self, DecisionFault> {
        if self.ended.is_some() {
            return Err(DecisionFault::Ended);
        }
        if !decision.reason.fits(decision.verdict) {
            return Err(DecisionFault::Reason);
        }
        match (decision.verdict, decision.remedy) {
            (Verdict::Upheld | Verdict::PartiallyUpheld, None) => {
                return Err(DecisionFault::RemedyMissing);
            }
            (Verdict::Declined, Some(_)) => return Err(DecisionFault::RemedyForNothing),
            _ => {}
        }
        Ok(self.ending(Ending::Decided(decision), at))
    }

    /// The dispute, taken back, in its next version; `None` when it has ended.
    #[must_use]
    pub fn withdrawn(&self, at: Timestamp) -> Option<Self> {
        self.ended
            .is_none()
            .then(|| self.ending(Ending::Withdrawn, at))
    }

    fn ending(&self, ending: Ending, at: Timestamp) -> Self {
        Self {
            ended: Some((ending, at)),
            version: self.version + 1,
            ..self.clone()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn open() -> Dispute {
        Dispute {
            id: DisputeId::from_bytes([1; 16]),
            program: ProgramId::from_bytes([2; 16]),
            partner: PartnerId::from_bytes([3; 16]),
            kind: DisputeKind::Missing,
            conversion: ConversionId::from_bytes([4; 16]),
            transaction: None,
            occurred_at: at("2026-03-01T00:00:00Z"),
            expected: None,
            raised_at: at("2026-03-02T00:00:00Z"),
            ended: None,
            version: 1,
        }
    }

    fn decision(verdict: Verdict, reason: Reason, remedy: bool) -> Decision {
        Decision {
            verdict,
            reason,
            note: None,
            remedy: remedy.then(|| Remedy::Conversion(ConversionId::from_bytes([4; 16]))),
            by: OperatorId::from_bytes([5; 16]),
        }
    }

    #[test]
    fn a_dispute_is_decided_once_for_a_reason_that_fits_and_with_what_it_brings_about() {
        use {DecisionFault as Fault, Reason as R, Verdict as V};
        for (verdict, reason, remedy, expected) in [
            (V::Upheld, R::TrackingFailed, true, Ok("upheld")),
            (
                V::PartiallyUpheld,
                R::TrackingFailed,
                true,
                Ok("partially_upheld"),
            ),
            (
                V::PartiallyUpheld,
                R::TermsNotMet,
                true,
                Ok("partially_upheld"),
            ),
            (V::Declined, R::NoRecord, false, Ok("declined")),
            (V::Upheld, R::NoRecord, true, Err(Fault::Reason)),
            (V::Declined, R::Goodwill, false, Err(Fault::Reason)),
            (V::Upheld, R::Goodwill, false, Err(Fault::RemedyMissing)),
            (
                V::PartiallyUpheld,
                R::Goodwill,
                false,
                Err(Fault::RemedyMissing),
            ),
            (V::Declined, R::NoRecord, true, Err(Fault::RemedyForNothing)),
        ] {
            let now = at("2026-03-03T00:00:00Z");
            let decided = open().decided(decision(verdict, reason, remedy), now);
            assert_eq!(
                decided.as_ref().map(Dispute::state),
                expected.as_ref().copied()
            );
            if let Ok(decided) = decided {
                assert_eq!(decided.version, 2);
                let again = decided.decided(decision(verdict, reason, remedy), now);
                assert_eq!(again, Err(Fault::Ended));
                assert_eq!(decided.withdrawn(now), None);
            }
        }
    }

    #[test]
    fn a_withdrawn_dispute_has_ended() {
        let now = at("2026-03-03T00:00:00Z");
        let withdrawn = open().withdrawn(now).unwrap();
        assert_eq!((withdrawn.state(), withdrawn.version), ("withdrawn", 2));
        let decision = decision(Verdict::Declined, Reason::NoRecord, false);
        assert_eq!(withdrawn.decided(decision, now), Err(DecisionFault::Ended));
        assert_eq!(withdrawn.withdrawn(now), None);
    }

    #[test]
    fn links_are_https_addresses_without_anything_hidden() {
        assert!(is_link("https://files.example/receipt.pdf?x=1#top"));
        for wrong in [
            "http://files.example/",
            "https://",
            "javascript:alert(1)",
            "https://files.example/a b",
            "https://files.example/\n",
            "https://bank.example@files.example/",
            "files.example/receipt.pdf",
        ] {
            assert!(!is_link(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_reason_speaks_for_some_verdict_and_none_for_all() {
        for (name, reason) in REASONS {
            assert_eq!(name_of(REASONS, *reason), *name);
            assert!(reason.fits(Verdict::PartiallyUpheld));
            assert_ne!(reason.fits(Verdict::Upheld), reason.fits(Verdict::Declined));
        }
    }
}
