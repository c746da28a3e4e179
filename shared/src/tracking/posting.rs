//! Reading a postback: every wrong field at once, under the name that its sender knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::dialects::{self, Mapped};
use super::model::{
    CUSTOMER_TYPES, DEFAULT_EVENT, DEFAULT_REVERSAL, MAX_AGE_DAYS, MAX_AHEAD_MINUTES, MAX_COUPON,
    MAX_CUSTOMER, MAX_META, MAX_META_NAME, MAX_META_VALUE, MAX_PRODUCT, MAX_QUANTITY,
    MAX_REFERENCE, Posted, Posting, TimeFault, check_time, is_meta_name, normal_customer,
};
use crate::clock::Timestamp;
use crate::customers::hashed;
use crate::customers::wire::to_look_up;
use crate::edge::{ALL_CODES, Fields, Keyring, Problem, codes};
use crate::partners::model::is_country;
use crate::programs::model::{Coupon, Dialect, Program, is_event};

/// Longer than any click id; beyond that a text is none, whatever it says.
const MAX_CLICK_ID: usize = 4096;
/// Fields of metadata stand under names that begin so where there are no objects.
pub(super) const META_PREFIX: &str = "meta.";
/// By what a conversion identifies its customer to registered claims.
const IDENTIFIERS: [&str; 4] = [
    "customer_crm_id",
    "customer_tax_id",
    "customer_domain",
    "customer_email",
];
const SUBS: [&str; 5] = ["sub1", "sub2", "sub3", "sub4", "sub5"];

/// How a postback's fields came in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posts {
    /// Names and values, the token taken out.
    pub fields: Map<String, Value>,
    /// Whether they are query or form pairs, in which numbers are texts.
    pub pairs: bool,
}

/// Reads a postback of a program: the dialect's names become ours, then each field is checked. A click id
/// is verified by its own signature, without a read. `any_age` lifts the limit on how long ago it happened.
///
/// # Errors
/// All that is wrong, at once.
pub fn read(
    keyring: &Keyring,
    program: &Program,
    posts: &Posts,
    now: Timestamp,
    any_age: bool,
) -> Result<(Posting, Mapped), Problem> {
    let fields = if posts.pairs || program.dialect != Dialect::Native {
        with_meta(&posts.fields)?
    } else {
        posts.fields.clone()
    };
    let mapped = dialects::map(program.dialect, program.payout_is_amount, &fields);
    let value = Value::Object(mapped.fields.clone());
    let reader = |fields: &mut Fields| posting(fields, keyring, program, now, any_age);
    let read = if posts.pairs {
        Fields::read_pairs(&value, reader)
    } else {
        Fields::read(&value, reader)
    };
    match read {
        Ok(posting) => Ok((posting, mapped)),
        Err(problem) => Err(in_their_names(problem, &mapped)),
    }
}

/// The fields with those of `meta.<name>` as one object `meta`, in which JSON has them.
fn with_meta(posted: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let mut fields = posted.clone();
    for (name, value) in posted {
        let Some(meta) = name.strip_prefix(META_PREFIX) else {
            continue;
        };
        fields.remove(name);
        let held = fields
            .entry("meta")
            .or_insert_with(|| Value::Object(Map::new()));
        // What is no object is refused when it is read.
        if let Value::Object(held) = held
            && held.insert(meta.to_owned(), value.clone()).is_some()
        {
            let detail = format!("{name} is given in the query and in the body");
            return Err(Problem::new(codes::MALFORMED_QUERY, detail));
        }
    }
    Ok(fields)
}

/// The problem with the names that were posted instead of ours.
fn in_their_names(problem: Problem, mapped: &Mapped) -> Problem {
    if mapped.renamed.is_empty() || problem.errors().is_empty() {
        return problem;
    }
    let wrong = problem.errors().iter().map(|error| {
        let code = ALL_CODES.iter().find(|code| code.name == error.code);
        let theirs = mapped.renamed.iter().find(|(ours, _)| *ours == error.field);
        (
            *code.unwrap_or(&codes::INVALID),
            theirs
                .map_or(error.field.as_str(), |(_, theirs)| theirs)
                .to_owned(),
            error.reason.clone(),
        )
    });
    Problem::fields(wrong.collect())
}

