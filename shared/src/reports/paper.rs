//! Papers: what is opened in a spreadsheet or printed. Pure: the same figures give the same bytes.
//!
//! A CSV has a header, CR LF at its lines' ends, and no cell of foreign text that a spreadsheet would take
//! for a formula. An HTML page stands alone: its style is in it, and it loads nothing from anywhere.

use std::fmt::Write;

use crate::clock::Timestamp;
use crate::ids::PartnerId;
use crate::ledger::model::{Balance, Bucket, Section, Transfer};
use crate::money::{Money, MoneyError};

/// What a paper's style is: black on white, one column of figures under the other, wide tables on paper.
const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;color:#111;background:#fff;margin:2rem auto;\
max-width:70rem;padding:0 1rem}h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem .25rem 0;\
border-bottom:1px solid #ccc;vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums;\
white-space:nowrap}tr.sum td{font-weight:600;border-bottom:2px solid #111}p{margin:.25rem 0}.id{font-size:.8em;\
color:#555;overflow-wrap:anywhere}.pre{white-space:pre-line}.cols{display:flex;gap:3rem;flex-wrap:wrap}\
@page{margin:15mm}@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}";

/// A text as it may stand in HTML, in an element or between double quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A foreign text as it may stand in a cell: control characters become blanks, and one that a spreadsheet
/// would take for a formula is preceded by an apostrophe.
#[must_use]
pub fn cell(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let plain = plain.trim();
    let begins_formula = plain.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let guard = if begins_formula { "'" } else { "" };
    format!("{guard}{plain}")
}

/// The bytes of a CSV with these rows.
///
/// # Errors
/// None for rows of one length; the writer's otherwise.
pub fn csv<R: AsRef<[String]>>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.as_ref())?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

/// A page of that title around a body that is HTML already.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// A partner's statement, to be written down.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// Whose.
    pub partner: PartnerId,
    /// Its name, unless that was erased.
    pub name: Option<&'a str>,
    /// From then on.
    pub from: Timestamp,
    /// Up to but not including then.
    pub to: Timestamp,
    /// One for each currency.
    pub sections: &'a [Section],
}

const STATEMENT_HEADER: [&str; 15] = [
    "row",
    "currency",
    "at",
    "transfer",
    "kind",
    "program",
    "from",
    "to",
    "amount",
    "source",
    "reason",
    "pending",
    "payable",
    "in_transit",
    "paid",
];

/// The balance after each transfer of a section, beside it.
fn running(section: &Section) -> Result<Vec<(&Transfer, Balance)>, MoneyError> {
    let mut balance = section.opening;
    section
        .lines
        .iter()
        .map(|transfer| {
            balance = balance.after(transfer)?;
            Ok((transfer, balance))
        })
        .collect()
}

fn buckets(balance: Balance) -> [String; 4] {
    let Balance {
        currency,
        pending,
        payable,
        in_transit,
        paid,
    } = balance;
    [pending, payable, in_transit, paid].map(|minor| Money::new(minor, currency).to_string())
}

impl Statement<'_> {
    /// The statement as CSV: of each currency the opening, the transfers with the balances after each, and
    /// the closing.
    ///
    /// # Errors
    /// `OverLimit` for sums that cannot be held.
    pub fn csv(&self) -> Result<Vec<u8>, PaperError> {
        let mut rows = vec![STATEMENT_HEADER.map(str::to_owned).to_vec()];
        for section in self.sections {
            rows.push(Self::standing("opening", self.from, section.opening));
            for (transfer, balance) in running(section)? {
                rows.push(Self::moved(transfer, balance));
            }
            rows.push(Self::standing("closing", self.to, section.closing));
        }
        Ok(csv(rows)?)
    }

    fn standing(row: &str, at: Timestamp, balance: Balance) -> Vec<String> {
        let mut cells = vec![
            row.to_owned(),
            balance.currency.code().to_owned(),
            at.to_string(),
        ];
        cells.resize(STATEMENT_HEADER.len() - 4, String::new());
        cells.extend(buckets(balance));
        cells
    }

    fn moved(transfer: &Transfer, balance: Balance) -> Vec<String> {
        let Transfer {
            id,
            kind,
            account,
            from,
            to,
            amount,
            at,
            source,
            lines: _,
            reason,
        } = transfer;
        let mut cells = vec![
            "transfer".to_owned(),
            amount.currency().code().to_owned(),
            at.to_string(),
            id.to_string(),
            kind.name().to_owned(),
            account.program.to_string(),
            from.name().to_owned(),
            to.name().to_owned(),
            amount.to_string(),
            cell(source),
            cell(reason.as_deref().unwrap_or_default()),
        ];
        cells.extend(buckets(balance));
        cells
    }

    /// The statement as a page to print.
    ///
    /// # Errors
    /// `OverLimit` for sums that cannot be held.
    pub fn html(&self) -> Result<String, PaperError> {
        let mut body = String::new();
        if let Some(name) = self.name {
            let _ = writeln!(body, "<p>{}</p>", escape(name));
        }
        let _ = writeln!(
            body,
            "<p class=\"id\">{}</p>\n<p>From {} up to, not including, {}</p>",
            self.partner, self.from, self.to
        );
        if self.sections.is_empty() {
            body.push_str("<p>Nothing was ever posted.</p>\n");
        }
        for section in self.sections {
            let _ = writeln!(
                body,
                "<h2>{}</h2>\n<table>\n<thead><tr><th>Time</th><th>What</th><th>Source</th>\
                 <th class=\"n\">Amount</th><th class=\"n\">Pending</th><th class=\"n\">Payable</th>\
                 <th class=\"n\">In transit</th><th class=\"n\">Paid</th></tr></thead>\n<tbody>",
                section.closing.currency
            );
            body.push_str(&sum_row("Opening", section.opening));
            for (transfer, balance) in running(section)? {
                body.push_str(&transfer_row(transfer, balance));
            }
            body.push_str(&sum_row("Closing", section.closing));
            body.push_str("</tbody>\n</table>\n");
        }
        Ok(page("Statement", &body))
    }
}

