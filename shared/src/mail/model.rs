//! Mails: who is told of which event, and what a template becomes. Pure.

use std::collections::BTreeMap;

use crate::events::model::EventKind;

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The people of the partner that the event concerns.
    Partner,
    /// The operators whom the program names for notifications, and the one whom the event names as approver.
    Operators,
    /// Whoever made the application.
    Applicant,
    /// The people of every partner of the program; of a reminder, of those whom it concerns.
    Everyone,
}

/// What is sent about events of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Who is told.
    pub audience: Audience,
    /// As plain text; its first line is the subject.
    pub text: &'static str,
    /// As HTML.
    pub html: &'static str,
}

macro_rules! templates {
    ($($kind:ident $name:literal $audience:ident;)*) => {
        /// What is sent about events of that kind; `None` when nobody is told by mail.
        #[must_use]
        pub fn template(kind: EventKind) -> Option<Template> {
            match kind {
                $(EventKind::$kind => Some(Template {
                    audience: Audience::$audience,
                    text: include_str!(concat!("templates/", $name, ".txt")),
                    html: include_str!(concat!("templates/", $name, ".html")),
                }),)*
                _ => None,
            }
        }
    };
}

templates! {
    ApplicationInvited "application.invited" Applicant;
    ApplicationConfirmationAsked "application.confirmation_asked" Applicant;
    ApplicationSubmitted "application.submitted" Applicant;
    ApplicationInReview "application.in_review" Operators;
    ApplicationNeedsInformation "application.needs_information" Applicant;
    ApplicationApproved "application.approved" Applicant;
    ApplicationRejected "application.rejected" Applicant;
    AgreementPublished "agreement.published" Everyone;
    AgreementDue "agreement.due" Everyone;
    PartnerApproved "partner.approved" Partner;
    PartnerSuspended "partner.suspended" Partner;
    PartnerReinstated "partner.reinstated" Partner;
    PartnerBanned "partner.banned" Partner;
    PartnerArchived "partner.archived" Partner;
    PartnerMerged "partner.merged" Partner;
    PartnerMemberAdded "partner.member_added" Partner;
    PartnerPayoutMethodSet "partner.payout_method_set" Partner;
    PartnerOnboarded "partner.onboarded" Partner;
    DealSubmitted "deal.submitted" Operators;
    DealNeedsInformation "deal.needs_information" Partner;
    DealApproved "deal.approved" Partner;
    DealRejected "deal.rejected" Partner;
    DealExtended "deal.extended" Partner;
    DealWon "deal.won" Operators;
    DealExpiring "deal.expiring" Partner;
    DealExpired "deal.expired" Partner;
    DealWithdrawn "deal.withdrawn" Operators;
    DealDisputed "deal.disputed" Operators;
    DealDisputeDecided "deal.dispute_decided" Partner;
    DealEscalated "deal.escalated" Operators;
    LeadAskedAgain "lead.asked_again" Partner;
    LeadOffered "lead.offered" Partner;
    LeadOfferExpired "lead.offer_expired" Partner;
    LeadReclaimed "lead.reclaimed" Partner;
    LeadQueued "lead.queued" Operators;
    LeadWon "lead.won" Operators;
}

/// What stands in a mail beside the facts of its event.
pub const COMMON: [&str; 6] = ["name", "program", "subject", "link", "token", "note"];

/// Characters of a name by which somebody is greeted.
const MAX_GREETED: usize = 80;

/// A name as a mail greets by it: one line, of which no mail program makes a link. Whoever writes a name down may
/// write the address of a page instead, and a mailbox beside it that is somebody else's.
#[must_use]
pub fn greeted(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '/' | '\\' | ':' | '@' | '<' | '>' => plain.push(' '),
            '.' | '\u{3002}' | '\u{ff0e}' => {
                plain.push('.');
                // As in "J. R. Hartley", and not as in "example.com".
                if letters.peek().is_some_and(|next| next.is_alphanumeric()) {
                    plain.push(' ');
                }
            }
            other if other.is_control() => plain.push(' '),
            other => plain.push(other),
        }
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().take(MAX_GREETED).collect()
}

