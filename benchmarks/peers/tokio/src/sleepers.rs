/* SPDX-License-Identifier: MIT */
//! Many tasks asleep at once: time to start them and to join them, memory while they sleep.

use crate::measure::{report, rss_bytes, run_on_worker, Params};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 1_000_000);
    let sleep = Duration::from_millis(params.get("sleep-ms", 20_000));
    run_on_worker(&rt, async move { sleepers(tasks, sleep).await });
}

async fn sleepers(tasks: u64, sleep: Duration) {
    let before = rss_bytes();
    let started = Arc::new(AtomicU64::new(0));
    let mut handles = Vec::with_capacity(tasks as usize);
    let start = Instant::now();
    let deadline = start + sleep;
    for _ in 0..tasks {
        let started = started.clone();
        handles.push(tokio::spawn(async move {
            started.fetch_add(1, Relaxed);
            tokio::time::sleep_until(deadline.into()).await;
        }));
    }
    while started.load(Relaxed) < tasks {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let asleep = Instant::now();
    if asleep > deadline {
        println!("# the first slept out before the last had started: raise --sleep-ms");
    }
    let memory = rss_bytes() - before;
    for handle in handles {
        handle.await.expect("task");
    }
    let joined = Instant::now();
    report("start", (asleep - start).as_nanos() as f64 / tasks as f64, "ns");
    report("wake_join", (joined - deadline).as_nanos() as f64 / tasks as f64, "ns");
    report("rss", memory as f64 / tasks as f64, "B");
}
