//! A signal that is never lost: whoever listened before it was given sees it.

use std::sync::Arc;

use tokio::sync::watch;

/// Wakes everyone who waits for something to change.
#[derive(Clone, Debug)]
pub struct Wake(Arc<watch::Sender<u64>>);

/// Hears a [`Wake`].
#[derive(Clone, Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Default for Wake {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Wake {
    /// Tells every listener that something changed.
    pub fn signal(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Starts listening: only what is signalled from now on is heard.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Listener {
    /// Forgets the signals given so far. Call it before looking, so that what changes while looking
    /// is heard afterwards.
    pub fn reset(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits for the next signal. Never resolves once the last [`Wake`] is gone.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
