//! The files that banks and PayPal take: pure functions of what is frozen. The same payments give the same
//! bytes for ever.

pub mod calendar;
pub mod charset;
mod generic;
mod nacha;
pub mod returns;
mod sepa;

pub use generic::write as generic_csv;
pub use nacha::{trace, write as nacha_file};
pub use sepa::{end_to_end, message_id, payout_of, write as pain_001};

use super::model::{self, AchOrigin, LeftOut, Payer, Rail, Row, is_fit_wallet, is_in_sepa};
use crate::clock::Timestamp;
use crate::ids::{BatchId, PayoutId};
use crate::money::Money;
use crate::partners::model::{Account, Address, BankAccount, BankRoute};

/// One payment as it stands in a file: its account is [`fitted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Which payout.
    pub payout: PayoutId,
    /// How much.
    pub amount: Money,
    /// Where to.
    pub account: Account,
    /// What the payee reads.
    pub note: String,
}

/// A part of a batch's file.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Of which batch.
    pub batch: BatchId,
    /// Which part, from 1.
    pub number: u64,
    /// How many payments of the batch stand in the parts before.
    pub before: usize,
    /// When the file was frozen.
    pub at: Timestamp,
    /// Its payments, in the order of their payouts' ids.
    pub payments: &'a [Payment],
}

/// Why a file cannot be written. None of these happens to a batch as it is made here.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The writer of CSV.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// The writer of bytes.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The paying account lacks what the file says of it.
    #[error("the paying account lacks what the file says of it")]
    NoPayer,
    /// The payout's account is of another kind.
    #[error("the account of {0} is of another kind than the file's")]
    Unfit(PayoutId),
    /// A file of no payments.
    #[error("a file states at least one payment")]
    Empty,
    /// A sum over the limit.
    #[error("a sum is over the limit")]
    OverLimit,
}

/// A part of a rail's file.
///
/// # Errors
/// `NoPayer` for a bank's file without the payer; `Unfit` for an account that the rail does not reach.
pub fn write(rail: Rail, payer: Option<&Payer>, part: &Part<'_>) -> Result<Vec<u8>, FileError> {
    match rail {
        Rail::Paypal => paypal(part),
        Rail::Sepa => pain_001(payer.ok_or(FileError::NoPayer)?, part),
        Rail::Nacha => nacha_file(payer.ok_or(FileError::NoPayer)?, part),
        Rail::Generic => generic_csv(part),
    }
}

fn paypal(part: &Part<'_>) -> Result<Vec<u8>, FileError> {
    let row = |payment: &Payment| match &payment.account {
        Account::Paypal { wallet } => Ok(Row {
            wallet: wallet.clone(),
            amount: payment.amount,
            payout: payment.payout,
            note: payment.note.clone(),
        }),
        Account::Bank(_) => Err(FileError::Unfit(payment.payout)),
    };
    let rows = part
        .payments
        .iter()
        .map(row)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(model::paypal_csv(&rows)?)
}

/// An account as the rail's file writes it: names and addresses in the characters and lengths that it takes.
///
/// # Errors
/// Why the rail does not reach it.
pub fn fitted(rail: Rail, account: &Account) -> Result<Account, LeftOut> {
    match (rail, account) {
        (Rail::Paypal, Account::Paypal { wallet }) if is_fit_wallet(wallet) => Ok(account.clone()),
        (Rail::Paypal, Account::Paypal { .. }) => Err(LeftOut::PayoutMethodRefused),
        (Rail::Sepa, Account::Bank(bank)) => match &bank.route {
            BankRoute::Iban { iban, .. } if !is_in_sepa(iban) => Err(LeftOut::OutsideSepa),
            BankRoute::Iban { .. } => named(BankAccount {
                name: charset::latin(&bank.name, sepa::NAME),
                address: latin(&bank.address),
                ..bank.clone()
            }),
            BankRoute::Us { .. } => Err(LeftOut::PayoutMethodDiffers),
        },
        (Rail::Nacha, Account::Bank(bank)) => match &bank.route {
            BankRoute::Us { .. } => named(BankAccount {
                name: charset::capitals(&bank.name, nacha::NAME),
                ..bank.clone()
            }),
            BankRoute::Iban { .. } => Err(LeftOut::PayoutMethodDiffers),
        },
        (Rail::Generic, Account::Bank(_)) => Ok(account.clone()),
        (Rail::Paypal, Account::Bank(_)) | (_, Account::Paypal { .. }) => {
            Err(LeftOut::PayoutMethodDiffers)
        }
    }
}

