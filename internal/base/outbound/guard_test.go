package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
)

func TestGuard_Addresses(t *testing.T) {
	t.Parallel()
	admitted, err := parsePrefixes([]string{"127.0.0.2", "10.1.0.0/16", "fd00::7"})
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(admitted)
	tests := map[string]bool{
		"93.184.216.34":        true,
		"2606:2800:220:1::1":   true,
		"127.0.0.2":            true, // admitted
		"::ffff:127.0.0.2":     true, // the same
		"10.1.200.3":           true, // admitted by prefix
		"fd00::7":              true,
		"10.2.0.1":             false,
		"127.0.0.1":            false,
		"127.0.0.3":            false,
		"0.0.0.0":              false,
		"172.16.0.1":           false,
		"192.168.1.1":          false,
		"100.64.0.1":           false, // shared address space (CGNAT)
		"100.100.100.200":      false, // Alibaba's metadata
		"169.254.169.254":      false, // the other clouds' metadata
		"192.0.0.192":          false, // Oracle's metadata
		"168.63.129.16":        false, // Azure's wire server
		"198.18.0.1":           false,
		"224.0.0.1":            false,
		"255.255.255.255":      false,
		"::":                   false,
		"::1":                  false,
		"fd00::8":              false,
		"fd00:ec2::254":        false, // Amazon's metadata by IPv6
		"fe80::1":              false,
		"fe80::1%eth0":         false,
		"ff02::1":              false,
		"::ffff:10.0.0.1":      false, // IPv4-mapped
		"::ffff:8.8.8.8":       false,
		"::10.0.0.1":           false, // IPv4-compatible
		"64:ff9b::a00:1":       false, // NAT64 of 10.0.0.1
		"64:ff9b::808:808":     false, // NAT64 of 8.8.8.8
		"64:ff9b:1::a00:1":     false, // local-use NAT64
		"2002:a00:1::1":        false, // 6to4 of 10.0.0.1
		"2001:0:a00:1::1":      false, // Teredo
		"2001:db8::1":          false,
		"100::1":               false, // discard
		"2001:10::1":           false,
		"fec0::1":              false, // site-local
		"5f00::1":              false,
		"2620:4f:8000::1":      false,
		"192.88.99.1":          false,
		"203.0.113.5":          false,
		"240.0.0.1":            false,
		"127.255.255.254":      false,
		"172.31.255.255":       false,
		"::ffff:169.254.0.1":   false,
		"::ffff:100.64.0.1":    false,
		"2001:4860:4860::8888": true,
	}
	for text, want := range tests {
		ip := netip.MustParseAddr(text)
		if err := g.check(ip); (err == nil) != want {
			t.Errorf("check(%s) = %v, want allowed %v", text, err, want)
		}
		address := netip.AddrPortFrom(ip, 443).String()
		if err := atDial(g.check)("tcp", address, nil); (err == nil) != want {
			t.Errorf("dialling %s: %v, want allowed %v", address, err, want)
		}
	}
}

func TestClient_Do_RefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	count := func(http.ResponseWriter, *http.Request) { calls.Add(1) }
	v4, v6 := serve(t, "127.0.0.1", nil, count), serve(t, "::1", nil, count)
	d := serveDNS(t, func(int64) []string { return []string{"127.0.0.1"} })
	c := newClient(t, func(cfg *Config) { cfg.Resolver = d.address })
	for _, url := range []string{
		"http://127.0.0.1:" + v4.port, "https://127.0.0.1:" + v4.port,
		"http://[::1]:" + v6.port, "https://[::1]:" + v6.port,
		"http://[::ffff:127.0.0.1]:" + v4.port,
		"http://merchant.example:" + v4.port, "https://merchant.example:" + v4.port,
		"http://localhost:" + v4.port, "https://localhost:" + v4.port,
	} {
		_, err := get(t, c, url)
		if !errors.Is(err, ErrRefusedAddress) || !NotSent(err) {
			t.Errorf("%s: %v, want a refused address", url, err)
		}
	}
	if n := calls.Load() + v4.conns.Load() + v6.conns.Load(); n != 0 {
		t.Errorf("%d connections or calls arrived", n)
	}
}

