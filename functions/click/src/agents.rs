//! Visitors that say themselves that they are none: crawlers and fetchers of previews.

use axum::http::{HeaderMap, header};

/// Parts of the `User-Agent` by which well-known crawlers, preview fetchers and monitors declare themselves,
/// lower case. Who hides is for fraud rules to find, not for this list.
const DECLARED: &[&str] = &[
    // Search engines.
    "googlebot",
    "google-inspectiontool",
    "googleother",
    "adsbot-google",
    "mediapartners-google",
    "apis-google",
    "bingbot",
    "bingpreview",
    "adidxbot",
    "duckduckbot",
    "applebot",
    "yandexbot",
    "baiduspider",
    "slurp",
    "petalbot",
    "seznambot",
    // Previews of links in messages and posts.
    "facebookexternalhit",
    "facebookcatalog",
    "meta-externalagent",
    "twitterbot",
    "linkedinbot",
    "pinterestbot",
    "slackbot",
    "slack-imgproxy",
    "discordbot",
    "telegrambot",
    "whatsapp/",
    "skypeuripreview",
    "redditbot",
    "embedly",
    "iframely",
    "mastodon/",
    // Language models and archives.
    "gptbot",
    "oai-searchbot",
    "chatgpt-user",
    "claudebot",
    "claude-user",
    "perplexitybot",
    "ccbot",
    "bytespider",
    "amazonbot",
    "archive.org_bot",
    // Link checkers and monitors.
    "ahrefsbot",
    "semrushbot",
    "mj12bot",
    "dotbot",
    "uptimerobot",
    "pingdom",
    "statuscake",
    "site24x7",
    "headlesschrome-lighthouse",
    "chrome-lighthouse",
];

/// Words by which machines that no list knows name themselves; a model of telephone that ends alike does not.
const NAMES: &[&str] = &["bot", "spider", "crawler", "crawl", "scraper", "archiver"];
const NOT_MACHINES: &[&str] = &["cubot"];

/// Whether a product of the agent (`Name/1.0`, or a word in its comment) ends in what machines are called.
fn names_itself(agent: &str) -> bool {
    agent
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .any(|word| NAMES.iter().any(|name| word.ends_with(name)) && !NOT_MACHINES.contains(&word))
}

/// Whether the visitor declares itself a machine, by its agent or because it asks only to have the page
/// ready.
pub(crate) fn is_declared_bot(headers: &HeaderMap) -> bool {
    let prefetches = ["sec-purpose", "purpose", "x-moz"].iter().any(|name| {
        headers
            .get(*name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains("prefetch"))
    });
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    prefetches || names_itself(&agent) || DECLARED.iter().any(|declared| agent.contains(declared))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn machines_that_name_themselves_are_told_from_people() {
        let is_bot = |agent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
            is_declared_bot(&headers)
        };
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; YandexMobileBot/3.0)",
            "Sogou web spider/4.0",
            "coccocbot-web/1.0",
            "BLEXBot/1.0",
            "ia_archiver",
            "SomeCrawler/1.0",
        ] {
            assert!(is_bot(agent), "{agent}");
        }
        for agent in [
            "Mozilla/5.0 (Linux; Android 11; CUBOT X30) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.0 Safari/605.1.15",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "",
        ] {
            assert!(!is_bot(agent), "{agent}");
        }
    }
}
