"""``python -m uketsuke.cli``, for those who look for the command line where it lives."""

from uketsuke.cli import main

if __name__ == "__main__":
    main()
