-- Histograms of a day that is over, as cells have them: `bucket:calls …`. For percentiles of long spans.
CREATE TABLE usage_day_latencies (
    series BYTEA NOT NULL,
    day BIGINT NOT NULL,
    latency TEXT NOT NULL,
    PRIMARY KEY (series, day)
);
-- Days that were rolled up before are done again: one stale hour makes its day anew.
INSERT INTO usage_stale_hours (edge_boot_id, hour)
    SELECT DISTINCT s.edge_boot_id, d.day * 24
    FROM usage_series s JOIN usage_days d ON d.series = s.series
    WHERE NOT EXISTS (SELECT 1 FROM usage_stale_hours x
        WHERE x.edge_boot_id = s.edge_boot_id AND x.hour = d.day * 24);
