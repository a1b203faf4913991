"""What the server does for one client: it follows its texts with the analysis, and tells what is found."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

from lsprotocol.types import (
    LogMessageParams,
    MessageType,
    PublishDiagnosticsParams,
    ShowMessageParams,
    WorkDoneProgressBegin,
    WorkDoneProgressEnd,
)
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from cancellint.cache import Store
from cancellint.mistakes import Mistake
from cancellint.printable import printable
from cancellint.server.background import DELAY, Background
from cancellint.server.diagnostics import diagnostic
from cancellint.server.places import path_of, uri_of
from cancellint.server.settings import ClientSettings
from cancellint.server.state import NOTHING, Known, known, with_files
from cancellint.server.texts import encoded
from cancellint.workspace import Workspace

PATIENCE: Final = 1.0
"""Seconds that an analysis takes before the client is told that it runs."""

_TOKEN: Final = "cancellint"


class Session:
    """What the server does for its client. All of it but the analysis runs in the event loop."""

    def __init__(self, server: LanguageServer, cache: Path | None) -> None:
        self.known: Known = NOTHING
        self.background = Background()
        self.is_running = False
        self._server = server
        self._cache = cache
        self._settings = ClientSettings()
        self._folders: tuple[Path, ...] = ()
        self._loose: tuple[Path, ...] = ()
        """open files outside of all folders"""
        self._workspace: Workspace | None = None
        self._shown: frozenset[Path] = frozenset()
        """the files that the client has diagnostics of"""
        self._tasks: set[asyncio.Task[None]] = set()
        self._complaint = ""
        self._edited: tuple[Path, ...] = ()
        """files that have been written in since they were looked at"""
        self._told = 0
        """how often the client was told that an analysis runs"""

    def begin(self, folders: tuple[Path, ...], settings: ClientSettings) -> None:
        """Look at these folders, with these settings, and forget all others."""
        self._folders, self._settings = folders, settings
        self._anew()

    def resettle(self, settings: ClientSettings) -> None:
        """The same folders with other settings."""
        self.begin(self._folders, settings)

    def move(self, added: tuple[Path, ...], removed: tuple[Path, ...]) -> None:
        """Look at some folders more, and at others no more."""
        kept = tuple(each for each in self._folders if each not in removed)
        self.begin((*kept, *added), self._settings)

    def opened(self, uri: str) -> None:
        """A text is shown to somebody. A file that lies outside of all folders is looked at while it is."""
        path = path_of(uri)
        if path is None or self._workspace is None:
            return
        if not any(path.is_relative_to(folder) for folder in self._folders) and path not in self._loose:
            self._loose = (*self._loose, path)
            self._anew()
        elif not _is_on_disk(path, self._server.workspace.get_text_document(uri).source):
            self.changed(uri)

    def changed(self, uri: str) -> None:
        """A text is another one than before."""
        path = path_of(uri)
        if path is not None and self._workspace is not None:
            self._workspace.update(path, encoded(self._server.workspace.get_text_document(uri).source))
            self._edited = tuple({*self._edited, path})
            self.refresh()

    def closed(self, uri: str) -> None:
        """What is on the disk counts again."""
        path = path_of(uri)
        if path is None:
            return
        if path in self._loose:
            self._loose = tuple(each for each in self._loose if each != path)
            self._anew()
        self.changed_on_disk(path)

    def changed_on_disk(self, *paths: Path) -> None:
        """Files, configuration among them, have come, gone or changed. The texts of open ones stand."""
        open_ones = {path_of(uri) for uri in self._server.workspace.text_documents}
        for path in paths:
            if self._workspace is not None and path not in open_ones:
                self._workspace.update(path, None)
        self.refresh()

    def refresh(self) -> None:
        """Analyse what has changed, in the background, in the place of any analysis that is running."""
        if self.is_running:
            self._start(self._refreshed())

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """Let go of everything."""
        self.is_running = False
        self.background.close()

    def tell(self, message: str, kind: MessageType = MessageType.Info) -> None:
        """Say one thing to the user."""
        self._server.window_show_message(ShowMessageParams(kind, printable(message)))

    # ------------------------------------------------------------------ the analysis

    def _anew(self) -> None:
        paths = (*self._folders, *self._loose)
        store = None if self._cache is None else Store(self._cache)
        folder = self._folders[0] if self._folders else Path.cwd()
        settings = self._settings.settings(folder)
        self._workspace = Workspace(paths, settings, store=store, checkpoint=self.background.checkpoint)
        for uri, document in self._server.workspace.text_documents.items():
            path = path_of(uri)
            if path is not None:
                self._workspace.update(path, encoded(document.source))
        self.refresh()

    async def _refreshed(self) -> None:
        workspace = self._workspace
        if workspace is None:
            return
        is_over = asyncio.Event()
        self._start(self._show_progress(is_over))
        try:
            if await self._know(workspace, self._look_at_edited, DELAY):
                await self._know(workspace, self._look_at_all, 0)
        except Mistake as mistake:
            self._complain(str(mistake))
        finally:
            is_over.set()

    async def _know(self, workspace: Workspace, look: Callable[[Workspace], Known], delay: float) -> bool:
        """Look, and tell what is known then; whether nothing newer has come in between."""
        found = await self.background.refresh(lambda: look(workspace), delay)
        if found is None or workspace is not self._workspace:
            return False
        self._complaint = ""
        if found is not self.known:
            self.known = found
            self._publish()
        return True

    def _look_at_edited(self, workspace: Workspace) -> Known:
        """Look at the files first that are being written in: that takes half the time."""
        files, self._edited = self._edited, ()
        if not files or self.known is NOTHING:
            return self.known
        return with_files(self.known, files, workspace.examined(files))

    def _look_at_all(self, workspace: Workspace) -> Known:
        return known(workspace.examined())

    async def _show_progress(self, is_over: asyncio.Event) -> None:
        """Tell the client that an analysis takes its time, and let it be called off.

        This is never cancelled itself: the client's answer to a request must find somebody who waits for it.
        """
        capable = self._server.client_capabilities.window
        if capable is None or not capable.work_done_progress or await _happens(is_over, PATIENCE):
            return
        progress = self._server.work_done_progress
        self._told += 1
        token = f"{_TOKEN}-{self._told}"
        try:
            await progress.create_async(token)
        except JsonRpcException:
            return
        progress.begin(token, WorkDoneProgressBegin(title="cancellint: analysing", cancellable=True))
        while not await _happens(is_over, PATIENCE / 10):
            if progress.tokens[token].cancelled():
                self.background.call_off()
                break
        progress.end(token, WorkDoneProgressEnd())

    def _publish(self) -> None:
        """Send the findings of every file that has some, or had."""
        codec = self._server.workspace.position_codec
        documents = {path_of(uri): each for uri, each in self._server.workspace.text_documents.items()}
        for path in sorted(self._shown | self.known.told.keys()):
            document = documents.get(path)
            is_current = document is not None and self.known.is_of(path, document.source)
            self._server.text_document_publish_diagnostics(
                PublishDiagnosticsParams(
                    uri_of(path) if document is None else document.uri,
                    [diagnostic(each, codec) for each in self.known.of(path)],
                    version=document.version if document is not None and is_current else None,
                )
            )
        self._shown = frozenset(self.known.told)
        self._tell_failures()
        self._ask_for_lenses()

    def _tell_failures(self) -> None:
        for each in self.known.examined:
            for failure in each.report.failures:
                text = printable(f"{failure.subject}: {failure.error}")
                self._server.window_log_message(LogMessageParams(MessageType.Error, text))

    def _ask_for_lenses(self) -> None:
        workspace = self._server.client_capabilities.workspace
        if workspace is not None and workspace.code_lens is not None and workspace.code_lens.refresh_support:
            self._server.workspace_code_lens_refresh(None)

    def _complain(self, message: str) -> None:
        """Tell of a mistake once, and not after every letter."""
        if message != self._complaint:
            self._complaint = message
            self.tell(message, MessageType.Error)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event happens within some time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _is_on_disk(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == encoded(text)
    except OSError:
        return False
