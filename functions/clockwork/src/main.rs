//! Runs the function under Lambda.

use tributary::edge::{Needs, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(clockwork::handle, Needs::Table).await
}
