"""A release to go to: newer, another image, and nothing else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from clawmates.node.release import check_archive
from clawmates.trials.renewal import Renewal
from clawmates.trials.throwaway import RELEASE
from clawmates.wire.releases import load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def renewal(tmp_path: Path) -> Renewal:
    built = tmp_path / "build" / "release"
    shutil.copytree(RELEASE, built)
    shutil.copy(RELEASE.parent / "release.key", built.parent)
    return Renewal(built, tmp_path / "newer")


def test_each_is_newer_than_the_last_and_of_another_image_of_the_same_size(renewal: Renewal) -> None:
    key = (renewal.built / "release.pub").read_text().strip()
    releases = [load(folder, key) for folder in (renewal.built, renewal.next(), renewal.next())]
    numbers = [one.number for one in releases]
    assert numbers == sorted(set(numbers))
    assert len({one.image.digest for one in releases}) == len({one.image.config for one in releases}) == 3
    assert len({one.image.size for one in releases}) == 1
    assert len({one.providers for one in releases}) == 1


def test_every_digest_in_it_is_right(renewal: Renewal) -> None:
    folder = renewal.next()
    release = load(folder, (folder / "release.pub").read_text().strip())
    assert check_archive(folder, release.image) == folder / release.image.archive
