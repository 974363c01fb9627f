// SPDX-License-Identifier: MIT
//
// benchmarks/fork_arrays.c: a goroutine for each fork. The leaves are the same algorithms in Go.
package main

import "sort"

const (
	insertMax  = 20
	sortGrain  = 2048
	mergeGrain = 2048
	block      = 64
)

func insertSort(a []uint32) {
	for i := 1; i < len(a); i++ {
		x, j := a[i], i
		for ; j > 0 && a[j-1] > x; j-- {
			a[j] = a[j-1]
		}
		a[j] = x
	}
}

func mergeHere(x, y, to []uint32) {
	i, j, k := 0, 0, 0
	for i < len(x) && j < len(y) {
		if x[i] <= y[j] {
			to[k] = x[i]
			i++
		} else {
			to[k] = y[j]
			j++
		}
		k++
	}
	k += copy(to[k:], x[i:])
	copy(to[k:], y[j:])
}

// Both at once, the second one in a goroutine.
func beside(first, second func()) {
	done := make(chan struct{})
	go func() {
		second()
		close(done)
	}()
	first()
	<-done
}

func merge(x, y, to []uint32) {
	if len(x) < len(y) {
		x, y = y, x
	}
	if len(x)+len(y) <= mergeGrain {
		mergeHere(x, y, to)
		return
	}
	half := len(x) / 2
	less := sort.Search(len(y), func(i int) bool { return y[i] >= x[half] })
	beside(func() { merge(x[:half], y[:less], to[:half+less]) },
		func() { merge(x[half:], y[less:], to[half+less:]) })
}

func sortHere(a, b []uint32, intoB bool) {
	if len(a) <= insertMax {
		insertSort(a)
		if intoB {
			copy(b, a)
		}
		return
	}
	half := len(a) / 2
	sortHere(a[:half], b[:half], !intoB)
	sortHere(a[half:], b[half:], !intoB)
	from, to := b, a
	if intoB {
		from, to = a, b
	}
	mergeHere(from[:half], from[half:], to)
}

func cilksort(a, b []uint32, intoB bool) {
	if len(a) <= sortGrain {
		sortHere(a, b, intoB)
		return
	}
	half := len(a) / 2
	beside(func() { cilksort(a[:half], b[:half], !intoB) }, func() { cilksort(a[half:], b[half:], !intoB) })
	from, to := b, a
	if intoB {
		from, to = a, b
	}
	merge(from[:half], from[half:], to)
}

type matrix struct {
	cells  []float32
	stride int
}

func (m matrix) quarter(n, row, column int) matrix {
	return matrix{m.cells[row*n/2*m.stride+column*n/2:], m.stride}
}

func multiplyBlock(a, b, c matrix, n int) {
	for i := 0; i < n; i++ {
		to := c.cells[i*c.stride:][:n]
		for k := 0; k < n; k++ {
			x, row := a.cells[i*a.stride+k], b.cells[k*b.stride:][:n]
			for j := range to {
				to[j] += x * row[j]
			}
		}
	}
}

func multiply(a, b, c matrix, n int) {
	if n <= block {
		multiplyBlock(a, b, c, n)
		return
	}
	for k := 0; k < 2; k++ {
		part := func(row, column int) {
			multiply(a.quarter(n, row, k), b.quarter(n, k, column), c.quarter(n, row, column), n/2)
		}
		beside(func() { beside(func() { part(0, 0) }, func() { part(0, 1) }) },
			func() { beside(func() { part(1, 0) }, func() { part(1, 1) }) })
	}
}

func forkArrays(p params) {
	n, rows := int(p.get("elements", 10000000)), int(p.get("matrix", 2048))
	a, b := make([]uint32, n), make([]uint32, n)
	state := uint64(1)
	for i := range a {
		state = state*6364136223846793005 + 1442695040888963407
		a[i], b[i] = uint32(state>>32), 1
	}
	report("cilksort", timed(func() { cilksort(a, b, false) }), "ms")
	if !sort.SliceIsSorted(a, func(i, j int) bool { return a[i] < a[j] }) {
		panic("not sorted")
	}
	matrices := [3]matrix{}
	for i := range matrices {
		matrices[i] = matrix{make([]float32, rows*rows), rows}
	}
	for i := range matrices[0].cells {
		matrices[0].cells[i] = float32(i / rows % 4)
		matrices[1].cells[i] = float32(i % rows % 3)
	}
	report("matmul", timed(func() { multiply(matrices[0], matrices[1], matrices[2], rows) }), "ms")
	for i, x := range matrices[2].cells {
		if x != float32(rows)*float32(i/rows%4)*float32(i%rows%3) {
			panic("wrong product")
		}
	}
}
