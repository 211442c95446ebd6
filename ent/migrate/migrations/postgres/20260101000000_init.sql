-- Create "refunds" table
CREATE TABLE "refunds" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "order_id" uuid NOT NULL,
  "transfer_id" uuid NOT NULL,
  "amount_minor" bigint NOT NULL,
  "currency" character varying(3) NOT NULL,
  "reason" character varying NOT NULL DEFAULT '',
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "refunds_amount_positive" CHECK (amount_minor > 0)
);
-- Create index "refund_order_id_id" to table: "refunds"
CREATE INDEX "refund_order_id_id" ON "refunds" ("order_id", "id");
-- Create "revoked_tokens" table
CREATE TABLE "revoked_tokens" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "expires_at" timestamptz NOT NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "revokedtoken_expires_at" to table: "revoked_tokens"
CREATE INDEX "revokedtoken_expires_at" ON "revoked_tokens" ("expires_at");
-- Create "contacts" table
CREATE TABLE "contacts" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "user_id" uuid NOT NULL,
  "contact_id" uuid NOT NULL,
  "blocked" boolean NOT NULL DEFAULT false,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "contact_contact_id" to table: "contacts"
CREATE INDEX "contact_contact_id" ON "contacts" ("contact_id");
-- Create index "contact_user_id_contact_id" to table: "contacts"
CREATE UNIQUE INDEX "contact_user_id_contact_id" ON "contacts" ("user_id", "contact_id");
-- Create "users" table
CREATE TABLE "users" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "issuer" character varying NOT NULL,
  "external_id" character varying NOT NULL,
  "display_name" character varying NOT NULL,
  "status" character varying NOT NULL DEFAULT 'ACTIVE',
  "tokens_valid_after" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "user_mode_issuer_external_id" to table: "users"
CREATE UNIQUE INDEX "user_mode_issuer_external_id" ON "users" ("mode", "issuer", "external_id");
-- Create "counters" table
CREATE TABLE "counters" (
  "id" character varying NOT NULL,
  "value" bigint NOT NULL DEFAULT 0,
  PRIMARY KEY ("id")
);
-- Create "transfers" table
CREATE TABLE "transfers" (
  "id" uuid NOT NULL,
  "debit_account_id" bigint NOT NULL,
  "credit_account_id" bigint NOT NULL,
  "amount_minor" bigint NOT NULL,
  "kind" character varying NOT NULL,
  "subject_id" uuid NOT NULL,
  "reverses_id" uuid NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "transfers_amount_positive" CHECK (amount_minor > 0),
  CONSTRAINT "transfers_one_mode_one_currency" CHECK ((debit_account_id & (1073741823)::bigint) = (credit_account_id & (1073741823)::bigint)),
  CONSTRAINT "transfers_two_accounts" CHECK (debit_account_id <> credit_account_id)
);
-- Create index "transfer_credit_account_id_id" to table: "transfers"
CREATE INDEX "transfer_credit_account_id_id" ON "transfers" ("credit_account_id", "id");
-- Create index "transfer_debit_account_id_id" to table: "transfers"
CREATE INDEX "transfer_debit_account_id_id" ON "transfers" ("debit_account_id", "id");
-- Create "feeds" table
CREATE TABLE "feeds" (
  "id" uuid NOT NULL,
  "last_seq" bigint NOT NULL DEFAULT 0,
  "pruned_seq" bigint NOT NULL DEFAULT 0,
  PRIMARY KEY ("id")
);
-- Create "feed_entries" table
CREATE TABLE "feed_entries" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "seq" bigint NOT NULL,
  "kind" character varying NOT NULL,
  "subject_id" uuid NOT NULL,
  "version" integer NOT NULL DEFAULT 0,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "feedentry_created_at" to table: "feed_entries"
