//! Which partner a lead is offered to, and why: rules as data, decided by a pure function of them, of the
//! lead, of the partners as they stand and of whose turn it is. The same inputs choose the same partner.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::ids::PartnerId;
use crate::places::{Place, Territory, covered};

/// Rules of a program: what a person can oversee.
pub const MAX_RULES: usize = 30;
/// Entries of a list in a rule.
pub const MAX_LISTED: usize = 100;
/// Rings of a rule, each wider than the one before.
pub const MAX_RINGS: usize = 10;
/// Half the Earth's circumference in kilometres: nothing is further away.
pub const MAX_KM: u32 = 20_038;
/// The largest weight of a partner in a round robin, so that sums stay far from any limit.
pub const MAX_WEIGHT: u32 = 1_000;
/// Partners that an explanation names on either side; the others are counted.
pub const MAX_NAMED: usize = 20;
/// The best score there is, in thousandths.
pub const FULL_SCORE: u32 = 1_000;

/// One lead's worth of credit: so divisible that weights of a small sum share it without a rest.
const UNIT: i64 = 720_720 * 138;
/// A credit is kept within so many leads, either way.
const MAX_CREDIT: i64 = 16 * UNIT;
/// What rounding may take from a share before it counts.
const SLACK: i64 = UNIT / 100_000;

/// What routing knows of a lead.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Need {
    /// Where the company is.
    pub place: Option<Place>,
    /// What it wants, by product lines.
    pub product_lines: Vec<String>,
    /// The language it wants to be spoken to in, ISO 639-1.
    pub language: Option<String>,
    /// How many people work there.
    pub employees: Option<u32>,
}

/// Which leads a rule is for. Of each list one entry has to fit; an empty list fits all.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Conditions {
    /// ISO 3166-1 two-letter codes.
    pub countries: Vec<String>,
    /// Countries with their regions, such as `DE-BY`.
    pub regions: Vec<String>,
    /// Product lines, one of which the lead wants.
    pub product_lines: Vec<String>,
    /// At least so many employees.
    pub employees_from: Option<u32>,
    /// At most so many employees.
    pub employees_to: Option<u32>,
}

impl Conditions {
    /// Whether a lead is one that the rule is for. What is not known of a lead meets no condition on it.
    #[must_use]
    pub fn hold(&self, need: &Need) -> bool {
        let place = need.place.as_ref();
        let in_country = self.countries.is_empty()
            || place.is_some_and(|place| self.countries.contains(&place.country));
        let code = place.and_then(|place| {
            let region = place.region.as_ref()?;
            Some(format!("{}-{region}", place.country))
        });
        let in_region =
            self.regions.is_empty() || code.is_some_and(|code| self.regions.contains(&code));
        let in_line = self.product_lines.is_empty()
            || need
                .product_lines
                .iter()
                .any(|line| self.product_lines.contains(line));
        let large_enough = self
            .employees_from
            .is_none_or(|low| need.employees.is_some_and(|count| count >= low));
        let small_enough = self
            .employees_to
            .is_none_or(|high| need.employees.is_some_and(|count| count <= high));
        in_country && in_region && in_line && large_enough && small_enough
    }
}

/// Which partners a rule may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eligibility {
    /// Only those whose territories hold the lead's place.
    pub territory: bool,
    /// Only those at most so far away.
    pub within_km: Option<u32>,
    /// Only those that carry every product line the lead wants.
    pub product_line: bool,
    /// Only those that speak the lead's language.
    pub language: bool,
    /// Only those of one of these tiers; empty for all.
    pub tiers: Vec<String>,
    /// Only those with all of these certifications.
    pub certifications: Vec<String>,
    /// Only those with fewer open leads than they take at a time.
    pub capacity: bool,
    /// Only those within their working hours.
    pub working_hours: bool,
    /// None of these.
    pub exclude: Vec<PartnerId>,
}

impl Default for Eligibility {
    fn default() -> Self {
        Self {
            territory: true,
            within_km: None,
            product_line: true,
            language: false,
            tiers: Vec::new(),
            certifications: Vec::new(),
            capacity: true,
            working_hours: false,
            exclude: Vec::new(),
        }
    }
}

/// How a rule chooses among those who are eligible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// In turn, by weight.
    RoundRobin,
    /// The nearest: in the narrowest ring that has one, then in the lead's country, then anywhere.
    Nearest {
        /// Radii in kilometres, ascending.
        rings_km: Vec<u32>,
        /// Whether all of the lead's country, also those whose whereabouts are not known to the metre, go
        /// before anybody abroad.
        country_first: bool,
    },
    /// The one that accepts and wins most.
    BestPerforming {
        /// What a newcomer scores at least, in thousandths.
        newcomer_floor: u32,
        /// Who has answered fewer offers than this is a newcomer.
        newcomer_below: u32,
    },
    /// That partner.
    Fixed(PartnerId),
}

impl Strategy {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Nearest { .. } => "nearest",
            Self::BestPerforming { .. } => "best_performing",
            Self::Fixed(_) => "fixed",
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Names it within its program, and with it whose turn it is.
    pub code: String,
    /// For which leads.
    pub when: Conditions,
    /// Which partners.
    pub eligible: Eligibility,
    /// Which of them.
    pub strategy: Strategy,
}

