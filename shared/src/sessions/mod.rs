//! Signing in without a password, and sessions.
//!
//! Whoever asks with an address gets the same answer, whether anybody has it or not; a link is mailed to whom it
//! belongs. The link holds a token that the keyring derives from the wish, so that it is stored nowhere; it is good
//! once, for fifteen minutes, and only in the browser that asked. Opening it changes nothing, because scanners of mail
//! open links. Of a session only a hash is kept, as of an API key; what its person may do is read anew, so that a role
//! that is taken away is gone.

pub mod error;
pub mod model;
pub mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use error::SessionError;
use model::{LINKS_AN_HOUR, Session, SignIn, Unfit, browser};
use subtle::ConstantTimeEq;

use crate::edge::{ApiKey, App, Letter, Operator, PartnerPrincipal, Principal, count, hash_secret};
use crate::ids::{KeyId, OperatorId, SignInId};
use crate::mail::model::{Form, filled};
use crate::operators::model::{OperatorRecord, Scope, Scopes};
use crate::people::{self, Person, compared};
use crate::table::TransactError;
use crate::{operators, partners};

/// Tries to find a free place among those of an hour.
const SLOT_TRIES: u32 = 4;

/// The languages in which the mail is written; the first is the one for all others.
const LETTERS: [(&str, &str, &str); 2] = [
    (
        "en",
        include_str!("letters/en.txt"),
        include_str!("letters/en.html"),
    ),
    (
        "de",
        include_str!("letters/de.txt"),
        include_str!("letters/de.html"),
    ),
];

/// Somebody as whom a mailbox may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The person.
    pub person: Person,
    /// What the person is called.
    pub name: String,
    /// The partner, for a person of one.
    pub partner: Option<String>,
}

/// Wishes to sign in: the link follows by mail, to whom the address belongs. `secret` is what only the asking browser
/// holds, `network` stands for where it is.
///
/// # Errors
/// `TooMany`, the table's.
pub async fn ask(
    app: &App,
    email: &str,
    secret: &str,
    network: &str,
    language: &str,
) -> Result<(), SessionError> {
    let now = app.now();
    let id: SignInId = app.fresh();
    let asked = SignIn {
        id,
        sealed: app.keyring.seal(&place(id), email.as_bytes())?,
        browser: hash_secret(secret),
        language: language.to_owned(),
        until: SignIn::good_until(now),
        redeemed_at: None,
    };
    let mailbox = people::reference(app, email);
    for _ in 0..SLOT_TRIES {
        // A place is drawn and not counted: it is taken or free, whatever else happens at the moment. The fuller an
        // hour is, the likelier a draw meets a taken one.
        let [one, other] = app.entropy.bytes::<2>().map(|byte| byte % LINKS_AN_HOUR);
        let ops = [
            store::put_sign_in(&asked)?,
            store::take_slot(&mailbox, one, now)?,
            store::take_slot(network, other, now)?,
        ];
        match app.main.transact(&ops).await {
            Ok(()) => return Ok(()),
            Err(TransactError::Refused(_)) => {}
            Err(TransactError::Table(error)) => return Err(error.into()),
        }
    }
    Err(SessionError::TooMany)
}

fn place(id: SignInId) -> String {
    format!("SIGNIN#{id}")
}

/// The token of a link.
fn token(app: &App, id: SignInId) -> String {
    format!("{id}.{}", app.keyring.reference("sign-in", &id.to_string()))
}

/// The wish whose token this is.
fn read_token(app: &App, text: &str) -> Option<SignInId> {
    let (id, _) = text.split_once('.')?;
    let id: SignInId = id.parse().ok()?;
    let meant = token(app, id);
    bool::from(meant.as_bytes().ct_eq(text.as_bytes())).then_some(id)
}

