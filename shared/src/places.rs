//! Places and territories: where a company is, and which places a partner serves. Pure.

use std::fmt;

/// Territories that one record may name.
pub const MAX_TERRITORIES: usize = 100;
/// Regions, or postcode ranges, of one territory.
pub const MAX_PARTS: usize = 100;
/// Characters of a region's code: the part of ISO 3166-2 after the country has three at most.
pub const MAX_REGION: usize = 3;
/// Characters of a postcode; the longest in use has ten.
pub const MAX_POSTCODE: usize = 12;
/// Characters of a coordinate: a sign, three digits, a point, and as many decimals as maps give.
pub const MAX_COORDINATE: usize = 24;
/// The Earth's mean radius in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// Micro-degrees in a degree.
const MICRO: i64 = 1_000_000;

/// A point on the Earth, in millionths of a degree: some eleven centimetres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinates {
    latitude_udeg: i32,
    longitude_udeg: i32,
}

impl Coordinates {
    /// From decimal degrees as text, such as `51.5074` and `-0.1278`, WGS 84. What is finer than a millionth
    /// of a degree is cut off. `None` where either is no such number or lies beyond 90 or 180 degrees.
    #[must_use]
    pub fn read(latitude: &str, longitude: &str) -> Option<Self> {
        Some(Self {
            latitude_udeg: micro_degrees(latitude, 90)?,
            longitude_udeg: micro_degrees(longitude, 180)?,
        })
    }

    /// Latitude and longitude as decimal degrees with six decimals.
    #[must_use]
    pub fn written(self) -> (String, String) {
        (degrees(self.latitude_udeg), degrees(self.longitude_udeg))
    }

    /// The great-circle distance in metres, on a sphere of the Earth's mean radius (haversine): within half a
    /// per cent of the way over the real ground.
    #[must_use]
    pub fn distance_m(self, other: Self) -> u32 {
        // The library's own functions, because a platform's differ in the last digit, and the same inputs
        // must choose the same partner everywhere.
        let radians = |udeg: i32| f64::from(udeg).to_radians() / 1_000_000.0;
        let (lat_a, lat_b) = (radians(self.latitude_udeg), radians(other.latitude_udeg));
        let half_lat = libm::sin((lat_b - lat_a) / 2.0);
        let half_lon =
            libm::sin((radians(other.longitude_udeg) - radians(self.longitude_udeg)) / 2.0);
        let chord = half_lat * half_lat + libm::cos(lat_a) * libm::cos(lat_b) * half_lon * half_lon;
        let angle = 2.0 * libm::asin(libm::sqrt(chord.clamp(0.0, 1.0)));
        // At most half the circumference, 20,015 km: it fits.
        libm::round(angle * EARTH_RADIUS_M) as u32
    }
}

fn micro_degrees(text: &str, most: i64) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 3 || !are_digits(whole) || !are_digits(decimals) {
        return None;
    }
    let decimals: String = decimals.chars().chain("000000".chars()).take(6).collect();
    let value = whole.parse::<i64>().ok()? * MICRO + decimals.parse::<i64>().ok()?;
    if value > most * MICRO {
        return None;
    }
    i32::try_from(sign * value).ok()
}

fn degrees(udeg: i32) -> String {
    let sign = if udeg < 0 { "-" } else { "" };
    let value = i64::from(udeg).abs();
    format!("{sign}{}.{:06}", value / MICRO, value % MICRO)
}

/// Where a company is, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 two-letter code.
    pub country: String,
    /// What follows the country in ISO 3166-2, such as `BY` for Bavaria.
    pub region: Option<String>,
    /// In its one form; see [`normal_postcode`].
    pub postcode: Option<String>,
    /// The point, where it is known.
    pub at: Option<Coordinates>,
}

/// A postcode as postcodes are compared: letters and digits in capitals, `SW1A 1AA` being `SW1A1AA`. `None`
/// where there are other characters than letters, digits, spaces and dashes, or none of the first two.
#[must_use]
pub fn normal_postcode(text: &str) -> Option<String> {
    let is_sound = text
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == ' ' || letter == '-');
    let plain: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    (is_sound && !plain.is_empty() && plain.len() <= MAX_POSTCODE).then_some(plain)
}

