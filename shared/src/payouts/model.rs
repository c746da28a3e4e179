//! Funding accounts, batches and payouts: pure rules.
//!
//! A batch pays what is payable up to its cutoff. Planning decides per partner who is paid; reserving
//! takes the open lines of one payout, chunk by chunk; what was taken is decided on once more, because
//! lines may have been reversed in between. The file is a pure function of the frozen lines.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::ids::{
    BatchId, ConversionId, ImportId, OperatorId, PartnerId, PayoutId, ProgramId, TransferId,
};
use crate::money::{Currency, Money, MoneyError};
use crate::partners::model::{Account, Address, BankRoute, MethodKind};

/// Rows of a payment file that PayPal takes at once; of other tables as many.
pub const PAYPAL_ROWS: usize = 5_000;
/// Transfers of one SEPA message: of a kilobyte each, far below the six megabytes that a function answers.
pub const SEPA_ROWS: usize = 2_000;
/// The most that one SEPA credit transfer may be, in cents: 999,999,999.99.
pub const MAX_SEPA_MINOR: i64 = 99_999_999_999;
/// The most that one ACH entry can state, in cents: ten digits.
pub const MAX_NACHA_MINOR: i64 = 9_999_999_999;
/// The most that the controls of one ACH file can state, in cents: twelve digits.
pub const MAX_NACHA_TOTAL_MINOR: i64 = 999_999_999_999;
/// Characters of a note to the payee; PayPal takes 400.
pub const MAX_NOTE: usize = 200;
/// Currencies in which PayPal pays out. Left out are those that it takes in whole units only although
/// ISO 4217 gives them minor ones (HUF, TWD): a commission with a fraction could not be paid in them.
const PAYPAL_CURRENCIES: [&str; 22] = [
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "JPY", "MXN",
    "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "USD",
];

/// Countries whose accounts SEPA credit transfers reach, by the first two letters of their IBANs.
const SEPA_COUNTRIES: [&str; 42] = [
    "AD", "AL", "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GI",
    "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MC", "MD", "ME", "MK", "MT", "NL",
    "NO", "PL", "PT", "RO", "RS", "SE", "SI", "SK", "SM", "VA",
];

/// Whether SEPA credit transfers reach an account.
#[must_use]
pub fn is_in_sepa(iban: &str) -> bool {
    let country = iban.get(..2).unwrap_or_default();
    SEPA_COUNTRIES.contains(&country)
}

/// The way a batch is paid, and with it the format of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rail {
    /// PayPal's payouts CSV, to wallets.
    Paypal,
    /// SEPA credit transfers in euro, to accounts by IBAN: ISO 20022 `pain.001.001.09`.
    Sepa,
    /// ACH credits in dollars, to US accounts: a NACHA file of PPD and CCD entries.
    Nacha,
    /// A CSV of bank transfers in any currency, to whatever kind of bank account.
    Generic,
}

/// Rails by their names.
pub const RAILS: &[(&str, Rail)] = &[
    ("paypal", Rail::Paypal),
    ("sepa", Rail::Sepa),
    ("nacha", Rail::Nacha),
    ("generic", Rail::Generic),
];

impl Rail {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paypal => "paypal",
            Self::Sepa => "sepa",
            Self::Nacha => "nacha",
            Self::Generic => "generic",
        }
    }

    /// The rail that an account pays by unless told otherwise: its bank's own where there is one.
    #[must_use]
    pub fn of(route: &FundingRoute, currency: Currency) -> Self {
        match (route, currency.code()) {
            (FundingRoute::Paypal { .. }, _) => Self::Paypal,
            (FundingRoute::Bank(BankRoute::Iban { .. }), "EUR") => Self::Sepa,
            (FundingRoute::Bank(BankRoute::Us { .. }), "USD") => Self::Nacha,
            (FundingRoute::Bank(_), _) => Self::Generic,
        }
    }

    /// Whether payments can be made in a currency.
    #[must_use]
    pub fn pays_in(self, currency: Currency) -> bool {
        match self {
            Self::Paypal => PAYPAL_CURRENCIES.contains(&currency.code()),
            Self::Sepa => currency.code() == "EUR",
            Self::Nacha => currency.code() == "USD",
            Self::Generic => true,
        }
    }

    /// The most that one payment may be, in minor units.
    fn most(self) -> i64 {
        match self {
            Self::Sepa => MAX_SEPA_MINOR,
            Self::Nacha => MAX_NACHA_MINOR,
            Self::Paypal | Self::Generic => i64::MAX,
        }
    }

    /// Payments in a part of the file, and the most that they may be together, in minor units.
    fn part(self) -> (usize, i64) {
        match self {
            Self::Sepa => (SEPA_ROWS, i64::MAX),
            Self::Nacha => (PAYPAL_ROWS, MAX_NACHA_TOTAL_MINOR),
            Self::Paypal => (PAYPAL_ROWS, i64::MAX),
            // Rows with an address in full are long, and a function answers 6 MB at most.
            Self::Generic => (SEPA_ROWS, i64::MAX),
        }
    }
}

/// Which account the vendor pays from. Never stored or logged as it is: sealed, or masked.
#[derive(Clone, PartialEq, Eq)]
pub enum FundingRoute {
    /// A PayPal business account.
    Paypal {
        /// Its email address.
        email: String,
    },
    /// A bank account.
    Bank(BankRoute),
}

impl FundingRoute {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> MethodKind {
        match self {
            Self::Paypal { .. } => MethodKind::Paypal,
            Self::Bank(_) => MethodKind::Bank,
        }
    }

    /// What may be shown of it.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Paypal { email } => Account::Paypal {
                wallet: email.clone(),
            }
            .masked(),
            Self::Bank(BankRoute::Iban { iban, .. }) => {
                let head: String = iban.chars().take(4).collect();
                format!("{head} •••• {}", &iban[iban.len().saturating_sub(4)..])
            }
            Self::Bank(BankRoute::Us { account_number, .. }) => {
                // Of a number of four digits the last four would be all of it.
                let shown = account_number.len().saturating_sub(4).min(4);
                format!("•••• {}", &account_number[account_number.len() - shown..])
                    .trim_end()
                    .to_owned()
            }
        }
    }
}

