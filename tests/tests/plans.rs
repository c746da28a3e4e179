//! The plan language over HTTP: what is made reads back, what is wrong is refused whole, and what a plan
//! would pay is told before it is made. And whose plan it is that pays: a link's, a partner's, a program's.

use serde_json::{Value, json};
use tributary_tests::{START, Stand, World};

/// A plan of every kind, in the form in which answers state it.
fn every_kind() -> Value {
    json!({
        "code": "hybrid", "hold_days": 30, "time_zone": "Europe/London", "pays": "all",
        "components": [
            { "kind": "flat", "event": "lead", "amount": "25.00", "currency": "GBP", "duration": "first_sale",
                "when": { "all": [
                    { "field": "country", "in": ["GB", "IE"] },
                    { "any": [{ "field": "sub1", "not_in": ["internal"] }, { "field": "customer", "is": "new" }] },
                ] } },
            { "kind": "percent", "event": "renewal", "rate": "0.05", "of": "margin", "currency": "GBP",
                "minimum": "1.00", "maximum": "50.00", "duration": { "months": 12 },
                "gate": { "measure": { "unit": "count", "events": ["sale"], "scope": "own" },
                    "window": { "kind": "quarter" }, "at_least": 10 } },
            { "kind": "tiered", "event": "sale", "measure": { "unit": "amount", "events": ["sale"], "scope": "own" },
                "window": { "kind": "month" }, "mode": "marginal", "of": "amount", "currency": "GBP",
                "brackets": [{ "from": "0.00", "rate": "0.10" }, { "from": "5000.00", "rate": "0.12" }] },
            { "kind": "revenue_share", "event": "bet", "window": { "kind": "month" }, "currency": "GBP",
                "rate": "0.30", "carryover": "carry" },
            { "kind": "milestone", "event": "sale", "measure": { "unit": "count", "events": ["sale"], "scope": "subtree" },
                "window": { "kind": "lifetime" }, "at": 100, "amount": "500.00", "currency": "GBP" },
        ],
        "caps": [{ "scope": "partner", "window": { "kind": "month" }, "amount": "5000.00", "currency": "GBP" }],
        "levels": [{ "rate": "0.10", "of": "commission", "rounding": "floor" }],
    })
}

async fn program(world: &World) -> String {
    let components = json!([{ "kind": "percent", "event": "sale", "rate": "0.20" }]);
    world.program(30, components).await.0
}

