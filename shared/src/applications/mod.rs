//! Applications: how one becomes a partner of a program.
//!
//! Whoever leaves an email is mailed a token that is good once; what it is exchanged for lets the applicant
//! answer the form and submit. Gates look at what was submitted, and the program's rules approve it, queue it
//! for an operator or reject it. Nobody learns from outside whether an email is known.

pub mod error;
pub mod export;
pub mod model;
pub mod store;

use std::collections::{BTreeMap, BTreeSet};

use error::ApplicationError;
use model::{
    ANSWER_DAYS, Applicant, Application, CONFIRM_DAYS, Facts, Finding, Form, Gate, Mailbox,
    RejectReason, Rules, Stage, Stamp, Verdict, Weight, findings, name_of, verdict,
};
pub use store::Listed;
use subtle::ConstantTimeEq;

use crate::clock::{Timestamp, days_after};
use crate::customers::mail_domains::{is_disposable, is_free};
use crate::customers::model::Identifier;
use crate::edge::{App, Change, Code, Write, codes};
use crate::events::{self, Event, EventKind};
use crate::ids::{ApplicationId, OperatorId, PartnerId, ProgramId};
use crate::partners::error::PartnerError;
use crate::partners::model::{Contact, PARTNER_KINDS, PartnerKind};
use crate::partners::{self, Enrolled, Identity, NewPartner, Placement, Terms};
use crate::plans::model::assigned_at;
use crate::programs;
use crate::table::{self, Op};

/// Applications begun from one network address to one program in an hour.
pub const PER_ADDRESS: i64 = 10;
/// Applications begun to one program in an hour.
pub const PER_FORM: i64 = 500;
/// Mails in a day by which one mailbox is asked to confirm an application, to whichever program: whoever types a
/// stranger's address in must not fill the stranger's mailbox.
pub const PER_MAILBOX: i64 = 5;
/// Times that tokens are tried from one address in an hour.
pub const TRIES_PER_ADDRESS: i64 = 60;
/// Applications erased in one transaction: each is two writes.
const ERASED_AT_ONCE: usize = 40;

/// An application with its applicant, unless that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The application.
    pub application: Application,
    /// Who made it.
    pub applicant: Option<Applicant>,
}

type Changed<T> = Result<Change<T, ApplicationError>, ApplicationError>;

fn write(op: Op) -> Write<ApplicationError> {
    Write::new(op, |_| ApplicationError::Moved)
}

fn limited(op: Op) -> Write<ApplicationError> {
    Write::new(op, |_| ApplicationError::Limited)
}

// ---- Form and rules

async fn program_of(
    app: &App,
    id: ProgramId,
) -> Result<std::sync::Arc<programs::model::Program>, ApplicationError> {
    programs::program(app, id)
        .await?
        .ok_or(ApplicationError::ProgramNotFound)
}

/// A program's form as it stands.
///
/// # Errors
/// `ProgramNotFound`, `FormNotFound`, the table's.
pub async fn form(app: &App, program: ProgramId) -> Result<Form, ApplicationError> {
    program_of(app, program).await?;
    store::find_form(&app.main, program)
        .await?
        .ok_or(ApplicationError::FormNotFound)
}

/// Publishes a form in place of the version that it is based on, whose number it is given.
///
/// # Errors
/// `ProgramNotFound`, `VersionMissing`, `Stale`, the table's.
pub async fn set_form(app: &App, based_on: Option<u64>, form: Form) -> Changed<Form> {
    program_of(app, form.program).await?;
    let before = store::find_form(&app.main, form.program).await?;
    let version = next_version(based_on, before.map_or(0, |before| before.version))?;
    let value = Form { version, ..form };
    let save = store::save_form(&value)?;
    Ok(Change {
        value,
        writes: vec![Write::new(save, |_| ApplicationError::Stale)],
    })
}

/// The version after, if the change is based on the one that stands.
fn next_version(based_on: Option<u64>, stands: u64) -> Result<u64, ApplicationError> {
    match based_on {
        None if stands > 0 => Err(ApplicationError::VersionMissing),
        Some(based_on) if based_on != stands => Err(ApplicationError::Stale),
        _ => Ok(stands + 1),
    }
}

/// The form that answers are read by: one that asks for nothing more where none was published.
///
/// # Errors
/// The table's.
pub async fn form_or_plain(app: &App, program: ProgramId) -> Result<Form, ApplicationError> {
    let form = store::find_form(&app.main, program).await?;
    Ok(form.unwrap_or_else(|| Form {
        program,
        is_open: false,
        kinds: PARTNER_KINDS.iter().map(|(_, kind)| *kind).collect(),
        fields: Vec::new(),
        page_url: None,
        version: 0,
    }))
}

/// A program's rules.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn rules(app: &App, program: ProgramId) -> Result<Rules, ApplicationError> {
    program_of(app, program).await?;
    let rules = store::find_rules(&app.main, program).await?;
    Ok(rules.unwrap_or_else(|| Rules::of(program)))
}

