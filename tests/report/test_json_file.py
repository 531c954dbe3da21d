"""The file, the schema and the types say the same."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints, is_typeddict

import jsonschema
import pytest

from trueward.errors import DataError
from trueward.report import document as records
from trueward.report.json_file import finite, read_json, write_json

SCHEMA = json.loads(Path(records.__file__).with_name("audit.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RECORDS = {name: kind for name, kind in vars(records).items() if is_typeddict(kind) and name[0] != "_"}


@pytest.mark.parametrize("name", RECORDS)
def test_schema_and_types_have_the_same_fields(name: str) -> None:
    described = SCHEMA if name == "Document" else SCHEMA["$defs"][name]
    fields = set(get_type_hints(RECORDS[name]))
    assert set(described["properties"]) == fields
    assert set(described["required"]) == set(RECORDS[name].__required_keys__)


def test_schema_describes_no_record_that_does_not_exist() -> None:
    assert {*SCHEMA["$defs"], "Document"} == set(RECORDS)


def test_every_field_has_a_description() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for described in (SCHEMA, *SCHEMA["$defs"].values()):
        assert described["description"]
        for name, field in described["properties"].items():
            assert field.get("description"), name


def test_nullable_in_the_types_is_nullable_in_the_schema() -> None:
    for name, kind in RECORDS.items():
        described = SCHEMA if name == "Document" else SCHEMA["$defs"][name]
        for field, hint in get_type_hints(kind).items():
            known = described["properties"][field]
            nullable = "null" in known.get("type", []) or {"type": "null"} in known.get("anyOf", [])
            assert nullable == (type(None) in getattr(hint, "__args__", ())), f"{name}.{field}"


@pytest.mark.parametrize("build", ["one", "many", "full", "curves_only", "hostile", "control", "images"])
def test_documents_fit_the_schema_and_come_back_equal(build: str, sample: ModuleType, tmp_path: Path) -> None:
    made = getattr(sample, build)()
    path = tmp_path / "audit.json"
    write_json(made, path)
    VALIDATOR.validate(json.loads(path.read_text(encoding="ascii")))
    assert read_json(path) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["audit.json"]


def test_schema_refuses_what_the_types_refuse(sample: ModuleType) -> None:
    made = sample.one()
    made["audits"][0]["families"][0]["tested"] = "48"
    assert not VALIDATOR.is_valid(finite(made))


def test_numbers_that_are_not_finite_become_null(sample: ModuleType, tmp_path: Path) -> None:
    made = sample.one()
    example = made["audits"][0]["findings"][0]["examples"][0]
    example.update(reward=math.nan, payoff=math.inf, null_reward=-math.inf)
    write_json(made, tmp_path / "a.json")
    back = read_json(tmp_path / "a.json")["audits"][0]["findings"][0]["examples"][0]
    assert (back["reward"], back["payoff"], back["null_reward"]) == (None, None, None)
    assert "NaN" not in (tmp_path / "a.json").read_text() and "Infinity" not in (tmp_path / "a.json").read_text()


def test_lone_surrogates_come_back(sample: ModuleType, tmp_path: Path) -> None:
    made = sample.one()
    made["audits"][0]["findings"][0]["examples"][0]["completion"] = "\udc80 \ud800"
    write_json(made, tmp_path / "a.json")
    assert read_json(tmp_path / "a.json")["audits"][0]["findings"][0]["examples"][0]["completion"] == "\udc80 \ud800"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(sample: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_json({**sample.one(), "created": object()}, path)
    with pytest.raises(OSError, match="No such file"):
        write_json(sample.one(), tmp_path / "missing" / "a.json")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_link_keeps_pointing_to_its_file(sample: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_json(sample.one(), tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert read_json(tmp_path / "real.json") == sample.one()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'{\n "schema": oops}', ":2: is not JSON"),
        (b'{"schema": NaN}', "NaN is not a JSON number"),
        (b"[1]", "is not an audit"),
        (b'{"schema": "other"}', "is not an audit"),
        (b'{"schema": "trueward-audit", "schema_version": 2}', "schema version 2, this Trueward reads 1"),
        (b'{"schema": "trueward-audit", "schema_version": 1}', "trueward_version: is missing"),
        (b"[" * 200_000, "JSON|nested"),
    ],
)
def test_what_is_no_document_is_refused_with_the_reason(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as raised:
        read_json(path)
    assert str(raised.value).startswith(str(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_json(tmp_path / "none.json")


def _set(made: Any, value: Any, *way: Any) -> Any:
    for step in way[:-1]:
        made = made[step]
    made[way[-1]] = value


@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        (("audits", 0, "families", 1, "tested"), "48", r"audits\[0\]\.families\[1\]\.tested: expected a whole number"),
        (("audits", 0, "seconds"), True, r"audits\[0\]\.seconds: expected a number, not true"),
        (("audits", 0, "verdict"), "fine", r"audits\[0\]\.verdict: expected one of 'clean'"),
        (("audits", 0, "statuses"), {"ok": 1.5}, r"audits\[0\]\.statuses\.ok: expected a whole number, not 1\.5"),
        (("audits", 0, "findings"), None, r"audits\[0\]\.findings: expected a list, not null"),
        (("audits", 0), 3, r"audits\[0\]: expected an object, not 3"),
        (("audits", 0, "search"), 3, r"audits\[0\]\.search: expected an object, not 3"),
        (("audits", 0, "rollouts", "steps", 4, "share"), "6 %", r"rollouts\.steps\[4\]\.share: expected a number"),
        (("audits", 0, "comparison", "known"), 1, r"comparison\.known: expected true or false, not 1"),
        (("curves", 1, "gold_low", 2), None, r"curves\[1\]\.gold_low\[2\]: expected a number, not null"),
    ],
)
def test_a_field_of_another_type_is_named(
    way: tuple[Any, ...], value: Any, said: str, sample: ModuleType, tmp_path: Path
) -> None:
    made = copy.deepcopy(sample.full())
    _set(made, value, *way)
    (tmp_path / "a.json").write_text(json.dumps(made))
    with pytest.raises(DataError, match=said):
        read_json(tmp_path / "a.json")


def test_a_document_without_the_ids_of_its_hits_is_refused(sample: ModuleType, tmp_path: Path) -> None:
    """It would be a baseline against which everything counts as new."""
    made = copy.deepcopy(sample.full())
    del made["audits"][0]["findings"][2]["hits"]
    (tmp_path / "a.json").write_text(json.dumps(made))
    with pytest.raises(DataError, match=r"audits\[0\]\.findings\[2\]\.hits: is missing"):
        read_json(tmp_path / "a.json")


def test_fields_of_a_later_minor_change_are_kept(sample: ModuleType, tmp_path: Path) -> None:
    made = {**sample.one(), "new": 1}
    write_json(made, tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") == made
