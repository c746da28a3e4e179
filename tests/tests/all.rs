//! All scenarios, in one binary so that the AWS SDK is linked once.
#![allow(clippy::unwrap_used, missing_docs)]

mod architecture;
mod bad_input;
mod budgets;
mod catalog;
mod contention;
mod crashes;
mod determinism;
mod faults;
mod given;
mod keys;
mod listing;
mod loss;
mod main_job;
mod money;
mod payouts;
mod plans;
mod readme;
mod requests;
mod roles;
mod secrets;
mod stale;
mod trackers;
mod tracking;
mod wiring;
