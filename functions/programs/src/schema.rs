//! What programs', plans', links' and coupons' requests and answers look like.

use serde::Serialize;
use tributary::edge::App;
use tributary::plans::model::{Component, Pay, PlanVersion};
use tributary::programs::model::{Attribution, Coupon, Link, Program};
use tributary::programs::{self, Secrets};
use utoipa::ToSchema;

/// How conversions find their partner.
#[derive(ToSchema)]
#[schema(as = NewAttribution)]
pub struct AttributionBody {
    /// `last_click`: the click that the conversion names. `first_click`: the customer's first valid one.
    pub model: String,
    /// Days of 24 hours that a click stays good, 1 to 365.
    pub window_days: u32,
}

/// A new program.
#[derive(ToSchema)]
#[schema(as = NewProgram, example = json!({"name": "Shop", "currency": "GBP", "attribution": {"model": "last_click", "window_days": 30}, "allowed_destination_hosts": ["shop.example"]}))]
pub struct NewProgramBody {
    /// Name, at most 120 characters.
    pub name: String,
    /// ISO 4217 currency of its amounts, commissions and payouts; fixed for good.
    pub currency: String,
    /// How conversions find their partner.
    pub attribution: AttributionBody,
    /// How its tracker names what it posts: `native` (the default), `everflow`, `tune`, `keitaro`.
    pub postback_dialect: Option<String>,
    /// Keitaro only: whether `payout` is the sale's amount. Unless told it is what the network owes.
    pub payout_is_amount: Option<bool>,
    /// Where visitors go whose link is disabled or leads to a host no longer allowed; https, on an allowed host.
    pub fallback_url: Option<String>,
    /// Hosts that links may lead to, subdomains included; at most 50. Absent or empty: any.
    pub allowed_destination_hosts: Option<Vec<String>>,
    /// Days after an event in which partners may dispute it, 1 to 400; 60 unless told.
    pub dispute_days: Option<u32>,
}

/// Changes of a program; what is absent stays. The currency is fixed.
#[derive(ToSchema)]
#[schema(as = ProgramChange, example = json!({"attribution": {"model": "first_click", "window_days": 60}}))]
pub struct ProgramPatchBody {
    /// Name, at most 120 characters.
    pub name: Option<String>,
    /// How conversions find their partner.
    pub attribution: Option<AttributionBody>,
    /// `native`, `everflow`, `tune` or `keitaro`.
    pub postback_dialect: Option<String>,
    /// Keitaro only: whether `payout` is the sale's amount.
    pub payout_is_amount: Option<bool>,
    /// Where visitors go whose link is disabled or leads to a host no longer allowed; `null` for nowhere.
    pub fallback_url: Option<String>,
    /// Hosts that links may lead to; empty for any. Links to a host that is no longer among them lead to the
    /// fallback, within 30 seconds.
    pub allowed_destination_hosts: Option<Vec<String>>,
    /// Days after an event in which partners may dispute it, 1 to 400.
    pub dispute_days: Option<u32>,
}

/// How conversions find their partner.
#[derive(Serialize, ToSchema)]
#[schema(as = Attribution)]
pub struct AttributionView {
    /// `last_click` or `first_click`.
    pub model: &'static str,
    /// Days of 24 hours that a click stays good.
    pub window_days: u32,
}

/// A program. `postback_token` and `signing_secret` are in the answer that made them and never again.
#[derive(Serialize, ToSchema)]
#[schema(as = Program, example = json!({"id": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "name": "Shop", "currency": "GBP", "attribution": {"model": "last_click", "window_days": 30}, "postback_dialect": "native", "payout_is_amount": false, "fallback_url": null, "allowed_destination_hosts": ["shop.example"], "dispute_days": 60, "postback_url": "https://go.vendor.example/v1/postbacks/prg_01kar52v4e8qzr5n3m6x7p9tdc", "secrets": [{"expires_at": null}], "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct ProgramView {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// ISO 4217 currency.
    pub currency: &'static str,
    /// How conversions find their partner.
    pub attribution: AttributionView,
    /// How its tracker names what it posts.
    pub postback_dialect: &'static str,
    /// Keitaro only: whether `payout` is the sale's amount.
    pub payout_is_amount: bool,
    /// Where visitors go whose link is disabled or leads to a host no longer allowed.
    pub fallback_url: Option<String>,
    /// Hosts that links may lead to; empty for any.
    pub allowed_destination_hosts: Vec<String>,
    /// Days after an event in which partners may dispute it.
    pub dispute_days: u32,
    /// Where conversions are posted.
    pub postback_url: String,
    /// The tokens and signing secrets that are good, the current pair first: until when each.
    pub secrets: Vec<SecretView>,
    /// Since when.
    pub created_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
    /// Lets its holder post conversions, nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postback_token: Option<String>,
    /// Signs postbacks per Standard Webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
}

/// Until when a postback token and its signing secret are good.
#[derive(Serialize, ToSchema)]
#[schema(as = SecretTerm)]
pub struct SecretView {
    /// `null` for the current pair.
    pub expires_at: Option<String>,
}

