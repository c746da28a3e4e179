//! Imports: CSV files whose rows take effect one after the other, as a job with progress and a report.
//!
//! A file comes in parts, each an item of its own. Once started, a first step counts its rows (and checks
//! them where one that is wrong keeps all out), and further steps let them take effect: each row in a transaction
//! of its own that also says that the row was taken, so that no row takes effect twice wherever a step dies.
//! A step ends by writing down, in one transaction, how far it has come and what was wrong on the way; that
//! brings the next step.

pub mod error;
mod kinds;
pub mod model;
pub mod rows;
pub mod store;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::time::Instant;

use crate::clock::{Timestamp, minutes_after};
use crate::edge::{App, Change, Problem, Queue, SEND_BATCH, Write, codes};
use crate::ids::{OperatorId, ProgramId, UploadId};
use crate::programs;
use crate::table::{Error, Op, Refusal, TransactError, pause_before};

use error::ImportError;
use model::{
    Failure, Fault, Header, HeaderFault, Kind, MAX_CHECKED_FAULTS, MAX_PARTS, MAX_ROWS, Place,
    Stage, Upload, columns,
};
use rows::{Cells, Found, RowFault, Separator};

/// How long a step begins new rows: the function has a minute.
const STEP_SECONDS: u64 = 15;
/// Rows of a step, so that progress is seen.
const STEP_ROWS: u64 = 2_000;
/// Bytes of what was wrong in a step: its report is one item, and DynamoDB holds 400 KB in one.
const STEP_FAULT_BYTES: usize = 150_000;
/// Rows that are read together, and their marks.
const GROUP: usize = 100;
/// Rows that are looked at together before any takes effect.
const LOOKS_AT_ONCE: usize = 16;
/// Tries of a row that others are in the way of.
const MAX_TRIES: u32 = 8;
/// Minutes without a step after which an upload is queued again: more than a step takes.
const STILL_MINUTES: i64 = 3;
/// Uploads that are looked at to be queued again.
const MAX_REQUEUED: usize = 100;
/// Items of faults that one page of a report reads.
const REPORT_ITEMS: usize = 8;

/// A new upload, whose parts are still to come.
///
/// # Errors
/// `ProgramUnknown`, the table's.
pub async fn create(
    app: &App,
    by: OperatorId,
    (program, kind): (ProgramId, Kind),
    name: Option<String>,
) -> Result<Change<Upload, ImportError>, ImportError> {
    known(app, program).await?;
    let upload = Upload::new(app.fresh(), (program, kind), name, by, app.now());
    let put = Write::new(store::put(&upload)?, |_| ImportError::Moved);
    Ok(Change {
        value: upload,
        writes: vec![put],
    })
}

/// A new upload of a small file, started in the same transaction.
///
/// # Errors
/// `ProgramUnknown`, `PartEmpty`, `NotUtf8`, `Header`, the table's.
pub async fn create_whole(
    app: &App,
    by: OperatorId,
    (program, kind): (ProgramId, Kind),
    name: Option<String>,
    content: Vec<u8>,
) -> Result<Change<Upload, ImportError>, ImportError> {
    known(app, program).await?;
    let unreadable = || ImportError::Header(vec![HeaderFault::Unreadable], kinds::names(kind));
    let header = header(kind, &content, true)?.ok_or_else(unreadable)?;
    let upload = Upload::new(app.fresh(), (program, kind), name, by, app.now());
    let bytes = u32::try_from(content.len()).unwrap_or(u32::MAX);
    // That it takes parts is not to be checked of what is only now made.
    let [content, size, _] = store::put_part(&upload, 1, content);
    let started = upload
        .started(vec![bytes], header, app.now())
        .ok_or(ImportError::Moved)?;
    let put = store::put(&started)?;
    let writes = [put, content, size].map(|op| Write::new(op, |_| ImportError::Moved));
    Ok(Change {
        value: started,
        writes: writes.into(),
    })
}

async fn known(app: &App, program: ProgramId) -> Result<(), ImportError> {
    let found = programs::program(app, program).await?;
    found.map(|_| ()).ok_or(ImportError::ProgramUnknown)
}

