//! What payouts' requests and answers look like.

use serde::Serialize;
use tributary::money::{Currency, Money};
use tributary::payouts::files::fitted_holder;
use tributary::payouts::model::{
    Approval, Batch, BatchLine, BatchState, Cadence, CalledOff, FundingAccount, LineId, LineStage,
    Omission, Payout, Regular, Returned, Schedule, Stage, Verdict, WEEKDAYS,
};
use tributary::payouts::{Judged, Returns, ShownLine};
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
    /// `sepa`: the holder's address, which banks outside the European Economic Area are told.
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

/// How a program pays.
#[derive(ToSchema)]
#[schema(as = NewPayoutSchedule, example = json!({"kind": "monthly", "day": 1, "time_zone": "Europe/London", "cutoff_days": 1, "funding_account": "paypal-gbp", "minimum": "50.00", "approval_above": "10000.00"}))]
pub struct ScheduleBody {
    /// `manual`, `weekly` or `monthly`.
    pub kind: String,
    /// `weekly`: the day as which begins a batch is made, such as `monday`.
    pub weekday: Option<String>,
    /// `monthly`: that day, 1 to 28.
    pub day: Option<u32>,
    /// `weekly` and `monthly`: the time zone in which days begin, by its IANA name.
    pub time_zone: Option<String>,
    /// `weekly` and `monthly`: what was payable so many days before is paid, 0 to 90; 0 unless told.
    pub cutoff_days: Option<u32>,
    /// `weekly` and `monthly`: the account that pays.
    pub funding_account: Option<String>,
    /// Nobody is paid less, unless a batch is asked for with another minimum; in the program's currency.
    pub minimum: Option<String>,
    /// A batch of more waits for the approval of a second person; in the program's currency.
    pub approval_above: Option<String>,
}

/// How a program pays.
#[derive(Serialize, ToSchema)]
#[schema(as = PayoutSchedule, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "kind": "monthly", "weekday": null, "day": 1, "time_zone": "Europe/London", "cutoff_days": 1, "funding_account": "paypal-gbp", "next_batch_at": "2026-12-01T00:00:00Z", "next_cutoff": "2026-11-30T00:00:00Z", "minimum": "50.00", "approval_above": "10000.00", "set_by": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "updated_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct ScheduleView {
    /// The program's id.
    pub program: String,
    /// `manual`, `weekly` or `monthly`.
    pub kind: &'static str,
    /// `weekly`: the day.
    pub weekday: Option<&'static str>,
    /// `monthly`: the day.
    pub day: Option<i8>,
    /// The time zone in which days begin.
    pub time_zone: Option<String>,
    /// What was payable so many days before is paid.
    pub cutoff_days: Option<u32>,
    /// The account that pays.
    pub funding_account: Option<String>,
    /// When the next batch is made.
    pub next_batch_at: Option<String>,
    /// Until when lines are paid by it.
    pub next_cutoff: Option<String>,
    /// Nobody is paid less.
    pub minimum: Option<String>,
    /// A batch of more waits for the approval of a second person.
    pub approval_above: Option<String>,
    /// The operator who set it, who is the maker of its batches.
    pub set_by: String,
    /// Since when.
    pub updated_at: String,
    /// Counts changes; also in `ETag`.
    pub version: u64,
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
    /// Nobody is paid less; the minimum of the program's schedule unless told, or else zero.
    pub minimum: Option<String>,
    /// A funding account in that currency. Its rail is the batch's: partners who are to be paid otherwise are
    /// left out.
    pub funding_account: String,
}

/// A payout batch.
#[derive(Serialize, ToSchema)]
#[schema(as = Batch, example = json!({"id": "bat_01kar52v4e8qzr5n3m6x7p9tdc", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "state": "reserved", "currency": "GBP", "cutoff": "2026-11-30T23:59:59Z", "minimum": "50.00", "funding_account": "paypal-gbp", "rail": "paypal", "created_by": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "created_at": "2026-12-01T07:00:00Z", "approval_above": null, "approved_by": null, "approved_at": null, "submitted_at": null, "cancelled_by": null, "cancelled_at": null, "cancel_reason": null}))]
pub struct BatchView {
    /// Id.
    pub id: String,
    /// Its program.
    pub program: String,
    /// `planning` (who is paid is being decided), `planned` (money is being reserved), `reserved` (the
    /// file can be downloaded), `awaiting_approval` (only after a second person has agreed), `approved` (that
    /// was done), `empty` (nobody is paid), `submitted` (the file was downloaded), `cancelling` (its payouts
    /// are being given back), `cancelled` (all are).
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
    /// A total above it is paid only after a second person has approved it.
    pub approval_above: Option<String>,
    /// The operator who approved it.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<String>,
    /// When its file was first downloaded.
    pub submitted_at: Option<String>,
    /// The SHA-256 of each part of its file, in hexadecimal, since then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_sha256: Vec<String>,
    /// The operator who cancelled it.
    pub cancelled_by: Option<String>,
    /// When.
    pub cancelled_at: Option<String>,
    /// Why.
    pub cancel_reason: Option<String>,
}

