"""Passwords that servers and service share: made at the first start, kept in files of mode 0600."""

import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path


class Secrets:
    """The passwords in one folder, one file each.

    A password given as CARELINE_SECRET_<NAME> wins over the file (containers share theirs so).
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self.folder = folder
        self._environment = environment

    def get(self, name: str) -> str:
        """The password `name`: 48 hexadecimal digits, the same at every call.

        Two processes that ask for a new one at the same moment get the same answer.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"{name!r} is not a name for a secret: a-z, 0-9 and _")
        given = self._environment.get(f"CARELINE_SECRET_{name.upper()}")
        if given:
            return given
        path = self.folder / name
        if not path.exists():
            self._create(path)
        path.chmod(0o600)
        return path.read_text(encoding="ascii").strip()

    def _create(self, path: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        descriptor, draft = tempfile.mkstemp(dir=self.folder, prefix=".")
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(24) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename, never replaces what another process made
        except FileExistsError:
            pass
        finally:
            Path(draft).unlink()
