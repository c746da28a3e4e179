//! How trackers name what they post, as one table, and the pure mapping of theirs to our names.

use serde_json::{Map, Value};

use super::model::DEFAULT_EVENT;
use super::posting::META_PREFIX;
use crate::programs::model::Dialect;

/// One of our fields and the names that a dialect has for it, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldNames {
    /// Our name.
    pub ours: &'static str,
    /// The dialect's names.
    pub theirs: &'static [&'static str],
}

/// One dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialectTable {
    /// Which.
    pub dialect: Dialect,
    /// Its name on the wire.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Where the postback token may stand in the query or body.
    pub tokens: &'static [&'static str],
    /// The fields that are read. Others are refused in the native dialect and ignored in all others, because
    /// trackers send many.
    pub fields: &'static [FieldNames],
    /// The words of its `status` and what they mean here.
    pub statuses: &'static [(&'static str, &'static str)],
    /// What else there is to know.
    pub note: &'static str,
}

impl DialectTable {
    /// Whether a name that its trackers send is read here: as a field, a token, or a word for a status.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        // Metadata stands under names that no tracker has of its own.
        if name.starts_with(META_PREFIX) {
            return true;
        }
        let declares = DECLARED.iter().any(|(declared, _)| *declared == name);
        self.tokens.contains(&name)
            || self.fields.iter().any(|field| field.theirs.contains(&name))
            || (self.dialect == Dialect::Keitaro && (declares || KEITARO_AMOUNTS.contains(&name)))
    }
}

/// What Keitaro calls the amount where its payout is one.
const KEITARO_AMOUNTS: [&str; 3] = ["payout", "revenue", "amount"];

/// Keitaro's parameters that declare further words for a status.
const DECLARED: [(&str, &str); 3] = [
    ("lead_status", "pending"),
    ("sale_status", "approved"),
    ("rejected_status", "reversed"),
];

