"""Runs a Pulumi program in a process of its own: started by ``program.py`` with the Python of the project, never imported.

It imports the SDK at once, waits on an inherited pipe for the configuration and the addresses of the engine, and then runs the program. It
must stay free of imports from this package, for the project's Python need not have it.
"""

import sys

del sys.path[0]  # this file's folder, whose modules are not the program's

import argparse  # noqa: E402
import asyncio  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import runpy  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402

_REPORTED = 32  # exit code: the user has been told what is wrong


def end_with(engine: int) -> None:
    """Ends this process when the engine that started it is gone: a killed engine leaves nobody to talk to, and nobody to end us."""
    while os.getppid() == engine:
        time.sleep(0.5)
    os._exit(1)


def main() -> int:
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    parser = argparse.ArgumentParser()
    for name in ("project", "stack", "organization", "root_directory", "parallel", "dry_run", "debug", "gate"):
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
    with os.fdopen(int(args.gate), "r") as gate:
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
        loop.run_until_complete(runtime.run_in_stack(lambda: _run_and_yield(pulumi, program)))
        code = 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception:
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


async def _run_and_yield(pulumi: "object", program: str) -> None:
    """Runs the program and lets its requests begin: the SDK then waits for each in turn instead of for thousands of outputs at once."""
    _run(pulumi, program)
    await asyncio.sleep(0)


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
    sys.exit(main())
