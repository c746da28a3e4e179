//! Single writes, and the operations a transaction is made of.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put as SdkPut, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update as SdkUpdate,
};
use serde::Serialize;

use super::{Error, Item, Key, Table, to_item};

/// An item to be written only where none stands.
#[derive(Clone, Debug)]
pub struct Put {
    pub(super) item: Item,
    /// Where an item stands that expired by then (seconds since 1970), it counts as absent.
    expired_by: Option<i64>,
}

/// The attribute that tells a call's own writes from equal ones of another call.
const MARK: &str = "mark";

impl Put {
    /// The same put with a mark of this call, which all its retries share.
    pub(super) fn marked(mut self) -> Self {
        let mark = fastrand::u64(..).to_be_bytes();
        self.item
            .insert(MARK.to_owned(), AttributeValue::B(Blob::new(mark)));
        self
    }

    /// From an item type, which carries its own `pk` and `sk`.
    ///
    /// # Errors
    /// `Malformed` when the type cannot be an item.
    pub fn new<T: Serialize>(value: &T) -> Result<Self, Error> {
        Ok(Self {
            item: to_item(value)?,
            expired_by: None,
        })
    }

    /// The same put, in a transaction, also where an item stands whose `expires_at` has passed.
    #[must_use]
    pub fn or_expired(mut self, now_seconds: i64) -> Self {
        self.expired_by = Some(now_seconds);
        self
    }

    /// What is to be written.
    #[must_use]
    pub fn item(&self) -> &Item {
        &self.item
    }
}

/// What a conditional put found.
#[derive(Debug)]
pub enum Stored {
    /// Written now, or by an earlier try of the same put.
    New,
    /// Another item stood there already; this one.
    Already(Item),
}

/// A condition on the item as it stands.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    clauses: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Condition {
    /// The item exists.
    #[must_use]
    pub fn exists() -> Self {
        Self::default().and_exists("pk")
    }

    /// The attribute has this value.
    #[must_use]
    pub fn equals(name: &str, value: AttributeValue) -> Self {
        Self::default().and_equals(name, value)
    }

    /// … and the attribute has this value.
    #[must_use]
    pub fn and_equals(mut self, name: &str, value: AttributeValue) -> Self {
        let n = self.clauses.len();
        self.clauses.push(format!("#c{n} = :c{n}"));
        self.names.insert(format!("#c{n}"), name.to_owned());
        self.values.insert(format!(":c{n}"), value);
        self
    }

    /// … and the attribute exists.
    #[must_use]
    pub fn and_exists(mut self, name: &str) -> Self {
        let n = self.clauses.len();
        self.clauses.push(format!("attribute_exists(#c{n})"));
        self.names.insert(format!("#c{n}"), name.to_owned());
        self
    }

    /// … and the attribute does not exist.
    #[must_use]
    pub fn and_absent(mut self, name: &str) -> Self {
        let n = self.clauses.len();
        self.clauses.push(format!("attribute_not_exists(#c{n})"));
        self.names.insert(format!("#c{n}"), name.to_owned());
        self
    }

    /// … and the attribute does not exist or has a lower value.
    #[must_use]
    pub fn and_absent_or_below(mut self, name: &str, value: AttributeValue) -> Self {
        let n = self.clauses.len();
        self.clauses
            .push(format!("(attribute_not_exists(#c{n}) OR #c{n} < :c{n})"));
        self.names.insert(format!("#c{n}"), name.to_owned());
        self.values.insert(format!(":c{n}"), value);
        self
    }

    /// … and the attribute does not exist or has a higher value.
    #[must_use]
    pub fn and_absent_or_above(mut self, name: &str, value: AttributeValue) -> Self {
        let n = self.clauses.len();
        self.clauses
            .push(format!("(attribute_not_exists(#c{n}) OR #c{n} > :c{n})"));
        self.names.insert(format!("#c{n}"), name.to_owned());
        self.values.insert(format!(":c{n}"), value);
        self
    }

    fn expression(&self) -> Option<String> {
        (!self.clauses.is_empty()).then(|| self.clauses.join(" AND "))
    }
}

/// A change of one item: attributes set, added to, removed, under a condition.
#[derive(Clone, Debug)]
pub struct Update {
    pub(super) key: Key,
    sets: Vec<String>,
    adds: Vec<String>,
    removes: Vec<String>,
    condition: Condition,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    /// The whole item that a rewrite leaves, by which a retry recognises its own earlier success.
    pub(super) leaves: Option<Box<Item>>,
}

