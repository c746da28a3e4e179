//! Deals: partners register opportunities, operators decide them, and what is approved is protected.
//!
//! A registration is one look at what is known of the customer and one transaction, which also takes the
//! customer's slots for its product lines: of two partners at the same instant one gets them, and the other's
//! registration is weighed again as that of a second one.

pub mod decide;
pub mod due;
pub mod error;
pub mod model;
pub mod policy;
pub mod report;
pub mod rivals;
mod slots;
mod store;
pub mod wire;

use std::sync::Arc;

use error::DealError;
use model::{
    Actor, Beside, Deal, Entry, Fault, Finding, FindingKind, Happening, Held, MAX_FINDINGS, Rank,
    RejectReason, Standing, State, Subject, Submission, Terms, eligibility, whole_second,
};
use policy::{Ineligible, MAX_DAYS, Order, Policy, Second, Step};
pub use store::{DUE_SHARDS, Listed};

use crate::agreements;
use crate::agreements::model::Blocked;
use crate::channel;
use crate::channel::model::{ClaimKind, Profile, Settings};
use crate::claims::model::{CustomerClaim, EVERY_LINE, Share, Slot};
use crate::claims::registry::{self, Hold, Sight};
use crate::clock::{Timestamp, date_of, days_after};
use crate::customers::model::{Company, IDENTIFIER_KINDS, Identifier, IdentifierKind};
use crate::edge::{App, Change, Write};
use crate::events::{self, Event, EventKind};
use crate::ids::{CustomerId, DealId, OperatorId, PartnerId, ProgramId};
use crate::places::covered;
use crate::table::{self, Op};
use crate::{operators, partners, programs};

/// A person at the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
}

/// Words about a deal and its customer, which can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The deal's name.
    pub name: String,
    /// The customer.
    pub company: Company,
    /// What it is about.
    pub description: Option<String>,
    /// Whom to talk to.
    pub contact: Option<Contact>,
}

impl Details {
    /// The customer's domain.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        let mut identifiers = self.company.identifiers.iter();
        let domain = identifiers.find(|identifier| identifier.kind() == IdentifierKind::Domain);
        domain.map(Identifier::value)
    }
}

/// A deal with the words about its customer, unless those were erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The deal.
    pub deal: Deal,
    /// The words.
    pub details: Option<Details>,
}

/// A deal to be registered.
#[derive(Clone, Debug)]
pub struct NewDeal {
    /// The program.
    pub program: ProgramId,
    /// Whose.
    pub partner: PartnerId,
    /// What it is about.
    pub subject: Subject,
    /// In words.
    pub details: Details,
}

/// What a use case decided about a deal.
pub type Decided = Result<Change<Known, DealError>, DealError>;

fn write(op: Op) -> Write<DealError> {
    Write::new(op, |_| DealError::Moved)
}

// ---- Policies

fn policy_name(program: ProgramId) -> String {
    format!("DEALPOLICY#{program}")
}

/// How a program takes deals, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// `NoPolicy`, the table's.
pub async fn policy(app: &App, program: ProgramId) -> Result<Arc<Policy>, DealError> {
    let name = policy_name(program);
    let load = || store::find_policy(&app.main, program);
    app.cached(&name, load).await?.ok_or(DealError::NoPolicy)
}

/// How a program takes deals, as it stands; `None` where it takes none.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn find_policy(app: &App, program: ProgramId) -> Result<Option<Policy>, DealError> {
    let found = programs::program(app, program).await?;
    found.ok_or(DealError::ProgramNotFound(program))?;
    Ok(store::find_policy(&app.main, program).await?)
}

/// Sets how a program takes deals, in place of version `based_on`. What it names of the program's channel and
/// of the vendor's people must be there. Deals that are handed in keep the steps that they began with.
///
/// # Errors
/// `ProgramNotFound`, `VersionMissing`, `Stale`, `Unknown`, `OperatorUnknown`, the table's.
pub async fn set_policy(
    app: &App,
    based_on: Option<u64>,
    new: Policy,
) -> Result<Change<Policy, DealError>, DealError> {
    let program = programs::program(app, new.program).await?;
    let program = program.ok_or(DealError::ProgramNotFound(new.program))?;
    let before = store::find_policy(&app.main, new.program).await?;
    let version = before.map_or(0, |before| before.version);
    match based_on {
        None if version > 0 => return Err(DealError::VersionMissing),
        Some(based_on) if based_on != version => return Err(DealError::Stale),
        _ => {}
    }
    demand_known(&*channel::settings(app, new.program).await?, &new)?;
    demand_operators(app, &new).await?;
    let policy = Policy {
        version: version + 1,
        ..new
    };
    let save = store::save_policy(&policy, program.currency, app.now())?;
    let saved = Write::new(save, |_| DealError::Stale).forgetting(policy_name(policy.program));
    Ok(Change {
        value: policy,
        writes: vec![saved],
    })
}

