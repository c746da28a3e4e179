//! What reports' requests and answers look like.

use serde::Serialize;
use tributary::commissions::model::Figures;
use tributary::ids::PartnerId;
use tributary::invoices::Waiting;
use tributary::invoices::model::{Amounts, Invoice, Invoicing, Vat, VatTerms};
use tributary::ledger::model::Balance;
use tributary::money::{Currency, Money, MoneyError};
use tributary::partners::model::{Address, TaxDetails};
use tributary::reports::model::{Closing, Compared, Movements, Reached, Stage, Tally, Yearly};
use tributary::reports::reconciliation::{InTransit, Row, Unexplained};
use tributary::reports::yearly::PartnerYear;
use tributary::what_ifs::model::{Stage as WhatIfStage, WhatIf};
use utoipa::ToSchema;

/// A month to close.
#[derive(ToSchema)]
#[schema(as = ClosePeriod, example = json!({"period": "2026-03"}))]
pub struct CloseBody {
    /// A calendar month in UTC.
    pub period: String,
}

/// A month of a program that is closed or being closed.
#[derive(Serialize, ToSchema)]
#[schema(as = Period, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "period": "2026-03", "state": "closed", "asked_by": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "asked_at": "2026-04-02T07:00:00Z", "closed_at": "2026-04-02T07:01:00Z", "journal_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "transfers": 1, "totals": [{"currency": "GBP", "turnover": "14.70", "commissions": "-14.70", "pending": "14.70", "payable": "0.00", "in_transit": "0.00", "paid": "0.00"}]}))]
pub struct PeriodView {
    /// Whose.
    pub program: String,
    /// The calendar month.
    pub period: String,
    /// `closing` or `closed`.
    pub state: &'static str,
    /// The operator who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_at: String,
    /// When it was closed.
    pub closed_at: Option<String>,
    /// The SHA-256 of its journal, all pages one after the other; `null` until it is closed.
    pub journal_sha256: Option<String>,
    /// Transfers in it; `null` until it is closed.
    pub transfers: Option<u64>,
    /// What they come to, by currency; empty until it is closed.
    pub totals: Vec<PeriodTotalView>,
}

/// What a closed month's transfers come to in one currency.
#[derive(Serialize, ToSchema)]
#[schema(as = PeriodTotal)]
pub struct PeriodTotalView {
    /// Currency.
    pub currency: &'static str,
    /// What its journal debits, and what it credits.
    pub turnover: String,
    /// The change of the program's side: below zero, what was granted.
    pub commissions: String,
    /// The change of what is held.
    pub pending: String,
    /// The change of what goes into the next payouts.
    pub payable: String,
    /// The change of what is in payouts.
    pub in_transit: String,
    /// The change of what has arrived. All five changes add up to zero.
    pub paid: String,
}

