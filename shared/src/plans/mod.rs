//! Plans: what partners are signed on.

pub mod model;
