//! Two accounts of one partner become one: what follows, what stays, and that no cent is paid twice or lost.

use axum::http::{Method, header};
use serde_json::{Value, json};
use tributary::merges;
use tributary_tests::{Answer, Stand, World};

use crate::crashes::{Death, Killer};

/// Two partners in a program who have each sold, and Cleo who was never merged.
struct Firm {
    world: World,
    /// Ada's stand: the one that goes.
    ada: Stand,
    /// Bob's: the one that stays.
    bob: Stand,
}

impl Firm {
    async fn open() -> Self {
        let world = World::start().await;
        let ada = world.stand().await;
        let (partner, link, coupon) = world.partner_in(&ada.program, "Bob").await;
        let bob = Stand {
            partner,
            link,
            coupon,
            ..ada.clone()
        };
        Self { world, ada, bob }
    }

    fn minutes_pass(&self, minutes: i64) {
        let to = tributary::clock::minutes_after(self.world.now(), minutes);
        self.world.instance.app().clock.set(to);
    }

    /// So much later the clockwork runs and everything is delivered.
    async fn after_minutes(&self, minutes: i64) {
        self.minutes_pass(minutes);
        let _ = self.world.clockwork().await;
        self.world.settle().await;
    }

    /// Until nothing of a merge is on its way any more.
    async fn rest(&self) {
        for _ in 0..4 {
            self.after_minutes(11).await;
        }
    }

    async fn merge(&self) -> Answer {
        let body = json!({ "into": self.bob.partner, "reason": "Two accounts of one firm" });
        self.world.post(&self.path(&self.ada, "/merge"), body).await
    }

    fn path(&self, stand: &Stand, rest: &str) -> String {
        format!("/v1/partners/{}{rest}", stand.partner)
    }

    async fn key(&self, stand: &Stand) -> String {
        let made = self.world.post(&self.path(stand, "/keys"), json!({})).await;
        made.expect(201).str("key").to_owned()
    }

    async fn balances(&self) -> [[String; 4]; 2] {
        [
            self.world.balances(&self.ada.partner).await,
            self.world.balances(&self.bob.partner).await,
        ]
    }

