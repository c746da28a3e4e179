//! `replay`: recorded orders as conversions, for trying a plan on one's own history.
//!
//! One partner and one coupon per value of a chosen column; the orders' own times as `occurred_at`; plans
//! effective from before the first of them. A second run of the same file is all duplicates.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tributary::clock::{self, Timestamp};
use tributary::ids::digest;
use tributary::money::{Currency, Money};

use crate::api::{Answer, Api, Off, text};

/// Refused orders that are told one by one for each reason; the others are only counted.
const TOLD: usize = 20;

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
    /// File to append each conversion's id to as soon as it is acknowledged
    #[arg(long, value_name = "FILE")]
    pub acknowledged: Option<PathBuf>,
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
    /// No currency.
    #[error("{0} is no currency")]
    Currency(String),
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
    /// Refused ones by reason: by the server, or not even sent because they cannot be read.
    pub refused: BTreeMap<String, Vec<Refusal>>,
}

/// An order that did not become a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file's line it begins on.
    pub line: u64,
    /// The order's id, unless it could not be read.
    pub order: Option<String>,
    /// What is the matter.
    pub detail: String,
}

impl Summary {
    /// How many orders were refused.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.refused.values().map(Vec::len).sum()
    }

    fn refuse(&mut self, reason: impl Into<String>, refusal: Refusal) {
        self.refused.entry(reason.into()).or_default().push(refusal);
    }

    fn print(&self, elapsed_ms: u128) {
        println!(
            "sent {}, accepted {}, duplicate {}, refused {}; {} conversions per second",
            self.sent,
            self.accepted,
            self.duplicate,
            self.refusals(),
            self.sent as u128 * 1_000 / elapsed_ms.max(1),
        );
        for (reason, refused) in &self.refused {
            println!("  refused with {reason}: {}", refused.len());
            for Refusal {
                line,
                order,
                detail,
            } in refused.iter().take(TOLD)
            {
                match order {
                    Some(order) => println!("    line {line}, order {order}: {detail}"),
                    None => println!("    line {line}: {detail}"),
                }
            }
            if refused.len() > TOLD {
                println!("    and {} more", refused.len() - TOLD);
            }
        }
    }
}

#[derive(Debug)]
struct Order {
    line: u64,
    transaction: String,
    partner: String,
    at: Timestamp,
    body: Map<String, Value>,
}

impl Order {
    fn refusal(&self, detail: String) -> Refusal {
        Refusal {
            line: self.line,
            order: Some(self.transaction.clone()),
            detail,
        }
    }
}

/// Posts the orders and prints how they fared.
///
/// # Errors
/// [`ReplayError`]; orders that are refused are counted, not errors.
pub async fn replay(options: &Replay) -> Result<Summary, ReplayError> {
    let currency: Currency = options
        .currency
        .parse()
        .map_err(|_| ReplayError::Currency(options.currency.clone()))?;
    let in_file = |file: &PathBuf, error: std::io::Error| ReplayError::File {
        file: file.clone(),
        reason: error.to_string(),
    };
    let content = std::fs::read(&options.file).map_err(|error| in_file(&options.file, error))?;
    let mut rows = read(options, currency, &content)?;
    rows.truncate(options.limit.unwrap_or(usize::MAX));
    let mut summary = Summary::default();
    let mut orders = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Ok(order) => orders.push(order),
            Err(refusal) => summary.refuse("an unreadable row", refusal),
        }
    }
    let key = match &options.operator_key {
        Some(key) => key.clone(),
        None => {
            std::fs::read_to_string(&options.operator_key_file).map_err(|_| ReplayError::NoKey)?
        }
    };
    let acknowledged = match &options.acknowledged {
        Some(path) => {
            let opened = File::options().create(true).append(true).open(path);
            Some(opened.map_err(|error| in_file(path, error))?)
        }
        None => None,
    };
    let api = Api::new(&options.to, key.trim())?;
    let program = make_program(&api, options).await?;
    // The text as it stands in the file, so that the same file makes the same plan.
    let earliest = orders.iter().min_by_key(|order| order.at);
    let earliest = earliest.map_or_else(String::new, |order| text(&order.body["occurred_at"], ""));
    let mut partners: BTreeMap<String, Vec<Order>> = BTreeMap::new();
    for order in orders {
        partners
            .entry(order.partner.clone())
            .or_default()
            .push(order);
    }
    let mut orders = Vec::new();
    for (name, own) in partners {
        match make_partner(&api, options, &program, &earliest, &name).await {
            Ok(()) => orders.extend(own),
            // A value that cannot be a partner's name; the other partners' orders are none the worse.
            Err(Off::Status {
                status: 422, body, ..
            }) => {
                let body: Value = serde_json::from_str(&body).unwrap_or_default();
                for order in own {
                    summary.refuse("422, its partner", order.refusal(text(&body, "/detail")));
                }
            }
            Err(off) => return Err(off.into()),
        }
    }
    orders.sort_by_key(|order| order.line);
    let bar = ProgressBar::new(orders.len() as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let begun = Instant::now();
    let path = format!("/v1/postbacks/{program}");
    let mut answers = stream::iter(&orders)
        .map(|order| {
            let (api, path) = (&api, &path);
            async move {
                let body = Value::Object(order.body.clone());
                let answer = api.send(Method::POST, path, Some(&body), None).await?;
                Ok::<_, Off>((order, answer))
            }
        })
        .buffer_unordered(options.concurrency.max(1));
    while let Some((order, answer)) = answers.try_next().await? {
        bar.inc(1);
        summary.sent += 1;
        let conversion = summary.count(order, &answer);
        if let (Some(id), Some(mut file), Some(path)) =
            (conversion, acknowledged.as_ref(), &options.acknowledged)
        {
            // One write a line: whoever reads along sees no half of an id.
            let written = file.write_all(format!("{id}\n").as_bytes());
            written.map_err(|error| in_file(path, error))?;
        }
    }
    bar.finish_and_clear();
    summary.print(begun.elapsed().as_millis());
    println!("program {program}");
    Ok(summary)
}

