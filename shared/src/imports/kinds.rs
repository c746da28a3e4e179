//! What rows are: their columns, how a row becomes the request that would state the same, and its use case.

use serde_json::{Map, Value};

use super::model::{Fault, Header, Kind, Upload};
use super::{Taken, commit};
use crate::applications::model::{MAX_SOURCE, is_source};
use crate::applications::{self, Invitation};
use crate::channel::model::MAX_PRODUCT_LINES;
use crate::channel::wire::COUNTRY;
use crate::claims::records::{self, Account};
use crate::customers;
use crate::customers::model::{Identifier, MAX_CRM_ID};
use crate::edge::{App, Change, Fields, Problem, codes};
use crate::ids::{LeadId, digest};
use crate::leads::error::LeadError;
use crate::leads::model::{Contact, Inquiry, Source};
use crate::leads::{self, NewLead, Received};
use crate::partners::model::{PARTNER_KINDS, is_country};
use crate::programs::model::MAX_CODE;

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A text.
    Text,
    /// Texts, separated by semicolons or bars.
    List,
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

const LEADS: &[Column] = &[
    ("company", "company.name", Holds::Text),
    ("country", "company.country", Holds::Text),
    ("region", "company.region", Holds::Text),
    ("postcode", "company.postcode", Holds::Text),
    ("domain", "company.domain", Holds::Text),
    ("tax_id", "company.tax_id", Holds::Text),
    ("crm_id", "company.crm_id", Holds::Text),
    ("employees", "employees", Holds::Text),
    ("product_lines", "product_lines", Holds::List),
    ("language", "language", Holds::Text),
    ("need", "need", Holds::Text),
    ("contact_name", "contact.name", Holds::Text),
    ("contact_email", "contact.email", Holds::Text),
    ("contact_phone", "contact.phone", Holds::Text),
    ("reference", "reference", Holds::Text),
];

const INVITATIONS: &[Column] = &[
    ("email", "email", Holds::Text),
    ("name", "name", Holds::Text),
    ("country", "country", Holds::Text),
    ("kind", "kind", Holds::Text),
    ("source", "source", Holds::Text),
    ("referrer", "referrer", Holds::Text),
];

/// Characters of a candidate's name.
const MAX_TEXT: usize = 120;

fn invitation(f: &mut Fields<'_>) -> Option<Invitation> {
    let email = f.mailbox("email");
    let name = f.opt_text("name", MAX_TEXT);
    let country = f.opt_parsed("country", 64, codes::COUNTRY_UNKNOWN, COUNTRY, |text| {
        is_country(text).then(|| text.to_owned())
    });
    let kind = f.opt_choice("kind", PARTNER_KINDS);
    let source = f.opt_parsed(
        "source",
        MAX_SOURCE,
        codes::CHARACTERS_REFUSED,
        "is letters and digits of ASCII, dots, dashes and underscores",
        |text| is_source(text).then(|| text.to_owned()),
    );
    let referrer = f.opt_id("referrer");
    Some(Invitation {
        email: email?,
        name,
        country,
        kind,
        source,
        referrer,
    })
}

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
        Kind::Leads => LEADS,
        Kind::Invitations => INVITATIONS,
    }
}

/// The names of a kind's columns.
pub(super) fn names(kind: Kind) -> Vec<&'static str> {
    columns(kind).iter().map(|(name, ..)| *name).collect()
}

/// A row as the request that states the same; empty cells state nothing.
pub(super) fn object(kind: Kind, header: &Header, cells: &[String]) -> Value {
    let mut object = Map::new();
    if kind == Kind::Leads {
        // A company is told even where the contact's mailbox tells which.
        object.insert("company".to_owned(), Value::Object(Map::new()));
    }
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

/// Faults of one row that are reported.
const MAX_FAULTS: usize = 10;

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
    // Whoever mends these sees the next ones; a row of fifty wrong entries shall not fill the report.
    each.take(MAX_FAULTS).collect()
}

