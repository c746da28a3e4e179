//! What the hot paths cost, by the capacity that the engine says was consumed.

use futures_util::future::join_all;
use serde_json::json;
use tributary_local::capacity::{Recorded, totals};
use tributary_local::connector::Service;
use tributary_tests::{Stand, World};

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
async fn ten_conversions_of_one_partner_are_one_read_and_one_transaction_of_24_units_and_two_of_the_indexes_each()
 {
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
    assert_eq!(dynamodb(&calls), ["BatchGetItem", "TransactWriteItems"]);
    assert_eq!(
        (cost.write_units, cost.index_write_units, cost.read_units),
        (24.0, 20.0, 30.0)
    );
    assert_eq!(world.balances(&stand.partner).await[0], "161.70");
}

/// Forty held commissions of one partner, and the clock where their hold has passed.
async fn forty_due(world: &World) -> Stand {
    let stand = world.stand().await;
    join_all((0..40).map(|number| {
        let stand = &stand;
        async move { world.sale(stand, &format!("o-{number}"), "49.00").await }
    }))
    .await;
    world.settle().await;
    let due = tributary::clock::days_after(world.now(), 30);
    world.instance.app().clock.set(due);
    stand
}

fn transactions(calls: Vec<Recorded>) -> Vec<Recorded> {
    let is_transaction = |call: &Recorded| call.operation == "TransactWriteItems";
    calls.into_iter().filter(is_transaction).collect()
}

#[tokio::test]
async fn a_release_of_forty_commissions_is_one_transaction_of_84_units_and_two_of_the_indexes_each()
{
    let world = World::start().await;
    let stand = forty_due(&world).await;
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    world.clockwork().await;
    let releases = transactions(recorder.stop());
    assert_eq!(releases.len(), 1);
    let cost = totals(&releases);
    // Each leaves the holds and enters the payable lines; the release itself is listed.
    assert_eq!((cost.write_units, cost.index_write_units), (84.0, 81.0));
    assert_eq!(world.balances(&stand.partner).await[1], "588.00");
}

#[tokio::test]
async fn reserving_forty_lines_is_one_transaction_of_86_units_and_one_of_the_indexes_each() {
    let world = World::start().await;
    let stand = forty_due(&world).await;
    world.clockwork().await;
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    let _ = world.batch(&stand.program, None).await;
    let calls = transactions(recorder.stop());
    let costs: Vec<(f64, f64)> = calls
        .iter()
        .map(|call| totals(std::slice::from_ref(call)))
        .map(|cost| (cost.write_units, cost.index_write_units))
        .collect();
    // Planned, then the forty lines with payout, transfer and account, then the instruction frozen.
    assert_eq!(costs, [(8.0, 2.0), (86.0, 41.0), (4.0, 1.0)]);
    assert_eq!(world.balances(&stand.partner).await[2], "588.00");
}