func TestClient_Do_RefusesPlainHTTPToPublicAddresses(t *testing.T) {
	t.Parallel()
	d := serveDNS(t, func(int64) []string { return []string{"93.184.216.34"} })
	c := newClient(t, func(cfg *Config) { cfg.Resolver = d.address })
	for _, url := range []string{"http://93.184.216.34/", "http://merchant.example/"} {
		if _, err := get(t, c, url); !errors.Is(err, ErrRefusedAddress) || !NotSent(err) {
			t.Errorf("%s: %v, want a refused address", url, err)
		}
	}
}

// A name first answers with an address that may be dialled, and then with a
// private one, where a server waits on the same port.
func TestClient_Do_DNSRebinding(t *testing.T) {
	t.Parallel()
	good := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})
	var reached atomic.Bool
	inner, err := net.Listen("tcp", "127.0.0.1:"+good.port)
	if err != nil {
		t.Skip("the port is taken on 127.0.0.1")
	}
	bad := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) })}
	go func() { _ = bad.Serve(inner) }()
	t.Cleanup(func() { _ = bad.Close() })

	d := serveDNS(t, func(n int64) []string {
		if n == 1 {
			return []string{"127.0.0.2"}
		}
		return []string{"127.0.0.1"}
	})
	c := newClient(t, func(cfg *Config) { cfg.Resolver = d.address })
	url := "http://rebind.example:" + good.port
	if err := c.ValidateURL(url); err != nil {
		t.Fatal(err)
	}
	if res, err := get(t, c, url); err != nil || res.Status != 200 {
		t.Fatalf("first: %v, %v", res.Status, err)
	}
	if _, err := get(t, c, url); !errors.Is(err, ErrRefusedAddress) || !NotSent(err) {
		t.Fatalf("second: %v, want a refused address", err)
	}
	if d.asked.Load() != 2 || reached.Load() {
		t.Errorf("asked %d times, private server reached: %v", d.asked.Load(), reached.Load())
	}
}

// Each address of a name is checked by itself, in whatever order they come.
func TestClient_Do_ChecksEveryAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.2", nil, func(http.ResponseWriter, *http.Request) {})
	d := serveDNS(t, func(int64) []string { return []string{"10.0.0.1", "169.254.169.254", "127.0.0.2", "127.0.0.1"} })
	c := newClient(t, func(cfg *Config) { cfg.Resolver = d.address })
	if res, err := get(t, c, "http://many.example:"+s.port); err != nil || res.Status != 200 {
		t.Fatalf("%v, %v", res.Status, err)
	}
}

