# SPDX-License-Identifier: GPL-2.0
"""The root file system of a cluster's VM: an initramfs, written without root."""
import os
import re
import stat
import subprocess

# As in Debian, these names are links into /usr.
MERGED = ("bin", "lib", "lib64", "sbin")
# A tmpfs hides these at boot; init copies what is meant to be in them from here.
COVERED = "/lib/cluster/covered"
COVERED_DIRS = ("/tmp/", "/run/", "/dev/")
# The places where the loader looks without being told.
LIBRARY_DIR = "/usr/lib/x86_64-linux-gnu"

DIRECTORIES = ("/dev", "/etc", "/home/user", "/proc", "/root", "/run", "/sys", "/tmp",
               "/usr/bin", "/usr/sbin", "/usr/lib64", LIBRARY_DIR, "/var/tmp", COVERED)

ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n"
              "dsm:x:900:900:dsmd:/:/bin/false\n"
              "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "group": "root:x:0:\nuser:x:1000:\ndsm:x:900:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n" + "".join(f"10.77.0.{i + 1} node{i}\n" for i in range(8)),
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "shells": "/bin/sh\n",
}

# Beyond busybox: namespaces, and traffic control for tests; and a shell that finds these in
# PATH (busybox's own prefers its applets). libgcc_s is loaded by name, when a thread is
# cancelled.
HOST_PROGRAMS = ("sh", "ip", "tc", "unshare")
LOADED_BY_NAME = ("/lib/x86_64-linux-gnu/libgcc_s.so.1",)


class ImageError(Exception):
    """Something that belongs into the image cannot be had."""


class Image:
    """Collects files, then writes them as a cpio archive ("newc")."""

    def __init__(self, libdsm_dir):
        self.libdsm_dir = libdsm_dir
        self.entries = {}
        for name in MERGED:
            self.entries["/" + name] = (stat.S_IFLNK | 0o777, b"usr/" + name.encode())
        for path in DIRECTORIES:
            self.add_directory(path)
        self.add_directory("/root", 0o755)

    @staticmethod
    def canonical(path):
        first = path.split("/")[1]
        return "/usr" + path if first in MERGED else path

    def add_directory(self, path, mode=0o755):
        path = self.canonical(os.path.normpath(path))
        if path == "/":
            return
        if path not in self.entries:
            self.add_directory(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | mode, b"")

    def add_entry(self, path, mode, data):
        path = os.path.normpath(path)
        if path.startswith(COVERED_DIRS):
            path = COVERED + path
        path = self.canonical(path)
        self.add_directory(os.path.dirname(path))
        self.entries[path] = (mode, data)

    def add_data(self, path, data, mode=0o644):
        self.add_entry(path, stat.S_IFREG | mode, data)

    def add_link(self, path, target):
        self.add_entry(path, stat.S_IFLNK | 0o777, target.encode())

    def add_file(self, source, dest, mode=None):
        """A file, or the link that it is, and the shared libraries it needs."""
        if os.path.islink(source) and not os.readlink(source).startswith("/"):
            self.add_link(dest, os.readlink(source))
            return
        try:
            with open(source, "rb") as f:
                data = f.read()
        except OSError as error:
            raise ImageError(f"{source}: {error.strerror}") from None
        self.add_data(dest, data, mode or stat.S_IMODE(os.stat(source).st_mode) & 0o777)
        if data.startswith(b"\x7fELF") and not source.endswith(".ko"):
            self.add_libraries(source)

    def add_tree(self, source, dest):
        """A file (what a link leads to), or a directory with all in it (links as links)."""
        if not os.path.isdir(source):
            self.add_file(os.path.realpath(source), dest)
            return
        self.add_directory(dest)
        for parent, dirs, files in os.walk(source):
            place = os.path.normpath(os.path.join(dest, os.path.relpath(parent, source)))
            for name in dirs + files:
                path = os.path.join(parent, name)
                if os.path.islink(path):
                    self.add_link(os.path.join(place, name), os.readlink(path))
                elif os.path.isdir(path):
                    self.add_directory(os.path.join(place, name))
                elif os.path.isfile(path):
                    self.add_file(path, os.path.join(place, name))

    def add_libraries(self, source):
        env = dict(os.environ, LD_LIBRARY_PATH=self.libdsm_dir, LC_ALL="C")
        ldd = subprocess.run(["ldd", os.path.abspath(source)], env=env, capture_output=True,
                             text=True, check=False)
        for line in ldd.stdout.splitlines():
            missing = re.match(r"\s*(\S+) => not found", line)
            if missing:
                raise ImageError(f"{source} needs {missing[1]}, which this machine does not have")
            found = re.match(r"\s*(?:\S+ => )?(/\S+) \(0x", line)
            if not found:
                continue
            path = found[1]
            if path.startswith(self.libdsm_dir + "/"):
                continue
            if self.canonical(path) not in self.entries:
                with open(path, "rb") as f:
                    self.add_data(path, f.read(), 0o755)

    def add_base_system(self):
        busybox = host_program("busybox")
        self.add_file(busybox, "/usr/bin/busybox")
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
        for name in applets.stdout.split():
            if name not in HOST_PROGRAMS and name != "busybox":
                self.add_link(f"/usr/bin/{name}", "busybox")
        # Where the kernel looks for it.
        self.add_link("/usr/sbin/modprobe", "../bin/busybox")
        for name in HOST_PROGRAMS:
            self.add_file(os.path.realpath(host_program(name)), f"/usr/bin/{name}")
        for path in LOADED_BY_NAME:
            self.add_file(os.path.realpath(path), path)
        for name, text in ETC.items():
            self.add_data(f"/etc/{name}", text.encode())

    def write(self, out):
        inode = 0
        for path in sorted(self.entries):
            mode, data = self.entries[path]
            inode += 1
            self.write_entry(out, inode, path[1:], mode, data)
        self.write_entry(out, 0, "TRAILER!!!", 0, b"")

    @staticmethod
    def write_entry(out, inode, name, mode, data):
        name = os.fsencode(name) + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))


def host_program(name):
    for directory in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]:
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK):
            return path
    raise ImageError(f"{name} is not installed: selftests/vm/deps names what to install")
