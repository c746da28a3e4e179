//! The controller's papers: statements, the journal and its closed periods, invoices, yearly totals and
//! the reconciliation of payouts.

use axum::http::{Method, header};
use serde_json::{Value, json};
use tributary::table::Item;
use tributary_local::connector::Service;
use tributary_tests::{Stand, World};

/// A sale a month from March on, each released in the month after.
async fn months_of_sales(world: &World, months: u32) -> Stand {
    let stand = world.stand().await;
    for number in 0..months {
        let _ = world.sale(&stand, &format!("o-{number}"), "49.00").await;
        world.settle().await;
        world.advance_days(30).await;
    }
    stand
}

fn statement_path(stand: &Stand, from: &str, to: &str, format: &str) -> String {
    format!(
        "/v1/partners/{}/statement?from={from}T00:00:00Z&to={to}T00:00:00Z&format={format}",
        stand.partner
    )
}

/// The partitions of the list that were walked.
async fn walked(world: &World, path: &str) -> Vec<String> {
    let recorder = world.instance.cloud().recorder();
    recorder.start();
    let _ = world.get(path).await.expect(200);
    recorder
        .stop()
        .iter()
        .filter(|call| call.service == Service::DynamoDb && call.operation == "Query")
        .filter_map(|call| call.request["ExpressionAttributeValues"][":p"]["S"].as_str())
        .filter(|partition| partition.starts_with("LEDGER#"))
        .map(|partition| partition.rsplit('#').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_statement_of_an_old_month_reads_that_months_transfers_only() {
    let world = World::start().await;
    let stand = months_of_sales(&world, 6).await;
    let april = statement_path(&stand, "2026-04-01", "2026-05-01", "json");
    assert_eq!(walked(&world, &april).await, ["202604"]);
    let statement = world.get(&april).await.expect(200);
    let balance =
        |at: &str, bucket: &str| statement.str(&format!("/items/0/{at}/{bucket}")).to_owned();
    // The sale of the 2nd of March is released on the 1st of April, on which the next one is made.
    assert_eq!(
        (balance("opening", "pending"), balance("opening", "payable")),
        ("14.70".to_owned(), "0.00".to_owned())
    );
    assert_eq!(
        (balance("closing", "pending"), balance("closing", "payable")),
        ("14.70".to_owned(), "14.70".to_owned())
    );
    let before = statement_path(&stand, "2026-01-01", "2026-03-01", "json");
    assert_eq!(walked(&world, &before).await, Vec::<String>::new());
    let nothing = world.get(&before).await.expect(200);
    assert_eq!(nothing.str("/items/0/closing/pending"), "0.00");
}

/// Makes an account what it was before accounts kept sums.
async fn forget_sums(world: &World) {
    let config = &world.instance.app().config;
    let is_sum = |name: &str| {
        let rest = name.strip_prefix(['p', 'y', 't', 'd']).unwrap_or_default();
        name == "summed" || (rest.len() == 6 && rest.parse::<u32>().is_ok())
    };
    let accounts = world.scan("main").await.into_iter().filter(|item| {
        item["sk"]
            .as_s()
            .is_ok_and(|sort| sort.starts_with("ACCT#"))
    });
    for account in accounts.collect::<Vec<Item>>() {
        let plain = account
            .into_iter()
            .filter(|(name, _)| !is_sum(name))
            .collect::<Item>();
        let put = world.instance.cloud().dynamodb().put_item();
        let put = put.table_name(&config.main_table).set_item(Some(plain));
        put.send().await.unwrap();
    }
}

#[tokio::test]
async fn an_account_that_is_older_than_its_sums_states_the_same() {
    let world = World::start().await;
    let stand = months_of_sales(&world, 4).await;
    let april = statement_path(&stand, "2026-04-01", "2026-05-01", "json");
    let with_sums = world.get(&april).await.expect(200);
    forget_sums(&world).await;
    assert_eq!(world.get(&april).await.expect(200).body, with_sums.body);
    // Sums begin anew in a month of which earlier transfers are in none.
    let _ = world.sale(&stand, "o-later", "10.00").await;
    world.settle().await;
    world.advance_days(40).await;
    assert_eq!(world.get(&april).await.expect(200).body, with_sums.body);
    assert_eq!(walked(&world, &april).await.first().unwrap(), "202604");
    // After that month its sums alone tell what stood there: the last sale is held until August.
    let july = statement_path(&stand, "2026-07-01", "2026-08-01", "json");
    assert_eq!(walked(&world, &july).await, Vec::<String>::new());
    let july = world.get(&july).await.expect(200);
    assert_eq!(july.str("/items/0/closing/pending"), "3.00");
    assert_eq!(july.str("/items/0/closing/payable"), "58.80");
}

#[tokio::test]
async fn a_statement_is_printed_and_opened_in_a_spreadsheet() {
    let world = World::start().await;
    let stand = months_of_sales(&world, 1).await;
    let renamed = json!({ "name": "<b>Ada</b> & Co" });
    let path = format!("/v1/partners/{}", stand.partner);
    let _ = world.patch(&path, renamed).await.expect(200);
    let sale = world.sale(&stand, "o-back", "10.00").await;
    let reversal = json!({ "reversal_id": "r-1", "reason": "=1+1" });
    let path = format!("/v1/conversions/{sale}/reversals");
    assert!(world.post(&path, reversal).await.status.is_success());
    world.settle().await;

    let path = statement_path(&stand, "2026-03-01", "2026-04-02", "csv");
    let sheet = world.get(&path).await.expect(200);
    assert_eq!(
        sheet.headers[header::CONTENT_TYPE],
        "text/csv; charset=utf-8"
    );
    let lines: Vec<&str> = sheet.text.split("\r\n").collect();
    assert!(lines[1].starts_with("opening,GBP,2026-03-01T00:00:00Z,"));
    assert!(lines[lines.len() - 2].ends_with(",0.00,14.70,0.00,0.00"));
    let path = statement_path(&stand, "2026-03-01", "2026-04-02", "html");
    let page = world.get(&path).await.expect(200);
    assert_eq!(
        page.headers[header::CONTENT_TYPE],
        "text/html; charset=utf-8"
    );
    assert!(
        page.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert!(page.text.contains("&lt;b&gt;Ada&lt;/b&gt; &amp; Co"));
    assert!(!page.text.contains("http"));
    let path = statement_path(&stand, "2026-03-01", "2026-04-02", "pdf");
    let _ = world.get(&path).await.problem(422, "not_one_of");
}

// ---- The journal and closed periods

/// All pages of a journal, one after the other, and the headers of the last.
async fn journal(world: &World, program: &str, period: &str) -> (String, axum::http::HeaderMap) {
    let path = format!("/v1/programs/{program}/journal?period={period}");
    let (mut text, mut cursor) = (String::new(), String::new());
    loop {
        let page = world.get(&format!("{path}{cursor}")).await.expect(200);
        text.push_str(&page.text);
        match page.headers.get("tributary-next-cursor") {
            Some(next) => cursor = format!("&cursor={}", next.to_str().unwrap()),
            None => return (text, page.headers),
        }
    }
}

/// The rows of a journal without its header: kind, account, partner, debit and credit in minor units.
fn rows(journal: &str) -> Vec<(String, String, String, i64, i64)> {
    let minor = |cell: &str| cell.replace('.', "").parse().unwrap_or(0);
    let mut reader = csv::Reader::from_reader(journal.as_bytes());
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        let text = |at: usize| row[at].to_owned();
        (text(2), text(3), text(4), minor(&row[5]), minor(&row[6]))
    });
    rows.collect()
}

async fn close(world: &World, program: &str, period: &str) -> tributary_tests::Answer {
    let path = format!("/v1/programs/{program}/periods:close");
    world.post(&path, json!({ "period": period })).await
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(text.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two partners' sales, a payout of one, a clawback and a return: what moves between all accounts, in March,
/// April and May.
async fn a_busy_spring(world: &World) -> Stand {
    let ada = world.stand().await;
    let (partner, link, coupon) = world.partner_in(&ada.program, "Bob").await;
    let bob = Stand {
        partner,
        link,
        coupon,
        ..ada.clone()
    };
    for number in 0..3 {
        let _ = world.sale(&ada, &format!("a-{number}"), "49.00").await;
        let _ = world.sale(&bob, &format!("b-{number}"), "20.00").await;
    }
    let taken_back = world.sale(&ada, "a-back", "10.00").await;
    world.settle().await;
    world.advance_days(31).await;
    let batch = world.batch(&ada.program, None).await;
    let file = format!("/v1/payouts/batches/{batch}/file?format=paypal&part=1");
    let file = world.get(&file).await.expect(200).text;
    for (line, what) in file.lines().zip(["settle", "return"]) {
        let payout = line.split(',').nth(3).unwrap();
        let body = match what {
            "settle" => json!({}),
            _ => json!({ "reason": "closed", "evidence": "R-7" }),
        };
        let _ = world
            .post(&format!("/v1/payouts/{payout}/{what}"), body)
            .await
            .expect(200);
    }
    world.settle().await;
    let reversal = json!({ "reversal_id": "r-1", "reason": "sent back" });
    let path = format!("/v1/conversions/{taken_back}/reversals");
    assert!(world.post(&path, reversal).await.status.is_success());
    world.settle().await;
    world.advance_days(31).await;
    ada
}

#[tokio::test]
async fn a_journal_has_every_transfer_of_its_month_as_debit_and_credit() {
    let world = World::start().await;
    let stand = a_busy_spring(&world).await;
    let mut lines = 0;
    let mut balances = std::collections::BTreeMap::<(String, String), i64>::new();
    for period in ["2026-02", "2026-03", "2026-04", "2026-05"] {
        let (text, headers) = journal(&world, &stand.program, period).await;
        assert_eq!(headers["tributary-period-state"], "open");
        let rows = rows(&text);
        let sum = |side: fn(&(String, String, String, i64, i64)) -> i64| {
            rows.iter().map(side).sum::<i64>()
        };
        assert_eq!(sum(|row| row.3), sum(|row| row.4), "{period} balances");
        lines += rows.len();
        for (_, account, partner, debit, credit) in rows {
            *balances.entry((partner, account)).or_default() += credit - debit;
        }
    }
    let mut transfers = 0;
    let partners = world.get("/v1/partners").await.expect(200);
    for partner in partners.items() {
        let partner = partner["id"].as_str().unwrap();
        let ledger = world
            .get(&format!("/v1/partners/{partner}/ledger?limit=200"))
            .await
            .expect(200);
        transfers += ledger.items().len();
        // What the journals leave in an account is its balance.
        let standing = world.balances(partner).await;
        let accounts = [
            "partner_payable_pending",
            "partner_payable",
            "payouts_in_transit",
            "bank_clearing",
        ];
        for (account, balance) in accounts.into_iter().zip(standing) {
            let left = balances.get(&(partner.to_owned(), account.to_owned()));
            let balance: i64 = balance.replace('.', "").parse().unwrap();
            assert_eq!(left.copied().unwrap_or(0), balance, "{account}");
        }
    }
    assert_eq!(lines, 2 * transfers, "each transfer twice");
    assert!(transfers > 12, "{transfers}");

    let path = format!("/v1/programs/{}/journal", stand.program);
    let _ = world.get(&path).await.problem(422, "required");
    for wrong in ["2026-13", "2026", "march"] {
        let _ = world
            .get(&format!("{path}?period={wrong}"))
            .await
            .problem(422, "period_malformed");
    }
    let _ = world
        .get(&format!("{path}?period=2026-03&cursor=x"))
        .await
        .problem(422, "cursor_invalid");
    let nobody = "/v1/programs/prg_00000000000000000000000000/journal?period=2026-03";
    let _ = world.get(nobody).await.problem(404, "not_found");
}

#[tokio::test]
async fn another_programs_transfers_stand_in_another_journal() {
    let world = World::start().await;
    let stand = months_of_sales(&world, 1).await;
    let plan = json!([{ "kind": "flat", "event": "sale", "amount": "5.00" }]);
    let (program, token, signing_secret) = world.program(30, plan).await;
    let enrolment = json!({ "program": program, "plan": "standard" });
    let path = format!("/v1/partners/{}/enrolments", stand.partner);
    let _ = world.post(&path, enrolment).await.expect(201);
    let coupon = json!({ "program": program, "partner": stand.partner, "code": "ADA" });
    let _ = world.post("/v1/coupons", coupon).await.expect(201);
    let other = Stand {
        program,
        token,
        signing_secret,
        ..stand.clone()
    };
    let _ = world.sale(&other, "o-1", "10.00").await;
    let _ = world.sale(&stand, "o-2", "10.00").await;
    world.settle().await;
    let debits = async |program: &str| {
        let (text, _) = journal(&world, program, "2026-04").await;
        let debits = rows(&text).into_iter().map(|row| row.3);
        debits.filter(|minor| *minor != 0).collect::<Vec<_>>()
    };
    assert_eq!(debits(&other.program).await, [500]);
    assert_eq!(debits(&stand.program).await, [300, 1470]);
}

#[tokio::test]
async fn a_month_is_closed_once_it_is_over_and_its_journal_is_checked_ever_after() {
    let world = World::start().await;
    let stand = a_busy_spring(&world).await;
    let program = stand.program.clone();
    let to = "2026-06-01T00:09:00Z".parse().unwrap();
    world.advance_to(to).await;
    let _ = close(&world, &program, "2026-02")
        .await
        .problem(422, "out_of_range");
    let _ = close(&world, &program, "2026-04")
        .await
        .problem(409, "earlier_period_open");
    let _ = close(&world, &program, "2026-05")
        .await
        .problem(409, "period_not_over");
    let _ = close(&world, &program, "2026-5")
        .await
        .problem(422, "period_malformed");
    let begun = close(&world, &program, "2026-03").await.expect(202);
    assert_eq!(
        (begun.str("state"), &begun.body["totals"]),
        ("closing", &json!([]))
    );
    let _ = close(&world, &program, "2026-04")
        .await
        .problem(409, "earlier_period_open");
    world.clockwork().await;
    let closed = close(&world, &program, "2026-03").await.expect(202);
    assert_eq!(closed.str("state"), "closed");
    let (text, headers) = journal(&world, &program, "2026-03").await;
    assert_eq!(closed.str("journal_sha256"), sha256(&text));
    assert_eq!(
        headers["tributary-journal-sha256"],
        closed.str("journal_sha256")
    );
    assert_eq!(headers["tributary-journal-check"], "matches");
    assert_eq!(headers["tributary-period-state"], "closed");
    // Seven sales: three of 14.70, three of 6.00, one of 3.00.
    assert_eq!(closed.body["transfers"], 7);
    assert_eq!(
        closed.body["totals"],
        json!([{ "currency": "GBP", "turnover": "65.10", "commissions": "-65.10", "pending": "65.10",
            "payable": "0.00", "in_transit": "0.00", "paid": "0.00" }])
    );

    let _ = close(&world, &program, "2026-04").await.expect(202);
    world.clockwork().await;
    let list = world
        .get(&format!("/v1/programs/{program}/periods?limit=1"))
        .await
        .expect(200);
    assert_eq!(
        (list.str("/items/0/period"), list.str("/items/0/state")),
        ("2026-04", "closed")
    );
    let rest = format!(
        "/v1/programs/{program}/periods?cursor={}",
        list.str("next_cursor")
    );
    assert_eq!(world.get(&rest).await.expect(200).items(), [closed.body]);

    // Somebody with the table's key changes what was posted.
    let config = &world.instance.app().config;
    let mut taken = world.scan("main").await.into_iter().find(|item| {
        item.get("s")
            .is_some_and(|source| source.as_s().unwrap().starts_with("po_"))
    });
    let changed = taken.as_mut().unwrap();
    changed.insert("a".to_owned(), tributary::table::int(1));
    let put = world
        .instance
        .cloud()
        .dynamodb()
        .put_item()
        .table_name(&config.main_table);
    put.set_item(taken).send().await.unwrap();
    let (_, headers) = journal(&world, &program, "2026-04").await;
    assert_eq!(headers["tributary-journal-check"], "differs");
}

#[tokio::test]
async fn nothing_is_posted_into_a_closed_month_even_by_a_clock_that_is_wrong() {
    let world = World::start().await;
    let stand = a_busy_spring(&world).await;
    let program = stand.program.clone();
    world
        .advance_to("2026-05-31T23:45:00Z".parse().unwrap())
        .await;
    let held = world.sale(&stand, "o-held", "49.00").await;
    world.settle().await;
    let at = world.now();
    let later: tributary::clock::Timestamp = "2026-06-01T00:11:00Z".parse().unwrap();
    world.instance.app().clock.set(later);
    for period in ["2026-03", "2026-04", "2026-05"] {
        let _ = close(&world, &program, period).await.expect(202);
        world.clockwork().await;
    }
    let (before, _) = journal(&world, &program, "2026-05").await;
    let balances = world.balances(&stand.partner).await;

    // The clock stands in May again: sales, reversals, releases and batches are asked for there.
    world.instance.app().clock.set(at);
    let late = world.sale(&stand, "o-late", "49.00").await;
    let reversal = json!({ "reversal_id": "r-2", "reason": "sent back" });
    let path = format!("/v1/conversions/{held}/reversals");
    assert!(world.post(&path, reversal).await.status.is_success());
    let _ = world.batch(&program, None).await;
    world.settle().await;
    assert_eq!(world.balances(&stand.partner).await, balances);
    assert_eq!(world.state(&late).await, "received");
    let (after, headers) = journal(&world, &program, "2026-05").await;
    assert_eq!(after, before);
    assert_eq!(headers["tributary-journal-check"], "matches");

    // In the open month all of it is posted, and the closed ones stay what they were.
    world.advance_to(later).await;
    world
        .advance_to(later + jiff::SignedDuration::from_mins(15))
        .await;
    assert_eq!(world.state(&late).await, "held");
    assert_eq!(world.state(&held).await, "reversed");
    for period in ["2026-03", "2026-04", "2026-05"] {
        let (_, headers) = journal(&world, &program, period).await;
        assert_eq!(headers["tributary-journal-check"], "matches", "{period}");
    }
}

// ---- Self-billing invoices

fn address() -> Value {
    json!({ "line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB" })
}

fn invoicing(vat: Value) -> Value {
    json!({
        "prefix": "SB-", "legal_text": "Under the self-billing agreement.", "vat": vat,
        "issuer": { "legal_name": "Vendor <Ltd>", "address": address(), "vat_id": "GB987654321" },
    })
}

fn twenty_per_cent() -> Value {
    json!({ "treatment": "domestic", "rate": "0.20", "reverse_charge_text": "Reverse charge, Art. 196." })
}

async fn give_profile(world: &World, partner: &str, name: &str, treatment: Option<&str>) {
    let profile = json!({
        "legal_name": name, "address": address(), "country": "GB", "tax_id": "1234567890",
        "vat_treatment": treatment,
    });
    let path = format!("/v1/partners/{partner}/tax-profile");
    let _ = world.put(&path, profile).await.expect(200);
}

/// Partners with 14.70 payable each, and a submitted batch that pays them: payout by partner.
async fn to_be_settled(world: &World, names: &[&str]) -> (String, Vec<(String, String)>) {
    let stand = world.stand().await;
    let mut partners = vec![stand.partner.clone()];
    let _ = world.sale(&stand, "o-Ada", "49.00").await;
    for name in names {
        let (partner, link, coupon) = world.partner_in(&stand.program, name).await;
        partners.push(partner.clone());
        let own = Stand {
            partner,
            link,
            coupon,
            ..stand.clone()
        };
        let _ = world.sale(&own, &format!("o-{name}"), "49.00").await;
    }
    world.settle().await;
    world.advance_days(30).await;
    let batch = world.batch(&stand.program, None).await;
    let file = format!("/v1/payouts/batches/{batch}/file?format=paypal&part=1");
    let _ = world.get(&file).await.expect(200);
    let batch = world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    let payout_of = |partner: &String| {
        let lines = batch.body["lines"].as_array().unwrap();
        let line = lines
            .iter()
            .find(|line| line["partner"] == partner.as_str());
        line.unwrap()["payout"].as_str().unwrap().to_owned()
    };
    let paid = partners
        .into_iter()
        .map(|partner| (payout_of(&partner), partner))
        .collect();
    (stand.program, paid)
}

async fn settle(world: &World, payout: &str) {
    let path = format!("/v1/payouts/{payout}/settle");
    let _ = world.post(&path, json!({})).await.expect(200);
    world.settle().await;
}

async fn series(world: &World, program: &str) -> tributary_tests::Answer {
    let path = format!("/v1/programs/{program}/invoices?limit=200");
    world.get(&path).await.expect(200)
}

#[tokio::test]
async fn a_settled_payout_is_invoiced_and_one_that_comes_back_is_credited() {
    let world = World::start().await;
    let (program, paid) = to_be_settled(&world, &["Bob"]).await;
    let [(adas, ada), (bobs, bob)] = paid.try_into().unwrap();
    let path = format!("/v1/programs/{program}/invoicing");
    let _ = world
        .put(&path, invoicing(twenty_per_cent()))
        .await
        .expect(200);
    give_profile(&world, &ada, "Ada & Co", None).await;
    give_profile(&world, &bob, "Bob", Some("reverse_charge")).await;
    settle(&world, &adas).await;
    settle(&world, &bobs).await;
    let listed = series(&world, &program).await;
    assert_eq!(listed.body["waiting"], json!([]));
    let said = |at: usize| {
        [
            "number",
            "partner",
            "kind",
            "net",
            "vat",
            "gross",
            "vat_treatment",
        ]
        .map(|field| listed.str(&format!("/items/{at}/{field}")).to_owned())
    };
    assert_eq!(
        said(0),
        [
            "SB-000001",
            &ada,
            "invoice",
            "12.25",
            "2.45",
            "14.70",
            "domestic"
        ]
    );
    assert_eq!(
        said(1),
        [
            "SB-000002",
            &bob,
            "invoice",
            "14.70",
            "0.00",
            "14.70",
            "reverse_charge"
        ]
    );

    let path = format!("/v1/invoices/{}", listed.str("/items/0/id"));
    let whole = world.get(&path).await.expect(200);
    assert_eq!(whole.str("/supplier/legal_name"), "Ada & Co");
    assert_eq!(whole.str("/recipient/legal_name"), "Vendor <Ltd>");
    let page = world.get(&format!("{path}?format=html")).await.expect(200);
    for expected in [
        "SB-000001",
        "Ada &amp; Co",
        "Vendor &lt;Ltd&gt;",
        "VAT 20 %",
        "Under the self-billing agreement.",
    ] {
        assert!(page.text.contains(expected), "{expected}");
    }
    let bobs_page = format!("/v1/invoices/{}?format=html", listed.str("/items/1/id"));
    let bobs_page = world.get(&bobs_page).await.expect(200);
    assert!(bobs_page.text.contains("Reverse charge, Art. 196."));

    let back = json!({ "reason": "wallet closed", "evidence": "R-7" });
    let _ = world
        .post(&format!("/v1/payouts/{adas}/return"), back)
        .await
        .expect(200);
    world.settle().await;
    let listed = series(&world, &program).await;
    assert_eq!(listed.items().len(), 3);
    assert_eq!(listed.str("/items/2/number"), "SB-000003");
    assert_eq!(listed.str("/items/2/corrects"), "SB-000001");
    assert_eq!(listed.str("/items/2/gross"), "-14.70");
    let own = world
        .get(&format!("/v1/partners/{ada}/invoices"))
        .await
        .expect(200);
    let kinds: Vec<&str> = own
        .items()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["credit_note", "invoice"]);

    // Whatever changes afterwards, an invoice stays what it was.
    let changed = json!({
        "prefix": "NEW-", "vat": { "treatment": "none" },
        "issuer": { "legal_name": "Another Ltd", "address": address() },
    });
    let _ = world
        .replace(&format!("/v1/programs/{program}/invoicing"), changed)
        .await
        .expect(200);
    let profile = json!({ "legal_name": "Ada Ltd", "address": address(), "country": "IE" });
    let _ = world
        .replace(&format!("/v1/partners/{ada}/tax-profile"), profile)
        .await
        .expect(200);
    let _ = world
        .patch(
            &format!("/v1/programs/{program}"),
            json!({ "name": "Summer" }),
        )
        .await
        .expect(200);
    world.advance_days(400).await;
    let again = world.get(&format!("{path}?format=html")).await.expect(200);
    assert_eq!(again.text, page.text);
    assert_eq!(world.get(&path).await.expect(200).body, whole.body);
}

#[tokio::test]
async fn a_payout_waits_for_its_invoice_until_its_partner_has_a_tax_profile() {
    let world = World::start().await;
    let (program, paid) = to_be_settled(&world, &["Bob"]).await;
    let [(adas, ada), (bobs, bob)] = paid.try_into().unwrap();
    // What is settled before there are settings gets no invoice.
    settle(&world, &bobs).await;
    let path = format!("/v1/programs/{program}/invoicing");
    let _ = world.get(&path).await.problem(404, "not_found");
    let none = invoicing(json!({ "treatment": "none" }));
    let _ = world.put(&path, none.clone()).await.expect(200);
    let _ = world
        .put(&path, none)
        .await
        .problem(428, "if_match_missing");
    give_profile(&world, &bob, "Bob", None).await;
    settle(&world, &adas).await;
    world.advance_days(1).await;
    let listed = series(&world, &program).await;
    assert_eq!(listed.items().len(), 0);
    let expected = json!([{ "payout": adas, "partner": ada, "reason": "tax_profile_missing" }]);
    assert_eq!(listed.body["waiting"], expected);
    give_profile(&world, &ada, "Ada", Some("reverse_charge")).await;
    world.advance_days(1).await;
    let listed = series(&world, &program).await;
    assert_eq!(listed.str("/waiting/0/reason"), "vat_terms_missing");
    let _ = world
        .replace(&path, invoicing(twenty_per_cent()))
        .await
        .expect(200);
    world.advance_days(1).await;
    let listed = series(&world, &program).await;
    assert_eq!(listed.body["waiting"], json!([]));
    assert_eq!(listed.items().len(), 1);
    assert_eq!(listed.str("/items/0/payout"), adas);
}

#[tokio::test]
async fn a_payout_that_comes_back_before_its_invoice_gets_none() {
    let world = World::start().await;
    let (program, paid) = to_be_settled(&world, &[]).await;
    let [(payout, partner)] = paid.try_into().unwrap();
    let path = format!("/v1/programs/{program}/invoicing");
    let _ = world
        .put(&path, invoicing(twenty_per_cent()))
        .await
        .expect(200);
    settle(&world, &payout).await;
    let back = json!({ "reason": "closed", "evidence": "R-7" });
    let _ = world
        .post(&format!("/v1/payouts/{payout}/return"), back)
        .await
        .expect(200);
    give_profile(&world, &partner, "Ada", None).await;
    world.settle().await;
    world.advance_days(1).await;
    let listed = series(&world, &program).await;
    assert_eq!(
        (listed.items().len(), &listed.body["waiting"]),
        (0, &json!([]))
    );
}

/// Refuses every third transaction's answer after it was committed, and every fifth before.
#[derive(Default)]
struct Unreliable(std::sync::atomic::AtomicU64);

impl tributary_local::connector::Intercept for Unreliable {
    fn before(
        &self,
        call: &tributary_local::connector::Call<'_>,
    ) -> tributary_local::connector::Verdict {
        use tributary_local::connector::Verdict;
        if call.operation != "TransactWriteItems" {
            return Verdict::Pass;
        }
        match self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            number if number.is_multiple_of(3) => Verdict::DropResponse,
            number if number.is_multiple_of(5) => Verdict::FailBefore,
            _ => Verdict::Pass,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_series_has_no_gap_and_no_number_twice_whatever_fails() {
    let world = World::start().await;
    let names = ["Bob", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal"];
    let (program, paid) = to_be_settled(&world, &names).await;
    let path = format!("/v1/programs/{program}/invoicing");
    let _ = world
        .put(&path, invoicing(twenty_per_cent()))
        .await
        .expect(200);
    for (payout, partner) in &paid {
        give_profile(&world, partner, "Somebody", None).await;
        let path = format!("/v1/payouts/{payout}/settle");
        let _ = world.post(&path, json!({})).await.expect(200);
    }
    let unreliable = std::sync::Arc::new(Unreliable::default());
    world.instance.cloud().set_interceptor(Some(unreliable));
    // All at once, each several times, as several functions would.
    let app = world.instance.app().clone();
    let issue = |payout: &String| {
        let (app, payout) = (app.clone(), payout.parse().unwrap());
        async move { tributary::invoices::issue(&app, payout).await }
    };
    let jobs = (0..3).flat_map(|_| paid.iter().map(|(payout, _)| issue(payout)));
    let _ = futures_util::future::join_all(jobs).await;
    for (payout, _) in paid.iter().take(3) {
        let back = json!({ "reason": "closed", "evidence": "R-7" });
        let path = format!("/v1/payouts/{payout}/return");
        while !world.post(&path, back.clone()).await.status.is_success() {}
    }
    world.settle().await;
    world.instance.cloud().set_interceptor(None);
    world.advance_days(1).await;
    world.advance_days(1).await;
    let listed = series(&world, &program).await;
    let numbers: Vec<String> = listed
        .items()
        .iter()
        .map(|item| item["number"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (1..=11).map(|serial| format!("SB-{serial:06}")).collect();
    assert_eq!(numbers, expected, "eight invoices and three credit notes");
    let mut payouts: Vec<&str> = listed
        .items()
        .iter()
        .filter(|item| item["kind"] == "invoice")
        .map(|item| item["payout"].as_str().unwrap())
        .collect();
    payouts.sort_unstable();
    payouts.dedup();
    assert_eq!(payouts.len(), 8, "one for each payout");
}

#[tokio::test]
async fn a_partner_reads_its_own_invoices_only_and_its_tax_number_stands_nowhere_in_the_open() {
    let world = World::start().await;
    let (program, paid) = to_be_settled(&world, &["Bob"]).await;
    let [(adas, ada), (_, bob)] = paid.try_into().unwrap();
    let path = format!("/v1/programs/{program}/invoicing");
    let _ = world
        .put(&path, invoicing(twenty_per_cent()))
        .await
        .expect(200);
    give_profile(&world, &ada, "Ada Augusta King", None).await;
    settle(&world, &adas).await;
    let issued = world
        .post(&format!("/v1/partners/{ada}/keys"), json!({}))
        .await
        .expect(201);
    let adas_key = issued.str("key").to_owned();
    let issued = world
        .post(&format!("/v1/partners/{bob}/keys"), json!({}))
        .await
        .expect(201);
    let bobs_key = issued.str("key").to_owned();
    let get = async |key: &str, path: &str| world.ask(key, Method::GET, path, &[], None).await;
    let own = get(&adas_key, &format!("/v1/partners/{ada}/invoices"))
        .await
        .expect(200);
    let invoice = format!("/v1/invoices/{}", own.str("/items/0/id"));
    let _ = get(&adas_key, &invoice).await.expect(200);
    let _ = get(&bobs_key, &invoice).await.problem(404, "not_found");
    let _ = get(&bobs_key, &format!("/v1/partners/{ada}/invoices"))
        .await
        .problem(404, "not_found");
    let profile = get(&adas_key, &format!("/v1/partners/{ada}/tax-profile"))
        .await
        .expect(200);
    assert_eq!(profile.str("tax_id"), "•••• 7890");
    let _ = get(&bobs_key, &format!("/v1/partners/{ada}/tax-profile"))
        .await
        .problem(404, "not_found");
    let _ = get(&adas_key, &format!("/v1/programs/{program}/invoices"))
        .await
        .problem(403, "forbidden");
    for item in world.scan("main").await {
        let text = format!("{item:?}");
        assert!(
            !text.contains("1234567890") && !text.contains("Augusta"),
            "{text}"
        );
    }
    // Erased, its name is gone from the invoice, and the figures stay.
    let id = own.str("/items/0/id");
    let config = &world.instance.app().config;
    let party = world
        .instance
        .cloud()
        .dynamodb()
        .delete_item()
        .table_name(&config.main_table);
    let party = party.key("pk", tributary::table::text(format!("INVOICE#{id}")));
    party
        .key("sk", tributary::table::text("PARTY"))
        .send()
        .await
        .unwrap();
    let left = world.get(&invoice).await.expect(200);
    assert_eq!(
        (left.body["supplier"].is_null(), left.str("gross")),
        (true, "14.70")
    );
}

#[tokio::test]
async fn wrong_invoicing_settings_and_profiles_are_refused_whole() {
    let world = World::start().await;
    let stand = world.stand().await;
    let told = |answer: &tributary_tests::Answer| {
        let errors = answer.body["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|e| {
                format!(
                    "{} {}",
                    e["field"].as_str().unwrap(),
                    e["code"].as_str().unwrap()
                )
            })
            .collect::<Vec<_>>()
    };
    let path = format!("/v1/programs/{}/invoicing", stand.program);
    let mut wrong = invoicing(json!({ "treatment": "domestic", "pricing": "net" }));
    wrong["prefix"] = json!("=SB 1");
    wrong["issuer"]["vat_id"] = json!("=1+1");
    let answer = world.put(&path, wrong).await.problem(422, "invalid");
    assert_eq!(
        told(&answer),
        [
            "issuer.vat_id characters_refused",
            "prefix characters_refused",
            "vat.rate required",
            "vat.pricing not_one_of"
        ]
    );
    let wrong = invoicing(json!({ "treatment": "reverse_charge", "rate": "1.2" }));
    let answer = world.put(&path, wrong).await.problem(422, "invalid");
    assert_eq!(
        told(&answer),
        [
            "vat.rate rate_over_limit",
            "vat.reverse_charge_text required"
        ]
    );
    let nobody = "/v1/programs/prg_00000000000000000000000000/invoicing";
    let _ = world
        .put(nobody, invoicing(twenty_per_cent()))
        .await
        .problem(404, "not_found");
    let path = format!("/v1/partners/{}/tax-profile", stand.partner);
    let wrong =
        json!({ "legal_name": "", "address": address(), "country": "UK", "tax_id": "none" });
    let answer = world.put(&path, wrong).await.problem(422, "invalid");
    assert_eq!(
        told(&answer),
        [
            "legal_name too_short",
            "country country_unknown",
            "tax_id characters_refused"
        ]
    );
    let _ = world.get(&path).await.problem(404, "not_found");
    let _ = world
        .get("/v1/invoices/inv_00000000000000000000000000")
        .await
        .problem(404, "not_found");
}

// ---- Yearly totals

#[tokio::test]
async fn a_year_is_what_was_settled_in_it_less_what_came_back_in_it() {
    let world = World::start().await;
    let (program, paid) = to_be_settled(&world, &["Bob"]).await;
    let [(adas, ada), (bobs, bob)] = paid.try_into().unwrap();
    settle(&world, &adas).await;
    settle(&world, &bobs).await;
    let totals = async |partner: &str, year: &str| {
        let path = format!("/v1/partners/{partner}/yearly-totals?year={year}");
        world.get(&path).await.expect(200)
    };
    let of_2026 = totals(&ada, "2026").await;
    assert_eq!(
        of_2026.body["items"],
        json!([{ "currency": "GBP", "paid": "14.70", "months": [{ "month": "2026-04", "paid": "14.70" }] }])
    );
    assert_eq!(totals(&ada, "2025").await.body["items"], json!([]));
    // It comes back in the year after: there it counts.
    world
        .advance_to("2027-01-05T00:00:00Z".parse().unwrap())
        .await;
    let back = json!({ "reason": "closed", "evidence": "R-7" });
    let _ = world
        .post(&format!("/v1/payouts/{adas}/return"), back)
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(totals(&ada, "2026").await.body, of_2026.body);
    assert_eq!(totals(&ada, "2027").await.str("/items/0/paid"), "-14.70");
    let path = format!("/v1/programs/{program}/yearly-totals?year=2026");
    let all = world.get(&path).await.expect(200);
    let partners: Vec<&str> = all
        .items()
        .iter()
        .map(|item| item["partner"].as_str().unwrap())
        .collect();
    let mut both = [ada.as_str(), bob.as_str()];
    both.sort_unstable();
    assert_eq!(partners, both);
    let before = all.body.clone();
    forget_sums(&world).await;
    assert_eq!(
        world.get(&path).await.expect(200).body,
        before,
        "an account that is older than its sums"
    );
    // Sums begin anew in January, in which they lack what came back before.
    let bonus = json!({ "adjustment_id": "bonus", "program": program, "partner": ada,
        "direction": "credit", "amount": "1.00", "currency": "GBP", "reason": "a good year" });
    let _ = world.post("/v1/adjustments", bonus).await.expect(200);
    world.settle().await;
    assert_eq!(totals(&ada, "2026").await.body, of_2026.body);
    assert_eq!(totals(&ada, "2027").await.str("/items/0/paid"), "-14.70");
    let path = format!("/v1/partners/{ada}/yearly-totals");
    let _ = world.get(&path).await.problem(422, "required");
    let _ = world
        .get(&format!("{path}?year=26"))
        .await
        .problem(422, "out_of_range");
    let _ = world
        .get(&format!("{path}?year=next"))
        .await
        .problem(422, "wrong_type");
}

#[tokio::test]
async fn thresholds_are_those_of_the_partners_country_and_currency() {
    let world = World::start().await;
    let (_, paid) = to_be_settled(&world, &[]).await;
    let [(payout, ada)] = paid.try_into().unwrap();
    settle(&world, &payout).await;
    let path = format!("/v1/partners/{ada}/yearly-totals?year=2026");
    assert_eq!(
        world.get(&path).await.expect(200).body["thresholds"],
        json!([]),
        "none in Britain"
    );
    let profile = json!({ "legal_name": "Ada Inc", "address": address(), "country": "US", "tax_id": "12-3456789" });
    let _ = world
        .put(&format!("/v1/partners/{ada}/tax-profile"), profile)
        .await
        .expect(200);
    let told = world.get(&path).await.expect(200);
    assert_eq!(told.str("country"), "US");
    assert_eq!(told.str("/thresholds/0/code"), "us_1099_nec");
    assert_eq!(told.str("/thresholds/0/amount"), "2000.00");
    assert_eq!(
        told.body["thresholds"][0]["reached"],
        Value::Null,
        "pounds are not converted"
    );
}

// ---- Payouts beside the ledger

#[tokio::test]
async fn every_payout_is_what_its_transfers_say_whatever_became_of_it() {
    let world = World::start().await;
    let (program, paid) = to_be_settled(&world, &["Bob", "Cleo", "Dan"]).await;
    let [(adas, ada), (bobs, _), (cleos, _), (dans, _)] = paid.try_into().unwrap();
    settle(&world, &adas).await;
    let back = |payout: &str| {
        let path = format!("/v1/payouts/{payout}/return");
        let (world, body) = (
            world.clone(),
            json!({ "reason": "closed", "evidence": "R-7" }),
        );
        async move { world.post(&path, body).await.expect(200) }
    };
    let _ = back(&bobs).await;
    settle(&world, &cleos).await;
    let _ = back(&cleos).await;
    world.settle().await;
    let path = format!("/v1/programs/{program}/payout-reconciliation?period=2026-04");
    let whole = world.get(&path).await.expect(200);
    let row = |payout: &str| {
        let row = whole
            .items()
            .iter()
            .find(|row| row["payout"] == payout)
            .unwrap();
        [
            "state",
            "in_file",
            "reserved",
            "settled",
            "returned",
            "difference",
        ]
        .map(|field| row[field].as_str().unwrap())
    };
    assert_eq!(
        row(&adas),
        ["settled", "14.70", "14.70", "14.70", "0.00", "0.00"]
    );
    assert_eq!(
        row(&bobs),
        ["returned", "14.70", "14.70", "0.00", "14.70", "0.00"]
    );
    assert_eq!(
        row(&cleos),
        ["returned", "14.70", "14.70", "14.70", "14.70", "0.00"]
    );
    assert_eq!(
        row(&dans),
        ["reserved", "14.70", "14.70", "0.00", "0.00", "0.00"]
    );
    let expected =
        json!({ "currency": "GBP", "ledger": "14.70", "open_payouts": "14.70", "unexplained": [] });
    assert_eq!(whole.body["in_transit"], expected);

    // Page by page, and as a sheet.
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world
            .get(&format!("{path}&limit=1{cursor}"))
            .await
            .expect(200);
        paged.extend(page.items().to_vec());
        match page.str("next_cursor") {
            "" => break,
            next => cursor = format!("&cursor={next}"),
        }
    }
    assert_eq!(paged, whole.items());
    let sheet = world.get(&format!("{path}&format=csv")).await.expect(200);
    assert_eq!(sheet.text.lines().count(), 5);
    assert!(
        sheet
            .text
            .starts_with("batch,payout,partner,state,currency,amount,")
    );
    let march = path.replace("2026-04", "2026-03");
    assert_eq!(world.get(&march).await.expect(200).items().len(), 0);

    // A settlement that is not in the ledger shows.
    let config = &world.instance.app().config;
    let transfer = world.scan("main").await.into_iter().find(|item| {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        text("k").is_some_and(|kind| kind == "settle") && text("s") == Some(&adas)
    });
    let mut transfer = transfer.unwrap();
    let delete = world
        .instance
        .cloud()
        .dynamodb()
        .delete_item()
        .table_name(&config.main_table);
    let delete = delete.key("pk", transfer.remove("pk").unwrap());
    delete
        .key("sk", transfer.remove("sk").unwrap())
        .send()
        .await
        .unwrap();
    let told = world.get(&path).await.expect(200);
    let row = told
        .items()
        .iter()
        .find(|row| row["partner"] == ada.as_str())
        .unwrap();
    assert_eq!(
        row["difference"], "29.40",
        "neither settled nor out of transit"
    );
}
