//! What is told with a conversion, and what is said of it later: parts taken back, amounts corrected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_local::connector::{AwsError, Call, Delivery, Intercept};
use tributary_tests::{Answer, World};

async fn reverse(world: &World, conversion: &str, id: &str, amount: Option<&str>) -> Answer {
    let mut body = json!({ "reversal_id": id, "reason": "sent back" });
    if let Some(amount) = amount {
        body["amount"] = json!(amount);
        body["currency"] = json!("GBP");
    }
    let path = format!("/v1/conversions/{conversion}/reversals");
    world.post(&path, body).await
}

async fn amend(world: &World, conversion: &str, id: &str, amount: &str) -> Answer {
    let body =
        json!({ "amendment_id": id, "amount": amount, "currency": "GBP", "reason": "mistyped" });
    let path = format!("/v1/conversions/{conversion}/amendments");
    world.post(&path, body).await
}

async fn left(world: &World, conversion: &str) -> String {
    let view = world.get(&format!("/v1/conversions/{conversion}")).await;
    view.expect(200).str("net_amount").to_owned()
}

#[tokio::test]
async fn everything_that_is_told_reads_back_and_the_vendors_margin_is_not_the_partners_to_see() {
    let world = World::start().await;
    let stand = world.stand().await;
    let told = json!({
        "transaction_id": "o-1", "coupon": stand.coupon, "amount": "4900", "currency": "JPY", "margin": "900",
        "net_revenue": "4000", "bonuses": "5", "fees": "7", "chargebacks": "0", "country": "JP",
        "product": "annual", "customer_type": "returning", "meta": { "tariff": "b2b", "seats_5": "5" },
    });
    let posted = world.postback(&stand, told.clone()).await.expect(201);
    let path = format!("/v1/conversions/{}", posted.str("conversion"));
    let view = world.get(&path).await.expect(200);
    for field in [
        "amount",
        "currency",
        "margin",
        "net_revenue",
        "bonuses",
        "fees",
        "chargebacks",
        "country",
        "product",
        "customer_type",
        "meta",
    ] {
        assert_eq!(view.body[field], told[field], "{field}");
    }
    let again = world.postback(&stand, told.clone()).await.expect(200);
    assert_eq!(again.str("status"), "duplicate");
    let mut dearer = told;
    dearer["currency"] = json!("GBP");
    dearer["fees"] = json!("8");
    let other = world.postback(&stand, dearer).await;
    let other = other.problem(409, "transaction_mismatch");
    let named = other.body["errors"].as_array().unwrap();
    let named: Vec<&str> = named.iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert!(
        named.contains(&"currency") && named.contains(&"fees"),
        "{named:?}"
    );

    let home = json!({ "transaction_id": "o-2", "coupon": stand.coupon, "amount": "49.00", "margin": "9.00", "fees": "1.00", "meta": { "tariff": "b2b" } });
    let posted = world.postback(&stand, home).await.expect(201);
    world.settle().await;
    let keys = format!("/v1/partners/{}/keys", stand.partner);
    let key = world.post(&keys, json!({})).await.expect(201);
    let path = format!("/v1/conversions/{}", posted.str("conversion"));
    let seen = world
        .ask(key.str("key"), Method::GET, &path, &[], None)
        .await;
    let seen = seen.expect(200);
    assert_eq!(seen.str("amount"), "49.00");
    for hidden in ["margin", "fees", "meta"] {
        assert_eq!(seen.body[hidden], Value::Null, "{hidden}");
    }
}

#[tokio::test]
async fn a_query_tells_metadata_by_dotted_names() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!(
        "/v1/postbacks/{}?transaction_id=o-1&coupon={}&amount=10.00&currency=EUR&country=DE&meta.tariff=b2b&meta.seats=5&token={}",
        stand.program, stand.coupon, stand.token
    );
    let posted = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(201);
    let view = world
        .get(&format!("/v1/conversions/{}", posted.str("conversion")))
        .await;
    assert_eq!(view.body["meta"], json!({ "tariff": "b2b", "seats": "5" }));
    assert_eq!((view.str("currency"), view.str("country")), ("EUR", "DE"));
    let wrong = path
        .replace("o-1", "o-2")
        .replace("meta.seats", "meta.Seats");
    let refused = world.ask("", Method::GET, &wrong, &[], None).await;
    let refused = refused.problem(422, "characters_refused");
    assert_eq!(refused.str("/errors/0/field"), "meta.Seats");
}

