# SPDX-License-Identifier: MIT
"""A report as the tables of docs/performance.md."""
from judge import ROTA, losing
from table import goal_text, number, summary

MARKS = {True: "yes", False: "**no**", None: ""}


def cell(text):
    return str(text).replace("|", "\\|")


def row_line(row):
    own = row["contenders"].get(ROTA)
    figure = f"{number(own['median'])} ({number(own['min'])} to {number(own['max'])}) {row['unit']}" if own else "no figure"
    peers = ", ".join(f"{name} {number(peer['median'])}" for name, peer in row["contenders"].items() if name != ROTA)
    goals = ", ".join(goal_text(goal, row["unit"]) for goal in row["goals"])
    return f"| `{row['name']}` | {cell(row['what'])} | {cell(figure)} | {cell(peers)} | {cell(goals)} | {MARKS[row['met']]} |"


def lines(report):
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    yield (f"Commit {report['commit']}, {report['date']}; {machine}; {report['workers']} workers; library {report.get('library', 'shared')}; {report['seconds']} seconds in "
           f"all. {summary(report)}. Loses: {', '.join('`' + row['name'] + '`' for row in losing(report['rows'])) or 'none'}.")
    group = None
    for row in report["rows"]:
        if row["group"] != group:
            group = row["group"]
            yield f"\n### {group}\n"
            yield "| row | what | rota: median (minimum to maximum) | peers | goal | met |"
            yield "|---|---|---|---|---|---|"
        yield row_line(row)
