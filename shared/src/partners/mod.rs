//! Partners, their places in programs, and how they are paid.

pub mod error;
pub mod export;
pub mod members;
pub mod model;
pub mod store;

use std::collections::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use error::PartnerError;
use model::{
    Account, Contact, Enrolment, MAX_ABSORBED, MAX_UPLINES, Partner, PartnerKind, PartnerStatus,
    PayInstruction, PayoutHold, PayoutMethod, Relocation, TaxDetails, TaxProfile, Upline,
    UplineFault, VatTreatment,
};

use crate::clock::Timestamp;
use crate::customers::model::Identifier;
use crate::edge::{App, Change, Write};
use crate::events::{self, Event, EventKind};
use crate::ids::{OperatorId, PartnerId, ProgramId};
use crate::ledger::model::AccountId;
use crate::ledger::store::find_accounts;
use crate::money::Currency;
use crate::people::{self, Person};
use crate::plans::model::{Assignment, Reassignment, reassigned};
use crate::programs;
use crate::table::{self, Op};
pub use store::{read_account, read_tax, write_account, write_tax};

/// A partner to be made.
#[derive(Clone, Debug)]
pub struct NewPartner {
    /// Name and email.
    pub contact: Contact,
    /// ISO 3166 two-letter code.
    pub country: String,
    /// What it does.
    pub kind: PartnerKind,
}

/// A partner with its name and email, unless those were erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The partner.
    pub partner: Partner,
    /// Name and email.
    pub contact: Option<Contact>,
}

/// What stands for an email by which a partner may be known, and for its company's domain, where it is one's.
#[must_use]
pub fn known_by_email(app: &App, email: &str) -> Vec<(Identity, String)> {
    let Ok(mailbox) = Identifier::email(email) else {
        return Vec::new();
    };
    let domain = mailbox.company_domain();
    std::iter::once((Identity::Email, mailbox))
        .chain(domain.map(|domain| (Identity::Domain, domain)))
        .map(|(kind, identifier)| (kind, app.keyring.reference("identity", identifier.value())))
        .collect()
}

/// What stands for a tax id by which a partner may be known.
#[must_use]
pub fn known_by_tax_id(app: &App, tax_id: &str, country: &str) -> Option<String> {
    let identifier = Identifier::tax_id(tax_id, Some(country)).ok()?;
    Some(app.keyring.reference("identity", identifier.value()))
}

/// By what a partner may be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Its mailbox.
    Email,
    /// Its company's domain.
    Domain,
}

/// The writes that make a partner known by its email, and no longer by the one before.
fn known_again(
    app: &App,
    id: PartnerId,
    before: Option<&Contact>,
    now: &Contact,
) -> Vec<Write<PartnerError>> {
    let by = |contact: &Contact| known_by_email(app, &contact.email);
    let (old, new) = (before.map(by).unwrap_or_default(), by(now));
    let left = old
        .iter()
        .filter(|known| !new.contains(known))
        .map(|(_, reference)| store::no_longer_known_as(id, reference, app.now()));
    let come = new
        .iter()
        .filter(|known| !old.contains(known))
        .map(|(_, reference)| store::known_as(id, reference));
    left.chain(come)
        .map(|op| Write::new(op, |_| PartnerError::Moved))
        .collect()
}

/// The write that lets a person be found by its mailbox.
fn has_mailbox(app: &App, person: Person, contact: &Contact) -> Write<PartnerError> {
    let note = people::note(app, person, &contact.email);
    Write::new(note, |_| PartnerError::Moved).forgetting(people::person_name(person))
}

/// A partner and all who are or were its people, where there is one. One round trip after another's first.
///
/// # Errors
/// The table's.
pub async fn with_people(
    app: &App,
    id: PartnerId,
) -> Result<(Option<Known>, Vec<members::Person>), table::Error> {
    let (found, people) = futures_util::future::try_join(
        store::find_with_contact(&app.main, id),
        store::members(&app.main, id),
    )
    .await?;
    let found = found.map(|(partner, contact)| Known { partner, contact });
    let people = people
        .into_iter()
        .map(|(member, contact)| members::Person { member, contact });
    Ok((found, people.collect()))
}

