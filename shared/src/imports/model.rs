//! An upload: a CSV file that comes in parts and takes effect row by row, as a job. Pure.

use super::rows::Separator;
use crate::clock::Timestamp;
use crate::ids::{OperatorId, ProgramId, UploadId};

/// Bytes of a part: it is one item, and DynamoDB holds 400 KB in one.
pub const MAX_PART_BYTES: usize = 384 * 1024;
/// Parts of a file: 37 MB together, which is 100,000 rows of 390 bytes.
pub const MAX_PARTS: usize = 100;
/// Rows of a file, the header not counted.
pub const MAX_ROWS: u64 = 100_000;
/// Characters of the name that an upload is given.
pub const MAX_NAME: usize = 120;
/// Days for which an upload and its report are kept. Its rows, which may name people, go sooner.
pub const KEPT_DAYS: u32 = 90;
/// Days for which a file's parts are kept, counted from the upload's creation.
pub const PARTS_KEPT_DAYS: u32 = 7;
/// Wrong rows after which a file of which nothing is imported is not checked on.
pub const MAX_CHECKED_FAULTS: u64 = 1_000;

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The vendor's own accounts and open opportunities.
    Accounts,
    /// Leads, each placed on its own merits.
    Leads,
    /// Whom to invite to apply: all of them or none.
    Invitations,
}

/// Kinds by their names on the wire and in the store.
pub const KINDS: &[(&str, Kind)] = &[
    ("accounts", Kind::Accounts),
    ("leads", Kind::Leads),
    ("invitations", Kind::Invitations),
];

impl Kind {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = KINDS.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether all rows are checked before any takes effect, and one that is wrong keeps all out.
    #[must_use]
    pub fn is_whole(self) -> bool {
        match self {
            Self::Accounts | Self::Leads => false,
            Self::Invitations => true,
        }
    }
}

/// Why a file cannot be imported at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It has no row under its header.
    Empty,
    /// It has more rows than a file may have.
    TooManyRows,
    /// Somewhere no line ends.
    NoCsv,
    /// Its parts are not kept any more.
    PartsGone,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Empty, Self::TooManyRows, Self::NoCsv, Self::PartsGone];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooManyRows => "too_many_rows",
            Self::NoCsv => "no_csv",
            Self::PartsGone => "parts_gone",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Empty => "the file has no row under its header",
            Self::TooManyRows => "the file has more than 100,000 rows; send it as several",
            Self::NoCsv => "the file has a line of more than 64 KB and is no CSV",
            Self::PartsGone => "its parts were kept for seven days and are gone; upload it again",
        }
    }
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its parts are being sent.
    Receiving,
    /// Its rows are counted, and of some kinds checked; none has taken effect.
    Checking,
    /// Its rows take effect, one after the other.
    Running,
    /// All rows were looked at.
    Done,
    /// Rows are wrong, and of its kind nothing is imported then.
    Refused,
    /// An operator has stopped it.
    Cancelled,
    /// It cannot be imported.
    Failed(Failure),
}

impl Stage {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Checking => "checking",
            Self::Running => "running",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether the job has something to do.
    #[must_use]
    pub fn is_at_work(self) -> bool {
        matches!(self, Self::Checking | Self::Running)
    }
}

/// Where the next row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes of the file before it.
    pub offset: u64,
    /// Its number, as a spreadsheet shows it.
    pub row: u64,
}

/// What a file's first row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The columns, by their names, in the file's order.
    pub columns: Vec<String>,
    /// What separates cells.
    pub separator: Separator,
    /// Where the first row under it begins.
    pub end: Place,
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The first row cannot be read, or is blank.
    Unreadable,
    /// A name that is no column.
    Unknown(String),
    /// A column that stands twice.
    Twice(String),
}

/// The column that a cell of the header names: capitals, blanks and dashes do not matter.
#[must_use]
pub fn column_name(cell: &str) -> String {
    cell.trim().to_lowercase().replace([' ', '-'], "_")
}

/// The columns that a header names, each one of `known` and once.
///
/// # Errors
/// Everything that is wrong.
pub fn columns(cells: &[String], known: &[&str]) -> Result<Vec<String>, Vec<HeaderFault>> {
    // Spreadsheets leave empty cells at the end.
    let end = cells.iter().rposition(|cell| !cell.is_empty());
    let cells = &cells[..end.map_or(0, |last| last + 1)];
    let mut columns: Vec<String> = Vec::with_capacity(cells.len());
    let mut wrong = Vec::new();
    if cells.is_empty() {
        wrong.push(HeaderFault::Unreadable);
    }
    for cell in cells {
        let name = column_name(cell);
        if !known.contains(&name.as_str()) {
            wrong.push(HeaderFault::Unknown(cell.clone()));
        } else if columns.contains(&name) {
            wrong.push(HeaderFault::Twice(name.clone()));
        }
        columns.push(name);
    }
    if wrong.is_empty() {
        Ok(columns)
    } else {
        Err(wrong)
    }
}

