// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Runs work in so many goroutines, and meanwhile (nil: nothing) in this one; waits for all.
func crowd(n uint64, work func(), meanwhile func()) {
	var group sync.WaitGroup
	group.Add(int(n))
	for i := uint64(0); i < n; i++ {
		go func() {
			defer group.Done()
			work()
		}()
	}
	if meanwhile != nil {
		meanwhile()
	}
	group.Wait()
}

func mutex(p params) {
	tasks, locks := p.get("tasks", 64), p.get("locks", 1000)
	var lock sync.Mutex
	value := uint64(0)
	work := func() {
		for i := uint64(0); i < locks; i++ {
			lock.Lock()
			value++
			lock.Unlock()
		}
	}
	report("mutex_uncontended", p.time(work)/float64(locks), "ns")
	report("mutex", p.time(func() { crowd(tasks, work, nil) })/float64(tasks*locks), "ns")
}

// A semaphore is a channel here, as in most programs.
func semaphore(p params) {
	const permits = 5
	tasks, turns := p.get("tasks", 64), p.get("turns", 1000)
	free := make(chan struct{}, permits)
	work := func(yield bool) {
		for i := uint64(0); i < turns; i++ {
			free <- struct{}{}
			if yield {
				runtime.Gosched()
			}
			<-free
		}
	}
	report("semaphore_uncontended", p.time(func() { work(false) })/float64(turns), "ns")
	share := func() { crowd(permits, func() { work(false) }, nil) }
	report("semaphore_shared", p.time(share)/float64(permits*turns), "ns")
	step := func() { crowd(tasks, func() { work(true) }, nil) }
	report("semaphore_contended", p.time(step)/float64(tasks*turns), "ns")
}

func rwlock(p params) {
	const writeEvery = 16
	tasks, turns := p.get("tasks", 64), p.get("turns", 1000)
	var lock sync.RWMutex
	value := uint64(0)
	work := func(write bool) {
		sum := uint64(0)
		for i := uint64(0); i < turns; i++ {
			if write && i%writeEvery == 0 {
				lock.Lock()
				value++
				lock.Unlock()
			} else {
				lock.RLock()
				sum += value
				lock.RUnlock()
			}
		}
		runtime.KeepAlive(sum)
	}
	report("rwlock_read", p.time(func() { work(false) })/float64(turns), "ns")
	for _, row := range []struct {
		name  string
		write bool
	}{{"rwlock_read_shared", false}, {"rwlock_mixed", true}} {
		step := func() { crowd(tasks, func() { work(row.write) }, nil) }
		report(row.name, p.time(step)/float64(tasks*turns), "ns")
	}
}

// A notification that is kept is a channel of one element; one to all is a condition variable.
func notify(p params) {
	waiters, turns := p.get("waiters", 8), p.get("turns", 1000)
	there, back := make(chan struct{}, 1), make(chan struct{}, 1)
	report("notify_kept", p.time(func() {
		for i := uint64(0); i < turns; i++ {
			there <- struct{}{}
			<-there
		}
	})/float64(turns), "ns")
	report("notify_round_trip", p.time(func() {
		crowd(1, func() {
			for i := uint64(0); i < turns; i++ {
				<-there
				back <- struct{}{}
			}
		}, func() {
			for i := uint64(0); i < turns; i++ {
				there <- struct{}{}
				<-back
			}
		})
	})/float64(turns), "ns")
	report("notify_all", p.time(func() { tell(turns*waiters, waiters, (*sync.Cond).Broadcast) })/float64(turns*waiters), "ns")
	report("notify_one_of_many", p.time(func() { tell(turns, waiters, (*sync.Cond).Signal) })/float64(turns), "ns")
}

// Until the waiters were woken so often, together.
func tell(wanted, waiters uint64, tellThem func(*sync.Cond)) {
	var lock sync.Mutex
	heard, over := uint64(0), false
	told := sync.NewCond(&lock)
	crowd(waiters, func() {
		lock.Lock()
		for !over {
			told.Wait()
			atomic.AddUint64(&heard, 1)
		}
		lock.Unlock()
	}, func() {
		for atomic.LoadUint64(&heard) < wanted {
			tellThem(told)
			runtime.Gosched()
		}
		lock.Lock()
		over = true
		lock.Unlock()
		told.Broadcast()
	})
}
