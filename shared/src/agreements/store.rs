//! Keys and items of agreements and acceptances.

use serde::{Deserialize, Serialize};

use super::model::{Acceptance, Agreement, BLOCKABLE, Blocked, Signer, Term};
use crate::clock::{Timestamp, stamp};
use crate::ids::{OperatorId, PartnerId, ProgramId};
use crate::table::{
    Condition, Error, Index, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

/// Where versions are due: for their reminder, and then when they take effect.
const DUE: &str = "AGREEMENTS";

fn agreement_key(program: ProgramId, version: u32) -> Key {
    Key::new(
        format!("RECRUIT#{program}"),
        format!("AGREEMENT#{version:06}"),
    )
}

fn accepted_key(partner: PartnerId, program: ProgramId) -> Key {
    Key::new(format!("PTR#{partner}"), format!("ACCEPTED#{program}"))
}

fn acceptance_key(partner: PartnerId, program: ProgramId, version: u32) -> Key {
    Key::new(
        format!("PTR#{partner}"),
        format!("ACCEPTANCE#{program}#{version:06}"),
    )
}

fn signer_key(partner: PartnerId, program: ProgramId, version: u32) -> Key {
    Key::new(
        format!("PTR#{partner}"),
        format!("SIGNER#{program}#{version:06}"),
    )
}

#[derive(Serialize, Deserialize)]
struct AgreementItem {
    pk: String,
    sk: String,
    /// Until those were reminded who have not accepted it, and it took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    program: ProgramId,
    number: u32,
    title: String,
    text: String,
    hash: String,
    effective_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<String>,
    published_at: Timestamp,
    published_by: OperatorId,
}

/// The put of a version, which must be the first of its number.
///
/// # Errors
/// Never for a well-formed agreement.
pub fn publish(agreement: &Agreement) -> Result<Op, Error> {
    let due_at = agreement.due_at();
    let Agreement {
        program,
        version,
        title,
        text,
        hash,
        effective_at,
        blocks,
        published_at,
        published_by,
    } = agreement.clone();
    let Key { pk, sk } = agreement_key(program, version);
    let blocks = blocks.into_iter().map(|what| what.name().to_owned());
    Ok(Op::Put(Put::new(&AgreementItem {
        due_pk: due_at.map(|_| DUE.to_owned()),
        due_sk: due_at.map(|at| due_position(at, program, version)),
        pk,
        sk,
        program,
        number: version,
        title,
        text,
        hash,
        effective_at,
        blocks: blocks.collect(),
        published_at,
        published_by,
    })?))
}

fn due_position(at: Timestamp, program: ProgramId, version: u32) -> String {
    let Key { pk, sk } = agreement_key(program, version);
    format!("{}#{pk}#{sk}", stamp(at))
}

/// The change of a version for which something was done, so that it is due again at that time.
#[must_use]
pub fn due_again(due: &Due, at: Timestamp) -> Update {
    let Due {
        program,
        version,
        position,
    } = due;
    Update::at(agreement_key(*program, *version))
        .set("due_sk", text(due_position(at, *program, *version)))
        .only_if(Condition::equals("due_sk", text(position.clone())))
}

/// The change of a version for which there is nothing left to do.
#[must_use]
pub fn done(program: ProgramId, version: u32) -> Update {
    Update::at(agreement_key(program, version))
        .remove("due_pk")
        .remove("due_sk")
        .only_if(Condition::exists())
}

fn blocked(name: &str) -> Result<Blocked, Error> {
    let found = BLOCKABLE.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, what)| *what)
        .ok_or_else(|| Error::Malformed(format!("agreement: {name} cannot be blocked")))
}

fn agreement(item: AgreementItem) -> Result<Agreement, Error> {
    let AgreementItem {
        pk: _,
        sk: _,
        due_pk: _,
        due_sk: _,
        program,
        number,
        title,
        text,
        hash,
        effective_at,
        blocks,
        published_at,
        published_by,
    } = item;
    Ok(Agreement {
        program,
        version: number,
        title,
        text,
        hash,
        effective_at,
        blocks: blocks
            .iter()
            .map(|name| blocked(name))
            .collect::<Result<Vec<_>, Error>>()?,
        published_at,
        published_by,
    })
}

/// A version.
///
/// # Errors
/// The table's.
pub async fn find(
    table: &Table,
    program: ProgramId,
    version: u32,
) -> Result<Option<Agreement>, Error> {
    let item: Option<AgreementItem> = table.get(&agreement_key(program, version)).await?;
    item.map(agreement).transpose()
}

/// All versions in their order.
///
/// # Errors
/// The table's.
pub async fn all(table: &Table, program: ProgramId) -> Result<Vec<Agreement>, Error> {
    let range = Range::partition(Index::Base, format!("RECRUIT#{program}"), 50);
    let items: Vec<AgreementItem> = table.all(range.beginning("AGREEMENT#")).await?;
    items.into_iter().map(agreement).collect()
}

/// All versions in their order, without their texts.
///
/// # Errors
/// The table's.
pub async fn terms(table: &Table, program: ProgramId) -> Result<Vec<Term>, Error> {
    let term = |agreement: Agreement| {
        let Agreement {
            version,
            effective_at,
            blocks,
            ..
        } = agreement;
        Term {
            version,
            effective_at,
            blocks,
        }
    };
    Ok(all(table, program).await?.into_iter().map(term).collect())
}

/// A version that something is to be done for, and where it stands among those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub program: ProgramId,
    /// Its number.
    pub version: u32,
    position: String,
}

