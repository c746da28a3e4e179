//! SEPA credit transfers: ISO 20022 `pain.001.001.09` in the subset of the European Payments Council.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::calendar::{day_in_europe, target_day};
use super::{FileError, Part, Payment};
use crate::ids::{BatchId, PayoutId};
use crate::money::Money;
use crate::partners::model::{Account, Address, BankAccount, BankRoute};
use crate::payouts::model::Payer;

/// Characters of a name.
pub(super) const NAME: usize = 70;
/// Characters of what the payee reads.
pub(super) const NOTE: usize = 140;
/// Characters of a street with its number.
pub(super) const STREET: usize = 70;
/// Characters of an unstructured line of an address.
pub(super) const ADDRESS_LINE: usize = 70;
/// Characters of a town.
pub(super) const TOWN: usize = 35;
/// Characters of a region.
pub(super) const REGION: usize = 35;
/// Characters of a postcode.
pub(super) const POSTCODE: usize = 16;
const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";

type Xml = Writer<Vec<u8>>;

/// The end-to-end id of a payout: its own id, with a hyphen for the underscore that banks do not take.
#[must_use]
pub fn end_to_end(payout: PayoutId) -> String {
    payout.to_string().replace('_', "-")
}

/// The payout of an end-to-end id.
#[must_use]
pub fn payout_of(end_to_end: &str) -> Option<PayoutId> {
    end_to_end.trim().replacen('-', "_", 1).parse().ok()
}

/// The message id of a batch's part: at most 35 characters.
#[must_use]
pub fn message_id(batch: BatchId, part: u64) -> String {
    format!("{}-{part}", batch.to_string().replace('_', "-"))
}

/// A `pain.001.001.09` message of one payment information block: euro, service level SEPA, charges shared,
/// to be executed on the first TARGET business day from the day on which it was frozen.
///
/// # Errors
/// `NoPayer`, `Unfit`, `OverLimit`; the writer's.
pub fn write(payer: &Payer, part: &Part<'_>) -> Result<Vec<u8>, FileError> {
    let BankRoute::Iban { iban, bic } = &payer.route else {
        return Err(FileError::NoPayer);
    };
    let (sum, count) = sum(part)?;
    let payees = part
        .payments
        .iter()
        .map(payee)
        .collect::<Result<Vec<_>, _>>()?;
    let id = message_id(part.batch, part.number);
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let document = xml
        .create_element("Document")
        .with_attribute(("xmlns", NAMESPACE));
    document.write_inner_content(|xml| {
        block(xml, "CstmrCdtTrfInitn", |xml| {
            block(xml, "GrpHdr", |xml| {
                leaf(xml, "MsgId", &id)?;
                leaf(
                    xml,
                    "CreDtTm",
                    &part.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                )?;
                leaf(xml, "NbOfTxs", &count)?;
                leaf(xml, "CtrlSum", &sum)?;
                block(xml, "InitgPty", |xml| leaf(xml, "Nm", &payer.holder))
            })?;
            block(xml, "PmtInf", |xml| {
                leaf(xml, "PmtInfId", &id)?;
                leaf(xml, "PmtMtd", "TRF")?;
                leaf(xml, "BtchBookg", "true")?;
                leaf(xml, "NbOfTxs", &count)?;
                leaf(xml, "CtrlSum", &sum)?;
                block(xml, "PmtTpInf", |xml| {
                    block(xml, "SvcLvl", |xml| leaf(xml, "Cd", "SEPA"))
                })?;
                let day = target_day(day_in_europe(part.at));
                block(xml, "ReqdExctnDt", |xml| leaf(xml, "Dt", &day.to_string()))?;
                party(xml, "Dbtr", &payer.holder, payer.address.as_ref())?;
                account(xml, "DbtrAcct", iban)?;
                agent(xml, "DbtrAgt", bic)?;
                leaf(xml, "ChrgBr", "SLEV")?;
                for payee in &payees {
                    transfer(xml, payee)?;
                }
                Ok(())
            })
        })
    })?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

struct Payee<'a> {
    payment: &'a Payment,
    bank: &'a BankAccount,
    iban: &'a str,
    bic: &'a str,
}

fn payee(payment: &Payment) -> Result<Payee<'_>, FileError> {
    match &payment.account {
        Account::Bank(bank) => match &bank.route {
            BankRoute::Iban { iban, bic } => Ok(Payee {
                payment,
                bank,
                iban,
                bic,
            }),
            BankRoute::Us { .. } => Err(FileError::Unfit(payment.payout)),
        },
        Account::Paypal { .. } => Err(FileError::Unfit(payment.payout)),
    }
}

