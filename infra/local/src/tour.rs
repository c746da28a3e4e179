//! `tour`: the main job end to end over HTTP, against an instance in memory or a deployed one.
//!
//! A visitor clicks a partner's link, a server posts the sale, the partner is credited under the plan, the
//! hold passes, a payout batch is made, its file downloaded, the payout settled. Every figure is checked.
//! Then the channel's half: [`crate::channel`].

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tributary::clock::{Clock, Timestamp, days_after};

use crate::api::{Api, Off, demand, text};
use crate::instance::{Instance, Settings};

/// When the tour takes place.
const START: &str = "2026-03-02T09:00:00Z";
const HOLD_DAYS: u32 = 30;
const SALE: &str = "249.00";
const SHARE: &str = "49.80";

/// How a stage lets queued work and time pass.
pub trait Stage {
    /// Lets everything queued happen. `done` says whether what is waited for has come about.
    fn settle(
        &self,
        done: impl AsyncFn() -> Result<bool, Off>,
    ) -> impl Future<Output = Result<(), Off>>;
    /// The present.
    fn now(&self) -> Timestamp;
    /// How long the walk's plan holds a commission. Nothing can be paid before the present, so where time
    /// itself cannot be moved the walk's hold is none.
    fn hold_days(&self) -> u32;
    /// Lets time pass until `to`, and what is due by then happen.
    fn advance(&self, to: Timestamp) -> impl Future<Output = Result<(), Off>>;
}

/// An instance in this process, on a manual clock.
struct InMemory(Instance);

impl Stage for InMemory {
    async fn settle(&self, done: impl AsyncFn() -> Result<bool, Off>) -> Result<(), Off> {
        self.0
            .settle()
            .await
            .map_err(|error| Off::Never(error.to_string()))?;
        if done().await? {
            Ok(())
        } else {
            Err(Off::Never(
                "everything was delivered, and yet it is not done".to_owned(),
            ))
        }
    }

    fn now(&self) -> Timestamp {
        self.0.app().now()
    }

    fn hold_days(&self) -> u32 {
        HOLD_DAYS
    }

    async fn advance(&self, to: Timestamp) -> Result<(), Off> {
        self.0.app().clock.set(to);
        self.0.cloud().clock_moved();
        self.0
            .run_clockwork(to)
            .await
            .map_err(|error| Off::Never(error.to_string()))?;
        self.0
            .settle()
            .await
            .map_err(|error| Off::Never(error.to_string()))
    }
}

/// A deployment elsewhere: what is queued happens by itself, and `tick` runs clockwork at a given time.
pub struct Deployed {
    /// A shell command that runs the clockwork function with the time in `TICK_TIME` (RFC 3339).
    pub tick: String,
    /// How long something may take to come about.
    pub patience: Duration,
}

