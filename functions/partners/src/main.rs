//! The `partners` function.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(partners::routes(), Needs::Keyring).await
}
