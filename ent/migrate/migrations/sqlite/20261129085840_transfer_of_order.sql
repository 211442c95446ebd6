-- Add column "transfer_id" to table: "funding_transfers"
ALTER TABLE `funding_transfers` ADD COLUMN `transfer_id` uuid NULL;
-- Add column "transfer_id" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `transfer_id` uuid NULL;
