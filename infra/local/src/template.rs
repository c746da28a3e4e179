//! Reads `infra/data.yaml` and `infra/app.yaml`: the only definition of tables, queues, functions, event
//! sources, schedules and routes.
//!
//! CloudFormation's short forms become long ones; parameters, references and conditions are resolved
//! against the physical names the embedded cloud gives. What is not used is not resolved; what is used
//! and not understood is an error that names the resource and the property.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Map, Value, json};

/// A template that cannot be read or does not mean what it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct TemplateError {
    /// The resource and property, such as `RelayStream.EventSourceArn`.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
}

/// A parsed template with parameters and the physical names of resources.
#[derive(Debug)]
pub struct Template {
    document: Value,
    parameters: BTreeMap<String, String>,
    /// `Logical` (what `Ref` gives) and `Logical.Attribute` (what `GetAtt` gives).
    physical: Mutex<BTreeMap<String, String>>,
}

/// A table to create.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDef {
    /// The resource's name in the template.
    pub logical: String,
    /// The table's name.
    pub name: String,
    /// `CreateTable`'s request.
    pub create: Value,
    /// The attribute that holds an item's expiry.
    pub ttl_attribute: Option<String>,
    /// Whether the table has a stream.
    pub stream: bool,
}

/// A queue to create.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueDef {
    /// The resource's name in the template.
    pub logical: String,
    /// The queue's name.
    pub name: String,
    /// `CreateQueue`'s attributes.
    pub attributes: BTreeMap<String, String>,
}

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionDef {
    /// The resource's name in the template.
    pub logical: String,
    /// The folder under `functions/` it is built from, read off `CodeUri`.
    pub package: String,
    /// The deployed name.
    pub name: String,
    /// Seconds an invocation may take.
    pub timeout_seconds: u64,
    /// Megabytes of memory.
    pub memory_mb: u64,
    /// How many invocations may run at once, when that is reserved.
    pub reserved_concurrency: Option<u64>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// How often a failed asynchronous invocation is repeated: twice by default.
    pub async_retries: u32,
    /// The queue that gets an account of an asynchronous invocation that failed for good, by ARN.
    pub on_failure: Option<String>,
    /// The queue that gets the event of an asynchronous invocation that failed for good, by ARN.
    pub dead_letters: Option<String>,
}

/// An event source mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDef {
    /// The resource's name in the template.
    pub logical: String,
    /// The function it invokes: its logical name.
    pub function: String,
    /// The stream's or queue's ARN.
    pub arn: String,
    /// Whether the source is a stream or a queue.
    pub kind: SourceKind,
    /// The most records in one invocation.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub window_seconds: u64,
    /// Whether the function reports which records failed.
    pub reports_failures: bool,
    /// Event patterns; a record that matches none is passed over.
    pub filters: Vec<Value>,
}