/// Sets a program's rules in place of the version that they are based on.
///
/// # Errors
/// `ProgramNotFound`, `VersionMissing`, `Stale`, the table's.
pub async fn set_rules(app: &App, based_on: Option<u64>, new: Rules) -> Changed<Rules> {
    let before = rules(app, new.program).await?;
    let version = next_version(based_on, before.version)?;
    let value = Rules { version, ..new };
    let save = store::save_rules(&value)?;
    Ok(Change {
        value,
        writes: vec![Write::new(save, |_| ApplicationError::Stale)],
    })
}

// ---- Tokens

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Confirming the address, once.
    Confirm,
    /// Answering and submitting, until the next one is confirmed.
    Answer,
}

impl Purpose {
    fn letter(self) -> &'static str {
        match self {
            Self::Confirm => "c",
            Self::Answer => "a",
        }
    }
}

/// The token of an application's present number that is good until then (seconds since 1970). It is computed and
/// stands nowhere.
fn token(app: &App, application: &Application, purpose: Purpose, until: i64) -> String {
    let unsigned = format!(
        "{}.{}.{}.{until}",
        application.id,
        purpose.letter(),
        application.token
    );
    let mac = app.keyring.reference("application-token", &unsigned);
    format!("{unsigned}.{mac}")
}

/// The application that a token names, and until when the token says it is good.
fn named_by(text: &str) -> Option<(ApplicationId, i64)> {
    let mut parts = text.split('.');
    let id = parts.next()?.parse().ok()?;
    let until = parts.nth(2)?.parse().ok()?;
    Some((id, until))
}

fn tries(address: &str) -> String {
    format!("TOKEN#{address}")
}

/// The application of a token that is good for something right now. From an address that tried too many in this
/// hour none is, and each that is not good is counted.
async fn opened(
    app: &App,
    program: ProgramId,
    address: &str,
    text: &str,
    purpose: Purpose,
) -> Result<(Application, Applicant), ApplicationError> {
    let now = app.now();
    let name = tries(address);
    let named = named_by(text);
    let found = async {
        match named {
            Some((id, _)) => store::find(&app.main, id).await,
            None => Ok(None),
        }
    };
    let tried = store::counted(&app.main, &name, store::Window::Hour, now);
    let (found, tried) = futures_util::future::try_join(found, tried).await?;
    if tried >= TRIES_PER_ADDRESS {
        return Err(ApplicationError::Limited);
    }
    if let (Some((application, Some(applicant))), Some((_, until))) = (found, named) {
        let meant = token(app, &application, purpose, until);
        let is_it = bool::from(meant.as_bytes().ct_eq(text.as_bytes()));
        if is_it && application.program == program && now.as_second() < until {
            return Ok((application, applicant));
        }
    }
    // Where an answer is lost it may be counted twice, which harms nobody.
    let counting = store::counting(&name, store::Window::Hour, now);
    let _ = app.main.update(counting).await?;
    Err(ApplicationError::TokenInvalid)
}

// ---- Applying

/// What an applicant says; what is `None` was not said.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Name.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What the partner would be.
    pub kind: Option<PartnerKind>,
    /// A tax or VAT id.
    pub tax_id: Option<String>,
    /// A payout account in its one form.
    pub payout_account: Option<String>,
    /// Answers by the codes of their fields: all of them.
    pub answers: Option<BTreeMap<String, String>>,
}

impl Said {
    fn upon(self, app: &App, before: Applicant) -> Applicant {
        let Self {
            name,
            country,
            kind,
            tax_id,
            payout_account,
            answers,
        } = self;
        let account = payout_account.map(|account| app.keyring.reference("account", &account));
        Applicant {
            name: name.or(before.name),
            country: country.or(before.country),
            kind: kind.or(before.kind),
            tax_id: tax_id.or(before.tax_id),
            payout_account: account.or(before.payout_account),
            answers: answers.unwrap_or(before.answers),
            email: before.email,
            note: before.note,
        }
    }
}

/// An application that is begun.
#[derive(Clone, Debug)]
pub struct NewApplication {
    /// Email address.
    pub email: String,
    /// What else was said already.
    pub said: Said,
    /// Where the applicant came from.
    pub source: Option<String>,
    /// The partner who referred the applicant.
    pub referrer: Option<PartnerId>,
}

fn email_reference(app: &App, email: &str) -> Result<String, ApplicationError> {
    let identifier = Identifier::email(email).map_err(|_| ApplicationError::EmailMalformed)?;
    Ok(app.keyring.reference("identity", identifier.value()))
}

/// Who referred, if that is a partner of the program. Another id is passed over without a word: this is asked
/// by anybody.
async fn referrer_in(
    app: &App,
    program: ProgramId,
    referrer: Option<PartnerId>,
) -> Result<Option<PartnerId>, ApplicationError> {
    let Some(id) = referrer else {
        return Ok(None);
    };
    let enrolment = partners::enrolment(app, id, program).await?;
    Ok(enrolment.map(|_| id))
}

