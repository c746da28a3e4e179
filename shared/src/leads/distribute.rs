//! Where a lead goes: to whoever has a claim to its customer, to whom the rules choose, to whom an operator
//! says, or to the vendor's queue; with the writes that make it so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::error::LeadError;
use super::model::{Actor, Count, Lead, MAX_OFFERS, Routing, Why};
use super::routing::{Candidate, Credits, Need, Past, Route, Routed, Rule, Strategy, Tally, route};
use super::store::{self, Listed, Standing};
use super::{event, moving, wire};
use crate::agreements;
use crate::agreements::model::Blocked;
use crate::channel;
use crate::channel::model::{ClaimKind, Profile, Settings};
use crate::claims::model::{Occasion, resolve};
use crate::claims::registry::{self, Sight};
use crate::clock::Timestamp;
use crate::edge::{App, Write};
use crate::events::{self, EventKind};
use crate::ids::{LeadId, PartnerId, ProgramId};
use crate::partners::model::PartnerStatus;
use crate::{partners, table};

/// Partners that the rules chose, one after the other, and who turned out not to be active: more are a matter for
/// an operator.
const MAX_BARRED: usize = 200;

/// Where a lead is to go.
pub(super) enum Onward {
    /// To the holder of a claim, or to whom the rules choose.
    Route,
    /// To that partner, for that reason.
    To(PartnerId, Why),
    /// To the vendor's queue.
    Queue,
}

/// Somebody with a claim to a lead's customer.
struct Holder {
    kind: ClaimKind,
    id: String,
    partner: Option<PartnerId>,
}

/// The lead at its next place, and the writes beside its own: what partners did with leads after these counts and
/// this offer, whose turn it is, the explanation, the lists and the event.
pub(super) async fn onward(
    app: &App,
    now: Timestamp,
    settings: &Settings,
    lead: Lead,
    sight: Option<&Sight>,
    mut counts: Vec<(PartnerId, Count)>,
    to: Onward,
) -> Result<(Lead, Vec<Write<LeadError>>), LeadError> {
    let routing = super::routing(app, lead.program).await?;
    let mut turns = None;
    let (place, said, standing) = match to {
        Onward::Queue => {
            let standing = standing_of(app, &lead, &counts, None).await?;
            (None, json!({ "by": "operator", "choice": null }), standing)
        }
        Onward::To(partner, why) => {
            let standing = standing_of(app, &lead, &counts, Some(partner)).await?;
            let said = json!({ "by": "operator", "choice": partner.to_string() });
            (Some((partner, why)), said, standing)
        }
        Onward::Route => match holder(app, settings, &lead, sight, now).await? {
            Some(holder) => {
                let Holder { kind, id, partner } = holder;
                let open = partner.filter(|partner| !lead.past().contains_key(partner));
                let said = json!({
                    "by": "claim", "claim": kind.name(), "holder": id,
                    "partner": partner.map(|partner| partner.to_string()),
                    "choice": open.map(|partner| partner.to_string()),
                });
                let standing = standing_of(app, &lead, &counts, open).await?;
                let why = Why::Claim { kind, holder: id };
                (open.map(|partner| (partner, why)), said, standing)
            }
            None => {
                let (route, standing) = choose(app, now, &routing, &lead).await?;
                let Route {
                    routed,
                    turns: after,
                } = route;
                turns = after;
                let said = wire::routed_json(&routed);
                let rule = routed.tried.last().map(|tried| tried.rule.clone());
                let place = routed.choice.zip(rule.map(Why::Rule));
                (place, said, standing)
            }
        },
    };
    let (lead, told) = match place {
        Some((partner, why)) => {
            counts.push((partner, Count::Offered));
            let respond_by = routing.respond_by(now);
            let lead = lead.offered(partner, why, respond_by, now);
            let told = event(app, EventKind::LeadOffered, &lead, now)
                .about_partner(partner)
                .with("respond_by", respond_by)
                .with("offer", lead.offers.len());
            (lead, told)
        }
        None => {
            let by = match said["by"].as_str() {
                Some("operator") => Actor::Vendor,
                _ => Actor::System,
            };
            let lead = lead.queued(by, now);
            let told = event(app, EventKind::LeadQueued, &lead, now).with(
                "reason",
                match said["by"].as_str() {
                    Some("operator") => "operator",
                    Some("claim") => "claimed",
                    _ => "no_partner",
                },
            );
            (lead, told)
        }
    };
    let mut ops = vec![
        store::mark_changed(&lead),
        store::put_explanation(lead.id, lead.steps.len(), &said, now)?,
        events::put(&told)?,
    ];
    if let Some(offer) = lead.current() {
        ops.push(store::list_offer(lead.id, offer.partner, now));
    }
    ops.extend(standing.save_tallies(&after(&standing, &counts))?);
    if let Some((rule, credits)) = &turns {
        ops.extend(standing.save_turns(rule, credits)?);
    }
    Ok((lead, moving(ops).collect()))
}

