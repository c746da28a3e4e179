//! What plans pay over the events of a book, in canonical order. Pure.
//!
//! A book is everything that one conversion's pay may depend on. Its pay is `F(events)`, a fold over the
//! events in the order `(counted_at, conversion)`, so it depends on what happened and never on the order
//! in which that became known. Fractions of a minor unit are settled half up; where pay accumulates over
//! a window, rounding telescopes: an event gets `round(F(after)) − round(F(before))`, so the parts add up
//! to the rounded whole.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::clock::{Timestamp, days_before};
use crate::ids::{ConversionId, PartnerId};
use crate::money::{Currency, Money, MoneyError, Rate, Rounding};
use crate::plans::model::{
    Base, Bracket, BracketPay, CapScope, Carryover, Component, Condition, Duration, LevelBase,
    MAX_LEVELS, Measure, Mode, NumberField, Pay, Pays, PlanVersion, RevenueShare, Scope, Terms,
    TextField, Tiers, Unit, Window,
};

/// What a plan is told of an event: amounts in minor units of the program's currency, net of what was
/// taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which conversion.
    pub conversion: ConversionId,
    /// Whose book counts it.
    pub partner: PartnerId,
    /// Position of its plan version among those of the fold.
    pub plan: usize,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it counts: when it happened, or when it was acknowledged if its window was closed by then.
    pub counted_at: Timestamp,
    /// Whether it is the partner's own; one of a partner below it is measured only.
    pub own: bool,
    /// What happened, such as `sale`.
    pub event: String,
    /// How many.
    pub quantity: u32,
    /// Its amount.
    pub amount: Option<i64>,
    /// The margin that came with it.
    pub margin: Option<i64>,
    /// The net revenue that came with it.
    pub net_revenue: Option<i64>,
    /// Bonuses, fees and chargebacks, which net gaming revenue is less.
    pub adjustments: i64,
    /// A keyed hash of the customer's reference.
    pub customer: Option<String>,
    /// When the customer's first conversion of the event counted outside the book, under another plan or
    /// version, as far as that was known when this one was credited.
    pub known_since: Option<Timestamp>,
    /// Whether the customer is new, where the event says so.
    pub new_customer: Option<bool>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// Product.
    pub product: Option<String>,
    /// The coupon's code.
    pub coupon: Option<String>,
    /// `sub1` to `sub5`.
    pub subs: [Option<String>; 5],
    /// Metadata.
    pub meta: BTreeMap<String, String>,
}

impl Entry {
    /// Its place in the canonical order.
    #[must_use]
    pub fn position(&self) -> (Timestamp, ConversionId) {
        (self.counted_at, self.conversion)
    }

    fn base(&self, base: Base) -> i64 {
        match base {
            Base::Amount => self.amount,
            Base::Margin => self.margin,
            Base::NetRevenue => self.net_revenue,
        }
        .unwrap_or(0)
    }

    fn measured(&self, measure: &Measure) -> i64 {
        let counts =
            (self.own || measure.scope == Scope::SubTree) && measure.events.contains(&self.event);
        match (counts, measure.unit) {
            (false, _) => 0,
            (true, Unit::Count) => i64::from(self.quantity),
            (true, Unit::Amount) => self.amount.unwrap_or(0),
        }
    }
}

/// What one event pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Its partner.
    pub pay: Money,
    /// Its partner's uplines, the nearest first.
    pub levels: Vec<Money>,
    /// How `pay` came about, a step for each component that looked at it.
    pub steps: Vec<Step>,
    /// What caps took off.
    pub cuts: Vec<Cut>,
    /// Whole months since the customer's first conversion of the event; `None` for the first, and for an event
    /// without a customer.
    pub months: Option<i64>,
}

/// What one component came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Position of the component in the plan version.
    pub component: u32,
    /// What it came to; of a gated one what is provisional until its window closes.
    pub amount: Money,
    /// What it would have come to without its minimum and maximum, where that is not the same.
    pub unbound: Option<Money>,
    /// The measure before the event and with it, where the component measures: a number of events, or
    /// minor units.
    pub measured: Option<(i64, i64)>,
    /// Why it adds nothing to the pay yet or at all, if so.
    pub aside: Option<Aside>,
}

/// Why a step adds nothing to the pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// Another component was chosen.
    NotChosen,
    /// Its gate is decided when the window closes.
    Gated,
}

/// What a cap took off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Position of the cap in the plan version.
    pub cap: u32,
    /// How much.
    pub by: Money,
    /// What was left of it before the event; of a cap per conversion the cap itself.
    pub room: Money,
}

/// What the close of a window decided about a gated component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Whose.
    pub partner: PartnerId,
    /// Position of the plan version.
    pub plan: usize,
    /// Position of the component.
    pub component: u32,
    /// When the window ended.
    pub end: Timestamp,
    /// What was measured.
    pub measure: i64,
    /// What was provisional until then.
    pub provisional: Money,
    /// What it pays: all of that, or nothing.
    pub pay: Money,
    /// What uplines get of it, the nearest first.
    pub levels: Vec<Money>,
}

/// What stands in one window of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Which window; see [`Zone::window`].
    pub window: i32,
    /// The measure, or the net revenue.
    pub measure: i64,
    /// Exact pay, or what the bracket's rate is taken of.
    pub exact: Decimal,
    /// Units of quantity.
    pub quantity: i64,
    /// Pay so far, rounded.
    pub rounded: i64,
    /// What caps took off that, and what it falls later is set against.
    pub over: i64,
}

/// What stands behind a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Which window.
    pub window: i32,
    /// The measure.
    pub measure: i64,
    /// What is provisional.
    pub withheld: i64,
    /// The amounts of conversions for which nothing pays yet: uplines get their share of each with the first
    /// of its gates that is passed.
    pub sales: Vec<(ConversionId, i64)>,
    /// Of what is provisional, what belongs to each customer, where caps bind customers.
    pub customers: BTreeMap<String, i64>,
}

/// What a cap has used in its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Which window.
    pub window: i32,
    /// Minor units.
    pub minor: i64,
}

impl Used {
    /// What is used in that window.
    fn within(self, window: i32) -> i64 {
        if self.window == window { self.minor } else { 0 }
    }
}

/// What is known of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The first time of each event.
    pub first: Vec<(String, Timestamp)>,
    /// What caps of it have used, by plan version and cap.
    pub used: Vec<((usize, usize), Used)>,
    /// What caps of it took off, by plan version and component, in the component's window.
    pub over: Vec<((usize, usize), Used)>,
}

