//! Nothing secret is stored in the open.

use axum::http::Method;
use serde_json::{Value, json};
use tributary::clock::Clock;
use tributary_local::instance::{Instance, Settings};
use tributary_tests::{Answer, World};

/// A partner of a program in that currency is paid into its bank account: the batch, and its file.
async fn paid(
    world: &World,
    currency: &str,
    funding: &str,
    method: &Value,
    account: &str,
) -> (String, String) {
    let program = json!({ "name": currency, "currency": currency, "attribution": { "model": "last_click", "window_days": 30 } });
    let program = world.post("/v1/programs", program).await.expect(201);
    let id = program.str("id");
    let plan = json!({ "code": "standard", "hold_days": 0, "effective_from": "2000-01-01T00:00:00Z", "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }] });
    let plans = format!("/v1/programs/{id}/plans");
    let _ = world.post(&plans, plan).await.expect(201);
    let (partner, _, coupon) = world.partner_in(id, currency).await;
    let path = format!("/v1/partners/{partner}/payout-method");
    let _ = world.replace(&path, method.clone()).await.expect(200);
    let sale = json!({ "transaction_id": "o-1", "coupon": coupon, "amount": "10.00", "currency": currency });
    let token = [("x-postback-token", program.str("postback_token"))];
    let path = format!("/v1/postbacks/{id}");
    let _ = world
        .ask("", Method::POST, &path, &token, Some(&sale))
        .await
        .expect(201);
    world.settle().await;
    world.advance_days(1).await;
    let batch = json!({ "program": id, "currency": currency, "cutoff": world.now().to_string(), "funding_account": funding });
    let batch = world
        .post("/v1/payouts/batches", batch)
        .await
        .expect(202)
        .str("id")
        .to_owned();
    world.settle().await;
    let file = format!("/v1/payouts/batches/{batch}/file");
    let file = world.get(&file).await.expect(200).text;
    assert!(file.contains(account), "{file}");
    (batch, file)
}

#[tokio::test]
async fn the_data_files_hold_no_issued_secret_token_or_bank_account() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::in_memory(Clock::manual(tributary_tests::START.parse().unwrap()));
    settings.data = Some(folder.path().to_owned());
    let instance = Instance::open(settings).await.unwrap();
    let key = instance
        .operator_key(None, Some(folder.path()))
        .await
        .unwrap()
        .text;
    let world = World { instance, key };
    let stand = world.stand().await;
    let partner_key = world
        .post(&format!("/v1/partners/{}/keys", stand.partner), json!({}))
        .await
        .expect(201)
        .str("key")
        .to_owned();
    // Answers with secrets, asked for with a key under which the answer is kept, and then asked for again.
    let operator = world
        .post(
            "/v1/operators",
            json!({ "name": "Grace", "email": "grace@example.com" }),
        )
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let mut kept = Vec::new();
    for (path, body, fields) in [
        (
            format!("/v1/operators/{operator}/keys"),
            json!({ "scopes": ["finance"] }),
            &["key"][..],
        ),
        (
            format!("/v1/partners/{}/keys", stand.partner),
            json!({}),
            &["key"],
        ),
        (
            "/v1/programs".to_owned(),
            json!({ "name": "Autumn", "currency": "USD", "attribution": { "model": "last_click", "window_days": 30 } }),
            &["postback_token", "signing_secret"],
        ),
        (
            format!("/v1/programs/{}/secrets", stand.program),
            json!({}),
            &["postback_token", "signing_secret"],
        ),
    ] {
        let ask = async || {
            let once = [("idempotency-key", "with-secrets")];
            world
                .ask(&world.key, Method::POST, &path, &once, Some(&body))
                .await
        };
        let first = ask().await.expect(201);
        let again = ask().await.expect(201);
        for field in fields {
            kept.push(first.str(field).trim_start_matches("whsec_").to_owned());
            assert!(again.body.get(*field).is_none(), "{path}: {}", again.text);
        }
        let without_secrets = |answer: &Answer| {
            let mut body = answer.body.as_object().unwrap().clone();
            body.retain(|name, _| !fields.contains(&name.as_str()));
            body
        };
        assert_eq!(without_secrets(&again), without_secrets(&first), "{path}");
    }
    let bank = |account: Value| {
        let mut body = json!({
            "kind": "bank", "name": "Ada Lovelace",
            "address": { "line1": "1 High Street", "city": "London", "postcode": "N1 1AA", "country": "GB" },
        });
        body.as_object_mut()
            .unwrap()
            .extend(account.as_object().unwrap().clone());
        body
    };
    let click = world.click(&stand.link).await;
    let sale = json!({ "transaction_id": "o-1", "click_id": click, "amount": "10.00", "customer": "customer-17850" });
    let _ = world.postback(&stand, sale).await.expect(201);
    let _ = world.sale(&stand, "o-2", "100.00").await;
    world.settle().await;
    world.advance_days(31).await;
    let _ = world.batch(&stand.program, None).await;
    let iban = json!({ "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22" });
    let us = json!({ "routing_number": "021000021", "account_number": "98765432109876", "account_type": "checking" });
    let path = format!("/v1/partners/{}/payout-method", stand.partner);
    for account in [iban, us.clone()] {
        let put = world.replace(&path, bank(account)).await;
        assert!(put.status.is_success(), "{}", put.text);
    }
    let mut funding = json!({
        "name": "Checking", "kind": "bank", "currency": "USD", "account_number": "56473829105647",
        "holder": "Vendor", "company_id": "1123456789", "bank_name": "Chase",
    });
    for field in ["routing_number", "account_type"] {
        funding[field] = us[field].clone();
    }
    let put = world.put("/v1/funding-accounts/checking", funding).await;
    assert!(put.status.is_success(), "{}", put.text);
    let giro = json!({
        "name": "Giro", "kind": "bank", "currency": "EUR", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX",
        "holder": "Vendor",
        "address": { "line1": "1 Hafenweg", "city": "Hamburg", "postcode": "20457", "country": "DE" },
    });
    let put = world.put("/v1/funding-accounts/giro", giro).await;
    assert!(put.status.is_success(), "{}", put.text);
    let french = json!({ "iban": "FR1420041010050500013M02606", "bic": "PSSTFRPPLIL" });
    let _ = paid(
        &world,
        "EUR",
        "giro",
        &bank(french),
        "FR1420041010050500013M02606",
    )
    .await;
    let american = json!({ "routing_number": "021000021", "account_number": "11335577992244", "account_type": "checking" });
    let (batch, file) = paid(&world, "USD", "checking", &bank(american), "11335577992244").await;
    // Its bank sends the entry back, with the account's number in it.
    let entry = file.lines().find(|line| line.starts_with('6')).unwrap();
    let returned = format!(
        "{:94}\n{}1{:15}\n799R03{}\n",
        "101",
        &entry[..78],
        "",
        &entry[79..]
    );
    let path = format!("/v1/payouts/batches/{batch}/returns?format=nacha");
    let once = [("idempotency-key", "returns-1")];
    let body = json!(returned);
    let taken = world
        .ask(&world.key, Method::POST, &path, &once, Some(&body))
        .await
        .expect(202);
    assert_eq!(taken.body["returned_count"], 1, "{}", taken.text);
    world.settle().await;

    let mut secrets = vec![
        world.key.clone(),
        partner_key,
        stand.token.clone(),
        stand.signing_secret.trim_start_matches("whsec_").to_owned(),
        "GB33BUKB20201555555555".to_owned(),
        "98765432109876".to_owned(),
        "56473829105647".to_owned(),
        "DE89370400440532013000".to_owned(),
        "FR1420041010050500013M02606".to_owned(),
        "11335577992244".to_owned(),
        "ada@wallet.example".to_owned(),
        "payouts@vendor.example".to_owned(),
        "customer-17850".to_owned(),
    ];
    secrets.extend(kept);
    assert_eq!(secrets.len(), 19);
    // A control that the search can find something: what is no secret stands there in the open.
    let mut public_found = false;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // These two are the secrets' own files, readable by their owner alone.
        if ["operator-key", "keys"].contains(&name.as_str()) {
            #[cfg(unix)]
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions())
                    & 0o777,
                0o600,
                "{name}"
            );
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let holds = |needle: &str| {
            bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
        };
        public_found |= holds(&stand.partner);
        for secret in &secrets {
            assert!(secret.len() >= 10, "a secret is missing from the list");
            assert!(!holds(secret), "{name} holds {secret}");
        }
    }
    assert!(public_found);
}
