/* SPDX-License-Identifier: MIT */
//! What connections cost: idle ones over TCP, without a buffer, and pairs of sockets whose one end has echoed a message
//! of 1 KiB. The sockets and their other ends are made by plain calls before the first look at the memory.

use crate::measure::{raise_fd_limit, report, rss_bytes, run_on_worker, Params};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream as Pair;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};

const PER_ADDRESS: usize = 20_000;
const SPARE_FDS: usize = 64;
const BUFFER: usize = 1024;

/// As many as were asked for, or as descriptors allow: each takes two.
fn how_many(params: &Params, default: u64) -> usize {
    let wanted = params.get("connections", default) as usize;
    let allowed = (raise_fd_limit() as usize).saturating_sub(SPARE_FDS) / 2;
    if wanted > allowed {
        println!("# RLIMIT_NOFILE allows {allowed} connections");
    }
    wanted.min(allowed)
}

fn report_rss(before: u64, count: usize) {
    report("rss", rss_bytes().saturating_sub(before) as f64 / count as f64, "B");
}

// --- idle ones ---

pub fn connections(params: &Params) {
    let count = how_many(params, 100_000);
    run_on_worker(&params.runtime(), async move { idle(count).await });
}

async fn connect_pair(listener: &TcpListener, i: usize) -> (std::net::TcpStream, std::net::TcpStream) {
    let socket = TcpSocket::new_v4().expect("socket");
    let local = Ipv4Addr::new(127, 0, 0, 1 + (i / PER_ADDRESS) as u8);
    // bind takes any port then, not only one that no round before has used.
    socket.set_reuseaddr(true).expect("reuse");
    socket.bind(SocketAddr::from((local, 0))).expect("bind");
    let server = listener.local_addr().expect("address");
    let client = socket.connect(server).await.expect("connect");
    let (peer, _) = listener.accept().await.expect("accept");
    (client.into_std().expect("std"), peer.into_std().expect("std"))
}

async fn drink(stream: TcpStream) {
    let mut sip = [0u8; 16];
    loop {
        stream.readable().await.expect("readable");
        match stream.try_read(&mut sip) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("read: {error}"),
            _ => (),
        }
    }
}

async fn idle(count: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let mut clients = Vec::with_capacity(count);
    let mut servers = Vec::with_capacity(count);
    for i in 0..count {
        let (client, server) = connect_pair(&listener, i).await;
        clients.push(client);
        servers.push(server);
    }
    // Nobody joins them, so there are no handles: the last one to end drops its sender, and that is seen.
    let (alive, mut all_ended) = tokio::sync::mpsc::channel::<()>(1);
    let before = rss_bytes();
    for server in servers {
        let alive = alive.clone();
        tokio::spawn(async move {
            drink(TcpStream::from_std(server).expect("stream")).await;
            drop(alive);
        });
    }
    drop(alive);
    tokio::time::sleep(Duration::from_millis(500)).await;
    report("connections", count as f64, "count");
    report_rss(before, count);
    drop(clients);
    assert!(all_ended.recv().await.is_none());
}

// --- those that have echoed ---

pub fn echo_memory(params: &Params) {
    let count = how_many(params, 8_000);
    run_on_worker(&params.runtime(), async move { echoes(count).await });
}

async fn echo(mut stream: UnixStream) {
    let mut buffer = [0u8; BUFFER];
    loop {
        match stream.read(&mut buffer).await.expect("read") {
            0 => return,
            n => stream.write_all(&buffer[..n]).await.expect("write"),
        }
    }
}

/// The other end asks without waiting, so that it needs nothing of tokio.
async fn ask(peer: &mut Pair) {
    let (message, mut answer) = ([7u8; BUFFER], [0u8; BUFFER]);
    let mut got = 0;
    peer.write_all(&message).expect("write");
    while got < BUFFER {
        match peer.read(&mut answer[got..]) {
            Ok(n) => got += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::task::yield_now().await,
            Err(error) => panic!("read: {error}"),
        }
    }
    assert!(answer == message);
}

async fn echoes(count: usize) {
    let mut peers = Vec::with_capacity(count);
    let mut tasks = Vec::with_capacity(count);
    let before = rss_bytes();
    for _ in 0..count {
        let (mut peer, server) = Pair::pair().expect("socketpair");
        peer.set_nonblocking(true).expect("nonblocking");
        server.set_nonblocking(true).expect("nonblocking");
        tasks.push(tokio::spawn(echo(UnixStream::from_std(server).expect("stream"))));
        ask(&mut peer).await;
        peers.push(peer);
    }
    report_rss(before, count);
    drop(peers);
    for task in tasks {
        task.await.expect("task");
    }
}
