-- Features of several views in one call. Two that have one name are told apart by their views.
CREATE OR REPLACE FEATURE VIEW orders_nightly
    ENTITIES (customer_id)
    FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at TTL INTERVAL '7 days';
CREATE OR REPLACE FEATURE VIEW orders_any_age
    ENTITIES (customer_id)
    FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at;

SELECT * FROM get_historical_features(
    entities => (SELECT customer_id, event_timestamp FROM iceberg.gold.labels WHERE customer_id IN (1001, 1003)),
    features => ARRAY['orders_nightly:total_orders', 'orders_any_age:total_orders'],
    full_feature_names => true
) ORDER BY event_timestamp, customer_id;

DROP FEATURE VIEW orders_nightly, orders_any_age;
DROP ENTITY customer_id;
