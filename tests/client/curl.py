"""Stands in for curl where there is none: the few options that the README uses."""

import argparse
import sys
from pathlib import Path

import httpx


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-X", dest="method")
    parser.add_argument("-d", dest="data")
    parser.add_argument("-T", dest="file", type=Path)
    parser.add_argument("url")
    asked = parser.parse_args()
    body = asked.file.read_bytes() if asked.file else (asked.data or "").encode()
    method = asked.method or ("PUT" if asked.file else "POST" if asked.data else "GET")
    headers = dict(header.split(": ", 1) for header in asked.headers)
    said = httpx.request(method, asked.url, headers=headers, content=body or None, timeout=120, trust_env=False)
    sys.stdout.write(said.text)


if __name__ == "__main__":
    main()
