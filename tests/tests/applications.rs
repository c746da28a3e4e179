//! How one becomes a partner: forms, rules, tokens by mail, decisions, invitations, and what is told of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::http::{Method, header};
use serde_json::{Value, json};
use tributary_local::connector::{AwsError, Call, Intercept, Service, Verdict};
use tributary_local::outbox::Mail;
use tributary_tests::{Answer, World};

/// A world with a program that takes applications.
struct Fair {
    world: World,
    program: String,
}

impl Fair {
    async fn open(rules: Value) -> Self {
        let world = World::start().await;
        let components = json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]);
        let (program, ..) = world.program(30, components).await;
        let _ = world
            .put(
                &format!("/v1/programs/{program}/default-plan"),
                json!({ "plan": "standard" }),
            )
            .await
            .expect(200);
        let form = json!({
            "kinds": ["reseller", "affiliate"],
            "page_url": "https://vendor.example/apply?token={token}",
            "fields": [
                { "code": "audience", "label": "Whom do you reach?", "kind": "text", "required": true },
                { "code": "size", "label": "How many?", "kind": "choice", "choices": ["few", "many"] },
                { "code": "site", "label": "Your site", "kind": "website" },
            ],
        });
        let _ = world
            .put(&format!("/v1/programs/{program}/application-form"), form)
            .await
            .expect(200);
        let _ = world
            .put(&format!("/v1/programs/{program}/application-rules"), rules)
            .await
            .expect(200);
        Self { world, program }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/programs/{}/applications{rest}", self.program)
    }

    /// What anybody may ask, from one network address.
    async fn anybody(&self, from: &str, rest: &str, body: Value) -> Answer {
        let headers = [("x-forwarded-for", from)];
        self.world
            .ask("", Method::POST, &self.path(rest), &headers, Some(&body))
            .await
    }

    async fn apply(&self, email: &str) -> Answer {
        let body = json!({
            "email": email, "name": "Ada", "country": "GB", "kind": "reseller",
            "answers": { "audience": "Weavers" }, "source": "fair",
        });
        self.anybody("203.0.113.7", "", body).await
    }

    fn mails_to(&self, email: &str) -> Vec<Mail> {
        let mut mails = self.world.instance.cloud().outbox().mails();
        mails.retain(|mail| mail.to == email);
        mails
    }

    /// The mail to an address that says something; of several events the mails come in any order.
    fn saying(&self, email: &str, said: &str) -> Mail {
        let mails = self.mails_to(email).into_iter();
        let mut saying = mails.filter(|mail| mail.text.contains(said));
        saying.next_back().expect("a mail that says so")
    }

    /// The token of the last mail to an address that has one.
    fn token(&self, email: &str) -> String {
        let mail = self.saying(email, "once: ");
        let (_, token) = mail.text.rsplit_once("once: ").unwrap();
        token.lines().next().unwrap().to_owned()
    }

    /// Applies, takes the mail, confirms; the token to answer with.
    async fn confirmed(&self, email: &str) -> String {
        let _ = self.apply(email).await.expect(202);
        self.world.settle().await;
        self.confirm(email)
            .await
            .expect(200)
            .str("token")
            .to_owned()
    }

    /// A second passes.
    fn tick(&self) {
        let next = self.world.now() + jiff::SignedDuration::from_secs(1);
        self.world.instance.app().clock.set(next);
    }

    async fn confirm(&self, email: &str) -> Answer {
        self.tick();
        let token = self.token(email);
        self.anybody("203.0.113.7", ":confirm", json!({ "token": token }))
            .await
    }

    async fn submit(&self, token: &str, more: Value) -> Answer {
        self.tick();
        let mut body = json!({ "token": token, "submit": true });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.anybody("203.0.113.7", ":answer", body).await
    }

    async fn decide(&self, id: &str, body: Value) -> Answer {
        self.tick();
        let path = format!("/v1/applications/{id}");
        let tag = self.world.get(&path).await.expect(200).headers[header::ETAG]
            .to_str()
            .unwrap()
            .to_owned();
        let based_on = [("if-match", tag.as_str())];
        let answer = self
            .world
            .ask(
                &self.world.key,
                Method::POST,
                &format!("{path}/decision"),
                &based_on,
                Some(&body),
            )
            .await;
        self.world.settle().await;
        answer
    }

    /// The types of all events so far, oldest first.
    async fn events(&self) -> Vec<String> {
        let world = &self.world;
        let later = world.now() + jiff::SignedDuration::from_secs(6);
        world.instance.app().clock.set(later);
        let path = format!("/v1/programs/{}/events?limit=200", self.program);
        let answer = world.get(&path).await.expect(200);
        let types = answer.items().iter().map(|event| event["type"].as_str());
        types.map(|name| name.unwrap().to_owned()).collect()
    }
}

