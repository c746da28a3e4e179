//! Reading what applicants and operators say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tributary::applications::model::{
    AnswerFault, FIELD_KINDS, FieldKind, Form, FormField, MAX_ANSWER, MAX_CHOICE, MAX_CHOICES,
    MAX_FIELD_CODE, MAX_FIELDS, MAX_LABEL, MAX_LISTED, MAX_NOTE, MAX_REAPPLY_DAYS, MAX_SOURCE,
    MAX_URL, REJECT_REASONS, Reapply, Rules, WEIGHTS, is_domain_pattern, is_field_code, is_source,
};
use tributary::applications::{Decision, Invitation, NewApplication, Said};
use tributary::customers::model::MAX_TAX_ID;
use tributary::disputes::model::is_link;
use tributary::edge::{Code, Fields, Problem, codes};
use tributary::ids::{PartnerId, ProgramId};
use tributary::partners::Terms;
use tributary::partners::model::{MAX_NAME, PARTNER_KINDS, PartnerKind, iban, is_country};
use tributary::programs::model::MAX_CODE;

/// Characters of a token: an id, a number, a time and a hash.
const MAX_TOKEN: usize = 120;
/// Characters of a payout account.
const MAX_ACCOUNT: usize = 254;
/// Choices of what partners may be.
const ALL_KINDS: usize = PARTNER_KINDS.len();

pub(crate) fn form(body: &Value, program: ProgramId) -> Result<Form, Problem> {
    Fields::read(body, |f| {
        let is_open = f.opt_flag("open").unwrap_or(true);
        let kinds = kinds(f);
        let page_url = f.opt_parsed(
            "page_url",
            MAX_URL,
            codes::URL_MALFORMED,
            "is an https address with {token} in it",
            |text| (text.contains("{token}") && is_link(text)).then(|| text.to_owned()),
        );
        let fields = f.opt_objects("fields", 0, MAX_FIELDS, field);
        let fields = fields.unwrap_or_default();
        let mut codes_seen = BTreeSet::new();
        for (position, field) in fields.iter().enumerate() {
            if !codes_seen.insert(field.code.as_str()) {
                let name = format!("fields[{position}].code");
                f.refuse(codes::EXISTS, &name, "another field has that code");
            }
        }
        Some(Form {
            program,
            is_open,
            kinds: kinds?,
            fields,
            page_url,
            version: 0,
        })
    })
}

fn kinds(f: &mut Fields<'_>) -> Option<Vec<PartnerKind>> {
    let Some(names) = f.opt_texts("kinds", 1, ALL_KINDS, MAX_CODE) else {
        return Some(PARTNER_KINDS.iter().map(|(_, kind)| *kind).collect());
    };
    let mut found = Vec::new();
    for (position, name) in names.iter().enumerate() {
        match PARTNER_KINDS.iter().find(|(known, _)| known == name) {
            Some((_, kind)) => found.push(*kind),
            None => {
                let known: Vec<&str> = PARTNER_KINDS.iter().map(|(name, _)| *name).collect();
                let reason = format!("is one of: {}", known.join(", "));
                f.refuse(codes::NOT_ONE_OF, &format!("kinds[{position}]"), reason);
            }
        }
    }
    (found.len() == names.len()).then_some(found)
}

fn field(f: &mut Fields<'_>) -> Option<FormField> {
    let code = f.parsed(
        "code",
        MAX_FIELD_CODE,
        codes::CHARACTERS_REFUSED,
        "is small letters, digits and underscores, a letter first",
        |text| is_field_code(text).then(|| text.to_owned()),
    );
    let label = f.text("label", MAX_LABEL);
    let known: Vec<(&str, &str)> = FIELD_KINDS.iter().map(|name| (*name, *name)).collect();
    let kind = f.choice("kind", &known);
    let choices = match kind {
        Some("choice") => f.texts("choices", 1, MAX_CHOICES, MAX_CHOICE),
        _ => Some(Vec::new()),
    };
    let required = f.opt_flag("required").unwrap_or(false);
    Some(FormField {
        code: code?,
        label: label?,
        kind: FieldKind::named(kind?, choices?)?,
        required,
    })
}

/// A list of which each entry is one, or the reason why not.
fn listed(
    f: &mut Fields<'_>,
    name: &'static str,
    (code, reason): (Code, &str),
    is_one: fn(&str) -> bool,
) -> Option<Vec<String>> {
    let entries = f.opt_texts(name, 0, MAX_LISTED, 253)?;
    for (position, entry) in entries.iter().enumerate() {
        if !is_one(entry) {
            f.refuse(code, &format!("{name}[{position}]"), reason);
        }
    }
    Some(entries)
}

