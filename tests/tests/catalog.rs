//! Programs, plans, links, coupons, partners, keys and payout methods, and what the documentation says
//! of them.

use axum::http::{Method, header};
use serde_json::{Value, json};
use tributary_tests::World;

const ROSES: &str = "https://shop.example/roses";

fn program_body() -> Value {
    json!({ "name": "Spring", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } })
}

#[tokio::test]
async fn an_idempotent_creation_shows_its_secrets_once() {
    let world = World::start().await;
    let create = async |body: Value| {
        let once = [("idempotency-key", "spring-1")];
        world
            .ask(&world.key, Method::POST, "/v1/programs", &once, Some(&body))
            .await
    };
    let first = create(program_body()).await.expect(201);
    assert!(first.str("postback_token").starts_with("tpt_"));
    assert!(first.str("signing_secret").starts_with("whsec_"));
    let again = create(program_body()).await.expect(201);
    assert_eq!(again.str("id"), first.str("id"));
    assert_eq!(again.body["postback_token"], Value::Null);
    assert_eq!(again.body["signing_secret"], Value::Null);
    assert_eq!(world.get("/v1/programs").await.items().len(), 1);
    let mut other = program_body();
    other["name"] = json!("Autumn");
    let _ = create(other).await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_change_is_based_on_the_version_that_was_read() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}", stand.program);
    let ask = async |tag: &[(&str, &str)], body: Value| {
        world
            .ask(&world.key, Method::PATCH, &path, tag, Some(&body))
            .await
    };
    let _ = ask(&[], json!({"name": "A"}))
        .await
        .problem(428, "if_match_missing");
    let changed = ask(
        &[("if-match", "\"1\"")],
        json!({"name": "A", "fallback_url": "https://shop.example/gone"}),
    )
    .await
    .expect(200);
    assert_eq!(changed.headers[header::ETAG], "\"2\"");
    let _ = ask(&[("if-match", "\"1\"")], json!({"name": "B"}))
        .await
        .problem(412, "version_stale");
    let _ = ask(&[("if-match", "\"2\"")], json!({"currency": "USD"}))
        .await
        .problem(422, "unknown_field");
    let cleared = world
        .patch(&path, json!({"fallback_url": null}))
        .await
        .expect(200);
    assert_eq!(cleared.body["fallback_url"], Value::Null);
    assert_eq!(world.get(&path).await.str("name"), "A");
}

#[tokio::test]
async fn rotated_out_tokens_work_until_their_overlap_ends() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}/secrets", stand.program);
    let rotated = world
        .post(&path, json!({"overlap_hours": 1}))
        .await
        .expect(201);
    assert_eq!(rotated.str("previous_valid_until"), "2026-03-02T10:00:00Z");
    assert_ne!(rotated.str("postback_token"), stand.token);
    let sale = |transaction: &str| json!({"transaction_id": transaction, "coupon": stand.coupon, "amount": "1.00"});
    let _ = world.postback(&stand, sale("old")).await.expect(201);
    let mut renewed = stand.clone();
    renewed.token = rotated.str("postback_token").to_owned();
    let _ = world.postback(&renewed, sale("new")).await.expect(201);
    world.advance_days(1).await;
    let _ = world
        .postback(&stand, sale("late"))
        .await
        .problem(401, "token_invalid");
    let _ = world.postback(&renewed, sale("later")).await.expect(201);
}

