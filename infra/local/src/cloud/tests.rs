use std::sync::atomic::{AtomicI64, AtomicUsize};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use aws_sdk_dynamodbstreams::types::ShardIteratorType;

use super::*;
use crate::capacity::{self, Consumed};
use crate::connector::{AwsError, Call, Delivery, Service, Verdict};

const MAIN: &str = "tributary-main";

fn clock_at(ms: i64) -> (Arc<AtomicI64>, NowMs) {
    let hands = Arc::new(AtomicI64::new(ms));
    let reader = hands.clone();
    (hands, Arc::new(move || reader.load(Ordering::SeqCst)))
}

async fn in_memory() -> Cloud {
    Cloud::open(Options::in_memory()).await.unwrap()
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

async fn put(cloud: &Cloud, pk: &str) {
    cloud
        .dynamodb()
        .put_item()
        .table_name(MAIN)
        .item("pk", text(pk))
        .item("sk", text("A"))
        .send()
        .await
        .unwrap();
}

async fn count_of(cloud: &Cloud, pk: &str) -> usize {
    let answer = cloud
        .dynamodb()
        .query()
        .table_name(MAIN)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", text(pk))
        .send()
        .await
        .unwrap();
    answer.items().len()
}

fn put_once(pk: &str) -> TransactWriteItem {
    let put = Put::builder()
        .table_name(MAIN)
        .item("pk", text(pk))
        .item("sk", text("A"))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap();
    TransactWriteItem::builder().put(put).build()
}

fn add_one(pk: &str) -> TransactWriteItem {
    let update = Update::builder()
        .table_name(MAIN)
        .key("pk", text(pk))
        .key("sk", text("SUM"))
        .update_expression("ADD points :one")
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .build()
        .unwrap();
    TransactWriteItem::builder().update(update).build()
}

async fn total_of(cloud: &Cloud, pk: &str) -> String {
    let answer = cloud
        .dynamodb()
        .get_item()
        .table_name(MAIN)
        .key("pk", text(pk))
        .key("sk", text("SUM"))
        .send()
        .await
        .unwrap();
    answer.item().unwrap()["points"].as_n().unwrap().clone()
}

async fn stream_arn(cloud: &Cloud) -> (String, String) {
    let arn = cloud.output("MainTableStreamArn");
    let shard = cloud
        .streams()
        .describe_stream()
        .stream_arn(&arn)
        .send()
        .await
        .unwrap()
        .stream_description()
        .unwrap()
        .shards()[0]
        .shard_id()
        .unwrap()
        .to_owned();
    (arn, shard)
}

async fn stream_keys(cloud: &Cloud) -> Result<Vec<String>, String> {
    let (arn, shard) = stream_arn(cloud).await;
    let iterator = cloud
        .streams()
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await
        .unwrap();
    let records = cloud
        .streams()
        .get_records()
        .set_shard_iterator(iterator.shard_iterator)
        .send()
        .await
        .map_err(|error| error.code().unwrap_or_default().to_owned())?;
    Ok(records
        .records()
        .iter()
        .map(|record| {
            record.dynamodb().unwrap().keys().unwrap()["pk"]
                .as_s()
                .unwrap()
                .clone()
        })
        .collect())
}

/// An interceptor made of one function, which sees the calls of one operation.
struct On<F>(&'static str, F, AtomicUsize);

impl<F: Fn(usize) -> Verdict + Send + Sync> Intercept for On<F> {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation != self.0 {
            return Verdict::Pass;
        }
        (self.1)(self.2.fetch_add(1, Ordering::SeqCst))
    }
}

fn on<F: Fn(usize) -> Verdict + Send + Sync + 'static>(
    operation: &'static str,
    verdict: F,
) -> Option<Arc<dyn Intercept>> {
    Some(Arc::new(On(operation, verdict, AtomicUsize::new(0))))
}

#[tokio::test]
async fn the_templates_tables_and_queues_are_there() {
    let cloud = in_memory().await;
    let tables = cloud.dynamodb().list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), ["tributary-clicks", "tributary-main"]);
    assert_eq!(cloud.output("MainTableName"), "tributary-main");
    assert!(cloud.output("MainTableStreamArn").contains("/stream/"));
    let url = cloud.output("CommissionsQueueUrl");
    let sqs = cloud.sqs();
    sqs.send_message()
        .queue_url(&url)
        .message_body("hello")
        .send()
        .await
        .unwrap();
    let received = sqs
        .receive_message()
        .queue_url(&url)
        .wait_time_seconds(0)
        .send()
        .await
        .unwrap();
    assert_eq!(received.messages()[0].body(), Some("hello"));
    let ttl = cloud
        .dynamodb()
        .describe_time_to_live()
        .table_name(MAIN)
        .send()
        .await
        .unwrap();
    let ttl = ttl.time_to_live_description().unwrap();
    assert_eq!(ttl.attribute_name(), Some("expires_at"));
}

