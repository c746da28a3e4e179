//! Batches that banks pay: who is reached by which rail, what stands in the file, and that it stays so.

use axum::http::{Method, header};
use serde_json::{Value, json};
use tributary_tests::{Answer, World};

const IBAN_FR: &str = "FR1420041010050500013M02606";
const IBAN_DE: &str = "DE89370400440532013000";

/// A program in a currency that pays 30 % at once, with a funding account `bank`.
pub(crate) struct Program<'a> {
    world: &'a World,
    id: String,
    token: String,
    currency: &'static str,
}

impl<'a> Program<'a> {
    pub(crate) async fn new(world: &'a World, currency: &'static str, funding: Value) -> Self {
        let body = json!({
            "name": "Frühling", "currency": currency, "attribution": { "model": "last_click", "window_days": 30 },
        });
        let program = world.post("/v1/programs", body).await.expect(201);
        let id = program.str("id").to_owned();
        let plan = json!({
            "code": "standard", "hold_days": 0, "effective_from": "2000-01-01T00:00:00Z",
            "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }],
        });
        let plans = format!("/v1/programs/{id}/plans");
        let _ = world.post(&plans, plan).await.expect(201);
        let _ = world
            .put("/v1/funding-accounts/bank", funding)
            .await
            .expect(201);
        Self {
            world,
            id,
            token: program.str("postback_token").to_owned(),
            currency,
        }
    }

    /// A partner with one sale, and how it wants to be paid.
    pub(crate) async fn payee(&self, code: &str, amount: &str, method: Value) -> String {
        let partner =
            json!({ "name": code, "email": "p@example.com", "country": "DE", "kind": "affiliate" });
        let id = self
            .world
            .post("/v1/partners", partner)
            .await
            .expect(201)
            .str("id")
            .to_owned();
        let enrolment = json!({ "program": self.id, "plan": "standard" });
        let path = format!("/v1/partners/{id}/enrolments");
        let _ = self.world.post(&path, enrolment).await.expect(201);
        let path = format!("/v1/partners/{id}/payout-method");
        let _ = self.world.put(&path, method).await.expect(200);
        let coupon = json!({ "program": self.id, "partner": id, "code": code });
        let _ = self.world.post("/v1/coupons", coupon).await.expect(201);
        let sale = json!({ "transaction_id": code, "coupon": code, "amount": amount, "currency": self.currency });
        let token = [("x-postback-token", self.token.as_str())];
        let path = format!("/v1/postbacks/{}", self.id);
        let _ = self
            .world
            .ask("", Method::POST, &path, &token, Some(&sale))
            .await
            .expect(201);
        id
    }

    /// A batch of all that is payable, reserved.
    pub(crate) async fn batch(&self) -> String {
        self.world.settle().await;
        self.world.advance_days(1).await;
        let body = json!({
            "program": self.id, "currency": self.currency, "cutoff": self.world.now().to_string(),
            "funding_account": "bank",
        });
        let batch = self
            .world
            .post("/v1/payouts/batches", body)
            .await
            .expect(202);
        self.world.settle().await;
        batch.str("id").to_owned()
    }
}

pub(crate) fn bank(name: &str, route: Value) -> Value {
    let mut body = json!({
        "kind": "bank", "name": name,
        "address": { "line1": "1 Rue Émile", "line2": "Étage 2", "city": "Orléans", "postcode": "45000", "country": "FR" },
    });
    let map = body.as_object_mut().unwrap();
    map.extend(route.as_object().unwrap().clone());
    body
}

pub(crate) fn iban(iban: &str, bic: &str) -> Value {
    json!({ "iban": iban, "bic": bic })
}

pub(crate) fn us(account: &str, account_type: &str) -> Value {
    json!({ "routing_number": "011401533", "account_number": account, "account_type": account_type })
}

pub(crate) fn euro_account() -> Value {
    json!({
        "name": "Giro", "kind": "bank", "currency": "EUR", "iban": IBAN_DE, "bic": "COBADEFFXXX",
        "holder": "Vertrieb Müller GmbH & Co. KG",
        "address": { "line1": "Königsallee 1", "city": "Düsseldorf", "postcode": "40212", "country": "DE" },
    })
}

