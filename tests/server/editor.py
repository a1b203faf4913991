"""A client that talks to the server as editors do, in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Union

from cattrs import Converter
from lsprotocol.types import (
    ApplyWorkspaceEditParams,
    ApplyWorkspaceEditResult,
    ClientCapabilities,
    CodeAction,
    CodeActionContext,
    CodeActionKind,
    CodeActionParams,
    CodeLens,
    CodeLensParams,
    Command,
    Diagnostic,
    DidChangeConfigurationParams,
    DidChangeTextDocumentParams,
    DidChangeWatchedFilesParams,
    DidCloseTextDocumentParams,
    DidOpenTextDocumentParams,
    ExecuteCommandParams,
    FileChangeType,
    FileEvent,
    Hover,
    HoverParams,
    InitializedParams,
    InitializeParams,
    InitializeResult,
    MarkupContent,
    MessageActionItem,
    Position,
    PublishDiagnosticsParams,
    Range,
    RegistrationParams,
    ShowDocumentParams,
    ShowDocumentResult,
    ShowMessageParams,
    ShowMessageRequestParams,
    TextDocumentContentChangeWholeDocument,
    TextDocumentIdentifier,
    TextDocumentItem,
    TextEdit,
    VersionedTextDocumentIdentifier,
    WorkDoneProgressCreateParams,
    WorkspaceFolder,
)
from pygls.lsp.client import BaseLanguageClient
from pygls.protocol import default_converter

SECONDS = 60.0
"""How long a test waits at most."""


class Editor:
    """A client with open texts, and what it has been told."""

    def __init__(self, client: BaseLanguageClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.told: dict[str, PublishDiagnosticsParams] = {}
        self.shown: list[ShowDocumentParams] = []
        self.messages: list[str] = []
        self.registered: list[str] = []
        self.answers: list[str] = []
        """what the user will choose where a message asks"""
        self.texts: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._arrived = asyncio.Event()
        self._listen()

    def _listen(self) -> None:
        client = self.client

        @client.feature("textDocument/publishDiagnostics")
        def published(params: PublishDiagnosticsParams) -> None:
            self.told[params.uri] = params
            self._arrived.set()

        @client.feature("window/showMessage")
        def said(params: ShowMessageParams) -> None:
            self.messages.append(params.message)
            self._arrived.set()

        @client.feature("window/showMessageRequest")
        def asked(params: ShowMessageRequestParams) -> MessageActionItem | None:
            self.messages.append(params.message)
            offered = {each.title: each for each in params.actions or []}
            return offered.get(self.answers.pop(0)) if self.answers else None

        @client.feature("window/showDocument")
        def showed(params: ShowDocumentParams) -> ShowDocumentResult:
            self.shown.append(params)
            return ShowDocumentResult(True)

        @client.feature("client/registerCapability")
        def registered(params: RegistrationParams) -> None:
            self.registered += [each.method for each in params.registrations]

        @client.feature("workspace/codeLens/refresh")
        def refreshed(_params: None) -> None:
            return None

        @client.feature("window/workDoneProgress/create")
        def created(_params: WorkDoneProgressCreateParams) -> None:
            return None

        @client.feature("window/logMessage")
        def logged(_params: object) -> None:
            return None

        @client.feature("workspace/applyEdit")
        def applied(_params: ApplyWorkspaceEditParams) -> ApplyWorkspaceEditResult:
            return ApplyWorkspaceEditResult(True)

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    async def begin(
        self, capabilities: ClientCapabilities, options: object = None, folders: Sequence[Path] | None = None
    ) -> InitializeResult:
        roots = [self.folder] if folders is None else folders
        result = await self.client.initialize_async(
            InitializeParams(
                capabilities=capabilities,
                workspace_folders=[WorkspaceFolder(each.as_uri(), each.name) for each in roots],
                initialization_options=options,
            )
        )
        self.client.initialized(InitializedParams())
        return result

    def open(self, name: str, text: str | None = None) -> None:
        self.texts[name] = (self.folder / name).read_text("utf-8") if text is None else text
        self._versions[name] = 1
        item = TextDocumentItem(self.uri(name), "python", 1, self.texts[name])
        self.client.text_document_did_open(DidOpenTextDocumentParams(item))

    def change(self, name: str, text: str) -> None:
        self.texts[name] = text
        self._versions[name] += 1
        document = VersionedTextDocumentIdentifier(version=self._versions[name], uri=self.uri(name))
        change = TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(DidChangeTextDocumentParams(document, [change]))

    def close(self, name: str) -> None:
        del self.texts[name]
        self.client.text_document_did_close(DidCloseTextDocumentParams(self._document(name)))

    def change_on_disk(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")
        event = FileEvent(self.uri(name), FileChangeType.Changed)
        self.client.workspace_did_change_watched_files(DidChangeWatchedFilesParams([event]))

    def configure(self, settings: object) -> None:
        self.client.workspace_did_change_configuration(DidChangeConfigurationParams(settings))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something holds that messages of the server decide."""
        async with asyncio.timeout(SECONDS):
            while not is_so():
                self._arrived.clear()
                await self._arrived.wait()

    async def codes(self, name: str, *expected: str) -> list[Diagnostic]:
        """The diagnostics of a file, once they have these codes."""
        await self.until(lambda: self.uri(name) in self.told and self._codes(name) == sorted(expected))
        return list(self.told[self.uri(name)].diagnostics)

    def _codes(self, name: str) -> list[str]:
        return sorted(str(each.code) for each in self.told[self.uri(name)].diagnostics)

    async def actions(
        self, name: str, diagnostics: Sequence[Diagnostic], *only: CodeActionKind | str
    ) -> dict[str, CodeAction]:
        """What is offered for these diagnostics, by title."""
        span = diagnostics[0].range if diagnostics else Range(Position(0, 0), Position(0, 0))
        context = CodeActionContext(list(diagnostics), list(only) or None)
        found = await self.client.text_document_code_action_async(
            CodeActionParams(self._document(name), span, context)
        )
        return {each.title: each for each in found or [] if isinstance(each, CodeAction)}

    def with_edit(self, name: str, action: CodeAction) -> str:
        """The text of a file as an action makes it."""
        assert action.edit is not None
        assert action.edit.changes is not None
        edits = [each for each in action.edit.changes[self.uri(name)] if isinstance(each, TextEdit)]
        return with_edits(self.texts[name], edits)

    async def hover(self, name: str, line: int, column: int) -> Hover | None:
        """What is shown at a place that is counted from 0."""
        return await self.client.text_document_hover_async(
            HoverParams(self._document(name), Position(line, column))
        )

    async def hovered(self, name: str, mark: str, within: str = "") -> str:
        """What is shown at the first place of a text in a line that has some other text too."""
        lines = self.texts[name].splitlines()
        line = next(number for number, text in enumerate(lines) if mark in text and within in text)
        found = await self.hover(name, line, lines[line].index(mark))
        if found is None:
            return ""
        assert isinstance(found.contents, MarkupContent)
        return found.contents.value

    async def lenses(self, name: str) -> list[CodeLens]:
        found = await self.client.text_document_code_lens_async(CodeLensParams(self._document(name)))
        return list(found or [])

    async def run(self, command: Command | None) -> object:
        assert command is not None
        return await self.client.workspace_execute_command_async(
            ExecuteCommandParams(command.command, command.arguments)
        )

    def _document(self, name: str) -> TextDocumentIdentifier:
        return TextDocumentIdentifier(self.uri(name))


