package limit

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestClientAddr(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tc := range map[string]struct {
		remote  string
		forward []string
		want    string
	}{
		"direct":                        {"203.0.113.7:99", nil, "203.0.113.7"},
		"direct, claims to be another":  {"203.0.113.7:99", []string{"198.51.100.1"}, "203.0.113.7"},
		"by a proxy":                    {"10.0.0.1:99", []string{"198.51.100.1"}, "198.51.100.1"},
		"by two proxies":                {"10.0.0.1:99", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"forged in front":               {"10.0.0.1:99", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		"forged in a header of its own": {"10.0.0.1:99", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		"nonsense in front":             {"10.0.0.1:99", []string{"x, 198.51.100.1"}, "198.51.100.1"},
		"nonsense at the end":           {"10.0.0.1:99", []string{"198.51.100.1, x"}, "10.0.0.1"},
		"only proxies":                  {"10.0.0.1:99", []string{"10.0.0.3"}, "10.0.0.3"},
		"proxy without the header":      {"10.0.0.1:99", nil, "10.0.0.1"},
		"very long":                     {"10.0.0.1:99", []string{"198.51.100.1" + strings.Repeat(", 10.0.0.2", 50)}, "10.0.0.2"},
		"IPv6":                          {"[fd00::1%eth0]:99", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv4 in IPv6":                  {"[::ffff:10.0.0.1]:99", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"no address":                    {"@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: tc.remote, Header: http.Header{"X-Forwarded-For": tc.forward}}
		if got := ClientAddr(r, trusted).String(); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func TestAddrKey(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"198.51.100.1":        "addr:198.51.100.1",
		"::ffff:198.51.100.1": "addr:198.51.100.1",
		"2001:db8:1:2:3::4":   "addr:2001:db8:1:2::/64",
		"fe80::1%eth0":        "addr:fe80::/64",
	} {
		if got := AddrKey(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
	if got := AddrKey(netip.Addr{}); got != "addr:unknown" {
		t.Errorf("no address: got %s", got)
	}
}

func FuzzClientAddr(f *testing.F) {
	trusted := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	f.Add("10.0.0.1:1", "1.1.1.1, 2.2.2.2")
	f.Fuzz(func(t *testing.T, remote, forward string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forward}}}
		AddrKey(ClientAddr(r, trusted))
	})
}
