//! How a program takes deal registrations, as data: who may register, what is protected for how long, what a second
//! registrant gets, who approves, and what an approved deal brings. Pure.

use crate::hours::WorkingHours;
use crate::ids::{OperatorId, PartnerId, ProgramId};
use crate::money::{Money, Rate};

/// Days that a deal is protected unless a program says otherwise.
pub const DEFAULT_PROTECTION_DAYS: u32 = 90;
/// Days that the one extension adds unless a program says otherwise.
pub const DEFAULT_EXTENSION_DAYS: u32 = 30;
/// Days in which a partner answers what it is asked, and within which a dispute is decided.
pub const DEFAULT_ANSWER_DAYS: u32 = 14;
/// The longest of any of these.
pub const MAX_DAYS: u32 = 730;
/// Registrations of one partner in a day unless a program says otherwise: more than a person writes, far fewer
/// than it takes to try out a vendor's customers.
pub const DEFAULT_DAILY: u32 = 20;
/// The most that a program may allow.
pub const MAX_DAILY: u32 = 1_000;
/// Chains of a program, steps of a chain, approvers of a step.
pub const MAX_CHAINS: usize = 20;
/// Steps of a chain.
pub const MAX_STEPS: usize = 8;
/// Named approvers of a step.
pub const MAX_APPROVERS: usize = 20;
/// Requirements, and rules by which deals approve themselves.
pub const MAX_RULES: usize = 20;
/// Stakes that are told.
pub const MAX_STAKES: usize = 200;
/// Entries of a list in a condition, such as product lines.
pub const MAX_LISTED: usize = 50;
/// Working hours that a step may take.
pub const MAX_SLA_HOURS: u32 = 1_000;
/// Working hours of the step that stands in for a chain.
pub const DEFAULT_SLA_HOURS: u32 = 16;
/// The name of the step that stands in for a chain.
pub const DEFAULT_STEP: &str = "review";

/// A country or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// ISO 3166 two-letter code.
    pub country: String,
    /// The subdivision's part of its ISO 3166-2 code; `None` for all of the country.
    pub region: Option<String>,
}

impl Region {
    fn holds(&self, country: Option<&str>, region: Option<&str>) -> bool {
        country == Some(self.country.as_str())
            && (self.region.is_none() || self.region.as_deref() == region)
    }
}

/// What a policy knows of a deal when it chooses.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The estimated amount.
    pub amount: Money,
    /// The product lines.
    pub product_lines: &'a [String],
    /// The customer's country.
    pub country: Option<&'a str>,
    /// Its subdivision.
    pub region: Option<&'a str>,
}

/// Which deals; what is empty or `None` restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Of at least that amount.
    pub amount_from: Option<Money>,
    /// Of less than that.
    pub amount_below: Option<Money>,
    /// With one of these product lines.
    pub product_lines: Vec<String>,
    /// Of a customer in one of these.
    pub regions: Vec<Region>,
}

impl When {
    /// Whether it means that deal. Amounts of another currency are neither above nor below.
    #[must_use]
    pub fn means(&self, case: Case<'_>) -> bool {
        let Case {
            amount,
            product_lines,
            country,
            region,
        } = case;
        let same = |bound: &Money| bound.currency() == amount.currency();
        let from = self.amount_from.as_ref();
        let below = self.amount_below.as_ref();
        from.is_none_or(|from| same(from) && amount.minor() >= from.minor())
            && below.is_none_or(|below| same(below) && amount.minor() < below.minor())
            && (self.product_lines.is_empty()
                || product_lines
                    .iter()
                    .any(|line| self.product_lines.contains(line)))
            && (self.regions.is_empty()
                || self.regions.iter().any(|part| part.holds(country, region)))
    }
}

/// What a partner needs for deals of some product lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// For deals with one of these; for all where there are none.
    pub product_lines: Vec<String>,
    /// At least this tier.
    pub tier: Option<String>,
    /// All of these certifications.
    pub certifications: Vec<String>,
}

/// What becomes of a registration whose partner does not meet what is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// An operator looks at it.
    Review,
    /// It is rejected at once.
    Reject,
}

/// By their names.
pub const INELIGIBLE: &[(&str, Ineligible)] = &[
    ("review", Ineligible::Review),
    ("reject", Ineligible::Reject),
];

/// Who may register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eligibility {
    /// Tiers and certifications.
    pub requirements: Vec<Requirement>,
    /// Only customers in the partner's own territories.
    pub territory: bool,
    /// Only product lines that the partner sells.
    pub product_line: bool,
    /// What becomes of others.
    pub otherwise: Ineligible,
}

