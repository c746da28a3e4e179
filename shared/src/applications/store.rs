//! Keys and items of forms, rules, applications, applicants, and of who is known by what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{
    Applicant, Application, FieldKind, Finding, Form, FormField, GATES, Gate, REJECT_REASONS,
    Reapply, Rules, STAGES, Stage, Stamp, WEIGHTS, Weight, name_of,
};
use crate::clock::{Timestamp, stamp};
use crate::ids::{ApplicationId, OperatorId, PartnerId, ProgramId};
use crate::partners::model::{PARTNER_KINDS, PartnerKind};
use crate::table::{
    Condition, Entry, Error, Index, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

/// Others that are known by the same thing and are told of, at most.
const MAX_KNOWN: usize = 10;
/// Rows of somebody known that are read at a time.
const KNOWN_PAGE: usize = 50;

fn application_key(id: ApplicationId) -> Key {
    Key::new(format!("APPL#{id}"), "APPLICATION")
}

fn applicant_key(id: ApplicationId) -> Key {
    Key::new(format!("APPL#{id}"), "APPLICANT")
}

fn form_key(program: ProgramId) -> Key {
    Key::new(format!("RECRUIT#{program}"), "APPLICATION_FORM")
}

fn rules_key(program: ProgramId) -> Key {
    Key::new(format!("RECRUIT#{program}"), "APPLICATION_RULES")
}

/// The latest application of an email to a program that the mailbox confirmed, or to which it was invited; the
/// email as what stands for it.
fn latest_key(program: ProgramId, email: &str) -> Key {
    Key::new(format!("APPLBY#{program}#{email}"), "LATEST")
}

/// How often something was done within the window of that number.
fn count_key(name: &str, window: i64) -> Key {
    Key::new(format!("COUNT#{name}"), format!("{window:012}"))
}

/// The application that an item belongs to.
fn application_of(key: &Key) -> Option<ApplicationId> {
    key.pk.strip_prefix("APPL#")?.parse().ok()
}

/// Which applications are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A program's, newest first.
    Program(ProgramId),
    /// A program's of one stage, in the order in which they came to it.
    Stage(ProgramId, Stage),
    /// Those that a partner referred to a program, newest first.
    Referrer(ProgramId, PartnerId),
}

fn stage_partition(program: ProgramId, stage: Stage) -> String {
    format!("APPLS#{program}#{}", name_of(STAGES, stage))
}

fn referred_partition(program: ProgramId, partner: PartnerId) -> String {
    format!("REFERRED#{program}#{partner}")
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("application: {what}"))
}

fn named<T: Copy>(choices: &[(&str, T)], name: &str, what: &str) -> Result<T, Error> {
    let found = choices.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| malformed(what))
}

/// The condition that an item is still the version before; absent when there was none.
fn follows(version: u64) -> Condition {
    match version.saturating_sub(1) {
        0 => Condition::default().and_absent("pk"),
        before => Condition::equals("version", int(i64::try_from(before).unwrap_or(i64::MAX))),
    }
}

// ---- Forms and rules

#[derive(Serialize, Deserialize)]
struct FieldItem {
    code: String,
    label: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
    required: bool,
}

#[derive(Serialize, Deserialize)]
struct FormItem {
    pk: String,
    sk: String,
    program: ProgramId,
    is_open: bool,
    kinds: Vec<String>,
    fields: Vec<FieldItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_url: Option<String>,
    version: u64,
}

/// The put of a program's first form, or the change of it from the version before.
///
/// # Errors
/// Never for a well-formed form.
pub fn save_form(saved: &Form) -> Result<Op, Error> {
    let Form {
        program,
        is_open,
        kinds,
        fields,
        page_url,
        version,
    } = saved.clone();
    let Key { pk, sk } = form_key(program);
    let fields = fields.into_iter().map(|field| {
        let FormField {
            code,
            label,
            kind,
            required,
        } = field;
        let name = kind.name().to_owned();
        let choices = match kind {
            FieldKind::Choice(choices) => choices,
            _ => Vec::new(),
        };
        FieldItem {
            code,
            label,
            kind: name,
            choices,
            required,
        }
    });
    let item = FormItem {
        pk,
        sk,
        program,
        is_open,
        kinds: kinds
            .into_iter()
            .map(|kind| kind.name().to_owned())
            .collect(),
        fields: fields.collect(),
        page_url,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &["page_url"])?;
    Ok(Op::Update(change.only_if(follows(version))))
}

