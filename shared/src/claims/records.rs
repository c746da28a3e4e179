//! Claims that are records of their own, the vendor's accounts and partners' referrals; and the answer to "whose
//! customer is this?".

use super::error::ClaimError;
use super::model::{
    CLOCK_SLACK_MINUTES, Candidate, CustomerClaim, Evidence, Occasion, Resolution, Similar,
    Unattributed, fault, resolve,
};
use super::registry::{Sight, change_claim, claims_of, each_once, look, put_claim};
use super::{by_click, by_coupon, plan_of, store};
use crate::channel;
use crate::channel::model::{ClaimKind, Settings};
use crate::clock::{Timestamp, days_after, days_before, minutes_after};
use crate::customers::model::Company;
use crate::edge::{App, Change, Write};
use crate::ids::{ClaimId, CustomerId, PartnerId, ProgramId};
use crate::partners;
use crate::places::Place;
use crate::programs;
use crate::programs::model::{AttributionModel, Program};
use crate::table::Op;
use crate::tracking::model::ClickToken;

/// Customers that a partner may name in a day of UTC in a program: more are nobody's acquaintances.
pub const REFERRALS_A_DAY: i64 = 100;

/// What the vendor says of an account of its own.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who it is.
    pub company: Company,
    /// The open opportunity's id in the vendor's CRM; `None` for the account alone.
    pub opportunity: Option<String>,
    /// For which product lines; none named means all.
    pub product_lines: Vec<String>,
    /// Since when; now unless told.
    pub from: Option<Timestamp>,
    /// Until when, where that is known; in the past for what has ended.
    pub until: Option<Timestamp>,
    /// What else is to be known.
    pub note: Option<String>,
}

/// A customer that a partner names.
#[derive(Clone, Debug)]
pub struct Referral {
    /// By whom.
    pub partner: PartnerId,
    /// Who it is.
    pub company: Company,
    /// For which product lines; none named means all.
    pub product_lines: Vec<String>,
    /// What else is to be known.
    pub note: Option<String>,
}

async fn demand_program(app: &App, id: ProgramId) -> Result<std::sync::Arc<Program>, ClaimError> {
    programs::program(app, id)
        .await?
        .ok_or(ClaimError::ProgramNotFound(id))
}

fn demand_lines(settings: &Settings, lines: &[String]) -> Result<(), ClaimError> {
    let unknown = lines
        .iter()
        .enumerate()
        .find(|(_, line)| !settings.product_lines.contains(line));
    match unknown {
        Some((position, line)) => Err(ClaimError::ProductLineUnknown(position, line.clone())),
        None => Ok(()),
    }
}

fn moved(op: Op) -> Write<ClaimError> {
    Write::new(op, |_| ClaimError::Moved)
}

/// Registers an account of the vendor's own, or its open opportunity; what was said of the same before is
/// replaced. Two calls about one customer at once meet as `Moved`: ask again.
///
/// # Errors
/// `ProgramNotFound`, `ProductLineUnknown`, `Backwards`, `TooMany`, `Moved`, the table's.
pub async fn declare(
    app: &App,
    program: ProgramId,
    account: Account,
) -> Result<Change<CustomerClaim, ClaimError>, ClaimError> {
    demand_program(app, program).await?;
    let settings = channel::settings(app, program).await?;
    demand_lines(&settings, &account.product_lines)?;
    let Account {
        company,
        opportunity,
        product_lines,
        from,
        until,
        note,
    } = account;
    let now = app.now();
    let from = from.unwrap_or(now);
    if until.is_some_and(|until| until <= from) {
        return Err(ClaimError::Backwards);
    }
    let sight = look(app, program, &company, &product_lines).await?;
    let (customer, mut ops) = sight.known(&company, app.fresh(), now)?;
    let what = opportunity.as_deref().unwrap_or("");
    let id = ClaimId::derived(&[&program.to_string(), "direct", &customer.to_string(), what]);
    let evidence = match (&opportunity, note) {
        (Some(opportunity), Some(note)) => format!("open opportunity {opportunity}: {note}"),
        (Some(opportunity), None) => format!("open opportunity {opportunity}"),
        (None, Some(note)) => format!("the vendor's account: {note}"),
        (None, None) => "the vendor's account".to_owned(),
    };
    let claim = CustomerClaim {
        program,
        customer,
        kind: ClaimKind::Direct,
        id: id.to_string(),
        partner: None,
        product_lines,
        territories: Vec::new(),
        from,
        until,
        share: None,
        sold_as: None,
        is_opportunity: opportunity.is_some(),
        evidence,
        hashes: sight.hashes().to_vec(),
        version: 1,
    };
    let claim = save(app, &sight, id, claim, &mut ops).await?;
    let seen = sight.seen(&claim, now)?;
    ops.extend(seen.ok_or(ClaimError::TooMany)?);
    Ok(Change {
        value: claim,
        writes: ops.into_iter().map(moved).collect(),
    })
}

