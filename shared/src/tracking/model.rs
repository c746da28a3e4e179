//! Clicks and conversions: pure rules.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::{Timestamp, days_before, minutes_after, ms_after};
use crate::ids::{ConversionId, DealId, DisputeId, LeadId, LinkId, PartnerId, ProgramId};
use crate::money::{Currency, Money};

/// Characters of a transaction id, a reversal id or a sub id.
pub const MAX_REFERENCE: usize = 128;
/// Bytes of a sub id that a click keeps: five of them and the rest stay within one write unit.
pub const MAX_CLICK_SUB_BYTES: usize = 128;
/// Characters of a coupon code.
pub const MAX_COUPON: usize = 64;
/// Characters of a customer's reference, which may be an email address.
pub const MAX_CUSTOMER: usize = 254;
/// Characters of a product's name or number.
pub const MAX_PRODUCT: usize = 64;
/// Fields of a conversion's metadata.
pub const MAX_META: usize = 10;
/// Characters of the name of a metadata field.
pub const MAX_META_NAME: usize = 32;
/// Characters of the value of a metadata field.
pub const MAX_META_VALUE: usize = 128;
/// Characters of the reason for a reversal or an amendment.
pub const MAX_REASON: usize = 200;
/// Units that one conversion may be of.
pub const MAX_QUANTITY: i64 = 100_000;
/// Minutes that an event may lie ahead of the clock here: servers disagree by that much.
pub const MAX_AHEAD_MINUTES: i64 = 5;
/// Days that an event may lie back unless an operator posts it: the longest attribution window and some.
pub const MAX_AGE_DAYS: u32 = 400;
/// Reversals that are kept of one conversion; real shops' orders have been seen with 13.
pub const MAX_REVERSALS: usize = 64;
/// Amendments that are kept of one conversion.
pub const MAX_AMENDMENTS: usize = 32;
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

/// Whose a conversion is from the beginning, and by what that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credited {
    /// Whose.
    pub partner: PartnerId,
    /// By what.
    pub word: Word,
}

/// What gives a partner a conversion that nobody has to attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// An operator's decision of a dispute.
    Dispute(DisputeId),
    /// A deal of the partner's that was won.
    Deal(DealId),
    /// A lead of the partner's that was won.
    Lead(LeadId),
}

/// Whether a customer bought before, where the event says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerType {
    /// For the first time.
    New,
    /// Not for the first time.
    Returning,
}

/// Types of customers by their names.
pub const CUSTOMER_TYPES: &[(&str, CustomerType)] = &[
    ("new", CustomerType::New),
    ("returning", CustomerType::Returning),
];

impl CustomerType {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Returning => "returning",
        }
    }
}

/// The amounts that an event may come with, all in one currency, in the order of [`AMOUNTS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts(pub [Option<Money>; 6]);

/// The names of an event's amounts.
pub const AMOUNTS: [&str; 6] = [
    "amount",
    "margin",
    "net_revenue",
    "bonuses",
    "fees",
    "chargebacks",
];

impl Amounts {
    /// Each with its name.
    pub fn named(self) -> impl Iterator<Item = (&'static str, Option<Money>)> {
        AMOUNTS.into_iter().zip(self.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Those of which the other has none.
    fn missing_in(self, other: Self) -> Self {
        let mut added = self;
        for (amount, held) in added.0.iter_mut().zip(other.0) {
            *amount = amount.filter(|_| held.is_none());
        }
        added
    }
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
    /// The currency of all its amounts; any, not only the program's.
    pub currency: Currency,
    /// Its amount.
    pub amount: Option<Money>,
    /// The margin in it.
    pub margin: Option<Money>,
    /// The net revenue in it.
    pub net_revenue: Option<Money>,
    /// Bonuses that net gaming revenue is less.
    pub bonuses: Option<Money>,
    /// Fees that net gaming revenue is less.
    pub fees: Option<Money>,
    /// Chargebacks that net gaming revenue is less.
    pub chargebacks: Option<Money>,
    /// How many.
    pub quantity: u32,
    /// A keyed hash of the customer's reference.
    pub customer: Option<String>,
    /// Keyed hashes of what identifies the customer to registered claims.
    pub identifiers: Vec<String>,
    /// Whether the customer is new, where that is said.
    pub customer_type: Option<CustomerType>,
    /// ISO 3166 two-letter code of the customer's country.
    pub country: Option<String>,
    /// What was sold.
    pub product: Option<String>,
    /// Further fields by their names; see [`is_meta_name`].
    pub meta: BTreeMap<String, String>,
    /// Whether it counted at once.
    pub status: PostedStatus,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was acknowledged.
    pub received_at: Timestamp,
    /// `sub1` to `sub5`.
    pub subs: [Option<String>; 5],
    /// Whose it is whatever else may be said: no click, coupon or claim is asked then.
    pub credited_to: Option<Credited>,
}

impl Facts {
    /// The id of that transaction's conversion.
    #[must_use]
    pub fn id_of(program: ProgramId, event: &str, transaction_id: &str) -> ConversionId {
        ConversionId::derived(&[&program.to_string(), event, transaction_id])
    }

    /// All amounts that it may come with.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        Amounts([
            self.amount,
            self.margin,
            self.net_revenue,
            self.bonuses,
            self.fees,
            self.chargebacks,
        ])
    }
}