fn demand_known(settings: &Settings, policy: &Policy) -> Result<(), DealError> {
    let all = |field: &str, named: &[String], known: &[String]| match named
        .iter()
        .position(|name| !known.contains(name))
    {
        Some(at) => Err(DealError::Unknown(
            format!("{field}[{at}]"),
            named[at].clone(),
        )),
        None => Ok(()),
    };
    let Settings {
        product_lines,
        tiers,
        certifications,
        ..
    } = settings;
    for (at, rule) in policy.eligibility.requirements.iter().enumerate() {
        let field = format!("eligibility.requirements[{at}]");
        all(
            &format!("{field}.product_lines"),
            &rule.product_lines,
            product_lines,
        )?;
        if let Some(tier) = rule.tier.as_ref().filter(|tier| !tiers.contains(tier)) {
            return Err(DealError::Unknown(format!("{field}.tier"), tier.clone()));
        }
        all(
            &format!("{field}.certifications"),
            &rule.certifications,
            certifications,
        )?;
    }
    for (at, chain) in policy.chains.iter().enumerate() {
        let field = format!("approval[{at}].when.product_lines");
        all(&field, &chain.when.product_lines, product_lines)?;
    }
    for (at, rule) in policy.auto_approve.iter().enumerate() {
        let field = format!("auto_approve[{at}].when.product_lines");
        all(&field, &rule.when.product_lines, product_lines)?;
        all(&format!("auto_approve[{at}].tiers"), &rule.tiers, tiers)?;
    }
    Ok(())
}

/// A step that waits for somebody who is not there would wait for ever.
async fn demand_operators(app: &App, policy: &Policy) -> Result<(), DealError> {
    let mut named: Vec<(String, OperatorId)> = Vec::new();
    for (chain_at, chain) in policy.chains.iter().enumerate() {
        for (step_at, step) in chain.steps.iter().enumerate() {
            let field = format!("approval[{chain_at}].steps[{step_at}]");
            let approvers = step.approvers.iter().enumerate();
            named.extend(approvers.map(|(at, id)| (format!("{field}.approvers[{at}]"), *id)));
            let escalation = step.escalate_to;
            named.extend(escalation.map(|id| (format!("{field}.escalate_to"), id)));
        }
    }
    let stakes = policy.stakes.iter().enumerate();
    named.extend(stakes.map(|(at, stake)| (format!("stakes[{at}].operator"), stake.operator)));
    let ids = named.iter().map(|(_, id)| *id);
    let known = operators::known_among(app, ids).await?;
    match named.into_iter().find(|(_, id)| !known.contains(id)) {
        Some((field, id)) => Err(DealError::OperatorUnknown(field, id)),
        None => Ok(()),
    }
}

// ---- Reading

/// A deal.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: DealId) -> Result<Known, DealError> {
    let found = store::find_many(&app.main, &[id]).await?.pop();
    found
        .map(|(deal, details)| Known { deal, details })
        .ok_or(DealError::NotFound(id))
}

/// What else is asked of listed deals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this program.
    pub program: Option<ProgramId>,
    /// Of this partner.
    pub partner: Option<PartnerId>,
    /// In this state.
    pub state: Option<State>,
    /// With an open dispute.
    pub disputed: bool,
}

impl Filter {
    fn takes(self, deal: &Deal) -> bool {
        let disputed = deal.dispute.as_ref();
        let disputed = disputed.is_some_and(|dispute| dispute.ended.is_none());
        self.program.is_none_or(|program| program == deal.program)
            && self.partner.is_none_or(|partner| partner == deal.partner)
            && self.state.is_none_or(|state| state == deal.state)
            && (!self.disputed || disputed)
    }
}

/// Pages of an index that one page of a filtered list may take.
const MAX_PAGES: usize = 5;

/// A page of deals, newest first, and the position to go on from. What the index does not know of a filter is
/// sifted here: a page may then have fewer deals than were asked for, also none, while more follow.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    listed: Listed,
    filter: Filter,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Known>, Option<String>), DealError> {
    let mut found = Vec::new();
    let mut position = below;
    for _ in 0..MAX_PAGES {
        let (ids, next) = store::page(&app.main, listed, position, limit - found.len()).await?;
        let read = store::find_many(&app.main, &ids).await?;
        let known = read
            .into_iter()
            .filter(|(deal, _)| filter.takes(deal))
            .map(|(deal, details)| Known { deal, details });
        found.extend(known);
        position = next;
        if position.is_none() || found.len() >= limit {
            break;
        }
    }
    Ok((found, position))
}

