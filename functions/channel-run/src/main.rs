//! The `channel-run` function.

use tributary::edge::{Needs, run_with_mail};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run_with_mail(channel_run::handle, Needs::Keyring).await
}
