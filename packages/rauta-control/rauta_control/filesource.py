"""The source that is a file or a folder of manifests: looks when something happens there, and tells the sink. A shell.

scan.py sees what changed, catalog.py knows what it means. watchfiles says that something happened, and where; a file
alone is watched by its folder, since it may be replaced. Where watching fails, and now and then in any case (network
file systems tell nobody), everything is looked at. A file must be gone for a moment before its objects are: editors
replace files by removing them first.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import watchfiles

from rauta_control import scan
from rauta_control.catalog import Catalog
from rauta_control.kinds import AnyResource
from rauta_control.log import Log
from rauta_control.manifests import NOTHING
from rauta_control.problem import Problem
from rauta_control.scan import Seen, Stamp
from rauta_control.slices import Slices
from rauta_control.source import Fault, Sink
from rauta_control.turns import in_turns

STEP = 10  # milliseconds without another change after which changes are told
GROUP = 50  # milliseconds that changes are gathered at most
GRACE = 0.25  # seconds that a file must be gone
RESCAN = 30.0  # seconds until everything is looked at, whatever was told
POLL = 1.0  # the same where nothing can be told
KEEP_RETRY = 0.5  # seconds until what could not be handed over is handed over again
MAX_NAMED = 200  # changed paths that are looked at one by one
MAX_LOGGED = 20  # lines about what is wrong, each time

#: Is told whenever the last good objects of broken documents change, by file, to keep them over a restart; says whether
#: they are kept now.
Keep: TypeAlias = Callable[[Mapping[str, Iterable[AnyResource]]], Awaitable[bool]]


class FileSource:
    """Follows what is at a path and tells `sink`, and `keep` what would be lost by a restart."""

    def __init__(self, sink: Sink, log: Log, keep: Keep | None = None) -> None:
        self._sink = sink
        self._log = log
        self._keep = keep
        self._kept: dict[str, tuple[AnyResource, ...]] = {}  # by `keep`
        self._unkept = False  # whether it lacks what it was told last
        self._path: Path | None = None
        self._catalog = Catalog()
        self._stamps: dict[str, Stamp] = {}
        self._folders: set[str] = set()  # in which there ever was one of them
        self._missing: dict[str, float] = {}  # since when
        self._writing: dict[str, float] = {}  # since when files are not quiet
        self._quiet = scan.QUIET  # seconds until they may be
        self._faults: tuple[Fault, ...] = ()
        self._lost = ""  # why nothing can be seen at all
        # -- what is to be looked at
        self._wake = asyncio.Event()
        self._everything = True
        self._names: set[str] = set()
        self._unseen = True  # whether there was no look at everything yet
        self._anew = False  # whether what looks unchanged is to be read too
        self._watch: _Watch | None = None

    def recall(self, kept: Mapping[str, Iterable[AnyResource]]) -> None:
        """Begin with what `keep` was told before a restart."""
        for name, resources in kept.items():
            self._catalog.recall(name, resources)
            self._stamps[name] = scan.NOTHING  # so that it is missed if it is not there any more
        self._kept = self._catalog.kept

    def point(self, path: Path | None) -> None:
        """Follow this path from now on, or none; look at everything there, whether it seems changed or not."""
        if path != self._path:
            self._path = path
            self._stop()
        self._everything = self._anew = True
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                self._wake.clear()
                patience = await self._look()
                try:
                    async with asyncio.timeout(patience):
                        await self._wake.wait()
                except TimeoutError:
                    self._everything |= patience in (RESCAN, POLL)
        finally:
            self._stop()

    async def _look(self) -> float:
        """Look once; return for how long there is nothing to do unless something happens."""
        if self._path is None:
            await self._forget_all()
            return KEEP_RETRY if self._unkept else RESCAN
        self._keep_watch(self._path)
        now = time.monotonic()
        due = {name for name, since in self._missing.items() if now - since >= GRACE}
        only = None if self._everything else {*self._names, *self._writing, *due}
        known = {} if self._anew else self._stamps
        impatient = any(now - since > scan.IMPATIENT for since in self._writing.values())
        self._everything, self._names, anew, self._anew = False, set(), self._anew, False
        if only is None or only:
            path, loop = self._path, asyncio.get_running_loop()
            try:
                seen = await loop.run_in_executor(None, scan.look, path, known, only, impatient)
            except OSError as error:
                self._everything, self._anew = True, anew
                below = f"{error.filename}: " if str(error.filename or path) != str(path) else ""
                self._lost = f"{below}{(error.strerror or str(error)).lower()}"
                await self._tell()
                return POLL
            if path != self._path:
                return 0.0
            self._lost = ""
            if anew:
                there = {*seen.stamps, *seen.busy, *seen.errors}
                seen.gone = [name for name in self._stamps if name not in there]
            await in_turns(self._take(seen, due, now))
            await self._tell()
            self._unseen &= only is not None
            if not self._unseen and not self._writing:
                self._sink.synced()
        elif self._unkept:
            await self._hand_over()
        return self._patience()

    def _patience(self) -> float:
        if self._writing:
            return self._quiet
        if self._missing:
            return GRACE
        if self._watch is None or self._watch.failed or self._watch.fresh:
            if self._watch is not None:
                self._watch.fresh = False
            return POLL
        return KEEP_RETRY if self._unkept else RESCAN

    def _take(self, seen: Seen, due: Collection[str], now: float) -> Slices[None]:
        self._stamps.update(seen.stamps)
        for name in seen.stamps:
            folder = name.rpartition("/")[0]
            while folder and folder not in self._folders:
                self._folders.add(folder)
                folder = folder.rpartition("/")[0]
        yield
        self._writing = {name: self._writing.get(name, now) for name in seen.busy}
        self._quiet = seen.wait
        for name in (*seen.texts, *seen.errors, *seen.busy):
            self._missing.pop(name, None)
        for name, text in seen.texts.items():
            yield from self._catalog.update(name, text)
        for name, why in seen.errors.items():
            self._catalog.fail(name, why)
            self._stamps.setdefault(name, scan.NOTHING)
        for name in seen.gone:
            if name in due:
                self._remove(name)
            elif name not in self._missing:
                self._missing[name] = now
                self._catalog.vanish(name)
            yield

    def _remove(self, name: str) -> None:
        self._catalog.remove(name)
        self._stamps.pop(name, None)
        self._missing.pop(name, None)

    async def _forget_all(self) -> None:
        """There is no path: what was there is gone, and nothing is awaited."""
        for name in list(self._stamps):
            self._remove(name)
        self._writing.clear()
        self._lost = ""
        await self._tell()

    async def _tell(self) -> None:
        await self._hand_over()
        if edits := self._catalog.edits():
            self._sink.edit(edits)
        faults = (*self._of_path(), *self._catalog.faults())
        if faults != self._faults:
            old, self._faults = self._faults, faults
            self._sink.report(faults)
            _say(self._log.warn, "manifest", old, faults)
            _say(self._log.info, "manifest mended", faults, old)

    async def _hand_over(self) -> None:
        """Have `keep` know what is kept; where that fails it is tried again without another change."""
        kept = self._catalog.kept
        self._unkept = self._keep is not None and kept != self._kept and not await self._keep(kept)
        if not self._unkept:
            self._kept = kept

    def _of_path(self) -> Iterator[Fault]:
        """What is wrong with the path itself."""
        if self._lost:
            yield Fault(str(self._path), "", Problem("", f"{self._lost}; what was read before stays"))
        elif self._path is not None and not self._stamps and not self._writing:
            yield Fault(str(self._path), "", Problem("", NOTHING, level="warning"))

    # -- the watch

    def _keep_watch(self, path: Path) -> None:
        """Watch the folder that is there now, if none is watched, or another one that was there before."""
        folder = path if path.is_dir() else path.parent
        try:
            status = folder.stat()
        except OSError:
            self._stop()
            return
        identity = (status.st_dev, status.st_ino)
        if self._watch is None or self._watch.identity != identity:
            self._stop()
            self._watch = _Watch(folder, identity, self._told, recursive=folder == path)
            self._watch.start()
            self._everything = True

    def _stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _told(self, watch: _Watch, paths: set[str], error: str) -> None:
        """Something happened at `paths`, or the watch failed."""
        if watch is not self._watch or self._path is None:
            return
        if error:
            self._log.warn("files are looked at every second: they cannot be watched", path=self._path, error=error)
        names = scan.names_of(self._path, paths, self._folders) if watch.recursive and len(paths) <= MAX_NAMED else None
        if names is None:
            self._everything = watch.fresh = True  # a new folder is not watched at once: look again later
        else:
            self._names |= names
        self._wake.set()


class _Watch(threading.Thread):
    """Tells of changes below a folder until stopped, on the loop on which it was made."""

    def __init__(
        self,
        folder: Path,
        identity: tuple[int, int],
        told: Callable[[_Watch, set[str], str], None],
        *,
        recursive: bool,
    ) -> None:
        super().__init__(name="rauta-watch", daemon=True)
        self.identity = identity
        self.recursive = recursive
        self.failed = False
        self.fresh = True  # perhaps not watching yet
        self._folder = folder
        self._tell = told
        self._loop = asyncio.get_running_loop()
        self._end = threading.Event()

    def run(self) -> None:
        """See threading.Thread."""
        try:
            for changes in watchfiles.watch(
                self._folder,
                watch_filter=None,
                debounce=GROUP,
                step=STEP,
                stop_event=self._end,
                raise_interrupt=False,
                recursive=self.recursive,
                ignore_permission_denied=True,
            ):
                self._pass_on({path for _, path in changes})
        except (OSError, RuntimeError) as error:
            self.failed = True
            self._pass_on(set(), str(error))

    def stop(self) -> None:
        """Tell no more; the thread ends within seconds."""
        self._end.set()

    def _pass_on(self, paths: set[str], error: str = "") -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._tell, self, paths, error)


def _say(write: Callable[..., None], what: str, before: tuple[Fault, ...], after: tuple[Fault, ...]) -> None:
    """Write a line for each fault that is new in `after`."""
    known = set(before)
    new = [each for each in after if each not in known]
    for each in new[:MAX_LOGGED]:
        problem = each.problem
        write(
            what, document=each.place, object=each.subject or None, field=problem.path or None, problem=problem.message
        )
    if len(new) > MAX_LOGGED:
        write(what, more=len(new) - MAX_LOGGED)