#[tokio::test]
async fn plan_versions_are_numbered_and_stay_as_they_are() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}/plans", stand.program);
    let plan = json!({"code": "standard", "hold_days": 0, "components": [
        {"kind": "flat", "event": "lead", "amount": "25.00"}, {"kind": "percent", "event": "sale", "rate": "0.20"},
    ]});
    let made = world.post(&path, plan).await.expect(201);
    assert_eq!(made.body["version"], 2);
    assert_eq!(made.str("effective_from"), tributary_tests::START);
    assert_eq!(made.str("/components/0/amount"), "25.00");
    assert_eq!(made.str("/components/0/currency"), "GBP");
    let versions = world.get(&format!("{path}/standard")).await.expect(200);
    assert_eq!(versions.items().len(), 2);
    assert_eq!(versions.items()[1], made.body);
    let first = world.get(&format!("{path}?limit=1")).await.expect(200);
    let rest = world
        .get(&format!(
            "{path}?limit=1&cursor={}",
            first.str("next_cursor")
        ))
        .await
        .expect(200);
    assert_eq!(
        [first.items(), rest.items()].concat(),
        versions.items().to_vec()
    );
    let _ = world
        .get(&format!("{path}/gold"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn versions_made_at_once_take_different_numbers() {
    let world = World::start().await;
    let (program, _, _) = world
        .program(
            0,
            json!([{"kind": "flat", "event": "lead", "amount": "1.00"}]),
        )
        .await;
    let path = format!("/v1/programs/{program}/plans");
    let plan = |n: u32| json!({"code": "gold", "hold_days": n, "components": [{"kind": "flat", "event": "lead", "amount": "1.00"}]});
    let made = futures_util::future::join_all((0..6).map(|n| world.post(&path, plan(n)))).await;
    let mut numbers: Vec<u64> = made
        .into_iter()
        .map(|answer| answer.expect(201).body["version"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn wrong_plans_are_refused_whole() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}/plans", stand.program);
    let answer = world
        .post(
            &path,
            json!({"code": "Big Plan", "hold_days": 366, "components": [
                {"kind": "flat", "event": "lead", "amount": 25},
                {"kind": "flat", "event": "lead", "amount": "25.001", "rate": "0.1"},
                {"kind": "percent", "event": "Sale", "rate": "1.01"},
                {"kind": "stepped"},
            ]}),
        )
        .await
        .problem(422, "invalid");
    let told: Vec<(&str, &str)> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["field"].as_str().unwrap(), e["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("code", "characters_refused"),
            ("hold_days", "out_of_range"),
            ("components[0].amount", "decimal_string_expected"),
            ("components[1].amount", "amount_too_precise"),
            ("components[1].rate", "unknown_field"),
            ("components[2].event", "characters_refused"),
            ("components[2].rate", "rate_over_limit"),
            ("components[3].kind", "not_one_of"),
            ("components[3].event", "required"),
        ]
    );
}

#[tokio::test]
async fn links_have_one_code_each_and_lead_to_allowed_hosts_only() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}", stand.program);
    let hosts = json!({"allowed_destination_hosts": ["Shop.Example"]});
    let _ = world.patch(&path, hosts).await.expect(200);
    let link = |destination: &str, code: &str| json!({"program": stand.program, "partner": stand.partner, "destination": destination, "code": code});
    let made = world
        .post(
            "/v1/links",
            link("https://eu.shop.example/{sub1}?c={click_id}", "summer"),
        )
        .await
        .expect(201);
    assert_eq!(
        made.str("destination"),
        "https://eu.shop.example/{sub1}?c={click_id}"
    );
    assert!(made.str("url").ends_with("/c/summer"));
    for (destination, code, status, problem) in [
        (ROSES, "summer", 409, "code_taken"),
        (ROSES, "ab", 422, "characters_refused"),
        ("http://shop.example/", "s01", 422, "destination_not_https"),
        (
            "https://evil.example/",
            "s02",
            422,
            "destination_host_refused",
        ),
        (
            "https://shop.example/{name}",
            "s03",
            422,
            "placeholder_unknown",
        ),
    ] {
        let _ = world
            .post("/v1/links", link(destination, code))
            .await
            .problem(status, problem);
    }
    let outsider = world
        .post(
            "/v1/partners",
            json!({"name": "Bo", "email": "bo@example.com", "country": "SE", "kind": "referrer"}),
        )
        .await
        .expect(201);
    let mut foreign = link(ROSES, "winter");
    foreign["partner"] = outsider.body["id"].clone();
    let _ = world
        .post("/v1/links", foreign)
        .await
        .problem(422, "not_enrolled");
}

