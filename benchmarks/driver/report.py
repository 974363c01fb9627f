# SPDX-License-Identifier: MIT
"""The report: one page that needs nothing but itself, and the figures as JSON beside it."""
import html
import json
import os

from chart import chart
from judge import ROTA, losing
from table import goal_text, number, times

ABOUT_QUICK = ("A quick measurement: small parameters, few and short rounds. It says what runs, not how fast; the sizes in the "
               "names of rows are those of a full one.")
ABOUT = ("Each figure is the median of the rounds, each round a process of its own that warms up first; rota's and the "
         "peers' take turns. The whisker goes from the least to the most, the dashed line is the "
         "goal; a bar that is ten times as long as rota's is torn off. &ldquo;2.00x&rdquo; says "
         "that rota is twice as good as that peer; below 1, it is worse.")


def escape(text):
    return html.escape(str(text))


def tiles(report):
    rows = report["rows"]
    lost, met = len(losing(rows)), sum(row["met"] is True for row in rows)
    still_open = sum(bool(row["goals"]) and row["met"] is None for row in rows)
    figures = [(met, "rows meet their goals", "good"), (lost, "rows lose", "bad" if lost else "good"),
               (len(report["problems"]), "problems", "bad" if report["problems"] else "good")]
    if still_open:
        figures.append((still_open, "cannot be judged: no such peer", ""))
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><b class="{kind}">{figure}</b>{text}</div>' for figure, text, kind in figures) + "</div>"


def losing_table(rows):
    if not rows:
        return "<h2>Rows that lose</h2><p>None.</p>"
    lines = []
    for row in rows:
        own = row["contenders"].get(ROTA)
        figure = f"{number(own['median'])} {escape(row['unit'])}" if own else "no figure"
        goals = ", ".join(escape(goal_text(goal, row["unit"])) for goal in row["goals"] if goal["met"] is False)
        lines.append(f'<tr><td><a href="#{escape(row["name"])}"><code>{escape(row["name"])}</code></a></td>'
                     f'<td>{escape(row["what"])}</td><td class="figure">{figure}</td><td>{goals}</td></tr>')
    head = '<tr><th>row</th><th>what</th><th class="figure">rota</th><th>goal</th></tr>'
    return ("<h2>Rows that lose</h2><table>" + head
            + "".join(lines) + "</table>")


def problems(found):
    if not found:
        return ""
    lines = [f"<li><code>{escape(p['run'])}</code>, {escape(p['contender'])}: {escape(p['error'])}</li>" for p in found]
    return "<h2>Problems</h2><ul>" + "".join(lines) + "</ul>"


def absent(found):
    if not found:
        return ""
    lines = [f"<li><code>{escape(p['run'])}</code>, {escape(p['contender'])}: {escape(p['why'])}</li>" for p in found]
    return "<h2>Peers that took no part</h2><ul>" + "".join(lines) + "</ul>"


def facts(report):
    lines = list(report["machine"].items()) + list(report["versions"].items())
    lines += [(f"peer {name}", "; ".join(notes)) for name, notes in report["notes"].items() if name != ROTA]
    return "<h2>Where and with what</h2><table>" + "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in lines) + "</table>"


def goal_item(goal, unit):
    kind, mark = {True: ("good", "met"), False: ("bad", "missed"), None: ("soft", "open")}[goal["met"]]
    return f'<li>goal {escape(goal_text(goal, unit))}: <b class="{kind}">{mark}</b></li>'


def row_card(row):
    ratios = ", ".join(f"{escape(name)} {times(ratio)}" for name, ratio in row["ahead"].items() if ratio is not None)
    source = f' <span class="soft">({escape(row["source"])})</span>' if row["source"] else ""
    return (f'<div class="row" id="{escape(row["name"])}"><div><h3>{escape(row["what"])}</h3>'
            f'<ul>{"".join(goal_item(goal, row["unit"]) for goal in row["goals"])}</ul>'
            + (f"<p>beside {ratios}</p>" if ratios else "")
            + f'<p class="soft"><code>{escape(row["command"])}</code>{source}</p></div><div>{chart(row)}</div></div>')


def rows_by_group(rows):
    parts, group = [], None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            parts.append(f"<h2>{escape(group)}</h2>")
        parts.append(row_card(row))
    return "".join(parts)


def unfinished(report):
    left_out = report.get("left_out")
    return f"<p class=\"bad\">Unfinished: {escape(', '.join(left_out))} are not measured.</p>" if left_out else ""


def page(report):
    with open(os.path.join(os.path.dirname(__file__), "page.css"), encoding="utf-8") as file:
        style = file.read()
    minutes = report["seconds"] / 60
    head = (f'<h1>rota beside other runtimes</h1><p class="soft">commit {escape(report["commit"])}, '
            f'{escape(report["date"])}, {escape(report["kind"])} measurement of {minutes:.1f} minutes, '
            f'{report["workers"]} workers; library {escape(report.get("library", "shared"))}; all figures: <a href="results.json">results.json</a></p>')
    about = ABOUT if report["kind"] != "quick" else ABOUT_QUICK + " " + ABOUT
    return ("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width\">"
            f"<title>rota beside other runtimes</title><style>{style}</style></head><body>"
            + head + unfinished(report) + tiles(report) + losing_table(losing(report["rows"]))
            + problems(report["problems"]) + absent(report.get("absent"))
            + f'<h2>How to read it</h2><p>{about}</p>' + rows_by_group(report["rows"]) + facts(report)
            + "</body></html>\n")


def write(report, directory):
    """Both files, each as a whole or not at all."""
    os.makedirs(directory, exist_ok=True)
    for name, text in (("results.json", json.dumps(report, indent=1) + "\n"), ("index.html", page(report))):
        path = os.path.join(directory, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)
