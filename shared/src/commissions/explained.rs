//! A commission explained: what its plan was told, what it tested, each step to its amount, and what was
//! posted since. As data, and as sentences that a partner understands.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::error::CommissionError;
use super::fold::{Aside, Entry, Step};
use super::model::{Credit, Outcome, Source, WindowKind, entry, net_applied};
use super::store;
use super::trace::{Test, tests};
use super::view::{plan_of, sentences};
use crate::clock::Timestamp;
use crate::edge::App;
use crate::ids::{ConversionId, PartnerId, ProgramId, TransferId};
use crate::ledger;
use crate::money::{Currency, Money};
use crate::plans::model::{ASSIGNED_BY, BASES, BracketPay, Pay, PlanVersion, name_in};
use crate::tracking::model::{Changes, Facts};
use crate::tracking::store::find_many;

/// How a commission came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceView {
    /// Its id: the conversion's, or that of a line of another source.
    #[schema(value_type = String)]
    pub id: ConversionId,
    /// What it is paid for: `conversion`, `share`, `level`, `subtree`, `close`, `budget` or `adjustment`.
    #[schema(example = "conversion")]
    pub source: &'static str,
    /// The conversion that it follows from, where it is another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub of: Option<ConversionId>,
    /// How many levels above it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
    /// The share of the conversion's amounts, where two registered its customer together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.70")]
    pub share: Option<String>,
    /// Whose it is.
    #[schema(value_type = String)]
    pub partner: PartnerId,
    /// In which program.
    #[schema(value_type = String)]
    pub program: ProgramId,
    /// The plan version that pays; absent for an adjustment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<TracePlanView>,
    /// What the plan was told; absent where no conversion of its own stands behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<TraceInputsView>,
    /// The rate of exchange at which amounts were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<TraceExchangeView>,
    /// What components asked of the event, and whether it holds.
    pub conditions: Vec<TraceConditionView>,
    /// What each component came to; of a window's close what its gate decided.
    pub steps: Vec<TraceStepView>,
    /// What caps took off.
    pub caps: Vec<TraceCutView>,
    /// What the event itself pays, in its place.
    #[schema(example = "400.00")]
    pub amount: String,
    /// What was posted first: that, and what it changed for others of its window.
    #[schema(example = "440.00")]
    pub posted: String,
    /// What was posted in all, corrections included.
    #[schema(example = "320.00")]
    pub total: String,
    /// The currency of all amounts.
    #[schema(example = "GBP")]
    pub currency: &'static str,
    /// What uplines get of it, in all; for operators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<TraceLevelView>,
    /// What was posted since, oldest first.
    pub corrections: Vec<TraceCorrectionView>,
    /// The same in sentences.
    pub sentences: Vec<String>,
}

/// The plan version that pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TracePlanView {
    /// Its code.
    #[schema(example = "gold")]
    pub code: String,
    /// Its version, frozen at the event's time.
    pub version: u32,
    /// What assigned it: `link`, `partner` or `program`.
    #[schema(example = "partner")]
    pub assigned_by: &'static str,
    /// From when on the version pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_from: Option<Timestamp>,
}

/// What a plan was told of an event, when it was credited: amounts in the program's currency, less what was
/// taken back by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceInputsView {
    /// What happened.
    #[schema(example = "sale")]
    pub event: String,
    /// How many.
    pub quantity: u32,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Timestamp,
    /// When it counts in its window.
    #[schema(value_type = String, format = DateTime)]
    pub counted_at: Timestamp,
    /// Its amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Its margin; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<String>,
    /// Its net revenue; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_revenue: Option<String>,
    /// Bonuses, fees and chargebacks together; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjustments: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The coupon's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// `new` or `returning`, where the event says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "new")]
    pub customer_type: Option<&'static str>,
    /// Whole months since the customer's first conversion of the event with the partner; absent for the first,
    /// for an event without a customer, and where the plan asks nothing about customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_months: Option<i64>,
    /// `sub1` to `sub5`, those that were given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subs: BTreeMap<String, String>,
    /// Metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

/// What a component asked of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceConditionView {
    /// The component's number in the plan version, from 1.
    pub component: u32,
    /// What it asks, in words.
    #[schema(example = "the country is GB")]
    pub asks: String,
    /// Whether that holds of the event.
    pub holds: bool,
}

/// A rate of exchange as it was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceExchangeView {
    /// The conversion's currency.
    #[schema(example = "EUR")]
    pub from: &'static str,
    /// Units of the program's currency for one.
    #[schema(example = "0.8512")]
    pub rate: String,
    /// Of which day.
    #[schema(example = "2026-03-01")]
    pub date: String,
    /// Whose word it is.
    #[schema(example = "ECB")]
    pub source: String,
}

