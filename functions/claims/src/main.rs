//! The `claims` function.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(claims::routes(), Needs::Keyring).await
}
