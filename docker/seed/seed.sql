-- The sample tables of docker-compose.yml, made once. Values follow from the id alone, so that a test can compute what it expects:
--   total_orders = id % 97 + 1, avg_order_value = (id % 1000) / 4, updated_at = 2026-01-01 UTC + (id % 3000) hours;
--   customers 101 to 600 (123 and 456 among them) have a second row, 125 days later, with total_orders and avg_order_value one more.
CREATE SCHEMA IF NOT EXISTS iceberg.gold;

CREATE TABLE IF NOT EXISTS iceberg.gold.customer_aggregates AS
SELECT
    id AS customer_id,
    id % 97 + 1 + round AS total_orders,
    (id % 1000) / 4e0 + round AS avg_order_value,
    TIMESTAMP '2026-01-01 00:00:00.000000 UTC' + (id % 3000) * INTERVAL '1' HOUR + round * INTERVAL '125' DAY AS updated_at
FROM UNNEST(sequence(1, 5000)) AS t(id)
CROSS JOIN UNNEST(ARRAY[BIGINT '0', BIGINT '1']) AS r(round)
WHERE round = 0 OR id BETWEEN 101 AND 600;

-- For each customer one time before its first row (no feature then), one after it, one after the second.
CREATE TABLE IF NOT EXISTS iceberg.gold.labels AS
SELECT
    id AS customer_id,
    TIMESTAMP '2026-01-01 00:00:00.000000 UTC' + (id % 3000) * INTERVAL '1' HOUR + shift * INTERVAL '1' DAY AS event_timestamp,
    (id + shift) % 5 = 0 AS churned
FROM UNNEST(sequence(100, 600)) AS t(id)
CROSS JOIN UNNEST(ARRAY[-1, 1, 126]) AS s(shift);
