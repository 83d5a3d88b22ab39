"""``python -m nirbridge``: the command line, where its program is not on the path."""

from nirbridge.cli import main

if __name__ == "__main__":
    main()
