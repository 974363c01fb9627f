/* SPDX-License-Identifier: MIT */
//! The benchmarks' workloads on tokio: `tokio-peer WORKLOAD [--NAME VALUE]...` runs one round and prints lines of
//! `name value unit`. The parameters are those that the harness passes to every contender; a workload takes the
//! ones that it knows. Exit code 77: no such workload here.

mod blocking;
mod broadcast;
mod channel;
mod echo;
mod echo_server;
mod file_reads;
mod hogs;
mod idle;
mod measure;
mod memory;
mod mixed;
mod mpsc;
mod mutex;
mod notify;
mod oneshot;
mod pingpong;
mod rwlock;
mod semaphore;
mod sleepers;
mod spawn;
mod spawn_remote;
mod tally;
mod timeouts;
mod timers;
mod wake;
mod watch;
mod yields;

use measure::Params;

const EXIT_USAGE: i32 = 2;
const EXIT_SKIPPED: i32 = 77;

fn main() {
    let mut args = std::env::args().skip(1);
    let workload = match args.next() {
        Some(workload) => workload,
        None => {
            eprintln!("usage: tokio-peer WORKLOAD [--NAME VALUE]...");
            std::process::exit(EXIT_USAGE);
        }
    };
    let params = match Params::parse(args) {
        Ok(params) => params,
        Err(message) => {
            eprintln!("tokio-peer: {message}");
            std::process::exit(EXIT_USAGE);
        }
    };
    println!("# tokio {} ({})", env!("PEER_TOKIO_VERSION"), env!("PEER_RUSTC_VERSION"));
    match workload.as_str() {
        "spawn" => spawn::round(&params),
        "spawn_remote" => spawn_remote::round(&params),
        "timeouts" => timeouts::round(&params),
        "yield" => yields::round(&params),
        "echo" => echo::round(&params),
        "echo_server" => echo_server::round(&params),
        "wake" => wake::round(&params),
        "sleepers" => sleepers::round(&params),
        "hogs" => hogs::round(&params),
        "idle" => idle::round(&params),
        "pingpong" => pingpong::round(&params),
        "oneshot" => oneshot::round(&params),
        "mixed" => mixed::round(&params),
        "mpsc" => mpsc::round(&params),
        "mutex" => mutex::round(&params),
        "semaphore" => semaphore::round(&params),
        "rwlock" => rwlock::round(&params),
        "notify" => notify::round(&params),
        "channel" => channel::round(&params),
        "broadcast" => broadcast::round(&params),
        "watch" => watch::round(&params),
        "blocking" => blocking::round(&params),
        "file_reads" => file_reads::round(&params),
        "connections" => memory::connections(&params),
        "echo_memory" => memory::echo_memory(&params),
        "timers" => timers::round(&params),
        _ => std::process::exit(EXIT_SKIPPED),
    }
}
