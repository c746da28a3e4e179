//! The function `conversions`: one binary, routes from its library.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    tributary::edge::serve(conversions::routes()).await
}
