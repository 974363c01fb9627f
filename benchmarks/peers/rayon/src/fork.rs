// SPDX-License-Identifier: MIT
//! rayon beside benchmarks/fork.c: the same recursions by join, and by scope where there are more than two branches.

use crate::{option, timed};
use std::hint::black_box;

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

struct Queen<'a> {
    above: Option<&'a Queen<'a>>,
    column: u32,
}

fn attacked(mut above: Option<&Queen>, column: u32) -> bool {
    let mut distance = 1;
    while let Some(queen) = above {
        if queen.column == column || queen.column == column + distance || queen.column + distance == column {
            return true;
        }
        above = queen.above;
        distance += 1;
    }
    false
}

/// The columns of one row: halves of the range side by side.
fn queens_between(above: Option<&Queen>, from: u32, to: u32, row: u32, n: u32) -> u64 {
    if to - from > 1 {
        let middle = from + (to - from) / 2;
        let (a, b) = rayon::join(
            || queens_between(above, from, middle, row, n),
            || queens_between(above, middle, to, row, n),
        );
        return a + b;
    }
    if attacked(above, from) {
        return 0;
    }
    let queen = Queen { above, column: from };
    queens(Some(&queen), row + 1, n)
}

fn queens(above: Option<&Queen>, row: u32, n: u32) -> u64 {
    if row == n {
        return 1;
    }
    queens_between(above, 0, n, row, n)
}

fn curve(x: f64) -> f64 {
    (x * x + 1.0) * x
}

fn integrate(x1: f64, y1: f64, x2: f64, y2: f64) -> f64 {
    let half = (x2 - x1) / 2.0;
    let x0 = x1 + half;
    let y0 = curve(x0);
    let area = (y1 + y2) * (x2 - x1) / 2.0;
    let (left_area, right_area) = ((y1 + y0) * half / 2.0, (y0 + y2) * half / 2.0);
    if (left_area + right_area - area).abs() < 1e-9 {
        return left_area + right_area;
    }
    let (left, right) = rayon::join(|| integrate(x1, y1, x0, y0), || integrate(x0, y0, x2, y2));
    left + right
}

fn skynet(number: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return number;
    }
    let mut sums = [0u64; 10];
    rayon::scope(|scope| {
        for (i, sum) in sums.iter_mut().enumerate() {
            scope.spawn(move |_| *sum = skynet(number + i as u64 * leaves / 10, leaves / 10));
        }
    });
    sums.iter().sum()
}

pub fn run() -> bool {
    let n = option("fib", 42);
    let calls = (2..=n).fold((1.0, 1.0), |(before, calls), _| (calls, 1.0 + calls + before)).1;
    let ms = timed(|| fib(black_box(n)));
    println!("fib {} ms\nfib_call {} ns", ms, ms * 1e6 / calls);
    println!("nqueens {} ms", timed(|| queens(None, 0, option("queens", 14) as u32)));
    let limit = option("integral", 10000) as f64;
    println!("integrate {} ms", timed(|| integrate(0.0, 0.0, limit, curve(limit))));
    println!("skynet {} ms", timed(|| skynet(0, option("leaves", 1000000))));
    true
}
