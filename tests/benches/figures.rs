//! The README's figures: `cargo bench -p tributary-tests`, those of routing alone with `--bench figures -- --routing`.
//! Rates are of this machine; the ratio and the instruction counts carry over. Instructions need `valgrind`; without it
//! that part says so.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::json;
use tributary::channel::model::Profile;
use tributary::clock::Timestamp;
use tributary::commissions::fold::{Entry, Fold};
use tributary::commissions::model::price;
use tributary::ids::{ConversionId, PartnerId, ProgramId};
use tributary::leads::candidate;
use tributary::leads::routing::{Conditions, Eligibility, Need, Rule, Strategy, Tally, route};
use tributary::leads::wire::routed_json;
use tributary::money::{Currency, Money};
use tributary::places::{Coordinates, Place, Territory};
use tributary::plans::model::{
    Base, Bracket, BracketPay, Component, Measure, Mode, Pay, PlanVersion, Scope, Terms, Tiers,
    Unit, Window,
};
use tributary_local::connector::{AwsError, Call, Intercept, Service, Verdict};
use tributary_local::what_if::{Ask, answer};
use tributary_tests::{Stand, World};

const CALCULATIONS: i64 = 3_000_000;
const CONVERSIONS: usize = 10_000;
/// Conversions of a run of plans whose pay depends on other events.
const DEPENDENT: usize = 1_000;
/// Lines of the short and of the long history that another plan is put over.
const LINES: [u64; 2] = [250_000, 1_000_000];
/// Partners on the roster that leads are routed over, and leads.
const ROSTER: u32 = 5_000;
const ROUTED: u32 = 500;
/// What routing one of them may take of a core, whatever the strategy: many times what it takes here, and still a
/// fraction of an answer.
const ROUTED_WITHIN: Duration = Duration::from_millis(20);
const PUTS: usize = 20_000;
/// Calls in the long and in the short run whose difference is counted.
const COUNTED: [usize; 2] = [100, 1_100];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Some(at) = arguments.iter().position(|argument| argument == "--calls") {
        let (handler, count) = (
            arguments[at + 1].clone(),
            arguments[at + 2].parse().unwrap(),
        );
        runtime.block_on(calls(&handler, count));
        return;
    }
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--what-if")
    {
        what_if(&arguments[at + 1]);
        return;
    }
    if arguments.iter().any(|argument| argument == "--routing") {
        routing();
        return;
    }
    calculations();
    folding();
    what_ifs();
    routing();
    runtime.block_on(end_to_end());
    runtime.block_on(dependent());
    for handler in ["click", "postback"] {
        instructions(handler);
    }
}

/// Leads routed over a roster of thousands, as the leads function does once roster, tallies and turns are at hand:
/// candidates from profiles, each rule's conditions and eligibility, ranking, turns and the explanation as JSON.
fn routing() {
    let id = |number: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        PartnerId::from_bytes(bytes)
    };
    let at = |number: u32| {
        let latitude = format!("{}.{:03}", 48 + number % 8, number % 1_000);
        let longitude = format!("{}.{:03}", number % 12, number % 997);
        Coordinates::read(&latitude, &longitude).unwrap()
    };
    let place = |number: u32| Place {
        country: ["DE", "FR", "GB", "NL"][number as usize % 4].to_owned(),
        region: None,
        postcode: Some(format!("{:05}", number % 100_000)),
        at: Some(at(number)),
    };
    let roster: Vec<Profile> = (0..ROSTER)
        .map(|number| Profile {
            program: ProgramId::from_bytes([1; 16]),
            partner: id(number),
            tier: Some(["silver", "gold"][number as usize % 2].to_owned()),
            certifications: Vec::new(),
            product_lines: vec!["erp".to_owned()],
            territories: vec![Territory {
                country: place(number).country,
                regions: Vec::new(),
                postcodes: Vec::new(),
            }],
            languages: vec!["en".to_owned()],
            max_open_leads: Some(10),
            weight: 1 + number % 5,
            location: Some(place(number)),
            working_hours: None,
            updated_at: Timestamp::UNIX_EPOCH,
            version: 1,
        })
        .collect();
    let strategies = [
        ("round robin", Strategy::RoundRobin, true),
        ("round robin, all eligible", Strategy::RoundRobin, false),
        (
            "nearest",
            Strategy::Nearest {
                rings_km: vec![25, 50, 100, 250],
                country_first: true,
            },
            false,
        ),
    ];
    for (name, strategy, territory) in strategies {
        let rules = [Rule {
            code: "all".to_owned(),
            when: Conditions::default(),
            eligible: Eligibility {
                territory,
                ..Eligibility::default()
            },
            strategy,
        }];
        let mut credits = BTreeMap::new();
        let (began, past) = (Instant::now(), BTreeMap::new());
        for number in 0..ROUTED {
            let need = Need {
                place: Some(place(number)),
                product_lines: vec!["erp".to_owned()],
                language: None,
                employees: Some(50),
            };
            let candidates: Vec<_> = roster
                .iter()
                .map(|profile| candidate(profile, Tally::default(), Timestamp::UNIX_EPOCH))
                .collect();
            let found = route(&rules, &need, &candidates, &past, &credits);
            black_box(routed_json(&found.routed).to_string());
            credits.extend(found.turns);
        }
        let each = began.elapsed() / ROUTED;
        println!(
            "a lead over {ROSTER} partners, {name}: {each:?} of CPU, of {ROUTED_WITHIN:?} at most"
        );
        assert!(each <= ROUTED_WITHIN, "routing {name} takes too long");
    }
}

