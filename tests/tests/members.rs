//! The people of partners, what each status can still do, and erasure.

use std::sync::{Arc, Mutex};

use axum::http::{Method, header};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tributary_local::connector::{Call, Intercept, Verdict};
use tributary_tests::{Answer, Stand, World};

/// Lets somebody else be done with something before the next transaction is.
pub(crate) struct Meanwhile(Mutex<Option<BoxFuture<'static, ()>>>);

impl Meanwhile {
    pub(crate) fn happens(world: &World, what: impl Future<Output = ()> + Send + 'static) {
        let held = Self(Mutex::new(Some(Box::pin(what))));
        let cloud = world.instance.cloud();
        cloud.set_interceptor(Some(Arc::new(held)));
    }
}

impl Intercept for Meanwhile {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation != "TransactWriteItems" {
            return Verdict::Pass;
        }
        let meanwhile = self.0.lock().unwrap().take();
        meanwhile.map_or(Verdict::Pass, Verdict::Hold)
    }
}

struct Firm {
    world: World,
    stand: Stand,
}

impl Firm {
    async fn open() -> Self {
        let world = World::start().await;
        let stand = world
            .stand_with(
                0,
                json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]),
            )
            .await;
        world.settle().await;
        Self { world, stand }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/partners/{}{rest}", self.stand.partner)
    }

    /// Later than any cache remembers.
    fn pass(&self) {
        let to = self.world.now() + jiff::SignedDuration::from_secs(31);
        self.world.instance.app().clock.set(to);
    }

    async fn add(&self, key: &str, name: &str, role: &str) -> Answer {
        let body = json!({ "name": name, "email": format!("{}@mill.example", name.to_lowercase()), "role": role });
        self.world
            .ask(key, Method::POST, &self.path("/members"), &[], Some(&body))
            .await
    }

    async fn key_of(&self, member: Option<&str>) -> String {
        let body = member.map_or(json!({}), |member| json!({ "member": member }));
        let key = self.world.post(&self.path("/keys"), body).await.expect(201);
        key.str("key").to_owned()
    }

    async fn status(&self, verb: &str) -> String {
        let answer = self
            .world
            .post(&self.path(&format!("/{verb}")), json!({}))
            .await
            .expect(200);
        self.world.settle().await;
        self.pass();
        answer.str("status").to_owned()
    }

    async fn may_enter(&self, key: &str) -> bool {
        let answer = self
            .world
            .ask(key, Method::GET, &self.path(""), &[], None)
            .await;
        answer.status.is_success()
    }

    fn subjects_to(&self, email: &str) -> Vec<String> {
        let mails = self.world.instance.cloud().outbox().mails();
        let own = mails.into_iter().filter(|mail| mail.to == email);
        own.map(|mail| mail.subject).collect()
    }
}

