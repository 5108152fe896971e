"""`python -m gelan`: the command line."""

import sys

from gelan.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
