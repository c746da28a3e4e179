//! Keys and items of books and their events.
//!
//! A book's head and its events stand in one partition, so that one query reads both; an event's place in
//! it is its place in the canonical order.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, parse, stamp};
use crate::commissions::book::{Book, BookId, Span, Totals};
use crate::commissions::fold::{Behind, Entry, Running, Standing, State, Used};
use crate::ids::{ConversionId, PartnerId};
use crate::table::{
    Condition, Error, Index, Item, Key, Op, Put, Range, Table, Update, from_item, int,
};

/// Events read in one page.
const PAGE: usize = 2_000;
/// Events of one book that are folded at most when one of them is corrected or comes late.
pub const MAX_ENTRIES: usize = 1_000_000;
/// Bytes of a fold's state that a book keeps; a larger one is folded anew.
const MAX_STATE: usize = 16_384;
/// Books that wait for a window to close, or for the budget to be shared anew.
pub const CLOSES: &str = "CLOSES";

/// The partition of a book.
#[must_use]
pub fn partition(id: &BookId) -> String {
    let BookId {
        program,
        partner,
        plan,
        span,
    } = id;
    let partner = partner.map_or_else(|| "*".to_owned(), |partner| partner.to_string());
    let plan = plan.as_ref().map_or_else(
        || "*#*".to_owned(),
        |(code, version)| format!("{code}#{version}"),
    );
    let span = match span {
        Span::Customer(customer) => format!("C{customer}"),
        Span::Month(number) => format!("M{number}"),
        Span::Quarter(number) => format!("Q{number}"),
        Span::Lifetime => "L".to_owned(),
    };
    format!("BOOK#{program}#{partner}#{plan}#{span}")
}

/// The book of a partition.
#[must_use]
pub fn id(partition: &str) -> Option<BookId> {
    let mut parts = partition.strip_prefix("BOOK#")?.splitn(5, '#');
    let program = parts.next()?.parse().ok()?;
    let partner = match parts.next()? {
        "*" => None,
        partner => Some(partner.parse().ok()?),
    };
    let plan = match (parts.next()?, parts.next()?) {
        ("*", "*") => None,
        (code, version) => Some((code.to_owned(), version.parse().ok()?)),
    };
    let span = parts.next()?;
    let (letter, rest) = span.split_at_checked(1)?;
    let span = match letter {
        "C" => Span::Customer(rest.to_owned()),
        "M" => Span::Month(rest.parse().ok()?),
        "Q" => Span::Quarter(rest.parse().ok()?),
        "L" => Span::Lifetime,
        _ => return None,
    };
    Some(BookId {
        program,
        partner,
        plan,
        span,
    })
}

fn head_key(id: &BookId) -> Key {
    Key::new(partition(id), "BOOK")
}

/// The place of an event: [`Book::last`] is the highest of them.
#[must_use]
pub fn position(counted_at: Timestamp, conversion: ConversionId) -> String {
    format!("E#{}#{conversion}", stamp(counted_at))
}

#[derive(Serialize, Deserialize)]
struct BookItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_sk: Option<String>,
    version: u64,
    last: String,
    /// `<partner>` to minor units, with commas: its own, then its uplines' from the nearest on.
    posted: BTreeMap<PartnerId, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closes_at: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    closing: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owing: Option<ConversionId>,
    /// A [`StateText`], in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

/// Window, measure, exact pay, quantity, rounded pay, what caps took off.
type RunningText = (i32, i64, String, i64, i64, i64);
type TrailText = Vec<(Timestamp, i64)>;
/// Window and minor units.
type UsedText = (i32, i64);

#[derive(Serialize, Deserialize)]
struct StandingText {
    partner: PartnerId,
    plan: usize,
    running: Vec<RunningText>,
    trails: Vec<TrailText>,
    used: Vec<UsedText>,
}

#[derive(Serialize, Deserialize)]
struct StateText {
    standings: Vec<StandingText>,
    budgets: Vec<(usize, usize, UsedText)>,
}

/// The stored form of a state; `None` for one that is large, knows customers or waits behind a gate.
fn write_state(state: &State) -> Result<Option<String>, Error> {
    let State {
        standings,
        customers,
        budgets,
    } = state;
    let waits = |standing: &Standing| standing.behind.iter().any(|gate| gate.window != 0);
    if !customers.is_empty() || standings.values().any(waits) {
        return Ok(None);
    }
    let used = |used: &Used| (used.window, used.minor);
    let mut texts: Vec<StandingText> = standings
        .iter()
        .map(|((partner, plan), standing)| {
            let Standing {
                running,
                trails,
                behind: _,
                used: caps,
            } = standing;
            StandingText {
                partner: *partner,
                plan: *plan,
                running: running
                    .iter()
                    .map(|running| {
                        let Running {
                            window,
                            measure,
                            exact,
                            quantity,
                            rounded,
                            over,
                        } = *running;
                        (window, measure, exact.to_string(), quantity, rounded, over)
                    })
                    .collect(),
                trails: trails
                    .iter()
                    .map(|trail| trail.iter().copied().collect())
                    .collect(),
                used: caps.iter().map(used).collect(),
            }
        })
        .collect();
    texts.sort_by_key(|text| (text.partner, text.plan));
    let mut budgets: Vec<_> = budgets
        .iter()
        .map(|((plan, cap), budget)| (*plan, *cap, used(budget)))
        .collect();
    budgets.sort_unstable();
    let text = serde_json::to_string(&StateText {
        standings: texts,
        budgets,
    })
    .map_err(|error| Error::Malformed(error.to_string()))?;
    Ok((text.len() <= MAX_STATE).then_some(text))
}

