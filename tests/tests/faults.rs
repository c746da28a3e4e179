//! A partner program under seeded faults: requests and answers are lost, tables throttle, transactions
//! conflict, indexes lag, deliveries come twice, processes die, the clock jumps; and all the time no event
//! is lost, no cent is made, and none is paid twice.
//!
//! The terms go by the seed: a plain share; or tiers with two levels, a budget that all partners share, or a gate
//! on each month's sales, or a share of orders in another currency whose rates arrive late, all four with parts taken
//! back, amendments, disputes, adjustments and holds that are moved. What those come to is worked out here a second
//! time, and then by a recomputation and a what-if, which find no difference.
//!
//! `TRIBUTARY_FAULT_SEEDS=1000` runs so many seeds, `TRIBUTARY_FAULT_SEED=17` that one again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::http::Method;
use fastrand::Rng;
use serde_json::{Value, json};
use tributary::clock::{Timestamp, minutes_after};
use tributary_local::connector::{AwsError, Call, Delivery, Intercept, Service, Verdict};
use tributary_tests::{Answer, World};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 12;
/// Why DynamoDB cancels a transaction without a word about its conditions.
const CANCELLATIONS: [&str; 3] = [
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
];
/// What people, servers and time do in one run.
const ACTS: usize = 45;
/// How often somebody asks who gets no answer.
const PATIENCE: usize = 30;
/// Minutes that an index may lag behind its table: what is older is in it. The reconciler counts on ten.
const LAG_MINUTES: i64 = 9;
/// Minutes that pass after the faults have stopped, until everything is done.
const AFTERMATH: [i64; 6] = [1, 7, 7, 7, 31, 7];

/// Disturbs calls by chance.
pub(crate) struct Chaos {
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    on: bool,
    /// Failed calls left that the process which died would have made.
    dead: u32,
    now: Timestamp,
}

impl Chaos {
    pub(crate) fn seeded(seed: u64) -> Arc<Self> {
        let state = State {
            rng: Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            on: false,
            dead: 0,
            now: tributary_tests::START.parse().unwrap(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    pub(crate) fn switch(&self, on: bool) {
        let mut state = self.state.lock().unwrap();
        (state.on, state.dead) = (on, 0);
    }

    pub(crate) fn tell(&self, now: Timestamp) {
        self.state.lock().unwrap().now = now;
    }
}

impl Intercept for Chaos {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let mut state = self.state.lock().unwrap();
        if !state.on {
            return Verdict::Pass;
        }
        // The event sources' own calls: another process.
        let of_a_source = matches!(
            call.operation,
            "ReceiveMessage"
                | "DeleteMessageBatch"
                | "GetRecords"
                | "GetShardIterator"
                | "DescribeStream"
        );
        if of_a_source {
            state.dead = 0;
        } else if state.dead > 0 {
            state.dead -= 1;
            return Verdict::FailBefore;
        }
        match state.rng.u32(..1000) {
            0..40 => Verdict::FailBefore,
            40..80 => Verdict::DropResponse,
            80..110 if call.service == Service::DynamoDb => Verdict::Answer(AwsError::throttled()),
            110..190 if call.operation == "TransactWriteItems" => {
                let items = call.request["TransactItems"].as_array().map_or(1, Vec::len);
                let mut codes = vec!["None"; items];
                let at = state.rng.usize(..items);
                codes[at] = CANCELLATIONS[state.rng.usize(..CANCELLATIONS.len())];
                Verdict::Answer(AwsError::transaction_cancelled(&codes))
            }
            190..200 if !of_a_source => {
                // Whatever it does next fails too, as of a process that is gone.
                state.dead = 12;
                Verdict::DropResponse
            }
            _ => Verdict::Pass,
        }
    }

    /// An index that lags: entries that were written just now are not there yet.
    fn after(&self, call: &Call<'_>, outcome: Result<&Value, &AwsError>) -> Delivery {
        let mut state = self.state.lock().unwrap();
        let Ok(answer) = outcome else {
            return Delivery::Deliver;
        };
        if !state.on || call.request["IndexName"].is_null() || state.rng.u32(..100) >= 15 {
            return Delivery::Deliver;
        }
        let mut answer = answer.clone();
        let Some(items) = answer["Items"].as_array_mut() else {
            return Delivery::Deliver;
        };
        let since = minutes_after(state.now, -LAG_MINUTES);
        items.retain(|item| {
            // Positions in lists begin with the time of writing. Those in `due` lists do not; but these are
            // read again until they are done, so it does no harm when they are found late.
            let position = item["list_sk"]["S"].as_str().and_then(|at| at.get(..24));
            let settled = position
                .and_then(|at| at.parse::<Timestamp>().ok())
                .is_some_and(|at| at < since);
            settled || state.rng.u32(..100) >= 30
        });
        let count = items.len();
        answer["Count"] = json!(count);
        Delivery::Replace(answer)
    }
}

/// What a run's program pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terms {
    /// Thirty per cent.
    Plain,
    /// Ten per cent, twenty from a measure on, and a tenth of it to each of two uplines in turn.
    Tiers,
    /// Thirty per cent while a budget lasts.
    Budget,
    /// Five per cent, and ten more once a month has seen so many sales.
    Gated,
    /// Thirty per cent, of orders in another currency too, which wait until somebody stores the rate of their day.
    Foreign,
}

/// What an order of a partner comes to, and when it counts.
#[derive(Clone, Copy)]
struct Sold {
    partner: usize,
    minor: i64,
    foreign: bool,
    at: Timestamp,
}

/// The sales with which a month passes its gate.
const GATE: usize = 3;

/// The measure from which on tiers pay more.
const TIER_MINOR: i64 = 150_000;
/// What all partners together get under a budget.
const BUDGET_MINOR: i64 = 120_000;
/// Pounds of a hundred euros, on any day.
const RATE_PERCENT: i64 = 85;

impl Terms {
    fn of(seed: u64) -> Self {
        let all = [
            Self::Plain,
            Self::Tiers,
            Self::Budget,
            Self::Gated,
            Self::Foreign,
        ];
        all[usize::try_from(seed / 2 % 5).unwrap()]
    }

