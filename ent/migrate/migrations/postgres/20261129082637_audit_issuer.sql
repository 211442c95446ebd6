-- Modify "audit_entries" table
ALTER TABLE "audit_entries" ADD COLUMN "issuer" character varying NOT NULL DEFAULT '';
