//! The people of a partner, their keys, and the erasure of what is known of them.

use super::error::PartnerError;
use super::model::{Contact, MAX_MEMBERS, Member, Role, loses_its_owner};
use super::{has_mailbox, known_by_email, store};
use crate::edge::{App, Change, Write};
use crate::events::{self, Event, EventKind};
use crate::ids::{MemberId, OperatorId, PartnerId};
use crate::operators::model::{Holder, KeyRecord};
use crate::table::{self, Op};
use crate::{agreements, applications, operators, people};

/// Writes by which one request erases, beside the few that end it: DynamoDB takes 100 in a transaction.
const ERASED_AT_ONCE: usize = 80;

/// A person of a partner, with who it is unless that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The member.
    pub member: Member,
    /// Name and email.
    pub contact: Option<Contact>,
}

/// On whose behalf a partner's people are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An operator.
    Operator(OperatorId),
    /// The partner's own key.
    Partner,
    /// A person of the partner.
    Member(MemberId),
}

type Changed = Result<Change<Person, PartnerError>, PartnerError>;

fn write(op: Op) -> Write<PartnerError> {
    Write::new(op, |_| PartnerError::Moved)
}

/// Goes on only if the actor may add, change or remove people of these roles.
async fn demand(
    app: &App,
    partner: PartnerId,
    actor: Actor,
    roles: &[Role],
) -> Result<(), PartnerError> {
    let Actor::Member(id) = actor else {
        return Ok(());
    };
    let own = store::find_member(&app.main, partner, id).await?;
    let own = own.filter(|own| own.removed_at.is_none());
    let may = own.is_some_and(|own| roles.iter().all(|role| own.role.may_manage(*role)));
    may.then_some(()).ok_or(PartnerError::RoleTooLow)
}

/// The people of a partner who are there, by id.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn list(app: &App, partner: PartnerId) -> Result<Vec<Person>, PartnerError> {
    super::find(app, partner).await?;
    let found = store::members(&app.main, partner).await?;
    Ok(found
        .into_iter()
        .filter(|(member, _)| member.removed_at.is_none())
        .map(|(member, contact)| Person { member, contact })
        .collect())
}

/// A person of a partner who is there.
///
/// # Errors
/// `NotFound`, `MemberNotFound`, the table's.
pub async fn find(app: &App, partner: PartnerId, id: MemberId) -> Result<Person, PartnerError> {
    Ok(standing(app, partner, id).await?.1)
}

/// Adds a person to a partner.
///
/// # Errors
/// `NotFound`, `RoleTooLow`, `TooManyMembers`, `MemberExists`, the table's.
pub async fn add(
    app: &App,
    partner: PartnerId,
    actor: Actor,
    contact: Contact,
    role: Role,
) -> Changed {
    demand(app, partner, actor, &[role]).await?;
    let standing = list(app, partner).await?;
    if standing.len() >= MAX_MEMBERS {
        return Err(PartnerError::TooManyMembers);
    }
    let is_same = |person: &Person| {
        let known = person.contact.as_ref();
        known.is_some_and(|known| known.email.eq_ignore_ascii_case(&contact.email))
    };
    if standing.iter().any(is_same) {
        return Err(PartnerError::MemberExists);
    }
    let member = Member {
        id: app.fresh(),
        partner,
        role,
        created_at: app.now(),
        removed_at: None,
        version: 1,
    };
    let told = event(app, EventKind::PartnerMemberAdded, &member).with("role", role.name());
    let ops = [
        store::save_member(&member)?,
        store::set_person(&member, &contact),
        events::put(&told)?,
    ];
    let mailbox = has_mailbox(app, people::Person::Member(partner, member.id), &contact);
    Ok(Change {
        value: Person {
            member,
            contact: Some(contact),
        },
        writes: ops.map(write).into_iter().chain([mailbox]).collect(),
    })
}

fn event(app: &App, kind: EventKind, member: &Member) -> Event {
    Event::new(app.fresh(), kind, member.partner, app.now())
        .about_partner(member.partner)
        .with("member", member.id)
}

async fn standing(
    app: &App,
    partner: PartnerId,
    id: MemberId,
) -> Result<(Vec<Member>, Person), PartnerError> {
    let people = list(app, partner).await?;
    let members = people.iter().map(|person| person.member.clone()).collect();
    let person = people.into_iter().find(|person| person.member.id == id);
    Ok((members, person.ok_or(PartnerError::MemberNotFound)?))
}

/// That another owner stays one, where this member ceases to be one: of two who remove each other at once one
/// has to stay.
fn remaining_owner(members: &[Member], changed: MemberId, becomes: Option<Role>) -> Option<Op> {
    let mut owners = members.iter().filter(|member| member.role == Role::Owner);
    let ceases = owners.clone().any(|owner| owner.id == changed) && becomes != Some(Role::Owner);
    let other = owners.find(|owner| owner.id != changed);
    other.filter(|_| ceases).map(store::stays_owner)
}

/// Changes of a person; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct MemberPatch {
    /// Name.
    pub name: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// What it may do.
    pub role: Option<Role>,
}

