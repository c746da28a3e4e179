//! The `payout-run` function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tributary::edge::run(payout_run::handle).await
}
