//! Deals: registered, approved, protected, won, disputed; the clock moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{Method, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary::clock::{Timestamp, days_after};
use tributary::deals;
use tributary::deals::decide::{Sale, win};
use tributary::ids::OperatorId;
use tributary::money::Money;
use tributary::table::{Op, TransactError};
use tributary_local::capacity::Recorded;
use tributary_local::connector::{AwsError, Call, Intercept, Service, Verdict};
use tributary_tests::{Answer, World};

/// A program that takes deals and two partners in it, with their keys.
struct Market {
    world: World,
    program: String,
    token: String,
    ada: Seller,
    bob: Seller,
}

#[derive(Clone)]
struct Seller {
    partner: String,
    key: String,
}

async fn market(policy: Value) -> Market {
    market_in(World::start().await, policy).await
}

async fn market_in(world: World, policy: Value) -> Market {
    let tenth = json!([{ "kind": "percent", "event": "deal", "rate": "0.10" }]);
    market_paying(world, tenth, policy).await
}

/// A market whose partners' plan is of these components.
async fn market_paying(world: World, components: Value, policy: Value) -> Market {
    let (program, token, _) = world.program(30, components).await;
    let channel = json!({
        "product_lines": ["crm", "erp"], "tiers": ["silver", "gold"], "certifications": ["crm-pro"],
    });
    let path = format!("/v1/programs/{program}/channel");
    let _ = world.put(&path, channel).await.expect(200);
    let ada = seller(&world, &program, "Ada").await;
    let bob = seller(&world, &program, "Bob").await;
    let set = world
        .put(&format!("/v1/programs/{program}/deal-policy"), policy)
        .await;
    assert_eq!(set.expect(200).headers[header::ETAG], "\"1\"");
    Market {
        world,
        program,
        token,
        ada,
        bob,
    }
}

/// Says what a partner is in the program.
async fn describe(market: &Market, seller: &Seller, profile: Value) {
    let path = format!(
        "/v1/partners/{}/profiles/{}",
        seller.partner, market.program
    );
    let _ = market.world.put(&path, profile).await.expect(200);
}

async fn seller(world: &World, program: &str, name: &str) -> Seller {
    let (partner, _, _) = world.partner_in(program, name).await;
    let issued = world
        .post(&format!("/v1/partners/{partner}/keys"), json!({}))
        .await;
    let key = issued.expect(201).str("key").to_owned();
    Seller { partner, key }
}

fn simple() -> Value {
    json!({ "benefit": { "kind": "commission", "event": "deal" } })
}

impl Market {
    fn deal(&self, domain: &str) -> Value {
        json!({
            "program": self.program, "name": "Rollout", "customer": { "name": "Acme GmbH", "country": "DE", "domain": domain },
            "product_lines": ["crm"], "amount": "25000.00", "currency": "GBP",
        })
    }

    async fn register(&self, seller: &Seller, body: &Value) -> Answer {
        self.world
            .ask(&seller.key, Method::POST, "/v1/deals", &[], Some(body))
            .await
    }

    /// A deal as the operator reads it.
    async fn read(&self, deal: &str) -> Answer {
        self.world
            .get(&format!("/v1/deals/{deal}"))
            .await
            .expect(200)
    }

    /// Posts what the customer of that domain bought, as its shop does, and returns the conversion's id.
    async fn posted(&self, order: &str, domain: &str, amount: &str) -> String {
        let conversion = self.post(order, domain, amount).await;
        self.world.settle().await;
        conversion
    }

    /// Posts it, and leaves it to be ruled on.
    async fn post(&self, order: &str, domain: &str, amount: &str) -> String {
        let sale = json!({
            "event": "deal", "transaction_id": order, "amount": amount, "currency": "GBP", "customer_domain": domain,
        });
        let path = format!("/v1/postbacks/{}", self.program);
        let token = [("x-postback-token", self.token.as_str())];
        let posted = self.world.ask("", Method::POST, &path, &token, Some(&sale));
        posted.await.expect(201).str("conversion").to_owned()
    }

    async fn conversion(&self, id: &str) -> Answer {
        let path = format!("/v1/conversions/{id}");
        self.world.get(&path).await.expect(200)
    }

    /// What both partners wait for.
    async fn pending(&self) -> [String; 2] {
        let [ada, bob] = [&self.ada, &self.bob].map(|seller| self.world.balances(&seller.partner));
        let (mut ada, mut bob) = (ada.await, bob.await);
        [std::mem::take(&mut ada[0]), std::mem::take(&mut bob[0])]
    }

    /// Takes an amount of a conversion back; all that is left without one.
    async fn take_back(&self, conversion: &str, id: &str, amount: Option<&str>) {
        let mut body = json!({ "reversal_id": id, "reason": "sent back" });
        if let Some(amount) = amount {
            body["amount"] = json!(amount);
            body["currency"] = json!("GBP");
        }
        let path = format!("/v1/conversions/{conversion}/reversals");
        let _ = self.world.post(&path, body).await.expect(200);
        self.world.settle().await;
    }

    /// What a recomputation of the month finds.
    async fn differences(&self) -> Value {
        let path = format!("/v1/programs/{}/recompute?limit=200", self.program);
        let body = json!({ "period": &self.world.now().to_string()[..7] });
        self.world.post(&path, body).await.expect(200).body["differences"].clone()
    }

    /// Does something to the version of a deal that stands.
    async fn act(&self, key: &str, deal: &str, what: &str, body: Value) -> Answer {
        let tag = self.read(deal).await.headers[header::ETAG].clone();
        let based_on = [("if-match", tag.to_str().unwrap())];
        let path = format!("/v1/deals/{deal}/{what}");
        self.world
            .ask(key, Method::POST, &path, &based_on, Some(&body))
            .await
    }

    async fn decide(&self, deal: &str, what: &str, body: Value) -> Answer {
        self.act(&self.world.key, deal, what, body).await
    }

    async fn approved(&self, seller: &Seller, domain: &str) -> String {
        let registered = self.register(seller, &self.deal(domain)).await.expect(201);
        let deal = registered.str("id").to_owned();
        let approved = self.decide(&deal, "approve", json!({})).await.expect(200);
        assert_eq!(approved.str("state"), "approved");
        deal
    }

    /// A deal as its partner reads it.
    async fn seen(&self, seller: &Seller, deal: &str) -> Answer {
        let path = format!("/v1/deals/{deal}");
        let answer = self
            .world
            .ask(&seller.key, Method::GET, &path, &[], None)
            .await;
        answer.expect(200)
    }

    fn advance_to(&self, to: Timestamp) {
        self.world.instance.app().clock.set(to);
    }

    async fn clockwork_at(&self, to: &str) -> usize {
        self.advance_to(to.parse().unwrap());
        let ran = self.world.clockwork().await;
        usize::try_from(ran["deals"].as_u64().unwrap()).unwrap()
    }

    async fn happened(&self, key: &str, deal: &str) -> Vec<String> {
        let path = format!("/v1/deals/{deal}/timeline");
        let answer = self.world.ask(key, Method::GET, &path, &[], None).await;
        let events = answer.expect(200).items().to_vec();
        let name = |entry: &Value| entry["event"].as_str().unwrap().to_owned();
        events.iter().map(name).collect()
    }

    /// The key of another operator with these scopes, and its id.
    async fn operator(&self, name: &str, scopes: &[&str]) -> (String, String) {
        let body = json!({ "name": name, "email": format!("{name}@vendor.example") });
        let made = self.world.post("/v1/operators", body).await.expect(201);
        let id = made.str("id").to_owned();
        let path = format!("/v1/operators/{id}/keys");
        let issued = self.world.post(&path, json!({ "scopes": scopes })).await;
        (id, issued.expect(201).str("key").to_owned())
    }
}

#[tokio::test]
async fn a_registered_deal_is_approved_won_and_paid_as_any_conversion() {
    let market = market(simple()).await;
    let registered = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(registered.str("state"), "submitted");
    assert_eq!(registered.headers[header::ETAG], "\"2\"");
    let deal = registered.str("id");
    let approved = market
        .decide(deal, "approve", json!({ "note": "Well done." }))
        .await;
    let approved = approved.expect(200);
    assert_eq!(approved.str("state"), "approved");
    assert_eq!(approved.str("protected_until"), "2026-05-31T09:00:00Z");
    assert_eq!(approved.str("/benefit/event"), "deal");
    let sale = json!({ "amount": "20000.00", "currency": "GBP" });
    let won = market.decide(deal, "won", sale.clone()).await.expect(200);
    assert_eq!(won.str("state"), "won");
    let _ = market
        .decide(deal, "won", sale)
        .await
        .problem(409, "wrong_state");
    let conversion = won.str("/won/conversion").to_owned();
    market.world.settle().await;
    assert_eq!(
        market.world.balances(&market.ada.partner).await[0],
        "2000.00"
    );
    let credited = market
        .world
        .get(&format!("/v1/conversions/{conversion}"))
        .await
        .expect(200);
    assert_eq!(credited.str("amount"), "20000.00");
    assert!(credited.text.contains(deal), "{}", credited.text);
    // Holds and reversals apply.
    market.advance_to(days_after(market.world.now(), 31));
    market.world.clockwork().await;
    assert_eq!(
        market.world.balances(&market.ada.partner).await[1],
        "2000.00"
    );
    let back = json!({ "reversal_id": "r-1", "reason": "cancelled" });
    let path = format!("/v1/conversions/{conversion}/reversals");
    let _ = market.world.post(&path, back).await.expect(200);
    market.world.settle().await;
    assert_eq!(market.world.balances(&market.ada.partner).await[1], "0.00");
    assert_eq!(
        market.happened(&market.ada.key, deal).await,
        ["created", "submitted", "approved", "won"]
    );
}

fn co_register() -> Value {
    json!({
        "benefit": { "kind": "commission", "event": "deal" }, "second": { "kind": "co_register", "share": "0.30" },
    })
}

