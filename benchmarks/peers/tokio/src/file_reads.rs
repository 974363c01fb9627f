/* SPDX-License-Identifier: MIT */
//! Random reads of 4 KiB from a file that is in the page cache, by tokio::fs: a seek and a read. tokio::fs has no pread;
//! `cached-blocking` is one, by spawn_blocking.

use crate::measure::{report, run_on_worker, time, Params, SplitMix};
use std::io::{SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

const PAGE: usize = 4096;
const READS: u64 = 100;

pub fn round(params: &Params) {
    let pages = params.get("megabytes", 64) << 20 >> 12;
    let path = std::env::temp_dir().join(format!("tokio-file-reads-{}", std::process::id()));
    let mut file = std::fs::File::create(&path).expect("file");
    for _ in 0..pages {
        file.write_all(&[7; PAGE]).expect("write");
    }
    let rt = params.runtime();
    let p = params.clone();
    let opened = path.clone();
    let ns = run_on_worker(&rt, async move { by_fs(&p, &opened, pages).await });
    report("cached", ns / READS as f64, "ns");
    let p = params.clone();
    let opened = path.clone();
    let ns = run_on_worker(&rt, async move { by_blocking(&p, &opened, pages).await });
    report("cached-blocking", ns / READS as f64, "ns");
    std::fs::remove_file(&path).expect("remove");
}

async fn by_fs(params: &Params, path: &std::path::Path, pages: u64) -> f64 {
    let file = tokio::fs::File::open(path).await.expect("open");
    let shared = Arc::new(tokio::sync::Mutex::new((file, SplitMix(1), vec![0u8; PAGE])));
    time(params, || {
        let shared = shared.clone();
        async move {
            let mut guard = shared.lock().await;
            let (file, random, buffer) = &mut *guard;
            for _ in 0..READS {
                let at = random.next() % pages * PAGE as u64;
                file.seek(SeekFrom::Start(at)).await.expect("seek");
                file.read_exact(buffer).await.expect("read");
            }
        }
    })
    .await
}

async fn by_blocking(params: &Params, path: &std::path::Path, pages: u64) -> f64 {
    let file = Arc::new(std::fs::File::open(path).expect("open"));
    let random = Arc::new(std::sync::Mutex::new(SplitMix(1)));
    time(params, || {
        let (file, random) = (file.clone(), random.clone());
        async move {
            for _ in 0..READS {
                let at = random.lock().expect("lock").next() % pages * PAGE as u64;
                let file = file.clone();
                tokio::task::spawn_blocking(move || {
                    let mut buffer = [0u8; PAGE];
                    file.read_exact_at(&mut buffer, at).expect("read");
                })
                .await
                .expect("job");
            }
        }
    })
    .await
}
