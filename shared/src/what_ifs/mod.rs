//! What another plan would have paid for a program's real history: asked as a job that goes on step by step,
//! touches nothing, and is answered partner by partner.

pub mod error;
pub mod model;
pub mod store;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::commissions::fold::asks_after_customers;
use crate::commissions::history::{Line, Place, Walk, line};
use crate::commissions::model::Figures;
use crate::commissions::what_if::{self, Past, Span, is_joint};
use crate::edge::{App, Change, Write};
use crate::ids::{OperatorId, PartnerId, ProgramId, WhatIfId};
use crate::money::MoneyError;
use crate::plans::model::Terms;
use crate::programs;
use crate::programs::model::Program;
use crate::table::{Error, TransactError};

use error::WhatIfError;
use model::{Failure, MAX_AT_WORK, MAX_TOGETHER, Stage, WhatIf};

/// How long a step begins new partners: the function has a minute.
const STEP_SECONDS: u64 = 15;
/// How long a step may read what has to be looked at together: the rest of the function's minute is for working
/// it out.
const READ_SECONDS: u64 = 40;
/// Partners whose figures one step writes: with the question itself they fit one transaction.
const STEP_PARTNERS: usize = 80;
/// Pieces of payout work looked at to count the questions among them.
const MAX_LOOKED_AT: usize = 200;
/// Lines of a page of an exported history; with what a line may hold it stays below what a function may
/// answer (6 MB).
const EXPORT_LINES: usize = 2_000;
/// Bytes of a page of an exported history that is read on.
const EXPORT_BYTES: usize = 3_000_000;
/// How long a page of an exported history may read on: API Gateway waits half a minute for an answer.
const EXPORT_SECONDS: u64 = 12;

/// A question to be asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the other plan pays.
    pub terms: Terms,
    /// From when on.
    pub from: Timestamp,
    /// Until when, the instant not included; until now unless told, and no further.
    pub to: Option<Timestamp>,
    /// The plan in whose place it pays; all plans' unless told.
    pub replaces: Option<String>,
}

/// Asks what a plan would have paid. Everything else follows from the question's being there.
///
/// # Errors
/// `ProgramNotFound`, `Backwards`, `InFuture`, `AtWork`, the table's.
pub async fn ask(
    app: &App,
    by: OperatorId,
    program: ProgramId,
    question: Question,
) -> Result<Change<WhatIf, WhatIfError>, WhatIfError> {
    let Question {
        terms,
        from,
        to,
        replaces,
    } = question;
    let now = app.now();
    let asked_of = find_program(app, program).await?;
    if from > now {
        return Err(WhatIfError::InFuture);
    }
    let to = to.map_or(now, |to| to.min(now));
    if to <= from {
        return Err(WhatIfError::Backwards);
    }
    if store::at_work(&app.main, MAX_LOOKED_AT).await? >= MAX_AT_WORK {
        return Err(WhatIfError::AtWork);
    }
    let what_if = WhatIf {
        id: app.fresh(),
        program,
        currency: asked_of.currency,
        terms,
        from,
        to,
        replaces,
        by,
        at: now,
        stage: Stage::Running,
        moved_at: now,
        after: String::new(),
        partners: 0,
        lines: 0,
        total: Figures::default(),
        version: 1,
    };
    let put = Write::new(store::put(&what_if)?, |_| WhatIfError::Moved);
    Ok(Change {
        value: what_if,
        writes: vec![put],
    })
}

async fn find_program(app: &App, id: ProgramId) -> Result<std::sync::Arc<Program>, WhatIfError> {
    programs::program(app, id)
        .await?
        .ok_or(WhatIfError::ProgramNotFound(id))
}

/// A question and how far it has come.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: WhatIfId) -> Result<WhatIf, WhatIfError> {
    store::find(&app.main, id, app.now())
        .await?
        .ok_or(WhatIfError::NotFound(id))
}

/// A page of what partners were paid and would have been, by partner, and the position to go on from.
pub type PartnersPage = (WhatIf, Vec<(PartnerId, Figures)>, Option<String>);

/// What partners were paid and would have been, as far as that is known.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn partners(
    app: &App,
    id: WhatIfId,
    after: Option<String>,
    limit: usize,
) -> Result<PartnersPage, WhatIfError> {
    let what_if = find(app, id).await?;
    let (found, position) = store::partners(&app.main, id, after, limit).await?;
    Ok((what_if, found, position))
}

/// What a step came to.
struct Step {
    figures: BTreeMap<PartnerId, Figures>,
    partners: u64,
    lines: u64,
    /// The position of the last partner that was looked at; `None` when that were all.
    after: Option<String>,
}

