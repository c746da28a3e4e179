//! Exchange rates: stored for good, and looked up by the date of an event.

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary::rates;
use tributary_tests::{Answer, World};

fn rate(date: &str, rate: &str) -> Value {
    json!({ "from": "EUR", "to": "GBP", "rate": rate, "date": date, "source": "ECB" })
}

async fn keep(world: &World, rates: &[Value]) -> Answer {
    world.put("/v1/rates", json!({ "rates": rates })).await
}

async fn found(world: &World, query: &str) -> Vec<String> {
    let answer = world.get(&format!("/v1/rates?{query}")).await.expect(200);
    let of = |item: &Value| {
        let text = |field: &str| item[field].as_str().unwrap().to_owned();
        format!("{} {}", text("date"), text("rate"))
    };
    answer.items().iter().map(of).collect()
}

#[tokio::test]
async fn a_stored_rate_never_changes_and_the_same_again_is_no_change() {
    let world = World::start().await;
    let both = [rate("2026-03-01", "0.8500"), rate("2026-03-02", "0.8512")];
    let kept = keep(&world, &both).await.expect(200);
    assert_eq!(kept.items().len(), 2);
    world.advance_days(1).await;
    // As a number it is the same, however many zeros it is written with.
    let again = keep(&world, &[rate("2026-03-01", "0.85")])
        .await
        .expect(200);
    assert_eq!(again.items()[0], kept.items()[0]);
    let mut elsewhere = rate("2026-03-01", "0.85");
    elsewhere["source"] = json!("Bank");
    let changes = [
        rate("2026-03-03", "0.86"),
        rate("2026-03-02", "0.8513"),
        elsewhere,
    ];
    let refused = keep(&world, &changes).await.problem(409, "rate_fixed");
    let named: Vec<&Value> = refused.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["field"])
        .collect();
    assert_eq!(named, ["rates[1]", "rates[2]"]);
    assert_eq!(
        found(&world, "from=EUR&to=GBP").await,
        ["2026-03-02 0.8512", "2026-03-01 0.8500"],
        "all or none"
    );
    let twice = [rate("2026-03-03", "0.86"), rate("2026-03-03", "0.87")];
    let _ = keep(&world, &twice).await.problem(409, "rate_fixed");
    let twice = [rate("2026-03-03", "0.86"), rate("2026-03-03", "0.860")];
    let _ = keep(&world, &twice).await.expect(200);
}

#[tokio::test]
async fn an_event_is_read_at_the_latest_rate_of_its_date_or_the_week_before() {
    let world = World::start().await;
    let stored = [
        rate("2026-02-20", "0.81"),
        rate("2026-02-27", "0.82"),
        rate("2026-03-02", "0.83"),
    ];
    let _ = keep(&world, &stored).await.expect(200);
    for (date, expected) in [
        ("2026-02-19", None),
        ("2026-02-20", Some("2026-02-20 0.81")),
        ("2026-02-26", Some("2026-02-20 0.81")),
        ("2026-02-27", Some("2026-02-27 0.82")),
        ("2026-03-01", Some("2026-02-27 0.82")),
        ("2026-03-02", Some("2026-03-02 0.83")),
        ("2026-03-09", Some("2026-03-02 0.83")),
        ("2026-03-10", None),
    ] {
        let found = found(&world, &format!("from=EUR&to=GBP&date={date}")).await;
        assert_eq!(found.first().map(String::as_str), expected, "{date}");
        assert!(found.len() <= 1);
    }
    // The way back is another rate, which nobody stored.
    assert!(
        found(&world, "from=GBP&to=EUR&date=2026-03-02")
            .await
            .is_empty()
    );
    let first = world
        .get("/v1/rates?from=EUR&to=GBP&limit=2")
        .await
        .expect(200);
    let rest = format!(
        "from=EUR&to=GBP&limit=2&cursor={}",
        first.str("next_cursor")
    );
    assert_eq!(found(&world, &rest).await, ["2026-02-20 0.81"]);
}

