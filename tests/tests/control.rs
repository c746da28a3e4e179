//! What watches over payouts: approval by a second person, cancellation, schedules, holds.

use axum::http::{Method, header};
use serde_json::{Value, json};
use tributary::edge::App;
use tributary::ids::{BatchId, PayoutId};
use tributary::payouts;
use tributary_tests::{Answer, Stand, World};

/// Sales of Ada's that are payable: 49.00 each, 14.70 of it hers.
async fn payable(world: &World, sales: usize) -> Stand {
    let stand = world.stand().await;
    earn(world, &stand, "o", sales).await;
    world.advance_days(30).await;
    stand
}

async fn earn(world: &World, stand: &Stand, name: &str, sales: usize) {
    for number in 0..sales {
        let _ = world
            .sale(stand, &format!("{name}-{number}"), "49.00")
            .await;
    }
    world.settle().await;
}

async fn operator(world: &World, scope: &str) -> String {
    let operator = json!({ "name": "Grace", "email": "grace@vendor.example" });
    let operator = world.post("/v1/operators", operator).await.expect(201);
    let path = format!("/v1/operators/{}/keys", operator.str("id"));
    let key = world.post(&path, json!({ "scopes": [scope] })).await;
    key.expect(201).str("key").to_owned()
}

async fn post_as(world: &World, key: &str, path: &str, body: Value) -> Answer {
    world.ask(key, Method::POST, path, &[], Some(&body)).await
}

fn schedule_path(stand: &Stand) -> String {
    format!("/v1/programs/{}/payout-schedule", stand.program)
}

async fn set_schedule(world: &World, stand: &Stand, body: Value) -> Answer {
    let path = schedule_path(stand);
    if world.get(&path).await.status == 404 {
        world.put(&path, body).await
    } else {
        world.replace(&path, body).await
    }
}

async fn read(world: &World, batch: &str) -> Answer {
    let path = format!("/v1/payouts/batches/{batch}");
    world.get(&path).await.expect(200)
}

/// Asks for a batch, with its funding account there, and delivers nothing that follows from it.
async fn ask(world: &World, stand: &Stand) -> Answer {
    let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
    let _ = world.put("/v1/funding-accounts/main", account).await;
    let body = json!({
        "program": stand.program, "currency": "GBP", "cutoff": world.now().to_string(), "funding_account": "main",
    });
    world.post("/v1/payouts/batches", body).await
}

async fn cancel(world: &World, batch: &str) -> Answer {
    let path = format!("/v1/payouts/batches/{batch}/cancel");
    world.post(&path, json!({ "reason": "wrong cutoff" })).await
}

#[tokio::test]
async fn a_large_batch_waits_for_somebody_else_than_its_maker() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let above = json!({ "kind": "manual", "approval_above": "58.79" });
    let _ = set_schedule(&world, &stand, above).await.expect(200);
    let batch = ask(&world, &stand).await.expect(202).str("id").to_owned();
    let approve = format!("/v1/payouts/batches/{batch}/approve");
    let file = format!("/v1/payouts/batches/{batch}/file");
    let grace = operator(&world, "finance").await;
    let _ = post_as(&world, &grace, &approve, json!({}))
        .await
        .problem(409, "batch_not_ready");
    world.settle().await;
    assert_eq!(read(&world, &batch).await.str("state"), "awaiting_approval");
    let _ = world.get(&file).await.problem(409, "approval_missing");
    let _ = world
        .post(&approve, json!({}))
        .await
        .problem(403, "approval_by_maker");
    // A key is not a person: another one of the maker's is the maker's.
    let me = world.get("/v1/me").await.expect(200);
    let keys = format!("/v1/operators/{}/keys", me.str("operator"));
    let second = world.post(&keys, json!({ "scopes": ["finance"] })).await;
    let second = second.expect(201).str("key").to_owned();
    let _ = post_as(&world, &second, &approve, json!({}))
        .await
        .problem(403, "approval_by_maker");
    let reader = operator(&world, "read").await;
    let _ = post_as(&world, &reader, &approve, json!({}))
        .await
        .problem(403, "forbidden");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "58.80", "0.00"],
        "reserved, so that what is approved is what is paid"
    );

    // What was asked for stays under the terms it was asked for under.
    let lifted = json!({ "kind": "manual", "approval_above": "900.00" });
    let _ = set_schedule(&world, &stand, lifted).await.expect(200);
    let _ = world.get(&file).await.problem(409, "approval_missing");
    let approved = post_as(&world, &grace, &approve, json!({}))
        .await
        .expect(200);
    assert_eq!(
        (approved.str("state"), approved.str("approval_above")),
        ("approved", "58.79")
    );
    assert_ne!(approved.str("approved_by"), approved.str("created_by"));
    let again = world.post(&approve, json!({})).await.expect(200);
    assert_eq!(again.body, approved.body);
    let _ = world.get(&file).await.expect(200);
    assert_eq!(read(&world, &batch).await.str("state"), "submitted");
}

