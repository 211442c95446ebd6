package outbound

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Config sets the client's rules. Every zero value means its default.
type Config struct {
	// AllowAddresses admits addresses ("127.0.0.2") and prefixes
	// ("10.1.0.0/16") that would be refused: for tests, for the embedded
	// default, and for partners on a private network. Whatever listens there
	// can then be reached by any URL that anybody registers.
	AllowAddresses []string
	// AllowHTTP permits plain http, and only to admitted addresses.
	AllowHTTP bool
	// Resolver is the host:port of the DNS server to ask; empty means the
	// system's. The hosts file is read first in either case.
	Resolver string
	// RootCAs are trusted instead of the system's.
	RootCAs *x509.CertPool

	Timeout        time.Duration // for a whole exchange; 10 s
	ConnectTimeout time.Duration // for name and connection, and again for TLS; 5 s

	MaxRequestBytes  int64 // body; 1 MiB
	MaxResponseBytes int64 // body; 1 MiB
	MaxHeaderBytes   int64 // of an answer; 32 KiB
	MaxConnsPerHost  int   // 32

	BreakerFailures int           // in a row, until a host is left alone; 5
	BreakerOpen     time.Duration // how long it is left alone; 30 s
	BreakersMax     int           // hosts remembered; 4096
}

// Validate tells what cannot work.
func (c Config) Validate() error {
	if _, err := parsePrefixes(c.AllowAddresses); err != nil {
		return err
	}
	if c.Resolver != "" {
		if err := checkHostPort(c.Resolver); err != nil {
			return fmt.Errorf("outbound: resolver %q: %w", c.Resolver, err)
		}
	}
	if min(c.Timeout, c.ConnectTimeout, c.BreakerOpen) < 0 ||
		min(c.MaxRequestBytes, c.MaxResponseBytes, c.MaxHeaderBytes) < 0 ||
		min(c.MaxConnsPerHost, c.BreakerFailures, c.BreakersMax) < 0 {
		return errors.New("outbound: a limit is negative")
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Timeout = or(c.Timeout, 10*time.Second)
	c.ConnectTimeout = or(c.ConnectTimeout, 5*time.Second)
	c.MaxRequestBytes = or(c.MaxRequestBytes, 1<<20)
	c.MaxResponseBytes = or(c.MaxResponseBytes, 1<<20)
	c.MaxHeaderBytes = or(c.MaxHeaderBytes, 32<<10)
	c.MaxConnsPerHost = or(c.MaxConnsPerHost, 32)
	c.BreakerFailures = or(c.BreakerFailures, 5)
	c.BreakerOpen = or(c.BreakerOpen, 30*time.Second)
	c.BreakersMax = or(c.BreakersMax, 4096)
	return c
}

func or[T ~int | ~int64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// parsePrefixes reads addresses and prefixes. One of zero bits is refused: it
// would admit everything and leave no guard.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if ip, notAddr := netip.ParseAddr(text); notAddr == nil && ip.Zone() == "" {
			p, err = ip.Prefix(ip.BitLen())
		}
		if err != nil || p.Bits() == 0 || p.Addr().Is4In6() {
			return nil, fmt.Errorf("outbound: %q is no address or prefix that can be admitted", text)
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return errors.New("want host:port")
	}
	return nil
}
