//! Postbacks as trackers send them: an existing postback URL works and pays right.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tributary_tests::{Answer, Stand, World};

async fn speaking(world: &World, dialect: &str, components: Value) -> Stand {
    let stand = world.stand_with(0, components).await;
    let patched = world
        .patch(
            &format!("/v1/programs/{}", stand.program),
            json!({ "postback_dialect": dialect }),
        )
        .await;
    let _ = patched.expect(200);
    stand
}

async fn fetch(world: &World, stand: &Stand, query: &str) -> Answer {
    world
        .ask(
            "",
            Method::GET,
            &format!("/v1/postbacks/{}?{query}", stand.program),
            &[],
            None,
        )
        .await
}

fn tenth() -> Value {
    json!([{ "kind": "percent", "event": "sale", "rate": "0.10" }])
}

#[tokio::test]
async fn two_orders_on_one_everflow_click_are_two_conversions() {
    let world = World::start().await;
    let stand = speaking(&world, "everflow", tenth()).await;
    let click = world.click(&stand.link).await;
    for (order, amount) in [("A-1", "100.00"), ("A-2", "50.00")] {
        let query = format!(
            "transaction_id={click}&order_id={order}&amount={amount}&verification_token={}",
            stand.token
        );
        let _ = fetch(&world, &stand, &query).await.expect(201);
    }
    let again = format!(
        "transaction_id={click}&order_id=A-2&amount=50.00&verification_token={}",
        stand.token
    );
    assert_eq!(
        fetch(&world, &stand, &again)
            .await
            .expect(200)
            .str("status"),
        "duplicate"
    );
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "15.00");
}

#[tokio::test]
async fn an_everflow_event_without_an_order_is_told_by_click_and_event() {
    let world = World::start().await;
    let stand = speaking(
        &world,
        "everflow",
        json!([{ "kind": "flat", "event": "lead", "amount": "3.00" }]),
    )
    .await;
    let click = world.click(&stand.link).await;
    let query = format!(
        "transaction_id={click}&event_id=lead&verification_token={}",
        stand.token
    );
    let _ = fetch(&world, &stand, &query).await.expect(201);
    assert_eq!(
        fetch(&world, &stand, &query)
            .await
            .expect(200)
            .str("status"),
        "duplicate"
    );
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "3.00");
}

#[tokio::test]
async fn tune_posts_with_its_own_names() {
    let world = World::start().await;
    let stand = speaking(&world, "tune", tenth()).await;
    let click = world.click(&stand.link).await;
    let query = format!(
        "transaction_id={click}&adv_unique1=O-77&amount=80.00&security_token={}",
        stand.token
    );
    let _ = fetch(&world, &stand, &query).await.expect(201);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "8.00");
}

#[tokio::test]
async fn a_keitaro_lead_then_sale_is_one_payment_and_a_rejection_takes_it_back() {
    let world = World::start().await;
    let stand = speaking(
        &world,
        "keitaro",
        json!([{ "kind": "flat", "event": "sale", "amount": "7.00" }]),
    )
    .await;
    let click = world.click(&stand.link).await;
    let post = async |status: &str| {
        fetch(
            &world,
            &stand,
            &format!(
                "subid={click}&status={status}&payout=99.00&token={}",
                stand.token
            ),
        )
        .await
    };
    let lead = post("lead").await.expect(201);
    world.settle().await;
    let conversion = lead.str("conversion").to_owned();
    assert_eq!(world.state(&conversion).await, "waiting");
    assert_eq!(world.balances(&stand.partner).await[0], "");
    let sale = post("sale").await;
    assert!(sale.status.is_success(), "{}", sale.text);
    assert_eq!(sale.str("conversion"), conversion);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "7.00");
    assert!(post("sale").await.status.is_success());
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await[0],
        "7.00",
        "a repeated sale pays once"
    );
    assert!(post("rejected").await.status.is_success());
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "0.00");
    assert_eq!(world.state(&conversion).await, "reversed");
}

#[tokio::test]
async fn a_payout_is_never_read_as_the_sales_amount_unless_the_program_says_so() {
    let world = World::start().await;
    let stand = speaking(&world, "keitaro", tenth()).await;
    let post = async |world: &World| {
        let click = world.click(&stand.link).await;
        fetch(
            world,
            &stand,
            &format!(
                "subid={click}&status=sale&payout=50.00&token={}",
                stand.token
            ),
        )
        .await
        .expect(201)
    };
    let _ = post(&world).await;
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "0.00");
    let _ = world
        .patch(
            &format!("/v1/programs/{}", stand.program),
            json!({ "payout_is_amount": true }),
        )
        .await
        .expect(200);
    let _ = post(&world).await;
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "5.00");
}

