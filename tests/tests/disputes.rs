//! Disputes: what partners say is missing or wrong, and how it is made good.

use axum::http::{Method, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_tests::{Answer, Stand, World};

/// A world with a stand, and the key of its partner.
async fn court() -> (World, Stand, String) {
    let world = World::start().await;
    let stand = world.stand().await;
    let key = key_of(&world, &stand.partner).await;
    (world, stand, key)
}

async fn key_of(world: &World, partner: &str) -> String {
    let issued = world
        .post(&format!("/v1/partners/{partner}/keys"), json!({}))
        .await;
    issued.expect(201).str("key").to_owned()
}

fn missing(stand: &Stand, order: &str) -> Value {
    json!({
        "program": stand.program, "kind": "missing", "transaction_id": order, "occurred_at": "2026-03-01T10:00:00Z",
        "expected_amount": "49.00", "currency": "GBP",
        "evidence": { "text": "The customer sent me this:\nthe receipt.", "links": ["https://files.example/receipt.pdf"] },
    })
}

async fn raise(world: &World, key: &str, body: &Value) -> Answer {
    world
        .ask(key, Method::POST, "/v1/disputes", &[], Some(body))
        .await
}

async fn decide(world: &World, dispute: &str, body: Value) -> Answer {
    let path = format!("/v1/disputes/{dispute}");
    let tag = world.get(&path).await.expect(200).headers[header::ETAG].clone();
    let based_on = [("if-match", tag.to_str().unwrap())];
    let path = format!("{path}/decision");
    world
        .ask(&world.key, Method::POST, &path, &based_on, Some(&body))
        .await
}

#[tokio::test]
async fn what_is_missing_is_recorded_credited_and_paid_on_the_operators_word() {
    let (world, stand, key) = court().await;
    let raised = raise(&world, &key, &missing(&stand, "o-1"))
        .await
        .expect(201);
    assert_eq!(
        (
            raised.str("state"),
            raised.headers[header::ETAG].to_str().unwrap()
        ),
        ("open", "\"1\"")
    );
    let dispute = raised.str("id");
    let upheld = json!({
        "outcome": "upheld", "reason": "tracking_failed", "note": "The pixel was blocked.",
        "conversion": { "amount": "49.00", "currency": "GBP", "customer": "c-1" },
    });
    let decided = decide(&world, dispute, upheld).await.expect(200);
    let conversion = decided.str("/decision/conversion").to_owned();
    assert_eq!(conversion, raised.str("conversion"));
    assert_eq!(decided.str("/timeline/1/event"), "upheld");
    assert!(decided.str("/decision/decided_by").starts_with("opr_"));
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
    // The partner sees what came of it, and why it is credited, but not which person said so.
    let see = async |path: String| {
        world
            .ask(&key, Method::GET, &path, &[], None)
            .await
            .expect(200)
    };
    let theirs = see(format!("/v1/disputes/{dispute}")).await;
    assert_eq!(theirs.str("/decision/note"), "The pixel was blocked.");
    assert_eq!(theirs.body["decision"]["decided_by"], Value::Null);
    let credited = see(format!("/v1/conversions/{conversion}")).await;
    assert_eq!(credited.str("occurred_at"), "2026-03-01T10:00:00Z");
    assert_eq!(credited.str("/attribution/evidence/kind"), "decision");
    assert_eq!(credited.str("/attribution/evidence/dispute"), dispute);
    // The shop's own report comes after all: it is the same sale, whatever claim it names.
    let late = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "49.00", "currency": "GBP", "customer": "c-1" });
    assert_eq!(
        world.postback(&stand, late).await.expect(200).str("status"),
        "duplicate"
    );
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
}

