//! Sending mail: a small port over Amazon SES.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{DisplayErrorContext, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};

/// A mail to one person, in both forms.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The address.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

impl std::fmt::Debug for Letter {
    /// Without a word of it: it holds an address and perhaps a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter(•••)")
    }
}

/// An address in the form in which mail services take it: the domain in the ASCII form of IDNA. `None` for one
/// that has none, as with other letters than ASCII's in front of the @.
pub(super) fn ascii_address(address: &str) -> Option<String> {
    if address.is_ascii() {
        return Some(address.to_owned());
    }
    let (local, domain) = address.rsplit_once('@')?;
    let url::Host::Domain(domain) = url::Host::parse(domain).ok()? else {
        return None;
    };
    local.is_ascii().then(|| format!("{local}@{domain}"))
}

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It may be taken later: too many at once, or no answer. It may have been taken all the same.
    #[error("the mail was not taken now: {0}")]
    Later(String),
    /// It never will be, as it is.
    #[error("the mail was refused: {0}")]
    Refused(String),
}

/// The mail service and whom mails come from.
#[derive(Clone, Debug)]
pub struct Mailer {
    client: Client,
    sender: String,
}

impl Mailer {
    /// A mailer that sends as `sender`.
    #[must_use]
    pub fn new(client: Client, sender: impl Into<String>) -> Self {
        Self {
            client,
            sender: sender.into(),
        }
    }

    /// Whether a sender was configured; without one nothing can be sent.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.sender.is_empty()
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// `Later`, `Refused`.
    pub async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let Letter {
            to,
            subject,
            text,
            html,
        } = letter;
        let to = ascii_address(to)
            .ok_or_else(|| MailError::Refused("the address has no ASCII form".to_owned()))?;
        let content = |data: &str| {
            let content = Content::builder().data(data).charset("UTF-8").build();
            content.map_err(|error| MailError::Refused(error.to_string()))
        };
        let body = Body::builder()
            .text(content(text)?)
            .html(content(html)?)
            .build();
        let message = Message::builder()
            .subject(content(subject)?)
            .body(body)
            .build();
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.sender)
            .destination(Destination::builder().to_addresses(to).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            // SES may repeat an address in its message, which no log may hold.
            Err(SdkError::ServiceError(context)) => match context.err() {
                // A sender that is not verified yet is the deployment's fault: the mail waits for it.
                SendEmailError::MessageRejected(rejected)
                    if rejected
                        .message()
                        .is_some_and(|message| message.contains("not verified")) =>
                {
                    Err(MailError::Later("the sender is not verified".to_owned()))
                }
                SendEmailError::MessageRejected(_) | SendEmailError::BadRequestException(_) => {
                    Err(MailError::Refused("the service refuses it".to_owned()))
                }
                other => {
                    use aws_sdk_sesv2::error::ProvideErrorMetadata;
                    let code = other.code().unwrap_or("unknown");
                    Err(MailError::Later(code.to_owned()))
                }
            },
            Err(other) => Err(MailError::Later(DisplayErrorContext(&other).to_string())),
        }
    }
}
