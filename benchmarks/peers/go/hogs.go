// SPDX-License-Identifier: MIT

// A ticker of 1 kHz, and echo, beside goroutines that compute in steps and yield after each.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const piece = 1000

var sink uint64

func work(pieces int64) {
	state, sum := uint64(pieces), uint64(0)
	for i := int64(0); i < pieces*piece; i++ {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb
		sum ^= z ^ (z >> 31)
	}
	atomic.StoreUint64(&sink, sum)
}

// Pieces of work in a millisecond of a CPU that does nothing else: the best of some tries.
func piecesPerMs() int64 {
	const pieces = 200
	best := time.Hour
	for i := 0; i < 30; i++ {
		start := time.Now()
		work(pieces)
		if took := time.Since(start); took < best {
			best = took
		}
	}
	return int64(time.Millisecond) * pieces / int64(best)
}

type den struct {
	stop  uint32
	steps uint64
	wait  sync.WaitGroup
}

func letLoose(hogs, pieces int64) *den {
	d := &den{}
	d.wait.Add(int(hogs))
	for i := int64(0); i < hogs; i++ {
		go func() {
			defer d.wait.Done()
			for atomic.LoadUint32(&d.stop) == 0 {
				work(pieces)
				atomic.AddUint64(&d.steps, 1)
				runtime.Gosched()
			}
		}()
	}
	return d
}

func (d *den) catchAll() {
	atomic.StoreUint32(&d.stop, 1)
	d.wait.Wait()
}

func quantile(values []time.Duration, share float64) float64 {
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	return float64(values[int(share*float64(len(values)-1))]) / 1e3
}

func ticker(hogs, pieces, ticks int64, warmup time.Duration) {
	d := letLoose(hogs, pieces)
	time.Sleep(warmup)
	lateness := make([]time.Duration, 0, ticks)
	due := time.Now()
	for i := int64(0); i < ticks; i++ {
		due = due.Add(time.Millisecond)
		time.Sleep(time.Until(due))
		late := time.Since(due)
		lateness = append(lateness, late)
		due = due.Add(late / time.Millisecond * time.Millisecond) // what was missed is left out
	}
	d.catchAll()
	report(fmt.Sprintf("ticker_%d_p50", hogs), quantile(lateness, 0.50), "us")
	report(fmt.Sprintf("ticker_%d_p99", hogs), quantile(lateness, 0.99), "us")
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}

func serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			buffer := make([]byte, 64)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					conn.Close()
					return
				}
				_, err = conn.Write(buffer[:n])
				check(err)
			}
		}()
	}
}

type client struct {
	trips   uint64
	latency []time.Duration
}

type flags struct{ measuring, stop uint32 }

// With a pause it sends so often, and latency counts from when it is due.
func (c *client) run(conn net.Conn, first time.Time, pause time.Duration, f *flags, wait *sync.WaitGroup) {
	defer wait.Done()
	message, answer := make([]byte, 64), make([]byte, 64)
	measuring := false
	before := first
	for atomic.LoadUint32(&f.stop) == 0 {
		if pause > 0 {
			before = before.Add(pause)
			time.Sleep(time.Until(before))
		}
		_, err := conn.Write(message)
		check(err)
		_, err = io.ReadFull(conn, answer)
		check(err)
		now := time.Now()
		if measuring {
			c.latency = append(c.latency, now.Sub(before))
		}
		if pause == 0 || now.Sub(before) > pause {
			before = now
		}
		measuring = measuring || atomic.LoadUint32(&f.measuring) != 0
		atomic.AddUint64(&c.trips, 1)
	}
	conn.Close()
}

func total(clients []*client) (sum uint64) {
	for _, c := range clients {
		sum += atomic.LoadUint64(&c.trips)
	}
	return sum
}

// What one run of the echo clients comes to.
type outcome struct {
	tripsPerS, cpuUs float64
	latency          []time.Duration
}

func runEcho(count int64, pause, warmup, length time.Duration) (o outcome) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go serve(listener)
	var wait sync.WaitGroup
	f := &flags{}
	conns, clients := make([]net.Conn, count), make([]*client, count)
	for i := range conns {
		conns[i], err = net.Dial("tcp", listener.Addr().String())
		check(err)
	}
	for i := range clients {
		clients[i] = &client{}
		wait.Add(1)
		// Those who pause take turns.
		first := time.Now().Add(pause * time.Duration(i) / time.Duration(count))
		go clients[i].run(conns[i], first, pause, f, &wait)
	}
	time.Sleep(warmup)
	atomic.StoreUint32(&f.measuring, 1)
	trips, cpu, start := total(clients), cpuNs(), time.Now()
	time.Sleep(length)
	trips, cpu = total(clients)-trips, cpuNs()-cpu
	o.tripsPerS = float64(trips) / time.Since(start).Seconds()
	o.cpuUs = cpu / 1e3 / float64(trips)
	atomic.StoreUint32(&f.stop, 1)
	wait.Wait()
	listener.Close()
	for _, c := range clients {
		o.latency = append(o.latency, c.latency...)
	}
	return o
}

func besideEcho(hogs, pieces, count int64, warmup, length time.Duration) {
	begin := time.Now()
	d := letLoose(hogs, pieces)
	o := runEcho(count, 0, warmup, length)
	d.catchAll()
	report("echo", o.tripsPerS, "rt/s")
	if len(o.latency) > 0 {
		report("echo_p50", quantile(o.latency, 0.50), "us")
		report("echo_p99", quantile(o.latency, 0.99), "us")
	}
	report("echo_steps", float64(d.steps)/time.Since(begin).Seconds(), "steps/s")
}

func hogs(p params) {
	warmup := time.Duration(p.get("warmup-ms", 200)) * time.Millisecond
	length := time.Duration(p.get("round-ms", 2000)) * time.Millisecond
	most, perMs := int64(p.get("hogs", 2)), piecesPerMs()
	for n := int64(0); n <= most; n++ {
		ticker(n, perMs*int64(p.get("ticker-step-ms", 100)), int64(p.get("ticks", 3000)), warmup)
	}
	if clients := int64(p.get("clients", 50)); clients > 0 {
		besideEcho(most, perMs*int64(p.get("echo-step-ms", 7)), clients, warmup, length)
	}
}
