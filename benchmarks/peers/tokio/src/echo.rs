/* SPDX-License-Identifier: MIT */
//! TCP echo: the server and its clients in one process, 64-byte messages, for a fixed time.

use crate::measure::{cpu_ns, raise_fd_limit, report, run_on_worker, Histogram, Params};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub fn round(params: &Params) {
    raise_fd_limit();
    let bytes = params.get("bytes", 64) as usize;
    let warmup = params.warmup();
    let length = Duration::from_millis(params.get("round-ms", 1_000));
    let counts = match params.get("clients", 0) {
        0 => vec![1, 100, 1_000],
        clients => vec![clients],
    };
    for clients in counts {
        let rt = params.runtime();
        let result = run_on_worker(&rt, measure(clients, bytes, Duration::ZERO, warmup, length));
        let trips = result.trips as f64;
        report(&format!("echo_{clients}"), trips / result.seconds, "rt/s");
        report(&format!("echo_{clients}_cpu"), result.cpu_ns as f64 / 1e3 / trips, "us");
        report(&format!("echo_{clients}_p50"), result.latency.quantile(0.50) as f64 / 1e3, "us");
        report(&format!("echo_{clients}_p99"), result.latency.quantile(0.99) as f64 / 1e3, "us");
    }
}

/// What a client shares with the task that measures.
struct Client {
    trips: AtomicU64,
    latency: Mutex<Histogram>, /* left here at the end */
}

struct Flags {
    measuring: AtomicBool,
    stop: AtomicBool,
}

pub struct Outcome {
    pub trips: u64,
    pub seconds: f64,
    pub cpu_ns: u64,
    pub latency: Histogram,
}

/// With a pause each client sends so often, and latency counts from when it is due.
pub async fn measure(clients: u64, bytes: usize, pause: Duration, warmup: Duration, length: Duration) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let server = tokio::spawn(serve(listener, bytes));
    let flags = Arc::new(Flags { measuring: AtomicBool::new(false), stop: AtomicBool::new(false) });
    let mut states = Vec::new();
    let mut handles = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..clients {
        streams.push(TcpStream::connect(address).await.expect("connect"));
    }
    for (i, stream) in streams.into_iter().enumerate() {
        // Those who pause take turns.
        let first = Instant::now() + pause * i as u32 / clients as u32;
        let state = Arc::new(Client { trips: AtomicU64::new(0), latency: Mutex::new(Histogram::new()) });
        handles.push(tokio::spawn(client(stream, bytes, first, pause, state.clone(), flags.clone())));
        states.push(state);
    }
    let total = |states: &[Arc<Client>]| states.iter().map(|s| s.trips.load(Relaxed)).sum::<u64>();

    tokio::time::sleep(warmup).await;
    flags.measuring.store(true, Relaxed);
    let (trips, cpu, start) = (total(&states), cpu_ns(), Instant::now());
    tokio::time::sleep(length).await;
    let mut outcome = Outcome {
        trips: total(&states) - trips,
        seconds: start.elapsed().as_secs_f64(),
        cpu_ns: cpu_ns() - cpu,
        latency: Histogram::new(),
    };
    flags.stop.store(true, Relaxed);
    for handle in handles {
        handle.await.expect("client");
    }
    server.abort();
    for state in states {
        outcome.latency.merge(&state.latency.lock().unwrap());
    }
    outcome
}

async fn serve(listener: TcpListener, bytes: usize) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        tokio::spawn(async move {
            let mut buffer = vec![0; bytes];
            loop {
                match stream.read(&mut buffer).await.expect("read") {
                    0 => return,
                    n => stream.write_all(&buffer[..n]).await.expect("write"),
                }
            }
        });
    }
}

async fn client(
    mut stream: TcpStream,
    bytes: usize,
    first: Instant,
    pause: Duration,
    state: Arc<Client>,
    flags: Arc<Flags>,
) {
    stream.set_nodelay(true).expect("nodelay");
    let message = vec![0x5a; bytes];
    let mut answer = vec![0; bytes];
    let mut latency = Histogram::new();
    let mut measuring = false;
    let mut before = first;
    while !flags.stop.load(Relaxed) {
        if !pause.is_zero() {
            before += pause;
            tokio::time::sleep_until(before.into()).await;
        }
        stream.write_all(&message).await.expect("write");
        stream.read_exact(&mut answer).await.expect("read");
        let now = Instant::now();
        latency.add((now - before).as_nanos() as u64);
        if pause.is_zero() || now > before + pause {
            before = now;
        }
        if !measuring && flags.measuring.load(Relaxed) {
            measuring = true;
            latency.clear();
        }
        state.trips.store(state.trips.load(Relaxed) + 1, Relaxed);
    }
    *state.latency.lock().unwrap() = latency;
}
