"""The files of a data set, as the layout v3.0 names them."""

from __future__ import annotations

from typing import Final, NamedTuple

VERSION: Final = "v3.0"
FILES_PER_CHUNK: Final = 1000
DATA_FILE_MB: Final = 100
VIDEO_FILE_MB: Final = 200
INFO: Final = "meta/info.json"
STATISTICS: Final = "meta/stats.json"
TASKS: Final = "meta/tasks.parquet"
EPISODES: Final = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA: Final = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO: Final = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


class FileNumber(NamedTuple):
    """Number of a file: that of its chunk, a folder of up to a thousand files, and that in the chunk."""

    chunk: int
    file: int

    def path(self, template: str, **names: str) -> str:
        """The path of the file, from one of the templates of this module."""
        return template.format(chunk_index=self.chunk, file_index=self.file, **names)

    def following(self) -> FileNumber:
        """The number of the next file."""
        full = self.file + 1 >= FILES_PER_CHUNK
        return FileNumber(self.chunk + 1, 0) if full else FileNumber(self.chunk, self.file + 1)
