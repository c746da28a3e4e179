//! What banks report of payments that came back: NACHA return files, `pain.002` status reports, and a CSV
//! for every other bank. Reading is pure; what a row means for a batch is decided elsewhere.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::sepa::payout_of;
use crate::ids::PayoutId;

/// Rows of one file: a report of them, sealed, stays within one item of the table.
pub const MAX_RETURNS: usize = 1_000;
/// Characters of a reason that are kept.
const MAX_REASON: usize = 140;
/// Characters of what a row names that are shown when nothing is known by it.
const MAX_NAMED: usize = 64;
/// Elements within elements; a status report has ten.
const MAX_DEPTH: usize = 32;
/// Characters of an ACH record.
const RECORD: usize = 94;

/// How a return file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnFormat {
    /// A NACHA file of return entries, each with its addenda 99.
    Nacha,
    /// ISO 20022 `pain.002`.
    Pain002,
    /// Rows of `payout_id,reason`.
    Csv,
}

/// Formats of return files by their names.
pub const RETURN_FORMATS: &[(&str, ReturnFormat)] = &[
    ("nacha", ReturnFormat::Nacha),
    ("pain.002", ReturnFormat::Pain002),
    ("csv", ReturnFormat::Csv),
];

/// What a row says came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A payout.
    Payout(PayoutId),
    /// An ACH entry, by its trace number and what it said of its payout.
    Entry {
        /// Of the original entry.
        trace: String,
        /// The payee's identification in it.
        identification: String,
    },
    /// A whole message, by its id.
    Message(String),
    /// Something that is no id of ours.
    Foreign(String),
    /// Nothing that came back: a payment that stands, or a correction of an account's details.
    Nothing(String),
    /// The row cannot be read, and why.
    Unreadable(String),
}

/// A row of a return file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The row of a CSV, the line of an ACH file, or the transaction of a status report, from 1.
    pub position: usize,
    /// What came back.
    pub named: Named,
    /// Why, in words, with the bank's code.
    pub reason: String,
}

/// Why a file as a whole cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReturnFileError {
    /// It is not in that format.
    #[error("{0}")]
    NotThatFormat(String),
    /// It has more rows than are read at once.
    #[error("the file has more than {MAX_RETURNS} rows; split it")]
    TooMany,
}

/// Reads a return file, row by row.
///
/// # Errors
/// What makes the file unreadable as a whole. A row that cannot be read is told among the rows.
pub fn read(format: ReturnFormat, text: &str) -> Result<Vec<Reported>, ReturnFileError> {
    let text = text.trim_start_matches('\u{feff}');
    let rows = match format {
        ReturnFormat::Nacha => nacha(text)?,
        ReturnFormat::Pain002 => pain_002(text)?,
        ReturnFormat::Csv => csv_rows(text)?,
    };
    if rows.len() > MAX_RETURNS {
        return Err(ReturnFileError::TooMany);
    }
    Ok(rows)
}

fn not_that(reason: impl Into<String>) -> ReturnFileError {
    ReturnFileError::NotThatFormat(reason.into())
}

fn short(text: &str, most: usize) -> String {
    let plain = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.take(most).collect::<String>().trim().to_owned()
}

// ---- CSV

fn csv_rows(text: &str) -> Result<Vec<Reported>, ReturnFileError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for (record, position) in reader.records().zip(1..) {
        let record = record.map_err(|error| not_that(format!("the file is no CSV: {error}")))?;
        let (named, reason) = match record.iter().collect::<Vec<_>>().as_slice() {
            // The header.
            [first, ..] if position == 1 && *first == "payout_id" => continue,
            [id, ""] => (
                Named::Unreadable("the row states no reason".to_owned()),
                (*id).to_owned(),
            ),
            [id, reason] => (payout_or_foreign(id.parse().ok(), id), (*reason).to_owned()),
            other => (
                Named::Unreadable(format!(
                    "the row has {} cells; it has two: payout_id,reason",
                    other.len()
                )),
                String::new(),
            ),
        };
        rows.push(Reported {
            position,
            named,
            reason: short(&without_numbers(&reason), MAX_REASON),
        });
    }
    Ok(rows)
}

