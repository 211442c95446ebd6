// Command souk is the whole of Souk: server, workers, and the tools of those who
// run it or build on it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/soukhq/souk/internal/base/config"
)

// cli is the command line. Every setting of the configuration file can be given
// by --set, the usual ones by flags of their own.
type cli struct {
	Globals

	Serve       serveCmd       `cmd:"" help:"Run the API, and in the embedded default the workers with it."`
	Worker      workerCmd      `cmd:"" help:"Run the background work: outbox, webhooks, deadlines."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database's tables up to date, or show where they stand."`
	Config      configCmd      `cmd:"" help:"Print the configuration that would be used, without secrets."`
	Token       tokenCmd       `cmd:"" help:"Mint a token of the embedded issuer, for trying things out."`
	Ledger      ledgerCmd      `cmd:"" help:"Look after the ledger."`
	Outbox      outboxCmd      `cmd:"" help:"Look after what others must still hear of."`
	Keys        keysCmd        `cmd:"" help:"Look after Souk's own keys."`
	MerchantSim merchantSimCmd `cmd:"" name:"merchant-sim" help:"Run a merchant's product server to buy from."`
	Demo        demoCmd        `cmd:"" help:"Start Souk with demo data and buy something, step by step."`
	Crash       crashCmd       `cmd:"" help:"Kill Souk, PostgreSQL and Redis under load, and look for what was lost."`
	Bench       benchCmd       `cmd:"" help:"Measure Souk beside pgbench on the same machine."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// Globals are the flags of every command.
type Globals struct {
	File        string            `name:"config" placeholder:"FILE" help:"Configuration file (YAML). Also SOUK_CONFIG."`
	DataDir     string            `placeholder:"DIR" help:"Folder of the embedded default: database file and keys (data.dir)."`
	DatabaseURL string            `name:"database-url" placeholder:"URL" help:"postgres://… for production; otherwise an SQLite file in the data folder (database.url)."`
	RedisURL    string            `name:"redis-url" placeholder:"URL" help:"redis://…; otherwise one inside the process (redis.url)."`
	Addr        string            `placeholder:"HOST:PORT" help:"Where to listen (http.addr)."`
	PublicURL   string            `name:"public-url" placeholder:"URL" help:"How others reach Souk (http.public_url)."`
	PidFile     string            `placeholder:"FILE" help:"Where to write the process id (pid_file)."`
	LogLevel    string            `placeholder:"LEVEL" help:"debug, info, warn or error (log.level)."`
	Set         map[string]string `placeholder:"KEY=VALUE" mapsep:"none" help:"Any setting, by its key in the file: --set purchase.confirm_within=2m. May be repeated."`
}

// load gathers the configuration: defaults, file, environment, flags.
func (g *Globals) load() (config.Config, error) {
	flags := map[string]string{}
	for k, v := range g.Set {
		flags[k] = v
	}
	for key, v := range map[string]string{
		"data.dir": g.DataDir, "database.url": g.DatabaseURL, "redis.url": g.RedisURL, "http.addr": g.Addr,
		"http.public_url": g.PublicURL, "pid_file": g.PidFile, "log.level": g.LogLevel,
	} {
		if v != "" {
			flags[key] = v
		}
	}
	cfg, err := config.Load(config.FromProcess(g.File, flags))
	if err != nil {
		return cfg, fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	return cfg, nil
}

// logger makes the process's log: to standard error, so that what a command
// prints can be piped.
func logger(c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "souk: "+strings.TrimRight(err.Error(), "\n"))
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("souk"),
		kong.Description("Souk is the commerce side of a chat app. Without settings it runs by itself: an SQLite file and a Redis inside the process."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] == "help" {
		args = append(args[min(len(args), 1):], "--help")
	}
	command, err := parser.Parse(args)
	if err != nil {
		var bad *kong.ParseError
		if errors.As(err, &bad) {
			return fmt.Errorf("%w\nTry: %s --help", err, commandOf(bad.Context))
		}
		return err
	}
	return command.Run(&c.Globals)
}

// commandOf gives the command that was understood before a fault.
func commandOf(c *kong.Context) string {
	words := []string{"souk"}
	for _, p := range c.Path {
		if p.Command != nil {
			words = append(words, p.Command.Name)
		}
	}
	return strings.Join(words, " ")
}