fn begun(
    app: &App,
    program: ProgramId,
    stage: Stage,
    by: Option<OperatorId>,
    days: u32,
    source: Option<String>,
    referrer: Option<PartnerId>,
) -> Application {
    let now = app.now();
    Application {
        id: app.fresh(),
        program,
        stamps: vec![Stamp { stage, at: now, by }],
        source,
        referrer,
        findings: Vec::new(),
        reason: None,
        reapply_at: None,
        partner: None,
        token: 1,
        token_until: days_after(now, days),
        version: 1,
    }
}

fn event(app: &App, kind: EventKind, application: &Application) -> Event {
    Event::new(app.fresh(), kind, application.id, app.now()).in_program(application.program)
}

/// Begins an application, or asks who has one already to confirm that one; what is answered outside is the
/// same. `address` stands for the network address it comes from.
///
/// Nothing that stands is changed by it, because anybody may do it in anybody's name: what nobody confirmed binds
/// nobody, and of several that were begun with one email each can be confirmed until one is. A mailbox that was
/// asked often enough today is not asked again, and nothing is begun.
///
/// # Errors
/// `ProgramNotFound`, `FormNotFound`, `FormClosed`, `EmailMalformed`, `Limited`, `MailboxFull` (which nobody is
/// told: see there), the table's.
pub async fn apply(
    app: &App,
    program: ProgramId,
    address: &str,
    new: NewApplication,
) -> Changed<()> {
    if !form(app, program).await?.is_open {
        return Err(ApplicationError::FormClosed);
    }
    let NewApplication {
        email,
        said,
        source,
        referrer,
    } = new;
    let reference = email_reference(app, &email)?;
    let now = app.now();
    let mailbox = format!("MAILBOX#{reference}");
    let (standing, asked) =
        futures_util::future::try_join(standing(app, program, &reference), async {
            let asked = store::counted(&app.main, &mailbox, store::Window::Day, now).await;
            asked.map_err(ApplicationError::from)
        })
        .await?;
    let mut writes: Vec<_> = [
        (format!("APPLY#{program}#{address}"), PER_ADDRESS),
        (format!("APPLY#{program}"), PER_FORM),
    ]
    .iter()
    .map(|(name, most)| limited(store::count(name, *most, store::Window::Hour, now)))
    .collect();
    if asked >= PER_MAILBOX {
        return Ok(Change { value: (), writes });
    }
    let count = store::count(&mailbox, PER_MAILBOX, store::Window::Day, now);
    writes.push(Write::new(count, |_| ApplicationError::MailboxFull));
    let asked = match standing.known {
        // What was said first stays: only who holds the token may change it.
        Some(Known {
            application,
            applicant: Some(_),
        }) if application.binds(now) => application,
        _ => {
            let referrer = referrer_in(app, program, referrer).await?;
            let begun = begun(
                app,
                program,
                Stage::Visited,
                None,
                CONFIRM_DAYS,
                source,
                referrer,
            );
            let applicant = said.upon(
                app,
                Applicant {
                    email,
                    ..Applicant::default()
                },
            );
            let ops = store::begin(&begun, &applicant, &reference)?;
            writes.extend(ops.map(write));
            begun
        }
    };
    let asked = event(app, EventKind::ApplicationConfirmationAsked, &asked);
    writes.push(write(events::put(&asked)?));
    Ok(Change { value: (), writes })
}

/// What an email has of a program.
struct Standing {
    /// The application that the mailbox confirmed last, or to which it was invited.
    latest: Option<ApplicationId>,
    /// The same, with who made it.
    known: Option<Known>,
}

async fn standing(
    app: &App,
    program: ProgramId,
    reference: &str,
) -> Result<Standing, ApplicationError> {
    let latest = store::latest(&app.main, program, reference).await?;
    let found = match latest {
        Some(id) => store::find(&app.main, id).await?,
        None => None,
    };
    let known = found.map(|(application, applicant)| Known {
        application,
        applicant,
    });
    Ok(Standing { latest, known })
}

/// An invitation: one row, whether of a form or of a file.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Email address.
    pub email: String,
    /// Name.
    pub name: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What the partner would be.
    pub kind: Option<PartnerKind>,
    /// Where the candidate was found.
    pub source: Option<String>,
    /// The partner who referred the candidate.
    pub referrer: Option<PartnerId>,
}

/// Invites somebody to apply: five writes. Who was rejected may be invited whenever, and so may one who let an
/// invitation lapse, or in whose name somebody left an email that nobody confirmed; who has an application under way
/// or is a partner by one may not.
///
/// # Errors
/// `ProgramNotFound`, `EmailMalformed`, `Exists`, `ReferrerUnknown`, `Moved`, the table's.
pub async fn invite(
    app: &App,
    program: ProgramId,
    by: OperatorId,
    invitation: Invitation,
) -> Changed<Known> {
    program_of(app, program).await?;
    let Invitation {
        email,
        name,
        country,
        kind,
        source,
        referrer,
    } = invitation;
    let reference = email_reference(app, &email)?;
    let Standing { latest, known } = standing(app, program, &reference).await?;
    if let Some(Known {
        application,
        applicant: Some(_),
    }) = known
        && !application.may_be_invited_again(app.now())
    {
        return Err(ApplicationError::Exists(application.id));
    }
    if referrer_in(app, program, referrer).await? != referrer {
        return Err(ApplicationError::ReferrerUnknown);
    }
    let application = begun(
        app,
        program,
        Stage::Invited,
        Some(by),
        ANSWER_DAYS,
        source,
        referrer,
    );
    let applicant = Applicant {
        email,
        name,
        country,
        kind,
        ..Applicant::default()
    };
    let ops = store::begin(&application, &applicant, &reference)?;
    let told = event(app, EventKind::ApplicationInvited, &application).with("operator", by);
    let mut writes: Vec<_> = ops.map(write).into();
    writes.push(write(store::set_latest(&application, &reference, latest)));
    writes.push(write(events::put(&told)?));
    Ok(Change {
        value: Known {
            application,
            applicant: Some(applicant),
        },
        writes,
    })
}