#[tokio::test]
async fn a_disabled_link_leads_to_the_fallback_or_nowhere() {
    let world = World::start().await;
    let stand = world.stand().await;
    let links = world
        .get(&format!("/v1/links?partner={}", stand.partner))
        .await
        .expect(200);
    let id = links.items()[0]["id"].as_str().unwrap().to_owned();
    let disable = format!("/v1/links/{id}/disable");
    let disabled = world.post(&disable, json!({})).await.expect(200);
    assert_eq!(disabled.str("disabled_at"), tributary_tests::START);
    let again = world.post(&disable, json!({})).await.expect(200);
    assert_eq!(again.body, disabled.body);
    let _ = world
        .ask("", Method::GET, "/c/nothing", &[], None)
        .await
        .expect(404);
    let path = format!("/c/{}", stand.link);
    let _ = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(410);
    let fallback = json!({"fallback_url": "https://shop.example/gone"});
    let _ = world
        .patch(&format!("/v1/programs/{}", stand.program), fallback)
        .await
        .expect(200);
    let sent = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(302);
    assert_eq!(sent.headers[header::LOCATION], "https://shop.example/gone");
}

#[tokio::test]
async fn coupons_are_unique_in_their_program_whatever_their_case() {
    let world = World::start().await;
    let stand = world.stand().await;
    let coupon =
        |code: &str| json!({"program": stand.program, "partner": stand.partner, "code": code});
    let made = world
        .post("/v1/coupons", coupon("Spring10"))
        .await
        .expect(201);
    assert_eq!(made.str("code"), "SPRING10");
    let _ = world
        .post("/v1/coupons", coupon("sPRING10"))
        .await
        .problem(409, "code_taken");
    let path = format!("/v1/coupons/{}", made.str("id"));
    assert_eq!(world.get(&path).await.expect(200).body, made.body);
    let disabled = world
        .post(&format!("{path}/disable"), json!({}))
        .await
        .expect(200);
    assert_eq!(disabled.body["version"], 2);
    let list = world
        .get(&format!("/v1/coupons?partner={}", stand.partner))
        .await
        .expect(200);
    assert_eq!(list.items().len(), 2);
}