/// What is particular to streams and to queues.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// A table's stream.
    Stream {
        /// Whether reading starts with the oldest record there is, or with the next one.
        from_oldest: bool,
        /// How often a failed batch is repeated; `None` until it expires.
        retries: Option<u32>,
        /// Whether a failed batch is halved.
        bisect: bool,
        /// The queue that gets word of abandoned batches, by ARN.
        on_failure: Option<String>,
    },
    /// A queue.
    Queue {
        /// How many invocations may run at once.
        concurrency: Option<usize>,
    },
}

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleDef {
    /// The resource's name in the template.
    pub logical: String,
    /// The rule's name.
    pub name: String,
    /// `rate(…)` or `cron(…)`.
    pub expression: String,
    /// The function it invokes: its logical name.
    pub function: String,
    /// A constant event in place of the scheduled one.
    pub input: Option<Value>,
    /// The queue that gets events that could not be delivered, by ARN.
    pub dead_letters: Option<String>,
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDef {
    /// The resource's name in the template.
    pub logical: String,
    /// `GET`, or `ANY`.
    pub method: String,
    /// The path with its parameters, such as `/v1/links/{id}`.
    pub path: String,
    /// The function it invokes: its logical name.
    pub function: String,
}

type Result<T> = std::result::Result<T, TemplateError>;

fn error(place: impl Into<String>, reason: impl Into<String>) -> TemplateError {
    TemplateError {
        place: place.into(),
        reason: reason.into(),
    }
}

impl Template {
    /// Parses a template. `parameters` override the defaults; one without either is an error.
    pub fn parse(text: &str, parameters: &BTreeMap<String, String>) -> Result<Self> {
        let yaml: yaml_serde::Value =
            yaml_serde::from_str(text).map_err(|e| error("the template", e.to_string()))?;
        let document = long_form(yaml, "the template")?;
        let mut resolved = BTreeMap::from([
            ("AWS::Region".to_owned(), crate::REGION.to_owned()),
            ("AWS::AccountId".to_owned(), crate::ACCOUNT.to_owned()),
            ("AWS::Partition".to_owned(), "aws".to_owned()),
            ("AWS::StackName".to_owned(), "tributary".to_owned()),
            ("AWS::URLSuffix".to_owned(), "amazonaws.com".to_owned()),
        ]);
        for (name, definition) in entries(&document, "Parameters") {
            let value = match (parameters.get(name), definition.get("Default")) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => text_of(default).ok_or_else(|| {
                    error(format!("Parameters.{name}.Default"), "is not a plain value")
                })?,
                (None, None) => {
                    return Err(error(
                        format!("Parameters.{name}"),
                        "has no value and no default",
                    ));
                }
            };
            let allowed = definition.get("AllowedValues").and_then(Value::as_array);
            if allowed.is_some_and(|list| !list.iter().filter_map(text_of).any(|one| one == value))
            {
                return Err(error(
                    format!("Parameters.{name}"),
                    format!("{value:?} is not one of the allowed values"),
                ));
            }
            resolved.insert(name.clone(), value);
        }
        Ok(Self {
            document,
            parameters: resolved,
            physical: Mutex::default(),
        })
    }

    /// The names of the template's parameters.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        entries(&self.document, "Parameters").map(|(name, _)| name.as_str())
    }

    /// Says what `Ref` (`Logical`) or `GetAtt` (`Logical.Attribute`) stands for.
    pub fn set_physical(&self, reference: impl Into<String>, value: impl Into<String>) {
        self.physical_names().insert(reference.into(), value.into());
    }

    /// The outputs that can be resolved; those of resources that do not exist here are left out.
    pub fn outputs(&self) -> BTreeMap<String, String> {
        entries(&self.document, "Outputs")
            .filter_map(|(name, output)| {
                let value = self.resolve(output.get("Value")?, "Outputs").ok()??;
                Some((name.clone(), text_of(&value)?))
            })
            .collect()
    }

    /// The logical names and, where it is given, the physical name of the resources of a type.
    pub fn named(
        &self,
        kind: &'static str,
        property: &str,
    ) -> Result<Vec<(String, Option<String>)>> {
        self.resources(&[kind])
            .map(|resource| {
                Ok((
                    resource.logical.to_owned(),
                    resource.optional_text(property)?,
                ))
            })
            .collect()
    }

    /// The tables.
    pub fn tables(&self) -> Result<Vec<TableDef>> {
        self.resources(&["AWS::DynamoDB::Table"])
            .map(|resource| table(&resource))
            .collect()
    }

    /// The queues. Their redrive policies refer to each other, so physical names must be set before.
    pub fn queues(&self) -> Result<Vec<QueueDef>> {
        self.resources(&["AWS::SQS::Queue"])
            .map(|resource| queue(&resource))
            .collect()
    }

    /// The functions.
    pub fn functions(&self) -> Result<Vec<FunctionDef>> {
        let mut functions = self
            .resources(&["AWS::Serverless::Function"])
            .map(|resource| function(&resource))
            .collect::<Result<Vec<_>>>()?;
        for config in self.resources(&["AWS::Lambda::EventInvokeConfig"]) {
            let logical = config
                .raw("FunctionName")
                .and_then(|name| self.function_referred(name))
                .ok_or_else(|| {
                    config.error("FunctionName", "names no function of this template")
                })?;
            let retries = config.integer("MaximumRetryAttempts")?;
            let destination = config.value("DestinationConfig")?;
            for function in functions
                .iter_mut()
                .filter(|function| function.logical == logical)
            {
                if let Some(retries) = retries.and_then(|count| u32::try_from(count).ok()) {
                    function.async_retries = retries;
                }
                function.on_failure = destination
                    .as_ref()
                    .and_then(|config| config.pointer("/OnFailure/Destination")?.as_str())
                    .map(str::to_owned);
            }
        }
        Ok(functions)
    }

    /// The event source mappings that are enabled.
    pub fn sources(&self) -> Result<Vec<SourceDef>> {
        let mut sources = Vec::new();
        for resource in self.resources(&["AWS::Lambda::EventSourceMapping"]) {
            match resource.optional_text("Enabled")?.as_deref() {
                None | Some("true") => sources.push(self.source(&resource)?),
                Some("false") => {}
                Some(_) => return Err(resource.error("Enabled", "must be true or false")),
            }
        }
        Ok(sources)
    }

    /// The schedules that are enabled.
    pub fn schedules(&self) -> Result<Vec<ScheduleDef>> {
        let mut schedules = Vec::new();
        for resource in self.resources(&["AWS::Events::Rule", "AWS::Scheduler::Schedule"]) {
            if resource.optional_text("State")?.as_deref() == Some("DISABLED") {
                continue;
            }
            let Some(expression) = resource.optional_text("ScheduleExpression")? else {
                return Err(
                    resource.error("ScheduleExpression", "is missing: only schedules are known")
                );
            };
            let name = resource
                .optional_text("Name")?
                .unwrap_or_else(|| resource.logical.to_owned());
            let targets = match resource.value("Target")? {
                Some(target) => vec![target],
                None => list(resource.value("Targets")?),
            };
            for target in targets {
                let arn = target
                    .get("Arn")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let function = self
                    .function_named(arn)
                    .ok_or_else(|| resource.error("Targets", "its Arn is no function's"))?;
                let input = match target.get("Input").and_then(Value::as_str) {
                    Some(text) => Some(serde_json::from_str(text).map_err(|e| {
                        resource.error("Targets", &format!("its Input is not JSON: {e}"))
                    })?),
                    None => None,
                };
                schedules.push(ScheduleDef {
                    logical: resource.logical.to_owned(),
                    name: name.clone(),
                    expression: expression.clone(),
                    function,
                    input,
                    dead_letters: target
                        .pointer("/DeadLetterConfig/Arn")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                });
            }
        }
        Ok(schedules)
    }

    /// The routes of the HTTP API.
    pub fn routes(&self) -> Result<Vec<RouteDef>> {
        let mut routes = Vec::new();
        for resource in self.resources(&["AWS::ApiGatewayV2::Route"]) {
            let key = resource.text("RouteKey")?;
            let (method, path) = key
                .split_once(' ')
                .ok_or_else(|| resource.error("RouteKey", "is not `METHOD /path`"))?;
            routes.push(RouteDef {
                logical: resource.logical.to_owned(),
                method: method.to_owned(),
                path: path.to_owned(),
                function: self.route_target(&resource)?,
            });
        }
        Ok(routes)
    }

    /// A route's target is `integrations/<integration>`, whose URI names the function.
    fn route_target(&self, route: &Resource<'_>) -> Result<String> {
        let target = route
            .raw("Target")
            .ok_or_else(|| route.error("Target", "is missing"))?;
        let integration = referred(target)
            .into_iter()
            .find_map(|name| {
                self.resources(&["AWS::ApiGatewayV2::Integration"])
                    .find(|integration| integration.logical == name)
            })
            .ok_or_else(|| route.error("Target", "names no integration of this template"))?;
        let uri = integration
            .raw("IntegrationUri")
            .ok_or_else(|| integration.error("IntegrationUri", "is missing"))?;
        self.function_referred(uri).ok_or_else(|| {
            integration.error("IntegrationUri", "names no function of this template")
        })
    }

    fn source(&self, resource: &Resource<'_>) -> Result<SourceDef> {
        let arn = resource.text("EventSourceArn")?;
        let function = resource
            .raw("FunctionName")
            .and_then(|name| self.function_referred(name))
            .ok_or_else(|| resource.error("FunctionName", "names no function of this template"))?;
        let stream = arn.contains(":dynamodb:");
        if !stream && !arn.contains(":sqs:") {
            return Err(resource.error(
                "EventSourceArn",
                &format!("{arn} is no stream and no queue"),
            ));
        }
        let responses = list(resource.value("FunctionResponseTypes")?);
        let filters = resource.value("FilterCriteria")?;
        let filters = list(filters.and_then(|criteria| criteria.get("Filters").cloned()))
            .iter()
            .map(|filter| {
                let pattern = filter
                    .get("Pattern")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                serde_json::from_str(pattern).map_err(|e| {
                    resource.error("FilterCriteria", &format!("a Pattern is not JSON: {e}"))
                })
            })
            .collect::<Result<_>>()?;
        for unknown in ["TumblingWindowInSeconds", "SelfManagedEventSource"] {
            if resource.raw(unknown).is_some() {
                return Err(resource.error(unknown, "is not supported by the embedded cloud"));
            }
        }
        // What asks for no more than is done here anyway.
        for (property, done) in [
            ("ParallelizationFactor", 1),
            ("MaximumRecordAgeInSeconds", -1),
        ] {
            if resource
                .integer(property)?
                .is_some_and(|asked| asked != done)
            {
                let reason = format!("the embedded cloud supports {done} only");
                return Err(resource.error(property, &reason));
            }
        }
        let kind = if stream {
            let position = resource.text("StartingPosition")?;
            if !["TRIM_HORIZON", "LATEST"].contains(&position.as_str()) {
                return Err(resource.error("StartingPosition", "must be TRIM_HORIZON or LATEST"));
            }
            let retries = resource
                .integer("MaximumRetryAttempts")?
                .filter(|count| *count >= 0);
            let destination = resource.value("DestinationConfig")?;
            SourceKind::Stream {
                from_oldest: position == "TRIM_HORIZON",
                retries: retries.and_then(|count| u32::try_from(count).ok()),
                bisect: resource.flag("BisectBatchOnFunctionError")?,
                on_failure: destination
                    .as_ref()
                    .and_then(|config| config.pointer("/OnFailure/Destination")?.as_str())
                    .map(str::to_owned),
            }
        } else {
            let scaling = resource.value("ScalingConfig")?;
            SourceKind::Queue {
                concurrency: scaling
                    .as_ref()
                    .and_then(|config| number(config.get("MaximumConcurrency")?))
                    .and_then(|count| usize::try_from(count).ok()),
            }
        };
        let default_size = if stream { 100 } else { 10 };
        Ok(SourceDef {
            logical: resource.logical.to_owned(),
            function,
            arn,
            kind,
            batch_size: resource
                .integer("BatchSize")?
                .and_then(|size| usize::try_from(size).ok())
                .unwrap_or(default_size)
                .max(1),
            window_seconds: resource
                .integer("MaximumBatchingWindowInSeconds")?
                .and_then(|seconds| u64::try_from(seconds).ok())
                .unwrap_or(0),
            reports_failures: responses
                .iter()
                .any(|kind| kind == "ReportBatchItemFailures"),
            filters,
        })
    }

    /// The function a property refers to, by `Ref`, `GetAtt`, or an ARN built from either.
    fn function_referred(&self, property: &Value) -> Option<String> {
        let by_reference = referred(property)
            .into_iter()
            .find(|name| self.is_function(name));
        by_reference.or_else(|| self.function_named(property.as_str()?))
    }

    /// The function an ARN or a name belongs to.
    fn function_named(&self, arn: &str) -> Option<String> {
        let functions: Vec<_> = self
            .resources(&["AWS::Serverless::Function"])
            .map(|resource| resource.logical.to_owned())
            .collect();
        let physical = self.physical_names();
        functions.into_iter().find(|logical| {
            physical.get(logical).is_some_and(|name| name == arn)
                || physical
                    .get(&format!("{logical}.Arn"))
                    .is_some_and(|held| held == arn)
        })
    }

    fn is_function(&self, logical: &str) -> bool {
        self.resources(&["AWS::Serverless::Function"])
            .any(|resource| resource.logical == logical)
    }

    /// The resources of some types whose condition holds.
    fn resources<'a>(
        &'a self,
        kinds: &[&'static str],
    ) -> impl Iterator<Item = Resource<'a>> + use<'a> {
        let kinds = kinds.to_vec();
        entries(&self.document, "Resources")
            .map(move |(logical, definition)| Resource {
                template: self,
                logical,
                definition,
            })
            .filter(move |resource| {
                let kind = resource.definition.get("Type").and_then(Value::as_str);
                kind.is_some_and(|kind| kinds.contains(&kind)) && resource.exists()
            })
    }

    fn physical_names(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.physical
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn reference(&self, name: &str, place: &str) -> Result<String> {
        self.parameters
            .get(name)
            .cloned()
            .or_else(|| self.physical_names().get(name).cloned())
            .ok_or_else(|| error(place, format!("refers to {name}, which has no value here")))
    }

    fn condition(&self, name: &str, place: &str) -> Result<bool> {
        let definition = self
            .document
            .get("Conditions")
            .and_then(|conditions| conditions.get(name))
            .ok_or_else(|| error(place, format!("there is no condition {name}")))?;
        self.holds(definition, place)
    }

    fn holds(&self, condition: &Value, place: &str) -> Result<bool> {
        let Some((function, argument)) = intrinsic(condition) else {
            return condition
                .as_bool()
                .ok_or_else(|| error(place, format!("{condition} is no condition")));
        };
        let all = || argument.as_array().map_or(&[][..], Vec::as_slice);
        match function {
            "Condition" => self.condition(argument.as_str().unwrap_or_default(), place),
            "Fn::Equals" => {
                let [left, right] = all() else {
                    return Err(error(place, "Fn::Equals takes two values"));
                };
                Ok(self.resolve(left, place)? == self.resolve(right, place)?)
            }
            "Fn::Not" => {
                let one = all()
                    .first()
                    .ok_or_else(|| error(place, "Fn::Not takes a condition"))?;
                Ok(!self.holds(one, place)?)
            }
            "Fn::And" => all()
                .iter()
                .try_fold(true, |so_far, one| Ok(so_far & self.holds(one, place)?)),
            "Fn::Or" => all()
                .iter()
                .try_fold(false, |so_far, one| Ok(so_far | self.holds(one, place)?)),
            other => Err(error(place, format!("{other} is no condition known here"))),
        }
    }

    /// Resolves a value; `None` is `AWS::NoValue`.
    fn resolve(&self, value: &Value, place: &str) -> Result<Option<Value>> {
        if let Some((function, argument)) = intrinsic(value) {
            return self.intrinsic(function, argument, place);
        }
        Ok(Some(match value {
            Value::Object(map) => {
                let mut resolved = Map::new();
                for (key, value) in map {
                    if let Some(value) = self.resolve(value, place)? {
                        resolved.insert(key.clone(), value);
                    }
                }
                resolved.into()
            }
            Value::Array(list) => {
                let mut resolved = Vec::new();
                for value in list {
                    resolved.extend(self.resolve(value, place)?);
                }
                resolved.into()
            }
            leaf => leaf.clone(),
        }))
    }

    fn intrinsic(&self, function: &str, argument: &Value, place: &str) -> Result<Option<Value>> {
        let items = || argument.as_array().map_or(&[][..], Vec::as_slice);
        let malformed = || error(place, format!("{function} is malformed"));
        Ok(Some(match function {
            "Ref" if argument == "AWS::NoValue" => return Ok(None),
            "Ref" => self
                .reference(argument.as_str().ok_or_else(malformed)?, place)?
                .into(),
            "Fn::GetAtt" => {
                let path: Vec<_> = items().iter().filter_map(Value::as_str).collect();
                self.reference(&path.join("."), place)?.into()
            }
            "Fn::Sub" => {
                let (text, extra) = match items() {
                    [text, extra] => (text, extra.as_object().cloned().unwrap_or_default()),
                    _ => (argument, Map::new()),
                };
                self.substitute(text.as_str().ok_or_else(malformed)?, &extra, place)?
                    .into()
            }
            "Fn::Join" => {
                let [separator, parts] = items() else {
                    return Err(malformed());
                };
                let parts = list(self.resolve(parts, place)?);
                let parts: Vec<_> = parts.iter().filter_map(text_of).collect();
                parts.join(separator.as_str().unwrap_or_default()).into()
            }
            "Fn::Select" => {
                let [index, choices] = items() else {
                    return Err(malformed());
                };
                let index = number(index).and_then(|index| usize::try_from(index).ok());
                let choices = list(self.resolve(choices, place)?);
                index
                    .and_then(|index| choices.get(index).cloned())
                    .ok_or_else(malformed)?
            }
            "Fn::Split" => {
                let [separator, text] = items() else {
                    return Err(malformed());
                };
                let text = self
                    .resolve(text, place)?
                    .as_ref()
                    .and_then(text_of)
                    .ok_or_else(malformed)?;
                text.split(separator.as_str().unwrap_or(","))
                    .collect::<Vec<_>>()
                    .into()
            }
            "Fn::If" => {
                let [name, yes, no] = items() else {
                    return Err(malformed());
                };
                let holds = self.condition(name.as_str().ok_or_else(malformed)?, place)?;
                return self.resolve(if holds { yes } else { no }, place);
            }
            other => return Err(error(place, format!("{other} is not understood here"))),
        }))
    }

    /// `${Name}`, `${Logical.Attribute}`; `${!Name}` stays `${Name}`.
    fn substitute(&self, text: &str, extra: &Map<String, Value>, place: &str) -> Result<String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            let after = &rest[start + 2..];
            let end = after
                .find('}')
                .ok_or_else(|| error(place, "a ${ is not closed"))?;
            let name = &after[..end];
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = extra.get(name) {
                let value = self.resolve(value, place)?.as_ref().and_then(text_of);
                result.push_str(&value.ok_or_else(|| error(place, format!("{name} is no text")))?);
            } else {
                result.push_str(&self.reference(name, place)?);
            }
            rest = &after[end + 1..];
        }
        result.push_str(rest);
        Ok(result)
    }
}

