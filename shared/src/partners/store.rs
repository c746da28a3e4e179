//! Keys and items of partners, contacts, enrolments and payout methods.

use std::collections::BTreeMap;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::model::{
    ACCOUNT_TYPES, Account, Address, BankAccount, BankRoute, Contact, Enrolment, MAX_MEMBERS,
    METHOD_KINDS, Member, PARTNER_KINDS, PARTNER_STATUSES, PAYEE_TYPES, Partner, PartnerStatus,
    PayeeType, PayoutHold, PayoutMethod, ROLES, Role, TaxDetails, TaxProfile, Upline,
    VAT_TREATMENTS,
};
use crate::clock::{Timestamp, stamp};
use crate::ids::{MemberId, OperatorId, PartnerId, ProgramId};
use crate::plans;
use crate::plans::store::{AssignmentItem, assignment_items};
use crate::table::{
    Condition, Error, Index, Item, Key, Op, Put, Range, Table, Update, from_item, int, text,
};

fn partition(id: PartnerId) -> String {
    format!("PTR#{id}")
}

fn partner_key(id: PartnerId) -> Key {
    Key::new(partition(id), "PARTNER")
}

fn contact_key(id: PartnerId) -> Key {
    Key::new(partition(id), "CONTACT")
}

fn enrolment_key(partner: PartnerId, program: ProgramId) -> Key {
    Key::new(partition(partner), format!("ENROL#{program}"))
}

/// The item that every change of who stands below whom in a program passes through.
fn tree_key(program: ProgramId) -> Key {
    Key::new(format!("TREE#{program}"), "TREE")
}

fn method_key(id: PartnerId) -> Key {
    Key::new(partition(id), "PAYOUT_METHOD")
}

fn tax_key(id: PartnerId) -> Key {
    Key::new(partition(id), "TAX_PROFILE")
}

fn hold_key(id: PartnerId) -> Key {
    Key::new(partition(id), "PAYOUT_HOLD")
}

#[derive(Serialize, Deserialize)]
struct PartnerItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    id: PartnerId,
    kind: String,
    country: String,
    /// What was written before there were more statuses than two.
    suspended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged_into: Option<PartnerId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    absorbed: Vec<PartnerId>,
    created_at: Timestamp,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct ContactItem {
    pk: String,
    sk: String,
    /// Both are absent once erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct UplineItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct TreeItem {
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct EnrolmentItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    program: ProgramId,
    assignments: Vec<AssignmentItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uplines: Vec<UplineItem>,
    created_at: Timestamp,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct MethodItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    kind: String,
    masked: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    sealed: String,
    reference: String,
    updated_at: Timestamp,
    version: u64,
}

