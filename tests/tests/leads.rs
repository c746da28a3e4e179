//! Leads from intake to their end: offers and their time, claims, the public form, feed and export.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{Method, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary::claims::registry;
use tributary::customers::model::{Company, Identifier};
use tributary::ids::LeadId;
use tributary::leads::form::work;
use tributary::table::{Op, Put};
use tributary_local::connector::{AwsError, Call, Intercept, Verdict};
use tributary_tests::Answer;

use crate::routing::{Desk, in_turn};

fn roses() -> Value {
    json!({
        "reference": "crm-1",
        "company": { "name": "Roses Ltd", "country": "GB", "postcode": "SW1A 1AA", "domain": "https://www.roses.example/shop" },
        "contact": { "name": "Rose Miller", "email": "rose@roses.example", "phone": "+44 20 7946 0000" },
        "employees": 120, "need": "Forty tills for ten shops",
    })
}

/// A desk with so many partners who take turns, an hour to accept and ten days to work.
async fn desk(partners: usize) -> Desk {
    let mut routing = in_turn();
    routing["sla_minutes"] = json!(60);
    routing["idle_days"] = json!(10);
    routing["form"] = json!({ "work_bits": 8, "per_address": 4, "per_form": 6 });
    Desk::open(routing, &vec![json!({}); partners]).await
}

impl Desk {
    async fn lead(&self, id: &str) -> Answer {
        let path = format!("/v1/leads/{id}");
        self.world.get(&path).await.expect(200)
    }

    /// Does something as the operator, on the version that is read first.
    async fn on(&self, id: &str, what: &str, body: Value) -> Answer {
        let tag = self.lead(id).await.headers[header::ETAG].clone();
        let based_on = [("if-match", tag.to_str().unwrap())];
        let path = format!("/v1/leads/{id}/{what}");
        self.world
            .ask(&self.world.key, Method::POST, &path, &based_on, Some(&body))
            .await
    }

    async fn accept(&self, partner: usize, id: &str) -> Answer {
        let path = format!("/v1/leads/{id}/accept");
        self.as_partner(partner, Method::POST, &path).await
    }

    async fn moved(&self, minutes: i64) {
        let to = self.world.now() + jiff::SignedDuration::from_mins(minutes);
        self.world.advance_to(to).await;
    }

    /// Brings a lead of that domain and returns its id and whom it is offered to.
    async fn brought(&self, domain: &str) -> (String, usize) {
        let lead = self.bring(json!({ "company": { "domain": domain } })).await;
        let lead = lead.expect(201);
        let partner = self.place(lead.str("partner"));
        (lead.str("id").to_owned(), partner)
    }

    async fn challenge(&self) -> Answer {
        let path = self.path("/leads:challenge");
        self.world.ask("", Method::GET, &path, &[], None).await
    }

    /// Answers a challenge, and leaves what is in the form.
    async fn leave(&self, address: &str, mut form: Value) -> Answer {
        let challenge = self
            .challenge()
            .await
            .expect(200)
            .str("challenge")
            .to_owned();
        let nonce = (0..)
            .map(|n: u64| n.to_string())
            .find(|nonce| work(&challenge, nonce) >= 8);
        form["challenge"] = json!(challenge);
        form["nonce"] = json!(nonce.unwrap());
        self.send_form(address, &form).await
    }

    async fn send_form(&self, address: &str, form: &Value) -> Answer {
        let from = [("x-forwarded-for", address)];
        let path = self.path("/leads:form");
        self.world
            .ask("", Method::POST, &path, &from, Some(form))
            .await
    }
}

#[tokio::test]
async fn a_lead_is_offered_blind_accepted_worked_and_won_as_an_ordinary_conversion() {
    let desk = desk(1).await;
    let brought = desk.bring(roses()).await.expect(201);
    let id = brought.str("id").to_owned();
    assert_eq!(
        (brought.str("stage"), brought.str("respond_by")),
        ("offered", "2026-03-02T10:00:00Z")
    );
    assert_eq!(brought.headers[header::ETAG], "\"1\"");
    // A repeat under the same reference, or of the same company, is the same lead.
    let again = desk.bring(roses()).await.expect(200);
    assert_eq!(
        (again.str("status"), again.str("lead")),
        ("known", id.as_str())
    );
    let path = format!("/v1/leads/{id}");
    let blind = desk.as_partner(0, Method::GET, &path).await.expect(200);
    assert_eq!((blind.str("size"), blind.str("country")), ("51-200", "GB"));
    assert_eq!(blind.str("need"), "Forty tills for ten shops");
    for hidden in ["oses", "Rose", "SW1A", "crm-1", "7946", "120", "cust_"] {
        assert!(!blind.text.contains(hidden), "{hidden} in {}", blind.text);
    }
    let listed = desk
        .as_partner(0, Method::GET, "/v1/leads")
        .await
        .expect(200);
    assert_eq!(listed.items(), [blind.body]);
    let _ = desk
        .tell(
            0,
            &format!("{path}/progress"),
            json!({ "stage": "working" }),
        )
        .await
        .problem(409, "wrong_state");

    let accepted = desk.accept(0, &id).await.expect(200);
    assert_eq!(accepted.str("stage"), "accepted");
    assert_eq!(accepted.str("/contact/email"), "rose@roses.example");
    assert_eq!(accepted.str("/company/domain"), "roses.example");
    let twice = desk.accept(0, &id).await;
    let _ = twice.problem(409, "already_accepted");
    let moved = desk
        .tell(
            0,
            &format!("{path}/progress"),
            json!({ "stage": "proposal" }),
        )
        .await;
    assert_eq!(moved.expect(200).str("stage"), "proposal");

    // It is the partner's customer now.
    let whose = json!({ "customer": { "domain": "roses.example" } });
    let whose = desk.world.post(&desk.path("/claims:resolve"), whose).await;
    assert!(
        whose.clone().expect(200).text.contains(&desk.partners[0].0),
        "{}",
        whose.text
    );

    let won = desk
        .on(
            &id,
            "won",
            json!({ "amount": "4900.00", "currency": "GBP" }),
        )
        .await;
    let won = won.expect(200);
    assert_eq!(
        (won.str("stage"), won.str("/outcome/amount")),
        ("won", "4900.00")
    );
    let _ = desk
        .on(&id, "won", json!({ "amount": "1.00" }))
        .await
        .problem(409, "wrong_state");
    desk.world.settle().await;
    assert_eq!(desk.world.balances(&desk.partners[0].0).await[0], "490.00");
    let conversion = format!("/v1/conversions/{}", won.str("/outcome/conversion"));
    let conversion = desk.world.get(&conversion).await.expect(200);
    assert!(conversion.text.contains(&id), "{}", conversion.text);
    let theirs = desk.as_partner(0, Method::GET, &path).await.expect(200);
    assert_eq!(theirs.str("/outcome/outcome"), "won");
    // Whoever asks again is another lead, and goes to whose customer it is.
    let mut next = roses();
    next["reference"] = json!("crm-2");
    let next = desk.bring(next).await.expect(201);
    assert_eq!(next.str("/offers/0/claim"), "lead");
}

