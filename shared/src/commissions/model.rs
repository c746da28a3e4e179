//! Commissions: what a conversion pays under a plan version, and the one outcome it has. Pure.

use crate::claims::model::{Ruling, Unattributed};
use crate::clock::{Timestamp, days_after};
use crate::ids::{ConversionId, PartnerId, PayoutId, ProgramId, TransferId};
use crate::ledger::model::{AccountId, Bucket, Transfer, TransferKind, commission_id};
use crate::money::{Currency, Money, MoneyError, Rounding};
use crate::plans::model::{Base, Pay, PlanVersion};
use crate::tracking::model::{Changes, Facts, PostedStatus, Reversal};

/// Where a commission stands. `paid` is not stored: it is `InTransit` in a payout that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
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
    pub const ALL: [Self; 5] = [
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

/// The one outcome of a conversion. Its facts never change, only `state`, `reversed_at` and `payout` move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which conversion.
    pub conversion: ConversionId,
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
    /// The plan's code.
    pub plan: String,
    /// The plan's version, frozen at the event's time.
    pub plan_version: u32,
    /// What the plan pays.
    pub pay: Money,
    /// What was posted to `pending`: `pay`, or nothing when the conversion was reversed before it was credited.
    pub posted: Money,
    /// When the hold passes.
    pub release_at: Timestamp,
    /// How `pay` came about, one step per component.
    pub trace: Vec<Step>,
    /// When it became payable.
    pub payable_at: Option<Timestamp>,
    /// When it was taken back.
    pub reversed_at: Option<Timestamp>,
    /// Its payout.
    pub payout: Option<PayoutId>,
    /// Whether it stands as a line for payouts, and whether one has taken it.
    pub line: Option<Line>,
}

/// One step of a commission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Position of the component in the plan version.
    pub component: u32,
    /// What it came to.
    pub amount: Money,
}

/// What a commission is computed from, beside the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened, such as `sale`.
    pub name: &'a str,
    /// Its amount.
    pub amount: Option<Money>,
    /// How many.
    pub quantity: u32,
    /// The program's currency.
    pub currency: Currency,
}

impl<'a> Event<'a> {
    /// The event that a conversion reports.
    #[must_use]
    pub fn of(facts: &'a Facts, currency: Currency) -> Self {
        Self {
            name: &facts.event,
            amount: facts.amount,
            quantity: facts.quantity,
            currency,
        }
    }
}

/// What a plan version pays for an event: a step for each component of that event, in the plan's order.
/// Flat amounts are multiplied by the quantity; shares are taken of the amount and rounded half up, each
/// for itself; a share of an event without an amount is nothing. No step means that nobody pays for it.
///
/// # Errors
/// `CurrencyMismatch`, `OverLimit`.
pub fn calculate(plan: &PlanVersion, event: Event<'_>) -> Result<(Money, Vec<Step>), MoneyError> {
    let mut pay = Money::zero(event.currency);
    let mut steps = Vec::new();
    for (component, position) in plan.terms.components.iter().zip(0_u32..) {
        if component.event != event.name {
            continue;
        }
        let amount = match &component.pay {
            Pay::Flat(amount) => amount.times(event.quantity)?,
            Pay::Percent {
                rate,
                of: Base::Amount,
            } => match event.amount {
                Some(amount) => amount.percent(*rate, Rounding::HalfUp)?,
                None => Money::zero(event.currency),
            },
            _ => continue,
        };
        pay = pay.plus(amount)?;
        steps.push(Step {
            component: position,
            amount,
        });
    }
    Ok((pay, steps))
}

