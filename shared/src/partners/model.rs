//! Partners, their enrolments and payout methods: pure rules.

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::Timestamp;
use crate::ids::{MemberId, OperatorId, PartnerId, ProgramId};
use crate::money::Currency;
use crate::plans::model::{Assignment, MAX_ASSIGNMENTS, assigned_at};

/// Characters of a partner's or payee's name.
pub const MAX_NAME: usize = 120;
/// Characters of one line of an address.
pub const MAX_ADDRESS_LINE: usize = 120;
/// Characters of a tax number.
pub const MAX_TAX_NUMBER: usize = 32;
/// Characters of a postcode.
pub const MAX_POSTCODE: usize = 16;
/// Uplines above a partner: what one walk to the top reads.
pub const MAX_UPLINES: usize = 10;

/// Kinds of partners by their names.
pub const PARTNER_KINDS: &[(&str, PartnerKind)] = &[
    ("affiliate", PartnerKind::Affiliate),
    ("referrer", PartnerKind::Referrer),
    ("reseller", PartnerKind::Reseller),
    ("service", PartnerKind::Service),
];

/// The officially assigned ISO 3166-1 two-letter codes.
pub const COUNTRIES: &[&str] = &[
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ",
    "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS",
    "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN",
    "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE",
    "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF",
    "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM",
    "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM",
    "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC",
    "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK",
    "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA",
    "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG",
    "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW",
    "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS",
    "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO",
    "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI",
    "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
];

/// Whether text is an ISO 3166-1 two-letter code.
#[must_use]
pub fn is_country(text: &str) -> bool {
    COUNTRIES.binary_search(&text).is_ok()
}

/// What a partner does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerKind {
    /// Sends visitors.
    Affiliate,
    /// Names prospects.
    Referrer,
    /// Buys and sells on.
    Reseller,
    /// Delivers services.
    Service,
}

impl PartnerKind {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Affiliate => "affiliate",
            Self::Referrer => "referrer",
            Self::Reseller => "reseller",
            Self::Service => "service",
        }
    }
}

/// Whether a partner earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerStatus {
    /// Earns and is paid.
    Active,
    /// Earns nothing new and is not paid; keeps what it has.
    Suspended,
    /// As suspended, and its keys open nothing any more.
    Banned,
    /// Earns nothing new; is paid what it has earned.
    Archived,
}

/// Statuses by their names.
pub const PARTNER_STATUSES: &[(&str, PartnerStatus)] = &[
    ("active", PartnerStatus::Active),
    ("suspended", PartnerStatus::Suspended),
    ("banned", PartnerStatus::Banned),
    ("archived", PartnerStatus::Archived),
];

impl PartnerStatus {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Banned => "banned",
            Self::Archived => "archived",
        }
    }

    /// Whether it is credited with what happens from now on, and may begin anything new.
    #[must_use]
    pub fn may_earn(self) -> bool {
        self == Self::Active
    }

    /// Whether it is paid what it has earned.
    #[must_use]
    pub fn is_paid(self) -> bool {
        matches!(self, Self::Active | Self::Archived)
    }

    /// Whether its keys open anything, and it may be given new ones.
    #[must_use]
    pub fn may_enter(self) -> bool {
        self != Self::Banned
    }
}

/// People that a partner may have.
pub const MAX_MEMBERS: usize = 25;

/// What a person of a partner may do for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, owners included.
    Owner,
    /// Everything but owners and managers.
    Manager,
    /// Everything but people.
    Member,
}

/// Roles by their names.
pub const ROLES: &[(&str, Role)] = &[
    ("owner", Role::Owner),
    ("manager", Role::Manager),
    ("member", Role::Member),
];

impl Role {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Member => "member",
        }
    }

    /// Whether one of this role may add, change or remove one of that role.
    #[must_use]
    pub fn may_manage(self, other: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Manager => other == Self::Member,
            Self::Member => false,
        }
    }
}

/// A person of a partner. Name and email stand apart, in a [`Contact`], so that they can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Id.
    pub id: MemberId,
    /// Of which partner.
    pub partner: PartnerId,
    /// What it may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when it was one.
    pub removed_at: Option<Timestamp>,
    /// Counts changes.
    pub version: u64,
}

