//! Programs, plans, links and coupons: pure rules.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use crate::clock::Timestamp;
use crate::ids::{CouponId, LinkId, PartnerId, ProgramId};
use crate::money::Currency;
use crate::plans::model::Assignment;

/// Days in which partners may dispute an event, unless the program says otherwise.
pub const DISPUTE_DAYS: u32 = 60;
/// Most days that a program may give: events are not taken when they are older either.
pub const MAX_DISPUTE_DAYS: i64 = 400;
/// Characters of a name.
pub const MAX_NAME: usize = 120;
/// Days a click may stay good.
pub const MAX_WINDOW_DAYS: i64 = 365;
/// Days a commission may be held.
pub const MAX_HOLD_DAYS: i64 = 365;
/// Hosts that a program may list.
pub const MAX_HOSTS: usize = 50;
/// Characters of a host name (RFC 1035).
pub const MAX_HOST: usize = 253;
/// Characters of an address that visitors are sent to: what every browser and proxy takes.
pub const MAX_URL: usize = 2048;
/// Characters of a plan's, link's or coupon's code, and of an event.
pub const MAX_CODE: usize = 64;
/// Characters of a link's code at least, so that nobody takes the short ones.
pub const MIN_LINK_CODE: usize = 3;
/// Hours that rotated-out secrets stay good unless told.
pub const DEFAULT_OVERLAP_HOURS: i64 = 24;
/// Hours that rotated-out secrets may stay good: a month.
pub const MAX_OVERLAP_HOURS: i64 = 720;
/// Secrets of one kind that are good at once: each is tried on a postback that matches none before.
pub const MAX_SECRETS: usize = 8;

/// Attribution models by their names.
pub const ATTRIBUTION_MODELS: &[(&str, AttributionModel)] = &[
    ("last_click", AttributionModel::LastClick),
    ("first_click", AttributionModel::FirstClick),
];

/// Postback dialects by their names.
pub const DIALECTS: &[(&str, Dialect)] = &[
    ("native", Dialect::Native),
    ("everflow", Dialect::Everflow),
    ("tune", Dialect::Tune),
    ("keitaro", Dialect::Keitaro),
];

/// What a destination may hold in braces, filled at each click.
pub const PLACEHOLDERS: &[&str] = &[
    "click_id", "sub1", "sub2", "sub3", "sub4", "sub5", "link", "partner", "program",
];

/// Which click of a customer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributionModel {
    /// The click that the conversion names.
    LastClick,
    /// The customer's first valid click in the window, when the conversion names a customer.
    FirstClick,
}

impl AttributionModel {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LastClick => "last_click",
            Self::FirstClick => "first_click",
        }
    }
}

/// How conversions find their partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// Which click counts.
    pub model: AttributionModel,
    /// Days of 24 hours that a click stays good.
    pub window_days: u32,
}

/// How a tracker names what it posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Tributary's own names.
    Native,
    /// Everflow's.
    Everflow,
    /// TUNE's (HasOffers).
    Tune,
    /// Keitaro's, and trackers like it.
    Keitaro,
}

impl Dialect {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Everflow => "everflow",
            Self::Tune => "tune",
            Self::Keitaro => "keitaro",
        }
    }
}

/// A postback token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// SHA-256 of the token, hex.
    pub hash: String,
    /// When a rotated-out token stops being good; `None` for the current one.
    pub expires_at: Option<Timestamp>,
}

/// A signing secret as it is stored: sealed, because verifying needs it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecret {
    /// The secret's whole text, `whsec_…`, sealed for [`Program::secret_place`].
    pub sealed: String,
    /// When a rotated-out secret stops being good; `None` for the current one.
    pub expires_at: Option<Timestamp>,
}

