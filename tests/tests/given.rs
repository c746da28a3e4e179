//! Cases from the field, with their figures. What was published in dollars or euros is paid in pounds here.

use serde_json::{Value, json};
use tributary_tests::World;

use crate::trade::{Seller, Trade};

#[tokio::test]
async fn lines_round_half_up_on_minor_units() {
    let world = World::start().await;
    for (amount, rate, expected) in [
        ("0.07", "0.20", "0.01"),
        ("0.02", "0.20", "0.00"),
        ("0.03", "0.20", "0.01"),
        ("0.15", "0.10", "0.02"),
        ("0.01", "0.50", "0.01"),
        ("5.00", "0.029", "0.15"),
        ("49.00", "0.30", "14.70"),
    ] {
        let (program, token, _) = world
            .program(
                0,
                json!([{ "kind": "percent", "event": "sale", "rate": rate }]),
            )
            .await;
        let (partner, link, coupon) = world.partner_in(&program, "Ada").await;
        let stand = tributary_tests::Stand {
            program,
            token,
            signing_secret: String::new(),
            partner,
            link,
            coupon,
        };
        let _ = world.sale(&stand, "o-1", amount).await;
        world.settle().await;
        assert_eq!(
            world.balances(&stand.partner).await[0],
            expected,
            "{amount} at {rate}"
        );
    }
}

#[tokio::test]
async fn a_flat_amount_is_paid_for_each_unit() {
    let world = World::start().await;
    let stand = world
        .stand_with(
            0,
            json!([{ "kind": "flat", "event": "lead", "amount": "5.00" }]),
        )
        .await;
    let body =
        json!({ "transaction_id": "l-1", "event": "lead", "coupon": stand.coupon, "quantity": 2 });
    let _ = world.postback(&stand, body).await.expect(201);
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "10.00");
}

#[tokio::test]
async fn several_components_make_a_hybrid_and_an_event_nobody_pays_for_pays_nothing_and_says_so() {
    let world = World::start().await;
    let terms = json!([
        { "kind": "flat", "event": "sale", "amount": "4.00" },
        { "kind": "percent", "event": "sale", "rate": "0.02" },
    ]);
    let stand = world.stand_with(0, terms).await;
    let _ = world.sale(&stand, "o-1", "100.00").await;
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await[0], "6.00");
    let body = json!({ "transaction_id": "t-1", "event": "trial", "coupon": stand.coupon });
    let trial = world
        .postback(&stand, body)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    world.settle().await;
    let trial = world
        .get(&format!("/v1/conversions/{trial}"))
        .await
        .expect(200);
    assert_eq!(trial.str("/outcome/commission"), "0.00");
    assert!(
        trial.text.contains("nothing pays for the event"),
        "{}",
        trial.text
    );
    assert_eq!(world.balances(&stand.partner).await[0], "6.00");
}

#[tokio::test]
async fn a_hold_of_thirty_days_passes_to_the_second() {
    let world = World::start().await;
    let stand = world.stand().await;
    let body = json!({
        "transaction_id": "o-1", "coupon": stand.coupon, "amount": "49.00", "occurred_at": "2020-08-19T16:28:25Z",
    });
    // Older than what a tracker may report: it takes an operator.
    let path = format!("/v1/postbacks/{}", stand.program);
    let conversion = world
        .post(&path, body)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    world.settle().await;
    let held = world
        .get(&format!("/v1/conversions/{conversion}"))
        .await
        .expect(200);
    assert_eq!(held.str("/outcome/release_at"), "2020-09-18T16:28:25Z");
}

#[tokio::test]
async fn what_is_below_the_minimum_waits_for_more() {
    let world = World::start().await;
    let stand = world.stand().await;
    for number in 0..3 {
        let _ = world.sale(&stand, &format!("o-{number}"), "49.00").await;
    }
    world.settle().await;
    world.advance_days(30).await;
    assert_eq!(world.balances(&stand.partner).await[1], "44.10");
    let batch = world.batch(&stand.program, Some("50.00")).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.body["lines"].as_array().unwrap().len(), 0);
    assert_eq!(batch.str("/left_out/0/reason"), "below_minimum");
    assert_eq!(world.balances(&stand.partner).await[1], "44.10");

    let _ = world.sale(&stand, "o-3", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, Some("50.00")).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.str("/lines/0/amount"), "58.80");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "58.80", "0.00"]
    );
}

