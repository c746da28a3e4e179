//! An invoice as a page to print. A pure function of what is stored: the same invoice gives the same bytes for
//! ever. A change of form is a new template beside the old one, never a change of it.

use std::fmt::Write;

use super::model::{Amounts, Invoice, Kind, Pricing, Vat};
use crate::clock::{Timestamp, stamp};
use crate::partners::model::{Address, TaxDetails};
use crate::reports::paper::{escape, page};

/// The page of an invoice; `party` is the partner, unless it was erased.
#[must_use]
pub fn html(invoice: &Invoice, party: Option<&TaxDetails>) -> String {
    let Invoice {
        id: _,
        kind,
        serial: _,
        number,
        template: _,
        program: _,
        program_name,
        partner,
        payout,
        corrects,
        issued_at,
        moved_at,
        cutoff,
        commissions,
        amounts,
        vat,
        issuer,
        legal_text,
    } = invoice;
    let (title, moved) = match kind {
        Kind::Invoice => ("Self-billing invoice", "Supplied and paid on"),
        Kind::CreditNote => ("Self-billing credit note", "Payment came back on"),
    };
    let mut body = format!(
        "<p>Issued on {}</p>\n<p>{moved} {}</p>\n",
        day(*issued_at),
        day(*moved_at)
    );
    if let Some(corrects) = corrects {
        let _ = writeln!(body, "<p>Takes back invoice {}</p>", escape(corrects));
    }
    let supplier = match party {
        Some(party) => details(party),
        None => "<p>(erased)</p>\n".to_owned(),
    };
    let _ = writeln!(
        body,
        "<div class=\"cols\">\n<div>\n<h2>Supplier</h2>\n{supplier}<p class=\"id\">{partner}</p>\n</div>\n\
         <div>\n<h2>Recipient, who issues this paper</h2>\n{}</div>\n</div>",
        details(issuer)
    );
    let currency = amounts.net.currency();
    let _ = writeln!(
        body,
        "<table>\n<thead><tr><th>Supply</th><th class=\"n\">Number</th><th class=\"n\">Net, {currency}</th></tr></thead>\n<tbody>\n\
         <tr><td>Commissions of the program {}, payable until {}<br><span class=\"id\">{payout}</span></td>\
         <td class=\"n\">{commissions}</td><td class=\"n\">{}</td></tr>",
        escape(program_name),
        day(*cutoff),
        amounts.net
    );
    body.push_str(&vat_rows(*amounts, vat));
    body.push_str("</tbody>\n</table>\n");
    if let Vat::ReverseCharge { text } = vat {
        let _ = writeln!(body, "<p class=\"pre\">{}</p>", escape(text));
    }
    if let Some(text) = legal_text {
        let _ = writeln!(body, "<p class=\"pre\">{}</p>", escape(text));
    }
    page(&format!("{title} {number}"), &body)
}

fn vat_rows(amounts: Amounts, vat: &Vat) -> String {
    let Amounts {
        net: _,
        vat: owed,
        gross,
        paid,
    } = amounts;
    let row = |class: &str, title: String, amount: String| {
        format!("<tr{class}><td colspan=\"2\">{title}</td><td class=\"n\">{amount}</td></tr>\n")
    };
    let title = match vat {
        Vat::None => "No VAT".to_owned(),
        Vat::Domestic { rate, .. } => {
            let percent = rate.decimal() * rust_decimal::Decimal::ONE_HUNDRED;
            format!("VAT {} %", percent.normalize())
        }
        Vat::ReverseCharge { .. } => "VAT owed by the recipient".to_owned(),
    };
    let mut rows = row("", title, owed.to_string());
    rows.push_str(&row(
        " class=\"sum\"",
        "Total".to_owned(),
        gross.to_string(),
    ));
    if let Vat::Domestic {
        pricing: Pricing::Exclusive,
        ..
    } = vat
    {
        rows.push_str(&row(
            "",
            "Of this paid as commission".to_owned(),
            paid.to_string(),
        ));
        rows.push_str(&row(
            "",
            "VAT paid apart from it".to_owned(),
            owed.to_string(),
        ));
    }
    rows
}

