# SPDX-License-Identifier: MIT
"""What became slower, beyond noise: rota's rows of two reports.

A row is slower (or faster) when its median is worse (better) by 3 % at least and the rounds of the two reports do not
overlap: all of one are worse than all of the other. Three rounds and three that are alike do so one time in ten; so
where a side has fewer than five, they must also be further apart than they are among themselves. With fewer than three
nothing is said of the row.

The rounds of one report have a machine in common, which may be another one an hour later: its CPUs have moved. So what the
peers lost, too, is taken off; if less than half of the change is left, or less than 3 %, the row is in doubt."""
import statistics

from judge import ROTA, more_is_better
from table import number

LEAST_CHANGE = 0.03
LEAST_ROUNDS = 3
ENOUGH_ROUNDS = 5
LEAST_SHARE_LEFT = 0.5


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


def change_of_peers(old, new):
    """By how much the peers of a row are worse, in the middle; 0 without peers."""
    common = [name for name in old["contenders"] if name != ROTA and name in new["contenders"]]
    changes = [change(new["unit"], old["contenders"][name], new["contenders"][name]) for name in common]
    return statistics.median(changes) if changes else 0.0


def compare_row(old, new):
    """"slower", "faster", "doubt", "same" or "unknown", and the change."""
    before, after = old["contenders"].get(ROTA), new["contenders"].get(ROTA)
    if before and not after:
        return "slower", float("inf")
    if not before or not after or old["unit"] != new["unit"]:
        return "unknown", 0.0
    worse = change(new["unit"], before, after)
    if min(len(before["rounds"]), len(after["rounds"])) < LEAST_ROUNDS:
        return "unknown", worse
    if not apart(before, after) or abs(worse) < LEAST_CHANGE:
        return "same", worse
    left = (worse - change_of_peers(old, new)) * (1 if worse > 0 else -1)
    if left < max(LEAST_CHANGE, LEAST_SHARE_LEFT * abs(worse)):
        return "doubt", worse
    return ("slower" if worse > 0 else "faster"), worse


def warnings(old, new):
    for key in ("cpu", "cpus", "kernel"):
        if old["machine"].get(key) != new["machine"].get(key):
            yield f"warning: not the same {key}: {old['machine'].get(key)}, now {new['machine'].get(key)}"
    for key in ("kind", "workers"):
        if old[key] != new[key]:
            yield f"warning: not the same {key}: {old[key]}, now {new[key]}"
    libraries = [report.get("library", "shared") for report in (old, new)]
    if libraries[0] != libraries[1]:
        yield f"warning: not the same library: {libraries[0]}, now {libraries[1]}"


def compare(old, new):
    """The rows that both have, by name: what compare_row says of each."""
    before = {row["name"]: row for row in old["rows"]}
    return {row["name"]: compare_row(before[row["name"]], row) for row in new["rows"] if row["name"] in before}


def doubt_what_was_not_seen_again(verdicts, again):
    """Rows that were slower, or faster, once only are in doubt."""
    return {name: ("doubt", worse) if kind in ("slower", "faster") and again.get(name, (kind, 0))[0] != kind else (kind, worse)
            for name, (kind, worse) in verdicts.items()}


def line(name, kind, worse, old, new):
    before, after = old["contenders"].get(ROTA), new["contenders"].get(ROTA)
    if not after:
        return f"{kind}: {name}: has no figure any more"
    was, now = (f"{number(f['median'])} ({number(f['min'])} to {number(f['max'])})" for f in (before, after))
    return f"{kind}: {name}: {was}, now {now} {new['unit']}: {abs(worse):.1%} {'worse' if worse > 0 else 'better'}"


def lines(old, new, verdicts):
    yield from warnings(old, new)
    olds, news = ({row["name"]: row for row in report["rows"]} for report in (old, new))
    counts = {"slower": 0, "faster": 0, "doubt": 0, "same": 0, "unknown": 0}
    for name, (kind, worse) in verdicts.items():
        counts[kind] += 1
        if kind not in ("same", "unknown"):
            yield line(name, kind, worse, olds[name], news[name])
    yield ", ".join(f"{count} {kind}" for kind, count in counts.items())


def any_slower(verdicts):
    return any(kind == "slower" for kind, _ in verdicts.values())
