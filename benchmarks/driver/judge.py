# SPDX-License-Identifier: MIT
"""From what was measured to rows with ratios and verdicts."""

ROTA = "rota"


def more_is_better(unit):
    return unit.endswith("/s")


def ahead(unit, own, other):
    """How many times better `own` is than `other`; None when that cannot be said."""
    if own <= 0 or other <= 0:
        return None
    return own / other if more_is_better(unit) else other / own


def best_peer(unit, contenders, beside):
    peers = {name: figures["median"] for name, figures in contenders.items() if name not in [ROTA] + beside}
    if not peers:
        return None
    return (max if more_is_better(unit) else min)(peers, key=peers.get)


def judge_goal(goal, unit, contenders, beside, own_results):
    """The goal with its limit in figures, and whether it is met: None when there is nothing to compare with."""
    verdict = {"goal": goal.text, "limit": None, "met": None}
    if goal.text == "lead":
        verdict["peer"] = best_peer(unit, contenders, beside)
    if goal.who.startswith("@"):
        base = own_results.get(goal.who[1:])
    elif goal.who:
        peer = best_peer(unit, contenders, beside) if goal.who == "best" else goal.who
        base = contenders[peer]["median"] if peer in contenders else None
    else:
        base = 1.0
    if base is None or ROTA not in contenders:
        return verdict
    limit = verdict["limit"] = goal.factor * base + goal.plus
    at_most = not more_is_better(unit) if goal.at_most is None else goal.at_most
    own = contenders[ROTA]["median"]
    verdict["met"] = own <= limit if at_most else own >= limit
    return verdict


def judge_row(row, run, results):
    """One row of the table, from all results of its run; None when nobody has measured it."""
    contenders, unit = {}, ""
    for result in results:
        if result["result"] == row.result:
            contenders[result["contender"]] = {key: result[key] for key in ("median", "min", "max", "rounds")}
            unit = result["unit"]
    if not contenders:
        return None
    own_results = {result["result"]: result["median"] for result in results if result["contender"] == ROTA}
    own = contenders.get(ROTA, {}).get("median", 0)
    goals = [judge_goal(goal, unit, contenders, run.beside, own_results) for goal in row.goals]
    return {
        "name": row.name, "group": run.group, "what": row.what, "unit": unit, "source": row.source,
        "command": f"./dev bench {row.name}", "contenders": contenders, "goals": goals,
        "ahead": {name: ahead(unit, own, figures["median"]) for name, figures in contenders.items() if name != ROTA},
        "met": verdict(goals),
    }


def verdict(goals):
    """False: one is missed; None: none is, and one or all could not be judged; True: all are met."""
    met = [goal["met"] for goal in goals]
    if False in met:
        return False
    return True if met and None not in met else None


def judge(run, results):
    """The rows of a run, and problems: rows that nobody measured."""
    rows, problems = [], []
    for row in run.rows:
        judged = judge_row(row, run, results)
        if judged:
            rows.append(judged)
        else:
            problems.append({"run": run.name, "contender": "all", "error": f"no result {row.result}"})
    return rows, problems


def losing(rows):
    return [row for row in rows if row["met"] is False]


def notes(results):
    """What the contenders said of themselves, their versions among it."""
    found = {}
    for result in results:
        for note in filter(None, result["notes"].split("; ")):
            found.setdefault(result["contender"], [])
            if note not in found[result["contender"]]:
                found[result["contender"]].append(note)
    return found
