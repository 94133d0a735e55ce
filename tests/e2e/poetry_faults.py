"""The seven ways in which Poetry's cache breaks and Poetry blames the network, as a table.

clients.md section 4 measured them; letters are its letters (F is not about the cache). Each fault prepares a fresh
home of the unprivileged user; those that need a file system of their own do it by private mounts. Used by
test_poetry_faults.py.
"""
import hashlib
import os

import user as user_module

CACHE = ".cache/pypoetry"
HTTP = CACHE + "/cache/repositories/local/_http"


class Fault:
    """code: the finding that must come first. answers: how often the index answers 200. where: the directory or file at
    fault, below the home. prepare(sandbox, index) sets it up and may return a script for private mounts."""

    def __init__(self, letter, code, errno, where, answers, prepare):
        self.letter, self.code, self.errno = letter, code, errno
        self.where, self.answers, self.prepare = where, answers, prepare


def _parent_not_writable(sandbox, index):
    sandbox.user.make_dir(sandbox.home / ".cache", 0o555)


def _of_another_user(sandbox, index):
    """As sudo poetry leaves it. Without root nobody can make such a directory; one without any permission is as bad."""
    path = sandbox.user.make_dir(sandbox.home / HTTP)
    path.chmod(0o700 if user_module.IS_ROOT else 0)
    if user_module.IS_ROOT:
        os.chown(path, 0, 0)


def _read_only(sandbox, index):
    path = sandbox.user.make_dir(sandbox.home / CACHE)
    return f"mount --bind '{path}' '{path}'\nmount -o remount,bind,ro '{path}'"


def _full(sandbox, index):
    path = sandbox.user.make_dir(sandbox.home / CACHE)
    return (f"mount -t tmpfs -o size=64k,mode=755,uid={sandbox.user.mount_uid} full '{path}'\n"
            f"dd if=/dev/zero of='{path}/filler' bs=4k 2>/dev/null || :")


def _no_inodes(sandbox, index):
    path = sandbox.user.make_dir(sandbox.home / CACHE)
    return (f"mount -t tmpfs -o size=1m,nr_inodes=2,mode=755,uid={sandbox.user.mount_uid} few '{path}'\n"
            f": >'{path}/filler'")


def lock_path(sandbox, index):
    """Where CacheControl locks the cache's entry for the first page that Poetry asks for."""
    name = hashlib.sha224(f"{index.url}/simple/grove/".encode()).hexdigest()
    return sandbox.home.joinpath(HTTP, *name[:5], name + ".lock")


def _stale_lock(sandbox, index):
    """Without root, a file of root is mounted there instead."""
    path = sandbox.user.make_file(lock_path(sandbox, index))
    if not user_module.IS_ROOT:
        return f"mount --bind /etc/passwd '{path}'"
    os.chown(path, 0, 0)
    return None


def _file_in_the_way(sandbox, index):
    sandbox.user.make_file(sandbox.home / CACHE / "cache/repositories", "not a directory\n")


FAULTS = {fault.letter: fault for fault in (
    Fault("A", "cache-not-writable", "EACCES", CACHE, 6, _parent_not_writable),
    Fault("B", "cache-not-readable", "EACCES", HTTP, 0, _of_another_user),
    Fault("C", "read-only-filesystem", "EROFS", CACHE, 6, _read_only),
    Fault("D", "disk-full", "ENOSPC", CACHE, 6, _full),
    Fault("E", "cache-owned-by-other-user", "EACCES", HTTP, 6, _stale_lock),
    Fault("G", "inodes-exhausted", "ENOSPC", CACHE, 6, _no_inodes),
    Fault("H", "path-component-not-a-directory", "ENOTDIR", CACHE + "/cache/repositories", 0, _file_in_the_way),
)}
NEED_MOUNTS = "CDG" if user_module.IS_ROOT else "CDEG"
