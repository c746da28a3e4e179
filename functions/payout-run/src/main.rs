//! The `payout-run` function.

use tributary::edge::{Needs, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(payout_run::handle, Needs::Keyring).await
}
