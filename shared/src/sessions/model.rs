//! Signing in and sessions: pure rules.

use crate::clock::{Timestamp, days_after, minutes_after};
use crate::ids::{KeyId, SignInId};
use crate::people::model::Person;

/// Minutes that a mailed link is good for.
pub const LINK_MINUTES: i64 = 15;
/// Hours after which an operator signs in anew: a browser with the vendor's money in reach.
const OPERATOR_HOURS: i64 = 12;
/// Days after which a partner signs in anew.
const PARTNER_DAYS: u32 = 30;
/// Links that may be asked for with one address within an hour, and from one network.
pub const LINKS_AN_HOUR: u8 = 30;
/// Characters of what a browser calls itself that are kept.
pub const MAX_BROWSER: usize = 120;

/// A wish to sign in: a link was, or will be, mailed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Id; the link's token is derived from it.
    pub id: SignInId,
    /// The address, sealed.
    pub sealed: String,
    /// SHA-256 of what only the browser that asked holds, hex.
    pub browser: String,
    /// In which language the mail is written, such as `en`.
    pub language: String,
    /// Until when the link is good.
    pub until: Timestamp,
    /// When it was used.
    pub redeemed_at: Option<Timestamp>,
}

impl SignIn {
    /// Why the link signs nobody in; `None` when it does.
    #[must_use]
    pub fn unfit(&self, browser: Option<&str>, now: Timestamp) -> Option<Unfit> {
        if self.redeemed_at.is_some() {
            return Some(Unfit::Used);
        }
        if now >= self.until {
            return Some(Unfit::Late);
        }
        (browser != Some(self.browser.as_str())).then_some(Unfit::ElsewhereAsked)
    }

    /// Until when a link is good that is asked for now.
    #[must_use]
    pub fn good_until(now: Timestamp) -> Timestamp {
        minutes_after(now, LINK_MINUTES)
    }
}

/// Why a link signs nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// No such link was ever sent.
    Unknown,
    /// It was used before.
    Used,
    /// Its minutes are over.
    Late,
    /// Another browser asked for it.
    ElsewhereAsked,
}

/// A browser that is signed in. It holds a secret of which the hash is kept, as of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Id.
    pub id: KeyId,
    /// SHA-256 of the whole secret, hex.
    pub hash: String,
    /// As whom.
    pub person: Person,
    /// What the browser calls itself, cut.
    pub browser: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when at most.
    pub until: Timestamp,
    /// When it was ended before.
    pub ended_at: Option<Timestamp>,
}

impl Session {
    /// Whether it is good at that time.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.until
    }

    /// Until when a session lasts that a person begins now.
    #[must_use]
    pub fn lasts(person: Person, now: Timestamp) -> Timestamp {
        match person {
            Person::Operator(_) => minutes_after(now, OPERATOR_HOURS * 60),
            Person::Partner(_) | Person::Member(..) => days_after(now, PARTNER_DAYS),
        }
    }
}

/// What a browser calls itself, as it is kept: cut, and without what is no text.
#[must_use]
pub fn browser(user_agent: &str) -> String {
    let plain = user_agent.chars().filter(|letter| !letter.is_control());
    plain.take(MAX_BROWSER).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::OperatorId;

    #[test]
    fn a_link_is_good_once_for_fifteen_minutes_and_in_the_browser_that_asked() {
        let now: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let asked = SignIn {
            id: SignInId::from_bytes([1; 16]),
            sealed: String::new(),
            browser: "b".to_owned(),
            language: "en".to_owned(),
            until: SignIn::good_until(now),
            redeemed_at: None,
        };
        let last: Timestamp = "2026-03-02T09:14:59Z".parse().unwrap();
        let late: Timestamp = "2026-03-02T09:15:00Z".parse().unwrap();
        assert_eq!(asked.unfit(Some("b"), last), None);
        assert_eq!(asked.unfit(Some("b"), late), Some(Unfit::Late));
        assert_eq!(asked.unfit(Some("c"), now), Some(Unfit::ElsewhereAsked));
        assert_eq!(asked.unfit(None, now), Some(Unfit::ElsewhereAsked));
        let used = SignIn {
            redeemed_at: Some(now),
            ..asked
        };
        assert_eq!(used.unfit(Some("b"), now), Some(Unfit::Used));
    }

    #[test]
    fn an_operators_session_ends_after_half_a_day() {
        let now: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let person = Person::Operator(OperatorId::from_bytes([1; 16]));
        let session = Session {
            id: KeyId::from_bytes([2; 16]),
            hash: String::new(),
            person,
            browser: browser("Firefox\u{0}/1"),
            created_at: now,
            until: Session::lasts(person, now),
            ended_at: None,
        };
        assert_eq!(session.browser, "Firefox/1");
        assert!(session.is_good("2026-03-02T20:59:59Z".parse().unwrap()));
        assert!(!session.is_good("2026-03-02T21:00:00Z".parse().unwrap()));
    }
}
