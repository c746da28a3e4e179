//! Indexes that lag behind their table, and tables that are busy: what is decided stays exact.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_local::connector::{AwsError, Call, Delivery, Intercept, Service, Verdict};
use tributary_tests::{Answer, Stand, World};

/// What the indexes held at some instant: items with their keys, by attribute.
type Snapshot = Arc<Vec<Value>>;

/// The keys of everything that stands in the table, as its indexes project them.
async fn snapshot(world: &World) -> Snapshot {
    let keys = ["pk", "sk", "list_pk", "list_sk", "due_pk", "due_sk"];
    let items = world.scan("main").await;
    let project = |item: &tributary::table::Item| {
        let held = keys.iter().filter_map(|key| {
            Some((
                (*key).to_owned(),
                json!({ "S": item.get(*key)?.as_s().ok()? }),
            ))
        });
        Value::Object(held.collect())
    };
    Arc::new(items.iter().map(project).collect())
}

/// Answers every query of an index from a snapshot, and throttles every `nth` call.
#[derive(Default)]
struct Lagging {
    index: Mutex<Option<Snapshot>>,
    /// Queries to be answered from the snapshot; then the index has caught up.
    left: AtomicU64,
    /// The index falls behind only when a payout has been planned.
    after_planning: AtomicBool,
    nth: u64,
    calls: AtomicU64,
    throttled: AtomicU64,
    stale: AtomicU64,
}

impl Lagging {
    fn throttling(nth: u64) -> Arc<Self> {
        Arc::new(Self {
            nth,
            ..Self::default()
        })
    }

    fn behind(&self, snapshot: &Snapshot, queries: u64) {
        *self.index.lock().unwrap() = Some(snapshot.clone());
        self.left.store(queries, Ordering::SeqCst);
        self.stale.store(0, Ordering::SeqCst);
    }

    /// The index catches up; tells how many queries it had answered from the past.
    fn caught_up(&self) -> u64 {
        *self.index.lock().unwrap() = None;
        self.stale.swap(0, Ordering::SeqCst)
    }
}

impl Intercept for Lagging {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.service != Service::DynamoDb || self.nth == 0 {
            return Verdict::Pass;
        }
        if (self.calls.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(self.nth) {
            self.throttled.fetch_add(1, Ordering::SeqCst);
            return Verdict::Answer(AwsError::throttled());
        }
        Verdict::Pass
    }

    fn after(&self, call: &Call<'_>, outcome: Result<&Value, &AwsError>) -> Delivery {
        if call.operation == "TransactWriteItems" && outcome.is_ok() {
            let planned = |op: &Value| op["Put"]["Item"]["sk"]["S"] == "PAYOUT";
            let ops = call.request["TransactItems"].as_array().unwrap();
            if ops.iter().any(planned) {
                self.after_planning.store(false, Ordering::SeqCst);
            }
        }
        let Some(index) = call.request["IndexName"]
            .as_str()
            .filter(|_| outcome.is_ok())
        else {
            return Delivery::Deliver;
        };
        let held = self.index.lock().unwrap().clone();
        let Some(held) = held.filter(|_| !self.after_planning.load(Ordering::SeqCst)) else {
            return Delivery::Deliver;
        };
        let left = |left: u64| left.checked_sub(1);
        if self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_err()
        {
            return Delivery::Deliver;
        }
        self.stale.fetch_add(1, Ordering::SeqCst);
        Delivery::Replace(query(&held, index, call.request))
    }
}

/// What DynamoDB would have answered a query of an index when it held that.
fn query(held: &[Value], index: &str, request: &Value) -> Value {
    let (partition, sort) = (format!("{index}_pk"), format!("{index}_sk"));
    let value = |name: &str| request["ExpressionAttributeValues"][name]["S"].as_str();
    let condition = request["KeyConditionExpression"].as_str().unwrap();
    let is_in_range = |at: &str| match condition {
        "#p = :p" => true,
        "#p = :p AND begins_with(#s, :s)" => at.starts_with(value(":s").unwrap()),
        "#p = :p AND #s BETWEEN :low AND :high" => {
            (value(":low").unwrap()..=value(":high").unwrap()).contains(&at)
        }
        "#p = :p AND #s < :high" => at < value(":high").unwrap(),
        other => panic!("the queries have changed: {other}"),
    };
    let mut found: Vec<&Value> = held
        .iter()
        .filter(|item| item[&partition]["S"].as_str() == value(":p"))
        .filter(|item| is_in_range(item[&sort]["S"].as_str().unwrap()))
        .collect();
    found.sort_by_key(|item| item[&sort]["S"].as_str().unwrap());
    if request["ScanIndexForward"] == false {
        found.reverse();
    }
    let limit = usize::try_from(request["Limit"].as_u64().unwrap()).unwrap();
    let more = found.len() > limit;
    found.truncate(limit);
    let mut answer = json!({ "Items": found, "Count": found.len(), "ScannedCount": found.len() });
    if more {
        answer["LastEvaluatedKey"] = found[limit - 1].clone();
    }
    answer
}

