//! `serve`: an instance behind a listener, with its driver, until it is told to end.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tributary::clock::{self, Clock};
use tributary::edge::{Body, Fields, Problem, codes};

use crate::instance::{Instance, InstanceError, Settings};

/// What `serve` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Folder to store in
    #[arg(long, value_name = "DIR", default_value = ".tributary")]
    pub data: PathBuf,
    /// Store nothing: everything is gone at the end
    #[arg(long, conflicts_with = "data")]
    pub in_memory: bool,
    /// What tracking links begin with; the address listened on unless told
    #[arg(long, value_name = "URL", env = "TRIBUTARY_PUBLIC_BASE_URL")]
    pub public_base_url: Option<String>,
    /// Operator key to use instead of the one in the folder
    #[arg(
        long,
        env = "TRIBUTARY_OPERATOR_KEY",
        hide_env_values = true,
        hide = true
    )]
    pub operator_key: Option<String>,
    /// A clock that stands still until it is moved by POST /dev/clock, starting at START (RFC 3339) or now
    #[arg(long, value_name = "START", num_args = 0..=1, default_missing_value = "now")]
    pub manual_clock: Option<String>,
}

/// Why serving ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The instance does not open.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// `--manual-clock` has no time.
    #[error("--manual-clock: {0:?} is not an RFC 3339 time such as 2026-11-23T07:00:00Z")]
    Start(String),
    /// The server failed.
    #[error("the server failed: {0}")]
    Server(std::io::Error),
    /// The driver failed.
    #[error("deliveries failed: {0}")]
    Driver(String),
}

impl Serve {
    /// The clock that is asked for.
    ///
    /// # Errors
    /// `Start`.
    pub fn clock(&self) -> Result<Clock, ServeError> {
        match self.manual_clock.as_deref() {
            None => Ok(Clock::System),
            Some("now") => Ok(Clock::manual(Clock::System.now())),
            Some(text) => clock::parse(text)
                .map(Clock::manual)
                .ok_or_else(|| ServeError::Start(text.to_owned())),
        }
    }
}

/// Serves until Ctrl-C or a termination signal; requests under way are answered first.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(options: &Serve) -> Result<(), ServeError> {
    let clock = options.clock()?;
    let data = (!options.in_memory).then_some(options.data.as_path());
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| ServeError::Listen(options.listen, error))?;
    let address = listener.local_addr().map_err(ServeError::Server)?;
    let instance = Instance::open(Settings {
        data: data.map(PathBuf::from),
        clock: clock.clone(),
        seed: None,
        public_base_url: options
            .public_base_url
            .clone()
            .unwrap_or_else(|| format!("http://{address}")),
        interceptor: None,
    })
    .await?;
    let key = instance
        .operator_key(options.operator_key.as_deref(), data)
        .await?;
    greet(address, &key, options);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let driver = tokio::spawn({
        let instance = instance.clone();
        let stopped = stopped.clone();
        async move {
            // What an earlier process left undone is found through the table, not through its queues.
            if let Err(error) = instance.run_clockwork(instance.app().now()).await {
                tracing::error!(%error, "the reconciliation at start failed; the next minute tries again");
            }
            let housekeeping = instance
                .cloud()
                .keep_house(instance.driver(), wait_for(stopped.clone()));
            tokio::join!(instance.driver().run(wait_for(stopped)), housekeeping);
        }
    });
    let router = instance
        .router()
        .merge(development(&instance, clock))
        .into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(asked_to_end())
        .await;
    let _ = stop.send(true);
    driver
        .await
        .map_err(|error| ServeError::Driver(error.to_string()))?;
    served.map_err(ServeError::Server)?;
    eprintln!("Ended; nothing acknowledged was lost.");
    Ok(())
}

async fn wait_for(mut stopped: tokio::sync::watch::Receiver<bool>) {
    // A closed channel means that the server is gone, which also ends the wait.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn asked_to_end() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate =
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(terminate) => terminate,
                Err(error) => {
                    tracing::warn!(%error, "only Ctrl-C ends this process");
                    let _ = interrupt.await;
                    return;
                }
            };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}

