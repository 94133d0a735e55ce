#!/usr/bin/python3
"""A directory as a file system without locks: nolocks.py DIRECTORY MOUNTPOINT UID

What NFS without its lock daemon looks like: everything works but fcntl(2)'s locks, which fail with ENOLCK. FUSE, in the
foreground; what is made there belongs to UID. For test_findings_files.py; needs root and python3-fusepy.
"""
import errno
import os
import sys

from fusepy import FUSE, FuseOSError, Operations

NAMES = ("st_mode", "st_uid", "st_gid", "st_size", "st_nlink", "st_atime", "st_mtime", "st_ctime")


def refusing(function):
    def call(*arguments):
        try:
            return function(*arguments)
        except OSError as error:
            raise FuseOSError(error.errno) from None
    return call


class WithoutLocks(Operations):
    def __init__(self, root, uid):
        self.root, self.uid = root, uid

    def __call__(self, operation, path, *arguments):
        return refusing(getattr(self, operation))(path, *arguments)

    def getattr(self, path, fh=None):
        found = os.lstat(self.root + path)
        return {name: getattr(found, name) for name in NAMES}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self.root + path)]

    def open(self, path, flags):
        return os.open(self.root + path, flags)

    def create(self, path, mode, fi=None):
        made = os.open(self.root + path, os.O_RDWR | os.O_CREAT, mode)
        os.fchown(made, self.uid, self.uid)
        return made

    def mkdir(self, path, mode):
        os.mkdir(self.root + path, mode)
        os.chown(self.root + path, self.uid, self.uid)

    def read(self, path, size, at, fh):
        return os.pread(fh, size, at)

    def write(self, path, data, at, fh):
        return os.pwrite(fh, data, at)

    def truncate(self, path, length, fh=None):
        os.truncate(self.root + path, length)

    def release(self, path, fh):
        os.close(fh)

    def unlink(self, path):
        os.unlink(self.root + path)

    def rename(self, path, to):
        os.rename(self.root + path, self.root + to)

    def utimens(self, path, times=None):
        return 0

    def lock(self, path, fh, command, lock):
        raise FuseOSError(errno.ENOLCK)


if __name__ == "__main__":
    FUSE(WithoutLocks(sys.argv[1], int(sys.argv[3])), sys.argv[2], foreground=True, nothreads=True, allow_other=True)
