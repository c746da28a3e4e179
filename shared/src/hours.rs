//! Working hours: a week of opening hours in a time zone, less the holidays, and how far so many working minutes
//! reach. Pure.
//!
//! Working time is time that passes on the clock while it is open: where a day of an opening loses an hour to
//! summer time it has an hour less, and where it gains one it has one more.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};

use crate::clock::Timestamp;

/// Openings of one day: before and after a break or two.
pub const MAX_SPANS: usize = 4;
/// Holidays that are told: some years ahead of them.
pub const MAX_HOLIDAYS: usize = 200;
/// Minutes of a day, which an opening until midnight ends with.
pub const DAY_MINUTES: u16 = 24 * 60;
/// Days that are looked through for so many working minutes; what does not fit into ten years ends with them.
const MAX_DAYS: usize = 3_660;

/// The days of the week by their names, Monday first.
pub const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// An opening within a day, in minutes since midnight, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// From this minute.
    pub from: u16,
    /// To this one, at most [`DAY_MINUTES`].
    pub to: u16,
}

impl Opening {
    /// From one time of day to another, each as `09:00`; `24:00` is the day's end. `None` where one is no time
    /// of day or the end is not after the beginning.
    #[must_use]
    pub fn read(from: &str, to: &str) -> Option<Self> {
        let (from, to) = (minute(from)?, minute(to)?);
        (from < to).then_some(Self { from, to })
    }

    /// The two times of day.
    #[must_use]
    pub fn times(self) -> [String; 2] {
        [self.from, self.to].map(|minute| format!("{:02}:{:02}", minute / 60, minute % 60))
    }
}

/// A time of day such as `09:30` as minutes since midnight.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY_MINUTES).then_some(all)
}

/// Why working hours are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoursFault {
    /// The time zone is none of the IANA database.
    Zone,
    /// No day has an opening, so nothing would ever be due.
    NeverOpen,
    /// A day has more than [`MAX_SPANS`] openings.
    TooManySpans,
    /// Two openings of a day overlap.
    Overlap,
    /// There are more than [`MAX_HOLIDAYS`] holidays.
    TooManyHolidays,
}

/// A week of openings in a time zone, less holidays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingHours {
    zone: TimeZone,
    zone_name: String,
    /// Monday first, each day's in order.
    week: [Vec<Opening>; 7],
    holidays: BTreeSet<Date>,
}

impl Default for WorkingHours {
    /// Monday to Friday from nine to five in UTC.
    fn default() -> Self {
        let day = || {
            vec![Opening {
                from: 9 * 60,
                to: 17 * 60,
            }]
        };
        Self {
            zone: TimeZone::UTC,
            zone_name: "UTC".to_owned(),
            week: [day(), day(), day(), day(), day(), vec![], vec![]],
            holidays: BTreeSet::new(),
        }
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

impl WorkingHours {
    /// Working hours of these openings, in any order.
    ///
    /// # Errors
    /// What they are not.
    pub fn new(
        zone_name: &str,
        openings: &[(Weekday, Opening)],
        holidays: impl IntoIterator<Item = Date>,
    ) -> Result<Self, HoursFault> {
        let zone = zone(zone_name).ok_or(HoursFault::Zone)?;
        let mut week: [Vec<Opening>; 7] = Default::default();
        for (day, opening) in openings {
            week[index(*day)].push(*opening);
        }
        for day in &mut week {
            day.sort_unstable();
            if day.len() > MAX_SPANS {
                return Err(HoursFault::TooManySpans);
            }
            if day.windows(2).any(|pair| pair[0].to > pair[1].from) {
                return Err(HoursFault::Overlap);
            }
        }
        if week.iter().all(Vec::is_empty) {
            return Err(HoursFault::NeverOpen);
        }
        let holidays: BTreeSet<Date> = holidays.into_iter().collect();
        if holidays.len() > MAX_HOLIDAYS {
            return Err(HoursFault::TooManyHolidays);
        }
        Ok(Self {
            zone,
            zone_name: zone_name.to_owned(),
            week,
            holidays,
        })
    }

    /// The time zone's name.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.zone_name
    }

    /// The openings, Monday first.
    pub fn openings(&self) -> impl Iterator<Item = (&'static str, Opening)> + '_ {
        WEEKDAYS.iter().flat_map(|(name, day)| {
            self.week[index(*day)]
                .iter()
                .map(move |opening| (*name, *opening))
        })
    }

    /// The holidays, in order.
    pub fn holidays(&self) -> impl Iterator<Item = Date> + '_ {
        self.holidays.iter().copied()
    }

    /// Whether it is open at that instant.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let date = self.date(at);
        // Where a clock leaps over midnight, an opening may begin on the day after its own.
        let days = [date.checked_sub(1.day()).ok(), Some(date)];
        days.into_iter().flatten().any(|day| {
            self.on(day)
                .into_iter()
                .any(|(from, to)| from <= at && at < to)
        })
    }

