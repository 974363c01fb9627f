#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The orders of docs/memory-ordering.md are those of the code: for all of sync/, and of the scheduler deque, injection
queue, parking, idle word and task state, on which the proofs stand.

An order that the code uses and the field's row does not name fails, as does one that the row names and no code uses. What
calls an order by another's name, "busy word" and "spin lock", stands for the orders that the page gives to these.

Environment: SOURCE, the top of the tree.
"""
import glob
import os
import re
import sys

SOURCES = ["sync/*.[ch]"] + [f"runtime/{name}.[ch]" for name in (
    "deque", "deque_internal", "inject", "inject_internal", "park", "park_internal", "idle", "idle_internal",
    "task_state_internal", "waitlist", "waitlist_internal", "waitlist_lock", "waitlist_lock_internal")]
ORDERS = {"RELAXED": "rlx", "ACQUIRE": "acq", "RELEASE": "rel", "ACQ_REL": "acq_rel", "SEQ_CST": "SEQ_CST"}
BY_NAME = {"busy word": {"acq", "rel", "rlx"}, "spin lock": {"acq", "rel", "rlx"}, "statistic": {"rlx"},
           "stamp of the broadcast": {"rlx", "rel", "acq"}}
CALL = re.compile(r"\b(?:rota__(load|store|swap|fetch_\w+|cas|cas_strong|count|word_cas|word_try|word_put)|__atomic_(load|store)_n)\(")

# Accesses that do not name their field: (file, last name) -> the field, or several.
ALIASES = {
    ("sync/owner_internal.h", "owner"): "rota_mutex.owner_ rota_rwlock.owner_",
    ("sync/cond.c", "owner_"): "rota_mutex.owner_",
    ("sync/words_internal.h", "stamp"): "rota_watch.stamp_ rota_broadcast.ring_",
    ("sync/words_internal.h", "words"): "rota_watch.words_ rota_broadcast.ring_",
    ("sync/broadcast.c", "stamp"): "rota_broadcast.ring_",
    ("runtime/deque.c", "at"): "deque.first",
    ("runtime/park.c", "state"): "parker.state",
    ("runtime/task_state_internal.h", "state"): "rota_task.state",
}
BUSY_WORD = "sync/busy_internal.h"  # described once, above the rows


def fields_of(path, place):
    """The fields that `place`, the first argument of an access, means."""
    place = re.sub(r"\[[^]]*\]|\.value$|->value$|\+\+", "", place.strip().lstrip("&"))
    name = re.split(r"->|\.", place)[-1]
    if (path, name) in ALIASES:
        return ALIASES[path, name].split()
    if "waiter" in place:
        return ["rota_waiter." + name]
    if name in ("lock_", "mode_"):
        return ["rota_waitlist." + name]
    base = re.sub(r"_internal$", "", os.path.splitext(os.path.basename(path))[0])
    if path.startswith("sync/"):
        return [f"rota_{'channel' if base.startswith('channel') else base}.{name}"]
    return [f"{base}.{name}"]


def arguments(text, start):
    """The arguments of a call whose parenthesis was opened just before `start`."""
    depth, begin, found = 0, start, []
    for i in range(start, len(text)):
        if text[i] in "([":
            depth += 1
        elif text[i] in ")]":
            if depth == 0:
                return found + [text[begin:i].strip()]
            depth -= 1
        elif text[i] == "," and depth == 0:
            found.append(text[begin:i].strip())
            begin = i + 1
    return found


def accesses(source):
    """(file:line, field, order) of each access in the sources."""
    for pattern in SOURCES:
        for full in sorted(glob.glob(os.path.join(source, pattern))):
            path = os.path.relpath(full, source)
            if path == BUSY_WORD:
                continue
            with open(full, encoding="utf-8") as file:
                text = file.read()
            text = re.sub(r"/\*.*?\*/", lambda comment: re.sub(r"[^\n]", " ", comment.group()), text, flags=re.S)
            for call in CALL.finditer(text):
                given = arguments(text, call.end())
                order = "RELAXED" if call.group(1) == "count" else given[-1].replace("__ATOMIC_", "")
                where = f"{path}:{text.count(chr(10), 0, call.start()) + 1}"
                for field in fields_of(path, given[0]):
                    yield where, field, ORDERS[order]


def rows(source):
    """field -> the orders that its rows name."""
    named, last = {}, []
    with open(os.path.join(source, "docs/memory-ordering.md"), encoding="utf-8") as page:
        for line in page:
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if not line.startswith("|") or len(cells) < 2:
                last = []
                continue
            first = line.split("|")[1]
            fields = [name.replace("[]", "") for name in re.findall(r"`([a-z_]+\.[a-z_]+(?:\[\])?)`", first)]
            if first.strip():
                last = fields
            text = " ".join(cells[1:3])
            orders = set(re.findall(r"\b(acq_rel|acq|rel|rlx|SEQ_CST)\b", text))
            for words, meant in BY_NAME.items():
                if words in text:
                    orders |= {order + "?" for order in meant}  # may be, need not
            for field in last:
                named.setdefault(field, set()).update(orders)
    return named


def main():
    source = os.environ["SOURCE"]
    named, used, failed, count = rows(source), {}, False, 0
    for where, field, order in accesses(source):
        count += 1
        used.setdefault(field, set()).add(order)
        if field not in named:
            print(f"{where}: no row for `{field}`")
            failed = True
        elif not {order, order + "?"} & named[field]:
            print(f"{where}: {order}, which the row of `{field}` does not name")
            failed = True
    for field, orders in used.items():
        for order in sorted(named.get(field, set()) - orders):
            if not order.endswith("?") and order + "?" not in named[field]:
                print(f"docs/memory-ordering.md: `{field}`: {order}, which nothing uses")
                failed = True
    if count < 100:
        print(f"only {count} accesses were found")
        failed = True
    print(f"{count} accesses to {len(used)} fields")
    return failed


sys.exit(main())
