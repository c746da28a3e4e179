//! The portal and the console as a browser meets them: signing in, sessions, forms, and who sees what.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;
use tributary::clock::Clock;
use tributary::table::{Key, Update};
use tributary_local::capacity::Recorded;
use tributary_local::connector::Service;
use tributary_local::instance::{Instance, Settings};
use tributary_tests::{Answer, START, World};

use crate::routing::{Desk, in_turn};

/// The first operator of an embedded instance.
const FIRST: &str = "operator@example.com";

/// A browser: it keeps cookies and follows nothing by itself.
struct Browser<'a> {
    world: &'a World,
    cookies: BTreeMap<String, String>,
    headers: Vec<(&'static str, String)>,
}

impl<'a> Browser<'a> {
    fn new(world: &'a World) -> Self {
        Self {
            world,
            cookies: BTreeMap::new(),
            headers: Vec::new(),
        }
    }

    async fn send(&mut self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = match form {
            None => Body::empty(),
            Some(pairs) => {
                request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let pairs: Vec<String> = pairs
                    .iter()
                    .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
                    .collect();
                Body::from(pairs.join("&"))
            }
        };
        let answer = self.world.send(request.body(body).unwrap()).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(
                cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
                "{cookie}"
            );
            let (pair, _) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// Sends a form with what its page holds unseen besides.
    async fn post(&mut self, path: &str, shown: &Answer, form: &[(&str, &str)]) -> Answer {
        let hidden = hidden(shown, path);
        let mut pairs: Vec<(&str, &str)> = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        pairs.extend(form);
        self.send(Method::POST, path, Some(&pairs)).await
    }

    /// Asks for a link and opens it; what is behind it.
    async fn link(&mut self, email: &str) -> String {
        self.send(Method::POST, "/sign-in", Some(&[("email", email)]))
            .await
            .expect(200);
        self.world.settle().await;
        let mails = self.world.instance.cloud().outbox().mails();
        // Whatever else it is told at the moment.
        let is_link = |text: &str| text.contains("/sign-in/link?token=");
        let mut newest = mails.iter().rev();
        let mail = newest.find(|mail| mail.to == email && is_link(&mail.text));
        token(&mail.unwrap().text)
    }

    async fn sign_in(&mut self, email: &str) {
        let token = self.link(email).await;
        self.send(Method::POST, "/sign-in/link", Some(&[("token", &token)]))
            .await
            .expect(303);
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn token(text: &str) -> String {
    let (_, behind) = text.split_once("/sign-in/link?token=").unwrap();
    behind.split_whitespace().next().unwrap().to_owned()
}

/// The hidden fields of the form that leads to a place.
fn hidden(page: &Answer, action: &str) -> Vec<(String, String)> {
    let form = page
        .text
        .split("<form")
        .find(|form| form.contains(&format!("action=\"{action}\"")))
        .unwrap_or_else(|| panic!("no form leads to {action}: {}", page.text));
    let form = form.split("</form>").next().unwrap();
    form.split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|input| {
            let (name, rest) = input.split_once('"').unwrap();
            let value = rest.split_once("value=\"").unwrap().1;
            (name.to_owned(), value.split('"').next().unwrap().to_owned())
        })
        .collect()
}

/// Where the first form leads whose place begins so.
fn hidden_action(page: &Answer, beginning: &str) -> String {
    let (_, rest) = page
        .text
        .split_once(&format!("action=\"{beginning}"))
        .unwrap();
    format!("{beginning}{}", rest.split('"').next().unwrap())
}

fn place(answer: &Answer) -> &str {
    answer.headers[header::LOCATION].to_str().unwrap()
}

#[tokio::test]
async fn a_link_signs_in_once_in_the_browser_that_asked_and_opening_it_uses_nothing_up() {
    let world = World::start().await;
    let mut ada = Browser::new(&world);
    assert_eq!(place(&ada.get("/console").await.expect(303)), "/sign-in");
    let token = ada.link(FIRST).await;
    let path = format!("/sign-in/link?token={token}");
    // As a scanner of mail does, and again by whoever it is for.
    let mut scanner = Browser::new(&world);
    let seen = scanner.get(&path).await.expect(422);
    assert!(
        seen.text.contains("Another browser asked for it"),
        "{}",
        seen.text
    );
    for _ in 0..2 {
        let page = ada.get(&path).await.expect(200);
        assert!(page.text.contains("First operator"), "{}", page.text);
    }
    let stolen = scanner
        .send(Method::POST, "/sign-in/link", Some(&[("token", &token)]))
        .await;
    assert_eq!(stolen.status.as_u16(), 422);
    let browser = ada.cookies.clone();
    let entered = ada
        .send(Method::POST, "/sign-in/link", Some(&[("token", &token)]))
        .await
        .expect(303);
    assert_eq!(place(&entered), "/");
    assert_eq!(place(&ada.get("/").await.expect(303)), "/console");
    ada.get("/console").await.expect(200);
    // A second time it signs nobody in, not even the same browser.
    let mut again = Browser::new(&world);
    again.cookies = browser;
    let used = again
        .send(Method::POST, "/sign-in/link", Some(&[("token", &token)]))
        .await
        .expect(422);
    assert!(used.text.contains("used already"), "{}", used.text);
}

#[tokio::test]
async fn a_link_is_good_for_fifteen_minutes_and_a_forged_one_never() {
    let world = World::start().await;
    let mut ada = Browser::new(&world);
    let token = ada.link(FIRST).await;
    let mut forged = token.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    let page = ada
        .get(&format!("/sign-in/link?token={forged}"))
        .await
        .expect(422);
    assert!(page.text.contains("not whole"), "{}", page.text);
    let late = world.now() + jiff::SignedDuration::from_mins(15);
    world.instance.app().clock.set(late);
    let page = ada
        .get(&format!("/sign-in/link?token={token}"))
        .await
        .expect(422);
    assert!(page.text.contains("too old"), "{}", page.text);
}

#[tokio::test]
async fn an_address_that_is_nobodys_reads_the_same_answer_and_gets_no_mail() {
    let world = World::start().await;
    let mut known = Browser::new(&world);
    let mut unknown = Browser::new(&world);
    let form = |email| [("email", email)];
    let one = known
        .send(Method::POST, "/sign-in", Some(&form(FIRST)))
        .await
        .expect(200);
    let other = unknown
        .send(Method::POST, "/sign-in", Some(&form("nobody@example.com")))
        .await
        .expect(200);
    assert_eq!(one.text, other.text);
    world.settle().await;
    let to: Vec<String> = world
        .instance
        .cloud()
        .outbox()
        .mails()
        .into_iter()
        .map(|mail| mail.to)
        .collect();
    assert_eq!(to, [FIRST]);
    let wrong = unknown
        .send(Method::POST, "/sign-in", Some(&form("no address")))
        .await
        .expect(422);
    assert!(
        wrong.text.contains("value=\"no address\""),
        "{}",
        wrong.text
    );
    assert!(wrong.text.contains("role=\"alert\""), "{}", wrong.text);
}

#[tokio::test]
async fn links_cannot_be_asked_for_without_end() {
    let world = World::start().await;
    let mut ada = Browser::new(&world);
    let mut refused = None;
    for number in 0..200 {
        let asked = ada
            .send(Method::POST, "/sign-in", Some(&[("email", FIRST)]))
            .await;
        if asked.status.as_u16() == 429 {
            refused = Some(number);
            break;
        }
    }
    let refused = refused.expect("it is refused in the end");
    assert!((5..=30).contains(&refused), "{refused} were taken");
    let next = world.now() + jiff::SignedDuration::from_hours(1);
    world.instance.app().clock.set(next);
    let asked = ada
        .send(Method::POST, "/sign-in", Some(&[("email", FIRST)]))
        .await;
    assert_eq!(asked.status.as_u16(), 200);
}

#[tokio::test]
async fn a_session_ends_when_its_owner_says_so_and_by_itself() {
    let world = World::start().await;
    let mut here = Browser::new(&world);
    here.sign_in(FIRST).await;
    let later = world.now() + jiff::SignedDuration::from_secs(1);
    world.instance.app().clock.set(later);
    let mut there = Browser::new(&world);
    there
        .headers
        .push(("user-agent", "Elsewhere/1.0".to_owned()));
    there.sign_in(FIRST).await;
    let list = here.get("/sessions").await.expect(200);
    assert!(list.text.contains("Elsewhere/1.0"), "{}", list.text);
    let ends: Vec<&str> = list
        .text
        .split("action=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|action| action.ends_with("/end"))
        .collect();
    assert_eq!(ends.len(), 2);
    // The newest stands first: that is the other browser's.
    let ended = here.post(ends[0], &list, &[]).await.expect(303);
    assert_eq!(place(&ended), "/sessions?done=session_ended");
    assert_eq!(place(&there.get("/console").await.expect(303)), "/sign-in");
    let page = here.get("/console").await.expect(200);
    let kept = here.cookies.clone();
    here.post("/sign-out", &page, &[]).await.expect(303);
    assert!(here.cookies.is_empty(), "{:?}", here.cookies);
    here.cookies = kept;
    assert_eq!(place(&here.get("/console").await.expect(303)), "/sign-in");
    // An operator signs in anew each day.
    here.cookies.clear();
    here.sign_in(FIRST).await;
    here.get("/console").await.expect(200);
    let later = world.now() + jiff::SignedDuration::from_hours(12);
    world.instance.app().clock.set(later);
    assert_eq!(place(&here.get("/console").await.expect(303)), "/sign-in");
}

#[tokio::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let world = World::start().await;
    let stand = world.stand().await;
    let mut ada = Browser::new(&world);
    ada.sign_in(FIRST).await;
    let home = ada.get("/console").await.expect(200);
    assert!(home.text.contains("Spring"), "{}", home.text);
    let path = format!("/console/partners/{}", stand.partner);
    let suspend = format!("{path}/suspend");
    let page = ada.get(&path).await.expect(200);
    let without = ada
        .send(Method::POST, &suspend, Some(&[]))
        .await
        .expect(403);
    assert!(without.text.contains("not for you"), "{}", without.text);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        ada.headers = vec![(name, value.to_owned())];
        ada.post(&suspend, &page, &[]).await.expect(403);
    }
    let status = world.get(&format!("/v1/partners/{}", stand.partner)).await;
    assert_eq!(status.str("status"), "active");
    ada.headers = vec![
        ("origin", "http://127.0.0.1:8080".to_owned()),
        ("sec-fetch-site", "same-origin".to_owned()),
    ];
    let done = ada.post(&suspend, &page, &[]).await.expect(303);
    let shown = ada.get(place(&done)).await.expect(200);
    assert!(
        shown.text.contains("The partner is suspended."),
        "{}",
        shown.text
    );
    let status = world.get(&format!("/v1/partners/{}", stand.partner)).await;
    assert_eq!(status.str("status"), "suspended");
}

/// A partner's member who may sign in.
async fn member(world: &World, partner: &str, email: &str) {
    let path = format!("/v1/partners/{partner}/members");
    let body = json!({ "name": "Mary", "email": email, "role": "owner" });
    world.post(&path, body).await.expect(201);
}

#[tokio::test]
async fn each_sees_its_own_pages_and_of_anothers_records_that_there_are_none() {
    let world = World::start().await;
    let stand = world.stand().await;
    let (other, ..) = world.partner_in(&stand.program, "Bob").await;
    member(&world, &stand.partner, "mary@partner.example").await;
    member(&world, &other, "bob@other.example").await;
    let conversion = world.sale(&stand, "order-1", "249.00").await;
    let mut mary = Browser::new(&world);
    mary.sign_in("mary@partner.example").await;
    assert_eq!(place(&mary.get("/").await.expect(303)), "/portal");
    let own = format!("/portal/conversions/{conversion}");
    let page = mary.get(&own).await.expect(200);
    assert!(
        page.text.contains("How was this computed?"),
        "{}",
        page.text
    );
    assert!(page.text.contains("Component 1"), "{}", page.text);
    for path in [
        "/console",
        "/console/partners",
        "/console/operators",
        "/portal/conversions/cnv_0",
    ] {
        let page = mary.get(path).await.expect(404);
        assert!(
            page.text.contains("There is no such page"),
            "{path}: {}",
            page.text
        );
    }
    let mut bob = Browser::new(&world);
    bob.sign_in("bob@other.example").await;
    let foreign = bob.get(&own).await.expect(404);
    assert!(!foreign.text.contains("249"), "{}", foreign.text);
    // Whoever leaves the partner is out, at the latest half a minute later.
    let people = world.get(&format!("/v1/partners/{other}/members")).await;
    let id = people.items()[0]["id"].as_str().unwrap().to_owned();
    let second = json!({ "name": "Zoe", "email": "zoe@other.example", "role": "owner" });
    world
        .post(&format!("/v1/partners/{other}/members"), second)
        .await
        .expect(201);
    world
        .delete(&format!("/v1/partners/{other}/members/{id}"))
        .await
        .expect(204);
    assert_eq!(place(&bob.get("/portal").await.expect(303)), "/sign-in");
}

#[tokio::test]
async fn an_operator_does_what_its_role_allows_and_nothing_once_it_has_none() {
    let world = World::start().await;
    let stand = world.stand().await;
    let grace = json!({ "name": "Grace", "email": "grace@vendor.example", "scopes": ["read"] });
    let grace = world
        .post("/v1/operators", grace)
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let mut reads = Browser::new(&world);
    reads.sign_in("grace@vendor.example").await;
    let path = format!("/console/partners/{}", stand.partner);
    let page = reads.get(&path).await.expect(200);
    assert!(!page.text.contains("/suspend"), "{}", page.text);
    assert!(!page.text.contains("/console/operators"), "{}", page.text);
    reads.get("/console/operators").await.expect(403);
    let csrf = hidden(&page, "/sign-out");
    let pairs: Vec<(&str, &str)> = csrf.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let suspend = format!("{path}/suspend");
    reads
        .send(Method::POST, &suspend, Some(&pairs))
        .await
        .expect(403);
    // An admin gives her another role in the console, and takes it away.
    let mut ada = Browser::new(&world);
    ada.sign_in(FIRST).await;
    let action = format!("/console/operators/{grace}");
    let page = ada.get("/console/operators").await.expect(200);
    ada.post(&action, &page, &[("scopes", "channel")])
        .await
        .expect(303);
    let page = reads.get(&path).await.expect(200);
    reads.post(&suspend, &page, &[]).await.expect(303);
    // What was shown before the change is no longer what stands.
    let page = ada.get("/console/operators").await.expect(200);
    let stale = ada.get("/console/operators").await.expect(200);
    ada.post(&action, &page, &[]).await.expect(303);
    ada.post(&action, &stale, &[("scopes", "admin")])
        .await
        .expect(412);
    assert_eq!(place(&reads.get(&path).await.expect(303)), "/sign-in");
    let refused = reads.send(
        Method::POST,
        "/sign-in",
        Some(&[("email", "grace@vendor.example")]),
    );
    refused.await.expect(200);
    let to_grace = || {
        let mails = world.instance.cloud().outbox().mails();
        mails
            .iter()
            .filter(|mail| mail.to == "grace@vendor.example")
            .count()
    };
    let before = to_grace();
    world.settle().await;
    assert_eq!(to_grace(), before);
}

#[tokio::test]
async fn nobody_locks_itself_out() {
    let world = World::start().await;
    let mut ada = Browser::new(&world);
    ada.sign_in(FIRST).await;
    let page = ada.get("/console/operators").await.expect(200);
    let own = world.get("/v1/me").await.str("operator").to_owned();
    let action = format!("/console/operators/{own}");
    let refused = ada
        .post(&action, &page, &[("scopes", "read")])
        .await
        .expect(409);
    assert!(
        refused.text.contains("lock yourself out"),
        "{}",
        refused.text
    );
    ada.get("/console/operators").await.expect(200);
}

#[tokio::test]
async fn the_first_operator_is_invited_by_the_configuration() {
    let mut settings = Settings::in_memory(Clock::manual(START.parse().unwrap()));
    settings.first_operator = "Founder@vendor.example".to_owned();
    settings.seed = Some(11);
    let instance = Instance::open(settings).await.unwrap();
    let world = World {
        instance,
        key: String::new(),
    };
    let mut founder = Browser::new(&world);
    founder.sign_in("founder@vendor.example").await;
    founder.get("/console/operators").await.expect(200);
    // A second time it is the same person.
    let mut again = Browser::new(&world);
    again.sign_in("founder@vendor.example").await;
    let page = again.get("/console/operators").await.expect(200);
    assert_eq!(
        page.text
            .matches("action=\"/console/operators/opr_")
            .count(),
        1
    );
    // Whose scopes another admin takes away is not let in by the old invitation.
    let own = hidden_action(&page, "/console/operators/opr_");
    let grace = [
        ("name", "Grace"),
        ("email", "grace@vendor.example"),
        ("scopes", "admin"),
    ];
    again
        .post("/console/operators", &page, &grace)
        .await
        .expect(303);
    let mut other = Browser::new(&world);
    other.sign_in("grace@vendor.example").await;
    let page = other.get("/console/operators").await.expect(200);
    other.post(&own, &page, &[]).await.expect(303);
    let mails = || world.instance.cloud().outbox().mails().len();
    let before = mails();
    founder
        .send(
            Method::POST,
            "/sign-in",
            Some(&[("email", "founder@vendor.example")]),
        )
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(mails(), before);
}

#[tokio::test]
async fn the_installed_operator_of_a_store_from_before_signs_in_after_the_next_start() {
    let world = World::start().await;
    let own = world.get("/v1/me").await.str("operator").to_owned();
    let stored = Update::at(Key::new(format!("OPR#{own}"), "OPERATOR"))
        .remove("scopes")
        .remove("version");
    let app = world.instance.app();
    app.main.update(stored).await.unwrap().unwrap();
    let mut ada = Browser::new(&world);
    ada.send(Method::POST, "/sign-in", Some(&[("email", FIRST)]))
        .await
        .expect(200);
    world.settle().await;
    assert_eq!(world.instance.cloud().outbox().mails().len(), 0);
    world
        .instance
        .operator_key(Some(&world.key), None)
        .await
        .unwrap();
    ada.sign_in(FIRST).await;
    ada.get("/console/operators").await.expect(200);
}

#[tokio::test]
async fn a_link_is_made_once_however_often_its_form_is_sent_and_a_refused_form_keeps_what_was_typed()
 {
    let world = World::start().await;
    let stand = world.stand().await;
    member(&world, &stand.partner, "mary@partner.example").await;
    let mut mary = Browser::new(&world);
    mary.sign_in("mary@partner.example").await;
    let page = mary.get("/portal/links").await.expect(200);
    let program = stand.program.as_str();
    let elsewhere = [
        ("program", program),
        ("destination", "http://shop.example/x"),
    ];
    let refused = mary
        .post("/portal/links", &page, &elsewhere)
        .await
        .expect(422);
    assert!(
        refused.text.contains("http://shop.example/x"),
        "{}",
        refused.text
    );
    assert!(
        refused.text.contains("aria-invalid=\"true\""),
        "{}",
        refused.text
    );
    let link = world
        .get(&format!("/v1/links?partner={}", stand.partner))
        .await;
    let before = link.items().len();
    let destination = link.items()[0]["destination"].as_str().unwrap().to_owned();
    let form = [("program", program), ("destination", destination.as_str())];
    for _ in 0..2 {
        mary.post("/portal/links", &page, &form).await.expect(303);
    }
    let links = world
        .get(&format!("/v1/links?partner={}", stand.partner))
        .await;
    assert_eq!(links.items().len(), before + 1);
}

#[tokio::test]
async fn a_page_says_what_a_browser_may_do_and_its_files_stay_as_they_are() {
    let world = World::start().await;
    let mut reader = Browser::new(&world);
    reader
        .headers
        .push(("accept-language", "de-AT,de;q=0.9,en;q=0.5".to_owned()));
    let page = reader.get("/sign-in").await.expect(200);
    assert!(page.text.contains("<html lang=\"de\""), "{}", page.text);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    for forbidden in ["<script>", " style=", "onclick", "https://"] {
        assert!(!page.text.contains(forbidden), "{forbidden}: {}", page.text);
    }
    for file in page
        .text
        .split(['"'])
        .filter(|part| part.starts_with("/assets/"))
    {
        let file = reader.get(file).await.expect(200);
        let kept = file.headers[header::CACHE_CONTROL].to_str().unwrap();
        assert!(kept.contains("immutable"), "{kept}");
    }
    reader
        .get("/assets/000000000000-style.css")
        .await
        .expect(404);
    // A language that was chosen stays, and leads nowhere but to a page here.
    let chosen = [("language", "en"), ("to", "//evil.example")];
    let to = reader
        .send(Method::POST, "/language", Some(&chosen))
        .await
        .expect(303);
    assert_eq!(place(&to), "/");
    let page = reader.get("/sign-in").await.expect(200);
    assert!(page.text.contains("<html lang=\"en\""), "{}", page.text);
}

/// How many calls of the store a page took.
fn store_calls(calls: &[Recorded]) -> usize {
    calls
        .iter()
        .filter(|call| call.service == Service::DynamoDb)
        .count()
}

#[tokio::test]
async fn a_page_reads_little() {
    let world = World::start().await;
    let stand = world.stand().await;
    member(&world, &stand.partner, "mary@partner.example").await;
    for number in 0..30 {
        world
            .sale(&stand, &format!("order-{number}"), "10.00")
            .await;
    }
    let mut mary = Browser::new(&world);
    mary.sign_in("mary@partner.example").await;
    mary.get("/portal").await.expect(200);
    let recorder = world.instance.cloud().recorder();
    for (path, most) in [
        ("/portal", 14),
        ("/portal/links", 8),
        ("/portal/conversions", 5),
    ] {
        recorder.start();
        mary.get(path).await.expect(200);
        let calls = store_calls(&recorder.stop());
        assert!(calls <= most, "{path}: {calls} calls");
    }
}

#[tokio::test]
async fn two_partners_register_one_customer_and_neither_reads_of_the_other() {
    let world = World::start().await;
    let tenth = json!([{ "kind": "percent", "event": "deal", "rate": "0.10" }]);
    let (program, ..) = world.program(30, tenth).await;
    let policy = json!({ "benefit": { "kind": "commission", "event": "deal" } });
    let path = format!("/v1/programs/{program}/deal-policy");
    world.put(&path, policy).await.expect(200);
    let (ada, ..) = world.partner_in(&program, "Ada").await;
    let (bob, ..) = world.partner_in(&program, "Bob").await;
    member(&world, &ada, "mary@partner.example").await;
    member(&world, &bob, "bob@other.example").await;
    let mut mary = Browser::new(&world);
    mary.sign_in("mary@partner.example").await;
    let page = mary.get("/portal/deals/new").await.expect(200);
    let form = |amount: &'static str| {
        [
            ("program", program.as_str()),
            ("name", "Rollout"),
            ("customer.name", "Acme GmbH"),
            ("customer.country", "DE"),
            ("customer.domain", "acme.example"),
            ("amount", amount),
        ]
    };
    let refused = mary.post("/portal/deals", &page, &form("a lot")).await;
    let refused = refused.expect(422);
    assert!(refused.text.contains("value=\"a lot\""), "{}", refused.text);
    let made = mary
        .post("/portal/deals", &refused, &form("25000.00"))
        .await;
    let own = place(&made.expect(303))
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    let page = mary.get(&own).await.expect(200);
    assert!(page.text.contains("Acme GmbH"), "{}", page.text);
    assert!(page.text.contains("GBP 25,000.00"), "{}", page.text);
    let mut other = Browser::new(&world);
    other.sign_in("bob@other.example").await;
    let page = other.get("/portal/deals/new").await.expect(200);
    let made = other.post("/portal/deals", &page, &form("30000.00")).await;
    let second = place(&made.expect(303))
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    let page = other.get(&second).await.expect(200);
    assert!(
        page.text.contains("Another deal is for the same."),
        "{}",
        page.text
    );
    for foreign in ["25,000", "Ada", &ada] {
        assert!(!page.text.contains(foreign), "{foreign}: {}", page.text);
    }
    other.get(&own).await.expect(404);
    let list = other.get("/portal/deals").await.expect(200);
    assert!(list.text.contains("rejected"), "{}", list.text);
    // The first gives it up.
    let page = mary.get(&own).await.expect(200);
    let withdraw = format!("{own}/withdraw");
    mary.post(&withdraw, &page, &[]).await.expect(303);
    let page = mary.get(&own).await.expect(200);
    assert!(page.text.contains("withdrawn"), "{}", page.text);
}

