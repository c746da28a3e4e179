//! Keys and items of a program's channel: what it says, its partners' profiles, and the roster of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Profile, Settings};
use super::wire;
use crate::clock::Timestamp;
use crate::ids::{PartnerId, ProgramId};
use crate::table::{Condition, Error, Index, Key, Op, Put, Range, Table, Update, int};

/// Items that a program's roster is spread over. One read of them all answers who is in the channel, and a
/// change rewrites one of them.
pub const ROSTER_PARTS: u8 = 64;
/// Bytes of one part's profiles: DynamoDB's items hold 400 KB.
pub const MAX_PART_BYTES: usize = 350_000;

fn settings_key(program: ProgramId) -> Key {
    Key::new(format!("PROG#{program}"), "CHANNEL")
}

/// What the sort keys of profiles begin with.
const PROFILE: &str = "PROFILE#";
/// Profiles of a partner read at a time.
const PROFILES_PAGE: usize = 100;

fn profiles_partition(partner: PartnerId) -> String {
    format!("PTR#{partner}")
}

fn profile_key(program: ProgramId, partner: PartnerId) -> Key {
    Key::new(profiles_partition(partner), format!("{PROFILE}{program}"))
}

fn part_key(program: ProgramId, part: u8) -> Key {
    Key::new(format!("ROSTER#{program}#{part:02}"), "ROSTER")
}

/// The part of the roster that a partner is in.
#[must_use]
pub fn part_of(partner: PartnerId) -> u8 {
    // The last byte is random in every id.
    partner.bytes()[15] % ROSTER_PARTS
}

#[derive(Serialize, Deserialize)]
struct SettingsItem {
    pk: String,
    sk: String,
    said: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct ProfileItem {
    pk: String,
    sk: String,
    said: String,
    updated_at: Timestamp,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct PartItem {
    pk: String,
    sk: String,
    profiles: BTreeMap<String, PartEntry>,
    version: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct PartEntry {
    said: String,
    updated_at: Timestamp,
    version: u64,
}

/// One part of a roster, as it was read.
#[derive(Clone, Default)]
pub struct Part {
    profiles: BTreeMap<String, PartEntry>,
    version: u64,
}

/// The write of what a program says, in place of the version before.
///
/// # Errors
/// Never for well-formed settings.
pub fn save_settings(settings: &Settings) -> Result<Op, Error> {
    let Key { pk, sk } = settings_key(settings.program);
    let item = SettingsItem {
        pk,
        sk,
        said: wire::settings_json(settings).to_string(),
        version: settings.version,
    };
    save(&item, settings.version)
}

/// A put of the first version, or the change of the one before.
fn save<T: Serialize>(item: &T, version: u64) -> Result<Op, Error> {
    if version == 1 {
        return Ok(Op::Put(Put::new(item)?));
    }
    let before = i64::try_from(version.saturating_sub(1)).unwrap_or(0);
    let update = Update::rewrite(item, &[])?;
    Ok(Op::Update(
        update.only_if(Condition::equals("version", int(before))),
    ))
}

/// What a program says.
///
/// # Errors
/// The table's.
pub async fn find_settings(table: &Table, program: ProgramId) -> Result<Option<Settings>, Error> {
    let found = table.get::<SettingsItem>(&settings_key(program)).await?;
    found
        .map(|SettingsItem { said, version, .. }| {
            wire::stored(&said, |f| wire::settings(f, program, version)).map_err(Error::Malformed)
        })
        .transpose()
}

/// The write of a partner's profile, in place of the version before.
///
/// # Errors
/// Never for a well-formed profile.
pub fn save_profile(profile: &Profile) -> Result<Op, Error> {
    let Key { pk, sk } = profile_key(profile.program, profile.partner);
    let item = ProfileItem {
        pk,
        sk,
        said: wire::profile_json(profile).to_string(),
        updated_at: profile.updated_at,
        version: profile.version,
    };
    save(&item, profile.version)
}

/// A partner's profile.
///
/// # Errors
/// The table's.
pub async fn find_profile(
    table: &Table,
    program: ProgramId,
    partner: PartnerId,
) -> Result<Option<Profile>, Error> {
    let found = table
        .get::<ProfileItem>(&profile_key(program, partner))
        .await?;
    found.map(|item| profile(item, partner)).transpose()
}

fn profile(item: ProfileItem, partner: PartnerId) -> Result<Profile, Error> {
    let ProfileItem {
        pk: _,
        sk,
        said,
        updated_at,
        version,
    } = item;
    let program = sk
        .strip_prefix(PROFILE)
        .and_then(|program| program.parse().ok())
        .ok_or_else(|| Error::Malformed(format!("{sk} is not a profile")))?;
    wire::stored(&said, |f| {
        wire::profile(f, program, partner, updated_at, version)
    })
    .map_err(Error::Malformed)
}

/// A partner's profiles, by program.
///
/// # Errors
/// The table's.
pub async fn profiles(table: &Table, partner: PartnerId) -> Result<Vec<Profile>, Error> {
    let partition = profiles_partition(partner);
    let range = Range::partition(Index::Base, partition, PROFILES_PAGE).beginning(PROFILE);
    let found = table.all::<ProfileItem>(range).await?;
    found
        .into_iter()
        .map(|item| profile(item, partner))
        .collect()
}

/// The part of the roster in which a partner is.
///
/// # Errors
/// The table's.
pub async fn find_part(
    table: &Table,
    program: ProgramId,
    partner: PartnerId,
) -> Result<Part, Error> {
    let key = part_key(program, part_of(partner));
    let found = table.get::<PartItem>(&key).await?;
    Ok(found.map_or_else(Part::default, |item| Part {
        profiles: item.profiles,
        version: item.version,
    }))
}

/// The write of a part with a profile in it; `None` where the part would not hold it.
///
/// # Errors
/// Never for a well-formed profile.
pub fn save_part(part: Part, profile: &Profile) -> Result<Option<Op>, Error> {
    let Part {
        mut profiles,
        version,
    } = part;
    profiles.insert(
        profile.partner.to_string(),
        PartEntry {
            said: wire::profile_json(profile).to_string(),
            updated_at: profile.updated_at,
            version: profile.version,
        },
    );
    // A name, a time and a version beside each text.
    let bytes: usize = profiles.values().map(|entry| entry.said.len() + 100).sum();
    if bytes > MAX_PART_BYTES {
        return Ok(None);
    }
    let Key { pk, sk } = part_key(profile.program, part_of(profile.partner));
    let item = PartItem {
        pk,
        sk,
        profiles,
        version: version + 1,
    };
    save(&item, version + 1).map(Some)
}

/// All profiles of a program, by partner: one round trip, unless they are more than one answer holds.
///
/// # Errors
/// The table's.
pub async fn roster(table: &Table, program: ProgramId) -> Result<Vec<Profile>, Error> {
    let parts = table
        .get_many((0..ROSTER_PARTS).map(|part| part_key(program, part)))
        .await?;
    let mut found = Vec::new();
    for item in parts.into_values() {
        let PartItem { profiles, .. } = crate::table::from_item(item)?;
        for (partner, entry) in profiles {
            let partner = partner
                .parse()
                .map_err(|_| Error::Malformed(format!("{partner} is not a partner")))?;
            let PartEntry {
                said,
                updated_at,
                version,
            } = entry;
            let profile = wire::stored(&said, |f| {
                wire::profile(f, program, partner, updated_at, version)
            });
            found.push(profile.map_err(Error::Malformed)?);
        }
    }
    found.sort_by_key(|profile| profile.partner);
    Ok(found)
}
