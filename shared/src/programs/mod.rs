//! Programs, their commission plans, links and coupons.

pub mod error;
pub mod model;
mod store;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use error::ProgramError;
use model::{
    Attribution, Coupon, Dialect, Link, Program, ProgramPatch, SigningSecret, TokenRecord,
};

use crate::agreements::{self, model::Blocked};
use crate::clock::{Timestamp, minutes_after};
use crate::edge::{App, Change, KeyringError, Write, hash_secret};
use crate::ids::{CouponId, LinkId, PartnerId, ProgramId};
use crate::money::Currency;
use crate::partners;
use crate::plans;
use crate::plans::model::{Assignment, PlanVersion, Reassignment, Terms, reassigned};
use crate::table;

/// Programs read at a time by [`all_programs`].
const PROGRAMS_PAGE: usize = 100;
/// Characters of a link's code when none is asked for: 50 random bits.
const CODE_LEN: usize = 10;
const CODE_DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A program to be made.
#[derive(Clone, Debug)]
pub struct NewProgram {
    /// Its name.
    pub name: String,
    /// The currency of its amounts, for good.
    pub currency: Currency,
    /// How conversions find their partner.
    pub attribution: Attribution,
    /// How its tracker posts.
    pub dialect: Dialect,
    /// Whether Keitaro's `payout` is the sale's amount.
    pub payout_is_amount: bool,
    /// Where visitors of disabled links go.
    pub fallback_url: Option<String>,
    /// Hosts that links may lead to.
    pub allowed_destination_hosts: Vec<String>,
    /// Days in which partners may dispute an event.
    pub dispute_days: u32,
}

/// A program's secrets, to be shown once.
#[derive(Clone)]
pub struct Secrets {
    /// `tpt_…`: lets its holder post conversions, nothing else.
    pub postback_token: String,
    /// `whsec_…`: signs postbacks per Standard Webhooks.
    pub signing_secret: String,
}

fn secrets(
    app: &App,
    program: ProgramId,
) -> Result<(Secrets, TokenRecord, SigningSecret), KeyringError> {
    let postback_token = format!("tpt_{}", URL_SAFE_NO_PAD.encode(app.entropy.bytes::<24>()));
    let signing_secret = format!("whsec_{}", STANDARD.encode(app.entropy.bytes::<24>()));
    let token = TokenRecord {
        hash: hash_secret(&postback_token),
        expires_at: None,
    };
    let place = Program::secret_place(program);
    let secret = SigningSecret {
        sealed: app.keyring.seal(&place, signing_secret.as_bytes())?,
        expires_at: None,
    };
    let shown = Secrets {
        postback_token,
        signing_secret,
    };
    Ok((shown, token, secret))
}

/// A new program with its secrets.
///
/// # Errors
/// `Destination` for a fallback address that visitors cannot be sent to.
pub fn create(
    app: &App,
    new: NewProgram,
) -> Result<Change<(Program, Secrets), ProgramError>, ProgramError> {
    let NewProgram {
        name,
        currency,
        attribution,
        dialect,
        payout_is_amount,
        fallback_url,
        allowed_destination_hosts,
        dispute_days,
    } = new;
    let fallback_url = fallback_url
        .map(|url| model::fallback(&url, &allowed_destination_hosts))
        .transpose()
        .map_err(|error| ProgramError::Destination {
            field: "fallback_url",
            error,
        })?;
    let id = app.fresh();
    let (shown, token, secret) = secrets(app, id)?;
    let program = Program {
        id,
        name,
        currency,
        attribution,
        dialect,
        payout_is_amount,
        fallback_url,
        allowed_destination_hosts,
        dispute_days,
        tokens: vec![token],
        signing_secrets: vec![secret],
        default_plans: Vec::new(),
        created_at: app.now(),
        version: 1,
    };
    let put = Write::new(store::put_program(&program)?, |_| ProgramError::Moved);
    Ok(Change {
        value: (program, shown),
        writes: vec![put],
    })
}

