from pathlib import Path

import pytest
from image.sources import KEYRING, Entry, carried, entries, mirrors, texts

DEB822 = """\
# the image's own comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_deb822_stanzas_give_an_entry_a_suite() -> None:
    assert entries([DEB822], "bookworm") == (
        Entry("http://mirror.example/debian", "bookworm"),
        Entry("http://mirror.example/debian", "bookworm-updates"),
        Entry("http://mirror.example/debian-security", "bookworm-security"),
    )


def test_one_line_format_with_options_and_comments() -> None:
    text = """
    # deb http://no.example/debian bookworm main
    deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://a.example/d bookworm main # why
    deb-src http://a.example/d bookworm main
    deb http://a.example/d bookworm contrib
    """
    assert entries([text], "bookworm") == (Entry("http://a.example/d", "bookworm"),)


@pytest.mark.parametrize(
    "text",
    [
        "deb http://pg.example/apt bookworm-pgdg main",
        "deb http://docker.example/linux bookworm stable",
        "deb http://cloud.example/apt cloud-sdk-bookworm main",
        "deb [signed-by=/etc/apt/keyrings/vendor.gpg] http://vendor.example/apt bookworm main",
        "Types: deb\nURIs: http://vendor.example\nSuites: bookworm\nComponents: main\nSigned-By: /etc/vendor.gpg\n",
        "Types: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\nEnabled: no\n",
        "deb http://ubuntu.example/ubuntu noble main",
    ],
)
def test_entries_that_are_not_debians_are_left_out(text: str) -> None:
    assert entries([text], "bookworm") == ()


def test_another_release_of_the_host_is_turned_to_ours() -> None:
    found = entries(["deb http://a.example/d trixie main\ndeb http://a.example/s trixie-security main"], "bookworm")
    assert found == (Entry("http://a.example/d", "bookworm"), Entry("http://a.example/s", "bookworm-security"))


def test_every_line_names_debians_key_whatever_the_host_trusts() -> None:
    assert (
        Entry("http://a.example/d", "bookworm").line() == f"deb [signed-by={KEYRING}] http://a.example/d bookworm main"
    )


def test_files_are_read_in_apts_order(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("one")
    (tmp_path / "sources.list.d" / "b.sources").write_text("three")
    (tmp_path / "sources.list.d" / "a.list").write_text("two")
    (tmp_path / "sources.list.d" / "a.sources.disabled").write_text("never")
    assert texts(tmp_path) == ("one", "two", "three")


def test_a_host_that_is_not_debian_leaves_the_choice_to_mmdebstrap(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://a.example/d bookworm main")
    assert mirrors(tmp_path, "ubuntu", {}, "bookworm") == ()
    assert len(mirrors(tmp_path, "debian", {}, "bookworm")) == 1


def test_a_mirror_in_the_environment_wins(tmp_path: Path) -> None:
    environment = {"DEBIAN_MIRROR": "http://m.example/debian", "DEBIAN_SECURITY_MIRROR": "http://m.example/sec"}
    assert mirrors(tmp_path, "ubuntu", environment, "bookworm") == (
        Entry("http://m.example/debian", "bookworm").line(),
        Entry("http://m.example/sec", "bookworm-security").line(),
    )


def test_only_settings_that_reach_the_mirrors_are_carried() -> None:
    dump = """\
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::Check-Valid-Until "false";
APT::Update::Post-Invoke:: "rm -rf /somewhere";
Dir::Cache "var/cache/apt";
"""
    assert carried(dump, Path("/etc/apt")).splitlines() == [
        'Acquire::https::CaInfo "/etc/ssl/own.pem";',
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Valid-Until "false";',
        'Dir::Etc::netrc "/etc/apt/auth.conf";',
        'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";',
    ]