#[tokio::test]
async fn a_rate_that_was_looked_up_costs_one_read_and_then_none() {
    let world = World::start().await;
    let _ = keep(&world, &[rate("2026-03-02", "0.83")])
        .await
        .expect(200);
    let app = world.instance.app();
    let [eur, gbp] = ["EUR", "GBP"].map(|code| code.parse().unwrap());
    let date = "2026-03-04".parse().unwrap();
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    let first = rates::at(app, eur, gbp, date).await.unwrap().unwrap();
    let cold: Vec<String> = recorder
        .take()
        .iter()
        .map(|call| call.operation.clone())
        .collect();
    let second = rates::at(app, eur, gbp, date).await.unwrap().unwrap();
    assert_eq!(first, second);
    assert_eq!(
        (cold.as_slice(), recorder.stop().len()),
        (&["Query".to_owned()][..], 0)
    );
    assert_eq!(
        (first.rate.to_string(), first.source.as_str()),
        ("0.83".to_owned(), "ECB")
    );
}

#[tokio::test]
async fn two_who_store_the_same_at_once_both_succeed_and_two_who_differ_do_not() {
    let world = World::start().await;
    let same = join_all((0..6).map(|_| {
        let world = &world;
        async move {
            keep(
                world,
                &[rate("2026-03-01", "0.85"), rate("2026-03-02", "0.86")],
            )
            .await
        }
    }))
    .await;
    assert!(same.iter().all(|answer| answer.status == 200));
    let differing = join_all(["0.87", "0.88"].map(|text| {
        let world = &world;
        async move { keep(world, &[rate("2026-03-03", text)]).await }
    }))
    .await;
    let refused = differing
        .iter()
        .filter(|answer| answer.str("code") == "rate_fixed");
    assert_eq!(refused.count(), 1);
}

#[tokio::test]
async fn wrong_rates_are_told_each_with_its_place() {
    let world = World::start().await;
    let with = |field: &str, value: Value| {
        let mut rate = rate("2026-03-02", "0.85");
        rate[field] = value;
        rate
    };
    for (field, value, code) in [
        ("from", json!("EURO"), "currency_unknown"),
        ("to", json!("EUR"), "currency_same"),
        ("rate", json!(0.85), "decimal_string_expected"),
        ("rate", json!("0"), "out_of_range"),
        ("rate", json!("-0.85"), "amount_negative"),
        ("rate", json!("0.12345678901"), "amount_too_precise"),
        ("rate", json!("100000001"), "rate_over_limit"),
        ("rate", json!("1,2"), "decimal_malformed"),
        ("rate", Value::Null, "required"),
        ("date", json!("2026-02-30"), "date_malformed"),
        ("date", json!("20260302"), "date_malformed"),
        ("date", json!("2026-03-04"), "time_in_future"),
        ("source", json!(""), "too_short"),
        ("source", json!("x".repeat(65)), "too_long"),
        ("note", json!("x"), "unknown_field"),
    ] {
        let rates = [rate("2026-03-01", "0.85"), with(field, value)];
        let refused = keep(&world, &rates).await.problem(422, code);
        assert_eq!(refused.str("/errors/0/field"), format!("rates[1].{field}"));
    }
    let _ = keep(&world, &[with("date", json!("2026-03-03"))])
        .await
        .expect(200);
    let _ = keep(&world, &[]).await.problem(422, "too_short");
    for (query, code) in [
        ("from=EUR", "required"),
        ("from=EUR&to=GBP&date=yesterday", "date_malformed"),
        ("from=EUR&to=GBP&limit=0", "out_of_range"),
        ("from=EUR&to=GBP&day=1", "unknown_field"),
    ] {
        let _ = world
            .get(&format!("/v1/rates?{query}"))
            .await
            .problem(422, code);
    }
    let reader = world
        .post(
            "/v1/operators",
            json!({ "name": "Grace", "email": "grace@example.com" }),
        )
        .await;
    let keys = format!("/v1/operators/{}/keys", reader.str("id"));
    let key = world
        .post(&keys, json!({ "scopes": ["channel"] }))
        .await
        .expect(201);
    let body = json!({ "rates": [rate("2026-03-02", "0.85")] });
    let answer = world
        .ask(key.str("key"), Method::PUT, "/v1/rates", &[], Some(&body))
        .await;
    let _ = answer.problem(403, "forbidden");
}
