//! Leads: taken in, offered to partners by rules, worked, and won or lost.
//!
//! A lead is known by its company's identifiers: while it is open, the same company is the same lead. It goes to
//! whoever has a claim to the customer, else to whom the program's rules choose; each assignment keeps its
//! explanation. What partners do with leads and whose turn it is change in the transaction of the assignment, from
//! the version that it was decided on, so that no two decisions rest on the same turn.

mod distribute;
pub mod error;
pub mod export;
pub mod form;
pub mod model;
pub mod routing;
pub mod store;
pub mod wire;

use std::sync::Arc;

use jiff::SignedDuration;

use distribute::{Onward, onward, tallied};
pub use distribute::{Placed, Simulation, candidate, simulate};
use error::LeadError;
use model::{
    Actor, Contact, Count, DeclineReason, End, Fault, Form, Further, Inquiry, Lead, LossReason,
    MAX_FURTHER, Routing, SAME_LEAD_DAYS, Stage, Step, Why,
};
use routing::Rule;
pub use store::Listed;

pub use crate::table::pause_before;

use crate::agreements;
use crate::agreements::model::Blocked;
use crate::channel;
use crate::channel::model::{ClaimKind, Settings};
use crate::claims::model::CustomerClaim;
use crate::claims::registry::{self, Hold, Sight};
use crate::clock::{Timestamp, days_after};
use crate::customers::model::Company;
use crate::edge::{App, Change, Write};
use crate::events::{self, Event, EventKind};
use crate::ids::{LeadId, OperatorId, PartnerId, ProgramId};
use crate::programs::model::Program;
use crate::table::{Op, Refusal, TransactError};
use crate::tracking::model::{Credited, Facts, Posting, Word};
use crate::{claims, partners, programs, table, tracking};

/// Tries of a change that others come before.
pub const MAX_TRIES: u32 = 12;
/// Leads that one run of clockwork passes on, of each shard.
pub const DUE_PAGE: usize = 50;
/// Pages of leads that one run of clockwork looks through for these, of each shard: those that fail stand in front.
const MAX_DUE_PAGES: usize = 10;
/// Tries of a lead that time moves on: it is due in the next run as well, and others wait behind it.
const MAX_DUE_TRIES: u32 = 5;
/// Seconds that the list of changes stays behind the present: the index lags, and two who write at the same moment
/// commit in any order.
pub const FEED_BEHIND_SECONDS: i64 = 5;
/// Pages that a list of one stage looks through before it lets the caller go on.
const MAX_LOOKED_THROUGH: usize = 5;

/// A lead with the person who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The lead.
    pub lead: Lead,
    /// The person; empty once erased.
    pub contact: Contact,
    /// What its company asked further, in its order; lists leave it out.
    pub further: Vec<Further>,
}

// ---- Rules

/// How a program distributes its leads, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn routing(app: &App, program: ProgramId) -> Result<Arc<Routing>, table::Error> {
    let found = app
        .cached(&routing_name(program), || async {
            let found = store::find_routing(&app.main, program).await?;
            Ok(Some(found.unwrap_or_else(|| Routing::unsaid(program))))
        })
        .await?;
    Ok(found.unwrap_or_else(|| Arc::new(Routing::unsaid(program))))
}

fn routing_name(program: ProgramId) -> String {
    format!("LEADROUTING#{program}")
}

/// How a program distributes its leads, as it stands.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn find_routing(app: &App, program: ProgramId) -> Result<Routing, LeadError> {
    demand_program(app, program).await?;
    let found = store::find_routing(&app.main, program).await?;
    Ok(found.unwrap_or_else(|| Routing::unsaid(program)))
}

async fn demand_program(app: &App, program: ProgramId) -> Result<(), LeadError> {
    match programs::program(app, program).await? {
        Some(_) => Ok(()),
        None => Err(LeadError::ProgramNotFound(program)),
    }
}

/// Says how a program distributes its leads, in place of version `based_on`; what was never said has version 0
/// and needs none. What the rules name of the program's channel must be there.
///
/// # Errors
/// `ProgramNotFound`, `Unknown`, `VersionMissing`, `Stale`, the table's.
pub async fn say_routing(
    app: &App,
    based_on: Option<u64>,
    routing: Routing,
) -> Result<Change<Routing, LeadError>, LeadError> {
    let program = routing.program;
    let stands = find_routing(app, program).await?.version;
    demand_known(app, program, &routing.rules).await?;
    let version = match based_on {
        None if stands > 0 => return Err(LeadError::VersionMissing),
        Some(based_on) if based_on != stands => return Err(LeadError::Stale),
        _ => stands + 1,
    };
    let routing = Routing { version, ..routing };
    let save = Write::new(store::save_routing(&routing)?, |_| LeadError::Stale);
    Ok(Change {
        writes: vec![save.forgetting(routing_name(program))],
        value: routing,
    })
}

