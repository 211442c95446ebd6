// Package migrate describes Souk's tables to ent's migration engine, and holds
// the migrations that make them.
package migrate

import (
	"embed"
	"io/fs"

	"entgo.io/ent/dialect"
)

//go:embed migrations
var migrations embed.FS

// Folder names the folder of an engine's migrations, beside this file.
func Folder(engine string) string {
	if engine == dialect.SQLite {
		return "migrations/sqlite"
	}
	return "migrations/" + engine
}

// Files gives the versioned migrations of an engine, and the sums that guard
// them (atlas.sum). They are the only way in which Souk's tables change.
func Files(engine string) (fs.FS, error) { return fs.Sub(migrations, Folder(engine)) }
