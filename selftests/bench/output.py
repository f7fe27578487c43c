# SPDX-License-Identifier: GPL-2.0
"""Rows as tables and plots."""
import shutil
import subprocess
import sys

from insn import PARTS
from rows import APP_IDS, COSTS, LEGS, ROWS


def text_of(value, unit):
    """A readable figure."""
    if unit == "s":
        if value >= 1:
            return f"{value:.1f} s"
        return f"{value * 1e6:,.1f} µs" if value >= 1e-6 else f"{value * 1e9:,.0f} ns"
    if unit == "B/s":
        return f"{value / 2**20:,.0f} MiB/s"
    if unit == "1/s":
        return f"{value:,.0f}/s"
    return f"{value:.2f} {unit}"


def ratio_text(row, prefix=""):
    """A ratio and its spread; nothing where there is none."""
    if f"{prefix}ratio" not in row:
        return ""
    ratio, low, high = (f"{n:.0f}" if n >= 10 else f"{n:.2f}"
                        for n in (row[f"{prefix}ratio"], *row[f"{prefix}spread"]))
    return f"{ratio} ({low} to {high})"


def verdict(row):
    if not row["bar"]:
        return ""
    return row["bar"] if row["ok"] else f"{row['bar']}: missed"


def table(rows):
    figures = [row for row in rows if row["ratio"] and row["id"] not in APP_IDS]
    if figures:
        yield ("| figure | value | against | ratio (spread) | floor ratio (spread) "
               "| in namespaces | in namespaces, floor | bar |")
        yield "|---|---|---|---|---|---|---|---|"
    for row in figures:
        beside = row.get("namespaces", {})
        here, beside = (row, beside) if row["where"] != "namespaces" else ({}, row)
        ratios = " | ".join(ratio_text(of, prefix) for of in (here, beside)
                            for prefix in ("", "floor_"))
        yield (f"| `{row['id']}`: {ROWS[row['id']].what} | {text_of(row['value'], row['unit'])} "
               f"| {row['against']} | {ratios} | {verdict(row)} |")
    yield from instructions_table(figures)
    yield from apps_table([row for row in rows if row["id"] in APP_IDS])
    for row in rows:
        if row["id"] == COSTS:
            yield from costs_table(row["costs"])
        elif row["id"] == LEGS:
            yield from legs_table(row["way"], row["legs"])


def instructions_table(rows):
    """The instructions of each machine: DSM's, by parts, and the floor's."""
    rows = [row for row in rows if "instructions" in row]
    if not rows:
        return
    yield ""
    yield f"| instructions | node | frames | {' | '.join(PARTS)} | all | floor | ratio |"
    yield "|---" * (len(PARTS) + 6) + "|"
    for row in rows:
        floors = row["instructions"].get("floor", [])
        for node, ours in enumerate(row["instructions"]["ours"]):
            floor = floors[node]["all"] if floors else None
            parts = " | ".join(f"{n:,.0f}" for n in ours["parts"].values())
            against = f"{floor:,.0f} | {ours['all'] / floor:.2f}" if floor else "|"
            frames = f"{ours['frames']:.2f}" if "frames" in ours else ""
            yield f"| `{row['id']}` | {node} | {frames} | {parts} | {ours['all']:,.0f} | {against} |"


def apps_table(rows):
    if not rows:
        return
    yield ""
    yield ("| application, size | nodes | alone | together | speed-up (spread) "
           "| waiting for memory | bar |")
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield (f"| `{APP_IDS[row['id']][0]}` {row['size']:,} | {row['nodes']} | {row['alone']:.1f} s "
               f"| {row['value']:.1f} s | {ratio_text(row)} | {row['waiting']:.0%} "
               f"| {verdict(row)} |")


def costs_table(costs):
    yield ""
    yield "| a read fault takes | on the node that faults | on the one that serves |"
    yield "|---|---|---|"
    for name in costs["faults"] | costs["serves"]:
        here, there = (costs[side].get(name, 0) for side in ("faults", "serves"))
        yield f"| {name.replace('_', ' ')} | {here:.2f} | {there:.2f} |"


def legs_table(way, legs):
    yield ""
    yield f"| a read fault ({way}), recorded, until | median | 99th percentile | of faults |"
    yield "|---|---|---|---|"
    for name, leg in legs.items():
        yield (f"| {name} | {leg['p50_us']:,} µs | {leg['p99_us']:,} µs "
               f"| {leg['faults']:,} |")


# Plots


def gnuplot(script):
    if not shutil.which("gnuplot"):
        print("run: no plots: there is no gnuplot", file=sys.stderr)
        return
    subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)


def plot(path, settings, curves):
    """Curves are (title, points, style)."""
    script = [f"set terminal svg size 720,420 noenhanced; set output '{path}'", "set grid", *settings,
              "plot " + ", ".join(f"'-' with {style} title '{title}'"
                                  for title, _, style in curves)]
    for _, points, _ in curves:
        script += [f"{x} {y}" for x, y in points] + ["e"]
    gnuplot(script)


def plot_latency(rows, path):
    """The quantiles of each row that has them."""
    curves = [(f"{row['id']}: {whose}", [(value * 1e6, percent) for percent, value in points],
               "lines lw 2") for row in rows
              for whose, points in row.get("quantiles", {}).items()]
    if curves:
        plot(path, ["set logscale x; set xlabel 'microseconds'; set ylabel 'percent of faults'",
                    "set key right bottom"], curves)


def plot_scaling(rows, path):
    """The applications' speed-up against the number of nodes."""
    points = {}
    for row in rows:
        if row["id"] in APP_IDS:
            name, nodes = APP_IDS[row["id"]]
            points.setdefault(name, {})[nodes] = row["ratio"]
    if points:
        plot(path, ["set xlabel 'nodes'; set ylabel 'speed-up'; set key left top",
                    "set xtics (1, 2, 4); set xrange [0.8:4.2]; set yrange [0:]"],
             [(name, sorted(of.items()), "linespoints lw 2") for name, of in points.items()])