/// Whether a partner with people would be left without an owner if this one became what it becomes (`None`:
/// leaves).
#[must_use]
pub fn loses_its_owner(members: &[Member], changed: MemberId, becomes: Option<Role>) -> bool {
    let is_owner = |member: &&Member| member.role == Role::Owner && member.removed_at.is_none();
    let others = members.iter().filter(|member| member.id != changed);
    let was_owner = members.iter().filter(is_owner).any(|m| m.id == changed);
    was_owner && becomes != Some(Role::Owner) && !others.filter(is_owner).any(|_| true)
}

/// A partner. Personal data stands apart, in [`Contact`], so that it can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Id.
    pub id: PartnerId,
    /// What it does.
    pub kind: PartnerKind,
    /// ISO 3166 two-letter code.
    pub country: String,
    /// Whether it earns.
    pub status: PartnerStatus,
    /// The partner that has taken over what is its, for good.
    pub merged_into: Option<PartnerId>,
    /// The partners that were merged into it, in their order, with all that had been merged into those.
    pub absorbed: Vec<PartnerId>,
    /// Since when.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

/// Partners that may be merged into one.
pub const MAX_ABSORBED: usize = 20;

/// Name and email, erasable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
}

/// A partner's place in a program: which plan pays it from when on, and whom it stands below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Partner.
    pub partner: PartnerId,
    /// Program.
    pub program: ProgramId,
    /// Plans in order of their start, the enrolment's being the first's; that may have no start and then covers
    /// all before the second.
    pub assignments: Vec<Assignment>,
    /// Uplines in order of their start; before the first it has none.
    pub uplines: Vec<Upline>,
    /// Since when it stands.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

/// The partner above another from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upline {
    /// Who; `None` when nobody is any more.
    pub partner: Option<PartnerId>,
    /// From when on; `None` from the beginning of time.
    pub from: Option<Timestamp>,
}

impl Enrolment {
    /// The enrolment with what another partner's says of the time before this one began: who takes a partner over is
    /// credited with what happened then too. `None` where that says nothing.
    #[must_use]
    pub fn with_past_of(&self, other: &Self) -> Option<Self> {
        let begins = self.assignments.first()?.from?;
        let is_before = |from: Option<Timestamp>| from.is_none_or(|from| from < begins);
        let mut assignments: Vec<Assignment> = other.assignments.clone();
        assignments.retain(|assignment| is_before(assignment.from));
        if assignments.is_empty() {
            return None;
        }
        assignments.extend(self.assignments.iter().cloned());
        let mut uplines = other.uplines.clone();
        uplines.retain(|upline| is_before(upline.from) && upline.partner != Some(self.partner));
        let own_begin = self.uplines.first().map(|upline| upline.from);
        if !uplines.is_empty() && own_begin != Some(Some(begins)) {
            uplines.push(Upline {
                partner: None,
                from: Some(begins),
            });
        }
        uplines.extend(self.uplines.iter().copied());
        // The latest are kept: of what lies so far back nothing arrives any more.
        let surplus = assignments.len().saturating_sub(MAX_ASSIGNMENTS);
        assignments.drain(..surplus);
        let surplus = uplines.len().saturating_sub(MAX_ASSIGNMENTS);
        uplines.drain(..surplus);
        Some(Self {
            assignments,
            uplines,
            version: self.version + 1,
            ..self.clone()
        })
    }

    /// Whether the partner was in the program at that time.
    #[must_use]
    pub fn covers(&self, occurred_at: Timestamp) -> bool {
        let begins = self.assignments.first().map(|first| first.from);
        begins.is_some_and(|from| from.is_none_or(|from| from <= occurred_at))
    }

    /// The plan of its own that pays an event of that time; `None` for the program's.
    #[must_use]
    pub fn plan_at(&self, occurred_at: Timestamp) -> Option<&str> {
        assigned_at(&self.assignments, occurred_at)
    }

    /// The partner that it stands below at that time.
    #[must_use]
    pub fn upline_at(&self, occurred_at: Timestamp) -> Option<PartnerId> {
        self.uplines
            .iter()
            .rev()
            .find(|upline| upline.from.is_none_or(|from| from <= occurred_at))
            .and_then(|upline| upline.partner)
    }

    /// The uplines that it has in a half-open span of time, each with the part of the span in which it is.
    fn uplines_within(&self, span: Span) -> Vec<(PartnerId, Span)> {
        let ends = self.uplines.iter().skip(1).map(|next| next.from);
        let ends = ends.chain([None]);
        let within = self.uplines.iter().zip(ends).filter_map(|(upline, end)| {
            let part = span.meet(Span {
                from: upline.from.unwrap_or(Timestamp::MIN),
                until: end.unwrap_or(Timestamp::MAX),
            })?;
            Some((upline.partner?, part))
        });
        within.collect()
    }
}

