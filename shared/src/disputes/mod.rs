//! Disputes: partners say what is missing or wrong, operators decide, and what is upheld is made good in the
//! transaction of the decision.

pub mod error;
pub mod model;
pub mod store;

use error::DisputeError;
use model::{
    Decision, Dispute, DisputeKind, Evidence, REASONS, Reason, Remedy, Transaction, Verdict,
    deadline, name_of,
};
pub use store::Listed;

use crate::clock::Timestamp;
use crate::commissions::hand::{self, NewAdjustment, Series};
use crate::edge::{App, Change, Write};
use crate::ids::{ConversionId, DisputeId, OperatorId, PartnerId, ProgramId};
use crate::money::Money;
use crate::programs::model::Program;
use crate::table::Op;
use crate::tracking::error::TrackingError;
use crate::tracking::model::{Amendment, Credited, Facts, Posting, Word, check_time};
use crate::{claims, partners, programs, tracking};

/// What a dispute is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A conversion that the partner is credited with.
    Conversion(ConversionId),
    /// A transaction, of which there may be a conversion or not.
    Transaction(Transaction),
}

/// A dispute to be raised.
#[derive(Clone, Debug)]
pub struct NewDispute {
    /// The program.
    pub program: ProgramId,
    /// What is said to be wrong.
    pub kind: DisputeKind,
    /// With what.
    pub subject: Subject,
    /// When it happened, as the partner says.
    pub occurred_at: Timestamp,
    /// What its amount is, as the partner says.
    pub expected: Option<Money>,
    /// What the partner shows for it.
    pub evidence: Evidence,
}

/// A dispute with its evidence, unless that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The dispute.
    pub dispute: Dispute,
    /// The evidence.
    pub evidence: Option<Evidence>,
}

/// A new dispute, within the program's days after the event. Of a conversion that the partner is credited
/// with, the time is the conversion's own.
///
/// # Errors
/// `ProgramUnknown`, `ConversionUnknown`, `InFuture`, `Late`, `Open`, the table's.
pub async fn raise(
    app: &App,
    partner: PartnerId,
    new: NewDispute,
) -> Result<Change<Known, DisputeError>, DisputeError> {
    let NewDispute {
        program,
        kind,
        subject,
        occurred_at,
        expected,
        evidence,
    } = new;
    let now = app.now();
    let (found, enrolment) = futures_util::future::try_join(
        programs::program(app, program),
        partners::enrolment(app, partner, program),
    )
    .await?;
    let terms = found.ok_or(DisputeError::ProgramUnknown)?;
    enrolment.ok_or(DisputeError::ProgramUnknown)?;
    let (conversion, transaction, occurred_at) = match subject {
        Subject::Conversion(id) => {
            let facts = own(app, partner, program, id).await?;
            (id, None, facts.occurred_at)
        }
        Subject::Transaction(transaction) => {
            check_time(occurred_at, now, true)?;
            let Transaction {
                event,
                transaction_id,
            } = &transaction;
            let id = Facts::id_of(program, event, transaction_id);
            let occurred_at = match own(app, partner, program, id).await {
                Ok(facts) => facts.occurred_at,
                Err(DisputeError::ConversionUnknown) => occurred_at,
                Err(error) => return Err(error),
            };
            (id, Some(transaction), occurred_at)
        }
    };
    let until = deadline(occurred_at, terms.dispute_days);
    if now > until {
        return Err(DisputeError::Late(until));
    }
    let dispute = Dispute {
        id: app.fresh(),
        program,
        partner,
        kind,
        conversion,
        transaction,
        occurred_at,
        expected,
        raised_at: now,
        ended: None,
        version: 1,
    };
    let [itself, shown, open] = store::raise(&dispute, &evidence)?;
    let writes = vec![
        Write::new(itself, |_| DisputeError::Moved),
        Write::new(shown, |_| DisputeError::Moved),
        Write::new(open, |item| DisputeError::Open(store::open_dispute(item))),
    ];
    Ok(Change {
        value: Known {
            dispute,
            evidence: Some(evidence),
        },
        writes,
    })
}

