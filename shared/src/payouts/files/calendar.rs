//! The days on which banks pay.

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{ToSpan, civil};

use crate::clock::Timestamp;

/// The zone of the TARGET system.
const TARGET_ZONE: &str = "Europe/Berlin";
/// The zone of the Federal Reserve's calendar.
const FED_ZONE: &str = "America/New_York";
/// No run of days without payments is longer.
const LONGEST_BREAK: usize = 10;

/// The calendar day of an instant for banks in the euro area.
#[must_use]
pub fn day_in_europe(at: Timestamp) -> Date {
    day(at, TARGET_ZONE).date()
}

/// The calendar day and time of an instant for banks in the United States.
#[must_use]
pub fn time_in_america(at: Timestamp) -> civil::DateTime {
    day(at, FED_ZONE)
}

fn day(at: Timestamp, zone: &str) -> civil::DateTime {
    // The time-zone database is part of the program.
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).datetime()
}

/// The first TARGET business day on or after a day.
#[must_use]
pub fn target_day(from: Date) -> Date {
    first(from, is_target_day)
}

/// The first banking day of the Federal Reserve after a day.
#[must_use]
pub fn banking_day_after(day: Date) -> Date {
    first(next(day), is_banking_day)
}

fn first(from: Date, pays: fn(Date) -> bool) -> Date {
    let mut day = from;
    for _ in 0..LONGEST_BREAK {
        if pays(day) {
            break;
        }
        day = next(day);
    }
    day
}

fn next(day: Date) -> Date {
    day.tomorrow().unwrap_or(day)
}

fn is_weekday(day: Date) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// TARGET closes at weekends, on 1 January, Good Friday, Easter Monday, 1 May, 25 and 26 December.
fn is_target_day(day: Date) -> bool {
    let easter = easter(day.year());
    let closed = matches!((day.month(), day.day()), (1 | 5, 1) | (12, 25 | 26))
        || easter
            .checked_sub(2.days())
            .is_ok_and(|friday| friday == day)
        || easter
            .checked_add(1.day())
            .is_ok_and(|monday| monday == day);
    is_weekday(day) && !closed
}

/// The Federal Reserve closes at weekends and on eleven holidays; one that falls on a Sunday is kept on
/// Monday, one that falls on a Saturday is not kept on another day.
fn is_banking_day(day: Date) -> bool {
    let is_holiday = |day: Date| {
        let nth = |month, weekday, nth| {
            day.month() == month
                && day
                    .first_of_month()
                    .nth_weekday_of_month(nth, weekday)
                    .is_ok_and(|holiday| holiday == day)
        };
        matches!(
            (day.month(), day.day()),
            (1, 1) | (6, 19) | (7, 4) | (11, 11) | (12, 25)
        ) || nth(1, Weekday::Monday, 3)
            || nth(2, Weekday::Monday, 3)
            || nth(5, Weekday::Monday, -1)
            || nth(9, Weekday::Monday, 1)
            || nth(10, Weekday::Monday, 2)
            || nth(11, Weekday::Thursday, 4)
    };
    let kept = day.weekday() == Weekday::Monday && day.yesterday().is_ok_and(is_holiday);
    is_weekday(day) && !is_holiday(day) && !kept
}

