/* SPDX-License-Identifier: MIT */
//! The echo server that the benchmark rate loads from outside: `tokio-peer echo_server --port N --workers N`.

use crate::measure::Params;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub fn round(params: &Params) {
    let port = params.get("port", 0) as u16;
    params.runtime().block_on(async move { tokio::spawn(serve(port)).await.expect("server") });
}

async fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("bind");
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}
