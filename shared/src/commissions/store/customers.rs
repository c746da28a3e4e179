//! Since when a partner knows a customer, by event: what outlasts a plan version.
//!
//! Within a book the events themselves tell who came first. Books end with their plan version, and plans that
//! ask nothing about customers have none, so a customer's first events are noted beside them.

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, parse, stamp};
use crate::commissions::book::{BookId, Placed, Span};
use crate::ids::PartnerId;
use crate::plans::model::PlanVersion;
use crate::table::{Condition, Error, Index, Key, Range, Table, Update, text};
use crate::tracking::model::Facts;

/// Rows read in one page: there is one for each event and plan version.
const PAGE: usize = 1_000;

/// The first time of an event among those that see one another: of one book, or of one plan version.
#[derive(Serialize, Deserialize)]
struct FirstItem {
    pk: String,
    sk: String,
    at: String,
}

/// Those that see one another: the events of a customer's book, whichever version pays; those of a version
/// otherwise.
fn circle(plan: &PlanVersion, placed: &Placed) -> String {
    match &placed.book {
        Some(BookId {
            span: Span::Customer(_),
            ..
        }) => "*".to_owned(),
        _ => format!("{}#{}", plan.code, plan.version),
    }
}

/// Where the first time of a conversion's event stands, as its customer's partner knows it; `None` without a
/// customer.
fn key(facts: &Facts, partner: PartnerId, plan: &PlanVersion, placed: &Placed) -> Option<Key> {
    let hash = facts.customer.as_ref()?;
    let (program, event) = (facts.program, &facts.event);
    Some(Key::new(
        format!("CUST#{program}#{hash}"),
        format!("FIRST#{partner}#{event}#{}", circle(plan, placed)),
    ))
}

/// When the customer's first conversion of the event counted outside the book that this one is placed in, as
/// far as is known now; `None` where there is none before it.
///
/// # Errors
/// The table's; `Malformed`.
pub async fn known_since(
    table: &Table,
    facts: &Facts,
    partner: PartnerId,
    plan: &PlanVersion,
    placed: &Placed,
) -> Result<Option<Timestamp>, Error> {
    let Some(own) = key(facts, partner, plan, placed) else {
        return Ok(None);
    };
    Ok(read(table, &own, (partner, &facts.event), placed).await?.0)
}

/// Notes an event of a customer, unless one of its circle is known that counted before it; and what
/// [`known_since`] tells. One read, and a write for the first. Safe to repeat.
///
/// # Errors
/// The table's; `Malformed`.
pub async fn meet(
    table: &Table,
    facts: &Facts,
    partner: PartnerId,
    plan: &PlanVersion,
    placed: &Placed,
) -> Result<Option<Timestamp>, Error> {
    let Some(own) = key(facts, partner, plan, placed) else {
        return Ok(None);
    };
    let (since, noted) = read(table, &own, (partner, &facts.event), placed).await?;
    if noted.is_none_or(|noted| placed.counted_at < noted) {
        let at = text(stamp(placed.counted_at));
        let earlier = Condition::default().and_absent_or_above("at", at.clone());
        // Refused is whoever came later than another that was noted meanwhile.
        let _ = table
            .update(Update::at(own).set("at", at).only_if(earlier))
            .await?;
    }
    Ok(since)
}

/// The first time of the event outside the circle, before the one that is placed; and the first within.
async fn read(
    table: &Table,
    own: &Key,
    (partner, event): (PartnerId, &str),
    placed: &Placed,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Error> {
    let range = Range::partition(Index::Base, own.pk.clone(), PAGE)
        .beginning(format!("FIRST#{partner}#{event}#"));
    let rows: Vec<FirstItem> = table.all(range).await?;
    let (mut outside, mut within): (Option<Timestamp>, _) = (None, None);
    for FirstItem { pk, sk, at } in rows {
        let at = parse(&at).ok_or_else(|| Error::Malformed(format!("{pk} {sk}")))?;
        if sk == own.sk {
            within = Some(at);
        } else if at < placed.counted_at {
            outside = Some(outside.map_or(at, |first| first.min(at)));
        }
    }
    Ok((outside, within))
}
