//! `tributary-local`: Tributary on one machine.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tributary_local::{admin, drive, names, replay, serve, tour, verify, what_if};

/// Tributary: partner relationship management, on one machine.
#[derive(Parser)]
#[command(
    name = "tributary-local",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything in this process (what happens without a command)
    Serve(serve::Serve),
    /// Run the main job end to end over HTTP against an instance in memory, and show it
    Tour,
    /// Post recorded orders as conversions
    Replay(Box<replay::Replay>),
    /// Write a program's history as lines of JSON
    Export(Box<what_if::Export>),
    /// Work out what another plan would have paid for an exported history
    WhatIf(Box<what_if::Ask>),
    /// Measure how well companies' names are told apart
    Names(names::Names),
    /// Move stream and queue events at AWS_ENDPOINT_URL into functions run by `cargo lambda watch`
    Drive(drive::Drive),
    /// Check a deployment by using it, moving its clockwork 31 days ahead
    ///
    /// That releases the holds of every program. Where there are programs other than those of earlier checks,
    /// it therefore does nothing unless --moves-time is given.
    Verify(verify::Verify),
    /// Make operators and operator keys
    #[command(subcommand)]
    Operator(admin::OperatorCommand),
    /// Look into dead letters, and send them back to where they failed
    #[command(subcommand)]
    Dlq(admin::DlqCommand),
    /// Make the keyring document of an installation, or add a key to one
    #[command(subcommand)]
    Keyring(admin::KeyringCommand),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tributary::edge::init_telemetry();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tributary-local: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run(arguments));
    // What is cut off is not waited for.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tributary-local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(options) => serve::serve(&options).await?,
        Command::Tour => tour::tour().await?,
        Command::Replay(options) => {
            let refused = replay::replay(&options).await?.refusals();
            if refused > 0 {
                return Err(format!("{refused} orders were refused").into());
            }
        }
        Command::Export(options) => {
            let lines = what_if::export(&options).await?;
            eprintln!("{lines} lines");
        }
        Command::WhatIf(options) => what_if::what_if(&options)?,
        Command::Names(options) => names::names(&options)?,
        Command::Drive(options) => drive::drive(&options).await?,
        Command::Verify(options) => verify::verify(&options).await?,
        Command::Operator(command) => admin::operator(command).await?,
        Command::Dlq(command) => admin::dlq(command).await?,
        Command::Keyring(command) => admin::keyring(command)?,
    }
    Ok(())
}
