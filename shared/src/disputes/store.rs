//! Keys and items of disputes.

use serde::{Deserialize, Serialize};

use super::model::{
    DISPUTE_KINDS, Decision, Dispute, Ending, Evidence, REASONS, Remedy, Transaction, VERDICTS,
    name_of,
};
use crate::clock::{Timestamp, stamp};
use crate::ids::{ConversionId, DisputeId, OperatorId, PartnerId, ProgramId};
use crate::money::Money;
use crate::table::{
    Condition, Entry, Error, Index, Item, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

/// The name of an ending that no verdict has.
const WITHDRAWN: &str = "withdrawn";

fn dispute_key(id: DisputeId) -> Key {
    Key::new(format!("DISP#{id}"), "DISPUTE")
}

fn evidence_key(id: DisputeId) -> Key {
    Key::new(format!("DISP#{id}"), "EVIDENCE")
}

/// Names the open dispute of a partner about a conversion, so that there is one.
fn open_key(partner: PartnerId, conversion: ConversionId) -> Key {
    Key::new(format!("DISPUTED#{partner}"), conversion.to_string())
}

/// The dispute that an item belongs to.
fn dispute_of(key: &Key) -> Option<DisputeId> {
    key.pk.strip_prefix("DISP#")?.parse().ok()
}

/// Which disputes are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A program's, newest first.
    Program(ProgramId),
    /// A program's open ones, oldest first.
    Open(ProgramId),
    /// A partner's, newest first.
    Partner(PartnerId),
}

fn program_partition(program: ProgramId) -> String {
    format!("DISPUTES#{program}")
}

fn partner_partition(partner: PartnerId) -> String {
    format!("DISPUTES#{partner}")
}

#[derive(Serialize, Deserialize)]
struct DisputeItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    /// While it is open: what waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: DisputeId,
    program: ProgramId,
    partner: PartnerId,
    kind: String,
    conversion: ConversionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    occurred_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<AmountPart>,
    raised_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<EndingPart>,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct AmountPart {
    minor: i64,
    currency: String,
}

#[derive(Serialize, Deserialize)]
struct EndingPart {
    /// A verdict, or [`WITHDRAWN`].
    how: String,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<OperatorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversion: Option<ConversionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amended: Option<AmountPart>,
    /// What was given, beside the line that gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given: Option<AmountPart>,
}

#[derive(Serialize, Deserialize)]
struct EvidenceItem {
    pk: String,
    sk: String,
    /// The partner's list goes over these, the program's over the disputes themselves.
    list_pk: String,
    list_sk: String,
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<String>,
}

fn amount_part(amount: Money) -> AmountPart {
    AmountPart {
        minor: amount.minor(),
        currency: amount.currency().code().to_owned(),
    }
}

fn amount(part: AmountPart) -> Result<Money, Error> {
    let AmountPart { minor, currency } = part;
    let currency = currency.parse().map_err(|_| malformed("currency"))?;
    Ok(Money::new(minor, currency))
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("dispute: {what}"))
}

fn ending_part(ending: Ending, at: Timestamp) -> EndingPart {
    let Ending::Decided(decision) = ending else {
        return EndingPart {
            how: WITHDRAWN.to_owned(),
            at,
            reason: None,
            note: None,
            by: None,
            conversion: None,
            amended: None,
            given: None,
        };
    };
    let Decision {
        verdict,
        reason,
        note,
        remedy,
        by,
    } = decision;
    let (conversion, amended, given) = match remedy {
        None => (None, None, None),
        Some(Remedy::Conversion(id)) => (Some(id), None, None),
        Some(Remedy::Amendment(amount)) => (None, Some(amount_part(amount)), None),
        Some(Remedy::Adjustment(id, amount)) => (Some(id), None, Some(amount_part(amount))),
    };
    EndingPart {
        how: name_of(VERDICTS, verdict).to_owned(),
        at,
        reason: Some(name_of(REASONS, reason).to_owned()),
        note,
        by: Some(by),
        conversion,
        amended,
        given,
    }
}

