//! Funding accounts, batches and payouts: pure rules.
//!
//! A batch pays what is payable up to its cutoff. Planning decides per partner who is paid; reserving
//! takes the open lines of one payout, chunk by chunk; what was taken is decided on once more, because
//! lines may have been reversed in between. The file is a pure function of the frozen lines.

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::Timestamp;
use crate::ids::{BatchId, ConversionId, OperatorId, PartnerId, PayoutId, ProgramId, TransferId};
use crate::money::{Currency, Money, MoneyError};
use crate::partners::model::{Account, BankRoute, MethodKind};

/// Rows of a payment file that PayPal takes at once.
pub const PAYPAL_ROWS: usize = 5_000;
/// Characters of a note to the payee; PayPal takes 400.
pub const MAX_NOTE: usize = 200;
/// Currencies in which PayPal pays out. Left out are those that it takes in whole units only although
/// ISO 4217 gives them minor ones (HUF, TWD): a commission with a fraction could not be paid in them.
const PAYPAL_CURRENCIES: [&str; 22] = [
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "JPY", "MXN",
    "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "USD",
];

/// Whether payments of that kind can be made in a currency.
#[must_use]
pub fn pays_in(kind: MethodKind, currency: Currency) -> bool {
    match kind {
        MethodKind::Paypal => PAYPAL_CURRENCIES.contains(&currency.code()),
        MethodKind::Bank => true,
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

/// The vendor's paying account, named by a slug of the caller's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundingAccount {
    /// 1 to 32 characters of `a-z`, `0-9` and `-`.
    pub id: String,
    /// Name.
    pub name: String,
    /// How it pays.
    pub kind: MethodKind,
    /// In which currency.
    pub currency: Currency,
    /// The account as people may see it, such as `GB33 •••• 5555`.
    pub masked: String,
    /// The account itself, sealed for [`FundingAccount::place`].
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
}

impl BatchState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Planning, Self::Planned, Self::Submitted];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Planned => "planned",
            Self::Submitted => "submitted",
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
    pub kind: MethodKind,
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
}

impl Batch {
    /// The terms on which partners are paid.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            minimum: self.minimum,
            kind: self.kind,
        }
    }

    /// Where the batch stands, given what became of its payouts so far.
    #[must_use]
    pub fn stage(&self, resolved: Resolved) -> Stage {
        match self.state {
            BatchState::Planning => Stage::Planning,
            BatchState::Submitted => Stage::Submitted,
            BatchState::Planned if resolved.planned > 0 => Stage::Reserving,
            BatchState::Planned if resolved.reserved == 0 => Stage::Empty,
            BatchState::Planned => Stage::Reserved,
        }
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
}

/// What became of a batch's payouts, from their lines. Who is left out is not among them.
///
/// # Errors
/// `OverLimit`.
pub fn resolved(lines: &[BatchLine]) -> Result<Resolved, MoneyError> {
    let mut sum = Resolved::default();
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
    /// All is reserved: the file can be downloaded.
    Reserved,
    /// Nobody is paid by it.
    Empty,
    /// The file was downloaded.
    Submitted,
}

impl Stage {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Reserving => "planned",
            Self::Reserved => "reserved",
            Self::Empty => "empty",
            Self::Submitted => "submitted",
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
}

impl PayoutState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Planned,
        Self::Reserved,
        Self::Settled,
        Self::Returned,
        Self::Withdrawn,
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
        }
    }

    /// Whether its lines are payable again, now or in a moment.
    #[must_use]
    pub fn gives_back(self) -> bool {
        matches!(self, Self::Returned | Self::Withdrawn)
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
    pub kind: MethodKind,
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
    /// How it wants to be paid, if it has said so.
    pub method: Option<Method>,
}

/// A payee's payout method, as far as the decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// How.
    pub kind: MethodKind,
    /// Whether its account can stand in a file: not so a wallet that a spreadsheet would take for a formula.
    pub fit_for_file: bool,
}

/// Why a partner is left out of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It is suspended.
    Suspended,
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
    /// Its wallet begins with a character that no wallet begins with.
    PayoutMethodRefused,
}