/// Goes on only if the program's channel has what the rules name of it.
///
/// # Errors
/// `Unknown`, the table's.
pub async fn demand_known(app: &App, program: ProgramId, rules: &[Rule]) -> Result<(), LeadError> {
    let settings = channel::settings(app, program).await?;
    for (position, rule) in rules.iter().enumerate() {
        for (field, named, known) in [
            (
                "when.product_lines",
                &rule.when.product_lines,
                &settings.product_lines,
            ),
            ("eligible.tiers", &rule.eligible.tiers, &settings.tiers),
            (
                "eligible.certifications",
                &rule.eligible.certifications,
                &settings.certifications,
            ),
        ] {
            let unknown = named.iter().position(|name| !known.contains(name));
            if let Some(entry) = unknown {
                return Err(LeadError::Unknown {
                    field: format!("rules[{position}].{field}[{entry}]"),
                    name: named[entry].clone(),
                });
            }
        }
    }
    Ok(())
}

/// A program's public form.
///
/// # Errors
/// `NoForm`, also where there is no such program, the table's.
pub async fn find_form(app: &App, program: ProgramId) -> Result<Form, LeadError> {
    match programs::program(app, program).await? {
        Some(_) => routing(app, program).await?.form.ok_or(LeadError::NoForm),
        None => Err(LeadError::NoForm),
    }
}

// ---- Intake

/// A lead to be taken in.
#[derive(Clone, Debug)]
pub struct NewLead {
    /// In which program.
    pub program: ProgramId,
    /// Its id: derived from what the caller calls it, so that a repeat is told from another one.
    pub id: LeadId,
    /// What comes in.
    pub inquiry: Inquiry,
    /// Who asks.
    pub contact: Contact,
}

/// The id of a lead that the caller has an id for.
#[must_use]
pub fn id_of(program: ProgramId, reference: &str) -> LeadId {
    LeadId::derived(&[&program.to_string(), "reference", reference])
}

/// What became of a lead that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is a new one, and was offered or waits for an operator.
    New(Box<Known>),
    /// It is one that is there already.
    Known(LeadId),
}

/// Takes a lead in and places it, in one transaction with its explanation. The same company with an open lead is
/// that lead; what it asks further by the form is kept with it. Whoever has a claim to the customer gets it; else the
/// rules choose.
///
/// # Errors
/// `ProgramNotFound`, `Unknown`, `OtherLead`, `Moved` (ask again), the table's.
pub async fn receive(app: &App, new: NewLead) -> Result<Change<Received, LeadError>, LeadError> {
    let NewLead {
        program,
        id,
        inquiry,
        contact,
    } = new;
    demand_program(app, program).await?;
    let settings = channel::settings(app, program).await?;
    demand_lines(&settings, &inquiry.product_lines)?;
    let now = app.now();
    let sight = registry::look(app, program, &inquiry.company, &inquiry.product_lines).await?;
    let open = sight.slots.iter().find(|slot| slot.kind == ClaimKind::Lead);
    if let Some(slot) = open
        && let Ok(open) = slot.holder.parse()
    {
        if inquiry.source == model::Source::Form {
            return asked_again(app, open, inquiry, contact).await;
        }
        let value = if open == id {
            repeated(app, id, &inquiry, &contact).await?
        } else {
            Received::Known(open)
        };
        return Ok(Change {
            value,
            writes: Vec::new(),
        });
    }
    let (customer, mut known) = sight.known(&inquiry.company, app.fresh(), now)?;
    if inquiry.source == model::Source::Form && !sight.customers.is_empty() {
        // What anybody says of a known customer makes it known by nothing more.
        known.clear();
    }
    let lead = Lead {
        id,
        program,
        customer: Some(customer),
        hashes: sight.hashes().to_vec(),
        held_until: days_after(now, SAME_LEAD_DAYS),
        stage: Stage::New,
        offers: Vec::new(),
        steps: vec![Step {
            stage: Stage::New,
            at: now,
            by: Actor::System,
        }],
        asked_again: 0,
        closing: None,
        due: None,
        received_at: now,
        changed_at: now,
        version: 0,
        inquiry,
    };
    let received = event(app, EventKind::LeadReceived, &lead, now).with(
        "source",
        model::name_of(model::SOURCES, lead.inquiry.source),
    );
    let (lead, placing) = onward(
        app,
        now,
        &settings,
        lead,
        Some(&sight),
        Vec::new(),
        Onward::Route,
    )
    .await?;
    let [itself, person] = store::put(&lead, &contact)?;
    let mut writes = vec![
        Write::new(itself, move |_| LeadError::Repeated(id)),
        Write::new(person, |_| LeadError::Moved),
    ];
    let slots = hold(&lead, &lead.id.to_string(), None).take(lead.held_until, now)?;
    writes.extend(moving(known.into_iter().chain(slots)));
    writes.extend(placing);
    writes.extend(moving([events::put(&received)?]));
    Ok(Change {
        value: Received::New(Box::new(Known {
            lead,
            contact,
            further: Vec::new(),
        })),
        writes,
    })
}

