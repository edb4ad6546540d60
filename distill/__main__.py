"""``python -m distill``: the command line, where the installed command is not on the path."""

from distill.cli import main

raise SystemExit(main())