#[tokio::test]
async fn a_wrong_amount_is_amended_in_the_same_step() {
    let (world, stand, key) = court().await;
    let sale = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    let mut body = missing(&stand, "o-1");
    body["kind"] = json!("wrong_amount");
    body["expected_amount"] = json!("59.00");
    body.as_object_mut().unwrap().remove("transaction_id");
    body["conversion"] = json!(sale);
    let raised = raise(&world, &key, &body).await.expect(201);
    let dispute = raised.str("id");
    let amended = |amount: &str, currency: &str| json!({ "outcome": "partially_upheld", "reason": "amount_confirmed", "amendment": { "amount": amount, "currency": currency } });
    let foreign = decide(&world, dispute, amended("55.00", "EUR")).await;
    let foreign = foreign.problem(422, "currency_mismatch");
    assert_eq!(foreign.str("/errors/0/field"), "amendment.currency");
    assert!(foreign.str("detail").starts_with("amendment.currency: "));
    let path = format!("/v1/conversions/{sale}/reversals");
    let part =
        json!({ "reversal_id": "r-1", "amount": "9.00", "currency": "GBP", "reason": "sent back" });
    let _ = world.post(&path, part).await.expect(200);
    let _ = decide(&world, dispute, amended("8.99", "GBP"))
        .await
        .problem(422, "amendment_below_reversed");
    let decided = decide(&world, dispute, amended("55.00", "GBP"))
        .await
        .expect(200);
    assert_eq!(decided.str("/decision/amended_to"), "55.00");
    let view = world
        .get(&format!("/v1/conversions/{sale}"))
        .await
        .expect(200);
    assert_eq!(view.str("/amendments/0/amendment_id"), dispute);
    assert_eq!(view.str("net_amount"), "46.00");
}

#[tokio::test]
async fn an_upheld_dispute_gives_an_amount_once_with_its_trail() {
    let (world, stand, key) = court().await;
    let raised = raise(&world, &key, &missing(&stand, "o-1"))
        .await
        .expect(201);
    let dispute = raised.str("id");
    // An operator's adjustment that happens to bear the dispute's id is another one.
    let same = json!({ "adjustment_id": dispute, "program": stand.program, "partner": stand.partner,
        "direction": "credit", "amount": "1.00", "currency": "GBP", "reason": "by the way" });
    let _ = world
        .post("/v1/adjustments", same.clone())
        .await
        .expect(200);
    let mut back = same;
    back["adjustment_id"] = json!("back");
    back["direction"] = json!("debit");
    let _ = world.post("/v1/adjustments", back).await.expect(200);
    let given = json!({ "outcome": "partially_upheld", "reason": "goodwill", "adjustment": { "amount": "12.34", "currency": "GBP" } });
    let decided = decide(&world, dispute, given.clone()).await.expect(200);
    assert_eq!(decided.str("/decision/given"), "12.34");
    assert_eq!(decided.str("/decision/currency"), "GBP");
    assert_eq!(decided.body["decision"]["conversion"], Value::Null);
    let _ = decide(&world, dispute, given)
        .await
        .problem(409, "wrong_state");
    world.settle().await;
    let held = &world.balances(&stand.partner).await[..2];
    assert_eq!(held, ["12.34", "0.00"]);
    // The partner sees what it was given and for what.
    let path = format!(
        "/v1/commissions/{}/trace",
        decided.str("/decision/adjustment")
    );
    let trace = world.ask(&key, Method::GET, &path, &[], None).await;
    let trace = trace.expect(200).text;
    assert!(trace.contains(dispute), "{trace}");
    assert!(trace.contains("goodwill"), "{trace}");
    assert!(!trace.contains("opr_"), "{trace}");
    // It goes the way of any other commission.
    world.advance_days(1).await;
    let payable = &world.balances(&stand.partner).await[..2];
    assert_eq!(payable, ["0.00", "12.34"]);
}

