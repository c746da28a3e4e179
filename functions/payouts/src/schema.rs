//! What payouts' requests and answers look like.

use serde::Serialize;
use tributary::money::{Currency, Money};
use tributary::payouts::ShownLine;
use tributary::payouts::files::fitted_holder;
use tributary::payouts::model::{
    Batch, BatchLine, BatchState, FundingAccount, LineId, LineStage, Omission, Payout, Returned,
    Stage,
};
use utoipa::ToSchema;

/// A postal address.
#[derive(ToSchema)]
#[schema(as = HolderAddress)]
pub struct AddressBody {
    /// Street and number, at most 120 characters.
    pub line1: String,
    /// More, at most 120 characters.
    pub line2: Option<String>,
    /// City, at most 120 characters.
    pub city: String,
    /// State, province or county, at most 120 characters.
    pub region: Option<String>,
    /// Postcode, at most 16 characters.
    pub postcode: String,
    /// ISO 3166 two-letter country code.
    pub country: String,
}

/// A funding account.
#[derive(ToSchema)]
#[schema(as = NewFundingAccount, example = json!({"name": "PayPal, sterling", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example"}))]
pub struct FundingAccountBody {
    /// Name, at most 120 characters.
    pub name: String,
    /// `paypal` or `bank`.
    pub kind: String,
    /// `bank`: `sepa` (an IBAN and EUR), `nacha` (a US account and USD) or `generic` (any); the first of them
    /// that the account reaches unless told.
    pub rail: Option<String>,
    /// The currency it pays in, ISO 4217.
    pub currency: String,
    /// `paypal`: the account's email address.
    pub paypal_email: Option<String>,
    /// `bank`: the IBAN, with `bic`.
    pub iban: Option<String>,
    /// `bank`: the BIC, with `iban`.
    pub bic: Option<String>,
    /// `bank`: the ABA routing number, with `account_number` and `account_type`.
    pub routing_number: Option<String>,
    /// `bank`: the US account number, 4 to 17 digits.
    pub account_number: Option<String>,
    /// `bank`: `checking` or `savings`.
    pub account_type: Option<String>,
    /// `sepa` and `nacha`: the legal name of the account's holder; in the file transliterated into its
    /// characters and cut to 70 or 16. At most 120 characters.
    pub holder: Option<String>,
    /// `sepa`: the holder's address, where the bank wants it.
    pub address: Option<AddressBody>,
    /// `nacha`: the company's id, which is the immediate origin too: ten capital letters and digits.
    pub company_id: Option<String>,
    /// `nacha`: the routing number that files are sent to; the account's own unless told.
    pub immediate_destination: Option<String>,
    /// `nacha`: the name of the bank that files are sent to, at most 23 characters.
    pub bank_name: Option<String>,
    /// `nacha`: what payees read, at most 10 characters; `COMMISSION` unless told.
    pub entry_description: Option<String>,
}

/// A funding account, masked.
#[derive(Serialize, ToSchema)]
#[schema(as = FundingAccount, example = json!({"id": "paypal-gbp", "name": "PayPal, sterling", "kind": "paypal", "rail": "paypal", "currency": "GBP", "holder": null, "holder_in_file": null, "account": "p•••@vendor.example", "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct FundingAccountView {
    /// The account's name in addresses.
    pub id: String,
    /// Name.
    pub name: String,
    /// `paypal` or `bank`.
    pub kind: &'static str,
    /// `paypal`, `sepa`, `nacha` or `generic`: the format of its batches' files.
    pub rail: &'static str,
    /// The currency it pays in.
    pub currency: &'static str,
    /// The legal name of its holder.
    pub holder: Option<String>,
    /// That name as its files have it, where it is another.
    pub holder_in_file: Option<String>,
    /// The account, masked.
    pub account: String,
    /// Since when.
    pub created_at: String,
    /// Counts changes; also in `ETag`.
    pub version: u64,
}

