from __future__ import annotations

import re
from pathlib import Path

from gelan.data.formats.collector import KINDS
from gelan.data.health.kinds import HEALTH_KINDS

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "data.md"


def test_the_document_describes_every_kind_of_finding_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(kind for kind, _ in rows) == sorted({*KINDS, *HEALTH_KINDS})
    told = dict(rows)
    assert all(told[kind] == of.severity for kind, of in HEALTH_KINDS.items())


def test_no_kind_means_two_things() -> None:
    assert not KINDS.keys() & HEALTH_KINDS.keys()