#[tokio::test]
async fn a_partner_disputes_its_own_program_in_time_and_once_at_a_time() {
    let (world, stand, key) = court().await;
    let first = raise(&world, &key, &missing(&stand, "o-1"))
        .await
        .expect(201);
    let again = raise(&world, &key, &missing(&stand, "o-1"))
        .await
        .problem(409, "dispute_open");
    assert!(again.text.contains(first.str("id")), "{}", again.text);
    let _ = raise(&world, &key, &missing(&stand, "o-2"))
        .await
        .expect(201);
    let path = format!("/v1/disputes/{}/withdraw", first.str("id"));
    let withdrawn = world
        .ask(&key, Method::POST, &path, &[], None)
        .await
        .expect(200);
    assert_eq!(withdrawn.str("state"), "withdrawn");
    let _ = world
        .ask(&key, Method::POST, &path, &[], None)
        .await
        .problem(409, "wrong_state");
    let declined = json!({ "outcome": "declined", "reason": "no_record" });
    let _ = decide(&world, first.str("id"), declined)
        .await
        .problem(409, "wrong_state");
    let second = raise(&world, &key, &missing(&stand, "o-1"))
        .await
        .expect(201);
    assert_ne!(second.str("id"), first.str("id"));

    let program = format!("/v1/programs/{}", stand.program);
    assert_eq!(world.get(&program).await.body["dispute_days"], 60);
    let _ = world
        .patch(&program, json!({ "dispute_days": 0 }))
        .await
        .problem(422, "out_of_range");
    let _ = world
        .patch(&program, json!({ "dispute_days": 30 }))
        .await
        .expect(200);
    world
        .advance_to("2026-03-31T10:00:00Z".parse().unwrap())
        .await;
    let _ = raise(&world, &key, &missing(&stand, "o-3"))
        .await
        .expect(201);
    world
        .advance_to("2026-03-31T10:00:01Z".parse().unwrap())
        .await;
    let late = raise(&world, &key, &missing(&stand, "o-4"))
        .await
        .problem(422, "dispute_late");
    assert!(late.text.contains("2026-03-31T10:00:00Z"), "{}", late.text);

    let (other, _, _) = world
        .program(
            30,
            json!([{ "kind": "flat", "event": "lead", "amount": "1.00" }]),
        )
        .await;
    let mut elsewhere = missing(&stand, "o-5");
    elsewhere["program"] = json!(other);
    let _ = raise(&world, &key, &elsewhere)
        .await
        .problem(422, "reference_unknown");
}

#[tokio::test]
async fn a_conversions_own_time_decides_whether_it_is_too_late() {
    let (world, stand, key) = court().await;
    let sale = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    world.advance_days(61).await;
    let recent = world.now().to_string();
    let mut by_order = missing(&stand, "o-1");
    by_order["occurred_at"] = json!(recent);
    let mut by_id = by_order.clone();
    by_id.as_object_mut().unwrap().remove("transaction_id");
    by_id["conversion"] = json!(sale);
    for body in [by_order, by_id] {
        let _ = raise(&world, &key, &body)
            .await
            .problem(422, "dispute_late");
    }
}

