//! Every function's calls lie within its own role: each route is asked once, each trigger fired, and what
//! they call is judged by the statements of infra/app.yaml, as IAM would judge it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};
use tributary_local::capacity::Recorded;
use tributary_local::connector::Service;
use tributary_tests::{Answer, World};
use yaml_serde::Value as Yaml;

use crate::matrix::{Line, Matrix};

/// One statement of a role.
#[derive(Debug)]
struct Statement {
    actions: Vec<String>,
    resources: Vec<String>,
    leading: Option<Vec<String>>,
}

/// The statements of each function's role, by the function's package.
fn roles() -> BTreeMap<String, Vec<Statement>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/app.yaml");
    let template: Yaml = yaml_serde::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let resources = template["Resources"].as_mapping().unwrap();
    let mut roles = BTreeMap::new();
    for (_, resource) in resources {
        if resource["Type"].as_str() != Some("AWS::Serverless::Function") {
            continue;
        }
        let code = resource["Properties"]["CodeUri"].as_str().unwrap();
        let package = code
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let role = plain(&resource["Properties"]["Role"]);
        let role = role.trim_end_matches(".Arn");
        let policies = resources[role]["Properties"]["Policies"]
            .as_sequence()
            .unwrap();
        let statements = policies
            .iter()
            .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_sequence().unwrap())
            .map(|statement| Statement {
                actions: list(&statement["Action"]),
                resources: list(&statement["Resource"]),
                leading: statement.get("Condition").map(|condition| {
                    list(&condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
                }),
            })
            .collect();
        roles.insert(package, statements);
    }
    roles
}

fn plain(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => text.clone(),
        Yaml::Tagged(tagged) => plain(&tagged.value),
        other => panic!("{other:?} is no text"),
    }
}

fn list(value: &Yaml) -> Vec<String> {
    match value {
        Yaml::Sequence(entries) => entries.iter().map(plain).collect(),
        one => vec![plain(one)],
    }
}

/// What a call touches: the action, what the statement's resource must hold, and the partition.
fn touched(call: &Recorded) -> Vec<(String, &'static str, String)> {
    let request = &call.request;
    let table = |name: &Value| match name.as_str().unwrap() {
        name if name.ends_with("clicks") => "ClicksTableArn",
        _ => "MainTableArn",
    };
    let key = |key: &Value| key["pk"]["S"].as_str().unwrap().to_owned();
    let action = |name: &str| format!("dynamodb:{name}");
    match (call.service, call.operation.as_str()) {
        (Service::Sqs, "SendMessageBatch") => {
            let queue = request["QueueUrl"].as_str().unwrap();
            let queue = match queue.rsplit('-').next() {
                Some("commissions") => "CommissionsQueueArn",
                Some("channel") => "ChannelQueueArn",
                _ => "PayoutsQueueArn",
            };
            vec![("sqs:SendMessage".to_owned(), queue, String::new())]
        }
        (Service::Ses, "SendEmail") => vec![(
            "ses:SendEmail".to_owned(),
            "/${MailIdentity}",
            String::new(),
        )],
        (Service::DynamoDb, "GetItem" | "UpdateItem" | "DeleteItem") => {
            vec![(
                action(&call.operation),
                table(&request["TableName"]),
                key(&request["Key"]),
            )]
        }
        (Service::DynamoDb, "PutItem") => {
            vec![(
                action("PutItem"),
                table(&request["TableName"]),
                key(&request["Item"]),
            )]
        }
        (Service::DynamoDb, "Query") => {
            let resource = match request["IndexName"].as_str() {
                Some("list") => "/index/list",
                Some("due") => "/index/due",
                _ => table(&request["TableName"]),
            };
            vec![(
                action("Query"),
                resource,
                request["ExpressionAttributeValues"][":p"]["S"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            )]
        }
        (Service::DynamoDb, "BatchGetItem") => request["RequestItems"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(name, asked)| {
                let resource = table(&json!(name));
                let keys = asked["Keys"].as_array().unwrap();
                keys.iter()
                    .map(move |wanted| (action("BatchGetItem"), resource, key(wanted)))
            })
            .collect(),
        (Service::DynamoDb, "TransactWriteItems") => request["TransactItems"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|item| item.as_object().unwrap())
            .map(|(kind, detail)| {
                let name = match kind.as_str() {
                    "Put" => "PutItem",
                    "Update" => "UpdateItem",
                    "ConditionCheck" => "ConditionCheckItem",
                    other => panic!("a {other} in a transaction"),
                };
                let item = if kind == "Put" {
                    &detail["Item"]
                } else {
                    &detail["Key"]
                };
                (action(name), table(&detail["TableName"]), key(item))
            })
            .collect(),
        (service, operation) => panic!("{operation} of {service:?} is in no role"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What of a role allowed something: an action of a statement, or a pattern of its keys.
type Grants = BTreeSet<(usize, String)>;

/// Notes what of the role a call needed.
fn note(
    statements: &[Statement],
    (action, resource, leading): &(String, &'static str, String),
    grants: &mut Grants,
) {
    for (number, statement) in statements.iter().enumerate() {
        if !allowed(std::slice::from_ref(statement), action, resource, leading) {
            continue;
        }
        grants.insert((number, action.clone()));
        for pattern in statement.leading.iter().flatten() {
            if matches(pattern, leading) {
                grants.insert((number, pattern.clone()));
            }
        }
    }
}

fn allowed(statements: &[Statement], action: &str, resource: &str, leading: &str) -> bool {
    statements.iter().any(|statement| {
        let named = statement.resources.iter().any(|named| {
            if resource.starts_with('/') {
                named.ends_with(resource)
            } else {
                named.trim_matches(|c| "${}".contains(c)) == resource
            }
        });
        named
            && statement.actions.iter().any(|allowed| allowed == action)
            && statement
                .leading
                .as_ref()
                .is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, leading)))
    })
}

/// Asks routes and fires triggers, and judges what their functions call.
pub(crate) struct Court {
    world: World,
    /// In whose turn each route is asked as everybody.
    matrix: Option<Matrix>,
    /// The key of a partner that is in no program: each route is asked with it too.
    stranger: Option<String>,
    roles: BTreeMap<String, Vec<Statement>>,
    routes: BTreeMap<String, String>,
    asked: std::sync::Mutex<BTreeSet<String>>,
    judged: std::sync::Mutex<BTreeMap<String, Grants>>,
}

impl Court {
    pub(crate) fn with_matrix(world: World, matrix: Matrix) -> Self {
        let matrix = Some(matrix);
        Self {
            matrix,
            ..Self::of(world)
        }
    }

    pub(crate) fn matrix(&self) -> Option<&Matrix> {
        self.matrix.as_ref()
    }

    fn of(world: World) -> Self {
        let template = world.instance.cloud().app_template();
        let packages: BTreeMap<String, String> = template
            .functions()
            .unwrap()
            .into_iter()
            .map(|function| (function.logical, function.package))
            .collect();
        let routes = template
            .routes()
            .unwrap()
            .into_iter()
            .map(|route| {
                (
                    format!("{} {}", route.method, route.path),
                    packages[&route.function].clone(),
                )
            })
            .collect();
        Self {
            matrix: None,
            stranger: None,
            roles: roles(),
            routes,
            asked: std::sync::Mutex::default(),
            judged: std::sync::Mutex::default(),
            world,
        }
    }

    fn judge(&self, package: &str, calls: &[Recorded]) {
        let statements = &self.roles[package];
        for call in calls {
            for touch in touched(call) {
                let (action, resource, leading) = &touch;
                assert!(
                    allowed(statements, action, resource, leading),
                    "{package} may not {action} on {resource} {leading}"
                );
                let mut judged = self.judged.lock().unwrap();
                note(
                    statements,
                    &touch,
                    judged.entry(package.to_owned()).or_default(),
                );
            }
        }
    }

    /// Asks the route `METHOD /template`, with `ids` in place of its braces and `query` behind it.
    async fn ask(&self, route: &str, ids: &[&str], query: &str, body: Option<Value>) -> Answer {
        let admin = &self.world.key;
        let key = self.matrix.as_ref().map(|matrix| matrix.key(route, admin));
        Box::pin(self.ask_as(key.unwrap_or(admin), route, ids, query, body)).await
    }

    /// The same with the key of somebody else.
    async fn ask_as(
        &self,
        key_text: &str,
        route: &str,
        ids: &[&str],
        query: &str,
        body: Option<Value>,
    ) -> Answer {
        // Nothing that another function has cached hides a read.
        let to = self.world.now() + jiff::SignedDuration::from_secs(31);
        self.world.instance.app().clock.set(to);
        let package = self.routes.get(route).unwrap_or_else(|| panic!("{route}"));
        let (method, template) = route.split_once(' ').unwrap();
        let mut path = String::new();
        let mut ids = ids.iter();
        for part in template.split('{') {
            match part.split_once('}') {
                Some((_, rest)) => path.push_str(&format!("{}{rest}", ids.next().unwrap())),
                None => path.push_str(part),
            }
        }
        path.push_str(query);
        let method: Method = method.parse().unwrap();
        let key = format!("roles-{}", self.world.now().as_second());
        let mut headers = vec![
            ("idempotency-key", key.as_str()),
            ("user-agent", "Mozilla/5.0"),
        ];
        let tag;
        let of_a_record = ["/v1/deals/", "/v1/leads/"]
            .iter()
            .any(|noun| path.starts_with(noun))
            && method != Method::GET;
        if matches!(method, Method::PATCH | Method::PUT)
            || path.ends_with("/decision")
            || of_a_record
        {
            let record = if of_a_record {
                path.split('/').take(4).collect::<Vec<_>>().join("/")
            } else {
                path.trim_end_matches("/decision").to_owned()
            };
            let found = self.world.get(&record).await;
            if let Some(found) = found.headers.get("etag") {
                tag = found.to_str().unwrap().to_owned();
                headers.push(("if-match", &tag));
            }
            let to = self.world.now() + jiff::SignedDuration::from_secs(31);
            self.world.instance.app().clock.set(to);
        }
        let line = Line {
            route,
            method: method.clone(),
            path: &path,
            headers: &headers,
            body: body.as_ref(),
        };
        if let Some(matrix) = &self.matrix {
            matrix.refused(&self.world, &line).await;
        }
        // Forms are open to everybody: who asks makes no difference there.
        let has_forms = matches!(package.as_str(), "applications" | "leads");
        if let Some(stranger) = &self.stranger
            && (method == Method::GET || !has_forms)
            && !self.asked.lock().unwrap().contains(route)
        {
            let recorder = self.world.instance.cloud().recorder();
            recorder.start();
            let answer = Box::pin(line.ask(&self.world, stranger)).await;
            let calls = recorder.stop();
            assert!(answer.status.as_u16() < 500, "{route}: {}", answer.text);
            self.judge(package, &calls);
            // Whoever asks next reads it all again.
            let to = self.world.now() + jiff::SignedDuration::from_secs(31);
            self.world.instance.app().clock.set(to);
        }
        let recorder = self.world.instance.cloud().recorder();
        recorder.start();
        let answer = self
            .world
            .ask(key_text, method, &path, &headers, body.as_ref())
            .await;
        let calls = recorder.stop();
        assert!(answer.status.as_u16() < 400, "{route}: {}", answer.text);
        self.judge(package, &calls);
        if let Some(matrix) = &self.matrix {
            matrix.allowed(&self.world, &line, key_text, &answer).await;
        }
        self.asked.lock().unwrap().insert(route.to_owned());
        answer
    }

    /// Delivers everything, one function at a time: what the event sources themselves call is Lambda's.
    async fn deliver(&self) {
        // Nothing that another function has cached hides a read.
        let to = self.world.now() + jiff::SignedDuration::from_secs(31);
        self.world.instance.app().clock.set(to);
        let recorder = self.world.instance.cloud().recorder();
        recorder.start();
        self.world.settle().await;
        let calls = recorder.stop();
        // In order: what happens after a batch was received from a queue is its function's.
        let mut package = "relay";
        let mut of: BTreeMap<&str, Vec<Recorded>> = BTreeMap::new();
        for call in calls {
            match (call.service, call.operation.as_str()) {
                (Service::Streams, _) => package = "relay",
                (Service::Sqs, "ReceiveMessage") => {
                    let queue = call.request["QueueUrl"].as_str().unwrap();
                    package = match queue.rsplit('-').next() {
                        Some("commissions") => "commission",
                        Some("channel") => "channel-run",
                        _ => "payout-run",
                    };
                }
                (Service::Sqs, "DeleteMessageBatch" | "GetQueueUrl") => {}
                _ => of.entry(package).or_default().push(call),
            }
        }
        for (package, calls) in of {
            self.judge(package, &calls);
        }
    }

    /// Asks the portal for what is behind a path, or sends it a form, and judges what it calls.
    async fn visit(&self, cookies: &str, path: &str, form: Option<String>) -> Answer {
        let to = self.world.now() + jiff::SignedDuration::from_secs(31);
        self.world.instance.app().clock.set(to);
        let method = if form.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, cookies)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.unwrap_or_default()))
            .unwrap();
        let recorder = self.world.instance.cloud().recorder();
        recorder.start();
        let answer = self.world.send(request).await;
        let calls = recorder.stop();
        assert!(answer.status.as_u16() < 400, "{path}: {}", answer.text);
        self.judge("portal", &calls);
        answer
    }

    /// Signs an operator in, walks through the console, and out.
    async fn browse(&self, email: &str) {
        let asked = self
            .visit("", "/sign-in", Some(format!("email={email}")))
            .await;
        let cookie = |answer: &Answer| {
            let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
            set.split(';').next().unwrap().to_owned()
        };
        let browser = cookie(&asked);
        self.deliver().await;
        let mails = self.world.instance.cloud().outbox().mails();
        let mail = mails.iter().rev().find(|mail| mail.to == email).unwrap();
        let (_, token) = mail.text.split_once("link?token=").unwrap();
        let token = token.split_whitespace().next().unwrap();
        let opened = format!("/sign-in/link?token={token}");
        let _ = self.visit(&browser, &opened, None).await;
        let form = Some(format!("token={token}"));
        let session = cookie(&self.visit(&browser, "/sign-in/link", form).await);
        let mut shown = String::new();
        for path in ["/", "/console", "/console/partners", "/sessions"] {
            shown = self.visit(&session, path, None).await.text;
        }
        let (_, csrf) = shown.split_once("name=\"csrf\" value=\"").unwrap();
        let csrf = csrf.split('"').next().unwrap();
        let form = Some(format!("csrf={csrf}"));
        let _ = self.visit(&session, "/sign-out", form).await;
    }

    async fn days_pass(&self, days: u32) {
        let to = tributary::clock::days_after(self.world.now(), days);
        self.world.instance.app().clock.set(to);
        self.world.instance.cloud().clock_moved();
        let recorder = self.world.instance.cloud().recorder();
        recorder.start();
        self.world.clockwork().await;
        let calls = recorder.stop();
        self.judge("clockwork", &calls);
        self.deliver().await;
    }
}

