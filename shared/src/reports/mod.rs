//! Reports: the controller's papers. Statements to print, the general-ledger journal of a program's month and
//! its closing.

pub mod error;
pub mod journal;
pub mod model;
pub mod paper;
mod store;
mod walk;
