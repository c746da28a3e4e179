//! What the README states of the routes and dialects is what there is.

use std::collections::BTreeSet;
use std::path::Path;

use tributary_tests::World;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

#[tokio::test]
async fn the_readmes_route_table_has_every_route_with_its_function() {
    let world = World::start().await;
    let template = world.instance.cloud().app_template();
    let functions = template.functions().unwrap();
    let declared: BTreeSet<(String, String)> = template
        .routes()
        .unwrap()
        .into_iter()
        .map(|route| {
            let function = functions
                .iter()
                .find(|function| function.logical == route.function)
                .unwrap();
            (
                format!("{} {}", route.method, route.path),
                function.package.clone(),
            )
        })
        .collect();
    let written: BTreeSet<(String, String)> = readme()
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let (route, function) = (cells.next()?.strip_suffix('`')?, cells.next()?);
            (route.split(' ').count() == 2 && route.contains(" /"))
                .then(|| (route.to_owned(), function.to_owned()))
        })
        .collect();
    assert_eq!(written, declared);
}

#[test]
fn the_readmes_dialect_table_has_every_dialect_with_its_names() {
    let readme = readme();
    for dialect in tributary::tracking::dialects() {
        let row = format!("| {} (`{}`) |", dialect.title, dialect.name);
        let line = readme
            .lines()
            .find(|line| line.starts_with(&row))
            .unwrap_or_else(|| panic!("{row}"));
        let shown = ["click_id", "transaction_id", "event", "amount"];
        for field in dialect
            .fields
            .iter()
            .filter(|field| shown.contains(&field.ours))
        {
            for name in field.theirs {
                assert!(
                    line.contains(&format!("`{name}`")),
                    "{} lacks {name}",
                    dialect.name
                );
            }
        }
        for (word, _) in dialect.statuses {
            assert!(
                line.contains(&format!("`{word}`")),
                "{} lacks {word}",
                dialect.name
            );
        }
    }
}

#[test]
fn the_readme_has_its_parts_and_the_dialects_notes() {
    let readme = readme();
    for part in [
        "## Run it",
        "### The tour",
        "## Map of the house",
        "### Routes",
        "### Postbacks and dialects",
        "### Payouts a bank accepts",
        "## Three ways to run, one code path",
        "### cargo-lambda with LocalStack or ministack",
        "### AWS",
        "#### Alarms",
        "#### Dead letters",
        "#### Restore",
        "#### Rotation",
        "## Configuration",
        "## What it costs",
        "## How fast it is",
        "## Invariants",
        "## Glossary",
        "## Licence",
    ] {
        let mut after = readme
            .lines()
            .skip_while(|line| *line != part)
            .skip(1)
            .filter(|line| !line.is_empty());
        assert!(
            after.next().is_some_and(|line| !line.starts_with('#')),
            "{part} is missing or empty"
        );
    }
    for dialect in tributary::tracking::dialects()
        .iter()
        .filter(|dialect| dialect.name != "native")
    {
        assert!(
            readme.contains(&format!("- **{}**: {}", dialect.title, dialect.note)),
            "{}",
            dialect.name
        );
    }
}
