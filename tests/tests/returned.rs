//! Banks' return files: what each row comes to, and that no payout comes back twice.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tributary_tests::{Answer, World};

use crate::banks::{Program, bank, dollar_account, euro_account, iban, read, us};

const IBAN: &str = "FR1420041010050500013M02606";

async fn send(world: &World, batch: &str, format: &str, file: &str) -> Answer {
    let path = format!("/v1/payouts/batches/{batch}/returns?format={format}");
    world.post(&path, json!(file)).await
}

fn verdicts(answer: &Answer) -> Vec<&str> {
    let rows = answer.body["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row["verdict"].as_str().unwrap())
        .collect()
}

async fn balance(world: &World, partner: &str) -> [String; 4] {
    world.balances(partner).await
}

/// A batch in euro to so many partners, its file downloaded; the partners and their payouts.
async fn in_euro(world: &World, codes: &[&str]) -> (String, Vec<(String, String)>) {
    let program = Program::new(world, "EUR", euro_account()).await;
    let mut partners = Vec::new();
    for code in codes {
        let method = bank(code, iban(IBAN, "PSSTFRPPLIL"));
        partners.push(program.payee(code, "100.00", method).await);
    }
    let batch = program.batch().await;
    let file = format!("/v1/payouts/batches/{batch}/file");
    let _ = world.get(&file).await.expect(200);
    let lines = read(world, &batch).await.body["lines"].clone();
    let payout_of = |partner: &String| {
        let lines = lines.as_array().unwrap();
        let line = lines
            .iter()
            .find(|line| line["partner"] == partner.as_str());
        line.unwrap()["payout"].as_str().unwrap().to_owned()
    };
    let paid = partners
        .iter()
        .map(|partner| (partner.clone(), payout_of(partner)))
        .collect();
    (batch, paid)
}

#[tokio::test]
async fn a_table_of_returns_is_told_row_by_row() {
    let world = World::start().await;
    let (batch, paid) = in_euro(&world, &["ADA", "BOB", "CLEO"]).await;
    let [(ada, to_ada), (bob, to_bob), (cleo, _)] =
        <[(String, String); 3]>::try_from(paid).unwrap();
    let _ = world
        .post(&format!("/v1/payouts/{to_bob}/settle"), json!({}))
        .await
        .expect(200);
    let file = format!(
        "payout_id,reason\r\n{to_ada},account closed\r\n{to_bob},refused\r\n{to_ada},again\r\n\
         po_00000000000000000000000000,x\r\nINV-7,x\r\n{to_ada}\r\n"
    );
    let taken = send(&world, &batch, "csv", &file).await.expect(202);
    assert_eq!(
        verdicts(&taken),
        [
            "returned",
            "returned",
            "already",
            "unknown",
            "unknown",
            "unreadable"
        ]
    );
    assert_eq!(taken.body["returned_count"], 2);
    let again = send(&world, &batch, "csv", &file).await.expect(202);
    assert_eq!(
        again.body, taken.body,
        "before anything of it is carried out"
    );
    world.settle().await;
    for partner in [&ada, &bob] {
        assert_eq!(
            balance(&world, partner).await,
            ["0.00", "30.00", "0.00", "0.00"]
        );
    }
    assert_eq!(
        balance(&world, &cleo).await,
        ["0.00", "0.00", "30.00", "0.00"]
    );
    let returned = world
        .get(&format!("/v1/payouts/{to_ada}"))
        .await
        .expect(200);
    assert_eq!(
        (returned.str("state"), returned.str("reason")),
        ("returned", "account closed")
    );
    assert_eq!(
        returned.str("evidence"),
        format!("return file {}, row 2", taken.str("import"))
    );
    let late = send(&world, &batch, "csv", &file).await.expect(202);
    assert_eq!(
        verdicts(&late),
        [
            "already",
            "already",
            "already",
            "unknown",
            "unknown",
            "unreadable"
        ]
    );
    world.settle().await;
    assert_eq!(
        balance(&world, &ada).await,
        ["0.00", "30.00", "0.00", "0.00"]
    );
}

#[tokio::test]
async fn a_payout_of_another_batch_is_not_returned() {
    let world = World::start().await;
    let (first, paid) = in_euro(&world, &["ADA"]).await;
    let row = format!("{},closed\n", paid[0].1);
    let _ = send(&world, &first, "csv", &row).await.expect(202);
    world.settle().await;
    // What came back is paid again, by another batch.
    world.advance_days(1).await;
    let body = json!({
        "program": read(&world, &first).await.str("program"), "currency": "EUR", "cutoff": world.now().to_string(),
        "funding_account": "bank",
    });
    let second = world
        .post("/v1/payouts/batches", body)
        .await
        .expect(202)
        .str("id")
        .to_owned();
    let early = send(&world, &second, "csv", &row).await;
    let _ = early.problem(409, "wrong_state");
    world.settle().await;
    let file = format!("/v1/payouts/batches/{second}/file");
    let _ = world.get(&file).await.expect(200);
    let taken = send(&world, &second, "csv", &row).await.expect(202);
    assert_eq!(verdicts(&taken), ["not_in_this_batch"]);
}

fn status_report(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\">\n \
         <CstmrPmtStsRpt>\n  <GrpHdr><MsgId>S-1</MsgId></GrpHdr>\n{content}\n </CstmrPmtStsRpt>\n</Document>\n"
    )
}

