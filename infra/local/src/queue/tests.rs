use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// A clock the test moves.
#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

fn clock() -> (Hands, NowMs) {
    let hands = Hands(Arc::new(AtomicI64::new(1_600_000_000_000)));
    let reader = hands.clone();
    (hands, Arc::new(move || reader.0.load(Ordering::SeqCst)))
}

async fn with_queue(attributes: Value) -> (Hands, Queues) {
    let (hands, now) = clock();
    let queues = Queues::open(None, now, None).unwrap();
    create(&queues, "dead", json!({})).await;
    create(&queues, "work", attributes).await;
    (hands, queues)
}

async fn create(queues: &Queues, name: &str, attributes: Value) {
    let request = json!({ "QueueName": name, "Attributes": attributes });
    queues.call("CreateQueue", &request).await.unwrap();
}

async fn send(queues: &Queues, body: &str) -> Value {
    let request = json!({ "QueueUrl": url_of("work"), "MessageBody": body });
    queues.call("SendMessage", &request).await.unwrap()
}

async fn receive(queues: &Queues, queue: &str) -> Vec<Value> {
    let request = json!({
        "QueueUrl": url_of(queue), "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"],
    });
    let answer = queues.call("ReceiveMessage", &request).await.unwrap();
    answer
        .get("Messages")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

async fn delete_one(queues: &Queues, message: &Value) -> Value {
    let request = json!({ "QueueUrl": url_of("work"), "ReceiptHandle": message["ReceiptHandle"] });
    queues.call("DeleteMessage", &request).await.unwrap()
}

async fn refusal(queues: &Queues, operation: &str, request: Value) -> &'static str {
    queues.call(operation, &request).await.unwrap_err().code
}

#[tokio::test]
async fn a_received_message_is_invisible_until_its_timeout_ends() {
    let (hands, queues) = with_queue(json!({ "VisibilityTimeout": "30" })).await;
    send(&queues, "one").await;
    assert_eq!(
        receive(&queues, "work").await[0]["Attributes"]["ApproximateReceiveCount"],
        "1"
    );
    hands.advance(29);
    assert!(receive(&queues, "work").await.is_empty());
    hands.advance(1);
    assert_eq!(
        receive(&queues, "work").await[0]["Attributes"]["ApproximateReceiveCount"],
        "2"
    );
}

#[tokio::test]
async fn a_stale_receipt_handle_deletes_nothing() {
    let (hands, queues) = with_queue(json!({ "VisibilityTimeout": "30" })).await;
    send(&queues, "one").await;
    let first = receive(&queues, "work").await.remove(0);
    hands.advance(31);
    let second = receive(&queues, "work").await.remove(0);
    delete_one(&queues, &first).await;
    assert_eq!(queues.peek("work", 10).unwrap().len(), 1);
    delete_one(&queues, &second).await;
    assert!(queues.peek("work", 10).unwrap().is_empty());
}

#[tokio::test]
async fn a_message_can_be_deleted_after_its_timeout_when_nobody_else_received_it() {
    let (hands, queues) = with_queue(json!({})).await;
    send(&queues, "one").await;
    let message = receive(&queues, "work").await.remove(0);
    hands.advance(3_600);
    delete_one(&queues, &message).await;
    assert!(receive(&queues, "work").await.is_empty());
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
    let policy = json!({ "deadLetterTargetArn": arn_of("dead"), "maxReceiveCount": "2" });
    let (hands, queues) =
        with_queue(json!({ "VisibilityTimeout": "10", "RedrivePolicy": policy.to_string() })).await;
    send(&queues, "poison").await;
    for _ in 0..2 {
        assert_eq!(receive(&queues, "work").await.len(), 1);
        hands.advance(10);
    }
    assert!(receive(&queues, "work").await.is_empty());
    let dead = receive(&queues, "dead").await;
    assert_eq!(dead[0]["Body"], "poison");
    assert_eq!(
        dead[0]["Attributes"]["DeadLetterQueueSourceArn"],
        arn_of("work")
    );
}

#[tokio::test]
async fn dead_letters_go_back_to_where_they_failed_as_new_messages() {
    let policy = json!({ "deadLetterTargetArn": arn_of("dead"), "maxReceiveCount": 1 });
    let (hands, queues) = with_queue(json!({ "RedrivePolicy": policy.to_string() })).await;
    send(&queues, "poison").await;
    receive(&queues, "work").await;
    hands.advance(31);
    assert!(receive(&queues, "work").await.is_empty());
    let request = json!({ "SourceArn": arn_of("dead") });
    queues.call("StartMessageMoveTask", &request).await.unwrap();
    assert!(queues.peek("dead", 10).unwrap().is_empty());
    assert_eq!(
        receive(&queues, "work").await[0]["Attributes"]["ApproximateReceiveCount"],
        "1"
    );
}

