"""``python -m livesketch``: the command line."""

from .cli import main

raise SystemExit(main())
