/* SPDX-License-Identifier: MIT */
//! One sender, one receiver, one bounded channel. There are no batches in this version of tokio: that row is the
//! other one again.

use crate::measure::{report, run_on_worker, time, Params};
use tokio::sync::mpsc;

const CAPACITY: usize = 4096;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let messages = params.get("messages", 100_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || pass(messages)).await });
    report("channel", messages as f64 * 1e9 / ns, "elements/s");
    report("channel_batches", messages as f64 * 1e9 / ns, "elements/s");
}

async fn pass(messages: u64) {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let other = tokio::spawn(async move {
        for i in 0..messages {
            sender.send(i).await.expect("send");
        }
    });
    let mut sum = 0u64;
    while let Some(value) = receiver.recv().await {
        sum += value;
    }
    assert_eq!(sum, messages * (messages - 1) / 2);
    other.await.expect("task");
}
