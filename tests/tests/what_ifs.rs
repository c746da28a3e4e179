//! What another plan would have paid: a plan asked about its own history comes to what it paid, another one to
//! what it is signed on, on the deployment and over an export.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::http::Method;
use serde_json::{Value, json};
use tributary::table::Item;
use tributary_local::what_if::{Answered, Ask, answer};
use tributary_tests::{Answer, Stand, World};

/// A program under a plan of these terms, with three partners one above the other; the stand's is the lowest.
async fn under(world: &World, terms: &Value) -> (Stand, Vec<(String, String)>) {
    let mut stand = world
        .stand_with(
            30,
            json!([{ "kind": "percent", "event": "none", "rate": "0.5" }]),
        )
        .await;
    let mut plan =
        json!({ "code": "terms", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z" });
    for (name, value) in terms.as_object().unwrap() {
        plan[name] = value.clone();
    }
    let plans = format!("/v1/programs/{}/plans", stand.program);
    let _ = world.post(&plans, plan).await.expect(201);
    let mut partners: Vec<(String, String)> = Vec::new();
    for name in ["Top", "Mid", "Low"] {
        let upline = partners.last().map(|(partner, _)| partner.clone());
        partners.push(partner(world, &stand.program, name, "terms", upline.as_deref()).await);
    }
    (stand.partner, stand.coupon) = partners[2].clone();
    (stand, partners)
}

async fn partner(
    world: &World,
    program: &str,
    name: &str,
    plan: &str,
    upline: Option<&str>,
) -> (String, String) {
    let body =
        json!({ "name": name, "email": "p@example.com", "country": "GB", "kind": "affiliate" });
    let partner = world.post("/v1/partners", body).await.expect(201);
    let partner = partner.str("id").to_owned();
    let body = json!({ "program": program, "plan": plan, "upline": upline });
    let _ = world
        .post(&format!("/v1/partners/{partner}/enrolments"), body)
        .await
        .expect(201);
    let code = name.to_uppercase();
    let body = json!({ "program": program, "partner": partner, "code": code });
    let _ = world.post("/v1/coupons", body).await.expect(201);
    (partner, code)
}

struct Sale<'a> {
    order: &'a str,
    coupon: &'a str,
    at: &'a str,
    amount: &'a str,
    customer: &'a str,
}

async fn sell(world: &World, stand: &Stand, sale: Sale<'_>) -> String {
    let Sale {
        order,
        coupon,
        at,
        amount,
        customer,
    } = sale;
    let body = json!({
        "transaction_id": order, "coupon": coupon, "amount": amount, "currency": "GBP", "occurred_at": at,
        "customer": customer, "bonuses": "1.00", "meta": { "campaign": "spring" },
    });
    let posted = world.postback(stand, body).await.expect(201);
    world.settle().await;
    posted.str("conversion").to_owned()
}

async fn take_back(world: &World, conversion: &str, id: &str, amount: Option<&str>) {
    let mut body = json!({ "reversal_id": id, "reason": "sent back" });
    if let Some(amount) = amount {
        body["amount"] = json!(amount);
        body["currency"] = json!("GBP");
    }
    let path = format!("/v1/conversions/{conversion}/reversals");
    let answer = world.post(&path, body).await;
    assert!(answer.status.as_u16() < 300, "{}", answer.text);
    world.settle().await;
}

/// Two months of sales of three partners: out of order, one known only after its month had closed, one taken
/// back in parts and one whole.
async fn two_months(world: &World, stand: &Stand, partners: &[(String, String)], moves: bool) {
    let coupons: Vec<&str> = partners.iter().map(|(_, coupon)| coupon.as_str()).collect();
    let at_once = [
        ("o-1", 2, "2026-03-01T10:00:00Z", "4000.00", "ann"),
        ("o-2", 2, "2026-03-01T08:00:00Z", "2000.00", "ann"),
        ("o-3", 1, "2026-03-01T09:00:00Z", "700.00", "ben"),
        ("o-4", 0, "2026-03-01T07:00:00Z", "333.33", "cat"),
        ("o-5", 2, "2026-03-01T10:00:00Z", "100.01", "dan"),
    ];
    let mut made = BTreeMap::new();
    for (order, who, at, amount, customer) in at_once {
        let sale = Sale {
            order,
            coupon: coupons[who],
            at,
            amount,
            customer,
        };
        made.insert(order, sell(world, stand, sale).await);
    }
    take_back(world, &made["o-1"], "r-1", Some("1000.03")).await;
    take_back(world, &made["o-3"], "r-2", None).await;
    world.advance_days(40).await;
    if moves {
        // What happened before stays with those who stood above then, also where it is told only now.
        let program = &stand.program;
        let (top, low) = (&partners[0].0, &partners[2].0);
        let body = json!({ "program": program, "plan": "terms", "upline": top });
        let path = format!("/v1/partners/{low}/enrolments");
        let _ = world.post(&path, body).await.expect(200);
    }
    let later = [
        ("o-6", 2, "2026-04-05T10:00:00Z", "5500.00", "ann"),
        ("o-7", 1, "2026-04-06T10:00:00Z", "1200.00", "ben"),
        // March closed on the 4th of April.
        ("o-8", 2, "2026-03-20T10:00:00Z", "900.00", "eve"),
    ];
    for (order, who, at, amount, customer) in later {
        let sale = Sale {
            order,
            coupon: coupons[who],
            at,
            amount,
            customer,
        };
        made.insert(order, sell(world, stand, sale).await);
    }
    take_back(world, &made["o-2"], "r-3", Some("500.00")).await;
    world.advance_days(40).await;
    // Twice: a window that closes is reached by the walk before it is closed.
    world.advance_days(1).await;
}

/// The answer to a question, once it is there.
async fn asked(world: &World, program: &str, question: Value) -> (Value, Vec<Value>) {
    let path = format!("/v1/programs/{program}/what-if");
    let asked = world.post(&path, question).await.expect(202);
    assert_eq!(asked.str("state"), "running");
    world.settle().await;
    answered(world, asked.str("id")).await
}

async fn answered(world: &World, id: &str) -> (Value, Vec<Value>) {
    let done = world.get(&format!("/v1/what-ifs/{id}")).await.expect(200);
    assert_eq!(done.str("state"), "done", "{}", done.text);
    let mut partners = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/what-ifs/{id}/partners?limit=1{cursor}");
        let page = world.get(&path).await.expect(200);
        partners.extend(page.items().to_vec());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    (done.body, partners)
}

/// What stands in the table but for questions, answers to repeated requests and clockwork's marks.
async fn everything_else(world: &World) -> BTreeMap<String, Item> {
    let text = |item: &Item, name: &str| item[name].as_s().unwrap().clone();
    let own = ["WHATIF#", "ONCE#", "CLOCKWORK"];
    let items = world.scan("main").await.into_iter();
    items
        .map(|item| (format!("{} {}", text(&item, "pk"), text(&item, "sk")), item))
        .filter(|(key, _)| !own.iter().any(|own| key.starts_with(own)))
        .collect()
}

fn plans() -> Vec<(&'static str, Value)> {
    let brackets = json!([{ "from": "0", "rate": "0.10" }, { "from": "5000", "rate": "0.12" }]);
    let tiered = |mode: &str, scope: &str, kind: &str| {
        json!({ "kind": "tiered", "event": "sale", "mode": mode,
            "measure": { "unit": "amount", "events": ["sale"], "scope": scope },
            "window": { "kind": kind }, "brackets": brackets })
    };
    let percent = json!({ "kind": "percent", "event": "sale", "rate": "0.10" });
    let mut gated = percent.clone();
    gated["gate"] = json!({
        "measure": { "unit": "count", "events": ["sale"], "scope": "own" },
        "window": { "kind": "month" }, "at_least": 2,
    });
    let mut first = percent.clone();
    first["duration"] = json!("first_sale");
    vec![
        (
            "percent with levels",
            json!({ "components": [percent],
            "levels": [{ "rate": "0.10", "of": "sale" }, { "rate": "0.5", "of": "commission" }] }),
        ),
        (
            "attained",
            json!({ "components": [tiered("attained", "own", "month")] }),
        ),
        (
            "marginal, lifetime",
            json!({ "components": [tiered("marginal", "own", "lifetime")] }),
        ),
        (
            "retroactive over the sub-tree",
            json!({
            "components": [tiered("retroactive", "subtree", "quarter")],
            "levels": [{ "rate": "0.10", "of": "commission" }] }),
        ),
        (
            "gated",
            json!({ "components": [gated, { "kind": "flat", "event": "sale", "amount": "1.00" }],
            "levels": [{ "rate": "0.10", "of": "commission" }] }),
        ),
        ("first sale", json!({ "components": [first] })),
        (
            "capped per partner",
            json!({ "components": [percent],
            "caps": [{ "scope": "partner", "window": { "kind": "month" }, "amount": "450.00" }] }),
        ),
        (
            "budget",
            json!({ "components": [percent],
            "caps": [{ "scope": "program", "window": { "kind": "lifetime" }, "amount": "600.00" }] }),
        ),
        (
            "net gaming revenue",
            json!({ "components": [{ "kind": "revenue_share", "event": "sale",
            "window": { "kind": "month" }, "rate": "0.25", "carryover": "carry" }] }),
        ),
    ]
}

#[tokio::test]
async fn a_plan_asked_about_its_own_history_comes_to_what_it_paid() {
    for (name, terms) in plans() {
        let world = World::start().await;
        let (stand, partners) = under(&world, &terms).await;
        // A window's close goes to those who stand above at its end, which no event tells.
        two_months(&world, &stand, &partners, name != "gated").await;
        let before = everything_else(&world).await;
        let question = json!({ "plan": terms, "from": "2000-01-01T00:00:00Z" });
        let (done, items) = asked(&world, &stand.program, question).await;
        assert_eq!(done["total"]["delta"], "0.00", "{name}: {done}");
        assert_eq!(done["total"]["conversions"], 7, "{name}: {done}");
        assert_ne!(done["total"]["paid"], "0.00", "{name}: {done}");
        let after = everything_else(&world).await;
        let touched: Vec<_> = after
            .iter()
            .filter(|(key, item)| before.get(*key) != Some(item))
            .map(|(key, _)| key)
            .collect();
        assert_eq!((touched, before.len()), (Vec::new(), after.len()), "{name}");
        for (partner, _) in &partners {
            let balances = world.balances(partner).await;
            let minor = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
            let earned: i64 = balances.iter().map(|balance| minor(balance)).sum();
            let own = items.iter().find(|item| item["partner"] == **partner);
            let figure = |figure: &str| own.map_or(0, |own| minor(own[figure].as_str().unwrap()));
            assert_eq!(figure("delta"), 0, "{name}");
            assert_eq!(figure("paid") + figure("paid_levels"), earned, "{name}");
            assert_eq!(
                figure("would_pay") + figure("would_pay_levels"),
                earned,
                "{name}"
            );
        }
        let shuffled = export(&world, &stand.program).await;
        let over = local(&shuffled, &terms, world.now().to_string());
        same(&items, &over, name);
    }
}

/// The program's history, its lines turned round.
async fn export(world: &World, program: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/programs/{program}/history{cursor}");
        let page = world.get(&path).await.expect(200);
        assert_eq!(
            page.headers["content-type"],
            "application/jsonl; charset=utf-8"
        );
        lines.extend(page.text.lines().map(str::to_owned));
        match page.headers.get("tributary-next-cursor") {
            Some(next) => cursor = format!("?cursor={}", next.to_str().unwrap()),
            None => break,
        }
    }
    lines[1..].reverse();
    lines
}

