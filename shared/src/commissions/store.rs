//! Keys and items of outcomes.

pub mod books;
pub mod customers;

use serde::{Deserialize, Serialize};

use super::fold::{Aside, Cut, Step};
use super::model::{Corrected, Credit, Exchange, Line, Outcome, Part, Source, State, WindowKind};
use crate::channel::model::ClaimKind;
use crate::claims::model::{Claim, Evidence, Right, Ruling, Unattributed};
use crate::clock::{Date, Timestamp, month, parse, stamp};
use crate::ids::{ConversionId, PartnerId, PayoutId, ProgramId};
use crate::ledger::model::AccountId;
use crate::ledger::store::put as put_transfer;
use crate::ledger::store::{
    due_shard, legs, list_partition, list_position, payable_partition, payable_position, put_line,
    set_open_line,
};
use crate::money::{Currency, Money};
use crate::plans::model::{ASSIGNED_BY, AssignedBy, name_in};
use crate::table::{
    AttributeValue, Condition, Error, Item, Key, Op, Put, Update, from_item, int, text,
};

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

/// The due partition of conversions that wait for a rate of exchange.
pub const WAITING: &str = "WAIT";

fn hold_position(release_at: Timestamp, partner: PartnerId, conversion: ConversionId) -> String {
    format!("{}#{partner}#{conversion}", stamp(release_at))
}

/// The stored form of an outcome; a plain one is within 1 KB, so that a commission stays at its budget.
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
    /// What it is paid for, unless that is the conversion of its key: see [`write_source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// The reason of an adjustment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    word: Option<String>,
    /// The claim that won: see [`write_claim`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    winner: Option<String>,
    /// The claim that won its share beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beside: Option<String>,
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
    assigned_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pay_minor: Option<i64>,
    /// What was posted first; the transfer that the item carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    posted_minor: Option<i64>,
    /// What was posted in all, where that is not the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release_at: Option<String>,
    /// Why its hold was moved, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold_note: Option<String>,
    /// The share that it is paid for, or `rest:` and the one that it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// A step after the other, with commas: see [`write_step`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    /// `<cap>:<minor units taken off>:<minor units there were>`, with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cuts: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    months: Option<i64>,
    /// The book's partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    book: Option<String>,
    /// When it counts in the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted_at: Option<String>,
    /// `<upline>:<minor units>`, the nearest first, with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    levels: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    measured_by: Vec<PartnerId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    owes: bool,
    revision: u32,
    /// Digests with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exchange: Option<ExchangePart>,
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

#[derive(Serialize, Deserialize)]
struct ExchangePart {
    from: String,
    rate: String,
    date: String,
    source: String,
}

/// `<evidence>|<time of a click>|<partner>|<fault>`, empty where there is none, and `|<share>` where it is of a
/// part; the evidence of a registered
/// claim is `<kind>:<id>`, and its time that from which on it held.
fn write_claim(claim: &Claim) -> String {
    let Claim {
        partner,
        evidence,
        fault,
        share,
    } = claim;
    let (evidence, at) = match evidence {
        Evidence::Click { link, at } => (link.to_string(), stamp(*at)),
        Evidence::Coupon { coupon } => (coupon.to_string(), String::new()),
        Evidence::Decision { dispute } => (dispute.to_string(), String::new()),
        Evidence::Registered { right, since } => (
            format!("{}:{}", right.kind().name(), right.id()),
            stamp(*since),
        ),
    };
    let partner = partner.map(|partner| partner.to_string());
    let share = share.map_or_else(String::new, |share| format!("|{share}"));
    format!(
        "{evidence}|{at}|{}|{}{share}",
        partner.unwrap_or_default(),
        fault.map_or("", Unattributed::name)
    )
}