/// Something wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The row's number, as a spreadsheet shows it.
    pub row: u64,
    /// The column; empty where it is the row as such.
    pub field: String,
    /// One of the documented problem codes.
    pub code: String,
    /// Why, for people. It repeats nothing of what the row says.
    pub reason: String,
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Which.
    pub id: UploadId,
    /// Into which program.
    pub program: ProgramId,
    /// What its rows are.
    pub kind: Kind,
    /// What it is called.
    pub name: Option<String>,
    /// Who uploads it.
    pub by: OperatorId,
    /// Since when.
    pub at: Timestamp,
    /// How far it has come.
    pub stage: Stage,
    /// Bytes of each part, in their order; none until it is started.
    pub parts: Vec<u32>,
    /// What the first row says; `None` until it is started.
    pub header: Option<Header>,
    /// Where the next row begins.
    pub place: Place,
    /// Rows with something in them; `None` until they are counted.
    pub rows: Option<u64>,
    /// Rows that took effect.
    pub taken: u64,
    /// Rows that did not.
    pub refused: u64,
    /// Somebody asked to stop it.
    pub cancelling: bool,
    /// When it came so far.
    pub moved_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl Upload {
    /// An upload whose parts are still to come.
    #[must_use]
    pub fn new(
        id: UploadId,
        (program, kind): (ProgramId, Kind),
        name: Option<String>,
        by: OperatorId,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            program,
            kind,
            name,
            by,
            at,
            stage: Stage::Receiving,
            parts: Vec::new(),
            header: None,
            place: Place { offset: 0, row: 1 },
            rows: None,
            taken: 0,
            refused: 0,
            cancelling: false,
            moved_at: at,
            version: 1,
        }
    }

    /// The upload with all its parts there, to be worked on; `None` when it was started before.
    #[must_use]
    pub fn started(mut self, parts: Vec<u32>, header: Header, now: Timestamp) -> Option<Self> {
        if self.stage != Stage::Receiving {
            return None;
        }
        self.stage = Stage::Checking;
        self.place = header.end;
        self.parts = parts;
        self.header = Some(header);
        Some(self.moved(now))
    }

    /// What a count of its rows leaves: those of a kind that is imported whole or not at all are checked next, of
    /// the others the first takes effect next.
    #[must_use]
    pub fn counted(mut self, rows: Result<u64, Failure>, now: Timestamp) -> Self {
        self.stage = match rows {
            Err(failure) => Stage::Failed(failure),
            Ok(0) => Stage::Failed(Failure::Empty),
            Ok(_) if self.kind.is_whole() => Stage::Checking,
            Ok(_) => Stage::Running,
        };
        self.rows = rows.ok();
        self.moved(now)
    }

    /// What a look at some rows leaves, of which so many are wrong; `place` is where the next row begins, `None` when
    /// there is none. Of a file without fault the first row takes effect next.
    #[must_use]
    pub fn checked(mut self, place: Option<Place>, faulty: u64, now: Timestamp) -> Self {
        self.refused += faulty;
        match (place, &self.header) {
            _ if self.refused > MAX_CHECKED_FAULTS => self.stage = Stage::Refused,
            (Some(place), _) => self.place = place,
            (None, _) if self.refused > 0 => self.stage = Stage::Refused,
            (None, header) => {
                self.stage = Stage::Running;
                if let Some(header) = header {
                    self.place = header.end;
                }
            }
        }
        self.moved(now)
    }

    /// What a step over some rows leaves; `place` is where the next row begins, `None` when there is none.
    #[must_use]
    pub fn stepped(
        mut self,
        place: Option<Place>,
        taken: u64,
        refused: u64,
        now: Timestamp,
    ) -> Self {
        self.taken += taken;
        self.refused += refused;
        match place {
            Some(place) => self.place = place,
            None => {
                self.stage = Stage::Done;
                self.place.offset = self.bytes();
            }
        }
        self.moved(now)
    }

    /// The upload stopped, of whose rows so many took effect in a step that did not end; `None` when it has ended.
    #[must_use]
    pub fn cancelled(mut self, begun: u64, now: Timestamp) -> Option<Self> {
        match self.stage {
            Stage::Receiving | Stage::Checking | Stage::Running => {
                self.taken += begun;
                self.stage = Stage::Cancelled;
                Some(self.moved(now))
            }
            Stage::Done | Stage::Refused | Stage::Cancelled | Stage::Failed(_) => None,
        }
    }

    fn moved(mut self, now: Timestamp) -> Self {
        self.moved_at = now;
        self.version += 1;
        self
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|bytes| u64::from(*bytes)).sum()
    }

    /// The part that holds the byte at `offset`, counted from 0, and how many bytes of it lie before; `None`
    /// beyond the file.
    #[must_use]
    pub fn part_at(&self, offset: u64) -> Option<(usize, u64)> {
        let mut before = 0;
        for (number, bytes) in self.parts.iter().enumerate() {
            if offset < before + u64::from(*bytes) {
                return Some((number, offset - before));
            }
            before += u64::from(*bytes);
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn upload() -> Upload {
        Upload::new(
            UploadId::from_bytes([1; 16]),
            (ProgramId::from_bytes([2; 16]), Kind::Accounts),
            None,
            OperatorId::from_bytes([3; 16]),
            Timestamp::UNIX_EPOCH,
        )
    }

    fn header() -> Header {
        Header {
            columns: vec!["name".to_owned()],
            separator: Separator::Comma,
            end: Place { offset: 5, row: 2 },
        }
    }

    fn running() -> Upload {
        let now = Timestamp::UNIX_EPOCH;
        let started = upload().started(vec![10, 20], header(), now).unwrap();
        started.counted(Ok(3), now)
    }

    #[test]
    fn an_upload_goes_from_parts_over_a_count_to_its_rows() {
        let now = Timestamp::UNIX_EPOCH;
        let started = upload().started(vec![10, 20], header(), now).unwrap();
        assert_eq!((started.stage, started.version), (Stage::Checking, 2));
        assert!(started.clone().started(vec![1], header(), now).is_none());
        let running = running();
        assert_eq!((running.stage, running.place.offset), (Stage::Running, 5));
        let next = Place { offset: 12, row: 3 };
        let halfway = running.stepped(Some(next), 1, 0, now);
        assert_eq!((halfway.stage, halfway.place), (Stage::Running, next));
        let done = halfway.stepped(None, 1, 1, now);
        assert_eq!((done.stage, done.taken, done.refused), (Stage::Done, 2, 1));
        assert_eq!(done.place.offset, 30);
        assert!(done.cancelled(0, now).is_none());
    }

    #[test]
    fn a_count_may_end_it() {
        let now = Timestamp::UNIX_EPOCH;
        let counted = |rows| {
            let started = upload().started(vec![10], header(), now).unwrap();
            started.counted(rows, now).stage
        };
        assert_eq!(counted(Ok(0)), Stage::Failed(Failure::Empty));
        assert_eq!(counted(Err(Failure::NoCsv)), Stage::Failed(Failure::NoCsv));
    }

    #[test]
    fn what_is_imported_whole_is_checked_whole_before() {
        let now = Timestamp::UNIX_EPOCH;
        let whole = Upload {
            kind: Kind::Invitations,
            ..upload()
        };
        let started = whole.started(vec![30], header(), now).unwrap();
        let counted = started.counted(Ok(2_000), now);
        assert_eq!(
            (counted.stage, counted.rows),
            (Stage::Checking, Some(2_000))
        );
        let next = Place { offset: 12, row: 3 };
        let halfway = counted.clone().checked(Some(next), 0, now);
        assert_eq!((halfway.stage, halfway.place), (Stage::Checking, next));
        let running = halfway.clone().checked(None, 0, now);
        assert_eq!((running.stage, running.place.offset), (Stage::Running, 5));
        let refused = halfway.clone().checked(None, 1, now);
        assert_eq!((refused.stage, refused.refused), (Stage::Refused, 1));
        let given_up = halfway.checked(Some(next), MAX_CHECKED_FAULTS + 1, now);
        assert_eq!(given_up.stage, Stage::Refused);
    }

    #[test]
    fn what_has_not_ended_can_be_stopped() {
        let now = Timestamp::UNIX_EPOCH;
        for upload in [upload(), running()] {
            let stopped = upload.cancelled(0, now).unwrap();
            assert_eq!(stopped.stage, Stage::Cancelled);
            assert!(stopped.cancelled(0, now).is_none());
        }
    }

    #[test]
    fn a_byte_lies_in_one_part() {
        let upload = running();
        for (offset, part) in [
            (0, Some((0, 0))),
            (9, Some((0, 9))),
            (10, Some((1, 0))),
            (29, Some((1, 19))),
            (30, None),
        ] {
            assert_eq!(upload.part_at(offset), part, "{offset}");
        }
    }

    #[test]
    fn a_header_names_known_columns_once_each_however_it_spells_them() {
        let cells = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let known = ["name", "tax_id"];
        assert_eq!(
            columns(&cells(&["Tax ID", " NAME"]), &known),
            Ok(cells(&["tax_id", "name"]))
        );
        assert_eq!(columns(&cells(&["tax-id"]), &known), Ok(cells(&["tax_id"])));
        assert_eq!(
            columns(&cells(&["name", "Colour", "", "name", ""]), &known),
            Err(vec![
                HeaderFault::Unknown("Colour".to_owned()),
                HeaderFault::Unknown(String::new()),
                HeaderFault::Twice("name".to_owned()),
            ])
        );
        assert_eq!(columns(&[], &known), Err(vec![HeaderFault::Unreadable]));
    }
}
