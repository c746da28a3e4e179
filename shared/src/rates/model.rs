//! Exchange rates: what an amount of one currency is in another. Pure.

use crate::clock::{Date, Timestamp};
use crate::money::{Currency, Money, MoneyError, Rate};

/// The largest rate: above every pair of currencies in use, such as dinars in rials, and far from overflow.
pub const MAX_RATE: i64 = 100_000_000;
/// Days that a rate is good for: the events of its own date and of the days after it until the next, over
/// weekends and holidays.
pub const RATE_DAYS: i64 = 7;
/// Days that a rate may be dated ahead: calendars east of Greenwich are.
pub const MAX_AHEAD_DAYS: u32 = 1;
/// Characters of a rate's source.
pub const MAX_SOURCE: usize = 64;
/// Rates of one request: they are stored by one transaction.
pub const MAX_RATES: usize = 90;

/// One rate of a pair of currencies. Never changes once it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRate {
    /// The currency that is given.
    pub from: Currency,
    /// The currency that is got.
    pub to: Currency,
    /// What one unit of `from` is in units of `to`.
    pub rate: Rate,
    /// The date from which it is good, in UTC.
    pub date: Date,
    /// Who says so.
    pub source: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl StoredRate {
    /// Whether the other says the same of the same pair and date, whenever it was stored.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            from,
            to,
            rate,
            date,
            source,
            created_at: _,
        } = self;
        (*from, *to, *date) == (other.from, other.to, other.date)
            && *rate == other.rate
            && *source == other.source
    }
}

/// An amount at a rate, rounded once: half up, away from zero, on the minor unit of the currency that is
/// got, whose exponent may be another.
///
/// # Errors
/// `CurrencyMismatch` when the amount is not in the rate's currency, `OverLimit`.
pub fn convert(amount: Money, rate: &StoredRate) -> Result<Money, MoneyError> {
    convert_share(amount, (1, 1), rate)
}

/// A share of an amount, `left ÷ whole`, at a rate: rounded once, as [`convert`] does.
///
/// # Errors
/// `CurrencyMismatch` when the amount is not in the rate's currency, `OverLimit`; also for a `whole` of zero.
pub fn convert_share(
    amount: Money,
    (left, whole): (i64, i64),
    rate: &StoredRate,
) -> Result<Money, MoneyError> {
    if amount.currency() != rate.from {
        return Err(MoneyError::CurrencyMismatch);
    }
    let factor = rate.rate.decimal();
    let shift = |exponent: u32| 10_i128.checked_pow(exponent);
    // In whole numbers throughout: a decimal type rounds by itself where its digits run out.
    let common = i128::from(greatest_common_divisor(left, whole)).max(1);
    let (left, whole) = (i128::from(left) / common, i128::from(whole) / common);
    let exact = i128::from(amount.minor())
        .checked_mul(left)
        .and_then(|part| part.checked_mul(factor.mantissa()))
        .zip(shift(rate.to.exponent()))
        .and_then(|(product, up)| product.checked_mul(up));
    let unit =
        shift(factor.scale() + rate.from.exponent()).and_then(|unit| unit.checked_mul(whole));
    let minor = exact
        .zip(unit)
        .filter(|(_, unit)| *unit != 0)
        .and_then(|(exact, unit)| half_up(exact, unit))
        .and_then(|minor| i64::try_from(minor).ok())
        .ok_or(MoneyError::OverLimit)?;
    Ok(Money::new(minor, rate.to))
}

fn greatest_common_divisor(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The quotient by a positive number, half of which counts as whole, away from zero.
fn half_up(exact: i128, unit: i128) -> Option<i128> {
    let up = exact.unsigned_abs().checked_add(unit.unsigned_abs() / 2)? / unit.unsigned_abs();
    Some(exact.signum() * i128::try_from(up).ok()?)
}

/// The dates of which a rate may be good for an event of that date: the first and the last.
#[must_use]
pub fn good_for(date: Date) -> (Date, Date) {
    let first = date.saturating_sub(jiff::Span::new().days(RATE_DAYS));
    (first, date)
}

/// What is wrong with a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateFault {
    /// Not above zero.
    Zero,
    /// Above [`MAX_RATE`].
    TooLarge,
    /// No plain decimal, or more than [`crate::money::MAX_RATE_SCALE`] digits after the point.
    Malformed(MoneyError),
}

