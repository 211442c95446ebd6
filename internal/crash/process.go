package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	restartAfter = 100 * time.Millisecond // as a supervisor would
	upWithin     = 90 * time.Second
	stopWithin   = 40 * time.Second
	lookEvery    = 25 * time.Millisecond
)

// process is a program that is started again whenever it ends.
type process struct {
	name    string
	command []string
	env     []string
	logPath string
	// ready tells whether the process of that id does its work.
	ready func(ctx context.Context, pid int) bool

	ended chan struct{} // closed when it is not started again

	mu     sync.Mutex
	cmd    *exec.Cmd
	up     bool
	killed bool     // by us
	faults []string // ends that nobody brought about
}

// keep runs the program until ctx ends; then it is asked to stop.
func (p *process) keep(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(p.logPath), 0o750); err != nil {
		return err
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		defer func() { _ = log.Close() }()
		for ctx.Err() == nil {
			p.run(ctx, log)
			wait(ctx, restartAfter)
		}
	}()
	return nil
}

// run runs the program once.
func (p *process) run(ctx context.Context, log *os.File) {
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...) // #nosec G204 -- our own programs
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWithin
	p.mu.Lock()
	if err := cmd.Start(); err != nil {
		p.faults = append(p.faults, err.Error())
		p.mu.Unlock()
		return
	}
	p.cmd, p.up, p.killed = cmd, false, false
	p.mu.Unlock()

	life, end := context.WithCancel(ctx)
	go p.watch(life, cmd.Process.Pid)
	_ = cmd.Wait() // what counts is in ProcessState
	end()

	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.killed:
	case ctx.Err() != nil && !cmd.ProcessState.Success():
		p.faults = append(p.faults, fmt.Sprintf("asked to stop, it ended with: %s", cmd.ProcessState))
	case ctx.Err() == nil && p.up:
		p.faults = append(p.faults, fmt.Sprintf("it ended by itself: %s", cmd.ProcessState))
	}
	// What ends before it was up found something away that it needs, such as the
	// database, and is right to end.
	p.up = false
}

// watch waits until the program is up.
func (p *process) watch(life context.Context, pid int) {
	for !p.ready(life, pid) {
		if !wait(life, lookEvery) {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if life.Err() == nil && !p.killed {
		p.up = true
	}
}

func (p *process) isUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

// await waits until it is up.
func (p *process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	for !p.isUp() {
		if !wait(ctx, lookEvery) {
			return fmt.Errorf("%s is not up within %s: see %s", p.name, upWithin, p.logPath)
		}
	}
	return nil
}

// kill kills it while it works, and waits until it works again.
func (p *process) kill(ctx context.Context) error {
	if err := p.await(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	p.up, p.killed = false, true
	err := p.cmd.Process.Kill()
	p.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	return p.await(ctx)
}

// wait waits, and tells whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// cleanEnv is this process's environment without settings of Souk's, which would
// reach the processes of the drill.
func cleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SOUK_") {
			env = append(env, v)
		}
	}
	return env
}

// Ports below those that the kernel gives to outgoing connections, so that a
// server finds its own free again after a restart.
const (
	portFirst = 15_000
	portCount = 17_000
)

// freePort gives an address on which nobody listens. It is no part of what a seed
// repeats: two drills of one seed run side by side.
func freePort() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", portFirst+rand.IntN(portCount))
		l, err := net.Listen("tcp", address) //nolint:noctx // it is closed at once
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no free port was found")
}

// buried waits until it has ended for good.
func (p *process) buried() {
	if p.ended != nil {
		<-p.ended
	}
}

// faultsSeen gives the ends that nobody brought about.
func (p *process) faultsSeen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, f := range p.faults {
		out = append(out, fmt.Sprintf("%s: %s (log: %s)", p.name, f, p.logPath))
	}
	return out
}
