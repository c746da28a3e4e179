//! The double-entry ledger: pure rules.
//!
//! A transfer takes an amount from one bucket and gives it to another; a balance is the fold of the
//! transfers. The buckets of a partner in a program are `pending`, `payable`, `in_transit` and `paid`; the
//! program's own is `commissions`, whose balance is what it has granted, negated.

use std::collections::BTreeMap;

use crate::clock::{Timestamp, month};
use crate::ids::{ConversionId, PartnerId, ProgramId, TransferId};
use crate::money::{Currency, Money, MoneyError};

/// A partner's account in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    /// Whose.
    pub partner: PartnerId,
    /// In which program.
    pub program: ProgramId,
    /// The program's currency.
    pub currency: Currency,
}

/// One side of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// The program's side.
    Commissions,
    /// Held.
    Pending,
    /// Goes into the next payout.
    Payable,
    /// In a payout that is not settled.
    InTransit,
    /// With the partner.
    Paid,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Commissions,
        Self::Pending,
        Self::Payable,
        Self::InTransit,
        Self::Paid,
    ];

    /// The bucket of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| bucket.name() == name)
    }

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Commissions => "commissions",
            Self::Pending => "pending",
            Self::Payable => "payable",
            Self::InTransit => "in_transit",
            Self::Paid => "paid",
        }
    }
}

/// Why money moved, in the order in which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferKind {
    /// A conversion was credited: commissions → pending.
    Commission,
    /// An upline got its share of a conversion: commissions → pending.
    Override,
    /// A window closed or was shared anew, or a partner below lifted a measure: commissions → pending.
    Bonus,
    /// An operator's word: commissions → pending.
    Adjustment,
    /// A commission grew: commissions → where it stands, or payable once it is in a payout.
    Correction,
    /// A hold passed: pending → payable.
    Release,
    /// A hold was placed on what was payable: payable → pending.
    Hold,
    /// A commission shrank or was taken back: from where it stands, or from payable once it is in a payout
    /// → commissions.
    Reversal,
    /// Lines went into a payout: payable → in transit.
    Reserve,
    /// A payout arrived: in transit → paid.
    Settle,
    /// A payout came back or was called off: in transit → payable.
    Return,
}

impl TransferKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Commission,
        Self::Override,
        Self::Bonus,
        Self::Adjustment,
        Self::Correction,
        Self::Release,
        Self::Hold,
        Self::Reversal,
        Self::Reserve,
        Self::Settle,
        Self::Return,
    ];

    /// Where money of this kind comes from, unless a transfer says otherwise: a reversal may take from
    /// `pending`, a return from `paid`.
    #[must_use]
    pub fn usual_from(self) -> Bucket {
        match self {
            Self::Commission
            | Self::Override
            | Self::Bonus
            | Self::Adjustment
            | Self::Correction => Bucket::Commissions,
            Self::Release => Bucket::Pending,
            Self::Hold | Self::Reversal | Self::Reserve => Bucket::Payable,
            Self::Settle | Self::Return => Bucket::InTransit,
        }
    }

    /// Where money of this kind goes, unless a transfer says otherwise: a correction may go to `payable`.
    #[must_use]
    pub fn usual_to(self) -> Bucket {
        match self {
            Self::Commission
            | Self::Override
            | Self::Bonus
            | Self::Adjustment
            | Self::Correction
            | Self::Hold => Bucket::Pending,
            Self::Release | Self::Return => Bucket::Payable,
            Self::Reversal => Bucket::Commissions,
            Self::Reserve => Bucket::InTransit,
            Self::Settle => Bucket::Paid,
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Commission => "commission",
            Self::Override => "override",
            Self::Bonus => "bonus",
            Self::Adjustment => "adjustment",
            Self::Correction => "correction",
            Self::Release => "release",
            Self::Hold => "hold",
            Self::Reversal => "reversal",
            Self::Reserve => "reserve",
            Self::Settle => "settle",
            Self::Return => "return",
        }
    }
}

