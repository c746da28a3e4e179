//! `rate(…)` and `cron(…)` expressions of EventBridge, in UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const MINUTE_MS: i64 = 60_000;

/// The furthest ahead or back a cron expression is searched: a leap day may be eight years away, but
/// nothing scheduled here is that rare.
const SEARCH_MINUTES: i64 = 2 * 366 * 24 * 60;

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At every multiple of a period, counted from the epoch.
    Rate {
        /// Milliseconds.
        period_ms: i64,
    },
    /// In every minute that fits.
    Cron(Cron),
}

/// The minutes, hours and days a cron expression allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
    years: Field,
}

/// The allowed values of a field; `None` allows all.
type Field = Option<Vec<i64>>;

/// An expression that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schedule {expression:?} is not understood: {reason}")]
pub struct ScheduleError {
    /// The expression.
    pub expression: String,
    /// Why.
    pub reason: String,
}

impl Schedule {
    /// Reads `rate(5 minutes)` or `cron(0 12 * * ? *)`.
    pub fn parse(expression: &str) -> Result<Self, ScheduleError> {
        let refused = |reason: &str| ScheduleError {
            expression: expression.to_owned(),
            reason: reason.to_owned(),
        };
        let inner = |name: &str| expression.strip_prefix(name)?.strip_suffix(')');
        if let Some(rate) = inner("rate(") {
            return rate_of(rate).map_err(refused);
        }
        if let Some(cron) = inner("cron(") {
            return Cron::parse(cron)
                .map(Self::Cron)
                .map_err(|reason| refused(&reason));
        }
        Err(refused("it is neither rate(…) nor cron(…)"))
    }

    /// The latest instant it is due in, after `after` and not after `until`.
    pub fn latest_due(&self, after: i64, until: i64) -> Option<i64> {
        match self {
            Self::Rate { period_ms } => {
                let due = until.div_euclid(*period_ms) * period_ms;
                (due > after).then_some(due)
            }
            Self::Cron(cron) => {
                let last = until.div_euclid(MINUTE_MS);
                (0..SEARCH_MINUTES)
                    .map(|back| (last - back) * MINUTE_MS)
                    .take_while(|at| *at > after)
                    .find(|at| cron.allows(*at))
            }
        }
    }

    /// The next instant it is due in after `after`; `None` when that is too far off to matter.
    pub fn next_due(&self, after: i64) -> Option<i64> {
        match self {
            Self::Rate { period_ms } => Some((after.div_euclid(*period_ms) + 1) * period_ms),
            Self::Cron(cron) => {
                let first = after.div_euclid(MINUTE_MS) + 1;
                (0..SEARCH_MINUTES)
                    .map(|on| (first + on) * MINUTE_MS)
                    .find(|at| cron.allows(*at))
            }
        }
    }
}

fn rate_of(rate: &str) -> Result<Schedule, &'static str> {
    let (count, unit) = rate
        .trim()
        .split_once(' ')
        .ok_or("a rate is a number and a unit")?;
    let count: i64 = count
        .parse()
        .map_err(|_| "a rate starts with a whole number")?;
    let unit_ms = match (count, unit.trim()) {
        (..=0, _) => return Err("a rate is positive"),
        (1, "minute") | (2.., "minutes") => MINUTE_MS,
        (1, "hour") | (2.., "hours") => 60 * MINUTE_MS,
        (1, "day") | (2.., "days") => 24 * 60 * MINUTE_MS,
        _ => return Err("the unit is minute, hour or day, with an s unless it is one"),
    };
    let period_ms = count.checked_mul(unit_ms).ok_or("the rate is too long")?;
    Ok(Schedule::Rate { period_ms })
}