fn read_claim(text: &str) -> Option<Claim> {
    let mut parts = text.split('|');
    let (evidence, at, partner, fault) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let registered = evidence.split_once(':');
    let evidence = match at {
        at if let Some((kind, id)) = registered => Evidence::Registered {
            right: Right::of(ClaimKind::of(kind)?, id)?,
            since: parse(at)?,
        },
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
    let share = match parts.next() {
        None => None,
        Some(share) => Some(share.parse().ok()?),
    };
    Some(Claim {
        partner,
        evidence,
        fault,
        share,
    })
}

fn write_part(part: Part) -> String {
    match part {
        Part::Share(share) => share.to_string(),
        Part::Rest(share) => format!("rest:{share}"),
    }
}

fn read_part(text: &str) -> Option<Part> {
    match text.strip_prefix("rest:") {
        None => text.parse().map(Part::Share).ok(),
        Some(share) => share.parse().map(Part::Rest).ok(),
    }
}

/// `share|<of>`, `level|<of>|<level>`, `subtree|<of>`, `close|<at>`, `budget|<at>` or
/// `adjustment|<by>|<about>`; its reason stands apart.
fn write_source(source: &Source) -> (Option<String>, Option<String>) {
    let text = match source {
        Source::Conversion => return (None, None),
        Source::Share { of } => format!("share|{of}"),
        Source::Level { of, level } => format!("level|{of}|{level}"),
        Source::SubTree { of } => format!("subtree|{of}"),
        Source::Window { at, kind } => match kind {
            WindowKind::Close => format!("close|{}", stamp(*at)),
            WindowKind::Budget => format!("budget|{}", stamp(*at)),
        },
        Source::Adjustment { by, reason, about } => {
            let about = about.clone().unwrap_or_default();
            return (
                Some(format!("adjustment|{by}|{about}")),
                Some(reason.clone()),
            );
        }
    };
    (Some(text), None)
}

fn read_source(source: Option<String>, word: Option<String>) -> Option<Source> {
    let Some(source) = source else {
        return Some(Source::Conversion);
    };
    let mut parts = source.split('|');
    let mut next = || parts.next();
    Some(match next()? {
        "share" => Source::Share {
            of: next()?.parse().ok()?,
        },
        "level" => Source::Level {
            of: next()?.parse().ok()?,
            level: next()?.parse().ok()?,
        },
        "subtree" => Source::SubTree {
            of: next()?.parse().ok()?,
        },
        "close" => Source::Window {
            at: parse(next()?)?,
            kind: WindowKind::Close,
        },
        "budget" => Source::Window {
            at: parse(next()?)?,
            kind: WindowKind::Budget,
        },
        "adjustment" => Source::Adjustment {
            by: next()?.parse().ok()?,
            about: next().filter(|about| !about.is_empty()).map(str::to_owned),
            reason: word?,
        },
        _ => return None,
    })
}

/// `<component>:<minor units>`, then `:<before>:<after>` where it measures, then `:n` where another was
/// chosen and `:g` where a gate is to decide.
fn write_step(step: &Step) -> String {
    let Step {
        component,
        amount,
        unbound,
        measured,
        aside,
    } = step;
    let unbound = unbound.map_or_else(String::new, |unbound| format!("/{}", unbound.minor()));
    let measured =
        measured.map_or_else(String::new, |(before, after)| format!(":{before}:{after}"));
    let aside = match aside {
        None => "",
        Some(Aside::NotChosen) => ":n",
        Some(Aside::Gated) => ":g",
    };
    format!("{component}:{}{unbound}{measured}{aside}", amount.minor())
}

fn read_step(text: &str, currency: Currency) -> Option<Step> {
    let mut parts: Vec<&str> = text.split(':').collect();
    let aside = match parts.last() {
        Some(&"n") => Some(Aside::NotChosen),
        Some(&"g") => Some(Aside::Gated),
        _ => None,
    };
    if aside.is_some() {
        parts.pop();
    }
    let number = |text: &str| text.parse::<i64>().ok();
    let (component, minor, measured) = match parts[..] {
        [component, minor] => (component, minor, None),
        [component, minor, before, after] => {
            (component, minor, Some((number(before)?, number(after)?)))
        }
        _ => return None,
    };
    let (minor, unbound) = match minor.split_once('/') {
        Some((minor, unbound)) => (minor, Some(Money::new(number(unbound)?, currency))),
        None => (minor, None),
    };
    Some(Step {
        component: component.parse().ok()?,
        amount: Money::new(number(minor)?, currency),
        unbound,
        measured,
        aside,
    })
}

/// Entries of a text with commas; none of an empty one.
fn entries<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',')
        .filter(|entry| !entry.is_empty())
        .map(read)
        .collect()
}

fn joined(entries: impl Iterator<Item = String>) -> Option<String> {
    let entries: Vec<String> = entries.collect();
    (!entries.is_empty()).then(|| entries.join(","))
}

fn write_cut(cut: &Cut) -> String {
    let Cut { cap, by, room } = cut;
    format!("{cap}:{}:{}", by.minor(), room.minor())
}