    /// The plan, where it is not the one that every world has.
    fn plan(self) -> Option<Value> {
        let plan = |terms: Value| {
            let mut plan = terms;
            plan["code"] = json!("standard");
            plan["hold_days"] = json!(30);
            plan["effective_from"] = json!(tributary_tests::START);
            Some(plan)
        };
        let level = json!({ "rate": "0.10", "of": "commission" });
        match self {
            Self::Plain | Self::Foreign => None,
            Self::Tiers => plan(json!({ "components": [{
                    "kind": "tiered", "event": "sale", "mode": "attained", "window": { "kind": "lifetime" },
                    "measure": { "unit": "amount", "events": ["sale"], "scope": "own" },
                    "brackets": [{ "from": "0", "rate": "0.10" }, { "from": "1500.00", "rate": "0.20" }],
                }], "levels": [level.clone(), level] })),
            Self::Budget => plan(json!({
                "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }],
                "caps": [{ "scope": "program", "window": { "kind": "lifetime" }, "amount": "1200.00" }] })),
            Self::Gated => plan(json!({ "components": [
                { "kind": "percent", "event": "sale", "rate": "0.05" },
                { "kind": "percent", "event": "sale", "rate": "0.10",
                    "gate": { "measure": { "unit": "count", "events": ["sale"] }, "window": { "kind": "month" }, "at_least": GATE } },
            ] })),
        }
    }

