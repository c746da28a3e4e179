//! What partners' requests and answers look like.

use serde::Serialize;
use tributary::edge::ApiKey;
use tributary::merges::model::Merge;
use tributary::operators::model::KeyRecord;
use tributary::partners::Known;
use tributary::partners::members::Person;
use tributary::partners::model::{
    Address, Contact, Enrolment, Partner, PayoutHold, PayoutMethod, TaxDetails, TaxProfile, Upline,
};
use tributary::plans::model::Assignment;
use utoipa::ToSchema;

/// A new partner.
#[derive(ToSchema)]
#[schema(as = NewPartner, example = json!({"name": "Ada's Reviews", "email": "ada@example.com", "country": "GB", "kind": "affiliate"}))]
pub struct NewPartnerBody {
    /// Name, at most 120 characters.
    pub name: String,
    /// Email address.
    pub email: String,
    /// ISO 3166 two-letter code.
    pub country: String,
    /// `affiliate`, `referrer`, `reseller` or `service`.
    pub kind: String,
}

/// Changes of a partner; what is absent stays.
#[derive(ToSchema)]
#[schema(as = PartnerChange, example = json!({"email": "accounts@example.com"}))]
pub struct PartnerPatchBody {
    /// Name, at most 120 characters.
    pub name: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: Option<String>,
    /// `affiliate`, `referrer`, `reseller` or `service`.
    pub kind: Option<String>,
}

/// A partner.
#[derive(Serialize, ToSchema)]
#[schema(as = Partner, example = json!({"id": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "name": "Ada's Reviews", "email": "ada@example.com", "country": "GB", "kind": "affiliate", "status": "active", "merged_into": null, "absorbed": [], "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct PartnerView {
    /// Id.
    pub id: String,
    /// Name; `null` once erased.
    pub name: Option<String>,
    /// Email address; `null` once erased.
    pub email: Option<String>,
    /// ISO 3166 two-letter code.
    pub country: String,
    /// `affiliate`, `referrer`, `reseller` or `service`.
    pub kind: &'static str,
    /// `active`, `suspended` (earns nothing new and is not paid), `banned` (the same, and its keys are ended) or `archived` (earns nothing new and is paid what it has earned).
    pub status: &'static str,
    /// The partner that it was merged into, for good.
    pub merged_into: Option<String>,
    /// The partners that were merged into it.
    pub absorbed: Vec<String>,
    /// Since when.
    pub created_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// A page of partners.
#[derive(Serialize, ToSchema)]
#[schema(as = PartnerList)]
pub struct PartnerListView {
    /// Newest first.
    pub items: Vec<PartnerView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A place in a program.
#[derive(ToSchema)]
#[schema(as = NewEnrolment, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "plan": "standard"}))]
pub struct NewEnrolmentBody {
    /// The program's id.
    pub program: String,
    /// The code of one of its plans; `null` for the program's default. Absent: the default at first, and later
    /// what it was.
    pub plan: Option<String>,
    /// The partner to stand below, who is in the program; `null` for nobody. Absent, that stays as it is.
    pub upline: Option<String>,
    /// From when on that holds. Absent in a first enrolment: for all events; in a later one: from now on. Not in
    /// the past in a later one.
    pub effective_from: Option<String>,
}

/// A partner's place in a program.
#[derive(Serialize, ToSchema)]
#[schema(as = Enrolment, example = json!({"partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "plans": [{"plan": "standard", "effective_from": null}], "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct EnrolmentView {
    /// The partner's id.
    pub partner: String,
    /// The program's id.
    pub program: String,
    /// The program's name; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_name: Option<String>,
    /// The program's currency, ISO 4217; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_currency: Option<&'static str>,
    /// Which plan pays from when on, oldest first.
    pub plans: Vec<AssignmentView>,
    /// Below whom it stands from when on, oldest first; nobody before the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uplines: Vec<UplineView>,
    /// Since when it stands.
    pub created_at: String,
    /// Counts changes.
    pub version: u64,
}