/// What one component came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceStepView {
    /// The component's number in the plan version, from 1.
    pub component: u32,
    /// What it came to.
    #[schema(example = "400.00")]
    pub amount: String,
    /// What it would have come to without its minimum or maximum, where they changed it; what was provisional,
    /// where a gate decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_limits: Option<String>,
    /// What a percentage is taken of: `amount`, `margin` or `net_revenue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "amount")]
    pub of: Option<&'static str>,
    /// The rate, where there is one; of tiers that of the bracket that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.10")]
    pub rate: Option<String>,
    /// What is paid for each, where that is a fixed amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "25.00")]
    pub each: Option<String>,
    /// Where the bracket begins that the measure stood in before the event: a number of events, or minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bracket_before: Option<i64>,
    /// Where the bracket begins that the measure reached with it, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bracket_after: Option<i64>,
    /// How fractions of a minor unit are settled.
    #[schema(example = "half_up")]
    pub rounding: &'static str,
    /// The measure before the event: a number of events, or an amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_before: Option<i64>,
    /// The measure with it, likewise; amounts in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_after: Option<i64>,
    /// `paid`, `not_chosen` where another component pays, or `provisional` until its window closes; of a window's
    /// close `paid` or `not_reached`.
    #[schema(example = "paid")]
    pub result: &'static str,
}

/// What a cap took off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceCutView {
    /// The cap's number in the plan version, from 1.
    pub cap: u32,
    /// What was left of it before the event.
    #[schema(example = "4.00")]
    pub room: String,
    /// How much it took off.
    #[schema(example = "1.00")]
    pub taken_off: String,
}

/// What an upline gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceLevelView {
    /// How many levels above, from 1.
    pub level: u32,
    /// Whom; absent when that upline could not be credited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub partner: Option<PartnerId>,
    /// How much in all.
    #[schema(example = "40.00")]
    pub amount: String,
}

/// A posting that followed the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TraceCorrectionView {
    /// Its transfer.
    #[schema(value_type = String)]
    pub transfer: TransferId,
    /// By how much it changed the commission.
    #[schema(example = "-120.00")]
    pub amount: String,
    /// When it was posted.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// A person's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl TraceView {
    /// The view for the credited partner: what the vendor earns and notes, and what others get, is none of its
    /// business.
    #[must_use]
    pub fn for_partner(mut self) -> Self {
        self.levels.clear();
        if let Some(inputs) = &mut self.inputs {
            inputs.margin = None;
            inputs.net_revenue = None;
            inputs.adjustments = None;
            // It may be another partner's, whose claim lost.
            inputs.coupon = None;
            inputs.meta.clear();
        }
        self
    }
}

/// How a commission came about: two reads, one more for a share, and one for what was posted since.
///
/// # Errors
/// `NotFound`, also for a conversion that credits nobody; the table's.
pub async fn trace(app: &App, id: ConversionId) -> Result<TraceView, CommissionError> {
    let mut records = find_many(&app.main, &[id]).await?;
    let (facts, changes, item) = records.remove(&id).ok_or(CommissionError::NotFound(id))?;
    let outcome = store::outcome(item.ok_or(CommissionError::NotFound(id))?)?;
    let Ok(credit) = &outcome.credit else {
        return Err(CommissionError::NotFound(id));
    };
    // Of a share the conversion that it is of says what its plan was told.
    let (facts, changes) = match outcome.source {
        Source::Share { of } => match find_many(&app.main, &[of]).await?.remove(&of) {
            Some((facts, changes, _)) => (facts, changes),
            None => (None, changes),
        },
        _ => (facts, changes),
    };
    let plan = plan_of(app, outcome.program, credit).await?;
    let corrections = corrections(app, &outcome, credit).await?;
    Ok(shown(
        &outcome,
        credit,
        facts.as_ref().map(|facts| (facts, &changes)),
        plan.as_ref(),
        corrections,
    ))
}