#[tokio::test]
async fn what_is_reversed_after_payout_is_carried_into_the_next_batch() {
    let world = World::start().await;
    let stand = world.stand().await;
    let first = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    let _ = world
        .get(&format!(
            "/v1/payouts/batches/{}/file?format=paypal&part=1",
            batch.str("id")
        ))
        .await
        .expect(200);
    let _ = world
        .post(
            &format!("/v1/payouts/{}/settle", batch.str("/lines/0/payout")),
            json!({}),
        )
        .await
        .expect(200);
    let reversal = json!({ "reversal_id": "r-1", "reason": "returned goods" });
    let path = format!("/v1/conversions/{first}/reversals");
    assert!(
        world
            .post(&path, reversal.clone())
            .await
            .status
            .is_success()
    );
    world.settle().await;
    assert_eq!(world.state(&first).await, "reversed");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "-14.70", "0.00", "14.70"]
    );
    assert!(world.post(&path, reversal).await.status.is_success());
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await[1],
        "-14.70",
        "a repeated reversal takes nothing more"
    );

    let carried = world.batch(&stand.program, None).await;
    let carried = world
        .get(&format!("/v1/payouts/batches/{carried}"))
        .await
        .expect(200);
    assert_eq!(carried.str("/left_out/0/reason"), "negative_balance");

    let _ = world.sale(&stand, "o-2", "100.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert_eq!(batch.str("/lines/0/amount"), "15.30");
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "15.30", "14.70"]
    );
}

#[tokio::test]
async fn a_returned_payout_is_payable_again_and_paid_by_the_next_batch() {
    let world = World::start().await;
    let stand = world.stand().await;
    let conversion = world.sale(&stand, "o-1", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    let _ = world
        .get(&format!(
            "/v1/payouts/batches/{}/file?format=paypal&part=1",
            batch.str("id")
        ))
        .await
        .expect(200);
    let payout = batch.str("/lines/0/payout").to_owned();
    let reason = json!({ "reason": "wallet closed", "evidence": "PayPal status RETURNED" });
    let _ = world
        .post(&format!("/v1/payouts/{payout}/return"), reason)
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "14.70", "0.00", "0.00"]
    );
    assert_eq!(world.state(&conversion).await, "payable");
    let next = world.batch(&stand.program, None).await;
    let next = world
        .get(&format!("/v1/payouts/batches/{next}"))
        .await
        .expect(200);
    assert_eq!(next.str("/lines/0/amount"), "14.70");
    assert_ne!(next.str("/lines/0/payout"), payout);
}

#[tokio::test]
async fn reversals_leave_from_where_the_money_stands() {
    let world = World::start().await;
    let stand = world.stand().await;
    // Held.
    let held = world.sale(&stand, "o-held", "49.00").await;
    world.settle().await;
    let reverse = async |conversion: &str| {
        let body = json!({ "reversal_id": "r-1", "reason": "returned goods" });
        assert!(
            world
                .post(&format!("/v1/conversions/{conversion}/reversals"), body)
                .await
                .status
                .is_success()
        );
        world.settle().await;
    };
    reverse(&held).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "0.00"]
    );
    // Payable.
    let payable = world.sale(&stand, "o-payable", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    reverse(&payable).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "0.00", "0.00"]
    );
    // In a payout.
    let sent = world.sale(&stand, "o-sent", "49.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let _ = world.batch(&stand.program, None).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "0.00", "14.70", "0.00"]
    );
    reverse(&sent).await;
    assert_eq!(
        world.balances(&stand.partner).await,
        ["0.00", "-14.70", "14.70", "0.00"]
    );
    for conversion in [&held, &payable, &sent] {
        assert_eq!(world.state(conversion).await, "reversed");
    }
}

/// Tiers over what a partner sells in a month: where each begins, and its rate.
fn tiers(mode: &str, brackets: &[(&str, &str)]) -> Value {
    let brackets: Vec<Value> = brackets
        .iter()
        .map(|(from, rate)| json!({ "from": from, "rate": rate }))
        .collect();
    json!({ "components": [{ "kind": "tiered", "event": "sale", "mode": mode, "measure": { "unit": "amount" },
        "window": { "kind": "month" }, "brackets": brackets }] })
}

