//! The page for people, written from the OpenAPI document. It reads whole without its script.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Stands in the page where the installation's address goes.
const BASE: &str = "\u{0}base\u{0}";
/// Objects within objects that a table of fields unfolds.
const MAX_DEPTH: usize = 4;
const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

/// The page but for the installation's address.
pub struct Template(String);

impl Template {
    /// The page of a document.
    pub fn of(document: &Value) -> Self {
        Self(Writer { document }.page())
    }

    /// The page of the installation at that address.
    pub fn at(&self, base: &str) -> String {
        self.0.replace(BASE, &escaped(base))
    }
}

/// Text made safe between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Escaped text with `code` between backticks.
fn inline(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of backticks is no code: then they stay as they are.
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    parts
        .iter()
        .enumerate()
        .map(|(position, part)| match position % 2 {
            0 => escaped(part),
            _ => format!("<code>{}</code>", escaped(part)),
        })
        .collect()
}

/// Paragraphs of inline text.
fn prose(text: &str) -> String {
    text.split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| format!("<p>{}</p>", inline(paragraph.trim())))
        .collect()
}

fn words<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn anchor(method: &str, path: &str) -> String {
    format!("{method}{}", slug(path))
}

/// Text as a part of an anchor.
fn slug(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    plain.trim_end_matches('-').to_owned()
}

/// A table; nothing when it has no rows.
fn table(caption: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads: String = heads
        .iter()
        .map(|head| format!("<th scope=\"col\">{head}</th>"))
        .collect();
    let rows: String = rows
        .iter()
        .map(|cells| {
            let cells: String = cells
                .iter()
                .map(|cell| format!("<td>{cell}</td>"))
                .collect();
            format!("<tr>{cells}</tr>")
        })
        .collect();
    format!(
        "<div class=\"wide\"><table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    value: &'a Value,
}

struct Writer<'a> {
    document: &'a Value,
}

