package seal

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

var place = Context("webhook_endpoints", "7", "secret")

// testBundle is a keyring on a file of its own.
type testBundle struct {
	*Keyring
	path string
}

func setup(t *testing.T) testBundle {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset.json")
	return testBundle{open(t, path, true, nil), path}
}

func open(t *testing.T, path string, create bool, w KeyWrapper) *Keyring {
	t.Helper()
	k, err := New(t.Context(), Config{Path: path, Create: create}, w)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSeal(t *testing.T, s Sealer, text string) []byte {
	t.Helper()
	c, err := s.Seal([]byte(text), place)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantOpen(t *testing.T, s Sealer, ciphertext []byte, want string) {
	t.Helper()
	if got, err := s.Open(ciphertext, place); err != nil || string(got) != want {
		t.Errorf("opened %q, %v; want %q", got, err, want)
	}
}

func TestKeyring_SealOpen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, text := range []string{"", "x", strings.Repeat("secret ", 1000)} {
		one, two := mustSeal(t, b, text), mustSeal(t, b, text)
		if bytes.Equal(one, two) || len(text) > 1 && bytes.Contains(one, []byte(text)) {
			t.Errorf("%q is not hidden", text)
		}
		wantOpen(t, b, one, text)
		if b.Stale(one) {
			t.Error("fresh, and stale")
		}
	}
	wantOpen(t, open(t, b.path, true, nil), mustSeal(t, b, "after a restart"), "after a restart")
}

func TestKeyring_Seal_Refusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.Seal([]byte("x"), nil); !errors.Is(err, ErrNoContext) {
		t.Errorf("no context: %v", err)
	}
	if _, err := b.Seal(make([]byte, PlaintextMax+1), place); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestKeyring_Open_WrongContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := mustSeal(t, b, "secret")
	for _, other := range [][]byte{
		nil, {}, Context("webhook_endpoints", "8", "secret"), Context("webhook_endpoints", "7", "name"),
		Context("webhook_endpoint", "s7", "secret"), Context("webhook_endpoints", "7secret"), place[1:],
	} {
		if got, err := b.Open(c, other); !errors.Is(err, ErrCorrupt) || got != nil {
			t.Errorf("context %q: %q, %v", other, got, err)
		}
	}
}

func TestKeyring_Open_Tampered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := mustSeal(t, b, "secret")
	for i := range c {
		for bit := range 8 {
			bad := bytes.Clone(c)
			bad[i] ^= 1 << bit
			_, err := b.Open(bad, place)
			inID := i >= 1 && i <= 4
			if want := map[bool]error{true: ErrUnknownKey, false: ErrCorrupt}[inID]; !errors.Is(err, want) {
				t.Fatalf("bit %d of byte %d: %v, want %v", bit, i, err, want)
			}
		}
	}
	for n := range len(c) {
		if _, err := b.Open(c[:n], place); err == nil {
			t.Errorf("opened %d bytes of %d", n, len(c))
		}
	}
	if _, err := b.Open(append(bytes.Clone(c), 0), place); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with a tail: %v", err)
	}
	if _, err := setup(t).Open(c, place); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("by another keyset: %v", err)
	}
}

func TestKeyring_Rotate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := mustSeal(t, b, "old")
	if err := b.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := mustSeal(t, b, "fresh")
	wantOpen(t, b, old, "old")
	wantOpen(t, b, fresh, "fresh")
	if !b.Stale(old) || b.Stale(fresh) || !b.Stale(nil) || !b.Stale([]byte("junk that no key sealed")) {
		t.Error("stale: the old and the unknown, not the fresh")
	}
	plain, _ := b.Open(old, place)
	if b.Stale(mustSeal(t, b, string(plain))) {
		t.Error("stale after sealing again")
	}
}

// A long-lived process opens what another sealed with a key made since.
func TestKeyring_Open_AfterRotationElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := open(t, b.path, false, nil)
	if err := other.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, b, mustSeal(t, other, "new key"), "new key")
	if other.Stale(mustSeal(t, b, "now its own too")) {
		t.Error("sealed with the old key after the reload")
	}
}