/// A name must be left, or nobody knows whom to pay.
fn named(bank: BankAccount) -> Result<Account, LeftOut> {
    if charset::says_something(&bank.name) {
        Ok(Account::Bank(bank))
    } else {
        Err(LeftOut::PayoutMethodRefused)
    }
}

/// What a payee reads, as the rail's file writes it.
#[must_use]
pub fn fitted_note(rail: Rail, note: &str) -> String {
    match rail {
        Rail::Sepa => charset::latin(note, sepa::NOTE),
        Rail::Paypal | Rail::Nacha | Rail::Generic => note.to_owned(),
    }
}

/// The paying account as the rail's file writes it.
#[must_use]
pub fn fitted_payer(rail: Rail, payer: &Payer) -> Payer {
    let Payer {
        holder,
        address,
        route,
        ach,
    } = payer;
    match rail {
        Rail::Paypal | Rail::Generic => payer.clone(),
        Rail::Sepa => Payer {
            holder: charset::latin(holder, sepa::NAME),
            address: address.as_ref().map(latin),
            route: route.clone(),
            ach: None,
        },
        Rail::Nacha => Payer {
            holder: charset::capitals(holder, nacha::COMPANY),
            address: None,
            route: route.clone(),
            ach: ach.as_ref().map(|ach| AchOrigin {
                bank_name: charset::capitals(&ach.bank_name, nacha::BANK),
                entry_description: charset::capitals(&ach.entry_description, nacha::DESCRIPTION),
                ..ach.clone()
            }),
        },
    }
}

/// The name of an account's holder in the rail's file; empty when none of its characters can be written.
#[must_use]
pub fn fitted_holder(rail: Rail, holder: &str) -> String {
    match rail {
        Rail::Paypal | Rail::Generic => holder.to_owned(),
        Rail::Sepa => charset::latin(holder, sepa::NAME),
        Rail::Nacha => charset::capitals(holder, nacha::COMPANY),
    }
}

fn latin(address: &Address) -> Address {
    let Address {
        line1,
        line2,
        city,
        region,
        postcode,
        country,
    } = address;
    let optional = |text: &Option<String>, most| {
        let text = charset::latin(text.as_deref().unwrap_or_default(), most);
        Some(text).filter(|text| !text.is_empty())
    };
    Address {
        line1: charset::latin(line1, sepa::STREET),
        line2: optional(line2, sepa::ADDRESS_LINE),
        city: charset::latin(city, sepa::TOWN),
        region: optional(region, sepa::REGION),
        postcode: charset::latin(postcode, sepa::POSTCODE),
        country: country.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_wallet_that_a_spreadsheet_takes_for_a_formula_is_paid() {
        let fitted = |rail, wallet: &str| {
            let wallet = wallet.to_owned();
            super::fitted(rail, &Account::Paypal { wallet })
        };
        let wallet = Account::Paypal {
            wallet: "ann@example.com".to_owned(),
        };
        assert_eq!(fitted(Rail::Paypal, "ann@example.com"), Ok(wallet));
        for unfit in ["=cmd@example.com", "ann @example.com", ""] {
            assert_eq!(
                fitted(Rail::Paypal, unfit),
                Err(LeftOut::PayoutMethodRefused),
                "{unfit}"
            );
        }
        for rail in [Rail::Sepa, Rail::Nacha, Rail::Generic] {
            assert_eq!(
                fitted(rail, "ann@example.com"),
                Err(LeftOut::PayoutMethodDiffers)
            );
        }
    }
}
