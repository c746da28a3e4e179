//! The function `click`: one binary, routes from its library.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(click::routes(), Needs::Keyring).await
}