impl LeftOut {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Suspended,
        Self::NegativeBalance,
        Self::NothingToPay,
        Self::BelowMinimum,
        Self::NoPayoutMethod,
        Self::PayoutMethodDiffers,
        Self::PayoutMethodRefused,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::NegativeBalance => "negative_balance",
            Self::NothingToPay => "nothing_to_pay",
            Self::BelowMinimum => "below_minimum",
            Self::NoPayoutMethod => "no_payout_method",
            Self::PayoutMethodDiffers => "payout_method_differs",
            Self::PayoutMethodRefused => "payout_method_refused",
        }
    }
}

/// Whether a partner with these open lines is paid. Of several reasons against it the first counts, in
/// the order of [`LeftOut::ALL`]: whether at all, then how much, then how.
///
/// # Errors
/// Why it is left out.
pub fn decide(minor: i64, payee: Payee, terms: Terms) -> Result<Money, LeftOut> {
    if payee.suspended {
        return Err(LeftOut::Suspended);
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
    match payee.method {
        None => Err(LeftOut::NoPayoutMethod),
        Some(method) if method.kind != terms.kind => Err(LeftOut::PayoutMethodDiffers),
        Some(method) if !method.fit_for_file => Err(LeftOut::PayoutMethodRefused),
        Some(_) => Ok(Money::new(minor, terms.minimum.currency())),
    }
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
    /// Given back, because too little was left of it.
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

/// How many parts a file of so many rows has; a file always has one.
#[must_use]
pub fn parts(rows: u64) -> u64 {
    rows.div_ceil(PAYPAL_ROWS as u64).max(1)
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
        method: Some(Method {
            kind: MethodKind::Paypal,
            fit_for_file: true,
        }),
    };

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn terms(minimum: &str) -> Terms {
        Terms {
            minimum: Money::parse(minimum, gbp()).unwrap(),
            kind: MethodKind::Paypal,
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
        let method = |kind, fit_for_file| Some(Method { kind, fit_for_file });
        for (minor, suspended, method, reason) in [
            (9_900, true, READY.method, LeftOut::Suspended),
            (-1, false, READY.method, LeftOut::NegativeBalance),
            (0, false, READY.method, LeftOut::NothingToPay),
            (4_999, false, READY.method, LeftOut::BelowMinimum),
            (5_000, false, None, LeftOut::NoPayoutMethod),
            (
                5_000,
                false,
                method(MethodKind::Bank, true),
                LeftOut::PayoutMethodDiffers,
            ),
            (
                5_000,
                false,
                method(MethodKind::Paypal, false),
                LeftOut::PayoutMethodRefused,
            ),
        ] {
            assert_eq!(
                decide(minor, Payee { suspended, method }, terms("50.00")),
                Err(reason)
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
        let batch = Batch {
            id: BatchId::from_bytes([2; 16]),
            program: ProgramId::from_bytes([4; 16]),
            cutoff: Timestamp::UNIX_EPOCH,
            minimum: Money::zero(gbp()),
            funding_account: "main".to_owned(),
            kind: MethodKind::Paypal,
            state: BatchState::Planned,
            walk: Walk::default(),
            created_by: OperatorId::from_bytes([5; 16]),
            created_at: Timestamp::UNIX_EPOCH,
            submitted_at: None,
            frozen: None,
        };
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
            (0, 1),
            (1, 1),
            (5_000, 1),
            (5_001, 2),
            (10_000, 2),
            (10_001, 3),
        ] {
            assert_eq!(parts(rows), expected, "{rows}");
        }
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
            kind in prop::option::of(prop::sample::select(vec![MethodKind::Paypal, MethodKind::Bank])),
        ) {
            let terms = Terms { minimum: Money::new(minimum, gbp()), kind: MethodKind::Paypal };
            let payee = Payee { suspended, method: kind.map(|kind| Method { kind, fit_for_file: true }) };
            let is_payable = !suspended && minor > 0 && minor >= minimum && kind == Some(MethodKind::Paypal);
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
