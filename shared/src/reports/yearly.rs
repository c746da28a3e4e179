//! What partners were paid in a calendar year, by the time of settlement, and which thresholds of tax reporting
//! that reaches.

use std::collections::BTreeMap;

use super::error::ReportError;
use super::journal::program;
use super::model::{Reached, Yearly, reached};
use super::thresholds;
use crate::edge::App;
use crate::ids::{PartnerId, ProgramId};
use crate::ledger;
use crate::ledger::model::Account;
use crate::money::{Currency, Money};
use crate::partners;
use crate::partners::holders;

/// One partner's year.
#[derive(Clone, Debug)]
pub struct PartnerYear {
    /// Whose.
    pub partner: PartnerId,
    /// Where it pays its taxes, as far as is known.
    pub country: String,
    /// What it was paid, by currency; currencies in which it was paid nothing are left out.
    pub totals: Vec<Yearly>,
    /// The thresholds of its country and the year.
    pub thresholds: Vec<Reached>,
}

/// What a partner was paid in a year, over all programs. `None` when there is no such partner.
///
/// # Errors
/// `Behind`; the table's.
pub async fn of_partner(
    app: &App,
    partner: PartnerId,
    year: i16,
) -> Result<Option<PartnerYear>, ReportError> {
    let Some(country) = partners::tax_countries(app, &[partner])
        .await?
        .remove(&partner)
    else {
        return Ok(None);
    };
    let accounts = ledger::store::accounts(&app.main, partner).await?;
    Ok(Some(one(app, partner, country, &accounts, year).await?))
}

async fn one(
    app: &App,
    partner: PartnerId,
    country: String,
    accounts: &[Account],
    year: i16,
) -> Result<PartnerYear, ReportError> {
    let mut paid = BTreeMap::<Currency, BTreeMap<u32, i64>>::new();
    for (account, month, change) in ledger::changes_of_year(app, partner, accounts, year).await? {
        let months = paid.entry(account.currency).or_default();
        let sum = months.entry(month).or_default();
        *sum = sum
            .checked_add(change.paid)
            .ok_or(crate::money::MoneyError::OverLimit)?;
    }
    let mut totals = Vec::new();
    for (currency, months) in paid {
        let months: BTreeMap<u32, Money> = months
            .into_iter()
            .filter(|(_, minor)| *minor != 0)
            .map(|(month, minor)| (month, Money::new(minor, currency)))
            .collect();
        let total = months
            .values()
            .try_fold(Money::zero(currency), |sum, month| sum.plus(*month))?;
        if !months.is_empty() {
            totals.push(Yearly {
                paid: total,
                months,
            });
        }
    }
    let thresholds = reached(thresholds::all(), year, &country, &totals);
    Ok(PartnerYear {
        partner,
        country,
        totals,
        thresholds,
    })
}

/// A page of what a program's partners were paid in a year, in the order in which they were made, and the
/// position to go on from. Partners that were paid nothing are left out, so a page may be short.
///
/// # Errors
/// `ProgramNotFound`; `Behind`; the table's.
pub async fn of_program(
    app: &App,
    id: ProgramId,
    year: i16,
    after: Option<String>,
) -> Result<(Vec<PartnerYear>, Option<String>), ReportError> {
    let program = program(app, id).await?;
    let after = after.unwrap_or_default();
    let (holders, end, more) = holders(app, id, program.currency, &after).await?;
    let months = i32::from(year) * 100;
    let paid: Vec<Account> = holders
        .into_iter()
        .map(|holder| holder.account)
        .filter(|account| {
            let of_year = |month: &u32| i64::from(*month) / 100 * 100 == i64::from(months);
            account.posted.keys().any(of_year)
        })
        .collect();
    let ids: Vec<PartnerId> = paid.iter().map(|account| account.id.partner).collect();
    let mut countries = partners::tax_countries(app, &ids).await?;
    let mut found = Vec::new();
    for account in paid {
        let partner = account.id.partner;
        let country = countries.remove(&partner).unwrap_or_default();
        let year = one(app, partner, country, &[account], year).await?;
        if !year.totals.is_empty() {
            found.push(year);
        }
    }
    Ok((found, more.then_some(end)))
}
