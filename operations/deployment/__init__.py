"""A deployment from its window to its report: phases, journal, lock, the way back. ``bin/mo deploy`` and ``bin/mo rollback`` run it."""
