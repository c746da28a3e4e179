//! Payout batches: who is paid, what stands in the file, and what becomes of each payment.

use axum::http::{Method, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tributary::edge::App;
use tributary::ids::{BatchId, PayoutId, hex};
use tributary::payouts;
use tributary::table::AttributeValue;
use tributary_tests::{Answer, Stand, World};

/// Sales of Ada's that are payable: 49.00 each, 14.70 of it hers.
async fn payable(world: &World, sales: usize) -> Stand {
    let stand = world.stand().await;
    for number in 0..sales {
        let _ = world.sale(&stand, &format!("o-{number}"), "49.00").await;
    }
    world.settle().await;
    world.advance_days(30).await;
    stand
}

async fn read(world: &World, batch: &str) -> Answer {
    world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200)
}

fn file_path(batch: &str) -> String {
    format!("/v1/payouts/batches/{batch}/file?format=paypal&part=1")
}

/// A batch whose file was downloaded, and its only payout.
async fn submitted(world: &World, stand: &Stand) -> (String, String) {
    let batch = world.batch(&stand.program, None).await;
    let _ = world.get(&file_path(&batch)).await.expect(200);
    let payout = read(world, &batch).await.str("/lines/0/payout").to_owned();
    (batch, payout)
}

async fn partner_key(world: &World, partner: &str) -> String {
    let made = world
        .post(&format!("/v1/partners/{partner}/keys"), json!({}))
        .await
        .expect(201);
    made.str("key").to_owned()
}

async fn scoped_key(world: &World, scope: &str) -> String {
    let operator = json!({ "name": "Grace", "email": "grace@vendor.example" });
    let operator = world
        .post("/v1/operators", operator)
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let path = format!("/v1/operators/{operator}/keys");
    world
        .post(&path, json!({ "scopes": [scope] }))
        .await
        .expect(201)
        .str("key")
        .to_owned()
}