/// A program's form.
///
/// # Errors
/// The table's.
pub async fn find_form(table: &Table, program: ProgramId) -> Result<Option<Form>, Error> {
    let Some(item) = table.get::<FormItem>(&form_key(program)).await? else {
        return Ok(None);
    };
    let FormItem {
        pk: _,
        sk: _,
        program,
        is_open,
        kinds,
        fields,
        page_url,
        version,
    } = item;
    let kinds = kinds
        .iter()
        .map(|kind| named(PARTNER_KINDS, kind, "kind"))
        .collect::<Result<Vec<PartnerKind>, Error>>()?;
    let fields = fields
        .into_iter()
        .map(|field| {
            let FieldItem {
                code,
                label,
                kind,
                choices,
                required,
            } = field;
            let kind = FieldKind::named(&kind, choices).ok_or_else(|| malformed("field"))?;
            Ok(FormField {
                code,
                label,
                kind,
                required,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(Some(Form {
        program,
        is_open,
        kinds,
        fields,
        page_url,
        version,
    }))
}

#[derive(Serialize, Deserialize)]
struct RulesItem {
    pk: String,
    sk: String,
    program: ProgramId,
    allowed_countries: Vec<String>,
    blocked_countries: Vec<String>,
    country: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sanctioned_countries: Option<Vec<String>>,
    sanctioned: String,
    allowed_domains: Vec<String>,
    blocked_domains: Vec<String>,
    domain: String,
    free_mail: String,
    disposable_mail: String,
    duplicate: String,
    duplicate_domain: String,
    approves: bool,
    /// Days; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reapply_days: Option<u32>,
    version: u64,
}

fn weight_name(weight: Weight) -> String {
    name_of(WEIGHTS, weight).to_owned()
}

/// The put of a program's first rules, or the change of them from the version before.
///
/// # Errors
/// Never for well-formed rules.
pub fn save_rules(saved: &Rules) -> Result<Op, Error> {
    let Rules {
        program,
        allowed_countries,
        blocked_countries,
        country,
        sanctioned_countries,
        sanctioned,
        allowed_domains,
        blocked_domains,
        domain,
        free_mail,
        disposable_mail,
        duplicate,
        duplicate_domain,
        approves,
        reapply,
        version,
    } = saved.clone();
    let Key { pk, sk } = rules_key(program);
    let item = RulesItem {
        pk,
        sk,
        program,
        allowed_countries,
        blocked_countries,
        country: weight_name(country),
        sanctioned_countries,
        sanctioned: weight_name(sanctioned),
        allowed_domains,
        blocked_domains,
        domain: weight_name(domain),
        free_mail: weight_name(free_mail),
        disposable_mail: weight_name(disposable_mail),
        duplicate: weight_name(duplicate),
        duplicate_domain: weight_name(duplicate_domain),
        approves,
        reapply_days: match reapply {
            Reapply::Immediately => Some(0),
            Reapply::AfterDays(days) => Some(days),
            Reapply::Never => None,
        },
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &["sanctioned_countries", "reapply_days"])?;
    Ok(Op::Update(change.only_if(follows(version))))
}

/// A program's rules, if it has said any.
///
/// # Errors
/// The table's.
pub async fn find_rules(table: &Table, program: ProgramId) -> Result<Option<Rules>, Error> {
    let Some(item) = table.get::<RulesItem>(&rules_key(program)).await? else {
        return Ok(None);
    };
    let RulesItem {
        pk: _,
        sk: _,
        program,
        allowed_countries,
        blocked_countries,
        country,
        sanctioned_countries,
        sanctioned,
        allowed_domains,
        blocked_domains,
        domain,
        free_mail,
        disposable_mail,
        duplicate,
        duplicate_domain,
        approves,
        reapply_days,
        version,
    } = item;
    let weight = |name: &str| named(WEIGHTS, name, "weight");
    Ok(Some(Rules {
        program,
        allowed_countries,
        blocked_countries,
        country: weight(&country)?,
        sanctioned_countries,
        sanctioned: weight(&sanctioned)?,
        allowed_domains,
        blocked_domains,
        domain: weight(&domain)?,
        free_mail: weight(&free_mail)?,
        disposable_mail: weight(&disposable_mail)?,
        duplicate: weight(&duplicate)?,
        duplicate_domain: weight(&duplicate_domain)?,
        approves,
        reapply: match reapply_days {
            None => Reapply::Never,
            Some(0) => Reapply::Immediately,
            Some(days) => Reapply::AfterDays(days),
        },
        version,
    }))
}

// ---- Applications

#[derive(Serialize, Deserialize)]
struct StampItem {
    stage: String,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<OperatorId>,
}

#[derive(Serialize, Deserialize)]
struct FindingItem {
    gate: String,
    weight: String,
    evidence: String,
}

#[derive(Serialize, Deserialize)]
struct ApplicationItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    /// By its stage.
    due_pk: String,
    due_sk: String,
    id: ApplicationId,
    program: ProgramId,
    stamps: Vec<StampItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    referrer: Option<PartnerId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    findings: Vec<FindingItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reapply_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    token: u32,
    token_until: Timestamp,
    version: u64,
}

fn position(application: &Application) -> String {
    format!("{}#{}", stamp(application.began_at()), application.id)
}

fn application_item(application: &Application) -> ApplicationItem {
    let (list_sk, stage, since) = (
        position(application),
        application.stage(),
        application.since(),
    );
    let Application {
        id,
        program,
        stamps,
        source,
        referrer,
        findings,
        reason,
        reapply_at,
        partner,
        token,
        token_until,
        version,
    } = application.clone();
    let Key { pk, sk } = application_key(id);
    let stamps = stamps.into_iter().map(|Stamp { stage, at, by }| StampItem {
        stage: name_of(STAGES, stage).to_owned(),
        at,
        by,
    });
    let findings = findings.into_iter().map(|finding| {
        let Finding {
            gate,
            weight,
            evidence,
        } = finding;
        FindingItem {
            gate: name_of(GATES, gate).to_owned(),
            weight: weight_name(weight),
            evidence,
        }
    });
    ApplicationItem {
        pk,
        sk,
        list_pk: format!("APPLS#{program}"),
        list_sk,
        due_pk: stage_partition(program, stage),
        due_sk: format!("{}#{id}", stamp(since)),
        id,
        program,
        stamps: stamps.collect(),
        source,
        referrer,
        findings: findings.collect(),
        reason: reason.map(|reason| name_of(REJECT_REASONS, reason).to_owned()),
        reapply_at,
        partner,
        token,
        token_until,
        version,
    }
}

fn application(item: ApplicationItem) -> Result<Application, Error> {
    let ApplicationItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        program,
        stamps,
        source,
        referrer,
        findings,
        reason,
        reapply_at,
        partner,
        token,
        token_until,
        version,
    } = item;
    let stamps = stamps.into_iter().map(|StampItem { stage, at, by }| {
        let stage = named(STAGES, &stage, "stage")?;
        Ok(Stamp { stage, at, by })
    });
    let findings = findings.into_iter().map(|finding| {
        let FindingItem {
            gate,
            weight,
            evidence,
        } = finding;
        Ok(Finding {
            gate: named(GATES, &gate, "gate")?,
            weight: named(WEIGHTS, &weight, "weight")?,
            evidence,
        })
    });
    Ok(Application {
        id,
        program,
        stamps: stamps.collect::<Result<Vec<_>, Error>>()?,
        source,
        referrer,
        findings: findings.collect::<Result<Vec<_>, Error>>()?,
        reason: reason
            .map(|reason| named(REJECT_REASONS, &reason, "reason"))
            .transpose()?,
        reapply_at,
        partner,
        token,
        token_until,
        version,
    })
}

/// What is stored of an applicant; erased, nothing but its key is left.
#[derive(Serialize, Deserialize)]
struct ApplicantItem {
    pk: String,
    sk: String,
    /// Those that a partner referred are listed under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payout_account: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// What of an applicant's item goes when it is erased, or no longer said.
const CLEARABLE: [&str; 8] = [
    "email",
    "name",
    "country",
    "kind",
    "tax_id",
    "payout_account",
    "answers",
    "note",
];

fn applicant_item(application: &Application, applicant: &Applicant) -> ApplicantItem {
    let Applicant {
        email,
        name,
        country,
        kind,
        tax_id,
        payout_account,
        answers,
        note,
    } = applicant.clone();
    let Key { pk, sk } = applicant_key(application.id);
    let list_pk = application
        .referrer
        .map(|partner| referred_partition(application.program, partner));
    ApplicantItem {
        pk,
        sk,
        list_sk: list_pk.is_some().then(|| position(application)),
        list_pk,
        email: Some(email),
        name,
        country,
        kind: kind.map(|kind| kind.name().to_owned()),
        tax_id,
        payout_account,
        answers,
        note,
    }
}

fn applicant(item: ApplicantItem) -> Result<Option<Applicant>, Error> {
    let ApplicantItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        email,
        name,
        country,
        kind,
        tax_id,
        payout_account,
        answers,
        note,
    } = item;
    let Some(email) = email else {
        return Ok(None);
    };
    Ok(Some(Applicant {
        email,
        name,
        country,
        kind: kind
            .map(|kind| named(PARTNER_KINDS, &kind, "kind"))
            .transpose()?,
        tax_id,
        payout_account,
        answers,
        note,
    }))
}

/// The writes that begin an application: itself, its applicant, and that the mailbox made it, under which it is
/// found again when what is known of somebody is erased.
///
/// # Errors
/// Never for a well-formed application.
pub fn begin(begun: &Application, who: &Applicant, email: &str) -> Result<[Op; 3], Error> {
    Ok([
        Op::Put(Put::new(&application_item(begun))?),
        Op::Put(Put::new(&applicant_item(begun, who))?),
        known_as(begun, email, email),
    ])
}

/// That an application is the one of its email to its program, in place of the one before if there was one.
#[must_use]
pub fn set_latest(application: &Application, email: &str, before: Option<ApplicationId>) -> Op {
    let condition = match before {
        None => Condition::default().and_absent("application"),
        Some(before) => Condition::equals("application", text(before.to_string())),
    };
    Op::Update(
        Update::at(latest_key(application.program, email))
            .set("application", text(application.id.to_string()))
            .only_if(condition),
    )
}

/// The change of an application from the version before.
///
/// # Errors
/// Never for a well-formed application.
pub fn change(changed: &Application) -> Result<Op, Error> {
    let clearable = ["findings", "reason", "reapply_at", "partner"];
    let change = Update::rewrite(&application_item(changed), &clearable)?;
    Ok(Op::Update(change.only_if(follows(changed.version))))
}

/// The change of an applicant; shares the transaction of the application's change, which carries the condition.
///
/// # Errors
/// Never for a well-formed applicant.
pub fn change_applicant(of: &Application, changed: &Applicant) -> Result<Op, Error> {
    Ok(Op::Update(Update::rewrite(
        &applicant_item(of, changed),
        &CLEARABLE,
    )?))
}

/// Takes away all that an application says of who made it.
#[must_use]
pub fn erase_applicant(id: ApplicationId) -> Op {
    let erased = Update::at(applicant_key(id));
    Op::Update(
        CLEARABLE
            .into_iter()
            .fold(erased, |erased, name| erased.remove(name)),
    )
}

/// The latest application of an email to a program that the mailbox confirmed, or to which it was invited.
///
/// # Errors
/// The table's.
pub async fn latest(
    table: &Table,
    program: ProgramId,
    email: &str,
) -> Result<Option<ApplicationId>, Error> {
    #[derive(Deserialize)]
    struct LatestItem {
        application: ApplicationId,
    }
    let item: Option<LatestItem> = table.get(&latest_key(program, email)).await?;
    Ok(item.map(|LatestItem { application }| application))
}

/// Applications with their applicants, unless those were erased, in the order of `ids`: one round trip.
///
/// # Errors
/// The table's.
pub async fn find_many(
    table: &Table,
    ids: &[ApplicationId],
) -> Result<Vec<(Application, Option<Applicant>)>, Error> {
    let keys = ids
        .iter()
        .flat_map(|id| [application_key(*id), applicant_key(*id)]);
    let mut items = table.get_many(keys).await?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(item) = items.remove(&application_key(*id)) else {
            continue;
        };
        let who = items
            .remove(&applicant_key(*id))
            .map(|item| applicant(from_item(item)?))
            .transpose()?;
        found.push((application(from_item(item)?)?, who.flatten()));
    }
    Ok(found)
}

/// An application with its applicant, unless that was erased.
///
/// # Errors
/// The table's.
pub async fn find(
    table: &Table,
    id: ApplicationId,
) -> Result<Option<(Application, Option<Applicant>)>, Error> {
    Ok(find_many(table, &[id]).await?.pop())
}

/// A page of ids beyond a position, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page(
    table: &Table,
    listed: Listed,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<ApplicationId>, Option<String>), Error> {
    let range = match listed {
        Listed::Stage(program, stage) => {
            let range = Range::partition(Index::Due, stage_partition(program, stage), limit);
            match beyond {
                Some(beyond) => range.between(format!("{beyond}\0"), "\u{10FFFF}"),
                None => range,
            }
        }
        Listed::Program(_) | Listed::Referrer(..) => {
            let partition = match listed {
                Listed::Referrer(program, partner) => referred_partition(program, partner),
                Listed::Program(program) | Listed::Stage(program, _) => format!("APPLS#{program}"),
            };
            let range = Range::partition(Index::List, partition, limit).newest_first();
            match beyond {
                Some(beyond) => range.below(beyond),
                None => range,
            }
        }
    };
    let (entries, more) = table.entries(&range).await?;
    let position = entries.last().filter(|_| more);
    let position = position.map(|entry| entry.sort.clone());
    let id = |entry: &Entry| application_of(&entry.key);
    Ok((entries.iter().filter_map(id).collect(), position))
}

