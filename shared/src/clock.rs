//! Time as a value: one injected clock, instants in UTC at millisecond precision.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use jiff::Timestamp;
pub use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan, Unit};

/// Where "now" comes from. Triggers take theirs from the event instead.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock moved by hand, in milliseconds since 1970; shared by all its clones.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A manual clock that stands at `start` until it is set.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.as_millisecond())))
    }

    /// The present instant, cut to milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ms = match self {
            Self::System => Timestamp::now().as_millisecond(),
            Self::Manual(ms) => ms.load(Ordering::SeqCst),
        };
        Timestamp::from_millisecond(ms).expect("the clock holds an instant jiff can represent")
    }

    /// Moves a manual clock to `to`; the system clock stays as it is. Returns whether it moved.
    pub fn set(&self, to: Timestamp) -> bool {
        match self {
            Self::System => false,
            Self::Manual(ms) => {
                ms.store(to.as_millisecond(), Ordering::SeqCst);
                true
            }
        }
    }
}

/// The fixed-width form used in sort keys, so that text order is time order: `2026-11-23T07:00:00.000Z`.
#[must_use]
pub fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The calendar month of an instant in UTC, as `202611`: the bucket of listings.
#[must_use]
pub fn month(at: Timestamp) -> u32 {
    let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
    u32::try_from(date.year()).unwrap_or(0) * 100 + u32::try_from(date.month()).unwrap_or(0)
}

/// The calendar date of an instant in UTC.
#[must_use]
pub fn date_of(at: Timestamp) -> Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Reads a calendar date such as `2026-11-23`; `None` when the text is something else.
#[must_use]
pub fn parse_date(text: &str) -> Option<Date> {
    // The library reads more: years before 0, dates without dashes, dates with times.
    let shape = |(position, byte): (usize, u8)| match position {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    (text.len() == 10 && text.bytes().enumerate().all(shape))
        .then(|| text.parse().ok())
        .flatten()
}

/// The first instant of the month that an instant lies in, in UTC.
#[must_use]
pub fn month_start(at: Timestamp) -> Timestamp {
    let first = at.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month();
    first
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// The first instant of the month after the one that an instant lies in, in UTC.
#[must_use]
pub fn month_end(at: Timestamp) -> Timestamp {
    let first = at.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month();
    first
        .checked_add(1.month())
        .and_then(|next| next.to_zoned(jiff::tz::TimeZone::UTC))
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// The month in which the instant before this one lies: the last that a period up to it touches.
#[must_use]
pub fn last_month_before(at: Timestamp) -> u32 {
    month(at.checked_sub(1.millisecond()).unwrap_or(Timestamp::MIN))
}

/// The month after a bucket: 202512 → 202601.
#[must_use]
pub fn month_after(month: u32) -> u32 {
    if month % 100 >= 12 {
        (month / 100 + 1) * 100 + 1
    } else {
        month + 1
    }
}

/// The month before a bucket: 202601 → 202512.
#[must_use]
pub fn month_before(month: u32) -> u32 {
    if month % 100 <= 1 {
        (month / 100 - 1) * 100 + 12
    } else {
        month - 1
    }
}

/// `days` of 24 hours after an instant; the last representable instant when that is beyond it.
#[must_use]
pub fn days_after(at: Timestamp, days: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(Timestamp::MAX)
}

/// `days` of 24 hours before an instant; the first representable instant when that is before it.
#[must_use]
pub fn days_before(at: Timestamp, days: u32) -> Timestamp {
    at.checked_sub(SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(Timestamp::MIN)
}

/// `minutes` after an instant.
#[must_use]
pub fn minutes_after(at: Timestamp, minutes: i64) -> Timestamp {
    at.checked_add(minutes.minutes()).unwrap_or(Timestamp::MAX)
}

/// `ms` milliseconds after an instant.
#[must_use]
pub fn ms_after(at: Timestamp, ms: i64) -> Timestamp {
    at.checked_add(ms.milliseconds()).unwrap_or(Timestamp::MAX)
}

/// Reads RFC 3339 with any offset, cut to milliseconds; `None` when the text is something else.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    // The library reads more: years before 0 or after 9999, times without seconds, names of time zones.
    let shape = |(position, byte): (usize, &u8)| match position {
        4 | 7 => *byte == b'-',
        10 => matches!(byte, b'T' | b't' | b' '),
        13 | 16 => *byte == b':',
        0..=18 => byte.is_ascii_digit(),
        _ => true,
    };
    let (head, tail) = text.split_at_checked(19)?;
    if !head.as_bytes().iter().enumerate().all(shape) {
        return None;
    }
    let zone = tail.strip_prefix('.').map_or(tail, |fraction| {
        fraction.trim_start_matches(|c: char| c.is_ascii_digit())
    });
    let is_offset = |offset: &[u8]| {
        matches!(offset, [b'+' | b'-', h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()))
    };
    if !(zone.eq_ignore_ascii_case("z") || is_offset(zone.as_bytes())) {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    at.round(
        jiff::TimestampRound::new()
            .smallest(Unit::Millisecond)
            .mode(jiff::RoundMode::Trunc),
    )
    .ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stamps_sort_as_their_instants_and_read_back() {
        let early: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let late: Timestamp = "2026-01-02T03:04:05.070Z".parse().unwrap();
        assert_eq!(stamp(early), "2026-01-02T03:04:05.000Z");
        assert!(stamp(early) < stamp(late));
        assert_eq!(parse(&stamp(late)), Some(late));
    }

    #[test]
    fn only_what_rfc_3339_has_is_a_time() {
        for right in [
            "2026-01-02T03:04:05Z",
            "2026-01-02 03:04:05.5+01:00",
            "2026-01-02t03:04:05z",
        ] {
            assert!(parse(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            "2026-01-02",
            "2026-01-02T03:04Z",
            "-009999-01-02T01:59:59Z",
            "2026-01-02T03:04:05+00:00[Europe/Paris]",
            "2026-01-02T03:04:05",
            "20260102T030405Z",
            "2026-01-02T03:04:05+01",
            "2026-01-02T03:04:05+0100",
            "2026-01-02T03:04:05,5Z",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn months_step_back_over_the_new_year() {
        assert_eq!(month("2026-01-31T23:59:59Z".parse().unwrap()), 202_601);
        assert_eq!(month_before(202_601), 202_512);
        assert_eq!(month_before(202_612), 202_611);
        let december: Timestamp = "2026-12-31T23:59:59.999Z".parse().unwrap();
        assert_eq!(month_start(december).to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(month_end(december).to_string(), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_thirty_day_hold_is_thirty_times_24_hours() {
        let charged: Timestamp = "2020-08-19T16:28:25Z".parse().unwrap();
        assert_eq!(days_after(charged, 30).to_string(), "2020-09-18T16:28:25Z");
    }
}
