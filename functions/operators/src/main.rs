//! The `operators` function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    tributary::edge::serve(operators::routes()).await
}
