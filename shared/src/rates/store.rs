//! Keys and items of exchange rates.

use serde::{Deserialize, Serialize};

use super::model::{StoredRate, good_for};
use crate::clock::{Date, Timestamp};
use crate::money::Currency;
use crate::table::{Error, Index, Item, Key, Op, Put, Range, Table, from_item};

/// The partition of a pair's rates. All of them stand in it by their dates.
fn partition(from: Currency, to: Currency) -> String {
    format!("RATE#{from}#{to}")
}

/// The item of a rate; dates sort as text.
#[must_use]
pub fn key(from: Currency, to: Currency, date: Date) -> Key {
    Key::new(partition(from, to), date.to_string())
}

#[derive(Serialize, Deserialize)]
struct RateItem {
    pk: String,
    sk: String,
    from: String,
    to: String,
    rate: String,
    date: String,
    source: String,
    created_at: Timestamp,
}

/// The put of a rate where none of that pair and date stands.
///
/// # Errors
/// Never for a well-formed rate.
pub fn put(rate: &StoredRate) -> Result<Op, Error> {
    let StoredRate {
        from,
        to,
        rate,
        date,
        source,
        created_at,
    } = rate.clone();
    let Key { pk, sk } = key(from, to, date);
    Ok(Op::Put(Put::new(&RateItem {
        pk,
        sk,
        from: from.code().to_owned(),
        to: to.code().to_owned(),
        rate: rate.to_string(),
        date: date.to_string(),
        source,
        created_at,
    })?))
}

/// Reads a stored rate.
///
/// # Errors
/// `Malformed`.
pub fn rate(item: Item) -> Result<StoredRate, Error> {
    let RateItem {
        pk: _,
        sk: _,
        from,
        to,
        rate,
        date,
        source,
        created_at,
    } = from_item(item)?;
    let malformed = |what: &str| Error::Malformed(format!("rate: {what}"));
    Ok(StoredRate {
        from: from.parse().map_err(|_| malformed("from"))?,
        to: to.parse().map_err(|_| malformed("to"))?,
        rate: rate.parse().map_err(|_| malformed("rate"))?,
        date: date.parse().map_err(|_| malformed("date"))?,
        source,
        created_at,
    })
}

/// The rate that is good for an event of that date, if one is stored: one round trip.
///
/// # Errors
/// The table's.
pub async fn latest(
    table: &Table,
    from: Currency,
    to: Currency,
    date: Date,
) -> Result<Option<StoredRate>, Error> {
    let (first, last) = good_for(date);
    let range = Range::partition(Index::Base, partition(from, to), 1)
        .between(first.to_string(), last.to_string())
        .newest_first();
    let page = table.page(&range).await?;
    page.items.into_iter().next().map(rate).transpose()
}

/// A page of a pair's rates, newest first, below a date, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page(
    table: &Table,
    from: Currency,
    to: Currency,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<StoredRate>, Option<String>), Error> {
    let mut range = Range::partition(Index::Base, partition(from, to), limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let page = table.page(&range).await?;
    let position = page.items.last().filter(|_| page.more).and_then(Key::of);
    let found = page.items.into_iter().map(rate).collect::<Result<_, _>>()?;
    Ok((found, position.map(|key| key.sk)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_back_and_stands_under_its_pair_and_date() {
        let stored = StoredRate {
            from: "EUR".parse().unwrap(),
            to: "GBP".parse().unwrap(),
            rate: "0.8512000001".parse().unwrap(),
            date: "2026-03-02".parse().unwrap(),
            source: "ECB".to_owned(),
            created_at: "2026-03-02T16:00:00Z".parse().unwrap(),
        };
        let Op::Put(put) = put(&stored).unwrap() else {
            panic!("a rate is put")
        };
        let item = put.item().clone();
        assert_eq!(
            Key::of(&item).unwrap(),
            Key::new("RATE#EUR#GBP", "2026-03-02")
        );
        assert_eq!(rate(item).unwrap(), stored);
    }
}
