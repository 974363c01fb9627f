/* SPDX-License-Identifier: MIT */
//! A value handed over once: a task is spawned that sends it, the spawner waits for it.

use crate::measure::{report, run_on_worker, time, Params};
use tokio::sync::oneshot;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let values = params.get("values", 1_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || hand_over(values)).await });
    report("oneshot", ns / values as f64, "ns");
}

async fn hand_over(values: u64) {
    for i in 0..values {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move { sender.send(i).expect("send") });
        assert_eq!(receiver.await, Ok(i));
    }
}
