//! Runs the function under Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tributary::edge::run(clockwork::handle).await
}