/// What `tributary-local what-if` makes of these lines.
fn local(lines: &[String], plan: &Value, to: String) -> Answered {
    let folder = tempfile::tempdir().unwrap();
    answer(&ask(folder.path().to_owned(), lines, plan, &to)).unwrap()
}

fn ask(folder: PathBuf, lines: &[String], plan: &Value, to: &str) -> Ask {
    let (plan_file, history) = (folder.join("plan.json"), folder.join("history.jsonl"));
    std::fs::write(&plan_file, plan.to_string()).unwrap();
    std::fs::write(&history, format!("{}\n", lines.join("\n"))).unwrap();
    Ask {
        plan: plan_file,
        history,
        from: Some("2026-03-01T00:00:00Z".parse().unwrap()),
        to: Some(to.parse().unwrap()),
        replaces: None,
        json: false,
    }
}

fn same(items: &[Value], over: &Answered, name: &str) {
    assert_eq!(items.len(), over.partners.len(), "{name}");
    for (item, (partner, figures)) in items.iter().zip(&over.partners) {
        let minor = |figure: &str| {
            item[figure]
                .as_str()
                .unwrap()
                .replace('.', "")
                .parse::<i64>()
                .unwrap()
        };
        assert_eq!(item["partner"], partner.to_string(), "{name}");
        assert_eq!(item["conversions"], figures.conversions, "{name}");
        assert_eq!(
            [
                minor("paid"),
                minor("paid_levels"),
                minor("would_pay"),
                minor("would_pay_levels"),
                minor("provisional")
            ],
            [
                figures.paid,
                figures.paid_levels,
                figures.pays,
                figures.pays_levels,
                figures.provisional
            ],
            "{name}"
        );
    }
}

