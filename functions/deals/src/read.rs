//! Reading registrations and decisions.

use serde_json::Value;
use tributary::clock::{Date, Timestamp, parse_date};
use tributary::customers::wire;
use tributary::deals::decide::Sale;
use tributary::deals::model::{
    Award, MAX_LINE, MAX_LINES, MAX_NAME, MAX_NOTE, MAX_PROSE, REJECT_REASONS, RejectReason,
    Subject,
};
use tributary::deals::wire::part;
use tributary::deals::{Amended, Contact, Details, Known};
use tributary::edge::{Fields, Problem, codes};
use tributary::ids::{ConversionId, PartnerId, ProgramId};
use tributary::money::{Currency, Money, Rate};
use tributary::programs::model::Program;
use tributary::tracking::model::MAX_REFERENCE;

/// Characters of a date.
const MAX_DATE: usize = 10;
/// Characters of a person's name.
const MAX_PERSON: usize = 120;

/// A registration as it was said.
pub(crate) struct Registration {
    pub program: ProgramId,
    pub partner: Option<PartnerId>,
    pub subject: Subject,
    pub details: Details,
    pub is_draft: bool,
}

/// The program that a registration names, as far as it is an id.
pub(crate) fn program_of(body: &Value) -> Option<ProgramId> {
    body.get("program")?.as_str()?.parse().ok()
}

pub(crate) fn registration(
    body: &Value,
    program: Option<&Program>,
) -> Result<Registration, Problem> {
    Fields::read(body, |f| {
        let id: Option<ProgramId> = f.id("program");
        if id.is_some() && program.is_none() {
            let reason = "there is no such program";
            f.refuse(codes::REFERENCE_UNKNOWN, "program", reason);
        }
        let partner = f.opt_id("partner");
        let name = f.text("name", MAX_NAME);
        let company = f.object("customer", company);
        let product_lines = product_lines(f);
        let amount = amount(f, program.map(|program| program.currency));
        let expected_close = expected_close(f);
        let description = description(f);
        let contact = f.opt_object("contact", contact);
        let is_draft = f.opt_flag("draft").unwrap_or(false);
        let company = company?;
        let place = company.place.as_ref();
        Some(Registration {
            program: id?,
            partner,
            subject: Subject {
                product_lines: product_lines?,
                amount: amount?,
                expected_close,
                country: place.map(|place| place.country.clone()),
                region: place.and_then(|place| place.region.clone()),
            },
            details: Details {
                name: name?,
                company,
                description,
                contact,
            },
            is_draft,
        })
    })
}

/// A customer that something identifies: a name alone could be anybody's.
fn company(f: &mut Fields<'_>) -> Option<tributary::customers::model::Company> {
    let found = wire::described(f)?;
    if found.identifiers.is_empty() {
        let reason = "a deal's customer is known by its domain, tax_id, crm_id or email";
        f.refuse(codes::REQUIRED, "domain", reason);
        return None;
    }
    Some(found)
}

fn product_lines(f: &mut Fields<'_>) -> Option<Vec<String>> {
    if f.raw("product_lines").is_none() {
        return Some(Vec::new());
    }
    let lines = f.opt_texts("product_lines", 0, MAX_LINES, MAX_LINE)?;
    for (position, line) in lines.iter().enumerate() {
        if lines[..position].contains(line) {
            let field = format!("product_lines[{position}]");
            f.refuse(codes::EXISTS, &field, "is named twice");
            return None;
        }
    }
    Some(lines)
}

/// An amount of more than nothing, in the program's currency.
fn amount(f: &mut Fields<'_>, own: Option<Currency>) -> Option<Money> {
    let currency = f.currency("currency");
    let Some(currency) = currency else {
        f.raw("amount");
        return None;
    };
    if let Some(own) = own.filter(|own| *own != currency) {
        let reason = format!("is the program's, {own}");
        f.refuse(codes::CURRENCY_MISMATCH, "currency", reason);
    }
    let amount = f.amount("amount", currency)?;
    if amount.is_zero() {
        f.refuse(codes::OUT_OF_RANGE, "amount", "is more than zero");
        return None;
    }
    Some(amount)
}

fn expected_close(f: &mut Fields<'_>) -> Option<Date> {
    let reason = codes::DATE_MALFORMED.meaning;
    f.opt_parsed(
        "expected_close",
        MAX_DATE,
        codes::DATE_MALFORMED,
        reason,
        parse_date,
    )
}

fn description(f: &mut Fields<'_>) -> Option<String> {
    f.raw("description")?;
    f.prose("description", MAX_PROSE)
}

fn contact(f: &mut Fields<'_>) -> Option<Contact> {
    let name = f.text("name", MAX_PERSON);
    let email = f.email("email");
    Some(Contact {
        name: name?,
        email: email?,
    })
}

