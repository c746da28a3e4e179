//! Commissions: the one outcome that a conversion has, and how it moves. Pure.
//!
//! An outcome is a line of one partner: what a conversion pays whoever brought it. What its uplines get of
//! it, what the close of a window decides and what an operator adjusts are lines of the same shape under
//! ids of their own, so that holds, payouts and statements know one kind of thing.

use super::book::{BookId, Totals};
use super::fold::{Cut, Entry, Fold, Paid, Step};
use crate::claims::model::{Ruling, Unattributed};
use crate::clock::{Date, Timestamp};
use crate::ids::{ConversionId, OperatorId, PartnerId, PayoutId, ProgramId, TransferId, digest};
use crate::ledger::model::{AccountId, Bucket, Transfer, TransferKind, commission_id};
use crate::money::{Currency, Money, MoneyError, Rate};
use crate::plans::model::{AssignedBy, PlanVersion};
use crate::rates::model::{StoredRate, convert, convert_share};
use crate::tracking::model::{Change, Changes, CustomerType, Facts, Net, PostedStatus, net_after};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Where a commission stands. `paid` is not stored: it is `InTransit` in a payout that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Cannot be computed yet: a rate of exchange is missing.
    Waiting,
    /// Waits for its hold to pass.
    Held,
    /// Goes into the next payout.
    Payable,
    /// Is in a payout.
    InTransit,
    /// Was taken back.
    Reversed,
    /// Nobody is credited.
    Unattributed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Held,
        Self::Payable,
        Self::InTransit,
        Self::Reversed,
        Self::Unattributed,
    ];

    /// The state of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Payable => "payable",
            Self::InTransit => "in_transit",
            Self::Reversed => "reversed",
            Self::Unattributed => "unattributed",
        }
    }
}

/// Whether a payout has taken what became payable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Goes into the next payout.
    Open,
    /// Is part of a payout, for good unless that payout comes back.
    Taken,
}

impl Line {
    /// The line state of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Open, Self::Taken]
            .into_iter()
            .find(|line| line.name() == name)
    }

    /// The name in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken => "taken",
        }
    }
}

/// What a commission is paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The conversion of the same id.
    Conversion,
    /// A conversion whose customer another partner registered together with this one.
    Share {
        /// Which.
        of: ConversionId,
    },
    /// A conversion that a partner below brought.
    Level {
        /// Which.
        of: ConversionId,
        /// How many levels above it, from 1.
        level: u32,
    },
    /// A conversion of a partner below, which lifted a measure over the whole sub-tree.
    SubTree {
        /// Which.
        of: ConversionId,
    },
    /// A window that closed: what its gates decided, or what the program's budget gave to or took from the
    /// partner when events of others changed.
    Window {
        /// The end of the window, or when the budget was shared anew.
        at: Timestamp,
        /// What of the two.
        kind: WindowKind,
    },
    /// An operator's word.
    Adjustment {
        /// Who.
        by: OperatorId,
        /// Why.
        reason: String,
        /// The conversion or dispute that it is about, if any.
        about: Option<String>,
    },
}

/// What a window's line is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Its gates were decided.
    Close,
    /// The program's budget was shared anew.
    Budget,
}

impl Source {
    /// The kind of the transfer that posts it first.
    #[must_use]
    pub fn kind(&self) -> TransferKind {
        match self {
            Self::Conversion | Self::Share { .. } => TransferKind::Commission,
            Self::Level { .. } => TransferKind::Override,
            Self::SubTree { .. } | Self::Window { .. } => TransferKind::Bonus,
            Self::Adjustment { .. } => TransferKind::Adjustment,
        }
    }
}

/// Which part of a conversion's amounts a line is paid for, where two registered its customer together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This share, half a minor unit rounded away from zero.
    Share(Rate),
    /// What that share leaves, so that both make the whole.
    Rest(Rate),
}

impl Part {
    /// The part of an amount in minor units; all of it without one.
    fn of(part: Option<Self>, minor: i64) -> Result<i64, MoneyError> {
        let share = |rate| {
            let exact = Decimal::from(minor).checked_mul(Rate::decimal(rate));
            let settled = exact.map(|exact| {
                exact.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
            });
            settled
                .and_then(|settled| settled.to_i64())
                .ok_or(MoneyError::OverLimit)
        };
        match part {
            None => Ok(minor),
            Some(Self::Share(rate)) => share(rate),
            Some(Self::Rest(rate)) => minor.checked_sub(share(rate)?).ok_or(MoneyError::OverLimit),
        }
    }

    /// The share that it comes to.
    #[must_use]
    pub fn rate(self) -> Rate {
        match self {
            Self::Share(rate) => rate,
            Self::Rest(rate) => rate.rest(),
        }
    }

    /// The part that a ruling leaves its winner.
    #[must_use]
    pub fn of_winner(ruling: &Ruling) -> Option<Self> {
        let share = ruling.winner.as_ref()?.share?;
        Some(Self::Rest(share.rest()))
    }
}

/// The one outcome of a conversion. Its facts never change; where it stands does, and what was posted for
/// it grows by corrections, each with its own transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which conversion, or which line of another source.
    pub conversion: ConversionId,
    /// What it is paid for.
    pub source: Source,
    /// Its program.
    pub program: ProgramId,
    /// When the outcome was made.
    pub at: Timestamp,
    /// Who was credited and why, with the losers.
    pub ruling: Ruling,
    /// The commission, or why there is none.
    pub credit: Result<Credit, Unattributed>,
    /// Where it stands.
    pub state: State,
}

/// A commission of one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Whose.
    pub partner: PartnerId,
    /// The plan's code; empty for an adjustment.
    pub plan: String,
    /// The plan's version, frozen at the event's time.
    pub plan_version: u32,
    /// What assigned the plan: `link`, `partner` or `program`.
    pub assigned_by: AssignedBy,
    /// What the event itself pays, in its place, when it was credited.
    pub pay: Money,
    /// What was posted first: `pay` and what it changed for others of its book.
    pub posted: Money,
    /// What has been posted in all, corrections included.
    pub total: Money,
    /// When the hold passes.
    pub release_at: Timestamp,
    /// Why the hold was moved, if it was.
    pub hold_note: Option<String>,
    /// Which part of the conversion's amounts it is paid for; `None` for all of them.
    pub part: Option<Part>,
    /// How `pay` came about.
    pub trace: Vec<Step>,
    /// What caps took off.
    pub cuts: Vec<Cut>,
    /// Since when the customer was known from outside that book: see [`Entry::known_since`].
    pub known_since: Option<Timestamp>,
    /// Whole months since the customer's first conversion of the event; `None` for the first, and for an event
    /// without a customer.
    pub months: Option<i64>,
    /// In which book it counts, and at which instant; `None` when it depends on no other event.
    pub book: Option<(BookId, Timestamp)>,
    /// What uplines get, the nearest first: whom, when there is one, and how much in all.
    pub levels: Vec<(Option<PartnerId>, Money)>,
    /// Partners above who measure it.
    pub measured_by: Vec<PartnerId>,
    /// Whether lines of others follow from its last change that may not stand yet.
    pub owes: bool,
    /// Counts corrections.
    pub revision: u32,
    /// Changes of the conversion that it reflects, by their digests.
    pub applied: Vec<String>,
    /// The rate of exchange at which its amounts were taken.
    pub exchange: Option<Exchange>,
    /// When it became payable.
    pub payable_at: Option<Timestamp>,
    /// When it was taken back.
    pub reversed_at: Option<Timestamp>,
    /// Its payout.
    pub payout: Option<PayoutId>,
    /// Whether it stands as a line for payouts, and whether one has taken it.
    pub line: Option<Line>,
    /// What that line comes to, minor units.
    pub line_minor: i64,
}