func TestClient_ValidateURL(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	tests := map[string]error{
		"https://merchant.example/souk?x=1":             nil,
		"https://merchant.example":                      nil,
		"HTTPS://Merchant.Example:8443/":                nil,
		"https://xn--bcher-kva.example/":                nil,
		"https://93.184.216.34/":                        nil,
		"https://[2606:2800:220:1::1]:443/":             nil,
		"http://127.0.0.2/":                             nil,
		"http://127.0.0.2:9999/":                        nil,
		"http://merchant.example/":                      nil, // decided at dial
		"":                                              ErrInvalidURL,
		"merchant.example":                              ErrInvalidURL,
		"//merchant.example/":                           ErrInvalidURL,
		"https:merchant.example":                        ErrInvalidURL,
		"https:///path":                                 ErrInvalidURL,
		"ftp://merchant.example/":                       ErrInvalidURL,
		"file:///etc/passwd":                            ErrInvalidURL,
		"gopher://merchant.example/":                    ErrInvalidURL,
		"https://user@merchant.example/":                ErrInvalidURL,
		"https://user:pass@merchant.example/":           ErrInvalidURL,
		"https://@merchant.example/":                    ErrInvalidURL,
		"https://merchant.example/#x":                   ErrInvalidURL,
		"https://merchant.example/#":                    ErrInvalidURL,
		"https://merchant.example:/":                    ErrInvalidURL,
		"https://merchant.example:22/":                  ErrInvalidURL,
		"https://merchant.example:80/":                  ErrInvalidURL,
		"http://127.0.0.2:443/":                         ErrInvalidURL,
		"https://merchant.example:0/":                   ErrInvalidURL,
		"https://merchant.example:65536/":               ErrInvalidURL,
		"https://merchant.example:+443/":                ErrInvalidURL,
		"https://merchant.example./":                    ErrInvalidURL,
		"https://mer chant.example/":                    ErrInvalidURL,
		"https://merchant.example/\r\nX: y":             ErrInvalidURL,
		`https://merchant.example\@127.0.0.1/`:          ErrInvalidURL,
		"https://bücher.example/":                       ErrInvalidURL,
		"https://m%65rchant.example/":                   ErrInvalidURL,
		"https://%E2%91%A0.example/":                    ErrInvalidURL,
		"https://2130706433/":                           ErrInvalidURL,
		"https://0x7f000001/":                           ErrInvalidURL,
		"https://0177.0.0.1/":                           ErrInvalidURL,
		"https://127.1/":                                ErrInvalidURL,
		"https://[fe80::1%25eth0]/":                     ErrInvalidURL,
		"https://[merchant.example]/":                   ErrInvalidURL,
		"https://-x.example/":                           ErrInvalidURL,
		"https://" + repeat("a.", 130) + "example/":     ErrInvalidURL,
		"https://" + repeat("a", 64) + ".example/":      ErrInvalidURL,
		"https://merchant.example/" + repeat("a", 2048): ErrInvalidURL,
		"https://127.0.0.1/":                            ErrRefusedAddress,
		"https://[::1]/":                                ErrRefusedAddress,
		"https://[::ffff:10.0.0.1]/":                    ErrRefusedAddress,
		"https://[64:ff9b::7f00:1]/":                    ErrRefusedAddress,
		"https://169.254.169.254/latest/meta-data":      ErrRefusedAddress,
		"https://[::ffff:93.184.216.34]/":               ErrRefusedAddress,
		"http://93.184.216.34/":                         ErrRefusedAddress,
	}
	for url, want := range tests {
		err := c.ValidateURL(url)
		if want == nil && err != nil || want != nil && !errors.Is(err, want) {
			t.Errorf("ValidateURL(%.60q) = %v, want %v", url, err, want)
		}
		if want != nil && !NotSent(err) {
			t.Errorf("ValidateURL(%.60q): not sent, surely", url)
		}
	}
	strict := newClient(t, func(cfg *Config) { cfg.AllowHTTP = false })
	if err := strict.ValidateURL("http://127.0.0.2/"); !errors.Is(err, ErrInvalidURL) {
		t.Errorf("plain http: %v", err)
	}
}

func FuzzClient_ValidateURL(f *testing.F) {
	for _, s := range []string{"https://a.example/", "https://[::1]/", "http://127.0.0.2:80", "https://a:b@c#d", "https://0x7f.1/"} {
		f.Add(s)
	}
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := c.parseURL(raw)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Hostname() == "" {
			t.Errorf("%q passed as %#v", raw, u)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !ip.IsGlobalUnicast() {
			t.Errorf("%q passed with %v", raw, ip)
		}
	})
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	good := []Config{
		{},
		{AllowAddresses: []string{"127.0.0.2", "::1", "10.0.0.0/8", "fd00::/8"}},
		{Resolver: "127.0.0.1:5353"}, {Resolver: "dns:53"},
	}
	for _, c := range good {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	bad := []Config{
		{AllowAddresses: []string{"localhost"}}, {AllowAddresses: []string{""}},
		{AllowAddresses: []string{"0.0.0.0/0"}}, {AllowAddresses: []string{"::/0"}},
		{AllowAddresses: []string{"::ffff:10.0.0.1"}}, {AllowAddresses: []string{"fe80::1%eth0"}},
		{Resolver: "127.0.0.1"}, {Resolver: ":53"}, {Resolver: "a:b"}, {Resolver: "a:0"},
		{Timeout: -1}, {MaxResponseBytes: -1}, {BreakerFailures: -1},
	}
	for _, c := range bad {
		if _, err := New(c); err == nil {
			t.Errorf("%+v passed", c)
		}
	}
}