CREATE INDEX "feedentry_created_at" ON "feed_entries" ("created_at");
-- Create index "feedentry_user_id_seq" to table: "feed_entries"
CREATE UNIQUE INDEX "feedentry_user_id_seq" ON "feed_entries" ("user_id", "seq");
-- Create index "feedentry_user_id_subject_id_version" to table: "feed_entries"
CREATE UNIQUE INDEX "feedentry_user_id_subject_id_version" ON "feed_entries" ("user_id", "subject_id", "version");
-- Create "signing_keys" table
CREATE TABLE "signing_keys" (
  "id" uuid NOT NULL,
  "kid" character varying NOT NULL,
  "purpose" character varying NOT NULL,
  "public" jsonb NOT NULL,
  "private" bytea NOT NULL,
  "created_at" timestamptz NOT NULL,
  "use_from" timestamptz NOT NULL,
  "retire_at" timestamptz NULL,
  PRIMARY KEY ("id")
);
-- Create index "signing_keys_kid_key" to table: "signing_keys"
CREATE UNIQUE INDEX "signing_keys_kid_key" ON "signing_keys" ("kid");
-- Create index "signingkey_purpose_created_at" to table: "signing_keys"
CREATE INDEX "signingkey_purpose_created_at" ON "signing_keys" ("purpose", "created_at");
-- Create "funding_transfers" table
CREATE TABLE "funding_transfers" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "user_id" uuid NOT NULL,
  "source_id" uuid NOT NULL,
  "direction" character varying NOT NULL,
  "account_id" bigint NOT NULL,
  "amount_minor" bigint NOT NULL,
  "currency" character varying(3) NOT NULL,
  "state" character varying NOT NULL DEFAULT 'PENDING',
  "rail" character varying NOT NULL,
  "rail_reference" character varying NULL,
  "failure_code" character varying NULL,
  "hold_id" uuid NULL,
  "top_up_id" uuid NULL,
  "returned_minor" bigint NOT NULL DEFAULT 0,
  "check_at" timestamptz NULL,
  "check_count" integer NOT NULL DEFAULT 0,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "funding_amount_positive" CHECK (amount_minor > 0),
  CONSTRAINT "funding_returned_within" CHECK ((returned_minor >= 0) AND (returned_minor <= amount_minor))
);
-- Create index "fundingtransfer_check_at" to table: "funding_transfers"
CREATE INDEX "fundingtransfer_check_at" ON "funding_transfers" ("check_at") WHERE (check_at IS NOT NULL);
-- Create index "fundingtransfer_rail_rail_reference" to table: "funding_transfers"
CREATE INDEX "fundingtransfer_rail_rail_reference" ON "funding_transfers" ("rail", "rail_reference");
-- Create index "fundingtransfer_user_id_id" to table: "funding_transfers"
CREATE INDEX "fundingtransfer_user_id_id" ON "funding_transfers" ("user_id", "id");
-- Create "holds" table
CREATE TABLE "holds" (
  "id" uuid NOT NULL,
  "account_id" bigint NOT NULL,
  "amount_minor" bigint NOT NULL,
  "captured_minor" bigint NOT NULL DEFAULT 0,
  "state" character varying NOT NULL DEFAULT 'HELD',
  "subject_id" uuid NOT NULL,
  "expires_at" timestamptz NOT NULL,
  "created_at" timestamptz NOT NULL,
  "ended_at" timestamptz NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "holds_amount_positive" CHECK (amount_minor > 0),
  CONSTRAINT "holds_captured_within" CHECK ((captured_minor >= 0) AND (captured_minor <= amount_minor))
);
-- Create index "hold_account_id" to table: "holds"
CREATE INDEX "hold_account_id" ON "holds" ("account_id") WHERE ((state)::text = 'HELD'::text);
-- Create "messages" table
CREATE TABLE "messages" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "conversation_id" uuid NOT NULL,
  "seq" bigint NOT NULL,
  "sender_id" uuid NULL,
  "only_for_id" uuid NULL,
  "text" character varying NOT NULL,
  "card_type" character varying NOT NULL DEFAULT 'NONE',
  "card" jsonb NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "message_conversation_id_seq" to table: "messages"
CREATE UNIQUE INDEX "message_conversation_id_seq" ON "messages" ("conversation_id", "seq");
-- Create index "message_only_for_id" to table: "messages"
CREATE INDEX "message_only_for_id" ON "messages" ("only_for_id") WHERE (only_for_id IS NOT NULL);
-- Create index "message_sender_id_conversation_id_seq" to table: "messages"
CREATE INDEX "message_sender_id_conversation_id_seq" ON "messages" ("sender_id", "conversation_id", "seq");
-- Create "audit_entries" table
CREATE TABLE "audit_entries" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "actor" character varying NOT NULL,
  "action" character varying NOT NULL,
  "subject_id" uuid NOT NULL,
  "detail" jsonb NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "auditentry_created_at" to table: "audit_entries"
