//! A seeded run is a function of its seed, faults included.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use regex::Regex;
use serde_json::{Value, json};
use tributary_local::connector::{AwsError, Call, Delivery, Intercept, Verdict};
use tributary_tests::{Stand, World};

/// Disturbs calls by their number, and writes down every one with what became of it.
struct Witness {
    seed: u64,
    trace: Mutex<Vec<String>>,
    /// Sealing draws its nonce from the machine, seed or no seed: a nonce used twice would give away the
    /// key. What is sealed is left out of the trace, and nothing else.
    sealed: Regex,
}

impl Witness {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            trace: Mutex::default(),
            sealed: Regex::new(r"\bk1\.[A-Za-z0-9+/=_-]{20,}").unwrap(),
        })
    }

    fn note(&self, line: &str) {
        let line = self.sealed.replace_all(line, "k1.…").into_owned();
        self.trace.lock().unwrap().push(line);
    }
}

impl Intercept for Witness {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let fault = (call.number + self.seed) % 23;
        let transaction = call.operation == "TransactWriteItems";
        let (verdict, word) = match fault {
            3 => (Verdict::FailBefore, "fails"),
            8 => (Verdict::DropResponse, "goes unheard"),
            11 => (Verdict::Answer(AwsError::throttled()), "is throttled"),
            _ if transaction && fault.is_multiple_of(3) => {
                let items = call.request["TransactItems"].as_array().map_or(1, Vec::len);
                let conflict = AwsError::transaction_conflict(items);
                (Verdict::Answer(conflict), "conflicts")
            }
            _ => (Verdict::Pass, "passes"),
        };
        self.note(&format!(
            "{:?} {} {} {word}",
            call.service, call.operation, call.request
        ));
        verdict
    }

    fn after(&self, call: &Call<'_>, outcome: Result<&Value, &AwsError>) -> Delivery {
        if let Err(error) = outcome {
            self.note(&format!("{} is refused: {}", call.operation, error.body));
        }
        Delivery::Deliver
    }
}

/// Asks until it is done, as clients do.
async fn insist(world: &World, path: &str, body: &Value) -> String {
    for _ in 0..5 {
        let answer = world.post(path, body.clone()).await;
        if answer.status.is_success() {
            return answer.text;
        }
        assert!(answer.status.is_server_error(), "{path}: {}", answer.text);
    }
    panic!("{path} is never answered")
}

/// Delivers everything, though calls fail.
async fn deliver(world: &World) {
    for _ in 0..20 {
        if world.instance.settle().await.is_ok() {
            return;
        }
    }
    panic!("deliveries come to no end")
}

async fn clockwork(world: &World) {
    let to = world.now() + jiff::SignedDuration::from_mins(1);
    world.instance.app().clock.set(to);
    world.instance.cloud().clock_moved();
    let _ = world.instance.run_clockwork(to).await;
    deliver(world).await;
}

/// Clicks, sales of three partners at once, a reversal, a release, a batch with its file: under faults.
async fn life(seed: u64) -> (Vec<String>, Vec<[String; 4]>) {
    let world = World::start_seeded(seed, None).await;
    let ada = world.stand().await;
    let mut stands = vec![ada.clone()];
    for name in ["Bob", "Cyd"] {
        let (partner, link, coupon) = world.partner_in(&ada.program, name).await;
        stands.push(Stand {
            partner,
            link,
            coupon,
            ..ada.clone()
        });
    }
    let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
    let _ = world
        .put("/v1/funding-accounts/main", account)
        .await
        .expect(201);
    let witness = Witness::new(seed);
    let cloud = world.instance.cloud();
    cloud.set_interceptor(Some(witness.clone()));

    let post = async |stand: &Stand, number: usize, click: Option<String>| {
        let mut body = json!({ "transaction_id": format!("o-{number}"), "amount": "10.00", "currency": "GBP", "customer": format!("customer-{number}") });
        match click {
            Some(click) => body["click_id"] = json!(click),
            None => body["coupon"] = json!(stand.coupon),
        }
        for _ in 0..5 {
            let answer = world.postback(stand, body.clone()).await;
            if answer.status.is_success() {
                return answer.str("conversion").to_owned();
            }
        }
        panic!("a postback is never answered")
    };
    // A visitor is redirected whatever happens.
    let click = world.click(&ada.link).await;
    let clicked = post(&ada, 100, Some(click)).await;
    let sales = (0..12).map(|number| post(&stands[number % 3], number, None));
    let _ = join_all(sales).await;
    deliver(&world).await;
    let reversal = json!({ "reversal_id": "r-1", "reason": "sent back" });
    let _ = insist(
        &world,
        &format!("/v1/conversions/{clicked}/reversals"),
        &reversal,
    )
    .await;
    deliver(&world).await;
    let later = tributary::clock::days_after(world.now(), 30);
    world.instance.app().clock.set(later);
    for _ in 0..12 {
        clockwork(&world).await;
    }
    let batch = json!({ "program": ada.program, "currency": "GBP", "cutoff": world.now().to_string(), "funding_account": "main" });
    let _ = insist(&world, "/v1/payouts/batches", &batch).await;
    for _ in 0..12 {
        clockwork(&world).await;
    }
    cloud.set_interceptor(None);
    let trace = std::mem::take(&mut *witness.trace.lock().unwrap());
    let mut balances = Vec::new();
    for stand in &stands {
        balances.push(world.balances(&stand.partner).await);
    }
    (trace, balances)
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_the_same_calls_again_under_faults_and_another_seed_gives_others() {
    let (first, balances) = life(7).await;
    let (second, _) = life(7).await;
    let (other, _) = life(8).await;
    assert!(first.len() > 1_000, "only {} lines", first.len());
    for (number, (one, two)) in first.iter().zip(&second).enumerate() {
        assert_eq!(one, two, "the runs part at line {number}");
    }
    assert_eq!(first.len(), second.len());
    assert_ne!(first, other);
    for words in ["fails", "goes unheard", "is throttled", "conflicts"] {
        assert!(first.iter().any(|line| line.ends_with(words)), "{words}");
    }
    assert_eq!(
        balances,
        [(); 3].map(|()| ["0.00", "0.00", "12.00", "0.00"].map(str::to_owned)),
        "and all of it came to what is owed"
    );
}
