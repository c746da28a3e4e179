//! Cases from the field, with their figures.

use serde_json::json;
use tributary_tests::World;

#[tokio::test]
async fn lines_round_half_up_on_minor_units() {
    let world = World::start().await;
    for (amount, rate, expected) in [
        ("0.07", "0.20", "0.01"),
        ("0.02", "0.20", "0.00"),
        ("0.03", "0.20", "0.01"),
        ("0.15", "0.10", "0.02"),
        ("0.01", "0.50", "0.01"),
        ("5.00", "0.029", "0.15"),
        ("49.00", "0.30", "14.70"),
    ] {
        let (program, token, _) = world
            .program(
                0,
                json!([{ "kind": "percent", "event": "sale", "rate": rate }]),
            )
            .await;
        let (partner, link, coupon) = world.partner_in(&program, "Ada").await;
        let stand = tributary_tests::Stand {
            program,
            token,
            signing_secret: String::new(),
            partner,
            link,
            coupon,
        };
        let _ = world.sale(&stand, "o-1", amount).await;
        world.settle().await;
        assert_eq!(
            world.balances(&stand.partner).await[0],
            expected,
            "{amount} at {rate}"
        );
    }
}

#[tokio::test]
async fn a_flat_amount_is_paid_for_each_unit() {
    let world = World::start().await;
    let stand = world
        .stand_with(
            0,
            json!([{ "kind": "flat", "event": "lead", "amount": "5.00" }]),
        )
        .await;
    let body =
        json!({ "transaction_id": "l-1", "event": "lead", "coupon": stand.coupon, "quantity": 2 });
    let _ = world.postback(&stand, body).await.expect(201);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "10.00");
}

#[tokio::test]
async fn several_components_make_a_hybrid_and_an_event_nobody_pays_for_pays_nothing_and_says_so() {
    let world = World::start().await;
    let terms = json!([
        { "kind": "flat", "event": "sale", "amount": "4.00" },
        { "kind": "percent", "event": "sale", "rate": "0.02" },
    ]);
    let stand = world.stand_with(0, terms).await;
    let _ = world.sale(&stand, "o-1", "100.00").await;
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "6.00");
    let body = json!({ "transaction_id": "t-1", "event": "trial", "coupon": stand.coupon });
    let trial = world
        .postback(&stand, body)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    world.settle().await;
    let trial = world
        .get(&format!("/v1/conversions/{trial}"))
        .await
        .expect(200);
    assert_eq!(trial.str("/outcome/commission"), "0.00");
    assert!(
        trial.text.contains("nothing pays for the event"),
        "{}",
        trial.text
    );
    assert_eq!(world.balances(&stand.partner).await[0], "6.00");
}

#[tokio::test]
async fn a_hold_of_thirty_days_passes_to_the_second() {
    let world = World::start().await;
    let stand = world.stand().await;
    let body = json!({
        "transaction_id": "o-1", "coupon": stand.coupon, "amount": "49.00", "occurred_at": "2020-08-19T16:28:25Z",
    });
    // Older than what a tracker may report: it takes an operator.
    let path = format!("/v1/postbacks/{}", stand.program);
    let conversion = world
        .post(&path, body)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    world.settle().await;
    let held = world
        .get(&format!("/v1/conversions/{conversion}"))
        .await
        .expect(200);
    assert_eq!(held.str("/outcome/release_at"), "2020-09-18T16:28:25Z");
}

#[tokio::test]
async fn what_is_below_the_minimum_waits_for_more() {
    let world = World::start().await;
    let stand = world.stand().await;
    for number in 0..3 {
        let _ = world.sale(&stand, &format!("o-{number}"), "49.00").await;
    }
    world.settle().await;
    world.advance_days(30).await;
    assert_eq!(world.balances(&stand.partner).await[1], "44.10");
    let batch = world.batch(&stand.program, Some("50.00")).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.body["lines"].as_array().unwrap().len(), 0);
    assert_eq!(batch.str("/left_out/0/reason"), "below_minimum");
    assert_eq!(world.balances(&stand.partner).await[1], "44.10");

    let _ = world.sale(&stand, "o-3", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, Some("50.00")).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.str("/lines/0/amount"), "58.80");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "58.80", "0.00"]
    );
}