fn read_cut(text: &str, currency: Currency) -> Option<Cut> {
    let mut parts = text.split(':');
    let cap = parts.next()?.parse().ok()?;
    let mut money = || Some(Money::new(parts.next()?.parse().ok()?, currency));
    Some(Cut {
        cap,
        by: money()?,
        room: money()?,
    })
}

/// Steps and cuts as they are stored, by which two of them are compared byte for byte.
#[must_use]
pub fn trace_text(steps: &[Step], cuts: &[Cut]) -> String {
    let steps = joined(steps.iter().map(write_step)).unwrap_or_default();
    let cuts = joined(cuts.iter().map(write_cut)).unwrap_or_default();
    format!("{steps}|{cuts}")
}

fn write_level((upline, share): &(Option<PartnerId>, Money)) -> String {
    let upline = upline.map(|upline| upline.to_string()).unwrap_or_default();
    format!("{upline}:{}", share.minor())
}

fn read_level(text: &str, currency: Currency) -> Option<(Option<PartnerId>, Money)> {
    let (upline, minor) = text.split_once(':')?;
    let upline = match upline {
        "" => None,
        upline => Some(upline.parse().ok()?),
    };
    Some((upline, Money::new(minor.parse().ok()?, currency)))
}

/// The item of an outcome.
fn item_of(outcome: &Outcome) -> OutcomeItem {
    let Outcome {
        conversion,
        source,
        program,
        at,
        ruling: Ruling {
            winner,
            beside,
            losers,
        },
        credit,
        state,
    } = outcome;
    let Key { pk, sk } = outcome_key(*conversion);
    let (source, word) = write_source(source);
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
        source,
        word,
        winner: winner.as_ref().map(write_claim),
        beside: beside.as_ref().map(write_claim),
        losers: losers.iter().map(write_claim).collect(),
        reason: None,
        partner: None,
        currency: None,
        plan: None,
        plan_version: None,
        assigned_by: None,
        pay_minor: None,
        posted_minor: None,
        total_minor: None,
        release_at: None,
        hold_note: None,
        part: None,
        trace: None,
        cuts: None,
        known_since: None,
        months: None,
        book: None,
        counted_at: None,
        levels: None,
        measured_by: Vec::new(),
        owes: false,
        revision: 0,
        applied: None,
        exchange: None,
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
                assigned_by,
                pay,
                posted,
                total,
                release_at,
                hold_note,
                part,
                trace,
                cuts,
                known_since,
                months,
                book,
                levels,
                measured_by,
                owes,
                revision,
                applied,
                exchange,
                payable_at,
                reversed_at,
                payout,
                line,
                line_minor,
            } = credit;
            item.list_pk = Some(list_partition(*partner, month(*at)));
            item.list_sk = Some(list_position(*at, 'C', &conversion.to_string()));
            (item.due_pk, item.due_sk) = due(outcome, credit).unzip();
            item.partner = Some(*partner);
            item.currency = Some(pay.currency().code().to_owned());
            item.plan = Some(plan.clone());
            item.plan_version = Some(*plan_version);
            item.assigned_by = (*assigned_by != AssignedBy::Partner)
                .then(|| name_in(ASSIGNED_BY, *assigned_by).to_owned());
            item.pay_minor = Some(pay.minor());
            item.posted_minor = Some(posted.minor());
            item.total_minor = (total != posted).then(|| total.minor());
            item.release_at = Some(stamp(*release_at));
            item.hold_note = hold_note.clone();
            item.part = part.map(write_part);
            item.trace = Some(joined(trace.iter().map(write_step)).unwrap_or_default());
            item.cuts = joined(cuts.iter().map(write_cut));
            item.known_since = known_since.map(stamp);
            item.months = *months;
            item.book = book.as_ref().map(|(book, _)| books::partition(book));
            item.counted_at = book.as_ref().map(|(_, at)| stamp(*at));
            item.levels = joined(levels.iter().map(write_level));
            item.measured_by = measured_by.clone();
            item.owes = *owes;
            item.revision = *revision;
            item.applied = joined(applied.iter().cloned());
            item.exchange = exchange.as_ref().map(|exchange| {
                let Exchange {
                    from,
                    rate,
                    date,
                    source,
                } = exchange.clone();
                ExchangePart {
                    from: from.code().to_owned(),
                    rate: rate.to_string(),
                    date: date.to_string(),
                    source,
                }
            });
            item.payable_at = payable_at.map(stamp);
            item.reversed_at = reversed_at.map(stamp);
            item.payout = *payout;
            item.line = line.map(|line| line.name().to_owned());
            item.line_minor = line.map(|_| *line_minor);
        }
    }
    item
}