fn stages(view: &Value) -> Vec<&str> {
    let stages = view["stages"].as_array().unwrap().iter();
    stages
        .map(|stage| stage["stage"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn an_applicant_becomes_a_partner_step_by_step() {
    let fair = Fair::open(json!({})).await;
    let email = "ada@mill.example.com";
    let told = fair.apply(email).await.expect(202);
    assert_eq!(told.body.as_object().unwrap().len(), 1);
    assert!(
        fair.mails_to(email).is_empty(),
        "nothing is sent before the stream moves"
    );
    fair.world.settle().await;
    let mails = fair.mails_to(email);
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.contains("Spring"));
    assert!(
        mails[0]
            .html
            .contains("https://vendor.example/apply?token=appl_")
    );
    let list = fair
        .world
        .get(&fair.path("?stage=visited"))
        .await
        .expect(200);
    assert_eq!(list.items().len(), 1);

    // A token is good once, and forged ones never are.
    let first = fair.token(email);
    let confirmed = fair.confirm(email).await.expect(200);
    assert_eq!(confirmed.str("/application/stage"), "started");
    let token = confirmed.str("token").to_owned();
    for bad in [
        first.clone(),
        token.replace(".a.", ".c."),
        format!("{token}x"),
        "x".to_owned(),
    ] {
        let _ = fair
            .anybody("203.0.113.7", ":confirm", json!({ "token": bad }))
            .await
            .problem(422, "token_unusable");
    }

    let submitted = fair.submit(&token, json!({})).await.expect(200);
    assert_eq!(submitted.str("stage"), "in_review");
    assert_eq!(
        stages(&submitted.body),
        ["visited", "started", "submitted", "in_review"]
    );
    let _ = fair
        .submit(&token, json!({}))
        .await
        .problem(409, "wrong_state");
    let id = submitted.str("id").to_owned();

    let asked = fair
        .decide(
            &id,
            json!({ "outcome": "needs_information", "note": "Which <weavers>?" }),
        )
        .await
        .expect(200);
    assert_eq!(asked.str("stage"), "needs_information");
    let mail = fair.saying(email, "Which <weavers>?");
    assert!(mail.html.contains("Which &lt;weavers&gt;?"));
    // The token of before is superseded by the mailed one.
    let _ = fair
        .submit(&token, json!({}))
        .await
        .problem(422, "token_unusable");
    let token = fair
        .confirm(email)
        .await
        .expect(200)
        .str("token")
        .to_owned();
    let again = json!({ "answers": { "audience": "Weavers of Leeds", "size": "many" } });
    let _ = fair.submit(&token, again).await.expect(200);

    let approved = fair
        .decide(&id, json!({ "outcome": "approve" }))
        .await
        .expect(200);
    let partner = approved.str("partner").to_owned();
    let found = fair
        .world
        .get(&format!("/v1/partners/{partner}"))
        .await
        .expect(200);
    assert_eq!((found.str("name"), found.str("kind")), ("Ada", "reseller"));
    let enrolled = fair
        .world
        .get(&format!("/v1/partners/{partner}/enrolments"))
        .await;
    assert_eq!(enrolled.items()[0]["program"], json!(fair.program));
    assert_eq!(
        fair.events().await,
        [
            "application.confirmation_asked",
            "application.started",
            "application.submitted",
            "application.in_review",
            "application.needs_information",
            "application.submitted",
            "application.in_review",
            "application.approved",
        ]
    );
    let sent = fair.mails_to(email).len();
    fair.world.settle().await;
    assert_eq!(fair.mails_to(email).len(), sent, "each mail is sent once");
}

#[tokio::test]
async fn nobody_learns_from_outside_whether_an_email_is_known() {
    let fair = Fair::open(json!({})).await;
    let known = "ada@mill.example.com";
    let token = fair.confirmed(known).await;
    let _ = fair.submit(&token, json!({})).await.expect(200);
    let first = fair.apply("bob@loom.example.com").await.expect(202);
    let second = fair.apply(known).await.expect(202);
    assert_eq!(first.text, second.text);
    fair.world.settle().await;
    // Whoever holds the mailbox gets at the application that is there; its answers are the first ones.
    let confirmed = fair.confirm(known).await.expect(200);
    assert_eq!(confirmed.str("/application/stage"), "in_review");
    // Spelt otherwise it is the same mailbox.
    let _ = fair.apply("Ada+fair@mill.example.com").await.expect(202);
    let all = fair.world.get(&fair.path("")).await.expect(200);
    assert_eq!(all.items().len(), 2);
}

/// A link in the name of a stranger's form would reach whomever its maker likes, in the vendor's name.
#[tokio::test]
async fn nothing_that_a_stranger_wrote_reaches_a_mailbox_nor_do_many_mails_in_a_day() {
    let fair = Fair::open(json!({})).await;
    let email = "ada@mill.example.com";
    let body =
        json!({ "email": email, "name": "Win at https://evil.example", "source": "evil.example" });
    for from in 0..9 {
        let from = format!("203.0.113.{from}");
        let told = fair.anybody(&from, "", body.clone()).await.expect(202);
        assert_eq!(told.body.as_object().unwrap().len(), 1, "always the same");
    }
    fair.world.settle().await;
    let mails = fair.mails_to(email);
    assert_eq!(mails.len(), 5);
    for mail in mails {
        let all = [mail.subject, mail.text, mail.html].concat();
        assert!(!all.contains("evil"), "{all}");
    }
    // Another spelling is the same mailbox; another mailbox is not full, and a day later this one is asked again.
    let again = json!({ "email": "Ada+2@mill.example.com" });
    let _ = fair
        .anybody("198.51.100.1", "", again.clone())
        .await
        .expect(202);
    let other = json!({ "email": "bob@mill.example.com" });
    let _ = fair.anybody("198.51.100.1", "", other).await.expect(202);
    fair.world.settle().await;
    assert!(fair.mails_to("Ada+2@mill.example.com").is_empty());
    assert_eq!(fair.mails_to("bob@mill.example.com").len(), 1);
    fair.world.advance_days(1).await;
    let _ = fair.anybody("198.51.100.1", "", again).await.expect(202);
    fair.world.settle().await;
    assert_eq!(fair.mails_to("Ada+2@mill.example.com").len(), 1);
}

#[tokio::test]
async fn whoever_applies_in_anothers_name_disturbs_nobody() {
    let fair = Fair::open(json!({})).await;
    let world = &fair.world;
    let email = "ada@mill.example.com";
    let (referrer, ..) = world.partner_in(&fair.program, "Uma").await;
    let stranger =
        json!({ "email": email, "name": "Nobody", "referrer": referrer, "source": "spam" });
    let strange = async || {
        let _ = fair
            .anybody("198.51.100.1", "", stranger.clone())
            .await
            .expect(202);
        world.settle().await;
    };
    // Before her she is not bound by it, and behind her the token that she was mailed is as good as before.
    strange().await;
    let _ = fair.apply(email).await.expect(202);
    world.settle().await;
    let own = fair.token(email);
    strange().await;
    let confirmed = fair
        .anybody("203.0.113.7", ":confirm", json!({ "token": own }))
        .await
        .expect(200);
    assert_eq!(confirmed.str("/application/source"), "fair");
    assert!(confirmed.body.pointer("/application/referrer").is_none());
    // What the stranger began is nothing any more: she has hers.
    strange().await;
    let late = world.instance.cloud().outbox().mails();
    let first = late.iter().find(|mail| mail.to == email).unwrap();
    let token = first
        .text
        .rsplit_once("once: ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap();
    let _ = fair
        .anybody("203.0.113.7", ":confirm", json!({ "token": token }))
        .await
        .problem(422, "token_unusable");
    // The token she answers with goes on, and so does what an operator has read.
    let submitted = fair
        .submit(confirmed.str("token"), json!({}))
        .await
        .expect(200);
    let path = format!("/v1/applications/{}", submitted.str("id"));
    let tag = world.get(&path).await.expect(200).headers[header::ETAG].clone();
    strange().await;
    let approve = json!({ "outcome": "approve" });
    let based_on = [("if-match", tag.to_str().unwrap())];
    let decision = format!("{path}/decision");
    let decided = world
        .ask(
            &world.key,
            Method::POST,
            &decision,
            &based_on,
            Some(&approve),
        )
        .await;
    assert_eq!(decided.expect(200).str("stage"), "approved");
}

#[tokio::test]
async fn an_invitation_is_not_kept_back_nor_undone_by_whoever_applied_in_its_name() {
    let fair = Fair::open(json!({})).await;
    let world = &fair.world;
    let email = "bob@loom.example.com";
    let stranger = json!({ "email": email, "name": "Nobody" });
    let _ = fair
        .anybody("198.51.100.1", "", stranger.clone())
        .await
        .expect(202);
    world.settle().await;
    let strange = fair.token(email);
    let path = format!("/v1/programs/{}/invitations", fair.program);
    let invitation = json!({ "email": email, "name": "Bob" });
    let invited = world.post(&path, invitation.clone()).await.expect(201);
    let _ = world.post(&path, invitation).await.problem(409, "exists");
    world.settle().await;
    let token = fair.token(email);
    let _ = fair.anybody("198.51.100.1", "", stranger).await.expect(202);
    world.settle().await;
    for (token, id) in [(strange, None), (token, Some(invited.str("id")))] {
        let confirmed = fair
            .anybody("203.0.113.7", ":confirm", json!({ "token": token }))
            .await;
        match id {
            Some(id) => assert_eq!(confirmed.expect(200).str("/application/id"), id),
            None => drop(confirmed.problem(422, "token_unusable")),
        }
    }
}

#[tokio::test]
async fn whoever_tries_tokens_comes_to_an_end() {
    let fair = Fair::open(json!({})).await;
    let email = "ada@mill.example.com";
    let token = fair.confirmed(email).await;
    let guess = token.replace(".a.", ".c.");
    for n in 0..60 {
        let (rest, body) = match n % 3 {
            0 => (":confirm", json!({ "token": guess })),
            1 => (
                ":answer",
                json!({ "token": format!("{token}{n}"), "submit": true }),
            ),
            _ => (":answer", json!({ "token": "guessed" })),
        };
        let answer = fair.anybody("198.51.100.1", rest, body).await;
        let _ = answer.problem(422, "token_unusable");
    }
    for body in [json!({ "token": "guessed" }), json!({ "token": token })] {
        let answer = fair.anybody("198.51.100.1", ":answer", body).await;
        let _ = answer.problem(429, "rate_limited");
    }
    // Whoever comes from elsewhere goes on.
    let _ = fair.submit(&token, json!({})).await.expect(200);
}

#[tokio::test]
async fn so_many_come_from_one_address_in_an_hour() {
    let fair = Fair::open(json!({})).await;
    for n in 0..10 {
        let _ = fair
            .apply(&format!("p{n}@mill.example.com"))
            .await
            .expect(202);
    }
    let _ = fair
        .apply("p10@mill.example.com")
        .await
        .problem(429, "rate_limited");
    let body = json!({ "email": "p10@mill.example.com" });
    let _ = fair
        .anybody("198.51.100.1", "", body.clone())
        .await
        .expect(202);
    // Neighbours in one IPv6 network are counted together.
    for n in 0..10 {
        let body = json!({ "email": format!("q{n}@mill.example.com") });
        let _ = fair
            .anybody(&format!("2001:db8::{n}"), "", body)
            .await
            .expect(202);
    }
    let _ = fair
        .anybody("2001:db8::ff", "", body.clone())
        .await
        .problem(429, "rate_limited");
    let later = fair.world.now() + jiff::SignedDuration::from_hours(1);
    fair.world.instance.app().clock.set(later);
    let _ = fair.apply("p10@mill.example.com").await.expect(202);
}

#[tokio::test]
async fn gates_reject_queue_or_approve_with_their_reasons() {
    let rules = json!({
        "blocked_countries": ["FR"], "blocked_domains": ["*.rival.com"], "free_mail": "review",
        "duplicate": "reject", "duplicate_domain": "review", "approve": true,
        "reapply": "after_days", "reapply_days": 30,
    });
    let fair = Fair::open(rules).await;
    for (email, more, stage, reason, gate) in [
        ("a@mill.co.uk", json!({}), "approved", "", ""),
        ("b@gmail.com", json!({}), "in_review", "", "free_mail"),
        (
            "c@yopmail.com",
            json!({}),
            "rejected",
            "email_domain",
            "disposable_mail",
        ),
        (
            "d@sub.rival.com",
            json!({}),
            "rejected",
            "email_domain",
            "email_domain",
        ),
        (
            "e@lille.fr",
            json!({ "country": "FR" }),
            "rejected",
            "country",
            "country",
        ),
        (
            "f@havana.com",
            json!({ "country": "CU" }),
            "rejected",
            "sanctions",
            "sanctioned_country",
        ),
        (
            "g@mill.co.uk",
            json!({}),
            "in_review",
            "",
            "duplicate_domain",
        ),
        (
            "h@loom.co.uk",
            json!({ "tax_id": "GB123456789" }),
            "approved",
            "",
            "",
        ),
        (
            "i@warp.co.uk",
            json!({ "tax_id": "123 4567 89" }),
            "rejected",
            "duplicate",
            "duplicate_tax_id",
        ),
        (
            "j@weft.co.uk",
            json!({ "payout_account": "gb33 bukb 2020 1555 5555 55" }),
            "approved",
            "",
            "",
        ),
        (
            "k@yarn.co.uk",
            json!({ "payout_account": "GB33BUKB20201555555555" }),
            "rejected",
            "duplicate",
            "duplicate_payout_account",
        ),
    ] {
        // The clock goes on, so that no address comes too often.
        let later = fair.world.now() + jiff::SignedDuration::from_mins(20);
        fair.world.instance.app().clock.set(later);
        let token = fair.confirmed(email).await;
        let submitted = fair.submit(&token, more).await.expect(200);
        assert_eq!(
            (submitted.str("stage"), submitted.str("reason")),
            (stage, reason),
            "{email}"
        );
        assert!(
            submitted.body.get("findings").is_none(),
            "an applicant sees no findings"
        );
        let id = submitted.str("id");
        let seen = fair
            .world
            .get(&format!("/v1/applications/{id}"))
            .await
            .expect(200);
        assert_eq!(seen.str("/findings/0/gate"), gate, "{email}");
        fair.world.settle().await;
    }
    // A partner that an operator made is known as well.
    let body =
        json!({ "name": "Zed", "email": "zed@spool.co.uk", "country": "GB", "kind": "reseller" });
    let _ = fair.world.post("/v1/partners", body).await.expect(201);
    let token = fair.confirmed("zed@spool.co.uk").await;
    let submitted = fair.submit(&token, json!({})).await.expect(200);
    assert_eq!(submitted.str("reason"), "duplicate");
}

#[tokio::test]
async fn who_was_rejected_applies_again_when_the_program_says() {
    let fair = Fair::open(json!({ "reapply": "after_days", "reapply_days": 30 })).await;
    let email = "ada@mill.example.com";
    let token = fair.confirmed(email).await;
    let id = fair
        .submit(&token, json!({}))
        .await
        .expect(200)
        .str("id")
        .to_owned();
    let reject = json!({ "outcome": "reject", "reason": "not_a_fit", "note": "Come back." });
    let rejected = fair.decide(&id, reject).await.expect(200);
    assert_eq!(rejected.str("reapply_at"), "2026-04-01T09:00:03Z");
    let mail = fair.saying(email, "not_a_fit");
    assert!(mail.text.contains("Come back."));
    fair.world.advance_days(29).await;
    let _ = fair.apply(email).await.expect(202);
    fair.world.settle().await;
    let confirmed = fair.confirm(email).await.expect(200);
    assert_eq!(
        confirmed.str("/application/id"),
        id,
        "too early: the old one"
    );
    fair.world.advance_days(2).await;
    let token = fair.confirmed(email).await;
    let again = fair.submit(&token, json!({})).await.expect(200);
    assert_ne!(again.str("id"), id);
    assert_eq!(again.str("stage"), "in_review");
}

#[tokio::test]
async fn who_referred_stands_above_where_the_plan_pays_levels() {
    let fair = Fair::open(json!({ "approve": true, "duplicate_domain": "note" })).await;
    let (above, ..) = fair.world.partner_in(&fair.program, "Uma").await;
    for (levels, email) in [
        (json!([]), "a@mill.co.uk"),
        (
            json!([{ "rate": "0.10", "of": "commission", "rounding": "half_up" }]),
            "b@loom.co.uk",
        ),
    ] {
        let plan = json!({
            "code": "standard", "hold_days": 30, "effective_from": fair.world.now().to_string(), "levels": levels,
            "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }],
        });
        let _ = fair
            .world
            .post(&format!("/v1/programs/{}/plans", fair.program), plan)
            .await
            .expect(201);
        fair.world.advance_days(1).await;
        let body = json!({
            "email": email, "name": "Ada", "country": "GB", "kind": "reseller",
            "answers": { "audience": "Weavers" }, "referrer": above,
        });
        let _ = fair.anybody("203.0.113.7", "", body).await.expect(202);
        fair.world.settle().await;
        let token = fair
            .confirm(email)
            .await
            .expect(200)
            .str("token")
            .to_owned();
        let submitted = fair.submit(&token, json!({})).await.expect(200);
        assert_eq!(submitted.str("stage"), "approved");
        let id = submitted.str("id");
        let seen = fair
            .world
            .get(&format!("/v1/applications/{id}"))
            .await
            .expect(200);
        assert_eq!(seen.str("referrer"), above);
        let partner = seen.str("partner").to_owned();
        let enrolled = fair
            .world
            .get(&format!("/v1/partners/{partner}/enrolments"))
            .await;
        let upline = enrolled.str("/items/0/uplines/0/partner");
        let expected = if levels == json!([]) {
            ""
        } else {
            above.as_str()
        };
        assert_eq!(upline, expected, "{}", enrolled.text);
    }
    let referred = fair
        .world
        .get(&fair.path(&format!("?referrer={above}")))
        .await
        .expect(200);
    assert_eq!(referred.items().len(), 2);
}

/// A plan that pays levels, from now on.
async fn pay_levels(fair: &Fair) {
    let plan = json!({
        "code": "standard", "hold_days": 30, "effective_from": fair.world.now().to_string(),
        "levels": [{ "rate": "0.10", "of": "commission", "rounding": "half_up" }],
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }],
    });
    let path = format!("/v1/programs/{}/plans", fair.program);
    let _ = fair.world.post(&path, plan).await.expect(201);
    fair.world.advance_days(1).await;
}

/// Applies with who referred, confirms and submits.
async fn referred(fair: &Fair, email: &str, referrer: &str) -> Answer {
    let body = json!({
        "email": email, "name": "Ada", "country": "GB", "kind": "reseller",
        "answers": { "audience": "Weavers" }, "referrer": referrer,
    });
    let _ = fair.anybody("203.0.113.7", "", body).await.expect(202);
    fair.world.settle().await;
    let token = fair
        .confirm(email)
        .await
        .expect(200)
        .str("token")
        .to_owned();
    fair.submit(&token, json!({})).await.expect(200)
}

#[tokio::test]
async fn an_upline_that_cannot_be_keeps_nobody_from_being_approved_and_is_stated() {
    let fair = Fair::open(json!({ "approve": true })).await;
    let world = &fair.world;
    pay_levels(&fair).await;
    // As many above one another as may be.
    let mut lowest = String::new();
    for depth in 0..=tributary::partners::model::MAX_UPLINES {
        let (next, ..) = world
            .partner_in(&fair.program, &format!("Uma{depth}"))
            .await;
        if !lowest.is_empty() {
            let below = json!({ "program": fair.program, "plan": "standard", "upline": lowest });
            let path = format!("/v1/partners/{next}/enrolments");
            let _ = world.post(&path, below).await.expect(200);
        }
        lowest = next;
    }
    // No rule decides that whoever referred earns nothing by it.
    let submitted = referred(&fair, "ada@mill.co.uk", &lowest).await;
    assert_eq!(submitted.str("stage"), "in_review");
    let id = submitted.str("id").to_owned();
    let seen = world
        .get(&format!("/v1/applications/{id}"))
        .await
        .expect(200);
    assert_eq!(
        seen.body["findings"],
        json!([{ "gate": "upline", "weight": "review", "evidence": format!("{lowest}: upline_too_deep") }])
    );
    let approved = fair
        .decide(&id, json!({ "outcome": "approve" }))
        .await
        .expect(200);
    assert_eq!(approved.str("stage"), "approved");
    assert_eq!(approved.str("/findings/0/weight"), "note");
    let enrolments = format!("/v1/partners/{}/enrolments", approved.str("partner"));
    let enrolled = world.get(&enrolments).await.expect(200);
    assert!(
        enrolled.body.pointer("/items/0/uplines").is_none(),
        "{}",
        enrolled.text
    );
}

#[tokio::test]
async fn an_approval_leaves_a_partner_that_is_in_the_program_where_it_stands() {
    let fair = Fair::open(json!({})).await;
    let world = &fair.world;
    pay_levels(&fair).await;
    let mut partners = Vec::new();
    for name in ["Uma", "Vic", "Ada"] {
        partners.push(world.partner_in(&fair.program, name).await.0);
    }
    let below = json!({ "program": fair.program, "plan": "standard", "upline": partners[0] });
    let enrolments = format!("/v1/partners/{}/enrolments", partners[2]);
    let _ = world.post(&enrolments, below).await.expect(200);
    let before = world.get(&enrolments).await.expect(200);
    assert_eq!(before.str("/items/0/uplines/0/partner"), partners[0]);
    // By another one, and by itself.
    for (email, referrer) in [("a@mill.co.uk", 1), ("b@loom.co.uk", 2)] {
        let submitted = referred(&fair, email, &partners[referrer]).await;
        let onto = json!({ "outcome": "approve", "partner": partners[2] });
        let approved = fair.decide(submitted.str("id"), onto).await.expect(200);
        assert_eq!(approved.str("partner"), partners[2]);
        let after = world.get(&enrolments).await.expect(200);
        assert_eq!(after.text, before.text);
    }
}

#[tokio::test]
async fn an_invitation_is_answered_with_its_token_though_the_form_is_closed() {
    let fair = Fair::open(json!({ "approve": true })).await;
    let closed = json!({ "open": false });
    let _ = fair
        .world
        .replace(
            &format!("/v1/programs/{}/application-form", fair.program),
            closed,
        )
        .await
        .expect(200);
    let bare = json!({ "email": "ada@mill.example.com" });
    let _ = fair
        .anybody("203.0.113.7", "", bare)
        .await
        .problem(409, "wrong_state");
    let email = "bob@loom.example.com";
    let path = format!("/v1/programs/{}/invitations", fair.program);
    let invitation = json!({ "email": email, "name": "Bob", "country": "GB", "kind": "referrer", "source": "list" });
    let invited = fair.world.post(&path, invitation.clone()).await.expect(201);
    assert_eq!(invited.str("stage"), "invited");
    let _ = fair
        .world
        .post(&path, invitation)
        .await
        .problem(409, "exists");
    fair.world.settle().await;
    let token = fair
        .confirm(email)
        .await
        .expect(200)
        .str("token")
        .to_owned();
    let submitted = fair.submit(&token, json!({})).await.expect(200);
    assert_eq!(
        stages(&submitted.body),
        ["invited", "started", "submitted", "approved"]
    );
    // A token that nobody used in time is none.
    let late = json!({ "email": "cid@warp.example.com" });
    let _ = fair.world.post(&path, late).await.expect(201);
    fair.world.settle().await;
    fair.world.advance_days(30).await;
    let _ = fair
        .confirm("cid@warp.example.com")
        .await
        .problem(422, "token_unusable");
    // Invited once more, there is one that is.
    let again = json!({ "email": "cid@warp.example.com" });
    let again = fair.world.post(&path, again).await.expect(201);
    fair.world.settle().await;
    let confirmed = fair.confirm("cid@warp.example.com").await.expect(200);
    assert_eq!(confirmed.str("/application/id"), again.str("id"));
}

#[tokio::test]
async fn operators_who_are_named_hear_of_what_waits_for_them() {
    let fair = Fair::open(json!({})).await;
    let world = &fair.world;
    let mae = json!({ "name": "Mae", "email": "mae@vendor.example" });
    let mae = world
        .post("/v1/operators", mae)
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let path = format!("/v1/programs/{}/notifications", fair.program);
    let _ = world
        .put(
            &path,
            json!({ "operators": [mae, "opr_00000000000000000000000000"] }),
        )
        .await
        .problem(422, "reference_unknown");
    let _ = world
        .put(&path, json!({ "operators": [mae] }))
        .await
        .expect(200);
    let _ = world
        .put(&path, json!({ "operators": [] }))
        .await
        .problem(428, "if_match_missing");
    let token = fair.confirmed("ada@mill.example.com").await;
    let _ = fair.submit(&token, json!({})).await.expect(200);
    world.settle().await;
    let mails = fair.mails_to("mae@vendor.example");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.contains("waits for you"));
}