// ---- Registering

/// Who a partner is in a program, as far as deals ask.
struct Registrant {
    policy: Arc<Policy>,
    settings: Arc<Settings>,
    profile: Option<Arc<Profile>>,
    /// Whether deals wait for it to accept the program's terms.
    blocked: bool,
}

async fn registrant(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<Registrant, DealError> {
    let found = futures_util::try_join!(
        async { policy(app, program).await },
        async { Ok(channel::settings(app, program).await?) },
        async { Ok(channel::profile(app, program, partner).await?) },
        async { Ok(partners::enrolled(app, partner, program).await?) },
        async { Ok(agreements::block(app, program, partner, Blocked::Deals).await?) },
    );
    let (policy, settings, profile, _, blocked) = found?;
    Ok(Registrant {
        policy,
        settings,
        profile,
        blocked,
    })
}

fn check_lines(settings: &Settings, subject: &Subject) -> Result<(), DealError> {
    let known = &settings.product_lines;
    let named = &subject.product_lines;
    if named.is_empty() && !known.is_empty() {
        return Err(DealError::NoLines);
    }
    match named.iter().position(|line| !known.contains(line)) {
        Some(at) => Err(DealError::Unknown(
            format!("product_lines[{at}]"),
            named[at].clone(),
        )),
        None => Ok(()),
    }
}

impl Registrant {
    /// What the partner lacks for a deal.
    fn lacks(&self, deal: &Deal, company: &Company) -> Vec<Finding> {
        let nothing: &[String] = &[];
        let profile = self.profile.as_deref();
        let territories = profile.map_or(&[][..], |profile| &profile.territories);
        let in_territory = company
            .place
            .as_ref()
            .map_or(territories.is_empty(), |place| covered(territories, place));
        let standing = Standing {
            agreement: !self.blocked,
            tier: profile.and_then(|profile| profile.tier.as_deref()),
            tiers: &self.settings.tiers,
            certifications: profile.map_or(nothing, |profile| &profile.certifications),
            product_lines: profile.map_or(nothing, |profile| &profile.product_lines),
            in_territory,
        };
        eligibility(&self.policy, standing, &deal.subject.product_lines)
    }

    fn tier(&self) -> Option<&str> {
        self.profile
            .as_deref()
            .and_then(|profile| profile.tier.as_deref())
    }

    fn terms(&self) -> Terms {
        Terms {
            days: self.policy.protection_days,
            benefit: self.policy.benefit.clone(),
        }
    }
}

/// Registers a deal: hands it in at once, or keeps it as a draft. What a second registrant gets is as the
/// program says; somebody else's registration at the same moment is `Moved`: ask again.
///
/// # Errors
/// `NoPolicy`, `Partner` of one who is not active in the program, `TermsNotAccepted`, `NoLines`, `Unknown`, `NoIdentifier`,
/// `OwnDuplicate`, `DailyLimit`, `Moved`, the table's.
pub async fn register(app: &App, new: NewDeal, by: Actor, is_draft: bool) -> Decided {
    let NewDeal {
        program,
        partner,
        subject,
        details,
    } = new;
    let lines = subject.product_lines.clone();
    let (who, sight) = futures_util::future::try_join(
        registrant(app, program, partner),
        sight(app, program, &details.company, &lines, is_draft),
    )
    .await?;
    check_lines(&who.settings, &subject)?;
    let now = app.now();
    let draft = Deal {
        id: app.fresh(),
        program,
        partner,
        subject,
        state: State::Draft,
        created_at: now,
        created_by: by,
        submitted_at: None,
        customer: None,
        identifiers: Vec::new(),
        held: None,
        rank: Rank::First,
        findings: Vec::new(),
        approval: None,
        answer_by: None,
        grant: None,
        beside: None,
        rejection: None,
        won: None,
        dispute: None,
        disputed_by: None,
        timeline: vec![Entry {
            at: now,
            what: Happening::Created,
            by,
            note: None,
        }],
        version: 1,
    };
    let (deal, follows) = match sight {
        None => (draft, Vec::new()),
        Some(sight) => hand_in(app, &who, &sight, &draft, &details, by).await?,
    };
    let mut writes: Vec<_> = store::put(&deal, &details)?
        .into_iter()
        .map(write)
        .collect();
    writes.extend(follows);
    Ok(Change {
        value: Known {
            deal,
            details: Some(details),
        },
        writes,
    })
}

/// What a draft's change leaves as it is where it is `None`.
#[derive(Clone, Debug)]
pub struct Amended {
    /// What it is about.
    pub subject: Subject,
    /// In words.
    pub details: Details,
}

/// The deal, of which the change is based on the version that stands.
fn demand_version(known: Known, based_on: u64) -> Result<Known, DealError> {
    if known.deal.version == based_on {
        Ok(known)
    } else {
        Err(DealError::Stale)
    }
}

/// Writes a deal's next version. Whoever changed it in between was first.
fn follow(before: &Deal, changed: &Deal) -> Result<Vec<Write<DealError>>, DealError> {
    let mut ops = store::change(before, changed)?.into_iter();
    let itself = ops.next().map(|op| Write::new(op, |_| DealError::Stale));
    Ok(itself.into_iter().chain(ops.map(write)).collect())
}

/// Changes a draft.
///
/// # Errors
/// `Stale`, `Fault`, `NoLines`, `Unknown`, the table's.
pub async fn amend(app: &App, known: Known, based_on: u64, amended: Amended) -> Decided {
    let Known { deal, .. } = demand_version(known, based_on)?;
    let Amended { subject, details } = amended;
    check_lines(&*channel::settings(app, deal.program).await?, &subject)?;
    let changed = deal.amended(subject)?;
    let mut writes = follow(&deal, &changed)?;
    writes.push(write(store::change_details(&changed, &details)?));
    Ok(Change {
        value: Known {
            deal: changed,
            details: Some(details),
        },
        writes,
    })
}

/// Hands a draft in.
///
/// # Errors
/// As [`register`]; `Stale`, `Fault`, `Erased`.
pub async fn submit(app: &App, known: Known, based_on: u64, by: Actor) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let details = details.ok_or(DealError::Erased)?;
    if deal.state != State::Draft {
        return Err(Fault::State(deal.state).into());
    }
    let lines = &deal.subject.product_lines;
    let (who, sight) = futures_util::future::try_join(
        registrant(app, deal.program, deal.partner),
        sight(app, deal.program, &details.company, lines, false),
    )
    .await?;
    check_lines(&who.settings, &deal.subject)?;
    let sight = sight.unwrap_or_default();
    let (changed, follows) = hand_in(app, &who, &sight, &deal, &details, by).await?;
    let mut writes = follow(&deal, &changed)?;
    writes.extend(follows);
    Ok(Change {
        value: Known {
            deal: changed,
            details: Some(details),
        },
        writes,
    })
}