const COUNTRY: (Code, &str) = (
    codes::COUNTRY_UNKNOWN,
    "is an ISO 3166 two-letter code such as GB",
);
const DOMAIN: (Code, &str) = (
    codes::CHARACTERS_REFUSED,
    "is a domain in lower case such as example.com, or *. and one",
);

pub(crate) fn rules(body: &Value, program: ProgramId) -> Result<Rules, Problem> {
    let unsaid = Rules::of(program);
    Fields::read(body, |f| {
        let allowed_countries = listed(f, "allowed_countries", COUNTRY, is_country);
        let blocked_countries = listed(f, "blocked_countries", COUNTRY, is_country);
        let sanctioned_countries = listed(f, "sanctioned_countries", COUNTRY, is_country);
        let allowed_domains = listed(f, "allowed_domains", DOMAIN, is_domain_pattern);
        let blocked_domains = listed(f, "blocked_domains", DOMAIN, is_domain_pattern);
        let country = f.opt_choice("country", WEIGHTS);
        let sanctioned = f.opt_choice("sanctioned", WEIGHTS);
        let domain = f.opt_choice("domain", WEIGHTS);
        let free_mail = f.opt_choice("free_mail", WEIGHTS);
        let disposable_mail = f.opt_choice("disposable_mail", WEIGHTS);
        let duplicate = f.opt_choice("duplicate", WEIGHTS);
        let duplicate_domain = f.opt_choice("duplicate_domain", WEIGHTS);
        let approves = f.opt_flag("approve").unwrap_or(unsaid.approves);
        let reapply = reapply(f);
        Some(Rules {
            program,
            allowed_countries: allowed_countries.unwrap_or_default(),
            blocked_countries: blocked_countries.unwrap_or_default(),
            country: country.unwrap_or(unsaid.country),
            sanctioned_countries,
            sanctioned: sanctioned.unwrap_or(unsaid.sanctioned),
            allowed_domains: allowed_domains.unwrap_or_default(),
            blocked_domains: blocked_domains.unwrap_or_default(),
            domain: domain.unwrap_or(unsaid.domain),
            free_mail: free_mail.unwrap_or(unsaid.free_mail),
            disposable_mail: disposable_mail.unwrap_or(unsaid.disposable_mail),
            duplicate: duplicate.unwrap_or(unsaid.duplicate),
            duplicate_domain: duplicate_domain.unwrap_or(unsaid.duplicate_domain),
            approves,
            reapply: reapply?,
            version: 0,
        })
    })
}

/// `{"reapply": "never"}`, `"immediately"`, or `"after_days"` beside `reapply_days`.
fn reapply(f: &mut Fields<'_>) -> Option<Reapply> {
    let words = [
        ("immediately", "immediately"),
        ("after_days", "after_days"),
        ("never", "never"),
    ];
    let word = f.opt_choice("reapply", &words);
    if word != Some("after_days") && f.raw("reapply_days").is_some() {
        let reason = "goes with reapply: after_days";
        f.refuse(codes::UNKNOWN_FIELD, "reapply_days", reason);
    }
    match word {
        Some("after_days") => {
            let days = f.integer("reapply_days", 1, i64::from(MAX_REAPPLY_DAYS))?;
            Some(Reapply::AfterDays(u32::try_from(days).ok()?))
        }
        Some("never") => Some(Reapply::Never),
        _ => Some(Reapply::Immediately),
    }
}

/// A payout account in its one form: an IBAN, or a wallet by its email.
fn account(text: &str) -> Option<String> {
    match iban(text) {
        Some(iban) => Some(format!("iban:{iban}")),
        None => text
            .contains('@')
            .then(|| format!("paypal:{}", text.to_lowercase())),
    }
}

fn said(f: &mut Fields<'_>) -> Option<Said> {
    let name = f.opt_text("name", MAX_NAME);
    let (code, reason) = COUNTRY;
    let country = f.opt_parsed("country", 64, code, reason, |text| {
        is_country(text).then(|| text.to_owned())
    });
    let kind = f.opt_choice("kind", PARTNER_KINDS);
    let tax_id = f.opt_text("tax_id", MAX_TAX_ID);
    let payout_account = f.opt_parsed(
        "payout_account",
        MAX_ACCOUNT,
        codes::IBAN_INVALID,
        "is an IBAN, or a PayPal wallet by its email",
        account,
    );
    let answers = f.opt_text_map("answers", MAX_FIELDS, MAX_ANSWER, |_| Ok(()));
    Some(Said {
        name,
        country,
        kind,
        tax_id,
        payout_account,
        answers,
    })
}

