use std::sync::atomic::{AtomicI64, Ordering};

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use super::*;
use crate::cloud::{Cloud, Options};

const MAIN: &str = "tributary-main";

const APP: &str = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  MainTableStreamArn: { Type: String }
  CommissionsQueueArn: { Type: String }
  TriggerDeadLettersArn: { Type: String }
  Retries: { Type: Number, Default: 3 }
  BatchSize: { Type: Number, Default: 4 }
Resources:
  Relay:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: t-relay, CodeUri: ../target/lambda/relay/, Timeout: 30 }
  Commission:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: t-commission, CodeUri: ../target/lambda/commission/, Timeout: 30 }
  Clockwork:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: t-clockwork, CodeUri: ../target/lambda/clockwork/, Timeout: 60 }
  ClockworkFailures:
    Type: AWS::Lambda::EventInvokeConfig
    Properties:
      FunctionName: !Ref Clockwork
      Qualifier: $LATEST
      MaximumRetryAttempts: 1
      DestinationConfig: { OnFailure: { Destination: !Ref TriggerDeadLettersArn } }
  RelayStream:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref Relay
      EventSourceArn: !Ref MainTableStreamArn
      StartingPosition: TRIM_HORIZON
      BatchSize: !Ref BatchSize
      MaximumRetryAttempts: !Ref Retries
      BisectBatchOnFunctionError: true
      FunctionResponseTypes: [ReportBatchItemFailures]
      DestinationConfig: { OnFailure: { Destination: !Ref TriggerDeadLettersArn } }
      FilterCriteria:
        Filters:
          - Pattern: '{"eventName":["INSERT","MODIFY"],"dynamodb":{"Keys":{"sk":{"S":["FACTS"]}}}}'
  CommissionQueue:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !GetAtt Commission.Arn
      EventSourceArn: !Ref CommissionsQueueArn
      BatchSize: 10
      ScalingConfig: { MaximumConcurrency: 8 }
      FunctionResponseTypes: [ReportBatchItemFailures]
  EveryMinute:
    Type: AWS::Events::Rule
    Properties:
      Name: t-clockwork
      ScheduleExpression: rate(1 minute)
      Targets: [{ Id: clockwork, Arn: !GetAtt Clockwork.Arn }]
"#;

type Answer = Result<Value, InvokeError>;
type Play = dyn Fn(&str, &Value) -> Answer + Send + Sync;

/// Functions played by a closure, which also keeps what they were given.
struct Stage {
    calls: Mutex<Vec<(String, Value)>>,
    answer: Box<Play>,
}

impl Invoke for Stage {
    fn invoke<'a>(&'a self, function: &'a str, payload: Value) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let call = (function.to_owned(), payload.clone());
            self.calls.lock().unwrap().push(call);
            (self.answer)(function, &payload)
        })
    }
}

impl Stage {
    /// For every invocation of `function`, the keys of the records, or the bodies of the messages.
    fn batches(&self, function: &str) -> Vec<Vec<String>> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(name, _)| name == function)
            .map(|(_, payload)| {
                payload["Records"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(name_of)
                    .collect()
            })
            .collect()
    }
}

fn name_of(record: &Value) -> String {
    let key = record
        .pointer("/dynamodb/Keys/pk/S")
        .unwrap_or(&record["body"]);
    key.as_str().unwrap_or_default().to_owned()
}

struct World {
    cloud: Cloud,
    driver: Driver,
    stage: Arc<Stage>,
    hands: Arc<AtomicI64>,
}

impl World {
    async fn new(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let hands = Arc::new(AtomicI64::new(1_700_000_000_000));
        let reader = hands.clone();
        let now: NowMs = Arc::new(move || reader.load(Ordering::SeqCst));
        let app_template = APP.to_owned();
        let options = Options {
            now,
            app_template,
            ..Options::in_memory()
        };
        let cloud = Cloud::open(options).await.unwrap();
        Self::over(cloud, hands, answer)
    }

    fn over(
        cloud: Cloud,
        hands: Arc<AtomicI64>,
        answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let stage = Arc::new(Stage {
            calls: Mutex::default(),
            answer: Box::new(answer),
        });
        let plan = cloud.plan().unwrap();
        let driver = Driver::new(plan, Ports::embedded(&cloud, stage.clone())).unwrap();
        Self {
            cloud,
            driver,
            stage,
            hands,
        }
    }