/// A trace in sentences, from the plan version and the inputs it was computed from.
#[must_use]
pub fn explain(plan: &PlanVersion, event: Event<'_>, steps: &[Step]) -> Vec<String> {
    let code = event.currency.code();
    let mut sentences = vec![format!(
        "Plan {} version {}, in force from {}, pays for the event {}.",
        plan.code, plan.version, plan.effective_from, event.name
    )];
    for Step { component, amount } in steps {
        let number = component + 1;
        let index = usize::try_from(*component).unwrap_or(usize::MAX);
        sentences.push(match (plan.terms.components.get(index).map(|component| &component.pay), event.amount) {
            (Some(Pay::Flat(each)), _) => format!(
                "Component {number}: {each} {code} flat × {} = {amount} {code}.",
                event.quantity
            ),
            (Some(Pay::Percent { rate, .. }), Some(of)) => format!(
                "Component {number}: rate {rate} of {of} {code} = {} {code}, rounded half up to {amount} {code}.",
                exact(of, *rate)
            ),
            (Some(Pay::Percent { rate, .. }), None) => format!(
                "Component {number}: rate {rate} of the amount, but none was posted = {amount} {code}."
            ),
            (Some(_) | None, _) => format!("Component {number} = {amount} {code}."),
        });
    }
    if steps.is_empty() {
        return vec![format!(
            "In plan {} version {} nothing pays for the event {}: {} {code}.",
            plan.code,
            plan.version,
            event.name,
            Money::zero(event.currency)
        )];
    }
    sentences
}

/// The share before rounding, in whole units of the currency.
fn exact(amount: Money, rate: crate::money::Rate) -> String {
    let unit = rust_decimal::Decimal::from(10_i64.pow(amount.currency().exponent()));
    rust_decimal::Decimal::from(amount.minor())
        .checked_mul(rate.decimal())
        .and_then(|minor| minor.checked_div(unit))
        .map_or_else(String::new, |exact| exact.normalize().to_string())
}

/// What a conversion still lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing<'a> {
    /// Nothing: all that was said of it has been absorbed.
    Nothing,
    /// An outcome that credits its partner.
    Credit,
    /// An outcome that posts nothing, because it was taken back before it was credited.
    CreditReversed(&'a Reversal),
    /// Taking back what was credited.
    Reversal(&'a Reversal),
}

/// What has to happen so that the outcome reflects all that was said of a conversion. Depends on nothing
/// but what stands there, so it may be asked any number of times and in any order of arrival.
#[must_use]
pub fn missing<'a>(
    facts: Option<&Facts>,
    changes: &'a Changes,
    outcome: Option<&Outcome>,
) -> Missing<'a> {
    let Some(facts) = facts else {
        return Missing::Nothing;
    };
    let reversal = changes.reversals.first();
    match (outcome.map(|outcome| outcome.state), reversal) {
        (Some(State::Reversed | State::Unattributed), _) | (Some(_), None) => Missing::Nothing,
        (Some(State::Held | State::Payable | State::InTransit), Some(reversal)) => {
            Missing::Reversal(reversal)
        }
        (None, Some(reversal)) => Missing::CreditReversed(reversal),
        (None, None) => {
            if facts.status == PostedStatus::Approved || changes.approved_at.is_some() {
                Missing::Credit
            } else {
                Missing::Nothing
            }
        }
    }
}