/// A new partner.
///
/// # Errors
/// The table's.
pub fn create(app: &App, new: NewPartner) -> Result<Change<Known, PartnerError>, PartnerError> {
    let NewPartner {
        contact,
        country,
        kind,
    } = new;
    let partner = Partner {
        id: app.fresh(),
        kind,
        country,
        status: PartnerStatus::Active,
        merged_into: None,
        absorbed: Vec::new(),
        created_at: app.now(),
        version: 1,
    };
    let mut writes = vec![
        Write::new(store::put_partner(&partner)?, |_| PartnerError::Moved),
        Write::new(store::put_contact(partner.id, &contact)?, |_| {
            PartnerError::Moved
        }),
    ];
    writes.extend(known_again(app, partner.id, None, &contact));
    writes.push(has_mailbox(app, Person::Partner(partner.id), &contact));
    Ok(Change {
        value: Known {
            partner,
            contact: Some(contact),
        },
        writes,
    })
}

/// What the cache calls a partner.
pub fn partner_name(id: PartnerId) -> String {
    format!("PTR#{id}")
}

/// A partner, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn partner(app: &App, id: PartnerId) -> Result<Option<Arc<Partner>>, table::Error> {
    app.cached(&partner_name(id), || store::find_partner(&app.main, id))
        .await
}

/// A partner with its contact, as it stands.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: PartnerId) -> Result<Known, PartnerError> {
    store::find_with_contact(&app.main, id)
        .await?
        .map(|(partner, contact)| Known { partner, contact })
        .ok_or(PartnerError::NotFound(id))
}

/// The people of a partner who are told what happens, each address once, under the id that each is known by.
///
/// # Errors
/// The table's.
pub async fn people(app: &App, id: PartnerId) -> Result<Vec<(String, Contact)>, PartnerError> {
    let (found, members) = futures_util::future::try_join(
        store::find_with_contact(&app.main, id),
        store::members(&app.main, id),
    )
    .await?;
    let contact = found.and_then(|(_, contact)| contact);
    let own = contact.map(|contact| (id.to_string(), contact));
    let standing = members
        .into_iter()
        .filter(|(member, _)| member.removed_at.is_none())
        .filter_map(|(member, person)| Some((member.id.to_string(), person?)));
    let mut seen = BTreeSet::new();
    Ok(own
        .into_iter()
        .chain(standing)
        .filter(|(_, contact)| seen.insert(contact.email.to_lowercase()))
        .collect())
}

/// Which partners of a page are listed; what is `None` asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of that status.
    pub status: Option<PartnerStatus>,
    /// Of that kind.
    pub kind: Option<PartnerKind>,
    /// Of that country.
    pub country: Option<String>,
}

impl Filter {
    fn lets_through(&self, partner: &Partner) -> bool {
        let Self {
            status,
            kind,
            country,
        } = self;
        status.is_none_or(|status| partner.status == status)
            && kind.is_none_or(|kind| partner.kind == kind)
            && country.as_ref().is_none_or(|c| partner.country == *c)
    }
}

/// A page of partners, newest first, and the position to go on from. What the filter sifts out of it is not made
/// up for.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    filter: &Filter,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Known>, Option<String>), PartnerError> {
    let (found, position) = store::partners(&app.main, below, limit).await?;
    let known = found
        .into_iter()
        .filter(|(partner, _)| filter.lets_through(partner))
        .map(|(partner, contact)| Known { partner, contact })
        .collect();
    Ok((known, position))
}

/// The next partners behind a position, oldest first, each with its own position; and whether more follow.
/// The empty position is the beginning.
///
/// # Errors
/// The table's.
pub async fn positions(
    app: &App,
    after: &str,
    limit: usize,
) -> Result<(Vec<(PartnerId, String)>, bool), table::Error> {
    store::positions(&app.main, after, limit).await
}

/// Partners read at once, with their accounts: one `BatchGetItem`.
const HOLDERS_PAGE: usize = 100;

/// A partner with an account in the program, and its position among the partners.
pub struct Holder {
    /// Its position.
    pub position: String,
    /// Its account.
    pub account: crate::ledger::model::Account,
}

/// The next partners behind a position that have an account in a program; the position to go on from, and
/// whether any partners follow.
///
/// # Errors
/// The table's.
pub async fn holders(
    app: &App,
    program: ProgramId,
    currency: Currency,
    after: &str,
) -> Result<(Vec<Holder>, String, bool), table::Error> {
    let (found, more) = positions(app, after, HOLDERS_PAGE).await?;
    let end = found
        .last()
        .map_or_else(|| after.to_owned(), |(_, position)| position.clone());
    let id = |partner| AccountId {
        partner,
        program,
        currency,
    };
    let ids: Vec<AccountId> = found.iter().map(|(partner, _)| id(*partner)).collect();
    let mut accounts = find_accounts(&app.main, &ids).await?;
    let holders = found
        .into_iter()
        .filter_map(|(partner, position)| {
            let account = accounts.remove(&id(partner))?;
            Some(Holder { position, account })
        })
        .collect();
    Ok((holders, end, more))
}

