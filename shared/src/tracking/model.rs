//! Clicks and conversions: pure rules.

use std::collections::VecDeque;

use crate::clock::{Timestamp, days_before, minutes_after};
use crate::ids::{ConversionId, LinkId, ProgramId};
use crate::money::Money;

/// Characters of a transaction id, a reversal id or a sub id.
pub const MAX_REFERENCE: usize = 128;
/// Bytes of a sub id that a click keeps: five of them and the rest stay within one write unit.
pub const MAX_CLICK_SUB_BYTES: usize = 128;
/// Characters of a coupon code.
pub const MAX_COUPON: usize = 64;
/// Characters of a customer's reference, which may be an email address.
pub const MAX_CUSTOMER: usize = 254;
/// Characters of the reason for a reversal.
pub const MAX_REASON: usize = 200;
/// Units that one conversion may be of.
pub const MAX_QUANTITY: i64 = 100_000;
/// Minutes that an event may lie ahead of the clock here: servers disagree by that much.
pub const MAX_AHEAD_MINUTES: i64 = 5;
/// Days that an event may lie back unless an operator posts it: the longest attribution window and some.
pub const MAX_AGE_DAYS: u32 = 400;
/// Reversals that are kept of one conversion. The first takes everything back; the others change nothing.
pub const MAX_REVERSALS: usize = 32;
/// Days that a click is kept: the longest attribution window and some.
pub const CLICK_DAYS: u32 = 400;
/// The event of a postback that names none.
pub const DEFAULT_EVENT: &str = "sale";
/// The reversal id of a postback that names none: there is one such reversal per conversion.
pub const DEFAULT_REVERSAL: &str = "full";

/// What a click id says once it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClickToken {
    /// The link that was clicked.
    pub link: LinkId,
    /// When, to the second.
    pub at: Timestamp,
    /// What tells clicks of one second apart.
    pub random: [u8; 7],
}

/// Whether a conversion counts yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostedStatus {
    /// It counts.
    Approved,
    /// It pays nothing until it is approved.
    Pending,
}

/// A conversion as it was first posted. Never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Derived from program, event and transaction id.
    pub id: ConversionId,
    /// Its program.
    pub program: ProgramId,
    /// What happened, such as `sale` or `lead`.
    pub event: String,
    /// The caller's id.
    pub transaction_id: String,
    /// The click it names, verified.
    pub click: Option<ClickToken>,
    /// The click id as it was posted, for evidence.
    pub click_id: Option<String>,
    /// The coupon it names, in its normal form.
    pub coupon: Option<String>,
    /// Its amount, in the program's currency.
    pub amount: Option<Money>,
    /// How many.
    pub quantity: u32,
    /// A keyed hash of the customer's reference.
    pub customer: Option<String>,
    /// Whether it counted at once.
    pub status: PostedStatus,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was acknowledged.
    pub received_at: Timestamp,
    /// `sub1` to `sub5`.
    pub subs: [Option<String>; 5],
}

impl Facts {
    /// The id of that transaction's conversion.
    #[must_use]
    pub fn id_of(program: ProgramId, event: &str, transaction_id: &str) -> ConversionId {
        ConversionId::derived(&[&program.to_string(), event, transaction_id])
    }
}

/// A request to take a conversion back, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The caller's id of it.
    pub reversal_id: String,
    /// Why.
    pub reason: String,
    /// When it was acknowledged.
    pub at: Timestamp,
}

/// What was said of a conversion after, or even before, it was posted: one item that only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// When a pending conversion was approved.
    pub approved_at: Option<Timestamp>,
    /// Reversals, oldest first. The first takes everything back; the others change nothing.
    pub reversals: Vec<Reversal>,
}

/// The form in which customers' references are compared: trimmed, lower case.
#[must_use]
pub fn normal_customer(reference: &str) -> String {
    reference.trim().to_lowercase()
}