fn greet(address: SocketAddr, key: &crate::instance::OperatorKey, options: &Serve) {
    let url = format!("http://{address}");
    println!("Tributary is running at {url}");
    println!("Documentation:          {url}/docs");
    match (&key.file, key.fresh) {
        (Some(path), true) => {
            println!("Operator key:           {}", key.text);
            println!(
                "                        written to {} and not shown again",
                path.display()
            );
        }
        (Some(path), false) => println!("Operator key:           in {}", path.display()),
        (None, true) => println!("Operator key:           {}  (this run only)", key.text),
        (None, false) => println!("Operator key:           the one in TRIBUTARY_OPERATOR_KEY"),
    }
    let store = if options.in_memory {
        "nowhere; gone at the end".to_owned()
    } else {
        options.data.display().to_string()
    };
    println!("Stored in:              {store}");
    let shown_key = match &key.file {
        Some(path) => format!("$(cat {})", path.display()),
        None => "$TRIBUTARY_OPERATOR_KEY".to_owned(),
    };
    println!("\nFour requests to try:");
    println!("  curl -s {url}/v1/me -H \"Authorization: Bearer {shown_key}\"");
    println!(
        "  curl -s {url}/v1/programs -H \"Authorization: Bearer {shown_key}\" -d '{{\"name\":\"Spring\",\"currency\":\"GBP\",\"attribution\":{{\"model\":\"last_click\",\"window_days\":30}}}}'"
    );
    println!(
        "  curl -s {url}/v1/partners -H \"Authorization: Bearer {shown_key}\" -d '{{\"name\":\"Ada\",\"email\":\"ada@example.com\",\"country\":\"GB\",\"kind\":\"affiliate\"}}'"
    );
    println!("  curl -s {url}/v1/partners -H \"Authorization: Bearer {shown_key}\"");
    println!("\n`tributary-local tour` runs the main job end to end. Ctrl-C ends this.");
}

/// What only a development server has, for callers on this machine only.
fn development(instance: &Instance, clock: Clock) -> Router {
    let queues = Router::new()
        .route("/dev/dead-letters", get(dead_letters))
        .route("/dev/dead-letters/{queue}/redrive", post(redrive));
    let routes = match clock {
        Clock::Manual(_) => queues.route("/dev/clock", get(read_clock).post(move_clock)),
        Clock::System => queues,
    };
    routes
        .layer(axum::middleware::from_fn(this_machine_only))
        .with_state(instance.clone())
}

/// A page elsewhere could make a browser here send requests; it cannot forge the `Host` it sends.
async fn this_machine_only(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let host = request
        .headers()
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    // And a browser tells where a request comes from that changes something.
    let from_a_page = request.headers().contains_key("origin");
    if !from_a_page
        && peer.ip().is_loopback()
        && matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    {
        return next.run(request).await;
    }
    Problem::not_found("page").into_response()
}

async fn read_clock(State(instance): State<Instance>) -> Json<Value> {
    Json(json!({ "now": instance.app().now().to_string() }))
}

async fn move_clock(State(instance): State<Instance>, body: Body) -> Result<Json<Value>, Problem> {
    let to = Fields::read(&body.0, |fields| fields.time("now"))?;
    if to < instance.app().now() {
        return Err(Problem::field(
            codes::OUT_OF_RANGE,
            "now",
            "is not before the present; time does not run back",
        ));
    }
    instance.app().clock.set(to);
    instance.cloud().clock_moved();
    // The schedules that fell due have run once this is answered, so that a script need not wait for them.
    instance
        .run_clockwork(to)
        .await
        .map_err(|error| Problem::internal(&error))?;
    Ok(read_clock(State(instance)).await)
}

async fn dead_letters(State(instance): State<Instance>) -> Result<Json<Value>, Problem> {
    crate::dlq::list(instance.cloud())
        .map(Json)
        .map_err(|error| Problem::internal(&error))
}

async fn redrive(
    State(instance): State<Instance>,
    axum::extract::Path(queue): axum::extract::Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    if !instance.cloud().queues().names().contains(&queue) {
        return Err(Problem::not_found("queue"));
    }
    let moved =
        crate::dlq::redrive(instance.cloud(), &queue).map_err(|error| Problem::internal(&error))?;
    Ok((
        StatusCode::OK,
        Json(json!({ "queue": queue, "moved": moved })),
    ))
}
