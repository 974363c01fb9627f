# SPDX-License-Identifier: MIT
"""A picture of one row: a bar a contender, with a whisker from minimum to maximum, and a line where the goal is."""
import html

from judge import ROTA
from table import number

WIDTH, LEFT, RIGHT, BAR, GAP = 520, 72, 130, 15, 7


def bar(index, name, figures, unit, per_unit):
    y = index * (BAR + GAP) + GAP
    width = max(1, figures["median"] * per_unit)
    low, high = LEFT + figures["min"] * per_unit, LEFT + figures["max"] * per_unit
    middle = y + BAR / 2
    kind = "own" if name == ROTA else "peer"
    parts = [
        f'<text class="name" x="{LEFT - 6}" y="{y + BAR - 3}" text-anchor="end">{html.escape(name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
    ]
    if high - low >= 1:
        ends = "".join(f"M{x:.1f} {middle - 3}v6" for x in (low, high))
        parts.append(f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}{ends}"/>')
    end = max(LEFT + width, high) + 6
    value = f"{number(figures['median'])} {html.escape(unit)}"
    parts.append(f'<text class="value" x="{end:.1f}" y="{y + BAR - 3}">{value}</text>')
    return "".join(parts)


def chart(row):
    top = max(figures["max"] for figures in row["contenders"].values()) or 1
    per_unit = (WIDTH - LEFT - RIGHT) / top
    contenders = sorted(row["contenders"].items(), key=lambda item: item[0] != ROTA)
    height = len(contenders) * (BAR + GAP) + GAP
    parts = [bar(i, name, figures, row["unit"], per_unit) for i, (name, figures) in enumerate(contenders)]
    for limit in {goal["limit"] for goal in row["goals"] if goal["limit"] is not None and goal["goal"] != "lead"}:
        if 0 < limit <= top * 1.1:
            parts.append(f'<path class="goal" d="M{LEFT + limit * per_unit:.1f} 2V{height - 2}"/>')
    label = html.escape(f"{row['name']}: " + ", ".join(f"{name} {number(c['median'])}" for name, c in contenders))
    return (f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{label}">'
            + "".join(parts) + "</svg>")
