-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_accounts" table
CREATE TABLE `new_accounts` (
  `id` integer NOT NULL,
  `mode` integer NOT NULL,
  `currency` text NOT NULL,
  `owner_kind` text NOT NULL,
  `owner_id` uuid NOT NULL,
  `kind` text NOT NULL,
  `balance_minor` integer NOT NULL DEFAULT (0),
  `held_minor` integer NOT NULL DEFAULT (0),
  `floor_minor` integer NOT NULL DEFAULT (0),
  `closed` bool NOT NULL DEFAULT (false),
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `accounts_floor_kept` CHECK (balance_minor - held_minor >= floor_minor),
  CONSTRAINT `accounts_held_counted` CHECK (held_minor >= 0),
  CONSTRAINT `accounts_id_names_mode` CHECK (((id >> 10) & 1048575) = mode)
);
-- Copy rows from old table "accounts" to new temporary table "new_accounts"
INSERT INTO `new_accounts` (`id`, `mode`, `currency`, `owner_kind`, `owner_id`, `kind`, `balance_minor`, `held_minor`, `floor_minor`, `created_at`) SELECT `id`, `mode`, `currency`, `owner_kind`, `owner_id`, `kind`, `balance_minor`, `held_minor`, `floor_minor`, `created_at` FROM `accounts`;
-- Drop "accounts" table after copying rows
DROP TABLE `accounts`;
-- Rename temporary table "new_accounts" to "accounts"
ALTER TABLE `new_accounts` RENAME TO `accounts`;
-- Create index "account_owner_id_kind_currency_mode" to table: "accounts"
CREATE UNIQUE INDEX `account_owner_id_kind_currency_mode` ON `accounts` (`owner_id`, `kind`, `currency`, `mode`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