/// A half-open span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Timestamp,
    until: Timestamp,
}

impl Span {
    /// What two spans have in common.
    fn meet(self, other: Self) -> Option<Self> {
        let from = self.from.max(other.from);
        let until = self.until.min(other.until);
        (from < until).then_some(Self { from, until })
    }
}

/// Why a partner cannot stand below another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplineFault {
    /// The other stands below it itself, now or from a time on that is set: the way up, which comes back.
    Cycle(Vec<PartnerId>),
    /// It would have more than [`MAX_UPLINES`] above it.
    TooDeep,
}

/// Whether a partner may stand below `upline` from a moment on, for good. `above` holds the enrolments of
/// all that stand above it at any time from then on.
///
/// # Errors
/// [`UplineFault`].
pub fn check_upline(
    partner: PartnerId,
    upline: PartnerId,
    from: Timestamp,
    above: &BTreeMap<PartnerId, Enrolment>,
) -> Result<(), UplineFault> {
    let span = Span {
        from,
        until: Timestamp::MAX,
    };
    let mut ways = vec![(vec![partner, upline], span)];
    while let Some((way, span)) = ways.pop() {
        let last = way.last().copied().unwrap_or(upline);
        if last == partner {
            return Err(UplineFault::Cycle(way));
        }
        if way.len() > MAX_UPLINES + 1 {
            return Err(UplineFault::TooDeep);
        }
        let next = above.get(&last).map(|above| above.uplines_within(span));
        // Who stands above whom may change at a time that is set: each is a way of its own.
        for (next, part) in next.unwrap_or_default() {
            let way = way.iter().copied().chain([next]).collect();
            ways.push((way, part));
        }
    }
    Ok(())
}

/// What an enrolment below an upline changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relocation {
    /// The enrolment with another upline and the next version.
    Changed(Enrolment),
    /// It is so already from then on.
    Unchanged,
    /// More uplines over time than [`MAX_ASSIGNMENTS`].
    TooMany,
}

impl Enrolment {
    /// The enrolment below that partner, or nobody, from `from` on, for good: what was to begin at or after
    /// `from` no longer does.
    #[must_use]
    pub fn below(&self, upline: Option<PartnerId>, from: Timestamp) -> Relocation {
        let begins_after = |upline: &Upline| upline.from.is_some_and(|begins| begins > from);
        if !self.uplines.iter().any(begins_after) && self.upline_at(from) == upline {
            return Relocation::Unchanged;
        }
        let mut uplines = self.uplines.clone();
        uplines.retain(|upline| upline.from.is_none_or(|begins| begins < from));
        if uplines.last().and_then(|last| last.partner) != upline {
            uplines.push(Upline {
                partner: upline,
                from: Some(from),
            });
        }
        if uplines.len() > MAX_ASSIGNMENTS {
            return Relocation::TooMany;
        }
        Relocation::Changed(Self {
            uplines,
            version: self.version + 1,
            ..self.clone()
        })
    }
}

/// Where a partner's money goes. Never stored or logged as it is: sealed, or masked.
#[derive(Clone, PartialEq, Eq)]
// Few are held at a time; a box would only stand in the way of matching.
#[allow(clippy::large_enum_variant)]
pub enum Account {
    /// A PayPal wallet.
    Paypal {
        /// The wallet's email address.
        wallet: String,
    },
    /// A bank account.
    Bank(BankAccount),
}

/// A bank account with its payee.
#[derive(Clone, PartialEq, Eq)]
pub struct BankAccount {
    /// The payee's legal name.
    pub name: String,
    /// Whether the payee is a person or a company: ACH files tell them apart.
    pub payee_type: PayeeType,
    /// The payee's address.
    pub address: Address,
    /// Which account.
    pub route: BankRoute,
}

/// A postal address.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Street and number.
    pub line1: String,
    /// More.
    pub line2: Option<String>,
    /// City.
    pub city: String,
    /// State, province or county.
    pub region: Option<String>,
    /// Postcode.
    pub postcode: String,
    /// ISO 3166 two-letter code.
    pub country: String,
}

