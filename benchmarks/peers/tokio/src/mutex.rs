/* SPDX-License-Identifier: MIT */
//! One mutex, locked and unlocked by one task, and by many in turn.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::Arc;
use tokio::sync::Mutex;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 64);
    let locks = params.get("locks", 1_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || alone(locks)).await });
    report("mutex_uncontended", ns / locks as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || contend(tasks, locks)).await });
    report("mutex", ns / (tasks * locks) as f64, "ns");
}

async fn alone(locks: u64) {
    let counter = Mutex::new(0u64);
    for _ in 0..locks {
        *counter.lock().await += 1;
    }
    assert_eq!(*counter.lock().await, locks);
}

async fn contend(tasks: u64, locks: u64) {
    let counter = Arc::new(Mutex::new(0u64));
    let mut handles = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let counter = counter.clone();
        handles.push(tokio::spawn(async move {
            for _ in 0..locks {
                *counter.lock().await += 1;
            }
        }));
    }
    for handle in handles {
        handle.await.expect("task");
    }
    assert_eq!(*counter.lock().await, tasks * locks);
}
