//! Commission models through the whole path: tiers, gates, caps, levels, exchange, and corrections of them.

use axum::http::Method;
use serde_json::{Value, json};
use tributary::table::AttributeValue;
use tributary_tests::{Stand, World};

/// A program under a plan of these terms, with a partner and its coupon.
async fn under(world: &World, terms: Value) -> Stand {
    let mut stand = world
        .stand_with(
            30,
            json!([{ "kind": "percent", "event": "none", "rate": "0.5" }]),
        )
        .await;
    let mut plan =
        json!({ "code": "terms", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z" });
    for (name, value) in terms.as_object().unwrap() {
        plan[name] = value.clone();
    }
    let plans = format!("/v1/programs/{}/plans", stand.program);
    let _ = world.post(&plans, plan).await.expect(201);
    let (partner, coupon) = partner(world, &stand.program, "Bea", None).await;
    stand.partner = partner;
    stand.coupon = coupon;
    stand
}

async fn partner(
    world: &World,
    program: &str,
    name: &str,
    upline: Option<&str>,
) -> (String, String) {
    let body =
        json!({ "name": name, "email": "p@example.com", "country": "GB", "kind": "affiliate" });
    let partner = world.post("/v1/partners", body).await.expect(201);
    let partner = partner.str("id").to_owned();
    let body = json!({ "program": program, "plan": "terms", "upline": upline });
    let _ = world
        .post(&format!("/v1/partners/{partner}/enrolments"), body)
        .await
        .expect(201);
    let code = name.to_uppercase();
    let body = json!({ "program": program, "partner": partner, "code": code });
    let _ = world.post("/v1/coupons", body).await.expect(201);
    (partner, code)
}

/// A sale at a time, settled.
async fn sale(world: &World, stand: &Stand, order: &str, at: &str, amount: &str) -> String {
    let body = json!({ "transaction_id": order, "coupon": stand.coupon, "amount": amount, "currency": "GBP", "occurred_at": at });
    let posted = world.postback(stand, body).await.expect(201);
    world.settle().await;
    posted.str("conversion").to_owned()
}

async fn take_back(world: &World, conversion: &str, id: &str, amount: Option<&str>) {
    let mut body = json!({ "reversal_id": id, "reason": "sent back" });
    if let Some(amount) = amount {
        body["amount"] = json!(amount);
        body["currency"] = json!("GBP");
    }
    let path = format!("/v1/conversions/{conversion}/reversals");
    let answer = world.post(&path, body).await;
    assert!(answer.status.as_u16() < 300, "{}", answer.text);
    world.settle().await;
}

async fn pending(world: &World, partner: &str) -> String {
    world.balances(partner).await[0].clone()
}

fn tiered(mode: &str) -> Value {
    json!({ "components": [{
        "kind": "tiered", "event": "sale", "mode": mode,
        "measure": { "unit": "amount", "events": ["sale"], "scope": "own" },
        "window": { "kind": "month" },
        "brackets": [{ "from": "0", "rate": "0.10" }, { "from": "5000", "rate": "0.12" }],
    }] })
}

const EARLY: &str = "2026-03-01T01:00:00Z";
const LATE: &str = "2026-03-01T02:00:00Z";

/// What 4,000 and then 2,000 come to, in this order of arrival or the other.
async fn six_thousand(mode: &str, late_first: bool) -> (World, Stand, String) {
    let world = World::start().await;
    let stand = under(&world, tiered(mode)).await;
    let mut orders = [("o-1", EARLY, "4000.00"), ("o-2", LATE, "2000.00")];
    if late_first {
        orders.reverse();
    }
    let mut first = String::new();
    for (order, at, amount) in orders {
        let id = sale(&world, &stand, order, at, amount).await;
        if order == "o-1" {
            first = id;
        }
    }
    (world, stand, first)
}

#[tokio::test]
async fn tiers_pay_the_same_in_any_order_of_arrival() {
    for (mode, pay, without_first) in [
        ("marginal", "620.00", "200.00"),
        ("attained", "640.00", "200.00"),
        ("retroactive", "720.00", "200.00"),
    ] {
        for late_first in [false, true] {
            let (world, stand, first) = six_thousand(mode, late_first).await;
            assert_eq!(
                pending(&world, &stand.partner).await,
                pay,
                "{mode} {late_first}"
            );
            take_back(&world, &first, "r-1", None).await;
            let left = pending(&world, &stand.partner).await;
            assert_eq!(left, without_first, "{mode} {late_first}");
        }
    }
}

#[tokio::test]
async fn a_postback_is_foretold_at_its_place_among_those_of_its_window() {
    let (world, stand, _) = six_thousand("attained", false).await;
    // 4,000 at 10 % and 2,000 at 12 % stand.
    let foretold = async |order: &str, at: &str, amount: &str| {
        let body = json!({ "transaction_id": order, "coupon": stand.coupon, "amount": amount, "currency": "GBP", "occurred_at": at });
        let path = format!("/v1/programs/{}/postbacks:test", stand.program);
        let told = world.post(&path, json!({ "body": body })).await.expect(200);
        let figure = |name: &str| told.str(&format!("/outcome/commission/{name}")).to_owned();
        (figure("amount"), figure("posted"))
    };
    let told = |amount: &str, posted: &str| (amount.to_owned(), posted.to_owned());
    // Behind both: by itself, at the bracket it reaches.
    let behind = foretold("o-3", "2026-03-01T03:00:00Z", "100.00").await;
    assert_eq!(behind, told("12.00", "12.00"));
    // Before both: at 10 %, and the 4,000 behind it reach 12 % with it.
    let before = foretold("o-4", "2026-03-01T00:30:00Z", "1000.00").await;
    assert_eq!(before, told("100.00", "180.00"));
    // Between them: it reaches 5,000 with the 4,000 before it, and nothing changes for the 2,000.
    let between = foretold("o-5", "2026-03-01T01:30:00Z", "1000.00").await;
    assert_eq!(between, told("120.00", "120.00"));
    // One that stands already is looked at where it stands, and nothing more would be posted for it.
    let again = foretold("o-2", LATE, "2000.00").await;
    assert_eq!(again, told("240.00", "0.00"));
    assert_eq!(
        pending(&world, &stand.partner).await,
        "640.00",
        "nothing was changed"
    );
}

#[tokio::test]
async fn parts_taken_back_add_up_to_the_whole_to_the_cent() {
    let (world, stand, first) = six_thousand("marginal", false).await;
    for (id, part) in [("r-1", "0.03"), ("r-2", "1333.33"), ("r-3", "2000.00")] {
        take_back(&world, &first, id, Some(part)).await;
    }
    // 666.64 and 2,000.00 are left, all below 5,000.
    assert_eq!(pending(&world, &stand.partner).await, "266.66");
    take_back(&world, &first, "r-4", Some("666.64")).await;
    assert_eq!(pending(&world, &stand.partner).await, "200.00");
}

#[tokio::test]
async fn an_uplines_share_follows_its_base_through_every_correction() {
    let world = World::start().await;
    let terms = json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.20" }],
        "levels": [
            { "rate": "0.10", "of": "sale", "rounding": "half_up" },
            { "rate": "0.10", "of": "commission", "rounding": "half_up" },
        ],
    });
    let mut stand = under(&world, terms).await;
    let top = stand.partner.clone();
    let (middle, _) = partner(&world, &stand.program, "Cid", Some(&top)).await;
    let (seller, coupon) = partner(&world, &stand.program, "Dot", Some(&middle)).await;
    stand.coupon = coupon;
    let order = sale(&world, &stand, "o-1", EARLY, "100.00").await;
    let all = async || {
        let mut found = Vec::new();
        for partner in [&seller, &middle, &top] {
            found.push(pending(&world, partner).await);
        }
        found
    };
    assert_eq!(all().await, ["20.00", "10.00", "1.00"]);
    take_back(&world, &order, "r-1", Some("50.00")).await;
    assert_eq!(all().await, ["10.00", "5.00", "0.50"]);
    let amended = json!({ "amendment_id": "a-1", "amount": "250.00", "currency": "GBP", "reason": "mistyped" });
    let path = format!("/v1/conversions/{order}/amendments");
    let answer = world.post(&path, amended).await;
    assert!(answer.status.as_u16() < 300, "{}", answer.text);
    world.settle().await;
    assert_eq!(all().await, ["40.00", "20.00", "2.00"]);
    take_back(&world, &order, "r-2", None).await;
    assert_eq!(all().await, ["0.00", "0.00", "0.00"]);
}

