//! Plans: what partners are signed on.

pub mod examples;
pub mod model;
pub mod sentences;
pub mod store;
pub mod wire;
