//! Every call on the money path is a crash point: whatever dies there, before the call or after it with
//! the answer lost, nothing is lost and nothing happens twice.
//!
//! One life of a partner's money is lived again for each point: clicks, conversions, reversals of money
//! that is held, payable and paid, payout batches by hand and by schedule, returns, a cancellation. Another is
//! one of tiers, a gate and an upline: events that come late, parts that are taken back, a window that closes.
//! The process that makes the call dies with it; whoever asked asks again, as servers, people and event
//! sources do.

use std::sync::{Arc, Mutex};

use axum::http::Method;
use serde_json::{Value, json};
use tributary_local::connector::{Call, Intercept, Verdict};
use tributary_tests::{Answer, Stand, World};

/// Calls of the event sources, not of a function: when one is made, whatever died has been replaced.
const SOURCES: [&str; 5] = [
    "ReceiveMessage",
    "DeleteMessageBatch",
    "DescribeStream",
    "GetShardIterator",
    "GetRecords",
];
/// Failed calls after which the process that makes them is taken for the next one: far more than one
/// invocation makes before it gives up.
const LIVES_ON: u32 = 200;
/// How often somebody asks again.
const PATIENCE: usize = 4;
/// Minutes that pass until everything has recovered: together longer than any message stays invisible.
pub(crate) const RECOVERY: [i64; 3] = [1, 4, 7];
/// Of how many points in a row the ordinary tests live through one; the gate lives through all of them.
const STRIDE: usize = 16;

/// How a process dies at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The call is not executed.
    Before,
    /// The call is executed, and nobody hears the answer.
    AnswerLost,
}

/// Kills the process that makes the call of a certain number.
pub(crate) struct Killer {
    point: Option<(u64, Death)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Only calls made while the life goes on are points, not those that look at it.
    counting: bool,
    seen: u64,
    /// The operation that was killed.
    hit: Option<String>,
    /// Failed calls since a function died.
    dead: Option<u32>,
    /// An event source's call that fails until it makes another one.
    deaf: Option<String>,
}

impl Killer {
    pub(crate) fn new(point: Option<(u64, Death)>) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { point, state })
    }

    pub(crate) fn count(&self, counting: bool) {
        self.state.lock().unwrap().counting = counting;
    }

    pub(crate) fn revive(&self) {
        self.state.lock().unwrap().dead = None;
    }

    pub(crate) fn seen(&self) -> u64 {
        self.state.lock().unwrap().seen
    }

    pub(crate) fn hit(&self) -> Option<String> {
        self.state.lock().unwrap().hit.clone()
    }
}

impl Intercept for Killer {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let mut state = self.state.lock().unwrap();
        let source = SOURCES.contains(&call.operation);
        if let Some(operation) = state.deaf.take()
            && operation == call.operation
        {
            state.deaf = Some(operation);
            return Verdict::FailBefore;
        }
        match state.dead {
            Some(failed) if !source && failed < LIVES_ON => {
                state.dead = Some(failed + 1);
                return Verdict::FailBefore;
            }
            _ => state.dead = None,
        }
        // Reading a stream again is what its source does all the time.
        if !state.counting
            || matches!(
                call.operation,
                "DescribeStream" | "GetShardIterator" | "GetRecords"
            )
        {
            return Verdict::Pass;
        }
        let number = state.seen;
        state.seen += 1;
        let Some((_, death)) = self.point.filter(|(point, _)| *point == number) else {
            return Verdict::Pass;
        };
        state.hit = Some(call.operation.to_owned());
        if source {
            state.deaf = Some(call.operation.to_owned());
        } else {
            state.dead = Some(0);
        }
        match death {
            Death::Before => Verdict::FailBefore,
            Death::AnswerLost => Verdict::DropResponse,
        }
    }
}

/// One life, and who may die in it.
struct Life {
    world: World,
    stand: Stand,
    killer: Arc<Killer>,
}

impl Life {
    async fn begin(point: Option<(u64, Death)>) -> Self {
        let killer = Killer::new(point);
        let world = World::start_with(Some(killer.clone())).await;
        let stand = world.stand().await;
        let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
        let _ = world
            .put("/v1/funding-accounts/main", account)
            .await
            .expect(201);
        killer.count(true);
        Self {
            world,
            stand,
            killer,
        }
    }

