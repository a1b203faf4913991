"""The language server: what the protocol asks for, handed to the session."""

from collections.abc import Sequence
from pathlib import Path

from lsprotocol.types import (
    INITIALIZE,
    INITIALIZED,
    SHUTDOWN,
    TEXT_DOCUMENT_CODE_ACTION,
    TEXT_DOCUMENT_CODE_LENS,
    TEXT_DOCUMENT_DID_CHANGE,
    TEXT_DOCUMENT_DID_CLOSE,
    TEXT_DOCUMENT_DID_OPEN,
    TEXT_DOCUMENT_DID_SAVE,
    TEXT_DOCUMENT_HOVER,
    WORKSPACE_DID_CHANGE_CONFIGURATION,
    WORKSPACE_DID_CHANGE_WATCHED_FILES,
    WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS,
    CodeAction,
    CodeActionKind,
    CodeActionOptions,
    CodeActionParams,
    CodeLens,
    CodeLensParams,
    Command,
    Diagnostic,
    DidChangeConfigurationParams,
    DidChangeTextDocumentParams,
    DidChangeWatchedFilesParams,
    DidChangeWatchedFilesRegistrationOptions,
    DidChangeWorkspaceFoldersParams,
    DidCloseTextDocumentParams,
    DidOpenTextDocumentParams,
    DidSaveTextDocumentParams,
    FileSystemWatcher,
    Hover,
    HoverParams,
    InitializedParams,
    InitializeParams,
    MarkupContent,
    MarkupKind,
    MessageType,
    Registration,
    RegistrationParams,
    TextDocumentSyncKind,
)
from pygls.lsp.server import LanguageServer

from cancellint import __version__
from cancellint.frontend.parse import source_lines
from cancellint.server.actions import FIX_ALL, WALK, actions, fix_all, walks
from cancellint.server.beliefs import Promise, hovered, promises, told_of
from cancellint.server.diagnostics import SOURCE, Told
from cancellint.server.lookup import File
from cancellint.server.places import line_and_column, path_of, range_of
from cancellint.server.session import Session
from cancellint.server.settings import ClientSettings, Wrong, read
from cancellint.server.walk import walk

BELIEFS = "cancellint.beliefs"
WATCHED = ("**/*.py", "**/pyproject.toml", "**/cancellint.toml", "**/.gitignore")


class Server(LanguageServer):
    """A server with its session."""

    def __init__(self, cache: Path | None = None) -> None:
        super().__init__("cancellint", __version__, text_document_sync_kind=TextDocumentSyncKind.Incremental)
        self.session = Session(self, cache)