/// A rate of exchange as it was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The conversion's currency.
    pub from: Currency,
    /// Units of the program's currency for one.
    pub rate: Rate,
    /// Of which day, in UTC.
    pub date: Date,
    /// Whose word it is.
    pub source: String,
}

/// What a conversion still lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: all that was said of it has been absorbed.
    Nothing,
    /// An outcome.
    Credit,
    /// A rate of exchange; then its outcome can be made.
    Rate,
    /// To reflect the next of its changes.
    Change(Due),
    /// Lines of others that follow from it.
    Followers,
}

/// A change of a conversion that its outcome does not reflect yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The change's digest.
    pub digest: String,
    /// A person's reason.
    pub reason: String,
}

/// What tells a change of a conversion from its others, in a few characters.
#[must_use]
pub fn change_digest(change: &Change<'_>) -> String {
    let (letter, id) = match change {
        Change::Reversal(reversal) => ('r', &reversal.reversal_id),
        Change::Amendment(amendment) => ('a', &amendment.amendment_id),
    };
    let hash = digest("change", &[id]);
    let hex: String = hash
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{letter}{hex}")
}

/// What has to happen so that the outcome reflects all that was said of a conversion. Depends on nothing
/// but what stands there, so it may be asked any number of times and in any order of arrival.
#[must_use]
pub fn missing(facts: Option<&Facts>, changes: &Changes, outcome: Option<&Outcome>) -> Missing {
    let Some(facts) = facts else {
        return Missing::Nothing;
    };
    let Some(outcome) = outcome else {
        let counts = facts.status == PostedStatus::Approved || changes.approved_at.is_some();
        return if counts || net_after(facts, &changes.ordered()).gone {
            Missing::Credit
        } else {
            Missing::Nothing
        };
    };
    let Ok(credit) = &outcome.credit else {
        return match outcome.state {
            State::Waiting => Missing::Rate,
            _ => Missing::Nothing,
        };
    };
    if credit.owes {
        return Missing::Followers;
    }
    let due = changes.ordered().into_iter().find_map(|change| {
        let digest = change_digest(&change);
        let reason = match change {
            Change::Reversal(reversal) => &reversal.reason,
            Change::Amendment(amendment) => &amendment.reason,
        };
        (!credit.applied.contains(&digest)).then(|| Due {
            digest,
            reason: reason.clone(),
        })
    });
    due.map_or(Missing::Nothing, Missing::Change)
}

/// Whether an outcome reflects a change that is not among these: they were read before it was made, and say nothing of
/// what is left of the conversion by now.
#[must_use]
pub fn is_ahead(outcome: &Outcome, changes: &Changes) -> bool {
    let Ok(credit) = &outcome.credit else {
        return false;
    };
    if credit.applied.is_empty() {
        return false;
    }
    let known: Vec<String> = changes.ordered().iter().map(change_digest).collect();
    credit.applied.iter().any(|one| !known.contains(one))
}

/// What is left of a conversion under those of its changes that an outcome reflects. All of these are to be among the
/// changes: see [`is_ahead`].
#[must_use]
pub fn net_applied(facts: &Facts, changes: &Changes, applied: &[String]) -> Net {
    let mut ordered = changes.ordered();
    ordered.retain(|change| applied.contains(&change_digest(change)));
    net_after(facts, &ordered)
}

/// What a plan is told of a conversion of which that much is left, or of a part of that. Margin and the like shrink in the
/// proportion of the amount, each settled half up; all are exchanged once, at one rate.
///
/// # Errors
/// `OverLimit`, `CurrencyMismatch`.
pub fn entry(
    facts: &Facts,
    net: Net,
    partner: PartnerId,
    (counted_at, known_since): (Timestamp, Option<Timestamp>),
    exchange: Option<&Exchange>,
    currency: Currency,
    part: Option<Part>,
) -> Result<Entry, MoneyError> {
    let whole = facts.amount.map(Money::minor);
    let left = net.amount.map(Money::minor);
    // What is left of a part, at the rate of exchange: rounded once.
    let taken = |minor: i64, share: (i64, i64)| {
        let whole = match exchange {
            None if facts.currency == currency => proportion(minor, share),
            None => Err(MoneyError::CurrencyMismatch),
            Some(exchange) => exchanged(minor, share, exchange, currency),
        };
        Part::of(part, whole?)
    };
    let share = match (whole, left) {
        (Some(whole), Some(left)) if whole != 0 => (left, whole),
        _ => (1, 1),
    };
    let shrunk = |figure: Option<Money>| figure.map(|it| taken(it.minor(), share)).transpose();
    let mut adjustments = 0_i64;
    for figure in [facts.bonuses, facts.fees, facts.chargebacks] {
        let figure = shrunk(figure)?.unwrap_or(0);
        adjustments = adjustments
            .checked_add(figure)
            .ok_or(MoneyError::OverLimit)?;
    }
    Ok(Entry {
        conversion: facts.id,
        partner,
        plan: 0,
        occurred_at: facts.occurred_at,
        counted_at,
        own: true,
        event: facts.event.clone(),
        quantity: facts.quantity,
        amount: left.map(|left| taken(left, (1, 1))).transpose()?,
        margin: shrunk(facts.margin)?,
        net_revenue: shrunk(facts.net_revenue)?,
        adjustments,
        customer: facts.customer.clone(),
        known_since,
        new_customer: facts.customer_type.map(|kind| kind == CustomerType::New),
        country: facts.country.clone(),
        product: facts.product.clone(),
        coupon: facts.coupon.clone(),
        subs: facts.subs.clone(),
        meta: facts.meta.clone(),
    })
}

/// `part × left ÷ whole`, half away from zero.
fn proportion(part: i64, (left, whole): (i64, i64)) -> Result<i64, MoneyError> {
    let product = i128::from(part) * i128::from(left);
    let whole = i128::from(whole);
    let twice = product * 2 + whole * product.signum();
    i64::try_from(twice / (whole * 2)).map_err(|_| MoneyError::OverLimit)
}

/// A share of an amount at a rate of exchange, settled half up once.
fn exchanged(
    minor: i64,
    share: (i64, i64),
    exchange: &Exchange,
    to: Currency,
) -> Result<i64, MoneyError> {
    let Exchange {
        from,
        rate,
        date,
        source,
    } = exchange.clone();
    let rate = StoredRate {
        from,
        to,
        rate,
        date,
        source,
        created_at: Timestamp::UNIX_EPOCH,
    };
    let money = |minor: i64| Money::new(minor, from);
    // Where the product outgrows its 128 bits, which takes billions, in two steps.
    let minor = match convert_share(money(minor), share, &rate) {
        Err(MoneyError::OverLimit) => convert(money(proportion(minor, share)?), &rate)?,
        taken => taken?,
    };
    Ok(minor.minor())
}

/// A stored rate as it is used.
#[must_use]
pub fn exchange(rate: &StoredRate) -> Exchange {
    Exchange {
        from: rate.from,
        rate: rate.rate,
        date: rate.date,
        source: rate.source.clone(),
    }
}

/// What a plan pays for an event that depends on no other.
///
/// # Errors
/// What the fold gives.
pub fn price(plan: &PlanVersion, entry: &Entry, currency: Currency) -> Result<Paid, MoneyError> {
    Fold::new([plan], currency).step(entry)
}