/// What a lead is that comes in under an id that was brought before: that lead, if it says the same. A corrected one
/// is refused, because nobody would learn of the correction. Of a person who was forgotten there is nothing to
/// compare.
///
/// # Errors
/// `NotFound`, `OtherLead`, the table's.
pub async fn repeated(
    app: &App,
    id: LeadId,
    inquiry: &Inquiry,
    contact: &Contact,
) -> Result<Received, LeadError> {
    let stands = find(app, id).await?;
    let is_forgotten = stands.contact == Contact::default();
    if stands.lead.inquiry.says_as(inquiry) && (is_forgotten || stands.contact == *contact) {
        Ok(Received::Known(id))
    } else {
        Err(LeadError::OtherLead(id))
    }
}

/// Keeps with an open lead what its company asks further by the form, and tells the partner that has accepted it.
/// Beyond [`MAX_FURTHER`] inquiries are counted and no more.
async fn asked_again(
    app: &App,
    open: LeadId,
    inquiry: Inquiry,
    contact: Contact,
) -> Result<Change<Received, LeadError>, LeadError> {
    let now = app.now();
    let found = store::find(&app.main, open).await?;
    let (before, _) = found.ok_or(LeadError::Moved)?;
    if before.stage.is_closed() {
        // It was closed a moment ago: this is another lead.
        return Err(LeadError::Moved);
    }
    let lead = before.asked_again(now);
    let mut writes = changing(&before, &lead, || LeadError::Moved)?;
    let (mut further, version) = store::further(&app.main, open).await?;
    if further.len() < MAX_FURTHER {
        further.push(Further {
            at: now,
            contact,
            product_lines: inquiry.product_lines,
        });
        let mut told = event(app, EventKind::LeadAskedAgain, &lead, now);
        if let Some(offer) = lead.current().filter(|_| lead.stage.is_held()) {
            told = told.about_partner(offer.partner);
        }
        let kept = store::save_further(open, &further, version + 1)?;
        writes.extend(moving([kept, events::put(&told)?]));
    }
    Ok(Change {
        value: Received::Known(open),
        writes,
    })
}

/// Goes on only if the program has the product lines, or tells none apart.
fn demand_lines(settings: &Settings, named: &[String]) -> Result<(), LeadError> {
    let unknown = named
        .iter()
        .position(|line| !settings.product_lines.contains(line));
    match unknown {
        None => Ok(()),
        Some(entry) => Err(LeadError::Unknown {
            field: format!("product_lines[{entry}]"),
            name: named[entry].clone(),
        }),
    }
}

/// Takes a lead in, trying again where others come before: for lists, row by row. Safe to repeat under the same
/// id.
///
/// # Errors
/// As [`receive`].
pub async fn intake(app: &App, new: NewLead) -> Result<Received, LeadError> {
    for round in 0..MAX_TRIES {
        pause_before(round).await;
        let change = match receive(app, new.clone()).await {
            Ok(change) => change,
            Err(LeadError::Moved) => continue,
            Err(error) => return Err(error),
        };
        match commit(app, change).await {
            Err(LeadError::Moved) => {}
            Err(LeadError::Repeated(id)) => {
                return repeated(app, id, &new.inquiry, &new.contact).await;
            }
            done => return done,
        }
    }
    Err(LeadError::Moved)
}

/// Takes a lead in that came by the public form, as often as one challenge allows: once.
///
/// # Errors
/// `ChallengeSpent`, `TooMany`, and as [`receive`].
pub async fn leave(
    app: &App,
    new: NewLead,
    terms: Form,
    address: &str,
    challenge: &str,
    until: Timestamp,
) -> Result<(), LeadError> {
    for round in 0..MAX_TRIES {
        pause_before(round).await;
        let program = new.program;
        let change = match receive(app, new.clone()).await {
            Ok(change) => change,
            Err(LeadError::Moved) => continue,
            Err(error) => return Err(error),
        };
        // In front, so that a spent challenge is told as such, whatever else its lead meets. A company that is
        // known takes the same turn through the gate.
        let mut writes = form::admit(app, program, terms, address, challenge, until)?;
        writes.extend(change.writes);
        let change = Change { value: (), writes };
        match commit(app, change).await {
            Err(LeadError::Moved) => {}
            done => return done,
        }
    }
    Err(LeadError::Moved)
}