/// A vendor's partner program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Id.
    pub id: ProgramId,
    /// Name.
    pub name: String,
    /// The currency of its amounts, commissions and payouts.
    pub currency: Currency,
    /// How conversions find their partner.
    pub attribution: Attribution,
    /// How its tracker posts.
    pub dialect: Dialect,
    /// Keitaro only: whether `payout` is the sale's amount. Unless told it is what the network owes and is not read as one.
    pub payout_is_amount: bool,
    /// Where visitors of disabled links go.
    pub fallback_url: Option<String>,
    /// Hosts that links may lead to, lower case; empty for any.
    pub allowed_destination_hosts: Vec<String>,
    /// Days of 24 hours after an event in which partners may dispute it.
    pub dispute_days: u32,
    /// Tokens that postbacks may show, the current one first.
    pub tokens: Vec<TokenRecord>,
    /// Secrets that postbacks may be signed with, the current one first.
    pub signing_secrets: Vec<SigningSecret>,
    /// What pays partners without a plan of their own, in order of their start; the first may have no start
    /// and then covers all before the second.
    pub default_plans: Vec<Assignment>,
    /// Since when.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl Program {
    /// The place that a program's signing secrets are sealed for.
    #[must_use]
    pub fn secret_place(id: ProgramId) -> String {
        format!("PROG#{id}/signing_secret")
    }
}

/// Changes of a program; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramPatch {
    /// Its name.
    pub name: Option<String>,
    /// How conversions find their partner.
    pub attribution: Option<Attribution>,
    /// How its tracker posts.
    pub dialect: Option<Dialect>,
    /// Whether Keitaro's `payout` is the sale's amount.
    pub payout_is_amount: Option<bool>,
    /// Where visitors of disabled links go; `Some(None)` clears it.
    pub fallback_url: Option<Option<String>>,
    /// Hosts that links may lead to.
    pub allowed_destination_hosts: Option<Vec<String>>,
    /// Days in which partners may dispute an event.
    pub dispute_days: Option<u32>,
}

impl Program {
    /// The program with these changes and the next version.
    ///
    /// # Errors
    /// What is wrong with its fallback address under the hosts it then allows.
    pub fn amended(&self, patch: ProgramPatch) -> Result<Self, DestinationError> {
        let ProgramPatch {
            name,
            attribution,
            dialect,
            payout_is_amount,
            fallback_url,
            allowed_destination_hosts,
            dispute_days,
        } = patch;
        let mut program = self.clone();
        program.name = name.unwrap_or(program.name);
        program.attribution = attribution.unwrap_or(program.attribution);
        program.dialect = dialect.unwrap_or(program.dialect);
        program.payout_is_amount = payout_is_amount.unwrap_or(program.payout_is_amount);
        program.fallback_url = fallback_url.unwrap_or(program.fallback_url);
        program.allowed_destination_hosts =
            allowed_destination_hosts.unwrap_or(program.allowed_destination_hosts);
        program.dispute_days = dispute_days.unwrap_or(program.dispute_days);
        if let Some(url) = &program.fallback_url {
            program.fallback_url = Some(fallback(url, &program.allowed_destination_hosts)?);
        }
        program.version += 1;
        Ok(program)
    }

    /// The program with new secrets. Those before stay good until `until`, or until they were to end
    /// anyway, and leave once they are over. `None` when more than [`MAX_SECRETS`] would be good at once.
    #[must_use]
    pub fn rotated(
        &self,
        token: TokenRecord,
        secret: SigningSecret,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<Self> {
        let ends = |before: Option<Timestamp>| before.map_or(until, |before| before.min(until));
        let mut program = self.clone();
        program.tokens.retain_mut(|old| {
            let end = ends(old.expires_at);
            old.expires_at = Some(end);
            end > now
        });
        program.signing_secrets.retain_mut(|old| {
            let end = ends(old.expires_at);
            old.expires_at = Some(end);
            end > now
        });
        program.tokens.insert(0, token);
        program.signing_secrets.insert(0, secret);
        program.version += 1;
        let most = program.tokens.len().max(program.signing_secrets.len());
        (most <= MAX_SECRETS).then_some(program)
    }
}

/// Whether text may name an event: lower-case letters, digits, `_`, `-` and `.`, beginning with a letter
/// or digit, at most [`MAX_CODE`].
#[must_use]
pub fn is_event(text: &str) -> bool {
    is_code(text, |byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte)
    })
}

