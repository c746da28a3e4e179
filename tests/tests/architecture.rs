//! The direction of imports, and the purity of models.

use std::path::{Path, PathBuf};

const NOUNS: [&str; 27] = [
    "agreements",
    "applications",
    "channel",
    "claims",
    "commissions",
    "customers",
    "deals",
    "disputes",
    "events",
    "imports",
    "invoices",
    "leads",
    "ledger",
    "mail",
    "merges",
    "onboarding",
    "operators",
    "partners",
    "payouts",
    "people",
    "plans",
    "programs",
    "rates",
    "reports",
    "sessions",
    "tracking",
    "what_ifs",
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

/// What no pure code has.
const IMPURE: [&str; 16] = [
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

#[test]
fn models_are_pure() {
    let shared = root().join("shared/src");
    let models: Vec<PathBuf> = NOUNS
        .iter()
        .map(|noun| shared.join(noun).join("model.rs"))
        .chain([
            shared.join("commissions/fold.rs"),
            shared.join("commissions/book.rs"),
            shared.join("commissions/trace.rs"),
            shared.join("commissions/what_if.rs"),
            shared.join("customers/mail_domains.rs"),
            shared.join("customers/names.rs"),
            shared.join("deals/policy.rs"),
            shared.join("hours.rs"),
            shared.join("imports/rows.rs"),
            shared.join("leads/routing.rs"),
        ])
        .filter(|path| path.exists())
        .collect();
    assert!(models.len() >= 7, "the models have moved");
    // What is said of plans is as pure, though it knows the calculation.
    let said = ["plans/sentences.rs", "plans/examples.rs"].map(|path| shared.join(path));
    // What is written down is a function of the figures, and a model in all but its imports.
    let papers = ["reports/paper.rs", "invoices/page.rs"].map(|path| shared.join(path));
    let mut found: Vec<String> = models
        .iter()
        .chain(&papers)
        .chain(&said)
        .flat_map(|path| forbid(path, &IMPURE, "models are pure"))
        .collect();
    // Of another noun a model knows its model; of its own noun, nothing but itself and what is as pure.
    let pure_siblings = [
        "use super::book::",
        "use super::fold::",
        "use super::mail_domains::",
        "use super::model::",
        "use super::policy::",
        "use super::rows::",
        "use super::routing::",
    ];
    let others: Vec<String> = NOUNS
        .iter()
        .map(|noun| format!("crate::{noun}::"))
        .collect();
    for path in &models {
        let code = code(path);
        for line in code.lines() {
            let foreign = others.iter().find_map(|other| line.split_once(other));
            if foreign.is_some_and(|(_, rest)| !rest.starts_with("model::"))
                || pure_siblings
                    .iter()
                    .fold(line.to_owned(), |line, pure| line.replace(pure, ""))
                    .contains("super::")
            {
                found.push(format!("{}: {line}: models know models", path.display()));
            }
        }
    }
    demand_none(found);
}

#[test]
fn payment_files_are_pure() {
    let files = rust_files(&root().join("shared/src/payouts/files"));
    assert!(files.len() >= 5, "the payment files have moved");
    let pure = |path: &PathBuf| forbid(path, &IMPURE, "a file is a function of what is frozen");
    demand_none(files.iter().flat_map(pure).collect());
}

#[test]
fn every_noun_is_known_here() {
    let entries = std::fs::read_dir(root().join("shared/src")).unwrap();
    let mut folders: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !["edge", "table"].contains(&name.as_str()))
        .collect();
    folders.sort();
    assert_eq!(folders, NOUNS, "a noun that no rule here looks at");
}

#[test]
fn values_know_no_noun_and_no_higher_layer() {
    let shared = root().join("shared/src");
    let nouns: Vec<String> = NOUNS.iter().map(|noun| format!("crate::{noun}")).collect();
    let mut words: Vec<&str> = nouns.iter().map(String::as_str).collect();
    words.extend([
        "async ",
        "crate::table",
        "crate::edge",
        "aws_",
        "tokio",
        "getrandom",
        "fastrand",
        "std::env",
        "std::fs",
        "std::net",
    ]);
    let mut found = Vec::new();
    for value in ["money.rs", "ids.rs", "clock.rs"] {
        let path = shared.join(value);
        found.extend(forbid(&path, &words, "values know no higher layer"));
    }
    for value in ["money.rs", "ids.rs"] {
        let now = ["Clock", "Timestamp::now"];
        found.extend(forbid(&shared.join(value), &now, "values are pure"));
    }
    demand_none(found);
}

#[test]
fn time_chance_environment_and_floats_come_in_where_they_are_meant_to() {
    let shared = root().join("shared/src");
    let mut found = Vec::new();
    let sources = rust_files(&shared)
        .into_iter()
        .chain(rust_files(&root().join("functions")));
    for path in sources {
        let place = path
            .strip_prefix(&shared)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        for (words, homes, why) in [
            (
                &["Timestamp::now", "SystemTime", "Zoned::now"][..],
                &["clock.rs", "edge/telemetry.rs"][..],
                "now comes from the injected clock",
            ),
            (
                &["getrandom", "fastrand"],
                &[
                    "edge/app.rs",
                    "edge/keyring.rs",
                    "table/mod.rs",
                    "table/write.rs",
                ],
                "chance is injected, but for nonces, pauses and marks",
            ),
            (
                &["std::env"],
                &["edge/serve.rs", "edge/telemetry.rs"],
                "the environment is read once",
            ),
            // JSON has floats: its reader carries them to the fields, which refuse them.
            (
                &["f32", "f64"],
                // Distances are not money.
                &["edge/json.rs", "places.rs"],
                "no float is anywhere near money",
            ),
            (
                &["tributary_local"],
                &[],
                "the product knows no embedded cloud",
            ),
        ] {
            if !homes.contains(&place.as_str()) {
                found.extend(forbid(&path, words, why));
            }
        }
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
    let others: Vec<String> = NOUNS
        .iter()
        .map(|noun| format!("crate::{noun}::"))
        .collect();
    let mut found = Vec::new();
    for noun in NOUNS {
        let path = shared.join(noun).join("store.rs");
        let words = ["crate::edge", "axum", "Problem"];
        found.extend(forbid(&path, &words, "stores know no requests"));
        for line in code(&path).lines() {
            // Keys and items of another noun, its types and their form in JSON, but not what it does.
            let foreign = others.iter().find_map(|other| line.split_once(other));
            let is_low = |rest: &str| {
                ["model::", "store::", "wire::"]
                    .iter()
                    .any(|low| rest.starts_with(low))
            };
            if foreign.is_some_and(|(_, rest)| !is_low(rest)) {
                found.push(format!("{noun}: {line}: stores know no use case"));
            }
        }
    }
    demand_none(found);
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
        .chain(rust_files(&root().join("functions")))
        .filter(|path| !path.ends_with("tests.rs"));
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
