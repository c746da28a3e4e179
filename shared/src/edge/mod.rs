//! Everything a function needs once: the application, its configuration, authentication, request
//! reading, problems, idempotency, pages, batches and telemetry.

mod address;
mod app;
mod auth;
mod config;
mod fields;
mod json;
mod keyring;
mod mailer;
mod once;
mod page;
mod problem;
mod queues;
mod reply;
mod serve;
mod telemetry;

pub use address::ClientAddress;
pub use app::{App, CACHE_SECONDS, Cache, Entropy, Parts};
pub use auth::{ApiKey, IfMatch, Operator, PartnerPrincipal, Principal, hash_bytes, hash_secret};
pub use config::{Config, ConfigError};
pub use fields::{
    Body, Fields, MAX_BODY_BYTES, NoBody, Path, Query, path_id, read_limited, read_up_to,
};
pub use json::parse as parse_json;
pub use keyring::{CLICK_ID_LEN, Keyring, KeyringError};
pub use mailer::{Letter, MailError, Mailer};
pub use once::{Change, MAX_ONCE_KEY, Once, Write};
pub use page::{Cursor, Limit, MAX_PAGE};
pub use problem::{ALL_CODES, Code, FieldError, Problem, ProblemBody, codes};
pub use queues::{Queue, Queues, SEND_BATCH};
pub use reply::{Paper, Reply, versioned};
pub use serve::{Needs, batch_failures, finish, keyring_document, run, run_with_mail, serve};
pub use telemetry::{count, init as init_telemetry};
