//! Many writers of one account.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_local::connector::{AwsError, Call, Intercept, Verdict};
use tributary_tests::World;

/// Refuses every second attempt at a transaction as DynamoDB does when another one holds an item.
#[derive(Default)]
struct HalfConflict {
    seen: AtomicU64,
    refused: AtomicU64,
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
    world.instance.cloud().set_interceptor(None);
    // The stream's own deliveries come on top and change nothing.
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["4704.00", "0.00", "0.00", "0.00"]
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