/// Takes nothing of a form in which the field is filled in that people do not see. It spends its challenge and counts
/// in the hour as any other, so that its answers are those of any other.
///
/// # Errors
/// `ChallengeSpent`, `TooMany`, `Moved` (ask again), the table's.
pub async fn turn_away(
    app: &App,
    program: ProgramId,
    terms: Form,
    address: &str,
    challenge: &str,
    until: Timestamp,
) -> Result<(), LeadError> {
    tracing::info!(%program, "a form was filled in by no person");
    let writes = form::admit(app, program, terms, address, challenge, until)?;
    commit(app, Change { value: (), writes }).await
}

/// Commits a change that no idempotency key goes with.
async fn commit<T>(app: &App, change: Change<T, LeadError>) -> Result<T, LeadError> {
    let Change { value, writes } = change;
    if writes.is_empty() {
        return Ok(value);
    }
    let ops: Vec<Op> = writes.iter().map(|write| write.op.clone()).collect();
    match app.main.transact(&ops).await {
        Ok(()) => Ok(value),
        Err(TransactError::Table(error)) => Err(error.into()),
        Err(TransactError::Refused(refusals)) => {
            for (write, refusal) in writes.iter().zip(refusals) {
                if let Refusal::Condition(old) = refusal {
                    return Err((write.refused)(&old));
                }
            }
            Err(LeadError::Moved)
        }
    }
}

/// Writes whose refusal means that something changed.
fn moving(ops: impl IntoIterator<Item = Op>) -> impl Iterator<Item = Write<LeadError>> {
    ops.into_iter()
        .map(|op| Write::new(op, |_| LeadError::Moved))
}

/// What a lead holds of its customer.
fn hold<'a>(lead: &'a Lead, holder: &'a str, partner: Option<PartnerId>) -> Hold<'a> {
    Hold {
        program: lead.program,
        kind: ClaimKind::Lead,
        holder,
        partner,
        hashes: &lead.hashes,
        product_lines: &lead.inquiry.product_lines,
    }
}

fn event(app: &App, kind: EventKind, lead: &Lead, at: Timestamp) -> Event {
    Event::new(app.fresh(), kind, lead.id, at).in_program(lead.program)
}

// ---- Reading

/// A lead with the person who asks.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: LeadId) -> Result<Known, LeadError> {
    let found = store::find(&app.main, id).await?;
    let (lead, contact) = found.ok_or(LeadError::NotFound(id))?;
    let further = if lead.asked_again > 0 {
        store::further(&app.main, id).await?.0
    } else {
        Vec::new()
    };
    Ok(Known {
        lead,
        contact,
        further,
    })
}

/// A lead that was offered to a partner.
///
/// # Errors
/// `NotFound` also for one that was not, the table's.
pub async fn find_offered(app: &App, partner: PartnerId, id: LeadId) -> Result<Known, LeadError> {
    let known = find(app, id).await?;
    match known.lead.offer_to(partner) {
        Some(_) => Ok(known),
        None => Err(LeadError::NotFound(id)),
    }
}

/// A page of leads, of one stage where that is asked for, and the position to go on from. A page of one stage may
/// have fewer than there are further on.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    listed: Listed,
    stage: Option<Stage>,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<Known>, Option<String>), LeadError> {
    let mut found = Vec::new();
    let mut position = beyond;
    for _ in 0..MAX_LOOKED_THROUGH {
        let wanted = limit - found.len();
        let (ids, next) = store::page(&app.main, listed, position, wanted).await?;
        let leads = store::find_many(&app.main, &ids).await?;
        let fits = |lead: &Lead| {
            let in_list = match listed {
                // One that was taken from the queue a moment ago may still be in the index.
                Listed::Queue(_) => lead.stage == Stage::Queued,
                Listed::Program(_) | Listed::Partner(_) => true,
            };
            in_list && stage.is_none_or(|stage| lead.stage == stage)
        };
        found.extend(
            leads
                .into_iter()
                .filter(|(lead, _)| fits(lead))
                .map(listed_one),
        );
        position = next;
        if position.is_none() || found.len() >= limit {
            break;
        }
    }
    Ok((found, position))
}

/// A program's leads by their last change, the oldest first, beyond a position; and the position to go on from,
/// that of the last one found also where none follows it yet. A lead that changes again comes again.
///
/// # Errors
/// The table's.
pub async fn changed(
    app: &App,
    program: ProgramId,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<Known>, Option<String>), LeadError> {
    let until = app
        .now()
        .checked_sub(SignedDuration::from_secs(FEED_BEHIND_SECONDS))
        .unwrap_or(Timestamp::MIN);
    let (ids, position) = store::changed(&app.main, program, until, beyond, limit).await?;
    let leads = store::find_many(&app.main, &ids).await?;
    Ok((leads.into_iter().map(listed_one).collect(), position))
}