/// The key of another operator who makes batches.
async fn maker(world: &World) -> String {
    let operator = json!({ "name": "Mae", "email": "mae@vendor.example" });
    let operator = world.post("/v1/operators", operator).await.expect(201);
    let path = format!("/v1/operators/{}/keys", operator.str("id"));
    let key = world.post(&path, json!({ "scopes": ["finance"] })).await;
    key.expect(201).str("key").to_owned()
}

/// Leads by rules, by list and by form: accepted, declined, worked, won, lost, sent elsewhere, passed on by time.
async fn leads(court: &Court, program: &str, partner: &str) {
    let world = &court.world;
    let keys = format!("/v1/partners/{partner}/keys");
    let key = world.post(&keys, json!({})).await.expect(201);
    let key = key.str("key");
    let (bob, ..) = world.partner_in(program, "Bob").await;
    for one in [partner, &bob] {
        let path = format!("/v1/partners/{one}/profiles/{program}");
        if world.get(&path).await.status == 404 {
            let said = world.put(&path, json!({})).await;
            assert!(said.status.is_success(), "{}", said.text);
        }
    }
    let rules = json!([
        { "code": "hers", "when": { "countries": ["GB"] }, "strategy": { "kind": "fixed", "partner": partner } },
        { "code": "turns", "strategy": { "kind": "round_robin" } },
    ]);
    let routing = json!({ "rules": rules, "idle_days": 2, "form": { "work_bits": 8 } });
    let route = "PUT /v1/programs/{id}/routing";
    let _ = court.ask(route, &[program], "", Some(routing)).await;
    let route = "GET /v1/programs/{id}/routing";
    let _ = court.ask(route, &[program], "", None).await;
    let lead = |name: &str, country: &str| {
        json!({
            "company": { "name": name, "country": country, "domain": format!("{name}.example") },
            "contact": { "email": format!("a@{name}.example") },
        })
    };
    let brought = async |name: &str, country: &str| {
        let route = "POST /v1/programs/{id}/leads";
        let body = Some(lead(name, country));
        let brought = court.ask(route, &[program], "", body).await;
        brought.str("id").to_owned()
    };
    let theirs = async |what: &str, id: &str, body: Option<Value>| {
        let route = format!("POST /v1/leads/{{id}}/{what}");
        court.ask_as(key, &route, &[id], "", body).await
    };
    let ours = async |what: &str, id: &str, body: Value| {
        let route = format!("POST /v1/leads/{{id}}/{what}");
        court.ask(&route, &[id], "", Some(body)).await
    };
    let lost = brought("lost-works", "GB").await;
    let _ = court
        .ask_as(key, "GET /v1/leads/{id}", &[&lost], "", None)
        .await;
    let _ = court.ask_as(key, "GET /v1/leads", &[], "", None).await;
    let all = format!("?program={program}");
    let _ = court.ask("GET /v1/leads", &[], &all, None).await;
    let queue = format!("{all}&stage=vendor_queue");
    let _ = court.ask("GET /v1/leads", &[], &queue, None).await;
    let why = "GET /v1/leads/{id}/assignments";
    let _ = court.ask(why, &[&lost], "", None).await;
    let _ = theirs("accept", &lost, None).await;
    let stage = json!({ "stage": "working" });
    let _ = theirs("progress", &lost, Some(stage)).await;
    let reason = json!({ "reason": "other" });
    let _ = theirs("lost", &lost, Some(reason.clone())).await;
    let closed = brought("closed-works", "GB").await;
    let _ = ours("lost", &closed, reason.clone()).await;
    let won = brought("won-works", "GB").await;
    let _ = theirs("accept", &won, None).await;
    let _ = ours("won", &won, json!({ "amount": "10.00" })).await;
    let declined = brought("declined-works", "GB").await;
    let _ = theirs("decline", &declined, Some(reason)).await;
    let to = json!({ "to": "routing" });
    let _ = ours("reassign", &declined, to).await;
    let erase = "DELETE /v1/leads/{id}/contact";
    let _ = court.ask(erase, &[&declined], "", None).await;
    let batch = json!({ "leads": [lead("listed-works", "FR")] });
    let route = "POST /v1/programs/{id}/leads:batch";
    let _ = court.ask(route, &[program], "", Some(batch)).await;
    let route = "GET /v1/programs/{id}/leads:challenge";
    let challenge = court.ask(route, &[program], "", None).await;
    let challenge = challenge.str("challenge");
    let nonce = (0..)
        .map(|nonce: u32| nonce.to_string())
        .find(|nonce| tributary::leads::form::work(challenge, nonce) >= 8);
    let mut form = lead("form-works", "FR");
    (form["challenge"], form["nonce"]) = (json!(challenge), json!(nonce));
    let route = "POST /v1/programs/{id}/leads:form";
    let _ = court.ask(route, &[program], "", Some(form)).await;
    for route in [
        "GET /v1/programs/{id}/leads:feed",
        "GET /v1/programs/{id}/leads:export",
    ] {
        let _ = court.ask(route, &[program], "", None).await;
    }
    let rules = json!({ "rules": rules });
    let route = "POST /v1/programs/{id}/routing:simulate";
    let _ = court.ask(route, &[program], "", Some(rules)).await;
    let idle = brought("idle-works", "GB").await;
    let _ = theirs("accept", &idle, None).await;
    let _ = brought("late-works", "GB").await;
    court.days_pass(3).await;
    let idle = world.get(&format!("/v1/leads/{idle}")).await;
    assert_eq!(idle.str("/offers/0/ended"), "reclaimed");
}