/// An application whose applicant holds a token to go on with.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The application.
    pub application: Application,
    /// Who made it.
    pub applicant: Applicant,
    /// What answering and submitting asks for; shown this one time.
    pub token: String,
}

/// Exchanges a mailed token for one to go on with: the address is confirmed. It is good once. Of several
/// applications that were begun with one email the first to be confirmed is the one.
///
/// # Errors
/// `TokenInvalid`, `Limited`, `Moved`, the table's.
pub async fn confirm(
    app: &App,
    program: ProgramId,
    address: &str,
    text: &str,
) -> Changed<Confirmed> {
    let (before, applicant) = opened(app, program, address, text, Purpose::Confirm).await?;
    let now = app.now();
    let confirmed = before.with_token(days_after(now, ANSWER_DAYS));
    let starts = matches!(before.stage(), Stage::Invited | Stage::Visited);
    let application = if starts {
        confirmed.at(Stage::Started, now, None)
    } else {
        Application {
            version: before.version + 1,
            ..confirmed
        }
    };
    let tried = store::count(&tries(address), TRIES_PER_ADDRESS, store::Window::Hour, now);
    let mut writes = vec![
        Write::new(store::change(&application)?, |_| {
            ApplicationError::TokenInvalid
        }),
        limited(tried),
    ];
    if starts {
        let reference = email_reference(app, &applicant.email)?;
        let Standing { latest, known } = standing(app, program, &reference).await?;
        let other = known.filter(|known| known.application.id != application.id);
        if other.is_some_and(|other| other.applicant.is_some() && other.application.binds(now)) {
            return Err(ApplicationError::TokenInvalid);
        }
        let latest = store::set_latest(&application, &reference, latest);
        writes.push(Write::new(latest, |_| ApplicationError::TokenInvalid));
        let told = event(app, EventKind::ApplicationStarted, &application)
            .with_some("source", application.source.as_ref())
            .with_some("referrer", application.referrer);
        writes.push(write(events::put(&told)?));
    }
    let until = application.token_until.as_second();
    let token = token(app, &application, Purpose::Answer, until);
    Ok(Change {
        value: Confirmed {
            application,
            applicant,
            token,
        },
        writes,
    })
}

/// The application that an applicant's token opens, with its applicant. `address` stands for the network address
/// from which it is tried.
///
/// # Errors
/// `TokenInvalid`, `Limited`, the table's.
pub async fn with_token(
    app: &App,
    program: ProgramId,
    address: &str,
    text: &str,
) -> Result<(Application, Applicant), ApplicationError> {
    opened(app, program, address, text, Purpose::Answer).await
}

/// Takes what an applicant says, and submits it if that is asked: gates look at it, and the rules approve,
/// queue or reject it. Answers were held against the form by the caller.
///
/// # Errors
/// `WrongStage`, `Missing`, `TaxIdMalformed`, `Moved` (ask again), those of making a partner, the table's.
pub async fn answer(
    app: &App,
    (before, said_before): (Application, Applicant),
    said: Said,
    submits: bool,
) -> Changed<(Application, Applicant)> {
    if !before.stage().is_the_applicants() {
        return Err(ApplicationError::WrongStage(before.stage()));
    }
    let applicant = said.upon(app, said_before);
    let mut writes = Vec::new();
    let application = if submits {
        let missing = applicant.missing();
        if !missing.is_empty() {
            return Err(ApplicationError::Missing(missing));
        }
        submitted(app, &before, &applicant, &mut writes).await?
    } else {
        Application {
            version: before.version + 1,
            ..before
        }
    };
    writes.push(write(store::change(&application)?));
    writes.push(write(store::change_applicant(&application, &applicant)?));
    Ok(Change {
        value: (application, applicant),
        writes,
    })
}