#[tokio::test]
async fn a_gate_pays_once_its_month_has_closed_with_its_threshold_reached() {
    let world = World::start().await;
    let terms = json!({ "components": [{
        "kind": "percent", "event": "sale", "rate": "0.10",
        "gate": { "measure": { "unit": "count", "events": ["sale"], "scope": "own" }, "window": { "kind": "month" }, "at_least": 2 },
    }] });
    let stand = under(&world, terms).await;
    let order = sale(&world, &stand, "o-1", EARLY, "100.00").await;
    let _ = sale(&world, &stand, "o-2", LATE, "50.00").await;
    assert_eq!(world.balances(&stand.partner).await[..2], ["0.00", "0.00"]);
    let shown = world
        .get(&format!("/v1/conversions/{order}"))
        .await
        .expect(200);
    assert!(shown.text.contains("provisional"), "{}", shown.text);
    // March is closed, and what it pays is held for 30 days from its end.
    world.advance_days(40).await;
    for _ in 0..3 {
        let _ = world.clockwork().await;
        world.settle().await;
    }
    assert_eq!(world.balances(&stand.partner).await[..2], ["15.00", "0.00"]);
    let path = format!("/v1/partners/{}/ledger", stand.partner);
    let lines = world.get(&path).await.expect(200);
    let bonus = |line: &&Value| line["kind"] == "bonus";
    let close = lines.items().iter().find(bonus).unwrap()["source"]
        .as_str()
        .unwrap()
        .to_owned();
    let trace = world
        .get(&format!("/v1/commissions/{close}/trace"))
        .await
        .expect(200);
    assert_eq!(trace.body["steps"][0]["measured_after"], json!(2));
    assert!(
        trace.text.contains(
            "the number of sale in the month reaches 2; it reached 2: 15.00 GBP were provisional"
        ),
        "{}",
        trace.text
    );
    world.advance_days(20).await;
    let _ = world.clockwork().await;
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[..2], ["0.00", "15.00"]);
    // With one of the two taken back the threshold was never reached.
    take_back(&world, &order, "r-1", None).await;
    let [pending, payable, ..] = world.balances(&stand.partner).await;
    assert_eq!((pending.as_str(), payable.as_str()), ("0.00", "0.00"));
}