#[tokio::test]
async fn a_batch_within_the_amount_needs_nobody() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let above = json!({ "kind": "manual", "approval_above": "58.80" });
    let _ = set_schedule(&world, &stand, above).await.expect(200);
    let batch = world.batch(&stand.program, None).await;
    assert_eq!(read(&world, &batch).await.str("state"), "reserved");
    let grace = operator(&world, "finance").await;
    let approve = format!("/v1/payouts/batches/{batch}/approve");
    let _ = post_as(&world, &grace, &approve, json!({}))
        .await
        .problem(409, "wrong_state");
    let file = format!("/v1/payouts/batches/{batch}/file");
    let _ = world.get(&file).await.expect(200);
}

#[tokio::test]
async fn who_makes_batches_does_not_lift_what_watches_over_them() {
    let world = World::start().await;
    let stand = world.stand().await;
    let grace = operator(&world, "finance").await;
    let path = schedule_path(&stand);
    let put = async |tag: &[(&str, &str)], body: Value| {
        world
            .ask(&grace, Method::PUT, &path, tag, Some(&body))
            .await
    };
    let guarded = json!({ "kind": "manual", "approval_above": "10.00" });
    let _ = put(&[], guarded.clone()).await.problem(403, "forbidden");
    let _ = world.put(&path, guarded).await.expect(200);
    let first = [("if-match", "\"1\"")];
    for lifted in [
        json!({ "kind": "manual" }),
        json!({ "kind": "manual", "approval_above": "10000.00" }),
    ] {
        let _ = put(&first, lifted).await.problem(403, "forbidden");
    }
    let same = json!({ "kind": "manual", "minimum": "5.00", "approval_above": "10.00" });
    let set = put(&first, same).await.expect(200);
    assert_eq!(
        (set.str("minimum"), &set.headers[header::ETAG]),
        ("5.00", &"\"2\"".parse().unwrap())
    );
}