/// Changes of a partner; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct PartnerPatch {
    /// Name.
    pub name: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What it does.
    pub kind: Option<PartnerKind>,
}

/// Changes a partner whose version is `based_on`.
///
/// # Errors
/// `NotFound`, `Stale`, the table's.
pub async fn amend(
    app: &App,
    id: PartnerId,
    based_on: u64,
    patch: PartnerPatch,
) -> Result<Change<Known, PartnerError>, PartnerError> {
    let Known { partner, contact } = find(app, id).await?;
    if partner.version != based_on {
        return Err(PartnerError::Stale);
    }
    let PartnerPatch {
        name,
        email,
        country,
        kind,
    } = patch;
    let partner = Partner {
        country: country.unwrap_or(partner.country),
        kind: kind.unwrap_or(partner.kind),
        version: partner.version + 1,
        ..partner
    };
    let renamed = name.is_some() || email.is_some();
    let before = contact.clone();
    let contact = match contact {
        Some(contact) => Some(Contact {
            name: name.unwrap_or(contact.name),
            email: email.unwrap_or(contact.email),
        }),
        // Erased ones come back only whole.
        None => name.zip(email).map(|(name, email)| Contact { name, email }),
    };
    let change = Write::new(store::change_partner(&partner)?, |_| PartnerError::Stale);
    let mut writes = vec![change.forgetting(partner_name(id))];
    if let (true, Some(contact)) = (renamed, &contact) {
        writes.push(Write::new(store::change_contact(id, contact), |_| {
            PartnerError::Moved
        }));
        writes.extend(known_again(app, id, before.as_ref(), contact));
        writes.push(has_mailbox(app, Person::Partner(id), contact));
    }
    Ok(Change {
        value: Known { partner, contact },
        writes,
    })
}

/// Suspends, bans, archives or reinstates a partner; of one that is so already nothing changes. A ban ends all
/// of its keys.
///
/// # Errors
/// `NotFound`, `Merged`, `Moved`, the table's.
pub async fn set_status(
    app: &App,
    id: PartnerId,
    status: PartnerStatus,
    by: OperatorId,
) -> Result<Change<Known, PartnerError>, PartnerError> {
    let Known { partner, contact } = find(app, id).await?;
    if let Some(into) = partner.merged_into {
        return Err(PartnerError::Merged(into));
    }
    if partner.status == status {
        return Ok(Change {
            value: Known { partner, contact },
            writes: Vec::new(),
        });
    }
    let partner = Partner {
        status,
        version: partner.version + 1,
        ..partner
    };
    let kind = match status {
        PartnerStatus::Active => EventKind::PartnerReinstated,
        PartnerStatus::Suspended => EventKind::PartnerSuspended,
        PartnerStatus::Banned => EventKind::PartnerBanned,
        PartnerStatus::Archived => EventKind::PartnerArchived,
    };
    let told = Event::new(app.fresh(), kind, id, app.now())
        .about_partner(id)
        .with("operator", by);
    let change = Write::new(store::change_partner(&partner)?, |_| PartnerError::Moved);
    let mut ops = vec![events::put(&told)?];
    if !status.may_enter() {
        ops.extend(members::end_keys(app, id, |_| true).await?);
    }
    let mut writes = vec![change.forgetting(partner_name(id))];
    writes.extend(
        ops.into_iter()
            .map(|op| Write::new(op, |_| PartnerError::Moved)),
    );
    Ok(Change {
        value: Known { partner, contact },
        writes,
    })
}

/// What the cache calls an enrolment.
pub fn enrolment_name(partner: PartnerId, program: ProgramId) -> String {
    format!("ENROL#{partner}#{program}")
}

/// An enrolment, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn enrolment(
    app: &App,
    partner: PartnerId,
    program: ProgramId,
) -> Result<Option<Arc<Enrolment>>, table::Error> {
    app.cached(&enrolment_name(partner, program), || {
        store::find_enrolment(&app.main, partner, program)
    })
    .await
}

