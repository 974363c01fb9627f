// SPDX-License-Identifier: MIT
//
// benchmarks/fork.c: a goroutine for each fork. Takes minutes where the others need seconds: integrate is left out, and
// so is fib unless it is small.
package main

import "time"

// More forks than this take too long.
const tooMany = 20000000

func fib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	other := make(chan uint64, 1)
	go func() { other <- fib(n - 1) }()
	sum := fib(n - 2)
	return sum + <-other
}

type queen struct {
	above  *queen
	column int
}

func attacked(above *queen, column int) bool {
	for distance := 1; above != nil; above, distance = above.above, distance+1 {
		if above.column == column || above.column == column+distance || above.column+distance == column {
			return true
		}
	}
	return false
}

func queens(above *queen, row, n int) uint64 {
	if row == n {
		return 1
	}
	sums := make(chan uint64, n)
	forked := 0
	for column := 0; column < n; column++ {
		if attacked(above, column) {
			continue
		}
		forked++
		next := &queen{above, column}
		go func() { sums <- queens(next, row+1, n) }()
	}
	sum := uint64(0)
	for ; forked > 0; forked-- {
		sum += <-sums
	}
	return sum
}

func skynet(number, leaves uint64) uint64 {
	if leaves == 1 {
		return number
	}
	sums := make(chan uint64, 10)
	for i := uint64(0); i < 10; i++ {
		go func(i uint64) { sums <- skynet(number+i*leaves/10, leaves/10) }(i)
	}
	sum := uint64(0)
	for i := 0; i < 10; i++ {
		sum += <-sums
	}
	return sum
}

func timed(work func()) float64 {
	start := time.Now()
	work()
	return float64(time.Since(start).Nanoseconds()) / 1e6
}

func fork(p params) {
	n := p.get("fib", 42)
	before, calls := 1.0, 1.0
	for i := uint64(2); i <= n; i++ {
		before, calls = calls, 1+calls+before
	}
	if calls <= tooMany {
		ms := timed(func() { fib(n) })
		report("fib", ms, "ms")
		report("fib_call", ms*1e6/calls, "ns")
	}
	report("nqueens", timed(func() { queens(nil, 0, int(p.get("queens", 14))) }), "ms")
	report("skynet", timed(func() { skynet(0, p.get("leaves", 1000000)) }), "ms")
}