// ---- Who is known by what

/// Others known by the same thing, of a program or a partner; not those of `email`, which are the applicant's
/// own.
///
/// # Errors
/// The table's.
pub async fn known_by(
    table: &Table,
    gate: Gate,
    reference: &str,
    program: ProgramId,
    email: &str,
) -> Result<Vec<(Gate, String)>, Error> {
    #[derive(Deserialize)]
    struct KnownItem {
        sk: String,
        #[serde(default)]
        program: Option<ProgramId>,
        #[serde(default)]
        email: Option<String>,
        #[serde(default)]
        ended_at: Option<Timestamp>,
    }
    let partition = crate::partners::store::identity_partition(reference);
    // Partners come before applications, so that however often somebody applies, none is crowded out.
    let mut range = Range::partition(Index::Base, partition, KNOWN_PAGE).newest_first();
    let mut found = Vec::new();
    loop {
        let page = table.page(&range).await?;
        let mut last = None;
        for item in page.items {
            let known: KnownItem = from_item(item)?;
            // What made itself known by an email is of that email, and there may be many of it.
            if gate == Gate::DuplicateEmail && known.program.is_some() {
                return Ok(found);
            }
            let is_foreign = known.program.is_some_and(|other| other != program);
            let is_own = known.email.as_deref() == Some(email);
            last = Some(known.sk.clone());
            if !is_foreign && !is_own && known.ended_at.is_none() {
                found.push((gate, known.sk));
            }
            if found.len() >= MAX_KNOWN {
                return Ok(found);
            }
        }
        match last {
            Some(last) if page.more => range = range.below(last),
            _ => return Ok(found),
        }
    }
}

