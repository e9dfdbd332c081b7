"""``pleskctl start|stop|restart|status SERVICE``: asks the account's supervisor. Exit: 0 done, 1 not (or not running), 2 wrong usage."""

import json
import socket
import sys

USAGE = "usage: pleskctl start|stop|restart SERVICE, pleskctl status [SERVICE]"
VERBS = ("start", "stop", "restart", "status")


def main(arguments: list[str]) -> int:
    """``arguments``: the control socket's path, then the command's own."""
    control, *words = arguments
    if len(words) not in (1, 2) or words[0] not in VERBS or (len(words) == 1 and words[0] != "status"):
        print(USAGE, file=sys.stderr)
        return 2
    request = {"verb": words[0], "service": words[1] if len(words) == 2 else None}
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(control)
            client.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(client.makefile("rb").readline() or b"null")
    except (OSError, ValueError) as error:
        print(f"pleskctl: the panel does not answer: {error}", file=sys.stderr)
        return 1
    if not isinstance(answer, dict):
        print("pleskctl: the panel ended before it answered", file=sys.stderr)
        return 1
    print(answer["message"], file=sys.stdout if answer["ok"] else sys.stderr)
    return 0 if answer["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