CREATE INDEX "auditentry_created_at" ON "audit_entries" ("created_at");
-- Create index "auditentry_subject_id_id" to table: "audit_entries"
CREATE INDEX "auditentry_subject_id_id" ON "audit_entries" ("subject_id", "id");
-- Create "sandboxes" table
CREATE TABLE "sandboxes" (
  "id" integer NOT NULL,
  "name" character varying NOT NULL,
  "ahead_us" bigint NOT NULL DEFAULT 0,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create "idempotency_keys" table
CREATE TABLE "idempotency_keys" (
  "id" uuid NOT NULL,
  "request_hash" bytea NOT NULL,
  "result" bytea NOT NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create "orders" table
CREATE TABLE "orders" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "buyer_id" uuid NOT NULL,
  "merchant_id" uuid NOT NULL,
  "product_id" uuid NOT NULL,
  "conversation_id" uuid NULL,
  "sku" character varying NOT NULL,
  "name" character varying NOT NULL,
  "quantity" bigint NOT NULL,
  "unit_minor" bigint NOT NULL,
  "total_minor" bigint NOT NULL,
  "refunded_minor" bigint NOT NULL DEFAULT 0,
  "currency" character varying(3) NOT NULL,
  "state" character varying NOT NULL,
  "stock_counted" boolean NOT NULL,
  "account_id" bigint NOT NULL,
  "merchant_account_id" bigint NOT NULL,
  "hold_id" uuid NULL,
  "reference" character varying NULL,
  "decline_reason" character varying NULL,
  "confirm_by" timestamptz NULL,
  "forward_at" timestamptz NULL,
  "forward_count" integer NOT NULL DEFAULT 0,
  "version" integer NOT NULL DEFAULT 1,
  "timeline" jsonb NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "orders_refunded" CHECK ((refunded_minor >= 0) AND (refunded_minor <= total_minor)),
  CONSTRAINT "orders_total" CHECK ((total_minor > 0) AND (quantity > 0))
);
-- Create index "order_buyer_id_id" to table: "orders"
CREATE INDEX "order_buyer_id_id" ON "orders" ("buyer_id", "id");
-- Create index "order_confirm_by" to table: "orders"
CREATE INDEX "order_confirm_by" ON "orders" ("confirm_by") WHERE ((state)::text = 'AUTHORISED'::text);
-- Create index "order_forward_at" to table: "orders"
CREATE INDEX "order_forward_at" ON "orders" ("forward_at") WHERE ((state)::text = 'AUTHORISED'::text);
-- Create index "order_merchant_id_id" to table: "orders"
CREATE INDEX "order_merchant_id_id" ON "orders" ("merchant_id", "id");
-- Create "outbox_events" table
CREATE TABLE "outbox_events" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "topic" character varying NOT NULL,
  "subject_id" uuid NOT NULL,
  "payload" jsonb NOT NULL,
  "state" character varying NOT NULL DEFAULT 'NEW',
  "attempts" integer NOT NULL DEFAULT 0,
  "due_at" timestamptz NOT NULL,
  "last_error" character varying NULL,
  "created_at" timestamptz NOT NULL,
  "done_at" timestamptz NULL,
  PRIMARY KEY ("id")
);
-- Create index "outboxevent_done_at" to table: "outbox_events"
CREATE INDEX "outboxevent_done_at" ON "outbox_events" ("done_at") WHERE ((state)::text = 'DONE'::text);
-- Create index "outboxevent_due_at" to table: "outbox_events"
CREATE INDEX "outboxevent_due_at" ON "outbox_events" ("due_at") WHERE (((state)::text = 'NEW'::text) OR ((state)::text = 'SENT'::text));
-- Create "accounts" table
CREATE TABLE "accounts" (
  "id" bigint NOT NULL,
  "mode" integer NOT NULL,
  "currency" character varying(3) NOT NULL,
  "owner_kind" character varying NOT NULL,
  "owner_id" uuid NOT NULL,
  "kind" character varying NOT NULL,
  "balance_minor" bigint NOT NULL DEFAULT 0,
  "held_minor" bigint NOT NULL DEFAULT 0,
  "floor_minor" bigint NOT NULL DEFAULT 0,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "accounts_floor_kept" CHECK ((balance_minor - held_minor) >= floor_minor),
  CONSTRAINT "accounts_held_counted" CHECK (held_minor >= 0),
  CONSTRAINT "accounts_id_names_mode" CHECK (((id >> 10) & (1048575)::bigint) = mode)
);
-- Create index "account_owner_id_kind_currency_mode" to table: "accounts"
CREATE UNIQUE INDEX "account_owner_id_kind_currency_mode" ON "accounts" ("owner_id", "kind", "currency", "mode");
-- Create "devices" table
CREATE TABLE "devices" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "name" character varying NOT NULL,
  "public_key" jsonb NOT NULL,
  "thumbprint" character varying NOT NULL,
  "revoked_at" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "devices_users_devices" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- Create index "device_user_id_thumbprint" to table: "devices"
CREATE UNIQUE INDEX "device_user_id_thumbprint" ON "devices" ("user_id", "thumbprint");
-- Create "funding_sources" table
CREATE TABLE "funding_sources" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "kind" character varying NOT NULL,
  "label" character varying NOT NULL,
  "currency" character varying(3) NOT NULL,
  "account_id" bigint NULL,
  "rail" character varying NULL,
  "rail_token" bytea NULL,
  "status" character varying NOT NULL DEFAULT 'ACTIVE',
  "created_at" timestamptz NOT NULL,
  "user_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "funding_sources_users_funding_sources" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- Create index "fundingsource_user_id_id" to table: "funding_sources"
