"""Runs programs and policy packs, each in a process of its own: started by ``interpreters.py`` with the Python of the project, never
imported.

It imports the SDK once and then forks a child for each that the engine asks for, which costs no import. The engine is the other end of the
control socket: a request is one line of JSON with the child's files beside it, an answer one line with the child's process id or its end.
It must stay free of imports from this package, for the project's Python need not have it.
"""

import sys

del sys.path[0]  # this file's folder, whose modules are not the program's

import argparse  # noqa: E402
import asyncio  # noqa: E402
import atexit  # noqa: E402
import contextlib  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import runpy  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from typing import Any  # noqa: E402

_REPORTED = 32  # exit code: the user has been told what is wrong
_FILES = 4  # of a child: its standard input, output and error, and a program's gate


def main() -> None:
    """Serves until the engine is gone; in a child, runs what was asked for."""
    with contextlib.suppress(ImportError, AttributeError):  # a child will say it; another SDK does without
        import pulumi
        import pulumi.runtime

        know_positions(pulumi.runtime.resource)
    for module in sys.argv[2:]:
        # What the program requires and will most likely import; if it is missing, the program will say so.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.freeze()  # no child need look through what stays anyway,
    gc.set_threshold(100_000, 50, 50)  # and a program keeps most of what it makes, too
    server = os.getpid()
    request, gate = serve(socket.socket(fileno=int(sys.argv[1])))
    threading.Thread(target=end_with, args=(server,), daemon=True).start()
    sys.argv = [sys.argv[0], *request["arguments"]]
    if request["kind"] == "pack":
        run_pack()
        return
    try:
        code = run_program(gate)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT  # by the engine, which says why
    leave(code)


def know_positions(sdk: "Any") -> None:
    """Lets the SDK make the URI of a place in the program once: for each resource it asks for those of twenty frames, mostly the same."""
    make = getattr(sdk, "_get_source_position_for_frame", None)
    if make is None:
        return
    known: dict[tuple[str, int | None], Any] = {}

    def position(frame: "traceback.FrameSummary") -> "Any":
        place = frame.filename, frame.lineno
        if place not in known:
            known[place] = make(frame)
        return known[place]

    sdk._get_source_position_for_frame = position


