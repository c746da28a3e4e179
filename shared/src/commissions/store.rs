//! Keys and items of outcomes.

use serde::{Deserialize, Serialize};

use super::model::{Credit, Line, Outcome, State, Step, TakeBack};
use crate::claims::model::{Claim, Evidence, Ruling, Unattributed};
use crate::clock::{Timestamp, month, parse, stamp};
use crate::ids::{ConversionId, PartnerId, PayoutId, ProgramId};
use crate::ledger::model::AccountId;
use crate::ledger::store::{
    due_shard, list_partition, list_position, post, post_clawback, set_open_line,
};
use crate::money::{Currency, Money};
use crate::table::{Condition, Error, Item, Key, Op, Put, Update, from_item, text};

/// The key of a conversion's outcome.
#[must_use]
pub fn outcome_key(conversion: ConversionId) -> Key {
    Key::new(format!("CONV#{conversion}"), "OUTCOME")
}

/// The due partition of holds, by [`due_shard`].
#[must_use]
pub fn hold_partition(shard: u8) -> String {
    format!("HOLD#{shard}")
}

fn hold_position(release_at: Timestamp, partner: PartnerId, conversion: ConversionId) -> String {
    format!("{}#{partner}#{conversion}", stamp(release_at))
}

/// The stored form of an outcome; within 1 KB, so that a commission stays at its budget.
#[derive(Serialize, Deserialize)]
struct OutcomeItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    program: ProgramId,
    at: String,
    state: String,
    /// The claim that won: see [`write_claim`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    winner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    losers: Vec<String>,
    /// Why nobody is credited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan_version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pay_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    posted_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release_at: Option<String>,
    /// `<component>:<minor units>` per step, with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payable_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reversed_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payout: Option<PayoutId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line_minor: Option<i64>,
}

/// `<evidence>|<time of a click>|<partner>|<fault>`, empty where there is none.
fn write_claim(claim: &Claim) -> String {
    let Claim {
        partner,
        evidence,
        fault,
    } = claim;
    let (evidence, at) = match evidence {
        Evidence::Click { link, at } => (link.to_string(), stamp(*at)),
        Evidence::Coupon { coupon } => (coupon.to_string(), String::new()),
        Evidence::Decision { dispute } => (dispute.to_string(), String::new()),
    };
    let partner = partner.map(|partner| partner.to_string());
    format!(
        "{evidence}|{at}|{}|{}",
        partner.unwrap_or_default(),
        fault.map_or("", Unattributed::name)
    )
}

fn read_claim(text: &str) -> Option<Claim> {
    let mut parts = text.split('|');
    let (evidence, at, partner, fault) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let evidence = match at {
        "" => match evidence.parse() {
            Ok(coupon) => Evidence::Coupon { coupon },
            Err(_) => Evidence::Decision {
                dispute: evidence.parse().ok()?,
            },
        },
        at => Evidence::Click {
            link: evidence.parse().ok()?,
            at: parse(at)?,
        },
    };
    let partner = match partner {
        "" => None,
        partner => Some(partner.parse().ok()?),
    };
    let fault = match fault {
        "" => None,
        fault => Some(Unattributed::of(fault)?),
    };
    Some(Claim {
        partner,
        evidence,
        fault,
    })
}

fn write_trace(steps: &[Step]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|Step { component, amount }| format!("{component}:{}", amount.minor()))
        .collect();
    steps.join(",")
}

fn read_trace(trace: &str, currency: Currency) -> Option<Vec<Step>> {
    let step = |text: &str| {
        let (component, minor) = text.split_once(':')?;
        Some(Step {
            component: component.parse().ok()?,
            amount: Money::new(minor.parse().ok()?, currency),
        })
    };
    trace
        .split(',')
        .filter(|step| !step.is_empty())
        .map(step)
        .collect()
}

