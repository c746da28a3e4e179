//! Keys and items of programs, links and coupons.

use serde::{Deserialize, Serialize};

use super::model::{
    ATTRIBUTION_MODELS, Attribution, Coupon, DIALECTS, DISPUTE_DAYS, Link, Program, SigningSecret,
    TokenRecord,
};
use crate::clock::{Timestamp, stamp};
use crate::ids::{CouponId, LinkId, PartnerId, ProgramId};
use crate::money::Currency;
use crate::plans::store::{AssignmentItem, assignment_items, assignments};
use crate::table::{
    Condition, Error, Index, Item, Key, Op, Put, Range, Table, Update, from_item, int,
};

fn program_key(id: ProgramId) -> Key {
    Key::new(format!("PROG#{id}"), "PROGRAM")
}

fn link_key(id: LinkId) -> Key {
    Key::new(format!("LINK#{id}"), "LINK")
}

fn coupon_key(id: CouponId) -> Key {
    Key::new(format!("COUPON#{id}"), "COUPON")
}

#[derive(Serialize, Deserialize)]
struct SecretItem {
    /// The token's hash, or the sealed secret.
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// What programs have that were stored before they could say it.
fn dispute_days() -> u32 {
    DISPUTE_DAYS
}

#[derive(Serialize, Deserialize)]
struct ProgramItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    id: ProgramId,
    name: String,
    currency: String,
    attribution: String,
    window_days: u32,
    dialect: String,
    payout_is_amount: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback_url: Option<String>,
    hosts: Vec<String>,
    #[serde(default = "dispute_days")]
    dispute_days: u32,
    tokens: Vec<SecretItem>,
    secrets: Vec<SecretItem>,
    default_plans: Vec<AssignmentItem>,
    created_at: Timestamp,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct LinkItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    id: LinkId,
    code: String,
    program: ProgramId,
    partner: PartnerId,
    destination: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    plans: Vec<AssignmentItem>,
    created_at: Timestamp,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct CouponItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    id: CouponId,
    code: String,
    program: ProgramId,
    partner: PartnerId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    created_at: Timestamp,
    version: u64,
}

fn program_item(program: &Program) -> ProgramItem {
    let Program {
        id,
        name,
        currency,
        attribution: Attribution { model, window_days },
        dialect,
        payout_is_amount,
        fallback_url,
        allowed_destination_hosts,
        dispute_days,
        tokens,
        signing_secrets,
        default_plans,
        created_at,
        version,
    } = program.clone();
    let Key { pk, sk } = program_key(id);
    ProgramItem {
        pk,
        sk,
        list_pk: "PROGRAMS".to_owned(),
        list_sk: format!("{}#{id}", stamp(created_at)),
        id,
        name,
        currency: currency.code().to_owned(),
        attribution: model.name().to_owned(),
        window_days,
        dialect: dialect.name().to_owned(),
        payout_is_amount,
        fallback_url,
        hosts: allowed_destination_hosts,
        dispute_days,
        tokens: tokens
            .into_iter()
            .map(|TokenRecord { hash, expires_at }| SecretItem {
                value: hash,
                expires_at,
            })
            .collect(),
        secrets: signing_secrets
            .into_iter()
            .map(|SigningSecret { sealed, expires_at }| SecretItem {
                value: sealed,
                expires_at,
            })
            .collect(),
        default_plans: assignment_items(default_plans),
        created_at,
        version,
    }
}

fn named<T: Copy>(choices: &[(&str, T)], name: &str) -> Result<T, Error> {
    choices
        .iter()
        .find(|(word, _)| *word == name)
        .map(|(_, value)| *value)
        .ok_or_else(|| Error::Malformed(format!("{name} is not known")))
}

fn currency(code: &str) -> Result<Currency, Error> {
    code.parse()
        .map_err(|_| Error::Malformed(format!("{code} is not a currency")))
}

fn program(item: ProgramItem) -> Result<Program, Error> {
    let ProgramItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        name,
        currency: code,
        attribution,
        window_days,
        dialect,
        payout_is_amount,
        fallback_url,
        hosts,
        dispute_days,
        tokens,
        secrets,
        default_plans,
        created_at,
        version,
    } = item;
    Ok(Program {
        id,
        name,
        currency: currency(&code)?,
        attribution: Attribution {
            model: named(ATTRIBUTION_MODELS, &attribution)?,
            window_days,
        },
        dialect: named(DIALECTS, &dialect)?,
        payout_is_amount,
        fallback_url,
        allowed_destination_hosts: hosts,
        dispute_days,
        tokens: tokens
            .into_iter()
            .map(|SecretItem { value, expires_at }| TokenRecord {
                hash: value,
                expires_at,
            })
            .collect(),
        signing_secrets: secrets
            .into_iter()
            .map(|SecretItem { value, expires_at }| SigningSecret {
                sealed: value,
                expires_at,
            })
            .collect(),
        default_plans: assignments(default_plans),
        created_at,
        version,
    })
}

/// The put of a new program.
///
/// # Errors
/// Never for a well-formed program.
pub fn put_program(program: &Program) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&program_item(program))?))
}

