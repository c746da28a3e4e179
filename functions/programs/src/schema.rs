//! What programs', plans', links' and coupons' requests and answers look like.

use serde::Serialize;
use serde_json::Value;
use tributary::edge::App;
use tributary::money::Currency;
use tributary::plans::examples::{Example, ExampleStep, examples};
use tributary::plans::model::{Assignment, PlanVersion};
use tributary::plans::sentences::sentences;
use tributary::plans::wire;
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
#[schema(as = Program, example = json!({"id": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "name": "Shop", "currency": "GBP", "attribution": {"model": "last_click", "window_days": 30}, "postback_dialect": "native", "payout_is_amount": false, "fallback_url": null, "allowed_destination_hosts": ["shop.example"], "dispute_days": 60, "postback_url": "https://go.vendor.example/v1/postbacks/prg_01kar52v4e8qzr5n3m6x7p9tdc", "secrets": [{"expires_at": null}], "default_plans": [{"plan": "standard", "effective_from": null}], "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
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
    /// What pays partners without a plan of their own, from when on, oldest first.
    pub default_plans: Vec<AssignmentView>,
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

/// A plan from a moment on.
#[derive(ToSchema)]
#[schema(as = NewAssignment, example = json!({"plan": "gold", "effective_from": "2027-01-01T00:00:00Z"}))]
pub struct AssignmentBody {
    /// The code of one of the program's plans.
    pub plan: String,
    /// From when on; now unless told, and not in the past.
    pub effective_from: Option<String>,
}