/// A region's code as it is compared: `by` and `DE-BY` are `BY`. `None` where it is no such code.
#[must_use]
pub fn normal_region(country: &str, text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let part = match text.strip_prefix(country) {
        Some(rest) => rest.strip_prefix('-').unwrap_or(&text),
        None => &text,
    };
    let is_code = (1..=MAX_REGION).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| part.to_owned())
}

/// Postcodes that begin with one of the texts from the first to the last, both included: `10-19`, or `SW`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostcodeRange {
    first: String,
    last: String,
}

impl PostcodeRange {
    /// From `10115-14199`, `10-19` or `SW`. `None` where an end is no beginning of a postcode or the range is
    /// backwards.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // A dash may belong to a postcode (`01-234`), but an end of a range is written without it.
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self {
            first: normal_postcode(first)?,
            last: normal_postcode(last)?,
        };
        (range.first <= range.last || range.last.starts_with(&range.first)).then_some(range)
    }

    /// Whether a postcode, in its one form, is in the range.
    #[must_use]
    pub fn holds(&self, postcode: &str) -> bool {
        let beginning = |length: usize| postcode.get(..length.min(postcode.len()));
        // A postcode shorter than an end is not known to be in the range.
        let long_enough = postcode.len() >= self.first.len().max(self.last.len());
        long_enough
            && beginning(self.first.len()).is_some_and(|text| text >= self.first.as_str())
            && beginning(self.last.len()).is_some_and(|text| text <= self.last.as_str())
    }
}