#[tokio::test]
async fn a_programs_budget_gives_freed_room_to_whoever_comes_next() {
    let world = World::start().await;
    let terms = json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }],
        "caps": [{ "scope": "program", "window": { "kind": "month" }, "amount": "15.00" }],
    });
    let mut stand = under(&world, terms).await;
    let bea = stand.partner.clone();
    let first = sale(&world, &stand, "o-1", EARLY, "100.00").await;
    let (cid, coupon) = partner(&world, &stand.program, "Cid", None).await;
    stand.coupon = coupon;
    let _ = sale(&world, &stand, "o-2", LATE, "100.00").await;
    assert_eq!(pending(&world, &bea).await, "10.00");
    assert_eq!(pending(&world, &cid).await, "5.00");
    take_back(&world, &first, "r-1", Some("70.00")).await;
    world.settle().await;
    assert_eq!(pending(&world, &bea).await, "3.00");
    let [held, payable, ..] = world.balances(&cid).await;
    assert_eq!((held.as_str(), payable.as_str()), ("10.00", "0.00"));
}

#[tokio::test]
async fn a_conversion_waits_for_its_rate_of_exchange_and_is_paid_once_it_is_there() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let stand = under(&world, terms).await;
    let body = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "100.00", "currency": "EUR", "occurred_at": EARLY });
    let order = world.postback(&stand, body).await.expect(201);
    let order = order.str("conversion").to_owned();
    world.settle().await;
    assert_eq!(world.state(&order).await, "waiting");
    let rate = json!({ "from": "EUR", "to": "GBP", "rate": "0.8512", "date": "2026-03-01", "source": "ECB" });
    let _ = world
        .put("/v1/rates", json!({ "rates": [rate] }))
        .await
        .expect(200);
    world.advance_days(1).await;
    let _ = world.clockwork().await;
    world.settle().await;
    assert_eq!(world.state(&order).await, "held");
    assert_eq!(pending(&world, &stand.partner).await, "8.51");
    let shown = world
        .get(&format!("/v1/conversions/{order}"))
        .await
        .expect(200);
    assert!(shown.text.contains("0.8512"), "{}", shown.text);
}