#[tokio::test]
async fn parts_of_a_conversion_are_taken_back_and_never_more_than_it_was() {
    let world = World::start().await;
    let stand = world.stand().await;
    let sale = world.sale(&stand, "o-1", "49.00").await;
    let taken = async |id: &str, amount| reverse(&world, &sale, id, amount).await;
    assert_eq!(
        taken("r-1", Some("19.00")).await.expect(200).str("status"),
        "reversed"
    );
    assert_eq!(
        taken("r-1", Some("19.00")).await.expect(200).str("status"),
        "duplicate"
    );
    let _ = taken("r-1", Some("19.01"))
        .await
        .problem(409, "reversal_mismatch");
    let _ = taken("r-1", None).await.problem(409, "reversal_mismatch");
    let over = taken("r-2", Some("30.01"))
        .await
        .problem(422, "reversal_over_original");
    assert_eq!(over.str("/errors/0/field"), "amount");
    assert!(over.text.contains("30.00 GBP"), "{}", over.text);
    let _ = taken("r-2", Some("0.00"))
        .await
        .problem(422, "out_of_range");
    assert_eq!(left(&world, &sale).await, "30.00");
    let _ = taken("r-2", Some("10.00")).await.expect(200);
    let _ = taken("r-3", Some("20.00")).await.expect(200);
    assert_eq!(left(&world, &sale).await, "0.00");
    let view = world.get(&format!("/v1/conversions/{sale}")).await;
    let parts: Vec<&str> = (0..3)
        .map(|n| view.body["reversals"][n]["amount"].as_str().unwrap())
        .collect();
    assert_eq!(parts, ["19.00", "10.00", "20.00"]);

    let path = format!("/v1/conversions/{sale}/reversals");
    for (body, code, field) in [
        (
            json!({ "reversal_id": "r-9", "reason": "x", "amount": "1.00" }),
            "required",
            "currency",
        ),
        (
            json!({ "reversal_id": "r-9", "reason": "x", "currency": "GBP" }),
            "required",
            "amount",
        ),
        (
            json!({ "reversal_id": "r-9", "reason": "x", "amount": "1.00", "currency": "USD" }),
            "currency_mismatch",
            "currency",
        ),
    ] {
        let refused = world.post(&path, body).await.problem(422, code);
        assert_eq!(refused.str("/errors/0/field"), field);
    }
    let lead = json!({ "transaction_id": "l-1", "event": "lead", "coupon": stand.coupon });
    let lead = world
        .postback(&stand, lead)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    let _ = reverse(&world, &lead, "r-1", Some("1.00"))
        .await
        .problem(422, "reversal_over_original");
    let _ = reverse(&world, &lead, "r-1", None).await.expect(200);
}

#[tokio::test]
async fn a_tracker_takes_parts_back_too_and_is_told_no_amounts() {
    let world = World::start().await;
    let stand = world.stand().await;
    let post = async |id: &str, amount: &str, currency: &str| {
        let body = json!({ "transaction_id": "o-1", "status": "reversed", "reversal_id": id, "amount": amount, "currency": currency });
        world.postback(&stand, body).await
    };
    // The refund overtook its order.
    let kept = post("r-0", "9.00", "GBP").await.expect(202);
    assert_eq!(kept.str("status"), "kept");
    let sale = world.sale(&stand, "o-1", "49.00").await;
    assert_eq!(kept.str("conversion"), sale);
    assert_eq!(left(&world, &sale).await, "40.00");
    assert_eq!(
        post("r-0", "9.00", "GBP").await.expect(200).str("status"),
        "duplicate"
    );
    assert_eq!(
        post("r-1", "15.00", "GBP").await.expect(200).str("status"),
        "reversed"
    );
    let over = post("r-2", "25.01", "GBP")
        .await
        .problem(422, "reversal_over_original");
    assert!(!over.text.contains("25.00"), "{}", over.text);
    let _ = post("r-2", "5.00", "EUR")
        .await
        .problem(409, "transaction_mismatch");
    // The whole amount means all that is left.
    assert_eq!(
        post("r-2", "49.00", "GBP").await.expect(200).str("status"),
        "reversed"
    );
    assert_eq!(left(&world, &sale).await, "0.00");

    let path = format!("/v1/programs/{}/postbacks:test", stand.program);
    let tried = json!({ "body": { "transaction_id": "o-1", "status": "reversed", "reversal_id": "r-3", "amount": "1.00" } });
    let _ = world
        .post(&path, tried)
        .await
        .problem(422, "reversal_over_original");
}