fn partner_item(partner: &Partner) -> PartnerItem {
    let Partner {
        id,
        kind,
        country,
        status,
        merged_into,
        absorbed,
        created_at,
        version,
    } = partner.clone();
    let Key { pk, sk } = partner_key(id);
    PartnerItem {
        pk,
        sk,
        list_pk: "PARTNERS".to_owned(),
        list_sk: format!("{}#{id}", stamp(created_at)),
        id,
        kind: kind.name().to_owned(),
        country,
        suspended: status != PartnerStatus::Active,
        status: Some(status.name().to_owned()),
        merged_into,
        absorbed,
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

fn partner(item: PartnerItem) -> Result<Partner, Error> {
    let PartnerItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        kind,
        country,
        suspended,
        status,
        merged_into,
        absorbed,
        created_at,
        version,
    } = item;
    let status = match status {
        Some(name) => named(PARTNER_STATUSES, &name)?,
        None if suspended => PartnerStatus::Suspended,
        None => PartnerStatus::Active,
    };
    Ok(Partner {
        id,
        kind: named(PARTNER_KINDS, &kind)?,
        country,
        status,
        merged_into,
        absorbed,
        created_at,
        version,
    })
}

/// The put of a new partner.
///
/// # Errors
/// Never for a well-formed partner.
pub fn put_partner(partner: &Partner) -> Result<Op, Error> {
    Ok(Op::Put(Put::new(&partner_item(partner))?))
}

/// The put of a new partner's contact.
///
/// # Errors
/// Never for a well-formed contact.
pub fn put_contact(id: PartnerId, contact: &Contact) -> Result<Op, Error> {
    let Contact { name, email } = contact.clone();
    let Key { pk, sk } = contact_key(id);
    Ok(Op::Put(Put::new(&ContactItem {
        pk,
        sk,
        name: Some(name),
        email: Some(email),
    })?))
}

/// Takes away a partner's name and email.
#[must_use]
pub fn erase_contact(id: PartnerId) -> Op {
    Op::Update(Update::at(contact_key(id)).remove("name").remove("email"))
}

fn contact(item: Item) -> Result<Option<Contact>, Error> {
    let ContactItem {
        pk: _,
        sk: _,
        name,
        email,
    } = from_item(item)?;
    Ok(name.zip(email).map(|(name, email)| Contact { name, email }))
}

// ---- People

fn member_key(partner: PartnerId, id: MemberId) -> Key {
    Key::new(partition(partner), format!("MEMBER#{id}"))
}

fn person_key(partner: PartnerId, id: MemberId) -> Key {
    Key::new(partition(partner), format!("PERSON#{id}"))
}

#[derive(Serialize, Deserialize)]
struct MemberItem {
    pk: String,
    sk: String,
    id: MemberId,
    partner: PartnerId,
    role: String,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed_at: Option<Timestamp>,
    version: u64,
}

/// The put of a new member, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed member.
pub fn save_member(saved: &Member) -> Result<Op, Error> {
    let Member {
        id,
        partner,
        role,
        created_at,
        removed_at,
        version,
    } = saved.clone();
    let Key { pk, sk } = member_key(partner, id);
    let item = MemberItem {
        pk,
        sk,
        id,
        partner,
        role: role.name().to_owned(),
        created_at,
        removed_at,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &["removed_at"])?;
    Ok(Op::Update(change.only_if(follows(version))))
}

/// That a member stays an owner, for the transaction by which another one ceases to be one. It writes what stands
/// there, so that of two owners who remove each other at once one meets the other's transaction and fails.
#[must_use]
pub fn stays_owner(member: &Member) -> Op {
    let owner = text(Role::Owner.name());
    let condition = Condition::equals("role", owner.clone()).and_absent("removed_at");
    Op::Update(
        Update::at(member_key(member.partner, member.id))
            .set("role", owner)
            .only_if(condition),
    )
}

/// Sets who a member is; shares the transaction of the member's change, which carries the condition.
#[must_use]
pub fn set_person(member: &Member, contact: &Contact) -> Op {
    let Contact { name, email } = contact.clone();
    Op::Update(
        Update::at(person_key(member.partner, member.id))
            .set("name", text(name))
            .set("email", text(email)),
    )
}

/// Takes away who a member is.
#[must_use]
pub fn erase_person(member: &Member) -> Op {
    let erased = Update::at(person_key(member.partner, member.id));
    Op::Update(erased.remove("name").remove("email"))
}

fn member(item: MemberItem) -> Result<Member, Error> {
    let MemberItem {
        pk: _,
        sk: _,
        id,
        partner,
        role,
        created_at,
        removed_at,
        version,
    } = item;
    Ok(Member {
        id,
        partner,
        role: named(ROLES, &role)?,
        created_at,
        removed_at,
        version,
    })
}

/// All who are or were a partner's people, by id, with who they are unless that was erased.
///
/// # Errors
/// The table's.
pub async fn members(
    table: &Table,
    partner: PartnerId,
) -> Result<Vec<(Member, Option<Contact>)>, Error> {
    let range = Range::partition(Index::Base, partition(partner), 2 * MAX_MEMBERS);
    let items: Vec<MemberItem> = table.all(range.beginning("MEMBER#")).await?;
    let keys = items.iter().map(|item| person_key(partner, item.id));
    let mut persons = table.get_many(keys).await?;
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let person = persons.remove(&person_key(partner, item.id));
        let person = person.map(contact).transpose()?.flatten();
        found.push((member(item)?, person));
    }
    Ok(found)
}

/// A member.
///
/// # Errors
/// The table's.
pub async fn find_member(
    table: &Table,
    partner: PartnerId,
    id: MemberId,
) -> Result<Option<Member>, Error> {
    let item: Option<MemberItem> = table.get(&member_key(partner, id)).await?;
    item.map(member).transpose()
}

/// The partition of all who are known by something; what that is stands in it as a keyed hash.
#[must_use]
pub fn identity_partition(reference: &str) -> String {
    format!("KNOWN#{reference}")
}

/// Makes a partner known by something.
#[must_use]
pub fn known_as(id: PartnerId, reference: &str) -> Op {
    let key = Key::new(identity_partition(reference), id.to_string());
    Op::Update(
        Update::at(key)
            .set("partner", text(id.to_string()))
            .remove("ended_at"),
    )
}

