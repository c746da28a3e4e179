//! Bad input: each with its own documented code, and nothing changed by it.

use axum::body::Body;
use axum::http::{Method, Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tributary_tests::{Answer, Stand, World};

async fn raw(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(body.into()).unwrap()).await
}

async fn as_operator(world: &World, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {}", world.key);
    raw(
        world,
        Method::POST,
        path,
        &[
            ("authorization", &bearer),
            ("content-type", "application/json"),
        ],
        body.to_owned(),
    )
    .await
}

fn good(stand: &Stand) -> Value {
    json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "10.00", "currency": "GBP" })
}

/// The good postback with one field changed, or taken out by `null`.
fn with(stand: &Stand, field: &str, value: Value) -> Value {
    let mut body = good(stand);
    match value {
        Value::Null => {
            body.as_object_mut().unwrap().remove(field);
        }
        value => body[field] = value,
    }
    body
}

#[tokio::test]
async fn postbacks_that_are_wrong_name_the_field_and_the_reason() {
    let world = World::start().await;
    let stand = world.stand().await;
    for (field, value, code) in [
        ("surprise", json!("x"), "unknown_field"),
        ("transaction_id", json!(17), "wrong_type"),
        ("amount", json!(10.0), "decimal_string_expected"),
        ("amount", json!("ten"), "decimal_malformed"),
        ("amount", json!("-1.00"), "amount_negative"),
        ("amount", json!("1.001"), "amount_too_precise"),
        ("amount", json!("10000000000.01"), "amount_over_limit"),
        ("currency", json!("GBX"), "currency_unknown"),
        ("country", json!("UK"), "country_unknown"),
        ("customer_type", json!("old"), "not_one_of"),
        ("product", json!("x".repeat(65)), "too_long"),
        ("meta", json!("b2b"), "wrong_type"),
        ("margin", json!("-0.01"), "amount_negative"),
        ("chargebacks", json!(3), "decimal_string_expected"),
        ("transaction_id", Value::Null, "transaction_id_missing"),
        ("coupon", Value::Null, "claim_missing"),
        ("click_id", json!("forged"), "click_id_invalid"),
        ("quantity", json!(0), "out_of_range"),
        ("status", json!("maybe"), "not_one_of"),
        ("occurred_at", json!("yesterday"), "time_malformed"),
        (
            "occurred_at",
            json!("2026-03-02T10:00:00Z"),
            "time_in_future",
        ),
        ("occurred_at", json!("2010-12-01T08:26:00Z"), "time_too_old"),
        ("transaction_id", json!("x".repeat(500)), "too_long"),
    ] {
        let answer = world
            .postback(&stand, with(&stand, field, value.clone()))
            .await
            .problem(422, code);
        let named = answer.body["errors"].as_array().unwrap();
        assert_eq!(named.len(), 1, "{field}: {}", answer.text);
        // Which claim is missing nobody can say; the first that there could be is named.
        let named_as = if code == "claim_missing" {
            "click_id"
        } else {
            field
        };
        assert_eq!(named[0]["field"], named_as, "{}", answer.text);
        assert!(
            !named[0]["reason"].as_str().unwrap().is_empty(),
            "{field}: {}",
            answer.text
        );
    }
    let two = json!({ "coupon": stand.coupon, "amount": 5, "odd": 1 });
    let answer = world.postback(&stand, two).await.expect(422);
    assert_eq!(
        answer.body["errors"].as_array().unwrap().len(),
        3,
        "all at once: {}",
        answer.text
    );
    world.settle().await;
    let listed = world
        .get(&format!("/v1/conversions?program={}", stand.program))
        .await
        .expect(200);
    assert_eq!(listed.items().len(), 0);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_told_apart() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/postbacks/{}", stand.program);
    let post = async |kind: &str, body: String| {
        let headers = [
            ("x-postback-token", stand.token.as_str()),
            ("content-type", kind),
        ];
        raw(&world, Method::POST, &path, &headers, body).await
    };
    let _ = post("application/json", "{\"transaction_id\": ".to_owned())
        .await
        .problem(400, "malformed_json");
    let _ = post(
        "application/json",
        format!("{{\"a\": \"{}\"}}", "x".repeat(70_000)),
    )
    .await
    .problem(413, "body_too_large");
    let _ = post("text/csv", "a,b".to_owned())
        .await
        .problem(415, "unsupported_media_type");
    let _ = post("application/json", "[1]".to_owned())
        .await
        .problem(422, "wrong_type");
    let _ = as_operator(&world, "/v1/partners", "{")
        .await
        .problem(400, "malformed_json");
    let _ = as_operator(
        &world,
        "/v1/partners",
        &format!("\"{}\"", "x".repeat(70_000)),
    )
    .await
    .problem(413, "body_too_large");
}