/// Changes a person whose version is `based_on`.
///
/// # Errors
/// `NotFound`, `MemberNotFound`, `RoleTooLow`, `LastOwner`, `Stale`, `Moved` (ask again), the table's.
pub async fn amend(
    app: &App,
    (partner, id): (PartnerId, MemberId),
    actor: Actor,
    based_on: u64,
    patch: MemberPatch,
) -> Changed {
    let (members, Person { member, contact }) = standing(app, partner, id).await?;
    let MemberPatch { name, email, role } = patch;
    let becomes = role.unwrap_or(member.role);
    demand(app, partner, actor, &[member.role, becomes]).await?;
    if member.version != based_on {
        return Err(PartnerError::Stale);
    }
    if loses_its_owner(&members, id, Some(becomes)) {
        return Err(PartnerError::LastOwner);
    }
    let member = Member {
        role: becomes,
        version: member.version + 1,
        ..member
    };
    let contact = match contact {
        Some(contact) => Some(Contact {
            name: name.unwrap_or(contact.name),
            email: email.unwrap_or(contact.email),
        }),
        None => name.zip(email).map(|(name, email)| Contact { name, email }),
    };
    let mut writes = vec![Write::new(store::save_member(&member)?, |_| {
        PartnerError::Stale
    })];
    writes.extend(remaining_owner(&members, id, Some(becomes)).map(write));
    if let Some(contact) = &contact {
        writes.push(write(store::set_person(&member, contact)));
        let person = people::Person::Member(partner, id);
        writes.push(has_mailbox(app, person, contact));
    }
    Ok(Change {
        value: Person { member, contact },
        writes,
    })
}

/// The writes that end those of a partner's keys that `which` picks.
pub(super) async fn end_keys(
    app: &App,
    partner: PartnerId,
    which: impl Fn(&KeyRecord) -> bool,
) -> Result<Vec<Op>, table::Error> {
    let holder = Holder::Partner(partner);
    let keys = operators::held_keys(app, holder).await?;
    let ended = keys.into_iter().filter(|key| which(key));
    Ok(ended
        .flat_map(|key| operators::revoke_key(app, holder, key.id).writes)
        .map(|write| write.op)
        .collect())
}

/// Removes a person from a partner: name and email are erased, and its keys end.
///
/// # Errors
/// `NotFound`, `MemberNotFound`, `RoleTooLow`, `LastOwner`, `Moved`, the table's.
pub async fn remove(
    app: &App,
    (partner, id): (PartnerId, MemberId),
    actor: Actor,
) -> Result<Change<(), PartnerError>, PartnerError> {
    let (members, Person { member, .. }) = standing(app, partner, id).await?;
    demand(app, partner, actor, &[member.role]).await?;
    if loses_its_owner(&members, id, None) {
        return Err(PartnerError::LastOwner);
    }
    let told = event(app, EventKind::PartnerMemberRemoved, &member);
    let member = Member {
        removed_at: Some(app.now()),
        version: member.version + 1,
        ..member
    };
    let mut ops = vec![
        store::save_member(&member)?,
        store::erase_person(&member),
        events::put(&told)?,
    ];
    ops.extend(remaining_owner(&members, id, None));
    ops.extend(end_keys(app, partner, |key| key.member == Some(id)).await?);
    let mut writes: Vec<Write<PartnerError>> = ops.into_iter().map(write).collect();
    writes[0]
        .forgets
        .push(people::person_name(people::Person::Member(partner, id)));
    Ok(Change { value: (), writes })
}

/// Goes on for a person who is there and whose partner may be given keys.
///
/// # Errors
/// `NotFound`, `Banned`, `MemberNotFound`, the table's.
pub async fn may_hold_key(
    app: &App,
    partner: PartnerId,
    member: Option<MemberId>,
) -> Result<(), PartnerError> {
    let known = super::find(app, partner).await?;
    if !known.partner.status.may_enter() {
        return Err(PartnerError::Banned);
    }
    if let Some(id) = member {
        standing(app, partner, id).await?;
    }
    Ok(())
}

/// Erases what is known of the persons behind a partner: its name and email and those of its people, from where
/// its terms were accepted, and the applications it was made of and its mailbox made, to whichever program. What it
/// earned and was paid stays, as do its payout method and tax profile, which are sealed and which payouts and
/// invoices rest on. Only one that earns nothing new any more is erased. `false` when there is more to erase than
/// fits one request: ask again. Its own name and email go last, because by them the rest is found.
///
/// # Errors
/// `NotFound`, `StillActive`, `Moved`, the table's.
pub async fn erase(
    app: &App,
    id: PartnerId,
    by: OperatorId,
) -> Result<Change<bool, PartnerError>, PartnerError> {
    let super::Known { partner, contact } = super::find(app, id).await?;
    if partner.status.may_earn() {
        return Err(PartnerError::StillActive);
    }
    let now = app.now();
    let email = contact.as_ref().map(|contact| contact.email.as_str());
    let (people, signers, applications) = futures_util::future::try_join3(
        store::members(&app.main, id),
        agreements::store::erase_signers(&app.main, id),
        applications::made_by(app, email.as_slice(), Some(id)),
    )
    .await?;
    let known = people.iter().filter(|(_, contact)| contact.is_some());
    let mut ops: Vec<Op> = known
        .map(|(member, _)| store::erase_person(member))
        .chain(signers)
        .collect();
    for application in &applications {
        ops.extend(applications::erasure(application, now, by)?.1);
    }
    if ops.len() > ERASED_AT_ONCE {
        ops.truncate(ERASED_AT_ONCE);
        return Ok(Change {
            value: false,
            writes: ops.into_iter().map(write).collect(),
        });
    }
    ops.push(store::erase_contact(id));
    if let Some(contact) = &contact {
        let known = known_by_email(app, &contact.email);
        let ended = known.into_iter();
        ops.extend(ended.map(|(_, name)| store::no_longer_known_as(id, &name, now)));
    }
    let told = Event::new(app.fresh(), EventKind::PartnerErased, id, now)
        .about_partner(id)
        .with("operator", by);
    ops.push(events::put(&told)?);
    Ok(Change {
        value: true,
        writes: ops.into_iter().map(write).collect(),
    })
}
