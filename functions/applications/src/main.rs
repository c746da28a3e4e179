//! The `applications` function.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(applications::routes(), Needs::Keyring).await
}