/// What is posted for that pay: the partner's, then its uplines' from the nearest on.
#[must_use]
pub fn totals(paid: Option<&Paid>) -> Totals {
    match paid {
        None => vec![0],
        Some(paid) => std::iter::once(paid.pay)
            .chain(paid.levels.iter().copied())
            .map(Money::minor)
            .collect(),
    }
}

/// What a conversion is credited with.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whom.
    pub partner: PartnerId,
    /// The plan's code.
    pub plan: String,
    /// The plan's version.
    pub plan_version: u32,
    /// What assigned the plan.
    pub assigned_by: AssignedBy,
    /// What the event pays in its place; `None` when nothing of it is left.
    pub paid: Option<Paid>,
    /// What is posted: to the partner, and to its uplines from the nearest on.
    pub posted: Totals,
    /// When the hold passes.
    pub release_at: Timestamp,
    /// In which book it counts, and at which instant.
    pub book: Option<(BookId, Timestamp)>,
    /// Its uplines, the nearest first; `None` for one that is paid nothing.
    pub uplines: Vec<Option<PartnerId>>,
    /// Partners above who measure it.
    pub measured_by: Vec<PartnerId>,
    /// Changes that it reflects already.
    pub applied: Vec<String>,
    /// The rate of exchange at which its amounts were taken.
    pub exchange: Option<Exchange>,
    /// Since when the customer was known from outside the book.
    pub known_since: Option<Timestamp>,
    /// Which part of the conversion's amounts it is for.
    pub part: Option<Part>,
    /// Whether another line follows that is another partner's share of the conversion.
    pub shared: bool,
}

impl Grant {
    fn credit(self, currency: Currency, now: Timestamp) -> Credit {
        let Self {
            partner,
            plan,
            plan_version,
            assigned_by,
            paid,
            posted,
            release_at,
            book,
            uplines,
            measured_by,
            applied,
            exchange,
            known_since,
            part,
            shared,
        } = self;
        let minor = |index: usize| posted.get(index).copied().unwrap_or(0);
        let first = Money::new(minor(0), currency);
        let levels: Vec<_> = uplines
            .into_iter()
            .zip(1..)
            .map(|(upline, level)| (upline, Money::new(minor(level), currency)))
            .collect();
        let owes = shared
            || !measured_by.is_empty()
            || levels
                .iter()
                .any(|(upline, share)| upline.is_some() && !share.is_zero());
        let gone = paid.is_none();
        let (pay, trace, cuts, months) = paid.map_or_else(
            || (Money::zero(currency), Vec::new(), Vec::new(), None),
            |paid| (paid.pay, paid.steps, paid.cuts, paid.months),
        );
        Credit {
            partner,
            plan,
            plan_version,
            assigned_by,
            pay,
            posted: first,
            total: first,
            release_at,
            hold_note: None,
            part,
            trace,
            cuts,
            known_since,
            months,
            book,
            levels,
            measured_by,
            owes,
            revision: 0,
            applied,
            exchange,
            payable_at: None,
            reversed_at: gone.then_some(now),
            payout: None,
            line: None,
            line_minor: 0,
        }
    }
}

/// The outcome of a conversion that credits a partner.
#[must_use]
pub fn credited(
    facts: &Facts,
    ruling: Ruling,
    grant: Grant,
    currency: Currency,
    now: Timestamp,
) -> Outcome {
    let credit = grant.credit(currency, now);
    Outcome {
        conversion: facts.id,
        source: Source::Conversion,
        program: facts.program,
        at: now,
        ruling,
        state: if credit.reversed_at.is_some() && credit.total.is_zero() {
            State::Reversed
        } else {
            State::Held
        },
        credit: Ok(credit),
    }
}

/// The outcome of a conversion whose amounts cannot be exchanged yet.
#[must_use]
pub fn waiting(facts: &Facts, ruling: Ruling, now: Timestamp) -> Outcome {
    Outcome {
        conversion: facts.id,
        source: Source::Conversion,
        program: facts.program,
        at: now,
        credit: Err(Unattributed::RateMissing),
        ruling,
        state: State::Waiting,
    }
}

/// The outcome of a conversion that credits nobody.
#[must_use]
pub fn uncredited(facts: &Facts, ruling: Ruling, now: Timestamp) -> Outcome {
    Outcome {
        conversion: facts.id,
        source: Source::Conversion,
        program: facts.program,
        at: now,
        credit: Err(ruling.reason().unwrap_or(Unattributed::NoPlan)),
        ruling,
        state: State::Unattributed,
    }
}

/// A line that no conversion of its own stands behind.
#[derive(Clone, Debug)]
pub struct Extra {
    /// The line's id, derived from its source.
    pub id: ConversionId,
    /// What it is paid for.
    pub source: Source,
    /// Of which account.
    pub account: AccountId,
    /// The plan's code and version; none for an adjustment.
    pub plan: Option<(String, u32)>,
    /// How much, which may be negative.
    pub pay: Money,
    /// What uplines get of it, the nearest first.
    pub levels: Vec<(Option<PartnerId>, Money)>,
    /// When its hold passes.
    pub release_at: Timestamp,
    /// What each gate decided, where it is a window's close: `unbound` is what was provisional, the measure
    /// what was reached.
    pub steps: Vec<Step>,
}

impl Extra {
    /// The line's outcome.
    #[must_use]
    pub fn outcome(self, now: Timestamp) -> Outcome {
        let Self {
            id,
            source,
            account,
            plan,
            pay,
            levels,
            release_at,
            steps,
        } = self;
        let (plan, plan_version) = plan.unwrap_or_default();
        let owes = levels
            .iter()
            .any(|(upline, share)| upline.is_some() && !share.is_zero());
        Outcome {
            conversion: id,
            source,
            program: account.program,
            at: now,
            ruling: Ruling {
                winner: None,
                beside: None,
                losers: Vec::new(),
            },
            credit: Ok(Credit {
                partner: account.partner,
                plan,
                plan_version,
                assigned_by: AssignedBy::Partner,
                pay,
                posted: pay,
                total: pay,
                release_at,
                hold_note: None,
                part: None,
                trace: steps,
                cuts: Vec::new(),
                known_since: None,
                months: None,
                book: None,
                levels,
                measured_by: Vec::new(),
                owes,
                revision: 0,
                applied: Vec::new(),
                exchange: None,
                payable_at: None,
                reversed_at: None,
                payout: None,
                line: None,
                line_minor: 0,
            }),
            state: State::Held,
        }
    }
}

/// The id of what an upline gets of a conversion.
#[must_use]
pub fn level_id(of: ConversionId, level: u32) -> ConversionId {
    ConversionId::derived(&[&of.to_string(), "level", &level.to_string()])
}

/// The id of the share that another partner has of a conversion.
#[must_use]
pub fn share_id(of: ConversionId) -> ConversionId {
    ConversionId::derived(&[&of.to_string(), "share"])
}

/// What tells the corrections of such a share apart, by the revision they correct.
#[must_use]
pub fn share_key(revision: u32) -> String {
    format!("share:{revision}")
}

/// The id under which a partner above measures a conversion.
#[must_use]
pub fn measured_id(of: ConversionId, by: PartnerId) -> ConversionId {
    ConversionId::derived(&[&of.to_string(), "subtree", &by.to_string()])
}

/// What tells the corrections apart of a line that follows a conversion's, by the revision they correct.
#[must_use]
pub fn follow_key(revision: u32) -> String {
    format!("follow:{revision}")
}

/// The same of one under which a partner above measures a conversion.
#[must_use]
pub fn measure_key(revision: u32) -> String {
    format!("measure:{revision}")
}