    async fn paid_to(&self, conversion: &str) -> String {
        let path = format!("/v1/conversions/{conversion}");
        let read = self.world.get(&path).await.expect(200);
        read.body["attribution"]["partner"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

#[tokio::test]
async fn what_is_payable_moves_once_and_is_paid_to_the_other_alone() {
    let firm = Firm::open().await;
    let world = &firm.world;
    for number in 0..3 {
        let _ = world.sale(&firm.ada, &format!("a-{number}"), "49.00").await;
    }
    let _ = world.sale(&firm.bob, "b-0", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    assert_eq!(
        firm.balances().await,
        [
            ["0.00", "44.10", "0.00", "0.00"],
            ["0.00", "14.70", "0.00", "0.00"]
        ]
    );

    let merged = firm.merge().await.expect(200);
    assert_eq!(merged.body["settled"], false);
    let ada = world.get(&firm.path(&firm.ada, "")).await.expect(200);
    assert_eq!(
        (ada.str("status"), ada.str("merged_into")),
        ("archived", firm.bob.partner.as_str())
    );
    let bob = world.get(&firm.path(&firm.bob, "")).await.expect(200);
    assert_eq!(bob.body["absorbed"], json!([firm.ada.partner]));
    let again = firm.merge().await.expect(200);
    assert_eq!(
        again.str("merged_at"),
        merged.str("merged_at"),
        "the same again is what stands"
    );

    // Money rests until no payout can be under way that still took her for active.
    firm.after_minutes(1).await;
    assert_eq!(firm.balances().await[0][1], "44.10");
    let batch = world.batch(&firm.ada.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.str("/left_out/0/partner"), firm.ada.partner);
    assert_eq!(batch.str("/left_out/0/reason"), "merged");
    let own = batch.str("/lines/0/payout").to_owned();
    let file = format!(
        "/v1/payouts/batches/{}/file?format=paypal&part=1",
        batch.str("id")
    );
    let _ = world.get(&file).await.expect(200);
    let _ = world
        .post(&format!("/v1/payouts/{own}/settle"), json!({}))
        .await
        .expect(200);

    firm.after_minutes(20).await;
    firm.rest().await;
    assert_eq!(
        firm.balances().await,
        [
            ["0.00", "0.00", "0.00", "0.00"],
            ["0.00", "44.10", "0.00", "14.70"]
        ]
    );
    let merge = world.get(&firm.path(&firm.ada, "/merge")).await.expect(200);
    assert_eq!(merge.body["settled"], true);
    assert_eq!(
        merge.body["moved"],
        json!([{ "program": firm.ada.program, "amount": "44.10", "currency": "GBP", "transfers": 1 }])
    );
    for days in [1, 1, 40] {
        world.advance_days(days).await;
    }
    let later = world.get(&firm.path(&firm.ada, "/merge")).await.expect(200);
    assert_eq!(
        later.body["moved"], merge.body["moved"],
        "nothing moves twice"
    );

    let batch = world.batch(&firm.ada.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.body["payout_count"], 1);
    assert_eq!(batch.str("/lines/0/partner"), firm.bob.partner);
    assert_eq!(batch.str("/lines/0/amount"), "44.10");
}

#[tokio::test]
async fn what_she_brings_is_the_others_and_what_she_brought_stays_hers() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let before = world.sale(&firm.ada, "a-before", "49.00").await;
    let clicked = world.click(&firm.ada.link).await;
    world.settle().await;
    let key = firm.key(&firm.bob).await;
    let hers = format!("/v1/conversions?partner={}", firm.ada.partner);
    let foreign = world.ask(&key, Method::GET, &hers, &[], None).await;
    let _ = foreign.problem(404, "not_found");
    let _ = firm.merge().await.expect(200);
    firm.minutes_pass(1);

    // At once, before anything has changed hands: a click from before, a click and a coupon from after.
    let posted = json!({ "transaction_id": "a-clicked", "amount": "49.00", "currency": "GBP", "click_id": clicked });
    let clicked = world.postback(&firm.ada, posted).await.expect(201);
    let clicked = clicked.str("conversion").to_owned();
    let after = world.sale(&firm.ada, "a-after", "49.00").await;
    let coupon = json!({ "transaction_id": "a-coupon", "amount": "49.00", "currency": "GBP", "coupon": firm.ada.coupon });
    let coupon = world.postback(&firm.ada, coupon).await.expect(201);
    let coupon = coupon.str("conversion").to_owned();
    world.settle().await;
    for conversion in [&clicked, &after, &coupon] {
        assert_eq!(firm.paid_to(conversion).await, firm.bob.partner);
    }
    assert_eq!(firm.paid_to(&before).await, firm.ada.partner);

    firm.rest().await;
    firm.rest().await;
    let links = world
        .ask(&key, Method::GET, "/v1/links", &[], None)
        .await
        .expect(200);
    assert_eq!(links.items().len(), 2, "{}", links.text);
    let coupons = world
        .get(&format!("/v1/coupons?partner={}", firm.bob.partner))
        .await
        .expect(200);
    assert_eq!(coupons.items().len(), 2);
    let none = world
        .get(&format!("/v1/links?partner={}", firm.ada.partner))
        .await
        .expect(200);
    assert_eq!(none.items().len(), 0);
    let last = world.sale(&firm.ada, "a-last", "49.00").await;
    world.settle().await;
    assert_eq!(firm.paid_to(&last).await, firm.bob.partner);
    // What was hers is read by whom she was merged into, and by nobody else.
    let seen = world
        .ask(&key, Method::GET, &hers, &[], None)
        .await
        .expect(200);
    assert_eq!(seen.items().len(), 1);
    let path = format!("/v1/conversions/{before}");
    let _ = world
        .ask(&key, Method::GET, &path, &[], None)
        .await
        .expect(200);
    // To read is not to change.
    let person = json!({ "name": "Ida", "email": "ida@mill.example", "role": "owner" });
    let path = firm.path(&firm.ada, "/members");
    let refused = world
        .ask(&key, Method::POST, &path, &[], Some(&person))
        .await;
    let _ = refused.problem(404, "not_found");
    let (cleo, ..) = world.partner_in(&firm.ada.program, "Cleo").await;
    let cleo = world
        .post(&format!("/v1/partners/{cleo}/keys"), json!({}))
        .await
        .expect(201);
    let refused = world
        .ask(cleo.str("key"), Method::GET, &hers, &[], None)
        .await;
    let _ = refused.problem(404, "not_found");

    // What is held becomes payable in its time, and follows then.
    world.advance_days(30).await;
    firm.rest().await;
    world.advance_days(1).await;
    firm.rest().await;
    assert_eq!(
        firm.balances().await,
        [
            ["0.00", "0.00", "0.00", "0.00"],
            ["0.00", "73.50", "0.00", "0.00"]
        ]
    );
    // So does what is taken back.
    let reversal = json!({ "reversal_id": "r-1", "reason": "sent back" });
    let _ = world
        .post(&format!("/v1/conversions/{before}/reversals"), reversal)
        .await
        .expect(200);
    world.settle().await;
    for _ in 0..2 {
        world.advance_days(1).await;
        firm.rest().await;
    }
    assert_eq!(
        firm.balances().await,
        [
            ["0.00", "0.00", "0.00", "0.00"],
            ["0.00", "58.80", "0.00", "0.00"]
        ]
    );
}

#[tokio::test]
async fn a_deal_goes_on_with_its_protection_and_is_won_by_the_other() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let program = &firm.ada.program;
    let policy = json!({ "benefit": { "kind": "commission", "event": "sale" } });
    let _ = world
        .put(&format!("/v1/programs/{program}/deal-policy"), policy)
        .await
        .expect(200);
    let ada = firm.key(&firm.ada).await;
    let bob = firm.key(&firm.bob).await;
    let deal = |domain: &str| {
        json!({ "program": program, "name": "Rollout", "customer": { "name": "Acme GmbH", "country": "DE", "domain": domain },
            "amount": "25000.00", "currency": "GBP" })
    };
    let register = async |key: &str, body: &Value| {
        world
            .ask(key, Method::POST, "/v1/deals", &[], Some(body))
            .await
    };
    let act = async |deal: &str, what: &str, body: Value| {
        let read = world.get(&format!("/v1/deals/{deal}")).await.expect(200);
        let tag = [("if-match", read.headers[header::ETAG].to_str().unwrap())];
        let path = format!("/v1/deals/{deal}/{what}");
        world
            .ask(&world.key, Method::POST, &path, &tag, Some(&body))
            .await
    };
    let open = register(&ada, &deal("acme.example"))
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let _ = act(&open, "approve", json!({})).await.expect(200);
    let lost = register(&ada, &deal("rose.example"))
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let _ = act(&lost, "withdraw", json!({})).await.expect(200);
    let _ = firm.merge().await.expect(200);
    firm.minutes_pass(1);
    // Before it has changed hands, its customer's purchase is the other's already.
    let posted = json!({ "transaction_id": "early", "amount": "100.00", "currency": "GBP", "customer_domain": "acme.example" });
    let early = world
        .postback(&firm.ada, posted)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    world.settle().await;
    assert_eq!(firm.paid_to(&early).await, firm.bob.partner);

    firm.rest().await;
    let moved = world
        .ask(&bob, Method::GET, &format!("/v1/deals/{open}"), &[], None)
        .await
        .expect(200);
    assert_eq!(moved.str("partner"), firm.bob.partner);
    let path = format!("/v1/deals/{open}/timeline");
    let timeline = world
        .ask(&bob, Method::GET, &path, &[], None)
        .await
        .expect(200);
    assert_eq!(
        timeline.items().last().unwrap()["event"],
        "merged",
        "{}",
        timeline.text
    );
    let kept = world.get(&format!("/v1/deals/{lost}")).await.expect(200);
    assert_eq!(
        kept.str("partner"),
        firm.ada.partner,
        "what is closed stays as it was"
    );
    let listed = world
        .ask(&bob, Method::GET, "/v1/deals", &[], None)
        .await
        .expect(200);
    assert_eq!(listed.items().len(), 1);
    // It still stands in everybody's way, its new partner's too.
    let (cleo, ..) = world.partner_in(program, "Cleo").await;
    let cleo = world
        .post(&format!("/v1/partners/{cleo}/keys"), json!({}))
        .await
        .expect(201);
    let second = register(cleo.str("key"), &deal("acme.example"))
        .await
        .expect(201);
    assert_eq!(second.str("state"), "rejected", "{}", second.text);
    let _ = register(&bob, &deal("acme.example"))
        .await
        .problem(409, "exists");

    let won = act(
        &open,
        "won",
        json!({ "amount": "25000.00", "currency": "GBP", "another_sale": true }),
    )
    .await
    .expect(200);
    world.settle().await;
    assert_eq!(
        firm.paid_to(won.str("/won/conversion")).await,
        firm.bob.partner
    );
}

#[tokio::test]
async fn a_deal_that_both_shared_is_won_as_one() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let program = &firm.ada.program;
    let policy = json!({
        "benefit": { "kind": "commission", "event": "sale" }, "second": { "kind": "co_register", "share": "0.30" },
    });
    let path = format!("/v1/programs/{program}/deal-policy");
    let _ = world.put(&path, policy).await.expect(200);
    let body = json!({ "program": program, "name": "Rollout", "amount": "1000.00", "currency": "GBP",
        "customer": { "name": "Acme GmbH", "country": "DE", "domain": "acme.example" } });
    let mut deals = Vec::new();
    for stand in [&firm.ada, &firm.bob] {
        let key = firm.key(stand).await;
        let made = world
            .ask(&key, Method::POST, "/v1/deals", &[], Some(&body))
            .await
            .expect(201);
        let path = format!("/v1/deals/{}", made.str("id"));
        let tag = [("if-match", made.headers[header::ETAG].to_str().unwrap())];
        let approve = format!("{path}/approve");
        let none = json!({});
        let _ = world
            .ask(&world.key, Method::POST, &approve, &tag, Some(&none))
            .await
            .expect(200);
        deals.push(path);
    }
    let _ = firm.merge().await.expect(200);
    firm.minutes_pass(1);
    let read = world.get(&deals[0]).await.expect(200);
    let tag = [("if-match", read.headers[header::ETAG].to_str().unwrap())];
    let sale = json!({ "amount": "1000.00", "currency": "GBP" });
    let won = format!("{}/won", deals[0]);
    let won = world
        .ask(&world.key, Method::POST, &won, &tag, Some(&sale))
        .await
        .expect(200);
    assert_eq!(won.str("/won/amount"), "700.00");
    let other = world.get(&deals[1]).await.expect(200);
    assert_eq!(other.str("/won/amount"), "300.00");
    assert_eq!(other.str("/won/conversion"), won.str("/won/conversion"));
    world.settle().await;
    assert_eq!(
        world.balances(&firm.bob.partner).await,
        ["300.00", "0.00", "0.00", "0.00"]
    );
    let none = world.balances(&firm.ada.partner).await;
    assert_eq!(none, [""; 4], "nothing was ever hers");
}

#[tokio::test]
async fn a_lead_that_she_had_is_offered_to_the_other() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let program = &firm.ada.program;
    let profile = format!("/profiles/{program}");
    let _ = world
        .put(&firm.path(&firm.ada, &profile), json!({}))
        .await
        .expect(200);
    let rules =
        json!([{ "code": "hers", "strategy": { "kind": "fixed", "partner": firm.ada.partner } }]);
    let path = format!("/v1/programs/{program}/routing");
    let _ = world
        .put(&path, json!({ "rules": rules }))
        .await
        .expect(200);
    let lead =
        json!({ "company": { "name": "Reed Ltd", "country": "GB", "domain": "reed.example" } });
    let path = format!("/v1/programs/{program}/leads");
    let lead = world
        .post(&path, lead)
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let ada = firm.key(&firm.ada).await;
    let bob = firm.key(&firm.bob).await;
    let accept = format!("/v1/leads/{lead}/accept");
    let none = json!({});
    let _ = world
        .ask(&ada, Method::POST, &accept, &[], Some(&none))
        .await
        .expect(200);

