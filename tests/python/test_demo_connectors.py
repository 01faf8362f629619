"""The demo's connectors, on real files and a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from rowqueue.demo.connectors import (
    Connector,
    Record,
    Share,
    SourceError,
    connector_type,
    http_json,
    open_source,
)
from rowqueue.demo.connectors.stdlib import StdlibConnector

ALL = Share(0, 1)
Answer = tuple[int, dict[str, str], object]
Serve = Callable[[Callable[[str, int], Answer]], str]


def records(source: Connector, first: int = 1) -> list[Record]:
    return [record for page in source.pages(first) for record in page.records]


def errors(source: Connector) -> list[str]:
    return [error for page in source.pages() for error in page.errors]


# stdlib


def test_a_module_is_described_by_its_source() -> None:
    root = Path(json.__file__).parent
    found = {record.key: record.data for record in records(StdlibConnector(ALL, root))}

    decoder = found["decoder.py"]

    assert set(found) == {file.name for file in root.glob("*.py")}
    assert decoder["module"] == "decoder"
    assert decoder["doc"] == "Implementation of JSONDecoder"
    assert decoder["lines"] == len((root / "decoder.py").read_text().splitlines())
    assert decoder["classes"] == 2
    assert {"json", "re"} <= set(decoder["imports"])


def test_every_file_of_the_standard_library_is_in_exactly_one_share() -> None:
    shares = [StdlibConnector(Share(part, 3)) for part in range(3)]
    whole = StdlibConnector(ALL)

    files = [file for share in shares for file in share._files]

    assert sorted(files) == whole._files
    assert len(set(files)) == len(files) > 500
    assert not any("site-packages" in file.parts for file in files)


def test_files_that_are_no_python_are_reported_and_spoil_nothing(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text('"""Good."""\nimport os.path\n')
    (tmp_path / "old.py").write_text("x = 1\nprint 'hello'\n")
    (tmp_path / "null.py").write_bytes(b"x = '\0'\n")
    (tmp_path / "coding.py").write_bytes(b"# coding: uft-8\n")
    (tmp_path / "notes.txt").write_text("not looked at")
    source = StdlibConnector(ALL, tmp_path)

    assert [record.data["imports"] for record in records(source)] == [["os"]]
    coding, null, old = sorted(errors(source))
    assert coding == "coding.py: line 1: unknown encoding: uft-8"
    assert null.startswith("null.py: ")
    assert old.startswith("old.py: line 2: ")


def test_a_folder_without_python_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Python files"):
        list(StdlibConnector(ALL, tmp_path).pages())


def test_pages_can_be_read_from_the_middle(tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / f"m{number:02}.py").touch()
    source = StdlibConnector(ALL, tmp_path)

    assert source.page_count == 24
    assert records(source, first=24) == records(source)[69:]
    assert records(source, first=25) == []


# csv


def write_csv(folder: Path, content: str | bytes, encoding: str = "utf-8") -> str:
    file = folder / "data.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return f"csv:{file}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_file_is_read_whatever_its_encoding_and_delimiter(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    rows = [["name", "city, country"], ["Zoë", 'a "b"'], ["two\nlines", ""]]
    lines = [delimiter.join('"{}"'.format(f.replace('"', '""')) for f in row) for row in rows]
    source = open_source(write_csv(tmp_path, "\r\n".join(lines), encoding), ALL)

    assert records(source) == [
        Record("1", {"name": "Zoë", "city, country": 'a "b"'}),
        Record("2", {"name": "two\nlines", "city, country": ""}),
    ]
    assert errors(source) == []


def test_rows_that_do_not_fit_their_header_are_reported(tmp_path: Path) -> None:
    content = f"a,b\n1,2\n\n3\n4,5,6\n7,{'x' * 200_000}\n8,9\n"
    source = open_source(write_csv(tmp_path, content), ALL)

    assert [record.key for record in records(source)] == ["1", "5"]
    assert errors(source) == [
        "row 2: 1 fields below 2 headings",
        "row 3: 3 fields below 2 headings",
        "row 4: field larger than field limit (131072)",
    ]


def test_headings_that_are_empty_or_taken_get_their_number(tmp_path: Path) -> None:
    source = open_source(write_csv(tmp_path, "a,,a\n1,2,3\n"), ALL)

    assert [record.data for record in records(source)] == [
        {"a": "1", "column_2": "2", "column_3": "3"}
    ]


def test_shares_of_a_csv_file_have_all_of_its_rows(tmp_path: Path) -> None:
    source = write_csv(tmp_path, "n\n" + "".join(f"{n}\n" for n in range(1, 101)))
    shares = [open_source(source, Share(part, 3)) for part in range(3)]

    assert [share.page_count for share in shares] == [34, 33, 33]
    keys = [int(record.key) for share in shares for record in records(share)]
    assert sorted(keys) == list(range(1, 101))
    assert records(shares[1], first=33) == [Record("98", {"n": "98"})]


@pytest.mark.parametrize("content", ["", "a,b\n"])
def test_a_csv_file_may_have_no_rows(tmp_path: Path, content: str) -> None:
    source = open_source(write_csv(tmp_path, content), ALL)

    assert source.page_count == 0
    assert records(source) == []


def test_a_file_that_is_not_there_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        list(open_source(f"csv:{tmp_path / 'none.csv'}", ALL).pages())


# http


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves what a function of path and page number answers, and returns the address."""
    servers: list[ThreadingHTTPServer] = []

    def run(answer: Callable[[str, int], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                page = int(parse_qs(url.query).get("page", ["1"])[0])
                status, headers, body = answer(self.path, page)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def test_numbered_pages_are_shared_out_by_page(serve: Serve) -> None:
    asked: list[str] = []

    def answer(path: str, page: int) -> Answer:
        asked.append(path)
        return 200, {}, {"items": [{"id": page * 10 + i, "n": i} for i in (1, 2)], "pages": 7}

    url = serve(answer)
    shares = [open_source(f"http:{url}/users?sort=id&page=3", Share(p, 3)) for p in range(3)]

    assert [share.page_count for share in shares] == [3, 2, 2]
    assert [record.key for record in records(shares[1])] == ["21", "22", "51", "52"]
    assert records(shares[0], first=3) == [
        Record("71", {"id": 71, "n": 1}),
        Record("72", {"id": 72, "n": 2}),
    ]
    assert set(asked) == {f"/users?sort=id&page={n}" for n in (1, 2, 5, 7)}


def test_linked_pages_are_followed_to_the_last(serve: Serve) -> None:
    def answer(path: str, page: int) -> Answer:
        links = f'</list>; rel="first", </list?page={page + 1}>; rel="next"'
        return 200, ({"Link": links} if page < 5 else {}), [page, {"id": f"p{page}"}]

    url = serve(answer)
    shares = [open_source(f"{url}/list", Share(p, 2)) for p in range(2)]

    assert shares[0].page_count is None
    assert [record.key for record in records(shares[0])] == ["1.1", "p1", "3.1", "p3", "5.1", "p5"]
    assert records(shares[1], first=2) == [
        Record("4.1", {"value": 4}),
        Record("p4", {"id": "p4"}),
    ]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((503, {}, {}), "answers 503"),
        ((200, {}, b"<html>"), "answers no JSON"),
        ((200, {}, b"\xff\xfe"), "answers no JSON"),
        ((200, {}, b"[" * 100_000), "answers no JSON"),
        ((200, {}, {"data": []}), "answers neither"),
        ((200, {}, "text"), "answers neither"),
        ((200, {"Content-Length": "9"}, b"[]"), "IncompleteRead"),
        ((200, {"Link": '<file:///etc/passwd>; rel="next"'}, [1]), "is no http or https URL"),
        ((200, {"Link": '</>; rel="next"'}, [1]), "more than 20 pages"),
        ((200, {}, b"x" * 300_000), "more than 200000 bytes"),
    ],
)
def test_an_answer_that_is_no_page_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, answer: Answer, complaint: str
) -> None:
    monkeypatch.setattr(http_json, "_PAGES_MAX", 20)
    monkeypatch.setattr(http_json, "_ANSWER_SIZE_MAX", 200_000)
    source = open_source(serve(lambda path, page: answer), ALL)

    with pytest.raises(SourceError, match=complaint):
        list(source.pages())