impl fmt::Debug for FundingRoute {
    /// Masked: accounts must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FundingRoute({})", self.masked())
    }
}

/// What a bank's file says of the account that pays. Never stored or logged as it is: sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Payer {
    /// The legal name of its holder.
    pub holder: String,
    /// The holder's address, where the bank wants it.
    pub address: Option<Address>,
    /// The account.
    pub route: BankRoute,
    /// What an ACH file says besides.
    pub ach: Option<AchOrigin>,
}

impl fmt::Debug for Payer {
    /// Masked: accounts must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Payer({})",
            FundingRoute::Bank(self.route.clone()).masked()
        )
    }
}

/// What an ACH file says of the company that pays and of the bank that it is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AchOrigin {
    /// The company's id, which is the file's immediate origin too: ten characters.
    pub company_id: String,
    /// The routing number that the file is sent to.
    pub destination: String,
    /// The name of the bank that it is sent to.
    pub bank_name: String,
    /// What payees read: ten characters.
    pub entry_description: String,
}

impl AchOrigin {
    /// Characters of the bank's name.
    pub const MAX_BANK_NAME: usize = 23;
    /// Characters of what payees read.
    pub const MAX_DESCRIPTION: usize = 10;
    /// What payees read unless told otherwise.
    pub const DESCRIPTION: &'static str = "COMMISSION";

    /// Whether text can be a company's id: ten capital letters and digits.
    #[must_use]
    pub fn is_company_id(text: &str) -> bool {
        text.len() == 10
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    }
}

/// The vendor's paying account, named by a slug of the caller's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundingAccount {
    /// 1 to 32 characters of `a-z`, `0-9` and `-`.
    pub id: String,
    /// Name.
    pub name: String,
    /// What kind of account it is.
    pub kind: MethodKind,
    /// The way it pays.
    pub rail: Rail,
    /// In which currency.
    pub currency: Currency,
    /// The legal name of its holder, where the rail's file states it.
    pub holder: Option<String>,
    /// The account as people may see it, such as `GB33 •••• 5555`.
    pub masked: String,
    /// The account itself and what its bank's file says of it, sealed for [`FundingAccount::place`].
    pub sealed: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl FundingAccount {
    /// The place that an account's details are sealed for.
    #[must_use]
    pub fn place(id: &str) -> String {
        format!("FUND#{id}/account")
    }

    /// Whether a text can name a funding account.
    #[must_use]
    pub fn is_slug(text: &str) -> bool {
        (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }
}

/// How far a batch has come, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Walks the payable lines, partner by partner.
    Planning,
    /// Every payout stands; each is being reserved or is.
    Planned,
    /// Its file was downloaded: frozen for ever.
    Submitted,
    /// Called off: its payouts are given back, one by one.
    Cancelling,
    /// Called off, and every payout of it is given back.
    Cancelled,
}

impl BatchState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Planning,
        Self::Planned,
        Self::Submitted,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Planned => "planned",
            Self::Submitted => "submitted",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where the planning of a batch stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The shard of payable lines it is in.
    pub shard: u8,
    /// The position in the shard up to which everything is decided.
    pub after: Option<String>,
    /// Counts the steps, so that of two runs only one counts a step.
    pub step: u64,
}

/// What a batch came to, known once every payout of it is reserved or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// Payouts that are paid.
    pub payouts: u64,
    /// Their sum.
    pub amount: Money,
}

/// A second person's consent to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who.
    pub by: OperatorId,
    /// When.
    pub at: Timestamp,
}

/// Why a batch is not paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledOff {
    /// Who called it off.
    pub by: OperatorId,
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// A payout batch of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Id.
    pub id: BatchId,
    /// Its program.
    pub program: ProgramId,
    /// Lines payable until then, inclusively, are paid.
    pub cutoff: Timestamp,
    /// Nobody is paid less; zero when everything above zero is paid.
    pub minimum: Money,
    /// The account that pays.
    pub funding_account: String,
    /// How it is paid.
    pub rail: Rail,
    /// How far it has come.
    pub state: BatchState,
    /// Where planning stands.
    pub walk: Walk,
    /// Who asked for it.
    pub created_by: OperatorId,
    /// Since when.
    pub created_at: Timestamp,
    /// When its file was first downloaded.
    pub submitted_at: Option<Timestamp>,
    /// What was frozen then.
    pub frozen: Option<Total>,
    /// The SHA-256 of each part of the file, in hexadecimal: whatever is downloaded later has these.
    pub digests: Vec<String>,
    /// The account that pays, as a bank's file states it: frozen then too, sealed for [`Batch::payer_place`].
    pub payer: Option<String>,
    /// More than that is paid only with a second person's consent; as the program had it when the batch was made.
    pub approval_above: Option<Money>,
    /// That consent.
    pub approval: Option<Approval>,
    /// That and why it is not paid.
    pub called_off: Option<CalledOff>,
}

