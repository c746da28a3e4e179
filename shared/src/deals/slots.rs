//! The slots of a customer that deals hold: which are whose, and how they pass on.
//!
//! A line of a deal is guarded whole or not at all: where another deal holds it for any of the customer's
//! identifiers, it is that one's.

use super::error::DealError;
use super::model::{Deal, Held, State};
use super::{store, write};
use crate::channel::model::ClaimKind;
use crate::claims::model::{EVERY_LINE, Slot};
use crate::claims::registry::{self, Hold};
use crate::clock::Timestamp;
use crate::edge::{App, Write};
use crate::ids::DealId;

/// What stands of the slots that a deal wants, and of those that another one has which ends.
///
/// # Errors
/// The table's.
pub(super) async fn standing(
    app: &App,
    deal: &Deal,
    from: Option<&Deal>,
) -> Result<Vec<Slot>, DealError> {
    let mut hashes = deal.identifiers.clone();
    let mut lines = registry::lines(&deal.subject.product_lines);
    if let Some(held) = from.and_then(|from| from.held.as_ref()) {
        let more = |one: &&String| !deal.identifiers.contains(one);
        hashes.extend(held.identifiers.iter().filter(more).cloned());
        let others = registry::lines(&held.product_lines).into_iter();
        let others: Vec<String> = others.filter(|line| !lines.contains(line)).collect();
        lines.extend(others);
    }
    let mut slots = registry::standing(app, deal.program, &hashes, &lines).await?;
    slots.retain(|slot| slot.kind == ClaimKind::Deal);
    Ok(slots)
}

/// Another deal that holds something of what a deal wants.
pub(super) fn other(deal: &Deal, standing: &[Slot]) -> Option<DealId> {
    let own = deal.id.to_string();
    let lines = registry::lines(&deal.subject.product_lines);
    let wanted =
        |slot: &&Slot| slot.product_line == EVERY_LINE || lines.contains(&slot.product_line);
    let mut theirs = standing.iter().filter(wanted);
    theirs.find_map(|slot| match slot.holder == own {
        true => None,
        false => slot.holder.parse().ok(),
    })
}

/// The slots that become a deal's, with the writes that make them so.
pub(super) struct Guard {
    /// What it holds then.
    pub held: Option<Held>,
    /// The writes.
    pub writes: Vec<Write<DealError>>,
}

/// A deal's hold on one slot.
fn hold<'a>(hash: &'a String, line: &'a String, of: &Deal, id: &'a str) -> Hold<'a> {
    Hold {
        program: of.program,
        kind: ClaimKind::Deal,
        holder: id,
        partner: Some(of.partner),
        hashes: std::slice::from_ref(hash),
        product_lines: std::slice::from_ref(line),
    }
}

