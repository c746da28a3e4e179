//! Terms in versions, what they block, and how partners are all set.

use axum::http::Method;
use serde_json::{Value, json};
use tributary_tests::{Answer, Stand, World};

use crate::members::Meanwhile;

struct Club {
    world: World,
    stand: Stand,
    key: String,
}

impl Club {
    async fn open() -> Self {
        let world = World::start().await;
        let stand = world.stand().await;
        world.settle().await;
        let keys = format!("/v1/partners/{}/keys", stand.partner);
        let key = world.post(&keys, json!({})).await.expect(201);
        let key = key.str("key").to_owned();
        Self { world, stand, key }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/programs/{}{rest}", self.stand.program)
    }

    async fn publish(&self, effective_at: Option<&str>, blocks: &[&str]) -> Answer {
        let mut body = json!({ "title": "Partner terms", "text": "1. Be kind.\n2. Be fair.", "blocks": blocks });
        if let Some(at) = effective_at {
            body["effective_at"] = json!(at);
        }
        self.world.post(&self.path("/agreements"), body).await
    }

    async fn as_partner(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let from = [("x-forwarded-for", "203.0.113.7")];
        self.world
            .ask(&self.key, method, path, &from, body.as_ref())
            .await
    }

    async fn accept(&self, version: u32, hash: &str) -> Answer {
        let path = self.path(&format!("/agreements/{version}/acceptances"));
        self.as_partner(Method::POST, &path, Some(json!({ "hash": hash })))
            .await
    }

    async fn link(&self) -> Answer {
        let body = json!({ "program": self.stand.program, "partner": self.stand.partner, "destination": "https://shop.example/" });
        self.world.post("/v1/links", body).await
    }

    fn subjects_to(&self, email: &str) -> Vec<String> {
        let mails = self.world.instance.cloud().outbox().mails();
        let own = mails.into_iter().filter(|mail| mail.to == email);
        own.map(|mail| mail.subject).collect()
    }

    /// Later than any cache remembers.
    fn pass(&self, seconds: i64) {
        let to = self.world.now() + jiff::SignedDuration::from_secs(seconds);
        self.world.instance.app().clock.set(to);
    }

    async fn onboarding(&self) -> Answer {
        let path = format!(
            "/v1/partners/{}/onboarding?program={}",
            self.stand.partner, self.stand.program
        );
        self.as_partner(Method::GET, &path, None).await.expect(200)
    }

