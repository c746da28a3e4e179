//! ACH credits: a NACHA file of PPD entries (persons) and CCD entries (companies).
//!
//! Records of 94 characters in blocks of ten; every field is cut or filled to its width.

use super::calendar::{banking_day_after, time_in_america};
use super::{FileError, Part, Payment};
use crate::ids::PayoutId;
use crate::partners::model::{Account, AccountType, BankAccount, BankRoute, PayeeType};
use crate::payouts::model::{AchOrigin, Payer};

/// Characters of a payee's name.
pub(super) const NAME: usize = 22;
/// Characters of the company's name in a batch header.
pub(super) const COMPANY: usize = 16;
/// Characters of the bank's name.
pub(super) const BANK: usize = AchOrigin::MAX_BANK_NAME;
/// Characters of the description of a batch's entries.
pub(super) const DESCRIPTION: usize = AchOrigin::MAX_DESCRIPTION;
/// Characters of a record.
const RECORD: usize = 94;
/// Records of a block.
const BLOCK: usize = 10;
/// Characters of a payee's identification, which a return repeats.
const IDENTIFICATION: usize = 15;
/// Only credits: the bank takes the sum from the company's account itself.
const CREDITS_ONLY: &str = "220";
/// An entry hash has ten digits; what is above is dropped.
const HASH_MODULUS: u64 = 10_000_000_000;
/// Files of one company on one day are told apart by this.
const MODIFIERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// What an entry says of its payout, and a return of it repeats: the trace number, and the last fifteen
/// characters of the payout's id in capitals. `position` counts the batch's payments from 0.
#[must_use]
pub fn trace(routing_number: &str, position: usize, payout: PayoutId) -> (String, String) {
    let id = payout.to_string().to_ascii_uppercase();
    let tail = id[id.len() - IDENTIFICATION..].to_owned();
    let bank: String = routing_number.chars().take(8).collect();
    (format!("{bank}{:07}", position + 1), tail)
}

struct Entry<'a> {
    payment: &'a Payment,
    bank: &'a BankAccount,
    routing_number: &'a str,
    account_number: &'a str,
    account_type: AccountType,
    position: usize,
}

fn entry(payment: &Payment, position: usize) -> Result<Entry<'_>, FileError> {
    let Account::Bank(bank) = &payment.account else {
        return Err(FileError::Unfit(payment.payout));
    };
    match &bank.route {
        BankRoute::Us {
            routing_number,
            account_number,
            account_type,
        } => Ok(Entry {
            payment,
            bank,
            routing_number,
            account_number,
            account_type: *account_type,
            position,
        }),
        BankRoute::Iban { .. } => Err(FileError::Unfit(payment.payout)),
    }
}

/// What a control record says of the entries before it.
#[derive(Clone, Copy, Default)]
struct Control {
    entries: u64,
    hash: u64,
    credit: i64,
}

impl Control {
    fn plus(self, other: Self) -> Result<Self, FileError> {
        Ok(Self {
            entries: self.entries + other.entries,
            hash: self.hash + other.hash,
            credit: self
                .credit
                .checked_add(other.credit)
                .ok_or(FileError::OverLimit)?,
        })
    }
}

