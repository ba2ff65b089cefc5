"""A CSV file of elders with their contacts and devices, read and judged as a whole. `store/importing.py` writes it.

One row is one elder, known by its reference. The columns stand in docs/api.md, an example in docs/examples/elders.csv.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from alarm_core.people import ContactFields, ElderFields, NewDevice

MAX_BYTES = 64 * 1024 * 1024
MAX_ROWS = 200_000
MAX_FAULTS = 1000
CONTACTS, DEVICES, PHONES = 5, 3, 3

_ELDER_HEADERS = {
    "reference": ("reference", "编号", "老人编号"),
    "name": ("name", "姓名"),
    "risk": ("risk", "风险等级"),
    "district": ("district", "区", "区县"),
    "street": ("street", "街道"),
    "compound": ("compound", "小区"),
    "building": ("building", "楼栋", "楼号"),
    "entrance": ("entrance", "单元"),
    "floor": ("floor", "楼层"),
    "room": ("room", "房间", "室号"),
    "landmark": ("landmark", "地标", "附近地标"),
    "way_in": ("way_in", "进入方式", "进门方式"),
    "note": ("note", "备注"),
}
_CONTACT_HEADERS = {"name": ("name", "姓名"), "relation": ("relation", "关系"), "number": ("phone", "电话")}
_DEVICE_HEADERS = {
    "id": ("id", "编号"),
    "kind": ("kind", "类型"),
    "place": ("place", "位置"),
    "heartbeat_seconds": ("heartbeat_seconds", "心跳秒数"),
}
_RISKS = {"高": "high", "中": "medium", "低": "low"}
_KINDS = {
    "烟感": "smoke", "烟雾": "smoke", "燃气": "gas", "一氧化碳": "co", "一键呼": "one_key", "一键呼叫": "one_key",
    "跌倒": "fall", "生命体征": "vital_signs", "活动": "inactivity", "门磁": "door",
}  # fmt: skip
_SHORTENED = re.compile(r"\d(\.\d+)?[eE]\+?\d+")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in the file. `row` counts as a spreadsheet does (1: the header); `column`: its header."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        place = f"row {self.row}" + (f", column {self.column}" if self.column else "")
        return f"{place}: {self.message}"


class ImportFileError(ValueError):
    """The file cannot be imported; nothing of it was."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults[:3])))
        self.faults = faults


