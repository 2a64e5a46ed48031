"""A seeded random history of a table, written by pyiceberg: appends, copy-on-write deletes and overwrites, schema and spec changes,
tags, branches. After each step one line of JSON says where the table's metadata is and which rows it must hold, by rows that
this script kept itself.

    pyiceberg_history.py FOLDER SEED STEPS
"""
import datetime as dt
import json
import random
import sys
import warnings

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo, GreaterThan, IsNull, LessThanOrEqual
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform, TruncateTransform
from pyiceberg.types import DoubleType, FloatType, IntegerType, LongType, NestedField, StringType, TimestampType

warnings.filterwarnings("ignore")
folder, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
EPOCH = dt.datetime(1970, 1, 1)
ARROW = {"int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(), "string": pa.string(), "timestamp": pa.timestamp("us")}

catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/catalog.sqlite", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("s")
schema = Schema(NestedField(1, "id", IntegerType()), NestedField(2, "cat", StringType()), NestedField(3, "v", FloatType()), NestedField(4, "ts", TimestampType()))
table = catalog.create_table("s.t", schema, properties={"write.metadata.previous-versions-max": "1000"})
rows = []                                  # of the table now: {field id: value}
branch_rows = {}                           # of branches
next_column = 0


def value(kind):
    if rng.random() < 0.15:
        return None
    if kind in ("int", "long"):
        return rng.randrange(-12, 12)
    if kind in ("float", "double"):
        return rng.randrange(-20, 20) / 4
    if kind == "string":
        return rng.choice(["", "a", "ab", "abc", "é€", "zz", "a b%/=+"])
    return EPOCH + dt.timedelta(days=rng.randrange(-4, 4), microseconds=rng.randrange(-2, 2))


def new_rows(n):
    fields = table.schema().fields
    made = [{f.field_id: value(str(f.field_type)) for f in fields} for _ in range(n)]
    arrow = pa.schema([pa.field(f.name, ARROW[str(f.field_type)], not f.required) for f in fields])
    columns = [pa.array([r[f.field_id] for r in made], ARROW[str(f.field_type)]) for f in fields]
    return made, pa.Table.from_arrays(columns, schema=arrow)


def condition():
    f = rng.choice([f for f in table.schema().fields if str(f.field_type) in ("int", "long", "string")])
    if rng.random() < 0.3:
        return IsNull(f.name), lambda r: r.get(f.field_id) is None
    x = value(str(f.field_type))
    while x is None:
        x = value(str(f.field_type))
    op, fn = rng.choice([(EqualTo, lambda a: a == x), (GreaterThan, lambda a: a > x), (LessThanOrEqual, lambda a: a <= x)])
    return op(f.name, x), lambda r: r.get(f.field_id) is not None and fn(r[f.field_id])


def shown(v, kind):
    if v is None:
        return "NULL"
    if kind == "string":
        return f"'{v}'"
    if kind == "timestamp":
        return str((v - EPOCH) // dt.timedelta(microseconds=1))
    return repr(float(v)) if kind in ("float", "double") else str(v)


def say(step, ref, held):
    fields = table.schema().fields
    lines = [[shown(r.get(f.field_id), str(f.field_type)) for f in fields] for r in held]
    print(json.dumps({"step": step, "metadata": table.metadata_location, "ref": ref, "columns": [f.name for f in fields], "rows": lines}), flush=True)


for number in range(steps):
    step = rng.choice(["append"] * 4 + ["delete", "delete", "overwrite", "add", "rename", "drop", "promote", "move", "spec", "tag", "branch", "branch append"])
    step = "append" if number == 0 else step
    if step == "append":
        made, data = new_rows(rng.randrange(1, 30))
        table.append(data)
        rows = rows + made
    elif step == "delete":
        where, fn = condition()
        table.delete(where)
        rows = [r for r in rows if not fn(r)]
    elif step == "overwrite":
        where, fn = condition()
        made, data = new_rows(rng.randrange(1, 8))
        table.overwrite(data, overwrite_filter=where)
        rows = [r for r in rows if not fn(r)] + made
    elif step == "add":
        next_column += 1
        kind = rng.choice([IntegerType(), StringType(), FloatType(), TimestampType()])
        with table.update_schema() as update:
            update.add_column(f"c{next_column}", kind)
    elif step == "rename":
        next_column += 1
        f = rng.choice(table.schema().fields)
        with table.update_schema() as update:
            update.rename_column(f.name, f"r{next_column}")
    elif step == "drop":
        used = {p.source_id for s in table.specs().values() for p in s.fields} | {1}
        free = [f for f in table.schema().fields if f.field_id not in used]
        if len(free) > 1:
            f = rng.choice(free)
            with table.update_schema(allow_incompatible_changes=True) as update:
                update.delete_column(f.name)
            rows = [{k: v for k, v in r.items() if k != f.field_id} for r in rows]
    elif step == "promote":
        with table.update_schema() as update:
            for f in table.schema().fields:
                wide = {"int": LongType(), "float": DoubleType()}.get(str(f.field_type))
                if wide is not None and rng.random() < 0.5:
                    update.update_column(f.name, field_type=wide)
    elif step == "move":
        f = rng.choice(table.schema().fields)
        if f.name != table.schema().fields[0].name:
            with table.update_schema() as update:
                update.move_first(f.name)
    elif step == "spec":
        now = table.spec()
        with table.update_spec() as update:
            for p in now.fields:
                update.remove_field(p.name)
            f = rng.choice(table.schema().fields)
            kind = str(f.field_type)
            transforms = {"string": [IdentityTransform(), TruncateTransform(2), BucketTransform(3)], "timestamp": [DayTransform()]}
            transforms = transforms.get(kind, [IdentityTransform(), BucketTransform(3)] if kind in ("int", "long") else [])
            if transforms:
                update.add_field(f.name, rng.choice(transforms), f"p{number}")
    elif step == "tag":
        table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, f"t{number}").commit()
    elif step == "branch":
        table.manage_snapshots().create_branch(table.current_snapshot().snapshot_id, f"b{number}").commit()
        branch_rows[f"b{number}"] = rows
    elif branch_rows:
        name = rng.choice(sorted(branch_rows))
        made, data = new_rows(rng.randrange(1, 5))
        table.append(data, branch=name)
        branch_rows[name] = branch_rows[name] + made
        say(step, name, branch_rows[name])
    say(step, None, rows)