def with_edits(text: str, edits: Sequence[TextEdit]) -> str:
    """A text with edits, the last first, as the protocol has it."""
    lines = text.splitlines(keepends=True)

    def offset(place: Position) -> int:
        line = lines[place.line] if place.line < len(lines) else ""
        units = line.encode("utf-16-le")[: place.character * 2]
        return sum(map(len, lines[: place.line])) + len(units.decode("utf-16-le"))

    for edit in sorted(edits, key=lambda each: offset(each.range.start), reverse=True):
        text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
    return text


def _converter() -> Converter:
    """One that knows an action with a command from a command."""
    converter = default_converter()

    def action(given: dict[str, object], _kind: object) -> Command | CodeAction:
        kind = Command if isinstance(given.get("command"), str) else CodeAction
        return converter.structure(given, kind)

    converter.register_structure_hook(Command | CodeAction, action)
    converter.register_structure_hook(Union[Command, CodeAction], action)  # noqa: UP007
    return converter


@asynccontextmanager
async def editing(folder: Path) -> AsyncIterator[Editor]:
    """A client with a server of its own, which ends as editors end it."""
    client = BaseLanguageClient("test", "1", converter_factory=_converter)
    await client.start_io(sys.executable, "-P", "-m", "cancellint", "server", cwd=str(folder))
    try:
        yield Editor(client, folder)
        async with asyncio.timeout(SECONDS):
            await client.shutdown_async(None)
    finally:
        client.exit(None)
        await client.stop()