#[tokio::test]
async fn a_lead_is_offered_blind_and_read_once_it_is_accepted() {
    let desk = Desk::open(in_turn(), &[json!({}), json!({})]).await;
    let world = &desk.world;
    let lead = json!({
        "company": { "name": "Roses Ltd", "country": "GB", "domain": "roses.example" },
        "contact": { "name": "Rose Miller", "email": "rose@roses.example" },
        "employees": 120,
    });
    let brought = desk.bring(lead).await.expect(201);
    let (id, partner) = (brought.str("id"), brought.str("partner"));
    member(world, partner, "mary@partner.example").await;
    let mut mary = Browser::new(world);
    mary.sign_in("mary@partner.example").await;
    let home = mary.get("/portal").await.expect(200);
    assert!(
        home.text.contains("One lead is offered to you."),
        "{}",
        home.text
    );
    let list = mary.get("/portal/leads").await.expect(200);
    assert!(list.text.contains("data-until=\""), "{}", list.text);
    let path = format!("/portal/leads/{id}");
    let page = mary.get(&path).await.expect(200);
    for hidden in ["Roses", "rose@"] {
        assert!(!page.text.contains(hidden), "{hidden}: {}", page.text);
    }
    let accept = format!("{path}/accept");
    mary.post(&accept, &page, &[]).await.expect(303);
    let page = mary.get(&path).await.expect(200);
    assert!(page.text.contains("rose@roses.example"), "{}", page.text);
    let progress = format!("{path}/progress");
    mary.post(&progress, &page, &[("stage", "qualified")])
        .await
        .expect(303);
    let page = mary.get(&path).await.expect(200);
    assert!(page.text.contains("qualified"), "{}", page.text);
    // An offer that was not answered in time passes on, and its page says so.
    let late =
        json!({ "company": { "name": "Tulips Ltd", "country": "GB", "domain": "tulips.example" } });
    let late = desk.bring(late).await.expect(201);
    member(world, late.str("partner"), "late@partner.example").await;
    let mut slow = Browser::new(world);
    slow.sign_in("late@partner.example").await;
    let path = format!("/portal/leads/{}", late.str("id"));
    let page = slow.get(&path).await.expect(200);
    world.advance_days(5).await;
    let accept = format!("{path}/accept");
    let refused = slow.post(&accept, &page, &[]).await;
    assert_eq!(refused.status.as_u16(), 409, "{}", refused.text);
}