/// Lets a partner be known by something no longer.
#[must_use]
pub fn no_longer_known_as(id: PartnerId, reference: &str, now: Timestamp) -> Op {
    let key = Key::new(identity_partition(reference), id.to_string());
    Op::Update(Update::at(key).set("ended_at", text(now.to_string())))
}

/// The change of a partner from the version before.
///
/// # Errors
/// Never for a well-formed partner.
pub fn change_partner(partner: &Partner) -> Result<Op, Error> {
    let change = Update::rewrite(&partner_item(partner), &[])?;
    Ok(Op::Update(change.only_if(follows(partner.version))))
}

/// The change of a contact; shares the transaction of its partner's change, which carries the condition.
#[must_use]
pub fn change_contact(id: PartnerId, contact: &Contact) -> Op {
    let Contact { name, email } = contact.clone();
    Op::Update(
        Update::at(contact_key(id))
            .set("name", text(name))
            .set("email", text(email)),
    )
}

/// The condition that an item is still the version before; absent when there was none.
fn follows(version: u64) -> Condition {
    match version.saturating_sub(1) {
        0 => Condition::default().and_absent("pk"),
        before => Condition::equals("version", int(i64::try_from(before).unwrap_or(0))),
    }
}

/// A partner without its contact.
///
/// # Errors
/// The table's.
pub async fn find_partner(table: &Table, id: PartnerId) -> Result<Option<Partner>, Error> {
    table
        .get::<PartnerItem>(&partner_key(id))
        .await?
        .map(partner)
        .transpose()
}

fn with_contact(
    items: &mut std::collections::HashMap<Key, Item>,
    id: PartnerId,
) -> Result<Option<(Partner, Option<Contact>)>, Error> {
    let Some(item) = items.remove(&partner_key(id)) else {
        return Ok(None);
    };
    let contact = items.remove(&contact_key(id)).map(contact).transpose()?;
    Ok(Some((partner(from_item(item)?)?, contact.flatten())))
}

/// A partner with its contact, which may have been erased.
///
/// # Errors
/// The table's.
pub async fn find_with_contact(
    table: &Table,
    id: PartnerId,
) -> Result<Option<(Partner, Option<Contact>)>, Error> {
    let mut items = table.get_many([partner_key(id), contact_key(id)]).await?;
    with_contact(&mut items, id)
}

/// A page of partners with their contacts, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
#[allow(clippy::type_complexity)]
pub async fn partners(
    table: &Table,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<(Partner, Option<Contact>)>, Option<String>), Error> {
    let mut range = Range::partition(Index::List, "PARTNERS", limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, more) = table.entries(&range).await?;
    let ids: Vec<PartnerId> = entries
        .iter()
        .filter_map(|entry| entry.key.pk.strip_prefix("PTR#")?.parse().ok())
        .collect();
    let keys = ids
        .iter()
        .flat_map(|id| [partner_key(*id), contact_key(*id)]);
    let mut items = table.get_many(keys).await?;
    let found = ids
        .iter()
        .filter_map(|id| with_contact(&mut items, *id).transpose())
        .collect::<Result<Vec<_>, Error>>()?;
    let position = entries.last().filter(|_| more);
    Ok((found, position.map(|entry| entry.sort.clone())))
}

/// The next partners behind a position, oldest first, each with its own; and whether more follow.
///
/// # Errors
/// The table's.
pub async fn positions(
    table: &Table,
    after: &str,
    limit: usize,
) -> Result<(Vec<(PartnerId, String)>, bool), Error> {
    let range = Range::partition(Index::List, "PARTNERS", limit)
        .between(format!("{after}\0"), "\u{10FFFF}");
    let (entries, more) = table.entries(&range).await?;
    let found = entries
        .into_iter()
        .filter_map(|entry| Some((entry.key.pk.strip_prefix("PTR#")?.parse().ok()?, entry.sort)))
        .collect();
    Ok((found, more))
}

fn enrolment_item(enrolment: &Enrolment) -> EnrolmentItem {
    let Enrolment {
        partner,
        program,
        assignments,
        uplines,
        created_at,
        version,
    } = enrolment.clone();
    let Key { pk, sk } = enrolment_key(partner, program);
    EnrolmentItem {
        pk,
        sk,
        partner,
        program,
        assignments: assignment_items(assignments),
        uplines: uplines
            .into_iter()
            .map(|Upline { partner, from }| UplineItem { partner, from })
            .collect(),
        created_at,
        version,
    }
}