def make_server(cache: Path | None = None) -> Server:
    """A server that knows what to do. `cache` is the folder in which what files are read as is kept."""
    server = Server(cache)
    server.feature(TEXT_DOCUMENT_DID_OPEN)(_opened)
    server.feature(TEXT_DOCUMENT_DID_CHANGE)(_changed)
    server.feature(TEXT_DOCUMENT_DID_SAVE)(_saved)
    server.feature(TEXT_DOCUMENT_DID_CLOSE)(_closed)
    server.feature(WORKSPACE_DID_CHANGE_WATCHED_FILES)(_files_changed)
    server.feature(WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(_folders_changed)
    server.feature(WORKSPACE_DID_CHANGE_CONFIGURATION)(_configured)
    server.feature(INITIALIZE)(_initialize)
    server.feature(INITIALIZED)(_initialized)
    server.feature(SHUTDOWN)(_shutdown)
    kinds: list[CodeActionKind | str] = [CodeActionKind.QuickFix, FIX_ALL]
    server.feature(TEXT_DOCUMENT_CODE_ACTION, CodeActionOptions(code_action_kinds=kinds))(_code_actions)
    server.feature(TEXT_DOCUMENT_HOVER)(_hover)
    server.feature(TEXT_DOCUMENT_CODE_LENS)(_code_lenses)
    server.command(WALK)(_walk)
    server.command(BELIEFS)(_beliefs)
    return server


# --------------------------------------------------------------------------- beginning and end


def _initialize(server: Server, params: InitializeParams) -> None:
    folders = params.workspace_folders or []
    roots = [each.uri for each in folders] or ([params.root_uri] if params.root_uri else [])
    paths = tuple(path for uri in roots if (path := path_of(uri)) is not None)
    server.session.begin(paths, _settings(server, params.initialization_options))


async def _initialized(server: Server, _params: InitializedParams) -> None:
    server.session.is_running = True
    server.session.refresh()
    workspace = server.client_capabilities.workspace
    watching = workspace.did_change_watched_files if workspace is not None else None
    if watching is not None and watching.dynamic_registration:
        watchers = [FileSystemWatcher(pattern) for pattern in WATCHED]
        options = DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = Registration("files", WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        await server.client_register_capability_async(RegistrationParams([registration]))


def _shutdown(server: Server, _params: None) -> None:
    server.session.end()


def _settings(server: Server, options: object) -> ClientSettings:
    try:
        return read(options)
    except Wrong as mistake:
        server.session.tell(str(mistake), MessageType.Error)
        return ClientSettings()


# --------------------------------------------------------------------------- texts and files


def _opened(server: Server, params: DidOpenTextDocumentParams) -> None:
    server.session.opened(params.text_document.uri)


def _changed(server: Server, params: DidChangeTextDocumentParams) -> None:
    server.session.changed(params.text_document.uri)


def _saved(server: Server, params: DidSaveTextDocumentParams) -> None:
    server.session.changed(params.text_document.uri)


def _closed(server: Server, params: DidCloseTextDocumentParams) -> None:
    server.session.closed(params.text_document.uri)


def _files_changed(server: Server, params: DidChangeWatchedFilesParams) -> None:
    paths = [path for each in params.changes if (path := path_of(each.uri)) is not None]
    server.session.changed_on_disk(*paths)


def _folders_changed(server: Server, params: DidChangeWorkspaceFoldersParams) -> None:
    added = tuple(path for each in params.event.added if (path := path_of(each.uri)) is not None)
    removed = tuple(path for each in params.event.removed if (path := path_of(each.uri)) is not None)
    server.session.move(added, removed)


def _configured(server: Server, params: DidChangeConfigurationParams) -> None:
    server.session.resettle(_settings(server, params.settings))


# --------------------------------------------------------------------------- questions


async def _code_actions(server: Server, params: CodeActionParams) -> list[CodeAction]:
    uri, path = params.text_document.uri, path_of(params.text_document.uri)
    document = server.workspace.get_text_document(uri)
    session = server.session
    if path is None or not session.known.is_of(path, document.source):
        return []
    data, codec = session.known.texts[path], server.workspace.position_codec
    shown = {str(each.data): each for each in params.context.diagnostics if each.source == SOURCE}
    asked = _asked(session.known.of(path), shown, params)
    wanted = params.context.only

    def found() -> list[CodeAction]:
        made: list[CodeAction] = []
        if _wants(wanted, CodeActionKind.QuickFix.value):
            made += actions(uri, data, asked, shown, codec)
            made += walks(asked, shown) if _can_show(server) else ()
        if wanted and _wants(wanted, FIX_ALL):
            every = fix_all(uri, data, session.known.of(path), codec)
            made += [every] if every is not None else []
        return made

    return await session.background.ask(found)


def _asked(told: Sequence[Told], shown: dict[str, Diagnostic], params: CodeActionParams) -> tuple[Told, ...]:
    """The findings that the client names, or else those that stand in its range."""
    named = tuple(each for each in told if each.fingerprint in shown)
    first, last = params.range.start.line + 1, params.range.end.line + 1
    return named or tuple(
        each
        for each in told
        if each.finding.place.span.line <= last and first <= each.finding.place.span.end_line
    )


def _wants(wanted: Sequence[CodeActionKind | str] | None, kind: str) -> bool:
    """Whether a kind of action is asked for: by its name or that of a more general one."""
    if not wanted:
        return True
    words = [str(each.value if isinstance(each, CodeActionKind) else each) for each in wanted]
    return any(kind == word or kind.startswith(f"{word}.") for word in words)


def _can_show(server: Server) -> bool:
    window = server.client_capabilities.window
    return window is not None and window.show_document is not None and window.show_document.support


async def _hover(server: Server, params: HoverParams) -> Hover | None:
    uri, session = params.text_document.uri, server.session
    known, file = session.known, _current(server, uri)
    if file is None:
        return None
    lines, codec = source_lines(file.data), server.workspace.position_codec
    line, column = line_and_column(params.position, lines, codec)
    found = await session.background.ask(lambda: hovered(known.examined, file, line, column))
    if found is None:
        return None
    return Hover(MarkupContent(MarkupKind.Markdown, found.text), range_of(found.span, lines, codec))


async def _code_lenses(server: Server, params: CodeLensParams) -> list[CodeLens]:
    known, file = server.session.known, _current(server, params.text_document.uri)
    if file is None:
        return []
    found = await server.session.background.ask(lambda: [*promises(known.examined, file)])
    lines, codec = source_lines(file.data), server.workspace.position_codec
    return [CodeLens(range_of(each.span, lines, codec), _lens_command(each)) for each in found]


def _lens_command(promise: Promise) -> Command:
    return Command(title=promise.verdict, command=BELIEFS, arguments=[promise.symbol])


def _current(server: Server, uri: str) -> File | None:
    """A file whose text is the one that was analysed."""
    path = path_of(uri)
    known = server.session.known
    if path is None or not known.is_of(path, server.workspace.get_text_document(uri).source):
        return None
    return known.file(path)


# --------------------------------------------------------------------------- commands


async def _walk(server: Server, fingerprint: str) -> None:
    told = server.session.known.named(fingerprint)
    if told is None:
        server.session.tell("this finding is there no more")
    else:
        await walk(server, told)


async def _beliefs(server: Server, symbol: str) -> str:
    examined = server.session.known.examined
    text = await server.session.background.ask(lambda: told_of(examined, symbol))
    server.session.tell(text.replace("\n", " "))
    return text