fn posting(
    f: &mut Fields,
    keyring: &Keyring,
    program: &Program,
    now: Timestamp,
    any_age: bool,
) -> Option<Posting> {
    let reversal_id = f
        .opt_text("reversal_id", MAX_REFERENCE)
        .unwrap_or_else(|| DEFAULT_REVERSAL.to_owned());
    let statuses = [("approved", 0), ("pending", 1), ("reversed", 2)];
    let status = match f.opt_choice("status", &statuses) {
        Some(1) => Posted::Pending,
        Some(2) => Posted::Reversed { reversal_id },
        _ => Posted::Approved,
    };
    let event = event(f).unwrap_or_else(|| DEFAULT_EVENT.to_owned());
    let transaction_id = transaction_id(f);
    // Whoever registered a claim to the customer may be credited.
    let identified = IDENTIFIERS
        .map(|name| f.raw(name).is_some())
        .contains(&true);
    let claimed = identified | f.raw("click_id").is_some() | f.raw("coupon").is_some();
    if !claimed && !matches!(status, Posted::Reversed { .. }) {
        f.refuse(
            codes::CLAIM_MISSING,
            "click_id",
            codes::CLAIM_MISSING.meaning,
        );
    }
    let click = f.opt_parsed(
        "click_id",
        MAX_CLICK_ID,
        codes::CLICK_ID_INVALID,
        codes::CLICK_ID_INVALID.meaning,
        |text| Some((keyring.verify_click(program.id, text)?, text.to_owned())),
    );
    let coupon = f
        .opt_text("coupon", MAX_COUPON)
        .map(|code| Coupon::normal(&code));
    let described = described(f, keyring, program, now, any_age);
    Some(Posting {
        event,
        transaction_id: transaction_id?,
        click,
        coupon,
        status,
        ..described
    })
}

/// What is known of a conversion that an operator is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What happened.
    pub event: String,
    /// The sender's id of the transaction, where it is known.
    pub transaction_id: Option<String>,
    /// When.
    pub occurred_at: Timestamp,
}

/// Reads a conversion that an operator tells, who says whose it is in the place of click and coupon. Event,
/// transaction and time are those of `about` unless told.
pub fn told(
    f: &mut Fields,
    keyring: &Keyring,
    program: &Program,
    now: Timestamp,
    about: About,
) -> Option<Posting> {
    let event = event(f).unwrap_or(about.event);
    let transaction_id = match (f.raw("transaction_id"), about.transaction_id) {
        (None, Some(transaction)) => Some(transaction),
        _ => transaction_id(f),
    };
    let described = described(f, keyring, program, now, true);
    Some(Posting {
        event,
        transaction_id: transaction_id?,
        occurred_at: described.occurred_at.or(Some(about.occurred_at)),
        ..described
    })
}

fn event(f: &mut Fields) -> Option<String> {
    f.opt_parsed(
        "event",
        MAX_REFERENCE,
        codes::CHARACTERS_REFUSED,
        "has 1 to 64 of: lower-case letters, digits, _ - . and begins with a letter or digit",
        |text| is_event(text).then(|| text.to_owned()),
    )
}