#[tokio::test]
async fn a_partner_sees_its_own_records_only() {
    let world = World::start().await;
    let stand = world.stand().await;
    let (other, other_link, _) = world.partner_in(&stand.program, "Bo").await;
    let keys = format!("/v1/partners/{}/keys", stand.partner);
    let issued = world.post(&keys, json!({})).await.expect(201);
    let key = issued.str("key").to_owned();
    let get = async |path: String| world.ask(&key, Method::GET, &path, &[], None).await;
    for part in ["", "/enrolments", "/payout-method", "/balances"] {
        let _ = get(format!("/v1/partners/{}{part}", stand.partner))
            .await
            .expect(200);
        let _ = get(format!("/v1/partners/{other}{part}"))
            .await
            .problem(404, "not_found");
    }
    let own = get("/v1/links".to_owned()).await.expect(200);
    assert_eq!(own.items().len(), 1);
    assert_eq!(own.items()[0]["code"], stand.link.as_str());
    let _ = get(format!("/v1/links?partner={other}"))
        .await
        .problem(404, "not_found");
    let foreign = tributary::programs::model::Link::id_of(&other_link);
    let foreign = get(format!("/v1/links/{foreign}"))
        .await
        .problem(404, "not_found");
    let absent = tributary::programs::model::Link::id_of("absent");
    let absent = get(format!("/v1/links/{absent}"))
        .await
        .problem(404, "not_found");
    assert_eq!(
        foreign.body, absent.body,
        "another's record looks like none"
    );
    let _ = get("/v1/partners".to_owned())
        .await
        .problem(403, "forbidden");
    assert_eq!(
        get("/v1/me".to_owned()).await.expect(200).str("partner"),
        stand.partner
    );

    let _ = world
        .delete(&format!("{keys}/{}", issued.str("id")))
        .await
        .expect(204);
    assert_eq!(world.get(&keys).await.expect(200).items().len(), 0);
    let _ = get(format!("/v1/partners/{}", stand.partner))
        .await
        .problem(401, "unauthenticated");
    let _ = world
        .delete(&format!("/v1/partners/{other}/keys/{}", issued.str("id")))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn keys_allow_what_their_scopes_say() {
    let world = World::start().await;
    let operator = world
        .post(
            "/v1/operators",
            json!({"name": "Ada", "email": "ada@vendor.example"}),
        )
        .await
        .expect(201);
    let keys = format!("/v1/operators/{}/keys", operator.str("id"));
    let issued = world
        .post(&keys, json!({"scopes": ["read"]}))
        .await
        .expect(201);
    let key = issued.str("key").to_owned();
    let me = world
        .ask(&key, Method::GET, "/v1/me", &[], None)
        .await
        .expect(200);
    assert_eq!(me.body["scopes"], json!(["read"]));
    let _ = world
        .ask(&key, Method::GET, "/v1/programs", &[], None)
        .await
        .expect(200);
    let body = program_body();
    let _ = world
        .ask(&key, Method::POST, "/v1/programs", &[], Some(&body))
        .await
        .problem(403, "forbidden");
    let _ = world
        .ask(&key, Method::GET, &keys, &[], None)
        .await
        .problem(403, "forbidden");
    let _ = world
        .post(&keys, json!({"scopes": ["everything"]}))
        .await
        .problem(422, "not_one_of");
    let listed = world.get(&keys).await.expect(200);
    assert_eq!(listed.items()[0]["key"], Value::Null, "a key is shown once");
}

#[tokio::test]
async fn a_suspended_partner_gets_no_new_links_until_reinstated() {
    let world = World::start().await;
    let stand = world.stand().await;
    let partner = format!("/v1/partners/{}", stand.partner);
    let link = || json!({"program": stand.program, "partner": stand.partner, "destination": ROSES});
    let suspended = world
        .post(&format!("{partner}/suspend"), json!({}))
        .await
        .expect(200);
    assert_eq!(suspended.str("status"), "suspended");
    let _ = world
        .post("/v1/links", link())
        .await
        .problem(422, "partner_suspended");
    let again = world
        .post(&format!("{partner}/suspend"), json!({}))
        .await
        .expect(200);
    assert_eq!(again.body["version"], suspended.body["version"]);
    let _ = world
        .post(&format!("{partner}/reinstate"), json!({}))
        .await
        .expect(200);
    let _ = world.post("/v1/links", link()).await.expect(201);
    let renamed = world
        .patch(&partner, json!({"name": "Ada & Co", "country": "IE"}))
        .await
        .expect(200);
    assert_eq!(
        (
            renamed.str("name"),
            renamed.str("country"),
            renamed.str("email")
        ),
        ("Ada & Co", "IE", "ada@example.com")
    );
    let _ = world
        .patch(&partner, json!({"country": "UK"}))
        .await
        .problem(422, "country_unknown");
}

#[tokio::test]
async fn enrolments_name_plans_that_exist_and_repeat_without_effect() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/partners/{}/enrolments", stand.partner);
    let enrol = |plan: &str| json!({"program": stand.program, "plan": plan});
    let again = world.post(&path, enrol("standard")).await.expect(200);
    assert_eq!(again.body["version"], 1);
    let _ = world
        .post(&path, enrol("gold"))
        .await
        .problem(422, "reference_unknown");
    let gold = json!({"code": "gold", "hold_days": 0, "components": [{"kind": "percent", "event": "sale", "rate": "0.5"}]});
    let _ = world
        .post(&format!("/v1/programs/{}/plans", stand.program), gold)
        .await
        .expect(201);
    let moved = world.post(&path, enrol("gold")).await.expect(200);
    assert_eq!(
        moved.body["plans"],
        json!([
            {"plan": "standard", "effective_from": null},
            {"plan": "gold", "effective_from": tributary_tests::START},
        ])
    );
    let mut listed = moved.body;
    listed["program_name"] = json!("Spring");
    listed["program_currency"] = json!("GBP");
    assert_eq!(world.get(&path).await.expect(200).items(), [listed]);
}