/// A page of funding accounts.
#[derive(Serialize, ToSchema)]
#[schema(as = FundingAccountList)]
pub struct FundingAccountListView {
    /// By their ids.
    pub items: Vec<FundingAccountView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A new payout batch.
#[derive(ToSchema)]
#[schema(as = NewBatch, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "currency": "GBP", "cutoff": "2026-11-30T23:59:59Z", "minimum": "50.00", "funding_account": "paypal-gbp"}))]
pub struct NewBatchBody {
    /// Whose partners are paid.
    pub program: String,
    /// The program's currency.
    pub currency: String,
    /// Lines that were payable by then are paid; not in the future.
    pub cutoff: String,
    /// Nobody is paid less; zero unless told.
    pub minimum: Option<String>,
    /// A funding account in that currency. Its rail is the batch's: partners who are to be paid otherwise are
    /// left out.
    pub funding_account: String,
}

/// A payout batch.
#[derive(Serialize, ToSchema)]
#[schema(as = Batch, example = json!({"id": "bat_01kar52v4e8qzr5n3m6x7p9tdc", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "state": "reserved", "currency": "GBP", "cutoff": "2026-11-30T23:59:59Z", "minimum": "50.00", "funding_account": "paypal-gbp", "rail": "paypal", "created_by": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "created_at": "2026-12-01T07:00:00Z", "submitted_at": null}))]
pub struct BatchView {
    /// Id.
    pub id: String,
    /// Its program.
    pub program: String,
    /// `planning` (who is paid is being decided), `planned` (money is being reserved), `reserved` (the
    /// file can be downloaded), `empty` (nobody is paid), `submitted` (the file was downloaded).
    pub state: &'static str,
    /// Currency.
    pub currency: &'static str,
    /// Lines payable by then are paid.
    pub cutoff: String,
    /// Nobody is paid less.
    pub minimum: String,
    /// The account that pays.
    pub funding_account: String,
    /// `paypal`, `sepa`, `nacha` or `generic`: how it pays, and the format of its file.
    pub rail: &'static str,
    /// The operator who asked for it.
    pub created_by: String,
    /// Since when.
    pub created_at: String,
    /// When its file was first downloaded.
    pub submitted_at: Option<String>,
}

/// A page of batches. A list tells `planned` also of batches whose money is reserved by now.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchList)]
pub struct BatchListView {
    /// Newest first.
    pub items: Vec<BatchView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A batch with its totals, whom it pays and whom it leaves out.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchWithLines)]
pub struct BatchWithLinesView {
    /// The batch.
    #[serde(flatten)]
    pub batch: BatchView,
    /// Payouts whose money is reserved.
    pub payout_count: u64,
    /// Their sum.
    pub total: String,
    /// Payouts whose money is still being reserved.
    pub reserving_count: u64,
    /// Partners left out.
    pub left_out_count: u64,
    /// Parts of the payment file; 0 while nobody is paid by it.
    pub parts: u64,
    /// Whom it pays, by payout id, as in the file.
    pub lines: Vec<BatchLineView>,
    /// Where `lines` go on, as `lines_cursor`; `null` at their end.
    pub lines_next_cursor: Option<String>,
    /// Whom it leaves out, by partner id.
    pub left_out: Vec<LeftOutView>,
    /// Where `left_out` goes on, as `left_out_cursor`; `null` at its end.
    pub left_out_next_cursor: Option<String>,
}

/// A payout in its batch.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchLine, example = json!({"payout": "po_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "state": "reserved", "amount": "58.80", "currency": "GBP", "account": "a•••@example.com", "name": null, "name_in_file": null, "note": "Summer: commissions until 2026-11-30"}))]
pub struct BatchLineView {
    /// The payout's id.
    pub payout: String,
    /// Who is paid.
    pub partner: String,
    /// `planned`, `reserved`, `settled`, `returned` or `withdrawn` (given back before submission).
    pub state: &'static str,
    /// How much, once it is reserved.
    pub amount: Option<String>,
    /// Currency, once it is reserved.
    pub currency: Option<&'static str>,
    /// The payee's account, masked, once it is reserved.
    pub account: Option<String>,
    /// The payee's name as it was given, where the bank's file has another.
    pub name: Option<String>,
    /// The payee's name as it goes to the bank, where that is another: transliterated into the characters of
    /// the file and cut to its length.
    pub name_in_file: Option<String>,
    /// What the payee reads, once it is reserved; a `nacha` file has no room for it.
    pub note: Option<String>,
}

