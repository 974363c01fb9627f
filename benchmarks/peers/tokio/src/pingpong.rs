/* SPDX-License-Identifier: MIT */
//! A round trip between two tasks over two channels of one element.

use crate::measure::{report, run_on_worker, time, Params};
use tokio::sync::mpsc;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let trips = params.get("trips", 1_000);
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || ping_pong(trips)).await });
    report("pingpong", ns / trips as f64, "ns");
}

async fn ping_pong(trips: u64) {
    let (ping, mut pings) = mpsc::channel(1);
    let (pong, mut pongs) = mpsc::channel(1);
    let other = tokio::spawn(async move {
        while let Some(value) = pings.recv().await {
            let value: u64 = value;
            pong.send(value + 1).await.expect("pong");
        }
    });
    for i in 0..trips {
        ping.send(i).await.expect("ping");
        assert_eq!(pongs.recv().await, Some(i + 1));
    }
    drop(ping);
    other.await.expect("task");
}
