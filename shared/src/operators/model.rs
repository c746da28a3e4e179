//! Operators and API keys: pure rules.

use crate::clock::Timestamp;
use crate::ids::{KeyId, MemberId, OperatorId, PartnerId};

/// What an operator's key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything, operators and keys included.
    Admin,
    /// Programs, plans, partners, links, coupons.
    Channel,
    /// Reversals, payouts, payout methods, funding accounts.
    Finance,
    /// Reading alone.
    Read,
}

/// The scopes by their names.
pub const SCOPES: &[(&str, Scope)] = &[
    ("admin", Scope::Admin),
    ("channel", Scope::Channel),
    ("finance", Scope::Finance),
    ("read", Scope::Read),
];

impl Scope {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Channel => "channel",
            Self::Finance => "finance",
            Self::Read => "read",
        }
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// The set of these.
    #[must_use]
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Whether one of these is in the set. `admin` allows everything; every scope allows reading.
    #[must_use]
    pub fn allow(&self, any_of: &[Scope]) -> bool {
        self.0.contains(&Scope::Admin)
            || any_of.iter().any(|wanted| {
                self.0.contains(wanted) || (*wanted == Scope::Read && !self.0.is_empty())
            })
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

/// Whom a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A person of the vendor.
    Operator(OperatorId),
    /// A partner.
    Partner(PartnerId),
}

/// A key as it is stored: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The public half.
    pub id: KeyId,
    /// SHA-256 of the whole key, hex.
    pub hash: String,
    /// Whose it is.
    pub holder: Holder,
    /// The person of the partner whose it is; `None` for the partner's own, and for operators.
    pub member: Option<MemberId>,
    /// What it allows; empty for partners, who see their own records.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped being good.
    pub revoked_at: Option<Timestamp>,
}

/// A person who works for the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// Id.
    pub id: OperatorId,
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
    /// What it may do when it is signed in, its role; empty for one who may not sign in. Keys have scopes of their own.
    pub scopes: Scopes,
    /// Since when.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}