    let _ = firm.merge().await.expect(200);
    firm.after_minutes(1).await;
    let offered = format!("/v1/leads/{lead}");
    let offered = world
        .ask(&bob, Method::GET, &offered, &[], None)
        .await
        .expect(200);
    assert_eq!(offered.str("stage"), "offered", "{}", offered.text);
    assert!(
        !offered.text.contains("reed.example"),
        "blind: {}",
        offered.text
    );
    let _ = world
        .ask(&ada, Method::POST, &accept, &[], Some(&none))
        .await
        .expect(422);
    let _ = world
        .ask(&bob, Method::POST, &accept, &[], Some(&none))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_program_that_only_she_was_in_is_his_too() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let (own, token, _) = world
        .program(
            0,
            json!([{ "kind": "percent", "event": "sale", "rate": "0.50" }]),
        )
        .await;
    let place = json!({ "program": own, "plan": "standard" });
    let _ = world
        .post(&firm.path(&firm.ada, "/enrolments"), place)
        .await
        .expect(201);
    let link = json!({ "program": own, "partner": firm.ada.partner, "destination": "https://shop.example/" });
    let link = world
        .post("/v1/links", link)
        .await
        .expect(201)
        .str("code")
        .to_owned();
    let stand = Stand {
        program: own.clone(),
        link,
        token,
        ..firm.ada.clone()
    };
    let sold = async |transaction: &str| {
        let click = world.click(&stand.link).await;
        let body = json!({ "transaction_id": transaction, "amount": "10.00", "currency": "GBP", "click_id": click });
        let posted = world.postback(&stand, body).await.expect(201);
        posted.str("conversion").to_owned()
    };
    let _ = sold("first").await;
    world.settle().await;
    let _ = firm.merge().await.expect(200);
    // Before any clockwork: his place came with the merge.
    firm.minutes_pass(1);
    let later = sold("second").await;
    world.settle().await;
    assert_eq!(firm.paid_to(&later).await, firm.bob.partner);
    firm.after_minutes(1).await;
    firm.rest().await;
    firm.rest().await;
    assert_eq!(
        firm.balances().await,
        [
            ["0.00", "0.00", "0.00", "0.00"],
            ["0.00", "10.00", "0.00", "0.00"]
        ]
    );
}