/// Whether text may be a plan's code: lower-case letters, digits, `_` and `-`, beginning with a letter or
/// digit, at most [`MAX_CODE`].
#[must_use]
pub fn is_plan_code(text: &str) -> bool {
    is_code(text, |byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
    })
}

/// Whether text may be a coupon's code: letters, digits, `_` and `-`, beginning with a letter or digit,
/// at most [`MAX_CODE`].
#[must_use]
pub fn is_coupon_code(text: &str) -> bool {
    is_code(text, |byte| {
        byte.is_ascii_alphanumeric() || b"_-".contains(&byte)
    })
}

/// Whether text may be a link's code: [`MIN_LINK_CODE`] to [`MAX_CODE`] letters, digits, `_` and `-`.
#[must_use]
pub fn is_link_code(text: &str) -> bool {
    (MIN_LINK_CODE..=MAX_CODE).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn is_code(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.len() <= MAX_CODE
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(allowed)
}

/// A tracking link. Its id is derived from its code, so that a click finds it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Id.
    pub id: LinkId,
    /// What stands in the address, unique in the installation.
    pub code: String,
    /// Its program.
    pub program: ProgramId,
    /// Whom its clicks belong to.
    pub partner: PartnerId,
    /// Where visitors go.
    pub destination: String,
    /// Since when it no longer leads there.
    pub disabled_at: Option<Timestamp>,
    /// Plans that pay what its clicks bring, in place of its partner's, in order of their start.
    pub plans: Vec<Assignment>,
    /// Since when.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl Link {
    /// The id of the link with that code.
    #[must_use]
    pub fn id_of(code: &str) -> LinkId {
        LinkId::derived(&[code])
    }
}

/// Why visitors cannot be sent to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not an absolute address.
    #[error("is not an absolute address such as https://shop.example/summer")]
    Malformed,
    /// Not https.
    #[error("begins with https://")]
    NotHttps,
    /// Not one of the program's hosts, with a user in front, or with a placeholder in the host.
    #[error("leads to a host that the program does not allow")]
    HostRefused,
    /// Braces around something that nothing fills.
    #[error("has a placeholder that nothing fills: {0}")]
    PlaceholderUnknown(String),
}

/// The host in the form in which hosts are compared: lower case, ASCII. `None` for an address, a port, a
/// pattern or anything else that is not a bare domain name.
#[must_use]
pub fn normal_host(text: &str) -> Option<String> {
    match Host::parse(text) {
        Ok(Host::Domain(domain)) if domain.len() <= MAX_HOST && !domain.contains('*') => Some(
            domain
                .strip_suffix('.')
                .map_or_else(|| domain.clone(), str::to_owned),
        )
        .filter(|domain| !domain.is_empty()),
        _ => None,
    }
}

/// Whether a host is one of the allowed ones or below one; an empty list allows any.
#[must_use]
pub fn host_allowed(host: &str, allowed: &[String]) -> bool {
    allowed.is_empty()
        || allowed.iter().any(|known| {
            host.strip_suffix(known.as_str())
                .is_some_and(|front| front.is_empty() || front.ends_with('.'))
        })
}