func TestKeyring_Reload(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if changed, err := b.Reload(); changed || err != nil {
		t.Errorf("nothing happened: %v, %v", changed, err)
	}
	other := open(t, b.path, false, nil)
	if err := other.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if changed, err := b.Reload(); !changed || err != nil || b.keys.Load().primary != other.keys.Load().primary {
		t.Errorf("after a rotation elsewhere: %v, %v", changed, err)
	}
	c := mustSeal(t, b, "kept")
	if err := os.WriteFile(b.path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reload(); err == nil {
		t.Error("loaded a broken file")
	}
	wantOpen(t, b, c, "kept")
}

func TestKeyring_Watch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	failures := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Watch(ctx, time.Millisecond, func(err error) {
			select {
			case failures <- err:
			default:
			}
		})
	}()
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	if err := <-failures; !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	cancel()
	<-done
}

func TestNew_Permissions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if info, err := os.Stat(b.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("created with %v, %v", info.Mode(), err)
	}
	for mode, want := range map[fs.FileMode]error{
		0o600: nil, 0o400: nil, 0o440: nil, 0o640: nil,
		0o644: ErrExposed, 0o604: ErrExposed, 0o602: ErrExposed, 0o660: ErrExposed, 0o666: ErrExposed, 0o777: ErrExposed,
	} {
		if err := os.Chmod(b.path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), Config{Path: b.path}, nil); !errors.Is(err, want) {
			t.Errorf("mode %04o: %v, want %v", mode, err, want)
		}
	}
	if err := os.Chmod(b.path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Rotate(t.Context()); !errors.Is(err, ErrExposed) {
		t.Errorf("rotation of an exposed file: %v", err)
	}
}

