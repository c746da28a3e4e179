//! The ledger and what keeps it whole: settling, releasing, finding lost work, stating accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_local::connector::{Call, Intercept, Verdict};
use tributary_local::functions::{Kind, all};
use tributary_tests::World;

/// Invokes a triggered function with an event.
async fn invoke(world: &World, package: &str, event: Value) -> Value {
    let function = all()
        .into_iter()
        .find(|function| function.package == package)
        .unwrap();
    let Kind::Triggered(handle) = function.kind else {
        panic!("{package} is not triggered")
    };
    handle(world.instance.app().clone(), event).await.unwrap()
}

/// Loses that many messages on their way, and all stream records.
async fn lose_transport(world: &World, messages: usize) {
    world.fill_queues().await;
    assert_eq!(world.waiting_messages(), messages);
    world.lose_transport().await;
}

async fn minutes_pass(world: &World, minutes: i64) -> Value {
    let to = world.now() + jiff::SignedDuration::from_mins(minutes);
    world.instance.app().clock.set(to);
    world.instance.cloud().clock_moved();
    world.clockwork().await
}

#[tokio::test]
async fn a_message_that_names_no_conversion_fails_alone() {
    let world = World::start().await;
    let stand = world.stand().await;
    let sale = world.sale(&stand, "o-1", "49.00").await;
    let event = json!({ "Records": [
        { "messageId": "broken", "body": "{\"conversion\": 7}" },
        { "messageId": "good", "body": json!({ "conversion": sale }).to_string() },
        { "messageId": "again", "body": json!({ "conversion": sale }).to_string() },
        { "messageId": "unknown", "body": json!({ "conversion": "cnv_00000000000000000000000000" }).to_string() },
    ] });
    let answer = invoke(&world, "commission", event).await;
    assert_eq!(
        answer["batchItemFailures"],
        json!([{ "itemIdentifier": "broken" }])
    );
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
}

/// Takes no message.
struct QueueDown;

impl Intercept for QueueDown {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation == "SendMessageBatch" {
            Verdict::FailBefore
        } else {
            Verdict::Pass
        }
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_could_not_be_relayed_come_again_and_unforeseen_ones_are_passed_over() {
    let world = World::start().await;
    let record = |number: u32, event: &str, keys: Value| {
        json!({
            "awsRegion": "local", "eventID": number.to_string(), "eventName": event,
            "dynamodb": { "Keys": keys, "SequenceNumber": number.to_string(), "SizeBytes": 1, "ApproximateCreationDateTime": 0.0 },
        })
    };
    let key = |pk: &str, sk: &str| json!({ "pk": { "S": pk }, "sk": { "S": sk } });
    let conversion = "CONV#cnv_00000000000000000000000001";
    let event = json!({ "Records": [
        record(1, "INSERT", key("CONV#nonsense", "FACTS")),
        record(2, "INSERT", json!({})),
        record(3, "INSERT", key(conversion, "SOMETHING")),
        record(4, "REMOVE", key(conversion, "FACTS")),
        record(5, "INSERT", key(conversion, "FACTS")),
        record(6, "MODIFY", key(conversion, "CHANGES")),
        record(7, "INSERT", key("PAYOUT#po_00000000000000000000000002", "PAYOUT")),
    ] });
    let cloud = world.instance.cloud();
    cloud.set_interceptor(Some(Arc::new(QueueDown)));
    let answer = invoke(&world, "relay", event.clone()).await;
    assert_eq!(
        answer["batchItemFailures"],
        json!([{ "itemIdentifier": "5" }])
    );
    cloud.set_interceptor(None);
    let answer = invoke(&world, "relay", event).await;
    assert_eq!(answer["batchItemFailures"], json!([]));
    let bodies = |queue: &str| {
        let name = cloud
            .queues()
            .names()
            .into_iter()
            .find(|name| name.ends_with(queue))
            .unwrap();
        cloud
            .queues()
            .peek(&name, 10)
            .unwrap()
            .into_iter()
            .map(|message| message.body)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        bodies("commissions"),
        ["{\"conversion\":\"cnv_00000000000000000000000001\"}"],
        "each job once"
    );
    assert_eq!(
        bodies("payouts"),
        ["{\"payout\":\"po_00000000000000000000000002\"}"]
    );
}

/// Loses every second answer to a transaction, after it was committed.
#[derive(Default)]
struct LostAnswers(AtomicU64);

impl Intercept for LostAnswers {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation == "TransactWriteItems"
            && self.0.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
        {
            Verdict::DropResponse
        } else {
            Verdict::Pass
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_post_nothing_twice() {
    let world = World::start().await;
    let stand = world.stand().await;
    let lost = Arc::new(LostAnswers::default());
    world.instance.cloud().set_interceptor(Some(lost.clone()));
    let sales = join_all((0..60).map(|number| {
        let (world, stand) = (&world, &stand);
        async move { world.sale(stand, &format!("o-{number}"), "49.00").await }
    }))
    .await;
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["882.00", "0.00", "0.00", "0.00"]
    );
    world.advance_days(30).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "882.00", "0.00", "0.00"]
    );
    let body = json!({ "reversal_id": "r-1", "reason": "returned goods" });
    assert!(
        world
            .post(&format!("/v1/conversions/{}/reversals", sales[0]), body)
            .await
            .status
            .is_success()
    );
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "867.30", "0.00", "0.00"]
    );
    assert!(lost.0.load(Ordering::SeqCst) > 10);
    world.instance.cloud().set_interceptor(None);
    let path = format!(
        "/v1/partners/{}/statement?from=2026-01-01T00:00:00Z",
        stand.partner
    );
    let statement = world.get(&path).await.expect(200);
    assert_eq!(statement.str("/items/0/opening/payable"), "0.00");
    assert_eq!(statement.str("/items/0/closing/payable"), "867.30");
}