/// A conversion of a program that a partner is credited with; of others it shall not learn that they are
/// there.
async fn own(
    app: &App,
    partner: PartnerId,
    program: ProgramId,
    id: ConversionId,
) -> Result<Facts, DisputeError> {
    let found = match tracking::find(app, id).await {
        Err(TrackingError::NotFound(_)) => return Err(DisputeError::ConversionUnknown),
        found => found?,
    };
    if found.facts.program == program && credited(&found) == Some(partner) {
        Ok(found.facts)
    } else {
        Err(DisputeError::ConversionUnknown)
    }
}

fn credited(conversion: &tracking::Conversion) -> Option<PartnerId> {
    let account = conversion.outcome.as_ref()?.account()?;
    Some(account.partner)
}

/// A dispute with its evidence.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: DisputeId) -> Result<Known, DisputeError> {
    let found = store::find_many(&app.main, &[id]).await?.pop();
    found
        .map(|(dispute, evidence)| Known { dispute, evidence })
        .ok_or(DisputeError::NotFound(id))
}

/// A page of disputes, and the position to go on from. One that ended a moment ago may still be among the
/// open ones that the index shows; it is left out.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    listed: Listed,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<Known>, Option<String>), DisputeError> {
    let (ids, position) = store::page(&app.main, listed, beyond, limit).await?;
    let found = store::find_many(&app.main, &ids).await?;
    let only_open = matches!(listed, Listed::Open(_));
    let known = found
        .into_iter()
        .filter(|(dispute, _)| !only_open || dispute.ended.is_none())
        .map(|(dispute, evidence)| Known { dispute, evidence });
    Ok((known.collect(), position))
}

/// The partner takes its dispute back.
///
/// # Errors
/// `NotFound` also for another partner's, `Ended`, `Moved`, the table's.
pub async fn withdraw(
    app: &App,
    partner: PartnerId,
    id: DisputeId,
) -> Result<Change<Known, DisputeError>, DisputeError> {
    let Known { dispute, evidence } = find(app, id).await?;
    if dispute.partner != partner {
        return Err(DisputeError::NotFound(id));
    }
    let ended = dispute.withdrawn(app.now()).ok_or(DisputeError::Ended)?;
    Ok(Change {
        writes: ending(&ended, || DisputeError::Moved)?.into(),
        value: Known {
            dispute: ended,
            evidence,
        },
    })
}

/// The writes that end a dispute; `moved` is what it means that it is another version by now.
fn ending(
    ended: &Dispute,
    moved: fn() -> DisputeError,
) -> Result<[Write<DisputeError>; 2], DisputeError> {
    let [itself, open] = store::end(ended)?;
    Ok([
        Write::new(itself, move |_| moved()),
        Write::new(open, |_| DisputeError::Moved),
    ])
}

/// What an operator says makes an upheld dispute good.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Record a conversion and credit the partner with it.
    Conversion(Box<Posting>),
    /// Amend the amount of the conversion that is disputed.
    Amendment(Money),
    /// Give the partner that much.
    Adjustment(Money),
}

/// A decision to be made.
#[derive(Clone, Debug)]
pub struct NewDecision {
    /// The version that was read.
    pub based_on: u64,
    /// How.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// In the operator's words.
    pub note: Option<String>,
    /// What makes it good.
    pub asked: Option<Asked>,
    /// By whom.
    pub by: OperatorId,
}

