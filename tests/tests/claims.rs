//! Whose customer is this: channels and profiles, the vendor's accounts, referrals, and conversions that name
//! their customer.

use axum::http::{Method, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_tests::{Answer, Stand, World};

async fn key_of(world: &World, partner: &str) -> String {
    let issued = world
        .post(&format!("/v1/partners/{partner}/keys"), json!({}))
        .await;
    issued.expect(201).str("key").to_owned()
}

async fn declare(world: &World, stand: &Stand, body: Value) -> Answer {
    let path = format!("/v1/programs/{}/accounts", stand.program);
    world.post(&path, body).await
}

async fn refer(world: &World, key: &str, stand: &Stand, body: &Value) -> Answer {
    let path = format!("/v1/programs/{}/referrals", stand.program);
    world.ask(key, Method::POST, &path, &[], Some(body)).await
}

async fn whose(world: &World, stand: &Stand, body: Value) -> Answer {
    let path = format!("/v1/programs/{}/claims:resolve", stand.program);
    world.post(&path, body).await.expect(200)
}

fn acme() -> Value {
    json!({ "name": "Acme GmbH", "country": "DE", "domain": "https://www.acme-works.de/kontakt" })
}

async fn say(world: &World, stand: &Stand, body: Value) -> Answer {
    let path = format!("/v1/programs/{}/channel", stand.program);
    let tag = world.get(&path).await.expect(200).headers[header::ETAG].clone();
    let tag = tag.to_str().unwrap().to_owned();
    let based_on = [("if-match", tag.as_str())];
    let based_on: &[(&str, &str)] = if tag == "\"0\"" { &[] } else { &based_on };
    world
        .ask(&world.key, Method::PUT, &path, based_on, Some(&body))
        .await
}

#[tokio::test]
async fn a_channel_is_said_with_its_version_and_its_partners_read_it() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}/channel", stand.program);
    let unsaid = world.get(&path).await.expect(200);
    assert_eq!(unsaid.body["version"], 0);
    assert_eq!(
        unsaid.body["precedence"],
        json!(["direct", "deal", "lead", "coupon", "referral", "click"])
    );
    let body = json!({ "product_lines": ["crm", "erp"], "tiers": ["silver", "gold"], "referral_days": 30 });
    let said = say(&world, &stand, body.clone()).await.expect(200);
    assert_eq!(said.headers[header::ETAG], "\"1\"");
    let blind = world.put(&path, body.clone()).await;
    let _ = blind.problem(428, "if_match_missing");
    let old = [("if-match", "\"9\"")];
    let stale = world.ask(&world.key, Method::PUT, &path, &old, Some(&body));
    let _ = stale.await.problem(412, "version_stale");

    let key = key_of(&world, &stand.partner).await;
    let read = world
        .ask(&key, Method::GET, &path, &[], None)
        .await
        .expect(200);
    assert_eq!(read.body["referral_days"], 30);
    let (stranger, ..) = world
        .partner_in(
            &world
                .program(
                    0,
                    json!([{"kind": "flat", "event": "sale", "amount": "1.00"}]),
                )
                .await
                .0,
            "Bob",
        )
        .await;
    let foreign = key_of(&world, &stranger).await;
    let hidden = world.ask(&foreign, Method::GET, &path, &[], None).await;
    let _ = hidden.problem(404, "not_found");
}

