//! Keys and items of uploads.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::model::{
    Failure, Fault, Header, KEPT_DAYS, KINDS, PARTS_KEPT_DAYS, Place, Stage, Upload,
};
use super::rows::SEPARATORS;
use crate::clock::{Timestamp, days_after, stamp};
use crate::ids::{OperatorId, ProgramId, UploadId};
use crate::table::{
    AttributeValue, Condition, Error, Index, Item, Key, Op, Put, Range, Table, Update, from_item,
    int, text,
};

/// Where uploads at work are found.
const WORK: &str = "WORK#imports";

/// The largest number that a row's key has a place for; a file of the most bytes has fewer lines.
const LAST_ROW: u64 = 99_999_999;

fn key(id: UploadId) -> Key {
    Key::new(format!("UPLOAD#{id}"), "UPLOAD")
}

fn part_key(id: UploadId, number: usize) -> Key {
    Key::new(format!("UPLOAD#{id}"), format!("PART#{number:03}"))
}

fn size_key(id: UploadId, number: usize) -> Key {
    Key::new(format!("UPLOAD#{id}"), format!("SIZE#{number:03}"))
}

/// Says that a row has taken effect: put in the very transaction of its effect.
fn row_key(id: UploadId, row: u64) -> Key {
    Key::new(format!("UPLOAD#{id}"), format!("ROW#{row:08}"))
}

fn faults_key(id: UploadId, row: u64) -> Key {
    Key::new(format!("UPLOAD#{id}"), format!("FAULTS#{row:08}"))
}

fn list(program: ProgramId) -> String {
    format!("UPLOADS#{program}")
}

fn upload_of(key: &Key) -> Option<UploadId> {
    key.pk.strip_prefix("UPLOAD#")?.parse().ok()
}

#[derive(Serialize, Deserialize)]
struct UploadItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    /// While it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: UploadId,
    program: ProgramId,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    by: OperatorId,
    at: Timestamp,
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<HeaderPart>,
    offset: u64,
    row: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    taken: u64,
    refused: u64,
    /// Set by whoever stops it, and never by a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelling: Option<bool>,
    moved_at: Timestamp,
    version: u64,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct HeaderPart {
    columns: Vec<String>,
    separator: String,
    offset: u64,
    row: u64,
}

