"""The README as a package index shows it, where nothing beside it can be reached."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)(?:\n.+)*\n+", re.MULTILINE)  # with the caption below it
_IMAGE_TARGET = re.compile(r"(!\[[^\]]*\]\()(?!https?:)([^)]+)\)")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")

_WHERE = "\nThe files that are named here, such as docs/when.md, are in the source distribution.\n"


class ReadmeHook(MetadataHookInterface):
    """Makes the description of the package from README.md."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field ``readme``, which pyproject.toml calls dynamic."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = for_index(readme, metadata.get("urls", {}).get("Source"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def for_index(readme: str, source: str | None) -> str:
    """The README with links that lead somewhere: to the repository, or none where its address is not known.

    Args:
        readme: Markdown, with links relative to the root of the repository.
        source: Address of the repository on GitHub: the URL "Source" in pyproject.toml; None if it has none.

    Returns:
        Without ``source``, pictures are left out with their captions, and a link is its text and the file's name.
    """
    if source is None:
        return _LINK.sub(r"\1 (\2)", _PICTURE.sub("", readme)) + _WHERE
    source = source.rstrip("/")
    readme = _IMAGE_TARGET.sub(rf"\g<1>{source}/raw/main/\g<2>)", readme)
    return _LINK.sub(rf"[\1]({source}/blob/main/\2)", readme)