const fn names(ours: &'static str, theirs: &'static [&'static str]) -> FieldNames {
    FieldNames { ours, theirs }
}

const OUR_STATUSES: &[(&str, &str)] = &[
    ("approved", "approved"),
    ("pending", "pending"),
    ("reversed", "reversed"),
];

const NATIVE: DialectTable = DialectTable {
    dialect: Dialect::Native,
    name: "native",
    title: "Tributary",
    tokens: &["token"],
    fields: &[
        names("click_id", &["click_id"]),
        names("coupon", &["coupon"]),
        names("transaction_id", &["transaction_id"]),
        names("event", &["event"]),
        names("amount", &["amount"]),
        names("currency", &["currency"]),
        names("margin", &["margin"]),
        names("net_revenue", &["net_revenue"]),
        names("bonuses", &["bonuses"]),
        names("fees", &["fees"]),
        names("chargebacks", &["chargebacks"]),
        names("quantity", &["quantity"]),
        names("customer", &["customer"]),
        names("customer_crm_id", &["customer_crm_id"]),
        names("customer_tax_id", &["customer_tax_id"]),
        names("customer_domain", &["customer_domain"]),
        names("customer_email", &["customer_email"]),
        names("customer_type", &["customer_type"]),
        names("country", &["country"]),
        names("product", &["product"]),
        names("meta", &["meta"]),
        names("status", &["status"]),
        names("reversal_id", &["reversal_id"]),
        names("occurred_at", &["occurred_at"]),
        names("sub1", &["sub1"]),
        names("sub2", &["sub2"]),
        names("sub3", &["sub3"]),
        names("sub4", &["sub4"]),
        names("sub5", &["sub5"]),
    ],
    statuses: OUR_STATUSES,
    note: "Unknown fields are refused.",
};

const EVERFLOW: DialectTable = DialectTable {
    dialect: Dialect::Everflow,
    name: "everflow",
    title: "Everflow",
    tokens: &["verification_token", "token"],
    fields: &[
        names(
            "click_id",
            &[
                "transaction_id",
                "_ef_transaction_id",
                "aff_sub",
                "click_id",
            ],
        ),
        names("coupon", &["coupon_code", "coupon"]),
        names("transaction_id", &["order_id", "adv_unique1"]),
        names("event", &["event_id", "adv_event_id", "event"]),
        names("amount", &["amount"]),
        names("currency", &["currency"]),
        names("quantity", &["quantity"]),
        names("customer", &["user_id", "email", "customer"]),
        names("status", &["status"]),
        names("reversal_id", &["reversal_id"]),
        names("occurred_at", &["occurred_at"]),
        names("meta", &["meta"]),
        names("sub1", &["adv1", "sub1"]),
        names("sub2", &["adv2", "sub2"]),
        names("sub3", &["adv3", "sub3"]),
        names("sub4", &["adv4", "sub4"]),
        names("sub5", &["adv5", "sub5"]),
    ],
    statuses: OUR_STATUSES,
    note: "Without an order id, a click has one conversion per event. The event's number is its name here; \
           without one, or with 0, it is `sale`.",
};

const TUNE: DialectTable = DialectTable {
    dialect: Dialect::Tune,
    name: "tune",
    title: "TUNE (HasOffers)",
    tokens: &["security_token", "token"],
    fields: &[
        names("click_id", &["transaction_id", "aff_sub", "click_id"]),
        names("coupon", &["promo_code", "coupon"]),
        names("transaction_id", &["order_id", "adv_unique1"]),
        names("event", &["goal_id", "event_id", "event"]),
        names("amount", &["amount"]),
        names("currency", &["currency"]),
        names("quantity", &["quantity"]),
        names("customer", &["user_id", "customer"]),
        names("status", &["status"]),
        names("reversal_id", &["reversal_id"]),
        names("occurred_at", &["occurred_at"]),
        names("meta", &["meta"]),
        names("sub1", &["adv_sub", "sub1"]),
        names("sub2", &["adv_sub2", "sub2"]),
        names("sub3", &["adv_sub3", "sub3"]),
        names("sub4", &["adv_sub4", "sub4"]),
        names("sub5", &["adv_sub5", "sub5"]),
    ],
    statuses: OUR_STATUSES,
    note: "Without an order id, a click has one conversion per goal. The goal's number is the event's name \
           here; without one, or with 0, it is `sale`.",
};

const KEITARO: DialectTable = DialectTable {
    dialect: Dialect::Keitaro,
    name: "keitaro",
    title: "Keitaro",
    tokens: &["token"],
    fields: &[
        names("click_id", &["subid", "click_id"]),
        names("coupon", &["coupon"]),
        names("transaction_id", &["tid"]),
        names("amount", &["amount"]),
        names("currency", &["currency"]),
        names("quantity", &["quantity"]),
        names("customer", &["customer"]),
        names("status", &["status"]),
        names("reversal_id", &["reversal_id"]),
        names("occurred_at", &["occurred_at"]),
        names("meta", &["meta"]),
        names("sub1", &["sub_id_1", "sub1"]),
        names("sub2", &["sub_id_2", "sub2"]),
        names("sub3", &["sub_id_3", "sub3"]),
        names("sub4", &["sub_id_4", "sub4"]),
        names("sub5", &["sub_id_5", "sub5"]),
    ],
    statuses: &[
        ("lead", "pending"),
        ("sale", "approved"),
        ("rebill", "approved"),
        ("rejected", "reversed"),
        ("approved", "approved"),
        ("pending", "pending"),
        ("reversed", "reversed"),
    ],
    note: "The event is always `sale`, so that lead, sale and rejected speak of one conversion: that of `tid`, \
           or of the click. `lead_status`, `sale_status` and `rejected_status` list further words for a status. \
           `payout` (or `revenue`) is what is owed to the partner; it is read as the amount only where the \
           program has `payout_is_amount`. A rejection's amount is not read.",
};

/// All dialects: what the documentation shows and the mapping follows.
#[must_use]
pub fn dialects() -> &'static [DialectTable] {
    const ALL: &[DialectTable] = &[NATIVE, EVERFLOW, TUNE, KEITARO];
    ALL
}

/// The table of one dialect.
#[must_use]
pub fn table(dialect: Dialect) -> &'static DialectTable {
    match dialect {
        Dialect::Native => &NATIVE,
        Dialect::Everflow => &EVERFLOW,
        Dialect::Tune => &TUNE,
        Dialect::Keitaro => &KEITARO,
    }
}

/// A postback in our names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapped {
    /// Our names with the posted values.
    pub fields: Map<String, Value>,
    /// Our name and the posted one, where they differ.
    pub renamed: Vec<(&'static str, &'static str)>,
    /// Posted names that nothing was read from.
    pub ignored: Vec<String>,
}

/// A click id has 62 characters of the URL-safe base 64 alphabet.
fn looks_like_a_click_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        text.len() == crate::edge::CLICK_ID_LEN
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

