//! How programs pay, and the batches that their schedules make.

use super::error::PayoutError;
use super::model::{self, Cadence, Regular, Schedule};
use super::{NewBatch, new_batch, nobody_plans, paying, store};
use crate::clock::Timestamp;
use crate::edge::{App, Change, Write};
use crate::ids::{OperatorId, ProgramId};
use crate::money::{Currency, Money};
use crate::programs;
use crate::table::{Op, TransactError};

/// Due schedules looked at in one run of clockwork.
const DUE_SCHEDULES: usize = 100;

/// How a program shall pay.
#[derive(Clone, Debug)]
pub struct ScheduleDetails {
    /// How often.
    pub cadence: Cadence,
    /// In which time zone days begin, days to the cutoff, and the paying account, where batches are regular.
    pub regular: Option<(String, u32, String)>,
    /// Nobody is paid less.
    pub minimum: Option<Money>,
    /// A batch of more needs a second person's consent.
    pub approval_above: Option<Money>,
}

/// Who sets a schedule, and whether they may change the amount above which a second person is asked.
#[derive(Clone, Copy, Debug)]
pub struct Setter {
    /// Who.
    pub id: OperatorId,
    /// Whether they may: those who make batches may not lift what watches over them.
    pub may_change_approval: bool,
}

/// Sets how a program pays; `based_on` is the version that it replaces, if there is one. The first batch is
/// made at the next beginning of one of its days.
///
/// # Errors
/// `ProgramNotFound`, `VersionMissing`, `VersionStale`, `ApprovalGuarded`, `FundingUnknown`,
/// `NotFundingCurrency`, `CurrencyUnsupported`, `TimeZoneUnknown`; the table's.
pub async fn set_schedule(
    app: &App,
    program: ProgramId,
    setter: Setter,
    details: ScheduleDetails,
    based_on: Option<u64>,
) -> Result<Change<Schedule, PayoutError>, PayoutError> {
    let ScheduleDetails {
        cadence,
        regular,
        minimum,
        approval_above,
    } = details;
    let currency = currency_of(app, program).await?;
    let before = store::find_schedule(&app.main, program).await?;
    let version = before.as_ref().map_or(0, |before| before.version);
    match based_on {
        None if version > 0 => return Err(PayoutError::VersionMissing),
        Some(based_on) if based_on != version => return Err(PayoutError::VersionStale),
        _ => {}
    }
    let above = before.and_then(|before| before.approval_above);
    if above != approval_above && !setter.may_change_approval {
        return Err(PayoutError::ApprovalGuarded);
    }
    let now = app.now();
    let regular = match regular {
        None => None,
        Some((time_zone, cutoff_days, funding_account)) => {
            let _ = paying(app, &funding_account, currency).await?;
            let zone = model::time_zone(&time_zone).ok_or(PayoutError::TimeZoneUnknown)?;
            cadence.next_after(now, &zone).map(|next_at| Regular {
                time_zone,
                cutoff_days,
                funding_account,
                next_at,
            })
        }
    };
    let schedule = Schedule {
        program,
        cadence,
        regular,
        minimum,
        approval_above,
        set_by: setter.id,
        updated_at: now,
        version: version + 1,
    };
    let save = store::save_schedule(&schedule, currency)?;
    Ok(Change {
        value: schedule,
        writes: vec![Write::new(save, |_| PayoutError::VersionStale)],
    })
}

/// The currency that a program pays in.
///
/// # Errors
/// `ProgramNotFound`; the table's.
pub async fn currency_of(app: &App, program: ProgramId) -> Result<Currency, PayoutError> {
    let found = programs::program(app, program).await?;
    Ok(found.ok_or(PayoutError::ProgramNotFound(program))?.currency)
}

/// How a program pays.
///
/// # Errors
/// `ScheduleNotFound`; the table's.
pub async fn schedule(app: &App, program: ProgramId) -> Result<Schedule, PayoutError> {
    store::find_schedule(&app.main, program)
        .await?
        .ok_or(PayoutError::ScheduleNotFound(program))
}

/// Makes the batches whose day has begun by `now`, one for each program and run. A batch and the schedule's
/// next day are one transaction, so none is made twice; a day that was missed is made up for.
///
/// # Errors
/// The table's, after all were tried. Safe to repeat.
pub async fn make_due(app: &App, now: Timestamp) -> Result<usize, PayoutError> {
    let mut made = 0;
    let mut failed = None;
    for program in store::due_schedules(&app.main, now, DUE_SCHEDULES).await? {
        match make_one(app, program, now).await {
            Ok(is_made) => made += usize::from(is_made),
            // The next run finds it planned.
            Err(PayoutError::AnotherPlanning(_)) => {}
            Err(error) => {
                tracing::error!(%error, %program, "a scheduled batch was not made; it is tried again");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(made), Err)
}

async fn make_one(app: &App, program: ProgramId, now: Timestamp) -> Result<bool, PayoutError> {
    let Some(schedule) = store::find_schedule(&app.main, program).await? else {
        return Ok(false);
    };
    let Some(regular) = schedule
        .regular
        .as_ref()
        .filter(|regular| regular.next_at <= now)
    else {
        return Ok(false);
    };
    let zone = model::time_zone(&regular.time_zone).ok_or(PayoutError::TimeZoneUnknown)?;
    let next_at = schedule
        .cadence
        .next_after(regular.next_at, &zone)
        .ok_or(PayoutError::TimeZoneUnknown)?;
    let currency = currency_of(app, program).await?;
    let funding = paying(app, &regular.funding_account, currency).await?;
    nobody_plans(app, program).await?;
    let batch = new_batch(NewBatch {
        program,
        cutoff: regular.cutoff(),
        minimum: schedule.minimum.unwrap_or(Money::zero(currency)),
        approval_above: schedule.approval_above,
        funding: &funding,
        by: schedule.set_by,
        now: app.now(),
    });
    let moved = store::made(&schedule, regular.next_at, next_at);
    let ops = [store::put_batch(&batch)?, Op::Update(moved.clone())];
    match app.main.transact(&ops).await {
        Ok(()) => Ok(true),
        Err(TransactError::Table(error)) => Err(error.into()),
        Err(TransactError::Refused(_)) => {
            // Somebody has asked for that very batch, or another run has made it. Then only the day moves on,
            // unless it has moved already.
            if store::find_batch(&app.main, batch.id).await?.is_some() {
                let _ = app.main.update(moved).await?;
            }
            Ok(false)
        }
    }
}