#[tokio::test]
async fn what_has_waited_is_queued_again_and_counted_and_what_is_done_is_not_looked_at_for_ever() {
    let world = World::start().await;
    let stand = world.stand().await;
    let lost = world.sale(&stand, "o-lost", "49.00").await;
    let body = json!({ "transaction_id": "o-pending", "coupon": stand.coupon, "amount": "10.00", "status": "pending" });
    let pending = world
        .postback(&stand, body)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    lose_transport(&world, 2).await;

    let early = minutes_pass(&world, 1).await;
    assert_eq!(
        (
            &early["reconciled"]["requeued"],
            &early["reconciled"]["overdue"]
        ),
        (&json!(1), &json!(0))
    );
    lose_transport(&world, 1).await;
    let late = minutes_pass(&world, 20).await;
    assert_eq!(
        (
            &late["reconciled"]["requeued"],
            &late["reconciled"]["overdue"]
        ),
        (&json!(1), &json!(1))
    );
    world.settle().await;
    assert_eq!(world.state(&lost).await, "held");
    assert_eq!(
        world.state(&pending).await,
        "waiting",
        "what is pending lacks nothing"
    );

    // The watermark stood at the oldest that was unreconciled; one pass later it has moved on.
    let _ = minutes_pass(&world, 20).await;
    let after = minutes_pass(&world, 20).await;
    assert_eq!(
        (
            &after["reconciled"]["checked"],
            &after["reconciled"]["requeued"]
        ),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn a_lost_reversal_is_found_by_its_change() {
    let world = World::start().await;
    let stand = world.stand().await;
    let sale = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    let _ = minutes_pass(&world, 60).await;
    let body = json!({ "reversal_id": "r-1", "reason": "returned goods" });
    assert!(
        world
            .post(&format!("/v1/conversions/{sale}/reversals"), body)
            .await
            .status
            .is_success()
    );
    lose_transport(&world, 1).await;
    let _ = minutes_pass(&world, 1).await;
    world.settle().await;
    assert_eq!(world.state(&sale).await, "reversed");
    assert_eq!(world.balances(&stand.partner).await[0], "0.00");
}

#[tokio::test]
async fn the_ledger_is_listed_newest_first_across_months() {
    let world = World::start().await;
    let stand = world.stand().await;
    for number in 0..4 {
        let _ = world.sale(&stand, &format!("o-{number}"), "49.00").await;
        world.settle().await;
        world.advance_days(20).await;
    }
    let path = format!("/v1/partners/{}/ledger?limit=200", stand.partner);
    let whole = world.get(&path).await.expect(200);
    assert!(whole.body["next_cursor"].is_null());
    let times: Vec<&str> = whole
        .items()
        .iter()
        .map(|line| line["at"].as_str().unwrap())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "{times:?}");
    assert_eq!(
        whole
            .items()
            .iter()
            .filter(|line| line["kind"] == "commission")
            .count(),
        4
    );

    // Pages that end within a month, with it and beyond it.
    for limit in [1, 2, 3, whole.items().len()] {
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!(
                "/v1/partners/{}/ledger?limit={limit}{cursor}",
                stand.partner
            );
            let page = world.get(&path).await.expect(200);
            assert!(page.items().len() <= limit);
            paged.extend(page.items().to_vec());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, whole.items(), "{limit}");
    }
}

#[tokio::test]
async fn a_statement_goes_on_where_the_one_before_ended() {
    let world = World::start().await;
    let stand = world.stand().await;
    for number in 0..5 {
        let _ = world.sale(&stand, &format!("o-{number}"), "49.00").await;
        world.settle().await;
        world.advance_days(12).await;
    }
    let statement = async |from: &str, to: &str| {
        let path = format!(
            "/v1/partners/{}/statement?from={from}&to={to}",
            stand.partner
        );
        world.get(&path).await.expect(200).body["items"][0].clone()
    };
    let march = statement("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z").await;
    let april = statement("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z").await;
    let later = statement("2026-05-01T00:00:00Z", "2027-01-01T00:00:00Z").await;
    assert_eq!(march["opening"]["pending"], "0.00");
    assert_eq!(march["closing"], april["opening"]);
    assert_eq!(april["closing"], later["opening"]);
    assert_eq!(
        later["closing"]["payable"],
        world.balances(&stand.partner).await[1]
    );
    // One that ends now has what happens at this moment, so that it closes on the balances.
    let _ = world.sale(&stand, "o-now", "49.00").await;
    world.settle().await;
    let until_now = statement("2026-05-01T00:00:00Z", &world.now().to_string()).await;
    assert_eq!(until_now["opening"], later["opening"]);
    let closing = ["pending", "payable"].map(|bucket| until_now["closing"][bucket].clone());
    assert_eq!(closing, world.balances(&stand.partner).await[..2]);

    let path = format!("/v1/partners/{}/statement", stand.partner);
    let _ = world
        .get(&format!("{path}?from=march"))
        .await
        .problem(422, "time_malformed");
    let _ = world
        .get(&format!(
            "{path}?from=2026-04-01T00:00:00Z&to=2026-03-01T00:00:00Z"
        ))
        .await
        .problem(422, "out_of_range");
    let nobody = world
        .get("/v1/partners/ptr_00000000000000000000000000/balances")
        .await;
    let _ = nobody.problem(404, "not_found");
}