/// What a partner did with the leads it was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Offered and not answered, or accepted and not closed.
    pub open: u32,
    /// Offers that were accepted.
    pub accepted: u32,
    /// Offers that were declined or ran out.
    pub refused: u32,
    /// Leads that were won.
    pub won: u32,
    /// Leads that were lost, given back or taken back.
    pub lost: u32,
}

/// A partner as routing sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Who.
    pub partner: PartnerId,
    /// Whether it takes no leads at all: suspended, or not enrolled.
    pub barred: bool,
    /// Its tier.
    pub tier: Option<&'a str>,
    /// Its certifications.
    pub certifications: &'a [String],
    /// Its product lines; none for all.
    pub product_lines: &'a [String],
    /// Its territories; none for everywhere.
    pub territories: &'a [Territory],
    /// Its languages.
    pub languages: &'a [String],
    /// How many open leads it takes at a time.
    pub max_open: Option<u32>,
    /// Its weight in a round robin.
    pub weight: u32,
    /// Where it is.
    pub location: Option<&'a Place>,
    /// Whether it is at work now.
    pub at_work: bool,
    /// What it did with leads so far.
    pub tally: Tally,
}

/// What a lead's past says of a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// It declined the lead.
    Declined,
    /// It had it before: the offer ran out, or the lead was given or taken back.
    Had,
}

/// Why a partner is not eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfit {
    /// It declined this lead.
    Declined,
    /// It had this lead before.
    Had,
    /// It takes no leads: suspended, or not enrolled.
    Barred,
    /// The rule excludes it.
    Excluded,
    /// The rule names another.
    NotNamed,
    /// Its tier is another.
    Tier,
    /// It lacks a certification.
    Certification,
    /// It does not carry what is wanted.
    ProductLine,
    /// It does not speak the language.
    Language,
    /// The lead lies outside its territories.
    Territory,
    /// It is too far away, or nobody knows how far.
    Distance,
    /// It is not at work.
    WorkingHours,
    /// It has as many open leads as it takes.
    Capacity,
    /// Its weight is none.
    Weight,
}

/// Reasons by their names.
pub const UNFIT: &[(&str, Unfit)] = &[
    ("declined", Unfit::Declined),
    ("had_it_before", Unfit::Had),
    ("not_active", Unfit::Barred),
    ("excluded", Unfit::Excluded),
    ("not_named", Unfit::NotNamed),
    ("tier", Unfit::Tier),
    ("certification", Unfit::Certification),
    ("product_line", Unfit::ProductLine),
    ("language", Unfit::Language),
    ("territory", Unfit::Territory),
    ("distance", Unfit::Distance),
    ("working_hours", Unfit::WorkingHours),
    ("capacity", Unfit::Capacity),
    ("no_weight", Unfit::Weight),
];

/// Whose turn it is in a round robin: what each partner is owed, in parts of a lead. A partner is owed its
/// share of each lead that it was eligible for, less those it got.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Credits(pub BTreeMap<PartnerId, i32>);

/// What speaks for a partner under a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// In a round robin.
    Turn {
        /// What it is owed, this lead included, in thousandths of a lead.
        credit_milli: i64,
        /// Its weight.
        weight: u32,
    },
    /// Among the nearest.
    Way {
        /// The radius of the ring it is in, if it is in one.
        ring_km: Option<u32>,
        /// How far it is, where that is known.
        metres: Option<u32>,
        /// Whether it is in the lead's country.
        same_country: bool,
    },
    /// Among the best.
    Performance {
        /// Thousandths.
        score: u32,
        /// Whether it is a newcomer, whose score has a floor.
        newcomer: bool,
    },
    /// It is the one that the rule names.
    Named,
}

/// A rule that was for the lead, with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The rule's code.
    pub rule: String,
    /// Its strategy's name.
    pub strategy: &'static str,
    /// How many were eligible.
    pub eligible: usize,
    /// The first [`MAX_NAMED`] of them, best first: the first is the choice.
    pub ranked: Vec<(PartnerId, Score)>,
    /// How many were not, by reason.
    pub unfit: BTreeMap<Unfit, usize>,
    /// The first [`MAX_NAMED`] of those, in the order of their ids.
    pub unfit_named: Vec<(PartnerId, Unfit)>,
}

/// Who gets a lead, and why.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Routed {
    /// The partner, if there is one.
    pub choice: Option<PartnerId>,
    /// Rules that were not for the lead, up to the one that chose.
    pub passed_over: Vec<String>,
    /// Rules that were, in their order; the last one chose, if there is a choice.
    pub tried: Vec<Tried>,
    /// After how many chosen ones who could not take it nobody was asked any more, though the last rule has
    /// somebody eligible.
    pub stopped_after: Option<usize>,
}

/// A decision, and whose turn it is after it where the deciding rule goes in turn.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Route {
    /// The decision.
    pub routed: Routed,
    /// The rule's code and its credits from now on.
    pub turns: Option<(String, Credits)>,
}