    async fn put(&self, pk: &str, sk: &str) {
        let put = self.cloud.dynamodb().put_item().table_name(MAIN);
        put.item("pk", AttributeValue::S(pk.to_owned()))
            .item("sk", AttributeValue::S(sk.to_owned()))
            .send()
            .await
            .unwrap();
    }

    async fn put_facts(&self, names: &[&str]) {
        for name in names {
            self.put(name, "FACTS").await;
        }
    }

    async fn send(&self, body: &str) {
        let url = self.cloud.output("CommissionsQueueUrl");
        self.cloud
            .sqs()
            .send_message()
            .queue_url(url)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }

    fn advance(&self, seconds: i64) {
        self.hands.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.cloud.clock_moved();
    }

    fn left_in(&self, queue: &str) -> Vec<Value> {
        let left = self.cloud.queues().peek(queue, 100).unwrap();
        left.into_iter()
            .map(|message| serde_json::from_str(&message.body).unwrap_or(message.body.into()))
            .collect()
    }
}

fn broken() -> Answer {
    Err(InvokeError::Function {
        kind: "Unhandled".to_owned(),
        message: "broken".to_owned(),
    })
}

fn failing(ids: &[&Value]) -> Answer {
    let failures: Vec<_> = ids
        .iter()
        .map(|id| json!({ "itemIdentifier": id }))
        .collect();
    Ok(json!({ "batchItemFailures": failures }))
}

fn records(payload: &Value) -> &[Value] {
    payload["Records"].as_array().map_or(&[], Vec::as_slice)
}

#[tokio::test]
async fn stream_records_come_in_order_in_batches_through_the_filter() {
    let world = World::new(|_, _| Ok(Value::Null)).await;
    world.put_facts(&["a", "b", "c"]).await;
    world.put("a", "SECRET").await;
    world.put_facts(&["d", "e"]).await;
    let drained = world.driver.drain().await.unwrap();
    assert_eq!(
        drained,
        Drained {
            batches: 2,
            records: 5
        }
    );
    let batches = world.stage.batches("relay");
    assert_eq!(batches, [vec!["a", "b", "c", "d"], vec!["e"]]);
    assert_eq!(world.driver.drain().await.unwrap(), Drained::default());
}

#[tokio::test]
async fn a_stream_event_is_what_lambda_sends() {
    let world = World::new(|_, _| Ok(Value::Null)).await;
    world.put_facts(&["a"]).await;
    world.driver.drain().await.unwrap();
    let payload = world.stage.calls.lock().unwrap()[0].1.clone();
    let event: StreamEvent = serde_json::from_value(payload.clone()).unwrap();
    let record = &event.records[0];
    assert_eq!(record.event_name, "INSERT");
    assert_eq!(
        record.event_source_arn.as_deref(),
        Some(&*world.cloud.output("MainTableStreamArn"))
    );
    assert_eq!(
        record.change.approximate_creation_date_time.timestamp(),
        1_700_000_000
    );
    assert!(record.change.sequence_number.as_deref().unwrap().len() >= 21);
    let image = &payload["Records"][0]["dynamodb"]["NewImage"];
    assert_eq!(
        image,
        &json!({ "pk": { "S": "a" }, "sk": { "S": "FACTS" } })
    );
}

#[tokio::test]
async fn a_broken_record_is_isolated_reported_and_passed() {
    let world = World::new(|_, payload| {
        if records(payload)
            .iter()
            .any(|record| name_of(record) == "bad")
        {
            return broken();
        }
        Ok(Value::Null)
    })
    .await;
    world.put_facts(&["a", "bad", "c", "d", "e"]).await;
    world.driver.drain().await.unwrap();
    let batches = world.stage.batches("relay");
    let expected: &[&[&str]] = &[
        &["a", "bad", "c", "d"],
        &["a", "bad"],
        &["a"],
        &["bad"],
        &["bad"],
        &["bad"],
        &["bad"],
        &["c", "d"],
        &["e"],
    ];
    assert_eq!(batches, expected);
    let dead = world.left_in("tributary-triggers-dlq");
    assert_eq!(dead.len(), 1);
    assert_eq!(
        dead[0]["requestContext"]["condition"],
        "RetryAttemptsExhausted"
    );
    assert_eq!(dead[0]["requestContext"]["approximateInvokeCount"], 4);
    let info = &dead[0]["DDBStreamBatchInfo"];
    assert_eq!(info["batchSize"], 1);
    assert_eq!(info["startSequenceNumber"], info["endSequenceNumber"]);
    assert_eq!(
        info["approximateArrivalOfFirstRecord"],
        "2023-11-14T22:13:20Z"
    );
    assert_eq!(info["streamArn"], world.cloud.output("MainTableStreamArn"));
}

