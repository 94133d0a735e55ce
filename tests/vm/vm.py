"""Runs a command in a virtual machine with a Debian kernel: vm.py [--minutes N] [--memory MIB] COMMAND...

For what this machine's kernel or limits do not allow. The guest sees this machine's files, read-only below a tmpfs of its
own, has loopback and no network device, and raises its limits. The kernel is Debian's package, fetched and unpacked once
into CACHE, never installed; qemu emulates the processor, so that /dev/kvm is not needed. The command's output comes out here, and
its exit status is ours (124: it took too long; 125: the machine ended without one, its console is shown)."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "linux-image-amd64"
# For the files, for sock_diag(7), which the hold asks, and for kernel TLS. Nothing loads modules in the guest later.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "tcp_diag", "udp_diag", "unix_diag",
           "tls", "gcm", "ctr", "ghash-generic")


def fetch(cache):
    """The kernel's package, unpacked; the newest that apt knows of, once."""
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    told = subprocess.run(["apt-cache", "show", "--no-all-versions", PACKAGE], check=True, capture_output=True, text=True).stdout
    exact = next(line.split()[1] for line in told.splitlines() if line.startswith("Depends: linux-image-"))
    subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", exact], cwd=cache, check=True)
    package = next(cache.glob("*.deb"))
    subprocess.run(["dpkg", "-x", package, cache / "root"], check=True)
    package.unlink()


def modules(root):
    """The files of MODULES and of what they need, in the order in which they are loaded."""
    top = next((root / "lib/modules").iterdir())
    if not (top / "modules.dep").exists():
        subprocess.run(["busybox", "depmod", "-b", root, top.name], check=True)
    needs = {Path(name).name.split(".")[0]: [name, *rest.split()]
             for name, rest in (line.split(":") for line in (top / "modules.dep").read_text().splitlines())}
    order = [file for name in MODULES for file in reversed(needs[name])]
    return [top / file for file in dict.fromkeys(order)]


def make_initramfs(root, directory):
    tree = directory / "initramfs"
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    shutil.copy(shutil.which("busybox"), tree / "bin")
    shutil.copy(HERE / "init", tree)
    (tree / "init").chmod(0o755)
    for number, file in enumerate(modules(root)):
        shutil.copy(file, tree / "modules" / f"{number:02}-{file.name}")
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with (directory / "initramfs.cpio").open("wb") as out:
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=tree, input=names.encode(), stdout=out,
                       stderr=subprocess.DEVNULL, check=True)


def write_command(command, directory):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "BUILD", "PYTHON") if name in os.environ}
    words = ["exec", "env", "-i", *(f"{name}={value}" for name, value in kept.items()), *command]
    (directory / "run").write_text(f"cd {shlex.quote(os.getcwd())} && {shlex.join(words)}\n")


def boot(root, directory, seconds, memory):
    """Returns the exit status of the guest's command."""
    machine = subprocess.Popen(
        ["qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-nic", "none",
         "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", str(memory),
         "-kernel", next((root / "boot").glob("vmlinuz-*")), "-initrd", directory / "initramfs.cpio",
         "-append", f"console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off vm.job={directory} vm.seconds={seconds}",
         "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
         "-serial", f"file:{directory}/console", "-serial", "stdio", "-serial", f"file:{directory}/status"],
        stdin=subprocess.DEVNULL)
    try:
        machine.wait(seconds + 60)
    except subprocess.TimeoutExpired:
        return 124
    finally:
        machine.kill()
        machine.wait()
    told = (directory / "status").read_text().split()
    if not told:
        print((directory / "console").read_text(errors="replace"), file=sys.stderr)
    return int(told[0]) if told else 125


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("BUILD", "build")) / "vm")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--memory", type=int, default=4096)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that qemu is ended then too
    root = wanted.cache.resolve() / "root"
    if not root.exists():
        fetch(root.parent)
    with tempfile.TemporaryDirectory(prefix="tapline-vm-") as name:
        directory = Path(name)
        make_initramfs(root, directory)
        write_command(wanted.command, directory)
        return boot(root, directory, int(wanted.minutes * 60), wanted.memory)


if __name__ == "__main__":
    sys.exit(main())
