//! Every minute: holds that have passed are released, leads that nobody answers are passed on, batches whose day has begun are made, work that transport
//! has lost is queued again, and periods that were asked for are closed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tributary::agreements;
use tributary::commissions::clockwork::{
    Reconciled, Released, close_due, reconcile, release_due, requeue_waiting,
};
use tributary::deals;
use tributary::edge::App;
use tributary::events;
use tributary::imports;
use tributary::invoices;
use tributary::leads;
use tributary::merges;
use tributary::payouts::make_due;
use tributary::reports::journal;

/// The schedule's event. Its time is "now", so that a deployed installation can be taken through time by
/// invoking this function.
#[derive(Clone, Debug, Deserialize)]
pub struct Tick {
    /// When the schedule was due.
    pub time: Timestamp,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Holds.
    pub released: Released,
    /// Batches made by their programs' schedules.
    pub batches: usize,
    /// Lost work.
    pub reconciled: Reconciled,
    /// Books whose windows closed.
    pub closed: usize,
    /// Conversions queued again whose rate of exchange has arrived.
    pub exchanged: usize,
    /// What was due for deals: reminders, expiries, approvals that are late.
    pub deals: usize,
    /// Payouts that wait for their invoice, told of again.
    pub reminded: usize,
    /// Terms that take effect soon, of which those are reminded who have not accepted them.
    pub terms: usize,
    /// Events queued again that were not told in time.
    pub untold: usize,
    /// Imports queued again that stood still.
    pub stalled: usize,
    /// Periods that were closed for good.
    pub periods: usize,
    /// Steps by which what is a merged partner's follows it.
    pub merged: usize,
    /// Leads that went on to the next candidate.
    pub leads: leads::PassedOn,
}

/// One run. All parts are bounded and go on in the next run where this one stopped; the failure of one does
/// not keep the others from their work. What has become payable now is in the batches that are made now.
///
/// # Errors
/// What any part met; safe to repeat.
pub async fn handle(app: App, tick: Tick) -> Result<Summary, lambda_runtime::Error> {
    let released = release_due(&app, tick.time).await;
    let batches = make_due(&app, tick.time).await;
    let reconciled = reconcile(&app, tick.time).await;
    let closed = close_due(&app, tick.time).await;
    let exchanged = requeue_waiting(&app).await;
    let deals = deals::due::due(&app, tick.time).await;
    let reminded = invoices::remind(&app, tick.time).await;
    let terms = agreements::remind(&app, tick.time).await;
    let untold = events::requeue(&app, tick.time).await;
    let stalled = imports::requeue(&app, tick.time).await;
    let periods = journal::close_due(&app, tick.time).await;
    let leads = leads::due(&app, tick.time).await;
    let merged = merges::due(&app, tick.time).await;
    let summary = Summary {
        released: released?,
        batches: batches?,
        reconciled: reconciled?,
        closed: closed?,
        exchanged: exchanged?,
        deals: deals?,
        reminded: reminded?,
        terms: terms?,
        untold: untold?,
        stalled: stalled?,
        periods: periods?,
        leads: leads?,
        merged: merged?,
    };
    tracing::info!(?summary, "clockwork ran");
    Ok(summary)
}
