//! A program's transfers of a month: partner after partner, each in the order of its list.
//!
//! No list of a program's transfers is kept, which every conversion would pay for. The list of partners and
//! their accounts tell who has any, and the accounts whether the walk has found them all.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::ReportError;
use super::model::{Place, Within};
use crate::edge::App;
use crate::ids::{PartnerId, ProgramId};
use crate::ledger::model::{AccountId, Transfer};
use crate::ledger::store::{self, ListFrom};
use crate::money::Currency;
use crate::partners::{self, Holder};

/// Entries of a partner's list in one read: ten `BatchGetItem` calls at once follow.
const LIST_PAGE: usize = 1_000;
/// Tries until a partner's list has what its account counts, with waits between that outlast the usual lag.
const TRIES: u32 = 6;
const WAIT_MS: u64 = 40;

/// The partner that a walk is with.
struct Current {
    partner: PartnerId,
    /// Its position among the partners.
    position: String,
    /// Transfers that its account counts.
    posted: i64,
    /// The list position of the last transfer that was handed out.
    walked: String,
    /// How many were.
    count: i64,
    /// The list position of the last entry that was read.
    read: String,
    more: bool,
    tries: u32,
}

/// A walk that can stop after any transfer and be taken up again from its place.
pub struct Walk<'a> {
    app: &'a App,
    program: ProgramId,
    currency: Currency,
    month: u32,
    waiting: VecDeque<Holder>,
    /// The position up to which partners were read, and whether more follow.
    loaded: (String, bool),
    /// The position of the last partner that is finished.
    after: String,
    resumed: Option<Within>,
    current: Option<Current>,
    read: VecDeque<(String, Transfer)>,
}

impl<'a> Walk<'a> {
    /// A walk over a program's transfers of a month (`yyyymm`) that begins, or goes on, at a place.
    #[must_use]
    pub fn at(
        app: &'a App,
        program: ProgramId,
        currency: Currency,
        month: u32,
        place: Place,
    ) -> Self {
        let Place { after, within } = place;
        Self {
            app,
            program,
            currency,
            month,
            waiting: VecDeque::new(),
            loaded: (after.clone(), true),
            after,
            resumed: within,
            current: None,
            read: VecDeque::new(),
        }
    }

    /// Where it stands: behind the transfer that was handed out last.
    #[must_use]
    pub fn place(&self) -> Place {
        let within = self.current.as_ref().map(|current| Within {
            partner: current.partner,
            position: current.walked.clone(),
            count: current.count,
        });
        Place {
            after: self.after.clone(),
            within: within.or_else(|| self.resumed.clone()),
        }
    }

    /// The next transfer; `None` when all are walked.
    ///
    /// # Errors
    /// `Behind` when a partner's list has other transfers than its account counts; `NoPlace` for a place of
    /// another walk; the table's.
    pub async fn next(&mut self) -> Result<Option<Transfer>, ReportError> {
        loop {
            if let (Some((position, transfer)), Some(current)) =
                (self.read.pop_front(), &mut self.current)
            {
                current.walked = position;
                current.count += 1;
                return Ok(Some(transfer));
            }
            match self.current.take() {
                Some(current) if current.more => self.read_on(current).await?,
                Some(current) => self.finish(current).await?,
                None => match self.next_partner().await? {
                    Some(current) => self.current = Some(current),
                    None => return Ok(None),
                },
            }
        }
    }

    async fn next_partner(&mut self) -> Result<Option<Current>, ReportError> {
        loop {
            while let Some(Holder { position, account }) = self.waiting.pop_front() {
                let partner = account.id.partner;
                let posted = account.posted.get(&self.month).copied().unwrap_or(0);
                let within = match self.resumed.take() {
                    Some(within) if within.partner == partner => Some(within),
                    // Whoever stands before the partner that the walk was with had nothing when it passed.
                    Some(within) => {
                        self.resumed = Some(within);
                        continue;
                    }
                    None => None,
                };
                if posted == 0 && within.is_none() {
                    continue;
                }
                let (walked, count) =
                    within.map_or((String::new(), 0), |within| (within.position, within.count));
                return Ok(Some(Current {
                    partner,
                    position,
                    posted,
                    read: walked.clone(),
                    walked,
                    count,
                    more: true,
                    tries: 0,
                }));
            }
            let (after, more) = &self.loaded;
            if !more {
                return match self.resumed {
                    Some(_) => Err(ReportError::NoPlace),
                    None => Ok(None),
                };
            }
            let (holders, end, more) =
                partners::holders(self.app, self.program, self.currency, after).await?;
            self.waiting = holders.into();
            self.loaded = (end, more);
        }
    }

    async fn read_on(&mut self, mut current: Current) -> Result<(), ReportError> {
        let from = ListFrom::Above(current.read.clone());
        let (entries, more) =
            store::entries(&self.app.main, current.partner, self.month, from, LIST_PAGE).await?;
        if let Some(last) = entries.last() {
            current.read.clone_from(&last.sort);
        }
        current.more = more;
        let found = store::read_listed(&self.app.main, &entries).await?;
        // The list is the partner's; another program's transfers stand in it too.
        let own = found
            .into_iter()
            .filter(|(_, transfer)| transfer.account.program == self.program);
        self.read.extend(own);
        self.current = Some(current);
        Ok(())
    }

    /// Goes on to the next partner if this one's transfers are all that its account counts. The index may be
    /// behind, or transfers may just have been posted: then what is new is read.
    async fn finish(&mut self, mut current: Current) -> Result<(), ReportError> {
        if current.count == current.posted {
            self.after = current.position;
            return Ok(());
        }
        if current.tries == TRIES {
            return Err(ReportError::Behind);
        }
        tokio::time::sleep(Duration::from_millis(WAIT_MS << current.tries)).await;
        let id = AccountId {
            partner: current.partner,
            program: self.program,
            currency: self.currency,
        };
        let account = store::find_accounts(&self.app.main, &[id])
            .await?
            .remove(&id);
        current.posted = account
            .and_then(|account| account.posted.get(&self.month).copied())
            .unwrap_or(0);
        current.tries += 1;
        current.more = true;
        self.current = Some(current);
        Ok(())
    }
}
