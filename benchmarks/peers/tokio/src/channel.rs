/* SPDX-License-Identifier: MIT */
//! One sender, one receiver, one bounded channel. There are no batches in this version of tokio: for that row the receiver
//! awaits one value and then takes what is there. One task that fills a channel and empties it; a channel that has one element.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::Arc;
use tokio::sync::{mpsc, Mutex};

const CAPACITY: usize = 4096;
const BATCH: usize = 256;
const FILL: u64 = 1_000;
const MADE: usize = 100;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let messages = params.get("messages", 100_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || pass(messages, 1)).await });
    report("channel", messages as f64 * 1e9 / ns, "elements/s");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || pass(messages, BATCH)).await });
    report("channel_batches", messages as f64 * 1e9 / ns, "elements/s");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move {
        let channel = Arc::new(Mutex::new(mpsc::channel(CAPACITY)));
        time(&p, || alone(channel.clone())).await
    });
    report("channel_alone", ns / FILL as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, make).await });
    report("channel_new", ns / MADE as f64, "ns");
}

async fn fill_and_empty(sender: &mpsc::Sender<u64>, receiver: &mut mpsc::Receiver<u64>, count: u64) {
    for i in 0..count {
        sender.send(i).await.expect("send");
    }
    let mut sum = 0;
    for _ in 0..count {
        sum += receiver.recv().await.expect("recv");
    }
    assert_eq!(sum, count * (count - 1) / 2);
}

async fn alone(channel: Arc<Mutex<(mpsc::Sender<u64>, mpsc::Receiver<u64>)>>) {
    let (sender, receiver) = &mut *channel.lock().await;
    fill_and_empty(sender, receiver, FILL).await;
}

async fn make() {
    for _ in 0..MADE {
        let (sender, mut receiver) = mpsc::channel(MADE);
        fill_and_empty(&sender, &mut receiver, 1).await;
    }
}

async fn pass(messages: u64, batch: usize) {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let other = tokio::spawn(async move {
        for i in 0..messages {
            sender.send(i).await.expect("send");
        }
    });
    let mut sum = 0u64;
    while let Some(value) = receiver.recv().await {
        sum += value;
        for _ in 1..batch {
            match receiver.try_recv() {
                Ok(value) => sum += value,
                Err(_) => break,
            }
        }
    }
    assert_eq!(sum, messages * (messages - 1) / 2);
    other.await.expect("task");
}
