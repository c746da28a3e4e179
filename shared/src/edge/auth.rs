//! Who is asking. Keys are prefixed, checksummed, shown once and stored only as hashes; each belongs to a
//! person or to a partner.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts as RequestParts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::problem::{Problem, codes};
use crate::ids::{KeyId, MemberId, OperatorId, PartnerId, digest};
use crate::operators;
use crate::operators::model::{Holder, KeyRecord, Scope, Scopes};
use crate::partners;

const KEY_PREFIX: &str = "tbk_";
const SECRET_DIGITS: usize = 32;
const CHECK_DIGITS: usize = 6;

/// An API key as its holder has it: `tbk_<26 of the key id><32 secret><6 checksum>`, all lower-case hex or base 32.
#[derive(Clone)]
pub struct ApiKey {
    /// The public half.
    pub id: KeyId,
    text: String,
}

impl ApiKey {
    /// A new key for `id` with 128 random bits of secret.
    #[must_use]
    pub fn generate(id: KeyId, secret: [u8; 16]) -> Self {
        let id_digits = id.to_string().split_off(KeyId::PREFIX.len() + 1);
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let unchecked = format!("{KEY_PREFIX}{id_digits}{secret}");
        let text = format!("{unchecked}{}", checksum(&unchecked));
        Self { id, text }
    }

    /// Reads a key's text; a mistyped one fails its checksum here, without a read.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(KEY_PREFIX)?;
        if !text.is_ascii() || digits.len() != 26 + SECRET_DIGITS + CHECK_DIGITS {
            return None;
        }
        let (unchecked, check) = text.split_at(text.len() - CHECK_DIGITS);
        if checksum(unchecked) != check {
            return None;
        }
        let id = format!("{}_{}", KeyId::PREFIX, &digits[..26])
            .parse()
            .ok()?;
        Some(Self {
            id,
            text: text.to_owned(),
        })
    }

    /// The text to show, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> String {
        hash_secret(&self.text)
    }
}

fn checksum(text: &str) -> String {
    digest("key-check", &[text])[..CHECK_DIGITS / 2]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// SHA-256 of a secret with at least 128 random bits, as hex: what is stored of it.
#[must_use]
pub fn hash_secret(text: &str) -> String {
    hash_bytes(text.as_bytes())
}

/// SHA-256 of a file, as hex.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A person of the vendor, with what their key allows.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Who.
    pub id: OperatorId,
    /// By which key, or in which session.
    pub key: KeyId,
    scopes: Scopes,
}

impl Operator {
    /// An operator as whom somebody is signed in, with what its role allows.
    #[must_use]
    pub fn with(id: OperatorId, key: KeyId, scopes: Scopes) -> Self {
        Self { id, key, scopes }
    }

    /// What the key allows.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Goes on only if the key has one of these scopes; `admin` has them all.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn demand(&self, any_of: &[Scope]) -> Result<(), Problem> {
        if self.scopes.allow(any_of) {
            return Ok(());
        }
        let names: Vec<&str> = any_of.iter().map(|scope| scope.name()).collect();
        Err(Problem::new(
            codes::FORBIDDEN,
            format!("this asks for one of the scopes: {}", names.join(", ")),
        ))
    }
}

/// A partner with its own key: sees its own records only.
#[derive(Clone, Debug)]
pub struct PartnerPrincipal {
    /// Which partner.
    pub id: PartnerId,
    /// By which key, or in which session.
    pub key: KeyId,
    /// The person of the partner whose key it is; `None` for the partner's own.
    pub member: Option<MemberId>,
    absorbed: Vec<PartnerId>,
}

impl PartnerPrincipal {
    /// A partner as whom somebody is signed in. Whom was merged into it is added where the request is taken.
    #[must_use]
    pub fn with(id: PartnerId, key: KeyId, member: Option<MemberId>) -> Self {
        Self {
            id,
            key,
            member,
            absorbed: Vec::new(),
        }
    }

    /// Itself, and those that were merged into it.
    pub fn everybody(&self) -> impl Iterator<Item = PartnerId> {
        std::iter::once(self.id).chain(self.absorbed.iter().copied())
    }

    /// Whether what is that partner's is its own: it is that one, or that one was merged into it.
    #[must_use]
    pub fn owns(&self, partner: PartnerId) -> bool {
        self.id == partner || self.absorbed.contains(&partner)
    }
}

/// Either of the two: for routes that both read.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A person of the vendor.
    Operator(Operator),
    /// A partner.
    Partner(PartnerPrincipal),
}

