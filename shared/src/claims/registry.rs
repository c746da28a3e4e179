//! The registry of claims: who has a right to which customer, from when until when, because of what.
//!
//! A customer is found by any of its identifiers. Rights that exclude others are held in slots, one for each
//! identifier and product line: a slot is put only where none stands, in the same transaction as what it is
//! held for, so that of two who want the same customer at once exactly one gets it.

use std::collections::HashSet;

use super::model::{CustomerClaim, EVERY_LINE, MAX_DIRECT, Similar, Slot};
use super::store;
use crate::channel;
use crate::channel::model::ClaimKind;
use crate::clock::Timestamp;
use crate::customers::hashed;
use crate::customers::model::Company;
use crate::customers::names::similarity;
use crate::customers::store::{named_alike, point, pointed, pointer_key, put};
use crate::edge::App;
use crate::ids::{CustomerId, PartnerId, ProgramId};
use crate::partners;
use crate::table::{Error, Op};

pub use super::store::{change_claim, find_claim, put_claim, sold, still_sold};

/// How alike two names are from which on somebody should look: see README, "Names of companies".
pub const ALIKE: u16 = 800;
/// Customers of alike names that are shown.
pub const MAX_SIMILAR: usize = 20;

/// What is known of a customer at a moment, in one program.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The customers that its identifiers are of, the strongest identifier's first. More than one where what
    /// was taken for two customers turns out to be one.
    pub customers: Vec<CustomerId>,
    /// What is held of its identifiers, for the product lines that were asked for, at this moment.
    pub slots: Vec<Slot>,
    /// The vendor's accounts without an open opportunity, where the program does not count these.
    pub accounts: Vec<Slot>,
    /// Customers of alike names in the same country, the most alike first, without those above.
    pub similar: Vec<Similar>,
    /// The hashes of its identifiers, in the order in which they were given.
    hashes: Vec<String>,
    /// Those of them that are nobody's yet.
    unknown: Vec<String>,
    /// The vendor's holds as they were read, by hash.
    direct: Vec<(String, store::Direct)>,
}

/// The product lines for which slots are held: those that are named, or one for all of a program that names none.
#[must_use]
pub fn lines(named: &[String]) -> Vec<String> {
    if named.is_empty() {
        vec![EVERY_LINE.to_owned()]
    } else {
        named.to_vec()
    }
}

/// The registered claims to whichever customer these hashed identifiers are of, ended ones included. Two round
/// trips: whose they are, and what there is of these.
///
/// # Errors
/// The table's.
pub async fn claims_to(
    app: &App,
    program: ProgramId,
    hashes: &[String],
) -> Result<Vec<CustomerClaim>, Error> {
    let keys: Vec<_> = hashes.iter().map(|hash| pointer_key(hash)).collect();
    let found = app.main.get_many(keys).await?;
    let mut customers = found
        .into_values()
        .map(pointed)
        .collect::<Result<Vec<_>, Error>>()?;
    customers.sort();
    customers.dedup();
    let claims = customers
        .into_iter()
        .map(|customer| claims_of(app, program, customer));
    let claims = futures_util::future::try_join_all(claims).await?;
    Ok(each_once(claims))
}

/// Claims to several customers, each record's once: one to a company that was taken for two is to both.
pub(super) fn each_once(found: Vec<Vec<CustomerClaim>>) -> Vec<CustomerClaim> {
    let mut seen = HashSet::new();
    let mut claims: Vec<_> = found.into_iter().flatten().collect();
    claims.retain(|claim| seen.insert(claim.id.clone()));
    claims
}

/// The registered claims to a customer, ended ones included. Those of a partner that was merged into another are the
/// other's.
///
/// # Errors
/// The table's.
pub async fn claims_of(
    app: &App,
    program: ProgramId,
    customer: CustomerId,
) -> Result<Vec<CustomerClaim>, Error> {
    let mut claims = store::claims_of(&app.main, program, customer).await?;
    for claim in &mut claims {
        if let Some(partner) = claim.partner {
            claim.partner = Some(partners::heir(app, partner).await?);
        }
    }
    Ok(claims)
}

