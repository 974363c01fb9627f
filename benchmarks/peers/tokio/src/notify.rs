/* SPDX-License-Identifier: MIT */
//! Notifications: one that is kept and taken, a round trip between two tasks, one to all of several or of many, and each to one
//! of these.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const MANY: [(&str, u64, fn(&Notify)); 4] = [
    ("notify_all_100", 100, Notify::notify_waiters),
    ("notify_all_500", 500, Notify::notify_waiters),
    ("notify_one_of_100", 100, Notify::notify_one),
    ("notify_one_of_500", 500, Notify::notify_one),
];

pub fn round(params: &Params) {
    let rt = params.runtime();
    let waiters = params.get("waiters", 8);
    let turns = params.get("turns", 1_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || keep_and_take(turns)).await });
    report("notify_kept", ns / turns as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || round_trips(turns)).await });
    report("notify_round_trip", ns / turns as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || tell(turns * waiters, waiters, Notify::notify_waiters)).await });
    report("notify_all", ns / (turns * waiters) as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || tell(turns, waiters, Notify::notify_one)).await });
    report("notify_one_of_many", ns / turns as f64, "ns");
    for (name, waiters, tell_them) in MANY {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move {
            let crowd = Crowd::gather(waiters);
            let ns = time(&p, || tell_crowd(crowd.notify.clone(), crowd.heard.clone(), turns, tell_them)).await;
            crowd.dismiss().await;
            ns
        });
        report(name, ns / turns as f64, "ns");
    }
}

async fn keep_and_take(turns: u64) {
    let notify = Notify::new();
    for _ in 0..turns {
        notify.notify_one();
        notify.notified().await;
    }
}

async fn round_trips(turns: u64) {
    let there = Arc::new(Notify::new());
    let back = Arc::new(Notify::new());
    let (t, b) = (there.clone(), back.clone());
    let other = tokio::spawn(async move {
        for _ in 0..turns {
            t.notified().await;
            b.notify_one();
        }
    });
    for _ in 0..turns {
        there.notify_one();
        back.notified().await;
    }
    other.await.expect("task");
}

/// Tasks that wait and count how often they were woken, together.
struct Crowd {
    notify: Arc<Notify>,
    heard: Arc<AtomicU64>,
    handles: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn gather(waiters: u64) -> Crowd {
        let notify = Arc::new(Notify::new());
        let heard = Arc::new(AtomicU64::new(0));
        let mut handles = Vec::with_capacity(waiters as usize);
        for _ in 0..waiters {
            let (notify, heard) = (notify.clone(), heard.clone());
            handles.push(tokio::spawn(async move {
                loop {
                    notify.notified().await;
                    heard.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        Crowd { notify, heard, handles }
    }

    async fn dismiss(self) {
        for handle in self.handles {
            handle.abort();
            let _ = handle.await;
        }
    }
}

async fn tell(wanted: u64, waiters: u64, tell_them: fn(&Notify)) {
    let crowd = Crowd::gather(waiters);
    tell_crowd(crowd.notify.clone(), crowd.heard.clone(), wanted, tell_them).await;
    crowd.dismiss().await;
}

/// Until the crowd was woken so often; what is heard too much counts for the next time.
async fn tell_crowd(notify: Arc<Notify>, heard: Arc<AtomicU64>, wanted: u64, tell_them: fn(&Notify)) {
    while heard.load(Ordering::Relaxed) < wanted {
        tell_them(&notify);
        tokio::task::yield_now().await;
    }
    heard.fetch_sub(wanted, Ordering::Relaxed);
}