impl Update {
    /// A change of the item at `key`; without a condition it creates the item when absent.
    #[must_use]
    pub fn at(key: Key) -> Self {
        Self {
            key,
            sets: Vec::new(),
            adds: Vec::new(),
            removes: Vec::new(),
            condition: Condition::default(),
            names: HashMap::new(),
            values: HashMap::new(),
            leaves: None,
        }
    }

    /// Rewrites the item of `value`, which carries its own key: every attribute it has is set, and those of
    /// `clearable` that it lacks are removed. Give it the condition that the item is still the one read.
    ///
    /// # Errors
    /// `Malformed` when the type cannot be an item.
    pub fn rewrite<T: Serialize>(value: &T, clearable: &[&str]) -> Result<Self, Error> {
        // A mark of its own tells this change from an equal one of somebody else.
        let item = Put::new(value)?.marked().item;
        let key =
            Key::of(&item).ok_or_else(|| Error::Malformed("an item without its key".to_owned()))?;
        let mut attributes: Vec<_> = item
            .clone()
            .into_iter()
            .filter(|(name, _)| name != "pk" && name != "sk")
            .collect();
        // In one order, so that equal changes are equal requests.
        attributes.sort_by(|(a, _), (b, _)| a.cmp(b));
        let absent: Vec<&str> = clearable
            .iter()
            .copied()
            .filter(|name| attributes.iter().all(|(present, _)| present != name))
            .collect();
        let update = attributes
            .into_iter()
            .fold(Self::at(key), |update, (name, value)| {
                update.set(&name, value)
            });
        let update = absent
            .into_iter()
            .fold(update, |update, name| update.remove(name));
        Ok(Self {
            leaves: Some(Box::new(item)),
            ..update
        })
    }

    fn name(&mut self, name: &str) -> usize {
        let n = self.names.len();
        self.names.insert(format!("#u{n}"), name.to_owned());
        n
    }

    /// Sets an attribute.
    #[must_use]
    pub fn set(mut self, name: &str, value: AttributeValue) -> Self {
        let n = self.name(name);
        self.sets.push(format!("#u{n} = :u{n}"));
        self.values.insert(format!(":u{n}"), value);
        self
    }

    /// Sets an attribute unless it is there.
    #[must_use]
    pub fn set_once(mut self, name: &str, value: AttributeValue) -> Self {
        let n = self.name(name);
        self.sets
            .push(format!("#u{n} = if_not_exists(#u{n}, :u{n})"));
        self.values.insert(format!(":u{n}"), value);
        self
    }