/// The tallies that change, after these counts.
fn after(standing: &Standing, counts: &[(PartnerId, Count)]) -> BTreeMap<PartnerId, Tally> {
    let mut changed = BTreeMap::new();
    for (partner, count) in counts {
        let tally = changed
            .entry(*partner)
            .or_insert_with(|| standing.tally(*partner));
        *tally = count.applied(*tally);
    }
    changed
}

/// The writes of what partners did with leads after these counts.
pub(super) async fn tallied(
    app: &App,
    lead: &Lead,
    counts: Vec<(PartnerId, Count)>,
) -> Result<Vec<Write<LeadError>>, LeadError> {
    let standing = standing_of(app, lead, &counts, None).await?;
    let ops = standing.save_tallies(&after(&standing, &counts))?;
    Ok(moving(ops).collect())
}

/// How those stand who are counted, and somebody else.
async fn standing_of(
    app: &App,
    lead: &Lead,
    counts: &[(PartnerId, Count)],
    and: Option<PartnerId>,
) -> Result<Standing, table::Error> {
    let of: Vec<PartnerId> = counts
        .iter()
        .map(|(partner, _)| *partner)
        .chain(and)
        .collect();
    store::standing(&app.main, lead.program, Some(&of), &[]).await
}

/// Whoever has the strongest claim to a lead's customer now: by a registered claim, or, where it was looked up, by
/// what is held of its identifiers, as by a deal that is being decided. A partner who is not active holds nothing.
async fn holder(
    app: &App,
    settings: &Settings,
    lead: &Lead,
    sight: Option<&Sight>,
    now: Timestamp,
) -> Result<Option<Holder>, table::Error> {
    let program = lead.program;
    let slots = sight.map_or(&[][..], |sight| &sight.slots);
    let mut found: Vec<Holder> = slots
        .iter()
        .filter(|slot| slot.kind != ClaimKind::Lead)
        .map(|slot| Holder {
            kind: slot.kind,
            id: slot.holder.clone(),
            partner: slot.partner,
        })
        .collect();
    let registered = match sight {
        Some(sight) => match sight.customers.first() {
            Some(customer) => registry::claims_of(app, program, *customer).await?,
            None => Vec::new(),
        },
        None => registry::claims_to(app, program, &lead.hashes).await?,
    };
    if !registered.is_empty() {
        let own = lead.id.to_string();
        let mut claims = Vec::new();
        for claim in registered {
            let is_own = claim.kind == ClaimKind::Lead && claim.id.starts_with(&own);
            let is_active = match claim.partner {
                Some(partner) => is_active(app, program, partner).await?,
                None => true,
            };
            if !is_own && is_active {
                claims.push((claim, None));
            }
        }
        let occasion = Occasion {
            at: now,
            product_lines: &lead.inquiry.product_lines,
            place: lead.inquiry.company.place.as_ref(),
        };
        let winners = resolve(settings, claims, occasion).winners;
        found.extend(winners.into_iter().take(1).map(|claim| Holder {
            kind: claim.kind,
            id: claim.id,
            partner: claim.partner,
        }));
    }
    // Of equal ones a registered claim, which was decided; it stands behind.
    found.reverse();
    found.sort_by_key(|holder| settings.rank(holder.kind));
    for mut holder in found {
        let is_active = match holder.partner {
            Some(partner) => {
                // A slot that has not changed hands yet, of one that was merged into another.
                let partner = partners::heir(app, partner).await?;
                holder.partner = Some(partner);
                is_active(app, program, partner).await?
            }
            None => true,
        };
        if is_active {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

/// Whether a partner can be offered leads of a program: active, and enrolled. Both come from the cache.
async fn is_active(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<bool, table::Error> {
    let (record, enrolment) = futures_util::future::try_join(
        partners::partner(app, partner),
        partners::enrolment(app, partner, program),
    )
    .await?;
    let is_active = record.is_some_and(|record| record.status == PartnerStatus::Active);
    Ok(is_active && enrolment.is_some())
}

/// Whether a partner that the rules choose may be offered leads: active, and without terms of the program that
/// block them until it accepts.
async fn may_take(app: &App, program: ProgramId, partner: PartnerId) -> Result<bool, table::Error> {
    if !is_active(app, program, partner).await? {
        return Ok(false);
    }
    Ok(!agreements::block(app, program, partner, Blocked::Leads).await?)
}

/// The rules that go in turn and are for a lead: whose turn it is under them has to be known.
fn in_turn<'a>(rules: &'a [Rule], need: &Need) -> Vec<&'a str> {
    rules
        .iter()
        .filter(|rule| rule.strategy == Strategy::RoundRobin && rule.when.hold(need))
        .map(|rule| rule.code.as_str())
        .collect()
}

/// Who a program's rules choose for a lead now. The roster is cached; the tallies and the turns are one read.
async fn choose(
    app: &App,
    now: Timestamp,
    routing: &Routing,
    lead: &Lead,
) -> Result<(Route, Standing), LeadError> {
    let need = lead.inquiry.need();
    let rules: &[Rule] = match lead.offers.len() < MAX_OFFERS {
        true => &routing.rules,
        false => &[],
    };
    let turns = in_turn(rules, &need);
    let (roster, standing) = futures_util::future::try_join(
        channel::roster(app, lead.program),
        store::standing(&app.main, lead.program, None, &turns),
    )
    .await?;
    let mut desk = Desk::new(app, now, lead.program, roster);
    let route = desk
        .route(rules, &need, &lead.past(), &standing, standing.turns())
        .await?;
    Ok((route, standing))
}

/// Routes leads of a program over its roster, and remembers who on it turned out not to be active: that is looked
/// up of the one who is chosen, never of all.
struct Desk<'a> {
    app: &'a App,
    now: Timestamp,
    program: ProgramId,
    roster: Arc<Vec<Profile>>,
    barred: BTreeSet<PartnerId>,
}

impl<'a> Desk<'a> {
    fn new(app: &'a App, now: Timestamp, program: ProgramId, roster: Arc<Vec<Profile>>) -> Self {
        Self {
            app,
            now,
            program,
            roster,
            barred: BTreeSet::new(),
        }
    }

    async fn route(
        &mut self,
        rules: &[Rule],
        need: &Need,
        past: &BTreeMap<PartnerId, Past>,
        standing: &Standing,
        credits: &BTreeMap<String, Credits>,
    ) -> Result<Route, LeadError> {
        let now = self.now;
        let roster = Arc::clone(&self.roster);
        let mut all: Vec<Candidate<'_>> = roster
            .iter()
            .map(|profile| Candidate {
                barred: self.barred.contains(&profile.partner),
                ..candidate(profile, standing.tally(profile.partner), now)
            })
            .collect();
        loop {
            let found = route(rules, need, &all, past, credits);
            let Some(chosen) = found.routed.choice else {
                return Ok(found);
            };
            if may_take(self.app, self.program, chosen).await? {
                return Ok(found);
            }
            self.barred.insert(chosen);
            for candidate in all.iter_mut().filter(|one| one.partner == chosen) {
                candidate.barred = true;
            }
            if self.barred.len() >= MAX_BARRED {
                return Ok(stopped(route(rules, need, &all, past, credits)));
            }
        }
    }
}

/// A decision of which nobody is asked any more whether he can take the lead: it keeps who was found eligible and who
/// was not, and goes to nobody.
fn stopped(found: Route) -> Route {
    let Route { routed, turns: _ } = found;
    Route {
        routed: Routed {
            stopped_after: routed.choice.map(|_| MAX_BARRED),
            choice: None,
            ..routed
        },
        turns: None,
    }
}

/// A profile as routing sees it, at that moment.
#[must_use]
pub fn candidate(profile: &Profile, tally: Tally, now: Timestamp) -> Candidate<'_> {
    let Profile {
        program: _,
        partner,
        tier,
        certifications,
        product_lines,
        territories,
        languages,
        max_open_leads,
        weight,
        location,
        working_hours,
        updated_at: _,
        version: _,
    } = profile;
    Candidate {
        partner: *partner,
        barred: false,
        tier: tier.as_deref(),
        certifications,
        product_lines,
        territories,
        languages,
        max_open: *max_open_leads,
        weight: *weight,
        location: location.as_ref(),
        // Who has told no hours is there at any.
        at_work: working_hours
            .as_ref()
            .is_none_or(|hours| hours.is_open(now)),
        tally,
    }
}

