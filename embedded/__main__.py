"""``python -m embedded``: the command line."""

import sys

from embedded.cli.main import main

sys.exit(main())
