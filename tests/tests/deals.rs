//! Deals: registered, approved, protected, won, disputed; the clock moved by hand.

use axum::http::{Method, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary::channel;
use tributary::channel::model::{Profile, Settings};
use tributary::clock::{Timestamp, days_after};
use tributary::edge::Change;
use tributary::ids::ProgramId;
use tributary::places::Territory;
use tributary_tests::{Answer, World};

/// A program that takes deals and two partners in it, with their keys.
struct Market {
    world: World,
    program: String,
    ada: Seller,
    bob: Seller,
}

#[derive(Clone)]
struct Seller {
    partner: String,
    key: String,
}

async fn market(policy: Value) -> Market {
    market_in(World::start().await, policy).await
}

async fn market_in(world: World, policy: Value) -> Market {
    let (program, _, _) = world
        .program(
            30,
            json!([{ "kind": "percent", "event": "deal", "rate": "0.10" }]),
        )
        .await;
    say(&world, &program).await;
    let ada = seller(&world, &program, "Ada").await;
    let bob = seller(&world, &program, "Bob").await;
    let set = world
        .put(&format!("/v1/programs/{program}/deal-policy"), policy)
        .await;
    assert_eq!(set.expect(200).headers[header::ETAG], "\"1\"");
    Market {
        world,
        program,
        ada,
        bob,
    }
}

/// Gives a program product lines, tiers and a certification.
async fn say(world: &World, program: &str) {
    let app = world.instance.app();
    let program: ProgramId = program.parse().unwrap();
    let owned = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
    let settings = |version| Settings {
        product_lines: owned(&["crm", "erp"]),
        tiers: owned(&["silver", "gold"]),
        certifications: owned(&["crm-pro"]),
        version,
        ..Settings::unsaid(program)
    };
    let change = channel::say(app, None, settings, program).await.unwrap();
    commit(world, change).await;
}

/// Says what a partner is in the program.
async fn describe(
    world: &World,
    program: &str,
    partner: &str,
    tier: Option<&str>,
    countries: &[&str],
) {
    let territory = |country: &&str| Territory {
        country: (*country).to_owned(),
        regions: Vec::new(),
        postcodes: Vec::new(),
    };
    let profile = Profile {
        program: program.parse().unwrap(),
        partner: partner.parse().unwrap(),
        tier: tier.map(str::to_owned),
        certifications: Vec::new(),
        product_lines: vec!["crm".to_owned()],
        territories: countries.iter().map(territory).collect(),
        languages: Vec::new(),
        max_open_leads: None,
        weight: 1,
        location: None,
        updated_at: world.now(),
        version: 0,
    };
    let change = channel::describe(world.instance.app(), None, profile)
        .await
        .unwrap();
    commit(world, change).await;
}

async fn commit<T, E>(world: &World, change: Change<T, E>) {
    let ops: Vec<_> = change.writes.into_iter().map(|write| write.op).collect();
    world.instance.app().main.transact(&ops).await.unwrap();
}

async fn seller(world: &World, program: &str, name: &str) -> Seller {
    let (partner, _, _) = world.partner_in(program, name).await;
    let issued = world
        .post(&format!("/v1/partners/{partner}/keys"), json!({}))
        .await;
    let key = issued.expect(201).str("key").to_owned();
    Seller { partner, key }
}

fn simple() -> Value {
    json!({ "benefit": { "kind": "commission", "event": "deal" } })
}

impl Market {
    fn deal(&self, domain: &str) -> Value {
        json!({
            "program": self.program, "name": "Rollout", "customer": { "name": "Acme GmbH", "country": "DE", "domain": domain },
            "product_lines": ["crm"], "amount": "25000.00", "currency": "GBP",
        })
    }

    async fn register(&self, seller: &Seller, body: &Value) -> Answer {
        self.world
            .ask(&seller.key, Method::POST, "/v1/deals", &[], Some(body))
            .await
    }

    /// A deal as the operator reads it.
    async fn read(&self, deal: &str) -> Answer {
        self.world
            .get(&format!("/v1/deals/{deal}"))
            .await
            .expect(200)
    }

    /// Does something to the version of a deal that stands.
    async fn act(&self, key: &str, deal: &str, what: &str, body: Value) -> Answer {
        let tag = self.read(deal).await.headers[header::ETAG].clone();
        let based_on = [("if-match", tag.to_str().unwrap())];
        let path = format!("/v1/deals/{deal}/{what}");
        self.world
            .ask(key, Method::POST, &path, &based_on, Some(&body))
            .await
    }

    async fn decide(&self, deal: &str, what: &str, body: Value) -> Answer {
        self.act(&self.world.key, deal, what, body).await
    }

    async fn approved(&self, seller: &Seller, domain: &str) -> String {
        let registered = self.register(seller, &self.deal(domain)).await.expect(201);
        let deal = registered.str("id").to_owned();
        let approved = self.decide(&deal, "approve", json!({})).await.expect(200);
        assert_eq!(approved.str("state"), "approved");
        deal
    }

    fn advance_to(&self, to: Timestamp) {
        self.world.instance.app().clock.set(to);
    }

    async fn clockwork_at(&self, to: &str) -> usize {
        self.advance_to(to.parse().unwrap());
        let ran = self.world.clockwork().await;
        usize::try_from(ran["deals"].as_u64().unwrap()).unwrap()
    }

    async fn happened(&self, key: &str, deal: &str) -> Vec<String> {
        let path = format!("/v1/deals/{deal}/timeline");
        let answer = self.world.ask(key, Method::GET, &path, &[], None).await;
        let events = answer.expect(200).items().to_vec();
        let name = |entry: &Value| entry["event"].as_str().unwrap().to_owned();
        events.iter().map(name).collect()
    }

    /// The key of another operator with these scopes, and its id.
    async fn operator(&self, name: &str, scopes: &[&str]) -> (String, String) {
        let body = json!({ "name": name, "email": format!("{name}@vendor.example") });
        let made = self.world.post("/v1/operators", body).await.expect(201);
        let id = made.str("id").to_owned();
        let path = format!("/v1/operators/{id}/keys");
        let issued = self.world.post(&path, json!({ "scopes": scopes })).await;
        (id, issued.expect(201).str("key").to_owned())
    }
}

#[tokio::test]
async fn a_registered_deal_is_approved_won_and_paid_as_any_conversion() {
    let market = market(simple()).await;
    let registered = market
        .register(&market.ada, &market.deal("acme.com"))
        .await
        .expect(201);
    assert_eq!(registered.str("state"), "submitted");
    assert_eq!(registered.headers[header::ETAG], "\"2\"");
    let deal = registered.str("id");
    let approved = market
        .decide(deal, "approve", json!({ "note": "Well done." }))
        .await;
    let approved = approved.expect(200);
    assert_eq!(approved.str("state"), "approved");
    assert_eq!(approved.str("protected_until"), "2026-05-31T09:00:00Z");
    assert_eq!(approved.str("/benefit/event"), "deal");
    let sale = json!({ "amount": "20000.00", "currency": "GBP" });
    let won = market.decide(deal, "won", sale.clone()).await.expect(200);
    assert_eq!(won.str("state"), "won");
    let _ = market
        .decide(deal, "won", sale)
        .await
        .problem(409, "wrong_state");
    let conversion = won.str("/won/conversion").to_owned();
    market.world.settle().await;
    assert_eq!(
        market.world.balances(&market.ada.partner).await[0],
        "2000.00"
    );
    let credited = market
        .world
        .get(&format!("/v1/conversions/{conversion}"))
        .await
        .expect(200);
    assert_eq!(credited.str("amount"), "20000.00");
    assert!(credited.text.contains(deal), "{}", credited.text);
    // Holds and reversals apply.
    market.advance_to(days_after(market.world.now(), 31));
    market.world.clockwork().await;
    assert_eq!(
        market.world.balances(&market.ada.partner).await[1],
        "2000.00"
    );
    let back = json!({ "reversal_id": "r-1", "reason": "cancelled" });
    let path = format!("/v1/conversions/{conversion}/reversals");
    let _ = market.world.post(&path, back).await.expect(200);
    market.world.settle().await;
    assert_eq!(market.world.balances(&market.ada.partner).await[1], "0.00");
    assert_eq!(
        market.happened(&market.ada.key, deal).await,
        ["created", "submitted", "approved", "won"]
    );
}
