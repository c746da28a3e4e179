//! What components come to in the ledger, and what corrections leave of it, to the penny.

use serde_json::{Value, json};

use crate::trade::{Seller, Trade};

const FEBRUARY: [&str; 4] = [
    "2026-02-03T10:00:00Z",
    "2026-02-10T10:00:00Z",
    "2026-02-17T10:00:00Z",
    "2026-02-24T10:00:00Z",
];
const MARCH: [&str; 2] = ["2026-03-01T00:00:00Z", "2026-03-02T08:00:00Z"];

#[tokio::test]
async fn a_share_of_net_revenue_and_of_margin_shrinks_with_the_part_that_is_taken_back() {
    let terms = |of: &str, rate: &str| json!({ "components": [{ "kind": "percent", "event": "sale", "rate": rate, "of": of }] });
    let (trade, bea) = Trade::under(terms("net_revenue", "0.25")).await;
    trade.plan("margins", terms("margin", "0.20")).await;
    let cid = trade.seller("Cid", "margins", None).await;
    let facts = json!({ "amount": "100.00", "net_revenue": "80.00", "margin": "40.00" });
    for (seller, order, figures) in [
        // 80.00, then 53.336 which is 53.34, then 0.008 which is 0.01.
        (&bea, "o-1", ["20.00", "13.34", "0.00", "0.00"]),
        // 40.00, then 26.668 which is 26.67, then 0.004 which is nothing.
        (&cid, "o-2", ["8.00", "5.33", "0.00", "0.00"]),
    ] {
        let sale = trade.sell(seller, order, facts.clone()).await;
        let mut found = vec![trade.earned(seller).await];
        for (id, part) in [("r-1", "33.33"), ("r-2", "66.66"), ("r-3", "0.01")] {
            trade.take_back(&sale, id, Some(part)).await;
            found.push(trade.earned(seller).await);
        }
        assert_eq!(found, figures);
        // One that comes without the number pays nothing.
        let _ = trade
            .sell(
                seller,
                &format!("{order}-plain"),
                json!({ "amount": "100.00" }),
            )
            .await;
        assert_eq!(trade.earned(seller).await, "0.00");
    }
}

/// Tiers over the number of sales, each bracket with an amount for each.
fn by_count(mode: &str, brackets: &Value) -> Value {
    json!({ "components": [{ "kind": "tiered", "event": "sale", "mode": mode, "measure": { "unit": "count" },
        "window": { "kind": "month" }, "brackets": brackets }] })
}

#[tokio::test]
async fn brackets_with_an_amount_pay_it_for_each_of_a_quantity() {
    let brackets = json!([{ "from": 0, "amount": "5.00" }, { "from": 3, "amount": "7.00" }, { "from": 6, "amount": "9.00" }]);
    let trade = Trade::open().await;
    for (name, mode, pays, without_first) in [
        // The second reaches 7: all five of it at 9.00; alone it reaches 5.
        ("Ann", "attained", ["10.00", "55.00"], "35.00"),
        // One more below 3, three from there to 6, one above: 5 + 21 + 9; alone three below 3 and two above.
        ("Ben", "marginal", ["10.00", "45.00"], "29.00"),
        // Seven at 9.00; alone five at 7.00.
        ("Cat", "retroactive", ["10.00", "63.00"], "35.00"),
    ] {
        trade.plan(mode, by_count(mode, &brackets)).await;
        let seller = trade.seller(name, mode, None).await;
        let mut sales = Vec::new();
        for (number, (quantity, earned)) in [2, 5].into_iter().zip(pays).enumerate() {
            let facts = json!({ "quantity": quantity, "occurred_at": FEBRUARY[number] });
            sales.push(
                trade
                    .sell(&seller, &format!("{name}-{number}"), facts)
                    .await,
            );
            assert_eq!(trade.earned(&seller).await, earned, "{mode}");
        }
        trade.take_back(&sales[0], "r-1", None).await;
        assert_eq!(trade.earned(&seller).await, without_first, "{mode}");
    }
}

#[tokio::test]
async fn a_count_reaches_a_bracket_with_the_very_unit_that_it_begins_at() {
    let brackets = json!([{ "from": 0, "amount": "5.00" }, { "from": 3, "amount": "7.00" }]);
    let trade = Trade::open().await;
    for (name, mode, first_three, fourth) in [
        ("Ann", "attained", ["5.00", "10.00", "17.00"], "24.00"),
        // The third is the last of those below three.
        ("Ben", "marginal", ["5.00", "10.00", "15.00"], "22.00"),
        ("Cat", "retroactive", ["5.00", "10.00", "21.00"], "28.00"),
    ] {
        trade.plan(mode, by_count(mode, &brackets)).await;
        let seller = trade.seller(name, mode, None).await;
        for (number, earned) in first_three.into_iter().chain([fourth]).enumerate() {
            let facts = json!({ "occurred_at": FEBRUARY[number] });
            let _ = trade
                .sell(&seller, &format!("{name}-{number}"), facts)
                .await;
            assert_eq!(trade.earned(&seller).await, earned, "{mode}");
        }
    }
}

