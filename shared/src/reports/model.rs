//! The journal and its closed periods, yearly totals, and payouts beside the ledger: pure rules.
//!
//! A journal states each transfer of a program's month as a debit and a credit of the same amount. A period is
//! a calendar month in UTC; a closed one is recorded with what its journal holds.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::clock::{Timestamp, minutes_after, month, month_end};
use crate::ids::{OperatorId, PartnerId, ProgramId};
use crate::ledger::model::{Balance, Bucket, Transfer};
use crate::money::{Currency, Money, MoneyError};
use crate::payouts::model::{Payout, PayoutState};

/// How long after its end a period is closed at the earliest: longer than any function runs that could have
/// read the clock before, and than clocks differ.
pub const CLOSE_SLACK_MINUTES: i64 = 10;

/// A text that is no calendar month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a calendar month such as 2026-03")]
pub struct NotAPeriod;

/// A calendar month in UTC, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    month: u32,
    start: Timestamp,
}

impl Period {
    /// The one that an instant lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self {
            month: month(at),
            start: crate::clock::month_start(at),
        }
    }

    /// As `yyyymm`, by which the ledger lists.
    #[must_use]
    pub fn month(self) -> u32 {
        self.month
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        month_end(self.start)
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(self.end())
    }

    /// From when on it can be closed.
    #[must_use]
    pub fn closable_at(self) -> Timestamp {
        minutes_after(self.end(), CLOSE_SLACK_MINUTES)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.month / 100, self.month % 100)
    }
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        if text.len() != 7 {
            return Err(NotAPeriod);
        }
        let start = crate::clock::parse(&format!("{text}-01T00:00:00Z")).ok_or(NotAPeriod)?;
        Ok(Self::of(start))
    }
}

// ---- The journal

/// The columns of a journal.
pub const JOURNAL_HEADER: [&str; 10] = [
    "date", "transfer", "kind", "account", "partner", "debit", "credit", "currency", "source",
    "reason",
];

/// The account of the chart that a bucket's money stands in. What partners have are liabilities; what was
/// granted is expense; what has arrived has left the bank.
#[must_use]
pub fn chart(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Commissions => "commissions_expense",
        Bucket::Pending => "partner_payable_pending",
        Bucket::Payable => "partner_payable",
        Bucket::InTransit => "payouts_in_transit",
        Bucket::Paid => "bank_clearing",
    }
}

/// One line of a journal: one leg of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The account of the chart.
    pub account: &'static str,
    /// What is debited, zero on the other side.
    pub debit: Money,
    /// What is credited, zero on the other side.
    pub credit: Money,
}

/// Both legs of a transfer, the debit first: money leaves an account by its debit. An amount below zero goes
/// the other way, so that no column holds one.
///
/// # Errors
/// `OverLimit`.
pub fn legs(transfer: &Transfer) -> Result<[Leg; 2], MoneyError> {
    let (from, to, amount) = if transfer.amount.minor() < 0 {
        (transfer.to, transfer.from, transfer.amount.negated()?)
    } else {
        (transfer.from, transfer.to, transfer.amount)
    };
    let zero = Money::zero(amount.currency());
    Ok([
        Leg {
            account: chart(from),
            debit: amount,
            credit: zero,
        },
        Leg {
            account: chart(to),
            debit: zero,
            credit: amount,
        },
    ])
}

/// What a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Its transfers.
    pub transfers: u64,
    /// What it debits, and credits, in minor units.
    pub turnover: i64,
    /// What it changed on the program's side, in minor units: below zero, what was granted.
    pub commissions: i64,
    /// What it changed of what partners have.
    pub change: Balance,
}

impl Tally {
    /// Of an empty journal.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self {
            transfers: 0,
            turnover: 0,
            commissions: 0,
            change: Balance::zero(currency),
        }
    }

    /// With one more transfer.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn plus(self, transfer: &Transfer) -> Result<Self, MoneyError> {
        let minor = transfer.amount.minor();
        let side = i64::from(transfer.to == Bucket::Commissions)
            - i64::from(transfer.from == Bucket::Commissions);
        let [debit, _] = legs(transfer)?;
        let sum = |a: i64, b: Option<i64>| {
            b.and_then(|b| a.checked_add(b))
                .ok_or(MoneyError::OverLimit)
        };
        Ok(Self {
            transfers: self.transfers + 1,
            turnover: sum(self.turnover, Some(debit.debit.minor()))?,
            commissions: sum(self.commissions, minor.checked_mul(side))?,
            change: self.change.after(transfer)?,
        })
    }
}

