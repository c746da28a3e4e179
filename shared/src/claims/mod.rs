//! Claims: whose customer a conversion's is, and why. What is a partner's that was merged into another is the
//! other's.

pub mod error;
pub mod model;
pub mod records;
pub mod registry;
mod store;

use std::sync::Arc;

use model::{
    CLOCK_SLACK_MINUTES, Candidate, Claim, CustomerClaim, Evidence, Occasion, Right, Ruling,
    Source, Unattributed, attribute,
};

use crate::channel::model::Settings;
use crate::clock::{Timestamp, days_before, minutes_after};
use crate::edge::App;
use crate::ids::{DealId, LinkId, PartnerId};
use crate::places::Place;
use crate::plans::model::{AssignedBy, PlanVersion, version_at};
use crate::programs::model::{AttributionModel, Coupon, Link, Program};
use crate::table::{Error, Refusal, Stored, TransactError};
use crate::tracking::model::{Credited, Facts, Word};
use crate::{channel, partners, programs};

/// A ruling, and the plan version that pays the winner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who, why, and who not.
    pub ruling: Ruling,
    /// The version in force when the event occurred; there is one whenever there is a winner.
    pub plan: Option<Arc<PlanVersion>>,
    /// Whose assignment named its plan.
    pub assigned_by: Option<AssignedBy>,
}

/// Rules on a conversion. What a deal is credited with is noted by it. Where the first click of a customer counts, the
/// conversion's own is recorded
/// before the others are read, so that of two rulings at once the later one sees both.
///
/// All but a customer's claims comes from the caches. Errors: the table's; safe to repeat.
///
/// # Errors
/// The table's.
pub async fn rule(app: &App, program: &Program, facts: &Facts) -> Result<Verdict, Error> {
    weigh(app, program, facts, true).await
}

/// Rules as [`rule`] would, recording nothing.
///
/// # Errors
/// The table's.
pub async fn foresee(app: &App, program: &Program, facts: &Facts) -> Result<Verdict, Error> {
    weigh(app, program, facts, false).await
}

async fn weigh(
    app: &App,
    program: &Program,
    facts: &Facts,
    record: bool,
) -> Result<Verdict, Error> {
    let mut candidates = Vec::new();
    if let Some(credited) = facts.credited_to {
        candidates.push(by_word(app, program, credited, facts.occurred_at).await?);
    } else {
        if let Some(code) = &facts.coupon {
            candidates.push(by_coupon(app, program, code, facts.occurred_at).await?);
        }
        for (link, at) in clicks(app, program, facts, record).await? {
            candidates.push(by_click(app, program, link, at, facts.occurred_at).await?);
        }
        for claim in registered(app, program, facts).await? {
            candidates.push(by_registered(app, program, claim, facts.occurred_at).await?);
        }
    }
    // One claim wins or falls by itself, whatever the program puts first.
    let settings = match candidates.len() {
        0 | 1 => Arc::new(Settings::unsaid(program.id)),
        _ => channel::settings(app, program.id).await?,
    };
    let ruling = attribute(
        program.attribution,
        &settings,
        facts.occurred_at,
        candidates,
    );
    if record && facts.credited_to.is_none() && note_sold(app, facts, &ruling).await? {
        // Whoever won the deal before that was noted has said as which conversion it is paid; whoever wins it from
        // now on sees the note.
        let standing = registered(app, program, facts).await?;
        let stands = |deal| {
            standing
                .iter()
                .any(|(_, right)| *right == Right::Deal(deal))
        };
        if !sold_by(&ruling).all(stands) {
            return Box::pin(weigh(app, program, facts, record)).await;
        }
    }
    let payer = match &ruling.winner {
        Some(Claim {
            partner: Some(partner),
            evidence,
            ..
        }) => {
            let link = match evidence {
                Evidence::Click { link, .. } => programs::link(app, *link).await?,
                Evidence::Coupon { .. }
                | Evidence::Decision { .. }
                | Evidence::Registered { .. } => None,
            };
            plan(app, program, *partner, link.as_deref(), facts.occurred_at)
                .await?
                .ok()
        }
        _ => None,
    };
    let (plan, assigned_by) = payer.unzip();
    Ok(Verdict {
        ruling,
        plan,
        assigned_by,
    })
}

