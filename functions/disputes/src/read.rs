//! Reading what partners say and what operators decide.

use serde_json::Value;
use tributary::disputes::model::{
    DISPUTE_KINDS, Dispute, DisputeKind, Evidence, MAX_EVIDENCE, MAX_LINK, MAX_LINKS, MAX_NOTE,
    REASONS, Transaction, VERDICTS, is_link,
};
use tributary::disputes::{Asked, NewDecision, NewDispute, Subject};
use tributary::edge::{App, Fields, Problem, codes};
use tributary::ids::OperatorId;
use tributary::money::Money;
use tributary::programs::model::{MAX_CODE, Program, is_event};
use tributary::tracking::model::{DEFAULT_EVENT, MAX_REFERENCE};
use tributary::tracking::posting;

pub(crate) fn dispute(body: &Value) -> Result<NewDispute, Problem> {
    Fields::read(body, |f| {
        let program = f.id("program");
        let kind = f.choice("kind", DISPUTE_KINDS);
        let subject = subject(f);
        let occurred_at = f.time("occurred_at");
        let expected = match (kind, f.raw("expected_amount").is_some()) {
            (Some(DisputeKind::WrongAmount), _) | (_, true) => expected(f).map(Some),
            _ => {
                f.raw("currency");
                Some(None)
            }
        };
        let evidence = f.object("evidence", evidence);
        Some(NewDispute {
            program: program?,
            kind: kind?,
            subject: subject?,
            occurred_at: occurred_at?,
            expected: expected?,
            evidence: evidence?,
        })
    })
}

fn subject(f: &mut Fields<'_>) -> Option<Subject> {
    let by_id = f.raw("conversion").is_some();
    let by_transaction = f.raw("transaction_id").is_some() | f.raw("event").is_some();
    match (by_id, by_transaction) {
        (true, false) => f.id("conversion").map(Subject::Conversion),
        (true, true) => {
            let reason = "name either the conversion or the transaction";
            f.refuse(codes::UNKNOWN_FIELD, "transaction_id", reason);
            None
        }
        (false, _) => {
            let event = f.opt_parsed(
                "event",
                MAX_CODE,
                codes::CHARACTERS_REFUSED,
                "is an event's name such as sale",
                |text| is_event(text).then(|| text.to_owned()),
            );
            let transaction_id = f.text("transaction_id", MAX_REFERENCE);
            Some(Subject::Transaction(Transaction {
                event: event.unwrap_or_else(|| DEFAULT_EVENT.to_owned()),
                transaction_id: transaction_id?,
            }))
        }
    }
}

fn expected(f: &mut Fields<'_>) -> Option<Money> {
    let Some(currency) = f.currency("currency") else {
        f.raw("expected_amount");
        return None;
    };
    f.amount("expected_amount", currency)
}

fn evidence(f: &mut Fields<'_>) -> Option<Evidence> {
    let text = f.prose("text", MAX_EVIDENCE);
    let links = f.opt_texts("links", 0, MAX_LINKS, MAX_LINK);
    let links = links.unwrap_or_default();
    for (position, link) in links.iter().enumerate() {
        if !is_link(link) {
            let field = format!("links[{position}]");
            let reason = "is an https address such as https://files.example/receipt.pdf";
            f.refuse(codes::URL_MALFORMED, &field, reason);
        }
    }
    Some(Evidence { text: text?, links })
}

/// Reads a decision; what it still needs to know is on which version it is based, and by whom it is made.
pub(crate) fn decision(
    app: &App,
    body: &Value,
    dispute: &Dispute,
    program: &Program,
) -> Result<impl FnOnce(u64, OperatorId) -> NewDecision, Problem> {
    let (verdict, reason, note, asked) = Fields::read(body, |f| {
        let verdict = f.choice("outcome", VERDICTS);
        let reason = f.choice("reason", REASONS);
        let note = f.opt_text("note", MAX_NOTE);
        let stated = ["conversion", "amendment", "adjustment"].map(|name| f.raw(name).is_some());
        let asked = match stated {
            [false, false, false] => Some(None),
            [true, false, false] => conversion(f, app, dispute, program).map(Some),
            [false, true, false] => f.object("amendment", amendment).map(Some),
            [false, false, true] => f.object("adjustment", |f| adjustment(f, program)).map(Some),
            [_, _, is_third] => {
                let last = if is_third { "adjustment" } else { "amendment" };
                let reason = "state one of conversion, amendment and adjustment";
                f.refuse(codes::UNKNOWN_FIELD, last, reason);
                None
            }
        };
        Some((verdict?, reason?, note, asked?))
    })?;
    Ok(move |based_on, by| NewDecision {
        based_on,
        verdict,
        reason,
        note,
        asked,
        by,
    })
}

fn conversion(
    f: &mut Fields<'_>,
    app: &App,
    dispute: &Dispute,
    program: &Program,
) -> Option<Asked> {
    let (event, transaction_id) = dispute
        .transaction
        .clone()
        .map(
            |Transaction {
                 event,
                 transaction_id,
             }| (event, transaction_id),
        )
        .unzip();
    let about = posting::About {
        event: event.unwrap_or_else(|| DEFAULT_EVENT.to_owned()),
        transaction_id,
        occurred_at: dispute.occurred_at,
    };
    let now = app.now();
    let told = f.object("conversion", |f| {
        posting::told(f, &app.keyring, program, now, about)
    })?;
    Some(Asked::Conversion(Box::new(told)))
}

fn adjustment(f: &mut Fields<'_>, program: &Program) -> Option<Asked> {
    let Some(currency) = f.currency("currency") else {
        f.raw("amount");
        return None;
    };
    if currency != program.currency {
        let reason = format!("is the program's, {}", program.currency.code());
        f.refuse(codes::CURRENCY_MISMATCH, "currency", reason);
    }
    let amount = f.amount("amount", currency)?;
    if amount.is_zero() {
        f.refuse(codes::OUT_OF_RANGE, "amount", "is more than zero");
    }
    Some(Asked::Adjustment(amount))
}

fn amendment(f: &mut Fields<'_>) -> Option<Asked> {
    let Some(currency) = f.currency("currency") else {
        f.raw("amount");
        return None;
    };
    f.amount("amount", currency).map(Asked::Amendment)
}