#[tokio::test]
async fn what_is_reversed_after_payout_is_carried_into_the_next_batch() {
    let world = World::start().await;
    let stand = world.stand().await;
    let first = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    let _ = world
        .get(&format!(
            "/v1/payouts/batches/{}/file?format=paypal&part=1",
            batch.str("id")
        ))
        .await
        .expect(200);
    let _ = world
        .post(
            &format!("/v1/payouts/{}/settle", batch.str("/lines/0/payout")),
            json!({}),
        )
        .await
        .expect(200);
    let reversal = json!({ "reversal_id": "r-1", "reason": "returned goods" });
    let path = format!("/v1/conversions/{first}/reversals");
    assert!(
        world
            .post(&path, reversal.clone())
            .await
            .status
            .is_success()
    );
    world.settle().await;
    assert_eq!(world.state(&first).await, "reversed");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "-14.70", "0.00", "14.70"]
    );
    assert!(world.post(&path, reversal).await.status.is_success());
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await[1],
        "-14.70",
        "a repeated reversal takes nothing more"
    );

    let carried = world.batch(&stand.program, None).await;
    let carried = world
        .get(&format!("/v1/payouts/batches/{carried}"))
        .await
        .expect(200);
    assert_eq!(carried.str("/left_out/0/reason"), "negative_balance");

    let _ = world.sale(&stand, "o-2", "100.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.str("/lines/0/amount"), "15.30");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "15.30", "14.70"]
    );
}

#[tokio::test]
async fn a_returned_payout_is_payable_again_and_paid_by_the_next_batch() {
    let world = World::start().await;
    let stand = world.stand().await;
    let conversion = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    let _ = world
        .get(&format!(
            "/v1/payouts/batches/{}/file?format=paypal&part=1",
            batch.str("id")
        ))
        .await
        .expect(200);
    let payout = batch.str("/lines/0/payout").to_owned();
    let reason = json!({ "reason": "wallet closed", "evidence": "PayPal status RETURNED" });
    let _ = world
        .post(&format!("/v1/payouts/{payout}/return"), reason)
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "14.70", "0.00", "0.00"]
    );
    assert_eq!(world.state(&conversion).await, "payable");
    let next = world.batch(&stand.program, None).await;
    let next = world
        .get(&format!("/v1/payouts/batches/{next}"))
        .await
        .expect(200);
    assert_eq!(next.str("/lines/0/amount"), "14.70");
    assert_ne!(next.str("/lines/0/payout"), payout);
}

#[tokio::test]
async fn reversals_leave_from_where_the_money_stands() {
    let world = World::start().await;
    let stand = world.stand().await;
    // Held.
    let held = world.sale(&stand, "o-held", "49.00").await;
    world.settle().await;
    let reverse = async |conversion: &str| {
        let body = json!({ "reversal_id": "r-1", "reason": "returned goods" });
        assert!(
            world
                .post(&format!("/v1/conversions/{conversion}/reversals"), body)
                .await
                .status
                .is_success()
        );
        world.settle().await;
    };
    reverse(&held).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "0.00"]
    );
    // Payable.
    let payable = world.sale(&stand, "o-payable", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    reverse(&payable).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "0.00"]
    );
    // In a payout.
    let sent = world.sale(&stand, "o-sent", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let _ = world.batch(&stand.program, None).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "14.70", "0.00"]
    );
    reverse(&sent).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "-14.70", "14.70", "0.00"]
    );
    for conversion in [&held, &payable, &sent] {
        assert_eq!(world.state(conversion).await, "reversed");
    }
}