/// A channel with a profile; an account and a referral, found, asked about and ended.
async fn owners(court: &Court, program: &str, partner: &str, click: &str) {
    let keys = format!("/v1/partners/{partner}/keys");
    let key = court.world.post(&keys, json!({})).await.expect(201);
    let key = key.str("key");
    let channel = json!({ "product_lines": ["crm"], "tiers": ["gold"] });
    let _ = court
        .ask(
            "PUT /v1/programs/{id}/channel",
            &[program],
            "",
            Some(channel),
        )
        .await;
    let _ = court
        .ask("GET /v1/programs/{id}/channel", &[program], "", None)
        .await;
    let ids = [partner, program];
    let profile = json!({ "tier": "gold" });
    let _ = court
        .ask(
            "PUT /v1/partners/{id}/profiles/{program}",
            &ids,
            "",
            Some(profile),
        )
        .await;
    let _ = court
        .ask("GET /v1/partners/{id}/profiles/{program}", &ids, "", None)
        .await;
    let _ = court
        .ask("GET /v1/partners/{id}/profiles", &[partner], "", None)
        .await;
    let customer = json!({ "name": "Acme GmbH", "country": "DE", "domain": "acme-works.de" });
    let account = json!({ "customer": customer, "opportunity": "006B" });
    let declared = court
        .ask(
            "POST /v1/programs/{id}/accounts",
            &[program],
            "",
            Some(account.clone()),
        )
        .await;
    // The second says the same again, of a customer that is known.
    let _ = court
        .ask(
            "POST /v1/programs/{id}/accounts",
            &[program],
            "",
            Some(account),
        )
        .await;
    let refer = "POST /v1/programs/{id}/referrals";
    let referral = json!({ "customer": customer });
    let referred = court
        .ask_as(key, refer, &[program], "", Some(referral))
        .await;
    let named = json!({ "customer": { "domain": "zenith-works.de" }, "partner": partner });
    let _ = court.ask(refer, &[program], "", Some(named)).await;
    for (route, query) in [
        (
            "GET /v1/programs/{id}/referrals",
            format!("?partner={partner}"),
        ),
        ("GET /v1/programs/{id}/claims", String::new()),
    ] {
        let _ = court.ask(route, &[program], &query, None).await;
    }
    let question =
        json!({ "customer": customer, "coupon": "NONE", "click_id": click, "reference": "c-1" });
    let _ = court
        .ask(
            "POST /v1/programs/{id}/claims:resolve",
            &[program],
            "",
            Some(question),
        )
        .await;
    let find = "GET /v1/claims/{id}";
    let _ = court
        .ask_as(key, find, &[referred.str("id")], "", None)
        .await;
    let _ = court.ask(find, &[declared.str("id")], "", None).await;
    let end = "POST /v1/claims/{id}/end";
    let _ = court
        .ask_as(key, end, &[referred.str("id")], "", None)
        .await;
    let _ = court.ask(end, &[declared.str("id")], "", None).await;
}