impl Batch {
    /// The terms on which partners are paid.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            minimum: self.minimum,
            rail: self.rail,
        }
    }

    /// The place that the account that pays a batch is sealed for.
    #[must_use]
    pub fn payer_place(id: BatchId) -> String {
        format!("BATCH#{id}/payer")
    }

    /// The id of a program's batch: of one cutoff and one paying account there is one, whoever asks for it.
    #[must_use]
    pub fn id_of(program: ProgramId, cutoff: Timestamp, funding_account: &str) -> BatchId {
        BatchId::derived(&[
            &program.to_string(),
            &crate::clock::stamp(cutoff),
            funding_account,
        ])
    }

    /// Where the batch stands, given what became of its payouts so far.
    #[must_use]
    pub fn stage(&self, resolved: Resolved) -> Stage {
        match self.state {
            BatchState::Planning => Stage::Planning,
            BatchState::Submitted => Stage::Submitted,
            BatchState::Cancelling => Stage::Cancelling,
            BatchState::Cancelled => Stage::Cancelled,
            BatchState::Planned if resolved.planned > 0 => Stage::Reserving,
            BatchState::Planned if resolved.reserved == 0 => Stage::Empty,
            BatchState::Planned => match self.approval {
                Some(_) => Stage::Approved,
                None if self.needs_approval(resolved.reserved_minor) => Stage::AwaitingApproval,
                None => Stage::Reserved,
            },
        }
    }

    /// Whether so much is paid only with a second person's consent.
    #[must_use]
    pub fn needs_approval(&self, total_minor: i64) -> bool {
        self.approval_above
            .is_some_and(|above| total_minor > above.minor())
    }

    /// What an operator's consent means now.
    ///
    /// # Errors
    /// Why it is none.
    pub fn approve(&self, by: OperatorId, stage: Stage) -> Result<Step, NoApproval> {
        match stage {
            Stage::Approved => Ok(Step::Already),
            // It paid at that amount because somebody had agreed.
            Stage::Submitted if self.approval.is_some() => Ok(Step::Already),
            Stage::AwaitingApproval if by == self.created_by => Err(NoApproval::Maker),
            Stage::AwaitingApproval => Ok(Step::Now),
            Stage::Planning | Stage::Reserving => Err(NoApproval::NotReady),
            Stage::Reserved
            | Stage::Empty
            | Stage::Submitted
            | Stage::Cancelling
            | Stage::Cancelled => Err(NoApproval::NotNeeded(stage)),
        }
    }

    /// What calling it off means now: as long as its file was not downloaded.
    ///
    /// # Errors
    /// `Submitted`.
    pub fn call_off(&self) -> Result<Step, Stage> {
        match self.state {
            BatchState::Planning | BatchState::Planned => Ok(Step::Now),
            BatchState::Cancelling | BatchState::Cancelled => Ok(Step::Already),
            BatchState::Submitted => Err(Stage::Submitted),
        }
    }
}

/// Why consent to a batch is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoApproval {
    /// Whoever made it cannot agree to it.
    Maker,
    /// What it pays is not known yet.
    NotReady,
    /// It waits for nobody's consent.
    NotNeeded(Stage),
}

/// How often a program pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// When an operator asks for a batch.
    Manual,
    /// Once a week, as that day begins.
    Weekly(Weekday),
    /// Once a month, as that day begins: 1 to 28.
    Monthly(i8),
}

/// Days of the week by their names.
pub const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];
/// The last day of the month that every month has.
pub const LAST_DAY: i64 = 28;
/// Days that a cutoff may lie before its batch.
pub const MAX_CUTOFF_DAYS: i64 = 90;
/// Characters of a time zone's name.
pub const MAX_ZONE: usize = 64;

/// When batches are made without being asked for, and from what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regular {
    /// The time zone in which days begin, as the IANA names it.
    pub time_zone: String,
    /// Lines that were payable so many days before are paid.
    pub cutoff_days: u32,
    /// The account that pays.
    pub funding_account: String,
    /// As which day the next batch is made begins.
    pub next_at: Timestamp,
}

/// How a program pays: when, from what amount on, and above which with a second person's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Whose.
    pub program: ProgramId,
    /// How often.
    pub cadence: Cadence,
    /// How batches are made, where they are made regularly.
    pub regular: Option<Regular>,
    /// Nobody is paid less, unless a batch is asked for with another minimum.
    pub minimum: Option<Money>,
    /// A batch of more is paid only with a second person's consent.
    pub approval_above: Option<Money>,
    /// Who set it last: the maker of the batches that it makes.
    pub set_by: OperatorId,
    /// When.
    pub updated_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

/// A time zone by its IANA name.
#[must_use]
pub fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

impl Cadence {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Weekly(_) => "weekly",
            Self::Monthly(_) => "monthly",
        }
    }

    /// The first beginning of one of its days after an instant, in a time zone; `None` for what is not regular.
    #[must_use]
    pub fn next_after(self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Of today the beginning has passed.
        let today = at.to_zoned(zone.clone()).date();
        let day = match self {
            Self::Manual => return None,
            Self::Weekly(weekday) => today.nth_weekday(1, weekday).ok()?,
            Self::Monthly(day) if today.day() < day => today.with().day(day).build().ok()?,
            Self::Monthly(day) => {
                let month = today.first_of_month().checked_add(1.month()).ok()?;
                month.with().day(day).build().ok()?
            }
        };
        Some(day.to_zoned(zone.clone()).ok()?.timestamp())
    }
}

impl Regular {
    /// Until when lines are paid by the next batch: as that day begins, so many days before.
    #[must_use]
    pub fn cutoff(&self) -> Timestamp {
        let before = || {
            let zone = time_zone(&self.time_zone)?;
            let day = self.next_at.to_zoned(zone.clone()).date();
            let day = day.checked_sub(i64::from(self.cutoff_days).days()).ok()?;
            Some(day.to_zoned(zone).ok()?.timestamp())
        };
        before().unwrap_or_else(|| crate::clock::days_before(self.next_at, self.cutoff_days))
    }
}

/// What became of a batch's payouts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Still being reserved.
    pub planned: u64,
    /// Reserved and frozen.
    pub reserved: u64,
    /// Their sum in minor units.
    pub reserved_minor: i64,
    /// Partners that are left out, for whatever reason and whenever decided.
    pub left_out: u64,
    /// Parts of the file of those that are reserved so far.
    pub parts: u64,
}

/// What became of a batch's payouts, from their lines. Who is left out is not among them.
///
/// # Errors
/// `OverLimit`.
pub fn resolved(rail: Rail, lines: &[BatchLine]) -> Result<Resolved, MoneyError> {
    let mut sum = Resolved {
        parts: parts(rail, &amounts(lines)).len() as u64,
        ..Resolved::default()
    };
    for line in lines {
        match &line.stage {
            LineStage::Planned => sum.planned += 1,
            LineStage::Withdrawn => {}
            LineStage::Frozen(instruction) => {
                sum.reserved += 1;
                sum.reserved_minor = sum
                    .reserved_minor
                    .checked_add(instruction.amount.minor())
                    .ok_or(MoneyError::OverLimit)?;
            }
        }
    }
    Ok(sum)
}

