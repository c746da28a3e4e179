//! The keys of every noun, as they stand in the tables.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use regex::Regex;
use serde_json::json;
use tributary::table::{AttributeValue, Item};
use tributary_tests::{Stand, World};

/// One write unit, which facts and outcomes must not exceed.
const WRITE_UNIT: usize = 1024;

/// A key with everything taken out that is different in another run.
fn shape(text: &str) -> String {
    let patterns = [
        (
            r"\b(prg|ptr|opr|key|lnk|cpn|cnv|xfr|bat|po|dsp|imp|inv|wif|upl|appl|evt|mbr|sgn|lead|deal|cust|clm)_[0-9a-hjkmnp-tv-z]{26}\b",
            "<$1>",
        ),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
        (r"^ONCE#[0-9a-f]{32}$", "ONCE#<hash>"),
        (r"^(CUST#<prg>#).{22}$", "$1<reference>"),
        (
            r"^(KNOWN#|PERSON#|SIGNSLOT#|APPLBY#<prg>#|COUNT#APPLY#<prg>#|COUNT#TOKEN#|COUNT#MAILBOX#).{22}$",
            "$1<reference>",
        ),
        (r"^\d{12}$", "<window>"),
        (r"#\d{3}#<evt>$", "#<kind>#<evt>"),
        (r"^UNTOLD#[0-3]$", "UNTOLD#<shard>"),
        (r"^\d{4}-\d\d-\d\dT\d\d#\d+$", "<hour>#<place>"),
        (r"^[A-Za-z0-9_-]{62}$", "<click id>"),
        (r"#20\d{4}\b", "#<month>"),
        (r"#20\d\d-\d\d$", "#<period>"),
        (
            r"^(HOLD|PAYABLE#<prg>|CONV#<prg>#<month>|CHG#<prg>#<month>)#[0-7]$",
            "$1#<shard>",
        ),
        (r"^(PROG#<prg>#ACCT)#\d\d$", "$1#<shard>"),
    ];
    patterns
        .iter()
        .fold(text.to_owned(), |text, (pattern, to)| {
            Regex::new(pattern)
                .unwrap()
                .replace_all(&text, *to)
                .into_owned()
        })
}

fn line(item: &Item) -> String {
    let held = |name: &str| item.get(name).map(|value| shape(value.as_s().unwrap()));
    let mut line = ["pk", "sk"]
        .map(|name| held(name).unwrap_or_default())
        .join(" ");
    for index in ["list", "due"] {
        let (partition, sort) = (held(&format!("{index}_pk")), held(&format!("{index}_sk")));
        assert_eq!(partition.is_some(), sort.is_some(), "{line}");
        if let (Some(partition), Some(sort)) = (partition, sort) {
            line += &format!(" | {index}: {partition} {sort}");
        }
    }
    line
}

/// The size that DynamoDB charges: names and values; maps and lists 3 bytes, and 1 for each entry.
fn size(item: &Item) -> usize {
    fn value(held: &AttributeValue) -> usize {
        match held {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(digits) => digits.len() / 2 + 2,
            AttributeValue::Bool(_) => 1,
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            AttributeValue::M(map) => 3 + size(map) + map.len(),
            AttributeValue::L(list) => 3 + list.iter().map(|entry| value(entry) + 1).sum::<usize>(),
            other => panic!("not used here: {other:?}"),
        }
    }
    item.iter()
        .map(|(name, held)| name.len() + value(held))
        .sum()
}

