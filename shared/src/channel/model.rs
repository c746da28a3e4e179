//! What a program says of its channel, and what it knows of a partner there. Pure.

use crate::clock::Timestamp;
use crate::hours::WorkingHours;
use crate::ids::{PartnerId, ProgramId};
use crate::places::{Place, Territory};

/// Product lines of a program.
pub const MAX_PRODUCT_LINES: usize = 50;
/// Tiers of a program.
pub const MAX_TIERS: usize = 20;
/// Certifications that a program knows.
pub const MAX_CERTIFICATIONS: usize = 100;
/// Languages that a partner speaks.
pub const MAX_LANGUAGES: usize = 30;
/// Days for which a lead or a referral gives a right, at most.
pub const MAX_CLAIM_DAYS: i64 = 1_095;
/// Days for which an accepted lead gives a right unless the program says otherwise.
pub const LEAD_DAYS: u32 = 180;
/// Days for which a referral gives a right unless the program says otherwise.
pub const REFERRAL_DAYS: u32 = 90;
/// The highest weight that a partner may have among those that take turns.
pub const MAX_WEIGHT: i64 = 1_000;
/// The most open leads that a partner's capacity may be set to.
pub const MAX_OPEN_LEADS: i64 = 100_000;

/// Why somebody has a right to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimKind {
    /// The vendor sells to it itself: an open opportunity, or an account where the program counts those.
    Direct,
    /// A registered deal that is protected.
    Deal,
    /// A lead that was distributed and accepted.
    Lead,
    /// A coupon that was used.
    Coupon,
    /// The partner named the customer.
    Referral,
    /// The customer clicked on a partner's link.
    Click,
}

/// The kinds by their names, in the order in which they win unless a program says otherwise.
pub const CLAIM_KINDS: &[(&str, ClaimKind)] = &[
    ("direct", ClaimKind::Direct),
    ("deal", ClaimKind::Deal),
    ("lead", ClaimKind::Lead),
    ("coupon", ClaimKind::Coupon),
    ("referral", ClaimKind::Referral),
    ("click", ClaimKind::Click),
];

impl ClaimKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Deal => "deal",
            Self::Lead => "lead",
            Self::Coupon => "coupon",
            Self::Referral => "referral",
            Self::Click => "click",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        CLAIM_KINDS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }
}

/// What a program says of its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Program.
    pub program: ProgramId,
    /// Codes of its product lines; none where it does not tell them apart.
    pub product_lines: Vec<String>,
    /// Codes of its tiers, the lowest first.
    pub tiers: Vec<String>,
    /// Codes of the certifications that it knows.
    pub certifications: Vec<String>,
    /// Every kind of claim once, the strongest first.
    pub precedence: Vec<ClaimKind>,
    /// Whether the vendor's accounts without an open opportunity count as `direct` as well.
    pub accounts_count: bool,
    /// Days for which an accepted lead gives a right to the customer.
    pub lead_days: u32,
    /// Days for which a referral does.
    pub referral_days: u32,
    /// The IANA time zone of its days and business hours.
    pub time_zone: String,
    /// Counts changes; 0 where nothing was ever said.
    pub version: u64,
}

impl Settings {
    /// What holds for a program that has said nothing.
    #[must_use]
    pub fn unsaid(program: ProgramId) -> Self {
        Self {
            program,
            product_lines: Vec::new(),
            tiers: Vec::new(),
            certifications: Vec::new(),
            precedence: CLAIM_KINDS.iter().map(|(_, kind)| *kind).collect(),
            accounts_count: false,
            lead_days: LEAD_DAYS,
            referral_days: REFERRAL_DAYS,
            time_zone: "UTC".to_owned(),
            version: 0,
        }
    }

    /// The place of a kind in the precedence, 0 being the strongest.
    #[must_use]
    pub fn rank(&self, kind: ClaimKind) -> usize {
        let place = self.precedence.iter().position(|known| *known == kind);
        place.unwrap_or(self.precedence.len())
    }
}

/// What a program knows of a partner in its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Program.
    pub program: ProgramId,
    /// Partner.
    pub partner: PartnerId,
    /// Its tier.
    pub tier: Option<String>,
    /// Certifications that it has.
    pub certifications: Vec<String>,
    /// Product lines that it sells; none named means all.
    pub product_lines: Vec<String>,
    /// Where it sells; none named means everywhere.
    pub territories: Vec<Territory>,
    /// Languages that it speaks (two-letter codes of ISO 639).
    pub languages: Vec<String>,
    /// Open leads that it can take care of at once; `None` for any number.
    pub max_open_leads: Option<u32>,
    /// Its share where partners take turns, 1 unless told.
    pub weight: u32,
    /// Where it is.
    pub location: Option<Place>,
    /// When it takes leads; `None` for always.
    pub working_hours: Option<WorkingHours>,
    /// When that was last said.
    pub updated_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

/// Whether text may be the code of a product line, a tier or a certification.
#[must_use]
pub fn is_code(text: &str) -> bool {
    crate::programs::model::is_plan_code(text)
}

/// Whether text is a two-letter code of a language, in small letters.
#[must_use]
pub fn is_language(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase())
}
