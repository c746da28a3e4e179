use super::*;
use crate::cloud::{APP_TEMPLATE, DATA_TEMPLATE, app_template};

fn parse(text: &str) -> Template {
    Template::parse(text, &BTreeMap::new()).unwrap()
}

fn refusal(text: &str, read: impl Fn(&Template) -> Option<TemplateError>) -> String {
    match Template::parse(text, &BTreeMap::new()) {
        Ok(template) => read(&template).unwrap().to_string(),
        Err(error) => error.to_string(),
    }
}

fn parse_refusal(text: &str) -> String {
    Template::parse(text, &BTreeMap::new())
        .unwrap_err()
        .to_string()
}

#[test]
fn the_data_template_defines_its_tables() {
    let tables = parse(DATA_TEMPLATE).tables().unwrap();
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["tributary-clicks", "tributary-main"]);
    let main = &tables[1];
    assert!(main.stream);
    assert_eq!(main.ttl_attribute.as_deref(), Some("expires_at"));
    let indexes = main.create["GlobalSecondaryIndexes"].as_array().unwrap();
    assert_eq!(indexes[0]["IndexName"], "list");
    assert_eq!(
        indexes[0]["Projection"],
        json!({ "ProjectionType": "KEYS_ONLY" })
    );
    let view = &main.create["StreamSpecification"]["StreamViewType"];
    assert_eq!(view, "NEW_IMAGE");
}

#[test]
fn the_data_template_defines_its_queues() {
    let template = parse(DATA_TEMPLATE);
    template.set_physical("CommissionsDeadLetters.Arn", "arn:dead");
    template.set_physical("PayoutsDeadLetters.Arn", "arn:other");
    template.set_physical("ChannelDeadLetters.Arn", "arn:third");
    let queues = template.queues().unwrap();
    let work = queues
        .iter()
        .find(|queue| queue.name == "tributary-commissions")
        .unwrap();
    assert_eq!(work.attributes["VisibilityTimeout"], "180");
    let policy: Value = serde_json::from_str(&work.attributes["RedrivePolicy"]).unwrap();
    assert_eq!(
        policy,
        json!({ "deadLetterTargetArn": "arn:dead", "maxReceiveCount": 12 })
    );
}

#[test]
fn after_a_restore_the_data_templates_outputs_name_the_new_tables() {
    let own = [
        ("MainTable", "tributary-main"),
        ("MainTable.Arn", "arn:aws:dynamodb:r:1:table/tributary-main"),
        (
            "MainTable.StreamArn",
            "arn:aws:dynamodb:r:1:table/tributary-main/stream/0",
        ),
        ("ClicksTable", "tributary-clicks"),
        (
            "ClicksTable.Arn",
            "arn:aws:dynamodb:r:1:table/tributary-clicks",
        ),
    ];
    let tables = |parameters: &[(&str, &str)]| {
        let parameters = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let template = Template::parse(DATA_TEMPLATE, &parameters).unwrap();
        for (reference, value) in own {
            template.set_physical(reference, value);
        }
        let outputs = template.outputs();
        [
            "MainTableName",
            "MainTableArn",
            "MainTableStreamArn",
            "ClicksTableName",
            "ClicksTableArn",
        ]
        .map(|name| outputs[name].clone())
    };
    assert_eq!(tables(&[]), own.map(|(_, value)| value));
    let stream = "arn:aws:dynamodb:r:1:table/tributary-main-2/stream/2026-03-02T09:00:00.000";
    assert_eq!(
        tables(&[
            ("RestoredMainTableStream", stream),
            ("RestoredClicksTable", "tributary-clicks-2"),
        ]),
        [
            "tributary-main-2",
            "arn:aws:dynamodb:r:1:table/tributary-main-2",
            stream,
            "tributary-clicks-2",
            "arn:aws:dynamodb:local:000000000000:table/tributary-clicks-2",
        ]
    );
}

#[test]
fn a_reference_without_a_value_names_its_place() {
    let template = parse(DATA_TEMPLATE);
    template.set_physical("ChannelDeadLetters.Arn", "arn:third");
    let error = template.queues().unwrap_err();
    assert_eq!(
        error.to_string(),
        "CommissionsQueue.RedrivePolicy: refers to CommissionsDeadLetters.Arn, which has no value here"
    );
}

#[test]
fn intrinsic_functions_are_resolved_in_short_and_long_form() {
    let template = parse(
        r#"
Parameters:
  Stage: { Type: String, Default: prod }
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsQuiet: !And [!Condition IsProd, !Not [!Equals [!Ref Stage, prod]]]
Outputs:
  Sub: { Value: !Sub "a-${Stage}-${AWS::AccountId}-${!literal}" }
  SubMap: { Value: !Sub ["${x}", { x: !Ref Stage }] }
  Join: { Value: !Join ["/", [a, !Ref Stage]] }
  Long: { Value: { "Fn::If": [IsProd, yes-, no-] } }
  Quiet: { Value: !If [IsQuiet, !Ref Stage, loud] }
  Select: { Value: !Select [1, !Split [",", "a,b"]] }
  Gone: { Value: !GetAtt Nothing.Arn }
"#,
    );
    let outputs = template.outputs();
    assert_eq!(outputs["Sub"], "a-prod-000000000000-${literal}");
    assert_eq!(outputs["SubMap"], "prod");
    assert_eq!(outputs["Join"], "a/prod");
    assert_eq!(outputs["Long"], "yes-");
    assert_eq!(outputs["Quiet"], "loud");
    assert_eq!(outputs["Select"], "b");
    assert!(!outputs.contains_key("Gone"));
}