#[tokio::test]
async fn parts_that_arrive_at_once_are_together_never_more_than_the_conversion() {
    let world = World::start().await;
    let stand = world.stand().await;
    let sale = world.sale(&stand, "o-1", "100.00").await;
    let answers = join_all((0..24).map(|number| {
        let (world, sale) = (&world, &sale);
        async move { reverse(world, sale, &format!("r-{number}"), Some("10.00")).await }
    }))
    .await;
    let mut counts: BTreeMap<(u16, String), usize> = BTreeMap::new();
    for answer in answers {
        let said = format!(
            "{}{}",
            answer.str("code"),
            answer.body["status"].as_str().unwrap_or_default()
        );
        *counts.entry((answer.status.as_u16(), said)).or_default() += 1;
    }
    let expected = [
        ((200, "reversed".to_owned()), 10),
        ((422, "reversal_over_original".to_owned()), 14),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(left(&world, &sale).await, "0.00");

    // Half down, half taken back, at once: whoever comes second is held against what the first left.
    for round in 0..8 {
        let sale = world.sale(&stand, &format!("o-{round}x"), "100.00").await;
        let (down, back) = tokio::join!(
            amend(&world, &sale, "a-1", "50.00"),
            reverse(&world, &sale, "r-1", Some("60.00"))
        );
        let refused = [&down, &back]
            .into_iter()
            .filter(|answer| answer.status == 422);
        assert_eq!(refused.count(), 1, "{} {}", down.text, back.text);
    }
}

#[tokio::test]
async fn an_amount_is_corrected_up_and_down_but_not_below_what_was_taken_back() {
    let world = World::start().await;
    let stand = world.stand().await;
    let sale = world.sale(&stand, "o-1", "49.00").await;
    let _ = reverse(&world, &sale, "r-1", Some("19.00"))
        .await
        .expect(200);
    assert_eq!(
        amend(&world, &sale, "a-1", "59.00")
            .await
            .expect(200)
            .str("status"),
        "amended"
    );
    assert_eq!(
        amend(&world, &sale, "a-1", "59.00")
            .await
            .expect(200)
            .str("status"),
        "duplicate"
    );
    let _ = amend(&world, &sale, "a-1", "58.00")
        .await
        .problem(409, "amendment_mismatch");
    let below = amend(&world, &sale, "a-2", "18.99")
        .await
        .problem(422, "amendment_below_reversed");
    assert!(below.text.contains("19.00 GBP"), "{}", below.text);
    assert_eq!(left(&world, &sale).await, "40.00");
    let _ = amend(&world, &sale, "a-2", "29.00").await.expect(200);
    assert_eq!(left(&world, &sale).await, "10.00");
    let view = world.get(&format!("/v1/conversions/{sale}")).await;
    assert_eq!(view.str("amount"), "49.00");
    assert_eq!(view.str("/amendments/1/amount"), "29.00");
    let _ = reverse(&world, &sale, "r-2", None).await.expect(200);
    let _ = amend(&world, &sale, "a-3", "99.00")
        .await
        .problem(409, "wrong_state");

    let path = format!("/v1/conversions/{sale}/amendments");
    let other =
        json!({ "amendment_id": "a-4", "amount": "1.00", "currency": "EUR", "reason": "x" });
    let _ = world
        .post(&path, other.clone())
        .await
        .problem(422, "currency_mismatch");
    let absent = "/v1/conversions/cnv_00000000000000000000000000/amendments";
    let _ = world
        .post(absent, other.clone())
        .await
        .problem(404, "not_found");
    let keys = format!("/v1/partners/{}/keys", stand.partner);
    let key = world.post(&keys, json!({})).await.expect(201);
    let answer = world
        .ask(key.str("key"), Method::POST, &path, &[], Some(&other))
        .await;
    let _ = answer.problem(403, "forbidden");
}

#[tokio::test]
async fn an_approval_may_bring_the_amount_in_a_currency_of_its_own() {
    let world = World::start().await;
    let stand = world.stand().await;
    let lead = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "status": "pending" });
    let lead = world.postback(&stand, lead).await.expect(201);
    let sale = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "100.00", "currency": "USD" });
    let approved = world.postback(&stand, sale.clone()).await.expect(200);
    assert_eq!(approved.str("status"), "approved");
    let again = world.postback(&stand, sale).await.expect(200);
    assert_eq!(again.str("status"), "duplicate");
    let view = world
        .get(&format!("/v1/conversions/{}", lead.str("conversion")))
        .await;
    assert_eq!(
        (view.str("amount"), view.str("currency")),
        ("100.00", "USD")
    );
    // What the approval told is told: another margin is another fact.
    let mut other = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "100.00", "currency": "USD" });
    other["margin"] = json!("30.00");
    let refused = world.postback(&stand, other).await;
    let refused = refused.problem(409, "transaction_mismatch");
    assert_eq!(refused.str("/errors/0/field"), "margin");

    let order = |status: &str, margin: Option<&str>| json!({ "transaction_id": "o-2", "coupon": stand.coupon, "amount": "49.00", "status": status, "margin": margin });
    let pending = world
        .postback(&stand, order("pending", None))
        .await
        .expect(201);
    let approved = world
        .postback(&stand, order("approved", Some("9.00")))
        .await;
    assert_eq!(approved.expect(200).str("status"), "approved");
    let view = world
        .get(&format!("/v1/conversions/{}", pending.str("conversion")))
        .await;
    assert_eq!((view.str("amount"), view.str("margin")), ("49.00", "9.00"));
}