/// Brings the slots of a deal's product lines under it until then: its own are kept, those of `from`, which ends,
/// pass on, and free ones are taken. What else `from` holds is given back.
///
/// # Errors
/// Never for well-formed deals.
pub(super) fn guard(
    deal: &Deal,
    from: Option<&Deal>,
    standing: &[Slot],
    until: Timestamp,
    now: Timestamp,
) -> Result<Guard, DealError> {
    let own = deal.id.to_string();
    let giver = from.map(|from| from.id.to_string());
    let holder = |hash: &str, line: &str| {
        let slot = standing
            .iter()
            .find(|slot| slot.identifier == hash && slot.product_line == line);
        slot.map(|slot| slot.holder.as_str())
    };
    let is_anothers = |line: &str| {
        standing.iter().any(|slot| {
            (slot.product_line == line || slot.product_line == EVERY_LINE)
                && deal.identifiers.contains(&slot.identifier)
                && slot.holder != own
                && Some(&slot.holder) != giver.as_ref()
        })
    };
    let mut ops = Vec::new();
    let mut guarded = Vec::new();
    for line in registry::lines(&deal.subject.product_lines) {
        let left = is_anothers(&line);
        for hash in &deal.identifiers {
            let mine = hold(hash, &line, deal, &own);
            match (holder(hash, &line), left) {
                (Some(id), false) if id == own => ops.extend(mine.keep(until)),
                (Some(id), true) if id == own => ops.extend(mine.give_back(now)),
                (None, false) => ops.extend(mine.take(until, now)?),
                (Some(_), false) => {
                    if let (Some(from), Some(giver)) = (from, &giver) {
                        let theirs = hold(hash, &line, from, giver);
                        ops.extend(theirs.pass(&own, deal.partner, until));
                    }
                }
                (_, true) => {}
            }
        }
        if !left {
            guarded.push(line);
        }
    }
    if let (Some(from), Some(giver)) = (from, &giver) {
        for slot in standing.iter().filter(|slot| slot.holder == *giver) {
            let passed =
                deal.identifiers.contains(&slot.identifier) && guarded.contains(&slot.product_line);
            if !passed {
                let rest = hold(&slot.identifier, &slot.product_line, from, giver);
                ops.extend(rest.give_back(now));
            }
        }
    }
    let held = (!guarded.is_empty()).then(|| Held {
        identifiers: deal.identifiers.clone(),
        product_lines: match deal.subject.product_lines.is_empty() {
            true => Vec::new(),
            false => guarded,
        },
        until,
    });
    Ok(Guard {
        held,
        writes: ops.into_iter().map(write).collect(),
    })
}

/// The approved deal of the same customer that is protected after one that ends, the earliest: it had less, or
/// nothing, of the slots that are free then.
///
/// # Errors
/// The table's.
pub(super) async fn heir(
    app: &App,
    before: &Deal,
    but: Option<DealId>,
    now: Timestamp,
) -> Result<Option<Deal>, DealError> {
    let (Some(customer), Some(held)) = (before.customer, &before.held) else {
        return Ok(None);
    };
    let mut claims = registry::claims_of(app, before.program, customer).await?;
    claims.retain(|claim| {
        claim.kind == ClaimKind::Deal && claim.until.is_none_or(|until| until > now)
    });
    claims.sort_by_key(|claim| (claim.from, claim.id.clone()));
    let ids: Vec<DealId> = claims
        .iter()
        .filter_map(|claim| claim.id.parse().ok())
        .filter(|id| *id != before.id && Some(*id) != but)
        .take(MAX_HEIRS)
        .collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let lines = registry::lines(&held.product_lines);
    let found = store::find_many(&app.main, &ids).await?.into_iter();
    let mut found = found.map(|(deal, _)| deal);
    Ok(found.find(|deal| {
        let grant = deal.grant.as_ref();
        deal.state == State::Approved
            && grant.is_some_and(|grant| grant.until > now)
            && registry::lines(&deal.subject.product_lines)
                .iter()
                .any(|line| lines.contains(line))
    }))
}

/// Deals of a customer that are looked at for whom its slots pass on to.
const MAX_HEIRS: usize = 10;

/// The writes by which a deal that ends leaves its slots to whoever is protected after it, or gives them back. The
/// other deal that they pass on to is changed by its own writes.
///
/// # Errors
/// The table's.
pub(super) async fn leave(
    app: &App,
    before: &Deal,
    but: Option<DealId>,
    now: Timestamp,
) -> Result<Vec<Write<DealError>>, DealError> {
    let Some(held) = &before.held else {
        return Ok(Vec::new());
    };
    let Some(heir) = heir(app, before, but, now).await? else {
        if held.until <= now {
            return Ok(Vec::new());
        }
        let given = super::hold(before, held).give_back(now);
        return Ok(given.into_iter().map(write).collect());
    };
    let until = heir.grant.as_ref().map_or(now, |grant| grant.until);
    let standing = standing(app, &heir, Some(before)).await?;
    let Guard { held, mut writes } = guard(&heir, Some(before), &standing, until, now)?;
    let holding = heir.holding(held);
    writes.extend(store::change(&heir, &holding)?.into_iter().map(write));
    Ok(writes)
}