/// Whether a destination in its normal form leads to a host that is allowed; asked at every click, so it
/// does not read the address anew.
#[must_use]
pub fn is_allowed(destination: &str, allowed: &[String]) -> bool {
    let rest = destination.strip_prefix("https://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    host_allowed(host, allowed)
}

/// The normal form of an address that visitors may be sent to: https, an allowed host, and placeholders
/// only after the host.
///
/// # Errors
/// [`DestinationError`].
pub fn destination(text: &str, allowed: &[String]) -> Result<String, DestinationError> {
    // A backslash is a slash to browsers, and blanks and control characters are dropped by them: what
    // they would make of such an address is not what is checked here.
    if text.contains('\\') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(DestinationError::Malformed);
    }
    let (scheme, rest) = text.split_once(':').ok_or(DestinationError::Malformed)?;
    if !scheme.eq_ignore_ascii_case("https") {
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        return Err(if is_scheme {
            DestinationError::NotHttps
        } else {
            DestinationError::Malformed
        });
    }
    let rest = rest.strip_prefix("//").ok_or(DestinationError::Malformed)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains(['{', '}', '@']) {
        return Err(DestinationError::HostRefused);
    }
    // Braces would be percent-encoded in the path, so placeholders are carried through as plain letters.
    let mut mark = String::from("slot");
    while text.contains(&mark) {
        mark.push('x');
    }
    let slot = |position: usize| format!("{mark}{position}z");
    let marked = placeholders(text, |name| {
        let position = PLACEHOLDERS.iter().position(|known| *known == name);
        position
            .map(slot)
            .ok_or_else(|| DestinationError::PlaceholderUnknown(format!("{{{name}}}")))
    })?;
    let url = Url::parse(&marked).map_err(|_| DestinationError::Malformed)?;
    let host = url.host_str().ok_or(DestinationError::Malformed)?;
    if !host_allowed(host, allowed) {
        return Err(DestinationError::HostRefused);
    }
    let normal = PLACEHOLDERS
        .iter()
        .enumerate()
        .fold(url.to_string(), |text, (position, name)| {
            text.replace(&slot(position), &format!("{{{name}}}"))
        });
    if normal.len() > MAX_URL {
        return Err(DestinationError::Malformed);
    }
    Ok(normal)
}

/// The normal form of a program's fallback address: like a destination, without placeholders.
///
/// # Errors
/// [`DestinationError`].
pub fn fallback(text: &str, allowed: &[String]) -> Result<String, DestinationError> {
    placeholders(text, |name| {
        Err(DestinationError::PlaceholderUnknown(format!("{{{name}}}")))
    })?;
    destination(text, allowed)
}

/// The text with each `{name}` replaced, in one pass: what is filled in is not looked at again.
fn placeholders(
    text: &str,
    mut fill: impl FnMut(&str) -> Result<String, DestinationError>,
) -> Result<String, DestinationError> {
    let mut filled = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let inside = from
            .strip_prefix('{')
            .and_then(|from| from.split_once('}'))
            .ok_or_else(|| DestinationError::PlaceholderUnknown(from.chars().take(20).collect()))?;
        let (name, after) = inside;
        filled.push_str(&fill(name)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Everything but RFC 3986's unreserved characters: what is filled in can end no part of an address.
const FILLED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where a click on the link leads: placeholders filled, and the click id as the parameter `click_param`
/// behind the stored query and before the stored fragment, unless the stored query itself has
/// `click_param={click_id}`. Absent sub ids fill as nothing, and so does an empty click id, which adds no
/// parameter either.
#[must_use]
pub fn fill_destination(
    link: &Link,
    click_id: &str,
    subs: &[Option<String>; 5],
    click_param: &str,
) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, FILLED).to_string();
    let sub = |n: usize| encoded(subs[n].as_deref().unwrap_or_default());
    let filled = placeholders(&link.destination, |name| {
        Ok(match name {
            "click_id" => encoded(click_id),
            "sub1" => sub(0),
            "sub2" => sub(1),
            "sub3" => sub(2),
            "sub4" => sub(3),
            "sub5" => sub(4),
            "link" => encoded(&link.code),
            "partner" => link.partner.to_string(),
            "program" => link.program.to_string(),
            _ => String::new(),
        })
    })
    // Stored destinations were checked: their braces are sound.
    .unwrap_or_else(|_| link.destination.clone());
    let (front, fragment) = match filled.split_once('#') {
        Some((front, fragment)) => (front, Some(fragment)),
        None => (filled.as_str(), None),
    };
    let stored = link.destination.split('#').next().unwrap_or_default();
    let own = format!("{click_param}={{click_id}}");
    let carries_it = stored
        .split_once('?')
        .is_some_and(|(_, query)| query.split('&').any(|pair| pair == own));
    let mut address = front.to_owned();
    // A visit that is not counted has no click id, and an empty one would look like a click.
    if !carries_it && !click_id.is_empty() {
        address.push(match front.split_once('?') {
            None => '?',
            Some(_) => '&',
        });
        if address.ends_with("?&") || address.ends_with("&&") {
            address.pop();
        }
        address.push_str(click_param);
        address.push('=');
        address.push_str(&encoded(click_id));
    }
    if let Some(fragment) = fragment {
        address.push('#');
        address.push_str(fragment);
    }
    address
}

