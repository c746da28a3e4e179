//! `replay`: recorded orders as conversions, for trying a plan on one's own history.
//!
//! One partner and one coupon per value of a chosen column; the orders' own times as `occurred_at`; plans
//! effective from before the first of them. A second run of the same file is all duplicates.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tributary::ids::digest;
use tributary::money::{Currency, Money};

use crate::api::{Api, Off, text};

/// What `replay` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Replay {
    /// Orders: CSV with a header, or JSON lines when the name ends in .jsonl or .ndjson
    pub file: PathBuf,
    /// Where Tributary runs
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub to: String,
    /// Operator key
    #[arg(long, env = "TRIBUTARY_OPERATOR_KEY", hide_env_values = true)]
    pub operator_key: Option<String>,
    /// File with the operator key
    #[arg(long, value_name = "FILE", default_value = ".tributary/operator-key")]
    pub operator_key_file: PathBuf,
    /// Name of the program that is made, or gone on with
    #[arg(long, default_value = "Replay")]
    pub program: String,
    /// Currency of the amounts
    #[arg(long, default_value = "GBP")]
    pub currency: String,
    /// Column with the order's id
    #[arg(long, default_value = "invoice")]
    pub transaction_column: String,
    /// Column with the amount in minor units, such as pence
    #[arg(long, default_value = "amount_minor", conflicts_with = "amount_column")]
    pub amount_minor_column: String,
    /// Column with the amount as a decimal
    #[arg(long)]
    pub amount_column: Option<String>,
    /// Column with the time
    #[arg(long, default_value = "occurred_at")]
    pub time_column: String,
    /// Column with the customer; left out where it is empty
    #[arg(long, default_value = "customer")]
    pub customer_column: String,
    /// Column whose values become partners
    #[arg(long, default_value = "country")]
    pub partner_column: String,
    /// The event that is posted
    #[arg(long, default_value = "sale")]
    pub event: String,
    /// Plan of one partner: VALUE=7.5% or VALUE=4.00 or VALUE=4.00+2%; several allowed
    #[arg(long = "plan", value_name = "VALUE=TERMS")]
    pub plans: Vec<PartnerTerms>,
    /// Plan of all other partners
    #[arg(long, default_value = "5%")]
    pub default_plan: Terms,
    /// Hold of every plan
    #[arg(long, default_value_t = 30)]
    pub hold_days: u32,
    /// Post the first so many orders only
    #[arg(long)]
    pub limit: Option<usize>,
    /// Requests under way at once
    #[arg(long, default_value_t = 16)]
    pub concurrency: usize,
}

/// What a plan pays: an amount per order, a share of it, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    flat: Option<String>,
    percent: Option<String>,
}

impl FromStr for Terms {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not like 7.5%, 4.00 or 4.00+2%");
        let mut terms = Self {
            flat: None,
            percent: None,
        };
        for part in text.split('+') {
            let slot = if part.ends_with('%') {
                &mut terms.percent
            } else {
                &mut terms.flat
            };
            let number = part.trim_end_matches('%');
            let digits =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
            if slot.is_some()
                || !digits(whole)
                || !digits(fraction)
                || whole.len() > 9
                || fraction.len() > 6
            {
                return Err(wrong());
            }
            *slot = Some(number.to_owned());
        }
        Ok(terms)
    }
}

impl Terms {
    /// The share as a rate: two places to the left.
    fn rate(percent: &str) -> String {
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
        let whole = format!("{whole:0>3}");
        let (ones, hundredths) = whole.split_at(whole.len() - 2);
        format!("{ones}.{hundredths}{fraction}")
    }

    fn components(&self, event: &str) -> Vec<Value> {
        let percent = self.percent.as_deref().map(
            |percent| json!({ "kind": "percent", "event": event, "rate": Self::rate(percent) }),
        );
        let flat = self
            .flat
            .as_deref()
            .map(|amount| json!({ "kind": "flat", "event": event, "amount": amount }));
        flat.into_iter().chain(percent).collect()
    }
}

/// The terms of one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerTerms(String, Terms);

impl FromStr for PartnerTerms {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (value, terms) = text
            .rsplit_once('=')
            .ok_or_else(|| format!("{text:?} is not VALUE=TERMS"))?;
        Ok(Self(value.to_owned(), terms.parse()?))
    }
}