/// Half of a sale, at most 30.00 of a customer; Ann buys for 40.00 in February, twice, and in March, Ben once.
async fn capped_by_customer(window: &str) -> (Trade, Seller, String) {
    let (trade, bea) = Trade::under(json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.50" }],
        "caps": [{ "scope": "customer", "window": { "kind": window }, "amount": "30.00" }],
    }))
    .await;
    let mut first = String::new();
    for (order, customer, at) in [
        ("o-1", "ann", FEBRUARY[0]),
        ("o-2", "ann", FEBRUARY[1]),
        ("o-3", "ben", FEBRUARY[2]),
        ("o-4", "ann", MARCH[0]),
    ] {
        let facts = json!({ "amount": "40.00", "customer": customer, "occurred_at": at });
        let sale = trade.sell(&bea, order, facts).await;
        if order == "o-1" {
            first = sale;
        }
    }
    (trade, bea, first)
}

#[tokio::test]
async fn a_customers_cap_of_a_month_is_its_own_and_a_reversal_gives_its_room_to_the_same_month() {
    let (trade, bea, first) = capped_by_customer("month").await;
    // 20.00 and 10.00 of Ann, 20.00 of Ben, and in March 20.00 of Ann.
    assert_eq!(trade.earned(&bea).await, "70.00");
    trade.take_back(&first, "r-1", Some("30.00")).await;
    // 5.00 and 20.00 of Ann in February.
    assert_eq!(trade.earned(&bea).await, "65.00");
    trade.take_back(&first, "r-2", None).await;
    assert_eq!(trade.earned(&bea).await, "60.00");
}

#[tokio::test]
async fn a_customers_cap_for_life_gives_a_reversals_room_to_the_next_in_order() {
    let (trade, bea, first) = capped_by_customer("lifetime").await;
    // 20.00, 10.00 and nothing of Ann, 20.00 of Ben.
    assert_eq!(trade.earned(&bea).await, "50.00");
    trade.take_back(&first, "r-1", Some("30.00")).await;
    // 5.00, 20.00 and 5.00 of Ann.
    assert_eq!(trade.earned(&bea).await, "50.00");
    trade.take_back(&first, "r-2", Some("9.98")).await;
    // 0.01, 20.00 and 9.99.
    assert_eq!(trade.earned(&bea).await, "50.00");
    trade.take_back(&first, "r-3", None).await;
    // 20.00 and 10.00: the room is used up again.
    assert_eq!(trade.earned(&bea).await, "50.00");
    let again = trade
        .sell(
            &bea,
            "o-5",
            json!({ "amount": "40.00", "customer": "ann", "occurred_at": MARCH[1] }),
        )
        .await;
    assert_eq!(trade.commission(&again).await, "0.00");
    // Without a customer it is one of its own.
    let _ = trade
        .sell(
            &bea,
            "o-6",
            json!({ "amount": "80.00", "occurred_at": MARCH[1] }),
        )
        .await;
    assert_eq!(trade.earned(&bea).await, "80.00");
}

