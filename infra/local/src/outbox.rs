//! The mails that were sent: SES as far as this process needs it. They stay here and are read by people who try
//! things out; none of them goes anywhere.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::connector::AwsError;

/// Mails that are kept; the oldest leave first. They are gone with the process.
const KEPT: usize = 1_000;

/// A mail that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// Its number, from 1.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

#[derive(Debug, Default)]
struct Held {
    sent: u64,
    mails: VecDeque<Mail>,
}

/// The mails as a page, each as plain text, with its links to open.
#[must_use]
pub fn page(mails: &[Mail]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Outbox</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <style>body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}\
         article{border-top:1px solid #999;padding:1rem 0}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}\
         </style></head><body><h1>Outbox</h1><p>Mails that were sent, the newest first. None of them left this machine.</p>",
    );
    if mails.is_empty() {
        page.push_str("<p>No mail was sent yet.</p>");
    }
    for mail in mails {
        let text: String = mail
            .text
            .split_inclusive(char::is_whitespace)
            .map(linked)
            .collect();
        page.push_str(&format!(
            "<article><h2>{}</h2><p>to {} · {}</p><pre>{text}</pre></article>",
            escaped(&mail.subject),
            escaped(&mail.to),
            mail.at,
        ));
    }
    page.push_str("</body></html>");
    page
}

/// A word, as a link where it is an address of this machine or of the web.
fn linked(word: &str) -> String {
    let plain = word.trim_end();
    if !plain.starts_with("http://") && !plain.starts_with("https://") {
        return escaped(word);
    }
    let rest = &word[plain.len()..];
    let plain = escaped(plain);
    format!("<a href=\"{plain}\">{plain}</a>{rest}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The mails that were sent. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<Held>>);

impl Outbox {
    /// The mails, the oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.mails.iter().cloned().collect()
    }

    /// Takes what `SendEmail` of SES's version 2 takes: one recipient, a simple message in both forms.
    pub(crate) fn send(&self, request: &Value, now_ms: i64) -> Result<Value, AwsError> {
        let text = |pointer: &str| request.pointer(pointer).and_then(Value::as_str);
        let part = |pointer: &str| {
            text(pointer).map(str::to_owned).ok_or_else(|| AwsError {
                status: 400,
                body: json!({ "__type": "BadRequestException", "message": format!("{pointer} is missing") }),
                query_error: None,
            })
        };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mail = Mail {
            id: held.sent + 1,
            at: Timestamp::from_millisecond(now_ms).unwrap_or_default(),
            from: part("/FromEmailAddress")?,
            to: part("/Destination/ToAddresses/0")?,
            subject: part("/Content/Simple/Subject/Data")?,
            text: part("/Content/Simple/Body/Text/Data")?,
            html: part("/Content/Simple/Body/Html/Data")?,
        };
        let id = mail.id;
        held.sent = id;
        held.mails.push_back(mail);
        if held.mails.len() > KEPT {
            held.mails.pop_front();
        }
        Ok(json!({ "MessageId": format!("local-{id:016x}") }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_kept_in_their_order_and_half_a_mail_is_refused() {
        let outbox = Outbox::default();
        let whole = json!({
            "FromEmailAddress": "a@vendor.example",
            "Destination": { "ToAddresses": ["b@partner.example"] },
            "Content": { "Simple": {
                "Subject": { "Data": "Hello" },
                "Body": { "Text": { "Data": "plain" }, "Html": { "Data": "<p>rich</p>" } },
            } },
        });
        for _ in 0..=KEPT {
            outbox.send(&whole, 0).unwrap();
        }
        let kept = outbox.mails();
        assert_eq!((kept.len(), kept[0].id), (KEPT, 2));
        assert_eq!(kept[0].to, "b@partner.example");
        let shown = page(&kept[..1]);
        assert!(shown.contains("to b@partner.example"));
        let link = Mail {
            text: "open http://127.0.0.1:8080/sign-in/link?token=a&b\n<b>".to_owned(),
            ..kept[0].clone()
        };
        let shown = page(&[link]);
        let anchor = "<a href=\"http://127.0.0.1:8080/sign-in/link?token=a&amp;b\">";
        assert!(
            shown.contains(anchor) && shown.contains("&lt;b&gt;"),
            "{shown}"
        );
        let half = json!({ "FromEmailAddress": "a@vendor.example" });
        assert_eq!(outbox.send(&half, 0).unwrap_err().status, 400);
    }
}
