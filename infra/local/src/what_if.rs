//! `export` and `what-if`: a program's history as lines of JSON, and what another plan would have paid for it,
//! worked out on this machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;
use tributary::clock::Timestamp;
use tributary::commissions::fold::{asks_after_customers, measures_subtree};
use tributary::commissions::history::{Header, Line, past};
use tributary::commissions::model::Figures;
use tributary::commissions::what_if::{Span, WhatIf};
use tributary::edge::Fields;
use tributary::ids::{PartnerId, ProgramId};
use tributary::money::{Currency, Money};
use tributary::plans::model::PlanVersion;
use tributary::plans::wire;

use crate::api::{Api, Off};

/// What `export` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    /// The program's id
    pub program: ProgramId,
    /// Where Tributary runs
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Operator key
    #[arg(long, env = "TRIBUTARY_OPERATOR_KEY", hide_env_values = true)]
    pub operator_key: Option<String>,
    /// File with the operator key
    #[arg(long, value_name = "FILE", default_value = ".tributary/operator-key")]
    pub operator_key_file: PathBuf,
    /// Only what happened from then on, such as 2026-01-01T00:00:00Z
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// Only what happened before then
    #[arg(long)]
    pub to: Option<Timestamp>,
    /// File to write to; standard output unless told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What `what-if` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Ask {
    /// The plan: JSON as for `POST /v1/programs/{id}/plans`
    pub plan: PathBuf,
    /// The history: what `tributary-local export` wrote
    pub history: PathBuf,
    /// The plan begins then; with the history unless told
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// Only what happened before then; all that was exported unless told
    #[arg(long)]
    pub to: Option<Timestamp>,
    /// Code of the plan in whose place it would have paid; all plans' unless told
    #[arg(long)]
    pub replaces: Option<String>,
    /// Print lines of JSON
    #[arg(long)]
    pub json: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// A file cannot be read or written.
    #[error("{}: {reason}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of the history is not what it should be.
    #[error("{}: line {line}: {reason}", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The history cannot be put in order.
    #[error("the history is not in order, and cannot be put in order: {0}")]
    Order(#[from] rusqlite::Error),
    /// The history does not begin early enough.
    #[error("{}: begins at {from}, but the plan asks what customers did before; export it from the beginning", file.display())]
    Late {
        /// Which file.
        file: PathBuf,
        /// From when on it was exported.
        from: Timestamp,
    },
    /// A plan cannot take the place of one only.
    #[error("--replaces is not taken where the plan measures what partners below sell")]
    Replaces,
    /// A sum is beyond what can be held.
    #[error("a sum is beyond what can be held")]
    OverLimit,
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

fn in_file(file: &Path, reason: &dyn std::fmt::Display) -> WhatIfError {
    WhatIfError::File {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}

/// Writes a program's history, page by page; returns how many lines.
///
/// # Errors
/// [`WhatIfError`].
pub async fn export(options: &Export) -> Result<u64, WhatIfError> {
    let key = match &options.operator_key {
        Some(key) => key.clone(),
        None => {
            std::fs::read_to_string(&options.operator_key_file).map_err(|_| WhatIfError::NoKey)?
        }
    };
    let api = Api::new(&options.url, key.trim())?;
    // Under a name of its own until it is whole.
    let part = options.out.as_ref().map(|path| {
        let mut name = path.clone().into_os_string();
        name.push(".part");
        PathBuf::from(name)
    });
    let name = part.clone().unwrap_or_else(|| "-".into());
    let mut out: Box<dyn Write> = match &part {
        Some(path) => Box::new(File::create(path).map_err(|error| in_file(path, &error))?),
        None => Box::new(std::io::stdout()),
    };
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(options.from.map(|from| ("from", from.to_string())));
    query.extend(options.to.map(|to| ("to", to.to_string())));
    let mut cursor: Option<String> = None;
    let mut lines = 0;
    loop {
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .chain(cursor.iter().map(|cursor| format!("cursor={cursor}")))
            .collect();
        let path = format!(
            "/v1/programs/{}/history?{}",
            options.program,
            pairs.join("&")
        );
        let page = api.get_raw(path.trim_end_matches('?'), 200).await?;
        lines += page.text.lines().count() as u64;
        out.write_all(page.text.as_bytes())
            .map_err(|error| in_file(&name, &error))?;
        let next = page.headers.get("tributary-next-cursor");
        match next.and_then(|next| next.to_str().ok()) {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    out.flush().map_err(|error| in_file(&name, &error))?;
    if let Some(path) = &options.out {
        std::fs::rename(&name, path).map_err(|error| in_file(path, &error))?;
    }
    // The header is none.
    Ok(lines.saturating_sub(1))
}

/// What another plan would have paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// In which currency.
    pub currency: Currency,
    /// Lines of history that were read.
    pub lines: u64,
    /// By partner.
    pub partners: BTreeMap<PartnerId, Figures>,
    /// All of them.
    pub total: Figures,
}

/// A partner's figures as they are printed.
#[derive(Serialize)]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    conversions: i64,
    paid: String,
    paid_levels: String,
    would_pay: String,
    would_pay_levels: String,
    provisional: String,
    delta: String,
}

impl Answered {
    fn told(&self, partner: Option<PartnerId>, figures: &Figures) -> Result<Told, WhatIfError> {
        let money = |minor: i64| Money::new(minor, self.currency).to_string();
        Ok(Told {
            partner,
            conversions: figures.conversions,
            paid: money(figures.paid),
            paid_levels: money(figures.paid_levels),
            would_pay: money(figures.pays),
            would_pay_levels: money(figures.pays_levels),
            provisional: money(figures.provisional),
            delta: money(figures.delta().map_err(|_| WhatIfError::OverLimit)?),
        })
    }

    fn rows(&self) -> Result<Vec<Told>, WhatIfError> {
        let each = self
            .partners
            .iter()
            .map(|(partner, figures)| self.told(Some(*partner), figures));
        each.chain([self.told(None, &self.total)]).collect()
    }
}

/// Works out what another plan would have paid, and prints it: partners, then all of them.
///
/// # Errors
/// [`WhatIfError`].
pub fn what_if(options: &Ask) -> Result<(), WhatIfError> {
    let begun = Instant::now();
    let answered = answer(options)?;
    let elapsed = begun.elapsed().as_millis().max(1);
    let rows = answered.rows()?;
    if options.json {
        for row in &rows {
            let line = serde_json::to_string(row);
            println!(
                "{}",
                line.map_err(|error| in_file(&options.history, &error))?
            );
        }
        return Ok(());
    }
    let code = answered.currency.code();
    println!(
        "{:<31} {:>11} {:>16} {:>16} {:>16} {:>16}",
        "partner", "conversions", "paid", "would pay", "provisional", "more"
    );
    for (row, figures) in rows
        .iter()
        .zip(answered.partners.values().chain([&answered.total]))
    {
        let sum = |a: i64, b: i64| Money::new(a.saturating_add(b), answered.currency).to_string();
        println!(
            "{:<31} {:>11} {:>16} {:>16} {:>16} {:>16}",
            row.partner
                .map_or_else(|| format!("all, {code}"), |partner| partner.to_string()),
            row.conversions,
            sum(figures.paid, figures.paid_levels),
            sum(figures.pays, figures.pays_levels),
            row.provisional,
            row.delta,
        );
    }
    println!(
        "{} lines in {}.{:03} s, {} a second",
        answered.lines,
        elapsed / 1_000,
        elapsed % 1_000,
        u128::from(answered.lines) * 1_000 / elapsed,
    );
    Ok(())
}

/// What another plan would have paid.
///
/// # Errors
/// [`WhatIfError`].
pub fn answer(options: &Ask) -> Result<Answered, WhatIfError> {
    let header = header(&options.history)?;
    let currency: Currency = header.currency.parse().map_err(|_| WhatIfError::Line {
        file: options.history.clone(),
        line: 1,
        reason: format!("currency: {} is no currency", header.currency),
    })?;
    let plan = plan(&options.plan, &header, currency)?;
    if let Some(from) = header.from
        && asks_after_customers(&plan.terms)
    {
        return Err(WhatIfError::Late {
            file: options.history.clone(),
            from,
        });
    }
    if options.replaces.is_some() && measures_subtree(&plan.terms) {
        return Err(WhatIfError::Replaces);
    }
    let asked = Asked {
        options,
        header: &header,
        currency,
        plan: &plan,
    };
    // Most histories of one partner are in order; what is not is sorted on disk, so that memory does not grow
    // with it.
    match asked.over(lines(&options.history)?)? {
        Some(answered) => Ok(answered),
        None => asked.sorted(),
    }
}

fn header(file: &Path) -> Result<Header, WhatIfError> {
    let not = |reason: String| WhatIfError::Line {
        file: file.to_owned(),
        line: 1,
        reason: format!("is not the header of an exported history: {reason}"),
    };
    let mut first = String::new();
    let opened = File::open(file).map_err(|error| in_file(file, &error))?;
    BufReader::new(opened)
        .read_line(&mut first)
        .map_err(|error| in_file(file, &error))?;
    let header: Header = serde_json::from_str(&first).map_err(|error| not(error.to_string()))?;
    match header.tributary_history {
        1 => Ok(header),
        other => Err(not(format!("form {other} is not known here"))),
    }
}

fn plan(file: &Path, header: &Header, currency: Currency) -> Result<PlanVersion, WhatIfError> {
    let text = std::fs::read_to_string(file).map_err(|error| in_file(file, &error))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| in_file(file, &error))?;
    let terms = Fields::read(&value, |f| wire::of_plan(f, currency)).map_err(|problem| {
        let wrong: Vec<String> = problem
            .errors()
            .iter()
            .map(|error| format!("{} {}", error.field, error.reason))
            .collect();
        match wrong.is_empty() {
            true => in_file(file, &problem.detail()),
            false => in_file(file, &wrong.join("; ")),
        }
    })?;
    Ok(PlanVersion {
        program: header.program,
        code: "what-if".to_owned(),
        version: 1,
        effective_from: Timestamp::MIN,
        hold_days: 0,
        terms,
        created_at: Timestamp::MIN,
    })
}

/// The lines behind the header, with their numbers.
fn lines(
    file: &Path,
) -> Result<impl Iterator<Item = Result<(u64, String), WhatIfError>>, WhatIfError> {
    let opened = File::open(file).map_err(|error| in_file(file, &error))?;
    let name = file.to_owned();
    let numbered = BufReader::with_capacity(1 << 20, opened)
        .lines()
        .zip(1_u64..);
    Ok(numbered
        .skip(1)
        .map(move |(line, number)| Ok((number, line.map_err(|error| in_file(&name, &error))?)))
        .filter(|line| !matches!(line, Ok((_, line)) if line.trim().is_empty())))
}

struct Asked<'a> {
    options: &'a Ask,
    header: &'a Header,
    currency: Currency,
    plan: &'a PlanVersion,
}

