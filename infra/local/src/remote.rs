//! Driving functions against an endpoint: a LocalStack-compatible emulator, or AWS itself.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::driver::{Invoke, InvokeError};
use crate::template::{Template, TemplateError};

/// The header by which Lambda marks a response as a function's error.
const FUNCTION_ERROR: &str = "x-amz-function-error";

/// Why the resources of a template cannot be found at an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The template cannot be read.
    #[error("data.yaml: {0}")]
    Template(#[from] TemplateError),
    /// The endpoint lacks a resource, or cannot be reached.
    #[error("{resource} cannot be found at the endpoint: {message}")]
    Missing {
        /// The table or queue.
        resource: String,
        /// What the client says.
        message: String,
    },
}

/// Finds the tables and queues of the data template by their names, and answers the template's outputs:
/// what the application template takes as parameters.
pub async fn outputs(
    data_template: &str,
    parameters: &BTreeMap<String, String>,
    dynamodb: &aws_sdk_dynamodb::Client,
    sqs: &aws_sdk_sqs::Client,
) -> Result<BTreeMap<String, String>, RemoteError> {
    let template = Template::parse(data_template, parameters)?;
    for table in template.tables()? {
        let answer = dynamodb
            .describe_table()
            .table_name(&table.name)
            .send()
            .await;
        let answer = answer.map_err(|error| missing(&table.name, error))?;
        let description = answer.table;
        let description = description.as_ref();
        template.set_physical(&*table.logical, &*table.name);
        if let Some(arn) = description.and_then(|table| table.table_arn()) {
            template.set_physical(format!("{}.Arn", table.logical), arn);
        }
        if let Some(arn) = description.and_then(|table| table.latest_stream_arn()) {
            template.set_physical(format!("{}.StreamArn", table.logical), arn);
        }
    }
    for (logical, name) in template.named("AWS::SQS::Queue", "QueueName")? {
        let name = name.unwrap_or_else(|| logical.clone());
        let answer = sqs.get_queue_url().queue_name(&name).send().await;
        let url = answer
            .map_err(|error| missing(&name, error))?
            .queue_url
            .unwrap_or_default();
        let request = sqs.get_queue_attributes().queue_url(&url);
        let answer = request
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await;
        let attributes = answer.map_err(|error| missing(&name, error))?.attributes;
        let arn = attributes.and_then(|mut all| all.remove(&QueueAttributeName::QueueArn));
        template.set_physical(format!("{logical}.Arn"), arn.unwrap_or_default());
        template.set_physical(format!("{logical}.QueueName"), name);
        template.set_physical(format!("{logical}.QueueUrl"), &*url);
        template.set_physical(logical, url);
    }
    for (logical, name) in template.named("AWS::SecretsManager::Secret", "Name")? {
        // Secrets Manager takes a name wherever it takes an ARN.
        template.set_physical(&*logical, name.unwrap_or_else(|| logical.clone()));
    }
    Ok(template.outputs())
}

fn missing<E: std::error::Error>(resource: &str, error: E) -> RemoteError {
    RemoteError::Missing {
        resource: resource.to_owned(),
        message: DisplayErrorContext(error).to_string(),
    }
}

/// Invokes functions through Lambda's HTTP API, as `cargo lambda watch` and emulators serve it.
#[derive(Clone, Debug)]
pub struct HttpInvoke {
    client: reqwest::Client,
    base: String,
}

impl HttpInvoke {
    /// Through the API at `base`, such as `http://127.0.0.1:9000`.
    pub fn new(base: &str) -> Result<Self, reqwest::Error> {
        // The functions' own timeouts are shorter; this one is for a server that hangs.
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(900))
            .build()?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
        })
    }
}

impl Invoke for HttpInvoke {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Value,
    ) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(async move {
            let url = format!("{}/2015-03-31/functions/{function}/invocations", self.base);
            let unreachable = |error: reqwest::Error| InvokeError::Unreachable(error.to_string());
            let request = self
                .client
                .post(url)
                .header("content-type", "application/json");
            let response = request
                .body(payload.to_string())
                .send()
                .await
                .map_err(unreachable)?;
            let status = response.status();
            let marked = response.headers().contains_key(FUNCTION_ERROR);
            let text = response.text().await.map_err(unreachable)?;
            let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            let kind = body.get("errorType").and_then(Value::as_str);
            match (status.is_success() && !marked, kind) {
                (true, _) => Ok(body),
                (false, Some(kind)) => Err(InvokeError::Function {
                    kind: kind.to_owned(),
                    message: body["errorMessage"].as_str().unwrap_or_default().to_owned(),
                }),
                (false, None) if marked => Err(InvokeError::Function {
                    kind: "Unhandled".to_owned(),
                    message: "the function failed without saying why".to_owned(),
                }),
                (false, None) => Err(InvokeError::Unreachable(format!(
                    "the invoke endpoint answered {status}"
                ))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::post;
    use serde_json::json;

    use super::*;
    use crate::cloud::{Cloud, DATA_TEMPLATE, Options};

    #[tokio::test]
    async fn the_outputs_are_found_at_any_endpoint() {
        let cloud = Cloud::open(Options::in_memory()).await.unwrap();
        let none = BTreeMap::new();
        let found = outputs(DATA_TEMPLATE, &none, &cloud.dynamodb(), &cloud.sqs())
            .await
            .unwrap();
        let mut expected = cloud.outputs();
        expected.insert("KeyringArn".to_owned(), "tributary/keyring".to_owned());
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_missing_resource_is_named() {
        let cloud = Cloud::open(Options::in_memory()).await.unwrap();
        let other = BTreeMap::from([("Prefix".to_owned(), "other".to_owned())]);
        let error = outputs(DATA_TEMPLATE, &other, &cloud.dynamodb(), &cloud.sqs()).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("other-clicks cannot be found at the endpoint"),
            "{error}"
        );
    }

    async fn endpoint() -> HttpInvoke {
        let invoke = async |Path(function): Path<String>, body: String| match function.as_str() {
            "echo" => (StatusCode::OK, body),
            "broken" => {
                let error = json!({ "errorType": "Bug", "errorMessage": "broken" });
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
            _ => (StatusCode::BAD_GATEWAY, "no such function".to_owned()),
        };
        let app = Router::new().route("/2015-03-31/functions/{function}/invocations", post(invoke));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        HttpInvoke::new(&format!("http://{address}/")).unwrap()
    }

    #[tokio::test]
    async fn functions_are_invoked_over_http() {
        let endpoint = endpoint().await;
        let echoed = endpoint.invoke("echo", json!({ "a": 1 })).await.unwrap();
        assert_eq!(echoed, json!({ "a": 1 }));
        let broken = endpoint.invoke("broken", json!({})).await.unwrap_err();
        assert_eq!(broken.to_string(), "Bug: broken");
        let absent = endpoint.invoke("absent", json!({})).await.unwrap_err();
        assert!(matches!(absent, InvokeError::Unreachable(_)), "{absent}");
    }
}