impl Summary {
    /// Counts an answer; gives the conversion's id when it is acknowledged.
    fn count(&mut self, order: &Order, answer: &Answer) -> Option<String> {
        let (status, body) = (answer.status.as_u16(), answer.json());
        match (status, text(&body, "/status").as_str()) {
            (200..=299, "duplicate") => self.duplicate += 1,
            (200..=299, _) => self.accepted += 1,
            _ => {
                let refusal = order.refusal(text(&body, "/detail"));
                self.refuse(format!("{status} {}", text(&body, "/code")), refusal);
                return None;
            }
        }
        Some(text(&body, "/conversion"))
    }
}

/// The orders, and the rows that cannot be read as one.
fn read(
    options: &Replay,
    currency: Currency,
    content: &[u8],
) -> Result<Vec<Result<Order, Refusal>>, ReplayError> {
    let extension = options
        .file
        .extension()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let refusal = |line: u64, detail: String| Refusal {
        line,
        order: None,
        detail,
    };
    if matches!(extension, "jsonl" | "ndjson") {
        let lines = content.split(|byte| *byte == b'\n').zip(1..);
        return Ok(lines
            .filter(|(text, _)| !text.trim_ascii().is_empty())
            .map(|(text, line)| {
                let row = serde_json::from_slice(text)
                    .map_err(|error| refusal(line, error.to_string()))?;
                order(options, currency, &row, line)
            })
            .collect());
    }
    let wrong = |reason: String| ReplayError::File {
        file: options.file.clone(),
        reason,
    };
    let mut reader = csv::Reader::from_reader(content);
    let headers = reader
        .headers()
        .map_err(|error| wrong(error.to_string()))?
        .clone();
    // One wrong name of a column is told once, not for every row.
    for name in columns(options) {
        if !headers.iter().any(|header| header == name) {
            let known: Vec<&str> = headers.iter().collect();
            return Err(wrong(format!(
                "has no column {name}, but {}",
                known.join(", ")
            )));
        }
    }
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let at = reader.position().clone();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(rows),
            Ok(true) => {
                let row = headers
                    .iter()
                    .zip(&record)
                    .map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())))
                    .collect();
                let line = begins(content, record.position().unwrap_or(&at));
                rows.push(order(options, currency, &row, line));
            }
            Err(error) => {
                let line = begins(content, error.position().unwrap_or(&at));
                let detail = match error.kind() {
                    csv::ErrorKind::UnequalLengths {
                        expected_len, len, ..
                    } => format!("has {len} columns in place of {expected_len}"),
                    csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
                    _ => return Err(wrong(error.to_string())),
                };
                rows.push(Err(refusal(line, detail)));
            }
        }
    }
}

/// The line on which a record itself begins: its position is before the blank lines that are passed over.
fn begins(content: &[u8], position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let blank = content
        .get(from..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| b"\r\n".contains(byte));
    position.line() + blank.map(|byte| u64::from(*byte == b'\n')).sum::<u64>()
}

/// The columns without which no order can be read.
fn columns(options: &Replay) -> [&str; 4] {
    let amount = options
        .amount_column
        .as_ref()
        .unwrap_or(&options.amount_minor_column);
    [
        &options.transaction_column,
        amount,
        &options.time_column,
        &options.partner_column,
    ]
}

