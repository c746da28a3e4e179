//! Notifications by mail: each event is told to those who are to know of it.
//!
//! A mail is sent once for each event and recipient as far as that can be. A mark is set before it is sent,
//! under which nobody else sends it, and another one after; who dies between the two leaves a mail that may
//! have been sent, and it is sent again. No mail is lost: an event stays due until all were told.

pub mod error;
pub mod model;
pub mod store;

use std::collections::BTreeMap;

pub use error::{MailFailure, NotifyError};
use model::{Audience, Template, Written, greeted, template};
use serde_json::json;
pub use store::Notified;

use crate::clock::Timestamp;
use crate::edge::{App, Change, Letter, MailError, Queue, Write, count};
use crate::events::{self, Event, EventKind};
use crate::ids::{EventId, OperatorId, PartnerId, ProgramId};
use crate::{agreements, applications, operators, partners, programs};

/// Seconds that a mark keeps others from sending the same mail: as long as the function may run.
const HELD_SECONDS: i64 = 60;
/// Partners told of an announcement by one message; the next message goes on.
const ANNOUNCED: usize = 25;
/// Operators whom a program may name.
pub const MAX_NOTIFIED: usize = 20;

/// Somebody who is told.
struct Recipient {
    /// What the mark is kept under: an id, never an address.
    reference: String,
    name: String,
    email: String,
    /// What only this one is told.
    own: BTreeMap<String, String>,
}

/// Tells all who are to know of an event; of one that was told to all nothing happens.
///
/// # Errors
/// [`MailFailure`]; safe to repeat.
pub async fn tell(app: &App, id: EventId) -> Result<(), MailFailure> {
    let Some(event) = events::store::find_untold(&app.main, id).await? else {
        return Ok(());
    };
    let template = template(event.kind);
    if let Some(template) = template {
        if !app
            .mailer
            .as_ref()
            .is_some_and(|mailer| mailer.is_configured())
        {
            count("MailsWithoutSender", 1);
        } else if template.audience == Audience::Everyone {
            return announce(app, id, "").await;
        } else {
            let recipients = recipients(app, &event, template.audience).await?;
            send_all(app, &event, template, recipients).await?;
        }
    }
    told(app, id).await
}

async fn told(app: &App, id: EventId) -> Result<(), MailFailure> {
    // Of one that is gone there is nothing to change.
    let _ = app.main.update(events::store::told(id, app.now())).await?;
    Ok(())
}

/// Tells the next partners of an event that is told to all of a program, and leaves a message for the rest.
///
/// # Errors
/// [`MailFailure`]; safe to repeat.
pub async fn announce(app: &App, id: EventId, after: &str) -> Result<(), MailFailure> {
    let Some(event) = events::store::find_untold(&app.main, id).await? else {
        return Ok(());
    };
    let (Some(template), Some(program)) = (template(event.kind), event.program) else {
        return told(app, id).await;
    };
    let (found, more) = partners::positions(app, after, ANNOUNCED).await?;
    let ids: Vec<PartnerId> = found.iter().map(|(partner, _)| *partner).collect();
    let enrolled = partners::store::find_enrolments(&app.main, &ids, program).await?;
    let mut told_to: Vec<PartnerId> = enrolled.into_keys().collect();
    if let (EventKind::AgreementDue, Some(version)) = (event.kind, event.data.get("version")) {
        let version = version.parse().unwrap_or(u32::MAX);
        told_to = agreements::have_not_accepted(app, program, version, told_to).await?;
    }
    for partner in told_to {
        let people = people(app, partner).await?;
        send_all(app, &event, template, people).await?;
    }
    match found.last() {
        Some((_, position)) if more => {
            let next = json!({ "announcement": { "event": id, "after": position } });
            let failed = app.queues.send(Queue::Channel, &[next]).await;
            if failed.is_empty() {
                Ok(())
            } else {
                Err(MailFailure::Queue)
            }
        }
        _ => told(app, id).await,
    }
}

/// The people of a partner, each address once.
async fn people(app: &App, partner: PartnerId) -> Result<Vec<Recipient>, MailFailure> {
    let people = partners::people(app, partner).await?;
    let recipients = people.into_iter().map(|(reference, contact)| Recipient {
        reference,
        name: contact.name,
        email: contact.email,
        own: BTreeMap::new(),
    });
    Ok(recipients.collect())
}

