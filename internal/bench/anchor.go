package bench

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed pgbench/*.sql
var scripts embed.FS

// The anchor's scripts, and how pgbench is run.
const (
	anchorSchema  = "schema.sql"
	anchorUniform = "multi_uniform.sql"
	anchorHot     = "multi_hot.sql"

	anchorClients = "32"
	anchorThreads = "2"
)

// anchor runs pgbench in a database of its own.
type anchor struct {
	bin string   // folder of PostgreSQL's programs; empty: in the path
	dir string   // of the scripts
	env []string // how to connect
}

// newAnchor lays out the scripts in a folder.
func newAnchor(bin, dir, databaseURL string) (*anchor, error) {
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("bench: the URL of the anchor's database cannot be read")
	}
	for _, name := range []string{anchorSchema, anchorUniform, anchorHot} {
		text, err := scripts.ReadFile("pgbench/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	// By the environment, for a command line is there for all to see.
	return &anchor{bin: bin, dir: dir, env: append(os.Environ(),
		"PGHOST="+cfg.Host, "PGPORT="+strconv.Itoa(int(cfg.Port)), "PGUSER="+cfg.User, "PGPASSWORD="+cfg.Password, "PGDATABASE="+cfg.Database,
		"PGOPTIONS=--client-min-messages=warning",
	)}, nil
}

func (a *anchor) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	if a.bin != "" {
		program = filepath.Join(a.bin, program)
	}
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- the operator names the folder
	cmd.Dir, cmd.Env = a.dir, a.env
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, errors.Bytes())
	}
	return out, nil
}

// reload makes the anchor's tables anew.
func (a *anchor) reload(ctx context.Context) error {
	_, err := a.run(ctx, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", anchorSchema)
	return err
}

var tpsLine = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// peak gives the payments a second of a closed loop.
func (a *anchor) peak(ctx context.Context, script string, d time.Duration) (float64, error) {
	if err := a.reload(ctx); err != nil {
		return 0, err
	}
	out, err := a.run(ctx, "pgbench", "-n", "-M", "prepared", "-c", anchorClients, "-j", anchorThreads, "-T", seconds(d), "-f", script)
	if err != nil {
		return 0, err
	}
	m := tpsLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("bench: pgbench said no tps:\n%s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// latencies gives, sorted and in milliseconds, what each payment of an open loop
// took from the time at which it was due.
func (a *anchor) latencies(ctx context.Context, script string, rate float64, d time.Duration) ([]float64, error) {
	if err := a.reload(ctx); err != nil {
		return nil, err
	}
	_, err := a.run(ctx, "pgbench", "-n", "-M", "prepared", "-c", anchorClients, "-j", anchorThreads, "-T", seconds(d),
		"-R", strconv.FormatFloat(rate, 'f', 0, 64), "-l", "--log-prefix=latency", "-f", script)
	if err != nil {
		return nil, err
	}
	logs, err := filepath.Glob(filepath.Join(a.dir, "latency.*"))
	if err != nil {
		return nil, err
	}
	var all []float64
	for _, path := range logs {
		if all, err = readLog(all, path); err != nil {
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}

// readLog reads pgbench's log: client, transaction, latency in µs, and more. With
// a rate the latency counts from the scheduled start.
func readLog(all []float64, path string) ([]float64, error) {
	f, err := os.Open(path) // #nosec G304 -- pgbench has just written it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			return nil, fmt.Errorf("bench: a line of pgbench's log cannot be read: %q", lines.Text())
		}
		us, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return nil, fmt.Errorf("bench: pgbench's log: %w", err)
		}
		all = append(all, us/1000)
	}
	return all, lines.Err()
}

func seconds(d time.Duration) string { return strconv.Itoa(max(1, int(d.Seconds()))) }