/// A program, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn program(app: &App, id: ProgramId) -> Result<Option<Arc<Program>>, table::Error> {
    app.cached(&program_name(id), || store::find_program(&app.main, id))
        .await
}

fn program_name(id: ProgramId) -> String {
    format!("PROG#{id}")
}

/// A program as it stands.
///
/// # Errors
/// `NotFound`, the table's.
pub async fn find(app: &App, id: ProgramId) -> Result<Program, ProgramError> {
    store::find_program(&app.main, id)
        .await?
        .ok_or(ProgramError::NotFound(id))
}

/// A page of programs, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn list(
    app: &App,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Program>, Option<String>), ProgramError> {
    Ok(store::programs(&app.main, below, limit).await?)
}

/// Every program, newest first.
///
/// # Errors
/// The table's.
pub async fn all_programs(app: &App) -> Result<Vec<Arc<Program>>, table::Error> {
    let mut found = Vec::new();
    let mut below = None;
    loop {
        let (page, position) = store::programs(&app.main, below, PROGRAMS_PAGE).await?;
        found.extend(page.into_iter().map(Arc::new));
        match position {
            Some(position) => below = Some(position),
            None => return Ok(found),
        }
    }
}

/// Changes a program whose version is `based_on`.
///
/// # Errors
/// `NotFound`, `Stale`, `Destination`, the table's.
pub async fn amend(
    app: &App,
    id: ProgramId,
    based_on: u64,
    patch: ProgramPatch,
) -> Result<Change<Program, ProgramError>, ProgramError> {
    let program = find(app, id).await?;
    if program.version != based_on {
        return Err(ProgramError::Stale);
    }
    let amended = program
        .amended(patch)
        .map_err(|error| ProgramError::Destination {
            field: "fallback_url",
            error,
        })?;
    let write = Write::new(store::change_program(&amended)?, |_| ProgramError::Stale)
        .forgetting(program_name(id));
    Ok(Change {
        value: amended,
        writes: vec![write],
    })
}

/// Replaces a program's secrets; those before stay good for `overlap_hours` more, at most.
///
/// # Errors
/// `NotFound`, `SecretsLimit`, `Moved`, the table's.
pub async fn rotate(
    app: &App,
    id: ProgramId,
    overlap_hours: i64,
) -> Result<Change<(Program, Secrets, Timestamp), ProgramError>, ProgramError> {
    let program = find(app, id).await?;
    let now = app.now();
    let until = minutes_after(now, overlap_hours * 60);
    let (shown, token, secret) = secrets(app, id)?;
    let rotated = program
        .rotated(token, secret, now, until)
        .ok_or(ProgramError::SecretsLimit)?;
    let write = Write::new(store::change_program(&rotated)?, |_| ProgramError::Moved)
        .forgetting(program_name(id));
    Ok(Change {
        value: (rotated, shown, until),
        writes: vec![write],
    })
}

/// The bytes of the signing secrets that are good at `now`, the current one first.
///
/// # Errors
/// `NotOpened` when the keyring has lost the key that sealed one.
pub fn signing_keys(
    app: &App,
    program: &Program,
    now: Timestamp,
) -> Result<Vec<Vec<u8>>, KeyringError> {
    let place = Program::secret_place(program.id);
    program
        .signing_secrets
        .iter()
        .filter(|secret| secret.expires_at.is_none_or(|end| end > now))
        .map(|secret| {
            let text = app.keyring.open(&place, &secret.sealed)?;
            let text = std::str::from_utf8(&text).map_err(|_| KeyringError::NotOpened)?;
            let digits = text.strip_prefix("whsec_").ok_or(KeyringError::NotOpened)?;
            STANDARD.decode(digits).map_err(|_| KeyringError::NotOpened)
        })
        .collect()
}