/// A plan from a moment on.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanAssignment)]
pub struct AssignmentView {
    /// The plan's code; `null` for none here, so that the partner's or the program's pays.
    pub plan: Option<String>,
    /// From when on; `null` from the beginning of time.
    pub effective_from: Option<String>,
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

/// What one event pays. Which fields a component has depends on its `kind`.
#[derive(ToSchema)]
#[schema(as = Component, example = json!({"kind": "percent", "event": "sale", "rate": "0.20"}))]
pub struct ComponentBody {
    /// `flat` (an amount for each unit of quantity), `percent` (a share), `tiered` (by brackets that a measure
    /// reaches), `revenue_share` (a share of a period's net revenue) or `milestone` (a bonus, once in its window).
    pub kind: String,
    /// The event that pays, such as `sale` or `lead`. `milestone`: the first of its measure unless told.
    pub event: Option<String>,
    /// The program's currency, that of all amounts here.
    pub currency: Option<String>,
    /// `flat`, `milestone`: decimal string in the program's currency.
    pub amount: Option<String>,
    /// `percent`, `revenue_share` without brackets: decimal string from 0 to 1; `"0.20"` is 20 %.
    pub rate: Option<String>,
    /// `percent`, `tiered`: what rates are taken of: `amount` (unless told), `margin` or `net_revenue`, which
    /// come with the event.
    pub of: Option<String>,
    /// `tiered`, `milestone`: what is measured.
    pub measure: Option<MeasureBody>,
    /// `tiered`, `revenue_share`, `milestone`: over which time.
    pub window: Option<WindowBody>,
    /// `tiered`: `attained`, `marginal`, `interpolated` or `retroactive`.
    pub mode: Option<String>,
    /// `tiered`, `revenue_share`: 1 to 50; the first begins at 0, and each ends where the next begins.
    pub brackets: Option<Vec<BracketBody>>,
    /// `revenue_share`: what a period below zero leaves to the next: `carry`, `reset` or `capped`.
    pub carryover: Option<String>,
    /// `capped`: how much of it at most; decimal string.
    pub carryover_limit: Option<String>,
    /// `milestone`: the threshold.
    pub at: Option<ThresholdBody>,
    /// What else must hold of the event. Not of a milestone.
    pub when: Option<ConditionBody>,
    /// For how long a customer pays. Not of a milestone.
    pub duration: Option<DurationBody>,
    /// Pays at least that for a conversion, unless it pays nothing; decimal string. `flat`, `percent`, and `tiered`
    /// in the modes `attained` and `marginal`, where each conversion pays by itself.
    pub minimum: Option<String>,
    /// Pays at most that for a conversion; decimal string. Where `minimum` may stand.
    pub maximum: Option<String>,
    /// Pays only if its window reaches a threshold. Not of a milestone.
    pub gate: Option<GateBody>,
}

/// What is measured.
#[derive(ToSchema)]
#[schema(as = Measure, example = json!({"unit": "amount", "events": ["sale"], "scope": "own"}))]
pub struct MeasureBody {
    /// `count` (events, each as many as its quantity) or `amount` (their amounts).
    pub unit: String,
    /// Which events, 1 to 20; the component's own unless told.
    pub events: Option<Vec<String>>,
    /// `own` (the partner's, unless told) or `subtree` (with those of all partners below it).
    pub scope: Option<String>,
}

/// Over which time something is measured.
#[derive(ToSchema)]
#[schema(as = Window, example = json!({"kind": "month"}))]
pub struct WindowBody {
    /// `month` or `quarter` of the calendar in the plan's time zone, `trailing` or `lifetime`. Gates and revenue
    /// shares have month or quarter; only the mode `attained` has trailing.
    pub kind: String,
    /// `trailing`: so many days of 24 hours up to the event, 1 to 400.
    pub days: Option<u32>,
}

/// A threshold: of an amount a decimal string in the program's currency, of a count a whole number.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Threshold)]
pub enum ThresholdBody {
    /// Of an amount.
    Amount(String),
    /// Of a count.
    Count(i64),
}

/// One bracket.
#[derive(ToSchema)]
#[schema(as = Bracket, example = json!({"from": "5000.00", "rate": "0.12"}))]
pub struct BracketBody {
    /// Where it begins, included.
    pub from: ThresholdBody,
    /// Where it ends, excluded: the next one's `from`. Need not be told, is checked when it is, and not kept.
    pub to: Option<ThresholdBody>,
    /// A share; decimal string from 0 to 1.
    pub rate: Option<String>,
    /// In place of `rate`: an amount for each unit of quantity. Not where amounts are split (`marginal`).
    pub amount: Option<String>,
    /// `interpolated`: all that is paid once the measure stands at `from`; 0 in the first bracket.
    pub pay: Option<String>,
}

/// Pays only if a window reaches a threshold, known when the window closes.
#[derive(ToSchema)]
#[schema(as = Gate, example = json!({"measure": {"unit": "count", "events": ["sale"]}, "window": {"kind": "month"}, "at_least": 10}))]
pub struct GateBody {
    /// What is measured.
    pub measure: MeasureBody,
    /// Month or quarter.
    pub window: WindowBody,
    /// The threshold, included.
    pub at_least: ThresholdBody,
}

/// For how long a customer pays, from its first conversion that the component pays for: `"forever"` (unless
/// told), `"first_sale"` (the first conversion alone), or a number of calendar months.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Duration)]
pub enum DurationBody {
    /// `forever` or `first_sale`.
    Word(String),
    /// Calendar months in the plan's time zone.
    Months {
        /// 1 to 600.
        months: u32,
    },
}

/// What must hold of an event: `all` or `any` of several conditions, or one test of a `field`. At most 50
/// tests, nested at most 5 deep.
#[derive(ToSchema)]
#[schema(as = Condition, example = json!({"all": [{"field": "country", "in": ["GB", "IE"]}, {"field": "amount", "at_least": "100.00"}]}))]
pub struct ConditionBody {
    /// Every one of these.
    #[schema(no_recursion)]
    pub all: Option<Vec<ConditionBody>>,
    /// At least one of these.
    #[schema(no_recursion)]
    pub any: Option<Vec<ConditionBody>>,
    /// A text: `country`, `product`, `event`, `coupon`, `sub1` to `sub5`, `meta.<name>`; a number: `amount`,
    /// `margin`, `net_revenue`, `quantity`, `months_since_first_sale`; or `customer`.
    pub field: Option<String>,
    /// A text is one of these, without regard to case; 1 to 100.
    pub r#in: Option<Vec<String>>,
    /// A text is none of these.
    pub not_in: Option<Vec<String>>,
    /// A number lies from there on, included; amounts as decimal strings, counts as integers.
    pub at_least: Option<ThresholdBody>,
    /// A number lies below there.
    pub below: Option<ThresholdBody>,
    /// The customer is `new` or `returning`.
    pub is: Option<String>,
}

/// A limit on what a plan pays.
#[derive(ToSchema)]
#[schema(as = Cap, example = json!({"scope": "partner", "window": {"kind": "month"}, "amount": "1000.00", "currency": "GBP"}))]
pub struct CapBody {
    /// `conversion`, `customer` (of one partner), `partner` or `program` (all partners on the plan).
    pub scope: String,
    /// Month, quarter or lifetime; a conversion has none.
    pub window: Option<WindowBody>,
    /// How much; decimal string.
    pub amount: String,
    /// The program's currency.
    pub currency: Option<String>,
}

/// What one upline gets of each conversion.
#[derive(ToSchema)]
#[schema(as = Level, example = json!({"rate": "0.10", "of": "commission", "rounding": "floor"}))]
pub struct LevelBody {
    /// Decimal string from 0 to 1.
    pub rate: String,
    /// `sale` (of its amount) or `commission` (of what the level below gets).
    pub of: String,
    /// `half_up` (unless told) or `floor`.
    pub rounding: Option<String>,
}

/// A plan's next version.
#[derive(ToSchema)]
#[schema(as = NewPlan, example = json!({"code": "standard", "hold_days": 30, "time_zone": "Europe/London", "components": [
    {"kind": "tiered", "event": "sale", "measure": {"unit": "amount"}, "window": {"kind": "month"}, "mode": "marginal",
        "brackets": [{"from": "0.00", "rate": "0.10"}, {"from": "5000.00", "rate": "0.12"}]},
    {"kind": "flat", "event": "lead", "amount": "25.00", "when": {"field": "customer", "is": "new"}}],
    "caps": [{"scope": "partner", "window": {"kind": "month"}, "amount": "1000.00"}],
    "levels": [{"rate": "0.10", "of": "commission"}]}))]
