//! Logs as JSON lines on AWS, as text on a laptop; counters as CloudWatch embedded metrics.
//! Never a token, a body, a name, an address or an email.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

const NAMESPACE: &str = "Tributary";

/// Never more talkative than `info`.
const QUIET: [&str; 5] = [
    "lambda_runtime",
    "lambda_http",
    "hyper",
    "hyper_util",
    "aws_smithy_runtime",
];

fn on_lambda() -> bool {
    std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some()
}

/// Starts logging; the filter comes from `RUST_LOG`, `info` unless told. A second call does nothing.
pub fn init() {
    // Levels by module, such as `info,tributary=debug`. A filter that also looks at fields would bring a
    // regular expression engine into every function.
    let filter = std::env::var("RUST_LOG")
        .ok()
        .and_then(|filter| filter.parse::<Targets>().ok())
        .unwrap_or_else(|| Targets::new().with_default(Level::INFO))
        // These print whole requests, keys included, at their most talkative levels.
        .with_targets(QUIET.map(|target| (target, Level::INFO)));
    let lines = fmt::layer().with_target(false);
    let layer = if on_lambda() {
        lines.json().boxed()
    } else {
        lines.with_writer(std::io::stderr).boxed()
    };
    // Somebody else may have started logging, as tests do; theirs is then the one that stays.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
}

/// Counts something under a metric of the namespace `Tributary`, such as `LostClicks`.
pub fn count(metric: &'static str, value: u64) {
    if !on_lambda() {
        tracing::info!(metric, value, "counted");
        return;
    }
    let line = serde_json::json!({
        "_aws": {
            "Timestamp": jiff::Timestamp::now().as_millisecond(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": [{ "Name": metric, "Unit": "Count" }] }],
        },
        metric: value,
    });
    println!("{line}");
}