/// In which of its two forms a mail is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Text,
    /// With what HTML would read as its own written out.
    Html,
}

/// A mail without its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The subject, one line.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

impl Template {
    /// The mail that says these facts.
    #[must_use]
    pub fn written(&self, facts: &BTreeMap<String, String>) -> Written {
        let (subject, text) = self.text.split_once('\n').unwrap_or((self.text, ""));
        let subject = subject.strip_prefix("Subject: ").unwrap_or(subject);
        let subject = filled(subject, facts, Form::Text);
        Written {
            // A fact may hold a line break, and a header holds none.
            subject: subject.split_whitespace().collect::<Vec<_>>().join(" "),
            text: filled(text.trim_start_matches('\n'), facts, Form::Text),
            html: filled(self.html, facts, Form::Html),
        }
    }
}

/// A template with its placeholders filled. A line that asks for a fact that is not there is left out.
#[must_use]
pub fn filled(template: &str, facts: &BTreeMap<String, String>, form: Form) -> String {
    let mut text = String::with_capacity(template.len());
    for line in template.split_inclusive('\n') {
        if let Some(line) = filled_line(line, facts, form) {
            text.push_str(&line);
        }
    }
    text
}

fn filled_line(line: &str, facts: &BTreeMap<String, String>, form: Form) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (name, after) = behind.split_once("}}")?;
        text.push_str(before);
        let value = facts.get(name)?;
        match form {
            Form::Text => text.push_str(value),
            Form::Html => text.push_str(&escaped(value)),
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// Text that HTML reads as text, between tags and in quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::events::model::ALL_KINDS;

    fn asked(template: &str) -> BTreeSet<&str> {
        let names = template.split("{{").skip(1);
        names.map(|part| part.split_once("}}").unwrap().0).collect()
    }

    #[test]
    fn templates_ask_for_what_events_say_and_say_the_same_in_both_forms() {
        let mut files = 0;
        for kind in ALL_KINDS {
            let Some(template) = template(*kind) else {
                continue;
            };
            files += 2;
            let known: BTreeSet<&str> = kind
                .facts()
                .iter()
                .map(|fact| fact.name)
                .chain(COMMON)
                .collect();
            let (text, html) = (asked(template.text), asked(template.html));
            assert!(text.is_subset(&known), "{}: {text:?}", kind.name());
            assert_eq!(text, html, "{}", kind.name());
            assert!(template.text.starts_with("Subject: "), "{}", kind.name());
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mail/templates");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), files);
    }

    #[test]
    fn a_name_is_greeted_by_and_no_link() {
        for (name, greeting) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("Dr. Ada's Caf\u{e9} & Co.", "Dr. Ada's Caf\u{e9} & Co."),
            ("J.R. Hartley", "J. R. Hartley"),
            (
                "Win at https://evil.example/x",
                "Win at https evil. example x",
            ),
            ("ada@evil.example\r\nBcc", "ada evil. example Bcc"),
            ("evil\u{3002}example", "evil. example"),
        ] {
            assert_eq!(greeted(name), greeting);
        }
        assert_eq!(greeted(&"x".repeat(200)).len(), MAX_GREETED);
    }

    #[test]
    fn what_people_wrote_stays_text() {
        let facts = BTreeMap::from([
            ("name".to_owned(), "<b>Ada & \"Co\"</b>".to_owned()),
            (
                "program".to_owned(),
                "Spring\r\nBcc: all@example.com".to_owned(),
            ),
        ]);
        let template = Template {
            audience: Audience::Partner,
            text: "Subject: Hello from {{program}}\n\nHello {{name}},\nuntil {{then}}.\nBye\n",
            html: "<p>{{name}}</p>\n<p>{{then}}</p>\n",
        };
        let written = template.written(&facts);
        assert_eq!(written.subject, "Hello from Spring Bcc: all@example.com");
        assert_eq!(written.text, "Hello <b>Ada & \"Co\"</b>,\nBye\n");
        assert_eq!(
            written.html,
            "<p>&lt;b&gt;Ada &amp; &quot;Co&quot;&lt;/b&gt;</p>\n"
        );
    }
}
