/* SPDX-License-Identifier: MIT */
//! A value handed over once: a task is spawned that sends it, the spawner waits for it. And tokio's own ping_pong
//! and request_reply.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

pub fn round(params: &Params) {
    let rt = params.runtime();
    let values = params.get("values", 1_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || hand_over(values)).await });
    report("oneshot", ns / values as f64, "ns");
    let pairs = params.get("pairs", 1_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || ping_pong(pairs)).await });
    report("ping_pong", ns / pairs as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move {
        let desk = open_desk();
        time(&p, || request(desk.clone(), values)).await
    });
    report("request_reply", ns / values as f64, "ns");
}

/// tokio/benches/sync_mpsc_oneshot.rs: the task that answers.
fn open_desk() -> mpsc::Sender<oneshot::Sender<()>> {
    let (desk, mut requests) = mpsc::channel::<oneshot::Sender<()>>(10);
    tokio::spawn(async move {
        while let Some(reply) = requests.recv().await {
            reply.send(()).expect("reply");
        }
    });
    desk
}

async fn request(desk: mpsc::Sender<oneshot::Sender<()>>, values: u64) {
    for _ in 0..values {
        let (reply, replied) = oneshot::channel();
        desk.send(reply).await.expect("request");
        replied.await.expect("reply");
    }
}

/// tokio/benches/rt_multi_threaded.rs, ping_pong.
async fn ping_pong(pairs: u64) {
    let (done, all_done) = oneshot::channel();
    let left = Arc::new((AtomicU64::new(pairs), std::sync::Mutex::new(Some(done))));
    tokio::spawn(async move {
        for _ in 0..pairs {
            let left = left.clone();
            tokio::spawn(async move {
                let (ping, pinged) = oneshot::channel();
                let (pong, ponged) = oneshot::channel();
                tokio::spawn(async move {
                    pinged.await.expect("ping");
                    pong.send(()).expect("pong");
                });
                ping.send(()).expect("ping");
                ponged.await.expect("pong");
                if left.0.fetch_sub(1, Relaxed) == 1 {
                    left.1.lock().expect("lock").take().expect("once").send(()).expect("done");
                }
            });
        }
    });
    all_done.await.expect("pairs");
}

async fn hand_over(values: u64) {
    for i in 0..values {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move { sender.send(i).expect("send") });
        assert_eq!(receiver.await, Ok(i));
    }
}
