//! Self-billing invoices: pure rules.
//!
//! The vendor writes the invoice that a partner would send it. Each settled payout has one, each settled payout
//! that came back a credit note of its own; both take the next number of their program's one series.

use crate::clock::Timestamp;
use crate::ids::{InvoiceId, PartnerId, PayoutId, ProgramId};
use crate::money::{Money, MoneyError, Rate, Rounding};
use crate::partners::model::{TaxDetails, VatTreatment};

/// Characters of what begins an invoice's number.
pub const MAX_PREFIX: usize = 20;
/// Characters of a legal text.
pub const MAX_LEGAL_TEXT: usize = 2_000;
/// The form that invoices have now. One that was issued keeps the form it was issued in.
pub const TEMPLATE: u32 = 1;
/// Digits of an invoice's number at least, so that numbers sort.
const NUMBER_DIGITS: usize = 6;

/// Whether a payout has its VAT in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// It has: net and VAT together are what is paid.
    Inclusive,
    /// It has not: the VAT comes on top and is paid apart from the payout, outside this ledger.
    Exclusive,
}

impl Pricing {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inclusive => "inclusive",
            Self::Exclusive => "exclusive",
        }
    }
}

/// The pricings by their names.
pub const PRICINGS: &[(&str, Pricing)] = &[
    ("inclusive", Pricing::Inclusive),
    ("exclusive", Pricing::Exclusive),
];

/// What VAT a program's invoices may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VatTerms {
    /// Of a partner that has no treatment of its own.
    pub treatment: VatTreatment,
    /// The domestic rate.
    pub rate: Option<Rate>,
    /// Whether payouts have it in them.
    pub pricing: Pricing,
    /// The sentence that the law asks for where the recipient owes the VAT.
    pub reverse_charge_text: Option<String>,
}

/// The VAT of one invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vat {
    /// None.
    None,
    /// The domestic rate.
    Domestic {
        /// Of the net amount.
        rate: Rate,
        /// Whether the payout has it in it.
        pricing: Pricing,
    },
    /// The recipient owes it.
    ReverseCharge {
        /// The sentence that says so.
        text: String,
    },
}

impl Vat {
    /// Its treatment.
    #[must_use]
    pub fn treatment(&self) -> VatTreatment {
        match self {
            Self::None => VatTreatment::None,
            Self::Domestic { .. } => VatTreatment::Domestic,
            Self::ReverseCharge { .. } => VatTreatment::ReverseCharge,
        }
    }
}

impl VatTerms {
    /// The VAT of a partner's invoices; `None` when the terms lack what its treatment needs.
    #[must_use]
    pub fn of(&self, own: Option<VatTreatment>) -> Option<Vat> {
        Some(match own.unwrap_or(self.treatment) {
            VatTreatment::None => Vat::None,
            VatTreatment::Domestic => Vat::Domestic {
                rate: self.rate?,
                pricing: self.pricing,
            },
            VatTreatment::ReverseCharge => Vat::ReverseCharge {
                text: self.reverse_charge_text.clone()?,
            },
        })
    }
}

/// How a program's invoices are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoicing {
    /// Whose.
    pub program: ProgramId,
    /// Whether payouts that are settled from now on get one.
    pub enabled: bool,
    /// The vendor, which receives what is invoiced and writes the invoice.
    pub issuer: TaxDetails,
    /// Begins every number.
    pub prefix: String,
    /// Stands at the foot.
    pub legal_text: Option<String>,
    /// VAT.
    pub vat: VatTerms,
    /// Since when it is so.
    pub updated_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

/// What an invoice says it owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Without VAT.
    pub net: Money,
    /// The VAT.
    pub vat: Money,
    /// Both.
    pub gross: Money,
    /// What the payout paid.
    pub paid: Money,
}