/// Asks for a batch without delivering anything that follows from it.
async fn ask(world: &World, stand: &Stand, changes: Value) -> Answer {
    let mut body = json!({
        "program": stand.program, "currency": "GBP", "cutoff": world.now().to_string(), "funding_account": "main",
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.post("/v1/payouts/batches", body).await
}

async fn fund(world: &World, id: &str, body: Value) -> Answer {
    world.put(&format!("/v1/funding-accounts/{id}"), body).await
}

fn paypal() -> Value {
    json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" })
}

#[tokio::test]
async fn everybody_is_paid_or_left_out_with_a_reason() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let mut others = Vec::new();
    for (name, sales) in [("Bob", 1), ("Cleo", 4), ("Dan", 4), ("Eve", 4), ("Fay", 4)] {
        let (partner, link, coupon) = world.partner_in(&stand.program, name).await;
        let stand = Stand {
            partner: partner.clone(),
            link,
            coupon,
            ..stand.clone()
        };
        for number in 0..sales {
            let _ = world
                .sale(&stand, &format!("{name}-{number}"), "49.00")
                .await;
        }
        others.push(partner);
    }
    world.settle().await;
    world.advance_days(30).await;
    let [bob, cleo, dan, eve, fay] = others.try_into().unwrap();
    let _ = world
        .post(&format!("/v1/partners/{cleo}/suspend"), json!({}))
        .await
        .expect(200);
    let bank = json!({
        "kind": "bank", "name": "Dan Dare", "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22",
        "address": { "line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB" },
    });
    let path = format!("/v1/partners/{dan}/payout-method");
    let _ = world.replace(&path, bank).await.expect(200);

    // Suspensions are seen within the age that cached records may have.
    world.advance_days(1).await;
    let batch = world.batch(&stand.program, Some("50.00")).await;
    let batch = read(&world, &batch).await;
    assert_eq!(batch.str("state"), "reserved");
    let reason = |partner: &str| {
        let left_out = batch.body["left_out"].as_array().unwrap();
        left_out
            .iter()
            .find(|entry| entry["partner"] == partner)
            .map(|entry| entry["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(reason(&bob).as_deref(), Some("below_minimum"));
    assert_eq!(reason(&cleo).as_deref(), Some("suspended"));
    assert_eq!(reason(&dan).as_deref(), Some("payout_method_differs"));
    for paid in [&stand.partner, &eve, &fay] {
        assert_eq!(reason(paid), None);
    }
    assert_eq!(batch.body["payout_count"], 3);
    assert_eq!(batch.str("/lines/0/amount"), "58.80");
    assert_eq!(
        world.balances(&cleo).await,
        ["0.00", "58.80", "0.00", "0.00"],
        "what is left out stays payable"
    );
}

#[tokio::test]
async fn the_first_download_freezes_the_file_for_ever() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let batch = ask(&world, &stand, json!({}))
        .await
        .expect(202)
        .str("id")
        .to_owned();
    let _ = world
        .get(&file_path(&batch))
        .await
        .problem(409, "batch_not_ready");
    world.settle().await;
    assert_eq!(read(&world, &batch).await.str("state"), "reserved");
    for (key, code) in [
        (scoped_key(&world, "read").await, "forbidden"),
        (partner_key(&world, &stand.partner).await, "forbidden"),
    ] {
        let _ = world
            .ask(&key, Method::GET, &file_path(&batch), &[], None)
            .await
            .problem(403, code);
    }
    let head = world
        .ask(&world.key, Method::HEAD, &file_path(&batch), &[], None)
        .await;
    assert_eq!(head.status.as_u16(), 405);
    assert_eq!(
        read(&world, &batch).await.str("state"),
        "reserved",
        "a HEAD freezes nothing"
    );

    let first = world.get(&file_path(&batch)).await.expect(200);
    let payout = read(&world, &batch).await.str("/lines/0/payout").to_owned();
    let row = format!(
        "ada@wallet.example,58.80,GBP,{payout},Spring: commissions until {},PAYPAL\r\n",
        &world.now().to_string()[..10]
    );
    assert_eq!(first.text, row);
    assert_eq!(
        first.headers[header::CONTENT_TYPE],
        "text/csv; charset=utf-8"
    );
    assert_eq!(first.headers["tributary-parts"], "1");
    let name = format!("attachment; filename=\"{batch}-paypal-1.csv\"");
    assert_eq!(first.headers[header::CONTENT_DISPOSITION], name.as_str());

    let path = format!("/v1/partners/{}/payout-method", stand.partner);
    let moved = json!({ "kind": "paypal", "wallet": "elsewhere@wallet.example" });
    let _ = world.replace(&path, moved).await.expect(200);
    let _ = world
        .post(&format!("/v1/payouts/{payout}/settle"), json!({}))
        .await
        .expect(200);
    world.advance_days(400).await;
    assert_eq!(
        world.get(&file_path(&batch)).await.expect(200).text,
        first.text
    );
    let _ = world
        .get(&format!(
            "/v1/payouts/batches/{batch}/file?format=paypal&part=2"
        ))
        .await
        .problem(404, "not_found");
    let shown = read(&world, &batch).await;
    assert_eq!(shown.str("state"), "submitted");
    let digest = hex(&Sha256::digest(first.text.as_bytes()));
    assert_eq!(first.headers["tributary-sha256"], digest.as_str());
    assert_eq!(shown.body["file_sha256"], json!([digest]));

    // Should a later version write other bytes, it gives none.
    let table = &world.instance.app().config.main_table;
    let key = |name: &str| AttributeValue::S(name.to_owned());
    let other = AttributeValue::L(vec![AttributeValue::S(hex(&Sha256::digest("others")))]);
    let _ = world
        .instance
        .cloud()
        .dynamodb()
        .update_item()
        .table_name(table)
        .key("pk", key(&format!("BATCH#{batch}")))
        .key("sk", key("BATCH"))
        .update_expression("SET digests = :other")
        .expression_attribute_values(":other", other)
        .send()
        .await
        .unwrap();
    let _ = world
        .get(&file_path(&batch))
        .await
        .problem(409, "file_differs");
}

#[tokio::test]
async fn settling_and_returning_move_the_money_once() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let batch = world.batch(&stand.program, None).await;
    let payout = read(&world, &batch).await.str("/lines/0/payout").to_owned();
    let settle = format!("/v1/payouts/{payout}/settle");
    let back = format!("/v1/payouts/{payout}/return");
    let why = json!({ "reason": "wallet closed", "evidence": "8XY12345" });
    let _ = world
        .post(&settle, json!({}))
        .await
        .problem(409, "wrong_state");
    let _ = world
        .post(&back, why.clone())
        .await
        .problem(409, "wrong_state");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "58.80", "0.00"]
    );

    let _ = world.get(&file_path(&batch)).await.expect(200);
    let first = world.post(&settle, json!({})).await.expect(200);
    let again = world.post(&settle, json!({})).await.expect(200);
    assert_eq!((first.str("state"), &first.body), ("settled", &again.body));
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "58.80"]
    );

    let first = world.post(&back, why.clone()).await.expect(200);
    let again = world.post(&back, why).await.expect(200);
    assert_eq!(
        (first.str("state"), first.str("evidence")),
        ("returned", "8XY12345")
    );
    assert_eq!(again.str("returned_at"), first.str("returned_at"));
    world.settle().await;
    let _ = world
        .post(&settle, json!({}))
        .await
        .problem(409, "wrong_state");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "58.80", "0.00", "0.00"]
    );
    assert_eq!(read(&world, &batch).await.str("/lines/0/state"), "returned");

    let (_, next) = submitted(&world, &stand).await;
    assert_ne!(next, payout);
    let _ = world
        .post(&format!("/v1/payouts/{next}/settle"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "58.80"]
    );
}