/// The enrolment of a partner who exists and is active.
///
/// # Errors
/// `Unknown`, `Suspended`, `NotEnrolled`, the table's.
pub async fn enrolled(
    app: &App,
    id: PartnerId,
    program: ProgramId,
) -> Result<Arc<Enrolment>, PartnerError> {
    let (found, enrolment) =
        futures_util::future::try_join(partner(app, id), enrolment(app, id, program)).await?;
    let found = found.ok_or(PartnerError::Unknown)?;
    if !found.status.may_earn() {
        return Err(PartnerError::Suspended);
    }
    enrolment.ok_or(PartnerError::NotEnrolled(program))
}

/// Whether an enrolment was made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The partner is new in the program.
    New(Enrolment),
    /// The partner was in it; the plan may have changed.
    Again(Enrolment),
}

/// What an enrolment says of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terms {
    /// That plan.
    Plan(String),
    /// The program's default, whichever it is.
    Default,
    /// Nothing: the program's default at first, and later what it was.
    Unsaid,
}

/// A partner's place in a program, as it is asked for.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The program.
    pub program: ProgramId,
    /// What pays.
    pub terms: Terms,
    /// The partner to stand below, or nobody; `None` leaves that as it is.
    pub upline: Option<Option<PartnerId>>,
    /// From when on.
    pub effective_from: Option<Timestamp>,
}

/// Puts a partner into a program, under a plan of its own or the program's default, and below an upline.
///
/// A first enrolment without `effective_from` covers all time before it too; another plan or upline for one
/// who is enrolled holds from `effective_from` on, now when absent, and replaces what was to begin after it,
/// but may not reach back: what was computed stays as it is. The same again changes nothing.
///
/// # Errors
/// `NotFound`, `ProgramUnknown`, `PlanUnknown`, `PlanMissing`, `EffectiveInPast`, `TooManyPlans`, those of
/// uplines, `Moved` (ask again), the
/// table's.
pub async fn enrol(
    app: &App,
    partner: PartnerId,
    placement: Placement,
) -> Result<Change<Enrolled, PartnerError>, PartnerError> {
    let (found, enrolled) = futures_util::future::try_join(
        store::find_partner(&app.main, partner),
        store::find_enrolment(&app.main, partner, placement.program),
    )
    .await?;
    let found = found.ok_or(PartnerError::NotFound(partner))?;
    if let Some(into) = found.merged_into {
        return Err(PartnerError::Merged(into));
    }
    place(app, partner, enrolled, placement).await
}

/// A new partner in a program, at once.
///
/// # Errors
/// `ProgramUnknown`, `PlanUnknown`, `PlanMissing`, those of uplines, `Moved` (ask again), the table's.
pub async fn admit(
    app: &App,
    new: NewPartner,
    placement: Placement,
) -> Result<Change<Known, PartnerError>, PartnerError> {
    let Change { value, mut writes } = create(app, new)?;
    let placed = place(app, value.partner.id, None, placement).await?;
    writes.extend(placed.writes);
    Ok(Change { value, writes })
}