/// An immutable movement of money with both its legs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Derived from source, kind and leg.
    pub id: TransferId,
    /// Why.
    pub kind: TransferKind,
    /// Of which account.
    pub account: AccountId,
    /// Where it leaves.
    pub from: Bucket,
    /// Where it arrives.
    pub to: Bucket,
    /// How much; negative when a payout's chunk holds more taken back than earned.
    pub amount: Money,
    /// When it was posted.
    pub at: Timestamp,
    /// What caused it: a conversion's, payout's or batch's id in text; empty for a release, whose lines say it.
    pub source: String,
    /// The conversions, or clawback transfers, it moved and their amounts in minor units, where it moves several.
    pub lines: Vec<(String, i64)>,
    /// A reason given by a person, if any.
    pub reason: Option<String>,
}

/// The id of the transfer that credits a conversion.
#[must_use]
pub fn commission_id(conversion: ConversionId) -> TransferId {
    TransferId::derived(&[&conversion.to_string(), "commission"])
}

/// What stands in the buckets of one account, or summed over several of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Currency.
    pub currency: Currency,
    /// Held, minor units.
    pub pending: i64,
    /// For the next payout, minor units; negative when more was taken back than earned since.
    pub payable: i64,
    /// In payouts, minor units.
    pub in_transit: i64,
    /// With the partner, minor units.
    pub paid: i64,
}

impl Balance {
    /// Nothing.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self {
            currency,
            pending: 0,
            payable: 0,
            in_transit: 0,
            paid: 0,
        }
    }

    /// The balance after a transfer.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn after(self, transfer: &Transfer) -> Result<Self, MoneyError> {
        self.moved(transfer, transfer.amount)
    }

    /// The balance before a transfer, from the one after it.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn before(self, transfer: &Transfer) -> Result<Self, MoneyError> {
        self.moved(transfer, transfer.amount.negated()?)
    }

    fn moved(mut self, transfer: &Transfer, amount: Money) -> Result<Self, MoneyError> {
        if amount.currency() != self.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let minor = amount.minor();
        for (bucket, change) in [
            (transfer.from, minor.checked_neg()),
            (transfer.to, Some(minor)),
        ] {
            let change = change.ok_or(MoneyError::OverLimit)?;
            if let Some(slot) = self.slot(bucket) {
                *slot = slot.checked_add(change).ok_or(MoneyError::OverLimit)?;
            }
        }
        Ok(self)
    }

    /// Where a bucket's amount stands; the program's side is none of the partner's.
    fn slot(&mut self, bucket: Bucket) -> Option<&mut i64> {
        match bucket {
            Bucket::Commissions => None,
            Bucket::Pending => Some(&mut self.pending),
            Bucket::Payable => Some(&mut self.payable),
            Bucket::InTransit => Some(&mut self.in_transit),
            Bucket::Paid => Some(&mut self.paid),
        }
    }

    /// Says what stands in a bucket; nothing for the program's side.
    pub fn set(&mut self, bucket: Bucket, minor: i64) {
        if let Some(slot) = self.slot(bucket) {
            *slot = minor;
        }
    }

    /// The sum of two balances of one currency.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_add)
    }

    /// The balance without what another holds.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_sub)
    }

    fn with(self, other: Self, both: impl Fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let sum = |a: i64, b: i64| both(a, b).ok_or(MoneyError::OverLimit);
        Ok(Self {
            currency: self.currency,
            pending: sum(self.pending, other.pending)?,
            payable: sum(self.payable, other.payable)?,
            in_transit: sum(self.in_transit, other.in_transit)?,
            paid: sum(self.paid, other.paid)?,
        })
    }
}

