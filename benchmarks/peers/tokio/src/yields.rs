/* SPDX-License-Identifier: MIT */
//! Yielding: many tasks, as tokio's own benchmark does it, and one alone.

use crate::measure::{report, run_on_worker, time, Params};

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 200);
    let yields = params.get("yields", 1_000);

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || many(tasks, yields)).await });
    report("yield_many", ns / (tasks * yields) as f64, "ns");

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || many(1, yields)).await });
    report("yield_one", ns / yields as f64, "ns");
}

async fn many(tasks: u64, yields: u64) {
    let mut handles = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        handles.push(tokio::spawn(async move {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
        }));
    }
    for handle in handles {
        handle.await.expect("task");
    }
}
