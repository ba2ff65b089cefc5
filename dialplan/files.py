"""Writes a folder of Asterisk configuration from Jinja templates."""

import os
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from dialplan.values import ConfigError

# The second line of defence behind the checks of each field (dialplan.values): whatever a template
# puts in, none of these may be in it.
_FORBIDDEN = re.compile(r"[^ -~]|[;\[\]{}$\"'\\`|]")

_FOLDERS = ("var", "spool", "log", "run", "data")


def _only_safe(value: object) -> object:
    if _FORBIDDEN.search(str(value)):
        raise ConfigError("a value for Asterisk's configuration holds a character that is refused")
    return value


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("dialplan"),
        undefined=StrictUndefined,
        finalize=_only_safe,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- not HTML; _only_safe refuses instead of escaping
    )


def write_folder(dest: Path, template_folders: tuple[str, ...], values: Mapping[str, object]) -> None:
    """Render every template of the folders into `dest`, one file each, replaced atomically.

    A later folder's template wins over an earlier one of the same name. All files are rendered
    before the first is written: a refused value leaves `dest` as it was. The files are mode 0600
    (some hold passwords) and belong to the owner of the folder above `dest`, so that Asterisk may
    run as a user of its own. Files in `dest` that are not rendered are left alone.
    """
    environment = _environment()
    templates = {
        Path(name).stem: name
        for folder in template_folders
        for name in environment.list_templates()
        if name.startswith(f"{folder}/")
    }
    texts = {name: environment.get_template(template).render(values) for name, template in sorted(templates.items())}
    dest.mkdir(parents=True, exist_ok=True)
    owner = dest.parent.stat()
    for folder in (dest, *(dest.parent / name for name in _FOLDERS)):
        folder.mkdir(mode=0o750, exist_ok=True)
        os.chown(folder, owner.st_uid, owner.st_gid)
    for name, text in texts.items():
        _replace(dest / name, text, owner)


def link(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target` (a path as Asterisk sees it), atomically."""
    if path.is_symlink() and str(path.readlink()) == target:
        return
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def _replace(path: Path, text: str, owner: os.stat_result) -> None:
    # mkstemp makes the file 0600 from its first moment: a password is never readable by others.
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chown(temporary, owner.st_uid, owner.st_gid)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