/// A NACHA file. The entries take effect on the banking day after the one on which it was frozen.
///
/// # Errors
/// `NoPayer`, `Unfit`, `OverLimit`.
pub fn write(payer: &Payer, part: &Part<'_>) -> Result<Vec<u8>, FileError> {
    let (
        BankRoute::Us {
            routing_number: own,
            ..
        },
        Some(ach),
    ) = (&payer.route, &payer.ach)
    else {
        return Err(FileError::NoPayer);
    };
    let entries = part
        .payments
        .iter()
        .enumerate()
        .map(|(at, payment)| entry(payment, part.before + at))
        .collect::<Result<Vec<_>, _>>()?;
    let mut records = vec![file_header(payer, ach, part)];
    let mut all = Control::default();
    let mut batches = 0;
    for (class, payee_type) in [("PPD", PayeeType::Person), ("CCD", PayeeType::Company)] {
        let of_class: Vec<_> = entries
            .iter()
            .filter(|entry| entry.bank.payee_type == payee_type)
            .collect();
        if of_class.is_empty() {
            continue;
        }
        batches += 1;
        let (written, control) = batch(payer, ach, own, part, (class, batches), &of_class)?;
        records.extend(written);
        all = all.plus(control)?;
    }
    let blocks = (records.len() + 1).div_ceil(BLOCK);
    records.push(format!(
        "9{batches:06}{blocks:06}{:08}{:010}{:012}{:012}{:39}",
        all.entries,
        all.hash % HASH_MODULUS,
        0,
        all.credit,
        "",
    ));
    records.resize(blocks * BLOCK, "9".repeat(RECORD));
    let mut bytes = Vec::with_capacity(records.len() * (RECORD + 2));
    for record in &records {
        bytes.extend_from_slice(record.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    Ok(bytes)
}

fn file_header(payer: &Payer, ach: &AchOrigin, part: &Part<'_>) -> String {
    let at = time_in_america(part.at);
    let batch = part.batch.to_string().to_ascii_uppercase();
    // Two batches may be frozen within one minute: where they begin to count differs with their ids.
    let offset = part
        .batch
        .bytes()
        .iter()
        .map(|byte| u64::from(*byte))
        .sum::<u64>();
    let modifier = (offset + part.number - 1) % MODIFIERS.len() as u64;
    let modifier = char::from(MODIFIERS[usize::try_from(modifier).unwrap_or(0)]);
    format!(
        "101 {:9}{:10}{}{modifier}094101{}{}{}",
        ach.destination,
        ach.company_id,
        at.strftime("%y%m%d%H%M"),
        text(&ach.bank_name, BANK),
        text(&payer.holder, 23),
        &batch[batch.len() - 8..],
    )
}

fn batch(
    payer: &Payer,
    ach: &AchOrigin,
    own: &str,
    part: &Part<'_>,
    (class, number): (&str, u64),
    entries: &[&Entry<'_>],
) -> Result<(Vec<String>, Control), FileError> {
    let day = time_in_america(part.at).date();
    let bank = &own[..8.min(own.len())];
    let mut records = vec![format!(
        "5{CREDITS_ONLY}{}{:20}{:10}{class}{}{}{}{:3}1{bank}{number:07}",
        text(&payer.holder, COMPANY),
        "",
        ach.company_id,
        text(&ach.entry_description, DESCRIPTION),
        day.strftime("%y%m%d"),
        banking_day_after(day).strftime("%y%m%d"),
        "",
    )];
    let mut control = Control::default();
    for entry in entries {
        let minor = entry.payment.amount.minor();
        let code = match entry.account_type {
            AccountType::Checking => "22",
            AccountType::Savings => "32",
        };
        let (trace, identification) = trace(own, entry.position, entry.payment.payout);
        let receiving = &entry.routing_number[..8.min(entry.routing_number.len())];
        control = control.plus(Control {
            entries: 1,
            hash: receiving.parse().unwrap_or(0),
            credit: minor,
        })?;
        records.push(format!(
            "6{code}{}{}{minor:010}{identification}{}  0{trace}",
            entry.routing_number,
            text(entry.account_number, 17),
            text(&entry.bank.name, NAME),
        ));
    }
    records.push(format!(
        "8{CREDITS_ONLY}{:06}{:010}{:012}{:012}{:10}{:25}{bank}{number:07}",
        control.entries,
        control.hash % HASH_MODULUS,
        0,
        control.credit,
        ach.company_id,
        "",
    ));
    Ok((records, control))
}

/// A text cut or filled with blanks to a width.
fn text(text: &str, width: usize) -> String {
    let cut: String = text.chars().take(width).collect();
    format!("{cut:width$}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::BatchId;
    use crate::money::Money;
    use crate::partners::model::Address;
    use crate::payouts::files::{fitted, fitted_payer};
    use crate::payouts::model::Rail;
    use proptest::prelude::*;

    fn payer() -> Payer {
        let payer = Payer {
            holder: "Vendor Incorporated of Delaware".to_owned(),
            address: None,
            route: BankRoute::Us {
                routing_number: "021000021".to_owned(),
                account_number: "123456789".to_owned(),
                account_type: AccountType::Checking,
            },
            ach: Some(AchOrigin {
                company_id: "1123456789".to_owned(),
                destination: "021000021".to_owned(),
                bank_name: "JPMorgan Chase".to_owned(),
                entry_description: "commission".to_owned(),
            }),
        };
        fitted_payer(Rail::Nacha, &payer)
    }

    fn payment(n: u8, minor: i64, name: &str, payee_type: PayeeType) -> Payment {
        let account = Account::Bank(BankAccount {
            name: name.to_owned(),
            payee_type,
            address: Address {
                line1: "1 Main Street".to_owned(),
                line2: None,
                city: "Boston".to_owned(),
                region: Some("MA".to_owned()),
                postcode: "02101".to_owned(),
                country: "US".to_owned(),
            },
            route: BankRoute::Us {
                routing_number: "011401533".to_owned(),
                account_number: "98765432109876".to_owned(),
                account_type: if n.is_multiple_of(2) {
                    AccountType::Checking
                } else {
                    AccountType::Savings
                },
            },
        });
        Payment {
            payout: PayoutId::from_bytes([n; 16]),
            amount: Money::new(minor, "USD".parse().unwrap()),
            account: fitted(Rail::Nacha, &account).unwrap(),
            note: "Spring".to_owned(),
        }
    }

    fn file(payments: &[Payment]) -> String {
        let part = Part {
            batch: BatchId::from_bytes([2; 16]),
            number: 1,
            before: 0,
            at: "2026-11-25T15:04:00Z".parse().unwrap(),
            payments,
        };
        String::from_utf8(write(&payer(), &part).unwrap()).unwrap()
    }

    #[test]
    fn a_file_has_these_bytes() {
        let payments = [
            payment(0, 5_880, "Zoë Ångström", PayeeType::Person),
            payment(1, 5, "Acme LLC", PayeeType::Company),
            payment(
                2,
                9_999_999_999,
                "A very long name indeed it is",
                PayeeType::Person,
            ),
        ];
        let nines = "9".repeat(94);
        let expected = [
            "101 021000021112345678926112510046094101JPMORGAN CHASE         VENDOR INCORPORA       081040G2",
            "5220VENDOR INCORPORA                    1123456789PPDCOMMISSION261125261127   1021000020000001",
            "62201140153398765432109876   0000005880000000000000000ZOE ANGSTROM            0021000020000001",
            "62201140153398765432109876   999999999981040G2081040G2A VERY LONG NAME INDEE  0021000020000003",
            "822000000200022803060000000000000100000058791123456789                         021000020000001",
            "5220VENDOR INCORPORA                    1123456789CCDCOMMISSION261125261127   1021000020000002",
            "63201140153398765432109876   000000000540G2081040G2081ACME LLC                0021000020000002",
            "822000000100011401530000000000000000000000051123456789                         021000020000002",
            "9000002000001000000030003420459000000000000010000005884                                       ",
        ];
        let found = file(&payments);
        let records: Vec<&str> = found.split("\r\n").collect();
        assert_eq!(records.len(), 11, "one block of ten, each ended");
        assert_eq!(records[9], nines);
        assert_eq!(&records[..9], &expected);
    }

    #[test]
    fn a_later_part_is_a_file_of_its_own_that_goes_on_counting() {
        let payments = [payment(7, 100, "Ada", PayeeType::Person)];
        let part = |number, before| Part {
            batch: BatchId::from_bytes([2; 16]),
            number,
            before,
            at: "2026-11-25T15:04:00Z".parse().unwrap(),
            payments: &payments,
        };
        let record = |part: Part<'_>, at: usize| {
            let file = String::from_utf8(write(&payer(), &part).unwrap()).unwrap();
            file.lines().nth(at).unwrap().to_owned()
        };
        assert_eq!(&record(part(2, 5_000), 2)[79..], "021000020005001");
        assert_ne!(
            record(part(1, 0), 0)[33..34],
            record(part(2, 5_000), 0)[33..34],
            "the file id modifier tells them apart"
        );
        let (trace, identification) = trace("021000021", 5_000, payments[0].payout);
        let entry = record(part(2, 5_000), 2);
        assert_eq!(
            (&entry[79..], &entry[39..54]),
            (trace.as_str(), identification.as_str())
        );
    }

    proptest! {
        #[test]
        fn records_blocks_hashes_and_sums_agree(
            rows in prop::collection::vec((1_i64..9_999_999_999, ".{1,40}", any::<bool>()), 1..60),
        ) {
            let payments: Vec<Payment> = rows
                .iter()
                .enumerate()
                .map(|(n, (minor, name, company))| {
                    let payee = if *company { PayeeType::Company } else { PayeeType::Person };
                    payment(u8::try_from(n).unwrap(), *minor, &format!("x{name}"), payee)
                })
                .collect();
            let file = file(&payments);
            prop_assert!(file.is_ascii());
            let records: Vec<&str> = file.lines().collect();
            prop_assert!(records.len().is_multiple_of(10) && records.iter().all(|record| record.len() == 94));
            let control = records.iter().rfind(|record| !record.starts_with("99999")).unwrap();
            prop_assert_eq!(control[7..13].parse::<usize>().unwrap() * 10, records.len());
            let sum: i64 = rows.iter().map(|(minor, ..)| minor).sum();
            prop_assert_eq!(control[43..55].parse::<i64>().unwrap(), sum);
            prop_assert_eq!(control[13..21].parse::<usize>().unwrap(), rows.len());
            prop_assert_eq!(control[21..31].parse::<u64>().unwrap(), 1_140_153 * rows.len() as u64);
        }
    }
}