/// A draft with the changes that are said: what is absent stays, what is `null` goes where it may.
pub(crate) fn amended(body: &Value, known: &Known) -> Result<Amended, Problem> {
    let Some(details) = &known.details else {
        let reason = "what was said of the customer was erased";
        return Err(Problem::new(codes::WRONG_STATE, reason));
    };
    let subject = &known.deal.subject;
    Fields::read(body, |f| {
        let name = f.opt_text("name", MAX_NAME);
        let customer = f.opt_object("customer", company);
        let lines = f.raw("product_lines").is_some();
        let lines = if lines { product_lines(f) } else { None };
        let currency = subject.amount.currency();
        let said = f.raw("amount").is_some() | f.raw("currency").is_some();
        let amount = if said {
            amount(f, Some(currency))
        } else {
            None
        };
        let expected_close = match f.mentions("expected_close") {
            true => expected_close(f),
            false => subject.expected_close,
        };
        let description = match f.mentions("description") {
            true => description(f),
            false => details.description.clone(),
        };
        let contact = match f.mentions("contact") {
            true => f.opt_object("contact", contact),
            false => details.contact.clone(),
        };
        let company = customer.unwrap_or_else(|| details.company.clone());
        let place = company.place.as_ref();
        Some(Amended {
            subject: Subject {
                product_lines: lines.unwrap_or_else(|| subject.product_lines.clone()),
                amount: amount.unwrap_or(subject.amount),
                expected_close,
                country: place.map(|place| place.country.clone()),
                region: place.and_then(|place| place.region.clone()),
            },
            details: Details {
                name: name.unwrap_or_else(|| details.name.clone()),
                company,
                description,
                contact,
            },
        })
    })
}

/// One text that is asked for.
pub(crate) fn words(body: &Value, field: &'static str) -> Result<String, Problem> {
    Fields::read(body, |f| f.prose(field, MAX_PROSE))
}

/// A note that may be left out.
pub(crate) fn note(body: &Value) -> Result<Option<String>, Problem> {
    Fields::read(body, |f| Some(f.opt_text("note", MAX_NOTE)))
}

/// A consent: to which step, why, and with which discount.
pub(crate) type Said = (Option<String>, Option<String>, Option<Rate>);

pub(crate) fn consent(body: &Value) -> Result<Said, Problem> {
    Fields::read(body, |f| {
        let step = f.opt_text("step", MAX_LINE);
        let note = f.opt_text("note", MAX_NOTE);
        let discount = match f.raw("discount_rate") {
            None => None,
            Some(_) => part(f, "discount_rate"),
        };
        Some((step, note, discount))
    })
}

pub(crate) fn rejection(body: &Value) -> Result<(RejectReason, Option<String>), Problem> {
    Fields::read(body, |f| {
        let reason = f.choice("reason", REJECT_REASONS);
        let note = f.opt_text("note", MAX_NOTE);
        Some((reason?, note))
    })
}

pub(crate) fn sale(body: &Value, currency: Currency) -> Result<Sale, Problem> {
    Fields::read(body, |f| {
        let amount = amount(f, Some(currency));
        let occurred_at: Option<Timestamp> = f.opt_time("occurred_at");
        let transaction_id = f.opt_text("transaction_id", MAX_REFERENCE);
        let posted: Option<ConversionId> = f.opt_id("conversion");
        let is_another = f.opt_flag("another_sale").unwrap_or(false);
        if posted.is_some() {
            let said = "is said by the conversion that is named";
            if occurred_at.is_some() {
                f.refuse(codes::UNKNOWN_FIELD, "occurred_at", said);
            }
            if transaction_id.is_some() {
                f.refuse(codes::UNKNOWN_FIELD, "transaction_id", said);
            }
            if is_another {
                f.refuse(codes::UNKNOWN_FIELD, "another_sale", said);
            }
        }
        Some(Sale {
            amount: amount?,
            occurred_at,
            transaction_id,
            posted,
            is_another,
        })
    })
}

/// Outcomes of a dispute by their names; a split needs the share.
const OUTCOMES: &[(&str, Option<Award>)] = &[
    ("challenger", Some(Award::Challenger)),
    ("holder", Some(Award::Holder)),
    ("neither", Some(Award::Neither)),
    ("split", None),
];

pub(crate) fn award(body: &Value) -> Result<(Award, Option<String>), Problem> {
    Fields::read(body, |f| {
        let outcome = f.choice("outcome", OUTCOMES);
        let note = f.opt_text("note", MAX_NOTE);
        let award = match outcome {
            Some(Some(award)) => {
                if f.raw("share").is_some() {
                    let reason = "is said where the outcome is split";
                    f.refuse(codes::UNKNOWN_FIELD, "share", reason);
                }
                Some(award)
            }
            Some(None) => part(f, "share").map(|challenger| Award::Split { challenger }),
            None => {
                f.raw("share");
                None
            }
        };
        Some((award?, note))
    })
}