/// Why a step came to nothing.
enum Stopped {
    /// For good.
    Failed(Failure),
    /// For now.
    Table(Error),
}

impl From<MoneyError> for Stopped {
    fn from(_: MoneyError) -> Self {
        Self::Failed(Failure::OverLimit)
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Table(error)
    }
}

/// Brings a question on by one step: the next partners are looked at and written down in one transaction with
/// how far it has come, which brings the next step. Where the plan binds all partners together, they are one
/// step.
///
/// # Errors
/// The table's. Safe to repeat; of two at once one is refused.
pub async fn advance(app: &App, id: WhatIfId) -> Result<(), Error> {
    let Some(mut what_if) = store::find(&app.main, id, app.now()).await? else {
        return Ok(());
    };
    if what_if.stage != Stage::Running {
        return Ok(());
    }
    let program = programs::program(app, what_if.program)
        .await?
        .ok_or_else(|| Error::Malformed("a what-if without its program".to_owned()))?;
    let plan = what_if.plan();
    let joint = is_joint(&plan.terms);
    let step = if joint {
        together(app, &program, &what_if).await
    } else {
        one_by_one(app, &program, &what_if).await
    };
    let mut ops = Vec::new();
    match step.and_then(|step| counted(&mut what_if, &step).map(|()| step)) {
        Ok(step) => {
            if !joint {
                let each = step.figures.iter();
                ops.extend(each.map(|(partner, own)| store::add(&what_if, *partner, own)));
            } else {
                // Whole figures, so that a second try writes the same; none once the question is answered.
                let each: Vec<_> = step.figures.iter().collect();
                for group in each.chunks(STEP_PARTNERS) {
                    let mut ops = group
                        .iter()
                        .map(|(partner, figures)| store::set_partner(&what_if, **partner, figures))
                        .collect::<Result<Vec<_>, Error>>()?;
                    ops.push(store::unmoved(&what_if));
                    match app.main.transact(&ops).await {
                        Ok(()) => {}
                        Err(TransactError::Refused(_)) => return Ok(()),
                        Err(TransactError::Table(error)) => return Err(error),
                    }
                }
            }
            match step.after {
                Some(after) => what_if.after = after,
                None => what_if.stage = Stage::Done,
            }
        }
        Err(Stopped::Failed(failure)) => what_if.stage = Stage::Failed(failure),
        Err(Stopped::Table(Error::Malformed(reason))) => {
            tracing::error!(reason, what_if = %id, "a line of history cannot be read");
            what_if.stage = Stage::Failed(Failure::Unreadable);
        }
        Err(Stopped::Table(error)) => return Err(error),
    }
    what_if.version += 1;
    what_if.moved_at = app.now();
    ops.push(store::change(&what_if)?);
    match app.main.transact(&ops).await {
        // Somebody else took the step; the next comes of that.
        Ok(()) | Err(TransactError::Refused(_)) => Ok(()),
        Err(TransactError::Table(error)) => Err(error),
    }
}

fn counted(what_if: &mut WhatIf, step: &Step) -> Result<(), Stopped> {
    what_if.partners += step.partners;
    what_if.lines += step.lines;
    for figures in step.figures.values() {
        what_if.total = what_if.total.plus(figures)?;
    }
    Ok(())
}

fn span(program: &Program, what_if: &WhatIf) -> Span {
    Span {
        from: what_if.from,
        to: what_if.to,
        program_since: program.created_at,
        asked_at: what_if.at,
    }
}

/// From when on history is read: customers are known from before.
fn read_from(program: &Program, what_if: &WhatIf) -> Timestamp {
    // Nothing was posted before the program was made.
    if asks_after_customers(&what_if.terms) {
        program.created_at
    } else {
        what_if.from.max(program.created_at)
    }
}

/// Whether a line has anything to say to a question: of what happened before, customers are asked after.
fn matters(what_if: &WhatIf, past: &Past) -> bool {
    let tells_of_customer = || {
        let event = past.event.as_ref();
        event.is_some_and(|event| event.entry.customer.is_some())
            && asks_after_customers(&what_if.terms)
    };
    past.at < what_if.to && (past.at >= what_if.from || tells_of_customer())
}