#[tokio::test]
async fn errors_reach_the_client_as_their_own_kind() {
    let cloud = in_memory().await;
    put(&cloud, "once").await;
    let taken = cloud
        .dynamodb()
        .put_item()
        .table_name(MAIN)
        .item("pk", text("once"))
        .item("sk", text("A"))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(taken.is_conditional_check_failed_exception());
    let invalid = cloud
        .dynamodb()
        .put_item()
        .table_name(MAIN)
        .item("pk", text("no sort key"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(invalid.code(), Some("ValidationException"));
    let absent = cloud
        .dynamodb()
        .get_item()
        .table_name("nowhere")
        .key("pk", text("x"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(absent.is_resource_not_found_exception());
    let no_queue = cloud
        .sqs()
        .send_message()
        .queue_url("http://sqs/0/nowhere")
        .message_body("x")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(no_queue.is_queue_does_not_exist());
}

#[tokio::test]
async fn a_cancelled_transaction_tells_why_for_every_item() {
    let cloud = in_memory().await;
    put(&cloud, "taken").await;
    let error = cloud
        .dynamodb()
        .transact_write_items()
        .transact_items(put_once("free"))
        .transact_items(put_once("taken"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(cancelled) = error
    else { panic!("{error:?}") };
    let codes: Vec<_> = cancelled
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code().unwrap())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(
        cancelled.cancellation_reasons()[1].item().unwrap()["pk"],
        text("taken")
    );
    assert_eq!(count_of(&cloud, "free").await, 0);
}

#[tokio::test]
async fn a_client_token_lasts_ten_minutes() {
    let (hands, now) = clock_at(1_700_000_000_000);
    let cloud = Cloud::open(Options {
        now,
        ..Options::in_memory()
    })
    .await
    .unwrap();
    let write = async |token: &str, pk: &str| {
        cloud
            .dynamodb()
            .transact_write_items()
            .client_request_token(token)
            .transact_items(add_one(pk))
            .send()
            .await
    };
    write("first", "sum").await.unwrap();
    write("first", "sum").await.unwrap();
    assert_eq!(total_of(&cloud, "sum").await, "1");
    let other = write("first", "else")
        .await
        .unwrap_err()
        .into_service_error();
    assert!(other.is_idempotent_parameter_mismatch_exception());
    hands.fetch_add(10 * 60 * 1000, Ordering::SeqCst);
    write("first", "sum").await.unwrap();
    assert_eq!(total_of(&cloud, "sum").await, "2");
}

#[tokio::test]
async fn a_lost_response_is_retried_and_executed_once() {
    let cloud = in_memory().await;
    cloud.set_interceptor(on("TransactWriteItems", |n| {
        if n == 0 {
            Verdict::DropResponse
        } else {
            Verdict::Pass
        }
    }));
    cloud
        .dynamodb()
        .transact_write_items()
        .transact_items(add_one("sum"))
        .send()
        .await
        .unwrap();
    assert_eq!(total_of(&cloud, "sum").await, "1");
}

#[tokio::test]
async fn faults_can_be_injected_and_are_retried_as_on_aws() {
    let cloud = in_memory().await;
    cloud.set_interceptor(on("PutItem", |n| match n {
        0 => Verdict::FailBefore,
        1 => Verdict::Answer(AwsError::throttled()),
        _ => Verdict::Pass,
    }));
    put(&cloud, "a").await;
    assert_eq!(count_of(&cloud, "a").await, 1);
    cloud.set_interceptor(on("TransactWriteItems", |_| {
        Verdict::Answer(AwsError::transaction_conflict(1))
    }));
    let error = cloud
        .dynamodb()
        .transact_write_items()
        .transact_items(put_once("b"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("TransactionCanceledException"));
    assert_eq!(count_of(&cloud, "b").await, 0);
}

#[tokio::test]
async fn an_answer_can_be_replaced_by_a_stale_one() {
    struct Stale;
    impl Intercept for Stale {
        fn after(&self, call: &Call<'_>, outcome: Result<&Value, &AwsError>) -> Delivery {
            assert_eq!(call.service, Service::DynamoDb);
            assert_eq!(outcome.unwrap()["Count"], 1);
            Delivery::Replace(json!({ "Items": [], "Count": 0 }))
        }
    }
    let cloud = in_memory().await;
    put(&cloud, "a").await;
    cloud.set_interceptor(Some(Arc::new(Stale)));
    assert_eq!(count_of(&cloud, "a").await, 0);
    cloud.set_interceptor(None);
    assert_eq!(count_of(&cloud, "a").await, 1);
}

#[tokio::test]
async fn consumed_capacity_is_recorded_by_table_and_index() {
    let cloud = in_memory().await;
    cloud.recorder().start();
    cloud
        .dynamodb()
        .put_item()
        .table_name(MAIN)
        .item("pk", text("a"))
        .item("sk", text("A"))
        .item("list_pk", text("l"))
        .item("list_sk", text("1"))
        .send()
        .await
        .unwrap();
    cloud
        .dynamodb()
        .transact_write_items()
        .transact_items(put_once("b"))
        .transact_items(add_one("b"))
        .send()
        .await
        .unwrap();
    count_of(&cloud, "a").await;
    let calls = cloud.recorder().stop();
    put(&cloud, "unseen").await;
    assert_eq!(cloud.recorder().take().len(), 0);
    let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["PutItem", "TransactWriteItems", "Query"]);
    let put = Consumed {
        table_name: MAIN.to_owned(),
        table: 1.0,
        indexes: 1.0,
    };
    assert_eq!(calls[0].consumed, [put]);
    let totals = capacity::totals(&calls);
    assert_eq!((totals.write_calls, totals.read_calls), (2, 1));
    assert_eq!((totals.write_units, totals.index_write_units), (5.0, 1.0));
    assert_eq!(totals.read_units, 0.5);
}

#[tokio::test]
async fn streams_show_what_was_written_and_forget_what_was_trimmed() {
    let cloud = in_memory().await;
    put(&cloud, "a").await;
    put(&cloud, "b").await;
    assert_eq!(stream_keys(&cloud).await.unwrap(), ["a", "b"]);
    cloud.trim_all_streams().unwrap();
    put(&cloud, "c").await;
    assert_eq!(stream_keys(&cloud).await.unwrap(), ["c"]);
}

#[tokio::test]
async fn an_iterator_that_fell_behind_the_trim_horizon_is_refused() {
    let cloud = in_memory().await;
    put(&cloud, "a").await;
    let (arn, shard) = stream_arn(&cloud).await;
    let iterator = cloud
        .streams()
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await
        .unwrap();
    cloud.trim_all_streams().unwrap();
    let error = cloud
        .streams()
        .get_records()
        .set_shard_iterator(iterator.shard_iterator)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_trimmed_data_access_exception());
}

#[tokio::test]
async fn expired_items_are_swept_by_the_injected_clock() {
    let (hands, now) = clock_at(1_000_000_000_000);
    let cloud = Cloud::open(Options {
        now,
        ..Options::in_memory()
    })
    .await
    .unwrap();
    cloud
        .dynamodb()
        .put_item()
        .table_name(MAIN)
        .item("pk", text("a"))
        .item("sk", text("A"))
        .item("expires_at", AttributeValue::N("1000000010".to_owned()))
        .send()
        .await
        .unwrap();
    assert_eq!(cloud.sweep_expired().await.unwrap(), 0);
    hands.fetch_add(11_000, Ordering::SeqCst);
    assert_eq!(cloud.sweep_expired().await.unwrap(), 1);
    assert_eq!(count_of(&cloud, "a").await, 0);
}

#[tokio::test]
async fn a_file_store_is_swept_by_a_manual_clock_too() {
    let folder = tempfile::tempdir().unwrap();
    let (_, now) = clock_at(4_000_000_000_000);
    let cloud = Cloud::open(Options {
        now,
        ..Options::at(folder.path())
    })
    .await
    .unwrap();
    cloud
        .dynamodb()
        .put_item()
        .table_name(MAIN)
        .item("pk", text("a"))
        .item("sk", text("A"))
        .item("expires_at", AttributeValue::N("3999999999".to_owned()))
        .send()
        .await
        .unwrap();
    put(&cloud, "kept").await;
    assert_eq!(cloud.sweep_expired().await.unwrap(), 1);
    assert_eq!(count_of(&cloud, "kept").await, 1);
}

#[tokio::test]
async fn a_store_survives_a_restart_and_is_locked_while_open() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(Options::at(folder.path())).await.unwrap();
    put(&cloud, "kept").await;
    let second = Cloud::open(Options::at(folder.path())).await.unwrap_err();
    assert!(matches!(second, CloudError::InUse(_)), "{second}");
    drop(cloud);
    let cloud = Cloud::open(Options::at(folder.path())).await.unwrap();
    assert_eq!(count_of(&cloud, "kept").await, 1);
    assert_eq!(stream_keys(&cloud).await.unwrap(), ["kept"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_store_is_its_owners_alone_and_an_old_one_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("above").join("store");
    let mode = || std::fs::metadata(&store).unwrap().permissions().mode() & 0o777;
    drop(Cloud::open(Options::at(&store)).await.unwrap());
    assert_eq!(mode(), 0o700);
    let shared = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(&store, shared).unwrap();
    drop(Cloud::open(Options::at(&store)).await.unwrap());
    assert_eq!(mode(), 0o750);
}

#[tokio::test]
async fn consumed_records_are_deleted_from_the_file_but_for_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(Options::at(folder.path())).await.unwrap();
    for pk in ["a", "b", "c"] {
        put(&cloud, pk).await;
    }
    assert_eq!(cloud.trim_stream(MAIN, "199999999999999999999").unwrap(), 2);
    assert_eq!(stream_keys(&cloud).await.unwrap(), ["c"]);
    put(&cloud, "d").await;
    assert_eq!(stream_keys(&cloud).await.unwrap(), ["c", "d"]);
}

#[tokio::test]
async fn a_table_that_differs_from_the_template_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    drop(Cloud::open(Options::at(folder.path())).await.unwrap());
    let data_template = DATA_TEMPLATE.replace("ProjectionType: KEYS_ONLY", "ProjectionType: ALL");
    let error = Cloud::open(Options {
        data_template,
        ..Options::at(folder.path())
    })
    .await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            CloudError::Drift {
                property: "GlobalSecondaryIndexes",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn parameters_name_the_resources() {
    let parameters = BTreeMap::from([("Prefix".to_owned(), "acme".to_owned())]);
    let cloud = Cloud::open(Options {
        parameters,
        ..Options::in_memory()
    })
    .await
    .unwrap();
    assert_eq!(cloud.output("ClicksTableName"), "acme-clicks");
    assert_eq!(
        cloud.output("KeyringArn"),
        "arn:aws:secretsmanager:local:000000000000:secret:acme/keyring"
    );
}

#[tokio::test]
async fn a_read_timeout_ends_a_long_poll() {
    tokio::time::pause();
    let cloud = in_memory().await;
    let timeouts = aws_sdk_sqs::config::timeout::TimeoutConfig::builder()
        .read_timeout(Duration::from_secs(3))
        .build();
    let once = aws_sdk_sqs::config::retry::RetryConfig::disabled();
    let config = cloud
        .sqs()
        .config()
        .to_builder()
        .timeout_config(timeouts)
        .retry_config(once)
        .build();
    let error = aws_sdk_sqs::Client::from_conf(config)
        .receive_message()
        .queue_url(cloud.output("CommissionsQueueUrl"))
        .wait_time_seconds(20)
        .send()
        .await
        .unwrap_err();
    let failure = error.as_service_error().is_none() && format!("{error:?}").contains("imeout");
    assert!(failure, "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_disk_serves_many_tasks_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(Options::at(folder.path())).await.unwrap();
    let url = cloud.output("CommissionsQueueUrl");
    let writers = (0..8).map(|writer| {
        let (cloud, url) = (cloud.clone(), url.clone());
        tokio::spawn(async move {
            for n in 0..5 {
                put(&cloud, &format!("{writer}/{n}")).await;
                let send = cloud.sqs().send_message().queue_url(&url);
                send.message_body(n.to_string()).send().await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(stream_keys(&cloud).await.unwrap().len(), 40);
    assert_eq!(
        cloud
            .queues()
            .peek("tributary-commissions", 100)
            .unwrap()
            .len(),
        40
    );
}

#[tokio::test]
async fn a_client_that_outlives_the_cloud_keeps_the_store_locked() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(Options::at(folder.path())).await.unwrap();
    let client = cloud.dynamodb();
    drop(cloud);
    assert!(Cloud::open(Options::at(folder.path())).await.is_err());
    drop(client);
    assert!(Cloud::open(Options::at(folder.path())).await.is_ok());
}