/// The deals that a conversion is credited because of.
fn sold_by(ruling: &Ruling) -> impl Iterator<Item = DealId> {
    let claims = ruling.winner.iter().chain(&ruling.beside);
    claims.filter_map(|claim| match claim.evidence {
        Evidence::Registered {
            right: Right::Deal(deal),
            ..
        } => Some(deal),
        _ => None,
    })
}

/// Notes a conversion by the deals that it is credited because of, before it is: whoever wins one of them sees what
/// its customer has bought. Whether there are any.
async fn note_sold(app: &App, facts: &Facts, ruling: &Ruling) -> Result<bool, Error> {
    let mut any = false;
    for deal in sold_by(ruling) {
        any = true;
        let note = store::note_sold(deal, facts.id, app.now())?;
        match app.main.transact(&note).await {
            Ok(()) => {}
            // It stands already.
            Err(TransactError::Refused(refusals))
                if matches!(refusals.first(), Some(Refusal::Condition(_))) => {}
            Err(TransactError::Refused(_)) => {
                return Err(Error::Busy("a deal's notes keep changing".to_owned()));
            }
            Err(TransactError::Table(error)) => return Err(error),
        }
    }
    Ok(any)
}

/// The clicks that speak for a conversion: its own, and with it, where the first one counts, the
/// customer's others in the window.
async fn clicks(
    app: &App,
    program: &Program,
    facts: &Facts,
    record: bool,
) -> Result<Vec<(LinkId, Timestamp)>, Error> {
    let own = facts.click.map(|click| (click.link, click.at));
    let (AttributionModel::FirstClick, Some(customer)) =
        (program.attribution.model, &facts.customer)
    else {
        return Ok(own.into_iter().collect());
    };
    if let (Some((link, at)), true) = (own, record) {
        let put = store::put(program.id, customer, link, at)?;
        match app.main.put_new(put).await? {
            Stored::New | Stored::Already(_) => {}
        }
    }
    let from = days_before(facts.occurred_at, program.attribution.window_days);
    let to = minutes_after(facts.occurred_at, CLOCK_SLACK_MINUTES);
    let mut clicks = store::clicks(&app.main, program.id, customer, from, to).await?;
    clicks.extend(own);
    Ok(clicks)
}

/// The registered claims to a conversion's customer that hold when it occurs, whatever their partners' standing.
async fn registered(
    app: &App,
    program: &Program,
    facts: &Facts,
) -> Result<Vec<(CustomerClaim, Right)>, Error> {
    if facts.identifiers.is_empty() {
        return Ok(Vec::new());
    }
    let (settings, claims) = futures_util::future::try_join(
        channel::settings(app, program.id),
        registry::claims_to(app, program.id, &facts.identifiers),
    )
    .await?;
    // A product that is no product line says nothing of which one was bought.
    let product_lines: Vec<String> = facts
        .product
        .iter()
        .filter(|product| settings.product_lines.contains(product))
        .cloned()
        .collect();
    let place = facts.country.as_ref().map(|country| Place {
        country: country.clone(),
        region: None,
        postcode: None,
        at: None,
    });
    let occasion = Occasion {
        at: facts.occurred_at,
        product_lines: &product_lines,
        place: place.as_ref(),
    };
    let holding = claims.into_iter().filter_map(|claim| {
        let right = Right::of(claim.kind, &claim.id)?;
        // What was paid by the word of whoever won the deal is not paid again as it is posted.
        if claim.sold_as.is_some_and(|sold| sold != facts.id) {
            return None;
        }
        model::invalid(&settings, &claim, occasion, None)
            .is_none()
            .then_some((claim, right))
    });
    Ok(holding.collect())
}

async fn by_registered(
    app: &App,
    program: &Program,
    (claim, right): (CustomerClaim, Right),
    occurred_at: Timestamp,
) -> Result<Candidate, Error> {
    let source = match claim.partner {
        None => None,
        Some(partner) => Some(Source {
            partner,
            disabled_at: None,
            partner_fault: plan_of(app, program, partner, occurred_at).await?.err(),
        }),
    };
    Ok(Candidate {
        evidence: Evidence::Registered {
            right,
            since: claim.from,
        },
        source,
        share: claim.share,
    })
}