/// A sub id as a click keeps it: cut at a character, at most [`MAX_CLICK_SUB_BYTES`]; `None` when empty.
#[must_use]
pub fn click_sub(text: &str) -> Option<String> {
    let mut end = text.len().min(MAX_CLICK_SUB_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (end > 0).then(|| text[..end].to_owned())
}

/// What is wrong with the time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFault {
    /// More than [`MAX_AHEAD_MINUTES`] ahead.
    InFuture,
    /// More than [`MAX_AGE_DAYS`] back, and no operator vouches for it.
    TooOld,
}

/// Whether an event of that time is taken.
///
/// # Errors
/// [`TimeFault`].
pub fn check_time(occurred_at: Timestamp, now: Timestamp, any_age: bool) -> Result<(), TimeFault> {
    if occurred_at > minutes_after(now, MAX_AHEAD_MINUTES) {
        return Err(TimeFault::InFuture);
    }
    if !any_age && occurred_at < days_before(now, MAX_AGE_DAYS) {
        return Err(TimeFault::TooOld);
    }
    Ok(())
}

/// What a postback says of its conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It counts.
    Approved,
    /// It pays nothing until it is approved.
    Pending,
    /// It is taken back, in full.
    Reversed {
        /// The caller's id of the reversal.
        reversal_id: String,
    },
}

/// A postback as it was read: in our names, every field valid by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// What happened.
    pub event: String,
    /// The caller's id.
    pub transaction_id: String,
    /// The click it names, verified, and its id as posted.
    pub click: Option<(ClickToken, String)>,
    /// The coupon it names, in its normal form.
    pub coupon: Option<String>,
    /// Its amount.
    pub amount: Option<Money>,
    /// How many, when it says so.
    pub quantity: Option<u32>,
    /// A keyed hash of the customer's reference.
    pub customer: Option<String>,
    /// What it says of the conversion.
    pub status: Posted,
    /// When it happened, when it says so.
    pub occurred_at: Option<Timestamp>,
    /// `sub1` to `sub5`.
    pub subs: [Option<String>; 5],
}

impl Posting {
    /// The conversion that it is about.
    #[must_use]
    pub fn conversion(&self, program: ProgramId) -> ConversionId {
        Facts::id_of(program, &self.event, &self.transaction_id)
    }

    /// The conversion as it is first recorded; a reversal has no facts of its own.
    #[must_use]
    pub fn facts(&self, program: ProgramId, now: Timestamp) -> Option<Facts> {
        let status = match self.status {
            Posted::Approved => PostedStatus::Approved,
            Posted::Pending => PostedStatus::Pending,
            Posted::Reversed { .. } => return None,
        };
        let Self {
            event,
            transaction_id,
            click,
            coupon,
            amount,
            quantity,
            customer,
            status: _,
            occurred_at,
            subs,
        } = self.clone();
        let (click, click_id) = click.unzip();
        Some(Facts {
            id: self.conversion(program),
            program,
            event,
            transaction_id,
            click,
            click_id,
            coupon,
            amount,
            quantity: quantity.unwrap_or(1),
            customer,
            status,
            occurred_at: occurred_at.unwrap_or(now),
            received_at: now,
            subs,
        })
    }

    /// The fingerprint fields in which it differs from what was reported before: click, coupon, amount,
    /// quantity, customer, and the time where it states one. Sub ids are no part of it. With
    /// `stated_only`, a field that it leaves out does not count as a difference.
    #[must_use]
    pub fn differences(&self, facts: &Facts, stated_only: bool) -> Vec<&'static str> {
        let mut fields = Vec::new();
        let mut compare = |name, stated: bool, same: bool| {
            if !same && (stated || !stated_only) {
                fields.push(name);
            }
        };
        let click = self.click.as_ref().map(|(token, _)| *token);
        compare("click_id", click.is_some(), click == facts.click);
        compare("coupon", self.coupon.is_some(), self.coupon == facts.coupon);
        compare("amount", self.amount.is_some(), self.amount == facts.amount);
        compare(
            "quantity",
            self.quantity.is_some(),
            self.quantity.unwrap_or(1) == facts.quantity,
        );
        compare(
            "customer",
            self.customer.is_some(),
            self.customer == facts.customer,
        );
        // The time of an approval or reversal is not that of the conversion.
        let same_time = self.occurred_at.is_none_or(|at| at == facts.occurred_at);
        compare("occurred_at", false, same_time);
        fields
    }
}

