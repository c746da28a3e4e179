//! Keys and items of deals.
//!
//! A deal is three items: itself, which decides; words about the customer and its people, which can be erased;
//! and in which state it is listed.

use serde::{Deserialize, Serialize};

use super::model::{
    Actor, Approval, Award, Beside, Deal, Dispute, Entry, FINDING_KINDS, Finding, Grant,
    HAPPENINGS, Held, REJECT_REASONS, Rank, STATES, Stage, State, Subject, name_of, named,
};
use super::policy::{ORDERS, Policy};
use super::wire;
use super::{Contact, Details};
use crate::clock::{Date, Timestamp, days_after, stamp};
use crate::customers::model::{Company, Identifier, IdentifierKind};
use crate::customers::wire::{company_json, stored};
use crate::ids::{ConversionId, CustomerId, DealId, OperatorId, PartnerId, ProgramId};
use crate::money::{Currency, Money, Rate};
use crate::table::{
    Condition, Entry as IndexEntry, Error, Index, Item, Key, Op, Put, Range, Table, Update,
    from_item, int, text,
};

/// Partitions of the index over what is due, so that a busy hour does not meet in one.
pub const DUE_SHARDS: u8 = 4;
/// Days after which a day's count of registrations may go.
const COUNT_DAYS: u32 = 3;

fn deal_key(id: DealId) -> Key {
    Key::new(format!("DEAL#{id}"), "DEAL")
}

fn details_key(id: DealId) -> Key {
    Key::new(format!("DEAL#{id}"), "CUSTOMER")
}

fn state_key(id: DealId) -> Key {
    Key::new(format!("DEAL#{id}"), "STATE")
}

fn policy_key(program: ProgramId) -> Key {
    Key::new(format!("DEALPOLICY#{program}"), "POLICY")
}

fn count_key(program: ProgramId, partner: PartnerId, day: Date) -> Key {
    Key::new(format!("DEALDAY#{partner}"), format!("{program}#{day}"))
}

/// The deal that an item belongs to.
fn deal_of(key: &Key) -> Option<DealId> {
    key.pk.strip_prefix("DEAL#")?.parse().ok()
}

fn due_partition(shard: u8) -> String {
    format!("DEALDUE#{shard}")
}

fn shard(id: DealId) -> u8 {
    id.bytes()[15] % DUE_SHARDS
}

/// Which deals are listed, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A program's.
    Program(ProgramId),
    /// Those of a program that are in a state.
    State(ProgramId, State),
    /// Those of a program whose rejection is disputed.
    Disputed(ProgramId),
    /// A partner's.
    Partner(PartnerId),
}

/// Where those are listed whose dispute is open.
const DISPUTED: &str = "disputed";

fn partition(listed: Listed) -> String {
    match listed {
        Listed::Program(program) => format!("DEALS#{program}"),
        Listed::State(program, state) => format!("DEALS#{program}#{}", state.name()),
        Listed::Disputed(program) => format!("DEALS#{program}#{DISPUTED}"),
        Listed::Partner(partner) => format!("DEALS#{partner}"),
    }
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("a deal's {what}"))
}

// ---- Policies

#[derive(Serialize, Deserialize)]
struct PolicyItem {
    pk: String,
    sk: String,
    program: ProgramId,
    currency: String,
    /// As JSON, in the form in which it is said.
    policy: String,
    updated_at: Timestamp,
    version: u64,
}

/// The write that sets a policy in place of the version before.
///
/// # Errors
/// Never for a well-formed policy.
pub fn save_policy(policy: &Policy, currency: Currency, at: Timestamp) -> Result<Op, Error> {
    let Key { pk, sk } = policy_key(policy.program);
    let item = PolicyItem {
        pk,
        sk,
        program: policy.program,
        currency: currency.code().to_owned(),
        policy: wire::policy_json(policy, currency).to_string(),
        updated_at: at,
        version: policy.version,
    };
    if policy.version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let before = i64::try_from(policy.version - 1).unwrap_or(i64::MAX);
    let update = Update::rewrite(&item, &[])?;
    Ok(Op::Update(
        update.only_if(Condition::equals("version", int(before))),
    ))
}

