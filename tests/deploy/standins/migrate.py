"""A migration that has nothing to do; ``STANDIN_MIGRATION=fail`` makes it fail."""

import os
import sys

if __name__ == "__main__":
    if os.environ.get("STANDIN_MIGRATION") == "fail":
        sys.exit("the migration cannot be made")
