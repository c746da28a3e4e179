//! A program's channel and a partner's profile as JSON: one form for requests, answers and the store.

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::model::{
    CLAIM_KINDS, ClaimKind, LEAD_DAYS, MAX_CERTIFICATIONS, MAX_CLAIM_DAYS, MAX_LANGUAGES,
    MAX_OPEN_LEADS, MAX_PRODUCT_LINES, MAX_TIERS, MAX_WEIGHT, Profile, REFERRAL_DAYS, Settings,
    is_code, is_language,
};
use crate::clock::{Timestamp, parse_date};
use crate::edge::{Code, Fields, codes};
use crate::hours::{HoursFault, MAX_HOLIDAYS, MAX_SPANS, Opening, WEEKDAYS, WorkingHours};
use crate::ids::{PartnerId, ProgramId};
use crate::partners::model::is_country;
use crate::places::{
    Coordinates, MAX_COORDINATE, MAX_PARTS, MAX_POSTCODE, MAX_TERRITORIES, Place, PostcodeRange,
    Territory, normal_postcode, normal_region,
};
use crate::programs::model::MAX_CODE;

/// Characters of a time zone's name: the database's longest has half of that.
const MAX_TIME_ZONE: usize = 64;
/// Characters of a region as it may be written, with its country in front.
const MAX_REGION_TEXT: usize = 6;
/// Characters of a range of postcodes.
const MAX_RANGE: usize = 2 * MAX_POSTCODE + 3;
/// What is said of a wrong code.
const CODE: &str = "is a code of small letters, digits, _ and -";
/// What is said of a wrong country.
pub const COUNTRY: &str = "is an ISO 3166 two-letter code such as GB";

/// A list of codes, each once.
fn codes_of(f: &mut Fields<'_>, name: &'static str, max: usize) -> Option<Vec<String>> {
    let found = listed(
        f,
        name,
        max,
        MAX_CODE,
        codes::CHARACTERS_REFUSED,
        CODE,
        |text| is_code(text).then(|| text.to_owned()),
    )?;
    for (position, code) in found.iter().enumerate() {
        if found[..position].contains(code) {
            f.refuse(
                codes::EXISTS,
                &format!("{name}[{position}]"),
                "is named twice",
            );
            return None;
        }
    }
    Some(found)
}

/// A list of texts that each read as something; an absent list is empty.
fn listed<T>(
    f: &mut Fields<'_>,
    name: &'static str,
    max: usize,
    max_chars: usize,
    code: Code,
    reason: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    if f.raw(name).is_none() {
        return Some(Vec::new());
    }
    let texts = f.opt_texts(name, 0, max, max_chars)?;
    let mut found = Vec::with_capacity(texts.len());
    for (position, text) in texts.iter().enumerate() {
        match read(text) {
            Some(value) => found.push(value),
            None => f.refuse(code, &format!("{name}[{position}]"), reason),
        }
    }
    (found.len() == texts.len()).then_some(found)
}

/// Reads what a program says of its channel; `version` is the one that it gets.
pub fn settings(f: &mut Fields<'_>, program: ProgramId, version: u64) -> Option<Settings> {
    let product_lines = codes_of(f, "product_lines", MAX_PRODUCT_LINES);
    let tiers = codes_of(f, "tiers", MAX_TIERS);
    let certifications = codes_of(f, "certifications", MAX_CERTIFICATIONS);
    let precedence = precedence(f);
    let accounts_count = f.opt_flag("accounts_count");
    let lead_days = f.opt_integer("lead_days", 1, MAX_CLAIM_DAYS);
    let referral_days = f.opt_integer("referral_days", 1, MAX_CLAIM_DAYS);
    let time_zone = f.opt_parsed(
        "time_zone",
        MAX_TIME_ZONE,
        codes::TIME_ZONE_UNKNOWN,
        "is a time zone of the IANA database such as Europe/Berlin",
        |text| {
            TimeZone::get(text)
                .ok()
                .and_then(|zone| zone.iana_name().map(str::to_owned))
        },
    );
    let days = |given: Option<i64>, otherwise: u32| {
        given.map_or(otherwise, |days| u32::try_from(days).unwrap_or(otherwise))
    };
    Some(Settings {
        program,
        product_lines: product_lines?,
        tiers: tiers?,
        certifications: certifications?,
        precedence: precedence?,
        accounts_count: accounts_count.unwrap_or(false),
        lead_days: days(lead_days, LEAD_DAYS),
        referral_days: days(referral_days, REFERRAL_DAYS),
        time_zone: time_zone.unwrap_or_else(|| "UTC".to_owned()),
        version,
    })
}

