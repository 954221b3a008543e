"""``python -m tensorzero`` is the command ``tensorzero``."""

import sys

from tensorzero.cli.main import main

sys.exit(main())