/// A plan version to be made.
#[derive(Clone, Debug)]
pub struct NewPlan {
    /// The plan's code.
    pub code: String,
    /// From when on it pays; now when absent.
    pub effective_from: Option<Timestamp>,
    /// Days that commissions are held.
    pub hold_days: u32,
    /// What it pays.
    pub terms: Terms,
}

/// A plan as it would be made, which is none.
#[must_use]
pub fn draft(app: &App, program: ProgramId, new: NewPlan) -> PlanVersion {
    plan_of(program, 0, new, app.now())
}

fn plan_of(program: ProgramId, last: u32, new: NewPlan, now: Timestamp) -> PlanVersion {
    let NewPlan {
        code,
        effective_from,
        hold_days,
        terms,
    } = new;
    PlanVersion {
        program,
        code,
        version: last + 1,
        effective_from: effective_from.unwrap_or(now),
        hold_days,
        terms,
        created_at: now,
    }
}

/// The next version of a plan. Its number follows the last one, so of two at once one is refused with
/// `VersionTaken` and asks again.
///
/// The first may be effective in the past: nothing was computed by it. A later one may not: events since
/// then were paid by the version before, and what was computed stays as it is.
///
/// # Errors
/// `EffectiveInPast`, `VersionTaken`, the table's.
pub async fn add_plan(
    app: &App,
    program: &Program,
    new: NewPlan,
) -> Result<Change<PlanVersion, ProgramError>, ProgramError> {
    let last = plans::store::last_version(&app.main, program.id, &new.code).await?;
    let now = app.now();
    if last > 0 && new.effective_from.is_some_and(|from| from < now) {
        let field = "effective_from";
        return Err(ProgramError::EffectiveInPast { field });
    }
    let name = plan_name(program.id, &new.code);
    let plan = plan_of(program.id, last, new, now);
    let put = Write::new(plans::store::put_plan(&plan, program.currency)?, |_| {
        ProgramError::VersionTaken
    });
    Ok(Change {
        value: plan,
        writes: vec![put.forgetting(name)],
    })
}

fn plan_name(program: ProgramId, code: &str) -> String {
    format!("PLAN#{program}#{code}")
}

/// The versions of a plan, oldest first, at most [`crate::edge::CACHE_SECONDS`] old; `None` when the
/// program has no plan of that code.
///
/// # Errors
/// The table's.
pub async fn plan_versions(
    app: &App,
    program: ProgramId,
    code: &str,
) -> Result<Option<Arc<Vec<PlanVersion>>>, table::Error> {
    app.cached(&plan_name(program, code), || async {
        let versions = plans::store::plan_versions(&app.main, program, code).await?;
        Ok((!versions.is_empty()).then_some(versions))
    })
    .await
}

/// A page of a program's plan versions, by code and version; all plans', or one's.
///
/// # Errors
/// `PlanNotFound` when there is no plan of that code; the table's.
pub async fn plans(
    app: &App,
    program: ProgramId,
    code: Option<&str>,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<PlanVersion>, Option<String>), ProgramError> {
    let first = after.is_none();
    let (found, position) = plans::store::plans(&app.main, program, code, after, limit).await?;
    match code {
        Some(code) if first && found.is_empty() => Err(ProgramError::PlanNotFound(code.to_owned())),
        _ => Ok((found, position)),
    }
}

/// What a dated assignment changes: the assignments after it, or `None` when it is so already. It may not
/// reach back: what was computed stays as it is.
fn assign(
    before: &[Assignment],
    plan: Option<&str>,
    from: Timestamp,
    now: Timestamp,
) -> Result<Option<Vec<Assignment>>, ProgramError> {
    match reassigned(before, plan, from) {
        Reassignment::Unchanged => Ok(None),
        Reassignment::Changed(_) if from < now => Err(ProgramError::EffectiveInPast {
            field: "effective_from",
        }),
        Reassignment::Changed(after) => Ok(Some(after)),
        Reassignment::TooMany => Err(ProgramError::TooManyPlans),
    }
}

