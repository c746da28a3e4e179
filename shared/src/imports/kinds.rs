//! What rows are: their columns, how a row becomes the request that would state the same, and its use case.

use serde_json::{Map, Value};

use super::model::{Fault, Header, Kind, Upload};
use super::rows::Cells;
use super::{Taken, commit, unreadable};
use crate::channel::model::MAX_PRODUCT_LINES;
use crate::claims::records::{self, Account};
use crate::customers;
use crate::customers::model::MAX_CRM_ID;
use crate::edge::{App, Fields, Problem, codes};
use crate::programs::model::MAX_CODE;
use crate::table::Error;

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A text.
    Text,
    /// Texts, separated by semicolons or bars.
    List,
    /// `yes` or `no`.
    Flag,
}

/// A column: its name, the field of the request that it is, and what it holds.
type Column = (&'static str, &'static str, Holds);

const ACCOUNTS: &[Column] = &[
    ("name", "name", Holds::Text),
    ("country", "country", Holds::Text),
    ("region", "region", Holds::Text),
    ("postcode", "postcode", Holds::Text),
    ("domain", "domain", Holds::Text),
    ("email", "email", Holds::Text),
    ("tax_id", "tax_id", Holds::Text),
    ("crm_id", "crm_id", Holds::Text),
    ("opportunity", "opportunity", Holds::Text),
    ("product_lines", "product_lines", Holds::List),
    ("from", "from", Holds::Text),
    ("until", "until", Holds::Text),
    ("note", "note", Holds::Text),
];

/// Characters of an account's note.
const MAX_NOTE: usize = 500;

fn account(f: &mut Fields<'_>) -> Option<Account> {
    let company = customers::wire::described(f);
    let is_known = company
        .as_ref()
        .is_some_and(|company| !company.identifiers.is_empty());
    if !is_known && company.is_some() {
        let reason = "an account is known by its domain, email, tax_id or crm_id";
        f.refuse(codes::REQUIRED, "domain", reason);
    }
    let opportunity = f.opt_text("opportunity", MAX_CRM_ID);
    let lines = f.opt_texts("product_lines", 0, MAX_PRODUCT_LINES, MAX_CODE);
    let from = f.opt_time("from");
    let until = f.opt_time("until");
    let note = f.opt_text("note", MAX_NOTE);
    Some(Account {
        company: company?,
        opportunity,
        product_lines: lines.unwrap_or_default(),
        from,
        until,
        note,
    })
}

fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Accounts => ACCOUNTS,
    }
}

/// The names of a kind's columns.
pub(super) fn names(kind: Kind) -> Vec<&'static str> {
    columns(kind).iter().map(|(name, ..)| *name).collect()
}

/// A row as the request that states the same; empty cells state nothing.
pub(super) fn object(kind: Kind, header: &Header, cells: &[String]) -> Value {
    let mut object = Map::new();
    for (name, cell) in header.columns.iter().zip(cells) {
        let column = columns(kind).iter().find(|(known, ..)| known == name);
        if let Some((_, field, holds)) = column.filter(|_| !cell.is_empty()) {
            place(&mut object, field, value(*holds, cell));
        }
    }
    Value::Object(object)
}

fn value(holds: Holds, cell: &str) -> Value {
    match holds {
        Holds::Text => Value::from(cell),
        Holds::List => cell
            .split([';', '|'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect(),
        Holds::Flag => match cell.to_lowercase().as_str() {
            "yes" | "true" | "y" | "1" => Value::from(true),
            "no" | "false" | "n" | "0" => Value::from(false),
            // The reader says what it takes.
            other => Value::from(other),
        },
    }
}

/// Puts a value where a field such as `company.name` stands.
fn place(object: &mut Map<String, Value>, field: &str, value: Value) {
    let Some((outer, inner)) = field.split_once('.') else {
        object.insert(field.to_owned(), value);
        return;
    };
    let within = object
        .entry(outer)
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(within) = within {
        place(within, inner, value);
    }
}

/// What is wrong with a row, by its columns.
pub(super) fn faults(kind: Kind, row: u64, problem: &Problem) -> Vec<Fault> {
    let fault = |field: String, code: &str, reason: &str| Fault {
        row,
        field,
        code: code.to_owned(),
        reason: reason.to_owned(),
    };
    if problem.errors().is_empty() {
        return vec![fault(String::new(), problem.code().name, problem.detail())];
    }
    let each = problem
        .errors()
        .iter()
        .map(|error| fault(column_of(kind, &error.field), error.code, &error.reason));
    each.collect()
}

/// The column of a field such as `product_lines[2]`; the field itself where it is none's.
fn column_of(kind: Kind, field: &str) -> String {
    let plain = field.split('[').next().unwrap_or(field);
    let found = columns(kind).iter().find(|(_, of, _)| *of == plain);
    found.map_or(field, |(name, ..)| *name).to_owned()
}

/// Checks rows of a kind of which one that is wrong keeps all out.
pub(super) struct Checker<'a> {
    upload: &'a Upload,
}

impl<'a> Checker<'a> {
    pub(super) fn of(upload: &'a Upload) -> Self {
        Self { upload }
    }

    /// What is wrong with the next rows of the file.
    pub(super) async fn check(
        &mut self,
        _app: &App,
        header: &Header,
        group: Vec<(u64, Cells)>,
    ) -> Result<Vec<Fault>, Error> {
        let kind = self.upload.kind;
        let mut found = Vec::new();
        for (row, cells) in group {
            match cells {
                Err(fault) => found.push(unreadable(row, fault)),
                Ok(cells) => {
                    let object = object(kind, header, &cells);
                    if let Err(problem) = Fields::read_pairs(&object, account) {
                        found.extend(faults(kind, row, &problem));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Lets a row take effect.
pub(super) async fn take(
    app: &App,
    upload: &Upload,
    row: u64,
    object: &Value,
) -> Result<Taken, Problem> {
    match upload.kind {
        Kind::Accounts => {
            let account = Fields::read_pairs(object, account)?;
            let change = records::declare(app, upload.program, account).await?;
            commit(app, upload, row, change).await
        }
    }
}
