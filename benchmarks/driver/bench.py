#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures rota beside the peers, one program at a time; prints the table and writes the report.

rows.toml says what is measured and what it must reach. `./dev bench` builds everything and runs this."""
import argparse
import json
import os
import sys
import time

import collect
import compare
import judge
import markdown
import report
import rows
import table

HERE = os.path.dirname(os.path.abspath(__file__))
FORMAT = 1
SOURCE = os.path.dirname(os.path.dirname(HERE))


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these rows, or runs; none: all of them")
    parser.add_argument("--quick", action="store_true", help="two minutes in place of ten: does everything run?")
    parser.add_argument("--list", action="store_true", help="names the rows, with their goals, and runs nothing")
    parser.add_argument("--compare", nargs="+", metavar="JSON",
                        help="OLD.json: measures, then says what got slower since; OLD.json NEW.json: compares "
                        "the two and runs nothing. Exit code 1 if anything got slower")
    parser.add_argument("--markdown", metavar="JSON", help="prints a report's figures as docs/performance.md has them, and "
                        "runs nothing")
    parser.add_argument("--report", metavar="DIRECTORY", help="where the report goes (build/bench-report; with ROW, "
                        "build/bench-report/rows)")
    parser.add_argument("--shared", action="store_true", help="rota as a shared library, as most programs have it, in place of "
                        "the static one with link-time optimisation, as tokio and rayon are linked")
    parser.add_argument("--programs", help=argparse.SUPPRESS)
    parser.add_argument("--peers", default=os.path.join(SOURCE, "build/peers"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.compare:  # behind it there may be rows, too
        options.rows += [name for name in options.compare[1:] if not name.endswith(".json")]
        options.compare = options.compare[:1] + [name for name in options.compare[1:] if name.endswith(".json")]
        if len(options.compare) > 2:
            parser.error("--compare takes one file or two")
    if options.programs is None:
        options.programs = os.path.join(SOURCE, "build", "bench-shared" if options.shared else "bench", "benchmarks")
    os.environ.setdefault("BENCH_EXAMPLES", os.path.join(os.path.dirname(options.programs), "examples"))  # for peers/http.sh
    if options.report is None:
        options.report = os.path.join(SOURCE, "build/bench-report", "rows" if options.rows else "")
    return options


def load(path):
    """A report, as results.json has it."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or "rows" not in found:
        raise ValueError(f"{path}: no results.json of ./dev bench")
    return found


def list_rows(runs):
    for run in runs:
        for row in run.rows:
            print(f"{row.name:<34} {', '.join(goal.text for goal in row.goals):<44} {row.what}")


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(runs, options, directory):
    """Measures, and leaves report and log in the directory."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "log.txt"), "w", encoding="utf-8", buffering=1) as log:
        return measure_runs(runs, options, directory, log)


def measure_runs(runs, options, directory, log):
    """The report, which is written after each run, so that what was measured is there whatever comes next."""
    start = time.monotonic()
    places = [options.programs, options.peers, os.path.join(HERE, "../peers")]
    found = {"format": FORMAT, "kind": "quick" if options.quick else "full", "date": collect.now(),
             "commit": collect.commit(SOURCE), "machine": collect.machine(), "versions": collect.versions(),
             "library": "shared" if options.shared else "static, with link-time optimisation",
             "rows": [], "problems": [], "absent": [], "notes": {}, "workers": 0}
    for number, run in enumerate(runs, 1):
        say(f"[{number}/{len(runs)}, {time.monotonic() - start:.0f} s] {' '.join(run.program)}")
        results, problems, absent = collect.measure(run, options.quick, places, log)
        judged, missing = judge.judge(run, results)
        found["workers"] = max([found["workers"]] + [result["workers"] for result in results])
        found["rows"] += judged
        found["problems"] += problems + missing
        found["absent"] += absent
        for contender, notes in judge.notes(results).items():
            known = found["notes"].setdefault(contender, [])
            known += [note for note in notes if note not in known and not note.startswith("skipped")]
        found["seconds"] = round(time.monotonic() - start)
        found["left_out"] = [later.name for later in runs[number:]]
        report.write(found, directory)
    return found


def say_what_changed(old, new, verdicts):
    """The exit code."""
    print("\n".join(compare.lines(old, new, verdicts)))
    return 1 if compare.any_slower(verdicts) else 0


def compare_and_look_again(old, new, known, options):
    """Rows that have changed are measured once more."""
    verdicts = compare.compare(old, new)
    changed = [name for name, (kind, _) in verdicts.items() if kind in ("slower", "faster")]
    if changed:
        say(f"changed, so once more: {', '.join(changed)}")
        again = measure(rows.choose(known, changed), options, os.path.join(options.report, "again"))
        verdicts = compare.doubt_what_was_not_seen_again(verdicts, compare.compare(old, again))
    return say_what_changed(old, new, verdicts)


def run(options):
    old = load(options.compare[0]) if options.compare else None
    if options.compare and len(options.compare) == 2:
        new = load(options.compare[1])
        return say_what_changed(old, new, compare.compare(old, new))
    if options.markdown:
        print("\n".join(markdown.lines(load(options.markdown))))
        return 0
    known = rows.read(os.path.join(HERE, "../rows.toml"))
    runs = rows.choose(known, options.rows)
    if options.list:
        list_rows(runs if options.rows else known)
        return 0
    found = measure(runs, options, options.report)
    print("\n".join(table.lines(found)))
    print(f"report: {os.path.relpath(os.path.join(options.report, 'index.html'))}")
    if old:
        return compare_and_look_again(old, found, known, options)
    return 1 if found["problems"] else 0


def main(arguments):
    options = parse(arguments)
    try:
        return run(options)
    except (ValueError, OSError) as error:
        say(f"bench: {error}")
        return 2
    except KeyboardInterrupt:
        say("bench: stopped; the report has what was measured")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