/// Files of each kind, one of them in parts, and one that is stopped.
async fn imports(court: &Court, program: &str) {
    for (kind, file) in [
        (
            "accounts",
            "name,country,domain\nAcme,GB,acme-imports.com\nAgain,GB,acme-imports.com\nNo,UK,\n",
        ),
        (
            "leads",
            "company,country,domain\nRose,GB,rose-imports.com\nTulip,DE,tulip-imports.com\n",
        ),
        ("invitations", "email\nada@mill-imports.com\n"),
    ] {
        let query = format!("?program={program}&kind={kind}");
        let route = "POST /v1/imports";
        let begun = court.ask(route, &[], &query, Some(json!(file))).await;
        court.deliver().await;
        let id = begun.str("id");
        let done = court.ask("GET /v1/imports/{id}", &[id], "", None).await;
        assert_eq!(done.str("state"), "done", "{}", done.text);
        let route = "GET /v1/imports/{id}/report";
        let _ = court.ask(route, &[id], "?format=csv", None).await;
    }
    let new = json!({ "program": program, "kind": "accounts" });
    for ending in ["start", "cancel"] {
        let route = "POST /v1/imports";
        let begun = court.ask(route, &[], "", Some(new.clone())).await;
        let id = begun.str("id");
        let route = "PUT /v1/imports/{id}/parts/{number}";
        let part = json!("domain\nparts-imports.com\n");
        let _ = court.ask(route, &[id, "1"], "", Some(part)).await;
        let route = format!("POST /v1/imports/{{id}}/{ending}");
        let _ = court.ask(&route, &[id], "", None).await;
    }
    // Its message is lost: it is found and goes on.
    court.world.lose_transport().await;
    court.days_pass(1).await;
    let listed = format!("?program={program}");
    let listed = court.ask("GET /v1/imports", &[], &listed, None).await;
    let states: Vec<&str> = listed
        .items()
        .iter()
        .map(|item| item["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["cancelled", "done", "done", "done", "done"]);
}

/// One dispute withdrawn, one upheld by a conversion, one by an amendment of `conversion`.
async fn disputes(court: &Court, program: &str, partner: &str, conversion: &str) {
    let keys = format!("/v1/partners/{partner}/keys");
    let key = court.world.post(&keys, json!({})).await.expect(201);
    let key = key.str("key");
    let about = |about: Value| {
        let mut body = json!({
            "program": program, "kind": "missing", "occurred_at": tributary_tests::START,
            "evidence": { "text": "Here is the receipt." },
        });
        for (name, value) in about.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (subject, decision) in [
        (json!({ "transaction_id": "d-1" }), None),
        (
            json!({ "transaction_id": "d-2" }),
            Some(json!({ "conversion": { "amount": "5.00", "currency": "GBP" } })),
        ),
        (
            json!({ "conversion": conversion }),
            Some(json!({ "amendment": { "amount": "11.00", "currency": "GBP" } })),
        ),
        (
            json!({ "transaction_id": "d-3" }),
            Some(json!({ "adjustment": { "amount": "1.00", "currency": "GBP" } })),
        ),
    ] {
        let raised = court
            .ask_as(key, "POST /v1/disputes", &[], "", Some(about(subject)))
            .await;
        let id = raised.str("id");
        let _ = court
            .ask_as(key, "GET /v1/disputes/{id}", &[id], "", None)
            .await;
        let Some(mut decision) = decision else {
            let route = "POST /v1/disputes/{id}/withdraw";
            let _ = court.ask_as(key, route, &[id], "", None).await;
            continue;
        };
        decision["outcome"] = json!("upheld");
        decision["reason"] = json!("evidence_accepted");
        let open = format!("?program={program}&state=open");
        let _ = court.ask("GET /v1/disputes", &[], &open, None).await;
        let route = "POST /v1/disputes/{id}/decision";
        let _ = court.ask(route, &[id], "", Some(decision)).await;
    }
    let _ = court.ask_as(key, "GET /v1/disputes", &[], "", None).await;
}

/// One account of two: a place below somebody, a link, a coupon, a deal, a lead and money change hands.
async fn merges(court: &Court) {
    let world = &court.world;
    let (program, token, _) = world
        .program(
            0,
            json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]),
        )
        .await;
    let (una, ..) = world.partner_in(&program, "Una").await;
    let (ann, _, coupon) = world.partner_in(&program, "Ann").await;
    let below = json!({ "program": program, "upline": una });
    let path = format!("/v1/partners/{ann}/enrolments");
    let placed = world.post(&path, below).await;
    assert!(placed.status.is_success(), "{}", placed.text);
    let ben =
        json!({ "name": "Ben", "email": "ann@example.com", "country": "GB", "kind": "affiliate" });
    let ben = world.post("/v1/partners", ben).await.expect(201);
    let ben = ben.str("id");
    let policy = json!({ "benefit": { "kind": "commission", "event": "sale" } });
    let path = format!("/v1/programs/{program}/deal-policy");
    let _ = world.put(&path, policy).await.expect(200);
    let deal = json!({
        "program": program, "name": "Rollout", "amount": "1000.00", "currency": "GBP",
        "customer": { "name": "Loom Ltd", "country": "GB", "domain": "loom.example" },
    });
    let key = format!("/v1/partners/{ann}/keys");
    let key = world.post(&key, json!({})).await.expect(201);
    let deal = world.ask(key.str("key"), Method::POST, "/v1/deals", &[], Some(&deal));
    let deal = deal.await.expect(201);
    let tag = [("if-match", deal.headers["etag"].to_str().unwrap())];
    let path = format!("/v1/deals/{}/approve", deal.str("id"));
    let no = json!({});
    let approved = world.ask(&world.key, Method::POST, &path, &tag, Some(&no));
    let _ = approved.await.expect(200);
    let profile = format!("/v1/partners/{ann}/profiles/{program}");
    let _ = world.put(&profile, json!({})).await;
    let rules = json!([{ "code": "hers", "strategy": { "kind": "fixed", "partner": ann } }]);
    let path = format!("/v1/programs/{program}/routing");
    let _ = world.put(&path, json!({ "rules": rules })).await;
    let stand = tributary_tests::Stand {
        program: program.clone(),
        token,
        signing_secret: String::new(),
        partner: ann.clone(),
        link: String::new(),
        coupon,
    };
    let _ = world.sale(&stand, "ann-1", "10.00").await;
    world.settle().await;
    court.days_pass(1).await;
    let lead =
        json!({ "company": { "name": "Reed Ltd", "country": "GB", "domain": "reed.example" } });
    let path = format!("/v1/programs/{program}/leads");
    let _ = world.post(&path, lead).await.expect(201);
    let body = json!({ "into": ben, "reason": "one firm" });
    let route = "POST /v1/partners/{id}/merge";
    let _ = court.ask(route, &[&ann], "", Some(body)).await;
    // At once what follows, later the money.
    for days in [0, 1, 1] {
        court.days_pass(days).await;
    }
    let route = "GET /v1/partners/{id}/merge";
    let merge = court.ask(route, &[&ann], "", None).await;
    for what in ["enrolments", "links", "coupons", "deals", "leads"] {
        assert_eq!(merge.body[what], 1, "{what}: {}", merge.text);
    }
    assert_eq!(merge.str("/moved/0/amount"), "3.00");
}

/// A deal's way, by its partner and by operators in its place: shared, disputed, won, lost and expired.
async fn deals(court: &Court) {
    let program = json!({ "name": "Resale", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } });
    let program = court.ask("POST /v1/programs", &[], "", Some(program)).await;
    let id = program.str("id").to_owned();
    let plan = json!({ "code": "resale", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z", "components": [{ "kind": "percent", "event": "deal", "rate": "0.10" }] });
    let route = "POST /v1/programs/{id}/plans";
    let _ = court.ask(route, &[&id], "", Some(plan)).await;
    let body = json!({ "name": "Sue", "email": "sue@example.com" });
    let sue = court.ask("POST /v1/operators", &[], "", Some(body)).await;
    let policy = json!({
        "benefit": { "kind": "commission", "event": "deal" }, "second": { "kind": "co_register", "share": "0.30" },
        "stakes": [{ "operator": sue.str("id"), "domains": ["stake.com"] }],
    });
    let route = "PUT /v1/programs/{id}/deal-policy";
    let _ = court.ask(route, &[&id], "", Some(policy)).await;
    let route = "GET /v1/programs/{id}/deal-policy";
    let _ = court.ask(route, &[&id], "", None).await;
    let mut sellers = Vec::new();
    for name in ["Eve", "Fay"] {
        let body =
            json!({ "name": name, "email": "p@example.com", "country": "GB", "kind": "reseller" });
        let made = court.ask("POST /v1/partners", &[], "", Some(body)).await;
        let partner = made.str("id").to_owned();
        let placed = json!({ "program": id, "plan": "resale" });
        let route = "POST /v1/partners/{id}/enrolments";
        let _ = court.ask(route, &[&partner], "", Some(placed)).await;
        let keys = format!("/v1/partners/{partner}/keys");
        let key = court.world.post(&keys, json!({})).await.expect(201);
        sellers.push((partner, key.str("key").to_owned()));
    }
    let [(eve, eves), (_, fays)] = sellers.as_slice() else {
        panic!("two sellers")
    };
    let about = |domain: &str| {
        json!({
            "program": id, "name": "Rollout", "customer": { "name": "Acme GmbH", "country": "DE", "domain": domain },
            "amount": "1000.00", "currency": "GBP",
        })
    };
    let registered = async |key: &str, domain: &str| {
        let answer = court
            .ask_as(key, "POST /v1/deals", &[], "", Some(about(domain)))
            .await;
        answer.str("id").to_owned()
    };
    let act = async |key: Option<&str>, what: &str, deal: &str, body: Value| {
        let route = format!("POST /v1/deals/{{id}}/{what}");
        match key {
            Some(key) => court.ask_as(key, &route, &[deal], "", Some(body)).await,
            None => court.ask(&route, &[deal], "", Some(body)).await,
        }
    };
    let approved = async |key: &str, domain: &str| {
        let deal = registered(key, domain).await;
        let _ = act(None, "approve", &deal, json!({})).await;
        deal
    };
    let [question, answer] =
        [("question", "Who?"), ("answer", "They.")].map(|(field, said)| json!({ field: said }));
    // As a draft, by the partner and then by an operator for it.
    for by in [Some(eves.as_str()), None] {
        let mut draft = about(if by.is_some() { "one.com" } else { "two.com" });
        draft["draft"] = json!(true);
        if by.is_none() {
            draft["partner"] = json!(eve);
        }
        let rename = json!({ "name": "Renamed" });
        let deal = match by {
            Some(key) => {
                let made = court
                    .ask_as(key, "POST /v1/deals", &[], "", Some(draft))
                    .await;
                let deal = made.str("id").to_owned();
                let route = "PATCH /v1/deals/{id}";
                let _ = court.ask_as(key, route, &[&deal], "", Some(rename)).await;
                deal
            }
            None => {
                let made = court.ask("POST /v1/deals", &[], "", Some(draft)).await;
                let deal = made.str("id").to_owned();
                let route = "PATCH /v1/deals/{id}";
                let _ = court.ask(route, &[&deal], "", Some(rename)).await;
                deal
            }
        };
        for part in ["", "/timeline", "/approvers"] {
            let route = format!("GET /v1/deals/{{id}}{part}");
            let _ = match by {
                Some(key) => court.ask_as(key, &route, &[&deal], "", None).await,
                None => court.ask(&route, &[&deal], "", None).await,
            };
        }
        let _ = act(by, "submit", &deal, json!({})).await;
        let _ = act(None, "review", &deal, json!({})).await;
        let _ = act(None, "request-information", &deal, question.clone()).await;
        let _ = act(by, "supply-information", &deal, answer.clone()).await;
        let _ = act(by, "withdraw", &deal, json!({})).await;
        let lost = approved(eves, "lost.com").await;
        let _ = act(by, "extend", &lost, json!({})).await;
        let _ = act(by, "lost", &lost, json!({ "note": "No budget." })).await;
    }
    let _ = court.ask_as(eves, "GET /v1/deals", &[], "", None).await;
    let listed = format!("?program={id}&state=withdrawn");
    let _ = court.ask("GET /v1/deals", &[], &listed, None).await;
    // Shared, and then alone by time; asked and never answered; disputed and never decided.
    let _ = approved(eves, "shared.com").await;
    court
        .world
        .instance
        .app()
        .clock
        .set(tributary::clock::days_after(court.world.now(), 1));
    let _ = approved(fays, "shared.com").await;
    let silent = registered(eves, "silent.com").await;
    let _ = act(None, "request-information", &silent, question.clone()).await;
    let _ = approved(eves, "disputed.com").await;
    for (by, outcome) in [(Some(fays.as_str()), Some("holder")), (None, None)] {
        let second = registered(fays, "disputed.com").await;
        let reason = json!({ "reason": "duplicate" });
        let _ = act(None, "reject", &second, reason).await;
        let statement = json!({ "statement": "We were first." });
        let _ = act(by, "dispute", &second, statement).await;
        if let Some(outcome) = outcome {
            let decision = json!({ "outcome": outcome });
            let _ = act(None, "dispute/decision", &second, decision).await;
        }
    }
    let won = approved(eves, "won.com").await;
    // The shop has posted it, so it is won as that.
    let token = program.str("postback_token");
    let bought = json!({ "event": "deal", "transaction_id": "o-deal", "amount": "900.00", "currency": "GBP", "customer_domain": "won.com" });
    let path = format!("/v1/postbacks/{id}");
    let header = [("x-postback-token", token)];
    let posted = court
        .world
        .ask("", Method::POST, &path, &header, Some(&bought));
    let posted = posted.await.expect(201).str("conversion").to_owned();
    court.deliver().await;
    let mut sale = json!({ "amount": "900.00", "currency": "GBP" });
    sale["conversion"] = json!(posted);
    let _ = act(None, "won", &won, sale).await;
    let alone = approved(eves, "alone.com").await;
    let sale = json!({ "amount": "900.00", "currency": "GBP" });
    let _ = act(None, "won", &alone, sale).await;
    let route = "GET /v1/programs/{id}/pipeline";
    let _ = court.ask(route, &[&id], "", None).await;
    court.deliver().await;
    for days in [15, 75, 1] {
        court.days_pass(days).await;
    }
}

/// A program of tiers, gates and levels, in which a conversion waits for its rate of exchange.
async fn ladder(court: &Court) {
    let made = court
        .ask("POST /v1/programs", &[], "", Some(json!({ "name": "Club", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } })))
        .await;
    let (id, token) = (made.str("id"), made.str("postback_token"));
    let own = json!({ "unit": "count", "events": ["sale"], "scope": "subtree" });
    let window = json!({ "kind": "month" });
    let brackets = json!([{ "from": 0, "rate": "0.10" }, { "from": 2, "rate": "0.20" }]);
    let plan = json!({ "code": "club", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z",
        "components": [
            { "kind": "tiered", "event": "sale", "mode": "retroactive", "measure": own, "window": window, "brackets": brackets },
            { "kind": "flat", "event": "sale", "amount": "1.00", "gate": { "measure": { "unit": "count", "events": ["sale"], "scope": "own" }, "window": window, "at_least": 1 } },
        ],
        "levels": [{ "rate": "0.10", "of": "commission", "rounding": "half_up" }],
    });
    let _ = court
        .ask("POST /v1/programs/{id}/plans", &[id], "", Some(plan))
        .await;
    let mut upline: Option<String> = None;
    for name in ["Cid", "Dot"] {
        let partner =
            json!({ "name": name, "email": "p@example.com", "country": "GB", "kind": "affiliate" });
        let partner = court
            .ask("POST /v1/partners", &[], "", Some(partner))
            .await
            .str("id")
            .to_owned();
        let placed = json!({ "program": id, "plan": "club", "upline": upline });
        let _ = court
            .ask(
                "POST /v1/partners/{id}/enrolments",
                &[&partner],
                "",
                Some(placed),
            )
            .await;
        upline = Some(partner);
    }
    let dot = upline.unwrap();
    let coupon = json!({ "program": id, "partner": dot, "code": "DOT10" });
    let _ = court.ask("POST /v1/coupons", &[], "", Some(coupon)).await;
    let tried = json!({ "body": { "transaction_id": "l-1", "coupon": "DOT10", "amount": "10.00", "currency": "USD" } });
    for (order, currency) in [("l-1", "GBP"), ("l-2", "GBP"), ("l-3", "USD")] {
        let query = format!(
            "?transaction_id={order}&coupon=DOT10&amount=10.00&currency={currency}&token={token}"
        );
        let _ = court
            .ask("GET /v1/postbacks/{program}", &[id], &query, None)
            .await;
    }
    court.deliver().await;
    let rate = json!({ "from": "USD", "to": "GBP", "rate": "0.85", "date": court.world.now().to_string()[..10], "source": "ECB" });
    let _ = court
        .ask("PUT /v1/rates", &[], "", Some(json!({ "rates": [rate] })))
        .await;
    let _ = court
        .ask(
            "POST /v1/programs/{id}/postbacks:test",
            &[id],
            "",
            Some(tried),
        )
        .await;
    court.days_pass(1).await;
    court.deliver().await;
    let listed = court
        .ask("GET /v1/conversions", &[], &format!("?program={id}"), None)
        .await;
    let first = listed.str("/items/0/id").to_owned();
    let part = json!({ "reversal_id": "p-1", "amount": "4.00", "currency": listed.str("/items/0/currency"), "reason": "sent back" });
    let _ = court
        .ask(
            "POST /v1/conversions/{id}/reversals",
            &[&first],
            "",
            Some(part),
        )
        .await;
    court.deliver().await;
    let until = tributary::clock::days_after(court.world.now(), 35).to_string();
    let moved = json!({ "release_at": until, "reason": "fraud check" });
    let _ = court
        .ask("POST /v1/commissions/{id}/hold", &[&first], "", Some(moved))
        .await;
    let _ = court
        .ask("GET /v1/commissions/{id}/trace", &[&first], "", None)
        .await;
    let month = json!({ "period": &court.world.now().to_string()[..7] });
    let _ = court
        .ask("POST /v1/programs/{id}/recompute", &[id], "", Some(month))
        .await;
    let given = json!({ "adjustment_id": "g-1", "program": id, "partner": dot, "direction": "credit",
        "amount": "5.00", "currency": "GBP", "reason": "goodwill" });
    let _ = court
        .ask("POST /v1/adjustments", &[], "", Some(given))
        .await;
    court.days_pass(40).await;
    court.days_pass(1).await;
}

/// A program with levels that takes applications, asks for terms and has a checklist; its partners come and go.
async fn recruiting(court: &Court) {
    let world = &court.world;
    let spring = json!({ "name": "Fair", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } });
    let id = world.post("/v1/programs", spring).await.expect(201);
    let id = id.str("id");
    let plan = json!({ "code": "fair", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z",
        "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }],
        "levels": [{ "rate": "0.10", "of": "commission", "rounding": "half_up" }] });
    let _ = world
        .post(&format!("/v1/programs/{id}/plans"), plan)
        .await
        .expect(201);
    let plan = json!({ "plan": "fair" });
    let _ = world
        .put(&format!("/v1/programs/{id}/default-plan"), plan)
        .await
        .expect(200);
    // More partners than one message tells of new terms, unknown to whoever asks as all partners.
    let mut made = Vec::new();
    for n in 0..27 {
        let body = json!({ "name": "Uma", "email": format!("uma{n}@example.com"), "country": "GB", "kind": "affiliate" });
        made.push(
            world
                .post("/v1/partners", body)
                .await
                .expect(201)
                .str("id")
                .to_owned(),
        );
    }
    let above = &made[0];
    let enrolment = json!({ "program": id });
    let _ = world
        .post(&format!("/v1/partners/{above}/enrolments"), enrolment)
        .await
        .expect(201);
    let own = world
        .post(&format!("/v1/partners/{above}/keys"), json!({}))
        .await
        .expect(201);
    let own = own.str("key");

    let form = json!({ "fields": [{ "code": "audience", "label": "Whom do you reach?", "kind": "text" }] });
    for (what, body) in [
        ("application-form", form),
        ("application-rules", json!({ "duplicate_domain": "note" })),
        (
            "onboarding-steps",
            json!({ "steps": [
            { "code": "terms", "label": "Terms", "kind": "accept_terms" },
            { "code": "pay", "label": "Account", "kind": "payout_method" },
            { "code": "tax", "label": "Taxes", "kind": "tax_profile" },
            { "code": "link", "label": "A link", "kind": "first_link" },
            { "code": "course", "label": "Basics", "kind": "confirmed" },
        ] }),
        ),
    ] {
        for _ in 0..2 {
            let route = format!("PUT /v1/programs/{{id}}/{what}");
            let _ = court.ask(&route, &[id], "", Some(body.clone())).await;
        }
        let _ = court
            .ask(&format!("GET /v1/programs/{{id}}/{what}"), &[id], "", None)
            .await;
    }
    let operator = json!({ "name": "Mona", "email": "mona@vendor.example" });
    let operator = world.post("/v1/operators", operator).await.expect(201);
    let told = json!({ "operators": [operator.str("id")] });
    for _ in 0..2 {
        let route = "PUT /v1/programs/{id}/notifications";
        let _ = court.ask(route, &[id], "", Some(told.clone())).await;
    }
    let _ = court
        .ask("GET /v1/programs/{id}/notifications", &[id], "", None)
        .await;

    let mut applications = Vec::new();
    for email in ["eve@mill.example.com", "fay@mill.example.com"] {
        let said = json!({ "email": email, "name": "Eve", "country": "GB", "kind": "reseller",
            "tax_id": "GB123456789", "referrer": above });
        let _ = court
            .ask("POST /v1/programs/{id}/applications", &[id], "", Some(said))
            .await;
        court.deliver().await;
        let token = |text: &str| {
            text.rsplit_once("once: ")
                .unwrap()
                .1
                .lines()
                .next()
                .unwrap()
                .to_owned()
        };
        let mails = world.instance.cloud().outbox().mails();
        let mail = mails.iter().rev().find(|mail| mail.to == email).unwrap();
        let confirm = json!({ "token": token(&mail.text) });
        let route = "POST /v1/programs/{id}/applications:confirm";
        let confirmed = court.ask(route, &[id], "", Some(confirm)).await;
        let answer = json!({ "token": confirmed.str("token"), "submit": true });
        let route = "POST /v1/programs/{id}/applications:answer";
        let answered = court.ask(route, &[id], "", Some(answer)).await;
        applications.push(answered.str("id").to_owned());
        court.deliver().await;
    }
    let again = json!({ "email": "eve@mill.example.com" });
    let _ = court
        .ask(
            "POST /v1/programs/{id}/applications",
            &[id],
            "",
            Some(again),
        )
        .await;
    let decide = "POST /v1/applications/{id}/decision";
    let approve = json!({ "outcome": "approve" });
    let approved = court
        .ask(decide, &[&applications[0]], "", Some(approve))
        .await;
    let eve = approved.str("partner").to_owned();
    let reject = json!({ "outcome": "reject", "reason": "duplicate" });
    let _ = court
        .ask(decide, &[&applications[1]], "", Some(reject))
        .await;
    for query in ["", "?stage=approved", &format!("?referrer={above}")] {
        let _ = court
            .ask("GET /v1/programs/{id}/applications", &[id], query, None)
            .await;
    }
    let _ = court
        .ask("GET /v1/applications/{id}", &[&applications[0]], "", None)
        .await;
    let route = "POST /v1/applications/{id}/erasure";
    let _ = court.ask(route, &[&applications[1]], "", None).await;
    let invited = json!({ "email": "gus@loom.example.com" });
    let _ = court
        .ask(
            "POST /v1/programs/{id}/invitations",
            &[id],
            "",
            Some(invited),
        )
        .await;
    court.deliver().await;

    let effective_at = tributary::clock::days_after(world.now(), 20).to_string();
    let terms = json!({ "title": "Terms", "text": "Be kind.", "effective_at": effective_at });
    let terms = court
        .ask("POST /v1/programs/{id}/agreements", &[id], "", Some(terms))
        .await;
    court.deliver().await;
    for key in [&world.key, own] {
        let _ = court
            .ask_as(key, "GET /v1/programs/{id}/agreements", &[id], "", None)
            .await;
        let route = "GET /v1/programs/{id}/agreements/{version}";
        let _ = court.ask_as(key, route, &[id, "1"], "", None).await;
    }
    let accept = "POST /v1/programs/{id}/agreements/{version}/acceptances";
    let hash = json!({ "hash": terms.str("hash") });
    let _ = court.ask_as(own, accept, &[id, "1"], "", Some(hash)).await;
    let program = format!("?program={id}");
    for route in [
        "GET /v1/partners/{id}/agreements",
        "GET /v1/partners/{id}/onboarding",
    ] {
        let _ = court.ask(route, &[above], &program, None).await;
        let _ = court.ask_as(own, route, &[above], &program, None).await;
    }
    let wallet = json!({ "kind": "paypal", "wallet": "uma@wallet.example" });
    let _ = world
        .put(&format!("/v1/partners/{above}/payout-method"), wallet)
        .await
        .expect(200);
    let link = json!({ "program": id, "partner": above, "destination": "https://shop.example/" });
    let _ = world.post("/v1/links", link).await.expect(201);
    court.deliver().await;
    let _ = court
        .ask("GET /v1/partners/{id}/onboarding", &[above], &program, None)
        .await;
    let route = "POST /v1/partners/{id}/onboarding/{step}";
    let _ = court
        .ask(
            route,
            &[above, "course"],
            "",
            Some(json!({ "program": id })),
        )
        .await;
    court.deliver().await;
    let _ = court
        .ask("GET /v1/programs/{id}/events", &[id], "", None)
        .await;

    for (key, name) in [(&world.key, "ida"), (&own.to_owned(), "ivy")] {
        let route = "POST /v1/partners/{id}/members";
        let body =
            json!({ "name": name, "email": format!("{name}@mill.example"), "role": "manager" });
        let member = court.ask_as(key, route, &[above], "", Some(body)).await;
        let member = member.str("id");
        let _ = court
            .ask_as(key, "GET /v1/partners/{id}/members", &[above], "", None)
            .await;
        let route = "GET /v1/partners/{id}/members/{member}";
        let _ = court.ask_as(key, route, &[above, member], "", None).await;
        let route = "PATCH /v1/partners/{id}/members/{member}";
        let body = json!({ "role": "member" });
        let _ = court
            .ask_as(key, route, &[above, member], "", Some(body))
            .await;
        let route = "DELETE /v1/partners/{id}/members/{member}";
        let _ = court.ask_as(key, route, &[above, member], "", None).await;
    }
    let _ = court
        .ask("POST /v1/partners/{id}/ban", &[&made[1]], "", None)
        .await;
    let _ = court
        .ask("POST /v1/partners/{id}/archive", &[&eve], "", None)
        .await;
    let _ = court
        .ask("POST /v1/partners/{id}/erasure", &[&eve], "", None)
        .await;
    court.deliver().await;
}

