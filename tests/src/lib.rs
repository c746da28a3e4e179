//! What scenarios share: a whole Tributary in this process, on a clock moved by hand.
//!
//! Requests go through the routes that `infra/app.yaml` declares, deliveries through its event sources;
//! nothing listens, nothing sleeps.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tributary::clock::{Clock, Timestamp, days_after};
use tributary::table::Item;
use tributary_local::connector::{AwsError, Call, Intercept, Verdict};
use tributary_local::instance::{Instance, Settings};

/// When every scenario begins.
pub const START: &str = "2026-03-02T09:00:00Z";

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text.
    pub text: String,
    /// Body as JSON, `null` when it is something else.
    pub body: Value,
}

impl Answer {
    /// Goes on only with that status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Goes on only with that problem: status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status.as_u16(), self.str("code")),
            (status, code),
            "{}",
            self.text
        );
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
        self
    }

    /// A text field by its name or pointer; empty when absent.
    #[must_use]
    pub fn str(&self, field: &str) -> &str {
        let found = if field.starts_with('/') {
            self.body.pointer(field)
        } else {
            self.body.get(field)
        };
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// The entries of a list.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        self.body["items"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// Says of every queue that it is empty, without looking.
struct NothingToReceive;

impl Intercept for NothingToReceive {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation != "ReceiveMessage" {
            return Verdict::Pass;
        }
        Verdict::Answer(AwsError {
            status: 200,
            body: json!({ "Messages": [] }),
            query_error: None,
        })
    }
}

/// A whole Tributary in memory.
#[derive(Clone)]
pub struct World {
    /// The instance.
    pub instance: Instance,
    /// The key of an operator with every scope.
    pub key: String,
}

/// A program with one plan, one partner that is enrolled, its link and its coupon.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Program id.
    pub program: String,
    /// Its postback token.
    pub token: String,
    /// Its signing secret.
    pub signing_secret: String,
    /// Partner id.
    pub partner: String,
    /// Link code.
    pub link: String,
    /// Coupon code.
    pub coupon: String,
}

impl World {
    /// A world that begins at [`START`].
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// A world whose calls to the cloud pass through `interceptor`.
    pub async fn start_with(interceptor: Option<Arc<dyn Intercept>>) -> Self {
        Self::start_seeded(7, interceptor).await
    }