async fn one_by_one(app: &App, program: &Program, what_if: &WhatIf) -> Result<Step, Stopped> {
    let begun = Instant::now();
    let until = begun + Duration::from_secs(STEP_SECONDS);
    let place = Place {
        after: what_if.after.clone(),
        within: None,
    };
    let mut walk = Walk::at(app, program, read_from(program, what_if), place);
    let mut step = Step {
        figures: BTreeMap::new(),
        partners: 0,
        lines: 0,
        after: Some(what_if.after.clone()),
    };
    let mut pasts: Vec<Past> = Vec::new();
    loop {
        let Some(page) = walk.next().await? else {
            step.after = None;
            return Ok(step);
        };
        pasts.extend(page.into_iter().filter(|past| matters(what_if, past)));
        let is_out_of_time = begun.elapsed() > Duration::from_secs(READ_SECONDS);
        if pasts.len() > MAX_TOGETHER || (is_out_of_time && step.partners == 0) {
            return Err(Stopped::Failed(Failure::TooMany));
        }
        if is_out_of_time {
            // The next step begins with this partner.
            return Ok(step);
        }
        if walk.place().within.is_some() {
            continue;
        }
        // A partner is complete.
        let lines = u64::try_from(pasts.len()).unwrap_or(0);
        let found = reckon(program, what_if, std::mem::take(&mut pasts))?;
        let fresh = found
            .keys()
            .filter(|partner| !step.figures.contains_key(partner));
        if step.figures.len() + fresh.count() > STEP_PARTNERS {
            if step.partners == 0 {
                return Err(Stopped::Failed(Failure::TooMany));
            }
            // The next step begins with this partner.
            return Ok(step);
        }
        for (partner, figures) in found {
            let sum = step.figures.entry(partner).or_default();
            *sum = sum.plus(&figures)?;
        }
        step.lines += lines;
        step.partners += 1;
        step.after = Some(walk.place().after.clone());
        if step.figures.len() >= STEP_PARTNERS || Instant::now() >= until {
            return Ok(step);
        }
    }
}

async fn together(app: &App, program: &Program, what_if: &WhatIf) -> Result<Step, Stopped> {
    let mut walk = Walk::at(app, program, read_from(program, what_if), Place::default());
    let begun = Instant::now();
    let mut pasts: Vec<Past> = Vec::new();
    let mut partners = 0;
    while let Some(page) = walk.next().await? {
        pasts.extend(page.into_iter().filter(|past| matters(what_if, past)));
        if pasts.len() > MAX_TOGETHER || begun.elapsed() > Duration::from_secs(READ_SECONDS) {
            return Err(Stopped::Failed(Failure::TooMany));
        }
        if walk.place().within.is_none() {
            partners += 1;
        }
    }
    Ok(Step {
        partners,
        lines: u64::try_from(pasts.len()).unwrap_or(0),
        figures: reckon(program, what_if, pasts)?,
        after: None,
    })
}

fn reckon(
    program: &Program,
    what_if: &WhatIf,
    mut pasts: Vec<Past>,
) -> Result<BTreeMap<PartnerId, Figures>, MoneyError> {
    pasts.sort_by_key(|past| (past.at, past.id));
    let plan = what_if.plan();
    let mut asked = what_if::WhatIf::new(
        &plan,
        program.currency,
        span(program, what_if),
        what_if.replaces.as_deref(),
    );
    for past in pasts {
        asked.take(past)?;
    }
    asked.finish()
}

/// A page of an exported history.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The program.
    pub program: std::sync::Arc<Program>,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A page of what happened in a program between two times: partner after partner.
///
/// # Errors
/// `ProgramNotFound`, `Backwards`, `NoPlace`, the table's.
pub async fn export(
    app: &App,
    id: ProgramId,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    place: Option<&str>,
) -> Result<Exported, WhatIfError> {
    let program = find_program(app, id).await?;
    let from = from.unwrap_or(Timestamp::UNIX_EPOCH);
    let to = to.unwrap_or(Timestamp::MAX);
    if to <= from {
        return Err(WhatIfError::Backwards);
    }
    let place = match place {
        None => Place::default(),
        Some(place) => place.parse().map_err(|()| WhatIfError::NoPlace)?,
    };
    let until = Instant::now() + Duration::from_secs(EXPORT_SECONDS);
    // Nothing was posted before the program was made.
    let mut walk = Walk::at(app, &program, from.max(program.created_at), place);
    let mut lines = Vec::new();
    let mut bytes = 0;
    let mut next = None;
    while let Some(page) = walk.next().await? {
        for past in page {
            if past.at < from || past.at >= to {
                continue;
            }
            let line = line(&past, program.currency);
            bytes += line.event.as_ref().map_or(300, |event| {
                let meta = event
                    .meta
                    .iter()
                    .map(|(name, value)| name.len() + value.len());
                600 + meta.sum::<usize>()
            });
            lines.push(line);
        }
        if lines.len() >= EXPORT_LINES || bytes >= EXPORT_BYTES || Instant::now() >= until {
            next = Some(walk.place().to_string());
            break;
        }
    }
    Ok(Exported {
        program,
        lines,
        next,
    })
}
