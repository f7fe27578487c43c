# SPDX-License-Identifier: GPL-2.0
"""What is measured, against what, and what it ought to be."""
from collections import namedtuple

# A figure that a test of selftests/bench reports under its id.
# bar: None, or (comparison, ratio)   nodes: how many   vms: virtual machines, and
# namespaces beside them; otherwise only namespaces   test: the test's name if not the id's
Row = namedtuple("Row", "what unit against bar nodes vms test", defaults=(2, True, None))

TCP_SMALL = "raw TCP, 64 to 64 bytes"
TCP_BLOCK = "raw TCP, 64 to 4,160 bytes"

ROWS = {
    "read_fault": Row("read fault, cold, random order", "s", TCP_BLOCK, ("<=", 1.35)),
    "read_fault_uffd": Row("the same", "s", "a userfaultfd pager", ("<=", 1.0), test="read_fault"),
    "read_fault_process": Row("the same", "s", "one that is a process of its own", None,
                              test="read_fault"),
    "read_fault_p99": Row("its 99th percentile", "s",
                          "its own median", ("<=", 4.0), vms=False, test="read_fault"),
    "scatter_read": Row("read of an area's blocks in random order", "s", TCP_BLOCK, None),
    "write_fault_shared": Row("write fault, two others have copies", "s",
                              TCP_SMALL, ("<=", 2.6), nodes=3),
    "upgrade": Row("write to what only we can read", "s", TCP_SMALL, ("<=", 1.35)),
    "pingpong": Row("a block, from writer to writer", "s", TCP_BLOCK, ("<=", 1.6)),
    "seq_read": Row("64 MiB read", "B/s", "a TCP stream", (">=", 0.85)),
    "seq_write": Row("64 MiB written", "B/s", "a TCP stream", (">=", 0.6)),
    "local_fault": Row("fault on a block that is here", "s", "a fault of shmem", ("<=", 1.2)),
    "mapped_access": Row("access to a mapped page", "s", "plain memory", ("<=", 1.05)),
    "lock_handover": Row("mutex, from node to node", "s", TCP_SMALL, ("<=", 1.5)),
    "lock_counter": Row("the same, and the number that it guards", "s", TCP_BLOCK, ("<=", 1.3)),
    "queue_item": Row("an item through a queue of 64 with one mutex", "s", TCP_BLOCK, ("<=", 1.5)),
    "lock_local": Row("mutex, taken again at its home", "s",
                      "pthread_mutex_t, process-shared", ("<=", 3.0)),
    "lock_many": Row("one of 4,096 mutexes at their home, at random", "s",
                     "pthread_mutex_t, process-shared", ("<=", 3.0)),
    "barrier_2": Row("barrier of 2 nodes", "s", TCP_SMALL, ("<=", 2.0), 2, False, "barrier"),
    "barrier_4": Row("of 4", "s", TCP_SMALL, ("<=", 2.5), 4, False, "barrier"),
    "barrier_8": Row("of 8", "s", TCP_SMALL, ("<=", 3.0), 8, False, "barrier"),
    "fault_threads_8": Row("faults of 8 threads", "1/s", "one thread", (">=", 3.0)),
    "tcp_threads_8": Row("requests of 8 threads, by raw TCP", "1/s",
                         "one thread", None, test="fault_threads_8"),
}

# The counted costs of a read fault and its timeline, on virtual machines: see costs.c.
COSTS, LEGS = "fault_costs", "fault_legs"

# An application of tools/apps: the size for about a second of one node's work (in an emulated
# machine), the exponent with which the work grows with the size, and the bar on two nodes.
# Also the bytes of memory that a unit of size takes, and the largest size for which a machine
# gets enough memory.
# size for seconds = one * seconds ** (1 / power); or the nearest of sizes: {size: seconds}
App = namedtuple("App", "one power bar bytes max sizes", defaults=(0, None, None))

APPS = {
    "sor": App(830, 2, 1.7),
    "matmul": App(490, 3, 1.7),
    "radixsort": App(8500000, 1, 1.3, 40, 25000000),
    "tsp": App(None, None, 1.7, sizes={12: 0.16, 13: 0.7, 14: 4, 15: 14}),
    "bfs": App(3300000, 1, 1.3, 110, 8000000),
    "wordcount": App(62000000, 1, 1.7, 1.2),
}
APP_NODES = (1, 2, 4)

APP_IDS = {f"app_{name}_{nodes}": (name, nodes) for name in APPS for nodes in APP_NODES}
IDS = [*ROWS, COSTS, LEGS, *APP_IDS]


def bar_text(bar):
    return f"{bar[0]} {bar[1]:g}" if bar else None


def meets(bar, ratio):
    if not bar:
        return None
    return ratio <= bar[1] if bar[0] == "<=" else ratio >= bar[1]
