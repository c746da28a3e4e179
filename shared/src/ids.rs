//! One type per id. An id is 128 bits written as a prefix and 26 lower-case Crockford base-32 digits:
//! either 48 bits of time and 80 random ones (sorts by creation), or a hash of what it names (derived,
//! so that a repeated write meets its own earlier one).

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

/// Text that is not an id of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of this kind")]
pub struct NotAnId;

fn encode(bytes: [u8; 16]) -> String {
    let mut value = u128::from_be_bytes(bytes);
    let mut text = [0_u8; TEXT_LEN];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(value & 31) as usize];
        value >>= 5;
    }
    text.iter().map(|digit| char::from(*digit)).collect()
}

fn decode(text: &str) -> Option<[u8; 16]> {
    // 26 digits hold 130 bits; the first may only use its lower three.
    if text.len() != TEXT_LEN || text.as_bytes()[0] > b'7' {
        return None;
    }
    let mut value: u128 = 0;
    for digit in text.bytes() {
        let digit = DIGITS.iter().position(|known| *known == digit)?;
        value = (value << 5) | digit as u128;
    }
    Some(value.to_be_bytes())
}

/// 128 bits of SHA-256 over length-prefixed parts, so that no two lists of parts collide by joining.
#[must_use]
pub fn digest(domain: &str, parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&domain).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let full = hash.finalize();
    let mut short = [0_u8; 16];
    short.copy_from_slice(&full[..16]);
    short
}

/// Ids made of time and randomness.
pub trait Fresh: Sized {
    /// The id of something created at `at`, with 80 random bits.
    fn fresh(at: Timestamp, random: [u8; 10]) -> Self;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// An id from its 128 bits.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id's 128 bits.
            #[must_use]
            pub const fn bytes(self) -> [u8; 16] {
                self.0
            }

            /// The id derived from what it names.
            #[must_use]
            pub fn derived(parts: &[&str]) -> Self {
                Self(digest($prefix, parts))
            }
        }

        impl Fresh for $name {
            fn fresh(at: Timestamp, random: [u8; 10]) -> Self {
                let ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
                let mut bytes = [0_u8; 16];
                bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
                bytes[6..].copy_from_slice(&random);
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(concat!($prefix, "_")).and_then(decode).map(Self).ok_or(NotAnId)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A vendor's partner program.
    ProgramId, "prg"
);
id!(
    /// A partner: affiliate, referrer, reseller or service partner.
    PartnerId, "ptr"
);
id!(
    /// A person who works for the vendor.
    OperatorId, "opr"
);
id!(
    /// An API key's public half.
    KeyId, "key"
);
id!(
    /// A tracking link; derived from its code, so that a click finds it without a lookup table.
    LinkId, "lnk"
);
id!(
    /// A coupon; derived from its program and code.
    CouponId, "cpn"
);
id!(
    /// A wish to sign in, whose link is mailed.
    SignInId, "sgn"
);
id!(
    /// A conversion; derived from program, event and the caller's transaction id.
    ConversionId, "cnv"
);
id!(
    /// A deal that a partner registers.
    DealId, "deal"
);
id!(
    /// A lead: somebody who may buy, passed on to a partner.
    LeadId, "lead"
);
id!(
    /// A partner's dispute.
    DisputeId, "dsp"
);
id!(
    /// Something that happened, told of in the outbox.
    EventId, "evt"
);
id!(
    /// A candidate's application to a program, or an invitation to apply.
    ApplicationId, "appl"
);
id!(
    /// A person of a partner.
    MemberId, "mbr"
);
id!(
    /// A ledger transfer; derived from its source, kind and leg.
    TransferId, "xfr"
);
id!(
    /// A payout batch; derived from its program, cutoff and paying account, so that there is one of them.
    BatchId, "bat"
);
id!(
    /// One partner's payout in a batch; derived from both. 29 characters, so it fits a bank reference of 30.
    PayoutId, "po"
);
id!(
    /// An imported return file; derived from its batch and its bytes.
    ImportId, "imp"
);
id!(
    /// A CSV file that is imported row by row.
    UploadId, "upl"
);
id!(
    /// A question what another plan would have paid.
    WhatIfId, "wif"
);
id!(
    /// An invoice or a credit note; derived from its payout and kind.
    InvoiceId, "inv"
);
id!(
    /// The vendor's paying account.
    FundingAccountId, "fnd"
);
id!(
    /// A customer: a company or a person that partners and the vendor sell to.
    CustomerId, "cust"
);
id!(
    /// A claim that is a record of its own: the vendor's direct account, or a partner's referral.
    ClaimId, "clm"
);

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fresh_ids_sort_by_their_time() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let early = PartnerId::fresh(at(1_000), [255; 10]);
        let late = PartnerId::fresh(at(1_001), [0; 10]);
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn joined_parts_do_not_collide() {
        assert_ne!(
            ConversionId::derived(&["ab", "c"]),
            ConversionId::derived(&["a", "bc"])
        );
    }

    #[test]
    fn a_payout_id_fits_a_bank_reference() {
        assert!(PayoutId::derived(&["x"]).to_string().len() <= 30);
    }

    #[test]
    fn foreign_prefixes_lengths_and_digits_are_refused() {
        let id = PartnerId::from_bytes([7; 16]).to_string();
        assert!(id.parse::<ProgramId>().is_err());
        assert!(id[..id.len() - 1].parse::<PartnerId>().is_err());
        assert!(id.to_uppercase().parse::<PartnerId>().is_err());
        assert!(
            "ptr_zzzzzzzzzzzzzzzzzzzzzzzzzz"
                .parse::<PartnerId>()
                .is_err()
        );
        assert!("ptr_é".parse::<PartnerId>().is_err());
    }

    proptest! {
        #[test]
        fn text_reads_back(bytes in any::<[u8; 16]>()) {
            let id = PartnerId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<PartnerId>().unwrap(), id);
        }
    }
}