/// Adds the writes of a claim that may stand already.
async fn save(
    app: &App,
    sight: &Sight,
    id: ClaimId,
    claim: CustomerClaim,
    ops: &mut Vec<Op>,
) -> Result<CustomerClaim, ClaimError> {
    // Of a customer that was not known before there is nothing yet.
    let before = match sight.customers.is_empty() {
        true => None,
        false => store::find_record(&app.main, id).await?,
    };
    let claim = match before {
        None => {
            ops.push(store::put_record(id, &claim)?);
            ops.push(put_claim(&claim)?);
            claim
        }
        Some(before) => {
            // What had ended begins anew: between the two it was nobody's.
            let has_ended = before.until.is_some_and(|until| until <= claim.from);
            let claim = CustomerClaim {
                from: if has_ended {
                    claim.from
                } else {
                    before.from.min(claim.from)
                },
                version: before.version + 1,
                ..claim
            };
            ops.push(change_claim(&claim)?);
            // It is no longer seen from what the customer is not named by any more.
            let left: Vec<String> = before
                .hashes
                .iter()
                .filter(|hash| !claim.hashes.contains(hash))
                .cloned()
                .collect();
            ops.extend(store::unseen(&app.main, &claim, &left).await?);
            claim
        }
    };
    Ok(claim)
}

/// Registers that a partner named a customer. Naming it again changes nothing: the first day counts.
///
/// # Errors
/// `ProgramNotFound`, `NotEnrolled`, `PartnerSuspended`, `ProductLineUnknown`, `DailyLimit`, `Moved`, the table's.
pub async fn refer(
    app: &App,
    program: ProgramId,
    referral: Referral,
) -> Result<Change<CustomerClaim, ClaimError>, ClaimError> {
    demand_program(app, program).await?;
    let settings = channel::settings(app, program).await?;
    let Referral {
        partner,
        company,
        product_lines,
        note,
    } = referral;
    demand_lines(&settings, &product_lines)?;
    demand_partner(app, program, partner).await?;
    let now = app.now();
    let sight = look(app, program, &company, &product_lines).await?;
    let (customer, mut ops) = sight.known(&company, app.fresh(), now)?;
    if !sight.customers.is_empty() {
        // What a partner says of a customer that is known already makes no other identifier that customer's for
        // ever: it might be another company's.
        ops.clear();
    }
    let id = ClaimId::derived(&[
        &program.to_string(),
        "referral",
        &customer.to_string(),
        &partner.to_string(),
    ]);
    let before = match sight.customers.is_empty() {
        true => None,
        false => store::find_record(&app.main, id).await?,
    };
    let stands = |before: &CustomerClaim| {
        let covers = before.product_lines.is_empty()
            || (!product_lines.is_empty()
                && product_lines
                    .iter()
                    .all(|line| before.product_lines.contains(line)));
        covers && before.until.is_none_or(|until| until > now)
    };
    match before {
        Some(before) if stands(&before) => {
            return Ok(Change {
                value: before,
                writes: Vec::new(),
            });
        }
        Some(before) => return renewed(&settings, before, product_lines, ops, now),
        None => {}
    }
    let claim = CustomerClaim {
        program,
        customer,
        kind: ClaimKind::Referral,
        id: id.to_string(),
        partner: Some(partner),
        product_lines,
        territories: Vec::new(),
        from: now,
        until: Some(days_after(now, settings.referral_days)),
        share: None,
        sold_as: None,
        is_opportunity: false,
        evidence: note.unwrap_or_else(|| "referred by the partner".to_owned()),
        hashes: sight.hashes().to_vec(),
        version: 1,
    };
    ops.push(store::put_record(id, &claim)?);
    ops.push(put_claim(&claim)?);
    let count = store::count_referral(program, partner, REFERRALS_A_DAY, now);
    let counted = Write::new(count, |_| ClaimError::DailyLimit);
    Ok(Change {
        value: claim,
        writes: std::iter::once(counted)
            .chain(ops.into_iter().map(moved))
            .collect(),
    })
}

