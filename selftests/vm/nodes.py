# SPDX-License-Identifier: GPL-2.0
"""The nodes of a cluster, from boot to end: what they say, the steps in which they wait for each
other, and what comes of it."""
import os
import re
import selectors
import socket
import time

from base import EXIT_FAILED, EXIT_MARK, EXIT_SKIPPED, EXIT_TIMEOUT, Failure, note, pace
from kernel_log import SPLAT_LINES, KernelLog
from qemu import Channel, Vm, network_arguments, plugin_arguments, qemu_command, runs_soon

# How long the nodes of an ordinary kernel may take to say what they were doing when the
# time was up.
DUMP_SECONDS = 20
# The kernel's lines on the console, which read_log() sees as well.
KERNEL_LINE = re.compile(r"\[ *\d+\.\d+\]")


class Node:
    """What is known of one node."""

    BOOTING, JOINING, UP = "booting", "waiting for its dsmd and the peers", "up"
    RUNNING, DONE, STOPPED = "running", "done", "stopped"

    def __init__(self, number):
        self.number = number
        self.state = Node.BOOTING
        self.status = None
        self.control = Channel()
        self.output = Channel()


def badness(status):
    """4 means that a test was skipped: worse than success, better than any failure."""
    return {0: -2, EXIT_SKIPPED: -1}.get(status, status)


