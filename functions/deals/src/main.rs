//! The `deals` function.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(deals::routes(), Needs::Keyring).await
}