#[tokio::test]
async fn what_happened_before_he_came_is_his_and_what_is_held_stays() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let body =
        json!({ "name": "Kim", "email": "kim@example.com", "country": "GB", "kind": "affiliate" });
    let kim = world
        .post("/v1/partners", body)
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let late = json!({ "program": firm.ada.program, "plan": "standard", "effective_from": world.now().to_string() });
    let path = format!("/v1/partners/{kim}/enrolments");
    let _ = world.post(&path, late).await.expect(201);
    let _ = world.sale(&firm.ada, "a-0", "10.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let body = json!({ "into": kim, "reason": "one firm" });
    let _ = world
        .post(&firm.path(&firm.ada, "/merge"), body)
        .await
        .expect(200);
    firm.minutes_pass(1);
    let before = tributary::clock::days_before(world.now(), 40);
    let sold = json!({ "transaction_id": "a-old", "coupon": firm.ada.coupon, "amount": "1.00", "currency": "GBP", "occurred_at": before.to_string() });
    let sold = world.postback(&firm.ada, sold).await.expect(201);
    world.settle().await;
    assert_eq!(firm.paid_to(sold.str("conversion")).await, kim);

    let hold = json!({ "reason": "chargebacks are looked into" });
    let _ = world
        .put(&firm.path(&firm.ada, "/payout-hold"), hold)
        .await
        .expect(200);
    firm.after_minutes(25).await;
    firm.rest().await;
    assert_eq!(
        world.balances(&firm.ada.partner).await[1],
        "3.00",
        "it is held"
    );
    let _ = world
        .delete(&firm.path(&firm.ada, "/payout-hold"))
        .await
        .expect(204);
    firm.rest().await;
    firm.rest().await;
    assert_eq!(world.balances(&firm.ada.partner).await[1], "0.00");
    assert_eq!(world.balances(&kim).await[1], "3.30");
}

