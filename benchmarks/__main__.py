"""`python -m benchmarks NAME [options]`."""

import sys

from benchmarks.runner import main

sys.exit(main())