func TestNew_Refusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	raw := filepath.Join(dir, "raw.json")
	writeKeyset(t, raw, tinkpb.OutputPrefixType_RAW)
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := map[string]string{
		"no path":      "",
		"no file":      filepath.Join(dir, "absent.json"),
		"a folder":     dir,
		"empty":        file("empty", ""),
		"not JSON":     file("text", "hello"),
		"no keys":      file("none", "{}"),
		"too large":    file("large", strings.Repeat(" ", fileMax+1)),
		"raw prefixes": raw,
	}
	for name, path := range tests {
		if k, err := New(t.Context(), Config{Path: path}, nil); err == nil || k != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(t.Context(), Config{Path: tests["no file"]}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	// What is there is never replaced by a new keyset, broken or not.
	if _, err := New(t.Context(), Config{Path: tests["empty"], Create: true}, nil); err == nil {
		t.Error("an empty file was replaced")
	}
}

func writeKeyset(t *testing.T, path string, prefix tinkpb.OutputPrefixType) {
	t.Helper()
	template := aead.AES256GCMKeyTemplate()
	template.OutputPrefixType = prefix
	handle, err := keyset.NewHandle(template)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// brokenService is a key management service that went away after the start.
type brokenService struct{ KeyWrapper }

func (brokenService) EncryptWithContext(context.Context, []byte, []byte) ([]byte, error) {
	return nil, errors.New("away")
}

func TestKeyring_Wrapped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	w := newLocalWrapper(t, bytes.Repeat([]byte{1}, 32))
	k := open(t, path, true, w)
	c := mustSeal(t, k, "wrapped")
	if err := k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, open(t, path, false, w), c, "wrapped")

	stranger := newLocalWrapper(t, bytes.Repeat([]byte{2}, 32))
	clear := setup(t)
	for name, err := range map[string]error{
		"another key":       second(New(t.Context(), Config{Path: path}, stranger)),
		"no wrapper":        second(New(t.Context(), Config{Path: path}, nil)),
		"clear, but wanted": second(New(t.Context(), Config{Path: clear.path}, w)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Contains(data, []byte("encryptedKeyset")) {
		t.Errorf("the file is not wrapped: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A rotation that fails leaves the file, the keys in use, and no debris.
func TestKeyring_Rotate_ServiceAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	w := newLocalWrapper(t, bytes.Repeat([]byte{1}, 32))
	open(t, path, true, w)
	before, _ := os.ReadFile(path)
	k := open(t, path, false, brokenService{w})
	c := mustSeal(t, k, "still")
	if err := k.Rotate(t.Context()); err == nil {
		t.Error("rotated without the service")
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) || k.Stale(c) {
		t.Error("something changed")
	}
	wantOnlyFile(t, path)
}

func TestWriteFile_LeavesNoDebris(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := os.Mkdir(path, 0o700); err != nil { // a file cannot take its place
		t.Fatal(err)
	}
	if err := writeFile(path, []byte("keys")); err == nil {
		t.Error("replaced a folder")
	}
	wantOnlyFile(t, path)
}

// wantOnlyFile finds leftovers beside the keyset and its lock.
func wantOnlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := filepath.Base(path); e.Name() != name && e.Name() != name+".lock" {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestKeyring_Rotate_ThroughLink(t *testing.T) {
	t.Parallel()
	b := setup(t)
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(b.path, link); err != nil {
		t.Skip(err)
	}
	k := open(t, link, false, nil)
	if err := k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, b, mustSeal(t, k, "by the link"), "by the link")
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}

func TestKeyring_Rotate_Full(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range keysMax - 1 {
		if err := b.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Rotate(t.Context()); err == nil {
		t.Error("the keyset grows without end")
	}
}

// Many seal and open while keys change under them, in two keyrings of one file.
func TestKeyring_Concurrent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rings := []*Keyring{b.Keyring, open(t, b.path, false, nil)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				c := mustSeal(t, rings[i%2], "busy")
				wantOpen(t, rings[(i+1)%2], c, "busy")
			}
		})
	}
	for _, k := range rings {
		wg.Go(func() {
			for range 10 {
				if err := k.Rotate(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(open(t, b.path, false, nil).keys.Load().ids); n != 21 {
		t.Errorf("%d keys, want 21", n)
	}
	wantOnlyFile(t, b.path)
}

const childEnv, childRotations = "SEAL_TEST_KEYSET", 5

// TestChildProcess is not a test: TestKeyring_Rotate_Processes runs it in
// processes of its own.
func TestChildProcess(t *testing.T) {
	path := os.Getenv(childEnv)
	if path == "" {
		return // only as a child
	}
	k := open(t, path, true, nil)
	for range childRotations {
		c := mustSeal(t, k, "before")
		if err := k.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantOpen(t, k, c, "before")
	}
	if err := os.WriteFile(path+".sealed."+os.Getenv(childEnv+"_N"), mustSeal(t, k, "by a child"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Processes that start and rotate at once lose none of each other's keys.
func TestKeyring_Rotate_Processes(t *testing.T) {
	t.Parallel()
	const children = 3
	path := filepath.Join(t.TempDir(), "keyset.json")
	var wg sync.WaitGroup
	for i := range children {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildProcess$")
			cmd.Env = append(os.Environ(), childEnv+"="+path, childEnv+"_N="+string(rune('a'+i)))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("child: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	k := open(t, path, false, nil)
	if n := len(k.keys.Load().ids); n != 1+children*childRotations {
		t.Errorf("%d keys, want %d", n, 1+children*childRotations)
	}
	sealed, _ := filepath.Glob(path + ".sealed.*")
	if len(sealed) != children {
		t.Errorf("%d children finished", len(sealed))
	}
	for _, name := range sealed {
		c, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		wantOpen(t, k, c, "by a child")
	}
}

func FuzzKeyring_Open(f *testing.F) {
	k, err := New(f.Context(), Config{Path: filepath.Join(f.TempDir(), "keyset.json"), Create: true}, nil)
	if err != nil {
		f.Fatal(err)
	}
	c, _ := k.Seal([]byte("secret"), place)
	f.Add(c, place)
	f.Add(c[:5], place)
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, ciphertext, context []byte) {
		_, err := k.Open(ciphertext, context)
		genuine := bytes.Equal(ciphertext, c) && bytes.Equal(context, place)
		if genuine != (err == nil) {
			t.Errorf("Open(%x, %x): %v", ciphertext, context, err)
		}
	})
}