class Cluster:
    """Boots the VMs, follows them through the run, and judges it."""

    def __init__(self, options, kernel, initramfs, accel):
        self.options = options
        self.kernel = kernel
        self.nodes = [Node(i) for i in range(options.nodes)]
        if options.netns:
            self.vms = [Vm(0, self.nodes)]
        else:
            self.vms = [Vm(node.number, [node]) for node in self.nodes]
        self.runners = [node for node in self.nodes if options.only in (None, node.number)]
        self.logs = [KernelLog(vm.number, options.verbose, self.fail,
                               lambda text, vm=vm: self.machine_said(vm, text))
                     for vm in self.vms]
        self.failures = []
        self.steps = {}
        self.dumps_due = 0
        self.started = time.monotonic()
        self.deadline = pace.now() + options.timeout
        self.selector = selectors.DefaultSelector()
        self.initramfs = initramfs
        self.qemu_base = (kernel, initramfs, accel, options.cpus)

    # The VMs

    def start(self):
        links = [socket.socketpair() for _ in self.vms[1:]]
        for vm in self.vms:
            argv = qemu_command(*self.qemu_base, self.options.mib[vm.number],
                                f"CLUSTER_NODE={vm.number}")
            argv += vm.port_arguments()
            if not self.options.netns:
                argv += network_arguments(vm.number, links)
            if self.options.count:
                argv += plugin_arguments(f"{self.options.count}/{vm.number}")
            vm.start(argv, [self.initramfs.fileno()]
                     + [end.fileno() for pair in links for end in pair])
            self.watch(vm)
        for pair in links:
            for end in pair:
                end.close()

    def watch(self, vm):
        def register(source, handler):
            self.selector.register(source, selectors.EVENT_READ, handler)

        os.set_blocking(vm.process.stdout.fileno(), False)
        register(vm.process.stdout, lambda: self.read_console(vm))
        register(vm.log.sock, lambda: self.read_log(vm))
        for node in vm.nodes:
            register(node.control.sock, lambda node=node: self.read_control(node))
            register(node.output.sock, lambda node=node: self.read_output(node))

    def kill(self):
        for vm in self.vms:
            vm.kill()

    # What they say

    def read_socket(self, channel):
        try:
            data = channel.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.selector.unregister(channel.sock)
        return data

    def read_console(self, vm):
        data = os.read(vm.process.stdout.fileno(), 65536)
        for line in vm.console.feed(data):
            line = line.rstrip("\r")
            vm.console_tail = (vm.console_tail + [line])[-SPLAT_LINES:]
            if line.startswith("cluster: fail: "):
                self.fail(f"VM {vm.number}: {line[15:]}")
            elif line and not KERNEL_LINE.match(line):
                note(f"console of VM {vm.number}: {line}")
        if not data:
            self.selector.unregister(vm.process.stdout)
            if not vm.ended:
                for line in vm.console_tail:
                    note(f"console of VM {vm.number}: {line}")
                raise Failure(f"VM {vm.number} died; the end of its console is above")

    def read_log(self, vm):
        for line in vm.log.lines.feed(self.read_socket(vm.log)):
            self.logs[vm.number].read(line)

    def machine_said(self, vm, text):
        if text == "end":
            vm.ended = True
            self.logs[vm.number].end()
        elif text.startswith("fail: "):
            self.fail(f"VM {vm.number}: {text[6:]}")
        else:
            note(f"VM {vm.number}: {text}")

    def read_control(self, node):
        for line in node.control.lines.feed(self.read_socket(node.control)):
            verb, _, text = line.partition(" ")
            if verb == "booted":
                node.state = Node.JOINING
            elif verb == "up":
                node.state = Node.UP
                if all(n.state == Node.UP for n in self.nodes):
                    self.run_command()
            elif verb == "step":
                self.steps.setdefault(text, set()).add(node)
                self.check_steps()
            elif verb == "say":
                note(f"node {node.number}: {text}")
            elif verb == "fail":
                self.fail(f"node {node.number}: {text}")
                if node.state == Node.JOINING:
                    raise Failure("the cluster did not come up")
            elif verb == "stopped":
                node.state = Node.STOPPED
            elif verb == "dumped":
                self.dumps_due -= 1

    def read_output(self, node):
        for line in node.output.lines.feed(self.read_socket(node.output)):
            text, mark, status = line.partition("\0" + EXIT_MARK)
            if text or not mark:
                print(f"[{node.number}] {text}", flush=True)
            if mark:
                self.command_ended(node, int(status))

    # The run

    def run_command(self):
        for vm in self.vms:
            runs_soon(vm.process.pid)
        note(f"{len(self.nodes)} node{'s' * (len(self.nodes) > 1)} up after "
             f"{time.monotonic() - self.started:.1f} s")
        for node in self.runners:
            node.state = Node.RUNNING
            node.control.send("go")

    def command_ended(self, node, status):
        node.state = Node.DONE
        node.status = status
        if status not in (0, EXIT_SKIPPED):
            note(f"node {node.number}: exit status {status}")
        self.check_steps()
        if all(n.state == Node.DONE for n in self.runners):
            for n in self.nodes:
                n.control.send("stop")

    def check_steps(self):
        """Lets go those who wait in a step that all have reached or never all will."""
        for name, arrived in list(self.steps.items()):
            missing = [n for n in self.runners if n not in arrived]
            if missing and not all(n.state == Node.DONE for n in missing):
                continue
            del self.steps[name]
            for node in arrived:
                node.control.send(f"step {name} {'missed' if missing else 'ok'}")

    def fail(self, text):
        self.failures.append(text)
        note(text)

    def poll(self, deadline):
        left = deadline - pace.now()
        if left <= 0:
            return False
        for key, _ in self.selector.select(min(left, 1)):
            # An earlier event of this round may have ended this source.
            if key.fileobj in self.selector.get_map():
                key.data()
        return True

    def run(self):
        """Returns the exit status of the whole."""
        self.start()
        while not all(vm.ended for vm in self.vms):
            if not self.poll(self.deadline):
                self.report_timeout()
                return EXIT_TIMEOUT
        if any(node.status is None for node in self.runners):
            raise Failure("the nodes ended before the command did")
        worst = max((node.status for node in self.runners), key=badness)
        if self.failures:
            note(f"failed: {self.failures[0]}" + (f" (and {len(self.failures) - 1} more)"
                                                  if len(self.failures) > 1 else ""))
            return worst if badness(worst) > badness(EXIT_SKIPPED) else EXIT_FAILED
        return worst

    def report_timeout(self):
        states = []
        for node in self.nodes:
            text = f"exited with {node.status}" if node.state == Node.DONE else node.state
            states.append(f"node {node.number} {text}")
        for name, arrived in self.steps.items():
            states.append(f"waiting in step {name}: node "
                          + ", ".join(str(n.number) for n in arrived))
        for node in self.nodes:
            if node.state in (Node.UP, Node.RUNNING):
                node.control.send("dump")
                self.dumps_due += 1
        deadline = pace.now() + DUMP_SECONDS * self.kernel.slowness()
        while self.dumps_due and self.poll(deadline):
            pass
        note(f"timed out after {self.options.timeout:g} s: {'; '.join(states)}")
