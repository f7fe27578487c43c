# SPDX-License-Identifier: GPL-2.0
"""How slow this machine is now, and a clock for limits of time that allows for it.

A limit of time is meant for a machine with a processor to spare. On a busy machine a
program waits for a processor, and takes longer by the same factor as anything else that
computes. This factor is measured: the wall-clock time of a little work, over its CPU time.
SLOWNESS in the environment sets the least that it can be.
"""
import os
import threading
import time

# More than this is not allowed for: a test that hangs has to end some day.
MOST = 10
# CPU time of a measurement: several time slices of the scheduler.
WORK_SECONDS = 0.02
# What is measured holds for so long.
INTERVAL_SECONDS = 5


def measure():
    """Returns wall-clock time over CPU time of a little work: 1 on an idle machine."""
    wall, cpu = time.monotonic(), time.thread_time()
    while time.thread_time() - cpu < WORK_SECONDS:
        pass
    return (time.monotonic() - wall) / (time.thread_time() - cpu)


class Clock:
    """Its seconds are longer while the machine is busy. Threads may share it."""

    def __init__(self):
        try:
            self.least = int(os.environ.get("SLOWNESS", "1"))
        except ValueError:
            self.least = 1
        self.lock = threading.Lock()
        self.factor = self.bounded(measure())
        self.last = time.monotonic()
        self.passed = 0

    def bounded(self, factor):
        return min(max(factor, self.least, 1), MOST)

    def now(self):
        """Seconds since the clock was made, had the machine been idle."""
        with self.lock:
            passed = time.monotonic() - self.last
            if passed < INTERVAL_SECONDS:
                return self.passed + passed / self.factor
            # A single measurement may meet a moment that is not like the others.
            self.factor = self.bounded((self.factor + measure()) / 2)
            now = time.monotonic()
            self.passed += (now - self.last) / self.factor
            self.last = now
            return self.passed

    def slowness(self):
        """By what a limit of time has to be multiplied now, for those who have no such clock."""
        self.now()
        return int(self.factor)