#[tokio::test]
async fn what_is_another_partners_stays_unseen() {
    let (world, stand, key) = court().await;
    let (bob, _, coupon) = world.partner_in(&stand.program, "Bob").await;
    let theirs = Stand {
        partner: bob.clone(),
        coupon,
        ..stand.clone()
    };
    let sale = world.sale(&theirs, "o-1", "49.00").await;
    world.settle().await;
    // Named by its id it is unknown, as one that is not there would be; by the order it may be disputed.
    let mut body = missing(&stand, "o-1");
    body["kind"] = json!("wrong_partner");
    let raised = raise(&world, &key, &body).await.expect(201);
    body.as_object_mut().unwrap().remove("transaction_id");
    for id in [sale.as_str(), "cnv_00000000000000000000000000"] {
        body["conversion"] = json!(id);
        let unknown = raise(&world, &key, &body)
            .await
            .problem(422, "reference_unknown");
        assert!(!unknown.text.contains("cnv_"), "{}", unknown.text);
    }
    let bobs = key_of(&world, &bob).await;
    let path = format!("/v1/disputes/{}", raised.str("id"));
    let _ = world
        .ask(&bobs, Method::GET, &path, &[], None)
        .await
        .problem(404, "not_found");
    let withdraw = format!("{path}/withdraw");
    let _ = world
        .ask(&bobs, Method::POST, &withdraw, &[], None)
        .await
        .problem(404, "not_found");
    let list = world
        .ask(&bobs, Method::GET, "/v1/disputes", &[], None)
        .await
        .expect(200);
    assert!(list.items().is_empty());
    for query in [
        format!("partner={}", stand.partner),
        format!("program={}", stand.program),
    ] {
        let path = format!("/v1/disputes?{query}");
        let answer = world.ask(&bobs, Method::GET, &path, &[], None).await;
        assert!(
            [403, 404].contains(&answer.status.as_u16()),
            "{}",
            answer.text
        );
    }
    // It is not amended for the other partner, and not recorded a second time.
    let amended = json!({ "outcome": "upheld", "reason": "goodwill", "amendment": { "amount": "99.00", "currency": "GBP" } });
    let _ = decide(&world, raised.str("id"), amended)
        .await
        .problem(409, "wrong_state");
    let told = |order: &str| json!({ "outcome": "upheld", "reason": "evidence_accepted", "conversion": { "transaction_id": order, "amount": "49.00" } });
    let _ = decide(&world, raised.str("id"), told("o-1"))
        .await
        .problem(409, "exists");
    let still = world.get(&path).await.expect(200);
    assert_eq!(
        still.str("state"),
        "open",
        "nothing of a refused decision stands"
    );
    let _ = decide(&world, raised.str("id"), told("o-1/ada"))
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
    assert_eq!(world.balances(&bob).await[0], "14.70");
}

#[tokio::test]
async fn a_decision_states_a_fitting_reason_a_remedy_and_the_version_it_is_based_on() {
    let (world, stand, key) = court().await;
    let raised = raise(&world, &key, &missing(&stand, "o-1"))
        .await
        .expect(201);
    let dispute = raised.str("id");
    let sale = json!({ "amount": "49.00" });
    let amended = json!({ "amount": "49.00", "currency": "GBP" });
    for (body, status, code, field) in [
        (
            json!({ "outcome": "upheld", "reason": "no_record", "conversion": sale }),
            422,
            "not_one_of",
            "reason",
        ),
        (
            json!({ "outcome": "declined", "reason": "goodwill" }),
            422,
            "not_one_of",
            "reason",
        ),
        (
            json!({ "outcome": "won", "reason": "goodwill" }),
            422,
            "not_one_of",
            "outcome",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill" }),
            422,
            "required",
            "conversion",
        ),
        (
            json!({ "outcome": "declined", "reason": "no_record", "conversion": sale }),
            422,
            "unknown_field",
            "outcome",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "conversion": sale, "amendment": amended }),
            422,
            "unknown_field",
            "amendment",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "conversion": { "amount": 49 } }),
            422,
            "decimal_string_expected",
            "conversion.amount",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "conversion": { "amount": "1.00", "coupon": "ADA" } }),
            422,
            "unknown_field",
            "conversion.coupon",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "conversion": { "occurred_at": "2026-03-03T00:00:00Z" } }),
            422,
            "time_in_future",
            "conversion.occurred_at",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "amendment": amended, "adjustment": amended }),
            422,
            "unknown_field",
            "adjustment",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "adjustment": { "amount": "1.00", "currency": "EUR" } }),
            422,
            "currency_mismatch",
            "adjustment.currency",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "adjustment": { "amount": "0.00", "currency": "GBP" } }),
            422,
            "out_of_range",
            "adjustment.amount",
        ),
        (
            json!({ "outcome": "declined", "reason": "no_record", "adjustment": amended }),
            422,
            "unknown_field",
            "outcome",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "amendment": { "amount": "49.00" } }),
            422,
            "required",
            "amendment.currency",
        ),
        (
            json!({ "outcome": "upheld", "reason": "goodwill", "amendment": amended }),
            409,
            "wrong_state",
            "amendment",
        ),
    ] {
        let refused = decide(&world, dispute, body).await.problem(status, code);
        assert_eq!(refused.str("/errors/0/field"), field, "{}", refused.text);
    }
    let status = format!("/v1/partners/{}/suspend", stand.partner);
    let _ = world.post(&status, json!({})).await.expect(200);
    world
        .advance_to(world.now() + jiff::SignedDuration::from_mins(1))
        .await;
    let upheld = json!({ "outcome": "upheld", "reason": "goodwill", "conversion": sale });
    let nobody = decide(&world, dispute, upheld).await;
    let nobody = nobody.problem(409, "wrong_state");
    assert!(nobody.text.contains("suspended"), "{}", nobody.text);
    let path = format!("/v1/disputes/{dispute}/decision");
    let declined =
        json!({ "outcome": "declined", "reason": "no_record", "note": "Nothing in the shop." });
    let ask = async |headers: &[(&str, &str)]| {
        world
            .ask(&world.key, Method::POST, &path, headers, Some(&declined))
            .await
    };
    let _ = ask(&[]).await.problem(428, "if_match_missing");
    let _ = ask(&[("if-match", "\"2\"")])
        .await
        .problem(412, "version_stale");
    let once = [("if-match", "\"1\""), ("idempotency-key", "decline-1")];
    let decided = ask(&once).await.expect(200);
    assert_eq!(
        (decided.str("state"), decided.body["version"].as_u64()),
        ("declined", Some(2))
    );
    assert_eq!(ask(&once).await.expect(200).body, decided.body);
    let _ = ask(&[("if-match", "\"2\"")])
        .await
        .problem(409, "wrong_state");
    let partners = world
        .ask(
            &key,
            Method::POST,
            &path,
            &[("if-match", "\"2\"")],
            Some(&declined),
        )
        .await;
    let _ = partners.problem(403, "forbidden");
    world.settle().await;
    let list = world
        .get(&format!("/v1/conversions?program={}", stand.program))
        .await;
    assert!(list.items().is_empty(), "what is declined records nothing");
}