/// A partner that is left out.
#[derive(Serialize, ToSchema)]
#[schema(as = LeftOut, example = json!({"partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "reason": "below_minimum", "amount": "44.10", "currency": "GBP", "payout": null}))]
pub struct LeftOutView {
    /// Who.
    pub partner: String,
    /// `suspended`, `negative_balance`, `nothing_to_pay`, `below_minimum`, `no_payout_method`,
    /// `payout_method_differs` (it wants to be paid otherwise than this batch pays),
    /// `payout_method_refused` (its wallet or name cannot stand in the file), `outside_sepa` (its IBAN is of
    /// a country that SEPA does not reach) or `amount_over_format` (more than one payment of the file can be).
    pub reason: &'static str,
    /// What stays open for the next batch.
    pub amount: String,
    /// Currency.
    pub currency: &'static str,
    /// Its payout, when the decision fell only after money had been reserved.
    pub payout: Option<String>,
}

/// A payout's return.
#[derive(ToSchema)]
#[schema(as = PayoutReturn, example = json!({"reason": "The wallet is closed", "evidence": "PayPal transaction 8XY12345AB678901C"}))]
pub struct ReturnBody {
    /// Why it came back, at most 500 characters.
    pub reason: String,
    /// What shows it, such as a bank's reference; at most 500 characters.
    pub evidence: String,
}

/// One partner's payout in a batch.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Payout, example = json!({"id": "po_01kar52v4e8qzr5n3m6x7p9tdc", "batch": "bat_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "state": "settled", "amount": "58.80", "currency": "GBP", "line_count": 4, "cutoff": "2026-11-30T23:59:59Z", "created_at": "2026-12-01T07:00:00Z", "settled_at": "2026-12-02T07:00:00Z", "returned_at": null, "reason": null, "evidence": null}))]
pub struct PayoutView {
    /// Id; stands in the payment file.
    pub id: String,
    /// Its batch.
    pub batch: String,
    /// Who is paid.
    pub partner: String,
    /// For which program.
    pub program: String,
    /// `planned`, `reserved`, `settled`, `returned` or `withdrawn` (given back before submission).
    pub state: &'static str,
    /// What its lines come to, so far.
    pub amount: String,
    /// Currency.
    pub currency: &'static str,
    /// How many lines it has, so far.
    pub line_count: u64,
    /// Lines payable by then are in it.
    pub cutoff: String,
    /// Since when.
    pub created_at: String,
    /// When it arrived.
    pub settled_at: Option<String>,
    /// When it came back.
    pub returned_at: Option<String>,
    /// Why it came back.
    pub reason: Option<String>,
    /// What shows that it came back.
    pub evidence: Option<String>,
}

