/* SPDX-License-Identifier: MIT */
//! Empty jobs for the blocking pool, a number of them always in flight.

use crate::measure::{report, run_on_worker, time, Params};

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 64);
    let jobs = params.get("jobs", 100);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || keep_in_flight(tasks, jobs)).await });
    report("blocking", ns / 1e3 / (tasks * jobs) as f64, "us");
}

async fn keep_in_flight(tasks: u64, jobs: u64) {
    let mut handles = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        handles.push(tokio::spawn(async move {
            for _ in 0..jobs {
                tokio::task::spawn_blocking(|| {}).await.expect("job");
            }
        }));
    }
    for handle in handles {
        handle.await.expect("task");
    }
}
