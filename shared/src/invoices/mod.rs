//! Self-billing invoices: one for each payout that is settled while its program writes them, and a credit note
//! for each of those payouts that comes back.
//!
//! A payout that is settled is due for its invoice in the same transaction. `payout-run`, which the payout's
//! own stream record tells of it, issues the invoice; clockwork tells it again of what is still due.

pub mod error;
pub mod model;
pub mod page;
mod store;

use error::InvoiceError;
use model::{Invoice, Invoicing, Kind, TEMPLATE, VatTerms, Waits, amounts, number};

use crate::clock::{Timestamp, minutes_after};
use crate::edge::{App, Change, Queue, SEND_BATCH, Write};
use crate::ids::{InvoiceId, PartnerId, PayoutId, ProgramId};
use crate::partners::model::TaxDetails;
use crate::partners::{self, read_tax, write_tax};
use crate::payouts::model::{Payout, PayoutState};
use crate::payouts::store as payouts;
use crate::programs;
use crate::table::{self, Op, TransactError};

/// Tries of an invoice while others take its number: few functions issue at once.
const TRIES: u32 = 24;
/// How long an invoice that cannot be written waits until it is tried again.
const WAIT_MINUTES: i64 = 60;
/// Payouts told of again by one run, and waiting ones that are looked at for an answer.
const MAX_DUE: usize = 1_000;

// ---- Settings

/// What a program's settings shall be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether payouts that are settled from now on get an invoice.
    pub enabled: bool,
    /// The vendor.
    pub issuer: TaxDetails,
    /// Begins every number.
    pub prefix: String,
    /// Stands at the foot.
    pub legal_text: Option<String>,
    /// VAT.
    pub vat: VatTerms,
}

/// Sets how a program's invoices are written; `based_on` is the version that is replaced, if there is one.
/// Invoices that were issued stay as they are, and the series goes on.
///
/// # Errors
/// `ProgramNotFound`, `VersionMissing`, `Stale`, `Raced`; the table's.
pub async fn set(
    app: &App,
    id: ProgramId,
    based_on: Option<u64>,
    settings: Settings,
) -> Result<Change<Invoicing, InvoiceError>, InvoiceError> {
    let program = programs::program(app, id);
    let (program, before) =
        futures_util::future::try_join(program, store::find_settings(&app.main, id)).await?;
    program.ok_or(InvoiceError::ProgramNotFound(id))?;
    let version = before.as_ref().map_or(0, |before| before.version);
    match based_on {
        None if version > 0 => return Err(InvoiceError::VersionMissing),
        Some(based_on) if based_on != version => return Err(InvoiceError::Stale),
        _ => {}
    }
    let Settings {
        enabled,
        issuer,
        prefix,
        legal_text,
        vat,
    } = settings;
    let invoicing = Invoicing {
        program: id,
        enabled,
        issuer,
        prefix,
        legal_text,
        vat,
        updated_at: app.now(),
        version: version + 1,
    };
    let write = Write::new(store::save_settings(&invoicing)?, |_| InvoiceError::Raced);
    Ok(Change {
        value: invoicing,
        writes: vec![write],
    })
}

/// How a program's invoices are written.
///
/// # Errors
/// `NoSettings`, the table's.
pub async fn settings(app: &App, id: ProgramId) -> Result<Invoicing, InvoiceError> {
    store::find_settings(&app.main, id)
        .await?
        .ok_or(InvoiceError::NoSettings)
}

// ---- Reading

/// An invoice with the partner that it names, unless that was erased.
#[derive(Clone, Debug)]
pub struct Found {
    /// The invoice.
    pub invoice: Invoice,
    /// The partner.
    pub party: Option<TaxDetails>,
}

/// An invoice.
///
/// # Errors
/// `NotFound`, `Keyring`, the table's.
pub async fn find(app: &App, id: InvoiceId) -> Result<Found, InvoiceError> {
    let (invoice, sealed) = store::find(&app.main, id)
        .await?
        .ok_or(InvoiceError::NotFound(id))?;
    let party = sealed.map(|sealed| open(app, id, &sealed)).transpose()?;
    Ok(Found { invoice, party })
}