#[tokio::test]
async fn paid_money_is_taken_back_in_the_next_payout_and_payable_money_at_once() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let stand = under(&world, terms).await;
    let order = sale(&world, &stand, "o-1", EARLY, "100.00").await;
    world.advance_days(31).await;
    let _ = world.clockwork().await;
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[..2], ["0.00", "10.00"]);
    take_back(&world, &order, "r-1", Some("40.00")).await;
    assert_eq!(world.balances(&stand.partner).await[..2], ["0.00", "6.00"]);
    let wallet = json!({ "kind": "paypal", "wallet": "bea@wallet.example" });
    let path = format!("/v1/partners/{}/payout-method", stand.partner);
    let _ = world.put(&path, wallet).await.expect(200);
    let _ = world.batch(&stand.program, None).await;
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await[..3],
        ["0.00", "0.00", "6.00"]
    );
    take_back(&world, &order, "r-2", Some("10.00")).await;
    assert_eq!(
        world.balances(&stand.partner).await[..3],
        ["0.00", "-1.00", "6.00"]
    );
}

#[tokio::test]
async fn a_trace_tells_inputs_steps_and_what_was_posted_since() {
    let (world, _, first) = six_thousand("marginal", true).await;
    take_back(&world, &first, "r-1", Some("1000.00")).await;
    let trace = world
        .get(&format!("/v1/commissions/{first}/trace"))
        .await
        .expect(200);
    assert_eq!(trace.body["inputs"]["amount"], "4000.00");
    assert_eq!(trace.body["plan"]["code"], "terms");
    // It came late: its own 400.00, and 20.00 that the later one is lifted by.
    let step = &trace.body["steps"][0];
    assert_eq!(
        (
            &step["amount"],
            &step["measured_before"],
            &step["measured_after"],
            &step["result"]
        ),
        (&json!("400.00"), &json!(0), &json!(400_000), &json!("paid"))
    );
    assert_eq!(trace.str("/posted"), "420.00");
    assert_eq!(trace.str("/total"), "300.00");
    assert_eq!(trace.str("/corrections/0/amount"), "-120.00");
    assert_eq!(trace.str("/corrections/0/reason"), "sent back");
    assert!(
        trace
            .text
            .contains("It also changed what other events of its window pay, by 20.00 GBP")
    );
}

