//! The channel's half of the tour: a deal that two partners register and one gets, and a lead that is offered
//! blind, accepted and won; the answer to whose customer it is follows.

use serde_json::json;

use crate::api::{Api, Off, demand, text};
use crate::tour::Stage;

/// Days for which the walk's commissions are held: longer than it takes.
const HOLD_DAYS: u32 = 30;

/// A partner and its key.
struct Seller {
    id: String,
    api: Api,
}

/// Walks the channel. `name` keeps several walks on one installation apart.
///
/// # Errors
/// The first thing that is off.
pub async fn walk(api: &Api, stage: &impl Stage, name: &str) -> Result<(), Off> {
    let program = api
        .post(
            "/v1/programs",
            &json!({ "name": format!("Channel {name}"), "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } }),
        )
        .await?;
    let program = text(&program, "/id");
    api.post(
        &format!("/v1/programs/{program}/plans"),
        &json!({ "code": "tenth", "hold_days": HOLD_DAYS, "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] }),
    )
    .await?;
    api.put(
        &format!("/v1/programs/{program}/channel"),
        &json!({ "product_lines": ["crm"], "tiers": ["silver", "gold"] }),
    )
    .await?;
    let ada = seller(api, &program, "Ada's Systems").await?;
    let bob = seller(api, &program, "Bob's Integrations").await?;
    // Domains of this walk alone, so that nobody's customer is registered again.
    let domain = |what: &str| format!("{what}-{}.example", name.to_lowercase());
    deal(api, stage, &program, [&ada, &bob], &domain("roses")).await?;
    lead(api, stage, &program, [&ada, &bob], &domain("tulips")).await
}

async fn seller(api: &Api, program: &str, name: &str) -> Result<Seller, Off> {
    let partner = api
        .post(
            "/v1/partners",
            &json!({ "name": name, "email": "sales@partner.example", "country": "GB", "kind": "reseller" }),
        )
        .await?;
    let id = text(&partner, "/id");
    api.post(
        &format!("/v1/partners/{id}/enrolments"),
        &json!({ "program": program, "plan": "tenth" }),
    )
    .await?;
    api.put(
        &format!("/v1/partners/{id}/profiles/{program}"),
        &json!({ "tier": "gold", "product_lines": ["crm"] }),
    )
    .await?;
    let quiet = api.clone().aloud(false);
    let key = quiet
        .post(&format!("/v1/partners/{id}/keys"), &json!({}))
        .await?;
    let own = Api::new(&api.base_url(), &text(&key, "/key"))
        .map_err(|error| Off::Never(error.to_string()))?;
    Ok(Seller {
        id,
        api: own.aloud(api.loud),
    })
}

/// Both register the same customer: one gets it, and its sale is an ordinary conversion.
async fn deal(
    api: &Api,
    stage: &impl Stage,
    program: &str,
    [ada, bob]: [&Seller; 2],
    domain: &str,
) -> Result<(), Off> {
    api.put(
        &format!("/v1/programs/{program}/deal-policy"),
        &json!({ "benefit": { "kind": "commission", "event": "sale" } }),
    )
    .await?;
    let body = json!({
        "program": program, "name": "Rollout", "product_lines": ["crm"], "amount": "25000.00", "currency": "GBP",
        "customer": { "name": "Roses Ltd", "country": "GB", "domain": domain },
    });
    let first = ada.api.post("/v1/deals", &body).await?;
    demand("the first registration", &first, "/state", "submitted")?;
    let second = bob.api.post("/v1/deals", &body).await?;
    demand("the second registration", &second, "/state", "rejected")?;
    let reason = "/rejection/reason";
    demand("why it was refused", &second, reason, "duplicate")?;
    let path = format!("/v1/deals/{}", text(&first, "/id"));
    let approved = api.act(&path, "approve", &json!({})).await?;
    demand("the approved deal", &approved, "/state", "approved")?;
    let resolve = format!("/v1/programs/{program}/claims:resolve");
    let question = json!({ "customer": { "email": format!("buyer@{domain}") } });
    let whose = api.post(&resolve, &question).await?;
    demand("whose customer it is", &whose, "/winner/partner", &ada.id)?;
    demand("by which claim", &whose, "/winner/kind", "deal")?;
    let sale = json!({ "amount": "24000.00", "currency": "GBP" });
    let won = api.act(&path, "won", &sale).await?;
    demand("the deal that was won", &won, "/state", "won")?;
    let conversion = text(&won, "/won/conversion");
    credited(api, stage, &conversion, ada, "2400.00").await
}

/// Waits until a conversion is a partner's and its commission stands in what it has.
async fn credited(
    api: &Api,
    stage: &impl Stage,
    conversion: &str,
    seller: &Seller,
    pending: &str,
) -> Result<(), Off> {
    let quiet = api.clone().aloud(false);
    let path = format!("/v1/conversions/{conversion}");
    stage
        .settle(async || Ok(text(&quiet.get(&path).await?, "/state") == "held"))
        .await?;
    let found = api.get(&path).await?;
    demand("its partner", &found, "/attribution/partner", &seller.id)?;
    let balances = api
        .get(&format!("/v1/partners/{}/balances", seller.id))
        .await?;
    demand("what it earns", &balances, "/items/0/pending", pending)
}

/// A lead is offered blind, declined by one, accepted by the other, and won.
async fn lead(
    api: &Api,
    stage: &impl Stage,
    program: &str,
    sellers: [&Seller; 2],
    domain: &str,
) -> Result<(), Off> {
    api.put(
        &format!("/v1/programs/{program}/routing"),
        &json!({ "rules": [{ "code": "turns", "strategy": { "kind": "round_robin" } }] }),
    )
    .await?;
    let lead = api
        .post(
            &format!("/v1/programs/{program}/leads"),
            &json!({
                "company": { "name": "Tulips Ltd", "country": "GB", "domain": domain },
                "contact": { "name": "Tilda Tulip", "email": format!("tilda@{domain}") },
                "need": "Forty tills for ten shops",
            }),
        )
        .await?;
    demand("the lead", &lead, "/stage", "offered")?;
    let offered = text(&lead, "/partner");
    let [declines, accepts] = if sellers[0].id == offered {
        sellers
    } else {
        [sellers[1], sellers[0]]
    };
    let path = format!("/v1/leads/{}", text(&lead, "/id"));
    let blind = declines.api.get(&path).await?;
    demand(
        "the name of one who is not known yet",
        &blind,
        "/contact/name",
        "",
    )?;
    let reason = json!({ "reason": "other" });
    declines
        .api
        .post(&format!("{path}/decline"), &reason)
        .await?;
    let accepted = accepts
        .api
        .post(&format!("{path}/accept"), &json!({}))
        .await?;
    let contact = "/contact/name";
    demand(
        "whoever accepts learns who it is",
        &accepted,
        contact,
        "Tilda Tulip",
    )?;
    let sale = json!({ "amount": "1000.00", "currency": "GBP" });
    let won = api.act(&path, "won", &sale).await?;
    demand("the lead that was won", &won, "/stage", "won")?;
    let conversion = text(&won, "/outcome/conversion");
    let before = text(
        &api.get(&format!("/v1/partners/{}/balances", accepts.id))
            .await?,
        "/items/0/pending",
    );
    let earned = if before.starts_with("2") {
        "2500.00"
    } else {
        "100.00"
    };
    credited(api, stage, &conversion, accepts, earned).await
}