/// A coupon code that stands for a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coupon {
    /// Id.
    pub id: CouponId,
    /// As customers type it, upper case; unique in its program.
    pub code: String,
    /// Its program.
    pub program: ProgramId,
    /// Whose it is.
    pub partner: PartnerId,
    /// Since when it no longer counts.
    pub disabled_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u64,
}

impl Coupon {
    /// The form in which codes are compared: trimmed, upper case.
    #[must_use]
    pub fn normal(code: &str) -> String {
        code.trim().to_uppercase()
    }

    /// The id of the coupon with that code in that program.
    #[must_use]
    pub fn id_of(program: ProgramId, code: &str) -> CouponId {
        CouponId::derived(&[&program.to_string(), &Self::normal(code)])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn link(destination: &str) -> Link {
        Link {
            id: Link::id_of("summer"),
            code: "summer".to_owned(),
            program: ProgramId::from_bytes([1; 16]),
            partner: PartnerId::from_bytes([2; 16]),
            destination: destination.to_owned(),
            disabled_at: None,
            plans: Vec::new(),
            created_at: at("2026-11-23T07:00:00Z"),
            version: 1,
        }
    }

    fn program() -> Program {
        Program {
            id: ProgramId::from_bytes([1; 16]),
            name: "Shop".to_owned(),
            currency: "GBP".parse().unwrap(),
            attribution: Attribution {
                model: AttributionModel::LastClick,
                window_days: 30,
            },
            dialect: Dialect::Native,
            payout_is_amount: false,
            fallback_url: None,
            allowed_destination_hosts: vec!["shop.example".to_owned()],
            dispute_days: DISPUTE_DAYS,
            tokens: vec![token("a", None)],
            signing_secrets: vec![secret("a")],
            default_plans: Vec::new(),
            created_at: at("2026-11-23T07:00:00Z"),
            version: 1,
        }
    }

    fn token(hash: &str, expires_at: Option<Timestamp>) -> TokenRecord {
        TokenRecord {
            hash: hash.to_owned(),
            expires_at,
        }
    }

    fn secret(sealed: &str) -> SigningSecret {
        SigningSecret {
            sealed: sealed.to_owned(),
            expires_at: None,
        }
    }

    const NO_SUBS: [Option<String>; 5] = [None, None, None, None, None];

    #[test]
    fn the_click_id_goes_behind_the_query_and_before_the_fragment() {
        for (stored, filled) in [
            ("https://shop.example/", "https://shop.example/?tclid=CLK"),
            ("https://shop.example/?", "https://shop.example/?tclid=CLK"),
            (
                "https://shop.example/a?b=c",
                "https://shop.example/a?b=c&tclid=CLK",
            ),
            (
                "https://shop.example/a?b=c&",
                "https://shop.example/a?b=c&tclid=CLK",
            ),
            (
                "https://shop.example/a#top",
                "https://shop.example/a?tclid=CLK#top",
            ),
            (
                "https://shop.example/a?b=c#d?e#f",
                "https://shop.example/a?b=c&tclid=CLK#d?e#f",
            ),
            (
                "https://shop.example/?x={click_id}",
                "https://shop.example/?x=CLK&tclid=CLK",
            ),
            (
                "https://shop.example/?tclid={click_id}&y=1",
                "https://shop.example/?tclid=CLK&y=1",
            ),
        ] {
            let link = link(stored);
            assert_eq!(fill_destination(&link, "CLK", &NO_SUBS, "tclid"), filled);
        }
    }

    #[test]
    fn what_is_filled_in_cannot_leave_its_place() {
        let link = link("https://shop.example/{sub1}?s={sub2}&l={link}#{sub3}");
        let subs = [
            Some("a/b?c#d".to_owned()),
            Some("x&tclid=forged".to_owned()),
            Some("{sub2} é".to_owned()),
            None,
            None,
        ];
        assert_eq!(
            fill_destination(&link, "CLK", &subs, "tclid"),
            "https://shop.example/a%2Fb%3Fc%23d?s=x%26tclid%3Dforged&l=summer&tclid=CLK#%7Bsub2%7D%20%C3%A9"
        );
    }

    #[test]
    fn a_stored_destination_is_held_against_the_hosts_that_are_allowed_now() {
        let allowed = ["shop.example".to_owned()];
        for (address, expected) in [
            ("https://shop.example/a?b=c#d", true),
            ("https://www.shop.example:8443/", true),
            ("https://shop.example?x={click_id}", true),
            ("https://elsewhere.example/shop.example", false),
            ("https://shop.example.elsewhere.example/", false),
            ("https://[2001:db8::1]:8443/", false),
        ] {
            let stored = destination(address, &[]).unwrap();
            assert_eq!(is_allowed(&stored, &allowed), expected, "{address}");
            assert_eq!(
                destination(address, &allowed).is_ok(),
                expected,
                "{address}"
            );
            assert!(is_allowed(&stored, &[]), "{address}");
        }
    }

    #[test]
    fn destinations_take_a_normal_form_that_keeps_their_placeholders() {
        let allowed = ["shop.example".to_owned()];
        for (text, normal) in [
            ("https://shop.example", "https://shop.example/"),
            ("HTTPS://Shop.Example/A", "https://shop.example/A"),
            (
                "https://eu.shop.example/a b".replace(' ', "%20").as_str(),
                "https://eu.shop.example/a%20b",
            ),
            (
                "https://shop.example/{sub1}/x?c={click_id}#{link}",
                "https://shop.example/{sub1}/x?c={click_id}#{link}",
            ),
            (
                "https://shop.example/slot/é",
                "https://shop.example/slot/%C3%A9",
            ),
        ] {
            assert_eq!(destination(text, &allowed).as_deref(), Ok(normal));
            assert_eq!(
                destination(normal, &allowed).as_deref(),
                Ok(normal),
                "twice"
            );
        }
    }

    #[test]
    fn addresses_that_lead_elsewhere_are_refused() {
        use DestinationError::{HostRefused, Malformed, NotHttps};
        let allowed = ["shop.example".to_owned()];
        for (text, reason) in [
            ("http://shop.example/", NotHttps),
            ("javascript:alert(1)", NotHttps),
            ("shop.example", Malformed),
            ("/path", Malformed),
            ("https:/shop.example", Malformed),
            ("https://", Malformed),
            ("https://evil.example/", HostRefused),
            ("https://notshop.example/", HostRefused),
            ("https://shop.example.evil.example/", HostRefused),
            ("https://shop.example@evil.example/", HostRefused),
            ("https://user:pw@shop.example/", HostRefused),
            ("https://{sub1}.shop.example/", HostRefused),
            ("https://shop.example:{sub1}/", HostRefused),
            ("https://evil.example\\.shop.example/", Malformed),
            ("https://shop.example/a b", Malformed),
            ("https://127.0.0.1/", HostRefused),
        ] {
            assert_eq!(destination(text, &allowed), Err(reason), "{text}");
        }
        for text in [
            "https://shop.example/{name}",
            "https://shop.example/{sub6}",
            "https://shop.example/{sub1",
            "https://shop.example/}",
            "https://shop.example/{{sub1}}",
        ] {
            assert!(
                matches!(
                    destination(text, &allowed),
                    Err(DestinationError::PlaceholderUnknown(_))
                ),
                "{text}"
            );
        }
        assert!(fallback("https://shop.example/{sub1}", &allowed).is_err());
    }

    #[test]
    fn hosts_are_bare_domain_names() {
        assert_eq!(normal_host("Shop.Example").as_deref(), Some("shop.example"));
        assert_eq!(
            normal_host("bücher.example").as_deref(),
            Some("xn--bcher-kva.example")
        );
        for wrong in [
            "",
            "shop.example:443",
            "https://shop.example",
            "*.shop.example",
            "127.0.0.1",
            "a b",
            ".",
        ] {
            assert_eq!(normal_host(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_rotation_keeps_the_old_secrets_until_the_overlap_ends() {
        let now = at("2026-11-23T07:00:00Z");
        let until = at("2026-11-24T07:00:00Z");
        let once = program()
            .rotated(token("b", None), secret("b"), now, until)
            .unwrap();
        assert_eq!(once.tokens, [token("b", None), token("a", Some(until))]);
        assert_eq!(once.version, 2);
        let later = at("2026-11-24T07:00:00Z");
        let twice = once
            .rotated(
                token("c", None),
                secret("c"),
                later,
                at("2026-11-25T07:00:00Z"),
            )
            .unwrap();
        assert_eq!(
            twice.tokens,
            [
                token("c", None),
                token("b", Some(at("2026-11-25T07:00:00Z")))
            ]
        );
        let leaked = twice
            .rotated(token("d", None), secret("d"), later, later)
            .unwrap();
        assert_eq!(leaked.tokens, [token("d", None)]);
        assert_eq!(leaked.signing_secrets.len(), 1);
    }

    #[test]
    fn secrets_that_are_good_at_once_are_bounded() {
        let now = at("2026-11-23T07:00:00Z");
        let until = at("2026-11-24T07:00:00Z");
        let rotate = |program: &Program| program.rotated(token("x", None), secret("x"), now, until);
        let mut program = program();
        for _ in 1..MAX_SECRETS {
            program = rotate(&program).unwrap();
        }
        assert_eq!(rotate(&program), None);
    }

    #[test]
    fn a_fallback_must_fit_the_hosts_that_a_change_leaves() {
        let with = program()
            .amended(ProgramPatch {
                fallback_url: Some(Some("https://shop.example/gone".to_owned())),
                ..ProgramPatch::default()
            })
            .unwrap();
        let narrowed = with.amended(ProgramPatch {
            allowed_destination_hosts: Some(vec!["other.example".to_owned()]),
            ..ProgramPatch::default()
        });
        assert_eq!(narrowed, Err(DestinationError::HostRefused));
        let cleared = with
            .amended(ProgramPatch {
                fallback_url: Some(None),
                ..ProgramPatch::default()
            })
            .unwrap();
        assert_eq!((cleared.fallback_url, cleared.version), (None, 3));
    }

    #[test]
    fn codes_and_events_have_their_shapes() {
        assert!(is_event("sale") && is_event("first.deposit_2"));
        assert!(
            !is_event("Sale") && !is_event("") && !is_event("_x") && !is_event(&"a".repeat(65))
        );
        assert!(is_plan_code("standard-2") && !is_plan_code("a#b") && !is_plan_code("é"));
        assert!(is_coupon_code("SAVE10") && !is_coupon_code("SAVE 10"));
        assert!(is_link_code("a_-9") && !is_link_code("ab") && !is_link_code("a/b"));
    }

    proptest! {
        #[test]
        fn no_sub_id_moves_a_click_to_another_host(sub in ".*", click_id in "[A-Za-z0-9_-]{62}") {
            let stored = destination("https://shop.example/{sub1}/a?b={sub1}#{sub1}", &["shop.example".to_owned()]).unwrap();
            let subs = [Some(sub), None, None, None, None];
            let filled = fill_destination(&link(&stored), &click_id, &subs, "tclid");
            let url = Url::parse(&filled).unwrap();
            prop_assert_eq!(url.host_str(), Some("shop.example"));
            prop_assert_eq!(url.query_pairs().filter(|(name, _)| name == "tclid").count(), 1);
            prop_assert!(filled.is_ascii());
        }

        #[test]
        fn an_accepted_destination_stays_itself(path in "[ -~é]{0,40}") {
            let text = format!("https://shop.example/{path}");
            if let Ok(normal) = destination(&text, &[]) {
                prop_assert_eq!(destination(&normal, &[]), Ok(normal.clone()));
                let url = Url::parse(&normal).unwrap();
                prop_assert_eq!(url.host_str(), Some("shop.example"));
            }
        }
    }
}