#[tokio::test]
async fn a_partner_reads_the_traces_of_its_own_commissions_only() {
    let world = World::start().await;
    let terms = json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.20", "of": "margin" }],
        "levels": [{ "rate": "0.10", "of": "commission" }],
    });
    let mut stand = under(&world, terms).await;
    let top = stand.partner.clone();
    let (seller, coupon) = partner(&world, &stand.program, "Cid", Some(&top)).await;
    stand.coupon = coupon;
    let body = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "100.00", "margin": "40.00", "currency": "GBP" });
    let order = world.postback(&stand, body).await.expect(201);
    let order = order.str("conversion").to_owned();
    world.settle().await;
    let key = async |partner: &str| {
        let path = format!("/v1/partners/{partner}/keys");
        let made = world.post(&path, json!({})).await.expect(201);
        made.str("key").to_owned()
    };
    let (own, others) = (key(&seller).await, key(&top).await);
    let path = format!("/v1/commissions/{order}/trace");
    let ask = async |key: &str| world.ask(key, Method::GET, &path, &[], None).await;
    let seen = ask(&own).await.expect(200);
    assert_eq!(seen.str("/amount"), "8.00");
    assert!(seen.body["inputs"].get("margin").is_none(), "the vendor's");
    assert!(seen.body.get("levels").is_none(), "others'");
    let _ = ask(&others).await.problem(404, "not_found");
    let full = world.get(&path).await.expect(200);
    assert_eq!(full.str("/levels/0/amount"), "0.80");
}

#[tokio::test]
async fn a_hold_is_moved_with_its_reason_and_the_uplines_share_with_it() {
    let world = World::start().await;
    let terms = json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.20" }],
        "levels": [{ "rate": "0.10", "of": "commission" }],
    });
    let mut stand = under(&world, terms).await;
    let top = stand.partner.clone();
    let (seller, coupon) = partner(&world, &stand.program, "Cid", Some(&top)).await;
    stand.coupon = coupon;
    let order = sale(&world, &stand, "o-1", EARLY, "100.00").await;
    let hold = format!("/v1/commissions/{order}/hold");
    let until = tributary::clock::days_after(world.now(), 60).to_string();
    let _ = world
        .post(
            &hold,
            json!({ "release_at": until, "reason": "fraud check" }),
        )
        .await
        .expect(200);
    // What is taken back meanwhile does not move it back.
    take_back(&world, &order, "r-1", Some("50.00")).await;
    world.advance_days(31).await;
    world.settle().await;
    for (partner, held) in [(&seller, "10.00"), (&top, "1.00")] {
        assert_eq!(world.balances(partner).await[..2], [held, "0.00"]);
    }
    let trace = world
        .get(&format!("/v1/commissions/{order}/trace"))
        .await
        .expect(200);
    assert!(trace.text.contains("fraud check"));
    let _ = world
        .post(
            &hold,
            json!({ "release_at": world.now().to_string(), "reason": "cleared" }),
        )
        .await
        .expect(200);
    world.advance_days(1).await;
    world.settle().await;
    for (partner, payable) in [(&seller, "10.00"), (&top, "1.00")] {
        assert_eq!(world.balances(partner).await[..2], ["0.00", payable]);
    }
    // What is payable is held again, twice, and each time what its upline gets with it.
    for again in ["chargeback announced", "bank asks"] {
        let until = tributary::clock::days_after(world.now(), 20).to_string();
        for _ in 0..2 {
            let body = json!({ "release_at": until, "reason": again });
            let _ = world.post(&hold, body).await.expect(200);
        }
        for (partner, held) in [(&seller, "10.00"), (&top, "1.00")] {
            assert_eq!(world.balances(partner).await[..2], [held, "0.00"]);
        }
        assert_eq!(world.state(&order).await, "held");
        world.advance_days(21).await;
        let _ = world.clockwork().await;
        world.settle().await;
        for (partner, payable) in [(&seller, "10.00"), (&top, "1.00")] {
            assert_eq!(world.balances(partner).await[..2], ["0.00", payable]);
        }
    }
    let lines = world.get(&format!("/v1/partners/{seller}/ledger")).await;
    assert!(
        lines.text.contains("chargeback announced"),
        "{}",
        lines.text
    );
    // What is payable is not held until now, and what a payout has not at all.
    let now = json!({ "release_at": world.now().to_string(), "reason": "none" });
    let _ = world.post(&hold, now).await.problem(409, "wrong_state");
    let far = json!({ "release_at": "2099-01-01T00:00:00Z", "reason": "for ever" });
    let _ = world.post(&hold, far).await.problem(422, "out_of_range");
}

