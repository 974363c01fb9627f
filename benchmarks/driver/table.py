# SPDX-License-Identifier: MIT
"""The table that is printed: rows that lose first, by name, then all of them."""
import re

from judge import ROTA, losing


def number(value):
    """Four digits that mean something."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.2g}"


def times(ratio):
    return "" if ratio is None else f"{ratio:.2f}x" if ratio < 100 else f"{ratio:,.0f}x"


def goal_text(goal, unit):
    """As rows.toml has it, in words, and what that came to."""
    if goal.get("peer"):
        return f"lead ({goal['peer']} {number(goal['limit'])})" if goal["limit"] is not None else "lead"
    names_peer = " " in goal["goal"].removeprefix("<= ").removeprefix(">= ") or goal["goal"] == "lead"
    text = re.sub(r" 1 (?=[@a-zA-Z])", " ", goal["goal"]).replace("@", "own ")
    if not names_peer:
        return f"{text} {unit}"
    return text if goal["limit"] is None else f"{text} ({number(goal['limit'])} {unit})"


MARKS = {True: "yes", False: "NO", None: ""}


def missed(row):
    """Why it loses, in a few words."""
    goals = "; ".join(goal_text(goal, row["unit"]) for goal in row["goals"] if goal["met"] is False)
    own = number(row["contenders"][ROTA]["median"]) + " " + row["unit"] if ROTA in row["contenders"] else "no figure"
    return f"{own}; goal {goals}"


def row_lines(row):
    peers = [name for name in row["contenders"] if name != ROTA]
    goals = ", ".join(goal_text(goal, row["unit"]) for goal in row["goals"])
    own = row["contenders"].get(ROTA)
    figure = f"{number(own['median'])} ({number(own['min'])} to {number(own['max'])})" if own else "no figure"
    yield f"{row['name']:<32} {figure:>38} {row['unit']:<10} {MARKS[row['met']]:<4} {goals}"
    for name in peers:
        peer = row["contenders"][name]
        figure = f"{number(peer['median'])} ({number(peer['min'])} to {number(peer['max'])})"
        yield f"    {name:<28} {figure:>38} {row['unit']:<10} {times(row['ahead'][name]):>8}"


def summary(report):
    rows = report["rows"]
    met = sum(row["met"] is True for row in rows)
    with_goal = sum(bool(row["goals"]) for row in rows)
    return f"{met} of {with_goal} rows meet their goals, {len(losing(rows))} lose"


def lines(report):
    for row in losing(report["rows"]):
        yield f"loses: {row['name']} ({row['what']}): {missed(row)}"
    for problem in report["problems"]:
        yield f"problem: {problem['run']}, {problem['contender']}: {problem['error']}"
    for peer in report["absent"]:
        yield f"absent: {peer['run']}, {peer['contender']}: {peer['why']}"
    yield ""
    yield (f"{'row':<32} {'median (minimum to maximum)':>38} {'unit':<10} {'met':<4} "
           "goal / how many times better rota is")
    group = None
    for row in report["rows"]:
        if row["group"] != group:
            group = row["group"]
            yield f"\n{group}"
        yield from row_lines(row)
    yield ""
    yield summary(report)
