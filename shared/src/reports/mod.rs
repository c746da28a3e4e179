//! Reports: the controller's papers. Statements to print, the general-ledger journal of a program's month and
//! its closing, what partners were paid in a year, and payouts beside the ledger.

pub mod error;
pub mod journal;
pub mod model;
pub mod paper;
pub mod reconciliation;
mod store;
pub mod thresholds;
mod walk;
pub mod yearly;
