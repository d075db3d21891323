"""TandemRec: recommendations learned together from what people do and from what they write."""

import os

__version__ = "0.1.0"

# Read when torch is imported. Its threads wait for each other by spinning, on a busy machine for a core that the one
# they wait for needs: beside another process an epoch took 20 times as long. They sleep sooner so (docs/log.md).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
