"""For all tests: what they start may keep its compiled modules, which container images forbid to stay small."""

import os

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
