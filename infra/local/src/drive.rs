//! `drive`: what Lambda's event sources do, between an endpoint that speaks AWS's protocols (LocalStack or
//! a compatible emulator) and functions run by `cargo lambda watch`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cloud::{APP_TEMPLATE, DATA_TEMPLATE, app_template};
use crate::driver::{Driver, MemoryCheckpoints, Plan, Ports};
use crate::remote::{self, HttpInvoke};

/// What `drive` is told. The endpoint and credentials come from the environment, as for any AWS tool.
#[derive(Clone, Debug, clap::Args)]
pub struct Drive {
    /// Where `cargo lambda watch` listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000")]
    pub functions: String,
    /// What the names of the tables and queues begin with
    #[arg(long, default_value = "tributary")]
    pub prefix: String,
}

type Failed = Box<dyn std::error::Error>;

/// Drives until Ctrl-C.
///
/// # Errors
/// What is not there, in words.
pub async fn drive(options: &Drive) -> Result<(), Failed> {
    let aws = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .load()
        .await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let sqs = aws_sdk_sqs::Client::new(&aws);
    let prefix = BTreeMap::from([("Prefix".to_owned(), options.prefix.clone())]);
    // Asked of the services, so that it does not matter how the tables and queues came to be there.
    let outputs = remote::outputs(DATA_TEMPLATE, &prefix, &dynamodb, &sqs).await?;
    let template = app_template(APP_TEMPLATE, &outputs, &BTreeMap::new())?;
    let invoke = Arc::new(HttpInvoke::new(&options.functions)?);
    let driver = Driver::new(
        Plan::of(&template)?,
        Ports {
            streams: aws_sdk_dynamodbstreams::Client::new(&aws),
            sqs,
            invoke,
            checkpoints: Arc::new(MemoryCheckpoints::default()),
            now: crate::system_clock(),
            written: None,
            clock: None,
        },
    )?;
    println!(
        "Driving {} into {}; Ctrl-C ends.",
        options.prefix, options.functions
    );
    driver
        .run(async {
            // Without signals there is nothing to wait for but the process's own end.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await;
    Ok(())
}
