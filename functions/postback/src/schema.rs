//! What postbacks and their answers look like.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use tributary::commissions::view::OutcomeView;
use utoipa::{IntoParams, ToSchema};

/// A conversion in Tributary's own names.
#[derive(ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(as = Postback, example = json!({"click_id": "AQEAaSGkAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm", "transaction_id": "order-1001", "amount": "49.00", "currency": "GBP"}))]
pub struct PostbackBody {
    /// The click id that the visitor arrived with. It or `coupon` is required, save for reversals.
    pub click_id: Option<String>,
    /// The coupon that was used, at most 64 characters.
    pub coupon: Option<String>,
    /// Your id of the transaction, at most 128 characters. With program and event it makes the conversion.
    pub transaction_id: String,
    /// What happened: `sale` unless told.
    pub event: Option<String>,
    /// The amount as a decimal string in the program's currency, without tax and shipping if those pay nothing.
    pub amount: Option<String>,
    /// The amount's currency; must be the program's.
    pub currency: Option<String>,
    /// How many, 1 to 100000; 1 unless told.
    #[schema(minimum = 1, maximum = 100_000)]
    pub quantity: Option<u32>,
    /// Your reference of the customer, such as a number or an email address. Only a keyed hash of it is kept.
    pub customer: Option<String>,
    /// `approved` (unless told), `pending` or `reversed`.
    pub status: Option<String>,
    /// Your id of a reversal; `full` unless told.
    pub reversal_id: Option<String>,
    /// When it happened, RFC 3339; now unless told. At most five minutes ahead and 400 days back.
    pub occurred_at: Option<String>,
    /// Kept with the conversion, at most 128 characters.
    pub sub1: Option<String>,
    /// Kept with the conversion.
    pub sub2: Option<String>,
    /// Kept with the conversion.
    pub sub3: Option<String>,
    /// Kept with the conversion.
    pub sub4: Option<String>,
    /// Kept with the conversion.
    pub sub5: Option<String>,
}

/// What became of a postback.
#[derive(Serialize, ToSchema)]
#[schema(as = PostbackReceipt, example = json!({"conversion": "cnv_5xk0w4w4d6r8zq2m3n7p9t1v3y", "status": "accepted"}))]
pub struct ReceiptView {
    /// The conversion.
    pub conversion: String,
    /// `accepted`, `duplicate`, `approved`, `reversed` or `kept`.
    pub status: &'static str,
}

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