/// A page of closed months.
#[derive(Serialize, ToSchema)]
#[schema(as = PeriodList)]
pub struct PeriodListView {
    /// Newest first.
    pub items: Vec<PeriodView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

fn total(tally: &Tally) -> PeriodTotalView {
    let Tally {
        transfers: _,
        turnover,
        commissions,
        change:
            Balance {
                currency,
                pending,
                payable,
                in_transit,
                paid,
            },
    } = *tally;
    let text = |minor| Money::new(minor, currency).to_string();
    PeriodTotalView {
        currency: currency.code(),
        turnover: text(turnover),
        commissions: text(commissions),
        pending: text(pending),
        payable: text(payable),
        in_transit: text(in_transit),
        paid: text(paid),
    }
}

/// A closing as callers see it; its figures are told once they are final.
#[must_use]
pub fn period(closing: &Closing) -> PeriodView {
    let Closing {
        program,
        period,
        stage,
        place: _,
        tally,
        hash,
        step: _,
        asked_by,
        asked_at,
        closed_at,
    } = closing;
    let is_closed = *stage == Stage::Closed;
    PeriodView {
        program: program.to_string(),
        period: period.to_string(),
        state: stage.state(),
        asked_by: asked_by.to_string(),
        asked_at: asked_at.to_string(),
        closed_at: closed_at.map(|at| at.to_string()),
        journal_sha256: is_closed.then(|| hash.clone()),
        transfers: is_closed.then_some(tally.transfers),
        totals: is_closed.then(|| total(tally)).into_iter().collect(),
    }
}

// ---- Invoices

/// How a program's self-billing invoices shall be written.
#[derive(ToSchema)]
#[schema(as = NewInvoicing, example = json!({"enabled": true, "prefix": "SB-", "issuer": {"legal_name": "Vendor Ltd", "address": {"line1": "2 Dock Road", "city": "London", "postcode": "E1 6AN", "country": "GB"}, "vat_id": "GB987654321"}, "vat": {"treatment": "domestic", "rate": "0.20", "pricing": "inclusive"}, "legal_text": "Issued under the self-billing agreement."}))]
pub struct InvoicingBody {
    /// Whether payouts that are settled from now on get one; `true` unless told.
    pub enabled: Option<bool>,
    /// The vendor, which receives what is invoiced and writes the invoice.
    pub issuer: TaxPartyBody,
    /// Begins every number, at most 20 letters, digits, `-` and `/`. Another for each program of one issuer, as
    /// each has a series of its own; absent, one from the program's id.
    pub prefix: Option<String>,
    /// Stands at the foot, at most 2,000 characters.
    pub legal_text: Option<String>,
    /// VAT.
    pub vat: VatTermsBody,
}

/// Somebody as the tax office knows it.
#[derive(ToSchema)]
#[schema(as = NewTaxParty)]
pub struct TaxPartyBody {
    /// The legal name.
    pub legal_name: String,
    /// The registered address.
    pub address: AddressBody,
    /// The VAT identification number.
    pub vat_id: Option<String>,
    /// Another tax number.
    pub tax_id: Option<String>,
}

/// A postal address.
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

/// The VAT of a program's invoices.
#[derive(ToSchema)]
#[schema(as = NewVatTerms)]
pub struct VatTermsBody {
    /// `none`, `domestic` or `reverse_charge`; of a partner that has no treatment of its own.
    pub treatment: String,
    /// The domestic rate such as `"0.20"`; needed for `domestic`.
    pub rate: Option<String>,
    /// `inclusive` (the payout has the VAT in it) or `exclusive` (it is paid on top, apart from the payout);
    /// `inclusive` unless told.
    pub pricing: Option<String>,
    /// The sentence that the law asks for; needed for `reverse_charge`.
    pub reverse_charge_text: Option<String>,
}

/// How a program's self-billing invoices are written.
#[derive(Serialize, ToSchema)]
#[schema(as = Invoicing)]
pub struct InvoicingView {
    /// Whose.
    pub program: String,
    /// Whether payouts that are settled get one.
    pub enabled: bool,
    /// The vendor.
    pub issuer: TaxPartyView,
    /// Begins every number.
    pub prefix: String,
    /// Stands at the foot.
    pub legal_text: Option<String>,
    /// VAT.
    pub vat: VatTermsView,
    /// Since when it is so.
    pub updated_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// The VAT of a program's invoices.
#[derive(Serialize, ToSchema)]
#[schema(as = VatTerms)]
pub struct VatTermsView {
    /// `none`, `domestic` or `reverse_charge`.
    pub treatment: &'static str,
    /// The domestic rate.
    pub rate: Option<String>,
    /// `inclusive` or `exclusive`.
    pub pricing: &'static str,
    /// The sentence that the law asks for.
    pub reverse_charge_text: Option<String>,
}

/// Somebody as the tax office knows it.
#[derive(Serialize, ToSchema)]
#[schema(as = TaxParty)]
pub struct TaxPartyView {
    /// The legal name.
    pub legal_name: String,
    /// The registered address.
    pub address: AddressView,
    /// The VAT identification number.
    pub vat_id: Option<String>,
    /// Another tax number.
    pub tax_id: Option<String>,
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

/// An invoice or a credit note.
#[derive(Serialize, ToSchema)]
#[schema(as = Invoice, example = json!({"id": "inv_2c8q5v1k9n3r7t4w6y0z5a8b1d", "kind": "invoice", "number": "SB-000007", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "payout": "po_2c8q5v1k9n3r7t4w6y0z5a8b1d", "corrects": null, "issued_at": "2026-04-02T09:00:00Z", "supplied_at": "2026-04-02T08:59:00Z", "commissions": 4, "currency": "GBP", "net": "49.00", "vat": "9.80", "gross": "58.80", "paid": "58.80", "vat_treatment": "domestic", "vat_rate": "0.20"}))]
pub struct InvoiceView {
    /// Id, derived from the payout.
    pub id: String,
    /// `invoice` or `credit_note`.
    pub kind: &'static str,
    /// The number that stands on it.
    pub number: String,
    /// Whose series.
    pub program: String,
    /// Who supplied.
    pub partner: String,
    /// What was paid.
    pub payout: String,
    /// The number of the invoice that a credit note takes back.
    pub corrects: Option<String>,
    /// When it was issued.
    pub issued_at: String,
    /// When the payout was settled, or came back.
    pub supplied_at: String,
    /// How many commissions it is for.
    pub commissions: u64,
    /// Currency.
    pub currency: &'static str,
    /// Without VAT.
    pub net: String,
    /// The VAT.
    pub vat: String,
    /// Both; below zero on a credit note.
    pub gross: String,
    /// What the payout paid.
    pub paid: String,
    /// `none`, `domestic` or `reverse_charge`.
    pub vat_treatment: &'static str,
    /// The rate, where it is domestic.
    pub vat_rate: Option<String>,
}

/// An invoice with both parties.
#[derive(Serialize, ToSchema)]
#[schema(as = InvoiceWithParties)]
pub struct InvoiceWithPartyView {
    /// The invoice.
    #[serde(flatten)]
    pub invoice: InvoiceView,
    /// The partner as it was then; `null` once it was erased.
    pub supplier: Option<TaxPartyView>,
    /// The vendor as it was then.
    pub recipient: TaxPartyView,
    /// What stands at its foot.
    pub legal_text: Option<String>,
}

/// A page of invoices.
#[derive(Serialize, ToSchema)]
#[schema(as = InvoiceList)]
pub struct InvoiceListView {
    /// Newest first.
    pub items: Vec<InvoiceView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A page of a program's series, and what waits.
#[derive(Serialize, ToSchema)]
#[schema(as = InvoiceSeries)]
pub struct InvoiceSeriesView {
    /// By number.
    pub items: Vec<InvoiceView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
    /// Payouts that have no invoice yet.
    pub waiting: Vec<WaitingView>,
}

/// A payout that has no invoice yet.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitingInvoice)]
pub struct WaitingView {
    /// Which.
    pub payout: String,
    /// Whose.
    pub partner: String,
    /// `tax_profile_missing` or `vat_terms_missing`; `null` when it is about to be issued.
    pub reason: Option<&'static str>,
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

/// Somebody as it stands on an invoice.
#[must_use]
pub fn tax_party(details: &TaxDetails) -> TaxPartyView {
    let TaxDetails {
        legal_name,
        address: place,
        vat_id,
        tax_id,
    } = details;
    TaxPartyView {
        legal_name: legal_name.clone(),
        address: address(place),
        vat_id: vat_id.clone(),
        tax_id: tax_id.clone(),
    }
}

/// Settings as callers see them.
#[must_use]
pub fn invoicing(settings: &Invoicing) -> InvoicingView {
    let Invoicing {
        program,
        enabled,
        issuer,
        prefix,
        legal_text,
        vat:
            VatTerms {
                treatment,
                rate,
                pricing,
                reverse_charge_text,
            },
        updated_at,
        version,
    } = settings;
    InvoicingView {
        program: program.to_string(),
        enabled: *enabled,
        issuer: tax_party(issuer),
        prefix: prefix.clone(),
        legal_text: legal_text.clone(),
        vat: VatTermsView {
            treatment: treatment.name(),
            rate: rate.map(|rate| rate.to_string()),
            pricing: pricing.name(),
            reverse_charge_text: reverse_charge_text.clone(),
        },
        updated_at: updated_at.to_string(),
        version: *version,
    }
}

/// An invoice as callers see it.
#[must_use]
pub fn invoice(invoice: &Invoice) -> InvoiceView {
    let Invoice {
        id,
        kind,
        serial: _,
        number,
        template: _,
        program,
        program_name: _,
        partner,
        payout,
        corrects,
        issued_at,
        moved_at,
        cutoff: _,
        commissions,
        amounts:
            Amounts {
                net,
                vat: owed,
                gross,
                paid,
            },
        vat,
        issuer: _,
        legal_text: _,
    } = invoice;
    InvoiceView {
        id: id.to_string(),
        kind: kind.name(),
        number: number.clone(),
        program: program.to_string(),
        partner: partner.to_string(),
        payout: payout.to_string(),
        corrects: corrects.clone(),
        issued_at: issued_at.to_string(),
        supplied_at: moved_at.to_string(),
        commissions: *commissions,
        currency: net.currency().code(),
        net: net.to_string(),
        vat: owed.to_string(),
        gross: gross.to_string(),
        paid: paid.to_string(),
        vat_treatment: vat.treatment().name(),
        vat_rate: match vat {
            Vat::Domestic { rate, .. } => Some(rate.to_string()),
            Vat::None | Vat::ReverseCharge { .. } => None,
        },
    }
}

/// A waiting payout as callers see it.
#[must_use]
pub fn waiting(waiting: &Waiting) -> WaitingView {
    let Waiting { payout, why } = waiting;
    WaitingView {
        payout: payout.id.to_string(),
        partner: payout.partner.to_string(),
        reason: why.map(|why| why.name()),
    }
}

// ---- Yearly totals

/// What a partner was paid in a year.
#[derive(Serialize, ToSchema)]
#[schema(as = PartnerYear, example = json!({"partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "year": 2026, "country": "US", "items": [{"currency": "USD", "paid": "2100.00", "months": [{"month": "2026-03", "paid": "2100.00"}]}], "thresholds": [{"code": "us_1099_nec", "name": "US Form 1099-NEC, nonemployee compensation", "amount": "2000.00", "currency": "USD", "reached": true, "source": "Public Law 119-21, section 70433", "note": "Indexed for inflation from 2027 on."}]}))]
pub struct PartnerYearView {
    /// Whose.
    pub partner: String,
    /// The calendar year in UTC.
    pub year: i16,
    /// Where it pays its taxes: its tax profile's country, or else its own.
    pub country: String,
    /// By currency, those in which anything was paid.
    pub items: Vec<YearTotalView>,
    /// The thresholds of its country in that year.
    pub thresholds: Vec<ThresholdView>,
}

/// What was paid in a year in one currency.
#[derive(Serialize, ToSchema)]
#[schema(as = YearTotal)]
pub struct YearTotalView {
    /// Currency.
    pub currency: &'static str,
    /// What was settled less what came back.
    pub paid: String,
    /// The same by month, where there was anything.
    pub months: Vec<MonthTotalView>,
}

/// What was paid in a month in one currency.
#[derive(Serialize, ToSchema)]
#[schema(as = MonthTotal)]
pub struct MonthTotalView {
    /// The calendar month in UTC.
    pub month: String,
    /// What was settled less what came back.
    pub paid: String,
}

/// A threshold of tax reporting.
#[derive(Serialize, ToSchema)]
#[schema(as = Threshold)]
pub struct ThresholdView {
    /// Its short name.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its amount.
    pub amount: String,
    /// Currency.
    pub currency: &'static str,
    /// Whether it is reached; `null` where other currencies were paid besides, which are not converted.
    pub reached: Option<bool>,
    /// Where it stands.
    pub source: String,
    /// What else is to be known.
    pub note: String,
}

/// A page of what partners were paid in a year.
#[derive(Serialize, ToSchema)]
#[schema(as = PartnerYearList)]
pub struct PartnerYearListView {
    /// In the order in which partners were made.
    pub items: Vec<PartnerYearView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A partner's year as callers see it.
#[must_use]
pub fn partner_year(found: &PartnerYear, year: i16) -> PartnerYearView {
    let PartnerYear {
        partner,
        country,
        totals,
        thresholds,
    } = found;
    let month = |(month, paid): (&u32, &Money)| MonthTotalView {
        month: format!("{:04}-{:02}", month / 100, month % 100),
        paid: paid.to_string(),
    };
    let total = |total: &Yearly| YearTotalView {
        currency: total.paid.currency().code(),
        paid: total.paid.to_string(),
        months: total.months.iter().map(month).collect(),
    };
    let threshold = |told: &Reached| ThresholdView {
        code: told.threshold.code.clone(),
        name: told.threshold.name.clone(),
        amount: told.threshold.amount.to_string(),
        currency: told.threshold.amount.currency().code(),
        reached: told.is_reached,
        source: told.threshold.source.clone(),
        note: told.threshold.note.clone(),
    };
    PartnerYearView {
        partner: partner.to_string(),
        year,
        country: country.clone(),
        items: totals.iter().map(total).collect(),
        thresholds: thresholds.iter().map(threshold).collect(),
    }
}

// ---- Payouts beside the ledger

/// A page of payouts beside the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = PayoutReconciliation)]
pub struct ReconciliationView {
    /// Whose.
    pub program: String,
    /// The calendar month in which the batches were made.
    pub period: String,
    /// By batch and payout.
    pub items: Vec<ReconciledPayoutView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
    /// The money in transit as it stands now; on the first page only.
    pub in_transit: Option<InTransitView>,
}

/// A payout beside its transfers.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconciledPayout)]
pub struct ReconciledPayoutView {
    /// Which.
    pub payout: String,
    /// Its batch.
    pub batch: String,
    /// Who is paid.
    pub partner: String,
    /// `planned`, `reserved`, `settled`, `returned` or `withdrawn`.
    pub state: &'static str,
    /// Currency.
    pub currency: &'static str,
    /// What it says it pays.
    pub amount: String,
    /// What its batch's file says; `null` when it is in none.
    pub in_file: Option<String>,
    /// What its transfers took into transit.
    pub reserved: String,
    /// What they took to paid.
    pub settled: String,
    /// What they gave back.
    pub returned: String,
    /// By how much these contradict its state, all in all; zero when all is well.
    pub difference: String,
}

/// Money in transit and what explains it.
#[derive(Serialize, ToSchema)]
#[schema(as = InTransit)]
pub struct InTransitView {
    /// Currency.
    pub currency: &'static str,
    /// What partners' accounts have in transit.
    pub ledger: String,
    /// What open payouts, planned or reserved, hold.
    pub open_payouts: String,
    /// Partners where these differ; a payout that moves while this is read may be among them.
    pub unexplained: Vec<UnexplainedView>,
}

/// A partner whose money in transit stands in no open payout.
#[derive(Serialize, ToSchema)]
#[schema(as = UnexplainedTransit)]
pub struct UnexplainedView {
    /// Who.
    pub partner: String,
    /// What its account has in transit.
    pub ledger: String,
    /// What its open payouts hold.
    pub open_payouts: String,
}

/// A payout beside its transfers as callers see it.
#[must_use]
pub fn reconciled(row: &Row) -> ReconciledPayoutView {
    let Row {
        payout,
        in_file,
        compared:
            Compared {
                moved:
                    Movements {
                        reserved,
                        settled,
                        returned,
                        in_transit: _,
                    },
                difference,
            },
    } = row;
    ReconciledPayoutView {
        payout: payout.id.to_string(),
        batch: payout.batch.to_string(),
        partner: payout.partner.to_string(),
        state: payout.state.name(),
        currency: payout.amount.currency().code(),
        amount: payout.amount.to_string(),
        in_file: in_file.map(|amount| amount.to_string()),
        reserved: reserved.to_string(),
        settled: settled.to_string(),
        returned: returned.to_string(),
        difference: difference.to_string(),
    }
}

/// Money in transit as callers see it.
#[must_use]
pub fn in_transit(found: &InTransit) -> InTransitView {
    let InTransit {
        ledger,
        open,
        unexplained,
    } = found;
    let one = |one: &Unexplained| UnexplainedView {
        partner: one.partner.to_string(),
        ledger: one.in_transit.to_string(),
        open_payouts: one.open.to_string(),
    };
    InTransitView {
        currency: ledger.currency().code(),
        ledger: ledger.to_string(),
        open_payouts: open.to_string(),
        unexplained: unexplained.iter().map(one).collect(),
    }
}

// ---- What another plan would have paid

/// Another plan, and of which time it is asked.
#[derive(ToSchema)]
#[schema(as = NewWhatIf, example = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-04-01T00:00:00Z", "plan": {"code": "bolder", "hold_days": 30, "components": [{"kind": "percent", "event": "sale", "rate": "0.25"}]}}))]
pub struct NewWhatIfBody {
    /// A plan as it would be made, or as it is shown: only what it pays matters here.
    #[schema(value_type = Object)]
    pub plan: (),
    /// From when on it would have paid, by the time of the event. Its windows and caps start empty there; customers
    /// are known from before.
    pub from: String,
    /// Until when, the instant not included; now unless told.
    pub to: Option<String>,
    /// The code of the plan in whose place it would have paid; in the place of all unless told.
    pub replaces: Option<String>,
}

/// What another plan would have paid, as far as that is known.
#[derive(Serialize, ToSchema)]
#[schema(as = WhatIf, example = json!({"id": "wif_01kar52v4e8qzr5n3m6x7p9tdc", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "state": "done", "failure": null, "from": "2026-01-01T00:00:00Z", "to": "2026-04-01T00:00:00Z", "replaces": null, "asked_by": "opr_01kar52v4e8qzr5n3m6x7p9tdc", "asked_at": "2026-04-02T07:00:00Z", "moved_at": "2026-04-02T07:00:04Z", "progress": {"partners": 41, "lines": 19959}, "currency": "GBP", "total": {"conversions": 19959, "paid": "14700.00", "paid_levels": "0.00", "would_pay": "18375.00", "would_pay_levels": "0.00", "provisional": "0.00", "delta": "3675.00"}}))]
pub struct WhatIfView {
    /// Its id.
    pub id: String,
    /// Of which program.
    pub program: String,
    /// `running`, `done` or `failed`.
    pub state: &'static str,
    /// Why it failed, if it did: `too_many_conversions`, `over_limit` or `unreadable`, with what to do.
    pub failure: Option<String>,
    /// From when on.
    pub from: String,
    /// Until when.
    pub to: String,
    /// The plan in whose place it would have paid.
    pub replaces: Option<String>,
    /// The operator who asked.
    pub asked_by: String,
    /// When.
    pub asked_at: String,
    /// When it last went on.
    pub moved_at: String,
    /// How far it has come.
    pub progress: WhatIfProgressView,
    /// The program's currency.
    pub currency: &'static str,
    /// What all partners come to; while it is running, those looked at so far.
    pub total: WhatIfFiguresView,
}

/// How far a what-if has come.
#[derive(Serialize, ToSchema)]
#[schema(as = WhatIfProgress)]
pub struct WhatIfProgressView {
    /// Partners looked at.
    pub partners: u64,
    /// Lines of history read: conversions and what follows from them.
    pub lines: u64,
}

/// What was paid, and would have been.
#[derive(Serialize, ToSchema)]
#[schema(as = WhatIfFigures)]
pub struct WhatIfFiguresView {
    /// Conversions.
    pub conversions: i64,
    /// What was paid for them, corrections included; adjustments by hand are in no figure.
    pub paid: String,
    /// What was paid of what partners below sold.
    pub paid_levels: String,
    /// What the plan would have paid for them.
    pub would_pay: String,
    /// What it would have paid of what partners below sold.
    pub would_pay_levels: String,
    /// What would wait behind a gate whose window does not end in the span; in no other figure.
    pub provisional: String,
    /// By how much more it would have paid in all.
    pub delta: String,
}

/// What a partner was paid, and would have been.
#[derive(Serialize, ToSchema)]
#[schema(as = WhatIfPartner)]
pub struct WhatIfPartnerView {
    /// Whose.
    pub partner: String,
    /// The figures.
    #[serde(flatten)]
    pub figures: WhatIfFiguresView,
}

/// A page of a what-if's partners.
#[derive(Serialize, ToSchema)]
#[schema(as = WhatIfPartnerList)]
pub struct WhatIfPartnerListView {
    /// `running`, `done` or `failed`: final once it is `done`.
    pub state: &'static str,
    /// By partner.
    pub items: Vec<WhatIfPartnerView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

fn what_if_figures(figures: &Figures, currency: Currency) -> Result<WhatIfFiguresView, MoneyError> {
    let Figures {
        conversions,
        paid,
        paid_levels,
        pays,
        pays_levels,
        provisional,
    } = *figures;
    let told = |minor: i64| Money::new(minor, currency).to_string();
    Ok(WhatIfFiguresView {
        conversions,
        paid: told(paid),
        paid_levels: told(paid_levels),
        would_pay: told(pays),
        would_pay_levels: told(pays_levels),
        provisional: told(provisional),
        delta: told(figures.delta()?),
    })
}

/// A what-if as it is shown.
///
/// # Errors
/// `OverLimit`.
pub fn what_if(what_if: &WhatIf) -> Result<WhatIfView, MoneyError> {
    let WhatIf {
        id,
        program,
        currency,
        terms: _,
        from,
        to,
        replaces,
        by,
        at,
        stage,
        moved_at,
        after: _,
        partners,
        lines,
        total,
        version: _,
    } = what_if;
    Ok(WhatIfView {
        id: id.to_string(),
        program: program.to_string(),
        state: stage.name(),
        failure: match stage {
            WhatIfStage::Failed(failure) => {
                Some(format!("{}: {}", failure.name(), failure.meaning()))
            }
            WhatIfStage::Running | WhatIfStage::Done => None,
        },
        from: from.to_string(),
        to: to.to_string(),
        replaces: replaces.clone(),
        asked_by: by.to_string(),
        asked_at: at.to_string(),
        moved_at: moved_at.to_string(),
        progress: WhatIfProgressView {
            partners: *partners,
            lines: *lines,
        },
        currency: currency.code(),
        total: what_if_figures(total, *currency)?,
    })
}

/// A partner of a what-if as it is shown.
///
/// # Errors
/// `OverLimit`.
pub fn what_if_partner(
    partner: PartnerId,
    figures: &Figures,
    currency: Currency,
) -> Result<WhatIfPartnerView, MoneyError> {
    Ok(WhatIfPartnerView {
        partner: partner.to_string(),
        figures: what_if_figures(figures, currency)?,
    })
}
