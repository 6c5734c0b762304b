"""Finding and fetching the files of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from deepcore.common.checks import UsageError
from deepcore.data.record import Source


class PartlyThere(UsageError):
    """A folder holds some of a data set's files."""


def find(name: str, folders: Iterable[Path], files: Iterable[tuple[str, ...]]) -> list[Path] | None:
    """The files of a data set in the first of `folders` that holds them; None when none holds any.

    Args:
        name: of the data set, for the message.
        folders: where to look, in this order.
        files: the names that each file may have, in order of preference.

    Raises:
        PartlyThere: a folder holds some of the files only.
    """
    files = list(files)
    for folder in folders:
        found = [next((folder / n for n in names if (folder / n).is_file()), None) for names in files]
        if all(found):
            return found
        if any(found):
            missing = " or ".join(files[found.index(None)])
            raise PartlyThere(
                f"{folder} holds some of {name}'s files, but not {missing}: fetch them again (--download)"
            )
    return None


def find_or_fetch(
    name: str, source: Source, look: Callable[[], list[Path] | None], fetch: Callable[[], None], expected: str
) -> list[Path]:
    """What `look` finds, after `fetch` if it does not find all and downloading was asked for.

    Args:
        name: of the data set.
        source: path and download flag.
        look, fetch: find the files; download them into source.path (through torchvision, which checks md5).
        expected: the files that should be there, for the message.

    Raises:
        UsageError: nothing there and no download asked for (it says what is expected where), or it failed.
    """
    try:
        found = look()
    except PartlyThere:  # a download that was stopped
        if not source.download:
            raise
        found = None
    if found is None and source.download:
        try:
            fetch()
        except (OSError, RuntimeError) as error:
            raise UsageError(f"{name} could not be downloaded to {source.path}: {error}") from error
        found = look()
    if found is None:
        raise UsageError(
            f"{name} is not in {source.path}: expected {expected} there; --download fetches it, "
            "--data_path names another folder"
        )
    return found
