//! One running Tributary: the embedded cloud, the application on it, and every route and event source
//! that the templates declare.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, on};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tower::ServiceExt;
use tributary::clock::{Clock, Timestamp};
use tributary::edge::{
    ApiKey, App, Cache, Config, ConfigError, Entropy, Keyring, KeyringError, Mailer, Parts,
    Problem, Queues, codes,
};
use tributary::operators::model::{Scope, Scopes};
use tributary::table::Table;

use crate::cloud::{Cloud, CloudError, Options};
use crate::connector::Intercept;
use crate::driver::{Driver, DriverError, Invoke, InvokeError, Plan, Ports};
use crate::functions::{self, Kind};
use crate::template::{FunctionDef, TemplateError};

/// Whom mails come from; none of them leaves this process.
const MAIL_SENDER: &str = "Partner team <partners@vendor.example>";

const KEYRING_FILE: &str = "keys";
const OPERATOR_KEY_FILE: &str = "operator-key";

/// How to open an instance.
pub struct Settings {
    /// The folder to store in; in memory when there is none.
    pub data: Option<PathBuf>,
    /// The clock of everything.
    pub clock: Clock,
    /// With a seed, ids, deliveries and, in memory, the keyring are functions of it.
    pub seed: Option<u64>,
    /// What tracking links begin with.
    pub public_base_url: String,
    /// The address of the operator who is invited before there is any.
    pub first_operator: String,
    /// Watches and disturbs calls to the cloud.
    pub interceptor: Option<Arc<dyn Intercept>>,
}

impl Settings {
    /// In memory, on that clock.
    #[must_use]
    pub fn in_memory(clock: Clock) -> Self {
        Self {
            data: None,
            clock,
            seed: None,
            public_base_url: "http://127.0.0.1:8080".to_owned(),
            first_operator: String::new(),
            interceptor: None,
        }
    }
}

/// Why an instance does not start.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The embedded cloud.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A template.
    #[error("app.yaml: {0}")]
    Template(#[from] TemplateError),
    /// The event sources and schedules.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The configuration that the template gives.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A file of the data folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The template names a function that is not built in, or routes to one that takes no requests.
    #[error("app.yaml: {0}")]
    Wiring(String),
    /// The operator key given is none.
    #[error(
        "TRIBUTARY_OPERATOR_KEY is not an operator key; `tributary-local operator new-key` prints one"
    )]
    OperatorKey,
    /// The store.
    #[error("the operator key cannot be stored: {0}")]
    Operator(#[from] tributary::operators::error::OperatorError),
}

/// An open instance. Clones share it.
#[derive(Clone)]
pub struct Instance {
    cloud: Cloud,
    app: App,
    router: Router,
    driver: Driver,
    functions: Arc<dyn Invoke>,
}

/// The operator key of an instance, and whether it was made just now.
pub struct OperatorKey {
    /// The key's text.
    pub text: String,
    /// Where it was written, unless it was given or the instance is in memory.
    pub file: Option<PathBuf>,
    /// Whether it was made just now.
    pub fresh: bool,
}

impl Instance {
    /// Opens the store, wires the functions to it as the templates say. Nothing is served or delivered yet.
    ///
    /// # Errors
    /// [`InstanceError`], naming the file, variable or resource.
    pub async fn open(settings: Settings) -> Result<Self, InstanceError> {
        let Settings {
            data,
            clock,
            seed,
            public_base_url,
            first_operator,
            interceptor,
        } = settings;
        let cloud_clock = clock.clone();
        let cloud = Cloud::open(Options {
            data: data.clone(),
            now: Arc::new(move || cloud_clock.now().as_millisecond()),
            seed,
            interceptor,
            parameters: BTreeMap::from([
                ("PublicBaseUrl".to_owned(), public_base_url),
                ("MailSender".to_owned(), MAIL_SENDER.to_owned()),
                ("FirstOperator".to_owned(), first_operator),
            ]),
            ..Options::in_memory()
        })
        .await?;
        // One process has one configuration: what the template gives its functions, put together.
        let environment: HashMap<String, String> = cloud
            .app_template()
            .functions()?
            .into_iter()
            .flat_map(|function| function.environment)
            .collect();
        let config = Config::read(|name| environment.get(name).cloned())?;
        let entropy = seed.map_or(Entropy::System, Entropy::seeded);
        let keyring = keyring_document(data.as_deref(), &entropy)?;
        let app = App::new(Parts {
            main: Table::new(cloud.dynamodb(), &config.main_table),
            clicks: Table::new(cloud.dynamodb(), &config.clicks_table),
            queues: Queues::new(
                cloud.sqs(),
                &config.commissions_queue_url,
                &config.payouts_queue_url,
                &config.channel_queue_url,
            ),
            mailer: Some(Mailer::new(cloud.ses(), &config.mail_sender)),
            clock,
            entropy,
            keyring: Some(Keyring::read(&keyring)?).into(),
            config,
            cache: Cache::default(),
        });
        let router = router(&cloud, &app)?;
        let functions: Arc<dyn Invoke> = Arc::new(InProcess::new(&cloud, &app)?);
        let driver = Driver::new(
            Plan::of(cloud.app_template())?,
            Ports::embedded(&cloud, functions.clone()),
        )?;
        Ok(Self {
            cloud,
            app,
            router,
            driver,
            functions,
        })
    }

