/* SPDX-License-Identifier: MIT */
//! What every workload uses: parameters, a runtime, the timed loop, CPU and memory, a histogram of latencies. The
//! same steps as in ../../../harness.c, so that the contenders are measured alike.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// The parameters of a round, by name.
#[derive(Clone)]
pub struct Params(HashMap<String, u64>);

impl Params {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Params, String> {
        let mut values = HashMap::new();
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").ok_or(format!("{arg}: not an option"))?;
            if name == "round" {
                continue;
            }
            let text = args.next().ok_or(format!("{arg}: needs a value"))?;
            let value = text.parse().map_err(|_| format!("{arg} {text}: not a number"))?;
            values.insert(name.to_string(), value);
        }
        Ok(Params(values))
    }

    pub fn get(&self, name: &str, default: u64) -> u64 {
        *self.0.get(name).unwrap_or(&default)
    }

    pub fn warmup(&self) -> Duration {
        Duration::from_millis(self.get("warmup-ms", 200))
    }

    pub fn length(&self) -> Duration {
        Duration::from_millis(self.get("round-ms", 500))
    }

    pub fn runtime(&self) -> Runtime {
        match self.get("workers", 2) as usize {
            0 => Builder::new_current_thread().enable_all().build().expect("runtime"),
            workers => Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("runtime"),
        }
    }
}

pub fn report(name: &str, value: f64, unit: &str) {
    println!("{name} {value} {unit}");
}

/// Calls `step` through the warm-up and then through the round; nanoseconds per step of the latter.
pub async fn time<F, Fut>(params: &Params, mut step: F) -> f64
where
    F: FnMut() -> Fut,
    Fut: Future<Output = ()>,
{
    repeat(params.warmup(), &mut step).await;
    repeat(params.length(), &mut step).await
}

async fn repeat<F, Fut>(length: Duration, step: &mut F) -> f64
where
    F: FnMut() -> Fut,
    Fut: Future<Output = ()>,
{
    let start = Instant::now();
    let mut steps = 0u64;
    loop {
        step().await;
        steps += 1;
        let elapsed = start.elapsed();
        if elapsed >= length {
            return elapsed.as_nanos() as f64 / steps as f64;
        }
    }
}

/// The same of a function that is called outside of the runtime.
pub fn time_outside(params: &Params, mut step: impl FnMut()) -> f64 {
    let mut ns = 0.0;
    for length in [params.warmup(), params.length()] {
        let start = Instant::now();
        let mut steps = 0u64;
        while steps == 0 || start.elapsed() < length {
            step();
            steps += 1;
        }
        ns = start.elapsed().as_nanos() as f64 / steps as f64;
    }
    ns
}

/// Runs `future` as a task, so that it starts on a worker as rota's main fiber does, and waits for it.
pub fn run_on_worker<T: Send + 'static>(rt: &Runtime, future: impl Future<Output = T> + Send + 'static) -> T {
    rt.block_on(async move { tokio::spawn(future).await.expect("task") })
}

/// User and system time of the process so far, in nanoseconds.
pub fn cpu_ns() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            panic!("getrusage: {}", std::io::Error::last_os_error());
        }
        usage.assume_init()
    };
    let ns = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1_000;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// Resident memory of the process now, in bytes.
pub fn rss_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = statm.split(' ').nth(1).expect("statm").parse().expect("statm");
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64
}

/// Allows as many descriptors as the hard limit does, and says how many.
pub fn raise_fd_limit() -> u64 {
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            panic!("getrlimit: {}", std::io::Error::last_os_error());
        }
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
            panic!("setrlimit: {}", std::io::Error::last_os_error());
        }
        limit.rlim_cur
    }
}

const SUB_BITS: u32 = 4;
const SUB: u64 = 1 << SUB_BITS;
const BUCKETS: usize = ((64 - SUB_BITS as usize) + 1) << SUB_BITS;

/// Counts of nanoseconds in buckets that are at most 1/16 wide.
pub struct Histogram {
    counts: Vec<u32>,
}

impl Histogram {
    pub fn new() -> Histogram {
        Histogram { counts: vec![0; BUCKETS] }
    }

    pub fn add(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
    }

    pub fn merge(&mut self, other: &Histogram) {
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
    }

    pub fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// The upper edge, in nanoseconds, of the bucket where `share` (0 to 1) of all values are reached.
    pub fn quantile(&self, share: f64) -> u64 {
        let total: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let rank = (share * total as f64).ceil() as u64;
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank && seen > 0 {
                return upper_edge(index as u64);
            }
        }
        0
    }
}

fn bucket(ns: u64) -> usize {
    if ns < SUB {
        return ns as usize;
    }
    let shift = 63 - ns.leading_zeros() - SUB_BITS;
    ((u64::from(shift + 1) << SUB_BITS) + ((ns >> shift) - SUB)) as usize
}

fn upper_edge(index: u64) -> u64 {
    if index < SUB {
        return index;
    }
    let shift = (index >> SUB_BITS) - 1;
    ((SUB + (index & (SUB - 1)) + 1) << shift) - 1
}

/// A small generator of even numbers, the harness's own, so that both sides draw the same deadlines.
pub struct SplitMix(pub u64);

impl SplitMix {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