/// Where an outcome waits for the clock, by its state.
fn due(outcome: &Outcome, credit: &Credit) -> Option<(String, String)> {
    let Outcome {
        conversion,
        program,
        state,
        ..
    } = outcome;
    let partner = credit.partner;
    match (state, credit.line, credit.payable_at) {
        (State::Held, ..) => Some((
            hold_partition(due_shard(partner)),
            hold_position(credit.release_at, partner, *conversion),
        )),
        (State::Payable | State::Reversed, Some(Line::Open), Some(payable_at)) => Some((
            payable_partition(*program, due_shard(partner)),
            payable_position(partner, payable_at, &conversion.to_string()),
        )),
        _ => None,
    }
}

/// The put of a new outcome.
///
/// # Errors
/// Never for a well-formed outcome.
pub fn put(outcome: &Outcome) -> Result<Put, Error> {
    Put::new(&item_of(outcome))
}

/// Whether an outcome's item says that lines of others may not stand yet: without reading the rest of it.
#[must_use]
pub fn owes(item: &Item) -> bool {
    matches!(item.get("owes"), Some(AttributeValue::Bool(true)))
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
        source,
        word,
        winner,
        beside,
        losers,
        reason,
        partner,
        currency,
        plan,
        plan_version,
        assigned_by,
        pay_minor,
        posted_minor,
        total_minor,
        release_at,
        hold_note,
        part,
        trace,
        cuts,
        known_since,
        months,
        book,
        counted_at,
        levels,
        measured_by,
        owes,
        revision,
        applied,
        exchange,
        payable_at,
        reversed_at,
        payout,
        line,
        line_minor,
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
            let book = match (book, counted_at) {
                (None, None) => None,
                (book, at) => Some((books::id(&book?)?, parse(&at?)?)),
            };
            let assigned_by = match assigned_by {
                None => AssignedBy::Partner,
                Some(name) => ASSIGNED_BY.iter().find(|(known, _)| *known == name)?.1,
            };
            let exchange = match exchange {
                None => None,
                Some(ExchangePart {
                    from,
                    rate,
                    date,
                    source,
                }) => Some(Exchange {
                    from: from.parse().ok()?,
                    rate: rate.parse().ok()?,
                    date: date.parse().ok()?,
                    source,
                }),
            };
            let posted = Money::new(posted_minor?, currency);
            Ok(Credit {
                partner: partner?,
                plan: plan?,
                plan_version: plan_version?,
                assigned_by,
                pay: Money::new(pay_minor?, currency),
                posted,
                total: total_minor.map_or(posted, |minor| Money::new(minor, currency)),
                release_at: parse(&release_at?)?,
                hold_note,
                part: match part {
                    None => None,
                    Some(part) => Some(read_part(&part)?),
                },
                trace: entries(&trace?, |step| read_step(step, currency))?,
                cuts: entries(&cuts.unwrap_or_default(), |cut| read_cut(cut, currency))?,
                known_since: time(known_since)?,
                months,
                book,
                levels: entries(&levels.unwrap_or_default(), |level| {
                    read_level(level, currency)
                })?,
                measured_by,
                owes,
                revision,
                applied: entries(&applied.unwrap_or_default(), |one| Some(one.to_owned()))?,
                exchange,
                payable_at: time(payable_at)?,
                reversed_at: time(reversed_at)?,
                payout,
                line,
                line_minor: line_minor.unwrap_or(0),
            })
        }
    };
    let claim = |claim: Option<String>| match claim {
        None => Some(None),
        Some(claim) => read_claim(&claim).map(Some),
    };
    Some(Outcome {
        conversion: pk.strip_prefix("CONV#")?.parse().ok()?,
        source: read_source(source, word)?,
        program,
        at: parse(&at)?,
        ruling: Ruling {
            winner: claim(winner)?,
            beside: claim(beside)?,
            losers: losers
                .iter()
                .map(|claim| read_claim(claim))
                .collect::<Option<_>>()?,
        },
        credit,
        state: State::of(&state)?,
    })
}