#[tokio::test]
async fn a_profile_names_only_what_the_channel_has() {
    let world = World::start().await;
    let stand = world.stand().await;
    let body = json!({ "product_lines": ["crm"], "tiers": ["silver", "gold"], "certifications": ["expert"] });
    let _ = say(&world, &stand, body).await.expect(200);
    let path = format!("/v1/partners/{}/profiles/{}", stand.partner, stand.program);
    let _ = world.get(&path).await.problem(404, "not_found");
    let unknown = world.put(&path, json!({ "tier": "platinum" })).await;
    let unknown = unknown.problem(422, "reference_unknown");
    assert_eq!(unknown.str("/errors/0/field"), "tier");
    let unknown = world
        .put(&path, json!({ "product_lines": ["crm", "erp"] }))
        .await;
    let unknown = unknown.problem(422, "reference_unknown");
    assert_eq!(unknown.str("/errors/0/field"), "product_lines[1]");
    let profile = json!({
        "tier": "gold", "certifications": ["expert"], "weight": 3,
        "territories": [{ "country": "GB", "postcodes": ["SW"] }],
    });
    let set = world.put(&path, profile).await.expect(200);
    assert_eq!(set.body["territories"][0]["postcodes"], json!(["SW"]));
    let key = key_of(&world, &stand.partner).await;
    let all = format!("/v1/partners/{}/profiles", stand.partner);
    let own = world
        .ask(&key, Method::GET, &all, &[], None)
        .await
        .expect(200);
    assert_eq!(own.items()[0]["tier"], "gold");
    let other = world.partner_in(&stand.program, "Bob").await.0;
    let foreign = key_of(&world, &other).await;
    let hidden = world.ask(&foreign, Method::GET, &path, &[], None).await;
    let _ = hidden.problem(404, "not_found");
    // Not in the program: nothing to know of it there.
    let elsewhere = world
        .program(
            0,
            json!([{"kind": "flat", "event": "sale", "amount": "1.00"}]),
        )
        .await
        .0;
    let path = format!("/v1/partners/{}/profiles/{elsewhere}", stand.partner);
    let _ = world
        .put(&path, json!({}))
        .await
        .problem(422, "not_enrolled");
}