/// Why an outcome is corrected.
#[derive(Clone, Debug)]
pub struct Correction {
    /// What tells it from others of the same outcome; its transfer's id derives from it.
    pub key: String,
    /// By how much the partner's pay changes.
    pub delta: Money,
    /// By how much the pay of its uplines changes, the nearest first.
    pub levels: Vec<i64>,
    /// The changes of the conversion that it reflects, by their digests.
    pub applied: Vec<String>,
    /// Whether nothing is left of the conversion.
    pub gone: bool,
    /// Whether lines of others are to follow, beside those whose pay changes.
    pub followed: bool,
    /// A person's reason, if any.
    pub reason: Option<String>,
}

/// How an outcome is corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// The outcome as it then stands.
    pub after: Outcome,
    /// The transfer.
    pub transfer: Transfer,
    /// Whether a payout has the commission, so that the transfer is a payable line of its own, of that
    /// many minor units.
    pub apart: Option<i64>,
}

impl Outcome {
    /// The account that the commission belongs to.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        self.credit.as_ref().ok().map(|credit| AccountId {
            partner: credit.partner,
            program: self.program,
            currency: credit.pay.currency(),
        })
    }

    /// Whether its hold has passed and it has not been released.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state == State::Held
            && self
                .credit
                .as_ref()
                .is_ok_and(|credit| credit.release_at <= now)
    }

    /// Whether an adjustment says the same as another, whenever and by whom it was made.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let said = |outcome: &Self| match (&outcome.source, &outcome.credit) {
            (Source::Adjustment { reason, about, .. }, Ok(credit)) => {
                Some((reason.clone(), about.clone(), credit.partner, credit.pay))
            }
            _ => None,
        };
        self.program == other.program && said(self).is_some() && said(self) == said(other)
    }

    /// The outcome held until then, and what that moves: a hold that stands is moved, and one that has passed
    /// is placed anew as long as no payout has the commission. `None` for any other.
    #[must_use]
    pub fn held_until(
        &self,
        until: Timestamp,
        note: &str,
        now: Timestamp,
    ) -> Option<(Self, Option<Transfer>)> {
        let mut after = self.clone();
        let account = self.account()?;
        let credit = after.credit.as_mut().ok()?;
        credit.release_at = until;
        credit.hold_note = Some(note.to_owned());
        match (self.state, credit.line) {
            (State::Held, _) => Some((after, None)),
            // What is due at once stays where it is.
            // Where a part was corrected while a payout had the line, that part is a line of its own.
            (State::Payable, Some(Line::Open))
                if until > now && credit.line_minor == credit.total.minor() =>
            {
                let since = credit.payable_at.take()?;
                credit.line = None;
                credit.line_minor = 0;
                let transfer = Transfer {
                    id: TransferId::derived(&[
                        &self.conversion.to_string(),
                        "hold",
                        &crate::clock::stamp(since),
                        &crate::clock::stamp(until),
                    ]),
                    kind: TransferKind::Hold,
                    account,
                    from: Bucket::Payable,
                    to: Bucket::Pending,
                    amount: credit.total,
                    at: now,
                    source: self.conversion.to_string(),
                    lines: Vec::new(),
                    reason: Some(note.to_owned()),
                };
                after.state = State::Held;
                Some((after, Some(transfer)))
            }
            _ => None,
        }
    }

    /// The ids of the transfers that corrected it, as far as there are any.
    #[must_use]
    pub fn correction_ids(&self, credit: &Credit) -> Vec<TransferId> {
        let keys: Vec<String> = match self.source {
            Source::Conversion => credit.applied.clone(),
            Source::Level { .. } => (0..credit.revision).map(follow_key).collect(),
            Source::SubTree { .. } => (0..credit.revision).map(measure_key).collect(),
            Source::Share { .. } => (0..credit.revision).map(share_key).collect(),
            Source::Window { .. } | Source::Adjustment { .. } => Vec::new(),
        };
        keys.iter().map(|key| self.correction_id(key)).collect()
    }

    fn correction_id(&self, key: &str) -> TransferId {
        TransferId::derived(&[&self.conversion.to_string(), "correction", key])
    }

    /// The commission's transfer.
    #[must_use]
    pub fn commission(&self) -> Option<Transfer> {
        let credit = self.credit.as_ref().ok()?;
        Some(Transfer {
            id: commission_id(self.conversion),
            kind: self.source.kind(),
            account: self.account()?,
            from: Bucket::Commissions,
            to: Bucket::Pending,
            amount: credit.posted,
            at: self.at,
            source: self.conversion.to_string(),
            lines: Vec::new(),
            reason: match &self.source {
                Source::Adjustment { reason, .. } => Some(reason.clone()),
                _ => None,
            },
        })
    }

    /// Corrects the commission from wherever it stands: held money leaves or joins `pending`, payable
    /// money `payable`; against what a payout has, a payable line of its own stands. `None` for an outcome
    /// that credits nobody.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn corrected(
        &self,
        correction: &Correction,
        now: Timestamp,
    ) -> Result<Option<Corrected>, MoneyError> {
        let (Ok(credit), Some(account)) = (&self.credit, self.account()) else {
            return Ok(None);
        };
        let delta = correction.delta;
        let taken = credit.line == Some(Line::Taken);
        // What was taken back whole while it was held left nothing that waits.
        let bucket = match credit.line {
            None => Bucket::Pending,
            Some(_) => Bucket::Payable,
        };
        let mut after = self.clone();
        let Ok(changed) = &mut after.credit else {
            return Ok(None);
        };
        changed.total = credit.total.plus(delta)?;
        changed.revision += 1;
        changed.applied.extend(correction.applied.clone());
        for ((_, share), change) in changed.levels.iter_mut().zip(&correction.levels) {
            *share = share.plus(Money::new(*change, share.currency()))?;
        }
        let shares_moved = credit
            .levels
            .iter()
            .zip(&correction.levels)
            .any(|((upline, _), change)| upline.is_some() && *change != 0);
        changed.owes = credit.owes || shares_moved || correction.followed;
        if correction.gone {
            changed.reversed_at = changed.reversed_at.or(Some(now));
        }
        let minor = delta.minor();
        let mut apart = None;
        if taken {
            // The money is with a payout; what changes stands as a line of its own in the next one.
            apart = Some(minor);
            if correction.gone {
                after.state = State::Reversed;
            }
        } else if credit.line.is_some() {
            changed.line_minor = changed
                .line_minor
                .checked_add(minor)
                .ok_or(MoneyError::OverLimit)?;
        } else if self.state == State::Reversed && !changed.total.is_zero() {
            after.state = State::Held;
        }
        if !taken && correction.gone && changed.total.is_zero() {
            after.state = State::Reversed;
            // A line stays that makes nothing only together with one that stands apart.
            changed.line = changed.line.filter(|_| changed.line_minor != 0);
        }
        let (kind, from, to, amount) = if minor > 0 {
            (TransferKind::Correction, Bucket::Commissions, bucket, delta)
        } else {
            let amount = delta.negated()?;
            (TransferKind::Reversal, bucket, Bucket::Commissions, amount)
        };
        Ok(Some(Corrected {
            after,
            apart,
            transfer: Transfer {
                id: self.correction_id(&correction.key),
                kind,
                account,
                from,
                to,
                amount,
                at: now,
                source: self.conversion.to_string(),
                lines: Vec::new(),
                reason: correction
                    .reason
                    .clone()
                    .filter(|reason| !reason.is_empty()),
            },
        }))
    }
}

