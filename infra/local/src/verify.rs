//! `verify`: checks a deployment by using it: the tour, the channel's half of it, then many conversions with exact totals.

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
    /// Go on though there are other programs, whose holds are then released up to 31 days early
    #[arg(long)]
    pub moves_time: bool,
}

/// Runs the check.
///
/// # Errors
/// The first thing that is off.
pub async fn verify(options: &Verify) -> Result<(), Off> {
    let api = Api::new(&options.to, &options.operator_key)
        .map_err(|error| Off::Never(error.to_string()))?;
    if !options.moves_time {
        alone(&api).await?;
    }
    let stage = Deployed {
        tick: options.tick.clone(),
        patience: Duration::from_secs(options.patience_seconds),
    };
    let name = format!("check-{}", stage.now().as_millisecond());
    walk(&api.clone().aloud(true), &stage, &name).await?;
    crate::channel::walk(&api.clone().aloud(true), &stage, &name).await?;
    many(&api, &stage, &name, options.conversions.min(MOST)).await?;
    println!("\nThe deployment does what it must.");
    Ok(())
}

/// Goes on only where all programs are of this check: holds of others must not be released before their time.
async fn alone(api: &Api) -> Result<(), Off> {
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/programs?limit=200{cursor}")).await?;
        let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(other) = items.iter().find(|item| !is_own(&text(item, "/name"))) {
            return Err(Off::Never(format!(
                "there is a program of somebody else's, {} ({}): this check moves clockwork {} days ahead, \
                 which would release its holds early; give --moves-time where that does no harm",
                text(other, "/id"),
                text(other, "/name"),
                HOLD_DAYS + 1,
            )));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(()),
        }
    }
}

/// Whether a check has named a program so: `Spring check-1772442000000` or `Many check-1772442000000`.
fn is_own(name: &str) -> bool {
    let stamp = ["Spring check-", "Channel check-", "Many check-"]
        .iter()
        .find_map(|begin| name.strip_prefix(begin));
    stamp.is_some_and(|stamp| !stamp.is_empty() && stamp.bytes().all(|byte| byte.is_ascii_digit()))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::TcpListener;
    use tributary::clock::Clock;

    use super::*;
    use crate::instance::{Instance, Settings};

    #[tokio::test]
    async fn a_deployment_with_programs_of_its_own_is_left_alone() {
        let settings = Settings::in_memory(Clock::System);
        let instance = Instance::open(settings).await.unwrap();
        let key = instance.operator_key(None, None).await.unwrap().text;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = instance
            .router()
            .into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let api = Api::new(&url, &key).unwrap();
        let make = async |name: &str| {
            let attribution = json!({ "model": "last_click", "window_days": 30 });
            let program = json!({ "name": name, "currency": "GBP", "attribution": attribution });
            api.post("/v1/programs", &program).await.unwrap();
        };
        make("Spring check-1772442000000").await;
        make("Many check-1772442000000").await;
        alone(&api).await.unwrap();
        make("Spring").await;
        let options = Verify {
            to: url,
            operator_key: key,
            tick: "false".to_owned(),
            conversions: 1,
            patience_seconds: 1,
            moves_time: false,
        };
        let refused = verify(&options).await.unwrap_err().to_string();
        assert!(refused.contains("(Spring)"), "{refused}");
        assert!(refused.contains("--moves-time"), "{refused}");
        let programs = api.get("/v1/programs").await.unwrap();
        assert_eq!(programs["items"].as_array().unwrap().len(), 3);
        // Told to, it goes on, here until it wants to move time.
        let told = Verify {
            moves_time: true,
            ..options
        };
        let _ = verify(&told).await.unwrap_err();
        let programs = api.get("/v1/programs").await.unwrap();
        assert_eq!(programs["items"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn only_what_a_check_has_named_is_its_own() {
        for (name, own) in [
            ("Many check-1772442000000", true),
            ("Spring check-", false),
            ("Spring check-list", false),
            ("Check-1772442000000", false),
        ] {
            assert_eq!(is_own(name), own, "{name}");
        }
    }
}