async fn known_plan(app: &App, program: ProgramId, plan: &str) -> Result<(), ProgramError> {
    match plan_versions(app, program, plan).await? {
        Some(_) => Ok(()),
        None => Err(ProgramError::PlanUnknown(plan.to_owned())),
    }
}

/// Lets a plan pay all partners of a program who have none of their own, from `effective_from` on, now when
/// absent, in place of what was to begin after it. The first without `effective_from` covers all time before
/// it too: it changes nothing that was paid.
///
/// # Errors
/// `NotFound`, `PlanUnknown`, `EffectiveInPast`, `TooManyPlans`, `Moved`, the table's.
pub async fn set_default_plan(
    app: &App,
    id: ProgramId,
    plan: String,
    effective_from: Option<Timestamp>,
) -> Result<Change<Program, ProgramError>, ProgramError> {
    let program = find(app, id).await?;
    known_plan(app, id, &plan).await?;
    let now = app.now();
    let default_plans = if program.default_plans.is_empty() {
        vec![Assignment {
            plan: Some(plan),
            from: effective_from,
        }]
    } else {
        let from = effective_from.unwrap_or(now);
        match assign(&program.default_plans, Some(&plan), from, now)? {
            Some(after) => after,
            None => return Ok(unchanged(program)),
        }
    };
    let program = Program {
        default_plans,
        version: program.version + 1,
        ..program
    };
    let write = Write::new(store::change_program(&program)?, |_| ProgramError::Moved)
        .forgetting(program_name(id));
    Ok(Change {
        value: program,
        writes: vec![write],
    })
}

/// A link to be made.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Its program.
    pub program: ProgramId,
    /// Whom its clicks belong to.
    pub partner: PartnerId,
    /// Where visitors go.
    pub destination: String,
    /// Its code; made here when absent.
    pub code: Option<String>,
}

/// A new link of a partner who is enrolled in the program.
///
/// # Errors
/// `ProgramUnknown`, `Partner`, `Destination`, `CodeTaken`, the table's.
pub async fn add_link(app: &App, new: NewLink) -> Result<Change<Link, ProgramError>, ProgramError> {
    let NewLink {
        program: program_id,
        partner,
        destination,
        code,
    } = new;
    let program = program(app, program_id)
        .await?
        .ok_or(ProgramError::ProgramUnknown)?;
    partners::enrolled(app, partner, program_id).await?;
    if agreements::block(app, program_id, partner, Blocked::Links).await? {
        return Err(ProgramError::TermsNotAccepted);
    }
    let destination = allowed_destination(&program, &destination)?;
    let code = code.unwrap_or_else(|| generated_code(app));
    let link = Link {
        id: Link::id_of(&code),
        code,
        program: program_id,
        partner,
        destination,
        disabled_at: None,
        plans: Vec::new(),
        created_at: app.now(),
        version: 1,
    };
    let put = Write::new(store::put_link(&link)?, |_| ProgramError::CodeTaken);
    Ok(Change {
        value: link,
        writes: vec![put],
    })
}

fn allowed_destination(program: &Program, text: &str) -> Result<String, ProgramError> {
    model::destination(text, &program.allowed_destination_hosts).map_err(|error| {
        ProgramError::Destination {
            field: "destination",
            error,
        }
    })
}

fn generated_code(app: &App) -> String {
    app.entropy
        .bytes::<CODE_LEN>()
        .iter()
        .map(|byte| char::from(CODE_DIGITS[usize::from(byte & 31)]))
        .collect()
}

/// Where a link is found by people who share it.
#[must_use]
pub fn link_url(app: &App, code: &str) -> String {
    format!("{}/c/{code}", app.config.public_base_url)
}

fn link_name(id: LinkId) -> String {
    format!("LINK#{id}")
}

