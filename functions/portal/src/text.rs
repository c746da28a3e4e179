//! Texts in the reader's language: one catalogue per language (Fluent), numbers and dates by its customs (ICU).

use std::str::FromStr;
use std::sync::OnceLock;

use axum::http::{HeaderMap, header};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use icu_calendar::Iso;
use icu_datetime::fieldsets::{YMD, YMDT};
use icu_datetime::input::{Date, DateTime, Time};
use icu_datetime::{DateTimeFormatter, DateTimeFormatterPreferences};
use icu_decimal::input::Decimal;
use icu_decimal::options::DecimalFormatterOptions;
use icu_decimal::{DecimalFormatter, DecimalFormatterPreferences};
use icu_locale_core::Locale;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The cookie that holds the language which was chosen.
pub const COOKIE: &str = "language";

/// The languages: tag, own name, direction, catalogue. The first is for whoever reads none of them.
const CATALOGUES: [(&str, &str, &str, &str); 2] = [
    ("en", "English", "ltr", include_str!("../locales/en.ftl")),
    ("de", "Deutsch", "ltr", include_str!("../locales/de.ftl")),
];

struct Language {
    tag: &'static str,
    name: &'static str,
    direction: &'static str,
    bundle: FluentBundle<FluentResource>,
    numbers: DecimalFormatter,
    days: DateTimeFormatter<YMD>,
    times: DateTimeFormatter<YMDT>,
}

fn languages() -> &'static [Language] {
    static LANGUAGES: OnceLock<Vec<Language>> = OnceLock::new();
    LANGUAGES.get_or_init(|| {
        CATALOGUES
            .iter()
            .map(|(tag, name, direction, catalogue)| language(tag, name, direction, catalogue))
            .collect()
    })
}

/// A language of the catalogue. The catalogues are part of the program, and a test reads each whole.
fn language(
    tag: &'static str,
    name: &'static str,
    direction: &'static str,
    catalogue: &'static str,
) -> Language {
    let resource = match FluentResource::try_new(catalogue.to_owned()) {
        // What can be read of a faulty catalogue is better than no page.
        Ok(resource) | Err((resource, _)) => resource,
    };
    let known = tag.parse().expect("the tag of a catalogue is a language");
    let mut bundle = FluentBundle::new_concurrent(vec![known]);
    // Marks around what is filled in would stand in texts that are copied.
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    let locale = Locale::from_str(tag).expect("the tag of a catalogue is a locale");
    let numbers = DecimalFormatterPreferences::from(&locale);
    let dates = DateTimeFormatterPreferences::from(&locale);
    Language {
        tag,
        name,
        direction,
        bundle,
        numbers: DecimalFormatter::try_new(numbers, DecimalFormatterOptions::default())
            .expect("the customs of every language are compiled in"),
        days: DateTimeFormatter::try_new(dates, YMD::medium())
            .expect("the customs of every language are compiled in"),
        times: DateTimeFormatter::try_new(
            dates,
            YMDT::medium().with_time_precision(icu_datetime::options::TimePrecision::Minute),
        )
        .expect("the customs of every language are compiled in"),
    }
}

/// The texts in one language, with times of one zone.
#[derive(Clone)]
pub struct Text {
    language: &'static Language,
    zone: TimeZone,
}

