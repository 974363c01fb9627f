// SPDX-License-Identifier: MIT
//
// Servers that the benchmarks rate and http load from outside: go-peer echo_server|http_server --port N --workers N.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

func address(p params) string {
	return fmt.Sprintf("127.0.0.1:%d", p.get("port", 8080))
}

func echoServer(p params) {
	listener, err := net.Listen("tcp", address(p))
	check(err)
	for {
		conn, err := listener.Accept()
		check(err)
		go func() {
			defer conn.Close()
			buffer := make([]byte, 4096)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				if _, err = conn.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func httpServer(p params) {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "hello, world\n")
	})
	check(http.ListenAndServe(address(p), nil))
}