fn sum(part: &Part<'_>) -> Result<(String, String), FileError> {
    let mut amounts = part.payments.iter().map(|payment| payment.amount);
    let Some(first) = amounts.next() else {
        return Err(FileError::Empty);
    };
    let sum = amounts
        .try_fold(first, Money::plus)
        .map_err(|_| FileError::OverLimit)?;
    Ok((sum.to_string(), part.payments.len().to_string()))
}

fn transfer(xml: &mut Xml, payee: &Payee<'_>) -> io::Result<()> {
    let Payee {
        payment,
        bank,
        iban,
        bic,
    } = payee;
    block(xml, "CdtTrfTxInf", |xml| {
        block(xml, "PmtId", |xml| {
            leaf(xml, "EndToEndId", &end_to_end(payment.payout))
        })?;
        block(xml, "Amt", |xml| {
            let amount = payment.amount.to_string();
            xml.create_element("InstdAmt")
                .with_attribute(("Ccy", payment.amount.currency().code()))
                .write_text_content(BytesText::new(&amount))?;
            Ok(())
        })?;
        agent(xml, "CdtrAgt", bic)?;
        party(xml, "Cdtr", &bank.name, Some(&bank.address))?;
        account(xml, "CdtrAcct", iban)?;
        if payment.note.is_empty() {
            return Ok(());
        }
        block(xml, "RmtInf", |xml| leaf(xml, "Ustrd", &payment.note))
    })
}

/// A party with its address: structured, with the second line as the one unstructured line that the hybrid
/// form allows beside town and country.
fn party(xml: &mut Xml, element: &str, name: &str, address: Option<&Address>) -> io::Result<()> {
    block(xml, element, |xml| {
        leaf(xml, "Nm", name)?;
        let Some(address) = address else {
            return Ok(());
        };
        let Address {
            line1,
            line2,
            city,
            region,
            postcode,
            country,
        } = address;
        block(xml, "PstlAdr", |xml| {
            for (element, text) in [
                ("StrtNm", Some(line1)),
                ("PstCd", Some(postcode)),
                ("TwnNm", Some(city)),
                ("CtrySubDvsn", region.as_ref()),
                ("Ctry", Some(country)),
                ("AdrLine", line2.as_ref()),
            ] {
                if let Some(text) = text.filter(|text| !text.is_empty()) {
                    leaf(xml, element, text)?;
                }
            }
            Ok(())
        })
    })
}

fn account(xml: &mut Xml, element: &str, iban: &str) -> io::Result<()> {
    block(xml, element, |xml| {
        block(xml, "Id", |xml| leaf(xml, "IBAN", iban))
    })
}

fn agent(xml: &mut Xml, element: &str, bic: &str) -> io::Result<()> {
    block(xml, element, |xml| {
        block(xml, "FinInstnId", |xml| leaf(xml, "BICFI", bic))
    })
}

fn block(
    xml: &mut Xml,
    element: &str,
    content: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    xml.create_element(element).write_inner_content(content)?;
    Ok(())
}