#[tokio::test]
async fn a_stream_is_repeated_from_the_first_record_that_failed() {
    let failed_once = Mutex::new(false);
    let world = World::new(move |_, payload| {
        let mut failed_once = failed_once.lock().unwrap();
        if std::mem::replace(&mut *failed_once, true) {
            return Ok(json!({ "batchItemFailures": [] }));
        }
        let sequence = |at: usize| &records(payload)[at]["dynamodb"]["SequenceNumber"];
        failing(&[sequence(3), sequence(1)])
    })
    .await;
    world.put_facts(&["a", "b", "c", "d"]).await;
    world.driver.drain().await.unwrap();
    assert_eq!(
        world.stage.batches("relay"),
        [vec!["a", "b", "c", "d"], vec!["b", "c", "d"]]
    );
}

#[tokio::test]
async fn an_unknown_sequence_number_fails_the_whole_stream_batch() {
    let asked = Mutex::new(0);
    let world = World::new(move |_, _| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        if *asked == 1 {
            failing(&[&json!("1234")])
        } else {
            Ok(Value::Null)
        }
    })
    .await;
    world.put_facts(&["a", "b"]).await;
    world.driver.drain().await.unwrap();
    assert_eq!(
        world.stage.batches("relay"),
        [vec!["a", "b"], vec!["a"], vec!["b"]]
    );
}

#[tokio::test]
async fn a_restart_continues_behind_the_last_batch_dealt_with() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || {
        let app_template = APP.to_owned();
        let options = Options {
            app_template,
            ..Options::at(folder.path())
        };
        let cloud = Cloud::open(options).await.unwrap();
        World::over(cloud, Arc::default(), |_, payload| {
            let stop = records(payload)
                .iter()
                .any(|record| name_of(record) == "stop");
            if stop {
                Err(InvokeError::Unreachable("down".to_owned()))
            } else {
                Ok(Value::Null)
            }
        })
    };
    let first = open().await;
    first.put_facts(&["a", "b", "c", "d", "e"]).await;
    first.driver.drain().await.unwrap();
    assert_eq!(first.cloud.trim_consumed(&first.driver).await.unwrap(), 4);
    first.put_facts(&["f", "stop"]).await;
    let error = first.driver.drain().await.unwrap_err();
    assert!(matches!(error, DriverError::Endless { .. }), "{error}");
    drop(first);
    let second = open().await;
    assert!(second.driver.drain().await.is_err());
    assert_eq!(second.stage.batches("relay")[0], ["f", "stop"]);
}

#[tokio::test]
async fn a_trimmed_stream_goes_on_with_what_is_left() {
    let world = World::new(|_, _| Ok(Value::Null)).await;
    world.put_facts(&["a"]).await;
    world.driver.drain().await.unwrap();
    world.put_facts(&["lost"]).await;
    world.cloud.trim_all_streams().unwrap();
    world.put_facts(&["b"]).await;
    world.driver.drain().await.unwrap();
    assert_eq!(world.stage.batches("relay"), [["a"], ["b"]]);
}

#[tokio::test]
async fn a_queue_event_is_what_lambda_sends_and_is_deleted_afterwards() {
    let world = World::new(|_, _| Ok(Value::Null)).await;
    world.send("one").await;
    world.driver.drain().await.unwrap();
    let payload = world.stage.calls.lock().unwrap()[0].1.clone();
    let event: SqsEvent = serde_json::from_value(payload).unwrap();
    let message = &event.records[0];
    assert_eq!(message.body.as_deref(), Some("one"));
    assert_eq!(message.attributes["ApproximateReceiveCount"], "1");
    assert_eq!(message.attributes["SentTimestamp"], "1700000000000");
    assert_eq!(
        message.event_source_arn.as_deref(),
        Some(&*world.cloud.output("CommissionsQueueArn"))
    );
    assert!(world.left_in("tributary-commissions").is_empty());
}