/// The outcome of a conversion whose ruling named a partner, or nobody.
///
/// # Errors
/// What the calculation gives.
pub fn outcome(
    facts: &Facts,
    ruling: Ruling,
    plan: Option<&PlanVersion>,
    currency: Currency,
    reversal: Option<&Reversal>,
    now: Timestamp,
) -> Result<Outcome, MoneyError> {
    let partner = ruling.winner.as_ref().and_then(|winner| winner.partner);
    let (credit, state) = match (partner, plan) {
        (Some(partner), Some(plan)) => {
            let (pay, trace) = calculate(plan, Event::of(facts, currency))?;
            let (posted, state) = match reversal {
                None => (pay, State::Held),
                Some(_) => (Money::zero(currency), State::Reversed),
            };
            let credit = Credit {
                partner,
                plan: plan.code.clone(),
                plan_version: plan.version,
                pay,
                posted,
                release_at: days_after(facts.occurred_at, plan.hold_days),
                trace,
                payable_at: None,
                reversed_at: reversal.map(|_| now),
                payout: None,
                line: None,
            };
            (Ok(credit), state)
        }
        _ => (
            Err(ruling.reason().unwrap_or(Unattributed::NoPlan)),
            State::Unattributed,
        ),
    };
    Ok(Outcome {
        conversion: facts.id,
        program: facts.program,
        at: now,
        ruling,
        credit,
        state,
    })
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

    /// The commission's transfer.
    #[must_use]
    pub fn commission(&self) -> Option<Transfer> {
        let credit = self.credit.as_ref().ok()?;
        Some(Transfer {
            id: commission_id(self.conversion),
            kind: TransferKind::Commission,
            account: self.account()?,
            from: Bucket::Commissions,
            to: Bucket::Pending,
            amount: credit.posted,
            at: self.at,
            source: self.conversion.to_string(),
            lines: Vec::new(),
            reason: None,
        })
    }

    /// Takes the commission back, in full, from wherever it stands. `None` when there is nothing to take
    /// back: nobody was credited, or it was taken back before.
    #[must_use]
    pub fn take_back(&self, reversal: &Reversal, now: Timestamp) -> Option<TakeBack> {
        let credit = self.credit.as_ref().ok()?;
        let (from, clawback) = match (self.state, credit.line) {
            (State::Held, _) => (Bucket::Pending, false),
            (State::Payable, _) => (Bucket::Payable, false),
            // The money is with a payout; what is taken back stands against the next one.
            (State::InTransit, _) => (Bucket::Payable, true),
            (State::Reversed | State::Unattributed, _) => return None,
        };
        Some(TakeBack {
            clawback,
            transfer: Transfer {
                id: TransferId::derived(&[&self.conversion.to_string(), "reversal"]),
                kind: TransferKind::Reversal,
                account: self.account()?,
                from,
                to: Bucket::Commissions,
                amount: credit.posted,
                at: now,
                source: self.conversion.to_string(),
                lines: Vec::new(),
                reason: Some(reversal.reason.clone()).filter(|reason| !reason.is_empty()),
            },
        })
    }
}

/// How a commission is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeBack {
    /// The compensating transfer.
    pub transfer: Transfer,
    /// Whether a payout has the commission, so that the transfer is a payable line of its own.
    pub clawback: bool,
}

