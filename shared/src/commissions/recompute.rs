//! Recomputing from what is stored, changing nothing: on an untouched history nothing differs.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::book::{BookId, difference, reckon};
use super::booking::{self, Opened};
use super::explained::told;
use super::fold::Entry;
use super::model::{Credit, Outcome, Source, entry, net_applied, price, share_id, totals};
use super::store;
use super::view::plan_of;
use crate::edge::App;
use crate::ids::{ConversionId, PartnerId};
use crate::money::{Money, MoneyError};
use crate::table::Error;
use crate::tracking::Conversion;
use crate::tracking::store::find_many;

/// What one page of a recomputation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// Conversions that credit a partner and were recomputed.
    pub conversions: usize,
    /// Books that were folded again, with all their events.
    pub books: usize,
    /// What differs.
    pub differences: Vec<DifferenceView>,
}

/// A stored figure that a recomputation does not come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DifferenceView {
    /// The commission, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub commission: Option<ConversionId>,
    /// The book, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub book: Option<String>,
    /// Whose it is.
    #[schema(value_type = String)]
    pub partner: PartnerId,
    /// Which figure: `trace`, `total`, `level 1` to `level 5`, `share`, `event`, `book` or `plan`.
    #[schema(example = "total")]
    pub figure: String,
    /// As it is stored.
    #[schema(example = "14.70")]
    pub stored: String,
    /// As it is recomputed.
    #[schema(example = "14.71")]
    pub recomputed: String,
}

/// Recomputes what these conversions pay, from their stored facts, their plan versions, the rates that were
/// used and the books in which they stand: one read of each book.
///
/// # Errors
/// The table's.
pub async fn recompute(app: &App, conversions: &[Conversion]) -> Result<Recomputed, Error> {
    let failed = |error: MoneyError| Error::Failed(format!("a recomputation {error}"));
    let mut found = Recomputed::default();
    let mut books: BTreeMap<BookId, Vec<(ConversionId, PartnerId, Option<Entry>)>> =
        BTreeMap::new();
    let shares = shares(app, conversions).await?;
    let own = conversions
        .iter()
        .filter_map(|conversion| Some((conversion, conversion.outcome.as_ref()?)));
    let posted: HashSet<ConversionId> = shares.iter().map(|(_, line)| line.conversion).collect();
    let absent = conversions
        .iter()
        .filter_map(|conversion| absent_share(conversion, &posted));
    found.differences.extend(absent);
    let lines = shares.iter().map(|(conversion, line)| (*conversion, line));
    for (conversion, outcome) in own.chain(lines) {
        let Ok(credit) = &outcome.credit else {
            continue;
        };
        found.conversions += usize::from(outcome.source == Source::Conversion);
        let now = now_told(conversion, credit).map_err(failed)?;
        let now = now.map(|now| Entry {
            conversion: outcome.conversion,
            ..now
        });
        match &credit.book {
            Some((book, _)) => books.entry(book.clone()).or_default().push((
                outcome.conversion,
                credit.partner,
                now,
            )),
            None => {
                alone(
                    app,
                    conversion,
                    outcome,
                    credit,
                    now,
                    &mut found.differences,
                )
                .await?;
            }
        }
    }
    for (id, expected) in books {
        found.books += 1;
        booked(app, &id, expected, &mut found.differences).await?;
    }
    Ok(found)
}

/// The shares that other partners have of these conversions.
async fn shares<'a>(
    app: &App,
    conversions: &'a [Conversion],
) -> Result<Vec<(&'a Conversion, Outcome)>, Error> {
    let shared: Vec<(&Conversion, ConversionId)> = conversions
        .iter()
        .filter_map(|conversion| {
            let outcome = conversion.outcome.as_ref()?;
            let _ = outcome.ruling.beside.as_ref()?;
            Some((conversion, share_id(outcome.conversion)))
        })
        .collect();
    if shared.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<ConversionId> = shared.iter().map(|(_, id)| *id).collect();
    let mut found = find_many(&app.main, &ids).await?;
    let mut lines = Vec::with_capacity(shared.len());
    for (conversion, id) in shared {
        if let Some((_, _, Some(item))) = found.remove(&id) {
            lines.push((conversion, store::outcome(item)?));
        }
    }
    Ok(lines)
}

/// The share that another partner is to have of a conversion and does not, though nothing is owed of it any more.
fn absent_share(conversion: &Conversion, posted: &HashSet<ConversionId>) -> Option<DifferenceView> {
    let outcome = conversion.outcome.as_ref()?;
    let credit = outcome.credit.as_ref().ok()?;
    let beside = outcome.ruling.beside.as_ref()?;
    let (partner, share) = (beside.partner?, beside.share?);
    let id = share_id(outcome.conversion);
    let net = net_applied(&conversion.facts, &conversion.changes, &credit.applied);
    let is_absent = !credit.owes && !net.gone && !posted.contains(&id);
    is_absent.then(|| DifferenceView {
        commission: Some(id),
        book: None,
        partner,
        figure: "share".to_owned(),
        stored: String::new(),
        recomputed: share.to_string(),
    })
}

