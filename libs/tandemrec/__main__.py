"""`python -m tandemrec` is the console script `tandemrec`."""

import sys

from tandemrec.cli.parser import main

sys.exit(main())