#[tokio::test]
async fn a_cancelled_batch_gives_everything_back() {
    let world = World::start().await;
    let stand = payable(&world, 101).await;
    let (bob, link, coupon) = world.partner_in(&stand.program, "Bob").await;
    let of_bob = Stand {
        partner: bob.clone(),
        link,
        coupon,
        ..stand.clone()
    };
    earn(&world, &of_bob, "b", 2).await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let reserved = read(&world, &batch).await;
    assert_eq!(reserved.str("state"), "reserved");
    let cancelled = cancel(&world, &batch).await.expect(202);
    assert_eq!(
        (cancelled.str("state"), cancelled.str("cancel_reason")),
        ("cancelling", "wrong cutoff")
    );
    let file = format!("/v1/payouts/batches/{batch}/file");
    let _ = world.get(&file).await.problem(409, "wrong_state");
    world.settle().await;
    let made = read(&world, &batch).await;
    assert_eq!(
        (
            made.str("state"),
            made.str("total"),
            &made.body["payout_count"]
        ),
        ("cancelled", "0.00", &json!(0))
    );
    for line in made.body["lines"].as_array().unwrap() {
        assert_eq!(
            (&line["state"], &line["account"]),
            (&json!("cancelled"), &Value::Null)
        );
        let settle = format!("/v1/payouts/{}/settle", line["payout"].as_str().unwrap());
        let _ = world
            .post(&settle, json!({}))
            .await
            .problem(409, "wrong_state");
    }
    for (partner, owed) in [(&stand.partner, "1484.70"), (&bob, "29.40")] {
        assert_eq!(
            world.balances(partner).await,
            ["0.00", owed, "0.00", "0.00"]
        );
        let listed = world
            .get(&format!("/v1/conversions?partner={partner}&limit=200"))
            .await
            .expect(200);
        assert!(listed.items().iter().all(|one| one["state"] == "payable"));
    }
    let again = cancel(&world, &batch).await.expect(202);
    assert_eq!(again.str("state"), "cancelled");
    assert_eq!(again.str("cancelled_at"), cancelled.str("cancelled_at"));
    let _ = world.get(&file).await.problem(409, "wrong_state");

    world.advance_days(1).await;
    let next = world.batch(&stand.program, None).await;
    assert_eq!(read(&world, &next).await.str("total"), "1514.10");
    let next_file = format!("/v1/payouts/batches/{next}/file");
    let _ = world.get(&next_file).await.expect(200);
    let _ = cancel(&world, &next).await.problem(409, "wrong_state");
}

#[tokio::test]
async fn a_batch_is_cancelled_wherever_its_making_stands() {
    for steps in 0..3 {
        let world = World::start().await;
        let stand = payable(&world, 90).await;
        let batch = ask(&world, &stand).await.expect(202).str("id").to_owned();
        let app: &App = world.instance.app();
        let id: BatchId = batch.parse().unwrap();
        if steps > 0 {
            payouts::advance_batch(app, id).await.unwrap();
        }
        if steps > 1 {
            let payout = read(&world, &batch).await.str("/lines/0/payout").to_owned();
            payouts::advance(app, payout.parse().unwrap())
                .await
                .unwrap();
        }
        let _ = cancel(&world, &batch).await.expect(202);
        // Nothing of it is delivered, and clockwork finds it.
        world.lose_transport().await;
        world.advance_days(1).await;
        world.settle().await;
        assert_eq!(
            read(&world, &batch).await.str("state"),
            "cancelled",
            "{steps}"
        );
        assert_eq!(
            world.balances(&stand.partner).await,
            ["0.00", "1323.00", "0.00", "0.00"],
            "{steps}"
        );
    }
}

/// Lets something happen in the middle of the second chunk of a payout.
struct SecondChunk {
    seen: std::sync::atomic::AtomicU32,
    meanwhile: std::sync::Mutex<Option<futures_util::future::BoxFuture<'static, ()>>>,
}

impl tributary_local::connector::Intercept for SecondChunk {
    fn before(
        &self,
        call: &tributary_local::connector::Call<'_>,
    ) -> tributary_local::connector::Verdict {
        use tributary_local::connector::Verdict;
        let reserves = call.operation == "TransactWriteItems"
            && call.request.to_string().contains("\"reserve\"");
        if reserves && self.seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            let meanwhile = self.meanwhile.lock().unwrap().take();
            return meanwhile.map_or(Verdict::Pass, Verdict::Hold);
        }
        Verdict::Pass
    }
}

