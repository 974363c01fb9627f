/* SPDX-License-Identifier: MIT */
//! One sender, one receiver, one bounded channel. There are no batches in this version of tokio: for those rows the receiver
//! awaits one value and then takes what is there. One task that fills a channel and empties it; channels that are made, have one
//! element or none, and are dropped.

use crate::measure::{report, run_on_worker, time, Params};
use std::hint::black_box;
use std::sync::Arc;
use tokio::sync::{mpsc, Mutex};

const CAPACITY: usize = 4096;
const BATCH: usize = 256;
const FILL: u64 = 1_000;
const MADE: usize = 100;
const BURST: u64 = 5_000;
const AMPLE_ROOM: usize = 1_000_000;

#[derive(Clone, Copy)]
struct Medium(#[allow(dead_code)] [u64; 64]);

impl Default for Medium {
    fn default() -> Medium {
        Medium([0; 64])
    }
}

struct Large(#[allow(dead_code)] [Medium; 64]);

impl Default for Large {
    fn default() -> Large {
        Large([Medium::default(); 64])
    }
}

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
    for (name, batch) in [("channel_burst", 1), ("channel_burst_many", BATCH)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || burst(batch)).await });
        report(name, ns / BURST as f64, "ns");
    }
    for (name, batch) in [("unbounded_burst", 1), ("unbounded_burst_many", BATCH)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || unbounded_burst(batch)).await });
        report(name, ns / BURST as f64, "ns");
    }
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, make).await });
    report("channel_new", ns / MADE as f64, "ns");
    for (name, places) in [("channel_create_1", 1), ("channel_create_100", 100), ("channel_create_100k", 100_000)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || create(places)).await });
        report(name, ns / MADE as f64, "ns");
    }
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, send_one::<Medium>).await });
    report("channel_send_medium", ns / MADE as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, send_one::<Large>).await });
    report("channel_send_large", ns / MADE as f64, "ns");
}

async fn burst(batch: usize) {
    let (sender, receiver) = mpsc::channel(AMPLE_ROOM);
    for i in 0..BURST {
        sender.send(i).await.expect("send");
    }
    drop(sender);
    receive_all(receiver, BURST, batch).await;
}

async fn unbounded_burst(batch: usize) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for i in 0..BURST {
        sender.send(i).expect("send");
    }
    drop(sender);
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
    assert_eq!(sum, BURST * (BURST - 1) / 2);
}

async fn create(places: usize) {
    for _ in 0..MADE {
        black_box(&mpsc::channel::<Medium>(places));
    }
}

async fn send_one<T: Default>() {
    for _ in 0..MADE {
        let (sender, mut receiver) = mpsc::channel::<T>(1_000);
        assert!(sender.send(T::default()).await.is_ok());
        black_box(&receiver.recv().await.expect("recv"));
    }
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
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let other = tokio::spawn(async move {
        for i in 0..messages {
            sender.send(i).await.expect("send");
        }
    });
    receive_all(receiver, messages, batch).await;
    other.await.expect("task");
}

async fn receive_all(mut receiver: mpsc::Receiver<u64>, messages: u64, batch: usize) {
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
}
