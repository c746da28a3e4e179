//! What a postback that is tried out and its answer look like.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use tributary::commissions::view::OutcomeView;
use utoipa::ToSchema;

/// A postback to try out.
#[derive(ToSchema)]
#[schema(as = PostbackTest, example = json!({"method": "GET", "url": "https://track.vendor.example/v1/postbacks/prg_01kar52v4e8qzr5n3m6x7p9tdc?click_id=AQEAaSGkAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm&transaction_id=order-1001&amount=49.00"}))]
pub struct PostbackTestBody {
    /// `GET` or `POST`; `POST` unless told when there is a body.
    pub method: Option<String>,
    /// The whole address; its query is read.
    pub url: Option<String>,
    /// The query alone, instead of an address.
    pub query: Option<String>,
    /// Headers by name; `Content-Type` says how the body is read. Tokens and signatures are not needed here.
    pub headers: Option<BTreeMap<String, String>>,
    /// The body: an object, or a text as it would be sent.
    pub body: Option<Value>,
}

/// How a postback would be read, attributed and paid. Nothing was changed.
#[derive(Serialize, ToSchema)]
#[schema(as = PostbackTestResult)]
pub struct TestView {
    /// The dialect it was read in.
    pub dialect: &'static str,
    /// The fields in Tributary's names, as they were posted.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
    /// Names that stand for another: ours, and the posted one.
    pub renamed: Vec<RenamedView>,
    /// Posted names that nothing is read from.
    pub ignored: Vec<String>,
    /// The conversion that it is about.
    pub conversion: String,
    /// What it would come to: `accepted`, `duplicate`, `approved`, `reversed`, `kept` or `transaction_mismatch`.
    pub status: &'static str,
    /// The fields that contradict what was reported before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatch: Vec<&'static str>,
    /// How it would be attributed and paid; absent for a reversal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeView>,
}

/// A name that stands for another.
#[derive(Serialize, ToSchema)]
#[schema(as = RenamedField)]
pub struct RenamedView {
    /// Ours.
    pub ours: &'static str,
    /// The posted one.
    pub theirs: &'static str,
}