#[tokio::test]
async fn a_second_partner_is_refused_and_learns_no_more_than_that() {
    let market = market(simple()).await;
    let first = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let second = market
        .register(&market.bob, &market.deal("https://www.acme.com/contact"))
        .await
        .expect(201);
    assert_eq!(second.str("state"), "rejected");
    assert_eq!(second.str("/rejection/reason"), "duplicate");
    assert_eq!(second.body["findings"], json!([]));
    for secret in [first.str("id"), &market.ada.partner, "opr_", "cust_"] {
        assert!(!second.text.contains(secret), "{}", second.text);
    }
    // The operator reads the evidence.
    let shown = market.read(second.str("id")).await;
    assert_eq!(shown.str("/findings/0/kind"), "duplicate");
    assert_eq!(shown.str("/findings/0/about"), first.str("id"));
    assert_eq!(shown.str("/findings/0/partner"), market.ada.partner);
    assert!(shown.str("/findings/0/evidence").contains("domain"));
    assert_eq!(shown.str("after"), first.str("id"));
    // Of its own a partner is told which.
    let again = market.register(&market.ada, &market.deal("acme.com")).await;
    let again = again.problem(409, "exists");
    assert!(again.str("detail").contains(first.str("id")));
    // Another product line is another matter, and so is the same once it is free.
    let mut other = market.deal("acme.com");
    other["product_lines"] = json!(["erp"]);
    let other = market.register(&market.bob, &other).await.expect(201);
    assert_eq!(other.str("state"), "submitted");
    let withdrawn = market
        .act(&market.ada.key, first.str("id"), "withdraw", json!({}))
        .await;
    assert_eq!(withdrawn.expect(200).str("state"), "withdrawn");
    let now_first = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(now_first.str("state"), "submitted");
}