fn enrolment(item: EnrolmentItem) -> Enrolment {
    let EnrolmentItem {
        pk: _,
        sk: _,
        partner,
        program,
        assignments,
        uplines,
        created_at,
        version,
    } = item;
    Enrolment {
        partner,
        program,
        assignments: plans::store::assignments(assignments),
        uplines: uplines
            .into_iter()
            .map(|UplineItem { partner, from }| Upline { partner, from })
            .collect(),
        created_at,
        version,
    }
}

/// The put of a first enrolment, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed enrolment.
pub fn save_enrolment(saved: &Enrolment) -> Result<Op, Error> {
    let item = enrolment_item(saved);
    if saved.version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    // The list of uplines is left out when it is empty.
    let change = Update::rewrite(&item, &["uplines"])?;
    Ok(Op::Update(change.only_if(follows(saved.version))))
}

/// How often it changed who stands below whom in a program.
///
/// # Errors
/// The table's.
pub async fn tree_version(table: &Table, program: ProgramId) -> Result<u64, Error> {
    let tree = table.get::<TreeItem>(&tree_key(program)).await?;
    Ok(tree.map_or(0, |TreeItem { version }| version))
}

/// The change of a program's tree from the version in which nothing was found against it.
#[must_use]
pub fn move_tree(program: ProgramId, from_version: u64) -> Op {
    let version = from_version + 1;
    let number = int(i64::try_from(version).unwrap_or(i64::MAX));
    let change = Update::at(tree_key(program)).set("version", number);
    Op::Update(change.only_if(follows(version)))
}

/// Enrolments of several partners in one program, those that exist: one round trip.
///
/// # Errors
/// The table's.
pub async fn find_enrolments(
    table: &Table,
    partners: &[PartnerId],
    program: ProgramId,
) -> Result<BTreeMap<PartnerId, Enrolment>, Error> {
    let keys = partners
        .iter()
        .map(|partner| enrolment_key(*partner, program));
    let found = table.get_many(keys).await?;
    let mut enrolments = BTreeMap::new();
    for item in found.into_values() {
        let found = enrolment(from_item(item)?);
        enrolments.insert(found.partner, found);
    }
    Ok(enrolments)
}

/// An enrolment.
///
/// # Errors
/// The table's.
pub async fn find_enrolment(
    table: &Table,
    partner: PartnerId,
    program: ProgramId,
) -> Result<Option<Enrolment>, Error> {
    let key = enrolment_key(partner, program);
    Ok(table.get::<EnrolmentItem>(&key).await?.map(enrolment))
}