/// What describes an event: all but which transaction it is, who claims it and whether it counts.
fn described(
    f: &mut Fields,
    keyring: &Keyring,
    program: &Program,
    now: Timestamp,
    any_age: bool,
) -> Posting {
    let stated = f.opt_currency("currency");
    let currency = stated.unwrap_or(program.currency);
    let [amount, margin, net_revenue, bonuses, fees, chargebacks] = [
        "amount",
        "margin",
        "net_revenue",
        "bonuses",
        "fees",
        "chargebacks",
    ]
    .map(|name| f.opt_amount(name, currency));
    let quantity = f.opt_integer("quantity", 1, MAX_QUANTITY);
    let customer = f.opt_text("customer", MAX_CUSTOMER).map(|reference| {
        keyring.reference(
            &format!("customer:{}", program.id),
            &normal_customer(&reference),
        )
    });
    let customer_type = f.opt_choice("customer_type", CUSTOMER_TYPES);
    let country = f.opt_parsed(
        "country",
        2,
        codes::COUNTRY_UNKNOWN,
        codes::COUNTRY_UNKNOWN.meaning,
        |text| is_country(text).then(|| text.to_owned()),
    );
    let identifiers = to_look_up(f, IDENTIFIERS, country.as_deref());
    let identifiers = identifiers
        .iter()
        .map(|identifier| hashed(keyring, identifier))
        .collect();
    let product = f.opt_text("product", MAX_PRODUCT);
    let meta = meta(f);
    let occurred_at = f.opt_time("occurred_at");
    match occurred_at.map_or(Ok(()), |at| check_time(at, now, any_age)) {
        Ok(()) => {}
        Err(TimeFault::InFuture) => f.refuse(
            codes::TIME_IN_FUTURE,
            "occurred_at",
            format!("lies more than {MAX_AHEAD_MINUTES} minutes ahead"),
        ),
        Err(TimeFault::TooOld) => f.refuse(
            codes::TIME_TOO_OLD,
            "occurred_at",
            format!("lies more than {MAX_AGE_DAYS} days back, which takes an operator's key"),
        ),
    }
    let subs = SUBS.map(|name| f.opt_text(name, MAX_REFERENCE));
    Posting {
        event: String::new(),
        transaction_id: String::new(),
        click: None,
        coupon: None,
        currency,
        currency_stated: stated.is_some(),
        amount,
        margin,
        net_revenue,
        bonuses,
        fees,
        chargebacks,
        quantity: quantity.and_then(|quantity| u32::try_from(quantity).ok()),
        customer,
        identifiers,
        customer_type,
        country,
        product,
        meta,
        status: Posted::Approved,
        occurred_at,
        subs,
    }
}

fn meta(f: &mut Fields) -> BTreeMap<String, String> {
    let read = f.opt_text_map("meta", MAX_META, MAX_META_VALUE, |name| {
        is_meta_name(name).then_some(()).ok_or_else(|| {
            format!("is named by 1 to {MAX_META_NAME} of: lower-case letters, digits, _")
        })
    });
    read.unwrap_or_default()
}