#[tokio::test]
async fn a_payout_of_many_lines_is_taken_and_given_back_in_chunks() {
    let world = World::start().await;
    let stand = payable(&world, 101).await;
    let (_, payout) = submitted(&world, &stand).await;
    let path = format!("/v1/payouts/{payout}");
    let mut lines = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world
            .get(&format!("{path}?limit=40{cursor}"))
            .await
            .expect(200);
        assert_eq!(
            (page.str("amount"), &page.body["line_count"]),
            ("1484.70", &json!(101))
        );
        lines.extend(
            page.body["lines"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line["conversion"].as_str().unwrap().to_owned()),
        );
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let listed = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!((listed, lines.len()), (101, 101), "each line once");

    let _ = world
        .post(
            &format!("{path}/return"),
            json!({ "reason": "closed", "evidence": "x" }),
        )
        .await
        .expect(200);
    assert_eq!(
        world.balances(&stand.partner).await[1],
        "1484.70",
        "payable at once, before its lines are open"
    );
    world.settle().await;
    for conversion in &lines {
        assert_eq!(world.state(conversion).await, "payable");
    }
    let batch = world.batch(&stand.program, None).await;
    assert_eq!(read(&world, &batch).await.str("/lines/0/amount"), "1484.70");
}

#[tokio::test]
async fn what_is_reversed_while_a_payout_is_made_is_not_paid() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let batch = ask(&world, &stand, json!({ "minimum": "50.00" }))
        .await
        .expect(202)
        .str("id")
        .to_owned();
    let app: &App = world.instance.app();
    let batch_id: BatchId = batch.parse().unwrap();
    payouts::advance_batch(app, batch_id).await.unwrap();
    let planned = read(&world, &batch).await;
    assert_eq!(
        (planned.str("state"), planned.str("/lines/0/state")),
        ("planned", "planned")
    );
    let conversions = world
        .get(&format!("/v1/conversions?program={}", stand.program))
        .await
        .expect(200);
    let reversed = conversions.items()[0]["id"].as_str().unwrap().to_owned();
    let reversal = json!({ "reversal_id": "r-1", "reason": "returned goods" });
    assert!(
        world
            .post(&format!("/v1/conversions/{reversed}/reversals"), reversal)
            .await
            .status
            .is_success()
    );
    // The reversal is settled before the payout is told to go on.
    let failed =
        tributary::commissions::settle(app, &[reversed.parse().unwrap()], world.now()).await;
    assert!(failed.is_empty());
    let payout: PayoutId = planned.str("/lines/0/payout").parse().unwrap();
    payouts::advance(app, payout).await.unwrap();
    world.settle().await;

    let made = read(&world, &batch).await;
    assert_eq!(
        (made.str("state"), made.str("/lines/0/state")),
        ("empty", "withdrawn")
    );
    assert_eq!(
        (
            made.str("/left_out/0/reason"),
            made.str("/left_out/0/amount")
        ),
        ("below_minimum", "44.10")
    );
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "44.10", "0.00", "0.00"]
    );
    let _ = world
        .get(&file_path(&batch))
        .await
        .problem(409, "wrong_state");
    let next = world.batch(&stand.program, None).await;
    assert_eq!(read(&world, &next).await.str("/lines/0/amount"), "44.10");
}

