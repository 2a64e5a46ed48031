#!/bin/sh
# Runs seed.sql on the Trino at TRINO_URL, once it reads tables: it takes statements some seconds before it has a node to run them.
set -eu
until trino --server "$TRINO_URL" --user seed --execute "SELECT count(*) FROM iceberg.information_schema.schemata" >/dev/null 2>&1; do
    sleep 1
done
trino --server "$TRINO_URL" --user seed --file "$(dirname "$0")/seed.sql"
