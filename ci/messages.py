"""Awkward messages, and what a server has to hold of each: `messages(folder)` writes NAME.in and
NAME.expected for all of them and returns the names."""

import pathlib
import re
import sys

MESSAGES = {
    "plain": b"Subject: plain\r\n\r\nhello\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\n\r\n.\r\n",
    "lf-only": b"Subject: lf\n\nended by LF\n.dot\n",
    "no-final-line-ending": b"Subject: open\r\n\r\nno end",
    "eight-bit": "Subject: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n".encode(),
    "empty-body": b"Subject: empty\r\n\r\n",
    "long": b"Subject: long\r\n\r\n" + (b"x" * 900 + b"\r\n.y\r\n") * 2000,
}


def expected(octets: bytes) -> bytes:
    """CRLF everywhere, and the last line ended."""
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def messages(folder: pathlib.Path) -> list[str]:
    for name, octets in MESSAGES.items():
        (folder / f"{name}.in").write_bytes(octets)
        (folder / f"{name}.expected").write_bytes(expected(octets))
    return list(MESSAGES)


if __name__ == "__main__":
    messages(pathlib.Path(sys.argv[1]))