#[tokio::test]
async fn a_reversal_that_comes_before_its_sale_is_kept_and_applied() {
    let world = World::start().await;
    let stand = world.stand().await;
    let reversed = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "status": "reversed" });
    let _ = world.postback(&stand, reversed.clone()).await.expect(202);
    world.settle().await;
    let conversion = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    assert_eq!(world.state(&conversion).await, "reversed");
    assert_eq!(world.balances(&stand.partner).await[0], "0.00");
    assert!(world.postback(&stand, reversed).await.status.is_success());
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "0.00"]
    );
}

#[tokio::test]
async fn a_pending_conversion_pays_nothing_until_it_is_approved() {
    let world = World::start().await;
    let stand = world.stand().await;
    let body = |status: &str| json!({ "transaction_id": "o-1", "coupon": stand.coupon, "amount": "49.00", "status": status });
    let pending = world
        .postback(&stand, body("pending"))
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    world.settle().await;
    world.advance_days(3).await;
    assert_eq!(world.state(&pending).await, "waiting");
    assert!(
        world
            .postback(&stand, body("approved"))
            .await
            .status
            .is_success()
    );
    world.settle().await;
    assert_eq!(world.state(&pending).await, "held");
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
}

#[tokio::test]
async fn authentic_claims_that_do_not_hold_are_accepted_and_say_why() {
    let world = World::start().await;
    let stand = world.stand().await;
    let click = world.click(&stand.link).await;
    let reason = async |conversion: &str| {
        let answer = world
            .get(&format!("/v1/conversions/{conversion}"))
            .await
            .expect(200);
        assert_eq!(answer.str("state"), "unattributed", "{}", answer.text);
        answer.str("/outcome/reason").to_owned()
    };
    let post = async |transaction: &str, click: &str| {
        let body = json!({ "transaction_id": transaction, "click_id": click, "amount": "10.00" });
        let id = world
            .postback(&stand, body)
            .await
            .expect(201)
            .str("conversion")
            .to_owned();
        world.settle().await;
        id
    };
    world.advance_days(31).await;
    assert_eq!(
        reason(&post("expired", &click).await).await,
        "click_expired"
    );
    let fresh = world.click(&stand.link).await;
    let _ = world
        .post(
            &format!("/v1/partners/{}/suspend", stand.partner),
            json!({}),
        )
        .await
        .expect(200);
    world.advance_days(1).await;
    assert_eq!(
        reason(&post("suspended", &fresh).await).await,
        "partner_suspended"
    );
    let _ = world
        .post(
            &format!("/v1/partners/{}/reinstate", stand.partner),
            json!({}),
        )
        .await
        .expect(200);
    world.advance_days(1).await;
    let good = post("good", &fresh).await;
    assert_eq!(world.state(&good).await, "held");
    let unknown = json!({ "transaction_id": "unknown", "coupon": "NOBODYS", "amount": "10.00" });
    let unknown = world
        .postback(&stand, unknown)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    world.settle().await;
    assert_eq!(reason(&unknown).await, "coupon_unknown");
}

#[tokio::test]
async fn the_first_click_of_a_customer_wins_where_the_program_says_so() {
    let world = World::start().await;
    let stand = world.stand().await;
    let attribution = json!({ "attribution": { "model": "first_click", "window_days": 30 } });
    let _ = world
        .patch(&format!("/v1/programs/{}", stand.program), attribution)
        .await
        .expect(200);
    let (_, second_link, _) = world.partner_in(&stand.program, "Bob").await;
    let first = world.click(&stand.link).await;
    let lead =
        json!({ "transaction_id": "l-1", "event": "lead", "click_id": first, "customer": "c-1" });
    let _ = world.postback(&stand, lead).await.expect(201);
    world.settle().await;
    world.advance_days(2).await;
    let second = world.click(&second_link).await;
    let sale = |transaction: &str, customer: Option<&str>| {
        let mut body =
            json!({ "transaction_id": transaction, "click_id": second, "amount": "10.00" });
        if let Some(customer) = customer {
            body["customer"] = json!(customer);
        }
        body
    };
    let credited = async |body: Value| {
        let id = world
            .postback(&stand, body)
            .await
            .expect(201)
            .str("conversion")
            .to_owned();
        world.settle().await;
        world
            .get(&format!("/v1/conversions/{id}"))
            .await
            .expect(200)
            .str("/outcome/partner")
            .to_owned()
    };
    assert_eq!(
        credited(sale("s-1", Some("c-1"))).await,
        stand.partner,
        "the customer's first click"
    );
    assert_ne!(
        credited(sale("s-2", None)).await,
        stand.partner,
        "without a customer, the posted click"
    );
    world.advance_days(40).await;
    let third = world.click(&second_link).await;
    let late =
        json!({ "transaction_id": "s-3", "click_id": third, "amount": "10.00", "customer": "c-1" });
    assert_ne!(
        credited(late).await,
        stand.partner,
        "the first click has left the window"
    );
}

