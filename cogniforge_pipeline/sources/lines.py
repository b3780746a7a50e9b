"""Text files as relations of lines, whatever their length.

Belongs here: encodings, compressed text, lines laid out for DuckDB. Does not: which lines are new, what a
line means.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cogniforge_pipeline.sources.growth import prefix_digest, whole_number
from cogniforge_pipeline.sources.points import Item, RefusedItem
from cogniforge_pipeline.sqltext import literal

_CHUNK = 4 << 20
_LONGEST_LINE = 64 << 20
_UNPACKED_LIMIT = 1 << 30
_UNPACKED_RATIO = 200
_BOMS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@dataclass(frozen=True)
class Lines:
    """Lines laid out as files of some MiB in `folder`, each named by the number of its first line."""

    folder: Path
    header: str
    quoted: bool

    def relation(self) -> str:
        """SELECT of `position` (line number in the file, from 1) and `line`; blank lines are left out."""
        return (
            "SELECT position, line FROM (SELECT first + generate_subscripts(list, 1) - 1 AS position, "
            "rtrim(unnest(list), chr(13)) AS line FROM (SELECT CAST(parse_filename(filename, true) AS "
            "BIGINT) AS first, "
            f"string_split(content, chr(10)) AS list FROM read_text({literal(str(self.folder / '*.txt'))}))) "
            "WHERE trim(line) <> ''"
        )


def lay_out(path: Path, item: Item, folder: Path, *, header: bool) -> Lines:
    """Write the item's lines into the empty `folder`; with `header` the file's first line is kept apart.

    Raises RefusedItem for text that is not UTF-8, binary content, damaged compression, endless lines, and a
    file that changed after the plan.
    """
    cursor, end = item.cursor, whole_number(item.cursor, "offset")
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                limit = max(_UNPACKED_LIMIT, _UNPACKED_RATIO * item.size)
                lines = _lay_out(stream, 0, None, 0, folder, header, "", limit)
            end = item.size
        else:
            start, before = whole_number(cursor, "start_offset"), whole_number(cursor, "start_lines")
            with path.open("rb") as stream:
                head = _text(stream.readline(_LONGEST_LINE), 0).rstrip("\r\n") if header and start else ""
                lines = _lay_out(stream, start, end, before, folder, header, head, None)
        if prefix_digest(path, end) != item.fingerprint:
            raise RefusedItem("changed while it was read", "it is tried again once it has settled")
        return lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RefusedItem(
            f"damaged or incomplete compressed file: {error}", "write it again, then rename it into place"
        ) from error
    except OSError as error:
        raise RefusedItem(f"cannot be read: {error.strerror or error}", "check the file and its permissions") from error


def _lay_out(
    stream: IO[bytes] | gzip.GzipFile,
    start: int,
    end: int | None,
    lines: int,
    folder: Path,
    header: bool,
    head: str,
    limit: int | None,
) -> Lines:
    stream.seek(start)
    at, quoted, rest = start, False, b""
    first = lines + 1
    take_header = header and not start
    while True:
        chunk = stream.read(_CHUNK if end is None else min(_CHUNK, end - at - len(rest)))
        block = rest + chunk
        if limit and at > limit:
            raise RefusedItem(f"more than {limit:,} bytes when unpacked", "split the file, or unpack it yourself")
        cut = block.rfind(b"\n") + 1 if chunk else len(block)
        rest = block[cut:]
        if len(rest) > _LONGEST_LINE:
            raise RefusedItem(f"line {first} is longer than {_LONGEST_LINE:,} bytes", "is this a text file?")
        if cut:
            text = _text(block[:cut], at)
            quoted = quoted or '"' in text
            at += cut
            body: str | None = text.removesuffix("\n")
            if take_header:
                head, newline, body = text.removesuffix("\n").partition("\n")
                take_header, first = False, first + 1
                body = body if newline else None
            if body is not None:
                (folder / f"{first:018d}.txt").write_text(body, encoding="utf-8", newline="")
                first += body.count("\n") + 1
        if not chunk:
            break
    if end is not None and at < end:
        raise RefusedItem("got shorter while it was read", "it is tried again once it has settled")
    (folder / f"{first:018d}.txt").touch()
    return Lines(folder, head.rstrip("\r"), quoted)


def _text(block: bytes, at: int) -> str:
    """Bytes that begin at offset `at` of the file as text; a byte order mark of UTF-8 is left out."""
    if at == 0:
        for bom, name in _BOMS:
            if block.startswith(bom):
                raise RefusedItem(f"encoded in {name}, expected UTF-8", f"convert it: iconv -f {name} -t UTF-8")
        block = block.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in block:
        even, odd = block[::2].count(0), block[1::2].count(0)
        if max(even, odd) > len(block) // 5 and not any(0 < byte < 9 for byte in block[:4096]):
            name = "UTF-16BE" if even > odd else "UTF-16LE"
            raise RefusedItem(f"looks like {name}, expected UTF-8", f"convert it: iconv -f {name} -t UTF-8")
        raise RefusedItem("binary content (a NUL byte), expected text", "check the file's format and ending")
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = at + error.start
        strange = sum(b < 9 or 13 < b < 32 for b in block[:4096]) + sum(128 <= b < 160 for b in block[:4096])
        if strange > min(len(block), 4096) // 20:
            raise RefusedItem(
                f"binary content (byte {byte}), expected text", "check the file's format and ending"
            ) from error
        raise RefusedItem(
            f"not UTF-8 at byte {byte} (0x{block[error.start]:02x}); looks like ISO-8859-1 or windows-1252",
            "convert it: iconv -f WINDOWS-1252 -t UTF-8",
        ) from error