/// Applications, terms, people and what is told of them.
async fn recruited(world: &World, stand: &Stand) {
    let program = format!("/v1/programs/{}", stand.program);
    let open = json!({ "kinds": ["reseller"] });
    let _ = world
        .put(&format!("{program}/application-form"), open)
        .await
        .expect(200);
    let rules = json!({ "free_mail": "review" });
    let _ = world
        .put(&format!("{program}/application-rules"), rules)
        .await
        .expect(200);
    let steps = json!({ "steps": [{ "code": "course", "label": "Basics", "kind": "confirmed" }] });
    let _ = world
        .put(&format!("{program}/onboarding-steps"), steps)
        .await
        .expect(200);
    let named = json!({ "operators": [] });
    let _ = world
        .put(&format!("{program}/notifications"), named)
        .await
        .expect(200);
    for referrer in [json!(null), json!(stand.partner)] {
        let email = format!(
            "{}@mill.example.com",
            if referrer.is_null() { "eve" } else { "fay" }
        );
        let said = json!({ "email": email, "name": "Eve", "country": "GB", "kind": "reseller", "referrer": referrer });
        let _ = world
            .ask(
                "",
                Method::POST,
                &format!("{program}/applications"),
                &[],
                Some(&said),
            )
            .await
            .expect(202);
        world.settle().await;
        let mails = world.instance.cloud().outbox().mails();
        let mail = mails.iter().rev().find(|mail| mail.to == email).unwrap();
        let (_, token) = mail.text.rsplit_once("once: ").unwrap();
        let token = json!({ "token": token.lines().next().unwrap() });
        let path = format!("{program}/applications:confirm");
        let confirmed = world
            .ask("", Method::POST, &path, &[], Some(&token))
            .await
            .expect(200);
        let answer = json!({ "token": confirmed.str("token"), "submit": true });
        let path = format!("{program}/applications:answer");
        let _ = world
            .ask("", Method::POST, &path, &[], Some(&answer))
            .await
            .expect(200);
    }
    let terms = json!({ "title": "Terms", "text": "Be kind." });
    let terms = world
        .post(&format!("{program}/agreements"), terms)
        .await
        .expect(201);
    let later =
        json!({ "title": "Terms", "text": "Be kinder.", "effective_at": "2036-01-01T00:00:00Z" });
    let _ = world
        .post(&format!("{program}/agreements"), later)
        .await
        .expect(201);
    let partner = format!("/v1/partners/{}", stand.partner);
    let key = world
        .post(&format!("{partner}/keys"), json!({}))
        .await
        .expect(201);
    let accept = format!("{program}/agreements/1/acceptances");
    let hash = json!({ "hash": terms.str("hash") });
    let _ = world
        .ask(key.str("key"), Method::POST, &accept, &[], Some(&hash))
        .await
        .expect(201);
    let key = format!("{partner}/keys/{}", key.str("id"));
    let _ = world.delete(&key).await.expect(204);
    let course = json!({ "program": stand.program });
    let _ = world
        .post(&format!("{partner}/onboarding/course"), course)
        .await
        .expect(200);
    let twin =
        json!({ "name": "Ada", "email": "ada@example.com", "country": "GB", "kind": "affiliate" });
    let twin = world.post("/v1/partners", twin).await.expect(201);
    let merge = format!("/v1/partners/{}/merge", twin.str("id"));
    let into = json!({ "into": stand.partner, "reason": "one firm" });
    let _ = world.post(&merge, into).await.expect(200);
    let member = json!({ "name": "Ida", "email": "ida@mill.example", "role": "owner" });
    let _ = world
        .post(&format!("{partner}/members"), member)
        .await
        .expect(201);
}

