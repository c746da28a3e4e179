//! The ledger: what stands where, what moved, and statements that add up.

pub mod error;
pub mod model;
pub mod store;

use std::time::Duration;

use error::LedgerError;
use model::{
    Account, AccountId, Balance, Section, Transfer, complete, last_to_read, sections, total,
    total_at_end_of,
};
use store::ListFrom;

use crate::clock::{Timestamp, last_month_before, month};
use crate::edge::App;
use crate::ids::PartnerId;

/// Most transfers of one statement: it then stays below what a function may answer (6 MB).
pub const MAX_STATEMENT_LINES: usize = 10_000;
/// Most transfers read for one statement: those of the months that the period touches.
const MAX_STATEMENT_READ: usize = 100_000;
/// Entries of the list in one read: ten `BatchGetItem` calls at once follow.
const LIST_PAGE: usize = 1_000;
/// Tries until accounts and list agree, with waits between that outlast the usual lag of an index.
const STATEMENT_TRIES: u32 = 6;
const STATEMENT_WAIT_MS: u64 = 40;

/// A partner's balances by currency.
///
/// # Errors
/// The table's.
pub async fn balances(app: &App, partner: PartnerId) -> Result<Vec<Balance>, LedgerError> {
    Ok(total(&store::accounts(&app.main, partner).await?)?)
}

/// A page of a partner's transfers, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn transfers(
    app: &App,
    partner: PartnerId,
    below: Option<&str>,
    limit: usize,
) -> Result<(Vec<Transfer>, Option<String>), LedgerError> {
    let accounts = store::accounts(&app.main, partner).await?;
    let begin = below.and_then(position);
    let mut found = Vec::new();
    for month in months(&accounts).into_iter().rev() {
        let from = match &begin {
            Some((begin, _)) if month > *begin => continue,
            Some((begin, position)) if month == *begin => ListFrom::Below(position.clone()),
            _ => ListFrom::Newest,
        };
        let wanted = limit - found.len();
        let (entries, more) = store::entries(&app.main, partner, month, from, wanted).await?;
        found.extend(
            entries
                .into_iter()
                .map(|entry| (format!("{month}#{}", entry.sort), entry)),
        );
        if more || found.len() == limit {
            break;
        }
    }
    let next = found
        .last()
        .filter(|_| found.len() == limit)
        .map(|(position, _)| position.clone());
    let entries: Vec<_> = found.into_iter().map(|(_, entry)| entry).collect();
    Ok((store::read(&app.main, &entries).await?, next))
}

/// `<yyyymm>#<list position>`, as a cursor holds it.
fn position(text: &str) -> Option<(u32, String)> {
    // DynamoDB takes no empty key.
    let (month, position) = text.split_once('#').filter(|(_, rest)| !rest.is_empty())?;
    Some((month.parse().ok()?, position.to_owned()))
}

/// The months with transfers, oldest first.
fn months(accounts: &[Account]) -> Vec<u32> {
    let mut months: Vec<u32> = accounts
        .iter()
        .flat_map(|account| account.posted.keys().copied())
        .collect();
    months.sort_unstable();
    months.dedup();
    months
}