/// The release of held commissions of one account: one transfer from `pending` to `payable` with a line
/// for each. Its id is derived from the first, which can be released only once. `None` without any.
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
        amount = amount.plus(credit.posted)?;
        lines.push((outcome.conversion.to_string(), credit.posted.minor()));
    }
    Ok(Some(Transfer {
        id: TransferId::derived(&[&first.conversion.to_string(), "release"]),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::claims::model::{Claim, Evidence};
    use crate::ids::CouponId;
    use crate::ledger::model::Balance;
    use crate::plans::model::{Component, Terms};
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

    fn event<'a>(name: &'a str, amount: Option<&str>, quantity: u32) -> Event<'a> {
        Event {
            name,
            amount: amount.map(money),
            quantity,
            currency: gbp(),
        }
    }

    fn pay(components: Vec<Component>, event: Event<'_>) -> String {
        calculate(&plan(components), event).unwrap().0.to_string()
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
            }),
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

    fn credited(reversal: Option<&Reversal>) -> Outcome {
        outcome(
            &facts(PostedStatus::Approved),
            ruling(),
            Some(&plan(vec![percent("sale", "0.30")])),
            gbp(),
            reversal,
            at("2020-08-19T16:28:27Z"),
        )
        .unwrap()
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
        let (pay, steps) = calculate(&plan, trial).unwrap();
        assert!(pay.is_zero() && steps.is_empty());
        assert_eq!(
            explain(&plan, trial, &steps),
            ["In plan standard version 3 nothing pays for the event trial: 0.00 GBP."]
        );
    }

    #[test]
    fn a_share_of_an_event_without_an_amount_is_nothing_and_says_so() {
        let plan = plan(vec![percent("sale", "0.30")]);
        let sale = event("sale", None, 1);
        let (pay, steps) = calculate(&plan, sale).unwrap();
        assert!(pay.is_zero());
        assert_eq!(steps.len(), 1);
        assert!(explain(&plan, sale, &steps)[1].contains("none was posted"));
    }

    #[test]
    fn a_trace_names_plan_rate_inputs_and_rounding() {
        let plan = plan(vec![flat("sale", "4.00"), percent("sale", "0.075")]);
        let sale = event("sale", Some("9.99"), 3);
        let (_, steps) = calculate(&plan, sale).unwrap();
        assert_eq!(
            explain(&plan, sale, &steps),
            [
                "Plan standard version 3, in force from 2020-01-01T00:00:00Z, pays for the event sale.",
                "Component 1: 4.00 GBP flat × 3 = 12.00 GBP.",
                "Component 2: rate 0.075 of 9.99 GBP = 0.74925 GBP, rounded half up to 0.75 GBP.",
            ]
        );
    }

    #[test]
    fn a_hold_of_thirty_days_passes_to_the_second() {
        let outcome = credited(None);
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
        let reversal = reversal();
        assert_eq!(missing(None, &reversed, None), Missing::Nothing);
        assert_eq!(missing(Some(&approved), &none, None), Missing::Credit);
        assert_eq!(missing(Some(&pending), &none, None), Missing::Nothing);
        assert_eq!(missing(Some(&pending), &late, None), Missing::Credit);
        assert_eq!(
            missing(Some(&pending), &reversed, None),
            Missing::CreditReversed(&reversal)
        );
        assert_eq!(
            missing(Some(&approved), &reversed, Some(&credited(None))),
            Missing::Reversal(&reversal)
        );
        assert_eq!(
            missing(Some(&approved), &reversed, Some(&credited(Some(&reversal)))),
            Missing::Nothing
        );
    }

    #[test]
    fn what_is_reversed_before_it_is_credited_posts_nothing() {
        let outcome = credited(Some(&reversal()));
        assert_eq!(outcome.state, State::Reversed);
        let credit = outcome.credit.as_ref().unwrap();
        assert_eq!(credit.pay.to_string(), "14.70");
        assert!(credit.posted.is_zero());
        assert_eq!(
            outcome.take_back(&reversal(), at("2020-09-01T00:00:00Z")),
            None
        );
    }

    /// What a conversion goes through, each step decided on what was read some steps ago and committed on
    /// the condition that state and line are still the same, as the store does.
    #[derive(Clone, Copy, Debug)]
    enum Move {
        Release,
        Reverse,
        Reserve,
        Settle,
        GiveBack,
        Reopen,
    }

    struct Model {
        outcome: Outcome,
        balance: Balance,
        granted: i64,
        open_lines: i64,
        in_payout: bool,
        settled: bool,
        given_back: bool,
    }

    impl Model {
        fn credit(&mut self) -> &mut Credit {
            self.outcome.credit.as_mut().unwrap()
        }

        fn seen(&self) -> (State, Option<Line>) {
            (
                self.outcome.state,
                self.outcome.credit.as_ref().unwrap().line,
            )
        }

        fn post(&mut self, transfer: &Transfer) {
            self.balance = self.balance.after(transfer).unwrap();
            let minor = transfer.amount.minor();
            self.granted += i64::from(transfer.from == Bucket::Commissions) * minor;
            self.granted -= i64::from(transfer.to == Bucket::Commissions) * minor;
        }

        fn payout_moves(&mut self, kind: TransferKind, from: Bucket) {
            let account = self.outcome.account().unwrap();
            let amount = self.outcome.credit.as_ref().unwrap().posted;
            self.post(&Transfer {
                id: TransferId::derived(&["payout", kind.name()]),
                kind,
                account,
                from,
                to: kind.to(),
                amount,
                at: self.outcome.at,
                source: String::new(),
                lines: Vec::new(),
                reason: None,
            });
        }

        fn step(&mut self, step: Move, read: &Outcome, now: Timestamp) {
            let seen = (read.state, read.credit.as_ref().unwrap().line);
            let posted = read.credit.as_ref().unwrap().posted.minor();
            match step {
                Move::Release => {
                    if !read.is_due(now) || self.outcome.state != State::Held {
                        return;
                    }
                    let account = read.account().unwrap();
                    let transfer = release(account, &[read], now).unwrap().unwrap();
                    self.post(&transfer);
                    self.outcome.state = State::Payable;
                    self.credit().line = Some(Line::Open);
                    self.open_lines += posted;
                }
                Move::Reverse => {
                    let Some(how) = read.take_back(&reversal(), now) else {
                        return;
                    };
                    if self.seen() != seen {
                        return;
                    }
                    self.post(&how.transfer);
                    if how.clawback || self.credit().line.take().is_some() {
                        self.open_lines -= posted;
                    }
                    self.outcome.state = State::Reversed;
                }
                Move::Reserve => {
                    if self.credit().line != Some(Line::Open) || self.in_payout {
                        return;
                    }
                    self.credit().line = Some(Line::Taken);
                    if self.outcome.state == State::Payable {
                        self.outcome.state = State::InTransit;
                    }
                    self.open_lines -= posted;
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
                    self.open_lines += posted;
                    (self.in_payout, self.settled, self.given_back) = (false, false, false);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn release_reversal_and_payout_cannot_cross(
            steps in prop::collection::vec((0_usize..6, 0_usize..4), 1..40)
        ) {
            let outcome = credited(None);
            let mut model = Model {
                balance: Balance::zero(gbp()),
                granted: 0,
                open_lines: 0,
                in_payout: false,
                settled: false,
                given_back: false,
                outcome: outcome.clone(),
            };
            model.post(&outcome.commission().unwrap());
            let pay = outcome.credit.as_ref().unwrap().posted.minor();
            let mut past = vec![outcome];
            let now = at("2020-09-18T16:28:25Z");
            const MOVES: [Move; 6] = [
                Move::Release, Move::Reverse, Move::Reserve, Move::Settle, Move::GiveBack, Move::Reopen,
            ];
            for (step, stale) in steps {
                let read = past[past.len().saturating_sub(1 + stale)].clone();
                model.step(MOVES[step], &read, now);
                past.push(model.outcome.clone());
                let Balance { pending, payable, in_transit, paid, .. } = model.balance;
                prop_assert_eq!(
                    pending + payable + in_transit + paid, model.granted, "the legs sum to zero"
                );
                let reversed = model.outcome.state == State::Reversed;
                prop_assert_eq!(model.granted, if reversed { 0 } else { pay });
                prop_assert!(pending == 0 || pending == pay);
                if !model.given_back {
                    prop_assert_eq!(payable, model.open_lines, "open lines are what is payable");
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
                    Missing::Nothing => {}
                    Missing::Credit => *outcome = Some(credited(None)),
                    Missing::CreditReversed(reversal) => *outcome = Some(credited(Some(reversal))),
                    Missing::Reversal(reversal) => {
                        let now = at("2020-08-21T00:00:00Z");
                        let how = outcome.as_ref().unwrap().take_back(reversal, now).unwrap();
                        *granted -= how.transfer.amount.minor();
                        outcome.as_mut().unwrap().state = State::Reversed;
                        return;
                    }
                }
                *granted = outcome
                    .as_ref()
                    .filter(|outcome| outcome.state == State::Held)
                    .map_or(0, |outcome| outcome.commission().unwrap().amount.minor());
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
            let sale = Event { name: "sale", amount: Some(Money::new(minor, gbp())), quantity, currency: gbp() };
            let (pay, steps) = calculate(&plan(components), sale).unwrap();
            prop_assert_eq!(steps.iter().map(|step| step.amount.minor()).sum::<i64>(), pay.minor());
            prop_assert_eq!(steps.len(), rates.len() + 1);
        }
    }
}
