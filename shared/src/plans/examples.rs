//! Worked examples of a plan: what it pays for made-up events, by the calculation that pays real ones. Pure.
//!
//! For each component the points at which something changes (below, at and above each bracket, the gate
//! missed and reached, the last day of a duration), then each cap, reached and used up. The whole plan
//! applies in each example, so other components, caps and uplines show as they would.

use jiff::ToSpan;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::model::{
    Base, CapScope, Carryover, Component, Condition, Duration, Gate, Measure, NumberField, Pay,
    PlanVersion, Scope, TextField, Unit, Window,
};
use super::sentences::{self, money};
use crate::clock::{Timestamp, days_after, minutes_after};
use crate::commissions::fold::{Aside, Close, Entry, Fold, Paid, Zone, holds};
use crate::ids::{ConversionId, PartnerId};
use crate::money::{Currency, Money};

/// Brackets of one component that are shown, the lowest first: the others follow the same rule.
pub const MAX_BRACKETS_SHOWN: usize = 5;
/// Doublings of an event until a limit is seen to bind: from one minor unit beyond every amount.
const MAX_DOUBLINGS: u32 = 40;

/// What a plan pays for a few events in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub about: String,
    /// In their order.
    pub steps: Vec<ExampleStep>,
}

/// What one event pays, or the close of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleStep {
    /// When.
    pub at: Timestamp,
    /// What happens, in words.
    pub what: String,
    /// What the partner gets for it; what is negative takes back.
    pub pay: Money,
    /// What its uplines get, the nearest first.
    pub levels: Vec<Money>,
    /// How that comes about, in sentences.
    pub why: Vec<String>,
}

/// Worked examples of a plan version.
#[must_use]
pub fn examples(plan: &PlanVersion, currency: Currency) -> Vec<Example> {
    let zone = Zone::of(&plan.terms.time_zone);
    // The first quarter that begins under the plan, so that months and quarters are shown from their start.
    let quarter = zone.window(Window::Quarter, plan.effective_from);
    let begin = zone.end(Window::Quarter, quarter);
    let author = Author {
        plan,
        currency,
        zone,
        begin,
    };
    let components = plan.terms.components.iter().zip(1..);
    let of_components = components.flat_map(|(component, number)| {
        let about = |shows: &str| format!("Component {number}: {shows}");
        author.of_component(component, &about)
    });
    let of_caps = (0..plan.terms.caps.len()).filter_map(|cap| author.of_cap(cap));
    of_components.chain(of_caps).collect()
}

/// Makes up events under a plan and writes down what they pay.
struct Author<'a> {
    plan: &'a PlanVersion,
    currency: Currency,
    zone: Zone,
    begin: Timestamp,
}