/// An account as it was read: what stands in it, and how many transfers of which sums were posted to it in
/// which month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub id: AccountId,
    /// What stands in it.
    pub balance: Balance,
    /// Transfers posted, by month (`yyyymm`).
    pub posted: BTreeMap<u32, i64>,
    /// What they changed, by month. Whole in every month after [`Account::summed_from`].
    pub changes: BTreeMap<u32, Balance>,
    /// The month in which summing began. An account that is older has transfers in that month, and before
    /// it, which no sum holds; `None` for one that has had none since.
    pub summed_from: Option<u32>,
}

impl Account {
    /// Whether nothing was posted to it until the end of a month.
    fn is_untouched_until(&self, month: u32) -> bool {
        self.posted.range(..=month).next().is_none()
    }

    /// What stood in it at the end of a month that lies not before the one in which summing began.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn at_end_of(&self, month: u32) -> Result<Balance, MoneyError> {
        if self.is_untouched_until(month) {
            return Ok(Balance::zero(self.id.currency));
        }
        let later = self.changes.iter().filter(|(later, _)| **later > month);
        later
            .map(|(_, change)| *change)
            .try_fold(self.balance, Balance::minus)
    }
}

/// The last month whose transfers have to be read for what happened until the end of `month`: what later
/// ones changed is known by their sums. Of accounts that are older than those sums it is the month in which
/// summing began.
#[must_use]
pub fn last_to_read(accounts: &[Account], month: u32) -> u32 {
    accounts
        .iter()
        .filter(|account| !account.is_untouched_until(month))
        .map(|account| account.summed_from.unwrap_or(u32::MAX))
        .fold(month, u32::max)
}

/// The sum of accounts by currency as they stand, in the order of the codes.
///
/// # Errors
/// `OverLimit`.
pub fn total(accounts: &[Account]) -> Result<Vec<Balance>, MoneyError> {
    total_at_end_of(accounts, u32::MAX)
}

/// The sum of accounts by currency at the end of a month, in the order of the codes.
///
/// # Errors
/// `OverLimit`.
pub fn total_at_end_of(accounts: &[Account], month: u32) -> Result<Vec<Balance>, MoneyError> {
    let mut balances: BTreeMap<&'static str, Balance> = BTreeMap::new();
    for account in accounts {
        let currency = account.id.currency;
        let balance = balances
            .entry(currency.code())
            .or_insert_with(|| Balance::zero(currency));
        *balance = balance.plus(account.at_end_of(month)?)?;
    }
    Ok(balances.into_values().collect())
}

/// Whether the transfers read are all that the accounts have counted in the months from the first to the
/// last: an index may be behind its table, or ahead of an account that was read before.
#[must_use]
pub fn complete(accounts: &[Account], transfers: &[Transfer], first: u32, last: u32) -> bool {
    let mut missing: BTreeMap<(ProgramId, &'static str, u32), i64> = BTreeMap::new();
    for account in accounts {
        for (month, posted) in &account.posted {
            if (first..=last).contains(month) {
                let key = (account.id.program, account.id.currency.code(), *month);
                missing.insert(key, *posted);
            }
        }
    }
    for transfer in transfers {
        let AccountId {
            program, currency, ..
        } = transfer.account;
        *missing
            .entry((program, currency.code(), month(transfer.at)))
            .or_default() -= 1;
    }
    missing.values().all(|left| *left == 0)
}

/// A statement in one currency: it always adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What stood there at the start.
    pub opening: Balance,
    /// What moved, oldest first.
    pub lines: Vec<Transfer>,
    /// What stands there at the end.
    pub closing: Balance,
}