/// A batch's cancellation.
#[derive(ToSchema)]
#[schema(as = BatchCancellation, example = json!({"reason": "The wrong cutoff"}))]
pub struct CancelBody {
    /// Why, at most 500 characters.
    pub reason: String,
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
    /// `planned`, `reserved`, `settled`, `returned`, `withdrawn` (given back before submission: too little was
    /// left of it) or `cancelled` (with its batch).
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
    /// `merged` (into another partner, who is paid instead), `suspended`, `on_hold`, `negative_balance`, `nothing_to_pay`, `below_minimum`, `no_payout_method`,
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

/// What a return file came to.
#[derive(Serialize, ToSchema)]
#[schema(as = TakenReturns)]
pub struct ReturnsView {
    /// The file's id: of the same batch and bytes always the same. Stands in the payouts' `evidence`.
    pub import: String,
    /// How many payouts are returned by it.
    pub returned_count: usize,
    /// What each row came to, in the order of the file; a row about a whole message once for each payout.
    pub rows: Vec<ReturnedRowView>,
}

/// What a row of a return file came to.
#[derive(Serialize, ToSchema)]
#[schema(as = ReturnedRow, example = json!({"position": 2, "payout": "po_01kar52v4e8qzr5n3m6x7p9tdc", "verdict": "returned", "reason": "AC04: account closed"}))]
pub struct ReturnedRowView {
    /// The row of a CSV, the line of a NACHA file, or the transaction of a status report, from 1.
    pub position: usize,
    /// The payout that it names, where there is one.
    pub payout: Option<String>,
    /// `returned`, `already`, `unknown`, `not_in_this_batch`, `ignored` or `unreadable`.
    pub verdict: &'static str,
    /// Why the payment came back; or what the row says that comes to nothing.
    pub reason: String,
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
    /// `planned`, `reserved`, `settled`, `returned`, `withdrawn` (given back before submission: too little was
    /// left of it) or `cancelled` (with its batch).
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
    /// The payee's name as it was given, where the bank's file has another.
    pub name: Option<String>,
    /// The payee's name as it goes to the bank, where that is another.
    pub name_in_file: Option<String>,
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
        digests,
        payer: _,
        approval_above,
        approval,
        called_off,
    } = batch;
    let approved = |part: fn(&Approval) -> String| approval.as_ref().map(part);
    let cancelled = |part: fn(&CalledOff) -> String| called_off.as_ref().map(part);
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
        approval_above: approval_above.map(|above| above.to_string()),
        approved_by: approved(|approval| approval.by.to_string()),
        approved_at: approved(|approval| approval.at.to_string()),
        submitted_at: submitted_at.map(|at| at.to_string()),
        file_sha256: digests.clone(),
        cancelled_by: cancelled(|called_off| called_off.by.to_string()),
        cancelled_at: cancelled(|called_off| called_off.at.to_string()),
        cancel_reason: cancelled(|called_off| called_off.reason.clone()),
    }
}

pub(crate) fn schedule(schedule: &Schedule) -> ScheduleView {
    let Schedule {
        program,
        cadence,
        regular,
        minimum,
        approval_above,
        set_by,
        updated_at,
        version,
    } = schedule;
    let weekday = match cadence {
        Cadence::Weekly(weekday) => WEEKDAYS
            .iter()
            .find(|(_, known)| known == weekday)
            .map(|(name, _)| *name),
        Cadence::Manual | Cadence::Monthly(_) => None,
    };
    let day = match cadence {
        Cadence::Monthly(day) => Some(*day),
        Cadence::Manual | Cadence::Weekly(_) => None,
    };
    let of = |part: fn(&Regular) -> String| regular.as_ref().map(part);
    ScheduleView {
        program: program.to_string(),
        kind: cadence.name(),
        weekday,
        day,
        time_zone: of(|regular| regular.time_zone.clone()),
        cutoff_days: regular.as_ref().map(|regular| regular.cutoff_days),
        funding_account: of(|regular| regular.funding_account.clone()),
        next_batch_at: of(|regular| regular.next_at.to_string()),
        next_cutoff: of(|regular| regular.cutoff().to_string()),
        minimum: minimum.map(|minimum| minimum.to_string()),
        approval_above: approval_above.map(|above| above.to_string()),
        set_by: set_by.to_string(),
        updated_at: updated_at.to_string(),
        version: *version,
    }
}

/// A batch as a list tells it, without having read its payouts: `planned` until its file is downloaded.
pub(crate) fn listed_batch(listed: &Batch) -> BatchView {
    let stage = match listed.state {
        BatchState::Planning => Stage::Planning,
        BatchState::Planned => Stage::Reserving,
        BatchState::Submitted => Stage::Submitted,
        BatchState::Cancelling => Stage::Cancelling,
        BatchState::Cancelled => Stage::Cancelled,
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

pub(crate) fn returns(returns: &Returns) -> ReturnsView {
    let Returns { id, rows } = returns;
    let row = |judged: &Judged| {
        let Judged {
            position,
            payout,
            verdict,
            reason,
        } = judged;
        ReturnedRowView {
            position: *position,
            payout: payout.map(|payout| payout.to_string()),
            verdict: verdict.name(),
            reason: reason.clone(),
        }
    };
    let is_returned = |row: &&Judged| row.verdict == Verdict::Returned;
    ReturnsView {
        import: id.to_string(),
        returned_count: rows.iter().filter(is_returned).count(),
        rows: rows.iter().map(row).collect(),
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
