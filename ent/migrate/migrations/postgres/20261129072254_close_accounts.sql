-- Modify "accounts" table
ALTER TABLE "accounts" ADD COLUMN "closed" boolean NOT NULL DEFAULT false;