def test_an_answer_that_trickles_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_json, "_ANSWER_TIME_MAX", -1.0)
    source = open_source(serve(lambda path, page: (200, {}, [1])), ALL)

    with pytest.raises(SourceError, match="a page takes more than"):
        list(source.pages())


def test_a_complaint_does_not_repeat_what_is_secret_in_a_url(serve: Serve) -> None:
    url = serve(lambda path, page: (403, {}, {}))
    source = open_source(f"{url}/list?token=s3cret", ALL)

    with pytest.raises(SourceError) as caught:
        list(source.pages())

    assert str(caught.value) == f"{url}/list?page=1 answers 403 Forbidden"


def test_a_server_that_is_not_there_is_no_source() -> None:
    with pytest.raises(SourceError, match="refused"):
        list(open_source("http://127.0.0.1:1/", ALL).pages())


# Sources by name


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("stdlib", "stdlib"),
        ("csv:/a/b.csv", "csv"),
        ("http:https://example.org/", "http"),
        ("https://example.org/", "http"),
    ],
)
def test_a_source_names_its_connector(source: str, kind: str) -> None:
    assert connector_type(source) == kind
    assert open_source(source, ALL).noun


@pytest.mark.parametrize(
    "source", ["", "stdlib:x", "csv", "csv:", "ftp://x/", "http:", "http:file:///x", "http://"]
)
def test_other_sources_are_refused(source: str) -> None:
    with pytest.raises(SourceError):
        open_source(source, ALL)
