"""`python -m imza` is `imza`."""

from imza import cli

cli.main()
