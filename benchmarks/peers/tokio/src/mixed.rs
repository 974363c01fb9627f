/* SPDX-License-Identifier: MIT */
//! Echo at a fixed rate beside fib without end, which is on threads of the blocking pool, one for each worker: a task would hold
//! its worker up. Each alone, then both.

use crate::echo::{self, Outcome};
use crate::measure::{raise_fd_limit, report, run_on_worker, Params};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{spawn_blocking, JoinHandle};

pub fn round(params: &Params) {
    raise_fd_limit();
    let p = params.clone();
    run_on_worker(&params.runtime(), async move { mixed(&p).await });
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    fib(n - 1) + fib(n - 2)
}

struct Endless {
    stop: AtomicBool,
    done: AtomicU64,
}

fn compute(params: &Params) -> (Arc<Endless>, Vec<JoinHandle<()>>) {
    let endless = Arc::new(Endless { stop: AtomicBool::new(false), done: AtomicU64::new(0) });
    let n = params.get("fib", 32);
    let threads = (0..params.get("workers", 2))
        .map(|_| {
            let endless = endless.clone();
            spawn_blocking(move || {
                while !endless.stop.load(Relaxed) {
                    black_box(fib(black_box(n)));
                    endless.done.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    (endless, threads)
}

async fn stop(endless: &Endless, threads: Vec<JoinHandle<()>>) {
    endless.stop.store(true, Relaxed);
    for thread in threads {
        thread.await.expect("fib");
    }
}

/// Computations in a second, alone.
async fn alone(params: &Params) -> f64 {
    let (endless, threads) = compute(params);
    tokio::time::sleep(params.warmup()).await;
    let (done, start) = (endless.done.load(Relaxed), Instant::now());
    tokio::time::sleep(params.length()).await;
    let speed = (endless.done.load(Relaxed) - done) as f64 / start.elapsed().as_secs_f64();
    stop(&endless, threads).await;
    speed
}

async fn clients(params: &Params) -> Outcome {
    let pause = Duration::from_millis(params.get("pause-ms", 100));
    echo::measure(params.get("clients", 1_000), 64, pause, params.warmup(), params.length()).await
}

/// The speed counts connecting, too.
async fn beside(params: &Params) -> (Outcome, f64) {
    let start = Instant::now();
    let (endless, threads) = compute(params);
    let outcome = clients(params).await;
    let speed = endless.done.load(Relaxed) as f64 / start.elapsed().as_secs_f64();
    stop(&endless, threads).await;
    (outcome, speed)
}

fn tell(name: &str, outcome: &Outcome, speed: f64) {
    report(&format!("echo_{name}"), outcome.trips as f64 / outcome.seconds, "rt/s");
    report(&format!("p99_{name}"), outcome.latency.quantile(0.99) as f64 / 1e3, "us");
    report(&format!("p50_{name}"), outcome.latency.quantile(0.50) as f64 / 1e3, "us");
    report(&format!("fib_{name}"), speed, "fib/s");
}

async fn mixed(params: &Params) {
    let quiet = clients(params).await;
    let free = alone(params).await;
    let (loud, shared) = beside(params).await;
    tell("alone", &quiet, free);
    tell("beside", &loud, shared);
    report("fib_loses", 100.0 - shared / free * 100.0, "%");
}