fn order(
    options: &Replay,
    currency: Currency,
    row: &Map<String, Value>,
    line: u64,
) -> Result<Order, Refusal> {
    let cell = |name: &str| match row.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let transaction = cell(&options.transaction_column);
    let wrong = |detail: String| Refusal {
        line,
        order: transaction.clone(),
        detail,
    };
    let column = |name: &str| cell(name).ok_or_else(|| wrong(format!("{name} is empty")));
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
    let time = column(&options.time_column)?;
    let at = clock::parse(&time).ok_or_else(|| {
        wrong(format!(
            "{time:?} is not an RFC 3339 time such as 2026-11-23T07:00:00Z"
        ))
    })?;
    let transaction = column(&options.transaction_column)?;
    let mut body = Map::from_iter([
        (
            "transaction_id".to_owned(),
            Value::String(transaction.clone()),
        ),
        ("event".to_owned(), Value::String(options.event.clone())),
        ("amount".to_owned(), Value::String(amount)),
        (
            "currency".to_owned(),
            Value::String(currency.code().to_owned()),
        ),
        ("occurred_at".to_owned(), Value::String(time)),
        ("coupon".to_owned(), Value::String(coupon(&partner))),
    ]);
    // A file without the column simply names no customers.
    if let Some(customer) = cell(&options.customer_column) {
        body.insert("customer".to_owned(), Value::String(customer));
    }
    Ok(Order {
        line,
        transaction,
        partner,
        at,
        body,
    })
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

/// Makes the program or finds it.
async fn make_program(api: &Api, options: &Replay) -> Result<String, Off> {
    if let Some(found) = find_program(api, &options.program).await? {
        return Ok(found);
    }
    let program = json!({
        "name": options.program, "currency": options.currency,
        "attribution": { "model": "last_click", "window_days": 30 },
    });
    Ok(text(&api.post("/v1/programs", &program).await?, "/id"))
}

/// Makes a partner with plan and coupon, or finds them: every request carries a key that is derived from
/// what it makes.
async fn make_partner(
    api: &Api,
    options: &Replay,
    program: &str,
    earliest: &str,
    name: &str,
) -> Result<(), Off> {
    let once = |parts: &[&str]| {
        let parts: Vec<&str> = std::iter::once(program)
            .chain(parts.iter().copied())
            .collect();
        digest("replay", &parts)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
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
    Ok(())
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
    fn rows(name: &str, content: &[u8]) -> Vec<Result<Order, Refusal>> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            replay: Replay,
        }
        let Line { replay } = clap::Parser::parse_from(["replay", name]);
        read(&replay, "GBP".parse().unwrap(), content).unwrap()
    }

    #[test]
    fn a_row_that_cannot_be_read_is_told_by_its_line_and_the_others_stand() {
        let csv = b"\xef\xbb\xbfinvoice,occurred_at,customer,country,amount_minor
1,2011-03-01T08:00:00Z,7,Norway,100
2,2011-03-01T08:00:00Z,7,Norway,ten
3,2011-03-01T08:00:00Z,7

4,2011-03-01T08:00:00Z,7,,100
5,yesterday,7,Norway,100
6,2011-03-01T08:00:00Z,7,Nor\xffway,100
,2011-03-01T08:00:00Z,7,Norway,100
\"8\",2011-03-01T08:00:00Z,\"7
and more\",Norway,100
9,2011-03-01T08:00:00Z,,Norway,100
";
        let read: Vec<_> = rows("orders.csv", csv)
            .into_iter()
            .map(|row| match row {
                Ok(order) => (order.line, order.transaction),
                Err(refusal) => (refusal.line, refusal.detail),
            })
            .collect();
        let expected = [
            (2, "1"),
            (3, "\"ten\" is not an amount in minor units"),
            (4, "has 3 columns in place of 5"),
            (6, "country is empty"),
            (
                7,
                "\"yesterday\" is not an RFC 3339 time such as 2026-11-23T07:00:00Z",
            ),
            (8, "is not UTF-8"),
            (9, "invoice is empty"),
            (10, "8"),
            (12, "9"),
        ];
        assert_eq!(read, expected.map(|(line, said)| (line, said.to_owned())));
    }

    #[test]
    fn lines_of_json_are_read_each_by_itself() {
        let lines = br#"{"invoice":1,"occurred_at":"2011-03-01T08:00:00Z","country":"Norway","amount_minor":100}
{"invoice":2,
[]

{"invoice":"3","occurred_at":"2011-03-01T08:00:00Z","country":"Norway","amount_minor":"100"}"#;
        let lines: Vec<_> = rows("orders.jsonl", lines)
            .into_iter()
            .map(|row| row.map_or_else(|refusal| (refusal.line, false), |order| (order.line, true)))
            .collect();
        assert_eq!(lines, [(1, true), (2, false), (3, false), (5, true)]);
    }
}