    async fn steps_told(&self) -> Vec<String> {
        self.world.settle().await;
        self.pass(6);
        let events = self
            .world
            .get(&self.path("/events?limit=200"))
            .await
            .expect(200);
        let told = events
            .items()
            .iter()
            .filter_map(|event| match event["type"].as_str() {
                Some("partner.step_completed") => event["data"]["step"].as_str(),
                Some("partner.onboarded") => Some("all"),
                _ => None,
            });
        told.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn terms_in_force_block_links_until_they_are_accepted() {
    let club = Club::open().await;
    let _ = club.link().await.expect(201);
    let first = club.publish(None, &["links"]).await.expect(201);
    let _ = club.link().await.problem(409, "terms_not_accepted");
    let hash = first.str("hash").to_owned();
    let _ = club
        .accept(1, &"0".repeat(64))
        .await
        .problem(422, "hash_mismatch");
    let _ = club.accept(2, &hash).await.problem(404, "not_found");
    let accepted = club.accept(1, &hash).await.expect(201);
    assert_eq!(accepted.str("hash"), hash);
    assert!(accepted.body.get("address").is_none());
    assert_eq!(club.accept(1, &hash).await.expect(201).text, accepted.text);
    let _ = club.link().await.expect(201);

    // Who, when and from where is on record, for operators.
    let path = format!(
        "/v1/partners/{}/agreements?program={}",
        club.stand.partner, club.stand.program
    );
    let record = club.world.get(&path).await.expect(200);
    assert_eq!(record.items().len(), 1);
    assert_eq!(record.str("/items/0/address"), "203.0.113.7");
    let own = club.as_partner(Method::GET, &path, None).await.expect(200);
    assert!(!own.text.contains("203.0.113.7"));
}

#[tokio::test]
async fn a_new_version_is_accepted_before_it_takes_effect_and_those_who_have_not_are_reminded() {
    let club = Club::open().await;
    let (bob, ..) = club.world.partner_in(&club.stand.program, "Bob").await;
    let _ = club
        .publish(Some("2026-03-01T00:00:00Z"), &[])
        .await
        .problem(422, "time_in_past");
    let next = club
        .publish(Some("2026-04-02T09:00:00Z"), &["links"])
        .await
        .expect(201);
    club.world.settle().await;
    for email in ["ada@example.com", "bob@example.com"] {
        assert!(
            club.subjects_to(email)
                .contains(&"New terms of Spring".to_owned()),
            "{email}"
        );
    }
    let _ = club
        .publish(Some("2026-04-01T09:00:00Z"), &[])
        .await
        .problem(422, "time_in_past");
    let _ = club.accept(1, next.str("hash")).await.expect(201);
    club.world.advance_days(25).await;
    let reminder = "Please accept the terms of Spring".to_owned();
    assert!(!club.subjects_to("ada@example.com").contains(&reminder));
    assert_eq!(
        club.subjects_to("bob@example.com")
            .iter()
            .filter(|s| **s == reminder)
            .count(),
        1
    );
    club.world.advance_days(7).await;
    let _ = club.link().await.expect(201);
    let body = json!({ "program": club.stand.program, "partner": bob, "destination": "https://shop.example/" });
    let _ = club
        .world
        .post("/v1/links", body)
        .await
        .problem(409, "terms_not_accepted");
    assert_eq!(
        club.subjects_to("bob@example.com")
            .iter()
            .filter(|s| **s == reminder)
            .count(),
        1
    );
}

#[tokio::test]
async fn terms_are_read_by_the_programs_partners_and_nobody_elses() {
    let club = Club::open().await;
    let published = club.publish(None, &["deals", "leads"]).await.expect(201);
    let list = club
        .as_partner(Method::GET, &club.path("/agreements"), None)
        .await
        .expect(200);
    assert_eq!(list.items().len(), 1);
    assert!(list.items()[0].get("text").is_none());
    let one = club
        .as_partner(Method::GET, &club.path("/agreements/1"), None)
        .await
        .expect(200);
    assert_eq!(one.text, published.text);
    let (other, ..) = club
        .world
        .program(
            30,
            json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]),
        )
        .await;
    let path = format!("/v1/programs/{other}/agreements");
    let _ = club
        .as_partner(Method::GET, &path, None)
        .await
        .problem(404, "not_found");
    let wrong = json!({ "title": "", "text": 5, "blocks": ["money"], "effective_at": "soon" });
    let answer = club
        .world
        .post(&club.path("/agreements"), wrong)
        .await
        .expect(422);
    let fields: Vec<&str> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["title", "text", "effective_at", "blocks[0]"]);
}

