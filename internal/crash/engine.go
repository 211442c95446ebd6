package crash

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/seal"
)

// serversOnPostgres is how many API servers run there: row locks and unique keys
// must keep several exact.
const serversOnPostgres = 2

// settings are those of every souk process. Deadlines are short, so that the end
// of every order can be waited for; limits are far, but at work.
const settings = `http:
  public_url: %[1]s
identity:
  issuers: [{url: "%[2]s", audience: %[3]s}]
outbound:
  allow_addresses: [127.0.0.1]
  breaker_open_for: 3s
purchase:
  confirm_within: %[6]s
  inline_wait: 1500ms
worker:
  poll_every: 500ms
  sweep_every: 500ms
limits:
  user: {count: 1000000, per: 1m, burst: 100000}
  address: {count: 1000000, per: 1m, burst: 100000}
  cost: {count: 100000000, per: 1m, burst: 10000000}
data:
  dir: %[4]s
seal:
  keyset_file: %[5]s
log:
  format: text
`

// confirmWithin is long enough for a merchant to be asked again after the server
// that asked first was killed.
const confirmWithin = 25 * time.Second

// build starts everything that the drill needs, in a new folder. It gives the
// processes that it started also when it fails.
func (d *drill) build(ctx context.Context) (all []*process, err error) {
	if err := d.makeFolder(); err != nil {
		return nil, err
	}
	addresses := make([]string, serversOnPostgres)
	if d.engine == SQLite {
		addresses = addresses[:1]
	}
	for i := range addresses {
		if addresses[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	d.publicURL = "http://" + addresses[0]
	if d.issuer, err = startIssuer(); err != nil {
		return nil, err
	}
	if err := d.configure(ctx); err != nil {
		return nil, err
	}
	start := func(p *process) error {
		if err := p.keep(ctx); err != nil {
			return err
		}
		all = append(all, p)
		return p.await(ctx)
	}
	if d.engine == Postgres {
		if err := d.prepareServices(ctx, start); err != nil {
			return all, err
		}
	}
	for i := range shops {
		s, err := d.newShop(i)
		if err != nil {
			return all, err
		}
		d.shops = append(d.shops, s)
		if err := start(s.server); err != nil {
			return all, err
		}
	}
	for i, address := range addresses {
		p := d.newServer(i, address)
		d.servers = append(d.servers, p)
		d.souk = append(d.souk, newClient("http://"+address))
		if err := start(p); err != nil {
			return all, err
		}
	}
	if d.engine == Postgres {
		d.worker = d.newWorker()
		return all, start(d.worker)
	}
	return all, nil
}

// configure writes the configuration of Souk's processes.
func (d *drill) configure(ctx context.Context) error {
	keyset := filepath.Join(d.dir, "keyset.json")
	if _, err := seal.New(ctx, seal.Config{Path: keyset, Create: true}, nil); err != nil {
		return err
	}
	within := d.cfg.ConfirmWithin
	if within == 0 {
		within = confirmWithin
	}
	text := fmt.Sprintf(settings, d.publicURL, d.issuer.url, audience, strconv.Quote(filepath.Join(d.dir, "data")), strconv.Quote(keyset), within)
	path := filepath.Join(d.dir, "souk.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	d.base, d.env = []string{d.cfg.Binary, "--config", path}, cleanEnv()
	return nil
}

// command is souk with the drill's configuration.
func (d *drill) command(args ...string) []string {
	return append(append([]string{}, d.base...), args...)
}

// prepareServices makes a database with Souk's tables and starts a Redis.
func (d *drill) prepareServices(ctx context.Context, start func(*process) error) error {
	database, err := d.createDatabase(ctx)
	if err != nil {
		return fmt.Errorf("create a database: %w", err)
	}
	address, err := freePort()
	if err != nil {
		return err
	}
	d.redis = d.newRedis(address)
	if err := start(d.redis); err != nil {
		return err
	}
	// By the environment, so that the password is not in the folder that is kept.
	d.env = append(d.env, "SOUK_DATABASE_URL="+database, "SOUK_REDIS_URL=redis://"+address+"/0")
	return d.souk1(ctx, "migrate", "up")
}

func (d *drill) createDatabase(ctx context.Context) (string, error) {
	u, err := url.Parse(d.cfg.PostgresURL)
	if err != nil {
		return "", errors.New("the URL of PostgreSQL cannot be read") // the error would show it
	}
	conn, err := pgx.Connect(ctx, d.cfg.PostgresURL)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	name := "souk_crash_" + strings.ReplaceAll(id.New().String(), "-", "")
	u.Path = "/" + name
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
	return u.String(), err
}

func (d *drill) newRedis(address string) *process {
	_, port, _ := strings.Cut(address, ":")
	c := redis.NewClient(&redis.Options{Addr: address})
	d.flush = func(ctx context.Context) error { return c.FlushAll(ctx).Err() }
	return &process{
		name: "redis", env: cleanEnv(), logPath: d.logPath("redis"),
		command: []string{"redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", d.dir},
		ready:   func(ctx context.Context, _ int) bool { return c.Ping(ctx).Err() == nil },
	}
}

func (d *drill) newServer(i int, address string) *process {
	name := fmt.Sprintf("server-%d", i+1)
	return &process{
		name: name, env: d.env, logPath: d.logPath(name), command: d.command("serve", "--addr", address),
		ready: func(ctx context.Context, _ int) bool { return answers(ctx, "http://"+address+"/readyz") },
	}
}

// newWorker makes the worker's process. It has no door to knock at: it is up when
// it has written its process id.
func (d *drill) newWorker() *process {
	pidFile := filepath.Join(d.dir, "worker.pid")
	return &process{
		name: "worker", env: d.env, logPath: d.logPath("worker"), command: d.command("worker", "--pid-file", pidFile),
		ready: func(_ context.Context, pid int) bool {
			text, err := os.ReadFile(pidFile)
			return err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(pid)
		},
	}
}

// souk1 runs souk once, to its end.
func (d *drill) souk1(ctx context.Context, args ...string) error {
	c := d.command(args...)
	cmd := exec.CommandContext(ctx, c[0], c[1:]...) // #nosec G204 -- our own program
	cmd.Env = d.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("souk %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// verifyLedger has Souk prove its own books, which is asked beside the judge's
// verdict.
func (d *drill) verifyLedger(ctx context.Context) error {
	return d.souk1(ctx, "ledger", "verify")
}
