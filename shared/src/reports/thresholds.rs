//! Thresholds of tax reporting, as dated data with their sources: `thresholds.json` beside this file.

use std::sync::OnceLock;

use serde::Deserialize;

use super::model::{Rule, Threshold};
use crate::money::Money;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    code: String,
    name: String,
    countries: Vec<String>,
    currency: String,
    amount: String,
    rule: String,
    from_year: i16,
    #[serde(default)]
    until_year: Option<i16>,
    source: String,
    note: String,
}

/// Reads thresholds as they are written; `None` when one of them is none.
fn read(text: &str) -> Option<Vec<Threshold>> {
    let written: Vec<Written> = serde_json::from_str(text).ok()?;
    written.into_iter().map(threshold).collect()
}

fn threshold(written: Written) -> Option<Threshold> {
    let Written {
        code,
        name,
        countries,
        currency,
        amount,
        rule,
        from_year,
        until_year,
        source,
        note,
    } = written;
    Some(Threshold {
        code,
        name,
        countries,
        amount: Money::parse(&amount, currency.parse().ok()?).ok()?,
        rule: match rule.as_str() {
            "at_least" => Rule::AtLeast,
            "more_than" => Rule::MoreThan,
            _ => return None,
        },
        from_year,
        until_year,
        source,
        note,
    })
}

/// All thresholds.
///
/// # Panics
/// Never: a test reads the same file.
#[must_use]
pub fn all() -> &'static [Threshold] {
    static ALL: OnceLock<Vec<Threshold>> = OnceLock::new();
    ALL.get_or_init(|| read(include_str!("thresholds.json")).expect("a test reads the same file"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::partners::model::is_country;

    #[test]
    fn every_threshold_is_read_and_none_stands_twice_in_a_year() {
        assert!(all().len() >= 3);
        for threshold in all() {
            assert!(
                threshold
                    .countries
                    .iter()
                    .all(|country| is_country(country))
            );
            assert!(
                threshold
                    .until_year
                    .is_none_or(|until| until >= threshold.from_year)
            );
            assert!(!threshold.source.is_empty());
            for year in 2000..2100 {
                let same = all().iter().filter(|other| {
                    other.code == threshold.code && other.is_of(year, &threshold.countries[0])
                });
                assert!(same.count() <= 1, "{} in {year}", threshold.code);
            }
        }
    }

    #[test]
    fn form_1099_nec_asks_for_600_until_2025_and_for_2000_from_2026_on() {
        let amount = |year| {
            let mut own = all().iter().filter(|threshold| threshold.is_of(year, "US"));
            own.next().unwrap().amount.to_string()
        };
        assert_eq!([amount(2025), amount(2026)], ["600.00", "2000.00"]);
        assert!(all().iter().all(|threshold| !threshold.is_of(2026, "GB")));
    }
}
