//! The people of the vendor, and what each may do.

use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};
use tributary::edge::Path;

use crate::api::{Change, part};
use crate::components::fields::{Field, boxes, field, form};
use crate::components::{day, items, section, text};
use crate::failure::Failure;
use crate::form::{Draft, Form, Sent};
use crate::page::{Page, go};

const SCOPES: [&str; 4] = ["admin", "channel", "finance", "read"];

pub(super) async fn list(page: Page) -> Result<Response, Failure> {
    page.operator()?;
    let body = shown(&page, None, &Draft::default()).await?;
    Ok(page.show(&page.t("nav-operators"), body))
}

/// All operators, each with its own form, and one for a new one; `refused` names the form that is shown again.
async fn shown(page: &Page, refused: Option<&str>, draft: &Draft<'_>) -> Result<Markup, Failure> {
    let answer = page.api.get("/v1/operators?limit=200").await?;
    let none = Draft::default();
    let of = |id: Option<&str>| if refused == id { draft } else { &none };
    let (name, email) = (page.t("member-name"), page.t("member-email"));
    let new = html! {
        (field(&page.text, of(None), Field::text("name", &name).required()))
        (field(&page.text, of(None), Field::text("email", &email).kind("email").required()))
        (boxes(&page.text, of(None), "scopes", &page.t("operator-scopes"), &choices(page, &[])))
    };
    let new_draft = if draft.told.is_some() && refused.is_none() {
        draft
    } else {
        &none
    };
    Ok(html! {
        p { (page.t("operators-intro")) }
        @for operator in items(&answer, "items") {
            (one(page, operator, of(Some(text(operator, "id")))))
        }
        (section(&page.t("operator-new"), form(page, "/console/operators", None, &page.t("operator-add"), new_draft, new)))
    })
}

fn choices(page: &Page, has: &[Value]) -> Vec<(String, String, bool)> {
    let all = SCOPES.iter();
    all.map(|scope| {
        let words = page.text.word("scope", scope);
        let stands = has.iter().any(|one| one.as_str() == Some(*scope));
        ((*scope).to_owned(), words, stands)
    })
    .collect()
}

fn one(page: &Page, operator: &Value, draft: &Draft<'_>) -> Markup {
    let action = format!("/console/operators/{}", text(operator, "id"));
    let version = operator["version"].as_u64().unwrap_or_default().to_string();
    let has = items(operator, "scopes");
    let fields = boxes(
        &page.text,
        draft,
        "scopes",
        &page.t("operator-scopes"),
        &choices(page, has),
    );
    section(
        text(operator, "name"),
        html! {
            p.muted { (text(operator, "email")) " · " (day(&page.text, text(operator, "created_at"))) }
            (form(page, &action, Some(&version), &page.t("operator-save"), draft, fields))
        },
    )
}

fn scopes(form: &Form) -> Value {
    form.all("scopes").collect::<Vec<_>>().into()
}

pub(super) async fn create(sent: Sent) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    page.operator()?;
    let mut body = form.object(&["name", "email"]);
    body["scopes"] = scopes(&form);
    let change = Change {
        once: form.once(),
        ..Change::post("/v1/operators", body)
    };
    answered(&page, &form, None, change).await
}

pub(super) async fn amend(Path(id): Path<String>, sent: Sent) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    page.operator()?;
    let path = format!("/v1/operators/{}", part(&id));
    let change = Change {
        once: form.once(),
        version: form.version(),
        ..Change::post(&path, json!({ "scopes": scopes(&form) })).by(Method::PATCH)
    };
    answered(&page, &form, Some(&id), change).await
}

async fn answered(
    page: &Page,
    form: &Form,
    which: Option<&str>,
    change: Change<'_>,
) -> Result<Response, Failure> {
    match page.api.change(change).await {
        Ok(_) => Ok(go("/console/operators?done=operator_saved")),
        Err(Failure::Problem(told)) if told.status.as_u16() == 422 => {
            let body = shown(page, which, &Draft::refused(form, &told)).await?;
            Ok(page.refuse(&page.t("nav-operators"), body))
        }
        Err(failure) => Err(failure),
    }
}
