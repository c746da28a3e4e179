//! Leads as a sheet. Pure but for what it takes from its own noun.

use super::Known;
use super::model::{Closing, Contact, Inquiry, LOSS_REASONS, Lead, SOURCES, STAGES, Why, name_of};
use crate::customers::model::IdentifierKind;
use crate::reports::paper::{cell, csv as sheet};

const HEADER: [&str; 28] = [
    "lead",
    "received_at",
    "changed_at",
    "stage",
    "source",
    "reference",
    "partner",
    "rule",
    "offers",
    "company",
    "domain",
    "country",
    "region",
    "postcode",
    "employees",
    "product_lines",
    "language",
    "need",
    "contact_name",
    "contact_email",
    "contact_phone",
    "message",
    "customer",
    "outcome",
    "reason",
    "amount",
    "currency",
    "conversion",
];

/// The bytes of a CSV of leads. No cell begins as a formula would.
///
/// # Errors
/// None: its rows are of one length.
pub fn csv(leads: &[Known]) -> Result<Vec<u8>, csv::Error> {
    let header = HEADER.map(str::to_owned);
    sheet(std::iter::once(header).chain(leads.iter().map(row)))
}

fn row(known: &Known) -> [String; 28] {
    let Known { lead, contact } = known;
    let Contact {
        name,
        email,
        phone,
        message,
    } = contact.clone();
    let Lead {
        id,
        program: _,
        inquiry,
        customer,
        hashes: _,
        held_until: _,
        stage,
        offers,
        steps: _,
        closing,
        due: _,
        received_at,
        changed_at,
        version: _,
    } = lead;
    let Inquiry {
        source,
        reference,
        company,
        employees,
        product_lines,
        language,
        need,
    } = inquiry.clone();
    let domain = company
        .identifiers
        .iter()
        .find(|identifier| identifier.kind() == IdentifierKind::Domain)
        .map(|identifier| identifier.value().to_owned());
    let place = company.place.as_ref();
    let last = offers.last();
    let rule = last.and_then(|offer| match &offer.why {
        Why::Rule(code) => Some(code.clone()),
        Why::Claim { .. } | Why::Operator(_) => None,
    });
    let (outcome, reason, amount, conversion) = match closing {
        None => (None, None, None, None),
        Some(Closing::Won { amount, conversion }) => {
            (Some("won"), None, Some(*amount), Some(*conversion))
        }
        Some(Closing::Lost(reason)) => (Some("lost"), Some(*reason), None, None),
    };
    let text = |text: Option<String>| text.map_or_else(String::new, |text| cell(&text));
    [
        id.to_string(),
        received_at.to_string(),
        changed_at.to_string(),
        name_of(STAGES, *stage).to_owned(),
        name_of(SOURCES, source).to_owned(),
        text(reference),
        text(last.map(|offer| offer.partner.to_string())),
        text(rule),
        offers.len().to_string(),
        text(company.name.clone()),
        text(domain),
        text(place.map(|place| place.country.clone())),
        text(place.and_then(|place| place.region.clone())),
        text(place.and_then(|place| place.postcode.clone())),
        text(employees.map(|count| count.to_string())),
        product_lines.join(" "),
        text(language),
        text(need),
        text(name),
        text(email),
        text(phone),
        text(message),
        text(customer.map(|customer| customer.to_string())),
        outcome.unwrap_or_default().to_owned(),
        reason
            .map_or("", |reason| name_of(LOSS_REASONS, reason))
            .to_owned(),
        text(amount.map(|amount| amount.to_string())),
        amount
            .map_or("", |amount| amount.currency().code())
            .to_owned(),
        text(conversion.map(|conversion| conversion.to_string())),
    ]
}
