//! Keys and items of questions what another plan would have paid.

use serde::{Deserialize, Serialize};

use super::model::{Failure, KEPT_DAYS, Stage, WhatIf};
use crate::clock::{Timestamp, days_after, stamp};
use crate::commissions::model::Figures;
use crate::ids::{OperatorId, PartnerId, ProgramId, WhatIfId};
use crate::payouts::store::WORK;
use crate::plans::store::{read_terms, write_terms};
use crate::table::{
    Condition, Error, Index, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

fn key(id: WhatIfId) -> Key {
    Key::new(format!("WHATIF#{id}"), "WHATIF")
}

fn partner_key(id: WhatIfId, partner: PartnerId) -> Key {
    Key::new(format!("WHATIF#{id}"), format!("PARTNER#{partner}"))
}

#[derive(Serialize, Deserialize)]
struct WhatIfItem {
    pk: String,
    sk: String,
    /// While it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: WhatIfId,
    program: ProgramId,
    currency: String,
    /// The terms as requests state them, as one JSON text.
    terms: String,
    from: Timestamp,
    to: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    by: OperatorId,
    at: Timestamp,
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    moved_at: Timestamp,
    after: String,
    partners: u64,
    lines: u64,
    total: FiguresPart,
    version: u64,
    expires_at: i64,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct FiguresPart {
    #[serde(default)]
    conversions: i64,
    #[serde(default)]
    paid: i64,
    #[serde(default)]
    paid_levels: i64,
    #[serde(default)]
    pays: i64,
    #[serde(default)]
    pays_levels: i64,
    #[serde(default)]
    provisional: i64,
}

#[derive(Serialize, Deserialize)]
struct PartnerItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    #[serde(flatten)]
    figures: FiguresPart,
    expires_at: i64,
}

fn part(figures: &Figures) -> FiguresPart {
    let Figures {
        conversions,
        paid,
        paid_levels,
        pays,
        pays_levels,
        provisional,
    } = *figures;
    FiguresPart {
        conversions,
        paid,
        paid_levels,
        pays,
        pays_levels,
        provisional,
    }
}

fn figures(part: FiguresPart) -> Figures {
    let FiguresPart {
        conversions,
        paid,
        paid_levels,
        pays,
        pays_levels,
        provisional,
    } = part;
    Figures {
        conversions,
        paid,
        paid_levels,
        pays,
        pays_levels,
        provisional,
    }
}

fn expires_at(what_if: &WhatIf) -> i64 {
    days_after(what_if.at, KEPT_DAYS).as_second()
}

fn item(what_if: &WhatIf) -> WhatIfItem {
    let expires_at = expires_at(what_if);
    let WhatIf {
        id,
        program,
        currency,
        terms,
        from,
        to,
        replaces,
        by,
        at,
        stage,
        moved_at,
        after,
        partners,
        lines,
        total,
        version,
    } = what_if.clone();
    let Key { pk, sk } = key(id);
    let is_running = stage == Stage::Running;
    WhatIfItem {
        pk,
        sk,
        due_pk: is_running.then(|| WORK.to_owned()),
        due_sk: is_running.then(|| format!("{}#{id}", stamp(at))),
        id,
        program,
        currency: currency.code().to_owned(),
        terms: write_terms(&terms, currency),
        from,
        to,
        replaces,
        by,
        at,
        stage: stage.name().to_owned(),
        failure: match stage {
            Stage::Failed(failure) => Some(failure.name().to_owned()),
            Stage::Running | Stage::Done => None,
        },
        moved_at,
        after,
        partners,
        lines,
        total: part(&total),
        version,
        expires_at,
    }
}

fn read(item: WhatIfItem) -> Result<WhatIf, Error> {
    let WhatIfItem {
        pk: _,
        sk: _,
        due_pk: _,
        due_sk: _,
        id,
        program,
        currency,
        terms,
        from,
        to,
        replaces,
        by,
        at,
        stage,
        failure,
        moved_at,
        after,
        partners,
        lines,
        total,
        version,
        expires_at: _,
    } = item;
    let malformed = |what: &str| Error::Malformed(format!("a what-if's {what}"));
    let failure = failure.and_then(|name| Failure::ALL.into_iter().find(|one| one.name() == name));
    let stage = [
        Some(Stage::Running),
        Some(Stage::Done),
        failure.map(Stage::Failed),
    ]
    .into_iter()
    .flatten()
    .find(|known| known.name() == stage)
    .ok_or_else(|| malformed("stage"))?;
    Ok(WhatIf {
        id,
        program,
        terms: read_terms(&terms, &currency)?,
        currency: currency.parse().map_err(|_| malformed("currency"))?,
        from,
        to,
        replaces,
        by,
        at,
        stage,
        moved_at,
        after,
        partners,
        lines,
        total: figures(total),
        version,
    })
}

/// The put of a new question.
///
/// # Errors
/// Never for a well-formed one.
pub fn put(what_if: &WhatIf) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&item(what_if))?))
}