/// Takes a part of the file, in place of an earlier one of its number.
///
/// # Errors
/// `NotFound`, `PartNumber`, `PartEmpty`, `WrongState`, the table's.
pub async fn put_part(
    app: &App,
    id: UploadId,
    number: usize,
    content: Vec<u8>,
) -> Result<Change<(), ImportError>, ImportError> {
    if !(1..=MAX_PARTS).contains(&number) {
        return Err(ImportError::PartNumber);
    }
    if content.is_empty() {
        return Err(ImportError::PartEmpty);
    }
    let upload = find(app, id).await?;
    if upload.stage != Stage::Receiving {
        return Err(ImportError::WrongState(upload.stage));
    }
    let writes = store::put_part(&upload, number, content);
    Ok(Change {
        value: (),
        writes: writes
            .map(|op| Write::new(op, |_| ImportError::Moved))
            .into(),
    })
}

/// Starts an upload whose parts are all there, and none between them is missing. A second time changes nothing.
///
/// # Errors
/// `NotFound`, `PartsMissing`, `NotUtf8`, `Header`, `WrongState`, `Moved`, the table's.
pub async fn start(
    app: &App,
    id: UploadId,
    parts: Option<usize>,
) -> Result<Change<Upload, ImportError>, ImportError> {
    let upload = find(app, id).await?;
    match upload.stage {
        Stage::Receiving => {}
        Stage::Cancelled => return Err(ImportError::WrongState(upload.stage)),
        Stage::Checking | Stage::Running | Stage::Done | Stage::Refused | Stage::Failed(_) => {
            return Ok(Change {
                value: upload,
                writes: Vec::new(),
            });
        }
    }
    let sizes = store::sizes(&app.main, id).await?;
    let last = sizes.iter().map(|(number, _)| *number).max();
    let last = parts.unwrap_or(1).max(last.unwrap_or(1));
    let is_there = |number: &usize| sizes.iter().any(|(known, _)| known == number);
    let missing: Vec<usize> = (1..=last).filter(|number| !is_there(number)).collect();
    if !missing.is_empty() {
        return Err(ImportError::PartsMissing(missing));
    }
    let header = header_in_parts(app, &upload, last).await?;
    let stage = upload.stage;
    let sizes = sizes.into_iter().map(|(_, bytes)| bytes).collect();
    let started = upload
        .started(sizes, header, app.now())
        .ok_or(ImportError::WrongState(stage))?;
    let change = Write::new(store::change(&started)?, |_| ImportError::Moved);
    Ok(Change {
        value: started,
        writes: vec![change],
    })
}

/// What the first row says of a file that comes in parts: it may be cut anywhere, also in that row.
async fn header_in_parts(app: &App, upload: &Upload, parts: usize) -> Result<Header, ImportError> {
    let mut start = Vec::new();
    for number in 1..=parts {
        let part = store::part(&app.main, upload.id, number).await?;
        start.extend(part.ok_or_else(|| ImportError::PartsMissing(vec![number]))?);
        if let Some(header) = header(upload.kind, &start, number == parts)? {
            return Ok(header);
        }
    }
    let known = kinds::names(upload.kind);
    Err(ImportError::Header(vec![HeaderFault::Unreadable], known))
}

/// What a file's first row says; `None` where it ends behind `start`, and the file does not.
fn header(kind: Kind, start: &[u8], is_last: bool) -> Result<Option<Header>, ImportError> {
    if start.is_empty() {
        return Err(ImportError::PartEmpty);
    }
    if start.len() < rows::MARK.len() && !is_last {
        return Ok(None);
    }
    // UTF-16 says so in its first two bytes, or has a zero in each letter of a header.
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) || start.contains(&0) {
        return Err(ImportError::NotUtf8);
    }
    let known = kinds::names(kind);
    let mark = rows::mark(start);
    let separator = Separator::of(&start[mark..]);
    let unreadable = |known| ImportError::Header(vec![HeaderFault::Unreadable], known);
    match rows::row(&start[mark..], separator, is_last) {
        Found::Row(Ok(cells), bytes) => {
            let columns =
                columns(&cells, &known).map_err(|faults| ImportError::Header(faults, known))?;
            let offset = u64::try_from(mark + bytes).unwrap_or(u64::MAX);
            Ok(Some(Header {
                columns,
                separator,
                end: Place { offset, row: 2 },
            }))
        }
        Found::Cut if !is_last => Ok(None),
        Found::Row(Err(RowFault::NotUtf8), _) => Err(ImportError::NotUtf8),
        Found::Row(Err(_), _) | Found::Cut | Found::End | Found::NoCsv => Err(unreadable(known)),
    }
}