fn errors(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().unwrap().iter();
    errors
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn owners_look_after_everybody_managers_after_members() {
    let firm = Firm::open().await;
    let grace = firm
        .add(&firm.world.key, "Grace", "owner")
        .await
        .expect(201);
    let owner = firm.key_of(Some(grace.str("id"))).await;
    let joan = firm.add(&owner, "Joan", "manager").await.expect(201);
    let manager = firm.key_of(Some(joan.str("id"))).await;
    let hedy = firm.add(&manager, "Hedy", "member").await.expect(201);
    let member = firm.key_of(Some(hedy.str("id"))).await;
    let _ = firm
        .add(&manager, "Ruth", "manager")
        .await
        .problem(403, "forbidden");
    let _ = firm
        .add(&member, "Ruth", "member")
        .await
        .problem(403, "forbidden");
    let _ = firm
        .add(&owner, "Hedy", "member")
        .await
        .problem(409, "exists");
    firm.world.settle().await;
    assert_eq!(
        firm.subjects_to("grace@mill.example").len(),
        3,
        "all three were added while she was there"
    );

    let path = |answer: &Answer| firm.path(&format!("/members/{}", answer.str("id")));
    let change = json!({ "role": "manager", "name": "Hedy L." });
    let tag = [("if-match", "\"1\"")];
    let patch = async |key: &str, path: String, tag: &[(&str, &str)], body: &Value| {
        firm.world
            .ask(key, Method::PATCH, &path, tag, Some(body))
            .await
    };
    let _ = patch(&manager, path(&hedy), &tag, &change)
        .await
        .problem(403, "forbidden");
    let changed = patch(&owner, path(&hedy), &tag, &change).await.expect(200);
    assert_eq!(
        (changed.str("name"), changed.str("role")),
        ("Hedy L.", "manager")
    );
    assert_eq!(changed.headers[header::ETAG], "\"2\"");
    let _ = patch(&owner, path(&hedy), &tag, &change)
        .await
        .problem(412, "version_stale");
    let _ = patch(&owner, path(&hedy), &[], &change)
        .await
        .problem(428, "if_match_missing");
    let last = json!({ "role": "member" });
    let _ = patch(&firm.world.key, path(&grace), &tag, &last)
        .await
        .problem(409, "wrong_state");
    let _ = firm
        .world
        .delete(&path(&grace))
        .await
        .problem(409, "wrong_state");

    // Who leaves is forgotten, and so are its keys.
    assert!(firm.may_enter(&member).await);
    let _ = firm
        .world
        .ask(&owner, Method::DELETE, &path(&hedy), &[], None)
        .await
        .expect(204);
    firm.pass();
    assert!(!firm.may_enter(&member).await);
    assert!(firm.may_enter(&manager).await);
    let list = firm.world.get(&firm.path("/members")).await.expect(200);
    assert_eq!(list.items().len(), 2);
    for item in firm.world.scan("main").await {
        assert!(!format!("{item:?}").contains("hedy@mill"), "{item:?}");
    }
    let wrong = json!({ "name": "", "email": "x", "role": "boss", "age": 5 });
    let answer = firm
        .world
        .post(&firm.path("/members"), wrong)
        .await
        .expect(422);
    assert_eq!(errors(&answer), ["name", "email", "role", "age"]);
    let nobody = json!({ "member": "mbr_00000000000000000000000000" });
    let _ = firm
        .world
        .post(&firm.path("/keys"), nobody)
        .await
        .problem(404, "not_found");

    // Another partner does not even learn that there are people.
    let (other, ..) = firm.world.partner_in(&firm.stand.program, "Bob").await;
    let key = firm
        .world
        .post(&format!("/v1/partners/{other}/keys"), json!({}))
        .await
        .expect(201);
    let _ = firm
        .add(key.str("key"), "Eve", "owner")
        .await
        .problem(404, "not_found");
    let own = firm
        .world
        .ask(
            key.str("key"),
            Method::GET,
            &firm.path("/members"),
            &[],
            None,
        )
        .await;
    let _ = own.problem(404, "not_found");
}

#[tokio::test]
async fn of_two_owners_who_remove_each_other_at_once_one_stays() {
    let firm = Firm::open().await;
    let mut owners = Vec::new();
    for name in ["Grace", "Joan"] {
        let added = firm.add(&firm.world.key, name, "owner").await.expect(201);
        let id = added.str("id").to_owned();
        let key = firm.key_of(Some(&id)).await;
        owners.push((firm.path(&format!("/members/{id}")), key));
    }
    let [(grace, by_grace), (joan, by_joan)] = owners.try_into().unwrap();
    let world = firm.world.clone();
    let first = grace.clone();
    Meanwhile::happens(&firm.world, async move {
        let removed = world.ask(&by_joan, Method::DELETE, &first, &[], None).await;
        let _ = removed.expect(204);
    });
    let late = firm.world.ask(&by_grace, Method::DELETE, &joan, &[], None);
    let _ = late.await.problem(409, "conflict");
    let left = firm.world.get(&joan).await.expect(200);
    assert_eq!(left.str("role"), "owner");
    let _ = firm.world.delete(&joan).await.problem(409, "wrong_state");

    // The same where one of two makes the other a member.
    let ruth = firm.add(&firm.world.key, "Ruth", "owner").await;
    let ruth = firm.path(&format!("/members/{}", ruth.expect(201).str("id")));
    let (world, other) = (firm.world.clone(), ruth.clone());
    Meanwhile::happens(&firm.world, async move {
        let _ = world.delete(&other).await.expect(204);
    });
    let late = firm.world.patch(&joan, json!({ "role": "member" })).await;
    let _ = late.problem(409, "conflict");
    let left = firm.world.get(&joan).await.expect(200);
    assert_eq!(left.str("role"), "owner");
}

#[tokio::test]
async fn each_status_keeps_what_it_may_still_do() {
    let firm = Firm::open().await;
    let key = firm.key_of(None).await;
    let sale = |n: &str| format!("order-{n}");
    let first = firm.world.sale(&firm.stand, &sale("1"), "100.00").await;
    firm.world.settle().await;
    assert_eq!(firm.world.state(&first).await, "held");
    firm.world.advance_days(1).await;
    assert_eq!(firm.world.balances(&firm.stand.partner).await[1], "30.00");

    // Archived: nothing new, but paid what it has.
    assert_eq!(firm.status("archive").await, "archived");
    let late = firm.world.sale(&firm.stand, &sale("2"), "100.00").await;
    firm.world.settle().await;
    assert_eq!(firm.world.state(&late).await, "unattributed");
    let link = json!({ "program": firm.stand.program, "partner": firm.stand.partner, "destination": "https://shop.example/" });
    let _ = firm
        .world
        .post("/v1/links", link)
        .await
        .problem(422, "partner_suspended");
    assert!(firm.may_enter(&key).await);

    // Suspended and banned: not paid either; banned, no key opens anything.
    assert_eq!(firm.status("suspend").await, "suspended");
    assert!(firm.may_enter(&key).await);
    assert_eq!(firm.status("ban").await, "banned");
    assert!(!firm.may_enter(&key).await);
    let _ = firm
        .world
        .post(&firm.path("/keys"), json!({}))
        .await
        .problem(409, "wrong_state");
    let batch = firm.world.batch(&firm.stand.program, None).await;
    let seen = firm
        .world
        .get(&format!("/v1/payouts/batches/{batch}"))
        .await
        .expect(200);
    assert!(seen.text.contains("\"suspended\""), "{}", seen.text);
    assert_eq!(firm.world.balances(&firm.stand.partner).await[1], "30.00");

    assert_eq!(firm.status("archive").await, "archived");
    let _ = firm.world.batch(&firm.stand.program, None).await;
    let balances = firm.world.balances(&firm.stand.partner).await;
    assert_eq!(
        (balances[1].as_str(), balances[2].as_str()),
        ("0.00", "30.00")
    );
    assert_eq!(firm.status("reinstate").await, "active");
    assert!(!firm.may_enter(&key).await, "an ended key stays ended");
    let again = firm.world.sale(&firm.stand, &sale("3"), "100.00").await;
    firm.world.settle().await;
    assert_eq!(firm.world.state(&again).await, "held");
    assert_eq!(
        firm.subjects_to("ada@example.com"),
        [
            "Your payout method was changed",
            "Your partner account was archived",
            "Your partner account was suspended",
            "Your partner account was closed",
            "Your partner account was archived",
            "Your partner account is active again",
        ]
    );
}

#[tokio::test]
async fn an_erased_partner_is_nobody_and_its_money_stays() {
    let firm = Firm::open().await;
    let key = firm.key_of(None).await;
    let _ = firm
        .add(&firm.world.key, "Grace", "owner")
        .await
        .expect(201);
    let terms = json!({ "title": "Terms", "text": "Be kind.", "blocks": [] });
    let terms = firm
        .world
        .post(
            &format!("/v1/programs/{}/agreements", firm.stand.program),
            terms,
        )
        .await
        .expect(201);
    let accept = format!(
        "/v1/programs/{}/agreements/1/acceptances",
        firm.stand.program
    );
    let from = [("x-forwarded-for", "203.0.113.77")];
    let hash = json!({ "hash": terms.str("hash") });
    let _ = firm
        .world
        .ask(&key, Method::POST, &accept, &from, Some(&hash))
        .await
        .expect(201);
    let _ = firm.world.sale(&firm.stand, "order-1", "100.00").await;
    firm.world.settle().await;
    let before = firm.world.balances(&firm.stand.partner).await;
    let erasure = firm.path("/erasure");
    let _ = firm
        .world
        .post(&erasure, json!({}))
        .await
        .problem(409, "wrong_state");
    firm.status("archive").await;
    let erased = firm.world.post(&erasure, json!({})).await.expect(200);
    assert_eq!(erased.body["complete"], true);
    let seen = firm.world.get(&firm.path("")).await.expect(200);
    assert!(!seen.text.contains("Ada") && !seen.text.contains("ada@"));
    for item in firm.world.scan("main").await {
        let text = format!("{item:?}");
        for word in ["ada@example.com", "grace@mill", "203.0.113.77"] {
            assert!(!text.contains(word), "{text}");
        }
    }
    assert_eq!(firm.world.balances(&firm.stand.partner).await, before);
    let path = firm.path(&format!("/agreements?program={}", firm.stand.program));
    let record = firm.world.get(&path).await.expect(200);
    assert_eq!(record.str("/items/0/hash"), terms.str("hash"));
    // Nobody is written to any more.
    let sent = firm.world.instance.cloud().outbox().mails().len();
    firm.world.settle().await;
    assert_eq!(firm.world.instance.cloud().outbox().mails().len(), sent);
}

/// Somebody who applied here and elsewhere, time and again, is erased with the partner that came of it, whatever the
/// partner's email is by now, and however much there is.
#[tokio::test]
async fn whoever_is_erased_is_erased_from_every_application_however_many() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let elsewhere = world.program(
        0,
        json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]),
    );
    let programs = [firm.stand.program.clone(), elsewhere.await.0];
    for program in &programs {
        let plan = format!("/v1/programs/{program}/default-plan");
        let _ = world
            .put(&plan, json!({ "plan": "standard" }))
            .await
            .expect(200);
        let form = format!("/v1/programs/{program}/application-form");
        let _ = world.put(&form, json!({})).await.expect(200);
    }
    let applied = json!({ "email": "hedy@mill.example.com", "name": "Hedy Kiesler", "country": "AT", "kind": "reseller" });
    let apply = async |program: &str| {
        let path = format!("/v1/programs/{program}/applications");
        let _ = world
            .ask("", Method::POST, &path, &[], Some(&applied))
            .await
            .expect(202);
        let later = world.now() + jiff::SignedDuration::from_hours(5);
        world.instance.app().clock.set(later);
    };
    apply(&programs[0]).await;
    let invite = format!("/v1/programs/{}/invitations", programs[0]);
    let invited = world.post(&invite, applied.clone()).await.expect(201);
    world.settle().await;
    let mails = world.instance.cloud().outbox().mails();
    let invitation = mails
        .iter()
        .rev()
        .find(|mail| mail.subject.contains("invited"))
        .unwrap();
    let token = |text: &str| {
        text.rsplit_once("once: ")
            .unwrap()
            .1
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    let path = |rest: &str| format!("/v1/programs/{}/applications:{rest}", programs[0]);
    let confirm = json!({ "token": token(&invitation.text) });
    let confirmed = world
        .ask("", Method::POST, &path("confirm"), &[], Some(&confirm))
        .await
        .expect(200);
    let submit = json!({ "token": confirmed.str("token"), "submit": true });
    let _ = world
        .ask("", Method::POST, &path("answer"), &[], Some(&submit))
        .await
        .expect(200);
    let application = format!("/v1/applications/{}", invited.str("id"));
    let tag = world.get(&application).await.expect(200).headers[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned();
    let decision = format!("{application}/decision");
    let approve = json!({ "outcome": "approve" });
    let approved = world
        .ask(
            &world.key,
            Method::POST,
            &decision,
            &[("if-match", &tag)],
            Some(&approve),
        )
        .await
        .expect(200);
    let partner = format!("/v1/partners/{}", approved.str("partner"));
    let _ = world
        .patch(&partner, json!({ "email": "office@mill.example.com" }))
        .await
        .expect(200);
    let _ = world
        .post(&format!("{partner}/archive"), json!({}))
        .await
        .expect(200);
    // Never confirmed, in the course of days.
    for _ in 0..45 {
        apply(&programs[1]).await;
    }
    let mut rounds = 0;
    loop {
        rounds += 1;
        let erased = world
            .post(&format!("{partner}/erasure"), json!({}))
            .await
            .expect(200);
        if erased.body["complete"] == true {
            break;
        }
        let seen = world.get(&partner).await.expect(200);
        assert_eq!(seen.str("email"), "office@mill.example.com", "it goes last");
    }
    assert_eq!(rounds, 2, "47 applications of two writes each");
    for item in world.scan("main").await {
        let text = format!("{item:?}");
        for word in ["hedy@mill", "office@mill", "Kiesler"] {
            assert!(!text.contains(word), "{text}");
        }
    }
    // What nobody confirmed is decided by it.
    for program in &programs {
        let visited = format!("/v1/programs/{program}/applications?stage=visited");
        assert!(world.get(&visited).await.expect(200).items().is_empty());
    }
}

#[tokio::test]
async fn partners_are_listed_by_what_they_are_and_as_a_sheet() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let body = json!({ "name": "=HYPERLINK(\"https://evil.example\")", "email": "+eve@evil.example", "country": "FR", "kind": "reseller" });
    let eve = world.post("/v1/partners", body).await.expect(201);
    for (query, expected) in [
        ("", 2),
        ("?status=active", 2),
        ("?status=archived", 0),
        ("?kind=reseller", 1),
        ("?kind=reseller&country=GB", 0),
        ("?country=FR&format=json", 1),
    ] {
        let found = world.get(&format!("/v1/partners{query}")).await.expect(200);
        assert_eq!(found.items().len(), expected, "{query}");
    }
    let sheet = world
        .get("/v1/partners?format=csv&limit=1")
        .await
        .expect(200);
    assert_eq!(
        sheet.headers[header::CONTENT_TYPE],
        "text/csv; charset=utf-8"
    );
    let mut reader = csv::Reader::from_reader(sheet.text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(&rows[0][0], eve.str("id"));
    assert_eq!(&rows[0][1], "'=HYPERLINK(\"https://evil.example\")");
    assert_eq!(&rows[0][2], "'+eve@evil.example");
    let next = sheet.headers["tributary-next-cursor"].to_str().unwrap();
    let rest = world
        .get(&format!("/v1/partners?format=csv&limit=1&cursor={next}"))
        .await
        .expect(200);
    assert_eq!(
        rest.text.lines().count(),
        1,
        "no second header: {}",
        rest.text
    );
    let wrong = world
        .get("/v1/partners?status=gone&kind=oem&country=UK&format=xls")
        .await
        .expect(422);
    assert_eq!(errors(&wrong), ["status", "kind", "country", "format"]);
    // A cursor is bound to its filter.
    let _ = world
        .get(&format!("/v1/partners?kind=reseller&cursor={next}"))
        .await
        .problem(422, "cursor_invalid");
}

#[tokio::test]
async fn mails_go_to_domains_of_any_script_and_what_no_mail_service_takes_is_told_at_once() {
    let firm = Firm::open().await;
    let world = &firm.world;
    let person = |email: &str| json!({ "name": "Anna", "email": email, "role": "owner" });
    let members = firm.path("/members");
    let _ = world
        .post(&members, person("anna@b\u{fc}cher.example"))
        .await
        .expect(201);
    let _ = world
        .post(&members, person("j\u{fc}rgen@buecher.example"))
        .await
        .problem(422, "email_malformed");
    world.settle().await;
    assert_eq!(firm.subjects_to("anna@xn--bcher-kva.example").len(), 1);
    let listed = world.get(&members).await.expect(200);
    assert_eq!(listed.str("/items/0/email"), "anna@b\u{fc}cher.example");
}