/// A page of a partner's enrolments by program, after a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn enrolments(
    table: &Table,
    partner: PartnerId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Enrolment>, Option<String>), Error> {
    // Never among the partner's other items, whatever position a caller makes up.
    let low = after
        .map(|after| format!("{after}\0"))
        .filter(|low| low.starts_with("ENROL#"))
        .unwrap_or_else(|| "ENROL#".to_owned());
    let range =
        Range::partition(Index::Base, partition(partner), limit).between(low, "ENROL#\u{10FFFF}");
    let page = table.page(&range).await?;
    let position = page.items.last().filter(|_| page.more).and_then(Key::of);
    let found = page
        .items
        .into_iter()
        .map(|item| Ok(enrolment(from_item(item)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok((found, position.map(|key| key.sk)))
}

fn method_item(method: &PayoutMethod) -> MethodItem {
    let PayoutMethod {
        partner,
        kind,
        masked,
        currency,
        sealed,
        reference,
        updated_at,
        version,
    } = method.clone();
    let Key { pk, sk } = method_key(partner);
    MethodItem {
        pk,
        sk,
        partner,
        kind: kind.name().to_owned(),
        masked,
        currency: currency.map(|currency| currency.code().to_owned()),
        sealed,
        reference,
        updated_at,
        version,
    }
}

fn method(item: MethodItem) -> Result<PayoutMethod, Error> {
    let MethodItem {
        pk: _,
        sk: _,
        partner,
        kind,
        masked,
        currency,
        sealed,
        reference,
        updated_at,
        version,
    } = item;
    let currency = currency
        .map(|code| {
            code.parse()
                .map_err(|_| Error::Malformed(format!("{code} is not a currency")))
        })
        .transpose()?;
    Ok(PayoutMethod {
        partner,
        kind: named(METHOD_KINDS, &kind)?,
        masked,
        currency,
        sealed,
        reference,
        updated_at,
        version,
    })
}

/// The put of a first payout method, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed method.
pub fn save_method(saved: &PayoutMethod) -> Result<Op, Error> {
    let item = method_item(saved);
    if saved.version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &["currency"])?;
    Ok(Op::Update(change.only_if(follows(saved.version))))
}

/// A partner's payout method.
///
/// # Errors
/// The table's.
pub async fn find_method(table: &Table, id: PartnerId) -> Result<Option<PayoutMethod>, Error> {
    table
        .get::<MethodItem>(&method_key(id))
        .await?
        .map(method)
        .transpose()
}

#[derive(Serialize, Deserialize)]
struct HoldItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    reason: String,
    placed_by: OperatorId,
    placed_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifted_at: Option<Timestamp>,
    version: u64,
}

/// The put of a first hold, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed hold.
pub fn save_hold(hold: &PayoutHold) -> Result<Op, Error> {
    let PayoutHold {
        partner,
        until,
        reason,
        placed_by,
        placed_at,
        lifted_at,
        version,
    } = hold.clone();
    let Key { pk, sk } = hold_key(partner);
    let item = HoldItem {
        pk,
        sk,
        partner,
        until,
        reason,
        placed_by,
        placed_at,
        lifted_at,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &["until", "lifted_at"])?;
    Ok(Op::Update(change.only_if(follows(version))))
}

/// The hold on a partner's payouts, standing or not.
///
/// # Errors
/// The table's.
pub async fn find_hold(table: &Table, id: PartnerId) -> Result<Option<PayoutHold>, Error> {
    let hold = |item: HoldItem| {
        let HoldItem {
            pk: _,
            sk: _,
            partner,
            until,
            reason,
            placed_by,
            placed_at,
            lifted_at,
            version,
        } = item;
        PayoutHold {
            partner,
            until,
            reason,
            placed_by,
            placed_at,
            lifted_at,
            version,
        }
    };
    Ok(table.get::<HoldItem>(&hold_key(id)).await?.map(hold))
}

#[derive(Serialize, Deserialize)]
struct TaxItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    country: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vat_treatment: Option<String>,
    sealed: String,
    updated_at: Timestamp,
    version: u64,
}

/// The put of a first tax profile, or the change of one from the version before.
///
/// # Errors
/// Never for a well-formed profile.
pub fn save_tax(saved: &TaxProfile) -> Result<Op, Error> {
    let TaxProfile {
        partner,
        country,
        vat_treatment,
        sealed,
        updated_at,
        version,
    } = saved.clone();
    let Key { pk, sk } = tax_key(partner);
    let item = TaxItem {
        pk,
        sk,
        partner,
        country,
        vat_treatment: vat_treatment.map(|treatment| treatment.name().to_owned()),
        sealed,
        updated_at,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let change = Update::rewrite(&item, &["vat_treatment"])?;
    Ok(Op::Update(change.only_if(follows(version))))
}

fn tax(item: TaxItem) -> Result<TaxProfile, Error> {
    let TaxItem {
        pk: _,
        sk: _,
        partner,
        country,
        vat_treatment,
        sealed,
        updated_at,
        version,
    } = item;
    Ok(TaxProfile {
        partner,
        country,
        vat_treatment: vat_treatment
            .map(|name| named(VAT_TREATMENTS, &name))
            .transpose()?,
        sealed,
        updated_at,
        version,
    })
}

/// A partner's tax profile.
///
/// # Errors
/// The table's.
pub async fn find_tax(table: &Table, id: PartnerId) -> Result<Option<TaxProfile>, Error> {
    table
        .get::<TaxItem>(&tax_key(id))
        .await?
        .map(tax)
        .transpose()
}

/// The countries in which partners pay their taxes, those of their tax profiles or else their own, of those
/// that exist.
///
/// # Errors
/// The table's.
pub async fn tax_countries(
    table: &Table,
    ids: &[PartnerId],
) -> Result<HashMap<PartnerId, String>, Error> {
    let keys = ids.iter().flat_map(|id| [partner_key(*id), tax_key(*id)]);
    let mut items = table.get_many(keys).await?;
    let mut countries = HashMap::with_capacity(ids.len());
    for id in ids {
        let Some(item) = items.remove(&partner_key(*id)) else {
            continue;
        };
        let own = partner(from_item(item)?)?.country;
        let profile = items.remove(&tax_key(*id));
        let profile = profile.map(|item| tax(from_item(item)?)).transpose()?;
        countries.insert(*id, profile.map_or(own, |profile| profile.country));
    }
    Ok(countries)
}

/// The text form of tax details, to be sealed.
#[derive(Serialize, Deserialize)]
struct TaxText {
    legal_name: String,
    address: AddressText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vat_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax_id: Option<String>,
}

/// Tax details as text, which is sealed where they are a partner's.
///
/// # Errors
/// Never for well-formed details.
pub fn write_tax(details: &TaxDetails) -> Result<String, Error> {
    let TaxDetails {
        legal_name,
        address,
        vat_id,
        tax_id,
    } = details.clone();
    let text = TaxText {
        legal_name,
        address: address.into(),
        vat_id,
        tax_id,
    };
    serde_json::to_string(&text).map_err(|error| Error::Malformed(error.to_string()))
}

/// Reads what [`write_tax`] wrote.
///
/// # Errors
/// `Malformed`, without a word of the text.
pub fn read_tax(text: &[u8]) -> Result<TaxDetails, Error> {
    let TaxText {
        legal_name,
        address,
        vat_id,
        tax_id,
    } = serde_json::from_slice(text)
        .map_err(|_| Error::Malformed("sealed tax details".to_owned()))?;
    Ok(TaxDetails {
        legal_name,
        address: address.into(),
        vat_id,
        tax_id,
    })
}

/// The text form of an account, to be sealed.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum AccountText {
    Paypal {
        wallet: String,
    },
    Iban {
        name: String,
        address: AddressText,
        iban: String,
        bic: String,
    },
    Us {
        name: String,
        address: AddressText,
        routing_number: String,
        account_number: String,
        account_type: String,
        // Absent from what was sealed before companies were told apart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payee_type: Option<String>,
    },
}

