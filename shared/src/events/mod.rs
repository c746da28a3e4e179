//! What happened, written down beside it: the outbox.
//!
//! An event is put in the transaction of what it tells of, so that neither is there without the other. The
//! table's stream brings it to whoever is told (mail now, webhooks later), and a program's events are kept
//! and read in their order as a feed.
//!
//! ```ignore
//! let event = Event::new(app.fresh(), EventKind::DealApproved, deal.id, app.now())
//!     .in_program(deal.program)
//!     .about_partner(deal.partner)
//!     .with("protected_until", deal.protected_until);
//! ops.push(events::put(&event)?);
//! ```

pub mod model;
pub mod store;

use jiff::SignedDuration;

use serde_json::json;

use crate::clock::Timestamp;
use crate::edge::{App, Queue, SEND_BATCH};
use crate::ids::{EventId, ProgramId};
use crate::table;
pub use model::{Event, EventKind};
pub use store::put;

/// Seconds that the feed stays behind the present: the index lags, and two who write at the same moment commit
/// in any order. A reader that goes on from a cursor must not pass over what comes in behind it.
pub const FEED_BEHIND_SECONDS: i64 = 5;

/// A page of a program's events behind a position, oldest first, and the position to go on from: that of the
/// last event found, also where none follows it yet.
///
/// # Errors
/// The table's.
pub async fn feed(
    app: &App,
    program: ProgramId,
    from: Option<Timestamp>,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<Event>, Option<String>), table::Error> {
    let until = app
        .now()
        .checked_sub(SignedDuration::from_secs(FEED_BEHIND_SECONDS))
        .unwrap_or(Timestamp::MIN);
    store::feed(&app.main, program, from, until, beyond, limit).await
}

/// Events of a shard that one run queues again; the next run goes on.
const REQUEUED: usize = 100;

/// Queues events again that were not told to all in time, and how many. Each waits longer from time to time, so
/// that those which cannot be told for hours, as while no mail is taken, do not fill the queue.
///
/// # Errors
/// The table's; `Busy` when the queue did not take all.
pub async fn requeue(app: &App, now: Timestamp) -> Result<usize, table::Error> {
    let mut queued = 0;
    for shard in 0..store::UNTOLD_SHARDS {
        let untold = store::untold(&app.main, shard, now, REQUEUED).await?;
        for some in untold.chunks(SEND_BATCH) {
            let messages: Vec<_> = some
                .iter()
                .map(|untold| json!({ "event": untold.id }))
                .collect();
            if !app.queues.send(Queue::Channel, &messages).await.is_empty() {
                return Err(table::Error::Busy("the channel queue".to_owned()));
            }
            queued += some.len();
            // Only what was sent waits longer.
            for untold in some {
                // One that was told meanwhile, or that another run queued, is left as it is.
                let _ = app.main.update(store::queued_again(untold, now)).await?;
            }
        }
    }
    Ok(queued)
}

/// An event.
///
/// # Errors
/// The table's.
pub async fn find(app: &App, id: EventId) -> Result<Option<Event>, table::Error> {
    store::find(&app.main, id).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_page_about_events_says_what_the_code_says() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
        let written = std::fs::read_to_string(page).unwrap_or_default();
        let meant = super::model::documentation();
        if written != meant {
            let copy = std::env::temp_dir().join("tributary-events.md");
            std::fs::write(&copy, meant).unwrap();
            panic!("docs/events.md should hold what is in {}", copy.display());
        }
    }
}
