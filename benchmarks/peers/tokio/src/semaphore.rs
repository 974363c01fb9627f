/* SPDX-License-Identifier: MIT */
//! A semaphore: by one task, by as many as there are permits, and by many that want more than there are. Once by each of a few
//! tasks or futures, from more permits and from less.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::Arc;
use tokio::sync::Semaphore;

const PERMITS: usize = 5;
const PLENTY: usize = 10;
const TAKERS: usize = 6;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 64);
    let turns = params.get("turns", 1_000);
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let (p, s) = (params.clone(), semaphore.clone());
    let ns = run_on_worker(&rt, async move { time(&p, || take_turns(s.clone(), turns)).await });
    report("semaphore_uncontended", ns / turns as f64, "ns");
    let (p, s) = (params.clone(), semaphore.clone());
    let ns = run_on_worker(&rt, async move { time(&p, || share(s.clone(), turns)).await });
    report("semaphore_shared", ns / (PERMITS as u64 * turns) as f64, "ns");
    let (p, s) = (params.clone(), semaphore.clone());
    let ns = run_on_worker(&rt, async move { time(&p, || contend(s.clone(), tasks, turns)).await });
    report("semaphore_contended", ns / (tasks * turns) as f64, "ns");
    let plenty = Arc::new(Semaphore::new(PLENTY));
    for (name, s) in [("semaphore_spawned", plenty.clone()), ("semaphore_spawned_5", semaphore.clone())] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || spawn_takers(s.clone())).await });
        report(name, ns / TAKERS as f64, "ns");
    }
    for (name, s) in [("semaphore_joined", plenty), ("semaphore_joined_5", semaphore)] {
        let p = params.clone();
        let ns = run_on_worker(&rt, async move { time(&p, || join_takers(s.clone())).await });
        report(name, ns / TAKERS as f64, "ns");
    }
}

async fn take_turns(semaphore: Arc<Semaphore>, turns: u64) {
    for _ in 0..turns {
        drop(semaphore.acquire().await.expect("open"));
    }
}

async fn share(semaphore: Arc<Semaphore>, turns: u64) {
    let handles: Vec<_> = (0..PERMITS).map(|_| tokio::spawn(take_turns(semaphore.clone(), turns))).collect();
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn contend(semaphore: Arc<Semaphore>, tasks: u64, turns: u64) {
    let mut handles = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let semaphore = semaphore.clone();
        handles.push(tokio::spawn(async move {
            for _ in 0..turns {
                let permit = semaphore.acquire().await.expect("open");
                tokio::task::yield_now().await;
                drop(permit);
            }
        }));
    }
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn spawn_takers(semaphore: Arc<Semaphore>) {
    let handles: [_; TAKERS] = std::array::from_fn(|_| tokio::spawn(take_turns(semaphore.clone(), 1)));
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn join_takers(semaphore: Arc<Semaphore>) {
    tokio::join!(
        take_turns(semaphore.clone(), 1),
        take_turns(semaphore.clone(), 1),
        take_turns(semaphore.clone(), 1),
        take_turns(semaphore.clone(), 1),
        take_turns(semaphore.clone(), 1),
        take_turns(semaphore.clone(), 1),
    );
}