/// Where one partner stands under one plan version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// By component.
    pub running: Vec<Running>,
    /// By component: events of a trailing window, when they were and how much they measure.
    pub trails: Vec<VecDeque<(Timestamp, i64)>>,
    /// By component; those without a gate stay empty.
    pub behind: Vec<Behind>,
    /// By cap: what a partner's cap has used.
    pub used: Vec<Used>,
}

/// Where a fold stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By partner and plan version.
    pub standings: HashMap<(PartnerId, usize), Standing>,
    /// By partner and customer.
    pub customers: HashMap<(PartnerId, String), Customer>,
    /// By plan version and cap: what a program's cap has used.
    pub budgets: HashMap<(usize, usize), Used>,
}

/// Calendar of a plan: months and quarters in its time zone.
#[derive(Clone, Debug)]
pub struct Zone(Option<TimeZone>);

/// The window of everything without a calendar.
const ALL_TIME: i32 = 0;

impl Zone {
    /// The zone of that IANA name; UTC for one that is not known, which no plan has.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "UTC" => Self(None),
            name => Self(TimeZone::get(name).ok()),
        }
    }

    fn civil(&self, at: Timestamp) -> DateTime {
        match &self.0 {
            None => jiff::tz::Offset::UTC.to_datetime(at),
            Some(zone) => zone.to_datetime(at),
        }
    }

    fn instant(&self, civil: DateTime) -> Timestamp {
        let zone = self.0.clone().unwrap_or(TimeZone::UTC);
        // Midnight that a change of the clocks skips or repeats is taken as the zone's rules say.
        zone.to_zoned(civil)
            .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }

    /// The number of the window that an instant lies in: `yyyymm` of its first month.
    #[must_use]
    pub fn window(&self, window: Window, at: Timestamp) -> i32 {
        let month = match window {
            Window::Month => |month: i32| month,
            Window::Quarter => |month: i32| (month - 1) / 3 * 3 + 1,
            Window::Trailing { .. } | Window::Lifetime => return ALL_TIME,
        };
        let civil = self.civil(at);
        i32::from(civil.year()) * 100 + month(i32::from(civil.month()))
    }

    /// When a window ends, the instant not included; never for one without a calendar.
    #[must_use]
    pub fn end(&self, window: Window, number: i32) -> Timestamp {
        let months = match window {
            Window::Month => 1,
            Window::Quarter => 3,
            Window::Trailing { .. } | Window::Lifetime => return Timestamp::MAX,
        };
        let year = i16::try_from(number / 100).unwrap_or(0);
        let month = i8::try_from(number % 100).unwrap_or(1);
        let Ok(first) = jiff::civil::Date::new(year, month, 1) else {
            return Timestamp::MAX;
        };
        first
            .checked_add(months.months())
            .map_or(Timestamp::MAX, |next| {
                self.instant(next.to_datetime(jiff::civil::Time::midnight()))
            })
    }

    /// Whole calendar months from one instant to another; 0 backwards.
    #[must_use]
    pub fn months_between(&self, from: Timestamp, to: Timestamp) -> i64 {
        let (from, to) = (self.civil(from), self.civil(to));
        let months = (i64::from(to.year()) - i64::from(from.year())) * 12 + i64::from(to.month())
            - i64::from(from.month());
        // A month is whole once the day and time come round; a shorter month's last day does for a later one.
        let last = to.date().last_of_month().day();
        let whole = (to.day(), to.time()) >= (from.day().min(last), from.time());
        (months - i64::from(!whole)).max(0)
    }
}

/// A walk over the events of a book, in canonical order.
#[derive(Clone, Debug)]
pub struct Fold<'a> {
    plans: Vec<(&'a PlanVersion, Zone)>,
    currency: Currency,
    state: State,
    closed: Vec<Close>,
    /// No window of a gate ends before that.
    next_end: Timestamp,
}

/// What a component offers for an event, before it is known whether it is chosen.
struct Offer {
    component: usize,
    amount: i64,
    unbound: Option<i64>,
    measured: Option<(i64, i64)>,
    /// What stands in its window if it is chosen, and if it is not.
    chosen: Running,
    passed: Running,
    /// What its window had paid before.
    before: i64,
    matches: bool,
}

impl<'a> Fold<'a> {
    /// The beginning of a book whose entries are paid by these plan versions.
    #[must_use]
    pub fn new(plans: impl IntoIterator<Item = &'a PlanVersion>, currency: Currency) -> Self {
        Self::from(plans, currency, State::default())
    }

