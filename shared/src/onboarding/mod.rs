//! Onboarding: a checklist for each program, whose steps are completed by what happens.
//!
//! What completes a step is read from where it stands. The table's stream tells when something came in that may
//! complete one; each completion is told by an event, once.

pub mod error;
pub mod model;
pub mod store;

use error::OnboardingError;
use model::{Checklist, Facts, Progress, StepKind};
use serde_json::json;

use crate::agreements;
use crate::clock::Timestamp;
use crate::edge::{App, Change, Queue, Write};
use crate::events::{self, Event, EventKind};
use crate::ids::{LinkId, OperatorId, PartnerId, ProgramId};
use crate::table::{self, Op, TransactError};
use crate::{partners, programs};

/// Programs of a partner that are looked at when something of it changes.
const PROGRAMS: usize = 200;
/// Partners of a program that are looked at by one message when its terms take effect; the next message goes on.
const PARTNERS: usize = 25;
/// Links of a partner that are looked at for its first in a program.
const LINKS: usize = 200;

/// A program's checklist.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn checklist(app: &App, program: ProgramId) -> Result<Checklist, OnboardingError> {
    programs::program(app, program)
        .await?
        .ok_or(OnboardingError::ProgramNotFound)?;
    let found = store::find_checklist(&app.main, program).await?;
    Ok(found.unwrap_or_else(|| Checklist {
        program,
        steps: Vec::new(),
        version: 0,
    }))
}

/// Sets a program's checklist in place of the version that it is based on.
///
/// # Errors
/// `ProgramNotFound`, `VersionMissing`, `Stale`, the table's.
pub async fn set_checklist(
    app: &App,
    based_on: Option<u64>,
    new: Checklist,
) -> Result<Change<Checklist, OnboardingError>, OnboardingError> {
    let before = checklist(app, new.program).await?;
    match based_on {
        None if before.version > 0 => return Err(OnboardingError::VersionMissing),
        Some(based_on) if based_on != before.version => return Err(OnboardingError::Stale),
        _ => {}
    }
    let value = Checklist {
        version: before.version + 1,
        ..new
    };
    let save = store::save_checklist(&value)?;
    Ok(Change {
        value,
        writes: vec![Write::new(save, |_| OnboardingError::Stale)],
    })
}

/// A partner's way through a program's checklist.
#[derive(Clone, Debug)]
pub struct Way {
    /// The steps.
    pub checklist: Checklist,
    /// What is there.
    pub facts: Facts,
    /// What was confirmed and told.
    pub progress: Progress,
}

async fn facts(
    app: &App,
    partner: PartnerId,
    checklist: &Checklist,
) -> Result<Facts, OnboardingError> {
    let asks = |kind| checklist.steps.iter().any(|step| step.kind == kind);
    let mut facts = Facts::default();
    if asks(StepKind::AcceptTerms) {
        facts.accepted_at = agreements::accepted_at(app, checklist.program, partner).await?;
    }
    if asks(StepKind::PayoutMethod) {
        let method = partners::store::find_method(&app.main, partner).await?;
        facts.payout_method_at = method.map(|method| method.updated_at);
    }
    if asks(StepKind::TaxProfile) {
        let profile = partners::store::find_tax(&app.main, partner).await?;
        facts.tax_profile_at = profile.map(|profile| profile.updated_at);
    }
    if asks(StepKind::FirstLink) {
        let (links, _) = programs::links(app, partner, None, LINKS).await?;
        let own = links
            .iter()
            .filter(|link| link.program == checklist.program);
        facts.link_at = own.map(|link| link.created_at).min();
    }
    Ok(facts)
}

/// How far a partner has come in a program.
///
/// # Errors
/// `ProgramNotFound`, `NotEnrolled`, the table's.
pub async fn way(
    app: &App,
    partner: PartnerId,
    program: ProgramId,
) -> Result<Way, OnboardingError> {
    let checklist = checklist(app, program).await?;
    partners::enrolment(app, partner, program)
        .await?
        .ok_or(OnboardingError::NotEnrolled)?;
    let facts = facts(app, partner, &checklist).await?;
    let progress = store::find_progress(&app.main, partner, program).await?;
    Ok(Way {
        checklist,
        facts,
        progress,
    })
}

/// The writes that tell what is new, with the progress once it is told.
fn told(
    app: &App,
    way: &Way,
    now: Timestamp,
) -> Result<Option<(Progress, Vec<Op>)>, OnboardingError> {
    let Some((steps, sets, after)) = way.progress.news(&way.checklist, &way.facts) else {
        return Ok(None);
    };
    let event = |kind| {
        Event::new(app.fresh(), kind, after.partner, now)
            .in_program(after.program)
            .about_partner(after.partner)
    };
    let mut ops = vec![store::save_progress(&after)?];
    for step in steps {
        let by = after.confirmed.get(&step).map(|(_, by)| *by);
        let completed = event(EventKind::PartnerStepCompleted)
            .with("step", step)
            .with_some("operator", by);
        ops.push(events::put(&completed)?);
    }
    if sets {
        ops.push(events::put(&event(EventKind::PartnerOnboarded))?);
    }
    Ok(Some((after, ops)))
}

