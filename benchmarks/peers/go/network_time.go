// SPDX-License-Identifier: MIT
//
// benchmarks/echo.c and timers.c: what hogs.go has, without the hogs, and many sleeping goroutines that come due.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"sync"
	"time"
)

func echoBench(p params) {
	warmup := time.Duration(p.get("warmup-ms", 200)) * time.Millisecond
	length := time.Duration(p.get("round-ms", 1000)) * time.Millisecond
	counts := []uint64{1, 100, 1000}
	if only := p.get("clients", 0); only > 0 {
		counts = []uint64{only}
	}
	for _, clients := range counts {
		o := runEcho(int64(clients), 0, warmup, length)
		report(fmt.Sprintf("echo_%d", clients), o.tripsPerS, "rt/s")
		report(fmt.Sprintf("echo_%d_cpu", clients), o.cpuUs, "us")
		report(fmt.Sprintf("echo_%d_p50", clients), quantile(o.latency, 0.50), "us")
		report(fmt.Sprintf("echo_%d_p99", clients), quantile(o.latency, 0.99), "us")
	}
}

// A limit is a context here. Nobody enters Go's runtime from outside, and its timers run from when they are made.
func timeouts(p params) {
	tasks, limits := p.get("tasks", 8), p.get("limits", 1000)
	step := func() {
		for i := uint64(0); i < limits; i++ {
			limited, cancel := context.WithTimeout(context.Background(), time.Second)
			if limited.Err() != nil {
				panic("timeout")
			}
			cancel()
		}
	}
	report("timeout", p.time(func() { crowd(tasks, step, nil) })/float64(tasks*limits), "ns")
}

func timers(p params) {
	const batch = 1000
	report("timer_start_cancel", p.time(func() {
		for i := 0; i < batch; i++ {
			time.NewTimer(time.Hour).Stop()
		}
	})/batch, "ns")

	count, spread := int(p.get("timers", 1000000)), time.Duration(p.get("spread-ms", 1000))*time.Millisecond
	late := make([]time.Duration, count)
	var group sync.WaitGroup
	group.Add(count)
	random := rand.New(rand.NewSource(1))
	cpu, first := cpuNs(), time.Now().Add(time.Duration(p.get("lead-ms", 5000))*time.Millisecond)
	for i := 0; i < count; i++ {
		go func(i int, deadline time.Time) {
			time.Sleep(time.Until(deadline))
			late[i] = time.Since(deadline)
			group.Done()
		}(i, first.Add(time.Duration(random.Int63n(int64(spread)))))
	}
	group.Wait()
	report("timer_cpu", (cpuNs()-cpu)/1e3/float64(count), "us")
	report("timer_late_p50", quantile(late, 0.50), "us")
	report("timer_late_p99", quantile(late, 0.99), "us")
}