#[tokio::test]
async fn who_cannot_be_merged_is_told_why() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let merge = async |from: &str, into: &str| {
        let body = json!({ "into": into, "reason": "one firm" });
        world
            .post(&format!("/v1/partners/{from}/merge"), body)
            .await
    };
    let (ada, bob) = (firm.ada.partner.as_str(), firm.bob.partner.as_str());
    let nobody = "ptr_01kar52v4e8qzr5n3m6x7p9tdc";
    let _ = merge(nobody, bob).await.problem(404, "not_found");
    let unknown = merge(ada, nobody).await.problem(422, "reference_unknown");
    assert_eq!(unknown.str("/errors/0/field"), "into");
    let _ = merge(ada, ada).await.problem(422, "invalid");
    let bare = world
        .post(&firm.path(&firm.ada, "/merge"), json!({ "into": "bob" }))
        .await;
    let bare = bare.expect(422);
    assert_eq!(
        bare.body["errors"].as_array().unwrap().len(),
        2,
        "{}",
        bare.text
    );
    let _ = world
        .get(&firm.path(&firm.ada, "/merge"))
        .await
        .problem(404, "not_found");

    // What is held back of one is not paid through the other.
    let hold = json!({ "reason": "chargebacks are looked into" });
    let _ = world
        .put(&firm.path(&firm.ada, "/payout-hold"), hold)
        .await
        .expect(200);
    let _ = merge(ada, bob).await.problem(409, "wrong_state");
    let _ = world
        .post(&firm.path(&firm.ada, "/suspend"), json!({}))
        .await
        .expect(200);
    let _ = world
        .delete(&firm.path(&firm.ada, "/payout-hold"))
        .await
        .expect(204);
    let _ = merge(ada, bob).await.problem(409, "wrong_state");
    let _ = world
        .post(&firm.path(&firm.ada, "/reinstate"), json!({}))
        .await
        .expect(200);
    let _ = world
        .delete(&firm.path(&firm.ada, "/payout-hold"))
        .await
        .expect(204);
    let _ = world
        .post(&firm.path(&firm.bob, "/suspend"), json!({}))
        .await
        .expect(200);
    let _ = merge(ada, bob).await.problem(422, "partner_suspended");
    let _ = world
        .post(&firm.path(&firm.bob, "/reinstate"), json!({}))
        .await
        .expect(200);
    let _ = world
        .post(&firm.path(&firm.ada, "/ban"), json!({}))
        .await
        .expect(200);
    let _ = merge(ada, bob).await.problem(409, "wrong_state");
    let _ = world
        .post(&firm.path(&firm.ada, "/reinstate"), json!({}))
        .await
        .expect(200);

    let _ = merge(ada, bob).await.expect(200);
    let (cleo, ..) = world.partner_in(&firm.ada.program, "Cleo").await;
    let _ = merge(ada, &cleo).await.problem(409, "wrong_state");
    let _ = merge(&cleo, ada).await.problem(409, "wrong_state");
    let _ = merge(bob, ada).await.problem(409, "wrong_state");
    let _ = world
        .post(&firm.path(&firm.ada, "/reinstate"), json!({}))
        .await
        .problem(409, "wrong_state");
    // A chain: what Ada brings is Cleo's now.
    let _ = merge(bob, &cleo).await.expect(200);
    firm.minutes_pass(1);
    let sold = world.sale(&firm.ada, "late", "49.00").await;
    world.settle().await;
    assert_eq!(firm.paid_to(&sold).await, cleo);
}

