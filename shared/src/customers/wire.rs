//! A customer as JSON, the same wherever one is described: deals, leads, claims and the vendor's accounts.

use serde_json::{Map, Value, json};

use super::model::{
    Company, Identifier, IdentifierFault, IdentifierKind, MAX_CRM_ID, MAX_DOMAIN, MAX_EMAIL,
    MAX_NAME, MAX_TAX_ID,
};
use crate::channel::wire::{COUNTRY, coordinates, place_parts};
use crate::edge::{Fields, codes};
use crate::partners::model::is_country;
use crate::places::Place;

/// Characters of a website's address, of which the domain is taken.
const MAX_SITE: usize = MAX_DOMAIN + 200;

/// Reads a customer from the object that describes it:
/// `{"name", "country", "region", "postcode", "latitude", "longitude", "domain", "email", "tax_id", "crm_id"}`.
///
/// Of a mailbox at a company's own domain the domain identifies the customer too, where none is stated.
/// At least one identifier, or a name with a country, is needed.
pub fn company(f: &mut Fields<'_>) -> Option<Company> {
    let found = described(f)?;
    if found.identifiers.is_empty() && (found.name.is_none() || found.place.is_none()) {
        f.refuse(
            codes::REQUIRED,
            "domain",
            "a customer is known by its domain, email, tax_id or crm_id, or by name and country",
        );
        return None;
    }
    Some(found)
}

/// Reads the same, whether it tells who the customer is or not.
pub fn described(f: &mut Fields<'_>) -> Option<Company> {
    let name = f.opt_text("name", MAX_NAME);
    let country = f.opt_parsed("country", 64, codes::COUNTRY_UNKNOWN, COUNTRY, |text| {
        is_country(text).then(|| text.to_owned())
    });
    let parts = place_parts(f, country.as_deref());
    let at = coordinates(f);
    let has_part = ["region", "postcode", "latitude"]
        .iter()
        .any(|part| f.raw(part).is_some());
    if has_part && f.raw("country").is_none() {
        f.refuse(
            codes::REQUIRED,
            "country",
            "is missing beside a place in it",
        );
    }
    let names = ["crm_id", "tax_id", "domain", "email"];
    let identifiers = identifiers(f, names, country.as_deref())?;
    let (region, postcode) = parts?;
    let at = at?;
    Some(Company {
        name,
        place: country.map(|country| Place {
            country,
            region,
            postcode,
            at,
        }),
        identifiers,
    })
}

