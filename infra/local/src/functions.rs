//! The functions there are, as things to call in this process: HTTP functions by their routes, triggered
//! ones by an event and an answer in JSON, exactly as Lambda hands them over.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tributary::edge::App;

type Handle = Arc<dyn Fn(App, Value) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// How a function is called.
#[derive(Clone)]
pub enum Kind {
    /// By HTTP requests.
    Http(fn() -> Router<App>),
    /// By events.
    Triggered(Handle),
}

/// A function of `functions/`.
#[derive(Clone)]
pub struct Function {
    /// Its folder's name.
    pub package: &'static str,
    /// How it is called.
    pub kind: Kind,
}

/// All functions.
#[must_use]
pub fn all() -> Vec<Function> {
    let http = |package, routes| Function {
        package,
        kind: Kind::Http(routes),
    };
    vec![
        http("click", click::routes),
        http("postback", postback::routes),
        http("programs", programs::routes),
        http("partners", partners::routes),
        http("applications", applications::routes),
        http("conversions", conversions::routes),
        http("payouts", payouts::routes),
        http("claims", claims::routes),
        http("deals", deals::routes),
        http("disputes", disputes::routes),
        http("imports", imports::routes),
        http("leads", leads::routes),
        http("reports", reports::routes),
        http("operators", operators::routes),
        http("portal", portal::routes),
        http("docs", docs::routes),
        triggered("relay", relay::handle),
        triggered("commission", commission::handle),
        triggered("clockwork", clockwork::handle),
        triggered("payout-run", payout_run::handle),
        triggered("channel-run", channel_run::handle),
    ]
}

fn triggered<E, R, X, F>(package: &'static str, handle: fn(App, E) -> F) -> Function
where
    E: DeserializeOwned + Send + 'static,
    R: Serialize,
    X: std::fmt::Display,
    F: Future<Output = Result<R, X>> + Send + 'static,
{
    let call = move |app: App, event: Value| -> BoxFuture<'static, Result<Value, String>> {
        Box::pin(async move {
            let event = serde_json::from_value(event).map_err(|error| error.to_string())?;
            let answer = handle(app, event)
                .await
                .map_err(|error| error.to_string())?;
            serde_json::to_value(answer).map_err(|error| error.to_string())
        })
    };
    Function {
        package,
        kind: Kind::Triggered(Arc::new(call)),
    }
}
