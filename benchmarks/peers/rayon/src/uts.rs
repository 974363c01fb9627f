// SPDX-License-Identifier: MIT
//! rayon beside benchmarks/uts.c. The trees are those of ../../uts_tree.c, linked in.

use crate::{option, timed};

#[repr(C)]
#[derive(Clone, Copy)]
struct State {
    byte: [u8; 20],
}

/// As in uts_tree.h.
#[repr(C)]
struct Tree {
    name: *const std::ffi::c_char,
    binomial: bool,
    seed: u32,
    branching: f64,
    depth: u32,
    probability: f64,
    children: u32,
    nodes: u64,
}
unsafe impl Sync for Tree {}

extern "C" {
    fn uts_tree_find(deep: bool, small: bool) -> *const Tree;
    fn uts_tree_root(tree: *const Tree, state: *mut State) -> u32;
    fn uts_tree_child(tree: *const Tree, parent: *const State, number: u32, depth: u32, state: *mut State) -> u32;
}

fn count(tree: &Tree, state: &State, depth: u32, n: u32) -> u64 {
    if n == 0 {
        1
    } else {
        1 + count_between(tree, state, depth, 0, n)
    }
}

/// Some of a node's children: halves of the range side by side.
fn count_between(tree: &Tree, parent: &State, depth: u32, from: u32, to: u32) -> u64 {
    if to - from > 1 {
        let middle = from + (to - from) / 2;
        let (a, b) = rayon::join(
            || count_between(tree, parent, depth, from, middle),
            || count_between(tree, parent, depth, middle, to),
        );
        return a + b;
    }
    let mut state = State { byte: [0; 20] };
    let n = unsafe { uts_tree_child(tree, parent, from, depth + 1, &mut state) };
    count(tree, &state, depth + 1, n)
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn search(deep: bool) -> bool {
    let before = peak_mib();
    let tree = unsafe { &*uts_tree_find(deep, option("small", 0) != 0) };
    let mut nodes = 0;
    let ms = timed(|| {
        let mut root = State { byte: [0; 20] };
        let n = unsafe { uts_tree_root(tree, &mut root) };
        nodes = count(tree, &root, 0, n);
    });
    println!("{} {} ms", unsafe { std::ffi::CStr::from_ptr(tree.name) }.to_string_lossy(), ms);
    if deep {
        println!("peak {} MiB\npeak_growth {} MiB", peak_mib(), peak_mib() - before);
    }
    nodes == tree.nodes
}

pub fn run() -> bool {
    (option("wide", 1) == 0 || search(false)) && (option("deep", 1) == 0 || search(true))
}
