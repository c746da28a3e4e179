//! What a merge of two partner accounts has done, and what it does next: pure.

use crate::clock::{Timestamp, minutes_after};
use crate::ids::{OperatorId, PartnerId, ProgramId};
use crate::money::{Money, MoneyError};

/// Characters of the reason.
pub const MAX_REASON: usize = 200;
/// From when on money moves after a merge: longer than any run of payouts that began before it and still pays the
/// one that was merged.
pub const SETTLE_MINUTES: i64 = 20;
/// Until it is looked again whether more money came, while some is on its way.
pub const SOON_MINUTES: i64 = 10;
/// Until it is looked again otherwise: a late refund still finds whom it concerns.
pub const LATER_MINUTES: i64 = 24 * 60;
/// How often what is the partner's is gone through: the second time finds what was being made at the merge.
pub const PASSES: u32 = 2;

/// What of a partner's follows it, in the order in which it is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// Its places in programs.
    Enrolments,
    /// Its links.
    Links,
    /// Its coupons.
    Coupons,
    /// Its deals that are not closed.
    Deals,
    /// The leads that it has or is offered.
    Leads,
}

/// What follows, by its name.
pub const FOLLOWING: &[(&str, Following)] = &[
    ("enrolments", Following::Enrolments),
    ("links", Following::Links),
    ("coupons", Following::Coupons),
    ("deals", Following::Deals),
    ("leads", Following::Leads),
];

impl Following {
    /// What is gone through next; `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let at = FOLLOWING.iter().position(|(_, one)| *one == self)?;
        FOLLOWING.get(at + 1).map(|(_, next)| *next)
    }
}

/// A part of the balance on its way from one partner to the other: an adjustment of each, of which the second may
/// not stand yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moving {
    /// In which program.
    pub program: ProgramId,
    /// To whom: whom the partner was merged into, or whom that one was merged into since.
    pub to: PartnerId,
    /// How much; below zero where more was taken back than earned.
    pub amount: Money,
}

/// What of the balance moved in one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// In which program.
    pub program: ProgramId,
    /// How much in all.
    pub amount: Money,
    /// In how many parts.
    pub parts: u32,
}