fn open(app: &App, id: InvoiceId, sealed: &str) -> Result<TaxDetails, InvoiceError> {
    let opened = app.keyring.open(&Invoice::party_place(id), sealed)?;
    Ok(read_tax(&opened)?)
}

/// A page of a partner's invoices, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn of_partner(
    app: &App,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Invoice>, Option<String>), InvoiceError> {
    Ok(store::of_partner(&app.main, partner, below, limit).await?)
}

/// A page of a program's invoices by their numbers, and the position to go on from.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn of_program(
    app: &App,
    program: ProgramId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Invoice>, Option<String>), InvoiceError> {
    if programs::program(app, program).await?.is_none() {
        return Err(InvoiceError::ProgramNotFound(program));
    }
    Ok(store::of_program(&app.main, program, after, limit).await?)
}

/// A payout that is settled and has no invoice yet.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Which.
    pub payout: Payout,
    /// Why, if it is known: without a reason it is about to get one.
    pub why: Option<Waits>,
}

/// Payouts of a program that wait for their invoice, at most [`MAX_DUE`] of all programs being looked at.
///
/// # Errors
/// The table's.
pub async fn waiting(app: &App, program: ProgramId) -> Result<Vec<Waiting>, InvoiceError> {
    let found = payouts::awaiting_invoice(&app.main, MAX_DUE).await?;
    let own = found
        .into_iter()
        .filter(|(payout, _)| payout.program == program);
    let why = |name: &str| Waits::ALL.into_iter().find(|known| known.name() == name);
    Ok(own
        .map(|(payout, reason)| Waiting {
            payout,
            why: reason.as_deref().and_then(why),
        })
        .collect())
}

// ---- payout-run: issuing

/// Issues what is due for a payout: the invoice of one that is settled, the credit note of one that came back
/// after it had an invoice. Whatever cannot be written now is tried again in an hour.
///
/// # Errors
/// The table's and the keyring's; safe to repeat.
pub async fn issue(app: &App, id: PayoutId) -> Result<(), InvoiceError> {
    let Some((payout, is_due)) = payouts::find_with_invoicing(&app.main, id, app.now()).await?
    else {
        return Ok(());
    };
    match payout.state {
        PayoutState::Settled if is_due => invoice(app, &payout).await,
        PayoutState::Returned if payout.settled_at.is_some() => credit(app, &payout).await,
        _ => Ok(()),
    }
}

async fn invoice(app: &App, payout: &Payout) -> Result<(), InvoiceError> {
    let settings = match store::find_settings(&app.main, payout.program).await? {
        Some(settings) if settings.enabled => settings,
        // Settled while invoices were written: it waits until they are again.
        Some(settings) if payout.settled_at.is_some_and(|at| at < settings.updated_at) => {
            return put_off(app, payout, Waits::SwitchedOff).await;
        }
        _ => {
            // Refused: it came back meanwhile.
            let _ = app.main.update(payouts::invoiced(payout)).await?;
            return Ok(());
        }
    };
    let Some((profile, party)) = partners::tax_profile(app, payout.partner).await? else {
        return put_off(app, payout, Waits::TaxProfileMissing).await;
    };
    let Some(vat) = settings.vat.of(profile.vat_treatment) else {
        return put_off(app, payout, Waits::VatTermsMissing).await;
    };
    let program = programs::program(app, payout.program)
        .await?
        .ok_or(InvoiceError::ProgramNotFound(payout.program))?;
    let id = Invoice::id_of(payout.id, Kind::Invoice);
    let draft = Invoice {
        id,
        kind: Kind::Invoice,
        serial: 0,
        number: String::new(),
        template: TEMPLATE,
        program: payout.program,
        program_name: program.name.clone(),
        partner: payout.partner,
        payout: payout.id,
        corrects: None,
        issued_at: app.now(),
        moved_at: payout.settled_at.unwrap_or_else(|| app.now()),
        cutoff: payout.cutoff,
        commissions: payout.lines,
        amounts: amounts(payout.amount, &vat)?,
        vat,
        issuer: settings.issuer,
        legal_text: settings.legal_text,
    };
    let sealed = seal(app, id, &party)?;
    for _ in 0..TRIES {
        let serial = store::next_serial(&app.main, payout.program).await?;
        let numbered = Invoice {
            serial,
            number: number(&settings.prefix, serial),
            ..draft.clone()
        };
        let mut ops = store::issue(&numbered, Some(sealed.clone()))?;
        // What came back meanwhile gets no invoice, and nobody issues one twice.
        ops.push(Op::Update(payouts::invoiced(payout)));
        match app.main.transact(&ops).await {
            Ok(()) => return Ok(()),
            Err(TransactError::Table(error)) => return Err(error.into()),
            Err(TransactError::Refused(_)) => {
                let standing =
                    payouts::find_with_invoicing(&app.main, payout.id, app.now()).await?;
                let is_due = standing.is_some_and(|(standing, is_due)| {
                    is_due && standing.state == PayoutState::Settled
                });
                if !is_due {
                    return Ok(());
                }
            }
        }
    }
    Err(InvoiceError::Raced)
}