/// One resource and its template.
struct Resource<'a> {
    template: &'a Template,
    logical: &'a str,
    definition: &'a Value,
}

impl Resource<'_> {
    fn error(&self, property: &str, reason: &str) -> TemplateError {
        error(format!("{}.{property}", self.logical), reason)
    }

    fn exists(&self) -> bool {
        match self.definition.get("Condition").and_then(Value::as_str) {
            Some(name) => self.template.condition(name, self.logical).unwrap_or(false),
            None => true,
        }
    }

    /// A property as written; a function's may come from `Globals`.
    fn raw(&self, property: &str) -> Option<&Value> {
        let own = self
            .definition
            .get("Properties")
            .and_then(|all| all.get(property));
        let is_function = self.definition.get("Type") == Some(&json!("AWS::Serverless::Function"));
        own.or_else(|| {
            let globals = self.template.document.get("Globals")?.get("Function")?;
            globals.get(property).filter(|_| is_function)
        })
    }

    fn value(&self, property: &str) -> Result<Option<Value>> {
        let place = format!("{}.{property}", self.logical);
        match self.raw(property) {
            Some(raw) => self.template.resolve(raw, &place),
            None => Ok(None),
        }
    }

    fn optional_text(&self, property: &str) -> Result<Option<String>> {
        match self.value(property)? {
            Some(value) => {
                Ok(Some(text_of(&value).ok_or_else(|| {
                    self.error(property, "is not a plain value")
                })?))
            }
            None => Ok(None),
        }
    }

    fn text(&self, property: &str) -> Result<String> {
        self.optional_text(property)?
            .ok_or_else(|| self.error(property, "is missing"))
    }

    fn integer(&self, property: &str) -> Result<Option<i64>> {
        match self.value(property)? {
            Some(value) => {
                Ok(Some(number(&value).ok_or_else(|| {
                    self.error(property, "is not an integer")
                })?))
            }
            None => Ok(None),
        }
    }

    fn flag(&self, property: &str) -> Result<bool> {
        Ok(matches!(self.value(property)?, Some(value) if value == true || value == "true"))
    }
}