fn numbers(balance: Balance) -> String {
    buckets(balance)
        .iter()
        .map(|text| format!("<td class=\"n\">{text}</td>"))
        .collect()
}

fn sum_row(title: &str, balance: Balance) -> String {
    let numbers = numbers(balance);
    format!("<tr class=\"sum\"><td colspan=\"4\">{title}</td>{numbers}</tr>\n")
}

fn transfer_row(transfer: &Transfer, balance: Balance) -> String {
    let words = format!(
        "{}: {} to {}",
        transfer.kind.name(),
        words(transfer.from),
        words(transfer.to)
    );
    let reason = match &transfer.reason {
        Some(reason) => format!("<br>{}", escape(reason)),
        None => String::new(),
    };
    format!(
        "<tr><td>{}</td><td>{words}{reason}</td><td class=\"id\">{}</td><td class=\"n\">{}</td>{}</tr>\n",
        transfer.at,
        escape(&transfer.source),
        transfer.amount,
        numbers(balance)
    )
}

/// A bucket's name as people read it.
fn words(bucket: Bucket) -> String {
    bucket.name().replace('_', " ")
}

/// Why a paper cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// A sum is beyond what can be held.
    #[error("a sum {0}")]
    Money(#[from] MoneyError),
    /// A row that is no row.
    #[error("a row cannot be written: {0}")]
    Csv(#[from] csv::Error),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{ProgramId, TransferId};
    use crate::ledger::model::{AccountId, TransferKind};
    use proptest::prelude::*;

    fn section(reason: &str) -> Section {
        let currency = "GBP".parse().unwrap();
        let opening = Balance {
            payable: 1_000,
            ..Balance::zero(currency)
        };
        let taken = Transfer {
            id: TransferId::from_bytes([3; 16]),
            kind: TransferKind::Reversal,
            account: AccountId {
                partner: PartnerId::from_bytes([1; 16]),
                program: ProgramId::from_bytes([2; 16]),
                currency,
            },
            from: Bucket::Payable,
            to: Bucket::Commissions,
            amount: Money::new(1_470, currency),
            at: "2026-03-05T10:00:00Z".parse().unwrap(),
            source: "cnv_00000000000000000000000000".to_owned(),
            lines: Vec::new(),
            reason: Some(reason.to_owned()),
        };
        Section {
            opening,
            closing: opening.after(&taken).unwrap(),
            lines: vec![taken],
        }
    }

    fn statement<'a>(name: &'a str, sections: &'a [Section]) -> Statement<'a> {
        Statement {
            partner: PartnerId::from_bytes([1; 16]),
            name: Some(name),
            from: "2026-03-01T00:00:00Z".parse().unwrap(),
            to: "2026-04-01T00:00:00Z".parse().unwrap(),
            sections,
        }
    }

    #[test]
    fn a_statements_csv_has_these_bytes() {
        let sections = [section("=HYPERLINK(\"x\")\r\nsent back")];
        let text = String::from_utf8(statement("Ada", &sections).csv().unwrap()).unwrap();
        assert_eq!(
            text,
            "row,currency,at,transfer,kind,program,from,to,amount,source,reason,pending,payable,in_transit,paid\r\n\
             opening,GBP,2026-03-01T00:00:00Z,,,,,,,,,0.00,10.00,0.00,0.00\r\n\
             transfer,GBP,2026-03-05T10:00:00Z,xfr_030c1g60r30c1g60r30c1g60r3,reversal,prg_02081040g2081040g2081040g2,payable,commissions,14.70,cnv_00000000000000000000000000,\"'=HYPERLINK(\"\"x\"\")  sent back\",0.00,-4.70,0.00,0.00\r\n\
             closing,GBP,2026-04-01T00:00:00Z,,,,,,,,,0.00,-4.70,0.00,0.00\r\n"
        );
    }

    #[test]
    fn a_page_loads_nothing_and_runs_nothing() {
        let sections = [section("<img src=https://evil.example/x onerror=alert(1)>")];
        let page = statement("Ada <script>alert('x')</script> & Co", &sections)
            .html()
            .unwrap();
        assert!(page.contains("Ada &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; Co"));
        for forbidden in [
            "<script", "<img", "<link", "src=\"", "href=", "url(", "@import",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("<td class=\"n\">-4.70</td>"));
    }

    proptest! {
        #[test]
        fn no_cell_begins_a_formula_or_breaks_its_row(text in ".*") {
            let cell = cell(&text);
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert!(!cell.chars().any(char::is_control));
        }

        #[test]
        fn what_is_escaped_has_no_markup(text in ".*") {
            let safe = escape(&text);
            prop_assert!(!safe.contains(['<', '>', '"', '\'']));
        }
    }
}
