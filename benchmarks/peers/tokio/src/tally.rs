/* SPDX-License-Identifier: MIT */
//! How many of a crowd have still to answer; the last one wakes who waits for them.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

#[derive(Default)]
pub struct Tally {
    left: AtomicU64,
    done: Notify,
}

impl Tally {
    pub fn expect(&self, members: u64) {
        self.left.fetch_add(members, Ordering::SeqCst);
    }

    pub fn answer(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.done.notify_one();
        }
    }

    pub async fn wait(&self) {
        while self.left.load(Ordering::SeqCst) > 0 {
            self.done.notified().await;
        }
    }
}