impl Asked<'_> {
    fn wrong(&self, line: u64, reason: String) -> WhatIfError {
        WhatIfError::Line {
            file: self.options.history.clone(),
            line,
            reason,
        }
    }

    /// The answer over these lines; `None` when one of them happened before the one ahead of it.
    fn over(
        &self,
        lines: impl Iterator<Item = Result<(u64, String), WhatIfError>>,
    ) -> Result<Option<Answered>, WhatIfError> {
        let exported = self.header.exported_at;
        let to = self.options.to.or(self.header.to).unwrap_or(exported);
        let span = Span {
            from: self.options.from.unwrap_or(Timestamp::MIN),
            to: to.min(exported),
            program_since: self.header.program_since,
            asked_at: exported,
        };
        let mut asked = WhatIf::new(
            self.plan,
            self.currency,
            span,
            self.options.replaces.as_deref(),
        );
        let mut last = Timestamp::MIN;
        let mut count = 0;
        for line in lines {
            let (number, text) = line?;
            let line: Line = serde_json::from_str(&text)
                .map_err(|error| self.wrong(number, error.to_string()))?;
            if line.occurred_at < last {
                return Ok(None);
            }
            last = line.occurred_at;
            let past = past(line, self.currency)
                .map_err(|(field, error)| self.wrong(number, format!("{field}: {error}")))?;
            asked.take(past).map_err(|_| WhatIfError::OverLimit)?;
            count += 1;
        }
        let partners = asked.finish().map_err(|_| WhatIfError::OverLimit)?;
        let mut total = Figures::default();
        for figures in partners.values() {
            total = total.plus(figures).map_err(|_| WhatIfError::OverLimit)?;
        }
        Ok(Some(Answered {
            currency: self.currency,
            lines: count,
            partners,
            total,
        }))
    }

    /// The answer over all lines, sorted by SQLite in a database of its own that is gone afterwards.
    fn sorted(&self) -> Result<Answered, WhatIfError> {
        // An empty name is a database in a temporary file; so is what it sorts.
        let sorter = Connection::open("")?;
        sorter.execute_batch(
            "PRAGMA temp_store = FILE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
             PRAGMA cache_size = -16384; 
             CREATE TABLE lines (second INTEGER, nanosecond INTEGER, id TEXT, line INTEGER, text TEXT);
             BEGIN;",
        )?;
        {
            let mut put = sorter.prepare("INSERT INTO lines VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for line in lines(&self.options.history)? {
                let (number, text) = line?;
                let line: Line = serde_json::from_str(&text)
                    .map_err(|error| self.wrong(number, error.to_string()))?;
                let at = line.occurred_at;
                put.execute((
                    at.as_second(),
                    at.subsec_nanosecond(),
                    line.conversion.to_string(),
                    number.cast_signed(),
                    text,
                ))?;
            }
        }
        sorter.execute_batch("COMMIT")?;
        let mut ordered =
            sorter.prepare("SELECT line, text FROM lines ORDER BY second, nanosecond, id")?;
        let rows = ordered.query_map((), |row| {
            Ok((
                row.get::<_, i64>(0)?.cast_unsigned(),
                row.get::<_, String>(1)?,
            ))
        })?;
        let lines = rows.map(|row| row.map_err(WhatIfError::from));
        self.over(lines)?
            .ok_or_else(|| WhatIfError::Order(rusqlite::Error::InvalidQuery))
    }
}
