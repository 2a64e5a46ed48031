-- A training set that can be made again after the tables have moved on.
CREATE OR REPLACE FEATURE VIEW orders_then
    ENTITIES (customer_id)
    FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at;

-- at => holds for every table of the call: a tag or branch, a snapshot id, a time, or a list of tables.
SELECT customer_id, event_timestamp, total_orders FROM get_historical_features(
    entities => (SELECT customer_id, event_timestamp FROM iceberg.gold.labels WHERE customer_id = 1002),
    features => ARRAY['orders_then:total_orders'],
    at => 'main'
) ORDER BY event_timestamp;

-- What that retrieval read. Keep the text of "at" with the training set: given to at =>, it leads to the same rows.
SELECT "table", snapshot_id, at FROM feature_store.last_query();

-- Plain queries travel too, and within a transaction every table stays at the snapshot that was read first.
BEGIN;
SELECT count(*) FROM iceberg.gold.labels FOR VERSION AS OF 'main';
SELECT count(*) FROM get_feature_ranges('orders_then', '2026-05-01', '2026-06-01');
COMMIT;

DROP FEATURE VIEW orders_then;
DROP ENTITY customer_id;