/// Reads a rate: a plain decimal above zero and not above [`MAX_RATE`].
///
/// # Errors
/// [`RateFault`].
pub fn read_rate(text: &str) -> Result<Rate, RateFault> {
    let rate: Rate = text.parse().map_err(RateFault::Malformed)?;
    if rate.decimal().is_zero() {
        return Err(RateFault::Zero);
    }
    if rate.decimal() > rust_decimal::Decimal::from(MAX_RATE) {
        return Err(RateFault::TooLarge);
    }
    Ok(rate)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(from: &str, to: &str, rate: &str) -> StoredRate {
        StoredRate {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            rate: rate.parse().unwrap(),
            date: "2026-03-02".parse().unwrap(),
            source: "ECB".to_owned(),
            created_at: "2026-03-02T16:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn amounts_are_converted_once_and_by_the_minor_units_of_both() {
        for (amount, from, to, by, expected) in [
            ("100.00", "EUR", "GBP", "0.8512", "85.12"),
            ("49.99", "USD", "GBP", "0.7413", "37.06"),
            ("4900", "JPY", "GBP", "0.0052", "25.48"),
            ("25.48", "GBP", "JPY", "192.5", "4905"),
            ("1.000", "BHD", "USD", "2.6525", "2.65"),
            ("2.65", "USD", "BHD", "0.37700283", "0.999"),
            ("0.00", "EUR", "GBP", "0.8512", "0.00"),
        ] {
            let given = Money::parse(amount, from.parse().unwrap()).unwrap();
            let got = convert(given, &rate(from, to, by)).unwrap();
            assert_eq!(got.to_string(), expected, "{amount} {from}");
            assert_eq!(got.currency().code(), to);
        }
        let most = Money::new(crate::money::MAX_AMOUNT_MINOR, "KWD".parse().unwrap());
        let rials = convert(most, &rate("KWD", "IRR", "137000")).unwrap();
        assert_eq!(rials.minor(), 13_700_000_000_000_000);
    }

    #[test]
    fn half_a_minor_unit_goes_away_from_zero() {
        let half = rate("EUR", "GBP", "0.5");
        for (minor, expected) in [(1, 1), (-1, -1), (3, 2), (-3, -2), (2, 1)] {
            let eur = Money::new(minor, half.from);
            assert_eq!(convert(eur, &half).unwrap().minor(), expected, "{minor}");
        }
        // Just below the half stays below, however many digits it takes to see.
        let below = rate("EUR", "GBP", "0.4999999999");
        let eur = Money::new(1, below.from);
        assert_eq!(convert(eur, &below).unwrap().minor(), 0);
    }

    #[test]
    fn another_currency_and_an_amount_beyond_the_limit_are_errors() {
        let rate = rate("EUR", "JPY", "100000000");
        let usd = Money::new(1, "USD".parse().unwrap());
        assert_eq!(convert(usd, &rate), Err(MoneyError::CurrencyMismatch));
        let most = Money::new(i64::MAX, rate.from);
        assert_eq!(convert(most, &rate), Err(MoneyError::OverLimit));
    }

    #[test]
    fn a_rate_is_above_zero_and_has_at_most_ten_digits_after_the_point() {
        for (text, fault) in [
            ("0", RateFault::Zero),
            ("0.0000000000", RateFault::Zero),
            ("100000000.1", RateFault::TooLarge),
            ("-1", RateFault::Malformed(MoneyError::Negative)),
            (
                "0.12345678901",
                RateFault::Malformed(MoneyError::TooPrecise),
            ),
            ("1e3", RateFault::Malformed(MoneyError::NotDecimal)),
        ] {
            assert_eq!(read_rate(text), Err(fault), "{text}");
        }
        assert!(read_rate("0.0000000001").is_ok() && read_rate("100000000").is_ok());
    }

    #[test]
    fn a_rate_is_good_for_its_date_and_a_week() {
        let (first, last) = good_for("2026-03-02".parse().unwrap());
        assert_eq!(
            (first.to_string(), last.to_string()),
            ("2026-02-23".to_owned(), "2026-03-02".to_owned())
        );
    }

    proptest! {
        #[test]
        fn a_converted_amount_is_within_half_a_unit_and_mirrors_its_reversal(
            minor in -1_000_000_000_000_i64..=1_000_000_000_000,
            digits in 1_u64..1_000_000_000_000,
            pair in prop::sample::select(vec![("EUR", "GBP"), ("JPY", "USD"), ("GBP", "JPY"), ("BHD", "EUR"), ("EUR", "BHD")]),
        ) {
            let text = rust_decimal::Decimal::from_i128_with_scale(i128::from(digits), 10).to_string();
            let rate = rate(pair.0, pair.1, &text);
            let given = Money::new(minor, rate.from);
            let got = convert(given, &rate).unwrap();
            let back = convert(given.negated().unwrap(), &rate).unwrap();
            prop_assert_eq!(back, got.negated().unwrap());
            let unit = 10_i128.pow(10 + rate.from.exponent());
            let exact = i128::from(minor) * i128::from(digits) * 10_i128.pow(rate.to.exponent());
            prop_assert!((i128::from(got.minor()) * unit - exact).abs() * 2 <= unit);
        }
    }
}
