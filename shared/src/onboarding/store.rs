//! Keys and items of checklists and of partners' progress.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::{Checklist, Progress, STEP_KINDS, Step};
use crate::clock::Timestamp;
use crate::ids::{OperatorId, PartnerId, ProgramId};
use crate::table::{Condition, Error, Key, Op, Put, Table, Update, int};

fn checklist_key(program: ProgramId) -> Key {
    Key::new(format!("RECRUIT#{program}"), "ONBOARDING")
}

fn progress_key(partner: PartnerId, program: ProgramId) -> Key {
    Key::new(format!("PTR#{partner}"), format!("ONBOARDING#{program}"))
}

/// The condition that an item is still the version before; absent when there was none.
fn follows(version: u64) -> Condition {
    match version.saturating_sub(1) {
        0 => Condition::default().and_absent("pk"),
        before => Condition::equals("version", int(i64::try_from(before).unwrap_or(i64::MAX))),
    }
}

#[derive(Serialize, Deserialize)]
struct StepItem {
    code: String,
    label: String,
    kind: String,
    required: bool,
}

#[derive(Serialize, Deserialize)]
struct ChecklistItem {
    pk: String,
    sk: String,
    program: ProgramId,
    steps: Vec<StepItem>,
    version: u64,
}

/// The put of a first checklist, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed checklist.
pub fn save_checklist(saved: &Checklist) -> Result<Op, Error> {
    let Checklist {
        program,
        steps,
        version,
    } = saved.clone();
    let Key { pk, sk } = checklist_key(program);
    let steps = steps.into_iter().map(|step| {
        let Step {
            code,
            label,
            kind,
            required,
        } = step;
        StepItem {
            code,
            label,
            kind: kind.name().to_owned(),
            required,
        }
    });
    let item = ChecklistItem {
        pk,
        sk,
        program,
        steps: steps.collect(),
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &[])?;
    Ok(Op::Update(change.only_if(follows(version))))
}

/// A program's checklist, if it has one.
///
/// # Errors
/// The table's.
pub async fn find_checklist(table: &Table, program: ProgramId) -> Result<Option<Checklist>, Error> {
    let Some(item) = table.get::<ChecklistItem>(&checklist_key(program)).await? else {
        return Ok(None);
    };
    let ChecklistItem {
        pk: _,
        sk: _,
        program,
        steps,
        version,
    } = item;
    let steps = steps.into_iter().map(|item| {
        let StepItem {
            code,
            label,
            kind,
            required,
        } = item;
        let known = STEP_KINDS.iter().find(|(name, _)| *name == kind);
        let (_, kind) = known.ok_or_else(|| Error::Malformed(format!("onboarding: {kind}")))?;
        Ok(Step {
            code,
            label,
            kind: *kind,
            required,
        })
    });
    Ok(Some(Checklist {
        program,
        steps: steps.collect::<Result<Vec<_>, Error>>()?,
        version,
    }))
}

#[derive(Serialize, Deserialize)]
struct ConfirmedItem {
    at: Timestamp,
    by: OperatorId,
}

#[derive(Serialize, Deserialize)]
struct ProgressItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    program: ProgramId,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    confirmed: BTreeMap<String, ConfirmedItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<String>,
    is_set: bool,
    version: u64,
}

/// The put of a partner's first progress, or the change of it from the version before.
///
/// # Errors
/// Never for a well-formed progress.
pub fn save_progress(saved: &Progress) -> Result<Op, Error> {
    let Progress {
        partner,
        program,
        confirmed,
        told,
        is_set,
        version,
    } = saved.clone();
    let Key { pk, sk } = progress_key(partner, program);
    let item = ProgressItem {
        pk,
        sk,
        partner,
        program,
        confirmed: confirmed
            .into_iter()
            .map(|(code, (at, by))| (code, ConfirmedItem { at, by }))
            .collect(),
        told: told.into_iter().collect(),
        is_set,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &["confirmed", "told"])?;
    Ok(Op::Update(change.only_if(follows(version))))
}

/// A partner's progress in a program.
///
/// # Errors
/// The table's.
pub async fn find_progress(
    table: &Table,
    partner: PartnerId,
    program: ProgramId,
) -> Result<Progress, Error> {
    let key = progress_key(partner, program);
    let Some(item) = table.get::<ProgressItem>(&key).await? else {
        return Ok(Progress::none(partner, program));
    };
    let ProgressItem {
        pk: _,
        sk: _,
        partner,
        program,
        confirmed,
        told,
        is_set,
        version,
    } = item;
    let confirmed = confirmed.into_iter();
    Ok(Progress {
        partner,
        program,
        confirmed: confirmed
            .map(|(code, ConfirmedItem { at, by })| (code, (at, by)))
            .collect(),
        told: BTreeSet::from_iter(told),
        is_set,
        version,
    })
}