impl<'a> Writer<'a> {
    fn page(&self) -> String {
        let info = &self.document["info"];
        let title = escaped(words(info, "title"));
        let mut navigation = String::new();
        let mut body = String::new();
        for tag in list(&self.document["tags"]) {
            let name = words(tag, "name");
            let operations = self.operations(name);
            if operations.is_empty() {
                continue;
            }
            navigation.push_str(&contents(name, &operations));
            let _ = write!(
                body,
                "<section id=\"tag-{0}\"><h2>{1}</h2>{2}",
                slug(name),
                escaped(&capitalised(name)),
                prose(words(tag, "description"))
            );
            for operation in &operations {
                body.push_str(&self.operation(operation));
            }
            body.push_str("</section>");
        }
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title} API</title><link rel=\"stylesheet\" href=\"/docs/style.css\">\
             <script src=\"/docs/docs.js\" defer></script></head><body>\
             <a class=\"skip\" href=\"#main\">Skip to the content</a>\
             <header><h1>{title} API</h1><p>Version {version} at {base}. \
             <a href=\"/openapi.json\">OpenAPI 3.1 document</a></p></header>\
             <nav aria-label=\"Contents\"><div id=\"filter\"></div>{navigation}\
             <h2><a href=\"#problems\">Problem codes</a></h2>\
             <h2><a href=\"#dialects\">Postback dialects</a></h2></nav>\
             <main id=\"main\"><section id=\"about\">{about}{schemes}</section>\
             {body}{problems}{dialects}</main></body></html>\n",
            version = escaped(words(info, "version")),
            base = code(BASE),
            about = prose(words(info, "description")),
            schemes = self.schemes(),
            problems = self.problems(),
            dialects = self.dialects(),
        )
    }

    fn operations(&self, tag: &str) -> Vec<Operation<'a>> {
        let mut found = Vec::new();
        for (path, item) in entries(&self.document["paths"]) {
            for method in METHODS {
                let value = &item[method];
                if list(&value["tags"]).iter().any(|known| known == tag) {
                    found.push(Operation {
                        method,
                        path,
                        value,
                    });
                }
            }
        }
        found
    }

    fn schemes(&self) -> String {
        let rows: Vec<Vec<String>> = entries(&self.document["components"]["securitySchemes"])
            .map(|(name, scheme)| {
                let sent = match words(scheme, "type") {
                    "http" => code("Authorization: Bearer …"),
                    _ => code(&format!("{}: …", words(scheme, "name"))),
                };
                vec![
                    escaped(&name.replace('_', " ")),
                    sent,
                    inline(words(scheme, "description")),
                ]
            })
            .collect();
        table("Who is asking", &["Key", "Sent as", "What it is"], &rows)
    }

    fn operation(&self, operation: &Operation<'_>) -> String {
        let Operation {
            method,
            path,
            value,
        } = operation;
        let mut text = format!(
            "<article id=\"{id}\"><h3><a href=\"#{id}\"><span class=\"method {method}\">{upper}</span> \
             <code>{path}</code></a></h3><p class=\"summary\">{summary}</p>{description}",
            id = anchor(method, path),
            upper = method.to_uppercase(),
            path = escaped(path),
            summary = inline(words(value, "summary")),
            description = prose(words(value, "description")),
        );
        let keys: Vec<String> = list(&value["security"])
            .iter()
            .flat_map(|choice| entries(choice).map(|(name, _)| escaped(&name.replace('_', " "))))
            .collect();
        let who = match keys.as_slice() {
            [] => "Public.".to_owned(),
            keys => format!("With: {}.", keys.join(" or ")),
        };
        let _ = write!(text, "<p class=\"who\">{who}</p>");
        text.push_str(&parameters(value));
        if let Some((kind, media)) = preferred(&value["requestBody"]["content"]) {
            text.push_str(&self.fields_table(&format!("Body, {}", code(kind)), &media["schema"]));
        }
        text.push_str(&self.responses(value));
        let _ = write!(
            text,
            "<figure><figcaption>Example</figcaption><pre><code>{}</code></pre></figure></article>",
            escaped(&self.curl(operation))
        );
        text
    }

    fn responses(&self, operation: &Value) -> String {
        let mut rows = Vec::new();
        let mut tables = String::new();
        for (status, response) in entries(&operation["responses"]) {
            let status_text = match status.as_str() {
                "default" => "otherwise".to_owned(),
                status => escaped(status),
            };
            let media = preferred(&response["content"]);
            let kind = media.map_or_else(|| "nothing".to_owned(), |(kind, _)| code(kind));
            let description = if status == "default" {
                "<a href=\"#problems\">A problem</a>".to_owned()
            } else {
                inline(words(response, "description"))
            };
            rows.push(vec![status_text, description, kind]);
            if let Some((_, media)) = media
                && status != "default"
            {
                let example = self.example_of(media);
                let fields =
                    self.fields_table(&format!("Answer {}", escaped(status)), &media["schema"]);
                tables.push_str(&fields);
                if let (Some(example), false) = (example, fields.is_empty()) {
                    let _ = write!(
                        tables,
                        "<figure><figcaption>Answer, for example</figcaption><pre><code>{}</code></pre></figure>",
                        escaped(&pretty(&example))
                    );
                }
            }
        }
        let statuses = table("Answers", &["Status", "Meaning", "Body"], &rows);
        format!("{statuses}<details><summary>Fields of the answers</summary>{tables}</details>")
            .replace(
                "<details><summary>Fields of the answers</summary></details>",
                "",
            )
    }

    /// The schema behind references, and its name when it was one.
    fn resolved(&self, schema: &'a Value) -> (&'a Value, Option<&'a str>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            return (&self.document["components"]["schemas"][name], Some(name));
        }
        // `oneOf: [null, X]` is an optional X.
        let choices = [&schema["oneOf"], &schema["anyOf"], &schema["allOf"]];
        for choice in choices {
            let some: Vec<&Value> = list(choice)
                .iter()
                .filter(|one| one["type"] != "null")
                .collect();
            if let [one] = some.as_slice() {
                return self.resolved(one);
            }
        }
        (schema, None)
    }

    fn type_name(&self, schema: &'a Value) -> String {
        let (found, name) = self.resolved(schema);
        let choices = list(&found["oneOf"]);
        if !choices.is_empty() {
            let names: Vec<String> = choices
                .iter()
                .filter(|one| one["type"] != "null")
                .map(|one| self.type_name(one))
                .collect();
            return names.join(" or ");
        }
        let base = match &found["type"] {
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null")
                .collect::<Vec<_>>()
                .join(" or "),
            _ => name.map_or_else(|| "object".to_owned(), str::to_owned),
        };
        if base == "array" {
            return format!("list of {}", self.type_name(&found["items"]));
        }
        base
    }

    fn fields_table(&self, caption: &str, schema: &'a Value) -> String {
        let mut rows = Vec::new();
        self.fields(schema, "", &mut Vec::new(), &mut rows);
        table(caption, &["Field", "Type", "Meaning"], &rows)
    }

    /// The rows of an object's fields; `within` are the names of those that it stands in.
    fn fields(
        &self,
        schema: &'a Value,
        prefix: &str,
        within: &mut Vec<&'a str>,
        rows: &mut Vec<Vec<String>>,
    ) {
        let (schema, name) = self.resolved(schema);
        let name = name.unwrap_or_default();
        // What nests in itself is unfolded once.
        if within.len() > MAX_DEPTH || (!name.is_empty() && within.contains(&name)) {
            return;
        }
        within.push(name);
        let required: Vec<&str> = list(&schema["required"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        // Required ones stand in the order of the code; the others follow by name.
        let optional = entries(&schema["properties"])
            .map(|(name, _)| name.as_str())
            .filter(|name| !required.contains(name));
        for name in required.iter().copied().chain(optional) {
            let field = &schema["properties"][name];
            let kind = self.type_name(field);
            let need = if required.contains(&name) {
                ""
            } else {
                ", optional"
            };
            let (inner, _) = self.resolved(field);
            let description = match words(field, "description") {
                "" => words(inner, "description"),
                own => own,
            };
            rows.push(vec![
                code(&format!("{prefix}{name}")),
                format!("{}{need}", escaped(&kind)),
                inline(description),
            ]);
            let (inner, path) = if inner["items"].is_object() {
                (&inner["items"], format!("{prefix}{name}[]."))
            } else {
                (field, format!("{prefix}{name}."))
            };
            self.fields(inner, &path, within, rows);
        }
        within.pop();
    }

    fn example_of(&self, media: &'a Value) -> Option<Value> {
        if !media["example"].is_null() {
            return Some(media["example"].clone());
        }
        let (schema, _) = self.resolved(&media["schema"]);
        if !schema["example"].is_null() {
            return Some(schema["example"].clone());
        }
        if let Some(first) = list(&schema["examples"]).first() {
            return Some(first.clone());
        }
        // A page of a list whose entries have an example.
        let entry = &schema["properties"]["items"]["items"];
        let (entry, _) = self.resolved(entry);
        (!entry["example"].is_null()).then(|| {
            let items = Value::Array(vec![entry["example"].clone()]);
            Value::Object(Map::from_iter([
                ("items".to_owned(), items),
                ("next_cursor".to_owned(), Value::Null),
            ]))
        })
    }

    fn curl(&self, operation: &Operation<'_>) -> String {
        let Operation {
            method,
            path,
            value,
        } = operation;
        let needed: Vec<&Value> = list(&value["parameters"])
            .iter()
            .filter(|parameter| parameter["required"] == true)
            .collect();
        let mut query = needed
            .iter()
            .filter(|parameter| words(parameter, "in") == "query")
            .map(|parameter| format!("{}=…", words(parameter, "name")))
            .collect::<Vec<_>>()
            .join("&");
        if !query.is_empty() {
            query.insert(0, '?');
        }
        let flags = match *method {
            "get" => String::new(),
            "head" => " --head".to_owned(),
            method => format!(" --request {}", method.to_uppercase()),
        };
        let mut lines = vec![format!("curl{flags} '{BASE}{path}{query}'")];
        let first = list(&value["security"]).first();
        if let Some((name, _)) = first.and_then(|choice| entries(choice).next()) {
            lines.push(match name.as_str() {
                "operator_key" => "--header \"Authorization: Bearer $OPERATOR_KEY\"".to_owned(),
                "partner_key" => "--header \"Authorization: Bearer $PARTNER_KEY\"".to_owned(),
                _ => "--header \"X-Postback-Token: $POSTBACK_TOKEN\"".to_owned(),
            });
        }
        for parameter in &needed {
            if words(parameter, "in") == "header" {
                let value = match words(parameter, "name") {
                    "If-Match" => "\"1\"",
                    _ => "…",
                };
                lines.push(format!("--header '{}: {value}'", words(parameter, "name")));
            }
        }
        if let Some((kind, media)) = preferred(&value["requestBody"]["content"]) {
            lines.push(format!("--header 'Content-Type: {kind}'"));
            if let Some(example) = self.example_of(media) {
                let body = match &example {
                    Value::String(text) => text.clone(),
                    json => pretty(json),
                };
                lines.push(format!("--data '{}'", body.replace('\'', "'\\''")));
            }
        }
        lines.join(" \\\n  ")
    }

    fn problems(&self) -> String {
        let rows: Vec<Vec<String>> = list(&self.document["x-problem-codes"])
            .iter()
            .map(|problem| {
                vec![
                    code(words(problem, "code")),
                    problem["status"].to_string(),
                    inline(words(problem, "meaning")),
                ]
            })
            .collect();
        let fields = self.fields_table(
            "A problem",
            &self.document["components"]["schemas"]["Problem"],
        );
        format!(
            "<section id=\"problems\"><h2>Problem codes</h2>{fields}{}</section>",
            table("Codes", &["Code", "Status", "Meaning"], &rows)
        )
    }

    fn dialects(&self) -> String {
        let tables: String = list(&self.document["x-postback-dialects"])
            .iter()
            .map(|dialect| {
                let names = |names: &Value| {
                    list(names)
                        .iter()
                        .filter_map(Value::as_str)
                        .map(code)
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                let mut rows: Vec<Vec<String>> = list(&dialect["fields"])
                    .iter()
                    .map(|field| vec![code(words(field, "ours")), names(&field["theirs"])])
                    .collect();
                rows.push(vec!["the postback token".to_owned(), names(&dialect["tokens"])]);
                let statuses = list(&dialect["statuses"])
                    .iter()
                    .map(|status| {
                        let (theirs, ours) = (words(status, "theirs"), words(status, "ours"));
                        format!("{} is {}", code(theirs), code(ours))
                    })
                    .collect::<Vec<_>>()
                    .join(", ");
                format!(
                    "<article id=\"dialect-{name}\"><h3>{title} <code>{name}</code></h3>{note}{table}<p>Statuses: {statuses}.</p></article>",
                    name = escaped(words(dialect, "name")),
                    title = escaped(words(dialect, "title")),
                    note = prose(words(dialect, "note")),
                    table = table("Names, the preferred one first", &["Tributary", "Posted as"], &rows),
                )
            })
            .collect();
        format!(
            "<section id=\"dialects\"><h2>Postback dialects</h2>\
             <p>A program's <code>postback_dialect</code> says how its tracker names what it posts to \
             <code>/v1/postbacks/{{program}}</code>.</p>{tables}</section>"
        )
    }
}

fn contents(tag: &str, operations: &[Operation<'_>]) -> String {
    let items: String = operations
        .iter()
        .map(|Operation { method, path, value }| {
            format!(
                "<li><a href=\"#{id}\" title=\"{summary}\"><span class=\"method {method}\">{upper}</span> <code>{path}</code></a></li>",
                id = anchor(method, path),
                summary = escaped(words(value, "summary")),
                upper = method.to_uppercase(),
                path = escaped(path.strip_prefix("/v1").unwrap_or(path)),
            )
        })
        .collect();
    format!(
        "<h2><a href=\"#tag-{0}\">{1}</a></h2><ul>{items}</ul>",
        slug(tag),
        escaped(&capitalised(tag))
    )
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn parameters(operation: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&operation["parameters"])
        .iter()
        .map(|parameter| {
            let need = if parameter["required"] == true {
                ""
            } else {
                ", optional"
            };
            vec![
                code(words(parameter, "name")),
                format!("{}{need}", escaped(words(parameter, "in"))),
                inline(words(parameter, "description")),
            ]
        })
        .collect();
    table("Parameters", &["Name", "Where", "Meaning"], &rows)
}

/// The JSON form of a body, or else its first form.
fn preferred(content: &Value) -> Option<(&str, &Value)> {
    let forms = content.as_object()?;
    forms
        .get_key_value("application/json")
        .or_else(|| forms.iter().next())
        .map(|(kind, media)| (kind.as_str(), media))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
