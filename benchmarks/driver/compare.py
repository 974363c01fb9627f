# SPDX-License-Identifier: MIT
"""What became slower, beyond noise: rota's rows of two reports.

A row is slower (or faster) when its median is worse (better) by 3 % at least and the rounds of the two reports do not
overlap: all of one are worse than all of the other. Three rounds and three that are alike do so one time in ten; so
where a side has fewer than five, they must also be further apart than they are among themselves. With fewer than three
nothing is said of the row."""
from judge import ROTA, more_is_better
from table import number

LEAST_CHANGE = 0.03
LEAST_ROUNDS = 3
ENOUGH_ROUNDS = 5


def change(unit, old, new):
    """By what share of the old median the new one is worse (below 0: better)."""
    if old["median"] == 0:
        return 0.0 if new["median"] == 0 else float("inf")
    difference = (new["median"] - old["median"]) / old["median"]
    return -difference if more_is_better(unit) else difference


def apart(old, new):
    gap = max(new["min"] - old["max"], old["min"] - new["max"])
    if min(len(old["rounds"]), len(new["rounds"])) >= ENOUGH_ROUNDS:
        return gap > 0
    return gap > max(figures["max"] - figures["min"] for figures in (old, new))


def compare_row(old, new):
    """"slower", "faster", "same" or "unknown", and the change."""
    before, after = old["contenders"].get(ROTA), new["contenders"].get(ROTA)
    if not before or not after or old["unit"] != new["unit"]:
        return "unknown", 0.0
    worse = change(new["unit"], before, after)
    if min(len(before["rounds"]), len(after["rounds"])) < LEAST_ROUNDS:
        return "unknown", worse
    if not apart(before, after) or abs(worse) < LEAST_CHANGE:
        return "same", worse
    return ("slower" if worse > 0 else "faster"), worse


def warnings(old, new):
    for key in ("cpu", "cpus", "kernel"):
        if old["machine"].get(key) != new["machine"].get(key):
            yield f"not the same {key}: {old['machine'].get(key)}, now {new['machine'].get(key)}"
    for key in ("kind", "workers"):
        if old[key] != new[key]:
            yield f"not the same {key}: {old[key]}, now {new[key]}"


def compare(old, new):
    """Lines to print, and whether anything became slower, or was measured before and failed now."""
    before = {row["name"]: row for row in old["rows"]}
    counts = {"slower": 0, "faster": 0, "same": 0, "unknown": 0}
    lines = [f"warning: {text}" for text in warnings(old, new)]
    for row in new["rows"]:
        if row["name"] not in before:
            continue
        kind, worse = compare_row(before[row["name"]], row)
        counts[kind] += 1
        if kind in ("slower", "faster"):
            figures = [r["contenders"][ROTA] for r in (before[row["name"]], row)]
            was, now = (f"{number(f['median'])} ({number(f['min'])} to {number(f['max'])})" for f in figures)
            lines.append(f"{kind}: {row['name']}: {was}, now {now} {row['unit']}: {abs(worse):.1%}")
        elif ROTA in before[row["name"]]["contenders"] and ROTA not in row["contenders"]:
            lines.append(f"slower: {row['name']}: has no figure any more")
            counts["slower"] += 1
    lines.append(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return lines, counts["slower"] > 0