/// Easter Sunday of a year in the Gregorian calendar (Meeus, Jones, Butcher).
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    let part = |number: i32| i8::try_from(number).unwrap_or(1);
    date(year, part(n / 31), part(n % 31 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weekdays of a year on which banks are closed, as month and day.
    fn closed(year: i16, pays: fn(Date) -> bool) -> Vec<(i8, i8)> {
        std::iter::successors(Some(date(year, 1, 1)), |day| day.tomorrow().ok())
            .take_while(|day| day.year() == year)
            .filter(|day| is_weekday(*day) && !pays(*day))
            .map(|day| (day.month(), day.day()))
            .collect()
    }

    #[test]
    fn easter_falls_where_it_is_published_to_fall() {
        for (year, month, day) in [
            (1900, 4, 15),
            (1954, 4, 18),
            (1981, 4, 19),
            (2000, 4, 23),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2028, 4, 16),
            (2029, 4, 1),
            (2030, 4, 21),
            (2031, 4, 13),
            (2032, 3, 28),
            (2033, 4, 17),
            (2034, 4, 9),
            (2035, 3, 25),
            (2036, 4, 13),
            (2037, 4, 5),
            (2038, 4, 25),
            (2039, 4, 10),
            (2040, 4, 1),
            (2041, 4, 21),
            (2042, 4, 6),
            (2043, 3, 29),
            (2044, 4, 17),
            (2045, 4, 9),
            (2046, 3, 25),
            (2047, 4, 14),
            (2048, 4, 5),
            (2049, 4, 18),
            (2050, 4, 10),
            (2076, 4, 19),
            (2100, 3, 28),
            (2106, 4, 18),
            (2200, 4, 6),
            (2299, 4, 16),
        ] {
            assert_eq!(easter(year), date(year, month, day));
        }
    }

    #[test]
    fn sepa_payments_rest_on_the_closing_days_that_target_publishes() {
        // Those of 1 May 2027 and of Christmas 2027 fall on a weekend.
        for (year, expected) in [
            (
                2024,
                vec![(1, 1), (3, 29), (4, 1), (5, 1), (12, 25), (12, 26)],
            ),
            (
                2025,
                vec![(1, 1), (4, 18), (4, 21), (5, 1), (12, 25), (12, 26)],
            ),
            (2026, vec![(1, 1), (4, 3), (4, 6), (5, 1), (12, 25)]),
            (2027, vec![(1, 1), (3, 26), (3, 29)]),
        ] {
            assert_eq!(closed(year, is_target_day), expected, "{year}");
        }
    }

    #[test]
    fn american_payments_rest_on_the_holidays_that_the_federal_reserve_publishes() {
        for (year, expected) in [
            // 1 January 2023 is a Sunday, 11 November a Saturday.
            (
                2023,
                vec![
                    (1, 2),
                    (1, 16),
                    (2, 20),
                    (5, 29),
                    (6, 19),
                    (7, 4),
                    (9, 4),
                    (10, 9),
                    (11, 23),
                    (12, 25),
                ],
            ),
            // 4 July 2026 is a Saturday.
            (
                2026,
                vec![
                    (1, 1),
                    (1, 19),
                    (2, 16),
                    (5, 25),
                    (6, 19),
                    (9, 7),
                    (10, 12),
                    (11, 11),
                    (11, 26),
                    (12, 25),
                ],
            ),
            // 4 July 2027 is a Sunday; 19 June and 25 December are Saturdays.
            (
                2027,
                vec![
                    (1, 1),
                    (1, 18),
                    (2, 15),
                    (5, 31),
                    (7, 5),
                    (9, 6),
                    (10, 11),
                    (11, 11),
                    (11, 25),
                ],
            ),
        ] {
            assert_eq!(closed(year, is_banking_day), expected, "{year}");
        }
    }

    #[test]
    fn target_pays_on_its_business_days() {
        for (from, expected) in [
            (date(2026, 3, 2), date(2026, 3, 2)),
            (date(2026, 3, 7), date(2026, 3, 9)),
            // Good Friday to Easter Monday.
            (date(2026, 4, 3), date(2026, 4, 7)),
            (date(2026, 5, 1), date(2026, 5, 4)),
            (date(2026, 12, 25), date(2026, 12, 28)),
            (date(2027, 1, 1), date(2027, 1, 4)),
        ] {
            assert_eq!(target_day(from), expected, "{from}");
        }
    }

    #[test]
    fn american_banks_pay_on_the_next_banking_day() {
        for (day, expected) in [
            (date(2026, 3, 2), date(2026, 3, 3)),
            (date(2026, 3, 6), date(2026, 3, 9)),
            (date(2026, 1, 16), date(2026, 1, 20)),
            (date(2026, 11, 25), date(2026, 11, 27)),
            // 4 July 2027 is a Sunday and kept on Monday; that of 2026 is a Saturday and not kept on Friday.
            (date(2027, 7, 2), date(2027, 7, 6)),
            (date(2026, 7, 2), date(2026, 7, 3)),
            (date(2026, 5, 22), date(2026, 5, 26)),
        ] {
            assert_eq!(banking_day_after(day), expected, "{day}");
        }
    }

    #[test]
    fn a_day_is_the_banks_own() {
        let at: Timestamp = "2026-03-01T23:30:00Z".parse().expect("a time");
        assert_eq!(day_in_europe(at), date(2026, 3, 2));
        assert_eq!(time_in_america(at).date(), date(2026, 3, 1));
    }
}