#[tokio::test]
async fn bots_and_head_requests_are_sent_on_without_being_counted() {
    let world = World::start().await;
    let stand = world.stand().await;
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    let path = format!("/c/{}", stand.link);
    let _ = world
        .ask(
            "",
            Method::HEAD,
            &path,
            &[("user-agent", "Mozilla/5.0")],
            None,
        )
        .await
        .expect(302);
    let bot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    let answer = world
        .ask("", Method::GET, &path, &[("user-agent", bot)], None)
        .await
        .expect(302);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(recorder.stop().iter().all(|call| !call.is_write()));
}

#[tokio::test]
async fn a_link_keeps_the_destinations_query_and_fragment_and_leads_elsewhere_once_disabled() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/c/{}?sub1=a%20b", stand.link);
    let answer = world
        .ask(
            "",
            Method::GET,
            &path,
            &[("user-agent", "Mozilla/5.0")],
            None,
        )
        .await
        .expect(302);
    let location = answer.headers["location"].to_str().unwrap();
    assert!(
        location.starts_with("https://shop.example/roses?colour=red&tclid="),
        "{location}"
    );
    assert!(location.ends_with("#top"), "{location}");
    let unknown = world
        .ask("", Method::GET, "/c/nothing-here", &[], None)
        .await
        .expect(404);
    assert!(
        unknown.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let links = world
        .get(&format!("/v1/links?partner={}", stand.partner))
        .await
        .expect(200);
    let id = links.str("/items/0/id").to_owned();
    let _ = world
        .post(&format!("/v1/links/{id}/disable"), json!({}))
        .await
        .expect(200);
    world.advance_days(1).await;
    let _ = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(410);
    let fallback = json!({ "fallback_url": "https://shop.example/gone" });
    let _ = world
        .patch(&format!("/v1/programs/{}", stand.program), fallback)
        .await
        .expect(200);
    world.advance_days(1).await;
    let answer = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(302);
    assert_eq!(answer.headers["location"], "https://shop.example/gone");
}

#[tokio::test]
async fn a_form_post_is_read_like_json() {
    let world = World::start().await;
    let stand = world.stand().await;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/v1/postbacks/{}", stand.program))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-postback-token", &stand.token)
        .body(Body::from(
            "transaction_id=o-1&coupon=ADA&amount=49.00&quantity=2",
        ))
        .unwrap();
    let _ = world.send(request).await.expect(201);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
}

#[tokio::test]
async fn the_tester_shows_how_a_postback_would_be_read_attributed_and_paid_and_changes_nothing() {
    let world = World::start().await;
    let stand = world.stand().await;
    let click = world.click(&stand.link).await;
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    let path = format!("/v1/programs/{}/postbacks:test", stand.program);
    let url = format!(
        "https://tributary.example/v1/postbacks/{}?click_id={click}&transaction_id=o-1&amount=49.00",
        stand.program
    );
    let told = world
        .post(&path, json!({ "method": "GET", "url": url }))
        .await
        .expect(200);
    assert!(told.text.contains("14.70"), "{}", told.text);
    assert!(told.text.contains(&stand.partner), "{}", told.text);
    assert!(recorder.stop().iter().all(|call| !call.is_write()));
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "");
}