/// The release of held commissions of one account: one transfer from `pending` to `payable` with a line
/// for each. Its id is derived from the first, which can be released only once from one hold. `None` without
/// any.
///
/// # Errors
/// `CurrencyMismatch`, `OverLimit`.
pub fn release(
    account: AccountId,
    held: &[&Outcome],
    now: Timestamp,
) -> Result<Option<Transfer>, MoneyError> {
    let Some(first) = held.first() else {
        return Ok(None);
    };
    let mut amount = Money::zero(account.currency);
    let mut lines = Vec::with_capacity(held.len());
    for outcome in held {
        let Ok(credit) = &outcome.credit else {
            continue;
        };
        amount = amount.plus(credit.total)?;
        lines.push((outcome.conversion.to_string(), credit.total.minor()));
    }
    let (revision, hold) = first.credit.as_ref().map_or_else(
        |_| (0, String::new()),
        |credit| (credit.revision, crate::clock::stamp(credit.release_at)),
    );
    Ok(Some(Transfer {
        id: TransferId::derived(&[
            &first.conversion.to_string(),
            "release",
            &revision.to_string(),
            &hold,
        ]),
        kind: TransferKind::Release,
        account,
        from: Bucket::Pending,
        to: Bucket::Payable,
        amount,
        at: now,
        source: String::new(),
        lines,
        reason: None,
    }))
}

/// What a partner was paid, and would have been, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Its conversions.
    pub conversions: i64,
    /// What it was paid for its own.
    pub paid: i64,
    /// What it was paid of those of partners below.
    pub paid_levels: i64,
    /// What it would have been paid for its own.
    pub pays: i64,
    /// What it would have been paid of those of partners below.
    pub pays_levels: i64,
    /// What waits behind gates whose window does not end in the span; in no other figure.
    pub provisional: i64,
}

