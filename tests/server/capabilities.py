"""What editors say that they can do, as far as it matters to the server."""

from lsprotocol.types import (
    ClientCapabilities,
    ClientCodeActionKindOptions,
    ClientCodeActionLiteralOptions,
    CodeActionClientCapabilities,
    CodeLensWorkspaceClientCapabilities,
    DidChangeWatchedFilesClientCapabilities,
    GeneralClientCapabilities,
    PositionEncodingKind,
    PublishDiagnosticsClientCapabilities,
    ShowDocumentClientCapabilities,
    TextDocumentClientCapabilities,
    WindowClientCapabilities,
    WorkspaceClientCapabilities,
)


def _text_document() -> TextDocumentClientCapabilities:
    kinds = ClientCodeActionKindOptions(["", "quickfix", "refactor", "source", "source.fixAll"])
    return TextDocumentClientCapabilities(
        publish_diagnostics=PublishDiagnosticsClientCapabilities(
            related_information=True, version_support=True, code_description_support=True, data_support=True
        ),
        code_action=CodeActionClientCapabilities(
            code_action_literal_support=ClientCodeActionLiteralOptions(kinds), is_preferred_support=True
        ),
    )


VS_CODE = ClientCapabilities(
    workspace=WorkspaceClientCapabilities(
        did_change_watched_files=DidChangeWatchedFilesClientCapabilities(dynamic_registration=True),
        code_lens=CodeLensWorkspaceClientCapabilities(refresh_support=True),
        workspace_folders=True,
    ),
    text_document=_text_document(),
    window=WindowClientCapabilities(
        work_done_progress=True, show_document=ShowDocumentClientCapabilities(support=True)
    ),
    general=GeneralClientCapabilities(position_encodings=[PositionEncodingKind.Utf16]),
)
NEOVIM = ClientCapabilities(
    workspace=WorkspaceClientCapabilities(workspace_folders=True),
    text_document=_text_document(),
    window=WindowClientCapabilities(
        work_done_progress=True, show_document=ShowDocumentClientCapabilities(support=True)
    ),
    general=GeneralClientCapabilities(
        position_encodings=[
            PositionEncodingKind.Utf8,
            PositionEncodingKind.Utf16,
            PositionEncodingKind.Utf32,
        ]
    ),
)
LEAST = ClientCapabilities()
"""A client that says nothing of itself."""
EDITORS = {"VS Code": VS_CODE, "Neovim": NEOVIM, "the least": LEAST}
