//! Merging two partner accounts: whoever has two is one from then on.
//!
//! One transaction makes the one account an alias of the other: from that moment conversions that its links, coupons,
//! deals and leads bring are the other's, who also reads all that was its. The rest follows, step by step and safe to
//! repeat: links, coupons and open deals change hands, leads are offered anew, and the balance moves as adjustments,
//! one of each partner, in two transactions of which the merge knows the first before it is made. What was earned,
//! paid, won or lost before stays where it is, and the payout method moves nowhere.

pub mod error;
pub mod model;
mod store;

use std::collections::BTreeSet;
use std::time::Duration;

use error::MergeError;
use model::{Following, Merge, Moving, PASSES, SETTLE_MINUTES};
use tokio::time::Instant;

use crate::clock::{Timestamp, minutes_after};
use crate::commissions::hand::{NewAdjustment, Series, adjust, is_pending};
use crate::edge::{App, Change, Write};
use crate::events::{self, Event, EventKind};
use crate::ids::{OperatorId, PartnerId};
use crate::leads::error::LeadError;
use crate::leads::{Listed as LeadsListed, Target};
use crate::ledger::store::accounts;
use crate::money::Money;
use crate::partners::error::PartnerError;
use crate::table::{Op, TransactError};
use crate::{deals, leads, partners, programs};

/// Programs of a partner that can be merged: as many places change hands in one transaction.
const MAX_PLACES: usize = 40;
/// Seconds after which a run begins no further step.
const RUN_SECONDS: u64 = 8;
/// Merges that one run of the clockwork goes on with.
const MAX_DUE: usize = 50;
/// Steps of one merge in one run; the next run goes on.
const MAX_STEPS: usize = 40;
/// Records of a step.
const PAGE: usize = 25;

