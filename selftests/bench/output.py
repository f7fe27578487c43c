# SPDX-License-Identifier: GPL-2.0
"""Rows as tables and plots."""
import shutil
import subprocess
import sys

from rows import APP_IDS, COSTS, LEGS, ROWS


def text_of(value, unit):
    """A figure for people."""
    if unit == "s":
        if value >= 1:
            return f"{value:.1f} s"
        return f"{value * 1e6:,.1f} µs" if value >= 1e-6 else f"{value * 1e9:,.0f} ns"
    if unit == "B/s":
        return f"{value / 2**20:,.0f} MiB/s"
    if unit == "1/s":
        return f"{value:,.0f}/s"
    return f"{value:.2f} {unit}"


def ratio_text(row):
    ratio, low, high = (f"{n:.0f}" if n >= 10 else f"{n:.2f}"
                        for n in (row["ratio"], *row["spread"]))
    return f"{ratio} ({low} to {high})"


def verdict(row):
    if not row["bar"]:
        return ""
    return row["bar"] if row["ok"] else f"{row['bar']}: missed"


def table(rows):
    figures = [row for row in rows if row["ratio"] and row["id"] not in APP_IDS]
    if figures:
        yield "| figure | value | against | ratio (spread) | in namespaces | bar |"
        yield "|---|---|---|---|---|---|"
    for row in figures:
        ratio = ratio_text(row)
        beside = ratio_text(row["namespaces"]) if "namespaces" in row else ""
        if row["where"] == "namespaces":
            ratio, beside = "", ratio
        yield (f"| `{row['id']}`: {ROWS[row['id']].what} | {text_of(row['value'], row['unit'])} "
               f"| {row['against']} | {ratio} | {beside} | {verdict(row)} |")
    yield from apps_table([row for row in rows if row["id"] in APP_IDS])
    for row in rows:
        if row["id"] == COSTS:
            yield from costs_table(row["costs"])
        elif row["id"] == LEGS:
            yield from legs_table(row["way"], row["legs"])


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
    """Of each row that has them, the quantiles."""
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