fn read_state(text: &str) -> Option<State> {
    let StateText { standings, budgets } = serde_json::from_str(text).ok()?;
    let used = |(window, minor): UsedText| Used { window, minor };
    let standings = standings
        .into_iter()
        .map(|text| {
            let StandingText {
                partner,
                plan,
                running,
                trails,
                used: caps,
            } = text;
            let running: Vec<Running> = running
                .into_iter()
                .map(|(window, measure, exact, quantity, rounded, over)| {
                    Some(Running {
                        window,
                        measure,
                        exact: exact.parse().ok()?,
                        quantity,
                        rounded,
                        over,
                    })
                })
                .collect::<Option<_>>()?;
            let standing = Standing {
                behind: vec![Behind::default(); running.len()],
                running,
                trails: trails.into_iter().map(VecDeque::from).collect(),
                used: caps.into_iter().map(used).collect(),
            };
            Some(((partner, plan), standing))
        })
        .collect::<Option<_>>()?;
    Some(State {
        standings,
        customers: Default::default(),
        budgets: budgets
            .into_iter()
            .map(|(plan, cap, budget)| ((plan, cap), used(budget)))
            .collect(),
    })
}

fn item_of(book: &Book) -> Result<BookItem, Error> {
    let Book {
        id,
        version,
        last,
        posted,
        closed_until,
        closes_at,
        closing,
        owing,
        state,
    } = book;
    let Key { pk, sk } = head_key(id);
    let state = match state {
        Some(state) => write_state(state)?,
        None => None,
    };
    Ok(BookItem {
        due_pk: closes_at.map(|_| CLOSES.to_owned()),
        due_sk: closes_at.map(|at| format!("{}#{pk}", stamp(at))),
        pk,
        sk,
        version: *version,
        last: last.clone(),
        posted: posted
            .iter()
            .map(|(partner, totals)| {
                let totals: Vec<String> = totals.iter().map(i64::to_string).collect();
                (*partner, totals.join(","))
            })
            .collect(),
        closed_until: closed_until.map(stamp),
        closes_at: closes_at.map(stamp),
        closing: *closing,
        owing: *owing,
        state,
    })
}

fn read(item: BookItem) -> Option<Book> {
    let BookItem {
        pk,
        sk: _,
        due_pk: _,
        due_sk: _,
        version,
        last,
        posted,
        closed_until,
        closes_at,
        closing,
        owing,
        state,
    } = item;
    let time = |at: Option<String>| match at {
        None => Some(None),
        Some(at) => parse(&at).map(Some),
    };
    Some(Book {
        id: id(&pk)?,
        version,
        last,
        posted: posted
            .into_iter()
            .map(|(partner, totals)| {
                let totals: Totals = totals
                    .split(',')
                    .map(|minor| minor.parse().ok())
                    .collect::<Option<_>>()?;
                Some((partner, totals))
            })
            .collect::<Option<_>>()?,
        closed_until: time(closed_until)?,
        closes_at: time(closes_at)?,
        closing,
        owing,
        // One of another form is folded anew.
        state: state.as_deref().and_then(read_state),
    })
}

/// The change of a book into its next version; refused when it has moved since it was read.
///
/// # Errors
/// Never for a well-formed book.
pub fn change(book: &Book) -> Result<Op, Error> {
    let update = Update::rewrite(
        &item_of(book)?,
        &[
            "due_pk",
            "due_sk",
            "closed_until",
            "closes_at",
            "closing",
            "owing",
            "state",
        ],
    )?;
    let before = book.version.saturating_sub(1);
    let condition = if before == 0 {
        Condition::default().and_absent("version")
    } else {
        Condition::equals("version", int(i64::try_from(before).unwrap_or(0)))
    };
    Ok(Op::Update(update.only_if(condition)))
}

/// A book without its events; a new one where none is there.
///
/// # Errors
/// The table's; `Malformed`.
pub async fn find(table: &Table, id: &BookId) -> Result<Book, Error> {
    let item: Option<BookItem> = table.get(&head_key(id)).await?;
    match item {
        None => Ok(Book::new(id.clone())),
        Some(item) => {
            let pk = item.pk.clone();
            read(item).ok_or_else(|| Error::Malformed(format!("the book {pk}")))
        }
    }
}