pub(crate) fn dollar_account() -> Value {
    json!({
        "name": "Checking", "kind": "bank", "currency": "USD", "routing_number": "021000021",
        "account_number": "123456789", "account_type": "checking", "holder": "Vendor, Inc.",
        "company_id": "1123456789", "bank_name": "JPMorgan Chase",
    })
}

pub(crate) async fn read(world: &World, batch: &str) -> Answer {
    world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200)
}

fn reason(batch: &Answer, partner: &str) -> Option<String> {
    let left_out = batch.body["left_out"].as_array().unwrap();
    let entry = left_out.iter().find(|entry| entry["partner"] == partner)?;
    Some(entry["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn euro_are_paid_by_one_message_that_stays_as_it_is() {
    let world = World::start().await;
    let program = Program::new(&world, "EUR", euro_account()).await;
    let ada = bank("Jürgen Groß", iban(IBAN_FR, "PSSTFRPPLIL"));
    let ada = program.payee("ADA", "196.00", ada).await;
    let bob = bank("Bob Plain", iban(IBAN_DE, "COBADEFFXXX"));
    let bob = program.payee("BOB", "10.00", bob).await;
    let wallet = json!({ "kind": "paypal", "wallet": "cleo@wallet.example" });
    let cleo = program.payee("CLEO", "10.00", wallet).await;
    let dan = program
        .payee("DAN", "10.00", bank("Dan", us("12345678", "savings")))
        .await;
    let brazil = bank("Eve", iban("BR1500000000000010932840814P2", "BRASBRRJ"));
    let eve = program.payee("EVE", "10.00", brazil).await;
    let nobody = bank("\u{E000}\u{E001}", iban(IBAN_DE, "COBADEFFXXX"));
    let fay = program.payee("FAY", "10.00", nobody).await;

    let id = program.batch().await;
    let batch = read(&world, &id).await;
    assert_eq!(
        (batch.str("state"), batch.str("rail"), batch.str("total")),
        ("reserved", "sepa", "61.80")
    );
    for (partner, expected) in [
        (&cleo, "payout_method_differs"),
        (&dan, "payout_method_differs"),
        (&eve, "outside_sepa"),
        (&fay, "payout_method_refused"),
    ] {
        assert_eq!(reason(&batch, partner).as_deref(), Some(expected));
    }
    let line = |partner: &str| {
        let lines = batch.body["lines"].as_array().unwrap();
        lines
            .iter()
            .find(|line| line["partner"] == partner)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&line(&ada)["name"], &line(&ada)["name_in_file"]),
        (&json!("Jürgen Groß"), &json!("Jurgen Gross")),
        "what goes to the bank under another name is shown"
    );
    assert_eq!(line(&bob)["name_in_file"], Value::Null);
    let payout = format!("/v1/payouts/{}", line(&ada)["payout"].as_str().unwrap());
    let keys = format!("/v1/partners/{ada}/keys");
    let own = world.post(&keys, json!({})).await.expect(201);
    let payout = world
        .ask(own.str("key"), Method::GET, &payout, &[], None)
        .await
        .expect(200);
    assert_eq!(
        payout.str("name_in_file"),
        "Jurgen Gross",
        "to its payee too"
    );
    assert_eq!(line(&ada)["account"], "FR14 •••• 2606");

    let path = format!("/v1/payouts/batches/{id}/file");
    let wrong = format!("{path}?format=nacha");
    let _ = world.get(&wrong).await.problem(422, "not_one_of");
    // Two at once freeze one file.
    let both = futures_util::future::join_all((0..2).map(|_| world.get(&path))).await;
    let [first, second] = <[Answer; 2]>::try_from(both).unwrap();
    let first = first.expect(200);
    assert_eq!(second.expect(200).text, first.text);
    assert_eq!(
        first.headers[header::CONTENT_TYPE],
        "application/xml; charset=utf-8"
    );
    let name = format!("attachment; filename=\"{id}-sepa-1.xml\"");
    assert_eq!(first.headers[header::CONTENT_DISPOSITION], name.as_str());
    for expected in [
        "<Nm>Vertrieb Muller GmbH + Co. KG</Nm>",
        "<NbOfTxs>2</NbOfTxs>",
        "<CtrlSum>61.80</CtrlSum>",
        "<Dt>2026-03-03</Dt>",
        "<Nm>Jurgen Gross</Nm>",
        "<InstdAmt Ccy=\"EUR\">58.80</InstdAmt>",
        "<StrtNm>1 Rue Emile</StrtNm>",
        "<TwnNm>Orleans</TwnNm>",
        "<AdrLine>Etage 2</AdrLine>",
        "<Ustrd>Fruhling: commissions until 2026-03-03</Ustrd>",
        IBAN_FR,
        IBAN_DE,
    ] {
        assert!(first.text.contains(expected), "{expected}: {}", first.text);
    }
    let end_to_end = line(&ada)["payout"].as_str().unwrap().replace('_', "-");
    assert!(
        first
            .text
            .contains(&format!("<EndToEndId>{end_to_end}</EndToEndId>"))
    );

    // Whatever becomes of the payee and of the account that pays.
    let moved = bank("Somebody Else", iban(IBAN_DE, "COBADEFFXXX"));
    let method = format!("/v1/partners/{ada}/payout-method");
    let _ = world.replace(&method, moved).await.expect(200);
    let paypal = json!({ "name": "P", "kind": "paypal", "currency": "EUR", "paypal_email": "p@vendor.example" });
    let _ = world
        .replace("/v1/funding-accounts/bank", paypal)
        .await
        .expect(200);
    world.advance_days(400).await;
    let again = world.get(&format!("{path}?format=sepa&part=1")).await;
    assert_eq!(again.expect(200).text, first.text);
    let _ = world
        .get(&format!("{path}?part=2"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn dollars_are_paid_by_ach_to_persons_and_companies() {
    let world = World::start().await;
    let program = Program::new(&world, "USD", dollar_account()).await;
    let _ = program
        .payee(
            "ADA",
            "196.00",
            bank("Zoë Ångström", us("98765432109876", "checking")),
        )
        .await;
    let mut acme = us("00012345", "savings");
    acme["payee_type"] = json!("company");
    let _ = program.payee("ACME", "10.00", bank("Acme LLC", acme)).await;
    let rich = bank("Rich", us("12345678", "checking"));
    let rich = program.payee("RICH", "400000000.00", rich).await;
    let french = bank("Luc", iban(IBAN_FR, "PSSTFRPPLIL"));
    let french = program.payee("LUC", "10.00", french).await;
    let id = program.batch().await;
    let batch = read(&world, &id).await;
    assert_eq!(
        (batch.str("state"), batch.str("rail"), batch.str("total")),
        ("reserved", "nacha", "61.80")
    );
    assert_eq!(reason(&batch, &rich).as_deref(), Some("amount_over_format"));
    assert_eq!(
        reason(&batch, &french).as_deref(),
        Some("payout_method_differs")
    );
    let path = format!("/v1/payouts/batches/{id}/file?format=nacha");
    let file = world.get(&path).await.expect(200);
    assert_eq!(
        file.headers[header::CONTENT_TYPE],
        "text/plain; charset=us-ascii"
    );
    let records: Vec<&str> = file.text.lines().collect();
    assert!(records.len() == 10 && records.iter().all(|record| record.len() == 94));
    let kinds: String = records.iter().map(|record| &record[..1]).collect();
    assert_eq!(kinds, "1568568999");
    assert_eq!(&records[1][50..53], "PPD");
    assert_eq!(&records[2][..39], "62201140153398765432109876   0000005880");
    assert_eq!(records[2][54..76].trim_end(), "ZOE ANGSTROM");
    assert_eq!(&records[4][50..53], "CCD");
    assert_eq!(&records[5][..39], "63201140153300012345         0000000300");
    assert_eq!(&records[1][63..75], "260303260304", "made and paid");
    world.advance_days(90).await;
    assert_eq!(world.get(&path).await.expect(200).text, file.text);
}

#[tokio::test]
async fn any_bank_account_is_paid_by_a_table_without_formulas() {
    let world = World::start().await;
    let pounds = json!({ "name": "B", "kind": "bank", "currency": "GBP", "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22" });
    let program = Program::new(&world, "GBP", pounds).await;
    let _ = program
        .payee(
            "ADA",
            "196.00",
            bank("=cmd|' /C calc'!A0", iban(IBAN_FR, "PSSTFRPPLIL")),
        )
        .await;
    let _ = program
        .payee("BOB", "10.00", bank("Bob", us("00012345", "savings")))
        .await;
    let id = program.batch().await;
    assert_eq!(read(&world, &id).await.str("rail"), "generic");
    let file = world
        .get(&format!("/v1/payouts/batches/{id}/file?format=generic"))
        .await
        .expect(200);
    assert_eq!(
        file.headers[header::CONTENT_TYPE],
        "text/csv; charset=utf-8"
    );
    assert_eq!(file.text.lines().count(), 3);
    let ada = file
        .text
        .lines()
        .find(|line| line.contains(IBAN_FR))
        .unwrap();
    assert!(ada.contains(",58.80,GBP,'=cmd|' /C calc'!A0,FR14"), "{ada}");
    assert!(
        file.text.contains(",,,011401533,00012345,savings,"),
        "{}",
        file.text
    );
}

#[tokio::test]
async fn a_paying_account_says_what_its_file_needs() {
    let world = World::start().await;
    let with = |account: fn() -> Value, field: &str, value: Value| {
        let mut account = account();
        account[field] = value;
        account
    };
    for (account, code) in [
        (with(euro_account, "holder", Value::Null), "required"),
        (
            with(euro_account, "holder", json!("\u{E000}")),
            "characters_refused",
        ),
        (
            with(euro_account, "address", json!({ "line1": "x" })),
            "required",
        ),
        (
            with(euro_account, "company_id", json!("1123456789")),
            "unknown_field",
        ),
        (with(euro_account, "rail", json!("nacha")), "rail_unfit"),
        (with(euro_account, "rail", json!("paypal")), "not_one_of"),
        (
            with(euro_account, "iban", json!("DE89370400440532013001")),
            "iban_invalid",
        ),
        (
            with(euro_account, "iban", json!("BR1500000000000010932840814P2")),
            "outside_sepa",
        ),
        (with(dollar_account, "rail", json!("sepa")), "rail_unfit"),
        (
            with(dollar_account, "company_id", json!("12-3456789")),
            "company_id_invalid",
        ),
        (with(dollar_account, "company_id", Value::Null), "required"),
        (
            with(dollar_account, "bank_name", json!("x".repeat(24))),
            "too_long",
        ),
        (
            with(dollar_account, "immediate_destination", json!("021000022")),
            "routing_number_invalid",
        ),
        (
            with(dollar_account, "entry_description", json!("COMMISSIONS")),
            "too_long",
        ),
    ] {
        let put = world
            .put("/v1/funding-accounts/bank", account.clone())
            .await;
        assert_eq!(put.str("code"), code, "{account} {}", put.text);
        let _ = put.problem(422, code);
    }
    let made = world
        .put("/v1/funding-accounts/bank", euro_account())
        .await
        .expect(201);
    assert_eq!(
        (
            made.str("rail"),
            made.str("holder"),
            made.str("holder_in_file")
        ),
        (
            "sepa",
            "Vertrieb Müller GmbH & Co. KG",
            "Vertrieb Muller GmbH + Co. KG"
        )
    );
    let table = with(euro_account, "rail", json!("generic"));
    let made = world
        .put("/v1/funding-accounts/table", table)
        .await
        .expect(201);
    assert_eq!(
        (made.str("rail"), made.str("holder_in_file")),
        ("generic", "")
    );
}

#[tokio::test]
async fn a_bank_account_of_before_the_banks_files_pays_by_table() {
    let world = World::start().await;
    let mut plain = euro_account();
    plain["rail"] = json!("generic");
    let program = Program::new(&world, "EUR", plain).await;
    let config = &world.instance.app().config;
    let key = |name: &str| tributary::table::AttributeValue::S(name.to_owned());
    let _ = world
        .instance
        .cloud()
        .dynamodb()
        .update_item()
        .table_name(&config.main_table)
        .key("pk", key("FUND#bank"))
        .key("sk", key("FUNDING"))
        .update_expression("REMOVE rail, holder")
        .send()
        .await
        .unwrap();
    let _ = program
        .payee("ADA", "196.00", bank("Ada", iban(IBAN_FR, "PSSTFRPPLIL")))
        .await;
    let id = program.batch().await;
    let batch = read(&world, &id).await;
    assert_eq!(
        (batch.str("rail"), batch.str("total")),
        ("generic", "58.80")
    );
}

#[tokio::test]
async fn a_file_waits_for_a_paying_account_that_pays_in_the_batchs_way() {
    let world = World::start().await;
    let program = Program::new(&world, "EUR", euro_account()).await;
    let _ = program
        .payee("ADA", "196.00", bank("Ada", iban(IBAN_FR, "PSSTFRPPLIL")))
        .await;
    let id = program.batch().await;
    let path = format!("/v1/payouts/batches/{id}/file");
    let paypal = json!({ "name": "P", "kind": "paypal", "currency": "EUR", "paypal_email": "p@vendor.example" });
    let account = "/v1/funding-accounts/bank";
    let _ = world.replace(account, paypal).await.expect(200);
    let _ = world.get(&path).await.problem(409, "wrong_state");
    assert_eq!(read(&world, &id).await.str("state"), "reserved");
    let _ = world.replace(account, euro_account()).await.expect(200);
    let _ = world.get(&path).await.expect(200);
}

#[tokio::test]
async fn only_american_accounts_are_persons_or_companies() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = format!("/v1/partners/{}/payout-method", stand.partner);
    let mut european = bank("Ada", iban(IBAN_FR, "PSSTFRPPLIL"));
    european["payee_type"] = json!("company");
    let _ = world
        .replace(&path, european)
        .await
        .problem(422, "unknown_field");
    let mut neither = bank("Ada", us("12345678", "checking"));
    neither["payee_type"] = json!("trust");
    let _ = world
        .replace(&path, neither)
        .await
        .problem(422, "not_one_of");
}

#[tokio::test]
async fn the_account_that_was_approved_pays_whatever_is_changed_after_that() {
    let world = World::start().await;
    let program = Program::new(&world, "EUR", euro_account()).await;
    let to = iban(IBAN_FR, "PSSTFRPPLIL");
    let _ = program.payee("ZOE", "100.00", bank("Zoe", to)).await;
    let schedule = format!("/v1/programs/{}/payout-schedule", program.id);
    let guarded = json!({ "kind": "manual", "approval_above": "1.00" });
    let _ = world.put(&schedule, guarded).await.expect(200);
    let batch = program.batch().await;
    // Somebody else than the maker approves.
    let grace = json!({ "name": "Grace", "email": "grace@vendor.example" });
    let grace = world.post("/v1/operators", grace).await.expect(201);
    let keys = format!("/v1/operators/{}/keys", grace.str("id"));
    let key = world.post(&keys, json!({ "scopes": ["finance"] })).await;
    let key = key.expect(201).str("key").to_owned();
    let path = format!("/v1/payouts/batches/{batch}/approve");
    let _ = world
        .ask(&key, Method::POST, &path, &[], Some(&json!({})))
        .await
        .expect(200);
    let mut another = euro_account();
    another["iban"] = json!("DE02120300000000202051");
    let swapped = world.replace("/v1/funding-accounts/bank", another).await;
    assert!(swapped.status.is_success(), "{}", swapped.text);
    let file = format!("/v1/payouts/batches/{batch}/file");
    let file = world.get(&file).await.expect(200).text;
    assert!(file.contains(IBAN_DE) && !file.contains("DE02120300000000202051"));
}