/// Where a batch stands, as callers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Who is paid is being decided.
    Planning,
    /// Money is being reserved.
    Reserving,
    /// All is reserved, and it is more than is paid without a second person's consent.
    AwaitingApproval,
    /// A second person has agreed: the file can be downloaded.
    Approved,
    /// All is reserved: the file can be downloaded.
    Reserved,
    /// Nobody is paid by it.
    Empty,
    /// The file was downloaded.
    Submitted,
    /// Called off: its payouts are being given back.
    Cancelling,
    /// Called off: all of it is payable again.
    Cancelled,
}

impl Stage {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Reserving => "planned",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Reserved => "reserved",
            Self::Empty => "empty",
            Self::Submitted => "submitted",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a payout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutState {
    /// Its lines are being taken.
    Planned,
    /// All its lines are taken and its instruction is frozen.
    Reserved,
    /// The money arrived.
    Settled,
    /// The money came back; its lines are payable again.
    Returned,
    /// Given back before it was submitted, because too little was left of it.
    Withdrawn,
    /// Given back before it was submitted, because its batch was called off.
    Cancelled,
}

impl PayoutState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Planned,
        Self::Reserved,
        Self::Settled,
        Self::Returned,
        Self::Withdrawn,
        Self::Cancelled,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Reserved => "reserved",
            Self::Settled => "settled",
            Self::Returned => "returned",
            Self::Withdrawn => "withdrawn",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether its lines are payable again, now or in a moment.
    #[must_use]
    pub fn gives_back(self) -> bool {
        matches!(self, Self::Returned | Self::Withdrawn | Self::Cancelled)
    }
}

/// One partner's payout in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Derived from batch and partner.
    pub id: PayoutId,
    /// Its batch.
    pub batch: BatchId,
    /// Who is paid.
    pub partner: PartnerId,
    /// For which program.
    pub program: ProgramId,
    /// Lines payable until then.
    pub cutoff: Timestamp,
    /// The batch's terms.
    pub terms: Terms,
    /// Where it stands.
    pub state: PayoutState,
    /// Chunks of lines taken.
    pub chunks: u32,
    /// Chunks given back after a return.
    pub reopened: u32,
    /// Lines taken.
    pub lines: u64,
    /// Their sum.
    pub amount: Money,
    /// Since when.
    pub created_at: Timestamp,
    /// When the money arrived.
    pub settled_at: Option<Timestamp>,
    /// When and why it came back.
    pub returned: Option<Returned>,
}

/// A payout's return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// When it was reported.
    pub at: Timestamp,
    /// Why, in words.
    pub reason: String,
    /// What shows it, such as a bank's reference.
    pub evidence: String,
}

impl Payout {
    /// The id of a partner's payout in a batch: whoever plans it again meets the same.
    #[must_use]
    pub fn id_of(batch: BatchId, partner: PartnerId) -> PayoutId {
        PayoutId::derived(&[&batch.to_string(), &partner.to_string()])
    }

    /// What settling it means now.
    ///
    /// # Errors
    /// The state that does not allow it.
    pub fn settle(&self) -> Result<Step, PayoutState> {
        match self.state {
            PayoutState::Reserved => Ok(Step::Now),
            PayoutState::Settled => Ok(Step::Already),
            other => Err(other),
        }
    }

    /// What its return means now: a payout may come back before and after it arrived.
    ///
    /// # Errors
    /// The state that does not allow it.
    pub fn come_back(&self) -> Result<Step, PayoutState> {
        match self.state {
            PayoutState::Reserved | PayoutState::Settled => Ok(Step::Now),
            PayoutState::Returned => Ok(Step::Already),
            other => Err(other),
        }
    }
}

/// What a row of a return file comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The payout came back: it is returned.
    Returned,
    /// It was returned before.
    Already,
    /// There is no such payout.
    Unknown,
    /// It does not stand in this batch's file.
    NotInThisBatch,
    /// It says of nothing that it came back.
    Ignored,
    /// It cannot be read.
    Unreadable,
}

impl Verdict {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Already => "already",
            Self::Unknown => "unknown",
            Self::NotInThisBatch => "not_in_this_batch",
            Self::Ignored => "ignored",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A payout that a return file reports, to be returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comeback {
    /// Which.
    pub payout: PayoutId,
    /// Why, in words.
    pub reason: String,
    /// What shows it.
    pub evidence: String,
}

/// A return file's payouts: written down at once, returned one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Id.
    pub id: ImportId,
    /// Of which batch.
    pub batch: BatchId,
    /// What came back.
    pub comebacks: Vec<Comeback>,
    /// How many of them are returned.
    pub done: usize,
    /// Who sent it.
    pub by: OperatorId,
    /// When.
    pub at: Timestamp,
}

/// Whether a request has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is to be done.
    Now,
    /// It was done before; nothing moves.
    Already,
}

/// What a line is: a commission, or one that was taken back after it had been in a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LineId {
    /// The outcome of a conversion.
    Commission(ConversionId),
    /// A transfer that takes a commission back.
    Clawback(TransferId),
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commission(id) => id.fmt(f),
            Self::Clawback(id) => id.fmt(f),
        }
    }
}

/// On which terms partners are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Nobody is paid less.
    pub minimum: Money,
    /// How the batch pays.
    pub rail: Rail,
}

/// The open lines of one partner, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub lines: u64,
    /// Their sum in minor units.
    pub minor: i64,
}

impl Tally {
    /// With one more line.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn plus(self, minor: i64) -> Result<Self, MoneyError> {
        Ok(Self {
            lines: self.lines + 1,
            minor: self.minor.checked_add(minor).ok_or(MoneyError::OverLimit)?,
        })
    }
}

/// The open lines summed by partner.
///
/// # Errors
/// `OverLimit`.
pub fn tally(
    lines: impl IntoIterator<Item = (PartnerId, i64)>,
) -> Result<BTreeMap<PartnerId, Tally>, MoneyError> {
    let mut tallies = BTreeMap::<PartnerId, Tally>::new();
    for (partner, minor) in lines {
        let tally = tallies.entry(partner).or_default();
        *tally = tally.plus(minor)?;
    }
    Ok(tallies)
}

