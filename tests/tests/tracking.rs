//! Clicks and conversions at their edges: what is counted, what a lost answer leaves, who may do what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::Method;
use serde_json::{Value, json};
use tributary_local::connector::{Call, Intercept, Verdict};
use tributary_tests::{Stand, World};

const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0");

/// Fails, or loses the answers of, one kind of call while it is on.
struct Weather {
    on: AtomicBool,
    operation: &'static str,
    verdict: fn() -> Verdict,
}

impl Weather {
    fn new(operation: &'static str, verdict: fn() -> Verdict) -> Arc<Self> {
        Arc::new(Self {
            on: AtomicBool::new(false),
            operation,
            verdict,
        })
    }
}

impl Intercept for Weather {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if self.on.load(Ordering::SeqCst) && call.operation == self.operation {
            (self.verdict)()
        } else {
            Verdict::Pass
        }
    }
}

/// Loses the answer of the first such call, so that its retry meets what it did.
struct LoseOne(AtomicBool, &'static str);

impl Intercept for LoseOne {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation == self.1 && self.0.swap(false, Ordering::SeqCst) {
            Verdict::DropResponse
        } else {
            Verdict::Pass
        }
    }
}

async fn visit(world: &World, stand: &Stand, method: Method, header: (&str, &str)) -> String {
    let path = format!("/c/{}?sub1=news", stand.link);
    let answer = world.ask("", method, &path, &[header], None).await;
    let answer = answer.expect(302);
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.headers["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_look_at_a_link_or_a_declared_bot_is_sent_on_and_not_counted() {
    let world = World::start().await;
    let stand = world.stand().await;
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    for (method, header) in [
        (Method::HEAD, BROWSER),
        (Method::GET, ("user-agent", "Slackbot-LinkExpanding 1.0")),
        (Method::GET, ("sec-purpose", "prefetch;prerender")),
    ] {
        let address = visit(&world, &stand, method, header).await;
        assert_eq!(address, "https://shop.example/roses?colour=red#top");
    }
    assert!(recorder.stop().iter().all(|call| !call.is_write()));
    let address = visit(&world, &stand, Method::GET, BROWSER).await;
    assert!(address.contains("tclid="), "{address}");
}

#[tokio::test(start_paused = true)]
async fn a_click_that_cannot_be_recorded_leads_on_and_pays_all_the_same() {
    let weather = Weather::new("PutItem", || Verdict::FailBefore);
    let world = World::start_with(Some(weather.clone())).await;
    let stand = world.stand().await;
    weather.on.store(true, Ordering::SeqCst);
    let click = world.click(&stand.link).await;
    weather.on.store(false, Ordering::SeqCst);
    let body = json!({ "transaction_id": "o-1", "click_id": click, "amount": "49.00" });
    let _ = world.postback(&stand, body).await.expect(201);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_retried_and_still_says_what_happened() {
    let world =
        World::start_with(Some(Arc::new(LoseOne(AtomicBool::new(true), "UpdateItem")))).await;
    let stand = world.stand().await;
    let body = |status: &str| json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "49.00", "status": status });
    let said = async |status: &str| {
        let answer = world.postback(&stand, body(status)).await;
        (answer.status.as_u16(), answer.str("status").to_owned())
    };
    let told = |status: u16, word: &str| (status, word.to_owned());
    assert_eq!(said("pending").await, told(201, "accepted"));
    assert_eq!(
        said("approved").await,
        told(200, "approved"),
        "the first answer is lost"
    );
    assert_eq!(said("approved").await, told(200, "duplicate"));
    assert_eq!(
        said("pending").await,
        told(200, "duplicate"),
        "late, and changes nothing"
    );
    assert_eq!(said("reversed").await, told(200, "reversed"));
    assert_eq!(said("reversed").await, told(200, "duplicate"));
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "0.00");
}