#[derive(Serialize, Deserialize)]
struct RowItem {
    pk: String,
    sk: String,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct FaultsItem {
    pk: String,
    sk: String,
    faults: Vec<FaultPart>,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct FaultPart {
    row: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    field: String,
    code: String,
    reason: String,
}

fn expires_at(upload: &Upload) -> i64 {
    days_after(upload.at, KEPT_DAYS).as_second()
}

fn parts_expire_at(upload: &Upload) -> i64 {
    days_after(upload.at, PARTS_KEPT_DAYS).as_second()
}

fn named<T: Copy>(choices: &[(&str, T)], name: &str) -> Option<T> {
    let found = choices.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

fn item(upload: &Upload) -> UploadItem {
    let expires_at = expires_at(upload);
    let Upload {
        id,
        program,
        kind,
        name,
        by,
        at,
        stage,
        parts,
        header,
        place: Place { offset, row },
        rows,
        taken,
        refused,
        cancelling,
        moved_at,
        version,
    } = upload.clone();
    let Key { pk, sk } = key(id);
    let position = format!("{}#{id}", stamp(at));
    UploadItem {
        pk,
        sk,
        list_pk: list(program),
        due_pk: stage.is_at_work().then(|| WORK.to_owned()),
        due_sk: stage.is_at_work().then(|| position.clone()),
        list_sk: position,
        id,
        program,
        kind: kind.name().to_owned(),
        name,
        by,
        at,
        stage: stage.name().to_owned(),
        failure: match stage {
            Stage::Failed(failure) => Some(failure.name().to_owned()),
            _ => None,
        },
        parts,
        header: header.map(header_part),
        offset,
        row,
        rows,
        taken,
        refused,
        cancelling: cancelling.then_some(true),
        moved_at,
        version,
        expires_at,
    }
}

fn header_part(header: Header) -> HeaderPart {
    let Header {
        columns,
        separator,
        end: Place { offset, row },
    } = header;
    let name = SEPARATORS.iter().find(|(_, one)| *one == separator);
    HeaderPart {
        columns,
        separator: name.map_or("", |(name, _)| name).to_owned(),
        offset,
        row,
    }
}

fn read(item: UploadItem) -> Result<Upload, Error> {
    let UploadItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        program,
        kind,
        name,
        by,
        at,
        stage,
        failure,
        parts,
        header,
        offset,
        row,
        rows,
        taken,
        refused,
        cancelling,
        moved_at,
        version,
        expires_at: _,
    } = item;
    let malformed = |what: &str| Error::Malformed(format!("an upload's {what}"));
    let failure = failure.and_then(|name| Failure::ALL.into_iter().find(|one| one.name() == name));
    let stages = [
        Stage::Receiving,
        Stage::Checking,
        Stage::Running,
        Stage::Done,
        Stage::Refused,
        Stage::Cancelled,
    ];
    let mut stages = stages.into_iter().chain(failure.map(Stage::Failed));
    let header = header.map(|part| {
        let HeaderPart {
            columns,
            separator,
            offset,
            row,
        } = part;
        Ok::<_, Error>(Header {
            columns,
            separator: named(SEPARATORS, &separator).ok_or_else(|| malformed("separator"))?,
            end: Place { offset, row },
        })
    });
    Ok(Upload {
        id,
        program,
        kind: named(KINDS, &kind).ok_or_else(|| malformed("kind"))?,
        name,
        by,
        at,
        stage: stages
            .find(|known| known.name() == stage)
            .ok_or_else(|| malformed("stage"))?,
        parts,
        header: header.transpose()?,
        place: Place { offset, row },
        rows,
        taken,
        refused,
        cancelling: cancelling == Some(true),
        moved_at,
        version,
    })
}

/// The put of a new upload.
///
/// # Errors
/// Never for a well-formed one.
pub fn put(upload: &Upload) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&item(upload))?))
}

/// The change of an upload, on the condition that it stands where it was read.
///
/// # Errors
/// Never for a well-formed one.
pub fn change(upload: &Upload) -> Result<Op, Error> {
    let before = i64::try_from(upload.version.saturating_sub(1)).unwrap_or(i64::MAX);
    Ok(Op::Update(
        Update::rewrite(&item(upload), &["due_pk", "due_sk", "failure"])?
            .only_if(Condition::equals("version", int(before))),
    ))
}

/// Asks an upload at work to stop, wherever it is. Its version moves on, so that a step under way takes no further row
/// and does not end.
#[must_use]
pub fn ask_to_stop(upload: &Upload) -> Op {
    let is_there = Condition::equals("stage", text(upload.stage.name()));
    let asked = Update::at(key(upload.id))
        .set("cancelling", AttributeValue::Bool(true))
        // Twice is as good as once: only that it is another version counts.
        .add("version", 1);
    Op::Update(asked.only_if(is_there))
}

/// Demands that an upload stands where it was read.
#[must_use]
pub fn stands(upload: &Upload) -> Op {
    let version = i64::try_from(upload.version).unwrap_or(i64::MAX);
    Op::Check(key(upload.id), Condition::equals("version", int(version)))
}

/// The writes of a part, in place of an earlier one of its number: the last of them is that the upload takes parts.
#[must_use]
pub fn put_part(upload: &Upload, number: usize, content: Vec<u8>) -> [Op; 3] {
    let bytes = i64::try_from(content.len()).unwrap_or(i64::MAX);
    let expires_at = parts_expire_at(upload);
    let content = AttributeValue::B(content.into());
    [
        Op::Update(
            Update::at(part_key(upload.id, number))
                .set("content", content)
                .set("expires_at", int(expires_at)),
        ),
        Op::Update(
            Update::at(size_key(upload.id, number))
                .set("bytes", int(bytes))
                .set("expires_at", int(expires_at)),
        ),
        Op::Check(
            key(upload.id),
            Condition::equals("stage", text(Stage::Receiving.name())),
        ),
    ]
}