impl Author<'_> {
    fn of_component(&self, component: &Component, about: &dyn Fn(&str) -> String) -> Vec<Example> {
        let mut scripts: Vec<(&str, Vec<Entry>)> = Vec::new();
        match &component.pay {
            Pay::Flat(_) => {
                let mut two = self.paid(component);
                two.quantity = 2;
                scripts.push(("one unit, and two", vec![self.paid(component), two]));
            }
            Pay::Percent { .. } => {
                scripts.push(("what one event pays", vec![self.paid(component)]));
            }
            Pay::Tiered(tiers) => {
                let from: Vec<i64> = tiers.brackets.iter().map(|bracket| bracket.from).collect();
                let mut entries = self.along(
                    component,
                    &tiers.measure,
                    &self.targets(&from, tiers.measure.unit),
                );
                if let Window::Trailing { days } = tiers.window {
                    let mut later = self.paid(component);
                    later.counted_at = days_after(self.begin, days + 1);
                    entries.push(later);
                }
                scripts.push(("below, at and above each bracket", entries));
            }
            Pay::RevenueShare(share) => {
                let from: Vec<i64> = share.brackets.iter().map(|(from, _)| *from).collect();
                let net = Measure {
                    unit: Unit::Amount,
                    events: vec![component.event.clone()],
                    scope: Scope::Own,
                };
                let entries = self.along(component, &net, &self.targets(&from, Unit::Amount));
                scripts.push(("below, at and above each bracket", entries));
                let entries = self.below_zero(component, share.window, share.carryover);
                scripts.push(("what a period below zero leaves to the next", entries));
            }
            Pay::Milestone { measure, at, .. } => {
                let entries =
                    self.along(component, measure, &self.targets(&[0, *at], measure.unit));
                scripts.push(("before, at and after the threshold", entries));
            }
        }
        if let Some(when) = &component.when {
            let mut other = self.paid(component);
            self.violate(&mut other, when);
            if !holds(when, &other, None, self.currency) {
                let entries = vec![self.paid(component), other];
                scripts.push(("its condition holds, and does not", entries));
            }
        }
        match component.duration {
            Duration::Forever => {}
            Duration::FirstSale => {
                let entries = self.of_a_customer(component, &[0, 1]);
                scripts.push(("a customer's first, and the next", entries));
            }
            Duration::Months(months) => {
                let months = i64::from(months);
                let entries = self.of_a_customer(component, &[0, months - 1, months]);
                scripts.push(("a customer's first, its last month, and after", entries));
            }
        }
        if component.minimum.is_some()
            && let Some(entry) = self.doubled(component, |paid| !paid.pay.is_zero())
        {
            scripts.push(("the minimum", vec![entry]));
        }
        if let Some(maximum) = component.maximum
            && let Some(entry) = self.doubled(component, |paid| paid.pay.minor() >= maximum.minor())
        {
            scripts.push(("the maximum", vec![entry]));
        }
        if let Some(gate) = &component.gate {
            let (missed, reached) = self.at_gate(component, gate);
            scripts.extend(missed.map(|entries| ("its gate is missed", entries)));
            scripts.push(("its gate is reached", reached));
        }
        scripts
            .into_iter()
            .filter_map(|(shows, entries)| self.played(about(shows), entries))
            .collect()
    }

    /// An event of that name, worth a hundred.
    fn ordinary(&self, event: &str) -> Entry {
        let hundred = self.whole(100);
        Entry {
            conversion: ConversionId::from_bytes([0; 16]),
            partner: PartnerId::from_bytes([1; 16]),
            plan: 0,
            occurred_at: self.begin,
            counted_at: self.begin,
            own: true,
            event: event.to_owned(),
            quantity: 1,
            amount: Some(hundred),
            margin: None,
            net_revenue: None,
            adjustments: 0,
            customer: None,
            known_since: None,
            new_customer: None,
            country: None,
            product: None,
            coupon: None,
            subs: [const { None }; 5],
            meta: std::collections::BTreeMap::new(),
        }
    }

    fn whole(&self, units: i64) -> i64 {
        units * 10_i64.pow(self.currency.exponent())
    }

    /// An event that a component pays for, if one can be made up.
    fn paid(&self, component: &Component) -> Entry {
        let mut entry = self.ordinary(&component.event);
        let of = match &component.pay {
            Pay::Percent { of, .. } => *of,
            Pay::Tiered(tiers) => tiers.of,
            Pay::Flat(_) | Pay::RevenueShare(_) | Pay::Milestone { .. } => Base::Amount,
        };
        match of {
            Base::Amount => {}
            Base::Margin => entry.margin = Some(self.whole(40)),
            Base::NetRevenue => entry.net_revenue = Some(self.whole(80)),
        }
        if let Some(when) = &component.when {
            self.satisfy(&mut entry, when);
        }
        entry
    }

    /// Makes a condition hold of an event, if it can.
    fn satisfy(&self, entry: &mut Entry, condition: &Condition) {
        match condition {
            Condition::All(parts) => {
                for part in parts {
                    self.satisfy(entry, part);
                }
            }
            Condition::Any(parts) => {
                let held = parts
                    .iter()
                    .any(|part| holds(part, entry, None, self.currency));
                if let (false, Some(first)) = (held, parts.first()) {
                    self.satisfy(entry, first);
                }
            }
            Condition::Among { field, values, is } => {
                let value = values.first().filter(|_| *is).cloned();
                set_text(entry, field, value);
            }
            Condition::Within {
                field,
                at_least,
                below,
            } => {
                let held = holds(condition, entry, None, self.currency);
                let low = at_least.map(|low| (low, 0));
                if let (false, Some((bound, by))) = (held, low.or(below.map(|high| (high, -1)))) {
                    self.set_number(entry, *field, bound, by);
                }
            }
            Condition::NewCustomer(new) => entry.new_customer = Some(*new),
        }
    }

    /// Makes a condition fail of an event, if it can.
    fn violate(&self, entry: &mut Entry, condition: &Condition) {
        match condition {
            Condition::All(parts) => {
                if let Some(first) = parts.first() {
                    self.violate(entry, first);
                }
            }
            Condition::Any(parts) => {
                for part in parts {
                    self.violate(entry, part);
                }
            }
            Condition::Among { field, values, is } => {
                let value = values.first().filter(|_| !*is).cloned();
                set_text(entry, field, value);
            }
            Condition::Within {
                field,
                at_least,
                below,
            } => match (at_least, below) {
                (Some(low), _) if !low.is_zero() => self.set_number(entry, *field, *low, -1),
                (_, Some(high)) => self.set_number(entry, *field, *high, 0),
                _ => {}
            },
            Condition::NewCustomer(new) => entry.new_customer = Some(!*new),
        }
    }

    /// Sets a number of an event to a bound, or so many of the smallest steps from it.
    fn set_number(&self, entry: &mut Entry, field: NumberField, bound: Decimal, by: i64) {
        let minor = (bound * Decimal::from(self.whole(1))).to_i64();
        let minor = minor.map(|minor| minor.saturating_add(by).max(0));
        match field {
            NumberField::Amount => entry.amount = minor,
            NumberField::Margin => entry.margin = minor,
            NumberField::NetRevenue => entry.net_revenue = minor,
            NumberField::Quantity => {
                let count = bound.to_i64().and_then(|count| count.checked_add(by));
                let count = count.and_then(|count| u32::try_from(count).ok());
                entry.quantity = count.unwrap_or(entry.quantity);
            }
            // It is what came before that decides.
            NumberField::MonthsSinceFirstSale => {}
        }
    }

    /// Points below, at and above each bracket, ascending; where there is but one, any point.
    fn targets(&self, from: &[i64], unit: Unit) -> Vec<i64> {
        let mut found: Vec<i64> = Vec::new();
        for position in 1..from.len().min(MAX_BRACKETS_SHOWN) {
            let (low, at) = (from[position - 1], from[position]);
            let span = from.get(position + 1).map_or(at, |next| next - at);
            found.extend([low + (at - low) / 5 * 4, at, at + (span / 5).max(1)]);
        }
        found.retain(|target| *target > 0);
        if found.is_empty() {
            found.push(match unit {
                Unit::Amount => self.whole(100),
                Unit::Count => 1,
            });
        }
        // Brackets of single units crowd these points together.
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Events that bring a measure to one target after the other, each with one that the component pays for.
    fn along(&self, component: &Component, measure: &Measure, targets: &[i64]) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut stands = 0;
        let own = measure.events.contains(&component.event);
        for target in targets {
            let event = match (own, measure.events.first()) {
                (false, Some(other)) => self.ordinary(other),
                _ => self.paid(component),
            };
            let Some(event) = self.measuring(event, measure, target - stands) else {
                break;
            };
            stands = *target;
            entries.push(event);
            if !own {
                entries.push(self.paid(component));
            }
        }
        entries
    }

    /// The event, of which a measure counts so much.
    fn measuring(&self, mut entry: Entry, measure: &Measure, much: i64) -> Option<Entry> {
        match measure.unit {
            Unit::Amount => entry.amount = Some(much),
            Unit::Count => {
                entry.quantity = u32::try_from(much).ok()?;
                entry.amount = much.checked_mul(self.whole(100));
            }
        }
        Some(entry)
    }

    /// A period that ends below zero, and the next.
    fn below_zero(
        &self,
        component: &Component,
        window: Window,
        carryover: Carryover,
    ) -> Vec<Entry> {
        let depth = match carryover {
            Carryover::Capped(most) => most.minor().max(self.whole(100)),
            Carryover::Carry | Carryover::Reset => self.whole(100),
        };
        let mut loss = self.paid(component);
        loss.amount = Some(depth);
        loss.adjustments = 3 * depth;
        let mut gain = self.paid(component);
        gain.amount = Some(5 * depth);
        gain.counted_at = self.zone.end(window, self.zone.window(window, self.begin));
        vec![loss, gain]
    }

    /// Events of one customer, so many months after the first.
    fn of_a_customer(&self, component: &Component, months: &[i64]) -> Vec<Entry> {
        let zone = TimeZone::get(&self.plan.terms.time_zone).unwrap_or(TimeZone::UTC);
        let begin = self.begin.to_zoned(zone);
        let mut months = months.to_vec();
        months.dedup();
        let of_month = |month: i64| {
            let mut entry = self.paid(component);
            entry.customer = Some("Customer A".to_owned());
            entry.counted_at = begin.checked_add(month.months()).ok()?.timestamp();
            Some(entry)
        };
        months.into_iter().filter_map(of_month).collect()
    }

    /// The smallest doubled event of a component for which something holds of what it pays.
    fn doubled(&self, component: &Component, is_so: impl Fn(&Paid) -> bool) -> Option<Entry> {
        let mut entry = self.paid(component);
        let is_flat = matches!(component.pay, Pay::Flat(_));
        for doubling in 0..MAX_DOUBLINGS {
            let minor = 1_i64 << doubling;
            if is_flat {
                entry.quantity = u32::try_from(minor).ok()?;
            } else {
                entry.amount = Some(minor);
                entry.margin = entry.margin.map(|_| minor);
                entry.net_revenue = entry.net_revenue.map(|_| minor);
            }
            let mut fold = Fold::new([self.plan], self.currency);
            if is_so(&fold.step(&entry).ok()?) {
                return Some(entry);
            }
        }
        None
    }

    /// Events that leave a gate's measure below its threshold, if one event does, and events that reach it.
    fn at_gate(&self, component: &Component, gate: &Gate) -> (Option<Vec<Entry>>, Vec<Entry>) {
        let paid = self.paid(component);
        let is_measured = gate.measure.events.contains(&component.event);
        let stands = match (is_measured, gate.measure.unit) {
            (false, _) => 0,
            (true, Unit::Count) => i64::from(paid.quantity),
            (true, Unit::Amount) => paid.amount.unwrap_or(0),
        };
        let lacks = gate.at_least - stands;
        if lacks <= 0 {
            return (None, vec![paid]);
        }
        let other = gate.measure.events.first();
        let other = self.ordinary(other.map_or(&component.event, |event| event));
        let reached =
            std::iter::once(paid.clone()).chain(self.measuring(other, &gate.measure, lacks));
        (Some(vec![paid]), reached.collect())
    }

    /// A cap that binds, and is used up.
    fn of_cap(&self, index: usize) -> Option<Example> {
        let cap = self.plan.terms.caps.get(index)?;
        let binds = |paid: &Paid| {
            let of_cap = |cut: &crate::commissions::fold::Cut| {
                usize::try_from(cut.cap).is_ok_and(|cap| cap == index)
            };
            paid.cuts.iter().any(of_cap)
        };
        let plain = self.plan.terms.components.iter();
        let mut first = plain
            .filter(|component| {
                component.gate.is_none() && !matches!(component.pay, Pay::Milestone { .. })
            })
            .find_map(|component| self.doubled(component, binds))?;
        first.customer = Some("Customer A".to_owned());
        let mut second = first.clone();
        if cap.scope == CapScope::Program {
            second.partner = PartnerId::from_bytes([2; 16]);
        }
        let entries = match cap.scope {
            CapScope::Conversion => vec![first],
            CapScope::Customer | CapScope::Partner | CapScope::Program => vec![first, second],
        };
        let shows = match cap.scope {
            CapScope::Conversion => "more than one event may pay",
            CapScope::Customer => "more than a customer may pay, and once more",
            CapScope::Partner => "more than a partner may get, and once more",
            CapScope::Program => "more than is left, and another partner's event",
        };
        self.played(format!("Cap {}: {shows}", index + 1), entries)
    }

    /// What happens when these events happen, an hour between those that have no time of their own.
    fn played(&self, about: String, entries: Vec<Entry>) -> Option<Example> {
        let mut fold = Fold::new([self.plan], self.currency);
        let mut steps = Vec::with_capacity(entries.len());
        let mut number = 0_u8;
        for mut entry in entries {
            entry.counted_at = minutes_after(entry.counted_at, 60 * i64::from(number));
            entry.occurred_at = entry.counted_at;
            number = number.checked_add(1)?;
            entry.conversion = ConversionId::from_bytes([number; 16]);
            let paid = fold.step(&entry).ok()?;
            steps.extend(self.closes(&mut fold));
            steps.push(self.step(&entry, &paid));
        }
        fold.close(Timestamp::MAX).ok()?;
        steps.extend(self.closes(&mut fold));
        (!steps.is_empty()).then_some(Example { about, steps })
    }

    /// The closes of windows that had anything to decide.
    fn closes(&self, fold: &mut Fold<'_>) -> Vec<ExampleStep> {
        let closes = fold.closes().into_iter();
        closes
            .filter(|close| !close.provisional.is_zero())
            .map(|close| self.close_step(&close))
            .collect()
    }

    fn step(&self, entry: &Entry, paid: &Paid) -> ExampleStep {
        let Paid {
            pay,
            levels,
            steps,
            cuts,
            months: _,
        } = paid;
        let mut why: Vec<String> = steps
            .iter()
            .filter_map(|step| self.explained(step))
            .collect();
        if why.is_empty() {
            why.push("No component pays for it.".to_owned());
        }
        for cut in cuts {
            why.push(format!(
                "Cap {}: {} is left of it, so {} is cut off.",
                cut.cap + 1,
                money(cut.room),
                money(cut.by)
            ));
        }
        ExampleStep {
            at: entry.counted_at,
            what: self.told(entry),
            pay: *pay,
            levels: levels.clone(),
            why,
        }
    }

    fn explained(&self, step: &crate::commissions::fold::Step) -> Option<String> {
        let index = usize::try_from(step.component).ok()?;
        let component = self.plan.terms.components.get(index)?;
        let unit = match &component.pay {
            Pay::Tiered(tiers) => tiers.measure.unit,
            Pay::Milestone { measure, .. } => measure.unit,
            Pay::Flat(_) | Pay::Percent { .. } | Pay::RevenueShare(_) => Unit::Amount,
        };
        let measured = step.measured.map_or_else(String::new, |(before, after)| {
            let value = |value| sentences::value(value, unit, self.currency);
            format!(
                " with the measure going from {} to {}",
                value(before),
                value(after)
            )
        });
        let aside = match step.aside {
            None => "",
            Some(Aside::NotChosen) => ", but another component is chosen",
            Some(Aside::Gated) => ", provisional until its gate is decided",
        };
        Some(format!(
            "Component {}: {}{measured}{aside}.",
            step.component + 1,
            money(step.amount)
        ))
    }

    fn close_step(&self, close: &Close) -> ExampleStep {
        let component = usize::try_from(close.component)
            .ok()
            .and_then(|index| self.plan.terms.components.get(index));
        let gate = component.and_then(|component| component.gate.as_ref());
        let (period, measured, at_least) = match gate {
            Some(gate) => {
                let value = |value| sentences::value(value, gate.measure.unit, self.currency);
                let period = sentences::period(gate.window);
                (period, value(close.measure), value(gate.at_least))
            }
            None => ("the window", String::new(), String::new()),
        };
        let verdict = match (close.pay.is_zero(), close.pay == close.provisional) {
            (true, _) => "is not paid".to_owned(),
            (false, true) => "is paid".to_owned(),
            (false, false) => format!("is paid up to what caps leave, {}", money(close.pay)),
        };
        ExampleStep {
            at: close.end,
            what: format!("the end of {period}"),
            pay: close.pay,
            levels: close.levels.clone(),
            why: vec![format!(
                "Component {}: its gate measures {measured} of {at_least}, so the provisional {} {verdict}.",
                close.component + 1,
                money(close.provisional)
            )],
        }
    }

    /// An event in words.
    fn told(&self, entry: &Entry) -> String {
        let amount = |minor: i64| money(Money::new(minor, self.currency));
        let mut told = entry.event.clone();
        if let Some(minor) = entry.amount {
            told += &format!(" of {}", amount(minor));
        }
        let mut more = Vec::new();
        if entry.quantity != 1 {
            more.push(format!("quantity {}", entry.quantity));
        }
        more.extend(
            entry
                .margin
                .map(|minor| format!("margin {}", amount(minor))),
        );
        let net = entry.net_revenue;
        more.extend(net.map(|minor| format!("net revenue {}", amount(minor))));
        if entry.adjustments != 0 {
            more.push(format!("adjustments {}", amount(entry.adjustments)));
        }
        let new = entry.new_customer;
        more.extend(new.map(|new| format!("{} customer", if new { "new" } else { "returning" })));
        more.extend(entry.customer.clone());
        for (name, text) in [
            ("country", &entry.country),
            ("product", &entry.product),
            ("coupon", &entry.coupon),
        ] {
            more.extend(text.as_ref().map(|text| format!("{name} {text}")));
        }
        for (text, number) in entry.subs.iter().zip(1..) {
            more.extend(text.as_ref().map(|text| format!("sub{number} {text}")));
        }
        for (name, text) in &entry.meta {
            more.push(format!("meta.{name} {text}"));
        }
        if entry.partner != PartnerId::from_bytes([1; 16]) {
            more.push("of another partner".to_owned());
        }
        if !more.is_empty() {
            told += &format!(" ({})", more.join(", "));
        }
        told
    }
}