    /// Goes on where a fold stood.
    #[must_use]
    pub fn from(
        plans: impl IntoIterator<Item = &'a PlanVersion>,
        currency: Currency,
        state: State,
    ) -> Self {
        Self {
            plans: plans
                .into_iter()
                .map(|plan| (plan, Zone::of(&plan.terms.time_zone)))
                .collect(),
            currency,
            state,
            closed: Vec::new(),
            next_end: Timestamp::MIN,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the close of the windows left behind has decided, since this was last asked.
    pub fn closes(&mut self) -> Vec<Close> {
        std::mem::take(&mut self.closed)
    }

    /// What the next event in canonical order pays.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn step(&mut self, entry: &Entry) -> Result<Paid, MoneyError> {
        let Some((plan, zone)) = self.plans.get(entry.plan).cloned() else {
            return Err(MoneyError::OverLimit);
        };
        let terms = &plan.terms;
        if terms
            .components
            .iter()
            .any(|component| component.gate.is_some())
        {
            // Whose window ended before this event has used caps and budget before it.
            let whose = (!is_budgeted(terms)).then_some((entry.partner, entry.plan));
            self.close_gates(entry.counted_at, whose)?;
        }
        let asks = asks_after_customers(terms);
        let months = if asks {
            self.months(entry, &zone)
        } else {
            None
        };
        let mut standing = self.take_standing(entry, terms);
        let mut offers = Vec::with_capacity(terms.components.len());
        for (index, component) in terms.components.iter().enumerate() {
            if let Some(gate) = &component.gate {
                let behind = &mut standing.behind[index];
                let window = zone.window(gate.window, entry.counted_at);
                if behind.window != window {
                    *behind = Behind {
                        window,
                        ..Behind::default()
                    };
                    self.next_end = self.next_end.min(zone.end(gate.window, window));
                }
                behind.measure = add(behind.measure, entry.measured(&gate.measure))?;
            }
            let look = Look {
                index,
                entry,
                zone: &zone,
                currency: self.currency,
                matches: self.matches(component, entry, months),
            };
            let running = standing.running[index];
            let trail = &mut standing.trails[index];
            match look.offer(component, running, trail)? {
                Looked::Passed(running) => standing.running[index] = running,
                Looked::Offers(offer) => offers.push(offer),
            }
        }
        let chosen = choose(terms.pays, &offers, terms);
        let mut pay = 0_i64;
        let mut gated: Vec<(usize, i64)> = Vec::new();
        let mut steps = Vec::with_capacity(offers.len());
        // What pays for the sale itself: something now, or else what waits behind gates.
        let (mut pays_now, mut pays_later) = (false, Vec::new());
        // What rises in its window, and may fall in it later.
        let mut rising: Vec<(usize, i64)> = Vec::new();
        let mut cuts = Vec::new();
        for (position, offer) in offers.into_iter().enumerate() {
            let component = &terms.components[offer.component];
            let is_chosen = chosen.is_none_or(|chosen| chosen == position)
                || !offer.matches
                || matches!(component.pay, Pay::Milestone { .. });
            let aside = match (is_chosen, &component.gate) {
                (false, _) => Some(Aside::NotChosen),
                (true, Some(_)) => Some(Aside::Gated),
                (true, None) => None,
            };
            let amount = if is_chosen {
                offer.amount
            } else {
                // What it lifts of the window's earlier events is theirs all the same.
                add(offer.passed.rounded, -offer.before)?
            };
            standing.running[offer.component] = if is_chosen {
                offer.chosen
            } else {
                offer.passed
            };
            let amount =
                self.set_against(entry, offer.component, amount, &mut standing, &mut cuts)?;
            let for_the_sale =
                is_chosen && offer.matches && !matches!(component.pay, Pay::Milestone { .. });
            if component.gate.is_some() {
                gated.push((offer.component, amount));
                pays_later.extend(for_the_sale.then_some(offer.component));
            } else {
                pay = add(pay, amount)?;
                pays_now |= for_the_sale;
                if amount > 0 && component.may_fall() {
                    rising.push((offer.component, amount));
                }
            }
            if offer.matches || offer.amount != 0 {
                steps.push(Step {
                    component: u32::try_from(offer.component).unwrap_or(u32::MAX),
                    amount: Money::new(offer.amount, self.currency),
                    unbound: offer
                        .unbound
                        .map(|unbound| Money::new(unbound, self.currency)),
                    measured: offer.measured,
                    aside,
                });
            }
        }
        let cut = self.cap(entry, terms, &zone, &mut standing, &mut pay)?;
        self.note_over(entry, terms, &rising, &cut, &mut standing)?;
        cuts.extend(cut);
        let mut of_conversion = pay;
        let binds_customers = terms.caps.iter().any(|cap| cap.scope == CapScope::Customer);
        for (component, amount) in gated {
            let kept = self.cap_alone(entry, terms, (of_conversion, amount), &mut cuts)?;
            let running = &mut standing.running[component];
            running.over = add(running.over, add(amount, -kept)?)?;
            of_conversion = add(of_conversion, kept)?;
            let behind = &mut standing.behind[component];
            behind.withheld = add(behind.withheld, kept)?;
            if let (true, Some(customer)) = (binds_customers, &entry.customer) {
                let withheld = behind.customers.entry(customer.clone()).or_default();
                *withheld = add(*withheld, kept)?;
            }
        }
        let sale = entry.amount.unwrap_or(0);
        let shares_sales = terms.levels.iter().any(|level| level.of == LevelBase::Sale);
        for component in pays_later {
            if !pays_now && shares_sales {
                let sales = &mut standing.behind[component].sales;
                sales.push((entry.conversion, sale));
            }
        }
        self.state
            .standings
            .insert((entry.partner, entry.plan), standing);
        if asks {
            self.remember(entry);
        }
        let levels = levels(terms, pays_now.then_some(sale), pay, self.currency)?;
        Ok(Paid {
            pay: Money::new(pay, self.currency),
            levels,
            steps,
            cuts,
            months,
        })
    }

    /// Closes every window that ends by `until`: what its gates decided joins [`Fold::closes`].
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn close(&mut self, until: Timestamp) -> Result<(), MoneyError> {
        self.close_gates(until, None)
    }

    /// Closes gates, those of one partner and version or all, in the order in which their windows ended.
    fn close_gates(
        &mut self,
        until: Timestamp,
        whose: Option<(PartnerId, usize)>,
    ) -> Result<(), MoneyError> {
        let mut ended: Vec<(Timestamp, (PartnerId, usize), usize)> = Vec::new();
        if let Some(key) = whose {
            let open = self.open_gates(key);
            ended.extend(open.filter(|(end, ..)| *end <= until));
        } else if until >= self.next_end {
            let mut next = Timestamp::MAX;
            for key in self.state.standings.keys() {
                for gate in self.open_gates(*key) {
                    if gate.0 <= until {
                        ended.push(gate);
                    } else {
                        next = next.min(gate.0);
                    }
                }
            }
            self.next_end = next;
        }
        ended.sort_unstable();
        for (_, key, index) in ended {
            let Some((plan, zone)) = self.plans.get(key.1).cloned() else {
                continue;
            };
            let Some(mut standing) = self.state.standings.remove(&key) else {
                continue;
            };
            let left = std::mem::take(&mut standing.behind[index]);
            self.decide(key, plan, &zone, index, left, &mut standing)?;
            self.state.standings.insert(key, standing);
        }
        Ok(())
    }

    /// The gates of a partner under a version whose windows are open, and when these end.
    fn open_gates(
        &self,
        key: (PartnerId, usize),
    ) -> impl Iterator<Item = (Timestamp, (PartnerId, usize), usize)> + '_ {
        let standing = self.state.standings.get(&key);
        let found = standing.zip(self.plans.get(key.1));
        found.into_iter().flat_map(move |(standing, (plan, zone))| {
            let components = plan.terms.components.iter().zip(&standing.behind);
            components
                .enumerate()
                .filter(|(_, (_, behind))| behind.window != 0)
                .filter_map(move |(index, (component, behind))| {
                    let gate = component.gate.as_ref()?;
                    Some((zone.end(gate.window, behind.window), key, index))
                })
        })
    }