/// Notes all that the form has against what was said.
fn hold_against(f: &mut Fields<'_>, form: &Form, said: &Said, submits: bool, before: &Answers) {
    if let Some(kind) = said.kind
        && !form.kinds.contains(&kind)
    {
        let known: Vec<&str> = form.kinds.iter().map(|kind| kind.name()).collect();
        let reason = format!("is here one of: {}", known.join(", "));
        f.refuse(codes::NOT_ONE_OF, "kind", reason);
    }
    let answers = said.answers.as_ref().unwrap_or(before);
    for (code, fault) in form.faults(answers, submits) {
        let name = format!("answers.{code}");
        let (code, reason) = match fault {
            AnswerFault::UnknownField => {
                let known: Vec<&str> = form.fields.iter().map(|field| &*field.code).collect();
                let reason = format!("is not asked here; asked are: {}", known.join(", "));
                (codes::UNKNOWN_FIELD, reason)
            }
            AnswerFault::Missing => (codes::REQUIRED, "is missing".to_owned()),
            AnswerFault::NotAChoice(choices) => (
                codes::NOT_ONE_OF,
                format!("is one of: {}", choices.join(", ")),
            ),
            AnswerFault::NotACountry => (codes::COUNTRY_UNKNOWN, COUNTRY.1.to_owned()),
            AnswerFault::NotALink => (
                codes::URL_MALFORMED,
                "is an https address such as https://partner.example/".to_owned(),
            ),
        };
        f.refuse(code, &name, reason);
    }
}

/// Where an applicant came from: a code, because it is told in events.
fn source(f: &mut Fields<'_>) -> Option<String> {
    f.opt_parsed(
        "source",
        MAX_SOURCE,
        codes::CHARACTERS_REFUSED,
        "is letters and digits of ASCII, dots, dashes and underscores",
        |text| is_source(text).then(|| text.to_owned()),
    )
}

type Answers = BTreeMap<String, String>;

pub(crate) fn application(body: &Value, form: &Form) -> Result<NewApplication, Problem> {
    Fields::read(body, |f| {
        let email = f.mailbox("email");
        let said = said(f);
        let source = source(f);
        let referrer: Option<PartnerId> = f.opt_id("referrer");
        if let Some(said) = &said {
            hold_against(f, form, said, false, &Answers::new());
        }
        Some(NewApplication {
            email: email?,
            said: said?,
            source,
            referrer,
        })
    })
}

pub(crate) fn invitation(body: &Value) -> Result<Invitation, Problem> {
    Fields::read(body, |f| {
        let email = f.mailbox("email");
        let name = f.opt_text("name", MAX_NAME);
        let (code, reason) = COUNTRY;
        let country = f.opt_parsed("country", 64, code, reason, |text| {
            is_country(text).then(|| text.to_owned())
        });
        let kind = f.opt_choice("kind", PARTNER_KINDS);
        let source = source(f);
        let referrer = f.opt_id("referrer");
        Some(Invitation {
            email: email?,
            name,
            country,
            kind,
            source,
            referrer,
        })
    })
}

/// The token of a request, whatever else it holds.
pub(crate) fn token(body: &Value) -> Result<String, Problem> {
    match body.get("token").and_then(Value::as_str) {
        Some(text) if (1..=MAX_TOKEN).contains(&text.chars().count()) => Ok(text.to_owned()),
        Some(_) => Err(Problem::field(
            codes::TOKEN_UNUSABLE,
            "token",
            codes::TOKEN_UNUSABLE.meaning,
        )),
        None => Err(Problem::field(codes::REQUIRED, "token", "is missing")),
    }
}

pub(crate) fn only_token(body: &Value) -> Result<String, Problem> {
    Fields::read(body, |f| f.text("token", MAX_TOKEN))
}

/// What an applicant answers, and whether that submits.
pub(crate) fn answer(body: &Value, form: &Form, before: &Answers) -> Result<(Said, bool), Problem> {
    Fields::read(body, |f| {
        f.raw("token");
        let submits = f.opt_flag("submit").unwrap_or(false);
        let said = said(f);
        if let Some(said) = &said {
            hold_against(f, form, said, submits, before);
        }
        Some((said?, submits))
    })
}

pub(crate) fn decision(body: &Value) -> Result<Decision, Problem> {
    Fields::read(body, |f| {
        let outcomes = [
            ("approve", "approve"),
            ("reject", "reject"),
            ("needs_information", "needs_information"),
        ];
        match f.choice("outcome", &outcomes)? {
            "approve" => {
                let plan = f.opt_text("plan", MAX_CODE);
                let partner = f.opt_id("partner");
                Some(Decision::Approve {
                    terms: plan.map_or(Terms::Unsaid, Terms::Plan),
                    partner,
                })
            }
            "reject" => {
                let reason = f.choice("reason", REJECT_REASONS);
                let note = f.raw("note").and_then(|_| f.prose("note", MAX_NOTE));
                Some(Decision::Reject {
                    reason: reason?,
                    note,
                })
            }
            _ => Some(Decision::Ask {
                note: f.prose("note", MAX_NOTE)?,
            }),
        }
    })
}
