"""A file that appears whole under its name or not at all, beside other writers and after one that was killed.

Every writer has a file of its own beside the target, under a name that nobody else draws, and gives it the target's name in one
step when its bytes are on the disk: of several writers the last one's file stands there, whole. A writer holds a lock on its file
until it has that name. What a killed process left has no lock, and the next writer of the same target removes it. (It may be
quicker than the lock of a writer that begins; that one sees that its file is gone, and makes another.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:
    # Windows, where an open file can't be removed: that is lock enough, but for the moment of its renaming
    fcntl = None

ENDING = ".part"
YOUNG = 60.0  # seconds in which a file may be one that is being renamed, where there are no locks


def require_folder(path: Any) -> None:
    """FileNotFoundError or NotADirectoryError where a file can't be made since its folder is none."""
    folder = Path(os.path.realpath(path)).parent
    if folder.is_dir():
        return
    if folder.exists():
        raise NotADirectoryError(f"{folder} is a file, not a folder to write {Path(path).name} in.")
    raise FileNotFoundError(f"There is no folder {folder} to write {Path(path).name} in; make it first.")


class WholeFile:
    """A new file beside ``path``, open for its writer; ``finish``, ``keep_as`` or ``discard`` ends it.

    Attributes
    ----------
    target : Path
        Where the file will be: of a link, the file that it leads to.
    temporary : Path
        Where it is written.
    """

    def __init__(self, path: Any) -> None:
        self.target = Path(os.path.realpath(path))
        if self.target.exists() and not self.target.is_file():
            raise OSError(errno.EEXIST, "Not a regular file", str(path))
        require_folder(path)
        remove_stale(self.target)
        self._create()
        while not self.temporary.exists():  # taken for a stale one before it had its lock
            self._close()
            self._create()

    def _create(self) -> None:
        """A new file, with the permissions of the one that it replaces, or that the process gives to its files, and its lock."""
        self.temporary = self.target.with_name(f"{self.target.name}.{secrets.token_hex(4)}{ENDING}")
        self.handle = os.open(self.temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with contextlib.suppress(OSError):  # no file yet, or a file system without permissions
            os.chmod(self.temporary, stat.S_IMODE(self.target.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        _lock(self.handle, wait=True)

    def finish(self) -> None:
        """All is written: the file takes its name, once it is on the disk."""
        os.fsync(self.handle)
        self.keep_as(self.target)
        _sync_folder(self.target.parent)

    def keep_as(self, path: Path) -> None:
        """The file as it is takes this name."""
        if fcntl is None:
            self._close()
        os.replace(self.temporary, path)
        self._close()

    def discard(self) -> None:
        """The file is removed, if it is still there."""
        self._close()
        self.temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        handle, self.handle = self.handle, -1
        if handle >= 0:
            os.close(handle)


def remove_stale(target: Path) -> None:
    """Remove what killed writers of this target left: files of theirs which nobody holds. What can't be told is left alone."""
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            drawn = path.name.removeprefix(f"{target.name}.").removesuffix(ENDING)
            if (
                path.name == f"{target.name}.{drawn}{ENDING}"
                and len(drawn) == 8
                and not set(drawn) - set("0123456789abcdef")
            ):
                _remove_if_stale(path)


def _remove_if_stale(path: Path) -> None:
    with contextlib.suppress(OSError):
        if fcntl is None:
            if time.time() - path.stat().st_mtime >= YOUNG:
                path.unlink()
            return
        handle = os.open(path, os.O_RDWR)
        try:
            if _lock(handle):
                path.unlink()
        finally:
            os.close(handle)


def _lock(handle: int, wait: bool = False) -> bool:
    """Take the lock of an open file; False where another process has it, or the file system has no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """The new name is on the disk as well, where folders can be synchronised."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