pub struct NewPlanBody {
    /// The plan's code: lower-case letters, digits, `_` and `-`, at most 64.
    pub code: String,
    /// Events from then on are paid by it; now unless told. Not in the past for a version after the first.
    pub effective_from: Option<String>,
    /// Days of 24 hours, from the event, that commissions are held; 0 to 365.
    pub hold_days: u32,
    /// IANA name of the time zone in which months and quarters begin; `UTC` unless told.
    pub time_zone: Option<String>,
    /// When several components match an event: `all` add up (unless told), the `first` of the list pays, or the
    /// one that pays `highest`. Milestones always pay.
    pub pays: Option<String>,
    /// What pays; 1 to 20.
    pub components: Vec<ComponentBody>,
    /// Limits over all components, in the order in which they are applied; at most 10.
    pub caps: Option<Vec<CapBody>>,
    /// What uplines get of each conversion, the nearest first; at most 5.
    pub levels: Option<Vec<LevelBody>>,
}

/// One immutable version of a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanVersion, example = json!({"program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "code": "standard", "version": 1, "effective_from": "2026-11-23T07:00:00Z", "hold_days": 30, "time_zone": "UTC", "pays": "all", "components": [{"kind": "percent", "event": "sale", "rate": "0.20", "of": "amount", "currency": "GBP"}], "caps": [], "levels": [], "created_at": "2026-11-23T07:00:00Z"}))]
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
    /// IANA name of the time zone in which months and quarters begin.
    #[schema(value_type = String)]
    pub time_zone: Value,
    /// When several components match an event: `all`, `first` or `highest`.
    #[schema(value_type = String)]
    pub pays: Value,
    /// What pays, as requests state it.
    #[schema(value_type = Vec<ComponentBody>)]
    pub components: Value,
    /// Limits over all components, in the order in which they are applied.
    #[schema(value_type = Vec<CapBody>)]
    pub caps: Value,
    /// What uplines get of each conversion, the nearest first.
    #[schema(value_type = Vec<LevelBody>)]
    pub levels: Value,
    /// Since when it stands.
    pub created_at: String,
}

