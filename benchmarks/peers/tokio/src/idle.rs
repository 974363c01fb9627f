/* SPDX-License-Identifier: MIT */
//! A runtime with a task that waits for a connection which never comes, and nothing to do.

use crate::measure::{cpu_ns, report, rss_bytes, Params};
use std::time::Duration;

pub fn round(params: &Params) {
    let rt = params.runtime();
    let seconds = params.get("seconds", 10);
    rt.spawn(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let connection = listener.accept().await;
        panic!("unexpected connection: {connection:?}");
    });
    std::thread::sleep(Duration::from_millis(params.get("settle-ms", 500)));
    let (switches, cpu) = (voluntary_switches(), cpu_ns());
    std::thread::sleep(Duration::from_secs(seconds));
    report("switches", (voluntary_switches() - switches) as f64, "count");
    report("cpu", (cpu_ns() - cpu) as f64 / 1e3, "us");
    report("rss", rss_bytes() as f64 / 1024.0, "KiB");
}

/// Times that the threads of the process, save this one, went to sleep.
fn voluntary_switches() -> u64 {
    let own = unsafe { libc::syscall(libc::SYS_gettid) }.to_string();
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc/self/task").expect("task") {
        let entry = entry.expect("task");
        if entry.file_name().to_string_lossy() == own {
            continue;
        }
        let status = std::fs::read_to_string(entry.path().join("status")).expect("status");
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).expect("status");
        sum += line.rsplit('\t').next().expect("status").parse::<u64>().expect("status");
    }
    sum
}
