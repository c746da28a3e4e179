//! Conditions decide pay: flat amounts that tell by their sum which components paid.

use serde_json::{Value, json};

use crate::trade::Trade;

/// A flat component under each condition: the first pays 0.01 for each, any other twice the one before it.
fn told_apart(conditions: &[Value]) -> Value {
    let component = |(position, when): (usize, &Value)| {
        let pence = 1_u64 << position;
        let amount = format!("{}.{:02}", pence / 100, pence % 100);
        json!({ "kind": "flat", "event": "sale", "amount": amount, "when": when })
    };
    let components: Vec<Value> = conditions.iter().enumerate().map(component).collect();
    json!({ "pays": "all", "components": components })
}

/// What these components pay together for a quantity.
fn sum(positions: &[usize], quantity: u64) -> String {
    let pence: u64 = positions.iter().map(|position| 1 << position).sum();
    let pence = pence * quantity;
    format!("{}.{:02}", pence / 100, pence % 100)
}

async fn check(trade: &Trade, seller: &crate::trade::Seller, cases: &[(Value, &[usize])]) {
    for (number, (facts, positions)) in cases.iter().enumerate() {
        let order = format!("o-{number}");
        let conversion = trade.sell(seller, &order, facts.clone()).await;
        let quantity = facts["quantity"].as_u64().unwrap_or(1);
        let paid = trade.commission(&conversion).await;
        assert_eq!(paid, sum(positions, quantity), "{positions:?}: {facts}");
    }
}

#[tokio::test]
async fn texts_decide_and_an_event_without_one_is_in_no_list() {
    let country = json!({ "field": "country", "in": ["GB", "IE"] });
    let annual = json!({ "field": "product", "in": ["annual"] });
    let conditions = [
        country.clone(),
        json!({ "field": "country", "not_in": ["GB", "IE"] }),
        annual.clone(),
        json!({ "field": "product", "not_in": ["annual"] }),
        json!({ "field": "event", "in": ["sale", "lead"] }),
        json!({ "field": "event", "not_in": ["sale"] }),
        json!({ "field": "coupon", "in": ["bea"] }),
        json!({ "field": "coupon", "not_in": ["BEA"] }),
        json!({ "field": "sub1", "in": ["one"] }),
        json!({ "field": "sub2", "in": ["two"] }),
        json!({ "field": "sub3", "in": ["three"] }),
        json!({ "field": "sub4", "in": ["four"] }),
        json!({ "field": "sub5", "in": ["five"] }),
        json!({ "field": "meta.tariff", "in": ["b2b"] }),
        json!({ "field": "meta.tariff", "not_in": ["b2b"] }),
        json!({ "all": [country, annual] }),
        json!({ "any": [country, annual] }),
        json!({ "all": [{ "any": [country, { "all": [annual, { "field": "sub1", "in": ["one"] }] }] },
            { "field": "meta.tariff", "in": ["b2b"] }] }),
    ];
    let (trade, bea) = Trade::under(told_apart(&conditions)).await;
    let link = json!({ "program": trade.program, "partner": bea.id, "destination": "https://shop.example/roses" });
    let link = trade.world.post("/v1/links", link).await.expect(201);
    let click = trade.world.click(link.str("code")).await;
    let cases: [(Value, &[usize]); 9] = [
        (json!({}), &[1, 3, 4, 6, 14]),
        (json!({ "click_id": click }), &[1, 3, 4, 7, 14]),
        (json!({ "country": "IE" }), &[0, 3, 4, 6, 14, 16]),
        (
            json!({ "country": "FR", "product": "Annual" }),
            &[1, 2, 4, 6, 14, 16],
        ),
        (
            json!({ "country": "GB", "product": "annual" }),
            &[0, 2, 4, 6, 14, 15, 16],
        ),
        (
            json!({ "sub1": "one", "sub2": "two", "sub3": "three", "sub4": "four", "sub5": "five" }),
            &[1, 3, 4, 6, 8, 9, 10, 11, 12, 14],
        ),
        (
            json!({ "sub1": "two", "sub2": "one", "meta": { "tariff": "b2b", "seats": "5" } }),
            &[1, 3, 4, 6, 13],
        ),
        (
            json!({ "country": "GB", "meta": { "tariff": "B2B" } }),
            &[0, 3, 4, 6, 13, 16, 17],
        ),
        (
            json!({ "product": "annual", "sub1": "one", "meta": { "tariff": "b2b" } }),
            &[1, 2, 4, 6, 8, 13, 16, 17],
        ),
    ];
    check(&trade, &bea, &cases).await;
}

