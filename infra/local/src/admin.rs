//! What an engineer does beside serving: operators, dead letters, the keyring.

use std::path::PathBuf;

use tributary::clock::Clock;
use tributary::edge::{
    ApiKey, App, Cache, Config, Entropy, Keyring, Parts, Queues, keyring_document,
};
use tributary::ids::{Fresh, KeyId};
use tributary::operators::model::{SCOPES, Scope, Scopes};
use tributary::table::Table;

use crate::api::Api;
use crate::instance::{Instance, Settings};

type Failed = Box<dyn std::error::Error>;

/// `operator …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum OperatorCommand {
    /// Store an operator and print a key for them, once
    Create(CreateOperator),
    /// Print a key that can be given as TRIBUTARY_OPERATOR_KEY; stores nothing
    NewKey,
}

/// `operator create`
#[derive(Clone, Debug, clap::Args)]
pub struct CreateOperator {
    /// Name
    #[arg(long)]
    name: String,
    /// Email address
    #[arg(long)]
    email: String,
    /// What the key allows: admin, channel, finance, read; several with commas
    #[arg(long, value_delimiter = ',', default_value = "admin")]
    scopes: Vec<String>,
    /// Folder of the embedded store; nothing may be serving from it
    #[arg(long, value_name = "DIR", default_value = ".tributary")]
    data: PathBuf,
    /// Store in this table with the AWS credentials of the environment instead
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    table: Option<String>,
    /// The secret that holds the deployment's keyring; `PREFIX/keyring` of a table `PREFIX-main` unless told
    #[arg(
        long,
        value_name = "NAME",
        env = "TRIBUTARY_KEYRING_SECRET",
        requires = "table"
    )]
    keyring: Option<String>,
}

/// `dlq …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum DlqCommand {
    /// Show the dead letters
    List(DlqAt),
    /// Send the letters of a queue back to the queue they failed on
    Redrive {
        /// The dead-letter queue's name
        queue: String,
        /// Where it is
        #[command(flatten)]
        at: DlqAt,
    },
}

/// Where the dead letters are.
#[derive(Clone, Debug, clap::Args)]
pub struct DlqAt {
    /// A running instance on this machine
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Folder of the embedded store, when nothing is serving from it
    #[arg(long, value_name = "DIR", default_value = ".tributary")]
    data: PathBuf,
}

/// `keyring …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum KeyringCommand {
    /// Print a new keyring document
    New,
    /// Read a keyring document from standard input and print it with one more key, not yet used
    Add,
    /// Read a keyring document from standard input and print it with its newest key in use
    Activate,
}

/// Makes operators and keys.
///
/// # Errors
/// What is wrong, in words.
pub async fn operator(command: OperatorCommand) -> Result<(), Failed> {
    let OperatorCommand::Create(options) = command else {
        println!("{}", new_key().reveal());
        return Ok(());
    };
    let scopes = options
        .scopes
        .iter()
        .map(|name| {
            known_scope(name).ok_or_else(|| {
                format!("{name} is no scope; there are admin, channel, finance, read")
            })
        })
        .collect::<Result<Vec<Scope>, String>>()?;
    let key = new_key();
    let app = match &options.table {
        Some(table) => deployed(table, options.keyring.clone()).await?,
        None => Instance::open(Settings {
            data: Some(options.data.clone()),
            ..Settings::in_memory(Clock::System)
        })
        .await?
        .app()
        .clone(),
    };
    tributary::operators::install(&app, options.name, options.email, &key, Scopes::of(scopes))
        .await?;
    println!("{}", key.reveal());
    Ok(())
}

fn known_scope(name: &str) -> Option<Scope> {
    SCOPES
        .iter()
        .find(|(word, _)| *word == name)
        .map(|(_, scope)| *scope)
}

fn new_key() -> ApiKey {
    let entropy = Entropy::System;
    ApiKey::generate(
        KeyId::fresh(Clock::System.now(), entropy.bytes()),
        entropy.bytes(),
    )
}

/// An application on a deployed table that only stores operators: it has no queues. The keyring is the deployment's,
/// because by it an operator is found who signs in.
async fn deployed(table: &str, keyring: Option<String>) -> Result<App, Failed> {
    let aws = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .load()
        .await;
    let beside = table.strip_suffix("-main");
    let secret = keyring.or(beside.map(|prefix| format!("{prefix}/keyring")));
    let document = keyring_document(&aws, secret)
        .await
        .map_err(|error| format!("the keyring cannot be read: {error}"))?
        .ok_or("name the secret that holds the deployment's keyring: --keyring")?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let config = Config::read(|name| (name == "TRIBUTARY_MAIN_TABLE").then(|| table.to_owned()))?;
    Ok(App::new(Parts {
        main: Table::new(dynamodb.clone(), table),
        clicks: Table::new(dynamodb, ""),
        queues: Queues::new(aws_sdk_sqs::Client::new(&aws), "", "", ""),
        mailer: None,
        clock: Clock::System,
        entropy: Entropy::System,
        config,
        keyring: Some(Keyring::read(&document)?).into(),
        cache: Cache::default(),
    }))
}

/// Lists or redrives dead letters.
///
/// # Errors
/// What is wrong, in words.
pub async fn dlq(command: DlqCommand) -> Result<(), Failed> {
    let (queue, at) = match command {
        DlqCommand::List(at) => (None, at),
        DlqCommand::Redrive { queue, at } => (Some(queue), at),
    };
    let answer = match (&at.to, &queue) {
        (Some(url), None) => Api::new(url, "")?.get("/dev/dead-letters").await?,
        (Some(url), Some(queue)) => {
            let path = format!("/dev/dead-letters/{queue}/redrive");
            Api::new(url, "")?
                .post(&path, &serde_json::json!({}))
                .await?
        }
        (None, queue) => {
            let settings = Settings {
                data: Some(at.data.clone()),
                ..Settings::in_memory(Clock::System)
            };
            let instance = Instance::open(settings).await?;
            match queue {
                None => crate::dlq::list(instance.cloud())?,
                Some(queue) => {
                    serde_json::json!({ "queue": queue, "moved": crate::dlq::redrive(instance.cloud(), queue)? })
                }
            }
        }
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}

/// Prints keyring documents.
///
/// # Errors
/// What is wrong, in words.
pub fn keyring(command: KeyringCommand) -> Result<(), Failed> {
    match command {
        KeyringCommand::New => println!("{}", Keyring::generate()?),
        KeyringCommand::Add => {
            let document = std::io::read_to_string(std::io::stdin())?;
            println!("{}", Keyring::add(document.trim())?);
        }
        KeyringCommand::Activate => {
            let document = std::io::read_to_string(std::io::stdin())?;
            println!("{}", Keyring::activate(document.trim())?);
        }
    }
    Ok(())
}
