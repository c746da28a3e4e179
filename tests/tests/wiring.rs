//! The template, the watch router, the sample events, the OpenAPI document and the functions agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tributary_local::functions::Kind;
use tributary_local::template::RouteDef;
use tributary_tests::World;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn folders(of: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(of)).unwrap();
    entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// The template's routes as method, path and the function's folder.
fn routes(world: &World) -> Vec<(String, String, String)> {
    let cloud = world.instance.cloud();
    let packages: BTreeMap<String, String> = cloud
        .app_template()
        .functions()
        .unwrap()
        .into_iter()
        .map(|function| (function.logical, function.package))
        .collect();
    let routes: Vec<RouteDef> = cloud.app_template().routes().unwrap();
    routes
        .into_iter()
        .map(|route| (route.method, route.path, packages[&route.function].clone()))
        .collect()
}

#[tokio::test]
async fn every_function_is_a_folder_a_template_entry_a_sample_event_and_built_in() {
    let world = World::start().await;
    let declared: BTreeSet<String> = world
        .instance
        .cloud()
        .app_template()
        .functions()
        .unwrap()
        .into_iter()
        .map(|function| function.package)
        .collect();
    let events: BTreeSet<String> = std::fs::read_dir(root().join("events"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let built_in: BTreeSet<String> = tributary_local::functions::all()
        .iter()
        .map(|function| function.package.to_owned())
        .collect();
    assert_eq!(declared, folders("functions"));
    assert_eq!(declared, events);
    assert_eq!(declared, built_in);
}

#[tokio::test]
async fn the_watch_router_serves_the_templates_routes() {
    let world = World::start().await;
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table = manifest
        .split("[workspace.metadata.lambda.watch.router]")
        .nth(1)
        .unwrap();
    let watched: BTreeMap<String, String> = table
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| {
            let (path, function) = line.split_once(" = ")?;
            Some((
                path.trim_matches('"').to_owned(),
                function.trim().trim_matches('"').to_owned(),
            ))
        })
        .collect();
    let declared: BTreeMap<String, String> = routes(&world)
        .into_iter()
        .map(|(_, path, package)| (path, package))
        .collect();
    assert_eq!(watched, declared);
}

#[tokio::test]
async fn the_openapi_document_and_the_template_have_the_same_routes() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await.expect(200).body;
    assert_eq!(document["openapi"].as_str().unwrap(), "3.1.0");
    let methods = ["get", "post", "put", "patch", "delete", "head"];
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| methods.contains(&key.as_str()))
        {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    // What people and load balancers open is no part of the API.
    let pages = ["/docs", "/docs/{asset}", "/openapi.json", "/health"];
    let declared: BTreeSet<(String, String)> = routes(&world)
        .into_iter()
        .filter(|(.., package)| package != "portal")
        .map(|(method, path, _)| (method, path))
        .filter(|(method, path)| method != "HEAD" && !pages.contains(&path.as_str()))
        .collect();
    let documented: BTreeSet<(String, String)> = documented
        .into_iter()
        .filter(|(method, path)| method != "HEAD" && !pages.contains(&path.as_str()))
        .collect();
    assert_eq!(documented, declared);
}

#[tokio::test]
async fn every_route_reaches_a_handler_and_asks_who_is_there() {
    let world = World::start().await;
    let open = [
        "/c/{code}",
        // Asked by applicants, who have no key.
        "/v1/programs/{id}/application-form",
        "/v1/programs/{id}/applications",
        "/v1/programs/{id}/applications:confirm",
        "/v1/programs/{id}/applications:answer",
        "/docs",
        "/docs/{asset}",
        "/openapi.json",
        "/health",
    ];
    for (method, path, package) in routes(&world) {
        if package == "portal" {
            continue;
        }
        let concrete = path
            .replace("{asset}", "style.css")
            .replace(['{', '}'], "x");
        let answer = world
            .ask(
                "",
                Method::from_bytes(method.as_bytes()).unwrap(),
                &concrete,
                &[],
                None,
            )
            .await;
        let code = answer.str("code");
        assert_ne!(code, "method_not_allowed", "{method} {path}");
        assert!(
            answer.str("detail") != "there is no such page",
            "{method} {path} reaches no handler"
        );
        // Whoever leaves a lead has no key: a form that is not there is told so, or what the form lacks.
        if path.ends_with("/leads:challenge") || path.ends_with("/leads:form") {
            assert_eq!(answer.status.as_u16(), 404, "{method} {path}");
            continue;
        }
        if !open.contains(&path.as_str()) {
            // A postback names its program first: one that does not exist is told so.
            let refused = [401, 404];
            assert!(
                refused.contains(&answer.status.as_u16()),
                "{method} {path}: {}",
                answer.text
            );
            if !path.starts_with("/v1/postbacks/") {
                assert_eq!(
                    answer.status.as_u16(),
                    401,
                    "{method} {path}: {}",
                    answer.text
                );
            }
        }
    }
}

