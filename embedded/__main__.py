"""``python -m embedded``: the command line."""

import gc
import sys

from embedded import sdk_messages

sdk_messages.bare()

from embedded.cli.main import main  # noqa: E402 - only now without the SDK

# A run keeps nearly all that it makes until it ends: looking through it again and again for what could go takes a tenth of the time.
gc.set_threshold(100_000, 50, 50)
sys.exit(main())