/// Mails the link, where the address is anybody's; of a wish that is over nothing happens.
///
/// # Errors
/// The mail service's, the table's; safe to repeat: the same link is mailed.
pub async fn mail(app: &App, id: SignInId) -> Result<(), SessionError> {
    let Some(asked) = store::find_sign_in(&app.main, id).await? else {
        return Ok(());
    };
    if asked.redeemed_at.is_some() || app.now() >= asked.until {
        return Ok(());
    }
    let email = address(app, &asked)?;
    if identities(app, &email).await?.is_empty() {
        return Ok(());
    }
    let Some(mailer) = app.mailer.as_ref().filter(|mailer| mailer.is_configured()) else {
        count("MailsWithoutSender", 1);
        return Ok(());
    };
    let link = format!(
        "{}/sign-in/link?token={}",
        app.config.public_base_url,
        token(app, id)
    );
    let facts = BTreeMap::from([("link".to_owned(), link)]);
    let written = LETTERS.iter().find(|(name, ..)| *name == asked.language);
    let (_, text, html) = written.unwrap_or(&LETTERS[0]);
    let (subject, text) = text.split_once("\n\n").unwrap_or(("", text));
    let letter = Letter {
        to: email,
        subject: subject.trim_start_matches("Subject: ").to_owned(),
        text: filled(text, &facts, Form::Text),
        html: filled(html, &facts, Form::Html),
    };
    match mailer.send(&letter).await {
        Ok(()) => count("MailsSent", 1),
        Err(crate::edge::MailError::Refused(reason)) => {
            tracing::warn!(sign_in = %id, reason, "a link to sign in will never be sent");
            count("MailsRefused", 1);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn address(app: &App, asked: &SignIn) -> Result<String, SessionError> {
    let opened = app.keyring.open(&place(asked.id), &asked.sealed)?;
    Ok(String::from_utf8_lossy(&opened).into_owned())
}

/// The operator who is invited by the configuration; its id follows from the address, so that it is made once.
fn first_operator(app: &App, email: &str) -> Option<OperatorId> {
    let first = compared(&app.config.first_operator);
    (!first.is_empty() && first == compared(email)).then(|| OperatorId::derived(&["first", &first]))
}

/// As whom a mailbox may sign in.
///
/// # Errors
/// The table's.
pub async fn identities(app: &App, email: &str) -> Result<Vec<Identity>, SessionError> {
    let mut noted = people::noted(app, email).await?;
    // Invited until it has come; then it is noted like any other.
    let first = first_operator(app, email).map(Person::Operator);
    noted.extend(first.filter(|first| !noted.contains(first)));
    let found = noted.into_iter().map(|person| identity(app, person, email));
    let found = futures_util::future::try_join_all(found).await?;
    Ok(found.into_iter().flatten().collect())
}

/// Who that person is, if it has the address and may enter.
async fn identity(
    app: &App,
    person: Person,
    email: &str,
) -> Result<Option<Identity>, SessionError> {
    if let Some(known) = known(app, person).await? {
        return Ok((compared(&known.email) == compared(email)).then_some(known.identity));
    }
    match (person, first_operator(app, email)) {
        // Invited only before it has come: one whose scopes were taken away is not let in by the invitation.
        (Person::Operator(id), Some(first))
            if id == first && operators::known(app, id).await?.is_none() =>
        {
            Ok(Some(Identity {
                person,
                name: compared(email),
                partner: None,
            }))
        }
        _ => Ok(None),
    }
}

/// A person as it stands, who may enter.
struct Known {
    identity: Identity,
    email: String,
    principal: Entrance,
}

/// What a person may enter with.
enum Entrance {
    Operator(OperatorId, Scopes),
    Partner,
}

async fn known(app: &App, person: Person) -> Result<Option<Known>, SessionError> {
    match person {
        Person::Operator(id) => {
            let record = operators::known(app, id).await?;
            let record = record.filter(|record| record.scopes.iter().next().is_some());
            Ok(record.map(|record| Known {
                identity: Identity {
                    person,
                    name: record.name,
                    partner: None,
                },
                email: record.email,
                principal: Entrance::Operator(id, record.scopes),
            }))
        }
        Person::Partner(id) | Person::Member(id, _) => {
            let (found, people) = partners::with_people(app, id).await?;
            let Some(found) = found.filter(|found| {
                found.partner.status.may_enter() && found.partner.merged_into.is_none()
            }) else {
                return Ok(None);
            };
            let own = found.contact.as_ref();
            let contact = match person {
                Person::Member(_, member) => people
                    .into_iter()
                    .find(|one| one.member.id == member && one.member.removed_at.is_none())
                    .and_then(|one| one.contact),
                _ => found.contact.clone(),
            };
            Ok(contact.map(|contact| Known {
                identity: Identity {
                    person,
                    name: contact.name,
                    partner: Some(own.map_or_else(|| id.to_string(), |own| own.name.clone())),
                },
                email: contact.email,
                principal: Entrance::Partner,
            }))
        }
    }
}

/// Whom a link signs in, read without changing anything.
///
/// # Errors
/// `Link` with why it signs nobody in, `Nobody`, the table's.
pub async fn offered(
    app: &App,
    text: &str,
    secret: Option<&str>,
) -> Result<Vec<Identity>, SessionError> {
    let (_, identities) = fit(app, text, secret).await?;
    Ok(identities)
}

async fn fit(
    app: &App,
    text: &str,
    secret: Option<&str>,
) -> Result<(SignIn, Vec<Identity>), SessionError> {
    let unknown = || SessionError::Link(Unfit::Unknown);
    let id = read_token(app, text).ok_or_else(unknown)?;
    let asked = store::find_sign_in(&app.main, id).await?;
    let asked = asked.ok_or_else(unknown)?;
    let browser = secret.map(hash_secret);
    if let Some(unfit) = asked.unfit(browser.as_deref(), app.now()) {
        return Err(SessionError::Link(unfit));
    }
    let found = identities(app, &address(app, &asked)?).await?;
    if found.is_empty() {
        return Err(SessionError::Nobody);
    }
    Ok((asked, found))
}

/// Uses a link up and begins a session; the text is for the browser alone.
///
/// # Errors
/// `Link`, `Nobody`, the table's.
pub async fn redeem(
    app: &App,
    text: &str,
    secret: Option<&str>,
    person: Option<Person>,
    user_agent: &str,
) -> Result<(Session, String), SessionError> {
    let (asked, found) = fit(app, text, secret).await?;
    let chosen = match person {
        Some(person) => found.iter().find(|one| one.person == person),
        None => found.first(),
    };
    let person = chosen.ok_or(SessionError::Nobody)?.person;
    let mut ops = vec![store::redeem(asked.id, app.now())];
    if let Person::Operator(id) = person
        && operators::known(app, id).await?.is_none()
    {
        let email = address(app, &asked)?;
        let first = OperatorRecord {
            id,
            name: email.clone(),
            email,
            scopes: Scopes::of([Scope::Admin]),
            created_at: app.now(),
            version: 1,
        };
        ops.extend(operators::entered(app, &first)?);
    }
    begin(app, person, user_agent, ops)
        .await
        .map_err(|error| match error {
            SessionError::NotFound => SessionError::Link(Unfit::Used),
            other => other,
        })
}

/// Begins a session, in the transaction of what allows it; `NotFound` when that was refused.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn begin(
    app: &App,
    person: Person,
    user_agent: &str,
    allowed_by: Vec<crate::table::Op>,
) -> Result<(Session, String), SessionError> {
    let key = ApiKey::generate(app.fresh(), app.entropy.bytes());
    let now = app.now();
    let session = Session {
        id: key.id,
        hash: key.hash(),
        person,
        browser: browser(user_agent),
        created_at: now,
        until: Session::lasts(person, now),
        ended_at: None,
    };
    let mut ops = allowed_by;
    ops.push(store::put_session(&session)?);
    match app.main.transact(&ops).await {
        Ok(()) => Ok((session, key.reveal().to_owned())),
        Err(TransactError::Refused(_)) => Err(SessionError::NotFound),
        Err(TransactError::Table(error)) => Err(error.into()),
    }
}

fn session_name(id: KeyId) -> String {
    format!("SESSION#{id}")
}

/// A session that is good, with whom it signs in.
#[derive(Clone, Debug)]
pub struct Entered {
    /// The session.
    pub session: Arc<Session>,
    /// Who it is.
    pub identity: Arc<Identity>,
    /// What it may do.
    pub principal: Principal,
}

/// Whom a browser's secret signs in, at most [`crate::edge::CACHE_SECONDS`] old; `None` when nobody. A person who has
/// left, was banned or has no role any more is nobody.
///
/// # Errors
/// The table's.
pub async fn enter(app: &App, secret: &str) -> Result<Option<Entered>, SessionError> {
    let Some(key) = ApiKey::read(secret) else {
        return Ok(None);
    };
    let found = app
        .cached(&session_name(key.id), || {
            store::find_session(&app.main, key.id)
        })
        .await?;
    let good = found.filter(|session| {
        session.is_good(app.now())
            && bool::from(session.hash.as_bytes().ct_eq(key.hash().as_bytes()))
    });
    let Some(session) = good else {
        return Ok(None);
    };
    let person = session.person;
    let known = app
        .cached(&people::person_name(person), || async {
            match known(app, person).await {
                Ok(known) => Ok(known),
                Err(SessionError::Table(error)) => Err(error),
                Err(other) => Err(crate::table::Error::Failed(other.to_string())),
            }
        })
        .await?;
    let Some(known) = known else {
        return Ok(None);
    };
    let principal = match (&known.principal, person) {
        (Entrance::Operator(id, scopes), _) => {
            Principal::Operator(Operator::with(*id, session.id, scopes.clone()))
        }
        (Entrance::Partner, Person::Member(partner, member)) => {
            Principal::Partner(PartnerPrincipal::with(partner, session.id, Some(member)))
        }
        (Entrance::Partner, Person::Partner(partner)) => {
            Principal::Partner(PartnerPrincipal::with(partner, session.id, None))
        }
        (Entrance::Partner, Person::Operator(_)) => return Ok(None),
    };
    Ok(Some(Entered {
        session,
        identity: Arc::new(known.identity.clone()),
        principal,
    }))
}

/// The sessions of a person that are good, newest first.
///
/// # Errors
/// The table's.
pub async fn list(app: &App, person: Person) -> Result<Vec<Session>, SessionError> {
    let mut found = store::sessions(&app.main, person).await?;
    found.retain(|session| session.is_good(app.now()));
    Ok(found)
}

/// Ends a session of that person; a second time changes nothing.
///
/// # Errors
/// `NotFound` for another person's, the table's.
pub async fn end(app: &App, person: Person, id: KeyId) -> Result<(), SessionError> {
    let ended = app
        .main
        .transact(&[store::end(person, id, app.now())])
        .await;
    app.cache.forget(&session_name(id));
    match ended {
        Ok(()) => Ok(()),
        Err(TransactError::Refused(_)) => Err(SessionError::NotFound),
        Err(TransactError::Table(error)) => Err(error.into()),
    }
}