/// That an outcome stands where it was read: its state, its line, its hold, and its corrections.
fn stands(outcome: &Outcome) -> Condition {
    let condition = Condition::equals("state", text(outcome.state.name()));
    let Ok(credit) = &outcome.credit else {
        return condition;
    };
    // A hold that was moved is no correction, but a correction must not move it back.
    let condition = condition
        .and_equals("revision", int(credit.revision))
        .and_equals("release_at", text(stamp(credit.release_at)));
    match credit.line {
        Some(line) => condition.and_equals("line", text(line.name())),
        None => condition.and_absent("line"),
    }
}

/// The outcome's part of a release: held becomes payable, as an open line. Refused when it has moved.
#[must_use]
pub fn release(outcome: &Outcome, account: AccountId, now: Timestamp) -> Op {
    let id = outcome.conversion.to_string();
    let minor = outcome
        .credit
        .as_ref()
        .map_or(0, |credit| credit.total.minor());
    let update = Update::at(outcome_key(outcome.conversion))
        .set("state", text(State::Payable.name()))
        .only_if(stands(outcome));
    Op::Update(set_open_line(
        update,
        account.program,
        account.partner,
        now,
        &id,
        minor,
    ))
}

/// The put of the transfer that corrects a commission; `None` where nothing moves. Its legs, and the change
/// of the outcome, share its transaction.
///
/// # Errors
/// Never for a well-formed outcome.
pub fn correction(before: &Outcome, how: &Corrected) -> Result<Option<Op>, Error> {
    let Corrected {
        after: _,
        transfer,
        apart,
    } = how;
    match apart {
        Some(0) => Ok(None),
        Some(minor) => {
            let since = before
                .credit
                .as_ref()
                .ok()
                .and_then(|credit| credit.payable_at);
            put_line(transfer, *minor, since.unwrap_or(transfer.at)).map(Some)
        }
        None => put_transfer(transfer).map(Some),
    }
}

/// All that corrects commissions of one account: the outcomes' parts first, refused when they have moved
/// since they were read, then the transfers, then what they change of the account.
///
/// # Errors
/// `Failed` beyond what 64 bits hold.
pub fn correct(corrections: &[(&Outcome, &Corrected)]) -> Result<Vec<Op>, Error> {
    let mut ops = Vec::with_capacity(2 * corrections.len() + 2);
    for (before, how) in corrections {
        ops.push(change(before, &how.after)?);
    }
    let mut moved = Vec::with_capacity(corrections.len());
    for (before, how) in corrections {
        if let Some(put) = correction(before, how)? {
            ops.push(put);
            moved.push(&how.transfer);
        }
    }
    ops.extend(legs(&moved)?);
    Ok(ops)
}

/// The change of an outcome into another of the same conversion, refused when it has moved.
///
/// # Errors
/// Never for a well-formed outcome.
pub fn change(before: &Outcome, after: &Outcome) -> Result<Op, Error> {
    const CLEARABLE: [&str; 10] = [
        "due_pk",
        "due_sk",
        "total_minor",
        "levels",
        "owes",
        "applied",
        "payable_at",
        "payout",
        "line",
        "line_minor",
    ];
    let update = Update::rewrite(&item_of(after), &CLEARABLE)?;
    Ok(Op::Update(update.only_if(stands(before))))
}

/// That an outcome has not been corrected since it was read: what follows from it follows from this.
#[must_use]
pub fn unrevised(outcome: &Outcome) -> Op {
    let revision = outcome.credit.as_ref().map_or(0, |credit| credit.revision);
    Op::Check(
        outcome_key(outcome.conversion),
        Condition::equals("revision", int(revision)),
    )
}

/// Marks that all lines of others stand that follow from an outcome. Refused when it has been corrected
/// since it was read.
#[must_use]
pub fn followed(outcome: &Outcome) -> Update {
    let revision = outcome.credit.as_ref().map_or(0, |credit| credit.revision);
    Update::at(outcome_key(outcome.conversion))
        .remove("owes")
        .only_if(Condition::equals("revision", int(revision)))
}

/// The put of an outcome that waits for a rate of exchange from one currency to another of a day.
///
/// # Errors
/// Never for a well-formed outcome.
pub fn put_waiting(
    outcome: &Outcome,
    from: Currency,
    to: Currency,
    day: Date,
) -> Result<Put, Error> {
    Put::new(&OutcomeItem {
        due_pk: Some(WAITING.to_owned()),
        due_sk: Some(format!("{from}#{to}#{day}#{}", outcome.conversion)),
        ..item_of(outcome)
    })
}