#[tokio::test]
async fn what_nobody_accepts_in_time_goes_on_and_after_the_last_waits_for_an_operator() {
    let desk = desk(2).await;
    let (id, first) = desk.brought("late.example").await;
    desk.moved(59).await;
    assert_eq!(desk.place(desk.lead(&id).await.str("partner")), first);
    // At the minute itself it has run out, whether clockwork has come by or not.
    let at = desk.world.now() + jiff::SignedDuration::from_mins(1);
    desk.world.instance.app().clock.set(at);
    let _ = desk.accept(first, &id).await.problem(409, "offer_expired");
    desk.moved(0).await;
    let second = desk.place(desk.lead(&id).await.str("partner"));
    assert_ne!(second, first);
    let _ = desk.accept(first, &id).await.problem(409, "offer_expired");
    let passed = desk
        .as_partner(first, Method::GET, &format!("/v1/leads/{id}"))
        .await;
    assert_eq!(passed.expect(200).str("stage"), "expired");
    desk.moved(60).await;
    let queued = desk.lead(&id).await;
    assert_eq!(queued.str("stage"), "vendor_queue");
    assert_eq!(queued.str("/offers/1/ended"), "expired");
    let before = desk.world.scan("main").await.len();
    desk.moved(0).await;
    assert_eq!(
        desk.world.scan("main").await.len(),
        before,
        "nothing is due twice"
    );
    // An operator may ask one of them again.
    let to = json!({ "to": desk.partners[first].0 });
    let sent = desk.on(&id, "reassign", to).await.expect(200);
    assert_eq!(sent.str("stage"), "offered");
    assert_eq!(
        desk.accept(first, &id).await.expect(200).str("stage"),
        "accepted"
    );
}

#[tokio::test]
async fn what_lies_idle_is_taken_back_and_its_claim_with_it() {
    let desk = desk(2).await;
    let (id, first) = desk.brought("idle.example").await;
    let _ = desk.accept(first, &id).await.expect(200);
    desk.world.advance_days(9).await;
    let progress = format!("/v1/leads/{id}/progress");
    let _ = desk
        .tell(first, &progress, json!({ "stage": "working" }))
        .await
        .expect(200);
    desk.world.advance_days(9).await;
    assert_eq!(desk.lead(&id).await.str("stage"), "working");
    desk.world.advance_days(1).await;
    let passed = desk.lead(&id).await;
    assert_eq!(passed.str("stage"), "offered");
    assert_eq!(passed.str("/offers/0/ended"), "reclaimed");
    let second = desk.place(passed.str("partner"));
    assert_ne!(second, first);
    let _ = desk
        .tell(first, &progress, json!({ "stage": "proposal" }))
        .await
        .problem(409, "wrong_state");
    let theirs = desk
        .as_partner(first, Method::GET, &format!("/v1/leads/{id}"))
        .await;
    assert!(!theirs.expect(200).text.contains("idle.example"));
    let whose = json!({ "customer": { "domain": "idle.example" } });
    let winner = async || {
        let path = desk.path("/claims:resolve");
        desk.world.post(&path, whose.clone()).await.expect(200).text
    };
    let nobody = winner().await;
    assert!(nobody.contains("ended"), "{nobody}");
    let _ = desk.accept(second, &id).await.expect(200);
    let theirs = winner().await;
    assert!(theirs.contains(&desk.partners[second].0), "{theirs}");
    let lost = format!("/v1/leads/{id}/lost");
    let lost = desk
        .tell(second, &lost, json!({ "reason": "no_budget" }))
        .await;
    assert_eq!(lost.expect(200).str("/outcome/reason"), "no_budget");
    // It may come again, as another lead.
    let (again, _) = desk.brought("idle.example").await;
    assert_ne!(again, id);
}