    fn take_standing(&mut self, entry: &Entry, terms: &Terms) -> Standing {
        self.state
            .standings
            .remove(&(entry.partner, entry.plan))
            .filter(|standing| standing.running.len() == terms.components.len())
            .unwrap_or_else(|| Standing {
                running: vec![Running::default(); terms.components.len()],
                trails: vec![VecDeque::new(); terms.components.len()],
                behind: vec![Behind::default(); terms.components.len()],
                used: vec![Used::default(); terms.caps.len()],
            })
    }

    fn decide(
        &mut self,
        (partner, at): (PartnerId, usize),
        plan: &PlanVersion,
        zone: &Zone,
        index: usize,
        left: Behind,
        standing: &mut Standing,
    ) -> Result<(), MoneyError> {
        let Some(gate) = &plan.terms.components[index].gate else {
            return Ok(());
        };
        let end = zone.end(gate.window, left.window);
        let is_passed = left.measure >= gate.at_least;
        let caps = &plan.terms.caps;
        // What caps leave belongs to the window's last instant.
        let last = end.checked_sub(1.nanosecond()).unwrap_or(end);
        let mut pay = 0;
        let mut of_customers = Vec::new();
        if is_passed {
            pay = left.withheld;
            for (customer, withheld) in &left.customers {
                let mut share = *withheld;
                for (index, cap) in caps.iter().enumerate() {
                    if cap.scope == CapScope::Customer {
                        let window = zone.window(cap.window, last);
                        let used = self.used_by(partner, customer, (at, index), window);
                        share = share.min(cap.amount.minor().saturating_sub(used).max(0));
                    }
                }
                pay = add(pay, add(share, -withheld)?)?;
                of_customers.push((customer, share));
            }
        }
        for (index, cap) in caps.iter().enumerate() {
            let window = zone.window(cap.window, last);
            let used = match cap.scope {
                CapScope::Partner => standing.used[index],
                CapScope::Program => self.budget((at, index)),
                CapScope::Conversion | CapScope::Customer => continue,
            };
            pay = pay.min(
                cap.amount
                    .minor()
                    .saturating_sub(used.within(window))
                    .max(0),
            );
        }
        // What others of its caps took off is not a customer's use, the last one's first.
        let mut over = of_customers
            .iter()
            .try_fold(0, |sum, (_, share)| add(sum, *share))?
            .saturating_sub(pay)
            .max(0);
        for (_, share) in of_customers.iter_mut().rev() {
            let less = over.min((*share).max(0));
            *share -= less;
            over -= less;
        }
        for (index, cap) in caps.iter().enumerate() {
            let window = zone.window(cap.window, last);
            let key = (at, index);
            match cap.scope {
                CapScope::Conversion => {}
                CapScope::Partner => {
                    let minor = add(standing.used[index].within(window), pay)?;
                    standing.used[index] = Used { window, minor };
                }
                CapScope::Program => {
                    let minor = add(self.budget(key).within(window), pay)?;
                    self.state.budgets.insert(key, Used { window, minor });
                }
                CapScope::Customer => {
                    for (customer, share) in &of_customers {
                        let used = self.used_by(partner, customer, key, window);
                        let minor = add(used, *share)?;
                        self.use_up_customer(partner, customer, key, Used { window, minor });
                    }
                }
            }
        }
        let mut sales = 0;
        if is_passed {
            let passed: HashSet<ConversionId> = left
                .sales
                .iter()
                .map(|(conversion, _)| *conversion)
                .collect();
            for (_, sale) in &left.sales {
                sales = add(sales, *sale)?;
            }
            // With the first gate that is passed, and with no other.
            for behind in &mut standing.behind {
                behind
                    .sales
                    .retain(|(conversion, _)| !passed.contains(conversion));
            }
        }
        self.closed.push(Close {
            partner,
            plan: at,
            component: u32::try_from(index).unwrap_or(u32::MAX),
            end,
            measure: left.measure,
            provisional: Money::new(left.withheld, self.currency),
            pay: Money::new(pay, self.currency),
            levels: levels(&plan.terms, is_passed.then_some(sales), pay, self.currency)?,
        });
        Ok(())
    }

    /// Whole months since the customer's first conversion of this event; `None` for the first, and for an
    /// event without a customer.
    fn months(&self, entry: &Entry, zone: &Zone) -> Option<i64> {
        let customer = entry.customer.as_ref()?;
        let here = self
            .state
            .customers
            .get(&(entry.partner, customer.clone()))
            .and_then(|known| known.first.iter().find(|(event, _)| *event == entry.event))
            .map(|(_, first)| *first);
        let first = here.into_iter().chain(entry.known_since).min()?;
        Some(zone.months_between(first, entry.counted_at))
    }

    /// Gets to know an event's customer, without paying for it: of what happened before a plan began.
    pub fn remember(&mut self, entry: &Entry) {
        let (true, Some(customer)) = (entry.own, &entry.customer) else {
            return;
        };
        let known = self
            .state
            .customers
            .entry((entry.partner, customer.clone()))
            .or_default();
        if known.first.iter().all(|(event, _)| *event != entry.event) {
            known.first.push((entry.event.clone(), entry.counted_at));
        }
    }

    fn matches(&self, component: &Component, entry: &Entry, months: Option<i64>) -> bool {
        entry.own
            && component.event == entry.event
            && match component.duration {
                Duration::Forever => true,
                Duration::FirstSale => months.is_none(),
                Duration::Months(most) => months.unwrap_or(0) < i64::from(most),
            }
            && component
                .when
                .as_ref()
                .is_none_or(|condition| holds(condition, entry, months, self.currency))
    }

    /// Applies the caps in the plan's order; what is negative gives room back.
    fn cap(
        &mut self,
        entry: &Entry,
        terms: &Terms,
        zone: &Zone,
        standing: &mut Standing,
        pay: &mut i64,
    ) -> Result<Vec<Cut>, MoneyError> {
        let mut cuts = Vec::new();
        // Each cap sees what those before it left; what it has used is what is paid in the end.
        for (index, cap) in terms.caps.iter().enumerate() {
            let window = zone.window(cap.window, entry.counted_at);
            let used = self.used(entry, standing, cap.scope, index, window);
            let room = match used {
                None => cap.amount.minor(),
                Some(used) => cap.amount.minor().saturating_sub(used).max(0),
            };
            if *pay > room {
                cuts.push(Cut {
                    cap: u32::try_from(index).unwrap_or(u32::MAX),
                    by: Money::new(*pay - room, self.currency),
                    room: Money::new(room, self.currency),
                });
                *pay = room;
            }
        }
        for (index, cap) in terms.caps.iter().enumerate() {
            let window = zone.window(cap.window, entry.counted_at);
            if let Some(used) = self.used(entry, standing, cap.scope, index, window) {
                let minor = add(used, *pay)?;
                self.use_up(entry, standing, cap.scope, index, Used { window, minor });
            }
        }
        Ok(cuts)
    }