/// A referral that has ended, from now on again; or one that stands, for further product lines too.
fn renewed(
    settings: &Settings,
    before: CustomerClaim,
    product_lines: Vec<String>,
    mut ops: Vec<Op>,
    now: Timestamp,
) -> Result<Change<CustomerClaim, ClaimError>, ClaimError> {
    let until = Some(days_after(now, settings.referral_days));
    let version = before.version + 1;
    let claim = if before.until.is_some_and(|until| until <= now) {
        CustomerClaim {
            product_lines,
            from: now,
            until,
            version,
            ..before
        }
    } else {
        let mut lines = before.product_lines.clone();
        lines.extend(product_lines.iter().cloned());
        lines.sort();
        lines.dedup();
        CustomerClaim {
            // Named for all of them, it is for all.
            product_lines: if product_lines.is_empty() {
                Vec::new()
            } else {
                lines
            },
            version,
            ..before
        }
    };
    ops.push(change_claim(&claim)?);
    Ok(Change {
        value: claim,
        writes: ops.into_iter().map(moved).collect(),
    })
}

async fn demand_partner(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<(), ClaimError> {
    let (record, enrolment) = futures_util::future::try_join(
        partners::partner(app, partner),
        partners::enrolment(app, partner, program),
    )
    .await?;
    let record = record.ok_or(ClaimError::NotEnrolled)?;
    if enrolment.is_none() {
        return Err(ClaimError::NotEnrolled);
    }
    if !record.status.may_earn() {
        return Err(ClaimError::PartnerSuspended);
    }
    Ok(())
}

/// An account's or referral's claim.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: ClaimId) -> Result<CustomerClaim, ClaimError> {
    store::find_record(&app.main, id)
        .await?
        .ok_or(ClaimError::NotFound(id))
}

/// Ends an account's or referral's claim now.
///
/// # Errors
/// `NotFound`, `Ended`, `Moved`, the table's.
pub async fn end(app: &App, id: ClaimId) -> Result<Change<CustomerClaim, ClaimError>, ClaimError> {
    let before = find(app, id).await?;
    let now = app.now();
    if before.until.is_some_and(|until| until <= now) {
        return Err(ClaimError::Ended);
    }
    let claim = CustomerClaim {
        // One that was to begin later never did.
        until: Some(now.max(before.from)),
        version: before.version + 1,
        ..before
    };
    let mut ops = vec![change_claim(&claim)?];
    if claim.kind == ClaimKind::Direct {
        ops.extend(store::unseen(&app.main, &claim, &claim.hashes).await?);
    }
    Ok(Change {
        value: claim,
        writes: ops.into_iter().map(moved).collect(),
    })
}

/// A page of a program's registered claims, newest first, and the position to go on from.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn list(
    app: &App,
    program: ProgramId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<CustomerClaim>, Option<String>), ClaimError> {
    demand_program(app, program).await?;
    Ok(store::page_of_claims(&app.main, program, below, limit).await?)
}

/// A page of a partner's referrals in a program, newest first, and the position to go on from.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn referrals(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<CustomerClaim>, Option<String>), ClaimError> {
    demand_program(app, program).await?;
    Ok(store::page_of_referrals(&app.main, program, partner, below, limit).await?)
}

/// About whom, when and what it is asked whose customer somebody is.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who it is.
    pub company: Company,
    /// At which moment; now unless told.
    pub at: Option<Timestamp>,
    /// For which product lines; none named means any.
    pub product_lines: Vec<String>,
    /// A coupon that was used.
    pub coupon: Option<String>,
    /// A click of the customer's.
    pub click: Option<ClickToken>,
    /// The keyed hash of the reference under which conversions of the customer are posted.
    pub reference: Option<String>,
}

/// Whose a customer is.
#[derive(Clone, Debug)]
pub struct Answer {
    /// At which moment.
    pub at: Timestamp,
    /// By which precedence.
    pub precedence: Vec<ClaimKind>,
    /// The customers that the identifiers are of.
    pub customers: Vec<CustomerId>,
    /// Who wins, and who does not and why.
    pub resolution: Resolution,
    /// Customers of alike names: a proposal, never a decision.
    pub similar: Vec<Similar>,
}