/// A lead in a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The lead.
    pub lead: LeadId,
    /// When it came in.
    pub received_at: Timestamp,
    /// To whom it was offered first.
    pub was: Option<PartnerId>,
    /// To whom it would be.
    pub would: Option<PartnerId>,
    /// By which rule.
    pub rule: Option<String>,
}

/// What rules would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// The leads, in the order in which they came in.
    pub leads: Vec<Placed>,
    /// How many each partner was offered first, and how many it would have been; of `None`, nobody.
    pub partners: BTreeMap<Option<PartnerId>, (usize, usize)>,
}

/// What rules would have done to a program's last leads, had they stood from the first of these on: with the
/// partners as they are described now, the leads they have open now, and nobody's turn before another's. Claims
/// are left aside: rules do not change them.
///
/// # Errors
/// `ProgramNotFound`, `Unknown`, the table's.
pub async fn simulate(
    app: &App,
    program: ProgramId,
    rules: &[Rule],
    last: usize,
) -> Result<Simulation, LeadError> {
    super::demand_program(app, program).await?;
    super::demand_known(app, program, rules).await?;
    let (ids, _) = store::page(&app.main, Listed::Program(program), None, last).await?;
    let (leads, roster) = futures_util::future::try_join(
        store::find_many(&app.main, &ids),
        channel::roster(app, program),
    )
    .await?;
    let standing = store::standing(&app.main, program, None, &[]).await?;
    let mut desk = Desk::new(app, app.now(), program, roster);
    let mut credits = BTreeMap::new();
    let mut simulation = Simulation::default();
    let nothing = BTreeMap::new();
    for (lead, _) in leads.into_iter().rev() {
        let need = lead.inquiry.need();
        let found = desk
            .route(rules, &need, &nothing, &standing, &credits)
            .await?;
        credits.extend(found.turns);
        let would = found.routed.choice;
        let rule = found.routed.tried.last().map(|tried| tried.rule.clone());
        let was = lead.offers.first().map(|offer| offer.partner);
        simulation.partners.entry(was).or_default().0 += 1;
        simulation.partners.entry(would).or_default().1 += 1;
        simulation.leads.push(Placed {
            lead: lead.id,
            received_at: lead.received_at,
            was,
            would,
            rule: rule.filter(|_| would.is_some()),
        });
    }
    Ok(simulation)
}