#[tokio::test]
async fn steps_are_completed_by_what_happens_and_told_once() {
    let club = Club::open().await;
    let steps = json!({ "steps": [
        { "code": "terms", "label": "Accept the terms", "kind": "accept_terms" },
        { "code": "pay", "label": "Say where you are paid", "kind": "payout_method" },
        { "code": "link", "label": "Make a link", "kind": "first_link", "required": false },
        { "code": "tax", "label": "Say where you pay taxes", "kind": "tax_profile" },
        { "code": "course", "label": "Basics", "kind": "confirmed" },
    ] });
    let _ = club
        .world
        .put(&club.path("/onboarding-steps"), steps)
        .await
        .expect(200);
    let terms = club.publish(None, &[]).await.expect(201);
    let seen = club.onboarding().await;
    assert_eq!(
        (
            seen.body["completed"].as_u64(),
            seen.body["is_set"].as_bool()
        ),
        (Some(2), Some(false))
    );
    assert!(
        club.steps_told().await.is_empty(),
        "nothing has come in since"
    );

    let _ = club.accept(1, terms.str("hash")).await.expect(201);
    // What is told in one step stands in no order.
    let mut told = club.steps_told().await;
    told.sort();
    assert_eq!(told, ["link", "pay", "terms"]);
    let course = format!("/v1/partners/{}/onboarding/course", club.stand.partner);
    let program = json!({ "program": club.stand.program });
    let _ = club.world.post(&course, program.clone()).await.expect(200);
    let again = club.world.post(&course, program.clone()).await.expect(200);
    assert_eq!(again.body["completed"], 4);
    let pay = course.replace("/course", "/pay");
    let _ = club
        .world
        .post(&pay, program)
        .await
        .problem(404, "not_found");
    club.pass(1);
    let tax = json!({ "legal_name": "Ada Lovelace", "country": "GB", "tax_id": "1234567890",
        "address": { "line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB" } });
    let path = format!("/v1/partners/{}/tax-profile", club.stand.partner);
    let _ = club.world.put(&path, tax).await.expect(200);
    assert_eq!(club.steps_told().await[3..], ["course", "tax", "all"]);
    assert_eq!(club.onboarding().await.body["is_set"], true);
    assert!(
        club.subjects_to("ada@example.com")
            .contains(&"You are all set in Spring".to_owned())
    );

    let wrong = json!({ "steps": [{ "code": "A", "label": "x", "kind": "magic" }, { "code": "b", "label": "", "kind": "confirmed", "required": 1 }] });
    let tag = [("if-match", "\"1\"")];
    let answer = club
        .world
        .ask(
            &club.world.key,
            Method::PUT,
            &club.path("/onboarding-steps"),
            &tag,
            Some(&wrong),
        )
        .await
        .expect(422);
    let fields: Vec<&str> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "steps[0].code",
            "steps[0].kind",
            "steps[1].label",
            "steps[1].required"
        ]
    );
}

#[tokio::test]
async fn two_of_a_partner_who_accept_at_once_are_told_the_same_acceptance() {
    let club = Club::open().await;
    let terms = club.publish(None, &[]).await.expect(201);
    let hash = terms.str("hash").to_owned();
    let (world, key) = (club.world.clone(), club.key.clone());
    let path = club.path("/agreements/1/acceptances");
    let first = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let told = first.clone();
    let body = json!({ "hash": hash });
    Meanwhile::happens(&club.world, async move {
        let from = [("x-forwarded-for", "203.0.113.8")];
        let accepted = world
            .ask(&key, Method::POST, &path, &from, Some(&body))
            .await;
        *told.lock().unwrap() = accepted.expect(201).text;
    });
    let second = club.accept(1, &hash).await.expect(201);
    assert_eq!(second.text, *first.lock().unwrap());
    club.world.settle().await;
    club.pass(6);
    let events = club.world.get(&club.path("/events")).await.expect(200);
    let accepted = events
        .items()
        .iter()
        .filter(|event| event["type"] == "agreement.accepted");
    assert_eq!(accepted.count(), 1);
}

#[tokio::test]
async fn who_accepted_terms_early_has_completed_the_step_when_they_take_effect() {
    let club = Club::open().await;
    let steps = json!({ "steps": [{ "code": "terms", "label": "Accept the terms", "kind": "accept_terms" }] });
    let _ = club
        .world
        .put(&club.path("/onboarding-steps"), steps)
        .await
        .expect(200);
    let soon = club
        .publish(Some("2026-03-05T09:00:00Z"), &[])
        .await
        .expect(201);
    let _ = club.accept(1, soon.str("hash")).await.expect(201);
    assert!(
        club.steps_told().await.is_empty(),
        "nothing is in force yet"
    );
    club.world.advance_days(2).await;
    assert!(club.steps_told().await.is_empty(), "nor is it a day before");
    // The message is lost, and it is looked again.
    let later = club.world.now() + jiff::SignedDuration::from_hours(24);
    club.world.instance.app().clock.set(later);
    club.world.clockwork().await;
    club.world.lose_transport().await;
    assert!(club.steps_told().await.is_empty());
    let later = club.world.now() + jiff::SignedDuration::from_mins(61);
    club.world.advance_to(later).await;
    let mut told = club.steps_told().await;
    told.sort();
    assert_eq!(told, ["all", "terms"]);
    club.world.advance_days(1).await;
    assert_eq!(club.steps_told().await.len(), 2, "told once");
    for item in club.world.scan("main").await {
        let is_due = item
            .get("due_pk")
            .is_some_and(|at| at.as_s().unwrap() == "AGREEMENTS");
        assert!(!is_due, "nothing is left to do: {item:?}");
    }
}
