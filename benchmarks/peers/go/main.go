// SPDX-License-Identifier: MIT

// The benchmarks' workloads in Go: go-peer WORKLOAD [--NAME VALUE]... runs one round and prints lines of
// "name value unit". The parameters are those that the harness passes to every contender; a workload takes the ones
// that it knows. Exit code 77: no such workload here.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

const (
	exitUsage   = 2
	exitSkipped = 77
)

type params map[string]uint64

func (p params) get(name string, otherwise uint64) uint64 {
	if value, ok := p[name]; ok {
		return value
	}
	return otherwise
}

func parse(args []string) (params, error) {
	p := params{}
	for i := 0; i < len(args); i++ {
		if args[i] == "--round" {
			continue
		}
		if len(args[i]) < 3 || args[i][:2] != "--" || i+1 == len(args) {
			return nil, fmt.Errorf("%s: not an option with a value", args[i])
		}
		value, err := strconv.ParseUint(args[i+1], 10, 64)
		if err != nil {
			return nil, err
		}
		p[args[i][2:]] = value
		i++
	}
	return p, nil
}

func report(name string, value float64, unit string) {
	fmt.Println(name, value, unit)
}

// Calls step through the warm-up and then through the round; nanoseconds per step of the latter.
func (p params) time(step func()) float64 {
	repeat(time.Duration(p.get("warmup-ms", 200))*time.Millisecond, step)
	return repeat(time.Duration(p.get("round-ms", 500))*time.Millisecond, step)
}

func repeat(length time.Duration, step func()) float64 {
	start := time.Now()
	for steps := 1; ; steps++ {
		step()
		if elapsed := time.Since(start); elapsed >= length {
			return float64(elapsed.Nanoseconds()) / float64(steps)
		}
	}
}

func main() {
	workloads := map[string]func(params){
		"broadcast": broadcast, "channel": channel, "connections": connections, "echo": echoBench,
		"echo_memory": echoMemory, "echo_server": echoServer, "file_reads": fileReads, "fork": fork,
		"fork_arrays": forkArrays, "hogs": hogs, "http_server": httpServer, "idle": idle, "mixed": mixed, "mpsc": mpsc,
		"mutex": mutex, "notify": notify, "oneshot": oneshot, "pingpong": pingpong, "rwlock": rwlock,
		"semaphore": semaphore, "sleepers": sleepers, "spawn": spawn, "timeouts": timeouts, "timers": timers, "wake": wake,
		"watch": watch, "yield": yield,
	}
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go-peer WORKLOAD [--NAME VALUE]...")
		os.Exit(exitUsage)
	}
	workload, ok := workloads[os.Args[1]]
	if !ok {
		os.Exit(exitSkipped)
	}
	p, err := parse(os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(exitUsage)
	}
	runtime.GOMAXPROCS(int(p.get("workers", 2)))
	fmt.Println("#", runtime.Version())
	workload(p)
}
