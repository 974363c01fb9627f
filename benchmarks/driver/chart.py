# SPDX-License-Identifier: MIT
"""A picture of one row: a bar a contender, with a whisker from minimum to maximum, and a line where the goal is.
A bar that would leave nothing to see of rota's is cut off, and its end is torn."""
import html

from judge import ROTA
from table import number

WIDTH, LEFT, RIGHT, BAR, GAP = 520, 92, 130, 15, 7
MOST_TIMES = 10  # rota's bar, if there is more


def goal_limits(row):
    return {goal["limit"] for goal in row["goals"] if goal["limit"] is not None and goal["goal"] != "lead"}


def top_of(row):
    """The figure where the longest bars end."""
    top = max(figures["max"] for figures in row["contenders"].values())
    own = row["contenders"].get(ROTA)
    if own and own["median"] > 0:
        near = [limit for limit in goal_limits(row) if limit < MOST_TIMES * own["median"]]
        top = min(top, max([MOST_TIMES * own["median"], own["max"]] + near))
    return top or 1


def bar(index, name, figures, unit, top):
    y = index * (BAR + GAP) + GAP
    middle, per_unit = y + BAR / 2, (WIDTH - LEFT - RIGHT) / top
    torn = figures["median"] > top
    width = max(1, min(figures["median"], top) * per_unit)
    low, high = LEFT + figures["min"] * per_unit, LEFT + min(figures["max"], top) * per_unit
    kind = "own" if name == ROTA else "peer"
    parts = [
        f'<text class="name" x="{LEFT - 6}" y="{y + BAR - 3}" text-anchor="end">{html.escape(name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
    ]
    if torn:
        strokes = "".join(f"M{LEFT + width - back:.1f} {y + BAR + 1}l6 -{BAR + 2}" for back in (12, 7))
        parts.append(f'<path class="tear" d="{strokes}"/>')
    elif high - low >= 1:
        ends = "".join(f"M{x:.1f} {middle - 3}v6" for x in ((low, high) if figures["max"] <= top else (low,)))
        parts.append(f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}{ends}"/>')
    end = max(LEFT + width, high) + 6
    value = f"{number(figures['median'])} {html.escape(unit)}"
    parts.append(f'<text class="value" x="{end:.1f}" y="{y + BAR - 3}">{value}</text>')
    return "".join(parts)


def chart(row):
    top = top_of(row)
    contenders = sorted(row["contenders"].items(), key=lambda item: item[0] != ROTA)
    height = len(contenders) * (BAR + GAP) + GAP
    parts = [bar(i, name, figures, row["unit"], top) for i, (name, figures) in enumerate(contenders)]
    for limit in goal_limits(row):
        if 0 < limit <= top * 1.1:
            x = LEFT + limit * (WIDTH - LEFT - RIGHT) / top
            parts.append(f'<path class="goal" d="M{x:.1f} 2V{height - 2}"/>')
    label = html.escape(f"{row['name']}: " + ", ".join(f"{name} {number(c['median'])}" for name, c in contenders))
    return (f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{label}">'
            + "".join(parts) + "</svg>")
