//! What postbacks and their answers look like.

use std::collections::BTreeMap;

use serde::Serialize;
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
    /// The amount as a decimal string, without tax and shipping if those pay nothing. Of a reversal: how much
    /// is taken back, a part of the conversion's amount or all of it; absent, all that is left.
    pub amount: Option<String>,
    /// The currency of all amounts, any of ISO 4217; the program's unless told.
    pub currency: Option<String>,
    /// The margin in the amount, for plans that pay a share of it.
    pub margin: Option<String>,
    /// The net revenue in the amount, for plans that pay a share of it.
    pub net_revenue: Option<String>,
    /// Bonuses given to the customer, which net gaming revenue is less.
    pub bonuses: Option<String>,
    /// Fees, which net gaming revenue is less.
    pub fees: Option<String>,
    /// Chargebacks, which net gaming revenue is less.
    pub chargebacks: Option<String>,
    /// How many, 1 to 100000; 1 unless told.
    #[schema(minimum = 1, maximum = 100_000)]
    pub quantity: Option<u32>,
    /// Your reference of the customer, such as a number or an email address. Only a keyed hash of it is kept.
    pub customer: Option<String>,
    /// The customer's account in your CRM. By it, the tax id, the domain and the mailbox a conversion finds who
    /// registered a claim to the customer; only keyed hashes of them are kept.
    pub customer_crm_id: Option<String>,
    /// The customer's tax or VAT id.
    pub customer_tax_id: Option<String>,
    /// The customer's domain or website.
    pub customer_domain: Option<String>,
    /// The customer's mailbox.
    pub customer_email: Option<String>,
    /// Whether the customer is `new` or `returning`.
    pub customer_type: Option<String>,
    /// The customer's country, an ISO 3166 two-letter code.
    pub country: Option<String>,
    /// What was sold, at most 64 characters.
    pub product: Option<String>,
    /// Up to ten further fields for plans to look at: names of 1 to 32 lower-case letters, digits and `_`,
    /// values of at most 128 characters. In a query or form each is a field `meta.<name>`.
    #[param(rename = "meta.<name>", value_type = Option<String>)]
    pub meta: Option<BTreeMap<String, String>>,
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