fn precedence(f: &mut Fields<'_>) -> Option<Vec<ClaimKind>> {
    if f.raw("precedence").is_none() {
        return Some(CLAIM_KINDS.iter().map(|(_, kind)| *kind).collect());
    }
    let all = CLAIM_KINDS.len();
    let texts = f.opt_texts("precedence", 0, all, MAX_CODE)?;
    let found: Vec<ClaimKind> = texts
        .iter()
        .filter_map(|text| ClaimKind::of(text))
        .collect();
    let mut distinct = found.clone();
    distinct.sort();
    distinct.dedup();
    if texts.len() == all && distinct.len() == all {
        return Some(found);
    }
    let names: Vec<&str> = CLAIM_KINDS.iter().map(|(name, _)| *name).collect();
    f.refuse(
        codes::NOT_ONE_OF,
        "precedence",
        format!(
            "names each of {} once, the strongest first",
            names.join(", ")
        ),
    );
    None
}

/// What a program says of its channel, as it reads back.
#[must_use]
pub fn settings_json(settings: &Settings) -> Value {
    let Settings {
        program: _,
        product_lines,
        tiers,
        certifications,
        precedence,
        accounts_count,
        lead_days,
        referral_days,
        time_zone,
        version: _,
    } = settings;
    let precedence: Vec<&str> = precedence.iter().map(|kind| kind.name()).collect();
    json!({
        "product_lines": product_lines,
        "tiers": tiers,
        "certifications": certifications,
        "precedence": precedence,
        "accounts_count": accounts_count,
        "lead_days": lead_days,
        "referral_days": referral_days,
        "time_zone": time_zone,
    })
}

/// Reads what is known of a partner.
pub fn profile(
    f: &mut Fields<'_>,
    program: ProgramId,
    partner: PartnerId,
    updated_at: Timestamp,
    version: u64,
) -> Option<Profile> {
    let tier = f.opt_parsed("tier", MAX_CODE, codes::CHARACTERS_REFUSED, CODE, |text| {
        is_code(text).then(|| text.to_owned())
    });
    let certifications = codes_of(f, "certifications", MAX_CERTIFICATIONS);
    let product_lines = codes_of(f, "product_lines", MAX_PRODUCT_LINES);
    let territories = territories(f, "territories");
    let languages = listed(
        f,
        "languages",
        MAX_LANGUAGES,
        2,
        codes::CHARACTERS_REFUSED,
        "is a two-letter code of ISO 639 such as en",
        |text| is_language(text).then(|| text.to_owned()),
    );
    let max_open_leads = f.opt_integer("max_open_leads", 0, MAX_OPEN_LEADS);
    let weight = f.opt_integer("weight", 0, MAX_WEIGHT);
    let location = f.opt_object("location", place);
    let working_hours = f.opt_object("working_hours", working_hours);
    let count = |number: i64| u32::try_from(number).ok();
    Some(Profile {
        program,
        partner,
        tier,
        certifications: certifications?,
        product_lines: product_lines?,
        territories: territories?,
        languages: languages?,
        max_open_leads: max_open_leads.and_then(count),
        weight: weight.and_then(count).unwrap_or(1),
        location,
        working_hours,
        updated_at,
        version,
    })
}