/// The amounts of an invoice over a payout. Rounded once, half away from zero; net and VAT always add up.
///
/// # Errors
/// `OverLimit`.
pub fn amounts(paid: Money, vat: &Vat) -> Result<Amounts, MoneyError> {
    let zero = Money::zero(paid.currency());
    let (net, vat) = match vat {
        Vat::None | Vat::ReverseCharge { .. } => (paid, zero),
        Vat::Domestic {
            rate,
            pricing: Pricing::Inclusive,
        } => {
            let net = paid.without_share(*rate, Rounding::HalfUp)?;
            (net, paid.plus(net.negated()?)?)
        }
        Vat::Domestic {
            rate,
            pricing: Pricing::Exclusive,
        } => (paid, paid.percent(*rate, Rounding::HalfUp)?),
    };
    Ok(Amounts {
        net,
        vat,
        gross: net.plus(vat)?,
        paid,
    })
}

impl Amounts {
    /// The same, taken back.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn negated(self) -> Result<Self, MoneyError> {
        let Self {
            net,
            vat,
            gross,
            paid,
        } = self;
        Ok(Self {
            net: net.negated()?,
            vat: vat.negated()?,
            gross: gross.negated()?,
            paid: paid.negated()?,
        })
    }
}

/// What a paper of the series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a payout that was settled.
    Invoice,
    /// Of one that came back after that.
    CreditNote,
}

impl Kind {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Invoice, Self::CreditNote];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
        }
    }
}

/// An invoice or a credit note. It never changes; the partner it names stands apart, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Derived from payout and kind.
    pub id: InvoiceId,
    /// Which of the two.
    pub kind: Kind,
    /// Its place in the program's series, from 1, without gaps.
    pub serial: u64,
    /// The number that stands on it.
    pub number: String,
    /// The form it has.
    pub template: u32,
    /// Whose series.
    pub program: ProgramId,
    /// The program's name then.
    pub program_name: String,
    /// Who supplied.
    pub partner: PartnerId,
    /// What was paid.
    pub payout: PayoutId,
    /// The number of the invoice that a credit note takes back.
    pub corrects: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When the payout was settled, or came back.
    pub moved_at: Timestamp,
    /// Up to when commissions became payable that it is for.
    pub cutoff: Timestamp,
    /// How many.
    pub commissions: u64,
    /// What it says it owes.
    pub amounts: Amounts,
    /// Its VAT.
    pub vat: Vat,
    /// The vendor then.
    pub issuer: TaxDetails,
    /// What stands at its foot.
    pub legal_text: Option<String>,
}

impl Invoice {
    /// The id of a payout's invoice or credit note: whoever issues it again meets the same.
    #[must_use]
    pub fn id_of(payout: PayoutId, kind: Kind) -> InvoiceId {
        InvoiceId::derived(&[&payout.to_string(), kind.name()])
    }

    /// The place that the partner is sealed for.
    #[must_use]
    pub fn party_place(id: InvoiceId) -> String {
        format!("INVOICE#{id}/PARTY/details")
    }

    /// The credit note that takes it back, under the next number.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn credited(
        &self,
        serial: u64,
        prefix: &str,
        issued_at: Timestamp,
        moved_at: Timestamp,
    ) -> Result<Self, MoneyError> {
        Ok(Self {
            id: Self::id_of(self.payout, Kind::CreditNote),
            kind: Kind::CreditNote,
            serial,
            number: number(prefix, serial),
            corrects: Some(self.number.clone()),
            issued_at,
            moved_at,
            amounts: self.amounts.negated()?,
            ..self.clone()
        })
    }
}

/// The number that stands on an invoice.
#[must_use]
pub fn number(prefix: &str, serial: u64) -> String {
    format!("{prefix}{serial:0NUMBER_DIGITS$}")
}

/// The prefix of a program whose settings state none: from its id, so that two programs of one issuer do not
/// write the same numbers.
#[must_use]
pub fn default_prefix(program: ProgramId) -> String {
    let id = program.to_string();
    let tail = id.get(id.len().saturating_sub(6)..).unwrap_or_default();
    format!("{}-", tail.to_ascii_uppercase())
}

/// Whether a text can begin an invoice's number.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'/')
}

