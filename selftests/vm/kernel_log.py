# SPDX-License-Identifier: GPL-2.0
"""Tells a kernel's complaints, and data races of the module's, from what it says else."""
import itertools
import re
import sys

from base import note

# What a kernel only says when something is wrong with it.
SPLAT = re.compile(
    r"\bBUG\b|WARNING:|\bOops\b|Call Trace|general protection|KASAN:|UBSAN:|KCSAN:"
    r"|possible (?:circular|recursive|irq)|inconsistent lock state|suspicious RCU"
    r"|bad unlock balance|held lock freed|blocked for more than|soft lockup|detected stall"
    r"|refcount_t|Objects remaining|kmemleak: \d+ new|unregister_netdevice: waiting"
    r"|Out of memory:|Kernel panic|KVM internal error")
SPLAT_LINES = 60
# A data race that KCSAN reports: two accesses, each with its stack, between two rulers.
RACE = re.compile(r"BUG: KCSAN: (.*)")
RACE_ACCESS = re.compile(r" bytes by .* on cpu \d+:")
RACE_END = "=" * 20
# It is the module's if a function of its has made one of the accesses, or has had it made
# by one that works on what it is given. Debian's kernel has races of its own, in what
# the module calls as well.
RACE_ON_BEHALF = re.compile(r"^ *_*(?:mem(?:cpy|set|cmp|move)|str|copy_|bitmap|find_|list_|rb_"
                            r"|k?v?free|kmem_cache_free|raw_(?:spin|read|write)_|mutex_|init_)")
RACE_FRAME = re.compile(r"^ \S+\+0x")
# What a timer writes is not the module's: the kernel's macros for waiting read it in
# whoever waits.
RACE_OF_TIMER = re.compile(r"\bhrtimer_wakeup\b")


class KernelLog:
    """What a VM's kernel says, as records of /dev/kmsg.

    @fail is called with what is wrong, @machine_said with what the guest's own programs say.
    """

    def __init__(self, number, verbose, fail, machine_said):
        self.number = number
        self.verbose = verbose
        self.fail = fail
        self.machine_said = machine_said
        self.next_record = 0
        self.splat_left = 0
        # The lines of a report of a race that has not ended, and how many are not ours.
        self.race = None
        self.races = 0

    def read(self, line):
        """A record: 'priority,sequence,time,flags;text', ' KEY=value' after some."""
        head, _, text = line.partition(";")
        try:
            priority, record = (int(n) for n in head.split(",")[:2])
        except ValueError:
            return
        if record >= self.next_record:
            self.next_record = record + 1
            self.said(text, priority >> 3 == 0)

    def said(self, text, by_kernel):
        if self.verbose:
            self.show(text)
        if not by_kernel and text.startswith("cluster: "):
            self.machine_said(text[len("cluster: "):])
            return
        if RACE.search(text):
            self.race = []
        if self.race is not None:
            self.race.append(text)
            if text.startswith(RACE_END):
                self.race_reported()
            return
        if SPLAT.search(text):
            if not self.splat_left:
                self.fail(f"the kernel of VM {self.number} complained: {text}")
            self.splat_left = SPLAT_LINES
        if self.splat_left:
            self.splat_left -= 1
            if not self.verbose:
                self.show(text)

    def race_reported(self):
        lines, self.race = self.race, None
        innermost = lines[:1]
        for i, line in enumerate(lines):
            if RACE_ACCESS.search(line):
                stack = itertools.takewhile(str.strip, lines[i + 1:])
                innermost += [frame for frame in stack if RACE_FRAME.match(frame) and
                              not RACE_ON_BEHALF.match(frame)][:1]
        if RACE_OF_TIMER.search(lines[0]) or not any("[dsm]" in line for line in innermost):
            self.races += 1
            return
        self.fail(f"the kernel of VM {self.number} complained: {lines[0]}")
        if not self.verbose:
            for line in lines:
                self.show(line)

    def show(self, text):
        print(f"[VM {self.number} kernel] {text}", file=sys.stderr, flush=True)

    def end(self):
        if self.race is not None:
            self.fail(f"the kernel of VM {self.number} did not end its report: {self.race[0]}")
        if self.races:
            note(f"VM {self.number}: {self.races} data races of the kernel's own")