fn signed(secret: &str, id: &str, at: i64, body: &str) -> String {
    let key = STANDARD
        .decode(secret.trim_start_matches("whsec_"))
        .unwrap();
    let mut mac = <Hmac<Sha256>>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn signatures_cover_the_body_for_five_minutes_and_nothing_in_the_query() {
    let world = World::start().await;
    let stand = world.stand().await;
    let now = world.now().as_second();
    let body = good(&stand).to_string();
    let post = async |path: &str, at: i64, signature: &str, body: &str| {
        let at = at.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", at.as_str()),
            ("webhook-signature", signature),
        ];
        raw(&world, Method::POST, path, &headers, body.to_owned()).await
    };
    let path = format!("/v1/postbacks/{}", stand.program);
    let right = signed(&stand.signing_secret, "msg_1", now, &body);
    let _ = post(&path, now, &right, &body.replace("10.00", "99.00"))
        .await
        .problem(401, "signature_invalid");
    let _ = post(&path, now, "v1,AAAA", &body)
        .await
        .problem(401, "signature_invalid");
    let _ = post(&path, now + 1, &right, &body)
        .await
        .problem(401, "signature_invalid");
    let stale = signed(&stand.signing_secret, "msg_1", now - 301, &body);
    let _ = post(&path, now - 301, &stale, &body)
        .await
        .problem(401, "signature_stale");
    let _ = post(&format!("{path}?amount=99.00"), now, &right, &body)
        .await
        .problem(422, "facts_in_query");
    let _ = post(&path, now, &right, &body).await.expect(201);

    // Rotation: the old secret is good until its overlap ends.
    let rotated = world
        .post(
            &format!("/v1/programs/{}/secrets", stand.program),
            json!({ "overlap_hours": 1 }),
        )
        .await;
    assert!(rotated.status.is_success(), "{}", rotated.text);
    let _ = post(&path, now, &right, &body).await.expect(200);
    world.advance_days(1).await;
    let now = world.now().as_second();
    let old = signed(&stand.signing_secret, "msg_1", now, &body);
    let _ = post(&path, now, &old, &body)
        .await
        .problem(401, "signature_invalid");
    let new = signed(rotated.str("signing_secret"), "msg_1", now, &body);
    let _ = post(&path, now, &new, &body).await.expect(200);
    let _ = world
        .postback(&stand, good(&stand))
        .await
        .problem(401, "token_invalid");
}

#[tokio::test]
async fn strangers_and_forgeries_are_refused_before_any_read_of_conversions() {
    let world = World::start().await;
    let stand = world.stand().await;
    let other = world.stand().await;
    let path = format!("/v1/postbacks/{}", stand.program);
    let body = good(&stand).to_string();
    let json = ("content-type", "application/json");
    let _ = raw(
        &world,
        Method::POST,
        &path,
        &[json, ("x-postback-token", &other.token)],
        body.clone(),
    )
    .await
    .problem(401, "token_invalid");
    let _ = raw(&world, Method::POST, &path, &[json], body.clone())
        .await
        .problem(401, "token_invalid");
    let unknown = "/v1/postbacks/prg_00000000000000000000000000";
    let _ = raw(
        &world,
        Method::POST,
        unknown,
        &[json, ("x-postback-token", &stand.token)],
        body.clone(),
    )
    .await
    .problem(404, "not_found");
    let foreign = world.click(&other.link).await;
    let own = world.click(&stand.link).await;
    let recorder = world.instance.cloud().recorder();
    for click in [
        foreign.clone(),
        own[..own.len() - 1].to_owned(),
        own.replace(own.chars().nth(40).unwrap(), "-"),
        "x".repeat(62),
    ] {
        recorder.start();
        let body = json!({ "transaction_id": "o-2", "click_id": click, "amount": "10.00" });
        let _ = world
            .postback(&stand, body)
            .await
            .problem(422, "click_id_invalid");
        assert!(recorder.stop().is_empty(), "refused without a read");
    }
}