/// Why a payout that is settled has no invoice yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The partner has not said who it is to the tax office.
    TaxProfileMissing,
    /// The program's terms lack the rate or the sentence of the partner's VAT treatment.
    VatTermsMissing,
    /// Invoicing was switched off after it was settled.
    SwitchedOff,
}

impl Waits {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::TaxProfileMissing,
        Self::VatTermsMissing,
        Self::SwitchedOff,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TaxProfileMissing => "tax_profile_missing",
            Self::VatTermsMissing => "vat_terms_missing",
            Self::SwitchedOff => "switched_off",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eur(text: &str) -> Money {
        Money::parse(text, "EUR".parse().unwrap()).unwrap()
    }

    fn domestic(rate: &str, pricing: Pricing) -> Vat {
        let rate = rate.parse().unwrap();
        Vat::Domestic { rate, pricing }
    }

    fn said(amounts: Amounts) -> [String; 4] {
        let Amounts {
            net,
            vat,
            gross,
            paid,
        } = amounts;
        [net, vat, gross, paid].map(|money| money.to_string())
    }

    #[test]
    fn vat_is_in_the_payout_or_on_top_or_the_recipients() {
        let of = |vat: &Vat| said(amounts(eur("119.00"), vat).unwrap());
        assert_eq!(
            of(&domestic("0.19", Pricing::Inclusive)),
            ["100.00", "19.00", "119.00", "119.00"]
        );
        assert_eq!(
            of(&domestic("0.19", Pricing::Exclusive)),
            ["119.00", "22.61", "141.61", "119.00"]
        );
        assert_eq!(of(&Vat::None), ["119.00", "0.00", "119.00", "119.00"]);
        let text = "VAT reverse-charged".to_owned();
        assert_eq!(
            of(&Vat::ReverseCharge { text }),
            ["119.00", "0.00", "119.00", "119.00"]
        );
    }

    #[test]
    fn a_partners_own_treatment_comes_before_the_programs() {
        let terms = VatTerms {
            treatment: VatTreatment::Domestic,
            rate: Some("0.2".parse().unwrap()),
            pricing: Pricing::Inclusive,
            reverse_charge_text: None,
        };
        assert_eq!(terms.of(None), Some(domestic("0.2", Pricing::Inclusive)));
        assert_eq!(terms.of(Some(VatTreatment::None)), Some(Vat::None));
        assert_eq!(
            terms.of(Some(VatTreatment::ReverseCharge)),
            None,
            "its sentence is missing"
        );
    }

    #[test]
    fn numbers_sort_as_their_serials() {
        assert_eq!(number("TB-2026/", 7), "TB-2026/000007");
        assert_eq!(number("", 1_234_567), "1234567");
        assert!(is_prefix("TB-2026/") && !is_prefix("=TB") && !is_prefix("TB 1"));
    }

    proptest! {
        #[test]
        fn net_and_vat_add_up_and_a_credit_note_takes_all_back(
            minor in 1_i64..1_000_000_000,
            basis in 0_i64..=10_000,
            inclusive in any::<bool>(),
        ) {
            let rate = rust_decimal::Decimal::new(basis, 4).to_string();
            let pricing = if inclusive { Pricing::Inclusive } else { Pricing::Exclusive };
            let paid = Money::new(minor, "EUR".parse().unwrap());
            let owed = amounts(paid, &domestic(&rate, pricing)).unwrap();
            prop_assert_eq!(owed.net.plus(owed.vat).unwrap(), owed.gross);
            if inclusive {
                prop_assert_eq!(owed.gross, paid);
                // The VAT is that of the net amount, to within the one rounding.
                let vat = owed.net.percent(rate.parse().unwrap(), Rounding::HalfUp).unwrap();
                prop_assert!((vat.minor() - owed.vat.minor()).abs() <= 1);
            } else {
                prop_assert_eq!(owed.net, paid);
            }
            let back = owed.negated().unwrap();
            prop_assert!(back.gross.plus(owed.gross).unwrap().is_zero());
        }
    }
}