/// The request that API Gateway's event describes, nothing left out.
fn request_of(event: &Value) -> Request<Body> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap();
    assert_eq!(text("/rawPath"), text("/requestContext/http/path"));
    assert_eq!(event["isBase64Encoded"], false);
    let uri = match text("/rawQueryString") {
        "" => text("/rawPath").to_owned(),
        query => format!("{}?{query}", text("/rawPath")),
    };
    let mut request = Request::builder()
        .method(text("/requestContext/http/method"))
        .uri(uri);
    for (name, value) in event["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    let body = event["body"].as_str().unwrap_or_default().to_owned();
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn the_sample_events_are_taken() {
    let world = World::start().await;
    let answers: BTreeMap<&str, (u16, &str)> = BTreeMap::from([
        // Their ids are nobody's, and their keys nobody's either.
        ("click", (404, "")),
        ("applications", (401, "unauthenticated")),
        ("conversions", (401, "unauthenticated")),
        ("deals", (401, "unauthenticated")),
        ("claims", (401, "unauthenticated")),
        ("disputes", (401, "unauthenticated")),
        ("leads", (401, "unauthenticated")),
        ("docs", (200, "")),
        ("imports", (401, "unauthenticated")),
        ("operators", (401, "unauthenticated")),
        ("partners", (401, "unauthenticated")),
        ("payouts", (401, "unauthenticated")),
        ("portal", (200, "")),
        ("postback", (404, "not_found")),
        ("programs", (401, "unauthenticated")),
        ("reports", (401, "unauthenticated")),
    ]);
    let mut seen = BTreeMap::new();
    for function in tributary_local::functions::all() {
        let path = root()
            .join("events")
            .join(format!("{}.json", function.package));
        let event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        match function.kind {
            Kind::Triggered(handle) => {
                let answer = handle(world.instance.app().clone(), event)
                    .await
                    .unwrap_or_else(|error| panic!("{}: {error}", function.package));
                if function.package != "clockwork" {
                    let failures = &answer["batchItemFailures"];
                    assert_eq!(*failures, json!([]), "{}", function.package);
                }
            }
            Kind::Http(_) => {
                let answer = world.send(request_of(&event)).await;
                seen.insert(
                    function.package,
                    (answer.status.as_u16(), answer.str("code").to_owned()),
                );
            }
        }
    }
    let answers: BTreeMap<&str, (u16, String)> = answers
        .into_iter()
        .map(|(package, (status, code))| (package, (status, code.to_owned())))
        .collect();
    assert_eq!(seen, answers);
}

#[tokio::test]
async fn the_sample_postback_is_a_conversion_where_its_program_and_token_stand() {
    let world = World::start().await;
    let stand = world.stand().await;
    let path = root().join("events/postback.json");
    let text = std::fs::read_to_string(path).unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    let theirs = event["rawPath"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let mut event: Value = serde_json::from_str(&text.replace(theirs, &stand.program)).unwrap();
    event["headers"]["x-postback-token"] = json!(stand.token);
    let _ = world.send(request_of(&event)).await.expect(201);
}

/// A template with CloudFormation's short forms written out, references left as they are.
fn template(name: &str) -> Value {
    fn plain(value: yaml_serde::Value) -> Value {
        match value {
            yaml_serde::Value::Tagged(tagged) => {
                json!({ tagged.tag.to_string(): plain(tagged.value) })
            }
            yaml_serde::Value::Sequence(list) => list.into_iter().map(plain).collect(),
            yaml_serde::Value::Mapping(map) => Value::Object(
                map.into_iter()
                    .map(|(key, value)| (key.as_str().unwrap().to_owned(), plain(value)))
                    .collect(),
            ),
            leaf => serde_json::to_value(leaf).unwrap(),
        }
    }
    let text = std::fs::read_to_string(root().join("infra").join(name)).unwrap();
    plain(yaml_serde::from_str(&text).unwrap())
}

/// Resources of a kind with their properties.
fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_object().unwrap();
    let found: Vec<_> = all
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
        .collect();
    assert!(!found.is_empty(), "there is no {kind}");
    found
}

/// What a reference names, whichever form it has: `!Ref CommissionsQueueArn` and `!GetAtt CommissionsQueue.Arn`
/// are the same queue's.
fn named(reference: &Value) -> String {
    let text = reference
        .as_object()
        .and_then(|form| form.values().next())
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{reference} is no reference"));
    text.trim_end_matches(".Arn")
        .trim_end_matches("Arn")
        .to_owned()
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    }
}