#[tokio::test]
async fn numbers_decide_at_the_exact_boundary_and_an_event_without_one_fails() {
    let conditions = [
        json!({ "field": "amount", "at_least": "100.00" }),
        json!({ "field": "amount", "below": "100.00" }),
        json!({ "field": "amount", "at_least": "50.00", "below": "100.00" }),
        json!({ "field": "quantity", "at_least": 3 }),
        json!({ "field": "quantity", "below": 3 }),
        json!({ "field": "margin", "at_least": "40.00" }),
        json!({ "field": "margin", "below": "40.00" }),
        json!({ "field": "net_revenue", "at_least": "80.00" }),
        json!({ "field": "net_revenue", "below": "80.00" }),
        json!({ "all": [{ "field": "amount", "at_least": "100.00" },
            { "any": [{ "field": "quantity", "at_least": 3 }, { "field": "margin", "at_least": "40.00" }] }] }),
    ];
    let (trade, bea) = Trade::under(told_apart(&conditions)).await;
    let cases: [(Value, &[usize]); 10] = [
        (json!({}), &[4]),
        (json!({ "amount": "0.00" }), &[1, 4]),
        (json!({ "amount": "49.99" }), &[1, 4]),
        (json!({ "amount": "50.00" }), &[1, 2, 4]),
        (json!({ "amount": "99.99" }), &[1, 2, 4]),
        (json!({ "amount": "100.00" }), &[0, 4]),
        (json!({ "amount": "100.00", "quantity": 2 }), &[0, 4]),
        (json!({ "amount": "100.00", "quantity": 3 }), &[0, 3, 9]),
        (
            json!({ "amount": "100.00", "margin": "39.99", "net_revenue": "79.99" }),
            &[0, 4, 6, 8],
        ),
        (
            json!({ "amount": "100.00", "margin": "40.00", "net_revenue": "80.00" }),
            &[0, 4, 5, 7, 9],
        ),
    ];
    check(&trade, &bea, &cases).await;
}

#[tokio::test]
async fn what_is_left_of_an_amount_decides_once_a_part_of_it_was_taken_back() {
    let conditions = [
        json!({ "field": "amount", "at_least": "100.00" }),
        json!({ "field": "amount", "below": "100.00" }),
        json!({ "field": "margin", "at_least": "40.00" }),
        json!({ "field": "margin", "below": "40.00" }),
    ];
    let (trade, bea) = Trade::under(told_apart(&conditions)).await;
    let facts = json!({ "amount": "101.00", "margin": "40.40" });
    let order = trade.sell(&bea, "o-1", facts).await;
    assert_eq!(trade.earned(&bea).await, sum(&[0, 2], 1));
    trade.take_back(&order, "r-1", Some("1.00")).await;
    assert_eq!(trade.earned(&bea).await, sum(&[0, 2], 1));
    // Of 99.99 the margin is 39.996, which is 40.00.
    trade.take_back(&order, "r-2", Some("0.01")).await;
    assert_eq!(trade.earned(&bea).await, sum(&[1, 2], 1));
    trade.take_back(&order, "r-3", Some("0.01")).await;
    assert_eq!(trade.earned(&bea).await, sum(&[1, 3], 1));
}

/// Ada's first sale, others a month and a year later to the second, and what the event itself says of Ben.
fn of_customers() -> [(Value, &'static [usize]); 8] {
    let of = |customer: &str, at: &str| json!({ "customer": customer, "occurred_at": at });
    let said = |customer: &str, at: &str, kind: &str| json!({ "customer": customer, "occurred_at": at, "customer_type": kind });
    [
        (of("ada", "2025-01-31T10:00:00Z"), &[0, 3]),
        (of("ada", "2025-02-28T09:59:59Z"), &[1, 3]),
        (of("ada", "2025-02-28T10:00:00Z"), &[1, 2]),
        (of("ada", "2026-01-31T09:59:59Z"), &[1, 2]),
        (of("ada", "2026-01-31T10:00:00Z"), &[1, 2, 4]),
        (said("ben", "2026-02-01T00:00:00Z", "returning"), &[1, 3]),
        (said("ben", "2026-02-02T00:00:00Z", "new"), &[0, 3]),
        (json!({ "occurred_at": "2026-02-03T00:00:00Z" }), &[0, 3]),
    ]
}

fn by_history() -> Value {
    told_apart(&[
        json!({ "field": "customer", "is": "new" }),
        json!({ "field": "customer", "is": "returning" }),
        json!({ "field": "months_since_first_sale", "at_least": 1 }),
        json!({ "field": "months_since_first_sale", "below": 1 }),
        json!({ "field": "months_since_first_sale", "at_least": 12 }),
    ])
}

#[tokio::test]
async fn a_customers_history_decides_where_the_event_does_not_say() {
    let (trade, bea) = Trade::under(by_history()).await;
    check(&trade, &bea, &of_customers()).await;
}

#[tokio::test]
async fn a_customers_history_decides_the_same_when_it_is_told_backwards() {
    let (trade, bea) = Trade::under(by_history()).await;
    let mut expected = 0;
    for (number, (facts, positions)) in of_customers().iter().enumerate().rev() {
        let _ = trade
            .sell(&bea, &format!("o-{number}"), facts.clone())
            .await;
        expected += positions.iter().map(|position| 1 << position).sum::<u64>();
    }
    // 9 + 10 + 6 + 6 + 22 + 10 + 9 + 9.
    assert_eq!(expected, 81);
    assert_eq!(trade.earned(&bea).await, "0.81");
}