/// What a postback of a known transaction comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Duplicate,
    /// It contradicts what was reported before, in these fields.
    Mismatch(Vec<&'static str>),
    /// A pending conversion now counts. An amount that it did not have before comes with it.
    Approve {
        /// The amount that the pending post left out.
        amount: Option<Money>,
    },
}

/// Weighs a postback, no reversal, against the facts as they were first reported.
///
/// A repeat must be exact. A post that changes the status alone may leave fields out. A pending post that
/// arrives after the approved one, as happens when messages overtake each other, changes nothing.
#[must_use]
pub fn weigh(facts: &Facts, posting: &Posting) -> Verdict {
    let judge = |differences: Vec<&'static str>, verdict| {
        if differences.is_empty() {
            verdict
        } else {
            Verdict::Mismatch(differences)
        }
    };
    match (facts.status, &posting.status) {
        (PostedStatus::Pending, Posted::Approved) => {
            let added = posting.amount.filter(|_| facts.amount.is_none());
            let mut differences = posting.differences(facts, true);
            if added.is_some() {
                differences.retain(|field| *field != "amount");
            }
            judge(differences, Verdict::Approve { amount: added })
        }
        (PostedStatus::Approved, Posted::Approved) | (PostedStatus::Pending, Posted::Pending) => {
            judge(posting.differences(facts, false), Verdict::Duplicate)
        }
        (PostedStatus::Approved, Posted::Pending) | (_, Posted::Reversed { .. }) => {
            let mut differences = posting.differences(facts, true);
            // No amount was ever told, so none is contradicted: it is the whole that is taken back.
            if facts.amount.is_none() && matches!(posting.status, Posted::Reversed { .. }) {
                differences.retain(|field| *field != "amount");
            }
            judge(differences, Verdict::Duplicate)
        }
    }
}

/// What became of a postback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// A new conversion.
    Accepted,
    /// Reported before; nothing changed.
    Duplicate,
    /// A pending conversion now counts.
    Approved,
    /// The conversion is taken back.
    Reversed,
    /// A reversal of a conversion that has not arrived; it waits for it.
    Kept,
}

impl Receipt {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Approved => "approved",
            Self::Reversed => "reversed",
            Self::Kept => "kept",
        }
    }
}

/// One of several lists, each newest first, that are read as one.
#[derive(Clone, Debug)]
pub struct Lane<T> {
    /// What was read of it and not yet taken.
    pub entries: VecDeque<T>,
    /// Whether more follow behind.
    pub more: bool,
}

