"""``python -m lightning_critperiod`` is ``critperiod``."""

from lightning_critperiod.cli import main

if __name__ == "__main__":
    main()
