/* SPDX-License-Identifier: MIT */
//! Several producers, one consumer, one channel, with more and less room and unbounded. There is no recv_many in this version of
//! tokio: for those rows the consumer awaits one value and then takes what is there.

use crate::measure::{report, run_on_worker, time, Params};
use tokio::sync::mpsc;

const BATCH: usize = 256;
const LITTLE_ROOM: usize = 100;
const AMPLE_ROOM: usize = 1_000_000;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let producers = params.get("producers", 4);
    let messages = params.get("messages", 10_000);
    let capacity = params.get("capacity", 1_024) as usize;
    for (name, capacity, batch) in [
        ("mpsc", capacity, 1),
        ("mpsc_recv_many", capacity, BATCH),
        ("mpsc_roomy", AMPLE_ROOM, 1),
        ("mpsc_full", LITTLE_ROOM, 1),
        ("mpsc_full_recv_many", LITTLE_ROOM, BATCH),
    ] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || produce(producers, messages, capacity, batch)).await });
        report(name, ns / (producers * messages) as f64, "ns");
    }
    for (name, batch) in [("mpsc_unbounded", 1), ("mpsc_unbounded_many", BATCH)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || produce_unbounded(producers, messages, batch)).await });
        report(name, ns / (producers * messages) as f64, "ns");
    }
}

async fn produce(producers: u64, messages: u64, capacity: usize, batch: usize) {
    let (sender, mut receiver) = mpsc::channel(capacity);
    for _ in 0..producers {
        let sender = sender.clone();
        tokio::spawn(async move {
            for i in 0..messages {
                sender.send(i).await.expect("send");
            }
        });
    }
    drop(sender);
    let mut sum = 0;
    while let Some(value) = receiver.recv().await {
        sum += value;
        for _ in 1..batch {
            match receiver.try_recv() {
                Ok(value) => sum += value,
                Err(_) => break,
            }
        }
    }
    assert_eq!(sum, producers * (messages * (messages - 1) / 2));
}

async fn produce_unbounded(producers: u64, messages: u64, batch: usize) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for _ in 0..producers {
        let sender = sender.clone();
        tokio::spawn(async move {
            for i in 0..messages {
                sender.send(i).expect("send");
            }
        });
    }
    drop(sender);
    let mut sum = 0;
    while let Some(value) = receiver.recv().await {
        sum += value;
        for _ in 1..batch {
            match receiver.try_recv() {
                Ok(value) => sum += value,
                Err(_) => break,
            }
        }
    }
    assert_eq!(sum, producers * (messages * (messages - 1) / 2));
}
