// SPDX-License-Identifier: MIT
//
// benchmarks/file_reads.c: ReadAt by one goroutine, cached; with O_DIRECT by 1, 32 and 128 of them, which share what there is to
// read.
package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
)

const fileBlock, readsOfEach = 4096, 100

// The next of a fixed sequence (SplitMix64).
func nextRandom(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Until nothing is left to be begun.
func readBlocks(file *os.File, buffer []byte, blocks uint64, random *uint64, left *atomic.Int64) {
	for left.Add(-1) >= 0 {
		_, err := file.ReadAt(buffer, int64(nextRandom(random)%blocks*fileBlock))
		check(err)
	}
}

func readAtDepth(p params, file *os.File, blocks, depth uint64) float64 {
	// Direct reads want their buffers on the limits of pages.
	buffers, err := syscall.Mmap(-1, 0, int(depth*fileBlock), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	check(err)
	random := uint64(1)
	var left atomic.Int64
	ns := p.time(func() {
		left.Store(int64(readsOfEach * depth))
		numbers := make(chan uint64, depth)
		for i := uint64(0); i < depth; i++ {
			numbers <- i
		}
		seeds := make(chan uint64, depth)
		for i := uint64(0); i < depth; i++ {
			seeds <- nextRandom(&random)
		}
		crowd(depth, func() {
			at, seed := <-numbers*fileBlock, <-seeds
			readBlocks(file, buffers[at:at+fileBlock], blocks, &seed, &left)
		}, nil)
	})
	check(syscall.Munmap(buffers))
	return 1e9 * readsOfEach * float64(depth) / ns
}

func fileReads(p params) {
	blocks := p.get("megabytes", 64) << 20 / fileBlock
	file, err := os.CreateTemp("", "go-file-reads-")
	check(err)
	defer os.Remove(file.Name())
	buffer := make([]byte, fileBlock)
	for i := uint64(0); i < blocks; i++ {
		_, err = file.Write(buffer)
		check(err)
	}
	check(file.Sync())
	random := uint64(1)
	report("cached", p.time(func() {
		for i := 0; i < readsOfEach; i++ {
			_, err := file.ReadAt(buffer, int64(nextRandom(&random)%blocks*fileBlock))
			check(err)
		}
	})/readsOfEach, "ns")
	direct, err := os.OpenFile(file.Name(), os.O_RDONLY|syscall.O_DIRECT, 0)
	if err != nil {
		fmt.Println("# no O_DIRECT in this directory: set TMPDIR")
		return
	}
	for _, depth := range []uint64{1, 32, 128} {
		report(fmt.Sprintf("direct-%d", depth), readAtDepth(p, direct, blocks, depth), "reads/s")
	}
	check(direct.Close())
}