#[tokio::test]
async fn of_two_who_accept_at_once_exactly_one_is_first() {
    let desk = desk(1).await;
    let (id, _) = desk.brought("once.example").await;
    let answers = join_all((0..6).map(|_| desk.accept(0, &id))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(accepted, 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        let _ = answer.problem(409, "already_accepted");
    }
    // Accepting and an operator who takes it away: one of the two, and the lead knows which.
    let (id, partner) = desk.brought("either.example").await;
    let (accepted, taken) = tokio::join!(
        desk.accept(partner, &id),
        desk.on(&id, "reassign", json!({ "to": "vendor_queue" })),
    );
    let lead = desk.lead(&id).await;
    match (accepted.status.as_u16(), taken.status.as_u16()) {
        (200, 412) => assert_eq!(lead.str("stage"), "accepted"),
        // Both, one after the other: it was accepted, and then taken away, or the other way about.
        (200 | 409, 200) => assert_eq!(lead.str("stage"), "vendor_queue"),
        other => panic!("{other:?}: {} {}", accepted.text, taken.text),
    }
}

#[tokio::test]
async fn of_one_company_that_asks_many_times_at_once_there_is_one_lead() {
    let desk = desk(2).await;
    let lead = json!({ "company": { "domain": "eager.example" }, "contact": { "email": "e@eager.example" } });
    let answers = join_all((0..8).map(|_| desk.bring(lead.clone()))).await;
    let new: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert_eq!(new.len(), 1);
    for answer in &answers {
        let id = if answer.status == 201 {
            answer.str("id")
        } else {
            answer.str("lead")
        };
        assert_eq!(id, new[0].str("id"), "{}", answer.text);
    }
    let listed = format!("/v1/leads?program={}", desk.program);
    assert_eq!(desk.world.get(&listed).await.expect(200).items().len(), 1);
}

#[tokio::test]
async fn a_lead_whose_customer_is_claimed_goes_to_the_claims_holder() {
    let desk = desk(3).await;
    // The vendor's own account stays with the vendor.
    let account = json!({ "customer": { "domain": "house.example" }, "opportunity": "opp-1" });
    let own = desk.world.post(&desk.path("/accounts"), account).await;
    assert!(own.status.is_success(), "{}", own.text);
    let lead = desk
        .bring(json!({ "company": { "domain": "house.example" } }))
        .await;
    assert_eq!(lead.expect(201).str("stage"), "vendor_queue");
    // A referral's customer goes to who referred it, whoever's turn it is.
    for number in 0..3 {
        let domain = format!("known{number}.example");
        let referral = json!({ "customer": { "domain": domain } });
        let path = desk.path("/referrals");
        let referred = desk.tell(2, &path, referral).await;
        assert!(referred.status.is_success(), "{}", referred.text);
        let (id, partner) = desk.brought(&domain).await;
        assert_eq!(partner, 2);
        assert_eq!(desk.lead(&id).await.str("/offers/0/claim"), "referral");
        // It declines: the customer is its, so it is the vendor's to decide, and nobody else's.
        let path = format!("/v1/leads/{id}/decline");
        let _ = desk
            .tell(2, &path, json!({ "reason": "known_without_need" }))
            .await
            .expect(200);
        assert_eq!(desk.lead(&id).await.str("stage"), "vendor_queue");
    }
}

#[tokio::test]
async fn the_public_form_takes_what_is_worked_for_once_and_so_many_an_hour() {
    let desk = desk(1).await;
    let form = |domain: &str| {
        json!({
            "company": { "domain": domain }, "message": "Please call,\nRose",
            "contact": { "name": "Rose", "email": format!("rose@{domain}") },
        })
    };
    let left = desk
        .leave("203.0.113.7", form("left.example"))
        .await
        .expect(202);
    assert_eq!(left.body, json!({ "status": "received" }));
    let leads = format!("/v1/leads?program={}", desk.program);
    let listed = desk.world.get(&leads).await.expect(200);
    let lead = &listed.items()[0];
    assert_eq!(
        (&lead["source"], &lead["contact"]["message"]),
        (&json!("form"), &json!("Please call,\nRose"))
    );
    let id = lead["id"].as_str().unwrap();
    let blind = desk
        .as_partner(0, Method::GET, &format!("/v1/leads/{id}"))
        .await;
    assert!(!blind.expect(200).text.contains("call"));
    // The same answer for a company that is known, and for whoever fills in what people do not see.
    let known = desk
        .leave("203.0.113.7", form("left.example"))
        .await
        .expect(202);
    let mut trapped = form("bot.example");
    trapped["fax"] = json!("12");
    let trapped = desk.leave("203.0.113.7", trapped).await.expect(202);
    assert_eq!((known.body, trapped.body), (left.body.clone(), left.body));
    assert_eq!(desk.world.get(&leads).await.items().len(), 1);

    // A challenge is answered once, by work, at its own form.
    let challenge = desk
        .challenge()
        .await
        .expect(200)
        .str("challenge")
        .to_owned();
    let nonces = |done: bool| {
        let mut nonces = (0..).map(|n: u64| n.to_string());
        nonces
            .find(|nonce| (work(&challenge, nonce) >= 8) == done)
            .unwrap()
    };
    let with = |challenge: &str, nonce: &str| {
        let mut form = form("once.example");
        (form["challenge"], form["nonce"]) = (json!(challenge), json!(nonce));
        form
    };
    let lazy = desk
        .send_form("198.51.100.1", &with(&challenge, &nonces(false)))
        .await;
    let _ = lazy.problem(422, "work_missing");
    let forged = challenge.replacen(".8.", ".0.", 1);
    let forged = desk.send_form("198.51.100.1", &with(&forged, "1")).await;
    let _ = forged.problem(422, "challenge_invalid");
    let done = with(&challenge, &nonces(true));
    let at_once = join_all((0..4).map(|_| desk.send_form("198.51.100.1", &done))).await;
    let taken = at_once.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(taken, 1);
    for answer in at_once.into_iter().filter(|answer| answer.status != 202) {
        let _ = answer.problem(422, "challenge_invalid");
    }

    // Four an hour from one address, the trapped one too; six from all.
    let fourth = desk.leave("203.0.113.7", form("fourth.example")).await;
    let _ = fourth.expect(202);
    let mut fifth = form("fifth.example");
    let refused = desk.leave("203.0.113.7", fifth.clone()).await;
    let _ = refused.problem(429, "rate_limited");
    fifth["fax"] = json!("12");
    let trapped = desk.leave("203.0.113.7", fifth).await;
    let _ = trapped.problem(429, "rate_limited");
    let _ = desk
        .leave("192.0.2.1", form("sixth.example"))
        .await
        .expect(202);
    let seventh = desk.leave("192.0.2.2", form("seventh.example")).await;
    let _ = seventh.problem(429, "rate_limited");
    desk.moved(60).await;
    let _ = desk
        .leave("203.0.113.7", form("later.example"))
        .await
        .expect(202);
    // An old challenge is none, and without a form there is none.
    let old = desk
        .challenge()
        .await
        .expect(200)
        .str("challenge")
        .to_owned();
    desk.moved(60).await;
    let old = desk.send_form("192.0.2.3", &with(&old, "1")).await;
    let _ = old.problem(422, "challenge_invalid");
    let _ = desk.route_by(in_turn()).await.expect(200);
    let _ = desk.challenge().await.problem(404, "not_found");
}

#[tokio::test]
async fn what_a_company_asks_further_stays_with_its_open_lead_and_its_partner_reads_it() {
    let desk = desk(2).await;
    let mut routing = in_turn();
    routing["form"] = json!({ "work_bits": 8, "per_address": 100, "per_form": 100 });
    let _ = desk.route_by(routing).await.expect(200);
    let (id, partner) = desk.brought("keen.example").await;
    let ask = async |number: usize| {
        let form = json!({
            "company": { "domain": "keen.example" }, "message": format!("Question {number}"),
            "contact": { "name": "Kim", "email": format!("kim{number}@keen.example") },
        });
        let _ = desk.leave("203.0.113.7", form).await.expect(202);
    };
    ask(1).await;
    let path = format!("/v1/leads/{id}");
    let known = desk.lead(&id).await;
    assert_eq!(known.body["asked_again"], 1);
    let first = &known.body["further_inquiries"][0];
    assert_eq!(
        (&first["contact"]["message"], &first["contact"]["email"]),
        (&json!("Question 1"), &json!("kim1@keen.example"))
    );
    // Blind is blind, and whoever accepts it reads all.
    let blind = desk.as_partner(partner, Method::GET, &path).await;
    for hidden in ["Question", "kim1", "asked_again"] {
        assert!(!blind.text.contains(hidden), "{}", blind.text);
    }
    let accepted = desk.accept(partner, &id).await.expect(200);
    let told = accepted.str("/further_inquiries/0/contact/message");
    assert_eq!(told, "Question 1");
    desk.moved(1).await;
    let feed = async |cursor: &str| {
        let path = desk.path(&format!("/leads:feed?cursor={cursor}"));
        desk.world.get(&path).await.expect(200)
    };
    let feeds = desk.path("/leads:feed");
    let feeds = desk.world.get(&feeds).await.expect(200);
    let on = feeds.str("next_cursor").to_owned();
    // Ten are kept, those beyond are counted; many at once are all there.
    join_all((2..=9).map(ask)).await;
    for number in 10..=12 {
        ask(number).await;
    }
    let known = desk.lead(&id).await;
    assert_eq!(known.body["asked_again"], 12);
    let further = known.body["further_inquiries"].as_array().unwrap();
    let mut told: Vec<&str> = further
        .iter()
        .map(|one| one["contact"]["message"].as_str().unwrap())
        .collect();
    told.sort_unstable();
    assert_eq!(told.len(), 10);
    assert_eq!((told[0], told[9]), ("Question 1", "Question 9"));
    let theirs = desk.as_partner(partner, Method::GET, &path).await;
    let theirs = theirs.expect(200);
    assert_eq!(
        theirs.body["further_inquiries"],
        known.body["further_inquiries"]
    );
    desk.moved(1).await;
    let changed = feed(&on).await;
    assert_eq!(changed.items().len(), 1);
    assert_eq!(changed.items()[0]["asked_again"], 12);
    let events = desk.world.get(&desk.path("/events")).await.expect(200);
    let asked = events
        .items()
        .iter()
        .filter(|event| event["type"] == "lead.asked_again");
    assert_eq!(asked.count(), 10);
    // They are forgotten with whoever asked first.
    let forget = format!("{path}/contact");
    let _ = desk.world.delete(&forget).await.expect(204);
    assert_eq!(desk.lead(&id).await.body["further_inquiries"], Value::Null);
    for item in desk.world.scan("main").await {
        let text = format!("{item:?}");
        assert!(!text.contains("Question"), "{text}");
    }
    ask(13).await;
    let further = desk.lead(&id).await.body["further_inquiries"].clone();
    assert_eq!(further.as_array().unwrap().len(), 1, "{further}");
}

#[tokio::test]
async fn a_form_that_is_wrong_or_too_large_names_what_is() {
    let desk = desk(1).await;
    let good = || json!({ "challenge": "x", "nonce": "1", "company": { "domain": "a.example" }, "contact": { "email": "a@a.example" } });
    for (field, value, told, code) in [
        ("contact", Value::Null, "contact", "required"),
        (
            "contact",
            json!({ "name": "A" }),
            "contact.email",
            "required",
        ),
        (
            "contact",
            json!({ "email": "a" }),
            "contact.email",
            "email_malformed",
        ),
        (
            "contact",
            json!({ "email": "a@a.example", "phone": "call me" }),
            "contact.phone",
            "characters_refused",
        ),
        (
            "company",
            json!({ "country": "UK" }),
            "company.country",
            "country_unknown",
        ),
        (
            "company",
            json!({ "domain": "gmail.com" }),
            "company.domain",
            "domain_unfit",
        ),
        (
            "company",
            json!({ "domain": "a.example", "latitude": "91", "longitude": "0", "country": "GB" }),
            "company.latitude",
            "decimal_malformed",
        ),
        ("employees", json!(0), "employees", "out_of_range"),
        ("language", json!("English"), "language", "too_long"),
        ("message", json!("x".repeat(2_001)), "message", "too_long"),
        ("need", json!("tills"), "need", "unknown_field"),
        ("nonce", json!("1".repeat(65)), "nonce", "too_long"),
    ] {
        let mut form = good();
        form[field] = value;
        let refused = desk.send_form("192.0.2.1", &form).await;
        let refused = refused.problem(422, code);
        assert_eq!(refused.str("/errors/0/field"), told, "{}", refused.text);
    }
    let mut large = good();
    large["message"] = json!("x".repeat(17 * 1024));
    let large = desk.send_form("192.0.2.1", &large).await;
    let _ = large.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_list_is_reported_row_by_row_and_brings_none_twice() {
    let desk = desk(2).await;
    let list = json!({ "leads": [
        { "company": { "domain": "one.example" } },
        { "company": { "country": "UK" }, "employees": "many" },
        { "company": { "name": "Known by name alone", "country": "GB" } },
        { "company": { "domain": "one.example" } },
        { "company": { "domain": "two.example" }, "product_lines": ["erp"] },
    ] });
    let send = async |key: &str| {
        let once = [("idempotency-key", key)];
        let path = desk.path("/leads:batch");
        desk.world
            .ask(&desk.world.key, Method::POST, &path, &once, Some(&list))
            .await
            .expect(200)
    };
    let report = send("list-1").await;
    let rows = report.body["rows"].as_array().unwrap();
    let statuses: Vec<&str> = rows
        .iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["offered", "invalid", "offered", "known", "invalid"]
    );
    assert_eq!(rows[1]["errors"][0]["field"], "company.country");
    assert_eq!(rows[1]["errors"][1]["code"], "wrong_type");
    assert_eq!(rows[4]["errors"][0]["field"], "product_lines[0]");
    assert_eq!(rows[3]["lead"], rows[0]["lead"]);
    assert_eq!(send("list-1").await.body, report.body);
    let leads = format!("/v1/leads?program={}", desk.program);
    assert_eq!(desk.world.get(&leads).await.expect(200).items().len(), 2);
    let too_many = json!({ "leads": vec![json!({}); 51] });
    let refused = desk.world.post(&desk.path("/leads:batch"), too_many).await;
    let _ = refused.problem(422, "too_long");
}

/// Refuses each transaction that brings a lead of a company, as if something had changed since it was read.
struct InTheWay;

impl Intercept for InTheWay {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let says = call.request.to_string().contains("hard.example");
        if call.operation != "TransactWriteItems" || !says {
            return Verdict::Pass;
        }
        let items = call.request["TransactItems"].as_array().map_or(2, Vec::len);
        let mut codes = vec!["None"; items];
        codes[1] = "ConditionalCheckFailed";
        Verdict::Answer(AwsError::transaction_cancelled(&codes))
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_others_are_in_the_way_of_comes_in_with_the_same_list_again() {
    let desk = desk(2).await;
    let list = json!({ "leads": [
        { "company": { "domain": "easy.example" } },
        { "company": { "domain": "hard.example" } },
    ] });
    let send = async || {
        let once = [("idempotency-key", "list-1")];
        let path = desk.path("/leads:batch");
        let sent = desk
            .world
            .ask(&desk.world.key, Method::POST, &path, &once, Some(&list))
            .await
            .expect(200);
        let rows = sent.body["rows"].as_array().unwrap().iter();
        let told = rows.map(|row| row["status"].as_str().unwrap().to_owned());
        told.collect::<Vec<_>>()
    };
    let cloud = desk.world.instance.cloud();
    cloud.set_interceptor(Some(Arc::new(InTheWay)));
    assert_eq!(send().await, ["offered", "retry"]);
    cloud.set_interceptor(None);
    assert_eq!(send().await, ["known", "offered"]);
    assert_eq!(send().await, ["known", "offered"], "kept under its key");
    let leads = format!("/v1/leads?program={}", desk.program);
    assert_eq!(desk.world.get(&leads).await.expect(200).items().len(), 2);
}

#[tokio::test]
async fn a_reference_is_one_leads_and_a_corrected_one_under_it_is_refused() {
    let desk = desk(1).await;
    let mut lead = roses();
    lead["company"]["latitude"] = json!("51.501");
    lead["company"]["longitude"] = json!("-0.1416");
    let id = desk.bring(lead.clone()).await.expect(201);
    let id = id.str("id").to_owned();
    assert_eq!(desk.bring(lead.clone()).await.expect(200).str("lead"), id);
    let corrected = |field: &str, value: Value| {
        let mut lead = lead.clone();
        *lead.pointer_mut(field).unwrap() = value;
        lead
    };
    let all = [
        corrected("/company/domain", json!("other.example")),
        corrected("/need", json!("Fifty tills")),
        corrected("/contact/phone", json!("+44 20 7946 0001")),
    ];
    for lead in &all {
        let refused = desk.bring(lead.clone()).await.problem(409, "exists");
        assert!(refused.text.contains(&id), "{}", refused.text);
    }
    let list = json!({ "leads": [lead, all[0]] });
    let told = desk.world.post(&desk.path("/leads:batch"), list).await;
    let told = told.expect(200);
    assert_eq!(told.body["rows"][0]["status"], "known");
    assert_eq!(told.body["rows"][1]["code"], "exists");
    // Also once it is closed, and once its person is forgotten.
    let lost = desk.on(&id, "lost", json!({ "reason": "no_need" })).await;
    let _ = lost.expect(200);
    let _ = desk.bring(all[1].clone()).await.problem(409, "exists");
    let forget = format!("/v1/leads/{id}/contact");
    let _ = desk.world.delete(&forget).await.expect(204);
    assert_eq!(desk.bring(lead.clone()).await.expect(200).str("lead"), id);
    // In another program it is another lead.
    let (elsewhere, ..) = desk
        .world
        .program(
            30,
            json!([{ "kind": "percent", "event": "sale", "rate": "0.10" }]),
        )
        .await;
    let path = format!("/v1/programs/{elsewhere}/leads");
    let other = desk.world.post(&path, lead.clone()).await.expect(201);
    assert_ne!(other.str("id"), id);
}

#[tokio::test]
async fn leads_that_fail_each_time_keep_no_other_from_going_on() {
    let desk = desk(2).await;
    let (id, first) = desk.brought("behind.example").await;
    let app = desk.world.instance.app();
    // Longer due than the good one, in every shard, and more than one page of them.
    for number in 0..4_u8 * 60 {
        let mut bytes = [0; 16];
        bytes[15] = number;
        let broken = LeadId::from_bytes(bytes);
        let item = json!({
            "pk": format!("LEAD#{broken}"), "sk": "LEAD", "version": 1,
            "due_pk": format!("LEADDUE#{}", number % 4), "due_sk": format!("2026-03-01T00:00:00Z#{broken}"),
        });
        let put = Op::Put(Put::new(&item).unwrap());
        app.main.transact(&[put]).await.unwrap();
    }
    let late = desk.world.now() + jiff::SignedDuration::from_mins(61);
    app.clock.set(late);
    let run = tributary::leads::due(app, late).await;
    assert!(run.is_err(), "what fails is told: {run:?}");
    let passed = desk.place(desk.lead(&id).await.str("partner"));
    assert_ne!(passed, first);
}

#[tokio::test]
async fn a_lead_that_was_taken_back_holds_its_customer_for_nobody() {
    let desk = desk(2).await;
    let holder = async |domain: &str| {
        let company = Company {
            name: None,
            place: None,
            identifiers: vec![Identifier::domain(domain).unwrap()],
        };
        let app = desk.world.instance.app();
        let program = desk.program.parse().unwrap();
        let sight = registry::look(app, program, &company, &[]).await.unwrap();
        assert_eq!(sight.slots.len(), 1);
        sight.slots[0].partner.map(|partner| partner.to_string())
    };
    let (idle, first) = desk.brought("idle.example").await;
    let _ = desk.accept(first, &idle).await.expect(200);
    let had = desk.partners[first].0.clone();
    assert_eq!(holder("idle.example").await, Some(had));
    desk.world.advance_days(10).await;
    assert_eq!(desk.lead(&idle).await.str("/offers/0/ended"), "reclaimed");
    assert_eq!(holder("idle.example").await, None);
    let second = desk.place(desk.lead(&idle).await.str("partner"));
    let _ = desk.accept(second, &idle).await.expect(200);
    let has = desk.partners[second].0.clone();
    assert_eq!(holder("idle.example").await, Some(has));
    let queue = json!({ "to": "vendor_queue" });
    let _ = desk.on(&idle, "reassign", queue).await.expect(200);
    assert_eq!(holder("idle.example").await, None);
}

#[tokio::test]
async fn a_sheet_of_the_export_holds_two_hundred_and_the_next_goes_on() {
    let desk = desk(0).await;
    for list in 0..5 {
        let leads: Vec<Value> = (0..41)
            .map(|number| json!({ "company": { "domain": format!("s{list}-{number}.example") } }))
            .collect();
        let sent = json!({ "leads": leads });
        let path = desk.path("/leads:batch");
        let _ = desk.world.post(&path, sent).await.expect(200);
    }
    let sheet = async |cursor: &str| {
        let path = desk.path(&format!("/leads:export{cursor}"));
        let sheet = desk.world.get(&path).await.expect(200);
        let next = sheet.headers.get("tributary-next-cursor");
        let next = next.map(|next| next.to_str().unwrap().to_owned());
        (sheet.text.lines().count() - 1, next)
    };
    let (first, next) = sheet("").await;
    assert_eq!(first, 200);
    let (second, next) = sheet(&format!("?cursor={}", next.unwrap())).await;
    assert_eq!((second, next), (5, None));
}

#[tokio::test]
async fn the_crm_reads_every_change_and_the_sheet_has_no_formula() {
    let desk = desk(1).await;
    let mut lead = roses();
    lead["contact"]["name"] = json!("=HYPERLINK(\"https://evil.example\")");
    lead["need"] = json!("@SUM(1)");
    let id = desk.bring(lead).await.expect(201).str("id").to_owned();
    let (other, _) = desk.brought("other.example").await;
    let feed = async |cursor: &str| {
        let cursor = match cursor {
            "" => String::new(),
            cursor => format!("?cursor={cursor}"),
        };
        let path = desk.path(&format!("/leads:feed{cursor}"));
        desk.world.get(&path).await.expect(200)
    };
    assert_eq!(feed("").await.items().len(), 0, "some seconds behind");
    desk.moved(1).await;
    let first = feed("").await;
    let ids = |answer: &Answer| -> Vec<String> {
        let items = answer.items().iter();
        items
            .map(|lead| lead["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut seen = ids(&first);
    seen.sort();
    let mut both = vec![id.clone(), other.clone()];
    both.sort();
    assert_eq!(seen, both);
    let on = first.str("next_cursor").to_owned();
    assert_eq!(feed(&on).await.items().len(), 0);
    let _ = desk.accept(0, &id).await.expect(200);
    desk.moved(1).await;
    let changed = feed(&on).await;
    assert_eq!(ids(&changed), std::slice::from_ref(&id));
    assert_eq!(changed.items()[0]["stage"], "accepted");
    let sheet = desk
        .world
        .get(&desk.path("/leads:export"))
        .await
        .expect(200);
    assert!(
        sheet.headers[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    let mut reader = csv::Reader::from_reader(sheet.text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let cell = |name: &str| {
        let column = header.iter().position(|known| known == name).unwrap();
        rows.iter().find(|row| row[0] == id).unwrap()[column].to_owned()
    };
    assert_eq!(
        cell("contact_name"),
        "'=HYPERLINK(\"https://evil.example\")"
    );
    assert_eq!(cell("need"), "'@SUM(1)");
    assert_eq!(cell("contact_phone"), "'+44 20 7946 0000");
    assert_eq!(cell("company"), "Roses Ltd");
    // Whoever asked is forgotten on request, and the lead stays.
    let path = format!("/v1/leads/{id}/contact");
    let _ = desk.world.delete(&path).await.expect(204);
    let kept = desk.lead(&id).await;
    assert_eq!(kept.body["contact"]["email"], Value::Null);
    assert_eq!(kept.str("/company/name"), "Roses Ltd");
    for item in desk.world.scan("main").await {
        let text = format!("{item:?}");
        assert!(!text.contains("rose@roses"), "{text}");
    }
}

#[tokio::test]
async fn bad_leads_and_moves_name_the_field_and_the_reason() {
    let desk = desk(1).await;
    for (field, value, told, code) in [
        ("company", Value::Null, "company", "required"),
        (
            "company",
            json!({ "name": "A", "region": "BY" }),
            "company.country",
            "required",
        ),
        (
            "company",
            json!({ "domain": "co.uk" }),
            "company.domain",
            "domain_unfit",
        ),
        (
            "company",
            json!({ "tax_id": "123456789" }),
            "company.tax_id",
            "characters_refused",
        ),
        ("reference", json!("x".repeat(65)), "reference", "too_long"),
        ("need", json!("x".repeat(501)), "need", "too_long"),
        (
            "product_lines",
            json!(["Erp"]),
            "product_lines[0]",
            "characters_refused",
        ),
        (
            "product_lines",
            json!(["erp"]),
            "product_lines[0]",
            "reference_unknown",
        ),
        ("employees", json!("12"), "employees", "wrong_type"),
        ("language", json!("EN"), "language", "characters_refused"),
        (
            "contact",
            json!({ "email": "x@" }),
            "contact.email",
            "email_malformed",
        ),
        ("message", json!("hello"), "message", "unknown_field"),
    ] {
        let mut lead = roses();
        lead[field] = value;
        let refused = desk.bring(lead).await.problem(422, code);
        assert_eq!(refused.str("/errors/0/field"), told, "{}", refused.text);
    }
    let nobody = desk.bring(json!({ "company": { "name": "A" } })).await;
    let nobody = nobody.problem(422, "required");
    assert_eq!(nobody.str("/errors/0/field"), "company");
    let (id, _) = desk.brought("moves.example").await;
    let path = |what: &str| format!("/v1/leads/{id}/{what}");
    for (what, body, code) in [
        ("decline", json!({}), "required"),
        ("decline", json!({ "reason": "because" }), "not_one_of"),
        ("progress", json!({ "stage": "won" }), "not_one_of"),
        ("lost", json!({ "reason": "bored" }), "not_one_of"),
    ] {
        let _ = desk.tell(0, &path(what), body).await.problem(422, code);
    }
    for (what, body, status, code) in [
        (
            "reassign",
            json!({ "to": "somewhere" }),
            422,
            "id_malformed",
        ),
        (
            "reassign",
            json!({ "to": "ptr_00000000000000000000000000" }),
            422,
            "reference_unknown",
        ),
        (
            "reassign",
            json!({ "to": desk.partners[0].0 }),
            409,
            "wrong_state",
        ),
        ("won", json!({}), 422, "required"),
        (
            "won",
            json!({ "amount": 5 }),
            422,
            "decimal_string_expected",
        ),
        ("won", json!({ "amount": "5.00" }), 409, "wrong_state"),
        ("lost", json!({}), 422, "required"),
    ] {
        let _ = desk.on(&id, what, body).await.problem(status, code);
    }
    let lost = json!({ "reason": "other" });
    let unread = desk.world.post(&path("lost"), lost.clone()).await;
    let _ = unread.problem(428, "if_match_missing");
    let old = [("if-match", "\"9\"")];
    for what in ["lost", "reassign", "won"] {
        let body = match what {
            "lost" => lost.clone(),
            "won" => json!({ "amount": "5.00" }),
            _ => json!({ "to": "routing" }),
        };
        let key = &desk.world.key;
        let path = path(what);
        let stale = desk.world.ask(key, Method::POST, &path, &old, Some(&body));
        let _ = stale.await.problem(412, "version_stale");
    }
    let _ = desk
        .world
        .get("/v1/leads?stage=sold&program=x")
        .await
        .problem(422, "id_malformed");
    let _ = desk.world.get("/v1/leads").await.problem(422, "required");
    let sold = format!("/v1/leads?program={}&stage=sold", desk.program);
    let _ = desk.world.get(&sold).await.problem(422, "not_one_of");
    let _ = desk
        .as_partner(0, Method::GET, "/v1/leads?stage=offered")
        .await
        .problem(403, "forbidden");
    let lost = desk
        .on(&id, "lost", json!({ "reason": "not_genuine" }))
        .await;
    assert_eq!(lost.expect(200).str("stage"), "lost");
    let _ = desk.accept(0, &id).await.problem(409, "wrong_state");
}

/// Refuses every second attempt at a transaction as DynamoDB does when another one holds an item.
#[derive(Default)]
struct HalfConflict(AtomicU64);

impl Intercept for HalfConflict {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let is_transaction = call.operation == "TransactWriteItems";
        if !is_transaction || self.0.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            return Verdict::Pass;
        }
        let items = call.request["TransactItems"].as_array().map_or(1, Vec::len);
        Verdict::Answer(AwsError::transaction_conflict(items))
    }
}

#[tokio::test(start_paused = true)]
async fn with_half_of_all_transactions_in_conflict_no_lead_is_lost_and_none_accepted_twice() {
    let desk = desk(3).await;
    let cloud = desk.world.instance.cloud();
    cloud.set_interceptor(Some(Arc::new(HalfConflict::default())));
    let answers = join_all((0..9).map(|number| {
        let lead = json!({ "company": { "domain": format!("half{}.example", number / 3) } });
        desk.bring(lead)
    }))
    .await;
    let mut ids: Vec<String> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.str("id").to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids.len(), 3);
    for id in &ids {
        let partner = desk.place(desk.lead(id).await.str("partner"));
        let answers = join_all((0..3).map(|_| desk.accept(partner, id))).await;
        let accepted = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(
            accepted,
            1,
            "{:?}",
            answers.iter().map(|a| &a.text).collect::<Vec<_>>()
        );
    }
    cloud.set_interceptor(None);
    desk.world.settle().await;
    // What is counted is what is there: each has one open lead.
    for (partner, _) in &desk.partners {
        let theirs = format!("/v1/leads?partner={partner}");
        let theirs = desk.world.get(&theirs).await.expect(200);
        assert_eq!(theirs.items().len(), 1, "{}", theirs.text);
    }
}

#[tokio::test]
async fn whoever_has_not_accepted_the_terms_that_ask_for_it_is_passed_over_and_accepts_nothing() {
    let desk = desk(2).await;
    let (before, first) = desk.brought("before.example").await;
    let terms = json!({ "title": "Partner terms", "text": "1. Be kind.", "blocks": ["leads"] });
    let terms = desk.world.post(&desk.path("/agreements"), terms).await;
    let hash = terms.expect(201).str("hash").to_owned();
    desk.moved(1).await;
    let refused = desk.accept(first, &before).await;
    let _ = refused.problem(409, "terms_not_accepted");
    let lead = json!({ "company": { "domain": "nobody.example" } });
    let waiting = desk.bring(lead).await.expect(201);
    assert_eq!(waiting.str("stage"), "vendor_queue");

    let other = 1 - first;
    let accepted = desk.path("/agreements/1/acceptances");
    let accepted = desk.tell(other, &accepted, json!({ "hash": hash })).await;
    assert!(accepted.status.is_success(), "{}", accepted.text);
    desk.moved(1).await;
    for domain in ["one.example", "two.example"] {
        assert_eq!(desk.brought(domain).await.1, other, "{domain}");
    }
}

#[tokio::test]
async fn who_is_suspended_after_the_offer_accepts_nothing_and_learns_nothing() {
    let desk = desk(1).await;
    let (id, first) = desk.brought("late.example").await;
    let suspend = format!("/v1/partners/{}/suspend", desk.partners[first].0);
    let _ = desk.world.post(&suspend, json!({})).await.expect(200);
    desk.moved(1).await;
    let refused = desk.accept(first, &id).await;
    assert!(refused.status.is_client_error(), "{}", refused.text);
    assert!(!refused.text.contains("late.example"), "{}", refused.text);
    assert_eq!(desk.lead(&id).await.str("stage"), "offered");
}

#[tokio::test]
async fn what_a_form_says_makes_no_two_companies_one() {
    let desk = desk(1).await;
    let (_, holder) = desk.brought("client.example").await;
    let said = json!({
        "company": { "domain": "client.example", "tax_id": "GB123456789" },
        "contact": { "email": "x@prospect.example" },
    });
    let refused = desk.leave("203.0.113.9", said).await;
    let refused = refused.problem(422, "unknown_field");
    assert_eq!(refused.str("/errors/0/field"), "company.tax_id");
    let said = json!({
        "company": { "domain": "client.example" },
        "contact": { "email": "x@prospect.example" },
    });
    let _ = desk.leave("203.0.113.9", said).await.expect(202);
    let resolve = desk.path("/claims:resolve");
    let asked = |domain: &str| json!({ "customer": { "domain": domain } });
    let client = desk.world.post(&resolve, asked("client.example")).await;
    let prospect = desk.world.post(&resolve, asked("prospect.example")).await;
    assert_ne!(client.body["customers"], prospect.body["customers"]);
    assert_eq!(holder, 0);
}
