//! Keys and items of merges.

use serde::{Deserialize, Serialize};

use super::model::{FOLLOWING, Following, Merge, Moved, Moving};
use crate::clock::{Timestamp, stamp};
use crate::ids::{OperatorId, PartnerId, ProgramId};
use crate::money::{Currency, Money};
use crate::table::{Condition, Error, Index, Key, Op, Put, Range, Table, Update, int};

/// The due partition of merges: few, and each looked at once a day.
const DUE: &str = "MERGES";

fn merge_key(from: PartnerId) -> Key {
    Key::new(format!("PTR#{from}"), "MERGE")
}

#[derive(Serialize, Deserialize)]
struct MergeItem {
    pk: String,
    sk: String,
    due_pk: String,
    due_sk: String,
    from: PartnerId,
    into: PartnerId,
    by: OperatorId,
    reason: String,
    at: Timestamp,
    passes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    following: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    followed: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moving: Option<MovingPart>,
    moved: Vec<MovedPart>,
    next_at: Timestamp,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct MovingPart {
    program: ProgramId,
    to: PartnerId,
    minor: i64,
    currency: String,
}

#[derive(Serialize, Deserialize)]
struct MovedPart {
    program: ProgramId,
    minor: i64,
    currency: String,
    parts: u32,
}

fn item(merge: &Merge) -> MergeItem {
    let Merge {
        from,
        into,
        by,
        reason,
        at,
        passes,
        following,
        followed,
        moving,
        moved,
        next_at,
        version,
    } = merge.clone();
    let Key { pk, sk } = merge_key(from);
    let name = |what: Following| {
        let found = FOLLOWING.iter().find(|(_, one)| *one == what);
        found.map(|(name, _)| (*name).to_owned())
    };
    let (following, position) = following
        .map(|(what, position)| (name(what), position))
        .unwrap_or_default();
    MergeItem {
        pk,
        sk,
        due_pk: DUE.to_owned(),
        due_sk: format!("{}#{from}", stamp(next_at)),
        from,
        into,
        by,
        reason,
        at,
        passes,
        following,
        position,
        followed: followed.to_vec(),
        moving: moving.map(
            |Moving {
                 program,
                 to,
                 amount,
             }| MovingPart {
                program,
                to,
                minor: amount.minor(),
                currency: amount.currency().code().to_owned(),
            },
        ),
        moved: moved
            .into_iter()
            .map(
                |Moved {
                     program,
                     amount,
                     parts,
                 }| MovedPart {
                    program,
                    minor: amount.minor(),
                    currency: amount.currency().code().to_owned(),
                    parts,
                },
            )
            .collect(),
        next_at,
        version,
    }
}

fn money(minor: i64, currency: &str) -> Result<Money, Error> {
    let currency: Currency = currency
        .parse()
        .map_err(|_| Error::Malformed(format!("merge: {currency} is no currency")))?;
    Ok(Money::new(minor, currency))
}

fn merge(item: MergeItem) -> Result<Merge, Error> {
    let MergeItem {
        pk: _,
        sk: _,
        due_pk: _,
        due_sk: _,
        from,
        into,
        by,
        reason,
        at,
        passes,
        following,
        position,
        followed,
        moving,
        moved,
        next_at,
        version,
    } = item;
    let named = |name: &String| {
        let found = FOLLOWING.iter().find(|(known, _)| known == name);
        let unknown = || Error::Malformed(format!("merge: {name} does not follow"));
        found.map(|(_, what)| *what).ok_or_else(unknown)
    };
    let mut counts = [0; FOLLOWING.len()];
    for (count, stored) in counts.iter_mut().zip(followed) {
        *count = stored;
    }
    Ok(Merge {
        from,
        into,
        by,
        reason,
        at,
        passes,
        following: following
            .as_ref()
            .map(named)
            .transpose()?
            .map(|what| (what, position)),
        followed: counts,
        moving: moving
            .map(|part| {
                Ok::<_, Error>(Moving {
                    program: part.program,
                    to: part.to,
                    amount: money(part.minor, &part.currency)?,
                })
            })
            .transpose()?,
        moved: moved
            .into_iter()
            .map(|part| {
                Ok(Moved {
                    program: part.program,
                    amount: money(part.minor, &part.currency)?,
                    parts: part.parts,
                })
            })
            .collect::<Result<_, Error>>()?,
        next_at,
        version,
    })
}

/// The put of a new merge, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed merge.
pub fn save(saved: &Merge) -> Result<Op, Error> {
    let item = item(saved);
    if saved.version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let before = i64::try_from(saved.version - 1).unwrap_or(i64::MAX);
    let change = Update::rewrite(&item, &["following", "position", "moving"])?;
    Ok(Op::Update(
        change.only_if(Condition::equals("version", int(before))),
    ))
}

/// The merge of a partner into another.
///
/// # Errors
/// The table's.
pub async fn find(table: &Table, from: PartnerId) -> Result<Option<Merge>, Error> {
    let found: Option<MergeItem> = table.get(&merge_key(from)).await?;
    found.map(merge).transpose()
}

/// Who was merged and has something due by then, the longest due first.
///
/// # Errors
/// The table's.
pub async fn due(table: &Table, now: Timestamp, limit: usize) -> Result<Vec<PartnerId>, Error> {
    // `$` is the character after `#`: the last millisecond is included with all its merges.
    let range = Range::partition(Index::Due, DUE, limit).below(format!("{}$", stamp(now)));
    let (entries, _) = table.entries(&range).await?;
    let from = |pk: &str| pk.strip_prefix("PTR#")?.parse().ok();
    Ok(entries
        .iter()
        .filter_map(|entry| from(&entry.key.pk))
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_reads_back_wherever_it_stands() {
        let partner = |byte| PartnerId::from_bytes([byte; 16]);
        let at = "2026-05-04T09:00:00Z".parse().unwrap();
        let by = OperatorId::from_bytes([3; 16]);
        let new = Merge::new(partner(1), partner(2), by, "one firm".to_owned(), at);
        let program = ProgramId::from_bytes([9; 16]);
        let paged = new.after_page(Following::Enrolments, 2, Some("p#1".to_owned()));
        let moving = paged.with(Moving {
            program,
            to: partner(2),
            amount: Money::new(-3, "JPY".parse().unwrap()),
        });
        let arrived = moving.arrived().unwrap();
        for one in [new, paged, moving, arrived] {
            assert_eq!(merge(item(&one)).unwrap(), one);
        }
    }
}