/// A text in which no account number can be read: words with six digits and more are cut to their last two
/// characters. Reasons are kept in the open.
fn without_numbers(text: &str) -> String {
    let masked = |word: &str| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let tail: String = word.chars().rev().take(2).collect();
        match digits {
            0..=5 => word.to_owned(),
            _ => format!("…{}", tail.chars().rev().collect::<String>()),
        }
    };
    let words: Vec<String> = text.split(' ').map(masked).collect();
    words.join(" ")
}

fn payout_or_foreign(payout: Option<PayoutId>, text: &str) -> Named {
    payout.map_or_else(|| Named::Foreign(short(text, MAX_NAMED)), Named::Payout)
}

// ---- NACHA

/// What banks mean by the return codes that a credit can have.
const RETURN_CODES: [(&str, &str); 16] = [
    ("R02", "account closed"),
    ("R03", "no account, or not of that name"),
    ("R04", "invalid account number"),
    ("R06", "returned at the sending bank's request"),
    ("R12", "branch sold to another bank"),
    ("R13", "invalid routing number"),
    ("R14", "the account's representative is deceased"),
    ("R15", "the beneficiary is deceased"),
    ("R16", "account frozen"),
    ("R17", "fields edited by the receiving bank"),
    ("R18", "improper effective date"),
    ("R20", "not a transaction account"),
    ("R23", "credit refused by the receiver"),
    ("R24", "duplicate entry"),
    ("R28", "routing number check digit wrong"),
    ("R34", "limited participation of the receiving bank"),
];

fn nacha(text: &str) -> Result<Vec<Reported>, ReturnFileError> {
    let mut rows: Vec<Reported> = Vec::new();
    // The return entry whose addenda is awaited: its line and the identification that it repeats.
    let mut entry: Option<(usize, String)> = None;
    let mut is_begun = false;
    let unreadable = |position, reason: &str| Reported {
        position,
        named: Named::Unreadable(reason.to_owned()),
        reason: String::new(),
    };
    for (line, position) in text.lines().zip(1..) {
        // Some banks cut blanks at the end of a record.
        let record = format!("{line:RECORD$}");
        if line.trim().is_empty() {
            continue;
        }
        if !is_begun {
            if !record.starts_with("101") {
                return Err(not_that("the file does not begin with a file header (1)"));
            }
            is_begun = true;
            continue;
        }
        if record.len() != RECORD || !record.is_ascii() {
            rows.push(unreadable(position, "the record has not 94 characters"));
            entry = None;
            continue;
        }
        if let Some((at, _)) = entry.as_ref().filter(|_| !record.starts_with('7')) {
            rows.push(unreadable(*at, "the entry has no addenda that says why"));
            entry = None;
        }
        match (&record[..1], entry.take()) {
            ("6", _) => entry = Some((position, record[39..54].trim().to_owned())),
            ("7", Some((at, identification))) => {
                rows.push(addenda(&record, at, identification));
            }
            ("7", None) => rows.push(unreadable(position, "an addenda without its entry")),
            ("5" | "8" | "9" | "1", _) => {}
            _ => rows.push(unreadable(position, "a record of no known type")),
        }
    }
    if let Some((at, _)) = entry {
        rows.push(unreadable(at, "the entry has no addenda that says why"));
    }
    if !is_begun {
        return Err(not_that("the file is empty"));
    }
    Ok(rows)
}

fn addenda(record: &str, position: usize, identification: String) -> Reported {
    let code = &record[3..6];
    let known = RETURN_CODES.iter().find(|(known, _)| *known == code);
    let reason = match known {
        Some((_, words)) => format!("{code}: {words}"),
        None => code.to_owned(),
    };
    let named = match &record[1..3] {
        "99" if DUPLICATES.contains(&code) => duplicate(),
        "99" if code.starts_with('R') => Named::Entry {
            trace: record[6..21].trim().to_owned(),
            identification,
        },
        "98" => Named::Nothing("a notification of change, not a return".to_owned()),
        _ => Named::Unreadable("an addenda that is neither a return nor a change".to_owned()),
    };
    Reported {
        position,
        named,
        reason,
    }
}

// ---- pain.002