async fn minutes_pass(world: &World, minutes: i64) -> Value {
    let to = world.now() + jiff::SignedDuration::from_mins(minutes);
    world.instance.app().clock.set(to);
    world.instance.cloud().clock_moved();
    let ran = world.clockwork().await;
    world.settle().await;
    ran
}

async fn statement(world: &World, partner: &str) -> Answer {
    let path = format!("/v1/partners/{partner}/statement?from=2026-01-01T00:00:00Z");
    world.get(&path).await
}

/// All that a program's list shows, as ids with their states.
async fn listed(world: &World, program: &str) -> Vec<(String, String)> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/conversions?program={program}&limit=37{cursor}");
        let page = world.get(&path).await.expect(200);
        let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
        seen.extend(
            page.items()
                .iter()
                .map(|item| (text(item, "id"), text(item, "state"))),
        );
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

/// Two partners of one program.
async fn ada_and_bob(world: &World) -> [Stand; 2] {
    let ada = world.stand().await;
    let (partner, link, coupon) = world.partner_in(&ada.program, "Bob").await;
    let bob = Stand {
        partner,
        link,
        coupon,
        ..ada.clone()
    };
    [ada, bob]
}

/// Sixty sales of each, all in one instant, for which 180.00 is owed to each.
async fn sixty_sales_each(world: &World, stands: &[Stand; 2]) {
    let _ = join_all((0..120).map(|number| {
        let stand = &stands[number % 2];
        let sale = json!({ "transaction_id": format!("o-{number}"), "coupon": stand.coupon, "amount": "10.00", "currency": "GBP" });
        async move {
            // As a shop does that is told to repeat.
            while world.postback(stand, sale.clone()).await.status == 503 {}
        }
    }))
    .await;
}

async fn each_has(world: &World, stands: &[Stand; 2], expected: [&str; 4]) {
    for stand in stands {
        assert_eq!(world.balances(&stand.partner).await, expected);
    }
}

const FOR_GOOD: u64 = u64::MAX;