/// Asks every route, in an order in which each has something to do.
pub(crate) async fn walk(court: &Court) {
    let program = court
        .ask("POST /v1/programs", &[], "", Some(json!({ "name": "Spring", "currency": "GBP", "attribution": { "model": "first_click", "window_days": 30 } })))
        .await;
    let id = program.str("id").to_owned();
    let token = program.str("postback_token").to_owned();
    let _ = court.ask("GET /v1/programs", &[], "", None).await;
    let _ = court.ask("GET /v1/programs/{id}", &[&id], "", None).await;
    let _ = court
        .ask(
            "PATCH /v1/programs/{id}",
            &[&id],
            "",
            Some(json!({ "name": "Summer" })),
        )
        .await;
    let _ = court
        .ask(
            "POST /v1/programs/{id}/secrets",
            &[&id],
            "",
            Some(json!({})),
        )
        .await;
    let plan = json!({ "code": "standard", "hold_days": 30, "effective_from": "2000-01-01T00:00:00Z", "components": [{ "kind": "percent", "event": "sale", "rate": "0.30" }] });
    let _ = court
        .ask(
            "POST /v1/programs/{id}/plans:preview",
            &[&id],
            "",
            Some(plan.clone()),
        )
        .await;
    let _ = court
        .ask("POST /v1/programs/{id}/plans", &[&id], "", Some(plan))
        .await;
    let _ = court
        .ask("GET /v1/programs/{id}/plans", &[&id], "", None)
        .await;
    let _ = court
        .ask(
            "GET /v1/programs/{id}/plans/{plan}",
            &[&id, "standard"],
            "",
            None,
        )
        .await;

    let partner =
        json!({ "name": "Ada", "email": "ada@example.com", "country": "GB", "kind": "affiliate" });
    let ada = court
        .ask("POST /v1/partners", &[], "", Some(partner))
        .await
        .str("id")
        .to_owned();
    let _ = court.ask("GET /v1/partners", &[], "", None).await;
    let _ = court.ask("GET /v1/partners/{id}", &[&ada], "", None).await;
    let _ = court
        .ask(
            "PATCH /v1/partners/{id}",
            &[&ada],
            "",
            Some(json!({ "name": "Ada L." })),
        )
        .await;
    let _ = court
        .ask("POST /v1/partners/{id}/suspend", &[&ada], "", None)
        .await;
    let _ = court
        .ask("POST /v1/partners/{id}/reinstate", &[&ada], "", None)
        .await;
    let _ = court
        .ask(
            "POST /v1/partners/{id}/enrolments",
            &[&ada],
            "",
            Some(json!({ "program": id, "plan": "standard" })),
        )
        .await;
    let above =
        json!({ "name": "Bea", "email": "bea@example.com", "country": "GB", "kind": "affiliate" });
    let bea = court
        .ask("POST /v1/partners", &[], "", Some(above))
        .await
        .str("id")
        .to_owned();
    for (partner, upline) in [(&bea, None), (&ada, Some(&bea))] {
        let placed = json!({ "program": id, "plan": "standard", "upline": upline });
        let _ = court
            .ask(
                "POST /v1/partners/{id}/enrolments",
                &[partner],
                "",
                Some(placed),
            )
            .await;
    }
    let _ = court
        .ask("GET /v1/partners/{id}/enrolments", &[&ada], "", None)
        .await;
    let key = court
        .ask("POST /v1/partners/{id}/keys", &[&ada], "", Some(json!({})))
        .await
        .str("id")
        .to_owned();
    let _ = court
        .ask("GET /v1/partners/{id}/keys", &[&ada], "", None)
        .await;
    let _ = court
        .ask(
            "DELETE /v1/partners/{id}/keys/{key}",
            &[&ada, &key],
            "",
            None,
        )
        .await;
    let wallet = json!({ "kind": "paypal", "wallet": "ada@wallet.example" });
    let _ = court
        .ask(
            "PUT /v1/partners/{id}/payout-method",
            &[&ada],
            "",
            Some(wallet.clone()),
        )
        .await;
    let _ = court
        .ask(
            "PUT /v1/partners/{id}/payout-method",
            &[&ada],
            "",
            Some(wallet),
        )
        .await;
    let _ = court
        .ask("GET /v1/partners/{id}/payout-method", &[&ada], "", None)
        .await;
    let profile = json!({
        "legal_name": "Ada Ltd", "country": "GB", "tax_id": "1234567890",
        "address": { "line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB" },
    });
    let _ = court
        .ask(
            "PUT /v1/partners/{id}/tax-profile",
            &[&ada],
            "",
            Some(profile),
        )
        .await;
    let _ = court
        .ask("GET /v1/partners/{id}/tax-profile", &[&ada], "", None)
        .await;

    let link =
        json!({ "program": id, "partner": ada, "destination": "https://shop.example/roses" });
    let link = court.ask("POST /v1/links", &[], "", Some(link)).await;
    let keys = format!("/v1/partners/{ada}/keys");
    let own = court.world.post(&keys, json!({})).await.expect(201);
    let own = own.str("key");
    let tulips =
        json!({ "program": id, "partner": ada, "destination": "https://shop.example/tulips" });
    let own_link = court
        .ask_as(own, "POST /v1/links", &[], "", Some(tulips))
        .await;
    let own_link = own_link.str("id");
    let _ = court
        .ask_as(own, "POST /v1/links/{id}/disable", &[own_link], "", None)
        .await;
    let _ = court
        .ask("GET /v1/links", &[], &format!("?partner={ada}"), None)
        .await;
    let _ = court
        .ask("GET /v1/links/{id}", &[link.str("id")], "", None)
        .await;
    let _ = court
        .ask(
            "PATCH /v1/links/{id}",
            &[link.str("id")],
            "",
            Some(json!({ "destination": "https://shop.example/tulips" })),
        )
        .await;
    let standard = json!({ "plan": "standard" });
    let _ = court
        .ask(
            "PUT /v1/programs/{id}/default-plan",
            &[&id],
            "",
            Some(standard.clone()),
        )
        .await;
    let _ = court
        .ask(
            "PUT /v1/links/{id}/plan",
            &[link.str("id")],
            "",
            Some(standard),
        )
        .await;
    let _ = court
        .ask("DELETE /v1/links/{id}/plan", &[link.str("id")], "", None)
        .await;
    let coupon = json!({ "program": id, "partner": ada, "code": "ADA10" });
    let coupon = court
        .ask("POST /v1/coupons", &[], "", Some(coupon))
        .await
        .str("id")
        .to_owned();
    let _ = court
        .ask("GET /v1/coupons", &[], &format!("?partner={ada}"), None)
        .await;
    let _ = court
        .ask("GET /v1/coupons/{id}", &[&coupon], "", None)
        .await;

    recruiting(court).await;
    let code = link.str("code").to_owned();
    let sent = court.ask("GET /c/{code}", &[&code], "?sub1=a", None).await;
    let _ = court.ask("HEAD /c/{code}", &[&code], "", None).await;
    let click =
        tributary_local::tour::click_id_of(sent.headers["location"].to_str().unwrap()).unwrap();
    let sale = json!({ "transaction_id": "o-1", "click_id": click, "amount": "49.00", "currency": "GBP", "customer": "c-1" });
    let _ = court
        .ask(
            "POST /v1/programs/{id}/postbacks:test",
            &[&id],
            "",
            Some(json!({ "body": sale })),
        )
        .await;
    let _ = court
        .ask("POST /v1/postbacks/{program}", &[&id], "", Some(sale))
        .await;
    let query = format!("?transaction_id=o-2&coupon=ADA10&amount=10.00&customer=c-1&token={token}");
    let second = court
        .ask("GET /v1/postbacks/{program}", &[&id], &query, None)
        .await
        .str("conversion")
        .to_owned();
    owners(court, &id, &ada, &click).await;
    let lead = |status: &str| {
        Some(
            json!({ "transaction_id": "o-3", "coupon": "ADA10", "amount": "10.00", "status": status, "customer_domain": "acme-works.de" }),
        )
    };
    let tried = json!({ "body": lead("pending") });
    let _ = court
        .ask(
            "POST /v1/programs/{id}/postbacks:test",
            &[&id],
            "",
            Some(tried),
        )
        .await;
    for status in ["pending", "approved", "reversed"] {
        let _ = court
            .ask("POST /v1/postbacks/{program}", &[&id], "", lead(status))
            .await;
    }
    // What is lost on the way is found and queued again.
    court.world.lose_transport().await;
    court.days_pass(0).await;
    court.deliver().await;
    let _ = court
        .ask("GET /v1/conversions", &[], &format!("?program={id}"), None)
        .await;
    let _ = court
        .ask("GET /v1/conversions", &[], &format!("?partner={ada}"), None)
        .await;
    let _ = court
        .ask("GET /v1/conversions/{id}", &[&second], "", None)
        .await;
    disputes(court, &id, &ada, &second).await;
    let rate = json!({ "from": "EUR", "to": "GBP", "rate": "0.8512", "date": "2026-03-02", "source": "ECB" });
    let _ = court
        .ask("PUT /v1/rates", &[], "", Some(json!({ "rates": [rate] })))
        .await;
    let _ = court
        .ask("GET /v1/rates", &[], "?from=EUR&to=GBP", None)
        .await;
    let amendment = json!({ "amendment_id": "a-1", "amount": "12.00", "currency": "GBP", "reason": "mistyped" });
    let _ = court
        .ask(
            "POST /v1/conversions/{id}/amendments",
            &[&second],
            "",
            Some(amendment),
        )
        .await;
    let reversal = json!({ "reversal_id": "r-1", "reason": "sent back" });
    let _ = court
        .ask(
            "POST /v1/conversions/{id}/reversals",
            &[&second],
            "",
            Some(reversal),
        )
        .await;
    court.deliver().await;
    let _ = court
        .ask("POST /v1/coupons/{id}/disable", &[&coupon], "", None)
        .await;
    let _ = court
        .ask("POST /v1/links/{id}/disable", &[link.str("id")], "", None)
        .await;
    ladder(court).await;
    court.days_pass(31).await;

    let account = json!({ "name": "Main", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" });
    let _ = court
        .ask(
            "PUT /v1/funding-accounts/{id}",
            &["main"],
            "",
            Some(account.clone()),
        )
        .await;
    let _ = court
        .ask(
            "PUT /v1/funding-accounts/{id}",
            &["main"],
            "",
            Some(account),
        )
        .await;
    let _ = court.ask("GET /v1/funding-accounts", &[], "", None).await;
    let _ = court
        .ask("GET /v1/funding-accounts/{id}", &["main"], "", None)
        .await;
    let invoicing = json!({
        "vat": { "treatment": "none" },
        "issuer": { "legal_name": "Vendor Ltd", "address": { "line1": "2 Dock Road", "city": "London", "postcode": "E1 6AN", "country": "GB" } },
    });
    for _ in 0..2 {
        let _ = court
            .ask(
                "PUT /v1/programs/{id}/invoicing",
                &[&id],
                "",
                Some(invoicing.clone()),
            )
            .await;
    }
    let _ = court
        .ask("GET /v1/programs/{id}/invoicing", &[&id], "", None)
        .await;
    let hold = Some(json!({ "reason": "address is verified" }));
    let held = "PUT /v1/partners/{id}/payout-hold";
    for _ in 0..2 {
        let _ = court.ask(held, &[&ada], "", hold.clone()).await;
    }
    let _ = court
        .ask("GET /v1/partners/{id}/payout-hold", &[&ada], "", None)
        .await;
    let _ = court
        .ask("DELETE /v1/partners/{id}/payout-hold", &[&ada], "", None)
        .await;
    let scheduled = "PUT /v1/programs/{id}/payout-schedule";
    let guarded = json!({ "kind": "manual", "approval_above": "1.00" });
    // What is checked by two is for administrators to say.
    let admin = &court.world.key;
    let _ = court
        .ask_as(admin, scheduled, &[&id], "", Some(guarded))
        .await;
    let _ = court
        .ask("GET /v1/programs/{id}/payout-schedule", &[&id], "", None)
        .await;
    for round in ["returned by hand", "returned by file", "paid"] {
        let is_guarded = round == "returned by hand";
        if !is_guarded {
            let free = json!({ "kind": "manual" });
            let _ = court.ask_as(admin, scheduled, &[&id], "", Some(free)).await;
        }
        let batch = json!({ "program": id, "currency": "GBP", "cutoff": court.world.now().to_string(), "funding_account": "main" });
        let batch = if !is_guarded {
            court
                .ask("POST /v1/payouts/batches", &[], "", Some(batch))
                .await
        } else {
            // Somebody else makes what this operator approves.
            let maker = maker(&court.world).await;
            let world = &court.world;
            world
                .ask(
                    &maker,
                    Method::POST,
                    "/v1/payouts/batches",
                    &[],
                    Some(&batch),
                )
                .await
                .expect(202)
        };
        let batch = batch.str("id").to_owned();
        court.deliver().await;
        if is_guarded {
            let approve = "POST /v1/payouts/batches/{id}/approve";
            let _ = court.ask(approve, &[&batch], "", Some(json!({}))).await;
        }
        let _ = court.ask("GET /v1/payouts/batches", &[], "", None).await;
        let payout = court
            .ask("GET /v1/payouts/batches/{id}", &[&batch], "", None)
            .await
            .str("/lines/0/payout")
            .to_owned();
        let _ = court
            .ask(
                "GET /v1/payouts/batches/{id}/file",
                &[&batch],
                "?format=paypal&part=1",
                None,
            )
            .await;
        let _ = court
            .ask("GET /v1/payouts", &[], &format!("?partner={ada}"), None)
            .await;
        let listed = format!("?program={id}");
        let _ = court.ask("GET /v1/conversions", &[], &listed, None).await;
        let _ = court
            .ask("GET /v1/payouts/{payout}", &[&payout], "", None)
            .await;
        let period = format!("?period={}", &court.world.now().to_string()[..7]);
        let _ = court
            .ask(
                "GET /v1/programs/{id}/payout-reconciliation",
                &[&id],
                &period,
                None,
            )
            .await;
        let _ = court
            .ask(
                "POST /v1/payouts/{payout}/settle",
                &[&payout],
                "",
                Some(json!({})),
            )
            .await;
        court.deliver().await;
        if round == "returned by file" {
            let file = json!(format!("{payout},settled all the same\n"));
            let _ = court
                .ask(
                    "POST /v1/payouts/batches/{id}/returns",
                    &[&batch],
                    "?format=csv",
                    Some(file),
                )
                .await;
            court.deliver().await;
            court.days_pass(1).await;
        }
        if round == "returned by hand" {
            let back = json!({ "reason": "closed", "evidence": "R-7" });
            let _ = court
                .ask(
                    "POST /v1/payouts/{payout}/return",
                    &[&payout],
                    "",
                    Some(back),
                )
                .await;
            court.deliver().await;
            court.days_pass(1).await;
        }
    }
    let weekly = json!({ "kind": "weekly", "weekday": "friday", "time_zone": "Europe/London", "funding_account": "main" });
    let _ = court.ask(scheduled, &[&id], "", Some(weekly)).await;
    court.days_pass(8).await;
    let listed = court.ask("GET /v1/payouts/batches", &[], "", None).await;
    let made = listed.str("/items/0/id").to_owned();
    assert_eq!(listed.items().len(), 4, "the schedule has made one");
    let wrong = json!({ "reason": "wrong cutoff" });
    let _ = court
        .ask(
            "POST /v1/payouts/batches/{id}/cancel",
            &[&made],
            "",
            Some(wrong),
        )
        .await;
    court.deliver().await;
    let _ = court
        .ask("GET /v1/partners/{id}/balances", &[&ada], "", None)
        .await;
    let _ = court
        .ask("GET /v1/partners/{id}/ledger", &[&ada], "", None)
        .await;
    let _ = court
        .ask(
            "GET /v1/partners/{id}/statement",
            &[&ada],
            "?from=2026-01-01T00:00:00Z",
            None,
        )
        .await;

    let invoice = court
        .ask("GET /v1/programs/{id}/invoices", &[&id], "", None)
        .await
        .str("/items/0/id")
        .to_owned();
    let _ = court
        .ask("GET /v1/invoices/{id}", &[&invoice], "", None)
        .await;
    let _ = court
        .ask("GET /v1/partners/{id}/invoices", &[&ada], "", None)
        .await;
    for route in ["partners", "programs"] {
        let route = format!("GET /v1/{route}/{{id}}/yearly-totals");
        let whose = if route.contains("partners") {
            &ada
        } else {
            &id
        };
        let _ = court.ask(&route, &[whose], "?year=2026", None).await;
    }
    // Of each partner by itself, and of all together.
    for caps in [
        json!([]),
        json!([{ "scope": "program", "window": { "kind": "lifetime" }, "amount": "9.00" }]),
    ] {
        let components = json!([{ "kind": "percent", "event": "sale", "rate": "0.10", "duration": "first_sale" }]);
        let question = json!({ "plan": { "components": components, "caps": caps }, "from": "2026-03-01T00:00:00Z", "replaces": "standard" });
        let asked = court
            .ask("POST /v1/programs/{id}/what-if", &[&id], "", Some(question))
            .await
            .str("id")
            .to_owned();
        court.days_pass(0).await;
        let answer = court
            .ask("GET /v1/what-ifs/{id}", &[&asked], "", None)
            .await;
        assert_eq!(answer.str("state"), "done");
        let _ = court
            .ask("GET /v1/what-ifs/{id}/partners", &[&asked], "", None)
            .await;
    }
    let _ = court
        .ask("GET /v1/programs/{id}/history", &[&id], "", None)
        .await;
    let first_month = &tributary_tests::START[..7];
    for month in [first_month, &court.world.now().to_string()[..7]] {
        let query = format!("?period={month}");
        let _ = court
            .ask("GET /v1/programs/{id}/journal", &[&id], &query, None)
            .await;
    }
    let _ = court
        .ask(
            "POST /v1/programs/{id}/periods:close",
            &[&id],
            "",
            Some(json!({ "period": first_month })),
        )
        .await;
    court.days_pass(0).await;
    let _ = court
        .ask("GET /v1/programs/{id}/periods", &[&id], "", None)
        .await;

    let grace = json!({ "name": "Grace", "email": "grace@example.com" });
    let grace = court
        .ask("POST /v1/operators", &[], "", Some(grace))
        .await
        .str("id")
        .to_owned();
    let _ = court.ask("GET /v1/operators", &[], "", None).await;
    let _ = court
        .ask("GET /v1/operators/{id}", &[&grace], "", None)
        .await;
    let key = court
        .ask(
            "POST /v1/operators/{id}/keys",
            &[&grace],
            "",
            Some(json!({ "scopes": ["finance"] })),
        )
        .await
        .str("id")
        .to_owned();
    let _ = court
        .ask("GET /v1/operators/{id}/keys", &[&grace], "", None)
        .await;
    let _ = court
        .ask(
            "DELETE /v1/operators/{id}/keys/{key}",
            &[&grace, &key],
            "",
            None,
        )
        .await;
    let _ = court
        .ask(
            "PATCH /v1/operators/{id}",
            &[&grace],
            "",
            Some(json!({ "scopes": ["read"] })),
        )
        .await;
    court.browse("grace@example.com").await;
    for route in ["GET /v1/me", "GET /health", "GET /openapi.json"] {
        let _ = court.ask(route, &[], "", None).await;
    }
    assert_eq!(
        court.world.balances(&ada).await,
        ["0.00", "0.00", "0.00", "17.20"]
    );
    deals(court).await;
    leads(court, &id, &ada).await;
    imports(court, &id).await;
    merges(court).await;
}

#[tokio::test]
async fn every_route_and_trigger_stays_within_its_functions_role() {
    let mut court = Court::of(World::start().await);
    let zed =
        json!({ "name": "Zed", "email": "z@example.com", "country": "GB", "kind": "affiliate" });
    let zed = court.world.post("/v1/partners", zed).await.expect(201);
    let keys = format!("/v1/partners/{}/keys", zed.str("id"));
    let key = court.world.post(&keys, json!({})).await.expect(201);
    court.stranger = Some(key.str("key").to_owned());
    Box::pin(walk(&court)).await;
    let asked = court.asked.lock().unwrap().clone();
    let missed: Vec<&String> = court
        .routes
        .iter()
        .filter(|(route, package)| {
            !["docs", "portal"].contains(&package.as_str()) && !asked.contains(*route)
        })
        .map(|(route, _)| route)
        .collect();
    assert!(missed.is_empty(), "{missed:?} were not asked");
    let judged = court.judged.lock().unwrap().clone();
    let mut spare = Vec::new();
    // The portal's is judged as a whole, by the roles of those whose routes it calls.
    for (package, statements) in court
        .roles
        .iter()
        .filter(|(package, _)| *package != "portal")
    {
        let grants = judged.get(package).cloned().unwrap_or_default();
        for (number, statement) in statements.iter().enumerate() {
            // What an event source does in its function's name is Lambda's to ask.
            let of_a_source = [
                "DescribeStream",
                "GetRecords",
                "GetShardIterator",
                "ListStreams",
            ];
            let is_judged = |grant: &&String| {
                let (service, action) = grant.split_once(':').unwrap();
                match service {
                    "dynamodb" => !of_a_source.contains(&action),
                    "sqs" => action == "SendMessage",
                    _ => false,
                }
            };
            let actions = statement.actions.iter().filter(is_judged);
            let patterns = statement.leading.iter().flatten();
            for grant in actions.chain(patterns.filter(|pattern| *pattern != "WARM")) {
                if !grants.contains(&(number, grant.clone())) {
                    spare.push(format!(
                        "{package}: {grant} of {:?} for {:?}",
                        statement.resources, statement.actions
                    ));
                }
            }
        }
    }
    assert_eq!(
        spare,
        Vec::<String>::new(),
        "permissions that nothing needs"
    );
}

/// What a role allows: an action on a resource, in partitions of that pattern.
fn grants<'a>(
    statements: impl IntoIterator<Item = &'a Statement>,
) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for statement in statements {
        let patterns = match &statement.leading {
            Some(patterns) => patterns.clone(),
            None => vec![String::new()],
        };
        for action in statement
            .actions
            .iter()
            .filter(|action| !action.starts_with("logs:"))
        {
            for resource in &statement.resources {
                for pattern in &patterns {
                    found.insert((action.clone(), resource.clone(), pattern.clone()));
                }
            }
        }
    }
    found
}

