//! What imports look like.

use serde::Serialize;
use tributary::imports::model::{Failure, Fault, Stage, Upload};
use utoipa::ToSchema;

/// An import to begin.
#[derive(ToSchema)]
#[schema(as = NewImport, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "kind": "accounts", "name": "Accounts of March"}))]
pub struct NewImportBody {
    /// The program's id.
    pub program: String,
    /// What its rows are: `accounts`, `leads` or `invitations`.
    pub kind: String,
    /// What it is called, at most 120 characters.
    pub name: Option<String>,
}

/// How many parts there are.
#[derive(ToSchema)]
#[schema(as = StartImport, example = json!({"parts": 3}))]
pub struct StartBody {
    /// How many parts were sent: one that is missing at the end is told then. Unless told, as many as are there.
    #[schema(minimum = 1, maximum = 100)]
    pub parts: Option<u32>,
}

/// An import.
#[derive(Serialize, ToSchema)]
#[schema(as = Import)]
pub struct ImportView {
    /// Id.
    pub id: String,
    /// The program.
    pub program: String,
    /// What its rows are.
    #[schema(example = "accounts")]
    pub kind: &'static str,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `receiving`, `checking`, `running`, `cancelling`, and in the end `done`, `refused` (rows are wrong, and of its
    /// kind nothing is imported then), `cancelled` or `failed`.
    #[schema(example = "running")]
    pub state: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// The columns, in the file's order; once it is started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Bytes of the file; once it is started.
    pub bytes: u64,
    /// Bytes that were looked at.
    pub bytes_done: u64,
    /// Rows that are not blank, without the header; once they are counted.
    pub rows: Option<u64>,
    /// Rows that were looked at.
    pub rows_done: u64,
    /// Rows that took effect.
    pub rows_taken: u64,
    /// Rows that are wrong.
    pub rows_refused: u64,
    /// Who began it.
    pub created_by: String,
    /// When.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it came so far.
    #[schema(format = DateTime)]
    pub moved_at: String,
}

/// Why an import failed.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportFailure)]
pub struct FailureView {
    /// `empty`, `too_many_rows`, `no_csv` or `parts_gone`.
    pub code: &'static str,
    /// For people.
    pub reason: &'static str,
}

/// A page of imports.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportList)]
pub struct ImportListView {
    /// Newest first.
    pub items: Vec<ImportView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// Something wrong with a row.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportFault)]
pub struct FaultView {
    /// The row, as a spreadsheet shows it.
    pub row: u64,
    /// The column; `null` where it is the row as such.
    pub column: Option<String>,
    /// A problem's code.
    pub code: String,
    /// Why, for people.
    pub reason: String,
}

/// A page of what was wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportReport)]
pub struct ReportView {
    /// How far the import has come.
    pub state: &'static str,
    /// In the order of rows.
    pub items: Vec<FaultView>,
    /// Where the report goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

fn state(upload: &Upload) -> &'static str {
    if upload.cancelling && upload.stage.is_at_work() {
        "cancelling"
    } else {
        upload.stage.name()
    }
}

fn failure(failure: Failure) -> FailureView {
    FailureView {
        code: failure.name(),
        reason: failure.meaning(),
    }
}

pub(crate) fn import(upload: &Upload) -> ImportView {
    let (state, bytes) = (state(upload), upload.bytes());
    let Upload {
        id,
        program,
        kind,
        name,
        by,
        at,
        stage,
        parts: _,
        header,
        place,
        rows,
        taken,
        refused,
        cancelling: _,
        moved_at,
        version: _,
    } = upload.clone();
    ImportView {
        id: id.to_string(),
        program: program.to_string(),
        kind: kind.name(),
        name,
        state,
        failure: match stage {
            Stage::Failed(why) => Some(failure(why)),
            _ => None,
        },
        columns: header.map(|header| header.columns).unwrap_or_default(),
        bytes,
        bytes_done: place.offset,
        rows,
        rows_done: taken + refused,
        rows_taken: taken,
        rows_refused: refused,
        created_by: by.to_string(),
        created_at: at.to_string(),
        moved_at: moved_at.to_string(),
    }
}

pub(crate) fn report(upload: &Upload, faults: Vec<Fault>, next: Option<String>) -> ReportView {
    let each = faults.into_iter().map(|fault| {
        let Fault {
            row,
            field,
            code,
            reason,
        } = fault;
        FaultView {
            row,
            column: Some(field).filter(|field| !field.is_empty()),
            code,
            reason,
        }
    });
    ReportView {
        state: state(upload),
        items: each.collect(),
        next_cursor: next,
    }
}