#[test]
fn parameters_need_a_value_and_an_allowed_one() {
    let error = parse_refusal("Parameters:\n  Needed: { Type: String }\n");
    assert_eq!(error, "Parameters.Needed: has no value and no default");
    let error =
        parse_refusal("Parameters:\n  One: { Type: String, Default: c, AllowedValues: [a, b] }\n");
    assert_eq!(
        error,
        "Parameters.One: \"c\" is not one of the allowed values"
    );
}

#[test]
fn merge_keys_are_refused() {
    let error = parse_refusal("Resources:\n  A: &a { Type: X }\n  B: { <<: *a }\n");
    assert_eq!(
        error,
        "Resources.B: merge keys (<<) are not allowed in templates"
    );
}

#[test]
fn what_the_embedded_cloud_cannot_do_is_refused_by_name() {
    let queue = "Resources:\n  Q: { Type: AWS::SQS::Queue, Properties: { QueueName: q.fifo, FifoQueue: true } }\n";
    let error = refusal(queue, |template| template.queues().err());
    assert_eq!(
        error,
        "Q.FifoQueue: FIFO queues are not supported by the embedded cloud"
    );
    let rule = "Resources:\n  R: { Type: AWS::Events::Rule, Properties: { EventPattern: {} } }\n";
    let error = refusal(rule, |template| template.schedules().err());
    assert_eq!(
        error,
        "R.ScheduleExpression: is missing: only schedules are known"
    );
    let table = "Resources:\n  T: { Type: AWS::DynamoDB::Table, Properties: { TableName: t } }\n";
    let error = refusal(table, |template| template.tables().err());
    assert_eq!(error, "T.BillingMode: must be PAY_PER_REQUEST");
}

#[test]
fn a_source_is_what_its_template_says_or_refused() {
    let sources = |property: &str| {
        let source = format!(
            "
Resources:
  F: {{ Type: AWS::Serverless::Function, Properties: {{ FunctionName: f, CodeUri: f/ }} }}
  S:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref F
      EventSourceArn: arn:aws:dynamodb:r:1:table/t/stream/1
      StartingPosition: LATEST
      {property}
"
        );
        let found = parse(&source).sources();
        found
            .map(|sources| sources.len())
            .map_err(|error| error.to_string())
    };
    for enabled in ["true", "'true'"] {
        assert_eq!(sources(&format!("Enabled: {enabled}")), Ok(1));
    }
    for disabled in ["false", "'false'"] {
        assert_eq!(sources(&format!("Enabled: {disabled}")), Ok(0));
    }
    for taken in ["ParallelizationFactor: 1", "MaximumRecordAgeInSeconds: -1"] {
        assert_eq!(sources(taken), Ok(1));
    }
    for (refused, reason) in [
        ("Enabled: sometimes", "S.Enabled: must be true or false"),
        (
            "ParallelizationFactor: 2",
            "S.ParallelizationFactor: the embedded cloud supports 1 only",
        ),
        (
            "MaximumRecordAgeInSeconds: 3600",
            "S.MaximumRecordAgeInSeconds: the embedded cloud supports -1 only",
        ),
    ] {
        assert_eq!(sources(refused), Err(reason.to_owned()));
    }
}

#[test]
fn functions_sources_and_routes_are_read_through_their_references() {
    let template = parse(
        r#"
Globals:
  Function:
    Timeout: 10
    Environment: { Variables: { RUST_LOG: info, SHARED: all } }
Resources:
  Links:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: t-links
      CodeUri: ../target/lambda/links/
      ReservedConcurrentExecutions: 3
      Environment: { Variables: { RUST_LOG: debug, QUEUE: !GetAtt Work.QueueUrl } }
  Disabled:
    Type: AWS::Lambda::EventSourceMapping
    Properties: { FunctionName: !Ref Links, EventSourceArn: "arn:aws:sqs:r:1:off", Enabled: false }
  Source:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !GetAtt Links.Arn
      EventSourceArn: arn:aws:dynamodb:r:1:table/t/stream/1
      StartingPosition: LATEST
      MaximumRetryAttempts: -1
      FilterCriteria: { Filters: [{ Pattern: '{"eventName":["INSERT"]}' }] }
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: { IntegrationUri: !Sub "arn:x/${Links.Arn}/invocations", IntegrationType: AWS_PROXY }
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: { RouteKey: "GET /v1/links/{id}", Target: !Sub "integrations/${Integration}" }
  Nightly:
    Type: AWS::Events::Rule
    Properties:
      ScheduleExpression: cron(0 3 * * ? *)
      Targets: [{ Id: a, Arn: !GetAtt Links.Arn, Input: '{"now":true}' }]
"#,
    );
    template.set_physical("Work.QueueUrl", "http://queue");
    template.set_physical("Links.Arn", "arn:aws:lambda:r:1:function:t-links");
    let function = template.functions().unwrap().remove(0);
    assert_eq!(
        (function.package.as_str(), function.timeout_seconds),
        ("links", 10)
    );
    assert_eq!(function.reserved_concurrency, Some(3));
    let environment: Vec<_> = function
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        environment,
        ["QUEUE=http://queue", "RUST_LOG=debug", "SHARED=all"]
    );
    let source = template.sources().unwrap().remove(0);
    assert_eq!(
        (source.function.as_str(), source.batch_size),
        ("Links", 100)
    );
    let stream = SourceKind::Stream {
        from_oldest: false,
        retries: None,
        bisect: false,
        on_failure: None,
    };
    assert_eq!(source.kind, stream);
    assert_eq!(source.filters, [json!({ "eventName": ["INSERT"] })]);
    let route = template.routes().unwrap().remove(0);
    assert_eq!(
        (route.method.as_str(), route.path.as_str()),
        ("GET", "/v1/links/{id}")
    );
    assert_eq!(route.function, "Links");
    let schedule = template.schedules().unwrap().remove(0);
    assert_eq!(
        (schedule.function.as_str(), schedule.input),
        ("Links", Some(json!({ "now": true })))
    );
}