/// The field and code of everything that is wrong.
fn wrong(answer: &tributary_tests::Answer) -> Vec<(&str, &str)> {
    let errors = answer.body["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            (
                error["field"].as_str().unwrap(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_plan_of_every_kind_reads_back_as_it_was_made() {
    let world = World::start().await;
    let path = format!("/v1/programs/{}/plans", program(&world).await);
    let made = world.post(&path, every_kind()).await.expect(201);
    for (name, stated) in every_kind().as_object().unwrap() {
        if name == "components" {
            continue;
        }
        assert_eq!(&made.body[name], stated, "{name}");
    }
    let mut stated = every_kind()["components"].clone();
    // What a milestone pays for is its measure's event.
    stated[4]["event"] = json!("sale");
    assert_eq!(made.body["components"], stated);
    let found = world.get(&format!("{path}/hybrid")).await.expect(200);
    assert_eq!(found.items(), [made.body]);
}

#[tokio::test]
async fn what_is_read_may_be_sent_again() {
    let world = World::start().await;
    let path = format!("/v1/programs/{}/plans", program(&world).await);
    let made = world.post(&path, every_kind()).await.expect(201);
    let mut copy = made.body.clone();
    for name in ["program", "version", "created_at", "effective_from"] {
        copy.as_object_mut().unwrap().remove(name);
    }
    copy["code"] = json!("copy");
    let copied = world.post(&path, copy).await.expect(201);
    assert_eq!(copied.body["components"], made.body["components"]);
}

#[tokio::test]
async fn a_preview_says_and_works_out_what_a_plan_pays_and_makes_nothing() {
    let world = World::start().await;
    let program = program(&world).await;
    let before = world.scan("main").await.len();
    let path = format!("/v1/programs/{program}/plans:preview");
    let preview = world.post(&path, every_kind()).await.expect(200);
    assert_eq!(world.scan("main").await.len(), before);
    let sentences = preview.body["sentences"].as_array().unwrap();
    assert!(
        sentences.contains(&json!(
            "3. For each sale, by the amount of sale events in the calendar month: 10 % of the amount up to \
             5,000.00 GBP, 12 % of what is above. What crosses a bound is split there."
        )),
        "{sentences:#?}"
    );
    let examples = preview.body["examples"].as_array().unwrap();
    let find = |about: &str| {
        let found = examples.iter().find(|example| example["about"] == about);
        found.unwrap_or_else(|| panic!("{about}: {examples:#?}"))
    };
    // 4,000 of sales pay 400, 5,000 pay 500, and 6,000 pay 620; a tenth of each goes to the upline.
    let tiers = find("Component 3: below, at and above each bracket");
    let column = |name: &str| -> Vec<String> {
        let steps = tiers["steps"].as_array().unwrap().iter();
        steps
            .map(|step| match &step[name] {
                Value::Array(list) => list[0].as_str().unwrap().to_owned(),
                one => one.as_str().unwrap().to_owned(),
            })
            .collect()
    };
    assert_eq!(column("amount"), ["400.00", "100.00", "120.00"]);
    assert_eq!(column("uplines"), ["40.00", "10.00", "12.00"]);
    assert_eq!(
        column("why")[2],
        "Component 3: 120.00 GBP with the measure going from 5,000.00 GBP to 6,000.00 GBP."
    );
    // The plan's quarter begins at midnight in London, where it is summer by then.
    assert_eq!(column("at")[0], "2026-03-31T23:00:00Z");
    for about in [
        "Component 1: its condition holds, and does not",
        "Component 1: a customer's first, and the next",
        "Component 2: its gate is missed",
        "Component 2: its gate is reached",
        "Component 2: a customer's first, its last month, and after",
        "Component 4: what a period below zero leaves to the next",
        "Component 5: before, at and after the threshold",
        "Cap 1: more than a partner may get, and once more",
    ] {
        assert!(!find(about)["steps"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_preview_refuses_what_making_the_plan_would_refuse() {
    let world = World::start().await;
    let program = program(&world).await;
    let mut plan = every_kind();
    plan["components"][2]["brackets"][1]["from"] = json!("0.00");
    plan["components"][0]["colour"] = json!("red");
    let mut told = Vec::new();
    for route in ["plans", "plans:preview"] {
        let path = format!("/v1/programs/{program}/{route}");
        let refused = world
            .post(&path, plan.clone())
            .await
            .problem(422, "invalid");
        told.push(refused.body["errors"].clone());
        assert_eq!(
            wrong(&refused),
            [
                ("components[0].colour", "unknown_field"),
                ("components[2].brackets[1].from", "brackets_overlap"),
            ]
        );
    }
    assert_eq!(told[0], told[1]);
    let nowhere = "/v1/programs/prg_00000000000000000000000000/plans:preview";
    let _ = world
        .post(nowhere, every_kind())
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn plans_that_cannot_be_meant_are_refused_with_their_own_codes() {
    let world = World::start().await;
    let path = format!("/v1/programs/{}/plans", program(&world).await);
    for (place, value, field, code) in [
        (
            "/components/2/brackets",
            json!([{ "from": "0.00", "to": "4000.00", "rate": "0.1" }, { "from": "5000.00", "rate": "0.2" }]),
            "components[2].brackets[0].to",
            "brackets_gap",
        ),
        (
            "/components/2/brackets",
            json!([{ "from": "0.00", "to": "6000.00", "rate": "0.1" }, { "from": "5000.00", "rate": "0.2" }]),
            "components[2].brackets[0].to",
            "brackets_overlap",
        ),
        (
            "/components/2/brackets",
            json!([{ "from": "1.00", "rate": "0.1" }]),
            "components[2].brackets[0].from",
            "brackets_start",
        ),
        (
            "/components/2/brackets",
            json!([{ "from": "0.00", "amount": "1.00" }]),
            "components[2].brackets[0].amount",
            "bracket_pay_unsupported",
        ),
        (
            "/components/2/brackets/1/rate",
            json!("1.2"),
            "components[2].brackets[1].rate",
            "rate_over_limit",
        ),
        (
            "/components/2/measure/unit",
            json!("visits"),
            "components[2].measure.unit",
            "not_one_of",
        ),
        (
            "/components/2/window",
            json!({ "kind": "trailing", "days": 30 }),
            "components[2].window.kind",
            "window_unsupported",
        ),
        (
            "/components/1/gate/window",
            json!({ "kind": "lifetime" }),
            "components[1].gate.window.kind",
            "window_unsupported",
        ),
        (
            "/components/1/minimum",
            json!("50.01"),
            "components[1].minimum",
            "range_empty",
        ),
        (
            "/components/0/when",
            json!({ "field": "colour", "in": ["red"] }),
            "components[0].when.field",
            "not_one_of",
        ),
        (
            "/components/0/when",
            json!({ "any": [{ "any": [{ "any": [{ "any": [{ "any": [{ "any": [{ "field": "customer", "is": "new" }] }] }] }] }] }] }),
            "components[0].when.any[0].any[0].any[0].any[0].any[0].any",
            "condition_too_large",
        ),
        (
            "/components/0/currency",
            json!("USD"),
            "components[0].currency",
            "currency_mismatch",
        ),
        (
            "/components/0/amount",
            json!(25),
            "components[0].amount",
            "decimal_string_expected",
        ),
        (
            "/caps",
            json!(vec![json!({ "scope": "conversion", "amount": "1.00" }); 2]),
            "caps[1]",
            "cap_repeated",
        ),
        (
            "/caps/0/window",
            json!({ "kind": "trailing", "days": 30 }),
            "caps[0].window.kind",
            "window_unsupported",
        ),
        (
            "/levels",
            json!(vec![json!({ "rate": "0.1", "of": "sale" }); 6]),
            "levels",
            "too_long",
        ),
        (
            "/time_zone",
            json!("Mars/Olympus"),
            "time_zone",
            "time_zone_unknown",
        ),
    ] {
        let mut plan = every_kind();
        *plan.pointer_mut(place).unwrap() = value.clone();
        let refused = world.post(&path, plan).await.problem(422, code);
        assert_eq!(wrong(&refused), [(field, code)], "{value}");
    }
    assert_eq!(world.get(&path).await.expect(200).items().len(), 1);
}

#[tokio::test]
async fn no_later_version_takes_effect_in_the_past() {
    let world = World::start().await;
    let path = format!("/v1/programs/{}/plans", program(&world).await);
    let version = |from: Option<&str>| {
        json!({
            "code": "gold", "hold_days": 0, "effective_from": from,
            "components": [{ "kind": "flat", "event": "lead", "amount": "1.00" }],
        })
    };
    // Nothing was computed by a plan that did not exist.
    let long_past = Some("2000-01-01T00:00:00Z");
    let _ = world.post(&path, version(long_past)).await.expect(201);
    let a_moment_ago = Some("2026-03-02T08:59:59.999Z");
    for from in [long_past, a_moment_ago] {
        let refused = world
            .post(&path, version(from))
            .await
            .problem(422, "effective_in_past");
        assert_eq!(refused.str("/errors/0/field"), "effective_from");
        assert!(refused.str("detail").contains("let it begin from now on"));
    }
    for (from, number) in [
        (Some(START), 2),
        (None, 3),
        (Some("2026-04-01T00:00:00Z"), 4),
    ] {
        let made = world.post(&path, version(from)).await.expect(201);
        assert_eq!(made.body["version"], number);
    }
}

/// The plans of the documentation, each with the rows of the table behind it.
fn documented() -> Vec<(Value, Vec<Vec<String>>)> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plans.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```json\n").skip(1);
    blocks
        .filter_map(|block| {
            let (json, rest) = block.split_once("```\n").unwrap();
            let plan: Value = serde_json::from_str(json).unwrap();
            let table = rest.trim_start().lines();
            let rows = table
                .take_while(|line| line.starts_with('|'))
                .skip(2)
                .map(|line| {
                    let cells = line.trim_matches('|').split(" | ");
                    cells.map(|cell| cell.trim().to_owned()).collect()
                })
                .collect();
            // A component alone shows its form.
            plan["components"].is_array().then_some((plan, rows))
        })
        .collect()
}

#[tokio::test]
async fn the_documented_examples_are_what_previews_say() {
    let world = World::start().await;
    let path = format!("/v1/programs/{}/plans:preview", program(&world).await);
    let documented = documented();
    assert!(documented.len() >= 9, "the examples have moved");
    for (mut plan, rows) in documented {
        plan["code"] = json!("documented");
        plan["hold_days"] = json!(30);
        let preview = world.post(&path, plan.clone()).await.expect(200);
        let examples = preview.body["examples"].as_array().unwrap();
        let told: Vec<Vec<Vec<String>>> = examples
            .iter()
            .map(|example| {
                let steps = example["steps"].as_array().unwrap().iter();
                steps
                    .map(|step| {
                        let text = |name: &str| step[name].as_str().unwrap().to_owned();
                        let mut row = vec![text("what"), text("amount")];
                        let uplines = step["uplines"].as_array().unwrap();
                        let uplines: Vec<&str> = uplines
                            .iter()
                            .map(|share| share.as_str().unwrap())
                            .collect();
                        if !uplines.is_empty() {
                            row.push(uplines.join(", "));
                        }
                        row
                    })
                    .collect()
            })
            .collect();
        assert!(
            told.contains(&rows),
            "{plan}: {rows:#?} is none of {told:#?}"
        );
    }
}

/// The plans `tenth`, `fifth` and `half`, which pay that share of a sale.
async fn three_plans(world: &World, program: &str) {
    for (code, rate) in [("tenth", "0.10"), ("fifth", "0.20"), ("half", "0.50")] {
        let plan = json!({ "code": code, "hold_days": 0, "effective_from": "2000-01-01T00:00:00Z",
            "components": [{ "kind": "percent", "event": "sale", "rate": rate }] });
        let path = format!("/v1/programs/{program}/plans");
        let _ = world.post(&path, plan).await.expect(201);
    }
}

/// What a sale of a hundred pays that a click on the link or a coupon brings, and by which plan.
async fn paid(world: &World, stand: &Stand, order: &str, by_click: bool) -> (String, String) {
    let mut sale = json!({ "transaction_id": order, "amount": "100.00", "currency": "GBP" });
    if by_click {
        sale["click_id"] = json!(world.click(&stand.link).await);
    } else {
        sale["coupon"] = json!(stand.coupon);
    }
    let posted = world.postback(stand, sale).await.expect(201);
    world.settle().await;
    let path = format!("/v1/conversions/{}", posted.str("conversion"));
    let found = world.get(&path).await.expect(200);
    let text = |field: &str| found.str(&format!("/outcome/{field}")).to_owned();
    (text("commission"), text("plan"))
}

async fn link_of(world: &World, stand: &Stand) -> String {
    let links = format!("/v1/links?partner={}", stand.partner);
    let found = world.get(&links).await.expect(200);
    found.str("/items/0/id").to_owned()
}

fn pay(amount: &str, plan: &str) -> (String, String) {
    (amount.to_owned(), plan.to_owned())
}

#[tokio::test]
async fn a_links_plan_goes_before_the_partners_and_only_for_its_clicks() {
    let world = World::start().await;
    let stand = world.stand().await;
    three_plans(&world, &stand.program).await;
    let path = format!("/v1/links/{}/plan", link_of(&world, &stand).await);
    assert_eq!(
        paid(&world, &stand, "o-1", true).await,
        pay("30.00", "standard")
    );
    let half = json!({ "plan": "half" });
    let set = world.put(&path, half.clone()).await.expect(200);
    let since = json!([{ "plan": "half", "effective_from": START }]);
    assert_eq!(set.body["plans"], since);
    let again = world.put(&path, half).await.expect(200);
    assert_eq!(again.body, set.body, "the same plan again changes nothing");
    assert_eq!(
        paid(&world, &stand, "o-2", true).await,
        pay("50.00", "half")
    );
    assert_eq!(
        paid(&world, &stand, "o-3", false).await,
        pay("30.00", "standard")
    );
    let early = world.click(&stand.link).await;
    world.advance_days(1).await;
    let dropped = world.delete(&path).await.expect(200);
    assert_eq!(dropped.body["plans"][1]["plan"], Value::Null);
    assert_eq!(world.delete(&path).await.expect(200).body, dropped.body);
    assert_eq!(
        paid(&world, &stand, "o-4", true).await,
        pay("30.00", "standard")
    );
    // What happened while the link's plan stood is its, whenever it is reported.
    let late = json!({ "transaction_id": "o-5", "click_id": early, "amount": "100.00", "currency": "GBP",
        "occurred_at": "2026-03-02T10:00:00Z" });
    let posted = world.postback(&stand, late).await.expect(201);
    world.settle().await;
    let path = format!("/v1/conversions/{}", posted.str("conversion"));
    let found = world.get(&path).await.expect(200);
    assert_eq!(found.str("/outcome/commission"), "50.00");
}

#[tokio::test]
async fn partners_without_a_plan_are_paid_by_the_programs_default() {
    let world = World::start().await;
    let mut stand = world.stand().await;
    three_plans(&world, &stand.program).await;
    let partner =
        json!({ "name": "Bob", "email": "bob@example.com", "country": "GB", "kind": "affiliate" });
    let bob = world.post("/v1/partners", partner).await.expect(201);
    stand.partner = bob.str("id").to_owned();
    let enrolments = format!("/v1/partners/{}/enrolments", stand.partner);
    let enrol = json!({ "program": stand.program });
    let refused = world
        .post(&enrolments, enrol.clone())
        .await
        .problem(422, "required");
    assert_eq!(refused.str("/errors/0/field"), "plan");
    let default = format!("/v1/programs/{}/default-plan", stand.program);
    let _ = world
        .put(&default, json!({ "plan": "none" }))
        .await
        .problem(422, "reference_unknown");
    let set = world
        .put(&default, json!({ "plan": "tenth" }))
        .await
        .expect(200);
    let from_the_beginning = json!([{ "plan": "tenth", "effective_from": null }]);
    assert_eq!(set.body["default_plans"], from_the_beginning);
    world.advance_days(1).await;
    let enrolled = world.post(&enrolments, enrol.clone()).await.expect(201);
    assert_eq!(
        enrolled.body["plans"],
        json!([{ "plan": null, "effective_from": null }])
    );
    for (path, body) in [
        (
            "/v1/links",
            json!({ "destination": "https://shop.example/", "code": "bobs" }),
        ),
        ("/v1/coupons", json!({ "code": "BOB" })),
    ] {
        let mut body = body;
        body["program"] = json!(stand.program);
        body["partner"] = json!(stand.partner);
        let _ = world.post(path, body).await.expect(201);
    }
    (stand.link, stand.coupon) = ("bobs".to_owned(), "BOB".to_owned());
    assert_eq!(
        paid(&world, &stand, "o-1", false).await,
        pay("10.00", "tenth")
    );
    // A later default pays from then on; a plan of the partner's own goes before it; and `null` gives it up.
    let _ = world
        .put(&default, json!({ "plan": "fifth" }))
        .await
        .expect(200);
    world.advance_days(1).await;
    assert_eq!(
        paid(&world, &stand, "o-2", true).await,
        pay("20.00", "fifth")
    );
    let own = json!({ "program": stand.program, "plan": "half" });
    let _ = world.post(&enrolments, own).await.expect(200);
    world.advance_days(1).await;
    assert_eq!(
        paid(&world, &stand, "o-3", true).await,
        pay("50.00", "half")
    );
    let unsaid = world.post(&enrolments, enrol).await.expect(200);
    assert_eq!(unsaid.body["version"], 2, "what is not said stays");
    let given_up = json!({ "program": stand.program, "plan": null });
    let _ = world.post(&enrolments, given_up).await.expect(200);
    world.advance_days(1).await;
    assert_eq!(
        paid(&world, &stand, "o-4", true).await,
        pay("20.00", "fifth")
    );
}

#[tokio::test]
async fn no_assignment_reaches_back_over_what_was_computed() {
    let world = World::start().await;
    let stand = world.stand().await;
    three_plans(&world, &stand.program).await;
    let default = format!("/v1/programs/{}/default-plan", stand.program);
    let _ = world
        .put(&default, json!({ "plan": "tenth" }))
        .await
        .expect(200);
    let link = format!("/v1/links/{}/plan", link_of(&world, &stand).await);
    let past = json!({ "plan": "half", "effective_from": "2026-03-01T00:00:00Z" });
    for path in [&default, &link] {
        let refused = world
            .put(path, past.clone())
            .await
            .problem(422, "effective_in_past");
        assert_eq!(refused.str("/errors/0/field"), "effective_from");
    }
    let mut enrolment = past;
    enrolment["program"] = json!(stand.program);
    let enrolments = format!("/v1/partners/{}/enrolments", stand.partner);
    let _ = world
        .post(&enrolments, enrolment.clone())
        .await
        .problem(422, "effective_in_past");
    enrolment["effective_from"] = json!("2026-04-01T00:00:00Z");
    let later = world.post(&enrolments, enrolment).await.expect(200);
    assert_eq!(later.body["plans"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn previews_stand_at_the_ends_of_time_and_of_numbers() {
    let world = World::start().await;
    let path = format!("/v1/programs/{}/plans:preview", program(&world).await);
    let most = "10000000000.00";
    for from in ["0000-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
        let mut plan = every_kind();
        plan["effective_from"] = json!(from);
        plan["components"][1]["duration"] = json!({ "months": 600 });
        plan["components"][1]["gate"]["at_least"] = json!(1_000_000_000_000_i64);
        plan["components"][2]["brackets"][1]["from"] = json!(most);
        plan["components"][3] = json!({ "kind": "revenue_share", "event": "bet", "window": { "kind": "quarter" },
            "rate": "1", "carryover": "capped", "carryover_limit": most });
        plan["components"][4]["at"] = json!(1_000_000_000_000_i64);
        plan["caps"][0]["amount"] = json!(most);
        let preview = world.post(&path, plan).await.expect(200);
        assert!(
            preview.body["examples"].as_array().unwrap().len() >= 5,
            "{from}"
        );
    }
}
