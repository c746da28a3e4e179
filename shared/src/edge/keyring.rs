//! The keyring: seals what must be read back, signs click ids, hashes customer references.
//!
//! One JSON document: `{"active": "k1", "keys": {"k1": "<32 bytes, base64>"}, "references": "<32 bytes>"}`.
//! Rotation is two steps, because functions read the ring when they start: first a key is added and all
//! functions learn it, then it is made active. Old keys go on opening and verifying. The reference key
//! never rotates, or the same customer would become two.

use std::collections::BTreeMap;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::ids::{LinkId, ProgramId};
use crate::tracking::model::ClickToken;

/// Bytes of a click id: version 1, key index 1, seconds 5, link 16, random 7, MAC 16.
const CLICK_BYTES: usize = 46;
const CLICK_MAC_AT: usize = 30;
/// Characters of a click id.
pub const CLICK_ID_LEN: usize = 62;
const CLICK_VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;

type HmacSha256 = Hmac<Sha256>;

/// What can be wrong with a keyring or with what it is asked to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The document is not a keyring.
    #[error("the keyring document is malformed")]
    Malformed,
    /// Not sealed by a key of this ring for that place.
    #[error("a sealed value cannot be opened")]
    NotOpened,
    /// The machine gives no randomness.
    #[error("no randomness")]
    NoRandomness,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    active: String,
    keys: BTreeMap<String, String>,
    references: String,
}