    /// What each of the partners gets of these events, which are in canonical order, until now. The second
    /// stands below the first, the third below the second.
    fn pay(self, events: &[Sold], now: Timestamp) -> [i64; 3] {
        let percent = |of: i64, share: i64| (of * share + 50) / 100;
        let (mut earned, mut measured, mut left) = ([0; 3], [0; 3], BUDGET_MINOR);
        // By partner and month: its sales, and what waits for the third of them.
        let mut months: BTreeMap<(usize, String), (usize, i64)> = BTreeMap::new();
        for Sold {
            partner,
            minor,
            foreign,
            at,
        } in events
        {
            measured[*partner] += minor;
            match self {
                Self::Plain => earned[*partner] += percent(*minor, 30),
                // Converted to the penny, as it is measured, and then shared.
                Self::Foreign if *foreign => {
                    earned[*partner] += percent(percent(*minor, RATE_PERCENT), 30);
                }
                Self::Foreign => earned[*partner] += percent(*minor, 30),
                Self::Gated => {
                    earned[*partner] += percent(*minor, 5);
                    let month = at.to_string()[..7].to_owned();
                    let behind = months.entry((*partner, month)).or_default();
                    behind.0 += 1;
                    behind.1 += percent(*minor, 10);
                }
                Self::Budget => {
                    let pay = percent(*minor, 30).min(left);
                    left -= pay;
                    earned[*partner] += pay;
                }
                Self::Tiers => {
                    let reached = measured[*partner] >= TIER_MINOR;
                    let mut share = percent(*minor, if reached { 20 } else { 10 });
                    for one in (0..=*partner).rev() {
                        earned[one] += share;
                        share = percent(share, 10);
                    }
                }
            }
        }
        for ((partner, month), (sales, behind)) in months {
            let end: jiff::civil::Date = format!("{month}-01").parse().unwrap();
            let closed = end
                .saturating_add(jiff::Span::new().months(1).days(3))
                .to_zoned(jiff::tz::TimeZone::UTC)
                .unwrap();
            if sales >= GATE && closed.timestamp() <= now {
                earned[partner] += behind;
            }
        }
        earned
    }
}

struct Partner {
    id: String,
    key: String,
    /// What operators gave it or took from it by hand.
    adjusted: i64,
    link: String,
    coupon: String,
    clicks: Vec<String>,
}

/// What was posted, and whether somebody heard that it was taken.
struct Order {
    transaction: String,
    body: Value,
    minor: i64,
    foreign: bool,
    partner: usize,
    conversion: Option<String>,
    pending: bool,
}

struct Run {
    terms: Terms,
    world: World,
    chaos: Arc<Chaos>,
    rng: Rng,
    program: String,
    token: String,
    partners: Vec<Partner>,
    orders: Vec<Order>,
    batches: Vec<String>,
    files: BTreeMap<String, String>,
    requests: u64,
}

impl Run {
    async fn begin(seed: u64) -> Self {
        let chaos = Chaos::seeded(seed);
        let world = World::start_seeded(seed, Some(chaos.clone())).await;
        let components = json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]);
        let (program, token, _) = world.program(30, components).await;
        let terms = Terms::of(seed);
        if let Some(plan) = terms.plan() {
            let path = format!("/v1/programs/{program}/plans");
            let _ = world.post(&path, plan).await.expect(201);
        }
        let mut partners: Vec<Partner> = Vec::new();
        for name in ["Ada", "Bob", "Cleo"] {
            let (id, link, coupon) = world.partner_in(&program, name).await;
            if let (Terms::Tiers, Some(above)) = (terms, partners.last()) {
                let below = json!({ "program": program, "plan": "standard", "upline": above.id });
                let path = format!("/v1/partners/{id}/enrolments");
                let _ = world.post(&path, below).await.expect(200);
            }
            let keys = format!("/v1/partners/{id}/keys");
            let key = world.post(&keys, json!({})).await.expect(201);
            partners.push(Partner {
                id,
                key: key.str("key").to_owned(),
                adjusted: 0,
                link,
                coupon,
                clicks: Vec::new(),
            });
        }
        let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
        let _ = world
            .put("/v1/funding-accounts/main", account)
            .await
            .expect(201);
        Self {
            terms,
            world,
            chaos,
            rng: Rng::with_seed(seed),
            program,
            token,
            partners,
            orders: Vec::new(),
            batches: Vec::new(),
            files: BTreeMap::new(),
            requests: 0,
        }
    }

    /// Asks until somebody answers, always with the same idempotency key.
    async fn insist(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let by_token = path.starts_with("/v1/postbacks");
        let token = self.token.clone();
        let (principal, headers) = if by_token {
            (String::new(), vec![("x-postback-token", token.as_str())])
        } else {
            (self.world.key.clone(), Vec::new())
        };
        self.insist_as(&principal, headers, method, path, body)
            .await
    }

    async fn insist_as(
        &mut self,
        principal: &str,
        mut headers: Vec<(&str, &str)>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.requests += 1;
        let key = format!("request-{}", self.requests);
        headers.push(("idempotency-key", key.as_str()));
        for _ in 0..PATIENCE {
            let answer = self
                .world
                .ask(principal, method.clone(), path, &headers, body)
                .await;
            if answer.status.is_server_error() {
                continue;
            }
            // What was done is answered the same way again, byte for byte, as long as its key is known. Where
            // an id of the sender's takes the place of a key, it is told that it was known.
            let has_own_id = ["/v1/postbacks", "/v1/adjustments"]
                .iter()
                .any(|own| path.starts_with(own))
                || path.ends_with("/reversals")
                || path.ends_with("/amendments");
            let is_told_again = answer.status.is_success() && method == Method::POST && !has_own_id;
            if is_told_again && self.rng.u32(..4) == 0 {
                let again = self
                    .world
                    .ask(principal, method.clone(), path, &headers, body)
                    .await;
                if !again.status.is_server_error() {
                    assert_eq!(
                        (again.status, &again.text),
                        (answer.status, &answer.text),
                        "{path} was answered otherwise"
                    );
                }
            }
            return answer;
        }
        panic!("{path} is never answered")
    }

    async fn act(&mut self) {
        match self.rng.u32(..100) {
            0..12 => self.click().await,
            12..42 => self.order().await,
            42..50 => self.repeat().await,
            50..60 => self.reverse().await,
            60..66 => self.approve().await,
            66..80 => self.deliver().await,
            80..90 => {
                let minutes = match self.rng.u32(..4) {
                    0 => 1,
                    1 => self.rng.i64(2..200),
                    2 => 24 * 60,
                    _ => 31 * 24 * 60,
                };
                self.time_passes(minutes).await;
            }
            90..95 => self.ask_for_a_batch().await,
            95 => self.call_off_a_batch().await,
            _ => self.carry_out_payouts().await,
        }
        if self.terms != Terms::Plain {
            match self.rng.u32(..10) {
                0..2 => self.take_back_a_part().await,
                2 => self.amend().await,
                3 => self.adjust().await,
                4 => self.dispute().await,
                5 => self.move_a_hold().await,
                6 if self.terms == Terms::Foreign => {
                    let day = self.world.now().to_string()[..10].to_owned();
                    self.keep_rates(&[day]).await;
                }
                _ => {}
            }
        }
    }

    /// Somebody stores the rates of days, which hold for the week after each.
    async fn keep_rates(&mut self, days: &[String]) {
        let rate = |day: &String| json!({ "from": "EUR", "to": "GBP", "rate": format!("0.{RATE_PERCENT}"), "date": day, "source": "ECB" });
        let rates: Vec<Value> = days.iter().map(rate).collect();
        let body = json!({ "rates": rates });
        let kept = self.insist(Method::PUT, "/v1/rates", Some(&body)).await;
        assert_eq!(kept.status.as_u16(), 200, "{}", kept.text);
    }

    /// A conversion that somebody heard was taken, and its currency.
    fn known(&mut self) -> Option<(String, &'static str)> {
        let known: Vec<(&String, bool)> = self
            .orders
            .iter()
            .filter_map(|order| Some((order.conversion.as_ref()?, order.foreign)))
            .collect();
        let at = self.rng.usize(..known.len().max(1));
        let currency = |foreign: bool| if foreign { "EUR" } else { "GBP" };
        known
            .get(at)
            .map(|(known, foreign)| ((*known).clone(), currency(*foreign)))
    }

    /// Asks for something that may be refused, with a reason.
    async fn try_to(&mut self, path: &str, body: &Value) -> Answer {
        let answer = self.insist(Method::POST, path, Some(body)).await;
        let status = answer.status.as_u16();
        assert!(
            matches!(status, 200..=202 | 409 | 422),
            "{path}: {}",
            answer.text
        );
        answer
    }

    async fn take_back_a_part(&mut self) {
        let Some((conversion, currency)) = self.known() else {
            return;
        };
        let minor = self.rng.i64(1..60_000);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let number = self.rng.u32(..4);
        let body = json!({ "reversal_id": format!("part-{number}"), "amount": amount, "currency": currency, "reason": "sent back" });
        let path = format!("/v1/conversions/{conversion}/reversals");
        let _ = self.try_to(&path, &body).await;
    }

    async fn amend(&mut self) {
        let Some((conversion, currency)) = self.known() else {
            return;
        };
        let minor = self.rng.i64(1..200_000);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let number = self.rng.u32(..3);
        let body = json!({ "amendment_id": format!("a-{number}"), "amount": amount, "currency": currency, "reason": "mistyped" });
        let path = format!("/v1/conversions/{conversion}/amendments");
        let _ = self.try_to(&path, &body).await;
    }

    async fn adjust(&mut self) {
        let at = self.rng.usize(..self.partners.len());
        let minor = self.rng.i64(1..5_000);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let (direction, sign) = if self.rng.bool() {
            ("credit", 1)
        } else {
            ("debit", -1)
        };
        let id = format!("adj-{}", self.requests);
        let body = json!({ "adjustment_id": id, "program": self.program, "partner": self.partners[at].id,
            "direction": direction, "amount": amount, "currency": "GBP", "reason": "as agreed" });
        let answer = self.try_to("/v1/adjustments", &body).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        self.partners[at].adjusted += sign * minor;
    }

    /// A partner misses an order that nobody posted, and is given it, or an amount.
    async fn dispute(&mut self) {
        let at = self.rng.usize(..self.partners.len());
        let minor = self.rng.i64(1..20_000);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let transaction = format!("missed-{}", self.requests);
        let key = self.partners[at].key.clone();
        let body = json!({ "program": self.program, "kind": "missing", "transaction_id": transaction,
            "occurred_at": self.world.now().to_string(), "evidence": { "text": "Here is the receipt." } });
        let raised = self
            .insist_as(&key, Vec::new(), Method::POST, "/v1/disputes", Some(&body))
            .await;
        assert_eq!(raised.status.as_u16(), 201, "{}", raised.text);
        let given = self.rng.bool();
        let told = json!({ "amount": amount, "currency": "GBP" });
        let mut decision = json!({ "outcome": "upheld", "reason": "goodwill" });
        decision[if given { "adjustment" } else { "conversion" }] = told;
        let path = format!("/v1/disputes/{}/decision", raised.str("id"));
        let operator = self.world.key.clone();
        let based_on = vec![("if-match", "\"1\"")];
        let decided = self
            .insist_as(&operator, based_on, Method::POST, &path, Some(&decision))
            .await;
        assert_eq!(decided.status.as_u16(), 200, "{}", decided.text);
        if given {
            self.partners[at].adjusted += minor;
            return;
        }
        self.orders.push(Order {
            transaction,
            body: json!({ "transaction_id": "", "coupon": "" }),
            minor,
            foreign: false,
            partner: at,
            conversion: Some(decided.str("/decision/conversion").to_owned()),
            pending: false,
        });
    }

    async fn move_a_hold(&mut self) {
        let Some((conversion, _)) = self.known() else {
            return;
        };
        let days = self.rng.u32(..60);
        let until = tributary::clock::days_after(self.world.now(), days);
        let body = json!({ "release_at": until.to_string(), "reason": "looked into" });
        let path = format!("/v1/commissions/{conversion}/hold");
        let answer = self.insist(Method::POST, &path, Some(&body)).await;
        // 404: it has no commission yet.
        assert!(
            matches!(answer.status.as_u16(), 200 | 404 | 409),
            "{}",
            answer.text
        );
    }

    async fn click(&mut self) {
        let at = self.rng.usize(..self.partners.len());
        let path = format!("/c/{}", self.partners[at].link);
        let agent = [("user-agent", "Mozilla/5.0")];
        for _ in 0..PATIENCE {
            let answer = self.world.ask("", Method::GET, &path, &agent, None).await;
            if let Some(location) = answer.headers.get("location") {
                let location = location.to_str().unwrap();
                let click = tributary_local::tour::click_id_of(location).unwrap();
                self.partners[at].clicks.push(click);
                return;
            }
        }
        panic!("a link is never answered")
    }

    async fn order(&mut self) {
        let at = self.rng.usize(..self.partners.len());
        let minor = self.rng.i64(1..100_000);
        let transaction = format!("o-{}", self.orders.len());
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let pending = self.rng.u32(..5) == 0;
        let foreign = self.terms == Terms::Foreign && self.rng.bool();
        let currency = if foreign { "EUR" } else { "GBP" };
        let mut body =
            json!({ "transaction_id": transaction, "amount": amount, "currency": currency });
        // Within its window of thirty days a click counts as much as a coupon; later only the coupon does.
        match self.partners[at].clicks.last() {
            Some(click) if self.rng.bool() => {
                body["click_id"] = json!(click);
                body["coupon"] = json!(self.partners[at].coupon);
            }
            _ => body["coupon"] = json!(self.partners[at].coupon),
        }
        if pending {
            body["status"] = json!("pending");
        }
        self.orders.push(Order {
            transaction,
            body,
            minor,
            foreign,
            partner: at,
            conversion: None,
            pending,
        });
        self.post(self.orders.len() - 1).await;
    }

    async fn post(&mut self, at: usize) {
        let path = format!("/v1/postbacks/{}", self.program);
        let body = self.orders[at].body.clone();
        let answer = self.insist(Method::POST, &path, Some(&body)).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        let conversion = answer.str("conversion").to_owned();
        let known = self.orders[at].conversion.replace(conversion.clone());
        assert!(known.is_none_or(|known| known == conversion));
    }

    async fn repeat(&mut self) {
        if !self.orders.is_empty() {
            let at = self.rng.usize(..self.orders.len());
            // What an operator recorded nobody posts.
            if !self.orders[at].transaction.starts_with("missed") {
                self.post(at).await;
            }
        }
    }

    /// Before the sale arrives, too: a reversal of an order that is yet to come.
    async fn reverse(&mut self) {
        let path = format!("/v1/postbacks/{}", self.program);
        let number = self.rng.usize(..=self.orders.len());
        let body = json!({ "transaction_id": format!("o-{number}"), "status": "reversed", "reversal_id": "r-1" });
        let answer = self.insist(Method::POST, &path, Some(&body)).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    async fn approve(&mut self) {
        let path = format!("/v1/postbacks/{}", self.program);
        let waiting: Vec<usize> = (0..self.orders.len())
            .filter(|at| self.orders[*at].pending)
            .collect();
        if waiting.is_empty() {
            return;
        }
        let at = waiting[self.rng.usize(..waiting.len())];
        let mut body = self.orders[at].body.clone();
        body["status"] = json!("approved");
        let answer = self.insist(Method::POST, &path, Some(&body)).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    async fn deliver(&mut self) {
        for _ in 0..PATIENCE {
            if self.world.instance.settle().await.is_ok() {
                return;
            }
        }
        panic!("deliveries come to no end")
    }

    async fn time_passes(&mut self, minutes: i64) {
        let to = self.world.now() + jiff::SignedDuration::from_mins(minutes);
        self.world.instance.app().clock.set(to);
        self.world.instance.cloud().clock_moved();
        self.chaos.tell(to);
        // One that fails is fired again within a minute or so.
        let _ = self.world.instance.run_clockwork(to).await;
        self.deliver().await;
    }

    async fn ask_for_a_batch(&mut self) {
        let mut body = json!({
            "program": self.program, "currency": "GBP", "cutoff": self.world.now().to_string(), "funding_account": "main",
        });
        if self.rng.bool() {
            body["minimum"] = json!("50.00");
        }
        let answer = self
            .insist(Method::POST, "/v1/payouts/batches", Some(&body))
            .await;
        match answer.status.as_u16() {
            202 => self.batches.push(answer.str("id").to_owned()),
            // Another one is being planned.
            409 => {}
            _ => panic!("{}", answer.text),
        }
        self.deliver().await;
    }

    /// Any batch, wherever it stands: one that is submitted stays.
    async fn call_off_a_batch(&mut self) {
        if self.batches.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.batches.len());
        let path = format!("/v1/payouts/batches/{}/cancel", self.batches[at]);
        let body = json!({ "reason": "wrong cutoff" });
        let answer = self.insist(Method::POST, &path, Some(&body)).await;
        assert!(
            matches!(answer.status.as_u16(), 202 | 409),
            "{}",
            answer.text
        );
        if self.rng.bool() {
            self.deliver().await;
        }
    }

    async fn carry_out_payouts(&mut self) {
        for batch in self.batches.clone() {
            if !self.download(&batch).await || self.rng.bool() {
                continue;
            }
            let payouts: Vec<String> = self.files[&batch]
                .lines()
                .map(|row| row.split(',').nth(3).unwrap().to_owned())
                .collect();
            for payout in payouts {
                let (what, body) = match self.rng.u32(..4) {
                    0 => ("return", json!({ "reason": "closed", "evidence": "R-7" })),
                    1 => continue,
                    _ => ("settle", json!({})),
                };
                let mut path = format!("/v1/payouts/{payout}/{what}");
                let mut body = body;
                if what == "return" && self.rng.bool() {
                    // The same, told by the bank's file.
                    path = format!("/v1/payouts/batches/{batch}/returns?format=csv");
                    body = json!(format!("{payout},closed\n"));
                }
                let answer = self.insist(Method::POST, &path, Some(&body)).await;
                // 409: it came back before and is not to be settled.
                assert!(
                    matches!(answer.status.as_u16(), 200 | 202 | 409),
                    "{}",
                    answer.text
                );
            }
        }
    }

    /// Whether the batch has a file, which is the same for ever.
    async fn download(&mut self, batch: &str) -> bool {
        let path = format!("/v1/payouts/batches/{batch}/file?format=paypal&part=1");
        let answer = self.insist(Method::GET, &path, None).await;
        match answer.status.as_u16() {
            200 => {
                let before = self.files.insert(batch.to_owned(), answer.text.clone());
                assert!(
                    before.is_none_or(|before| before == answer.text),
                    "a file changed"
                );
                true
            }
            409 => false,
            _ => panic!("{}", answer.text),
        }
    }

    /// Looks without disturbance.
    async fn look(&self, path: &str) -> Answer {
        self.world.get(path).await.expect(200)
    }

    async fn all(&self, path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.look(&format!("{path}limit=200{cursor}")).await;
            found.extend(page.items().to_vec());
            match page.str("next_cursor") {
                "" => return found,
                next => cursor = format!("&cursor={next}"),
            }
        }
    }

    /// What must be true at any time, whatever has failed.
    async fn check(&self) {
        self.chaos.switch(false);
        let mut stored = BTreeMap::new();
        for order in &self.orders {
            let Some(conversion) = &order.conversion else {
                continue;
            };
            // What was acknowledged is there.
            let found = self.look(&format!("/v1/conversions/{conversion}")).await;
            assert_eq!(found.str("transaction_id"), order.transaction);
            stored.insert(conversion.clone(), (order, found));
        }
        let mut granted_to_all = 0;
        for (at, partner) in self.partners.iter().enumerate() {
            let balances = self
                .look(&format!("/v1/partners/{}/balances", partner.id))
                .await;
            let balance = |bucket: &str| minor(balances.str(&format!("/items/0/{bucket}")));
            let transfers = self
                .all(&format!("/v1/partners/{}/ledger?", partner.id))
                .await;
            // Every balance is the fold of its transfers, and each transfer stands once.
            let ids: BTreeSet<&str> = transfers
                .iter()
                .map(|entry| entry["id"].as_str().unwrap())
                .collect();
            assert_eq!(ids.len(), transfers.len(), "a transfer is listed twice");
            let moved = |bucket: &str| -> i64 {
                let side =
                    |entry: &Value, side: &str| i64::from(entry[side] == bucket) * amount(entry);
                transfers
                    .iter()
                    .map(|entry| side(entry, "to") - side(entry, "from"))
                    .sum()
            };
            for bucket in ["pending", "payable", "in_transit", "paid"] {
                assert_eq!(balance(bucket), moved(bucket), "{bucket} of partner {at}");
            }
            // What is owed is what was earned: thirty per cent of each order that was credited and stands.
            let earned: i64 = stored
                .values()
                .filter(|(order, found)| order.partner == at && counts(found.str("state")))
                .map(|(order, _)| (order.minor * 30 + 50) / 100)
                .sum();
            let all: i64 = ["pending", "payable", "in_transit", "paid"]
                .map(balance)
                .iter()
                .sum();
            // Under other terms a change is posted a moment after it was told: what they come to is seen at
            // the end.
            if self.terms == Terms::Plain {
                assert_eq!(all, earned, "partner {at} has what it earned");
            }
            // What is on its way or has arrived stands in files or will.
            let mut sent = 0;
            for payout in self
                .all(&format!("/v1/payouts?partner={}&", partner.id))
                .await
            {
                if matches!(
                    payout["state"].as_str().unwrap(),
                    "planned" | "reserved" | "settled"
                ) {
                    sent += amount(&payout);
                }
            }
            assert_eq!(
                balance("in_transit") + balance("paid"),
                sent,
                "payouts of partner {at}"
            );
            granted_to_all += all;
        }
        self.check_program(granted_to_all).await;
        self.check_files().await;
        self.chaos.switch(true);
    }

    /// The program's side of the ledger holds what all its partners have, negated.
    async fn check_program(&self, granted: i64) {
        let accounts: i64 = self
            .world
            .scan("main")
            .await
            .iter()
            .filter(|item| {
                let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
                text("pk").is_some_and(|pk| pk.starts_with("PROG#"))
                    && text("pk").is_some_and(|pk| pk.contains("#ACCT#"))
            })
            .map(|item| item["commissions"].as_n().unwrap().parse::<i64>().unwrap())
            .sum();
        assert_eq!(accounts, -granted, "debits equal credits");
    }

    /// A payout stands in one file, with its amount.
    async fn check_files(&self) {
        let mut seen = BTreeSet::new();
        for file in self.files.values() {
            for row in file.lines() {
                let cells: Vec<&str> = row.split(',').collect();
                assert!(
                    seen.insert(cells[3].to_owned()),
                    "{} is in two files",
                    cells[3]
                );
                let payout = self.look(&format!("/v1/payouts/{}", cells[3])).await;
                assert_eq!(payout.str("amount"), cells[1]);
            }
        }
    }

    /// Each partner has what the terms pay for all that happened and was left of it; so say the test, the
    /// recomputation and the what-if, each for itself.
    async fn check_earned(&self) {
        let mut events = Vec::new();
        for order in &self.orders {
            let Some(conversion) = &order.conversion else {
                continue;
            };
            let found = self.look(&format!("/v1/conversions/{conversion}")).await;
            if !counts(found.str("state")) {
                continue;
            }
            let left = match found.str("net_amount") {
                "" => found.str("amount"),
                left => left,
            };
            let mut at: Timestamp = found.str("occurred_at").parse().unwrap();
            if self.terms == Terms::Gated {
                let path = format!("/v1/commissions/{conversion}/trace");
                let told = self.look(&path).await;
                let counted: Timestamp = told.str("/inputs/counted_at").parse().unwrap();
                assert!(counted >= at, "nothing counts before it happened");
                at = counted;
            }
            let id: tributary::ids::ConversionId = conversion.parse().unwrap();
            let sold = Sold {
                partner: order.partner,
                minor: minor(left),
                foreign: order.foreign,
                at,
            };
            events.push(((at, id), sold));
        }
        events.sort_unstable_by_key(|(place, _)| *place);
        let events: Vec<Sold> = events.into_iter().map(|(_, sold)| sold).collect();
        let earned = self.terms.pay(&events, self.world.now());
        for (at, partner) in self.partners.iter().enumerate() {
            let balances = self.world.balances(&partner.id).await;
            let all: i64 = balances.iter().map(|balance| minor(balance)).sum();
            assert_eq!(
                all,
                earned[at] + partner.adjusted,
                "partner {at} under {:?}",
                self.terms
            );
        }
        let mut month = tributary_tests::START[..7].to_owned();
        while month.as_str() <= &self.world.now().to_string()[..7] {
            let mut cursor = String::new();
            loop {
                let path = format!("/v1/programs/{}/recompute?limit=200{cursor}", self.program);
                let page = self.world.post(&path, json!({ "period": month })).await;
                let page = page.expect(200);
                assert_eq!(page.body["differences"], json!([]), "{}", page.text);
                match page.str("next_cursor") {
                    "" => break,
                    next => cursor = format!("&cursor={next}"),
                }
            }
            let first: jiff::civil::Date = format!("{month}-01").parse().unwrap();
            month = first
                .saturating_add(jiff::Span::new().months(1))
                .to_string()[..7]
                .to_owned();
        }
        let plan = self.terms.plan().unwrap_or_else(
            || json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }] }),
        );
        let question = json!({ "plan": plan, "from": tributary_tests::START });
        let path = format!("/v1/programs/{}/what-if", self.program);
        let asked = self.world.post(&path, question).await.expect(202);
        self.world.settle().await;
        let path = format!("/v1/what-ifs/{}", asked.str("id"));
        let answer = self.look(&path).await;
        assert_eq!(answer.str("state"), "done");
        assert_eq!(answer.str("/total/delta"), "0.00", "{}", answer.text);
    }

    /// The faults stop, and a while later everything is done.
    async fn end(&mut self) {
        self.chaos.switch(false);
        if self.terms == Terms::Foreign {
            let mut day: jiff::civil::Date = tributary_tests::START[..10].parse().unwrap();
            let mut days = Vec::new();
            while day.to_string().as_str() <= &self.world.now().to_string()[..10] {
                days.push(day.to_string());
                day = day.saturating_add(jiff::Span::new().days(7));
            }
            for days in days.chunks(20) {
                self.keep_rates(days).await;
            }
        }
        for minutes in AFTERMATH {
            self.time_passes(minutes).await;
        }
        self.check().await;
        self.chaos.switch(false);
        for order in &self.orders {
            let Some(conversion) = &order.conversion else {
                continue;
            };
            let found = self.look(&format!("/v1/conversions/{conversion}")).await;
            let state = found.str("state");
            assert_ne!(
                state, "received",
                "{conversion} has no outcome: {}",
                found.text
            );
            assert!(
                state != "waiting" || order.pending,
                "{conversion} waits for nothing"
            );
            assert_ne!(state, "unattributed", "{}", found.text);
        }
        assert_eq!(self.world.waiting_messages(), 0, "all queues are empty");
        self.check_earned().await;
        for batch in &self.batches {
            let state = self.look(&format!("/v1/payouts/batches/{batch}")).await;
            assert!(
                matches!(
                    state.str("state"),
                    "reserved" | "empty" | "submitted" | "cancelled"
                ),
                "{}",
                state.text
            );
        }
    }
}

