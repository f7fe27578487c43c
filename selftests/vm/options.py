# SPDX-License-Identifier: GPL-2.0
"""The command line of cluster."""
import argparse
import os

MAX_NODES = 8
SECURITIES = ("key", "certificates", "insecure")


def amounts(mib):
    """'512' where all VMs have that much memory, '1024,512' where they differ."""
    return ",".join(str(n) for n in (mib if len(set(mib)) > 1 else mib[:1]))


def parse_options(description):
    parser = argparse.ArgumentParser(
        prog="cluster", description=description, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="cluster [-n NODES] [-c CPUS] [-m MIB[,MIB]...] [-k 6.1|6.12|DIR] [-f FILE[:DEST]]... "
        "[-o NODE] [-s SECURITY] [-d LINE]... [-t SECONDS] [--netns] [--count DIR] [-v] "
        "-- COMMAND [ARG]...")
    add = parser.add_argument
    add("-n", dest="nodes", metavar="NODES", default="3",
        help=f"how many nodes, 1 to {MAX_NODES} (default 3)")
    add("-c", dest="cpus", metavar="CPUS", help="CPUs of a VM (default 1, 2 with --netns)")
    add("-m", dest="mib", metavar="MIB[,MIB]...",
        help="memory of a VM in MiB (default 512, 1024 with --netns); without --netns, one "
        "value for each node gives the VMs different amounts: -m 1024,1024,512")
    add("-k", dest="kernel", metavar="KERNEL", default="6.12",
        help="the version of a Debian kernel, or the build directory of another (default 6.12)")
    add("-f", dest="files", metavar="FILE[:DEST]", action="append", default=[],
        help="copy FILE (a directory: all in it) into every VM, with the libraries it needs, "
        "as DEST (default: into /root)")
    add("-o", dest="only", metavar="NODE", help="run COMMAND on this node alone")
    add("-s", dest="security", metavar="SECURITY", default="key", choices=SECURITIES,
        help="how the nodes' connections are made secure: key (the default), certificates, "
        "or insecure, which is not at all")
    add("-d", dest="settings", metavar="LINE", action="append", default=[],
        help="a line of every node's dsmd.conf: 'record_limit = 100'")
    add("-t", dest="timeout", metavar="SECONDS", default="120",
        help="how long the whole run may take (default 120)")
    add("--netns", action="store_true", help="the nodes are network namespaces of one VM")
    add("--count", metavar="DIR", help="emulate, and write to DIR/NODE how many instructions each VM "
        "executed between marks: see selftests/bench/insn.c")
    add("-v", dest="verbose", action="store_true", help="show all the kernels say")
    add("command", metavar="COMMAND", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()

    def number(option, text, low, high):
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            parser.error(f"{option} {text}: must be a number from {low} to {high}")
        return int(text)

    options.nodes = number("-n", options.nodes, 1, MAX_NODES)
    options.cpus = number("-c", options.cpus or ("2" if options.netns else "1"), 1, 64)
    options.mib = [number("-m", text, 256, 65536) for text in
                   (options.mib or ("1024" if options.netns else "512")).split(",")]
    vms = 1 if options.netns else options.nodes
    if len(options.mib) == 1:
        options.mib *= vms
    if len(options.mib) != vms:
        parser.error(f"-m has {len(options.mib)} values for {vms} VM{'s' * (vms > 1)}: "
                     "give one value, or one for each VM")
    options.timeout = number("-t", options.timeout, 1, 86400)
    if options.only is not None:
        options.only = number("-o", options.only, 0, options.nodes - 1)
    if options.count and not os.path.isdir(options.count):
        parser.error(f"--count {options.count}: there is no such directory")
    if options.count and options.cpus != 1:
        parser.error(f"--count: a VM may have one CPU only, not {options.cpus}: give -c 1")
    if not options.command:
        parser.error("no COMMAND: what shall run on the nodes?")
    options.files = [parse_file(parser, spec) for spec in options.files]
    return options


def parse_file(parser, spec):
    path, colon, dest = spec.partition(":/")
    if not colon:
        dest = "/root/" + os.path.basename(path.rstrip("/"))
    elif dest.endswith("/") or not dest:
        dest = "/" + dest + os.path.basename(path.rstrip("/"))
    else:
        dest = "/" + dest
    if not os.path.exists(path):
        parser.error(f"-f {spec}: there is no file {path}"
                     + (" (DEST must begin with '/')" if ":" in path else ""))
    if not os.access(path, os.R_OK):
        parser.error(f"-f {spec}: {path} cannot be read")
    return path, dest