/// Tells which steps of a partner were completed since, in each of its programs.
///
/// # Errors
/// `Moved` when another did at the same moment (ask again), the table's.
pub async fn advance(app: &App, partner: PartnerId) -> Result<(), OnboardingError> {
    let (enrolments, _) = partners::enrolments(app, partner, None, PROGRAMS).await?;
    for enrolment in enrolments {
        if let Some(checklist) = store::find_checklist(&app.main, enrolment.program).await? {
            advance_along(app, partner, checklist).await?;
        }
    }
    Ok(())
}

/// Tells which steps of a checklist a partner has completed since.
async fn advance_along(
    app: &App,
    partner: PartnerId,
    checklist: Checklist,
) -> Result<(), OnboardingError> {
    let facts = facts(app, partner, &checklist).await?;
    let progress = store::find_progress(&app.main, partner, checklist.program).await?;
    let way = Way {
        checklist,
        facts,
        progress,
    };
    let Some((_, ops)) = told(app, &way, app.now())? else {
        return Ok(());
    };
    match app.main.transact(&ops).await {
        Ok(()) => Ok(()),
        Err(TransactError::Refused(_)) => Err(OnboardingError::Moved),
        Err(TransactError::Table(error)) => Err(error.into()),
    }
}

/// Goes on behind a position through the partners of a program whose terms have taken effect in that version: of
/// those who accepted them before, a step is completed by that alone.
///
/// # Errors
/// `Moved` when another did at the same moment (ask again), the table's; `Busy` when the queue did not take what
/// goes on.
pub async fn terms_took_effect(
    app: &App,
    program: ProgramId,
    version: u32,
    after: &str,
) -> Result<(), OnboardingError> {
    let checklist = store::find_checklist(&app.main, program).await?;
    let asks = |checklist: &Checklist| {
        let mut steps = checklist.steps.iter();
        steps.any(|step| step.kind == StepKind::AcceptTerms)
    };
    if let Some(checklist) = checklist.filter(asks) {
        let (found, more) = partners::positions(app, after, PARTNERS).await?;
        let ids: Vec<PartnerId> = found.iter().map(|(partner, _)| *partner).collect();
        let enrolled = partners::store::find_enrolments(&app.main, &ids, program).await?;
        for partner in enrolled.into_keys() {
            advance_along(app, partner, checklist.clone()).await?;
        }
        if let (true, Some((_, position))) = (more, found.last()) {
            let next = json!({ "program": program, "version": version, "after": position });
            let next = json!({ "terms": next });
            return if app.queues.send(Queue::Channel, &[next]).await.is_empty() {
                Ok(())
            } else {
                Err(table::Error::Busy("the channel queue".to_owned()).into())
            };
        }
    }
    Ok(agreements::taken_effect(app, program, version).await?)
}

/// The same for the partner of a link.
///
/// # Errors
/// `Moved`, the table's.
pub async fn advance_by_link(app: &App, link: LinkId) -> Result<(), OnboardingError> {
    match programs::link(app, link).await? {
        Some(link) => advance(app, link.partner).await,
        None => Ok(()),
    }
}

/// Confirms a step that an operator says is completed, such as a training; a second time changes nothing.
///
/// # Errors
/// `ProgramNotFound`, `NotEnrolled`, `StepNotFound`, `Moved` (ask again), the table's.
pub async fn confirm(
    app: &App,
    partner: PartnerId,
    program: ProgramId,
    code: &str,
    by: OperatorId,
) -> Result<Change<Way, OnboardingError>, OnboardingError> {
    let mut way = way(app, partner, program).await?;
    let is_known = way
        .checklist
        .steps
        .iter()
        .any(|step| step.code == code && step.kind == StepKind::Confirmed);
    if !is_known {
        return Err(OnboardingError::StepNotFound);
    }
    let now = app.now();
    let confirmed = &mut way.progress.confirmed;
    confirmed.entry(code.to_owned()).or_insert((now, by));
    let Some((after, ops)) = told(app, &way, now)? else {
        return Ok(Change {
            value: way,
            writes: Vec::new(),
        });
    };
    Ok(Change {
        value: Way {
            progress: after,
            ..way
        },
        writes: ops
            .into_iter()
            .map(|op| Write::new(op, |_| OnboardingError::Moved))
            .collect(),
    })
}
