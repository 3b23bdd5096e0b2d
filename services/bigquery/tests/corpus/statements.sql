SELECT 1
----
SELECT order_id, total FROM shop.orders WHERE total > 100.5
----
SELECT * FROM `acme-analytics.shop.orders` LIMIT 10
----
SELECT * EXCEPT (secret) FROM shop.orders
----
SELECT * REPLACE (total / 2 AS total) FROM shop.orders
----
SELECT DISTINCT country FROM shop.orders ORDER BY country DESC NULLS LAST
----
SELECT AS STRUCT 1 AS a, 'b' AS b
----
SELECT AS VALUE STRUCT(1 AS a, 2 AS b)
----
SELECT 'it\'s', "it's", '''it's''', """say "hi" """
----
SELECT r'\d+\s', R"a\b", rb'\x00', BR"\n", b'abc', B"""x"""
----
SELECT r'''raw 'quoted' text''', rb"""bytes "here" \ """
----
SELECT '\x41\u00e9\U0001F600\101\n\t\\'
----
SELECT 'a' || 'b' || CAST(1 AS STRING)
----
SELECT -- a remark, isn't it
 1
----
SELECT # another remark
 1
----
SELECT /* a 'quoted' remark -- with dashes */ 1
----
SELECT 1 -- last remark
----
SELECT 1 # last remark
----
SELECT 5 - -3, 5--3
, 2
----
SELECT @@project_id, @@time_zone
----
SELECT @name, @limit_2
----
SELECT * FROM shop.orders WHERE id = ?
----
SELECT [1, 2, 3][OFFSET(0)], ARRAY<INT64>[1, 2][ORDINAL(1)], [1][SAFE_OFFSET(9)]
----
SELECT ARRAY(SELECT x FROM UNNEST([1, 2, 3]) AS x WHERE x > 1)
----
SELECT STRUCT(1 AS a, 'x' AS b).a
----
SELECT STRUCT<a INT64, b ARRAY<STRING>>(1, ['x'])
----
SELECT ARRAY<STRUCT<a INT64, b STRING>>[(1, 'a'), (2, 'b')]
----
SELECT DATE '2026-03-01', TIMESTAMP '2026-03-01 06:30:00+01:00', DATETIME '2026-03-01T00:00:00', TIME '06:30:00'
----
SELECT NUMERIC '1.23', BIGNUMERIC '1e10', JSON '{"a": "it\'s"}'
----
SELECT INTERVAL 5 DAY, INTERVAL '1-2' YEAR TO MONTH
----
SELECT RANGE<DATE> '[2026-01-01, 2026-02-01)'
----
SELECT DATE_ADD(CURRENT_DATE(), INTERVAL -1 MONTH)
----
SELECT EXTRACT(YEAR FROM ts AT TIME ZONE 'Europe/Berlin') FROM shop.orders
----
SELECT FORMAT('%T is %d%%', name, 5) FROM shop.people
----
SELECT FORMAT_TIMESTAMP('%Y-%m-%d', CURRENT_TIMESTAMP())
----
SELECT PARSE_DATE('%d.%m.%Y', '01.03.2026')
----
SELECT REGEXP_EXTRACT(url, r'^https?://([^/]+)/') FROM web.hits
----
SELECT REGEXP_REPLACE(name, r'(\w+) (\w+)', r'\2, \1') FROM shop.people
----
SELECT REGEXP_CONTAINS(mail, r"@example\.(com|org)$") FROM shop.people
----
SELECT JSON_VALUE(payload, '$.user.name'), JSON_QUERY(payload, '$["odd key"]') FROM web.events
----
SELECT payload.user.name, payload['key'][0] FROM web.events
----
SELECT IF(a > b, 'more', 'less'), IFNULL(a, 0), NULLIF(a, 0), COALESCE(a, b) FROM t
----
SELECT CASE WHEN a IS NULL THEN 'none' WHEN a < 0 THEN 'neg' ELSE 'pos' END FROM t
----
SELECT CASE a WHEN 1 THEN 'one' ELSE 'many' END AS `case` FROM t
----
SELECT a IS NOT DISTINCT FROM b, a IS TRUE, NOT a FROM t
----
SELECT a IN (1, 2), b NOT IN UNNEST([1, 2]), c BETWEEN 1 AND 2 FROM t
----
SELECT name LIKE 'A%', name NOT LIKE '%\\_x', name LIKE ANY ('a%', 'b%') FROM t
----
SELECT a << 2, a >> 1, a & 1, a | 2, a ^ 3, ~a FROM t
----
SELECT 1e10, .5, 5., 0xFF, 1E-3
----
SELECT COUNT(*), COUNT(DISTINCT id), SUM(total) FROM shop.orders GROUP BY country HAVING COUNT(*) > 1
----
SELECT country, SUM(total) FROM shop.orders GROUP BY ROLLUP (country)
----
SELECT a, b, COUNT(*) FROM t GROUP BY GROUPING SETS ((a), (b), ())
----
SELECT country, SUM(total) FROM shop.orders GROUP BY ALL
----
SELECT STRING_AGG(name, ', ' ORDER BY name LIMIT 5), ARRAY_AGG(id IGNORE NULLS) FROM t
----
SELECT id, ROW_NUMBER() OVER (PARTITION BY country ORDER BY total DESC) AS rank FROM shop.orders
----
SELECT id, SUM(total) OVER (ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM shop.orders
----
SELECT id, AVG(total) OVER w FROM shop.orders WINDOW w AS (PARTITION BY country)
----
SELECT id FROM shop.orders QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) = 1
----
SELECT a.id, b.name FROM shop.orders AS a JOIN shop.people AS b ON a.person = b.id
----
SELECT a.id FROM a LEFT JOIN b USING (id) RIGHT JOIN c USING (id) FULL OUTER JOIN d USING (id) CROSS JOIN e
----
SELECT a.id, item FROM shop.orders AS a, a.items AS item WITH OFFSET AS position
----
SELECT x, y FROM UNNEST([STRUCT(1 AS x, 'a' AS y), (2, 'b')])
----
SELECT * FROM (SELECT 1 AS a UNION ALL SELECT 2) WHERE a > 1
----
SELECT 1 UNION DISTINCT SELECT 2 EXCEPT DISTINCT SELECT 3 INTERSECT DISTINCT SELECT 4
----
WITH recent AS (SELECT * FROM shop.orders WHERE ts > '2026-01-01') SELECT COUNT(*) FROM recent
----
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n
----
SELECT * FROM shop.orders FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)
----
SELECT * FROM shop.orders TABLESAMPLE SYSTEM (10 PERCENT)
----
SELECT * FROM `acme.web.hits_*` WHERE _TABLE_SUFFIX BETWEEN '20260101' AND '20260131'
----
SELECT * FROM shop.orders PIVOT (SUM(total) FOR quarter IN ('Q1' AS q1, 'Q2' AS q2))
----
SELECT * FROM shop.sales UNPIVOT (amount FOR quarter IN (q1 AS 'first', q2 AS 'second'))
----
SELECT * FROM shop.orders WHERE EXISTS (SELECT 1 FROM shop.people WHERE people.id = orders.person)
----
SELECT (SELECT MAX(total) FROM shop.orders) AS most
----
SELECT language, immediate, `begin`, `end` FROM books.editions
----
SELECT * FROM books.editions WHERE language = 'EXECUTE IMMEDIATE' -- language
----
FROM shop.orders |> WHERE total > 10 |> AGGREGATE SUM(total) AS total GROUP BY country |> ORDER BY total DESC
----
FROM shop.orders |> EXTEND total * 2 AS double |> SELECT id, double |> LIMIT 3
----
SELECT * FROM ML.PREDICT(MODEL shop.forecast, (SELECT * FROM shop.orders))
----
SELECT * FROM ML.FORECAST(MODEL shop.forecast, STRUCT(30 AS horizon, 0.8 AS confidence_level))
----
SELECT * FROM ML.GENERATE_TEXT(MODEL shop.llm, (SELECT 'Select a title' AS prompt), STRUCT(0.2 AS temperature))
----
SELECT * FROM VECTOR_SEARCH(TABLE shop.vectors, 'embedding', TABLE shop.queries, top_k => 5)
----
SELECT * FROM EXTERNAL_QUERY('acme.eu.conn', "SELECT id, name FROM users WHERE name = 'Ann'")
----
SELECT * FROM EXTERNAL_QUERY('acme.eu.conn', '''SELECT "id" FROM users''', '{"default_type_for_decimal_columns": "numeric"}')
----
SELECT SEARCH(message, '`error code` AND 42') FROM web.logs
----
SELECT NET.HOST('https://example.com/a//b#c'), NET.IP_FROM_STRING('10.0.0.1')
----
SELECT SAFE.SUBSTR('abc', -1), SAFE_CAST('x' AS INT64), SAFE_DIVIDE(1, 0)
----
SELECT KEYS.NEW_KEYSET('AEAD_AES_GCM_256')
----
SELECT AEAD.DECRYPT_STRING(k, data, 'extra') FROM t
----
SELECT ST_GEOGPOINT(13.4, 52.5), ST_GEOGFROMTEXT('POINT(1 2)')
----
SELECT APPROX_COUNT_DISTINCT(id), APPROX_QUANTILES(total, 4) FROM shop.orders
----
SELECT PERCENTILE_CONT(total, 0.5) OVER () FROM shop.orders
----
SELECT LAG(total, 1, 0) OVER (ORDER BY ts), LEAD(total) OVER (ORDER BY ts) FROM shop.orders
----
SELECT GENERATE_UUID(), SESSION_USER(), RAND()
----
SELECT GENERATE_ARRAY(1, 10, 2), GENERATE_DATE_ARRAY('2026-01-01', '2026-01-31', INTERVAL 1 WEEK)
----
SELECT TO_JSON_STRING(STRUCT('a' AS "b"))
----
SELECT TO_HEX(MD5('text')), TO_BASE64(b'\x00'), FARM_FINGERPRINT('x')
----
SELECT NORMALIZE('é', NFKC), COLLATE('a', 'und:ci')
----
SELECT SPLIT('a,b', ','), ARRAY_TO_STRING(['a', 'b'], '--')
----
SELECT DATE_TRUNC(day, WEEK(MONDAY)), TIMESTAMP_TRUNC(ts, HOUR, 'UTC') FROM t
----
SELECT TIMESTAMP_MILLIS(0), UNIX_SECONDS(ts), DATETIME(ts, 'Asia/Tokyo') FROM t
----
SELECT ERROR(CONCAT('bad row: ', name)) FROM t
----
SELECT * FROM shop.INFORMATION_SCHEMA.TABLES WHERE table_name = 'orders'
----
SELECT * FROM `region-eu`.INFORMATION_SCHEMA.JOBS_BY_PROJECT WHERE job_type = 'QUERY'
----
SELECT * FROM APPENDS(TABLE shop.orders, NULL, NULL)
----
SELECT * FROM GRAPH_TABLE(shop.g MATCH (a:Person)-[e:Owns]->(b:Account) RETURN a.name, b.id)
----
SELECT * FROM GAP_FILL(TABLE shop.prices, ts_column => 'ts', bucket_width => INTERVAL 1 MINUTE)
----
SELECT a.`odd name`, `a`.b FROM `acme`.`shop`.`orders` AS a
----
SELECT 'tab\there', "double \"inner\"", 'back\\slash'
----
SELECT '-- no remark', '/* none */', '# none', "//"
----
SELECT ';', 'a;b' ;
----
SELECT '{{ not a placeholder }}', '{% raw %}', '%(name)s', ':name'
----
SELECT '@x', r'@y', `@z` FROM t
----
SELECT a AS `select` FROM t AS `from`
----
SELECT x -> x + 1
----
SELECT ARRAY_FILTER([1, 2], e -> e > 1)
----
INSERT INTO shop.orders (id, total) VALUES (1, 9.99), (2, 19.99)
----
INSERT shop.orders (id) SELECT id FROM shop.staging
----
INSERT INTO shop.orders (id, tags) VALUES (3, ['a', 'b'])
----
INSERT INTO shop.notes (body) VALUES ('SELECT * FROM t WHERE a = 1')
----
UPDATE shop.orders SET paid = TRUE WHERE id = 1
----
UPDATE shop.orders SET a.b = 1, c = DEFAULT WHERE TRUE
----
UPDATE shop.orders o SET o.name = p.name FROM shop.people p WHERE o.person = p.id
----
DELETE FROM shop.orders WHERE ts < '2025-01-01'
----
DELETE shop.orders WHERE TRUE
----
TRUNCATE TABLE shop.staging
----
MERGE shop.orders t USING shop.staging s ON t.id = s.id WHEN MATCHED THEN UPDATE SET total = s.total WHEN NOT MATCHED THEN INSERT (id, total) VALUES (id, total)
----
MERGE INTO shop.orders t USING s ON FALSE WHEN NOT MATCHED BY SOURCE THEN DELETE
----
CREATE TABLE shop.orders (id INT64 NOT NULL, total NUMERIC(10, 2), tags ARRAY<STRING>, PRIMARY KEY (id) NOT ENFORCED)
----
CREATE OR REPLACE TABLE shop.daily PARTITION BY DATE(ts) CLUSTER BY country OPTIONS (description = 'Select rows', expiration_timestamp = TIMESTAMP '2027-01-01') AS SELECT * FROM shop.orders
----
CREATE TABLE IF NOT EXISTS shop.t (a STRING(10) OPTIONS (description = "it's a column") DEFAULT 'x', b STRING COLLATE 'und:ci')
----
CREATE TEMP TABLE t AS SELECT 1 AS a
----
CREATE TABLE shop.copy LIKE shop.orders
----
CREATE TABLE shop.copy COPY shop.orders
----
CREATE SNAPSHOT TABLE shop.snap CLONE shop.orders OPTIONS (friendly_name = 'a snapshot')
----
CREATE TABLE shop.clone CLONE shop.orders FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()
----
CREATE EXTERNAL TABLE shop.files OPTIONS (format = 'CSV', uris = ['gs://bucket/a*.csv'], field_delimiter = ';', quote = '"')
----
CREATE EXTERNAL TABLE shop.lake WITH PARTITION COLUMNS (day DATE) WITH CONNECTION `acme.eu.conn` OPTIONS (format = 'PARQUET', uris = ['gs://b/*'])
----
CREATE VIEW shop.v AS SELECT id FROM shop.orders
----
CREATE OR REPLACE VIEW shop.v (id OPTIONS (description = 'key')) OPTIONS (labels = [('team', 'a')]) AS SELECT id FROM shop.orders
----
CREATE MATERIALIZED VIEW shop.mv OPTIONS (enable_refresh = TRUE) AS SELECT country, COUNT(*) AS n FROM shop.orders GROUP BY country
----
CREATE SCHEMA IF NOT EXISTS shop OPTIONS (location = 'EU', default_table_expiration_days = 3.75)
----
CREATE FUNCTION shop.double(x INT64) RETURNS INT64 AS (x * 2)
----
CREATE TEMP FUNCTION greet(name STRING) AS (CONCAT('Hello, ', name, '!'))
----
CREATE TEMP FUNCTION mul(x FLOAT64, y FLOAT64) RETURNS FLOAT64 LANGUAGE js AS r"""
  return x * y; // it's a product
"""
----
CREATE FUNCTION shop.js(x STRING) RETURNS STRING DETERMINISTIC LANGUAGE js OPTIONS (library = ['gs://b/lib.js']) AS 'return x + "\'";'
----
CREATE FUNCTION shop.py(x FLOAT64) RETURNS FLOAT64 LANGUAGE python OPTIONS (runtime_version = "python-3.11", entry_point = "f") AS r'''
def f(x):
  return x  # it is
'''
----
CREATE FUNCTION shop.remote(x STRING) RETURNS STRING REMOTE WITH CONNECTION `acme.eu.c` OPTIONS (endpoint = 'https://f.example.com/x')
----
CREATE AGGREGATE FUNCTION shop.total(x FLOAT64) RETURNS FLOAT64 AS (SUM(x))
----
CREATE TABLE FUNCTION shop.of_year(y INT64) AS SELECT * FROM shop.orders WHERE EXTRACT(YEAR FROM ts) = y
----
CREATE PROCEDURE shop.clean(days INT64) BEGIN DELETE FROM shop.logs WHERE age > days; END
----
CREATE OR REPLACE PROCEDURE shop.p(IN a INT64, OUT b INT64) BEGIN SET b = a + 1; END
----
CREATE PROCEDURE shop.spark() WITH CONNECTION `acme.eu.c` OPTIONS (engine = 'SPARK') LANGUAGE PYTHON AS R"""
print('hi')
"""
----
CREATE ROW ACCESS POLICY mine ON shop.orders GRANT TO ('user:ann@example.com', 'group:eu@example.com') FILTER USING (country = 'DE')
----
CREATE MODEL shop.m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['total']) AS SELECT * FROM shop.orders
----
CREATE SEARCH INDEX i ON web.logs (ALL COLUMNS) OPTIONS (analyzer = 'LOG_ANALYZER')
----
CREATE VECTOR INDEX i ON shop.vectors (embedding) OPTIONS (index_type = 'IVF', distance_type = 'COSINE')
----
CREATE CAPACITY `acme.region-eu.c` OPTIONS (slot_count = 100, plan = 'FLEX')
----
CREATE RESERVATION `acme.region-eu.prod` OPTIONS (slot_capacity = 100)
----
CREATE ASSIGNMENT `acme.region-eu.prod.a` OPTIONS (assignee = 'projects/shop', job_type = 'QUERY')
----
ALTER TABLE shop.orders ADD COLUMN note STRING, ADD COLUMN n INT64
----
ALTER TABLE shop.orders DROP COLUMN IF EXISTS note
----
ALTER TABLE shop.orders RENAME TO purchases
----
ALTER TABLE shop.orders ALTER COLUMN total SET DATA TYPE NUMERIC
----
ALTER TABLE shop.orders SET OPTIONS (description = 'all "orders"', labels = [('a', 'b')])
----
ALTER TABLE shop.orders ADD CONSTRAINT k FOREIGN KEY (person) REFERENCES shop.people (id) NOT ENFORCED
----
ALTER VIEW shop.v SET OPTIONS (friendly_name = 'v')
----
ALTER SCHEMA shop SET DEFAULT COLLATE 'und:ci'
----
ALTER BI_CAPACITY `acme.region-eu.default` SET OPTIONS (size_gb = 250)
----
DROP TABLE IF EXISTS shop.staging
----
DROP VIEW shop.v
----
DROP SCHEMA shop CASCADE
----
DROP FUNCTION IF EXISTS shop.double
----
DROP ALL ROW ACCESS POLICIES ON shop.orders
----
UNDROP SCHEMA shop
----
GRANT `roles/bigquery.dataViewer` ON TABLE shop.orders TO 'user:ann@example.com', 'serviceAccount:a@b.iam'
----
REVOKE `roles/bigquery.admin` ON SCHEMA shop FROM "group:all@example.com"
----
EXPORT DATA OPTIONS (uri = 'gs://bucket/out-*.csv', format = 'CSV', overwrite = TRUE, header = TRUE) AS SELECT * FROM shop.orders
----
EXPORT MODEL shop.m OPTIONS (uri = 'gs://bucket/model')
----
LOAD DATA INTO shop.orders FROM FILES (format = 'PARQUET', uris = ['gs://bucket/*.parquet'])
----
LOAD DATA OVERWRITE shop.orders (id INT64) PARTITION BY day FROM FILES (format = 'CSV', skip_leading_rows = 1, uris = ['gs://b/*'])
----
ASSERT (SELECT COUNT(*) FROM shop.orders) > 0 AS 'orders must have rows'
----
DECLARE x INT64 DEFAULT 5;
SET x = x + 1;
SELECT x;
----
DECLARE a, b STRING;
SET (a, b) = ('x', 'y');
----
BEGIN TRANSACTION;
DELETE FROM shop.orders WHERE id = 1;
COMMIT TRANSACTION;
----
BEGIN
  SELECT 1 / 0;
