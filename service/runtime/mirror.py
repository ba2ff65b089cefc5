"""Which Debian mirror this machine uses, and how it reaches it: asked of apt, never guessed."""

import subprocess
from collections.abc import Iterator

from service.runtime.errors import PrivateRuntimeError


def machine_mirror() -> str:
    """The address of the Debian mirror in this machine's own apt configuration."""
    return choose_mirror(_ask("apt-get", "indextargets", "Created-By: Packages"))


def machine_acquire_options() -> list[str]:
    """How this machine's apt reaches its mirrors (proxy, time-outs), as lines of apt.conf.

    mmdebstrap runs apt with a configuration of its own, so it has to be told.
    """
    lines = _ask("apt-config", "dump").splitlines()
    return [line for line in lines if line.startswith("Acquire::http") and ' "";' not in line]


def choose_mirror(index_targets: str) -> str:
    """Pick the main Debian archive out of the text that `apt-get indextargets` prints.

    An archive that calls itself Debian wins (its release file was read); before the first
    `apt-get update` nothing is called anything, and a path ending in /debian must do.
    """
    stanzas = list(_stanzas(index_targets))
    for stanza in stanzas:
        if stanza.get("Label") == "Debian" and stanza.get("Component") == "main":
            return _address(stanza)
    for stanza in stanzas:
        if _address(stanza).endswith("/debian"):
            return _address(stanza)
    raise PrivateRuntimeError(
        "apt on this machine knows no Debian mirror, so Asterisk cannot be fetched. "
        "Add one to /etc/apt/sources.list (see sources.list(5)) and run 'apt-get update'."
    )


def _address(stanza: dict[str, str]) -> str:
    return stanza.get("Repo-URI", "").rstrip("/")


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        fields = (line.partition(": ") for line in block.splitlines())
        yield {key: value.strip() for key, _, value in fields}


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- fixed words, no shell
    except (OSError, subprocess.CalledProcessError) as error:
        raise PrivateRuntimeError(
            f"'{' '.join(command)}' does not work here ({error}). The private servers need "
            "Debian's apt; on other systems use: docker compose -f docker/compose.yaml up"
        ) from error