/// What is known of a partner, as it reads back.
#[must_use]
pub fn profile_json(profile: &Profile) -> Value {
    let Profile {
        program: _,
        partner: _,
        tier,
        certifications,
        product_lines,
        territories,
        languages,
        max_open_leads,
        weight,
        location,
        working_hours,
        updated_at: _,
        version: _,
    } = profile;
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    if let Some(tier) = tier {
        put("tier", json!(tier));
    }
    put("certifications", json!(certifications));
    put("product_lines", json!(product_lines));
    put("territories", territories_json(territories));
    put("languages", json!(languages));
    if let Some(most) = max_open_leads {
        put("max_open_leads", json!(most));
    }
    put("weight", json!(weight));
    if let Some(location) = location {
        put("location", place_json(location));
    }
    if let Some(hours) = working_hours {
        put("working_hours", working_hours_json(hours));
    }
    Value::Object(map)
}

/// Reads working hours:
/// `{"time_zone", "openings": [{"day": "monday", "from": "09:00", "to": "17:00"}], "holidays": ["2026-12-25"]}`.
pub fn working_hours(f: &mut Fields<'_>) -> Option<WorkingHours> {
    let time_zone = f.text("time_zone", MAX_TIME_ZONE);
    let openings = f.objects("openings", 1, WEEKDAYS.len() * MAX_SPANS, |f| {
        let day = f.choice("day", WEEKDAYS);
        let (from, to) = (f.text("from", 5), f.text("to", 5));
        let (from, to) = (from?, to?);
        let opening = Opening::read(&from, &to);
        if opening.is_none() {
            f.refuse(
                codes::RANGE_EMPTY,
                "to",
                "is a time of day such as 17:00, after `from`",
            );
        }
        Some((day?, opening?))
    });
    let holidays = listed(
        f,
        "holidays",
        MAX_HOLIDAYS,
        10,
        codes::DATE_MALFORMED,
        codes::DATE_MALFORMED.meaning,
        parse_date,
    );
    let found = WorkingHours::new(&time_zone?, &openings?, holidays?);
    let (code, field, reason) = match found {
        Ok(hours) => return Some(hours),
        Err(HoursFault::Zone) => (
            codes::TIME_ZONE_UNKNOWN,
            "time_zone",
            codes::TIME_ZONE_UNKNOWN.meaning,
        ),
        Err(HoursFault::NeverOpen) => (codes::TOO_SHORT, "openings", "has no opening"),
        Err(HoursFault::TooManySpans) => (
            codes::TOO_LONG,
            "openings",
            "a day has at most four openings",
        ),
        Err(HoursFault::Overlap) => (codes::EXISTS, "openings", "openings of a day overlap"),
        Err(HoursFault::TooManyHolidays) => (
            codes::TOO_LONG,
            "holidays",
            "there are at most two hundred holidays",
        ),
    };
    f.refuse(code, field, reason);
    None
}

/// Working hours as they read back.
#[must_use]
pub fn working_hours_json(hours: &WorkingHours) -> Value {
    let openings: Vec<Value> = hours
        .openings()
        .map(|(day, opening)| {
            let [from, to] = opening.times();
            json!({ "day": day, "from": from, "to": to })
        })
        .collect();
    let holidays: Vec<String> = hours.holidays().map(|date| date.to_string()).collect();
    json!({ "time_zone": hours.time_zone(), "openings": openings, "holidays": holidays })
}

/// Reads a list of territories, `{"country", "regions", "postcodes"}` each; an absent list is empty.
pub fn territories(f: &mut Fields<'_>, name: &'static str) -> Option<Vec<Territory>> {
    if f.raw(name).is_none() {
        return Some(Vec::new());
    }
    f.opt_objects(name, 0, MAX_TERRITORIES, |f| {
        let country = country(f)?;
        let regions = listed(
            f,
            "regions",
            MAX_PARTS,
            MAX_REGION_TEXT,
            codes::CHARACTERS_REFUSED,
            "is what follows the country in ISO 3166-2, such as BY",
            |text| normal_region(&country, text),
        );
        let postcodes = listed(
            f,
            "postcodes",
            MAX_PARTS,
            MAX_RANGE,
            codes::CHARACTERS_REFUSED,
            "is the beginning of postcodes such as SW, or a range of them such as 10-19",
            PostcodeRange::read,
        );
        Some(Territory {
            regions: regions?,
            postcodes: postcodes?,
            country,
        })
    })
}