/// An address inside a text that is sealed.
#[derive(Serialize, Deserialize)]
pub struct AddressText {
    line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line2: Option<String>,
    city: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    postcode: String,
    country: String,
}

impl From<Address> for AddressText {
    fn from(address: Address) -> Self {
        let Address {
            line1,
            line2,
            city,
            region,
            postcode,
            country,
        } = address;
        Self {
            line1,
            line2,
            city,
            region,
            postcode,
            country,
        }
    }
}

impl From<AddressText> for Address {
    fn from(text: AddressText) -> Self {
        let AddressText {
            line1,
            line2,
            city,
            region,
            postcode,
            country,
        } = text;
        Self {
            line1,
            line2,
            city,
            region,
            postcode,
            country,
        }
    }
}

/// An account as text, to be sealed and never stored otherwise.
///
/// # Errors
/// Never for a well-formed account.
pub fn write_account(account: &Account) -> Result<String, Error> {
    let text = match account.clone() {
        Account::Paypal { wallet } => AccountText::Paypal { wallet },
        Account::Bank(BankAccount {
            name,
            payee_type,
            address,
            route,
        }) => {
            let address = AddressText::from(address);
            match route {
                BankRoute::Iban { iban, bic } => AccountText::Iban {
                    name,
                    address,
                    iban,
                    bic,
                },
                BankRoute::Us {
                    routing_number,
                    account_number,
                    account_type,
                } => AccountText::Us {
                    name,
                    address,
                    routing_number,
                    account_number,
                    account_type: account_type.name().to_owned(),
                    payee_type: Some(payee_type.name().to_owned()),
                },
            }
        }
    };
    serde_json::to_string(&text).map_err(|error| Error::Malformed(error.to_string()))
}

/// Reads what [`write_account`] wrote.
///
/// # Errors
/// `Malformed`, without a word of the text.
pub fn read_account(text: &[u8]) -> Result<Account, Error> {
    let text: AccountText = serde_json::from_slice(text)
        .map_err(|_| Error::Malformed("a sealed account".to_owned()))?;
    let bank = |name, payee_type, address: AddressText, route| {
        Account::Bank(BankAccount {
            name,
            payee_type,
            address: address.into(),
            route,
        })
    };
    Ok(match text {
        AccountText::Paypal { wallet } => Account::Paypal { wallet },
        AccountText::Iban {
            name,
            address,
            iban,
            bic,
        } => bank(
            name,
            PayeeType::Person,
            address,
            BankRoute::Iban { iban, bic },
        ),
        AccountText::Us {
            name,
            address,
            routing_number,
            account_number,
            account_type,
            payee_type,
        } => bank(
            name,
            payee_type
                .map(|name| named(PAYEE_TYPES, &name))
                .transpose()?
                .unwrap_or_default(),
            address,
            BankRoute::Us {
                routing_number,
                account_number,
                account_type: named(ACCOUNT_TYPES, &account_type)?,
            },
        ),
    })
}
