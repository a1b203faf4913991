"""`python -m cancellint`; among files of strangers, `python -P -m cancellint` or the command `cancellint`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working folder: nothing of the checked repository is imported

    from cancellint.cli import process

    process()