/// What sales of these amounts, one after the other, come to under these terms.
async fn comes_to(terms: Value, amounts: &[&str]) -> String {
    let (trade, seller) = Trade::under(terms).await;
    for (number, amount) in amounts.iter().enumerate() {
        let facts = json!({ "amount": amount, "occurred_at": format!("2026-02-0{}T10:00:00Z", number + 1) });
        let _ = trade.sell(&seller, &format!("o-{number}"), facts).await;
    }
    trade.earned(&seller).await
}

#[tokio::test]
async fn published_tiers_pay_each_part_of_the_sales_at_its_own_rate() {
    // "Use Marginal Payout Rule Functions", Trailhead, Salesforce Spiff: after 145,000 a deal of 20,000 has 5,000 at
    // 4 % and 15,000 at 6 % and is commissioned at $1,100.
    // https://trailhead.salesforce.com/it/content/learn/modules/salesforce-spiff-marginal-payout-rules/use-marginal-payout-rule-functions
    let spiff = tiers(
        "marginal",
        &[("0", "0.04"), ("150000", "0.06"), ("250000", "0.08")],
    );
    let (trade, rep) = Trade::under(spiff).await;
    let _ = trade
        .sell(&rep, "o-1", json!({ "amount": "145000.00" }))
        .await;
    let deal = trade
        .sell(&rep, "o-2", json!({ "amount": "20000.00" }))
        .await;
    assert_eq!(trade.commission(&deal).await, "1100.00");

    // "Commission Agreement Details Record", Aptify: $11,000.00 result in 250.00 + 500.00 + 150.00 = $900.00.
    // https://aptifykb.atlassian.net/wiki/pages/diffpagesbyversion.action?pageId=15417386804&selectedPageVersions=3&selectedPageVersions=4
    let aptify = [("0", "0.05"), ("5000", "0.10"), ("10000", "0.15")];
    assert_eq!(
        comes_to(tiers("marginal", &aptify), &["11000.00"]).await,
        "900.00"
    );
    assert_eq!(
        comes_to(tiers("marginal", &aptify), &["4000.00", "7000.00"]).await,
        "900.00"
    );

    // "How to Calculate Accumlative Commissions", eHow: $7,000 earn $100, $300 and $300.
    // http://www.ehow.com/how_7385965_calculate-accumlative-commissions.html
    let ehow = [("0", "0.05"), ("2000", "0.10"), ("5000", "0.15")];
    assert_eq!(
        comes_to(tiers("marginal", &ehow), &["7000.00"]).await,
        "700.00"
    );

    // "Tiered/Graduated Commission", SparrowGenie: $175,000 in a month earn $2,500 + $3,500 + ($75,000 x 10%) = $13,500.
    // https://www.sparrowgenie.com/sales-commission-models/tieredgraduated-commission
    let sparrow = [("0", "0.05"), ("50000", "0.07"), ("100000", "0.10")];
    assert_eq!(
        comes_to(tiers("marginal", &sparrow), &["175000.00"]).await,
        "13500.00"
    );

    // "Experiments with scenarios around tiered sales commissions", gist: $4,000, $5,000 and $6,000 of services earn
    // $400, $500 and $620.
    // https://gist.github.com/richardlawrence/1138036
    let gist = [("0", "0.10"), ("5000", "0.12")];
    for (amount, pays) in [
        ("4000.00", "400.00"),
        ("5000.00", "500.00"),
        ("6000.00", "620.00"),
    ] {
        assert_eq!(comes_to(tiers("marginal", &gist), &[amount]).await, pays);
    }
}

#[tokio::test]
async fn published_rate_tables_pay_each_transaction_in_steps_or_in_proportion() {
    let amounts = ["200", "300", "1500", "1200", "2000", "4500"];
    // "Examples of Calculating Earnings Using Step Rates", Oracle: processed individually and split non-proportionally
    // they pay 2, 3, 20, 14, 30 and 95 USD, in total 164 USD.
    // https://docs.oracle.com/en/cloud/saas/sales/facmi/examples-of-calculating-earnings-using-step-rates.html
    // and with all six https://docs.oracle.com/cd/G12028_01/trans/F77870-03/examples-of-calculating-earnings-using-step-rates.html
    let steps = tiers(
        "marginal",
        &[
            ("0", "0.01"),
            ("1000", "0.02"),
            ("3000", "0.03"),
            ("8000", "0.05"),
        ],
    );
    let pays = ["2.00", "3.00", "20.00", "14.00", "30.00", "95.00"];
    for (amount, pays) in amounts.into_iter().zip(pays) {
        assert_eq!(comes_to(steps.clone(), &[amount]).await, pays, "{amount}");
    }
    // "Examples of Calculating Earnings Using Interpolated Rates", Oracle: tiers of 10, 40, 100 and 2,000 pay them in
    // proportion 2, 3, 20, 14, 30 and 80 USD, in total 149 USD.
    // https://docs.oracle.com/cd/G11809_01/trans/F77870-03/examples-of-calculating-earnings-using-interpolated-rates.html
    let mut line = tiers("interpolated", &[]);
    line["components"][0]["brackets"] = json!([{ "from": "0", "pay": "0" }, { "from": "1000", "pay": "10" },
        { "from": "3000", "pay": "50" }, { "from": "8000", "pay": "150" }, { "from": "20000", "pay": "2150" }]);
    let pays = ["2.00", "3.00", "20.00", "14.00", "30.00", "80.00"];
    for (amount, pays) in amounts.into_iter().zip(pays) {
        assert_eq!(comes_to(line.clone(), &[amount]).await, pays, "{amount}");
    }
}

