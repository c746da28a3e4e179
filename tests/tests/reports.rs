//! The controller's papers: statements, the journal and its closed periods, invoices, yearly totals and
//! the reconciliation of payouts.

use axum::http::header;
use serde_json::json;
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