/// The currencies and the day of a place in [`WAITING`].
#[must_use]
pub fn awaited(position: &str) -> Option<(Currency, Currency, Date)> {
    let mut parts = position.split('#');
    Some((
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    ))
}

/// A place in [`WAITING`] after all that wait for that rate.
#[must_use]
pub fn after_awaited(from: Currency, to: Currency, day: Date) -> String {
    // `$` is the character after `#`.
    format!("{from}#{to}#{day}$")
}

/// What takes the place of an outcome that waited: refused when it no longer does.
///
/// # Errors
/// Never for a well-formed outcome.
pub fn put_after_wait(outcome: &Outcome) -> Result<Op, Error> {
    let update = Update::rewrite(
        &item_of(outcome),
        &["due_pk", "due_sk", "reason", "winner", "beside", "losers"],
    )?;
    let waits = Condition::equals("state", text(State::Waiting.name()));
    Ok(Op::Update(update.only_if(waits)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::commissions::book::{BookId, Span};
    use crate::commissions::model::release as release_transfer;
    use crate::ids::{CouponId, LinkId, TransferId};
    use crate::ledger::model::{Bucket, Transfer, TransferKind};
    use crate::ledger::store::{post, transfer};
    use crate::table::AttributeValue;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn held(number: u8) -> Outcome {
        let gbp: Currency = "GBP".parse().unwrap();
        let partner = PartnerId::from_bytes([2; 16]);
        Outcome {
            conversion: ConversionId::from_bytes([number; 16]),
            source: Source::Conversion,
            program: ProgramId::from_bytes([1; 16]),
            at: at("2026-03-02T09:00:00.120Z"),
            ruling: Ruling {
                winner: Some(Claim {
                    partner: Some(partner),
                    evidence: Evidence::Coupon {
                        coupon: CouponId::from_bytes([3; 16]),
                    },
                    fault: None,
                    share: None,
                }),
                beside: None,
                losers: vec![Claim {
                    partner: Some(partner),
                    evidence: Evidence::Click {
                        link: LinkId::from_bytes([4; 16]),
                        at: at("2026-03-01T09:00:00Z"),
                    },
                    fault: Some(Unattributed::PartnerSuspended),
                    share: None,
                }],
            },
            credit: Ok(Credit {
                partner,
                plan: "standard".to_owned(),
                plan_version: 2,
                pay: Money::new(123_456_789, gbp),
                posted: Money::new(123_456_789, gbp),
                total: Money::new(123_456_789, gbp),
                assigned_by: AssignedBy::Partner,
                hold_note: None,
                part: None,
                cuts: Vec::new(),
                known_since: None,
                months: None,
                book: None,
                levels: Vec::new(),
                measured_by: Vec::new(),
                owes: false,
                revision: 0,
                applied: Vec::new(),
                exchange: None,
                line_minor: 0,
                release_at: at("2026-04-01T09:00:00Z"),
                trace: vec![
                    Step {
                        component: 0,
                        amount: Money::new(400, gbp),
                        unbound: None,
                        measured: None,
                        aside: None,
                    },
                    Step {
                        component: 19,
                        amount: Money::new(123_456_389, gbp),
                        unbound: None,
                        measured: None,
                        aside: None,
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

    fn item(put: &Put) -> Item {
        put.item().clone()
    }

    #[test]
    fn an_outcome_reads_back_stands_in_its_lists_and_fits_a_write_unit() {
        let outcome = held(5);
        let item = item(&put(&outcome).unwrap());
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
    fn an_outcome_with_all_that_it_may_have_reads_back() {
        let gbp: Currency = "GBP".parse().unwrap();
        let book = BookId {
            program: ProgramId::from_bytes([1; 16]),
            partner: None,
            plan: Some(("gold".to_owned(), 3)),
            span: Span::Month(202_603),
        };
        for source in [
            Source::Conversion,
            Source::Level {
                of: ConversionId::from_bytes([8; 16]),
                level: 2,
            },
            Source::SubTree {
                of: ConversionId::from_bytes([8; 16]),
            },
            Source::Window {
                at: at("2026-04-01T00:00:00Z"),
                kind: WindowKind::Close,
            },
            Source::Window {
                at: at("2026-04-01T00:00:00Z"),
                kind: WindowKind::Budget,
            },
            Source::Adjustment {
                by: crate::ids::OperatorId::from_bytes([7; 16]),
                reason: "a lost parcel | and more".to_owned(),
                about: Some("cnv_1".to_owned()),
            },
        ] {
            let mut outcome = held(5);
            outcome.source = source;
            outcome.state = State::Payable;
            if let Ok(credit) = &mut outcome.credit {
                credit.total = Money::new(-5, gbp);
                credit.assigned_by = AssignedBy::Link;
                credit.hold_note = Some("fraud check".to_owned());
                credit.trace = vec![
                    Step {
                        component: 1,
                        amount: Money::new(-7, gbp),
                        unbound: None,
                        measured: Some((-3, 900)),
                        aside: Some(Aside::Gated),
                    },
                    Step {
                        component: 2,
                        amount: Money::new(7, gbp),
                        unbound: None,
                        measured: None,
                        aside: Some(Aside::NotChosen),
                    },
                ];
                credit.cuts = vec![Cut {
                    cap: 0,
                    by: Money::new(12, gbp),
                    room: Money::new(0, gbp),
                }];
                credit.book = Some((book.clone(), at("2026-03-02T09:00:00Z")));
                credit.levels = vec![
                    (Some(PartnerId::from_bytes([3; 16])), Money::new(5, gbp)),
                    (None, Money::new(0, gbp)),
                ];
                credit.measured_by = vec![PartnerId::from_bytes([3; 16])];
                credit.owes = true;
                credit.revision = 4;
                credit.applied = vec!["r0123456789ab".to_owned(), "a0123456789ab".to_owned()];
                credit.exchange = Some(Exchange {
                    from: "USD".parse().unwrap(),
                    rate: "0.79".parse().unwrap(),
                    date: "2026-03-01".parse().unwrap(),
                    source: "ECB".to_owned(),
                });
                credit.payable_at = Some(at("2026-04-01T09:00:00Z"));
                credit.line = Some(Line::Open);
                credit.line_minor = -5;
            }
            let stored = item(&put(&outcome).unwrap());
            assert_eq!(super::outcome(stored).unwrap(), outcome);
        }
    }

    #[test]
    fn the_commission_that_an_outcome_carries_is_read_as_a_transfer() {
        let outcome = held(5);
        let item = item(&put(&outcome).unwrap());
        assert_eq!(transfer(item).unwrap(), outcome.commission().unwrap());
    }

    #[test]
    fn shares_read_back() {
        let mut outcome = held(5);
        let share: crate::money::Rate = "0.30".parse().unwrap();
        outcome.source = Source::Share {
            of: ConversionId::from_bytes([6; 16]),
        };
        let winner = outcome.ruling.winner.clone().unwrap();
        outcome.ruling.beside = Some(Claim {
            share: Some(share),
            ..winner
        });
        for part in [Part::Share(share), Part::Rest(share)] {
            outcome.credit.as_mut().unwrap().part = Some(part);
            assert_eq!(
                super::outcome(item(&put(&outcome).unwrap())).unwrap(),
                outcome
            );
        }
    }

    #[test]
    fn whoever_stood_beside_one_that_waited_does_not_stay_there() {
        // It is not set, so it is removed.
        let Op::Update(update) = put_after_wait(&held(5)).unwrap() else {
            panic!("an update")
        };
        assert!(format!("{update:?}").contains("beside"));
    }

    #[test]
    fn an_outcome_that_credits_nobody_stands_in_no_list() {
        let outcome = Outcome {
            ruling: Ruling {
                winner: None,
                beside: None,
                losers: held(5).ruling.losers,
            },
            credit: Err(Unattributed::PartnerSuspended),
            state: State::Unattributed,
            ..held(5)
        };
        let item = item(&put(&outcome).unwrap());
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
            let mut item = item(&put(&held(5)).unwrap());
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
                credit.total = Money::new(999_999, credit.total.currency());
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
        let item = item(put);
        assert!(size(&item) <= 1024, "{} bytes", size(&item));
        assert_eq!(transfer(item).unwrap(), released);
    }

    #[test]
    fn a_correction_of_taken_money_reads_back_and_is_an_open_line_of_its_own() {
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
        let Op::Put(put) = put_line(&taken, -1470, taken.at).unwrap() else {
            panic!("a transfer is put")
        };
        let put = &put;
        let item = item(put);
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