/// A ring of keys.
#[derive(Clone)]
pub struct Keyring {
    active: String,
    keys: BTreeMap<String, [u8; 32]>,
    references: [u8; 32],
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// A new ring of one key, as the document to store.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn generate() -> Result<String, KeyringError> {
        let fresh = || {
            let mut key = [0_u8; 32];
            getrandom::fill(&mut key).map_err(|_| KeyringError::NoRandomness)?;
            Ok(STANDARD.encode(key))
        };
        let document = Document {
            active: "k1".to_owned(),
            keys: BTreeMap::from([("k1".to_owned(), fresh()?)]),
            references: fresh()?,
        };
        serde_json::to_string(&document).map_err(|_| KeyringError::Malformed)
    }

    /// The document with one more key, which nothing uses yet.
    ///
    /// # Errors
    /// `Malformed`, `NoRandomness`.
    pub fn add(document: &str) -> Result<String, KeyringError> {
        let mut ring: Document =
            serde_json::from_str(document).map_err(|_| KeyringError::Malformed)?;
        let newest = newest(&ring).unwrap_or(0);
        let name = format!("k{}", newest.checked_add(1).ok_or(KeyringError::Malformed)?);
        let mut key = [0_u8; 32];
        getrandom::fill(&mut key).map_err(|_| KeyringError::NoRandomness)?;
        ring.keys.insert(name, STANDARD.encode(key));
        serde_json::to_string(&ring).map_err(|_| KeyringError::Malformed)
    }

    /// The document with its newest key active: once every function knows it.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn activate(document: &str) -> Result<String, KeyringError> {
        let mut ring: Document =
            serde_json::from_str(document).map_err(|_| KeyringError::Malformed)?;
        ring.active = format!("k{}", newest(&ring).ok_or(KeyringError::Malformed)?);
        serde_json::to_string(&ring).map_err(|_| KeyringError::Malformed)
    }

    /// Reads a document. Key names are `k` and a number from 1 to 255.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn read(document: &str) -> Result<Self, KeyringError> {
        let Document {
            active,
            keys,
            references,
        } = serde_json::from_str(document).map_err(|_| KeyringError::Malformed)?;
        let bytes = |text: &str| {
            STANDARD
                .decode(text)
                .ok()
                .and_then(|key| <[u8; 32]>::try_from(key).ok())
                .ok_or(KeyringError::Malformed)
        };
        let keys = keys
            .iter()
            .map(|(name, key)| {
                index_of(name)?;
                Ok((name.clone(), bytes(key)?))
            })
            .collect::<Result<BTreeMap<_, _>, KeyringError>>()?;
        if !keys.contains_key(&active) {
            return Err(KeyringError::Malformed);
        }
        Ok(Self {
            active,
            keys,
            references: bytes(&references)?,
        })
    }

    /// Seals a secret for one place: AES-256-GCM with a random nonce, the item's key and field name as
    /// associated data, so that a ciphertext moved elsewhere does not open. Text: `k1.<base64>`.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<String, KeyringError> {
        let key = self.keys.get(&self.active).ok_or(KeyringError::Malformed)?;
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| KeyringError::NoRandomness)?;
        let sealed = cipher(key)
            .encrypt(
                &Nonce::from(nonce),
                Payload {
                    msg: plain,
                    aad: place.as_bytes(),
                },
            )
            .map_err(|_| KeyringError::NotOpened)?;
        Ok(format!(
            "{}.{}",
            self.active,
            URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
        ))
    }

    /// Opens what was sealed for that place.
    ///
    /// # Errors
    /// `NotOpened`.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, KeyringError> {
        let (name, text) = sealed.split_once('.').ok_or(KeyringError::NotOpened)?;
        let key = self.keys.get(name).ok_or(KeyringError::NotOpened)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| KeyringError::NotOpened)?;
        let (nonce, cipher_text) = bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(KeyringError::NotOpened)?;
        cipher(key)
            .decrypt(
                &Nonce::from(*nonce),
                Payload {
                    msg: cipher_text,
                    aad: place.as_bytes(),
                },
            )
            .map_err(|_| KeyringError::NotOpened)
    }

    /// A click id: 62 URL-safe characters that verify themselves against their program.
    ///
    /// # Errors
    /// `Malformed` never happens on a ring that was read.
    pub fn click_id(&self, program: ProgramId, click: ClickToken) -> Result<String, KeyringError> {
        let mut bytes = [0_u8; CLICK_BYTES];
        bytes[0] = CLICK_VERSION;
        bytes[1] = index_of(&self.active)?;
        let seconds = u64::try_from(click.at.as_second())
            .unwrap_or(0)
            .to_be_bytes();
        bytes[2..7].copy_from_slice(&seconds[3..]);
        bytes[7..23].copy_from_slice(&click.link.bytes());
        bytes[23..CLICK_MAC_AT].copy_from_slice(&click.random);
        let key = self.keys.get(&self.active).ok_or(KeyringError::Malformed)?;
        let mac = click_mac(key, program, &bytes[..CLICK_MAC_AT]);
        bytes[CLICK_MAC_AT..].copy_from_slice(&mac);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a click id says, if this ring issued it for that program; `None` for forged, cut short or
    /// foreign ones. Needs no read.
    #[must_use]
    pub fn verify_click(&self, program: ProgramId, click_id: &str) -> Option<ClickToken> {
        if click_id.len() != CLICK_ID_LEN {
            return None;
        }
        let bytes: [u8; CLICK_BYTES] = URL_SAFE_NO_PAD.decode(click_id).ok()?.try_into().ok()?;
        if bytes[0] != CLICK_VERSION {
            return None;
        }
        let key = self.keys.get(&format!("k{}", bytes[1]))?;
        let mac = click_mac(key, program, &bytes[..CLICK_MAC_AT]);
        if !bool::from(mac.ct_eq(&bytes[CLICK_MAC_AT..])) {
            return None;
        }
        let mut seconds = [0_u8; 8];
        seconds[3..].copy_from_slice(&bytes[2..7]);
        let mut link = [0_u8; 16];
        link.copy_from_slice(&bytes[7..23]);
        let mut random = [0_u8; 7];
        random.copy_from_slice(&bytes[23..CLICK_MAC_AT]);
        let at = Timestamp::from_second(i64::try_from(u64::from_be_bytes(seconds)).ok()?).ok()?;
        Some(ClickToken {
            link: LinkId::from_bytes(link),
            at,
            random,
        })
    }

    /// A keyed hash of somebody's reference, such as a customer number or a wallet: equal references are
    /// recognised, none can be read back. 22 URL-safe characters.
    #[must_use]
    pub fn reference(&self, kind: &str, value: &str) -> String {
        let mac = mac(&self.references, &[kind.as_bytes(), value.as_bytes()]);
        URL_SAFE_NO_PAD.encode(&mac[..16])
    }
}

fn newest(ring: &Document) -> Option<u8> {
    ring.keys
        .keys()
        .filter_map(|name| index_of(name).ok())
        .max()
}