    /// A partner under tiers and a gate, below another who gets a tenth of what it gets: the upline's id.
    async fn climb(&mut self) -> String {
        self.killer.count(false);
        let (world, program) = (&self.world, &self.stand.program);
        let measure = |unit: &str| json!({ "unit": unit, "events": ["sale"], "scope": "own" });
        let window = json!({ "kind": "month" });
        let terms = json!({
            "code": "terms", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z",
            "components": [
                { "kind": "tiered", "event": "sale", "mode": "marginal", "measure": measure("amount"), "window": window,
                    "brackets": [{ "from": "0", "rate": "0.10" }, { "from": "5000", "rate": "0.12" }] },
                { "kind": "flat", "event": "sale", "amount": "1.00",
                    "gate": { "measure": measure("count"), "window": window, "at_least": 1 } },
            ],
            "levels": [{ "rate": "0.10", "of": "commission" }],
        });
        let _ = world
            .post(&format!("/v1/programs/{program}/plans"), terms)
            .await
            .expect(201);
        let mut upline = None;
        for name in ["Top", "Bea"] {
            let body = json!({ "name": name, "email": "p@example.com", "country": "GB", "kind": "affiliate" });
            let partner = world.post("/v1/partners", body).await.expect(201);
            let partner = partner.str("id").to_owned();
            let body = json!({ "program": program, "plan": "terms", "upline": upline });
            let _ = world
                .post(&format!("/v1/partners/{partner}/enrolments"), body)
                .await
                .expect(201);
            let wallet = format!("{}@wallet.example", name.to_lowercase());
            let method = json!({ "kind": "paypal", "wallet": wallet });
            let path = format!("/v1/partners/{partner}/payout-method");
            let put = world.put(&path, method).await;
            assert!(put.status.is_success(), "{}", put.text);
            if name == "Top" {
                upline = Some(partner);
                continue;
            }
            let body = json!({ "program": program, "partner": partner, "code": "BEA10" });
            let _ = world.post("/v1/coupons", body).await.expect(201);
            self.stand.partner = partner;
            self.stand.coupon = "BEA10".to_owned();
        }
        self.killer.count(true);
        upline.unwrap()
    }

    /// Asks until there is an answer, and then once more, as one does who never heard it.
    async fn insist(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let key = if path.starts_with("/v1/postbacks") {
            ""
        } else {
            &self.world.key
        };
        for _ in 0..PATIENCE {
            let answer = self
                .world
                .ask(key, method.clone(), path, headers, body)
                .await;
            self.killer.revive();
            if answer.status.is_server_error() {
                continue;
            }
            for _ in 0..PATIENCE {
                let again = self
                    .world
                    .ask(key, method.clone(), path, headers, body)
                    .await;
                self.killer.revive();
                if !again.status.is_server_error() {
                    assert!(again.status.is_success(), "{path}: {}", again.text);
                    return answer;
                }
            }
        }
        panic!("{path} is never answered");
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        // One key per request, so that its repeats are known as such.
        let key = format!(
            "{}-{}",
            path.replace('/', "-"),
            self.world.now().as_second()
        );
        let key = &key[key.len().saturating_sub(60)..];
        self.insist(Method::POST, path, &[("idempotency-key", key)], Some(body))
            .await
    }

    async fn click(&self) -> String {
        let path = format!("/c/{}", self.stand.link);
        for _ in 0..PATIENCE {
            let answer = self
                .world
                .ask(
                    "",
                    Method::GET,
                    &path,
                    &[("user-agent", "Mozilla/5.0")],
                    None,
                )
                .await;
            self.killer.revive();
            if answer.status.is_server_error() {
                continue;
            }
            let location = answer.expect(302).headers["location"]
                .to_str()
                .unwrap()
                .to_owned();
            return tributary_local::tour::click_id_of(&location).unwrap();
        }
        panic!("a link is never answered");
    }

