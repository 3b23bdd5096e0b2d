"""``python -m outrigger_plugin`` is the program ``outrigger``."""

from .cli.main import main

raise SystemExit(main())