#[tokio::test]
async fn runs_at_once_and_again_reserve_each_line_once() {
    let world = World::start().await;
    let stand = payable(&world, 90).await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let batch = ask(&world, &stand, json!({}))
        .await
        .expect(202)
        .str("id")
        .to_owned();
    let app: &App = world.instance.app();
    let id: BatchId = batch.parse().unwrap();
    let planned =
        futures_util::future::join_all((0..4).map(|_| payouts::advance_batch(app, id))).await;
    assert!(planned.iter().all(Result::is_ok), "{planned:?}");
    let payout: PayoutId = read(&world, &batch)
        .await
        .str("/lines/0/payout")
        .parse()
        .unwrap();
    let advanced =
        futures_util::future::join_all((0..6).map(|_| payouts::advance(app, payout))).await;
    assert!(advanced.iter().any(Result::is_ok), "{advanced:?}");
    world.settle().await;
    for _ in 0..2 {
        payouts::advance_batch(app, id).await.unwrap();
        payouts::advance(app, payout).await.unwrap();
    }
    world.settle().await;
    let made = read(&world, &batch).await;
    assert_eq!(
        (
            made.str("state"),
            made.str("total"),
            &made.body["payout_count"]
        ),
        ("reserved", "1323.00", &json!(1))
    );
    assert_eq!(made.body["left_out"], json!([]));
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "1323.00", "0.00"]
    );
}

#[tokio::test]
async fn what_becomes_payable_after_the_cutoff_waits() {
    let world = World::start().await;
    let stand = payable(&world, 1).await;
    let cutoff = world.now();
    let _ = world.sale(&stand, "later", "100.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let batch = ask(&world, &stand, json!({ "cutoff": cutoff.to_string() }))
        .await
        .expect(202)
        .str("id")
        .to_owned();
    world.settle().await;
    assert_eq!(read(&world, &batch).await.str("total"), "14.70");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "30.00", "14.70", "0.00"]
    );
}

#[tokio::test]
async fn batches_that_cannot_be_paid_are_refused() {
    let world = World::start().await;
    let stand = world.stand().await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let mut euros = paypal();
    euros["currency"] = json!("EUR");
    let _ = fund(&world, "euros", euros).await.expect(201);
    for (changes, code) in [
        (json!({ "funding_account": "euros" }), "currency_mismatch"),
        (json!({ "funding_account": "none" }), "reference_unknown"),
        (
            json!({ "funding_account": "No Slug" }),
            "characters_refused",
        ),
        (json!({ "currency": "EUR" }), "currency_mismatch"),
        (
            json!({ "cutoff": "2199-01-01T00:00:00Z" }),
            "time_in_future",
        ),
        (json!({ "minimum": "50.001" }), "amount_too_precise"),
        (json!({ "minimum": 50 }), "decimal_string_expected"),
        (
            json!({ "program": "prg_00000000000000000000000000" }),
            "reference_unknown",
        ),
        (json!({ "colour": "red" }), "unknown_field"),
    ] {
        let _ = ask(&world, &stand, changes).await.problem(422, code);
    }
    let _ = ask(&world, &stand, json!({})).await.expect(202);
    let _ = ask(&world, &stand, json!({}))
        .await
        .problem(409, "wrong_state");
    world.settle().await;
    world.advance_days(1).await;
    let empty = ask(&world, &stand, json!({}))
        .await
        .expect(202)
        .str("id")
        .to_owned();
    world.settle().await;
    assert_eq!(read(&world, &empty).await.str("state"), "empty");
    let listed = world.get("/v1/payouts/batches?limit=1").await.expect(200);
    assert_eq!(listed.items()[0]["id"], empty.as_str(), "newest first");
    assert!(listed.body["next_cursor"].is_string());
}