    /// What a component falls, less what caps took off it before in the same window: what was never paid is not
    /// taken back.
    fn set_against(
        &mut self,
        entry: &Entry,
        component: usize,
        amount: i64,
        standing: &mut Standing,
        cuts: &mut Vec<Cut>,
    ) -> Result<i64, MoneyError> {
        let mut fall = add(0, -amount)?;
        if fall <= 0 {
            return Ok(amount);
        }
        let running = &mut standing.running[component];
        if let Some(over) = self.customers_over(entry, component, running.window) {
            let back = over.minor.min(fall);
            over.minor -= back;
            fall -= back;
        }
        let back = running.over.min(fall);
        running.over -= back;
        fall -= back;
        let back = add(amount, fall)?;
        if back < 0 {
            cuts.push(Cut {
                cap: 0,
                by: Money::new(back, self.currency),
                room: Money::zero(self.currency),
            });
        }
        Ok(-fall)
    }

    /// Notes what caps took off an event, for what its components fall later in their windows.
    fn note_over(
        &mut self,
        entry: &Entry,
        terms: &Terms,
        rising: &[(usize, i64)],
        cuts: &[Cut],
        standing: &mut Standing,
    ) -> Result<(), MoneyError> {
        let (mut of_customer, mut of_others) = (0, 0);
        for (cut, cap) in cuts.iter().filter_map(|cut| {
            let index = usize::try_from(cut.cap).ok()?;
            Some((cut, terms.caps.get(index)?))
        }) {
            let sum = if cap.scope == CapScope::Customer && entry.customer.is_some() {
                &mut of_customer
            } else {
                &mut of_others
            };
            *sum = add(*sum, cut.by.minor())?;
        }
        for (component, amount) in rising {
            let running = &mut standing.running[*component];
            let own = of_customer.min(*amount);
            let others = of_others.min(add(*amount, -own)?);
            (of_customer, of_others) = (of_customer - own, of_others - others);
            running.over = add(running.over, others)?;
            let window = running.window;
            if let (true, Some(customer)) = (own > 0, &entry.customer) {
                let key = (entry.plan, *component);
                let known = self
                    .state
                    .customers
                    .entry((entry.partner, customer.clone()))
                    .or_default();
                match known.over.iter_mut().find(|(one, _)| *one == key) {
                    Some((_, over)) => {
                        let minor = add(over.within(window), own)?;
                        *over = Used { window, minor };
                    }
                    None => known.over.push((key, Used { window, minor: own })),
                }
            }
        }
        Ok(())
    }

    /// What caps of the event's customer took off a component in that window.
    fn customers_over(
        &mut self,
        entry: &Entry,
        component: usize,
        window: i32,
    ) -> Option<&mut Used> {
        let customer = entry.customer.clone()?;
        let known = self.state.customers.get_mut(&(entry.partner, customer))?;
        let key = (entry.plan, component);
        let (_, over) = known.over.iter_mut().find(|(one, _)| *one == key)?;
        (over.window == window).then_some(over)
    }

    /// What caps of the conversion alone leave of what waits behind a gate, beside what the conversion pays
    /// already. A conversion without a customer is a customer of its own.
    fn cap_alone(
        &self,
        entry: &Entry,
        terms: &Terms,
        (paid, amount): (i64, i64),
        cuts: &mut Vec<Cut>,
    ) -> Result<i64, MoneyError> {
        let mut kept = amount;
        for (index, cap) in terms.caps.iter().enumerate() {
            let is_alone = match cap.scope {
                CapScope::Conversion => true,
                CapScope::Customer => entry.customer.is_none(),
                CapScope::Partner | CapScope::Program => false,
            };
            let room = add(cap.amount.minor(), -paid)?.max(0);
            if is_alone && kept > room {
                cuts.push(Cut {
                    cap: u32::try_from(index).unwrap_or(u32::MAX),
                    by: Money::new(add(kept, -room)?, self.currency),
                    room: Money::new(room, self.currency),
                });
                kept = room;
            }
        }
        Ok(kept)
    }

    /// What a cap has used in a window; `None` for one that remembers nothing.
    fn used(
        &self,
        entry: &Entry,
        standing: &Standing,
        scope: CapScope,
        index: usize,
        window: i32,
    ) -> Option<i64> {
        let key = (entry.plan, index);
        Some(match scope {
            CapScope::Conversion => return None,
            CapScope::Partner => standing.used[index].within(window),
            CapScope::Program => self.budget(key).within(window),
            // An event without a customer is one of its own.
            CapScope::Customer => {
                self.used_by(entry.partner, entry.customer.as_ref()?, key, window)
            }
        })
    }

    fn budget(&self, key: (usize, usize)) -> Used {
        self.state.budgets.get(&key).copied().unwrap_or_default()
    }

    fn used_by(&self, partner: PartnerId, customer: &str, key: (usize, usize), window: i32) -> i64 {
        self.state
            .customers
            .get(&(partner, customer.to_owned()))
            .and_then(|known| known.used.iter().find(|(cap, _)| *cap == key))
            .map_or(0, |(_, used)| used.within(window))
    }

    fn use_up_customer(
        &mut self,
        partner: PartnerId,
        customer: &str,
        key: (usize, usize),
        used: Used,
    ) {
        let known = self
            .state
            .customers
            .entry((partner, customer.to_owned()))
            .or_default();
        match known.used.iter_mut().find(|(cap, _)| *cap == key) {
            Some((_, before)) => *before = used,
            None => known.used.push((key, used)),
        }
    }

    fn use_up(
        &mut self,
        entry: &Entry,
        standing: &mut Standing,
        scope: CapScope,
        index: usize,
        used: Used,
    ) {
        let key = (entry.plan, index);
        match (scope, &entry.customer) {
            (CapScope::Partner, _) => standing.used[index] = used,
            (CapScope::Program, _) => {
                self.state.budgets.insert(key, used);
            }
            (CapScope::Customer, Some(customer)) => {
                self.use_up_customer(entry.partner, customer, key, used);
            }
            (CapScope::Conversion | CapScope::Customer, _) => {}
        }
    }
}

fn add(a: i64, b: i64) -> Result<i64, MoneyError> {
    a.checked_add(b).ok_or(MoneyError::OverLimit)
}