#[tokio::test]
async fn another_plan_is_put_over_what_really_happened() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let (stand, partners) = under(&world, &terms).await;
    let (other, coupon) = partner(&world, &stand.program, "Other", "standard", None).await;
    two_months(&world, &stand, &partners, false).await;
    let sale = Sale {
        order: "o-9",
        coupon: &coupon,
        at: "2026-04-07T00:00:00Z",
        amount: "100.00",
        customer: "fay",
    };
    let _ = sell(&world, &stand, sale).await;
    // 4,000 less 1,000.03, 2,000 less 500, 100.01, 5,500 and 900: each event is rounded by itself.
    let lowest = |from: &str| {
        json!({ "plan": { "components": [
        { "kind": "percent", "event": "sale", "rate": "0.25" }],
        "levels": [{ "rate": "0.02", "of": "sale" }] }, "from": from, "replaces": "terms" })
    };
    let (done, items) = asked(&world, &stand.program, lowest("2026-03-01T00:00:00Z")).await;
    let of = |items: &[Value], partner: &str| {
        let found = items.iter().find(|item| item["partner"] == partner);
        found.cloned().unwrap_or(Value::Null)
    };
    let low = of(&items, &partners[2].0);
    assert_eq!(low["paid"], "1100.00");
    assert_eq!(low["would_pay"], "2749.99");
    assert_eq!(low["delta"], "1649.99");
    // 1,200 of its own, and 2 % of what the lowest sold.
    let mid = of(&items, &partners[1].0);
    assert_eq!(
        (mid["paid"].as_str(), mid["paid_levels"].as_str()),
        (Some("120.00"), Some("0.00"))
    );
    assert_eq!(
        (mid["would_pay"].as_str(), mid["would_pay_levels"].as_str()),
        (Some("300.00"), Some("220.00"))
    );
    // Whoever is paid by another plan is not in question.
    assert_eq!(of(&items, &other), Value::Null);
    assert_eq!(done["progress"]["partners"], 4);
    assert_eq!(done["replaces"], "terms");
    // Of April only, from a month on.
    let (april, items) = asked(&world, &stand.program, lowest("2026-04-01T00:00:00Z")).await;
    assert_eq!(of(&items, &partners[2].0)["would_pay"], "1375.00");
    assert_eq!(april["total"]["conversions"], 2);
}

