from __future__ import annotations

import gzip
import io
import stat
import zipfile

import pytest

from forecast.errors import DownloadError
from forecast.ingest.archives import unpack


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return path


def test_a_plain_file_is_returned_as_it_is(tmp_path):
    path = tmp_path / "a.csv"
    assert unpack(path, tmp_path / "out") == [path]
    assert not (tmp_path / "out").exists()


def test_a_zip_gives_its_files(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"one.tsf": b"1", "sub/two.tsf": b"2", "__MACOSX/._one.tsf": b"?"})
    found = unpack(path, tmp_path / "out")
    assert [file.relative_to(tmp_path / "out").as_posix() for file in found] == ["one.tsf", "sub/two.tsf"]
    assert [file.read_bytes() for file in found] == [b"1", b"2"]


def test_a_gzip_gives_its_file_without_the_suffix(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"1,2\n"))
    [found] = unpack(path, tmp_path / "out")
    assert found.name == "a.txt"
    assert found.read_bytes() == b"1,2\n"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil", "\\\\host\\share\\evil"])
def test_a_member_that_would_land_outside_is_refused_and_nothing_is_unpacked(tmp_path, name):
    path = make_zip(tmp_path / "a.zip", {"good": b"1", name: b"2"})
    with pytest.raises(DownloadError, match="outside"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = make_zip(tmp_path / "a.zip", {link: b"/etc/hostname"})
    with pytest.raises(DownloadError, match="link"):
        unpack(path, tmp_path / "out")


def test_an_encrypted_member_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"secret": b"1"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(raw)
    with pytest.raises(DownloadError, match="encrypted"):
        unpack(path, tmp_path / "out")


def test_a_zip_that_swells_past_the_limit_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"one": b"0" * 600, "two": b"0" * 600})
    with pytest.raises(DownloadError, match="more than 1000 bytes"):
        unpack(path, tmp_path / "out", limit=1000)
    assert not (tmp_path / "out" / "two").exists()
    assert len(unpack(path, tmp_path / "again", limit=1200)) == 2


def test_a_gzip_that_swells_past_the_limit_is_refused(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"0" * 5_000_000))
    with pytest.raises(DownloadError, match="more than 1000 bytes"):
        unpack(path, tmp_path / "out", limit=1000)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_zip_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DownloadError, match=r"damaged.*Delete it"):
        unpack(path, tmp_path / "out")


def test_a_zip_with_a_flipped_byte_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"one": bytes(range(256)) * 100})
    raw = bytearray(path.read_bytes())
    raw[60] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(DownloadError, match="damaged"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("keep", [3, 15, 200])
def test_a_gzip_cut_short_is_refused(tmp_path, keep):
    body = io.BytesIO()
    with gzip.GzipFile(fileobj=body, mode="wb") as file:
        file.write(bytes(range(256)) * 100)
    path = tmp_path / "a.txt.gz"
    path.write_bytes(body.getvalue()[:keep])
    with pytest.raises(DownloadError, match="damaged"):
        unpack(path, tmp_path / "out")