#[tokio::test]
async fn a_message_outlives_its_retention_nowhere() {
    let (hands, queues) = with_queue(json!({ "MessageRetentionPeriod": "60" })).await;
    send(&queues, "old").await;
    hands.advance(59);
    assert_eq!(queues.peek("work", 10).unwrap().len(), 1);
    hands.advance(1);
    assert!(receive(&queues, "work").await.is_empty());
    assert!(queues.peek("work", 10).unwrap().is_empty());
}

#[tokio::test]
async fn a_delayed_message_comes_when_its_delay_is_over() {
    let (hands, queues) = with_queue(json!({})).await;
    let request =
        json!({ "QueueUrl": url_of("work"), "MessageBody": "later", "DelaySeconds": 900 });
    queues.call("SendMessage", &request).await.unwrap();
    assert!(receive(&queues, "work").await.is_empty());
    hands.advance(900);
    assert_eq!(receive(&queues, "work").await.len(), 1);
}

#[tokio::test]
async fn a_batch_reports_each_entry_by_itself() {
    let (_, queues) = with_queue(json!({ "MaximumMessageSize": "1024" })).await;
    let request = json!({ "QueueUrl": url_of("work"), "Entries": [
        { "Id": "good", "MessageBody": "fits" },
        { "Id": "large", "MessageBody": "x".repeat(1025) },
        { "Id": "control", "MessageBody": "\u{1}" },
    ]});
    let answer = queues.call("SendMessageBatch", &request).await.unwrap();
    assert_eq!(answer["Successful"][0]["Id"], "good");
    assert_eq!(
        answer["Successful"][0]["MD5OfMessageBody"],
        digest::body("fits")
    );
    assert_eq!(answer["Failed"][0]["Id"], "large");
    assert_eq!(answer["Failed"][1]["Code"], "InvalidMessageContents");
    assert_eq!(queues.peek("work", 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_deletes_what_it_can() {
    let (_, queues) = with_queue(json!({})).await;
    send(&queues, "one").await;
    let message = receive(&queues, "work").await.remove(0);
    let request = json!({ "QueueUrl": url_of("work"), "Entries": [
        { "Id": "a", "ReceiptHandle": message["ReceiptHandle"] },
        { "Id": "b", "ReceiptHandle": "nonsense" },
    ]});
    let answer = queues.call("DeleteMessageBatch", &request).await.unwrap();
    assert_eq!(answer["Successful"], json!([{ "Id": "a" }]));
    assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
}

#[tokio::test]
async fn malformed_batches_are_refused_whole() {
    let (_, queues) = with_queue(json!({})).await;
    let batch = |entries: Vec<Value>| json!({ "QueueUrl": url_of("work"), "Entries": entries });
    let entry = |id: &str| json!({ "Id": id, "MessageBody": "x" });
    let of = async |entries| refusal(&queues, "SendMessageBatch", batch(entries)).await;
    assert_eq!(of(vec![]).await, "AWS.SimpleQueueService.EmptyBatchRequest");
    let eleven = (0..11).map(|i| entry(&i.to_string())).collect();
    assert_eq!(
        of(eleven).await,
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
    );
    let twice = vec![entry("a"), entry("a")];
    assert_eq!(
        of(twice).await,
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"
    );
    assert_eq!(
        of(vec![entry("a b")]).await,
        "AWS.SimpleQueueService.InvalidBatchEntryId"
    );
    let large = |id: &str| json!({ "Id": id, "MessageBody": "x".repeat(600_000) });
    let heavy = vec![large("a"), large("b")];
    assert_eq!(
        of(heavy).await,
        "AWS.SimpleQueueService.BatchRequestTooLong"
    );
    assert!(queues.peek("work", 10).unwrap().is_empty());
}

#[tokio::test]
async fn visibility_can_be_shortened_and_prolonged_only_in_flight() {
    let (_, queues) = with_queue(json!({})).await;
    send(&queues, "one").await;
    let message = receive(&queues, "work").await.remove(0);
    let change = |seconds: i64| {
        json!({
            "QueueUrl": url_of("work"), "ReceiptHandle": message["ReceiptHandle"],
            "VisibilityTimeout": seconds,
        })
    };
    queues
        .call("ChangeMessageVisibility", &change(100))
        .await
        .unwrap();
    assert!(receive(&queues, "work").await.is_empty());
    queues
        .call("ChangeMessageVisibility", &change(0))
        .await
        .unwrap();
    let refused = refusal(&queues, "ChangeMessageVisibility", change(10)).await;
    assert_eq!(refused, "AWS.SimpleQueueService.MessageNotInflight");
    assert_eq!(receive(&queues, "work").await.len(), 1);
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_is_sent() {
    tokio::time::pause();
    let (_, queues) = with_queue(json!({ "ReceiveMessageWaitTimeSeconds": "20" })).await;
    let started = Instant::now();
    let waiting = {
        let queues = queues.clone();
        tokio::spawn(async move { receive(&queues, "work").await })
    };
    tokio::task::yield_now().await;
    send(&queues, "now").await;
    assert_eq!(waiting.await.unwrap()[0]["Body"], "now");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_long_poll_gives_up_after_its_wait() {
    tokio::time::pause();
    let (_, queues) = with_queue(json!({ "ReceiveMessageWaitTimeSeconds": "20" })).await;
    let started = Instant::now();
    assert!(receive(&queues, "work").await.is_empty());
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn messages_and_settings_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sqs.sqlite");
    let (hands, now) = clock();
    let first = Queues::open(Some(&path), now.clone(), None).unwrap();
    create(&first, "work", json!({ "VisibilityTimeout": "7" })).await;
    let sent = send(&first, "kept").await;
    receive(&first, "work").await;
    drop(first);
    let second = Queues::open(Some(&path), now, None).unwrap();
    assert!(receive(&second, "work").await.is_empty());
    hands.advance(7);
    let again = receive(&second, "work").await.remove(0);
    assert_eq!(again["MessageId"], sent["MessageId"]);
    assert_eq!(again["Attributes"]["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn a_seed_decides_ids_and_order() {
    let run = async |seed| {
        let (_, now) = clock();
        let queues = Queues::open(None, now, Some(seed)).unwrap();
        create(&queues, "work", json!({})).await;
        for n in 0..30 {
            send(&queues, &n.to_string()).await;
        }
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.extend(receive(&queues, "work").await);
        }
        assert_eq!(seen.len(), 30);
        Value::from(seen).to_string()
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}

#[tokio::test]
async fn creating_again_is_harmless_with_the_same_settings_only() {
    let (_, queues) = with_queue(json!({ "VisibilityTimeout": "5" })).await;
    create(&queues, "work", json!({ "VisibilityTimeout": "5" })).await;
    let other = json!({ "QueueName": "work", "Attributes": { "VisibilityTimeout": "6" } });
    assert_eq!(
        refusal(&queues, "CreateQueue", other).await,
        "QueueAlreadyExists"
    );
}

#[tokio::test]
async fn settings_outside_their_limits_are_refused() {
    let (_, queues) = with_queue(json!({})).await;
    let of = async |name: &str, value: &str| {
        let mut attributes = Map::new();
        attributes.insert(name.to_owned(), value.into());
        let request = json!({ "QueueName": "other", "Attributes": attributes });
        refusal(&queues, "CreateQueue", request).await
    };
    assert_eq!(
        of("VisibilityTimeout", "43201").await,
        "InvalidAttributeValue"
    );
    assert_eq!(
        of("MaximumMessageSize", "1048577").await,
        "InvalidAttributeValue"
    );
    assert_eq!(of("RedrivePolicy", "{}").await, "InvalidAttributeValue");
    assert_eq!(of("Speed", "9").await, "InvalidAttributeName");
    let missing = json!({ "QueueUrl": url_of("nowhere"), "MessageBody": "x" });
    let refused = refusal(&queues, "SendMessage", missing).await;
    assert_eq!(refused, "AWS.SimpleQueueService.NonExistentQueue");
}

#[tokio::test]
async fn counts_tell_visible_from_in_flight_from_delayed() {
    let (_, queues) = with_queue(json!({})).await;
    send(&queues, "a").await;
    receive(&queues, "work").await;
    send(&queues, "b").await;
    let delayed = json!({ "QueueUrl": url_of("work"), "MessageBody": "c", "DelaySeconds": 5 });
    queues.call("SendMessage", &delayed).await.unwrap();
    let request = json!({ "QueueUrl": url_of("work"), "AttributeNames": ["All"] });
    let answer = queues.call("GetQueueAttributes", &request).await.unwrap();
    let count = |name: &str| answer["Attributes"][name].as_str().unwrap().to_owned();
    assert_eq!(count("ApproximateNumberOfMessages"), "1");
    assert_eq!(count("ApproximateNumberOfMessagesNotVisible"), "1");
    assert_eq!(count("ApproximateNumberOfMessagesDelayed"), "1");
}
