#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The driver of the benchmarks on figures that were made up (made_up.toml, made_up.jsonl): goals, verdicts, table, page,
comparison; and on programs that fail, hang, or print nonsense."""
import copy
import json
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../benchmarks/driver"))
import collect  # noqa: E402
import compare  # noqa: E402
import judge  # noqa: E402
import markdown  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import table  # noqa: E402
from chart import chart  # noqa: E402


def made_up_runs():
    return rows.read(os.path.join(HERE, "made_up.toml"))


def made_up_report():
    with open(os.path.join(HERE, "made_up.jsonl"), encoding="utf-8") as lines:
        results = [json.loads(line) for line in lines]
    found = {"format": 1, "kind": "full", "date": "2001-02-03 04:05 UTC", "commit": "0123456789ab", "seconds": 66,
             "machine": {"cpu": "made up", "cpus": 2, "kernel": "0"}, "versions": {}, "workers": 2,
             "problems": [{"run": "walk", "contender": "<snail>", "error": "a round took too long & was killed"}],
             "absent": [{"run": "walk", "contender": "<sloth>", "why": "it is <asleep>"}],
             "rows": [], "notes": judge.notes(results)}
    for run in rows.choose(made_up_runs(), []):
        judged, missing = judge.judge(run, [result for result in results if result["workload"] == run.name])
        found["rows"] += judged
        found["problems"] += missing
    return found


class Rows(unittest.TestCase):
    def test_goals(self):
        goal = rows.parse_goal("<= 1 @eight + 100")
        self.assertEqual((goal.at_most, goal.factor, goal.who, goal.plus), (True, 1.0, "@eight", 100.0))
        goal = rows.parse_goal(">= 20e6")
        self.assertEqual((goal.at_most, goal.factor, goal.who), (False, 20e6, ""))
        for nonsense in ("80", "< 80", "<= fast", "<= 1 2 3", "<= 1 + 2", "leads"):
            with self.assertRaises(ValueError):
                rows.parse_goal(nonsense)

    def test_choice(self):
        runs = made_up_runs()
        self.assertEqual([run.name for run in rows.choose(runs, [])], ["walk", "carry"])
        self.assertEqual([run.name for run in rows.choose(runs, ["sleep.dream"])], ["sleep"])
        chosen = rows.choose(runs, ["walk.step"])
        self.assertEqual([row.name for run in chosen for row in run.rows], ["walk.step"])
        self.assertEqual(len(rows.choose(runs, ["walk"])[0].rows), len(runs[0].rows))
        with self.assertRaises(ValueError):
            rows.choose(runs, ["walk", "swim"])

    def test_back_end(self):
        self.assertEqual([run.environment for run in made_up_runs()], [{}, {"ROTA_BACKEND": "epoll"}, {}])

    def test_the_real_table_can_be_read(self):
        runs = rows.read(os.path.join(HERE, "../../benchmarks/rows.toml"))
        names = [row.name for run in runs for row in run.rows]
        self.assertEqual(len(names), len(set(names)))
        for run in runs:
            for row in run.rows:
                for goal in row.goals:
                    known = goal.who in ("", "best") or goal.who.startswith("@") or goal.who in run.peers
                    self.assertTrue(known, f"{row.name}: {goal.text}: {goal.who} does not take part")


class Verdicts(unittest.TestCase):
    def setUp(self):
        self.report = made_up_report()
        self.rows = {row["name"]: row for row in self.report["rows"]}

    def goals(self, name):
        return {goal["goal"]: (goal["limit"], goal["met"]) for goal in self.rows[name]["goals"]}

    def test_less_is_better(self):
        self.assertEqual(self.goals("walk.step"), {"<= 80": (80, True), "<= 0.5 tortoise": (100, True), "lead": (60, False)})
        self.assertEqual(self.rows["walk.step"]["ahead"], {"tortoise": 200 / 75, "hare": 60 / 75})
        self.assertIs(self.rows["walk.step"]["met"], False)

    def test_more_is_better(self):
        self.assertEqual(self.goals("walk.speed"), {">= 1.5 tortoise": (1500, True), "lead": (1000, True)})
        self.assertEqual(self.rows["walk.speed"]["ahead"], {"tortoise": 2.0})
        self.assertIs(self.rows["walk.speed"]["met"], True)

    def test_beside_itself(self):
        self.assertEqual(self.goals("walk.run"), {"<= 1 @step + 10": (85, True)})

    def test_open_without_the_peer(self):
        self.assertEqual(self.goals("carry.load"), {"<= 1 hare": (None, None), "<= 8": (8, True), "<= 0.5 tortoise": (7.5, True),
                                                     "lead": (None, None)})
        self.assertIsNone(self.rows["carry.load"]["met"])

    def test_nothing_to_reach(self):
        self.assertEqual(self.goals("walk.breath"), {})
        self.assertIsNone(self.rows["walk.breath"]["met"])

    def test_missing_row_is_a_problem(self):
        self.assertNotIn("carry.lift", self.rows)
        self.assertIn({"run": "carry", "contender": "all", "error": "no result lift"}, self.report["problems"])

    def test_versions_are_told(self):
        self.assertEqual(self.report["notes"], {"tortoise": ["tortoise 1.0", "slow"]})


class Shown(unittest.TestCase):
    def test_losing_rows_come_first(self):
        lines = list(table.lines(made_up_report()))
        self.assertTrue(lines[0].startswith("loses: walk.step (one step): 75 ns; goal lead (hare 60)"), lines[0])
        self.assertIn("absent: walk, <sloth>: it is <asleep>", lines)
        self.assertIn("2 of 4 rows meet their goals, 1 lose", lines[-1])

    def test_page(self):
        with tempfile.TemporaryDirectory() as directory:
            report.write(made_up_report(), directory)
            with open(os.path.join(directory, "index.html"), encoding="utf-8") as file:
                page = file.read()
            with open(os.path.join(directory, "results.json"), encoding="utf-8") as file:
                self.assertEqual(json.load(file), made_up_report())
        self.assertLess(page.index('href="#walk.step"'), page.index('id="walk.step"'))
        self.assertIn("&lt;snail&gt;", page)
        self.assertNotIn("<snail>", page)
        self.assertIn("&lt;sloth&gt;: it is &lt;asleep&gt;", page)
        for elsewhere in ("http://", "https://", "<script", "<link", "url("):
            self.assertNotIn(elsewhere, page)

    def test_pictures_are_well_formed(self):
        for row in made_up_report()["rows"]:
            picture = xml.etree.ElementTree.fromstring(chart(row))
            bars = [part for part in picture if part.tag == "rect"]
            self.assertEqual(len(bars), len(row["contenders"]))


class Printed(unittest.TestCase):
    def test_goals_in_words(self):
        for text, peer, shown in (("<= 80", None, "<= 80 ns"), ("<= 1 tokio", None, "<= tokio (50 ns)"),
                                  ("<= 0.5 tokio", None, "<= 0.5 tokio (50 ns)"),
                                  ("<= 1 @eight + 100", None, "<= own eight + 100 (50 ns)"),
                                  ("lead", "go", "lead (go 50)")):
            self.assertEqual(table.goal_text({"goal": text, "limit": 50, "peer": peer}, "ns"), shown)


class Markdown(unittest.TestCase):
    def test_lines(self):
        found = made_up_report()
        lines = list(markdown.lines(found))
        self.assertIn("0123456789ab", lines[0])
        for row in found["rows"]:
            line = next(line for line in lines if line.startswith(f"| `{row['name']}` |"))
            self.assertEqual(line.replace("\\|", "").count("|"), 7, line)
            self.assertTrue(line.endswith({True: "| yes |", False: "| **no** |", None: "|  |"}[row["met"]]), line)
            for name in row["contenders"]:
                self.assertTrue(name == "rota" or f"{name} " in line, line)


class Compared(unittest.TestCase):
    def setUp(self):
        self.old, self.new = made_up_report(), made_up_report()

    @staticmethod
    def set(found, rounds, contender="rota", name="walk.step"):
        figures = next(row for row in found["rows"] if row["name"] == name)["contenders"][contender]
        figures.update(median=sorted(rounds)[len(rounds) // 2], min=min(rounds), max=max(rounds), rounds=sorted(rounds))

    def verdict(self, name="walk.step"):
        return compare.compare(self.old, self.new)[name][0]

    def step(self, rounds):
        """What is said of one that took 70, 75 and 80."""
        self.set(self.new, rounds)
        return self.verdict()

    def test_same(self):
        self.assertEqual(self.step([75, 70, 80]), "same")

    def test_slower(self):
        self.assertEqual(self.step([95, 97, 99]), "slower")

    def test_faster(self):
        self.assertEqual(self.step([40, 45, 50]), "faster")

    def test_worse_but_within_noise(self):
        self.assertEqual(self.step([79, 95, 99]), "same")

    def test_few_rounds_that_hardly_miss_each_other(self):
        self.assertEqual(self.step([85, 90, 94]), "same")

    def test_enough_rounds_that_hardly_miss_each_other(self):
        self.set(self.old, [70, 72, 75, 78, 80])
        self.assertEqual(self.step([81, 82, 85, 88, 90]), "slower")

    def test_too_few_rounds(self):
        self.assertEqual(self.step([99, 99]), "unknown")

    def test_less_of_what_should_be_more(self):
        self.set(self.new, [990, 1000, 1010], name="walk.speed")
        self.assertEqual(self.verdict("walk.speed"), "slower")
        self.old, self.new = self.new, self.old
        self.assertEqual(self.verdict("walk.speed"), "faster")

    def test_lost_figure(self):
        del next(row for row in self.new["rows"] if row["name"] == "walk.speed")["contenders"]["rota"]
        self.assertEqual(self.verdict("walk.speed"), "slower")
        self.assertIn("slower: walk.speed: has no figure any more",
                      compare.lines(self.old, self.new, compare.compare(self.old, self.new)))

    def test_peers_that_lost_as_much(self):
        self.set(self.new, [252, 260, 268], "tortoise")
        self.set(self.new, [77, 78, 79], "hare")
        self.assertEqual(self.step([95, 97, 99]), "doubt")

    def test_peers_that_lost_less(self):
        self.set(self.new, [210, 212, 214], "tortoise")
        self.set(self.new, [62, 63, 64], "hare")
        self.assertEqual(self.step([95, 97, 99]), "slower")

    def test_what_is_not_so_again_is_in_doubt(self):
        once = {"a": ("slower", 0.3), "b": ("slower", 0.3), "c": ("same", 0.0), "d": ("faster", -0.3)}
        again = {"a": ("slower", 0.2), "b": ("same", 0.1), "d": ("slower", 0.3)}
        self.assertEqual({name: kind for name, (kind, _) in compare.doubt_what_was_not_seen_again(once, again).items()},
                         {"a": "slower", "b": "doubt", "c": "same", "d": "doubt"})

    def test_lines_and_exit(self):
        self.set(self.new, [95, 97, 99])
        verdicts = compare.compare(self.old, self.new)
        lines = list(compare.lines(self.old, self.new, verdicts))
        self.assertTrue(compare.any_slower(verdicts))
        self.assertEqual(lines[0], "slower: walk.step: 75 (70 to 80), now 97 (95 to 99) ns: 29.3% worse")
        self.assertIn("1 slower, 0 faster, 0 doubt", lines[-1])
        self.assertFalse(compare.any_slower(compare.compare(self.old, self.old)))

    def test_other_machine_is_told(self):
        self.new = copy.deepcopy(self.new)
        self.new["machine"]["cpus"] = 64
        self.assertIn("warning: not the same cpus: 2, now 64",
                      compare.lines(self.old, self.new, compare.compare(self.old, self.new)))


class Collected(unittest.TestCase):
    """A program in place of the harness: a shell script that is given as the program of the run."""

    def measure(self, script, limits=None):
        run = made_up_runs()[0]
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, run.program[0])
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + script + "\n")
            os.chmod(path, 0o755)
            run.seconds, collect.ROUND_LIMIT_S = (0, 0), limits or (60, 20)
            with open(os.path.join(directory, "log"), "w+", encoding="utf-8", buffering=1) as log:
                results, problems, self.absent = collect.measure(run, False, [directory], log)
                log.seek(0)
                self.log = log.read()
            return results, problems

    def test_lines(self):
        results, problems = self.measure("""echo '{"result":"step","contender":"rota"}'; echo what?; echo oh >&2; echo '{"contender":"hare","error":"fell"}'""")
        self.assertEqual(results, [{"result": "step", "contender": "rota"}])
        self.assertEqual(problems, [{"run": "walk", "contender": "hare", "error": "fell"}])
        self.assertEqual(sorted(self.log.splitlines()), ["oh", "walk: not JSON: what?"])

    def test_who_took_no_part(self):
        self.measure("""echo '{"result":"step","contender":"rota"}'; echo '{"contender":"hare","error":"fell"}'""")
        self.assertEqual([(peer["run"], peer["contender"]) for peer in self.absent], [("walk", "tortoise")])
        self.assertTrue(self.absent[0]["why"].endswith("tortoise-peer is not there"), self.absent[0]["why"])

    def test_failure(self):
        self.assertEqual(self.measure("exit 3")[1], [{"run": "walk", "contender": "all", "error": "no results"}])

    def test_one_that_hangs_is_stopped(self):
        results, problems = self.measure("""echo '{"result":"step","contender":"rota"}'; exec sleep 1000""", (1 / 3, 1 / 3))
        self.assertEqual(results, [{"result": "step", "contender": "rota"}])
        self.assertEqual(len(problems), 1)

    def test_arguments(self):
        results, _ = self.measure("""printf '{"contender":"rota","arguments":"%s"}\\n' "$*" """)
        words = results[0]["arguments"].split()
        self.assertEqual(words[:3], ["--json", "--far", "7"])
        self.assertEqual(words[words.index("--rounds") + 1], str(collect.ROUNDS_MAX[0]))
        self.assertEqual(words[words.index("--budget") + 1], "0")
        self.assertTrue(words[words.index("--peer") + 1].startswith("tortoise=/"))
        self.assertEqual(words[-2:], ["--", "north"])
        self.assertEqual(collect.command_line(["go", "--to", "@sea"], ["/nowhere"]), ["/nowhere/go", "--to", "/nowhere/sea"])


if __name__ == "__main__":
    unittest.main()
