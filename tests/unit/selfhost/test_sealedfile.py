import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawmates.base.secret import Secret
from clawmates.selfhost import sealedfile
from clawmates.selfhost.keyfile import Kind, public_of
from clawmates.selfhost.sealedfile import (
    PIECE,
    BadRecipientError,
    DamagedError,
    NotSealedError,
    Opener,
    OtherRecipientError,
    OtherVersionError,
    SealedFileError,
    Sealer,
    recipient_of,
)

KEY = Secret(bytes(range(32)))
PUBLIC = public_of(Kind.BACKUP, KEY)
OTHER = Secret(bytes(range(1, 33)))
TAG = 16


def sealed(plain: bytes, public: str = PUBLIC) -> bytes:
    stream = io.BytesIO()
    sealer = Sealer(stream, public)
    # In uneven pieces, as an archive comes.
    for at in range(0, len(plain), 50_000):
        assert sealer.write(plain[at : at + 50_000]) == len(plain[at : at + 50_000])
    sealer.finish()
    return stream.getvalue()


def opened(raw: bytes, private: Secret[bytes] = KEY) -> bytes:
    stream = Opener(io.BytesIO(raw), private)
    found = bytearray()
    while piece := stream.read(10_000):
        found += piece
    return bytes(found)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7])
def test_what_was_sealed_is_opened(size: int) -> None:
    plain = os.urandom(size)
    raw = sealed(plain)
    assert opened(raw) == plain
    assert size < 40 or plain[:40] not in raw


def test_another_key_opens_nothing_and_is_told_for_whom_it_is() -> None:
    raw = sealed(b"x")
    with pytest.raises(OtherRecipientError, match=recipient_of(io.BytesIO(raw))):
        opened(raw, OTHER)


def body(raw: bytes) -> int:
    """Where the pieces begin."""
    return raw.index(b"\n", raw.index(b"\n") + 1) + 1


@pytest.mark.parametrize("size", [100, PIECE, 2 * PIECE])
def test_a_file_that_was_cut_short_is_damaged_wherever_it_was_cut(size: int) -> None:
    raw = sealed(os.urandom(size))
    start = body(raw)
    cuts = {start, start + 1, start + TAG, start + PIECE + TAG, start + PIECE + TAG + 1, len(raw) - 1, start - 2}
    for cut in sorted(cut for cut in cuts if cut < len(raw)):
        with pytest.raises(DamagedError):
            opened(raw[:cut])


def test_pieces_cannot_be_moved_left_out_repeated_or_added() -> None:
    raw = sealed(os.urandom(3 * PIECE))
    start, step = body(raw), PIECE + TAG
    head, pieces = raw[:start], [raw[at : at + step] for at in range(start, len(raw), step)]
    assert len(pieces) == 3
    one, two, three = pieces
    for changed in ([two, one, three], [one, three], [one, one, two, three], [one, two, three, three], [one, two]):
        with pytest.raises(DamagedError):
            opened(head + b"".join(changed))
    assert len(opened(head + b"".join(pieces))) == 3 * PIECE


def test_a_head_of_another_file_does_not_fit() -> None:
    first, second = sealed(b"a" * 100), sealed(b"a" * 100)
    with pytest.raises(DamagedError):
        opened(first[: body(first)] + second[body(second) :])


@settings(max_examples=200)
@given(st.data())
def test_no_changed_bit_goes_unseen(data: st.DataObject) -> None:
    raw = bytearray(WHOLE)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealedFileError):
        opened(bytes(raw))


WHOLE = sealed(bytes(300))


@pytest.mark.parametrize("raw", [b"", b"\n", b"PK\x03\x04", b"clawmates-backup", b"clawmates-backup " + b"1" * 100])
def test_another_file_is_no_backup(raw: bytes) -> None:
    with pytest.raises(NotSealedError):
        opened(raw)


def test_a_later_format_says_so() -> None:
    with pytest.raises(OtherVersionError):
        opened(WHOLE.replace(b"clawmates-backup 1\n", b"clawmates-backup 2\n"))


@pytest.mark.parametrize("public", ["", "*", "AA==", PUBLIC[:-4]])
def test_what_is_no_public_key_is_refused(public: str) -> None:
    with pytest.raises(BadRecipientError):
        sealed(b"", public)


def test_the_writer_reads_it_back_with_the_key_of_this_one_file() -> None:
    stream = io.BytesIO()
    sealer = Sealer(stream, PUBLIC)
    sealer.write(b"hello")
    sealer.finish()
    assert Opener(io.BytesIO(stream.getvalue()), None, key=sealer.key).read(10) == b"hello"
    with pytest.raises(OtherRecipientError):
        Opener(io.BytesIO(stream.getvalue()), None)


def test_what_was_not_finished_is_damaged(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Sealer(stream, PUBLIC).write(bytes(PIECE + 1))
    with pytest.raises(DamagedError):
        opened(stream.getvalue())


def test_the_file_key_is_bound_to_its_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealedfile, "_INFO", b"something else")
    with pytest.raises(DamagedError):
        opened(WHOLE)
