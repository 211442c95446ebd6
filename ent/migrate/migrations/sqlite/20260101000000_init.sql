-- Create "accounts" table
CREATE TABLE `accounts` (
  `id` integer NOT NULL,
  `mode` integer NOT NULL,
  `currency` text NOT NULL,
  `owner_kind` text NOT NULL,
  `owner_id` uuid NOT NULL,
  `kind` text NOT NULL,
  `balance_minor` integer NOT NULL DEFAULT (0),
  `held_minor` integer NOT NULL DEFAULT (0),
  `floor_minor` integer NOT NULL DEFAULT (0),
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `accounts_floor_kept` CHECK (balance_minor - held_minor >= floor_minor),
  CONSTRAINT `accounts_held_counted` CHECK (held_minor >= 0),
  CONSTRAINT `accounts_id_names_mode` CHECK (((id >> 10) & 1048575) = mode)
);
-- Create index "account_owner_id_kind_currency_mode" to table: "accounts"
CREATE UNIQUE INDEX `account_owner_id_kind_currency_mode` ON `accounts` (`owner_id`, `kind`, `currency`, `mode`);
-- Create "audit_entries" table
CREATE TABLE `audit_entries` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `actor` text NOT NULL,
  `action` text NOT NULL,
  `subject_id` uuid NOT NULL,
  `detail` json NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "auditentry_subject_id_id" to table: "audit_entries"
CREATE INDEX `auditentry_subject_id_id` ON `audit_entries` (`subject_id`, `id`);
-- Create index "auditentry_created_at" to table: "audit_entries"
CREATE INDEX `auditentry_created_at` ON `audit_entries` (`created_at`);
-- Create "contacts" table
CREATE TABLE `contacts` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `user_id` uuid NOT NULL,
  `contact_id` uuid NOT NULL,
  `blocked` bool NOT NULL DEFAULT (false),
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "contact_user_id_contact_id" to table: "contacts"
CREATE UNIQUE INDEX `contact_user_id_contact_id` ON `contacts` (`user_id`, `contact_id`);
-- Create index "contact_contact_id" to table: "contacts"
CREATE INDEX `contact_contact_id` ON `contacts` (`contact_id`);
-- Create "conversations" table
CREATE TABLE `conversations` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `issuer` text NOT NULL,
  `external_id` text NOT NULL,
  `title` text NOT NULL,
  `last_seq` integer NOT NULL DEFAULT (0),
  `removed_at` datetime NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "conversation_mode_issuer_external_id" to table: "conversations"