/// The bytes of a part; `None` where it is not there, or not any more.
///
/// # Errors
/// The table's.
pub async fn part(table: &Table, id: UploadId, number: usize) -> Result<Option<Vec<u8>>, Error> {
    let key = part_key(id, number);
    let found = table.get_many([key.clone()]).await?.remove(&key);
    let content = found.as_ref().and_then(|item: &Item| item.get("content"));
    let bytes = content.and_then(|value| value.as_b().ok());
    Ok(bytes.map(|blob| blob.as_ref().to_vec()))
}

/// The bytes of each part that is there, by number.
///
/// # Errors
/// The table's.
pub async fn sizes(table: &Table, id: UploadId) -> Result<Vec<(usize, u32)>, Error> {
    #[derive(Deserialize)]
    struct SizeItem {
        sk: String,
        bytes: u32,
    }
    let range = Range::partition(Index::Base, key(id).pk, 200).beginning("SIZE#");
    let found: Vec<SizeItem> = table.all(range).await?;
    let sizes = found.into_iter().filter_map(|item| {
        let number = item.sk.strip_prefix("SIZE#")?.parse().ok()?;
        Some((number, item.bytes))
    });
    Ok(sizes.collect())
}

/// Says that a row has taken effect.
///
/// # Errors
/// Never.
pub fn put_row(upload: &Upload, row: u64) -> Result<Op, Error> {
    let Key { pk, sk } = row_key(upload.id, row);
    Ok(Op::Put(Put::new(&RowItem {
        pk,
        sk,
        expires_at: parts_expire_at(upload),
    })?))
}

/// Which rows have taken effect, of those from `first` to `last`.
///
/// # Errors
/// The table's.
pub async fn taken_rows(
    table: &Table,
    id: UploadId,
    (first, last): (u64, u64),
) -> Result<HashSet<u64>, Error> {
    #[derive(Deserialize)]
    struct RowKey {
        sk: String,
    }
    let Key { pk, sk: low } = row_key(id, first);
    let range = Range::partition(Index::Base, pk, 200).between(low, row_key(id, last).sk);
    let found: Vec<RowKey> = table.all(range).await?;
    let row = |key: &RowKey| key.sk.strip_prefix("ROW#")?.parse().ok();
    Ok(found.iter().filter_map(row).collect())
}

/// How many rows have taken effect, from `first` on: at most those of one step.
///
/// # Errors
/// The table's.
pub async fn taken_beyond(table: &Table, id: UploadId, first: u64) -> Result<u64, Error> {
    let found = taken_rows(table, id, (first, LAST_ROW)).await?;
    Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
}

/// The faults of some rows, under the first row that was looked at for them.
///
/// # Errors
/// Never.
pub fn put_faults(upload: &Upload, first: u64, faults: &[Fault]) -> Result<Op, Error> {
    let Key { pk, sk } = faults_key(upload.id, first);
    let faults = faults.iter().cloned().map(|fault| {
        let Fault {
            row,
            field,
            code,
            reason,
        } = fault;
        FaultPart {
            row,
            field,
            code,
            reason,
        }
    });
    let item = FaultsItem {
        pk,
        sk,
        faults: faults.collect(),
        expires_at: expires_at(upload),
    };
    // Whole, so that a second try of the same step writes the same.
    Ok(Op::Update(Update::rewrite(&item, &[])?))
}

