"""`python -m deepcore VERB ...`, and `deepcore-bench`, the same installed; both run the benchmark, too."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """A verb for logs; with flags alone, the benchmark's command line."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0].startswith("-") and argv[0] not in ("-h", "--help"):
        from main import main as benchmark

        return benchmark(argv)
    from deepcore.cli.verbs import main as verbs

    return verbs(argv)


if __name__ == "__main__":
    sys.exit(main())
