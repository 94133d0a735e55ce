"""The unprivileged user that all clients run as, and private mounts for them.

As root (CI) it is `nobody`, because EACCES does not exist for root; otherwise it is the developer. Knows how to start
a command as that user and how to put mounts under it that nobody else sees. Used by runner.py.
"""
import os
import pwd
import shutil
import subprocess

IS_ROOT = os.geteuid() == 0


class User:
    def __init__(self):
        entry = pwd.getpwnam("nobody") if IS_ROOT else pwd.getpwuid(os.geteuid())
        self.uid, self.gid, self.name = entry.pw_uid, entry.pw_gid, entry.pw_name
        self.mount_uid = self.uid if IS_ROOT else 0  # what this uid is called where with_mounts() mounts
        if self.uid == 0:
            raise RuntimeError("the unprivileged user has uid 0")

    def popen_arguments(self):
        """What makes subprocess start a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if IS_ROOT else {}

    def own(self, *paths):
        for path in paths:
            if IS_ROOT:
                os.lchown(path, self.uid, self.gid)

    def make_dir(self, path, mode=0o755):
        """Make a directory and its missing parents, each owned by this user. Returns path."""
        missing = []
        at = path
        while not at.exists():
            missing.append(at)
            at = at.parent
        for directory in reversed(missing):
            directory.mkdir()
            self.own(directory)
        path.chmod(mode)
        return path

    def make_file(self, path, data=b"", mode=0o644):
        if not path.parent.exists():
            self.make_dir(path.parent)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        path.chmod(mode)
        self.own(path)
        return path

    def with_mounts(self, script, argv):
        """argv that runs the shell script with the right to mount, then argv as this user, who sees the mounts. To be
        started as ourselves, not as this user. The pid stays: every step is an exec."""
        return self._apart(["-m", "--propagation", "private"], script, argv)

    def with_network(self, script, argv):
        """The same with a network of its own, which has nothing but what the script makes."""
        return self._apart(["-n"], "PATH=$PATH:/usr/sbin:/sbin\n" + script, argv)

    def with_mounts_and_network(self, script, argv):
        """Both, made by one script."""
        return self._apart(["-n", "-m", "--propagation", "private"], "PATH=$PATH:/usr/sbin:/sbin\n" + script, argv)

    def _apart(self, spaces, script, argv):
        if IS_ROOT:
            drop = f"setpriv --reuid={self.uid} --regid={self.gid} --clear-groups"
            enter = ["unshare", *spaces]
        else:
            drop = f"unshare -U --map-user={self.uid} --map-group={self.gid}"
            enter = ["unshare", "-r", *spaces]
        return [*enter, "sh", "-ec", f'{script}\nexec {drop} -- "$@"', "sh", *argv]


def mounts_problem():
    """Why private mounts cannot be had here, or None."""
    if not shutil.which("unshare"):
        return "unshare(1) is missing"
    command = ["unshare", *([] if IS_ROOT else ["-r"]), "-m", "sh", "-c", "mount -t tmpfs none /mnt"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return done.stderr.strip() or "unshare failed" if done.returncode else None


def network_problem():
    """Why a network of one's own cannot be had here, or None."""
    if not shutil.which("unshare"):
        return "unshare(1) is missing"
    command = ["unshare", *([] if IS_ROOT else ["-r"]), "-n", "sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return done.stderr.strip() or "unshare failed" if done.returncode else None
