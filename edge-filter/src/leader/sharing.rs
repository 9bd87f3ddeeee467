//! Asking for shares of the rate limits that all edges enforce together.
//!
//! Owns: when a share is asked for, given up and put into its account. Does not
//! own: what a share means for a limit; see [`crate::share`].

use crate::account::{Account, AccountKey};
use crate::ports::SharedData;
use crate::share::Demand;
use crate::shared_state::update_account;
use shared::share::{ShareGrant, ShareKey, ShareRequest};
use std::collections::HashMap;

/// How soon an edge asks again that is owed more.
const ASK_AGAIN_MS: u64 = 250;

/// The elected worker's part in shares.
#[derive(Default)]
pub(super) struct Sharing {
    demands: HashMap<AccountKey, Demand>,
}

impl Sharing {
    /// What to ask for an account, if there is news. A share that nobody asked anything
    /// of for long, and every one at the end, is given up.
    pub fn ask(
        &mut self,
        account: &mut Account,
        now_ms: u64,
        ending: bool,
    ) -> Option<ShareRequest> {
        let share = account.share?;
        let demand = self.demands.entry(account.key).or_default();
        let wished = demand.follow(share, now_ms);
        let is_given_up = ending || wished == Some(0);
        let wished = wished.filter(|wished| is_given_up || demand.tells(share, *wished, now_ms));
        if is_given_up {
            account.share = None;
            self.demands.remove(&account.key);
        }
        let key = ShareKey {
            subscription: account.key.subscription,
            environment: account.key.environment,
        };
        Some(ShareRequest {
            key,
            held: if is_given_up { 0 } else { share.granted },
            demand: if is_given_up { 0 } else { wished? },
        })
    }

    /// What was told may not have arrived.
    pub fn tell_again(&mut self) {
        self.demands.values_mut().for_each(Demand::tell_again);
    }

    /// Puts what was granted into the accounts; by when to report again, if sooner than
    /// usual: others wait for what was given up, and what is owed may have come.
    pub fn take(
        &mut self,
        shared: &impl SharedData,
        grants: &[ShareGrant],
        now_ms: u64,
    ) -> Option<u64> {
        let now_ns = now_ms.saturating_mul(1_000_000);
        let mut soonest = None;
        for grant in grants {
            let key = AccountKey {
                subscription: grant.key.subscription,
                environment: grant.key.environment,
            };
            let Some(demand) = self.demands.get_mut(&key) else {
                continue;
            };
            demand.is_partial = grant.is_partial;
            let shrinks = update_account(shared, key, now_ns, |account| {
                let former = account.share;
                if let Some(share) = &mut account.share {
                    (share.granted, share.is_sole) = (grant.millionths, grant.is_sole);
                }
                let shrinks = former.is_some_and(|former| grant.millionths < former.granted);
                (shrinks, former != account.share)
            });
            let due_at_ms = match (shrinks, grant.is_partial) {
                (Some(true), _) => now_ms,
                (_, true) => now_ms + ASK_AGAIN_MS,
                _ => continue,
            };
            soonest = Some(soonest.map_or(due_at_ms, |soonest: u64| soonest.min(due_at_ms)));
        }
        soonest
    }
}
