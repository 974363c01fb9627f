/* SPDX-License-Identifier: MIT */
//! A ticker of 1 kHz, and echo, beside tasks that compute in steps and yield after each.

use crate::echo;
use crate::measure::{report, run_on_worker, Histogram, Params};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PIECE: u64 = 1000;

fn work(pieces: u64) {
    let (mut state, mut sum) = (pieces, 0u64);
    for _ in 0..pieces * PIECE {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        sum ^= z ^ (z >> 31);
    }
    std::hint::black_box(sum);
}

/// Pieces of work in a millisecond of a CPU that does nothing else: the best of some tries.
fn pieces_per_ms() -> u64 {
    let pieces = 200;
    let best = (0..30)
        .map(|_| {
            let start = Instant::now();
            work(pieces);
            start.elapsed()
        })
        .min()
        .unwrap();
    1_000_000 * pieces / best.as_nanos() as u64
}

struct Den {
    stop: AtomicBool,
    steps: AtomicU64,
}

fn let_loose(hogs: u64, pieces: u64) -> (Arc<Den>, Vec<tokio::task::JoinHandle<()>>) {
    let den = Arc::new(Den { stop: AtomicBool::new(false), steps: AtomicU64::new(0) });
    let handles = (0..hogs)
        .map(|_| {
            let den = den.clone();
            tokio::spawn(async move {
                while !den.stop.load(Relaxed) {
                    work(pieces);
                    den.steps.fetch_add(1, Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    (den, handles)
}

async fn catch_all(den: &Den, handles: Vec<tokio::task::JoinHandle<()>>) {
    den.stop.store(true, Relaxed);
    for handle in handles {
        handle.await.expect("hog");
    }
}

async fn ticker(hogs: u64, pieces: u64, ticks: u64, warmup: Duration) {
    let (den, handles) = let_loose(hogs, pieces);
    let mut lateness = Histogram::new();
    let period = Duration::from_millis(1);
    tokio::time::sleep(warmup).await;
    let mut due = Instant::now();
    for _ in 0..ticks {
        due += period;
        tokio::time::sleep_until(due.into()).await;
        let late = Instant::now().saturating_duration_since(due);
        lateness.add(late.as_nanos() as u64);
        due += period * (late.as_nanos() / period.as_nanos()) as u32; /* what was missed is left out */
    }
    catch_all(&den, handles).await;
    report(&format!("ticker_{hogs}_p50"), lateness.quantile(0.50) as f64 / 1e3, "us");
    report(&format!("ticker_{hogs}_p99"), lateness.quantile(0.99) as f64 / 1e3, "us");
}

async fn beside_echo(hogs: u64, pieces: u64, clients: u64, warmup: Duration, length: Duration) {
    let start = Instant::now();
    let (den, handles) = let_loose(hogs, pieces);
    let outcome = echo::measure(clients, 64, Duration::ZERO, warmup, length).await;
    catch_all(&den, handles).await;
    report("echo", outcome.trips as f64 / outcome.seconds, "rt/s");
    report("echo_p50", outcome.latency.quantile(0.50) as f64 / 1e3, "us");
    report("echo_p99", outcome.latency.quantile(0.99) as f64 / 1e3, "us");
    report("echo_steps", den.steps.load(Relaxed) as f64 / start.elapsed().as_secs_f64(), "steps/s");
}

pub fn round(params: &Params) {
    let per_ms = pieces_per_ms();
    let most = params.get("hogs", 2);
    let warmup = params.warmup();
    for hogs in 0..=most {
        let pieces = per_ms * params.get("ticker-step-ms", 100);
        run_on_worker(&params.runtime(), ticker(hogs, pieces, params.get("ticks", 3000), warmup));
    }
    let pieces = per_ms * params.get("echo-step-ms", 7);
    let length = Duration::from_millis(params.get("round-ms", 2_000));
    let clients = params.get("clients", 50);
    if clients > 0 {
        run_on_worker(&params.runtime(), beside_echo(most, pieces, clients, warmup, length));
    }
}
