//! Transactions, with each refusal read back per operation.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

use super::{Error, Item, Op, Table, pause_before};

/// DynamoDB takes at most 100 operations in a transaction; groups here stay below with room for accounts.
pub const MAX_OPS: usize = 100;
/// Tries while others hold an item or the table throttles. Conflicts are contention, never poison: with
/// the waits between, this outlasts dozens of writers of one account.
const MAX_TRIES: u32 = 24;

/// Why one operation of a transaction was refused.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It was not: another operation was.
    None,
    /// Its condition does not hold; the item as it stands, empty when absent.
    Condition(Item),
}

/// Why a transaction did not commit.
#[derive(Clone, Debug)]
pub enum TransactError {
    /// Conditions failed; one entry per operation, in order. Nothing was written.
    Refused(Vec<Refusal>),
    /// The table did not answer, or stayed busy beyond the retries.
    Table(Error),
}

impl From<Error> for TransactError {
    fn from(error: Error) -> Self {
        Self::Table(error)
    }
}

impl Table {
    /// Commits all operations or none: one round trip. Conflicts and throttling are retried here with
    /// growing, jittered waits.
    ///
    /// # Errors
    /// `Refused` with the reason of each operation; `Table`. Safe to repeat if, as everywhere here, the
    /// operations contain a conditional one that fails once they have succeeded.
    pub async fn transact(&self, ops: &[Op]) -> Result<(), TransactError> {
        let ops: Vec<Op> = ops.iter().cloned().map(Op::marked).collect();
        let items = ops
            .iter()
            .map(|op| op.item(&self.name))
            .collect::<Result<Vec<_>, _>>()?;
        let mut busy = Error::Busy("no try was made".to_owned());
        for round in 0..MAX_TRIES {
            pause_before(round).await;
            let answer = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items.clone()))
                .send()
                .await;
            let error = match answer {
                Ok(_) => return Ok(()),
                Err(SdkError::ServiceError(context)) => context.into_err(),
                Err(other) => return Err(TransactError::Table(other.into())),
            };
            let TransactWriteItemsError::TransactionCanceledException(cancelled) = &error else {
                match super::service_error(&error) {
                    error @ Error::Busy(_) => busy = error,
                    other => return Err(other.into()),
                }
                continue;
            };
            let reasons = cancelled.cancellation_reasons();
            let code = |wanted: &str| reasons.iter().any(|reason| reason.code() == Some(wanted));
            if code("ConditionalCheckFailed") {
                return if own_earlier_success(&ops, reasons) {
                    Ok(())
                } else {
                    Err(TransactError::Refused(refusals(reasons)))
                };
            }
            if code("TransactionConflict")
                || code("ThrottlingError")
                || code("ProvisionedThroughputExceeded")
            {
                busy = Error::Busy("transaction conflict".to_owned());
                continue;
            }
            let said = reasons
                .iter()
                .filter_map(|reason| {
                    Some(format!(
                        "{}: {}",
                        reason.code()?,
                        reason.message().unwrap_or_default()
                    ))
                })
                .collect::<Vec<_>>();
            return Err(
                Error::Failed(format!("transaction cancelled: {}", said.join("; "))).into(),
            );
        }
        Err(busy.into())
    }
}

/// Whether the refusal is the transaction meeting its own committed writes, after an answer was lost:
/// every item that it puts, or rewrites where it puts none, stands there exactly as it was to be written.
fn own_earlier_success(
    ops: &[Op],
    reasons: &[aws_sdk_dynamodb::types::CancellationReason],
) -> bool {
    let (mut puts, mut rewrites) = (Vec::new(), Vec::new());
    for (op, reason) in ops.iter().zip(reasons) {
        match op {
            Op::Put(put) => puts.push((&put.item, reason)),
            Op::Update(update) => {
                rewrites.extend(update.leaves.as_deref().map(|item| (item, reason)));
            }
            Op::Check(..) => {}
        }
    }
    let telling = if puts.is_empty() { rewrites } else { puts };
    !telling.is_empty()
        && telling.iter().all(|(item, reason)| {
            reason.code() == Some("ConditionalCheckFailed") && reason.item() == Some(*item)
        })
}

fn refusals(reasons: &[aws_sdk_dynamodb::types::CancellationReason]) -> Vec<Refusal> {
    let refusal = |reason: &aws_sdk_dynamodb::types::CancellationReason| match reason.code() {
        Some("ConditionalCheckFailed") => {
            Refusal::Condition(reason.item().cloned().unwrap_or_default())
        }
        _ => Refusal::None,
    };
    reasons.iter().map(refusal).collect()
}