    /// The instant by which so many working minutes have passed since `at`. None have where `minutes` is 0:
    /// then it is `at` itself where it is open, and else the next opening.
    #[must_use]
    pub fn minutes_after(&self, at: Timestamp, minutes: u32) -> Timestamp {
        let mut left = SignedDuration::from_mins(i64::from(minutes));
        let mut reached = at;
        let first = self.date(at).checked_sub(1.day());
        let mut day = first.unwrap_or(Date::MIN);
        for _ in 0..MAX_DAYS {
            for (from, to) in self.on(day) {
                let from = from.max(reached);
                if from >= to {
                    continue;
                }
                let open = to.duration_since(from);
                if left < open || (left == open && minutes > 0) {
                    return from.checked_add(left).unwrap_or(Timestamp::MAX);
                }
                left -= open;
                reached = to;
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        self.instant(day.to_datetime(Time::midnight()))
            .unwrap_or(Timestamp::MAX)
    }

    /// The instant by which so many working hours have passed since `at`.
    #[must_use]
    pub fn hours_after(&self, at: Timestamp, hours: u32) -> Timestamp {
        self.minutes_after(at, hours.saturating_mul(60))
    }

    /// The whole working minutes between two instants; 0 where the second is not after the first.
    #[must_use]
    pub fn minutes_between(&self, from: Timestamp, to: Timestamp) -> u32 {
        let mut open = SignedDuration::ZERO;
        let mut reached = from;
        let mut day = self.date(from).checked_sub(1.day()).unwrap_or(Date::MIN);
        let last = self.date(to);
        for _ in 0..MAX_DAYS {
            if day > last {
                break;
            }
            for (begin, end) in self.on(day) {
                let (begin, end) = (begin.max(reached), end.min(to));
                if begin < end {
                    open += end.duration_since(begin);
                    reached = end;
                }
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        u32::try_from(open.as_mins()).unwrap_or(u32::MAX)
    }

    /// The date of an instant where the hours are kept.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// The openings of a date as instants, in order.
    fn on(&self, date: Date) -> Vec<(Timestamp, Timestamp)> {
        if self.holidays.contains(&date) {
            return Vec::new();
        }
        let edge = |minute: u16| {
            let midnight = date.to_datetime(Time::midnight());
            let edge = midnight.checked_add(i64::from(minute).minutes()).ok()?;
            self.instant(edge)
        };
        self.week[index(date.weekday())]
            .iter()
            .filter_map(|opening| Some((edge(opening.from)?, edge(opening.to)?)))
            .collect()
    }

    /// When the clocks show that. A time that they leap over is as much later, one that they show twice the
    /// first of the two.
    fn instant(&self, shown: DateTime) -> Option<Timestamp> {
        self.zone.to_ambiguous_timestamp(shown).compatible().ok()
    }
}

/// A time zone of the IANA database by its name.
fn zone(name: &str) -> Option<TimeZone> {
    let zone = TimeZone::get(name).ok()?;
    // The library finds names in any spelling; kept is what the database has.
    (zone.iana_name() == Some(name)).then_some(zone)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nine_to_five(zone: &str, holidays: &[&str]) -> WorkingHours {
        let opening = Opening::read("09:00", "17:00").unwrap();
        let days: Vec<_> = WEEKDAYS[..5].iter().map(|(_, d)| (*d, opening)).collect();
        let holidays = holidays.iter().map(|date| date.parse().unwrap());
        WorkingHours::new(zone, &days, holidays).unwrap()
    }

    fn always(zone: &str) -> WorkingHours {
        let opening = Opening::read("00:00", "24:00").unwrap();
        let days: Vec<_> = WEEKDAYS.iter().map(|(_, day)| (*day, opening)).collect();
        WorkingHours::new(zone, &days, []).unwrap()
    }

    #[test]
    fn eight_hours_from_friday_noon_end_on_monday_at_noon() {
        let berlin = nine_to_five("Europe/Berlin", &[]);
        let friday = at("2026-03-06T11:00:00Z");
        assert_eq!(berlin.hours_after(friday, 8), at("2026-03-09T11:00:00Z"));
        assert_eq!(berlin.hours_after(friday, 5), at("2026-03-06T16:00:00Z"));
        assert_eq!(
            berlin.minutes_after(friday, 301),
            at("2026-03-09T08:01:00Z")
        );
    }

    #[test]
    fn nothing_passes_on_a_holiday_or_a_weekend_over_which_summer_time_begins() {
        let berlin = nine_to_five("Europe/Berlin", &["2026-04-03", "2026-04-06"]);
        let thursday = at("2026-04-02T14:00:00Z");
        assert_eq!(berlin.hours_after(thursday, 2), at("2026-04-07T08:00:00Z"));
        let before = at("2026-03-27T15:00:00Z");
        // Nine o'clock is 08:00Z on the Friday and 07:00Z on the Monday.
        assert_eq!(berlin.hours_after(before, 2), at("2026-03-30T08:00:00Z"));
    }

    #[test]
    fn a_day_that_loses_an_hour_has_23() {
        let berlin = always("Europe/Berlin");
        let midnight = at("2026-03-28T23:00:00Z");
        assert_eq!(
            berlin.minutes_between(midnight, at("2026-03-29T22:00:00Z")),
            23 * 60
        );
        let night = Opening::read("02:00", "04:00").unwrap();
        let sunday = WorkingHours::new("Europe/Berlin", &[(Weekday::Sunday, night)], []).unwrap();
        // Two o'clock was three; one of the two hours is left.
        assert_eq!(sunday.hours_after(midnight, 1), at("2026-03-29T02:00:00Z"));
        assert_eq!(
            sunday.minutes_after(midnight, 61),
            at("2026-04-05T00:01:00Z")
        );
        // And one more where it is shown twice.
        let autumn = at("2026-10-24T22:00:00Z");
        assert_eq!(
            sunday.minutes_between(autumn, at("2026-10-25T23:00:00Z")),
            180
        );
    }

    #[test]
    fn no_minutes_end_where_it_is_open_next() {
        let berlin = nine_to_five("Europe/Berlin", &[]);
        let open = at("2026-03-06T11:00:00Z");
        assert_eq!(berlin.minutes_after(open, 0), open);
        let shut = at("2026-03-06T16:00:00Z");
        assert_eq!(berlin.minutes_after(shut, 0), at("2026-03-09T08:00:00Z"));
        assert!(berlin.is_open(open) && !berlin.is_open(shut));
    }

    #[test]
    fn hours_that_never_open_overlap_or_are_nowhere_are_refused() {
        fn day(from: &str, to: &str) -> (Weekday, Opening) {
            (Weekday::Monday, Opening::read(from, to).unwrap())
        }
        let new = |zone: &str, days: &[(Weekday, Opening)]| WorkingHours::new(zone, days, []).err();
        assert_eq!(new("UTC", &[]), Some(HoursFault::NeverOpen));
        assert_eq!(
            new("Europe/Londres", &[day("09:00", "10:00")]),
            Some(HoursFault::Zone)
        );
        let overlapping = [day("09:00", "12:00"), day("11:59", "13:00")];
        assert_eq!(new("UTC", &overlapping), Some(HoursFault::Overlap));
        assert_eq!(
            new("UTC", &[day("09:00", "12:00"), day("12:00", "13:00")]),
            None
        );
        let five: Vec<_> = (10..15)
            .map(|hour| day(&format!("{hour}:00"), &format!("{hour}:30")))
            .collect();
        assert_eq!(new("UTC", &five), Some(HoursFault::TooManySpans));
        for (from, to) in [
            ("9:00", "10:00"),
            ("09:60", "10:00"),
            ("09:00", "24:01"),
            ("10:00", "10:00"),
            ("", "10:00"),
            ("+9:00", "10:00"),
        ] {
            assert_eq!(Opening::read(from, to), None, "{from} {to}");
        }
        assert_eq!(Opening::read("00:00", "24:00").unwrap().times()[1], "24:00");
    }

    #[test]
    fn what_fits_into_no_ten_years_ends_with_them() {
        let minute = Opening { from: 0, to: 1 };
        let rare = WorkingHours::new("UTC", &[(Weekday::Monday, minute)], []).unwrap();
        let end = rare.hours_after(at("2026-01-01T00:00:00Z"), 100);
        assert!(end > at("2035-12-01T00:00:00Z") && end < at("2036-02-01T00:00:00Z"));
    }

    /// Zones with all that there is: half an hour, a leap at midnight, a date left out, none at all.
    const ZONES: [&str; 6] = [
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Pacific/Apia",
        "Asia/Beirut",
        "UTC",
    ];

    prop_compose! {
        fn hours()(
            zone in 0..ZONES.len(),
            spans in prop::collection::vec((0..7_usize, 0..1_380_u16, 30..600_u16), 1..8),
            holidays in prop::collection::btree_set(0..400_i64, 0..20),
        ) -> WorkingHours {
            let mut week: Vec<(Weekday, Opening)> = Vec::new();
            for (day, from, length) in spans {
                let opening = Opening { from, to: (from + length).min(DAY_MINUTES) };
                let day = WEEKDAYS[day].1;
                // One opening a day, for brevity.
                if week.iter().all(|(known, _)| *known != day) {
                    week.push((day, opening));
                }
            }
            let first: Date = "2026-01-01".parse().unwrap();
            let holidays = holidays.into_iter().map(|days| first.checked_add(days.days()).unwrap());
            WorkingHours::new(ZONES[zone], &week, holidays).unwrap()
        }
    }

    proptest! {
        #[test]
        fn as_many_minutes_lie_between_as_were_added(
            hours in hours(), minute in 0..600_000_i64, minutes in 1..6_000_u32,
        ) {
            let from = at("2026-01-01T00:00:00Z") + SignedDuration::from_mins(minute);
            let to = hours.minutes_after(from, minutes);
            prop_assert!(to > from);
            prop_assert_eq!(hours.minutes_between(from, to), minutes);
            // The last of them passed while it was open.
            prop_assert!(hours.is_open(to - SignedDuration::from_millis(1)));
        }

        #[test]
        fn minutes_added_one_after_the_other_are_added_at_once(
            hours in hours(), minute in 0..600_000_i64, first in 1..2_000_u32, second in 1..2_000_u32,
        ) {
            let from = at("2026-01-01T00:00:00Z") + SignedDuration::from_mins(minute);
            let stepwise = hours.minutes_after(hours.minutes_after(from, first), second);
            prop_assert_eq!(stepwise, hours.minutes_after(from, first + second));
        }

        #[test]
        fn a_later_start_ends_no_earlier(
            hours in hours(), minute in 0..600_000_i64, later in 0..3_000_i64, minutes in 0..3_000_u32,
        ) {
            let from = at("2026-01-01T00:00:00Z") + SignedDuration::from_mins(minute);
            let after = from + SignedDuration::from_mins(later);
            prop_assert!(hours.minutes_after(from, minutes) <= hours.minutes_after(after, minutes));
        }
    }
}
