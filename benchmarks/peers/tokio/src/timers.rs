/* SPDX-License-Identifier: MIT */
//! Timers: started and cancelled at once; and many that come due, with their lateness.

use crate::measure::{cpu_ns, report, run_on_worker, time, Histogram, Params, SplitMix};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

const BATCH: u64 = 1_000;
const FAR: Duration = Duration::from_secs(3_600);

pub fn round(params: &Params) {
    let rt = params.runtime();
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, start_cancel).await });
    report("timer_start_cancel", ns / BATCH as f64, "ns");

    let p = params.clone();
    let (cpu, latency) = run_on_worker(&rt, async move { come_due(&p).await });
    report("timer_cpu", cpu, "us");
    report("timer_late_p50", latency.quantile(0.50) as f64 / 1e3, "us");
    report("timer_late_p99", latency.quantile(0.99) as f64 / 1e3, "us");
}

async fn start_cancel() {
    for _ in 0..BATCH {
        let sleep = tokio::time::sleep(FAR);
        tokio::pin!(sleep);
        PollOnce(sleep).await;
    }
}

/// Starts a timer, which its drop then cancels.
struct PollOnce<'a>(Pin<&'a mut tokio::time::Sleep>);

impl Future for PollOnce<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(self.0.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    }
}

/// Tasks that sleep until deadlines spread evenly over an interval that begins when all have been spawned.
async fn come_due(params: &Params) -> (f64, Histogram) {
    let timers = params.get("timers", 1_000_000);
    let lead = Duration::from_millis(params.get("lead-ms", 5_000));
    let spread_ns = params.get("spread-ms", 1_000) * 1_000_000;
    let late: Arc<Vec<AtomicU32>> = Arc::new((0..timers).map(|_| AtomicU32::new(0)).collect());
    let mut random = SplitMix(1);
    let cpu = cpu_ns();
    let start = Instant::now() + lead;
    let mut handles = Vec::with_capacity(timers as usize);
    for i in 0..timers as usize {
        let late = late.clone();
        let deadline = start + Duration::from_nanos(random.next() % spread_ns);
        handles.push(tokio::spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            let ns = (Instant::now() - deadline).as_nanos();
            late[i].store(ns.min(u32::MAX.into()) as u32, Relaxed);
        }));
    }
    if Instant::now() > start {
        println!("# not all timers were started in time: raise --lead-ms");
    }
    for handle in handles {
        handle.await.expect("task");
    }
    let cpu = (cpu_ns() - cpu) as f64 / 1e3 / timers as f64;
    let mut latency = Histogram::new();
    for ns in late.iter() {
        latency.add(ns.load(Relaxed).into());
    }
    (cpu, latency)
}