/// The sections of a period, by currency. `balances` are those at the end of some month, or as they stand,
/// and `transfers`, oldest first, all that were posted from `from` on until then; what was posted from `to`
/// on is taken out again. Without `to` the closing is the balance as it stands.
///
/// # Errors
/// `OverLimit`.
pub fn sections(
    balances: Vec<Balance>,
    transfers: Vec<Transfer>,
    from: Timestamp,
    to: Option<Timestamp>,
) -> Result<Vec<Section>, MoneyError> {
    let mut sections: Vec<Section> = balances
        .into_iter()
        .map(|balance| Section {
            opening: balance,
            lines: Vec::new(),
            closing: balance,
        })
        .collect();
    for transfer in transfers {
        if transfer.at < from {
            continue;
        }
        let currency = transfer.amount.currency();
        let Some(section) = sections
            .iter_mut()
            .find(|section| section.closing.currency == currency)
        else {
            return Err(MoneyError::CurrencyMismatch);
        };
        section.opening = section.opening.before(&transfer)?;
        if to.is_some_and(|to| transfer.at >= to) {
            section.closing = section.closing.before(&transfer)?;
        } else {
            section.lines.push(transfer);
        }
    }
    Ok(sections)
}

/// The fold of transfers, by currency code.
///
/// # Errors
/// `OverLimit`.
pub fn fold<'a>(
    transfers: impl IntoIterator<Item = &'a Transfer>,
) -> Result<BTreeMap<&'static str, Balance>, MoneyError> {
    let mut balances = BTreeMap::new();
    for transfer in transfers {
        let currency = transfer.amount.currency();
        let balance = balances
            .entry(currency.code())
            .or_insert_with(|| Balance::zero(currency));
        *balance = balance.after(transfer)?;
    }
    Ok(balances)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account(code: &str) -> AccountId {
        AccountId {
            partner: PartnerId::from_bytes([1; 16]),
            program: ProgramId::from_bytes([2; 16]),
            currency: code.parse().unwrap(),
        }
    }

    fn transfer(number: usize, kind: TransferKind, minor: i64, day: i64, code: &str) -> Transfer {
        let account = account(code);
        Transfer {
            id: TransferId::derived(&[&number.to_string()]),
            kind,
            account,
            from: kind.usual_from(),
            to: kind.usual_to(),
            amount: Money::new(minor, account.currency),
            at: Timestamp::from_second(1_772_000_000 + day * 86_400).unwrap(),
            source: String::new(),
            lines: Vec::new(),
            reason: None,
        }
    }

    #[test]
    fn a_bucket_is_found_by_its_own_name() {
        for bucket in Bucket::ALL {
            assert_eq!(Bucket::of(bucket.name()), Some(bucket));
        }
        assert_eq!(Bucket::of("savings"), None);
    }

    fn accounts(transfers: &[Transfer]) -> Vec<Account> {
        accounts_since(transfers, 0)
    }

    /// Accounts that have kept sums since the transfer of that number.
    fn accounts_since(transfers: &[Transfer], summed: usize) -> Vec<Account> {
        let mut accounts: Vec<Account> = fold(transfers)
            .unwrap()
            .into_iter()
            .map(|(code, balance)| Account {
                id: account(code),
                balance,
                posted: BTreeMap::new(),
                changes: BTreeMap::new(),
                summed_from: None,
            })
            .collect();
        for (number, transfer) in transfers.iter().enumerate() {
            let account = accounts
                .iter_mut()
                .find(|account| account.id == transfer.account)
                .unwrap();
            let month = month(transfer.at);
            *account.posted.entry(month).or_default() += 1;
            if number >= summed {
                account.summed_from.get_or_insert(month);
                let zero = Balance::zero(account.id.currency);
                let change = account.changes.entry(month).or_insert(zero);
                *change = change.after(transfer).unwrap();
            }
        }
        accounts
    }

    fn history() -> impl Strategy<Value = Vec<Transfer>> {
        prop::collection::vec(
            (0_usize..10, -1_000_i64..100_000, 0_i64..90, any::<bool>()),
            0..30,
        )
        .prop_map(|mut entries| {
            entries.sort_by_key(|(_, _, day, _)| *day);
            entries
                .into_iter()
                .enumerate()
                .map(|(number, (kind, minor, day, euro))| {
                    let code = if euro { "EUR" } else { "GBP" };
                    transfer(number, TransferKind::ALL[kind], minor, day, code)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_leaves_one_bucket_arrives_in_another(history in history()) {
            for (code, balance) in fold(&history).unwrap() {
                let granted: i64 = history
                    .iter()
                    .filter(|transfer| transfer.amount.currency().code() == code)
                    .map(|transfer| {
                        let minor = transfer.amount.minor();
                        i64::from(transfer.from == Bucket::Commissions) * minor
                            - i64::from(transfer.to == Bucket::Commissions) * minor
                    })
                    .sum();
                let Balance { pending, payable, in_transit, paid, .. } = balance;
                prop_assert_eq!(pending + payable + in_transit + paid, granted);
            }
        }

        #[test]
        fn before_undoes_after(minor in -1_000_000_i64..1_000_000, kind in 0_usize..10) {
            let transfer = transfer(0, TransferKind::ALL[kind], minor, 0, "GBP");
            let zero = Balance::zero("GBP".parse().unwrap());
            prop_assert_eq!(zero.after(&transfer).unwrap().before(&transfer).unwrap(), zero);
        }

        #[test]
        fn statements_add_up_and_join(history in history(), first in 0_i64..90, second in 0_i64..90) {
            let day = |day: i64| Timestamp::from_second(1_772_000_000 + day * 86_400).unwrap();
            let (from, to) = (day(first.min(second)), day(first.max(second)));
            let accounts = accounts(&history);
            let since: Vec<Transfer> = history.clone();
            let balances = total(&accounts).unwrap();
            let early = sections(balances.clone(), since.clone(), from, Some(to)).unwrap();
            let late = sections(balances, since, to, None).unwrap();
            for ((early, late), account) in early.iter().zip(&late).zip(&accounts) {
                prop_assert_eq!(late.closing, account.balance, "a statement up to now closes on the balance");
                prop_assert_eq!(early.closing, late.opening, "one goes on where the other ends");
                for section in [early, late] {
                    let mut sum = section.opening;
                    for line in &section.lines {
                        sum = sum.after(line).unwrap();
                    }
                    prop_assert_eq!(sum, section.closing);
                }
            }
        }

        #[test]
        fn a_statement_by_sums_is_the_one_by_all_transfers_since_whenever_sums_were_kept(
            history in history(),
            first in 0_i64..90,
            second in 0_i64..90,
            summed in 0_usize..30,
        ) {
            let day = |day: i64| Timestamp::from_second(1_772_000_000 + day * 86_400).unwrap();
            let (from, to) = (day(first.min(second)), day(first.max(second)));
            let accounts = accounts_since(&history, summed);
            let last = last_to_read(&accounts, month(to));
            let read: Vec<Transfer> = history
                .iter()
                .filter(|transfer| (month(from)..=last).contains(&month(transfer.at)))
                .cloned()
                .collect();
            prop_assert!(complete(&accounts, &read, month(from), last));
            let balances = total_at_end_of(&accounts, last).unwrap();
            let by_sums = sections(balances, read, from, Some(to)).unwrap();
            let balances = total(&accounts).unwrap();
            let by_all = sections(balances, history, from, Some(to)).unwrap();
            prop_assert_eq!(by_sums, by_all);
        }

        #[test]
        fn a_list_that_lags_or_leads_is_noticed(history in history(), lost in any::<prop::sample::Index>()) {
            let accounts = accounts(&history);
            prop_assert!(complete(&accounts, &history, 0, u32::MAX));
            if !history.is_empty() {
                let mut lagging = history.clone();
                lagging.remove(lost.index(history.len()));
                prop_assert!(!complete(&accounts, &lagging, 0, u32::MAX));
                let mut leading = history.clone();
                leading.push(history[lost.index(history.len())].clone());
                prop_assert!(!complete(&accounts, &leading, 0, u32::MAX));
            }
        }
    }
}