#[tokio::test(start_paused = true)]
async fn indexes_that_lag_while_every_third_call_is_throttled_move_no_cent() {
    let world = World::start().await;
    let lagging = Lagging::throttling(3);
    world
        .instance
        .cloud()
        .set_interceptor(Some(lagging.clone()));
    let stands = ada_and_bob(&world).await;
    sixty_sales_each(&world, &stands).await;
    let program = &stands[0].program;
    let fresh = snapshot(&world).await;
    world.settle().await;
    each_has(&world, &stands, ["180.00", "0.00", "0.00", "0.00"]).await;

    // Holds that the index does not show yet wait for the run that sees them; nothing is released twice
    // by one that still sees those that are gone.
    let held = snapshot(&world).await;
    lagging.behind(&fresh, FOR_GOOD);
    let ran = minutes_pass(&world, 30 * 24 * 60).await;
    assert_eq!(ran["released"]["conversions"], 0, "{ran}");
    each_has(&world, &stands, ["180.00", "0.00", "0.00", "0.00"]).await;
    assert!(lagging.caught_up() > 8);
    let ran = minutes_pass(&world, 1).await;
    assert_eq!(ran["released"]["conversions"], 120, "{ran}");
    lagging.behind(&held, FOR_GOOD);
    let ran = minutes_pass(&world, 1).await;
    assert_eq!(
        (&ran["released"]["conversions"], &ran["released"]["failed"]),
        (&json!(0), &json!(0)),
        "{ran}"
    );
    each_has(&world, &stands, ["0.00", "180.00", "0.00", "0.00"]).await;

    // A list shows what its index knows, each as it stands now.
    let states = listed(&world, program).await;
    assert_eq!(states.len(), 120);
    assert!(states.iter().all(|(_, state)| state == "payable"));
    // A statement waits for the index, and gives no figures that do not add up.
    let _ = statement(&world, &stands[0].partner)
        .await
        .problem(503, "busy");
    lagging.behind(&held, 3);
    let sum = statement(&world, &stands[0].partner).await.expect(200);
    assert_eq!(lagging.caught_up(), 3);
    assert_eq!(sum.str("/items/0/closing/payable"), "180.00");

    // A batch that is planned while the index shows no line is empty and takes nothing.
    lagging.behind(&held, FOR_GOOD);
    let empty = world.batch(program, None).await;
    assert!(lagging.caught_up() >= 8);
    let empty = world
        .get(&format!("/v1/payouts/batches/{empty}"))
        .await
        .expect(200);
    assert_eq!(empty.str("state"), "empty", "{}", empty.text);
    each_has(&world, &stands, ["0.00", "180.00", "0.00", "0.00"]).await;

    // One whose lines vanish between planning and reserving gives up; the next one pays.
    lagging.after_planning.store(true, Ordering::SeqCst);
    lagging.behind(&held, FOR_GOOD);
    let vanished = world.batch(program, None).await;
    assert!(lagging.caught_up() > 0);
    let path = format!("/v1/payouts/batches/{vanished}");
    assert_eq!(world.get(&path).await.expect(200).str("state"), "empty");
    each_has(&world, &stands, ["0.00", "180.00", "0.00", "0.00"]).await;
    let payable = snapshot(&world).await;
    let paying = world.batch(program, None).await;
    each_has(&world, &stands, ["0.00", "0.00", "180.00", "0.00"]).await;

    // To one that still sees the lines as open there is nothing left to pay, before and after the payment.
    lagging.behind(&payable, FOR_GOOD);
    let second = world.batch(program, None).await;
    let path = format!("/v1/payouts/batches/{second}");
    assert_eq!(world.get(&path).await.expect(200).str("state"), "empty");
    each_has(&world, &stands, ["0.00", "0.00", "180.00", "0.00"]).await;
    let file = format!("/v1/payouts/batches/{paying}/file?format=paypal&part=1");
    let file = world.get(&file).await.expect(200).text;
    assert_eq!(file.lines().count(), 2);
    for line in file.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[1], "180.00");
        let settle = format!("/v1/payouts/{}/settle", fields[3]);
        let _ = world.post(&settle, json!({})).await.expect(200);
    }
    let third = world.batch(program, None).await;
    let path = format!("/v1/payouts/batches/{third}");
    assert_eq!(world.get(&path).await.expect(200).str("state"), "empty");
    assert!(lagging.caught_up() > 16);
    let ran = minutes_pass(&world, 1).await;
    assert_eq!(ran["released"]["conversions"], 0, "{ran}");
    each_has(&world, &stands, ["0.00", "0.00", "0.00", "180.00"]).await;

    let states = listed(&world, program).await;
    assert!(states.len() == 120 && states.iter().all(|(_, state)| state == "paid"));
    for stand in &stands {
        let sum = statement(&world, &stand.partner).await.expect(200);
        assert_eq!(sum.str("/items/0/closing/paid"), "180.00");
        assert_eq!(sum.str("/items/0/closing/payable"), "0.00");
    }
    // What a partner was paid in a year waits for the index as well.
    lagging.behind(&fresh, 2);
    let year = format!("/v1/partners/{}/yearly-totals?year=2026", stands[0].partner);
    let year = world.get(&year).await.expect(200);
    assert_eq!(lagging.caught_up(), 2);
    assert_eq!(year.str("/items/0/paid"), "180.00");
    assert!(lagging.throttled.load(Ordering::SeqCst) > 200);
}

#[tokio::test(start_paused = true)]
async fn what_an_index_shows_late_is_reconciled_once_it_shows() {
    let world = World::start().await;
    let lagging = Lagging::throttling(4);
    world
        .instance
        .cloud()
        .set_interceptor(Some(lagging.clone()));
    let stands = ada_and_bob(&world).await;
    let before = snapshot(&world).await;
    sixty_sales_each(&world, &stands).await;
    world.lose_transport().await;
    // The index lags for minutes, and passes have gone by meanwhile: the next one overlaps them.
    lagging.behind(&before, FOR_GOOD);
    for _ in 0..5 {
        let ran = minutes_pass(&world, 1).await;
        assert_eq!(ran["reconciled"]["requeued"], 0, "{ran}");
    }
    each_has(&world, &stands, ["", "", "", ""]).await;
    assert!(lagging.caught_up() > 0);
    let ran = minutes_pass(&world, 1).await;
    assert_eq!(ran["reconciled"]["requeued"], 120, "{ran}");
    each_has(&world, &stands, ["180.00", "0.00", "0.00", "0.00"]).await;
    assert!(lagging.throttled.load(Ordering::SeqCst) > 50);
}