/// A link, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn link(app: &App, id: LinkId) -> Result<Option<Arc<Link>>, table::Error> {
    app.cached(&link_name(id), || store::find_link(&app.main, id))
        .await
}

/// A link as it stands.
///
/// # Errors
/// `LinkNotFound`, the table's.
pub async fn find_link(app: &App, id: LinkId) -> Result<Link, ProgramError> {
    store::find_link(&app.main, id)
        .await?
        .ok_or(ProgramError::LinkNotFound(id))
}

/// A page of a partner's links, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn links(
    app: &App,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Link>, Option<String>), ProgramError> {
    Ok(store::links(&app.main, partner, below, limit).await?)
}

/// The change by which a link is another partner's, after which [`forget_link`] is due.
///
/// # Errors
/// Never for a well-formed link.
pub fn inherit_link(link: Link, to: PartnerId) -> Result<table::Op, table::Error> {
    let link = Link {
        partner: to,
        version: link.version + 1,
        ..link
    };
    store::change_link(&link)
}

/// Lets the cache know no more of a link that has just changed.
pub fn forget_link(app: &App, id: LinkId) {
    app.cache.forget(&link_name(id));
}

/// Lets the cache know no more of a coupon that has just changed.
pub fn forget_coupon(app: &App, id: CouponId) {
    app.cache.forget(&coupon_name(id));
}

/// The change by which a coupon is another partner's, after which [`forget_coupon`] is due.
///
/// # Errors
/// Never for a well-formed coupon.
pub fn inherit_coupon(coupon: Coupon, to: PartnerId) -> Result<table::Op, table::Error> {
    let coupon = Coupon {
        partner: to,
        version: coupon.version + 1,
        ..coupon
    };
    store::change_coupon(&coupon)
}

/// Leads a link elsewhere, if its version is `based_on`.
///
/// # Errors
/// `LinkNotFound`, `Stale`, `Destination`, the table's.
pub async fn redirect_link(
    app: &App,
    id: LinkId,
    based_on: u64,
    destination: &str,
) -> Result<Change<Link, ProgramError>, ProgramError> {
    let link = find_link(app, id).await?;
    if link.version != based_on {
        return Err(ProgramError::Stale);
    }
    let program = program(app, link.program)
        .await?
        .ok_or(ProgramError::ProgramUnknown)?;
    let link = Link {
        destination: allowed_destination(&program, destination)?,
        version: link.version + 1,
        ..link
    };
    let write =
        Write::new(store::change_link(&link)?, |_| ProgramError::Stale).forgetting(link_name(id));
    Ok(Change {
        value: link,
        writes: vec![write],
    })
}

/// Disables a link; of one that is disabled nothing changes.
///
/// # Errors
/// `LinkNotFound`, `Moved`, the table's.
pub async fn disable_link(
    app: &App,
    id: LinkId,
) -> Result<Change<Link, ProgramError>, ProgramError> {
    let link = find_link(app, id).await?;
    if link.disabled_at.is_some() {
        return Ok(unchanged(link));
    }
    let link = Link {
        disabled_at: Some(app.now()),
        version: link.version + 1,
        ..link
    };
    let write =
        Write::new(store::change_link(&link)?, |_| ProgramError::Moved).forgetting(link_name(id));
    Ok(Change {
        value: link,
        writes: vec![write],
    })
}

/// Lets a plan pay what a link's clicks bring, in place of its partner's, from `effective_from` on, now when
/// absent, and in place of what was to begin after it; without a plan its partner's pays again.
///
/// # Errors
/// `LinkNotFound`, `PlanUnknown`, `EffectiveInPast`, `TooManyPlans`, `Moved`, the table's.
pub async fn set_link_plan(
    app: &App,
    id: LinkId,
    plan: Option<String>,
    effective_from: Option<Timestamp>,
) -> Result<Change<Link, ProgramError>, ProgramError> {
    let link = find_link(app, id).await?;
    if let Some(plan) = &plan {
        known_plan(app, link.program, plan).await?;
    }
    let now = app.now();
    let from = effective_from.unwrap_or(now);
    let Some(plans) = assign(&link.plans, plan.as_deref(), from, now)? else {
        return Ok(unchanged(link));
    };
    let link = Link {
        plans,
        version: link.version + 1,
        ..link
    };
    let write =
        Write::new(store::change_link(&link)?, |_| ProgramError::Moved).forgetting(link_name(id));
    Ok(Change {
        value: link,
        writes: vec![write],
    })
}