#[tokio::test]
async fn the_same_transaction_with_other_facts_is_a_conflict_that_names_them() {
    let world = World::start().await;
    let stand = world.stand().await;
    let _ = world.postback(&stand, good(&stand)).await.expect(201);
    let answer = world
        .postback(&stand, with(&stand, "amount", json!("11.00")))
        .await
        .problem(409, "transaction_mismatch");
    assert!(answer.text.contains("amount"), "{}", answer.text);
    let _ = world.postback(&stand, good(&stand)).await.expect(200);
}

#[tokio::test]
async fn changes_state_the_version_they_are_based_on() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}", stand.program);
    let change = json!({ "name": "Summer" });
    let _ = world
        .ask(&world.key, Method::PATCH, &path, &[], Some(&change))
        .await
        .problem(428, "if_match_missing");
    let tag = world.get(&path).await.expect(200).headers[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned();
    let _ = world
        .ask(
            &world.key,
            Method::PATCH,
            &path,
            &[("if-match", &tag)],
            Some(&change),
        )
        .await
        .expect(200);
    let _ = world
        .ask(
            &world.key,
            Method::PATCH,
            &path,
            &[("if-match", &tag)],
            Some(&change),
        )
        .await
        .problem(412, "version_stale");
}

#[tokio::test]
async fn an_idempotency_key_answers_the_same_and_refuses_another_body() {
    let world = World::start().await;
    let body =
        json!({ "name": "Ada", "email": "ada@example.com", "country": "GB", "kind": "affiliate" });
    let once = [("idempotency-key", "make-ada")];
    let first = world
        .ask(&world.key, Method::POST, "/v1/partners", &once, Some(&body))
        .await
        .expect(201);
    let again = world
        .ask(&world.key, Method::POST, "/v1/partners", &once, Some(&body))
        .await
        .expect(201);
    assert_eq!(first.body, again.body);
    let mut other = body.clone();
    other["name"] = json!("Bob");
    let _ = world
        .ask(
            &world.key,
            Method::POST,
            "/v1/partners",
            &once,
            Some(&other),
        )
        .await
        .problem(422, "idempotency_key_reused");
    let long = "x".repeat(65);
    let _ = world
        .ask(
            &world.key,
            Method::POST,
            "/v1/partners",
            &[("idempotency-key", &long)],
            Some(&body),
        )
        .await
        .problem(422, "idempotency_key_invalid");
    assert_eq!(world.get("/v1/partners").await.expect(200).items().len(), 1);
    // A secret is shown once, to the first answer alone.
    let program = json!({ "name": "P", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } });
    let once = [("idempotency-key", "make-p")];
    let first = world
        .ask(
            &world.key,
            Method::POST,
            "/v1/programs",
            &once,
            Some(&program),
        )
        .await
        .expect(201);
    let again = world
        .ask(
            &world.key,
            Method::POST,
            "/v1/programs",
            &once,
            Some(&program),
        )
        .await
        .expect(201);
    assert_eq!(first.str("id"), again.str("id"));
    assert!(first.str("postback_token").len() > 20 && first.str("signing_secret").len() > 20);
    assert!(
        again.body.get("postback_token").is_none_or(Value::is_null),
        "{}",
        again.text
    );
    assert!(
        again.body.get("signing_secret").is_none_or(Value::is_null),
        "{}",
        again.text
    );
}