/// The put of a new outcome.
///
/// # Errors
/// Never for a well-formed outcome.
pub fn put(outcome: &Outcome) -> Result<Put, Error> {
    let Outcome {
        conversion,
        program,
        at,
        ruling: Ruling { winner, losers },
        credit,
        state,
    } = outcome;
    let Key { pk, sk } = outcome_key(*conversion);
    let mut item = OutcomeItem {
        pk,
        sk,
        list_pk: None,
        list_sk: None,
        due_pk: None,
        due_sk: None,
        program: *program,
        at: stamp(*at),
        state: state.name().to_owned(),
        winner: winner.as_ref().map(write_claim),
        losers: losers.iter().map(write_claim).collect(),
        reason: None,
        partner: None,
        currency: None,
        plan: None,
        plan_version: None,
        pay_minor: None,
        posted_minor: None,
        release_at: None,
        trace: None,
        payable_at: None,
        reversed_at: None,
        payout: None,
        line: None,
        line_minor: None,
    };
    match credit {
        Err(reason) => item.reason = Some(reason.name().to_owned()),
        Ok(credit) => {
            let Credit {
                partner,
                plan,
                plan_version,
                pay,
                posted,
                release_at,
                trace,
                payable_at,
                reversed_at,
                payout,
                line,
            } = credit;
            item.list_pk = Some(list_partition(*partner, month(*at)));
            item.list_sk = Some(list_position(*at, 'C', &conversion.to_string()));
            if *state == State::Held {
                item.due_pk = Some(hold_partition(due_shard(*partner)));
                item.due_sk = Some(hold_position(*release_at, *partner, *conversion));
            }
            item.partner = Some(*partner);
            item.currency = Some(pay.currency().code().to_owned());
            item.plan = Some(plan.clone());
            item.plan_version = Some(*plan_version);
            item.pay_minor = Some(pay.minor());
            item.posted_minor = Some(posted.minor());
            item.release_at = Some(stamp(*release_at));
            item.trace = Some(write_trace(trace));
            item.payable_at = payable_at.map(stamp);
            item.reversed_at = reversed_at.map(stamp);
            item.payout = *payout;
            item.line = line.map(|line| line.name().to_owned());
            item.line_minor = line.map(|_| posted.minor());
        }
    }
    Put::new(&item)
}

/// Reads an outcome.
///
/// # Errors
/// `Malformed`.
pub fn outcome(item: Item) -> Result<Outcome, Error> {
    let item: OutcomeItem = from_item(item)?;
    let pk = item.pk.clone();
    read(item).ok_or_else(|| Error::Malformed(format!("the outcome of {pk}")))
}

fn read(item: OutcomeItem) -> Option<Outcome> {
    let OutcomeItem {
        pk,
        sk: _,
        list_pk: _,
        list_sk: _,
        due_pk: _,
        due_sk: _,
        program,
        at,
        state,
        winner,
        losers,
        reason,
        partner,
        currency,
        plan,
        plan_version,
        pay_minor,
        posted_minor,
        release_at,
        trace,
        payable_at,
        reversed_at,
        payout,
        line,
        line_minor: _,
    } = item;
    // An attribute that is absent is nothing; one that cannot be read makes the item malformed.
    let time = |at: Option<String>| match at {
        None => Some(None),
        Some(at) => parse(&at).map(Some),
    };
    let credit = match reason {
        Some(reason) => Err(Unattributed::of(&reason)?),
        None => {
            let currency: Currency = currency?.parse().ok()?;
            let line = match line {
                None => None,
                Some(line) => Some(Line::of(&line)?),
            };
            Ok(Credit {
                partner: partner?,
                plan: plan?,
                plan_version: plan_version?,
                pay: Money::new(pay_minor?, currency),
                posted: Money::new(posted_minor?, currency),
                release_at: parse(&release_at?)?,
                trace: read_trace(&trace?, currency)?,
                payable_at: time(payable_at)?,
                reversed_at: time(reversed_at)?,
                payout,
                line,
            })
        }
    };
    let winner = match winner {
        None => None,
        Some(claim) => Some(read_claim(&claim)?),
    };
    Some(Outcome {
        conversion: pk.strip_prefix("CONV#")?.parse().ok()?,
        program,
        at: parse(&at)?,
        ruling: Ruling {
            winner,
            losers: losers
                .iter()
                .map(|claim| read_claim(claim))
                .collect::<Option<_>>()?,
        },
        credit,
        state: State::of(&state)?,
    })
}

/// The outcome's part of a release: held becomes payable, as an open line. Refused when it has moved.
#[must_use]
pub fn release(outcome: &Outcome, account: AccountId, now: Timestamp) -> Op {
    let id = outcome.conversion.to_string();
    let minor = outcome
        .credit
        .as_ref()
        .map_or(0, |credit| credit.posted.minor());
    let update = Update::at(outcome_key(outcome.conversion))
        .set("state", text(State::Payable.name()))
        .only_if(Condition::equals("state", text(State::Held.name())));
    Op::Update(set_open_line(
        update,
        account.program,
        account.partner,
        now,
        &id,
        minor,
    ))
}

