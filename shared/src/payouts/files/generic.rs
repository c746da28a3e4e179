//! A CSV of bank transfers for whoever takes neither SEPA nor NACHA files. No cell begins a formula.

use super::{FileError, Part};
use crate::partners::model::{Account, Address, BankRoute};
use crate::payouts::model::harmless;

const HEADER: [&str; 16] = [
    "payout_id",
    "amount",
    "currency",
    "name",
    "iban",
    "bic",
    "routing_number",
    "account_number",
    "account_type",
    "address_line1",
    "address_line2",
    "city",
    "region",
    "postcode",
    "country",
    "note",
];

/// A header and a row per payment; lines end in CR LF, UTF-8 as names were given.
///
/// # Errors
/// `Unfit`; the writer's.
pub fn write(part: &Part<'_>) -> Result<Vec<u8>, FileError> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for payment in part.payments {
        let Account::Bank(bank) = &payment.account else {
            return Err(FileError::Unfit(payment.payout));
        };
        let Address {
            line1,
            line2,
            city,
            region,
            postcode,
            country,
        } = &bank.address;
        let (iban, bic, routing_number, account_number, account_type) = match &bank.route {
            BankRoute::Iban { iban, bic } => (iban.as_str(), bic.as_str(), "", "", ""),
            BankRoute::Us {
                routing_number,
                account_number,
                account_type,
            } => (
                "",
                "",
                routing_number.as_str(),
                account_number.as_str(),
                account_type.name(),
            ),
        };
        let optional = |text: &Option<String>| harmless(text.as_deref().unwrap_or_default());
        writer.write_record([
            &payment.payout.to_string(),
            &payment.amount.to_string(),
            payment.amount.currency().code(),
            &harmless(&bank.name),
            iban,
            bic,
            routing_number,
            account_number,
            account_type,
            &harmless(line1),
            &optional(line2),
            &harmless(city),
            &optional(region),
            &harmless(postcode),
            country,
            &harmless(&payment.note),
        ])?;
    }
    writer
        .into_inner()
        .map_err(|error| FileError::Io(error.into_error()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{BatchId, PayoutId};
    use crate::money::Money;
    use crate::partners::model::{BankAccount, PayeeType};
    use crate::payouts::files::Payment;

    #[test]
    fn a_file_has_these_bytes_and_no_formula() {
        let payments = [Payment {
            payout: PayoutId::from_bytes([0; 16]),
            amount: Money::new(5_880, "GBP".parse().unwrap()),
            account: Account::Bank(BankAccount {
                name: "=HYPERLINK(\"x\")".to_owned(),
                payee_type: PayeeType::Person,
                address: Address {
                    line1: "+1 Mill Lane".to_owned(),
                    line2: None,
                    city: "@London".to_owned(),
                    region: None,
                    postcode: "-1".to_owned(),
                    country: "GB".to_owned(),
                },
                route: BankRoute::Iban {
                    iban: "GB33BUKB20201555555555".to_owned(),
                    bic: "BUKBGB22".to_owned(),
                },
            }),
            note: "Frühling, 1".to_owned(),
        }];
        let part = Part {
            batch: BatchId::from_bytes([2; 16]),
            number: 1,
            before: 0,
            at: "2026-04-03T21:30:00Z".parse().unwrap(),
            payments: &payments,
        };
        let file = String::from_utf8(write(&part).unwrap()).unwrap();
        assert_eq!(
            file,
            "payout_id,amount,currency,name,iban,bic,routing_number,account_number,account_type,address_line1,\
             address_line2,city,region,postcode,country,note\r\n\
             po_00000000000000000000000000,58.80,GBP,\"'=HYPERLINK(\"\"x\"\")\",GB33BUKB20201555555555,BUKBGB22,,,,\
             '+1 Mill Lane,,'@London,,'-1,GB,\"Frühling, 1\"\r\n"
        );
    }
}