/// What is known of the customer of a deal that is handed in; of a draft's nothing is looked up.
async fn sight(
    app: &App,
    program: ProgramId,
    company: &Company,
    lines: &[String],
    is_draft: bool,
) -> Result<Option<Sight>, DealError> {
    if is_draft {
        return Ok(None);
    }
    if company.identifiers.is_empty() {
        return Err(DealError::NoIdentifier);
    }
    let mut sight = registry::look(app, program, company, lines).await?;
    registry::look_at_customers(app, program, &mut sight, lines).await?;
    Ok(Some(sight))
}

/// The draft handed in and weighed, and what is written beside it.
async fn hand_in(
    app: &App,
    who: &Registrant,
    sight: &Sight,
    draft: &Deal,
    details: &Details,
    by: Actor,
) -> Result<(Deal, Vec<Write<DealError>>), DealError> {
    if who.blocked {
        return Err(DealError::TermsNotAccepted);
    }
    let company = &details.company;
    let now = app.now();
    let policy = &who.policy;
    let lines = &draft.subject.product_lines;
    let (customer, known) = sight.known(company, app.fresh(), now)?;
    let rivals = rivals_of(sight, draft.partner)?;
    let mut findings = who.lacks(draft, company);
    let lacks = findings
        .iter()
        .find_map(|finding| finding.kind.ineligible());
    findings.extend(seen(sight, company, draft.partner));
    findings.truncate(MAX_FINDINGS);
    let rival = rivals.first().copied();
    let unheard = findings.is_empty();
    // Its customer is held too: another partner may know the same one by something else. Where its identifiers are
    // of several, each of these is.
    let mut identifiers = sight.hashes().to_vec();
    identifiers.push(customer.to_string());
    let more = sight.customers.iter().filter(|known| **known != customer);
    identifiers.extend(more.map(ToString::to_string));
    // A second registrant is the first for what the other one leaves.
    let free: Vec<String> = lines
        .iter()
        .filter(|line| is_free(sight, line))
        .cloned()
        .collect();
    let submission = Submission {
        customer,
        identifiers: identifiers.clone(),
        held: (rival.is_none() || !free.is_empty()).then(|| Held {
            identifiers,
            product_lines: free,
            until: days_after(whole_second(now), MAX_DAYS),
        }),
        rank: rival.map_or(Rank::First, Rank::Second),
        findings,
    };
    let deal = draft.submitted(submission, policy, by, now)?;
    let refused = match (lacks, rival, &policy.second) {
        (Some(reason), ..) if policy.eligibility.otherwise == Ineligible::Reject => Some(reason),
        (_, Some(_), Second::Refuse) => Some(RejectReason::Duplicate),
        _ => None,
    };
    let deal = match refused {
        Some(reason) => deal.rejected(Actor::Rule, reason, None, now)?,
        None if unheard && policy.approves_itself(draft.subject.case(), who.tier()) => {
            deal.self_approved(who.terms(), now)?
        }
        None => deal,
    };
    let counted = store::count(&deal, policy.daily, date_of(now), now);
    let mut writes = vec![Write::new(counted, |_| DealError::DailyLimit)];
    writes.extend(known.into_iter().map(write));
    if let Some(held) = &deal.held {
        let slots = hold(&deal, held).take(held.until, now)?;
        writes.extend(slots.into_iter().map(write));
    }
    if deal.state == State::Approved {
        for claim in rights(&deal, now) {
            writes.push(write(registry::put_claim(&claim)?));
        }
    }
    writes.extend(told(app, &deal, draft.timeline.len())?);
    Ok((deal, writes))
}