/// Another plan over exported histories of a thousand partners and ten thousand customers, each in a process of
/// its own, whose memory is told too; the long one also with its lines turned round.
fn what_ifs() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let measure = json!({ "unit": "amount", "events": ["sale"], "scope": "own" });
    let plan = json!({
        "components": [
            { "kind": "tiered", "event": "sale", "mode": "attained", "measure": measure,
                "window": { "kind": "month" }, "brackets": [
                    { "from": "0", "rate": "0.10" }, { "from": "5000", "rate": "0.12" }] },
            { "kind": "flat", "event": "sale", "amount": "1.00", "duration": { "months": 12 } }],
        "caps": [{ "scope": "partner", "window": { "kind": "quarter" }, "amount": "20000.00" }],
        "levels": [{ "rate": "0.10", "of": "commission" }],
    });
    std::fs::write(file("plan.json"), plan.to_string()).unwrap();
    for lines in LINES {
        std::fs::write(file("history.jsonl"), history(lines, false)).unwrap();
        over(&file("history.jsonl"), &format!("{lines} lines"));
    }
    std::fs::write(file("history.jsonl"), history(LINES[1], true)).unwrap();
    over(
        &file("history.jsonl"),
        &format!("{} lines, out of order", LINES[1]),
    );
}

fn over(history: &Path, name: &str) {
    let own = std::env::current_exe().unwrap();
    let run = Command::new(own).arg("--what-if").arg(history).output();
    let output = run.unwrap();
    assert!(output.status.success(), "{output:?}");
    print!(
        "what-if, {name}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
}

fn history(lines: u64, turned_round: bool) -> String {
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let partner = |number: u64| PartnerId::derived(&[&number.to_string()]);
    let step = 365 * 86_400 / lines;
    let line = |number: u64| {
        let at = Timestamp::from_second(begin.as_second() + (number * step).cast_signed()).unwrap();
        let conversion = ConversionId::derived(&[&number.to_string()]);
        let (own, upline) = (partner(number * 7 % 1_000), partner(number % 50 + 1_000));
        let (pounds, pence) = (number * 31 % 400 + 1, number * 17 % 100);
        let customer = number * 13 % 10_000;
        format!(
            r#"{{"occurred_at":"{at}","conversion":"{conversion}","partner":"{own}","plan":"standard","paid":"4.90","event":{{"name":"sale","known_at":"{at}","quantity":1,"amount":"{pounds}.{pence:02}","customer":"customer-{customer}","country":"GB","product":"basic","meta":{{"campaign":"spring"}},"uplines":["{upline}"]}}}}"#
        )
    };
    let program = ProgramId::derived(&["program"]);
    let header = format!(
        r#"{{"tributary_history":1,"program":"{program}","currency":"GBP","program_since":"2026-01-01T00:00:00Z","exported_at":"2027-06-01T00:00:00Z"}}"#
    );
    let mut text = header + "\n";
    for number in 0..lines {
        text += &line(if turned_round {
            lines - 1 - number
        } else {
            number
        });
        text.push('\n');
    }
    text
}

/// In a process of its own: the answer over a history, how fast it came and what memory it took at most.
fn what_if(history: &str) {
    let begun = Instant::now();
    let answered = answer(&Ask {
        plan: Path::new(history).with_file_name("plan.json"),
        history: history.into(),
        from: None,
        to: Some("2027-06-01T00:00:00Z".parse().unwrap()),
        replaces: None,
        json: false,
    })
    .unwrap();
    let ms = begun.elapsed().as_millis();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!(
        "{ms} ms, {} lines a second, {} partners, at most{} of memory",
        u128::from(answered.lines) * 1_000 / ms.max(1),
        answered.partners.len(),
        peak.unwrap_or(" ?").replace('\t', " "),
    );
}

/// A sale as a plan is told of it.
fn sale(at: Timestamp) -> Entry {
    Entry {
        conversion: ConversionId::from_bytes([1; 16]),
        partner: PartnerId::from_bytes([2; 16]),
        plan: 0,
        occurred_at: at,
        counted_at: at,
        own: true,
        event: "sale".to_owned(),
        quantity: 1,
        amount: None,
        margin: None,
        net_revenue: None,
        adjustments: 0,
        customer: None,
        known_since: None,
        new_customer: None,
        country: None,
        product: None,
        coupon: None,
        subs: [const { None }; 5],
        meta: BTreeMap::new(),
    }
}

/// Commission calculations with their trace, on one core.
fn calculations() {
    let gbp: Currency = "GBP".parse().unwrap();
    let at: Timestamp = tributary_tests::START.parse().unwrap();
    let plan = PlanVersion {
        program: ProgramId::from_bytes([1; 16]),
        code: "standard".to_owned(),
        version: 1,
        effective_from: at,
        hold_days: 30,
        terms: Terms::of(vec![
            Component::flat("sale", Money::new(400, gbp)),
            Component::percent("sale", "0.075".parse().unwrap()),
            Component::flat("lead", Money::new(2_500, gbp)),
        ]),
        created_at: at,
    };
    let mut entry = sale(at);
    let begun = Instant::now();
    let mut sum = 0;
    for minor in 0..CALCULATIONS {
        entry.amount = Some(minor);
        let paid = price(black_box(&plan), black_box(&entry), gbp).unwrap();
        let (pay, steps) = (paid.pay, paid.steps);
        sum += pay.minor();
        black_box(steps);
    }
    let rate = CALCULATIONS as u128 * 1_000_000 / begun.elapsed().as_micros();
    println!("commission calculation with its trace: {rate} per second on one core (sum {sum})");
}

/// Events of one book, folded: what a correction of one of them costs.
fn folding() {
    let gbp: Currency = "GBP".parse().unwrap();
    let at: Timestamp = tributary_tests::START.parse().unwrap();
    let bracket = |from, rate: &str| Bracket {
        from,
        pay: BracketPay::Rate(rate.parse().unwrap()),
    };
    let tiers = Tiers {
        measure: Measure {
            unit: Unit::Amount,
            events: vec!["sale".to_owned()],
            scope: Scope::Own,
        },
        window: Window::Month,
        mode: Mode::Marginal,
        of: Base::Amount,
        brackets: vec![bracket(0, "0.10"), bracket(500_000, "0.12")],
    };
    let plan = PlanVersion {
        program: ProgramId::from_bytes([1; 16]),
        code: "standard".to_owned(),
        version: 1,
        effective_from: at,
        hold_days: 30,
        terms: Terms::of(vec![Component::simple("sale", Pay::Tiered(tiers))]),
        created_at: at,
    };
    let mut entry = sale(at);
    entry.amount = Some(1_234);
    let begun = Instant::now();
    let mut fold = Fold::new([&plan], gbp);
    for _ in 0..CALCULATIONS {
        black_box(fold.step(black_box(&entry)).unwrap());
    }
    let rate = CALCULATIONS as u128 * 1_000_000 / begun.elapsed().as_micros();
    println!("events of a book under marginal tiers: {rate} folded per second on one core");
}

/// Conversions of plans whose pay depends on other events: of one partner under tiers, below an upline who
/// gets a share; and of four partners under one program's budget.
async fn dependent() {
    let tiers = json!({
        "components": [{
            "kind": "tiered", "event": "sale", "mode": "marginal",
            "measure": { "unit": "amount", "events": ["sale"], "scope": "own" },
            "window": { "kind": "month" },
            "brackets": [{ "from": "0", "rate": "0.10" }, { "from": "5000", "rate": "0.12" }],
        }],
        "levels": [{ "rate": "0.10", "of": "commission" }],
    });
    let budget = json!({
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }],
        "caps": [{ "scope": "program", "window": { "kind": "month" }, "amount": "1000000.00" }],
    });
    for (name, terms, partners, is_tree) in [
        ("one partner under tiers, with an upline", tiers, 2, true),
        ("four partners under one program's budget", budget, 4, false),
    ] {
        let world = World::start().await;
        let none = json!([{ "kind": "percent", "event": "none", "rate": "0.5" }]);
        let stand = world.stand_with(30, none).await;
        let mut plan =
            json!({ "code": "terms", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z" });
        for (field, value) in terms.as_object().unwrap() {
            plan[field] = value.clone();
        }
        let plans = format!("/v1/programs/{}/plans", stand.program);
        let _ = world.post(&plans, plan).await.expect(201);
        let mut above: Option<String> = None;
        let mut coupons = Vec::new();
        for number in 0..partners {
            let body = json!({ "name": "P", "email": "p@example.com", "country": "GB", "kind": "affiliate" });
            let partner = world.post("/v1/partners", body).await.expect(201);
            let partner = partner.str("id").to_owned();
            let body = json!({ "program": stand.program, "plan": "terms", "upline": above });
            let _ = world
                .post(&format!("/v1/partners/{partner}/enrolments"), body)
                .await
                .expect(201);
            let code = format!("P{number}");
            let body = json!({ "program": stand.program, "partner": partner, "code": code });
            let _ = world.post("/v1/coupons", body).await.expect(201);
            if is_tree {
                coupons.clear();
                above = Some(partner);
            }
            coupons.push(code);
        }
        let begun = Instant::now();
        stream::iter(0..DEPENDENT)
            .for_each_concurrent(16, |number| {
                let coupon = &coupons[number % coupons.len()];
                let (world, stand) = (&world, &stand);
                let body = json!({ "transaction_id": format!("o-{number}"), "coupon": coupon, "amount": "49.00", "currency": "GBP" });
                async move {
                    let _ = world.postback(stand, body).await.expect(201);
                }
            })
            .await;
        world.settle().await;
        let rate = DEPENDENT as u128 * 1_000_000 / begun.elapsed().as_micros();
        println!("embedded, in memory, {name}: {rate} conversions per second");
    }
}

/// Conversions from postback to outcome, beside the engine's own puts, in one run.
async fn end_to_end() {
    let world = World::start().await;
    let stand = world.stand().await;
    let begun = Instant::now();
    stream::iter(0..CONVERSIONS)
        .for_each_concurrent(16, |number| {
            let (world, stand) = (&world, &stand);
            async move {
                world.sale(stand, &format!("o-{number}"), "49.00").await;
            }
        })
        .await;
    world.settle().await;
    let taken = begun.elapsed();
    assert_eq!(world.balances(&stand.partner).await[0], "147000.00");
    let ours = CONVERSIONS as u128 * 1_000_000 / taken.as_micros();

    let database = dynoxide::Database::memory().unwrap();
    let table = json!({
        "TableName": "raw", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
    });
    database
        .create_table(serde_json::from_value(table).unwrap())
        .unwrap();
    let filler = "x".repeat(650);
    let begun = Instant::now();
    for number in 0..PUTS {
        let put = json!({ "TableName": "raw", "Item": { "pk": { "S": number.to_string() }, "facts": { "S": filler } } });
        database
            .put_item(serde_json::from_value(put).unwrap())
            .unwrap();
    }
    let raw = PUTS as u128 * 1_000_000 / begun.elapsed().as_micros();
    println!("embedded, in memory, from postback to outcome: {ours} conversions per second");
    println!(
        "the engine's own PutItem of 700 bytes, same run: {raw} per second ({} to one)",
        raw / ours.max(1)
    );
}

/// Answers every write at once, so that what is counted is the handler and the client, not the engine.
struct NoDatabase;

impl Intercept for NoDatabase {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.service == Service::DynamoDb && call.operation == "PutItem" {
            return Verdict::Answer(AwsError {
                status: 200,
                body: json!({}),
                query_error: None,
            });
        }
        Verdict::Pass
    }
}