/// One of everything: what is held, payable, in a payout, paid, reversed, and the work that is left.
async fn one_of_everything() -> World {
    let world = World::start().await;
    let stand = world.stand().await;
    let once = [("idempotency-key", "grace")];
    let operator = json!({ "name": "Grace", "email": "grace@example.com" });
    let key = world.key.clone();
    let grace = world
        .ask(&key, Method::POST, "/v1/operators", &once, Some(&operator))
        .await;
    let keys = format!("/v1/operators/{}/keys", grace.expect(201).str("id"));
    let _ = world
        .post(&keys, json!({ "scopes": ["finance"] }))
        .await
        .expect(201);
    let keys = format!("/v1/partners/{}/keys", stand.partner);
    for _ in 0..2 {
        let issued = world.post(&keys, json!({})).await.expect(201);
        if world.get(&keys).await.expect(200).items().len() == 2 {
            let _ = world
                .delete(&format!("{keys}/{}", issued.str("id")))
                .await
                .expect(204);
        }
    }
    // Where the first click counts, the clicks of a customer are kept.
    let first_click = json!({ "attribution": { "model": "first_click", "window_days": 30 } });
    let path = format!("/v1/programs/{}", stand.program);
    let _ = world.patch(&path, first_click).await.expect(200);
    let click = world.click(&stand.link).await;
    let sale = json!({ "transaction_id": "o-1", "click_id": click, "amount": "49.00", "customer": "customer-17850", "sub1": "newsletter" });
    let clicked = world
        .postback(&stand, sale)
        .await
        .expect(201)
        .str("conversion")
        .to_owned();
    let _ = world.sale(&stand, "o-2", "20.00").await;
    let address =
        json!({ "line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB" });
    let who = json!({ "legal_name": "Ada Ltd", "address": address, "country": "GB" });
    let path = format!("/v1/partners/{}/tax-profile", stand.partner);
    let _ = world.put(&path, who).await.expect(200);
    let issuer = json!({ "legal_name": "Vendor Ltd", "address": address });
    let invoicing = json!({ "issuer": issuer, "vat": { "treatment": "none" } });
    let path = format!("/v1/programs/{}/invoicing", stand.program);
    let _ = world.put(&path, invoicing).await.expect(200);
    let (partner, link, coupon) = world.partner_in(&stand.program, "Bob").await;
    let bob = Stand {
        partner,
        link,
        coupon,
        ..stand.clone()
    };
    let _ = world.sale(&bob, "o-6", "60.00").await;
    let (partner, link, coupon) = world.partner_in(&stand.program, "Cleo").await;
    let cleo = Stand {
        partner,
        link,
        coupon,
        ..stand.clone()
    };
    let _ = world.sale(&cleo, "o-7", "60.00").await;
    recruited(&world, &stand).await;
    let nobody =
        json!({ "transaction_id": "o-3", "coupon": "NOBODY", "amount": "5.00", "currency": "GBP" });
    let _ = world.postback(&stand, nobody).await.expect(201);
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let file = format!("/v1/payouts/batches/{batch}/file?format=paypal&part=1");
    let file = world.get(&file).await.expect(200).text;
    let payout_of = |wallet: &str| {
        let line = file.lines().find(|line| line.starts_with(wallet)).unwrap();
        format!("/v1/payouts/{}", line.split(',').nth(3).unwrap())
    };
    let settle = format!("{}/settle", payout_of("ada@wallet.example"));
    let _ = world.post(&settle, json!({})).await.expect(200);
    let returns = format!("/v1/payouts/batches/{batch}/returns?format=csv");
    let row = |wallet: &str| json!(payout_of(wallet).replace("/v1/payouts/", "") + ",closed\n");
    let _ = world
        .post(&returns, row("cleo@wallet.example"))
        .await
        .expect(202);
    // Taken back when it is paid: a line that is open and owed by the partner, which no batch pays.
    let reversals = format!("/v1/conversions/{clicked}/reversals");
    let reversal = json!({ "reversal_id": "r-1", "reason": "sent back" });
    assert!(world.post(&reversals, reversal).await.status.is_success());
    world.settle().await;
    let _ = world.batch(&stand.program, Some("100.00")).await;
    let _ = world.sale(&stand, "o-4", "10.00").await;
    world.settle().await;
    world.advance_days(30).await;
    let close = format!("/v1/programs/{}/periods:close", stand.program);
    let _ = world
        .post(&close, json!({ "period": "2026-03" }))
        .await
        .expect(202);
    world.clockwork().await;
    let _ = world
        .post(&close, json!({ "period": "2026-04" }))
        .await
        .expect(202);
    let _ = world.sale(&stand, "o-5", "10.00").await;
    world.settle().await;
    // A plan whose pay depends on other events has a book; one of its conversions waits for a rate.
    let measure = json!({ "unit": "count", "events": ["sale"], "scope": "own" });
    let gated = json!([{ "kind": "percent", "event": "sale", "rate": "0.10",
        "gate": { "measure": measure, "window": { "kind": "month" }, "at_least": 2 } }]);
    let club = world.stand_with(30, gated).await;
    for (order, currency) in [("b-1", "GBP"), ("b-2", "CHF")] {
        let body = json!({ "transaction_id": order, "coupon": club.coupon, "amount": "10.00", "currency": currency });
        let _ = world.postback(&club, body).await.expect(201);
    }
    world.settle().await;
    let rate = json!({ "from": "EUR", "to": "GBP", "rate": "0.8512", "date": "2026-03-02", "source": "ECB" });
    let _ = world
        .put("/v1/rates", json!({ "rates": [rate] }))
        .await
        .expect(200);
    let below = json!({ "program": stand.program, "plan": "standard", "upline": stand.partner });
    let enrolments = format!("/v1/partners/{}/enrolments", bob.partner);
    let _ = world.post(&enrolments, below).await.expect(200);
    let theirs = format!("/v1/partners/{}/keys", stand.partner);
    let theirs = world.post(&theirs, json!({})).await.expect(201);
    for order in ["d-1", "d-2"] {
        let dispute = json!({
            "program": stand.program, "kind": "missing", "transaction_id": order,
            "occurred_at": world.now().to_string(), "evidence": { "text": "Here is the receipt." },
        });
        let raised = world
            .ask(
                theirs.str("key"),
                Method::POST,
                "/v1/disputes",
                &[],
                Some(&dispute),
            )
            .await
            .expect(201);
        if order == "d-2" {
            let path = format!("/v1/disputes/{}/withdraw", raised.str("id"));
            let withdrawn = world
                .ask(theirs.str("key"), Method::POST, &path, &[], None)
                .await;
            let _ = withdrawn.expect(200);
        }
    }
    let held = json!({ "reason": "address is verified" });
    let path = format!("/v1/partners/{}/payout-hold", bob.partner);
    let _ = world.put(&path, held).await.expect(200);
    let (by_hand, _, _) = world
        .program(
            0,
            json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]),
        )
        .await;
    let monthly = json!({ "kind": "monthly", "day": 1, "time_zone": "Europe/London", "funding_account": "main" });
    for (program, schedule) in [
        (&stand.program, monthly),
        (&by_hand, json!({ "kind": "manual" })),
    ] {
        let path = format!("/v1/programs/{program}/payout-schedule");
        let _ = world.put(&path, schedule).await.expect(200);
    }
    // A question that is answered, and one that is not.
    let question = json!({ "from": "2026-03-01T00:00:00Z", "plan": { "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] } });
    let ask = format!("/v1/programs/{}/what-if", stand.program);
    let _ = world.post(&ask, question.clone()).await.expect(202);
    world.settle().await;
    let _ = world.post(&ask, question).await.expect(202);
    // What comes now is not delivered any more: payouts to be given back, and a batch to be planned.
    let back = json!({ "reason": "wallet closed", "evidence": "R-7" });
    let path = format!("{}/return", payout_of("bob@wallet.example"));
    let _ = world.post(&path, back).await.expect(200);
    let _ = world
        .post(&returns, row("ada@wallet.example"))
        .await
        .expect(202);
    let waiting = json!({ "program": stand.program, "currency": "GBP", "cutoff": world.now().to_string(), "funding_account": "main" });
    let _ = world.post("/v1/payouts/batches", waiting).await.expect(202);
    world
}

#[tokio::test]
async fn every_item_of_leads_stands_under_its_keys() {
    let rules = json!({
        "rules": [{ "code": "all", "strategy": { "kind": "round_robin" } }],
        "idle_days": 2, "form": { "work_bits": 8 },
    });
    let desk = crate::routing::Desk::open(rules, &[json!({}), json!({})]).await;
    for (domain, what) in [
        ("offered.example", ""),
        ("held.example", "accept"),
        ("lost.example", "lost"),
    ] {
        let lead = json!({ "company": { "domain": domain, "name": domain, "country": "GB" } });
        let lead = desk.bring(lead).await.expect(201);
        let path = format!("/v1/leads/{}", lead.str("id"));
        match what {
            "accept" => {
                let partner = desk.place(lead.str("partner"));
                let accept = format!("{path}/accept");
                let _ = desk
                    .as_partner(partner, Method::POST, &accept)
                    .await
                    .expect(200);
            }
            "lost" => {
                let body = json!({ "reason": "other" });
                let tag = [("if-match", "\"1\"")];
                let key = &desk.world.key;
                let lost = format!("{path}/lost");
                let lost = desk.world.ask(key, Method::POST, &lost, &tag, Some(&body));
                let _ = lost.await.expect(200);
            }
            _ => {}
        }
    }
    let path = desk.path("/leads:challenge");
    let challenge = desk.world.get(&path).await.expect(200);
    let challenge = challenge.str("challenge");
    let nonce = (0..)
        .map(|nonce: u32| nonce.to_string())
        .find(|nonce| tributary::leads::form::work(challenge, nonce) >= 8);
    let form = json!({
        "challenge": challenge, "nonce": nonce,
        "company": { "domain": "form.example" }, "contact": { "email": "a@form.example" },
    });
    let left = desk.world.post(&desk.path("/leads:form"), form).await;
    let _ = left.expect(202);
    let _ = desk.route_by(json!({ "rules": [] })).await.expect(200);
    let queued = json!({ "company": { "domain": "queued.example" } });
    let _ = desk.bring(queued).await.expect(201);
    let hidden = [
        (r"^LEADCOUNT#<prg>#\d\d ", "LEADCOUNT#<prg>#<part> "),
        (r"LEADDUE#[0-3] ", "LEADDUE#<shard> "),
        (r"^LEADFORM#[0-9a-f]{32} ", "LEADFORM#<challenge> "),
        (
            r"^LEADFORM#<prg>#[A-Za-z0-9_-]{22} HOUR#\d+",
            "LEADFORM#<prg>#<address> HOUR#<hour>",
        ),
        (
            r"^LEADFORM#<prg>#all HOUR#\d+",
            "LEADFORM#<prg>#all HOUR#<hour>",
        ),
    ];
    let lines: BTreeSet<String> = desk
        .world
        .scan("main")
        .await
        .iter()
        .map(line)
        .filter(|line| line.starts_with("LEAD"))
        .map(|line| {
            hidden.iter().fold(line, |line, (pattern, to)| {
                Regex::new(pattern)
                    .unwrap()
                    .replace_all(&line, *to)
                    .into_owned()
            })
        })
        .collect();
    let expected: BTreeSet<String> = LEADS.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(lines, expected);
}

/// The items of leads.
const LEADS: &[&str] = &[
    "LEAD#<lead> CHANGED | list: LEADFEED#<prg> <time>#<lead>",
    "LEAD#<lead> CONTACT",
    "LEAD#<lead> LEAD | list: LEADS#<prg> <time>#<lead>",
    "LEAD#<lead> LEAD | list: LEADS#<prg> <time>#<lead> | due: LEADDUE#<shard> <time>#<lead>",
    "LEAD#<lead> LEAD | list: LEADS#<prg> <time>#<lead> | due: LEADQUEUE#<prg> <time>#<lead>",
    "LEAD#<lead> OFFER#<ptr> | list: LEADS#<ptr> <time>#<lead>",
    "LEAD#<lead> ROUTED#002",
    "LEADCOUNT#<prg>#<part> TALLIES",
    "LEADFORM#<challenge> SPENT",
    "LEADFORM#<prg>#<address> HOUR#<hour>",
    "LEADFORM#<prg>#all HOUR#<hour>",
    "LEADRULES#<prg> RULES",
    "LEADTURN#<prg> all",
];

#[tokio::test]
async fn every_item_stands_under_the_keys_of_its_noun() {
    let world = one_of_everything().await;
    let main = world.scan("main").await;
    let shapes: BTreeSet<String> = main.iter().map(line).collect();
    let expected = EXPECTED
        .map(str::to_owned)
        .into_iter()
        .collect::<BTreeSet<_>>();
    let unforeseen: Vec<_> = shapes.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&shapes).collect();
    assert!(
        unforeseen.is_empty() && missing.is_empty(),
        "unforeseen: {unforeseen:#?}\nmissing: {missing:#?}"
    );
    let clicks: BTreeSet<String> = world.scan("clicks").await.iter().map(line).collect();
    assert_eq!(clicks, BTreeSet::from(["<click id> ".to_owned()]));

    let mut largest: BTreeMap<&str, usize> = BTreeMap::new();
    for item in &main {
        let sort = item["sk"].as_s().unwrap();
        if let Some(kind) = ["FACTS", "OUTCOME"].into_iter().find(|kind| kind == sort) {
            let held = largest.entry(kind).or_default();
            *held = (*held).max(size(item));
        }
    }
    assert_eq!(largest.len(), 2);
    assert!(
        largest.values().all(|size| *size <= WRITE_UNIT),
        "{largest:?}"
    );
}

#[tokio::test]
async fn an_imports_items_stand_under_its_key_and_wait_while_it_is_at_work() {
    let world = World::start().await;
    let (program, ..) = world
        .program(
            0,
            json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]),
        )
        .await;
    let path = format!("/v1/imports?program={program}&kind=accounts");
    let file = json!("domain,country\nacme.com,GB\nrose.com,UK\n");
    let _ = world.post(&path, file.clone()).await.expect(202);
    world.settle().await;
    let _ = world.post(&path, file).await.expect(202);
    let items = world.scan("main").await;
    let shapes: BTreeSet<String> = items
        .iter()
        .map(line)
        .filter(|line| line.starts_with("UPLOAD#"))
        .collect();
    let expected = [
        "UPLOAD#<upl> FAULTS#00000002",
        "UPLOAD#<upl> PART#001",
        "UPLOAD#<upl> ROW#00000002",
        "UPLOAD#<upl> SIZE#001",
        "UPLOAD#<upl> UPLOAD | list: UPLOADS#<prg> <time>#<upl>",
        "UPLOAD#<upl> UPLOAD | list: UPLOADS#<prg> <time>#<upl> | due: WORK#imports <time>#<upl>",
    ];
    assert_eq!(
        shapes.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

/// Base key, then the list and due positions where the item has them.
const EXPECTED: [&str; 89] = [
    "APPL#<appl> APPLICANT",
    "APPL#<appl> APPLICANT | list: REFERRED#<prg>#<ptr> <time>#<appl>",
    "APPL#<appl> APPLICATION | list: APPLS#<prg> <time>#<appl> | due: APPLS#<prg>#in_review <time>#<appl>",
    "APPLBY#<prg>#<reference> LATEST",
    "BATCH#<bat> BATCH | list: BATCHES <time>#<bat>",
    "BATCH#<bat> BATCH | list: BATCHES <time>#<bat> | due: WORK#payouts <time>#<bat>",
    "BATCH#<bat> LEFT#<ptr>",
    "BATCH#<bat> LINE#<po>",
    "BOOK#<prg>#<ptr>#standard#1#M202605 BOOK | due: CLOSES <time>#BOOK#<prg>#<ptr>#standard#1#M202605",
    "BOOK#<prg>#<ptr>#standard#1#M202605 E#<time>#<cnv>",
    "CLOCKWORK WATERMARK#<prg>",
    "CONV#<cnv> CHANGES | list: CHG#<prg>#<month>#<shard> <time>#<cnv>",
    "CONV#<cnv> FACTS | list: CONV#<prg>#<month>#<shard> <time>#<cnv>",
    "CONV#<cnv> OUTCOME",
    "CONV#<cnv> OUTCOME | due: WAIT CHF#GBP#2026-05-01#<cnv>",
    "CONV#<cnv> OUTCOME | list: LEDGER#<ptr>#<month> <time>#C#<cnv>",
    "CONV#<cnv> OUTCOME | list: LEDGER#<ptr>#<month> <time>#C#<cnv> | due: HOLD#<shard> <time>#<ptr>#<cnv>",
    "CONV#<cnv> OUTCOME | list: LEDGER#<ptr>#<month> <time>#C#<cnv> | due: PAYABLE#<prg>#<shard> <ptr>#<time>#<cnv>",
    "COUNT#APPLY#<prg> <window>",
    "COUNT#APPLY#<prg>#<reference> <window>",
    "COUNT#MAILBOX#<reference> <window>",
    "COUNT#TOKEN#<reference> <window>",
    "COUPON#<cpn> COUPON | list: COUPONS#<ptr> <time>#<cpn>",
    "CUST#<prg>#<reference> CLICK#<time>#<lnk>",
    "CUST#<prg>#<reference> FIRST#<ptr>#sale#standard#1",
    "DISP#<dsp> DISPUTE | list: DISPUTES#<prg> <time>#<dsp>",
    "DISP#<dsp> DISPUTE | list: DISPUTES#<prg> <time>#<dsp> | due: DISPUTES#<prg> <time>#<dsp>",
    "DISP#<dsp> EVIDENCE | list: DISPUTES#<ptr> <time>#<dsp>",
    "DISPUTED#<ptr> <cnv>",
    "EVENT#<evt> EVENT | list: EVENTS#<prg> <time>#<kind>#<evt>",
    "EVENT#<evt> EVENT | list: EVENTS#<ptr> <time>#<kind>#<evt>",
    "EVENT#<evt> MAIL#<appl>",
    "EVENT#<evt> MAIL#<mbr>",
    "EVENT#<evt> MAIL#<ptr>",
    "FUND#main FUNDING | list: FUNDING main",
    "INVOICE#<inv> INVOICE | list: INVOICES#<ptr> <time>#000000000001#<inv>",
    "INVOICE#<inv> PARTY",
    "KEY#<key> KEY",
    "KEY#<key> KEY | list: KEYS#<opr> <time>#<key>",
    "KEY#<key> KEY | list: KEYS#<ptr> <time>#<key>",
    "KNOWN#<reference> <appl>",
    "KNOWN#<reference> <ptr>",
    "LINK#<lnk> LINK | list: LINKS#<ptr> <time>#<lnk>",
    "ONCE#<hash> ONCE",
    "OPR#<opr> OPERATOR | list: OPERATORS <time>#<opr>",
    "PAYOUT#<po> PAYOUT | list: PAYOUTS#<ptr> <time>#<po>",
    "PAYOUT#<po> PAYOUT | list: PAYOUTS#<ptr> <time>#<po> | due: WORK#payouts <time>#<po>",
    "PERSON#<reference> <opr>",
    "PERSON#<reference> <ptr>",
    "PERSON#<reference> <ptr>.<mbr>",
    "PROG#<prg> PLAN#standard#000001",
    "PROG#<prg> PROGRAM | list: PROGRAMS <time>#<prg>",
    "PROG#<prg>#ACCT#<shard> ACCT",
    "PROG#<prg>#INVOICES NUMBER#000000000001",
    "PROG#<prg>#INVOICES SERIES",
    "PROG#<prg>#INVOICES SETTINGS",
    "PROG#<prg>#PERIODS PERIOD#<period>",
    "PROG#<prg>#PERIODS PERIOD#<period> | due: WORK#periods <time>#<prg>",
    "PTR#<ptr> ACCEPTANCE#<prg>#000001",
    "PTR#<ptr> ACCEPTED#<prg>",
    "PTR#<ptr> ACCT#GBP#<prg>",
    "PTR#<ptr> CONTACT",
    "PTR#<ptr> ENROL#<prg>",
    "PTR#<ptr> MEMBER#<mbr>",
    "PTR#<ptr> MERGE | due: MERGES <time>#<ptr>",
    "PTR#<ptr> ONBOARDING#<prg>",
    "PTR#<ptr> PARTNER | list: PARTNERS <time>#<ptr>",
    "PTR#<ptr> PAYOUT_HOLD",
    "PTR#<ptr> PAYOUT_METHOD",
    "PTR#<ptr> PERSON#<mbr>",
    "PTR#<ptr> SIGNER#<prg>#000001",
    "PTR#<ptr> TAX_PROFILE",
    "RATE#EUR#GBP 2026-03-02",
    "RECRUIT#<prg> AGREEMENT#000001",
    "RECRUIT#<prg> AGREEMENT#000002 | due: AGREEMENTS <time>#RECRUIT#<prg>#AGREEMENT#000002",
    "RECRUIT#<prg> APPLICATION_FORM",
    "RECRUIT#<prg> APPLICATION_RULES",
    "RECRUIT#<prg> NOTIFIED",
    "RECRUIT#<prg> ONBOARDING",
    "RETURNS#<imp> RETURNS",
    "RETURNS#<imp> RETURNS | due: WORK#payouts <time>#<imp>",
    "SCHED#<prg> SCHEDULE",
    "SCHED#<prg> SCHEDULE | due: WORK#schedules <time>#<prg>",
    "TREE#<prg> TREE",
    "WHATIF#<wif> PARTNER#<ptr>",
    "WHATIF#<wif> WHATIF",
    "WHATIF#<wif> WHATIF | due: WORK#payouts <time>#<wif>",
    "XFER#<xfr> TRANSFER | list: LEDGER#<ptr>#<month> <time>#T#<xfr>",
    "XFER#<xfr> TRANSFER | list: LEDGER#<ptr>#<month> <time>#T#<xfr> | due: PAYABLE#<prg>#<shard> <ptr>#<time>#<xfr>",
];