    /// Posts a conversion, then the same again; whichever was heard first, it is one conversion.
    async fn report(&self, body: Value) -> String {
        let path = format!("/v1/postbacks/{}", self.stand.program);
        let token = [("x-postback-token", self.stand.token.as_str())];
        let answer = self.insist(Method::POST, &path, &token, Some(&body)).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        answer.str("conversion").to_owned()
    }

    async fn sale(&self, transaction: &str, amount: &str) -> String {
        self.report(json!({ "transaction_id": transaction, "coupon": self.stand.coupon, "amount": amount, "currency": "GBP" }))
            .await
    }

    async fn reverse(&self, conversion: &str) {
        let path = format!("/v1/conversions/{conversion}/reversals");
        let body = json!({ "reversal_id": "r-1", "reason": "sent back" });
        let _ = self.insist(Method::POST, &path, &[], Some(&body)).await;
    }

    async fn reverse_part(&self, conversion: &str, id: &str, amount: &str) {
        let path = format!("/v1/conversions/{conversion}/reversals");
        let body = json!({ "reversal_id": id, "amount": amount, "currency": "GBP", "reason": "sent back" });
        let _ = self.insist(Method::POST, &path, &[], Some(&body)).await;
    }

    /// Delivers everything; where somebody died, time heals.
    async fn settle(&self) {
        let before = self.killer.hit();
        self.deliver().await;
        if before != self.killer.hit() || self.killer.state.lock().unwrap().dead.is_some() {
            self.recover().await;
        }
    }

    async fn deliver(&self) {
        for _ in 0..PATIENCE {
            if self.world.instance.settle().await.is_ok() {
                return;
            }
            self.killer.revive();
        }
        panic!("deliveries come to no end");
    }

    async fn recover(&self) {
        self.killer.revive();
        for minutes in RECOVERY {
            self.minutes_pass(minutes).await;
        }
    }

    /// The schedule fires; one that fails is fired again a minute later.
    async fn minutes_pass(&self, minutes: i64) {
        let to = self.world.now() + jiff::SignedDuration::from_mins(minutes);
        self.world.instance.app().clock.set(to);
        self.world.instance.cloud().clock_moved();
        let _ = self.world.instance.run_clockwork(to).await;
        self.killer.revive();
        self.deliver().await;
    }

    async fn thirty_days_pass(&self) {
        let before = self.killer.hit();
        self.minutes_pass(30 * 24 * 60).await;
        if before != self.killer.hit() {
            self.recover().await;
        }
    }

    /// A batch of all that is payable, its one payout, and its file's only line.
    async fn pay(&self, amount: &str) -> String {
        let body = json!({
            "program": self.stand.program, "currency": "GBP", "cutoff": self.world.now().to_string(), "funding_account": "main",
            "minimum": "0.00",
        });
        let batch = self
            .post("/v1/payouts/batches", &body)
            .await
            .str("id")
            .to_owned();
        self.settle().await;
        let path = format!("/v1/payouts/batches/{batch}/file?format=paypal&part=1");
        let file = self
            .insist(Method::GET, &path, &[], None)
            .await
            .expect(200)
            .text;
        self.look(async |world| {
            assert_eq!(world.get(&path).await.expect(200).text, file, "frozen");
            let batch = world
                .get(&format!("/v1/payouts/batches/{batch}"))
                .await
                .expect(200);
            assert_eq!(
                (batch.str("state"), batch.str("total")),
                ("submitted", amount)
            );
            let payout = batch.str("/lines/0/payout").to_owned();
            assert!(
                file.starts_with(&format!("ada@wallet.example,{amount},GBP,{payout},"))
                    && file.lines().count() == 1,
                "{file}"
            );
            payout
        })
        .await
    }

