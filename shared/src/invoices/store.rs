//! Keys and items of invoices, their series and their settings.

use serde::{Deserialize, Serialize};

use super::model::{Amounts, Invoice, Invoicing, Kind, PRICINGS, Pricing, Vat, VatTerms};
use crate::clock::{Timestamp, stamp};
use crate::ids::{InvoiceId, PartnerId, PayoutId, ProgramId};
use crate::money::{Currency, Money, Rate};
use crate::partners::model::{VAT_TREATMENTS, VatTreatment};
use crate::partners::store::{read_tax, write_tax};
use crate::table::{
    AttributeValue, Condition, Error, Index, Key, Op, Put, Range, Table, Update, from_item,
};

fn series_partition(program: ProgramId) -> String {
    format!("PROG#{program}#INVOICES")
}

fn settings_key(program: ProgramId) -> Key {
    Key::new(series_partition(program), "SETTINGS")
}

fn series_key(program: ProgramId) -> Key {
    Key::new(series_partition(program), "SERIES")
}

/// The position of a number in its series; the digits make text order the order of numbers.
fn number_position(serial: u64) -> String {
    format!("NUMBER#{serial:012}")
}

fn invoice_key(id: InvoiceId) -> Key {
    Key::new(format!("INVOICE#{id}"), "INVOICE")
}

fn party_key(id: InvoiceId) -> Key {
    Key::new(format!("INVOICE#{id}"), "PARTY")
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("an invoice's {what}"))
}

fn named<T: Copy>(choices: &[(&str, T)], name: &str) -> Result<T, Error> {
    choices
        .iter()
        .find(|(word, _)| *word == name)
        .map(|(_, value)| *value)
        .ok_or_else(|| malformed("choice"))
}

fn rate(text: &str) -> Result<Rate, Error> {
    text.parse().map_err(|_| malformed("rate"))
}

// ---- Settings

#[derive(Serialize, Deserialize)]
struct SettingsItem {
    pk: String,
    sk: String,
    program: ProgramId,
    enabled: bool,
    issuer: String,
    prefix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legal_text: Option<String>,
    vat: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    pricing: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reverse_charge_text: Option<String>,
    updated_at: Timestamp,
    version: u64,
}

/// The put of first settings, or the change of those of the version before.
///
/// # Errors
/// Never for well-formed settings.
pub fn save_settings(saved: &Invoicing) -> Result<Op, Error> {
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
    } = saved.clone();
    let Key { pk, sk } = settings_key(program);
    let item = SettingsItem {
        pk,
        sk,
        program,
        enabled,
        issuer: write_tax(&issuer)?,
        prefix,
        legal_text,
        vat: treatment.name().to_owned(),
        rate: rate.map(|rate| rate.to_string()),
        pricing: pricing.name().to_owned(),
        reverse_charge_text,
        updated_at,
        version,
    };
    if version == 1 {
        return Ok(Op::Put(Put::new(&item)?));
    }
    let before = AttributeValue::N((version - 1).to_string());
    let change = Update::rewrite(&item, &["legal_text", "rate", "reverse_charge_text"])?;
    Ok(Op::Update(
        change.only_if(Condition::equals("version", before)),
    ))
}

fn settings(item: SettingsItem) -> Result<Invoicing, Error> {
    let SettingsItem {
        pk: _,
        sk: _,
        program,
        enabled,
        issuer,
        prefix,
        legal_text,
        vat,
        rate: basis,
        pricing,
        reverse_charge_text,
        updated_at,
        version,
    } = item;
    Ok(Invoicing {
        program,
        enabled,
        issuer: read_tax(issuer.as_bytes())?,
        prefix,
        legal_text,
        vat: VatTerms {
            treatment: named(VAT_TREATMENTS, &vat)?,
            rate: basis.as_deref().map(rate).transpose()?,
            pricing: named(PRICINGS, &pricing)?,
            reverse_charge_text,
        },
        updated_at,
        version,
    })
}

/// A program's settings.
///
/// # Errors
/// The table's.
pub async fn find_settings(table: &Table, program: ProgramId) -> Result<Option<Invoicing>, Error> {
    table
        .get::<SettingsItem>(&settings_key(program))
        .await?
        .map(settings)
        .transpose()
}

// ---- The series

#[derive(Serialize, Deserialize)]
struct SeriesItem {
    next: u64,
}