/// What an applicant may be known by elsewhere: the gate and what stands for the thing.
fn identities(app: &App, applicant: &Applicant) -> Result<Vec<(Gate, String)>, ApplicationError> {
    let mut found: Vec<(Gate, String)> = partners::known_by_email(app, &applicant.email)
        .into_iter()
        .map(|(kind, reference)| match kind {
            Identity::Email => (Gate::DuplicateEmail, reference),
            Identity::Domain => (Gate::DuplicateDomain, reference),
        })
        .collect();
    if let Some(tax_id) = &applicant.tax_id {
        let country = applicant.country.as_deref().unwrap_or_default();
        let reference = partners::known_by_tax_id(app, tax_id, country)
            .ok_or(ApplicationError::TaxIdMalformed)?;
        found.push((Gate::DuplicateTaxId, reference));
    }
    if let Some(account) = &applicant.payout_account {
        found.push((Gate::DuplicatePayoutAccount, account.clone()));
    }
    Ok(found)
}

/// Who can have a mailbox of that domain.
fn mailbox(domain: &str) -> Mailbox {
    let registrable = psl::domain_str(domain).unwrap_or(domain);
    if is_disposable(registrable) {
        Mailbox::Disposable
    } else if is_free(registrable) {
        Mailbox::Free
    } else {
        Mailbox::Company
    }
}

/// The application as submitted and as far as the rules take it, with what else is written.
async fn submitted(
    app: &App,
    before: &Application,
    applicant: &Applicant,
    writes: &mut Vec<Write<ApplicationError>>,
) -> Result<Application, ApplicationError> {
    let program = before.program;
    let rules = rules(app, program).await?;
    let identifier =
        Identifier::email(&applicant.email).map_err(|_| ApplicationError::EmailMalformed)?;
    let email = app.keyring.reference("identity", identifier.value());
    let identities = identities(app, applicant)?;
    let looked = identities
        .iter()
        .map(|(gate, known)| store::known_by(&app.main, *gate, known, program, &email));
    let known = futures_util::future::try_join_all(looked).await?.concat();
    let domain = identifier.value().rsplit_once('@').map_or("", |(_, d)| d);
    let found = findings(
        &rules,
        &Facts {
            country: applicant.country.as_deref().unwrap_or_default(),
            domain,
            mailbox: mailbox(domain),
            known: &known,
        },
    );
    let now = app.now();
    let submitted = Application {
        findings: found,
        ..before.at(Stage::Submitted, now, None)
    };
    // Itself it is known by all but its email, under which its program knows it as the latest.
    for (_, reference) in identities
        .iter()
        .filter(|(gate, _)| *gate != Gate::DuplicateEmail)
    {
        writes.push(write(store::known_as(&submitted, reference, &email)));
    }
    let told = event(app, EventKind::ApplicationSubmitted, &submitted)
        .with_some("source", submitted.source.as_ref())
        .with_some("referrer", submitted.referrer);
    writes.push(write(events::put(&told)?));
    match verdict(&rules, &submitted.findings) {
        Verdict::Review => in_review(app, &submitted, writes),
        Verdict::Reject(reason) => rejected(app, &rules, &submitted, reason, None, writes),
        Verdict::Approve => {
            let approved = approval(app, &submitted, applicant, Terms::Unsaid, None).await;
            match approved {
                Ok(Approval {
                    partner,
                    writes: more,
                    unplaced: None,
                }) => {
                    writes.extend(more);
                    approved_by(app, &submitted, partner, None, writes)
                }
                // Whether who referred goes without what it would earn by others is not for a rule to say.
                Ok(Approval {
                    unplaced: Some(finding),
                    ..
                }) => {
                    let mut findings = submitted.findings.clone();
                    findings.push(Finding {
                        weight: Weight::Review,
                        ..finding
                    });
                    let found = Application {
                        findings,
                        ..submitted
                    };
                    in_review(app, &found, writes)
                }
                // The rules cannot say which plan pays where the program has none of its own.
                Err(ApplicationError::Partner(PartnerError::PlanMissing)) => {
                    in_review(app, &submitted, writes)
                }
                Err(error) => Err(error),
            }
        }
    }
}

fn in_review(
    app: &App,
    submitted: &Application,
    writes: &mut Vec<Write<ApplicationError>>,
) -> Result<Application, ApplicationError> {
    let told = event(app, EventKind::ApplicationInReview, submitted)
        .with("findings", submitted.findings.len());
    writes.push(write(events::put(&told)?));
    Ok(submitted.and_at(Stage::InReview, app.now(), None))
}

fn rejected(
    app: &App,
    rules: &Rules,
    application: &Application,
    reason: RejectReason,
    by: Option<OperatorId>,
    writes: &mut Vec<Write<ApplicationError>>,
) -> Result<Application, ApplicationError> {
    let now = app.now();
    let reapply_at = rules.reapply.from(now);
    let told = event(app, EventKind::ApplicationRejected, application)
        .with("reason", name_of(model::REJECT_REASONS, reason))
        .with_some("operator", by)
        .with_some("reapply_at", reapply_at);
    writes.push(write(events::put(&told)?));
    Ok(Application {
        reason: Some(reason),
        reapply_at,
        ..application.and_at(Stage::Rejected, now, by)
    })
}