/// Between two looks at a deployment.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Stage for Deployed {
    async fn settle(&self, done: impl AsyncFn() -> Result<bool, Off>) -> Result<(), Off> {
        let deadline = tokio::time::Instant::now() + self.patience;
        while !done().await? {
            if tokio::time::Instant::now() > deadline {
                return Err(Off::Never(format!("not done within {:?}", self.patience)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Clock::System.now()
    }

    fn hold_days(&self) -> u32 {
        0
    }

    async fn advance(&self, to: Timestamp) -> Result<(), Off> {
        let ran = std::process::Command::new("sh")
            .arg("-c")
            .arg(&self.tick)
            .env("TICK_TIME", to.to_string())
            .status();
        match ran {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Off::Never(format!("the tick command ended with {status}"))),
            Err(error) => Err(Off::Never(format!(
                "the tick command did not start: {error}"
            ))),
        }
    }
}

/// Runs the tour against an instance in memory, printing it.
///
/// # Errors
/// The first thing that is off.
pub async fn tour() -> Result<(), Off> {
    let start: Timestamp = START.parse().expect("START is a time");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(never)?;
    let address = listener.local_addr().map_err(never)?;
    let mut settings = Settings::in_memory(Clock::manual(start));
    settings.public_base_url = format!("http://{address}");
    let instance = Instance::open(settings).await.map_err(never)?;
    let key = instance.operator_key(None, None).await.map_err(never)?;
    let service = instance
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let api = Api::new(&format!("http://{address}"), &key.text).map_err(never)?;
    let api = api.aloud(true);
    let stage = InMemory(instance);
    let told = async {
        let told = walk(&api, &stage, "tour").await?;
        println!("\nThe channel's half: a deal and a lead.");
        crate::channel::walk(&api, &stage, "tour").await?;
        Ok(told)
    };
    let told = told.await;
    server.abort();
    let Told { statement, file } = told?;
    println!(
        "\nThe partner's statement:\n{}",
        serde_json::to_string_pretty(&statement).unwrap_or_default()
    );
    println!("\nThe payout file:\n{file}");
    println!("\nEvery figure is as it must be.");
    Ok(())
}

fn never(error: impl std::fmt::Display) -> Off {
    Off::Never(error.to_string())
}

/// What the walk ends with.
pub struct Told {
    /// The partner's statement.
    pub statement: Value,
    /// The payout file.
    pub file: String,
}

/// Walks the main job. `name` keeps several walks on one installation apart.
///
/// # Errors
/// The first thing that is off.
pub async fn walk(api: &Api, stage: &impl Stage, name: &str) -> Result<Told, Off> {
    let begun = stage.now();
    let program = api
        .post(
            "/v1/programs",
            &json!({
                "name": format!("Spring {name}"), "currency": "GBP",
                "attribution": { "model": "last_click", "window_days": 60 },
                "allowed_destination_hosts": ["shop.example"],
            }),
        )
        .await?;
    let (program_id, token) = (text(&program, "/id"), text(&program, "/postback_token"));
    api.post(
        &format!("/v1/programs/{program_id}/plans"),
        &json!({
            "code": "standard", "hold_days": stage.hold_days(),
            "components": [
                { "kind": "percent", "event": "sale", "rate": "0.20" },
                { "kind": "flat", "event": "lead", "amount": "25.00" },
            ],
        }),
    )
    .await?;
    let partner = api
        .post(
            "/v1/partners",
            &json!({ "name": "Ada's Garden Blog", "email": "ada@example.com", "country": "GB", "kind": "affiliate" }),
        )
        .await?;
    let partner_id = text(&partner, "/id");
    api.post(
        &format!("/v1/partners/{partner_id}/enrolments"),
        &json!({ "program": program_id, "plan": "standard" }),
    )
    .await?;
    api.put(
        &format!("/v1/partners/{partner_id}/payout-method"),
        &json!({ "kind": "paypal", "wallet": "ada@example.com" }),
    )
    .await?;
    let link = api
        .post(
            "/v1/links",
            &json!({ "program": program_id, "partner": partner_id, "destination": "https://shop.example/roses?colour=red#top" }),
        )
        .await?;
    let click = api
        .get_raw(&format!("/c/{}?sub1=newsletter", text(&link, "/code")), 302)
        .await?;
    let location = click
        .headers
        .get("location")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let click_id =
        click_id_of(&location).ok_or_else(|| Off::Never(format!("no click id in {location}")))?;
    // As an advertiser's server would: with the program's token alone.
    let server = Api::new(&api.base_url(), &token)
        .map_err(never)?
        .aloud(api.loud);
    let postbacks = format!("/v1/postbacks/{program_id}");
    let order = json!({ "click_id": click_id, "transaction_id": format!("order-1001-{name}"), "amount": SALE, "currency": "GBP" });
    let accepted = server.post(&postbacks, &order).await?;
    demand("the first postback", &accepted, "/status", "accepted")?;
    let repeated = server.post(&postbacks, &order).await?;
    demand("the same postback again", &repeated, "/status", "duplicate")?;
    demand(
        "the same conversion",
        &repeated,
        "/conversion",
        &text(&accepted, "/conversion"),
    )?;
    let conversion = format!("/v1/conversions/{}", text(&accepted, "/conversion"));
    let quiet = api.clone().aloud(false);
    stage
        .settle(async || {
            let state = text(&quiet.get(&conversion).await?, "/state");
            Ok(state == "held" || state == "payable")
        })
        .await?;
    let balances = format!("/v1/partners/{partner_id}/balances");
    let hold_days = stage.hold_days();
    if hold_days == 0 {
        // The deployment's own clockwork may have been there first.
        stage.advance(stage.now()).await?;
    } else {
        let credited = api.get(&conversion).await?;
        demand("the credited conversion", &credited, "/state", "held")?;
        demand(
            "the balance after the sale",
            &api.get(&balances).await?,
            "/items/0/pending",
            SHARE,
        )?;
        if api.loud {
            println!("\n{hold_days} days pass.");
        }
        stage.advance(days_after(begun, hold_days + 1)).await?;
    }
    stage
        .settle(async || Ok(text(&quiet.get(&conversion).await?, "/state") == "payable"))
        .await?;
    demand(
        "the balance after the hold",
        &api.get(&balances).await?,
        "/items/0/payable",
        SHARE,
    )?;
    let funding = format!("main-{name}");
    api.put(
        &format!("/v1/funding-accounts/{funding}"),
        &json!({ "name": "Main account", "kind": "paypal", "currency": "GBP", "paypal_email": "payouts@vendor.example" }),
    )
    .await?;
    let batch = api
        .post(
            "/v1/payouts/batches",
            &json!({
                "program": program_id, "currency": "GBP", "cutoff": stage.now().to_string(),
                "minimum": "10.00", "funding_account": funding,
            }),
        )
        .await?;
    let batch_path = format!("/v1/payouts/batches/{}", text(&batch, "/id"));
    stage
        .settle(async || Ok(text(&quiet.get(&batch_path).await?, "/state") == "reserved"))
        .await?;
    let batch = api.get(&batch_path).await?;
    demand("the batch's total", &batch, "/total", SHARE)?;
    let payout_id = text(&batch, "/lines/0/payout");
    let file_path = format!("{batch_path}/file?format=paypal&part=1");
    let file = api.get_raw(&file_path, 200).await?.text;
    let expected = format!("ada@example.com,{SHARE},GBP,{payout_id},");
    if !file.starts_with(&expected) || !file.trim_end().ends_with(",PAYPAL") {
        return Err(Off::Figure {
            what: "the payout file".to_owned(),
            expected,
            found: file,
        });
    }
    let again = quiet.get_raw(&file_path, 200).await?.text;
    if again != file {
        return Err(Off::Figure {
            what: "the file, downloaded again".to_owned(),
            expected: file,
            found: again,
        });
    }
    api.post(&format!("/v1/payouts/{payout_id}/settle"), &json!({}))
        .await?;
    demand(
        "the paid conversion",
        &api.get(&conversion).await?,
        "/state",
        "paid",
    )?;
    demand(
        "the balance at the end",
        &api.get(&balances).await?,
        "/items/0/paid",
        SHARE,
    )?;
    let to = days_after(stage.now(), 1);
    let statement = api
        .get(&format!(
            "/v1/partners/{partner_id}/statement?from={begun}&to={to}"
        ))
        .await?;
    Ok(Told { statement, file })
}

/// The click id that a redirect carries.
#[must_use]
pub fn click_id_of(location: &str) -> Option<String> {
    let query = location.split_once('?')?.1.split('#').next()?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("tclid="))
        .map(str::to_owned)
}