#[tokio::test]
async fn a_payout_that_is_just_being_reserved_is_given_back_too() {
    let world = World::start().await;
    let stand = payable(&world, 60).await;
    let batch = ask(&world, &stand).await.expect(202).str("id").to_owned();
    let app: &App = world.instance.app();
    let id: BatchId = batch.parse().unwrap();
    payouts::advance_batch(app, id).await.unwrap();
    let payout = read(&world, &batch).await.str("/lines/0/payout").to_owned();
    let payout: PayoutId = payout.parse().unwrap();
    let meanwhile = {
        let (world, batch) = (world.clone(), batch.clone());
        async move {
            let _ = cancel(&world, &batch).await.expect(202);
            payouts::advance_batch(world.instance.app(), id)
                .await
                .unwrap();
        }
    };
    let chunks = std::sync::Arc::new(SecondChunk {
        seen: std::sync::atomic::AtomicU32::new(0),
        meanwhile: std::sync::Mutex::new(Some(Box::pin(meanwhile))),
    });
    let cloud = world.instance.cloud();
    cloud.set_interceptor(Some(chunks.clone()));
    payouts::advance(app, payout).await.unwrap();
    cloud.set_interceptor(None);
    assert!(chunks.meanwhile.lock().unwrap().is_none(), "it happened");
    world.settle().await;
    assert_eq!(read(&world, &batch).await.str("state"), "cancelled");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "882.00", "0.00", "0.00"]
    );
    world.advance_days(1).await;
    let next = world.batch(&stand.program, None).await;
    assert_eq!(read(&world, &next).await.str("total"), "882.00");
}

#[tokio::test]
async fn of_one_cutoff_and_account_there_is_one_batch() {
    let world = World::start().await;
    let stand = payable(&world, 1).await;
    let first = ask(&world, &stand).await.expect(202);
    world.settle().await;
    let second = ask(&world, &stand).await.problem(409, "period_taken");
    assert!(second.str("detail").contains(first.str("id")));
    // From another account it is another batch.
    let euro = json!({ "name": "B", "kind": "bank", "currency": "GBP", "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22" });
    let _ = world
        .put("/v1/funding-accounts/bank", euro)
        .await
        .expect(201);
    let body = json!({
        "program": stand.program, "currency": "GBP", "cutoff": world.now().to_string(), "funding_account": "bank",
    });
    let _ = world.post("/v1/payouts/batches", body).await.expect(202);
}

async fn batches(world: &World) -> Vec<Value> {
    let listed = world.get("/v1/payouts/batches").await.expect(200);
    listed.items().to_vec()
}

fn monthly() -> Value {
    json!({
        "kind": "monthly", "day": 5, "time_zone": "Europe/Berlin", "cutoff_days": 2, "funding_account": "main",
        "minimum": "20.00",
    })
}

#[tokio::test]
async fn a_schedule_makes_one_batch_for_each_of_its_days() {
    let world = World::start().await;
    let stand = world.stand().await;
    let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
    let _ = world
        .put("/v1/funding-accounts/main", account)
        .await
        .expect(201);
    let mut watched = monthly();
    watched["approval_above"] = json!("0.00");
    let set = set_schedule(&world, &stand, watched).await.expect(200);
    assert_eq!(
        (set.str("next_batch_at"), set.str("next_cutoff")),
        ("2026-03-04T23:00:00Z", "2026-03-02T23:00:00Z")
    );
    earn(&world, &stand, "o", 4).await;
    let to = |text: &str| world.advance_to(text.parse().unwrap());
    to("2026-03-04T22:59:59Z").await;
    assert!(batches(&world).await.is_empty());
    to("2026-03-04T23:00:00Z").await;
    for _ in 0..3 {
        let _ = world.clockwork().await;
        world.settle().await;
    }
    assert_eq!(
        batches(&world).await.len(),
        1,
        "one, however often it is looked at"
    );
    let empty = read(&world, batches(&world).await[0]["id"].as_str().unwrap()).await;
    assert_eq!(
        (empty.str("state"), empty.str("minimum")),
        ("empty", "20.00")
    );

    // Nobody looks for two months; each day is made up for.
    to("2026-04-10T00:00:00Z").await;
    to("2026-06-20T00:00:00Z").await;
    to("2026-06-20T00:01:00Z").await;
    to("2026-06-20T00:02:00Z").await;
    let made = batches(&world).await;
    let mut cutoffs: Vec<&str> = made
        .iter()
        .map(|one| one["cutoff"].as_str().unwrap())
        .collect();
    cutoffs.sort_unstable();
    assert_eq!(
        cutoffs,
        [
            "2026-03-02T23:00:00Z",
            "2026-04-02T22:00:00Z",
            "2026-05-02T22:00:00Z",
            "2026-06-02T22:00:00Z"
        ]
    );
    let paying = made
        .iter()
        .find(|one| one["cutoff"] == "2026-05-02T22:00:00Z")
        .unwrap();
    let paying = read(&world, paying["id"].as_str().unwrap()).await;
    assert_eq!(
        (paying.str("state"), paying.str("total")),
        ("awaiting_approval", "58.80"),
        "payable since the tenth of April"
    );
    let approve = format!("/v1/payouts/batches/{}/approve", paying.str("id"));
    let _ = world
        .post(&approve, json!({}))
        .await
        .problem(403, "approval_by_maker");

    // The same by hand is a second plan for the same days.
    let same = json!({
        "program": stand.program, "currency": "GBP", "cutoff": "2026-05-02T22:00:00Z", "funding_account": "main",
    });
    let _ = world
        .post("/v1/payouts/batches", same)
        .await
        .problem(409, "period_taken");
    let by_hand = json!({ "kind": "manual" });
    let _ = set_schedule(&world, &stand, by_hand).await.expect(200);
    to("2026-09-01T00:00:00Z").await;
    assert_eq!(batches(&world).await.len(), 4, "and then no more");
}