/// What banks mean by the reason codes that are common (ISO 20022, external code set of status reasons).
const REASON_CODES: [(&str, &str); 18] = [
    ("AC01", "incorrect account number"),
    ("AC04", "account closed"),
    ("AC06", "account blocked"),
    ("AC13", "wrong type of account"),
    ("AG01", "transaction forbidden on this account"),
    ("AG02", "invalid transaction code"),
    ("AM05", "duplicate"),
    ("BE04", "creditor's address missing or incorrect"),
    ("CNOR", "creditor's bank not registered"),
    ("DNOR", "debtor's bank not registered"),
    ("DUPL", "duplicate"),
    ("FF01", "file format invalid"),
    ("MD07", "beneficiary deceased"),
    ("MS02", "refused by the creditor, without a reason"),
    ("MS03", "refused by the bank, without a reason"),
    ("RC01", "bank identifier incorrect"),
    ("RR04", "regulatory reason"),
    ("TM01", "received after the cut-off"),
];

/// The rejected ones among the statuses.
const REJECTED: &str = "RJCT";

/// Codes by which a bank refuses what it has had already: the first one stands, and its money with it.
const DUPLICATES: [&str; 3] = ["AM05", "DUPL", "R24"];

/// What a duplicate is told to be: returning the payout for it would pay it twice.
fn duplicate() -> Named {
    Named::Nothing(
        "the bank calls it a duplicate, so the first one stands; return it by hand if none did"
            .to_owned(),
    )
}

/// What is being read: the group, a payment information block or a transaction.
#[derive(Default)]
struct Block {
    id: String,
    status: String,
    code: String,
    words: String,
}

impl Block {
    fn reason(&self) -> String {
        let known = REASON_CODES.iter().find(|(code, _)| *code == self.code);
        let words = match (self.words.is_empty(), known) {
            (false, _) => self.words.as_str(),
            (true, Some((_, words))) => words,
            (true, None) => "",
        };
        let parts: Vec<&str> = [self.code.as_str(), words]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        if parts.is_empty() {
            "rejected without a reason".to_owned()
        } else {
            short(&without_numbers(&parts.join(": ")), MAX_REASON)
        }
    }
}

const BLOCKS: [&str; 3] = ["OrgnlGrpInfAndSts", "OrgnlPmtInfAndSts", "TxInfAndSts"];

fn pain_002(text: &str) -> Result<Vec<Reported>, ReturnFileError> {
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    let mut content = String::new();
    let mut is_report = false;
    // Whole messages come last: what is said of a single transaction says more.
    let (mut transactions, mut messages) = (Vec::new(), Vec::new());
    loop {
        let at = reader.buffer_position();
        let broken = |why: &dyn std::fmt::Display| not_that(format!("byte {at}: {why}"));
        match reader.read_event().map_err(|error| broken(&error))? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if path.len() >= MAX_DEPTH {
                    return Err(broken(&"elements are nested too deeply"));
                }
                is_report |= name == "CstmrPmtStsRpt";
                if BLOCKS.contains(&name.as_str()) {
                    blocks.push(Block::default());
                }
                path.push(name);
                content.clear();
            }
            Event::End(_) => {
                let name = path.pop().unwrap_or_default();
                let parent = path.last().map_or("", String::as_str);
                let text = content.trim().to_owned();
                if let Some(block) = blocks.last_mut() {
                    let field = match (parent, name.as_str()) {
                        (_, "OrgnlMsgId" | "OrgnlPmtInfId" | "OrgnlEndToEndId")
                            if BLOCKS.contains(&parent) =>
                        {
                            Some(&mut block.id)
                        }
                        (_, "GrpSts" | "PmtInfSts" | "TxSts") => Some(&mut block.status),
                        ("Rsn", "Cd" | "Prtry") if block.code.is_empty() => Some(&mut block.code),
                        ("StsRsnInf", "AddtlInf") if block.words.is_empty() => {
                            Some(&mut block.words)
                        }
                        _ => None,
                    };
                    if let Some(field) = field {
                        *field = text;
                    }
                }
                if BLOCKS.contains(&name.as_str())
                    && let Some(block) = blocks.pop()
                {
                    let position = transactions.len() + messages.len() + 1;
                    match name.as_str() {
                        "TxInfAndSts" => transactions.push(transaction(&block, position)),
                        _ if block.status == REJECTED => messages.push(Reported {
                            position,
                            named: if DUPLICATES.contains(&block.code.as_str()) {
                                duplicate()
                            } else {
                                Named::Message(short(&block.id, MAX_NAMED))
                            },
                            reason: block.reason(),
                        }),
                        _ => {}
                    }
                }
                content.clear();
            }
            Event::Text(text) => content.push_str(&text),
            Event::CData(text) => content.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) => content.push(
                match entity.resolve_char_ref().map_err(|error| broken(&error))? {
                    Some(letter) => letter,
                    None => predefined(&entity.xml10_content())
                        .ok_or_else(|| broken(&"an entity that is not predefined"))?,
                },
            ),
            Event::DocType(_) => return Err(broken(&"a document type is not read")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !path.is_empty() {
        return Err(not_that("the document breaks off"));
    }
    if !is_report {
        return Err(not_that(
            "the document is no customer payment status report (pain.002)",
        ));
    }
    transactions.extend(messages);
    Ok(transactions)
}