#[tokio::test]
async fn published_tiers_pay_all_sales_at_the_highest_rate_that_they_reach() {
    // "Commission Agreement Details Record", Aptify, as above: highest tier achieved, $11,000.00 result in $1650.00.
    let aptify = [("0", "0.05"), ("5000", "0.10"), ("10000", "0.15")];
    assert_eq!(
        comes_to(tiers("retroactive", &aptify), &["4000.00", "7000.00"]).await,
        "1650.00"
    );

    // "Subagreement Grouped Tiers", Intelitics: $250 CPA; the 3rd player is paid 275 and the 1st and 2nd are updated
    // to 275; the 5th is paid 300 and players 1-4 are updated to 300.
    // https://help.intelitics.com/en/articles/4925364-subagreement-grouped-tiers
    let brackets = json!([{ "from": 0, "amount": "250" }, { "from": 3, "amount": "275" }, { "from": 5, "amount": "300" }]);
    let intelitics = json!({ "components": [{ "kind": "tiered", "event": "deposit", "mode": "retroactive",
        "measure": { "unit": "count" }, "window": { "kind": "month" }, "brackets": brackets }] });
    let (trade, user) = Trade::under(intelitics).await;
    let mut earned = Vec::new();
    for player in 1..=5 {
        let _ = trade
            .sell(
                &user,
                &format!("player-{player}"),
                json!({ "event": "deposit" }),
            )
            .await;
        earned.push(trade.earned(&user).await);
    }
    assert_eq!(earned, ["250.00", "500.00", "825.00", "1100.00", "1500.00"]);
}

#[tokio::test]
async fn a_published_rate_follows_the_size_of_each_order() {
    // An untitled paste on tiers by the total of a sale: $25 earn $2.50 (10%), $75 earn $11.25 (15%), $200 earn $40
    // (20%).
    // https://pastebin.com/F832AA6M
    let tier = |rate: &str, bounds: Value| {
        let mut when = bounds;
        when["field"] = json!("amount");
        json!({ "kind": "percent", "event": "sale", "rate": rate, "when": when })
    };
    let terms = json!({ "components": [
        tier("0.10", json!({ "below": "50" })),
        tier("0.15", json!({ "at_least": "50", "below": "100" })),
        tier("0.20", json!({ "at_least": "100" })),
    ] });
    let (trade, affiliate) = Trade::under(terms).await;
    for (number, (amount, pays)) in [("25", "2.50"), ("75", "11.25"), ("200", "40.00")]
        .into_iter()
        .enumerate()
    {
        let sale = trade
            .sell(
                &affiliate,
                &format!("o-{number}"),
                json!({ "amount": amount }),
            )
            .await;
        assert_eq!(trade.commission(&sale).await, pays);
    }
}

/// What a sale comes to for its partner and those above it, the nearest first.
async fn up_the_levels(component: Value, levels: &[(&str, &str)], amount: &str) -> Vec<String> {
    let listed: Vec<Value> = levels
        .iter()
        .map(|(rate, of)| json!({ "rate": rate, "of": of }))
        .collect();
    let trade = Trade::open().await;
    trade
        .plan(
            "terms",
            json!({ "components": [component], "levels": listed }),
        )
        .await;
    let mut chain: Vec<Seller> = Vec::new();
    for number in 0..=levels.len() {
        let seller = trade
            .seller(&format!("p-{number}"), "terms", chain.last())
            .await;
        chain.push(seller);
    }
    chain.reverse();
    let _ = trade
        .sell(&chain[0], "o-1", json!({ "amount": amount }))
        .await;
    let mut earned = Vec::new();
    for seller in &chain {
        earned.push(trade.earned(seller).await);
    }
    earned
}