#[tokio::test]
async fn an_adjustment_is_made_once_and_says_why() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.20" }] });
    let stand = under(&world, terms).await;
    let adjustment = |id: &str, direction: &str, amount: &str| {
        json!({ "adjustment_id": id, "program": stand.program, "partner": stand.partner, "direction": direction,
            "amount": amount, "currency": "GBP", "reason": "lost click, goodwill" })
    };
    let path = "/v1/adjustments";
    let made = world
        .post(path, adjustment("a-1", "credit", "25.00"))
        .await
        .expect(200);
    assert_eq!((made.str("status"), made.str("amount")), ("made", "25.00"));
    let again = world
        .post(path, adjustment("a-1", "credit", "25.00"))
        .await
        .expect(200);
    assert_eq!(again.str("status"), "duplicate");
    let _ = world
        .post(path, adjustment("a-1", "credit", "26.00"))
        .await
        .problem(409, "adjustment_mismatch");
    let _ = world
        .post(path, adjustment("a-2", "debit", "40.00"))
        .await
        .expect(200);
    world.advance_days(1).await;
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await[..2],
        ["0.00", "-15.00"]
    );
    let trace = world
        .get(&format!("/v1/commissions/{}/trace", made.str("commission")))
        .await
        .expect(200);
    assert_eq!(trace.str("/source"), "adjustment");
    assert!(trace.text.contains("lost click, goodwill"));
    for (field, value, code) in [
        ("amount", "0.00", "out_of_range"),
        ("currency", "EUR", "currency_mismatch"),
        ("direction", "up", "not_one_of"),
        (
            "program",
            "prg_00000000000000000000000000",
            "reference_unknown",
        ),
        ("partner", "ptr_00000000000000000000000000", "not_enrolled"),
    ] {
        let mut body = adjustment("a-3", "credit", "1.00");
        body[field] = json!(value);
        let _ = world.post(path, body).await.problem(422, code);
    }
}

/// All pages of a recomputation of the month: conversions, books, and what differs.
async fn recomputed(world: &World, program: &str) -> (u64, u64, Vec<Value>) {
    let body = json!({ "period": &world.now().to_string()[..7] });
    let (mut conversions, mut books, mut differences) = (0, 0, Vec::new());
    let mut query = "?limit=2".to_owned();
    loop {
        let path = format!("/v1/programs/{program}/recompute{query}");
        let page = world.post(&path, body.clone()).await.expect(200);
        conversions += page.body["conversions"].as_u64().unwrap();
        books += page.body["books"].as_u64().unwrap();
        differences.extend(page.body["differences"].as_array().unwrap().clone());
        match page.body["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
            None => return (conversions, books, differences),
        }
    }
}

#[tokio::test]
async fn an_untouched_history_recomputes_without_a_difference_and_a_touched_one_is_told() {
    let (world, stand, first) = six_thousand("attained", true).await;
    take_back(&world, &first, "r-1", Some("500.00")).await;
    let _ = sale(&world, &stand, "o-3", LATE, "7.77").await;
    let (conversions, books, differences) = recomputed(&world, &stand.program).await;
    assert_eq!(differences, Vec::<Value>::new());
    assert_eq!(conversions, 3);
    assert!(books >= 1);
    // Somebody writes into the table past the product.
    let main = world.scan("main").await;
    let mut head = main
        .into_iter()
        .find(|item| item["sk"].as_s().is_ok_and(|sk| sk == "BOOK"))
        .unwrap();
    let posted = head["posted"].as_m().unwrap().clone();
    let posted = posted
        .into_keys()
        .map(|partner| (partner, AttributeValue::S("1".to_owned())))
        .collect();
    head.insert("posted".to_owned(), AttributeValue::M(posted));
    let table = &world.instance.app().config.main_table;
    let put = world.instance.cloud().dynamodb().put_item();
    let _ = put
        .table_name(table)
        .set_item(Some(head))
        .send()
        .await
        .unwrap();
    let (_, _, differences) = recomputed(&world, &stand.program).await;
    assert!(!differences.is_empty());
    assert_eq!(differences[0]["figure"], "book");
    assert_eq!(differences[0]["stored"], "0.01");
}

