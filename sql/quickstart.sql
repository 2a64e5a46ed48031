-- A shop's data team writes four Iceberg tables; featgres reads them where they are.
SHOW TABLES FROM iceberg.gold;

-- One row per customer and night. A row of day d is written at 02:00 of the next day.
DESCRIBE iceberg.gold.customer_aggregates;

-- What is a customer? The key that features and labels are joined by.
CREATE ENTITY IF NOT EXISTS customer KEY (customer_id BIGINT) COMMENT 'A customer of the shop';

-- A feature view is a name for columns of a table: nothing is copied. Values older than 30 days are not to be used.
CREATE OR REPLACE FEATURE VIEW customer_features (
        total_orders BIGINT COMMENT 'orders since joining',
        aov DOUBLE PRECISION FROM avg_order_value COMMENT 'average order value',
        days_since_last_order INTEGER
    )
    ENTITIES (customer)
    FROM iceberg.gold.customer_aggregates
    TIMESTAMP updated_at
    CREATED TIMESTAMP ingested_at
    TTL INTERVAL '30 days'
    COMMENT 'Nightly aggregates of a customer''s orders';

-- Left-out features are all other columns of the table.
CREATE OR REPLACE FEATURE VIEW customer_support
    ENTITIES (customer)
    FROM iceberg.gold.support_tickets
    TIMESTAMP changed_at;

-- A table that keeps history (SCD-2): a plan that has ended is no plan.
CREATE OR REPLACE FEATURE VIEW customer_profile
    ENTITIES (customer)
    FROM iceberg.gold.customer_profile
    TIMESTAMP valid_from
    VALID UNTIL valid_to;

SHOW FEATURE VIEWS;

-- The labels of a churn model: who had left sixty days after the given time?
SELECT * FROM iceberg.gold.labels WHERE customer_id BETWEEN 1001 AND 1004 ORDER BY event_timestamp, customer_id LIMIT 5;

-- Training data: to each label the features as they were at its time, never later ones. Labels pass through.
-- Customer 1003 left in February: in June the last aggregates are months old, and the TTL hides them.
SELECT * FROM get_historical_features(
    entities => (SELECT customer_id, event_timestamp, churned FROM iceberg.gold.labels WHERE customer_id BETWEEN 1001 AND 1004),
    features => ARRAY['customer_features:total_orders', 'customer_features:aov', 'customer_support:open_tickets', 'customer_profile:plan']
) ORDER BY event_timestamp, customer_id;

-- How old is each value? With 120 days instead of the view's 30, the stale one comes back, and says so.
SELECT * FROM get_historical_features(
    entities => (SELECT customer_id, event_timestamp FROM iceberg.gold.labels WHERE customer_id = 1003),
    features => ARRAY['customer_features:total_orders'],
    max_age => INTERVAL '120 days',
    include_feature_timestamps => true
) ORDER BY event_timestamp;

-- Returned orders of the last week of May were booked on 2 June, as a second row for the same nights.
SELECT customer_id, updated_at, ingested_at, total_orders FROM iceberg.gold.customer_aggregates
WHERE customer_id = 1002 AND updated_at = TIMESTAMPTZ '2026-05-31 02:00:00+00' ORDER BY ingested_at;

-- Training takes the corrected value: of two rows of one time, the one created last wins.
SELECT * FROM get_historical_features(
    entities => (SELECT 1002::bigint AS customer_id, TIMESTAMPTZ '2026-05-31 12:00:00+00' AS event_timestamp),
    features => ARRAY['customer_features:total_orders']
);

-- But on 31 May nobody knew that yet. To see what a model in production saw, ask for the knowledge of that time.
SELECT * FROM get_historical_features(
    entities => (SELECT 1002::bigint AS customer_id, TIMESTAMPTZ '2026-05-31 12:00:00+00' AS event_timestamp),
    features => ARRAY['customer_features:total_orders'],
    filter_by_created_timestamp => true
);

-- A batch prediction: the latest features, as of one time for all rows (now, if none is given).
SELECT * FROM get_latest_features(
    entities => (SELECT unnest(ARRAY[1001, 1002, 1003, 4711]::bigint[]) AS customer_id),
    features => ARRAY['customer_features:*'],
    as_of => TIMESTAMPTZ '2026-07-01 00:00:00+00'
) ORDER BY customer_id;

-- They are relations like any other: the whole training set, aggregated.
SELECT churned, count(*) AS labels, round(avg(days_since_last_order), 1) AS days_since_last_order, count(total_orders) AS known
FROM get_historical_features(
    entities => (SELECT customer_id, event_timestamp, churned FROM iceberg.gold.labels),
    features => ARRAY['customer_features:total_orders', 'customer_features:days_since_last_order']
)
GROUP BY churned ORDER BY churned;

-- What was registered can be written down again.
SHOW CREATE FEATURE VIEW customer_features;

-- What the registry knows is a table, too.
SELECT name, source, timestamp_column, ttl, row_count, file_count FROM feature_store.feature_views ORDER BY name;