#[test]
fn the_portal_may_what_those_may_whose_routes_it_calls_and_sign_people_in() {
    let roles = roles();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/portal/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    let called = roles
        .iter()
        .filter(|(package, _)| manifest.contains(&format!("\n{package}.workspace = true")));
    let mut meant = grants(called.clone().flat_map(|(_, statements)| statements));
    assert_eq!(called.count(), 12);
    let (main, list) = ("MainTableArn", "${MainTableArn}/index/list");
    for (action, resource, pattern) in [
        ("GetItem", main, "SIGNIN#*"),
        ("PutItem", main, "SIGNIN#*"),
        ("UpdateItem", main, "SIGNIN#*"),
        ("PutItem", main, "SIGNSLOT#*"),
        ("GetItem", main, "SESSION#*"),
        ("BatchGetItem", main, "SESSION#*"),
        ("PutItem", main, "SESSION#*"),
        ("UpdateItem", main, "SESSION#*"),
        ("Query", list, "SESSIONS#*"),
        ("Query", main, "PERSON#*"),
        ("UpdateItem", main, "PERSON#*"),
    ] {
        meant.insert((
            format!("dynamodb:{action}"),
            resource.to_owned(),
            pattern.to_owned(),
        ));
    }
    let has = grants(&roles["portal"]);
    let missing: Vec<_> = meant.difference(&has).collect();
    let spare: Vec<_> = has.difference(&meant).collect();
    assert!(
        missing.is_empty() && spare.is_empty(),
        "missing {missing:?}, spare {spare:?}"
    );
}

