// SPDX-License-Identifier: MIT
//
// benchmarks/wake.c: from waking a goroutine until it runs, by another; on an idle machine, and beside goroutines that compute.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func measureWakes(p params, busy bool) {
	const pauseMin, pauseSpread, step = 50000, 100000, 50 * time.Microsecond
	random := uint64(1)
	bell, answered := make(chan time.Time), make(chan time.Duration, 1)
	go func() {
		for woken := range bell {
			answered <- time.Since(woken)
		}
	}()
	stop, count := int32(0), uint64(0)
	if busy {
		count = p.get("workers", 2)
	}
	var hogs sync.WaitGroup
	hogs.Add(int(count))
	for i := uint64(0); i < count; i++ {
		go func() {
			defer hogs.Done()
			for atomic.LoadInt32(&stop) == 0 {
				for start := time.Now(); time.Since(start) < step; {
				}
				runtime.Gosched()
			}
		}()
	}
	var latency []time.Duration
	warm := time.Now().Add(time.Duration(p.get("warmup-ms", 200)) * time.Millisecond)
	end := warm.Add(time.Duration(p.get("round-ms", 500)) * time.Millisecond)
	for time.Now().Before(end) {
		time.Sleep(time.Duration(pauseMin + nextRandom(&random)%pauseSpread))
		bell <- time.Now()
		if late := <-answered; time.Now().After(warm) {
			latency = append(latency, late)
		}
	}
	atomic.StoreInt32(&stop, 1)
	hogs.Wait()
	close(bell)
	name := "wake_task_idle"
	if busy {
		name = "wake_task_busy"
	}
	if len(latency) > 0 {
		report(name+"_p50", quantile(latency, 0.50), "us")
		report(name+"_p99", quantile(latency, 0.99), "us")
	}
}

func wake(p params) {
	measureWakes(p, false)
	measureWakes(p, true)
}