#[tokio::test]
async fn a_conversion_says_that_it_waits_for_a_rate_and_is_exchanged_with_one_rounding() {
    let (trade, bea) = Trade::under(
        json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "1" }] }),
    )
    .await;
    let cases = [
        // 28.370496.
        ("33.33", "EUR", "28.37"),
        // 0.4256.
        ("0.50", "EUR", "0.43"),
        // 21.255, exactly half.
        ("25.00", "USD", "21.26"),
        // 0.4251 and 0.17004.
        ("0.50", "USD", "0.43"),
        ("0.20", "USD", "0.17"),
        // 5.335, exactly half, from a currency without minor units.
        ("1000", "JPY", "5.34"),
    ];
    let mut waiting = Vec::new();
    for (number, (amount, currency, _)) in cases.iter().enumerate() {
        let facts = json!({ "amount": amount, "currency": currency, "occurred_at": MARCH[0] });
        let sale = trade.sell(&bea, &format!("o-{number}"), facts).await;
        let shown = trade
            .world
            .get(&format!("/v1/conversions/{sale}"))
            .await
            .expect(200);
        assert_eq!(shown.str("state"), "waiting");
        assert_eq!(shown.str("/outcome/reason"), "rate_missing");
        assert_eq!(shown.str("/outcome/partner"), bea.id);
        assert_eq!(shown.body["outcome"]["commission"], Value::Null);
        waiting.push(sale);
    }
    assert_eq!(trade.earned(&bea).await, "0.00");
    let rate = |from: &str, rate: &str| json!({ "from": from, "to": "GBP", "rate": rate, "date": "2026-03-01", "source": "ECB" });
    let rates = [
        rate("EUR", "0.8512"),
        rate("USD", "0.8502"),
        rate("JPY", "0.005335"),
    ];
    let _ = trade
        .world
        .put("/v1/rates", json!({ "rates": rates }))
        .await
        .expect(200);
    trade.world.advance_days(1).await;
    for (sale, (amount, currency, pays)) in waiting.iter().zip(cases) {
        let shown = trade
            .world
            .get(&format!("/v1/conversions/{sale}"))
            .await
            .expect(200);
        assert_eq!(shown.str("state"), "held");
        assert_eq!(shown.body["outcome"]["reason"], Value::Null);
        assert_eq!(
            shown.str("/outcome/commission"),
            pays,
            "{amount} {currency}"
        );
    }
    // 28.37 + 0.43 + 21.26 + 0.43 + 0.17 + 5.34.
    assert_eq!(trade.earned(&bea).await, "56.00");
    // Of 25.00 USD 24.85 are left, and what is left is exchanged: 21.12747.
    let part =
        json!({ "reversal_id": "r-1", "reason": "sent back", "amount": "0.15", "currency": "USD" });
    let path = format!("/v1/conversions/{}/reversals", waiting[2]);
    let _ = trade.world.post(&path, part).await.expect(200);
    trade.world.settle().await;
    assert_eq!(trade.earned(&bea).await, "55.87");
}

#[tokio::test]
async fn a_negative_month_of_net_gaming_revenue_is_carried_reset_or_capped_through_corrections() {
    let trade = Trade::open().await;
    for (name, carryover, figures) in [
        (
            "Ann",
            "carry",
            ["0.00", "90.00", "60.00", "90.00", "120.00", "0.00", "9.00"],
        ),
        (
            "Ben",
            "reset",
            [
                "0.00", "150.00", "120.00", "120.00", "120.00", "0.00", "9.00",
            ],
        ),
        (
            "Cat",
            "capped",
            [
                "0.00", "135.00", "105.00", "105.00", "120.00", "0.00", "9.00",
            ],
        ),
    ] {
        let mut share = json!({ "kind": "revenue_share", "event": "bet", "rate": "0.30",
            "window": { "kind": "month" }, "carryover": carryover });
        if carryover == "capped" {
            share["carryover_limit"] = json!("50.00");
        }
        trade
            .plan(carryover, json!({ "components": [share] }))
            .await;
        let seller = trade.seller(name, carryover, None).await;
        let mut found = Vec::new();
        let mut bet = async |order: &str, mut facts: Value, at: &str| {
            facts["event"] = json!("bet");
            facts["occurred_at"] = json!(at);
            let sold = trade.sell(&seller, &format!("{name}-{order}"), facts).await;
            found.push(trade.earned(&seller).await);
            sold
        };
        // February ends at 100 - 250 - 30 - 20 = -200.
        let february = json!({ "amount": "100.00", "bonuses": "250.00", "fees": "30.00", "chargebacks": "20.00" });
        let february = bet("b-1", february, FEBRUARY[0]).await;
        // March has 500, or less the 200 or 50 that are carried.
        let march = bet("b-2", json!({ "amount": "500.00" }), MARCH[0]).await;
        // 100 - 200 = -100 more.
        let _ = bet(
            "b-3",
            json!({ "amount": "100.00", "bonuses": "200.00" }),
            MARCH[1],
        )
        .await;
        // Half of February's bet is taken back, and of its adjustments: it ends at -100.
        trade.take_back(&february, "r-1", Some("50.00")).await;
        found.push(trade.earned(&seller).await);
        trade.take_back(&february, "r-2", None).await;
        found.push(trade.earned(&seller).await);
        // March stands at -100.
        trade.take_back(&march, "r-1", None).await;
        found.push(trade.earned(&seller).await);
        // 130.00 more leave 30.00 to share.
        let _ = trade
            .sell(
                &seller,
                &format!("{name}-b-4"),
                json!({ "event": "bet", "amount": "130.00", "occurred_at": MARCH[0] }),
            )
            .await;
        found.push(trade.earned(&seller).await);
        assert_eq!(found, figures, "{carryover}");
    }
}