#[tokio::test]
async fn payout_methods_are_verified_and_shown_masked() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/partners/{}/payout-method", stand.partner);
    let address =
        json!({"line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB"});
    let bank = |fields: Value| {
        let mut body = json!({"kind": "bank", "name": "Ada Lovelace", "address": address});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let iban = json!({"iban": "GB33 BUKB 2020 1555 5555 55", "bic": "BUKBGB22"});
    let _ = world
        .put(&path, bank(iban.clone()))
        .await
        .problem(428, "if_match_missing");
    let set = world.replace(&path, bank(iban)).await.expect(200);
    assert_eq!(set.str("account"), "GB33 •••• 5555");
    assert!(!set.text.contains("BUKB"));
    let us = json!({"routing_number": "021000021", "account_number": "123456789", "account_type": "checking"});
    let set = world.replace(&path, bank(us)).await.expect(200);
    assert_eq!(world.get(&path).await.expect(200).body, set.body);
    assert_eq!(set.str("account"), "•••• 6789");
    for (fields, code) in [
        (
            json!({"iban": "GB34BUKB20201555555555", "bic": "BUKBGB22"}),
            "iban_invalid",
        ),
        (
            json!({"iban": "GB33BUKB20201555555555", "bic": "BUKB"}),
            "bic_invalid",
        ),
        (json!({"iban": "GB33BUKB20201555555555"}), "required"),
        (
            json!({"routing_number": "021000022", "account_number": "123456789", "account_type": "savings"}),
            "routing_number_invalid",
        ),
        (
            json!({"routing_number": "021000021", "account_number": "12", "account_type": "savings"}),
            "account_number_invalid",
        ),
        (
            json!({"iban": "GB33BUKB20201555555555", "bic": "BUKBGB22", "account_number": "123456789"}),
            "not_one_of",
        ),
        (
            json!({"iban": "GB33BUKB20201555555555", "bic": "BUKBGB22", "wallet": "a@example.com"}),
            "unknown_field",
        ),
    ] {
        let _ = world.put(&path, bank(fields)).await.problem(422, code);
    }
    let stale = [("if-match", "\"1\"")];
    let formula = json!({"kind": "paypal", "wallet": "=cmd@wallet.example"});
    let _ = world
        .replace(&path, formula)
        .await
        .problem(422, "characters_refused");
    let wallet = json!({"kind": "paypal", "wallet": "ada@example.com"});
    let _ = world
        .ask(&world.key, Method::PUT, &path, &stale, Some(&wallet))
        .await
        .problem(412, "version_stale");
}

#[tokio::test]
async fn lists_go_on_where_their_cursor_says() {
    let world = World::start().await;
    for n in 0..5 {
        let body = json!({"name": format!("P{n}"), "email": "p@example.com", "country": "GB", "kind": "service"});
        let _ = world.post("/v1/partners", body).await.expect(201);
    }
    let whole = world.get("/v1/partners").await.expect(200);
    assert_eq!(whole.body["next_cursor"], Value::Null);
    let mut seen = Vec::new();
    let mut path = "/v1/partners?limit=2".to_owned();
    loop {
        let page = world.get(&path).await.expect(200);
        seen.extend(page.items().to_vec());
        match page.str("next_cursor") {
            "" => break,
            cursor => path = format!("/v1/partners?limit=2&cursor={cursor}"),
        }
    }
    assert_eq!(seen, whole.items());
    let _ = world
        .get("/v1/partners?limit=0")
        .await
        .problem(422, "out_of_range");
    let _ = world
        .get("/v1/partners?page=2")
        .await
        .problem(422, "unknown_field");
}

/// The schema behind a reference.
fn schema<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let some = ["oneOf", "anyOf", "allOf"]
        .iter()
        .filter_map(|choice| {
            schema[*choice]
                .as_array()?
                .iter()
                .find(|one| one["$ref"].is_string())
        })
        .next()
        .unwrap_or(schema);
    match some["$ref"].as_str() {
        Some(reference) => {
            &document["components"]["schemas"][reference.rsplit('/').next().unwrap()]
        }
        None => some,
    }
}