fn leaf(xml: &mut Xml, element: &str, text: &str) -> io::Result<()> {
    xml.create_element(element)
        .write_text_content(BytesText::new(text))?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::partners::model::PayeeType;
    use crate::payouts::files::{fitted, fitted_note, fitted_payer};
    use crate::payouts::model::Rail;

    fn payer() -> Payer {
        let payer = Payer {
            holder: "Vendor GmbH & Co. KG".to_owned(),
            address: None,
            route: BankRoute::Iban {
                iban: "DE89370400440532013000".to_owned(),
                bic: "COBADEFFXXX".to_owned(),
            },
            ach: None,
        };
        fitted_payer(Rail::Sepa, &payer)
    }

    fn payment(n: u8, minor: i64, name: &str) -> Payment {
        let account = Account::Bank(BankAccount {
            name: name.to_owned(),
            payee_type: PayeeType::Person,
            address: Address {
                line1: "Königsallee 1".to_owned(),
                line2: Some("c/o Müller".to_owned()),
                city: "Düsseldorf".to_owned(),
                region: None,
                postcode: "40212".to_owned(),
                country: "DE".to_owned(),
            },
            route: BankRoute::Iban {
                iban: "FR1420041010050500013M02606".to_owned(),
                bic: "PSSTFRPPLIL".to_owned(),
            },
        });
        Payment {
            payout: PayoutId::from_bytes([n; 16]),
            amount: Money::new(minor, "EUR".parse().unwrap()),
            account: fitted(Rail::Sepa, &account).unwrap(),
            note: fitted_note(Rail::Sepa, "Frühling: commissions until 2026-03-31"),
        }
    }

    fn file(payments: &[Payment]) -> String {
        let part = Part {
            batch: BatchId::from_bytes([2; 16]),
            number: 1,
            before: 0,
            // Good Friday, shortly before midnight in Frankfurt.
            at: "2026-04-03T21:30:00.250Z".parse().unwrap(),
            payments,
        };
        String::from_utf8(write(&payer(), &part).unwrap()).unwrap()
    }

    #[test]
    fn a_message_has_these_bytes() {
        let file = file(&[payment(0, 5_880, "Jürgen Groß <Söhne>")]);
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09">
 <CstmrCdtTrfInitn>
  <GrpHdr>
   <MsgId>bat-02081040g2081040g2081040g2-1</MsgId>
   <CreDtTm>2026-04-03T21:30:00Z</CreDtTm>
   <NbOfTxs>1</NbOfTxs>
   <CtrlSum>58.80</CtrlSum>
   <InitgPty>
    <Nm>Vendor GmbH + Co. KG</Nm>
   </InitgPty>
  </GrpHdr>
  <PmtInf>
   <PmtInfId>bat-02081040g2081040g2081040g2-1</PmtInfId>
   <PmtMtd>TRF</PmtMtd>
   <BtchBookg>true</BtchBookg>
   <NbOfTxs>1</NbOfTxs>
   <CtrlSum>58.80</CtrlSum>
   <PmtTpInf>
    <SvcLvl>
     <Cd>SEPA</Cd>
    </SvcLvl>
   </PmtTpInf>
   <ReqdExctnDt>
    <Dt>2026-04-07</Dt>
   </ReqdExctnDt>
   <Dbtr>
    <Nm>Vendor GmbH + Co. KG</Nm>
   </Dbtr>
   <DbtrAcct>
    <Id>
     <IBAN>DE89370400440532013000</IBAN>
    </Id>
   </DbtrAcct>
   <DbtrAgt>
    <FinInstnId>
     <BICFI>COBADEFFXXX</BICFI>
    </FinInstnId>
   </DbtrAgt>
   <ChrgBr>SLEV</ChrgBr>
   <CdtTrfTxInf>
    <PmtId>
     <EndToEndId>po-00000000000000000000000000</EndToEndId>
    </PmtId>
    <Amt>
     <InstdAmt Ccy="EUR">58.80</InstdAmt>
    </Amt>
    <CdtrAgt>
     <FinInstnId>
      <BICFI>PSSTFRPPLIL</BICFI>
     </FinInstnId>
    </CdtrAgt>
    <Cdtr>
     <Nm>Jurgen Gross .Sohne.</Nm>
     <PstlAdr>
      <StrtNm>Konigsallee 1</StrtNm>
      <PstCd>40212</PstCd>
      <TwnNm>Dusseldorf</TwnNm>
      <Ctry>DE</Ctry>
      <AdrLine>c/o Muller</AdrLine>
     </PstlAdr>
    </Cdtr>
    <CdtrAcct>
     <Id>
      <IBAN>FR1420041010050500013M02606</IBAN>
     </Id>
    </CdtrAcct>
    <RmtInf>
     <Ustrd>Fruhling: commissions until 2026-03-31</Ustrd>
    </RmtInf>
   </CdtTrfTxInf>
  </PmtInf>
 </CstmrCdtTrfInitn>
</Document>
"#;
        assert_eq!(file, expected);
    }

    #[test]
    fn control_sum_and_count_are_those_of_the_transfers() {
        let file = file(&[
            payment(1, 1, "A"),
            payment(2, 99_999_999_999, "B"),
            payment(3, 250, "C"),
        ]);
        assert_eq!(file.matches("<NbOfTxs>3</NbOfTxs>").count(), 2);
        assert_eq!(file.matches("<CtrlSum>1000000002.50</CtrlSum>").count(), 2);
        assert_eq!(file.matches("<CdtTrfTxInf>").count(), 3);
    }

    #[test]
    fn ids_fit_and_lead_back_to_their_payout() {
        let payout = PayoutId::from_bytes([0xa7; 16]);
        let id = end_to_end(payout);
        assert!(id.len() <= 35 && !id.contains('_'));
        assert_eq!(payout_of(&id), Some(payout));
        assert_eq!(payout_of("NOTPROVIDED"), None);
        assert!(message_id(BatchId::from_bytes([0xff; 16]), 9_999).len() <= 35);
    }
}
