/* SPDX-License-Identifier: MIT */
//! Spawning by a thread outside, which then joins the tasks inside block_on: idle, beside tasks that compute and yield, and
//! beside tasks that compute and spawn.

use crate::measure::{report, time_outside, Params};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{mpsc, Arc};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const STALL: Duration = Duration::from_micros(10);
const PATIENCE: Duration = Duration::from_secs(1);

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 10_000);
    let workers = params.get("workers", 2).max(1);
    report("spawn_remote", spawn(params, &rt, tasks), "ns");

    let busy = Arc::new(AtomicBool::new(true));
    let hogs: Vec<_> = (0..2 * workers).map(|_| rt.spawn(yield_and_stall(busy.clone()))).collect();
    report("spawn_remote_busy", spawn(params, &rt, tasks), "ns");
    busy.store(false, Relaxed);
    for hog in hogs {
        rt.block_on(hog).expect("hog");
    }

    busy.store(true, Relaxed);
    for _ in 0..workers {
        let busy = busy.clone();
        rt.spawn(async move { stall_and_spawn(busy) });
    }
    spawn_or_give_up(params, rt, (tasks + 9) / 10);
    busy.store(false, Relaxed);
}

/// Tokio before 1.28 runs what a task has spawned next, without end, and never comes to the tasks from outside.
fn spawn_or_give_up(params: &Params, rt: Runtime, tasks: u64) {
    let patience = params.warmup() + params.length() + PATIENCE;
    let (result, ns) = mpsc::channel();
    let p = params.clone();
    std::thread::spawn(move || {
        result.send(spawn(&p, &rt, tasks)).expect("somebody waits");
        rt.shutdown_background();
    });
    match ns.recv_timeout(patience) {
        Ok(ns) => report("spawn_remote_chains", ns, "ns"),
        Err(_) => {
            println!("# spawn_remote_chains: no task from outside ran within {patience:?}");
            std::process::exit(0); // dropping the runtime would wait for its tasks
        }
    }
}

fn spawn(params: &Params, rt: &Runtime, tasks: u64) -> f64 {
    let mut handles = Vec::with_capacity(tasks as usize);
    let ns = time_outside(params, || {
        for _ in 0..tasks {
            handles.push(rt.spawn(async {}));
        }
        rt.block_on(async {
            for handle in handles.drain(..) {
                handle.await.expect("task");
            }
        });
    });
    ns / tasks as f64
}

/// Computes, and lets other threads have the CPU.
fn stall() {
    let start = Instant::now();
    while start.elapsed() < STALL {
        std::thread::yield_now();
    }
}

async fn yield_and_stall(busy: Arc<AtomicBool>) {
    while busy.load(Relaxed) {
        tokio::task::yield_now().await;
        stall();
    }
}

fn stall_and_spawn(busy: Arc<AtomicBool>) {
    tokio::spawn(async move {
        if busy.load(Relaxed) {
            stall();
            stall_and_spawn(busy);
        }
    });
}
