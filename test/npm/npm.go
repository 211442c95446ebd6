// Package npm lets Go tests run programs of npm packages. The calling test's
// folder holds package.json and package-lock.json, which name the packages with
// their exact versions.
package npm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// oldest is the first version of Node.js on which all the packages run.
const oldest = 20

// patience bounds one program, an installation included.
const patience = 5 * time.Minute

// Folder makes a throw-away folder with the packages and with the files of the
// test's folder that match the patterns. It stands apart from the module, because
// some npm packages hold Go files. A machine without Node.js fails the test.
func Folder(tb testing.TB, patterns ...string) string {
	tb.Helper()
	if err := check(); err != nil {
		tb.Fatal(err)
	}
	packages, err := install()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for _, pattern := range append(patterns, "package.json") {
		if err := copyAll(pattern, dir); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Run runs a command in a folder and gives all that it printed. Its environment
// is the test's with what is added.
func Run(ctx context.Context, dir string, env []string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) // #nosec G204 -- a test names it
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second // a child of its own may keep the pipe open
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// check finds Node.js and npm.
var check = sync.OnceValue(func() error {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not on this machine: run `make test`, or scripts/ensure node npm", program)
		}
	}
	out, err := Run(context.Background(), ".", nil, "node", "--version")
	if err != nil {
		return fmt.Errorf("node --version: %w", err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(out), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldest {
		return fmt.Errorf("needs Node.js %d or later, and this machine has %s", oldest, strings.TrimSpace(out))
	}
	return nil
})

// install gives the folder of the packages that package-lock.json names. It is
// kept in the user's cache, so that only the first run after a change waits.
var install = sync.OnceValues(func() (string, error) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(lock)
	dir := filepath.Join(cache, "souk", "npm-"+hex.EncodeToString(digest[:6]))
	packages := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(packages); err == nil {
		return packages, nil
	}
	return packages, installInto(dir)
})

// installInto makes the folder at once, so that no run ever sees half of it.
func installInto(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return err
	}
	half, err := os.MkdirTemp(filepath.Dir(dir), "half-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(half) }()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		if err := copyAll(name, half); err != nil {
			return err
		}
	}
	// No script of a package runs: none of them needs to be built.
	if out, err := Run(context.Background(), half, nil, "npm", "ci", "--prefer-offline", "--ignore-scripts"); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	err = os.Rename(half, dir)
	if errors.Is(err, os.ErrExist) {
		return nil // another run was first
	}
	return err
}

// copyAll copies the files that match a pattern, with the folders between.
func copyAll(pattern, dir string) error {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no file is called %s", pattern)
	}
	for _, name := range files {
		data, err := os.ReadFile(name) // #nosec G304 -- of the test's folder
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