#[derive(Serialize, Deserialize)]
struct NumberItem {
    pk: String,
    sk: String,
    invoice: InvoiceId,
}

/// The next number of a program's series.
///
/// # Errors
/// The table's.
pub async fn next_serial(table: &Table, program: ProgramId) -> Result<u64, Error> {
    let series: Option<SeriesItem> = table.get(&series_key(program)).await?;
    Ok(series.map_or(1, |series| series.next))
}

// ---- Invoices

#[derive(Serialize, Deserialize)]
struct InvoiceItem {
    pk: String,
    sk: String,
    list_pk: String,
    list_sk: String,
    id: InvoiceId,
    kind: String,
    serial: u64,
    number: String,
    template: u32,
    program: ProgramId,
    program_name: String,
    partner: PartnerId,
    payout: PayoutId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corrects: Option<String>,
    issued_at: Timestamp,
    moved_at: Timestamp,
    cutoff: Timestamp,
    commissions: u64,
    currency: String,
    net_minor: i64,
    vat_minor: i64,
    paid_minor: i64,
    vat: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pricing: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reverse_charge_text: Option<String>,
    issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legal_text: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PartyItem {
    pk: String,
    sk: String,
    sealed: String,
}

fn item_of(invoice: &Invoice) -> Result<InvoiceItem, Error> {
    let Invoice {
        id,
        kind,
        serial,
        number,
        template,
        program,
        program_name,
        partner,
        payout,
        corrects,
        issued_at,
        moved_at,
        cutoff,
        commissions,
        amounts:
            Amounts {
                net,
                vat: owed,
                gross: _,
                paid,
            },
        vat,
        issuer,
        legal_text,
    } = invoice.clone();
    let Key { pk, sk } = invoice_key(id);
    let treatment = vat.treatment().name().to_owned();
    let (rate, pricing, reverse_charge_text) = match vat {
        Vat::None => (None, None, None),
        Vat::Domestic { rate, pricing } => (
            Some(rate.to_string()),
            Some(pricing.name().to_owned()),
            None,
        ),
        Vat::ReverseCharge { text } => (None, None, Some(text)),
    };
    Ok(InvoiceItem {
        pk,
        sk,
        list_pk: format!("INVOICES#{partner}"),
        // Of one instant, in the order of their numbers.
        list_sk: format!("{}#{serial:012}#{id}", stamp(issued_at)),
        id,
        kind: kind.name().to_owned(),
        serial,
        number,
        template,
        program,
        program_name,
        partner,
        payout,
        corrects,
        issued_at,
        moved_at,
        cutoff,
        commissions,
        currency: net.currency().code().to_owned(),
        net_minor: net.minor(),
        vat_minor: owed.minor(),
        paid_minor: paid.minor(),
        vat: treatment,
        rate,
        pricing,
        reverse_charge_text,
        issuer: write_tax(&issuer)?,
        legal_text,
    })
}

fn vat(
    treatment: &str,
    basis: Option<String>,
    pricing: Option<String>,
    text: Option<String>,
) -> Result<Vat, Error> {
    Ok(
        match (named(VAT_TREATMENTS, treatment)?, basis, pricing, text) {
            (VatTreatment::None, ..) => Vat::None,
            (VatTreatment::Domestic, Some(basis), Some(pricing), _) => Vat::Domestic {
                rate: rate(&basis)?,
                pricing: named::<Pricing>(PRICINGS, &pricing)?,
            },
            (VatTreatment::ReverseCharge, _, _, Some(text)) => Vat::ReverseCharge { text },
            _ => return Err(malformed("VAT")),
        },
    )
}

fn invoice(item: InvoiceItem) -> Result<Invoice, Error> {
    let InvoiceItem {
        pk: _,
        sk: _,
        list_pk: _,
        list_sk: _,
        id,
        kind,
        serial,
        number,
        template,
        program,
        program_name,
        partner,
        payout,
        corrects,
        issued_at,
        moved_at,
        cutoff,
        commissions,
        currency,
        net_minor,
        vat_minor,
        paid_minor,
        vat: treatment,
        rate,
        pricing,
        reverse_charge_text,
        issuer,
        legal_text,
    } = item;
    let currency: Currency = currency.parse().map_err(|_| malformed("currency"))?;
    let money = |minor| Money::new(minor, currency);
    let gross = money(net_minor)
        .plus(money(vat_minor))
        .map_err(|_| malformed("total"))?;
    Ok(Invoice {
        id,
        kind: Kind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| malformed("kind"))?,
        serial,
        number,
        template,
        program,
        program_name,
        partner,
        payout,
        corrects,
        issued_at,
        moved_at,
        cutoff,
        commissions,
        amounts: Amounts {
            net: money(net_minor),
            vat: money(vat_minor),
            gross,
            paid: money(paid_minor),
        },
        vat: vat(&treatment, rate, pricing, reverse_charge_text)?,
        issuer: read_tax(issuer.as_bytes())?,
        legal_text,
    })
}