CREATE INDEX "fundingsource_user_id_id" ON "funding_sources" ("user_id", "id");
-- Create "conversations" table
CREATE TABLE "conversations" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "issuer" character varying NOT NULL,
  "external_id" character varying NOT NULL,
  "title" character varying NOT NULL,
  "last_seq" bigint NOT NULL DEFAULT 0,
  "removed_at" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "conversation_mode_issuer_external_id" to table: "conversations"
CREATE UNIQUE INDEX "conversation_mode_issuer_external_id" ON "conversations" ("mode", "issuer", "external_id");
-- Create "members" table
CREATE TABLE "members" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "conversation_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "members_conversations_members" FOREIGN KEY ("conversation_id") REFERENCES "conversations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- Create index "member_conversation_id_user_id" to table: "members"
CREATE UNIQUE INDEX "member_conversation_id_user_id" ON "members" ("conversation_id", "user_id");
-- Create index "member_user_id" to table: "members"
CREATE INDEX "member_user_id" ON "members" ("user_id");
-- Create "merchants" table
CREATE TABLE "merchants" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "name" character varying NOT NULL,
  "status" character varying NOT NULL DEFAULT 'ACTIVE',
  "endpoint_url" character varying NOT NULL,
  "jwks_url" character varying NULL,
  "jwks" jsonb NULL,
  "jwks_fetched_at" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create "products" table
CREATE TABLE "products" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "sku" character varying NOT NULL,
  "name" character varying NOT NULL,
  "description" character varying NOT NULL DEFAULT '',
  "price_minor" bigint NOT NULL,
  "currency" character varying(3) NOT NULL,
  "stock_count" bigint NULL,
  "status" character varying NOT NULL DEFAULT 'OFFERED',
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "merchant_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "products_merchants_products" FOREIGN KEY ("merchant_id") REFERENCES "merchants" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT "products_price_positive" CHECK (price_minor > 0),
  CONSTRAINT "products_stock_counted" CHECK (stock_count >= 0)
);
-- Create index "product_merchant_id_id" to table: "products"
CREATE INDEX "product_merchant_id_id" ON "products" ("merchant_id", "id");
-- Create index "product_merchant_id_sku" to table: "products"
CREATE UNIQUE INDEX "product_merchant_id_sku" ON "products" ("merchant_id", "sku");
-- Create "webhook_endpoints" table
CREATE TABLE "webhook_endpoints" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "owner_id" uuid NOT NULL,
  "url" character varying NOT NULL,
  "event_types" jsonb NOT NULL,
  "secret" bytea NOT NULL,
  "previous_secret" bytea NULL,
  "previous_until" timestamptz NULL,
  "status" character varying NOT NULL DEFAULT 'ENABLED',
  "disabled_reason" character varying NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- Create index "webhookendpoint_owner_id_id" to table: "webhook_endpoints"
CREATE INDEX "webhookendpoint_owner_id_id" ON "webhook_endpoints" ("owner_id", "id");
-- Create "webhook_deliveries" table
CREATE TABLE "webhook_deliveries" (
  "id" uuid NOT NULL,
  "mode" integer NOT NULL,
  "event_id" uuid NOT NULL,
  "event_type" character varying NOT NULL,
  "payload" bytea NOT NULL,
  "state" character varying NOT NULL DEFAULT 'PENDING',
  "attempt_count" integer NOT NULL DEFAULT 0,
  "next_attempt_at" timestamptz NULL,
  "last_status" integer NULL,
  "last_error" character varying NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "endpoint_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "webhook_deliveries_webhook_endpoints_deliveries" FOREIGN KEY ("endpoint_id") REFERENCES "webhook_endpoints" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- Create index "webhookdelivery_endpoint_id_event_id" to table: "webhook_deliveries"
CREATE UNIQUE INDEX "webhookdelivery_endpoint_id_event_id" ON "webhook_deliveries" ("endpoint_id", "event_id");
-- Create index "webhookdelivery_endpoint_id_id" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_endpoint_id_id" ON "webhook_deliveries" ("endpoint_id", "id");
-- Create index "webhookdelivery_next_attempt_at" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_next_attempt_at" ON "webhook_deliveries" ("next_attempt_at") WHERE ((state)::text = 'PENDING'::text);
-- Create "webhook_attempts" table
CREATE TABLE "webhook_attempts" (
  "id" uuid NOT NULL,
  "status" integer NULL,
  "error" character varying NULL,
  "duration_ms" bigint NOT NULL,
  "created_at" timestamptz NOT NULL,
  "delivery_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "webhook_attempts_webhook_deliveries_attempts" FOREIGN KEY ("delivery_id") REFERENCES "webhook_deliveries" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- Create index "webhookattempt_delivery_id_id" to table: "webhook_attempts"
CREATE INDEX "webhookattempt_delivery_id_id" ON "webhook_attempts" ("delivery_id", "id");