/// What was posted after the first transfer, oldest first.
async fn corrections(
    app: &App,
    outcome: &Outcome,
    credit: &Credit,
) -> Result<Vec<TraceCorrectionView>, CommissionError> {
    let ids = outcome.correction_ids(credit);
    let keys: Vec<_> = ids
        .iter()
        .map(|id| ledger::store::transfer_key(*id))
        .collect();
    let mut found = app.main.get_many(keys.iter().cloned()).await?;
    let mut corrections = Vec::new();
    for key in &keys {
        // What came to nothing has no transfer where a payout had taken the money.
        let Some(item) = found.remove(key) else {
            continue;
        };
        let transfer = ledger::store::transfer(item)?;
        let amount = if transfer.to == ledger::model::Bucket::Commissions {
            transfer.amount.negated()?
        } else {
            transfer.amount
        };
        corrections.push(TraceCorrectionView {
            transfer: transfer.id,
            amount: amount.to_string(),
            at: transfer.at,
            reason: transfer.reason,
        });
    }
    corrections.sort_by_key(|correction| correction.at);
    Ok(corrections)
}

fn shown(
    outcome: &Outcome,
    credit: &Credit,
    said: Option<(&Facts, &Changes)>,
    plan: Option<&PlanVersion>,
    corrections: Vec<TraceCorrectionView>,
) -> TraceView {
    let currency = credit.pay.currency();
    let (source, of, level) = match &outcome.source {
        Source::Conversion => ("conversion", None, None),
        Source::Share { of } => ("share", Some(*of), None),
        Source::Level { of, level } => ("level", Some(*of), Some(*level)),
        Source::SubTree { of } => ("subtree", Some(*of), None),
        Source::Window { kind, .. } => match kind {
            WindowKind::Close => ("close", None, None),
            WindowKind::Budget => ("budget", None, None),
        },
        Source::Adjustment { .. } => ("adjustment", None, None),
    };
    let told = said.and_then(|(facts, changes)| told(facts, changes, credit));
    TraceView {
        id: outcome.conversion,
        source,
        of,
        level,
        share: credit.part.map(|part| part.rate().to_string()),
        partner: credit.partner,
        program: outcome.program,
        plan: (!credit.plan.is_empty()).then(|| TracePlanView {
            code: credit.plan.clone(),
            version: credit.plan_version,
            assigned_by: name_in(ASSIGNED_BY, credit.assigned_by),
            effective_from: plan.map(|plan| plan.effective_from),
        }),
        conditions: match (plan, &told) {
            (Some(plan), Some(told)) => conditions(plan, told, credit),
            _ => Vec::new(),
        },
        inputs: told.map(|told| inputs(told, credit, currency)),
        exchange: credit.exchange.as_ref().map(|exchange| TraceExchangeView {
            from: exchange.from.code(),
            rate: exchange.rate.to_string(),
            date: exchange.date.to_string(),
            source: exchange.source.clone(),
        }),
        steps: credit
            .trace
            .iter()
            .map(|step| match outcome.source {
                Source::Window { .. } => decided_view(plan, step),
                _ => step_view(plan, step),
            })
            .collect(),
        caps: credit
            .cuts
            .iter()
            .map(|cut| TraceCutView {
                cap: cut.cap + 1,
                room: cut.room.to_string(),
                taken_off: cut.by.to_string(),
            })
            .collect(),
        amount: credit.pay.to_string(),
        posted: credit.posted.to_string(),
        total: credit.total.to_string(),
        currency: currency.code(),
        levels: (1..)
            .zip(&credit.levels)
            .map(|(level, (partner, share))| TraceLevelView {
                level,
                partner: *partner,
                amount: share.to_string(),
            })
            .collect(),
        corrections,
        sentences: sentences(said, outcome, credit, plan),
    }
}

/// What the plan was told when it was credited.
pub(super) fn told(facts: &Facts, changes: &Changes, credit: &Credit) -> Option<Entry> {
    let counted_at = credit
        .book
        .as_ref()
        .map_or(facts.occurred_at, |(_, at)| *at);
    // As it was when it was credited: what came later is told after it.
    let later = usize::try_from(credit.revision).unwrap_or(usize::MAX);
    let first = credit.applied.len().saturating_sub(later);
    let net = net_applied(facts, changes, &credit.applied[..first]);
    entry(
        facts,
        net,
        credit.partner,
        (counted_at, credit.known_since),
        credit.exchange.as_ref(),
        credit.pay.currency(),
        credit.part,
    )
    .ok()
}

fn conditions(plan: &PlanVersion, told: &Entry, credit: &Credit) -> Vec<TraceConditionView> {
    tests(plan, told, credit.months, credit.pay.currency())
        .into_iter()
        .map(|test| {
            let Test {
                component,
                asks,
                holds,
            } = test;
            TraceConditionView {
                component,
                asks,
                holds,
            }
        })
        .collect()
}

