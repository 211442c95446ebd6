package merchantsim

import (
	"bufio"
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/core/webhook"
)

// nodeExample is the example for merchants, installed in a folder of its own.
type nodeExample struct {
	t      *testing.T
	folder string
	env    []string
}

func installNode(t *testing.T) *nodeExample {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and the example for merchants must be tried: install the packages nodejs and npm", program)
		}
		t.Skipf("%s is not installed", program)
	}
	n := &nodeExample{t: t, folder: t.TempDir()}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "server.mjs"} {
		data, err := os.ReadFile(filepath.Join("../../examples/merchant-node", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(n.folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.output("npm", "ci", "--no-audit", "--no-fund")
	return n
}

func (n *nodeExample) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = n.folder
	cmd.Env = append(os.Environ(), n.env...)
	return cmd
}

func (n *nodeExample) output(name string, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := n.command(ctx, name, args...).Output()
	if err != nil {
		n.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// nodeProcess is the example as it serves.
type nodeProcess struct {
	url   string
	lines chan string // what it prints
	stop  func()
}

// serve starts the server and waits until it listens.
func (n *nodeExample) serve() *nodeProcess {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := n.command(ctx, "node", "server.mjs")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	p := &nodeProcess{lines: make(chan string, 1000)}
	p.stop = func() { cancel(); _ = cmd.Wait() }
	n.t.Cleanup(p.stop)
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	p.url = p.await(n.t, "listening on ")
	return p
}

// await waits for a line, and gives what follows its beginning.
func (p *nodeProcess) await(t *testing.T, beginning string) string {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line, open := <-p.lines:
			if rest, found := strings.CutPrefix(line, beginning); found {
				return rest
			}
			if !open {
				t.Fatal("node ended")
			}
		case <-timeout:
			t.Fatalf("node did not print %q", beginning)
		}
	}
}

// TestNodeExample runs the example for merchants as a merchant would: before it
// is registered, then selling, then restarted.
func TestNodeExample(t *testing.T) {
	if testing.Short() {
		t.Skip("installs npm packages")
	}
	t.Parallel()
	souk := newFakeSouk(t)
	n := installNode(t)
	n.env = []string{"SOUK_URL=" + souk.URL + "/", "PORT=0", "MERCHANT_ID="}
	p := n.serve()
	registered := p.await(t, "register these keys with Souk, then set MERCHANT_ID: ")
	keys, err := jose.ParseKeySet([]byte(registered))
	if err != nil || keys.Len() != 2 {
		t.Fatal(registered, err)
	}
	if info, err := os.Stat(filepath.Join(n.folder, "keys.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error("the keys are not closed to others", info, err)
	}
	to := keys.Keys()[1]
	b := &nodeBundle{t: t, souk: souk, keys: keys, to: to, url: p.url}
	if got := b.send(souk.order("mug", 1)); got.status != 503 {
		t.Error("took an order of nobody's", got)
	}
	p.stop()

	older, newer := webhook.NewSecret(), webhook.NewSecret()
	n.env = append(n.env, "MERCHANT_ID="+souk.merchantID, "WEBHOOK_SECRETS="+newer+" "+older)
	p = n.serve()
	b.url = p.url
	b.checkCard(p.await(t, "card of mug: "))
	b.checkCard(strings.TrimSpace(n.output("node", "server.mjs", "card", "mug")))
	if got := get(t, p.url+"/card?sku=mug&confirm=card"); got.status != 200 {
		t.Error(got)
	}
	checkAPIToken(t, strings.TrimSpace(n.output("node", "server.mjs", "token")), keys, souk.merchantID)
	if got := get(t, p.url+keysPath); got.body != registered {
		t.Error("other keys", got)
	}

	sold := souk.order("mug", 3)
	confirmed := b.ask(sold)
	if confirmed.Decision != Confirmed || confirmed.OrderID != sold.Order.ID || confirmed.Total != sold.Order.Total || confirmed.Reference == "" {
		t.Errorf("%+v", confirmed)
	}
	if a := b.ask(again(sold)); a.Reference != confirmed.Reference || a.ID == confirmed.ID {
		t.Errorf("%+v", a)
	}
	if a := b.ask(souk.order("cup", 1)); a.Decision != Declined || a.Reason == "" {
		t.Errorf("%+v", a)
	}
	off := souk.order("mug", 1)
	b.ask(off)
	if got := b.send(release(off)); got.status != 204 {
		t.Error(got)
	}
	b.refuses()
	b.hears(p, older, newer)
	p.stop()

	p = n.serve()
	b.url = p.url
	souk.mu.Lock()
	souk.down = true
	souk.mu.Unlock()
	if got := b.send(again(sold)); got.status != 503 {
		t.Error("Souk's keys cannot be had", got)
	}
	souk.mu.Lock()
	souk.down = false
	souk.mu.Unlock()
	if a := b.ask(again(sold)); a.Reference != confirmed.Reference {
		t.Error("forgotten over a restart", a)
	}
	if a := b.ask(again(off)); a.Decision != Declined {
		t.Error("confirmed after its release", a)
	}
}

// nodeBundle is Souk's side of the talk with the example.
type nodeBundle struct {
	t    *testing.T
	souk *fakeSouk
	keys *jose.KeySet
	to   *jose.Key
	url  string
}

func (b *nodeBundle) send(m Message) answered {
	b.t.Helper()
	return b.sendToken(b.souk.seal(b.t, m, b.to))
}

func (b *nodeBundle) sendToken(token string) answered {
	b.t.Helper()
	got, err := post(b.t, b.url+"/orders", ContentType, token)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func (b *nodeBundle) ask(m Message) Answer {
	b.t.Helper()
	got := b.send(m)
	if got.status != 200 || got.header.Get("Content-Type") != ContentType {
		b.t.Fatal(got)
	}
	a, err := b.souk.read(got.body, b.keys)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *nodeBundle) checkCard(token string) {
	b.t.Helper()
	got, err := jose.Verify(token, jose.VerifyOptions{Keys: b.keys, Typ: TypeCard, Issuer: b.souk.merchantID, Now: time.Now()})
	if err != nil {
		b.t.Fatal(err)
	}
	var c Card
	if err := got.Decode(&c); err != nil || c.SKU != "mug" || c.Price != (Money{1250, "EUR"}) || c.Confirm != ConfirmByServer || c.IssuedAt == 0 {
		b.t.Errorf("%+v %v", c, err)
	}
}

// refuses sends what must not be believed.
func (b *nodeBundle) refuses() {
	b.t.Helper()
	stranger := generate(b.t, jose.EdDSA)
	stranger.ID = b.souk.sign.ID
	seal := func(signer *jose.Key, typ string) string {
		token, err := jose.EncryptSigned([]byte(`{}`), signer, typ, b.to)
		if err != nil {
			b.t.Fatal(err)
		}
		return token
	}
	change := func(f func(*Message)) string {
		m := b.souk.order("mug", 1)
		f(&m)
		return b.souk.seal(b.t, m, b.to)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"souk-order+jwt"}`)) + ".e30."
	unsigned, err := jose.Encrypt([]byte(none), b.to, "JWT")
	if err != nil {
		b.t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another's key":    seal(stranger, TypeOrder),
		"another type":     seal(b.souk.sign, TypeAnswer),
		"alg none":         unsigned,
		"no token":         "hello",
		"another issuer":   change(func(m *Message) { m.Issuer = "https://elsewhere.example" }),
		"another audience": change(func(m *Message) { m.Audience = id.Global("Merchant", id.New()) }),
		"expired":          change(func(m *Message) { m.Expires = time.Now().Add(-2 * time.Minute).Unix() }),
	} {
		if got := b.sendToken(token); got.status != http.StatusUnauthorized {
			b.t.Error(name, got)
		}
	}
	if got := b.sendToken(strings.Repeat("A", 300<<10)); got.status != 413 {
		b.t.Error("too large", got)
	}
}

// hears sends webhooks.
func (b *nodeBundle) hears(p *nodeProcess, older, newer string) {
	b.t.Helper()
	for _, c := range []struct {
		secret string
		at     time.Time
		status int
	}{
		{older, time.Now(), 204}, {newer, time.Now(), 204}, {webhook.NewSecret(), time.Now(), 401}, {newer, time.Now().Add(-time.Hour), 401},
	} {
		messageID := id.New().String()
		got, err := deliver(b.t, b.url+"/webhooks", []string{c.secret}, messageID, paid, c.at)
		if err != nil || got.status != c.status {
			b.t.Error(got, err)
		}
		if c.status == 204 {
			p.await(b.t, messageID+": order.paid T3JkZXI6")
		}
	}
}