/// A lead as lists have it.
fn listed_one((lead, contact): (Lead, Contact)) -> Known {
    Known {
        lead,
        contact,
        further: Vec::new(),
    }
}

/// Why a lead was assigned as it was, each time, with when.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn explanations(
    app: &App,
    id: LeadId,
) -> Result<Vec<(Timestamp, serde_json::Value)>, LeadError> {
    let _ = find(app, id).await?;
    Ok(store::explanations(&app.main, id).await?)
}

/// Forgets who asked, also further. What the lead is for, and whose it is, stays.
///
/// # Errors
/// `NotFound`, `Moved` (ask again), the table's.
pub async fn erase_contact(app: &App, id: LeadId) -> Result<(), LeadError> {
    let known = find(app, id).await?;
    let mut ops = vec![store::erase_contact(id)];
    if known.lead.asked_again > 0 {
        ops.push(store::erase_further(id));
    }
    let writes = moving(ops).collect();
    commit(app, Change { value: (), writes }).await
}

// ---- What partners do

/// The company with the mailbox of the person who asks, by which it may be known.
fn company(known: &Known) -> Company {
    wire::with_mailbox(
        known.lead.inquiry.company.clone(),
        known.contact.email.as_deref(),
    )
}

async fn look(app: &App, known: &Known) -> Result<Sight, table::Error> {
    let lead = &known.lead;
    registry::look(
        app,
        lead.program,
        &company(known),
        &lead.inquiry.product_lines,
    )
    .await
}

/// The partner that it is offered to accepts a lead: it sees who asks, and has a claim to the customer for the
/// program's days.
///
/// # Errors
/// `NotFound`, `TermsNotAccepted`, `Fault`, `Claimed`, `Moved` (ask again), the table's.
pub async fn accept(
    app: &App,
    partner: PartnerId,
    id: LeadId,
) -> Result<Change<Known, LeadError>, LeadError> {
    let known = find_offered(app, partner, id).await?;
    partners::enrolled(app, partner, known.lead.program)
        .await
        .map_err(LeadError::Barred)?;
    if agreements::block(app, known.lead.program, partner, Blocked::Leads).await? {
        return Err(LeadError::TermsNotAccepted);
    }
    let now = app.now();
    let routing = routing(app, known.lead.program).await?;
    let lead = known.lead.accepted(partner, routing.idle_at(now), now)?;
    let settings = channel::settings(app, lead.program).await?;
    let sight = look(app, &known).await?;
    let rank = settings.rank(ClaimKind::Lead);
    let is_stronger = sight.slots.iter().any(|slot| {
        slot.kind != ClaimKind::Lead
            && slot.partner != Some(partner)
            && settings.rank(slot.kind) < rank
    });
    if is_stronger {
        return Err(LeadError::Claimed);
    }
    let until = days_after(now, settings.lead_days);
    let lead = Lead {
        held_until: lead.held_until.max(until),
        ..lead
    };
    let mut writes = changing(&known.lead, &lead, || LeadError::Moved)?;
    writes.extend(tallied(app, &lead, vec![(partner, Count::Accepted)]).await?);
    if let Some(claim) = claim(&lead, now, until) {
        writes.extend(moving([registry::put_claim(&claim)?]));
    }
    let holder = lead.id.to_string();
    let hold = hold(&lead, &holder, Some(partner));
    let held = if known.lead.holds(now) {
        hold.keep(lead.held_until)
    } else {
        hold.take(lead.held_until, now)?
    };
    // Another lead of the same company may have come in after this one's time had run out.
    writes.extend(
        held.into_iter()
            .map(|op| Write::new(op, |_| LeadError::Claimed)),
    );
    let told = event(app, EventKind::LeadAccepted, &lead, now)
        .about_partner(partner)
        .with("offer", lead.offers.len());
    writes.extend(moving([events::put(&told)?]));
    Ok(Change {
        value: Known { lead, ..known },
        writes,
    })
}

/// The writes that leave a lead in its next version, and it among what changed.
fn changing(
    before: &Lead,
    lead: &Lead,
    stale: fn() -> LeadError,
) -> Result<Vec<Write<LeadError>>, LeadError> {
    let itself = store::change(lead, before.version)?;
    Ok(vec![
        Write::new(itself, move |_| stale()),
        Write::new(store::mark_changed(lead), |_| LeadError::Moved),
    ])
}

/// Names the claim of a lead's present acceptance: the first one is the lead's, a later one's is its own.
fn claim_id(lead: &Lead) -> Option<String> {
    let accepted = lead
        .offers
        .iter()
        .filter(|offer| offer.accepted_at.is_some())
        .count();
    match accepted {
        0 => None,
        1 => Some(lead.id.to_string()),
        number => Some(format!("{}.{number}", lead.id)),
    }
}