/// Stops an upload: what has taken effect stays. Of one at work no further row takes effect from here on; how many
/// did is counted next.
///
/// # Errors
/// `NotFound`, `WrongState`, `Moved`, the table's.
pub async fn cancel(app: &App, id: UploadId) -> Result<Change<Upload, ImportError>, ImportError> {
    let upload = find(app, id).await?;
    let stage = upload.stage;
    let nothing = |value| Change {
        value,
        writes: Vec::new(),
    };
    match stage {
        Stage::Cancelled => return Ok(nothing(upload)),
        Stage::Checking | Stage::Running if upload.cancelling => return Ok(nothing(upload)),
        Stage::Checking | Stage::Running => {
            let asked = Write::new(store::ask_to_stop(&upload), |_| ImportError::Moved);
            return Ok(Change {
                value: Upload {
                    cancelling: true,
                    ..upload
                },
                writes: vec![asked],
            });
        }
        Stage::Receiving | Stage::Done | Stage::Refused | Stage::Failed(_) => {}
    }
    let stopped = upload
        .cancelled(0, app.now())
        .ok_or(ImportError::WrongState(stage))?;
    let change = Write::new(store::change(&stopped)?, |_| ImportError::Moved);
    Ok(Change {
        value: stopped,
        writes: vec![change],
    })
}

/// An upload and how far it has come.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: UploadId) -> Result<Upload, ImportError> {
    store::find(&app.main, id, app.now())
        .await?
        .ok_or(ImportError::NotFound(id))
}

/// A program's uploads, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    program: ProgramId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Upload>, Option<String>), ImportError> {
    Ok(store::page(&app.main, program, below, limit, app.now()).await?)
}

/// What was wrong, in the order of the rows beyond one, about as many as `limit`; and the last row of the page
/// where more follow.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn report(
    app: &App,
    id: UploadId,
    beyond: u64,
    limit: usize,
) -> Result<(Upload, Vec<Fault>, Option<u64>), ImportError> {
    let upload = find(app, id).await?;
    let mut found: Vec<Fault> = Vec::new();
    let mut from = beyond;
    let more = loop {
        let (faults, more) = store::faults(&app.main, id, from, REPORT_ITEMS).await?;
        found.extend(faults);
        match found.last() {
            Some(last) if more && found.len() <= limit => from = last.row,
            _ => break more,
        }
    };
    let Some(last) = found.get(limit.saturating_sub(1)).map(|fault| fault.row) else {
        return Ok((upload, found, None));
    };
    // A row stands whole on one page.
    let end = found.partition_point(|fault| fault.row <= last);
    let follow = end < found.len() || more;
    found.truncate(end);
    Ok((upload, found, follow.then_some(last)))
}

/// Queues uploads again that stand still though they are at work: their messages were lost, or are about to come.
///
/// # Errors
/// The table's; `Busy` when the queue did not take all.
pub async fn requeue(app: &App, now: Timestamp) -> Result<usize, Error> {
    let before = minutes_after(now, -STILL_MINUTES);
    let mut found = store::at_work(&app.main, MAX_REQUEUED).await?;
    found.retain(|upload| upload.moved_at <= before);
    for some in found.chunks(SEND_BATCH) {
        let messages: Vec<_> = some
            .iter()
            .map(|upload| json!({ "upload": upload.id }))
            .collect();
        if !app.queues.send(Queue::Channel, &messages).await.is_empty() {
            return Err(Error::Busy("the queue".to_owned()));
        }
    }
    Ok(found.len())
}

/// Why a step came to nothing.
enum Stopped {
    /// For good.
    Failed(Failure),
    /// The upload has moved meanwhile: it was cancelled, or another step was first.
    Overtaken,
    /// For now.
    Table(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Table(error)
    }
}