/// What an approved deal brings its partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Benefit {
    /// Once it is won a conversion of that event, which the partner's plan pays.
    Commission {
        /// The event's name.
        event: String,
    },
    /// A reseller's discount on the price.
    Discount {
        /// The share of the price that it is less.
        rate: Rate,
    },
}

/// What whoever registers the same customer and product line second gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Second {
    /// Nothing: the registration is rejected as a duplicate.
    Refuse,
    /// A share, once it is approved; the first keeps the rest. There are two of them at most.
    CoRegister {
        /// The second's.
        share: Rate,
    },
    /// Another benefit.
    Reduced(Benefit),
}

/// In which order the steps of a chain are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after the other.
    Sequential,
    /// All at once.
    Parallel,
}

/// By their names.
pub const ORDERS: &[(&str, Order)] = &[
    ("sequential", Order::Sequential),
    ("parallel", Order::Parallel),
];

/// A step of an approval: one of its approvers consents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, different from those of its chain's others.
    pub name: String,
    /// Who may; any operator that approves deals where nobody is named.
    pub approvers: Vec<OperatorId>,
    /// Working hours until it is overdue.
    pub sla_hours: u32,
    /// Who may as well from then on.
    pub escalate_to: Option<OperatorId>,
}

/// The steps that deals of a kind take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// For which deals.
    pub when: When,
    /// In which order.
    pub order: Order,
    /// At least one.
    pub steps: Vec<Step>,
}

/// Deals that are approved as they come in, where nothing at all speaks against them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoApproval {
    /// For which deals.
    pub when: When,
    /// Of partners of one of these tiers; of any where there are none.
    pub tiers: Vec<String>,
}

/// An operator's stake in accounts, for which others then approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Whose.
    pub operator: OperatorId,
    /// All deals of these partners.
    pub partners: Vec<PartnerId>,
    /// All deals for customers of these domains.
    pub domains: Vec<String>,
}

/// How a program takes deal registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The program.
    pub program: ProgramId,
    /// Days from the approval on.
    pub protection_days: u32,
    /// Days that the one extension adds; 0 for none.
    pub extension_days: u32,
    /// Days in which a partner answers what it is asked, or the deal is rejected as incomplete.
    pub answer_days: u32,
    /// Days in which a rejection is disputed, and then as many until the dispute is decided.
    pub dispute_days: u32,
    /// Registrations of a partner in a day.
    pub daily: u32,
    /// Who may register.
    pub eligibility: Eligibility,
    /// What an approved deal brings.
    pub benefit: Benefit,
    /// What a second registrant gets.
    pub second: Second,
    /// The first that means a deal counts; where none does, one operator consents.
    pub chains: Vec<Chain>,
    /// Which deals approve themselves.
    pub auto_approve: Vec<AutoApproval>,
    /// Who may not approve what.
    pub stakes: Vec<Stake>,
    /// By which hours of work an SLA counts.
    pub hours: WorkingHours,
    /// Counts changes.
    pub version: u64,
}

impl Policy {
    /// The order and the steps that a deal takes.
    #[must_use]
    pub fn route(&self, case: Case<'_>) -> (Order, Vec<Step>) {
        let chain = self.chains.iter().find(|chain| chain.when.means(case));
        match chain {
            Some(Chain { order, steps, .. }) => (*order, steps.clone()),
            None => {
                let step = Step {
                    name: DEFAULT_STEP.to_owned(),
                    approvers: Vec::new(),
                    sla_hours: DEFAULT_SLA_HOURS,
                    escalate_to: None,
                };
                (Order::Sequential, vec![step])
            }
        }
    }

    /// Whether a deal that nothing speaks against approves itself.
    #[must_use]
    pub fn approves_itself(&self, case: Case<'_>, tier: Option<&str>) -> bool {
        self.auto_approve.iter().any(|rule| {
            let tiers = &rule.tiers;
            let in_tier =
                tiers.is_empty() || tiers.iter().any(|known| Some(known.as_str()) == tier);
            in_tier && rule.when.means(case)
        })
    }

    /// Whether an operator has a stake in a partner's deal for a customer of that domain.
    #[must_use]
    pub fn has_stake(
        &self,
        operator: OperatorId,
        partner: PartnerId,
        domain: Option<&str>,
    ) -> bool {
        self.stakes.iter().any(|stake| {
            stake.operator == operator
                && (stake.partners.contains(&partner)
                    || domain.is_some_and(|domain| stake.domains.iter().any(|own| own == domain)))
        })
    }

    /// What the second registrant's deal brings, where it is approved.
    #[must_use]
    pub fn second_benefit(&self) -> &Benefit {
        match &self.second {
            Second::Reduced(benefit) => benefit,
            Second::Refuse | Second::CoRegister { .. } => &self.benefit,
        }
    }
}