#[tokio::test]
async fn published_levels_share_the_commission_or_the_sale() {
    let percent = |rate: &str| json!({ "kind": "percent", "event": "sale", "rate": rate });
    // Affonso on multi-level commissions: of a $100 commission at 10% of it $10, $1 and $0.10; of a $200 sale at 5% of
    // the sale $10, $10 and $10.
    // https://affonso.io/help/commission-payouts/commission/multi-level-commissions
    let flat = json!({ "kind": "flat", "event": "sale", "amount": "100" });
    let found = up_the_levels(flat, &[("0.10", "commission"); 3], "500").await;
    assert_eq!(found, ["100.00", "10.00", "1.00", "0.10"]);
    let found = up_the_levels(percent("0.20"), &[("0.05", "sale"); 3], "200").await;
    assert_eq!(found[1..], ["10.00", "10.00", "10.00"]);

    // AesthetixCRM on how to set up multi-tier commissions: a $100 sale pays $20, and $10, $5, $3 and $2 above.
    // https://help.aesthetixcrm.com/en/articles/1142-how-to-set-up-multi-tier-commissions
    let levels = [
        ("0.10", "sale"),
        ("0.05", "sale"),
        ("0.03", "sale"),
        ("0.02", "sale"),
    ];
    let found = up_the_levels(percent("0.20"), &levels, "100").await;
    assert_eq!(found, ["20.00", "10.00", "5.00", "3.00", "2.00"]);

    // Ambassador's overview of multi-tier commissions: an override of 10% on a commission of $1000 is $100, and of that
    // $10; of $1,000 spent at 10% Heather receives $100 and Will $10.
    // https://learn.getambassador.com/en/articles/2353262-multi-tier-commissions-overview
    let flat = json!({ "kind": "flat", "event": "sale", "amount": "1000" });
    let found = up_the_levels(flat, &[("0.10", "commission"); 2], "5000").await;
    assert_eq!(found, ["1000.00", "100.00", "10.00"]);
    let found = up_the_levels(percent("0.10"), &[("0.10", "commission")], "1000").await;
    assert_eq!(found, ["100.00", "10.00"]);

    // "Understanding teirs and Levels", itthinx: of $100 at 30%, 2% and 1% C gets $30, B $2 and A $1.
    // https://www.itthinx.com/topic/understanding-teirs-and-levels/
    let found = up_the_levels(
        percent("0.30"),
        &[("0.02", "sale"), ("0.01", "sale")],
        "100",
    )
    .await;
    assert_eq!(found, ["30.00", "2.00", "1.00"]);
}

#[tokio::test]
async fn a_published_cap_binds_a_months_commission() {
    // "Capped Commission", SparrowGenie: 3% of $400,000 in a month is capped at $10,000 (rather than $12,000).
    // https://www.sparrowgenie.com/sales-commission-models/capped-commission
    let mut terms =
        json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.03" }] });
    assert_eq!(
        comes_to(terms.clone(), &["250000.00", "150000.00"]).await,
        "12000.00"
    );
    terms["caps"] =
        json!([{ "scope": "partner", "window": { "kind": "month" }, "amount": "10000" }]);
    assert_eq!(
        comes_to(terms, &["250000.00", "150000.00"]).await,
        "10000.00"
    );
}

