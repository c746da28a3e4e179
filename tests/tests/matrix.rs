//! Every route of the OpenAPI document answers every kind of caller as the document says: no key, a foreign
//! partner's key, the own partner's, an operator's without the scope, and one's with it.
//!
//! What a route asks for is read from the document: `security` says who, and the words "scope `…`" of its
//! description which scope, `read` where there are none. What to send is the walk of [`crate::roles`]: each
//! of its lines is asked by all who shall be refused before it is asked by whom it is for. A route that the walk
//! leaves out, or a kind of caller that it leaves out, fails with the line to add.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use axum::http::Method;
use regex::Regex;
use serde_json::{Value, json};
use tributary_tests::{Answer, World};

use crate::roles::{Court, walk};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Caller {
    Nobody,
    ForeignPartner,
    OwnPartner,
    OperatorWithout,
    OperatorWith,
}

/// All scopes there are but `admin`, which has them all.
const NARROW: [&str; 3] = ["channel", "finance", "read"];

/// What the document says of a route.
#[derive(Debug)]
struct Operation {
    operator: bool,
    partner: bool,
    /// By a program's token or signature.
    postback: bool,
    scopes: BTreeSet<String>,
    successes: BTreeSet<u16>,
}

impl Operation {
    fn read(operation: &Value) -> Self {
        let schemes: BTreeSet<&String> = operation["security"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|requirement| requirement.as_object().unwrap().keys())
            .collect();
        let has = |scheme: &str| schemes.iter().any(|known| *known == scheme);
        let words = ["summary", "description"].map(|field| operation[field].as_str().unwrap_or(""));
        let stated = Regex::new(r"scopes?\s+`(\w+)`(?:\s+or\s+`(\w+)`)?").unwrap();
        let mut scopes: BTreeSet<String> = stated
            .captures_iter(&words.join("\n"))
            .flat_map(|found| [found.get(1), found.get(2)])
            .flatten()
            .map(|scope| scope.as_str().to_owned())
            .collect();
        if has("operator_key") && scopes.is_empty() {
            scopes.insert("read".to_owned());
        }
        Self {
            operator: has("operator_key"),
            partner: has("partner_key"),
            postback: has("postback_token") || has("postback_signature"),
            scopes,
            successes: operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .filter_map(|status| status.parse().ok())
                .filter(|status| *status < 400)
                .collect(),
        }
    }

    fn is_public(&self) -> bool {
        !self.operator && !self.partner && !self.postback
    }

    /// Whether a key of that one scope is enough. Whoever has a key may read.
    fn allows(&self, scope: &str) -> bool {
        self.operator && (self.scopes.contains(scope) || self.scopes.contains("read"))
    }
}

/// The operations of the document by `METHOD /template`.
fn operations(document: &Value) -> BTreeMap<String, Operation> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| {
                    let route = format!("{} {path}", method.to_uppercase());
                    (route, Operation::read(operation))
                })
        })
        .collect()
}

/// A line of the walk, ready to be sent.
pub(crate) struct Line<'a> {
    pub(crate) route: &'a str,
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a Value>,
}

impl Line<'_> {
    pub(crate) async fn ask(&self, world: &World, key: &str) -> Answer {
        let method = self.method.clone();
        world
            .ask(key, method, self.path, self.headers, self.body)
            .await
    }

    /// Whether it only reads, so that all who may can ask it one after the other.
    fn only_reads(&self, operation: &Operation) -> bool {
        self.method == Method::GET && !operation.postback
    }

    /// Whether it is about a record or a partner that it names.
    fn names_a_record(&self) -> bool {
        self.route.contains('{') || self.path.contains("partner=ptr_")
    }
}

/// Asks each line of the walk as everybody, and notes who was answered.
pub(crate) struct Matrix {
    operations: BTreeMap<String, Operation>,
    /// A key of each narrow scope and nothing else.
    operators: BTreeMap<&'static str, String>,
    /// The key of a partner that is in no program.
    stranger: String,
    /// Keys of the partners that the walk makes.
    partners: Mutex<Vec<String>>,
    seen: Mutex<BTreeSet<(String, Caller)>>,
}