/// Makes an application known by something, beside the email it is of.
#[must_use]
pub fn known_as(application: &Application, reference: &str, email: &str) -> Op {
    Op::Update(
        Update::at(Key::new(
            crate::partners::store::identity_partition(reference),
            application.id.to_string(),
        ))
        .set("program", text(application.program.to_string()))
        .set("email", text(email)),
    )
}

/// A page of the applications that an email made, to whichever program, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn made_by(
    table: &Table,
    email: &str,
    beyond: Option<String>,
) -> Result<(Vec<ApplicationId>, Option<String>), Error> {
    #[derive(Deserialize)]
    struct MadeItem {
        sk: String,
    }
    let partition = crate::partners::store::identity_partition(email);
    let range = Range::partition(Index::Base, partition, KNOWN_PAGE);
    let low = beyond.map_or_else(|| "appl_".to_owned(), |beyond| format!("{beyond}\0"));
    let page = table.page(&range.between(low, "appl_\u{10FFFF}")).await?;
    let items = page
        .items
        .into_iter()
        .map(from_item)
        .collect::<Result<Vec<MadeItem>, Error>>()?;
    let last = items.last().filter(|_| page.more);
    let position = last.map(|item| item.sk.clone());
    let ids = items.iter().filter_map(|item| item.sk.parse().ok());
    Ok((ids.collect(), position))
}