fn approved_by(
    app: &App,
    application: &Application,
    partner: PartnerId,
    by: Option<OperatorId>,
    writes: &mut Vec<Write<ApplicationError>>,
) -> Result<Application, ApplicationError> {
    let told = event(app, EventKind::ApplicationApproved, application)
        .about_partner(partner)
        .with_some("operator", by);
    writes.push(write(events::put(&told)?));
    writes.push(write(store::made_partner(partner, application)));
    Ok(Application {
        partner: Some(partner),
        ..application.and_at(Stage::Approved, app.now(), by)
    })
}

/// What an approval does.
struct Approval {
    /// The partner that is made of an application, or the one that is enrolled by it.
    partner: PartnerId,
    /// The writes that do so.
    writes: Vec<Write<ApplicationError>>,
    /// Why who referred does not stand above it, though the plan pays levels.
    unplaced: Option<Finding>,
}

/// The approval of an application. What stands against who referred as its upline does not stand against the
/// partner: it is made without one, and the finding says why.
async fn approval(
    app: &App,
    application: &Application,
    applicant: &Applicant,
    terms: Terms,
    existing: Option<PartnerId>,
) -> Result<Approval, ApplicationError> {
    let missing = applicant.missing();
    let (Some(name), Some(country), Some(kind)) =
        (&applicant.name, &applicant.country, applicant.kind)
    else {
        return Err(ApplicationError::Missing(missing));
    };
    let placement = |upline: Option<PartnerId>| Placement {
        program: application.program,
        terms: terms.clone(),
        upline: upline.map(Some),
        effective_from: None,
    };
    let place = async |upline: Option<PartnerId>| match existing {
        Some(partner) => {
            let mut change = partners::enrol(app, partner, placement(upline)).await?;
            // Who is in the program stands where it stands, whoever refers it now.
            if upline.is_some() && matches!(change.value, Enrolled::Again(_)) {
                change = partners::enrol(app, partner, placement(None)).await?;
            }
            Ok((partner, change.writes))
        }
        None => {
            let new = NewPartner {
                contact: Contact {
                    name: name.clone(),
                    email: applicant.email.clone(),
                },
                country: country.clone(),
                kind,
            };
            let change = partners::admit(app, new, placement(upline)).await?;
            Ok((change.value.partner.id, change.writes))
        }
    };
    let is_there = match existing {
        Some(partner) => {
            let program = application.program;
            let enrolled = partners::store::find_enrolment(&app.main, partner, program);
            enrolled.await?.is_some()
        }
        None => false,
    };
    let (upline, mut unplaced) = if is_there {
        (None, None)
    } else {
        upline(app, application, &terms).await?
    };
    let placed = match place(upline).await {
        Err(error) => match fault_of_upline(&error) {
            Some(fault) => {
                unplaced = Some(unplaced_below(application, fault));
                place(None).await
            }
            None => Err(error),
        },
        placed => placed,
    };
    let (partner, writes) = placed?;
    let mut writes: Vec<Write<ApplicationError>> = writes
        .into_iter()
        .map(
            |Write {
                 op,
                 refused,
                 forgets,
             }| Write {
                forgets,
                ..Write::new(op, move |item| refused(item).into())
            },
        )
        .collect();
    if existing.is_none() {
        let told = Event::new(app.fresh(), EventKind::PartnerApproved, partner, app.now())
            .about_partner(partner)
            .with("application", application.id);
        writes.push(write(events::put(&told)?));
        if let Some(tax_id) = &applicant.tax_id
            && let Some(reference) = partners::known_by_tax_id(app, tax_id, country)
        {
            writes.push(write(partners::store::known_as(partner, &reference)));
        }
    }
    Ok(Approval {
        partner,
        writes,
        unplaced,
    })
}

/// What an upline is refused for, where it is that.
fn fault_of_upline(error: &PartnerError) -> Option<Code> {
    match error {
        PartnerError::UplineCycle(_) => Some(codes::UPLINE_CYCLE),
        PartnerError::UplineTooDeep => Some(codes::UPLINE_TOO_DEEP),
        PartnerError::UplineNotEnrolled(_) => Some(codes::NOT_ENROLLED),
        _ => None,
    }
}

/// That who referred does not stand above the partner.
fn unplaced_below(application: &Application, fault: Code) -> Finding {
    let referrer = application.referrer.map(|id| id.to_string());
    Finding {
        gate: Gate::Upline,
        weight: Weight::Note,
        evidence: format!("{}: {}", referrer.unwrap_or_default(), fault.name),
    }
}

/// The partner to stand below: who referred, where the plan that will pay pays levels. Where one who referred
/// cannot, why not.
async fn upline(
    app: &App,
    application: &Application,
    terms: &Terms,
) -> Result<(Option<PartnerId>, Option<Finding>), ApplicationError> {
    let Some(referrer) = application.referrer else {
        return Ok((None, None));
    };
    let program = program_of(app, application.program).await?;
    let now = app.now();
    let plan = match terms {
        Terms::Plan(code) => Some(code.as_str()),
        Terms::Default | Terms::Unsaid => assigned_at(&program.default_plans, now),
    };
    let Some(plan) = plan else {
        return Ok((None, None));
    };
    let versions = programs::plan_versions(app, application.program, plan).await?;
    let pays_levels = versions.is_some_and(|versions| {
        let standing = versions
            .iter()
            .rev()
            .find(|version| version.effective_from <= now);
        standing.is_some_and(|version| !version.terms.levels.is_empty())
    });
    if !pays_levels {
        return Ok((None, None));
    }
    let fault = match partners::enrolled(app, referrer, application.program).await {
        Ok(_) => return Ok((Some(referrer), None)),
        Err(PartnerError::Table(error)) => return Err(error.into()),
        // One who has left or is suspended by now earns nothing by others either.
        Err(PartnerError::Suspended) => codes::PARTNER_SUSPENDED,
        Err(_) => codes::NOT_ENROLLED,
    };
    Ok((None, Some(unplaced_below(application, fault))))
}