#[tokio::test]
async fn operators_see_what_waits_oldest_first_and_partners_their_own_newest_first() {
    let (world, stand, key) = court().await;
    let mut raised = Vec::new();
    for order in ["o-1", "o-2", "o-3"] {
        world
            .advance_to(world.now() + jiff::SignedDuration::from_mins(1))
            .await;
        let dispute = raise(&world, &key, &missing(&stand, order))
            .await
            .expect(201);
        raised.push(dispute.str("id").to_owned());
    }
    let declined = json!({ "outcome": "declined", "reason": "order_cancelled" });
    let _ = decide(&world, &raised[1], declined).await.expect(200);
    let ids = |answer: Answer| -> Vec<String> {
        let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
        answer.expect(200).items().iter().map(id).collect()
    };
    let [first, second, third] = &raised[..] else {
        panic!("three were raised")
    };
    let open = format!("/v1/disputes?program={}&state=open", stand.program);
    assert_eq!(ids(world.get(&open).await), [first.clone(), third.clone()]);
    let page = world.get(&format!("{open}&limit=1")).await.expect(200);
    let rest = format!("{open}&limit=1&cursor={}", page.str("next_cursor"));
    assert_eq!(
        (ids(page), ids(world.get(&rest).await)),
        (vec![first.clone()], vec![third.clone()])
    );
    let all = [third.clone(), second.clone(), first.clone()];
    assert_eq!(
        ids(world
            .get(&format!("/v1/disputes?program={}", stand.program))
            .await),
        all
    );
    assert_eq!(
        ids(world
            .get(&format!("/v1/disputes?partner={}", stand.partner))
            .await),
        all
    );
    assert_eq!(
        ids(world
            .ask(&key, Method::GET, "/v1/disputes", &[], None)
            .await),
        all
    );
    let _ = world.get("/v1/disputes").await.problem(422, "required");
    let _ = world
        .get(&format!("/v1/disputes?program={}&state=won", stand.program))
        .await
        .problem(422, "not_one_of");
}