/// Brings an upload on by one step.
///
/// # Errors
/// The table's. Safe to repeat; of two at once one counts.
pub async fn advance(app: &App, id: UploadId) -> Result<(), Error> {
    let Some(upload) = store::find(&app.main, id, app.now()).await? else {
        return Ok(());
    };
    if upload.cancelling && upload.stage.is_at_work() {
        // Since that was asked the version is another, and with the old one no row takes effect: what is marked
        // beyond the last step's end is all that a step under way has taken.
        let begun = match upload.stage {
            Stage::Running => store::taken_beyond(&app.main, id, upload.place.row).await?,
            _ => 0,
        };
        let Some(stopped) = upload.cancelled(begun, app.now()) else {
            return Ok(());
        };
        return commit_step(app, vec![store::change(&stopped)?]).await;
    }
    let step = match (upload.stage, upload.header.clone()) {
        (Stage::Checking, Some(header)) if upload.rows.is_none() => {
            count(app, &upload, &header).await
        }
        (Stage::Checking, Some(header)) => check(app, &upload, &header).await,
        (Stage::Running, Some(header)) => run(app, &upload, &header).await,
        _ => return Ok(()),
    };
    let ops = match step {
        Ok(ops) => ops,
        Err(Stopped::Failed(failure)) => {
            let failed = upload.counted(Err(failure), app.now());
            vec![store::change(&failed)?]
        }
        Err(Stopped::Overtaken) => return Ok(()),
        Err(Stopped::Table(error)) => return Err(error),
    };
    commit_step(app, ops).await
}

async fn commit_step(app: &App, ops: Vec<Op>) -> Result<(), Error> {
    match app.main.transact(&ops).await {
        // Somebody else took the step; the next comes of that.
        Ok(()) | Err(TransactError::Refused(_)) => Ok(()),
        Err(TransactError::Table(error)) => Err(error),
    }
}

/// Counts the rows.
async fn count(app: &App, upload: &Upload, header: &Header) -> Result<Vec<Op>, Stopped> {
    let mut source = Source::at(app, upload, header, header.end);
    let mut rows = 0;
    loop {
        let group = source.group(GROUP).await?;
        rows += u64::try_from(group.len()).unwrap_or(0);
        if rows > MAX_ROWS {
            return Err(Stopped::Failed(Failure::TooManyRows));
        }
        if group.len() < GROUP {
            let counted = upload.clone().counted(Ok(rows), app.now());
            return Ok(vec![store::change(&counted)?]);
        }
    }
}

/// Looks at the next rows as if they were to take effect.
async fn check(app: &App, upload: &Upload, header: &Header) -> Result<Vec<Op>, Stopped> {
    let until = Instant::now() + Duration::from_secs(STEP_SECONDS);
    // What stands further up is no news, and still must not stand here once more.
    let mut names: HashMap<[u8; 16], u64> = HashMap::new();
    let mut above = Source::at(app, upload, header, header.end);
    while above.place.offset < upload.place.offset {
        let Some((row, cells)) = above.next().await? else {
            break;
        };
        if let Some(name) = cells
            .ok()
            .and_then(|cells| kinds::name(upload.kind, header, &cells))
        {
            names.entry(name).or_insert(row);
        }
    }
    let mut source = Source::at(app, upload, header, upload.place);
    let (mut rows, mut faulty, mut bytes) = (0, 0, 0);
    let mut faults: Vec<Fault> = Vec::new();
    let mut is_last = false;
    while !is_last
        && rows < STEP_ROWS
        && faulty <= MAX_CHECKED_FAULTS
        && bytes < STEP_FAULT_BYTES
        && Instant::now() < until
    {
        let group = source.group(GROUP).await?;
        is_last = group.len() < GROUP;
        rows += u64::try_from(group.len()).unwrap_or(0);
        let mut looks = Vec::with_capacity(group.len());
        for (row, cells) in group {
            let name = cells
                .as_ref()
                .ok()
                .and_then(|cells| kinds::name(upload.kind, header, cells));
            let before = name.and_then(|name| match names.entry(name) {
                Entry::Occupied(standing) => Some(*standing.get()),
                Entry::Vacant(free) => {
                    free.insert(row);
                    None
                }
            });
            looks.push(look(app, upload, header, (row, cells), before));
        }
        let mut looked = stream::iter(looks).buffered(LOOKS_AT_ONCE);
        while let Some(found) = looked.next().await {
            let found = found?;
            faulty += u64::from(!found.is_empty());
            bytes += weight(&found);
            faults.extend(found);
        }
    }
    let next = (!is_last).then_some(source.place);
    let checked = upload.clone().checked(next, faulty, app.now());
    let mut ops = vec![store::change(&checked)?];
    if !faults.is_empty() {
        ops.push(store::put_faults(upload, upload.place.row, &faults)?);
    }
    Ok(ops)
}

