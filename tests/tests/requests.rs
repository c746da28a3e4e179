//! How requests are read: strictly, and each refusal says what is wrong.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;
use tributary_tests::{Answer, World};

fn pays() -> serde_json::Value {
    json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }])
}

async fn fetch(world: &World, path: &str) -> Answer {
    world.ask("", Method::GET, path, &[], None).await
}

#[tokio::test]
async fn a_query_that_is_no_utf_8_is_refused_so_that_two_orders_never_become_one() {
    let world = World::start().await;
    let stand = world.stand().await;
    let address = |order: &str| {
        format!(
            "/v1/postbacks/{}?coupon={}&amount=10&transaction_id={order}&token={}",
            stand.program, stand.coupon, stand.token
        )
    };
    for latin in ["A%e9", "A%e8"] {
        let refused = fetch(&world, &address(latin))
            .await
            .problem(400, "malformed_query");
        assert_eq!(refused.str("/errors/0/field"), "transaction_id");
    }
    let first = fetch(&world, &address("A%C3%A9+1")).await.expect(201);
    let second = fetch(&world, &address("A%C3%A8+1")).await.expect(201);
    assert_ne!(first.str("conversion"), second.str("conversion"));
    let path = format!("/v1/conversions/{}", first.str("conversion"));
    assert_eq!(
        world.get(&path).await.expect(200).str("transaction_id"),
        "Aé 1"
    );
}

#[tokio::test]
async fn wrong_methods_and_paths_are_problems_like_any_other() {
    let world = World::start().await;
    for (method, path) in [
        (Method::PUT, "/v1/programs"),
        (Method::DELETE, "/v1/programs"),
        (Method::POST, "/c/ada"),
        (Method::PATCH, "/v1/conversions/cnv_1"),
    ] {
        let _ = world
            .ask(&world.key, method, path, &[], None)
            .await
            .problem(405, "method_not_allowed");
    }
    let long = format!("/v1/funding-accounts/{}", "x".repeat(3_000));
    for path in [
        "/v1/programs/%ff",
        "/v1/payouts/%ff",
        "/v1/funding-accounts/%ff",
        &long,
        "/nowhere",
    ] {
        let _ = world.get(path).await.problem(404, "not_found");
    }
    let page = fetch(&world, "/c/%ff").await.expect(404);
    assert!(page.text.starts_with("<!doctype html>"), "{}", page.text);
}

#[tokio::test]
async fn a_made_up_cursor_finds_nothing_and_breaks_nothing() {
    use base64::Engine;
    let world = World::start().await;
    let stand = world.stand().await;
    let (program, _, _) = world.program(30, pays()).await;
    let _ = world.partner_in(&stand.program, "Bob").await;
    let enrolments = format!("/v1/partners/{}/enrolments", stand.partner);
    let enrolment = json!({ "program": program, "plan": "standard" });
    let _ = world.post(&enrolments, enrolment).await;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    // One list of a table, one of an index.
    for list in [enrolments.as_str(), "/v1/partners"] {
        // What a real cursor of the list begins with.
        let page = world.get(&format!("{list}?limit=1")).await.expect(200);
        let real = engine.decode(page.str("next_cursor")).unwrap();
        let with = async |position: &str| {
            let cursor = engine.encode([&real[..8], position.as_bytes()].concat());
            world.get(&format!("{list}?cursor={cursor}")).await
        };
        for position in ["9999", "-", "~~~", "ENROL#~", "PARTNER"] {
            let _ = with(position).await.expect(200);
        }
        for position in ["", &"x".repeat(2_000)] {
            let _ = with(position).await.problem(422, "cursor_invalid");
        }
    }
}

#[tokio::test]
async fn what_says_everything_in_its_path_takes_no_body() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/partners/{}/suspend", stand.partner);
    let _ = world
        .post(&path, json!({ "reason": "fraud" }))
        .await
        .problem(422, "unknown_field");
    let link = format!(
        "/v1/links/{}/disable",
        world
            .get(&format!("/v1/links?partner={}", stand.partner))
            .await
            .str("/items/0/id")
    );
    let _ = world
        .post(&link, json!({ "bogus": 1 }))
        .await
        .problem(422, "unknown_field");
    let form = Request::post(&path)
        .header("authorization", format!("Bearer {}", world.key))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::empty())
        .unwrap();
    // Nothing is nothing, whatever it calls itself.
    assert_eq!(
        world.send(form).await.expect(200).str("status"),
        "suspended"
    );
}

#[tokio::test]
async fn an_idempotency_key_may_be_used_again_after_thirty_days() {
    let world = World::start().await;
    let body =
        json!({ "name": "Ada", "email": "ada@example.com", "country": "GB", "kind": "affiliate" });
    let make = async || {
        let key = [("idempotency-key", "once")];
        let answer = world.ask(&world.key, Method::POST, "/v1/partners", &key, Some(&body));
        answer.await.expect(201).str("id").to_owned()
    };
    let first = make().await;
    world
        .instance
        .app()
        .clock
        .set(tributary::clock::days_after(world.now(), 29));
    assert_eq!(make().await, first);
    world
        .instance
        .app()
        .clock
        .set(tributary::clock::days_after(world.now(), 2));
    let second = make().await;
    assert_ne!(second, first);
    assert_eq!(make().await, second, "and is remembered anew");
}

#[tokio::test]
async fn the_version_that_a_change_is_based_on_is_part_of_what_a_key_stands_for() {
    let world = World::start().await;
    let account = |email: &str| json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": email });
    let path = "/v1/funding-accounts/main";
    let _ = world
        .put(path, account("a@vendor.example"))
        .await
        .expect(201);
    let change = async |based_on: &str, key: &str, email: &str| {
        let headers = [("if-match", based_on), ("idempotency-key", key)];
        world
            .ask(
                &world.key,
                Method::PUT,
                path,
                &headers,
                Some(&account(email)),
            )
            .await
    };
    let _ = change("\"1\"", "k", "b@vendor.example").await.expect(200);
    let _ = change("\"2\"", "other", "c@vendor.example")
        .await
        .expect(200);
    let _ = change("\"1\"", "k", "b@vendor.example").await.expect(200);
    let _ = change("\"3\"", "k", "b@vendor.example")
        .await
        .problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn the_tester_reads_as_the_programs_own_tracker_would_be_read() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}/postbacks:test", stand.program);
    let sale = |more: serde_json::Value| {
        let mut sale =
            json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "10.00" });
        sale.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        sale
    };
    let _ = world
        .post(
            &path,
            json!({ "body": sale(json!({ "occurred_at": "2015-01-01T00:00:00Z" })) }),
        )
        .await
        .problem(422, "time_too_old");
    let signed = json!({ "query": "amount=5", "headers": { "webhook-signature": "v1,x" }, "body": sale(json!({})) });
    let _ = world
        .post(&path, signed)
        .await
        .problem(422, "facts_in_query");
    let (other, _, _) = world.program(30, pays()).await;
    let elsewhere = json!({ "url": format!("https://t.example/v1/postbacks/{other}?transaction_id=o-1&coupon=ADA") });
    let refused = world
        .post(&path, elsewhere)
        .await
        .problem(422, "reference_unknown");
    assert_eq!(refused.str("/errors/0/field"), "url");
    let bare = json!({ "url": "https://t.example/post" });
    let refused = world.post(&path, bare).await.problem(422, "required");
    assert_eq!(refused.str("/errors/0/field"), "url");
}