fn set_text(entry: &mut Entry, field: &TextField, value: Option<String>) {
    let place = match field {
        TextField::Country => &mut entry.country,
        TextField::Product => &mut entry.product,
        TextField::Coupon => &mut entry.coupon,
        // What an event is called is what the component pays for.
        TextField::Event => return,
        TextField::Sub(number) => {
            let index = usize::from(*number).saturating_sub(1);
            match entry.subs.get_mut(index) {
                Some(place) => place,
                None => return,
            }
        }
        TextField::Meta(name) => {
            match value {
                Some(value) => entry.meta.insert(name.clone(), value),
                None => entry.meta.remove(name),
            };
            return;
        }
    };
    *place = value;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ids::ProgramId;
    use crate::plans::wire;

    fn plan(terms: &Value) -> PlanVersion {
        let currency = "GBP".parse().unwrap();
        PlanVersion {
            program: ProgramId::from_bytes([1; 16]),
            code: "standard".to_owned(),
            version: 1,
            effective_from: "2026-02-10T12:00:00Z".parse().unwrap(),
            hold_days: 30,
            terms: wire::terms(terms, currency).unwrap(),
            created_at: "2026-02-10T12:00:00Z".parse().unwrap(),
        }
    }

    /// What happens and what it pays, of each step of the examples whose title ends so.
    fn told(terms: &Value, about: &str) -> Vec<(String, String)> {
        let plan = plan(terms);
        let found: Vec<Example> = examples(&plan, "GBP".parse().unwrap())
            .into_iter()
            .filter(|example| example.about.ends_with(about))
            .collect();
        assert_eq!(found.len(), 1, "{about}: {found:#?}");
        let step = |step: &ExampleStep| (step.what.clone(), step.pay.to_string());
        found[0].steps.iter().map(step).collect()
    }

    fn check(terms: &Value, about: &str, expected: &[(&str, &str)]) {
        let told = told(terms, about);
        let told: Vec<(&str, &str)> = told
            .iter()
            .map(|(what, pay)| (what.as_str(), pay.as_str()))
            .collect();
        assert_eq!(told, expected);
    }

    fn tiered(mode: &str) -> Value {
        json!({ "components": [{
            "kind": "tiered", "event": "sale", "measure": { "unit": "amount" }, "window": { "kind": "month" }, "mode": mode,
            "brackets": [{ "from": "0", "rate": "0.10" }, { "from": "5000.00", "rate": "0.12" }],
        }] })
    }

    #[test]
    fn brackets_are_shown_below_at_and_above() {
        let about = "below, at and above each bracket";
        let sales = [
            "sale of 4,000.00 GBP",
            "sale of 1,000.00 GBP",
            "sale of 1,000.00 GBP",
        ];
        for (mode, pays) in [
            ("marginal", ["400.00", "100.00", "120.00"]),
            ("attained", ["400.00", "120.00", "120.00"]),
            ("retroactive", ["400.00", "200.00", "120.00"]),
        ] {
            let expected: Vec<(&str, &str)> = sales.into_iter().zip(pays).collect();
            check(&tiered(mode), about, &expected);
        }
    }

    #[test]
    fn a_measure_of_other_events_is_moved_by_those() {
        let terms = json!({ "components": [{
            "kind": "tiered", "event": "renewal", "measure": { "unit": "count", "events": ["sale"] },
            "window": { "kind": "quarter" }, "mode": "attained",
            "brackets": [{ "from": 0, "rate": "0.10" }, { "from": 10, "rate": "0.20" }],
        }] });
        check(
            &terms,
            "below, at and above each bracket",
            &[
                ("sale of 800.00 GBP (quantity 8)", "0.00"),
                ("renewal of 100.00 GBP", "10.00"),
                ("sale of 200.00 GBP (quantity 2)", "0.00"),
                ("renewal of 100.00 GBP", "20.00"),
                ("sale of 200.00 GBP (quantity 2)", "0.00"),
                ("renewal of 100.00 GBP", "20.00"),
            ],
        );
    }

    #[test]
    fn a_period_below_zero_leaves_what_the_plan_says() {
        let share = |carryover: Value| {
            let mut component = json!({ "kind": "revenue_share", "event": "bet", "rate": "0.30", "window": { "kind": "month" } });
            component
                .as_object_mut()
                .unwrap()
                .extend(carryover.as_object().unwrap().clone());
            json!({ "components": [component] })
        };
        let about = "what a period below zero leaves to the next";
        let loss = ("bet of 100.00 GBP (adjustments 300.00 GBP)", "0.00");
        for (carryover, pays) in [
            (json!({ "carryover": "carry" }), "90.00"),
            (json!({ "carryover": "reset" }), "150.00"),
            (
                json!({ "carryover": "capped", "carryover_limit": "100.00" }),
                "120.00",
            ),
        ] {
            check(
                &share(carryover),
                about,
                &[loss, ("bet of 500.00 GBP", pays)],
            );
        }
    }

    #[test]
    fn gates_are_missed_and_reached() {
        let terms = json!({ "components": [{
            "kind": "percent", "event": "sale", "rate": "0.10",
            "gate": { "measure": { "unit": "count", "events": ["lead"] }, "window": { "kind": "month" }, "at_least": 3 },
        }] });
        check(
            &terms,
            "its gate is missed",
            &[
                ("sale of 100.00 GBP", "0.00"),
                ("the end of the calendar month", "0.00"),
            ],
        );
        check(
            &terms,
            "its gate is reached",
            &[
                ("sale of 100.00 GBP", "0.00"),
                ("lead of 300.00 GBP (quantity 3)", "0.00"),
                ("the end of the calendar month", "10.00"),
            ],
        );
    }

    #[test]
    fn conditions_durations_and_bounds_are_shown_on_both_sides() {
        let terms = json!({ "components": [{
            "kind": "percent", "event": "sale", "rate": "0.10", "minimum": "1.00", "maximum": "20.00", "duration": { "months": 12 },
            "when": { "all": [{ "field": "country", "in": ["GB", "IE"] }, { "field": "quantity", "at_least": 2 }] },
        }] });
        check(
            &terms,
            "its condition holds, and does not",
            &[
                ("sale of 100.00 GBP (quantity 2, country GB)", "10.00"),
                ("sale of 100.00 GBP (quantity 2)", "0.00"),
            ],
        );
        let sale = "sale of 100.00 GBP (quantity 2, Customer A, country GB)";
        check(
            &terms,
            "a customer's first, its last month, and after",
            &[(sale, "10.00"), (sale, "10.00"), (sale, "0.00")],
        );
        check(
            &terms,
            "the minimum",
            &[("sale of 0.08 GBP (quantity 2, country GB)", "1.00")],
        );
        check(
            &terms,
            "the maximum",
            &[("sale of 327.68 GBP (quantity 2, country GB)", "20.00")],
        );
    }

    #[test]
    fn caps_bind_and_are_used_up_and_uplines_share() {
        let terms = json!({
            "components": [{ "kind": "flat", "event": "sale", "amount": "30.00" }],
            "caps": [{ "scope": "program", "window": { "kind": "month" }, "amount": "50.00" }],
            "levels": [{ "rate": "0.10", "of": "commission" }],
        });
        check(
            &terms,
            "more than is left, and another partner's event",
            &[
                ("sale of 100.00 GBP (quantity 2, Customer A)", "50.00"),
                (
                    "sale of 100.00 GBP (quantity 2, Customer A, of another partner)",
                    "0.00",
                ),
            ],
        );
        let plan = plan(&terms);
        let shown = examples(&plan, "GBP".parse().unwrap());
        let cut = &shown.last().unwrap().steps[0];
        assert_eq!(cut.levels[0].to_string(), "5.00");
        assert_eq!(
            cut.why,
            [
                "Component 1: 60.00 GBP.",
                "Cap 1: 50.00 GBP is left of it, so 10.00 GBP is cut off."
            ]
        );
    }

    #[test]
    fn a_milestone_pays_once_and_accumulated_pay_stays_after_its_last_point() {
        let terms = json!({ "components": [
            { "kind": "milestone", "measure": { "unit": "count", "events": ["sale"] }, "window": { "kind": "month" }, "at": 10, "amount": "100.00" },
            { "kind": "tiered", "event": "sale", "measure": { "unit": "count" }, "window": { "kind": "month" }, "mode": "interpolated",
                "brackets": [{ "from": 0, "pay": "0.00" }, { "from": 10, "pay": "50.00" }] },
        ] });
        let sales = [
            ("sale of 800.00 GBP (quantity 8)", "40.00"),
            ("sale of 200.00 GBP (quantity 2)", "110.00"),
            ("sale of 200.00 GBP (quantity 2)", "0.00"),
        ];
        check(&terms, "before, at and after the threshold", &sales);
        check(&terms, "below, at and above each bracket", &sales);
    }
}