/// Settles a fraction of a minor unit half away from zero.
fn half_up(exact: Decimal) -> Result<i64, MoneyError> {
    exact
        .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
        .to_i64()
        .ok_or(MoneyError::OverLimit)
}

fn product(rate: Rate, of: i64) -> Result<Decimal, MoneyError> {
    rate.decimal()
        .checked_mul(Decimal::from(of))
        .ok_or(MoneyError::OverLimit)
}

fn plus(a: Decimal, b: Decimal) -> Result<Decimal, MoneyError> {
    a.checked_add(b).ok_or(MoneyError::OverLimit)
}

/// What came of a component's look at an event.
enum Looked {
    /// Nothing to offer; what stands in its window.
    Passed(Running),
    /// Something.
    Offers(Offer),
}

/// A component's look at an event.
struct Look<'a> {
    index: usize,
    entry: &'a Entry,
    zone: &'a Zone,
    currency: Currency,
    matches: bool,
}

impl Look<'_> {
    fn offer(
        &self,
        component: &Component,
        running: Running,
        trail: &mut VecDeque<(Timestamp, i64)>,
    ) -> Result<Looked, MoneyError> {
        let Self { entry, .. } = *self;
        let mut looked = match &component.pay {
            Pay::Flat(each) if self.matches => {
                self.plain(each.times(entry.quantity)?.minor(), running)
            }
            Pay::Percent { rate, of } if self.matches => {
                let base = Money::new(entry.base(*of), self.currency);
                self.plain(base.percent(*rate, Rounding::HalfUp)?.minor(), running)
            }
            Pay::Flat(_) | Pay::Percent { .. } => Looked::Passed(running),
            Pay::Milestone {
                measure,
                window,
                at,
                amount,
            } => {
                let running = self.rolled(running, *window, 0);
                self.milestone(component, measure, *at, *amount, running)?
            }
            Pay::RevenueShare(share) => self.revenue_share(share, running)?,
            Pay::Tiered(tiers) => self.tiered(tiers, running, trail)?,
        };
        if let Looked::Offers(offer) = &mut looked
            && self.matches
        {
            let unbound = offer.amount;
            if let Some(minimum) = component.minimum.filter(|_| offer.amount > 0) {
                offer.amount = offer.amount.max(minimum.minor());
            }
            if let Some(maximum) = component.maximum {
                offer.amount = offer.amount.min(maximum.minor());
            }
            offer.unbound = (offer.amount != unbound).then_some(unbound);
        }
        Ok(looked)
    }

    fn offers(&self, amount: i64, passed: Running, chosen: Running) -> Offer {
        Offer {
            component: self.index,
            amount,
            unbound: None,
            measured: None,
            before: passed.rounded,
            chosen,
            passed,
            matches: self.matches,
        }
    }

    fn plain(&self, amount: i64, running: Running) -> Looked {
        Looked::Offers(self.offers(amount, running, running))
    }

    /// The window that the event lies in: what stands there, or a new one that begins with `carried`.
    fn rolled(&self, running: Running, window: Window, carried: i64) -> Running {
        let number = self.zone.window(window, self.entry.counted_at);
        if running.window == number {
            return running;
        }
        Running {
            window: number,
            measure: carried,
            ..Running::default()
        }
    }

    fn milestone(
        &self,
        component: &Component,
        measure: &Measure,
        at: i64,
        amount: Money,
        mut running: Running,
    ) -> Result<Looked, MoneyError> {
        let measured = self.entry.measured(measure);
        if measured == 0 {
            return Ok(Looked::Passed(running));
        }
        let before = running.measure;
        running.measure = add(before, measured)?;
        let crossed = before < at && at <= running.measure;
        let holds = component
            .when
            .as_ref()
            .is_none_or(|condition| holds(condition, self.entry, None, self.currency));
        let amount = if crossed && holds { amount.minor() } else { 0 };
        Ok(Looked::Offers(Offer {
            measured: Some((before, running.measure)),
            matches: crossed,
            ..self.offers(amount, running, running)
        }))
    }

    fn revenue_share(&self, share: &RevenueShare, running: Running) -> Result<Looked, MoneyError> {
        let negative = running.measure.min(0);
        let carried = match share.carryover {
            Carryover::Carry => negative,
            Carryover::Reset => 0,
            Carryover::Capped(most) => negative.max(-most.minor()),
        };
        let running = self.rolled(running, share.window, carried);
        if !self.matches {
            return Ok(Looked::Passed(running));
        }
        let before = running.measure;
        let net = self
            .entry
            .amount
            .unwrap_or(0)
            .checked_sub(self.entry.adjustments)
            .ok_or(MoneyError::OverLimit)?;
        let after = add(before, net)?;
        let reached = share.brackets.iter().rev().find(|(from, _)| *from <= after);
        let rounded = match reached {
            Some((_, rate)) => half_up(product(*rate, after.max(0))?)?,
            None => 0,
        };
        let chosen = Running {
            measure: after,
            rounded,
            ..running
        };
        let amount = add(rounded, -running.rounded)?;
        Ok(Looked::Offers(Offer {
            measured: Some((before, after)),
            ..self.offers(amount, running, chosen)
        }))
    }

    fn tiered(
        &self,
        tiers: &Tiers,
        running: Running,
        trail: &mut VecDeque<(Timestamp, i64)>,
    ) -> Result<Looked, MoneyError> {
        let Self { entry, matches, .. } = *self;
        let mut running = self.rolled(running, tiers.window, 0);
        if let Window::Trailing { days } = tiers.window {
            // Half open at its far end: an event exactly that many days ago has left it.
            let begin = days_before(entry.counted_at, days);
            while let Some((at, measured)) = trail.front().copied()
                && at <= begin
            {
                trail.pop_front();
                running.measure = add(running.measure, -measured)?;
            }
        }
        let measured = entry.measured(&tiers.measure);
        if measured == 0 && !matches {
            return Ok(Looked::Passed(running));
        }
        let before = running.measure;
        let after = add(before, measured)?;
        let base = Decimal::from(entry.base(tiers.of));
        let quantity = Decimal::from(entry.quantity);
        if matches!(tiers.window, Window::Trailing { .. }) && measured != 0 {
            trail.push_back((entry.counted_at, measured));
        }
        let passed = Running {
            measure: after,
            ..running
        };
        let offers = |amount, passed, chosen| {
            Looked::Offers(Offer {
                measured: Some((before, after)),
                before: running.rounded,
                ..self.offers(amount, passed, chosen)
            })
        };
        let mut chosen = passed;
        match tiers.mode {
            // Each conversion is rated by itself, so it is rounded by itself.
            Mode::Attained => {
                let exact = match bracket(&tiers.brackets, after) {
                    Some(bracket) if matches => exactly(bracket.pay, base, quantity)?,
                    _ => Decimal::ZERO,
                };
                return Ok(offers(half_up(exact)?, passed, passed));
            }
            Mode::Marginal if matches => {
                let exact = marginal(&tiers.brackets, before, after, base, quantity)?;
                chosen.exact = plus(chosen.exact, exact)?;
            }
            Mode::Interpolated if matches || !entry.own => {
                let (from, to) = (
                    interpolated(&tiers.brackets, before)?,
                    interpolated(&tiers.brackets, after)?,
                );
                chosen.exact = plus(chosen.exact, to - from)?;
            }
            Mode::Retroactive if matches => {
                chosen.exact = plus(chosen.exact, base)?;
                chosen.quantity = add(chosen.quantity, i64::from(entry.quantity))?;
            }
            Mode::Marginal | Mode::Interpolated | Mode::Retroactive => {}
        }
        chosen.rounded = accumulated(tiers, &chosen)?;
        // Even where it is not chosen, what is measured lifts what is in the window already.
        let passed = Running {
            rounded: accumulated(tiers, &passed)?,
            ..passed
        };
        Ok(offers(
            add(chosen.rounded, -running.rounded)?,
            passed,
            chosen,
        ))
    }
}

