//! Configuration: environment variables, read once, each wrong one named.

/// What the functions are told by their environment. Every variable begins with `TRIBUTARY_`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TRIBUTARY_MAIN_TABLE`: everything but clicks.
    pub main_table: String,
    /// `TRIBUTARY_CLICKS_TABLE`.
    pub clicks_table: String,
    /// `TRIBUTARY_COMMISSIONS_QUEUE_URL`.
    pub commissions_queue_url: String,
    /// `TRIBUTARY_PAYOUTS_QUEUE_URL`.
    pub payouts_queue_url: String,
    /// `TRIBUTARY_CHANNEL_QUEUE_URL`.
    pub channel_queue_url: String,
    /// `TRIBUTARY_MAIL_SENDER`: whom mails come from; without it none is sent.
    pub mail_sender: String,
    /// `TRIBUTARY_FIRST_OPERATOR`: the address of the operator who is invited before there is any; with it the first
    /// one signs in, as `admin`.
    pub first_operator: String,
    /// `TRIBUTARY_PUBLIC_BASE_URL`: what tracking links begin with, without a slash at the end.
    pub public_base_url: String,
    /// `TRIBUTARY_CLICK_PARAM`: the query parameter that carries the click id, `tclid` unless told.
    pub click_param: String,
}

/// A variable that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {variable} {reason}")]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Config {
    /// Reads variables through `lookup`. A function that is not told of a table or queue does not use it.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let given = |variable: &'static str| lookup(variable).filter(|value| !value.is_empty());
        let public_base_url = given("TRIBUTARY_PUBLIC_BASE_URL")
            .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        if !public_base_url.starts_with("https://") && !public_base_url.starts_with("http://") {
            return Err(ConfigError {
                variable: "TRIBUTARY_PUBLIC_BASE_URL",
                reason: "must be an http(s) address",
            });
        }
        let click_param = given("TRIBUTARY_CLICK_PARAM").unwrap_or_else(|| "tclid".to_owned());
        if !click_param
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        {
            return Err(ConfigError {
                variable: "TRIBUTARY_CLICK_PARAM",
                reason: "must be letters, digits, _ or -",
            });
        }
        Ok(Self {
            main_table: given("TRIBUTARY_MAIN_TABLE").unwrap_or_default(),
            clicks_table: given("TRIBUTARY_CLICKS_TABLE").unwrap_or_default(),
            commissions_queue_url: given("TRIBUTARY_COMMISSIONS_QUEUE_URL").unwrap_or_default(),
            payouts_queue_url: given("TRIBUTARY_PAYOUTS_QUEUE_URL").unwrap_or_default(),
            channel_queue_url: given("TRIBUTARY_CHANNEL_QUEUE_URL").unwrap_or_default(),
            mail_sender: given("TRIBUTARY_MAIL_SENDER").unwrap_or_default(),
            first_operator: given("TRIBUTARY_FIRST_OPERATOR").unwrap_or_default(),
            public_base_url: public_base_url.trim_end_matches('/').to_owned(),
            click_param,
        })
    }
}