/// A request to take a conversion back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The caller's id of it.
    pub reversal_id: String,
    /// How much of the conversion's amount; `None` takes all back that is left, for good.
    pub amount: Option<Money>,
    /// Why.
    pub reason: String,
    /// When it was acknowledged.
    pub at: Timestamp,
}

/// A correction of a conversion's amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// The caller's id of it.
    pub amendment_id: String,
    /// What the conversion's amount is taken to be from now on, before reversals.
    pub amount: Money,
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
    /// Reversals, oldest first.
    pub reversals: Vec<Reversal>,
    /// Amendments, oldest first.
    pub amendments: Vec<Amendment>,
}

/// A reversal or an amendment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Takes a part or all back.
    Reversal(&'a Reversal),
    /// Corrects the amount.
    Amendment(&'a Amendment),
}

impl Change<'_> {
    /// Its place among the changes of its conversion.
    fn position(&self) -> (Timestamp, &str) {
        match self {
            Self::Reversal(reversal) => (reversal.at, &reversal.reversal_id),
            Self::Amendment(amendment) => (amendment.at, &amendment.amendment_id),
        }
    }
}

/// What is left of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// What is left of its amount, never below zero; `None` when it never had one.
    pub amount: Option<Money>,
    /// Whether it no longer counts at all: taken back as a whole, or in parts of which nothing is left.
    pub gone: bool,
}

impl Changes {
    /// Reversals and amendments, oldest first: by time, then id.
    #[must_use]
    pub fn ordered(&self) -> Vec<Change<'_>> {
        let reversals = self.reversals.iter().map(Change::Reversal);
        let amendments = self.amendments.iter().map(Change::Amendment);
        let mut changes: Vec<Change<'_>> = reversals.chain(amendments).collect();
        changes.sort_by(|a, b| a.position().cmp(&b.position()));
        changes
    }

    /// What all changes leave of a conversion.
    #[must_use]
    pub fn net(&self, facts: &Facts) -> Net {
        net_after(facts, &self.ordered())
    }

    /// The earliest time of a further change, so that changes stand in the order in which they were decided
    /// whatever the clocks say that acknowledge them.
    fn next_at(&self, now: Timestamp) -> Timestamp {
        let last = self.ordered().last().map(|change| change.position().0);
        last.map_or(now, |last| now.max(ms_after(last, 1)))
    }
}

/// A conversion's amount under its changes.
struct Tally {
    /// What it amounts to, as it was amended.
    whole: Option<i64>,
    /// What was taken back of that in parts.
    reversed: i64,
    /// Whether all of it was taken back, at once or in parts: for good.
    void: bool,
}