#[derive(Serialize, Deserialize)]
struct EntryItem {
    pk: String,
    sk: String,
    partner: PartnerId,
    plan: String,
    plan_version: u32,
    occurred_at: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    below: bool,
    event: String,
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    margin: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    net_revenue: Option<i64>,
    adjustments: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new_customer: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coupon: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    subs: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    meta: BTreeMap<String, String>,
    /// Whether nothing is left of it: it stands for the record and counts for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// An event with the plan that pays for it, as a book holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The event; its plan's position is of no account here.
    pub entry: Entry,
    /// Which plan and version.
    pub plan: (String, u32),
    /// Whether nothing is left of it.
    pub gone: bool,
}

fn entry_item(book: &BookId, filed: &Filed) -> EntryItem {
    let Filed {
        entry,
        plan: (plan, plan_version),
        gone,
    } = filed.clone();
    let Entry {
        conversion,
        partner,
        plan: _,
        occurred_at,
        counted_at,
        own,
        event,
        quantity,
        amount,
        margin,
        net_revenue,
        adjustments,
        customer,
        known_since,
        new_customer,
        country,
        product,
        coupon,
        subs,
        meta,
    } = entry;
    EntryItem {
        pk: partition(book),
        sk: position(counted_at, conversion),
        partner,
        plan,
        plan_version,
        occurred_at: stamp(occurred_at),
        below: !own,
        event,
        quantity,
        amount,
        margin,
        net_revenue,
        adjustments,
        customer,
        known_since: known_since.map(stamp),
        new_customer,
        country,
        product,
        coupon,
        subs: (1..)
            .zip(subs)
            .filter_map(|(number, sub): (u8, _)| Some((number.to_string(), sub?)))
            .collect(),
        meta,
        gone,
    }
}

fn read_entry(item: EntryItem) -> Option<Filed> {
    let EntryItem {
        pk: _,
        sk,
        partner,
        plan,
        plan_version,
        occurred_at,
        below,
        event,
        quantity,
        amount,
        margin,
        net_revenue,
        adjustments,
        customer,
        known_since,
        new_customer,
        country,
        product,
        coupon,
        mut subs,
        meta,
        gone,
    } = item;
    let mut place = sk.strip_prefix("E#")?.split('#');
    Some(Filed {
        entry: Entry {
            counted_at: parse(place.next()?)?,
            conversion: place.next()?.parse().ok()?,
            partner,
            plan: 0,
            occurred_at: parse(&occurred_at)?,
            own: !below,
            event,
            quantity,
            amount,
            margin,
            net_revenue,
            adjustments,
            customer,
            known_since: match known_since {
                None => None,
                Some(at) => Some(parse(&at)?),
            },
            new_customer,
            country,
            product,
            coupon,
            subs: ["1", "2", "3", "4", "5"].map(|number| subs.remove(number)),
            meta,
        },
        plan: (plan, plan_version),
        gone,
    })
}

/// The put of a new event of a book.
///
/// # Errors
/// Never for a well-formed event.
pub fn put_entry(book: &BookId, filed: &Filed) -> Result<Put, Error> {
    Put::new(&entry_item(book, filed))
}

/// The change of an event; the book's version in the same transaction keeps two of them apart.
///
/// # Errors
/// Never for a well-formed event.
pub fn change_entry(book: &BookId, filed: &Filed) -> Result<Op, Error> {
    let update = Update::rewrite(
        &entry_item(book, filed),
        &["amount", "margin", "net_revenue", "gone"],
    )?;
    Ok(Op::Update(update.only_if(Condition::exists())))
}

/// All events of a book in canonical order, those of which nothing is left included.
///
/// # Errors
/// The table's; `Failed` beyond [`MAX_ENTRIES`].
pub async fn entries(table: &Table, id: &BookId) -> Result<Vec<Filed>, Error> {
    let pk = partition(id);
    let mut found = Vec::new();
    let all = || Range::partition(Index::Base, pk.clone(), PAGE);
    let mut range = all().beginning("E#");
    loop {
        let page = table.page(&range).await?;
        let last = page.items.last().and_then(Key::of);
        for item in page.items {
            found.push(entry(item)?);
        }
        if found.len() > MAX_ENTRIES {
            return Err(Error::Failed(format!(
                "the book {pk} has more than {MAX_ENTRIES} events"
            )));
        }
        match last {
            // `$` is the character after `#`.
            Some(last) if page.more => range = all().between(format!("{}\0", last.sk), "E$"),
            _ => return Ok(found),
        }
    }
}

fn entry(item: Item) -> Result<Filed, Error> {
    let item: EntryItem = from_item(item)?;
    let place = format!("{} of the book {}", item.sk, item.pk);
    read_entry(item).ok_or_else(|| Error::Malformed(format!("the event {place}")))
}

/// Books whose windows close by `until`, the earliest first.
///
/// # Errors
/// The table's.
pub async fn closing(
    table: &Table,
    until: Timestamp,
    limit: usize,
) -> Result<(Vec<BookId>, bool), Error> {
    let range =
        Range::partition(Index::Due, CLOSES, limit).between("0", format!("{}$", stamp(until)));
    let (entries, more) = table.entries(&range).await?;
    let found = entries
        .iter()
        .filter_map(|entry| id(&entry.key.pk))
        .collect();
    Ok((found, more))
}
