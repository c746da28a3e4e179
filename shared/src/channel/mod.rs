//! A program's channel: its product lines, tiers and precedence of claims, and what it knows of its partners.

pub mod error;
pub mod model;
pub mod store;
pub mod wire;

use std::sync::Arc;

use error::ChannelError;
use model::{Profile, Settings};

use crate::edge::{App, Change, Write};
use crate::ids::{PartnerId, ProgramId};
use crate::{partners, programs, table};

/// What a program says of its channel, at most [`crate::edge::CACHE_SECONDS`] old; the defaults where it has
/// said nothing.
///
/// # Errors
/// The table's.
pub async fn settings(app: &App, program: ProgramId) -> Result<Arc<Settings>, table::Error> {
    let found = app
        .cached(&settings_name(program), || async {
            let found = store::find_settings(&app.main, program).await?;
            Ok(Some(found.unwrap_or_else(|| Settings::unsaid(program))))
        })
        .await?;
    Ok(found.unwrap_or_else(|| Arc::new(Settings::unsaid(program))))
}

fn settings_name(program: ProgramId) -> String {
    format!("CHANNEL#{program}")
}

/// What a program says of its channel, as it stands.
///
/// # Errors
/// `ProgramNotFound`, the table's.
pub async fn find_settings(app: &App, program: ProgramId) -> Result<Settings, ChannelError> {
    demand_program(app, program).await?;
    let found = store::find_settings(&app.main, program).await?;
    Ok(found.unwrap_or_else(|| Settings::unsaid(program)))
}

async fn demand_program(app: &App, program: ProgramId) -> Result<(), ChannelError> {
    match programs::program(app, program).await? {
        Some(_) => Ok(()),
        None => Err(ChannelError::ProgramNotFound(program)),
    }
}

/// Says what holds in a program's channel, in place of version `based_on`; what was never said has version 0
/// and needs none.
///
/// # Errors
/// `ProgramNotFound`, `VersionMissing`, `VersionStale`, the table's.
pub async fn say(
    app: &App,
    based_on: Option<u64>,
    settings: Settings,
) -> Result<Change<Settings, ChannelError>, ChannelError> {
    let program = settings.program;
    let before = find_settings(app, program).await?.version;
    let settings = Settings {
        version: follows(based_on, before)?,
        ..settings
    };
    let save = Write::new(store::save_settings(&settings)?, |_| {
        ChannelError::VersionStale
    });
    Ok(Change {
        writes: vec![save.forgetting(settings_name(program))],
        value: settings,
    })
}

/// The version after the one that stands, where the change is based on that.
fn follows(based_on: Option<u64>, stands: u64) -> Result<u64, ChannelError> {
    match based_on {
        None if stands > 0 => Err(ChannelError::VersionMissing),
        Some(based_on) if based_on != stands => Err(ChannelError::VersionStale),
        _ => Ok(stands + 1),
    }
}

/// What is known of a partner in a program, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn profile(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<Option<Arc<Profile>>, table::Error> {
    app.cached(&profile_name(program, partner), || {
        store::find_profile(&app.main, program, partner)
    })
    .await
}

fn profile_name(program: ProgramId, partner: PartnerId) -> String {
    format!("PROFILE#{program}#{partner}")
}

/// What is known of a partner in a program, as it stands.
///
/// # Errors
/// `ProfileNotFound`, the table's.
pub async fn find_profile(
    app: &App,
    program: ProgramId,
    partner: PartnerId,
) -> Result<Profile, ChannelError> {
    store::find_profile(&app.main, program, partner)
        .await?
        .ok_or(ChannelError::ProfileNotFound)
}

/// What is known of a partner in every program, by program.
///
/// # Errors
/// The table's.
pub async fn profiles(app: &App, partner: PartnerId) -> Result<Vec<Profile>, ChannelError> {
    Ok(store::profiles(&app.main, partner).await?)
}

/// Sets what is known of a partner in a program, in place of version `based_on`. What it names of the
/// program's channel must be there.
///
/// # Errors
/// `ProgramNotFound`, `NotEnrolled`, `Unknown`, `VersionMissing`, `VersionStale`, `Full`, `Moved`, the table's.
pub async fn describe(
    app: &App,
    based_on: Option<u64>,
    profile: Profile,
) -> Result<Change<Profile, ChannelError>, ChannelError> {
    let (program, partner) = (profile.program, profile.partner);
    demand_program(app, program).await?;
    if partners::enrolment(app, partner, program).await?.is_none() {
        return Err(ChannelError::NotEnrolled);
    }
    demand_known(&*settings(app, program).await?, &profile)?;
    let before = store::find_profile(&app.main, program, partner).await?;
    let profile = Profile {
        version: follows(based_on, before.map_or(0, |before| before.version))?,
        ..profile
    };
    let part = store::find_part(&app.main, program, partner).await?;
    let part = store::save_part(part, &profile)?.ok_or(ChannelError::Full)?;
    let save = Write::new(store::save_profile(&profile)?, |_| {
        ChannelError::VersionStale
    });
    let save = save.forgetting(profile_name(program, partner));
    let part = Write::new(part, |_| ChannelError::Moved);
    Ok(Change {
        writes: vec![save, part.forgetting(roster_name(program))],
        value: profile,
    })
}

fn demand_known(settings: &Settings, profile: &Profile) -> Result<(), ChannelError> {
    let unknown = |field: String, name: &str| ChannelError::Unknown {
        field,
        name: name.to_owned(),
    };
    if let Some(tier) = profile
        .tier
        .as_ref()
        .filter(|tier| !settings.tiers.contains(tier))
    {
        return Err(unknown("tier".to_owned(), tier));
    }
    for (field, named, known) in [
        (
            "certifications",
            &profile.certifications,
            &settings.certifications,
        ),
        (
            "product_lines",
            &profile.product_lines,
            &settings.product_lines,
        ),
    ] {
        for (position, name) in named.iter().enumerate() {
            if !known.contains(name) {
                return Err(unknown(format!("{field}[{position}]"), name));
            }
        }
    }
    Ok(())
}

/// Everybody who is known in a program's channel, by partner, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn roster(app: &App, program: ProgramId) -> Result<Arc<Vec<Profile>>, table::Error> {
    let found = app
        .cached(&roster_name(program), || async {
            Ok(Some(store::roster(&app.main, program).await?))
        })
        .await?;
    Ok(found.unwrap_or_default())
}

fn roster_name(program: ProgramId) -> String {
    format!("ROSTER#{program}")
}
