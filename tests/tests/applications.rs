//! How one becomes a partner: forms, rules, tokens by mail, decisions, invitations, and what is told of it.

use axum::http::{Method, header};
use serde_json::{Value, json};
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
        "email": "ada", "country": "UK", "kind": "service", "payout_account": "GB00", "referrer": "x",
        "answers": { "size": "huge", "site": "http://a.example", "odd": "x" }, "extra": 1,
    });
    assert_eq!(
        wrong(fair.anybody("203.0.113.7", "", body).await),
        told(&[
            ("email", "email_malformed"),
            ("country", "country_unknown"),
            ("payout_account", "iban_invalid"),
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
