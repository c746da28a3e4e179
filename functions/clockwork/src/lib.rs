//! Every minute: holds that have passed are released, and work that transport has lost is queued again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tributary::commissions::clockwork::{Reconciled, Released, reconcile, release_due};
use tributary::edge::App;

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
    /// Lost work.
    pub reconciled: Reconciled,
}

/// One run. Both parts are bounded and go on in the next run where this one stopped; the failure of one
/// does not keep the other from its work.
///
/// # Errors
/// What either part met; safe to repeat.
pub async fn handle(app: App, tick: Tick) -> Result<Summary, lambda_runtime::Error> {
    let released = release_due(&app, tick.time).await;
    let reconciled = reconcile(&app, tick.time).await;
    let summary = Summary {
        released: released?,
        reconciled: reconciled?,
    };
    tracing::info!(?summary, "clockwork ran");
    Ok(summary)
}
