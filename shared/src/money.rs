//! Money as integer minor units with its currency, and rates as decimals. Never a float.

use std::fmt;
use std::str::FromStr;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// The largest amount one field may state, in minor units: a million million. Sums stay far inside `i64`.
pub const MAX_AMOUNT_MINOR: i64 = 1_000_000_000_000;
/// Most digits after the point a rate may have.
pub const MAX_RATE_SCALE: u32 = 10;

/// An ISO 4217 currency that has minor units or none (JPY 0, GBP 2, BHD 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three-letter code, such as `GBP`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the point; ISO 4217 gives none for metals and testing codes, which are refused.
    #[must_use]
    pub fn exponent(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or(MoneyError::UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What can be wrong with an amount, a rate or a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code with minor units.
    #[error("is not an ISO 4217 currency code")]
    UnknownCurrency,
    /// Not a plain decimal such as `25.00`.
    #[error("must be a plain decimal such as \"25.00\"")]
    NotDecimal,
    /// More digits after the point than the currency has.
    #[error("has more digits after the point than its currency allows")]
    TooPrecise,
    /// Below zero where only zero or more makes sense.
    #[error("must not be negative")]
    Negative,
    /// Beyond [`MAX_AMOUNT_MINOR`], or a sum beyond what 64 bits hold.
    #[error("is over the limit")]
    OverLimit,
    /// Two currencies met in one sum.
    #[error("mixes two currencies")]
    CurrencyMismatch,
}

/// How a fraction of a minor unit is settled. Named at every place that rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Half away from zero: 0.5 → 1, −0.5 → −1.
    HalfUp,
    /// Toward negative infinity.
    Floor,
}

impl Rounding {
    fn strategy(self) -> RoundingStrategy {
        match self {
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Self::Floor => RoundingStrategy::ToNegativeInfinity,
        }
    }
}

/// A share, such as `0.20` for 20 %. Stored and sent as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(Decimal);

impl Rate {
    /// The rate of that decimal, which is not negative.
    #[must_use]
    pub const fn of(decimal: Decimal) -> Self {
        Self(decimal)
    }

    /// The decimal itself.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// What a share leaves of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self((Decimal::ONE - self.0).max(Decimal::ZERO))
    }
}

impl FromStr for Rate {
    type Err = MoneyError;

    /// Reads a plain non-negative decimal with at most [`MAX_RATE_SCALE`] digits after the point.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let value = plain_decimal(text)?;
        if value.is_sign_negative() && !value.is_zero() {
            return Err(MoneyError::Negative);
        }
        if value.scale() > MAX_RATE_SCALE {
            return Err(MoneyError::TooPrecise);
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An amount in minor units with its currency. Arithmetic is checked: overflow is an error, never a wrap.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount of `minor` units.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Reads `"25.00"` as an amount from zero to [`MAX_AMOUNT_MINOR`], no more precise than the currency.
    ///
    /// # Errors
    /// [`MoneyError`], saying what is wrong with the text.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let value = plain_decimal(text)?;
        if value.is_sign_negative() && !value.is_zero() {
            return Err(MoneyError::Negative);
        }
        let exponent = currency.exponent();
        // Trailing zeros carry no precision: "5.000" is five pounds.
        if value.normalize().scale() > exponent {
            return Err(MoneyError::TooPrecise);
        }
        let minor = Decimal::from(10_i64.pow(exponent))
            .checked_mul(value)
            .and_then(|minor| minor.to_i64())
            .filter(|minor| *minor <= MAX_AMOUNT_MINOR)
            .ok_or(MoneyError::OverLimit)?;
        Ok(Self { minor, currency })
    }

    /// Minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether nothing is there.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum of two amounts of one currency.
    ///
    /// # Errors
    /// `CurrencyMismatch`, `OverLimit`.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let minor = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyError::OverLimit)?;
        Ok(Self { minor, ..self })
    }

    /// The amount `quantity` times.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn times(self, quantity: u32) -> Result<Self, MoneyError> {
        let minor = self
            .minor
            .checked_mul(i64::from(quantity))
            .ok_or(MoneyError::OverLimit)?;
        Ok(Self { minor, ..self })
    }

    /// The same amount with the other sign.
    ///
    /// # Errors
    /// `OverLimit` for the one value without a counterpart.
    pub fn negated(self) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_neg().ok_or(MoneyError::OverLimit)?;
        Ok(Self { minor, ..self })
    }

    /// The amount that becomes this one when its share `rate` is added, its fraction of a minor unit settled by
    /// `rounding`: what is left of a price when a tax that is in it is taken out.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn without_share(self, rate: Rate, rounding: Rounding) -> Result<Self, MoneyError> {
        let minor = Decimal::ONE
            .checked_add(rate.0)
            .and_then(|whole| Decimal::from(self.minor).checked_div(whole))
            .map(|exact| exact.round_dp_with_strategy(0, rounding.strategy()))
            .and_then(|rounded| rounded.to_i64())
            .ok_or(MoneyError::OverLimit)?;
        Ok(Self { minor, ..self })
    }

    /// The share `rate` of the amount, its fraction of a minor unit settled by `rounding`.
    ///
    /// # Errors
    /// `OverLimit`.
    pub fn percent(self, rate: Rate, rounding: Rounding) -> Result<Self, MoneyError> {
        let minor = Decimal::from(self.minor)
            .checked_mul(rate.0)
            .map(|exact| exact.round_dp_with_strategy(0, rounding.strategy()))
            .and_then(|rounded| rounded.to_i64())
            .ok_or(MoneyError::OverLimit)?;
        Ok(Self { minor, ..self })
    }
}

