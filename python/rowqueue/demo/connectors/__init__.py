"""Connectors: where the demo's records come from. `base` says what each of them is."""

from __future__ import annotations

from pathlib import Path

from rowqueue.demo.connectors.base import Connector, Page, Record, Share, SourceError
from rowqueue.demo.connectors.csv_file import CsvConnector
from rowqueue.demo.connectors.http_json import HttpConnector
from rowqueue.demo.connectors.stdlib import StdlibConnector

__all__ = ["Connector", "Page", "Record", "Share", "SourceError", "connector_type", "open_source"]


def connector_type(source: str) -> str:
    """Returns the connector that a source names: ``stdlib``, ``csv`` or ``http``."""
    kind = source.partition(":")[0]
    return "http" if kind == "https" else kind


def open_source(source: str, share: Share) -> Connector:
    """Returns a connector on a workspace's share of a source.

    Args:
        source: ``stdlib``, ``csv:PATH``, ``http:URL``, or the URL alone.
        share: which part of it.

    Raises:
        SourceError: there is no such connector.
    """
    kind, _, place = source.partition(":")
    if kind == "stdlib" and not place:
        return StdlibConnector(share)
    if kind == "csv" and place:
        return CsvConnector(Path(place), share)
    if kind in ("http", "https") and place:
        return HttpConnector(source if place.startswith("//") else place, share)
    raise SourceError(f"no such source: {source} (there are stdlib, csv:PATH and http:URL)")