fn named<T: Copy>(choices: &[(&str, T)], name: &str) -> Option<T> {
    let found = choices.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

fn ending(part: EndingPart) -> Result<(Ending, Timestamp), Error> {
    let EndingPart {
        how,
        at,
        reason,
        note,
        by,
        conversion,
        amended,
        given,
    } = part;
    if how == WITHDRAWN {
        return Ok((Ending::Withdrawn, at));
    }
    let remedy = match (conversion, amended, given) {
        (Some(id), _, Some(part)) => Some(Remedy::Adjustment(id, amount(part)?)),
        (Some(id), _, None) => Some(Remedy::Conversion(id)),
        (None, Some(part), _) => Some(Remedy::Amendment(amount(part)?)),
        (None, None, _) => None,
    };
    let reason = reason.and_then(|name| named(REASONS, &name));
    let decision = Decision {
        verdict: named(VERDICTS, &how).ok_or_else(|| malformed("verdict"))?,
        reason: reason.ok_or_else(|| malformed("reason"))?,
        note,
        remedy,
        by: by.ok_or_else(|| malformed("operator"))?,
    };
    Ok((Ending::Decided(decision), at))
}

fn position(dispute: &Dispute) -> String {
    format!("{}#{}", stamp(dispute.raised_at), dispute.id)
}

fn dispute_item(dispute: &Dispute) -> DisputeItem {
    let list_sk = position(dispute);
    let Dispute {
        id,
        program,
        partner,
        kind,
        conversion,
        transaction,
        occurred_at,
        expected,
        raised_at,
        ended,
        version,
    } = dispute.clone();
    let Key { pk, sk } = dispute_key(id);
    let is_open = ended.is_none();
    let (event, transaction_id) = transaction
        .map(
            |Transaction {
                 event,
                 transaction_id,
             }| (event, transaction_id),
        )
        .unzip();
    DisputeItem {
        pk,
        sk,
        list_pk: program_partition(program),
        due_pk: is_open.then(|| program_partition(program)),
        due_sk: is_open.then(|| list_sk.clone()),
        list_sk,
        id,
        program,
        partner,
        kind: name_of(DISPUTE_KINDS, kind).to_owned(),
        conversion,
        event,
        transaction_id,
        occurred_at,
        expected: expected.map(amount_part),
        raised_at,
        ended: ended.map(|(ending, at)| ending_part(ending, at)),
        version,
    }
}

fn dispute(item: DisputeItem) -> Result<Dispute, Error> {
    let DisputeItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        program,
        partner,
        kind,
        conversion,
        event,
        transaction_id,
        occurred_at,
        expected,
        raised_at,
        ended,
        version,
    } = item;
    Ok(Dispute {
        id,
        program,
        partner,
        kind: named(DISPUTE_KINDS, &kind).ok_or_else(|| malformed("kind"))?,
        conversion,
        transaction: event
            .zip(transaction_id)
            .map(|(event, transaction_id)| Transaction {
                event,
                transaction_id,
            }),
        occurred_at,
        expected: expected.map(amount).transpose()?,
        raised_at,
        ended: ended.map(ending).transpose()?,
        version,
    })
}

/// The writes that raise a dispute: itself, its evidence, and that it is the open one about its conversion.
///
/// # Errors
/// Never for a well-formed dispute.
pub fn raise(dispute: &Dispute, evidence: &Evidence) -> Result<[Op; 3], Error> {
    let Evidence { text: words, links } = evidence.clone();
    let Key { pk, sk } = evidence_key(dispute.id);
    let evidence = EvidenceItem {
        pk,
        sk,
        list_pk: partner_partition(dispute.partner),
        list_sk: position(dispute),
        text: words,
        links,
    };
    let open = Update::at(open_key(dispute.partner, dispute.conversion))
        .set("open", text(dispute.id.to_string()))
        .only_if(Condition::default().and_absent("open"));
    Ok([
        Op::Put(Put::new(&dispute_item(dispute))?),
        Op::Put(Put::new(&evidence)?),
        Op::Update(open),
    ])
}

/// The open dispute that an item of [`raise`]'s last write names.
#[must_use]
pub fn open_dispute(item: &Item) -> Option<DisputeId> {
    item.get("open")?.as_s().ok()?.parse().ok()
}

/// The writes that end a dispute from the version before, so that another may be raised.
///
/// # Errors
/// Never for a well-formed dispute.
pub fn end(ended: &Dispute) -> Result<[Op; 2], Error> {
    let before = i64::try_from(ended.version - 1).unwrap_or(i64::MAX);
    let change = Update::rewrite(&dispute_item(ended), &["due_pk", "due_sk"])?
        .only_if(Condition::equals("version", int(before)));
    let open = Update::at(open_key(ended.partner, ended.conversion))
        .remove("open")
        .only_if(Condition::equals("open", text(ended.id.to_string())));
    Ok([Op::Update(change), Op::Update(open)])
}

/// A dispute.
///
/// # Errors
/// The table's.
pub async fn find(table: &Table, id: DisputeId) -> Result<Option<Dispute>, Error> {
    let item: Option<DisputeItem> = table.get(&dispute_key(id)).await?;
    item.map(dispute).transpose()
}