#[tokio::test]
async fn an_event_whose_message_was_lost_is_told_all_the_same_and_once() {
    let fair = Fair::open(json!({})).await;
    let email = "ada@mill.example.com";
    let _ = fair.apply(email).await.expect(202);
    fair.world.lose_transport().await;
    fair.world.settle().await;
    assert!(fair.mails_to(email).is_empty());
    let later = fair.world.now() + jiff::SignedDuration::from_mins(16);
    fair.world.advance_to(later).await;
    assert_eq!(fair.mails_to(email).len(), 1);
    let later = fair.world.now() + jiff::SignedDuration::from_mins(16);
    fair.world.advance_to(later).await;
    assert_eq!(fair.mails_to(email).len(), 1);
}

#[tokio::test]
async fn the_feed_goes_on_from_its_cursor() {
    let fair = Fair::open(json!({})).await;
    let path = format!("/v1/programs/{}/events", fair.program);
    let empty = fair.world.get(&path).await.expect(200);
    assert!(empty.items().is_empty() && empty.body["next_cursor"].is_null());
    let mut cursor = String::new();
    for email in ["a@mill.co.uk", "b@loom.co.uk"] {
        let _ = fair.confirmed(email).await;
        fair.events().await;
        let page = fair
            .world
            .get(&format!("{path}?{cursor}"))
            .await
            .expect(200);
        let types: Vec<&str> = page
            .items()
            .iter()
            .map(|e| e["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            types,
            ["application.confirmation_asked", "application.started"]
        );
        cursor = format!("cursor={}", page.str("next_cursor"));
    }
    let page = fair
        .world
        .get(&format!("{path}?{cursor}"))
        .await
        .expect(200);
    assert!(page.items().is_empty());
    assert_eq!(format!("cursor={}", page.str("next_cursor")), cursor);
    let _ = fair
        .world
        .get(&format!("{path}?from=yesterday"))
        .await
        .problem(422, "time_malformed");
}

#[tokio::test]
async fn an_erased_applicant_is_nobody_and_what_became_of_it_stays() {
    let fair = Fair::open(json!({})).await;
    let token = fair.confirmed("ada@mill.example.com").await;
    let id = fair
        .submit(&token, json!({}))
        .await
        .expect(200)
        .str("id")
        .to_owned();
    let path = format!("/v1/applications/{id}/erasure");
    let _ = fair.world.post(&path, json!({})).await.expect(204);
    let seen = fair
        .world
        .get(&format!("/v1/applications/{id}"))
        .await
        .expect(200);
    assert!(seen.body["applicant"].is_null());
    assert_eq!(seen.str("stage"), "rejected");
    assert!(!seen.text.contains("mill.example"));
    for item in fair.world.scan("main").await {
        assert!(!format!("{item:?}").contains("ada@mill"), "{item:?}");
    }
    let _ = fair
        .submit(&token, json!({}))
        .await
        .problem(422, "token_unusable");
}

#[tokio::test]
async fn an_erased_applicant_is_erased_from_all_that_the_mailbox_began() {
    let fair = Fair::open(json!({})).await;
    let world = &fair.world;
    let email = "ada@mill.example.com";
    let _ = fair.apply(email).await.expect(202);
    fair.tick();
    let token = fair.confirmed(email).await;
    let id = fair
        .submit(&token, json!({}))
        .await
        .expect(200)
        .str("id")
        .to_owned();
    let _ = fair.apply("bob@loom.example.com").await.expect(202);
    let all = world.get(&fair.path("")).await.expect(200);
    assert_eq!(all.items().len(), 3);
    let path = format!("/v1/applications/{id}/erasure");
    let _ = world.post(&path, json!({})).await.expect(204);
    let all = world.get(&fair.path("")).await.expect(200);
    assert!(!all.text.contains("mill.example"), "{}", all.text);
    let visited = world.get(&fair.path("?stage=visited")).await.expect(200);
    assert_eq!(visited.items().len(), 1, "Bob's is his");
    for item in world.scan("main").await {
        assert!(!format!("{item:?}").contains("ada@mill"), "{item:?}");
    }
    // None of what was mailed opens anything, and who begins anew may.
    let _ = fair.confirm(email).await.problem(422, "token_unusable");
    let token = fair.confirmed(email).await;
    assert_eq!(
        fair.submit(&token, json!({}))
            .await
            .expect(200)
            .str("stage"),
        "in_review"
    );
}

#[tokio::test]
async fn applications_are_a_sheet_whose_cells_begin_no_formula() {
    let fair = Fair::open(json!({})).await;
    let world = &fair.world;
    let mut body = json!({
        "email": "ada@mill.example.com", "name": "=1+1", "country": "GB", "kind": "reseller",
        "answers": { "audience": "@SUM(A1)" }, "source": "-fair",
    });
    let _ = fair
        .anybody("203.0.113.7", "", body.clone())
        .await
        .expect(202);
    fair.tick();
    body["email"] = json!("bob@loom.example.com");
    body["name"] = json!("Bob");
    let _ = fair.anybody("203.0.113.7", "", body).await.expect(202);
    world.settle().await;
    let _ = fair.confirm("ada@mill.example.com").await.expect(200);
    let sheet = world
        .get(&fair.path("?format=csv&limit=1"))
        .await
        .expect(200);
    assert_eq!(
        sheet.headers[header::CONTENT_TYPE],
        "text/csv; charset=utf-8"
    );
    let next = sheet.headers["tributary-next-cursor"].to_str().unwrap();
    let path = fair.path(&format!("?format=csv&limit=1&cursor={next}"));
    let rest = world.get(&path).await.expect(200);
    let both = [sheet.text.clone(), rest.text].concat();
    let mut reader = csv::Reader::from_reader(both.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let cell = |row: usize, name: &str| {
        let column = header.iter().position(|known| known == name).unwrap();
        rows[row][column].to_owned()
    };
    assert_eq!(
        (cell(0, "name"), cell(0, "stage")),
        ("Bob".to_owned(), "visited".to_owned())
    );
    assert_eq!(
        (cell(1, "name"), cell(1, "stage")),
        ("'=1+1".to_owned(), "started".to_owned())
    );
    assert_eq!(cell(1, "source"), "'-fair");
    assert_eq!(cell(1, "answers"), "audience: @SUM(A1)");
    let one = world
        .get(&fair.path("?format=csv&stage=started"))
        .await
        .expect(200);
    assert_eq!(one.text.lines().count(), 2);
    let _ = world
        .get(&fair.path("?format=xls"))
        .await
        .problem(422, "not_one_of");
}

/// The mail service as it is while it takes nothing, and as it refuses one address for good.
struct Outage {
    is_down: AtomicBool,
    tried: AtomicU64,
    /// Messages about events that were put on the queue.
    queued: AtomicU64,
}

impl Intercept for Outage {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation == "SendMessageBatch" && call.request.to_string().contains("evt_") {
            self.queued.fetch_add(1, Ordering::SeqCst);
        }
        if call.service != Service::Ses {
            return Verdict::Pass;
        }
        self.tried.fetch_add(1, Ordering::SeqCst);
        let fault = |status, name: &str, message: &str| {
            let body = json!({ "__type": name, "message": message });
            let query_error = None;
            Verdict::Answer(AwsError {
                status,
                body,
                query_error,
            })
        };
        if call.request.to_string().contains("refused@") {
            return fault(
                400,
                "MessageRejected",
                "Email address is on the suppression list",
            );
        }
        if self.is_down.load(Ordering::SeqCst) {
            return fault(
                429,
                "TooManyRequestsException",
                "Maximum sending rate exceeded.",
            );
        }
        Verdict::Pass
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_mail_service_does_not_take_is_sent_later_and_once_and_what_it_refuses_holds_up_nothing()
 {
    let fair = Fair::open(json!({})).await;
    let world = &fair.world;
    let outage = Arc::new(Outage {
        is_down: AtomicBool::new(false),
        tried: AtomicU64::new(0),
        queued: AtomicU64::new(0),
    });
    world.instance.cloud().set_interceptor(Some(outage.clone()));
    // Refused for good: others are told, and it is not tried again.
    for email in ["refused@mill.example.com", "bob@loom.example.com"] {
        let _ = fair.apply(email).await.expect(202);
    }
    world.settle().await;
    assert_eq!(fair.mails_to("bob@loom.example.com").len(), 1);
    assert_eq!(outage.tried.load(Ordering::SeqCst), 2);
    let marks = |how: &str| {
        let how = how.to_owned();
        async move {
            let items = world.scan("main").await;
            let marked = items
                .iter()
                .filter(|item| item.get("how").is_some_and(|is| *is.as_s().unwrap() == how));
            marked.count()
        }
    };
    assert_eq!((marks("refused").await, marks("sent").await), (1, 1));

    // Down for a day and a half. The queue gives up on a message long before that, and clockwork, every minute,
    // does not fill it.
    outage.is_down.store(true, Ordering::SeqCst);
    let _ = fair.apply("cid@warp.example.com").await.expect(202);
    let _ = world.instance.settle().await;
    world.lose_transport().await;
    outage.queued.store(0, Ordering::SeqCst);
    for _ in 0..36 * 4 {
        let later = world.now() + jiff::SignedDuration::from_mins(15);
        world.instance.app().clock.set(later);
        world.clockwork().await;
        world.lose_transport().await;
    }
    let queued = outage.queued.load(Ordering::SeqCst);
    assert_eq!(
        queued, 7,
        "after 15 minutes, and twice as long each time up to 12 hours"
    );
    assert!(fair.mails_to("cid@warp.example.com").is_empty());

    outage.is_down.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        let later = world.now() + jiff::SignedDuration::from_hours(12);
        world.advance_to(later).await;
    }
    assert_eq!(fair.mails_to("cid@warp.example.com").len(), 1);
    assert_eq!(fair.mails_to("bob@loom.example.com").len(), 1);
    assert_eq!((marks("refused").await, marks("sent").await), (1, 2));
    for item in world.scan("main").await {
        let is_due = item
            .get("due_pk")
            .is_some_and(|at| at.as_s().unwrap().starts_with("UNTOLD"));
        assert!(!is_due, "{item:?}");
    }
}

#[tokio::test]
async fn every_wrong_field_of_an_application_and_its_form_is_named() {
    let fair = Fair::open(json!({})).await;
    let wrong = |answer: Answer| -> Vec<(String, String)> {
        let errors = answer.expect(422).body["errors"]
            .as_array()
            .unwrap()
            .clone();
        errors
            .iter()
            .map(|e| {
                (
                    e["field"].as_str().unwrap().to_owned(),
                    e["code"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    };
    let told = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    let body = json!({
        "email": "ada", "country": "UK", "kind": "service", "payout_account": "GB00", "referrer": "x", "source": "ask ada@mill.example",
        "answers": { "size": "huge", "site": "http://a.example", "odd": "x" }, "extra": 1,
    });
    assert_eq!(
        wrong(fair.anybody("203.0.113.7", "", body).await),
        told(&[
            ("email", "email_malformed"),
            ("country", "country_unknown"),
            ("payout_account", "iban_invalid"),
            ("source", "characters_refused"),
            ("referrer", "id_malformed"),
            ("kind", "not_one_of"),
            ("answers.odd", "unknown_field"),
            ("answers.site", "url_malformed"),
            ("answers.size", "not_one_of"),
            ("extra", "unknown_field"),
        ])
    );
    let _ = fair
        .anybody("203.0.113.7", "", json!({ "email": "ada@com" }))
        .await
        .problem(422, "email_malformed");
    // A domain may have any letters; in front of the @ no mail service takes them.
    let _ = fair
        .anybody(
            "203.0.113.7",
            "",
            json!({ "email": "j\u{fc}rgen@buecher.de" }),
        )
        .await
        .problem(422, "email_malformed");
    let _ = fair
        .anybody("203.0.113.7", "", json!({ "email": "anna@b\u{fc}cher.de" }))
        .await
        .expect(202);
    fair.world.settle().await;
    assert_eq!(fair.mails_to("anna@xn--bcher-kva.de").len(), 1);
    let bare = json!({ "email": "ada@mill.example.com" });
    let _ = fair.anybody("203.0.113.7", "", bare).await.expect(202);
    fair.world.settle().await;
    let token = fair
        .confirm("ada@mill.example.com")
        .await
        .expect(200)
        .str("token")
        .to_owned();
    assert_eq!(
        wrong(fair.submit(&token, json!({})).await),
        told(&[("answers.audience", "required")])
    );
    let answers = json!({ "answers": { "audience": "Weavers" } });
    assert_eq!(
        wrong(fair.submit(&token, answers.clone()).await),
        told(&[
            ("name", "required"),
            ("country", "required"),
            ("kind", "required")
        ])
    );
    let mut odd = answers.clone();
    for (name, value) in [
        ("name", "Ada"),
        ("country", "GB"),
        ("kind", "reseller"),
        ("tax_id", "??"),
    ] {
        odd[name] = json!(value);
    }
    assert_eq!(
        wrong(fair.submit(&token, odd).await),
        told(&[("tax_id", "characters_refused")])
    );

    let form = format!("/v1/programs/{}/application-form", fair.program);
    let tag = [("if-match", "\"1\"")];
    let body = json!({
        "open": "yes", "kinds": ["oem"], "page_url": "https://vendor.example/", "fields": [
            { "code": "A", "label": "", "kind": "number" },
            { "code": "size", "label": "Size", "kind": "choice" },
        ],
    });
    let answer = fair
        .world
        .ask(&fair.world.key, Method::PUT, &form, &tag, Some(&body))
        .await;
    assert_eq!(
        wrong(answer),
        told(&[
            ("open", "wrong_type"),
            ("kinds[0]", "not_one_of"),
            ("page_url", "url_malformed"),
            ("fields[0].code", "characters_refused"),
            ("fields[0].label", "too_short"),
            ("fields[0].kind", "not_one_of"),
            ("fields[1].choices", "required"),
        ])
    );
    let rules = format!("/v1/programs/{}/application-rules", fair.program);
    let body = json!({
        "allowed_countries": ["UK"], "blocked_domains": ["Example.com", "*"], "free_mail": "maybe",
        "reapply": "after_days",
    });
    let answer = fair
        .world
        .ask(&fair.world.key, Method::PUT, &rules, &tag, Some(&body))
        .await;
    assert_eq!(
        wrong(answer),
        told(&[
            ("allowed_countries[0]", "country_unknown"),
            ("blocked_domains[0]", "characters_refused"),
            ("blocked_domains[1]", "characters_refused"),
            ("free_mail", "not_one_of"),
            ("reapply_days", "required"),
        ])
    );
    for path in [form, rules] {
        let stale = [("if-match", "\"7\"")];
        let body = json!({});
        let _ = fair
            .world
            .ask(&fair.world.key, Method::PUT, &path, &stale, Some(&body))
            .await
            .problem(412, "version_stale");
        let _ = fair
            .world
            .put(&path, json!({}))
            .await
            .problem(428, "if_match_missing");
    }
}
