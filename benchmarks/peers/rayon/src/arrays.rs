// SPDX-License-Identifier: MIT
//! rayon beside benchmarks/fork_arrays.c. Leaves and divisions are those of ../../arrays.c, linked in.

use crate::{option, timed};

const SORT_GRAIN: usize = 2048;
const BLOCK: usize = 64;

#[repr(C)]
#[derive(Clone, Copy)]
struct Runs {
    x: *const u32,
    y: *const u32,
    nx: usize,
    ny: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Product {
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    stride: usize,
}

// What the pointers lead to is divided between those who work on it.
unsafe impl Send for Runs {}
unsafe impl Send for Product {}

#[derive(Clone, Copy)]
struct Elements(*mut u32);
unsafe impl Send for Elements {}

impl Elements {
    fn at(self, i: usize) -> Elements {
        Elements(unsafe { self.0.add(i) })
    }
}

extern "C" {
    fn arrays_new_unsorted(n: usize) -> *mut u32;
    fn arrays_sorted(a: *const u32, n: usize) -> bool;
    fn arrays_sort_here(a: *mut u32, b: *mut u32, n: usize, into_b: bool);
    fn arrays_merge_or_split(runs: Runs, to: *mut u32, below: *mut Runs, above: *mut Runs, less: *mut usize) -> bool;
    fn arrays_new_matrices(n: usize) -> *mut f32;
    fn arrays_whole_product(matrices: *mut f32, n: usize) -> Product;
    fn arrays_product_right(matrices: *const f32, n: usize) -> bool;
    fn arrays_multiply_block(p: Product, n: usize);
    fn arrays_quarter(p: Product, n: usize, row: u32, column: u32, k: u32) -> Product;
}

fn merge(runs: Runs, to: Elements) {
    let (mut below, mut above, mut less) = (runs, runs, 0);
    if unsafe { arrays_merge_or_split(runs, to.0, &mut below, &mut above, &mut less) } {
        return;
    }
    let upper = to.at(less);
    rayon::join(move || merge(below, to), move || merge(above, upper));
}

fn cilksort(a: Elements, b: Elements, n: usize, into_b: bool) {
    if n <= SORT_GRAIN {
        return unsafe { arrays_sort_here(a.0, b.0, n, into_b) };
    }
    let half = n / 2;
    let (upper_a, upper_b) = (a.at(half), b.at(half));
    rayon::join(
        move || cilksort(a, b, half, !into_b),
        move || cilksort(upper_a, upper_b, n - half, !into_b),
    );
    let (from, to) = if into_b { (a, b) } else { (b, a) };
    merge(Runs { x: from.0, y: from.at(half).0, nx: half, ny: n - half }, to);
}

fn multiply(p: Product, n: usize) {
    if n <= BLOCK {
        return unsafe { arrays_multiply_block(p, n) };
    }
    for k in 0..2 {
        let part = move |row, column| multiply(unsafe { arrays_quarter(p, n, row, column, k) }, n / 2);
        rayon::join(
            move || rayon::join(move || part(0, 0), move || part(0, 1)),
            move || rayon::join(move || part(1, 0), move || part(1, 1)),
        );
    }
}

pub fn run() -> bool {
    let n = option("elements", 10000000) as usize;
    let rows = option("matrix", 2048) as usize;
    unsafe {
        let a = Elements(arrays_new_unsorted(n));
        println!("cilksort {} ms", timed(|| cilksort(a, a.at(n), n, false)));
        let b = std::slice::from_raw_parts_mut(arrays_new_unsorted(n), n);
        println!("parallel_sort {} ms", timed(|| rayon::slice::ParallelSliceMut::par_sort(&mut *b)));
        let matrices = arrays_new_matrices(rows);
        let whole = arrays_whole_product(matrices, rows);
        println!("matmul {} ms", timed(|| multiply(whole, rows)));
        arrays_sorted(a.0, n) && arrays_sorted(b.as_ptr(), n) && arrays_product_right(matrices, rows)
    }
}