@dataclass(slots=True)
class ImportRow:
    """One elder of the file. `given`: the elder's fields that the file has columns for.

    `phones` and `contacts`: None if the file has no column of them. Contacts and devices know by `model_fields_set`
    which of their fields the file has. `device_columns`: the header of each device's id, for errors found later.
    """

    row: int
    reference: str
    given: dict[str, Any]
    phones: list[str] | None
    contacts: list[ContactFields] | None
    devices: list[NewDevice] = field(default_factory=list)
    device_columns: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a cell belongs. `group`: "elder", "phone", "contact" or "device"; `place`: which one, from 1."""

    header: str
    group: str
    place: int
    field: str


def read_elders(content: bytes) -> list[ImportRow]:
    """Read and check a whole file (UTF-8 or GB18030). Raises ImportFileError with every fault found."""
    records = _records(content)
    number, header = next(records, (1, []))
    columns = _columns(number, header)
    rows: list[ImportRow] = []
    faults: list[Fault] = []
    lines: dict[str, int] = {}
    owners: dict[str, int] = {}
    for number, cells in records:
        row, wrong = _row(number, cells, columns)
        faults += wrong
        if row is not None:
            faults += _repeats(row, columns, lines, owners)
            rows.append(row)
        if len(faults) >= MAX_FAULTS:
            break
        if len(rows) > MAX_ROWS:
            raise ImportFileError([Fault(number, "", f"more than {MAX_ROWS} rows: split the file")])
    if faults:
        raise ImportFileError(faults[:MAX_FAULTS])
    return rows


def _records(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, numbered as a spreadsheet numbers them."""
    if len(content) > MAX_BYTES:
        raise ImportFileError([Fault(1, "", f"the file has more than {MAX_BYTES // 2**20} MiB: split it")])
    reader = csv.reader(io.StringIO(_decoded(content), newline=""), strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if any(cell.strip() for cell in cells):
                yield number, cells
    except csv.Error as error:
        message = f"not CSV ({error}): a quote is open or stands in the wrong place"
        raise ImportFileError([Fault(number + 1, "", message)]) from None


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ImportFileError([Fault(1, "", "neither UTF-8 nor GB18030: save it as 'CSV UTF-8'")])


def _plain(header: str) -> str:
    return re.sub(r"[\s_\-]+", "_", header.strip().lower())


def _known_headers() -> dict[str, tuple[str, int, str]]:
    known: dict[str, tuple[str, int, str]] = {}
    for name, headers in _ELDER_HEADERS.items():
        known |= dict.fromkeys(headers, ("elder", 0, name))
    for n in range(1, PHONES + 1):
        known |= dict.fromkeys((f"phone{n}", f"电话{n}"), ("phone", n, "phone"))
    known |= dict.fromkeys(("phone", "电话"), ("phone", 1, "phone"))
    for group, english, chinese, count, fields in (
        ("contact", "contact", "联系人", CONTACTS, _CONTACT_HEADERS),
        ("device", "device", "设备", DEVICES, _DEVICE_HEADERS),
    ):
        for n in range(1, count + 1):
            for name, (in_english, in_chinese) in fields.items():
                known |= {f"{english}{n}_{in_english}": (group, n, name), f"{chinese}{n}{in_chinese}": (group, n, name)}
    return known


_KNOWN = _known_headers()


def _columns(row: int, header: list[str]) -> list[_Column | None]:
    """What each column is; None for one without header and content."""
    faults: list[Fault] = []
    columns: list[_Column | None] = []
    if len(header) == 1 and re.search(r"[;\t；，]", header[0]):
        raise ImportFileError([Fault(row, "", "the columns must be separated by commas: save it as 'CSV UTF-8'")])
    for cell in header:
        if not cell.strip():
            columns.append(None)
            continue
        found = _KNOWN.get(_plain(cell))
        if found is None:
            faults.append(Fault(row, cell.strip()[:40], "no such column: see docs/api.md, 'Columns of elders.csv'"))
        else:
            column = _Column(cell.strip(), *found)
            if any((c.group, c.place, c.field) == found for c in columns if c):
                faults.append(Fault(row, column.header, "stands twice"))
            columns.append(column)
    have = {(c.group, c.field) for c in columns if c}
    if not have:
        hint = "the first row must hold the headers (reference or 编号 …), and commas must separate the columns"
        raise ImportFileError([Fault(row, "", hint)])
    faults += [
        Fault(row, headers, "is missing")
        for name, headers in (("reference", "reference (编号)"), ("name", "name (姓名)"))
        if ("elder", name) not in have
    ]
    if faults:
        raise ImportFileError(faults)
    return columns


def _row(number: int, cells: list[str], columns: list[_Column | None]) -> tuple[ImportRow | None, list[Fault]]:
    parts: dict[tuple[str, int], dict[str, str]] = {}
    headers: dict[tuple[str, int, str], str] = {}
    for place, cell in enumerate(cells):
        column = columns[place] if place < len(columns) else None
        if column is not None:
            parts.setdefault((column.group, column.place), {})[column.field] = cell.strip()
            headers[(column.group, column.place, column.field)] = column.header
        elif cell.strip():
            return None, [Fault(number, "", f"cell {place + 1} has no header: is there a comma too many?")]
    # A short row has empty cells at its end.
    given: dict[str, Any] = {c.field: "" for c in columns if c and c.group == "elder"}
    given |= parts.get(("elder", 0), {})
    if "risk" in given:
        given["risk"] = _RISKS.get(given["risk"], given["risk"].lower()) or "medium"
    groups = {c.group for c in columns if c}
    phones = {headers[(*key, "phone")]: v["phone"] for key, v in sorted(parts.items()) if v.get("phone")}
    judge = _Judge(number, headers, list(phones))
    elder = judge.model(ElderFields, ("elder", 0), {**given, "phones": list(phones.values())})
    contacts = [
        judge.model(
            ContactFields, key, {name: value or None if name == "number" else value for name, value in values.items()}
        )
        for key, values in sorted(parts.items())
        if key[0] == "contact" and any(values.values())
    ]
    devices = [
        judge.model(NewDevice, key, _device(values))
        for key, values in sorted(parts.items())
        if key[0] == "device" and any(values.values())
    ]
    if judge.faults or elder is None:
        return None, judge.faults
    row = ImportRow(
        number,
        elder.reference,
        elder.model_dump(include=set(given)),
        elder.phones if "phone" in groups else None,
        [one for one in contacts if one] if "contact" in groups else None,
        [one for one in devices if one],
        [judge.header(key, "id") for key in sorted(parts) if key[0] == "device" and any(parts[key].values())],
    )
    return row, []


def _device(values: Mapping[str, str]) -> dict[str, Any]:
    # The elder's id is not known yet: it is set when the row is written.
    found: dict[str, Any] = {**values, "elder_id": UUID(int=0)}
    if "kind" in found:
        found["kind"] = _KINDS.get(found["kind"], found["kind"].lower())
    if found.get("heartbeat_seconds") == "":
        found["heartbeat_seconds"] = None
    return found


def _repeats(
    row: ImportRow, columns: list[_Column | None], lines: dict[str, int], owners: dict[str, int]
) -> list[Fault]:
    """Faults of references and devices that an earlier row has already."""
    faults = []
    first = lines.setdefault(row.reference, row.row)
    if first != row.row:
        header = next(c.header for c in columns if c and c.field == "reference")
        faults.append(Fault(row.row, header, f"stands in row {first} already: one row for one elder"))
    for device, header in zip(row.devices, row.device_columns, strict=True):
        if device.id in owners:
            faults.append(Fault(row.row, header, f"the device stands in row {owners[device.id]} already"))
        owners.setdefault(device.id, row.row)
    return faults


@dataclass(slots=True)
class _Judge:
    """Turns what a model finds wrong into faults of the row."""

    row: int
    headers: dict[tuple[str, int, str], str]
    phones: list[str]
    faults: list[Fault] = field(default_factory=list)

    def model(self, model: type[Any], key: tuple[str, int], values: Mapping[str, Any]) -> Any:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self.faults += [self._fault(key, dict(one)) for one in error.errors(include_url=False)]
            return None

    def header(self, key: tuple[str, int], name: str) -> str:
        found = self.headers.get((*key, name))
        return found or f"{key[0]}{key[1]}_{name}"

    def _fault(self, key: tuple[str, int], error: dict[str, Any]) -> Fault:
        name, *rest = error["loc"]
        value = error.get("input")
        column = self.phones[rest[0] if rest else 0] if name == "phones" else self.header(key, str(name))
        message = str(error["msg"]).removeprefix("Value error, ")
        if value in (None, ""):
            message = "is empty: fill it in"
        elif isinstance(value, str) and _SHORTENED.fullmatch(value.strip()):
            message = "the spreadsheet has shortened the number: format the column as text and enter it again"
        elif name == "kind":
            message = f"no kind of device: write smoke, gas, co, one_key, fall … or {'、'.join(_KINDS)}"
        elif name == "risk":
            message = "write high, medium or low (高、中、低)"
        return Fault(self.row, column, message)
