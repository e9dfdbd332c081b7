"""When ``revoke`` asks a server, and when there is nothing to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.remote.client import revoke
from components.remote.client.failure import Failure


@pytest.fixture
def no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MO_STATE_DIR", str(tmp_path))


@pytest.mark.usefixtures("no_connection")
def test_where_the_account_has_no_former_password_no_server_is_asked() -> None:
    done = revoke.run({"service": "votes", "stack": "sandbox", "kept": 0, "rotation": None})
    assert (done["revoked"], done["refused"], done["held"]) == ([], False, False)


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize("request_", [{"kept": 1}, {"kept": None}, {}, {"kept": 0, "rotation": "r1"}])
def test_where_one_may_be_left_the_server_is_asked(request_: dict[str, Any]) -> None:
    with pytest.raises(Failure, match=r"connection\.json cannot be read"):
        revoke.run({"service": "votes", "stack": "sandbox", **request_})
