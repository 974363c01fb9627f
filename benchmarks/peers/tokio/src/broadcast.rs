/* SPDX-License-Identifier: MIT */
//! A broadcast to several receivers: many values at once, and one at a time that all acknowledge. And to a crowd that is there all
//! the while, of which the last one answers.

use crate::measure::{report, run_on_worker, time, Params};
use crate::tally::Tally;
use std::sync::Arc;
use tokio::sync::{broadcast, Semaphore};

const CAPACITY: usize = 1024;
const ASKED: u64 = 10; // times a step

pub fn round(params: &Params) {
    let rt = params.runtime();
    let receivers = params.get("receivers", 8);
    let values = params.get("values", 1_000);
    for (name, acknowledge) in [("broadcast", false), ("broadcast_each", true)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || send_all(receivers, values, acknowledge)).await });
        report(name, ns / (values * receivers) as f64, "ns");
    }
    for (name, receivers) in [("broadcast_10", 10), ("broadcast_100", 100), ("broadcast_1000", 1_000)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { ask_crowd(&p, receivers).await });
        report(name, ns / (ASKED * receivers) as f64, "ns");
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

async fn ask_crowd(params: &Params, receivers: u64) -> f64 {
    let (sender, _) = broadcast::channel(CAPACITY);
    let tally = Arc::new(Tally::default());
    for _ in 0..receivers {
        let mut receiver = sender.subscribe();
        let tally = tally.clone();
        tokio::spawn(async move {
            while receiver.recv().await.is_ok() {
                tally.answer();
            }
        });
    }
    time(params, || ask(sender.clone(), tally.clone(), receivers)).await
}

async fn ask(sender: broadcast::Sender<u64>, tally: Arc<Tally>, receivers: u64) {
    for i in 0..ASKED {
        tally.expect(receivers);
        sender.send(i).expect("send");
        tally.wait().await;
    }
}