fn table(resource: &Resource<'_>) -> Result<TableDef> {
    let name = resource.text("TableName")?;
    let billing = resource.optional_text("BillingMode")?;
    if billing.as_deref() != Some("PAY_PER_REQUEST") {
        return Err(resource.error("BillingMode", "must be PAY_PER_REQUEST"));
    }
    let mut create = json!({ "TableName": name, "BillingMode": "PAY_PER_REQUEST" });
    for property in ["AttributeDefinitions", "KeySchema"] {
        create[property] = resource
            .value(property)?
            .ok_or_else(|| resource.error(property, "is missing"))?;
    }
    for property in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        if let Some(value) = resource.value(property)? {
            create[property] = value;
        }
    }
    let stream = resource.value("StreamSpecification")?;
    if let Some(specification) = &stream {
        let view = specification
            .get("StreamViewType")
            .ok_or_else(|| resource.error("StreamSpecification", "has no StreamViewType"))?;
        create["StreamSpecification"] = json!({ "StreamEnabled": true, "StreamViewType": view });
    }
    let ttl = resource.value("TimeToLiveSpecification")?;
    let ttl = ttl.filter(|ttl| ttl.get("Enabled") != Some(&Value::Bool(false)));
    Ok(TableDef {
        logical: resource.logical.to_owned(),
        name,
        create,
        ttl_attribute: ttl
            .as_ref()
            .and_then(|ttl| text_of(ttl.get("AttributeName")?)),
        stream: stream.is_some(),
    })
}