impl Principal {
    /// The name that idempotency keys and logs are tied to.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Operator(operator) => operator.id.to_string(),
            Self::Partner(partner) => partner.id.to_string(),
        }
    }

    /// Goes on for an operator with the scope, or for that partner itself. Whom it was merged into reads, and changes
    /// nothing.
    ///
    /// # Errors
    /// As [`Self::may_read`].
    pub fn may_change(
        &self,
        partner: PartnerId,
        scopes: &[Scope],
        what: &str,
    ) -> Result<(), Problem> {
        match self {
            Self::Partner(own) if own.id != partner => Err(Problem::not_found(what)),
            _ => self.may_read(partner, scopes, what),
        }
    }

    /// Goes on for an operator with the scope, for that partner itself, or for whom it was merged into.
    ///
    /// # Errors
    /// `forbidden` for an operator without the scope; for another partner, who shall not even learn that
    /// the record exists, `not_found` as of `what`, in the words for one that does not.
    pub fn may_read(
        &self,
        partner: PartnerId,
        scopes: &[Scope],
        what: &str,
    ) -> Result<(), Problem> {
        match self {
            Self::Operator(operator) => operator.demand(scopes),
            Self::Partner(own) if own.owns(partner) => Ok(()),
            Self::Partner(_) => Err(Problem::not_found(what)),
        }
    }
}

fn refused() -> Problem {
    Problem::new(
        codes::UNAUTHENTICATED,
        "send `Authorization: Bearer <key>` with a valid key",
    )
}

async fn key_record(parts: &RequestParts, app: &App) -> Result<Arc<KeyRecord>, Problem> {
    let bearer = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim());
    let key = bearer.and_then(ApiKey::read).ok_or_else(refused)?;
    let record = operators::key_record(app, key.id)
        .await?
        .ok_or_else(refused)?;
    let matches = bool::from(record.hash.as_bytes().ct_eq(key.hash().as_bytes()));
    if matches && record.revoked_at.is_none() {
        Ok(record)
    } else {
        Err(refused())
    }
}

/// Whose key it is; a partner's standing is not looked at.
async fn holder(parts: &RequestParts, app: &App) -> Result<Principal, Problem> {
    // Whoever is signed in acts through the same routes, called in this process; a request from outside brings none.
    if let Some(principal) = parts.extensions.get::<Principal>() {
        return Ok(principal.clone());
    }
    let record = key_record(parts, app).await?;
    Ok(match record.holder {
        Holder::Operator(id) => Principal::Operator(Operator {
            id,
            key: record.id,
            scopes: record.scopes.clone(),
        }),
        Holder::Partner(id) => Principal::Partner(PartnerPrincipal {
            id,
            key: record.id,
            member: record.member,
            absorbed: Vec::new(),
        }),
    })
}

impl FromRequestParts<App> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> Result<Self, Problem> {
        let mut principal = holder(parts, app).await?;
        if let Self::Partner(own) = &mut principal {
            // A ban ends the keys that it finds; one that was issued in that moment opens nothing either.
            let partner = partners::partner(app, own.id).await?;
            let partner = partner.filter(|partner| partner.status.may_enter());
            own.absorbed = partner.ok_or_else(refused)?.absorbed.clone();
        }
        Ok(principal)
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    // Nothing is read of a partner, who does not come in here anyway: many functions may not read partners.
    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> Result<Self, Problem> {
        match holder(parts, app).await? {
            Principal::Operator(operator) => Ok(operator),
            Principal::Partner(_) => Err(Problem::new(
                codes::FORBIDDEN,
                "this is for the vendor's operators",
            )),
        }
    }
}

impl FromRequestParts<App> for PartnerPrincipal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> Result<Self, Problem> {
        match <Principal as FromRequestParts<App>>::from_request_parts(parts, app).await? {
            Principal::Partner(partner) => Ok(partner),
            Principal::Operator(_) => Err(Problem::new(codes::FORBIDDEN, "this is for partners")),
        }
    }
}

/// The version that a change is based on, from `If-Match: "<version>"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, state: &S) -> Result<Self, Problem> {
        <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state)
            .await?
            .ok_or_else(|| {
                Problem::new(
                    codes::IF_MATCH_MISSING,
                    "send If-Match with the ETag of the version you have read",
                )
            })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Option<Self>, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(None);
        };
        let version = value
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
        // A tag that was never issued matches no version.
        Ok(Some(Self(version.unwrap_or(0))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_a_mistyped_one_fails_its_checksum() {
        let key = ApiKey::generate(KeyId::from_bytes([5; 16]), [7; 16]);
        assert_eq!(ApiKey::read(key.reveal()).unwrap().id, key.id);
        for at in 0..key.reveal().len() {
            let mut altered = key.reveal().to_owned().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            assert!(
                ApiKey::read(&String::from_utf8(altered).unwrap()).is_none(),
                "altered at {at}"
            );
        }
    }
}
