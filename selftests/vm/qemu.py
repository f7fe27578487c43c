# SPDX-License-Identifier: GPL-2.0
"""QEMU: its processes and command lines, and the ports that lead into its machines."""
import ctypes
import os
import selectors
import signal
import socket
import struct
import subprocess
import time

from base import BUILD, note

# QEMU has room for 32 messages about the ports of a bus, and drops what is too much.
PORTS_A_BUS = 8
PROBE_SECONDS = 10


def die_with_parent():
    """Runs in the child: even SIGKILL of this program leaves no VM behind."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def runs_soon(tid):
    """Has the host's scheduler run a thread as soon as it wakes.

    Of a machine's threads that is the one with its timers and its network: if it had to
    wait until an emulated processor that spins has used up its slice, so would they.
    Where that is not allowed, a short slice (Linux 6.12 and later) does for some.
    """
    try:
        os.sched_setscheduler(tid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        return
    except OSError:
        pass
    SYS_sched_setattr, SLICE_NS = 314, 100_000
    nice = os.getpriority(os.PRIO_PROCESS, tid)
    attr = struct.pack("=IIQiIQQQ", 48, 0, 0, nice, 0, SLICE_NS, 0, 0)
    ctypes.CDLL(None).syscall(SYS_sched_setattr, tid, attr, 0)


class Lines:
    """Cuts what a socket or pipe delivers into lines."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]


class Channel:
    """One end of a socket pair; QEMU holds the other as a port of a VM."""

    def __init__(self):
        self.sock, self.peer = socket.socketpair()
        self.lines = Lines()

    def send(self, text):
        self.sock.sendall(text.encode() + b"\n")


class Vm:
    """One QEMU process and the nodes in it."""

    def __init__(self, number, nodes):
        self.number = number
        self.nodes = nodes
        self.log = Channel()
        self.console = Lines()
        self.console_tail = []
        self.process = None
        self.ended = False

    def ports(self):
        yield "log", self.log
        for node in self.nodes:
            yield f"ctl.{node.number}", node.control
            yield f"out.{node.number}", node.output

    def start(self, argv, fds):
        """Starts QEMU, which inherits fds and its ends of the channels."""
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=[channel.peer.fileno() for _, channel in self.ports()] + list(fds),
            preexec_fn=die_with_parent)
        for _, channel in self.ports():
            channel.peer.close()

    def port_arguments(self):
        for i, (name, channel) in enumerate(self.ports()):
            port, bus = name.replace(".", ""), f"serial{i // PORTS_A_BUS}"
            if i % PORTS_A_BUS == 0:
                yield from ["-device", f"virtio-serial-pci,id={bus}"]
            yield from ["-chardev", f"socket,id={port},fd={channel.peer.fileno()}",
                        "-device", f"virtserialport,bus={bus}.0,chardev={port},name={name}"]

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()


def qemu_command(kernel, initramfs, accel, cpus, mib, append):
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-M", "q35", "-smp", str(cpus), "-m", str(mib),
            "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi",
            "-cpu", "host" if accel == "kvm" else "qemu64",
            "-kernel", kernel.boot_image(), "-initrd", f"/dev/fd/{initramfs.fileno()}", "-serial", "stdio",
            "-append", "console=ttyS0 loglevel=5 panic=-1 oops=panic reboot=t mitigations=off "
            "tsc=reliable no_timer_check printk.devkmsg=on log_buf_len=1M slab_nomerge "
            f"{clock(accel)}"
            # A kernel that patches itself as it boots is too much for QEMU's emulation of
            # several CPUs (an int3 is seen after it has gone): init brings up the others.
            "maxcpus=1 noreplace-smp "
            f"rcupdate.rcu_cpu_stall_timeout=60 {append}"]


def clock(accel):
    """What an emulated machine's kernel is told rather than left to find out."""
    if accel == "kvm":
        return ""
    khz = subprocess.run([os.path.join(BUILD, "vm/tsc-khz")], stdout=subprocess.PIPE, text=True,
                         check=True).stdout.strip()
    return f"tsc_early_khz={khz} "


def accelerator(kernel, initramfs):
    """KVM, if it was seen to boot a kernel since the host has been up; else TCG."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        boot_id = f.read().strip()
    known = os.path.join(BUILD, "vm", f"accelerator.{boot_id}")
    if not os.path.exists(known):
        note("trying whether KVM works here")
        with open(f"{known}.{os.getpid()}", "w", encoding="ascii") as f:
            f.write("kvm" if kvm_boots(kernel, initramfs) else "tcg")
        os.rename(f"{known}.{os.getpid()}", known)
    with open(known, encoding="ascii") as f:
        return f.read()


def kvm_boots(kernel, initramfs):
    argv = qemu_command(kernel, initramfs, "kvm", 1, 512, "CLUSTER_PROBE=1")
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, pass_fds=[initramfs.fileno()],
                          preexec_fn=die_with_parent) as qemu:
        said = b""
        deadline = time.monotonic() + PROBE_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(qemu.stdout, selectors.EVENT_READ)
            while selector.select(max(0, deadline - time.monotonic())):
                data = os.read(qemu.stdout.fileno(), 65536)
                said += data
                if not data or b"cluster: probe ok" in said or b"KVM internal error" in said:
                    break
        qemu.kill()
    return b"cluster: probe ok" in said


def network_arguments(number, links):
    """The cables of VM @number: all VMs' end in a hub inside the first one's QEMU."""
    if not links:
        argv = ["-netdev", "user,id=net,restrict=on"]
    elif number:
        argv = ["-netdev", "stream,id=net,server=off,addr.type=fd,"
                f"addr.str={links[number - 1][1].fileno()}"]
    else:
        argv = ["-netdev", "hubport,id=net,hubid=0"]
        for i, (end, _) in enumerate(links):
            argv += ["-netdev", f"stream,id=s{i},server=off,addr.type=fd,"
                     f"addr.str={end.fileno()}",
                     "-netdev", f"hubport,id=p{i},hubid=0,netdev=s{i}"]
    return argv + ["-device", "virtio-net-pci,netdev=net,romfile=,"
                   f"mac=52:54:00:00:00:{number + 1:02x}"]


def plugin_arguments(out):
    """The plugin that counts instructions, and its file."""
    return ["-plugin", f"file={BUILD}/selftests/bench/insn.so,out={out}"]
