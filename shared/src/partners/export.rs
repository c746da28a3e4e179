//! Partners as a sheet. Pure but for what it takes from its own noun.

use super::Known;
use super::model::{Contact, Partner};
use crate::reports::paper::{cell, csv as sheet};

const HEADER: [&str; 7] = [
    "partner",
    "name",
    "email",
    "country",
    "kind",
    "status",
    "created_at",
];

/// Partners as a CSV, the first page of it with a header. No cell begins a formula. Of one that was erased name
/// and email are empty.
///
/// # Errors
/// None: its rows have one length.
pub fn csv(partners: &[Known], is_first: bool) -> Result<Vec<u8>, csv::Error> {
    let header = is_first.then(|| HEADER.map(str::to_owned));
    sheet(header.into_iter().chain(partners.iter().map(row)))
}

fn row(known: &Known) -> [String; HEADER.len()] {
    let Known { partner, contact } = known;
    let Partner {
        id,
        kind,
        country,
        status,
        created_at,
        ..
    } = partner;
    let (name, email) = match contact {
        Some(Contact { name, email }) => (cell(name), cell(email)),
        None => (String::new(), String::new()),
    };
    [
        id.to_string(),
        name,
        email,
        country.clone(),
        kind.name().to_owned(),
        status.name().to_owned(),
        created_at.to_string(),
    ]
}