/// What is wrong with a row of which the same stands `before` already.
async fn look(
    app: &App,
    upload: &Upload,
    header: &Header,
    (row, cells): (u64, Cells),
    before: Option<u64>,
) -> Result<Vec<Fault>, Error> {
    let cells = match cells {
        Ok(cells) => cells,
        Err(fault) => return Ok(vec![unreadable(row, fault)]),
    };
    let object = kinds::object(upload.kind, header, &cells);
    let wanted = match kinds::wanted(upload.kind, &object) {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(kinds::faults(upload.kind, row, &problem)),
    };
    match kinds::look(app, upload, row, wanted).await {
        Err(problem) if problem.code().status >= 500 => {
            Err(Error::Busy(problem.detail().to_owned()))
        }
        Err(problem) => Ok(kinds::faults(upload.kind, row, &problem)),
        Ok(()) => Ok(before
            .map(|before| kinds::twice(upload.kind, row, before))
            .into_iter()
            .collect()),
    }
}

/// What faults weigh in their item, rounded up.
fn weight(faults: &[Fault]) -> usize {
    let each = faults.iter().map(|fault| {
        let Fault {
            row: _,
            field,
            code,
            reason,
        } = fault;
        60 + field.len() + code.len() + reason.len()
    });
    each.sum()
}

/// Whether a row takes effect now, or has before, or does not any more because the upload has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    New,
    Already,
    Overtaken,
}

/// Lets the next rows take effect.
async fn run(app: &App, upload: &Upload, header: &Header) -> Result<Vec<Op>, Stopped> {
    let until = Instant::now() + Duration::from_secs(STEP_SECONDS);
    let mut source = Source::at(app, upload, header, upload.place);
    let (mut taken, mut refused) = (0, 0);
    let mut faults: Vec<Fault> = Vec::new();
    let mut bytes = 0;
    let mut is_last = false;
    while !is_last
        && taken + refused < STEP_ROWS
        && bytes < STEP_FAULT_BYTES
        && Instant::now() < until
    {
        let group = source.group(GROUP).await?;
        is_last = group.len() < GROUP;
        let (Some((first, _)), Some((last, _))) = (group.first(), group.last()) else {
            break;
        };
        let marked = store::taken_rows(&app.main, upload.id, (*first, *last)).await?;
        for (row, cells) in group {
            if marked.contains(&row) {
                taken += 1;
                continue;
            }
            match take(app, upload, header, (row, cells)).await? {
                Ok(Taken::New | Taken::Already) => taken += 1,
                Ok(Taken::Overtaken) => return Err(Stopped::Overtaken),
                Err(found) => {
                    refused += 1;
                    bytes += weight(&found);
                    faults.extend(found);
                }
            }
        }
    }
    let next = (!is_last).then_some(source.place);
    let stepped = upload.clone().stepped(next, taken, refused, app.now());
    let mut ops = vec![store::change(&stepped)?];
    if !faults.is_empty() {
        ops.push(store::put_faults(upload, upload.place.row, &faults)?);
    }
    Ok(ops)
}

/// Lets a row take effect, or says why not.
async fn take(
    app: &App,
    upload: &Upload,
    header: &Header,
    (row, cells): (u64, Cells),
) -> Result<Result<Taken, Vec<Fault>>, Error> {
    let cells = match cells {
        Ok(cells) => cells,
        Err(fault) => return Ok(Err(vec![unreadable(row, fault)])),
    };
    let object = kinds::object(upload.kind, header, &cells);
    let wanted = match kinds::wanted(upload.kind, &object) {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(Err(kinds::faults(upload.kind, row, &problem))),
    };
    for round in 0..MAX_TRIES {
        pause_before(round).await;
        let problem = match kinds::take(app, upload, row, wanted.clone()).await {
            Ok(taken) => return Ok(Ok(taken)),
            Err(problem) => problem,
        };
        if problem.code().status >= 500 {
            return Err(Error::Busy(problem.detail().to_owned()));
        }
        // What stands in its way may be its own effect, of another step at the same moment.
        let own = store::taken_rows(&app.main, upload.id, (row, row)).await?;
        if !own.is_empty() {
            return Ok(Ok(Taken::Already));
        }
        if problem.code() != codes::CONFLICT {
            return Ok(Err(kinds::faults(upload.kind, row, &problem)));
        }
    }
    Err(Error::Busy("a row finds others in its way".to_owned()))
}