/// A plan from a moment on.
#[derive(Serialize, ToSchema)]
#[schema(as = Assignment)]
pub struct AssignmentView {
    /// The plan's code; `null` for the program's default.
    pub plan: Option<String>,
    /// From when on; `null` from the beginning of time.
    pub effective_from: Option<String>,
}

/// The partner above from a moment on.
#[derive(Serialize, ToSchema)]
#[schema(as = Upline)]
pub struct UplineView {
    /// The partner's id; `null` when nobody is above any more.
    pub partner: Option<String>,
    /// From when on; `null` from the beginning of time.
    pub effective_from: Option<String>,
}

/// A page of enrolments.
#[derive(Serialize, ToSchema)]
#[schema(as = EnrolmentList)]
pub struct EnrolmentListView {
    /// By program.
    pub items: Vec<EnrolmentView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A partner's key in force, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = PartnerKey, example = json!({"id": "key_01kar52v4e8qzr5n3m6x7p9tdc", "created_at": "2026-11-23T07:00:00Z"}))]
pub struct KeyView {
    /// Id, by which it is revoked.
    pub id: String,
    /// Since when.
    pub created_at: String,
    /// The key itself, in the answer that made it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The keys of one partner.
#[derive(Serialize, ToSchema)]
#[schema(as = PartnerKeyList)]
pub struct KeyListView {
    /// Newest first; all of them.
    pub items: Vec<KeyView>,
    /// Always `null`: the number of keys is limited.
    pub next_cursor: Option<String>,
}

/// Where a partner is paid: a PayPal wallet, or a bank account by IBAN and BIC or by US routing number.
#[derive(ToSchema)]
#[schema(as = NewPayoutMethod, example = json!({"kind": "bank", "name": "Ada Lovelace", "address": {"line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB"}, "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22"}))]
pub struct PayoutMethodBody {
    /// `paypal` or `bank`.
    pub kind: String,
    /// `paypal`: the wallet's email address.
    pub wallet: Option<String>,
    /// `bank`: the payee's legal name.
    pub name: Option<String>,
    /// `bank`: the payee's address.
    pub address: Option<AddressBody>,
    /// `bank`: the IBAN, with `bic`.
    pub iban: Option<String>,
    /// `bank`: the BIC, with `iban`.
    pub bic: Option<String>,
    /// `bank`: the US routing number, with `account_number` and `account_type`.
    pub routing_number: Option<String>,
    /// `bank`: the US account number, 4 to 17 digits.
    pub account_number: Option<String>,
    /// `bank`: `checking` or `savings`.
    pub account_type: Option<String>,
    /// `bank`, of a US account: `person` or `company`, which ACH files tell apart; `person` unless told.
    pub payee_type: Option<String>,
    /// The currency the account is held in, ISO 4217.
    pub currency: Option<String>,
}

/// A payee's postal address.
#[derive(ToSchema)]
#[schema(as = Address)]
pub struct AddressBody {
    /// Street and number.
    pub line1: String,
    /// More.
    pub line2: Option<String>,
    /// City.
    pub city: String,
    /// State, province or county.
    pub region: Option<String>,
    /// Postcode.
    pub postcode: String,
    /// ISO 3166 two-letter code.
    pub country: String,
}

/// Where a partner is paid, masked.
#[derive(Serialize, ToSchema)]
#[schema(as = PayoutMethod, example = json!({"partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "kind": "bank", "account": "GB33 •••• 5555", "currency": null, "updated_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct PayoutMethodView {
    /// The partner's id.
    pub partner: String,
    /// `paypal` or `bank`.
    pub kind: &'static str,
    /// The account, masked.
    pub account: String,
    /// The currency the account is held in, if it was stated.
    pub currency: Option<&'static str>,
    /// Since when it is this account.
    pub updated_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// A hold on a partner's payouts.
#[derive(ToSchema)]
#[schema(as = NewPayoutHold, example = json!({"until": "2027-01-01T00:00:00Z", "reason": "Address is being verified"}))]
pub struct PayoutHoldBody {
    /// Until when; until it is lifted unless told.
    pub until: Option<String>,
    /// Why, at most 500 characters.
    pub reason: String,
}

/// A hold that stands on a partner's payouts.
#[derive(Serialize, ToSchema)]
#[schema(as = PayoutHold, example = json!({"partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "until": "2027-01-01T00:00:00Z", "reason": "Address is being verified", "placed_by": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "placed_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct PayoutHoldView {
    /// The partner's id.
    pub partner: String,
    /// Until when; `null` until it is lifted.
    pub until: Option<String>,
    /// Why.
    pub reason: String,
    /// The operator who placed it.
    pub placed_by: String,
    /// Since when.
    pub placed_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

pub(crate) fn payout_hold(hold: &PayoutHold) -> PayoutHoldView {
    let PayoutHold {
        partner,
        until,
        reason,
        placed_by,
        placed_at,
        lifted_at: _,
        version,
    } = hold;
    PayoutHoldView {
        partner: partner.to_string(),
        until: until.map(|until| until.to_string()),
        reason: reason.clone(),
        placed_by: placed_by.to_string(),
        placed_at: placed_at.to_string(),
        version: *version,
    }
}

/// Who a partner is to the tax office.
#[derive(ToSchema)]
#[schema(as = NewTaxProfile, example = json!({"legal_name": "Ada Lovelace Ltd", "address": {"line1": "1 Mill Lane", "city": "London", "postcode": "N1 1AA", "country": "GB"}, "country": "GB", "vat_id": "GB123456789"}))]
pub struct TaxProfileBody {
    /// The legal name, at most 120 characters.
    pub legal_name: String,
    /// The registered address.
    pub address: AddressBody,
    /// Where it pays its taxes, ISO 3166 two-letter code.
    pub country: String,
    /// The VAT identification number.
    pub vat_id: Option<String>,
    /// Another tax number.
    pub tax_id: Option<String>,
    /// `none`, `domestic` or `reverse_charge`, where it is not the program's.
    pub vat_treatment: Option<String>,
}

/// Who a partner is to the tax office, its tax number masked.
#[derive(Serialize, ToSchema)]
#[schema(as = TaxProfile, example = json!({"partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "legal_name": "Ada Lovelace Ltd", "address": {"line1": "1 Mill Lane", "line2": null, "city": "London", "region": null, "postcode": "N1 1AA", "country": "GB"}, "country": "GB", "vat_id": "GB123456789", "tax_id": "•••• 6789", "vat_treatment": null, "updated_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct TaxProfileView {
    /// The partner's id.
    pub partner: String,
    /// The legal name.
    pub legal_name: String,
    /// The registered address.
    pub address: AddressView,
    /// Where it pays its taxes.
    pub country: String,
    /// The VAT identification number.
    pub vat_id: Option<String>,
    /// Another tax number, masked.
    pub tax_id: Option<String>,
    /// Which VAT stands on its invoices, where it is not the program's.
    pub vat_treatment: Option<&'static str>,
    /// Since when it is this profile.
    pub updated_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// A postal address.
#[derive(Serialize, ToSchema)]
#[schema(as = PostalAddress)]
pub struct AddressView {
    /// Street and number.
    pub line1: String,
    /// More.
    pub line2: Option<String>,
    /// City.
    pub city: String,
    /// State, province or county.
    pub region: Option<String>,
    /// Postcode.
    pub postcode: String,
    /// ISO 3166 two-letter code.
    pub country: String,
}

/// Which partner takes another over.
#[derive(ToSchema)]
#[schema(as = NewMerge, example = json!({"into": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "reason": "Two accounts of one firm"}))]
pub struct NewMergeBody {
    /// The partner that takes over.
    pub into: String,
    /// Why, at most 200 characters; both partners read it in their statements' explanations.
    pub reason: String,
}

/// A merge of one partner into another, and how far it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Merge, example = json!({"from": "ptr_01kar52v4e8qzr5n3m6x7p9tdd", "into": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "reason": "Two accounts of one firm", "operator": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "merged_at": "2026-11-23T07:00:00Z", "settled": true, "enrolments": 0, "links": 2, "coupons": 1, "deals": 1, "leads": 0, "moved": [{"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "amount": "120.50", "currency": "EUR", "transfers": 1}], "version": 16}))]
pub struct MergeView {
    /// Who was merged.
    pub from: String,
    /// Into whom.
    pub into: String,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub operator: String,
    /// When.
    pub merged_at: String,
    /// Whether all has followed that there was; what becomes payable later still does.
    pub settled: bool,
    /// Programs in which the other took its place.
    pub enrolments: u32,
    /// Links that are the other's now.
    pub links: u32,
    /// Coupons that are the other's now.
    pub coupons: u32,
    /// Open deals that are the other's now.
    pub deals: u32,
    /// Leads that were offered anew.
    pub leads: u32,
    /// What of the balance has moved, by program.
    pub moved: Vec<MovedView>,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// What of a merged partner's balance has moved in a program.
#[derive(Serialize, ToSchema)]
#[schema(as = MovedBalance)]
pub struct MovedView {
    /// The program.
    pub program: String,
    /// How much in all; below zero where more was taken back than earned.
    pub amount: String,
    /// Its currency.
    pub currency: &'static str,
    /// In how many adjustments of each partner.
    pub transfers: u32,
}

pub(crate) fn partner(known: &Known) -> PartnerView {
    let Known { partner, contact } = known;
    let Partner {
        id,
        kind,
        country,
        status,
        merged_into,
        absorbed,
        created_at,
        version,
    } = partner;
    let (name, email) = match contact {
        Some(Contact { name, email }) => (Some(name.clone()), Some(email.clone())),
        None => (None, None),
    };
    PartnerView {
        id: id.to_string(),
        name,
        email,
        country: country.clone(),
        kind: kind.name(),
        status: status.name(),
        merged_into: merged_into.map(|into| into.to_string()),
        absorbed: absorbed.iter().map(ToString::to_string).collect(),
        created_at: created_at.to_string(),
        version: *version,
    }
}

pub(crate) fn merge(merge: &Merge) -> MergeView {
    let [enrolments, links, coupons, deals, leads] = merge.followed;
    MergeView {
        from: merge.from.to_string(),
        into: merge.into.to_string(),
        reason: merge.reason.clone(),
        operator: merge.by.to_string(),
        merged_at: merge.at.to_string(),
        settled: merge.is_settled(),
        enrolments,
        links,
        coupons,
        deals,
        leads,
        moved: merge
            .moved
            .iter()
            .map(|moved| MovedView {
                program: moved.program.to_string(),
                amount: moved.amount.to_string(),
                currency: moved.amount.currency().code(),
                transfers: moved.parts,
            })
            .collect(),
        version: merge.version,
    }
}

pub(crate) fn enrolment(enrolment: &Enrolment) -> EnrolmentView {
    let Enrolment {
        partner,
        program,
        assignments,
        uplines,
        created_at,
        version,
    } = enrolment;
    let assignment = |Assignment { plan, from }: &Assignment| AssignmentView {
        plan: plan.clone(),
        effective_from: from.map(|from| from.to_string()),
    };
    let upline = |Upline { partner, from }: &Upline| UplineView {
        partner: partner.map(|partner| partner.to_string()),
        effective_from: from.map(|from| from.to_string()),
    };
    EnrolmentView {
        partner: partner.to_string(),
        program: program.to_string(),
        program_name: None,
        program_currency: None,
        plans: assignments.iter().map(assignment).collect(),
        uplines: uplines.iter().map(upline).collect(),
        created_at: created_at.to_string(),
        version: *version,
    }
}

pub(crate) fn key(record: &KeyRecord, shown: Option<&ApiKey>) -> KeyView {
    KeyView {
        id: record.id.to_string(),
        created_at: record.created_at.to_string(),
        key: shown.map(|key| key.reveal().to_owned()),
    }
}

pub(crate) fn payout_method(method: &PayoutMethod) -> PayoutMethodView {
    let PayoutMethod {
        partner,
        kind,
        masked,
        currency,
        sealed: _,
        reference: _,
        updated_at,
        version,
    } = method;
    PayoutMethodView {
        partner: partner.to_string(),
        kind: kind.name(),
        account: masked.clone(),
        currency: currency.map(tributary::money::Currency::code),
        updated_at: updated_at.to_string(),
        version: *version,
    }
}

fn address(address: &Address) -> AddressView {
    let Address {
        line1,
        line2,
        city,
        region,
        postcode,
        country,
    } = address.clone();
    AddressView {
        line1,
        line2,
        city,
        region,
        postcode,
        country,
    }
}

pub(crate) fn tax_profile(profile: &TaxProfile, details: &TaxDetails) -> TaxProfileView {
    let TaxProfile {
        partner,
        country,
        vat_treatment,
        sealed: _,
        updated_at,
        version,
    } = profile;
    TaxProfileView {
        partner: partner.to_string(),
        legal_name: details.legal_name.clone(),
        address: address(&details.address),
        country: country.clone(),
        vat_id: details.vat_id.clone(),
        tax_id: details.masked_tax_id(),
        vat_treatment: vat_treatment.map(|treatment| treatment.name()),
        updated_at: updated_at.to_string(),
        version: *version,
    }
}

/// A person to add.
#[derive(ToSchema)]
#[schema(as = NewMember, example = json!({"name": "Grace Hopper", "email": "grace@mill.example", "role": "manager"}))]
pub struct NewMemberBody {
    /// Name, at most 120 characters.
    pub name: String,
    /// Email address.
    #[schema(format = Email)]
    pub email: String,
    /// `owner`, `manager` or `member`.
    pub role: String,
}

/// Changes of a person; what is left out stays.
#[derive(ToSchema)]
#[schema(as = MemberPatch)]
pub struct MemberPatchBody {
    /// Name.
    pub name: Option<String>,
    /// Email address.
    #[schema(format = Email)]
    pub email: Option<String>,
    /// `owner`, `manager` or `member`.
    pub role: Option<String>,
}

/// A person of a partner.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberView {
    /// Id.
    pub id: String,
    /// Of which partner.
    pub partner: String,
    /// Name; `null` once erased.
    pub name: Option<String>,
    /// Email address; `null` once erased.
    pub email: Option<String>,
    /// `owner`, `manager` or `member`.
    #[schema(example = "manager")]
    pub role: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// The people of a partner.
#[derive(Serialize, ToSchema)]
#[schema(as = MemberList)]
pub struct MemberListView {
    /// All who are there.
    pub items: Vec<MemberView>,
}

pub(crate) fn member(person: &Person) -> MemberView {
    let Person { member, contact } = person.clone();
    let (name, email) = contact.map(|contact| (contact.name, contact.email)).unzip();
    MemberView {
        id: member.id.to_string(),
        partner: member.partner.to_string(),
        name,
        email,
        role: member.role.name(),
        created_at: member.created_at.to_string(),
        version: member.version,
    }
}

/// Whether all was erased.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
pub struct ErasureView {
    /// Whether nothing is left to erase.
    pub complete: bool,
}

/// Whose key is issued.
#[derive(ToSchema)]
#[schema(as = NewPartnerKey)]
pub struct NewKeyBody {
    /// The member whose key it is; the partner's own unless told.
    pub member: Option<String>,
}
