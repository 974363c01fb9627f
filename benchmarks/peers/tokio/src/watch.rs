/* SPDX-License-Identifier: MIT */
//! A watched value: read, and changed for several receivers that all acknowledge. And for a crowd that is there all the while, of
//! which the last one answers.

use crate::measure::{report, run_on_worker, time, Params};
use crate::tally::Tally;
use std::sync::Arc;
use tokio::sync::{watch, Semaphore};

const ASKED: u64 = 10; // times a step

pub fn round(params: &Params) {
    let rt = params.runtime();
    let receivers = params.get("receivers", 8);
    let values = params.get("values", 1_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move {
        let (_sender, receiver) = watch::channel(0u64);
        time(&p, || read_all(receiver.clone(), values)).await
    });
    report("watch_get", ns / values as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || change(receivers, values)).await });
    report("watch_changed", ns / (values * receivers) as f64, "ns");
    for (name, receivers) in [("watch_10", 10), ("watch_100", 100), ("watch_1000", 1_000)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { ask_crowd(&p, receivers).await });
        report(name, ns / (ASKED * receivers) as f64, "ns");
    }
}

async fn read_all(receiver: watch::Receiver<u64>, values: u64) {
    let mut sum = 0u64;
    for _ in 0..values {
        sum = sum.wrapping_add(*receiver.borrow());
    }
    std::hint::black_box(sum);
}

async fn change(receivers: u64, values: u64) {
    let (sender, first) = watch::channel(u64::MAX);
    let seen = Arc::new(Semaphore::new(0));
    let mut handles = Vec::with_capacity(receivers as usize);
    for _ in 0..receivers {
        let mut receiver = first.clone();
        let seen = seen.clone();
        handles.push(tokio::spawn(async move {
            for i in 0..values {
                receiver.changed().await.expect("open");
                assert_eq!(*receiver.borrow(), i);
                seen.add_permits(1);
            }
        }));
    }
    for i in 0..values {
        sender.send(i).expect("send");
        seen.acquire_many(receivers as u32).await.expect("open").forget();
    }
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn ask_crowd(params: &Params, receivers: u64) -> f64 {
    let (sender, first) = watch::channel(0u64);
    let sender = Arc::new(sender);
    let tally = Arc::new(Tally::default());
    for _ in 0..receivers {
        let mut receiver = first.clone();
        let tally = tally.clone();
        tokio::spawn(async move {
            while receiver.changed().await.is_ok() {
                std::hint::black_box(*receiver.borrow());
                tally.answer();
            }
        });
    }
    time(params, || ask(sender.clone(), tally.clone(), receivers)).await
}

async fn ask(sender: Arc<watch::Sender<u64>>, tally: Arc<Tally>, receivers: u64) {
    for i in 0..ASKED {
        tally.expect(receivers);
        sender.send(i).expect("send");
        tally.wait().await;
    }
}