/// Reads an account's id, a tax id, a domain and a mailbox from fields of these names; each is optional.
pub fn identifiers(
    f: &mut Fields<'_>,
    names: [&'static str; 4],
    country: Option<&str>,
) -> Option<Vec<Identifier>> {
    let [of_crm, of_tax, of_domain, of_email] = names;
    let crm_id = read(f, of_crm, MAX_CRM_ID, Identifier::crm_id);
    let tax_id = read(f, of_tax, 2 * MAX_TAX_ID, |text| {
        Identifier::tax_id(text, country)
    });
    let domain = read(f, of_domain, MAX_SITE, Identifier::domain);
    let email = read(f, of_email, MAX_EMAIL, Identifier::email);
    let mailboxes = match domain {
        Some(_) => None,
        None => email.as_ref().and_then(Identifier::company_domain),
    };
    let is_sound = names
        .into_iter()
        .zip([&crm_id, &tax_id, &domain, &email])
        .all(|(name, found)| found.is_some() || f.raw(name).is_none());
    let found = [crm_id, tax_id, domain.or(mailboxes), email];
    is_sound.then(|| found.into_iter().flatten().collect())
}

/// Reads the same only to find who is known by it: of a domain, or a mailbox's where none is stated, all that it may
/// be known by. The Public Suffix List is not linked by that.
pub fn to_look_up(
    f: &mut Fields<'_>,
    names: [&'static str; 4],
    country: Option<&str>,
) -> Vec<Identifier> {
    let [of_crm, of_tax, of_domain, of_email] = names;
    let crm_id = read(f, of_crm, MAX_CRM_ID, Identifier::crm_id);
    let tax_id = read(f, of_tax, 2 * MAX_TAX_ID, |text| {
        Identifier::tax_id(text, country)
    });
    let domains = read(f, of_domain, MAX_SITE, Identifier::domains_to_look_up);
    let email = read(f, of_email, MAX_EMAIL, Identifier::email_to_look_up);
    let hosts = || {
        let (_, host) = email.as_ref()?.value().rsplit_once('@')?;
        Identifier::domains_to_look_up(host).ok()
    };
    let domains = domains.or_else(hosts).unwrap_or_default();
    [crm_id, tax_id, email]
        .into_iter()
        .flatten()
        .chain(domains)
        .collect()
}

fn read<T>(
    f: &mut Fields<'_>,
    name: &'static str,
    max: usize,
    read: impl Fn(&str) -> Result<T, IdentifierFault>,
) -> Option<T> {
    let text = f.opt_text(name, max)?;
    match read(&text) {
        Ok(found) => Some(found),
        Err(fault) => {
            let code = match fault {
                IdentifierFault::TooLong => codes::TOO_LONG,
                IdentifierFault::Empty => codes::TOO_SHORT,
                _ if name.ends_with("email") => codes::EMAIL_MALFORMED,
                _ if name.ends_with("domain") => codes::DOMAIN_UNFIT,
                _ => codes::CHARACTERS_REFUSED,
            };
            f.refuse(code, name, fault.to_string());
            None
        }
    }
}

/// A customer from the text that it was stored as.
///
/// # Errors
/// What is wrong with the text.
pub fn stored(text: &str) -> Result<Company, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut identifiers = Vec::new();
    for (field, kind) in [
        ("crm_id", IdentifierKind::CrmId),
        ("tax_id", IdentifierKind::TaxId),
        ("domain", IdentifierKind::Domain),
    ] {
        let taken = value.as_object_mut().and_then(|map| map.remove(field));
        let Some(Value::String(text)) = taken else {
            continue;
        };
        let text = match kind {
            IdentifierKind::TaxId => text
                .split_at_checked(2)
                .map(|(country, number)| format!("{country}:{number}"))
                .ok_or("a tax id without its country")?,
            _ => text,
        };
        identifiers.push(Identifier::known(kind, text));
    }
    let company = Fields::read(&value, described).map_err(|problem| problem.detail().to_owned())?;
    Ok(Company {
        identifiers,
        ..company
    })
}

/// A customer as it reads back. A mailbox is left out: it is a person's, and kept apart.
#[must_use]
pub fn company_json(company: &Company) -> Value {
    let Company {
        name,
        place,
        identifiers,
    } = company;
    let mut map = match place {
        Some(place) => match crate::channel::wire::place_json(place) {
            Value::Object(map) => map,
            _ => Map::new(),
        },
        None => Map::new(),
    };
    if let Some(name) = name {
        map.insert("name".to_owned(), json!(name));
    }
    for identifier in identifiers {
        let field = match identifier.kind() {
            IdentifierKind::Domain => "domain",
            IdentifierKind::TaxId => "tax_id",
            IdentifierKind::CrmId => "crm_id",
            IdentifierKind::Email => continue,
        };
        // A tax id is kept as `GB:123456789`, and reads back with its country in front.
        let value = match identifier.kind() {
            IdentifierKind::TaxId => identifier.value().replacen(':', "", 1),
            _ => identifier.value().to_owned(),
        };
        map.insert(field.to_owned(), json!(value));
    }
    Value::Object(map)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_taken_reads_back() {
        for said in [
            json!({ "name": "Acme", "country": "US", "domain": "https://www.acme.com", "tax_id": "123456789012345678901234" }),
            json!({ "tax_id": "GB 123 456 789", "crm_id": "001A" }),
            json!({ "country": "CH", "tax_id": "CHE-123.456.788 MWST", "region": "ZH", "postcode": "8001" }),
            json!({ "country": "GR", "tax_id": "EL123456789", "latitude": "37.98", "longitude": "23.73" }),
        ] {
            let company = Fields::read(&said, company).unwrap();
            let text = company_json(&company).to_string();
            assert_eq!(stored(&text).unwrap(), company, "{text}");
        }
        // Also what would not be taken any more, such as a domain that became a public suffix.
        let before = json!({ "domain": "co.uk" }).to_string();
        assert_eq!(stored(&before).unwrap().identifiers[0].value(), "co.uk");
    }
}