impl Matrix {
    pub(crate) async fn of(world: &World) -> Self {
        let document = world.get("/openapi.json").await.expect(200).body;
        let operator = json!({ "name": "Grace", "email": "grace@vendor.example" });
        let operator = world.post("/v1/operators", operator).await.expect(201);
        let keys = format!("/v1/operators/{}/keys", operator.str("id"));
        let mut operators = BTreeMap::new();
        for scope in NARROW {
            let key = world.post(&keys, json!({ "scopes": [scope] })).await;
            operators.insert(scope, key.expect(201).str("key").to_owned());
        }
        let partner = async |name: &str| {
            let body = json!({ "name": name, "email": "z@example.com", "country": "GB", "kind": "affiliate" });
            let made = world.post("/v1/partners", body).await.expect(201);
            key_of(world, made.str("id")).await
        };
        Self {
            operations: operations(&document),
            operators,
            stranger: partner("Zed").await,
            // What is no partner's business is refused to one before the walk makes any.
            partners: Mutex::new(vec![partner("Early").await]),
            seen: Mutex::default(),
        }
    }

    fn note(&self, route: &str, caller: Caller) {
        self.seen.lock().unwrap().insert((route.to_owned(), caller));
    }

    /// The key that is just enough for a route: none, one of its scope, or else `admin`'s.
    pub(crate) fn key<'a>(&'a self, route: &str, admin: &'a str) -> &'a str {
        let Some(operation) = self.operations.get(route) else {
            return admin;
        };
        if operation.is_public() {
            return "";
        }
        let mut operators = self.operators.iter();
        let enough = operators.find(|(scope, _)| operation.allows(scope));
        enough.map_or(admin, |(_, key)| key)
    }

    /// Asks a line as all who shall be refused.
    pub(crate) async fn refused(&self, world: &World, line: &Line<'_>) {
        let route = line.route;
        let Some(operation) = self
            .operations
            .get(route)
            .filter(|found| !found.is_public())
        else {
            return;
        };
        // A token in the query would be enough by itself.
        let path = line.path.split("&token=").next().unwrap();
        let line = &Line {
            path,
            headers: line.headers,
            body: line.body,
            method: line.method.clone(),
            route,
        };
        let demand = async |key: &str, caller: Caller, expected: &[u16]| {
            let answer = line.ask(world, key).await;
            let status = answer.status.as_u16();
            assert!(
                expected.contains(&status),
                "{route} answers {caller:?} with {status} where {expected:?} is due: {}",
                answer.text
            );
            self.note(route, caller);
        };
        demand("", Caller::Nobody, &[401]).await;
        for (scope, key) in &self.operators {
            if !operation.allows(scope) {
                demand(key, Caller::OperatorWithout, &[403]).await;
            }
        }
        if !operation.operator {
            demand(&world.key, Caller::OperatorWithout, &[403]).await;
        }
        let partners = self.partners.lock().unwrap().clone();
        if !operation.partner {
            demand(&self.stranger, Caller::ForeignPartner, &[403]).await;
            for key in &partners {
                demand(key, Caller::OwnPartner, &[403]).await;
            }
        } else if line.names_a_record() {
            demand(&self.stranger, Caller::ForeignPartner, &[404]).await;
        } else if !line.only_reads(operation) {
            // What a partner makes is its own; one that is in no program can make nothing in any.
            demand(&self.stranger, Caller::ForeignPartner, &[403, 404, 422]).await;
        }
    }

