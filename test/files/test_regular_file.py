"""Only regular files of bounded size are read: nothing waits for a pipe, nothing reads a device for ever."""

from __future__ import annotations

import hashlib
import os
import socket

import pytest

from hand_pose_ros.files.regular_file import checksum, read_file, read_text
from hand_pose_ros.files.safe_json import parse_json, read_json


def test_files_and_links_to_them_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_file(tmp_path / "link", 5) == b"12345"
    assert read_text(str(tmp_path / "file")) == "12345"
    with pytest.raises(ValueError, match="file has more than 4 bytes"):
        read_file(tmp_path / "file", 4)


def test_what_is_not_a_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="a file is needed"):
            read_file(path, 1000)
    with pytest.raises(OSError, match="socket"):
        read_file(tmp_path / "socket", 1000)
    listener.close()
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent", 1000)


def test_texts_and_json_name_the_file_and_the_reason(tmp_path):
    path = tmp_path / "file.json"
    path.write_bytes(b"a\xff")
    with pytest.raises(ValueError, match=r"file\.json is not a text in UTF-8: .* at byte 1"):
        read_text(path)
    path.write_text("{" * 10)
    with pytest.raises(ValueError, match=r"file\.json is not a JSON file"):
        read_json(path)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)
    with pytest.raises(ValueError, match="digits"):
        parse_json("1" * 100_000)
    path.write_text('{"a": [1]}')
    assert read_json(path) == {"a": [1]}


def test_the_checksum_is_that_of_the_whole_content(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert checksum(tmp_path / "file") == hashlib.sha256(content).hexdigest()
