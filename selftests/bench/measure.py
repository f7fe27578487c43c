# SPDX-License-Identifier: GPL-2.0
"""Runs benchmarks in clusters, and collects their output."""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

from insn import NotCounted, instructions, parts_of_functions
from rows import APPS, COSTS, LEGS, ROWS, bar_text, meets

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("O") or os.path.join(TOP, "build"))

LINE = re.compile(r"^\[(\d)\] (.*)$")
ROUND = re.compile(r"^# bench (\S+) (\S+) (\S+)$")
COUNTED = re.compile(r"^# counted (\S+) (ours|floor) (\d+) (\d+) (\d+)$")
SYMBOL = "# symbol "
FLOOR = re.compile(r"^# floor (\S+) (\S+) (\S+)$")
QUANTILE = re.compile(r"^# quantile (\S+) (\S+) (\d+) (\S+)$")
TRACE = "# trace "
COST = re.compile(r"^# cost (\S+) (\S+)$")
APP = re.compile(r"^\w+: ok: (\d+), \d+ nodes, (\S+) s, alone (\S+) s, waited (\S+) s$")

# More emulated machines would be too slow.
COUNTED_NODES_MAX = 3
# These rows have no operation of their own.
UNCOUNTED = ("read_fault_uffd", "read_fault_process", "read_fault_p99", "tcp_threads_8",
             "mapped_access")

# The seconds that an application should take. One disturbance would spoil a shorter run.
APP_ROUNDS = 5