/// What a plan would pay.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanPreview, example = json!({"sentences": ["Plan standard pays for events from 2026-11-23T07:00:00Z on; what it pays is held for 30 days from the event.", "For each sale: 20 % of the amount."], "examples": [{"about": "Component 1: what one event pays", "steps": [{"at": "2027-01-01T00:00:00Z", "what": "sale of 100.00 GBP", "amount": "20.00", "currency": "GBP", "uplines": [], "why": ["Component 1: 20.00 GBP."]}]}]}))]
pub struct PlanPreviewView {
    /// What it pays, in plain sentences.
    pub sentences: Vec<String>,
    /// What it pays for made-up events: each component below, at and above the points at which something
    /// changes, then each cap, reached and used up. The whole plan applies in each.
    pub examples: Vec<PlanExampleView>,
}

/// What a plan pays for a few events in a row.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanExample)]
pub struct PlanExampleView {
    /// What it shows.
    pub about: String,
    /// In their order.
    pub steps: Vec<PlanExampleStepView>,
}

/// What one event pays, or the end of a period.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanExampleStep)]
pub struct PlanExampleStepView {
    /// When.
    pub at: String,
    /// What happens.
    pub what: String,
    /// What the partner gets for it; what is negative takes back.
    pub amount: String,
    /// The currency of all amounts here.
    pub currency: &'static str,
    /// What the partner's uplines get, the nearest first.
    pub uplines: Vec<String>,
    /// How that comes about.
    pub why: Vec<String>,
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
#[schema(as = Link, example = json!({"id": "lnk_01kar52v4e8qzr5n3m6x7p9tdc", "code": "summer", "url": "https://go.vendor.example/c/summer", "program": "prg_01kar52v4e8qzr5n3m6x7p9tdc", "partner": "ptr_01kar52v4e8qzr5n3m6x7p9tdc", "destination": "https://shop.example/summer", "disabled_at": null, "plans": [], "created_at": "2026-11-23T07:00:00Z", "version": 1}))]
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
    /// What pays what its clicks bring, in place of the partner's plan, from when on, oldest first.
    pub plans: Vec<AssignmentView>,
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

fn assignments(assignments: &[Assignment]) -> Vec<AssignmentView> {
    let view = |Assignment { plan, from }: &Assignment| AssignmentView {
        plan: plan.clone(),
        effective_from: from.map(|from| from.to_string()),
    };
    assignments.iter().map(view).collect()
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
        default_plans,
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
        default_plans: assignments(default_plans),
        created_at: created_at.to_string(),
        version: *version,
        postback_token,
        signing_secret,
    }
}

pub(crate) fn plan(plan: &PlanVersion, currency: Currency) -> PlanView {
    let PlanVersion {
        program,
        code,
        version,
        effective_from,
        hold_days,
        terms,
        created_at,
    } = plan;
    let mut terms = wire::write(terms, currency);
    let mut term = |name: &str| terms[name].take();
    PlanView {
        program: program.to_string(),
        code: code.clone(),
        version: *version,
        effective_from: effective_from.to_string(),
        hold_days: *hold_days,
        time_zone: term("time_zone"),
        pays: term("pays"),
        components: term("components"),
        caps: term("caps"),
        levels: term("levels"),
        created_at: created_at.to_string(),
    }
}

pub(crate) fn preview(plan: &PlanVersion, currency: Currency) -> PlanPreviewView {
    let step = |step: ExampleStep| {
        let ExampleStep {
            at,
            what,
            pay,
            levels,
            why,
        } = step;
        PlanExampleStepView {
            at: at.to_string(),
            what,
            amount: pay.to_string(),
            currency: pay.currency().code(),
            uplines: levels.iter().map(ToString::to_string).collect(),
            why,
        }
    };
    let examples = examples(plan, currency).into_iter();
    PlanPreviewView {
        sentences: sentences(plan, currency),
        examples: examples
            .map(|Example { about, steps }| PlanExampleView {
                about,
                steps: steps.into_iter().map(step).collect(),
            })
            .collect(),
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
        plans,
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
        plans: assignments(plans),
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
