"""Starts the client without ``site``: puts the folder above this one on the path and runs ``client.main``."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0])

if __name__ == "__main__":
    from client.main import main  # type: ignore[import-not-found]

    sys.exit(main(sys.argv[1:]))