/// The claim that an accepted lead gives.
fn claim(lead: &Lead, from: Timestamp, until: Timestamp) -> Option<CustomerClaim> {
    let offer = lead.current()?;
    Some(CustomerClaim {
        program: lead.program,
        customer: lead.customer?,
        kind: ClaimKind::Lead,
        id: claim_id(lead)?,
        partner: Some(offer.partner),
        product_lines: lead.inquiry.product_lines.clone(),
        territories: Vec::new(),
        from,
        until: Some(until),
        share: None,
        sold_as: None,
        is_opportunity: false,
        evidence: format!("lead {} of {}, accepted", lead.id, lead.received_at),
        hashes: lead.hashes.clone(),
        version: 1,
    })
}

/// The writes that end the claim of a lead that its partner has accepted; `before` is the lead with its offer.
async fn ending_claim(
    app: &App,
    before: &Lead,
    now: Timestamp,
) -> Result<Vec<Write<LeadError>>, LeadError> {
    if !before.stage.is_held() {
        return Ok(Vec::new());
    }
    let (Some(customer), Some(id)) = (before.customer, claim_id(before)) else {
        return Ok(Vec::new());
    };
    let kind = ClaimKind::Lead;
    let found = registry::find_claim(&app.main, before.program, customer, kind, &id).await?;
    let Some(claim) = found else {
        return Ok(Vec::new());
    };
    let ended = CustomerClaim {
        until: Some(claim.until.map_or(now, |until| until.min(now))),
        version: claim.version + 1,
        ..claim
    };
    Ok(moving([registry::change_claim(&ended)?]).collect())
}

/// The writes after which a lead holds its customer for nobody any more, where its partner had accepted it: whose it
/// was then registers a deal with that customer as anybody else.
fn vacating(before: &Lead, now: Timestamp) -> Vec<Write<LeadError>> {
    if !before.stage.is_held() || !before.holds(now) {
        return Vec::new();
    }
    let holder = before.id.to_string();
    moving(hold(before, &holder, None).vacate()).collect()
}

/// The partner that it is offered to declines a lead, for good; it passes to the next candidate.
///
/// # Errors
/// `NotFound`, `Fault`, `Moved` (ask again), the table's.
pub async fn decline(
    app: &App,
    partner: PartnerId,
    id: LeadId,
    reason: DeclineReason,
) -> Result<Change<Known, LeadError>, LeadError> {
    let known = find_offered(app, partner, id).await?;
    let now = app.now();
    let declined = known.lead.declined(partner, reason, now)?;
    let told = event(app, EventKind::LeadDeclined, &declined, now)
        .about_partner(partner)
        .with("reason", model::name_of(model::DECLINE_REASONS, reason))
        .with("offer", declined.offers.len());
    let ended = Count::Ended(End::Declined(reason), false);
    let sight = look(app, &known).await?;
    passed_on(app, known, declined, (partner, ended), Some(sight), told).await
}

/// The writes that pass a lead on whose time with a partner has ended. Time itself has no keyring to look a
/// customer up with, and goes by the identifiers' hashes.
async fn passed_on(
    app: &App,
    known: Known,
    ended: Lead,
    count: (PartnerId, Count),
    sight: Option<Sight>,
    told: Event,
) -> Result<Change<Known, LeadError>, LeadError> {
    let settings = channel::settings(app, ended.program).await?;
    let mut claim = ending_claim(app, &known.lead, told.at).await?;
    let (lead, placing) = onward(
        app,
        told.at,
        &settings,
        ended,
        sight.as_ref(),
        vec![count],
        Onward::Route,
    )
    .await?;
    let mut writes = vec![Write::new(
        store::change(&lead, known.lead.version)?,
        |_| LeadError::Moved,
    )];
    writes.append(&mut claim);
    writes.extend(vacating(&known.lead, told.at));
    writes.extend(placing);
    writes.extend(moving([events::put(&told)?]));
    Ok(Change {
        value: Known { lead, ..known },
        writes,
    })
}

/// The partner that has accepted a lead moves it to another stage.
///
/// # Errors
/// `NotFound`, `Fault`, `Moved` (ask again), the table's.
pub async fn progress(
    app: &App,
    partner: PartnerId,
    id: LeadId,
    stage: Stage,
) -> Result<Change<Known, LeadError>, LeadError> {
    let known = find_offered(app, partner, id).await?;
    let now = app.now();
    let routing = routing(app, known.lead.program).await?;
    let lead = known
        .lead
        .progressed(partner, stage, routing.idle_at(now), now)?;
    Ok(Change {
        writes: changing(&known.lead, &lead, || LeadError::Moved)?,
        value: Known { lead, ..known },
    })
}