/// What is known of a payee when it is decided whether to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payee {
    /// Whether it earns and is paid.
    pub suspended: bool,
    /// Whether it was merged into another, who is paid what is its.
    pub merged: bool,
    /// Whether its payouts are on hold.
    pub on_hold: bool,
    /// Whether the batch's rail reaches the account that it wants to be paid into, or why not; `None` when it
    /// has not said how it wants to be paid.
    pub method: Option<Result<(), LeftOut>>,
}

/// Why a partner is left out of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It was merged into another, who is paid instead.
    Merged,
    /// It is suspended.
    Suspended,
    /// Its payouts are on hold.
    OnHold,
    /// More was taken back than earned; the next batch carries it.
    NegativeBalance,
    /// What was earned and what was taken back are equal.
    NothingToPay,
    /// Less than the batch's minimum; the next batch carries it.
    BelowMinimum,
    /// It has not said how it wants to be paid.
    NoPayoutMethod,
    /// It wants to be paid otherwise than this batch pays.
    PayoutMethodDiffers,
    /// Its wallet or its name has no characters that the file takes.
    PayoutMethodRefused,
    /// Its IBAN is of a country that SEPA does not reach.
    OutsideSepa,
    /// More than the file can state in one payment.
    AmountOverFormat,
}

impl LeftOut {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Merged,
        Self::Suspended,
        Self::OnHold,
        Self::NegativeBalance,
        Self::NothingToPay,
        Self::BelowMinimum,
        Self::NoPayoutMethod,
        Self::PayoutMethodDiffers,
        Self::PayoutMethodRefused,
        Self::OutsideSepa,
        Self::AmountOverFormat,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Suspended => "suspended",
            Self::OnHold => "on_hold",
            Self::NegativeBalance => "negative_balance",
            Self::NothingToPay => "nothing_to_pay",
            Self::BelowMinimum => "below_minimum",
            Self::NoPayoutMethod => "no_payout_method",
            Self::PayoutMethodDiffers => "payout_method_differs",
            Self::PayoutMethodRefused => "payout_method_refused",
            Self::OutsideSepa => "outside_sepa",
            Self::AmountOverFormat => "amount_over_format",
        }
    }
}

/// Whether a partner with these open lines is paid. Of several reasons against it the first counts, in
/// the order of [`LeftOut::ALL`]: whether at all, then how much, then how.
///
/// # Errors
/// Why it is left out.
pub fn decide(minor: i64, payee: Payee, terms: Terms) -> Result<Money, LeftOut> {
    if payee.merged {
        return Err(LeftOut::Merged);
    }
    if payee.suspended {
        return Err(LeftOut::Suspended);
    }
    if payee.on_hold {
        return Err(LeftOut::OnHold);
    }
    if minor < 0 {
        return Err(LeftOut::NegativeBalance);
    }
    if minor == 0 {
        return Err(LeftOut::NothingToPay);
    }
    if minor < terms.minimum.minor() {
        return Err(LeftOut::BelowMinimum);
    }
    payee.method.ok_or(LeftOut::NoPayoutMethod)??;
    if minor > terms.rail.most() {
        return Err(LeftOut::AmountOverFormat);
    }
    Ok(Money::new(minor, terms.minimum.currency()))
}

/// A partner that a batch leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// Who.
    pub partner: PartnerId,
    /// Why.
    pub reason: LeftOut,
    /// What stays open.
    pub amount: Money,
    /// Its payout, when the decision fell only after lines had been reserved.
    pub payout: Option<PayoutId>,
}

/// A payout as its batch has it. It is written with the payout itself, so a batch knows all its payouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    /// Which payout.
    pub payout: PayoutId,
    /// Who is paid.
    pub partner: PartnerId,
    /// What became of it.
    pub stage: LineStage,
}

/// What became of a payout before its batch was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineStage {
    /// Being reserved.
    Planned,
    /// Reserved: this is paid.
    Frozen(Instruction),
    /// Given back: too little was left of it, or the batch was called off.
    Withdrawn,
}

/// What is paid, frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// How much.
    pub amount: Money,
    /// The payee's account as people may see it.
    pub masked: String,
    /// The payee's account, sealed for [`BatchLine::place`].
    pub sealed: String,
    /// What the payee reads beside the payment.
    pub note: String,
}

impl BatchLine {
    /// The place that a line's instruction is sealed for.
    #[must_use]
    pub fn place(batch: BatchId, payout: PayoutId) -> String {
        format!("BATCH#{batch}/LINE#{payout}/instruction")
    }
}

/// One row of a payment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The payee's wallet.
    pub wallet: String,
    /// How much.
    pub amount: Money,
    /// Which payout.
    pub payout: PayoutId,
    /// What the payee reads.
    pub note: String,
}

/// What the payee reads beside a payment: the program and the cutoff's day.
#[must_use]
pub fn note(program: &str, cutoff: Timestamp) -> String {
    let day = &crate::clock::stamp(cutoff)[..10];
    harmless(&format!("{program}: commissions until {day}"))
}

/// A text that no spreadsheet takes for a formula: control characters become blanks, a first character
/// that would begin a formula is preceded by an apostrophe, and the length has its limit.
#[must_use]
pub fn harmless(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let plain = plain.trim();
    let guard = if begins_formula(plain) { "'" } else { "" };
    format!("{guard}{plain}").chars().take(MAX_NOTE).collect()
}

/// Whether a wallet can stand in a file: it has no blanks and no spreadsheet takes it for a formula. A
/// telephone number may begin with its plus.
#[must_use]
pub fn is_fit_wallet(wallet: &str) -> bool {
    let is_phone = wallet.strip_prefix('+').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_phone
        || (!wallet.is_empty()
            && !begins_formula(wallet)
            && !wallet
                .chars()
                .any(|letter| letter.is_whitespace() || letter.is_control()))
}

fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// What a batch's frozen lines come to, in minor units and in their order.
#[must_use]
pub fn amounts(lines: &[BatchLine]) -> Vec<i64> {
    lines
        .iter()
        .filter_map(|line| match &line.stage {
            LineStage::Frozen(instruction) => Some(instruction.amount.minor()),
            LineStage::Planned | LineStage::Withdrawn => None,
        })
        .collect()
}

