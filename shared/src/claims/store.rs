//! Keys and items of customers' claims: the clicks that conversions of a customer have named.

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, days_after, parse, stamp};
use crate::ids::{LinkId, ProgramId};
use crate::table::{Error, Index, Key, Put, Range, Table};

/// Claims of a customer that are weighed: the earliest of the window.
const MAX_CLAIMS: usize = 25;
/// Days after a click at which its claim may go; longer than any window.
const KEEP_DAYS: u32 = 400;

fn partition(program: ProgramId, customer: &str) -> String {
    format!("CUST#{program}#{customer}")
}

#[derive(Serialize, Deserialize)]
struct ClaimItem {
    pk: String,
    sk: String,
    link: LinkId,
    at: String,
    expires_at: i64,
}

/// The put of a click as a customer's claim; where it stands already, nothing is to be done.
///
/// # Errors
/// Never for a well-formed claim.
pub fn put(program: ProgramId, customer: &str, link: LinkId, at: Timestamp) -> Result<Put, Error> {
    let Key { pk, sk } = Key::new(
        partition(program, customer),
        format!("CLICK#{}#{link}", stamp(at)),
    );
    Put::new(&ClaimItem {
        pk,
        sk,
        link,
        at: stamp(at),
        expires_at: days_after(at, KEEP_DAYS).as_second(),
    })
}

/// The earliest clicks of a customer from `from` to `to`, both included; at most [`MAX_CLAIMS`].
///
/// # Errors
/// The table's.
pub async fn clicks(
    table: &Table,
    program: ProgramId,
    customer: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(LinkId, Timestamp)>, Error> {
    let range = Range::partition(Index::Base, partition(program, customer), MAX_CLAIMS).between(
        format!("CLICK#{}", stamp(from)),
        // `$` is the character after `#`, so the last millisecond is included with all its links.
        format!("CLICK#{}$", stamp(to)),
    );
    let page = table.page(&range).await?;
    page.items
        .into_iter()
        .map(|item| {
            let ClaimItem { link, at, .. } = crate::table::from_item(item)?;
            let at = parse(&at).ok_or_else(|| Error::Malformed("a claim's time".to_owned()))?;
            Ok((link, at))
        })
        .collect()
}