#[tokio::test]
async fn a_customer_is_known_from_before_the_span() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let (stand, partners) = under(&world, &terms).await;
    two_months(&world, &stand, &partners, false).await;
    let question = json!({ "plan": { "components": [{ "kind": "percent", "event": "sale", "rate": "0.10",
        "duration": "first_sale" }] }, "from": "2026-04-01T00:00:00Z" });
    // Ann bought in March already, and what Ben bought then was taken back whole.
    let (done, _) = asked(&world, &stand.program, question).await;
    assert_eq!(done["total"]["paid"], "670.00");
    assert_eq!(done["total"]["would_pay"], "120.00");
}

#[tokio::test]
async fn what_a_gate_holds_back_is_provisional_until_its_window_has_closed() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10", "gate": {
        "measure": { "unit": "count", "events": ["sale"], "scope": "own" },
        "window": { "kind": "month" }, "at_least": 1 } }] });
    let (stand, partners) = under(&world, &terms).await;
    two_months(&world, &stand, &partners, false).await;
    // The sale that March was told of after its close counts in April, which ends behind the span.
    let figures = async |to: &str| {
        let question = json!({ "plan": terms, "from": "2026-03-01T00:00:00Z", "to": to });
        let (done, _) = asked(&world, &stand.program, question).await;
        let figure = |name: &str| done["total"][name].as_str().unwrap().to_owned();
        (figure("would_pay"), figure("provisional"))
    };
    let both = ("493.33".to_owned(), "90.00".to_owned());
    assert_eq!(figures("2026-04-01T00:00:00Z").await, both);
    let told = ("493.33".to_owned(), "760.00".to_owned());
    assert_eq!(figures("2026-04-30T00:00:00Z").await, told);
    let closed = ("1253.33".to_owned(), "0.00".to_owned());
    assert_eq!(figures("2026-05-01T00:00:00Z").await, closed);
}