/// Whether no deal holds the customer for a product line.
fn is_free(sight: &Sight, line: &String) -> bool {
    let holds = |slot: &Slot| {
        slot.kind == ClaimKind::Deal
            && (slot.product_line == *line || slot.product_line == EVERY_LINE)
    };
    !sight.slots.iter().any(holds)
}

/// Others' deals for the same, each once; the partner's own is an error.
fn rivals_of(sight: &Sight, partner: PartnerId) -> Result<Vec<DealId>, DealError> {
    let mut rivals = Vec::new();
    for slot in sight
        .slots
        .iter()
        .filter(|slot| slot.kind == ClaimKind::Deal)
    {
        let Ok(id) = slot.holder.parse::<DealId>() else {
            continue;
        };
        if slot.partner == Some(partner) {
            return Err(DealError::OwnDuplicate(id));
        }
        if !rivals.contains(&id) {
            rivals.push(id);
        }
    }
    Ok(rivals)
}

/// What a look at the customer finds, each record once, with what it was found by.
fn seen(sight: &Sight, company: &Company, partner: PartnerId) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let what = |hash: &str| {
        let position = sight.hashes().iter().position(|known| known == hash);
        let identifier = position.and_then(|at| company.identifiers.get(at));
        let kind = identifier.map(Identifier::kind);
        let name = IDENTIFIER_KINDS
            .iter()
            .find(|(_, known)| Some(*known) == kind);
        name.map_or("customer", |(name, _)| *name)
    };
    let slots = sight.slots.iter().map(|slot| (slot, ""));
    let accounts = sight.accounts.iter();
    let accounts = accounts.map(|slot| (slot, ", without an open opportunity"));
    for (slot, more) in slots.chain(accounts) {
        let kind = match slot.kind {
            ClaimKind::Deal => FindingKind::Duplicate,
            ClaimKind::Direct => FindingKind::Direct,
            // A lead of its own is why a partner registers the deal.
            ClaimKind::Lead if slot.partner == Some(partner) => continue,
            ClaimKind::Lead => FindingKind::Lead,
            ClaimKind::Coupon | ClaimKind::Referral | ClaimKind::Click => continue,
        };
        let about = Some(slot.holder.clone());
        if found.iter().any(|known| known.about == about) {
            continue;
        }
        let until = slot.until.map(|until| format!(" until {until}"));
        found.push(Finding {
            kind,
            about,
            partner: slot.partner,
            score: None,
            evidence: format!(
                "the same {}{}{more}",
                what(&slot.identifier),
                until.unwrap_or_default()
            ),
        });
    }
    found.extend(sight.similar.iter().map(|similar| Finding {
        kind: FindingKind::Similar,
        about: Some(similar.customer.to_string()),
        partner: None,
        score: Some(similar.score),
        evidence: format!("a name like {:?} in the same country", similar.name),
    }));
    found
}

/// What a deal's slots are held by.
fn hold<'a>(deal: &'a Deal, held: &'a Held) -> DealHold<'a> {
    DealHold {
        id: deal.id.to_string(),
        deal,
        held,
    }
}

