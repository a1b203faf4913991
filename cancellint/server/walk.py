"""A walk through the story of a finding: the client shows each step, and is asked where to go next."""

from lsprotocol.types import (
    MessageActionItem,
    MessageType,
    Range,
    ShowDocumentParams,
    ShowMessageRequestParams,
)
from pygls.lsp.server import LanguageServer

from cancellint.model.source import Place
from cancellint.printable import printable
from cancellint.server.diagnostics import Told
from cancellint.server.places import file_of, range_of, uri_of

NEXT, BACK, STOP = "Next", "Back", "Stop"


async def walk(server: LanguageServer, told: Told) -> None:
    """Show a finding and the steps of its story, one after the other, until the last or a stop."""
    finding = told.finding
    steps = [(finding.place, f"{finding.code}: {finding.message}")]
    steps += [(note.place, note.message) for note in finding.story]
    number = 0
    while 0 <= number < len(steps):
        place, message = steps[number]
        await _show(server, told, place)
        choices = [*([BACK] if number else []), *([NEXT] if number + 1 < len(steps) else []), STOP]
        text = f"{number + 1}/{len(steps)} {printable(message)}"
        chosen = await server.window_show_message_request_async(
            ShowMessageRequestParams(MessageType.Info, text, [MessageActionItem(each) for each in choices])
        )
        match None if chosen is None else chosen.title:
            case "Next":
                number += 1
            case "Back":
                number -= 1
            case _:
                return


async def _show(server: LanguageServer, told: Told, place: Place) -> None:
    selection: Range = range_of(place.span, told.lines(place), server.workspace.position_codec)
    await server.window_show_document_async(
        ShowDocumentParams(uri_of(file_of(place)), take_focus=True, selection=selection)
    )