/// Decides a dispute of that program, and in the same transaction records the conversion, amends the amount or
/// gives the adjustment that an upheld one asks for; what the first two pay follows as for any other.
///
/// # Errors
/// `Stale`, `Decision`, `ConversionExists`, `Unattributed`, `NotCredited`, `Amendment`, `Adjustment`, `Moved`
/// (ask again), the table's.
pub async fn decide(
    app: &App,
    program: &Program,
    known: Known,
    new: NewDecision,
) -> Result<Change<Known, DisputeError>, DisputeError> {
    let Known { dispute, evidence } = known;
    let NewDecision {
        based_on,
        verdict,
        reason,
        note,
        asked,
        by,
    } = new;
    if dispute.version != based_on {
        return Err(DisputeError::Stale);
    }
    let now = app.now();
    let facts = match &asked {
        Some(Asked::Conversion(posting)) => posting.facts(dispute.program, now),
        Some(Asked::Amendment(_) | Asked::Adjustment(_)) | None => None,
    };
    let facts = facts.map(|facts| Facts {
        credited_to: Some(Credited {
            partner: dispute.partner,
            word: Word::Dispute(dispute.id),
        }),
        ..facts
    });
    let amount = match asked {
        Some(Asked::Amendment(amount)) => Some(amount),
        Some(Asked::Conversion(_) | Asked::Adjustment(_)) | None => None,
    };
    let given = match asked {
        Some(Asked::Adjustment(amount)) => Some(adjustment(&dispute, reason, amount)),
        Some(Asked::Conversion(_) | Asked::Amendment(_)) | None => None,
    };
    let given = match given {
        Some(new) => {
            let made = hand::adjustment(app, by, new).await;
            Some(made.map_err(DisputeError::Adjustment)?)
        }
        None => None,
    };
    let remedy = match (&facts, amount, &given) {
        (Some(facts), ..) => Some(Remedy::Conversion(facts.id)),
        (None, Some(amount), _) => Some(Remedy::Amendment(amount)),
        (None, None, Some((line, _))) => line
            .credit
            .as_ref()
            .ok()
            .map(|credit| Remedy::Adjustment(line.conversion, credit.pay)),
        (None, None, None) => None,
    };
    let decision = Decision {
        verdict,
        reason,
        note,
        remedy,
        by,
    };
    let ended = dispute
        .decided(decision, now)
        .map_err(|fault| DisputeError::Decision(fault, verdict))?;
    let mut writes = Vec::from(ending(&ended, || DisputeError::Stale)?);
    if let Some(facts) = facts {
        // A word for somebody who cannot be credited would pay nothing, and nobody would see why.
        let ruling = claims::foresee(app, program, &facts).await?.ruling;
        if let Some(reason) = ruling.reason() {
            return Err(DisputeError::Unattributed(reason));
        }
        let put = tracking::record(&facts)?;
        writes.push(Write::new(put, |_| DisputeError::ConversionExists));
    }
    if let Some(amount) = amount {
        writes.extend(amendment(app, &dispute, amount, now).await?);
    }
    if let Some((_, ops)) = given {
        let posts = ops.into_iter();
        writes.extend(posts.map(|op| Write::new(op, |_| DisputeError::Moved)));
    }
    Ok(Change {
        value: Known {
            dispute: ended,
            evidence,
        },
        writes,
    })
}

/// What a dispute gives, once: its line's id follows from the dispute's.
fn adjustment(dispute: &Dispute, reason: Reason, amount: Money) -> NewAdjustment {
    NewAdjustment {
        series: Series::Disputes,
        adjustment_id: dispute.id.to_string(),
        program: dispute.program,
        partner: dispute.partner,
        amount,
        reason: format!("dispute {}: {}", dispute.id, name_of(REASONS, reason)),
        about: Some(dispute.id.to_string()),
    }
}

async fn amendment(
    app: &App,
    dispute: &Dispute,
    amount: Money,
    now: Timestamp,
) -> Result<Option<Write<DisputeError>>, DisputeError> {
    let conversion = match tracking::find(app, dispute.conversion).await {
        Err(TrackingError::NotFound(_)) => return Err(DisputeError::NotCredited),
        found => found?,
    };
    // Another partner's conversion would be amended for that partner.
    if credited(&conversion) != Some(dispute.partner) {
        return Err(DisputeError::NotCredited);
    }
    let amendment = Amendment {
        amendment_id: dispute.id.to_string(),
        amount,
        reason: format!("dispute {}", dispute.id),
        at: now,
    };
    let update = tracking::amendment(app, dispute.conversion, &amendment).await;
    let update = update.map_err(DisputeError::Amendment)?;
    Ok(update.map(|update| Write::new(Op::Update(update), |_| DisputeError::Moved)))
}
