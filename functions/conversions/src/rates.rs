//! `/v1/rates`: what amounts of one currency are in another, by date.

use axum::extract::State;
use serde_json::Value;
use tributary::clock::{Date, Timestamp, date_of, days_after, parse_date};
use tributary::edge::{App, Body, Cursor, Fields, Limit, Operator, Problem, Query, Reply, codes};
use tributary::money::Currency;
use tributary::operators::model::Scope;
use tributary::rates;
use tributary::rates::model::{
    MAX_AHEAD_DAYS, MAX_RATE, MAX_RATES, MAX_SOURCE, RateFault, StoredRate, read_rate,
};

use crate::schema::{RateListView, RateView, RatesBody, RatesView};

/// Characters of a date, and some, so that what is none is told as such.
const MAX_DATE: usize = 40;
/// Characters of a rate.
const MAX_RATE_TEXT: usize = 40;

/// Store exchange rates.
///
/// All of the list or none. A conversion in another currency than its program's is converted at the rate
/// from its own currency to the program's that is dated on the day of the event in UTC, or the latest within
/// seven days before; inverse rates are not derived. A stored rate never changes, because what it was used
/// for is explained by it: the same again changes nothing, another rate or source for the same pair and date
/// is refused as `rate_fixed`. Asks for the scope `finance`.
#[utoipa::path(put, path = "/v1/rates", tag = "rates", security(("operator_key" = [])),
    request_body = RatesBody,
    responses((status = 200, description = "As they are stored", body = RatesView),
        (status = 409, description = "`rate_fixed`, naming each"),
        (status = 422, description = "`decimal_malformed`, `amount_too_precise` for more than ten digits after the point, `rate_over_limit`, `date_malformed`, `currency_same`, `time_in_future`")))]
pub(crate) async fn keep(
    State(app): State<App>,
    operator: Operator,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Finance])?;
    let now = app.now();
    let stated = read(&body.0, now)?;
    let kept = rates::keep(&app, stated).await?;
    Ok(Reply::ok(&RatesView {
        items: kept.iter().map(RateView::of).collect(),
    }))
}

fn read(body: &Value, now: Timestamp) -> Result<Vec<StoredRate>, Problem> {
    Fields::read(body, |f| f.objects("rates", 1, MAX_RATES, |f| one(f, now)))
}

fn one(f: &mut Fields<'_>, now: Timestamp) -> Option<StoredRate> {
    let from = f.currency("from");
    let to = f.currency("to");
    if from.is_some() && from == to {
        f.refuse(codes::CURRENCY_SAME, "to", codes::CURRENCY_SAME.meaning);
    }
    let rate = rate(f);
    let date = f.parsed(
        "date",
        MAX_DATE,
        codes::DATE_MALFORMED,
        codes::DATE_MALFORMED.meaning,
        parse_date,
    );
    if date.is_some_and(|date| date > date_of(days_after(now, MAX_AHEAD_DAYS))) {
        let reason = format!("lies more than {MAX_AHEAD_DAYS} day ahead");
        f.refuse(codes::TIME_IN_FUTURE, "date", reason);
    }
    let source = f.text("source", MAX_SOURCE);
    Some(StoredRate {
        from: from?,
        to: to?,
        rate: rate?,
        date: date?,
        source: source?,
        created_at: now,
    })
}

fn rate(f: &mut Fields<'_>) -> Option<tributary::money::Rate> {
    if matches!(f.raw("rate"), Some(Value::Number(_))) {
        let reason = "is a decimal string such as \"0.8512\", not a number";
        f.refuse(codes::DECIMAL_STRING_EXPECTED, "rate", reason);
        return None;
    }
    let text = f.text("rate", MAX_RATE_TEXT)?;
    let (code, reason) = match read_rate(&text) {
        Ok(rate) => return Some(rate),
        Err(RateFault::Zero) => (codes::OUT_OF_RANGE, "is above zero".to_owned()),
        Err(RateFault::TooLarge) => (codes::RATE_OVER_LIMIT, format!("is at most {MAX_RATE}")),
        Err(RateFault::Malformed(error)) => (error.into(), error.to_string()),
    };
    f.refuse(code, "rate", reason);
    None
}

/// List a pair's exchange rates, newest first, or find the one for an event.
///
/// With `date` there is at most one entry: the rate at which an event of that date in UTC is converted now.
#[utoipa::path(get, path = "/v1/rates", tag = "rates", security(("operator_key" = [])),
    params(("from" = String, Query, description = "The currency that is given"),
        ("to" = String, Query, description = "The currency that is got"),
        ("date" = Option<String>, Query, description = "The rate for events of this date"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = RateListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    operator: Operator,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let (from, to, date) = asked(&query)?;
    if let Some(date) = date {
        let found = rates::at(&app, from, to, date).await?;
        return Ok(Reply::ok(&RateListView {
            items: found.iter().map(|rate| RateView::of(rate)).collect(),
            next_cursor: None,
        }));
    }
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("rates?from={from}&to={to}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = rates::list(&app, from, to, below, limit).await?;
    Ok(Reply::ok(&RateListView {
        items: found.iter().map(RateView::of).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

fn asked(query: &Query) -> Result<(Currency, Currency, Option<Date>), Problem> {
    query.only(&["from", "to", "date", "limit", "cursor"])?;
    Fields::read_pairs(&query.0, |f| {
        let from = f.currency("from");
        let to = f.currency("to");
        let date = f.opt_parsed(
            "date",
            MAX_DATE,
            codes::DATE_MALFORMED,
            codes::DATE_MALFORMED.meaning,
            parse_date,
        );
        // Read as those of any list.
        let _ = (f.raw("limit"), f.raw("cursor"));
        Some((from?, to?, date))
    })
}
