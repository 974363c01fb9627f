# SPDX-License-Identifier: MIT
"""What is measured and what it must reach: reads rows.toml."""
import dataclasses
import re
import tomllib

GOAL = re.compile(r"(?P<sign><=|>=) (?P<number>[0-9.e]+)(?: (?P<who>@?[\w-]+)(?: \+ (?P<plus>[0-9.]+))?)?")


@dataclasses.dataclass
class Goal:
    """At most, or at least, factor times somebody's figure (or just factor), plus something."""
    text: str
    at_most: bool
    factor: float
    who: str = ""  # "": the figure is absolute; "best": of the peers; "@result": rota's own
    plus: float = 0.0


@dataclasses.dataclass
class Row:
    run: str
    result: str
    what: str
    goals: list
    source: str

    @property
    def name(self):
        return f"{self.run}.{self.result}"


@dataclasses.dataclass
class Run:
    name: str
    group: str
    program: list
    peers: dict  # name: command
    beside: list  # those of them that the best is not chosen from
    seconds: tuple  # full, quick
    more: tuple  # arguments: full, quick
    only_named: bool
    environment: dict
    rows: list


def parse_goal(text):
    if text == "lead":
        return Goal(text, None, 1.0, "best")
    match = GOAL.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no goal")
    return Goal(text, match["sign"] == "<=", float(match["number"]), match["who"] or "", float(match["plus"] or 0))


def parse_run(name, table, peers):
    rows = []
    for result, what, goals, source in table["rows"]:
        rows.append(Row(name, result, what, [parse_goal(goal) for goal in goals.split(", ") if goal], source))
    beside = table.get("beside", [])
    commands = {peer: peers[peer] for peer in table["peers"] + beside}
    full, quick = table["seconds"]
    environment = {"ROTA_BACKEND": table["backend"]} if "backend" in table else {}
    return Run(name, table["group"], table["program"].split(), commands, beside, (full, quick),
               (table.get("full", "").split(), table.get("quick", "").split()), table.get("only_named", False),
               environment, rows)


def read(path):
    with open(path, "rb") as file:
        document = tomllib.load(file)
    return [parse_run(name, table, document["peers"]) for name, table in document["runs"].items()]


def choose(runs, names):
    """The runs that `names` (of runs or of rows; none: all) ask for, each with the rows that are meant."""
    if not names:
        return [run for run in runs if not run.only_named]
    chosen = []
    for run in runs:
        rows = run.rows if run.name in names else [row for row in run.rows if row.name in names]
        if rows or run.name in names:
            chosen.append(dataclasses.replace(run, rows=rows))
    known = {run.name for run in runs} | {row.name for run in runs for row in run.rows}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no such row: {', '.join(unknown)} (--list names them)")
    return chosen
