//! Reports: the controller's papers.

pub mod paper;