/// A merge of one partner into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Who was merged.
    pub from: PartnerId,
    /// Into whom.
    pub into: PartnerId,
    /// By whom.
    pub by: OperatorId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// How often all was gone through.
    pub passes: u32,
    /// What is gone through, and behind which position; `None` between two times.
    pub following: Option<(Following, Option<String>)>,
    /// How much followed, by what it is.
    pub followed: [u32; FOLLOWING.len()],
    /// What is on its way.
    pub moving: Option<Moving>,
    /// What of the balance has moved.
    pub moved: Vec<Moved>,
    /// When it goes on.
    pub next_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl Merge {
    /// A merge that has just happened: what is the partner's follows at once.
    #[must_use]
    pub fn new(
        from: PartnerId,
        into: PartnerId,
        by: OperatorId,
        reason: String,
        at: Timestamp,
    ) -> Self {
        Self {
            from,
            into,
            by,
            reason,
            at,
            passes: 0,
            following: Some((Following::Enrolments, None)),
            followed: [0; FOLLOWING.len()],
            moving: None,
            moved: Vec::new(),
            next_at: at,
            version: 1,
        }
    }

    /// … with which so many places in programs changed hands.
    #[must_use]
    pub fn with_places(mut self, count: u32) -> Self {
        self.followed[0] = count;
        self
    }

    /// Whether all has followed and nothing is on its way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.passes >= PASSES && self.moving.is_none()
    }

    /// The name of a part of the balance, among all that ever move from this partner in a program.
    #[must_use]
    pub fn part(&self, program: ProgramId, number: u32) -> String {
        format!("{}#{program}#{number}", self.from)
    }

    /// In how many parts the balance in a program has moved.
    #[must_use]
    pub fn parts(&self, program: ProgramId) -> u32 {
        let moved = self.moved.iter().find(|moved| moved.program == program);
        moved.map_or(0, |moved| moved.parts)
    }

    /// After a page of what follows, of which that much was not the other's yet.
    #[must_use]
    pub fn after_page(&self, what: Following, count: u32, position: Option<String>) -> Self {
        let mut merge = self.clone();
        merge.version += 1;
        for ((_, one), so_far) in FOLLOWING.iter().zip(&mut merge.followed) {
            if *one == what {
                *so_far = so_far.saturating_add(count);
            }
        }
        merge.following = match position {
            Some(position) => Some((what, Some(position))),
            None => what.next().map(|next| (next, None)),
        };
        if merge.following.is_none() {
            merge.passes += 1;
        }
        merge
    }

    /// Once more through all, for the last time.
    #[must_use]
    pub fn once_more(&self) -> Self {
        Self {
            following: Some((Following::Enrolments, None)),
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// With a part of the balance on its way.
    #[must_use]
    pub fn with(&self, moving: Moving) -> Self {
        Self {
            moving: Some(moving),
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// After what was on its way has arrived.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn arrived(&self) -> Result<Self, MoneyError> {
        let mut merge = self.clone();
        let Some(moving) = merge.moving.take() else {
            return Ok(merge);
        };
        merge.version += 1;
        let place = merge
            .moved
            .iter_mut()
            .find(|moved| moved.program == moving.program);
        match place {
            Some(moved) => {
                moved.parts += 1;
                moved.amount = moved.amount.plus(moving.amount)?;
            }
            None => merge.moved.push(Moved {
                program: moving.program,
                amount: moving.amount,
                parts: 1,
            }),
        }
        Ok(merge)
    }

    /// To be looked at again: soon while money of the partner is not at rest, or before all has followed.
    #[must_use]
    pub fn rested(&self, is_busy: bool, now: Timestamp) -> Self {
        let settles = minutes_after(self.at, SETTLE_MINUTES);
        let next_at = if now < settles {
            settles
        } else if is_busy || !self.is_settled() {
            minutes_after(now, SOON_MINUTES)
        } else {
            minutes_after(now, LATER_MINUTES)
        };
        Self {
            next_at,
            version: self.version + 1,
            ..self.clone()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn merge() -> Merge {
        let partner = |byte| PartnerId::from_bytes([byte; 16]);
        let at = "2026-05-04T09:00:00Z".parse().unwrap();
        let by = OperatorId::from_bytes([3; 16]);
        Merge::new(partner(1), partner(2), by, "the same firm".to_owned(), at)
    }

    #[test]
    fn all_is_gone_through_page_by_page_and_counted() {
        let mut merge = merge();
        let mut seen = Vec::new();
        for (count, position) in [(1, None), (50, Some("p".to_owned())), (2, None)] {
            let (what, _) = merge.following.clone().unwrap();
            seen.push(what);
            merge = merge.after_page(what, count, position);
        }
        assert_eq!(
            seen,
            [Following::Enrolments, Following::Links, Following::Links]
        );
        while let Some((what, _)) = merge.following.clone() {
            merge = merge.after_page(what, 0, None);
        }
        assert_eq!((merge.passes, merge.followed), (1, [1, 52, 0, 0, 0]));
        assert!(!merge.is_settled());
        merge = merge.once_more();
        while let Some((what, _)) = merge.following.clone() {
            merge = merge.after_page(what, 0, None);
        }
        assert!(merge.is_settled());
    }

    #[test]
    fn parts_have_names_of_their_own_and_add_up() {
        let mut merge = merge();
        let program = ProgramId::from_bytes([9; 16]);
        let mut names = Vec::new();
        for minor in [1_250, -250] {
            names.push(merge.part(program, merge.parts(program)));
            merge = merge.with(Moving {
                program,
                to: merge.into,
                amount: Money::new(minor, "GBP".parse().unwrap()),
            });
            assert!(merge.moving.is_some());
            merge = merge.arrived().unwrap();
        }
        assert_ne!(names[0], names[1]);
        assert_eq!(merge.moved.len(), 1);
        assert_eq!(
            (merge.moved[0].amount.minor(), merge.moved[0].parts),
            (1_000, 2)
        );
    }

    #[test]
    fn money_rests_until_no_payout_can_be_under_way() {
        let merge = merge();
        let settles = minutes_after(merge.at, SETTLE_MINUTES);
        assert_eq!(merge.rested(true, merge.at).next_at, settles);
        let soon = merge.rested(true, settles);
        assert_eq!(soon.next_at, minutes_after(settles, SOON_MINUTES));
        let done = Merge {
            passes: PASSES,
            ..merge
        };
        let later = done.rested(false, settles);
        assert_eq!(later.next_at, minutes_after(settles, LATER_MINUTES));
    }
}
