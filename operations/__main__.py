"""``python -m operations``: the operator's command line."""

from operations.app import main

if __name__ == "__main__":
    main()