/// Takes from the lanes, newest first, until `taken` has `limit` entries or a lane that has more behind
/// ran dry, so that nothing newer is passed over. Answers which lanes are to be read on; none when
/// `limit` is reached or everything was taken. `position` must order entries and tell them apart.
pub fn merge<T, K: Ord>(
    lanes: &mut [Lane<T>],
    taken: &mut Vec<T>,
    limit: usize,
    position: impl Fn(&T) -> K,
) -> Vec<usize> {
    while taken.len() < limit {
        let dry: Vec<usize> = lanes
            .iter()
            .enumerate()
            .filter(|(_, lane)| lane.more && lane.entries.is_empty())
            .map(|(index, _)| index)
            .collect();
        if !dry.is_empty() {
            return dry;
        }
        let newest = lanes
            .iter_mut()
            .filter(|lane| !lane.entries.is_empty())
            .max_by_key(|lane| lane.entries.front().map(&position));
        match newest.and_then(|lane| lane.entries.pop_front()) {
            Some(entry) => taken.push(entry),
            None => return Vec::new(),
        }
    }
    Vec::new()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Currency;

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn program() -> ProgramId {
        ProgramId::from_bytes([1; 16])
    }

    fn click(random: u8) -> (ClickToken, String) {
        let token = ClickToken {
            link: LinkId::from_bytes([2; 16]),
            at: at("2026-11-01T00:00:00Z"),
            random: [random; 7],
        };
        (token, format!("click-{random}"))
    }

    fn posting() -> Posting {
        Posting {
            event: "sale".to_owned(),
            transaction_id: "order-1".to_owned(),
            click: Some(click(1)),
            coupon: None,
            amount: Some(Money::new(4900, gbp())),
            quantity: None,
            customer: Some("hash".to_owned()),
            status: Posted::Approved,
            occurred_at: None,
            subs: [const { None }; 5],
        }
    }

    fn now() -> Timestamp {
        at("2026-11-23T07:00:00Z")
    }

    fn facts(posting: &Posting) -> Facts {
        posting.facts(program(), now()).unwrap()
    }

    #[test]
    fn an_exact_repeat_is_a_duplicate_whenever_it_comes() {
        let first = facts(&posting());
        assert_eq!(weigh(&first, &posting()), Verdict::Duplicate);
        let stated = Posting {
            quantity: Some(1),
            occurred_at: Some(now()),
            ..posting()
        };
        assert_eq!(weigh(&first, &stated), Verdict::Duplicate);
    }

    #[test]
    fn every_fingerprint_field_that_differs_is_named_and_sub_ids_are_none() {
        let first = facts(&posting());
        let other = Posting {
            click: Some(click(2)),
            coupon: Some("ADA".to_owned()),
            amount: None,
            quantity: Some(2),
            customer: None,
            occurred_at: Some(at("2026-11-22T00:00:00Z")),
            subs: ["x"; 5].map(|sub| Some(sub.to_owned())),
            ..posting()
        };
        let named = [
            "click_id",
            "coupon",
            "amount",
            "quantity",
            "customer",
            "occurred_at",
        ];
        assert_eq!(weigh(&first, &other), Verdict::Mismatch(named.to_vec()));
        let subs = Posting {
            subs: ["x"; 5].map(|sub| Some(sub.to_owned())),
            ..posting()
        };
        assert_eq!(weigh(&first, &subs), Verdict::Duplicate);
    }

    #[test]
    fn an_approval_may_leave_fields_out_or_bring_the_amount_but_not_contradict() {
        let pending = |amount| {
            facts(&Posting {
                status: Posted::Pending,
                amount,
                ..posting()
            })
        };
        let bare = Posting {
            click: None,
            coupon: None,
            amount: None,
            customer: None,
            ..posting()
        };
        let amount = Some(Money::new(4900, gbp()));
        assert_eq!(
            weigh(&pending(amount), &bare),
            Verdict::Approve { amount: None }
        );
        assert_eq!(
            weigh(&pending(None), &posting()),
            Verdict::Approve { amount }
        );
        let other = Posting {
            amount: Some(Money::new(1, gbp())),
            ..posting()
        };
        assert_eq!(
            weigh(&pending(amount), &other),
            Verdict::Mismatch(vec!["amount"])
        );
    }

    #[test]
    fn a_pending_post_that_comes_late_changes_nothing() {
        let late = Posting {
            status: Posted::Pending,
            amount: None,
            ..posting()
        };
        assert_eq!(weigh(&facts(&posting()), &late), Verdict::Duplicate);
    }

    #[test]
    fn event_times_are_at_most_five_minutes_ahead_and_400_days_back() {
        assert_eq!(check_time(at("2026-11-23T07:05:00Z"), now(), false), Ok(()));
        assert_eq!(
            check_time(at("2026-11-23T07:05:01Z"), now(), true),
            Err(TimeFault::InFuture)
        );
        let old = at("2010-12-01T08:26:00Z");
        assert_eq!(check_time(old, now(), false), Err(TimeFault::TooOld));
        assert_eq!(check_time(old, now(), true), Ok(()));
    }

    #[test]
    fn a_clicks_sub_ids_are_cut_at_a_character() {
        assert_eq!(click_sub(""), None);
        assert_eq!(click_sub("news").unwrap(), "news");
        let long = format!("{}é", "x".repeat(127));
        assert_eq!(click_sub(&long).unwrap(), "x".repeat(127));
    }

    fn any_posting() -> impl Strategy<Value = Posting> {
        (
            proptest::option::of(0_u8..3),
            proptest::option::of("[A-C]"),
            proptest::option::of(0_i64..3),
            proptest::option::of(1_u32..3),
            proptest::option::of("[a-c]"),
            any::<bool>(),
            proptest::option::of(0_i64..3),
        )
            .prop_map(
                |(link, coupon, minor, quantity, customer, pending, second)| Posting {
                    click: link.map(click),
                    coupon,
                    amount: minor.map(|minor| Money::new(minor, gbp())),
                    quantity,
                    customer,
                    status: if pending {
                        Posted::Pending
                    } else {
                        Posted::Approved
                    },
                    occurred_at: second.map(|second| Timestamp::from_second(second).unwrap()),
                    ..posting()
                },
            )
    }

    proptest! {
        #[test]
        fn a_posting_never_contradicts_itself(posting in any_posting()) {
            let facts = posting.facts(program(), now()).unwrap();
            prop_assert_eq!(weigh(&facts, &posting), Verdict::Duplicate);
        }

        #[test]
        fn postings_of_one_status_are_duplicates_only_if_what_they_record_is_the_same(
            one in any_posting(), other in any_posting(),
        ) {
            let (a, b) = (facts(&one), facts(&other));
            prop_assume!(a.status == b.status);
            let same = Facts { occurred_at: b.occurred_at, ..a.clone() } == b
                && other.occurred_at.is_none_or(|at| at == a.occurred_at);
            prop_assert_eq!(weigh(&a, &other) == Verdict::Duplicate, same);
        }

        #[test]
        fn a_transaction_is_one_conversion_per_program_and_event(
            a in ("[a-z]{1,3}", "[a-z#]{1,3}"), b in ("[a-z]{1,3}", "[a-z#]{1,3}"),
        ) {
            let id = |(event, transaction): &(String, String)| Facts::id_of(program(), event, transaction);
            prop_assert_eq!(id(&a) == id(&b), a == b);
            prop_assert_ne!(id(&a), Facts::id_of(ProgramId::from_bytes([9; 16]), &a.0, &a.1));
        }

        /// Lanes that grow at their newest end while they are read, as lists do under writing.
        #[test]
        fn what_stood_before_the_first_page_is_listed_once_in_order_whatever_arrives(
            before in proptest::collection::btree_set(0_u32..1000, 0..120),
            arrivals in proptest::collection::vec((1000_u32..2000, 0_usize..4), 0..40),
            limit in 1_usize..30,
            share in 1_usize..7,
        ) {
            const LANES: usize = 4;
            let mut stores: Vec<std::collections::BTreeSet<u32>> = vec![Default::default(); LANES];
            for entry in &before {
                stores[(*entry as usize) % LANES].insert(*entry);
            }
            let mut arrivals = arrivals.into_iter();
            let (mut listed, mut below) = (Vec::new(), u32::MAX);
            loop {
                let mut lanes = vec![Lane { entries: VecDeque::new(), more: true }; LANES];
                let mut reached = [below; LANES];
                let mut page = Vec::new();
                loop {
                    let dry = merge(&mut lanes, &mut page, limit, |entry| *entry);
                    if dry.is_empty() {
                        break;
                    }
                    for lane in dry {
                        let found: VecDeque<u32> = stores[lane].range(..reached[lane]).rev().take(share).copied().collect();
                        lanes[lane].more = found.len() == share;
                        reached[lane] = found.back().copied().unwrap_or(reached[lane]);
                        lanes[lane].entries = found;
                    }
                    if let Some((entry, lane)) = arrivals.next() {
                        stores[lane].insert(entry);
                    }
                }
                let done = page.len() < limit;
                below = page.last().copied().unwrap_or(below);
                listed.extend(page);
                if done {
                    break;
                }
            }
            prop_assert!(listed.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");
            let known: Vec<u32> = listed.into_iter().filter(|entry| before.contains(entry)).collect();
            prop_assert_eq!(known, before.into_iter().rev().collect::<Vec<_>>());
        }
    }
}