/// Routes a lead: the first rule that is for it and has somebody eligible chooses. `candidates` stand in the
/// order of their ids; `past` says who had the lead already; `credits` has whose turn it is under the rules
/// that go in turn, by their codes.
#[must_use]
pub fn route(
    rules: &[Rule],
    need: &Need,
    candidates: &[Candidate<'_>],
    past: &BTreeMap<PartnerId, Past>,
    credits: &BTreeMap<String, Credits>,
) -> Route {
    let mut routed = Routed::default();
    for rule in rules {
        if !rule.when.hold(need) {
            routed.passed_over.push(rule.code.clone());
            continue;
        }
        let (mut tried, eligible) = sift(rule, need, candidates, past);
        if eligible.is_empty() {
            routed.tried.push(tried);
            continue;
        }
        let none = Credits::default();
        let before = credits.get(&rule.code).unwrap_or(&none);
        let (ranked, after) = rank(rule, need, candidates, eligible, before);
        routed.choice = ranked.first().map(|(partner, _)| *partner);
        tried.ranked = ranked;
        tried.ranked.truncate(MAX_NAMED);
        routed.tried.push(tried);
        let turns = after.map(|credits| (rule.code.clone(), credits));
        return Route { routed, turns };
    }
    Route {
        routed,
        turns: None,
    }
}

/// Who is eligible under a rule, and why the others are not.
fn sift<'c, 'a>(
    rule: &Rule,
    need: &Need,
    candidates: &'c [Candidate<'a>],
    past: &BTreeMap<PartnerId, Past>,
) -> (Tried, Vec<&'c Candidate<'a>>) {
    let mut tried = Tried {
        rule: rule.code.clone(),
        strategy: rule.strategy.name(),
        eligible: 0,
        ranked: Vec::new(),
        unfit: BTreeMap::new(),
        unfit_named: Vec::new(),
    };
    let mut eligible = Vec::new();
    for candidate in candidates {
        match unfit(rule, need, candidate, past.get(&candidate.partner).copied()) {
            None => eligible.push(candidate),
            Some(reason) => {
                *tried.unfit.entry(reason).or_default() += 1;
                if tried.unfit_named.len() < MAX_NAMED {
                    tried.unfit_named.push((candidate.partner, reason));
                }
            }
        }
    }
    tried.eligible = eligible.len();
    (tried, eligible)
}

/// The first reason that speaks against a partner.
fn unfit(rule: &Rule, need: &Need, candidate: &Candidate<'_>, past: Option<Past>) -> Option<Unfit> {
    let Eligibility {
        territory,
        within_km,
        product_line,
        language,
        tiers,
        certifications,
        capacity,
        working_hours,
        exclude,
    } = &rule.eligible;
    match past {
        Some(Past::Declined) => return Some(Unfit::Declined),
        Some(Past::Had) => return Some(Unfit::Had),
        None => {}
    }
    if candidate.barred {
        return Some(Unfit::Barred);
    }
    if matches!(rule.strategy, Strategy::Fixed(named) if named != candidate.partner) {
        return Some(Unfit::NotNamed);
    }
    if exclude.contains(&candidate.partner) {
        return Some(Unfit::Excluded);
    }
    let in_tier = |tier: &str| tiers.iter().any(|known| known == tier);
    if !tiers.is_empty() && !candidate.tier.is_some_and(in_tier) {
        return Some(Unfit::Tier);
    }
    if !certifications
        .iter()
        .all(|one| candidate.certifications.contains(one))
    {
        return Some(Unfit::Certification);
    }
    let carries = |line: &String| {
        candidate.product_lines.is_empty() || candidate.product_lines.contains(line)
    };
    if *product_line && !need.product_lines.iter().all(carries) {
        return Some(Unfit::ProductLine);
    }
    let speaks = |language: &String| candidate.languages.contains(language);
    if *language && !need.language.as_ref().is_none_or(speaks) {
        return Some(Unfit::Language);
    }
    let serves = match &need.place {
        Some(place) => covered(candidate.territories, place),
        // Whoever serves the world serves a place that nobody knows.
        None => candidate.territories.is_empty(),
    };
    if *territory && !serves {
        return Some(Unfit::Territory);
    }
    if let Some(km) = within_km {
        let near = |metres: u32| metres <= km.saturating_mul(1_000);
        if !distance(need, candidate).is_some_and(near) {
            return Some(Unfit::Distance);
        }
    }
    if *working_hours && !candidate.at_work {
        return Some(Unfit::WorkingHours);
    }
    if *capacity
        && candidate
            .max_open
            .is_some_and(|most| candidate.tally.open >= most)
    {
        return Some(Unfit::Capacity);
    }
    let in_turn = rule.strategy == Strategy::RoundRobin;
    (in_turn && candidate.weight == 0).then_some(Unfit::Weight)
}

/// How far a partner is from the lead, in metres.
fn distance(need: &Need, candidate: &Candidate<'_>) -> Option<u32> {
    let here = candidate.location?.at?;
    Some(need.place.as_ref()?.at?.distance_m(here))
}

