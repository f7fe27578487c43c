# SPDX-License-Identifier: GPL-2.0
"""Instructions that were counted (insn.c, count.c), by what they were for.

A function of the kernel belongs to a part by the object file that it is from: the names
are the kernel's build directory's, the addresses the running kernel's.
"""
import bisect
import os
import subprocess

PROGRAMS, MODULE, NETLINK, TCP, SCHEDULER, FAULT, REST = PARTS = (
    "programs", "module", "netlink", "TCP", "scheduler", "fault entry", "rest")

# The first that an object's path begins with counts. Memory that is allocated is not a fault's.
OBJECTS = (
    ("net/netlink/", NETLINK), ("lib/nlattr.o", NETLINK),
    ("net/", TCP), ("drivers/net/", TCP), ("drivers/virtio/", TCP),
    ("kernel/sched/", SCHEDULER),
    ("mm/slub.o", REST), ("mm/slab_common.o", REST), ("mm/page_alloc.o", REST),
    ("mm/percpu.o", REST), ("mm/", FAULT), ("arch/x86/mm/", FAULT),
)
# Of an object that has other entries as well.
FUNCTIONS = {"asm_exc_page_fault": FAULT, "error_entry": FAULT, "error_return": FAULT}

FUNCTIONS_SHOWN = 30


class NotCounted(Exception):
    """And why."""


def part_of_object(path):
    return next((part for start, part in OBJECTS if path.startswith(start)), REST)


def parts_of_functions(kdir):
    """{function: parts}: static functions of several objects may have one name."""
    if not os.path.exists(os.path.join(kdir, "vmlinux.a")):
        raise NotCounted(f"{kdir} has no objects, which say what a function belongs to")
    said = subprocess.run(["nm", "-A", "vmlinux.a"], cwd=kdir, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True).stdout
    parts = {}
    for line in said.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "tTwW":
            path = words[0].split(":")[1]
            parts.setdefault(words[2], set()).add(part_of_object(path))
    for name, part in FUNCTIONS.items():
        parts[name] = {part}
    return parts


class Symbols:
    """The functions of a running kernel, from the lines of its /proc/kallsyms."""

    def __init__(self, lines, parts):
        found = []
        for line in lines:
            address, _, name, *module = line.split()
            found.append((int(address, 16), name, module[0] if module else None))
        if not found:
            raise NotCounted("the kernel has named no functions")
        found.sort(key=lambda symbol: symbol[0])
        self.addresses = [address for address, _, _ in found]
        self.functions, last = [], REST
        for _, name, module in found:
            if module:
                part = {"[dsm]": MODULE, "[virtio_net]": TCP}.get(module, REST)
            else:
                # Of several, the one that its neighbour in memory is of.
                of = parts.get(name, {last})
                part = last = last if last in of else min(of)
            self.functions.append((name, part))

    def at(self, address):
        if not address:
            return "", PROGRAMS
        return self.functions[max(0, bisect.bisect_right(self.addresses, address) - 1)]


def read_windows(path):
    """A plugin's file: of each window, [(address, count)]."""
    windows = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line == "window\n":
                windows.append([])
            else:
                address, count = line.split()
                windows[-1].append((int(address, 16), int(count)))
    return windows


def of_window(window, symbols, operations):
    """Instructions an operation: of all, of the parts, of the functions."""
    parts, functions = dict.fromkeys(PARTS, 0), {}
    for address, count in window:
        name, part = symbols.at(address)
        parts[part] += count / operations
        functions[name] = functions.get(name, 0) + count / operations
    most = sorted(functions, key=functions.get, reverse=True)[:FUNCTIONS_SHOWN]
    return {"all": sum(parts.values()), "parts": parts,
            "functions": {name: functions[name] for name in most if name}}


def median(windows):
    """The window in the middle, whose parts add up."""
    return sorted(windows, key=lambda window: window["all"])[(len(windows) - 1) // 2]


def instructions(counted, symbols, files, parts):
    """{id: {whose: [of each node]}}

    counted: (id, whose, operations, nodes, frames of node 0) of each window, in order;
    symbols: lines of each node; files: of each node's plugin; parts: of the functions, as
    above.
    """
    for path in files:
        if not os.path.exists(path):
            raise NotCounted("a machine did not start")
    windows = [read_windows(path) for path in files]
    named = [Symbols(symbols.get(node, []), parts) for node in range(len(files))]
    taken = {}
    for name, whose, operations, nodes, frames in counted:
        for node in range(nodes):
            if not windows[node]:
                raise NotCounted(f"node {node} has fewer windows than there were")
            of = of_window(windows[node].pop(0), named[node], operations)
            if not node:
                of["frames"] = frames / operations
            taken.setdefault(name, {}).setdefault(whose, {}).setdefault(node, []).append(of)
    if any(windows):
        raise NotCounted("there are more windows than there were figures")
    return {name: {whose: [median(rounds) for _, rounds in sorted(nodes.items())]
                   for whose, nodes in by.items()} for name, by in taken.items()}