/// What a window has paid, rounded.
fn accumulated(tiers: &Tiers, running: &Running) -> Result<i64, MoneyError> {
    if tiers.mode != Mode::Retroactive {
        return half_up(running.exact);
    }
    match bracket(&tiers.brackets, running.measure) {
        Some(bracket) => {
            let quantity = Decimal::from(running.quantity);
            half_up(exactly(bracket.pay, running.exact, quantity)?)
        }
        None => Ok(0),
    }
}

/// The bracket that a measure stands in: the last that begins at or below it.
fn bracket(brackets: &[Bracket], measure: i64) -> Option<&Bracket> {
    brackets
        .iter()
        .rev()
        .find(|bracket| bracket.from <= measure)
        .or_else(|| brackets.first())
}

/// What a bracket pays for a base and a quantity, exactly.
fn exactly(pay: BracketPay, base: Decimal, quantity: Decimal) -> Result<Decimal, MoneyError> {
    match pay {
        BracketPay::Rate(rate) => rate.decimal().checked_mul(base),
        BracketPay::Flat(each) => Decimal::from(each.minor()).checked_mul(quantity),
        BracketPay::Total(_) => Some(Decimal::ZERO),
    }
    .ok_or(MoneyError::OverLimit)
}

/// The pay of an event that stretches the measure from one point to another, each part of it at its own
/// bracket; one that stretches nothing stands at its point.
fn marginal(
    brackets: &[Bracket],
    before: i64,
    after: i64,
    base: Decimal,
    quantity: Decimal,
) -> Result<Decimal, MoneyError> {
    let length = add(after, -before)?;
    if length == 0 {
        return match bracket(brackets, after) {
            Some(bracket) => exactly(bracket.pay, base, quantity),
            None => Ok(Decimal::ZERO),
        };
    }
    let mut sum = Decimal::ZERO;
    for (part, part_length) in parts(brackets, before, after) {
        let part_length = Decimal::from(part_length);
        let share = |whole: Decimal| {
            // Where the measure is the base itself nothing is divided, and nothing is inexact.
            if whole == Decimal::from(length) {
                Some(part_length)
            } else {
                whole
                    .checked_mul(part_length)?
                    .checked_div(Decimal::from(length))
            }
        };
        let base = share(base).ok_or(MoneyError::OverLimit)?;
        let quantity = share(quantity).ok_or(MoneyError::OverLimit)?;
        sum = plus(sum, exactly(part.pay, base, quantity)?)?;
    }
    Ok(sum)
}

/// The brackets that a measure passes on its way up, and how much of the way lies in each.
pub fn parts(
    brackets: &[Bracket],
    before: i64,
    after: i64,
) -> impl Iterator<Item = (&Bracket, i64)> {
    brackets
        .iter()
        .enumerate()
        .filter_map(move |(index, part)| {
            let low = part.from.max(before);
            let high = brackets
                .get(index + 1)
                .map_or(after, |next| next.from.min(after));
            (high > low).then(|| (part, high - low))
        })
}

/// The cumulative pay at a measure: straight lines between the points that brackets state, level after
/// the last.
fn interpolated(brackets: &[Bracket], measure: i64) -> Result<Decimal, MoneyError> {
    let total = |bracket: &Bracket| match bracket.pay {
        BracketPay::Total(total) => Decimal::from(total.minor()),
        BracketPay::Rate(_) | BracketPay::Flat(_) => Decimal::ZERO,
    };
    let Some(index) = brackets.iter().rposition(|bracket| bracket.from <= measure) else {
        return Ok(Decimal::ZERO);
    };
    let low = &brackets[index];
    let Some(high) = brackets.get(index + 1) else {
        return Ok(total(low));
    };
    let rise = (total(high) - total(low))
        .checked_mul(Decimal::from(measure - low.from))
        .and_then(|rise| rise.checked_div(Decimal::from(high.from - low.from)))
        .ok_or(MoneyError::OverLimit)?;
    plus(total(low), rise)
}

/// The position of the one offer that is chosen; `None` for all. Milestones are chosen always.
fn choose(pays: Pays, offers: &[Offer], terms: &Terms) -> Option<usize> {
    let candidates = || {
        offers.iter().enumerate().filter(|(_, offer)| {
            offer.matches && !matches!(terms.components[offer.component].pay, Pay::Milestone { .. })
        })
    };
    match pays {
        Pays::All => None,
        Pays::First => candidates().next().map(|(position, _)| position),
        Pays::Highest => candidates()
            .max_by_key(|(position, offer)| (offer.amount, std::cmp::Reverse(*position)))
            .map(|(position, _)| position),
    }
}

