//! The direction of imports, and the purity of models.

use std::path::{Path, PathBuf};

const NOUNS: [&str; 8] = [
    "claims",
    "commissions",
    "ledger",
    "operators",
    "partners",
    "payouts",
    "programs",
    "tracking",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let product = text.split("#[cfg(test)]").next().unwrap();
    product
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Lines that hold one of the words; the message names file, line and word.
fn forbid(path: &Path, words: &[&str], why: &str) -> Vec<String> {
    let code = code(path);
    let mut found = Vec::new();
    for line in code.lines() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            found.push(format!(
                "{}: {word:?} in {:?}: {why}",
                path.strip_prefix(root()).unwrap().display(),
                line.trim()
            ));
        }
    }
    found
}

fn demand_none(found: Vec<String>) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn models_are_pure() {
    let impure = [
        "async ",
        "crate::table",
        "crate::edge",
        "aws_",
        "serde",
        "tokio",
        "Clock",
        "Timestamp::now",
        "getrandom",
        "fastrand",
        "std::env",
        "std::fs",
        "std::net",
        "println!",
        "f32",
        "f64",
    ];
    let shared = root().join("shared/src");
    let models: Vec<PathBuf> = NOUNS
        .iter()
        .map(|noun| shared.join(noun).join("model.rs"))
        .filter(|path| path.exists())
        .collect();
    assert!(models.len() >= 7, "the models have moved");
    let mut found: Vec<String> = models
        .iter()
        .flat_map(|path| forbid(path, &impure, "models are pure"))
        .collect();
    for value in ["money.rs", "ids.rs"] {
        found.extend(forbid(
            &shared.join(value),
            &["async ", "crate::table", "crate::edge", "f32", "f64"],
            "values are pure",
        ));
    }
    demand_none(found);
}

#[test]
fn the_table_layer_knows_no_noun_and_is_alone_with_the_client() {
    let shared = root().join("shared/src");
    let nouns: Vec<String> = NOUNS.iter().map(|noun| format!("crate::{noun}")).collect();
    let mut words: Vec<&str> = nouns.iter().map(String::as_str).collect();
    words.push("crate::edge");
    let mut found: Vec<String> = rust_files(&shared.join("table"))
        .iter()
        .flat_map(|path| forbid(path, &words, "the table knows no noun"))
        .collect();
    for path in rust_files(&shared) {
        let relative = path.strip_prefix(&shared).unwrap().to_owned();
        // The edge builds the client, once; only the table layer uses it.
        if !relative.starts_with("table") && relative != Path::new("edge/serve.rs") {
            found.extend(forbid(
                &path,
                &["aws_sdk_dynamodb"],
                "only the table layer uses the client",
            ));
        }
    }
    demand_none(found);
}

#[test]
fn stores_know_keys_and_items_and_nothing_of_requests() {
    let shared = root().join("shared/src");
    let stores = NOUNS
        .iter()
        .map(|noun| shared.join(noun).join("store.rs"))
        .filter(|path| path.exists());
    demand_none(
        stores
            .flat_map(|path| {
                forbid(
                    &path,
                    &["crate::edge", "axum", "Problem"],
                    "stores know no requests",
                )
            })
            .collect(),
    );
}

#[test]
fn functions_hold_no_aws_clients_no_environment_and_no_store() {
    let words = [
        "aws_sdk",
        "aws_config",
        "std::env",
        "tributary::table",
        "::store::",
    ];
    let functions = rust_files(&root().join("functions"));
    assert!(functions.len() >= 24, "the functions have moved");
    demand_none(
        functions
            .iter()
            .flat_map(|path| forbid(path, &words, "functions only route"))
            .collect(),
    );
}

#[test]
fn binaries_are_a_few_lines() {
    for path in rust_files(&root().join("functions"))
        .into_iter()
        .filter(|path| path.ends_with("src/main.rs"))
    {
        let lines = code(&path)
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count();
        assert!(lines <= 6, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_scans_a_table() {
    let sources = rust_files(&root().join("shared/src"))
        .into_iter()
        .chain(rust_files(&root().join("functions")));
    demand_none(
        sources
            .flat_map(|path| forbid(&path, &[".scan()"], "lists walk an index"))
            .collect(),
    );
}

#[test]
fn product_code_does_not_unwrap() {
    let sources = rust_files(&root().join("shared/src"))
        .into_iter()
        .chain(rust_files(&root().join("functions")));
    let words = [
        ".unwrap()",
        "panic!(",
        "todo!(",
        "unimplemented!(",
        "unreachable!(",
    ];
    demand_none(
        sources
            .flat_map(|path| forbid(&path, &words, "errors are answered"))
            .collect(),
    );
}
