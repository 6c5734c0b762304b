"""Lines and bars for the person at the terminal; nothing when there is none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


class Progress:
    """Writes to stderr, so that stdout holds the tables alone.

    Args:
        quiet: no lines, no bars.
        every: say a line after this many steps of anything that has a bar; 0 for none.
    """

    def __init__(self, *, quiet: bool = False, every: int = 0) -> None:
        self.quiet = quiet
        self.every = every
        self._bar = None
        if not quiet and sys.stderr.isatty():
            with contextlib.suppress(ImportError):  # lines alone do without it
                from tqdm import tqdm

                self._bar = tqdm

    def say(self, line: str) -> None:
        """One line, above the bars."""
        if self.quiet:
            return
        if self._bar is None:
            print(line, file=sys.stderr, flush=True)
        else:
            self._bar.write(line, file=sys.stderr)

    @contextlib.contextmanager
    def bar(self, total: int, what: str) -> Iterator[Callable[[], None]]:
        """A bar of `total` steps for the block, shown after a second; yields the function that advances
        it."""
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            if bar is not None:
                bar.update(1)
            if self.every and done % self.every == 0:
                self.say(f"{what}: {done}/{total}")

        with contextlib.ExitStack() as stack:
            bar = None
            if self._bar is not None and total:
                bar = self._bar(
                    total=total, desc=what, leave=False, delay=1.0, file=sys.stderr, dynamic_ncols=True
                )
                stack.enter_context(bar)
            yield advance


class Lines(Progress):
    """Keeps the lines for somebody else to print: what a worker has to say.

    Attributes:
        said: the lines.
    """

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, line: str) -> None:
        """Keep it."""
        self.said.append(line)