/// All that takes a commission back: the outcome's part first, refused when it has moved since it was
/// read, then the compensating transfer.
///
/// # Errors
/// Never for a well-formed outcome.
pub fn take_back(outcome: &Outcome, how: &TakeBack) -> Result<Vec<Op>, Error> {
    let line = outcome.credit.as_ref().ok().and_then(|credit| credit.line);
    let mut condition = Condition::equals("state", text(outcome.state.name()));
    condition = match line {
        Some(line) => condition.and_equals("line", text(line.name())),
        None => condition.and_absent("line"),
    };
    let mut update = Update::at(outcome_key(outcome.conversion))
        .set("state", text(State::Reversed.name()))
        .set("reversed_at", text(stamp(how.transfer.at)));
    // A line that a payout has taken stays with it; any other stands no longer.
    if !how.clawback {
        for gone in ["line", "line_minor", "due_pk", "due_sk"] {
            update = update.remove(gone);
        }
    }
    let mut ops = vec![Op::Update(update.only_if(condition))];
    ops.extend(if how.clawback {
        let since = outcome
            .credit
            .as_ref()
            .ok()
            .and_then(|credit| credit.payable_at);
        post_clawback(&how.transfer, since.unwrap_or(how.transfer.at))?
    } else {
        post(&how.transfer)?
    });
    Ok(ops)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::commissions::model::release as release_transfer;
    use crate::ids::{CouponId, LinkId, TransferId};
    use crate::ledger::model::{Bucket, Transfer, TransferKind};
    use crate::ledger::store::transfer;
    use crate::table::AttributeValue;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn held(number: u8) -> Outcome {
        let gbp: Currency = "GBP".parse().unwrap();
        let partner = PartnerId::from_bytes([2; 16]);
        Outcome {
            conversion: ConversionId::from_bytes([number; 16]),
            program: ProgramId::from_bytes([1; 16]),
            at: at("2026-03-02T09:00:00.120Z"),
            ruling: Ruling {
                winner: Some(Claim {
                    partner: Some(partner),
                    evidence: Evidence::Coupon {
                        coupon: CouponId::from_bytes([3; 16]),
                    },
                    fault: None,
                }),
                losers: vec![Claim {
                    partner: Some(partner),
                    evidence: Evidence::Click {
                        link: LinkId::from_bytes([4; 16]),
                        at: at("2026-03-01T09:00:00Z"),
                    },
                    fault: Some(Unattributed::PartnerSuspended),
                }],
            },
            credit: Ok(Credit {
                partner,
                plan: "standard".to_owned(),
                plan_version: 2,
                pay: Money::new(123_456_789, gbp),
                posted: Money::new(123_456_789, gbp),
                release_at: at("2026-04-01T09:00:00Z"),
                trace: vec![
                    Step {
                        component: 0,
                        amount: Money::new(400, gbp),
                    },
                    Step {
                        component: 19,
                        amount: Money::new(123_456_389, gbp),
                    },
                ],
                payable_at: None,
                reversed_at: None,
                payout: None,
                line: None,
            }),
            state: State::Held,
        }
    }

    /// The size that DynamoDB bills: names and values.
    fn size(item: &Item) -> usize {
        let of = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(number) => number.len() / 2 + 2,
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            AttributeValue::L(list) => {
                3 + list
                    .iter()
                    .map(|entry| 1 + entry.as_s().map_or(0, String::len))
                    .sum::<usize>()
            }
            other => panic!("{other:?}"),
        };
        item.iter()
            .map(|(name, value)| name.len() + of(value))
            .sum()
    }

    fn item_of(put: &Put) -> Item {
        put.item().clone()
    }

    #[test]
    fn an_outcome_reads_back_stands_in_its_lists_and_fits_a_write_unit() {
        let outcome = held(5);
        let item = item_of(&put(&outcome).unwrap());
        let text = |name: &str| item[name].as_s().unwrap().clone();
        let (cnv, ptr) = (
            outcome.conversion.to_string(),
            PartnerId::from_bytes([2; 16]).to_string(),
        );
        assert_eq!(text("pk"), format!("CONV#{cnv}"));
        assert_eq!(text("sk"), "OUTCOME");
        assert_eq!(text("list_pk"), format!("LEDGER#{ptr}#202603"));
        assert_eq!(text("list_sk"), format!("2026-03-02T09:00:00.120Z#C#{cnv}"));
        assert_eq!(text("due_pk"), "HOLD#2");
        assert_eq!(
            text("due_sk"),
            format!("2026-04-01T09:00:00.000Z#{ptr}#{cnv}")
        );
        assert!(size(&item) <= 1024, "{} bytes", size(&item));
        assert_eq!(super::outcome(item).unwrap(), outcome);
    }

    #[test]
    fn the_commission_that_an_outcome_carries_is_read_as_a_transfer() {
        let outcome = held(5);
        let item = item_of(&put(&outcome).unwrap());
        assert_eq!(transfer(item).unwrap(), outcome.commission().unwrap());
    }

    #[test]
    fn an_outcome_that_credits_nobody_stands_in_no_list() {
        let outcome = Outcome {
            ruling: Ruling {
                winner: None,
                losers: held(5).ruling.losers,
            },
            credit: Err(Unattributed::PartnerSuspended),
            state: State::Unattributed,
            ..held(5)
        };
        let item = item_of(&put(&outcome).unwrap());
        assert!(!item.contains_key("list_pk") && !item.contains_key("due_pk"));
        assert_eq!(super::outcome(item).unwrap(), outcome);
    }

    #[test]
    fn an_item_that_makes_no_sense_is_malformed_and_never_guessed_at() {
        for (name, value) in [
            ("state", "somewhere"),
            ("trace", "1:x"),
            ("currency", "XXX"),
            ("winner", "cpn"),
            ("release_at", "soon"),
        ] {
            let mut item = item_of(&put(&held(5)).unwrap());
            item.insert(name.to_owned(), text(value));
            assert!(super::outcome(item).is_err(), "{name}");
        }
    }

    #[test]
    fn a_release_of_forty_lines_reads_back_and_fits_a_write_unit() {
        // Up to 9,999.99 each; beyond a million pounds a release takes a second unit.
        let line = |number| {
            let mut outcome = held(number);
            if let Ok(credit) = &mut outcome.credit {
                credit.posted = Money::new(999_999, credit.posted.currency());
            }
            outcome
        };
        let outcomes: Vec<Outcome> = (0..40).map(line).collect();
        let outcomes: Vec<&Outcome> = outcomes.iter().collect();
        let account = outcomes[0].account().unwrap();
        let released = release_transfer(account, &outcomes, at("2026-04-01T09:00:01Z"))
            .unwrap()
            .unwrap();
        let ops = post(&released).unwrap();
        let Op::Put(put) = &ops[0] else {
            panic!("a transfer is put first")
        };
        let item = item_of(put);
        assert!(size(&item) <= 1024, "{} bytes", size(&item));
        assert_eq!(transfer(item).unwrap(), released);
    }

    #[test]
    fn a_clawback_reads_back_and_is_an_open_line_of_the_negated_amount() {
        let account = held(5).account().unwrap();
        let taken = Transfer {
            id: TransferId::derived(&["x"]),
            kind: TransferKind::Reversal,
            account,
            from: Bucket::Payable,
            to: Bucket::Commissions,
            amount: Money::new(1470, account.currency),
            at: at("2026-05-01T00:00:00Z"),
            source: "cnv".to_owned(),
            lines: Vec::new(),
            reason: Some("returned goods".to_owned()),
        };
        let ops = post_clawback(&taken, taken.at).unwrap();
        let Op::Put(put) = &ops[0] else {
            panic!("a transfer is put first")
        };
        let item = item_of(put);
        assert_eq!(item["line"], text("open"));
        assert_eq!(item["line_minor"], AttributeValue::N("-1470".to_owned()));
        assert_eq!(
            item["due_pk"],
            text(format!("PAYABLE#{}#2", account.program))
        );
        assert_eq!(
            item["due_sk"],
            text(format!(
                "{}#2026-05-01T00:00:00.000Z#{}",
                account.partner, taken.id
            ))
        );
        assert_eq!(transfer(item).unwrap(), taken);
    }
}
