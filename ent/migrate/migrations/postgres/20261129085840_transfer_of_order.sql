-- Modify "funding_transfers" table
ALTER TABLE "funding_transfers" ADD COLUMN "transfer_id" uuid NULL;
-- Modify "orders" table
ALTER TABLE "orders" ADD COLUMN "transfer_id" uuid NULL;
