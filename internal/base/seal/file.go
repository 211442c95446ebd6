package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/rogpeppe/go-internal/lockedfile"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// ErrExposed says that users other than the owner and the group may read the
// keyset file, or others than the owner change it.
var ErrExposed = errors.New("seal: keyset file is open to other users (chmod 600)")

const fileMax = 1 << 20

// posix systems have permissions and directories that can be synced.
const posix = runtime.GOOS != "windows"

// keysetFile reads and replaces the file. Readers take no lock, since the file
// is replaced whole; writers do, since each adds to what the other wrote.
type keysetFile struct {
	path    string
	wrapper KeyWrapper
}

// version tells one state of the file from the next.
type version struct{ fs.FileInfo }

// outdated tells whether the file is another one now. If that cannot be found
// out the answer is yes, and the reader will see why.
func (v version) outdated(path string) bool {
	now, err := os.Stat(path)
	return err != nil || !os.SameFile(v.FileInfo, now) || !now.ModTime().Equal(v.ModTime()) || now.Size() != v.Size()
}

// load reads the file and makes its keys ready.
func (f keysetFile) load(ctx context.Context) (*keys, error) {
	handle, v, err := f.read(ctx)
	if err != nil {
		return nil, err
	}
	return newKeys(handle, v)
}

func (f keysetFile) read(ctx context.Context) (*keyset.Handle, version, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, version{}, fmt.Errorf("seal: keyset file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat() // of what was opened, not of what the path names by now
	switch {
	case err != nil:
		return nil, version{}, fmt.Errorf("seal: keyset file: %w", err)
	case !info.Mode().IsRegular() || info.Size() > fileMax:
		return nil, version{}, fmt.Errorf("seal: %s is no keyset file", f.path)
	case posix && info.Mode().Perm()&0o027 != 0:
		return nil, version{}, fmt.Errorf("%w: %s has mode %04o", ErrExposed, f.path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(file, fileMax))
	if err != nil {
		return nil, version{}, fmt.Errorf("seal: keyset file: %w", err)
	}
	handle, err := decode(ctx, data, f.wrapper)
	if err != nil {
		return nil, version{}, fmt.Errorf("seal: keyset file %s: %w", f.path, err)
	}
	return handle, version{info}, nil
}

// create writes a new keyset unless a file is there.
func (f keysetFile) create(ctx context.Context) error {
	if f.exists() {
		return nil
	}
	return f.locked(func(target string) error {
		if f.exists() { // another process was faster
			return nil
		}
		return f.replace(ctx, target, nil)
	})
}

// rotate adds a key to what the file holds now, which may be more than this
// process knows.
func (f keysetFile) rotate(ctx context.Context) error {
	return f.locked(func(target string) error {
		handle, _, err := f.read(ctx)
		if err != nil {
			return err
		}
		return f.replace(ctx, target, handle)
	})
}

// exists is true also when that cannot be found out: then reading will say why,
// and nothing is overwritten.
func (f keysetFile) exists() bool {
	_, err := os.Stat(f.path)
	return !errors.Is(err, fs.ErrNotExist)
}

// locked runs change while no other process changes the file. target is the
// file itself, where path is a link to it.
func (f keysetFile) locked(change func(target string) error) error {
	target, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		target = f.path
	}
	unlock, err := lockedfile.MutexAt(target + ".lock").Lock()
	if err != nil {
		return fmt.Errorf("seal: lock of the keyset file: %w", err)
	}
	defer unlock()
	return change(target)
}

// replace writes the keyset with a new primary key.
func (f keysetFile) replace(ctx context.Context, target string, old *keyset.Handle) error {
	handle, err := withNewPrimary(old)
	if err != nil {
		return err
	}
	data, err := encode(ctx, handle, f.wrapper)
	if err != nil {
		return fmt.Errorf("seal: keyset: %w", err)
	}
	if err := writeFile(target, data); err != nil {
		return fmt.Errorf("seal: keyset file: %w", err)
	}
	return nil
}

// writeFile replaces a file so that after a crash either the old or the new one
// is there, whole; when it returns, the new one is on the disk. Nothing may be
// sealed with a key before that.
func writeFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keyset-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	if !posix {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