impl Tally {
    fn of(facts: &Facts, changes: &[Change<'_>]) -> Self {
        let mut tally = Self {
            whole: facts.amount.map(Money::minor),
            reversed: 0,
            void: false,
        };
        for change in changes {
            match change {
                Change::Reversal(Reversal { amount, .. }) => match (*amount, tally.left()) {
                    // Parts that came before the conversion could not be held against it.
                    (Some(part), Some(left)) => tally.reversed += part.minor().min(left),
                    // Of what has no amount there are no parts.
                    (None, _) | (Some(_), None) => tally.void = true,
                },
                Change::Amendment(Amendment { amount, .. }) => {
                    tally.whole = Some(amount.minor().max(tally.reversed));
                }
            }
            // Nothing is left of it, so nothing brings it back.
            tally.void |= tally.reversed > 0 && tally.left() == Some(0);
            if tally.void {
                break;
            }
        }
        tally
    }

    /// What is left in minor units; `None` without an amount.
    fn left(&self) -> Option<i64> {
        let whole = self.whole?;
        Some(if self.void { 0 } else { whole - self.reversed })
    }
}

/// What the first changes of a conversion, in their order, leave of it. Reversals take at most what is left;
/// after one that took all, nothing changes any more.
#[must_use]
pub fn net_after(facts: &Facts, changes: &[Change<'_>]) -> Net {
    let tally = Tally::of(facts, changes);
    let left = tally.left();
    Net {
        amount: left.map(|minor| Money::new(minor, facts.currency)),
        gone: tally.void,
    }
}

/// Why a reversal or an amendment is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeFault {
    /// Its id stands for another one.
    Mismatch,
    /// Its amount is not in the conversion's currency.
    Currency,
    /// It takes nothing back.
    Nothing,
    /// It takes back more than is left.
    Over {
        /// That, unless it is not for the caller to know.
        left: Option<Money>,
    },
    /// It takes back a part of what has no amount.
    NoAmount,
    /// It amends the amount to less than what was taken back of it.
    BelowReversed {
        /// That.
        reversed: Money,
    },
    /// All of the conversion was taken back.
    Void,
    /// There are as many as are kept.
    TooMany,
}

/// Weighs a reversal against what stands there: the one to record, or `None` when it stands there already.
/// A part that is all of the amount is the whole, as is any part of what has no amount; of a conversion that
/// has not arrived a part is recorded as it is told, and takes at most what there is then.
///
/// # Errors
/// [`ChangeFault`].
pub fn weigh_reversal(
    facts: Option<&Facts>,
    changes: &Changes,
    reversal: &Reversal,
) -> Result<Option<Reversal>, ChangeFault> {
    let tally = facts.map(|facts| (facts, Tally::of(facts, &changes.ordered())));
    if let (Some((facts, _)), Some(part)) = (&tally, reversal.amount)
        && part.currency() != facts.currency
    {
        return Err(ChangeFault::Currency);
    }
    let is_whole = |amount: Option<Money>| match (amount, &tally) {
        (None, _) => true,
        (Some(part), Some((facts, tally))) => {
            let minor = Some(part.minor());
            // Of what has no amount there are no parts.
            tally.whole.is_none() || minor == tally.whole || minor == facts.amount.map(Money::minor)
        }
        (Some(_), None) => false,
    };
    let same_id = |other: &&Reversal| other.reversal_id == reversal.reversal_id;
    if let Some(standing) = changes.reversals.iter().find(same_id) {
        let same = standing.amount == reversal.amount
            || (is_whole(standing.amount) && is_whole(reversal.amount));
        return if same {
            Ok(None)
        } else {
            Err(ChangeFault::Mismatch)
        };
    }
    if changes.reversals.len() >= MAX_REVERSALS {
        return Err(ChangeFault::TooMany);
    }
    let amount = reversal.amount.filter(|_| !is_whole(reversal.amount));
    if let Some(part) = amount {
        if part.is_zero() {
            return Err(ChangeFault::Nothing);
        }
        if let Some((facts, tally)) = &tally
            && let Some(left) = tally.left()
            && part.minor() > left
        {
            let left = Some(Money::new(left, facts.currency));
            return Err(ChangeFault::Over { left });
        }
    }
    Ok(Some(Reversal {
        amount,
        at: changes.next_at(reversal.at),
        ..reversal.clone()
    }))
}

/// Weighs an amendment against what stands there: the one to record, or `None` when it stands there already.
///
/// # Errors
/// [`ChangeFault`].
pub fn weigh_amendment(
    facts: &Facts,
    changes: &Changes,
    amendment: &Amendment,
) -> Result<Option<Amendment>, ChangeFault> {
    if amendment.amount.currency() != facts.currency {
        return Err(ChangeFault::Currency);
    }
    let same_id = |other: &&Amendment| other.amendment_id == amendment.amendment_id;
    if let Some(standing) = changes.amendments.iter().find(same_id) {
        return if standing.amount == amendment.amount {
            Ok(None)
        } else {
            Err(ChangeFault::Mismatch)
        };
    }
    if changes.amendments.len() >= MAX_AMENDMENTS {
        return Err(ChangeFault::TooMany);
    }
    let tally = Tally::of(facts, &changes.ordered());
    if tally.void {
        return Err(ChangeFault::Void);
    }
    if amendment.amount.minor() < tally.reversed {
        let reversed = Money::new(tally.reversed, facts.currency);
        return Err(ChangeFault::BelowReversed { reversed });
    }
    Ok(Some(Amendment {
        at: changes.next_at(amendment.at),
        ..amendment.clone()
    }))
}

/// Whether text names a field of metadata: lower-case letters, digits and `_`, at most [`MAX_META_NAME`].
#[must_use]
pub fn is_meta_name(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_META_NAME).contains(&text.len()) && text.bytes().all(sound)
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
    /// A part of it, which its amount tells, is taken back; all that is left where that is the whole or
    /// not told.
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
    /// The currency of all its amounts: what it states, or the program's.
    pub currency: Currency,
    /// Whether it states that itself.
    pub currency_stated: bool,
    /// Its amount; of a reversal, how much is taken back.
    pub amount: Option<Money>,
    /// The margin in it.
    pub margin: Option<Money>,
    /// The net revenue in it.
    pub net_revenue: Option<Money>,
    /// Bonuses.
    pub bonuses: Option<Money>,
    /// Fees.
    pub fees: Option<Money>,
    /// Chargebacks.
    pub chargebacks: Option<Money>,
    /// How many, when it says so.
    pub quantity: Option<u32>,
    /// A keyed hash of the customer's reference.
    pub customer: Option<String>,
    /// Keyed hashes of what identifies the customer to registered claims.
    pub identifiers: Vec<String>,
    /// Whether the customer is new, when it says so.
    pub customer_type: Option<CustomerType>,
    /// ISO 3166 two-letter code of the customer's country.
    pub country: Option<String>,
    /// What was sold.
    pub product: Option<String>,
    /// Further fields by their names.
    pub meta: BTreeMap<String, String>,
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
            currency,
            currency_stated: _,
            amount,
            margin,
            net_revenue,
            bonuses,
            fees,
            chargebacks,
            quantity,
            customer,
            identifiers,
            customer_type,
            country,
            product,
            meta,
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
            currency,
            amount,
            margin,
            net_revenue,
            bonuses,
            fees,
            chargebacks,
            quantity: quantity.unwrap_or(1),
            customer,
            identifiers,
            customer_type,
            country,
            product,
            meta,
            status,
            occurred_at: occurred_at.unwrap_or(now),
            received_at: now,
            subs,
            credited_to: None,
        })
    }

    /// All amounts that it states.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        Amounts([
            self.amount,
            self.margin,
            self.net_revenue,
            self.bonuses,
            self.fees,
            self.chargebacks,
        ])
    }

    /// The fingerprint fields in which it differs from what was reported before: click, coupon, currency,
    /// amounts, quantity, customer, and the time where it states one. What describes the customer, the
    /// product, metadata and sub ids are no part of it. With `stated_only`, a field that it leaves out does
    /// not count as a difference.
    #[must_use]
    pub fn differences(&self, facts: &Facts, stated_only: bool) -> Vec<&'static str> {
        let mut fields = Vec::new();
        let mut compare = |name, stated: bool, same: bool| {
            if !same && (stated || !stated_only) {
                fields.push(name);
            }
        };
        let click = self.click.as_ref().map(|(token, _)| *token);
        // What an operator credited has no claim that a later post could contradict.
        let by_word = facts.credited_to.is_some();
        compare("click_id", click.is_some(), by_word || click == facts.click);
        compare(
            "coupon",
            self.coupon.is_some(),
            by_word || self.coupon == facts.coupon,
        );
        let amounts = self.amounts();
        // An amount without a currency is one in the program's.
        let in_currency = self.currency_stated || !amounts.is_empty();
        compare("currency", in_currency, self.currency == facts.currency);
        for ((name, posted), held) in amounts.named().zip(facts.amounts().0) {
            let same = posted.map(Money::minor) == held.map(Money::minor);
            compare(name, posted.is_some(), same);
        }
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
    /// A pending conversion now counts. Amounts that it did not have before come with it.
    Approve {
        /// The amounts that the pending post left out.
        brings: Amounts,
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
            let brings = posting.amounts().missing_in(facts.amounts());
            let mut differences = posting.differences(facts, true);
            differences.retain(|field| {
                let brought =
                    |(name, amount): (&str, Option<Money>)| name == *field && amount.is_some();
                // Of a post without amounts the currency said nothing yet.
                let said_first =
                    *field == "currency" && facts.amounts().is_empty() && !brings.is_empty();
                !brings.named().any(brought) && !said_first
            });
            judge(differences, Verdict::Approve { brings })
        }
        (PostedStatus::Approved, Posted::Approved) | (PostedStatus::Pending, Posted::Pending) => {
            judge(posting.differences(facts, false), Verdict::Duplicate)
        }
        (PostedStatus::Approved, Posted::Pending) | (_, Posted::Reversed { .. }) => {
            let mut differences = posting.differences(facts, true);
            // A reversal's amount is how much it takes back, which is weighed against what is left.
            if matches!(posting.status, Posted::Reversed { .. }) {
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
    /// The conversion, or a part of it, is taken back.
    Reversed,
    /// Its amount is corrected.
    Amended,
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
            Self::Amended => "amended",
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
            currency: gbp(),
            currency_stated: false,
            amount: Some(Money::new(4900, gbp())),
            margin: None,
            net_revenue: None,
            bonuses: None,
            fees: None,
            chargebacks: None,
            quantity: None,
            customer: Some("hash".to_owned()),
            identifiers: Vec::new(),
            customer_type: None,
            country: None,
            product: None,
            meta: BTreeMap::new(),
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
        let only = |amount| Amounts([amount, None, None, None, None, None]);
        assert_eq!(
            weigh(&pending(amount), &bare),
            Verdict::Approve {
                brings: Amounts::default()
            }
        );
        assert_eq!(
            weigh(&pending(None), &posting()),
            Verdict::Approve {
                brings: only(amount)
            }
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

    /// A sale of 49.00 with what was said of it later, step by step.
    struct Told {
        facts: Option<Facts>,
        changes: Changes,
    }

    fn minor(minor: i64) -> Option<Money> {
        Some(Money::new(minor, gbp()))
    }

    impl Told {
        fn sale() -> Self {
            Self {
                facts: Some(facts(&posting())),
                changes: Changes::default(),
            }
        }

        fn reverse(&mut self, id: &str, amount: Option<Money>) -> Result<bool, ChangeFault> {
            let reversal = Reversal {
                reversal_id: id.to_owned(),
                amount,
                reason: "returned".to_owned(),
                at: now(),
            };
            let taken = weigh_reversal(self.facts.as_ref(), &self.changes, &reversal)?;
            let is_new = taken.is_some();
            self.changes.reversals.extend(taken);
            Ok(is_new)
        }

        fn amend(&mut self, id: &str, amount: Option<Money>) -> Result<bool, ChangeFault> {
            let amendment = Amendment {
                amendment_id: id.to_owned(),
                amount: amount.unwrap(),
                reason: "mistyped".to_owned(),
                at: now(),
            };
            let facts = self.facts.as_ref().unwrap();
            let taken = weigh_amendment(facts, &self.changes, &amendment)?;
            let is_new = taken.is_some();
            self.changes.amendments.extend(taken);
            Ok(is_new)
        }

        /// What is left in minor units, and whether it is gone.
        fn left(&self) -> (Option<i64>, bool) {
            let Net { amount, gone } = self.changes.net(self.facts.as_ref().unwrap());
            (amount.map(Money::minor), gone)
        }
    }

    #[test]
    fn parts_are_taken_back_until_nothing_is_left_and_never_more() {
        let mut sale = Told::sale();
        assert_eq!(sale.left(), (Some(4900), false));
        assert_eq!(sale.reverse("r-1", minor(1900)), Ok(true));
        assert_eq!(sale.reverse("r-2", minor(1000)), Ok(true));
        assert_eq!(sale.left(), (Some(2000), false));
        let left = minor(2000);
        assert_eq!(
            sale.reverse("r-3", minor(2001)),
            Err(ChangeFault::Over { left })
        );
        assert_eq!(sale.reverse("r-3", minor(2000)), Ok(true));
        assert_eq!(sale.left(), (Some(0), true));
        let left = minor(0);
        assert_eq!(
            sale.reverse("r-4", minor(1)),
            Err(ChangeFault::Over { left })
        );
        assert_eq!(sale.reverse("r-4", minor(0)), Err(ChangeFault::Nothing));
    }

    #[test]
    fn a_reversal_of_all_takes_what_is_left_for_good() {
        for whole in [None, minor(4900)] {
            let mut sale = Told::sale();
            assert_eq!(sale.reverse("r-1", minor(1000)), Ok(true));
            assert_eq!(sale.reverse("r-2", whole), Ok(true));
            assert_eq!(sale.left(), (Some(0), true));
            // Said in either way it is the same again.
            assert_eq!(sale.reverse("r-2", None), Ok(false));
            assert_eq!(sale.reverse("r-2", minor(4900)), Ok(false));
            assert_eq!(sale.reverse("r-2", minor(4800)), Err(ChangeFault::Mismatch));
            assert_eq!(sale.amend("a-1", minor(9900)), Err(ChangeFault::Void));
        }
    }

    #[test]
    fn the_same_reversal_again_changes_nothing_and_with_another_amount_is_refused() {
        let mut sale = Told::sale();
        assert_eq!(sale.reverse("r-1", minor(1000)), Ok(true));
        assert_eq!(sale.reverse("r-1", minor(1000)), Ok(false));
        for other in [None, minor(1001), minor(4900)] {
            assert_eq!(sale.reverse("r-1", other), Err(ChangeFault::Mismatch));
        }
        let yen = Some(Money::new(1000, "JPY".parse().unwrap()));
        assert_eq!(sale.reverse("r-2", yen), Err(ChangeFault::Currency));
        assert_eq!(sale.left(), (Some(3900), false));
    }

    #[test]
    fn an_amendment_goes_up_and_down_but_not_below_what_was_taken_back() {
        let mut sale = Told::sale();
        assert_eq!(sale.reverse("r-1", minor(1000)), Ok(true));
        assert_eq!(sale.amend("a-1", minor(5900)), Ok(true));
        assert_eq!(sale.left(), (Some(4900), false));
        assert_eq!(sale.amend("a-1", minor(5900)), Ok(false));
        assert_eq!(sale.amend("a-1", minor(5800)), Err(ChangeFault::Mismatch));
        let reversed = Money::new(1000, gbp());
        assert_eq!(
            sale.amend("a-2", minor(999)),
            Err(ChangeFault::BelowReversed { reversed })
        );
        // Room that an amendment makes may be taken back again.
        assert_eq!(sale.amend("a-2", minor(1500)), Ok(true));
        assert_eq!(sale.left(), (Some(500), false));
        assert_eq!(sale.amend("a-3", minor(1000)), Ok(true));
        assert_eq!(sale.left(), (Some(0), true));
    }

    #[test]
    fn what_is_gone_stays_gone_however_it_went() {
        let mut in_parts = Told::sale();
        assert_eq!(in_parts.reverse("r-1", minor(900)), Ok(true));
        assert_eq!(in_parts.reverse("r-2", minor(4000)), Ok(true));
        let mut amended = Told::sale();
        assert_eq!(amended.reverse("r-1", minor(1000)), Ok(true));
        assert_eq!(amended.amend("a-1", minor(1000)), Ok(true));
        let mut whole = Told::sale();
        assert_eq!(whole.reverse("r-1", None), Ok(true));
        for mut gone in [in_parts, amended, whole] {
            assert_eq!(gone.left(), (Some(0), true));
            assert_eq!(gone.amend("a-9", minor(9000)), Err(ChangeFault::Void));
            assert_eq!(gone.left(), (Some(0), true));
        }
    }

    #[test]
    fn what_has_no_amount_is_taken_back_as_a_whole_or_given_one() {
        let lead = || {
            let mut lead = Told::sale();
            lead.facts.as_mut().unwrap().amount = None;
            lead
        };
        let mut reversed = lead();
        assert_eq!(reversed.left(), (None, false));
        assert_eq!(reversed.reverse("r-1", minor(1000)), Ok(true));
        assert_eq!(reversed.left(), (None, true));
        assert_eq!(reversed.reverse("r-1", None), Ok(false));
        let mut amended = lead();
        assert_eq!(amended.amend("a-1", minor(2000)), Ok(true));
        assert_eq!(amended.reverse("r-1", minor(500)), Ok(true));
        assert_eq!(amended.left(), (Some(1500), false));
    }

    #[test]
    fn reversals_that_come_before_their_conversion_take_at_most_what_it_is() {
        let mut early = Told::sale();
        let facts = early.facts.take();
        for (id, amount) in [("r-1", 3000), ("r-2", 3000), ("r-3", 10)] {
            assert_eq!(early.reverse(id, minor(amount)), Ok(true));
        }
        early.facts = facts;
        assert_eq!(early.left(), (Some(0), true));
        let ordered = early.changes.ordered();
        let facts = early.facts.as_ref().unwrap();
        let left: Vec<_> = (0..=3)
            .map(|n| net_after(facts, &ordered[..n]).amount.unwrap().minor())
            .collect();
        assert_eq!(left, [4900, 1900, 0, 0]);
        // The whole, told in advance, is the whole once it is known what that is.
        let mut early = Told::sale();
        let facts = early.facts.take();
        assert_eq!(early.reverse("r-1", minor(4900)), Ok(true));
        early.facts = facts;
        assert_eq!(early.reverse("r-1", minor(4900)), Ok(false));
        assert_eq!(early.left(), (Some(0), true));
    }

    #[test]
    fn as_many_changes_are_kept_as_there_may_be() {
        let mut sale = Told::sale();
        for number in 0..MAX_REVERSALS {
            assert_eq!(sale.reverse(&format!("r-{number}"), minor(1)), Ok(true));
        }
        assert_eq!(sale.reverse("r-0", minor(1)), Ok(false));
        assert_eq!(sale.reverse("more", minor(1)), Err(ChangeFault::TooMany));
        for number in 0..MAX_AMENDMENTS {
            assert_eq!(sale.amend(&format!("a-{number}"), minor(4900)), Ok(true));
        }
        assert_eq!(sale.amend("more", minor(4900)), Err(ChangeFault::TooMany));
    }

    #[test]
    fn the_currency_is_part_of_what_was_reported() {
        let first = facts(&posting());
        let euros = Posting {
            currency: "EUR".parse().unwrap(),
            currency_stated: true,
            amount: Some(Money::new(4900, "EUR".parse().unwrap())),
            ..posting()
        };
        assert_eq!(weigh(&first, &euros), Verdict::Mismatch(vec!["currency"]));
        let foreign = facts(&euros);
        assert_eq!(weigh(&foreign, &euros), Verdict::Duplicate);
        // An amount without a currency is one in the program's.
        assert_eq!(
            weigh(&foreign, &posting()),
            Verdict::Mismatch(vec!["currency"])
        );
        let bare = Posting {
            amount: None,
            status: Posted::Pending,
            ..posting()
        };
        let brings = euros.amounts();
        assert_eq!(weigh(&facts(&bare), &euros), Verdict::Approve { brings });
        // A margin that comes with the approval is in the currency of the amount before.
        let margin = |code: &str| Posting {
            currency: code.parse().unwrap(),
            margin: Some(Money::new(900, code.parse().unwrap())),
            ..posting()
        };
        let pending = facts(&Posting {
            status: Posted::Pending,
            ..posting()
        });
        let brings = Amounts([None, minor(900), None, None, None, None]);
        assert_eq!(weigh(&pending, &margin("GBP")), Verdict::Approve { brings });
        assert_eq!(
            weigh(&pending, &margin("EUR")),
            Verdict::Mismatch(vec!["currency"])
        );
        assert_eq!(
            weigh(
                &foreign,
                &Posting {
                    click: None,
                    customer: None,
                    ..bare
                }
            ),
            Verdict::Duplicate,
            "what is left out contradicts nothing"
        );
    }

    #[test]
    fn other_amounts_are_part_of_it_too_and_what_describes_the_sale_is_not() {
        let first = facts(&posting());
        let other = Posting {
            margin: minor(1),
            net_revenue: minor(1),
            bonuses: minor(1),
            fees: minor(1),
            chargebacks: minor(1),
            ..posting()
        };
        let named = ["margin", "net_revenue", "bonuses", "fees", "chargebacks"];
        assert_eq!(weigh(&first, &other), Verdict::Mismatch(named.to_vec()));
        let described = Posting {
            country: Some("GB".to_owned()),
            product: Some("annual".to_owned()),
            identifiers: vec!["hash".to_owned()],
            customer_type: Some(CustomerType::New),
            meta: BTreeMap::from([("tariff".to_owned(), "b2b".to_owned())]),
            ..posting()
        };
        assert_eq!(weigh(&first, &described), Verdict::Duplicate);
    }

    fn currency(dollars: bool) -> Currency {
        if dollars { "USD" } else { "GBP" }.parse().unwrap()
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
            (any::<bool>(), proptest::option::of(0_i64..2)),
        )
            .prop_map(
                |(link, coupon, minor, quantity, customer, pending, second, (dollars, margin))| {
                    Posting {
                        click: link.map(click),
                        coupon,
                        currency: currency(dollars),
                        currency_stated: dollars,
                        amount: minor.map(|minor| Money::new(minor, currency(dollars))),
                        margin: margin.map(|margin| Money::new(margin, currency(dollars))),
                        quantity,
                        customer,
                        status: if pending {
                            Posted::Pending
                        } else {
                            Posted::Approved
                        },
                        occurred_at: second.map(|second| Timestamp::from_second(second).unwrap()),
                        ..posting()
                    }
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

        #[test]
        fn parts_add_up_to_the_whole_and_nothing_goes_below_zero(
            steps in proptest::collection::vec((any::<bool>(), 0_i64..6000), 0..20),
            all_in_the_end in any::<bool>(),
        ) {
            let mut sale = Told::sale();
            let (mut whole, mut reversed) = (4900, 0);
            for (number, (amends, amount)) in steps.into_iter().enumerate() {
                let id = format!("c-{number}");
                let before = sale.left();
                let done = if amends {
                    let done = sale.amend(&id, minor(amount));
                    whole = if done.is_ok() { amount } else { whole };
                    done
                } else if amount == whole || amount == 4900 {
                    continue; // The whole is another matter.
                } else {
                    let done = sale.reverse(&id, minor(amount));
                    reversed += if done.is_ok() { amount } else { 0 };
                    done
                };
                if done.is_err() {
                    prop_assert_eq!(sale.left(), before);
                }
                prop_assert_eq!(sale.left().0, Some(whole - reversed));
                prop_assert!(whole - reversed >= 0);
            }
            if all_in_the_end {
                prop_assert_eq!(sale.reverse("all", None), Ok(true));
                prop_assert_eq!(sale.left(), (Some(0), true));
            }
            // Each change takes its share of what the one before left, and the shares add up.
            let (facts, changes) = (sale.facts.as_ref().unwrap(), sale.changes.ordered());
            let left: Vec<i64> = (0..=changes.len())
                .map(|n| net_after(facts, &changes[..n]).amount.unwrap().minor())
                .collect();
            let shares: i64 = left.windows(2).map(|pair| pair[1] - pair[0]).sum();
            prop_assert_eq!(4900 + shares, sale.left().0.unwrap());
            prop_assert!(left.iter().all(|left| *left >= 0));
        }

        #[test]
        fn changes_count_in_the_order_of_time_and_id_however_they_are_kept(
            changes in proptest::collection::vec((0_i64..4, "[ab]", proptest::option::of(0_i64..4000)), 0..6),
            shuffled in any::<u64>(),
        ) {
            let mut kept = Changes::default();
            for (number, (second, id, amount)) in changes.iter().enumerate() {
                let at = Timestamp::from_second(*second).unwrap();
                let id = format!("{id}{number}");
                match amount {
                    Some(amount) if number % 3 == 2 => kept.amendments.push(Amendment {
                        amendment_id: id, amount: Money::new(*amount, gbp()), reason: String::new(), at,
                    }),
                    amount => kept.reversals.push(Reversal {
                        reversal_id: id, amount: amount.and_then(minor), reason: String::new(), at,
                    }),
                }
            }
            let mut other = kept.clone();
            let turn = usize::try_from(shuffled % 7).unwrap();
            let (reversals, amendments) = (other.reversals.len(), other.amendments.len());
            other.reversals.rotate_left(turn % reversals.max(1));
            other.amendments.rotate_left(turn % amendments.max(1));
            prop_assert_eq!(other.ordered(), kept.ordered());
            let positions: Vec<_> = kept.ordered().iter().map(|change| {
                let (at, id) = change.position();
                (at, id.to_owned())
            }).collect();
            prop_assert!(positions.is_sorted());
            let sale = facts(&posting());
            let net = kept.net(&sale);
            prop_assert_eq!(net, other.net(&sale));
            prop_assert!(net.amount.unwrap().minor() >= 0);
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