/// How a bank account is named.
#[derive(Clone, PartialEq, Eq)]
pub enum BankRoute {
    /// By IBAN and BIC.
    Iban {
        /// IBAN without blanks.
        iban: String,
        /// BIC of 8 or 11 characters.
        bic: String,
    },
    /// By US routing and account number.
    Us {
        /// Nine digits.
        routing_number: String,
        /// 4 to 17 digits.
        account_number: String,
        /// Its type.
        account_type: AccountType,
    },
}

/// Whose a bank account is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayeeType {
    /// A person's.
    #[default]
    Person,
    /// A company's.
    Company,
}

/// Types of payees by their names.
pub const PAYEE_TYPES: &[(&str, PayeeType)] = &[
    ("person", PayeeType::Person),
    ("company", PayeeType::Company),
];

impl PayeeType {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Company => "company",
        }
    }
}

/// What kind of US account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountType {
    /// Checking.
    Checking,
    /// Savings.
    Savings,
}

/// Types of US accounts by their names.
pub const ACCOUNT_TYPES: &[(&str, AccountType)] = &[
    ("checking", AccountType::Checking),
    ("savings", AccountType::Savings),
];

impl AccountType {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Savings => "savings",
        }
    }
}

/// What kind of account a partner is paid into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// A PayPal wallet.
    Paypal,
    /// A bank account.
    Bank,
}

/// Kinds of payout methods by their names.
pub const METHOD_KINDS: &[(&str, MethodKind)] =
    &[("paypal", MethodKind::Paypal), ("bank", MethodKind::Bank)];

impl MethodKind {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paypal => "paypal",
            Self::Bank => "bank",
        }
    }
}

impl Account {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> MethodKind {
        match self {
            Self::Paypal { .. } => MethodKind::Paypal,
            Self::Bank(_) => MethodKind::Bank,
        }
    }

    /// What may be shown of it: enough for its owner to know it, too little for anybody to use it.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Paypal { wallet } => {
                let (local, domain) = wallet.rsplit_once('@').unwrap_or((wallet, ""));
                let first: String = local.chars().take(1).collect();
                format!("{first}•••@{domain}")
            }
            Self::Bank(BankAccount {
                route: BankRoute::Iban { iban, .. },
                ..
            }) => {
                let head: String = iban.chars().take(4).collect();
                format!("{head} •••• {}", last_four(iban))
            }
            Self::Bank(BankAccount {
                route: BankRoute::Us { account_number, .. },
                ..
            }) => {
                // Of a number of four digits the last four would be all of it.
                let shown = account_number.len().saturating_sub(4).min(4);
                let tail = &account_number[account_number.len() - shown..];
                format!("•••• {tail}").trim_end().to_owned()
            }
        }
    }

    /// What tells one account from another, whoever it is filed under.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Paypal { wallet } => format!("paypal:{}", wallet.to_lowercase()),
            Self::Bank(BankAccount {
                route: BankRoute::Iban { iban, .. },
                ..
            }) => format!("iban:{iban}"),
            Self::Bank(BankAccount {
                route:
                    BankRoute::Us {
                        routing_number,
                        account_number,
                        ..
                    },
                ..
            }) => format!("us:{routing_number}:{account_number}"),
        }
    }
}

fn last_four(text: &str) -> &str {
    text.char_indices()
        .rev()
        .nth(3)
        .map_or(text, |(at, _)| &text[at..])
}

impl fmt::Debug for Account {
    /// Masked: accounts must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.masked())
    }
}

/// That a partner is not paid for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutHold {
    /// Who.
    pub partner: PartnerId,
    /// Until when; `None` until it is lifted.
    pub until: Option<Timestamp>,
    /// Why, in words.
    pub reason: String,
    /// Who placed it.
    pub placed_by: OperatorId,
    /// Since when.
    pub placed_at: Timestamp,
    /// When it was lifted.
    pub lifted_at: Option<Timestamp>,
    /// Counts changes.
    pub version: u64,
}

impl PayoutHold {
    /// Whether it stands at an instant.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        self.lifted_at.is_none() && self.until.is_none_or(|until| now < until)
    }
}

/// A partner's payout method as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutMethod {
    /// Whose.
    pub partner: PartnerId,
    /// Its kind.
    pub kind: MethodKind,
    /// What may be shown.
    pub masked: String,
    /// The currency the account is held in, when it was stated.
    pub currency: Option<Currency>,
    /// The account, sealed for [`PayoutMethod::place`].
    pub sealed: String,
    /// A keyed hash of the account's identity: equal accounts are recognised.
    pub reference: String,
    /// Since when it is this account.
    pub updated_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl PayoutMethod {
    /// The place that a partner's account is sealed for.
    #[must_use]
    pub fn place(partner: PartnerId) -> String {
        format!("PTR#{partner}/PAYOUT_METHOD/account")
    }
}