#[tokio::test]
async fn the_documented_bodies_have_the_fields_that_are_read() {
    let world = World::start().await;
    let stand = world.stand().await;
    let document = world.get("/openapi.json").await.expect(200).body;
    let operator = world
        .get("/v1/me")
        .await
        .expect(200)
        .str("operator")
        .to_owned();
    let link = tributary::programs::model::Link::id_of(&stand.link).to_string();
    let form = json!({ "open": true, "page_url": "https://vendor.example/apply?token={token}", "fields": [] });
    let path = format!("/v1/programs/{}/application-form", stand.program);
    let _ = world.put(&path, form).await.expect(200);
    let keys = format!("/v1/partners/{}/keys", stand.partner);
    let key = world.post(&keys, json!({})).await.expect(201);
    let key = key.str("key").to_owned();
    let members = format!("/v1/partners/{}/members", stand.partner);
    let member = json!({ "name": "Mia", "email": "mia@partner.example", "role": "member" });
    let member = world.post(&members, member).await.expect(201);
    let member = member.str("id").to_owned();
    let (mut compared, mut differ) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            // Whether a postback's unknown fields are refused is up to its dialect.
            // An answer to an application's questions is read by who its token says is answering.
            let by_token = path.ends_with("/applications:answer");
            if body.is_null() || path.starts_with("/v1/postbacks") || by_token {
                continue;
            }
            let id = match path.split('/').nth(2).unwrap() {
                "programs" => &stand.program,
                "partners" => &stand.partner,
                "operators" => &operator,
                "links" => &link,
                _ => continue,
            };
            let address = path
                .replace("{id}", id)
                .replace("{program}", &stand.program)
                .replace("{member}", &member)
                .replace("{version}", "1");
            let method: Method = method.to_uppercase().parse().unwrap();
            let mut odd = json!({"no_such_field": 1});
            if path.ends_with("/payout-method") {
                odd["kind"] = json!("bank");
            }
            let tag = [("if-match", "\"1\"")];
            let tag = if method == Method::PATCH {
                &tag[..]
            } else {
                &[]
            };
            let is_for_operators = operation["security"]
                .as_array()
                .is_some_and(|ways| ways.iter().any(|way| !way["operator_key"].is_null()));
            let key = if is_for_operators { &world.key } else { &key };
            let answer = world
                .ask(key, method.clone(), &address, tag, Some(&odd))
                .await;
            let told = answer.body["errors"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|error| error["field"] == "no_such_field");
            let Some(told) = told else {
                differ.push(format!("{method} {path}: {}", answer.text));
                continue;
            };
            let known = told["reason"]
                .as_str()
                .unwrap()
                .split("known are: ")
                .nth(1)
                .unwrap();
            let mut known: Vec<&str> = known.split(", ").collect();
            let properties = schema(&document, body)["properties"].as_object().unwrap();
            let mut documented: Vec<&str> = properties.keys().map(String::as_str).collect();
            // A wallet is read for the other kind of payout method.
            documented.retain(|name| !(path.ends_with("/payout-method") && *name == "wallet"));
            known.sort_unstable();
            documented.sort_unstable();
            if known != documented {
                differ.push(format!(
                    "{method} {path}: {known:?} are read, {documented:?} documented"
                ));
            }
            compared += 1;
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(compared >= 12, "{compared} bodies were compared");
}

#[tokio::test]
async fn every_reference_of_the_description_leads_somewhere() {
    let world = World::start().await;
    let answer = world.get("/openapi.json").await.expect(200);
    let schemas = answer.body["components"]["schemas"].as_object().unwrap();
    for reference in answer.text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    let mut ids = Vec::new();
    for item in answer.body["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            ids.push(operation["operationId"].as_str().unwrap());
            assert!(operation["summary"].is_string(), "{operation}");
            assert!(operation["responses"]["default"].is_object(), "{operation}");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}

#[tokio::test]
async fn the_page_reads_whole_and_loads_its_own_assets_only() {
    let world = World::start().await;
    let page = world
        .ask("", Method::GET, "/docs", &[], None)
        .await
        .expect(200);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    for code in tributary::edge::ALL_CODES {
        assert!(page.text.contains(code.name), "{}", code.name);
    }
    let document = world.get("/openapi.json").await.expect(200).body;
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(
            page.text.contains(&format!("<code>{path}</code>")),
            "{path}"
        );
    }
    for reference in page.text.split("href=\"#").skip(1) {
        let target = reference.split('"').next().unwrap();
        assert!(page.text.contains(&format!("id=\"{target}\"")), "{target}");
    }
    assert!(!page.text.contains("style=") && !page.text.contains("onclick"));
    for (asset, kind) in [("style.css", "text/css"), ("docs.js", "text/javascript")] {
        assert!(page.text.contains(&format!("\"/docs/{asset}\"")));
        let answer = world
            .ask("", Method::GET, &format!("/docs/{asset}"), &[], None)
            .await
            .expect(200);
        assert!(
            answer.headers[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .starts_with(kind)
        );
    }
    let _ = world
        .ask("", Method::GET, "/docs/other.css", &[], None)
        .await
        .problem(404, "not_found");
    let _ = world
        .ask("", Method::GET, "/health", &[], None)
        .await
        .expect(200);
}
