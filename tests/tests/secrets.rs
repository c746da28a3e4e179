//! Nothing secret is stored in the open.

use serde_json::json;
use tributary::clock::Clock;
use tributary_local::instance::{Instance, Settings};
use tributary_tests::World;

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
    let rotated = world
        .post(
            &format!("/v1/programs/{}/secrets", stand.program),
            json!({}),
        )
        .await;
    let bank = json!({
        "kind": "bank", "name": "Ada Lovelace", "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22",
        "address": { "line1": "1 High Street", "city": "London", "postcode": "N1 1AA", "country": "GB" },
    });
    let click = world.click(&stand.link).await;
    let sale = json!({ "transaction_id": "o-1", "click_id": click, "amount": "10.00", "customer": "customer-17850" });
    let _ = world.postback(&stand, sale).await.expect(201);
    let _ = world.sale(&stand, "o-2", "100.00").await;
    world.settle().await;
    world.advance_days(31).await;
    let _ = world.batch(&stand.program, None).await;
    let put = world
        .replace(
            &format!("/v1/partners/{}/payout-method", stand.partner),
            bank,
        )
        .await;
    assert!(put.status.is_success(), "{}", put.text);

    let secrets = [
        world.key.clone(),
        partner_key,
        stand.token.clone(),
        stand.signing_secret.trim_start_matches("whsec_").to_owned(),
        rotated.str("postback_token").to_owned(),
        rotated
            .str("signing_secret")
            .trim_start_matches("whsec_")
            .to_owned(),
        "GB33BUKB20201555555555".to_owned(),
        "ada@wallet.example".to_owned(),
        "payouts@vendor.example".to_owned(),
        "customer-17850".to_owned(),
    ];
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
