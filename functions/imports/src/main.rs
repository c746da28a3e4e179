//! The `imports` function.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(imports::routes(), Needs::Keyring).await
}