    /// The same, of which everything is a function of a seed.
    pub async fn start_seeded(seed: u64, interceptor: Option<Arc<dyn Intercept>>) -> Self {
        let mut settings = Settings::in_memory(Clock::manual(START.parse().unwrap()));
        settings.seed = Some(seed);
        settings.interceptor = interceptor;
        let instance = Instance::open(settings).await.unwrap();
        let key = instance.operator_key(None, None).await.unwrap().text;
        Self { instance, key }
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.instance.app().now()
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.instance.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
            body,
        }
    }

    /// Sends a request with a key and further headers. A body that is a text is a file, sent as it is.
    pub async fn ask(
        &self,
        key: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(Value::String(file)) => {
                request = request.header(header::CONTENT_TYPE, "text/plain");
                Body::from(file.clone())
            }
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// GET as the operator.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&self.key, Method::GET, path, &[], None).await
    }

    /// POST as the operator.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(&self.key, Method::POST, path, &[], Some(&body))
            .await
    }

    /// PUT as the operator.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(&self.key, Method::PUT, path, &[], Some(&body))
            .await
    }

    /// PATCH as the operator, on the version that is read first.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let tag = self.get(path).await.expect(200).headers[header::ETAG]
            .to_str()
            .unwrap()
            .to_owned();
        self.ask(
            &self.key,
            Method::PATCH,
            path,
            &[("if-match", &tag)],
            Some(&body),
        )
        .await
    }

    /// PUT as the operator in place of what stands there, on the version that is read first.
    pub async fn replace(&self, path: &str, body: Value) -> Answer {
        let tag = self.get(path).await.expect(200).headers[header::ETAG]
            .to_str()
            .unwrap()
            .to_owned();
        let based_on = [("if-match", tag.as_str())];
        self.ask(&self.key, Method::PUT, path, &based_on, Some(&body))
            .await
    }

    /// DELETE as the operator.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(&self.key, Method::DELETE, path, &[], None).await
    }

    /// Delivers everything until nothing moves.
    pub async fn settle(&self) {
        self.instance.settle().await.unwrap();
    }

    /// Lets days pass, then runs clockwork and delivers everything.
    pub async fn advance_days(&self, days: u32) {
        self.advance_to(days_after(self.now(), days)).await;
    }

    /// Moves the clock, then runs clockwork and delivers everything.
    pub async fn advance_to(&self, to: Timestamp) {
        self.instance.app().clock.set(to);
        self.instance.cloud().clock_moved();
        self.clockwork().await;
        self.settle().await;
    }

    /// Delivers the streams alone: the queues fill, and nobody takes anything from them.
    pub async fn fill_queues(&self) {
        let cloud = self.instance.cloud();
        cloud.set_interceptor(Some(Arc::new(NothingToReceive)));
        self.settle().await;
        cloud.set_interceptor(None);
    }

    /// How many messages wait in all queues together, without those that tell people what happened.
    #[must_use]
    pub fn waiting_messages(&self) -> usize {
        let queues = self.instance.cloud().queues();
        let count = |name: &String| queues.peek(name, usize::MAX).unwrap().len();
        let names = queues.names();
        let of_money = names.iter().filter(|name| !name.contains("-channel"));
        of_money.map(count).sum()
    }

    /// Loses all messages and all stream records, delivered or not.
    pub async fn lose_transport(&self) {
        let cloud = self.instance.cloud();
        let sqs = cloud.sqs();
        for name in cloud.queues().names() {
            let url = sqs.get_queue_url().queue_name(&name).send().await.unwrap();
            let url = url.queue_url.unwrap();
            sqs.purge_queue().queue_url(url).send().await.unwrap();
        }
        cloud.trim_all_streams().unwrap();
        assert_eq!(self.waiting_messages(), 0);
    }

    /// Everything that stands in a table, `main` or `clicks`. No product code may do that.
    pub async fn scan(&self, table: &str) -> Vec<Item> {
        let config = &self.instance.app().config;
        let table = match table {
            "main" => &config.main_table,
            "clicks" => &config.clicks_table,
            other => panic!("there is no table {other}"),
        };
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let scan = self.instance.cloud().dynamodb().scan().table_name(table);
            let page = scan.set_exclusive_start_key(from).send().await.unwrap();
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key;
            if from.is_none() {
                return items;
            }
        }
    }

    /// Runs clockwork as of now.
    pub async fn clockwork(&self) -> Value {
        self.instance.run_clockwork(self.now()).await.unwrap()
    }

    /// A program in pounds, last click, window 30 days, with the plan `standard` of these components.
    pub async fn program(&self, hold_days: u32, components: Value) -> (String, String, String) {
        let body = json!({
            "name": "Spring", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 },
        });
        let program = self.post("/v1/programs", body).await.expect(201);
        let id = program.str("id").to_owned();
        let plan = json!({
            "code": "standard", "hold_days": hold_days, "effective_from": "2000-01-01T00:00:00Z", "components": components,
        });
        let _ = self
            .post(&format!("/v1/programs/{id}/plans"), plan)
            .await
            .expect(201);
        (
            id,
            program.str("postback_token").to_owned(),
            program.str("signing_secret").to_owned(),
        )
    }

    /// A partner that is enrolled under `standard`, with a PayPal wallet, a link and a coupon.
    pub async fn partner_in(&self, program: &str, name: &str) -> (String, String, String) {
        let body = json!({ "name": name, "email": format!("{}@example.com", name.to_lowercase()), "country": "GB", "kind": "affiliate" });
        let id = self
            .post("/v1/partners", body)
            .await
            .expect(201)
            .str("id")
            .to_owned();
        let enrolment = json!({ "program": program, "plan": "standard" });
        let _ = self
            .post(&format!("/v1/partners/{id}/enrolments"), enrolment)
            .await
            .expect(201);
        let method = json!({ "kind": "paypal", "wallet": format!("{}@wallet.example", name.to_lowercase()) });
        let put = self
            .put(&format!("/v1/partners/{id}/payout-method"), method)
            .await;
        assert!(put.status.is_success(), "{}", put.text);
        let link = json!({ "program": program, "partner": id, "destination": "https://shop.example/roses?colour=red#top" });
        let link = self
            .post("/v1/links", link)
            .await
            .expect(201)
            .str("code")
            .to_owned();
        let coupon = json!({ "program": program, "partner": id, "code": name.to_uppercase() });
        let _ = self.post("/v1/coupons", coupon).await.expect(201);
        (id, link, name.to_uppercase())
    }

    /// A program that pays 30 % of a sale after 30 days, with the partner Ada.
    pub async fn stand(&self) -> Stand {
        self.stand_with(
            30,
            json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]),
        )
        .await
    }

    /// A program of these terms, with the partner Ada.
    pub async fn stand_with(&self, hold_days: u32, components: Value) -> Stand {
        let (program, token, signing_secret) = self.program(hold_days, components).await;
        let (partner, link, coupon) = self.partner_in(&program, "Ada").await;
        Stand {
            program,
            token,
            signing_secret,
            partner,
            link,
            coupon,
        }
    }

    /// Visits a link and returns the click id that the shop gets.
    pub async fn click(&self, code: &str) -> String {
        let answer = self
            .ask(
                "",
                Method::GET,
                &format!("/c/{code}"),
                &[("user-agent", "Mozilla/5.0")],
                None,
            )
            .await
            .expect(302);
        let location = answer.headers[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned();
        tributary_local::tour::click_id_of(&location)
            .unwrap_or_else(|| panic!("no click id in {location}"))
    }

    /// Posts a conversion with the program's token.
    pub async fn postback(&self, stand: &Stand, body: Value) -> Answer {
        let path = format!("/v1/postbacks/{}", stand.program);
        self.ask(
            "",
            Method::POST,
            &path,
            &[("x-postback-token", &stand.token)],
            Some(&body),
        )
        .await
    }

    /// Posts a sale by coupon and returns the conversion's id.
    pub async fn sale(&self, stand: &Stand, transaction: &str, amount: &str) -> String {
        let body = json!({ "transaction_id": transaction, "coupon": stand.coupon, "amount": amount, "currency": "GBP" });
        self.postback(stand, body)
            .await
            .expect(201)
            .str("conversion")
            .to_owned()
    }

    /// A conversion's state.
    pub async fn state(&self, conversion: &str) -> String {
        self.get(&format!("/v1/conversions/{conversion}"))
            .await
            .expect(200)
            .str("state")
            .to_owned()
    }

    /// A partner's balances in pounds: pending, payable, in transit, paid.
    pub async fn balances(&self, partner: &str) -> [String; 4] {
        let answer = self
            .get(&format!("/v1/partners/{partner}/balances"))
            .await
            .expect(200);
        ["pending", "payable", "in_transit", "paid"]
            .map(|field| answer.str(&format!("/items/0/{field}")).to_owned())
    }

    /// Makes a PayPal batch of all that is payable now, and returns its id. A second passes first: of one
    /// cutoff there is one batch.
    pub async fn batch(&self, program: &str, minimum: Option<&str>) -> String {
        let next = self.now() + jiff::SignedDuration::from_secs(1);
        self.instance.app().clock.set(next);
        let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
        let funded = self.get("/v1/funding-accounts/main").await;
        if funded.status == StatusCode::NOT_FOUND {
            let put = self.put("/v1/funding-accounts/main", account).await;
            assert!(put.status.is_success(), "{}", put.text);
        }
        let mut body = json!({
            "program": program, "currency": "GBP", "cutoff": self.now().to_string(), "funding_account": "main",
        });
        if let Some(minimum) = minimum {
            body["minimum"] = json!(minimum);
        }
        let batch = self
            .post("/v1/payouts/batches", body)
            .await
            .expect(202)
            .str("id")
            .to_owned();
        self.settle().await;
        batch
    }
}
