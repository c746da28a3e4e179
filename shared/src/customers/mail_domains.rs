//! Domains of mailboxes that say nothing of a company. Pure.

/// Mailboxes that anybody can have, by registrable domain, in order.
///
/// Source: the providers' own lists of the domains they hand out, as of 2026.
const FREE: [&str; 88] = [
    "126.com",
    "163.com",
    "aim.com",
    "alice.it",
    "aol.com",
    "arcor.de",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bluewin.ch",
    "bol.com.br",
    "bt.com",
    "btinternet.com",
    "centrum.cz",
    "comcast.net",
    "cox.net",
    "daum.net",
    "earthlink.net",
    "email.com",
    "email.cz",
    "fastmail.com",
    "fastmail.fm",
    "free.fr",
    "freemail.hu",
    "freenet.de",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hanmail.net",
    "hey.com",
    "home.nl",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.es",
    "hotmail.fr",
    "hotmail.it",
    "hushmail.com",
    "icloud.com",
    "inbox.lv",
    "interia.pl",
    "laposte.net",
    "libero.it",
    "live.co.uk",
    "live.com",
    "live.nl",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "naver.com",
    "ntlworld.com",
    "o2.pl",
    "onet.pl",
    "orange.fr",
    "outlook.com",
    "outlook.de",
    "outlook.fr",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "rocketmail.com",
    "seznam.cz",
    "sfr.fr",
    "sky.com",
    "t-online.de",
    "telenet.be",
    "tiscali.it",
    "tuta.com",
    "tutanota.com",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "virginmedia.com",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "yahoo.co.uk",
    "yahoo.com",
    "yandex.ru",
    "ymail.com",
];

/// Mailboxes that are thrown away after one message, by registrable domain, in order.
///
/// A selection of those most seen in forms; a program adds its own patterns.
const DISPOSABLE: [&str; 40] = [
    "10minutemail.com",
    "33mail.com",
    "burnermail.io",
    "dispostable.com",
    "dropmail.me",
    "emailondeck.com",
    "fakeinbox.com",
    "fakemail.net",
    "getairmail.com",
    "getnada.com",
    "grr.la",
    "guerrillamail.biz",
    "guerrillamail.com",
    "guerrillamail.info",
    "guerrillamail.net",
    "guerrillamail.org",
    "guerrillamailblock.com",
    "harakirimail.com",
    "inboxkitten.com",
    "mail.tm",
    "mailcatch.com",
    "maildrop.cc",
    "mailinator.com",
    "mailnesia.com",
    "mailsac.com",
    "mintemail.com",
    "moakt.com",
    "mohmal.com",
    "mytemp.email",
    "sharklasers.com",
    "spam4.me",
    "spamgourmet.com",
    "temp-mail.org",
    "tempail.com",
    "tempmail.com",
    "throwawaymail.com",
    "trashmail.com",
    "trbvm.com",
    "tempr.email",
    "yopmail.com",
];

/// Whether anybody can have a mailbox in a registrable domain, so that it says nothing of a company.
#[must_use]
pub fn is_free(domain: &str) -> bool {
    FREE.binary_search(&domain).is_ok()
}

/// Whether mailboxes in a registrable domain are thrown away after use.
#[must_use]
pub fn is_disposable(domain: &str) -> bool {
    DISPOSABLE.contains(&domain)
}

/// How a provider reads the part before the `@`, where it differs from most.
///
/// Gmail and Proton deliver `ada.byron`, `adabyron` and (Proton) `ada-byron` to one mailbox, as their help
/// pages say. Everybody's `+tag` is cut by the caller.
#[must_use]
pub fn ignored_in_local_part(domain: &str) -> &'static [char] {
    match domain {
        "gmail.com" => &['.'],
        "proton.me" | "protonmail.com" | "pm.me" => &['.', '-', '_'],
        _ => &[],
    }
}

/// The domain by which a provider is known that has several for the same mailboxes.
#[must_use]
pub fn same_mailboxes(domain: &str) -> &str {
    match domain {
        "googlemail.com" => "gmail.com",
        "protonmail.com" | "pm.me" => "proton.me",
        domain => domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order_and_hold_registrable_domains() {
        assert!(FREE.is_sorted());
        for domain in FREE.iter().chain(&DISPOSABLE) {
            assert_eq!(psl::domain_str(domain), Some(*domain));
        }
        assert!(is_free("gmail.com") && !is_free("example.com"));
        assert!(is_disposable("yopmail.com") && !is_disposable("gmail.com"));
    }
}