/// Trackers leave parameters empty that they have nothing for.
fn is_given(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// Says in our names what was posted in a dialect's. Reads no key and no clock: whether the values are
/// valid is for the reader that follows.
#[must_use]
pub fn map(dialect: Dialect, payout_is_amount: bool, posted: &Map<String, Value>) -> Mapped {
    if dialect == Dialect::Native {
        return Mapped {
            fields: posted.clone(),
            ..Mapped::default()
        };
    }
    let table = table(dialect);
    let mut mapped = Mapped::default();
    let mut read: Vec<&str> = Vec::new();
    for FieldNames { ours, theirs } in table.fields {
        let theirs: &[&str] =
            if *ours == "amount" && payout_is_amount && dialect == Dialect::Keitaro {
                &KEITARO_AMOUNTS
            } else {
                theirs
            };
        let mut given = theirs
            .iter()
            .filter_map(|name| Some((*name, posted.get(*name)?)))
            .filter(|(_, value)| is_given(value))
            // Number 0 is how a tracker names the base conversion.
            .filter(|(_, value)| *ours != "event" || !is_zero(value));
        // A network that relays our click id posts its own reference beside it.
        let chosen = if *ours == "click_id" {
            let first = given.clone().next();
            given
                .find(|(_, value)| looks_like_a_click_id(value))
                .or(first)
        } else {
            given.next()
        };
        let Some((name, value)) = chosen else {
            continue;
        };
        read.push(name);
        if name != *ours {
            mapped.renamed.push((ours, name));
        }
        mapped
            .fields
            .insert((*ours).to_owned(), in_our_form(ours, value));
    }
    if dialect == Dialect::Keitaro {
        read_status(table, posted, &mut mapped, &mut read);
        mapped
            .fields
            .insert("event".to_owned(), Value::from(DEFAULT_EVENT));
        // The currency of a payout that is not read says nothing about the sale.
        if !mapped.fields.contains_key("amount") && mapped.fields.remove("currency").is_some() {
            read.retain(|name| *name != "currency");
        }
    }
    if !mapped.fields.contains_key("transaction_id")
        && let Some(click) = mapped.fields.get("click_id").cloned()
    {
        // The conversion's id holds the event too, so this is one conversion per click and event.
        mapped.fields.insert("transaction_id".to_owned(), click);
    }
    mapped.ignored = posted
        .keys()
        .filter(|name| !read.contains(&name.as_str()))
        .cloned()
        .collect();
    mapped
}

fn is_zero(value: &Value) -> bool {
    value.as_u64() == Some(0) || value.as_str().is_some_and(|text| text.trim() == "0")
}

/// Ids and names that a tracker's JSON has as numbers are texts here; amounts stay as they are.
fn in_our_form(ours: &str, value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if ours != "amount" && ours != "quantity" => number.to_string(),
        other => return other.clone(),
    };
    Value::String(match ours {
        "event" | "status" => text.to_lowercase(),
        "currency" => text.to_uppercase(),
        _ => text,
    })
}

