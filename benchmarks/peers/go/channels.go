// SPDX-License-Identifier: MIT

package main

import "sync"

func pingpong(p params) {
	trips := p.get("trips", 1000)
	report("pingpong", p.time(func() {
		ping, pong := make(chan uint64, 1), make(chan uint64, 1)
		crowd(1, func() {
			for value := range ping {
				pong <- value + 1
			}
		}, func() {
			for i := uint64(0); i < trips; i++ {
				ping <- i
				if <-pong != i+1 {
					panic("pingpong")
				}
			}
			close(ping)
		})
	})/float64(trips), "ns")
}

func oneshot(p params) {
	values := p.get("values", 1000)
	report("oneshot", p.time(func() {
		for i := uint64(0); i < values; i++ {
			once := make(chan uint64, 1)
			go func(i uint64) { once <- i }(i)
			if <-once != i {
				panic("oneshot")
			}
		}
	})/float64(values), "ns")
	pingPongs(p)
	requests(p)
}

// tokio's request_reply: requests to a goroutine, each with a channel for its answer.
func requests(p params) {
	values := p.get("values", 1000)
	desk := make(chan chan struct{}, 10)
	go func() {
		for reply := range desk {
			reply <- struct{}{}
		}
	}()
	report("request_reply", p.time(func() {
		for i := uint64(0); i < values; i++ {
			reply := make(chan struct{}, 1)
			desk <- reply
			<-reply
		}
	})/float64(values), "ns")
	close(desk)
}

// tokio's ping_pong: goroutines that each have a partner which answers them.
func pingPongs(p params) {
	pairs := p.get("pairs", 1000)
	report("ping_pong", p.time(func() {
		crowd(pairs, func() {
			ping, pong := make(chan struct{}, 1), make(chan struct{}, 1)
			go func() {
				<-ping
				pong <- struct{}{}
			}()
			ping <- struct{}{}
			<-pong
		}, func() {})
	})/float64(pairs), "ns")
}

// Go has no unbounded channels.
func mpsc(p params) {
	producers, messages := p.get("producers", 4), p.get("messages", 10000)
	capacity := p.get("capacity", 1024)
	report("mpsc", p.time(func() {
		values := make(chan uint64, capacity)
		crowd(producers, func() {
			for i := uint64(0); i < messages; i++ {
				values <- i
			}
		}, func() { receive(values, producers*messages, producers*(messages*(messages-1)/2)) })
	})/float64(producers*messages), "ns")
}

func receive(values chan uint64, n, expected uint64) {
	sum := uint64(0)
	for i := uint64(0); i < n; i++ {
		sum += <-values
	}
	if sum != expected {
		panic("sum")
	}
}

// There are no batches: that row is the other one again, which is the best that can be done.
func channel(p params) {
	messages := p.get("messages", 100000)
	ns := p.time(func() {
		values := make(chan uint64, 4096)
		crowd(1, func() {
			for i := uint64(0); i < messages; i++ {
				values <- i
			}
		}, func() { receive(values, messages, messages*(messages-1)/2) })
	})
	report("channel", float64(messages)*1e9/ns, "elements/s")
	report("channel_batches", float64(messages)*1e9/ns, "elements/s")

	const fill, made = 1000, 100
	all := make(chan uint64, 4096)
	report("channel_alone", p.time(func() { fillAndEmpty(all, fill) })/fill, "ns")
	report("channel_new", p.time(func() {
		for i := 0; i < made; i++ {
			fillAndEmpty(make(chan uint64, made), 1)
		}
	})/made, "ns")
}

func fillAndEmpty(values chan uint64, n uint64) {
	for i := uint64(0); i < n; i++ {
		values <- i
	}
	receive(values, n, n*(n-1)/2)
}

// A broadcast is a channel for each receiver, as in most programs.
func broadcast(p params) {
	receivers, values := p.get("receivers", 8), p.get("values", 1000)
	for _, row := range []struct {
		name        string
		acknowledge bool
	}{{"broadcast", false}, {"broadcast_each", true}} {
		ns := p.time(func() { broadcastAll(receivers, values, row.acknowledge) })
		report(row.name, ns/float64(values*receivers), "ns")
	}
}

func broadcastAll(receivers, values uint64, acknowledge bool) {
	channels := make(chan chan uint64, receivers)
	all := make([]chan uint64, receivers)
	for i := range all {
		all[i] = make(chan uint64, 1024)
		channels <- all[i]
	}
	var heard sync.WaitGroup
	crowd(receivers, func() {
		mine := <-channels
		sum := uint64(0)
		for i := uint64(0); i < values; i++ {
			sum += <-mine
			if acknowledge {
				heard.Done()
			}
		}
		if sum != values*(values-1)/2 {
			panic("sum")
		}
	}, func() {
		for i := uint64(0); i < values; i++ {
			if acknowledge {
				heard.Add(int(receivers))
			}
			for _, channel := range all {
				channel <- i
			}
			if acknowledge {
				heard.Wait()
			}
		}
	})
}

// A watched value is a condition variable here.
func watch(p params) {
	receivers, values := p.get("receivers", 8), p.get("values", 1000)
	var lock sync.RWMutex
	value := uint64(0)
	report("watch_get", p.time(func() {
		sum := uint64(0)
		for i := uint64(0); i < values; i++ {
			lock.RLock()
			sum += value
			lock.RUnlock()
		}
	})/float64(values), "ns")
	report("watch_changed", p.time(func() { watchAll(receivers, values) })/float64(values*receivers), "ns")
}

func watchAll(receivers, values uint64) {
	var lock sync.Mutex
	var seen sync.WaitGroup
	changed := sync.NewCond(&lock)
	value := uint64(0)
	crowd(receivers, func() {
		for i := uint64(1); i <= values; i++ {
			lock.Lock()
			for value < i {
				changed.Wait()
			}
			lock.Unlock()
			seen.Done()
		}
	}, func() {
		for i := uint64(1); i <= values; i++ {
			seen.Add(int(receivers))
			lock.Lock()
			value = i
			lock.Unlock()
			changed.Broadcast()
			seen.Wait()
		}
	})
}