#[tokio::test]
async fn plain_commissions_recompute_byte_for_byte() {
    let world = World::start().await;
    let stand = world.stand().await;
    let first = world.sale(&stand, "o-1", "49.99").await;
    let second = world.sale(&stand, "o-2", "0.03").await;
    world.settle().await;
    take_back(&world, &first, "r-1", Some("20.01")).await;
    take_back(&world, &second, "r-1", None).await;
    let (conversions, _, differences) = recomputed(&world, &stand.program).await;
    assert_eq!((conversions, differences), (2, Vec::<Value>::new()));
}

/// A sale to a customer at a time, and what it pays.
async fn sold_to(world: &World, stand: &Stand, order: &str, at: &str, customer: &str) -> Value {
    let body = json!({ "transaction_id": order, "coupon": stand.coupon, "amount": "100.00",
        "currency": "GBP", "occurred_at": at, "customer": customer });
    let posted = world.postback(stand, body).await.expect(201);
    world.settle().await;
    let id = posted.str("conversion");
    world
        .get(&format!("/v1/commissions/{id}/trace"))
        .await
        .expect(200)
        .body
}

#[tokio::test]
async fn a_customer_stays_known_when_the_plan_gets_a_new_version() {
    let world = World::start().await;
    let percent = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.20" }] });
    let stand = under(&world, percent).await;
    let bought = sold_to(&world, &stand, "o-1", EARLY, "ann").await;
    assert_eq!(bought["amount"], "20.00");
    // The second version asks who is new, beside a month's cap; the third asks the same without.
    for (from, caps) in [
        (
            "2026-03-10T00:00:00Z",
            json!([{ "scope": "partner", "window": { "kind": "month" }, "amount": "1000.00" }]),
        ),
        ("2026-03-20T00:00:00Z", json!([])),
    ] {
        let plan = json!({ "code": "terms", "hold_days": 30, "effective_from": from, "caps": caps,
            "components": [{ "kind": "percent", "event": "sale", "rate": "0.30", "duration": "first_sale" }] });
        let path = format!("/v1/programs/{}/plans", stand.program);
        let _ = world.post(&path, plan).await.expect(201);
    }
    world.advance_days(9).await;
    let again = sold_to(&world, &stand, "o-2", "2026-03-11T00:00:00Z", "ann").await;
    assert_eq!(again["amount"], "0.00");
    assert_eq!(
        again["conditions"],
        json!([{ "component": 1, "asks": "it is the customer's first sale", "holds": false }])
    );
    assert_eq!(again["inputs"]["customer_months"], 0);
    let new = sold_to(&world, &stand, "o-3", "2026-03-11T01:00:00Z", "bob").await;
    assert_eq!(new["amount"], "30.00");
    world.advance_days(11).await;
    for customer in ["ann", "bob"] {
        let order = format!("late-{customer}");
        let known = sold_to(&world, &stand, &order, "2026-03-21T00:00:00Z", customer).await;
        assert_eq!(known["amount"], "0.00", "{customer}");
    }
    let new = sold_to(&world, &stand, "o-4", "2026-03-21T01:00:00Z", "cy").await;
    assert_eq!(new["amount"], "30.00");
    let (conversions, _, differences) = recomputed(&world, &stand.program).await;
    assert_eq!((conversions, differences), (6, Vec::new()));
}

#[tokio::test]
async fn a_trace_tells_a_minimum_from_the_rounding() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10", "minimum": "1.00" }] });
    let stand = under(&world, terms).await;
    let order = sale(&world, &stand, "o-1", EARLY, "5.05").await;
    let trace = world
        .get(&format!("/v1/commissions/{order}/trace"))
        .await
        .expect(200);
    assert_eq!(trace.body["steps"][0]["before_limits"], "0.51");
    assert_eq!(trace.body["steps"][0]["rate"], "0.10");
    assert_eq!(trace.body["amount"], "1.00");
    let told = "rate 0.10 of 5.05 GBP = 0.505 GBP, rounded half up to 0.51 GBP, and at least 1.00 GBP are paid for a sale";
    assert!(trace.text.contains(told), "{}", trace.text);
}