/// A program's policy.
///
/// # Errors
/// The table's.
pub async fn find_policy(table: &Table, program: ProgramId) -> Result<Option<Policy>, Error> {
    let Some(item) = table.get::<PolicyItem>(&policy_key(program)).await? else {
        return Ok(None);
    };
    let currency = item.currency.parse().map_err(|_| malformed("currency"))?;
    wire::stored_policy(&item.policy, program, currency, item.version)
        .map(Some)
        .map_err(Error::Malformed)
}

// ---- Deals

#[derive(Serialize, Deserialize)]
struct DealItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    /// While something is due for it some day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    id: DealId,
    program: ProgramId,
    partner: PartnerId,
    product_lines: Vec<String>,
    currency: String,
    amount_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected_close: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    state: String,
    created_at: Timestamp,
    created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identifiers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<HeldPart>,
    /// The deal that it comes after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<DealId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    findings: Vec<FindingPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer_by: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<GrantPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beside: Option<BesidePart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejection: Option<RejectionPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    won: Option<WonPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dispute: Option<DisputePart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disputed_by: Option<DealId>,
    timeline: Vec<EntryPart>,
    version: u64,
}

/// Attributes that a deal may lose.
const CLEARABLE: [&str; 16] = [
    "due_pk",
    "due_sk",
    "expected_close",
    "country",
    "region",
    "held",
    "after",
    "findings",
    "approval",
    "answer_by",
    "grant",
    "beside",
    "rejection",
    "won",
    "dispute",
    "disputed_by",
];