/// Territories from the text that they were stored as.
///
/// # Errors
/// What is wrong with the text.
pub fn stored_territories(text: &str) -> Result<Vec<Territory>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    stored(&json!({ "territories": value }).to_string(), |f| {
        territories(f, "territories")
    })
}

/// What was stored as a text, by its reader.
///
/// # Errors
/// What is wrong with the text.
pub fn stored<T>(text: &str, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Fields::read(&value, read).map_err(|problem| problem.detail().to_owned())
}

/// Territories as they read back.
#[must_use]
pub fn territories_json(territories: &[Territory]) -> Value {
    let one = |territory: &Territory| {
        let Territory {
            country,
            regions,
            postcodes,
        } = territory;
        let postcodes: Vec<String> = postcodes.iter().map(ToString::to_string).collect();
        json!({ "country": country, "regions": regions, "postcodes": postcodes })
    };
    territories.iter().map(one).collect()
}

fn country(f: &mut Fields<'_>) -> Option<String> {
    f.parsed("country", 64, codes::COUNTRY_UNKNOWN, COUNTRY, |text| {
        is_country(text).then(|| text.to_owned())
    })
}

/// Reads a place: `{"country", "region", "postcode", "latitude", "longitude"}`, all but the first optional.
pub fn place(f: &mut Fields<'_>) -> Option<Place> {
    let country = country(f);
    let parts = place_parts(f, country.as_deref());
    let (region, postcode) = parts?;
    let at = coordinates(f)?;
    Some(Place {
        country: country?,
        region,
        postcode,
        at,
    })
}

/// Reads a region and a postcode beside a country that was read before.
pub fn place_parts(
    f: &mut Fields<'_>,
    country: Option<&str>,
) -> Option<(Option<String>, Option<String>)> {
    let has_region = f.raw("region").is_some();
    let region = f.opt_parsed(
        "region",
        MAX_REGION_TEXT,
        codes::CHARACTERS_REFUSED,
        "is what follows the country in ISO 3166-2, such as BY",
        |text| normal_region(country.unwrap_or_default(), text),
    );
    let has_postcode = f.raw("postcode").is_some();
    let postcode = f.opt_parsed(
        "postcode",
        MAX_POSTCODE + 3,
        codes::CHARACTERS_REFUSED,
        "has letters, digits, spaces and dashes only, twelve of the first two at most",
        normal_postcode,
    );
    let is_sound = (region.is_some() || !has_region) && (postcode.is_some() || !has_postcode);
    is_sound.then_some((region, postcode))
}

/// Reads `latitude` and `longitude`, both or neither.
pub fn coordinates(f: &mut Fields<'_>) -> Option<Option<Coordinates>> {
    let latitude = f.opt_text("latitude", MAX_COORDINATE);
    let longitude = f.opt_text("longitude", MAX_COORDINATE);
    let (has_latitude, has_longitude) = (f.raw("latitude").is_some(), f.raw("longitude").is_some());
    match (latitude, longitude) {
        (None, None) if !has_latitude && !has_longitude => Some(None),
        (Some(latitude), Some(longitude)) => {
            let found = Coordinates::read(&latitude, &longitude);
            if found.is_none() {
                f.refuse(
                    codes::DECIMAL_MALFORMED,
                    "latitude",
                    "latitude and longitude are decimal degrees such as \"51.5074\" and \"-0.1278\"",
                );
            }
            found.map(Some)
        }
        (Some(_), None) if !has_longitude => {
            f.refuse(codes::REQUIRED, "longitude", "is missing beside a latitude");
            None
        }
        (None, Some(_)) if !has_latitude => {
            f.refuse(codes::REQUIRED, "latitude", "is missing beside a longitude");
            None
        }
        _ => None,
    }
}