/// The enrolment of a partner who exists, given the one that stands.
async fn place(
    app: &App,
    partner: PartnerId,
    enrolled: Option<Enrolment>,
    placement: Placement,
) -> Result<Change<Enrolled, PartnerError>, PartnerError> {
    let Placement {
        program,
        terms,
        upline,
        effective_from,
    } = placement;
    let known_program = programs::program(app, program).await?;
    let known_program = known_program.ok_or(PartnerError::ProgramUnknown)?;
    let plan = match (terms, &enrolled) {
        (Terms::Plan(code), _) => match programs::plan_versions(app, program, &code).await? {
            Some(_) => Some(Some(code)),
            None => return Err(PartnerError::PlanUnknown(code)),
        },
        (Terms::Unsaid, Some(_)) => None,
        (Terms::Default | Terms::Unsaid, _) if known_program.default_plans.is_empty() => {
            return Err(PartnerError::PlanMissing);
        }
        (Terms::Default | Terms::Unsaid, _) => Some(None),
    };
    let now = app.now();
    let from = effective_from.unwrap_or(now);
    let (before, planned) = match enrolled {
        None => {
            let first = Enrolment {
                partner,
                program,
                assignments: vec![Assignment {
                    plan: plan.flatten(),
                    from: effective_from,
                }],
                uplines: Vec::new(),
                created_at: now,
                version: 1,
            };
            (None, first)
        }
        Some(before) => {
            let changed = plan.map_or(Reassignment::Unchanged, |plan| {
                reassigned(&before.assignments, plan.as_deref(), from)
            });
            let planned = match changed {
                Reassignment::Changed(_) if from < now => {
                    return Err(PartnerError::EffectiveInPast);
                }
                Reassignment::Changed(assignments) => Enrolment {
                    assignments,
                    version: before.version + 1,
                    ..before.clone()
                },
                Reassignment::Unchanged => before.clone(),
                Reassignment::TooMany => return Err(PartnerError::TooManyPlans),
            };
            (Some(before), planned)
        }
    };
    let mut writes = Vec::new();
    let placed = match upline {
        None => planned,
        Some(upline) => {
            let changes = planned.below(upline, from) != Relocation::Unchanged;
            if before.is_some() && changes && from < now {
                return Err(PartnerError::UplineInPast);
            }
            // A first enrolment may cover the past, in which nobody could stand below it.
            let start = match before {
                Some(_) => from,
                None => effective_from.unwrap_or(Timestamp::MIN),
            };
            let (placed, tree) = below(app, planned, upline, start).await?;
            writes.extend(tree.map(|op| Write::new(op, |_| PartnerError::Moved)));
            placed
        }
    };
    // One change, however much of it there is.
    let version = before.as_ref().map_or(1, |before| before.version + 1);
    let value = match before {
        Some(before) if before.version == placed.version => {
            return Ok(Change {
                value: Enrolled::Again(before),
                writes: Vec::new(),
            });
        }
        Some(_) => Enrolled::Again(Enrolment { version, ..placed }),
        None => Enrolled::New(Enrolment {
            version,
            // What a first enrolment says holds from when its plan does.
            uplines: placed
                .uplines
                .into_iter()
                .map(|upline| Upline {
                    from: effective_from,
                    ..upline
                })
                .collect(),
            ..placed
        }),
    };
    let (Enrolled::New(enrolment) | Enrolled::Again(enrolment)) = &value;
    let save = store::save_enrolment(enrolment)?;
    let save = Write::new(save, |_| PartnerError::Moved);
    writes.insert(0, save.forgetting(enrolment_name(partner, program)));
    Ok(Change { value, writes })
}

/// The enrolment below that upline, once nothing speaks against it, and the change of the program's tree
/// that it needs to be so still: of two who together would close a circle one is refused.
async fn below(
    app: &App,
    planned: Enrolment,
    upline: Option<PartnerId>,
    from: Timestamp,
) -> Result<(Enrolment, Option<Op>), PartnerError> {
    let (partner, program) = (planned.partner, planned.program);
    let placed = match planned.below(upline, from) {
        Relocation::Unchanged => return Ok((planned, None)),
        Relocation::TooMany => return Err(PartnerError::TooManyPlans),
        Relocation::Changed(placed) => placed,
    };
    // Read before all that stands above, so that a change of it meanwhile is noticed.
    let version = store::tree_version(&app.main, program).await?;
    if let Some(upline) = upline {
        let above = above(app, program, upline).await?;
        if !above.contains_key(&upline) {
            return Err(PartnerError::UplineNotEnrolled(program));
        }
        model::check_upline(partner, upline, from, &above).map_err(|fault| match fault {
            UplineFault::Cycle(way) => PartnerError::UplineCycle(way),
            UplineFault::TooDeep => PartnerError::UplineTooDeep,
        })?;
    }
    Ok((placed, Some(store::move_tree(program, version))))
}