/// The change of a program from the version before.
///
/// # Errors
/// Never for a well-formed program.
pub fn change_program(program: &Program) -> Result<Op, Error> {
    let change = Update::rewrite(&program_item(program), &["fallback_url"])?;
    Ok(Op::Update(change.only_if(follows(program.version))))
}

/// The condition that an item is still the version before.
fn follows(version: u64) -> Condition {
    let before = i64::try_from(version.saturating_sub(1)).unwrap_or(0);
    Condition::equals("version", int(before))
}

/// A program.
///
/// # Errors
/// The table's.
pub async fn find_program(table: &Table, id: ProgramId) -> Result<Option<Program>, Error> {
    table
        .get::<ProgramItem>(&program_key(id))
        .await?
        .map(program)
        .transpose()
}

/// A page of programs, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn programs(
    table: &Table,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Program>, Option<String>), Error> {
    listed(table, "PROGRAMS".to_owned(), below, limit, |item| {
        program(from_item(item)?)
    })
    .await
}

/// A page of a list, newest first: index entries, then their items.
async fn listed<T>(
    table: &Table,
    list: String,
    below: Option<String>,
    limit: usize,
    read: impl Fn(Item) -> Result<T, Error>,
) -> Result<(Vec<T>, Option<String>), Error> {
    let mut range = Range::partition(Index::List, list, limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, more) = table.entries(&range).await?;
    let mut items = table
        .get_many(entries.iter().map(|entry| entry.key.clone()))
        .await?;
    let found = entries
        .iter()
        .filter_map(|entry| items.remove(&entry.key))
        .map(read)
        .collect::<Result<Vec<_>, Error>>()?;
    let position = entries.last().filter(|_| more);
    Ok((found, position.map(|entry| entry.sort.clone())))
}

fn link_item(link: &Link) -> LinkItem {
    let Link {
        id,
        code,
        program,
        partner,
        destination,
        disabled_at,
        plans,
        created_at,
        version,
    } = link.clone();
    let Key { pk, sk } = link_key(id);
    LinkItem {
        pk,
        sk,
        list_pk: format!("LINKS#{partner}"),
        list_sk: format!("{}#{id}", stamp(created_at)),
        id,
        code,
        program,
        partner,
        destination,
        disabled_at,
        plans: assignment_items(plans),
        created_at,
        version,
    }
}

fn link(item: LinkItem) -> Link {
    let LinkItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        code,
        program,
        partner,
        destination,
        disabled_at,
        plans,
        created_at,
        version,
    } = item;
    Link {
        id,
        code,
        program,
        partner,
        destination,
        disabled_at,
        plans: assignments(plans),
        created_at,
        version,
    }
}

/// The put of a new link.
///
/// # Errors
/// Never for a well-formed link.
pub fn put_link(link: &Link) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&link_item(link))?))
}

/// The change of a link from the version before.
///
/// # Errors
/// Never for a well-formed link.
pub fn change_link(link: &Link) -> Result<Op, Error> {
    let change = Update::rewrite(&link_item(link), &[])?;
    Ok(Op::Update(change.only_if(follows(link.version))))
}

/// A link.
///
/// # Errors
/// The table's.
pub async fn find_link(table: &Table, id: LinkId) -> Result<Option<Link>, Error> {
    Ok(table.get::<LinkItem>(&link_key(id)).await?.map(link))
}

/// A page of a partner's links, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn links(
    table: &Table,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Link>, Option<String>), Error> {
    listed(table, format!("LINKS#{partner}"), below, limit, |item| {
        Ok(link(from_item(item)?))
    })
    .await
}

fn coupon_item(coupon: &Coupon) -> CouponItem {
    let Coupon {
        id,
        code,
        program,
        partner,
        disabled_at,
        created_at,
        version,
    } = coupon.clone();
    let Key { pk, sk } = coupon_key(id);
    CouponItem {
        pk,
        sk,
        list_pk: format!("COUPONS#{partner}"),
        list_sk: format!("{}#{id}", stamp(created_at)),
        id,
        code,
        program,
        partner,
        disabled_at,
        created_at,
        version,
    }
}

fn coupon(item: CouponItem) -> Coupon {
    let CouponItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        code,
        program,
        partner,
        disabled_at,
        created_at,
        version,
    } = item;
    Coupon {
        id,
        code,
        program,
        partner,
        disabled_at,
        created_at,
        version,
    }
}

/// The put of a new coupon.
///
/// # Errors
/// Never for a well-formed coupon.
pub fn put_coupon(coupon: &Coupon) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&coupon_item(coupon))?))
}

/// The change of a coupon from the version before.
///
/// # Errors
/// Never for a well-formed coupon.
pub fn change_coupon(coupon: &Coupon) -> Result<Op, Error> {
    let change = Update::rewrite(&coupon_item(coupon), &[])?;
    Ok(Op::Update(change.only_if(follows(coupon.version))))
}

/// A coupon.
///
/// # Errors
/// The table's.
pub async fn find_coupon(table: &Table, id: CouponId) -> Result<Option<Coupon>, Error> {
    Ok(table.get::<CouponItem>(&coupon_key(id)).await?.map(coupon))
}

/// A page of a partner's coupons, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn coupons(
    table: &Table,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Coupon>, Option<String>), Error> {
    listed(table, format!("COUPONS#{partner}"), below, limit, |item| {
        Ok(coupon(from_item(item)?))
    })
    .await
}
