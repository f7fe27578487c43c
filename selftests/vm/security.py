# SPDX-License-Identifier: GPL-2.0
"""What the nodes of a cluster prove with that they belong to it: made anew for each run."""
import os
import subprocess
import tempfile

from base import BUILD, Failure

# Where a node finds it.
PLACE = "/etc/dsm"


def dsmctl(*arguments):
    """Runs this checkout's dsmctl on this machine."""
    env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(BUILD, "lib"))
    made = subprocess.run([os.path.join(BUILD, "tools", "dsmctl"), *arguments], env=env,
                          check=False)
    if made.returncode:
        raise Failure(f"'dsmctl {' '.join(arguments)}' failed")


def make_key(directory):
    dsmctl("keygen", os.path.join(directory, "key"))


def make_certificates(directory, nodes):
    dsmctl("cert", "authority", directory)
    for node in range(nodes):
        dsmctl("cert", "node", str(node), directory)


def settings(security, node):
    """The lines of the node's dsmd.conf."""
    if security == "key":
        return [f"key = {PLACE}/key"]
    if security == "certificates":
        return [f"certificate = {PLACE}/dsm-node-{node}.pem",
                f"private-key = {PLACE}/dsm-node-{node}.key",
                f"authority = {PLACE}/authority.pem"]
    return ["insecure = yes"]


def add_security(image, options):
    """Puts it into the image, and a node-N.conf for each node, that names it."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as directory:
        if options.security == "key":
            make_key(directory)
        elif options.security == "certificates":
            make_certificates(directory, options.nodes)
        for name in sorted(os.listdir(directory)):
            image.add_file(os.path.join(directory, name), f"{PLACE}/{name}")
    for node in range(options.nodes):
        lines = settings(options.security, node) + options.settings
        image.add_data(f"{PLACE}/node-{node}.conf", "".join(f"{line}\n" for line in lines).encode())