/// Why a replay ends early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file.
    #[error("{}: {reason}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An order that cannot be read.
    #[error("order {number}: {reason}")]
    Order {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// No operator key.
    #[error("no operator key: give --operator-key, TRIBUTARY_OPERATOR_KEY or --operator-key-file")]
    NoKey,
    /// Something else than it should be.
    #[error(transparent)]
    Off(#[from] Off),
    /// No HTTP client.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// How the orders fared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All that were posted.
    pub sent: usize,
    /// New ones.
    pub accepted: usize,
    /// Known ones.
    pub duplicate: usize,
    /// Refused ones by reason.
    pub refused: BTreeMap<String, usize>,
}

struct Order {
    partner: String,
    body: Map<String, Value>,
}

/// Posts the orders and prints how they fared.
///
/// # Errors
/// [`ReplayError`]; orders that are refused are counted, not errors.
pub async fn replay(options: &Replay) -> Result<Summary, ReplayError> {
    let currency: Currency = options.currency.parse().map_err(|_| ReplayError::Order {
        number: 0,
        reason: format!("{} is no currency", options.currency),
    })?;
    let mut orders = read(options, currency)?;
    orders.truncate(options.limit.unwrap_or(usize::MAX));
    let key = match &options.operator_key {
        Some(key) => key.clone(),
        None => {
            std::fs::read_to_string(&options.operator_key_file).map_err(|_| ReplayError::NoKey)?
        }
    };
    let api = Api::new(&options.to, key.trim())?;
    let program = set_up(&api, options, &orders).await?;
    let bar = ProgressBar::new(orders.len() as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let begun = Instant::now();
    let path = format!("/v1/postbacks/{program}");
    let answers: Vec<(u16, Value)> = stream::iter(&orders)
        .map(|order| {
            let (api, path, bar) = (&api, &path, &bar);
            async move {
                let body = Value::Object(order.body.clone());
                let answer = api.send(Method::POST, path, Some(&body), None).await?;
                bar.inc(1);
                Ok::<_, Off>((answer.status.as_u16(), answer.json()))
            }
        })
        .buffer_unordered(options.concurrency.max(1))
        .try_collect()
        .await?;
    bar.finish_and_clear();
    let mut summary = Summary {
        sent: orders.len(),
        ..Summary::default()
    };
    for (status, body) in answers {
        match (status, text(&body, "/status").as_str()) {
            (200..=299, "duplicate") => summary.duplicate += 1,
            (200..=299, _) => summary.accepted += 1,
            _ => {
                *summary
                    .refused
                    .entry(format!("{status} {}", text(&body, "/code")))
                    .or_default() += 1
            }
        }
    }
    let elapsed_ms = begun.elapsed().as_millis().max(1);
    let refused: usize = summary.refused.values().sum();
    println!(
        "sent {}, accepted {}, duplicate {}, refused {refused}; {} conversions per second",
        summary.sent,
        summary.accepted,
        summary.duplicate,
        summary.sent as u128 * 1_000 / elapsed_ms,
    );
    for (reason, count) in &summary.refused {
        println!("  refused with {reason}: {count}");
    }
    println!("program {program}");
    Ok(summary)
}

fn read(options: &Replay, currency: Currency) -> Result<Vec<Order>, ReplayError> {
    let wrong = |reason: String| ReplayError::File {
        file: options.file.clone(),
        reason,
    };
    let mut content = String::new();
    std::fs::File::open(&options.file)
        .and_then(|mut file| file.read_to_string(&mut content))
        .map_err(|error| wrong(error.to_string()))?;
    let extension = options
        .file
        .extension()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let rows: Vec<Map<String, Value>> = if matches!(extension, "jsonl" | "ndjson") {
        let lines = content.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(error.to_string()))?
    } else {
        let mut reader =
            csv::Reader::from_reader(content.trim_start_matches('\u{feff}').as_bytes());
        reader
            .deserialize()
            .collect::<Result<Vec<BTreeMap<String, String>>, _>>()
            .map_err(|error| wrong(error.to_string()))?
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .map(|(name, value)| (name, Value::String(value)))
                    .collect()
            })
            .collect()
    };
    rows.iter()
        .enumerate()
        .map(|(at, row)| order(options, currency, row, at + 1))
        .collect()
}

fn order(
    options: &Replay,
    currency: Currency,
    row: &Map<String, Value>,
    number: usize,
) -> Result<Order, ReplayError> {
    let wrong = |reason: String| ReplayError::Order { number, reason };
    let column = |name: &str| match row.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(wrong(format!("has no column {name}"))),
    };
    let amount = match &options.amount_column {
        Some(name) => column(name)?,
        None => {
            let minor = column(&options.amount_minor_column)?;
            let minor = minor
                .parse()
                .map_err(|_| wrong(format!("{minor:?} is not an amount in minor units")))?;
            Money::new(minor, currency).to_string()
        }
    };
    let partner = column(&options.partner_column)?;
    let mut body = Map::from_iter([
        (
            "transaction_id".to_owned(),
            Value::String(column(&options.transaction_column)?),
        ),
        ("event".to_owned(), Value::String(options.event.clone())),
        ("amount".to_owned(), Value::String(amount)),
        (
            "currency".to_owned(),
            Value::String(currency.code().to_owned()),
        ),
        (
            "occurred_at".to_owned(),
            Value::String(column(&options.time_column)?),
        ),
        ("coupon".to_owned(), Value::String(coupon(&partner))),
    ]);
    // A file without the column simply names no customers.
    if let Some(customer) = column(&options.customer_column)
        .ok()
        .filter(|customer| !customer.is_empty())
    {
        body.insert("customer".to_owned(), Value::String(customer));
    }
    Ok(Order { partner, body })
}