/// A merge of one with something payable, held and taken back, and the balances of both once all has come to rest.
async fn one_life(point: Option<(u64, Death)>) -> (u64, Option<String>) {
    let killer = Killer::new(point);
    let world = World::start_with(Some(killer.clone())).await;
    let ada = world.stand().await;
    let (partner, link, coupon) = world.partner_in(&ada.program, "Bob").await;
    let bob = Stand {
        partner,
        link,
        coupon,
        ..ada.clone()
    };
    let firm = Firm { world, ada, bob };
    let world = &firm.world;
    let first = world.sale(&firm.ada, "a-0", "100.00").await;
    let _ = world.sale(&firm.ada, "a-1", "10.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let _ = world.sale(&firm.ada, "a-2", "1.00").await;
    world.settle().await;

    killer.count(true);
    let mut merged = 0;
    for _ in 0..4 {
        merged = firm.merge().await.status.as_u16();
        killer.revive();
        if merged == 200 {
            break;
        }
    }
    killer.count(false);
    assert_eq!(merged, 200, "{point:?}");
    let live = async |minutes: i64| {
        firm.minutes_pass(minutes);
        world.instance.cloud().clock_moved();
        // The merge's part of a run; one that died is followed by the next.
        killer.count(true);
        let _ = merges::due(world.instance.app(), world.now()).await;
        killer.count(false);
        killer.revive();
        let _ = world.clockwork().await;
        world.settle().await;
    };
    for _ in 0..4 {
        live(11).await;
    }
    let reversal = json!({ "reversal_id": "r-1", "reason": "sent back" });
    let path = format!("/v1/conversions/{first}/reversals");
    let _ = world.post(&path, reversal).await.expect(200);
    for days in [1, 29, 1] {
        live(days * 24 * 60 + 1).await;
        live(11).await;
    }
    assert_eq!(
        firm.balances().await,
        [
            ["0.00", "0.00", "0.00", "0.00"],
            ["0.00", "3.30", "0.00", "0.00"]
        ],
        "{point:?}"
    );
    let links = format!("/v1/links?partner={}", firm.bob.partner);
    let links = world.get(&links).await.expect(200);
    assert_eq!(links.items().len(), 2, "{point:?}");
    (killer.seen(), killer.hit())
}

/// Of so many points one is crashed at: each is a whole merge.
const EVERY: usize = 16;

#[tokio::test(start_paused = true)]
async fn whatever_crashes_in_a_merge_what_was_earned_is_there_once() {
    let (points, _) = one_life(None).await;
    assert!(points > 50, "only {points} points");
    for death in [Death::Before, Death::AnswerLost] {
        for point in (0..points).step_by(EVERY) {
            let (_, hit) = one_life(Some((point, death))).await;
            assert!(hit.is_some(), "{point} of {points}");
        }
    }
}
