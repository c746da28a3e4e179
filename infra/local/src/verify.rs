//! `verify`: checks a deployment by using it: the tour, then many conversions with exact totals.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::json;
use tributary::clock::days_after;

use crate::api::{Api, Off, demand, text};
use crate::tour::{Deployed, Stage, walk};

/// Most conversions that one check posts.
const MOST: usize = 300;
/// Passes by running clockwork at a later time.
const HOLD_DAYS: u32 = 30;

/// What `verify` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Verify {
    /// Where Tributary is deployed
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Operator key
    #[arg(long, env = "TRIBUTARY_OPERATOR_KEY", hide_env_values = true)]
    pub operator_key: String,
    /// Shell command that invokes the clockwork function with a scheduled event whose `time` is $TICK_TIME
    #[arg(long, value_name = "COMMAND")]
    pub tick: String,
    /// Conversions to post, at most 300
    #[arg(long, default_value_t = 250)]
    pub conversions: usize,
    /// Seconds that queued work may take
    #[arg(long, default_value_t = 180)]
    pub patience_seconds: u64,
}

/// Runs the check.
///
/// # Errors
/// The first thing that is off.
pub async fn verify(options: &Verify) -> Result<(), Off> {
    let api = Api::new(&options.to, &options.operator_key)
        .map_err(|error| Off::Never(error.to_string()))?;
    let stage = Deployed {
        tick: options.tick.clone(),
        patience: Duration::from_secs(options.patience_seconds),
    };
    let name = format!("check-{}", stage.now().as_millisecond());
    walk(&api.clone().aloud(true), &stage, &name).await?;
    many(&api, &stage, &name, options.conversions.min(MOST)).await?;
    println!("\nThe deployment does what it must.");
    Ok(())
}

/// Posts conversions of two partners, every third one twice, and demands exact totals.
async fn many(api: &Api, stage: &impl Stage, name: &str, count: usize) -> Result<(), Off> {
    let program = api
        .post(
            "/v1/programs",
            &json!({ "name": format!("Many {name}"), "currency": "EUR", "attribution": { "model": "last_click", "window_days": 30 } }),
        )
        .await?;
    let id = text(&program, "/id");
    api.post(
        &format!("/v1/programs/{id}/plans"),
        &json!({ "code": "tenth", "hold_days": HOLD_DAYS, "components": [{ "kind": "percent", "event": "sale", "rate": "0.10" }] }),
    )
    .await?;
    let mut partners = Vec::new();
    for (position, coupon) in ["EVEN", "ODD"].into_iter().enumerate() {
        let partner = api
            .post(
                "/v1/partners",
                &json!({ "name": format!("{coupon} {name}"), "email": "partner@example.com", "country": "DE", "kind": "affiliate" }),
            )
            .await?;
        let partner = text(&partner, "/id");
        api.post(
            &format!("/v1/partners/{partner}/enrolments"),
            &json!({ "program": id, "plan": "tenth" }),
        )
        .await?;
        api.post(
            "/v1/coupons",
            &json!({ "program": id, "partner": partner, "code": coupon }),
        )
        .await?;
        partners.push((position, partner));
    }
    let path = format!("/v1/postbacks/{id}");
    // Ten euros and a few cents each: 10 % of a cent amount rounds, so totals show every line's rounding.
    let minor = |number: usize| 1_000 + number as i64;
    let share = |number: usize| (minor(number) + 5) / 10;
    let posts: Vec<usize> = (0..count).chain((0..count).step_by(3)).collect();
    stream::iter(posts)
        .map(|number| {
            let (api, path) = (api, &path);
            async move {
                let body = json!({
                    "transaction_id": format!("many-{number}"),
                    "coupon": if number % 2 == 0 { "EVEN" } else { "ODD" },
                    "amount": format!("{}.{:02}", minor(number) / 100, minor(number) % 100),
                    "currency": "EUR",
                });
                let answer = api.send(Method::POST, path, Some(&body), None).await?;
                match answer.status.as_u16() {
                    200 | 201 => Ok(()),
                    status => Err(Off::Status {
                        method: Method::POST,
                        path: path.clone(),
                        expected: 201,
                        status,
                        body: answer.text,
                    }),
                }
            }
        })
        .buffer_unordered(8)
        .try_collect::<Vec<()>>()
        .await?;
    for (parity, partner) in partners {
        let total: i64 = (0..count)
            .filter(|number| number % 2 == parity)
            .map(share)
            .sum();
        let expected = format!("{}.{:02}", total / 100, total % 100);
        let path = format!("/v1/partners/{partner}/balances");
        // Clockwork may have released some of them already: what counts is the sum.
        let earned = async || {
            let balances = api.get(&path).await?;
            let minor = |field: &str| {
                text(&balances, &format!("/items/0/{field}"))
                    .replace('.', "")
                    .parse::<i64>()
                    .unwrap_or(0)
            };
            Ok::<_, Off>(minor("pending") + minor("payable"))
        };
        stage.settle(async || Ok(earned().await? >= total)).await?;
        stage
            .advance(days_after(stage.now(), HOLD_DAYS + 1))
            .await?;
        stage
            .settle(async || Ok(text(&api.get(&path).await?, "/items/0/payable") == expected))
            .await?;
        demand(
            "the sum of a partner's commissions",
            &api.get(&path).await?,
            "/items/0/payable",
            &expected,
        )?;
        println!("{count} conversions: a partner's {expected} EUR are exact");
    }
    Ok(())
}