/// A place as it reads back.
#[must_use]
pub fn place_json(place: &Place) -> Value {
    let Place {
        country,
        region,
        postcode,
        at,
    } = place;
    let mut map = Map::new();
    let mut put = |name: &str, value: &str| map.insert(name.to_owned(), json!(value));
    put("country", country);
    if let Some(region) = region {
        put("region", region);
    }
    if let Some(postcode) = postcode {
        put("postcode", postcode);
    }
    if let Some(at) = at {
        let (latitude, longitude) = at.written();
        put("latitude", &latitude);
        put("longitude", &longitude);
    }
    Value::Object(map)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn wrong(
        body: &Value,
        read: impl FnOnce(&mut Fields<'_>) -> Option<()>,
    ) -> Vec<(String, String)> {
        let problem = Fields::read(body, read).unwrap_err();
        let errors = problem.errors().iter();
        errors
            .map(|error| (error.field.clone(), error.code.to_owned()))
            .collect()
    }

    #[test]
    fn what_is_said_reads_back() {
        let program = ProgramId::from_bytes([1; 16]);
        let partner = PartnerId::from_bytes([2; 16]);
        let said = json!({
            "product_lines": ["crm", "erp"], "tiers": ["silver", "gold"], "certifications": ["crm-expert"],
            "precedence": ["deal", "direct", "lead", "coupon", "click", "referral"],
            "accounts_count": true, "lead_days": 30, "referral_days": 10, "time_zone": "Europe/Berlin",
        });
        let settings = Fields::read(&said, |f| settings(f, program, 1)).unwrap();
        assert_eq!(settings_json(&settings), said);
        assert_eq!(settings.rank(ClaimKind::Deal), 0);
        let said = json!({
            "tier": "gold", "certifications": ["crm-expert"], "product_lines": ["crm"],
            "territories": [{"country": "DE", "regions": ["BY"], "postcodes": ["10-19", "SW"]}],
            "languages": ["de"], "max_open_leads": 5, "weight": 3,
            "location": {"country": "DE", "region": "BY", "postcode": "80331",
                "latitude": "48.137154", "longitude": "11.576124"},
            "working_hours": {"time_zone": "Europe/Berlin", "holidays": ["2026-12-25"],
                "openings": [{"day": "monday", "from": "09:00", "to": "17:00"}]},
        });
        let read = Fields::read(&said, |f| {
            profile(f, program, partner, Timestamp::UNIX_EPOCH, 1)
        });
        assert_eq!(profile_json(&read.unwrap()), said);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let program = ProgramId::from_bytes([1; 16]);
        let said = json!({
            "product_lines": ["crm", "crm"], "tiers": ["Gold!"], "precedence": ["deal"],
            "lead_days": 0, "time_zone": "Mars/Olympus",
        });
        let found = wrong(&said, |f| settings(f, program, 1).map(drop));
        for expected in [
            ("product_lines[1]", "exists"),
            ("tiers[0]", "characters_refused"),
            ("precedence", "not_one_of"),
            ("lead_days", "out_of_range"),
            ("time_zone", "time_zone_unknown"),
        ] {
            let expected = (expected.0.to_owned(), expected.1.to_owned());
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
        let said = json!({
            "territories": [{"country": "XX"}, {"country": "DE", "regions": ["Bavaria"]}, {"country": "DE", "postcodes": ["19-10"]}],
            "languages": ["German"], "weight": -1,
            "location": {"country": "DE", "latitude": "91"},
            "working_hours": {"time_zone": "UTC", "openings": [{"day": "monday", "from": "17:00", "to": "09:00"}]},
        });
        let at = Timestamp::UNIX_EPOCH;
        let partner = PartnerId::from_bytes([2; 16]);
        let found = wrong(&said, |f| profile(f, program, partner, at, 1).map(drop));
        for expected in [
            ("territories[0].country", "country_unknown"),
            ("territories[1].regions[0]", "too_long"),
            ("territories[2].postcodes[0]", "characters_refused"),
            ("languages[0]", "too_long"),
            ("weight", "out_of_range"),
            ("location.longitude", "required"),
            ("working_hours.openings[0].to", "range_empty"),
        ] {
            let expected = (expected.0.to_owned(), expected.1.to_owned());
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }
}