/// What the plan is told of a conversion under all changes that its outcome reflects; `None` when nothing is
/// left of it.
fn now_told(conversion: &Conversion, credit: &Credit) -> Result<Option<Entry>, MoneyError> {
    let net = net_applied(&conversion.facts, &conversion.changes, &credit.applied);
    let counted_at = credit
        .book
        .as_ref()
        .map_or(conversion.facts.occurred_at, |(_, at)| *at);
    let told = entry(
        &conversion.facts,
        net,
        credit.partner,
        (counted_at, credit.known_since),
        credit.exchange.as_ref(),
        credit.pay.currency(),
        credit.part,
    )?;
    Ok((!net.gone).then_some(told))
}

/// A conversion that depends on no other event: its trace as it was credited, and what it comes to by now.
async fn alone(
    app: &App,
    conversion: &Conversion,
    outcome: &Outcome,
    credit: &Credit,
    now: Option<Entry>,
    differences: &mut Vec<DifferenceView>,
) -> Result<(), Error> {
    let failed = |error: MoneyError| Error::Failed(format!("a recomputation {error}"));
    let currency = credit.pay.currency();
    let mut differs = |figure: &str, stored: String, recomputed: String| {
        differences.push(DifferenceView {
            commission: Some(outcome.conversion),
            book: None,
            partner: credit.partner,
            figure: figure.to_owned(),
            stored,
            recomputed,
        });
    };
    let Some(plan) = plan_of(app, outcome.program, credit).await? else {
        let stored = format!("{} version {}", credit.plan, credit.plan_version);
        differs("plan", stored, String::new());
        return Ok(());
    };
    // What was taken back before it was credited was never priced.
    let was_priced = credit.reversed_at.is_none() || credit.revision > 0;
    if let (true, Some(first)) = (
        was_priced,
        told(&conversion.facts, &conversion.changes, credit),
    ) {
        let paid = price(&plan, &first, currency).map_err(failed)?;
        let stored = store::trace_text(&credit.trace, &credit.cuts);
        let recomputed = store::trace_text(&paid.steps, &paid.cuts);
        if stored != recomputed {
            differs("trace", stored, recomputed);
        }
    }
    let paid = now
        .as_ref()
        .map(|now| price(&plan, now, currency))
        .transpose()
        .map_err(failed)?;
    let recomputed = totals(paid.as_ref());
    let stored = std::iter::once(credit.total).chain(credit.levels.iter().map(|(_, share)| *share));
    for (level, stored) in stored.enumerate() {
        let minor = recomputed.get(level).copied().unwrap_or(0);
        if stored.minor() != minor {
            let figure = match level {
                0 => "total".to_owned(),
                level => format!("level {level}"),
            };
            let recomputed = Money::new(minor, currency).to_string();
            differs(&figure, stored.to_string(), recomputed);
        }
    }
    Ok(())
}

/// A book: its events as they follow from the conversions' facts, and what was posted in it.
async fn booked(
    app: &App,
    id: &BookId,
    expected: Vec<(ConversionId, PartnerId, Option<Entry>)>,
    differences: &mut Vec<DifferenceView>,
) -> Result<(), Error> {
    let failed = |error: MoneyError| Error::Failed(format!("a recomputation {error}"));
    let Opened {
        book,
        plans,
        entries,
    } = booking::open(app, id).await?;
    let name = store::books::partition(id);
    for (conversion, partner, now) in expected {
        let filed = entries.iter().find(|entry| entry.conversion == conversion);
        let now = now.map(|now| Entry {
            plan: filed.map_or(0, |filed| filed.plan),
            ..now
        });
        if filed != now.as_ref() {
            let shown = |entry: Option<&Entry>| {
                entry.map_or_else(String::new, |entry| {
                    format!("{:?} at {}", entry.amount, entry.counted_at)
                })
            };
            differences.push(DifferenceView {
                commission: Some(conversion),
                book: Some(name.clone()),
                partner,
                figure: "event".to_owned(),
                stored: shown(filed),
                recomputed: shown(now.as_ref()),
            });
        }
    }
    let program = crate::programs::program(app, id.program)
        .await?
        .ok_or_else(|| Error::Malformed("a book without its program".to_owned()))?;
    let currency = program.currency;
    let refs = plans.refs();
    let reckoned = reckon(
        refs.iter().copied(),
        currency,
        &entries,
        None,
        book.closed_until,
    )
    .map_err(failed)?;
    let mut partners: Vec<PartnerId> = reckoned
        .totals
        .keys()
        .chain(book.posted.keys())
        .copied()
        .collect();
    partners.sort_unstable();
    partners.dedup();
    for partner in partners {
        let (wanted, posted) = (reckoned.totals.get(&partner), book.posted.get(&partner));
        let deltas = difference(wanted, posted).map_err(failed)?;
        if deltas.iter().any(|delta| *delta != 0) {
            let shown = |totals: Option<&Vec<i64>>| {
                let totals: Vec<String> = totals
                    .into_iter()
                    .flatten()
                    .map(|minor| Money::new(*minor, currency).to_string())
                    .collect();
                totals.join(", ")
            };
            differences.push(DifferenceView {
                commission: None,
                book: Some(name.clone()),
                partner,
                figure: "book".to_owned(),
                stored: shown(posted),
                recomputed: shown(wanted),
            });
        }
    }
    Ok(())
}