/// Answers whose customer somebody is, and why nobody else's. Two round trips where the program and its
/// partners are at hand: what the identifiers say, and what there is of these customers.
///
/// # Errors
/// `ProgramNotFound`, `ProductLineUnknown`, the table's.
pub async fn answer(app: &App, id: ProgramId, question: Question) -> Result<Answer, ClaimError> {
    let program = demand_program(app, id).await?;
    let settings = channel::settings(app, id).await?;
    let Question {
        company,
        at,
        product_lines,
        coupon,
        click,
        reference,
    } = question;
    demand_lines(&settings, &product_lines)?;
    let at = at.unwrap_or_else(|| app.now());
    let sight = look(app, id, &company, &product_lines).await?;
    let registered = sight
        .customers
        .iter()
        .map(|customer| claims_of(app, id, *customer));
    let (registered, clicks) = futures_util::future::try_join(
        futures_util::future::try_join_all(registered),
        stored_clicks(app, &program, reference.as_deref(), at),
    )
    .await?;
    let mut claims = Vec::new();
    for claim in each_once(registered) {
        let fault = match claim.partner {
            Some(partner) => plan_of(app, &program, partner, at).await?.err(),
            None => None,
        };
        claims.push((claim, fault));
    }
    if let Some(code) = coupon {
        let candidate = by_coupon(app, &program, &code, at).await?;
        claims.extend(unregistered(&program, candidate, at));
    }
    let own = click.map(|click| (click.link, click.at));
    for (link, clicked_at) in clicks.into_iter().chain(own) {
        let candidate = by_click(app, &program, link, clicked_at, at).await?;
        claims.extend(unregistered(&program, candidate, at));
    }
    let place = company.place.as_ref();
    let occasion = Occasion {
        at,
        product_lines: &product_lines,
        place: place.filter(|place: &&Place| !place.country.is_empty()),
    };
    Ok(Answer {
        at,
        precedence: settings.precedence.clone(),
        customers: sight.customers.clone(),
        resolution: resolve(&settings, claims, occasion),
        similar: sight.similar,
    })
}

/// The clicks that conversions of the customer named, where the program's first one counts.
async fn stored_clicks(
    app: &App,
    program: &Program,
    reference: Option<&str>,
    at: Timestamp,
) -> Result<Vec<(crate::ids::LinkId, Timestamp)>, crate::table::Error> {
    let (AttributionModel::FirstClick, Some(reference)) = (program.attribution.model, reference)
    else {
        return Ok(Vec::new());
    };
    let from = days_before(at, program.attribution.window_days);
    let to = minutes_after(at, CLOCK_SLACK_MINUTES);
    store::clicks(&app.main, program.id, reference, from, to).await
}

/// A click or coupon as a claim beside those that are registered, with why it does not hold.
fn unregistered(
    program: &Program,
    candidate: Candidate,
    at: Timestamp,
) -> Option<(CustomerClaim, Option<Unattributed>)> {
    let fault = fault(&candidate, program.attribution, at);
    let (id, from, until) = match candidate.evidence {
        Evidence::Click { link, at } => (
            link.to_string(),
            at,
            Some(days_after(at, program.attribution.window_days)),
        ),
        Evidence::Coupon { coupon } => (coupon.to_string(), at, None),
        Evidence::Decision { .. } | Evidence::Registered { .. } => return None,
    };
    let kind = candidate.evidence.kind()?;
    let claim = CustomerClaim {
        program: program.id,
        customer: CustomerId::from_bytes([0; 16]),
        kind,
        id,
        partner: candidate.source.map(|source| source.partner),
        product_lines: Vec::new(),
        territories: Vec::new(),
        // A click just after the moment counts as made at it.
        from: from.min(at),
        // Whether the window has passed is said by the fault.
        until: until.filter(|until| *until > at),
        share: None,
        sold_as: None,
        is_opportunity: false,
        evidence: match kind {
            ClaimKind::Click => "clicked on the partner's link".to_owned(),
            _ => "used the partner's coupon".to_owned(),
        },
        hashes: Vec::new(),
        version: 0,
    };
    Some((claim, fault))
}