impl Cron {
    fn parse(text: &str) -> Result<Self, String> {
        const MONTHS: &[&str] = &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ];
        const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields[..] else {
            return Err("it has six fields: minutes, hours, day, month, weekday, year".to_owned());
        };
        if (days == "?") == (weekdays == "?") {
            return Err("exactly one of day and weekday is a ?".to_owned());
        }
        Ok(Self {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, MONTHS)?,
            weekdays: field(weekdays, 1, 7, WEEKDAYS)?,
            years: field(years, 1970, 2199, &[])?,
        })
    }

    fn allows(&self, at: i64) -> bool {
        let Ok(instant) = Timestamp::from_millisecond(at) else {
            return false;
        };
        let time = instant.to_zoned(TimeZone::UTC).datetime();
        let weekday = i64::from(time.weekday().to_sunday_one_offset());
        let fits = |field: &Field, value: i64| {
            field
                .as_ref()
                .is_none_or(|allowed| allowed.contains(&value))
        };
        fits(&self.minutes, i64::from(time.minute()))
            && fits(&self.hours, i64::from(time.hour()))
            && fits(&self.days, i64::from(time.day()))
            && fits(&self.months, i64::from(time.month()))
            && fits(&self.weekdays, weekday)
            && fits(&self.years, i64::from(time.year()))
    }
}

/// `*`, `?`, and lists of values, ranges and steps. Names count from `least`.
fn field(text: &str, least: i64, most: i64, names: &[&str]) -> Result<Field, String> {
    if text == "*" || text == "?" {
        return Ok(None);
    }
    let value = |text: &str| -> Result<i64, String> {
        let named = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        named
            .and_then(|at| i64::try_from(at).ok())
            .map(|at| at + least)
            .or_else(|| text.parse().ok())
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| format!("{text:?} is not within {least} and {most}"))
    };
    let mut allowed = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step: i64 = step.parse().map_err(|_| format!("{part:?} has no step"))?;
                (
                    range,
                    Some(step)
                        .filter(|step| *step > 0)
                        .ok_or("a step is positive")?,
                )
            }
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (value(from)?, value(to)?),
            None if range == "*" => (least, most),
            None if part.contains('/') => (value(range)?, most),
            None => (value(range)?, value(range)?),
        };
        let mut at = from;
        while at <= to {
            allowed.push(at);
            at += step;
        }
    }
    Ok(Some(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_rate_is_due_at_every_multiple() {
        let every_five = Schedule::parse("rate(5 minutes)").unwrap();
        let noon = at("2026-01-01T12:00:00Z");
        assert_eq!(every_five.next_due(noon), Some(at("2026-01-01T12:05:00Z")));
        assert_eq!(every_five.latest_due(noon, noon + 299_999), None);
        assert_eq!(
            every_five.latest_due(noon, noon + 300_000),
            Some(noon + 300_000)
        );
        let month_later = at("2026-02-01T00:01:00Z");
        assert_eq!(
            every_five.latest_due(noon, month_later),
            Some(at("2026-02-01T00:00:00Z"))
        );
    }

    #[test]
    fn a_cron_is_due_in_the_minutes_it_allows() {
        let weekdays = Schedule::parse("cron(0/15 8-9 ? * MON-FRI *)").unwrap();
        // 2026-01-02 is a Friday.
        let friday = at("2026-01-02T09:45:00Z");
        assert_eq!(weekdays.next_due(friday), Some(at("2026-01-05T08:00:00Z")));
        assert_eq!(
            weekdays.latest_due(0, at("2026-01-04T12:00:00Z")),
            Some(friday)
        );
        let first = Schedule::parse("cron(30 6 1 * ? *)").unwrap();
        assert_eq!(first.next_due(friday), Some(at("2026-02-01T06:30:00Z")));
    }

    #[test]
    fn malformed_schedules_are_refused() {
        for expression in [
            "rate(1 minutes)",
            "rate(0 minutes)",
            "cron(* * * * * *)",
            "cron(60 * * * ? *)",
            "hourly",
        ] {
            assert!(Schedule::parse(expression).is_err(), "{expression}");
        }
    }
}
