//! Queues and streams are transport: losing them loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary::table::AttributeValue;
use tributary_local::connector::{AwsError, Call, Delivery, Intercept, Service, Verdict};
use tributary_tests::{Stand, World};

#[tokio::test]
async fn with_all_queues_dropped_and_the_stream_trimmed_every_acknowledged_conversion_gets_its_outcome()
 {
    let world = World::start().await;
    let stand = world.stand().await;
    let post = async |from: usize, to: usize| {
        let (world, stand) = (&world, &stand);
        let sale = async |number| world.sale(stand, &format!("o-{number}"), "10.00").await;
        join_all((from..to).map(sale)).await
    };
    // One half has come as far as the queue, the other no further than the stream.
    let mut conversions = post(0, 500).await;
    world.fill_queues().await;
    assert_eq!(world.waiting_messages(), 500);
    conversions.extend(post(500, 1_000).await);
    world.lose_transport().await;
    let cloud = world.instance.cloud();
    world.settle().await;
    for conversion in &conversions {
        assert_eq!(world.state(conversion).await, "received", "nothing arrived");
    }

    cloud.recorder().start();
    // Work is bounded per minute; a few minutes see all of it through.
    for _ in 0..20 {
        let to = world.now() + jiff::SignedDuration::from_mins(1);
        world.advance_to(to).await;
    }
    let calls = cloud.recorder().stop();
    assert!(calls.iter().all(|call| call.operation != "Scan"));
    for conversion in &conversions {
        assert_eq!(world.state(conversion).await, "held");
    }
    assert_eq!(world.balances(&stand.partner).await[0], "3000.00");
}

#[tokio::test]
async fn the_reconciler_tells_what_it_looked_at_queued_again_and_found_overdue() {
    let world = World::start().await;
    for (orders, stand) in [(3, world.stand().await), (2, world.stand().await)] {
        for number in 0..orders {
            let _ = world.sale(&stand, &format!("o-{number}"), "10.00").await;
        }
    }
    let run = async |minutes: i64| {
        world.lose_transport().await;
        let at = world.now() + jiff::SignedDuration::from_mins(minutes);
        world.instance.app().clock.set(at);
        world.instance.cloud().clock_moved();
        let told = world.instance.run_clockwork(at).await.unwrap();
        told["reconciled"].clone()
    };
    let told = |checked: u32, requeued: u32, overdue: u32| json!({ "checked": checked, "requeued": requeued, "overdue": overdue, "payout_work": 0 });
    assert_eq!(run(1).await, told(5, 5, 0));
    // What was queued was lost again, and has waited for a while.
    assert_eq!(run(30).await, told(5, 5, 5));
    world.settle().await;
    // What has its outcome is looked at once more, and then no longer.
    assert_eq!(run(1).await, told(5, 0, 0));
    assert_eq!(run(60).await, told(0, 0, 0));
}

/// Breaks off whatever comes after an outcome was posted: the process that posted it is gone.
struct GoneAfterTheOutcome {
    gone: AtomicBool,
}

impl Intercept for GoneAfterTheOutcome {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if self.gone.load(Ordering::Relaxed) && call.service == Service::DynamoDb {
            return Verdict::FailBefore;
        }
        Verdict::Pass
    }

    fn after(&self, call: &Call<'_>, _: Result<&Value, &AwsError>) -> Delivery {
        let text = call.request.to_string();
        if call.operation == "TransactWriteItems" && text.contains("OUTCOME") {
            self.gone.store(true, Ordering::Relaxed);
        }
        Delivery::Deliver
    }
}

#[tokio::test]
async fn what_an_upline_gets_is_found_again_when_the_message_is_lost_behind_the_outcome() {
    // Reconciled at once, or only when the hold has passed and the reconciler has long gone by.
    for by_the_hold in [false, true] {
        let world = World::start().await;
        let (program, token, signing_secret) = world
            .program(
                30,
                json!([{ "kind": "percent", "event": "sale", "rate": "0.5" }]),
            )
            .await;
        let plan = json!({ "code": "club", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z",
            "components": [{ "kind": "percent", "event": "sale", "rate": "0.20" }],
            "levels": [{ "rate": "0.10", "of": "commission" }] });
        let path = format!("/v1/programs/{program}/plans");
        let _ = world.post(&path, plan).await.expect(201);
        let mut chain: Vec<(String, String, String)> = Vec::new();
        for name in ["Top", "Low"] {
            let one = world.partner_in(&program, name).await;
            let mut enrolment = json!({ "program": program, "plan": "club" });
            if let Some((above, ..)) = chain.last() {
                enrolment["upline"] = json!(above);
            }
            let path = format!("/v1/partners/{}/enrolments", one.0);
            let _ = world.post(&path, enrolment).await.expect(200);
            chain.push(one);
        }
        let (partner, link, coupon) = chain[1].clone();
        let stand = Stand {
            program,
            token,
            signing_secret,
            partner,
            link,
            coupon,
        };
        let _ = world.sale(&stand, "o-1", "100.00").await;
        let dying = Arc::new(GoneAfterTheOutcome {
            gone: AtomicBool::new(false),
        });
        world.instance.cloud().set_interceptor(Some(dying.clone()));
        // Deliveries fail until the queue gives the message up.
        let _ = world.instance.settle().await;
        assert!(dying.gone.load(Ordering::Relaxed));
        world.instance.cloud().set_interceptor(None);
        let balances = async |partner: &String| world.balances(partner).await[..2].to_vec();
        assert_eq!(balances(&chain[1].0).await, ["20.00", "0.00"]);
        assert_eq!(balances(&chain[0].0).await, ["", ""], "nothing follows yet");
        world.lose_transport().await;
        if by_the_hold {
            // The reconciler's walk ends before it begins: it has been there already.
            let far = world.now() + jiff::SignedDuration::from_hours(24 * 31);
            let key = [
                ("pk", "CLOCKWORK".to_owned()),
                ("sk", format!("WATERMARK#{}", stand.program)),
            ];
            let client = world.instance.cloud().dynamodb();
            let mut put = client
                .put_item()
                .table_name(&world.instance.app().config.main_table)
                .item("at", AttributeValue::S(far.to_string()));
            for (name, value) in key {
                put = put.item(name, AttributeValue::S(value));
            }
            put.send().await.unwrap();
            world.advance_days(30).await;
            world.clockwork().await;
            assert_eq!(balances(&chain[0].0).await[1], "2.00");
            assert_eq!(balances(&chain[1].0).await[1], "20.00");
            continue;
        }
        for _ in 0..12 {
            let to = world.now() + jiff::SignedDuration::from_mins(1);
            world.advance_to(to).await;
        }
        assert_eq!(balances(&chain[0].0).await, ["2.00", "0.00"]);
    }
}
