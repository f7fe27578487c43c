# SPDX-License-Identifier: GPL-2.0
"""Builds what goes into the VMs, and the image of it that they boot."""
import fcntl
import os
import shlex
import subprocess
import sys

from base import BUILD, EXIT_MARK, HERE, TOP, Failure, pace
from guest_image import Image
from security import add_security


def make_parts(options, kernel):
    """Makes what goes into the VMs, a moment where nothing has changed; returns the image."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    os.makedirs(os.path.join(BUILD, "vm"), exist_ok=True)
    # Another cluster may be at it.
    with open(os.path.join(BUILD, "vm", "make.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(["make", "-s", "-C", TOP, "cluster-parts", f"O={BUILD}",
                               f"KERNEL={kernel.name}"], env=env, stdout=sys.stderr, check=False)
        if made.returncode:
            raise Failure("'make cluster-parts' failed: what the nodes need could not be built")
        return make_image(options, kernel)


def make_image(options, kernel):
    image = Image(os.path.join(BUILD, "lib"))
    modules = kernel.add_modules(image, options.netns, options.security != "insecure")
    add_security(image, options)
    guest = os.path.join(HERE, "guest")
    for name in ("init", "machine", "node"):
        dest = "/init" if name == "init" else f"/lib/cluster/{name}"
        image.add_file(os.path.join(guest, name), dest, 0o755)
    image.add_tree(os.path.join(guest, "bin"), "/usr/bin")
    image.add_base_system()
    image.add_file(os.path.join(BUILD, "vm", "stream"), "/lib/cluster/stream")
    module = os.path.join(BUILD, f"module-{kernel.release}", "dsm.ko")
    image.add_file(module, f"/lib/modules/{kernel.release}/extra/dsm.ko")
    image.add_file(os.path.join(BUILD, "tools", "dsmd"), "/usr/sbin/dsmd")
    image.add_file(os.path.join(BUILD, "tools", "dsmctl"), "/usr/bin/dsmctl")
    for name in sorted(os.listdir(os.path.join(BUILD, "lib"))):
        if ".so" in name:
            image.add_file(os.path.join(BUILD, "lib", name), f"/usr/lib/x86_64-linux-gnu/{name}")
    for source, dest in options.files:
        image.add_tree(source, dest)

    image.add_data("/lib/cluster/config", f"""\
DSM_NODES={options.nodes}
NETNS={'1' if options.netns else ''}
KEEP_MODULE={'1' if os.environ.get('CLUSTER_KEEP_MODULE') == '1' else ''}
PORTS={1 + 2 * (options.nodes if options.netns else 1)}
RELEASE={kernel.release}
SLOWNESS={kernel.slowness() * pace.slowness()}
MODULES='{' '.join(modules)}'
EXIT_MARK={EXIT_MARK}
""".encode())
    image.add_data("/lib/cluster/command",
                   f"#!/bin/sh\nexec {shlex.join(options.command)}\n".encode(), 0o755)
    return image


def make_initramfs(image, mib):
    """Writes the image to memory, which goes away with the last that has it open."""
    initramfs = open(os.memfd_create("initramfs"), "w+b")
    image.write(initramfs)
    initramfs.flush()
    # A VM unpacks it into a tmpfs, which gets half of the memory that is left beside it.
    needed = 200 + 3 * (initramfs.tell() >> 20)
    if needed > mib:
        raise Failure(f"with these files, a VM needs more memory: -m {needed} at least")
    return initramfs