fn day(at: Timestamp) -> String {
    stamp(at)[..10].to_owned()
}

fn details(details: &TaxDetails) -> String {
    let TaxDetails {
        legal_name,
        address,
        vat_id,
        tax_id,
    } = details;
    let Address {
        line1,
        line2,
        city,
        region,
        postcode,
        country,
    } = address;
    let mut lines = vec![legal_name.clone(), line1.clone()];
    lines.extend(line2.clone());
    lines.push(format!("{postcode} {city}"));
    lines.extend(region.clone());
    lines.push(country.clone());
    lines.extend(vat_id.as_ref().map(|number| format!("VAT number {number}")));
    lines.extend(tax_id.as_ref().map(|number| format!("Tax number {number}")));
    lines
        .iter()
        .map(|line| format!("<p>{}</p>\n", escape(line)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{PartnerId, PayoutId, ProgramId};
    use crate::invoices::model::{TEMPLATE, amounts, number};
    use crate::money::Money;

    fn who(name: &str) -> TaxDetails {
        TaxDetails {
            legal_name: name.to_owned(),
            address: Address {
                line1: "1 Mill Lane".to_owned(),
                line2: None,
                city: "London".to_owned(),
                region: None,
                postcode: "N1 1AA".to_owned(),
                country: "GB".to_owned(),
            },
            vat_id: Some("GB123456789".to_owned()),
            tax_id: None,
        }
    }

    fn invoice() -> Invoice {
        let vat = Vat::Domestic {
            rate: "0.20".parse().unwrap(),
            pricing: Pricing::Inclusive,
        };
        let payout = PayoutId::from_bytes([3; 16]);
        let at = |text: &str| text.parse().unwrap();
        Invoice {
            id: Invoice::id_of(payout, Kind::Invoice),
            kind: Kind::Invoice,
            serial: 7,
            number: number("TB-", 7),
            template: TEMPLATE,
            program: ProgramId::from_bytes([1; 16]),
            program_name: "Spring & <Summer>".to_owned(),
            partner: PartnerId::from_bytes([2; 16]),
            payout,
            corrects: None,
            issued_at: at("2026-04-02T09:00:00Z"),
            moved_at: at("2026-04-02T08:59:00Z"),
            cutoff: at("2026-03-31T23:59:59Z"),
            commissions: 4,
            amounts: amounts(Money::new(5_880, "GBP".parse().unwrap()), &vat).unwrap(),
            vat,
            issuer: who("Vendor Ltd"),
            legal_text: Some("Under the self-billing agreement.\nThank you.".to_owned()),
        }
    }

    /// The SHA-256 of a page of template 1. Papers that were issued under it must not change, so neither may this.
    const TEMPLATE_1: &str = "a5d9ac47ce1c50680df6b28d7fc13c606ab1cf5943b337e6d46f5c5b7516b9af";

    #[test]
    fn an_issued_invoice_keeps_its_bytes() {
        use sha2::Digest;
        let hash = |page: &str| {
            let hash = sha2::Sha256::digest(page.as_bytes());
            hash.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let page = html(&invoice(), Some(&who("Ada & Co")));
        assert_eq!(hash(&page), TEMPLATE_1, "{page}");
    }

    #[test]
    fn a_credit_note_says_what_it_takes_back() {
        let at = "2026-05-01T00:00:00Z".parse().unwrap();
        let note = invoice().credited(9, "TB-", at, at).unwrap();
        let page = html(&note, None);
        for expected in [
            "<h1>Self-billing credit note TB-000009</h1>",
            "Takes back invoice TB-000007",
            "<td class=\"n\">-49.00</td>",
            "<td class=\"n\">-9.80</td>",
            "<td class=\"n\">-58.80</td>",
            "(erased)",
            "Spring &amp; &lt;Summer&gt;",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }
}
