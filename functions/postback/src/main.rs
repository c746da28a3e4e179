//! The function `postback`: one binary, routes from its library.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    tributary::edge::serve(postback::routes()).await
}