/// Where a walk over a program's transfers of a month stands. Partners follow each other in the order in which
/// they were made, transfers of one in the order of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The list position of the partner that was finished last; empty before the first.
    pub after: String,
    /// How far the walk is with the next one.
    pub within: Option<Within>,
}

/// How far a walk is with one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// Which.
    pub partner: PartnerId,
    /// The list position of the last transfer that was walked; empty before the first.
    pub position: String,
    /// Transfers of the program that were walked.
    pub count: i64,
}

/// What stands between the parts of a place's text; no position holds it.
const BETWEEN: char = '|';

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.after)?;
        if let Some(Within {
            partner,
            position,
            count,
        }) = &self.within
        {
            write!(f, "{BETWEEN}{partner}{BETWEEN}{position}{BETWEEN}{count}")?;
        }
        Ok(())
    }
}

/// A text that is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no place of a walk")]
pub struct NotAPlace;

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let mut parts = text.split(BETWEEN);
        let after = parts.next().unwrap_or_default().to_owned();
        let within = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(partner), Some(position), Some(count), None) => Some(Within {
                partner: partner.parse().map_err(|_| NotAPlace)?,
                position: position.to_owned(),
                count: count.parse().map_err(|_| NotAPlace)?,
            }),
            _ => return Err(NotAPlace),
        };
        Ok(Self { after, within })
    }
}

// ---- Closing

/// How far the closing of a period has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The program's accounts are closed one after the other: from then on each refuses what is posted into
    /// the period.
    Locking,
    /// Its journal is counted and hashed.
    Counting,
    /// Recorded for good.
    Closed,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Locking, Self::Counting, Self::Closed];

    /// The name in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Locking => "locking",
            Self::Counting => "counting",
            Self::Closed => "closed",
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Self::Locking | Self::Counting => "closing",
            Self::Closed => "closed",
        }
    }
}

/// A period that is closed, or being closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Whose.
    pub program: ProgramId,
    /// Which.
    pub period: Period,
    /// How far it has come.
    pub stage: Stage,
    /// Where the walk of that stage stands.
    pub place: Place,
    /// What its journal holds, as far as it is counted.
    pub tally: Tally,
    /// The hash of its journal: the state of hashing until it is closed, then the SHA-256, in hexadecimal.
    pub hash: String,
    /// Counts the steps, so that of two runs only one makes a step.
    pub step: u64,
    /// Who asked for it.
    pub asked_by: OperatorId,
    /// When.
    pub asked_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// Why a period is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotClosable {
    /// It lies before the program was made.
    BeforeProgram(Period),
    /// It has not ended, or only now.
    NotOver(Timestamp),
    /// An earlier one is open, or not wholly closed.
    EarlierOpen(Period),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A closing begins.
    Begin,
    /// It has begun before.
    Already,
}

/// Whether a period can be closed now, given the program's first one and the latest that is closed or being
/// closed.
///
/// # Errors
/// Why not.
pub fn close(
    period: Period,
    first: Period,
    latest: Option<(Period, Stage)>,
    now: Timestamp,
) -> Result<Asked, NotClosable> {
    if period < first {
        return Err(NotClosable::BeforeProgram(first));
    }
    let (next, is_free) = match latest {
        None => (first, true),
        Some((latest, _)) if period <= latest => return Ok(Asked::Already),
        Some((latest, stage)) => (latest.next(), stage == Stage::Closed),
    };
    if now < period.closable_at() {
        return Err(NotClosable::NotOver(period.closable_at()));
    }
    match (period == next, is_free, latest) {
        (true, true, _) => Ok(Asked::Begin),
        (true, false, Some((latest, _))) => Err(NotClosable::EarlierOpen(latest)),
        _ => Err(NotClosable::EarlierOpen(next)),
    }
}

