// SPDX-License-Identifier: MIT
//
// benchmarks/spawn.c, yield.c, sleepers.c, idle.c: goroutines spawned and awaited, that yield, that sleep.
package main

import (
	"fmt"
	"io/ioutil"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func spawn(p params) {
	tasks, chain := p.get("tasks", 10000), p.get("chain", 1000)
	report("spawn_join", p.time(func() { crowd(tasks, func() {}, nil) })/float64(tasks), "ns")
	report("spawn_one", p.time(func() {
		for i := uint64(0); i < tasks; i++ {
			crowd(1, func() {}, nil)
		}
	})/float64(tasks), "ns")
	report("chained_spawn", p.time(func() {
		done := make(chan struct{})
		var link func(left uint64)
		link = func(left uint64) {
			if left == 0 {
				close(done)
			} else {
				go link(left - 1)
			}
		}
		link(chain)
		<-done
	})/float64(chain), "ns")
	report("spawn_many", p.time(func() {
		left, done := int64(tasks), make(chan struct{})
		for i := uint64(0); i < tasks; i++ {
			go func() {
				if atomic.AddInt64(&left, -1) == 0 {
					close(done)
				}
			}()
		}
		<-done
	})/float64(tasks), "ns")
}

func yield(p params) {
	tasks, yields := p.get("tasks", 200), p.get("yields", 1000)
	work := func() {
		for i := uint64(0); i < yields; i++ {
			runtime.Gosched()
		}
	}
	report("yield_many", p.time(func() { crowd(tasks, work, nil) })/float64(tasks*yields), "ns")
	report("yield_one", p.time(func() { crowd(1, work, nil) })/float64(yields), "ns")
}

func rssBytes() float64 {
	text, err := ioutil.ReadFile("/proc/self/statm")
	check(err)
	var size, resident float64
	fmt.Sscan(string(text), &size, &resident)
	return resident * float64(os.Getpagesize())
}

func sleepers(p params) {
	tasks := p.get("tasks", 1000000)
	before, start := rssBytes(), time.Now()
	deadline := start.Add(time.Duration(p.get("sleep-ms", 20000)) * time.Millisecond)
	started := uint64(0)
	var group sync.WaitGroup
	group.Add(int(tasks))
	for i := uint64(0); i < tasks; i++ {
		go func() {
			atomic.AddUint64(&started, 1)
			time.Sleep(time.Until(deadline))
			group.Done()
		}()
	}
	for atomic.LoadUint64(&started) < tasks {
		time.Sleep(time.Millisecond)
	}
	asleep, memory := time.Now(), rssBytes()-before
	group.Wait()
	report("start", float64(asleep.Sub(start).Nanoseconds())/float64(tasks), "ns")
	report("wake_join", float64(time.Since(deadline).Nanoseconds())/float64(tasks), "ns")
	report("rss", memory/float64(tasks), "B")
}

func cpuNs() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

// How often the threads of the process went to sleep.
func voluntarySwitches() (sum float64) {
	threads, err := ioutil.ReadDir("/proc/self/task")
	check(err)
	for _, thread := range threads {
		text, err := ioutil.ReadFile("/proc/self/task/" + thread.Name() + "/status")
		check(err)
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "voluntary_ctxt_switches:") {
				var n float64
				fmt.Sscan(strings.TrimPrefix(line, "voluntary_ctxt_switches:"), &n)
				sum += n
			}
		}
	}
	return sum
}

func idle(p params) {
	go echoServer(params{"port": 0})
	time.Sleep(time.Duration(p.get("settle-ms", 500)) * time.Millisecond)
	switches, cpu := voluntarySwitches(), cpuNs()
	time.Sleep(time.Duration(p.get("seconds", 10)) * time.Second)
	report("cpu", (cpuNs()-cpu)/1e3, "us")
	report("switches", voluntarySwitches()-switches, "count")
	report("rss", rssBytes()/1024, "KiB")
}