/// A hold with the text of its holder's id.
struct DealHold<'a> {
    id: String,
    deal: &'a Deal,
    held: &'a Held,
}

impl DealHold<'_> {
    fn hold(&self) -> Hold<'_> {
        Hold {
            program: self.deal.program,
            kind: ClaimKind::Deal,
            holder: &self.id,
            partner: Some(self.deal.partner),
            hashes: &self.held.identifiers,
            product_lines: &self.held.product_lines,
        }
    }

    fn take(&self, until: Timestamp, now: Timestamp) -> Result<Vec<Op>, table::Error> {
        self.hold().take(until, now)
    }

    fn keep(&self, until: Timestamp) -> Vec<Op> {
        self.hold().keep(until)
    }

    fn give_back(&self, now: Timestamp) -> Vec<Op> {
        self.hold().give_back(now)
    }
}

/// The customers that a deal's identifiers are of: its own first. Others where what was taken for two turns out to
/// be one.
fn customers(deal: &Deal) -> impl Iterator<Item = CustomerId> {
    let own = deal.customer;
    let known = deal.identifiers.iter().filter_map(|one| one.parse().ok());
    own.into_iter()
        .chain(known.filter(move |known| Some(*known) != own))
}

/// The claims that an approved deal gives its partner: one to each customer that its identifiers are of, so that it
/// is found by any of them.
fn rights(deal: &Deal, now: Timestamp) -> Vec<CustomerClaim> {
    customers(deal)
        .filter_map(|customer| claim(deal, customer, now))
        .collect()
}

fn claim(deal: &Deal, customer: CustomerId, now: Timestamp) -> Option<CustomerClaim> {
    let grant = deal.grant.as_ref()?;
    let submitted = deal.submitted_at.unwrap_or(deal.created_at);
    Some(CustomerClaim {
        program: deal.program,
        customer,
        kind: ClaimKind::Deal,
        id: deal.id.to_string(),
        partner: Some(deal.partner),
        product_lines: deal.subject.product_lines.clone(),
        territories: Vec::new(),
        from: now,
        until: Some(grant.until),
        share: deal.beside.map(share),
        sold_as: None,
        is_opportunity: false,
        evidence: format!("registered on {submitted}, approved on {}", grant.at),
        hashes: deal.identifiers.clone(),
        version: 1,
    })
}

/// The share of a deal that another one stands beside, as its claim has it.
fn share(beside: Beside) -> Share {
    Share {
        part: beside.share,
        with: beside.deal.to_string(),
    }
}

/// The claims of an approved deal, changed; nothing where there are none.
async fn change_claim(
    app: &App,
    deal: &Deal,
    change: impl Fn(&mut CustomerClaim),
) -> Result<Vec<Write<DealError>>, DealError> {
    let id = deal.id.to_string();
    let mut writes = Vec::new();
    for customer in customers(deal) {
        let found = registry::find_claim(&app.main, deal.program, customer, ClaimKind::Deal, &id);
        if let Some(mut claim) = found.await? {
            change(&mut claim);
            claim.version += 1;
            writes.push(write(registry::change_claim(&claim)?));
        }
    }
    Ok(writes)
}

/// The writes by which a deal that is not closed is another partner's: the one whose it was has been merged into that
/// one. Its claim goes with it, and its slots, unless they turned out to be another's already. None for a closed one.
///
/// # Errors
/// The table's.
pub async fn inherit(
    app: &App,
    known: &Known,
    to: PartnerId,
    with_slots: bool,
    now: Timestamp,
) -> Result<Vec<Op>, DealError> {
    let deal = &known.deal;
    let is_open = deal.state.is_live() || deal.state == State::Draft;
    let is_disputed = deal.dispute.as_ref().is_some_and(|one| one.ended.is_none());
    if !is_open && !is_disputed {
        return Ok(Vec::new());
    }
    let changed = deal.inherited(to, now);
    let mut ops = store::change(deal, &changed)?;
    ops.push(store::list_with(&changed));
    let held = changed.held.as_ref().filter(|held| held.until > now);
    if let Some(held) = held.filter(|_| with_slots) {
        ops.extend(hold(&changed, held).keep(held.until));
    }
    let claim = change_claim(app, deal, |claim| claim.partner = Some(to)).await?;
    ops.extend(claim.into_iter().map(|write| write.op));
    Ok(ops)
}

/// The events that tell of what happened to a deal after so many entries of its timeline.
fn told(app: &App, deal: &Deal, before: usize) -> Result<Vec<Write<DealError>>, DealError> {
    let mut writes = Vec::new();
    for entry in deal.timeline.iter().skip(before) {
        if let Some(event) = event(app, deal, entry) {
            writes.push(write(events::put(&event)?));
        }
    }
    Ok(writes)
}

