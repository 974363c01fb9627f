// SPDX-License-Identifier: MIT
//! rayon beside the fork and join benchmarks, one source a workload.

mod arrays;
mod fork;
mod uts;

use std::hint::black_box;
use std::time::Instant;

pub fn timed<R>(work: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_secs_f64() * 1e3
}

pub fn option(name: &str, otherwise: u64) -> u64 {
    let args: Vec<String> = std::env::args().collect();
    args.windows(2)
        .find(|pair| pair[0].strip_prefix("--") == Some(name))
        .and_then(|pair| pair[1].parse().ok())
        .unwrap_or(otherwise)
}

fn main() {
    let workload: fn() -> bool = match std::env::args().nth(1).as_deref() {
        Some("fork") => fork::run,
        Some("fork_arrays") => arrays::run,
        Some("uts") => uts::run,
        _ => std::process::exit(77),
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(option("workers", 0) as usize)
        .stack_size(1 << 30)
        .build()
        .unwrap();
    println!("# rayon {}, {}", env!("PEER_RAYON_VERSION"), env!("PEER_RUSTC_VERSION"));
    if !pool.install(workload) {
        std::process::exit(1);
    }
}
