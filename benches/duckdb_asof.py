"""The peer of benches/retrieval.rs: DuckDB's ASOF JOIN over the same Parquet files, into an Arrow table.

Usage: duckdb_asof.py RUNS ENTITY_GLOB FEATURE_GLOB; prints rows, a checksum, and each run's seconds.
"""
import sys
import time

import duckdb

runs, entities, features = int(sys.argv[1]), sys.argv[2], sys.argv[3]
columns = ", ".join(f"f.f{i}" for i in range(14))
sql = f"""
SELECT e.entity_id, e.event_timestamp, e.label, {columns}
FROM read_parquet('{entities}') e
ASOF LEFT JOIN read_parquet('{features}') f
  ON e.entity_id = f.entity_id AND e.event_timestamp >= f.event_timestamp
"""
connection = duckdb.connect()
connection.execute("SET threads = 2")
check = connection.execute(f"SELECT count(*), sum(f0), sum(f10) FROM ({sql})").fetchone()
print("rows", check[0])
print("check", f"{check[1]:.3f}", int(check[2]))
for _ in range(runs):
    began = time.perf_counter()
    result = connection.execute(sql).to_arrow_table()
    print("seconds", time.perf_counter() - began)
    assert result.num_rows == check[0]