/// Looks a customer up: whose its identifiers are, who holds them for these product lines, and whose names are
/// alike. One round trip: a batch of keys beside the queries for names.
///
/// # Errors
/// The table's.
pub async fn look(
    app: &App,
    program: ProgramId,
    company: &Company,
    product_lines: &[String],
) -> Result<Sight, Error> {
    let now = app.now();
    let settings = channel::settings(app, program).await?;
    let hashes: Vec<String> = company
        .identifiers
        .iter()
        .map(|identifier| hashed(&app.keyring, identifier))
        .collect();
    let lines = lines(product_lines);
    let keys = hashes
        .iter()
        .flat_map(|hash| store::keys_of(program, hash, &lines));
    let (mut items, named) = futures_util::future::try_join(
        app.main.get_many(keys.collect::<Vec<_>>()),
        alike(app, company),
    )
    .await?;
    let mut sight = Sight::default();
    for hash in hashes {
        match items.remove(&pointer_key(&hash)) {
            Some(item) => {
                let customer = pointed(item)?;
                if !sight.customers.contains(&customer) {
                    sight.customers.push(customer);
                }
            }
            None => sight.unknown.push(hash.clone()),
        }
        let direct = match items.remove(&store::direct_key(program, &hash)) {
            Some(item) => store::direct(item)?,
            None => store::Direct::default(),
        };
        for (slot, is_opportunity) in direct.slots(&hash, product_lines, now) {
            let kept = if is_opportunity || settings.accounts_count {
                &mut sight.slots
            } else {
                &mut sight.accounts
            };
            kept.push(slot);
        }
        sight.direct.push((hash.clone(), direct));
        for key in store::slot_keys(program, &hash, &lines) {
            if let Some(item) = items.remove(&key) {
                sight.slots.extend(store::slot(item, now)?);
            }
        }
        sight.hashes.push(hash);
    }
    sight.similar = named
        .into_iter()
        .filter(|similar| !sight.customers.contains(&similar.customer))
        .take(MAX_SIMILAR)
        .collect();
    Ok(sight)
}

/// Adds to a look what deals hold of its customers themselves, by whichever identifiers these were registered. Of a
/// customer that nobody knew there is nothing to read.
///
/// # Errors
/// The table's.
pub async fn look_at_customers(
    app: &App,
    program: ProgramId,
    sight: &mut Sight,
    product_lines: &[String],
) -> Result<(), Error> {
    let customers: Vec<String> = sight.customers.iter().map(CustomerId::to_string).collect();
    let lines = lines(product_lines);
    let more = standing(app, program, &customers, &lines).await?;
    sight.slots.extend(more);
    Ok(())
}

/// The slots that stand now of these hashes and product lines, and of all product lines at once.
///
/// # Errors
/// The table's.
pub async fn standing(
    app: &App,
    program: ProgramId,
    hashes: &[String],
    lines: &[String],
) -> Result<Vec<Slot>, Error> {
    let now = app.now();
    let keys: Vec<_> = hashes
        .iter()
        .flat_map(|hash| store::slot_keys(program, hash, lines))
        .collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut items = app.main.get_many(keys.clone()).await?;
    let mut slots = Vec::new();
    for key in keys {
        if let Some(item) = items.remove(&key) {
            slots.extend(store::slot(item, now)?);
        }
    }
    Ok(slots)
}

async fn alike(app: &App, company: &Company) -> Result<Vec<Similar>, Error> {
    let (Some(name), Some(country)) = (&company.name, company.country()) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<Similar> = named_alike(&app.main, name, country)
        .await?
        .into_iter()
        .map(|(customer, theirs)| Similar {
            customer,
            score: similarity((name, Some(country)), (&theirs, Some(country))),
            name: theirs,
        })
        .filter(|similar| similar.score >= ALIKE)
        .collect();
    found.sort_by(|a, b| b.score.cmp(&a.score).then(a.customer.cmp(&b.customer)));
    Ok(found)
}

