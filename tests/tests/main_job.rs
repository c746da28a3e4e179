//! The main job: a click becomes a payout.

use serde_json::json;
use tributary_tests::World;

#[tokio::test]
async fn a_click_becomes_a_payout() {
    let world = World::start().await;
    let stand = world.stand().await;
    let click_id = world.click(&stand.link).await;
    let body = json!({ "click_id": click_id, "transaction_id": "order-1", "amount": "49.00", "currency": "GBP" });
    let accepted = world.postback(&stand, body.clone()).await.expect(201);
    assert_eq!(accepted.str("status"), "accepted");
    let conversion = accepted.str("conversion").to_owned();
    assert_eq!(world.state(&conversion).await, "received");
    world.settle().await;
    assert_eq!(world.state(&conversion).await, "held");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["14.70", "0.00", "0.00", "0.00"]
    );

    let repeated = world.postback(&stand, body).await.expect(200);
    assert_eq!(
        (repeated.str("status"), repeated.str("conversion")),
        ("duplicate", conversion.as_str())
    );

    world.advance_days(30).await;
    assert_eq!(world.state(&conversion).await, "payable");
    let batch = world.batch(&stand.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(
        (batch.str("state"), batch.str("total")),
        ("reserved", "14.70")
    );
    assert_eq!(world.state(&conversion).await, "in_transit");
    let payout = batch.str("/lines/0/payout").to_owned();

    let file = format!(
        "/v1/payouts/batches/{}/file?format=paypal&part=1",
        batch.str("id")
    );
    let first = world.get(&file).await.expect(200).text;
    assert!(
        first.starts_with(&format!("ada@wallet.example,14.70,GBP,{payout},")),
        "{first}"
    );
    assert!(payout.len() <= 30);
    assert_eq!(
        world.get(&file).await.expect(200).text,
        first,
        "a frozen file never changes"
    );

    world
        .post(&format!("/v1/payouts/{payout}/settle"), json!({}))
        .await
        .expect(200);
    assert_eq!(world.state(&conversion).await, "paid");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "14.70"]
    );
    world
        .post(&format!("/v1/payouts/{payout}/settle"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "14.70"],
        "settling twice pays once"
    );
}

#[tokio::test]
async fn a_statement_adds_up_and_closes_on_the_balances() {
    let world = World::start().await;
    let stand = world.stand().await;
    for number in 0..5 {
        let _ = world.sale(&stand, &format!("o-{number}"), "49.00").await;
        world.settle().await;
        world.advance_days(10).await;
    }
    let to = world.now() + jiff::SignedDuration::from_secs(1);
    let whole = world
        .get(&format!(
            "/v1/partners/{}/statement?from=2026-01-01T00:00:00Z&to={to}",
            stand.partner
        ))
        .await
        .expect(200);
    let later = world
        .get(&format!(
            "/v1/partners/{}/statement?from=2026-03-20T00:00:00Z&to={to}",
            stand.partner
        ))
        .await
        .expect(200);
    let balances = world.balances(&stand.partner).await;
    for statement in [whole, later] {
        let section = &statement.body["items"][0];
        let minor = |side: &str, bucket: &str| {
            section[side][bucket]
                .as_str()
                .unwrap()
                .replace('.', "")
                .parse::<i64>()
                .unwrap()
        };
        for (position, bucket) in ["pending", "payable", "in_transit", "paid"]
            .into_iter()
            .enumerate()
        {
            let moved: i64 = section["lines"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| {
                    let amount = line["amount"]
                        .as_str()
                        .unwrap()
                        .replace('.', "")
                        .parse::<i64>()
                        .unwrap();
                    i64::from(line["to"] == bucket) * amount
                        - i64::from(line["from"] == bucket) * amount
                })
                .sum();
            assert_eq!(
                minor("opening", bucket) + moved,
                minor("closing", bucket),
                "{bucket}: {section}"
            );
            assert_eq!(
                section["closing"][bucket].as_str().unwrap(),
                balances[position],
                "{bucket}"
            );
        }
    }
}

#[tokio::test]
async fn a_partner_sees_its_own_records_and_no_other_ones() {
    let world = World::start().await;
    let stand = world.stand().await;
    let (other, _, _) = world.partner_in(&stand.program, "Bob").await;
    let conversion = world.sale(&stand, "o-1", "10.00").await;
    world.settle().await;
    let key = world
        .post(&format!("/v1/partners/{}/keys", stand.partner), json!({}))
        .await
        .expect(201)
        .str("key")
        .to_owned();
    let foreign = world
        .post(&format!("/v1/partners/{other}/keys"), json!({}))
        .await
        .expect(201)
        .str("key")
        .to_owned();
    for path in [
        format!("/v1/partners/{}", stand.partner),
        format!("/v1/partners/{}/balances", stand.partner),
        format!("/v1/partners/{}/ledger", stand.partner),
        format!(
            "/v1/partners/{}/statement?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z",
            stand.partner
        ),
        format!("/v1/conversions/{conversion}"),
        format!("/v1/conversions?partner={}", stand.partner),
    ] {
        let ask = async |key: &str| world.ask(key, axum_get(), &path, &[], None).await;
        let _ = ask(&key).await.expect(200);
        let _ = ask(&foreign).await.problem(404, "not_found");
        let _ = ask("").await.problem(401, "unauthenticated");
    }
    let keys = world
        .get(&format!("/v1/partners/{}/keys", stand.partner))
        .await
        .expect(200);
    let id = keys.str("/items/0/id").to_owned();
    let revoked = world
        .delete(&format!("/v1/partners/{}/keys/{id}", stand.partner))
        .await;
    assert!(revoked.status.is_success(), "{}", revoked.text);
    let path = format!("/v1/partners/{}", stand.partner);
    let _ = world
        .ask(&key, axum_get(), &path, &[], None)
        .await
        .problem(401, "unauthenticated");
}

fn axum_get() -> axum::http::Method {
    axum::http::Method::GET
}