fn queue(resource: &Resource<'_>) -> Result<QueueDef> {
    if resource.flag("FifoQueue")? {
        return Err(resource.error(
            "FifoQueue",
            "FIFO queues are not supported by the embedded cloud",
        ));
    }
    let mut attributes = BTreeMap::new();
    for property in [
        "VisibilityTimeout",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "DelaySeconds",
        "SqsManagedSseEnabled",
    ] {
        if let Some(text) = resource.optional_text(property)? {
            attributes.insert(property.to_owned(), text);
        }
    }
    if let Some(size) = resource.optional_text("MaximumMessageSize")? {
        attributes.insert("MaximumMessageSize".to_owned(), size);
    }
    if let Some(policy) = resource.value("RedrivePolicy")? {
        attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
    }
    Ok(QueueDef {
        logical: resource.logical.to_owned(),
        name: resource.text("QueueName")?,
        attributes,
    })
}

fn function(resource: &Resource<'_>) -> Result<FunctionDef> {
    let code = resource.text("CodeUri")?;
    let package = code
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .filter(|package| !package.is_empty())
        .ok_or_else(|| resource.error("CodeUri", "names no folder"))?
        .to_owned();
    let global = resource
        .template
        .document
        .pointer("/Globals/Function/Environment/Variables");
    let own = resource
        .definition
        .pointer("/Properties/Environment/Variables");
    let mut environment = BTreeMap::new();
    for variables in [global, own].into_iter().flatten() {
        let place = format!("{}.Environment", resource.logical);
        let resolved = resource.template.resolve(variables, &place)?;
        for (name, value) in resolved
            .as_ref()
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let text = text_of(value).ok_or_else(|| {
                resource.error("Environment", &format!("{name} is not a plain value"))
            })?;
            environment.insert(name.clone(), text);
        }
    }
    let positive = |property: &str, default: u64| -> Result<u64> {
        let given = resource.integer(property)?;
        Ok(given
            .and_then(|value| u64::try_from(value).ok())
            .unwrap_or(default))
    };
    let asynchronous = resource.value("EventInvokeConfig")?.unwrap_or_default();
    let dead_letters = resource.value("DeadLetterQueue")?.unwrap_or_default();
    Ok(FunctionDef {
        logical: resource.logical.to_owned(),
        package,
        name: resource
            .optional_text("FunctionName")?
            .unwrap_or_else(|| resource.logical.to_owned()),
        timeout_seconds: positive("Timeout", 3)?,
        memory_mb: positive("MemorySize", 128)?,
        reserved_concurrency: resource
            .integer("ReservedConcurrentExecutions")?
            .and_then(|count| u64::try_from(count).ok()),
        environment,
        async_retries: asynchronous
            .get("MaximumRetryAttempts")
            .and_then(number)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(2),
        on_failure: asynchronous
            .pointer("/DestinationConfig/OnFailure/Destination")
            .and_then(Value::as_str)
            .map(str::to_owned),
        dead_letters: dead_letters
            .get("TargetArn")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

/// A YAML value as JSON, with `!Short` tags as `{"Fn::Long": …}`.
fn long_form(value: yaml_serde::Value, place: &str) -> Result<Value> {
    use yaml_serde::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => flag.into(),
        Yaml::Number(number) => {
            serde_json::to_value(number).map_err(|e| error(place, e.to_string()))?
        }
        Yaml::String(text) => text.into(),
        Yaml::Sequence(list) => list
            .into_iter()
            .map(|value| long_form(value, place))
            .collect::<Result<Vec<_>>>()?
            .into(),
        Yaml::Mapping(mapping) => {
            let mut map = Map::new();
            for (key, value) in mapping {
                let key = match key {
                    Yaml::String(text) => text,
                    Yaml::Number(number) => number.to_string(),
                    Yaml::Bool(flag) => flag.to_string(),
                    _ => return Err(error(place, "a key is not plain text")),
                };
                if key == "<<" {
                    return Err(error(place, "merge keys (<<) are not allowed in templates"));
                }
                let inner = if place == "the template" {
                    key.clone()
                } else {
                    format!("{place}.{key}")
                };
                map.insert(key, long_form(value, &inner)?);
            }
            map.into()
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let argument = long_form(tagged.value, place)?;
            match (tag, argument) {
                ("Ref" | "Condition", argument) => json!({ tag: argument }),
                ("GetAtt", Value::String(path)) => {
                    let (logical, attribute) = path
                        .split_once('.')
                        .ok_or_else(|| error(place, "!GetAtt takes Logical.Attribute"))?;
                    json!({ "Fn::GetAtt": [logical, attribute] })
                }
                (_, argument) => json!({ format!("Fn::{tag}"): argument }),
            }
        }
    })
}

