/* SPDX-License-Identifier: MIT */
//! Tokio's own time_now and time_timeout: block_on around reading the clock; limits around what is there at once; sleeps that
//! nobody awaits.

use crate::measure::{report, run_on_worker, time, time_outside, Params};
use std::hint::black_box;
use std::time::Duration;
use tokio::time::{sleep, timeout, Instant};

const ENTRIES: u64 = 100;
const UNUSED: u64 = 1_000;
const LIMIT: Duration = Duration::from_secs(1);

pub fn round(params: &Params) {
    let (tasks, limits) = (params.get("tasks", 8), params.get("limits", 1_000));
    let rt = params.runtime();
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || set_limits(tasks, limits)).await });
    report("timeout", ns / (tasks * limits) as f64, "ns");

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, unused).await });
    report("timer_unused", ns / UNUSED as f64, "ns");

    let ns = time_outside(params, || {
        for _ in 0..ENTRIES {
            rt.block_on(async {
                black_box(Instant::now());
            });
        }
    });
    report("time_now", ns / ENTRIES as f64, "ns");
    report("time_now_future", ns / ENTRIES as f64, "ns"); // there is one way in
}

/// What might take long, but does not.
async fn quick_job() -> u64 {
    black_box(1)
}

async fn set_limits(tasks: u64, limits: u64) {
    let mut handles = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        handles.push(tokio::spawn(async move {
            for _ in 0..limits {
                assert_eq!(timeout(LIMIT, quick_job()).await, Ok(1));
            }
        }));
    }
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn unused() {
    for _ in 0..UNUSED {
        drop(black_box(sleep(LIMIT)));
    }
}
