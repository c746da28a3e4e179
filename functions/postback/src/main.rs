//! The function `postback`: one binary, routes from its library.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(postback::routes(), Needs::Keyring).await
}
