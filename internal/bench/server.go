package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/driver"
)

// process is one of Souk's programs.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

// start runs souk. What it logs goes to a file.
func start(program, dir, name string, env []string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(dir, name+".log"), done: make(chan error, 1)}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p.cmd = exec.Command(program, args...) //nolint:gosec,noctx // this very program, which is stopped in good order
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the bench, which stops it in good order
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start souk %s: %w", name, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p, nil
}

// stopWithin is how long a process may take to end.
const stopWithin = 30 * time.Second

// stop ends the process and waits for it.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		return err
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		return errors.Join(errors.New("bench: souk did not stop"), <-p.done)
	}
}

// tail gives the end of what it logged.
func (p *process) tail() string {
	const most = 4 << 10
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// souk is `souk serve`, and the product server of the merchant that is asked.
type souk struct {
	addr   string
	pprof  string // where it gives profiles; empty: nowhere
	server *process
	shop   *process
}

// ready bounds how long Souk may take to start.
const readyWithin = 30 * time.Second

// startSouk starts both.
func startSouk(ctx context.Context, o Options, dir, databaseURL, issuerURL, shopAddr string, shopOf seller) (*souk, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	keyset := filepath.Join(dir, "keyset.json")
	if _, err := seal.New(ctx, seal.Config{Path: keyset, Create: true}, nil); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "souk.yaml")
	if err := os.WriteFile(config, []byte(configText(o, addr, databaseURL, issuerURL, keyset)), 0o600); err != nil {
		return nil, err
	}
	s := &souk{addr: addr}
	args := []string{"--config", config, "serve"}
	if o.CPUProfile != "" {
		if s.pprof, err = freeAddr(); err != nil {
			return nil, err
		}
		args = append(args, "--pprof", s.pprof)
	}
	env := cleanEnv()
	if s.server, err = start(o.Program, dir, "serve", env, args...); err != nil {
		return nil, err
	}
	s.shop, err = start(o.Program, dir, "merchant-sim", env, "merchant-sim", "--log-level", "error",
		"--listen", shopAddr, "--data", shopFolder(dir), "--souk", "http://"+addr, "--merchant", shopOf.global())
	if err == nil {
		err = s.await(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// profile writes a CPU profile of the time from now on to a file.
func (s *souk) profile(path string, d time.Duration) error {
	resp, err := http.Get("http://" + s.pprof + "/debug/pprof/profile?seconds=" + seconds(d)) //nolint:noctx // of this very run
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	f, err := os.Create(path) // #nosec G304 -- the operator names it
	if err != nil {
		return err
	}
	_, err = f.ReadFrom(resp.Body)
	return errors.Join(err, f.Close())
}

// await waits until Souk can serve.
func (s *souk) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := driver.New("http://" + s.addr).Ready(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, s.server.tail())
	}
	return nil
}

// stop stops what was started.
func (s *souk) stop() error {
	err := s.server.stop()
	if s.shop != nil {
		err = errors.Join(err, s.shop.stop())
	}
	return err
}

// addressRate is the one limit that is raised: all load comes from one address.
const addressRate = 1_000_000

// configText is Souk's configuration: production's defaults but for the address
// rate and the product server on this machine.
func configText(o Options, addr, databaseURL, issuerURL, keyset string) string {
	return fmt.Sprintf(`http: {addr: %q, public_url: %q}
database: {url: %q}
redis: {url: %q}
seal: {keyset_file: %q}
identity: {audience: %q, issuers: [{url: %q, audience: %q}]}
outbound: {allow_addresses: ["127.0.0.1"]}
limits: {address: {count: %d, per: 10s, burst: %d}}
log: {level: warn}
`, addr, "http://"+addr, databaseURL, o.RedisURL, keyset, audience, issuerURL, audience, addressRate, addressRate)
}

// cleanEnv is the environment without settings of Souk's.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SOUK_") {
			env = append(env, e)
		}
	}
	return env
}

// freeAddr gives an address on which nobody listens at this moment.
func freeAddr() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
