"""Runs a policy pack, unmodified, in a process of its own: started by ``policies.py`` with the pack's Python, never imported.

It is ``python -m pulumi.policy`` that ends when the engine is gone and takes the stack's configuration from its standard input.
"""

import os
import runpy
import sys
import threading
import time


def end_with(engine: int) -> None:
    """Ends this process when the engine that started it is gone: nobody else would."""
    while os.getppid() == engine:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    # Set here and not by the engine: what a process is started with is in /proc, and the configuration has secrets.
    os.environ["PULUMI_CONFIG"] = sys.stdin.read()
    sys.path[0] = os.getcwd()  # as with -m, in place of this file's folder
    runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)
