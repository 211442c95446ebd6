// Package ent is Souk's data model: the tables are described in ent/schema, the
// rest of this folder is generated from them.
package ent

//go:generate go tool ent generate --feature sql/lock,sql/versioned-migration ./schema