fn index_of(name: &str) -> Result<u8, KeyringError> {
    name.strip_prefix('k')
        .and_then(|number| number.parse().ok())
        .filter(|number| *number > 0)
        .ok_or(KeyringError::Malformed)
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(mac(key, &[b"seal"])))
}

fn click_mac(key: &[u8; 32], program: ProgramId, message: &[u8]) -> [u8; 16] {
    let full = mac(key, &[b"click", &program.bytes(), message]);
    let mut short = [0_u8; 16];
    short.copy_from_slice(&full[..16]);
    short
}

/// HMAC-SHA-256 over length-prefixed parts; the first part separates the purposes of one key.
fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        <HmacSha256 as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        Keyring::read(&Keyring::generate().unwrap()).unwrap()
    }

    fn token() -> ClickToken {
        ClickToken {
            link: LinkId::from_bytes([9; 16]),
            at: "2026-11-23T07:00:00Z".parse().unwrap(),
            random: [3; 7],
        }
    }

    #[test]
    fn a_click_id_says_what_was_clicked_and_fits_64_characters() {
        let (ring, program) = (ring(), ProgramId::from_bytes([1; 16]));
        let id = ring.click_id(program, token()).unwrap();
        assert!(id.len() <= 64);
        assert_eq!(id.len(), CLICK_ID_LEN);
        assert_eq!(ring.verify_click(program, &id), Some(token()));
    }

    #[test]
    fn a_click_id_altered_anywhere_cut_short_or_taken_elsewhere_is_refused() {
        let (ring, program) = (ring(), ProgramId::from_bytes([1; 16]));
        let id = ring.click_id(program, token()).unwrap();
        for at in 0..id.len() {
            let mut altered = id.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(
                ring.verify_click(program, &altered),
                None,
                "altered at {at}"
            );
            assert_eq!(ring.verify_click(program, &id[..at]), None, "cut at {at}");
        }
        assert_eq!(
            ring.verify_click(ProgramId::from_bytes([2; 16]), &id),
            None,
            "another program"
        );
        assert_eq!(
            self::ring().verify_click(program, &id),
            None,
            "another installation"
        );
    }

    #[test]
    fn a_rotated_ring_still_reads_what_the_old_one_wrote() {
        let document = Keyring::generate().unwrap();
        let old = Keyring::read(&document).unwrap();
        let added = Keyring::add(&document).unwrap();
        let told = Keyring::read(&added).unwrap();
        let new = Keyring::read(&Keyring::activate(&added).unwrap()).unwrap();
        let program = ProgramId::from_bytes([1; 16]);
        let click = old.click_id(program, token()).unwrap();
        assert_eq!(new.verify_click(program, &click), Some(token()));
        assert_eq!(
            new.open("a", &old.seal("a", b"secret").unwrap()).unwrap(),
            b"secret"
        );
        let fresh = new.click_id(program, token()).unwrap();
        assert_eq!(
            told.verify_click(program, &fresh),
            Some(token()),
            "who was only told knows it too"
        );
        assert!(told.seal("a", b"x").unwrap().starts_with("k1."));
        assert!(new.seal("a", b"x").unwrap().starts_with("k2."));
        assert_eq!(
            new.reference("customer", "17850"),
            old.reference("customer", "17850")
        );
    }

    #[test]
    fn a_sealed_value_opens_only_where_it_was_sealed() {
        let ring = ring();
        let sealed = ring.seal("PTR#1/iban", b"GB33BUKB20201555555555").unwrap();
        assert_eq!(
            ring.open("PTR#1/iban", &sealed).unwrap(),
            b"GB33BUKB20201555555555"
        );
        assert_eq!(
            ring.open("PTR#2/iban", &sealed),
            Err(KeyringError::NotOpened)
        );
        assert_eq!(
            ring.open("PTR#1/iban", &sealed[..sealed.len() - 2]),
            Err(KeyringError::NotOpened)
        );
    }

    #[test]
    fn documents_that_are_no_keyring_are_refused() {
        for document in [
            "",
            "{}",
            r#"{"active":"k1","keys":{},"references":""}"#,
            r#"{"active":"x","keys":{"x":"AA=="},"references":"AA=="}"#,
        ] {
            assert!(Keyring::read(document).is_err(), "{document}");
        }
    }
}