/// What uplines get of an event, the nearest first; of its sale where the plan pays for it. Of what a gate
/// lets pass, the sales are those of which nothing else was paid.
fn levels(
    terms: &Terms,
    sale: Option<i64>,
    pay: i64,
    currency: Currency,
) -> Result<Vec<Money>, MoneyError> {
    let mut below = pay;
    let mut found = Vec::with_capacity(terms.levels.len());
    for level in terms.levels.iter().take(MAX_LEVELS) {
        let of = match level.of {
            LevelBase::Sale => sale.unwrap_or(0),
            LevelBase::Commission => below,
        };
        let share = Money::new(of, currency).percent(level.rate, level.rounding)?;
        below = share.minor();
        found.push(share);
    }
    Ok(found)
}

/// Whether a condition holds of an event of a customer whose first conversion of it lies `months` back;
/// `None` for the first.
#[must_use]
pub fn holds(
    condition: &Condition,
    entry: &Entry,
    months: Option<i64>,
    currency: Currency,
) -> bool {
    match condition {
        Condition::All(parts) => parts
            .iter()
            .all(|part| holds(part, entry, months, currency)),
        Condition::Any(parts) => parts
            .iter()
            .any(|part| holds(part, entry, months, currency)),
        Condition::Among { field, values, is } => {
            let text = match field {
                TextField::Country => entry.country.as_deref(),
                TextField::Product => entry.product.as_deref(),
                TextField::Event => Some(entry.event.as_str()),
                TextField::Coupon => entry.coupon.as_deref(),
                TextField::Sub(number) => usize::from(*number)
                    .checked_sub(1)
                    .and_then(|index| entry.subs.get(index)?.as_deref()),
                TextField::Meta(name) => entry.meta.get(name).map(String::as_str),
            };
            let among =
                text.is_some_and(|text| values.iter().any(|value| is_same_text(value, text)));
            among == *is
        }
        Condition::Within {
            field,
            at_least,
            below,
        } => {
            let whole = |minor: i64| Decimal::new(minor, currency.exponent());
            let number = match field {
                NumberField::Amount => entry.amount.map(whole),
                NumberField::Margin => entry.margin.map(whole),
                NumberField::NetRevenue => entry.net_revenue.map(whole),
                NumberField::Quantity => Some(Decimal::from(entry.quantity)),
                NumberField::MonthsSinceFirstSale => Some(Decimal::from(months.unwrap_or(0))),
            };
            number.is_some_and(|number| {
                at_least.is_none_or(|low| number >= low) && below.is_none_or(|high| number < high)
            })
        }
        Condition::NewCustomer(wanted) => entry.new_customer.unwrap_or(months.is_none()) == *wanted,
    }
}

/// Whether two texts are the same but for the case of their letters.
fn is_same_text(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

/// How far what a plan version pays for one event depends on others: what its book must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// On none: it needs no book.
    Event,
    /// On those of its customer.
    Customer,
    /// On those of a month.
    Month,
    /// On those of a quarter.
    Quarter,
    /// On all.
    Lifetime,
}

/// Every window over which these terms measure or limit something.
#[must_use]
pub fn windows(terms: &Terms) -> Vec<Window> {
    let of_components = terms.components.iter().flat_map(|component| {
        let of_pay = match &component.pay {
            Pay::Flat(_) | Pay::Percent { .. } => None,
            Pay::Tiered(tiers) => Some(tiers.window),
            Pay::Milestone { window, .. } => Some(*window),
            Pay::RevenueShare(share) => Some(share.window),
        };
        of_pay
            .into_iter()
            .chain(component.gate.as_ref().map(|gate| gate.window))
    });
    let of_caps = terms
        .caps
        .iter()
        .filter(|cap| cap.scope != CapScope::Conversion)
        .map(|cap| cap.window);
    of_components.chain(of_caps).collect()
}

/// How far what these terms pay for one event depends on others.
#[must_use]
pub fn reach(terms: &Terms) -> Reach {
    let of_window = |window: Window| match window {
        Window::Month => Reach::Month,
        Window::Quarter => Reach::Quarter,
        Window::Trailing { .. } | Window::Lifetime => Reach::Lifetime,
    };
    let of_pay = |pay: &Pay| match pay {
        Pay::Flat(_) | Pay::Percent { .. } => Reach::Event,
        Pay::Tiered(tiers) => of_window(tiers.window),
        Pay::Milestone { window, .. } => of_window(*window),
        Pay::RevenueShare(share) => match share.carryover {
            Carryover::Reset => of_window(share.window),
            Carryover::Carry | Carryover::Capped(_) => Reach::Lifetime,
        },
    };
    let mut widest = Reach::Event;
    let mut of_customers = asks_after_customers(terms);
    for component in &terms.components {
        widest = widest.max(of_pay(&component.pay));
        if let Some(gate) = &component.gate {
            widest = widest.max(of_window(gate.window));
        }
    }
    for cap in &terms.caps {
        match cap.scope {
            CapScope::Conversion => {}
            CapScope::Customer => of_customers = true,
            CapScope::Partner | CapScope::Program => widest = widest.max(of_window(cap.window)),
        }
    }
    match (widest, of_customers) {
        (Reach::Event, true) => Reach::Customer,
        // A customer's history does not end with a month.
        (_, true) => Reach::Lifetime,
        (widest, false) => widest,
    }
}

/// Whether the program's budget binds what these terms pay, so that partners share one book.
#[must_use]
pub fn is_budgeted(terms: &Terms) -> bool {
    terms.caps.iter().any(|cap| cap.scope == CapScope::Program)
}

/// Whether these terms measure what partners below sell.
#[must_use]
pub fn measures_subtree(terms: &Terms) -> bool {
    terms.components.iter().any(|component| {
        let of_pay = match &component.pay {
            Pay::Tiered(Tiers { measure, .. }) | Pay::Milestone { measure, .. } => Some(measure),
            Pay::Flat(_) | Pay::Percent { .. } | Pay::RevenueShare(_) => None,
        };
        let of_gate = component.gate.as_ref().map(|gate| &gate.measure);
        of_pay
            .into_iter()
            .chain(of_gate)
            .any(|measure| measure.scope == Scope::SubTree)
    })
}

/// Whether what these terms pay for an event depends on what its customer did before.
#[must_use]
pub fn asks_after_customers(terms: &Terms) -> bool {
    terms.components.iter().any(|component| {
        component.duration != Duration::Forever
            || component.when.as_ref().is_some_and(knows_customer)
    })
}

fn knows_customer(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(knows_customer),
        Condition::NewCustomer(_) => true,
        Condition::Within { field, .. } => *field == NumberField::MonthsSinceFirstSale,
        Condition::Among { .. } => false,
    }
}

#[cfg(test)]
mod tests;