impl Figures {
    /// Both added up.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn plus(&self, other: &Self) -> Result<Self, MoneyError> {
        let sum = |a: i64, b: i64| a.checked_add(b).ok_or(MoneyError::OverLimit);
        Ok(Self {
            conversions: sum(self.conversions, other.conversions)?,
            paid: sum(self.paid, other.paid)?,
            paid_levels: sum(self.paid_levels, other.paid_levels)?,
            pays: sum(self.pays, other.pays)?,
            pays_levels: sum(self.pays_levels, other.pays_levels)?,
            provisional: sum(self.provisional, other.provisional)?,
        })
    }

    /// By how much the partner would have been paid more.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn delta(&self) -> Result<i64, MoneyError> {
        let sum = |a: i64, b: i64| a.checked_add(b).ok_or(MoneyError::OverLimit);
        sum(self.pays, self.pays_levels)?
            .checked_sub(sum(self.paid, self.paid_levels)?)
            .ok_or(MoneyError::OverLimit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::claims::model::{Claim, Evidence};
    use crate::commissions::trace::{aftermath, explain};
    use crate::ids::CouponId;
    use crate::ledger::model::Balance;
    use crate::plans::model::{Component, Terms};
    use crate::tracking::model::Reversal;
    use proptest::prelude::*;

    fn gbp() -> Currency {
        "GBP".parse().unwrap()
    }

    fn money(text: &str) -> Money {
        Money::parse(text, gbp()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn percent(event: &str, rate: &str) -> Component {
        Component::percent(event, rate.parse().unwrap())
    }

    fn flat(event: &str, amount: &str) -> Component {
        Component::flat(event, money(amount))
    }

    fn plan(components: Vec<Component>) -> PlanVersion {
        PlanVersion {
            program: ProgramId::from_bytes([1; 16]),
            code: "standard".to_owned(),
            version: 3,
            effective_from: at("2020-01-01T00:00:00Z"),
            hold_days: 30,
            terms: Terms::of(components),
            created_at: at("2020-01-01T00:00:00Z"),
        }
    }

    fn event(name: &str, amount: Option<&str>, quantity: u32) -> Entry {
        let facts = Facts {
            event: name.to_owned(),
            amount: amount.map(money),
            quantity,
            ..facts(PostedStatus::Approved)
        };
        let net = net_after(&facts, &[]);
        let partner = PartnerId::from_bytes([2; 16]);
        entry(
            &facts,
            net,
            partner,
            (facts.occurred_at, None),
            None,
            gbp(),
            None,
        )
        .unwrap()
    }

    fn pay(components: Vec<Component>, event: Entry) -> String {
        let paid = price(&plan(components), &event, gbp()).unwrap();
        paid.pay.to_string()
    }

    fn sentences(plan: &PlanVersion, event: &Entry) -> Vec<String> {
        let paid = price(plan, event, gbp()).unwrap();
        let outcome = granted(Some(paid), Vec::new());
        explain(plan, event, outcome.credit.as_ref().unwrap())
    }

    fn granted(paid: Option<Paid>, applied: Vec<String>) -> Outcome {
        let grant = Grant {
            partner: PartnerId::from_bytes([2; 16]),
            plan: "standard".to_owned(),
            plan_version: 3,
            assigned_by: AssignedBy::Partner,
            posted: totals(paid.as_ref()),
            paid,
            release_at: at("2020-09-18T16:28:25Z"),
            book: None,
            uplines: Vec::new(),
            measured_by: Vec::new(),
            applied,
            known_since: None,
            exchange: None,
            part: None,
            shared: false,
        };
        let facts = facts(PostedStatus::Approved);
        credited(&facts, ruling(), grant, gbp(), at("2020-08-19T16:28:27Z"))
    }

    fn facts(status: PostedStatus) -> Facts {
        Facts {
            id: ConversionId::from_bytes([5; 16]),
            program: ProgramId::from_bytes([1; 16]),
            event: "sale".to_owned(),
            transaction_id: "order-1".to_owned(),
            click: None,
            click_id: None,
            coupon: Some("ADA".to_owned()),
            currency: gbp(),
            amount: Some(money("49.00")),
            margin: None,
            net_revenue: None,
            bonuses: None,
            fees: None,
            chargebacks: None,
            quantity: 1,
            customer: None,
            identifiers: Vec::new(),
            customer_type: None,
            country: None,
            product: None,
            meta: std::collections::BTreeMap::new(),
            status,
            occurred_at: at("2020-08-19T16:28:25Z"),
            received_at: at("2020-08-19T16:28:26Z"),
            subs: [const { None }; 5],
            credited_to: None,
        }
    }

    fn ruling() -> Ruling {
        Ruling {
            winner: Some(Claim {
                partner: Some(PartnerId::from_bytes([2; 16])),
                evidence: Evidence::Coupon {
                    coupon: CouponId::from_bytes([3; 16]),
                },
                fault: None,
                share: None,
            }),
            beside: None,
            losers: Vec::new(),
        }
    }

    fn reversal() -> Reversal {
        Reversal {
            reversal_id: "r-1".to_owned(),
            amount: None,
            reason: "returned goods".to_owned(),
            at: at("2020-08-20T00:00:00Z"),
        }
    }

    fn taken_back() -> Changes {
        Changes {
            reversals: vec![reversal()],
            ..Changes::default()
        }
    }

    /// 30 % of 49.00, credited before or after it was taken back.
    fn outcome(is_reversed: bool) -> Outcome {
        if is_reversed {
            let changes = taken_back();
            return granted(None, changes.ordered().iter().map(change_digest).collect());
        }
        let plan = plan(vec![percent("sale", "0.30")]);
        let paid = price(&plan, &event("sale", Some("49.00"), 1), gbp()).unwrap();
        granted(Some(paid), Vec::new())
    }

    fn whole(outcome: &Outcome) -> Correction {
        let credit = outcome.credit.as_ref().unwrap();
        Correction {
            key: "whole".to_owned(),
            delta: credit.total.negated().unwrap(),
            levels: Vec::new(),
            applied: taken_back().ordered().iter().map(change_digest).collect(),
            gone: true,
            followed: false,
            reason: Some("returned goods".to_owned()),
        }
    }

    /// A partial change of an outcome.
    fn part(delta: i64, gone: bool) -> Correction {
        Correction {
            delta: Money::new(delta, gbp()),
            gone,
            ..whole(&outcome(false))
        }
    }

    #[test]
    fn what_was_read_before_a_change_says_nothing_of_an_outcome_that_reflects_it() {
        let before = Changes::default();
        assert!(is_ahead(&outcome(true), &before));
        assert!(!is_ahead(&outcome(true), &taken_back()));
        assert!(!is_ahead(&outcome(false), &taken_back()));
    }

    #[test]
    fn a_commission_that_shrinks_to_nothing_still_stands_and_one_that_is_gone_does_not() {
        let now = at("2020-08-20T00:00:00Z");
        let held = outcome(false);
        let corrected = |delta: i64, gone: bool| {
            let how = held.corrected(&part(delta, gone), now).unwrap().unwrap();
            let reversed_at = how.after.credit.as_ref().unwrap().reversed_at;
            (how.after.state, reversed_at.is_some())
        };
        let total = held.credit.as_ref().unwrap().total.minor();
        assert_eq!(corrected(-total, false), (State::Held, false));
        assert_eq!(corrected(-total, true), (State::Reversed, true));
        // What it changed for others of its book is left in it.
        assert_eq!(corrected(5 - total, true), (State::Held, true));
        assert_eq!(corrected(5, false), (State::Held, false));
    }

    #[test]
    fn what_grows_is_a_correction_and_what_shrinks_a_reversal_each_of_a_positive_amount() {
        let now = at("2020-08-20T00:00:00Z");
        let held = outcome(false);
        for (delta, kind, from, to) in [
            (
                7,
                TransferKind::Correction,
                Bucket::Commissions,
                Bucket::Pending,
            ),
            (
                -7,
                TransferKind::Reversal,
                Bucket::Pending,
                Bucket::Commissions,
            ),
            (
                0,
                TransferKind::Reversal,
                Bucket::Pending,
                Bucket::Commissions,
            ),
        ] {
            let how = held.corrected(&part(delta, false), now).unwrap().unwrap();
            let Transfer {
                kind: found,
                from: left,
                to: right,
                amount,
                ..
            } = how.transfer;
            assert_eq!((found, left, right), (kind, from, to));
            assert_eq!(amount.minor(), delta.abs());
        }
    }

    #[test]
    fn a_commission_owes_where_an_upline_is_paid_and_nowhere_else() {
        let uplined = |upline: Option<PartnerId>, share: i64| {
            let grant = Grant {
                partner: PartnerId::from_bytes([2; 16]),
                plan: "standard".to_owned(),
                plan_version: 3,
                assigned_by: AssignedBy::Partner,
                posted: vec![100, share],
                paid: Some(
                    price(
                        &plan(vec![percent("sale", "0.30")]),
                        &event("sale", Some("49.00"), 1),
                        gbp(),
                    )
                    .unwrap(),
                ),
                release_at: at("2020-09-18T16:28:25Z"),
                book: None,
                uplines: vec![upline],
                measured_by: Vec::new(),
                applied: Vec::new(),
                known_since: None,
                exchange: None,
                part: None,
                shared: false,
            };
            let ruling = Ruling {
                winner: None,
                beside: None,
                losers: Vec::new(),
            };
            let facts = facts(PostedStatus::Approved);
            credited(&facts, ruling, grant, gbp(), at("2020-08-20T00:00:00Z"))
        };
        let above = Some(PartnerId::from_bytes([5; 16]));
        let owes = |outcome: &Outcome| outcome.credit.as_ref().unwrap().owes;
        assert!(owes(&uplined(above, 10)));
        assert!(!owes(&uplined(above, 0)), "nothing follows");
        assert!(!owes(&uplined(None, 10)), "nobody is there to be paid");
        let now = at("2020-08-21T00:00:00Z");
        let moved = |upline: Option<PartnerId>, change: i64| {
            let correction = Correction {
                levels: vec![change],
                ..part(-1, false)
            };
            let how = uplined(upline, 0).corrected(&correction, now);
            owes(&how.unwrap().unwrap().after)
        };
        assert!(moved(above, -3));
        assert!(!moved(above, 0));
        assert!(!moved(None, -3));
    }

    #[test]
    fn each_correction_has_an_id_of_its_own() {
        let keys = [follow_key(1), follow_key(2), measure_key(1), measure_key(2)];
        let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn only_an_adjustment_says_the_same_as_another() {
        let adjustment = |reason: &str, minor: i64| {
            Extra {
                id: ConversionId::from_bytes([8; 16]),
                source: Source::Adjustment {
                    by: OperatorId::from_bytes([7; 16]),
                    reason: reason.to_owned(),
                    about: None,
                },
                account: AccountId {
                    partner: PartnerId::from_bytes([2; 16]),
                    program: ProgramId::from_bytes([1; 16]),
                    currency: gbp(),
                },
                plan: None,
                pay: Money::new(minor, gbp()),
                levels: Vec::new(),
                release_at: at("2020-08-20T00:00:00Z"),
                steps: Vec::new(),
            }
            .outcome(at("2020-08-20T00:00:00Z"))
        };
        let one = adjustment("goodwill", 100);
        assert!(one.says_the_same(&adjustment("goodwill", 100)));
        assert!(!one.says_the_same(&adjustment("goodwill", 101)));
        assert!(!one.says_the_same(&adjustment("bonus", 100)));
        let mut elsewhere = adjustment("goodwill", 100);
        elsewhere.program = ProgramId::from_bytes([9; 16]);
        assert!(!one.says_the_same(&elsewhere));
        assert!(!outcome(false).says_the_same(&outcome(false)));
        assert_eq!(
            one.commission().unwrap().reason.as_deref(),
            Some("goodwill")
        );
    }

    proptest! {
        #[test]
        fn two_parts_make_the_whole(minor in any::<i32>(), hundredths in 0_u32..=100) {
            let share: Rate = format!("{}", Decimal::new(hundredths.into(), 2)).parse().unwrap();
            let of = |part| Part::of(Some(part), minor.into()).unwrap();
            prop_assert_eq!(of(Part::Share(share)) + of(Part::Rest(share)), i64::from(minor));
            prop_assert_eq!(Part::Rest(share).rate(), share.rest());
        }
    }

    #[test]
    fn what_came_in_another_currency_is_not_told_without_its_rate() {
        let facts = facts(PostedStatus::Approved);
        let net = net_after(&facts, &[]);
        let partner = PartnerId::from_bytes([2; 16]);
        let told = |currency: Currency| {
            entry(
                &facts,
                net,
                partner,
                (facts.occurred_at, None),
                None,
                currency,
                None,
            )
        };
        assert!(told(gbp()).is_ok());
        let euro = "EUR".parse().unwrap();
        assert_eq!(told(euro).unwrap_err(), MoneyError::CurrencyMismatch);
    }

    #[test]
    fn lines_round_half_up_on_minor_units() {
        for (amount, rate, expected) in [
            ("0.07", "0.20", "0.01"),
            ("0.02", "0.20", "0.00"),
            ("0.03", "0.20", "0.01"),
            ("0.15", "0.10", "0.02"),
            ("0.01", "0.50", "0.01"),
            ("5.00", "0.029", "0.15"),
            ("49.00", "0.30", "14.70"),
        ] {
            let paid = pay(vec![percent("sale", rate)], event("sale", Some(amount), 1));
            assert_eq!(paid, expected, "{amount} at {rate}");
        }
    }

    #[test]
    fn a_flat_amount_is_paid_for_each_unit_and_a_hybrid_adds_up() {
        assert_eq!(
            pay(vec![flat("lead", "5.00")], event("lead", None, 2)),
            "10.00"
        );
        let hybrid = vec![flat("sale", "4.00"), percent("sale", "0.02")];
        assert_eq!(pay(hybrid, event("sale", Some("100.00"), 1)), "6.00");
    }

    #[test]
    fn each_component_is_rounded_for_itself() {
        let twice = vec![percent("sale", "0.05"), percent("sale", "0.05")];
        assert_eq!(
            pay(twice, event("sale", Some("0.10"), 1)),
            "0.02",
            "half a penny is rounded up twice"
        );
    }

    #[test]
    fn an_event_nobody_pays_for_pays_nothing_and_says_so() {
        let plan = plan(vec![percent("sale", "0.30")]);
        let trial = event("trial", None, 1);
        let paid = price(&plan, &trial, gbp()).unwrap();
        assert!(paid.pay.is_zero() && paid.steps.is_empty());
        assert_eq!(
            sentences(&plan, &trial),
            ["In plan standard version 3 nothing pays for the event trial: 0.00 GBP."]
        );
    }

    #[test]
    fn a_share_of_an_event_without_an_amount_is_nothing_and_says_so() {
        let plan = plan(vec![percent("sale", "0.30")]);
        let sale = event("sale", None, 1);
        let paid = price(&plan, &sale, gbp()).unwrap();
        assert!(paid.pay.is_zero());
        assert_eq!(paid.steps.len(), 1);
        assert!(sentences(&plan, &sale)[1].contains("none was posted"));
    }

    #[test]
    fn a_trace_names_plan_rate_inputs_and_rounding() {
        let plan = plan(vec![flat("sale", "4.00"), percent("sale", "0.075")]);
        assert_eq!(
            sentences(&plan, &event("sale", Some("9.99"), 3)),
            [
                "Plan standard version 3, in force from 2020-01-01T00:00:00Z, pays for the event sale; the partner is assigned it.",
                "Component 1: 4.00 GBP flat × 3 = 12.00 GBP.",
                "Component 2: rate 0.075 of 9.99 GBP = 0.74925 GBP, rounded half up to 0.75 GBP.",
            ]
        );
    }

    #[test]
    fn margins_and_adjustments_shrink_in_the_proportion_of_the_amount() {
        let facts = Facts {
            margin: Some(money("10.00")),
            fees: Some(money("0.05")),
            ..facts(PostedStatus::Approved)
        };
        let part = Reversal {
            amount: Some(money("24.50")),
            ..reversal()
        };
        let changes = Changes {
            reversals: vec![part],
            ..Changes::default()
        };
        let partner = PartnerId::from_bytes([2; 16]);
        let told = |applied: &[String]| {
            let net = net_applied(&facts, &changes, applied);
            entry(
                &facts,
                net,
                partner,
                (facts.occurred_at, None),
                None,
                gbp(),
                None,
            )
            .unwrap()
        };
        let all: Vec<String> = changes.ordered().iter().map(change_digest).collect();
        let (before, after) = (told(&[]), told(&all));
        assert_eq!(
            (before.amount, before.margin, before.adjustments),
            (Some(4900), Some(1000), 5)
        );
        assert_eq!(
            (after.amount, after.margin, after.adjustments),
            (Some(2450), Some(500), 3)
        );
    }

    #[test]
    fn a_hold_of_thirty_days_passes_to_the_second() {
        let outcome = outcome(false);
        let release_at = outcome.credit.as_ref().unwrap().release_at;
        assert_eq!(release_at, at("2020-09-18T16:28:25Z"));
        assert!(!outcome.is_due(at("2020-09-18T16:28:24.999Z")));
        assert!(outcome.is_due(at("2020-09-18T16:28:25Z")));
    }

    #[test]
    fn what_is_missing_follows_from_what_stands_there() {
        let approved = facts(PostedStatus::Approved);
        let pending = facts(PostedStatus::Pending);
        let none = Changes::default();
        let reversed = Changes {
            reversals: vec![reversal()],
            ..Changes::default()
        };
        let late = Changes {
            approved_at: Some(at("2020-08-20T00:00:00Z")),
            ..Changes::default()
        };
        assert_eq!(missing(None, &reversed, None), Missing::Nothing);
        assert_eq!(missing(Some(&approved), &none, None), Missing::Credit);
        assert_eq!(missing(Some(&pending), &none, None), Missing::Nothing);
        assert_eq!(missing(Some(&pending), &late, None), Missing::Credit);
        assert_eq!(
            missing(Some(&pending), &reversed, None),
            Missing::Credit,
            "what is taken back whole waits for no approval"
        );
        assert!(matches!(
            missing(Some(&approved), &reversed, Some(&outcome(false))),
            Missing::Change(_)
        ));
        assert_eq!(
            missing(Some(&approved), &reversed, Some(&outcome(true))),
            Missing::Nothing
        );
    }

    #[test]
    fn what_is_reversed_before_it_is_credited_posts_nothing() {
        let outcome = outcome(true);
        assert_eq!(outcome.state, State::Reversed);
        let credit = outcome.credit.as_ref().unwrap();
        assert!(credit.pay.is_zero() && credit.posted.is_zero());
        assert!(aftermath(None, credit, &outcome.source)[0].contains("before it was credited"));
    }

    /// What a conversion goes through, each step decided on what was read some steps ago and committed on
    /// the condition that state and line are still the same, as the store does.
    #[derive(Clone, Copy, Debug)]
    enum Move {
        Release,
        Shrink,
        Reverse,
        Reserve,
        Settle,
        GiveBack,
        Reopen,
        Hold,
    }

    struct Model {
        outcome: Outcome,
        balance: Balance,
        granted: i64,
        /// Lines of their own that stand beside the outcome.
        apart: i64,
        in_payout_minor: i64,
        in_payout: bool,
        settled: bool,
        given_back: bool,
    }

    impl Model {
        fn credit(&mut self) -> &mut Credit {
            self.outcome.credit.as_mut().unwrap()
        }

        fn seen(&self) -> (State, Option<Line>, u32, Timestamp) {
            let credit = self.outcome.credit.as_ref().unwrap();
            let hold = credit.release_at;
            (self.outcome.state, credit.line, credit.revision, hold)
        }

        fn post(&mut self, transfer: &Transfer) {
            self.balance = self.balance.after(transfer).unwrap();
            let minor = transfer.amount.minor();
            self.granted += i64::from(transfer.from == Bucket::Commissions) * minor;
            self.granted -= i64::from(transfer.to == Bucket::Commissions) * minor;
        }

        fn payout_moves(&mut self, kind: TransferKind, from: Bucket) {
            let account = self.outcome.account().unwrap();
            let amount = Money::new(self.in_payout_minor, gbp());
            self.post(&Transfer {
                id: TransferId::derived(&["payout", kind.name()]),
                kind,
                account,
                from,
                to: kind.usual_to(),
                amount,
                at: self.outcome.at,
                source: String::new(),
                lines: Vec::new(),
                reason: None,
            });
        }

        fn step(&mut self, step: Move, read: &Outcome, now: Timestamp) {
            let credit = read.credit.as_ref().unwrap();
            let seen = (read.state, credit.line, credit.revision, credit.release_at);
            match step {
                Move::Release => {
                    if !read.is_due(now) || self.seen() != seen {
                        return;
                    }
                    let account = read.account().unwrap();
                    let transfer = release(account, &[read], now).unwrap().unwrap();
                    self.post(&transfer);
                    self.outcome.state = State::Payable;
                    let total = self.credit().total.minor();
                    self.credit().line = Some(Line::Open);
                    self.credit().line_minor = total;
                    self.credit().payable_at = Some(now);
                }
                Move::Shrink | Move::Reverse => {
                    let total = credit.total.minor();
                    if self.seen() != seen || credit.reversed_at.is_some() {
                        return;
                    }
                    let correction = match step {
                        Move::Shrink => Correction {
                            key: credit.revision.to_string(),
                            delta: Money::new(-(total / 3), gbp()),
                            gone: false,
                            ..whole(read)
                        },
                        _ => whole(read),
                    };
                    let how = read.corrected(&correction, now).unwrap().unwrap();
                    self.post(&how.transfer);
                    self.apart += how.apart.unwrap_or(0);
                    self.outcome = how.after;
                }
                Move::Reserve => {
                    if self.credit().line != Some(Line::Open) || self.in_payout {
                        return;
                    }
                    self.credit().line = Some(Line::Taken);
                    if self.outcome.state == State::Payable {
                        self.outcome.state = State::InTransit;
                    }
                    self.in_payout_minor = self.credit().line_minor;
                    self.in_payout = true;
                    self.payout_moves(TransferKind::Reserve, Bucket::Payable);
                }
                Move::Settle => {
                    if self.in_payout && !self.settled && !self.given_back {
                        self.settled = true;
                        self.payout_moves(TransferKind::Settle, Bucket::InTransit);
                    }
                }
                Move::GiveBack => {
                    if self.in_payout && !self.given_back {
                        self.given_back = true;
                        let from = if self.settled {
                            Bucket::Paid
                        } else {
                            Bucket::InTransit
                        };
                        self.payout_moves(TransferKind::Return, from);
                    }
                }
                Move::Reopen => {
                    if !self.given_back || self.credit().line != Some(Line::Taken) {
                        return;
                    }
                    self.credit().line = Some(Line::Open);
                    if self.outcome.state == State::InTransit {
                        self.outcome.state = State::Payable;
                    }
                    (self.in_payout, self.settled, self.given_back) = (false, false, false);
                }
                Move::Hold => {
                    let until = now + jiff::SignedDuration::from_hours(1);
                    let held = read.held_until(until, "the bank asks", now);
                    if let Some((after, transfer)) = held.filter(|_| self.seen() == seen) {
                        transfer.iter().for_each(|transfer| self.post(transfer));
                        self.outcome = after;
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn release_reversal_and_payout_cannot_cross(
            steps in prop::collection::vec((0_usize..8, 0_usize..4), 1..40)
        ) {
            let outcome = outcome(false);
            let mut model = Model {
                balance: Balance::zero(gbp()),
                granted: 0,
                apart: 0,
                in_payout_minor: 0,
                in_payout: false,
                settled: false,
                given_back: false,
                outcome: outcome.clone(),
            };
            model.post(&outcome.commission().unwrap());
            let mut past = vec![outcome];
            let mut now = at("2020-09-18T16:28:25Z");
            const MOVES: [Move; 8] = [
                Move::Release, Move::Shrink, Move::Reverse, Move::Reserve, Move::Settle, Move::GiveBack, Move::Reopen,
                Move::Hold,
            ];
            for (step, stale) in steps {
                let read = past[past.len().saturating_sub(1 + stale)].clone();
                model.step(MOVES[step], &read, now);
                now = crate::clock::days_after(now, 1);
                past.push(model.outcome.clone());
                let Balance { pending, payable, in_transit, paid, .. } = model.balance;
                prop_assert_eq!(
                    pending + payable + in_transit + paid, model.granted, "the legs sum to zero"
                );
                let credit = model.outcome.credit.as_ref().unwrap();
                prop_assert_eq!(model.granted, credit.total.minor(), "what was granted is what it stands at");
                prop_assert!(credit.reversed_at.is_none() || model.granted == 0);
                prop_assert!(pending == 0 || pending == credit.total.minor());
                if !model.given_back {
                    let line = if credit.line == Some(Line::Open) { credit.line_minor } else { 0 };
                    prop_assert_eq!(payable, line + model.apart, "open lines are what is payable");
                }
            }
        }

        #[test]
        fn the_end_does_not_depend_on_the_order_of_arrival(
            order in Just(vec![0_u8, 1, 2]).prop_shuffle(),
            settles in prop::collection::vec(any::<bool>(), 3),
            pending in any::<bool>(),
        ) {
            // Facts, approval and reversal arrive in any order, with settling in between or not.
            let status = if pending { PostedStatus::Pending } else { PostedStatus::Approved };
            let all = facts(status);
            let mut known: Option<Facts> = None;
            let mut changes = Changes::default();
            let mut outcome: Option<Outcome> = None;
            let mut granted = 0;
            let settle = |known: &Option<Facts>, changes: &Changes, outcome: &mut Option<Outcome>, granted: &mut i64| {
                match missing(known.as_ref(), changes, outcome.as_ref()) {
                    Missing::Nothing | Missing::Rate | Missing::Followers => {}
                    Missing::Credit => {
                        let made = super::tests::outcome(!changes.reversals.is_empty());
                        *granted = made.commission().unwrap().amount.minor();
                        *outcome = Some(made);
                    }
                    Missing::Change(_) => {
                        let now = at("2020-08-21T00:00:00Z");
                        let standing = outcome.as_ref().unwrap();
                        let how = standing.corrected(&whole(standing), now).unwrap().unwrap();
                        *granted -= how.transfer.amount.minor();
                        *outcome = Some(how.after);
                    }
                }
            };
            for (arrival, settles) in order.into_iter().zip(settles) {
                match arrival {
                    0 => known = Some(all.clone()),
                    1 => changes.approved_at = Some(at("2020-08-20T00:00:00Z")),
                    _ => changes.reversals.push(reversal()),
                }
                if settles {
                    settle(&known, &changes, &mut outcome, &mut granted);
                }
            }
            settle(&known, &changes, &mut outcome, &mut granted);
            settle(&known, &changes, &mut outcome, &mut granted);
            prop_assert_eq!(outcome.unwrap().state, State::Reversed);
            prop_assert_eq!(granted, 0);
        }

        #[test]
        fn a_pay_is_the_sum_of_its_steps(
            minor in 0_i64..1_000_000,
            quantity in 1_u32..1000,
            rates in prop::collection::vec(0_u32..=10_000, 0..6),
        ) {
            let mut components: Vec<Component> = rates
                .iter()
                .map(|rate| percent("sale", &rust_decimal::Decimal::new(i64::from(*rate), 4).to_string()))
                .collect();
            components.push(flat("sale", "0.10"));
            let sale = Entry { amount: Some(minor), ..event("sale", Some("0.00"), quantity) };
            let Paid { pay, steps, .. } = price(&plan(components), &sale, gbp()).unwrap();
            prop_assert_eq!(steps.iter().map(|step| step.amount.minor()).sum::<i64>(), pay.minor());
            prop_assert_eq!(steps.len(), rates.len() + 1);
        }
    }
}