/// Keitaro's status, with the words that the postback itself declares.
fn read_status<'a>(
    table: &DialectTable,
    posted: &'a Map<String, Value>,
    mapped: &mut Mapped,
    read: &mut Vec<&'a str>,
) {
    let Some(word) = mapped
        .fields
        .get("status")
        .and_then(Value::as_str)
        .map(str::to_owned)
    else {
        return;
    };
    let declared = DECLARED.iter().find(|(name, _)| {
        posted
            .get(*name)
            .and_then(Value::as_str)
            .is_some_and(|words| {
                words
                    .split(',')
                    .any(|one| one.trim().eq_ignore_ascii_case(&word))
            })
    });
    read.extend(
        DECLARED
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| posted.contains_key(*name)),
    );
    let ours = declared.map(|(_, ours)| *ours).or_else(|| {
        let known = table.statuses.iter().find(|(theirs, _)| *theirs == word);
        known.map(|(_, ours)| *ours)
    });
    // A word that nobody declared stays, and is refused by the reader.
    let Some(ours) = ours else {
        return;
    };
    mapped.fields.insert("status".to_owned(), Value::from(ours));
    if ours == "reversed" {
        // Rejections carry a payout of nothing; a reversal here takes back what was credited.
        mapped.fields.remove("amount");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const CLICK: &str = "AQEAaSGkAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmAA";

    fn mapped(dialect: Dialect, posted: Value) -> Mapped {
        map(dialect, false, posted.as_object().unwrap())
    }

    fn fields(dialect: Dialect, posted: Value) -> Value {
        Value::Object(mapped(dialect, posted).fields)
    }

    #[test]
    fn everflow_orders_on_one_click_are_told_apart_by_their_order_id() {
        let post = |order: &str| {
            let posted = json!({"nid": "12", "transaction_id": CLICK, "order_id": order, "amount": "10.00", "event_id": "0"});
            fields(Dialect::Everflow, posted)
        };
        let expected =
            |order: &str| json!({"click_id": CLICK, "transaction_id": order, "amount": "10.00"});
        assert_eq!(post("A-1"), expected("A-1"));
        assert_eq!(post("A-2"), expected("A-2"));
    }

    #[test]
    fn without_an_order_id_the_click_stands_for_the_transaction() {
        let everflow = fields(
            Dialect::Everflow,
            json!({"transaction_id": CLICK, "event_id": 3, "order_id": ""}),
        );
        assert_eq!(
            everflow,
            json!({"click_id": CLICK, "transaction_id": CLICK, "event": "3"})
        );
        let tune = fields(
            Dialect::Tune,
            json!({"transaction_id": CLICK, "goal_id": "7"}),
        );
        assert_eq!(
            tune,
            json!({"click_id": CLICK, "transaction_id": CLICK, "event": "7"})
        );
    }

    #[test]
    fn a_network_that_relays_our_click_id_may_post_its_own_reference_beside_it() {
        let posted = json!({"transaction_id": "1027c887059b47bc69c699f45466b9", "aff_sub": CLICK, "adv_unique1": "O-1"});
        let mapped = mapped(Dialect::Tune, posted);
        assert_eq!(mapped.fields["click_id"], CLICK);
        assert_eq!(mapped.fields["transaction_id"], "O-1");
        assert_eq!(
            mapped.renamed,
            [("click_id", "aff_sub"), ("transaction_id", "adv_unique1")]
        );
        assert_eq!(mapped.ignored, ["transaction_id"]);
    }

    #[test]
    fn keitaro_lead_sale_and_rejected_speak_of_one_conversion() {
        for (word, ours) in [
            ("lead", "pending"),
            ("sale", "approved"),
            ("Rejected", "reversed"),
            ("rebill", "approved"),
        ] {
            let read = fields(
                Dialect::Keitaro,
                json!({"subid": CLICK, "status": word, "payout": "12.5", "currency": "usd"}),
            );
            let expected = json!({"click_id": CLICK, "transaction_id": CLICK, "event": "sale", "status": ours});
            assert_eq!(read, expected, "{word}");
        }
    }

    #[test]
    fn a_keitaro_payout_is_the_amount_only_where_the_program_says_so_and_never_of_a_rejection() {
        let post = |status: &str, payout_is_amount| {
            let posted = json!({"subid": CLICK, "tid": "T-1", "status": status, "payout": "12.50"});
            map(
                Dialect::Keitaro,
                payout_is_amount,
                posted.as_object().unwrap(),
            )
            .fields
            .remove("amount")
        };
        assert_eq!(post("sale", false), None);
        assert_eq!(post("sale", true), Some(json!("12.50")));
        assert_eq!(post("rejected", true), None);
    }

    #[test]
    fn keitaro_words_that_the_postback_declares_are_understood_and_others_stay() {
        let status = |posted: Value| fields(Dialect::Keitaro, posted)["status"].clone();
        let declared = json!({"subid": CLICK, "status": "billed", "sale_status": "paid,billed", "rejected_status": "fake"});
        assert_eq!(status(declared), "approved");
        assert_eq!(
            status(json!({"subid": CLICK, "status": "fake", "rejected_status": "canceled, fake"})),
            "reversed"
        );
        assert_eq!(status(json!({"subid": CLICK, "status": "odd"})), "odd");
    }

    #[test]
    fn numbers_in_a_trackers_json_are_ids_but_never_amounts() {
        let read = fields(
            Dialect::Tune,
            json!({"transaction_id": CLICK, "adv_unique1": 1001, "amount": 49.0}),
        );
        assert_eq!(
            read,
            json!({"click_id": CLICK, "transaction_id": "1001", "amount": 49.0})
        );
    }

    proptest! {
        #[test]
        fn native_posts_stay_as_they_are(posted in proptest::collection::btree_map("[a-z_]{1,12}", "[a-z0-9]{0,6}", 0..8)) {
            let posted: Map<String, Value> = posted.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
            prop_assert_eq!(map(Dialect::Native, false, &posted).fields, posted);
        }

        #[test]
        fn a_trackers_post_gives_our_names_alone_and_accounts_for_every_posted_one(
            which in 1_usize..4,
            payout_is_amount in any::<bool>(),
            picks in proptest::collection::vec((0_usize..40, "[a-z0-9]{0,6}"), 0..12),
        ) {
            let table = &dialects()[which];
            let names: Vec<&str> = table.fields.iter().flat_map(|field| field.theirs.iter().copied())
                .chain(["nid", "payout", "offer_id", "sale_status"]).collect();
            let posted: Map<String, Value> = picks.into_iter()
                .map(|(pick, value)| (names[pick % names.len()].to_owned(), Value::from(value))).collect();
            let mapped = map(table.dialect, payout_is_amount, &posted);
            let ours: Vec<&str> = NATIVE.fields.iter().map(|field| field.ours).collect();
            for (name, value) in &mapped.fields {
                prop_assert!(ours.contains(&name.as_str()));
                prop_assert!(is_given(value), "empty values count as absent");
            }
            for name in &mapped.ignored {
                prop_assert!(posted.contains_key(name));
                prop_assert!(!mapped.renamed.iter().any(|(_, theirs)| theirs == name));
            }
            for (_, theirs) in &mapped.renamed {
                prop_assert!(posted.contains_key(*theirs));
            }
        }
    }
}