#[tokio::test]
async fn a_batch_made_by_hand_for_a_scheduled_day_is_that_days_batch() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
    let _ = world
        .put("/v1/funding-accounts/main", account)
        .await
        .expect(201);
    let set = set_schedule(&world, &stand, monthly()).await.expect(200);
    let cutoff = set.str("next_cutoff").to_owned();
    world.instance.app().clock.set(cutoff.parse().unwrap());
    let body = json!({ "program": stand.program, "currency": "GBP", "cutoff": cutoff, "funding_account": "main" });
    let batch = world.post("/v1/payouts/batches", body).await.expect(202);
    assert_eq!(batch.str("minimum"), "20.00", "the schedule's, unless told");
    world.settle().await;
    world
        .advance_to(set.str("next_batch_at").parse().unwrap())
        .await;
    assert_eq!(batches(&world).await.len(), 1);
    let moved = world.get(&schedule_path(&stand)).await.expect(200);
    assert_eq!(moved.str("next_batch_at"), "2026-05-04T22:00:00Z");
}

#[tokio::test]
async fn schedules_that_make_no_sense_are_refused() {
    let world = World::start().await;
    let stand = world.stand().await;
    let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
    let _ = world
        .put("/v1/funding-accounts/main", account)
        .await
        .expect(201);
    let euros = json!({ "name": "E", "kind": "paypal", "currency": "EUR", "paypal_email": "payouts@vendor.example" });
    let _ = world
        .put("/v1/funding-accounts/euros", euros)
        .await
        .expect(201);
    let path = schedule_path(&stand);
    let _ = world.get(&path).await.problem(404, "not_found");
    let with = |field: &str, value: Value| {
        let mut body = monthly();
        body[field] = value;
        body
    };
    for (body, code) in [
        (with("day", json!(29)), "out_of_range"),
        (with("day", json!(0)), "out_of_range"),
        (with("kind", json!("weekly")), "invalid"),
        (with("kind", json!("daily")), "not_one_of"),
        (with("kind", json!("manual")), "unknown_field"),
        (
            with("time_zone", json!("Europe/Atlantis")),
            "time_zone_unknown",
        ),
        (with("time_zone", Value::Null), "required"),
        (with("cutoff_days", json!(91)), "out_of_range"),
        (with("funding_account", json!("none")), "reference_unknown"),
        (with("funding_account", json!("euros")), "currency_mismatch"),
        (with("minimum", json!("1.234")), "amount_too_precise"),
        (with("approval_above", json!(5)), "decimal_string_expected"),
        (with("colour", json!("red")), "unknown_field"),
    ] {
        let refused = world.put(&path, body.clone()).await;
        assert_eq!(refused.str("code"), code, "{body}: {}", refused.text);
        let _ = refused.problem(422, code);
    }
    let absent = "/v1/programs/prg_00000000000000000000000000/payout-schedule";
    let _ = world.put(absent, monthly()).await.problem(404, "not_found");
    let _ = world.put(&path, monthly()).await.expect(200);
    let _ = world
        .put(&path, monthly())
        .await
        .problem(428, "if_match_missing");
    let stale = [("if-match", "\"7\"")];
    let _ = world
        .ask(&world.key, Method::PUT, &path, &stale, Some(&monthly()))
        .await
        .problem(412, "version_stale");
    let mut weekly = monthly();
    weekly.as_object_mut().unwrap().remove("day");
    weekly["kind"] = json!("weekly");
    weekly["weekday"] = json!("wednesday");
    let set = world.replace(&path, weekly).await.expect(200);
    assert_eq!(
        (
            set.str("weekday"),
            set.str("next_batch_at"),
            &set.body["day"]
        ),
        ("wednesday", "2026-03-03T23:00:00Z", &Value::Null)
    );
}