impl Text {
    /// In the language that was chosen, or the first that the browser asks for and that there is.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let chosen = crate::cookies::read(headers, COOKIE);
        let asked = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Self::chosen(chosen.as_deref().into_iter().chain(preferred(asked)))
    }

    fn chosen<'a>(mut wanted: impl Iterator<Item = &'a str>) -> Self {
        let all = languages();
        let found = wanted.find_map(|tag| {
            let base = tag.split('-').next().unwrap_or(tag);
            all.iter()
                .find(|known| known.tag.eq_ignore_ascii_case(base))
        });
        Self {
            language: found.unwrap_or(&all[0]),
            zone: TimeZone::UTC,
        }
    }

    /// In the language of that tag, or else the first.
    #[must_use]
    pub fn in_language(tag: &str) -> Self {
        Self::chosen(std::iter::once(tag))
    }

    /// With times of that zone of the IANA database, where there is one.
    #[must_use]
    pub fn at(mut self, zone: Option<&str>) -> Self {
        if let Some(zone) = zone.and_then(|name| TimeZone::get(name).ok()) {
            self.zone = zone;
        }
        self
    }

    /// The language's tag.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        self.language.tag
    }

    /// `ltr` or `rtl`.
    #[must_use]
    pub fn direction(&self) -> &'static str {
        self.language.direction
    }

    /// All languages: tag and own name.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        languages().iter().map(|known| (known.tag, known.name))
    }

    /// A text.
    #[must_use]
    pub fn t(&self, id: &str) -> String {
        self.fill(id, &[])
    }

    /// A text with what is to stand in it.
    #[must_use]
    pub fn fill(&self, id: &str, facts: &[(&str, &str)]) -> String {
        let mut args = FluentArgs::new();
        for (name, value) in facts {
            // Whole numbers decide between singular and plural.
            let value = match value.parse::<i64>() {
                Ok(number) => FluentValue::from(number),
                Err(_) => FluentValue::from(*value),
            };
            args.set(*name, value);
        }
        self.find(id, &args).unwrap_or_else(|| id.to_owned())
    }

    fn find(&self, id: &str, args: &FluentArgs<'_>) -> Option<String> {
        let (id, attribute) = match id.split_once('.') {
            Some((id, attribute)) => (id, Some(attribute)),
            None => (id, None),
        };
        let bundle = &self.language.bundle;
        let message = bundle.get_message(id)?;
        let pattern = match attribute {
            Some(name) => message.get_attribute(name)?.value(),
            None => message.value()?,
        };
        let mut faults = Vec::new();
        Some(
            bundle
                .format_pattern(pattern, Some(args), &mut faults)
                .into_owned(),
        )
    }

    /// A text that there may be none for: a code of the API's, in words; the code itself where it has none.
    #[must_use]
    pub fn word(&self, family: &str, code: &str) -> String {
        let id = format!("{family}-{}", code.replace(['_', '.'], "-"));
        self.find(&id, &FluentArgs::new())
            .unwrap_or_else(|| code.replace('_', " "))
    }

    /// A decimal as the API gives it, written as the language writes numbers.
    #[must_use]
    pub fn number(&self, decimal: &str) -> String {
        match Decimal::from_str(decimal) {
            Ok(decimal) => self.language.numbers.format(&decimal).to_string(),
            Err(_) => decimal.to_owned(),
        }
    }

    /// An amount beside its currency.
    #[must_use]
    pub fn money(&self, amount: &str, currency: &str) -> String {
        let amount = self.number(amount);
        self.fill("money", &[("amount", &amount), ("currency", currency)])
    }

    /// The day of a time, or of a date such as `2026-03-02`.
    #[must_use]
    pub fn day(&self, text: &str) -> String {
        let date = match text.parse::<Timestamp>() {
            Ok(at) => at.to_zoned(self.zone.clone()).date(),
            Err(_) => match text.parse::<jiff::civil::Date>() {
                Ok(date) => date,
                Err(_) => return text.to_owned(),
            },
        };
        match iso(date) {
            Some(date) => self.language.days.format(&date).to_string(),
            None => text.to_owned(),
        }
    }

    /// A time, with its zone.
    #[must_use]
    pub fn time(&self, text: &str) -> String {
        let Ok(at) = text.parse::<Timestamp>() else {
            return text.to_owned();
        };
        let zoned = at.to_zoned(self.zone.clone());
        let time = Time::try_new(
            zoned.hour().cast_unsigned(),
            zoned.minute().cast_unsigned(),
            0,
            0,
        );
        let (Some(date), Ok(time)) = (iso(zoned.date()), time) else {
            return text.to_owned();
        };
        let shown = self.language.times.format(&DateTime { date, time });
        format!("{shown} {}", zoned.strftime("%Z"))
    }
}

fn iso(date: jiff::civil::Date) -> Option<Date<Iso>> {
    let (year, month, day) = (date.year(), date.month(), date.day());
    Date::try_new_iso(year.into(), month.cast_unsigned(), day.cast_unsigned()).ok()
}

/// The tags of an `Accept-Language`, as they stand: browsers write the most wanted first.
fn preferred(asked: &str) -> impl Iterator<Item = &str> {
    asked
        .split(',')
        .map(|part| part.split(';').next().unwrap_or_default().trim())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use fluent_bundle::FluentResource;
    use fluent_syntax::ast::Entry;

    use super::*;

    fn ids(catalogue: &str) -> BTreeSet<String> {
        let resource = FluentResource::try_new(catalogue.to_owned())
            .map_err(|(_, faults)| faults)
            .unwrap();
        resource
            .entries()
            .filter_map(|entry| match entry {
                Entry::Message(message) => Some(message.id.name.to_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn every_language_has_every_text() {
        let (_, _, _, first) = CATALOGUES[0];
        let wanted = ids(first);
        for (tag, _, _, catalogue) in CATALOGUES {
            let has = ids(catalogue);
            let missing: Vec<_> = wanted.difference(&has).collect();
            let odd: Vec<_> = has.difference(&wanted).collect();
            assert!(
                missing.is_empty() && odd.is_empty(),
                "{tag}: {missing:?} {odd:?}"
            );
        }
    }

    fn sources(folder: &std::path::Path) -> String {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                if path.is_dir() {
                    sources(&path)
                } else {
                    std::fs::read_to_string(&path).unwrap()
                }
            })
            .collect()
    }

    #[test]
    fn every_text_that_a_page_asks_for_is_there() {
        let code = sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let code: String = code.split_whitespace().collect();
        let (_, _, _, catalogue) = CATALOGUES[0];
        let known = ids(catalogue);
        let mut asked = 0;
        for call in [".t(\"", ".fill(\"", "[place(\"", ",place(\""] {
            for rest in code.split(call).skip(1) {
                let mut texts = rest.split('"');
                // Of a place in the navigation the text stands behind its path.
                let id = if call.contains("place") {
                    texts.nth(2)
                } else {
                    texts.next()
                };
                let id = id.unwrap();
                if !id.contains(['{', '\\', '.']) {
                    assert!(known.contains(id), "{id} is in no catalogue");
                    asked += 1;
                }
            }
        }
        assert!(asked > 50, "{asked} texts");
    }

    #[test]
    fn figures_and_times_are_written_as_the_language_writes_them() {
        let at = "2026-03-02T09:05:00Z";
        let english = Text::in_language("en");
        assert_eq!(english.money("-1234.50", "EUR"), "EUR -1,234.50");
        assert_eq!(english.day(at), "Mar 2, 2026");
        let german = Text::in_language("de-AT").at(Some("Europe/Berlin"));
        assert_eq!(german.money("1234.50", "EUR"), "1.234,50 EUR");
        assert_eq!(german.time(at), "02.03.2026, 10:05 CET");
        assert_eq!(Text::in_language("tlh").tag(), "en");
    }
}