/// Faults in the order of their rows beyond one, from one read, and whether more follow.
///
/// # Errors
/// The table's.
pub async fn faults(
    table: &Table,
    id: UploadId,
    beyond: u64,
    pages: usize,
) -> Result<(Vec<Fault>, bool), Error> {
    // The item that a row stands in begins with that row or before: with the one before it, nothing is missed.
    let before = Range::partition(Index::Base, key(id).pk, 1)
        .between("FAULTS#", faults_key(id, beyond).sk)
        .newest_first();
    let start = table.page(&before).await?;
    let start = start.items.first().and_then(Key::of).map(|key| key.sk);
    let start = start.unwrap_or_else(|| "FAULTS#".to_owned());
    let range = Range::partition(Index::Base, key(id).pk, pages).between(start, "FAULTS#~");
    let page = table.page(&range).await?;
    let mut found = Vec::new();
    for item in page.items {
        let item: FaultsItem = from_item(item)?;
        found.extend(item.faults.into_iter().map(|part| {
            let FaultPart {
                row,
                field,
                code,
                reason,
            } = part;
            Fault {
                row,
                field,
                code,
                reason,
            }
        }));
    }
    found.retain(|fault| fault.row > beyond);
    Ok((found, page.more))
}

/// An upload, while it is kept.
///
/// # Errors
/// The table's.
pub async fn find(table: &Table, id: UploadId, now: Timestamp) -> Result<Option<Upload>, Error> {
    let found: Option<UploadItem> = table.get(&key(id)).await?;
    found
        .filter(|item| item.expires_at > now.as_second())
        .map(read)
        .transpose()
}

/// Uploads at work, the longest there first, as far as the index knows.
///
/// # Errors
/// The table's.
pub async fn at_work(table: &Table, most: usize) -> Result<Vec<Upload>, Error> {
    let range = Range::partition(Index::Due, WORK, most);
    let (entries, _) = table.entries(&range).await?;
    let found = table
        .get_many(entries.into_iter().map(|entry| entry.key))
        .await?;
    found
        .into_values()
        .map(|item| read(from_item(item)?))
        .filter(|found| {
            found
                .as_ref()
                .map_or(true, |upload| upload.stage.is_at_work())
        })
        .collect()
}

/// A program's uploads, newest first, below a position, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page(
    table: &Table,
    program: ProgramId,
    below: Option<String>,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<Upload>, Option<String>), Error> {
    let range = Range::partition(Index::List, list(program), limit).newest_first();
    let range = match below {
        Some(below) => range.below(below),
        None => range,
    };
    let (entries, more) = table.entries(&range).await?;
    let position = entries.last().filter(|_| more);
    let position = position.map(|entry| entry.sort.clone());
    let ids = entries.iter().filter_map(|entry| upload_of(&entry.key));
    let ids: Vec<UploadId> = ids.collect();
    let mut items = table.get_many(ids.iter().map(|id| key(*id))).await?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(item) = items.remove(&key(id)) else {
            continue;
        };
        let item: UploadItem = from_item(item)?;
        if item.expires_at > now.as_second() {
            found.push(read(item)?);
        }
    }
    Ok((found, position))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::model::Kind;
    use super::super::rows::Separator;
    use super::*;

    fn upload() -> Upload {
        Upload::new(
            UploadId::from_bytes([1; 16]),
            (ProgramId::from_bytes([2; 16]), Kind::Accounts),
            Some("Accounts of March".to_owned()),
            OperatorId::from_bytes([3; 16]),
            "2026-03-02T09:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn an_upload_reads_back_wherever_it_stands() {
        let now = "2026-03-02T09:01:00Z".parse().unwrap();
        let header = Header {
            columns: vec!["name".to_owned(), "domain".to_owned()],
            separator: Separator::Semicolon,
            end: Place { offset: 12, row: 2 },
        };
        let started = upload().started(vec![100, 7], header, now).unwrap();
        let running = started.clone().counted(Ok(9), now);
        let stopping = Upload {
            cancelling: true,
            ..running.clone()
        };
        let all = [
            upload(),
            started.clone(),
            started.clone().counted(Err(Failure::NoCsv), now),
            started.checked(None, 2, now),
            running.clone().stepped(None, 8, 1, now),
            running.clone().cancelled(3, now).unwrap(),
            running,
            stopping,
        ];
        for upload in all {
            let put = Put::new(&item(&upload)).unwrap();
            let item: UploadItem = from_item(put.item().clone()).unwrap();
            assert_eq!(item.due_pk.is_some(), upload.stage.is_at_work());
            assert_eq!(read(item).unwrap(), upload);
        }
    }
}
