//! What lies ahead: the value of a program's deals by stage, age and partner, and deals as a sheet.

use std::collections::BTreeMap;

use super::error::DealError;
use super::model::{Deal, REJECT_REASONS, State, name_of};
use super::policy::Benefit;
use super::{Filter, Known, Listed, list};
use crate::clock::Timestamp;
use crate::edge::App;
use crate::ids::{PartnerId, ProgramId};
use crate::money::{Money, MoneyError};
use crate::reports::paper;

/// States whose deals may still be won, in the order of their way.
pub const OPEN: [State; 4] = [
    State::Submitted,
    State::InReview,
    State::NeedsInformation,
    State::Approved,
];
/// Ages by their upper bounds in days, the last one open.
pub const AGES: [u32; 3] = [30, 60, 90];
/// Deals of a state that a report reads; a program with more of them is told so.
pub const MAX_READ: usize = 2_000;
/// Deals read at once.
const READ: usize = 200;

/// How many, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Deals.
    pub deals: u32,
    /// The sum of their amounts.
    pub amount: Money,
}

impl Sum {
    fn add(&mut self, amount: Money) -> Result<(), MoneyError> {
        self.deals += 1;
        self.amount = self.amount.plus(amount)?;
        Ok(())
    }
}

/// The value of the deals that may still be won.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// All.
    pub total: Sum,
    /// By state, in the order of [`OPEN`].
    pub stages: Vec<(State, Sum)>,
    /// By days since they were handed in, in the order of [`AGES`], and then the older ones.
    pub ages: Vec<Sum>,
    /// By partner, the most valuable first.
    pub partners: Vec<(PartnerId, Sum)>,
    /// Whether there are more deals than were read.
    pub truncated: bool,
}

/// Sums deals up, all in the currency of `zero`.
///
/// # Errors
/// `OverLimit`, `CurrencyMismatch`.
pub fn pipeline(
    deals: &[Deal],
    zero: Money,
    now: Timestamp,
    truncated: bool,
) -> Result<Pipeline, MoneyError> {
    let none = Sum {
        deals: 0,
        amount: zero,
    };
    let mut total = none;
    let mut stages = OPEN.map(|state| (state, none));
    let mut ages = [none; AGES.len() + 1];
    let mut partners: BTreeMap<PartnerId, Sum> = BTreeMap::new();
    for deal in deals {
        let Some((_, stage)) = stages.iter_mut().find(|(state, _)| *state == deal.state) else {
            continue;
        };
        let amount = deal.subject.amount;
        stage.add(amount)?;
        total.add(amount)?;
        let since = deal.submitted_at.unwrap_or(deal.created_at);
        let days = now.duration_since(since).as_hours() / 24;
        let age = AGES.iter().position(|bound| days < i64::from(*bound));
        ages[age.unwrap_or(AGES.len())].add(amount)?;
        partners.entry(deal.partner).or_insert(none).add(amount)?;
    }
    let mut partners: Vec<_> = partners.into_iter().collect();
    partners.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.amount.minor()));
    Ok(Pipeline {
        total,
        stages: stages.into(),
        ages: ages.into(),
        partners,
        truncated,
    })
}

/// The pipeline of a program.
///
/// # Errors
/// The table's.
pub async fn of_program(app: &App, program: ProgramId, zero: Money) -> Result<Pipeline, DealError> {
    let mut deals = Vec::new();
    let mut truncated = false;
    for state in OPEN {
        let mut position = None;
        let mut read = 0;
        loop {
            let listed = Listed::State(program, state);
            let filter = Filter {
                state: Some(state),
                ..Filter::default()
            };
            let (page, next) = list(app, listed, filter, position, READ).await?;
            read += page.len();
            deals.extend(page.into_iter().map(|known| known.deal));
            position = next;
            if position.is_none() {
                break;
            }
            if read >= MAX_READ {
                truncated = true;
                break;
            }
        }
    }
    Ok(pipeline(&deals, zero, app.now(), truncated)?)
}

const HEADER: [&str; 20] = [
    "deal",
    "program",
    "partner",
    "state",
    "name",
    "customer",
    "domain",
    "country",
    "region",
    "product_lines",
    "amount",
    "currency",
    "expected_close",
    "created_at",
    "submitted_at",
    "protected_until",
    "benefit",
    "rejected_because",
    "won_amount",
    "conversion",
];

/// Deals as a CSV, the first page of it with a header. No cell begins a formula.
///
/// # Errors
/// None: its rows have one length.
pub fn csv(deals: &[Known], is_first: bool) -> Result<Vec<u8>, csv::Error> {
    let header = is_first.then(|| HEADER.map(str::to_owned));
    paper::csv(header.into_iter().chain(deals.iter().map(row)))
}

fn row(known: &Known) -> [String; HEADER.len()] {
    let Known { deal, details } = known;
    let said = |text: Option<&str>| text.map(paper::cell).unwrap_or_default();
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let subject = &deal.subject;
    let details = details.as_ref();
    let grant = deal.grant.as_ref();
    let benefit = grant.map(|grant| match &grant.benefit {
        Benefit::Commission { event } => format!("commission {event}"),
        Benefit::Discount { rate } => format!("discount {rate}"),
    });
    let reason = deal.rejection.as_ref();
    let reason = reason.map(|(reason, _)| name_of(REJECT_REASONS, *reason));
    let won = deal.won.as_ref();
    let close = subject.expected_close.map(|date| date.to_string());
    [
        deal.id.to_string(),
        deal.program.to_string(),
        deal.partner.to_string(),
        deal.state.name().to_owned(),
        said(details.map(|details| details.name.as_str())),
        said(details.and_then(|details| details.company.name.as_deref())),
        said(details.and_then(|details| details.domain())),
        subject.country.clone().unwrap_or_default(),
        said(subject.region.as_deref()),
        said(Some(&subject.product_lines.join(" "))),
        subject.amount.to_string(),
        subject.amount.currency().code().to_owned(),
        close.unwrap_or_default(),
        at(Some(deal.created_at)),
        at(deal.submitted_at),
        at(grant.map(|grant| grant.until)),
        benefit.unwrap_or_default(),
        reason.unwrap_or_default().to_owned(),
        won.map(|(amount, _)| amount.to_string())
            .unwrap_or_default(),
        won.and_then(|(_, conversion)| *conversion)
            .map(|id| id.to_string())
            .unwrap_or_default(),
    ]
}