fn seal(app: &App, id: InvoiceId, party: &TaxDetails) -> Result<String, InvoiceError> {
    let text = write_tax(party)?;
    Ok(app
        .keyring
        .seal(&Invoice::party_place(id), text.as_bytes())?)
}

async fn put_off(app: &App, payout: &Payout, why: Waits) -> Result<(), InvoiceError> {
    let until = minutes_after(app.now(), WAIT_MINUTES);
    let update = payouts::await_invoice(payout, until, why.name());
    // Refused: it came back, or another run has issued it.
    let _ = app.main.update(update).await?;
    Ok(())
}

/// The credit note of a payout that came back. It takes back what the invoice said, on whatever terms invoices
/// are written by now; its number is the next.
async fn credit(app: &App, payout: &Payout) -> Result<(), InvoiceError> {
    let invoiced = Invoice::id_of(payout.id, Kind::Invoice);
    let Some((invoice, sealed)) = store::find(&app.main, invoiced).await? else {
        return Ok(());
    };
    let id = Invoice::id_of(payout.id, Kind::CreditNote);
    let settings = store::find_settings(&app.main, payout.program).await?;
    let prefix = settings.map_or(String::new(), |settings| settings.prefix);
    let sealed = match sealed {
        Some(sealed) => Some(seal(app, id, &open(app, invoiced, &sealed)?)?),
        None => None,
    };
    let moved_at = payout.returned.as_ref().map_or(app.now(), |why| why.at);
    for _ in 0..TRIES {
        if store::find(&app.main, id).await?.is_some() {
            return Ok(());
        }
        let serial = store::next_serial(&app.main, payout.program).await?;
        let note = invoice.credited(serial, &prefix, app.now(), moved_at)?;
        match app
            .main
            .transact(&store::issue(&note, sealed.clone())?)
            .await
        {
            Ok(()) => return Ok(()),
            Err(TransactError::Table(error)) => return Err(error.into()),
            Err(TransactError::Refused(_)) => {}
        }
    }
    Err(InvoiceError::Raced)
}

// ---- clockwork

/// Tells `payout-run` again of payouts that are due for their invoice, and how many.
///
/// # Errors
/// The table's; `Busy` when messages were not taken. Safe to repeat.
pub async fn remind(app: &App, now: Timestamp) -> Result<usize, table::Error> {
    let due = payouts::due_for_invoice(&app.main, now, MAX_DUE).await?;
    let mut failed = 0;
    for batch in due.chunks(SEND_BATCH) {
        let messages: Vec<_> = batch
            .iter()
            .map(|payout| serde_json::json!({ "payout": payout }))
            .collect();
        failed += app.queues.send(Queue::Payouts, &messages).await.len();
    }
    if failed > 0 {
        return Err(table::Error::Busy(format!(
            "{failed} messages were not taken"
        )));
    }
    Ok(due.len())
}