/// Merges one partner into another, for good. The same again is answered with what stands.
///
/// # Errors
/// `NotFound`, `IntoUnknown`, `Itself`, `TooManyPlaces`, `Partner`, `Moved` (ask again), the table's.
pub async fn merge(
    app: &App,
    from: PartnerId,
    into: PartnerId,
    reason: String,
    by: OperatorId,
) -> Result<Change<Merge, MergeError>, MergeError> {
    if from == into {
        return Err(MergeError::Itself);
    }
    let found = async |id: PartnerId| match partners::find(app, id).await {
        Ok(known) => Ok(Some(known.partner)),
        Err(PartnerError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let (one, other) = futures_util::future::try_join(found(from), found(into)).await?;
    let one = one.ok_or(MergeError::NotFound(from))?;
    if one.merged_into == Some(into) {
        return Ok(Change {
            value: find(app, from).await?,
            writes: Vec::new(),
        });
    }
    let other = other.ok_or(MergeError::IntoUnknown(into))?;
    let (_, _, mut ops) = partners::merged(app, one, other).await?;
    // From the first moment on: what is credited to nobody because of a place that is missing stays nobody's.
    let (places, more) = partners::enrolments(app, from, None, MAX_PLACES).await?;
    if more.is_some() {
        return Err(MergeError::TooManyPlaces);
    }
    let mut forgets = vec![partners::partner_name(from), partners::partner_name(into)];
    let mut taken = 0;
    for place in &places {
        let writes = partners::inherit(app, place, into, true).await?;
        taken += u32::from(!writes.is_empty());
        ops.extend(writes);
        forgets.push(partners::enrolment_name(into, place.program));
    }
    let now = app.now();
    let merge = Merge::new(from, into, by, reason, now).with_places(taken);
    ops.push(store::save(&merge)?);
    let told = Event::new(app.fresh(), EventKind::PartnerMerged, from, now)
        .about_partner(from)
        .with("into", into)
        .with("operator", by);
    ops.push(events::put(&told)?);
    let writes = ops.into_iter();
    let mut writes: Vec<_> = writes
        .map(|op| Write::new(op, |_| MergeError::Moved))
        .collect();
    // One transaction: with any of its writes all stand.
    writes[0].forgets = forgets;
    Ok(Change {
        value: merge,
        writes,
    })
}

/// What became of the merge of a partner.
///
/// # Errors
/// `None`, the table's.
pub async fn find(app: &App, from: PartnerId) -> Result<Merge, MergeError> {
    store::find(&app.main, from).await?.ok_or(MergeError::None)
}

/// Goes on with the merges that have something due by `now`; how many steps were made. Each is a transaction on the
/// version that was read, or an adjustment that is made once.
///
/// # Errors
/// The first that any merge met, after all were tried. Safe to repeat.
pub async fn due(app: &App, now: Timestamp) -> Result<usize, MergeError> {
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS);
    let mut done = 0;
    let mut failed = None;
    for from in store::due(&app.main, now, MAX_DUE).await? {
        // Due is what the schedule's time says; done it is now.
        let now = now.max(app.now());
        match go_on(app, from, now, until).await {
            Ok(steps) => done += steps,
            Err(error) => {
                tracing::error!(%error, partner = %from, "a merge did not go on; it is tried again");
                failed = Some(error);
                put_back(app, from, now).await;
            }
        }
        if Instant::now() >= until {
            break;
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Lets a merge that failed wait, so that it keeps no other from going on.
async fn put_back(app: &App, from: PartnerId, now: Timestamp) {
    let put = async {
        if let Some(merge) = store::find(&app.main, from).await? {
            let op = store::save(&merge.rested(true, now))?;
            app.main
                .transact(&[op])
                .await
                .map_err(|error| match error {
                    TransactError::Table(error) => error.into(),
                    TransactError::Refused(_) => MergeError::Moved,
                })?;
        }
        Ok::<(), MergeError>(())
    };
    if let Err(error) = put.await {
        tracing::warn!(%error, partner = %from, "a merge that failed was not put back");
    }
}

async fn go_on(
    app: &App,
    from: PartnerId,
    now: Timestamp,
    until: Instant,
) -> Result<usize, MergeError> {
    for done in 0..MAX_STEPS {
        if done > 0 && Instant::now() >= until {
            return Ok(done);
        }
        let Some(merge) = store::find(&app.main, from).await? else {
            return Ok(done);
        };
        if merge.next_at > now {
            return Ok(done);
        }
        let after = step(app, &merge, now).await?;
        match app.main.transact(&[store::save(&after)?]).await {
            Ok(()) => {}
            // Another run was faster: that one goes on.
            Err(TransactError::Refused(_)) => return Ok(done),
            Err(TransactError::Table(error)) => return Err(error.into()),
        }
    }
    Ok(MAX_STEPS)
}

/// One step: what stands once it is made. Money goes first, once it may: nothing that cannot follow keeps it back.
async fn step(app: &App, merge: &Merge, now: Timestamp) -> Result<Merge, MergeError> {
    if let Some(moving) = &merge.moving {
        carry(app, merge, moving).await?;
        return Ok(merge.arrived()?);
    }
    let mut is_busy = true;
    if now >= minutes_after(merge.at, SETTLE_MINUTES) {
        let (moving, at_rest) = balance(app, merge).await?;
        if let Some(moving) = moving {
            return Ok(merge.with(moving));
        }
        is_busy = !at_rest;
    }
    if let Some((what, position)) = merge.following.clone() {
        let (count, position) = follow(app, merge, what, position, now).await?;
        return Ok(merge.after_page(what, count, position));
    }
    if now >= minutes_after(merge.at, SETTLE_MINUTES) && merge.passes < PASSES {
        return Ok(merge.once_more());
    }
    Ok(merge.rested(is_busy, now))
}

/// What of the partner's balance is payable and not the other's yet, in one program; and whether all of it is at rest.
/// Where the partner's payouts are on hold, or where a part that was taken before is not payable itself yet, nothing:
/// until then what is payable does not show it.
async fn balance(app: &App, merge: &Merge) -> Result<(Option<Moving>, bool), MergeError> {
    let from = merge.from;
    // Looked at before the balance, so that what becomes payable in between is in it.
    let mut pending = BTreeSet::new();
    for moved in &merge.moved {
        let names = (0..moved.parts).map(|number| merge.part(moved.program, number));
        if is_pending(app, Series::Merges, from, moved.program, names).await? {
            pending.insert(moved.program);
        }
    }
    let is_held = partners::payout_hold(app, from).await?.is_some();
    let to = partners::heir(app, from).await?;
    let accounts = accounts(&app.main, from).await?;
    let at_rest = accounts.iter().all(|account| {
        let balance = account.balance;
        (balance.pending, balance.payable, balance.in_transit) == (0, 0, 0)
    });
    for account in accounts {
        let program = account.id.program;
        if account.balance.payable == 0 || is_held || pending.contains(&program) {
            continue;
        }
        if partners::enrolment(app, to, program).await?.is_none() {
            tracing::error!(partner = %from, %program, "a balance cannot move: the other partner is not in the program");
            continue;
        }
        let amount = Money::new(account.balance.payable, account.id.currency);
        let moving = Moving {
            program,
            to,
            amount,
        };
        return Ok((Some(moving), at_rest));
    }
    Ok((None, at_rest))
}

/// Takes what is on its way from the one and gives it to the other: an adjustment of each, made once however often
/// this is repeated.
async fn carry(app: &App, merge: &Merge, moving: &Moving) -> Result<(), MergeError> {
    let Moving {
        program,
        to,
        amount,
    } = moving.clone();
    let adjustment_id = merge.part(program, merge.parts(program));
    let of = |partner, amount, reason| NewAdjustment {
        series: Series::Merges,
        adjustment_id: adjustment_id.clone(),
        program,
        partner,
        amount,
        reason,
        about: None,
    };
    let from = merge.from;
    let taken = of(
        from,
        amount.negated()?,
        format!("the balance went to {to} when this partner was merged into it"),
    );
    let _ = adjust(app, merge.by, taken).await?;
    let given = of(
        to,
        amount,
        format!("the balance of {from}, which was merged into this partner"),
    );
    let _ = adjust(app, merge.by, given).await?;
    Ok(())
}

/// A page of what follows: how much of it, and where it goes on.
async fn follow(
    app: &App,
    merge: &Merge,
    what: Following,
    position: Option<String>,
    now: Timestamp,
) -> Result<(u32, Option<String>), MergeError> {
    let (from, to) = (merge.from, partners::heir(app, merge.from).await?);
    let mut count = 0;
    let next = match what {
        Following::Enrolments => {
            let (found, next) = partners::enrolments(app, from, position, PAGE).await?;
            for enrolment in &found {
                // One that was made in the moment of the merge: nothing hangs off it yet.
                let ops = partners::inherit(app, enrolment, to, false).await?;
                if !ops.is_empty() {
                    count += commit(app, &ops).await?;
                    app.cache
                        .forget(&partners::enrolment_name(to, enrolment.program));
                }
            }
            next
        }
        Following::Links => {
            let (found, next) = programs::links(app, from, position, PAGE).await?;
            for link in found.into_iter().filter(|link| link.partner == from) {
                let id = link.id;
                count += commit(app, &[programs::inherit_link(link, to)?]).await?;
                programs::forget_link(app, id);
            }
            next
        }
        Following::Coupons => {
            let (found, next) = programs::coupons(app, from, position, PAGE).await?;
            for coupon in found.into_iter().filter(|coupon| coupon.partner == from) {
                let id = coupon.id;
                count += commit(app, &[programs::inherit_coupon(coupon, to)?]).await?;
                programs::forget_coupon(app, id);
            }
            next
        }
        Following::Deals => {
            let listed = deals::Listed::Partner(from);
            let (found, next) =
                deals::list(app, listed, deals::Filter::default(), position, PAGE).await?;
            for known in found.into_iter().filter(|known| known.deal.partner == from) {
                let ops = deals::inherit(app, &known, to, true, now).await?;
                if ops.is_empty() {
                    continue;
                }
                count += match commit(app, &ops).await {
                    // A slot that is not the deal's any more keeps the deal from nothing.
                    Err(MergeError::Moved) => {
                        let ops = deals::inherit(app, &known, to, false, now).await?;
                        commit(app, &ops).await?
                    }
                    done => done?,
                };
            }
            next
        }
        Following::Leads => {
            let listed = LeadsListed::Partner(from);
            let (found, next) = leads::list(app, listed, None, position, PAGE).await?;
            for known in found {
                let offer = known.lead.current();
                if offer.is_some_and(|offer| offer.partner == from) {
                    count += offered_anew(app, merge, &known.lead, to).await?;
                }
            }
            next
        }
    };
    Ok((count, next))
}

/// A lead is taken from the one and offered to the other, or routed on where that one may not have it.
async fn offered_anew(
    app: &App,
    merge: &Merge,
    lead: &leads::model::Lead,
    to: PartnerId,
) -> Result<u32, MergeError> {
    for target in [Target::Partner(to), Target::Routing] {
        let change = match leads::reassign(app, merge.by, lead.id, lead.version, target).await {
            Err(LeadError::Partner(PartnerError::Table(error))) => return Err(error.into()),
            Err(LeadError::Fault(_) | LeadError::Partner(_)) => continue,
            Err(LeadError::Stale) => return Err(MergeError::Moved),
            change => change?,
        };
        let ops: Vec<Op> = change.writes.into_iter().map(|write| write.op).collect();
        return commit(app, &ops).await;
    }
    Ok(0)
}

/// Writes it: 1. What changed at that moment is tried again with the whole page.
async fn commit(app: &App, ops: &[Op]) -> Result<u32, MergeError> {
    match app.main.transact(ops).await {
        Ok(()) => Ok(1),
        Err(TransactError::Refused(_)) => Err(MergeError::Moved),
        Err(TransactError::Table(error)) => Err(error.into()),
    }
}