fn step_view(plan: Option<&PlanVersion>, step: &Step) -> TraceStepView {
    let Applied {
        of,
        rate,
        each,
        brackets,
    } = applied(plan, step);
    let (bracket_before, bracket_after) = brackets.unzip();
    let (measured_before, measured_after) = step.measured.unzip();
    TraceStepView {
        component: step.component + 1,
        amount: step.amount.to_string(),
        before_limits: step.unbound.map(|unbound| unbound.to_string()),
        of,
        rate,
        each,
        bracket_before,
        bracket_after,
        rounding: "half_up",
        measured_before,
        measured_after,
        result: match step.aside {
            None => "paid",
            Some(Aside::NotChosen) => "not_chosen",
            Some(Aside::Gated) => "provisional",
        },
    }
}

/// What a gate decided: its measure is that of the gate, and nothing of the component's own terms.
fn decided_view(plan: Option<&PlanVersion>, step: &Step) -> TraceStepView {
    let gate = usize::try_from(step.component)
        .ok()
        .and_then(|index| plan?.terms.components.get(index)?.gate.as_ref());
    let is_passed = gate
        .zip(step.measured)
        .is_none_or(|(gate, (_, reached))| reached >= gate.at_least);
    TraceStepView {
        result: if is_passed { "paid" } else { "not_reached" },
        ..step_view(None, step)
    }
}

/// What of a plan's terms a step applied.
#[derive(Default)]
struct Applied {
    of: Option<&'static str>,
    rate: Option<String>,
    each: Option<String>,
    /// Where the brackets begin in which the measure stood before and after.
    brackets: Option<(i64, i64)>,
}

fn applied(plan: Option<&PlanVersion>, step: &Step) -> Applied {
    let component = usize::try_from(step.component)
        .ok()
        .and_then(|index| plan?.terms.components.get(index));
    let Some(component) = component else {
        return Applied::default();
    };
    let begins = |froms: &[i64], at: i64| {
        let reached = froms.iter().rev().find(|from| **from <= at);
        reached.or_else(|| froms.first()).copied()
    };
    let brackets = |froms: &[i64]| {
        let (before, after) = step.measured?;
        Some((begins(froms, before)?, begins(froms, after)?))
    };
    match &component.pay {
        Pay::Flat(each) => Applied {
            each: Some(each.to_string()),
            ..Applied::default()
        },
        Pay::Percent { rate, of } => Applied {
            of: Some(name_in(BASES, *of)),
            rate: Some(rate.to_string()),
            ..Applied::default()
        },
        Pay::Milestone { .. } => Applied::default(),
        Pay::RevenueShare(share) => {
            let froms: Vec<i64> = share.brackets.iter().map(|(from, _)| *from).collect();
            let reached = brackets(&froms);
            let rate = share
                .brackets
                .iter()
                .find(|(from, _)| reached.is_some_and(|(_, after)| after == *from));
            Applied {
                rate: rate.map(|(_, rate)| rate.to_string()),
                brackets: reached,
                ..Applied::default()
            }
        }
        Pay::Tiered(tiers) => {
            let froms: Vec<i64> = tiers.brackets.iter().map(|bracket| bracket.from).collect();
            let reached = brackets(&froms);
            let pay = tiers
                .brackets
                .iter()
                .find(|bracket| reached.is_some_and(|(_, after)| after == bracket.from))
                .map(|bracket| bracket.pay);
            Applied {
                of: matches!(pay, Some(BracketPay::Rate(_))).then(|| name_in(BASES, tiers.of)),
                rate: match pay {
                    Some(BracketPay::Rate(rate)) => Some(rate.to_string()),
                    _ => None,
                },
                each: match pay {
                    Some(BracketPay::Flat(each)) => Some(each.to_string()),
                    _ => None,
                },
                brackets: reached,
            }
        }
    }
}

