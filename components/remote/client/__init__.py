"""The client side of the host protocol: one process for each step, standard library only, started some ninety times in a deploy.

What it imports costs every one of those starts: no ``re``, ``dataclasses``, ``pathlib``, ``typing`` or ``http`` at run time.
"""