/// Whether a conversion in that state has its commission somewhere in its partner's account.
fn counts(state: &str) -> bool {
    matches!(state, "held" | "payable" | "in_transit" | "paid")
}

fn minor(text: &str) -> i64 {
    if text.is_empty() {
        return 0;
    }
    text.replace('.', "").parse().unwrap()
}

fn amount(entry: &Value) -> i64 {
    minor(entry["amount"].as_str().unwrap())
}

async fn live(seed: u64) {
    let mut run = Run::begin(seed).await;
    run.chaos.switch(true);
    for act in 1..=ACTS {
        run.act().await;
        if act % 15 == 0 {
            run.check().await;
        }
    }
    run.end().await;
}

/// Lives through every second seed from the first on, so that two of these share out a machine: of `most` unless told
/// otherwise, and then of one in `share` of them.
pub(crate) async fn seeds(first: u64, most: u64, share: u64, live: impl AsyncFn(u64)) {
    let given = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let chosen: Vec<u64> = match given("TRIBUTARY_FAULT_SEED") {
        Some(seed) => (seed..=seed).filter(|seed| seed % 2 == first).collect(),
        None => {
            let told = given("TRIBUTARY_FAULT_SEEDS").map(|told| told.div_ceil(share));
            (first..told.unwrap_or(most)).step_by(2).collect()
        }
    };
    for seed in &chosen {
        let lived = std::panic::AssertUnwindSafe(live(*seed));
        let ended = futures_util::FutureExt::catch_unwind(lived).await;
        assert!(
            ended.is_ok(),
            "TRIBUTARY_FAULT_SEED={seed} runs this one again"
        );
    }
    println!("{} seeds ended well", chosen.len());
}

#[tokio::test(start_paused = true)]
async fn under_faults_nothing_is_lost_and_nothing_happens_twice_even_seeds() {
    seeds(0, SEEDS, 1, live).await;
}

#[tokio::test(start_paused = true)]
async fn under_faults_nothing_is_lost_and_nothing_happens_twice_odd_seeds() {
    seeds(1, SEEDS, 1, live).await;
}
