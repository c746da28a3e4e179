//! What scenarios of pay share: a program, its plans, partners in it, what they sell and what is taken back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tributary_tests::World;

/// A program in pounds, on a deployment of its own.
pub(crate) struct Trade {
    pub(crate) world: World,
    pub(crate) program: String,
}

/// A partner in it.
#[derive(Clone, Debug)]
pub(crate) struct Seller {
    pub(crate) id: String,
    pub(crate) coupon: String,
}

impl Trade {
    pub(crate) async fn open() -> Self {
        let world = World::start().await;
        let program = json!({ "name": "Spring", "currency": "GBP", "attribution": { "model": "last_click", "window_days": 30 } });
        let program = world.post("/v1/programs", program).await.expect(201);
        let program = program.str("id").to_owned();
        Self { world, program }
    }

    /// The same with a plan of these terms, and a partner under it.
    pub(crate) async fn under(terms: Value) -> (Self, Seller) {
        let trade = Self::open().await;
        trade.plan("terms", terms).await;
        let bea = trade.seller("Bea", "terms", None).await;
        (trade, bea)
    }

    /// A plan that pays what happened at any time.
    pub(crate) async fn plan(&self, code: &str, terms: Value) {
        let mut plan = terms;
        plan["code"] = json!(code);
        plan["hold_days"] = json!(30);
        plan["effective_from"] = json!("2000-01-01T00:00:00Z");
        let path = format!("/v1/programs/{}/plans", self.program);
        let _ = self.world.post(&path, plan).await.expect(201);
    }

    pub(crate) async fn seller(&self, name: &str, plan: &str, upline: Option<&Seller>) -> Seller {
        let partner =
            json!({ "name": name, "email": "p@example.com", "country": "GB", "kind": "affiliate" });
        let id = self.world.post("/v1/partners", partner).await.expect(201);
        let id = id.str("id").to_owned();
        let upline = upline.map(|upline| upline.id.clone());
        let enrolment = json!({ "program": self.program, "plan": plan, "upline": upline });
        let path = format!("/v1/partners/{id}/enrolments");
        let _ = self.world.post(&path, enrolment).await.expect(201);
        let coupon = name.to_uppercase();
        let body = json!({ "program": self.program, "partner": id, "code": coupon });
        let _ = self.world.post("/v1/coupons", body).await.expect(201);
        Seller { id, coupon }
    }

    /// Reports an event of a partner, by its coupon unless the facts tell a click, for whom no event is too old.
    pub(crate) async fn report(&self, seller: &Seller, order: &str, facts: Value) -> String {
        let mut body = facts;
        body["transaction_id"] = json!(order);
        if body.get("click_id").is_none() {
            body["coupon"] = json!(seller.coupon);
        }
        let path = format!("/v1/postbacks/{}", self.program);
        let posted = self.world.post(&path, body).await;
        assert!(posted.status.is_success(), "{}", posted.text);
        posted.str("conversion").to_owned()
    }

    /// The same, computed.
    pub(crate) async fn sell(&self, seller: &Seller, order: &str, facts: Value) -> String {
        let conversion = self.report(seller, order, facts).await;
        self.world.settle().await;
        conversion
    }

    /// Takes a part in pounds back, or all that is left.
    pub(crate) async fn take_back(&self, conversion: &str, id: &str, amount: Option<&str>) {
        let mut body = json!({ "reversal_id": id, "reason": "sent back" });
        if let Some(amount) = amount {
            body["amount"] = json!(amount);
            body["currency"] = json!("GBP");
        }
        let path = format!("/v1/conversions/{conversion}/reversals");
        let _ = self.world.post(&path, body).await.expect(200);
        self.world.settle().await;
    }

    /// What a conversion paid when it was computed.
    pub(crate) async fn commission(&self, conversion: &str) -> String {
        let path = format!("/v1/conversions/{conversion}");
        let shown = self.world.get(&path).await.expect(200);
        shown.str("/outcome/commission").to_owned()
    }

    /// What a partner has earned, all of it held yet; nothing for one without an account.
    pub(crate) async fn earned(&self, seller: &Seller) -> String {
        let [held, payable, in_transit, paid] = self.world.balances(&seller.id).await;
        if held.is_empty() {
            return "0.00".to_owned();
        }
        assert_eq!([payable, in_transit, paid], ["0.00"; 3]);
        held
    }

    /// Tells that a part of an order is taken back, whether the order is known or not.
    pub(crate) async fn refund(&self, seller: &Seller, order: &str, id: &str, amount: &str) {
        let facts =
            json!({ "status": "reversed", "reversal_id": id, "amount": amount, "currency": "GBP" });
        let _ = self.report(seller, order, facts).await;
    }

    /// Corrects a conversion's amount.
    pub(crate) async fn amend(&self, conversion: &str, amount: &str) {
        let body = json!({ "amendment_id": "a-1", "amount": amount, "currency": "GBP", "reason": "mistyped" });
        let path = format!("/v1/conversions/{conversion}/amendments");
        let _ = self.world.post(&path, body).await.expect(200);
    }

    /// What is left of a conversion's amount, in pence.
    pub(crate) async fn left(&self, conversion: &str) -> u64 {
        let path = format!("/v1/conversions/{conversion}");
        let shown = self.world.get(&path).await.expect(200);
        let left = shown
            .body
            .get("net_amount")
            .unwrap_or(&shown.body["amount"]);
        left.as_str().unwrap().replace('.', "").parse().unwrap()
    }

    /// What March's conversions come to when they are computed again and do not as they are stored.
    pub(crate) async fn differences(&self) -> Vec<Value> {
        let path = format!("/v1/programs/{}/recompute?limit=200", self.program);
        let page = self
            .world
            .post(&path, json!({ "period": "2026-03" }))
            .await
            .expect(200);
        assert_eq!(page.body["next_cursor"], Value::Null);
        page.body["differences"].as_array().unwrap().clone()
    }

    /// What the journals of March to May leave in the program's accounts, by account and partner, where it
    /// is anything.
    pub(crate) async fn left_in_accounts(&self) -> BTreeMap<(String, String), i64> {
        let mut left = BTreeMap::new();
        for period in ["2026-03", "2026-04", "2026-05"] {
            let path = format!("/v1/programs/{}/journal?period={period}", self.program);
            let page = self.world.get(&path).await.expect(200);
            assert!(page.headers.get("tributary-next-cursor").is_none());
            for row in csv::Reader::from_reader(page.text.as_bytes()).records() {
                let row = row.unwrap();
                let minor = |at: usize| row[at].replace('.', "").parse().unwrap_or(0_i64);
                let account = (row[3].to_owned(), row[4].to_owned());
                *left.entry(account).or_default() += minor(6) - minor(5);
            }
        }
        left.retain(|_, minor| *minor != 0);
        left
    }
}