#[tokio::test]
async fn an_approval_may_bring_the_amount_that_the_lead_did_not_know() {
    let world = World::start().await;
    let stand = world.stand().await;
    let body = |status: &str, amount: Value| {
        let mut body = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "status": status });
        if !amount.is_null() {
            body["amount"] = amount;
        }
        body
    };
    let lead = world.postback(&stand, body("pending", Value::Null)).await;
    let conversion = lead.expect(201).str("conversion").to_owned();
    world.settle().await;
    let sale = world
        .postback(&stand, body("approved", json!("49.00")))
        .await;
    assert_eq!(sale.expect(200).str("status"), "approved");
    let again = world
        .postback(&stand, body("approved", json!("49.00")))
        .await;
    assert_eq!(again.expect(200).str("status"), "duplicate");
    let other = world
        .postback(&stand, body("approved", json!("99.00")))
        .await;
    let _ = other.problem(409, "transaction_mismatch");
    world.settle().await;
    assert_eq!(world.state(&conversion).await, "held");
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
}

#[tokio::test]
async fn an_operator_may_report_what_is_long_past_and_a_partner_nothing() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/postbacks/{}", stand.program);
    let old = json!({ "transaction_id": "536365", "coupon": stand.coupon, "amount": "139.12", "occurred_at": "2010-12-01T08:26:00Z" });
    let _ = world
        .postback(&stand, old.clone())
        .await
        .problem(422, "time_too_old");
    let keys = format!("/v1/partners/{}/keys", stand.partner);
    let partner = world
        .post(&keys, json!({}))
        .await
        .expect(201)
        .str("key")
        .to_owned();
    let answer = world
        .ask(&partner, Method::POST, &path, &[], Some(&old))
        .await;
    let _ = answer.problem(403, "forbidden");
    let _ = world.post(&path, old).await.expect(201);
}

#[tokio::test]
async fn a_look_at_a_postback_address_reports_nothing() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!(
        "/v1/postbacks/{}?transaction_id=o-1&coupon={}&token={}",
        stand.program, stand.coupon, stand.token
    );
    let answer = world.ask("", Method::HEAD, &path, &[], None).await;
    assert!(!answer.status.is_success(), "{}", answer.status);
    let listed = world
        .get(&format!("/v1/conversions?program={}", stand.program))
        .await;
    assert_eq!(listed.expect(200).items().len(), 0);
    let _ = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(201);
}

#[tokio::test]
async fn a_reversal_by_hand_is_made_once_and_not_by_everybody() {
    let world = World::start().await;
    let stand = world.stand().await;
    let conversion = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    let path = format!("/v1/conversions/{conversion}/reversals");
    let body = json!({ "reversal_id": "r-1", "reason": "goods returned" });
    for expected in ["reversed", "duplicate"] {
        let answer = world.post(&path, body.clone()).await.expect(200);
        assert_eq!(answer.str("status"), expected);
    }
    let absent = "/v1/conversions/cnv_00000000000000000000000000/reversals";
    let _ = world
        .post(absent, body.clone())
        .await
        .problem(404, "not_found");
    let keys = format!("/v1/partners/{}/keys", stand.partner);
    let partner = world
        .post(&keys, json!({}))
        .await
        .expect(201)
        .str("key")
        .to_owned();
    let answer = world
        .ask(&partner, Method::POST, &path, &[], Some(&body))
        .await;
    let _ = answer.problem(403, "forbidden");
    world.settle().await;
    let view = world
        .get(&format!("/v1/conversions/{conversion}"))
        .await
        .expect(200);
    assert_eq!(view.str("state"), "reversed");
    assert_eq!(view.str("/reversals/0/reason"), "goods returned");
}

#[tokio::test]
async fn the_tester_foretells_duplicates_and_contradictions() {
    let world = World::start().await;
    let stand = world.stand().await;
    let body = |amount: &str| json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": amount, "currency": "GBP" });
    let path = format!("/v1/programs/{}/postbacks:test", stand.program);
    let told = async |amount: &str| {
        let answer = world
            .post(&path, json!({ "body": body(amount) }))
            .await
            .expect(200);
        (
            answer.str("status").to_owned(),
            answer.body["mismatch"].clone(),
        )
    };
    assert_eq!(told("49.00").await, ("accepted".to_owned(), Value::Null));
    let _ = world.postback(&stand, body("49.00")).await.expect(201);
    assert_eq!(told("49.00").await, ("duplicate".to_owned(), Value::Null));
    assert_eq!(
        told("1.00").await,
        ("transaction_mismatch".to_owned(), json!(["amount"]))
    );
    let wrong = json!({ "url": "https://tributary.example/?transaction_id=o-1&amount=1.001" });
    let _ = world.post(&path, wrong).await.expect(422);
}