impl fmt::Display for PostcodeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            f.write_str(&self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A country, or parts of it: the places in one of the regions, or with a postcode in one of the ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Territory {
    /// ISO 3166-1 two-letter code.
    pub country: String,
    /// Regions' codes; with no postcodes either, the whole country.
    pub regions: Vec<String>,
    /// Ranges of postcodes.
    pub postcodes: Vec<PostcodeRange>,
}

impl Territory {
    /// Whether a place lies in it. A place whose region and postcode are not known lies in no part of a country.
    #[must_use]
    pub fn covers(&self, place: &Place) -> bool {
        if self.country != place.country {
            return false;
        }
        if self.regions.is_empty() && self.postcodes.is_empty() {
            return true;
        }
        let in_region = place
            .region
            .as_ref()
            .is_some_and(|region| self.regions.contains(region));
        let in_range = place
            .postcode
            .as_ref()
            .is_some_and(|postcode| self.postcodes.iter().any(|range| range.holds(postcode)));
        in_region || in_range
    }
}

/// Whether a place may lie in one of the territories, as far as it is known: of one without region and postcode
/// only the country counts.
#[must_use]
pub fn may_be_covered(territories: &[Territory], place: &Place) -> bool {
    let is_vague = place.region.is_none() && place.postcode.is_none();
    territories.is_empty()
        || territories.iter().any(|territory| {
            territory.covers(place) || (is_vague && territory.country == place.country)
        })
}

/// Whether a place lies in one of the territories; where none is named, everything does.
#[must_use]
pub fn covered(territories: &[Territory], place: &Place) -> bool {
    territories.is_empty() || territories.iter().any(|territory| territory.covers(place))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(latitude: &str, longitude: &str) -> Coordinates {
        Coordinates::read(latitude, longitude).unwrap()
    }

    fn place(country: &str, region: Option<&str>, postcode: Option<&str>) -> Place {
        Place {
            country: country.to_owned(),
            region: region.map(str::to_owned),
            postcode: postcode.map(|text| normal_postcode(text).unwrap()),
            at: None,
        }
    }

    #[test]
    fn distances_are_those_of_the_map() {
        // Great-circle distances of well-known pairs, to a half per cent.
        let london = at("51.5074", "-0.1278");
        for (latitude, longitude, km) in [
            ("48.8566", "2.3522", 343.6),
            ("40.7128", "-74.0060", 5_570.0),
            ("-33.8688", "151.2093", 16_994.0),
            ("51.5074", "-0.1278", 0.0),
        ] {
            let metres = f64::from(london.distance_m(at(latitude, longitude)));
            assert!(
                (metres / 1_000.0 - km).abs() <= km * 0.005,
                "{km}: {metres}"
            );
        }
        // Across the date line it is the short way.
        assert!(at("0", "179.9").distance_m(at("0", "-179.9")) < 23_000);
        assert_eq!(at("90", "0").distance_m(at("-90", "0")), 20_015_114);
    }

    #[test]
    fn what_is_no_coordinate_is_refused() {
        for (latitude, longitude) in [
            ("90.000001", "0"),
            ("0", "180.1"),
            ("", "0"),
            ("1,5", "0"),
            ("1e1", "0"),
            ("+1", "0"),
            ("1.", "0"),
            (".5", "0"),
            ("--1", "0"),
            ("NaN", "0"),
        ] {
            assert_eq!(
                Coordinates::read(latitude, longitude),
                None,
                "{latitude} {longitude}"
            );
        }
    }

    #[test]
    fn a_territory_is_a_country_or_its_regions_and_postcodes() {
        let whole = Territory {
            country: "DE".to_owned(),
            regions: Vec::new(),
            postcodes: Vec::new(),
        };
        let parts = Territory {
            country: "DE".to_owned(),
            regions: vec!["BY".to_owned()],
            postcodes: vec![PostcodeRange::read("10-14").unwrap()],
        };
        let nowhere = place("DE", None, None);
        assert!(whole.covers(&nowhere) && !parts.covers(&nowhere));
        assert!(parts.covers(&place("DE", Some("BY"), None)));
        assert!(parts.covers(&place("DE", Some("BE"), Some("10115"))));
        assert!(parts.covers(&place("DE", None, Some("14999"))));
        assert!(!parts.covers(&place("DE", Some("BE"), Some("15000"))));
        assert!(!whole.covers(&place("AT", Some("BY"), Some("1010"))));
        assert!(covered(&[], &nowhere) && !covered(std::slice::from_ref(&parts), &nowhere));
        assert!(may_be_covered(std::slice::from_ref(&parts), &nowhere));
        assert!(!may_be_covered(&[parts], &place("DE", Some("BE"), None)));
    }

    #[test]
    fn postcodes_are_compared_by_their_beginnings() {
        let range = |text: &str| PostcodeRange::read(text).unwrap();
        assert!(range("SW").holds("SW1A1AA") && !range("SW").holds("SE11AA"));
        assert!(range("10115-14199").holds("14199") && !range("10115-14199").holds("14200"));
        assert!(!range("10115").holds("101"), "too short to tell");
        for text in ["", "19-10", "1_2", "-", "1234567890123"] {
            assert_eq!(PostcodeRange::read(text), None, "{text}");
        }
        assert_eq!(normal_postcode("sw1a 1aa").as_deref(), Some("SW1A1AA"));
        assert_eq!(normal_region("DE", "de-by").as_deref(), Some("BY"));
        assert_eq!(normal_region("DE", "BY").as_deref(), Some("BY"));
        assert_eq!(normal_region("DE", "DE-").as_deref(), None);
        assert_eq!(normal_region("DE", "Bavaria"), None);
    }

    proptest! {
        #[test]
        fn coordinates_read_back(lat in -90_000_000_i32..=90_000_000, lon in -180_000_000_i32..=180_000_000) {
            let point = Coordinates { latitude_udeg: lat, longitude_udeg: lon };
            let (latitude, longitude) = point.written();
            prop_assert_eq!(Coordinates::read(&latitude, &longitude), Some(point));
        }

        #[test]
        fn a_way_is_as_long_back_and_none_to_itself(
            a in (-90_000_000_i32..=90_000_000, -180_000_000_i32..=180_000_000),
            b in (-90_000_000_i32..=90_000_000, -180_000_000_i32..=180_000_000),
        ) {
            let [a, b] = [a, b].map(|(latitude_udeg, longitude_udeg)| Coordinates { latitude_udeg, longitude_udeg });
            prop_assert_eq!(a.distance_m(b), b.distance_m(a));
            prop_assert_eq!(a.distance_m(a), 0);
            prop_assert!(a.distance_m(b) <= 20_015_114);
        }
    }
}
