//! Agreements: a program's terms in versions, and what those cannot do who have not accepted them.

pub mod error;
pub mod model;
pub mod store;

use std::sync::Arc;

use error::AgreementError;
use model::{Acceptance, Agreement, Blocked, MAX_VERSIONS, Signer, Term, blocks};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::clock::{Timestamp, minutes_after};
use crate::edge::{App, Change, Queue, Write};
use crate::events::{self, Event, EventKind};
use crate::ids::{KeyId, OperatorId, PartnerId, ProgramId, hex};
use crate::table::{self, Op, TransactError};
use crate::{partners, programs};

/// Versions for which one run does something; the next run goes on.
const REMINDED: usize = 20;
/// Minutes after which it is looked again at who has accepted a version that took effect, where that came to no
/// end: far more than it takes.
const AGAIN_MINUTES: i64 = 60;

fn terms_name(program: ProgramId) -> String {
    format!("AGREEMENTS#{program}")
}

/// A program's terms in their versions, at most [`crate::edge::CACHE_SECONDS`] old.
async fn terms(app: &App, program: ProgramId) -> Result<Arc<Vec<Term>>, table::Error> {
    let found = app
        .cached(&terms_name(program), || async {
            store::terms(&app.main, program).await.map(Some)
        })
        .await?;
    Ok(found.unwrap_or_default())
}

/// Whether a partner cannot do something in a program because it has not accepted the terms in force: one
/// read, and none where no terms block it.
///
/// # Errors
/// The table's.
pub async fn block(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
    what: Blocked,
) -> Result<bool, table::Error> {
    let terms = terms(app, program).await?;
    let now = app.now();
    if !blocks(&terms, 0, what, now) {
        return Ok(false);
    }
    let accepted = store::accepted(&app.main, partner, program).await?;
    let accepted = accepted.map_or(0, |(version, _)| version);
    Ok(blocks(&terms, accepted, what, now))
}

/// A version to be published.
#[derive(Clone, Debug)]
pub struct NewAgreement {
    /// What it is called.
    pub title: String,
    /// The whole text.
    pub text: String,
    /// From when on it holds; now when absent.
    pub effective_at: Option<Timestamp>,
    /// What those cannot do who have not accepted it.
    pub blocks: Vec<Blocked>,
}

/// Publishes a program's next version; every partner of the program is told.
///
/// # Errors
/// `ProgramNotFound`, `TooEarly`, `TooMany`, `Moved`, the table's.
pub async fn publish(
    app: &App,
    program: ProgramId,
    by: OperatorId,
    new: NewAgreement,
) -> Result<Change<Agreement, AgreementError>, AgreementError> {
    programs::program(app, program)
        .await?
        .ok_or(AgreementError::ProgramNotFound)?;
    let before = store::terms(&app.main, program).await?;
    let now = app.now();
    let NewAgreement {
        title,
        text,
        effective_at,
        mut blocks,
    } = new;
    let last = before.last();
    let earliest = last.map_or(now, |last| last.effective_at.max(now));
    let effective_at = effective_at.unwrap_or(earliest);
    if effective_at < earliest {
        return Err(AgreementError::TooEarly(earliest));
    }
    let version = last.map_or(1, |last| last.version + 1);
    if version > MAX_VERSIONS {
        return Err(AgreementError::TooMany);
    }
    blocks.sort_unstable();
    blocks.dedup();
    let agreement = Agreement {
        program,
        version,
        title,
        hash: hex(&Sha256::digest(text.as_bytes())),
        text,
        effective_at,
        blocks,
        published_at: now,
        published_by: by,
    };
    let told = told(app, EventKind::AgreementPublished, &agreement);
    let writes = vec![
        Write::new(store::publish(&agreement)?, |_| AgreementError::Moved)
            .forgetting(terms_name(program)),
        Write::new(events::put(&told)?, |_| AgreementError::Moved),
    ];
    Ok(Change {
        value: agreement,
        writes,
    })
}

fn told(app: &App, kind: EventKind, agreement: &Agreement) -> Event {
    Event::new(app.fresh(), kind, agreement.program, app.now())
        .in_program(agreement.program)
        .with("version", agreement.version)
        .with("effective_at", agreement.effective_at)
}

/// All versions of a program's terms, the newest first.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn list(app: &App, program: ProgramId) -> Result<Vec<Agreement>, AgreementError> {
    programs::program(app, program)
        .await?
        .ok_or(AgreementError::ProgramNotFound)?;
    let mut found = store::all(&app.main, program).await?;
    found.reverse();
    Ok(found)
}

/// A version.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(
    app: &App,
    program: ProgramId,
    version: u32,
) -> Result<Agreement, AgreementError> {
    store::find(&app.main, program, version)
        .await?
        .ok_or(AgreementError::NotFound)
}

/// Goes on only for a partner of the program.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn of_partner(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<(), AgreementError> {
    let enrolment = partners::enrolment(app, partner, program).await?;
    enrolment.map(|_| ()).ok_or(AgreementError::ProgramNotFound)
}

