//! Customers: the companies that partners sell to, recognised by what identifies them.

pub mod mail_domains;
pub mod model;
pub mod names;
