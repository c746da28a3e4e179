//! `serve`: an instance behind a listener, with its driver, until it is told to end.

use std::future::IntoFuture as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tributary::clock::{self, Clock};
use tributary::edge::{Body, Fields, Paper, Problem, codes};

use crate::instance::{Instance, InstanceError, OperatorKey, Settings};

/// How long requests and deliveries under way may take once the process is told to end. A request that
/// somebody sent half of would hold it for ever.
const GRACE: Duration = Duration::from_secs(10);

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
    /// Address of an operator who may sign in as admin before there is any other
    #[arg(
        long,
        value_name = "EMAIL",
        env = "TRIBUTARY_FIRST_OPERATOR",
        default_value = ""
    )]
    pub first_operator: String,
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
    /// Signals cannot be listened to.
    #[error("this process could not be ended by a signal: {0}")]
    Signals(std::io::Error),
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

/// Serves until Ctrl-C or a termination signal. Requests under way are answered first, for at most
/// [`GRACE`]; a second signal ends it at once.
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
    let url = format!("http://{}", reachable(address));
    let instance = Instance::open(Settings {
        data: data.map(PathBuf::from),
        clock: clock.clone(),
        seed: None,
        public_base_url: options
            .public_base_url
            .clone()
            .unwrap_or_else(|| url.clone()),
        first_operator: options.first_operator.clone(),
        interceptor: None,
    })
    .await?;
    let key = instance
        .operator_key(options.operator_key.as_deref(), data)
        .await?;
    let mut signals = Signals::listen().map_err(ServeError::Signals)?;
    greet(&url, address, &key, options);
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
    let (end, ending) = tokio::sync::watch::channel(false);
    let work = async {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(wait_for(ending))
            .into_future()
            .await;
        let _ = stop.send(true);
        driver
            .await
            .map_err(|error| ServeError::Driver(error.to_string()))?;
        served.map_err(ServeError::Server)
    };
    tokio::pin!(work);
    let ended = tokio::select! {
        ended = &mut work => Some(ended),
        () = signals.next() => {
            let _ = end.send(true);
            tokio::select! {
                ended = &mut work => Some(ended),
                () = signals.next() => None,
                () = tokio::time::sleep(GRACE) => None,
            }
        }
    };
    match ended {
        Some(ended) => ended?,
        // As safe as `kill -9`: what was not answered was not acknowledged.
        None => eprintln!("What was under way is cut off."),
    }
    eprintln!("Ended; nothing acknowledged was lost.");
    Ok(())
}

/// Where a client on this machine finds a server that listens on `address`: all addresses include its own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

async fn wait_for(mut stopped: tokio::sync::watch::Receiver<bool>) {
    // A closed channel means that the server is gone, which also ends the wait.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Ctrl-C and, on Unix, the termination signal.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on signals no longer end the process by themselves.
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(not(unix))]
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

fn greet(url: &str, address: SocketAddr, key: &OperatorKey, options: &Serve) {
    println!("Tributary is running at {url}");
    if address.ip().is_unspecified() {
        println!("Listening on:           {address}, every address of this machine");
    }
    println!("Console and portal:     {url}/ (sign in as operator@example.com)");
    println!("Mails:                  {url}/dev/outbox");
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
    println!("\nFour requests to try:");
    if key.file.is_none() && key.fresh {
        println!("  export TRIBUTARY_OPERATOR_KEY={}", key.text);
    }
    let shown_key = match &key.file {
        Some(path) => format!("$(cat {})", shell_word(path)),
        None => "$TRIBUTARY_OPERATOR_KEY".to_owned(),
    };
    let get = |path: &str| {
        println!("  curl -s {url}{path} -H \"Authorization: Bearer {shown_key}\"");
    };
    let post = |path: &str, body: Value| {
        println!(
            "  curl -s {url}{path} -H \"Authorization: Bearer {shown_key}\" -H 'content-type: application/json' -d '{body}'"
        );
    };
    get("/v1/me");
    post(
        "/v1/programs",
        json!({ "name": "Spring", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } }),
    );
    post(
        "/v1/partners",
        json!({ "name": "Ada", "email": "ada@example.com", "country": "GB", "kind": "affiliate" }),
    );
    get("/v1/partners");
    println!("\n`tributary-local tour` runs the main job end to end. Ctrl-C ends this.");
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What only a development server has, for callers on this machine only.
fn development(instance: &Instance, clock: Clock) -> Router {
    let queues = Router::new()
        .route("/dev/outbox", get(outbox))
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

/// What a proxy adds to the requests that it passes on: with one of them the peer is the proxy, and not whoever
/// asks.
const PASSED_ON: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Whether a request comes from this machine, and not through it.
fn is_of_this_machine(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all("host").iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let name = host.map_or("", |host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    });
    // A page elsewhere could make a browser here send requests; it cannot forge the `Host` it sends. And a browser
    // tells where a request comes from that changes something.
    let is_from_a_page = headers.contains_key("origin");
    let is_passed_on = PASSED_ON.iter().any(|name| headers.contains_key(*name));
    !is_from_a_page
        && !is_passed_on
        && peer.ip().to_canonical().is_loopback()
        && hosts.next().is_none()
        && matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

async fn this_machine_only(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    if is_of_this_machine(peer, request.headers()) {
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

/// The mails that were sent, the newest first: as JSON, or as a page for a browser.
async fn outbox(State(instance): State<Instance>, headers: HeaderMap) -> Response {
    let mut mails = instance.cloud().outbox().mails();
    mails.reverse();
    let accepts = headers.get("accept").and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        return Paper::html(crate::outbox::page(&mails)).into_response();
    }
    Json(json!({ "items": mails })).into_response()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_reached_on_this_machines_own() {
        for (listening, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            let reached: SocketAddr = reached.parse().unwrap();
            assert_eq!(reachable(listening.parse().unwrap()), reached);
        }
    }

    #[test]
    fn what_is_for_this_machine_answers_nobody_who_comes_from_elsewhere_or_through_a_proxy() {
        let asked = |peer: &str, headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            is_of_this_machine(peer.parse().unwrap(), &map)
        };
        let here = "127.0.0.1:50000";
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "localhost:8080",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(asked(here, &[("host", host)]), "{host}");
        }
        assert!(asked("[::1]:50000", &[("host", "localhost")]));
        assert!(asked("[::ffff:127.0.0.1]:50000", &[("host", "localhost")]));
        assert!(!asked("192.0.2.7:50000", &[("host", "localhost")]));
        assert!(!asked(here, &[]));
        for host in [
            "tributary.example",
            "127.0.0.1.example:8080",
            "localhost.example",
            "[::1].example",
        ] {
            assert!(!asked(here, &[("host", host)]), "{host}");
        }
        assert!(!asked(
            here,
            &[("host", "localhost"), ("host", "tributary.example")]
        ));
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-real-ip",
            "via",
            "origin",
        ] {
            assert!(
                !asked(here, &[("host", "localhost"), (name, "for=127.0.0.1")]),
                "{name}"
            );
        }
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(shell_word(Path::new(".tributary/key")), ".tributary/key");
        assert_eq!(shell_word(Path::new("my store/key")), "'my store/key'");
        assert_eq!(shell_word(Path::new("Ada's")), r"'Ada'\''s'");
    }
}
