//! Leads as a sheet. Pure but for what it takes from its own noun.

use super::Known;
use super::model::{Closing, Contact, Inquiry, LOSS_REASONS, Lead, SOURCES, STAGES, Why, name_of};
use crate::customers::model::IdentifierKind;
use crate::reports::paper::{cell, csv as sheet};

/// Leads of one sheet: a function answers with 6 MB at most, and the longest lead has 20 KB in it.
pub const SHEET: usize = 200;

const HEADER: [&str; 29] = [
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
    "asked_again",
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

fn row(known: &Known) -> [String; 29] {
    let Known {
        lead,
        contact,
        further: _,
    } = known;
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
        asked_again,
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
        asked_again.to_string(),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::customers::model::{Company, MAX_NAME};
    use crate::ids::{LeadId, ProgramId};
    use crate::leads::model::{MAX_MESSAGE, MAX_NEED, MAX_PERSON, MAX_REFERENCE, Source, Stage};

    /// A lead all of whose texts are as long as they may be, of that letter.
    fn longest(letter: &str) -> Known {
        let at = "2026-03-02T09:00:00Z".parse().unwrap();
        let text = |most: usize| Some(letter.repeat(most));
        Known {
            lead: Lead {
                id: LeadId::from_bytes([1; 16]),
                program: ProgramId::from_bytes([2; 16]),
                inquiry: Inquiry {
                    source: Source::Form,
                    reference: text(MAX_REFERENCE),
                    company: Company {
                        name: text(MAX_NAME),
                        ..Company::default()
                    },
                    employees: Some(u32::MAX),
                    product_lines: vec!["x".repeat(64); 5],
                    language: Some("en".to_owned()),
                    need: text(MAX_NEED),
                },
                customer: None,
                hashes: Vec::new(),
                held_until: at,
                stage: Stage::Queued,
                offers: Vec::new(),
                steps: Vec::new(),
                asked_again: u32::MAX,
                closing: None,
                due: None,
                received_at: at,
                changed_at: at,
                version: 1,
            },
            contact: Contact {
                name: text(MAX_PERSON),
                email: Some("x".repeat(254)),
                phone: Some("0".repeat(32)),
                message: text(MAX_MESSAGE),
            },
            further: Vec::new(),
        }
    }

    #[test]
    fn a_sheet_of_the_longest_leads_fits_into_an_answer() {
        // The answer is JSON with the sheet as a string in it; a quote has four bytes there, and a line end two.
        for letter in ["\"", "\n", "\u{1F339}"] {
            let bytes = csv(&vec![longest(letter); SHEET]).unwrap();
            let answer = serde_json::to_string(&String::from_utf8(bytes).unwrap()).unwrap();
            assert!(answer.len() < 5_000_000, "{letter:?}: {}", answer.len());
        }
    }
}
