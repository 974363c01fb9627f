// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	perAddress = 20000
	spareFds   = 64
	bufferSize = 1024

	ipBindAddressNoPort = 24 // of Linux; not among Go's constants
)

// As many as were asked for, or as descriptors allow: each takes two.
func howMany(p params, otherwise uint64) int {
	var limit syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = limit.Max
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	wanted, allowed := p.get("connections", otherwise), (limit.Max-spareFds)/2
	if wanted > allowed {
		fmt.Println("# RLIMIT_NOFILE allows", allowed, "connections")
		wanted = allowed
	}
	return int(wanted)
}

// What Go makes of a descriptor of ours.
func adopt(fd int) net.Conn {
	file := os.NewFile(uintptr(fd), "socket")
	conn, err := net.FileConn(file)
	check(err)
	check(file.Close())
	return conn
}

// --- idle connections: the sockets are made by plain calls before the first look at the memory ---

func connectPair(listener int, server syscall.Sockaddr, i int) (int, int) {
	client, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(err)
	check(syscall.SetsockoptInt(client, syscall.IPPROTO_IP, ipBindAddressNoPort, 1)) // connect finds the port
	check(syscall.Bind(client, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + i/perAddress)}}))
	check(syscall.Connect(client, server))
	peer, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC)
	check(err)
	return client, peer
}

func connectAll(count int) (clients, servers []int) {
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(err)
	check(syscall.Bind(listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(syscall.Listen(listener, 128))
	address, err := syscall.Getsockname(listener)
	check(err)
	clients, servers = make([]int, count), make([]int, count)
	for i := range clients {
		clients[i], servers[i] = connectPair(listener, address, i)
	}
	check(syscall.Close(listener))
	return clients, servers
}

func connections(p params) {
	count := howMany(p, 100000)
	clients, servers := connectAll(count)
	var group sync.WaitGroup
	group.Add(count)
	before := rssBytes()
	for _, fd := range servers {
		conn := adopt(fd)
		go func() {
			var sip [16]byte
			for {
				if _, err := conn.Read(sip[:]); err != nil {
					break
				}
			}
			conn.Close()
			group.Done()
		}()
	}
	time.Sleep(500 * time.Millisecond)
	report("connections", float64(count), "count")
	report("rss", (rssBytes()-before)/float64(count), "B")
	for _, fd := range clients {
		check(syscall.Close(fd))
	}
	group.Wait()
}

// --- pairs of sockets whose one end has echoed a message ---

func echoOne(conn net.Conn, group *sync.WaitGroup) {
	var buffer [bufferSize]byte
	for {
		n, err := conn.Read(buffer[:])
		if err == io.EOF {
			break
		}
		check(err)
		_, err = conn.Write(buffer[:n])
		check(err)
	}
	conn.Close()
	group.Done()
}

func ask(fd int) {
	var message, answer [bufferSize]byte
	_, err := syscall.Write(fd, message[:])
	check(err)
	for got := 0; got < bufferSize; {
		n, err := syscall.Read(fd, answer[got:])
		check(err)
		got += n
	}
}

func echoMemory(p params) {
	count := howMany(p, 8000)
	var group sync.WaitGroup
	group.Add(count)
	before := rssBytes()
	peers := make([]int, count)
	for i := range peers {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		check(err)
		go echoOne(adopt(pair[1]), &group)
		ask(pair[0])
		peers[i] = pair[0]
	}
	report("rss", (rssBytes()-before)/float64(count), "B")
	for _, fd := range peers {
		check(syscall.Close(fd))
	}
	group.Wait()
}