#[tokio::test]
async fn a_repeated_request_for_a_batch_makes_one() {
    let world = World::start().await;
    let stand = payable(&world, 1).await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let body = json!({
        "program": stand.program, "currency": "GBP", "cutoff": world.now().to_string(), "funding_account": "main",
    });
    let once = [("idempotency-key", "batch-of-april")];
    let first = world
        .ask(
            &world.key,
            Method::POST,
            "/v1/payouts/batches",
            &once,
            Some(&body),
        )
        .await
        .expect(202);
    world.settle().await;
    let again = world
        .ask(
            &world.key,
            Method::POST,
            "/v1/payouts/batches",
            &once,
            Some(&body),
        )
        .await
        .expect(202);
    assert_eq!(first.body, again.body);
    assert_eq!(
        world
            .get("/v1/payouts/batches")
            .await
            .expect(200)
            .items()
            .len(),
        1
    );
}

#[tokio::test]
async fn funding_accounts_are_shown_masked_and_changed_on_their_version() {
    let world = World::start().await;
    let made = fund(&world, "main", paypal()).await.expect(201);
    assert_eq!(
        (made.str("account"), made.str("kind")),
        ("p•••@vendor.example", "paypal")
    );
    assert!(!made.text.contains("payouts@vendor.example"));
    let us = json!({
        "name": "US", "kind": "bank", "currency": "USD",
        "routing_number": "021000021", "account_number": "123456789", "account_type": "checking",
        "holder": "Vendor Inc.", "company_id": "1123456789", "bank_name": "Chase",
    });
    let _ = fund(&world, "main", us.clone())
        .await
        .problem(428, "if_match_missing");
    let change = async |tag: &str| {
        world
            .ask(
                &world.key,
                Method::PUT,
                "/v1/funding-accounts/main",
                &[("if-match", tag)],
                Some(&us),
            )
            .await
    };
    let changed = change("\"1\"").await.expect(200);
    assert_eq!(
        (
            changed.str("account"),
            changed.headers[header::ETAG].to_str().unwrap()
        ),
        ("•••• 6789", "\"2\"")
    );
    let _ = change("\"1\"").await.problem(412, "version_stale");
    let read = world.get("/v1/funding-accounts/main").await.expect(200);
    assert_eq!(read.body, changed.body);
    let _ = fund(&world, "Main", paypal())
        .await
        .problem(422, "characters_refused");
    let wrong = json!({ "name": "X", "kind": "bank", "currency": "GBP", "iban": "GB34BUKB20201555555555", "bic": "BUKBGB22" });
    let _ = fund(&world, "wrong", wrong)
        .await
        .problem(422, "iban_invalid");
    let _ = world
        .get("/v1/funding-accounts/wrong")
        .await
        .problem(404, "not_found");
    assert_eq!(
        world
            .get("/v1/funding-accounts")
            .await
            .expect(200)
            .items()
            .len(),
        1
    );
}