#[tokio::test]
async fn whoever_has_the_strongest_claim_has_the_customer_and_every_other_is_told_why_not() {
    let world = World::start().await;
    let stand = world.stand().await;
    let nobody = whose(&world, &stand, json!({ "customer": acme() })).await;
    assert_eq!(nobody.body["winner"], Value::Null);
    let key = key_of(&world, &stand.partner).await;
    let referral = json!({ "customer": acme(), "note": "met at the fair" });
    let referred = refer(&world, &key, &stand, &referral).await.expect(200);
    // Whether others named the same customer is none of the partner's business.
    assert_eq!(referred.body["customer"], Value::Null);
    // Another address of the same company, and a click beside it.
    let asked = json!({
        "customer": { "email": "Ada.Lovelace+news@acme-works.de" }, "coupon": stand.coupon,
    });
    let answer = whose(&world, &stand, asked.clone()).await;
    assert_eq!(answer.str("/winner/kind"), "coupon");
    assert_eq!(answer.str("/losers/0/claim/kind"), "referral");
    assert_eq!(answer.str("/losers/0/reason"), "outranked");

    let account =
        json!({ "customer": acme(), "opportunity": "006B", "until": "2026-06-01T00:00:00Z" });
    let declared = declare(&world, &stand, account.clone()).await.expect(200);
    let answer = whose(&world, &stand, asked.clone()).await;
    assert_eq!(answer.str("/winner/id"), declared.str("id"));
    assert_eq!(answer.str("/winner/kind"), "direct");
    assert_eq!(answer.body["customers"], json!([declared.str("customer")]));

    // The same opportunity replaces itself; ended, it gives the customer back.
    let again = declare(&world, &stand, account).await.expect(200);
    assert_eq!(
        (again.str("id"), &again.body["version"]),
        (declared.str("id"), &json!(2))
    );
    let end = format!("/v1/claims/{}/end", declared.str("id"));
    let _ = world.post(&end, json!({})).await.expect(200);
    let _ = world
        .post(&end, json!({}))
        .await
        .problem(409, "wrong_state");
    let answer = whose(&world, &stand, asked.clone()).await;
    assert_eq!(answer.str("/winner/kind"), "coupon");
    assert_eq!(answer.str("/losers/0/reason"), "ended");

    // An account without an opportunity is known, but does not count unless the program says so.
    let _ = declare(&world, &stand, json!({ "customer": acme() }))
        .await
        .expect(200);
    let answer = whose(&world, &stand, asked.clone()).await;
    assert_eq!(answer.str("/winner/kind"), "coupon");
    assert!(
        answer.body["losers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|loser| loser["reason"] == "no_opportunity")
    );
    let counting = json!({ "accounts_count": true });
    let _ = say(&world, &stand, counting).await.expect(200);
    world.advance_days(1).await;
    let answer = whose(&world, &stand, asked).await;
    assert_eq!(answer.str("/winner/kind"), "direct");

    // Referrals end by themselves, and moments of the past are answered as they were.
    let then = json!({ "customer": acme(), "at": "2026-03-01T12:00:00Z" });
    let now = world.now();
    world.advance_days(100).await;
    let late = whose(&world, &stand, json!({ "customer": acme() })).await;
    assert!(
        late.body["losers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|loser| loser["reason"] == "ended" && loser["claim"]["kind"] == "referral")
    );
    let past = whose(
        &world,
        &stand,
        json!({ "customer": acme(), "at": now.to_string() }),
    )
    .await;
    assert!(
        past.body["losers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|loser| loser["reason"] == "outranked")
    );
    let before = whose(&world, &stand, then).await;
    assert_eq!(before.body["winner"], Value::Null);
    let losers = before.body["losers"].as_array().unwrap();
    assert!(
        losers.iter().all(|loser| loser["reason"] == "not_yet"),
        "{losers:?}"
    );
}

#[tokio::test]
async fn what_ended_and_begins_anew_was_nobodys_between() {
    let world = World::start().await;
    let stand = world.stand().await;
    let account = json!({ "customer": acme(), "opportunity": "006B" });
    let first = declare(&world, &stand, account.clone()).await.expect(200);
    let end = format!("/v1/claims/{}/end", first.str("id"));
    let _ = world.post(&end, json!({})).await.expect(200);
    world.advance_days(1).await;
    let between = world.now().to_string();
    world.advance_days(1).await;
    let again = declare(&world, &stand, account).await.expect(200);
    assert_eq!(again.str("id"), first.str("id"));
    let then = json!({ "customer": acme(), "at": between });
    assert_eq!(
        whose(&world, &stand, then).await.body["winner"],
        Value::Null
    );
    let now = whose(&world, &stand, json!({ "customer": acme() })).await;
    assert_eq!(now.str("/winner/kind"), "direct");
}

#[tokio::test]
async fn names_propose_and_never_decide() {
    let world = World::start().await;
    let stand = world.stand().await;
    let account = json!({ "customer": { "name": "Müller & Söhne GmbH", "country": "DE", "crm_id": "001A" }, "opportunity": "1" });
    let declared = declare(&world, &stand, account).await.expect(200);
    let alike = json!({ "customer": { "name": "Mueller und Soehne", "country": "DE" } });
    let answer = whose(&world, &stand, alike).await;
    assert_eq!(answer.body["winner"], Value::Null);
    assert_eq!(answer.str("/similar/0/customer"), declared.str("customer"));
    let other = json!({ "customer": { "name": "Schneider Logistik", "country": "DE" } });
    let answer = whose(&world, &stand, other).await;
    assert_eq!(answer.body["similar"], json!([]));
}

#[tokio::test]
async fn a_conversion_that_names_its_customer_is_its_claimants() {
    let world = World::start().await;
    let stand = world.stand().await;
    let referrer = world.partner_in(&stand.program, "Bob").await.0;
    let key = key_of(&world, &referrer).await;
    let referral = json!({ "customer": acme() });
    let referred = refer(&world, &key, &stand, &referral).await.expect(200);
    // No click and no coupon: the referral alone gives it to its partner.
    let sale = json!({ "transaction_id": "o-1", "amount": "49.00", "currency": "GBP", "customer_domain": "shop.acme-works.de" });
    let posted = world.postback(&stand, sale).await.expect(201);
    world.settle().await;
    let view = world
        .get(&format!("/v1/conversions/{}", posted.str("conversion")))
        .await
        .expect(200);
    assert_eq!(view.str("/attribution/partner"), referrer);
    assert_eq!(view.str("/attribution/evidence/kind"), "referral");
    assert_eq!(
        view.str("/attribution/evidence/registered"),
        referred.str("id")
    );
    assert_eq!(world.balances(&referrer).await[0], "14.70");

    // A coupon goes before a referral, and an open opportunity of the vendor's before both.
    let sale = |order: &str| json!({ "transaction_id": order, "coupon": stand.coupon, "amount": "49.00", "currency": "GBP", "customer_email": "Ada@acme-works.de" });
    let posted = world.postback(&stand, sale("o-2")).await.expect(201);
    world.settle().await;
    let view = world
        .get(&format!("/v1/conversions/{}", posted.str("conversion")))
        .await
        .expect(200);
    assert_eq!(view.str("/attribution/partner"), stand.partner);
    assert_eq!(view.str("/attribution/losers/0/kind"), "referral");
    let account = json!({ "customer": acme(), "opportunity": "006B" });
    let _ = declare(&world, &stand, account).await.expect(200);
    let posted = world.postback(&stand, sale("o-3")).await.expect(201);
    world.settle().await;
    let view = world
        .get(&format!("/v1/conversions/{}", posted.str("conversion")))
        .await
        .expect(200);
    assert_eq!(view.str("state"), "unattributed");
    assert_eq!(view.str("/attribution/reason"), "direct_owned");
    assert_eq!(view.str("/attribution/losers/0/kind"), "direct");
    // The sender's mailbox stands nowhere.
    for item in world.scan("main").await {
        let text = format!("{item:?}").to_lowercase();
        assert!(!text.contains("ada@acme-works.de"), "{text}");
    }
    assert_eq!(world.balances(&referrer).await[0], "14.70");
}

#[tokio::test]
async fn many_who_name_the_same_customer_at_once_name_one_customer() {
    let world = World::start().await;
    let stand = world.stand().await;
    let mut keys = Vec::new();
    for name in ["Bob", "Cyd", "Dan", "Eve"] {
        let partner = world.partner_in(&stand.program, name).await.0;
        keys.push(key_of(&world, &partner).await);
    }
    let referral = json!({ "customer": acme() });
    let answers = join_all(keys.iter().map(|key| refer(&world, key, &stand, &referral))).await;
    for answer in answers {
        let _ = answer.expect(200);
    }
    let answer = whose(&world, &stand, json!({ "customer": acme() })).await;
    assert_eq!(answer.body["customers"].as_array().unwrap().len(), 1);
    assert_eq!(answer.body["losers"].as_array().unwrap().len(), 3);
    let listed = world
        .get(&format!("/v1/programs/{}/claims", stand.program))
        .await
        .expect(200);
    assert_eq!(listed.items().len(), 4);
    // Again changes nothing: the first day counts.
    world.advance_days(1).await;
    let _ = refer(&world, &keys[0], &stand, &referral).await.expect(200);
    let own = format!("/v1/programs/{}/referrals", stand.program);
    let own = world
        .ask(&keys[0], Method::GET, &own, &[], None)
        .await
        .expect(200);
    assert_eq!(
        (own.items().len(), &own.items()[0]["version"]),
        (1, &json!(1))
    );
}

#[tokio::test]
async fn bad_accounts_referrals_and_questions_are_named_field_by_field() {
    let world = World::start().await;
    let stand = world.stand().await;
    let wrong = json!({
        "customer": { "domain": "gmail.com", "email": "nobody", "tax_id": "12", "country": "XX", "fax": "1" },
        "opportunity": 5, "from": "yesterday",
    });
    let refused = declare(&world, &stand, wrong).await.problem(422, "invalid");
    let fields: Vec<&str> = refused.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    for field in [
        "customer.domain",
        "customer.email",
        "customer.tax_id",
        "customer.country",
        "customer.fax",
        "opportunity",
        "from",
    ] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    let nameless = declare(
        &world,
        &stand,
        json!({ "customer": { "name": "Acme", "country": "DE" } }),
    )
    .await;
    assert_eq!(
        nameless.problem(422, "required").str("/errors/0/field"),
        "customer.domain"
    );
    let backwards = json!({ "customer": acme(), "from": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z" });
    assert_eq!(
        declare(&world, &stand, backwards)
            .await
            .problem(422, "range_empty")
            .str("/errors/0/field"),
        "until"
    );
    let line = json!({ "customer": acme(), "product_lines": ["crm"] });
    assert_eq!(
        declare(&world, &stand, line)
            .await
            .problem(422, "reference_unknown")
            .str("/errors/0/field"),
        "product_lines[0]"
    );
    let key = key_of(&world, &stand.partner).await;
    let other = world.partner_in(&stand.program, "Bob").await.0;
    let for_another = json!({ "customer": acme(), "partner": other });
    let hidden = refer(&world, &key, &stand, &for_another).await;
    let _ = hidden.problem(404, "not_found");
    let path = format!("/v1/programs/{}/claims:resolve", stand.program);
    let empty = world.post(&path, json!({})).await.problem(422, "required");
    assert_eq!(empty.str("/errors/0/field"), "customer");
    let suspended = format!("/v1/partners/{}/suspend", stand.partner);
    let _ = world.post(&suspended, json!({})).await.expect(200);
    world.advance_days(1).await;
    let _ = refer(&world, &key, &stand, &json!({ "customer": acme() }))
        .await
        .problem(422, "partner_suspended");
}

#[tokio::test]
async fn an_answer_is_two_round_trips() {
    let world = World::start().await;
    let stand = world.stand().await;
    let key = key_of(&world, &stand.partner).await;
    let referral = json!({ "customer": acme() });
    let _ = refer(&world, &key, &stand, &referral).await.expect(200);
    let account = json!({ "customer": acme(), "opportunity": "006B" });
    let _ = declare(&world, &stand, account).await.expect(200);
    let asked = json!({ "customer": { "domain": "acme-works.de", "email": "ada@acme-works.de", "tax_id": "DE123456789" } });
    let _ = whose(&world, &stand, asked.clone()).await;
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    let answer = whose(&world, &stand, asked).await;
    let calls: Vec<String> = recorder
        .stop()
        .into_iter()
        .map(|call| call.operation)
        .collect();
    assert_eq!(answer.str("/winner/kind"), "direct");
    // Whose the identifiers are and who holds them, then what there is of the customer.
    assert_eq!(calls, ["BatchGetItem", "Query"]);
}

#[tokio::test]
async fn a_referral_is_renewed_when_it_has_ended_and_so_many_are_named_a_day() {
    let world = World::start().await;
    let stand = world.stand().await;
    let key = key_of(&world, &stand.partner).await;
    let referral = json!({ "customer": acme() });
    let first = refer(&world, &key, &stand, &referral).await.expect(200);
    world.advance_days(91).await;
    let again = refer(&world, &key, &stand, &referral).await.expect(200);
    assert_eq!(again.str("id"), first.str("id"));
    assert_eq!(again.body["version"], 2);
    let whose = whose(&world, &stand, referral).await;
    assert_eq!(whose.str("/winner/partner"), stand.partner);
    world.advance_days(1).await;
    for number in 0..100 {
        let body = json!({ "customer": { "domain": format!("c{number}.example") } });
        let _ = refer(&world, &key, &stand, &body).await.expect(200);
    }
    let body = json!({ "customer": { "domain": "one-more.example" } });
    let _ = refer(&world, &key, &stand, &body)
        .await
        .problem(429, "daily_limit");
}
