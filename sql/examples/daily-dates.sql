-- A daily table with a DATE: its rows count from midnight of their day, long before that day's data are known.
-- A view over a query says when they really are: the next morning.
CREATE OR REPLACE FEATURE VIEW orders_by_day
    ENTITIES (customer_id)
    TIMESTAMP known_at
    AS SELECT customer_id, CAST(updated_at AS DATE) + 1 AS known_at, total_orders FROM iceberg.gold.customer_aggregates;

SELECT * FROM get_historical_features(
    entities => (SELECT 1001::bigint AS customer_id, TIMESTAMPTZ '2026-05-02 12:00:00+00' AS event_timestamp),
    features => ARRAY['orders_by_day:total_orders']
);

DROP FEATURE VIEW orders_by_day;
