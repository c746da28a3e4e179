//! Keys and items of plan versions.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{Assignment, PlanVersion, Terms};
use super::wire;
use crate::clock::Timestamp;
use crate::ids::ProgramId;
use crate::money::Currency;
use crate::table::{Error, Index, Key, Op, Put, Range, Table, from_item};

/// Versions of one plan read at a time.
const PLAN_PAGE: usize = 100;

fn plan_key(program: ProgramId, code: &str, version: u32) -> Key {
    Key::new(
        format!("PROG#{program}"),
        format!("PLAN#{code}#{version:06}"),
    )
}

#[derive(Serialize, Deserialize)]
struct PlanItem {
    pk: String,
    sk: String,
    program: ProgramId,
    code: String,
    version: u32,
    currency: String,
    effective_from: Timestamp,
    hold_days: u32,
    /// The terms as requests state them, as one JSON text: they are read whole or not at all.
    terms: String,
    created_at: Timestamp,
}

/// A plan from a moment on, as links, enrolments and programs hold it.
#[derive(Serialize, Deserialize)]
pub struct AssignmentItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
}

/// Assignments as they are stored.
#[must_use]
pub fn assignment_items(assignments: Vec<Assignment>) -> Vec<AssignmentItem> {
    assignments
        .into_iter()
        .map(|Assignment { plan, from }| AssignmentItem { plan, from })
        .collect()
}

/// Assignments that were stored.
#[must_use]
pub fn assignments(items: Vec<AssignmentItem>) -> Vec<Assignment> {
    items
        .into_iter()
        .map(|AssignmentItem { plan, from }| Assignment { plan, from })
        .collect()
}

/// The put of a plan version.
///
/// # Errors
/// Never for a well-formed version.
pub fn put_plan(plan: &PlanVersion, currency: Currency) -> Result<Op, Error> {
    let PlanVersion {
        program,
        code,
        version,
        effective_from,
        hold_days,
        terms,
        created_at,
    } = plan.clone();
    let Key { pk, sk } = plan_key(program, &code, version);
    Ok(Op::Put(Put::new(&PlanItem {
        pk,
        sk,
        program,
        code,
        version,
        currency: currency.code().to_owned(),
        effective_from,
        hold_days,
        terms: write_terms(&terms, currency),
        created_at,
    })?))
}

fn plan(item: PlanItem) -> Result<PlanVersion, Error> {
    let PlanItem {
        pk: _,
        sk: _,
        program,
        code,
        version,
        currency,
        effective_from,
        hold_days,
        terms,
        created_at,
    } = item;
    Ok(PlanVersion {
        program,
        code,
        version,
        effective_from,
        hold_days,
        terms: read_terms(&terms, &currency)?,
        created_at,
    })
}

/// Terms as one JSON text.
#[must_use]
pub fn write_terms(terms: &Terms, currency: Currency) -> String {
    wire::write(terms, currency).to_string()
}

/// Terms that were stored as one JSON text.
///
/// # Errors
/// `Malformed`.
pub fn read_terms(text: &str, currency: &str) -> Result<Terms, Error> {
    let malformed = |what: String| Error::Malformed(format!("a plan's terms: {what}"));
    let currency = currency
        .parse()
        .map_err(|_| malformed(format!("{currency} is not a currency")))?;
    let value: Value = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    wire::terms(&value, currency).map_err(malformed)
}

/// All versions of a plan, oldest first.
///
/// # Errors
/// The table's.
pub async fn plan_versions(
    table: &Table,
    program: ProgramId,
    code: &str,
) -> Result<Vec<PlanVersion>, Error> {
    let range = Range::partition(Index::Base, format!("PROG#{program}"), PLAN_PAGE)
        .beginning(format!("PLAN#{code}#"));
    let items: Vec<PlanItem> = table.all(range).await?;
    items.into_iter().map(plan).collect()
}

/// The number of a plan's newest version; 0 when there is none.
///
/// # Errors
/// The table's.
pub async fn last_version(table: &Table, program: ProgramId, code: &str) -> Result<u32, Error> {
    let range = Range::partition(Index::Base, format!("PROG#{program}"), 1)
        .beginning(format!("PLAN#{code}#"))
        .newest_first();
    match table.page(&range).await?.items.pop() {
        None => Ok(0),
        Some(item) => Ok(from_item::<PlanItem>(item)?.version),
    }
}

/// A page of a program's plan versions by code and version, after a position; all plans', or one's.
///
/// # Errors
/// The table's.
pub async fn plans(
    table: &Table,
    program: ProgramId,
    code: Option<&str>,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<PlanVersion>, Option<String>), Error> {
    let prefix = code.map_or_else(|| "PLAN#".to_owned(), |code| format!("PLAN#{code}#"));
    // Never among the program's other items, whatever position a caller makes up.
    let low = after
        .map(|after| format!("{after}\0"))
        .filter(|low| low.starts_with(&prefix))
        .unwrap_or_else(|| prefix.clone());
    let range = Range::partition(Index::Base, format!("PROG#{program}"), limit)
        .between(low, format!("{prefix}\u{10FFFF}"));
    let page = table.page(&range).await?;
    let position = page.items.last().filter(|_| page.more).and_then(Key::of);
    let found = page
        .items
        .into_iter()
        .map(|item| plan(from_item(item)?))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok((found, position.map(|key| key.sk)))
}