/// Which payments stand in which part of a rail's file: as many as fit, in their order. Of none, no part.
#[must_use]
pub fn parts(rail: Rail, amounts: &[i64]) -> Vec<Range<usize>> {
    let (most, most_together) = rail.part();
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut together = 0_i64;
    for (at, minor) in amounts.iter().enumerate() {
        let grown = together.saturating_add(*minor);
        match parts.last_mut() {
            Some(part) if part.len() < most && grown <= most_together => {
                part.end += 1;
                together = grown;
            }
            _ => {
                parts.push(at..at + 1);
                together = *minor;
            }
        }
    }
    parts
}

/// A PayPal payouts file: no header; wallet, amount, currency, payout id, note, `PAYPAL`; lines end in
/// CR LF. The same rows give the same bytes.
///
/// # Errors
/// None for rows as they are made here; the writer's otherwise.
pub fn paypal_csv(rows: &[Row]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for Row {
        wallet,
        amount,
        payout,
        note,
    } in rows
    {
        writer.write_record([
            wallet.as_str(),
            &amount.to_string(),
            amount.currency().code(),
            &payout.to_string(),
            note,
            "PAYPAL",
        ])?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const READY: Payee = Payee {
        suspended: false,
        merged: false,
        on_hold: false,
        method: Some(Ok(())),
    };

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn terms(minimum: &str) -> Terms {
        Terms {
            minimum: Money::parse(minimum, gbp()).unwrap(),
            rail: Rail::Paypal,
        }
    }

    fn ptr(n: u8) -> PartnerId {
        PartnerId::from_bytes([n; 16])
    }

    fn sum(lines: &[i64]) -> i64 {
        tally(lines.iter().map(|minor| (ptr(1), *minor)))
            .unwrap()
            .get(&ptr(1))
            .map_or(0, |tally| tally.minor)
    }

    fn planned() -> Batch {
        Batch {
            id: BatchId::from_bytes([2; 16]),
            program: ProgramId::from_bytes([4; 16]),
            cutoff: Timestamp::UNIX_EPOCH,
            minimum: Money::zero(gbp()),
            funding_account: "main".to_owned(),
            rail: Rail::Paypal,
            state: BatchState::Planned,
            walk: Walk::default(),
            created_by: OperatorId::from_bytes([5; 16]),
            created_at: Timestamp::UNIX_EPOCH,
            submitted_at: None,
            frozen: None,
            digests: Vec::new(),
            payer: None,
            approval_above: None,
            approval: None,
            called_off: None,
        }
    }

    #[test]
    fn three_lines_stay_below_the_minimum_and_a_fourth_is_paid() {
        assert_eq!(
            decide(sum(&[1470; 3]), READY, terms("50.00")),
            Err(LeftOut::BelowMinimum)
        );
        let paid = decide(sum(&[1470; 4]), READY, terms("50.00")).unwrap();
        assert_eq!(paid.to_string(), "58.80");
    }

    #[test]
    fn what_was_taken_back_after_a_payout_is_a_negative_line_of_the_next() {
        assert_eq!(
            decide(sum(&[-1470]), READY, terms("0.00")),
            Err(LeftOut::NegativeBalance)
        );
        assert_eq!(
            decide(sum(&[-1470, 1470]), READY, terms("0.00")),
            Err(LeftOut::NothingToPay)
        );
        let paid = decide(sum(&[-1470, 5000, 1470]), READY, terms("50.00")).unwrap();
        assert_eq!(paid.to_string(), "50.00", "the minimum itself is paid");
    }

    #[test]
    fn each_reason_to_leave_a_partner_out_is_told() {
        for (minor, suspended, method, reason) in [
            (9_900, true, READY.method, LeftOut::Suspended),
            (-1, false, READY.method, LeftOut::NegativeBalance),
            (0, false, READY.method, LeftOut::NothingToPay),
            (4_999, false, READY.method, LeftOut::BelowMinimum),
            (5_000, false, None, LeftOut::NoPayoutMethod),
            (
                5_000,
                false,
                Some(Err(LeftOut::PayoutMethodDiffers)),
                LeftOut::PayoutMethodDiffers,
            ),
        ] {
            assert_eq!(
                decide(
                    minor,
                    Payee {
                        suspended,
                        method,
                        ..READY
                    },
                    terms("50.00")
                ),
                Err(reason)
            );
        }
        let merged = Payee {
            merged: true,
            suspended: true,
            ..READY
        };
        assert_eq!(decide(9_900, merged, terms("50.00")), Err(LeftOut::Merged));
        let held = Payee {
            on_hold: true,
            ..READY
        };
        assert_eq!(decide(9_900, held, terms("50.00")), Err(LeftOut::OnHold));
        for (rail, most) in [(Rail::Nacha, MAX_NACHA_MINOR), (Rail::Sepa, MAX_SEPA_MINOR)] {
            let terms = Terms {
                rail,
                ..terms("50.00")
            };
            assert!(decide(most, READY, terms).is_ok());
            assert_eq!(
                decide(most + 1, READY, terms),
                Err(LeftOut::AmountOverFormat)
            );
        }
    }

    #[test]
    fn a_payout_settles_once_and_comes_back_once() {
        let payout = |state| Payout {
            id: PayoutId::from_bytes([1; 16]),
            batch: BatchId::from_bytes([2; 16]),
            partner: ptr(3),
            program: ProgramId::from_bytes([4; 16]),
            cutoff: Timestamp::UNIX_EPOCH,
            terms: terms("0.00"),
            state,
            chunks: 1,
            reopened: 0,
            lines: 4,
            amount: Money::new(5_880, gbp()),
            created_at: Timestamp::UNIX_EPOCH,
            settled_at: None,
            returned: None,
        };
        let wrong = PayoutState::Planned;
        assert_eq!(payout(PayoutState::Reserved).settle(), Ok(Step::Now));
        assert_eq!(payout(PayoutState::Settled).settle(), Ok(Step::Already));
        assert_eq!(
            payout(PayoutState::Returned).settle(),
            Err(PayoutState::Returned)
        );
        assert_eq!(payout(PayoutState::Settled).come_back(), Ok(Step::Now));
        assert_eq!(payout(PayoutState::Returned).come_back(), Ok(Step::Already));
        assert_eq!(payout(wrong).come_back(), Err(wrong));
    }

    #[test]
    fn a_batch_is_ready_when_each_payout_is_reserved_or_given_back() {
        let batch = planned();
        let stage = |planned, reserved| {
            batch.stage(Resolved {
                planned,
                reserved,
                ..Resolved::default()
            })
        };
        assert_eq!(stage(1, 1), Stage::Reserving);
        assert_eq!(stage(0, 1), Stage::Reserved);
        assert_eq!(stage(0, 0), Stage::Empty);
        let large = Batch {
            approval_above: Some(Money::new(5_879, gbp())),
            ..batch.clone()
        };
        let resolved = |reserved_minor| Resolved {
            reserved: 1,
            reserved_minor,
            ..Resolved::default()
        };
        assert_eq!(large.stage(resolved(5_879)), Stage::Reserved);
        let waits = large.stage(resolved(5_880));
        assert_eq!(waits, Stage::AwaitingApproval);
        let (maker, other) = (large.created_by, OperatorId::from_bytes([6; 16]));
        assert_eq!(large.approve(maker, waits), Err(NoApproval::Maker));
        assert_eq!(large.approve(other, waits), Ok(Step::Now));
        assert_eq!(
            large.approve(other, Stage::Reserving),
            Err(NoApproval::NotReady)
        );
        let approved = Batch {
            approval: Some(Approval {
                by: other,
                at: Timestamp::UNIX_EPOCH,
            }),
            ..large
        };
        assert_eq!(approved.stage(resolved(5_880)), Stage::Approved);
        assert_eq!(approved.approve(maker, Stage::Approved), Ok(Step::Already));
        let planning = Batch {
            state: BatchState::Planning,
            ..batch
        };
        assert_eq!(
            planning.stage(Resolved {
                reserved: 1,
                ..Resolved::default()
            }),
            Stage::Planning
        );
    }

    #[test]
    fn consent_to_a_submitted_batch_counts_once_and_only_where_it_was_given() {
        let submitted = Batch {
            state: BatchState::Submitted,
            ..planned()
        };
        let other = OperatorId::from_bytes([6; 16]);
        assert_eq!(
            submitted.approve(other, Stage::Submitted),
            Err(NoApproval::NotNeeded(Stage::Submitted))
        );
        let agreed = Batch {
            approval: Some(Approval {
                by: other,
                at: Timestamp::UNIX_EPOCH,
            }),
            ..submitted
        };
        assert_eq!(agreed.approve(other, Stage::Submitted), Ok(Step::Already));
        for stage in [
            Stage::Reserved,
            Stage::Empty,
            Stage::Cancelling,
            Stage::Cancelled,
        ] {
            assert_eq!(
                agreed.approve(other, stage),
                Err(NoApproval::NotNeeded(stage))
            );
        }
    }

    #[test]
    fn each_rail_pays_in_its_own_currencies() {
        for (rail, paid, refused) in [
            (
                Rail::Paypal,
                &["GBP", "USD", "EUR"][..],
                &["KWD", "INR"][..],
            ),
            (Rail::Sepa, &["EUR"], &["GBP", "USD"]),
            (Rail::Nacha, &["USD"], &["EUR", "GBP"]),
            (Rail::Generic, &["EUR", "USD", "KWD"], &[]),
        ] {
            for code in paid {
                assert!(rail.pays_in(code.parse().unwrap()), "{rail:?} {code}");
            }
            for code in refused {
                assert!(!rail.pays_in(code.parse().unwrap()), "{rail:?} {code}");
            }
        }
    }

    #[test]
    fn a_paying_account_is_named_by_small_letters_digits_and_hyphens() {
        for name in ["main", "gbp-2", "2026", "-", &"a".repeat(32)] {
            assert!(FundingAccount::is_slug(name), "{name}");
        }
        for name in [
            "",
            "Main",
            "ma in",
            "ma_in",
            "ma#in",
            "größe",
            &"a".repeat(33),
        ] {
            assert!(!FundingAccount::is_slug(name), "{name}");
        }
    }

    #[test]
    fn what_is_sealed_for_one_place_opens_at_no_other() {
        let batches = [1, 2].map(|n| BatchId::from_bytes([n; 16]));
        let payouts = [1, 2].map(|n| PayoutId::from_bytes([n; 16]));
        let mut places: Vec<String> = ["main", "second"].map(FundingAccount::place).into();
        places.extend(batches.map(Batch::payer_place));
        for batch in batches {
            places.extend(payouts.map(|payout| BatchLine::place(batch, payout)));
        }
        let distinct: std::collections::BTreeSet<&String> = places.iter().collect();
        assert_eq!(distinct.len(), places.len(), "{places:?}");
    }

    #[test]
    fn what_became_of_a_batch_is_told_with_the_parts_of_its_file() {
        let line = |stage| BatchLine {
            payout: PayoutId::from_bytes([1; 16]),
            partner: ptr(3),
            stage,
        };
        let paid = line(LineStage::Frozen(Instruction {
            amount: Money::new(5_880, gbp()),
            masked: String::new(),
            sealed: String::new(),
            note: String::new(),
        }));
        let mut lines = vec![line(LineStage::Planned), line(LineStage::Withdrawn)];
        assert_eq!(resolved(Rail::Paypal, &lines).unwrap().parts, 0);
        lines.extend(vec![paid; PAYPAL_ROWS + 1]);
        assert_eq!(
            resolved(Rail::Paypal, &lines),
            Ok(Resolved {
                planned: 1,
                reserved: 5_001,
                reserved_minor: 5_001 * 5_880,
                left_out: 0,
                parts: 2,
            })
        );
    }

    #[test]
    fn a_schedules_days_begin_in_its_own_time_zone() {
        let berlin = time_zone("Europe/Berlin").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (cadence, now, expected) in [
            (
                Cadence::Monthly(1),
                "2026-03-02T09:00:00Z",
                "2026-03-31T22:00:00Z",
            ),
            (
                Cadence::Monthly(3),
                "2026-03-02T09:00:00Z",
                "2026-03-02T23:00:00Z",
            ),
            // The beginning of the day itself is over.
            (
                Cadence::Monthly(3),
                "2026-03-02T23:00:00Z",
                "2026-04-02T22:00:00Z",
            ),
            (
                Cadence::Monthly(28),
                "2026-12-31T00:00:00Z",
                "2027-01-27T23:00:00Z",
            ),
            (
                Cadence::Weekly(Weekday::Monday),
                "2026-03-02T09:00:00Z",
                "2026-03-08T23:00:00Z",
            ),
            (
                Cadence::Weekly(Weekday::Tuesday),
                "2026-03-02T09:00:00Z",
                "2026-03-02T23:00:00Z",
            ),
            (
                Cadence::Weekly(Weekday::Sunday),
                "2026-03-27T09:00:00Z",
                "2026-03-28T23:00:00Z",
            ),
        ] {
            assert_eq!(
                cadence.next_after(at(now), &berlin),
                Some(at(expected)),
                "{now}"
            );
        }
        assert_eq!(
            Cadence::Manual.next_after(at("2026-03-02T09:00:00Z"), &berlin),
            None
        );
        let regular = Regular {
            time_zone: "Europe/Berlin".to_owned(),
            cutoff_days: 3,
            funding_account: "main".to_owned(),
            next_at: at("2026-03-31T22:00:00Z"),
        };
        // Summer time begins between the two.
        assert_eq!(regular.cutoff(), at("2026-03-28T23:00:00Z"));
    }

    #[test]
    fn a_paypal_file_has_these_bytes() {
        let row = |wallet: &str, minor, n, note: &str| Row {
            wallet: wallet.to_owned(),
            amount: Money::new(minor, gbp()),
            payout: PayoutId::from_bytes([n; 16]),
            note: note.to_owned(),
        };
        let rows = [
            row(
                "ann@example.com",
                5_880,
                0,
                "Summer: commissions until 2026-11-30",
            ),
            row("bob@example.com", 5, 1, "Say \"hi\", Bob"),
        ];
        let file = String::from_utf8(paypal_csv(&rows).unwrap()).unwrap();
        let expected = "ann@example.com,58.80,GBP,po_00000000000000000000000000,Summer: commissions until 2026-11-30,PAYPAL\r\n\
             bob@example.com,0.05,GBP,po_01040g2081040g2081040g2081,\"Say \"\"hi\"\", Bob\",PAYPAL\r\n";
        assert_eq!(file, expected);
        assert!(rows.iter().all(|row| row.payout.to_string().len() <= 30));
    }

    #[test]
    fn no_cell_begins_a_formula() {
        let until: Timestamp = "2026-11-30T23:59:59Z".parse().unwrap();
        assert_eq!(
            note("=HYPERLINK(1)", until),
            "'=HYPERLINK(1): commissions until 2026-11-30"
        );
        assert_eq!(
            note("\t@x\r\ny", until),
            "'@x  y: commissions until 2026-11-30"
        );
        assert_eq!(note(&"x".repeat(900), until).chars().count(), MAX_NOTE);
        for (wallet, fit) in [
            ("ann@example.com", true),
            ("+447700900123", true),
            ("=cmd@example.com", false),
            ("-1@example.com", false),
            ("@ann", false),
            ("+cmd|x@example.com", false),
            ("ann @example.com", false),
            ("", false),
        ] {
            assert_eq!(is_fit_wallet(wallet), fit, "{wallet}");
        }
    }

    #[test]
    fn a_file_has_a_part_for_each_five_thousand_rows() {
        for (rows, expected) in [
            (0, 0),
            (1, 1),
            (5_000, 1),
            (5_001, 2),
            (10_000, 2),
            (10_001, 3),
        ] {
            let parts = parts(Rail::Paypal, &vec![1; rows]);
            assert_eq!(parts.len(), expected, "{rows}");
            assert_eq!(parts.iter().map(Range::len).sum::<usize>(), rows);
        }
    }

    #[test]
    fn an_ach_file_ends_before_its_total_has_thirteen_digits() {
        let amounts = vec![MAX_NACHA_MINOR; 101];
        let parts = parts(Rail::Nacha, &amounts);
        assert_eq!(parts, [0..100, 100..101]);
    }

    proptest! {
        #[test]
        fn every_line_is_counted_once_whatever_their_order(
            lines in prop::collection::vec((0_u8..6, -10_000_i64..10_000), 0..200),
            seed in any::<u64>(),
        ) {
            let lines: Vec<_> = lines.into_iter().map(|(n, minor)| (ptr(n), minor)).collect();
            let mut shuffled = lines.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let tallies = tally(lines.iter().copied()).unwrap();
            prop_assert_eq!(&tallies, &tally(shuffled).unwrap());
            prop_assert_eq!(tallies.values().map(|tally| tally.lines).sum::<u64>(), lines.len() as u64);
            prop_assert_eq!(
                tallies.values().map(|tally| tally.minor).sum::<i64>(),
                lines.iter().map(|(_, minor)| minor).sum::<i64>()
            );
        }

        #[test]
        fn what_is_paid_is_the_whole_sum_above_zero_and_not_below_the_minimum(
            minor in -1_000_000_i64..1_000_000,
            minimum in 0_i64..1_000_000,
            suspended in any::<bool>(),
            method in prop::option::of(prop::sample::select(vec![Ok(()), Err(LeftOut::OutsideSepa)])),
        ) {
            let terms = Terms { minimum: Money::new(minimum, gbp()), rail: Rail::Paypal };
            let payee = Payee { suspended, merged: false, on_hold: false, method };
            let is_payable = !suspended && minor > 0 && minor >= minimum && method == Some(Ok(()));
            match decide(minor, payee, terms) {
                Ok(paid) => {
                    prop_assert!(is_payable);
                    prop_assert_eq!(paid.minor(), minor);
                }
                Err(_) => prop_assert!(!is_payable),
            }
        }

        #[test]
        fn a_note_has_no_control_characters_and_begins_no_formula(text in ".*") {
            let note = harmless(&text);
            prop_assert!(!begins_formula(&note));
            prop_assert!(!note.chars().any(char::is_control));
            prop_assert!(note.chars().count() <= MAX_NOTE);
        }
    }
}
