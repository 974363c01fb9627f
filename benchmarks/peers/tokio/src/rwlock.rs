/* SPDX-License-Identifier: MIT */
//! A lock for readers and writers: read by one task, by many, and by many of whom some write. Read once by each of a few tasks
//! or futures, at a time when nobody writes, and behind a writer.

use crate::measure::{report, run_on_worker, time, Params};
use std::sync::Arc;
use tokio::sync::RwLock;

const WRITE_EVERY: u64 = 16;
const READERS: usize = 6;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let tasks = params.get("tasks", 64);
    let turns = params.get("turns", 1_000);
    let lock = Arc::new(RwLock::new(0u64));
    let (p, l) = (params.clone(), lock.clone());
    let ns = run_on_worker(&rt, async move { time(&p, || turns_of(l.clone(), turns, false)).await });
    report("rwlock_read", ns / turns as f64, "ns");
    for (name, write) in [("rwlock_read_shared", false), ("rwlock_mixed", true)] {
        let (p, l) = (params.clone(), lock.clone());
        let ns = run_on_worker(&rt, async move { time(&p, || crowd(l.clone(), tasks, turns, write)).await });
        report(name, ns / (tasks * turns) as f64, "ns");
    }
    for (name, behind) in [("rwlock_spawned", false), ("rwlock_spawned_wait", true)] {
        let (p, l) = (params.clone(), lock.clone());
        let ns = run_on_worker(&rt, async move { time(&p, || spawn_readers(l.clone(), behind)).await });
        report(name, ns / READERS as f64, "ns");
    }
    let (p, l) = (params.clone(), lock.clone());
    let ns = run_on_worker(&rt, async move { time(&p, || join_readers(l.clone())).await });
    report("rwlock_joined", ns / READERS as f64, "ns");
    let p = params.clone();
    let ns = run_on_worker(&rt, async move { time(&p, || join_readers_behind(lock.clone())).await });
    report("rwlock_joined_wait", ns / READERS as f64, "ns");
}

async fn turns_of(lock: Arc<RwLock<u64>>, turns: u64, write: bool) {
    let mut sum = 0u64;
    for i in 0..turns {
        if write && i % WRITE_EVERY == 0 {
            *lock.write().await += 1;
        } else {
            sum = sum.wrapping_add(*lock.read().await);
        }
    }
    std::hint::black_box(sum);
}

async fn crowd(lock: Arc<RwLock<u64>>, tasks: u64, turns: u64, write: bool) {
    let mut handles = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        handles.push(tokio::spawn(turns_of(lock.clone(), turns, write)));
    }
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn read_once(lock: Arc<RwLock<u64>>) {
    std::hint::black_box(*lock.read().await);
}

async fn spawn_readers(lock: Arc<RwLock<u64>>, behind: bool) {
    let writer = if behind { Some(lock.write().await) } else { None };
    let handles: [_; READERS] = std::array::from_fn(|_| tokio::spawn(read_once(lock.clone())));
    drop(writer);
    for handle in handles {
        handle.await.expect("task");
    }
}

async fn join_readers(lock: Arc<RwLock<u64>>) {
    tokio::join!(
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
    );
}

async fn join_readers_behind(lock: Arc<RwLock<u64>>) {
    let writer = lock.write().await;
    tokio::join!(
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
        read_once(lock.clone()),
        async { drop(writer) },
    );
}