#[derive(Serialize, Deserialize)]
struct HeldPart {
    identifiers: Vec<String>,
    product_lines: Vec<String>,
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct FindingPart {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<u16>,
    evidence: String,
}

#[derive(Serialize, Deserialize)]
struct ApprovalPart {
    order: String,
    stages: Vec<StagePart>,
}

#[derive(Serialize, Deserialize)]
struct StagePart {
    /// As JSON, in the form in which a policy says it.
    step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    escalated_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_by: Option<OperatorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct GrantPart {
    at: Timestamp,
    until: Timestamp,
    extended: bool,
    benefit: String,
    by: String,
    reminded: u32,
}

#[derive(Serialize, Deserialize)]
struct BesidePart {
    deal: DealId,
    partner: PartnerId,
    share: String,
}

#[derive(Serialize, Deserialize)]
struct RejectionPart {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WonPart {
    minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversion: Option<ConversionId>,
}

#[derive(Serialize, Deserialize)]
struct DisputePart {
    holder: DealId,
    raised_at: Timestamp,
    decide_by: Timestamp,
    statement: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<AwardPart>,
}

#[derive(Serialize, Deserialize)]
struct AwardPart {
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    at: Timestamp,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct EntryPart {
    at: Timestamp,
    what: String,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

fn actor_part(actor: Actor) -> String {
    match actor {
        Actor::Partner => "partner".to_owned(),
        Actor::Rule => "rule".to_owned(),
        Actor::Operator(id) => id.to_string(),
    }
}

fn actor(part: &str) -> Result<Actor, Error> {
    match part {
        "partner" => Ok(Actor::Partner),
        "rule" => Ok(Actor::Rule),
        id => id
            .parse()
            .map(Actor::Operator)
            .map_err(|_| malformed("actor")),
    }
}

fn rate(part: &str) -> Result<Rate, Error> {
    part.parse().map_err(|_| malformed("share"))
}

/// Where a deal stands in lists.
#[must_use]
pub fn position(deal: &Deal) -> String {
    format!("{}#{}", stamp(deal.created_at), deal.id)
}

fn deal_item(deal: &Deal) -> DealItem {
    let list_sk = position(deal);
    let due = deal.next_due();
    let Deal {
        id,
        program,
        partner,
        subject,
        state,
        created_at,
        created_by,
        submitted_at,
        customer,
        identifiers,
        held,
        rank,
        findings,
        approval,
        answer_by,
        grant,
        beside,
        rejection,
        won,
        dispute,
        disputed_by,
        timeline,
        version,
    } = deal.clone();
    let Subject {
        product_lines,
        amount,
        expected_close,
        country,
        region,
    } = subject;
    let Key { pk, sk } = deal_key(id);
    DealItem {
        pk,
        sk,
        list_pk: partition(Listed::Program(program)),
        list_sk,
        due_pk: due.map(|_| due_partition(shard(id))),
        due_sk: due.map(|due| format!("{}#{id}", stamp(due))),
        id,
        program,
        partner,
        product_lines,
        currency: amount.currency().code().to_owned(),
        amount_minor: amount.minor(),
        expected_close: expected_close.map(|date| date.to_string()),
        country,
        region,
        state: state.name().to_owned(),
        created_at,
        created_by: actor_part(created_by),
        submitted_at,
        customer,
        identifiers,
        held: held.map(
            |Held {
                 identifiers,
                 product_lines,
                 until,
             }| HeldPart {
                identifiers,
                product_lines,
                until,
            },
        ),
        after: match rank {
            Rank::First => None,
            Rank::Second(first) => Some(first),
        },
        findings: findings.into_iter().map(finding_part).collect(),
        approval: approval.map(approval_part),
        answer_by,
        grant: grant.map(
            |Grant {
                 at,
                 until,
                 extended,
                 benefit,
                 by,
                 reminded,
             }| GrantPart {
                at,
                until,
                extended,
                benefit: wire::benefit_json(&benefit).to_string(),
                by: actor_part(by),
                reminded,
            },
        ),
        beside: beside.map(
            |Beside {
                 deal,
                 partner,
                 share,
             }| BesidePart {
                deal,
                partner,
                share: share.to_string(),
            },
        ),
        rejection: rejection.map(|(reason, note)| RejectionPart {
            reason: name_of(REJECT_REASONS, reason).to_owned(),
            note,
        }),
        won: won.map(|(amount, conversion)| WonPart {
            minor: amount.minor(),
            conversion,
        }),
        dispute: dispute.map(dispute_part),
        disputed_by,
        timeline: timeline.into_iter().map(entry_part).collect(),
        version,
    }
}

fn finding_part(finding: Finding) -> FindingPart {
    let Finding {
        kind,
        about,
        partner,
        score,
        evidence,
    } = finding;
    FindingPart {
        kind: name_of(FINDING_KINDS, kind).to_owned(),
        about,
        partner,
        score,
        evidence,
    }
}

fn approval_part(approval: Approval) -> ApprovalPart {
    let Approval { order, stages } = approval;
    let stages = stages.into_iter().map(|stage| {
        let Stage {
            step,
            due,
            escalated_at,
            consent,
        } = stage;
        let (consent_by, consent_at) = consent.unzip();
        StagePart {
            step: wire::step_json(&step).to_string(),
            due,
            escalated_at,
            consent_by,
            consent_at,
        }
    });
    ApprovalPart {
        order: name_of(ORDERS, order).to_owned(),
        stages: stages.collect(),
    }
}

fn dispute_part(dispute: Dispute) -> DisputePart {
    let Dispute {
        holder,
        raised_at,
        decide_by,
        statement,
        ended,
    } = dispute;
    DisputePart {
        holder,
        raised_at,
        decide_by,
        statement,
        ended: ended.map(|(award, at, by, note)| AwardPart {
            to: award.name().to_owned(),
            share: match award {
                Award::Split { challenger } => Some(challenger.to_string()),
                Award::Challenger | Award::Holder | Award::Neither => None,
            },
            at,
            by: actor_part(by),
            note,
        }),
    }
}

fn entry_part(entry: Entry) -> EntryPart {
    let Entry { at, what, by, note } = entry;
    EntryPart {
        at,
        what: name_of(HAPPENINGS, what).to_owned(),
        by: actor_part(by),
        note,
    }
}

fn deal(item: DealItem) -> Result<Deal, Error> {
    let DealItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        id,
        program,
        partner,
        product_lines,
        currency,
        amount_minor,
        expected_close,
        country,
        region,
        state,
        created_at,
        created_by,
        submitted_at,
        customer,
        identifiers,
        held,
        after,
        findings,
        approval,
        answer_by,
        grant,
        beside,
        rejection,
        won,
        dispute,
        disputed_by,
        timeline,
        version,
    } = item;
    let currency: Currency = currency.parse().map_err(|_| malformed("currency"))?;
    let expected_close = expected_close.map(|date| date.parse().map_err(|_| malformed("date")));
    Ok(Deal {
        id,
        program,
        partner,
        subject: Subject {
            product_lines,
            amount: Money::new(amount_minor, currency),
            expected_close: expected_close.transpose()?,
            country,
            region,
        },
        state: named(STATES, &state).ok_or_else(|| malformed("state"))?,
        created_at,
        created_by: actor(&created_by)?,
        submitted_at,
        customer,
        identifiers,
        held: held.map(
            |HeldPart {
                 identifiers,
                 product_lines,
                 until,
             }| Held {
                identifiers,
                product_lines,
                until,
            },
        ),
        rank: after.map_or(Rank::First, Rank::Second),
        findings: findings
            .into_iter()
            .map(finding)
            .collect::<Result<_, _>>()?,
        approval: approval.map(read_approval).transpose()?,
        answer_by,
        grant: grant.map(read_grant).transpose()?,
        beside: beside.map(read_beside).transpose()?,
        rejection: rejection
            .map(|RejectionPart { reason, note }| {
                let reason = named(REJECT_REASONS, &reason);
                Ok::<_, Error>((reason.ok_or_else(|| malformed("reason"))?, note))
            })
            .transpose()?,
        won: won.map(|WonPart { minor, conversion }| (Money::new(minor, currency), conversion)),
        dispute: dispute.map(read_dispute).transpose()?,
        disputed_by,
        timeline: timeline.into_iter().map(entry).collect::<Result<_, _>>()?,
        version,
    })
}

fn finding(part: FindingPart) -> Result<Finding, Error> {
    let FindingPart {
        kind,
        about,
        partner,
        score,
        evidence,
    } = part;
    Ok(Finding {
        kind: named(FINDING_KINDS, &kind).ok_or_else(|| malformed("finding"))?,
        about,
        partner,
        score,
        evidence,
    })
}

fn read_approval(part: ApprovalPart) -> Result<Approval, Error> {
    let ApprovalPart { order, stages } = part;
    let stages = stages.into_iter().map(|stage| {
        let StagePart {
            step,
            due,
            escalated_at,
            consent_by,
            consent_at,
        } = stage;
        Ok::<_, Error>(Stage {
            step: wire::stored_step(&step).map_err(Error::Malformed)?,
            due,
            escalated_at,
            consent: consent_by.zip(consent_at),
        })
    });
    Ok(Approval {
        order: named(ORDERS, &order).ok_or_else(|| malformed("order"))?,
        stages: stages.collect::<Result<_, _>>()?,
    })
}

fn read_grant(part: GrantPart) -> Result<Grant, Error> {
    let GrantPart {
        at,
        until,
        extended,
        benefit,
        by,
        reminded,
    } = part;
    Ok(Grant {
        at,
        until,
        extended,
        benefit: wire::stored_benefit(&benefit).map_err(Error::Malformed)?,
        by: actor(&by)?,
        reminded,
    })
}

fn read_beside(part: BesidePart) -> Result<Beside, Error> {
    let BesidePart {
        deal,
        partner,
        share,
    } = part;
    Ok(Beside {
        deal,
        partner,
        share: rate(&share)?,
    })
}

fn read_dispute(part: DisputePart) -> Result<Dispute, Error> {
    let DisputePart {
        holder,
        raised_at,
        decide_by,
        statement,
        ended,
    } = part;
    let ended = ended.map(|part| {
        let AwardPart {
            to,
            share,
            at,
            by,
            note,
        } = part;
        let award = match (to.as_str(), share) {
            ("challenger", _) => Award::Challenger,
            ("holder", _) => Award::Holder,
            ("neither", _) => Award::Neither,
            ("split", Some(share)) => Award::Split {
                challenger: rate(&share)?,
            },
            _ => return Err(malformed("award")),
        };
        Ok((award, at, actor(&by)?, note))
    });
    Ok(Dispute {
        holder,
        raised_at,
        decide_by,
        statement,
        ended: ended.transpose()?,
    })
}

fn entry(part: EntryPart) -> Result<Entry, Error> {
    let EntryPart { at, what, by, note } = part;
    Ok(Entry {
        at,
        what: named(HAPPENINGS, &what).ok_or_else(|| malformed("happening"))?,
        by: actor(&by)?,
        note,
    })
}

// ---- Words

#[derive(Serialize, Deserialize)]
struct DetailsItem {
    pk: String,
    sk: String,
    /// The partner's list goes over these, the program's over the deals themselves.
    list_pk: String,
    list_sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// As JSON, in the form in which it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contact_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contact_email: Option<String>,
}

fn details_item(deal: &Deal, details: &Details) -> DetailsItem {
    let Details {
        name,
        company,
        description,
        contact,
    } = details.clone();
    let (contact_name, contact_email) =
        contact.map(|Contact { name, email }| (name, email)).unzip();
    let mailbox = company
        .identifiers
        .iter()
        .find(|identifier| identifier.kind() == IdentifierKind::Email)
        .map(|identifier| identifier.value().to_owned());
    let Key { pk, sk } = details_key(deal.id);
    DetailsItem {
        pk,
        sk,
        list_pk: partition(Listed::Partner(deal.partner)),
        list_sk: position(deal),
        name: Some(name),
        company: Some(company_json(&company).to_string()),
        mailbox,
        description,
        contact_name,
        contact_email,
    }
}

fn details(item: Item) -> Result<Option<Details>, Error> {
    let DetailsItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        name,
        company,
        mailbox,
        description,
        contact_name,
        contact_email,
    } = from_item(item)?;
    let (Some(name), Some(company)) = (name, company) else {
        return Ok(None);
    };
    let mut company: Company = stored(&company).map_err(Error::Malformed)?;
    if let Some(mailbox) = mailbox {
        company
            .identifiers
            .push(Identifier::known(IdentifierKind::Email, mailbox));
    }
    Ok(Some(Details {
        name,
        company,
        description,
        contact: contact_name
            .zip(contact_email)
            .map(|(name, email)| Contact { name, email }),
    }))
}

/// In which state a deal is listed, from now on.
fn state_op(deal: &Deal) -> Op {
    let disputed = deal.dispute.as_ref();
    let listed = if disputed.is_some_and(|dispute| dispute.ended.is_none()) {
        Listed::Disputed(deal.program)
    } else {
        Listed::State(deal.program, deal.state)
    };
    let update = Update::at(state_key(deal.id))
        .set("list_pk", text(partition(listed)))
        .set("list_sk", text(position(deal)));
    Op::Update(update)
}

/// The writes of a new deal: itself first.
///
/// # Errors
/// Never for a well-formed deal.
pub fn put(new: &Deal, details: &Details) -> Result<[Op; 3], Error> {
    Ok([
        Op::Put(Put::new(&deal_item(new))?),
        Op::Put(Put::new(&details_item(new, details))?),
        state_op(new),
    ])
}

/// The writes of a deal that follows on the version before it: itself first.
///
/// # Errors
/// Never for a well-formed deal.
pub fn change(before: &Deal, changed: &Deal) -> Result<Vec<Op>, Error> {
    let version = i64::try_from(before.version).unwrap_or(i64::MAX);
    let update = Update::rewrite(&deal_item(changed), &CLEARABLE)?;
    let itself = update.only_if(Condition::equals("version", int(version)));
    let mut ops = vec![Op::Update(itself)];
    let open = |deal: &Deal| deal.dispute.as_ref().is_some_and(|d| d.ended.is_none());
    if before.state != changed.state || open(before) != open(changed) {
        ops.push(state_op(changed));
    }
    Ok(ops)
}

/// The write of other words about a deal's customer.
///
/// # Errors
/// Never for well-formed ones.
pub fn change_details(deal: &Deal, details: &Details) -> Result<Op, Error> {
    let clearable = ["mailbox", "description", "contact_name", "contact_email"];
    let update = Update::rewrite(&details_item(deal, details), &clearable)?;
    Ok(Op::Update(update.only_if(Condition::exists())))
}

/// The write by which a deal is listed with whom it is of.
#[must_use]
pub fn list_with(deal: &Deal) -> Op {
    let update = Update::at(details_key(deal.id));
    Op::Update(
        update
            .set("list_pk", text(partition(Listed::Partner(deal.partner))))
            .only_if(Condition::exists()),
    )
}

/// The write that counts a registration of a partner's day; refused once there are `most`.
#[must_use]
pub fn count(deal: &Deal, most: u32, day: Date, now: Timestamp) -> Op {
    let update = Update::at(count_key(deal.program, deal.partner, day))
        .add("n", 1)
        .set("expires_at", int(days_after(now, COUNT_DAYS).as_second()));
    let below = Condition::default().and_absent_or_below("n", int(i64::from(most)));
    Op::Update(update.only_if(below))
}

/// Deals with the words about their customers, unless those were erased, in the order of `ids`: one round trip.
///
/// # Errors
/// The table's.
pub async fn find_many(
    table: &Table,
    ids: &[DealId],
) -> Result<Vec<(Deal, Option<Details>)>, Error> {
    let keys = ids.iter().flat_map(|id| [deal_key(*id), details_key(*id)]);
    let mut items = table.get_many(keys).await?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(item) = items.remove(&deal_key(*id)) else {
            continue;
        };
        let words = items.remove(&details_key(*id)).map(details).transpose()?;
        found.push((deal(from_item(item)?)?, words.flatten()));
    }
    Ok(found)
}

/// A page of ids below a position, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn page(
    table: &Table,
    listed: Listed,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<DealId>, Option<String>), Error> {
    let mut range = Range::partition(Index::List, partition(listed), limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, more) = table.entries(&range).await?;
    let position = entries.last().filter(|_| more);
    let position = position.map(|entry| entry.sort.clone());
    let id = |entry: &IndexEntry| deal_of(&entry.key);
    Ok((entries.iter().filter_map(id).collect(), position))
}

/// Deals of a shard for which something is due by then, the most overdue first.
///
/// # Errors
/// The table's.
pub async fn due(
    table: &Table,
    shard: u8,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DealId>, Error> {
    let range = Range::partition(Index::Due, due_partition(shard), limit);
    // `$` is the character after `#`: the last millisecond is included with all its deals.
    let (entries, _) = table
        .entries(&range.below(format!("{}$", stamp(now))))
        .await?;
    Ok(entries.iter().filter_map(|e| deal_of(&e.key)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::model::{FindingKind, Happening, RejectReason};
    use super::super::policy::{Benefit, Order, Step};
    use super::*;

    fn full() -> Deal {
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let operator = OperatorId::from_bytes([5; 16]);
        let money = |minor| Money::new(minor, "GBP".parse().unwrap());
        let step = |name: &str| Step {
            name: name.to_owned(),
            approvers: vec![operator],
            sla_hours: 8,
            escalate_to: Some(operator),
        };
        Deal {
            id: DealId::from_bytes([4; 16]),
            program: ProgramId::from_bytes([1; 16]),
            partner: PartnerId::from_bytes([2; 16]),
            subject: Subject {
                product_lines: vec!["crm".to_owned()],
                amount: money(1_000_000),
                expected_close: Some("2026-06-30".parse().unwrap()),
                country: Some("DE".to_owned()),
                region: Some("BY".to_owned()),
            },
            state: State::Approved,
            created_at: at,
            created_by: Actor::Operator(operator),
            submitted_at: Some(at),
            customer: Some(CustomerId::from_bytes([3; 16])),
            identifiers: vec!["hash".to_owned()],
            held: Some(Held {
                identifiers: vec!["hash".to_owned()],
                product_lines: vec!["crm".to_owned()],
                until: at,
            }),
            rank: Rank::Second(DealId::from_bytes([9; 16])),
            findings: vec![Finding {
                kind: FindingKind::Similar,
                about: Some("cust".to_owned()),
                partner: Some(PartnerId::from_bytes([7; 16])),
                score: Some(912),
                evidence: "alike".to_owned(),
            }],
            approval: Some(Approval {
                order: Order::Parallel,
                stages: vec![
                    Stage {
                        step: step("channel"),
                        due: None,
                        escalated_at: Some(at),
                        consent: Some((operator, at)),
                    },
                    Stage {
                        step: step("finance"),
                        due: Some(at),
                        escalated_at: None,
                        consent: None,
                    },
                ],
            }),
            answer_by: Some(at),
            grant: Some(Grant {
                at,
                until: days_after(at, 90),
                extended: true,
                benefit: Benefit::Discount {
                    rate: "0.15".parse().unwrap(),
                },
                by: Actor::Rule,
                reminded: 1,
            }),
            beside: Some(Beside {
                deal: DealId::from_bytes([9; 16]),
                partner: PartnerId::from_bytes([7; 16]),
                share: "0.30".parse().unwrap(),
            }),
            rejection: Some((RejectReason::Duplicate, Some("known".to_owned()))),
            won: Some((money(5), Some(ConversionId::from_bytes([6; 16])))),
            dispute: Some(Dispute {
                holder: DealId::from_bytes([9; 16]),
                raised_at: at,
                decide_by: at,
                statement: "first".to_owned(),
                ended: Some((
                    Award::Split {
                        challenger: "0.4".parse().unwrap(),
                    },
                    at,
                    Actor::Rule,
                    Some("half".to_owned()),
                )),
            }),
            disputed_by: Some(DealId::from_bytes([8; 16])),
            timeline: vec![Entry {
                at,
                what: Happening::Created,
                by: Actor::Partner,
                note: Some("note".to_owned()),
            }],
            version: 7,
        }
    }

    fn read_back(known: &Deal) -> Deal {
        let put = Put::new(&deal_item(known)).unwrap();
        deal(from_item(put.item().clone()).unwrap()).unwrap()
    }

    #[test]
    fn a_deal_reads_back_bare_and_with_all_it_can_have() {
        let full = full();
        assert_eq!(read_back(&full), full);
        let bare = Deal {
            state: State::Draft,
            submitted_at: None,
            customer: None,
            identifiers: vec![],
            held: None,
            rank: Rank::First,
            findings: vec![],
            approval: None,
            answer_by: None,
            grant: None,
            beside: None,
            rejection: None,
            won: None,
            dispute: None,
            disputed_by: None,
            ..full.clone()
        };
        assert_eq!(read_back(&bare), bare);
        for award in [Award::Challenger, Award::Holder, Award::Neither] {
            let mut deal = full.clone();
            if let Some(dispute) = &mut deal.dispute {
                dispute.ended = Some((award, deal.created_at, Actor::Partner, None));
            }
            assert_eq!(read_back(&deal), deal);
        }
        let item = deal_item(&bare);
        assert!(item.due_pk.is_none() && deal_item(&full).due_pk.is_some());
    }

    #[test]
    fn what_is_said_of_a_customer_reads_back_with_its_mailbox() {
        let company = Company {
            name: Some("Acme".to_owned()),
            place: None,
            identifiers: vec![
                Identifier::domain("acme.com").unwrap(),
                Identifier::email("ada@acme.com").unwrap(),
            ],
        };
        let said = Details {
            name: "Acme rollout".to_owned(),
            company,
            description: Some("Two\nlines.".to_owned()),
            contact: Some(Contact {
                name: "Ada".to_owned(),
                email: "ada@acme.com".to_owned(),
            }),
        };
        let put = Put::new(&details_item(&full(), &said)).unwrap();
        assert_eq!(details(put.item().clone()).unwrap(), Some(said));
    }
}