#[test]
fn a_call_outside_the_role_is_noticed() {
    let roles = roles();
    let click = &roles["click"];
    assert!(allowed(click, "dynamodb:GetItem", "MainTableArn", "LINK#x"));
    assert!(!allowed(
        click,
        "dynamodb:GetItem",
        "MainTableArn",
        "CONV#x"
    ));
    assert!(!allowed(
        click,
        "dynamodb:PutItem",
        "MainTableArn",
        "LINK#x"
    ));
    assert!(!allowed(click, "dynamodb:Query", "/index/list", "PARTNERS"));
    assert!(matches("PROG#*#ACCT#*", "PROG#a#ACCT#b") && !matches("PROG#*#ACCT#*", "PROG#a#X"));
}

#[test]
fn every_binary_needs_what_its_template_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let template = std::fs::read_to_string(root.join("infra/app.yaml")).unwrap();
    let template: Yaml = yaml_serde::from_str(&template).unwrap();
    let mut seen = 0;
    for (_, resource) in template["Resources"].as_mapping().unwrap() {
        if resource["Type"].as_str() != Some("AWS::Serverless::Function") {
            continue;
        }
        let properties = &resource["Properties"];
        let code = properties["CodeUri"].as_str().unwrap();
        let package = code.trim_end_matches('/').rsplit('/').next().unwrap();
        let given = |variable: &str| {
            properties["Environment"]["Variables"]
                .get(variable)
                .is_some()
        };
        let needs = match (
            given("TRIBUTARY_MAIN_TABLE"),
            given("TRIBUTARY_KEYRING_SECRET"),
        ) {
            (true, true) => "Needs::Keyring",
            (true, false) => "Needs::Table",
            (false, false) => "Needs::Nothing",
            (false, true) => panic!("{package} has a keyring and no table"),
        };
        let main = root.join("functions").join(package).join("src/main.rs");
        let main = std::fs::read_to_string(main).unwrap();
        assert!(main.contains(needs), "{package} is to state {needs}");
        seen += 1;
    }
    assert!(seen >= 12, "{seen} functions");
}