#[tokio::test]
async fn the_vendors_own_account_and_a_name_alike_are_found_and_told_to_operators_alone() {
    let market = market(simple()).await;
    let account = json!({ "customer": { "name": "Globex International", "country": "DE", "domain": "globex.com" }, "opportunity": "006B" });
    let path = format!("/v1/programs/{}/accounts", market.program);
    let loaded = market.world.post(&path, account).await;
    assert!(loaded.status.is_success(), "{}", loaded.text);
    let registered = market
        .register(&market.ada, &market.deal("globex.com"))
        .await
        .expect(201);
    assert_eq!(registered.body["findings"], json!([]));
    assert_eq!(registered.body["under_examination"], true);
    let shown = market.read(registered.str("id")).await;
    assert_eq!(shown.str("/findings/0/kind"), "direct");
    let mut alike = market.deal("globex-intl.com");
    alike["customer"]["name"] = json!("Globex International GmbH");
    let alike = market.register(&market.ada, &alike).await.expect(201);
    let shown = market.read(alike.str("id")).await;
    let kinds: Vec<&Value> = shown.body["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["kind"])
        .collect();
    assert!(kinds.contains(&&json!("similar")), "{}", shown.text);
    assert_eq!(alike.body["under_examination"], true);
    let rejected = json!({ "reason": "direct_owned", "note": "Ours." });
    let rejected = market
        .decide(registered.str("id"), "reject", rejected)
        .await;
    assert_eq!(rejected.expect(200).str("state"), "rejected");
    let seen = market.seen(&market.ada, registered.str("id")).await;
    assert_eq!(seen.str("/rejection/note"), "Ours.");
    assert_eq!(seen.body["under_examination"], false);
}

/// Refuses every third attempt at a transaction as DynamoDB does when another one holds an item, and lets others
/// go on in between.
#[derive(Default)]
struct Unruly(AtomicU64);

impl Intercept for Unruly {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        if call.operation == "TransactWriteItems" && number.is_multiple_of(3) {
            let items = call.request["TransactItems"].as_array().map_or(1, Vec::len);
            return Verdict::Answer(AwsError::transaction_conflict(items));
        }
        let turns = number * 7 % 5;
        Verdict::Hold(Box::pin(async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn of_partners_that_register_the_same_customer_at_once_exactly_one_is_the_first() {
    let market = market(simple()).await;
    let unruly: Arc<dyn Intercept> = Arc::new(Unruly::default());
    market.world.instance.cloud().set_interceptor(Some(unruly));
    for round in 0..18 {
        // By one identifier both have, or by two of which each has another beside it.
        let body = |seller: &str| {
            let mut body = market.deal(&format!("customer{round}.com"));
            if round % 2 == 0 {
                body["customer"]["crm_id"] = json!(format!("{seller}-{round}"));
            }
            body
        };
        let (ada, bob) = (body("ada"), body("bob"));
        let both = join_all([
            market.register(&market.ada, &ada),
            market.register(&market.bob, &bob),
        ])
        .await;
        let states: Vec<String> = both
            .into_iter()
            .map(|answer| answer.expect(201).str("state").to_owned())
            .collect();
        let firsts = states.iter().filter(|state| *state == "submitted").count();
        let refused = states.iter().filter(|state| *state == "rejected").count();
        assert_eq!((firsts, refused), (1, 1), "round {round}: {states:?}");
    }
    market.world.instance.cloud().set_interceptor(None);
    let path = format!("/v1/deals?program={}&state=submitted", market.program);
    assert_eq!(market.world.get(&path).await.expect(200).items().len(), 18);
}

#[tokio::test]
async fn two_who_share_a_deal_split_what_it_is_won_with() {
    let market = market(co_register()).await;
    let first = market.approved(&market.ada, "acme.com").await;
    let second = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(second.str("state"), "submitted");
    assert_eq!(second.body["under_examination"], true);
    let second = second.str("id");
    let shared = market
        .decide(second, "approve", json!({}))
        .await
        .expect(200);
    assert_eq!(shared.str("share"), "0.30");
    assert_eq!(market.seen(&market.ada, &first).await.str("share"), "0.70");
    let sale = json!({ "amount": "100.01", "currency": "GBP", "transaction_id": "o-1" });
    let won = market.decide(&first, "won", sale).await.expect(200);
    assert_eq!(won.str("/won/amount"), "70.01");
    let other = market.read(second).await;
    assert_eq!(
        (other.str("state"), other.str("/won/amount")),
        ("won", "30.00")
    );
    market.world.settle().await;
    assert_eq!(market.world.balances(&market.ada.partner).await[0], "7.00");
    assert_eq!(market.world.balances(&market.bob.partner).await[0], "3.00");
}

/// A deal for acme.com that Ada has by 0.70 and Bob by 0.30.
async fn shared(market: &Market) -> (String, String) {
    let first = market.approved(&market.ada, "acme.com").await;
    let second = market.approved(&market.bob, "acme.com").await;
    (first, second)
}

#[tokio::test]
async fn what_the_customer_of_a_shared_deal_buys_is_both_partners() {
    let market = market(co_register()).await;
    let (first, second) = shared(&market).await;
    let sale = market.posted("o-1", "shop.acme.com", "100.05").await;
    // 30.02 of it are Bob's, rounded half up; the rest is Ada's.
    assert_eq!(market.pending().await, ["7.00", "3.00"]);
    let seen = market.conversion(&sale).await;
    let told = |field: &str| seen.str(&format!("/attribution/{field}")).to_owned();
    assert_eq!(told("partner"), market.ada.partner);
    assert_eq!(
        (told("evidence/registered"), told("evidence/share")),
        (first.clone(), "0.70".to_owned())
    );
    assert_eq!(
        (told("beside/registered"), told("beside/share")),
        (second, "0.30".to_owned())
    );
    assert_eq!(told("beside/partner"), market.bob.partner);

    // Each reads its own part, and nothing of the other's.
    let path = format!("/v1/conversions/{sale}");
    let own = market
        .world
        .ask(&market.ada.key, Method::GET, &path, &[], None)
        .await
        .expect(200);
    assert_eq!(own.str("/attribution/evidence/share"), "0.70");
    assert!(!own.text.contains(&market.bob.partner), "{}", own.text);
    let path = format!(
        "/v1/partners/{}/statement?from=2026-01-01T00:00:00Z",
        market.bob.partner
    );
    let statement = market
        .world
        .ask(&market.bob.key, Method::GET, &path, &[], None)
        .await;
    let line = statement.expect(200).items()[0]["lines"][0]["source"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(line, told("beside/commission"));
    let path = format!("/v1/commissions/{line}/trace");
    let trace = market
        .world
        .ask(&market.bob.key, Method::GET, &path, &[], None)
        .await
        .expect(200);
    assert_eq!(
        (trace.str("source"), trace.str("of"), trace.str("share")),
        ("share", sale.as_str(), "0.30")
    );
    assert_eq!(
        (trace.str("/inputs/amount"), trace.str("total")),
        ("30.02", "3.00")
    );
    let words = trace.body["sentences"].to_string();
    assert!(
        words.contains("this one's share of the amounts is 0.30"),
        "{words}"
    );
    let _ = market
        .world
        .ask(&market.ada.key, Method::GET, &path, &[], None)
        .await
        .problem(404, "not_found");

    // A hold is moved for both: neither is payable before the other.
    let held = json!({ "release_at": "2026-08-01T00:00:00Z", "reason": "looked into" });
    let path = format!("/v1/commissions/{sale}/hold");
    let _ = market.world.post(&path, held).await.expect(200);
    for line in [&sale, &line] {
        let path = format!("/v1/commissions/{line}/trace");
        let trace = market.world.get(&path).await.expect(200);
        assert!(trace.text.contains("2026-08-01"), "{}", trace.text);
    }

    // Corrections come to both, and a recomputation to the same.
    market.take_back(&sale, "r-1", Some("50.05")).await;
    assert_eq!(market.pending().await, ["3.50", "1.50"]);
    assert_eq!(market.differences().await, json!([]));
    market.take_back(&sale, "r-2", None).await;
    assert_eq!(market.pending().await, ["0.00", "0.00"]);

    // What waits for its approval is credited once it has it.
    assert_eq!(market.conversion(&sale).await.str("state"), "reversed");
    let _ = market.posted("o-2", "acme.com", "10.00").await;
    assert_eq!(market.pending().await, ["0.70", "0.30"]);
    // Holds pass for each.
    market.world.advance_days(31).await;
    let payable = |balances: [String; 4]| balances[1].clone();
    assert_eq!(
        payable(market.world.balances(&market.ada.partner).await),
        "0.70"
    );
    assert_eq!(
        payable(market.world.balances(&market.bob.partner).await),
        "0.30"
    );
}

#[tokio::test]
async fn a_share_counts_in_the_window_of_its_partner_and_its_uplines_get_theirs_of_it() {
    let components = json!([{
        "kind": "tiered", "event": "deal", "mode": "marginal", "window": { "kind": "month" },
        "measure": { "unit": "amount", "events": ["deal"], "scope": "own" },
        "brackets": [{ "from": "0", "rate": "0.10" }, { "from": "50", "rate": "0.20" }],
    }]);
    let market = market_paying(World::start().await, components, co_register()).await;
    let plan = json!({
        "code": "above", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z",
        "components": [{ "kind": "percent", "event": "deal", "rate": "0.10" }],
        "levels": [{ "rate": "0.10", "of": "commission" }],
    });
    let path = format!("/v1/programs/{}/plans", market.program);
    let _ = market.world.post(&path, plan).await.expect(201);
    let (upline, _, _) = market.world.partner_in(&market.program, "Top").await;
    shared(&market).await;
    let sale = market.posted("o-1", "acme.com", "100.00").await;
    // 70.00: 50.00 at 10 % and 20.00 at 20 %; 30.00 at 10 %.
    assert_eq!(market.pending().await, ["9.00", "3.00"]);
    // Bob's next own part reaches his second bracket with the 30.00.
    let _ = market.posted("o-2", "acme.com", "100.00").await;
    assert_eq!(market.pending().await, ["23.00", "7.00"]);
    assert_eq!(market.differences().await, json!([]));
    market.take_back(&sale, "r-1", Some("50.00")).await;
    assert_eq!(market.pending().await, ["16.00", "4.50"]);
    market.take_back(&sale, "r-2", None).await;
    assert_eq!(market.pending().await, ["9.00", "3.00"]);
    assert_eq!(market.differences().await, json!([]));

    // Under another plan, with an upline.
    let under = json!({ "program": market.program, "plan": "above", "upline": upline });
    let path = format!("/v1/partners/{}/enrolments", market.bob.partner);
    let placed = market.world.post(&path, under).await.expect(200);
    assert_eq!(placed.str("/uplines/0/partner"), upline, "{}", placed.text);
    market.advance_to(market.world.now() + jiff::SignedDuration::from_secs(60));
    let sale = market.posted("o-3", "acme.com", "100.00").await;
    assert_eq!(market.pending().await[1], "6.00");
    assert_eq!(market.world.balances(&upline).await[0], "0.30");
    market.take_back(&sale, "r-3", None).await;
    assert_eq!(market.world.balances(&upline).await[0], "0.00");
}

#[tokio::test]
async fn what_the_shop_posted_is_not_paid_again_as_its_deal_is_won() {
    let market = market(simple()).await;
    let deal = market.approved(&market.ada, "acme.com").await;
    let posted = market.posted("o-1", "acme.com", "1000.00").await;
    assert_eq!(market.pending().await[0], "100.00");
    let sale = json!({ "amount": "1000.00", "currency": "GBP" });
    let refused = market
        .decide(&deal, "won", sale.clone())
        .await
        .problem(409, "exists");
    assert!(refused.text.contains(&posted), "{}", refused.text);
    // Another customer's conversion is not the deal's.
    let strange = market.posted("o-2", "other.com", "1.00").await;
    for conversion in [strange.as_str(), "cnv_00000000000000000000000000"] {
        let mut named = sale.clone();
        named["conversion"] = json!(conversion);
        let refused = market
            .decide(&deal, "won", named)
            .await
            .problem(422, "reference_unknown");
        assert_eq!(refused.str("/errors/0/field"), "conversion");
    }
    let mut named = sale;
    named["conversion"] = json!(posted);
    let won = market.decide(&deal, "won", named).await.expect(200);
    assert_eq!(
        (won.str("state"), won.str("/won/conversion")),
        ("won", posted.as_str())
    );
    assert_eq!(won.str("/won/amount"), "1000.00");
    market.world.settle().await;
    assert_eq!(market.pending().await[0], "100.00");
}

#[tokio::test]
async fn what_was_posted_and_not_ruled_on_yet_is_not_paid_beside_the_win() {
    let market = market(co_register()).await;
    let (first, _) = shared(&market).await;
    let minute = jiff::SignedDuration::from_secs(60);
    // It occurs while the deals hold their customer, and is ruled on when they no longer do.
    let posted = market.post("o-1", "acme.com", "1000.00").await;
    market.advance_to(market.world.now() + minute);
    let sale = json!({ "amount": "1000.00", "currency": "GBP" });
    let _ = market.decide(&first, "won", sale).await.expect(200);
    market.world.settle().await;
    assert_eq!(market.pending().await, ["70.00", "30.00"]);
    assert_eq!(
        market.conversion(&posted).await.str("state"),
        "unattributed"
    );

    // Said to be another sale, both are paid.
    let other = market.approved(&market.ada, "bolt.com").await;
    let _ = market.post("o-2", "bolt.com", "1000.00").await;
    market.advance_to(market.world.now() + minute);
    let sale = json!({ "amount": "10.00", "currency": "GBP", "another_sale": true });
    let _ = market.decide(&other, "won", sale).await.expect(200);
    market.world.settle().await;
    assert_eq!(market.pending().await, ["171.00", "30.00"]);
}

#[tokio::test]
async fn what_is_ruled_on_while_its_deal_is_won_is_not_paid_beside_it() {
    let market = market(co_register()).await;
    let (first, _) = shared(&market).await;
    let app = market.world.instance.app();
    let id = market.program.parse().unwrap();
    let program = tributary::programs::find(app, id).await.unwrap();
    let known = deals::find(app, first.parse().unwrap()).await.unwrap();
    let version = known.deal.version;
    let sale = Sale {
        amount: Money::parse("1000.00", program.currency).unwrap(),
        occurred_at: None,
        transaction_id: None,
        posted: None,
        is_another: false,
    };
    let by = OperatorId::from_bytes([1; 16]);
    // Everything is read for the win; before it is written, the shop posts and the conversion is credited.
    let win = win(app, &program, known, version, sale, by).await;
    let ops: Vec<Op> = win
        .unwrap()
        .writes
        .into_iter()
        .map(|write| write.op)
        .collect();
    let posted = market.posted("o-1", "acme.com", "1000.00").await;
    market.world.settle().await;
    assert_eq!(market.pending().await, ["70.00", "30.00"]);
    let refused = app.main.transact(&ops).await;
    assert!(
        matches!(refused, Err(TransactError::Refused(_))),
        "{refused:?}"
    );

    // Asked again, it says why.
    let sale = json!({ "amount": "1000.00", "currency": "GBP" });
    let known = market
        .decide(&first, "won", sale)
        .await
        .problem(409, "exists");
    assert!(known.text.contains(&posted), "{}", known.text);
    assert_eq!(market.pending().await, ["70.00", "30.00"]);
}

#[tokio::test]
async fn another_sale_than_what_was_posted_is_paid_and_one_that_was_taken_back_is_none() {
    let market = market(simple()).await;
    for (domain, another) in [("acme.com", true), ("bolt.com", false)] {
        let deal = market.approved(&market.ada, domain).await;
        let posted = market.posted(domain, domain, "1000.00").await;
        let mut sale = json!({ "amount": "10.00", "currency": "GBP" });
        if another {
            sale["another_sale"] = json!(true);
        } else {
            market.take_back(&posted, "r-1", None).await;
        }
        let won = market.decide(&deal, "won", sale).await.expect(200);
        assert_ne!(won.str("/won/conversion"), posted);
    }
    market.world.settle().await;
    assert_eq!(market.pending().await[0], "102.00");
}

#[tokio::test]
async fn a_shared_deal_is_won_as_what_was_posted_for_both() {
    let market = market(co_register()).await;
    let (first, second) = shared(&market).await;
    let posted = market.posted("o-1", "acme.com", "1000.00").await;
    let sale = json!({ "amount": "1000.00", "currency": "GBP" });
    let _ = market
        .decide(&second, "won", sale.clone())
        .await
        .problem(409, "exists");
    let mut named = sale;
    named["conversion"] = json!(posted);
    let won = market.decide(&second, "won", named).await.expect(200);
    market.world.settle().await;
    assert_eq!(market.pending().await, ["70.00", "30.00"]);
    assert_eq!(market.read(&first).await.str("/won/conversion"), posted);
    let path = format!("/v1/commissions/{}/trace", won.str("/won/conversion"));
    let trace = market.world.get(&path).await.expect(200);
    assert_eq!(
        (trace.str("of"), trace.str("partner")),
        (posted.as_str(), market.bob.partner.as_str())
    );
}

#[tokio::test]
async fn a_shared_deal_is_not_won_under_the_others_transaction() {
    let market = market(co_register()).await;
    let (first, second) = shared(&market).await;
    let sale = json!({ "amount": "100.00", "currency": "GBP", "transaction_id": second });
    let refused = market
        .decide(&first, "won", sale)
        .await
        .problem(409, "exists");
    assert_eq!(refused.str("/errors/0/field"), "transaction_id");
    assert_eq!(market.read(&first).await.str("state"), "approved");
}

#[tokio::test]
async fn who_is_left_of_two_has_the_deal_and_its_slots_alone() {
    let market = market(co_register()).await;
    let first = market.approved(&market.ada, "acme.com").await;
    let second = market.approved(&market.bob, "acme.com").await;
    let eve = seller(&market.world, &market.program, "Eve").await;
    let third = market
        .register(&eve, &market.deal("acme.com"))
        .await
        .expect(201);
    let _ = market
        .decide(third.str("id"), "approve", json!({}))
        .await
        .problem(409, "wrong_state");
    let lost = market.act(&market.ada.key, &first, "lost", json!({})).await;
    assert_eq!(lost.expect(200).str("state"), "lost");
    let alone = market.read(&second).await;
    assert_eq!(alone.body["share"], Value::Null);
    let resolve = format!("/v1/programs/{}/claims:resolve", market.program);
    let asked = json!({ "customer": { "domain": "acme.com" } });
    let whose = market.world.post(&resolve, asked).await.expect(200);
    assert_eq!(
        whose.str("/winner/partner"),
        market.bob.partner,
        "{}",
        whose.text
    );
    // The slots are Bob's now: whoever comes next is the second after Bob's deal.
    let next = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let shown = market.read(next.str("id")).await;
    assert_eq!(shown.str("after"), second);
    // And they end with it.
    let until: Timestamp = alone.str("protected_until").parse().unwrap();
    market.advance_to(until);
    // The two that nobody decided are late, and this one has expired.
    assert_eq!(market.world.clockwork().await["deals"], 3);
    assert_eq!(market.read(&second).await.str("state"), "expired");
}

#[tokio::test]
async fn a_customer_has_one_first_registrant_whatever_it_is_known_by() {
    let market = market(simple()).await;
    let account =
        json!({ "customer": { "domain": "acme.com", "tax_id": "DE123456789", "crm_id": "001A" } });
    let path = format!("/v1/programs/{}/accounts", market.program);
    let _ = market.world.post(&path, account).await.expect(200);
    let first = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let mut by_tax_id = market.deal("acme.com");
    by_tax_id["customer"] =
        json!({ "name": "Acme GmbH", "country": "DE", "tax_id": "123 456 789" });
    let second = market.register(&market.bob, &by_tax_id).await.expect(201);
    assert_eq!(second.str("state"), "rejected");
    let shown = market.read(second.str("id")).await;
    assert_eq!(shown.str("after"), first.str("id"));
}

fn reduced() -> Value {
    json!({
        "benefit": { "kind": "discount", "rate": "0.20" },
        "second": { "kind": "reduced", "benefit": { "kind": "discount", "rate": "0.05" } },
    })
}

#[tokio::test]
async fn who_was_approved_second_is_the_first_once_the_first_has_ended() {
    let market = market(reduced()).await;
    let eve = seller(&market.world, &market.program, "Eve").await;
    for (domain, end) in [
        ("acme.com", "lost"),
        ("bolt.com", "withdraw"),
        ("cole.com", "won"),
    ] {
        let first = market.approved(&market.ada, domain).await;
        let second = market.approved(&market.bob, domain).await;
        let sale = json!({ "amount": "10.00", "currency": "GBP" });
        let ended = match end {
            "won" => market.decide(&first, "won", sale).await,
            end => market.act(&market.ada.key, &first, end, json!({})).await,
        };
        let _ = ended.expect(200);
        let next = market
            .register(&eve, &market.deal(domain))
            .await
            .expect(201);
        let next = market.read(next.str("id")).await;
        assert_eq!(next.str("after"), second, "{domain}");
        // And whoever comes after both have ended is the first.
        let _ = market
            .act(&market.bob.key, &second, "lost", json!({}))
            .await
            .expect(200);
        let back = market
            .act(&eve.key, next.str("id"), "withdraw", json!({}))
            .await;
        let _ = back.expect(200);
        let last = market
            .register(&eve, &market.deal(domain))
            .await
            .expect(201);
        assert_eq!(market.read(last.str("id")).await.body["after"], Value::Null);
    }
    // By time alone as well.
    let _ = market.approved(&market.ada, "dole.com").await;
    market.advance_to(days_after(market.world.now(), 1));
    let second = market.approved(&market.bob, "dole.com").await;
    market.advance_to(days_after(market.world.now(), 89));
    let _ = market.world.clockwork().await;
    let next = market
        .register(&eve, &market.deal("dole.com"))
        .await
        .expect(201);
    assert_eq!(market.read(next.str("id")).await.str("after"), second);
}

#[tokio::test]
async fn a_second_registrant_is_the_first_for_what_the_other_leaves() {
    let market = market(reduced()).await;
    let _ = market.approved(&market.ada, "acme.com").await;
    let mut both = market.deal("acme.com");
    both["product_lines"] = json!(["crm", "erp"]);
    let second = market.register(&market.bob, &both).await.expect(201);
    let eve = seller(&market.world, &market.program, "Eve").await;
    let mut erp = market.deal("acme.com");
    erp["product_lines"] = json!(["erp"]);
    for approved in [false, true] {
        if approved {
            let _ = market
                .decide(second.str("id"), "approve", json!({}))
                .await
                .expect(200);
        }
        let third = market.register(&eve, &erp).await.expect(201);
        let third = market.read(third.str("id")).await;
        assert_eq!(third.str("after"), second.str("id"));
        let _ = market
            .act(&eve.key, third.str("id"), "withdraw", json!({}))
            .await
            .expect(200);
    }
    let _ = market
        .act(&market.bob.key, second.str("id"), "withdraw", json!({}))
        .await
        .expect(200);
    let third = market.register(&eve, &erp).await.expect(201);
    assert_eq!(
        market.read(third.str("id")).await.body["after"],
        Value::Null
    );
}

#[tokio::test]
async fn whoever_came_meanwhile_is_named_to_whom_it_stands_before() {
    let market = market(co_register()).await;
    let first = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let second = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    let back = market
        .act(&market.ada.key, first.str("id"), "withdraw", json!({}))
        .await;
    let _ = back.expect(200);
    let eve = seller(&market.world, &market.program, "Eve").await;
    let third = market
        .register(&eve, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(
        market.read(third.str("id")).await.body["after"],
        Value::Null
    );
    for _ in 0..2 {
        let refused = market.decide(second.str("id"), "approve", json!({})).await;
        let refused = refused.problem(409, "wrong_state");
        assert!(refused.text.contains(third.str("id")), "{}", refused.text);
    }
    let _ = market
        .decide(third.str("id"), "approve", json!({}))
        .await
        .expect(200);
    let shared = market
        .decide(second.str("id"), "approve", json!({}))
        .await
        .expect(200);
    assert_eq!(
        (shared.str("share"), shared.str("after")),
        ("0.30", third.str("id"))
    );
}

#[tokio::test]
async fn a_deal_whose_identifiers_are_of_two_customers_is_found_by_each() {
    let market = market(simple()).await;
    let accounts = format!("/v1/programs/{}/accounts", market.program);
    for customer in [
        json!({ "domain": "acme.com" }),
        json!({ "tax_id": "DE123456789" }),
    ] {
        let _ = market
            .world
            .post(&accounts, json!({ "customer": customer }))
            .await
            .expect(200);
    }
    let mut both = market.deal("acme.com");
    both["customer"]["tax_id"] = json!("DE123456789");
    let deal = market.register(&market.ada, &both).await.expect(201);
    let _ = market
        .decide(deal.str("id"), "approve", json!({}))
        .await
        .expect(200);
    let resolve = format!("/v1/programs/{}/claims:resolve", market.program);
    let whose = async |customer: Value| {
        let asked = json!({ "customer": customer });
        market.world.post(&resolve, asked).await.expect(200)
    };
    for customer in [
        json!({ "domain": "acme.com" }),
        json!({ "tax_id": "DE123456789" }),
        json!({ "domain": "acme.com", "tax_id": "DE123456789" }),
    ] {
        let found = whose(customer).await;
        assert_eq!(found.str("/winner/id"), deal.str("id"), "{}", found.text);
        assert!(
            !found.body["losers"].to_string().contains(deal.str("id")),
            "{}",
            found.text
        );
    }
    let _ = market
        .act(&market.ada.key, deal.str("id"), "lost", json!({}))
        .await
        .expect(200);
    assert_eq!(
        whose(json!({ "tax_id": "DE123456789" })).await.body["winner"],
        Value::Null
    );
}

#[tokio::test]
async fn what_is_asked_and_answered_has_its_bounds() {
    let market = market(simple()).await;
    let deal = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let long = "\u{1F30D}".repeat(2_000);
    let mut rounds = 0;
    loop {
        let asked = market
            .decide(
                deal.str("id"),
                "request-information",
                json!({ "question": long }),
            )
            .await;
        if asked.status == 409 {
            let refused = asked.problem(409, "wrong_state");
            assert!(refused.text.contains("decide it"), "{}", refused.text);
            break;
        }
        let _ = asked.expect(200);
        let answer = json!({ "answer": long });
        let told = market
            .act(
                &market.ada.key,
                deal.str("id"),
                "supply-information",
                answer,
            )
            .await;
        let _ = told.expect(200);
        rounds += 1;
    }
    assert!((5..20).contains(&rounds), "{rounds}");
    let approved = market.decide(deal.str("id"), "approve", json!({})).await;
    assert_eq!(approved.expect(200).str("state"), "approved");
}

#[tokio::test]
async fn a_deal_that_is_won_gives_its_customer_back() {
    let market = market(simple()).await;
    let deal = market.approved(&market.ada, "acme.com").await;
    let sale = json!({ "amount": "100.00", "currency": "GBP" });
    let _ = market.decide(&deal, "won", sale).await.expect(200);
    let path = format!("/v1/programs/{}/claims:resolve", market.program);
    let whose = json!({ "customer": { "domain": "acme.com" } });
    let whose = market.world.post(&path, whose).await.expect(200);
    assert_eq!(whose.body["winner"], Value::Null);
    for seller in [&market.bob, &market.ada] {
        let next = market.register(seller, &market.deal("acme.com")).await;
        let next = next.expect(201);
        assert_eq!(next.str("state"), "submitted");
        let back = market
            .act(&seller.key, next.str("id"), "withdraw", json!({}))
            .await;
        let _ = back.expect(200);
    }
}

#[tokio::test]
async fn a_deal_with_the_longest_tax_id_is_read_like_any_other() {
    let market = market(simple()).await;
    let mut long = market.deal("acme.com");
    long["customer"]["country"] = json!("US");
    long["customer"]["tax_id"] = json!("123456789012345678901234");
    let deal = market.register(&market.ada, &long).await.expect(201);
    let shown = market.read(deal.str("id")).await;
    assert_eq!(shown.str("/customer/domain"), "acme.com");
}

#[tokio::test]
async fn a_second_registrant_may_bring_less() {
    let policy = json!({
        "benefit": { "kind": "discount", "rate": "0.20" },
        "second": { "kind": "reduced", "benefit": { "kind": "discount", "rate": "0.05" } },
    });
    let market = market(policy).await;
    let first = market.approved(&market.ada, "acme.com").await;
    let second = market.approved(&market.bob, "acme.com").await;
    let first = market.seen(&market.ada, &first).await;
    assert_eq!(first.str("/benefit/rate"), "0.20");
    assert_eq!(first.body["benefit"]["approved_by"], Value::Null);
    assert_eq!(market.read(&second).await.str("/benefit/rate"), "0.05");
    // A discount is recorded with its approval, and a win makes no conversion.
    let third = market
        .register(&market.ada, &market.deal("other.com"))
        .await
        .expect(201);
    let more = json!({ "discount_rate": "0.25", "note": "Strategic." });
    let approved = market
        .decide(third.str("id"), "approve", more)
        .await
        .expect(200);
    assert_eq!(approved.str("/benefit/rate"), "0.25");
    assert!(approved.str("/benefit/approved_by").starts_with("opr_"));
    let sale = json!({ "amount": "10.00", "currency": "GBP" });
    let won = market
        .decide(third.str("id"), "won", sale)
        .await
        .expect(200);
    assert_eq!(won.body["won"]["conversion"], Value::Null);
}

#[tokio::test]
async fn steps_wait_for_their_approvers_and_are_passed_on_after_their_working_hours() {
    let world = World::start().await;
    let market = market_in(world, simple()).await;
    let (cara, caras) = market.operator("cara", &["channel"]).await;
    let (dan, dans) = market.operator("dan", &["channel"]).await;
    let (eli, elis) = market.operator("eli", &["channel"]).await;
    let (_, reader) = market.operator("rea", &["read"]).await;
    let policy = json!({
        "benefit": { "kind": "commission", "event": "deal" },
        "approval": [
            { "when": { "amount_from": "1000000.00" }, "steps": [{ "name": "board" }] },
            { "when": { "product_lines": ["crm"], "regions": ["DE"] }, "order": "sequential", "steps": [
                { "name": "channel", "approvers": [cara], "sla_hours": 8, "escalate_to": eli },
                { "name": "finance", "approvers": [dan, cara], "sla_hours": 16 },
            ] },
        ],
        "stakes": [{ "operator": dan, "domains": ["stake.com"] }],
        "hours": { "time_zone": "Europe/Berlin", "week": [{ "days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "from": "09:00", "to": "17:00" }], "holidays": ["2026-03-03"] },
    });
    let path = format!("/v1/programs/{}/deal-policy", market.program);
    let based_on = [("if-match", "\"1\"")];
    let set = market
        .world
        .ask(
            &market.world.key,
            Method::PUT,
            &path,
            &based_on,
            Some(&policy),
        )
        .await;
    assert_eq!(set.expect(200).headers[header::ETAG], "\"2\"");
    let mut draft = market.deal("stake.com");
    draft["draft"] = json!(true);
    let draft = market.register(&market.ada, &draft).await.expect(201);
    let deal = draft.str("id");
    // Before it is handed in its partner sees the way, an operator also who is on it.
    let path = format!("/v1/deals/{deal}/approvers");
    let ask = async |key: &str| {
        let answer = market.world.ask(key, Method::GET, &path, &[], None).await;
        answer.expect(200)
    };
    let way = ask(&market.ada.key).await;
    assert_eq!(way.str("/steps/1/name"), "finance");
    assert!(!way.text.contains("opr_"));
    let way = ask(&reader).await;
    assert_eq!(way.str("/steps/0/approvers/0"), cara);
    assert_eq!(way.body["stakes"], json!([dan]));
    let submitted = market
        .act(&market.ada.key, deal, "submit", json!({}))
        .await
        .expect(200);
    // Ten o'clock in Berlin: seven hours today, a holiday, and one hour on Wednesday.
    assert_eq!(
        submitted.str("/approval/steps/0/due"),
        "2026-03-04T09:00:00Z"
    );
    for (key, code) in [
        (&dans, "stake_in_account"),
        (&elis, "not_approver"),
        (&reader, "forbidden"),
    ] {
        let _ = market
            .act(key, deal, "approve", json!({}))
            .await
            .problem(403, code);
    }
    assert_eq!(market.clockwork_at("2026-03-04T08:59:59Z").await, 0);
    assert_eq!(market.clockwork_at("2026-03-04T09:00:00Z").await, 1);
    assert_eq!(market.clockwork_at("2026-03-04T09:01:00Z").await, 0);
    let late = market.read(deal).await;
    assert_eq!(
        late.str("/approval/steps/0/escalated_at"),
        "2026-03-04T09:00:00Z"
    );
    assert!(
        !market
            .happened(&market.ada.key, deal)
            .await
            .contains(&"escalated".to_owned())
    );
    let passed = market
        .act(&elis, deal, "approve", json!({ "step": "channel" }))
        .await
        .expect(200);
    assert_eq!(passed.str("state"), "in_review");
    assert_eq!(passed.str("/approval/steps/0/approved_by"), eli);
    let _ = market
        .act(&elis, deal, "approve", json!({}))
        .await
        .problem(403, "not_approver");
    let unknown = market
        .act(&caras, deal, "approve", json!({ "step": "channel" }))
        .await;
    let _ = unknown.problem(422, "not_one_of");
    let _ = market
        .act(&dans, deal, "approve", json!({}))
        .await
        .problem(403, "stake_in_account");
    let done = market
        .act(&caras, deal, "approve", json!({}))
        .await
        .expect(200);
    assert_eq!(done.str("state"), "approved");
    assert_eq!(
        market.happened(&market.world.key, deal).await,
        [
            "created",
            "submitted",
            "escalated",
            "step_approved",
            "approved"
        ]
    );
}

#[tokio::test]
async fn whoever_writes_a_deal_down_for_a_partner_does_not_approve_it() {
    let market = market(simple()).await;
    let mut body = market.deal("acme.com");
    body["partner"] = json!(market.ada.partner);
    let made = market.world.post("/v1/deals", body).await.expect(201);
    let deal = made.str("id");
    let _ = market
        .decide(deal, "approve", json!({}))
        .await
        .problem(403, "stake_in_account");
    let (_, other) = market.operator("cara", &["channel"]).await;
    let approved = market.act(&other, deal, "approve", json!({})).await;
    assert_eq!(approved.expect(200).str("state"), "approved");
    assert_eq!(
        market.seen(&market.ada, deal).await.str("partner"),
        market.ada.partner
    );
}

#[tokio::test]
async fn whoever_hands_a_deal_in_for_a_partner_does_not_approve_it() {
    let market = market(simple()).await;
    let mut draft = market.deal("acme.com");
    draft["draft"] = json!(true);
    let draft = market.register(&market.ada, &draft).await.expect(201);
    let _ = market
        .decide(draft.str("id"), "submit", json!({}))
        .await
        .expect(200);
    let _ = market
        .decide(draft.str("id"), "approve", json!({}))
        .await
        .problem(403, "stake_in_account");
}

#[tokio::test]
async fn a_question_is_answered_or_the_deal_is_incomplete() {
    let market = market(simple()).await;
    let registered = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let deal = registered.str("id");
    let review = market.decide(deal, "review", json!({})).await.expect(200);
    assert_eq!(review.str("state"), "in_review");
    let question = json!({ "question": "Who decides,\nand when?" });
    let asked = market
        .decide(deal, "request-information", question.clone())
        .await;
    assert_eq!(asked.expect(200).str("state"), "needs_information");
    let seen = market.seen(&market.ada, deal).await;
    assert_eq!(seen.str("question"), "Who decides,\nand when?");
    assert_eq!(seen.str("answer_by"), "2026-03-16T09:00:00Z");
    let _ = market
        .decide(deal, "approve", json!({}))
        .await
        .problem(409, "wrong_state");
    let answer = json!({ "answer": "The board, in May." });
    let answered = market
        .act(&market.ada.key, deal, "supply-information", answer.clone())
        .await;
    assert_eq!(answered.expect(200).str("state"), "submitted");
    let again = market
        .act(&market.ada.key, deal, "supply-information", answer)
        .await;
    let _ = again.problem(409, "wrong_state");
    let _ = market
        .decide(deal, "request-information", question)
        .await
        .expect(200);
    assert_eq!(market.clockwork_at("2026-03-16T08:59:59Z").await, 0);
    assert_eq!(market.clockwork_at("2026-03-16T09:00:00Z").await, 1);
    let over = market.seen(&market.ada, deal).await;
    assert_eq!(
        (over.str("state"), over.str("/rejection/reason")),
        ("rejected", "incomplete")
    );
    // Others may register it now.
    let next = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(next.str("state"), "submitted");
}

#[tokio::test]
async fn a_protection_is_told_of_twice_extended_once_and_ends() {
    let market = market(simple()).await;
    let deal = market.approved(&market.ada, "acme.com").await;
    assert_eq!(market.clockwork_at("2026-05-01T08:59:59Z").await, 0);
    assert_eq!(market.clockwork_at("2026-05-01T09:00:00Z").await, 1);
    assert_eq!(market.clockwork_at("2026-05-24T09:00:00Z").await, 1);
    assert_eq!(market.clockwork_at("2026-05-24T09:01:00Z").await, 0);
    let extended = market
        .act(&market.ada.key, &deal, "extend", json!({}))
        .await
        .expect(200);
    assert_eq!(extended.str("protected_until"), "2026-06-30T09:00:00Z");
    let _ = market
        .act(&market.ada.key, &deal, "extend", json!({}))
        .await
        .problem(409, "wrong_state");
    // Still protected after what was the end at first.
    market.advance_to("2026-06-15T09:00:00Z".parse().unwrap());
    let refused = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(refused.str("state"), "rejected");
    market.world.clockwork().await;
    market.clockwork_at("2026-06-23T09:00:00Z").await;
    assert_eq!(market.clockwork_at("2026-06-30T08:59:59Z").await, 0);
    // Slots end by themselves, also before clockwork comes by.
    market.advance_to("2026-06-30T09:00:00Z".parse().unwrap());
    let next = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(next.str("state"), "submitted");
    let late = market.act(&market.ada.key, &deal, "lost", json!({})).await;
    let sale = json!({ "amount": "10.00", "currency": "GBP" });
    if late.status.is_success() {
        panic!(
            "what clockwork has not expired yet is over all the same: {}",
            late.text
        );
    }
    let _ = market
        .decide(&deal, "won", sale)
        .await
        .problem(409, "wrong_state");
    assert_eq!(market.clockwork_at("2026-06-30T09:00:00Z").await, 1);
    assert_eq!(market.read(&deal).await.str("state"), "expired");
    assert_eq!(
        market.happened(&market.ada.key, &deal).await,
        [
            "created",
            "submitted",
            "approved",
            "reminded",
            "reminded",
            "extended",
            "reminded",
            "reminded",
            "expired"
        ]
    );
    let path = format!("/v1/deals?program={}&state=expired", market.program);
    assert_eq!(market.world.get(&path).await.expect(200).items().len(), 1);
}

#[tokio::test]
async fn what_a_partner_lacks_is_found_and_rejected_where_the_program_says_so() {
    let review = json!({
        "benefit": { "kind": "commission", "event": "deal" },
        "eligibility": { "requirements": [{ "product_lines": ["crm"], "tier": "gold", "certifications": ["crm-pro"] }] },
        "auto_approve": [{ "when": { "amount_below": "5000.00" }, "tiers": ["gold"] }],
    });
    let market = market(review.clone()).await;
    let profile =
        json!({ "tier": "silver", "product_lines": ["erp"], "territories": [{ "country": "GB" }] });
    describe(&market, &market.ada, profile).await;
    let found = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let kinds: Vec<&str> = found.body["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "out_of_territory",
            "line_not_sold",
            "tier_too_low",
            "certification_missing"
        ]
    );
    assert_eq!(found.body["under_examination"], false);
    assert_eq!(found.str("state"), "submitted");
    // One who has it all is approved at once, as long as the amount is small.
    let profile = json!({ "tier": "gold", "certifications": ["crm-pro"], "territories": [{ "country": "DE" }] });
    describe(&market, &market.bob, profile).await;
    let mut small = market.deal("other.com");
    small["customer"]["name"] = json!("Initech");
    small["amount"] = json!("4999.99");
    let approved = market.register(&market.bob, &small).await.expect(201);
    assert_eq!(approved.str("state"), "approved");
    assert_eq!(approved.str("protected_until"), "2026-05-31T09:00:00Z");
    assert_eq!(
        market
            .read(approved.str("id"))
            .await
            .str("/benefit/approved_by"),
        "rule"
    );
    let resolve = format!("/v1/programs/{}/claims:resolve", market.program);
    let asked = json!({ "customer": { "domain": "other.com" } });
    let whose = market.world.post(&resolve, asked).await.expect(200);
    assert_eq!(
        whose.str("/winner/partner"),
        market.bob.partner,
        "{}",
        whose.text
    );
    small["customer"] = json!({ "name": "Hooli", "country": "DE", "domain": "hooli.com" });
    small["amount"] = json!("5000.00");
    let waits = market.register(&market.bob, &small).await.expect(201);
    assert_eq!(waits.str("state"), "submitted");
    // A program may reject at once.
    let mut reject = review;
    reject["eligibility"]["otherwise"] = json!("reject");
    let path = format!("/v1/programs/{}/deal-policy", market.program);
    let based_on = [("if-match", "\"1\"")];
    let set = market
        .world
        .ask(
            &market.world.key,
            Method::PUT,
            &path,
            &based_on,
            Some(&reject),
        )
        .await;
    let _ = set.expect(200);
    let rejected = market
        .register(&market.ada, &market.deal("third.com"))
        .await
        .expect(201);
    assert_eq!(
        (rejected.str("state"), rejected.str("/rejection/reason")),
        ("rejected", "out_of_territory")
    );
}

#[tokio::test]
async fn a_suspended_partner_one_outside_and_a_program_without_a_policy_register_nothing() {
    let market = market(simple()).await;
    let path = format!("/v1/partners/{}/suspend", market.ada.partner);
    let _ = market.world.post(&path, json!({})).await.expect(200);
    market.advance_to(market.world.now() + jiff::SignedDuration::from_mins(1));
    let refused = market.register(&market.ada, &market.deal("acme.com")).await;
    let _ = refused.problem(422, "partner_suspended");
    let (other, _, _) = market
        .world
        .program(
            30,
            json!([{ "kind": "percent", "event": "deal", "rate": "0.10" }]),
        )
        .await;
    let mut body = market.deal("acme.com");
    body["program"] = json!(other);
    let closed = market.register(&market.bob, &body).await;
    let closed = closed.problem(422, "reference_unknown");
    assert_eq!(closed.str("/errors/0/field"), "program");
    let path = format!("/v1/programs/{other}/deal-policy");
    let _ = market.world.get(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn deals_wait_for_the_terms_that_block_them() {
    let market = market(simple()).await;
    let mut draft = market.deal("acme.com");
    draft["draft"] = json!(true);
    let draft = market.register(&market.ada, &draft).await.expect(201);
    let terms = json!({ "title": "Partner terms", "text": "1. Be kind.", "blocks": ["deals"] });
    let path = format!("/v1/programs/{}/agreements", market.program);
    let published = market.world.post(&path, terms).await.expect(201);
    market.advance_to(market.world.now() + jiff::SignedDuration::from_mins(1));
    let refused = market.register(&market.ada, &market.deal("acme.com")).await;
    assert_eq!(refused.str("code"), "terms_not_accepted");
    let path = format!("/v1/deals/{}/approvers", draft.str("id"));
    let way = market
        .world
        .ask(&market.ada.key, Method::GET, &path, &[], None)
        .await
        .expect(200);
    assert_eq!(way.str("/findings/0/kind"), "agreement_missing");
    let path = format!("/v1/programs/{}/agreements/1/acceptances", market.program);
    let accept = json!({ "hash": published.str("hash") });
    let from = [("x-forwarded-for", "203.0.113.7")];
    let accepted = market
        .world
        .ask(&market.ada.key, Method::POST, &path, &from, Some(&accept))
        .await;
    assert!(accepted.status.is_success(), "{}", accepted.text);
    let submitted = market
        .act(&market.ada.key, draft.str("id"), "submit", json!({}))
        .await;
    assert_eq!(submitted.expect(200).str("state"), "submitted");
}

#[tokio::test]
async fn what_happens_to_a_deal_is_told_in_the_programs_feed() {
    let market = market(simple()).await;
    let deal = market.approved(&market.ada, "acme.com").await;
    market.clockwork_at("2026-05-01T09:00:00Z").await;
    market.advance_to(market.world.now() + jiff::SignedDuration::from_secs(1));
    let sale = json!({ "amount": "10.00", "currency": "GBP" });
    let _ = market.decide(&deal, "won", sale).await.expect(200);
    market.advance_to(market.world.now() + jiff::SignedDuration::from_mins(1));
    let path = format!("/v1/programs/{}/events", market.program);
    let feed = market.world.get(&path).await.expect(200);
    let of_deals = feed.items().iter().filter(|event| event["subject"] == deal);
    let kinds: Vec<&str> = of_deals
        .map(|event| event["type"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        kinds,
        [
            "deal.submitted",
            "deal.approved",
            "deal.expiring",
            "deal.won"
        ],
        "{}",
        feed.text
    );
}

#[tokio::test]
async fn a_day_brings_a_partner_so_many_registrations() {
    let mut policy = simple();
    policy["max_per_day"] = json!(2);
    let market = market(policy).await;
    for domain in ["a1.com", "a2.com"] {
        let _ = market
            .register(&market.ada, &market.deal(domain))
            .await
            .expect(201);
    }
    let refused = market.register(&market.ada, &market.deal("a3.com")).await;
    let _ = refused.problem(429, "daily_limit");
    // Others have days of their own, and drafts are not counted.
    let _ = market
        .register(&market.bob, &market.deal("a3.com"))
        .await
        .expect(201);
    let mut draft = market.deal("a4.com");
    draft["draft"] = json!(true);
    let draft = market.register(&market.ada, &draft).await.expect(201);
    let _ = market
        .act(&market.ada.key, draft.str("id"), "submit", json!({}))
        .await
        .problem(429, "daily_limit");
    market.advance_to("2026-03-03T00:00:00Z".parse().unwrap());
    let _ = market
        .act(&market.ada.key, draft.str("id"), "submit", json!({}))
        .await
        .expect(200);
}

/// Ada's approved deal and Bob's, which was rejected as its duplicate and is disputed.
async fn disputed(market: &Market) -> (String, String) {
    let holder = market.approved(&market.ada, "acme.com").await;
    let second = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(second.str("state"), "rejected");
    let statement = json!({ "statement": "We met them in January." });
    let raised = market
        .act(&market.bob.key, second.str("id"), "dispute", statement)
        .await
        .expect(200);
    assert_eq!(raised.str("/dispute/state"), "open");
    assert_eq!(raised.str("/dispute/decide_by"), "2026-03-16T09:00:00Z");
    assert!(!raised.text.contains(&holder), "{}", raised.text);
    assert_eq!(
        market.seen(&market.ada, &holder).await.body["disputed"],
        true
    );
    let path = format!("/v1/deals?program={}&state=disputed", market.program);
    let open = market.world.get(&path).await.expect(200);
    assert_eq!(open.str("/items/0/id"), second.str("id"));
    assert_eq!(open.str("/items/0/dispute/holder"), holder);
    (second.str("id").to_owned(), holder)
}

#[tokio::test]
async fn a_dispute_is_decided_for_whoever_disputes() {
    let market = market(simple()).await;
    let (challenger, holder) = disputed(&market).await;
    let award = json!({ "outcome": "challenger", "note": "They showed the mail." });
    let decided = market
        .decide(&challenger, "dispute/decision", award.clone())
        .await
        .expect(200);
    assert_eq!(decided.str("state"), "approved");
    assert_eq!(decided.str("/dispute/state"), "challenger");
    let lost = market.seen(&market.ada, &holder).await;
    assert_eq!(
        (lost.str("state"), lost.str("/rejection/reason")),
        ("rejected", "duplicate")
    );
    let _ = market
        .decide(&challenger, "dispute/decision", award)
        .await
        .problem(409, "wrong_state");
    // The slots and the claim went with it.
    let again = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(again.str("state"), "rejected");
    assert_eq!(market.read(again.str("id")).await.str("after"), challenger);
    let resolve = format!("/v1/programs/{}/claims:resolve", market.program);
    market.advance_to(market.world.now() + jiff::SignedDuration::from_secs(1));
    let asked = json!({ "customer": { "domain": "acme.com" } });
    let whose = market.world.post(&resolve, asked).await.expect(200);
    assert_eq!(
        whose.str("/winner/partner"),
        market.bob.partner,
        "{}",
        whose.text
    );
    let sale = json!({ "amount": "100.00", "currency": "GBP" });
    let _ = market.decide(&challenger, "won", sale).await.expect(200);
    market.world.settle().await;
    assert_eq!(market.world.balances(&market.bob.partner).await[0], "10.00");
}

#[tokio::test]
async fn a_dispute_is_decided_for_both() {
    let market = market(simple()).await;
    let (challenger, holder) = disputed(&market).await;
    let bare = market
        .decide(
            &challenger,
            "dispute/decision",
            json!({ "outcome": "split" }),
        )
        .await;
    let bare = bare.problem(422, "required");
    assert_eq!(bare.str("/errors/0/field"), "share");
    let award = json!({ "outcome": "split", "share": "0.40" });
    let decided = market
        .decide(&challenger, "dispute/decision", award)
        .await
        .expect(200);
    assert_eq!(
        (decided.str("state"), decided.str("share")),
        ("approved", "0.40")
    );
    assert_eq!(market.read(&holder).await.str("share"), "0.60");
    let sale = json!({ "amount": "100.00", "currency": "GBP" });
    let _ = market.decide(&holder, "won", sale).await.expect(200);
    market.world.settle().await;
    assert_eq!(market.world.balances(&market.ada.partner).await[0], "6.00");
    assert_eq!(market.world.balances(&market.bob.partner).await[0], "4.00");
}

#[tokio::test]
async fn a_dispute_is_decided_for_neither_and_the_customer_is_free() {
    let market = market(simple()).await;
    let (challenger, holder) = disputed(&market).await;
    let award = json!({ "outcome": "neither" });
    let decided = market
        .decide(&challenger, "dispute/decision", award)
        .await
        .expect(200);
    assert_eq!(decided.str("state"), "rejected");
    assert_eq!(market.read(&holder).await.str("state"), "rejected");
    let next = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(next.str("state"), "submitted");
}

#[tokio::test]
async fn a_dispute_that_nobody_decides_ends_for_whoever_has_the_deal() {
    let market = market(simple()).await;
    let (challenger, holder) = disputed(&market).await;
    assert_eq!(market.clockwork_at("2026-03-16T08:59:59Z").await, 0);
    assert_eq!(market.clockwork_at("2026-03-16T09:00:00Z").await, 1);
    let over = market.seen(&market.bob, &challenger).await;
    assert_eq!(
        (over.str("state"), over.str("/dispute/state")),
        ("rejected", "holder")
    );
    let kept = market.seen(&market.ada, &holder).await;
    assert_eq!(
        (kept.str("state"), &kept.body["disputed"]),
        ("approved", &json!(false))
    );
    let again = json!({ "statement": "Still." });
    let again = market
        .act(&market.bob.key, &challenger, "dispute", again)
        .await;
    let _ = again.problem(409, "dispute_open");
}

#[tokio::test]
async fn only_a_duplicate_is_disputed_and_in_time() {
    let market = market(simple()).await;
    let _ = market.approved(&market.ada, "acme.com").await;
    let second = market
        .register(&market.bob, &market.deal("acme.com"))
        .await
        .expect(201);
    let other = market
        .register(&market.bob, &market.deal("other.com"))
        .await
        .expect(201);
    let reason = json!({ "reason": "no_value_added" });
    let _ = market
        .decide(other.str("id"), "reject", reason)
        .await
        .expect(200);
    let raise = async |deal: &str| {
        let statement = json!({ "statement": "So it is." });
        market
            .act(&market.bob.key, deal, "dispute", statement)
            .await
    };
    let _ = raise(other.str("id")).await.problem(409, "wrong_state");
    market.advance_to("2026-03-16T09:00:01Z".parse().unwrap());
    let _ = raise(second.str("id")).await.problem(422, "dispute_late");
}

#[tokio::test]
async fn a_draft_changes_with_its_version_until_it_is_handed_in() {
    let market = market(simple()).await;
    let mut draft = market.deal("acme.com");
    draft["draft"] = json!(true);
    draft["description"] = json!("Two offices.");
    draft["contact"] = json!({ "name": "Grace Hopper", "email": "grace@acme.com" });
    let draft = market.register(&market.ada, &draft).await.expect(201);
    let deal = draft.str("id");
    assert_eq!(
        (draft.str("state"), draft.str("/contact/name")),
        ("draft", "Grace Hopper")
    );
    let path = format!("/v1/deals/{deal}");
    let patch = async |tag: &str, body: Value| {
        let based_on = [("if-match", tag)];
        let based_on: &[(&str, &str)] = if tag.is_empty() { &[] } else { &based_on };
        market
            .world
            .ask(&market.ada.key, Method::PATCH, &path, based_on, Some(&body))
            .await
    };
    let change = json!({ "amount": "30000.00", "currency": "GBP", "description": null, "expected_close": "2026-06-30" });
    let changed = patch("\"1\"", change.clone()).await.expect(200);
    assert_eq!(
        (changed.str("amount"), changed.str("expected_close")),
        ("30000.00", "2026-06-30")
    );
    assert_eq!(changed.body["description"], Value::Null);
    assert_eq!(changed.str("/contact/email"), "grace@acme.com");
    let _ = patch("\"1\"", change.clone())
        .await
        .problem(412, "version_stale");
    let _ = patch("", change.clone())
        .await
        .problem(428, "if_match_missing");
    let elsewhere = json!({ "customer": { "name": "Globex", "domain": "globex.com" }, "product_lines": ["erp"] });
    let moved = patch("\"2\"", elsewhere).await.expect(200);
    assert_eq!(moved.str("/customer/domain"), "globex.com");
    // A draft holds nothing.
    let _ = market.approved(&market.bob, "acme.com").await;
    let submitted = market
        .act(&market.ada.key, deal, "submit", json!({}))
        .await
        .expect(200);
    assert_eq!(submitted.str("state"), "submitted");
    let _ = patch("\"4\"", change).await.problem(409, "wrong_state");
    let _ = market
        .act(&market.ada.key, deal, "submit", json!({}))
        .await
        .problem(409, "wrong_state");
}

#[tokio::test]
async fn another_partner_meets_nothing_of_a_deal() {
    let market = market(simple()).await;
    let deal = market.approved(&market.ada, "acme.com").await;
    for part in ["", "/timeline", "/approvers"] {
        let path = format!("/v1/deals/{deal}{part}");
        let answer = market
            .world
            .ask(&market.bob.key, Method::GET, &path, &[], None)
            .await;
        let _ = answer.problem(404, "not_found");
    }
    for (what, body) in [
        ("submit", json!({})),
        ("withdraw", json!({})),
        ("extend", json!({})),
        ("lost", json!({})),
        ("dispute", json!({ "statement": "Mine." })),
        ("supply-information", json!({ "answer": "Mine." })),
    ] {
        let answer = market.act(&market.bob.key, &deal, what, body).await;
        let _ = answer.problem(404, "not_found");
    }
    for (what, body) in [
        ("approve", json!({})),
        ("reject", json!({ "reason": "duplicate" })),
        ("won", json!({ "amount": "1.00", "currency": "GBP" })),
    ] {
        let answer = market.act(&market.ada.key, &deal, what, body).await;
        let _ = answer.problem(403, "forbidden");
    }
    let path = format!("/v1/deals?partner={}", market.ada.partner);
    let answer = market
        .world
        .ask(&market.bob.key, Method::GET, &path, &[], None)
        .await;
    let _ = answer.problem(404, "not_found");
    assert_eq!(market.read(&deal).await.str("state"), "approved");
}

#[tokio::test]
async fn deals_are_listed_by_partner_program_and_state_page_by_page_and_as_a_sheet() {
    let market = market(simple()).await;
    for number in 0..7 {
        let mut body = market.deal(&format!("customer{number}.com"));
        body["name"] = json!("=HYPERLINK(\"https://evil.example\")");
        body["customer"]["name"] = json!("@SUM(A1:A9)");
        let seller = if number % 2 == 0 {
            &market.ada
        } else {
            &market.bob
        };
        let made = market.register(seller, &body).await.expect(201);
        if number >= 5 {
            let _ = market
                .decide(made.str("id"), "approve", json!({}))
                .await
                .expect(200);
        }
        market.advance_to(market.world.now() + jiff::SignedDuration::from_secs(1));
    }
    let get = async |key: &str, query: &str| {
        let path = format!("/v1/deals{query}");
        market.world.ask(key, Method::GET, &path, &[], None).await
    };
    let program = format!("?program={}", market.program);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&market.world.key, &format!("{program}&limit=3{cursor}"))
            .await
            .expect(200);
        seen.extend(
            page.items()
                .iter()
                .map(|deal| deal["id"].as_str().unwrap().to_owned()),
        );
        let next = page.str("next_cursor").to_owned();
        if next.is_empty() {
            break;
        }
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 7);
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first: {seen:?}"
    );
    let count = async |key: &str, query: &str| get(key, query).await.expect(200).items().len();
    let admin = &market.world.key;
    assert_eq!(count(admin, &format!("{program}&state=approved")).await, 2);
    assert_eq!(
        count(
            admin,
            &format!("{program}&state=submitted&partner={}", market.ada.partner)
        )
        .await,
        3
    );
    assert_eq!(
        count(admin, &format!("?partner={}", market.bob.partner)).await,
        3
    );
    assert_eq!(count(&market.ada.key, "").await, 4);
    assert_eq!(count(&market.ada.key, "?state=approved").await, 1);
    let foreign = get(admin, &format!("{program}&state=approved{cursor}")).await;
    let _ = foreign.problem(422, "cursor_invalid");
    let _ = get(admin, "").await.problem(422, "required");
    let _ = get(admin, &format!("{program}&state=open"))
        .await
        .problem(422, "not_one_of");
    let _ = get(admin, &format!("{program}&format=xls"))
        .await
        .problem(422, "not_one_of");
    let sheet = get(admin, &format!("{program}&format=csv&limit=5"))
        .await
        .expect(200);
    assert_eq!(
        sheet.headers[header::CONTENT_TYPE],
        "text/csv; charset=utf-8"
    );
    let mut reader = csv::Reader::from_reader(sheet.text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 5);
    for cell in rows.iter().flat_map(|row| row.iter()) {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    assert_eq!(&rows[0][4], "'=HYPERLINK(\"https://evil.example\")");
    let next = sheet.headers["tributary-next-cursor"].to_str().unwrap();
    let rest = get(
        admin,
        &format!("{program}&format=csv&limit=5&cursor={next}"),
    )
    .await
    .expect(200);
    assert_eq!(
        rest.text.lines().count(),
        2,
        "no second header: {}",
        rest.text
    );
}

#[tokio::test]
async fn the_pipeline_sums_up_by_stage_age_and_partner() {
    let market = market(simple()).await;
    let _ = market.approved(&market.ada, "a.com").await;
    market.advance_to("2026-04-15T09:00:00Z".parse().unwrap());
    let mut small = market.deal("b.com");
    small["amount"] = json!("1000.50");
    let _ = market.register(&market.bob, &small).await.expect(201);
    let lost = market.approved(&market.bob, "c.com").await;
    let _ = market
        .act(&market.bob.key, &lost, "lost", json!({}))
        .await
        .expect(200);
    let path = format!("/v1/programs/{}/pipeline", market.program);
    let pipeline = market.world.get(&path).await.expect(200);
    assert_eq!(
        pipeline.body["total"],
        json!({ "deals": 2, "amount": "26000.50" })
    );
    assert_eq!(
        pipeline.body["by_stage"][0],
        json!({ "state": "submitted", "deals": 1, "amount": "1000.50" })
    );
    assert_eq!(
        pipeline.body["by_stage"][3],
        json!({ "state": "approved", "deals": 1, "amount": "25000.00" })
    );
    let ages: Vec<u64> = pipeline.body["by_age"]
        .as_array()
        .unwrap()
        .iter()
        .map(|age| age["deals"].as_u64().unwrap())
        .collect();
    assert_eq!(ages, [1, 1, 0, 0]);
    assert_eq!(pipeline.str("/by_partner/0/partner"), market.ada.partner);
    assert_eq!(pipeline.body["truncated"], false);
}

fn dynamodb(calls: &[Recorded]) -> Vec<&str> {
    let of_the_table = calls
        .iter()
        .filter(|call| call.service == Service::DynamoDb);
    of_the_table.map(|call| call.operation.as_str()).collect()
}

#[tokio::test]
async fn a_registration_is_one_look_and_one_transaction() {
    let market = market(simple()).await;
    // What is not there is never remembered, so a partner without a profile is looked up beside.
    describe(&market, &market.ada, json!({ "tier": "gold" })).await;
    let _ = market
        .register(&market.ada, &market.deal("warm.com"))
        .await
        .expect(201);
    let recorder = market.world.instance.cloud().recorder();
    recorder.start();
    let mut body = market.deal("acme.com");
    body["customer"] = json!({ "name": "Hooli", "country": "GB", "domain": "hooli.com", "tax_id": "GB123456789", "crm_id": "A-1" });
    body["product_lines"] = json!(["crm", "erp"]);
    let _ = market.register(&market.ada, &body).await.expect(201);
    let calls = recorder.stop();
    // Queries for names alike run beside the batch of keys: one round trip.
    let operations = dynamodb(&calls);
    let (writes, reads): (Vec<&str>, Vec<&str>) = operations
        .iter()
        .partition(|operation| operation.starts_with("Transact"));
    assert_eq!(writes, ["TransactWriteItems"]);
    assert_eq!(
        reads.iter().filter(|read| **read == "BatchGetItem").count(),
        1
    );
    assert!(
        reads
            .iter()
            .all(|read| ["BatchGetItem", "Query"].contains(read)),
        "{reads:?}"
    );
    let transaction = calls
        .iter()
        .find(|call| call.operation == "TransactWriteItems")
        .unwrap();
    let items = transaction.request["TransactItems"]
        .as_array()
        .unwrap()
        .len();
    assert!(items < 30, "{items} items");
}

#[tokio::test]
async fn a_repeated_registration_is_answered_as_the_first_time() {
    let market = market(simple()).await;
    let body = market.deal("acme.com");
    let ask = async |key: &str| {
        let once = [("idempotency-key", key)];
        market
            .world
            .ask(
                &market.ada.key,
                Method::POST,
                "/v1/deals",
                &once,
                Some(&body),
            )
            .await
    };
    let first = ask("one").await.expect(201);
    let again = ask("one").await.expect(201);
    assert_eq!(first.text, again.text);
    let _ = ask("two").await.problem(409, "exists");
}

#[tokio::test]
async fn every_wrong_field_of_a_registration_is_named() {
    let market = market(simple()).await;
    let sound = market.deal("acme.com");
    for (field, value, code) in [
        ("program", json!("prg_x"), "id_malformed"),
        (
            "program",
            json!("prg_01kar52v4e8qzr5n3m6x7p9tdc"),
            "reference_unknown",
        ),
        (
            "partner",
            json!("ptr_01kar52v4e8qzr5n3m6x7p9tdc"),
            "reference_unknown",
        ),
        ("name", json!(""), "too_short"),
        ("name", json!("x".repeat(121)), "too_long"),
        ("name", Value::Null, "required"),
        ("customer", json!("Acme"), "wrong_type"),
        ("customer.domain", json!("gmail.com"), "domain_unfit"),
        ("customer.domain", Value::Null, "required"),
        ("customer.country", json!("XX"), "country_unknown"),
        ("customer.email", json!("nobody"), "email_malformed"),
        ("customer.odd", json!(1), "unknown_field"),
        ("product_lines", json!("crm"), "wrong_type"),
        ("product_lines", json!([]), "required"),
        ("product_lines[0]", json!(["hrm"]), "reference_unknown"),
        ("amount", json!(25), "decimal_string_expected"),
        ("amount", json!("0"), "out_of_range"),
        ("amount", json!("-5"), "amount_negative"),
        ("currency", json!("EUR"), "currency_mismatch"),
        ("currency", json!("XYZ"), "currency_unknown"),
        ("expected_close", json!("30.6.2026"), "date_malformed"),
        ("description", json!(" "), "too_short"),
        (
            "contact.email",
            json!({ "name": "Ada", "email": "x" }),
            "email_malformed",
        ),
        (
            "contact.name",
            json!({ "email": "ada@acme.com" }),
            "required",
        ),
        ("draft", json!("yes"), "wrong_type"),
        ("surprise", json!(1), "unknown_field"),
    ] {
        let mut body = sound.clone();
        let base = field.split('[').next().unwrap();
        match base.split_once('.') {
            Some(("customer", inner)) => body["customer"][inner] = value,
            Some((outer, _)) => body[outer] = value,
            None => body[base] = value,
        }
        let answer = market.register(&market.ada, &body).await.problem(422, code);
        assert_eq!(answer.str("/errors/0/field"), field, "{}", answer.text);
        assert!(!answer.str("/errors/0/reason").is_empty());
    }
    let mut twice = sound;
    twice["product_lines"] = json!(["crm", "crm"]);
    let twice = market.register(&market.ada, &twice).await;
    let twice = twice.problem(409, "exists");
    assert_eq!(twice.str("/errors/0/field"), "product_lines[1]");
    let path = format!("/v1/deals?program={}", market.program);
    assert_eq!(market.world.get(&path).await.expect(200).items().len(), 0);
}

#[tokio::test]
async fn every_wrong_field_of_a_decision_is_named() {
    let market = market(simple()).await;
    let registered = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    let deal = registered.str("id");
    for (what, body, field, code) in [
        ("request-information", json!({}), "question", "required"),
        (
            "request-information",
            json!({ "question": "x".repeat(2001) }),
            "question",
            "too_long",
        ),
        (
            "reject",
            json!({ "reason": "because" }),
            "reason",
            "not_one_of",
        ),
        ("reject", json!({ "note": "x" }), "reason", "required"),
        (
            "reject",
            json!({ "reason": "duplicate", "note": "x".repeat(501) }),
            "note",
            "too_long",
        ),
        ("approve", json!({ "step": "board" }), "step", "not_one_of"),
        (
            "approve",
            json!({ "discount_rate": "0.1" }),
            "discount_rate",
            "unknown_field",
        ),
        (
            "approve",
            json!({ "discount_rate": "1" }),
            "discount_rate",
            "out_of_range",
        ),
        ("approve", json!({ "odd": 1 }), "odd", "unknown_field"),
        ("review", json!({ "odd": 1 }), "odd", "unknown_field"),
        (
            "dispute/decision",
            json!({ "outcome": "both" }),
            "outcome",
            "not_one_of",
        ),
        (
            "dispute/decision",
            json!({ "outcome": "split", "share": "1.00" }),
            "share",
            "out_of_range",
        ),
        (
            "dispute/decision",
            json!({ "outcome": "holder", "share": "0.5" }),
            "share",
            "unknown_field",
        ),
        ("won", json!({ "currency": "GBP" }), "amount", "required"),
        (
            "won",
            json!({ "amount": "0.00", "currency": "GBP" }),
            "amount",
            "out_of_range",
        ),
        (
            "won",
            json!({ "amount": "1.00", "currency": "EUR" }),
            "currency",
            "currency_mismatch",
        ),
        (
            "won",
            json!({ "amount": "1.00", "currency": "GBP", "occurred_at": "soon" }),
            "occurred_at",
            "time_malformed",
        ),
    ] {
        let answer = market.decide(deal, what, body).await.problem(422, code);
        assert_eq!(
            answer.str("/errors/0/field"),
            field,
            "{what}: {}",
            answer.text
        );
    }
    let _ = market
        .decide(deal, "won", json!({ "amount": "1.00", "currency": "GBP" }))
        .await
        .problem(409, "wrong_state");
    let _ = market.decide(deal, "approve", json!({})).await.expect(200);
    let ahead =
        json!({ "amount": "1.00", "currency": "GBP", "occurred_at": "2026-03-02T09:06:00Z" });
    let _ = market
        .decide(deal, "won", ahead)
        .await
        .problem(422, "time_in_future");
    let based_on = [("if-match", "\"1\"")];
    let path = format!("/v1/deals/{deal}/lost");
    let stale = market
        .world
        .ask(
            &market.ada.key,
            Method::POST,
            &path,
            &based_on,
            Some(&json!({})),
        )
        .await;
    let _ = stale.problem(412, "version_stale");
    let missing = market
        .world
        .ask(&market.ada.key, Method::POST, &path, &[], Some(&json!({})))
        .await;
    let _ = missing.problem(428, "if_match_missing");
    for (path, found) in [
        ("/v1/deals/deal_x", "not_found"),
        ("/v1/deals/deal_01kar52v4e8qzr5n3m6x7p9tdc", "not_found"),
    ] {
        let _ = market.world.get(path).await.problem(404, found);
    }
}

#[tokio::test]
async fn a_policy_names_what_there_is_and_replaces_the_version_that_was_read() {
    let market = market(simple()).await;
    let path = format!("/v1/programs/{}/deal-policy", market.program);
    let put = async |tag: &str, body: &Value| {
        let based_on = [("if-match", tag)];
        let based_on: &[(&str, &str)] = if tag.is_empty() { &[] } else { &based_on };
        market
            .world
            .ask(&market.world.key, Method::PUT, &path, based_on, Some(body))
            .await
    };
    let _ = put("", &simple()).await.problem(428, "if_match_missing");
    let _ = put("\"7\"", &simple()).await.problem(412, "version_stale");
    let with = |name: &str, value: Value| {
        let mut body = simple();
        body[name] = value;
        body
    };
    let nobody = "opr_01kar52v4e8qzr5n3m6x7p9tdc";
    for (name, value, field) in [
        (
            "eligibility",
            json!({ "requirements": [{ "tier": "platinum" }] }),
            "eligibility.requirements[0].tier",
        ),
        (
            "eligibility",
            json!({ "requirements": [{ "certifications": ["crm-pro", "x"] }] }),
            "eligibility.requirements[0].certifications[1]",
        ),
        (
            "approval",
            json!([{ "when": { "product_lines": ["hrm"] }, "steps": [{ "name": "a" }] }]),
            "approval[0].when.product_lines[0]",
        ),
        (
            "approval",
            json!([{ "steps": [{ "name": "a", "approvers": [nobody] }] }]),
            "approval[0].steps[0].approvers[0]",
        ),
        (
            "approval",
            json!([{ "steps": [{ "name": "a", "escalate_to": nobody }] }]),
            "approval[0].steps[0].escalate_to",
        ),
        (
            "auto_approve",
            json!([{ "tiers": ["wood"] }]),
            "auto_approve[0].tiers[0]",
        ),
        (
            "stakes",
            json!([{ "operator": nobody, "domains": ["acme.com"] }]),
            "stakes[0].operator",
        ),
    ] {
        let answer = put("\"1\"", &with(name, value))
            .await
            .problem(422, "reference_unknown");
        assert_eq!(answer.str("/errors/0/field"), field, "{}", answer.text);
    }
    let sound = with("protection_days", json!(30));
    assert_eq!(put("\"1\"", &sound).await.expect(200).body["version"], 2);
    let read = market.world.get(&path).await.expect(200);
    assert_eq!(
        (
            read.body["protection_days"].as_u64(),
            read.str("/hours/time_zone")
        ),
        (Some(30), "UTC")
    );
    let theirs = market
        .world
        .ask(&market.ada.key, Method::GET, &path, &[], None)
        .await;
    let _ = theirs.problem(403, "forbidden");
}
