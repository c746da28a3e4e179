//! Tributary's domain crate: everything the functions share.
//!
//! In reading order, lower knows nothing of higher: pure values, the nouns (each `model` pure, each
//! `store` its keys and items, each `mod` its use cases), the table layer, and the edge, which holds
//! what every function needs once.

pub mod clock;
pub mod hours;
pub mod ids;
pub mod money;
pub mod places;

pub mod agreements;
pub mod applications;
pub mod channel;
pub mod claims;
pub mod commissions;
pub mod customers;
pub mod deals;
pub mod disputes;
pub mod events;
pub mod imports;
pub mod invoices;
pub mod leads;
pub mod ledger;
pub mod mail;
pub mod merges;
pub mod onboarding;
pub mod operators;
pub mod partners;
pub mod payouts;
pub mod people;
pub mod plans;
pub mod programs;
pub mod rates;
pub mod reports;
pub mod sessions;
pub mod tracking;
pub mod what_ifs;

pub mod edge;
pub mod table;
