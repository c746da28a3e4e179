//! What every use case is given: tables, queues, clock, keys, configuration and a short-lived cache.

use std::any::Any;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;

use super::config::Config;
use super::keyring::Keyring;
use super::mailer::Mailer;
use super::queues::Queues;
use crate::clock::{Clock, Timestamp};
use crate::ids::Fresh;
use crate::table::{Error, Table};

/// Programs, links, keys and the like are at most this old when they decide something.
pub const CACHE_SECONDS: i64 = 30;
/// Entries the cache holds; the least used leave first.
const CACHE_ENTRIES: usize = 10_000;

/// Where randomness comes from.
#[derive(Clone, Debug, Default)]
pub enum Entropy {
    /// The machine's.
    #[default]
    System,
    /// A seeded generator, for runs that must be the same every time.
    Seeded(Arc<Mutex<fastrand::Rng>>),
}

impl Entropy {
    /// A generator that gives the same bytes for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Random bytes.
    ///
    /// # Panics
    /// When the machine has no randomness: no id may then be made.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0_u8; N];
        match self {
            Self::System => getrandom::fill(&mut bytes).expect("the machine gives randomness"),
            Self::Seeded(generator) => {
                generator
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .fill(&mut bytes);
            }
        }
        bytes
    }
}

type Cached = (Timestamp, Arc<dyn Any + Send + Sync>);

/// Records read at most [`CACHE_SECONDS`] ago. Absence is never remembered. Clones share them.
#[derive(Clone)]
pub struct Cache {
    entries: Arc<quick_cache::sync::Cache<String, Cached>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            entries: Arc::new(quick_cache::sync::Cache::new(CACHE_ENTRIES)),
        }
    }
}

impl Cache {
    fn fresh<T: Send + Sync + 'static>(&self, name: &str, now: Timestamp) -> Option<Arc<T>> {
        let (read_at, value) = self.entries.get(name)?;
        let age = now.duration_since(read_at);
        (age >= SignedDuration::ZERO && age < SignedDuration::from_secs(CACHE_SECONDS))
            .then(|| value.downcast::<T>().ok())?
    }

    /// Drops a record that this process has just changed, so that it sees its own writes at once.
    pub fn forget(&self, name: &str) {
        self.entries.remove(name);
    }
}

/// The keyring, which only functions have that seal, open, sign or hash with it.
#[derive(Clone, Debug)]
pub struct Keys(Option<Keyring>);

impl From<Option<Keyring>> for Keys {
    fn from(given: Option<Keyring>) -> Self {
        Self(given)
    }
}

impl Deref for Keys {
    type Target = Keyring;

    /// # Panics
    /// In a function without a keyring: going on with other keys would make values that nothing opens.
    fn deref(&self) -> &Keyring {
        self.0.as_ref().expect(
            "infra/app.yaml sets TRIBUTARY_KEYRING_SECRET for every function that uses the keyring",
        )
    }
}

/// The parts of an application.
#[derive(Clone)]
pub struct Parts {
    /// Everything but clicks.
    pub main: Table,
    /// Clicks.
    pub clicks: Table,
    /// The queues.
    pub queues: Queues,
    /// Sends mail, where the function does.
    pub mailer: Option<Mailer>,
    /// Now.
    pub clock: Clock,
    /// Randomness for ids and secrets.
    pub entropy: Entropy,
    /// Configuration.
    pub config: Config,
    /// Keys.
    pub keyring: Keys,
    /// Recently read records.
    pub cache: Cache,
}

/// The application, cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// From its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The same, for a function that is given no keyring.
    #[must_use]
    pub fn without_keyring(&self) -> Self {
        Self::new(Parts {
            keyring: None.into(),
            ..Parts::clone(self)
        })
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id of any kind.
    #[must_use]
    pub fn fresh<T: Fresh>(&self) -> T {
        T::fresh(self.now(), self.entropy.bytes())
    }

    /// A record by its unique name, at most [`CACHE_SECONDS`] old; `load` reads it when it is not at hand.
    ///
    /// # Errors
    /// What `load` gives.
    pub async fn cached<T, F>(
        &self,
        name: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Option<Arc<T>>, Error>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, Error>>,
    {
        let now = self.now();
        if let Some(value) = self.cache.fresh::<T>(name, now) {
            return Ok(Some(value));
        }
        let Some(value) = load().await?.map(Arc::new) else {
            return Ok(None);
        };
        self.cache
            .entries
            .insert(name.to_owned(), (now, value.clone()));
        Ok(Some(value))
    }
}