impl fmt::Display for Money {
    /// The decimal alone, such as `25.00` or `-0.05`; the currency always stands beside it in a field of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        if exponent == 0 {
            return write!(f, "{sign}{minor}");
        }
        let unit = 10_u64.pow(exponent);
        write!(
            f,
            "{sign}{}.{:0width$}",
            minor / unit,
            minor % unit,
            width = exponent as usize
        )
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", self.currency)
    }
}

/// Digits with at most one point and a leading minus: no exponent, no grouping, no blanks.
fn plain_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(MoneyError::NotDecimal);
    }
    // The digits are sound, so what is left to fail is their number.
    Decimal::from_str_exact(text).map_err(|_| MoneyError::OverLimit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, "GBP".parse().unwrap()).unwrap()
    }

    #[test]
    fn shares_round_half_away_from_zero_on_minor_units() {
        let gbp: Currency = "GBP".parse().unwrap();
        for (minor, rate, expected) in [
            (7, "0.20", 1),
            (2, "0.20", 0),
            (3, "0.20", 1),
            (15, "0.10", 2),
            (1, "0.50", 1),
            (500, "0.029", 15),
        ] {
            let share = Money::new(minor, gbp)
                .percent(rate.parse().unwrap(), Rounding::HalfUp)
                .unwrap();
            assert_eq!(share.minor(), expected, "{minor} at {rate}");
            let back = Money::new(-minor, gbp)
                .percent(rate.parse().unwrap(), Rounding::HalfUp)
                .unwrap();
            assert_eq!(
                back.minor(),
                -expected,
                "a reversal of {minor} at {rate} mirrors it"
            );
        }
    }

    #[test]
    fn the_floor_goes_toward_negative_infinity() {
        let gbp: Currency = "GBP".parse().unwrap();
        let half: Rate = "0.5".parse().unwrap();
        assert_eq!(
            Money::new(3, gbp)
                .percent(half, Rounding::Floor)
                .unwrap()
                .minor(),
            1
        );
        assert_eq!(
            Money::new(-3, gbp)
                .percent(half, Rounding::Floor)
                .unwrap()
                .minor(),
            -2
        );
    }

    #[test]
    fn a_flat_amount_multiplies_by_quantity() {
        assert_eq!(gbp("5.00").times(2).unwrap(), gbp("10.00"));
    }

    #[test]
    fn exponents_are_those_of_the_currency() {
        for (code, text, minor) in [
            ("JPY", "500", 500),
            ("GBP", "5.5", 550),
            ("BHD", "1.234", 1234),
            ("GBP", "5.000", 500),
        ] {
            let money = Money::parse(text, code.parse().unwrap()).unwrap();
            assert_eq!(money.minor(), minor, "{text} {code}");
        }
        assert_eq!(
            Money::new(1234, "BHD".parse().unwrap()).to_string(),
            "1.234"
        );
        assert_eq!(Money::new(-5, "GBP".parse().unwrap()).to_string(), "-0.05");
        assert_eq!(Money::new(7, "JPY".parse().unwrap()).to_string(), "7");
    }

    #[test]
    fn amounts_that_are_not_plain_decimals_are_refused_with_their_reason() {
        let gbp: Currency = "GBP".parse().unwrap();
        for (text, reason) in [
            ("", MoneyError::NotDecimal),
            ("1e3", MoneyError::NotDecimal),
            ("1,000.00", MoneyError::NotDecimal),
            (" 1", MoneyError::NotDecimal),
            ("+1", MoneyError::NotDecimal),
            (".5", MoneyError::NotDecimal),
            ("5.", MoneyError::NotDecimal),
            ("--5", MoneyError::NotDecimal),
            ("NaN", MoneyError::NotDecimal),
            ("-1.00", MoneyError::Negative),
            ("1.001", MoneyError::TooPrecise),
            ("10000000000.01", MoneyError::OverLimit),
            ("99999999999999999999999999999999999", MoneyError::OverLimit),
        ] {
            assert_eq!(Money::parse(text, gbp), Err(reason), "{text:?}");
        }
        assert_eq!("XAU".parse::<Currency>(), Err(MoneyError::UnknownCurrency));
        assert_eq!("gbp".parse::<Currency>(), Err(MoneyError::UnknownCurrency));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(minor in 0..=MAX_AMOUNT_MINOR, code in prop::sample::select(vec!["GBP", "JPY", "BHD", "USD"])) {
            let currency: Currency = code.parse().unwrap();
            let money = Money::new(minor, currency);
            prop_assert_eq!(Money::parse(&money.to_string(), currency).unwrap(), money);
        }

        #[test]
        fn a_share_is_within_half_a_unit_of_the_exact_product(minor in -MAX_AMOUNT_MINOR..=MAX_AMOUNT_MINOR, basis in 0_i64..=10_000) {
            let gbp: Currency = "GBP".parse().unwrap();
            let rate: Rate = Decimal::new(basis, 4).to_string().parse().unwrap();
            let share = Money::new(minor, gbp).percent(rate, Rounding::HalfUp).unwrap().minor();
            let twice_error = (i128::from(share) * 10_000 - i128::from(minor) * i128::from(basis)) * 2;
            prop_assert!(twice_error.abs() <= 10_000);
        }
    }
}