// ---- Yearly totals

/// When a threshold is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// By its amount.
    AtLeast,
    /// By more than its amount.
    MoreThan,
}

/// A threshold of tax reporting, of some countries and years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Its short name.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Of which countries' partners, ISO 3166 two-letter codes.
    pub countries: Vec<String>,
    /// Its amount.
    pub amount: Money,
    /// When it is reached.
    pub rule: Rule,
    /// Its first year.
    pub from_year: i16,
    /// Its last year, unless it is still in force.
    pub until_year: Option<i16>,
    /// Where it stands.
    pub source: String,
    /// What else is to be known.
    pub note: String,
}

impl Threshold {
    /// Whether it is one of that country and year.
    #[must_use]
    pub fn is_of(&self, year: i16, country: &str) -> bool {
        let is_in_force =
            self.from_year <= year && self.until_year.is_none_or(|until| year <= until);
        is_in_force && self.countries.iter().any(|own| own == country)
    }
}

/// What was paid in a year in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yearly {
    /// What was settled less what came back, each in the year in which it did.
    pub paid: Money,
    /// The same by month (`yyyymm`), where there was anything.
    pub months: BTreeMap<u32, Money>,
}

/// A threshold beside what was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub threshold: Threshold,
    /// Whether it is reached; `None` when that is not known, because other currencies than its own were paid.
    pub is_reached: Option<bool>,
}

/// The thresholds of a country and year beside what was paid. Amounts are compared in the threshold's own
/// currency only: no other is converted.
#[must_use]
pub fn reached(
    thresholds: &[Threshold],
    year: i16,
    country: &str,
    totals: &[Yearly],
) -> Vec<Reached> {
    let own = thresholds
        .iter()
        .filter(|threshold| threshold.is_of(year, country));
    own.map(|threshold| {
        let currency = threshold.amount.currency();
        let paid = totals
            .iter()
            .find(|total| total.paid.currency() == currency)
            .map_or(0, |total| total.paid.minor());
        let is_over = match threshold.rule {
            Rule::AtLeast => paid >= threshold.amount.minor(),
            Rule::MoreThan => paid > threshold.amount.minor(),
        };
        let is_all = totals.iter().all(|total| total.paid.currency() == currency);
        Reached {
            threshold: threshold.clone(),
            is_reached: (is_over || is_all).then_some(is_over),
        }
    })
    .collect()
}

// ---- Payouts beside the ledger

/// What a payout's transfers moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movements {
    /// Into transit.
    pub reserved: Money,
    /// From transit to paid.
    pub settled: Money,
    /// Back to payable.
    pub returned: Money,
    /// What is left in transit.
    pub in_transit: Money,
}

impl Movements {
    /// Nothing, in the currency of `zero`.
    #[must_use]
    pub fn none(zero: Money) -> Self {
        Self {
            reserved: zero,
            settled: zero,
            returned: zero,
            in_transit: zero,
        }
    }

    /// With one more transfer.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn plus(mut self, transfer: &Transfer) -> Result<Self, MoneyError> {
        let amount = transfer.amount;
        if transfer.to == Bucket::InTransit {
            self.reserved = self.reserved.plus(amount)?;
            self.in_transit = self.in_transit.plus(amount)?;
        }
        if transfer.from == Bucket::InTransit {
            self.in_transit = self.in_transit.plus(amount.negated()?)?;
        }
        if transfer.to == Bucket::Paid {
            self.settled = self.settled.plus(amount)?;
        }
        if transfer.to == Bucket::Payable {
            self.returned = self.returned.plus(amount)?;
        }
        Ok(self)
    }
}

/// A payout's transfers beside what it says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// What its transfers moved.
    pub moved: Movements,
    /// By how much, all in all, that is something else than its state and its file say; zero when all is well.
    pub difference: Money,
}