fn of_partner_key(partner: PartnerId, id: ApplicationId) -> Key {
    Key::new(format!("PTR#{partner}"), format!("APPLICATION#{id}"))
}

/// That a partner was made of an application, or enrolled by it: found again whatever its email is by then.
#[must_use]
pub fn made_partner(partner: PartnerId, application: &Application) -> Op {
    Op::Update(
        Update::at(of_partner_key(partner, application.id))
            .set("program", text(application.program.to_string())),
    )
}

/// The applications that a partner was made of, or enrolled by.
///
/// # Errors
/// The table's.
pub async fn of_partner(table: &Table, partner: PartnerId) -> Result<Vec<ApplicationId>, Error> {
    #[derive(Deserialize)]
    struct OfPartnerItem {
        sk: String,
    }
    let range = Range::partition(Index::Base, format!("PTR#{partner}"), KNOWN_PAGE);
    let items: Vec<OfPartnerItem> = table.all(range.beginning("APPLICATION#")).await?;
    let id = |item: &OfPartnerItem| item.sk.strip_prefix("APPLICATION#")?.parse().ok();
    Ok(items.iter().filter_map(id).collect())
}

// ---- Limits

/// Seconds for which something is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Window {
    fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    fn number(self, now: Timestamp) -> i64 {
        now.as_second().div_euclid(self.seconds())
    }
}

