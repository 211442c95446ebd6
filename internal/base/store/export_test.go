package store

import (
	"context"
	"log/slog"

	atlas "ariga.io/atlas/sql/migrate"
)

// MigrateFrom is Migrate with other files than those in the binary.
func (db *DB) MigrateFrom(ctx context.Context, log *slog.Logger, dir atlas.Dir) error {
	return db.migrate(ctx, log, dir)
}

// StatusFrom is MigrationStatus with other files than those in the binary.
func (db *DB) StatusFrom(ctx context.Context, dir atlas.Dir) ([]Migration, error) {
	return db.migrationStatus(ctx, dir)
}

// Backend gives the PostgreSQL process that serves a pipe.
func (p *Pipe) Backend() uint32 { return p.conn.Conn().PgConn().PID() }
