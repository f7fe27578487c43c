# SPDX-License-Identifier: GPL-2.0
"""The kernel that a cluster's VMs boot: its image, and the modules they need."""
import gzip
import lzma
import os
import re
import struct
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))

# Loaded at boot, where they are not built in.
NEEDED = ("virtio_pci", "virtio_console")
NEEDED_VMS = ("virtio_net",)
NEEDED_NETNS = ("veth", "bridge")
# For TLS in the kernel, by whatever names the kernel has them: dsmd's connections use the first
# cipher, and the other one on processors with instructions for AES.
NEEDED_TLS = ("tls",)
TLS_CIPHERS = ("libchacha", "chacha_generic", "chacha_x86_64", "libpoly1305", "poly1305_generic",
               "poly1305_x86_64", "chacha20poly1305", "crypto_null", "ctr", "gf128mul",
               "ghash_generic", "gcm")
# There for tests to load, if the kernel has them.
OFFERED = ("sch_netem", "dummy", "loop", "brd", "ext4", "inet_diag", "tcp_diag",
           "netlink_diag", "tun", "null_blk", "virtio_rng")

# With one of these, a kernel checks what it does: it may be so many times slower.
CHECKERS = ("KASAN", "KCSAN", "PROVE_LOCKING")
CHECKING_SLOWNESS = 8

# Where the boot protocol keeps the compressed kernel (Documentation/arch/x86/boot.rst).
SETUP_SECTS, PAYLOAD_OFFSET, PAYLOAD_LENGTH = 0x1f1, 0x248, 0x24c


class KernelError(Exception):
    """The kernel cannot be had, or lacks something."""


class Kernel:
    """A Debian kernel by version, or a kernel's build directory."""

    def __init__(self, name, build):
        self.name = name
        self.vm_dir = os.path.join(build, "vm")
        self.release = self.ask("release")
        self.image = self.ask("image")
        self.modules = self.ask("modules")
        self.index = None

    def ask(self, what):
        asked = subprocess.run([os.path.join(HERE, "kernel"), self.name, what],
                               stdout=subprocess.PIPE, text=True, check=False)
        if asked.returncode:
            raise KernelError(f"no kernel {self.name}")
        return asked.stdout.strip()

    def config(self):
        """Its configuration, where it is at hand: that of a build directory."""
        path = os.path.join(self.modules, ".config")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as f:
            return f.read()

    def slowness(self):
        """By what limits of time have to be multiplied."""
        config = self.config()
        checks = any(f"\nCONFIG_{name}=y\n" in config for name in CHECKERS)
        return CHECKING_SLOWNESS if checks else 1

    def boot_image(self):
        """The uncompressed kernel, if QEMU can enter it (PVH): unpacking costs a VM 2 s."""
        if os.path.dirname(self.image).endswith("arch/x86/boot"):
            return self.image
        vmlinux = os.path.join(os.path.dirname(self.image), f"vmlinux-{self.release}")
        if not os.path.exists(vmlinux):
            with open(self.image, "rb") as f:
                data = unpack_kernel(f.read())
            if data is None:
                return self.image
            with open(f"{vmlinux}.{os.getpid()}", "wb") as f:
                f.write(data)
            os.rename(f"{vmlinux}.{os.getpid()}", vmlinux)
        return vmlinux

    def find(self, name):
        if self.index is None:
            self.index = {}
            for parent, _, files in os.walk(self.modules):
                for file in files:
                    module = re.match(r"(.*)\.ko(\.xz|\.gz|\.zst)?$", file)
                    if module:
                        self.index[module[1].replace("-", "_")] = os.path.join(parent, file)
        return self.index.get(name)

    def is_builtin(self, name):
        with open(os.path.join(self.modules, "modules.builtin"), encoding="ascii") as f:
            return re.search(rf"/{name}\.ko$", f.read().replace("-", "_"), re.M)

    def add_modules(self, image, netns, tls):
        """Puts modules into the image; returns those to load, in order."""
        added = {}

        def add(name):
            """Adds a module behind those that it depends on."""
            if name in added or self.is_builtin(name):
                return
            path = self.find(name)
            if not path:
                raise KernelError(f"{self.release} has no {name}, neither built in nor as a module")
            data = read_module(path)
            depends = re.search(rb"\0depends=([^\0]*)\0", data)
            names = depends[1].decode().split(",") if depends and depends[1] else []
            for other in names:
                add(other.replace("-", "_"))
            added[name] = [f"kernel/{n.replace('-', '_')}.ko" for n in names
                           if n.replace("-", "_") in added]
            image.add_data(f"/lib/modules/{self.release}/kernel/{name}.ko", data)

        for name in (NEEDED + (NEEDED_NETNS if netns else NEEDED_VMS)
                     + (NEEDED_TLS if tls else ())):
            add(name)
        for name in TLS_CIPHERS if tls else ():
            if self.find(name):
                add(name)
        to_load = [f"kernel/{name}.ko" for name in added]
        for name in OFFERED:
            if self.find(name):
                add(name)
        image.add_data(f"/lib/modules/{self.release}/modules.dep", "".join(
            f"kernel/{name}.ko: {' '.join(depends)}\n" for name, depends in added.items()).encode())
        return to_load


def read_module(path):
    with open(path, "rb") as f:
        data = f.read()
    return decompress(data) if not path.endswith(".ko") else data


def decompress(data):
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True,
                              check=False).stdout
    return None


def unpack_kernel(image):
    """The ELF file inside a bzImage, or None if it has no entry for QEMU."""
    payload, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    start = (image[SETUP_SECTS] + 1) * 512 + payload
    data = decompress(image[start:start + length])
    # The note that names the entry: 4 bytes of name, 8 of address, type 18, "Xen".
    if data and re.search(rb"\x04\0\0\0[\x04\x08]\0\0\0\x12\0\0\0Xen\0", data[:1 << 26]):
        return data
    return None