/// The enrolments of a partner and of all that ever stand above it, a round trip for each step up.
async fn above(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<BTreeMap<PartnerId, Enrolment>, PartnerError> {
    let mut known = BTreeMap::new();
    let mut next = vec![partner];
    for _ in 0..=MAX_UPLINES {
        if next.is_empty() {
            break;
        }
        let found = store::find_enrolments(&app.main, &next, program).await?;
        let named = found.values().flat_map(|enrolment| &enrolment.uplines);
        let named: BTreeSet<PartnerId> = named.filter_map(|upline| upline.partner).collect();
        known.extend(found);
        next = named
            .into_iter()
            .filter(|partner| !known.contains_key(partner))
            .collect();
    }
    Ok(known)
}

/// The partners above one at that time, the nearest first, at most `most`: from the caches.
///
/// # Errors
/// The table's.
pub async fn uplines(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
    at: Timestamp,
    most: usize,
) -> Result<Vec<PartnerId>, table::Error> {
    let mut found = Vec::new();
    let mut last = partner;
    // Whoever was merged into another stands where it stood, for that one: the way up is as long as ever.
    for _ in 0..MAX_UPLINES.min(most) {
        let enrolment = enrolment(app, last, program).await?;
        let Some(upline) = enrolment.and_then(|enrolment| enrolment.upline_at(at)) else {
            break;
        };
        let heir = heir(app, upline).await?;
        if heir != partner && !found.contains(&heir) {
            found.push(heir);
        }
        last = upline;
    }
    Ok(found)
}

/// Who has what is a partner's by now: itself, or whom it was merged into, however often; from the caches.
///
/// # Errors
/// The table's.
pub async fn heir(app: &App, id: PartnerId) -> Result<PartnerId, table::Error> {
    let mut last = id;
    // No partner has more merged into it, so no chain is longer.
    for _ in 0..=MAX_ABSORBED {
        match partner(app, last).await? {
            Some(partner) => match partner.merged_into {
                Some(into) => last = into,
                None => break,
            },
            None => break,
        }
    }
    Ok(last)
}

/// The change by which one partner is merged into another, on the versions of both that were read; after it the cache
/// must know neither.
///
/// # Errors
/// `Merged` of one that is already, `IntoMerged`, `Banned`, `NotPaid`, `IntoInactive`, `OnHold`, `TooManyMerged`, the
/// table's.
pub async fn merged(
    app: &App,
    from: Partner,
    into: Partner,
) -> Result<(Partner, Partner, Vec<Op>), PartnerError> {
    if let Some(other) = from.merged_into {
        return Err(PartnerError::Merged(other));
    }
    if let Some(other) = into.merged_into {
        return Err(PartnerError::IntoMerged(other));
    }
    match from.status {
        PartnerStatus::Banned => return Err(PartnerError::Banned),
        // What is held back of one must not be paid through the other.
        PartnerStatus::Suspended => return Err(PartnerError::NotPaid),
        PartnerStatus::Active | PartnerStatus::Archived => {}
    }
    if !into.status.may_earn() {
        return Err(PartnerError::IntoInactive);
    }
    if into.absorbed.len() + from.absorbed.len() >= MAX_ABSORBED {
        return Err(PartnerError::TooManyMerged);
    }
    if payout_hold(app, from.id).await?.is_some() {
        return Err(PartnerError::OnHold);
    }
    let mut absorbed = into.absorbed.clone();
    absorbed.push(from.id);
    absorbed.extend(&from.absorbed);
    let into = Partner {
        absorbed,
        version: into.version + 1,
        ..into
    };
    let from = Partner {
        status: PartnerStatus::Archived,
        merged_into: Some(into.id),
        version: from.version + 1,
        ..from
    };
    let ops = vec![store::change_partner(&from)?, store::change_partner(&into)?];
    Ok((from, into, ops))
}

/// Puts a partner where another stands in a program: under the same plans since the same times, and below the same
/// upline where that is asked for, unless that is itself or stands below it. One who is in the program already gets what
/// was before it came.
///
/// # Errors
/// `Moved` (ask again), the table's.
pub async fn inherit(
    app: &App,
    from: &Enrolment,
    to: PartnerId,
    with_upline: bool,
) -> Result<Vec<Op>, PartnerError> {
    let standing = store::find_enrolment(&app.main, to, from.program).await?;
    if let Some(standing) = standing {
        let longer = standing.with_past_of(from);
        let op = longer
            .map(|longer| store::save_enrolment(&longer))
            .transpose()?;
        return Ok(op.into_iter().collect());
    }
    let planned = Enrolment {
        partner: to,
        uplines: Vec::new(),
        created_at: app.now(),
        version: 1,
        ..from.clone()
    };
    let upline = from.upline_at(app.now());
    let upline = upline.filter(|upline| with_upline && *upline != to);
    let placed = below(app, planned.clone(), upline, Timestamp::MIN).await;
    let (placed, tree) = match placed {
        Err(
            PartnerError::UplineCycle(_)
            | PartnerError::UplineTooDeep
            | PartnerError::UplineNotEnrolled(_),
        ) => (planned, None),
        placed => placed?,
    };
    let uplines = placed.uplines.into_iter();
    let placed = Enrolment {
        uplines: uplines
            .map(|upline| Upline {
                from: None,
                ..upline
            })
            .collect(),
        version: 1,
        ..placed
    };
    let mut ops = vec![store::save_enrolment(&placed)?];
    ops.extend(tree);
    Ok(ops)
}

/// A page of a partner's enrolments, by program, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn enrolments(
    app: &App,
    partner: PartnerId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Enrolment>, Option<String>), PartnerError> {
    Ok(store::enrolments(&app.main, partner, after, limit).await?)
}

