"""Which mirror the private root is fetched from: the machine's own, whatever it is."""

import pytest

from service.runtime.errors import PrivateRuntimeError
from service.runtime.mirror import choose_mirror

READ = """\
MetaKey: main/binary-amd64/Packages
Repo-URI: http://mirror.example/debian-security/
Label: Debian-Security
Component: main

MetaKey: main/binary-amd64/Packages
Repo-URI: http://mirror.example/archive/
Label: Debian
Component: main
"""


def test_the_main_archive_is_taken_and_not_the_security_one() -> None:
    assert choose_mirror(READ) == "http://mirror.example/archive"


def test_before_the_first_update_nothing_has_a_label_and_the_path_decides() -> None:
    unread = "\n".join(line for line in READ.splitlines() if not line.startswith("Label"))
    assert choose_mirror(unread.replace("/archive/", "/debian/")) == "http://mirror.example/debian"


def test_makers_own_repositories_are_no_mirror_of_debian() -> None:
    with pytest.raises(PrivateRuntimeError, match="no Debian mirror"):
        choose_mirror("Repo-URI: http://packages.example/node/\nLabel: node\nComponent: main\n")
    with pytest.raises(PrivateRuntimeError, match=r"sources\.list"):
        choose_mirror("")
