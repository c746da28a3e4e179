//! Many writers of one account.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_local::connector::{AwsError, Call, Delivery, Intercept, Verdict};
use tributary_tests::World;

/// Refuses every second attempt at a transaction as DynamoDB does when another one holds an item.
#[derive(Default)]
struct HalfConflict {
    seen: AtomicU64,
    refused: AtomicU64,
    received: AtomicU64,
    received_again: AtomicU64,
}

impl Intercept for HalfConflict {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation != "TransactWriteItems"
            || self.seen.fetch_add(1, Ordering::SeqCst) % 2 == 1
        {
            return Verdict::Pass;
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        let items = call.request["TransactItems"].as_array().map_or(1, Vec::len);
        Verdict::Answer(AwsError::transaction_conflict(items))
    }

    fn after(&self, call: &Call<'_>, outcome: Result<&Value, &AwsError>) -> Delivery {
        if let ("ReceiveMessage", Ok(answer)) = (call.operation, outcome) {
            let messages = answer["Messages"].as_array().into_iter().flatten();
            let of_money = |message: &&Value| {
                let body = message["Body"].as_str().unwrap_or_default();
                body.contains("conversion")
            };
            for message in messages.filter(of_money) {
                self.received.fetch_add(1, Ordering::SeqCst);
                if message["Attributes"]["ApproximateReceiveCount"] != "1" {
                    self.received_again.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        Delivery::Deliver
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_two_batches_of_one_partner_at_once_with_half_their_transactions_in_conflict_are_exact()
 {
    let world = World::start().await;
    let stand = world.stand().await;
    let mut batches = Vec::new();
    for batch in 0..32 {
        let mut records = Vec::new();
        for number in 0..10 {
            let id = world
                .sale(&stand, &format!("o-{batch}-{number}"), "49.00")
                .await;
            records.push(json!({ "messageId": format!("{batch}-{number}"), "body": json!({ "conversion": id }).to_string() }));
        }
        batches.push(json!({ "Records": records }));
    }
    let conflicts = Arc::new(HalfConflict::default());
    world
        .instance
        .cloud()
        .set_interceptor(Some(conflicts.clone()));
    let commission = tributary_local::functions::all()
        .into_iter()
        .find(|function| function.package == "commission")
        .unwrap();
    let tributary_local::functions::Kind::Triggered(handle) = commission.kind else {
        panic!("commission is triggered")
    };
    let answers: Vec<Value> = join_all(batches.into_iter().map(|event| {
        let (handle, app) = (handle.clone(), world.instance.app().clone());
        async move { handle(app, event).await.unwrap() }
    }))
    .await;
    assert!(conflicts.refused.load(Ordering::SeqCst) >= 32);
    for answer in answers {
        assert_eq!(
            answer["batchItemFailures"],
            json!([]),
            "a conflict is contention, never poison"
        );
    }
    assert_eq!(
        world.balances(&stand.partner).await,
        ["4704.00", "0.00", "0.00", "0.00"]
    );

    // The queue delivers these once more, which changes nothing, and as many that nobody has dealt with.
    let _ = join_all((0..320).map(|number| {
        let (world, stand) = (&world, &stand);
        async move { world.sale(stand, &format!("q-{number}"), "49.00").await }
    }))
    .await;
    let before = conflicts.refused.load(Ordering::SeqCst);
    world.settle().await;
    let refused = conflicts.refused.load(Ordering::SeqCst) - before;
    assert!(refused >= 32, "only {refused} deliveries met a conflict");
    assert_eq!(conflicts.received.load(Ordering::SeqCst), 640);
    assert_eq!(
        conflicts.received_again.load(Ordering::SeqCst),
        0,
        "what met a conflict was done at once, not handed back to the queue"
    );
    assert_eq!(
        world.balances(&stand.partner).await,
        ["9408.00", "0.00", "0.00", "0.00"]
    );
    for queue in world
        .instance
        .cloud()
        .queues()
        .names()
        .into_iter()
        .filter(|name| name.ends_with("-dlq"))
    {
        assert!(
            world
                .instance
                .cloud()
                .queues()
                .peek(&queue, 1)
                .unwrap()
                .is_empty(),
            "{queue}"
        );
    }
}