// ---- Operators

/// What an operator decides.
#[derive(Clone, Debug)]
pub enum Decision {
    /// A partner is made of it, or a partner that exists is enrolled.
    Approve {
        /// Which plan pays.
        terms: Terms,
        /// The partner that exists.
        partner: Option<PartnerId>,
    },
    /// It is turned down.
    Reject {
        /// Why.
        reason: RejectReason,
        /// What else the applicant is told.
        note: Option<String>,
    },
    /// The applicant is asked for more.
    Ask {
        /// For what.
        note: String,
    },
}

/// An application.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: ApplicationId) -> Result<Known, ApplicationError> {
    let found = store::find(&app.main, id).await?;
    found
        .map(|(application, applicant)| Known {
            application,
            applicant,
        })
        .ok_or(ApplicationError::NotFound)
}

/// A page of applications, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    listed: Listed,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<Known>, Option<String>), ApplicationError> {
    let (ids, position) = store::page(&app.main, listed, beyond, limit).await?;
    let found = store::find_many(&app.main, &ids).await?;
    let known = found.into_iter().map(|(application, applicant)| Known {
        application,
        applicant,
    });
    Ok((known.collect(), position))
}

/// Decides an application whose version is `based_on`. What is approved makes a partner and its enrolment in
/// the same transaction.
///
/// # Errors
/// `NotFound`, `Stale`, `WrongStage`, `Erased`, `Missing`, those of making a partner, the table's.
pub async fn decide(
    app: &App,
    id: ApplicationId,
    by: OperatorId,
    based_on: u64,
    decision: Decision,
) -> Changed<Known> {
    let Known {
        application: before,
        applicant,
    } = find(app, id).await?;
    if before.version != based_on {
        return Err(ApplicationError::Stale);
    }
    let stage = before.stage();
    let is_open = match &decision {
        Decision::Approve { .. } => matches!(stage, Stage::InReview | Stage::NeedsInformation),
        Decision::Ask { .. } => stage == Stage::InReview,
        Decision::Reject { .. } => !stage.is_decided(),
    };
    if !is_open {
        return Err(ApplicationError::WrongStage(stage));
    }
    let mut applicant = applicant.ok_or(ApplicationError::Erased)?;
    let mut writes = Vec::new();
    let now = app.now();
    // One change, however many stages.
    let next = Application {
        version: before.version + 1,
        ..before.clone()
    };
    let application = match decision {
        Decision::Approve { terms, partner } => {
            let Approval {
                partner,
                writes: more,
                unplaced,
            } = approval(app, &next, &applicant, terms, partner).await?;
            writes.extend(more);
            let mut found = next.clone();
            found
                .findings
                .retain(|finding| finding.gate != Gate::Upline);
            found.findings.extend(unplaced);
            approved_by(app, &found, partner, Some(by), &mut writes)?
        }
        Decision::Reject { reason, note } => {
            applicant.note = note;
            let rules = rules(app, before.program).await?;
            rejected(app, &rules, &next, reason, Some(by), &mut writes)?
        }
        Decision::Ask { note } => {
            applicant.note = Some(note);
            let told =
                event(app, EventKind::ApplicationNeedsInformation, &next).with("operator", by);
            writes.push(write(events::put(&told)?));
            next.with_token(days_after(now, ANSWER_DAYS)).and_at(
                Stage::NeedsInformation,
                now,
                Some(by),
            )
        }
    };
    writes.insert(
        0,
        Write::new(store::change(&application)?, |_| ApplicationError::Stale),
    );
    writes.push(write(store::change_applicant(&application, &applicant)?));
    Ok(Change {
        value: Known {
            application,
            applicant: Some(applicant),
        },
        writes,
    })
}

