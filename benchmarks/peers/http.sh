#!/bin/sh
# SPDX-License-Identifier: MIT
# Servers for the benchmark http: http.sh rota|nginx|go --port N --workers N. Each answers GET / with a small page from memory.
# rota is the example http_server, from $BENCH_EXAMPLES or beside the benchmarks; go is go-peer, from $BENCH_PEERS.
set -eu

which=${1:-}
shift
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
port=8080
workers=2
while [ $# -gt 0 ]; do
	case $1 in
	--port) port=$2 ;;
	--workers) workers=$2 ;;
	esac
	shift 2
done

# run PROGRAM ARGUMENT...: in place of this shell; 77: it is not there
run()
{
	command -v "$1" >/dev/null || exit 77
	exec "$@"
}

# One worker, as nginx counts them, whatever --workers says.
run_nginx()
{
	PATH=$PATH:/usr/sbin # not on everybody's
	directory=${TMPDIR:-/tmp}/rota-bench-nginx-$port
	mkdir -p "$directory"
	cat >"$directory/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $directory/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path $directory;
	proxy_temp_path $directory;
	fastcgi_temp_path $directory;
	uwsgi_temp_path $directory;
	scgi_temp_path $directory;
	keepalive_requests 1000000000;
	server {
		listen 127.0.0.1:$port;
		location / {
			default_type text/plain;
			return 200 "hello, world\n";
		}
	}
}
CONF
	run nginx -p "$directory" -c "$directory/nginx.conf" -e stderr
}

case $which in
rota)
	export ROTA_WORKERS="$workers"
	run "${BENCH_EXAMPLES:-$top/build/bench/examples}/http_server/http_server" 127.0.0.1 "$port"
	;;
nginx) run_nginx ;;
go) run "${BENCH_PEERS:-$top/build/peers}/go-peer" http_server --port "$port" --workers "$workers" ;;
*) exit 77 ;;
esac