/// Sets where a partner is paid; `based_on` is the version of the method that it replaces, if there is one.
///
/// # Errors
/// `NotFound`, `VersionMissing`, `Stale`, `Moved`, `Keyring`, the table's.
pub async fn set_payout_method(
    app: &App,
    id: PartnerId,
    based_on: Option<u64>,
    account: &Account,
    currency: Option<Currency>,
) -> Result<Change<PayoutMethod, PartnerError>, PartnerError> {
    let (found, before) = futures_util::future::try_join(
        store::find_partner(&app.main, id),
        store::find_method(&app.main, id),
    )
    .await?;
    found.ok_or(PartnerError::NotFound(id))?;
    let version = before.as_ref().map_or(0, |before| before.version);
    match based_on {
        // Two people who set it at once must not send the money elsewhere than the later one saw.
        None if version > 0 => return Err(PartnerError::VersionMissing),
        Some(based_on) if based_on != version => return Err(PartnerError::Stale),
        _ => {}
    }
    let reference = app.keyring.reference("account", &account.identity());
    let text = write_account(account)?;
    let method = PayoutMethod {
        partner: id,
        kind: account.kind(),
        masked: account.masked(),
        currency,
        sealed: app
            .keyring
            .seal(&PayoutMethod::place(id), text.as_bytes())?,
        reference,
        updated_at: app.now(),
        version: version + 1,
    };
    let mut writes = vec![Write::new(store::save_method(&method)?, |_| {
        PartnerError::Moved
    })];
    let left = before.map(|before| before.reference);
    let left = left.filter(|reference| *reference != method.reference);
    let left = left.map(|left| store::no_longer_known_as(id, &left, app.now()));
    let told = Event::new(
        app.fresh(),
        EventKind::PartnerPayoutMethodSet,
        id,
        app.now(),
    );
    let told = events::put(&told.about_partner(id))?;
    let ops = left
        .into_iter()
        .chain([store::known_as(id, &method.reference), told]);
    writes.extend(ops.map(|op| Write::new(op, |_| PartnerError::Moved)));
    Ok(Change {
        value: method,
        writes,
    })
}

/// Where a partner is paid, masked.
///
/// # Errors
/// `NoPayoutMethod`, the table's.
pub async fn payout_method(app: &App, id: PartnerId) -> Result<PayoutMethod, PartnerError> {
    store::find_method(&app.main, id)
        .await?
        .ok_or(PartnerError::NoPayoutMethod)
}

/// Where a partner is paid, opened, to pay it; `None` when no method was given.
///
/// # Errors
/// `Keyring` when the keyring has lost the key that sealed it; the table's.
pub async fn pay_instruction(
    app: &App,
    id: PartnerId,
) -> Result<Option<PayInstruction>, PartnerError> {
    let Some(method) = store::find_method(&app.main, id).await? else {
        return Ok(None);
    };
    let PayoutMethod {
        masked,
        currency,
        sealed,
        ..
    } = method;
    let opened = app.keyring.open(&PayoutMethod::place(id), &sealed)?;
    Ok(Some(PayInstruction {
        account: read_account(&opened)?,
        currency,
        masked,
    }))
}

/// Keeps a partner's payouts back, until a time or until the hold is lifted; one that stands is replaced.
///
/// # Errors
/// `NotFound`, `HoldInPast`, `Moved`, the table's.
pub async fn hold_payouts(
    app: &App,
    id: PartnerId,
    by: OperatorId,
    until: Option<Timestamp>,
    reason: String,
) -> Result<Change<PayoutHold, PartnerError>, PartnerError> {
    let now = app.now();
    if until.is_some_and(|until| until <= now) {
        return Err(PartnerError::HoldInPast(now));
    }
    let (found, before) = futures_util::future::try_join(
        store::find_partner(&app.main, id),
        store::find_hold(&app.main, id),
    )
    .await?;
    found.ok_or(PartnerError::NotFound(id))?;
    let hold = PayoutHold {
        partner: id,
        until,
        reason,
        placed_by: by,
        placed_at: now,
        lifted_at: None,
        version: before.map_or(1, |before| before.version + 1),
    };
    let write = Write::new(store::save_hold(&hold)?, |_| PartnerError::Moved);
    Ok(Change {
        value: hold,
        writes: vec![write],
    })
}