fn transaction_id(f: &mut Fields) -> Option<String> {
    if f.raw("transaction_id").is_none() {
        let reason = codes::TRANSACTION_ID_MISSING.meaning;
        f.refuse(codes::TRANSACTION_ID_MISSING, "transaction_id", reason);
        return None;
    }
    let id = f.opt_text("transaction_id", MAX_REFERENCE)?;
    // A tracker's placeholder that nobody filled would make one conversion of all orders.
    if id.starts_with('{') && id.ends_with('}') {
        f.refuse(
            codes::CHARACTERS_REFUSED,
            "transaction_id",
            "is a placeholder that was not filled",
        );
        return None;
    }
    Some(id)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::{LinkId, ProgramId};
    use crate::programs::model::{Attribution, AttributionModel, Dialect};
    use crate::tracking::model::ClickToken;

    fn program(dialect: Dialect) -> Program {
        Program {
            id: ProgramId::from_bytes([1; 16]),
            name: "Spring".to_owned(),
            currency: "GBP".parse().unwrap(),
            attribution: Attribution {
                model: AttributionModel::LastClick,
                window_days: 30,
            },
            dialect,
            payout_is_amount: false,
            fallback_url: None,
            allowed_destination_hosts: Vec::new(),
            dispute_days: 60,
            tokens: Vec::new(),
            signing_secrets: Vec::new(),
            default_plans: Vec::new(),
            created_at: now(),
            version: 1,
        }
    }

    fn now() -> Timestamp {
        "2026-11-23T07:00:00Z".parse().unwrap()
    }

    fn keyring() -> Keyring {
        Keyring::read(&Keyring::generate().unwrap()).unwrap()
    }

    fn told(program: &Program, fields: Value) -> Vec<(String, &'static str)> {
        let posts = Posts {
            fields: fields.as_object().unwrap().clone(),
            pairs: false,
        };
        let problem = read(&keyring(), program, &posts, now(), false).unwrap_err();
        problem
            .errors()
            .iter()
            .map(|error| (error.field.clone(), error.code))
            .collect()
    }

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let wrong = json!({"click_id": "forged", "amount": 10, "currency": "EURO", "quantity": "2", "event": "Sale", "odd": 1});
        let expected = [
            ("event", "characters_refused"),
            ("transaction_id", "transaction_id_missing"),
            ("click_id", "click_id_invalid"),
            ("currency", "currency_unknown"),
            ("amount", "decimal_string_expected"),
            ("quantity", "wrong_type"),
            ("odd", "unknown_field"),
        ];
        let expected = expected.map(|(field, code)| (field.to_owned(), code));
        assert_eq!(told(&program(Dialect::Native), wrong), expected);
    }

    #[test]
    fn a_tracker_is_told_in_its_own_names() {
        let wrong = json!({"transaction_id": "forged", "order_id": "x".repeat(200), "nid": 3});
        let expected = [
            ("order_id".to_owned(), "too_long"),
            ("transaction_id".to_owned(), "click_id_invalid"),
        ];
        assert_eq!(told(&program(Dialect::Everflow), wrong), expected);
    }

    #[test]
    fn a_placeholder_that_nobody_filled_is_no_transaction() {
        let wrong = json!({"coupon": "ada", "transaction_id": "{order_id}"});
        let expected = [("transaction_id".to_owned(), "characters_refused")];
        assert_eq!(told(&program(Dialect::Native), wrong), expected);
    }

    #[test]
    fn a_sound_postback_is_read_with_its_click_verified_and_its_customer_hashed() {
        let (ring, program) = (keyring(), program(Dialect::Native));
        let token = ClickToken {
            link: LinkId::from_bytes([9; 16]),
            at: "2026-11-01T00:00:00Z".parse().unwrap(),
            random: [3; 7],
        };
        let click_id = ring.click_id(program.id, token).unwrap();
        let fields = json!({
            "click_id": click_id, "coupon": " ada ", "transaction_id": "o-1", "amount": "49.00", "quantity": 2,
            "customer": "Ada@Example.com ", "status": "reversed",
        });
        let posts = Posts {
            fields: fields.as_object().unwrap().clone(),
            pairs: false,
        };
        let (posting, _) = read(&ring, &program, &posts, now(), false).unwrap();
        assert_eq!(posting.click, Some((token, click_id)));
        assert_eq!(posting.coupon.unwrap(), "ADA");
        assert_eq!(posting.amount.unwrap().minor(), 4900);
        let kind = format!("customer:{}", program.id);
        assert_eq!(
            posting.customer.unwrap(),
            ring.reference(&kind, "ada@example.com")
        );
        let reversal_id = "full".to_owned();
        assert_eq!(posting.status, Posted::Reversed { reversal_id });
        assert_eq!(posting.event, "sale");
    }

    #[test]
    fn money_is_read_in_the_currency_of_the_post_and_without_one_in_the_programs() {
        let program = program(Dialect::Native);
        let posting = |fields: Value| {
            let fields = fields.as_object().unwrap().clone();
            let posts = Posts {
                fields,
                pairs: false,
            };
            read(&keyring(), &program, &posts, now(), false).unwrap().0
        };
        let yen = posting(json!({
            "coupon": "ada", "transaction_id": "o-1", "currency": "JPY", "amount": "4900", "margin": "900",
            "net_revenue": "4000", "bonuses": "5", "fees": "7", "chargebacks": "0",
        }));
        let money = |money: Option<crate::money::Money>| format!("{:?}", money.unwrap());
        assert_eq!(money(yen.amount), "4900 JPY");
        assert_eq!(money(yen.margin), "900 JPY");
        assert_eq!(money(yen.net_revenue), "4000 JPY");
        assert_eq!(money(yen.bonuses), "5 JPY");
        assert_eq!(money(yen.fees), "7 JPY");
        assert_eq!(money(yen.chargebacks), "0 JPY");
        let home = posting(json!({"coupon": "ada", "transaction_id": "o-1", "amount": "49.00"}));
        assert_eq!(money(home.amount), "49.00 GBP");
        let wrong =
            json!({"coupon": "ada", "transaction_id": "o-1", "currency": "JPY", "amount": "49.50"});
        let expected = [("amount".to_owned(), "amount_too_precise")];
        assert_eq!(told(&program, wrong), expected);
    }

    #[test]
    fn metadata_is_an_object_in_json_and_dotted_names_elsewhere() {
        let read_as = |dialect, fields: Value, pairs| {
            let fields = fields.as_object().unwrap().clone();
            let posts = Posts { fields, pairs };
            read(&keyring(), &program(dialect), &posts, now(), false)
                .map(|(posting, _)| posting.meta)
        };
        let expected = BTreeMap::from([("tariff".to_owned(), "b2b".to_owned())]);
        let json = json!({"coupon": "ada", "transaction_id": "o-1", "meta": {"tariff": "b2b"}});
        let pairs = json!({"coupon": "ada", "transaction_id": "o-1", "meta.tariff": "b2b"});
        assert_eq!(
            read_as(Dialect::Native, json.clone(), false).unwrap(),
            expected
        );
        for dialect in [
            Dialect::Native,
            Dialect::Everflow,
            Dialect::Tune,
            Dialect::Keitaro,
        ] {
            let mut pairs = pairs.clone();
            pairs["order_id"] = json!("o-1");
            pairs["tid"] = json!("o-1");
            if dialect == Dialect::Native {
                pairs.as_object_mut().unwrap().remove("order_id");
                pairs.as_object_mut().unwrap().remove("tid");
            } else {
                pairs.as_object_mut().unwrap().remove("transaction_id");
            }
            assert_eq!(read_as(dialect, pairs, true).unwrap(), expected);
        }
        let twice = json!({"coupon": "ada", "transaction_id": "o-1", "meta": {"tariff": "b2b"}, "meta.tariff": "b2c"});
        let refused = read_as(Dialect::Native, twice, true).unwrap_err();
        assert_eq!(refused.code().name, "malformed_query");
        // In JSON a dotted name is no field.
        assert_eq!(
            read_as(Dialect::Native, pairs, false)
                .unwrap_err()
                .code()
                .name,
            "unknown_field"
        );
    }

    #[test]
    fn what_describes_the_customer_and_the_product_is_checked() {
        let many: Map<String, Value> = (0..11).map(|n| (format!("k{n}"), json!("v"))).collect();
        for (field, value, named, code) in [
            ("country", json!("UK"), "country", "country_unknown"),
            ("country", json!("gb"), "country", "country_unknown"),
            ("customer_type", json!("old"), "customer_type", "not_one_of"),
            ("product", json!("x".repeat(65)), "product", "too_long"),
            ("margin", json!("-1.00"), "margin", "amount_negative"),
            ("meta", json!("b2b"), "meta", "wrong_type"),
            (
                "meta",
                json!({"Tariff": "b2b"}),
                "meta.Tariff",
                "characters_refused",
            ),
            ("meta", json!({"tariff": 1}), "meta.tariff", "wrong_type"),
            (
                "meta",
                json!({"tariff": "x".repeat(129)}),
                "meta.tariff",
                "too_long",
            ),
            ("meta", Value::Object(many), "meta", "too_long"),
        ] {
            let mut fields = json!({"coupon": "ada", "transaction_id": "o-1"});
            fields[field] = value;
            let told = told(&program(Dialect::Native), fields);
            assert_eq!(told, [(named.to_owned(), code)]);
        }
    }
}