    /// The embedded cloud.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The HTTP API: exactly the routes of the template.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// What delivers streams, queues and schedules.
    #[must_use]
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Makes sure that an operator with every scope exists: by the key that is given, else by the one in
    /// the data folder, else by a new one, which is written there readable by its owner alone.
    ///
    /// # Errors
    /// `OperatorKey`, `File`, `Operator`.
    pub async fn operator_key(
        &self,
        given: Option<&str>,
        data: Option<&Path>,
    ) -> Result<OperatorKey, InstanceError> {
        let file = data.map(|folder| folder.join(OPERATOR_KEY_FILE));
        let stored = match &file {
            Some(path) => read_private(path)?,
            None => None,
        };
        let (key, fresh) = match given.or(stored.as_deref()) {
            Some(text) => (
                ApiKey::read(text.trim()).ok_or(InstanceError::OperatorKey)?,
                false,
            ),
            None => (
                ApiKey::generate(self.app.fresh(), self.app.entropy.bytes()),
                true,
            ),
        };
        // Stored before it is written down: a key that is in the file always works.
        let scopes = Scopes::of([Scope::Admin]);
        tributary::operators::install(
            &self.app,
            "First operator".to_owned(),
            "operator@example.com".to_owned(),
            &key,
            scopes,
        )
        .await?;
        if let (Some(path), true) = (&file, fresh) {
            write_private(path, key.reveal())?;
        }
        Ok(OperatorKey {
            text: key.reveal().to_owned(),
            file: file.filter(|_| given.is_none()),
            fresh,
        })
    }

    /// Delivers everything there is to deliver until nothing moves.
    ///
    /// # Errors
    /// When it does not come to rest, or the cloud fails.
    pub async fn settle(&self) -> Result<(), DriverError> {
        self.driver.drain().await.map(drop)
    }

    /// Runs the scheduled functions as at that instant, as EventBridge would.
    ///
    /// # Errors
    /// What the function said.
    pub async fn run_clockwork(&self, at: Timestamp) -> Result<Value, InvokeError> {
        self.functions
            .invoke("clockwork", scheduled_event(at))
            .await
    }
}

/// The event that a schedule sends.
#[must_use]
pub fn scheduled_event(at: Timestamp) -> Value {
    json!({
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": crate::ACCOUNT,
        "time": at.to_string(),
        "region": crate::REGION,
        "resources": [],
        "detail": {},
    })
}

/// The application as a function sees it: with the keyring only where the template gives it one.
fn seen_by(function: &FunctionDef, app: &App) -> App {
    if function
        .environment
        .contains_key("TRIBUTARY_KEYRING_SECRET")
    {
        app.clone()
    } else {
        app.without_keyring()
    }
}

/// Calls triggered functions in this process.
struct InProcess {
    handles: HashMap<String, (functions::Function, App)>,
}

impl InProcess {
    fn new(cloud: &Cloud, app: &App) -> Result<Self, InstanceError> {
        let built_in: HashMap<&str, functions::Function> = functions::all()
            .into_iter()
            .map(|function| (function.package, function))
            .collect();
        let mut handles = HashMap::new();
        for declared in cloud.app_template().functions()? {
            let function = built_in.get(declared.package.as_str()).ok_or_else(|| {
                InstanceError::Wiring(format!(
                    "{} is built from {}, which is not there",
                    declared.logical, declared.package
                ))
            })?;
            let app = seen_by(&declared, app);
            handles.insert(declared.package, (function.clone(), app));
        }
        Ok(Self { handles })
    }
}