/// Takes away all that applications of one person say of who made them; what became of them stays. One that is
/// under way is rejected by that. Beside the application that is named those are erased that its mailbox made, to
/// whichever program, but for those that made a partner: these are erased with it.
///
/// # Errors
/// `NotFound`, `Moved`, the table's. Safe to repeat: where there are many the first ones may be erased by then.
pub async fn erase(app: &App, id: ApplicationId, by: OperatorId) -> Changed<Application> {
    let Known {
        application,
        applicant,
    } = find(app, id).await?;
    let email = applicant.as_ref().map(|who| who.email.as_str());
    let mut others = made_by(app, email.as_slice(), None).await?;
    others.retain(|other| other.id != id);
    // The one that is named comes last: by it the others are found.
    for some in others.chunks(ERASED_AT_ONCE) {
        let mut ops = Vec::with_capacity(2 * some.len());
        for other in some {
            ops.extend(erasure(other, app.now(), by)?.1);
        }
        match app.main.transact(&ops).await {
            Ok(()) => {}
            Err(table::TransactError::Refused(_)) => return Err(ApplicationError::Moved),
            Err(table::TransactError::Table(error)) => return Err(error.into()),
        }
    }
    let (erased, ops) = erasure(&application, app.now(), by)?;
    Ok(Change {
        value: erased,
        writes: ops.map(write).into(),
    })
}

/// An application without who made it, and the two writes that make it so.
///
/// # Errors
/// Never for a well-formed application.
pub fn erasure(
    application: &Application,
    now: Timestamp,
    by: OperatorId,
) -> Result<(Application, [Op; 2]), table::Error> {
    let erased = Application {
        version: application.version + 1,
        // No token opens it any more.
        token_until: now,
        ..application.clone()
    };
    let erased = if application.stage().is_decided() {
        erased
    } else {
        Application {
            reason: Some(RejectReason::Other),
            ..erased.and_at(Stage::Rejected, now, Some(by))
        }
    };
    let ops = [
        store::change(&erased)?,
        store::erase_applicant(application.id),
    ];
    Ok((erased, ops))
}

/// Applications whose applicant is not erased yet and which mailboxes made, to whichever program, or of which a
/// partner was made; none of which another partner was made. Those of the partner come last: by their mailboxes the
/// others are found.
///
/// # Errors
/// The table's.
pub async fn made_by(
    app: &App,
    emails: &[&str],
    partner: Option<PartnerId>,
) -> Result<Vec<Application>, table::Error> {
    let mut known = BTreeMap::new();
    let mut mailboxes: BTreeSet<String> = emails.iter().map(|email| (*email).to_owned()).collect();
    if let Some(partner) = partner {
        let ids = store::of_partner(&app.main, partner).await?;
        for (application, applicant) in store::find_many(&app.main, &ids).await? {
            // It may have applied with another email than the partner has now.
            if let Some(applicant) = applicant {
                mailboxes.insert(applicant.email);
                known.insert(application.id, application);
            }
        }
    }
    for email in mailboxes {
        // What is no mailbox in our sense made none.
        let Ok(reference) = email_reference(app, &email) else {
            continue;
        };
        let mut beyond = None;
        loop {
            let (ids, more) = store::made_by(&app.main, &reference, beyond).await?;
            for (application, applicant) in store::find_many(&app.main, &ids).await? {
                let is_own = application.partner.is_none() || application.partner == partner;
                if is_own && applicant.is_some() {
                    known.insert(application.id, application);
                }
            }
            match more {
                Some(more) => beyond = Some(more),
                None => break,
            }
        }
    }
    let mut known: Vec<Application> = known.into_values().collect();
    known.sort_by_key(|application| application.partner.is_some());
    Ok(known)
}

// ---- Mail

/// Whom a mail about an application goes to, and what only that mail says.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// Name and email.
    pub contact: Contact,
    /// The token, the page that takes it, an operator's note, where they are told.
    pub facts: BTreeMap<String, String>,
}

/// Whom a mail about an event of an application goes to; nobody once the applicant was erased.
///
/// # Errors
/// The table's.
pub async fn addressee(
    app: &App,
    id: ApplicationId,
    told: &Event,
) -> Result<Option<Addressee>, table::Error> {
    let Some((application, Some(applicant))) = store::find(&app.main, id).await? else {
        return Ok(None);
    };
    let mut facts = BTreeMap::new();
    let is_asked = matches!(
        told.kind,
        EventKind::ApplicationInvited
            | EventKind::ApplicationConfirmationAsked
            | EventKind::ApplicationNeedsInformation
    );
    if is_asked {
        // Whoever applies in somebody's name leaves nothing of it in the application itself, so a mail that only
        // asks to confirm carries a token of its own time.
        let days = match told.kind {
            EventKind::ApplicationConfirmationAsked => CONFIRM_DAYS,
            _ => ANSWER_DAYS,
        };
        let until = days_after(told.at, days).as_second();
        let token = token(app, &application, Purpose::Confirm, until);
        let form = store::find_form(&app.main, application.program).await?;
        if let Some(page) = form.and_then(|form| form.page_url) {
            facts.insert("link".to_owned(), page.replace("{token}", &token));
        }
        facts.insert("token".to_owned(), token);
    }
    let is_noted = matches!(
        told.kind,
        EventKind::ApplicationNeedsInformation | EventKind::ApplicationRejected
    );
    if let (true, Some(note)) = (is_noted, &applicant.note) {
        facts.insert("note".to_owned(), note.clone());
    }
    let Applicant { email, name, .. } = applicant;
    Ok(Some(Addressee {
        contact: Contact {
            // Of one who has not said, what stands in front of the @ has to do.
            name: name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned()),
            email,
        },
        facts,
    }))
}
