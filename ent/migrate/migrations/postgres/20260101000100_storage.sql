-- PostgreSQL writes a new version of a row for every change. Room left on the
-- page lets the new version stay beside the old one, without touching an index
-- (a "HOT update") where no indexed column changed, and be cleaned up by the next
-- reader. The default of 100 % leaves none.
ALTER TABLE "accounts" SET (fillfactor = 60);
ALTER TABLE "orders" SET (fillfactor = 85);
ALTER TABLE "outbox_events" SET (fillfactor = 80);
-- The default waits until a fifth of a table is dead. These change with every
-- payment: vacuum them early and often, a little at a time.
ALTER TABLE "accounts" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "holds" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "orders" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "outbox_events" SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05);
