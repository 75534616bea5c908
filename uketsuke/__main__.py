"""``python -m uketsuke``: the command line."""

from uketsuke.cli import main

if __name__ == "__main__":
    main()