/// Where and how a partner is to be paid, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayInstruction {
    /// The account.
    pub account: Account,
    /// The currency the account is held in, when it was stated.
    pub currency: Option<Currency>,
    /// What may be shown of the account.
    pub masked: String,
}

/// Which VAT stands on a partner's invoices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VatTreatment {
    /// None, as for a small business.
    None,
    /// The domestic rate.
    Domestic,
    /// The recipient owes it.
    ReverseCharge,
}

impl VatTreatment {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Domestic => "domestic",
            Self::ReverseCharge => "reverse_charge",
        }
    }
}

/// The treatments by their names.
pub const VAT_TREATMENTS: &[(&str, VatTreatment)] = &[
    ("none", VatTreatment::None),
    ("domestic", VatTreatment::Domestic),
    ("reverse_charge", VatTreatment::ReverseCharge),
];

/// Who somebody is to the tax office. Never stored or logged as it is where it is a partner: sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct TaxDetails {
    /// The legal name.
    pub legal_name: String,
    /// The registered address.
    pub address: Address,
    /// The VAT identification number.
    pub vat_id: Option<String>,
    /// Another tax number.
    pub tax_id: Option<String>,
}

impl fmt::Debug for TaxDetails {
    /// Without a word of them: names and numbers must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaxDetails(•••)")
    }
}

impl TaxDetails {
    /// What may be shown of the tax number: its last four characters, fewer of a short one.
    #[must_use]
    pub fn masked_tax_id(&self) -> Option<String> {
        let number = self.tax_id.as_deref()?;
        let count = number.chars().count();
        let shown = count.saturating_sub(4).min(4);
        let tail: String = number.chars().skip(count - shown).collect();
        Some(format!("•••• {tail}").trim_end().to_owned())
    }
}

