"""``python -m cccr_web`` is ``cccr-web``."""

from cccr_web.cli import main

if __name__ == "__main__":
    main(prog_name="cccr-web")