/// Versions that something is to be done for, the earliest first.
///
/// # Errors
/// The table's.
pub async fn due(table: &Table, now: Timestamp, limit: usize) -> Result<Vec<Due>, Error> {
    let range = Range::partition(Index::Due, DUE, limit).below(format!("{}$", stamp(now)));
    let (entries, _) = table.entries(&range).await?;
    let named = entries.into_iter().filter_map(|entry| {
        Some(Due {
            program: entry.key.pk.strip_prefix("RECRUIT#")?.parse().ok()?,
            version: entry.key.sk.strip_prefix("AGREEMENT#")?.parse().ok()?,
            position: entry.sort,
        })
    });
    Ok(named.collect())
}

#[derive(Serialize, Deserialize)]
struct AcceptanceItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    program: ProgramId,
    number: u32,
    hash: String,
    at: Timestamp,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct SignerItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<String>,
}

/// The writes that accept a version: the record, from where and by whom, and that it is the latest accepted.
/// `before` is the latest one accepted so far.
///
/// # Errors
/// Never for a well-formed acceptance.
pub fn accept(
    acceptance: &Acceptance,
    signer: &Signer,
    before: Option<u32>,
) -> Result<Vec<Op>, Error> {
    let Acceptance {
        partner,
        program,
        version,
        hash,
        at,
        key,
    } = acceptance.clone();
    let Signer { address, member } = signer.clone();
    let Key { pk, sk } = acceptance_key(partner, program, version);
    let record = Put::new(&AcceptanceItem {
        pk,
        sk,
        partner,
        program,
        number: version,
        hash,
        at,
        key,
    })?;
    let Key { pk, sk } = signer_key(partner, program, version);
    let signer = Put::new(&SignerItem {
        pk,
        sk,
        address,
        member,
    })?;
    let mut ops = vec![Op::Put(record), Op::Put(signer)];
    // One who accepts an earlier version later has accepted the later one all the same.
    if before.is_none_or(|before| before < version) {
        let latest = Update::at(accepted_key(partner, program))
            .set("number", int(i64::from(version)))
            .set("at", text(at.to_string()))
            .only_if(Condition::default().and_absent_or_below("number", int(i64::from(version))));
        ops.push(Op::Update(latest));
    }
    Ok(ops)
}

/// The latest version that a partner accepted and when; `None` when none.
///
/// # Errors
/// The table's.
pub async fn accepted(
    table: &Table,
    partner: PartnerId,
    program: ProgramId,
) -> Result<Option<(u32, Timestamp)>, Error> {
    #[derive(Deserialize)]
    struct AcceptedItem {
        number: u32,
        at: Timestamp,
    }
    let item: Option<AcceptedItem> = table.get(&accepted_key(partner, program)).await?;
    Ok(item.map(|AcceptedItem { number, at }| (number, at)))
}

/// All that a partner accepted of a program's terms, each with from where and by whom unless that was erased.
///
/// # Errors
/// The table's.
pub async fn acceptances(
    table: &Table,
    partner: PartnerId,
    program: ProgramId,
) -> Result<Vec<(Acceptance, Option<Signer>)>, Error> {
    let range = Range::partition(Index::Base, format!("PTR#{partner}"), 50);
    let items: Vec<AcceptanceItem> = table
        .all(range.beginning(format!("ACCEPTANCE#{program}#")))
        .await?;
    let keys = items
        .iter()
        .map(|item| signer_key(partner, program, item.number));
    let mut signers = table.get_many(keys).await?;
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let AcceptanceItem {
            pk: _,
            sk: _,
            partner,
            program,
            number,
            hash,
            at,
            key,
        } = item;
        let signer = signers
            .remove(&signer_key(partner, program, number))
            .map(|item| {
                let SignerItem {
                    address, member, ..
                } = from_item(item)?;
                Ok::<_, Error>(Signer { address, member })
            })
            .transpose()?;
        let acceptance = Acceptance {
            partner,
            program,
            version: number,
            hash,
            at,
            key,
        };
        let is_told = |signer: &Signer| *signer != Signer::default();
        found.push((acceptance, signer.filter(is_told)));
    }
    Ok(found)
}

/// The writes that take away from where and by whom a partner accepted terms, of whichever program.
///
/// # Errors
/// The table's.
pub async fn erase_signers(table: &Table, partner: PartnerId) -> Result<Vec<Op>, Error> {
    let range = Range::partition(Index::Base, format!("PTR#{partner}"), 200);
    let items: Vec<SignerItem> = table.all(range.beginning("SIGNER#")).await?;
    let told = items.into_iter().filter(|item| {
        let SignerItem {
            address, member, ..
        } = item;
        address.is_some() || member.is_some()
    });
    let erased = told.map(|SignerItem { pk, sk, .. }| {
        let erased = Update::at(Key::new(pk, sk));
        Op::Update(erased.remove("address").remove("member"))
    });
    Ok(erased.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_reads_back() {
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let published = Agreement {
            program: ProgramId::from_bytes([1; 16]),
            version: 3,
            title: "Partner terms".to_owned(),
            text: "Be kind.".to_owned(),
            hash: "00".to_owned(),
            effective_at: crate::clock::days_after(at, 30),
            blocks: vec![Blocked::Deals, Blocked::Leads],
            published_at: at,
            published_by: OperatorId::from_bytes([2; 16]),
        };
        let Op::Put(put) = publish(&published).unwrap() else {
            panic!("a version is put");
        };
        assert!(put.item().contains_key("due_pk"));
        let read = agreement(from_item(put.item().clone()).unwrap()).unwrap();
        assert_eq!(read, published);
        let soon = Agreement {
            effective_at: at,
            ..published
        };
        let Op::Put(put) = publish(&soon).unwrap() else {
            panic!("a version is put");
        };
        assert!(!put.item().contains_key("due_pk"));
    }
}
