"""Opens tables of this program in pandas (pyarrow), polars and DuckDB and compares all of them with each other, with
the CSV beside them where there is one, and with the documentation.

    pip install pandas pyarrow polars duckdb
    python analysis/tests/readers/check_tables.py FOLDER_OR_PARQUET...

Checks of every table: the columns and their types are the same in all readers, the README's table of tables names
the file and each of its columns, the metadata hold `schema_version` and a JSON `provenance`, and all readers give the
same rows in the same order, bit for bit. A table without a row is told, because it proves little.
"""

import csv
import json
import math
import pathlib
import re
import sys

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

README = pathlib.Path(__file__).parents[3] / "README.md"

# type in the documentation: pyarrow, pandas without and with missing values, polars, DuckDB
TYPES = {
    "u32": ("uint32", "uint32", "float64", pl.UInt32, "UINTEGER"),
    "u64": ("uint64", "uint64", "float64", pl.UInt64, "UBIGINT"),
    "f32": ("float", "float32", "float32", pl.Float32, "FLOAT"),
    "f64": ("double", "float64", "float64", pl.Float64, "DOUBLE"),
    "bool": ("bool", "bool", "object", pl.Boolean, "BOOLEAN"),
    "text": ("large_string", ("object", "str", "string"), ("object", "str", "string"), pl.String, "VARCHAR"),
}
OF_ARROW = {names[0]: name for name, names in TYPES.items()} | {"string": "text", "string_view": "text"}


def fail_unless(right, *what):
    if not right:
        sys.exit("WRONG: " + " ".join(str(part) for part in what))


def same(left, right, missing_is_nan=False):
    """Equal bits, where a reader can tell them; NaN equals NaN."""
    if left is None or right is None:
        return left is right or missing_is_nan and (left is None or left != left) and (right is None or right != right)
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right) or left != left and right != right
    return left == right


def compare(path, reader, column, found, expected, equal=same):
    fail_unless(len(found) == len(expected), path, reader, column, len(found), "rows, not", len(expected))
    for row, (left, right) in enumerate(zip(found, expected)):
        fail_unless(equal(left, right), path, reader, column, "row", row, repr(left), "is not", repr(right))


def plain(values):
    """Python numbers, texts and None."""
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def check_pandas(path, types, expected):
    frame = pd.read_parquet(path, engine="pyarrow")
    fail_unless(list(frame.columns) == list(types), path, "pandas: columns", list(frame.columns))
    for name, kind in types.items():
        has_missing = any(value is None for value in expected[name])
        dtype, wanted = str(frame[name].dtype), TYPES[kind][2 if has_missing else 1]
        fail_unless(dtype in ((wanted,) if isinstance(wanted, str) else wanted), path, "pandas:", name, "is", dtype)
        values = [None if value is pd.NA else value for value in plain(frame[name])]
        compare(path, "pandas:", name, values, expected[name], lambda a, b: same(a, b, missing_is_nan=True))


def check_polars(path, types, expected):
    frame = pl.read_parquet(path)
    fail_unless(frame.columns == list(types), path, "polars: columns", frame.columns)
    fail_unless(pl.scan_parquet(path).select(pl.len()).collect().item() == frame.height, path, "polars: lazy count")
    for name, kind in types.items():
        fail_unless(frame.schema[name] == TYPES[kind][3], path, "polars:", name, "is", frame.schema[name])
        compare(path, "polars:", name, frame[name].to_list(), expected[name])


def check_duckdb(path, types, expected):
    table = f"read_parquet('{path}')"
    described = duckdb.sql(f"describe select * from {table}").fetchall()
    fail_unless([row[0] for row in described] == list(types), path, "DuckDB: columns", described)
    rows = duckdb.sql(f"select * from {table}").fetchall()
    for index, (name, kind) in enumerate(types.items()):
        fail_unless(described[index][1] == TYPES[kind][4], path, "DuckDB:", name, "is", described[index][1])
        compare(path, "DuckDB:", name, [row[index] for row in rows], expected[name])


def from_csv(text, kind):
    if text == "":
        return None
    if kind == "bool":
        return {"true": True, "false": False}[text]
    convert = {"u32": int, "u64": int, "f64": float, "f32": lambda text: float(np.float32(text)), "text": str}
    return convert[kind](text)


def check_csv(path, types, expected):
    beside = path.with_suffix(".csv")
    if not beside.exists():
        return "no CSV"
    about = json.loads(beside.with_suffix(".csv.json").read_text())
    told = {column["name"]: column["type"].replace("str", "text") for column in about["columns"]}
    fail_unless(told == types, beside, "is described as", told)
    csv.field_size_limit(sys.maxsize)
    with open(beside, newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    fail_unless(header == list(types), beside, "header", header)
    for index, (name, kind) in enumerate(types.items()):
        # an empty field is a missing value or an empty text
        wanted = [None if value == "" else value for value in expected[name]]
        compare(beside, "CSV:", name, [from_csv(row[index], kind) for row in rows], wanted)
    return "CSV"


def documented_columns(path):
    """The README's words on the columns of a file; figures' data, which have a manifest beside them, are told of in
    their own paragraph."""
    lines = README.read_text().splitlines()
    if path.with_suffix(".json").exists():
        rows = [line for line in lines if "`FILE.parquet` (" in line]
    else:
        rows = [line for line in lines if line.startswith("| `") and line.split("`")[1] == path.name]
    fail_unless(len(rows) == 1, path, "is not in the README")
    shared = " ".join(line for line in lines if line.startswith("| `overlap.parquet`"))
    refers = "..." in rows[0] or "the same up to" in rows[0]
    return re.findall(r"\w+", rows[0] + (shared if refers else ""))


def check(path):
    arrow = pq.read_table(path)
    types = {field.name: OF_ARROW[str(field.type)] for field in arrow.schema}
    metadata = pq.read_metadata(path).metadata
    fail_unless(metadata[b"schema_version"].isdigit(), path, "schema_version", metadata[b"schema_version"])
    fail_unless(json.loads(metadata[b"provenance"]), path, "provenance")
    documented = documented_columns(path)
    for name in types:
        fail_unless(name in documented, path, "the README does not tell of", name)
    expected = {name: arrow[name].to_pylist() for name in types}
    check_pandas(path, types, expected)
    check_polars(path, types, expected)
    check_duckdb(path, types, expected)
    beside = check_csv(path, types, expected)
    note = "" if arrow.num_rows else "  EMPTY"
    print(f"{path.name:28} {arrow.num_rows:8} rows {len(types):3} columns  {beside}{note}")


def main(arguments):
    paths = [pathlib.Path(argument) for argument in arguments]
    files = [file for path in paths for file in (sorted(path.rglob("*.parquet")) if path.is_dir() else [path])]
    fail_unless(files, "no Parquet file among", arguments)
    print(f"pandas {pd.__version__}, polars {pl.__version__}, DuckDB {duckdb.__version__}")
    for file in files:
        check(file)
    print(f"{len(files)} tables: the same in all readers")


if __name__ == "__main__":
    main(sys.argv[1:])