/// Accepts a version whose text is the one of that hash; a second time changes nothing.
///
/// # Errors
/// `ProgramNotFound`, `NotFound`, `HashDiffers`, `Moved` (ask again), the table's.
pub async fn accept(
    app: &App,
    (program, version): (ProgramId, u32),
    partner: PartnerId,
    key: KeyId,
    hash: &str,
    signer: Signer,
) -> Result<Change<Acceptance, AgreementError>, AgreementError> {
    of_partner(app, program, partner).await?;
    let agreement = find(app, program, version).await?;
    if agreement.hash != hash {
        return Err(AgreementError::HashDiffers);
    }
    let (latest, before) = futures_util::future::try_join(
        store::accepted(&app.main, partner, program),
        store::acceptances(&app.main, partner, program),
    )
    .await?;
    let earlier = before
        .into_iter()
        .map(|(acceptance, _)| acceptance)
        .find(|acceptance| acceptance.version == version);
    if let Some(value) = earlier {
        return Ok(Change {
            value,
            writes: Vec::new(),
        });
    }
    let acceptance = Acceptance {
        partner,
        program,
        version,
        hash: agreement.hash,
        at: app.now(),
        key: key.to_string(),
    };
    let told = Event::new(
        app.fresh(),
        EventKind::AgreementAccepted,
        program,
        app.now(),
    )
    .in_program(program)
    .about_partner(partner)
    .with("version", version)
    .with("hash", &acceptance.hash)
    .with_some("member", signer.member.as_ref());
    let ops = store::accept(&acceptance, &signer, latest.map(|(version, _)| version))?;
    let ops = ops.into_iter().chain([events::put(&told)?]);
    Ok(Change {
        value: acceptance,
        writes: ops
            .map(|op| Write::new(op, |_| AgreementError::Moved))
            .collect(),
    })
}

/// All that a partner accepted of a program's terms.
///
/// # Errors
/// The table's.
pub async fn acceptances(
    app: &App,
    partner: PartnerId,
    program: ProgramId,
) -> Result<Vec<(Acceptance, Option<Signer>)>, AgreementError> {
    Ok(store::acceptances(&app.main, partner, program).await?)
}

/// Reminds those of versions that take effect soon who have not accepted them; of those that have taken effect,
/// lets it be looked at whose acceptance counts from then on. Of how many versions.
///
/// # Errors
/// The table's; `Busy` when the queue did not take all. Safe to repeat.
pub async fn remind(app: &App, now: Timestamp) -> Result<usize, table::Error> {
    let due = store::due(&app.main, now, REMINDED).await?;
    let mut reminded = 0;
    for due in due {
        let store::Due {
            program, version, ..
        } = due;
        let Some(agreement) = store::find(&app.main, program, version).await? else {
            continue;
        };
        if agreement.effective_at <= now {
            let job = json!({ "terms": { "program": program, "version": version, "after": "" } });
            if !app.queues.send(Queue::Channel, &[job]).await.is_empty() {
                return Err(table::Error::Busy("the channel queue".to_owned()));
            }
            // Until the job has come to its end: its message may be lost.
            let again = store::due_again(&due, minutes_after(now, AGAIN_MINUTES));
            let _ = app.main.update(again).await?;
            reminded += 1;
            continue;
        }
        let told = Event {
            at: now,
            ..told(app, EventKind::AgreementDue, &agreement)
        };
        let again = store::due_again(&due, agreement.effective_at);
        match app
            .main
            .transact(&[Op::Update(again), events::put(&told)?])
            .await
        {
            Ok(()) => reminded += 1,
            // Another run did, or the index lags.
            Err(TransactError::Refused(_)) => {}
            Err(TransactError::Table(error)) => return Err(error),
        }
    }
    Ok(reminded)
}

/// That all whose acceptance counts since a version took effect were looked at.
///
/// # Errors
/// The table's.
pub async fn taken_effect(app: &App, program: ProgramId, version: u32) -> Result<(), table::Error> {
    // Of one that is gone there is nothing to change.
    let _ = app.main.update(store::done(program, version)).await?;
    Ok(())
}

/// Since when a partner has accepted the terms in force; `None` while it has not, or where there are none.
///
/// # Errors
/// The table's.
pub async fn accepted_at(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<Option<Timestamp>, table::Error> {
    let terms = terms(app, program).await?;
    let Some(term) = model::in_force(&terms, app.now()) else {
        return Ok(None);
    };
    let accepted = store::accepted(&app.main, partner, program).await?;
    let enough = accepted.filter(|(version, _)| *version >= term.version);
    Ok(enough.map(|(_, at)| at))
}

/// Those of some partners who have not accepted a version, nor a later one.
///
/// # Errors
/// The table's.
pub async fn have_not_accepted(
    app: &App,
    program: ProgramId,
    version: u32,
    partners: Vec<PartnerId>,
) -> Result<Vec<PartnerId>, table::Error> {
    let mut found = Vec::with_capacity(partners.len());
    for partner in partners {
        let accepted = store::accepted(&app.main, partner, program).await?;
        if accepted.is_none_or(|(accepted, _)| accepted < version) {
            found.push(partner);
        }
    }
    Ok(found)
}