/// The column of a field such as `product_lines[2]`; the field itself where it is none's.
fn column_of(kind: Kind, field: &str) -> String {
    let plain = field.split('[').next().unwrap_or(field);
    let found = columns(kind).iter().find(|(_, of, _)| *of == plain);
    found.map_or(field, |(name, ..)| *name).to_owned()
}

/// What a row must not share with another of its file, where there is such a thing: an invited mailbox.
pub(super) fn name(kind: Kind, header: &Header, cells: &[String]) -> Option<[u8; 16]> {
    match kind {
        Kind::Accounts | Kind::Leads => None,
        Kind::Invitations => {
            let column = header.columns.iter().position(|name| name == "email")?;
            let email = Identifier::email(cells.get(column)?).ok()?;
            Some(digest("invited", &[email.value()]))
        }
    }
}

/// That a row stands in its file a second time.
pub(super) fn twice(kind: Kind, row: u64, before: u64) -> Fault {
    let field = match kind {
        Kind::Accounts | Kind::Leads => "",
        Kind::Invitations => "email",
    };
    Fault {
        row,
        field: field.to_owned(),
        code: codes::EXISTS.name.to_owned(),
        reason: format!("stands in row {before} already"),
    }
}

/// What a row asks for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Account(Box<Account>),
    Lead(Box<(Inquiry, Contact)>),
    Invitation(Box<Invitation>),
}

/// Reads a row.
///
/// # Errors
/// Everything that is wrong with it by itself.
pub(super) fn wanted(kind: Kind, object: &Value) -> Result<Wanted, Problem> {
    Ok(match kind {
        Kind::Accounts => Wanted::Account(Box::new(Fields::read_pairs(object, account)?)),
        Kind::Leads => {
            let read = |f: &mut Fields<'_>| leads::wire::inquiry(f, Source::Import);
            Wanted::Lead(Box::new(Fields::read_pairs(object, read)?))
        }
        Kind::Invitations => Wanted::Invitation(Box::new(Fields::read_pairs(object, invitation)?)),
    })
}

/// Looks at a row as if it were to take effect.
pub(super) async fn look(
    app: &App,
    upload: &Upload,
    row: u64,
    wanted: Wanted,
) -> Result<(), Problem> {
    match wanted {
        Wanted::Account(account) => {
            records::declare(app, upload.program, *account).await?;
        }
        Wanted::Lead(lead) => {
            receive(app, upload, row, *lead).await?;
        }
        Wanted::Invitation(invitation) => {
            applications::invite(app, upload.program, upload.by, *invitation).await?;
        }
    }
    Ok(())
}

/// Lets a row take effect.
pub(super) async fn take(
    app: &App,
    upload: &Upload,
    row: u64,
    wanted: Wanted,
) -> Result<Taken, Problem> {
    match wanted {
        Wanted::Account(account) => {
            let change = records::declare(app, upload.program, *account).await?;
            commit(app, upload, row, change).await
        }
        Wanted::Lead(lead) => {
            let change = receive(app, upload, row, *lead).await?;
            commit(app, upload, row, change).await
        }
        Wanted::Invitation(invitation) => {
            let by = upload.by;
            let change = applications::invite(app, upload.program, by, *invitation).await?;
            commit(app, upload, row, change).await
        }
    }
}

async fn receive(
    app: &App,
    upload: &Upload,
    row: u64,
    (inquiry, contact): (Inquiry, Contact),
) -> Result<Change<Received, LeadError>, LeadError> {
    let id = match &inquiry.reference {
        Some(reference) => leads::id_of(upload.program, reference),
        None => LeadId::derived(&[&upload.id.to_string(), &row.to_string()]),
    };
    let new = NewLead {
        program: upload.program,
        id,
        inquiry,
        contact,
    };
    let change = leads::receive(app, new).await?;
    match &change.value {
        Received::Known(id) => Err(LeadError::Repeated(*id)),
        Received::New(_) => Ok(change),
    }
}