/// A lead is lost: as the partner says that has it, or an operator based on a version.
///
/// # Errors
/// `NotFound`, `Fault`, `Stale`, `Moved` (ask again), the table's.
pub async fn lose(
    app: &App,
    by: Result<PartnerId, u64>,
    id: LeadId,
    reason: LossReason,
) -> Result<Change<Known, LeadError>, LeadError> {
    let (known, partner) = match by {
        Ok(partner) => (find_offered(app, partner, id).await?, Some(partner)),
        Err(based_on) => (at_version(app, id, based_on).await?, None),
    };
    let stale = match by {
        Ok(_) => || LeadError::Moved,
        Err(_) => || LeadError::Stale,
    };
    let now = app.now();
    let lead = known.lead.lost(partner, reason, now)?;
    let mut writes = changing(&known.lead, &lead, stale)?;
    writes.extend(closing(app, &known.lead, &lead, End::Lost, now).await?);
    writes.extend(ending_claim(app, &known.lead, now).await?);
    let mut told = event(app, EventKind::LeadLost, &lead, now)
        .with("reason", model::name_of(model::LOSS_REASONS, reason));
    if let Some(offer) = known.lead.current() {
        told = told.about_partner(offer.partner);
    }
    writes.extend(moving([events::put(&told)?]));
    Ok(Change {
        value: Known { lead, ..known },
        writes,
    })
}

/// The writes of a lead that closes: its partner's tally, and its company's next inquiry is another lead.
async fn closing(
    app: &App,
    before: &Lead,
    lead: &Lead,
    end: End,
    now: Timestamp,
) -> Result<Vec<Write<LeadError>>, LeadError> {
    let mut writes = Vec::new();
    if let Some(offer) = before.current() {
        let count = Count::Ended(end, offer.accepted_at.is_some());
        writes.extend(tallied(app, lead, vec![(offer.partner, count)]).await?);
    }
    // Where its time has run out, they may be another's by now: those stay.
    if before.holds(now) {
        let holder = lead.id.to_string();
        writes.extend(moving(hold(lead, &holder, None).give_back(now)));
    }
    Ok(writes)
}

async fn at_version(app: &App, id: LeadId, based_on: u64) -> Result<Known, LeadError> {
    let known = find(app, id).await?;
    if known.lead.version == based_on {
        Ok(known)
    } else {
        Err(LeadError::Stale)
    }
}

// ---- What operators do

/// Where an operator sends a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To that partner.
    Partner(PartnerId),
    /// To whom the rules choose.
    Routing,
    /// To the vendor's queue.
    Queue,
}

/// An operator takes a lead from whoever has it, and sends it on.
///
/// # Errors
/// `NotFound`, `Fault`, `Partner`, `Stale`, `Moved` (ask again), the table's.
pub async fn reassign(
    app: &App,
    operator: OperatorId,
    id: LeadId,
    based_on: u64,
    target: Target,
) -> Result<Change<Known, LeadError>, LeadError> {
    let known = at_version(app, id, based_on).await?;
    let now = app.now();
    let (to, onward_to) = match target {
        Target::Partner(partner) => {
            let to = Onward::To(partner, Why::Operator(operator));
            (Some(partner), to)
        }
        Target::Routing => (None, Onward::Route),
        Target::Queue => (None, Onward::Queue),
    };
    let taken = known.lead.withdrawn(to, now)?;
    if target == Target::Queue && taken.stage == Stage::Queued {
        return Err(Fault::SameStage.into());
    }
    if let Some(partner) = to {
        partners::enrolled(app, partner, taken.program)
            .await
            .map_err(LeadError::Partner)?;
    }
    let settings = channel::settings(app, taken.program).await?;
    let sight = match target {
        Target::Routing => Some(look(app, &known).await?),
        Target::Partner(_) | Target::Queue => None,
    };
    let counts = known.lead.current().map(|offer| {
        let is_accepted = offer.accepted_at.is_some();
        (offer.partner, Count::Ended(End::Withdrawn, is_accepted))
    });
    let mut claim = ending_claim(app, &known.lead, now).await?;
    let counts = counts.into_iter().collect();
    let (lead, placing) = onward(
        app,
        now,
        &settings,
        taken,
        sight.as_ref(),
        counts,
        onward_to,
    )
    .await?;
    let itself = store::change(&lead, known.lead.version)?;
    let mut writes = vec![Write::new(itself, |_| LeadError::Stale)];
    writes.append(&mut claim);
    writes.extend(vacating(&known.lead, now));
    writes.extend(placing);
    Ok(Change {
        value: Known { lead, ..known },
        writes,
    })
}

