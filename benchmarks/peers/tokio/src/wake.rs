/* SPDX-License-Identifier: MIT */
//! From waking a task until it runs: woken by a plain thread, and by a task; on an idle machine, and beside tasks that compute.

use crate::measure::{report, Histogram, Params, SplitMix};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const PAUSE_MIN_NS: u64 = 50_000;
const PAUSE_SPREAD_NS: u64 = 100_000;
const STEP: Duration = Duration::from_micros(50);

struct Bed {
    origin: Instant,
    bell: Notify,
    woken: AtomicU64,
    ran: AtomicU64,
    stop: AtomicBool,
    measuring: AtomicBool,
    latency: Mutex<Histogram>,
}

impl Bed {
    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// Unless the sleeper has not run since the last time.
    fn wake(&self, wakes: &mut u64, measuring: bool) {
        if self.ran.load(Acquire) < *wakes {
            return;
        }
        self.measuring.store(measuring, Relaxed);
        *wakes += 1;
        self.woken.store(self.now(), Relaxed);
        self.bell.notify_one();
    }
}

fn pause(random: &mut SplitMix) -> Duration {
    Duration::from_nanos(PAUSE_MIN_NS + random.next() % PAUSE_SPREAD_NS)
}

async fn sleeper(bed: Arc<Bed>) {
    loop {
        bed.bell.notified().await;
        let now = bed.now();
        if bed.stop.load(Acquire) {
            return;
        }
        if bed.measuring.load(Relaxed) {
            bed.latency.lock().unwrap().add(now - bed.woken.load(Relaxed));
        }
        bed.ran.fetch_add(1, Release);
    }
}

async fn hog(bed: Arc<Bed>) {
    while !bed.stop.load(Relaxed) {
        let start = Instant::now();
        while start.elapsed() < STEP {}
        tokio::task::yield_now().await;
    }
}

fn measure(params: &Params, by_task: bool, busy: bool) {
    let rt = params.runtime();
    let bed = Arc::new(Bed {
        origin: Instant::now(),
        bell: Notify::new(),
        woken: AtomicU64::new(0),
        ran: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        measuring: AtomicBool::new(false),
        latency: Mutex::new(Histogram::new()),
    });
    let sleeping = rt.spawn(sleeper(bed.clone()));
    let hogs: Vec<_> = (0..if busy { params.get("workers", 2) } else { 0 }).map(|_| rt.spawn(hog(bed.clone()))).collect();
    let warm = Instant::now() + params.warmup();
    let end = warm + params.length();
    let (mut wakes, mut random) = (0, SplitMix(1));
    if by_task {
        let waker = bed.clone();
        let task = rt.spawn(async move {
            while Instant::now() < end {
                tokio::time::sleep(pause(&mut random)).await;
                waker.wake(&mut wakes, Instant::now() >= warm);
            }
        });
        rt.block_on(task).expect("waker");
    } else {
        while Instant::now() < end {
            std::thread::sleep(pause(&mut random));
            bed.wake(&mut wakes, Instant::now() >= warm);
        }
    }
    bed.stop.store(true, Release);
    bed.bell.notify_one();
    rt.block_on(sleeping).expect("sleeper");
    for hog in hogs {
        rt.block_on(hog).expect("hog");
    }
    let name = format!("wake_{}_{}", if by_task { "task" } else { "thread" }, if busy { "busy" } else { "idle" });
    let latency = bed.latency.lock().unwrap();
    report(&format!("{name}_p50"), latency.quantile(0.50) as f64 / 1e3, "us");
    report(&format!("{name}_p99"), latency.quantile(0.99) as f64 / 1e3, "us");
}

pub fn round(params: &Params) {
    for (by_task, busy) in [(false, false), (true, false), (false, true), (true, true)] {
        measure(params, by_task, busy);
    }
}