/// A value for every parameter that needs one.
fn parse_parameters(text: &str) -> BTreeMap<String, String> {
    let yaml: yaml_serde::Value = yaml_serde::from_str(text).unwrap();
    let parameters = yaml["Parameters"].as_mapping().unwrap();
    let needed = parameters
        .iter()
        .filter(|(_, definition)| definition.get("Default").is_none());
    needed
        .map(|(name, _)| (name.as_str().unwrap().to_owned(), "given".to_owned()))
        .collect()
}

#[test]
fn the_application_template_is_understood_whole() {
    let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut outputs: BTreeMap<_, _> = parse_parameters(APP_TEMPLATE);
    outputs.extend([
        of(
            "MainTableStreamArn",
            "arn:aws:dynamodb:r:1:table/main/stream/1",
        ),
        of("CommissionsQueueArn", "arn:aws:sqs:r:1:commissions"),
        of("PayoutsQueueArn", "arn:aws:sqs:r:1:payouts"),
        of("ChannelQueueArn", "arn:aws:sqs:r:1:channel"),
        of("TriggerDeadLettersArn", "arn:aws:sqs:r:1:triggers-dlq"),
    ]);
    let app = app_template(APP_TEMPLATE, &outputs, &BTreeMap::new()).unwrap();
    let functions = app.functions().unwrap();
    assert_eq!(functions.len(), 21);
    let clockwork = functions
        .iter()
        .find(|function| function.package == "clockwork")
        .unwrap();
    assert_eq!(
        clockwork.on_failure.as_deref(),
        Some("arn:aws:sqs:r:1:triggers-dlq")
    );
    let sources = app.sources().unwrap();
    let kinds: Vec<_> = sources
        .iter()
        .map(|source| (&*source.function, source.batch_size))
        .collect();
    assert_eq!(
        kinds,
        [
            ("ChannelRunFunction", 1),
            ("CommissionFunction", 10),
            ("PayoutRunFunction", 1),
            ("RelayFunction", 100)
        ]
    );
    assert_eq!(app.schedules().unwrap()[0].expression, "rate(1 minute)");
    let routes = app.routes().unwrap();
    let click = routes
        .iter()
        .find(|route| route.path == "/c/{code}")
        .unwrap();
    assert_eq!(click.function, "ClickFunction");
}

#[test]
fn only_functions_that_use_the_keyring_may_read_it() {
    let yaml: yaml_serde::Value = yaml_serde::from_str(APP_TEMPLATE).unwrap();
    let document = long_form(yaml, "app.yaml").unwrap();
    let resources = document["Resources"].as_object().unwrap();
    let of_type = |kind: &'static str| {
        resources
            .iter()
            .filter(move |(_, resource)| resource["Type"] == kind)
    };
    let told: Vec<&str> = of_type("AWS::Serverless::Function")
        .filter(|(_, function)| {
            let variables = &function["Properties"]["Environment"]["Variables"];
            variables.get("TRIBUTARY_KEYRING_SECRET").is_some()
        })
        .map(|(name, _)| name.trim_end_matches("Function"))
        .collect();
    let allowed: Vec<&str> = of_type("AWS::IAM::Role")
        .filter(|(_, role)| role.to_string().contains("secretsmanager"))
        .map(|(name, _)| name.trim_end_matches("Role"))
        .collect();
    assert_eq!(told, allowed);
    // The others are run without it by the embedded cloud, and so by every scenario.
    let others: Vec<&str> = of_type("AWS::Serverless::Function")
        .map(|(name, _)| name.trim_end_matches("Function"))
        .filter(|name| !told.contains(name))
        .collect();
    assert_eq!(
        others,
        ["Clockwork", "Commission", "Conversions", "Docs", "Relay"]
    );
}
