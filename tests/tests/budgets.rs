//! What the hot paths cost, by the capacity that the engine says was consumed.

use futures_util::future::join_all;
use serde_json::json;
use tributary_local::capacity::{Recorded, totals};
use tributary_local::connector::Service;
use tributary_tests::World;

fn dynamodb(calls: &[Recorded]) -> Vec<&str> {
    calls
        .iter()
        .filter(|call| call.service == Service::DynamoDb)
        .map(|call| call.operation.as_str())
        .collect()
}

#[tokio::test]
async fn a_warm_click_is_one_round_trip_and_one_write_unit_a_cold_one_two() {
    let world = World::start().await;
    let stand = world.stand().await;
    world
        .instance
        .app()
        .clock
        .set(world.now() + jiff::SignedDuration::from_mins(1));
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    let _ = world.click(&stand.link).await;
    let cold = recorder.take();
    let _ = world.click(&stand.link).await;
    let warm = recorder.stop();
    // The link, then its program and the click at once.
    assert_eq!(dynamodb(&cold), ["GetItem", "GetItem", "PutItem"]);
    assert_eq!(dynamodb(&warm), ["PutItem"]);
    let cost = totals(&warm);
    assert_eq!(
        (cost.write_units, cost.index_write_units, cost.read_units),
        (1.0, 0.0, 0.0)
    );
}

#[tokio::test]
async fn a_warm_postback_is_one_round_trip_and_one_write_unit_with_one_of_the_index() {
    let world = World::start().await;
    let stand = world.stand().await;
    let click_id = world.click(&stand.link).await;
    let recorder = world.instance.cloud().recorder();
    world
        .instance
        .app()
        .clock
        .set(world.now() + jiff::SignedDuration::from_mins(1));
    let post = async |transaction: &str| {
        let body = json!({
            "click_id": click_id, "transaction_id": transaction, "amount": "49.00", "currency": "GBP",
            "customer": "customer-17850", "sub1": "newsletter", "sub2": "2026-03",
        });
        let _ = world.postback(&stand, body).await.expect(201);
    };
    recorder.start();
    post("cold").await;
    let cold = recorder.take();
    post("warm").await;
    let warm = recorder.stop();
    assert_eq!(dynamodb(&cold), ["GetItem", "PutItem"]);
    assert_eq!(dynamodb(&warm), ["PutItem"]);
    let cost = totals(&warm);
    assert_eq!(
        (cost.write_units, cost.index_write_units, cost.read_units),
        (1.0, 1.0, 0.0)
    );
}

#[tokio::test]
async fn ten_conversions_of_one_partner_are_one_read_and_one_transaction_of_at_most_26_units() {
    let world = World::start().await;
    let stand = world.stand().await;
    let warm_up = world.sale(&stand, "warm-up", "49.00").await;
    world.settle().await;
    assert_eq!(world.state(&warm_up).await, "held");
    join_all((0..10).map(|number| {
        let (world, stand) = (&world, &stand);
        async move { world.sale(stand, &format!("o-{number}"), "49.00").await }
    }))
    .await;
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    world.settle().await;
    let calls = recorder.stop();
    let cost = totals(&calls);
    println!(
        "commission for 10 conversions: {} base and {} index write units, {} read units in {} calls",
        cost.write_units, cost.index_write_units, cost.read_units, cost.read_calls
    );
    assert_eq!(dynamodb(&calls), ["BatchGetItem", "TransactWriteItems"]);
    assert!(cost.write_units <= 26.0, "{cost:?}");
    assert_eq!(world.balances(&stand.partner).await[0], "161.70");
}

#[tokio::test]
async fn a_release_of_forty_commissions_is_one_transaction_of_84_units() {
    let world = World::start().await;
    let stand = world.stand().await;
    join_all((0..40).map(|number| {
        let (world, stand) = (&world, &stand);
        async move { world.sale(stand, &format!("o-{number}"), "49.00").await }
    }))
    .await;
    world.settle().await;
    let recorder = world.instance.cloud().recorder();
    world
        .instance
        .app()
        .clock
        .set(tributary::clock::days_after(world.now(), 30));
    recorder.start();
    world.clockwork().await;
    let calls = recorder.stop();
    let releases: Vec<Recorded> = calls
        .into_iter()
        .filter(|call| call.operation == "TransactWriteItems")
        .collect();
    assert_eq!(releases.len(), 1);
    let cost = totals(&releases);
    println!(
        "release of 40: {} base and {} index write units",
        cost.write_units, cost.index_write_units
    );
    assert!(cost.write_units <= 84.0, "{cost:?}");
    assert_eq!(world.balances(&stand.partner).await[1], "588.00");
}