#[tokio::test]
async fn a_milestones_bonus_is_taken_back_when_it_is_no_longer_reached_and_paid_when_it_is_again() {
    let milestone = |unit: &str, at: Value| {
        json!({ "components": [{ "kind": "milestone", "measure": { "unit": unit, "events": ["sale"] },
            "window": { "kind": "month" }, "at": at, "amount": "50.00" }] })
    };
    let (trade, bea) = Trade::under(milestone("count", json!(3))).await;
    trade
        .plan("amounts", milestone("amount", json!("1000.00")))
        .await;
    let cid = trade.seller("Cid", "amounts", None).await;
    let sell = async |seller: &Seller, order: &str, amount: &str, at: &str, earned: &str| {
        let sale = trade
            .sell(
                seller,
                order,
                json!({ "amount": amount, "occurred_at": at }),
            )
            .await;
        assert_eq!(trade.earned(seller).await, earned, "{order}");
        sale
    };
    let first = sell(&bea, "b-1", "10.00", FEBRUARY[0], "0.00").await;
    let second = sell(&bea, "b-2", "10.00", FEBRUARY[1], "0.00").await;
    let _ = sell(&bea, "b-3", "10.00", FEBRUARY[2], "50.00").await;
    // A part of a sale is still a sale.
    trade.take_back(&first, "r-1", Some("9.99")).await;
    assert_eq!(trade.earned(&bea).await, "50.00");
    trade.take_back(&first, "r-2", None).await;
    assert_eq!(trade.earned(&bea).await, "0.00");
    let _ = sell(&bea, "b-4", "10.00", FEBRUARY[0], "50.00").await;
    let _ = sell(&bea, "b-5", "10.00", FEBRUARY[3], "50.00").await;
    // One more than three is left to lose.
    trade.take_back(&second, "r-1", None).await;
    assert_eq!(trade.earned(&bea).await, "50.00");
    let _ = sell(&bea, "b-6", "10.00", MARCH[0], "50.00").await;

    let sale = sell(&cid, "c-1", "600.00", FEBRUARY[0], "0.00").await;
    let _ = sell(&cid, "c-2", "399.99", FEBRUARY[1], "0.00").await;
    let _ = sell(&cid, "c-3", "0.01", FEBRUARY[2], "50.00").await;
    trade.take_back(&sale, "r-1", Some("0.01")).await;
    assert_eq!(trade.earned(&cid).await, "0.00");
    let _ = sell(&cid, "c-4", "0.01", FEBRUARY[3], "50.00").await;
    trade.take_back(&sale, "r-2", None).await;
    assert_eq!(trade.earned(&cid).await, "0.00");
}

#[tokio::test]
async fn what_is_gone_stays_gone_however_it_went() {
    let month = json!({ "kind": "month" });
    let terms = json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }],
        "caps": [{ "scope": "partner", "window": month, "amount": "1000.00" }],
    });
    let (trade, bea) = Trade::under(terms).await;
    // In parts after it was credited, and in parts before it came.
    let in_parts = trade.sell(&bea, "o-1", json!({ "amount": "20.00" })).await;
    for id in ["r-1", "r-2"] {
        trade.take_back(&in_parts, id, Some("10.00")).await;
    }
    for id in ["r-1", "r-2"] {
        trade.refund(&bea, "o-2", id, "10.00").await;
    }
    let before = trade.sell(&bea, "o-2", json!({ "amount": "20.00" })).await;
    for gone in [&in_parts, &before] {
        let path = format!("/v1/conversions/{gone}/amendments");
        let body = json!({ "amendment_id": "a-1", "amount": "50.00", "currency": "GBP", "reason": "mistyped" });
        let refused = trade.world.post(&path, body).await;
        let _ = refused.problem(409, "wrong_state");
        assert_eq!(trade.world.state(gone).await, "reversed");
    }
    assert_eq!(trade.earned(&bea).await, "0.00");
    assert_eq!(trade.differences().await, Vec::<Value>::new());
}

#[tokio::test]
async fn nobody_gives_back_what_a_cap_never_let_pass() {
    let month = json!({ "kind": "month" });
    let terms = json!({
        "components": [{ "kind": "revenue_share", "event": "bet", "rate": "0.30", "window": month, "carryover": "reset" }],
        "caps": [{ "scope": "partner", "window": month, "amount": "100.00" }],
    });
    let (trade, bea) = Trade::under(terms).await;
    let bet = |amount: &str, chargebacks: &str, day: usize| {
        json!({ "event": "bet", "amount": amount,
        "chargebacks": chargebacks, "occurred_at": FEBRUARY[day] })
    };
    let mut earned = Vec::new();
    for (order, facts) in [
        ("o-1", bet("1000.00", "0.00", 0)),
        ("o-2", bet("0.00", "700.00", 1)),
        ("o-3", bet("0.00", "300.00", 2)),
    ] {
        let _ = trade.sell(&bea, order, facts).await;
        earned.push(trade.earned(&bea).await);
    }
    // 300.00 of which 100.00 are paid; 90.00; nothing.
    assert_eq!(earned, ["100.00", "90.00", "0.00"]);
    assert_eq!(trade.differences().await, Vec::<Value>::new());
}
