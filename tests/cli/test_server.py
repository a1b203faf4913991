"""`cancellint server` where it cannot begin; tests/server drives it where it can."""

import pytest

from tests.test_cli import Command


def test_where_pygls_is_missing_it_is_said_what_to_install(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cancellint.cli.server.find_spec", lambda _name: None)

    done = command("server")

    assert done.code == 2
    assert 'pip install "cancellint[server]"' in done.err
    assert "Traceback" not in done.err
