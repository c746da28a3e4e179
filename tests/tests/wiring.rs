//! The template, the watch router, the sample events, the OpenAPI document and the functions agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use axum::http::Method;
use serde_json::Value;
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
    let pages = ["/", "/docs", "/docs/{asset}", "/openapi.json", "/health"];
    let declared: BTreeSet<(String, String)> = routes(&world)
        .into_iter()
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
        "/",
        "/docs",
        "/docs/{asset}",
        "/openapi.json",
        "/health",
    ];
    for (method, path, _) in routes(&world) {
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

#[tokio::test]
async fn the_sample_events_are_taken() {
    let world = World::start().await;
    for function in tributary_local::functions::all() {
        let path = root()
            .join("events")
            .join(format!("{}.json", function.package));
        let event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        match function.kind {
            tributary_local::functions::Kind::Triggered(handle) => {
                handle(world.instance.app().clone(), event)
                    .await
                    .unwrap_or_else(|error| panic!("{}: {error}", function.package));
            }
            tributary_local::functions::Kind::Http(_) => {
                let method = event["requestContext"]["http"]["method"].as_str().unwrap();
                let uri = format!(
                    "{}?{}",
                    event["rawPath"].as_str().unwrap(),
                    event["rawQueryString"].as_str().unwrap_or_default()
                );
                let key = event["headers"]["authorization"]
                    .as_str()
                    .unwrap_or_default()
                    .trim_start_matches("Bearer ")
                    .to_owned();
                let answer = world
                    .ask(
                        &key,
                        Method::from_bytes(method.as_bytes()).unwrap(),
                        &uri,
                        &[],
                        None,
                    )
                    .await;
                assert!(
                    answer.status.as_u16() < 500,
                    "{}: {}",
                    function.package,
                    answer.text
                );
                assert_ne!(
                    answer.str("detail"),
                    "there is no such page",
                    "{}",
                    function.package
                );
            }
        }
    }
}