/// Counts something that is done from somewhere or to somebody, at most `most` times in the window of `now`.
#[must_use]
pub fn count(name: &str, most: i64, window: Window, now: Timestamp) -> Op {
    Op::Update(
        counting(name, window, now)
            .only_if(Condition::default().and_absent_or_below("times", int(most))),
    )
}

/// Counts it once more, however often it was done.
#[must_use]
pub fn counting(name: &str, window: Window, now: Timestamp) -> Update {
    let number = window.number(now);
    Update::at(count_key(name, number))
        .add("times", 1)
        .set("expires_at", int((number + 2) * window.seconds()))
}

/// How often it was done in the window of `now`.
///
/// # Errors
/// The table's.
pub async fn counted(
    table: &Table,
    name: &str,
    window: Window,
    now: Timestamp,
) -> Result<i64, Error> {
    #[derive(Deserialize)]
    struct CountItem {
        times: i64,
    }
    let key = count_key(name, window.number(now));
    let item: Option<CountItem> = table.get(&key).await?;
    Ok(item.map_or(0, |item| item.times))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::model::RejectReason;
    use super::*;

    fn begun() -> Application {
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        Application {
            id: ApplicationId::from_bytes([1; 16]),
            program: ProgramId::from_bytes([2; 16]),
            stamps: vec![Stamp {
                stage: Stage::Visited,
                at,
                by: None,
            }],
            source: Some("fair".to_owned()),
            referrer: Some(PartnerId::from_bytes([3; 16])),
            findings: Vec::new(),
            reason: None,
            reapply_at: None,
            partner: None,
            token: 1,
            token_until: at,
            version: 1,
        }
    }

    #[test]
    fn an_application_reads_back_at_every_stage() {
        let at: Timestamp = "2026-03-03T09:00:00Z".parse().unwrap();
        let by = Some(OperatorId::from_bytes([4; 16]));
        let mut all = vec![begun()];
        for (_, stage) in STAGES {
            all.push(begun().at(*stage, at, by));
        }
        all.push(Application {
            findings: vec![Finding {
                gate: Gate::Country,
                weight: Weight::Reject,
                evidence: "IR".to_owned(),
            }],
            reason: Some(RejectReason::Country),
            reapply_at: Some(at),
            partner: Some(PartnerId::from_bytes([5; 16])),
            ..begun()
        });
        for application in all {
            let put = Put::new(&application_item(&application)).unwrap();
            let read = super::application(from_item(put.item().clone()).unwrap()).unwrap();
            assert_eq!(read, application);
        }
    }

    #[test]
    fn an_applicant_reads_back_and_an_erased_one_is_nobody() {
        let who = Applicant {
            email: "ada@mill.example".to_owned(),
            name: Some("Ada".to_owned()),
            country: Some("GB".to_owned()),
            kind: Some(PartnerKind::Reseller),
            tax_id: Some("GB123456789".to_owned()),
            payout_account: Some("x".to_owned()),
            answers: BTreeMap::from([("size".to_owned(), "small".to_owned())]),
            note: Some("More, please".to_owned()),
        };
        let item = Put::new(&applicant_item(&begun(), &who)).unwrap();
        let mut item = item.item().clone();
        let read = applicant(from_item(item.clone()).unwrap()).unwrap();
        assert_eq!(read, Some(who));
        for name in CLEARABLE {
            item.remove(name);
        }
        assert_eq!(applicant(from_item(item).unwrap()).unwrap(), None);
    }
}