def serve(control: socket.socket) -> "tuple[dict[str, Any], int]":
    """Forks a child for each request and tells the engine of its end. Returns in a child: its request, and its gate if it has one."""
    ended, end = os.pipe()
    for side in (ended, end):
        os.set_blocking(side, False)
    signal.set_wakeup_fd(end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([control.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            tell_of_ends(control)
        if control.fileno() not in ready:
            continue
        message, files = receive(control)
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for side in (ended, end):
                os.close(side)
            control.close()
            return become(json.loads(message), files)
        for file in files:
            os.close(file)
        control.sendall(b'{"started":%d}\n' % child)


def receive(control: socket.socket) -> "tuple[bytes, list[int]]":
    """One request and its files. Ends this process where the engine is gone."""
    message = b""
    files: list[int] = []
    while not message.endswith(b"\n"):
        part, found, _, _ = socket.recv_fds(control, 1 << 20, _FILES)
        if not part:
            os._exit(0)
        message += part
        files += found
    return message, files


def tell_of_ends(control: socket.socket) -> None:
    """Tells the engine of each child that has ended."""
    with contextlib.suppress(ChildProcessError, BrokenPipeError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            control.sendall(b'{"ended":%d,"code":%d}\n' % (child, os.waitstatus_to_exitcode(status)))


def become(request: "dict[str, Any]", files: "list[int]") -> "tuple[dict[str, Any], int]":
    """Makes this child a process like one that the engine had started: session, files, folder, environment."""
    os.setsid()
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    return request, files[3] if files[3:] else -1


def end_with(server: int) -> None:
    """Ends this process when its parent is gone, which goes with the engine: nobody is left to talk to, and nobody to end us."""
    while os.getppid() == server:
        time.sleep(0.5)
    os._exit(1)


def leave(code: int) -> None:
    """Ends this process as Python does, but for taking every object apart, which takes a third of a second."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the program's own threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


class ReadOnce:
    """``google.protobuf.json_format`` for the policy SDK, which reads a request anew for each policy; what it gets it only copies."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._last: list[tuple[Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def MessageToDict(self, message: Any, **options: Any) -> Any:
        if options:
            return self._module.MessageToDict(message, **options)
        for known, read in self._last:
            if known is message:
                return read
        read = self._module.MessageToDict(message)
        self._last = [(message, read), *self._last[:3]]  # the messages are held, so that none takes another's place
        return read


def listen_at(address: str) -> None:
    """Has this process's gRPC server listen at ``address`` alone, a private Unix socket, whatever port the SDK asks for: it asks for
    one on the loopback, which takes the calls of every user of this machine."""
    try:
        import grpc
    except ImportError:
        return  # nor is the SDK there, which says it

    make = grpc.server

    def server(*arguments: Any, **options: Any) -> Any:
        made = make(*arguments, **options)
        listen = made.add_insecure_port
        made.add_insecure_port = lambda address_of_the_sdk=None, **_: listen(address)
        return made

    grpc.server = server


def run_pack() -> None:
    """``python -m pulumi.policy``, unmodified, with the stack's configuration from standard input."""
    # Set here and not by the engine: what a process is started with is in /proc, and the configuration has secrets.
    os.environ["PULUMI_CONFIG"] = sys.stdin.read()
    sys.path.insert(0, os.getcwd())  # as with -m
    listen_at(sys.argv.pop())
    with contextlib.suppress(ImportError, AttributeError):  # the pack will say it; another SDK does without
        policy: Any = importlib.import_module("pulumi_policy.policy")
        policy.json_format = ReadOnce(policy.json_format)
    runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)


def run_program(opened: int) -> int:
    """The program, once the engine has sent the configuration and its addresses through the gate. Its exit code."""
    parser = argparse.ArgumentParser()
    for name in ("project", "stack", "organization", "root_directory", "parallel", "dry_run", "debug"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("program")
    args = parser.parse_args()
    try:
        import pulumi
        import pulumi.runtime
    except ImportError:
        traceback.print_exc()
        print(
            "\nIt looks like the Pulumi SDK has not been installed. Have you run pip install?\n"
            "If you are running in a virtualenv, you must run pip install -r requirements.txt from inside the virtualenv.",
            file=sys.stderr,
        )
        return 1
    with os.fdopen(opened, "r") as gate:
        line = gate.readline()
    if not line:
        return 0  # the engine has given up
    addresses = json.loads(line)
    runtime = pulumi.runtime
    runtime.set_all_config(addresses["config"], addresses["secret_keys"])
    settings = runtime.Settings(
        monitor=addresses["monitor"],
        engine=addresses["engine"],
        project=args.project,
        stack=args.stack,
        parallel=int(args.parallel),
        dry_run=args.dry_run == "true",
        organization=args.organization,
        root_directory=args.root_directory,
    )
    if args.debug != "true":
        settings.engine = WithoutDebug(settings.engine)
    runtime.configure(settings)
    program = args.program
    sys.argv = [program]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # The SDK makes each call to the engine, which waits for the resource, in a thread.
    executor = ThreadPoolExecutor(max_workers=max(int(args.parallel), 1) * 4)
    loop.set_default_executor(executor)
    # A program that fails leaves futures behind that nobody has looked at; that is no news.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    code = 1
    try:
        settle_first(runtime.stack)
        loop.run_until_complete(runtime.run_in_stack(lambda: _run(pulumi, program)))
        code = 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception as error:
        # Of a resource that failed the user has been told, where and why.
        if type(error).__name__ != "ResourceRegistrationFailed":
            pulumi.log.error("Program failed with an unhandled exception:\n" + _trace(os.path.abspath(program)))
        code = _REPORTED
    finally:
        executor.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return code


class WithoutDebug:
    """The engine's service, without debug messages: the SDK sends five for each resource and waits for each, and nobody reads them."""

    def __init__(self, engine: "object") -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> "object":
        return getattr(self._engine, name)

    def Log(self, request: "object") -> "object":
        return self._engine.Log(request) if request.severity else None  # type: ignore[attr-defined]


def settle_first(stack: "Any") -> None:
    """Has the SDK's wait for the program's requests begin when all of them are done, or the program has failed by itself.

    Left alone, the SDK waits for thousands of outputs one by one, each time for all of them; and once it has begun to wait for requests,
    one that failed because its input did ends the program, with others not yet made. What failed is raised by the SDK afterwards."""
    wait = stack.wait_for_rpcs

    async def settled(*args: "Any") -> None:
        await settle(stack)
        await wait(*args)

    stack.wait_for_rpcs = settled


async def settle(stack: "Any") -> None:
    """Until neither a request nor an output is under way; less long where the program's own code has failed in one."""
    manager, settings = stack._get_rpc_manager(), stack.SETTINGS
    while True:
        await asyncio.sleep(0)
        with settings.lock:
            outputs = set(settings.outputs)
        pending = [task for task in {*manager.rpcs, *outputs} if not task.done()]
        if any(_own_failure(task, stack.ResourceRegistrationFailed) for task in outputs) or not pending:
            return
        await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)


def _own_failure(task: "Any", lost: type) -> bool:
    """Whether a done output failed otherwise than by a resource's failure, of which the engine has told and with which the rest goes on."""
    if not task.done() or task.cancelled():
        return False
    return task.exception() is not None and not isinstance(task.exception(), lost)


def _run(pulumi: "object", program: str) -> None:
    try:
        runpy.run_path(program, run_name="__main__")
    except ImportError as error:
        frames = traceback.extract_tb(error.__traceback__)
        known = (__file__, "<frozen runpy>", runpy.__file__)
        if all(frame.filename in known for frame in frames) and frames[-1].filename != __file__:
            pulumi.log.error(f"unable to find main python program `__main__.py` in `{os.path.abspath(program)}`")  # type: ignore[attr-defined]
            sys.exit(_REPORTED)
        raise


def _trace(program: str) -> str:
    """The traceback from the program's first frame on, if it has one."""
    main = program if os.path.splitext(program)[1] else os.path.join(program, "__main__.py")
    frames = traceback.extract_tb(sys.exc_info()[2])
    for index, frame in enumerate(frames):
        if os.path.abspath(frame.filename) == main:
            return traceback.format_exc(limit=index - len(frames))
    return traceback.format_exc()


if __name__ == "__main__":
    main()