#[tokio::test]
async fn a_status_report_returns_what_it_rejects() {
    let world = World::start().await;
    let (batch, paid) = in_euro(&world, &["ADA", "BOB"]).await;
    let transaction = |payout: &str, status: &str, reason: &str| {
        let id = payout.replace('_', "-");
        format!(
            "<TxInfAndSts><OrgnlEndToEndId>{id}</OrgnlEndToEndId><TxSts>{status}</TxSts>{reason}</TxInfAndSts>"
        )
    };
    let closed = "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>";
    let content = format!(
        "<OrgnlPmtInfAndSts><OrgnlPmtInfId>x</OrgnlPmtInfId>{}{}{}</OrgnlPmtInfAndSts>",
        transaction(&paid[0].1, "RJCT", closed),
        transaction(&paid[1].1, "ACSC", ""),
        transaction("NOTPROVIDED", "RJCT", closed),
    );
    let taken = send(&world, &batch, "pain.002", &status_report(&content))
        .await
        .expect(202);
    assert_eq!(verdicts(&taken), ["returned", "ignored", "unknown"]);
    assert_eq!(taken.str("/rows/0/reason"), "AC04: account closed");
    world.settle().await;
    assert_eq!(balance(&world, &paid[0].0).await[1], "30.00");
    assert_eq!(balance(&world, &paid[1].0).await[2], "30.00");

    // Then the bank rejects the whole message after all.
    let id = format!("{}-1", batch.replace('_', "-"));
    let whole = |id: &str| {
        let content = format!(
            "<OrgnlGrpInfAndSts><OrgnlMsgId>{id}</OrgnlMsgId><GrpSts>RJCT</GrpSts></OrgnlGrpInfAndSts>"
        );
        status_report(&content)
    };
    let other = send(&world, &batch, "pain.002", &whole("bat-other-1")).await;
    assert_eq!(verdicts(&other.expect(202)), ["not_in_this_batch"]);
    let taken = send(&world, &batch, "pain.002", &whole(&id))
        .await
        .expect(202);
    let mut found = verdicts(&taken);
    found.sort_unstable();
    assert_eq!(found, ["already", "returned"]);
    world.settle().await;
    assert_eq!(balance(&world, &paid[1].0).await[1], "30.00");
}

#[tokio::test]
async fn an_ach_return_finds_its_payout_by_trace_and_identification() {
    let world = World::start().await;
    let program = Program::new(&world, "USD", dollar_account()).await;
    let mut partners = Vec::new();
    for code in ["ADA", "BOB", "CLEO"] {
        let method = bank(code, us("98765432109876", "checking"));
        partners.push(program.payee(code, "100.00", method).await);
    }
    let batch = program.batch().await;
    let path = format!("/v1/payouts/batches/{batch}/file");
    let file = world.get(&path).await.expect(200).text;
    // As the receiving bank sends an entry back: the same but for the code, with an addenda.
    let entry = file.lines().find(|line| line.contains("BOB")).unwrap();
    let back = |entry: &str, trace: &str| {
        format!(
            "621{}1011401530000001\r\n799R03{trace}      01140153{:44}011401530000001\r\n",
            &entry[3..78],
            ""
        )
    };
    let header = format!("{:94}\r\n", "101 1123456789021000021260304120 A094101");
    let text = format!(
        "{header}5{:93}\r\n{}{}8{:93}\r\n9{:93}\r\n",
        "",
        back(entry, &entry[79..]),
        back(entry, "021000020000009"),
        "",
        ""
    );
    let taken = send(&world, &batch, "nacha", &text).await.expect(202);
    assert_eq!(verdicts(&taken), ["returned", "not_in_this_batch"]);
    assert_eq!(
        taken.str("/rows/0/reason"),
        "R03: no account, or not of that name"
    );
    assert!(!taken.text.contains("98765432109876"));
    world.settle().await;
    assert_eq!(
        balance(&world, &partners[1]).await,
        ["0.00", "30.00", "0.00", "0.00"]
    );
    assert_eq!(
        balance(&world, &partners[0]).await,
        ["0.00", "0.00", "30.00", "0.00"]
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_refused_whole() {
    let world = World::start().await;
    let (batch, paid) = in_euro(&world, &["ADA"]).await;
    let row = format!("{},closed\n", paid[0].1);
    for (format, file, status, code) in [
        ("pain.002", row.as_str(), 422, "return_file_unreadable"),
        ("pain.002", "<Document>", 422, "return_file_unreadable"),
        ("nacha", &row, 422, "return_file_unreadable"),
        ("csv", &row.repeat(1_001), 422, "too_long"),
        ("camt.054", &row, 422, "not_one_of"),
        ("csv", &"x".repeat(256 * 1024 + 1), 413, "body_too_large"),
    ] {
        let _ = send(&world, &batch, format, file)
            .await
            .problem(status, code);
    }
    let latin = Request::builder()
        .method(Method::POST)
        .uri(format!("/v1/payouts/batches/{batch}/returns?format=csv"))
        .header("authorization", format!("Bearer {}", world.key))
        .body(Body::from(vec![0xe9, 0x0a]))
        .unwrap();
    let _ = world.send(latin).await.problem(400, "malformed_body");
    world.settle().await;
    assert_eq!(
        balance(&world, &paid[0].0).await[2],
        "30.00",
        "nothing was taken"
    );
    let nothing = send(&world, &batch, "csv", "payout_id,reason\n")
        .await
        .expect(202);
    assert_eq!(nothing.body["rows"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_taken_file_is_carried_out_whatever_transport_loses() {
    let world = World::start().await;
    let (batch, paid) = in_euro(&world, &["ADA", "BOB"]).await;
    let file: String = paid
        .iter()
        .map(|(_, payout)| format!("{payout},closed\n"))
        .collect();
    let _ = send(&world, &batch, "csv", &file).await.expect(202);
    world.lose_transport().await;
    world.advance_days(1).await;
    for (partner, _) in &paid {
        assert_eq!(
            balance(&world, partner).await,
            ["0.00", "30.00", "0.00", "0.00"]
        );
    }
}