#[tokio::test]
async fn published_negative_carryover_is_worked_off_before_anything_is_earned() {
    let share = |rate: &str| {
        json!({ "components": [{ "kind": "revenue_share", "event": "play", "rate": rate,
            "window": { "kind": "month" }, "carryover": "carry" }] })
    };
    // "How Negative Carryover Works in iGaming Affiliate Programs", Track360: at 30% minus 10,000 euros in one month
    // and 15,000 in the next leave 5,000, of which the affiliate earns 1,500 euros.
    // https://www.track360.info/blog/igaming-negative-carryover-guide
    let (trade, affiliate) = Trade::under(share("0.30")).await;
    let lost = json!({ "event": "play", "amount": "0", "chargebacks": "10000", "occurred_at": "2026-02-20T10:00:00Z" });
    let _ = trade.sell(&affiliate, "p-1", lost).await;
    assert_eq!(trade.earned(&affiliate).await, "0.00");
    let won = json!({ "event": "play", "amount": "15000", "occurred_at": "2026-03-01T10:00:00Z" });
    let _ = trade.sell(&affiliate, "p-2", won).await;
    assert_eq!(trade.earned(&affiliate).await, "1500.00");

    // "Revenue Share", 77777.net: at 20% a player's loss of 100 euros earns 20 euros, and another's win of 100 evens
    // it out.
    // https://77777.net/revenue-share/
    let (trade, affiliate) = Trade::under(share("0.20")).await;
    let _ = trade
        .sell(
            &affiliate,
            "p-1",
            json!({ "event": "play", "amount": "100" }),
        )
        .await;
    assert_eq!(trade.earned(&affiliate).await, "20.00");
    let win = json!({ "event": "play", "amount": "0", "chargebacks": "100" });
    let _ = trade.sell(&affiliate, "p-2", win).await;
    assert_eq!(trade.earned(&affiliate).await, "0.00");
}

/// What a customer's payments, one a month from January 2024 on, earn in all.
async fn monthly(terms: Value, amount: &str, payments: i32) -> String {
    let (trade, affiliate) = Trade::under(terms).await;
    for payment in 0..payments {
        let at = format!(
            "{}-{:02}-15T10:00:00Z",
            2024 + payment / 12,
            1 + payment % 12
        );
        let facts = json!({ "amount": amount, "customer": "ada", "occurred_at": at });
        let _ = trade.sell(&affiliate, &format!("o-{payment}"), facts).await;
    }
    trade.earned(&affiliate).await
}

#[tokio::test]
async fn published_recurring_commissions_are_paid_for_as_long_as_they_last() {
    // "Recurring Commissions: How They Work & Why They Matter", iCodrip: 25% of $100/month is $25 every month, over a
    // 24-month customer lifetime $600.
    // https://icodrip.com/learn/recurring-commissions-guide
    let forever = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.25" }] });
    assert_eq!(monthly(forever.clone(), "100", 1).await, "25.00");
    assert_eq!(monthly(forever, "100", 24).await, "600.00");

    // "Commission flows", Tolt: 30% of every payment in the customer's first year, of a $49.00 payment 1470 cents.
    // https://docs.tolt.com/concepts/commission-flows.md
    // "Revenue Share Model", TrekMail: paid monthly from January on, there is a commission each month through
    // December, and none for the January payment of the following year. Twelve times 14.70 are 176.40.
    // https://trekmail.net/docs/affiliate-program/revenue-share-model
    let first_year = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.30", "duration": { "months": 12 } }] });
    assert_eq!(monthly(first_year.clone(), "49.00", 1).await, "14.70");
    for payments in [12, 13] {
        assert_eq!(
            monthly(first_year.clone(), "49.00", payments).await,
            "176.40"
        );
    }
}

#[tokio::test]
async fn a_published_clawback_leaves_half_of_what_was_earned() {
    // Core8 on clawbacks and early exit: $10,000 are earned, early termination triggers 50% clawback, which is posted
    // as -5000.
    // https://docs.core8.co/commission-plan-patterns/clawbacks-and-early-exit
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let (trade, rep) = Trade::under(terms.clone()).await;
    let deal = trade.sell(&rep, "o-1", json!({ "amount": "100000" })).await;
    assert_eq!(trade.earned(&rep).await, "10000.00");
    // As half of the deal is taken back.
    trade.take_back(&deal, "r-1", Some("50000")).await;
    assert_eq!(trade.earned(&rep).await, "5000.00");
    let path = format!("/v1/commissions/{deal}/trace");
    let trace = trade.world.get(&path).await.expect(200);
    assert_eq!(trace.str("/corrections/0/amount"), "-5000.00");
    // As an adjustment of what is payable.
    let (trade, rep) = Trade::under(terms).await;
    let _ = trade.sell(&rep, "o-1", json!({ "amount": "100000" })).await;
    trade.world.advance_days(31).await;
    let clawback = json!({ "adjustment_id": "c-1", "program": trade.program, "partner": rep.id, "direction": "debit",
        "amount": "5000", "currency": "GBP", "reason": "early termination" });
    let _ = trade
        .world
        .post("/v1/adjustments", clawback)
        .await
        .expect(200);
    trade.world.advance_days(1).await;
    assert_eq!(
        trade.world.balances(&rep.id).await[..2],
        ["0.00", "5000.00"]
    );
}