/// Commits what a row does, together with the mark that it was taken, as far as the upload is where its step read it.
async fn commit<T, E: Into<Problem>>(
    app: &App,
    upload: &Upload,
    row: u64,
    change: Change<T, E>,
) -> Result<Taken, Problem> {
    let mark = store::put_row(upload, row)?;
    let ops = change.writes.iter().map(|write| write.op.clone());
    let ops: Vec<Op> = ops.chain([mark, store::stands(upload)]).collect();
    let refusals = match app.main.transact(&ops).await {
        Ok(()) => return Ok(Taken::New),
        Err(TransactError::Table(error)) => return Err(error.into()),
        Err(TransactError::Refused(refusals)) => refusals,
    };
    match refusals.as_slice() {
        [.., Refusal::Condition(_)] => return Ok(Taken::Overtaken),
        [.., Refusal::Condition(_), _] => return Ok(Taken::Already),
        _ => {}
    }
    for (write, refusal) in change.writes.iter().zip(&refusals) {
        if let Refusal::Condition(old) = refusal {
            return Err((write.refused)(old).into());
        }
    }
    Err(Problem::new(codes::CONFLICT, codes::CONFLICT.meaning))
}

fn unreadable(row: u64, fault: RowFault) -> Fault {
    Fault {
        row,
        field: String::new(),
        code: codes::ROW_UNREADABLE.name.to_owned(),
        reason: fault.meaning().to_owned(),
    }
}

/// The rows of a file from a place on, read part by part: no more than one part and the row that goes over its
/// end is in memory.
struct Source<'a> {
    app: &'a App,
    upload: &'a Upload,
    header: &'a Header,
    /// What was read of the file and not yet taken; it begins at `place`.
    bytes: Vec<u8>,
    from: usize,
    /// How many parts were read.
    read: usize,
    place: Place,
}

impl<'a> Source<'a> {
    fn at(app: &'a App, upload: &'a Upload, header: &'a Header, place: Place) -> Self {
        Self {
            app,
            upload,
            header,
            bytes: Vec::new(),
            from: 0,
            read: usize::MAX,
            place,
        }
    }

    /// The next rows that have something in them; fewer than asked for where the file ends.
    async fn group(&mut self, most: usize) -> Result<Vec<(u64, Cells)>, Stopped> {
        let mut group = Vec::with_capacity(most);
        while group.len() < most {
            match self.next().await? {
                Some((_, Ok(cells))) if cells.is_empty() => {}
                Some((row, cells)) => {
                    let columns = self.header.columns.len();
                    group.push((row, cells.and_then(|cells| rows::fitted(cells, columns))));
                }
                None => break,
            }
        }
        Ok(group)
    }

    async fn next(&mut self) -> Result<Option<(u64, Cells)>, Stopped> {
        if self.read == usize::MAX {
            let Some((part, before)) = self.upload.part_at(self.place.offset) else {
                return Ok(None);
            };
            self.read = part;
            self.load().await?;
            self.from = usize::try_from(before).unwrap_or(usize::MAX);
        }
        loop {
            let is_last = self.read >= self.upload.parts.len();
            let rest = self.bytes.get(self.from..).unwrap_or_default();
            match rows::row(rest, self.header.separator, is_last) {
                Found::Row(cells, taken) => {
                    let row = self.place.row;
                    self.from += taken;
                    self.place.offset += u64::try_from(taken).unwrap_or(0);
                    self.place.row += 1;
                    return Ok(Some((row, cells)));
                }
                Found::Cut => self.load().await?,
                Found::End => return Ok(None),
                Found::NoCsv => return Err(Stopped::Failed(Failure::NoCsv)),
            }
        }
    }

    async fn load(&mut self) -> Result<(), Stopped> {
        let part = store::part(&self.app.main, self.upload.id, self.read + 1).await?;
        let part = part.ok_or(Stopped::Failed(Failure::PartsGone))?;
        self.bytes.drain(..self.from.min(self.bytes.len()));
        self.from = 0;
        self.bytes.extend(part);
        self.read += 1;
        Ok(())
    }
}