/// Whether a text can be a tax number of some country.
#[must_use]
pub fn is_tax_number(text: &str) -> bool {
    let is_sound =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" -./".contains(&byte);
    text.bytes().all(is_sound) && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// A partner's tax profile as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxProfile {
    /// Whose.
    pub partner: PartnerId,
    /// Where it pays its taxes, an ISO 3166 two-letter code.
    pub country: String,
    /// Which VAT stands on its invoices, where it is not the program's.
    pub vat_treatment: Option<VatTreatment>,
    /// The details, sealed for [`TaxProfile::place`].
    pub sealed: String,
    /// Since when they are these.
    pub updated_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl TaxProfile {
    /// The place that a partner's details are sealed for.
    #[must_use]
    pub fn place(partner: PartnerId) -> String {
        format!("PTR#{partner}/TAX_PROFILE/details")
    }
}

/// An IBAN in its electronic form, if its checksum and its country's format hold.
#[must_use]
pub fn iban(text: &str) -> Option<String> {
    use iban::IbanLike;
    let joined: String = text
        .chars()
        .filter(|c| *c != ' ')
        .collect::<String>()
        .to_ascii_uppercase();
    joined
        .parse::<iban::Iban>()
        .ok()
        .map(|iban| iban.electronic_str().to_owned())
}

/// A BIC (ISO 9362) of 8 or 11 characters, upper case. Kosovo's `XK` is in use though ISO 3166 has not
/// assigned it.
#[must_use]
pub fn bic(text: &str) -> Option<String> {
    let bic = text.trim().to_ascii_uppercase();
    if !bic.is_ascii() || !matches!(bic.len(), 8 | 11) {
        return None;
    }
    let (institution, country) = (&bic[..4], &bic[4..6]);
    let sound = institution.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (is_country(country) || country == "XK")
        && bic[6..].bytes().all(|byte| byte.is_ascii_alphanumeric());
    sound.then_some(bic)
}

/// An ABA routing number: nine digits of a prefix in use, whose weighted sum (3, 7, 1, …) is a multiple of ten.
#[must_use]
pub fn routing_number(text: &str) -> Option<String> {
    if text.len() != 9 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let prefix = text[..2].parse::<u32>().ok()?;
    let in_use = matches!(prefix, 1..=12 | 21..=32 | 61..=72 | 80);
    let sum: u32 = text
        .bytes()
        .zip([3, 7, 1, 3, 7, 1, 3, 7, 1])
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    (in_use && sum.is_multiple_of(10)).then(|| text.to_owned())
}

/// A US account number: 4 to 17 digits.
#[must_use]
pub fn account_number(text: &str) -> Option<String> {
    ((4..=17).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn enrolment(assignments: &[(&str, Option<&str>)]) -> Enrolment {
        Enrolment {
            partner: PartnerId::from_bytes([2; 16]),
            program: ProgramId::from_bytes([1; 16]),
            assignments: assignments
                .iter()
                .map(|(plan, from)| Assignment {
                    plan: Some((*plan).to_owned()),
                    from: from.map(at),
                })
                .collect(),
            uplines: Vec::new(),
            created_at: at("2026-01-01T00:00:00Z"),
            version: 1,
        }
    }

    #[test]
    fn ten_stand_above_a_partner_and_no_eleventh() {
        let id = |n: u8| PartnerId::from_bytes([n; 16]);
        let above = |count: u8| -> BTreeMap<PartnerId, Enrolment> {
            let one = |n: u8| {
                let upline = (n < count).then(|| id(n + 1));
                let uplines = upline.map(|upline| Upline {
                    partner: Some(upline),
                    from: None,
                });
                let enrolment = Enrolment {
                    partner: id(n),
                    uplines: uplines.into_iter().collect(),
                    ..enrolment(&[("a", None)])
                };
                (id(n), enrolment)
            };
            (1..=count).map(one).collect()
        };
        let checked = |count| check_upline(id(0), id(1), Timestamp::MIN, &above(count));
        assert_eq!(checked(10), Ok(()));
        assert_eq!(checked(11), Err(UplineFault::TooDeep));
        let own = check_upline(id(0), id(0), Timestamp::MIN, &BTreeMap::new());
        assert_eq!(own, Err(UplineFault::Cycle(vec![id(0), id(0)])));
    }

    fn bank(route: BankRoute) -> Account {
        Account::Bank(BankAccount {
            name: "Ada Lovelace".to_owned(),
            payee_type: PayeeType::Person,
            address: Address {
                line1: "1 Mill Lane".to_owned(),
                line2: None,
                city: "London".to_owned(),
                region: None,
                postcode: "N1 1AA".to_owned(),
                country: "GB".to_owned(),
            },
            route,
        })
    }

    #[test]
    fn each_status_says_what_can_still_be_done() {
        for (name, status) in PARTNER_STATUSES {
            assert_eq!(status.name(), *name);
            let can = (status.may_earn(), status.is_paid(), status.may_enter());
            let expected = match status {
                PartnerStatus::Active => (true, true, true),
                PartnerStatus::Suspended => (false, false, true),
                PartnerStatus::Banned => (false, false, false),
                PartnerStatus::Archived => (false, true, true),
            };
            assert_eq!(can, expected, "{name}");
        }
    }

    #[test]
    fn managers_look_after_members_and_the_last_owner_stays() {
        let manages = |role: Role| ROLES.iter().filter(|(_, o)| role.may_manage(*o)).count();
        assert_eq!(manages(Role::Owner), 3);
        assert_eq!(manages(Role::Manager), 1);
        assert_eq!(manages(Role::Member), 0);
        let member = |n: u8, role| Member {
            id: MemberId::from_bytes([n; 16]),
            partner: PartnerId::from_bytes([9; 16]),
            role,
            created_at: at("2026-01-01T00:00:00Z"),
            removed_at: None,
            version: 1,
        };
        let id = |n: u8| MemberId::from_bytes([n; 16]);
        let one = [member(1, Role::Owner), member(2, Role::Manager)];
        assert!(loses_its_owner(&one, id(1), None));
        assert!(loses_its_owner(&one, id(1), Some(Role::Member)));
        assert!(!loses_its_owner(&one, id(1), Some(Role::Owner)));
        assert!(!loses_its_owner(&one, id(2), None));
        let two = [member(1, Role::Owner), member(2, Role::Owner)];
        assert!(!loses_its_owner(&two, id(1), None));
    }

    #[test]
    fn an_enrolment_begins_with_its_first_plan_be_it_the_programs() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let enrolment = Enrolment {
            partner: PartnerId::from_bytes([2; 16]),
            program: ProgramId::from_bytes([1; 16]),
            assignments: vec![Assignment {
                plan: None,
                from: Some(at("2026-03-01T00:00:00Z")),
            }],
            uplines: Vec::new(),
            created_at: at("2026-01-01T00:00:00Z"),
            version: 1,
        };
        assert!(!enrolment.covers(at("2026-02-28T23:59:59Z")));
        assert!(enrolment.covers(at("2026-03-01T00:00:00Z")));
        assert_eq!(enrolment.plan_at(at("2026-03-01T00:00:00Z")), None);
    }

    #[test]
    fn a_hold_stands_until_its_time_or_until_it_is_lifted() {
        let now = at("2026-03-02T09:00:00Z");
        let hold = PayoutHold {
            partner: PartnerId::from_bytes([2; 16]),
            until: None,
            reason: "fraud".to_owned(),
            placed_by: OperatorId::from_bytes([5; 16]),
            placed_at: now,
            lifted_at: None,
            version: 1,
        };
        assert!(hold.stands(at("2099-01-01T00:00:00Z")));
        let dated = PayoutHold {
            until: Some(at("2026-03-03T00:00:00Z")),
            ..hold.clone()
        };
        assert!(dated.stands(now) && !dated.stands(at("2026-03-03T00:00:00Z")));
        let lifted = PayoutHold {
            lifted_at: Some(now),
            ..hold
        };
        assert!(!lifted.stands(now));
    }

    #[test]
    fn accounts_are_shown_masked() {
        let iban = bank(BankRoute::Iban {
            iban: "GB33BUKB20201555555555".to_owned(),
            bic: "BUKBGB22".to_owned(),
        });
        assert_eq!(iban.masked(), "GB33 •••• 5555");
        assert_eq!(format!("{iban:?}"), "Account(GB33 •••• 5555)");
        let us = |number: &str| {
            bank(BankRoute::Us {
                routing_number: "021000021".to_owned(),
                account_number: number.to_owned(),
                account_type: AccountType::Checking,
            })
            .masked()
        };
        assert_eq!(us("123456789"), "•••• 6789");
        assert_eq!(us("12345"), "•••• 5");
        assert_eq!(us("1234"), "••••");
        let wallet = Account::Paypal {
            wallet: "ada@example.com".to_owned(),
        };
        assert_eq!(wallet.masked(), "a•••@example.com");
    }

    #[test]
    fn ibans_are_checked_by_sum_and_country_format() {
        assert_eq!(
            iban("gb33 bukb 2020 1555 5555 55").as_deref(),
            Some("GB33BUKB20201555555555")
        );
        for wrong in [
            "GB34BUKB20201555555555",
            "GB33BUKB2020155555555",
            "ZZ33BUKB20201555555555",
            "",
        ] {
            assert_eq!(iban(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bics_have_eight_or_eleven_characters() {
        assert_eq!(bic("deutdeff").as_deref(), Some("DEUTDEFF"));
        assert_eq!(bic("DEUTDEFF500").as_deref(), Some("DEUTDEFF500"));
        for wrong in [
            "DEUTDEF",
            "DEUTDEFF5",
            "DEU1DEFF",
            "DEUTZZFF",
            "DEUTDE-F",
            "DEUTDEéF",
        ] {
            assert_eq!(bic(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn routing_numbers_are_checked_by_sum() {
        for right in ["021000021", "011401533", "122105155"] {
            assert!(routing_number(right).is_some(), "{right}");
        }
        for wrong in [
            "021000022",
            "000000000",
            "12345678",
            "991000000",
            "02100002a",
        ] {
            assert_eq!(routing_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_country_list_is_complete_and_in_order() {
        assert_eq!(COUNTRIES.len(), 249);
        assert!(COUNTRIES.is_sorted());
        assert!(is_country("GB") && is_country("JE") && !is_country("UK") && !is_country("gb"));
    }

    proptest! {
        /// Partners move about in a small program; a move is made unless something speaks against it.
        #[test]
        fn nobody_ever_stands_below_itself_and_no_allowed_move_is_refused(
            moves in prop::collection::vec((0_u8..5, prop::option::of(0_u8..5), 0_i64..6), 1..40),
        ) {
            let id = |n: u8| PartnerId::from_bytes([n; 16]);
            let day = |n: i64| Timestamp::from_second(n * 86_400).unwrap();
            let mut all: BTreeMap<PartnerId, Enrolment> = (0..5)
                .map(|n| (id(n), Enrolment { partner: id(n), ..enrolment(&[("a", None)]) }))
                .collect();
            // Whether a walk up from a partner comes back to it on any day.
            let circles = |all: &BTreeMap<PartnerId, Enrolment>| (0..7).any(|n| (0..5).any(|start| {
                let mut last = id(start);
                (0..6).any(|_| match all[&last].upline_at(day(n)) {
                    Some(next) => { last = next; next == id(start) }
                    None => { last = id(start); false }
                } && last == id(start))
            }));
            for (partner, upline, from) in moves {
                let (partner, upline) = (id(partner), upline.map(id));
                let Relocation::Changed(after) = all[&partner].below(upline, day(from)) else {
                    continue;
                };
                let mut moved = all.clone();
                moved.insert(partner, after);
                let checked = upline.map_or(Ok(()), |upline| check_upline(partner, upline, day(from), &all));
                match checked {
                    Ok(()) => {
                        prop_assert!(!circles(&moved), "{:?}", moved);
                        all = moved;
                    }
                    Err(UplineFault::Cycle(way)) => {
                        prop_assert_eq!(way.first(), way.last());
                        prop_assert!(circles(&moved), "{:?} {:?}", way, moved);
                    }
                    Err(UplineFault::TooDeep) => prop_assert!(false, "five are never too deep"),
                }
            }
        }

        #[test]
        fn another_upline_leaves_the_past_and_holds_from_its_start(
            steps in prop::collection::vec((0_i64..1_000, prop::option::of(0_u8..3)), 1..20),
            probe in 0_i64..1_000,
        ) {
            let day = |n: i64| Timestamp::from_second(n * 86_400).unwrap();
            let mut enrolment = enrolment(&[("a", None)]);
            for (from, upline) in steps {
                let before = enrolment.clone();
                let upline = upline.map(|n| PartnerId::from_bytes([n; 16]));
                if let Relocation::Changed(after) = enrolment.below(upline, day(from)) {
                    enrolment = after;
                }
                let expected = if probe < from { before.upline_at(day(probe)) } else { upline };
                prop_assert_eq!(enrolment.upline_at(day(probe)), expected);
                prop_assert!(enrolment.uplines.is_sorted_by_key(|upline| upline.from));
            }
        }

        #[test]
        fn a_routing_number_with_one_wrong_digit_is_refused(at in 2_usize..9, digit in 0_u8..10) {
            let right = "021000021";
            let mut altered = right.as_bytes().to_vec();
            altered[at] = b'0' + digit;
            let altered = String::from_utf8(altered).unwrap();
            prop_assert_eq!(routing_number(&altered).is_some(), altered == right);
        }
    }

    #[test]
    fn who_takes_over_was_there_when_the_other_was() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let partner = |byte| PartnerId::from_bytes([byte; 16]);
        let plan = |plan: &str, from: Option<&str>| Assignment {
            plan: Some(plan.to_owned()),
            from: from.map(at),
        };
        let enrolment = |byte, assignments, uplines| Enrolment {
            partner: partner(byte),
            program: ProgramId::from_bytes([9; 16]),
            assignments,
            uplines,
            created_at: at("2026-01-01T00:00:00Z"),
            version: 3,
        };
        let june = "2026-06-01T00:00:00Z";
        let above = Upline {
            partner: Some(partner(5)),
            from: None,
        };
        let ada = enrolment(
            1,
            vec![
                plan("old", None),
                plan("new", Some("2026-03-01T00:00:00Z")),
                plan("newest", Some("2026-07-01T00:00:00Z")),
            ],
            vec![above],
        );
        let bob = enrolment(2, vec![plan("standard", Some(june))], Vec::new());
        let longer = bob.with_past_of(&ada).unwrap();
        assert_eq!(longer.version, 4);
        assert_eq!(longer.plan_at(at("2026-02-01T00:00:00Z")), Some("old"));
        assert_eq!(longer.plan_at(at("2026-05-01T00:00:00Z")), Some("new"));
        assert_eq!(longer.plan_at(at("2026-08-01T00:00:00Z")), Some("standard"));
        assert_eq!(
            longer.upline_at(at("2026-05-01T00:00:00Z")),
            Some(partner(5))
        );
        assert_eq!(
            longer.upline_at(at(june)),
            None,
            "his own time is as it was"
        );
        assert_eq!(longer.with_past_of(&ada), None, "nothing lies before");
        let own = enrolment(5, vec![plan("standard", Some(june))], Vec::new());
        let own = own.with_past_of(&ada).unwrap();
        assert_eq!(
            own.upline_at(at("2026-05-01T00:00:00Z")),
            None,
            "nobody stands below itself"
        );
    }
}
