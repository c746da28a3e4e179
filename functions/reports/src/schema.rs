//! What reports' requests and answers look like.

use serde::Serialize;
use tributary::ledger::model::Balance;
use tributary::money::Money;
use tributary::reports::model::{Closing, Stage, Tally};
use utoipa::ToSchema;

/// A month to close.
#[derive(ToSchema)]
#[schema(as = ClosePeriod, example = json!({"period": "2026-03"}))]
pub struct CloseBody {
    /// A calendar month in UTC.
    pub period: String,
}

/// A month of a program that is closed or being closed.
#[derive(Serialize, ToSchema)]
#[schema(as = Period, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "period": "2026-03", "state": "closed", "asked_by": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "asked_at": "2026-04-02T07:00:00Z", "closed_at": "2026-04-02T07:01:00Z", "journal_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "transfers": 1, "totals": [{"currency": "GBP", "turnover": "14.70", "commissions": "-14.70", "pending": "14.70", "payable": "0.00", "in_transit": "0.00", "paid": "0.00"}]}))]
pub struct PeriodView {
    /// Whose.
    pub program: String,
    /// The calendar month.
    pub period: String,
    /// `closing` or `closed`.
    pub state: &'static str,
    /// The operator who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_at: String,
    /// When it was closed.
    pub closed_at: Option<String>,
    /// The SHA-256 of its journal, all pages one after the other; `null` until it is closed.
    pub journal_sha256: Option<String>,
    /// Transfers in it; `null` until it is closed.
    pub transfers: Option<u64>,
    /// What they come to, by currency; empty until it is closed.
    pub totals: Vec<PeriodTotalView>,
}

/// What a closed month's transfers come to in one currency.
#[derive(Serialize, ToSchema)]
#[schema(as = PeriodTotal)]
pub struct PeriodTotalView {
    /// Currency.
    pub currency: &'static str,
    /// What its journal debits, and what it credits.
    pub turnover: String,
    /// The change of the program's side: below zero, what was granted.
    pub commissions: String,
    /// The change of what is held.
    pub pending: String,
    /// The change of what goes into the next payouts.
    pub payable: String,
    /// The change of what is in payouts.
    pub in_transit: String,
    /// The change of what has arrived. All five changes add up to zero.
    pub paid: String,
}

/// A page of closed months.
#[derive(Serialize, ToSchema)]
#[schema(as = PeriodList)]
pub struct PeriodListView {
    /// Newest first.
    pub items: Vec<PeriodView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

fn total(tally: &Tally) -> PeriodTotalView {
    let Tally {
        transfers: _,
        turnover,
        commissions,
        change:
            Balance {
                currency,
                pending,
                payable,
                in_transit,
                paid,
            },
    } = *tally;
    let text = |minor| Money::new(minor, currency).to_string();
    PeriodTotalView {
        currency: currency.code(),
        turnover: text(turnover),
        commissions: text(commissions),
        pending: text(pending),
        payable: text(payable),
        in_transit: text(in_transit),
        paid: text(paid),
    }
}

/// A closing as callers see it; its figures are told once they are final.
#[must_use]
pub fn period(closing: &Closing) -> PeriodView {
    let Closing {
        program,
        period,
        stage,
        place: _,
        tally,
        hash,
        step: _,
        asked_by,
        asked_at,
        closed_at,
    } = closing;
    let is_closed = *stage == Stage::Closed;
    PeriodView {
        program: program.to_string(),
        period: period.to_string(),
        state: stage.state(),
        asked_by: asked_by.to_string(),
        asked_at: asked_at.to_string(),
        closed_at: closed_at.map(|at| at.to_string()),
        journal_sha256: is_closed.then(|| hash.clone()),
        transfers: is_closed.then_some(tally.transfers),
        totals: is_closed.then(|| total(tally)).into_iter().collect(),
    }
}