#[tokio::test]
async fn only_failed_messages_come_again() {
    let world = World::new(|_, payload| {
        let failed: Vec<_> = records(payload)
            .iter()
            .filter(|record| {
                record["body"] == "bad" && record["attributes"]["ApproximateReceiveCount"] == "1"
            })
            .map(|record| &record["messageId"])
            .collect();
        failing(&failed)
    })
    .await;
    for body in ["good", "bad", "fine"] {
        world.send(body).await;
    }
    world.driver.drain().await.unwrap();
    assert_eq!(world.left_in("tributary-commissions"), ["bad"]);
    world.advance(180);
    world.driver.drain().await.unwrap();
    assert_eq!(
        world.stage.batches("commission"),
        [vec!["good", "bad", "fine"], vec!["bad"]]
    );
    assert!(world.left_in("tributary-commissions").is_empty());
}

#[tokio::test]
async fn an_unknown_or_empty_identifier_fails_the_whole_queue_batch() {
    for id in ["unknown", ""] {
        let world = World::new(move |_, _| failing(&[&json!(id)])).await;
        world.send("one").await;
        world.send("two").await;
        world.driver.drain().await.unwrap();
        assert_eq!(world.left_in("tributary-commissions"), ["one", "two"]);
    }
}

#[tokio::test]
async fn a_poison_message_ends_in_the_dead_letter_queue() {
    let world = World::new(|_, _| panic!("a bug")).await;
    world.send("poison").await;
    for _ in 0..13 {
        world.driver.drain().await.unwrap();
        world.advance(180);
    }
    assert_eq!(world.stage.batches("commission").len(), 12);
    assert!(world.left_in("tributary-commissions").is_empty());
    assert_eq!(world.left_in("tributary-commissions-dlq"), ["poison"]);
}

#[tokio::test]
async fn what_functions_write_and_send_is_delivered_in_the_same_drain() {
    let queues: Arc<Mutex<Option<Queues>>> = Arc::default();
    let held = queues.clone();
    let world = World::new(move |function, payload| {
        if function == "relay" {
            let queues = held.lock().unwrap().clone().unwrap();
            for record in records(payload) {
                let request = json!({
                    "QueueUrl": crate::queue::url_of("tributary-commissions"),
                    "MessageBody": name_of(record),
                });
                queues
                    .call("SendMessage", &request)
                    .now_or_never()
                    .unwrap()
                    .unwrap();
            }
        }
        Ok(Value::Null)
    })
    .await;
    *queues.lock().unwrap() = Some(world.cloud.queues().clone());
    world.put_facts(&["a", "b"]).await;
    world.driver.drain().await.unwrap();
    assert_eq!(world.stage.batches("commission"), [["a", "b"]]);
}

#[tokio::test]
async fn schedules_fire_by_the_clock_and_once_for_a_leap() {
    let world = World::new(|_, _| Ok(Value::Null)).await;
    assert_eq!(world.driver.tick().await, 0);
    world.advance(60);
    assert_eq!(world.driver.tick().await, 1);
    assert_eq!(world.driver.tick().await, 0);
    world.advance(30 * 24 * 3600);
    assert_eq!(world.driver.tick().await, 1);
    let calls = world.stage.calls.lock().unwrap();
    let event: EventBridgeEvent = serde_json::from_value(calls[1].1.clone()).unwrap();
    assert_eq!(event.detail_type, "Scheduled Event");
    assert_eq!(calls[1].1["time"], "2023-12-14T22:14:00Z");
}

#[tokio::test]
async fn a_scheduled_event_that_fails_is_repeated_and_kept() {
    let world = World::new(|_, _| broken()).await;
    world.advance(60);
    world.driver.tick().await;
    assert_eq!(world.stage.calls.lock().unwrap().len(), 2);
    let kept = world.left_in("tributary-triggers-dlq");
    assert_eq!(kept[0]["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(kept[0]["requestPayload"]["detail-type"], "Scheduled Event");
}

#[tokio::test]
async fn running_delivers_in_the_background_and_ends_cleanly() {
    let world = World::new(|_, _| Ok(Value::Null)).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let driver = world.driver.clone();
    let running = tokio::spawn(async move { driver.run(async { _ = stopped.await }).await });
    let settled = async |count: usize| {
        while world.stage.calls.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    };
    world.put_facts(&["a"]).await;
    settled(1).await;
    world.send("one").await;
    settled(2).await;
    world.advance(60);
    settled(3).await;
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(world.stage.batches("relay"), [["a"]]);
    assert_eq!(world.stage.batches("commission"), [["one"]]);
    assert!(world.left_in("tributary-commissions").is_empty());
}