async fn calls(handler: &str, count: usize) {
    let world = World::start().await;
    let stand = world.stand().await;
    let click = world.click(&stand.link).await;
    let post = async |stand: &Stand, number: usize| {
        let body = json!({
            "transaction_id": format!("o-{number}"), "click_id": click, "amount": "49.00", "currency": "GBP", "sub1": "newsletter",
        });
        let _ = world.postback(stand, body).await.expect(201);
    };
    post(&stand, 1_000_000).await;
    world
        .instance
        .cloud()
        .set_interceptor(Some(Arc::new(NoDatabase)));
    for number in 0..count {
        match handler {
            "click" => drop(world.click(&stand.link).await),
            _ => post(&stand, number).await,
        }
    }
}

/// Instructions of one warm handler call, by callgrind: the difference of a long and a short run.
fn instructions(handler: &str) {
    let counted = COUNTED.map(|count| {
        let ran = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .args(["--calls", handler, &count.to_string()])
            .output();
        let said = String::from_utf8_lossy(&ran.ok()?.stderr).into_owned();
        let line = said
            .lines()
            .find(|line| line.contains("Collected :"))?
            .to_owned();
        line.rsplit(' ').next()?.parse::<u64>().ok()
    });
    match counted {
        [Some(short), Some(long)] => {
            let each = (long - short) / (COUNTED[1] - COUNTED[0]) as u64;
            println!(
                "{handler}: {each} instructions a call, the client's included, the database's not"
            );
        }
        _ => println!("{handler}: valgrind is not here, so no instructions were counted"),
    }
}