/// A partner's statement from `from` on, up to but not including `to`; without `to`, or with one that is
/// not past, up to this moment, so that the closing equals the balances. One section per currency.
///
/// The accounts are the truth; the list is read until it has exactly the transfers the accounts count. Only
/// the months of the period are read: what later ones changed, the accounts' sums tell.
///
/// # Errors
/// `PeriodTooLong`; `Behind` when transfers keep being posted; the table's.
pub async fn statement(
    app: &App,
    partner: PartnerId,
    from: Timestamp,
    to: Option<Timestamp>,
) -> Result<Vec<Section>, LedgerError> {
    let to = to.filter(|to| *to < app.now());
    let (first, until) = (month(from), to.map_or(u32::MAX, last_month_before));
    let mut accounts = store::accounts(&app.main, partner).await?;
    for round in 0..STATEMENT_TRIES {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(STATEMENT_WAIT_MS << round)).await;
        }
        let last = last_to_read(&accounts, until);
        let mut transfers = between(app, partner, &accounts, first, last).await?;
        // What happened in one instant reads in the order in which money moves.
        transfers.sort_by_key(|transfer| (transfer.at, transfer.kind));
        // Transfers posted while the list was read stand in accounts that are read after it.
        let after = store::accounts(&app.main, partner).await?;
        // Only they count: an earlier state could have as many transfers and not be the same ones.
        if last_to_read(&after, until) == last && complete(&after, &transfers, first, last) {
            let sections = sections(total_at_end_of(&after, last)?, transfers, from, to)?;
            let lines: usize = sections.iter().map(|section| section.lines.len()).sum();
            return if lines > MAX_STATEMENT_LINES {
                Err(LedgerError::PeriodTooLong {
                    most: MAX_STATEMENT_LINES,
                })
            } else {
                Ok(sections)
            };
        }
        accounts = after;
    }
    Err(LedgerError::Behind)
}

/// All transfers that the list has in the months from the first to the last, oldest first.
async fn between(
    app: &App,
    partner: PartnerId,
    accounts: &[Account],
    first: u32,
    last: u32,
) -> Result<Vec<Transfer>, LedgerError> {
    let mut found = Vec::new();
    for month in months(accounts) {
        if !(first..=last).contains(&month) {
            continue;
        }
        let mut position = String::new();
        loop {
            let from = ListFrom::Above(position);
            let (entries, more) =
                store::entries(&app.main, partner, month, from, LIST_PAGE).await?;
            found.extend(store::read(&app.main, &entries).await?);
            if found.len() > MAX_STATEMENT_READ {
                return Err(LedgerError::PeriodTooLong {
                    most: MAX_STATEMENT_READ,
                });
            }
            match entries.last() {
                Some(last) if more => position = last.sort.clone(),
                _ => break,
            }
        }
    }
    Ok(found)
}

/// What the months of a calendar year (UTC) changed in accounts of one partner. Months that the accounts' sums
/// hold whole are not read; of those before, and of the one in which summing began, the transfers are.
///
/// # Errors
/// `PeriodTooLong`; `Behind` when the list of a month has other transfers than the account counts; the table's.
pub async fn changes_of_year(
    app: &App,
    partner: PartnerId,
    accounts: &[Account],
    year: i16,
) -> Result<Vec<(AccountId, u32, Balance)>, LedgerError> {
    let mut changes = Vec::new();
    for account in accounts {
        let of_year = |month: &&u32| i64::from(**month) / 100 == i64::from(year);
        for month in account.posted.keys().filter(of_year) {
            let is_whole = account.summed_from.is_some_and(|first| *month > first);
            let zero = Balance::zero(account.id.currency);
            let change = if is_whole {
                account.changes.get(month).copied().unwrap_or(zero)
            } else {
                month_of(app, partner, account, *month).await?
            };
            changes.push((account.id, *month, change));
        }
    }
    Ok(changes)
}

/// What a month changed in an account, from its transfers.
async fn month_of(
    app: &App,
    partner: PartnerId,
    account: &Account,
    month: u32,
) -> Result<Balance, LedgerError> {
    let mut account = account.clone();
    for round in 0..STATEMENT_TRIES {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(STATEMENT_WAIT_MS << round)).await;
            // What was posted meanwhile stands in an account that is read after it.
            let again = store::accounts(&app.main, partner).await?;
            let same = |one: &Account| one.id == account.id;
            account = again.into_iter().find(same).ok_or(LedgerError::Behind)?;
        }
        let one = std::slice::from_ref(&account);
        let mut own = between(app, partner, one, month, month).await?;
        own.retain(|transfer| transfer.account == account.id);
        if complete(one, &own, month, month) {
            let zero = Balance::zero(account.id.currency);
            return Ok(own.iter().try_fold(zero, Balance::after)?);
        }
    }
    Err(LedgerError::Behind)
}
