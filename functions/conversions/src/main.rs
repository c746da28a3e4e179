//! The function `conversions`: one binary, routes from its library.

use tributary::edge::{Needs, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    serve(conversions::routes(), Needs::Table).await
}