async fn by_word(
    app: &App,
    program: &Program,
    credited: Credited,
    occurred_at: Timestamp,
) -> Result<Candidate, Error> {
    let Credited { partner, word } = credited;
    let partner = partners::heir(app, partner).await?;
    let source = Source {
        partner,
        disabled_at: None,
        partner_fault: plan_of(app, program, partner, occurred_at).await?.err(),
    };
    Ok(Candidate {
        evidence: match word {
            Word::Dispute(dispute) => Evidence::Decision { dispute },
            Word::Deal(deal) => Evidence::Registered {
                right: Right::Deal(deal),
                since: occurred_at,
            },
            Word::Lead(lead) => Evidence::Registered {
                right: Right::Lead(lead),
                since: occurred_at,
            },
        },
        source: Some(source),
        share: None,
    })
}

async fn by_coupon(
    app: &App,
    program: &Program,
    code: &str,
    occurred_at: Timestamp,
) -> Result<Candidate, Error> {
    let found = programs::coupon(app, program.id, code).await?;
    let source = match &found {
        None => None,
        Some(coupon) => {
            let partner = partners::heir(app, coupon.partner).await?;
            Some(Source {
                partner,
                disabled_at: coupon.disabled_at,
                partner_fault: plan(app, program, partner, None, occurred_at).await?.err(),
            })
        }
    };
    let coupon = Coupon::id_of(program.id, code);
    Ok(Candidate {
        evidence: Evidence::Coupon { coupon },
        source,
        share: None,
    })
}

async fn by_click(
    app: &App,
    program: &Program,
    link: LinkId,
    at: Timestamp,
    occurred_at: Timestamp,
) -> Result<Candidate, Error> {
    let found = programs::link(app, link)
        .await?
        .filter(|link| link.program == program.id);
    let source = match &found {
        None => None,
        Some(link) => {
            let partner = partners::heir(app, link.partner).await?;
            Some(Source {
                partner,
                disabled_at: link.disabled_at,
                partner_fault: plan(app, program, partner, Some(link), occurred_at)
                    .await?
                    .err(),
            })
        }
    };
    Ok(Candidate {
        evidence: Evidence::Click { link, at },
        source,
        share: None,
    })
}

/// The plan version that pays a partner for an event of that time that no link brought, or why none does.
///
/// # Errors
/// The table's.
pub async fn plan_of(
    app: &App,
    program: &Program,
    partner: PartnerId,
    occurred_at: Timestamp,
) -> Result<Result<Arc<PlanVersion>, Unattributed>, Error> {
    let found = plan(app, program, partner, None, occurred_at).await?;
    Ok(found.map(|(version, _)| version))
}

/// The plan version that pays a partner for an event of that time which is ruled its own, whatever its standing has
/// become since, with whose assignment names it; `None` where no plan was in force.
///
/// # Errors
/// The table's.
pub async fn paying(
    app: &App,
    program: &Program,
    partner: PartnerId,
    occurred_at: Timestamp,
) -> Result<Option<(Arc<PlanVersion>, AssignedBy)>, Error> {
    let enrolment = partners::enrolment(app, partner, program.id).await?;
    let assigned = model::assigned(None, enrolment.as_deref(), program, occurred_at);
    let Some((code, assigned_by)) = assigned else {
        return Ok(None);
    };
    let versions = programs::plan_versions(app, program.id, code).await?;
    let version = versions
        .as_deref()
        .and_then(|versions| version_at(versions, occurred_at));
    Ok(version.map(|version| (Arc::new(version.clone()), assigned_by)))
}

/// The plan version that pays a partner for an event of that time, brought by a link or not, with whose
/// assignment names the plan; or why none does.
async fn plan(
    app: &App,
    program: &Program,
    partner: PartnerId,
    link: Option<&Link>,
    occurred_at: Timestamp,
) -> Result<Result<(Arc<PlanVersion>, AssignedBy), Unattributed>, Error> {
    let record = partners::partner(app, partner).await?;
    let enrolment = partners::enrolment(app, partner, program.id).await?;
    let assigned = model::assigned(link, enrolment.as_deref(), program, occurred_at);
    let versions = match assigned {
        Some((code, _)) => programs::plan_versions(app, program.id, code).await?,
        None => None,
    };
    let standing = model::standing(
        record.as_deref(),
        enrolment.as_deref(),
        versions.as_deref().map(Vec::as_slice),
        occurred_at,
    );
    Ok(standing.and_then(|version| {
        let (_, assigned_by) = assigned.ok_or(Unattributed::NoPlan)?;
        Ok((Arc::new(version.clone()), assigned_by))
    }))
}