fn unchanged<T>(value: T) -> Change<T, ProgramError> {
    Change {
        value,
        writes: Vec::new(),
    }
}

/// A coupon to be made.
#[derive(Clone, Debug)]
pub struct NewCoupon {
    /// Its program.
    pub program: ProgramId,
    /// Whose it is.
    pub partner: PartnerId,
    /// As customers type it.
    pub code: String,
}

/// A new coupon of a partner who is enrolled in the program.
///
/// # Errors
/// `ProgramUnknown`, `Partner`, `CodeTaken`, the table's.
pub async fn add_coupon(
    app: &App,
    new: NewCoupon,
) -> Result<Change<Coupon, ProgramError>, ProgramError> {
    let NewCoupon {
        program: program_id,
        partner,
        code,
    } = new;
    program(app, program_id)
        .await?
        .ok_or(ProgramError::ProgramUnknown)?;
    partners::enrolled(app, partner, program_id).await?;
    let code = Coupon::normal(&code);
    let coupon = Coupon {
        id: Coupon::id_of(program_id, &code),
        code,
        program: program_id,
        partner,
        disabled_at: None,
        created_at: app.now(),
        version: 1,
    };
    let put = Write::new(store::put_coupon(&coupon)?, |_| ProgramError::CodeTaken);
    Ok(Change {
        value: coupon,
        writes: vec![put],
    })
}

fn coupon_name(id: CouponId) -> String {
    format!("COUPON#{id}")
}

/// The coupon with that code, typed in any way, at most [`crate::edge::CACHE_SECONDS`] old.
///
/// # Errors
/// The table's.
pub async fn coupon(
    app: &App,
    program: ProgramId,
    code: &str,
) -> Result<Option<Arc<Coupon>>, table::Error> {
    let id = Coupon::id_of(program, code);
    app.cached(&coupon_name(id), || store::find_coupon(&app.main, id))
        .await
}

/// A coupon as it stands.
///
/// # Errors
/// `CouponNotFound`, the table's.
pub async fn find_coupon(app: &App, id: CouponId) -> Result<Coupon, ProgramError> {
    store::find_coupon(&app.main, id)
        .await?
        .ok_or(ProgramError::CouponNotFound(id))
}

/// A page of a partner's coupons, newest first, and the position to go on from.
///
/// # Errors
/// The table's.
pub async fn coupons(
    app: &App,
    partner: PartnerId,
    below: Option<String>,
    limit: usize,
) -> Result<(Vec<Coupon>, Option<String>), ProgramError> {
    Ok(store::coupons(&app.main, partner, below, limit).await?)
}

/// Disables a coupon; of one that is disabled nothing changes.
///
/// # Errors
/// `CouponNotFound`, `Moved`, the table's.
pub async fn disable_coupon(
    app: &App,
    id: CouponId,
) -> Result<Change<Coupon, ProgramError>, ProgramError> {
    let coupon = find_coupon(app, id).await?;
    if coupon.disabled_at.is_some() {
        return Ok(unchanged(coupon));
    }
    let coupon = Coupon {
        disabled_at: Some(app.now()),
        version: coupon.version + 1,
        ..coupon
    };
    let write = Write::new(store::change_coupon(&coupon)?, |_| ProgramError::Moved)
        .forgetting(coupon_name(id));
    Ok(Change {
        value: coupon,
        writes: vec![write],
    })
}