/// Every way in which these templates break a rule that each of their resources must keep.
fn broken_rules(data: &Value, app: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut demand = |holds: bool, rule: String| {
        if !holds {
            broken.push(rule);
        }
    };
    let queues: BTreeMap<&str, &Value> = resources(data, "AWS::SQS::Queue").into_iter().collect();
    let functions: BTreeMap<&str, &Value> = resources(app, "AWS::Serverless::Function")
        .into_iter()
        .collect();
    let dead_letters: BTreeSet<String> = queues
        .values()
        .filter_map(|queue| queue.pointer("/RedrivePolicy/deadLetterTargetArn"))
        .map(named)
        .collect();

    for (name, source) in resources(app, "AWS::Lambda::EventSourceMapping") {
        let from = named(&source["EventSourceArn"]);
        let Some(queue) = queues.get(from.as_str()) else {
            let kept = source.pointer("/DestinationConfig/OnFailure/Destination");
            let kept = kept.is_some_and(|kept| queues.contains_key(named(kept).as_str()));
            demand(kept, format!("{name} drops what fails for good"));
            let bisects = source["BisectBatchOnFunctionError"] == true;
            demand(bisects, format!("{name} does not bisect"));
            let retries = source["MaximumRetryAttempts"].as_u64();
            demand(retries.is_some(), format!("{name} retries for ever"));
            continue;
        };
        let function = functions[named(&source["FunctionName"]).as_str()];
        let timeout = function["Timeout"].as_u64().unwrap();
        let visibility = queue["VisibilityTimeout"].as_u64().unwrap_or(30);
        demand(
            visibility >= 6 * timeout,
            format!(
                "{from} shows messages again after {visibility} s, its function has {timeout} s"
            ),
        );
        let tries = queue.pointer("/RedrivePolicy/maxReceiveCount");
        let tries = tries.and_then(Value::as_u64).unwrap_or(0);
        demand(tries >= 10, format!("{from} gives up after {tries} tries"));
        let concurrency = source.pointer("/ScalingConfig/MaximumConcurrency");
        demand(concurrency.is_some(), format!("{name} has no maximum"));
        let partial = source["FunctionResponseTypes"] == json!(["ReportBatchItemFailures"]);
        demand(partial, format!("{name} repeats whole batches"));
    }
    for name in queues.keys() {
        let is_last = dead_letters.contains(*name) || name.ends_with("DeadLetters");
        let leads_on = queues[name].get("RedrivePolicy").is_some();
        demand(is_last || leads_on, format!("{name} has no dead letters"));
    }
    for (name, rule) in resources(app, "AWS::Events::Rule") {
        for target in list(&rule["Targets"]) {
            let kept = target.pointer("/DeadLetterConfig/Arn").is_some();
            demand(kept, format!("{name} drops what it cannot hand over"));
        }
    }

    let alarms = resources(app, "AWS::CloudWatch::Alarm");
    let watched = |metric: &str, dimension: &str, of: &dyn Fn(String) -> bool| {
        alarms.iter().any(|(_, alarm)| {
            alarm["MetricName"] == metric
                && list(&alarm["Dimensions"])
                    .iter()
                    .any(|held| held["Name"] == dimension && of(named(&held["Value"])))
        })
    };
    for name in functions.keys() {
        let is_watched = watched("Errors", "FunctionName", &|of| of == *name);
        demand(is_watched, format!("{name} has no alarm on errors"));
    }
    for name in queues.keys() {
        let (metric, what) = if queues[name].get("RedrivePolicy").is_some() {
            ("ApproximateAgeOfOldestMessage", "age")
        } else {
            ("ApproximateNumberOfMessagesVisible", "depth")
        };
        let is_watched = watched(metric, "QueueName", &|of| of == format!("{name}Name"));
        demand(is_watched, format!("{name} has no alarm on its {what}"));
    }

    let roles = resources(app, "AWS::IAM::Role");
    demand(
        roles.len() == functions.len(),
        format!("{} functions share {} roles", functions.len(), roles.len()),
    );
    for (name, role) in roles {
        demand(
            role.get("ManagedPolicyArns").is_none(),
            format!("{name} has a policy of somebody else's"),
        );
        for policy in list(&role["Policies"]) {
            let statements = list(&policy["PolicyDocument"]["Statement"]);
            assert!(!statements.is_empty());
            for statement in statements {
                for action in list(&statement["Action"]) {
                    let is_exact = action.as_str().is_some_and(|action| !action.contains('*'));
                    demand(is_exact, format!("{name} may do {action}"));
                }
                for resource in list(&statement["Resource"]) {
                    let text = resource.to_string();
                    demand(!text.contains('*'), format!("{name} may touch {text}"));
                }
            }
        }
    }
    for (name, function) in functions {
        demand(
            function.get("Policies").is_none() && function.get("Role").is_some(),
            format!("{name} has no role of its own"),
        );
    }
    broken
}

