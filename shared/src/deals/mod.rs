//! Deals: partners register opportunities, operators decide them, and what is approved is protected.

pub mod model;
pub mod policy;
pub mod wire;