async fn recipients(
    app: &App,
    event: &Event,
    audience: Audience,
) -> Result<Vec<Recipient>, MailFailure> {
    match (audience, event.partner, event.program) {
        (Audience::Applicant, ..) => {
            let Ok(id) = event.subject.parse() else {
                return Ok(Vec::new());
            };
            let addressee = applications::addressee(app, id, event).await?;
            let recipient = addressee.map(|addressee| Recipient {
                reference: event.subject.clone(),
                name: addressee.contact.name,
                email: addressee.contact.email,
                own: addressee.facts,
            });
            Ok(recipient.into_iter().collect())
        }
        (Audience::Partner, Some(partner), _) => people(app, partner).await,
        (Audience::Operators, _, Some(program)) => {
            let named = store::notified(&app.main, program).await?;
            let approver = event.data.get("approver").and_then(|id| id.parse().ok());
            let mut ids: Vec<OperatorId> = named.operators.into_iter().chain(approver).collect();
            ids.sort_unstable();
            ids.dedup();
            let mut recipients = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(operator) = operators::known(app, id).await? {
                    recipients.push(Recipient {
                        reference: id.to_string(),
                        name: operator.name,
                        email: operator.email,
                        own: BTreeMap::new(),
                    });
                }
            }
            Ok(recipients)
        }
        _ => Ok(Vec::new()),
    }
}

/// Sends to each; one that cannot be sent now does not keep the others from theirs.
async fn send_all(
    app: &App,
    event: &Event,
    template: Template,
    recipients: Vec<Recipient>,
) -> Result<(), MailFailure> {
    let program = match event.program {
        Some(id) => programs::program(app, id).await?,
        None => None,
    };
    let mut failed = None;
    for recipient in recipients {
        let Recipient {
            reference,
            name,
            email,
            own,
        } = recipient;
        let mut facts = event.data.clone();
        facts.insert("subject".to_owned(), event.subject.clone());
        facts.insert("name".to_owned(), greeted(&name));
        if let Some(program) = &program {
            facts.insert("program".to_owned(), program.name.clone());
        }
        facts.extend(own);
        let Written {
            subject,
            text,
            html,
        } = template.written(&facts);
        let letter = Letter {
            to: email,
            subject,
            text,
            html,
        };
        if let Err(error) = send(app, event.id, &reference, &letter).await {
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn send(
    app: &App,
    event: EventId,
    reference: &str,
    letter: &Letter,
) -> Result<(), MailFailure> {
    let Some(mailer) = &app.mailer else {
        return Ok(());
    };
    let now: Timestamp = app.now();
    let begun = store::begin(event, reference, now, now.as_second() + HELD_SECONDS);
    if let Err(mark) = app.main.update(begun).await? {
        return if store::has_ended(&mark) {
            Ok(())
        } else {
            Err(MailFailure::Held)
        };
    }
    let how = match mailer.send(letter).await {
        Ok(()) => {
            count("MailsSent", 1);
            "sent"
        }
        Err(MailError::Refused(reason)) => {
            tracing::warn!(%event, reference, reason, "a mail will never be sent");
            count("MailsRefused", 1);
            "refused"
        }
        Err(error @ MailError::Later(_)) => {
            let _ = app.main.update(store::release(event, reference)).await?;
            return Err(error.into());
        }
    };
    let ended = store::end(event, reference, how, app.now());
    let _ = app.main.update(ended).await?;
    Ok(())
}

/// The operators whom a program tells.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn notified(app: &App, program: ProgramId) -> Result<Notified, NotifyError> {
    programs::program(app, program)
        .await?
        .ok_or(NotifyError::NotFound)?;
    Ok(store::notified(&app.main, program).await?)
}

/// Names the operators whom a program tells, in place of the version that the change is based on.
///
/// # Errors
/// `NotFound`, `OperatorUnknown`, `VersionMissing`, `Stale`, the table's.
pub async fn notify(
    app: &App,
    program: ProgramId,
    based_on: Option<u64>,
    operators: Vec<OperatorId>,
) -> Result<Change<Notified, NotifyError>, NotifyError> {
    let before = notified(app, program).await?;
    match based_on {
        None if before.version > 0 => return Err(NotifyError::VersionMissing),
        Some(based_on) if based_on != before.version => return Err(NotifyError::Stale),
        _ => {}
    }
    for (position, id) in operators.iter().enumerate() {
        let found = operators::known(app, *id).await?;
        found.ok_or(NotifyError::OperatorUnknown(position))?;
    }
    let value = Notified {
        operators,
        version: before.version + 1,
    };
    let save = store::save_notified(program, &value)?;
    Ok(Change {
        value,
        writes: vec![Write::new(save, |_| NotifyError::Stale)],
    })
}