#[tokio::test]
async fn a_held_partner_is_left_out_until_the_hold_ends() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let path = format!("/v1/partners/{}/payout-hold", stand.partner);
    let _ = world.get(&path).await.problem(404, "not_found");
    let _ = world
        .put(
            &path,
            json!({ "reason": "x", "until": world.now().to_string() }),
        )
        .await
        .problem(422, "time_in_past");
    let _ = world.put(&path, json!({})).await.problem(422, "required");
    let held = world
        .put(&path, json!({ "reason": "address is verified" }))
        .await
        .expect(200);
    assert_eq!(world.get(&path).await.expect(200).body, held.body);
    let left_out = async || {
        world.advance_days(1).await;
        let batch = world.batch(&stand.program, None).await;
        read(&world, &batch).await
    };
    assert_eq!(left_out().await.str("/left_out/0/reason"), "on_hold");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "58.80", "0.00", "0.00"]
    );
    let tomorrow = tributary::clock::days_after(world.now(), 2);
    let dated = json!({ "reason": "fraud", "until": tomorrow.to_string() });
    let _ = world.put(&path, dated).await.expect(200);
    assert_eq!(left_out().await.str("/left_out/0/reason"), "on_hold");

    let _ = world.delete(&path).await.expect(204);
    let _ = world.delete(&path).await.expect(204);
    let _ = world.get(&path).await.problem(404, "not_found");
    let _ = world
        .put(
            &path,
            json!({ "reason": "fraud", "until": tomorrow.to_string() }),
        )
        .await
        .expect(200);
    let paid = left_out().await;
    assert_eq!(
        (paid.str("state"), paid.str("total")),
        ("reserved", "58.80"),
        "its time is over"
    );
    let key = operator(&world, "channel").await;
    let _ = world
        .ask(&key, Method::DELETE, &path, &[], None)
        .await
        .problem(403, "forbidden");
}

#[tokio::test]
async fn a_hold_placed_while_a_payout_is_made_keeps_it_back() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let batch = ask(&world, &stand).await.expect(202).str("id").to_owned();
    let app: &App = world.instance.app();
    payouts::advance_batch(app, batch.parse().unwrap())
        .await
        .unwrap();
    let path = format!("/v1/partners/{}/payout-hold", stand.partner);
    let _ = world
        .put(&path, json!({ "reason": "fraud" }))
        .await
        .expect(200);
    world.settle().await;
    let made = read(&world, &batch).await;
    assert_eq!(
        (
            made.str("state"),
            made.str("/lines/0/state"),
            made.str("/left_out/0/reason")
        ),
        ("empty", "withdrawn", "on_hold")
    );
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "58.80", "0.00", "0.00"]
    );
}
