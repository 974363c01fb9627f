/* SPDX-License-Identifier: MIT */
//! Spawning: and joining; each task spawning the next; many at once, as tokio's own benchmark does it.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{mpsc, Arc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 10_000) as usize;
    let chain = params.get("chain", 1_000);

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || spawn_join(tasks)).await });
    report("spawn_join", ns / tasks as f64, "ns");

    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || chained(chain)).await });
    report("chained_spawn", ns / chain as f64, "ns");

    let ns = spawn_many(params, &rt, tasks);
    report("spawn_many", ns / tasks as f64, "ns");
    let ns = spawn_remote(params, &rt, tasks);
    report("spawn_remote", ns / tasks as f64, "ns");
    let ns = spawn_remote_busy(params, &rt, tasks);
    report("spawn_remote_busy", ns / tasks as f64, "ns");
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

/// tokio/benches/rt_multi_threaded.rs, spawn_many: spawned inside block_on, which here is not a worker.
fn spawn_many(params: &Params, rt: &tokio::runtime::Runtime, tasks: usize) -> f64 {
    let (done, all_done) = mpsc::sync_channel::<()>(1);
    let left = Arc::new(AtomicUsize::new(0));
    timed_outside(params, || {
        left.store(tasks, Relaxed);
        rt.block_on(async {
            for _ in 0..tasks {
                let (done, left) = (done.clone(), left.clone());
                tokio::spawn(async move {
                    if left.fetch_sub(1, Relaxed) == 1 {
                        done.send(()).expect("done");
                    }
                });
            }
            all_done.recv().expect("done");
        });
    })
}

/// The same from a thread that is outside of the runtime.
fn spawn_remote(params: &Params, rt: &tokio::runtime::Runtime, tasks: usize) -> f64 {
    let (done, all_done) = mpsc::sync_channel::<()>(1);
    let left = Arc::new(AtomicUsize::new(0));
    timed_outside(params, || {
        left.store(tasks, Relaxed);
        for _ in 0..tasks {
            let (done, left) = (done.clone(), left.clone());
            rt.spawn(async move {
                if left.fetch_sub(1, Relaxed) == 1 {
                    done.send(()).expect("done");
                }
            });
        }
        all_done.recv().expect("done");
    })
}

/// spawn_many_remote_busy1: two tasks for each worker block it for 10 us at a time.
fn spawn_remote_busy(params: &Params, rt: &tokio::runtime::Runtime, tasks: usize) -> f64 {
    let busy = Arc::new(AtomicBool::new(true));
    for _ in 0..2 * params.get("workers", 2) {
        let busy = busy.clone();
        rt.spawn(async move {
            while busy.load(Relaxed) {
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_micros(10));
            }
        });
    }
    let ns = spawn_remote(params, rt, tasks);
    busy.store(false, Relaxed);
    ns
}

fn timed_outside(params: &Params, mut step: impl FnMut()) -> f64 {
    let mut ns = 0.0;
    for length in [params.warmup(), params.length()] {
        let start = Instant::now();
        let mut steps = 0u64;
        while steps == 0 || start.elapsed() < length {
            step();
            steps += 1;
        }
        ns = start.elapsed().as_nanos() as f64 / steps as f64;
    }
    ns
}