/// Loses the first answer of every change of an item.
#[derive(Default)]
struct LostAnswers {
    lost: AtomicBool,
}

impl Intercept for LostAnswers {
    fn after(&self, call: &Call<'_>, _: Result<&Value, &AwsError>) -> Delivery {
        if call.operation == "UpdateItem" && !self.lost.swap(true, Ordering::SeqCst) {
            return Delivery::Drop;
        }
        Delivery::Deliver
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_whose_answer_was_lost_is_taken_back_once() {
    let world = World::start().await;
    let stand = world.stand().await;
    let sale = world.sale(&stand, "o-1", "49.00").await;
    let weather = Arc::new(LostAnswers::default());
    world
        .instance
        .cloud()
        .set_interceptor(Some(weather.clone()));
    let taken = reverse(&world, &sale, "r-1", Some("30.00"))
        .await
        .expect(200);
    assert_eq!(taken.str("status"), "reversed");
    weather.lost.store(false, Ordering::SeqCst);
    let amended = amend(&world, &sale, "a-1", "60.00").await.expect(200);
    assert_eq!(amended.str("status"), "amended");
    world.instance.cloud().set_interceptor(None);
    assert_eq!(left(&world, &sale).await, "30.00");
}

#[tokio::test]
async fn a_part_taken_back_of_what_waits_for_its_approval_leaves_it_waiting() {
    let world = World::start().await;
    let stand = world.stand().await;
    let order = |status: &str| json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "10.00", "status": status });
    let waiting = world.postback(&stand, order("pending")).await.expect(201);
    let conversion = waiting.str("conversion");
    let _ = reverse(&world, conversion, "r-1", Some("4.00"))
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(world.state(conversion).await, "waiting");
    let _ = world.postback(&stand, order("approved")).await.expect(200);
    world.settle().await;
    assert_eq!(world.state(conversion).await, "held");
    assert_eq!(world.balances(&stand.partner).await[0], "1.80");
}