/// The coupon of a partner: readable, and different where readable forms meet.
fn coupon(partner: &str) -> String {
    let readable: String = partner
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    let tie = digest("replay-coupon", &[partner]);
    format!(
        "{}-{:02X}{:02X}{:02X}",
        readable.to_uppercase(),
        tie[0],
        tie[1],
        tie[2]
    )
}

/// Makes the program, its plans, partners and coupons, or finds them: every request carries a key that is
/// derived from what it makes.
async fn set_up(api: &Api, options: &Replay, orders: &[Order]) -> Result<String, ReplayError> {
    let program = match find_program(api, &options.program).await? {
        Some(found) => found,
        None => {
            let made = api
                .post(
                    "/v1/programs",
                    &json!({
                        "name": options.program, "currency": options.currency,
                        "attribution": { "model": "last_click", "window_days": 30 },
                    }),
                )
                .await?;
            text(&made, "/id")
        }
    };
    let once = |parts: &[&str]| {
        let parts: Vec<&str> = std::iter::once(program.as_str())
            .chain(parts.iter().copied())
            .collect();
        digest("replay", &parts)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let earliest = orders
        .iter()
        .filter_map(|order| order.body.get("occurred_at")?.as_str())
        .min()
        .unwrap_or("2000-01-01T00:00:00Z");
    let mut partners: Vec<&str> = orders.iter().map(|order| order.partner.as_str()).collect();
    partners.sort_unstable();
    partners.dedup();
    for name in partners {
        let special = options
            .plans
            .iter()
            .find(|PartnerTerms(value, _)| value == name);
        let (code, terms) = special.map_or(
            ("default".to_owned(), &options.default_plan),
            |PartnerTerms(value, terms)| (coupon(value).to_lowercase(), terms),
        );
        let plan = json!({
            "code": code, "hold_days": options.hold_days, "effective_from": earliest,
            "components": terms.components(&options.event),
        });
        api.post_once(
            &format!("/v1/programs/{program}/plans"),
            &plan,
            &once(&["plan", &plan.to_string()]),
        )
        .await?;
        let partner = json!({ "name": name, "email": "replay@example.com", "country": "GB", "kind": "affiliate" });
        let made = api
            .post_once("/v1/partners", &partner, &once(&["partner", name]))
            .await?;
        let partner_id = text(&made, "/id");
        let enrolment = json!({ "program": program, "plan": code });
        api.post_once(
            &format!("/v1/partners/{partner_id}/enrolments"),
            &enrolment,
            &once(&["enrolment", name]),
        )
        .await?;
        let coupon = json!({ "program": program, "partner": partner_id, "code": coupon(name) });
        api.post_once("/v1/coupons", &coupon, &once(&["coupon", name]))
            .await?;
    }
    Ok(program)
}

async fn find_program(api: &Api, name: &str) -> Result<Option<String>, Off> {
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/programs?limit=200{cursor}")).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        if let Some(found) = items.iter().find(|item| item["name"] == name) {
            return Ok(Some(text(found, "/id")));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(None),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn terms_become_components() {
        let read = |text: &str| text.parse::<Terms>().unwrap().components("sale");
        assert_eq!(
            read("7.5%"),
            [json!({ "kind": "percent", "event": "sale", "rate": "0.075" })]
        );
        assert_eq!(
            read("2%"),
            [json!({ "kind": "percent", "event": "sale", "rate": "0.02" })]
        );
        assert_eq!(
            read("100%"),
            [json!({ "kind": "percent", "event": "sale", "rate": "1.00" })]
        );
        assert_eq!(
            read("4.00+2%"),
            [
                json!({ "kind": "flat", "event": "sale", "amount": "4.00" }),
                json!({ "kind": "percent", "event": "sale", "rate": "0.02" }),
            ]
        );
        for wrong in ["", "%", "x", "1+2", "1%+2%", "-1%", "1e3"] {
            assert!(wrong.parse::<Terms>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn partners_with_alike_names_have_coupons_of_their_own() {
        assert_ne!(coupon("Korea (North)"), coupon("Korea, North"));
        assert_eq!(coupon("EIRE"), coupon("EIRE"));
    }
}
