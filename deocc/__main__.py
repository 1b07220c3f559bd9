"""``python -m deocc``: the command line."""

from deocc.cli.main import main

if __name__ == "__main__":
    main()