impl Invoke for InProcess {
    fn invoke<'a>(
        &'a self,
        package: &'a str,
        payload: Value,
    ) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(async move {
            let found = self.handles.get(package);
            match found.map(|(function, app)| (&function.kind, app)) {
                Some((Kind::Triggered(handle), app)) => {
                    handle(app.clone(), payload)
                        .await
                        .map_err(|message| InvokeError::Function {
                            kind: "Error".to_owned(),
                            message,
                        })
                }
                _ => Err(InvokeError::Unreachable(format!(
                    "there is no triggered function {package}"
                ))),
            }
        })
    }
}

fn router(cloud: &Cloud, app: &App) -> Result<Router, InstanceError> {
    let functions: HashMap<&str, functions::Function> = functions::all()
        .into_iter()
        .map(|function| (function.package, function))
        .collect();
    let declared: HashMap<String, FunctionDef> = cloud
        .app_template()
        .functions()?
        .into_iter()
        .map(|function| (function.logical.clone(), function))
        .collect();
    let mut finished: HashMap<String, Router> = HashMap::new();
    let mut router = Router::new().fallback(|| async { Problem::not_found("page") });
    for route in cloud.app_template().routes()? {
        let declared = declared.get(&route.function).ok_or_else(|| {
            InstanceError::Wiring(format!("{} leads to no function", route.logical))
        })?;
        let package = &declared.package;
        let Some(Kind::Http(routes)) = functions
            .get(package.as_str())
            .map(|function| &function.kind)
        else {
            return Err(InstanceError::Wiring(format!(
                "{} leads to {package}, which takes no requests",
                route.logical
            )));
        };
        let function = finished
            .entry(package.clone())
            .or_insert_with(|| tributary::edge::finish(routes(), seen_by(declared, app)))
            .clone();
        let method: MethodFilter = axum::http::Method::from_bytes(route.method.as_bytes())
            .ok()
            .and_then(|method| method.try_into().ok())
            .ok_or_else(|| {
                InstanceError::Wiring(format!("{} has the method {}", route.logical, route.method))
            })?;
        // As behind API Gateway, the function sees the request afresh and matches the path itself.
        let forward = move |mut request: Request| {
            let function = function.clone();
            async move {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
                if let Some(ConnectInfo(peer)) = peer
                    && let Ok(address) = peer.ip().to_string().parse()
                {
                    // As API Gateway tells where a request comes from.
                    request.headers_mut().insert("x-forwarded-for", address);
                }
                request.extensions_mut().clear();
                function.oneshot(request).await.into_response()
            }
        };
        router = router.route(&route.path, on(method, forward));
    }
    // Holds for the routes that are there, so it comes last.
    Ok(router.method_not_allowed_fallback(|| async {
        Problem::new(codes::METHOD_NOT_ALLOWED, codes::METHOD_NOT_ALLOWED.meaning)
    }))
}

fn keyring_document(data: Option<&Path>, entropy: &Entropy) -> Result<String, InstanceError> {
    let Some(folder) = data else {
        return Ok(match entropy {
            Entropy::System => Keyring::generate()?,
            // A seeded run signs the same click ids and hashes the same customers each time.
            Entropy::Seeded(_) => seeded_keyring(entropy),
        });
    };
    let path = folder.join(KEYRING_FILE);
    if let Some(document) = read_private(&path)? {
        return Ok(document);
    }
    let document = Keyring::generate()?;
    write_private(&path, &document)?;
    Ok(document)
}

fn seeded_keyring(entropy: &Entropy) -> String {
    let fresh = || aws_smithy_types::base64::encode(entropy.bytes::<32>());
    json!({ "active": "k1", "keys": { "k1": fresh() }, "references": fresh() }).to_string()
}

fn read_private(path: &Path) -> Result<Option<String>, InstanceError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(InstanceError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a secret so that only its owner reads it, whole or not at all: a crash leaves either no file or
/// the finished one.
fn write_private(path: &Path, text: &str) -> Result<(), InstanceError> {
    let write = || {
        let unfinished = path.with_extension("new");
        let mut options = std::fs::File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(|source| InstanceError::File {
        path: path.to_owned(),
        source,
    })
}
