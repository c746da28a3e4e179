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