fn event(app: &App, deal: &Deal, entry: &Entry) -> Option<Event> {
    let kind = match entry.what {
        Happening::Submitted | Happening::InformationSupplied => EventKind::DealSubmitted,
        Happening::InformationRequested => EventKind::DealNeedsInformation,
        Happening::Approved => EventKind::DealApproved,
        Happening::Rejected => EventKind::DealRejected,
        Happening::Extended => EventKind::DealExtended,
        Happening::Reminded => EventKind::DealExpiring,
        Happening::Escalated => EventKind::DealEscalated,
        Happening::Expired => EventKind::DealExpired,
        Happening::Withdrawn => EventKind::DealWithdrawn,
        Happening::Won => EventKind::DealWon,
        Happening::Lost => EventKind::DealLost,
        Happening::DisputeRaised => EventKind::DealDisputed,
        Happening::DisputeDecided => EventKind::DealDisputeDecided,
        Happening::Created
        | Happening::ReviewStarted
        | Happening::StepApproved
        | Happening::Shared
        | Happening::Alone
        | Happening::Merged => return None,
    };
    let event = Event::new(app.fresh(), kind, deal.id, entry.at)
        .in_program(deal.program)
        .about_partner(deal.partner);
    let operator = match entry.by {
        Actor::Operator(id) => Some(id),
        Actor::Partner | Actor::Rule => None,
    };
    let protected = deal.grant.as_ref().map(|grant| grant.until);
    let open = deal.approval.iter().flat_map(|approval| &approval.stages);
    let mut open = open.filter(|stage| stage.consent.is_none());
    let dispute = deal.dispute.as_ref();
    let other = dispute.map(|dispute| dispute.holder).or(deal.disputed_by);
    let (amount, currency) = (deal.subject.amount, deal.subject.amount.currency());
    Some(match kind {
        EventKind::DealSubmitted => {
            let stage = open.next();
            let approver = stage.and_then(|stage| stage.step.approvers.first());
            event
                .with("amount", amount)
                .with("currency", currency)
                .with_some("approver", approver)
                .with_some("respond_by", stage.and_then(|stage| stage.due))
        }
        EventKind::DealNeedsInformation => event
            .with_some("operator", operator)
            .with_some("respond_by", deal.answer_by),
        EventKind::DealApproved => event
            .with_some("protected_until", protected)
            .with("amount", amount)
            .with("currency", currency)
            .with_some("operator", operator),
        EventKind::DealRejected => {
            let reason = deal.rejection.as_ref().map(|(reason, _)| *reason);
            let reason = reason.unwrap_or(RejectReason::Incomplete);
            event
                .with("reason", model::name_of(model::REJECT_REASONS, reason))
                .with_some("operator", operator)
        }
        EventKind::DealExtended => event
            .with_some("protected_until", protected)
            .with_some("operator", operator),
        EventKind::DealExpiring => event
            .with_some("protected_until", protected)
            .with_some("days", entry.note.as_ref()),
        EventKind::DealExpired => event.with_some("protected_until", protected),
        EventKind::DealEscalated => {
            let late = deal.approval.iter().flat_map(|approval| &approval.stages);
            let mut late = late
                .enumerate()
                .filter(|(_, stage)| stage.escalated_at == Some(entry.at));
            let first = late.next();
            let step = first.map(|(position, _)| position + 1);
            let approver = first.and_then(|(_, stage)| stage.step.escalate_to);
            event
                .with_some("approver", approver)
                .with_some("step", step)
        }
        EventKind::DealWon => {
            let won = deal.won.as_ref();
            event
                .with_some("amount", won.map(|(amount, _)| *amount))
                .with("currency", currency)
                .with_some("conversion", won.and_then(|(_, conversion)| *conversion))
                .with_some("operator", operator)
        }
        EventKind::DealLost => event.with_some("operator", operator),
        EventKind::DealDisputed => event
            .with_some("other", other)
            .with_some("respond_by", dispute.map(|dispute| dispute.decide_by)),
        EventKind::DealDisputeDecided => event
            .with("outcome", entry.note.as_deref().unwrap_or("holder"))
            .with_some("other", other)
            .with_some("share", deal.beside.map(|beside| beside.share))
            .with_some("operator", operator),
        _ => event,
    })
}

// ---- While it waits

/// Takes a deal back: one that is written, waits or is approved.
///
/// # Errors
/// `Stale`, `Fault`, `Moved`, the table's.
pub async fn withdraw(app: &App, known: Known, based_on: u64, by: Actor) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let ended = deal.withdrawn(by, app.now())?;
    end(app, deal, ended, details).await
}

