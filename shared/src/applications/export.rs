//! Applications as a sheet. Pure but for what it takes from its own noun.

use super::Known;
use super::model::{
    Applicant, Application, GATES, REJECT_REASONS, STAGES, Stage, WEIGHTS, name_of,
};
use crate::reports::paper::{cell, csv as sheet};

const HEADER: [&str; 18] = [
    "application",
    "program",
    "stage",
    "began_at",
    "stage_since",
    "submitted_at",
    "source",
    "referrer",
    "findings",
    "reason",
    "reapply_at",
    "partner",
    "email",
    "name",
    "country",
    "kind",
    "tax_id",
    "answers",
];

/// Applications as a CSV, the first page of it with a header. No cell begins a formula. Of one that was erased the
/// last six are empty.
///
/// # Errors
/// None: its rows have one length.
pub fn csv(applications: &[Known], is_first: bool) -> Result<Vec<u8>, csv::Error> {
    let header = is_first.then(|| HEADER.map(str::to_owned));
    sheet(header.into_iter().chain(applications.iter().map(row)))
}

fn row(known: &Known) -> [String; HEADER.len()] {
    let Known {
        application,
        applicant,
    } = known;
    let (began_at, since, stage) = (
        application.began_at(),
        application.since(),
        application.stage(),
    );
    let Application {
        id,
        program,
        stamps,
        source,
        referrer,
        findings,
        reason,
        reapply_at,
        partner,
        token: _,
        token_until: _,
        version: _,
    } = application;
    let submitted = stamps
        .iter()
        .rev()
        .find(|stamp| stamp.stage == Stage::Submitted);
    let findings: Vec<String> = findings
        .iter()
        .map(|finding| {
            let (weight, gate) = (
                name_of(WEIGHTS, finding.weight),
                name_of(GATES, finding.gate),
            );
            format!("{weight} {gate}: {}", finding.evidence)
        })
        .collect();
    let Applicant {
        email,
        name,
        country,
        kind,
        tax_id,
        payout_account: _,
        answers,
        note: _,
    } = applicant.clone().unwrap_or_default();
    let answers: Vec<String> = answers
        .into_iter()
        .map(|(code, answer)| format!("{code}: {answer}"))
        .collect();
    let text = |text: Option<String>| text.map_or_else(String::new, |text| cell(&text));
    [
        id.to_string(),
        program.to_string(),
        name_of(STAGES, stage).to_owned(),
        began_at.to_string(),
        since.to_string(),
        text(submitted.map(|stamp| stamp.at.to_string())),
        text(source.clone()),
        text(referrer.map(|id| id.to_string())),
        cell(&findings.join("; ")),
        text(reason.map(|reason| name_of(REJECT_REASONS, reason).to_owned())),
        text(reapply_at.map(|at| at.to_string())),
        text(partner.map(|id| id.to_string())),
        cell(&email),
        text(name),
        text(country),
        text(kind.map(|kind| kind.name().to_owned())),
        text(tax_id),
        cell(&answers.join("; ")),
    ]
}
