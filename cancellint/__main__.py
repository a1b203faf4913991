"""`python -m cancellint`."""

from cancellint.cli import main

if __name__ == "__main__":
    main()