/// Records that a lead was won by the partner that has it: an ordinary conversion, credited to that partner, in
/// the same transaction. What it pays follows from the plan as for any other.
///
/// # Errors
/// `NotFound`, `Fault`, `Unattributed`, `ConversionExists`, `Stale`, `Moved` (ask again), the table's.
pub async fn win(
    app: &App,
    program: &Program,
    known: Known,
    based_on: u64,
    posting: &Posting,
) -> Result<Change<Known, LeadError>, LeadError> {
    if known.lead.version != based_on {
        return Err(LeadError::Stale);
    }
    let now = app.now();
    let facts = posting
        .facts(program.id, now)
        .ok_or(LeadError::AmountMissing)?;
    let amount = facts.amount.ok_or(LeadError::AmountMissing)?;
    let (lead, partner) = known.lead.won(amount, facts.id, now)?;
    let facts = Facts {
        credited_to: Some(Credited {
            partner,
            word: Word::Lead(lead.id),
        }),
        ..facts
    };
    // A sale of somebody who cannot be credited would pay nothing, and nobody would see why.
    let ruling = claims::foresee(app, program, &facts).await?.ruling;
    if let Some(reason) = ruling.reason() {
        return Err(LeadError::Unattributed(reason));
    }
    let mut writes = changing(&known.lead, &lead, || LeadError::Stale)?;
    writes.push(Write::new(tracking::record(&facts)?, |_| {
        LeadError::ConversionExists
    }));
    writes.extend(closing(app, &known.lead, &lead, End::Won, now).await?);
    let told = event(app, EventKind::LeadWon, &lead, now)
        .about_partner(partner)
        .with("amount", amount)
        .with("currency", amount.currency().code())
        .with("conversion", facts.id);
    writes.extend(moving([events::put(&told)?]));
    Ok(Change {
        value: Known { lead, ..known },
        writes,
    })
}

// ---- What time does

/// What a run passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PassedOn {
    /// Offers that ran out.
    pub expired: usize,
    /// Leads that lay idle and were taken back.
    pub reclaimed: usize,
}

/// Passes on what is due by `now`: offers that ran out go to the next candidate, leads that lay idle are taken
/// back and go on likewise. About [`DUE_PAGE`] of each shard; safe to repeat. Those that fail, in this run and in each
/// before, do not keep the others from it.
///
/// # Errors
/// What any of them met, after all were tried.
pub async fn due(app: &App, now: Timestamp) -> Result<PassedOn, LeadError> {
    let mut passed = PassedOn::default();
    let mut failed = None;
    for shard in 0..store::DUE_SHARDS {
        let (mut done, mut beyond) = (0, None);
        for _ in 0..MAX_DUE_PAGES {
            let (ids, next) = store::due(&app.main, shard, now, beyond, DUE_PAGE).await?;
            for id in ids {
                // Due is what the schedule's time says; done it is now, so that feeds have it behind what was before
                // and whoever is next has all its minutes.
                match pass_on(app, id, now.max(app.now())).await {
                    Ok(Some(EventKind::LeadReclaimed)) => passed.reclaimed += 1,
                    Ok(Some(_)) => passed.expired += 1,
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::warn!(%error, lead = %id, "a lead was not passed on");
                        failed = Some(error);
                        continue;
                    }
                }
                done += 1;
            }
            beyond = next;
            if beyond.is_none() || done >= DUE_PAGE {
                break;
            }
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(passed),
    }
}

/// Passes one lead on; `None` where it is not due any more.
async fn pass_on(app: &App, id: LeadId, now: Timestamp) -> Result<Option<EventKind>, LeadError> {
    for round in 0..MAX_DUE_TRIES {
        pause_before(round).await;
        let known = match find(app, id).await {
            Err(LeadError::NotFound(_)) => return Ok(None),
            found => found?,
        };
        let Ok(ended) = known.lead.overdue(now) else {
            return Ok(None);
        };
        let Some(offer) = known.lead.current() else {
            return Ok(None);
        };
        let (partner, is_accepted) = (offer.partner, offer.accepted_at.is_some());
        let (kind, end) = if is_accepted {
            (EventKind::LeadReclaimed, End::Reclaimed)
        } else {
            (EventKind::LeadOfferExpired, End::Expired)
        };
        let mut told = event(app, kind, &ended, now).about_partner(partner);
        told = if is_accepted {
            told.with("reason", "idle")
        } else {
            told.with("offer", ended.offers.len())
        };
        let count = (partner, Count::Ended(end, is_accepted));
        let change = match passed_on(app, known, ended, count, None, told).await {
            Err(LeadError::Moved) => continue,
            change => change?,
        };
        match commit(app, change).await {
            Err(LeadError::Moved) => {}
            done => return done.map(|_| Some(kind)),
        }
    }
    Err(LeadError::Moved)
}