#[tokio::test]
async fn links_lead_to_stored_https_destinations_on_allowed_hosts() {
    let world = World::start().await;
    let stand = world.stand().await;
    let hosts = json!({ "allowed_destination_hosts": ["shop.example"] });
    let _ = world
        .patch(&format!("/v1/programs/{}", stand.program), hosts)
        .await
        .expect(200);
    let link = async |destination: &str| {
        let body = json!({ "program": stand.program, "partner": stand.partner, "destination": destination });
        world.post("/v1/links", body).await
    };
    for (destination, code) in [
        ("http://shop.example/", "destination_not_https"),
        ("https://elsewhere.example/", "destination_host_refused"),
        (
            "https://shop.example.evil.example/",
            "destination_host_refused",
        ),
        ("https://{sub1}.shop.example/", "destination_host_refused"),
        ("shop.example/roses", "url_malformed"),
        ("https://shop.example/{nonsense}", "placeholder_unknown"),
    ] {
        let answer = link(destination).await;
        assert_eq!(
            (answer.status.as_u16(), answer.str("code")),
            (422, code),
            "{destination}: {}",
            answer.text
        );
    }
    let taken = json!({ "program": stand.program, "partner": stand.partner, "destination": "https://shop.example/", "code": "roses" });
    let _ = world.post("/v1/links", taken.clone()).await.expect(201);
    let _ = world
        .post("/v1/links", taken)
        .await
        .problem(409, "code_taken");
}

#[tokio::test]
async fn payout_methods_fail_their_checksums() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/partners/{}/payout-method", stand.partner);
    let address = json!({ "line1": "1 High Street", "city": "London", "postcode": "N1 1AA", "country": "GB" });
    let bank = |fields: Value| {
        let mut body = json!({ "kind": "bank", "name": "Ada Lovelace", "address": address });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    for (fields, code) in [
        (
            json!({ "iban": "GB33BUKB20201555555556", "bic": "BUKBGB22" }),
            "iban_invalid",
        ),
        (
            json!({ "iban": "GB33BUKB20201555555555", "bic": "BUKB" }),
            "bic_invalid",
        ),
        (
            json!({ "routing_number": "021000022", "account_number": "12345678", "account_type": "checking" }),
            "routing_number_invalid",
        ),
        (
            json!({ "routing_number": "021000021", "account_number": "12", "account_type": "checking" }),
            "account_number_invalid",
        ),
    ] {
        let _ = world.put(&path, bank(fields)).await.problem(422, code);
    }
    let stored = world
        .replace(
            &path,
            bank(json!({ "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22" })),
        )
        .await;
    assert!(stored.status.is_success(), "{}", stored.text);
    assert!(!stored.text.contains("GB33BUKB20201555555555"));
    let stored = world.replace(&path, bank(json!({ "routing_number": "021000021", "account_number": "12345678", "account_type": "checking" }))).await;
    assert!(stored.status.is_success(), "{}", stored.text);
}

#[tokio::test]
async fn keys_do_what_their_scopes_allow() {
    let world = World::start().await;
    let stand = world.stand().await;
    let operator = json!({ "name": "Grace", "email": "grace@example.com" });
    let operator = world
        .post("/v1/operators", operator)
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let issue = async |scope: &str| {
        let answer = world
            .post(
                &format!("/v1/operators/{operator}/keys"),
                json!({ "scopes": [scope] }),
            )
            .await
            .expect(201);
        answer.str("key").to_owned()
    };
    let (read, channel) = (issue("read").await, issue("channel").await);
    let partner =
        json!({ "name": "Bob", "email": "bob@example.com", "country": "GB", "kind": "reseller" });
    let _ = world
        .ask(&read, Method::GET, "/v1/partners", &[], None)
        .await
        .expect(200);
    let _ = world
        .ask(&read, Method::POST, "/v1/partners", &[], Some(&partner))
        .await
        .problem(403, "forbidden");
    let _ = world
        .ask(&channel, Method::POST, "/v1/partners", &[], Some(&partner))
        .await
        .expect(201);
    let batch = json!({ "program": stand.program, "currency": "GBP", "cutoff": "2026-03-01T00:00:00Z", "funding_account": "main" });
    let _ = world
        .ask(
            &channel,
            Method::POST,
            "/v1/payouts/batches",
            &[],
            Some(&batch),
        )
        .await
        .problem(403, "forbidden");
    let _ = world
        .ask(
            &channel,
            Method::POST,
            "/v1/operators",
            &[],
            Some(&json!({})),
        )
        .await
        .problem(403, "forbidden");
    let _ = world
        .ask("tbk_nonsense", Method::GET, "/v1/partners", &[], None)
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn every_problem_code_is_documented() {
    let world = World::start().await;
    let docs = world.get("/docs").await.expect(200).text;
    for code in tributary::edge::ALL_CODES {
        assert!(docs.contains(code.name), "{}", code.name);
    }
}