fn transaction(block: &Block, position: usize) -> Reported {
    let named = match block.status.as_str() {
        REJECTED if DUPLICATES.contains(&block.code.as_str()) => duplicate(),
        REJECTED => payout_or_foreign(payout_of(&block.id), &block.id),
        "" => Named::Unreadable("the transaction states no status".to_owned()),
        status => Named::Nothing(format!("the status is {}", short(status, MAX_NAMED))),
    };
    let reason = match block.status.as_str() {
        REJECTED => block.reason(),
        _ => String::new(),
    };
    Reported {
        position,
        named,
        reason,
    }
}

fn predefined(entity: &str) -> Option<char> {
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn po(n: u8) -> PayoutId {
        PayoutId::from_bytes([n; 16])
    }

    fn found(format: ReturnFormat, text: &str) -> Vec<(Named, String)> {
        let rows = read(format, text).unwrap();
        rows.into_iter()
            .map(|row| (row.named, row.reason))
            .collect()
    }

    #[test]
    fn a_table_is_read_row_by_row() {
        let text = format!(
            "\u{feff}payout_id,reason\r\n{},\"closed, by its owner\"\r\nINV-7,closed\r\n{},\r\nx\r\n",
            po(1),
            po(2)
        );
        let rows = read(ReturnFormat::Csv, &text).unwrap();
        let positions: Vec<usize> = rows.iter().map(|row| row.position).collect();
        assert_eq!(positions, [2, 3, 4, 5]);
        assert_eq!(rows[0].named, Named::Payout(po(1)));
        assert_eq!(rows[0].reason, "closed, by its owner");
        assert_eq!(rows[1].named, Named::Foreign("INV-7".to_owned()));
        assert!(matches!(rows[2].named, Named::Unreadable(_)));
        assert!(matches!(rows[3].named, Named::Unreadable(_)));
    }

    fn ach(entry: &str, addenda: &str) -> String {
        let header = format!("{:94}", "101 1234567890210000212603041200A094101VENDOR");
        format!(
            "{header}\n{:94}\n{entry:94}\n{addenda:94}\n{:94}\n{:94}\n",
            "5220VENDOR", "8220", "9000001"
        )
    }

    const ENTRY: &str = "62102100002112345678         0000005880040G2081040G208ADA                     1011401530000001";

    #[test]
    fn an_ach_return_names_the_original_entry_and_the_reason() {
        let addenda = "799R03021000020000001      02100002";
        let rows = read(ReturnFormat::Nacha, &ach(ENTRY, addenda)).unwrap();
        assert_eq!(
            rows,
            [Reported {
                position: 3,
                named: Named::Entry {
                    trace: "021000020000001".to_owned(),
                    identification: "040G2081040G208".to_owned(),
                },
                reason: "R03: no account, or not of that name".to_owned(),
            }]
        );
        let change = found(ReturnFormat::Nacha, &ach(ENTRY, "798C01021000020000001"));
        assert!(matches!(&change[0].0, Named::Nothing(_)), "{change:?}");
        let without = found(ReturnFormat::Nacha, &ach(ENTRY, "8220"));
        assert!(matches!(&without[0].0, Named::Unreadable(_)), "{without:?}");
        let long = found(ReturnFormat::Nacha, &ach(&format!("{ENTRY}x"), addenda));
        assert_eq!(
            long.len(),
            2,
            "a record too long, and an addenda without entry"
        );
        for wrong in ["", "payout_id,reason", "<Document/>"] {
            assert!(read(ReturnFormat::Nacha, wrong).is_err());
        }
    }

    #[test]
    fn an_addenda_that_cannot_be_used_is_told_by_its_fault() {
        let orphan = found(ReturnFormat::Nacha, &ach("8200", "799R03021000020000001"));
        let why = "an addenda without its entry".to_owned();
        assert_eq!(orphan, [(Named::Unreadable(why), String::new())]);
        // A return states a return code; this one states that of a correction.
        let mixed = found(ReturnFormat::Nacha, &ach(ENTRY, "799C01021000020000001"));
        assert!(
            matches!(mixed.as_slice(), [(Named::Unreadable(_), _)]),
            "nothing came back: {mixed:?}"
        );
    }

    #[test]
    fn what_a_bank_calls_a_duplicate_returns_nothing() {
        let nothing = |rows: Vec<(Named, String)>| {
            assert!(!rows.is_empty());
            assert!(
                rows.iter().all(|(named, _)| matches!(named, Named::Nothing(why) if why.contains("the first one stands"))),
                "{rows:?}"
            );
        };
        let addenda = "799R24021000020000001      02100002";
        nothing(found(ReturnFormat::Nacha, &ach(ENTRY, addenda)));
        for code in ["AM05", "DUPL"] {
            let why = format!("<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>");
            let group = format!(
                "<OrgnlGrpInfAndSts><OrgnlMsgId>m-1</OrgnlMsgId><GrpSts>RJCT</GrpSts>{why}</OrgnlGrpInfAndSts>"
            );
            nothing(found(ReturnFormat::Pain002, &report(&group)));
            let one = format!(
                "<OrgnlPmtInfAndSts><TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>RJCT</TxSts>{why}</TxInfAndSts></OrgnlPmtInfAndSts>",
                po(1).to_string().replace('_', "-")
            );
            nothing(found(ReturnFormat::Pain002, &report(&one)));
        }
    }

    #[test]
    fn a_reason_is_kept_without_account_numbers() {
        let text = format!(
            "payout_id,reason\n{},account FR1420041010050500013M02606 closed in 2026\n",
            po(1)
        );
        let rows = found(ReturnFormat::Csv, &text);
        assert_eq!(rows[0].1, "account …06 closed in 2026");
    }

    fn report(content: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt>\
             <GrpHdr><MsgId>b-1</MsgId></GrpHdr>{content}</CstmrPmtStsRpt></Document>"
        )
    }

    #[test]
    fn a_status_report_names_what_was_rejected() {
        let id = |n| po(n).to_string().replace('_', "-");
        let text = report(&format!(
            "<OrgnlGrpInfAndSts><OrgnlMsgId>bat-x-1</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpSts>PART</GrpSts></OrgnlGrpInfAndSts>\
             <OrgnlPmtInfAndSts><OrgnlPmtInfId>bat-x-1</OrgnlPmtInfId>\
             <TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Orgtr><Nm>Bank &amp; Co</Nm></Orgtr><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts>\
             <TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>ACSC</TxSts></TxInfAndSts>\
             <TxInfAndSts><OrgnlEndToEndId>NOTPROVIDED</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC01</Cd></Rsn><AddtlInf>IBAN &lt;wrong&#62;</AddtlInf></StsRsnInf></TxInfAndSts>\
             </OrgnlPmtInfAndSts>",
            id(1),
            id(2)
        ));
        assert_eq!(
            found(ReturnFormat::Pain002, &text),
            [
                (Named::Payout(po(1)), "AC04: account closed".to_owned()),
                (
                    Named::Nothing("the status is ACSC".to_owned()),
                    String::new()
                ),
                (
                    Named::Foreign("NOTPROVIDED".to_owned()),
                    "AC01: IBAN <wrong>".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_message_that_was_rejected_as_a_whole_is_named() {
        let text = report(
            "<OrgnlGrpInfAndSts><OrgnlMsgId>bat-x-1</OrgnlMsgId><GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf></OrgnlGrpInfAndSts>",
        );
        assert_eq!(
            found(ReturnFormat::Pain002, &text),
            [(
                Named::Message("bat-x-1".to_owned()),
                "FF01: file format invalid".to_owned()
            )]
        );
    }

    #[test]
    fn what_a_report_says_is_numbered_through() {
        let rejected = |block: &str, id: &str, ids: &str, status: &str, inner: &str| {
            format!("<{block}><{ids}>{id}</{ids}><{status}>RJCT</{status}>{inner}</{block}>")
        };
        let one = |n: u8| {
            let id = po(n).to_string().replace('_', "-");
            rejected("TxInfAndSts", &id, "OrgnlEndToEndId", "TxSts", "")
        };
        let text = report(&format!(
            "{}{}",
            rejected("OrgnlGrpInfAndSts", "m-1", "OrgnlMsgId", "GrpSts", ""),
            rejected(
                "OrgnlPmtInfAndSts",
                "m-2",
                "OrgnlPmtInfId",
                "PmtInfSts",
                &format!("{}{}", one(1), one(2)),
            )
        ));
        let rows: Vec<_> = read(ReturnFormat::Pain002, &text)
            .unwrap()
            .into_iter()
            .map(|row| (row.position, row.named))
            .collect();
        assert_eq!(
            rows,
            [
                (2, Named::Payout(po(1))),
                (3, Named::Payout(po(2))),
                (1, Named::Message("m-1".to_owned())),
                (4, Named::Message("m-2".to_owned())),
            ]
        );
    }

    #[test]
    fn of_several_reasons_the_first_is_told_and_a_transaction_keeps_its_own_id() {
        let text = report(&format!(
            "<OrgnlPmtInfAndSts><TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>RJCT</TxSts>\
             <StsRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>closed in May</AddtlInf><AddtlInf>ask them</AddtlInf></StsRsnInf>\
             <StsRsnInf><Rsn><Cd>MS03</Cd></Rsn></StsRsnInf>\
             <OrgnlTxRef><OrgnlEndToEndId>another</OrgnlEndToEndId></OrgnlTxRef></TxInfAndSts></OrgnlPmtInfAndSts>",
            po(1).to_string().replace('_', "-")
        ));
        assert_eq!(
            found(ReturnFormat::Pain002, &text),
            [(Named::Payout(po(1)), "AC04: closed in May".to_owned())]
        );
    }

    #[test]
    fn escaped_characters_in_a_banks_words_are_read() {
        let text = report(
            "<TxInfAndSts><OrgnlEndToEndId>x</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf>\
             <AddtlInf>&lt;a&gt; &amp; &quot;b&apos;s&quot;</AddtlInf></StsRsnInf></TxInfAndSts>",
        );
        let rows = found(ReturnFormat::Pain002, &text);
        assert_eq!(rows[0].1, "<a> & \"b's\"");
    }

    #[test]
    fn what_is_no_status_report_is_refused_whole() {
        let deep = report(&"<a>".repeat(40));
        let bomb = report("<x>&lol;</x>");
        for wrong in [
            "",
            "payout_id,reason",
            "<Document></Document>",
            "<Document><CstmrPmtStsRpt>",
            "<!DOCTYPE x [<!ENTITY lol \"lol\">]><Document><CstmrPmtStsRpt/></Document>",
            &deep,
            &bomb,
        ] {
            assert!(read(ReturnFormat::Pain002, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn more_rows_than_are_read_at_once_are_refused() {
        let row = format!("{},closed\n", po(1));
        assert!(read(ReturnFormat::Csv, &row.repeat(MAX_RETURNS)).is_ok());
        assert_eq!(
            read(ReturnFormat::Csv, &row.repeat(MAX_RETURNS + 1)),
            Err(ReturnFileError::TooMany)
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_breaks_the_reader(text in ".{0,300}", records in prop::collection::vec("[15678][ -~é]{0,100}", 0..20)) {
            for format in [ReturnFormat::Nacha, ReturnFormat::Pain002, ReturnFormat::Csv] {
                let _ = read(format, &text);
            }
            let _ = read(ReturnFormat::Nacha, &format!("101\n{}", records.join("\n")));
            let _ = read(ReturnFormat::Pain002, &report(&text));
        }
    }
}