#[tokio::test]
async fn wrong_disputes_name_the_field_and_the_reason() {
    let (world, stand, key) = court().await;
    let evidence = |evidence: Value| ("evidence", evidence);
    for ((field, value), named, code) in [
        (("kind", json!("late")), "kind", "not_one_of"),
        (("program", json!("prg_1")), "program", "id_malformed"),
        (
            ("transaction_id", Value::Null),
            "transaction_id",
            "required",
        ),
        (
            ("transaction_id", json!("x".repeat(129))),
            "transaction_id",
            "too_long",
        ),
        (
            ("conversion", json!("cnv_00000000000000000000000000")),
            "transaction_id",
            "unknown_field",
        ),
        (("event", json!("Sale")), "event", "characters_refused"),
        (
            ("occurred_at", json!("2026-03-03T00:00:00Z")),
            "occurred_at",
            "time_in_future",
        ),
        (
            ("occurred_at", json!("yesterday")),
            "occurred_at",
            "time_malformed",
        ),
        (
            ("expected_amount", json!(49)),
            "expected_amount",
            "decimal_string_expected",
        ),
        (("currency", Value::Null), "currency", "required"),
        (("evidence", Value::Null), "evidence", "required"),
        (
            evidence(json!({ "text": "" })),
            "evidence.text",
            "too_short",
        ),
        (
            evidence(json!({ "text": "x".repeat(2001) })),
            "evidence.text",
            "too_long",
        ),
        (
            evidence(json!({ "text": "x\u{7}" })),
            "evidence.text",
            "characters_refused",
        ),
        (
            evidence(json!({ "text": "x", "links": ["http://files.example/"] })),
            "evidence.links[0]",
            "url_malformed",
        ),
        (
            evidence(
                json!({ "text": "x", "links": ["https://a.example/", "javascript:alert(1)"] }),
            ),
            "evidence.links[1]",
            "url_malformed",
        ),
        (
            evidence(json!({ "text": "x", "links": vec!["https://a.example/"; 6] })),
            "evidence.links",
            "too_long",
        ),
        (("odd", json!(1)), "odd", "unknown_field"),
    ] {
        let mut body = missing(&stand, "o-1");
        body[field] = value;
        let refused = raise(&world, &key, &body).await.problem(422, code);
        assert_eq!(refused.str("/errors/0/field"), named, "{}", refused.text);
    }
    let mut amount = missing(&stand, "o-1");
    amount["kind"] = json!("wrong_amount");
    amount.as_object_mut().unwrap().remove("expected_amount");
    let refused = raise(&world, &key, &amount).await.problem(422, "required");
    assert_eq!(refused.str("/errors/0/field"), "expected_amount");
    let _ = raise(&world, &world.key, &missing(&stand, "o-1"))
        .await
        .problem(403, "forbidden");
}

#[tokio::test]
async fn of_many_at_once_one_is_raised_and_one_decision_stands() {
    let (world, stand, key) = court().await;
    let body = missing(&stand, "o-1");
    let raised = join_all((0..6).map(|_| raise(&world, &key, &body))).await;
    let made: Vec<&Answer> = raised
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert_eq!(made.len(), 1);
    assert!(
        raised
            .iter()
            .all(|answer| answer.status == 201 || answer.str("code") == "dispute_open")
    );
    let path = format!("/v1/disputes/{}/decision", made[0].str("id"));
    let upheld =
        json!({ "outcome": "upheld", "reason": "goodwill", "conversion": { "amount": "10.00" } });
    let declined = json!({ "outcome": "declined", "reason": "no_record" });
    let based_on = [("if-match", "\"1\"")];
    let (one, other) = tokio::join!(
        world.ask(&world.key, Method::POST, &path, &based_on, Some(&upheld)),
        world.ask(&world.key, Method::POST, &path, &based_on, Some(&declined))
    );
    let stale = [&one, &other]
        .into_iter()
        .filter(|answer| answer.str("code") == "version_stale");
    assert_eq!(stale.count(), 1, "{} {}", one.text, other.text);
    world.settle().await;
    let expected = if one.status == 200 { "3.00" } else { "" };
    assert_eq!(world.balances(&stand.partner).await[0], expected);
}
