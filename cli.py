"""Runs the command line from a checkout: ``python cli.py …`` is ``distill …``."""

from distill.cli import main

raise SystemExit(main())