/// The change of a question by one step, on the condition that it stands where it was read.
///
/// # Errors
/// Never for a well-formed one.
pub fn change(what_if: &WhatIf) -> Result<Op, Error> {
    let before = i64::try_from(what_if.version.saturating_sub(1)).unwrap_or(i64::MAX);
    Ok(Op::Update(
        Update::rewrite(&item(what_if), &["due_pk", "due_sk", "failure"])?
            .only_if(Condition::equals("version", int(before))),
    ))
}

/// A question, while it is kept.
///
/// # Errors
/// The table's.
pub async fn find(table: &Table, id: WhatIfId, now: Timestamp) -> Result<Option<WhatIf>, Error> {
    let found: Option<WhatIfItem> = table.get(&key(id)).await?;
    found
        .filter(|item| item.expires_at > now.as_second())
        .map(read)
        .transpose()
}

/// What a partner gets on top of what it got until then.
#[must_use]
pub fn add(what_if: &WhatIf, partner: PartnerId, by: &Figures) -> Op {
    let Figures {
        conversions,
        paid,
        paid_levels,
        pays,
        pays_levels,
        provisional,
    } = *by;
    Op::Update(
        Update::at(partner_key(what_if.id, partner))
            .set("partner", text(partner.to_string()))
            .set("expires_at", int(expires_at(what_if)))
            .add("conversions", conversions)
            .add("paid", paid)
            .add("paid_levels", paid_levels)
            .add("pays", pays)
            .add("pays_levels", pays_levels)
            .add("provisional", provisional),
    )
}

/// What a partner gets in all.
///
/// # Errors
/// Never for well-formed figures.
pub fn set_partner(what_if: &WhatIf, partner: PartnerId, all: &Figures) -> Result<Op, Error> {
    let Key { pk, sk } = partner_key(what_if.id, partner);
    let item = PartnerItem {
        pk,
        sk,
        partner,
        figures: part(all),
        expires_at: expires_at(what_if),
    };
    Ok(Op::Update(Update::rewrite(&item, &[])?))
}

/// Holds as long as nobody has moved the question since it was read.
#[must_use]
pub fn unmoved(what_if: &WhatIf) -> Op {
    let version = i64::try_from(what_if.version).unwrap_or(i64::MAX);
    Op::Check(key(what_if.id), Condition::equals("version", int(version)))
}

/// A page of what partners get, by partner, after a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn partners(
    table: &Table,
    id: WhatIfId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<(PartnerId, Figures)>, Option<String>), Error> {
    let prefix = "PARTNER#";
    let low = after
        .map(|after| format!("{after}\0"))
        .filter(|low| low.starts_with(prefix))
        .unwrap_or_else(|| prefix.to_owned());
    let range = Range::partition(Index::Base, key(id).pk, limit)
        .between(low, format!("{prefix}\u{10FFFF}"));
    let page = table.page(&range).await?;
    let position = page.items.last().filter(|_| page.more).and_then(Key::of);
    let found = page
        .items
        .into_iter()
        .map(|item| {
            let item: PartnerItem = from_item(item)?;
            Ok((item.partner, figures(item.figures)))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok((found, position.map(|key| key.sk)))
}

/// How many are at work, as far as the index knows, of at most `most` pieces of payout work.
///
/// # Errors
/// The table's.
pub async fn at_work(table: &Table, most: usize) -> Result<usize, Error> {
    let range = Range::partition(Index::Due, WORK, most);
    let (entries, _) = table.entries(&range).await?;
    let is_one = |key: &Key| key.pk.starts_with("WHATIF#");
    Ok(entries.iter().filter(|entry| is_one(&entry.key)).count())
}