/// A page of programs.
#[derive(Serialize, ToSchema)]
#[schema(as = ProgramList)]
pub struct ProgramListView {
    /// Newest first.
    pub items: Vec<ProgramView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A rotation of secrets.
#[derive(ToSchema)]
#[schema(as = Rotation, example = json!({"overlap_hours": 24}))]
pub struct RotationBody {
    /// Hours that the secrets before stay good, 0 to 720; 24 unless told.
    pub overlap_hours: Option<u32>,
}

/// New secrets, shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = Secrets, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "postback_token": "tpt_…", "signing_secret": "whsec_…", "previous_valid_until": "2026-11-24T07:00:00Z"}))]
pub struct SecretsView {
    /// The program's id.
    pub program: String,
    /// The new token; absent in the answer to a repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postback_token: Option<String>,
    /// The new signing secret; absent in the answer to a repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// Until when the ones before stay good at most.
    pub previous_valid_until: String,
}

/// What one event pays: `flat` with an `amount`, or `percent` with a `rate`.
#[derive(ToSchema)]
#[schema(as = NewComponent, example = json!({"kind": "percent", "event": "sale", "rate": "0.20"}))]
pub struct ComponentBody {
    /// `flat` (an amount for each unit of quantity) or `percent` (a share of the event's amount).
    pub kind: String,
    /// The event that pays, such as `sale` or `lead`.
    pub event: String,
    /// `flat`: decimal string in the program's currency.
    pub amount: Option<String>,
    /// `percent`: decimal string from 0 to 1; `"0.20"` is 20 %.
    pub rate: Option<String>,
}

/// A plan's next version.
#[derive(ToSchema)]
#[schema(as = NewPlan, example = json!({"code": "standard", "hold_days": 30, "components": [{"kind": "percent", "event": "sale", "rate": "0.20"}, {"kind": "flat", "event": "lead", "amount": "25.00"}]}))]
pub struct NewPlanBody {
    /// The plan's code: lower-case letters, digits, `_` and `-`, at most 64.
    pub code: String,
    /// Events from then on are paid by it; now unless told.
    pub effective_from: Option<String>,
    /// Days of 24 hours, from the event, that commissions are held; 0 to 365.
    pub hold_days: u32,
    /// What pays; several for one event add up; 1 to 20.
    pub components: Vec<ComponentBody>,
}

/// What one event pays.
#[derive(Serialize, ToSchema)]
#[schema(as = Component)]
pub struct ComponentView {
    /// `flat` or `percent`.
    pub kind: &'static str,
    /// The event that pays.
    pub event: String,
    /// `flat`: per unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// `flat`: the amount's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    /// `percent`: the share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

/// One immutable version of a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanVersion, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "code": "standard", "version": 1, "effective_from": "2026-11-23T07:00:00Z", "hold_days": 30, "components": [{"kind": "percent", "event": "sale", "rate": "0.20"}], "created_at": "2026-11-23T07:00:00Z"}))]
pub struct PlanView {
    /// The program's id.
    pub program: String,
    /// The plan's code.
    pub code: String,
    /// Counts from 1.
    pub version: u32,
    /// Events from then on are paid by it, until a version that is effective later.
    pub effective_from: String,
    /// Days of 24 hours, from the event, that commissions are held.
    pub hold_days: u32,
    /// What pays.
    pub components: Vec<ComponentView>,
    /// Since when it stands.
    pub created_at: String,
}

/// A page of plan versions.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanVersionList)]
pub struct PlanListView {
    /// By code, then by version.
    pub items: Vec<PlanView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A new link.
#[derive(ToSchema)]
#[schema(as = NewLink, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "destination": "https://shop.example/summer?utm_source={partner}", "code": "summer"}))]
pub struct NewLinkBody {
    /// The program's id.
    pub program: String,
    /// The partner's id; enrolled in the program.
    pub partner: String,
    /// Where visitors go: https, on the program's allowed hosts. After the host it may hold `{click_id}`,
    /// `{sub1}` to `{sub5}`, `{link}`, `{partner}` and `{program}`.
    pub destination: String,
    /// 3 to 64 letters, digits, `_` and `-`, unique in the installation; made here when absent.
    pub code: Option<String>,
}

/// A change of a link.
#[derive(ToSchema)]
#[schema(as = LinkChange, example = json!({"destination": "https://shop.example/winter"}))]
pub struct LinkPatchBody {
    /// Where visitors go from now on.
    pub destination: String,
}

/// A tracking link.
#[derive(Serialize, ToSchema)]
#[schema(as = Link, example = json!({"id": "lnk_01kar52v4e8qzr5n3m6x7p9tdc", "code": "summer", "url": "https://go.vendor.example/c/summer", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "destination": "https://shop.example/summer", "disabled_at": null, "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct LinkView {
    /// Id.
    pub id: String,
    /// What stands in the address.
    pub code: String,
    /// What the partner shares.
    pub url: String,
    /// The program's id.
    pub program: String,
    /// The partner's id.
    pub partner: String,
    /// Where visitors go.
    pub destination: String,
    /// Since when it no longer leads there.
    pub disabled_at: Option<String>,
    /// Since when.
    pub created_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// A page of links.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkList)]
pub struct LinkListView {
    /// Newest first.
    pub items: Vec<LinkView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

/// A new coupon.
#[derive(ToSchema)]
#[schema(as = NewCoupon, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "code": "ADA10"}))]
pub struct NewCouponBody {
    /// The program's id.
    pub program: String,
    /// The partner's id; enrolled in the program.
    pub partner: String,
    /// 1 to 64 letters, digits, `_` and `-`; case does not matter; unique in the program.
    pub code: String,
}

/// A coupon code that stands for a partner.
#[derive(Serialize, ToSchema)]
#[schema(as = Coupon, example = json!({"id": "cpn_01kar52v4e8qzr5n3m6x7p9tdc", "code": "ADA10", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "disabled_at": null, "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
pub struct CouponView {
    /// Id.
    pub id: String,
    /// Upper case.
    pub code: String,
    /// The program's id.
    pub program: String,
    /// The partner's id.
    pub partner: String,
    /// Since when it no longer counts.
    pub disabled_at: Option<String>,
    /// Since when.
    pub created_at: String,
    /// Counts changes; also the `ETag`.
    pub version: u64,
}

/// A page of coupons.
#[derive(Serialize, ToSchema)]
#[schema(as = CouponList)]
pub struct CouponListView {
    /// Newest first.
    pub items: Vec<CouponView>,
    /// Where the list goes on; `null` at its end.
    pub next_cursor: Option<String>,
}

pub(crate) fn program(app: &App, program: &Program, shown: Option<Secrets>) -> ProgramView {
    let Program {
        id,
        name,
        currency,
        attribution: Attribution { model, window_days },
        dialect,
        payout_is_amount,
        fallback_url,
        allowed_destination_hosts,
        dispute_days,
        tokens,
        // Both kinds rotate together, so the tokens' terms are theirs too.
        signing_secrets: _,
        created_at,
        version,
    } = program;
    let now = app.now();
    let secrets = tokens
        .iter()
        .map(|token| token.expires_at)
        .filter(|end| end.is_none_or(|end| end > now))
        .map(|end| SecretView {
            expires_at: end.map(|end| end.to_string()),
        })
        .collect();
    let (postback_token, signing_secret) = match shown {
        Some(Secrets {
            postback_token,
            signing_secret,
        }) => (Some(postback_token), Some(signing_secret)),
        None => (None, None),
    };
    ProgramView {
        id: id.to_string(),
        name: name.clone(),
        currency: currency.code(),
        attribution: AttributionView {
            model: model.name(),
            window_days: *window_days,
        },
        postback_dialect: dialect.name(),
        payout_is_amount: *payout_is_amount,
        fallback_url: fallback_url.clone(),
        allowed_destination_hosts: allowed_destination_hosts.clone(),
        dispute_days: *dispute_days,
        postback_url: format!("{}/v1/postbacks/{id}", app.config.public_base_url),
        secrets,
        created_at: created_at.to_string(),
        version: *version,
        postback_token,
        signing_secret,
    }
}

fn component(component: &Component) -> ComponentView {
    let event = component.event.clone();
    match &component.pay {
        Pay::Flat(amount) => ComponentView {
            kind: "flat",
            event,
            amount: Some(amount.to_string()),
            currency: Some(amount.currency().code()),
            rate: None,
        },
        Pay::Percent { rate, .. } => ComponentView {
            kind: "percent",
            event,
            amount: None,
            currency: None,
            rate: Some(rate.to_string()),
        },
        _ => ComponentView {
            kind: "other",
            event,
            amount: None,
            currency: None,
            rate: None,
        },
    }
}

pub(crate) fn plan(plan: &PlanVersion) -> PlanView {
    let PlanVersion {
        program,
        code,
        version,
        effective_from,
        hold_days,
        terms,
        created_at,
    } = plan;
    PlanView {
        program: program.to_string(),
        code: code.clone(),
        version: *version,
        effective_from: effective_from.to_string(),
        hold_days: *hold_days,
        components: terms.components.iter().map(component).collect(),
        created_at: created_at.to_string(),
    }
}

pub(crate) fn link(app: &App, link: &Link) -> LinkView {
    let Link {
        id,
        code,
        program,
        partner,
        destination,
        disabled_at,
        created_at,
        version,
    } = link;
    LinkView {
        id: id.to_string(),
        url: programs::link_url(app, code),
        code: code.clone(),
        program: program.to_string(),
        partner: partner.to_string(),
        destination: destination.clone(),
        disabled_at: disabled_at.map(|at| at.to_string()),
        created_at: created_at.to_string(),
        version: *version,
    }
}

pub(crate) fn coupon(coupon: &Coupon) -> CouponView {
    let Coupon {
        id,
        code,
        program,
        partner,
        disabled_at,
        created_at,
        version,
    } = coupon;
    CouponView {
        id: id.to_string(),
        code: code.clone(),
        program: program.to_string(),
        partner: partner.to_string(),
        disabled_at: disabled_at.map(|at| at.to_string()),
        created_at: created_at.to_string(),
        version: *version,
    }
}
