//! Reading requests: every wrong field at once, each with its code and reason; unknown fields refused.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts as RequestParts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::mailer::ascii_address;
use super::problem::{Code, Problem, codes};
use crate::clock::{self, Timestamp};
use crate::money::{Currency, Money, MoneyError, Rate};

/// Bytes of a request body: far above any request here, far below what a function can hold.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Characters of an email address (RFC 5321).
const MAX_EMAIL: usize = 254;

/// A JSON body, parsed but not yet read.
#[derive(Clone, Debug)]
pub struct Body(pub Value);

/// A query string's pairs as an object of strings; a name given twice is refused.
#[derive(Clone, Debug)]
pub struct Query(pub Value);

/// The bytes of a body.
///
/// # Errors
/// `body_too_large`, `malformed_body`.
pub async fn read_limited(request: Request) -> Result<Bytes, Problem> {
    read_up_to(request, MAX_BODY_BYTES).await
}

/// The bytes of a body that is a file, with a limit of its own.
///
/// # Errors
/// `body_too_large`, `malformed_body`.
pub async fn read_up_to(request: Request, most: usize) -> Result<Bytes, Problem> {
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            codes::BODY_TOO_LARGE,
            format!("a body has at most {most} bytes"),
        )),
        Err(_) => Err(Problem::new(codes::MALFORMED_BODY, "the body broke off")),
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let bytes = read_limited(request).await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(Map::new())));
        }
        // An absent content type is read as JSON: hand-written requests forget it.
        if !(essence.is_empty() || essence == "application/json" || essence.ends_with("+json")) {
            return Err(Problem::new(
                codes::UNSUPPORTED_MEDIA_TYPE,
                "send application/json",
            ));
        }
        super::json::parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// A part of a query as it was meant: blanks for plus signs, percent signs undone; `None` when that is no UTF-8.
fn plain(part: &str) -> Option<String> {
    let spaced = part.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced);
    decoded.decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

impl Query {
    /// Reads `a=1&b=2`, as in a query string or a form body.
    ///
    /// # Errors
    /// `malformed_query`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        Self::parse_known(text, |_| true)
    }

    /// The same, of which only some names matter: what is not UTF-8 under another name is left out.
    ///
    /// # Errors
    /// `malformed_query`.
    pub fn parse_known(text: &str, matters: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let mut map = Map::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = plain(name) else {
                // No name that matters is spelt so.
                if !matters("") {
                    continue;
                }
                let reason = "a parameter's name is not UTF-8";
                return Err(Problem::new(codes::MALFORMED_QUERY, reason));
            };
            // Read for what it is or not at all: two orders must not become one by what replaces their letters.
            let Some(value) = plain(value) else {
                if !matters(&name) {
                    continue;
                }
                let reason = "is not UTF-8 behind its percent signs";
                return Err(Problem::field(codes::MALFORMED_QUERY, name, reason));
            };
            if map.contains_key(&name) {
                return Err(Problem::new(
                    codes::MALFORMED_QUERY,
                    format!("{name} is given twice"),
                ));
            }
            map.insert(name, Value::String(value));
        }
        Ok(Self(Value::Object(map)))
    }

    /// Goes on only if no other parameters than these were given.
    ///
    /// # Errors
    /// `unknown_field`, naming each.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let given = self.0.as_object().into_iter().flat_map(Map::keys);
        let unknown: Vec<_> = given
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| {
                let reason = format!("is not known here; known are: {}", known.join(", "));
                (codes::UNKNOWN_FIELD, name.clone(), reason)
            })
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Problem::fields(unknown))
        }
    }

    /// A parameter as an id.
    ///
    /// # Errors
    /// `id_malformed`.
    pub fn id<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Problem::field(codes::ID_MALFORMED, name, codes::ID_MALFORMED.meaning)
                })
            })
            .transpose()
    }

    /// One value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

/// A segment of the path as an id. What is no id of that kind names nothing.
///
/// # Errors
/// `not_found`.
pub fn path_id<T: FromStr>(segment: &str, what: &str) -> Result<T, Problem> {
    segment.parse().map_err(|_| Problem::not_found(what))
}

/// What the path holds in place of its braces. A path that is not UTF-8 behind its percent signs names nothing.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(held)| Self(held))
            .map_err(|_| Problem::not_found("page"))
    }
}