#[tokio::test]
async fn a_question_survives_the_loss_of_its_messages_and_is_counted_once() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let (stand, partners) = under(&world, &terms).await;
    two_months(&world, &stand, &partners, false).await;
    let path = format!("/v1/programs/{}/what-if", stand.program);
    let question = json!({ "plan": terms, "from": "2026-03-01T00:00:00Z" });
    let asked = world.post(&path, question).await.expect(202);
    world.lose_transport().await;
    let find = format!("/v1/what-ifs/{}", asked.str("id"));
    assert_eq!(world.get(&find).await.expect(200).str("state"), "running");
    world.clockwork().await;
    world.settle().await;
    let (done, _) = answered(&world, asked.str("id")).await;
    assert_eq!(done["total"]["delta"], "0.00");
    assert_eq!(done["total"]["paid"], "1253.33");
    // Asked for again, a step that was done is not done twice.
    let id = asked.str("id").parse().unwrap();
    tributary::what_ifs::advance(world.instance.app(), id)
        .await
        .unwrap();
    assert_eq!(answered(&world, asked.str("id")).await.0, done);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_told_why() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/programs/{}/what-if", stand.program);
    let plan = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let refuse = async |body: Value, status: u16, code: &str, field: &str| {
        let answer: Answer = world.post(&path, body).await.problem(status, code);
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.text);
    };
    refuse(
        json!({ "from": "2026-03-01T00:00:00Z" }),
        422,
        "required",
        "plan",
    )
    .await;
    refuse(json!({ "plan": plan }), 422, "required", "from").await;
    let overlapping =
        json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "1.5" }] });
    refuse(
        json!({ "plan": overlapping, "from": "2026-03-01T00:00:00Z" }),
        422,
        "rate_over_limit",
        "plan.components[0].rate",
    )
    .await;
    refuse(
        json!({ "plan": plan, "from": "2026-03-09T00:00:00Z" }),
        422,
        "time_in_future",
        "from",
    )
    .await;
    refuse(
        json!({ "plan": plan, "from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:00:00Z" }),
        422,
        "out_of_range",
        "to",
    )
    .await;
    refuse(
        json!({ "plan": plan, "from": "2026-03-01T00:00:00Z", "replaces": "nothing" }),
        422,
        "reference_unknown",
        "replaces",
    )
    .await;
    let subtree = json!({ "components": [{ "kind": "milestone", "event": "sale", "amount": "5.00", "at": 3,
        "measure": { "unit": "count", "events": ["sale"], "scope": "subtree" }, "window": { "kind": "lifetime" } }] });
    refuse(
        json!({ "plan": subtree, "from": "2026-03-01T00:00:00Z", "replaces": "standard" }),
        422,
        "unknown_field",
        "replaces",
    )
    .await;
    let good = json!({ "plan": plan, "from": "2026-03-01T00:00:00Z" });
    for _ in 0..3 {
        let _ = world.post(&path, good.clone()).await.expect(202);
    }
    let _ = world
        .post(&path, good.clone())
        .await
        .problem(409, "limit_reached");
    world.settle().await;
    let _ = world.post(&path, good.clone()).await.expect(202);
    let nobody = "/v1/what-ifs/wif_01kar52v4e8qzr5n3m6x7p9tdc";
    let _ = world.get(nobody).await.problem(404, "not_found");
    let _ = world
        .get(&format!("{nobody}/partners"))
        .await
        .problem(404, "not_found");
    let history = format!("/v1/programs/{}/history", stand.program);
    let _ = world
        .get(&format!("{history}?cursor=x"))
        .await
        .problem(422, "cursor_invalid");
    let _ = world
        .ask("", Method::GET, &history, &[], None)
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_unreadable_export_is_told_by_line_and_reason() {
    let world = World::start().await;
    let terms = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] });
    let (stand, partners) = under(&world, &terms).await;
    two_months(&world, &stand, &partners, false).await;
    let lines = export(&world, &stand.program).await;
    let told = |lines: &[String], plan: &Value| {
        let folder = tempfile::tempdir().unwrap();
        let to = world.now().to_string();
        answer(&ask(folder.path().to_owned(), lines, plan, &to))
            .unwrap_err()
            .to_string()
    };
    let without_header = told(&lines[1..], &terms);
    assert!(
        without_header.contains("line 1: is not the header of an exported history"),
        "{without_header}"
    );
    let mut torn = lines.clone();
    torn[3].truncate(40);
    let torn = told(&torn, &terms);
    assert!(torn.contains("line 4: EOF while parsing"), "{torn}");
    let mut precise = lines.clone();
    let of_a_sale = |line: &String| line.contains(r#""amount":""#);
    let place = precise.iter().position(of_a_sale).unwrap();
    precise[place] = precise[place].replace(r#""amount":""#, r#""amount":"0.001"#);
    let precise = told(&precise, &terms);
    let named = format!("line {}: amount: ", place + 1);
    assert!(precise.contains(&named), "{precise}");
    let mut late = lines.clone();
    late[0] = late[0].replace('}', r#","from":"2026-03-01T00:00:00Z"}"#);
    let first = json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "0.1", "duration": "first_sale" }] });
    let late = told(&late, &first);
    assert!(late.contains("what customers did before"), "{late}");
    let plan = told(
        &lines,
        &json!({ "components": [{ "kind": "percent", "event": "sale", "rate": "2" }] }),
    );
    assert!(plan.contains("plan.json: components[0].rate"), "{plan}");
}