/// Answers what the partner was asked.
///
/// # Errors
/// `Stale`, `Fault`, `NoPolicy`, the table's.
pub async fn answer(app: &App, known: Known, based_on: u64, text: String, by: Actor) -> Decided {
    let Known { deal, details } = demand_version(known, based_on)?;
    let policy = policy(app, deal.program).await?;
    let now = app.now();
    let changed = deal.answered(text, &policy.hours, by, now)?;
    step(app, &deal, changed, details)
}

/// A step that changes the deal and nothing beside it.
fn step(app: &App, before: &Deal, changed: Deal, details: Option<Details>) -> Decided {
    let mut writes = follow(before, &changed)?;
    writes.extend(told(app, &changed, before.timeline.len())?);
    Ok(Change {
        value: Known {
            deal: changed,
            details,
        },
        writes,
    })
}

/// A deal's end, with what follows from it.
async fn end(app: &App, before: Deal, ended: Deal, details: Option<Details>) -> Decided {
    let now = app.now();
    let mut writes = follow(&before, &ended)?;
    writes.extend(told(app, &ended, before.timeline.len())?);
    writes.extend(release(app, &before, now).await?);
    Ok(Change {
        value: Known {
            deal: ended,
            details,
        },
        writes,
    })
}

/// What follows from the end of a deal: its claim ends with it, whoever shares it has it alone from now on, and
/// its slots pass on to that one, to another approved deal of the customer, or are given back. What has ended by
/// itself is left as it is.
async fn release(
    app: &App,
    before: &Deal,
    now: Timestamp,
) -> Result<Vec<Write<DealError>>, DealError> {
    let mut writes = Vec::new();
    let other = match before.beside {
        Some(Beside { deal, .. }) => Some(find(app, deal).await?.deal),
        None => None,
    };
    match other.filter(|other| other.state == State::Approved) {
        Some(other) => {
            let mut alone = other.alone(now);
            let until = other.grant.as_ref().map_or(now, |grant| grant.until);
            if before.held.is_some() && until > now {
                let standing = slots::standing(app, &other, Some(before)).await?;
                let guard = slots::guard(&other, Some(before), &standing, until, now)?;
                writes.extend(guard.writes);
                alone.held = guard.held;
            }
            writes.extend(store::change(&other, &alone)?.into_iter().map(write));
            writes.extend(change_claim(app, &alone, |claim| claim.share = None).await?);
        }
        None => writes.extend(slots::leave(app, before, None, now).await?),
    }
    let protected = before.grant.as_ref();
    if protected.is_some_and(|grant| grant.until > now) {
        writes.extend(change_claim(app, before, |claim| claim.until = Some(now)).await?);
    }
    Ok(writes)
}

// ---- Before it is handed in

/// Who would approve a deal, and what its partner lacks for it.
#[derive(Clone, Debug)]
pub struct Preview {
    /// In which order.
    pub order: Order,
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether it would approve itself where nothing speaks against it.
    pub by_itself: bool,
    /// What the partner lacks.
    pub lacks: Vec<Finding>,
    /// Named approvers who have a stake in the account.
    pub stakes: Vec<OperatorId>,
}

/// Who would approve a deal as it stands. Of other records than the partner's own it says nothing.
///
/// # Errors
/// `NoPolicy`, `Partner`, the table's.
pub async fn preview(app: &App, known: &Known) -> Result<Preview, DealError> {
    let Known { deal, details } = known;
    let who = registrant(app, deal.program, deal.partner).await?;
    let (order, steps) = match &deal.approval {
        Some(approval) => {
            let steps = approval.stages.iter().map(|stage| stage.step.clone());
            (approval.order, steps.collect())
        }
        None => who.policy.route(deal.subject.case()),
    };
    let lacks = match details {
        Some(details) => who.lacks(deal, &details.company),
        None => Vec::new(),
    };
    let domain = details.as_ref().and_then(Details::domain);
    let steps: Vec<Step> = steps;
    let named = steps.iter().flat_map(|step| {
        let escalation = step.escalate_to;
        step.approvers.iter().copied().chain(escalation)
    });
    let mut stakes: Vec<OperatorId> = named
        .filter(|id| deal.has_stake(*id, &who.policy, domain))
        .collect();
    stakes.sort();
    stakes.dedup();
    Ok(Preview {
        order,
        by_itself: lacks.is_empty() && who.policy.approves_itself(deal.subject.case(), who.tier()),
        steps,
        lacks,
        stakes,
    })
}