#[tokio::test]
async fn a_link_that_is_disabled_after_the_click_pays_for_nothing_that_happens_then() {
    let world = World::start().await;
    let stand = world.stand().await;
    let click = world.click(&stand.link).await;
    let sale = |order: &str| json!({ "transaction_id": order, "click_id": click, "amount": "49.00", "currency": "GBP" });
    let before = world.postback(&stand, sale("o-1")).await.expect(201);
    world
        .advance_to(world.now() + jiff::SignedDuration::from_mins(1))
        .await;
    let link = world
        .get(&format!("/v1/links?partner={}", stand.partner))
        .await
        .str("/items/0/id")
        .to_owned();
    let _ = world
        .post(&format!("/v1/links/{link}/disable"), json!({}))
        .await
        .expect(200);
    world
        .advance_to(world.now() + jiff::SignedDuration::from_mins(1))
        .await;
    let after = world.postback(&stand, sale("o-2")).await.expect(201);
    world.settle().await;
    assert_eq!(world.state(before.str("conversion")).await, "held");
    let refused = world
        .get(&format!("/v1/conversions/{}", after.str("conversion")))
        .await
        .expect(200);
    assert_eq!(
        (refused.str("state"), refused.str("/outcome/reason")),
        ("unattributed", "link_disabled"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn a_link_to_a_host_that_is_no_longer_allowed_leads_to_the_fallback_or_nowhere() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/c/{}", stand.link);
    let visit = async || {
        world
            .ask(
                "",
                Method::GET,
                &path,
                &[("user-agent", "Mozilla/5.0")],
                None,
            )
            .await
    };
    let _ = visit().await.expect(302);
    let program = format!("/v1/programs/{}", stand.program);
    let hosts = json!({ "allowed_destination_hosts": ["flowers.example"] });
    let _ = world.patch(&program, hosts).await.expect(200);
    // Programs are cached for half a minute.
    world
        .advance_to(world.now() + jiff::SignedDuration::from_mins(1))
        .await;
    let _ = visit().await.expect(410);
    let fallback = json!({ "fallback_url": "https://flowers.example/moved" });
    let _ = world.patch(&program, fallback).await.expect(200);
    world
        .advance_to(world.now() + jiff::SignedDuration::from_mins(1))
        .await;
    let sent = visit().await.expect(302);
    assert_eq!(sent.headers["location"], "https://flowers.example/moved");
}

#[tokio::test]
async fn a_reversal_may_name_the_amount_that_only_the_approval_told() {
    let world = World::start().await;
    let stand = world.stand().await;
    let post = async |status: &str, amount: Option<&str>| {
        let mut body = json!({ "transaction_id": "o-1", "coupon": stand.coupon, "status": status });
        if let Some(amount) = amount {
            body["amount"] = json!(amount);
        }
        world.postback(&stand, body).await
    };
    let _ = post("pending", None).await.expect(201);
    let approved = post("approved", Some("49.00")).await.expect(200);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "14.70");
    let other = post("reversed", Some("50.00"))
        .await
        .problem(422, "reversal_over_original");
    assert!(other.text.contains("amount"), "{}", other.text);
    let _ = post("reversed", Some("49.00")).await.expect(200);
    world.settle().await;
    assert_eq!(world.state(approved.str("conversion")).await, "reversed");
    assert_eq!(world.balances(&stand.partner).await, ["0.00"; 4]);
}

#[tokio::test]
async fn a_keitaro_payout_in_another_currency_says_nothing_about_the_sale() {
    let world = World::start().await;
    let stand = world.stand().await;
    let keitaro = json!({ "postback_dialect": "keitaro" });
    let _ = world
        .patch(&format!("/v1/programs/{}", stand.program), keitaro)
        .await
        .expect(200);
    world
        .advance_to(world.now() + jiff::SignedDuration::from_mins(1))
        .await;
    let click = world.click(&stand.link).await;
    let path = format!(
        "/v1/postbacks/{}?subid={click}&status=sale&payout=7&currency=usd&token={}",
        stand.program, stand.token
    );
    let _ = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(201);
    // Nor does a city in letters that are no UTF-8, which nobody reads.
    let path = format!("{path}&city=M%FCnchen&%FC=1");
    let _ = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .expect(200);
    let path = format!("{path}&tid=%FC");
    let _ = world
        .ask("", Method::GET, &path, &[], None)
        .await
        .problem(400, "malformed_query");
}

#[tokio::test]
async fn a_conversion_shows_the_claim_that_won_and_those_that_lost_with_their_evidence() {
    let world = World::start().await;
    let stand = world.stand().await;
    let click = world.click(&stand.link).await;
    let body = json!({ "transaction_id": "o-1", "click_id": click, "coupon": stand.coupon, "amount": "49.00", "currency": "GBP" });
    let posted = world.postback(&stand, body).await.expect(201);
    world.settle().await;
    let path = format!("/v1/conversions/{}", posted.str("conversion"));
    let shown = world.get(&path).await.expect(200);
    let links = world
        .get(&format!("/v1/links?partner={}", stand.partner))
        .await;
    let coupons = world
        .get(&format!("/v1/coupons?partner={}", stand.partner))
        .await;
    let attribution = |at: &str| shown.str(&format!("/attribution/{at}")).to_owned();
    assert_eq!(attribution("evidence/kind"), "coupon");
    assert_eq!(attribution("evidence/coupon"), coupons.str("/items/0/id"));
    assert_eq!(attribution("evidence/result"), "won");
    assert_eq!(attribution("losers/0/kind"), "click");
    assert_eq!(attribution("losers/0/link"), links.str("/items/0/id"));
    assert_eq!(attribution("losers/0/clicked_at"), world.now().to_string());
    assert_eq!(attribution("losers/0/result"), "outranked");
}
