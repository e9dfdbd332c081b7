"""A taken port is told with the process that has it."""

from __future__ import annotations

import os
import socket

from sandbox import ports


def test_the_owner_of_a_listening_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.free(port)
        assert ports.answers(port)
        assert ports.owner(port).startswith(f"process {os.getpid()} (")
    assert ports.free(port)
    assert not ports.answers(port)
    assert ports.owner(port) == "no process that listens now"


def test_a_listener_on_all_addresses_takes_the_port_too() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert not ports.free(port)
        assert f"process {os.getpid()} " in ports.owner(port)


def test_a_command_line_is_shortened_and_a_gone_process_said_to_be_gone() -> None:
    assert len(ports.command_line(os.getpid())) <= 100
    assert ports.command_line(2**22 + 1) == "gone"