/// All that issues an invoice: its put, that of its partner's sealed details where they are known, that of its
/// number, and the step of the series, which is refused when another took the number. One transaction, so that
/// no number is left out and none is given twice.
///
/// # Errors
/// Never for a well-formed invoice.
pub fn issue(issued: &Invoice, party: Option<String>) -> Result<Vec<Op>, Error> {
    let Invoice {
        id,
        serial,
        program,
        ..
    } = *issued;
    let next = |serial: u64| AttributeValue::N(serial.to_string());
    let before = if serial == 1 {
        Condition::default().and_absent("next")
    } else {
        Condition::equals("next", next(serial))
    };
    let step = Update::at(series_key(program)).set("next", next(serial + 1));
    let number = NumberItem {
        pk: series_partition(program),
        sk: number_position(serial),
        invoice: id,
    };
    let mut ops = vec![
        Op::Put(Put::new(&item_of(issued)?)?),
        Op::Put(Put::new(&number)?),
        Op::Update(step.only_if(before)),
    ];
    if let Some(sealed) = party {
        let Key { pk, sk } = party_key(id);
        ops.push(Op::Put(Put::new(&PartyItem { pk, sk, sealed })?));
    }
    Ok(ops)
}

/// An invoice with its partner's sealed details, unless those were erased.
///
/// # Errors
/// The table's.
pub async fn find(
    table: &Table,
    id: InvoiceId,
) -> Result<Option<(Invoice, Option<String>)>, Error> {
    let mut items = table.get_many([invoice_key(id), party_key(id)]).await?;
    let Some(item) = items.remove(&invoice_key(id)) else {
        return Ok(None);
    };
    let party = items
        .remove(&party_key(id))
        .map(from_item::<PartyItem>)
        .transpose()?;
    Ok(Some((
        invoice(from_item(item)?)?,
        party.map(|party| party.sealed),
    )))
}

async fn read_all(table: &Table, ids: &[InvoiceId]) -> Result<Vec<Invoice>, Error> {
    let mut items = table
        .get_many(ids.iter().map(|id| invoice_key(*id)))
        .await?;
    ids.iter()
        .filter_map(|id| items.remove(&invoice_key(*id)))
        .map(|item| invoice(from_item(item)?))
        .collect()
}

/// A page of a partner's invoices, newest first, below a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn of_partner(
    table: &Table,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Invoice>, Option<String>), Error> {
    let mut range =
        Range::partition(Index::List, format!("INVOICES#{partner}"), limit).newest_first();
    if let Some(below) = below {
        range = range.below(below);
    }
    let (entries, more) = table.entries(&range).await?;
    let ids: Vec<InvoiceId> = entries
        .iter()
        .filter_map(|entry| entry.key.pk.strip_prefix("INVOICE#")?.parse().ok())
        .collect();
    let position = entries.last().filter(|_| more);
    let position = position.map(|entry| entry.sort.clone());
    Ok((read_all(table, &ids).await?, position))
}

/// A page of a program's series, by number, after a position; and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn of_program(
    table: &Table,
    program: ProgramId,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Invoice>, Option<String>), Error> {
    // Never among the partition's other items, whatever position a caller makes up.
    let low = after
        .map(|after| format!("{after}\0"))
        .filter(|low| low.starts_with("NUMBER#"))
        .unwrap_or_else(|| "NUMBER#".to_owned());
    let range =
        Range::partition(Index::Base, series_partition(program), limit).between(low, "NUMBER#~");
    let page = table.page(&range).await?;
    let last = page.items.last().and_then(Key::of).filter(|_| page.more);
    let ids = page
        .items
        .into_iter()
        .map(|item| from_item::<NumberItem>(item).map(|number| number.invoice))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((read_all(table, &ids).await?, last.map(|key| key.sk)))
}