#[test]
fn queues_streams_alarms_and_roles_keep_the_rules() {
    let (data, app) = (template("data.yaml"), template("app.yaml"));
    assert_eq!(broken_rules(&data, &app), Vec::<String>::new());

    // Each rule is one that a template can break.
    let source = "/Resources/CommissionFromQueue/Properties";
    let stream = "/Resources/RelayFromStream/Properties";
    let role = "/Resources/ClickRole/Properties/Policies/0/PolicyDocument/Statement/1";
    let queue = "/Resources/CommissionsQueue/Properties";
    for (changed, place, value, complaint) in [
        (
            "data",
            format!("{queue}/VisibilityTimeout"),
            json!(179),
            "shows messages again",
        ),
        (
            "data",
            format!("{queue}/RedrivePolicy/maxReceiveCount"),
            json!(9),
            "gives up after",
        ),
        (
            "data",
            format!("{queue}/RedrivePolicy"),
            Value::Null,
            "has no dead letters",
        ),
        (
            "app",
            format!("{stream}/DestinationConfig"),
            Value::Null,
            "drops what fails for good",
        ),
        (
            "app",
            format!("{stream}/BisectBatchOnFunctionError"),
            json!(false),
            "does not bisect",
        ),
        (
            "app",
            format!("{stream}/MaximumRetryAttempts"),
            Value::Null,
            "retries for ever",
        ),
        (
            "app",
            format!("{source}/FunctionResponseTypes"),
            json!([]),
            "repeats whole batches",
        ),
        (
            "app",
            format!("{source}/ScalingConfig"),
            Value::Null,
            "has no maximum",
        ),
        (
            "app",
            "/Resources/ClickErrors".to_owned(),
            Value::Null,
            "has no alarm on errors",
        ),
        (
            "app",
            "/Resources/PayoutsQueueAge".to_owned(),
            Value::Null,
            "has no alarm on its age",
        ),
        (
            "app",
            "/Resources/TriggerDeadLettersDepth".to_owned(),
            Value::Null,
            "has no alarm on its depth",
        ),
        (
            "app",
            "/Resources/EveryMinute/Properties/Targets/0/DeadLetterConfig".to_owned(),
            Value::Null,
            "drops what it cannot hand over",
        ),
        (
            "app",
            format!("{role}/Action/0"),
            json!("dynamodb:*"),
            "may do",
        ),
        ("app", format!("{role}/Resource"), json!("*"), "may touch"),
        (
            "app",
            "/Resources/ClickRole".to_owned(),
            Value::Null,
            "share",
        ),
    ] {
        let (mut data, mut app) = (data.clone(), app.clone());
        let document = if changed == "data" {
            &mut data
        } else {
            &mut app
        };
        let (parent, name) = place.rsplit_once('/').unwrap();
        match document.pointer_mut(parent).unwrap() {
            Value::Object(held) if value.is_null() => {
                assert!(held.remove(name).is_some(), "{place}")
            }
            held => *held.pointer_mut(&format!("/{name}")).unwrap() = value,
        }
        let broken = broken_rules(&data, &app);
        assert!(
            broken.iter().any(|rule| rule.contains(complaint)),
            "{place}: {broken:?}"
        );
    }
}