/// The eligible ones, best first, and the credits that are left where they go in turn.
fn rank(
    rule: &Rule,
    need: &Need,
    candidates: &[Candidate<'_>],
    eligible: Vec<&Candidate<'_>>,
    before: &Credits,
) -> (Vec<(PartnerId, Score)>, Option<Credits>) {
    match &rule.strategy {
        Strategy::RoundRobin => {
            let (ranked, credits) = in_turn(candidates, &eligible, before);
            (ranked, Some(credits))
        }
        Strategy::Nearest {
            rings_km,
            country_first,
        } => (by_way(need, eligible, rings_km, *country_first), None),
        Strategy::BestPerforming {
            newcomer_floor,
            newcomer_below,
        } => (
            by_performance(eligible, *newcomer_floor, *newcomer_below),
            None,
        ),
        Strategy::Fixed(_) => {
            let named = eligible
                .iter()
                .map(|candidate| (candidate.partner, Score::Named));
            (named.collect(), None)
        }
    }
}

/// Tijdeman's rule for the chairman assignment problem: each lead owes every eligible partner its share, and
/// goes, of those who are owed enough, to the one for whom it would soonest be too late. While the same are
/// eligible, nobody is ever a whole lead away from its share. Who is not eligible is owed nothing meanwhile,
/// so that it comes back where it left and not to a backlog.
fn in_turn(
    candidates: &[Candidate<'_>],
    eligible: &[&Candidate<'_>],
    before: &Credits,
) -> (Vec<(PartnerId, Score)>, Credits) {
    struct Turn {
        partner: PartnerId,
        weight: i64,
        credit: i64,
        is_owed: bool,
    }
    let weight_of = |candidate: &Candidate<'_>| i64::from(candidate.weight.min(MAX_WEIGHT));
    let total: i64 = eligible.iter().map(|one| weight_of(one)).sum();
    let count = i64::try_from(eligible.len()).unwrap_or(i64::MAX);
    // Half of what n − 1 others can take ahead of one's turn: Tijdeman's 1 / (2n − 2).
    let least = if count > 1 {
        UNIT / (2 * count - 2) - SLACK
    } else {
        i64::MIN
    };
    let mut left = UNIT
        - eligible
            .iter()
            .map(|one| UNIT * weight_of(one) / total)
            .sum::<i64>();
    let mut turns: Vec<Turn> = eligible
        .iter()
        .map(|candidate| {
            let weight = weight_of(candidate);
            let held = before.0.get(&candidate.partner).copied().unwrap_or(0);
            // What rounding leaves of the lead goes in crumbs to the first, so that the sum stays nothing.
            let crumb = i64::from(left > 0 && UNIT * weight % total > 0);
            left -= crumb;
            let credit = i64::from(held) + UNIT * weight / total + crumb;
            Turn {
                partner: candidate.partner,
                weight,
                credit,
                is_owed: credit >= least,
            }
        })
        .collect();
    let limit = UNIT - if count > 1 { UNIT / (2 * count - 2) } else { 0 };
    turns.sort_by(|a, b| match (a.is_owed, b.is_owed) {
        // The time until too late is (limit − credit) / weight; compared without dividing.
        (true, true) => {
            let (late_a, late_b) = ((limit - a.credit) * b.weight, (limit - b.credit) * a.weight);
            late_a.cmp(&late_b).then(a.partner.cmp(&b.partner))
        }
        (false, false) => b
            .credit
            .cmp(&a.credit)
            .then_with(|| a.partner.cmp(&b.partner)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    });
    let ranked = turns.iter().map(|turn| {
        let score = Score::Turn {
            credit_milli: (turn.credit * 1_000).div_euclid(UNIT),
            weight: u32::try_from(turn.weight).unwrap_or(MAX_WEIGHT),
        };
        (turn.partner, score)
    });
    let ranked = ranked.collect();
    if let Some(first) = turns.first_mut() {
        first.credit -= UNIT;
    }
    let mut after: BTreeMap<PartnerId, i32> = before
        .0
        .iter()
        // Who has left the roster is owed nothing any more.
        .filter(|(partner, _)| {
            candidates
                .binary_search_by_key(*partner, |candidate| candidate.partner)
                .is_ok()
        })
        .map(|(partner, credit)| (*partner, *credit))
        .collect();
    for turn in turns {
        let credit = turn.credit.clamp(-MAX_CREDIT, MAX_CREDIT);
        after.insert(turn.partner, i32::try_from(credit).unwrap_or(0));
    }
    after.retain(|_, credit| *credit != 0);
    (ranked, Credits(after))
}

/// The nearest first. Of those equally near, who has the fewest open leads, then who has had the fewest.
fn by_way(
    need: &Need,
    eligible: Vec<&Candidate<'_>>,
    rings_km: &[u32],
    country_first: bool,
) -> Vec<(PartnerId, Score)> {
    let country = need.place.as_ref().map(|place| place.country.as_str());
    let mut ways: Vec<_> = eligible
        .into_iter()
        .map(|candidate| {
            let metres = distance(need, candidate);
            let ring = metres.and_then(|metres| {
                rings_km
                    .iter()
                    .position(|km| metres <= km.saturating_mul(1_000))
            });
            let same_country = country.is_some()
                && candidate.location.map(|place| place.country.as_str()) == country;
            // Within the widest ring distance leads; beyond it the country does, and then distance again.
            let step = match (ring, same_country) {
                (Some(ring), _) => ring,
                (None, true) => rings_km.len(),
                (None, false) => rings_km.len() + 1,
            };
            let abroad = country_first && !same_country;
            let tally = candidate.tally;
            let order = (
                abroad,
                step,
                metres.unwrap_or(u32::MAX),
                tally.open,
                tally.accepted + tally.refused,
                candidate.partner,
            );
            let score = Score::Way {
                ring_km: ring.and_then(|ring| rings_km.get(ring).copied()),
                metres,
                same_country,
            };
            (order, score)
        })
        .collect();
    ways.sort_by_key(|(order, _)| *order);
    ways.into_iter()
        .map(|((.., partner), score)| (partner, score))
        .collect()
}

/// The best first: half by the share of offers it accepted, half by the share of closed leads it won. A
/// newcomer has at least the floor. Of those equally good, who has the fewest open leads.
fn by_performance(
    eligible: Vec<&Candidate<'_>>,
    newcomer_floor: u32,
    newcomer_below: u32,
) -> Vec<(PartnerId, Score)> {
    let share = |part: u32, whole: u32| {
        let thousandths = u64::from(part) * u64::from(FULL_SCORE);
        let share = thousandths.checked_div(u64::from(whole)).unwrap_or(0);
        u32::try_from(share).unwrap_or(FULL_SCORE)
    };
    let mut ranked: Vec<_> = eligible
        .into_iter()
        .map(|candidate| {
            let Tally {
                open,
                accepted,
                refused,
                won,
                lost,
            } = candidate.tally;
            let answered = accepted.saturating_add(refused);
            let score = share(accepted, answered).midpoint(share(won, won.saturating_add(lost)));
            let newcomer = answered < newcomer_below;
            let score = if newcomer {
                score.max(newcomer_floor)
            } else {
                score
            };
            let order = (std::cmp::Reverse(score), open, answered, candidate.partner);
            (order, Score::Performance { score, newcomer })
        })
        .collect();
    ranked.sort_by_key(|(order, _)| *order);
    ranked
        .into_iter()
        .map(|((.., partner), score)| (partner, score))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::places::Coordinates;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    fn id(n: u8) -> PartnerId {
        PartnerId::from_bytes([n; 16])
    }

    fn partner(n: u8) -> Candidate<'static> {
        Candidate {
            partner: id(n),
            barred: false,
            tier: None,
            certifications: &[],
            product_lines: &[],
            territories: &[],
            languages: &[],
            max_open: None,
            weight: 1,
            location: None,
            at_work: true,
            tally: Tally::default(),
        }
    }

    fn weighing(weights: &[u32]) -> Vec<Candidate<'static>> {
        (1..)
            .zip(weights)
            .map(|(n, weight)| Candidate {
                weight: *weight,
                ..partner(n)
            })
            .collect()
    }

    fn rule(strategy: Strategy) -> Rule {
        Rule {
            code: "all".to_owned(),
            when: Conditions::default(),
            eligible: Eligibility::default(),
            strategy,
        }
    }

    /// Routes and remembers whose turn it is.
    #[derive(Default)]
    struct Desk {
        credits: BTreeMap<String, Credits>,
    }

    impl Desk {
        fn next(&mut self, rule: &Rule, candidates: &[Candidate<'_>]) -> Option<PartnerId> {
            let rules = std::slice::from_ref(rule);
            let route = route(
                rules,
                &Need::default(),
                candidates,
                &BTreeMap::new(),
                &self.credits,
            );
            self.credits.extend(route.turns);
            route.routed.choice
        }

        fn count(&mut self, candidates: &[Candidate<'_>], leads: usize) -> Vec<usize> {
            let mut counts = vec![0; candidates.len()];
            for _ in 0..leads {
                let chosen = self.next(&rule(Strategy::RoundRobin), candidates).unwrap();
                let place = candidates.iter().position(|one| one.partner == chosen);
                counts[place.unwrap()] += 1;
            }
            counts
        }
    }

    fn nearest(rings_km: &[u32], country_first: bool) -> Rule {
        rule(Strategy::Nearest {
            rings_km: rings_km.to_vec(),
            country_first,
        })
    }

    fn place(country: &str, at: Option<(&str, &str)>) -> Place {
        Place {
            country: country.to_owned(),
            region: None,
            postcode: None,
            at: at.map(|(latitude, longitude)| Coordinates::read(latitude, longitude).unwrap()),
        }
    }

    fn choice(rule: &Rule, need: &Need, candidates: &[Candidate<'_>]) -> Routed {
        let rules = std::slice::from_ref(rule);
        route(rules, need, candidates, &BTreeMap::new(), &BTreeMap::new()).routed
    }

    #[test]
    fn weights_of_3_2_and_1_get_300_200_and_100_of_600_leads() {
        let counts = Desk::default().count(&weighing(&[3, 2, 1]), 600);
        assert_eq!(counts, [300, 200, 100]);
    }

    #[test]
    fn turns_alternate_instead_of_coming_in_blocks() {
        let mut desk = Desk::default();
        let candidates = weighing(&[3, 2, 1]);
        let order: Vec<_> = (0..6)
            .map(|_| desk.next(&rule(Strategy::RoundRobin), &candidates).unwrap())
            .collect();
        let runs = order.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!(runs <= 1, "{order:?}");
        assert_eq!(desk.credits["all"], Credits::default(), "a round is whole");
    }

    #[test]
    fn who_was_at_capacity_comes_back_to_no_backlog() {
        let mut desk = Desk::default();
        let mut candidates = weighing(&[3, 2, 1]);
        let _ = desk.count(&candidates, 7);
        candidates[0].max_open = Some(5);
        candidates[0].tally.open = 5;
        let while_full = desk.count(&candidates, 300);
        assert_eq!(while_full[0], 0);
        assert!(while_full[1].abs_diff(200) <= 1 && while_full[2].abs_diff(100) <= 1);
        candidates[0].tally.open = 0;
        for leads in [1_usize, 2, 6, 30, 561] {
            let back = desk.count(&candidates, leads);
            // Half of what comes in is its share: never more than two leads beyond it, whatever it missed.
            assert!(back[0] <= leads / 2 + 2, "{back:?} of {leads}");
        }
    }

    #[test]
    fn who_leaves_the_roster_is_owed_nothing_any_more() {
        let mut desk = Desk::default();
        let candidates = weighing(&[1, 1, 1]);
        let _ = desk.count(&candidates, 1);
        assert_eq!(desk.credits["all"].0.len(), 3);
        let _ = desk.count(&candidates[..2], 1);
        assert!(!desk.credits["all"].0.contains_key(&id(3)));
        assert!(
            desk.count(&weighing(&[0, 1]), 3) == [0, 3],
            "no weight, no turn"
        );
    }

    #[test]
    fn rings_widen_then_comes_the_country_then_anywhere() {
        let london = place("GB", Some(("51.5074", "-0.1278")));
        let need = Need {
            place: Some(london),
            ..Need::default()
        };
        let reading = place("GB", Some(("51.4543", "-0.9781")));
        let calais = place("FR", Some(("50.9513", "1.8587")));
        let inverness = place("GB", Some(("57.4778", "-4.2247")));
        let somewhere = place("GB", None);
        let berlin = place("DE", Some(("52.5200", "13.4050")));
        let all = [&berlin, &somewhere, &inverness, &calais, &reading];
        let mut candidates: Vec<Candidate<'_>> = (1..)
            .zip(all)
            .map(|(n, location)| Candidate {
                location: Some(location),
                ..partner(n)
            })
            .collect();
        candidates.push(partner(6));
        let order = |rule: &Rule| -> Vec<PartnerId> {
            let routed = choice(rule, &need, &candidates);
            assert_eq!(routed.choice, Some(routed.tried[0].ranked[0].0));
            routed.tried[0].ranked.iter().map(|(one, _)| *one).collect()
        };
        // Reading, Calais within the rings; Inverness and the unknown place by country; Berlin; nowhere.
        let plain = order(&nearest(&[100, 200], false));
        assert_eq!(plain, [5, 4, 3, 2, 1, 6].map(id));
        // A partner in the country goes before a nearer one abroad, also where nobody knows how far it is.
        let country_first = order(&nearest(&[100, 200], true));
        assert_eq!(country_first, [5, 3, 2, 4, 1, 6].map(id));
        let routed = choice(&nearest(&[100, 200], true), &need, &candidates);
        let Score::Way {
            ring_km,
            metres,
            same_country,
        } = routed.tried[0].ranked[0].1
        else {
            panic!("{routed:?}");
        };
        assert_eq!((ring_km, same_country), (Some(100), true));
        assert!(metres.unwrap().abs_diff(59_000) < 1_000, "{metres:?}");
        // Too far is not eligible, and where nobody knows, neither.
        let mut near = nearest(&[], false);
        near.eligible.within_km = Some(200);
        let routed = choice(&near, &need, &candidates);
        assert_eq!((routed.choice, routed.tried[0].eligible), (Some(id(5)), 2));
        assert_eq!(routed.tried[0].unfit[&Unfit::Distance], 4);
    }

    #[test]
    fn a_lead_without_a_point_goes_by_country() {
        let need = Need {
            place: Some(place("GB", None)),
            ..Need::default()
        };
        let (paris, leeds) = (place("FR", Some(("48.8", "2.3"))), place("GB", None));
        let candidates = [(1, &paris), (2, &leeds)].map(|(n, location)| Candidate {
            location: Some(location),
            ..partner(n)
        });
        let routed = choice(&nearest(&[50], false), &need, &candidates);
        assert_eq!(routed.choice, Some(id(2)));
    }

    #[test]
    fn the_best_get_leads_and_newcomers_have_a_floor() {
        let performing = |floor| {
            rule(Strategy::BestPerforming {
                newcomer_floor: floor,
                newcomer_below: 5,
            })
        };
        let tally = |accepted, refused, won, lost| Tally {
            open: 0,
            accepted,
            refused,
            won,
            lost,
        };
        let candidates = [
            // 80 % accepted, half of the closed ones won: 650. 100 % and a tenth: 550. New: nothing yet.
            (1, tally(8, 2, 4, 4)),
            (2, tally(10, 0, 1, 9)),
            (3, Tally::default()),
        ]
        .map(|(n, tally)| Candidate {
            tally,
            ..partner(n)
        });
        let ranked = |floor| {
            choice(&performing(floor), &Need::default(), &candidates).tried[0]
                .ranked
                .clone()
        };
        let order = |floor| {
            ranked(floor)
                .iter()
                .map(|(one, _)| *one)
                .collect::<Vec<_>>()
        };
        assert_eq!(order(0), [1, 2, 3].map(id));
        assert_eq!(order(600), [1, 3, 2].map(id));
        assert_eq!(order(700), [3, 1, 2].map(id));
        let score = |score, newcomer| Score::Performance { score, newcomer };
        assert_eq!(ranked(600)[0].1, score(650, false));
        assert_eq!(ranked(600)[1].1, score(600, true));
    }

    #[test]
    fn each_reason_keeps_its_partner_out_and_is_counted() {
        let (lines, other) = (vec!["erp".to_owned()], vec!["crm".to_owned()]);
        let bavaria = [Territory {
            country: "DE".to_owned(),
            regions: vec!["BY".to_owned()],
            postcodes: Vec::new(),
        }];
        let need = Need {
            place: Some(place("DE", None)),
            product_lines: lines.clone(),
            language: Some("de".to_owned()),
            employees: None,
        };
        let german = vec!["de".to_owned()];
        let good = |n| Candidate {
            tier: Some("gold"),
            certifications: &lines,
            languages: &german,
            ..partner(n)
        };
        let mut rule = rule(Strategy::RoundRobin);
        rule.eligible = Eligibility {
            language: true,
            tiers: vec!["gold".to_owned()],
            certifications: lines.clone(),
            working_hours: true,
            exclude: vec![id(3)],
            ..Eligibility::default()
        };
        let candidates = [
            good(1),
            Candidate {
                barred: true,
                ..good(2)
            },
            good(3),
            Candidate {
                tier: Some("silver"),
                ..good(4)
            },
            Candidate {
                certifications: &[],
                ..good(5)
            },
            Candidate {
                product_lines: &other,
                ..good(6)
            },
            Candidate {
                languages: &[],
                ..good(7)
            },
            Candidate {
                territories: &bavaria,
                ..good(8)
            },
            Candidate {
                at_work: false,
                ..good(9)
            },
            Candidate {
                max_open: Some(0),
                ..good(10)
            },
            Candidate {
                weight: 0,
                ..good(11)
            },
            good(12),
            good(13),
        ];
        let past = BTreeMap::from([(id(12), Past::Declined), (id(13), Past::Had)]);
        let rules = [rule];
        let routed = route(&rules, &need, &candidates, &past, &BTreeMap::new()).routed;
        assert_eq!(routed.choice, Some(id(1)));
        let expected = [
            Unfit::Barred,
            Unfit::Excluded,
            Unfit::Tier,
            Unfit::Certification,
            Unfit::ProductLine,
            Unfit::Language,
            Unfit::Territory,
            Unfit::WorkingHours,
            Unfit::Capacity,
            Unfit::Weight,
            Unfit::Declined,
            Unfit::Had,
        ];
        let named: Vec<_> = (2..).map(id).zip(expected).collect();
        assert_eq!(routed.tried[0].unfit_named, named);
        assert!(routed.tried[0].unfit.values().all(|count| *count == 1));
    }

    #[test]
    fn the_first_rule_that_is_for_the_lead_and_has_somebody_chooses() {
        let mut british = rule(Strategy::Fixed(id(2)));
        british.code = "british".to_owned();
        british.when.countries = vec!["GB".to_owned()];
        let mut large = rule(Strategy::Fixed(id(9)));
        large.code = "large".to_owned();
        large.when.employees_from = Some(250);
        let rules = [large, british, rule(Strategy::Fixed(id(1)))];
        let candidates = [partner(1), partner(2)];
        let ask = |country: &str, employees| {
            let need = Need {
                place: Some(place(country, None)),
                employees,
                ..Need::default()
            };
            route(
                &rules,
                &need,
                &candidates,
                &BTreeMap::new(),
                &BTreeMap::new(),
            )
            .routed
        };
        let small = ask("GB", Some(10));
        assert_eq!(
            (small.choice, &small.passed_over[..]),
            (Some(id(2)), &["large".to_owned()][..])
        );
        // The rule for large ones names somebody who is not there: the next takes over.
        let large = ask("GB", Some(250));
        assert_eq!(large.choice, Some(id(2)));
        assert_eq!((large.tried.len(), large.tried[0].eligible), (2, 0));
        assert_eq!(ask("FR", None).choice, Some(id(1)));
        let nobody = choice(&rule(Strategy::RoundRobin), &Need::default(), &[]);
        assert_eq!((nobody.choice, nobody.tried.len()), (None, 1));
    }

    #[test]
    fn conditions_hold_for_what_is_known() {
        let conditions = Conditions {
            regions: vec!["DE-BY".to_owned()],
            product_lines: vec!["erp".to_owned()],
            employees_to: Some(50),
            ..Conditions::default()
        };
        let need = Need {
            place: Some(Place {
                region: Some("BY".to_owned()),
                ..place("DE", None)
            }),
            product_lines: vec!["crm".to_owned(), "erp".to_owned()],
            language: None,
            employees: Some(50),
        };
        assert!(conditions.hold(&need));
        let without = [
            Need {
                place: None,
                ..need.clone()
            },
            Need {
                place: Some(place("DE", None)),
                ..need.clone()
            },
            Need {
                product_lines: Vec::new(),
                ..need.clone()
            },
            Need {
                employees: None,
                ..need.clone()
            },
            Need {
                employees: Some(51),
                ..need
            },
        ];
        assert!(without.iter().all(|need| !conditions.hold(need)));
    }

    #[test]
    fn explanations_name_a_bounded_number_and_count_the_rest() {
        let ids = |n: u16| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            PartnerId::from_bytes(bytes)
        };
        let candidates: Vec<_> = (0..500)
            .map(|n| Candidate {
                partner: ids(n),
                barred: n % 2 == 0,
                ..partner(1)
            })
            .collect();
        let routed = choice(&rule(Strategy::RoundRobin), &Need::default(), &candidates);
        let tried = &routed.tried[0];
        assert_eq!(
            (tried.ranked.len(), tried.unfit_named.len()),
            (MAX_NAMED, MAX_NAMED)
        );
        assert_eq!((tried.eligible, tried.unfit[&Unfit::Barred]), (250, 250));
    }

    proptest! {
        #[test]
        fn everybody_is_within_one_lead_of_its_share_after_any_number(
            weights in proptest::collection::vec(1_u32..=50, 1..=12),
        ) {
            let candidates = weighing(&weights);
            let total: i64 = weights.iter().copied().map(i64::from).sum();
            let mut desk = Desk::default();
            let mut counts = vec![0_i64; weights.len()];
            for leads in 1..=200_i64 {
                let chosen = desk.next(&rule(Strategy::RoundRobin), &candidates).unwrap();
                counts[candidates.iter().position(|one| one.partner == chosen).unwrap()] += 1;
                for (count, weight) in counts.iter().zip(&weights) {
                    let off = (count * total - leads * i64::from(*weight)).abs();
                    prop_assert!(off < total, "{counts:?} after {leads} by {weights:?}");
                }
            }
        }

        #[test]
        fn nobody_is_forgotten_or_overrun_while_others_come_and_go(
            weights in proptest::collection::vec(1_u32..=20, 2..=8),
            absent in proptest::collection::vec(0_u8..8, 300),
        ) {
            let all = weighing(&weights);
            let mut desk = Desk::default();
            let mut owed = vec![0_f64; weights.len()];
            for gone in absent {
                let mut now = all.clone();
                if let Some(gone) = now.get_mut(usize::from(gone)) {
                    gone.barred = true;
                }
                let total: u32 = now.iter().filter(|one| !one.barred).map(|one| one.weight).sum();
                let chosen = desk.next(&rule(Strategy::RoundRobin), &now).unwrap();
                for (owed, one) in owed.iter_mut().zip(&now) {
                    if !one.barred {
                        *owed += f64::from(one.weight) / f64::from(total);
                    }
                    if one.partner == chosen {
                        prop_assert!(!one.barred);
                        *owed -= 1.0;
                    }
                }
                prop_assert!(owed.iter().all(|owed| owed.abs() < 2.5), "{owed:?}");
            }
        }

        #[test]
        fn the_same_inputs_choose_the_same_partner(
            weights in proptest::collection::vec(0_u32..=5, 0..=9),
            open in proptest::collection::vec(0_u32..=5, 9),
            strategy in 0_u8..4,
        ) {
            let candidates: Vec<_> = weighing(&weights)
                .into_iter()
                .zip(&open)
                .map(|(one, open)| Candidate { max_open: Some(3), tally: Tally { open: *open, ..Tally::default() }, ..one })
                .collect();
            let strategy = match strategy {
                0 => Strategy::RoundRobin,
                1 => Strategy::Nearest { rings_km: vec![10], country_first: true },
                2 => Strategy::BestPerforming { newcomer_floor: 500, newcomer_below: 3 },
                _ => Strategy::Fixed(id(2)),
            };
            let rules = [rule(strategy)];
            let ask = || route(&rules, &Need::default(), &candidates, &BTreeMap::new(), &BTreeMap::new());
            let first = ask();
            prop_assert_eq!(&first, &ask());
            let chosen = first.routed.choice.and_then(|chosen| candidates.iter().find(|one| one.partner == chosen));
            prop_assert!(chosen.is_none_or(|one| one.tally.open < 3));
            let tried = &first.routed.tried[0];
            prop_assert_eq!(tried.eligible + tried.unfit.values().sum::<usize>(), candidates.len());
        }
    }
}