/// Disputes with their evidence, unless that was erased, in the order of `ids`: one round trip.
///
/// # Errors
/// The table's.
pub async fn find_many(
    table: &Table,
    ids: &[DisputeId],
) -> Result<Vec<(Dispute, Option<Evidence>)>, Error> {
    let keys = ids
        .iter()
        .flat_map(|id| [dispute_key(*id), evidence_key(*id)]);
    let mut items = table.get_many(keys).await?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(item) = items.remove(&dispute_key(*id)) else {
            continue;
        };
        let evidence = items.remove(&evidence_key(*id)).map(|item| {
            let EvidenceItem { text, links, .. } = from_item(item)?;
            Ok::<_, Error>(Evidence { text, links })
        });
        found.push((dispute(from_item(item)?)?, evidence.transpose()?));
    }
    Ok(found)
}

/// A page of ids, beyond a position, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page(
    table: &Table,
    listed: Listed,
    beyond: Option<String>,
    limit: usize,
) -> Result<(Vec<DisputeId>, Option<String>), Error> {
    let range = match listed {
        Listed::Open(program) => {
            let range = Range::partition(Index::Due, program_partition(program), limit);
            match beyond {
                Some(beyond) => range.between(format!("{beyond}\0"), "\u{10FFFF}"),
                None => range,
            }
        }
        Listed::Program(_) | Listed::Partner(_) => {
            let partition = match listed {
                Listed::Partner(partner) => partner_partition(partner),
                Listed::Program(program) | Listed::Open(program) => program_partition(program),
            };
            let range = Range::partition(Index::List, partition, limit).newest_first();
            match beyond {
                Some(beyond) => range.below(beyond),
                None => range,
            }
        }
    };
    let (entries, more) = table.entries(&range).await?;
    let position = entries.last().filter(|_| more);
    let position = position.map(|entry| entry.sort.clone());
    let id = |entry: &Entry| dispute_of(&entry.key);
    Ok((entries.iter().filter_map(id).collect(), position))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::model::{DisputeKind, Reason, Verdict};
    use super::*;

    fn open() -> Dispute {
        Dispute {
            id: DisputeId::from_bytes([1; 16]),
            program: ProgramId::from_bytes([2; 16]),
            partner: PartnerId::from_bytes([3; 16]),
            kind: DisputeKind::WrongAmount,
            conversion: ConversionId::from_bytes([4; 16]),
            transaction: Some(Transaction {
                event: "sale".to_owned(),
                transaction_id: "o-1".to_owned(),
            }),
            occurred_at: "2026-03-01T00:00:00Z".parse().unwrap(),
            expected: Some(Money::new(4900, "GBP".parse().unwrap())),
            raised_at: "2026-03-02T00:00:00Z".parse().unwrap(),
            ended: None,
            version: 1,
        }
    }

    fn read_back(dispute: &Dispute) -> Dispute {
        let put = Put::new(&dispute_item(dispute)).unwrap();
        super::dispute(from_item(put.item().clone()).unwrap()).unwrap()
    }

    #[test]
    fn a_dispute_reads_back_open_withdrawn_and_decided() {
        let now = "2026-03-03T00:00:00Z".parse().unwrap();
        let gbp = Money::new(5900, "GBP".parse().unwrap());
        let remedies = [
            Remedy::Conversion(ConversionId::from_bytes([4; 16])),
            Remedy::Amendment(gbp),
            Remedy::Adjustment(ConversionId::from_bytes([6; 16]), gbp),
        ];
        let decided = remedies.map(|remedy| {
            let decision = Decision {
                verdict: Verdict::PartiallyUpheld,
                reason: Reason::Goodwill,
                note: Some("as agreed".to_owned()),
                remedy: Some(remedy),
                by: OperatorId::from_bytes([5; 16]),
            };
            open().decided(decision, now).unwrap()
        });
        let bare = Dispute {
            transaction: None,
            expected: None,
            ..open()
        };
        let all = [open(), bare, open().withdrawn(now).unwrap()];
        for dispute in all.iter().chain(&decided) {
            assert_eq!(read_back(dispute), *dispute);
        }
    }

    #[test]
    fn only_an_open_dispute_waits_for_an_operator() {
        let now = "2026-03-03T00:00:00Z".parse().unwrap();
        assert!(dispute_item(&open()).due_pk.is_some());
        assert!(
            dispute_item(&open().withdrawn(now).unwrap())
                .due_pk
                .is_none()
        );
    }
}