def ask(*argv):
    return subprocess.run(argv, cwd=TOP, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def cluster(nodes, vms, kernel, files, command, mib=None, count=None):
    """Runs a command on all nodes; yields (node, text) for each line of output.

    With count, a directory that gets the instruction counts of each node.
    """
    argv = [os.path.join(TOP, "selftests", "vm", "cluster"), "-n", str(nodes), "-k", kernel,
            # The programs that it is compared with do not encrypt either.
            "-s", "insecure", "-t", "3000", *([] if vms else ["--netns"]),
            *(["-m", str(mib)] if mib else []), *(["--count", count] if count else [])]
    for file in files:
        argv += ["-f", file]
    with subprocess.Popen([*argv, "--", *command], stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            said = LINE.match(line)
            if said:
                yield int(said[1]), said[2]


class Said:
    """The reports of the tests of one cluster."""

    def __init__(self):
        self.rounds, self.floors, self.quantiles, self.costs, self.traces = {}, {}, {}, {}, {}
        self.symbols, self.counted = {}, []

    def take(self, node, text):
        if text.startswith(TRACE):
            self.traces.setdefault(node, []).append(text[len(TRACE):])
            return
        if text.startswith(SYMBOL):
            self.symbols.setdefault(node, []).append(text[len(SYMBOL):])
            return
        counted = COUNTED.match(text)
        if counted:
            name, whose, *numbers = counted.groups()
            self.counted.append((name, whose, *map(int, numbers)))
            return
        result, floor = ROUND.match(text), FLOOR.match(text)
        quantile, cost = QUANTILE.match(text), COST.match(text)
        if result:
            self.rounds.setdefault(result[1], []).append((float(result[2]), float(result[3])))
        elif floor:
            self.floors.setdefault(floor[1], []).append((float(floor[2]), float(floor[3])))
        elif quantile:
            name, whose, percent, value = quantile.groups()
            by = self.quantiles.setdefault(name, {})
            by.setdefault(whose, []).append((int(percent), float(value)))
        elif cost:
            self.costs.setdefault(node, {})[cost[1]] = float(cost[2])
        else:
            print(f"[{node}] {text}", file=sys.stderr)

    def summary(self, name):
        """A figure's rounds, against the other and against the floor."""
        figure = summary(self.rounds[name])
        if name in self.floors:
            against = summary(self.floors[name])
            figure["floor"] = statistics.median(floor for _, floor in self.floors[name])
            figure["floor_ratio"], figure["floor_spread"] = against["ratio"], against["spread"]
        return figure


def run_tests(nodes, vms, kernel, tests, count=None):
    said = Said()
    for node, text in cluster(nodes, vms, kernel, [os.path.join(BUILD, "selftests/bench/bench")],
                              [*(["env", "BENCH_COUNT=1"] if count else []), "bench", *tests],
                              count=count):
        said.take(node, text)
    return said


def count_tests(nodes, kernel, tests):
    """The instruction counts of these tests' figures: see insn.py. Each node is a machine."""
    parts = parts_of_functions(ask(os.path.join(TOP, "selftests/vm/kernel"), kernel, "build"))
    with tempfile.TemporaryDirectory() as count:
        said = run_tests(nodes, True, kernel, ["symbols", *tests], count)
        return instructions(said.counted, said.symbols,
                            [os.path.join(count, str(node)) for node in range(nodes)], parts)


def count_rows(rows, kernel):
    """Adds instruction counts to those rows that few machines suffice for."""
    runs = {}
    for name in rows:
        row = ROWS.get(name)
        if row and row.nodes <= COUNTED_NODES_MAX and name not in UNCOUNTED:
            runs.setdefault(row.nodes, {}).setdefault(row.test or name)
    for nodes, tests in runs.items():
        try:
            counted = count_tests(nodes, kernel, tests)
        except NotCounted as why:
            print(f"run: instructions not counted: {why}", file=sys.stderr)
            return False
        for name in rows:
            if name in counted:
                rows[name]["instructions"] = counted[name]
    return True


def summary(rounds, ratios=None):
    """The medians of (ours, other) over the rounds, and the spread of the ratios."""
    ratios = ratios or [ours / other for ours, other in rounds]
    return {"value": statistics.median(ours for ours, _ in rounds),
            "ratio": statistics.median(ratios), "spread": [min(ratios), max(ratios)],
            "rounds": len(rounds)}


def place(nodes, vms):
    return {"nodes": nodes, "where": "virtual machines" if vms else "namespaces"}


def rows_of(names, kernel, beside):
    """Measures rows in as few clusters as possible; returns them by id."""
    runs, rows = {}, {}
    for name in names:
        row = ROWS.get(name)
        nodes, vms, test = (row.nodes, row.vms, row.test or name) if row else (2, True, name)
        for where in ([True, False] if vms and beside and row else [vms]):
            tests = runs.setdefault((nodes, where), [])
            if test not in tests:
                tests.append(test)
    said = {where: run_tests(*where, kernel, tests) for where, tests in runs.items()}
    for name in names:
        if name == COSTS:
            costs = said[2, True].costs
            if len(costs) == 2:
                rows[name] = costs_row(costs)
            continue
        if name == LEGS:
            traces = said[2, True].traces
            if len(traces) == 2:
                rows[name] = legs_row(traces)
            continue
        row = ROWS[name]
        here = said[row.nodes, row.vms]
        if name not in here.rounds:
            continue
        rows[name] = {"id": name, "unit": row.unit, "against": row.against,
                      **here.summary(name), "bar": bar_text(row.bar),
                      **place(row.nodes, row.vms)}
        rows[name]["ok"] = meets(row.bar, rows[name]["ratio"])
        if name in here.quantiles:
            rows[name]["quantiles"] = here.quantiles[name]
        other = said.get((row.nodes, False)) if row.vms else None
        if other and name in other.rounds:
            rows[name]["namespaces"] = other.summary(name)
    if "fault_threads_8" in rows and "tcp_threads_8" in rows:
        spare_threads(rows["fault_threads_8"], rows["tcp_threads_8"]["ratio"])
    return rows


def spare_threads(row, tcp_gain):
    """Eight threads need not gain more for faults than they gain for raw TCP."""
    if tcp_gain < ROWS[row["id"]].bar[1]:
        bar = (">=", round(tcp_gain, 2))
        row.update(bar=f"{bar_text(bar)}, raw TCP's gain", ok=meets(bar, row["ratio"]))


def costs_row(costs):
    woken = sum(cost for side in costs.values() for name, cost in side.items()
                if name.startswith("wakeups_"))
    return {"id": COSTS, "value": woken, "unit": "wake-ups", "against": None, "ratio": None,
            "spread": None, "bar": None, "ok": None, "rounds": 1, **place(2, True),
            "costs": {"faults": costs[0], "serves": costs[1]}}


def legs_row(traces):
    """dsmctl's analysis of both kernels' recordings, for the largest group of faults."""
    files = []
    for node, lines in sorted(traces.items()):
        files.append(os.path.join(BUILD, f"bench-trace.{node}"))
        with open(files[-1], "w", encoding="utf-8") as recording:
            recording.write("\n".join(lines) + "\n")
    said = subprocess.run([os.path.join(BUILD, "tools", "dsmctl"), "--json", "trace", "latency",
                           *files], stdout=subprocess.PIPE, check=True,
                          env={**os.environ, "LD_LIBRARY_PATH": os.path.join(BUILD, "lib")})
    way, legs = next(iter(json.loads(said.stdout).items()))
    return {"id": LEGS, "value": legs["all"]["p50_us"] / 1e6, "unit": "s", "against": None,
            "ratio": None, "spread": None, "bar": None, "ok": None, "rounds": 1,
            **place(2, True), "way": way, "legs": legs}


# Applications


def app_size(name, seconds):
    app = APPS[name]
    if app.sizes:
        return min(app.sizes, key=lambda size: abs(app.sizes[size] - seconds))
    size = int(app.one * seconds ** (1 / app.power))
    return min(size, app.max) if app.max else size


def words_file():
    """The text to be counted, repeated: the licenses in every Debian installation."""
    path = os.path.join(BUILD, "bench-words")
    with open(path, "wb") as words:
        for license in sorted(os.listdir("/usr/share/common-licenses")):
            with open(f"/usr/share/common-licenses/{license}", "rb") as text:
                words.write(text.read())
    return path


def run_app(name, nodes, kernel, seconds, rounds):
    """Returns for each round: (seconds on all nodes, seconds alone, share of waiting)."""
    size = app_size(name, seconds)
    # At most half of a machine's memory may be files.
    mib = 1024 + int(2 * size * APPS[name].bytes) // 2**20
    files = [os.path.join(BUILD, "tools", name), os.path.join(HERE, "app-rounds")]
    if name == "wordcount":
        files.append(f"{words_file()}:/root/input")
    taken = []
    for node, text in cluster(nodes, True, kernel, files,
                              ["app-rounds", str(rounds), name, str(size)], mib=mib):
        done = APP.match(text)
        if done:
            shared, alone, waited = map(float, done.groups()[1:])
            taken.append((shared, alone, waited / shared))
        else:
            print(f"[{node}] {text}", file=sys.stderr)
    return size, taken if len(taken) == rounds else []


def app_row(row_id, name, nodes, kernel, seconds):
    size, taken = run_app(name, nodes, kernel, seconds, APP_ROUNDS)
    if not taken:
        return None
    bar = (">=", APPS[name].bar) if nodes == 2 else None
    row = {"id": row_id, "unit": "s", "against": "one thread on one machine",
           **summary([(shared, alone) for shared, alone, _ in taken],
                     [alone / shared for shared, alone, _ in taken]),
           "bar": bar_text(bar), **place(nodes, True), "size": size,
           "alone": statistics.median(alone for _, alone, _ in taken),
           "waiting": statistics.median(waited for _, _, waited in taken)}
    row["ok"] = meets(bar, row["ratio"])
    return row