/// Lifts the hold on a partner's payouts; where none stands nothing changes.
///
/// # Errors
/// `NotFound`, `Moved`, the table's.
pub async fn release_payouts(
    app: &App,
    id: PartnerId,
) -> Result<Change<(), PartnerError>, PartnerError> {
    let (found, before) = futures_util::future::try_join(
        store::find_partner(&app.main, id),
        store::find_hold(&app.main, id),
    )
    .await?;
    found.ok_or(PartnerError::NotFound(id))?;
    let now = app.now();
    let Some(hold) = before.filter(|hold| hold.stands(now)) else {
        return Ok(Change {
            value: (),
            writes: Vec::new(),
        });
    };
    let lifted = PayoutHold {
        lifted_at: Some(now),
        version: hold.version + 1,
        ..hold
    };
    let write = Write::new(store::save_hold(&lifted)?, |_| PartnerError::Moved);
    Ok(Change {
        value: (),
        writes: vec![write],
    })
}

/// The hold that stands on a partner's payouts.
///
/// # Errors
/// The table's.
pub async fn payout_hold(app: &App, id: PartnerId) -> Result<Option<PayoutHold>, table::Error> {
    let now = app.now();
    let hold = store::find_hold(&app.main, id).await?;
    Ok(hold.filter(|hold| hold.stands(now)))
}

/// Sets who a partner is to the tax office; `based_on` is the version of the profile that it replaces, if
/// there is one.
///
/// # Errors
/// `NotFound`, `VersionMissing`, `Stale`, `Moved`, `Keyring`, the table's.
pub async fn set_tax_profile(
    app: &App,
    id: PartnerId,
    based_on: Option<u64>,
    country: String,
    vat_treatment: Option<VatTreatment>,
    details: &TaxDetails,
) -> Result<Change<TaxProfile, PartnerError>, PartnerError> {
    let (found, before) = futures_util::future::try_join(
        store::find_partner(&app.main, id),
        store::find_tax(&app.main, id),
    )
    .await?;
    found.ok_or(PartnerError::NotFound(id))?;
    let version = before.as_ref().map_or(0, |before| before.version);
    match based_on {
        None if version > 0 => return Err(PartnerError::VersionMissing),
        Some(based_on) if based_on != version => return Err(PartnerError::Stale),
        _ => {}
    }
    let text = write_tax(details)?;
    let profile = TaxProfile {
        partner: id,
        country,
        vat_treatment,
        sealed: app.keyring.seal(&TaxProfile::place(id), text.as_bytes())?,
        updated_at: app.now(),
        version: version + 1,
    };
    let mut writes = vec![Write::new(store::save_tax(&profile)?, |_| {
        PartnerError::Moved
    })];
    // A number that is given up stays the partner's: it is no less its own.
    let numbers = details.vat_id.iter().chain(&details.tax_id);
    let known = numbers.filter_map(|number| known_by_tax_id(app, number, &profile.country));
    // Both may be the same one, and a transaction touches an item once.
    let known: BTreeSet<String> = known.collect();
    writes.extend(
        known
            .into_iter()
            .map(|reference| Write::new(store::known_as(id, &reference), |_| PartnerError::Moved)),
    );
    Ok(Change {
        value: profile,
        writes,
    })
}

/// Who a partner is to the tax office, opened; `None` when it has not said.
///
/// # Errors
/// `Keyring` when the keyring has lost the key that sealed it; the table's.
pub async fn tax_profile(
    app: &App,
    id: PartnerId,
) -> Result<Option<(TaxProfile, TaxDetails)>, PartnerError> {
    let Some(profile) = store::find_tax(&app.main, id).await? else {
        return Ok(None);
    };
    let opened = app.keyring.open(&TaxProfile::place(id), &profile.sealed)?;
    let details = read_tax(&opened)?;
    Ok(Some((profile, details)))
}

/// The countries in which partners pay their taxes, of those that exist.
///
/// # Errors
/// The table's.
pub async fn tax_countries(
    app: &App,
    ids: &[PartnerId],
) -> Result<HashMap<PartnerId, String>, table::Error> {
    store::tax_countries(&app.main, ids).await
}