/// A map with one key that is an intrinsic function.
fn intrinsic(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (name, argument) = map.iter().next()?;
    (name == "Ref" || name == "Condition" || name.starts_with("Fn::"))
        .then_some((name.as_str(), argument))
}

/// The logical names a value refers to, wherever in it.
fn referred(value: &Value) -> Vec<String> {
    let mut names = Vec::new();
    match (intrinsic(value), value) {
        (Some(("Ref", Value::String(name))), _) => names.push(name.clone()),
        (Some(("Fn::GetAtt", Value::Array(path))), _) => {
            names.extend(path.first().and_then(Value::as_str).map(str::to_owned));
        }
        (Some(("Fn::Sub", argument)), _) => {
            let text = argument
                .as_str()
                .or_else(|| argument.get(0)?.as_str())
                .unwrap_or_default();
            for part in text.split("${").skip(1) {
                let name = part.split(['}', '.']).next().unwrap_or_default();
                names.push(name.to_owned());
            }
            if let Some(extra) = argument.get(1) {
                names.extend(referred(extra));
            }
        }
        (_, Value::Object(map)) => names.extend(map.values().flat_map(referred)),
        (_, Value::Array(list)) => names.extend(list.iter().flat_map(referred)),
        _ => {}
    }
    names
}

fn entries<'a>(
    document: &'a Value,
    section: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    document
        .get(section)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
