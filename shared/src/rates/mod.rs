//! Exchange rates: stored with their date and source, never changed, and looked up by the date of an event.

pub mod error;
pub mod model;
pub mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use error::RateError;
use model::StoredRate;

use crate::clock::Date;
use crate::edge::App;
use crate::money::Currency;
use crate::table::{self, TransactError};

/// Fresh looks at rates that others store at the same moment.
const MAX_ROUNDS: usize = 4;

/// The rate that is good for an event of that date (UTC): the latest one dated on it or at most
/// [`model::RATE_DAYS`] before it. The inverse of a rate is not derived from it. One round trip, or none when
/// it was looked up within [`crate::edge::CACHE_SECONDS`].
///
/// A rate that is stored later for a date in between is good from then on; whoever converts keeps the rate
/// that was used beside the result.
///
/// # Errors
/// The table's.
pub async fn at(
    app: &App,
    from: Currency,
    to: Currency,
    date: Date,
) -> Result<Option<Arc<StoredRate>>, table::Error> {
    app.cached(&format!("RATE#{from}#{to}#{date}"), || {
        store::latest(&app.main, from, to, date)
    })
    .await
}

/// Stores rates, all or none: one read and, for what is not there yet, one transaction. What is stored
/// already as it is said changes nothing.
///
/// # Errors
/// `Fixed` when a stored rate of that pair and date says something else, `Moved`, the table's.
pub async fn keep(app: &App, rates: Vec<StoredRate>) -> Result<Vec<StoredRate>, RateError> {
    for _ in 0..MAX_ROUNDS {
        let keys = rates
            .iter()
            .map(|rate| store::key(rate.from, rate.to, rate.date));
        let found = app.main.get_many(keys).await?;
        let mut standing = BTreeMap::new();
        for (key, item) in found {
            standing.insert(key, store::rate(item)?);
        }
        let mut kept = Vec::with_capacity(rates.len());
        let (mut fixed, mut ops) = (Vec::new(), Vec::new());
        for (position, rate) in rates.iter().enumerate() {
            let key = store::key(rate.from, rate.to, rate.date);
            match standing.get(&key) {
                Some(stored) if !stored.says_the_same(rate) => fixed.push(position),
                Some(stored) => kept.push(stored.clone()),
                None => {
                    ops.push(store::put(rate)?);
                    kept.push(rate.clone());
                    standing.insert(key, rate.clone());
                }
            }
        }
        if !fixed.is_empty() {
            return Err(RateError::Fixed(fixed));
        }
        if ops.is_empty() {
            return Ok(kept);
        }
        match app.main.transact(&ops).await {
            Ok(()) => return Ok(kept),
            // Somebody stored one of them meanwhile: look again at what stands there now.
            Err(TransactError::Refused(_)) => {}
            Err(TransactError::Table(error)) => return Err(error.into()),
        }
    }
    Err(RateError::Moved)
}

/// A page of a pair's rates, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    from: Currency,
    to: Currency,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<StoredRate>, Option<String>), RateError> {
    Ok(store::page(&app.main, from, to, below, limit).await?)
}