#[tokio::test]
async fn a_marginal_trace_tells_each_part_at_its_own_bracket() {
    let world = World::start().await;
    let stand = under(&world, tiered("marginal")).await;
    let order = sale(&world, &stand, "o-1", EARLY, "6000.00").await;
    let trace = world
        .get(&format!("/v1/commissions/{order}/trace"))
        .await
        .expect(200);
    let told = "5000.00 GBP at rate 0.10, 1000.00 GBP at rate 0.12 = 620.00 GBP";
    assert!(trace.text.contains(told), "{}", trace.text);
    assert_eq!(trace.body["steps"][0]["bracket_before"], 0);
    assert_eq!(trace.body["steps"][0]["bracket_after"], 500_000);
}

#[tokio::test]
async fn an_uplines_trace_tells_its_rate_its_base_and_its_rounding() {
    let world = World::start().await;
    let terms = json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.20" }],
        "levels": [{ "rate": "0.10", "of": "commission", "rounding": "floor" }],
    });
    let mut stand = under(&world, terms).await;
    let top = stand.partner.clone();
    let (_, coupon) = partner(&world, &stand.program, "Cid", Some(&top)).await;
    stand.coupon = coupon;
    let order = sale(&world, &stand, "o-1", EARLY, "99.99").await;
    let lines = world
        .get(&format!("/v1/partners/{top}/ledger"))
        .await
        .expect(200);
    let line = lines.items()[0]["source"].as_str().unwrap().to_owned();
    let trace = world
        .get(&format!("/v1/commissions/{line}/trace"))
        .await
        .expect(200);
    let told = format!(
        "Level 1 of the conversion {order}, which gets 0.10 of the commission, rounded down: 2.00 GBP."
    );
    assert!(trace.text.contains(&told), "{}", trace.text);
}

#[tokio::test]
async fn a_run_of_clockwork_counts_what_it_released_and_closed() {
    let world = World::start().await;
    let mut terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10", "gate": {
        "measure": { "unit": "count", "events": ["sale"] }, "window": { "kind": "month" }, "at_least": 1 } }] });
    terms["hold_days"] = json!(60);
    let mut stand = under(&world, terms).await;
    let first = stand.coupon.clone();
    let (_, second) = partner(&world, &stand.program, "Cid", None).await;
    for (coupon, orders) in [(&first, 1..4), (&second, 4..6)] {
        stand.coupon.clone_from(coupon);
        for order in orders {
            let _ = sale(&world, &stand, &format!("o-{order}"), EARLY, "10.00").await;
        }
    }
    let run = async |at: &str| {
        let at = at.parse().unwrap();
        world.instance.app().clock.set(at);
        world.instance.cloud().clock_moved();
        let told = world.instance.run_clockwork(at).await.unwrap();
        world.settle().await;
        told
    };
    // March ends; three days later its gates are decided, a book of each partner.
    assert_eq!(run("2026-04-03T22:00:00Z").await["closed"], 0);
    assert_eq!(run("2026-04-04T00:00:00Z").await["closed"], 2);
    assert_eq!(run("2026-04-04T00:01:00Z").await["closed"], 0);
    let early = run("2026-04-29T00:00:00Z").await;
    let counted = |conversions: u32, transactions: u32| json!({ "conversions": conversions, "transactions": transactions, "failed": 0 });
    assert_eq!(early["released"], counted(0, 0));
    // Sixty days after the sales, and after the end of the month: each account's are released together.
    let sales = run("2026-05-01T00:00:00Z").await;
    assert_eq!(sales["released"], counted(5, 2));
    let gates = run("2026-06-01T00:00:00Z").await;
    assert_eq!(gates["released"], counted(2, 2));
    let done = run("2026-06-01T00:01:00Z").await;
    assert_eq!(done["released"]["conversions"], 0);
}