/// Compares a payout with its transfers and with what stands in its batch's file.
///
/// # Errors
/// `CurrencyMismatch`, `OverLimit`.
pub fn compare(
    payout: &Payout,
    in_file: Option<Money>,
    moved: Movements,
) -> Result<Compared, MoneyError> {
    let (amount, zero) = (payout.amount, Money::zero(payout.amount.currency()));
    let if_so = |holds: bool| if holds { amount } else { zero };
    let is_open = matches!(payout.state, PayoutState::Planned | PayoutState::Reserved);
    let pairs = [
        (moved.reserved, amount),
        (moved.settled, if_so(payout.settled_at.is_some())),
        (moved.returned, if_so(payout.state.gives_back())),
        (moved.in_transit, if_so(is_open)),
        (in_file.unwrap_or(amount), amount),
    ];
    let difference = pairs.into_iter().try_fold(zero, |sum, (found, expected)| {
        let apart = found.plus(expected.negated()?)?;
        sum.plus(if apart.minor() < 0 {
            apart.negated()?
        } else {
            apart
        })
    })?;
    Ok(Compared { moved, difference })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::TransferId;
    use crate::ledger::model::{AccountId, TransferKind};
    use proptest::prelude::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    #[test]
    fn a_period_is_a_calendar_month_in_utc() {
        let march = period("2026-03");
        assert_eq!(
            (march.month(), march.to_string().as_str()),
            (202_603, "2026-03")
        );
        assert_eq!(march.start().to_string(), "2026-03-01T00:00:00Z");
        assert_eq!(march.end().to_string(), "2026-04-01T00:00:00Z");
        assert_eq!(period("2026-12").next(), period("2027-01"));
        for wrong in [
            "",
            "2026-13",
            "2026-00",
            "2026-3",
            "202603",
            "2026-03-01",
            "2026_03",
            "abcd-ef",
            "+026-03",
            "２026-",
        ] {
            assert_eq!(wrong.parse::<Period>(), Err(NotAPeriod), "{wrong}");
        }
    }

    #[test]
    fn periods_are_closed_one_after_the_other_once_they_are_over() {
        let (first, now) = (period("2026-01"), "2026-04-01T00:10:00Z".parse().unwrap());
        let close = |what: &str, latest: Option<(&str, Stage)>| {
            let latest = latest.map(|(latest, stage)| (period(latest), stage));
            super::close(period(what), first, latest, now)
        };
        let closed = |latest| Some((latest, Stage::Closed));
        assert_eq!(close("2026-01", None), Ok(Asked::Begin));
        assert_eq!(
            close("2025-12", None),
            Err(NotClosable::BeforeProgram(first))
        );
        assert_eq!(close("2026-02", None), Err(NotClosable::EarlierOpen(first)));
        assert_eq!(close("2026-03", closed("2026-02")), Ok(Asked::Begin));
        assert_eq!(close("2026-02", closed("2026-02")), Ok(Asked::Already));
        assert_eq!(close("2026-01", closed("2026-02")), Ok(Asked::Already));
        let being = Some(("2026-02", Stage::Counting));
        assert_eq!(
            close("2026-03", being),
            Err(NotClosable::EarlierOpen(period("2026-02")))
        );
        assert_eq!(
            close("2026-04", closed("2026-03")),
            Err(NotClosable::NotOver(
                "2026-05-01T00:10:00Z".parse().unwrap()
            ))
        );
        let just_ended = "2026-04-01T00:09:59.999Z".parse().unwrap();
        let early = super::close(
            period("2026-03"),
            first,
            Some((period("2026-02"), Stage::Closed)),
            just_ended,
        );
        assert_eq!(early, Err(NotClosable::NotOver(now)));
    }

    fn transfer(kind: TransferKind, minor: i64) -> Transfer {
        let currency = "GBP".parse().unwrap();
        Transfer {
            id: TransferId::from_bytes([3; 16]),
            kind,
            account: AccountId {
                partner: PartnerId::from_bytes([1; 16]),
                program: ProgramId::from_bytes([2; 16]),
                currency,
            },
            from: kind.usual_from(),
            to: kind.usual_to(),
            amount: Money::new(minor, currency),
            at: Timestamp::UNIX_EPOCH,
            source: String::new(),
            lines: Vec::new(),
            reason: None,
        }
    }

    #[test]
    fn expense_is_debited_when_granted_and_the_bank_credited_when_paid() {
        let sides = |kind, minor| legs(&transfer(kind, minor)).unwrap().map(|leg| leg.account);
        assert_eq!(
            sides(TransferKind::Commission, 5),
            ["commissions_expense", "partner_payable_pending"]
        );
        assert_eq!(
            sides(TransferKind::Settle, 5),
            ["payouts_in_transit", "bank_clearing"]
        );
        assert_eq!(
            sides(TransferKind::Reserve, -5),
            ["payouts_in_transit", "partner_payable"],
            "a negative chunk goes back"
        );
    }

    fn usd(text: &str) -> Yearly {
        let paid = Money::parse(text, "USD".parse().unwrap()).unwrap();
        Yearly {
            paid,
            months: BTreeMap::new(),
        }
    }

    #[test]
    fn a_threshold_is_reached_in_its_own_currency_only() {
        let threshold = |rule| Threshold {
            code: "form".to_owned(),
            name: "Form".to_owned(),
            countries: vec!["US".to_owned()],
            amount: usd("600.00").paid,
            rule,
            from_year: 2020,
            until_year: Some(2025),
            source: "law".to_owned(),
            note: String::new(),
        };
        let told = |rule, year, country: &str, totals: &[Yearly]| {
            let told = reached(&[threshold(rule)], year, country, totals);
            told.first().map(|told| told.is_reached)
        };
        let of = |rule, text: &str| told(rule, 2025, "US", &[usd(text)]);
        assert_eq!(of(Rule::AtLeast, "600.00"), Some(Some(true)));
        assert_eq!(of(Rule::AtLeast, "599.99"), Some(Some(false)));
        assert_eq!(of(Rule::MoreThan, "600.00"), Some(Some(false)));
        assert_eq!(of(Rule::MoreThan, "600.01"), Some(Some(true)));
        assert_eq!(told(Rule::AtLeast, 2026, "US", &[usd("600.00")]), None);
        assert_eq!(told(Rule::AtLeast, 2025, "GB", &[usd("600.00")]), None);
        let mut euros = usd("1.00");
        euros.paid = Money::parse("9000.00", "EUR".parse().unwrap()).unwrap();
        assert_eq!(
            told(Rule::AtLeast, 2025, "US", &[euros, usd("1.00")]),
            Some(None)
        );
        assert_eq!(told(Rule::AtLeast, 2025, "US", &[]), Some(Some(false)));
    }

    proptest! {
        #[test]
        fn debits_equal_credits_and_nothing_is_below_zero(
            history in prop::collection::vec((0_usize..TransferKind::ALL.len(), -1_000_i64..100_000), 0..50),
        ) {
            let mut tally = Tally::zero("GBP".parse().unwrap());
            let (mut debits, mut credits) = (0, 0);
            for (kind, minor) in history {
                let transfer = transfer(TransferKind::ALL[kind], minor);
                let legs = legs(&transfer).unwrap();
                prop_assert!(legs.iter().all(|leg| leg.debit.minor() >= 0 && leg.credit.minor() >= 0));
                debits += legs.iter().map(|leg| leg.debit.minor()).sum::<i64>();
                credits += legs.iter().map(|leg| leg.credit.minor()).sum::<i64>();
                tally = tally.plus(&transfer).unwrap();
            }
            prop_assert_eq!(debits, credits);
            prop_assert_eq!(tally.turnover, debits);
            let Balance { pending, payable, in_transit, paid, .. } = tally.change;
            prop_assert_eq!(tally.commissions + pending + payable + in_transit + paid, 0);
        }

        #[test]
        fn a_place_reads_back(after in "[a-z0-9#_:.TZ-]{0,60}", within in prop::option::of(("[a-z0-9#_:.TZ-]{0,60}", any::<[u8; 16]>(), any::<i64>()))) {
            let within = within.map(|(position, bytes, count)| Within { partner: PartnerId::from_bytes(bytes), position, count });
            let place = Place { after, within };
            prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
        }
    }
}
