//! Keys and items of customers: who they are, what identifies them, and their names.

use serde::{Deserialize, Serialize};

use super::model::Company;
use super::names::blocks;
use super::wire;
use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::table::{Error, Index, Item, Key, Op, Put, Range, Table, from_item};

/// Names compared with a new one, of each block.
const MAX_NAMES: usize = 300;

/// The key of what tells whose an identifier is.
#[must_use]
pub fn pointer_key(hash: &str) -> Key {
    Key::new(format!("IDENT#{hash}"), "CUSTOMER")
}

fn customer_key(id: CustomerId) -> Key {
    Key::new(format!("CUSTOMER#{id}"), "CUSTOMER")
}

fn names_partition(country: &str, block: &str) -> String {
    format!("NAMES#{country}#{block}")
}

#[derive(Serialize, Deserialize)]
struct PointerItem {
    pk: String,
    sk: String,
    customer: CustomerId,
}

#[derive(Serialize, Deserialize)]
struct CustomerItem {
    pk: String,
    sk: String,
    said: String,
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct NameItem {
    pk: String,
    sk: String,
    name: String,
}

/// Whose an identifier is, from its item.
///
/// # Errors
/// `Malformed`.
pub fn pointed(item: Item) -> Result<CustomerId, Error> {
    let PointerItem { customer, .. } = from_item(item)?;
    Ok(customer)
}

/// The put that makes an identifier a customer's.
///
/// # Errors
/// Never for a well-formed hash.
pub fn point(hash: &str, customer: CustomerId) -> Result<Op, Error> {
    let Key { pk, sk } = pointer_key(hash);
    Ok(Op::Put(Put::new(&PointerItem { pk, sk, customer })?))
}

/// The puts of a new customer: its record, and its name where such are looked for.
///
/// # Errors
/// Never for a well-formed company.
pub fn put(id: CustomerId, company: &Company, created_at: Timestamp) -> Result<Vec<Op>, Error> {
    let Key { pk, sk } = customer_key(id);
    let mut ops = vec![Op::Put(Put::new(&CustomerItem {
        pk,
        sk,
        said: wire::company_json(company).to_string(),
        created_at,
    })?)];
    if let (Some(name), Some(country)) = (&company.name, company.country()) {
        for block in blocks(name, Some(country)) {
            ops.push(Op::Put(Put::new(&NameItem {
                pk: names_partition(country, &block),
                sk: id.to_string(),
                name: name.clone(),
            })?));
        }
    }
    Ok(ops)
}

/// Customers of a country whose names are kept in one of the blocks of a name, each once.
///
/// # Errors
/// The table's.
pub async fn named_alike(
    table: &Table,
    name: &str,
    country: &str,
) -> Result<Vec<(CustomerId, String)>, Error> {
    let pages = blocks(name, Some(country)).into_iter().map(|block| {
        let partition = names_partition(country, &block);
        async move {
            table
                .page(&Range::partition(Index::Base, partition, MAX_NAMES))
                .await
        }
    });
    let mut found = Vec::new();
    for page in futures_util::future::try_join_all(pages).await? {
        for item in page.items {
            let NameItem { sk, name, .. } = from_item(item)?;
            let customer = sk
                .parse()
                .map_err(|_| Error::Malformed(format!("{sk} is not a customer")))?;
            found.push((customer, name));
        }
    }
    found.sort();
    found.dedup_by_key(|(customer, _)| *customer);
    Ok(found)
}