fn inputs(told: Entry, credit: &Credit, currency: Currency) -> TraceInputsView {
    let money = |minor: i64| Money::new(minor, currency).to_string();
    TraceInputsView {
        event: told.event,
        quantity: told.quantity,
        occurred_at: told.occurred_at,
        counted_at: told.counted_at,
        amount: told.amount.map(money),
        margin: told.margin.map(money),
        net_revenue: told.net_revenue.map(money),
        adjustments: (told.adjustments != 0).then(|| money(told.adjustments)),
        country: told.country,
        product: told.product,
        coupon: told.coupon,
        customer_type: told
            .new_customer
            .map(|new| if new { "new" } else { "returning" }),
        customer_months: credit.months,
        subs: (1..)
            .zip(told.subs)
            .filter_map(|(number, sub): (u8, _)| Some((format!("sub{number}"), sub?)))
            .collect(),
        meta: told.meta,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::ProgramId;
    use crate::plans::wire;
    use serde_json::{Value, json};

    fn plan(component: &Value) -> PlanVersion {
        let gbp = "GBP".parse().unwrap();
        let terms = json!({ "components": [component] });
        PlanVersion {
            program: ProgramId::from_bytes([1; 16]),
            code: "standard".to_owned(),
            version: 1,
            effective_from: Timestamp::UNIX_EPOCH,
            hold_days: 30,
            terms: wire::terms(&terms, gbp).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn step(measured: Option<(i64, i64)>) -> Step {
        Step {
            component: 0,
            amount: Money::new(1_000, "GBP".parse().unwrap()),
            unbound: None,
            measured,
            aside: None,
        }
    }

    fn tiered(unit: &str, brackets: &Value) -> Value {
        json!({ "kind": "tiered", "event": "sale", "mode": "attained", "window": { "kind": "lifetime" },
            "measure": { "unit": unit, "events": ["sale"], "scope": "own" }, "brackets": brackets })
    }

    /// What a step says of the terms it applied: of what, rate, amount for each, and brackets before and after.
    fn said(component: &Value, measured: Option<(i64, i64)>) -> Value {
        let view = step_view(Some(&plan(component)), &step(measured));
        json!([
            view.of,
            view.rate,
            view.each,
            view.bracket_before,
            view.bracket_after
        ])
    }

    #[test]
    fn a_step_says_which_of_the_plans_terms_it_applied() {
        let flat = json!({ "kind": "flat", "event": "sale", "amount": "5.00", "currency": "GBP" });
        let of_margin =
            json!({ "kind": "percent", "event": "sale", "rate": "0.20", "of": "margin" });
        let rates = tiered(
            "amount",
            &json!([{ "from": "0", "rate": "0.10" }, { "from": "50.00", "rate": "0.12" }]),
        );
        let amounts = tiered(
            "count",
            &json!([{ "from": 0, "amount": "1.00" }, { "from": 10, "amount": "2.00" }]),
        );
        let share = json!({ "kind": "revenue_share", "event": "bet", "window": { "kind": "month" },
            "brackets": [{ "from": "0", "rate": "0.25" }, { "from": "100.00", "rate": "0.30" }], "carryover": "carry" });
        for (component, measured, expected) in [
            (&flat, None, json!([null, null, "5.00", null, null])),
            (
                &of_margin,
                None,
                json!(["margin", "0.20", null, null, null]),
            ),
            (
                &rates,
                Some((0, 4_999)),
                json!(["amount", "0.10", null, 0, 0]),
            ),
            (
                &rates,
                Some((4_999, 5_000)),
                json!(["amount", "0.12", null, 0, 5_000]),
            ),
            (&amounts, Some((3, 4)), json!([null, null, "1.00", 0, 0])),
            (&amounts, Some((9, 10)), json!([null, null, "2.00", 0, 10])),
            (
                &share,
                Some((-500, 9_999)),
                json!([null, "0.25", null, 0, 0]),
            ),
            (
                &share,
                Some((9_999, 10_000)),
                json!([null, "0.30", null, 0, 10_000]),
            ),
        ] {
            assert_eq!(
                said(component, measured),
                expected,
                "{component} {measured:?}"
            );
        }
        // Without the plan there is nothing to say of it; the step keeps its place and its measure.
        let bare = step_view(None, &step(Some((1, 2))));
        assert_eq!(
            (bare.component, bare.rate, bare.bracket_after),
            (1, None, None)
        );
        assert_eq!(
            (bare.measured_before, bare.measured_after),
            (Some(1), Some(2))
        );
        let mut second = step(None);
        second.component = 1;
        assert_eq!(step_view(None, &second).component, 2);
    }

    #[test]
    fn a_decided_step_says_whether_its_gate_was_reached() {
        let gated = json!({ "kind": "percent", "event": "sale", "rate": "0.10", "gate": {
            "measure": { "unit": "count", "events": ["sale"] }, "window": { "kind": "month" }, "at_least": 3 } });
        let plan = plan(&gated);
        for (reached, result) in [(2, "not_reached"), (3, "paid"), (4, "paid")] {
            let view = decided_view(Some(&plan), &step(Some((0, reached))));
            assert_eq!((view.result, view.rate), (result, None), "{reached}");
        }
        assert_eq!(decided_view(None, &step(Some((0, 0)))).result, "paid");
    }
}