EXCEPTION WHEN ERROR THEN
  SELECT @@error.message;
END;
----
IF EXISTS (SELECT 1 FROM shop.orders) THEN SELECT 'some'; ELSEIF TRUE THEN SELECT 'none'; ELSE SELECT 'what'; END IF;
----
LOOP SET x = x + 1; IF x > 9 THEN LEAVE; END IF; END LOOP;
----
WHILE x < 3 DO SET x = x + 1; CONTINUE; END WHILE;
----
REPEAT SET x = x + 1; UNTIL x > 3 END REPEAT;
----
FOR r IN (SELECT id FROM shop.orders) DO SELECT r.id; END FOR;
----
CASE WHEN x = 1 THEN SELECT 'one'; ELSE SELECT 'more'; END CASE;
----
label_1: BEGIN BREAK label_1; END label_1;
----
CALL shop.clean(30)
----
CALL BQ.REFRESH_MATERIALIZED_VIEW('acme.shop.mv')
----
EXECUTE IMMEDIATE 'SELECT 1'
----
EXECUTE IMMEDIATE "SELECT COUNT(*) FROM shop.orders WHERE id = ?" INTO n USING 5
----
EXECUTE IMMEDIATE 'SELECT @a * @b' USING 1 AS a, 2 AS b
----
EXECUTE IMMEDIATE CONCAT('CREATE TABLE shop.t_', suffix, ' (a INT64)')
----
EXECUTE IMMEDIATE FORMAT("""SELECT %s FROM shop.orders""", columns)
----
DECLARE s STRING DEFAULT 'SELECT 1'; EXECUTE IMMEDIATE s
----
RAISE USING MESSAGE = 'no orders'
----
RETURN
----
ROLLBACK TRANSACTION
----
SET @@dataset_id = 'shop'
----
SELECT 'Update the price', 'drop me a line', 'with love' FROM t
----
SELECT my.fn('select one'), my.fn("update")
----
SELECT 1 /* ends with a remark */
----
(SELECT 1) ORDER BY 1 LIMIT 1 OFFSET 2
----
((SELECT 1))
----
SELECT DISTINCT ON_time FROM shop.trains
----
SELECT CAST('1' AS INT64 FORMAT '999'), CAST(x AS BYTES FORMAT 'BASE64') FROM t
----
SELECT ARRAY_AGG(STRUCT(a, b) ORDER BY a DESC LIMIT 1)[OFFSET(0)].b FROM t
----
SELECT LAST_DAY(day, QUARTER), JUSTIFY_DAYS(INTERVAL 40 DAY)
----
SELECT 'multi\nline is an escape', '''
real
lines
'''
----
SELECT * FROM shop.orders WHERE (a, b) IN ((1, 2), (3, 4))
----
SELECT value FROM UNNEST(SPLIT('a|b', '|')) AS value
----
SELECT CURRENT_DATE, CURRENT_TIMESTAMP
