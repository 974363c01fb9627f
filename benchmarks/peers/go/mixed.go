// SPDX-License-Identifier: MIT
//
// benchmarks/mixed.c: echo at a fixed rate beside fib without end in as many goroutines as there are workers. Each alone,
// then both.
package main

import (
	"sync"
	"sync/atomic"
	"time"
)

func plainFib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	return plainFib(n-1) + plainFib(n-2)
}

type endless struct {
	stop uint32
	done uint64
	wait sync.WaitGroup
}

func compute(p params) *endless {
	e := &endless{}
	workers, n := int(p.get("workers", 2)), p.get("fib", 32)
	expected := plainFib(n)
	e.wait.Add(workers)
	for i := 0; i < workers; i++ {
		go func() {
			defer e.wait.Done()
			for atomic.LoadUint32(&e.stop) == 0 {
				if plainFib(n) != expected {
					panic("fib")
				}
				atomic.AddUint64(&e.done, 1)
			}
		}()
	}
	return e
}

func (e *endless) catch() {
	atomic.StoreUint32(&e.stop, 1)
	e.wait.Wait()
}

func mixed(p params) {
	warmup := time.Duration(p.get("warmup-ms", 200)) * time.Millisecond
	length := time.Duration(p.get("round-ms", 2000)) * time.Millisecond
	pause := time.Duration(p.get("pause-ms", 100)) * time.Millisecond
	clients := int64(p.get("clients", 1000))
	quiet := runEcho(clients, pause, warmup, length)

	alone := compute(p)
	time.Sleep(warmup)
	done, start := atomic.LoadUint64(&alone.done), time.Now()
	time.Sleep(length)
	free := float64(atomic.LoadUint64(&alone.done)-done) / time.Since(start).Seconds()
	alone.catch()

	start = time.Now()
	beside := compute(p)
	loud := runEcho(clients, pause, warmup, length)
	shared := float64(atomic.LoadUint64(&beside.done)) / time.Since(start).Seconds()
	beside.catch()

	report("echo_alone", quiet.tripsPerS, "rt/s")
	report("echo_beside", loud.tripsPerS, "rt/s")
	if len(quiet.latency) > 0 && len(loud.latency) > 0 {
		report("p99_alone", quantile(quiet.latency, 0.99), "us")
		report("p99_beside", quantile(loud.latency, 0.99), "us")
		report("p50_alone", quantile(quiet.latency, 0.50), "us")
		report("p50_beside", quantile(loud.latency, 0.50), "us")
	}
	report("fib_alone", free, "fib/s")
	report("fib_beside", shared, "fib/s")
	report("fib_loses", 100-shared/free*100, "%")
}