    /// A batch of all that is payable to two partners: their payouts, as its file has them.
    async fn pay_both(&self, total: &str) -> Vec<String> {
        let body = json!({
            "program": self.stand.program, "currency": "GBP", "cutoff": self.world.now().to_string(), "funding_account": "main",
        });
        let batch = self
            .post("/v1/payouts/batches", &body)
            .await
            .str("id")
            .to_owned();
        self.settle().await;
        let path = format!("/v1/payouts/batches/{batch}");
        let file = format!("{path}/file?format=paypal&part=1");
        let file = self.insist(Method::GET, &file, &[], None).await.expect(200);
        self.look(async |world| {
            let batch = world.get(&path).await.expect(200);
            assert_eq!(
                (batch.str("state"), batch.str("total")),
                ("submitted", total)
            );
            let lines = batch.body["lines"].as_array().unwrap();
            let payouts: Vec<String> = lines
                .iter()
                .map(|line| line["payout"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(file.text.lines().count(), 2);
            assert!(payouts.iter().all(|payout| file.text.contains(payout)));
            payouts
        })
        .await
    }

    /// The bank's file says that the payout came back.
    async fn bank_returns(&self, payout: &str) {
        let batch = self
            .look(async |world| {
                let payout = world.get(&format!("/v1/payouts/{payout}")).await;
                payout.expect(200).str("batch").to_owned()
            })
            .await;
        let path = format!("/v1/payouts/batches/{batch}/returns?format=csv");
        let file = json!(format!("payout_id,reason\n{payout},account closed\n"));
        let _ = self.post(&path, &file).await;
        self.settle().await;
    }

    /// A batch of all that is payable, which is called off once its money is reserved.
    async fn call_off(&self, amount: &str) {
        let body = json!({
            "program": self.stand.program, "currency": "GBP", "cutoff": self.world.now().to_string(), "funding_account": "main",
        });
        let batch = self
            .post("/v1/payouts/batches", &body)
            .await
            .str("id")
            .to_owned();
        self.settle().await;
        let path = format!("/v1/payouts/batches/{batch}");
        self.look(async |world| {
            let batch = world.get(&path).await.expect(200);
            assert_eq!(
                (batch.str("state"), batch.str("total")),
                ("reserved", amount)
            );
        })
        .await;
        let why = json!({ "reason": "wrong cutoff" });
        let _ = self.post(&format!("{path}/cancel"), &why).await;
        self.settle().await;
        self.look(async |world| {
            let batch = world.get(&path).await.expect(200);
            assert_eq!(batch.str("state"), "cancelled");
        })
        .await;
    }

    /// A day passes on which a schedule makes a batch, of nothing: the minimum is not reached.
    async fn scheduled_batch(&self) {
        let weekday = self
            .world
            .now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .tomorrow();
        let weekday = weekday.unwrap().strftime("%A").to_string().to_lowercase();
        let schedule = json!({
            "kind": "weekly", "weekday": weekday, "time_zone": "UTC", "funding_account": "main", "minimum": "900.00",
        });
        let path = format!("/v1/programs/{}/payout-schedule", self.stand.program);
        let once = [("idempotency-key", "schedule")];
        let _ = self
            .insist(Method::PUT, &path, &once, Some(&schedule))
            .await;
        let count = async |world: &World| {
            let listed = world.get("/v1/payouts/batches").await.expect(200);
            listed.items().len()
        };
        let before = self.look(async |world| count(world).await).await;
        let hit = self.killer.hit();
        self.minutes_pass(24 * 60).await;
        if hit != self.killer.hit() {
            self.recover().await;
        }
        let made = self.look(async |world| count(world).await).await - before;
        assert_eq!(made, 1, "the day has its batch, once");
    }

    /// Looks at the world without dying of it.
    async fn look<T>(&self, look: impl AsyncFnOnce(&World) -> T) -> T {
        self.killer.count(false);
        let seen = look(&self.world).await;
        self.killer.count(true);
        seen
    }

    async fn stands(&self, expected: [&str; 4]) {
        let balances = self
            .look(async |world| world.balances(&self.stand.partner).await)
            .await;
        assert_eq!(balances, expected);
    }

    /// What is owed at each turn is exact, whoever died before.
    async fn live(&self) {
        let click = self.click().await;
        let first = self
            .report(json!({ "transaction_id": "o-1", "click_id": click, "amount": "49.00", "currency": "GBP" }))
            .await;
        let second = self.sale("o-2", "20.00").await;
        self.settle().await;
        self.stands(["20.70", "0.00", "0.00", "0.00"]).await;
        self.reverse(&second).await;
        self.settle().await;
        self.stands(["14.70", "0.00", "0.00", "0.00"]).await;
        let third = self.sale("o-3", "100.00").await;
        self.settle().await;
        self.thirty_days_pass().await;
        self.stands(["0.00", "44.70", "0.00", "0.00"]).await;
        self.reverse(&third).await;
        self.settle().await;
        self.stands(["0.00", "14.70", "0.00", "0.00"]).await;

        let payout = self.pay("14.70").await;
        self.stands(["0.00", "0.00", "14.70", "0.00"]).await;
        let _ = self
            .post(&format!("/v1/payouts/{payout}/settle"), &json!({}))
            .await;
        self.stands(["0.00", "0.00", "0.00", "14.70"]).await;
        self.reverse(&first).await;
        self.settle().await;
        self.stands(["0.00", "-14.70", "0.00", "14.70"]).await;

        let last = self.sale("o-4", "100.00").await;
        self.settle().await;
        self.thirty_days_pass().await;
        self.stands(["0.00", "15.30", "0.00", "14.70"]).await;
        let payout = self.pay("15.30").await;
        let body = json!({ "reason": "wallet closed", "evidence": "R-7" });
        let _ = self
            .post(&format!("/v1/payouts/{payout}/return"), &body)
            .await;
        self.settle().await;
        self.stands(["0.00", "15.30", "0.00", "14.70"]).await;
        self.minutes_pass(1).await;
        let payout = self.pay("15.30").await;
        self.bank_returns(&payout).await;
        self.stands(["0.00", "15.30", "0.00", "14.70"]).await;
        self.minutes_pass(1).await;
        self.call_off("15.30").await;
        self.stands(["0.00", "15.30", "0.00", "14.70"]).await;
        self.minutes_pass(1).await;
        self.scheduled_batch().await;
        let payout = self.pay("15.30").await;
        let _ = self
            .post(&format!("/v1/payouts/{payout}/settle"), &json!({}))
            .await;
        self.settle().await;
        self.stands(["0.00", "0.00", "0.00", "30.00"]).await;
        self.look(async |world| {
            for (conversion, state) in [
                (&first, "reversed"),
                (&second, "reversed"),
                (&third, "reversed"),
                (&last, "paid"),
            ] {
                assert_eq!(&world.state(conversion).await, state);
            }
            let of_program = world
                .get(&format!("/v1/conversions?program={}", self.stand.program))
                .await
                .expect(200);
            assert_eq!(of_program.items().len(), 4, "each order is one conversion");
            let statement = format!("/v1/partners/{}/ledger?limit=200", self.stand.partner);
            let transfers = world.get(&statement).await.expect(200);
            let count = |kind: &str| {
                transfers
                    .items()
                    .iter()
                    .filter(|transfer| transfer["kind"] == kind)
                    .count()
            };
            assert_eq!(
                ["commission", "reversal", "settle", "return"].map(count),
                [4, 3, 2, 3],
                "each movement stands once"
            );
        })
        .await;
    }
}

impl Life {
    /// Held and payable, of the partner and of its upline.
    async fn share(&self, upline: &str, own: [&str; 2], above: [&str; 2]) {
        for (partner, expected) in [(self.stand.partner.as_str(), own), (upline, above)] {
            let found = self.look(async |world| world.balances(partner).await).await;
            assert_eq!(found[..2], expected);
        }
    }

    /// The same of tiers, a gate and an upline.
    async fn live_higher(&mut self) {
        let upline = self.climb().await;
        let order = |id: &str, at: &str, amount: &str| json!({ "transaction_id": id, "coupon": self.stand.coupon, "amount": amount, "currency": "GBP", "occurred_at": at });
        let later = self
            .report(order("o-2", "2026-03-01T02:00:00Z", "2000.00"))
            .await;
        self.settle().await;
        self.share(&upline, ["200.00", "0.00"], ["20.00", "0.00"])
            .await;
        // Before the other in order, though after it in time.
        let first = self
            .report(order("o-1", "2026-03-01T01:00:00Z", "4000.00"))
            .await;
        self.settle().await;
        self.share(&upline, ["620.00", "0.00"], ["62.00", "0.00"])
            .await;
        self.reverse_part(&first, "p-1", "1000.00").await;
        self.settle().await;
        self.share(&upline, ["500.00", "0.00"], ["50.00", "0.00"])
            .await;
        self.reverse(&later).await;
        self.settle().await;
        self.share(&upline, ["300.00", "0.00"], ["30.00", "0.00"])
            .await;
        self.thirty_days_pass().await;
        self.share(&upline, ["0.00", "300.00"], ["0.00", "30.00"])
            .await;
        // March closes, and its gate pays a pound for the one sale that is left of it.
        let before = self.killer.hit();
        self.minutes_pass(4 * 24 * 60).await;
        self.minutes_pass(1).await;
        self.minutes_pass(1).await;
        if before != self.killer.hit() {
            self.recover().await;
        }
        self.share(&upline, ["1.00", "300.00"], ["0.10", "30.00"])
            .await;
        // What is payable is held once more, and what its upline gets with it.
        let until = tributary::clock::days_after(self.world.now(), 20).to_string();
        let held = json!({ "release_at": until, "reason": "the bank asks" });
        let _ = self
            .post(&format!("/v1/commissions/{first}/hold"), &held)
            .await;
        self.share(&upline, ["301.00", "0.00"], ["30.10", "0.00"])
            .await;
        self.thirty_days_pass().await;
        self.share(&upline, ["0.00", "301.00"], ["0.00", "30.10"])
            .await;
        // Both are paid, each once.
        let paid = ["301.00".to_owned(), "30.10".to_owned()];
        for payout in self.pay_both("331.10").await {
            let _ = self
                .post(&format!("/v1/payouts/{payout}/settle"), &json!({}))
                .await;
        }
        let both = [self.stand.partner.clone(), upline];
        for (partner, paid) in both.iter().zip(&paid) {
            let balances = self.look(async |world| world.balances(partner).await).await;
            assert_eq!(balances, ["0.00", "0.00", "0.00", paid]);
        }
        self.reverse_part(&first, "p-2", "3000.00").await;
        self.settle().await;
        for (partner, paid) in both.iter().zip(&paid) {
            let balances = self.look(async |world| world.balances(partner).await).await;
            let owed = format!("-{paid}");
            assert_eq!(balances, ["0.00", &owed, "0.00", paid]);
        }
    }
}

/// Which life is lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Plain,
    Higher,
}

impl Which {
    async fn live(self, life: &mut Life) {
        match self {
            Self::Plain => life.live().await,
            Self::Higher => life.live_higher().await,
        }
    }
}

/// Of how many points in a row one is lived through.
pub(crate) fn stride() -> usize {
    std::env::var("TRIBUTARY_CRASH_STRIDE").map_or(STRIDE, |text| text.parse().unwrap())
}

/// Lives through every `TRIBUTARY_CRASH_STRIDE`th point, every one with 1.
async fn every_point(which: Which, death: Death) {
    let stride = stride();
    let mut dry = Life::begin(None).await;
    which.live(&mut dry).await;
    let points = dry.killer.seen();
    assert!(points > 100, "only {points} points");
    let (mut tried, mut covered) = (0, 0);
    for point in (0..points).step_by(stride) {
        let mut life = Life::begin(Some((point, death))).await;
        let lived = std::panic::AssertUnwindSafe(which.live(&mut life));
        let ended = futures_util::FutureExt::catch_unwind(lived).await;
        let operation = life.killer.hit();
        assert!(
            ended.is_ok(),
            "died at point {point}, {operation:?}, {death:?}, {which:?}"
        );
        tried += 1;
        covered += u64::from(operation.is_some());
    }
    println!(
        "crash points covered, {which:?}, {death:?}: {covered}/{tried} of {points}, one in {stride}"
    );
    assert_eq!(covered, tried);
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_before_a_call_on_the_money_path_moves_no_cent() {
    every_point(Which::Plain, Death::Before).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_after_a_call_on_the_money_path_before_it_is_answered_moves_no_cent() {
    every_point(Which::Plain, Death::AnswerLost).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_before_a_call_that_tiers_gates_and_levels_need_moves_no_cent() {
    every_point(Which::Higher, Death::Before).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_after_a_call_that_tiers_gates_and_levels_need_moves_no_cent() {
    every_point(Which::Higher, Death::AnswerLost).await;
}