/// A body that must be empty or an empty object: for requests that say everything in their path.
#[derive(Clone, Copy, Debug)]
pub struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body(body) = Body::from_request(request, state).await?;
        Fields::read(&body, |_| Some(Self))
    }
}

/// A reader over one JSON object that notes every error and every field it was asked for.
///
/// A getter answers `None` for an error, which it has noted, or for an absent optional field; the result
/// of [`Fields::read`] escapes only when nothing was noted.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    known: Vec<&'static str>,
    wrong: Vec<(Code, String, String)>,
    texts: bool,
}

impl<'a> Fields<'a> {
    /// Reads an object by `read`, then refuses what `read` did not ask for.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn read<T>(
        value: &'a Value,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Problem> {
        Self::read_as(value, false, read)
    }

    /// The same over query or form pairs, where numbers are texts.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn read_pairs<T>(
        value: &'a Value,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Problem> {
        Self::read_as(value, true, read)
    }

    fn read_as<T>(
        value: &'a Value,
        texts: bool,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Problem> {
        let Value::Object(map) = value else {
            return Err(Problem::new(codes::WRONG_TYPE, "the body is a JSON object"));
        };
        let mut fields = Self {
            map,
            path: String::new(),
            known: Vec::new(),
            wrong: Vec::new(),
            texts,
        };
        let value = read(&mut fields);
        fields.refuse_unknown();
        match value {
            Some(value) if fields.wrong.is_empty() => Ok(value),
            _ if fields.wrong.is_empty() => Err(Problem::internal(
                &"a reader gave nothing and noted nothing",
            )),
            _ => Err(Problem::fields(fields.wrong)),
        }
    }

    fn refuse_unknown(&mut self) {
        let unknown: Vec<&String> = self
            .map
            .keys()
            .filter(|name| !self.known.contains(&name.as_str()))
            .collect();
        for name in unknown {
            let known = self.known.join(", ");
            self.wrong.push((
                codes::UNKNOWN_FIELD,
                self.at(name),
                format!("is not known here; known are: {known}"),
            ));
        }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Notes an error of a field.
    pub fn refuse(&mut self, code: Code, name: &str, reason: impl Into<String>) {
        self.wrong.push((code, self.at(name), reason.into()));
    }

    /// Whether anything was noted so far.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The raw value; `null` counts as absent.
    pub fn raw(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there at all, `null` included: for changes that clear a field.
    pub fn mentions(&mut self, name: &'static str) -> bool {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.map.contains_key(name)
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if self.raw(name).is_none() {
            self.refuse(codes::REQUIRED, name, "is missing");
            return None;
        }
        read(self, name)
    }

    /// An optional text of 1 to `max` characters, without control characters.
    pub fn opt_text(&mut self, name: &'static str, max: usize) -> Option<String> {
        let value = self.raw(name)?;
        self.sound_text(name, value, max).map(str::to_owned)
    }

    fn sound_text<'v>(&mut self, name: &str, value: &'v Value, max: usize) -> Option<&'v str> {
        self.checked_text(name, value, max, |_| false)
    }

    /// A text without control characters but those that `allowed` names.
    fn checked_text<'v>(
        &mut self,
        name: &str,
        value: &'v Value,
        max: usize,
        allowed: impl Fn(char) -> bool,
    ) -> Option<&'v str> {
        let Value::String(text) = value else {
            self.refuse(codes::WRONG_TYPE, name, "is a string");
            return None;
        };
        if text.trim().is_empty() {
            self.refuse(codes::TOO_SHORT, name, "is empty");
            return None;
        }
        if text.chars().count() > max {
            self.refuse(
                codes::TOO_LONG,
                name,
                format!("has at most {max} characters"),
            );
            return None;
        }
        if text.chars().any(|c| c.is_control() && !allowed(c)) {
            self.refuse(codes::CHARACTERS_REFUSED, name, "has no control characters");
            return None;
        }
        Some(text)
    }

    /// A text of one or more lines.
    pub fn prose(&mut self, name: &'static str, max: usize) -> Option<String> {
        self.required(name, |fields, name| {
            let value = fields.raw(name)?;
            let lines = |c: char| matches!(c, '\n' | '\r' | '\t');
            fields
                .checked_text(name, value, max, lines)
                .map(str::to_owned)
        })
    }

    /// A text.
    pub fn text(&mut self, name: &'static str, max: usize) -> Option<String> {
        self.required(name, |fields, name| fields.opt_text(name, max))
    }

    /// An optional text that `parse` must accept, or else `code` with `reason`.
    pub fn opt_parsed<T>(
        &mut self,
        name: &'static str,
        max: usize,
        code: Code,
        reason: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.opt_text(name, max)?;
        let value = parse(&text);
        if value.is_none() {
            self.refuse(code, name, reason);
        }
        value
    }

    /// A text that `parse` must accept.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        max: usize,
        code: Code,
        reason: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.required(name, |fields, name| {
            fields.opt_parsed(name, max, code, reason, parse)
        })
    }

    /// An optional id.
    pub fn opt_id<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.opt_parsed(
            name,
            64,
            codes::ID_MALFORMED,
            codes::ID_MALFORMED.meaning,
            |text| text.parse().ok(),
        )
    }

    /// An id.
    pub fn id<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.required(name, Self::opt_id)
    }

    /// One of a few words, or nothing.
    pub fn opt_choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.opt_text(name, 64)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.refuse(
                codes::NOT_ONE_OF,
                name,
                format!("is one of: {}", words.join(", ")),
            );
        }
        found
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.required(name, |fields, name| fields.opt_choice(name, choices))
    }

    /// An optional whole number in a range.
    pub fn opt_integer(&mut self, name: &'static str, low: i64, high: i64) -> Option<i64> {
        let number = match self.raw(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) if self.texts => text.parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.refuse(codes::WRONG_TYPE, name, "is a whole number");
            return None;
        };
        if !(low..=high).contains(&number) {
            self.refuse(
                codes::OUT_OF_RANGE,
                name,
                format!("is from {low} to {high}"),
            );
            return None;
        }
        Some(number)
    }

    /// A whole number in a range.
    pub fn integer(&mut self, name: &'static str, low: i64, high: i64) -> Option<i64> {
        self.required(name, |fields, name| fields.opt_integer(name, low, high))
    }

    /// An optional truth value.
    pub fn opt_flag(&mut self, name: &'static str) -> Option<bool> {
        match self.raw(name)? {
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.refuse(codes::WRONG_TYPE, name, "is true or false");
                None
            }
        }
    }

    fn decimal_text(&mut self, name: &'static str) -> Option<&'a str> {
        match self.raw(name)? {
            Value::String(text) => Some(text),
            Value::Number(_) => {
                self.refuse(
                    codes::DECIMAL_STRING_EXPECTED,
                    name,
                    "is a decimal string such as \"25.00\", not a number",
                );
                None
            }
            _ => {
                self.refuse(
                    codes::WRONG_TYPE,
                    name,
                    "is a decimal string such as \"25.00\"",
                );
                None
            }
        }
    }

    fn money_result<T>(&mut self, name: &'static str, result: Result<T, MoneyError>) -> Option<T> {
        result
            .map_err(|error| self.refuse(error.into(), name, error.to_string()))
            .ok()
    }

    /// An optional amount from zero up.
    pub fn opt_amount(&mut self, name: &'static str, currency: Currency) -> Option<Money> {
        let text = self.decimal_text(name)?;
        self.money_result(name, Money::parse(text, currency))
    }

    /// An amount from zero up.
    pub fn amount(&mut self, name: &'static str, currency: Currency) -> Option<Money> {
        self.required(name, |fields, name| fields.opt_amount(name, currency))
    }

    /// An optional rate from 0 to 1.
    pub fn opt_rate(&mut self, name: &'static str) -> Option<Rate> {
        let text = self.decimal_text(name)?;
        let rate = self.money_result(name, text.parse::<Rate>())?;
        if rate.decimal() > rust_decimal::Decimal::ONE {
            self.refuse(
                codes::RATE_OVER_LIMIT,
                name,
                "is from 0 to 1; \"0.20\" is 20 %",
            );
            return None;
        }
        Some(rate)
    }

    /// A rate from 0 to 1.
    pub fn rate(&mut self, name: &'static str) -> Option<Rate> {
        self.required(name, Self::opt_rate)
    }

    /// An optional currency code.
    pub fn opt_currency(&mut self, name: &'static str) -> Option<Currency> {
        let reason = codes::CURRENCY_UNKNOWN.meaning;
        self.opt_parsed(name, 8, codes::CURRENCY_UNKNOWN, reason, |text| {
            text.parse().ok()
        })
    }

    /// A currency code.
    pub fn currency(&mut self, name: &'static str) -> Option<Currency> {
        self.required(name, Self::opt_currency)
    }

    /// An optional RFC 3339 time.
    pub fn opt_time(&mut self, name: &'static str) -> Option<Timestamp> {
        let reason = "is an RFC 3339 time such as 2026-11-23T07:00:00Z";
        self.opt_parsed(name, 64, codes::TIME_MALFORMED, reason, clock::parse)
    }

    /// An RFC 3339 time.
    pub fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        self.required(name, Self::opt_time)
    }

    /// An email address: one @ with something on both sides and no blanks. More is the mail server's to say.
    pub fn email(&mut self, name: &'static str) -> Option<String> {
        self.parsed(
            name,
            MAX_EMAIL,
            codes::EMAIL_MALFORMED,
            codes::EMAIL_MALFORMED.meaning,
            |text| {
                let (local, domain) = text.rsplit_once('@')?;
                let sound = !local.is_empty()
                    && !local.contains('@')
                    && domain.contains('.')
                    && !domain.starts_with('.')
                    && !domain.ends_with('.')
                    && !text.contains(char::is_whitespace);
                sound.then(|| text.to_owned())
            },
        )
    }

    /// An email address that mails are sent to: one that mail services take, with letters of ASCII in front of the
    /// @, and behind it a domain that has an ASCII form, whatever its letters.
    pub fn mailbox(&mut self, name: &'static str) -> Option<String> {
        let text = self.email(name)?;
        if ascii_address(&text).is_none() {
            let reason = "has letters that mail services do not take: in front of the @ those of ASCII alone, \
                          and behind it a domain";
            self.refuse(codes::EMAIL_MALFORMED, name, reason);
            return None;
        }
        Some(text)
    }

    /// An object within, read by `read`; its unknown fields are refused too.
    pub fn opt_object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = self.raw(name)?;
        self.nested(value, self.at(name), read)
    }

    /// An object within.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Option<T> {
        self.required(name, |fields, name| fields.opt_object(name, read))
    }

    /// A list of `min` to `max` objects, each read by `read`.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
        read: impl FnMut(&mut Fields<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.required(name, |fields, name| {
            fields.opt_objects(name, min, max, read)
        })
    }

    /// An optional list of objects.
    pub fn opt_objects<T>(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
        mut read: impl FnMut(&mut Fields<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.raw(name)?;
        let values = self.list(name, min, max)?;
        let mut found = Vec::with_capacity(values.len());
        for (position, value) in values.iter().enumerate() {
            let path = format!("{}[{position}]", self.at(name));
            found.push(self.nested(value, path, &mut read));
        }
        found.into_iter().collect()
    }

    /// An optional object of at most `max` texts under names of the caller's own, each of 1 to `max_chars`
    /// characters; `check` gives the reason against a name.
    pub fn opt_text_map(
        &mut self,
        name: &'static str,
        max: usize,
        max_chars: usize,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<BTreeMap<String, String>> {
        let Value::Object(map) = self.raw(name)? else {
            self.refuse(codes::WRONG_TYPE, name, "is an object");
            return None;
        };
        if map.len() > max {
            self.refuse(codes::TOO_LONG, name, format!("has at most {max} fields"));
            return None;
        }
        let mut found = BTreeMap::new();
        for (key, value) in map {
            let path = format!("{name}.{key}");
            if let Err(reason) = check(key) {
                self.refuse(codes::CHARACTERS_REFUSED, &path, reason);
                continue;
            }
            if let Some(text) = self.sound_text(&path, value, max_chars) {
                found.insert(key.clone(), text.to_owned());
            }
        }
        (found.len() == map.len()).then_some(found)
    }

    /// An optional list of texts.
    pub fn opt_texts(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
        max_chars: usize,
    ) -> Option<Vec<String>> {
        self.raw(name)?;
        let values = self.list(name, min, max)?;
        let mut found = Vec::with_capacity(values.len());
        for (position, value) in values.iter().enumerate() {
            match value.as_str() {
                Some(text) if !text.trim().is_empty() && text.chars().count() <= max_chars => {
                    found.push(text.to_owned())
                }
                Some(_) => {
                    let path = format!("{name}[{position}]");
                    self.refuse(
                        codes::TOO_LONG,
                        &path,
                        format!("has 1 to {max_chars} characters"),
                    );
                }
                None => self.refuse(
                    codes::WRONG_TYPE,
                    &format!("{name}[{position}]"),
                    "is a string",
                ),
            }
        }
        (found.len() == values.len()).then_some(found)
    }

    /// A list of texts.
    pub fn texts(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
        max_chars: usize,
    ) -> Option<Vec<String>> {
        self.required(name, |fields, name| {
            fields.opt_texts(name, min, max, max_chars)
        })
    }

    fn list(&mut self, name: &'static str, min: usize, max: usize) -> Option<&'a Vec<Value>> {
        let Some(values) = self.raw(name)?.as_array() else {
            self.refuse(codes::WRONG_TYPE, name, "is a list");
            return None;
        };
        if values.len() < min {
            self.refuse(
                codes::TOO_SHORT,
                name,
                format!("has at least {min} entries"),
            );
            return None;
        }
        if values.len() > max {
            self.refuse(codes::TOO_LONG, name, format!("has at most {max} entries"));
            return None;
        }
        Some(values)
    }

    fn nested<T>(
        &mut self,
        value: &'a Value,
        path: String,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Option<T> {
        let Value::Object(map) = value else {
            self.wrong
                .push((codes::WRONG_TYPE, path, "is an object".to_owned()));
            return None;
        };
        let mut inner = Fields {
            map,
            path,
            known: Vec::new(),
            wrong: Vec::new(),
            texts: self.texts,
        };
        let found = read(&mut inner);
        inner.refuse_unknown();
        let sound = inner.wrong.is_empty();
        self.wrong.append(&mut inner.wrong);
        found.filter(|_| sound)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = json!({"name": "", "amount": 25, "inner": {"rate": "1.5", "odd": 1}, "list": [{"n": 0}], "extra": true});
        let problem = Fields::read(&body, |f| {
            let gbp: Currency = "GBP".parse().unwrap();
            let name = f.text("name", 10);
            let amount = f.amount("amount", gbp);
            let rate = f.object("inner", |f| f.rate("rate"));
            let list = f.objects("list", 1, 2, |f| f.integer("n", 1, 9));
            let missing = f.email("email");
            Some((name?, amount?, rate?, list?, missing?))
        })
        .unwrap_err();
        let told: Vec<(&str, &str)> = problem
            .errors()
            .iter()
            .map(|e| (e.field.as_str(), e.code))
            .collect();
        assert_eq!(
            told,
            [
                ("name", "too_short"),
                ("amount", "decimal_string_expected"),
                ("inner.rate", "rate_over_limit"),
                ("inner.odd", "unknown_field"),
                ("list[0].n", "out_of_range"),
                ("email", "required"),
                ("extra", "unknown_field"),
            ]
        );
        assert_eq!(problem.code().name, "invalid");
    }

    #[test]
    fn a_single_error_lends_its_code_to_the_problem() {
        let problem = Fields::read(&json!({"a": 1}), |f| f.text("a", 5)).unwrap_err();
        assert_eq!(problem.code().name, "wrong_type");
    }

    #[test]
    fn mailboxes_are_those_that_mail_services_take() {
        let read = |text: &str| Fields::read(&json!({"e": text}), |f| f.mailbox("e")).is_ok();
        for sound in [
            "ada@example.com",
            "ada@b\u{fc}cher.example",
            "ada@\u{4f8b}\u{3048}.jp",
        ] {
            assert!(read(sound), "{sound}");
        }
        for wrong in [
            "j\u{fc}rgen@example.com",
            "ada@b\u{fc}cher_%.example",
            "ada@example",
        ] {
            assert!(!read(wrong), "{wrong}");
        }
    }

    #[test]
    fn emails_are_checked_for_their_shape() {
        let read = |text: &str| Fields::read(&json!({"e": text}), |f| f.email("e")).is_ok();
        assert!(read("ada@example.com"));
        for wrong in [
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "a b@example.com",
            "a@b@example.com",
            "ada@.com",
        ] {
            assert!(!read(wrong), "{wrong}");
        }
    }
}
