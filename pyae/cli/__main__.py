"""``python -m pyae.cli``: the command ``pyae``."""

import sys

from pyae.cli import main

sys.exit(main())