    /// Asks a line that was answered as all others who may.
    pub(crate) async fn allowed(&self, world: &World, line: &Line<'_>, key: &str, answer: &Answer) {
        let route = line.route;
        if route == "POST /v1/partners" {
            let key = key_of(world, answer.str("id")).await;
            self.partners.lock().unwrap().push(key);
        }
        let Some(operation) = self.operations.get(route) else {
            return;
        };
        let documented = |answer: &Answer| {
            assert!(
                operation.successes.contains(&answer.status.as_u16()),
                "{route} answers {}, which is not documented: {:?}",
                answer.status,
                operation.successes
            );
        };
        documented(answer);
        let partners = self.partners.lock().unwrap().clone();
        let caller = if key.is_empty() {
            Caller::Nobody
        } else if is_partners(world, key).await {
            Caller::OwnPartner
        } else {
            Caller::OperatorWith
        };
        self.note(route, caller);
        if !line.only_reads(operation) {
            return;
        }
        // A partner's own list is nothing an operator can ask for in the same words.
        let is_own_list = caller == Caller::OwnPartner && !line.names_a_record();
        for (scope, key) in self.operators.iter().filter(|_| !is_own_list) {
            if operation.is_public() || operation.allows(scope) {
                documented(&line.ask(world, key).await);
                self.note(route, Caller::OperatorWith);
            }
        }
        // Some lists are a program's, which is the vendor's to look through.
        let is_refused = |answer: &Answer| match answer.status.as_u16() {
            404 => line.names_a_record(),
            403 => !line.route.contains('{') && line.path.contains("program="),
            _ => false,
        };
        if operation.partner && !line.names_a_record() {
            // Everybody may ask for a list of their own, in which nothing of others is.
            let answer = line.ask(world, &self.stranger).await;
            if !is_refused(&answer) {
                documented(&answer);
                assert_eq!(answer.items().len(), 0, "{route}: {}", answer.text);
                self.note(route, Caller::ForeignPartner);
            }
        }
        if !operation.partner && !operation.is_public() {
            return;
        }
        for key in &partners {
            let answer = line.ask(world, key).await;
            if !is_refused(&answer) {
                documented(&answer);
                self.note(route, Caller::OwnPartner);
            }
        }
    }

    /// The callers of a route of whom nobody knows how it answers them.
    fn missing(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let mut missing = Vec::new();
        for (route, operation) in &self.operations {
            let Operation {
                operator,
                partner,
                postback,
                scopes,
                successes: _,
            } = operation;
            let mut callers = vec![Caller::Nobody];
            if *operator || *partner || *postback {
                callers.extend([Caller::ForeignPartner, Caller::OwnPartner]);
            }
            if *operator {
                callers.push(Caller::OperatorWith);
            }
            if (*operator && !scopes.contains("read")) || (*partner && !*operator) {
                callers.push(Caller::OperatorWithout);
            }
            for caller in callers {
                if seen.contains(&(route.clone(), caller)) {
                    continue;
                }
                let how = match caller {
                    Caller::OwnPartner if *partner => "court.ask_as(&key_of_its_partner, ",
                    _ => "court.ask(",
                };
                missing.push(format!(
                    "{caller:?}: add to the walk in tests/tests/roles.rs: {how}\"{route}\", &[ids], \"?query\", body)"
                ));
            }
        }
        missing
    }
}

async fn is_partners(world: &World, key: &str) -> bool {
    let me = world.ask(key, Method::GET, "/v1/me", &[], None).await;
    me.expect(200).body["partner"].is_string()
}

/// A new key of a partner.
async fn key_of(world: &World, partner: &str) -> String {
    let keys = format!("/v1/partners/{partner}/keys");
    let key = world.post(&keys, json!({})).await.expect(201);
    key.str("key").to_owned()
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_document_says() {
    let world = World::start().await;
    let matrix = Matrix::of(&world).await;
    assert!(matrix.operations.len() > 90, "the document has shrunk");
    let court = Court::with_matrix(world, matrix);
    walk(&court).await;
    let missing = court.matrix().unwrap().missing();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The README's column of principals says what the document says.
#[tokio::test]
async fn the_readme_names_the_principals_of_the_document() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await.expect(200).body;
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let written: BTreeMap<&str, &str> = readme
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let route = cells.next()?.strip_suffix('`')?;
            Some((route, cells.nth(1)?))
        })
        .collect();
    let mut differing = Vec::new();
    for (route, operation) in operations(&document) {
        let Some(principals) = written.get(route.as_str()) else {
            differing.push(format!("{route} is not in the README"));
            continue;
        };
        let names = |word: &str| {
            principals
                .split(|c: char| !c.is_alphanumeric())
                .any(|found| found == word)
        };
        let stated: BTreeSet<String> = NARROW
            .into_iter()
            .chain(["admin"])
            .filter(|scope| {
                // What is behind a semicolon is asked for in addition, under conditions.
                let first = principals.split(';').next().unwrap();
                first
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|found| found == *scope)
            })
            .map(str::to_owned)
            .collect();
        let agrees = operation.operator == names("operator")
            && operation.partner == names("partner")
            && operation.postback == names("token")
            && operation.is_public() == names("open")
            && (stated == operation.scopes
                || (stated.is_empty() && operation.scopes.contains("read"))
                || operation.postback);
        if !agrees {
            differing.push(format!(
                "{route}: the README has {principals:?}, the document {operation:?}"
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
