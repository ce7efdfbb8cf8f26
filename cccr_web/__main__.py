"""The command ``cccr-web``, also as ``python -m cccr_web``."""

import os
import sys


def main() -> None:
    """Run the command. Ctrl-C ends it in one line, also while modules are imported."""
    try:
        import signal

        # A shell ignores the signal for what it runs in the background.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda *_: _interrupt())
        from cccr_web.cli import main as command

        command(prog_name="cccr-web")
    except KeyboardInterrupt:
        _interrupt()


def _interrupt() -> None:
    # The signal can come while Python writes to its own stderr, which must not be entered twice.
    os.write(2, b"Interrupted.\n")
    sys.exit(130)


if __name__ == "__main__":
    main()
