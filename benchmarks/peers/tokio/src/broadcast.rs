/* SPDX-License-Identifier: MIT */
//! A broadcast to several receivers: many values at once, and one at a time that all acknowledge.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::Arc;
use tokio::sync::{broadcast, Semaphore};

const CAPACITY: usize = 1024;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let receivers = params.get("receivers", 8);
    let values = params.get("values", 1_000);
    for (name, acknowledge) in [("broadcast", false), ("broadcast_each", true)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || send_all(receivers, values, acknowledge)).await });
        report(name, ns / (values * receivers) as f64, "ns");
    }
}

async fn send_all(receivers: u64, values: u64, acknowledge: bool) {
    let (sender, _) = broadcast::channel(CAPACITY);
    let heard = Arc::new(Semaphore::new(0));
    let mut handles = Vec::with_capacity(receivers as usize);
    for _ in 0..receivers {
        let mut receiver = sender.subscribe();
        let heard = heard.clone();
        handles.push(tokio::spawn(async move {
            let mut sum = 0u64;
            for _ in 0..values {
                let value: u64 = receiver.recv().await.expect("recv");
                sum += value;
                if acknowledge {
                    heard.add_permits(1);
                }
            }
            assert_eq!(sum, values * (values - 1) / 2);
        }));
    }
    for i in 0..values {
        sender.send(i).expect("send");
        if acknowledge {
            heard.acquire_many(receivers as u32).await.expect("open").forget();
        }
    }
    for handle in handles {
        handle.await.expect("task");
    }
}