/// A page of payouts.
#[derive(Serialize, ToSchema)]
#[schema(as = PayoutList)]
pub struct PayoutListView {
    /// Newest first.
    pub items: Vec<PayoutView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A payout with its lines.
#[derive(Serialize, ToSchema)]
#[schema(as = PayoutWithLines)]
pub struct PayoutWithLinesView {
    /// The payout.
    #[serde(flatten)]
    pub payout: PayoutView,
    /// What it consists of, in the order it was taken.
    pub lines: Vec<PayoutLineView>,
    /// Where `lines` go on, as `cursor`; `null` at their end.
    pub next_cursor: Option<String>,
}

/// A line of a payout.
#[derive(Serialize, ToSchema)]
#[schema(as = PayoutLine, example = json!({"kind": "commission", "conversion": "cnv_01kar52v4e8qzr5n3m6x7p9tdc", "transfer": null, "amount": "14.70", "currency": "GBP"}))]
pub struct PayoutLineView {
    /// `commission`, or `clawback`: taken back after it had been in a payout.
    pub kind: &'static str,
    /// The conversion, for a commission.
    pub conversion: Option<String>,
    /// The transfer that took it back, for a clawback.
    pub transfer: Option<String>,
    /// What it comes to; negative for a clawback.
    pub amount: String,
    /// Currency.
    pub currency: &'static str,
}

pub(crate) fn funding_account(account: &FundingAccount) -> FundingAccountView {
    let FundingAccount {
        id,
        name,
        kind,
        rail,
        currency,
        holder,
        masked,
        sealed: _,
        created_at,
        version,
    } = account;
    let in_file = holder.as_ref().map(|holder| fitted_holder(*rail, holder));
    FundingAccountView {
        id: id.clone(),
        name: name.clone(),
        kind: kind.name(),
        rail: rail.name(),
        currency: currency.code(),
        holder: holder.clone(),
        holder_in_file: in_file.filter(|name| Some(name) != holder.as_ref()),
        account: masked.clone(),
        created_at: created_at.to_string(),
        version: *version,
    }
}

pub(crate) fn batch(batch: &Batch, stage: Stage) -> BatchView {
    let Batch {
        id,
        program,
        cutoff,
        minimum,
        funding_account,
        rail,
        state: _,
        walk: _,
        created_by,
        created_at,
        submitted_at,
        frozen: _,
        payer: _,
    } = batch;
    BatchView {
        id: id.to_string(),
        program: program.to_string(),
        state: stage.name(),
        currency: minimum.currency().code(),
        cutoff: cutoff.to_string(),
        minimum: minimum.to_string(),
        funding_account: funding_account.clone(),
        rail: rail.name(),
        created_by: created_by.to_string(),
        created_at: created_at.to_string(),
        submitted_at: submitted_at.map(|at| at.to_string()),
    }
}

/// A batch as a list tells it, without having read its payouts: `planned` until its file is downloaded.
pub(crate) fn listed_batch(listed: &Batch) -> BatchView {
    let stage = match listed.state {
        BatchState::Planning => Stage::Planning,
        BatchState::Planned => Stage::Reserving,
        BatchState::Submitted => Stage::Submitted,
    };
    batch(listed, stage)
}

pub(crate) fn batch_line(shown: &ShownLine) -> BatchLineView {
    let ShownLine {
        line: BatchLine {
            payout,
            partner,
            stage,
        },
        state,
        renamed,
    } = shown;
    let frozen = match stage {
        LineStage::Frozen(instruction) => Some(instruction),
        LineStage::Planned | LineStage::Withdrawn => None,
    };
    BatchLineView {
        payout: payout.to_string(),
        partner: partner.to_string(),
        state: state.name(),
        amount: frozen.map(|paid| paid.amount.to_string()),
        currency: frozen.map(|paid| paid.amount.currency().code()),
        account: frozen.map(|paid| paid.masked.clone()),
        name: renamed.as_ref().map(|(given, _)| given.clone()),
        name_in_file: renamed.as_ref().map(|(_, written)| written.clone()),
        note: frozen.map(|paid| paid.note.clone()),
    }
}

pub(crate) fn left_out(omission: &Omission) -> LeftOutView {
    let Omission {
        partner,
        reason,
        amount,
        payout,
    } = omission;
    LeftOutView {
        partner: partner.to_string(),
        reason: reason.name(),
        amount: amount.to_string(),
        currency: amount.currency().code(),
        payout: payout.map(|payout| payout.to_string()),
    }
}

pub(crate) fn payout(payout: &Payout) -> PayoutView {
    let Payout {
        id,
        batch,
        partner,
        program,
        cutoff,
        terms: _,
        state,
        chunks: _,
        reopened: _,
        lines,
        amount,
        created_at,
        settled_at,
        returned,
    } = payout;
    let part = |part: fn(&Returned) -> String| returned.as_ref().map(part);
    PayoutView {
        id: id.to_string(),
        batch: batch.to_string(),
        partner: partner.to_string(),
        program: program.to_string(),
        state: state.name(),
        amount: amount.to_string(),
        currency: amount.currency().code(),
        line_count: *lines,
        cutoff: cutoff.to_string(),
        created_at: created_at.to_string(),
        settled_at: settled_at.map(|at| at.to_string()),
        returned_at: part(|why| why.at.to_string()),
        reason: part(|why| why.reason.clone()),
        evidence: part(|why| why.evidence.clone()),
    }
}

pub(crate) fn payout_line(line: LineId, minor: i64, currency: Currency) -> PayoutLineView {
    let (kind, conversion, transfer) = match line {
        LineId::Commission(id) => ("commission", Some(id.to_string()), None),
        LineId::Clawback(id) => ("clawback", None, Some(id.to_string())),
    };
    PayoutLineView {
        kind,
        conversion,
        transfer,
        amount: Money::new(minor, currency).to_string(),
        currency: currency.code(),
    }
}