CREATE UNIQUE INDEX `conversation_mode_issuer_external_id` ON `conversations` (`mode`, `issuer`, `external_id`);
-- Create "counters" table
CREATE TABLE `counters` (
  `id` text NOT NULL,
  `value` integer NOT NULL DEFAULT (0),
  PRIMARY KEY (`id`)
);
-- Create "devices" table
CREATE TABLE `devices` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `name` text NOT NULL,
  `public_key` json NOT NULL,
  `thumbprint` text NOT NULL,
  `revoked_at` datetime NULL,
  `created_at` datetime NOT NULL,
  `user_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `devices_users_devices` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE NO ACTION
);
-- Create index "device_user_id_thumbprint" to table: "devices"
CREATE UNIQUE INDEX `device_user_id_thumbprint` ON `devices` (`user_id`, `thumbprint`);
-- Create "feeds" table
CREATE TABLE `feeds` (
  `id` uuid NOT NULL,
  `last_seq` integer NOT NULL DEFAULT (0),
  `pruned_seq` integer NOT NULL DEFAULT (0),
  PRIMARY KEY (`id`)
);
-- Create "feed_entries" table
CREATE TABLE `feed_entries` (
  `id` uuid NOT NULL,
  `user_id` uuid NOT NULL,
  `seq` integer NOT NULL,
  `kind` text NOT NULL,
  `subject_id` uuid NOT NULL,
  `version` integer NOT NULL DEFAULT (0),
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "feedentry_user_id_seq" to table: "feed_entries"
CREATE UNIQUE INDEX `feedentry_user_id_seq` ON `feed_entries` (`user_id`, `seq`);
-- Create index "feedentry_user_id_subject_id_version" to table: "feed_entries"
CREATE UNIQUE INDEX `feedentry_user_id_subject_id_version` ON `feed_entries` (`user_id`, `subject_id`, `version`);
-- Create index "feedentry_created_at" to table: "feed_entries"
CREATE INDEX `feedentry_created_at` ON `feed_entries` (`created_at`);
-- Create "funding_sources" table
CREATE TABLE `funding_sources` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `kind` text NOT NULL,
  `label` text NOT NULL,
  `currency` text NOT NULL,
  `account_id` integer NULL,
  `rail` text NULL,
  `rail_token` blob NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `created_at` datetime NOT NULL,
  `user_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `funding_sources_users_funding_sources` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE NO ACTION
);
-- Create index "fundingsource_user_id_id" to table: "funding_sources"
CREATE INDEX `fundingsource_user_id_id` ON `funding_sources` (`user_id`, `id`);
-- Create "funding_transfers" table
CREATE TABLE `funding_transfers` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `user_id` uuid NOT NULL,
  `source_id` uuid NOT NULL,
  `direction` text NOT NULL,
  `account_id` integer NOT NULL,
  `amount_minor` integer NOT NULL,
  `currency` text NOT NULL,
  `state` text NOT NULL DEFAULT ('PENDING'),
  `rail` text NOT NULL,
  `rail_reference` text NULL,
  `failure_code` text NULL,
  `hold_id` uuid NULL,
  `top_up_id` uuid NULL,
  `returned_minor` integer NOT NULL DEFAULT (0),
  `check_at` datetime NULL,
  `check_count` integer NOT NULL DEFAULT (0),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `funding_amount_positive` CHECK (amount_minor > 0),
  CONSTRAINT `funding_returned_within` CHECK (returned_minor >= 0 AND returned_minor <= amount_minor)
);
-- Create index "fundingtransfer_user_id_id" to table: "funding_transfers"
CREATE INDEX `fundingtransfer_user_id_id` ON `funding_transfers` (`user_id`, `id`);
-- Create index "fundingtransfer_rail_rail_reference" to table: "funding_transfers"
CREATE INDEX `fundingtransfer_rail_rail_reference` ON `funding_transfers` (`rail`, `rail_reference`);
-- Create index "fundingtransfer_check_at" to table: "funding_transfers"
CREATE INDEX `fundingtransfer_check_at` ON `funding_transfers` (`check_at`) WHERE check_at IS NOT NULL;
-- Create "holds" table
CREATE TABLE `holds` (
  `id` uuid NOT NULL,
  `account_id` integer NOT NULL,
  `amount_minor` integer NOT NULL,
  `captured_minor` integer NOT NULL DEFAULT (0),
  `state` text NOT NULL DEFAULT ('HELD'),
  `subject_id` uuid NOT NULL,
  `expires_at` datetime NOT NULL,
  `created_at` datetime NOT NULL,
  `ended_at` datetime NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `holds_amount_positive` CHECK (amount_minor > 0),
  CONSTRAINT `holds_captured_within` CHECK (captured_minor >= 0 AND captured_minor <= amount_minor)
);
-- Create index "hold_account_id" to table: "holds"
CREATE INDEX `hold_account_id` ON `holds` (`account_id`) WHERE state = 'HELD';
-- Create "idempotency_keys" table
CREATE TABLE `idempotency_keys` (
  `id` uuid NOT NULL,
  `request_hash` blob NOT NULL,
  `result` blob NOT NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create "members" table
CREATE TABLE `members` (
  `id` uuid NOT NULL,
  `user_id` uuid NOT NULL,
  `created_at` datetime NOT NULL,
  `conversation_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `members_conversations_members` FOREIGN KEY (`conversation_id`) REFERENCES `conversations` (`id`) ON DELETE NO ACTION
);
-- Create index "member_conversation_id_user_id" to table: "members"
CREATE UNIQUE INDEX `member_conversation_id_user_id` ON `members` (`conversation_id`, `user_id`);
-- Create index "member_user_id" to table: "members"
CREATE INDEX `member_user_id` ON `members` (`user_id`);
-- Create "merchants" table
CREATE TABLE `merchants` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `name` text NOT NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `endpoint_url` text NOT NULL,
  `jwks_url` text NULL,
  `jwks` json NULL,
  `jwks_fetched_at` datetime NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create "messages" table
CREATE TABLE `messages` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `conversation_id` uuid NOT NULL,
  `seq` integer NOT NULL,
  `sender_id` uuid NULL,
  `only_for_id` uuid NULL,
  `text` text NOT NULL,
  `card_type` text NOT NULL DEFAULT ('NONE'),
  `card` json NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "message_conversation_id_seq" to table: "messages"
CREATE UNIQUE INDEX `message_conversation_id_seq` ON `messages` (`conversation_id`, `seq`);
-- Create index "message_sender_id_conversation_id_seq" to table: "messages"
CREATE INDEX `message_sender_id_conversation_id_seq` ON `messages` (`sender_id`, `conversation_id`, `seq`);
-- Create index "message_only_for_id" to table: "messages"
CREATE INDEX `message_only_for_id` ON `messages` (`only_for_id`) WHERE only_for_id IS NOT NULL;
-- Create "orders" table
CREATE TABLE `orders` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `buyer_id` uuid NOT NULL,
  `merchant_id` uuid NOT NULL,
  `product_id` uuid NOT NULL,
  `conversation_id` uuid NULL,
  `sku` text NOT NULL,
  `name` text NOT NULL,
  `quantity` integer NOT NULL,
  `unit_minor` integer NOT NULL,
  `total_minor` integer NOT NULL,
  `refunded_minor` integer NOT NULL DEFAULT (0),
  `currency` text NOT NULL,
  `state` text NOT NULL,
  `stock_counted` bool NOT NULL,
  `account_id` integer NOT NULL,
  `merchant_account_id` integer NOT NULL,
  `hold_id` uuid NULL,
  `reference` text NULL,
  `decline_reason` text NULL,
  `confirm_by` datetime NULL,
  `forward_at` datetime NULL,
  `forward_count` integer NOT NULL DEFAULT (0),
  `version` integer NOT NULL DEFAULT (1),
  `timeline` json NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `orders_refunded` CHECK (refunded_minor >= 0 AND refunded_minor <= total_minor),
  CONSTRAINT `orders_total` CHECK (total_minor > 0 AND quantity > 0)
);
-- Create index "order_buyer_id_id" to table: "orders"
CREATE INDEX `order_buyer_id_id` ON `orders` (`buyer_id`, `id`);
-- Create index "order_merchant_id_id" to table: "orders"
CREATE INDEX `order_merchant_id_id` ON `orders` (`merchant_id`, `id`);
-- Create index "order_confirm_by" to table: "orders"
CREATE INDEX `order_confirm_by` ON `orders` (`confirm_by`) WHERE state = 'AUTHORISED';
-- Create index "order_forward_at" to table: "orders"
CREATE INDEX `order_forward_at` ON `orders` (`forward_at`) WHERE state = 'AUTHORISED';
-- Create "outbox_events" table
CREATE TABLE `outbox_events` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `topic` text NOT NULL,
  `subject_id` uuid NOT NULL,
  `payload` json NOT NULL,
  `state` text NOT NULL DEFAULT ('NEW'),
  `attempts` integer NOT NULL DEFAULT (0),
  `due_at` datetime NOT NULL,
  `last_error` text NULL,
  `created_at` datetime NOT NULL,
  `done_at` datetime NULL,
  PRIMARY KEY (`id`)
);
-- Create index "outboxevent_due_at" to table: "outbox_events"
CREATE INDEX `outboxevent_due_at` ON `outbox_events` (`due_at`) WHERE state = 'NEW' OR state = 'SENT';
-- Create index "outboxevent_done_at" to table: "outbox_events"
CREATE INDEX `outboxevent_done_at` ON `outbox_events` (`done_at`) WHERE state = 'DONE';
-- Create "products" table
CREATE TABLE `products` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `sku` text NOT NULL,
  `name` text NOT NULL,
  `description` text NOT NULL DEFAULT (''),
  `price_minor` integer NOT NULL,
  `currency` text NOT NULL,
  `stock_count` integer NULL,
  `status` text NOT NULL DEFAULT ('OFFERED'),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `merchant_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `products_merchants_products` FOREIGN KEY (`merchant_id`) REFERENCES `merchants` (`id`) ON DELETE NO ACTION,
  CONSTRAINT `products_price_positive` CHECK (price_minor > 0),
  CONSTRAINT `products_stock_counted` CHECK (stock_count >= 0)
);
-- Create index "product_merchant_id_sku" to table: "products"
CREATE UNIQUE INDEX `product_merchant_id_sku` ON `products` (`merchant_id`, `sku`);
-- Create index "product_merchant_id_id" to table: "products"
CREATE INDEX `product_merchant_id_id` ON `products` (`merchant_id`, `id`);
-- Create "refunds" table
CREATE TABLE `refunds` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `order_id` uuid NOT NULL,
  `transfer_id` uuid NOT NULL,
  `amount_minor` integer NOT NULL,
  `currency` text NOT NULL,
  `reason` text NOT NULL DEFAULT (''),
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `refunds_amount_positive` CHECK (amount_minor > 0)
);
-- Create index "refund_order_id_id" to table: "refunds"
CREATE INDEX `refund_order_id_id` ON `refunds` (`order_id`, `id`);
-- Create "revoked_tokens" table
CREATE TABLE `revoked_tokens` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `expires_at` datetime NOT NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "revokedtoken_expires_at" to table: "revoked_tokens"
CREATE INDEX `revokedtoken_expires_at` ON `revoked_tokens` (`expires_at`);
-- Create "sandboxes" table
CREATE TABLE `sandboxes` (
  `id` integer NOT NULL,
  `name` text NOT NULL,
  `ahead_us` integer NOT NULL DEFAULT (0),
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create "signing_keys" table
CREATE TABLE `signing_keys` (
  `id` uuid NOT NULL,
  `kid` text NOT NULL,
  `purpose` text NOT NULL,
  `public` json NOT NULL,
  `private` blob NOT NULL,
  `created_at` datetime NOT NULL,
  `use_from` datetime NOT NULL,
  `retire_at` datetime NULL,
  PRIMARY KEY (`id`)
);
-- Create index "signing_keys_kid_key" to table: "signing_keys"
CREATE UNIQUE INDEX `signing_keys_kid_key` ON `signing_keys` (`kid`);
-- Create index "signingkey_purpose_created_at" to table: "signing_keys"
CREATE INDEX `signingkey_purpose_created_at` ON `signing_keys` (`purpose`, `created_at`);
-- Create "transfers" table
CREATE TABLE `transfers` (
  `id` uuid NOT NULL,
  `debit_account_id` integer NOT NULL,
  `credit_account_id` integer NOT NULL,
  `amount_minor` integer NOT NULL,
  `kind` text NOT NULL,
  `subject_id` uuid NOT NULL,
  `reverses_id` uuid NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `transfers_amount_positive` CHECK (amount_minor > 0),
  CONSTRAINT `transfers_one_mode_one_currency` CHECK ((debit_account_id & 1073741823) = (credit_account_id & 1073741823)),
  CONSTRAINT `transfers_two_accounts` CHECK (debit_account_id <> credit_account_id)
);
-- Create index "transfer_debit_account_id_id" to table: "transfers"
CREATE INDEX `transfer_debit_account_id_id` ON `transfers` (`debit_account_id`, `id`);
-- Create index "transfer_credit_account_id_id" to table: "transfers"
CREATE INDEX `transfer_credit_account_id_id` ON `transfers` (`credit_account_id`, `id`);
-- Create "users" table
CREATE TABLE `users` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `issuer` text NOT NULL,
  `external_id` text NOT NULL,
  `display_name` text NOT NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `tokens_valid_after` datetime NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "user_mode_issuer_external_id" to table: "users"
CREATE UNIQUE INDEX `user_mode_issuer_external_id` ON `users` (`mode`, `issuer`, `external_id`);
-- Create "webhook_attempts" table
CREATE TABLE `webhook_attempts` (
  `id` uuid NOT NULL,
  `status` integer NULL,
  `error` text NULL,
  `duration_ms` integer NOT NULL,
  `created_at` datetime NOT NULL,
  `delivery_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `webhook_attempts_webhook_deliveries_attempts` FOREIGN KEY (`delivery_id`) REFERENCES `webhook_deliveries` (`id`) ON DELETE NO ACTION
);
-- Create index "webhookattempt_delivery_id_id" to table: "webhook_attempts"
CREATE INDEX `webhookattempt_delivery_id_id` ON `webhook_attempts` (`delivery_id`, `id`);
-- Create "webhook_deliveries" table
CREATE TABLE `webhook_deliveries` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `event_id` uuid NOT NULL,
  `event_type` text NOT NULL,
  `payload` blob NOT NULL,
  `state` text NOT NULL DEFAULT ('PENDING'),
  `attempt_count` integer NOT NULL DEFAULT (0),
  `next_attempt_at` datetime NULL,
  `last_status` integer NULL,
  `last_error` text NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `endpoint_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `webhook_deliveries_webhook_endpoints_deliveries` FOREIGN KEY (`endpoint_id`) REFERENCES `webhook_endpoints` (`id`) ON DELETE NO ACTION
);
-- Create index "webhookdelivery_endpoint_id_event_id" to table: "webhook_deliveries"
CREATE UNIQUE INDEX `webhookdelivery_endpoint_id_event_id` ON `webhook_deliveries` (`endpoint_id`, `event_id`);
-- Create index "webhookdelivery_endpoint_id_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_endpoint_id_id` ON `webhook_deliveries` (`endpoint_id`, `id`);
-- Create index "webhookdelivery_next_attempt_at" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_next_attempt_at` ON `webhook_deliveries` (`next_attempt_at`) WHERE state = 'PENDING';
-- Create "webhook_endpoints" table
CREATE TABLE `webhook_endpoints` (
  `id` uuid NOT NULL,
  `mode` integer NOT NULL,
  `owner_id` uuid NOT NULL,
  `url` text NOT NULL,
  `event_types` json NOT NULL,
  `secret` blob NOT NULL,
  `previous_secret` blob NULL,
  `previous_until` datetime NULL,
  `status` text NOT NULL DEFAULT ('ENABLED'),
  `disabled_reason` text NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- Create index "webhookendpoint_owner_id_id" to table: "webhook_endpoints"
CREATE INDEX `webhookendpoint_owner_id_id` ON `webhook_endpoints` (`owner_id`, `id`);