impl Sight {
    /// The customer that it is, and the operations by which it is known by all its identifiers from now on:
    /// `fresh` and its record where none of them was known. A refused one means that somebody else made it
    /// known at the same moment: look again.
    ///
    /// # Errors
    /// Never for a well-formed company.
    pub fn known(
        &self,
        company: &Company,
        fresh: CustomerId,
        now: Timestamp,
    ) -> Result<(CustomerId, Vec<Op>), Error> {
        let (customer, mut ops) = match self.customers.first() {
            Some(customer) => (*customer, Vec::new()),
            None => (fresh, put(fresh, company, now)?),
        };
        for hash in &self.unknown {
            ops.push(point(hash, customer)?);
        }
        Ok((customer, ops))
    }

    /// The hashes of its identifiers: what slots are held by. Keep them with what holds.
    #[must_use]
    pub fn hashes(&self) -> &[String] {
        &self.hashes
    }

    /// The operations by which a claim of the vendor's own is seen from the customer's identifiers; an ended
    /// one is taken away. `None` where the customer has as many as it may have.
    ///
    /// # Errors
    /// Never for a well-formed claim.
    pub(super) fn seen(
        &self,
        claim: &CustomerClaim,
        now: Timestamp,
    ) -> Result<Option<Vec<Op>>, Error> {
        let mut ops = Vec::with_capacity(self.direct.len());
        for (hash, direct) in &self.direct {
            let direct = direct.clone().with(claim, now);
            if direct.len() > MAX_DIRECT {
                return Ok(None);
            }
            ops.push(store::save_direct(claim.program, hash, direct)?);
        }
        Ok(Some(ops))
    }
}

/// What a slot is held for.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// In which program.
    pub program: ProgramId,
    /// By a deal or a lead.
    pub kind: ClaimKind,
    /// That record's id.
    pub holder: &'a str,
    /// For whom, where somebody has it already.
    pub partner: Option<PartnerId>,
    /// The hashes of the customer's identifiers; see [`Sight::hashes`].
    pub hashes: &'a [String],
    /// Product lines; none for the program without any.
    pub product_lines: &'a [String],
}

impl Hold<'_> {
    /// Each identifier with each line. A lead holds its customer whatever it wants to buy.
    fn each(&self) -> impl Iterator<Item = (&String, String)> {
        let lines = match self.kind {
            ClaimKind::Lead => lines(&[]),
            _ => lines(self.product_lines),
        };
        self.hashes
            .iter()
            .flat_map(move |hash| lines.clone().into_iter().map(move |line| (hash, line)))
    }

    /// The puts that take a slot for each identifier and product line until then, where none stands or what
    /// stands has expired by `now`. A refused one means that somebody else holds it: look again.
    ///
    /// # Errors
    /// Never for a well-formed hold.
    pub fn take(&self, until: Timestamp, now: Timestamp) -> Result<Vec<Op>, Error> {
        self.each()
            .map(|(hash, line)| store::take(self, hash, &line, until, now))
            .collect()
    }

    /// The changes that let the holder keep its slots until then, for this partner. A refused one means that
    /// they are not the holder's any more.
    #[must_use]
    pub fn keep(&self, until: Timestamp) -> Vec<Op> {
        self.each()
            .map(|(hash, line)| store::keep(self, hash, &line, until))
            .collect()
    }

    /// The changes that pass the holder's slots on to another record of the same kind and its partner, until
    /// then. A refused one means that they are not the holder's any more.
    #[must_use]
    pub fn pass(&self, to: &str, partner: PartnerId, until: Timestamp) -> Vec<Op> {
        self.each()
            .map(|(hash, line)| store::pass(self, hash, &line, (to, partner), until))
            .collect()
    }

    /// The changes that leave the holder its slots, and nobody's any more whose they were for. A refused one means
    /// that they are not the holder's any more.
    #[must_use]
    pub fn vacate(&self) -> Vec<Op> {
        self.each()
            .map(|(hash, line)| store::vacate(self, hash, &line))
            .collect()
    }

    /// The changes that give the holder's slots back at `now`: the next one may take them in that very second.
    #[must_use]
    pub fn give_back(&self, now: Timestamp) -> Vec<Op> {
        self.each()
            .map(|(hash, line)| store::keep(self, hash, &line, now))
            .collect()
    }
}
