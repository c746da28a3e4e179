//! Reading accounts, referrals and questions.

use serde_json::Value;
use tributary::channel::model::MAX_PRODUCT_LINES;
use tributary::claims::records::{Account, Question, Referral};
use tributary::customers::model::Company;
use tributary::customers::wire::{company, described};
use tributary::edge::{App, Fields, Problem, codes};
use tributary::ids::{PartnerId, ProgramId};
use tributary::programs::model::{Coupon, MAX_CODE};
use tributary::tracking::model::{MAX_CUSTOMER, normal_customer};

/// Characters of an opportunity's id in the vendor's CRM.
const MAX_OPPORTUNITY: usize = 64;
/// Characters of a note.
const MAX_NOTE: usize = 500;
/// Longer than any click id.
const MAX_CLICK_ID: usize = 4096;

/// A customer that can be found again.
fn identified(f: &mut Fields<'_>) -> Option<Company> {
    let found = company(f)?;
    if found.identifiers.is_empty() {
        let reason = "a claim is to a customer with a domain, an email, a tax_id or a crm_id";
        f.refuse(codes::REQUIRED, "domain", reason);
        return None;
    }
    Some(found)
}

fn product_lines(f: &mut Fields<'_>) -> Option<Vec<String>> {
    let given = f.raw("product_lines").is_some();
    let lines = f.opt_texts("product_lines", 0, MAX_PRODUCT_LINES, MAX_CODE);
    if given { lines } else { Some(Vec::new()) }
}

pub(crate) fn account(body: &Value) -> Result<Account, Problem> {
    Fields::read(body, |f| {
        let company = f.object("customer", identified);
        let opportunity = f.opt_text("opportunity", MAX_OPPORTUNITY);
        let product_lines = product_lines(f);
        let from = f.opt_time("from");
        let until = f.opt_time("until");
        let note = f.opt_text("note", MAX_NOTE);
        Some(Account {
            company: company?,
            opportunity,
            product_lines: product_lines?,
            from,
            until,
            note,
        })
    })
}

pub(crate) fn referral(body: &Value, own: Option<PartnerId>) -> Result<Referral, Problem> {
    Fields::read(body, |f| {
        let partner = match own {
            Some(own) => Some(f.opt_id("partner").unwrap_or(own)),
            None => f.id("partner"),
        };
        let company = f.object("customer", identified);
        let product_lines = product_lines(f);
        let note = f.opt_text("note", MAX_NOTE);
        Some(Referral {
            partner: partner?,
            company: company?,
            product_lines: product_lines?,
            note,
        })
    })
}

pub(crate) fn question(app: &App, program: ProgramId, body: &Value) -> Result<Question, Problem> {
    Fields::read(body, |f| {
        let company = f.opt_object("customer", described);
        let at = f.opt_time("at");
        let product_lines = product_lines(f);
        let coupon = f
            .opt_text("coupon", MAX_CODE)
            .map(|code| Coupon::normal(&code));
        let click = f.opt_parsed(
            "click_id",
            MAX_CLICK_ID,
            codes::CLICK_ID_INVALID,
            codes::CLICK_ID_INVALID.meaning,
            |text| app.keyring.verify_click(program, text),
        );
        let reference = f.opt_text("reference", MAX_CUSTOMER).map(|reference| {
            app.keyring
                .reference(&format!("customer:{program}"), &normal_customer(&reference))
        });
        let is_about_somebody = ["customer", "coupon", "click_id", "reference"]
            .iter()
            .any(|name| f.raw(name).is_some());
        if !is_about_somebody {
            let reason = "name the customer, a coupon, a click_id or a reference";
            f.refuse(codes::REQUIRED, "customer", reason);
        }
        Some(Question {
            company: company.unwrap_or_default(),
            at,
            product_lines: product_lines?,
            coupon,
            click,
            reference,
        })
    })
}
