//! Leads: taken in, routed to partners, worked, and won or lost.

pub mod routing;