#[tokio::test]
async fn partners_read_their_own_payouts() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let (_, payout) = submitted(&world, &stand).await;
    let (stranger, _, _) = world.partner_in(&stand.program, "Bob").await;
    let own = partner_key(&world, &stand.partner).await;
    let other = partner_key(&world, &stranger).await;
    let path = format!("/v1/payouts/{payout}");
    let as_partner =
        async |key: &str, path: &str| world.ask(key, Method::GET, path, &[], None).await;
    assert_eq!(
        as_partner(&own, &path).await.expect(200).str("amount"),
        "58.80"
    );
    let _ = as_partner(&other, &path).await.problem(404, "not_found");
    assert_eq!(
        as_partner(&own, "/v1/payouts").await.expect(200).items()[0]["id"],
        payout.as_str()
    );
    assert!(
        as_partner(&other, "/v1/payouts")
            .await
            .expect(200)
            .items()
            .is_empty()
    );
    let _ = as_partner(&other, &format!("/v1/payouts?partner={}", stand.partner))
        .await
        .problem(404, "not_found");
    let _ = world.get("/v1/payouts").await.problem(422, "required");
    let listed = world
        .get(&format!("/v1/payouts?partner={}", stand.partner))
        .await
        .expect(200);
    assert_eq!(listed.items().len(), 1);
    let _ = as_partner(&own, "/v1/payouts/batches")
        .await
        .problem(403, "forbidden");
}

/// Holds the second chunk of a payout until somebody else is done.
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
async fn what_is_reversed_behind_the_lines_that_are_being_taken_is_not_paid_either() {
    let world = World::start().await;
    let stand = payable(&world, 60).await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let batch = ask(&world, &stand, json!({}))
        .await
        .expect(202)
        .str("id")
        .to_owned();
    let app: &App = world.instance.app();
    payouts::advance_batch(app, batch.parse().unwrap())
        .await
        .unwrap();
    let payout: PayoutId = read(&world, &batch)
        .await
        .str("/lines/0/payout")
        .parse()
        .unwrap();
    let first = store_order(&world, &stand).await;
    let meanwhile = {
        let (world, first) = (world.clone(), first.clone());
        async move {
            let reversal = json!({ "reversal_id": "r-1", "reason": "returned goods" });
            let _ = world
                .post(&format!("/v1/conversions/{first}/reversals"), reversal)
                .await;
            let app = world.instance.app();
            let failed =
                tributary::commissions::settle(app, &[first.parse().unwrap()], world.now()).await;
            assert!(failed.is_empty());
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
    assert_eq!(world.state(&first).await, "reversed");
    let made = read(&world, &batch).await;
    assert_eq!(
        (made.str("state"), made.str("/lines/0/amount")),
        ("reserved", "867.30"),
        "59 of 60 lines of 14.70"
    );
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "867.30", "0.00"]
    );
}

/// The conversion whose line a payout takes first.
async fn store_order(world: &World, stand: &Stand) -> String {
    let path = format!("/v1/conversions?partner={}&limit=200", stand.partner);
    let found = world.get(&path).await.expect(200);
    let mut lines: Vec<(String, String)> = Vec::new();
    for item in found.items() {
        let id = item["id"].as_str().unwrap().to_owned();
        let one = world
            .get(&format!("/v1/conversions/{id}"))
            .await
            .expect(200);
        lines.push((one.str("/outcome/payable_at").to_owned(), id));
    }
    lines.sort();
    lines.remove(0).1
}

#[tokio::test]
async fn settling_what_is_settled_remembers_its_key_too() {
    let world = World::start().await;
    let stand = payable(&world, 4).await;
    let _ = fund(&world, "main", paypal()).await.expect(201);
    let batch = ask(&world, &stand, json!({}))
        .await
        .expect(202)
        .str("id")
        .to_owned();
    world.settle().await;
    let payout = read(&world, &batch).await.str("/lines/0/payout").to_owned();
    let _ = world.get(&file_path(&batch)).await.expect(200);
    let settle = format!("/v1/payouts/{payout}/settle");
    let _ = world.post(&settle, json!({})).await.expect(200);
    let again = async || {
        let key = [("idempotency-key", "second-look")];
        world
            .ask(&world.key, Method::POST, &settle, &key, Some(&json!({})))
            .await
    };
    let settled = again().await.expect(200);
    let back = json!({ "reason": "closed", "evidence": "R-7" });
    let _ = world
        .post(&format!("/v1/payouts/{payout}/return"), back)
        .await
        .expect(200);
    assert_eq!(again().await.expect(200).body, settled.body);
    let _ = world
        .post(&settle, json!({}))
        .await
        .problem(409, "wrong_state");
}