    /// Adds to a number, from zero when absent. Only beside a conditional put in one transaction: an
    /// addition alone is not safe to repeat.
    #[must_use]
    pub fn add(mut self, name: &str, amount: i64) -> Self {
        let n = self.name(name);
        self.adds.push(format!("#u{n} :u{n}"));
        self.values
            .insert(format!(":u{n}"), AttributeValue::N(amount.to_string()));
        self
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(mut self, name: &str) -> Self {
        let n = self.name(name);
        self.removes.push(format!("#u{n}"));
        self
    }

    /// Only if.
    #[must_use]
    pub fn only_if(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }

    fn expression(&self) -> String {
        let mut parts = Vec::new();
        for (verb, clauses) in [
            ("SET", &self.sets),
            ("ADD", &self.adds),
            ("REMOVE", &self.removes),
        ] {
            if !clauses.is_empty() {
                parts.push(format!("{verb} {}", clauses.join(", ")));
            }
        }
        parts.join(" ")
    }
}

/// One operation of a transaction.
#[derive(Clone, Debug)]
pub enum Op {
    /// Puts an item where none stands.
    Put(Put),
    /// Changes an item.
    Update(Update),
    /// Demands a condition of an item that the transaction does not write.
    Check(Key, Condition),
}

impl Op {
    /// The key of the item it touches.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::Put(put) => Key::of(&put.item),
            Self::Update(update) => Some(update.key.clone()),
            Self::Check(key, _) => Some(key.clone()),
        }
    }

    pub(super) fn marked(self) -> Self {
        match self {
            Self::Put(put) => Self::Put(put.marked()),
            other => other,
        }
    }

    pub(super) fn item(&self, table: &str) -> Result<TransactWriteItem, Error> {
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let built = match self {
            Self::Put(put) => TransactWriteItem::builder().put(
                SdkPut::builder()
                    .table_name(table)
                    .set_item(Some(put.item.clone()))
                    .condition_expression(match put.expired_by {
                        None => "attribute_not_exists(pk)",
                        Some(_) => "attribute_not_exists(pk) OR expires_at <= :now",
                    })
                    .set_expression_attribute_values(put.expired_by.map(|now| {
                        HashMap::from([(":now".to_owned(), AttributeValue::N(now.to_string()))])
                    }))
                    .return_values_on_condition_check_failure(old)
                    .build()
                    .map_err(|error| Error::Failed(error.to_string()))?,
            ),
            Self::Update(update) => {
                let mut names = update.names.clone();
                names.extend(update.condition.names.clone());
                let mut values = update.values.clone();
                values.extend(update.condition.values.clone());
                TransactWriteItem::builder().update(
                    SdkUpdate::builder()
                        .table_name(table)
                        .set_key(Some(update.key.item()))
                        .update_expression(update.expression())
                        .set_condition_expression(update.condition.expression())
                        .set_expression_attribute_names(Some(names))
                        .set_expression_attribute_values((!values.is_empty()).then_some(values))
                        .return_values_on_condition_check_failure(old)
                        .build()
                        .map_err(|error| Error::Failed(error.to_string()))?,
                )
            }
            Self::Check(key, condition) => TransactWriteItem::builder().condition_check(
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(key.item()))
                    .condition_expression(
                        condition
                            .expression()
                            .unwrap_or_else(|| "attribute_exists(pk)".to_owned()),
                    )
                    .set_expression_attribute_names(
                        (!condition.names.is_empty()).then(|| condition.names.clone()),
                    )
                    .set_expression_attribute_values(
                        (!condition.values.is_empty()).then(|| condition.values.clone()),
                    )
                    .return_values_on_condition_check_failure(old)
                    .build()
                    .map_err(|error| Error::Failed(error.to_string()))?,
            ),
        };
        Ok(built.build())
    }
}

impl Table {
    /// Puts an item where none stands: one write, one round trip.
    ///
    /// A retry after a lost answer fails on its own earlier write; that is recognised by the mark that the
    /// call leaves in the item, and reported as `New`.
    ///
    /// # Errors
    /// [`Error`]; safe to repeat.
    pub async fn put_new(&self, put: Put) -> Result<Stored, Error> {
        let put = put.marked();
        let answer = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(put.item.clone()))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Stored::New),
            Err(SdkError::ServiceError(context)) => match context.into_err() {
                PutItemError::ConditionalCheckFailedException(refused) => {
                    let old = refused.item.unwrap_or_default();
                    Ok(if old == put.item {
                        Stored::New
                    } else {
                        Stored::Already(old)
                    })
                }
                other => Err(super::service_error(&other)),
            },
            Err(other) => Err(other.into()),
        }
    }

    /// Puts a record that nothing depends on being first, such as a click: one write, one round trip.
    ///
    /// # Errors
    /// [`Error`]; safe to repeat.
    pub async fn put(&self, put: Put) -> Result<(), Error> {
        self.client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(put.item))
            .send()
            .await?;
        Ok(())
    }

    /// Changes one item under its condition: one write, one round trip. `Ok(Err(old))` when the condition
    /// does not hold, with the item as it stands (empty when absent).
    ///
    /// # Errors
    /// [`Error`]; safe to repeat when the condition fails after the first success.
    pub async fn update(&self, update: Update) -> Result<Result<(), Item>, Error> {
        let mut names = update.names.clone();
        names.extend(update.condition.names.clone());
        let mut values = update.values.clone();
        values.extend(update.condition.values.clone());
        let answer = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(update.key.item()))
            .update_expression(update.expression())
            .set_condition_expression(update.condition.expression())
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Ok(())),
            Err(SdkError::ServiceError(context)) => match context.into_err() {
                UpdateItemError::ConditionalCheckFailedException(refused) => {
                    let old = refused.item.unwrap_or_default();
                    // A retry after a lost answer meets what it wrote itself.
                    Ok(if update.leaves.as_deref() == Some(&old) {
                        Ok(())
                    } else {
                        Err(old)
                    })
                }
                other => Err(super::service_error(&other)),
            },
            Err(other) => Err(other.into()),
        }
    }
}
