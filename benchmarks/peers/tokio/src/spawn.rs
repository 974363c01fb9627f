/* SPDX-License-Identifier: MIT */
//! Spawning, by a task: and joining, all or one by one; each task spawning the next; many at once.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 10_000) as usize;
    let chain = params.get("chain", 1_000);

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || spawn_join(tasks)).await });
    report("spawn_join", ns / tasks as f64, "ns");

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || spawn_one_by_one(tasks)).await });
    report("spawn_one", ns / tasks as f64, "ns");

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || chained(chain)).await });
    report("chained_spawn", ns / chain as f64, "ns");

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || spawn_many(tasks)).await });
    report("spawn_many", ns / tasks as f64, "ns");
}

async fn spawn_join(tasks: usize) {
    let mut handles = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        handles.push(tokio::spawn(async {}));
    }
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn spawn_one_by_one(tasks: usize) {
    for _ in 0..tasks {
        tokio::spawn(async {}).await.expect("task");
    }
}

async fn chained(length: u64) {
    let (done, all_done) = oneshot::channel();
    link(done, length);
    all_done.await.expect("chain");
}

fn link(done: oneshot::Sender<()>, left: u64) {
    if left == 0 {
        done.send(()).expect("chain");
    } else {
        tokio::spawn(async move { link(done, left - 1) });
    }
}

/// In tokio's own benchmark block_on spawns, which is on no worker and pays for the way to one: spawn_remote has that.
async fn spawn_many(tasks: usize) {
    let (done, all_done) = oneshot::channel();
    let left = Arc::new((AtomicUsize::new(tasks), Mutex::new(Some(done))));
    for _ in 0..tasks {
        let left = left.clone();
        tokio::spawn(async move {
            if left.0.fetch_sub(1, Relaxed) == 1 {
                left.1.lock().expect("lock").take().expect("once").send(()).expect("done");
            }
        });
    }
    all_done.await.expect("tasks");
}
